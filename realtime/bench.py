"""Measure every budget of the program on this machine, on generated input.

Thread: main; the sustained run has a live session's threads beside it. Each measurement returns
figures that carry their budget, so that nothing is printed without what it has to reach.
"""

from __future__ import annotations

import math
import platform
import statistics
import subprocess
import threading
import time
from array import array
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.arrays import FloatArray
from models.checkpoint import default_weights
from models.config import FACE, VOICE
from models.cores import usable_cores
from realtime.analysis import analyse
from realtime.emotion.faces import watch_face
from realtime.emotion.network import EmotionNetwork, in_onnxruntime, in_torch
from realtime.engine import OnnxEngine
from realtime.live import LiveSession
from realtime.messages import Health, Prediction, SessionState
from realtime.recording.players import FramePlayer
from realtime.recording.recording import Recording
from realtime.rings import SampleRing
from realtime.sources.microphone import SampleClock
from realtime.sources.synthetic import SyntheticCamera, SyntheticMicrophone
from realtime.task import Task

MEGABYTE = 1e6
SCREEN_RATE = 60.0  # Hz
WARM_UP_SECONDS = 5.0  # of a sustained run, not counted
WORK_PER_ANSWER = "network's work per answer, p50"
Key = TypeVar("Key", bound=Hashable)
Tell = Callable[[str], None]
"""Told what is being measured, for people who wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value beside what it has to reach."""

    name: str
    value: float
    unit: str
    least: float | None = None  # budget: no less than this …
    most: float | None = None  # … and no more than this; neither: for comparison only
    note: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the budget holds; None where there is none."""
        if self.least is None and self.most is None:
            return None
        return (self.least is None or self.value >= self.least) and (
            self.most is None or self.value <= self.most
        )

    @property
    def budget(self) -> str:
        """The budget in words."""
        parts = []
        if self.least is not None:
            parts.append(f"≥ {self.least:.3g}")
        if self.most is not None:
            parts.append(f"≤ {self.most:.3g}")
        return f"{', '.join(parts)} {self.unit}".strip() if parts else "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure, and on what."""

    demo: Path  # a recording with a face and a voice
    task: Task  # the emotion task
    weights: Path
    minutes: float = 3.0  # of the sustained run
    start_command: Sequence[str] = ()  # starts the program; its log says when the window is shown
    window_rate: Callable[[LiveSession, float], float] | None = None  # runs a window for so many
    # seconds and returns the pictures shown per second
    paper_network: bool = True  # time the paper's 3D ResNeXt-50 as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """All figures, and where they were measured."""

    figures: tuple[Figure, ...]
    machine: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether every budget holds."""
        return all(figure.passed is not False for figure in self.figures)

    def as_json(self) -> dict[str, Any]:
        """Plain values; what is not finite becomes None."""
        rows = []
        for figure in self.figures:
            row = asdict(figure) | {"passed": figure.passed}
            row["value"] = figure.value if math.isfinite(figure.value) else None
            rows.append(row)
        return {"machine": self.machine, "figures": rows}

    def show(self, console: Console) -> None:
        """Figures and budgets side by side, and the machine below."""
        table = Table("what", box=None, pad_edge=False)
        for name in ("measured", "budget"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("")
        for each in self.figures:
            verdict = {True: "[green]pass", False: "[bold red]FAIL", None: ""}[each.passed]
            value = f"{each.value:.0f}" if abs(each.value) >= 1000 else f"{each.value:.3g}"
            what = Text(each.name)
            if each.note:
                what.append(f"\n  {each.note}", style="dim")
            table.add_row(what, f"{value} {each.unit}", each.budget, verdict)
        console.print(table)
        console.print()
        for name, value in self.machine.items():
            console.print(f"{name:>16}  {value}", style="dim", highlight=False, soft_wrap=True)


def run(plan: Plan, tell: Tell) -> Result:
    """Measure everything; takes `plan.minutes` and about a minute more."""
    load = ", ".join(f"{each:.2f}" for each in psutil.getloadavg())  # before we add to it
    tell("loading the network")
    network = plan.task.load(lambda _fraction, _text: None)
    assert isinstance(network, EmotionNetwork)
    # Before torch and others are loaded for comparison, whose memory is not the program's.
    tell(f"sustained run of {plan.minutes:g} min")
    on_gpu = not isinstance(network.engine, OnnxEngine)
    sustained = sustained_run(plan, on_gpu=on_gpu)
    tell("the window")
    figures = [*sustained, *window_rate(plan)]
    tell("replay as fast as it will go")
    figures += replay_speed(plan.demo, network)
    tell("cost of one hop")
    figures += [*hop_costs(network), *engines_compared(plan.weights, network)]
    tell("drift over an hour")
    figures += drift()
    figures += weights_size(plan.weights)
    if plan.start_command:
        tell("start to a shown window")
        figures += start_up(plan.start_command)
    if plan.paper_network:
        tell("the paper's network, once")
        figures += paper_network(sustained, on_gpu=on_gpu)
    where = {"engine": network.engine_name} | machine() | {"load average before": load}
    return Result(figures=tuple(figures), machine=where)


# -- measurements -------------------------------------------------------------------------------


def milliseconds(actions: Mapping[Key, Callable[[], object]], rounds: int) -> dict[Key, float]:
    """Shortest time of each action in ms: whatever else the machine does only adds to it.

    They take turns, so that it adds to all alike.
    """
    shortest = dict.fromkeys(actions, math.inf)
    for _ in range(rounds):
        for key, action in actions.items():
            started = time.perf_counter()
            action()
            shortest[key] = min(shortest[key], time.perf_counter() - started)
    return {key: 1e3 * seconds for key, seconds in shortest.items()}


def hop_costs(network: EmotionNetwork) -> list[Figure]:
    """What a hop costs for windows of several lengths, the maps of older frames being kept."""
    config = network.config
    rng = np.random.default_rng(0)
    crop = rng.random((config.face.image_size,) * 2, np.float32)
    one = network.face_map(crop)

    def face_hop(maps: FloatArray) -> Callable[[], object]:
        def hop() -> None:
            maps[:, -1] = network.face_map(crop)
            network.fuse({FACE: {"maps": maps}})

        return hop

    rate = config.face_rate
    face = milliseconds(
        {
            seconds: face_hop(np.stack([one] * round(seconds * rate), axis=1))
            for seconds in (1, 2, 4)
        },
        rounds=200,
    )
    spread = 100 * max(abs(face[seconds] / face[2] - 1) for seconds in (1, 4))
    told = ", ".join(f"{seconds} s {value:.1f}" for seconds, value in face.items())

    def voice_hop(seconds: int) -> Callable[[], object]:
        mel = rng.random((config.voice.n_mels, 100 * seconds), np.float32)
        return lambda: network.voice_frames(mel)

    voice = milliseconds({seconds: voice_hop(seconds) for seconds in (1, 2, 3)}, rounds=50)
    growth = max(voice[2] / voice[1] / 2, voice[3] / voice[1] / 3)
    voice_told = ", ".join(f"{seconds} s {value:.1f}" for seconds, value in voice.items())
    return [
        Figure(
            name="face hop, windows of 1 and 4 s",
            value=spread,
            unit="%",
            most=15,
            note=f"how far from windows of 2 s; ms: {told}",
        ),
        Figure(
            name="voice encoder, per second of window",
            value=growth,
            unit="×",
            most=1,
            note=f"against windows of 1 s; ms: {voice_told}",
        ),
    ]


def engines_compared(weights: Path, network: EmotionNetwork) -> list[Figure]:
    """The whole network for one hop in each engine that can run it here."""
    rng = np.random.default_rng(0)
    config = network.config
    crop = rng.random((config.face.image_size,) * 2, np.float32)
    mel = rng.random((config.voice.n_mels, round(100 * config.window_seconds)), np.float32)

    def answer(each: EmotionNetwork) -> Callable[[], object]:
        maps = np.stack([each.face_map(crop)] * config.max_maps, axis=1)

        def hop() -> None:
            maps[:, -1] = each.face_map(crop)
            each.fuse({FACE: {"maps": maps}, VOICE: {"frames": each.voice_frames(mel)}})

        return hop

    on_onnxruntime = isinstance(network.engine, OnnxEngine)
    other = in_torch(weights, device="cpu") if on_onnxruntime else in_onnxruntime(weights)
    times = milliseconds({each.engine_name: answer(each) for each in (network, other)}, rounds=25)
    return [
        Figure(name=f"network per answer, {engine}", value=value, unit="ms")
        for engine, value in times.items()
    ]


def replay_speed(demo: Path, network: EmotionNetwork) -> list[Figure]:
    """Seconds of recording analysed per second, network and face detector being loaded."""
    watcher = watch_face()  # which `analyse` closes
    cpu_before, started = time.process_time(), time.perf_counter()
    with Recording(demo) as recording:
        predictions = analyse(recording, network, lambda: watcher)
        end = max(prediction.window_end for prediction in predictions)
    seconds = time.perf_counter() - started
    cores = (time.process_time() - cpu_before) / seconds
    return [
        Figure(
            name="replay as fast as it will go",
            value=end / seconds,
            unit="× real time",
            least=4,
            note=f"{end:.1f} s of recording in {seconds:.1f} s, {cores:.1f} cores busy",
        )
    ]


def generated_session(plan: Plan) -> LiveSession:
    """A live session on a 30 fps camera and a microphone, not yet started.

    A face of the demo that sways and a voice that never pauses: each answer can be a fused one.
    """
    with FramePlayer(plan.demo) as player:
        picture = player.frame_at(0.5).image
    return LiveSession(
        plan.task,
        camera_factory=lambda _selector, clock: SyntheticCamera(clock, image=picture),
        microphone_factory=lambda _selector, clock: SyntheticMicrophone(clock),
    )


class Answers:
    """What is told of a run's answers: numbers alone, lest an hour of them look like a leak."""

    def __init__(self) -> None:
        self.delays = array("d")  # s, newest sample to answer
        self.work = array("d")  # s, window to answer
        self.fused = 0  # answers that rest on face and voice

    def add(self, prediction: Prediction) -> None:
        """Count one answer."""
        self.work.append(prediction.inference_seconds)
        if prediction.latency_seconds is not None:
            self.delays.append(prediction.latency_seconds)
        self.fused += all(each.present for each in prediction.modalities)


def sustained_run(plan: Plan, *, on_gpu: bool) -> list[Figure]:
    """A live session with a reader as quick as a screen."""
    session = generated_session(plan)
    answers = Answers()
    shown, last_shown = 0, -1
    memory: list[tuple[float, float]] = []
    session.start()
    try:
        _wait_until_running(session)
        started = time.monotonic() + WARM_UP_SECONDS
        cpu_before = psutil.Process().cpu_times()
        seen = -1
        while (now := time.monotonic() - started) < 60 * plan.minutes:
            snapshot = session.snapshot()
            if snapshot.state is SessionState.FAILED:
                raise session.failure or RuntimeError(snapshot.message)
            new = session.history(seen)
            seen = new[-1].window_index if new else seen
            if now >= 0:
                for prediction in new:
                    answers.add(prediction)
                if snapshot.preview is not None and snapshot.preview.sequence != last_shown:
                    shown, last_shown = shown + 1, snapshot.preview.sequence
            if not memory or now >= memory[-1][0] + 1:
                memory.append((now, own_memory()))
            time.sleep(1 / SCREEN_RATE)
        cpu_after = psutil.Process().cpu_times()
        health = session.health()
    finally:
        session.stop()
    seconds = 60 * plan.minutes
    work = 1e3 * statistics.median(answers.work or [math.inf])
    cores = (sum(cpu_after[:2]) - sum(cpu_before[:2])) / (seconds + WARM_UP_SECONDS)
    return [
        *_answer_figures(answers, health, seconds, on_gpu=on_gpu),
        Figure(
            name="preview, offered to a 60 Hz reader",
            value=shown / seconds,
            unit="per s",
            least=25,
            note="while the network runs",
        ),
        _memory_figure(memory),
        Figure(
            name=WORK_PER_ANSWER,
            value=work,
            unit="ms",
            note=f"window to answer; the whole program keeps {cores:.2f} cores busy",
        ),
    ]


def window_rate(plan: Plan) -> list[Figure]:
    """Pictures that the real window shows while the network runs."""
    if plan.window_rate is None:
        return []
    seconds = min(20.0, 60 * plan.minutes)
    return [
        Figure(
            name="preview, shown in the window",
            value=plan.window_rate(generated_session(plan), seconds),
            unit="per s",
            least=25,
            note=f"over {seconds:g} s",
        )
    ]


def own_memory() -> float:
    """MB that this process alone has filled.

    On Linux without the pages of libraries and files: the system takes those away as it likes, and
    while another program has loaded the same libraries, they are nobody's alone.
    """
    held = psutil.Process().memory_full_info()
    filled = held.rss - held.shared + held.swap if psutil.LINUX else held.uss
    return float(filled) / MEGABYTE


def _answer_figures(
    answers: Answers, health: Health, seconds: float, *, on_gpu: bool
) -> Iterator[Figure]:
    """How many answers came in a run of so many seconds, and how late."""
    count = len(answers.work)
    yield Figure(
        name="fused answers",
        value=answers.fused / seconds,
        unit="per s",
        least=10 - 1 / seconds,  # one may fall beyond the run's end
        note=f"{count} answers, {answers.fused} of them with face and voice, "
        f"{health.windows_skipped} windows skipped, {health.frames_skipped} pictures passed over",
    )
    for percent, most in ((50, 15 if on_gpu else 60), (95, 30 if on_gpu else 120)):
        delay = float(np.percentile(answers.delays, percent)) if answers.delays else math.inf
        yield Figure(
            name=f"newest sample to answer, p{percent}",
            value=1e3 * delay,
            unit="ms",
            most=most,
        )


def _memory_figure(memory: Sequence[tuple[float, float]]) -> Figure:
    """How far memory rises above that of minute 2 (short runs: of the middle), at its highest.

    Held against each other are medians of ten seconds, the first of them and the highest.
    """
    end = memory[-1][0]
    start = 120.0 if end > 150 else end / 2
    starts = start + 10 * np.arange(max(1, int((end - start) // 10)))
    tens = ([size for at, size in memory if first <= at < first + 10] for first in starts)
    levels = [statistics.median(sizes) for sizes in tens if sizes]
    # The budget is for an hour; of a shorter run the verdict says no more than that.
    over = "an hour" if end >= 3540 else f"{(end - start) / 60:.1f} min"
    return Figure(
        name=f"memory growth over {over}",
        value=max(levels) - levels[0],
        unit="MB",
        most=20,
        note=f"from minute {start / 60:.1f} to {end / 60:.1f}: {levels[0]:.0f} MB at first, "
        f"{max(levels):.0f} at most, {levels[-1]:.0f} at last"
        + (" (--minutes 60 for the whole budget)" if end < 3540 else ""),
    )


def _wait_until_running(session: LiveSession, patience_seconds: float = 120.0) -> None:
    deadline = time.monotonic() + patience_seconds
    while (snapshot := session.snapshot()).state is SessionState.LOADING:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the network was not loaded in {patience_seconds:g} s")
        time.sleep(0.05)
    if snapshot.state is SessionState.FAILED:
        raise session.failure or RuntimeError(snapshot.message)


def drift() -> list[Figure]:
    """Sound against picture over an hour: how far the stamps of a wrong sound clock stray.

    The microphone's clock runs 100 ppm off, more than crystals do, and blocks arrive 10 to 40 ms
    late; the time that the ring gives them is held against when they really were recorded.
    """
    worst = {}
    for parts_per_million in (-100, 100):
        rng = np.random.default_rng(7)
        rate, block = 48000, 960
        real_rate = rate * (1 + 1e-6 * parts_per_million)
        clock, ring = SampleClock(rate), SampleRing(rate, 0.1)
        silence = np.zeros(block, np.float32)
        errors = []
        for index in range(round(3600 * rate / block)):
            recorded = index * block / real_rate
            arrival = recorded + block / real_rate + rng.uniform(0.010, 0.040)
            ring.push(clock.stamp(block, arrival), silence)
            errors.append((ring.end_seconds or 0.0) - recorded - block / real_rate)
        # Arrival's own delay is the same from beginning to end, and shown as the offset.
        settled = np.array(errors[len(errors) // 60 :])
        worst[parts_per_million] = 1e3 * float(np.ptp(settled))
    return [
        Figure(
            name="drift of sound in an hour",
            value=max(worst.values()),
            unit="ms",
            most=40,
            note="against the picture; "
            + ", ".join(f"clock {ppm:+d} ppm: {value:.1f}" for ppm, value in worst.items()),
        )
    ]


def weights_size(weights: Path) -> list[Figure]:
    """All files of weights that ship, or those that were named instead."""
    ships = weights.resolve() == default_weights().resolve()
    files = sorted(weights.parent.glob("*.safetensors")) if ships else [weights]
    return [
        Figure(
            name="weights",
            value=sum(each.stat().st_size for each in files) / MEGABYTE,
            unit="MB",
            most=40,
            note=", ".join(each.name for each in files),
        )
    ]


def start_up(command: Sequence[str], patience_seconds: float = 60.0) -> list[Figure]:
    """From the process's start to its first shown window."""
    seconds, note = math.inf, f"no window within {patience_seconds:g} s"
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        patience = threading.Timer(patience_seconds, process.kill)
        patience.start()
        try:
            for line in process.stderr:
                if "window shown" in line:
                    seconds, note = time.perf_counter() - started, ""
                    break
        finally:
            patience.cancel()
            process.kill()
            patience.join()
    return [Figure(name="start to a shown window", value=seconds, unit="s", most=3, note=note)]


def paper_network(live: Sequence[Figure], *, on_gpu: bool) -> list[Figure]:
    """One clip through the paper's face branch, random weights, against one live answer."""
    import torch

    from models.paper.resnext3d import resnext3d

    device = "cuda" if on_gpu else "cpu"
    torch.set_num_threads(usable_cores())
    network = resnext3d().eval().to(device)
    clip = torch.rand(1, 3, 30, 224, 224, device=device)
    with torch.inference_mode():
        started = time.perf_counter()
        network(clip).cpu()
        seconds = time.perf_counter() - started
    torch.set_num_threads(1)
    own = next(each.value for each in live if each.name == WORK_PER_ANSWER)
    return [
        Figure(
            name="paper's 3D ResNeXt-50, one clip",
            value=1e3 * seconds,
            unit="ms",
            note=f"224 px, 30 frames, {device}, all cores, random weights",
        ),
        Figure(
            name="paper's network to one live answer",
            value=1e3 * seconds / own,
            unit="×",
            note="face and voice; the search for the face runs beside it and is not counted",
        ),
    ]


def machine() -> dict[str, Any]:
    """What this was measured on."""
    packages = []
    for name in ("torch", "onnxruntime", "mediapipe", "numpy", "av", "PyQt6"):
        with suppress(PackageNotFoundError):
            packages.append(f"{name} {version(name)}")
    return {
        "processor": _processor(),
        "cores": usable_cores(),
        "memory": f"{psutil.virtual_memory().total / 1e9:.1f} GB",
        "gpu": _gpu(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": ", ".join(packages),
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpu() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"

"""The bench: budgets are held as written, and every measurement gives its figures."""

from __future__ import annotations

import io
import json
import math
import mmap
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from realtime import bench
from realtime.bench import Answers, Figure, Plan, Result
from realtime.emotion.faces import FaceTracker, MediapipeDetector
from realtime.emotion.network import EmotionNetwork
from realtime.messages import Health, SourceHealth
from tests.fakes.driver import SteppedDriver
from tests.fakes.engine import ArithmeticEngine, arithmetic_network, task
from tests.fakes.sources import ManualClock


@pytest.fixture
def plan(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Everything, in seconds, on an engine that needs no weights."""
    monkeypatch.setattr(bench, "WARM_UP_SECONDS", 0.5)
    other = ArithmeticEngine()
    other.name = "other"
    monkeypatch.setattr(bench, "in_torch", lambda *_, **__: arithmetic_network(other))
    monkeypatch.setattr(bench, "OnnxEngine", ArithmeticEngine)
    monkeypatch.setattr("models.paper.resnext3d.resnext3d", _small_network)
    weights = tmp_path / "live.safetensors"
    weights.write_bytes(b"\0" * 2_000_000)
    return Plan(
        demo=demo,
        task=task(),
        weights=weights,
        minutes=0.05,
        start_command=(sys.executable, "-c", "import sys; print('window shown', file=sys.stderr)"),
        window_rate=lambda _session, _seconds: 29.5,
    )


def _small_network() -> Any:
    import torch

    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten())


# -- figures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("least", "most", "passed", "told"),
    [
        (10, None, False, "≥ 10 ms"),
        (9, None, True, "≥ 9 ms"),
        (None, 9, True, "≤ 9 ms"),
        (None, 8.5, False, "≤ 8.5 ms"),
        (None, None, None, "–"),
    ],
)
def test_a_figure_knows_its_budget(
    least: float | None, most: float | None, passed: bool | None, told: str
) -> None:
    figure = Figure(name="x", value=9, unit="ms", least=least, most=most)
    assert figure.passed is passed
    assert figure.budget == told


def test_results_are_shown_side_by_side_and_as_json() -> None:
    result = Result(
        figures=(
            Figure(name="quick", value=12.345, unit="ms", most=20),
            Figure(name="never", value=math.inf, unit="s", most=3),
            Figure(name="by the way", value=12345.6, unit="MB"),
        ),
        machine={"processor": "abacus"},
    )
    assert not result.passed
    stream = io.StringIO()
    result.show(Console(file=stream, width=120))
    lines = stream.getvalue().splitlines()
    assert lines[1].split() == ["quick", "12.3", "ms", "≤", "20", "ms", "pass"]
    assert "FAIL" in lines[2]
    assert "12346 MB" in lines[3]
    assert "abacus" in stream.getvalue()
    values = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert [row["passed"] for row in values["figures"]] == [True, False, None]
    assert values["figures"][1]["value"] is None


# -- measurements -----------------------------------------------------------------------------


def test_everything_is_measured(plan: Plan) -> None:
    told: list[str] = []
    result = bench.run(plan, told.append)
    names = [figure.name for figure in result.figures]
    assert len(set(names)) == len(names)
    for part in (
        "fused answers",
        "p50",
        "p95",
        "offered",
        "shown in the window",
        "memory",
        "face hop",
        "voice encoder",
        "replay",
        "drift",
        "weights",
        "start",
        "ResNeXt",
    ):
        assert any(part in name for name in names), part
    assert all(math.isfinite(figure.value) for figure in result.figures)
    (drift,) = (figure.value for figure in result.figures if "drift" in figure.name)
    assert 0 < drift < 10, "ms, of sound against the picture"
    assert result.machine["engine"] == "arithmetic"
    assert result.machine["cores"] >= 1
    assert told[0] == "loading the network"


def test_a_program_that_shows_no_window_fails() -> None:
    (figure,) = bench.start_up((sys.executable, "-c", ""), patience_seconds=30)
    assert figure.passed is False
    assert math.isinf(figure.value)


def test_a_window_is_noticed_among_other_lines() -> None:
    shows = "import sys, time; sys.stderr.write('loading\\nwindow shown\\n'); time.sleep(60)"
    (figure,) = bench.start_up((sys.executable, "-u", "-c", shows), patience_seconds=30)
    assert math.isfinite(figure.value)


def test_a_program_that_never_shows_a_window_is_not_waited_for() -> None:
    hangs = (sys.executable, "-c", "import time; time.sleep(60)")
    (figure,) = bench.start_up(hangs, patience_seconds=0.1)
    assert math.isinf(figure.value)
    assert figure.note == "no window within 0.1 s"


def answer_figures(answers: Answers, seconds: float) -> list[Figure]:
    none = SourceHealth(name="none")
    health = Health(camera=none, microphone=none)
    return list(bench._answer_figures(answers, health, seconds, on_gpu=False))


@pytest.mark.parametrize(
    ("fused", "rate", "passed"), [(600, 10, True), (599, 9.983, True), (590, 9.833, False)]
)
def test_fused_answers_are_counted_over_the_whole_run(
    fused: int, rate: float, passed: bool
) -> None:
    answers = Answers()
    answers.fused = fused
    answers.work.extend([0.01] * 600)
    answers.delays.extend([0.02] * 600)
    figure, p50, _ = answer_figures(answers, 60.0)
    assert figure.value == pytest.approx(rate, abs=1e-3)
    assert figure.passed is passed
    assert figure.budget == "≥ 9.98 per s"
    assert figure.note.startswith(f"600 answers, {fused} of them with face and voice")
    assert p50.value == pytest.approx(20)


def test_answers_that_are_not_fused_or_do_not_come_pass_nothing() -> None:
    answers = Answers()
    answers.work.extend([0.01] * 50)  # of five seconds, then nothing
    answers.delays.extend([0.02] * 50)
    assert answer_figures(answers, 60.0)[0].passed is False
    assert [each.passed for each in answer_figures(Answers(), 60.0)] == [False] * 3


def test_what_is_generated_can_be_fused_all_the_time(plan: Plan) -> None:
    session = bench.generated_session(plan)
    clock = ManualClock()
    camera, microphone = session._camera_factory("", clock), session._microphone_factory("", clock)
    statuses = Counter[tuple[bool, ...]]()
    with MediapipeDetector() as detector, camera, microphone:
        driver = SteppedDriver(arithmetic_network(), FaceTracker(detector))
        for _ in range(1400):
            clock.advance(0.01)
            for source in (camera, microphone):
                while (packet := source.read(0.0)) is not None:
                    driver.push(packet)
            for answer in driver.answers():
                if answer.window_end > 5:  # as in a sustained run, after the warm-up
                    statuses[tuple(each.present for each in answer.modalities)] += 1
    assert list(statuses) == [(True, True)]


def test_memory_is_counted_from_minute_two() -> None:
    samples = [(float(second), 500.0 + (second < 120) * -40) for second in range(301)]
    figure = bench._memory_figure(samples)
    assert figure.value == 0
    assert figure.name == "memory growth over 3.0 min"
    hour = [(float(second), 500.0) for second in range(3600)]
    assert bench._memory_figure(hour).name == "memory growth over an hour"
    assert "from minute 2.0 to 5.0: 500 MB at first, 500 at most, 500 at last" in figure.note
    leaking = [(float(second), 500.0 + second) for second in range(301)]
    assert bench._memory_figure(leaking).value == pytest.approx(170)
    swollen = [(float(second), 500.0 + 50 * (200 <= second < 220)) for second in range(301)]
    assert bench._memory_figure(swollen).value == 50  # also where it comes back down
    spike = [(float(second), 500.0 + 50 * (second == 200)) for second in range(301)]
    assert bench._memory_figure(spike).value == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measured otherwise there")
def test_memory_is_what_the_process_itself_has_filled(tmp_path: Path) -> None:
    before = bench.own_memory()
    # Straight from the system: malloc might give back memory that the process still holds.
    with mmap.mmap(-1, 100_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:
        for _ in range(100):
            held.write(b"\1" * 1_000_000)
        # What else this process does meanwhile, as collecting what earlier tests left, is less.
        assert bench.own_memory() - before == pytest.approx(100, abs=20)
    before, path = bench.own_memory(), tmp_path / "library.so"
    with path.open("wb") as library:  # piece by piece: training keeps what it has freed for good
        for _ in range(100):
            library.write(bytes(1_000_000))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as read:
        assert not any(read[:: mmap.PAGESIZE])  # all of it is there now, and anybody's
        assert bench.own_memory() - before == pytest.approx(0, abs=20)


@pytest.mark.logs_warnings
def test_a_session_that_fails_is_no_measurement(plan: Plan) -> None:
    def broken(_: object) -> EmotionNetwork:
        raise ZeroDivisionError("no network")

    from dataclasses import replace

    with pytest.raises(ZeroDivisionError):
        bench.sustained_run(replace(plan, task=task(broken)), on_gpu=False)

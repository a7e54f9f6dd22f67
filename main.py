"""MSAF Live's command line: parse, build the parts, hand over.

Nothing heavy is imported before a command needs it, so that --help comes at once.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":  # Ctrl-C ends it without a traceback of what is being imported
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import (
    AbstractContextManager,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from realtime.errors import ExitCode, explain, interrupted

if TYPE_CHECKING:
    import torch

    from models.training.loop import RunContext
    from models.training.paper import run as paper_run
    from realtime.devices import CameraInfo, Listing, MicrophoneInfo
    from realtime.emotion.network import EmotionNetwork
    from realtime.export import PredictionWriter
    from realtime.headless import Steps, Summary, Writer
    from realtime.live import LiveSession
    from realtime.messages import Prediction
    from realtime.replay import ReplaySession
    from realtime.task import Progress, Task

    PaperParts = tuple[paper_run.Task, RunContext, paper_run.Protocol]

logger = logging.getLogger(__name__)

ROOT = Path(__file__).parent
DEMO = ROOT / "realtime" / "data" / "demo.mp4"
RUNS = Path("runs/live")

EXAMPLES = """\
  python main.py                                            the window, on camera and microphone
  python main.py live --camera http://10.0.0.20:8080/video  an IP camera
  python main.py live --headless --seconds 60 > a.jsonl     a minute of answers for a program
  python main.py replay talk.mp4                            a recording in the window
  python main.py replay talk.mp4 --headless --out talk.csv  a recording as a table
  python main.py devices                                    cameras and microphones
"""


class Device(StrEnum):
    """Where the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Stage(StrEnum):
    """A stage of the live network's training; typer takes a list of these, but not of Literal."""

    FACE = "face"
    VOICE = "voice"
    FUSION = "fusion"
    FINAL = "final"
    FOLDS = "folds"


class Program(TyperGroup):
    """`live` where no command is named, and one place where failures become exit codes."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Typer's help, then examples and exit codes as they are to be typed and read."""
        super().format_help(ctx, formatter)
        typer.echo(f"Examples\n{EXAMPLES}\nExit codes")
        for code in ExitCode:
            typer.echo(f"  {code:<5d}{code.meaning}")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `live` in front of arguments that begin with one of its options, or of none."""
        if not args or (args[0].startswith("-") and args[0] not in ("--help", "--version", "-h")):
            args = ["live", *args]
        return super().parse_args(ctx, args)

    def make_context(self, *args: Any, **more: Any) -> Any:
        """Read the command line, which --help and --version already answer."""
        with _failures_told():
            return super().make_context(*args, **more)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _failures_told():
            return super().invoke(ctx)


@contextmanager
def _failures_told() -> Iterator[None]:
    """A failure becomes one sentence and an exit code."""
    try:
        yield
    except (typer.Exit, typer.Abort, typer.TyperException):
        raise
    except (BrokenPipeError, SystemExit):  # rich makes the latter of the former
        _write_nowhere()  # whoever read the answers has gone, as `| head` does
        raise typer.Exit(ExitCode.DONE) from None
    except (Exception, KeyboardInterrupt) as error:
        # A library that was being loaded makes an ImportError of Ctrl-C.
        code, sentence = explain(KeyboardInterrupt() if interrupted.is_set() else error)
        if code is ExitCode.UNEXPECTED:
            from realtime.output import log_directory

            logger.info("unexpected failure", exc_info=error)  # only the file shows it
            sentence += f" (details in {log_directory() / 'msaf-live.log'})"
        with suppress(OSError):  # the code tells it too
            typer.echo(f"msaf-live: {sentence}", err=True)
        try:
            sys.stdout.flush()
        except OSError:  # Python would fail of it once more at the end
            _write_nowhere()
        raise typer.Exit(code) from None


def _write_nowhere() -> None:
    """Lead standard output nowhere, so that what is left of it is no failure at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


app = typer.Typer(
    name="msaf-live",
    cls=Program,
    help="Which emotion a person expresses, live from camera and microphone or from a recording, "
    "with how sure and why. Without a command: [bold]live[/bold].",
    rich_markup_mode="rich",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
train_app = typer.Typer(help="Train a network from the data sets.", no_args_is_help=True)
evaluate_app = typer.Typer(help="Score a network on people it never saw.", no_args_is_help=True)
prepare_app = typer.Typer(
    help="Make the files that training reads from official data sets (docs/data.md).",
    no_args_is_help=True,
)
app.add_typer(prepare_app, name="prepare")
app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("msaf-live")
    except PackageNotFoundError:  # run from a clone that was never installed
        import tomllib

        pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
        return str(pyproject["project"]["version"])


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"msaf-live {_version()}")
        raise typer.Exit


def _with_known_ending(out: Path | None) -> Path | None:
    if out is not None and out.suffix.lower() not in (".csv", ".jsonl"):
        raise typer.BadParameter(f"must end in .csv or .jsonl, not {out.suffix or 'nothing'!r}")
    return out


def _output() -> AbstractContextManager[None]:
    """Answers alone on standard output; libraries that print by themselves go to a file."""
    from realtime.output import native_chatter_in_file

    return native_chatter_in_file()


def _set_up(verbosity: int) -> int:
    """Logs, and SIGTERM as another Ctrl-C: with this every command begins."""
    from realtime.output import set_up_logging

    set_up_logging(verbosity)
    interrupted.clear()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _interrupt)
        signal.signal(signal.SIGTERM, _interrupt)
    return verbosity


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, and remember it where that gets lost."""
    interrupted.set()
    raise KeyboardInterrupt


Verbose = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        callback=_set_up,
        help="Log more to standard error; twice for all.",
        show_default=False,
    ),
]
Headless = Annotated[
    bool, typer.Option("--headless", help="No window: one JSON object per answer on stdout.")
]
Adapt = Annotated[
    bool,
    typer.Option(
        help="Learn what is a voice's own while it is heard, and take that off; "
        "else each window is judged by itself."
    ),
]
DeviceOption = Annotated[
    Device, typer.Option(help="Where the network runs; auto takes a GPU if there is one.")
]
Weights = Annotated[
    Path | None,
    typer.Option(
        readable=False,  # not to be looked at: reading them tells
        help="Weights to use instead of those that ship.",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.csv|FILE.jsonl",
        readable=False,
        callback=_with_known_ending,
        help="Write the answers to this file too.",
        show_default=False,
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder of the data sets; else MSAF_DATA.", show_default=False),
]
DataOut = Annotated[
    Path,
    typer.Option(
        metavar="DATA",
        help="Folder of the data sets, later --data-root or MSAF_DATA.",
        show_default=False,
    ),
]
WorkDir = Annotated[Path, typer.Option(help="Caches, resumable states and results.")]
Recipe = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        metavar="FILE.toml",
        help="Settings of the stages.",
        show_default="as the weights were made",
    ),
]

Root = Annotated[
    Path,
    typer.Option(help="Folder of the data set in its official layout.", show_default=False),
]
ProtocolOption = Annotated[
    Literal["honest", "paper"],
    typer.Option(
        help="honest: validation people choose the epoch, test people are looked at once. "
        "paper: as in the paper, which chose it on the people it reports."
    ),
]
PaperWorkDir = Annotated[
    Path | None,
    typer.Option(
        help="Prepared data, resumable states and results.",
        show_default="runs/ravdess, …",
    ),
]
PaperSettings = Annotated[
    Path | None,
    typer.Option(
        "--config",
        exists=True,
        dir_okay=False,
        metavar="FILE.toml",
        help="Settings.",
        show_default="the paper's",
    ),
]
Folds = Annotated[
    list[int] | None,
    typer.Option(help="Only this fold; may be given more than once.", show_default="all"),
]
Split = Annotated[
    Literal["cross-subject", "cross-view"] | None,
    typer.Option(help="NTU RGB+D only.", show_default="cross-subject"),
]
Seed = Annotated[
    int | None,
    typer.Option(min=0, max=2**32 - 1, help="Instead of the settings' seed."),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Threads that prepare and load data.", show_default="cores"),
]


@app.callback()
def program(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say which it is."),
    ] = False,
) -> None:
    """The whole program; its help is the application's."""


@app.command()
def live(
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="N|URL|none",
            help="Camera number, or an IP camera's address (MJPEG over HTTP, RTSP).",
            show_default="the first one",
        ),
    ] = None,
    microphone: Annotated[
        str | None,
        typer.Option(
            metavar="N|NAME|none",
            help="Microphone number or part of its name.",
            show_default="the system's",
        ),
    ] = None,
    headless: Headless = False,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, help="End after so many seconds of answers.", show_default=False),
    ] = None,
    out: Out = None,
    adapt: Adapt = True,
    device: DeviceOption = Device.AUTO,
    weights: Weights = None,
    verbose: Verbose = 0,
) -> None:
    """Camera and microphone; the demo recording where there is neither."""
    from realtime.export import PredictionWriter
    from realtime.headless import Summary, has_screen, live_predictions

    chosen = {"camera": camera, "microphone": microphone}
    camera, microphone, faults = _devices(camera, microphone)
    trouble = "; ".join(faults)
    trouble = trouble[:1].upper() + trouble[1:]
    if trouble:
        typer.echo(f"msaf-live: {trouble}", err=True)
    if camera is None and microphone is None:
        from realtime.sources.base import NoDeviceError

        if any(chosen.values()) or headless or out is not None:
            missing = ", and ".join(
                f"no {kind} was found" if selector is None else f"the {kind} was declined"
                for kind, selector in chosen.items()
            )
            raise NoDeviceError(
                f"{missing}: plug one in, name an IP camera with --camera URL, or replay a "
                "recording (`replay FILE`)"
            )
        told = "No camera or microphone found: this is the demo recording"
        typer.echo(told, err=True)
        notice = f"{told}. {trouble}" if trouble else told
        sessions = _Sessions(weights, device, adapt=adapt)
        _replay(sessions, DEMO, seconds=seconds, notice=notice)
        return
    sessions = _Sessions(weights, device, adapt=adapt)
    required = [kind for kind, selector in chosen.items() if selector not in (None, "none")]
    with nullcontext() if out is None else PredictionWriter(out, replace=False) as writer:
        if not headless and has_screen():
            sessions.writer = writer
            code = sessions.show(sessions.live(camera, microphone), seconds, notice=trouble)
            sessions.raise_failure()
            raise typer.Exit(code)
        summary = Summary()
        session = sessions.live(camera, microphone)
        answers = live_predictions(session, seconds, required=required, watch=summary.watch)
        with _output(), _steps() as steps, closing(answers):
            sessions.also_told = steps.loading
            _report(
                answers,
                steps,
                summary,
                headless=headless,
                endless=seconds is None,
                more=[] if writer is None else [writer.write],
            )


@app.command("replay")
def replay(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            readable=False,  # not to be looked at: reading it tells
            help="A recording of any kind.",
            show_default=False,
        ),
    ],
    headless: Headless = False,
    speed: Annotated[
        str | None,
        typer.Option(
            metavar="X|max",
            help="1 is real time, max as fast as it goes; 0.25 to 4 in the window.",
            show_default="1; max with --headless",
        ),
    ] = None,
    out: Out = None,
    adapt: Adapt = True,
    device: DeviceOption = Device.AUTO,
    weights: Weights = None,
    verbose: Verbose = 0,
) -> None:
    """A recording, through the very same path."""
    if re.match(r"(https?|rtsps?):/", str(file), re.IGNORECASE) and not file.exists():
        raise typer.BadParameter(
            "is an address: those of cameras go to `live --camera`, a recording has to be a file",
            param_hint="FILE",
        )
    sessions = _Sessions(weights, device, adapt=adapt)
    _replay(sessions, file, headless=headless, speed=speed, out=out)


def _replay(
    sessions: _Sessions,
    file: Path,
    *,
    headless: bool = False,
    speed: str | None = None,
    out: Path | None = None,
    seconds: float | None = None,
    notice: str = "",
) -> None:
    """Play `file`; where answers come at a pace, only for so many seconds.

    `notice` is shown in the window.
    """
    from realtime.headless import Summary, has_screen, paced

    factor = _speed(speed or ("max" if headless else "1"))
    window = not headless and has_screen()
    from realtime.export import PredictionWriter
    from realtime.replay import FASTEST, SLOWEST, analyse
    from realtime.sources.file import Recording

    if window:
        factor = factor or FASTEST
        if not SLOWEST <= factor <= FASTEST:
            raise typer.BadParameter(
                f"the window plays at {SLOWEST:g} to {FASTEST:g}, not {factor:g} (with --headless "
                "any speed will do)",
                param_hint="--speed",
            )
        Recording(file).close()  # what cannot be read is refused here, and empties no old table
        with nullcontext() if out is None else PredictionWriter(out) as writer:
            session = sessions.replay(file, writer)
            session.set_speed(factor)
            code = sessions.show(session, seconds, notice=notice)
            if (written := session.written) is not None and not written.complete:
                typer.echo(f"msaf-live: the analysis was not at its end: {written}", err=True)
                code = code or ExitCode.INTERRUPTED
            sessions.raise_failure()
            if code:
                raise typer.Exit(code)  # in here, so that the writer knows that it is not whole
        return
    with (
        _output(),
        Recording(file) as recording,
        nullcontext() if out is None else PredictionWriter(out) as writer,
        _steps() as steps,
    ):
        task = sessions.task()
        network = task.load(steps.loading)
        text, duration = f"Analysing {file.name}", recording.duration_seconds or float("inf")
        seen = sys.stdout.isatty()  # answers are seen coming, and a bar would be in their way
        if not seen:
            steps.tell(0.0, text)

        def progress(prediction: Prediction) -> None:
            if not seen:
                steps.tell(prediction.window_end / duration, text)

        summary = Summary()

        def notes() -> Iterator[str]:
            yield from recording.notes
            if summary.answers == 0 and duration < sessions.config.windows.hop_seconds:
                yield "too short: there is an answer for every tenth of a second"

        with closing(
            analyse(recording, network, task.watch, config=sessions.config)
        ) as predictions:
            _report(
                predictions if factor is None else paced(predictions, factor, seconds),
                steps,
                summary,
                headless=headless,
                more=[progress] if writer is None else [progress, writer.write],
                notes=notes,
            )


def _devices(
    camera: str | None, microphone: str | None
) -> tuple[str | None, str | None, list[str]]:
    """Selectors of what to open; what nobody chose is taken if there is one, "none" is none.

    The third is why devices that nobody chose could not be looked for. A microphone's number means
    what it stands for now: it may be another one when it is opened.
    """
    from realtime.devices import list_cameras, list_microphones

    faults = []
    with _output():
        if camera is None:
            cameras = list_cameras()
            camera = next((each.selector for each in cameras), None)
            faults += [cameras.problem] if cameras.fault else []
        if microphone is None:
            microphones = list_microphones()
            microphone = "default" if microphones else None
            faults += [microphones.problem] if microphones.fault else []
        elif microphone.isdecimal():
            names = {str(each.index): each.selector for each in list_microphones()}
            microphone = names.get(microphone, microphone)
    camera, microphone = (None if each == "none" else each for each in (camera, microphone))
    return camera, microphone, faults


def _speed(text: str) -> float | None:
    """Factor of real time; None is as fast as it goes."""
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0.0 < factor < float("inf"):
        raise typer.BadParameter(
            f"must be a positive number or max, not {text!r}", param_hint="--speed"
        )
    return factor


def _list_devices() -> tuple[Listing[CameraInfo], Listing[MicrophoneInfo]]:
    from realtime.devices import list_cameras, list_microphones

    return list_cameras(), list_microphones()


class _Sessions:
    """Makes sessions, also those that the person asks the window for."""

    def __init__(self, weights: Path | None, device: Device, *, adapt: bool = True) -> None:
        from models.checkpoint import default_weights
        from realtime.config import SessionConfig
        from realtime.emotion.config import EmotionConfig

        self.weights = weights or default_weights()
        self.config = SessionConfig()
        self._settings = EmotionConfig(adapt=adapt)
        self._device = device
        self._loading = threading.Lock()
        self._network: EmotionNetwork | None = None
        self._newest: LiveSession | ReplaySession | None = None
        self.writer: PredictionWriter | None = None  # takes what live sessions answer
        self.also_told: Progress = lambda _done, _text: None

    def load(self, progress: Progress) -> EmotionNetwork:
        """The network, loaded once for all sessions, which call this on a thread of theirs.

        Loading takes seconds. What `progress` raises breaks it off, as a session does that is left:
        the next one begins anew.
        """
        from realtime.emotion.network import load_emotion_network

        def tell(done: float, text: str) -> None:
            progress(done, text)
            self.also_told(done, text)

        with self._loading:
            if self._network is None:
                self._network = load_emotion_network(
                    self.weights,
                    self._settings,
                    device=self._device.value,
                    progress=tell,
                )
            return self._network

    def task(self) -> Task:
        """What all sessions do: read emotions off one face and its voice."""
        from realtime.faces import watch_face
        from realtime.task import Task

        return Task(watch=watch_face, load=self.load)

    def live(self, camera: str | None, microphone: str | None) -> LiveSession:
        """A session on these devices, not yet started."""
        from realtime.live import LiveSession

        self._newest = session = LiveSession(
            self.task(),
            camera=camera,
            microphone=microphone,
            config=self.config,
            writer=self.writer,
        )
        return session

    def replay(self, path: Path, writer: PredictionWriter | None = None) -> ReplaySession:
        """A session on a recording, not yet started; `writer` gets the answers too."""
        from realtime.replay import ReplaySession

        self._newest = session = ReplaySession(
            path, self.task(), config=self.config, writer=writer, sound=True
        )
        return session

    def check(self, path: Path) -> None:
        """Open a recording and close it; raises UnreadableFileError when it cannot be read."""
        from realtime.sources.file import Recording

        Recording(path).close()

    def raise_failure(self) -> None:
        """Raise what the session failed of that was shown last."""
        if self._newest is not None and self._newest.failure is not None:
            raise self._newest.failure

    def show(
        self,
        session: LiveSession | ReplaySession,
        seconds: float | None = None,
        *,
        notice: str = "",
    ) -> int:
        """Run the window until it is closed, or for so many seconds; returns the exit code."""
        from models.config import MODALITIES
        from realtime.output import log_directory
        from ui.app import run_window
        from ui.main_window import WindowOptions

        card = self.weights.with_name("MODEL_CARD.md")
        with _output():
            return run_window(
                session,
                self,
                list_devices=_list_devices,
                options=WindowOptions(
                    version=_version(),
                    model_card=card.read_text(encoding="utf-8") if card.is_file() else "",
                    labels=self._labels(),
                    modalities=MODALITIES,
                    config=self.config,
                    demo=DEMO,
                    notice=notice,
                ),
                log_path=log_directory() / "msaf-live.log",
                seconds=seconds,
            )

    def _labels(self) -> tuple[str, ...]:
        """The network's classes; those of our own where its weights are not to be read.

        What is wrong with them is told when a session loads them.
        """
        from models.checkpoint import CheckpointError, read_checkpoint
        from models.labels import EMOTIONS

        try:
            return read_checkpoint(self.weights).config.labels
        except CheckpointError:
            return EMOTIONS


def _steps() -> Steps:
    """What the program is at, on standard error."""
    from realtime.headless import ErrorConsole, Steps

    return Steps(ErrorConsole())


def _report(
    predictions: Iterable[Prediction],
    steps: Steps,
    summary: Summary,
    *,
    headless: bool,
    endless: bool = False,
    more: Sequence[Writer] = (),
    notes: Callable[[], Iterable[str]] = tuple,
) -> None:
    """Write each answer where it belongs, then the summary; Ctrl-C is how `endless` runs end."""
    from rich.console import Console

    from realtime.headless import ErrorConsole, json_writer, report, text_writer

    writers = [json_writer(sys.stdout) if headless else text_writer(Console()), *more]
    try:
        report(predictions, writers, summary)
    except KeyboardInterrupt:
        if not endless:
            raise
    finally:
        steps.close()
        told = tuple(notes())
        if summary.answers or told:
            ErrorConsole().print(summary.table(told))


@app.command()
def devices(verbose: Verbose = 0) -> None:
    """List cameras and microphones, and what they can do."""
    from rich.console import Console
    from rich.table import Table

    with _output():
        cameras, microphones = _list_devices()
    for listing in (cameras, microphones):
        if listing.problem:
            typer.echo(listing.problem, err=True)
    found = [("camera", each) for each in cameras] + [("microphone", each) for each in microphones]
    if not found:
        raise typer.Exit(ExitCode.NO_DEVICE)
    table = Table("kind", "choose it by", "name", "what it can do", box=None, pad_edge=False)
    for kind, each in found:
        table.add_row(kind, str(each.index), each.name, each.details)
    Console().print(table)


@app.command()
def bench(
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    minutes: Annotated[
        float, typer.Option(min=0.1, help="Of the sustained run; 60 is the whole of it.")
    ] = 3.0,
    paper: Annotated[
        bool, typer.Option(help="Time the paper's 3D ResNeXt-50 as well (some seconds).")
    ] = True,
    msaf: Annotated[
        bool,
        typer.Option(
            "--msaf", help="Instead: what MSAF costs in the paper's networks, beside concatenation."
        ),
    ] = False,
    device: DeviceOption = Device.AUTO,
    weights: Weights = None,
    verbose: Verbose = 0,
) -> None:
    """Measure every budget on this machine, on generated input."""
    import json as encoder

    from rich.console import Console

    if msaf:
        _bench_msaf(device, json=json)
        return
    from realtime import bench as benchmark
    from realtime.headless import ErrorConsole, has_screen
    from ui.measure import shown_rate

    if not has_screen():
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    sessions = _Sessions(weights, device)
    plan = benchmark.Plan(
        demo=DEMO,
        weights=sessions.weights,
        load=sessions.load,
        minutes=minutes,
        paper_network=paper,
        start_command=(sys.executable, __file__, "replay", str(DEMO), "-v"),
        window_rate=lambda session, seconds: shown_rate(session, sessions, seconds),
    )
    with _output():
        status = ErrorConsole()
        result = benchmark.run(plan, lambda text: status.print(f"measuring: {text}", style="dim"))
        if json:
            typer.echo(encoder.dumps(result.as_json(), indent=2, allow_nan=False))
        else:
            result.show(Console())
    if not result.passed:
        raise typer.Exit(ExitCode.BUDGET_MISSED)


def _bench_msaf(device: Device, *, json: bool) -> None:
    import json as encoder

    from rich.console import Console

    from models.paper.cost import measure
    from realtime import fusion_bench

    where = _torch_device(device)
    with _output():
        status = Console(stderr=True)
        costs = measure(where, lambda text: status.print(f"measuring: {text}", style="dim"))
        if json:
            typer.echo(encoder.dumps(fusion_bench.as_json(costs), indent=2, allow_nan=False))
        else:
            fusion_bench.show(costs, Console())


@app.command()
def convert(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE.pth", readable=False, help="What torch.save wrote."),
    ],
    kind: Annotated[
        Literal["ravdess", "mosei", "ntu", "resnext3d", "mfcc", "lstm", "i3d", "resnet50", "hcn"],
        typer.Option(help="Which network, or branch of one, the file holds."),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE.safetensors", help="Where to write it.")],
    verbose: Verbose = 0,
) -> None:
    """Weights of the paper's public code (github.com/anita-hu/MSAF) as a file of ours."""
    from models.paper.branch import count_parameters
    from models.paper.convert import convert as converted

    written = converted(file, out, kind)
    faults = ", ".join(getattr(written.config, "faults", ())) or "none"
    typer.echo(
        f"written: {out} ({count_parameters(written.network()):,} parameters; faults of the "
        f"public code that it keeps: {faults}; SHA-256 {written.sha256})"
    )


@prepare_app.command("ferplus")
def prepare_ferplus(
    fer2013: Annotated[
        Path,
        typer.Option(
            "--fer2013",
            metavar="fer2013.csv",
            help="FER2013's table of pictures.",
            show_default=False,
        ),
    ],
    labels: Annotated[
        Path,
        typer.Option(metavar="fer2013new.csv", help="FER+'s table of votes.", show_default=False),
    ],
    out: DataOut,
    verbose: Verbose = 0,
) -> None:
    """Faces of FER2013 with the votes of FER+, as ferplus.npz."""
    from models.training import prepare

    typer.echo(f"written: {prepare.prepare_ferplus(fer2013, labels, out)}")


@prepare_app.command("ravdess")
def prepare_ravdess(root: Root, out: DataOut, verbose: Verbose = 0) -> None:
    """Speech of RAVDESS at 16 kHz, as ravdess_speech/."""
    from models.training import prepare

    typer.echo(f"written: {prepare.prepare_ravdess(root, out)}")


@train_app.command("live")
def train_live(
    data_root: DataRoot = None,
    work_dir: WorkDir = RUNS,
    config: Recipe = None,
    stage: Annotated[
        list[Stage] | None,
        typer.Option(
            help="Only this stage; may be given more than once.",
            show_default="all but folds, which is for figures alone",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Where to write the weights.", show_default="those that ship"),
    ] = None,
    seed: Seed = None,
    device: DeviceOption = Device.AUTO,
    verbose: Verbose = 0,
) -> None:
    """Train the live network in stages; killed or stopped, the same command goes on."""
    from dataclasses import replace

    from models.training import recipe as training

    recipe = training.load_recipe(config)
    if seed is not None:
        recipe = replace(recipe, seed=seed)
    context = _training_context(data_root, work_dir, device)
    checkpoint = training.train_live(context, recipe, tuple(stage or training.SHIPPED), weights)
    if checkpoint is not None:
        typer.echo(f"written: {checkpoint.path} (SHA-256 {checkpoint.sha256})")


def _train_paper(parts: PaperParts, folds: list[int]) -> None:
    from models.training.distributed import is_first
    from models.training.paper.run import train_task

    for path in train_task(*parts, folds):
        if is_first():
            typer.echo(f"written: {path}")


def _evaluate_paper(parts: PaperParts, folds: list[int]) -> None:
    from rich.console import Console

    from models.training.distributed import is_first
    from models.training.paper.report import report
    from models.training.paper.run import evaluate_task

    if is_first():
        report(evaluate_task(*parts, folds), Console())


def _paper_command(work: Callable[[PaperParts, list[int]], None]) -> Callable[..., None]:
    """A command for each of the paper's tasks, all with the same options."""

    def command(
        ctx: typer.Context,
        root: Root,
        protocol: ProtocolOption = "honest",
        work_dir: PaperWorkDir = None,
        config: PaperSettings = None,
        fold: Folds = None,
        split: Split = None,
        seed: Seed = None,
        workers: Workers = None,
        device: DeviceOption = Device.AUTO,
        verbose: Verbose = 0,
    ) -> None:
        with _paper_task(
            ctx, root, protocol, work_dir, config, split, seed, workers, device
        ) as parts:
            work(parts, fold or [])

    return command


for _name, _what in (
    ("ravdess", "RAVDESS: emotion from face clip and MFCC, in folds of actors"),
    ("mosei", "CMU-MOSEI: sentiment from FACET, COVAREP and BERT, in the official folds"),
    ("ntu", "NTU RGB+D: action from colour video and skeletons, in an official split"),
):
    train_app.command(
        _name,
        help=f"Train the paper's network for {_what}; killed or stopped, the same command goes on.",
    )(_paper_command(_train_paper))
    evaluate_app.command(
        _name,
        help=f"Score the paper's network for {_what}, on test people; keeps results.json.",
    )(_paper_command(_evaluate_paper))


@contextmanager
def _paper_task(
    ctx: typer.Context,
    root: Path,
    protocol: str,
    work_dir: Path | None,
    config: Path | None,
    split: str | None,
    seed: int | None,
    workers: int | None,
    device: Device,
) -> Iterator[PaperParts]:
    """The task that the command is named after, its data prepared, on this process's device."""
    from dataclasses import replace

    from models.training import distributed
    from models.training.paper.prepared import default_workers
    from models.training.paper.recipes import NtuRecipe, load_paper_recipe
    from models.training.paper.run import Protocol
    from models.training.paper.tasks import make_task
    from realtime.faces import MediapipeDetector

    name = str(ctx.info_name)
    recipe = load_paper_recipe(name, config)
    if seed is not None:
        recipe = replace(recipe, seed=seed)
    if split is not None:
        if not isinstance(recipe, NtuRecipe):
            raise typer.BadParameter("only NTU RGB+D has two splits", param_hint="--split")
        recipe = replace(recipe, split=split)
    context = _training_context(root, work_dir or Path("runs") / name, device)
    count = default_workers() if workers is None else workers
    with _output(), distributed.joined(context.device) as own:
        context = replace(context, device=own)
        chosen = Protocol(protocol)
        yield make_task(context, recipe, chosen, count, MediapipeDetector), context, chosen


@evaluate_app.command("live")
def evaluate_live(
    data_root: DataRoot = None,
    work_dir: WorkDir = RUNS,
    config: Recipe = None,
    weights: Weights = None,
    device: DeviceOption = Device.AUTO,
    verbose: Verbose = 0,
) -> None:
    """Print every figure of the model card, beside what was aimed at."""
    from models.checkpoint import default_weights
    from models.training.evaluate import evaluate_live as evaluate
    from models.training.recipe import load_recipe

    context = _training_context(data_root, work_dir, device)
    evaluate(context, weights or default_weights(), load_recipe(config))


@evaluate_app.command("fusion")
def evaluate_fusion(
    task: Annotated[
        Literal["voice", "emotion", "action", "sentiment", "all"],
        typer.Option(help="What to compare on."),
    ] = "all",
    voice: Annotated[
        Literal["mfcc", "whisper", "tuned", "all"],
        typer.Option(
            help="Voice branch of voice and emotion: the paper's, or a speech encoder, frozen or "
            "fine-tuned.",
        ),
    ] = "all",
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Networks per cell.", show_default="as published here")
    ] = None,
    variants: Annotated[
        bool,
        typer.Option(
            help="Try MSAF's settings one by one too, on validation people; else those that the "
            "page has are kept."
        ),
    ] = True,
    out: Annotated[
        Path, typer.Option(help="The page; a JSON file of the same name comes beside it.")
    ] = Path("docs/results.md"),
    data_root: DataRoot = None,
    work_dir: WorkDir = Path("runs/study"),
    device: DeviceOption = Device.AUTO,
    verbose: Verbose = 0,
) -> None:
    """Compare MSAF with other fusions on real data; killed or stopped, the same command goes on."""
    from models.training.study import report, results
    from models.training.study.emotion import VOICES
    from models.training.study.tasks import TASKS, studies

    context = _training_context(data_root, work_dir, device)
    wanted = studies(
        TASKS if task == "all" else (task,),
        context,
        voices=VOICES if voice == "all" else (voice,),
        seeds=seeds,
    )
    figures = report.read(out)
    for key, study in wanted:
        figures[key] = results.run(study, variants=variants, before=figures.get(key))
        report.write(figures, out)
        typer.echo(f"{figures[key]['title']}\n{report.table(figures[key])}")
    typer.echo(f"written: {out}")


def _training_context(data_root: Path | None, work_dir: Path, device: Device) -> RunContext:
    from models.training.data import default_data_root
    from models.training.loop import RunContext

    return RunContext(
        data_root=data_root or default_data_root(), work_dir=work_dir, device=_torch_device(device)
    )


def _torch_device(device: Device) -> torch.device:
    import torch

    if device is Device.AUTO:
        device = Device.CUDA if torch.cuda.is_available() else Device.CPU
    if device is Device.CUDA and not torch.cuda.is_available():
        raise typer.BadParameter("torch sees no CUDA GPU here", param_hint="--device")
    return torch.device(device.value)


def main() -> None:
    """What the command `msaf-live` runs.

    A thread that did not end in time (a driver that blocks, a library that is still being loaded)
    is left, and must not meet the end of the interpreter: most libraries crash there.
    """
    from realtime.output import open_closed_streams

    open_closed_streams()
    try:
        app()
    except SystemExit as end:
        for number in (signal.SIGINT, signal.SIGTERM):  # no second one breaks the end off
            signal.signal(number, signal.SIG_IGN)
        if isinstance(end.code, int) and any(each.daemon for each in threading.enumerate()):
            logging.shutdown()
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError):
                    stream.flush()
            os._exit(end.code)
        raise


if __name__ == "__main__":
    main()

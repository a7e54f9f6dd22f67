"""MSAF Live's command line: parse, build the parts, hand over.

Nothing heavy is imported before a command needs it, so that --help comes at once.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":  # Ctrl-C ends it without a traceback of what is being imported
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import logging
import mimetypes
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from models.options import (
    Commands,
    Device,
    DeviceOption,
    Host,
    PlainGroup,
    Verbose,
    Weights,
    torch_device,
)
from models.training.commands import evaluate_app, prepare_app, train_app
from realtime.errors import ExitCode, explain, interrupted
from realtime.output import lead_nowhere, log_directory, native_chatter_in_file, set_up_logging

if TYPE_CHECKING:
    from realtime.emotion.faces import MediapipeDetector
    from realtime.export import PredictionWriter
    from realtime.headless import Steps, Summary, Writer
    from realtime.live import LiveSession
    from realtime.messages import Health, Prediction
    from realtime.replay import ReplaySession
    from realtime.sessions import Sessions
    from ui.switcher import Devices

logger = logging.getLogger(__name__)

ROOT = Path(__file__).parent
DEMO = ROOT / "realtime" / "data" / "demo.mp4"
BENCH_MINUTES = 3.0

EXAMPLES = """\
  {}                                            the window, on camera and microphone
  {} live --camera http://10.0.0.20:8080/video  a network camera
  {} live --headless --seconds 60 > a.jsonl     a minute of answers for a program
  {} replay talk.mp4                            a recording in the window
  {} replay talk.mp4 --headless --out talk.csv  a recording as a table
  {} devices                                    cameras and microphones
"""


class Program(PlainGroup):
    """`live` where no command is named, and one place where failures become exit codes."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Typer's help, then examples and exit codes as they are to be typed and read."""
        super().format_help(ctx, formatter)
        name = str(ctx.info_name)
        name = f"python {name}" if name.endswith(".py") else name
        typer.echo(f"Examples\n{EXAMPLES.replace('{}', name)}\nExit codes")
        for code in ExitCode:
            typer.echo(f"  {code:<5d}{code.meaning}")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `live` in front of arguments that begin with one of its options, or of none."""
        if not args or (args[0].startswith("-") and args[0] not in ("--help", "--version", "-h")):
            args = ["live", *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """See click's Group.resolve_command; what is a file is not just no command."""
        if args[0] not in self.commands and Path(args[0]).is_file():
            raise typer.BadParameter(
                f"{args[0]!r} is no command but a file: `replay {args[0]}` analyses it", ctx=ctx
            )
        return super().resolve_command(ctx, args)

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
        lead_nowhere(sys.stdout)  # whoever read the answers has gone, as `| head` does
        raise typer.Exit(ExitCode.DONE) from None
    except (Exception, KeyboardInterrupt) as error:
        code, sentence = explain(error)
        # What was interrupted may fail of it in ways of its own, as a library being loaded does.
        if interrupted.is_set() and (code is ExitCode.UNEXPECTED or isinstance(error, ImportError)):
            code, sentence = explain(KeyboardInterrupt())
        if code is ExitCode.UNEXPECTED:
            logger.info("unexpected failure", exc_info=error)  # only the file shows it
            sentence += f" (details in {log_directory() / 'msaf-live.log'})"
        typer.echo(f"msaf-live: {sentence}", err=True)
        try:
            sys.stdout.flush()
        except OSError:  # Python would fail of it once more at the end
            lead_nowhere(sys.stdout)
        raise typer.Exit(code) from None


def _while_it_is_read(write: Writer) -> Writer:
    """Goes on without standard output once its reader has gone: a file was asked for too."""

    def attempt(prediction: Prediction) -> None:
        try:
            write(prediction)
        except (BrokenPipeError, SystemExit):  # rich makes the latter of the former
            lead_nowhere(sys.stdout)

    return attempt


def _set_up(verbosity: int) -> None:
    """Logs, and SIGTERM as another Ctrl-C: with this every command begins."""
    set_up_logging(verbosity)
    interrupted.clear()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _interrupt)
        signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, and remember it where that gets lost."""
    interrupted.set()
    raise KeyboardInterrupt


def _sessions(weights: Path | None, device: Device, *, adapt: bool = True) -> Sessions:
    """Those of the task that ships."""
    from realtime.emotion.task import emotion_task
    from realtime.sessions import Sessions

    return Sessions(emotion_task(weights, device, adapt=adapt))


def _face_finder() -> MediapipeDetector:
    from realtime.emotion.faces import MediapipeDetector

    return MediapipeDetector()


app = Commands(
    name="msaf-live",
    cls=Program,
    help="Says which emotion a person expresses, how sure it is and why, live from camera and "
    "microphone or from a recording. Without a command: [bold]live[/bold].",
    rich_markup_mode="rich",
    add_completion=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "obj": Host(begin=_set_up, output=native_chatter_in_file, face_finder=_face_finder),
    },
    pretty_exceptions_enable=False,
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
    endings = (".csv", ".jsonl")
    if out is None or out.suffix.lower() in endings:
        return out
    if not out.name:  # as of "", which is the folder that we are in
        fault = "it names no file"
    elif out.name.lower() in endings:
        fault = f"{str(out)!r} is an ending without a name"
    else:
        fault = f"{str(out)!r} has {'another' if out.suffix else 'no'} ending"
    raise typer.BadParameter(f"{fault}: answers are written to a file that ends in .csv or .jsonl")


def _camera_selector(typed: str | None) -> str | None:
    if typed is None or typed.lower() == "none":
        return typed and "none"
    if "://" not in typed and Path(typed).is_file():
        raise typer.BadParameter(f"{typed!r} is no camera but a file: `replay {typed}` analyses it")
    here = re.match(r"\.{0,2}/|\.{0,2}\\|[A-Za-z]:\\", typed)  # a path, which no address begins as
    host = re.match(r"[^/]*([:@]|\..*/)", typed)  # folders rarely look like one
    kind = mimetypes.guess_type(typed.replace("\\", "/"))[0] if here or not host else None
    if (kind or "").startswith("video/"):
        raise typer.BadParameter(
            f"{typed!r} is no camera but looks like a recording, which is not there: those go to "
            "`replay`, and an address begins with http:// or rtsp://"
        )
    from realtime.devices.addresses import camera_selector

    try:
        return camera_selector(typed)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _with_name(file: Path) -> Path:
    if not file.name:  # "" is the folder that we are in
        raise typer.BadParameter("it names a folder, and no file")
    return file


Headless = Annotated[
    bool, typer.Option("--headless", help="No window: one JSON object per answer on stdout.")
]
Adapt = Annotated[
    bool,
    typer.Option(
        help="Learn how a voice sounds by nature while it is heard, and discount that; "
        "else each window is judged by itself."
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


@app.callback()
def program(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """The whole program; its help is the application's."""


@app.command()
def live(
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="N|URL|none",
            callback=_camera_selector,
            help="Camera number, or the address of a network camera (IP camera; MJPEG over HTTP, "
            "RTSP); else the first one.",
            show_default=False,
        ),
    ] = None,
    microphone: Annotated[
        str | None,
        typer.Option(
            metavar="N|NAME|none",
            help="Microphone number or part of its name; else the system's.",
            show_default=False,
        ),
    ] = None,
    headless: Headless = False,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="SECONDS", help="End after so many seconds of answers."),
    ] = None,
    out: Out = None,
    adapt: Adapt = True,
    device: DeviceOption = Device.AUTO,
    weights: Weights = None,
    verbose: Verbose = 0,
) -> None:
    """Camera and microphone; the demo recording where there is neither."""
    from realtime.devices.choice import chosen_devices
    from realtime.headless import has_screen

    if microphone is not None and microphone.lower() == "none":
        microphone = "none"
    chosen = {"camera": camera, "microphone": microphone}
    if set(chosen.values()) == {"none"}:
        raise typer.BadParameter(
            "both are switched off, which leaves nothing to go by",
            param_hint="--camera, --microphone",
        )
    with native_chatter_in_file():
        camera, microphone, faults, found = chosen_devices(camera, microphone)
    if chosen["camera"] is None and camera is None and microphone is not None:
        faults.append("no camera was found: only the voice is judged")
    if chosen["microphone"] is None and microphone is None and camera is not None and not faults:
        faults.append("no microphone was found: only the face is judged")
    trouble = "; ".join(faults)
    trouble = trouble[:1].upper() + trouble[1:]
    if trouble:
        typer.echo(f"msaf-live: {trouble}", err=True)
    sessions = _sessions(weights, device, adapt=adapt)
    if camera is None and microphone is None:
        from realtime.sources.base import NoDeviceError

        if any(chosen.values()) or headless or out is not None:
            missing = ", and ".join(
                f"no {kind} was found" if selector is None else f"the {kind} is switched off"
                for kind, selector in chosen.items()
            )
            raise NoDeviceError(
                f"{missing}: plug one in, name a network camera with --camera URL, or replay a "
                "recording (`replay FILE`)"
            )
        told = "No camera or microphone found: this is the demo recording"
        typer.echo(told, err=True)
        notice = [told, trouble, "Connect one, then choose Go live"]
        _replay(sessions, DEMO, seconds=seconds, notice=". ".join(filter(None, notice)))
        return
    required = [kind for kind, selector in chosen.items() if selector not in (None, "none")]
    session = sessions.live(camera, microphone)
    if out is not None:  # a thread of the session's writes it, whether lines are read or not
        sessions.log.open(out, replace=False)
    if not headless and has_screen():
        code = _show(sessions, session, seconds, notice=trouble, found=found)
        sessions.raise_failure()
        raise typer.Exit(code)
    _live_as_text(sessions, session, seconds, required, headless=headless)


def _live_as_text(
    sessions: Sessions,
    session: LiveSession,
    seconds: float | None,
    required: Sequence[str],
    *,
    headless: bool,
) -> None:
    """Answers as lines; `required` names the devices that have to be there."""
    from realtime.headless import Summary, live_predictions

    summary, log = Summary(), sessions.log

    def watch(health: Health) -> None:
        summary.watch(health)
        if log.failure is not None:  # nobody is there to be told and to make room
            raise log.failure

    with (
        native_chatter_in_file(),
        _steps() as steps,
        closing(
            live_predictions(
                session, seconds, required=required, watch=watch, loading=steps.loading
            )
        ) as answers,
    ):

        def written_to_the_end() -> Iterator[str]:
            answers.close()  # which ends the session: nothing more will be written
            written = log.finish()
            if written is not None and summary.answers:
                yield str(written)
            elif written is not None:  # nothing was seen: the next try finds it as this one did
                with suppress(OSError):
                    os.truncate(written.path, 0)

        _report(
            answers,
            steps,
            summary,
            headless=headless,
            endless=seconds is None,
            written=log.path is not None,
            notes=written_to_the_end,
        )
        sessions.raise_failure()  # of the last that was written, too


@app.command("replay")
def replay(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            readable=False,  # not to be looked at: reading it tells
            callback=_with_name,
            help="A recording of any kind.",
            show_default=False,
        ),
    ],
    headless: Headless = False,
    speed: Annotated[
        str | None,
        typer.Option(
            metavar="X|max",
            help="1 is real time, max as fast as it goes; 0.25 to 4 in the window. Else 1, with "
            "--headless max.",
            show_default=False,
        ),
    ] = None,
    out: Out = None,
    adapt: Adapt = True,
    device: DeviceOption = Device.AUTO,
    weights: Weights = None,
    verbose: Verbose = 0,
) -> None:
    """Analyse a recording: in the window, or as JSON lines and tables."""
    address = re.match(r"(https?|rtsps?|file):/", str(file), re.IGNORECASE)
    if address is not None and not file.exists():
        where = "give its path" if address[1].lower() == "file" else "cameras go to `live --camera`"
        raise typer.BadParameter(
            f"is an address, and a recording has to be a file: {where}", param_hint="FILE"
        )
    sessions = _sessions(weights, device, adapt=adapt)
    _replay(sessions, file, headless=headless, speed=speed, out=out)


def _replay(
    sessions: Sessions,
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
    from realtime.headless import has_screen

    if out is not None:
        from realtime.export import spare_recording

        spare_recording(out, file)
    factor = _speed(speed or ("max" if headless else "1"))
    if not headless and has_screen():
        _replay_in_window(sessions, file, factor, out, seconds, notice)
    else:
        _replay_as_text(sessions, file, factor, out, seconds, headless=headless)


def _replay_in_window(
    sessions: Sessions,
    file: Path,
    speed: float | None,
    out: Path | None,
    seconds: float | None,
    notice: str,
) -> None:
    from realtime.export import PredictionWriter
    from realtime.recording.recording import Recording
    from realtime.replay import FASTEST, SLOWEST

    factor = speed or FASTEST
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
        code = _show(sessions, session, seconds, notice=notice)
        if (written := session.written) is not None and written.complete:
            typer.echo(str(written), err=True)
        elif written is not None:
            typer.echo(f"msaf-live: the analysis was not at its end: {written}", err=True)
            code = code or ExitCode.INTERRUPTED
        sessions.raise_failure()
        if code:
            raise typer.Exit(code)  # in here, so that the writer knows that it is not whole


def _replay_as_text(
    sessions: Sessions,
    file: Path,
    speed: float | None,
    out: Path | None,
    seconds: float | None,
    *,
    headless: bool,
) -> None:
    from realtime.analysis import TOO_SHORT, analyse
    from realtime.export import PredictionWriter
    from realtime.headless import Summary, paced
    from realtime.recording.recording import Recording

    with (
        native_chatter_in_file(),
        Recording(file) as recording,
        nullcontext() if out is None else PredictionWriter(out) as writer,
        _steps() as steps,
    ):
        task = sessions.task
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
                yield TOO_SHORT

        with closing(
            analyse(recording, network, task.watch, config=sessions.config)
        ) as predictions:
            _report(
                predictions if speed is None else paced(predictions, speed, seconds),
                steps,
                summary,
                headless=headless,
                writer=writer,
                progress=progress,
                notes=notes,
            )


def _speed(text: str) -> float | None:
    """Factor of real time; None is as fast as it goes."""
    if text.lower() == "max":
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


def _show(
    sessions: Sessions,
    session: LiveSession | ReplaySession,
    seconds: float | None = None,
    *,
    notice: str = "",
    found: Devices | None = None,
) -> int:
    """Run the window until it is closed, or for so many seconds; returns the exit code.

    `found`: the devices that there are, where they are known. Looking again takes seconds where the
    system has no list of cameras.
    """
    from realtime.devices.choice import list_devices
    from realtime.output import log_directory
    from ui.app import run_window
    from ui.main_window import WindowOptions

    known = [] if found is None else [found]
    with native_chatter_in_file(), sessions.log as log:
        code = run_window(
            session,
            sessions,
            list_devices=lambda: known.pop() if known else list_devices(),
            options=WindowOptions(
                version=_version(),
                about=sessions.task.about(),
                labels=sessions.task.labels(),
                modalities=sessions.task.modalities,
                config=sessions.config,
                demo=DEMO,
                notice=notice,
            ),
            log_path=log_directory() / "msaf-live.log",
            seconds=seconds,
        )
        if (written := log.finish()) is not None:
            typer.echo(str(written), err=True)
        return code


def _steps() -> Steps:
    """What the program is at, on standard error."""
    from rich.console import Console

    from realtime.headless import Steps

    return Steps(Console(stderr=True))


def _report(
    predictions: Iterable[Prediction],
    steps: Steps,
    summary: Summary,
    *,
    headless: bool,
    endless: bool = False,
    written: bool = False,
    writer: PredictionWriter | None = None,
    progress: Writer = lambda _prediction: None,
    notes: Callable[[], Iterable[str]] = tuple,
) -> None:
    """Write each answer where it belongs, then the summary; Ctrl-C is how `endless` runs end.

    Answers go to `writer`, or are `written` elsewhere: then they need no reader.
    """
    from rich.console import Console

    from realtime.export import Written
    from realtime.headless import json_writer, report, text_writer

    tell = json_writer(sys.stdout) if headless else text_writer(Console())
    if written or writer is not None:
        tell = _while_it_is_read(tell)
    writers = [tell, progress]
    if writer is not None:  # first: it has what standard output may have no room for
        writers = [writer.write, *writers]
    try:
        report(predictions, writers, summary)
    except KeyboardInterrupt:
        if not endless:
            raise
    finally:
        steps.close()
        told = tuple(notes())
        if summary.answers or told:
            if writer is not None:
                told += (str(Written(path=writer.path, count=writer.count)),)
            Console(stderr=True).print(summary.table(told))


@app.command()
def devices(verbose: Verbose = 0) -> None:
    """List cameras and microphones, and what they can do."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from realtime.devices.choice import list_devices

    with native_chatter_in_file():
        cameras, microphones = list_devices()
    for listing in (cameras, microphones):
        if listing.problem:
            typer.echo(listing.problem, err=True)
    found = [("camera", each) for each in cameras] + [("microphone", each) for each in microphones]
    if not found:
        raise typer.Exit(ExitCode.NO_DEVICE)
    table = Table("kind", "choose it by", "name", "what it can do", box=None, pad_edge=False)
    for kind, each in found:
        table.add_row(kind, str(each.index), Text(each.name), Text(each.details))
    Console().print(table)


@app.command()
def bench(
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    minutes: Annotated[
        float, typer.Option(min=0.1, help="Of the sustained run; 60 is the whole of it.")
    ] = BENCH_MINUTES,
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
        for name, given in (
            ("--minutes", minutes != BENCH_MINUTES),
            ("--no-paper", not paper),
            ("--weights", weights is not None),
        ):
            if given:
                raise typer.BadParameter("--msaf does not measure that", param_hint=name)
        _bench_msaf(device, json=json)
        return
    from models.checkpoint import default_weights
    from realtime import bench as benchmark
    from realtime.headless import has_screen
    from ui.measure import shown_rate

    if not has_screen():
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    sessions = _sessions(weights, device)
    task = sessions.task
    plan = benchmark.Plan(
        demo=DEMO,
        weights=weights or default_weights(),
        task=task,
        minutes=minutes,
        paper_network=paper,
        start_command=(sys.executable, __file__, "replay", str(DEMO), "-v"),
        window_rate=lambda session, seconds: shown_rate(
            session, sessions, seconds, task.labels(), task.modalities
        ),
    )
    with native_chatter_in_file():
        status = Console(stderr=True)
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

    where = torch_device(device)
    with native_chatter_in_file():
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
        typer.Argument(
            metavar="FILE.pth", readable=False, callback=_with_name, help="What torch.save wrote."
        ),
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


def main() -> None:
    """What the command `msaf-live` runs.

    A thread that did not end in time (a driver that blocks, a library that is still being loaded)
    is left, and must not meet the end of the interpreter: most libraries crash there, and so now
    and then does torch where several processes trained together.
    """
    from realtime.output import mend_streams

    mend_streams()
    try:
        app()
    except SystemExit as end:
        for number in (signal.SIGINT, signal.SIGTERM):  # no second one breaks the end off
            signal.signal(number, signal.SIG_IGN)
        left = any(each.daemon for each in threading.enumerate()) or "MASTER_ADDR" in os.environ
        if isinstance(end.code, int) and left:
            logging.shutdown()
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError):
                    stream.flush()
            os._exit(end.code)
        raise


if __name__ == "__main__":
    main()

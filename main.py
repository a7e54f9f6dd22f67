"""MSAF Live's command line: parse, build the parts, hand over.

Nothing heavy is imported before a command needs it, so that --help comes at once.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from realtime.errors import ExitCode, explain

if TYPE_CHECKING:
    from realtime.engine import Engine, Progress
    from realtime.headless import Summary, Writer
    from realtime.messages import Prediction
    from realtime.session import Session

logger = logging.getLogger(__name__)

DEMO = Path(__file__).parent / "realtime" / "data" / "demo.mp4"

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

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a failure becomes one sentence and an exit code."""
        import click

        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, click.exceptions.ClickException):
            raise
        except BrokenPipeError:  # whoever read the answers has gone, as `| head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise typer.Exit(ExitCode.DONE) from None
        except (Exception, KeyboardInterrupt) as error:
            code, sentence = explain(error)
            if code is ExitCode.UNEXPECTED:
                from realtime.output import log_directory

                logger.debug("unexpected failure", exc_info=error)
                sentence += f" (details in {log_directory() / 'msaf-live.log'})"
            typer.echo(f"msaf-live: {sentence}", err=True)
            raise typer.Exit(code) from None


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
app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("msaf-live")
    except PackageNotFoundError:  # run from a clone that was never installed
        import tomllib

        pyproject = tomllib.loads((Path(__file__).parent / "pyproject.toml").read_text())
        number = pyproject["project"]["version"]
    typer.echo(f"msaf-live {number}")
    raise typer.Exit


def _output() -> AbstractContextManager[None]:
    """Answers alone on standard output; libraries that print by themselves go to a file."""
    from realtime.output import native_chatter_in_file

    return native_chatter_in_file()


def _set_up(verbosity: int) -> None:
    """Logs, and SIGTERM as another Ctrl-C: with this every command begins."""
    from realtime.output import set_up_logging

    set_up_logging(verbosity)
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, signal.default_int_handler)


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
DeviceOption = Annotated[
    Device, typer.Option(help="Where the network runs; auto takes a GPU if there is one.")
]
Weights = Annotated[
    Path | None,
    typer.Option(help="Weights to use instead of those that ship.", show_default=False),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder of the data sets; else MSAF_DATA.", show_default=False),
]
WorkDir = Annotated[Path, typer.Option(help="Caches, resumable states and results.")]


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
    device: DeviceOption = Device.AUTO,
    weights: Weights = None,
    verbose: Verbose = 0,
) -> None:
    """Camera and microphone; the demo recording where there is neither."""
    from realtime.headless import has_screen, live_predictions

    chosen = camera is not None or microphone is not None
    camera, microphone = _devices(camera, microphone)
    if camera is None and microphone is None:
        from realtime.sources.base import NoDeviceError

        if chosen or headless:
            raise NoDeviceError("there is neither a camera nor a microphone to listen to")
        typer.echo("No camera and no microphone here: showing the demo recording.", err=True)
        replay(DEMO, device=device, weights=weights)
        return
    from realtime.live import LiveSession

    session = LiveSession(_engine(weights, device), camera=camera, microphone=microphone)
    if not headless and has_screen():
        _show(session, seconds)
        return
    _check_weights(weights)
    with _output(), closing(live_predictions(session, seconds)) as predictions:
        _report(predictions, headless=headless, endless=seconds is None)


@app.command("replay")
def replay(
    file: Annotated[Path, typer.Argument(help="A recording, of any kind.", show_default=False)],
    headless: Headless = False,
    speed: Annotated[
        str | None,
        typer.Option(
            metavar="X|max",
            help="1 is real time, max as fast as it goes.",
            show_default="1; max with --headless",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv|FILE.jsonl",
            help="Write the answers to this file too (without a window).",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = Device.AUTO,
    weights: Weights = None,
    verbose: Verbose = 0,
) -> None:
    """A recording, through the very same path."""
    from realtime.headless import has_screen, paced

    factor = _speed(speed or ("max" if headless else "1"))
    window = not headless and has_screen()
    if out is not None and (window or out.suffix.lower() not in (".csv", ".jsonl")):
        raise typer.BadParameter(
            "needs --headless (the window has its own export)"
            if window
            else f"must end in .csv or .jsonl, not {out.suffix or 'nothing'!r}",
            param_hint="--out",
        )
    if window:
        from realtime.replay import FASTEST, ReplaySession

        session = ReplaySession(file, _engine(weights, device))
        session.set_speed(factor or FASTEST)
        _show(session, None)
        return
    from realtime.replay import analyse
    from realtime.sources.file import Recording

    _check_weights(weights)
    with _output(), Recording(file) as recording:
        engine = _engine(weights, device)(lambda _fraction, _text: None)
        predictions: Iterable[Prediction] = analyse(recording, engine)
        if factor is not None:
            predictions = paced(predictions, factor)
        _report(predictions, headless=headless, out=out, notes=lambda: recording.notes)


def _devices(camera: str | None, microphone: str | None) -> tuple[str | None, str | None]:
    """Selectors of what to open; what nobody chose is taken if there is one, "none" is none."""
    from realtime.sources.camera import list_cameras
    from realtime.sources.microphone import list_microphones

    if camera is None and (cameras := list_cameras()):
        camera = cameras[0].selector
    if microphone is None and list_microphones():
        microphone = "default"
    return (None if camera == "none" else camera), (None if microphone == "none" else microphone)


def _speed(text: str) -> float | None:
    """Factor of real time; None is as fast as it goes."""
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0.0 < factor < float("inf"):
        raise typer.BadParameter(f"must be a positive number or max, not {text!r}")
    return factor


def _engine(weights: Path | None, device: Device) -> Callable[[Progress], Engine]:
    """What loads the network, once it is asked to."""

    def load(progress: Progress) -> Engine:
        from models.checkpoint import default_weights
        from realtime.engine import load_engine

        return load_engine(weights or default_weights(), device=device.value, progress=progress)

    return load


def _check_weights(weights: Path | None) -> None:
    """Fail before any device is opened; raises CheckpointError."""
    from models.checkpoint import default_weights, read_checkpoint

    read_checkpoint(weights or default_weights())


def _show(session: Session, seconds: float | None) -> None:
    """Run the window until it is closed, or for so many seconds."""
    from ui.app import run

    raise typer.Exit(run(session, seconds=seconds))


def _report(
    predictions: Iterable[Prediction],
    *,
    headless: bool,
    endless: bool = False,
    out: Path | None = None,
    notes: Callable[[], Iterable[str]] = tuple,
) -> None:
    """Write each answer where it belongs, then the summary; Ctrl-C is how `endless` runs end."""
    from rich.console import Console

    from realtime.headless import Summary, counted, json_writer, text_writer

    summary = Summary()
    write: Writer = json_writer(sys.stdout) if headless else text_writer(Console())
    answers = counted(predictions, write, summary)
    try:
        if out is None:
            for _ in answers:
                pass
        else:
            from realtime.export import write_predictions

            write_predictions(out, answers)
    except KeyboardInterrupt:
        if not endless:
            raise
    finally:
        Console(stderr=True).print(summary.table(notes()))


@app.command()
def devices(verbose: Verbose = 0) -> None:
    """List cameras and microphones, and what they can do."""
    from rich.console import Console
    from rich.table import Table

    from realtime.sources.camera import list_cameras
    from realtime.sources.microphone import list_microphones

    with _output():
        found = [("camera", each) for each in list_cameras()]
        found += [("microphone", each) for each in list_microphones()]
    if not found:
        from realtime.sources.base import NoDeviceError

        raise NoDeviceError("no camera and no microphone was found")
    table = Table("kind", "choose it by", "name", "what it can do", box=None, pad_edge=False)
    for kind, each in found:
        table.add_row(kind, each.selector, each.name, each.details)
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
    device: DeviceOption = Device.AUTO,
    weights: Weights = None,
    verbose: Verbose = 0,
) -> None:
    """Measure every budget on this machine, on generated input."""
    import json as encoder

    from rich.console import Console

    from models.checkpoint import default_weights
    from realtime import bench as benchmark

    _check_weights(weights)
    plan = benchmark.Plan(
        demo=DEMO,
        weights=weights or default_weights(),
        load_engine=_engine(weights, device),
        minutes=minutes,
        paper_network=paper,
        start_command=(sys.executable, __file__, "live", "-v", "--camera", "none"),
    )
    with _output():
        status = Console(stderr=True)
        result = benchmark.run(plan, lambda text: status.print(f"measuring: {text}", style="dim"))
        if json:
            typer.echo(encoder.dumps(result.as_json(), indent=2, allow_nan=False))
        else:
            result.show(Console())
    if not result.passed:
        raise typer.Exit(ExitCode.BUDGET_MISSED)


if __name__ == "__main__":
    app()

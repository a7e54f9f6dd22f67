"""MSAF Live's command line: parse, build the parts, hand over.

Nothing heavy is imported before a command needs it, so that --help comes at once.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from realtime.errors import ExitCode, explain

if TYPE_CHECKING:
    from realtime.engine import Engine, Progress
    from realtime.messages import Prediction
    from realtime.session import Session

logger = logging.getLogger(__name__)

DEMO = Path(__file__).parent / "realtime" / "data" / "demo.mp4"

EPILOG = "\n\n".join(
    (
        "[bold]Examples[/bold]",
        "[cyan]python main.py[/cyan]  the window on camera and microphone",
        "[cyan]python main.py live --camera http://192.168.1.20:8080/video[/cyan]  an IP camera",
        "[cyan]python main.py live --headless --seconds 60 > answers.jsonl[/cyan]  a minute of answers",
        "[cyan]python main.py replay talk.mp4[/cyan]  a recording in the window",
        "[cyan]python main.py replay talk.mp4 --headless --speed max --out talk.csv[/cyan]  "
        "a recording as a table",
        "[bold]Exit codes[/bold]",
        *(f"{code:d}  {code.meaning}" for code in ExitCode),
    )
)


class Device(StrEnum):
    """Where the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Program(TyperGroup):
    """`live` where no command is named, and one place where failures become exit codes."""

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
    epilog=EPILOG,
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
        typer.Option(min=0.1, help="End after so many seconds.", show_default=False),
    ] = None,
    device: DeviceOption = Device.AUTO,
    weights: Weights = None,
    verbose: Verbose = 0,
) -> None:
    """Camera and microphone; the demo recording where there is neither."""
    raise SystemExit


if __name__ == "__main__":
    app()

"""Options that commands of several files have, and what commands get of the program around them.

Nothing heavy is imported before it is needed, so that --help comes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

if TYPE_CHECKING:
    import torch

    from models.training.paper.ravdess import FaceFinder


Function = TypeVar("Function", bound=Callable[..., Any])


def _as_typed(params: Iterable[Any]) -> list[Any]:
    """`params` without a value behind those that take none, which typer shows in help."""
    params = list(params)
    for each in params:
        if isinstance(each, TyperOption) and (each.is_flag or each.count):
            each.metavar = ""
    return params


def _plainly(error: Any) -> str:
    """What is wrong with an argument; of numbers and choices typer has the words of pydantic."""
    cause: Any = error.__cause__
    fault = cause.errors()[0] if hasattr(cause, "errors") else None
    if fault is not None and fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    if fault is None or not fault["type"].startswith(("int", "float", "greater", "less")):
        return str(error.message)
    low, high = error.param.min, error.param.max
    whole = fault["type"].startswith("int") or isinstance(low, int)
    limits = "" if low is None else f" of {low} or more"
    if high is not None:
        limits = f" from {low} to {high}"
    return f"must be a {'whole ' * whole}number{limits}, not {fault['input']!r}"


class PlainCommand(TyperCommand):
    """A command whose help shows options and arguments as they are to be typed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See click's Command.parse_args."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = _plainly(error)
            raise

    def get_params(self, ctx: Any) -> list[Any]:
        """See click's Command.get_params."""
        return _as_typed(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """See click's Command.collect_usage_pieces; typer's braces are not typed."""
        return [each.strip("{}") for each in super().collect_usage_pieces(ctx)]


class PlainGroup(TyperGroup):
    """Commands under one name, with such help."""

    def get_params(self, ctx: Any) -> list[Any]:
        """See click's Command.get_params."""
        return _as_typed(super().get_params(ctx))


class Commands(typer.Typer):
    """typer's, with such help for every command."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"cls": PlainGroup, **options})

    def command(self, *args: Any, **options: Any) -> Callable[[Function], Function]:
        """See Typer.command."""
        return super().command(*args, **{"cls": PlainCommand, **options})


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the program does for its commands, which find this as `typer.Context.obj`."""

    begin: Callable[[int], None]  # told how much to log; every command begins with it
    output: Callable[[], AbstractContextManager[None]]  # meanwhile libraries print to a file
    face_finder: Callable[[], FaceFinder]


def _begin(ctx: typer.Context, verbosity: int) -> int:
    host: Host = ctx.obj
    host.begin(verbosity)
    return verbosity


class Device(StrEnum):
    """Where the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


Verbose = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        callback=_begin,
        help="Log more to standard error; twice for all.",
        show_default=False,
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


def torch_device(device: Device) -> torch.device:
    """What torch calls it; raises typer.BadParameter for a GPU that is not there."""
    import torch

    if device is Device.AUTO:
        device = Device.CUDA if torch.cuda.is_available() else Device.CPU
    if device is Device.CUDA and not torch.cuda.is_available():
        raise typer.BadParameter("torch sees no CUDA GPU here", param_hint="--device")
    return torch.device(device.value)

"""Settings of a training run, read from TOML into frozen dataclasses.

Thread: any.
"""

from __future__ import annotations

import difflib
import math
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar


class RecipeError(ValueError):
    """A setting does not fit, or with it training diverges; the message names it."""


class StageError(RuntimeError):
    """A stage needs another that has not been trained."""


def check_seed(seed: int) -> None:
    """ValueError where one of the generators does not take `seed`."""
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be 0 to {2**32 - 1}, not {seed}")


Settings = TypeVar("Settings")


def read_settings(owner: type[Settings], path: Path) -> Settings:
    """Make the dataclass `owner` from a TOML file; what is not named keeps its default.

    Raises
    ------
    RecipeError
        Not readable, no TOML, or a setting that is unknown, of the wrong kind or out of range.
    """
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except UnicodeDecodeError:
        raise RecipeError(f"{path} is no text in UTF-8, as TOML must be") from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path}: {error}") from None
    try:
        return _build(owner(), table, "")
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from None


def _build(default: Settings, table: Mapping[str, Any], where: str) -> Settings:
    """`default` with what a TOML table names, names and types checked."""
    hints = typing.get_type_hints(type(default))
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{where}{key}"
        if key not in hints:
            close = difflib.get_close_matches(key, hints, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise RecipeError(f"unknown setting {name} = {value!r}{hint}")
        own = getattr(default, key)
        if is_dataclass(own) and isinstance(value, dict):
            values[key] = _build(own, value, f"{name}.")
        else:
            values[key] = _convert(hints[key], value, name)
    try:
        return replace(default, **values)  # type: ignore[type-var]
    except ValueError as error:
        raise RecipeError(f"[{where.rstrip('.') or 'top'}] {error}") from None


def _convert(kind: Any, value: Any, name: str) -> Any:
    if is_dataclass(kind):
        raise RecipeError(f"{name} must be a table, not {value!r}")
    origin = typing.get_origin(kind)
    if origin is tuple and isinstance(value, list):
        inner = typing.get_args(kind)
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
        if len(kinds) != len(value):
            raise RecipeError(f"{name} takes {len(kinds)} values, not {value!r}")
        return tuple(_convert(one, item, name) for one, item in zip(kinds, value, strict=True))
    if isinstance(kind, type) and issubclass(kind, Enum) and value in list(kind):
        return kind(value)
    accepted = typing.get_args(kind) if origin in (typing.Union, types.UnionType) else (kind,)
    if float in accepted and type(value) is int:
        return float(value)
    if type(value) is float and not math.isfinite(value):
        raise RecipeError(f"{name} must be a finite number, not {value}")
    if type(value) not in accepted:
        expected = " or ".join(getattr(one, "__name__", str(one)) for one in accepted)
        raise RecipeError(f"{name} = {value!r} is not {expected}")
    return value

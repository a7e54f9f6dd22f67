"""What the data sets' own folders have in common: samples, folds and their errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.training.data import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Who is learned from, who chooses the epoch, and who is scored; by number of sample."""

    name: str  # also of its folder
    train: tuple[int, ...]
    choose: tuple[int, ...]
    test: tuple[int, ...]
    people: str  # who that is, for the report


def existing(root: Path, what: str) -> Path:
    """`root`, or a sentence that says which data set is missing."""
    if not root.is_dir():
        raise DataError(f"{root} is no folder: --root names the one that holds {what}")
    return root


def indices(flags: Sequence[bool]) -> tuple[int, ...]:
    """Where `flags` are true."""
    return tuple(number for number, flag in enumerate(flags) if flag)

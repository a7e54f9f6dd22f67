"""Prepared samples are kept in the work folder, one file each.

A file appears whole or not at all, so preparation that was killed goes on where it was. Damaged
sources do not stop the others: they are all named at the end. Threads: a few workers, joined before
the function returns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.files import written_whole
from models.training.data import DataError, read_archive
from models.training.loop import progress_bar

Arrays = dict[str, NDArray[Any]]

_SHOWN: Final = 3  # problems that are told in full


def prepared_folder(work_dir: Path, name: str, settings: object) -> Path:
    """Where samples that were prepared with these settings are kept."""
    digest = hashlib.sha256(repr(settings).encode()).hexdigest()[:12]
    return work_dir / "prepared" / f"{name}-{digest}"


def sample_key(name: str, *sources: Path | None) -> str:
    """What a prepared sample is called: another one when its files have changed their size."""
    sizes = repr([None if source is None else source.stat().st_size for source in sources])
    return f"{name}-{hashlib.sha256(sizes.encode()).hexdigest()[:8]}"


def prepare(
    name: str, folder: Path, makers: Mapping[str, Callable[[], Arrays]], workers: int
) -> None:
    """Make what is not there yet; a maker is called for each key that has no file.

    Raises
    ------
    DataError
        Some sources cannot be used; each is told with its key. All others are prepared by then.
    """
    waiting = unprepared(folder, makers)
    if not waiting:
        return
    folder.mkdir(parents=True, exist_ok=True)
    problems: dict[str, str] = {}
    with progress_bar() as progress, ThreadPoolExecutor(workers, "prepare") as pool:
        done = len(makers) - len(waiting)
        bar = progress.add_task(f"preparing {name}", total=len(makers), completed=done, note="")
        futures = {pool.submit(_make, folder, key, makers[key]): key for key in waiting}
        try:
            for future in as_completed(futures):
                try:
                    future.result()
                except DataError as error:
                    problems[futures[future]] = str(error)
                note = f"{len(problems)} unusable" if problems else ""
                progress.update(bar, advance=1, note=note)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if problems:
        told = [f"{key}: {problem}" for key, problem in sorted(problems.items())]
        more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        raise DataError(
            f"{len(told)} of {len(makers)} samples of {name} cannot be used: "
            + "; ".join(told[:_SHOWN])
            + more
            + ". Get them again or move them away; what is prepared is kept."
        )


def unprepared(folder: Path, keys: Iterable[str]) -> list[str]:
    """Those of `keys` that have no file yet."""
    return [key for key in keys if not _path(folder, key).exists()]


def load(folder: Path, key: str) -> Arrays:
    """One prepared sample."""
    return read_archive(
        _path(folder, key),
        remedy="it was prepared earlier; delete it, and the same command makes it anew",
    )


def _path(folder: Path, key: str) -> Path:
    return folder / f"{key}.npz"


def _make(folder: Path, key: str, maker: Callable[[], Arrays]) -> None:
    arrays = maker()
    with written_whole(_path(folder, key)) as file:
        np.savez(file, **arrays)

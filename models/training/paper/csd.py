"""Computational sequences (.csd), the HDF5 files in which the CMU multimodal SDK gives features.

    <root name>/data/<video>/features    (n, d) numbers, or (n, 1) words as bytes
                            /intervals   (n, 2) begin and end in seconds from the video's start
               /metadata/…

Parts of a video may be kept as <video>[0], <video>[1], …; they are put together again. Thread: one
file belongs to one thread at a time.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.arrays import FloatArray
from models.training.data import DataError

SHORTEST: float = 1e-5
"""s; what overlaps by less does not overlap, as in the SDK."""


class Sequence(NamedTuple):
    """What one file says about one video, in order of time."""

    features: NDArray[Any]  # (n, d)
    intervals: NDArray[np.float64]  # (n, 2) s


class ComputationalSequence:
    """One .csd file, open for reading; `width` numbers per entry, None is any."""

    def __init__(self, path: Path, width: int | None = None) -> None:
        try:
            import h5py
        except ModuleNotFoundError:
            raise DataError("reading .csd files needs h5py: python -m pip install h5py") from None
        self.path = path
        self._width = width
        self._lock = threading.Lock()  # h5py's own handles are shared by the workers
        try:
            self._file = h5py.File(path, "r")
        except FileNotFoundError:
            raise DataError(f"training data not found: {path}") from None
        except OSError as error:
            raise DataError(f"{path} is damaged or no computational sequence: {error}") from None
        try:
            (root,) = self._file.keys()
            self._data = self._file[root]["data"]
            names = list(self._data.keys())
        except (KeyError, ValueError, TypeError, RuntimeError, OSError, AttributeError):
            self._file.close()
            raise DataError(
                f"{path} is no computational sequence: it has no group <name>/data"
            ) from None
        self._parts: dict[str, list[str]] = {}
        for name in names:
            self._parts.setdefault(name.split("[")[0], []).append(name)

    @property
    def videos(self) -> frozenset[str]:
        """Videos that the file says something about."""
        return frozenset(self._parts)

    def read(self, video: str) -> Sequence:
        """Everything about one video.

        Raises
        ------
        DataError
            Shapes do not fit one another or the file is damaged there.
        """
        parts = []
        try:
            with self._lock:
                for name in self._parts[video]:
                    entry = self._data[name]
                    parts.append((entry["features"][()], entry["intervals"][()]))
        except (KeyError, ValueError, OSError, RuntimeError, TypeError) as error:
            raise DataError(f"{self.path}: video {video} cannot be read: {error}") from None
        for features, intervals in parts:
            if (
                features.ndim != 2
                or intervals.shape != (len(features), 2)
                or (self._width is not None and features.shape[1] != self._width)
            ):
                raise DataError(
                    f"{self.path}: video {video} has features {features.shape} and intervals "
                    f"{intervals.shape}; expected (n, {self._width or 'd'}) and (n, 2)"
                )
        features = np.concatenate([part[0] for part in parts])
        intervals = np.concatenate([part[1] for part in parts]).astype(np.float64)
        order = np.argsort(intervals[:, 0], kind="stable")
        return Sequence(features[order], intervals[order])

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def overlapping(intervals: NDArray[np.float64], begin: float, end: float) -> NDArray[np.bool_]:
    """Which of `intervals` (n, 2) share more than an instant with [begin, end): (n,)."""
    shared = np.minimum(intervals[:, 1], end) - np.maximum(intervals[:, 0], begin)
    return np.asarray(shared > SHORTEST)


def averages(sequence: Sequence, spans: NDArray[np.float64]) -> FloatArray:
    """Mean feature over each span.

    Parameters
    ----------
    spans
        (n, 2) s: words, say.

    Returns
    -------
    (n, d), NaN where a span overlaps no finite number (COVAREP has some that are not).
    """
    features = sequence.features.astype(np.float64)
    known = np.isfinite(features)
    features = np.where(known, features, 0.0)
    means = np.full((len(spans), features.shape[1]), np.nan, np.float32)
    # Entries are sorted by their beginning: only those that begin before a span ends can overlap.
    until = np.searchsorted(sequence.intervals[:, 0], spans[:, 1])
    longest = float((sequence.intervals[:, 1] - sequence.intervals[:, 0]).max(initial=0.0))
    since = np.searchsorted(sequence.intervals[:, 0], spans[:, 0] - longest)
    for row, (begin, end) in enumerate(spans):
        near = slice(since[row], until[row])
        chosen = overlapping(sequence.intervals[near], begin, end)
        total = features[near][chosen].sum(axis=0)
        count = known[near][chosen].sum(axis=0)
        np.divide(total, count, out=means[row], where=count > 0, casting="same_kind")
    return means

"""The predictions so far, laid out over time for the timeline.

Thread: GUI. Times are seconds, as in the predictions.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.arrays import FloatArray
from realtime.messages import Prediction

NOT_SURE: Final = -1
NOTHING: Final = -2
_HOLD_SECONDS: Final = 0.5  # a prediction stands for at most this long before its window's end


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The track sampled at evenly spaced times."""

    smoothed: FloatArray  # (columns, classes); NaN where there is nothing to show
    labels: NDArray[np.int8]  # (columns,) class of the label, NOT_SURE or NOTHING


class Stretch(NamedTuple):
    """A time throughout which the label was the same."""

    label: int  # class of the label, or NOT_SURE
    start: float  # s
    end: float


class AnswerTrack:
    """Keeps of every prediction what the timeline draws; live, only the last `keep_seconds`."""

    def __init__(self, labels: tuple[str, ...], keep_seconds: float | None = None) -> None:
        self.labels = labels
        self._keep_seconds = keep_seconds
        self._ends: list[float] = []
        self._label_indices: list[int] = []
        self._smoothed: list[FloatArray] = []
        self.stretches: list[Stretch] = []  # in time order

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def begin(self) -> float:
        """Where the oldest kept prediction begins to stand, 0 when there is none."""
        return self._ends[0] - _HOLD_SECONDS if self._ends else 0.0

    @property
    def end(self) -> float:
        """End of the newest window, 0 when there is none."""
        return self._ends[-1] if self._ends else 0.0

    def extend(self, predictions: Iterable[Prediction]) -> None:
        """Append `predictions`, which come in time order."""
        nothing = np.full(len(self.labels), np.nan, dtype=np.float32)
        for prediction in predictions:
            label = prediction.label
            index = NOT_SURE if label is None else self.labels.index(label)
            self._lengthen(index, prediction.window_end)
            self._ends.append(prediction.window_end)
            self._label_indices.append(index)
            self._smoothed.append(nothing if prediction.smoothed is None else prediction.smoothed)
        if self._ends and self._keep_seconds is not None:
            old = bisect_left(self._ends, self.end - self._keep_seconds - 1.0)
            del self._ends[:old], self._label_indices[:old], self._smoothed[:old]
            while self.stretches[0].end < self.end - self._keep_seconds:
                del self.stretches[0]

    def _lengthen(self, label: int, end: float) -> None:
        """Let the last stretch go on to `end`, or begin another one."""
        # The first one stands from the beginning, if it comes that early.
        begins = self.end if end - self.end <= _HOLD_SECONDS else end
        last = self.stretches[-1] if self.stretches else None
        if last is not None and last.label == label and last.end == begins:
            self.stretches[-1] = last._replace(end=end)
        else:
            self.stretches.append(Stretch(label, begins, end))

    def label_shares(self) -> tuple[float, ...]:
        """Part of the time, 0..1, that each class was the label, in order; all 0 without time."""
        seconds = [0.0] * len(self.labels)
        for stretch in self.stretches:
            if stretch.label != NOT_SURE:
                seconds[stretch.label] += stretch.end - stretch.start
        whole = sum(stretch.end - stretch.start for stretch in self.stretches)
        return tuple(each / whole if whole > 0.0 else 0.0 for each in seconds)

    def label_at(self, seconds: float) -> int:
        """Class of the label at that time, NOT_SURE or NOTHING."""
        index = bisect_left(self._ends, seconds)
        if index == len(self._ends) or self._ends[index] - seconds > _HOLD_SECONDS:
            return NOTHING
        return self._label_indices[index]

    def columns(self, start: float, end: float, count: int) -> Columns:
        """`count` samples in the middle of equal parts of [start, end)."""
        times = start + (np.arange(count) + 0.5) * (end - start) / count
        smoothed = np.full((count, len(self.labels)), np.nan, dtype=np.float32)
        labels = np.full(count, NOTHING, dtype=np.int8)
        if self._ends:
            ends = np.asarray(self._ends)
            found = np.minimum(np.searchsorted(ends, times), len(ends) - 1)
            ahead = ends[found] - times
            known = (ahead >= 0.0) & (ahead <= _HOLD_SECONDS)
            if known.any():
                after = found[known]
                labels[known] = [self._label_indices[index] for index in after.tolist()]
                smoothed[known] = self._between(ends, after, times[known])
        return Columns(smoothed, labels)

    def _between(
        self, ends: NDArray[np.float64], after: NDArray[np.intp], times: NDArray[np.float64]
    ) -> FloatArray:
        """Probabilities at `times`, each of which lies just before the prediction `after`."""
        before = np.maximum(after - 1, 0)
        later = np.stack([self._smoothed[index] for index in after.tolist()])
        earlier = np.stack([self._smoothed[index] for index in before.tolist()])
        gap = ends[after] - ends[before]
        usable = (gap > 0.0) & (gap <= _HOLD_SECONDS) & np.isfinite(earlier).all(axis=1)
        weight = np.where(usable, (ends[after] - times) / np.where(usable, gap, 1.0), 0.0)[:, None]
        mixed = (1.0 - weight) * later + weight * np.where(usable[:, None], earlier, 0.0)
        return np.asarray(mixed, dtype=np.float32)


def runs(labels: NDArray[np.int8]) -> list[tuple[int, int, int]]:
    """Runs of equal labels as (label, first column, column after the last)."""
    edges = np.flatnonzero(np.diff(labels)) + 1
    starts = [0, *edges.tolist()]
    ends = [*edges.tolist(), len(labels)]
    return [(int(labels[start]), start, end) for start, end in zip(starts, ends, strict=True)]

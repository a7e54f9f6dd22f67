"""Probabilities over time → a label that does not flicker.

Pure: state and arithmetic, no clock; time is the windows' own. Thread: worker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from models.arrays import FloatArray
from realtime.config import SmoothingConfig


@dataclass(frozen=True, slots=True, eq=False)
class Smoothed:
    """The steady answer after one more window."""

    probabilities: FloatArray  # (n_classes,) exponential average
    label: int | None  # index of the class, None for "not sure"


class Smoother:
    """Exponential average by seconds, then hysteresis on the label.

    A new label must lead the shown one by a margin for a while, or by a lot; a label appears at one
    probability and goes at a lower one.
    """

    def __init__(self, config: SmoothingConfig) -> None:
        self._config = config
        self.reset()

    def reset(self) -> None:
        """Forget the past: nothing was there to average over."""
        self._average: FloatArray | None = None
        self._time = 0.0
        self._label: int | None = None
        self._challenger: int | None = None
        self._challenged_at = 0.0

    def update(self, time: float, probabilities: FloatArray) -> Smoothed:
        """Take in the probabilities (n_classes,) of the window that ends at `time` seconds."""
        config = self._config
        if self._average is None or config.decay_seconds == 0:
            self._average = probabilities.astype(np.float32)
        else:
            keep = math.exp(-max(time - self._time, 0.0) / config.decay_seconds)
            self._average = (keep * self._average + (1 - keep) * probabilities).astype(np.float32)
        self._time = time
        average = self._average
        best = int(average.argmax())
        is_sure = average[best] >= config.sure
        if self._label is not None and average[self._label] < config.unsure and not is_sure:
            self._label = None
        if self._label is None:
            if is_sure:
                self._label, self._challenger = best, None
        elif (lead := average[best] - average[self._label]) < config.switch_margin:
            self._challenger = None
        else:
            if best != self._challenger:
                self._challenger, self._challenged_at = best, time
            lasted = time - self._challenged_at >= config.switch_seconds - 1e-9
            if lasted or lead >= config.switch_at_once:
                self._label, self._challenger = best, None
        return Smoothed(average, self._label)

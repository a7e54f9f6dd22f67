"""What one speaker's voice has of its own, learned while it speaks and without labels.

A voice that is bright or hoarse by nature looks like an emotion to a network that never heard it.
Each window tells how its frames, on average over the moments that the network leaned on, differ
from the mean of the classes, as probable as the answer makes each (`FusionOutput.voice_residual`).
What is left over when the emotion is accounted for is the speaker's; its mean over many windows is
taken off the frames of the next. Speaker normalisation in feature space, with the answer's
probabilities in the place of the neutral speech that Busso et al. (2013, "Iterative feature
normalization scheme for automatic emotion detection from speech") look for.

Numpy only: the live program and the evaluation use the same. Belongs to one thread.
"""

from __future__ import annotations

import numpy as np

from models.arrays import FloatArray


class SpeakerOffset:
    """A running estimate of an offset: cautious at first, slowly forgetting.

    The mean of residuals under a prior of 0 that weighs as much as `prior_windows` of them, each
    counting less and less, by 1/e after `memory_windows` more.
    """

    def __init__(
        self, shape: int | tuple[int, ...], *, prior_windows: float, memory_windows: float
    ) -> None:
        """`shape` of a residual: (channels,), or (speakers, channels) for several side by side."""
        self._prior, self._memory = prior_windows, memory_windows
        self._sum: FloatArray = np.zeros(shape, np.float32)
        self.windows = 0.0
        """How many windows of speech the estimate rests on."""

    @property
    def value(self) -> FloatArray:
        """The offset, of the shape of a residual; 0 where nothing was heard."""
        estimate: FloatArray = self._sum / np.float32(self._prior + self.windows)
        return estimate

    def hear(self, residual: FloatArray, windows: float = 1.0) -> None:
        """Take in a residual that stands for so many windows of speech (overlapping ones: less).

        One that is not finite is passed over: it would stay in the estimate for good.
        """
        if not np.isfinite(residual).all():
            return
        kept = max(0.0, 1.0 - windows / self._memory)
        self._sum = (kept * self._sum + windows * residual).astype(np.float32)
        self.windows = kept * self.windows + windows

    def forget(self) -> None:
        """Somebody else may speak next."""
        self._sum = np.zeros_like(self._sum)
        self.windows = 0.0

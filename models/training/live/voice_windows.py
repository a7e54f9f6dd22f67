"""Windows of speech that a voice network learns from, and those that it is scored on.

Shapes: B batch. A window is a log-mel spectrogram, (80, frames) at 10 ms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.arrays import FloatArray, IntArray
from models.labels import EMOTIONS
from models.mel import HOP, SAMPLE_RATE, log_mel
from models.training.augment_audio import augment_audio, centred_window, random_window
from models.training.data import VoiceClip
from models.training.live.voice_settings import VoiceStageConfig
from models.training.loop import content_digest


@dataclass(frozen=True, slots=True, eq=False)
class VoiceEvaluation:
    """Clips of some actors as the network is scored on them: speech in the middle of a window."""

    mels: Tensor  # (n, 80, frames)
    labels: IntArray  # (n,) index into EMOTIONS
    actors: IntArray  # (n,)
    source: str  # digest of the clips

    @classmethod
    def of(cls, clips: Sequence[VoiceClip], window_seconds: float = 3.0) -> VoiceEvaluation:
        """Cut the windows out of `clips`."""
        count = round(window_seconds * SAMPLE_RATE)
        windows = np.stack([centred_window(clip.samples, count) for clip in clips])
        return cls(
            mels=torch.from_numpy(log_mel(windows)),
            labels=np.array([clip.label for clip in clips]),
            actors=np.array([clip.actor for clip in clips]),
            source=content_digest(*clips),
        )


class VoiceEpoch:
    """Augmented batches of one epoch, (mels (B, 80, frames), targets (B, classes)); seeded."""

    def __init__(
        self, clips: Sequence[VoiceClip], config: VoiceStageConfig, seed: tuple[int, int]
    ) -> None:
        self._clips, self._config = clips, config
        self._classes = np.eye(len(EMOTIONS), dtype=np.float32)
        self._rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return math.ceil(len(self._clips) / self._config.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        config, rng = self._config, self._rng
        for rows in np.array_split(rng.permutation(len(self._clips)), len(self)):
            seconds = config.window_seconds
            if rng.random() < config.short_batches:
                seconds = rng.uniform(config.shortest_seconds, seconds)
            batch = [self._clips[row] for row in rows]
            mels = augmented_mels(batch, self._clips, seconds, config, rng)
            targets = self._classes[[self._clips[row].label for row in rows]]
            if rng.random() < config.mixup:
                share, other = np.float32(rng.beta(0.4, 0.4)), rng.permutation(len(rows))
                mels = share * mels + (1 - share) * mels[other]
                targets = share * targets + (1 - share) * targets[other]
            yield torch.from_numpy(mels), torch.from_numpy(targets)


def augmented_mels(
    clips: Sequence[VoiceClip],
    everybody: Sequence[VoiceClip],
    seconds: float,
    config: VoiceStageConfig,
    rng: np.random.Generator,
) -> FloatArray:
    """One augmented random window of each clip, some bins and frames masked, (B, 80, frames).

    Who murmurs behind a clip is drawn from `everybody`, the clip's own actor apart: clips that are
    read one after the other are of one class, and would tell it.
    """
    count = round(seconds * SAMPLE_RATE / HOP) * HOP
    windows = []
    for clip in clips:
        others = [other.samples for other in everybody if other.actor != clip.actor]
        babble = [others[index] for index in rng.integers(len(others), size=3)] if others else []
        samples = augment_audio(clip.samples, rng, babble=babble, config=config.augmentation)
        windows.append(random_window(samples, count, rng))
    mels = log_mel(np.stack(windows))
    for mel in mels:
        mean = mel.mean()
        for _ in range(rng.integers(3)):
            width = rng.integers(config.mask_bins + 1)
            start = rng.integers(mel.shape[0] - width + 1)
            mel[start : start + width] = mean
        for _ in range(rng.integers(3)):
            width = rng.integers(min(config.mask_frames, mel.shape[1] // 4) + 1)
            start = rng.integers(mel.shape[1] - width + 1)
            mel[:, start : start + width] = mean
    return mels

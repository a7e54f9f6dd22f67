"""Settings of the voice stage; `[voice]` in the recipe file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from models.config import check_positive, check_range
from models.mel import MELS
from models.training.augment_audio import AudioAugmentation


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceStageConfig:
    """How the voice stage is trained."""

    initial: str = "whisper"  # or "random"
    window_seconds: float = 3.0
    shortest_seconds: float = 1.5  # of the shorter windows that some batches hold
    short_batches: float = 0.5  # part of the batches with shorter windows
    batch_size: int = 16
    dropout: float = 0.3
    label_smoothing: float = 0.1
    augmentation: AudioAugmentation = field(default_factory=AudioAugmentation)
    mask_bins: int = 12  # of the log-mel, the most that one mask covers
    mask_frames: int = 25
    mixup: float = 0.3  # part of the batches in which pairs of windows are blended
    weight_decay: float = 0.05
    frozen_variants: int = 2  # augmented windows of each clip
    frozen_epochs: int = 12
    frozen_learning_rate: float = 2e-3
    epochs: int = 16
    encoder_learning_rate: float = 1e-4  # of the last layer
    layer_decay: float = 0.75  # of the learning rate, from each layer to the one below
    head_learning_rate: float = 5e-4
    warm_up_epochs: float = 1.0

    def __post_init__(self) -> None:
        if self.initial not in ("whisper", "random"):
            raise ValueError(f"initial must be 'whisper' or 'random', not {self.initial!r}")
        if not 0.5 <= self.shortest_seconds <= self.window_seconds:
            raise ValueError(
                f"shortest_seconds must lie between 0.5 and window_seconds "
                f"({self.window_seconds}), not {self.shortest_seconds}"
            )
        check_positive(self, "batch_size", "frozen_variants", "frozen_epochs", "epochs")
        check_range(self, 0, 1, "short_batches", "dropout", "label_smoothing", "mixup")
        check_range(self, 0, 1, "layer_decay")
        check_range(self, 0, MELS, "mask_bins")
        check_range(self, 0, math.inf, "mask_frames", "weight_decay", "warm_up_epochs")
        rates = ("frozen_learning_rate", "encoder_learning_rate", "head_learning_rate")
        check_range(self, 0, math.inf, *rates)

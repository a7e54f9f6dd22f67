"""Settings of the fusion stage; `[fusion]` in the recipe file."""

from __future__ import annotations

import math
from dataclasses import dataclass

from models.config import check_interval, check_positive, check_range


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionStageConfig:
    """How pairs are made and the head is trained."""

    epochs: int = 8
    batch_size: int = 128
    learning_rate: float = 2e-3
    warm_rate: float = 0.1  # of the learning rate, for the layers that begin from the voice branch
    attention_rate: float = 10.0  # times the learning rate, for MSAF; see `parameter_groups`
    weight_decay: float = 0.02
    pairs_per_epoch: int = 4480
    faces_per_class: int = 800  # sequences made from training stills
    poor_faces: float = 0.5  # part of them that are hard to see (POOR_FACE)
    evaluation_faces_per_class: int = 300  # at most, for validation and test
    onset: float = 0.3  # part of the sequences that begin with a neutral face
    key_images: int = 6  # of a sequence, through the trunk; the maps between are interpolated
    voice_seconds: tuple[float, ...] = (3.0, 3.0, 2.0)  # augmented windows of each clip
    poor_voice_seconds: tuple[float, ...] = (3.0,)  # and those that are hard to hear
    poor_snr_decibels: tuple[float, float] = (-5.0, 10.0)  # of these
    face_only: float = 0.15  # part of the training pairs that lack the voice
    voice_only: float = 0.15  # and that lack the face
    auxiliary: float = 0.3  # weight of the losses on each modality's own head
    balance: float = 1.0  # weight of the loss that keeps modality shares near chance on average

    def __post_init__(self) -> None:
        sizes = ("epochs", "batch_size", "faces_per_class", "evaluation_faces_per_class")
        check_positive(self, *sizes, "key_images")
        check_range(self, 0, 1, "poor_faces", "onset")
        rates = ("learning_rate", "warm_rate", "attention_rate", "weight_decay")
        check_range(self, 0, math.inf, *rates, "auxiliary", "balance")
        check_interval(self, -60, 100, "poor_snr_decibels")
        if self.pairs_per_epoch < self.batch_size:
            raise ValueError(
                f"pairs_per_epoch = {self.pairs_per_epoch} makes no batch of {self.batch_size}"
            )
        windows = self.voice_seconds + self.poor_voice_seconds
        if not windows or min(windows) < 0.5:
            raise ValueError(f"windows of the voice must be of 0.5 s or more, not {windows}")
        if min(self.face_only, self.voice_only, 1.0 - self.face_only - self.voice_only) < 0.0:
            raise ValueError(
                "face_only and voice_only must be 0 or more and at most 1 together, not "
                f"{self.face_only} and {self.voice_only}"
            )

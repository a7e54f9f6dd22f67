"""What the emotion network tells of one window."""

from __future__ import annotations

from dataclasses import dataclass

from models.arrays import FloatArray
from realtime.task import Fusion


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EmotionFusion(Fusion):
    """The answer and what it leaned on; the parts of an absent modality are 0."""

    voice_moments: FloatArray  # (n_voice_frames,) sums to 1
    face_activation: FloatArray  # (n_classes, height, width) of the newest map, before scaling
    voice_residual: FloatArray  # (channels,) what the speaker's voice has of its own

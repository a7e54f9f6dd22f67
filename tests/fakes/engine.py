"""A small real engine: arithmetic instead of a trained network, everything else as it is."""

from __future__ import annotations

import numpy as np

from models.config import FaceTrunkConfig, LiveNetConfig, VoiceEncoderConfig
from realtime.engine import Fusion
from realtime.messages import FloatArray


class ArithmeticEngine:
    """Bright faces are happy, loud voices angry; counts how often each part was run."""

    def __init__(self) -> None:
        self.config = LiveNetConfig(
            face=FaceTrunkConfig(channels=16), voice=VoiceEncoderConfig(channels=16)
        )
        self.name = "arithmetic"
        self.trunk_runs = 0
        self.encoder_runs = 0
        self.fusions = 0
        self.residual: FloatArray = np.zeros(16, np.float32)

    def face_map(self, crop: FloatArray) -> FloatArray:
        self.trunk_runs += 1
        size = self.config.face.map_size
        return np.full((16, size, size), crop.mean(), np.float32)

    def voice_frames(self, mel: FloatArray) -> FloatArray:
        self.encoder_runs += 1
        return np.full((16, mel.shape[1] // 2), mel.max(), np.float32)

    def fuse(
        self,
        maps: FloatArray | None,
        frames: FloatArray | None,
        speaker: FloatArray | None = None,
    ) -> Fusion:
        if maps is None and frames is None:
            raise ValueError("nothing to fuse")
        self.fusions += 1
        count = len(self.config.labels)
        face, voice = np.zeros((2, count), np.float32)
        if maps is not None:
            face[1] = 6 * maps.mean()
        if frames is not None:
            voice[3] = 4 * (frames if speaker is None else frames - speaker[:, None]).mean()
        size = self.config.face.map_size
        shares = np.array([maps is not None, frames is not None], np.float32)
        lowest = self.config.lowest_attention

        def weights(counts: tuple[int, int]) -> FloatArray:
            rows = np.repeat(shares, counts)
            rows = np.where(rows > 0, lowest + (1 - lowest) * rows / rows.sum(), 0)
            return np.tile(rows[:, None], (1, self.config.block_channels)).astype(np.float32)

        moments = 1 if frames is None else frames.shape[1]
        return Fusion(
            logits=face + voice,
            face_logits=face,
            voice_logits=voice,
            attention_maps=weights(self.config.map_block_counts),
            attention_sequences=weights(self.config.sequence_block_counts),
            voice_moments=np.full(moments, 1 / moments, np.float32),
            face_activation=np.ones((count, size, size), np.float32),
            voice_residual=np.zeros(16, np.float32) if frames is None else self.residual,
        )

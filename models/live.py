"""The live emotion network: face and voice, joined by MSAF at two depths.

    face crops (B·T, 1, 48, 48)        log-mel (B, 80, n)
        │ trunk                            │ encoder
    maps (B, C, T, S, S)               frames (B, C, U)
        └──────────────── MSAF ────────────┘
        │ mean over space, GRU             │ GRU
        └──────────────── MSAF ────────────┘
        │ pool over time, linear           │ pool over time, linear
        └───────────────── + ──────────────┘
                         logits (B, K)

The trunk runs once per image and the encoder once per window; the live program keeps their results
and calls the three parts (`trunk`, `encoder`, `head`) itself. T and U are whatever there is: absent
images are left out, an absent modality is said by the mask. Thread: the caller's. Shape letters:

    B  batch        T  face maps in the window       N  channel blocks of both modalities
    C  channels     U  voice frames, 20 or 40 ms     c  channels of a block
    K  classes      S  height and width of a face map
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.config import LiveNetConfig
from models.face import FaceTrunk
from models.labels import FERPLUS_EMOTIONS
from models.msaf import MSAF
from models.sequence import AttentionPool, SequenceBranch
from models.voice import VoiceEncoder


class FusionOutput(NamedTuple):
    """The answer and what it leaned on; the parts of an absent modality are 0."""

    logits: Tensor  # (B, K) calibrated: face_logits + voice_logits
    face_logits: Tensor  # (B, K) what the face's own head adds
    voice_logits: Tensor  # (B, K) what the voice's own head adds
    attention_maps: Tensor  # (B, N, c) what MSAF multiplied by where maps and frames meet
    attention_sequences: Tensor  # (B, N, c) and where the two sequences meet
    voice_moments: Tensor  # (B, U) weight of each voice frame, sums to 1
    face_activation: Tensor  # (B, K, T, S, S) class activation of the fused maps, as logits
    voice_residual: Tensor  # (B, C) mean of the frames, weighted by voice_moments, minus the mean
    # expected for the answer's probabilities: what this speaker's voice adds (models/speaker.py)


class FusionHead(nn.Module):
    """Everything behind the two branches' features."""

    temperatures: Tensor
    voice_means: Tensor  # (K, C) of each class, what the voice's frames are on average

    def __init__(self, config: LiveNetConfig) -> None:
        super().__init__()
        face, voice, classes = config.face.channels, config.voice.channels, len(config.labels)
        width = 2 * config.hidden

        self.map_fusion = MSAF(config.map_fusion)
        self.face_sequence = SequenceBranch(face, config.hidden)
        self.voice_sequence = SequenceBranch(voice, config.hidden)
        self.sequence_fusion = MSAF(config.sequence_fusion)
        self.face_pool = AttentionPool(width)
        self.voice_pool = AttentionPool(width)
        self.face_head = nn.Linear(width, classes)
        self.voice_head = nn.Linear(width, classes)
        self.activation = nn.Conv3d(face, classes, kernel_size=1)
        self.register_buffer("temperatures", torch.tensor(config.temperatures), persistent=False)
        self.register_buffer("voice_means", torch.zeros(classes, voice))

    def forward(
        self, maps: Tensor, frames: Tensor, present: Tensor, speaker: Tensor | None = None
    ) -> FusionOutput:
        """Fuse one window per sample.

        Parameters
        ----------
        maps
            (B, C, T, S, S) features of the face crops in the window, oldest first.
        frames
            (B, C, U) features of its sound.
        present
            (B, 2) bool: face, voice. Of an absent modality only the shape of its tensor matters;
            one step is enough.
        speaker
            (B, C) what is known of the speaker's own, taken off every frame of the voice.

        Raises
        ------
        ValueError
            Shapes do not fit, or a sample has neither modality.
        """
        heard = frames
        if speaker is not None:
            frames = frames - speaker[:, :, None]
        (maps, frames), attention_maps = self.map_fusion([maps, frames], present)
        activation = self.activation(maps)

        face = self.face_sequence(maps.mean(dim=(3, 4)))  # (B, 2 · hidden, T)
        voice = self.voice_sequence(frames)  # (B, 2 · hidden, U)
        (face, voice), attention_sequences = self.sequence_fusion([face, voice], present)
        face, _ = self.face_pool(face)
        voice, voice_moments = self.voice_pool(voice)

        has_face, has_voice = present[:, :1], present[:, 1:]
        condition = torch.where(has_face & has_voice, 0, torch.where(has_face, 1, 2))
        temperature = self.temperatures[condition]  # (B, 1)
        face_logits = torch.where(has_face, self.face_head(face), 0.0) / temperature
        voice_logits = torch.where(has_voice, self.voice_head(voice), 0.0) / temperature
        logits = face_logits + voice_logits
        usual = logits.softmax(dim=1) @ self.voice_means  # (B, C)
        residual = (heard * voice_moments[:, None]).sum(dim=2) - usual
        return FusionOutput(
            logits=logits,
            face_logits=face_logits,
            voice_logits=voice_logits,
            attention_maps=attention_maps[:, 0],
            attention_sequences=attention_sequences[:, 0],
            voice_moments=torch.where(has_voice, voice_moments, 0.0),
            face_activation=torch.where(has_face[..., None, None, None], activation, 0.0),
            voice_residual=torch.where(has_voice, residual, 0.0),
        )


class LiveNet(nn.Module):
    """The whole network; `forward` is for windows whose images are all new.

    `ferplus_head` is what the trunk was first trained with, eight classes on (B, C) averaged maps;
    it is kept for scoring and plays no part in an answer.
    """

    def __init__(self, config: LiveNetConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = FaceTrunk(config.face)
        self.encoder = VoiceEncoder(config.voice)
        self.head = FusionHead(config)
        self.ferplus_head = nn.Linear(config.face.channels, len(FERPLUS_EMOTIONS))

    def forward(self, crops: Tensor, mel: Tensor, present: Tensor) -> FusionOutput:
        """Crops (B, T, 1, 48, 48) in [0, 1], log-mel (B, 80, n), present (B, 2) bool."""
        maps = self.trunk(crops.flatten(0, 1)).unflatten(0, crops.shape[:2])  # (B, T, C, S, S)
        output: FusionOutput = self.head(maps.transpose(1, 2), self.encoder(mel), present)
        return output

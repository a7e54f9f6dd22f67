"""The paper's network for RAVDESS: face clip and MFCC, joined by MSAF at two depths.

    clips (B, 3, 30, 224, 224)         MFCC (B, 13, 212)
        │ 3D ResNeXt-50 to layer3          │ two convolutions
    (B, 1024, 4, 14, 14)               (B, 32, 208)
        └──────────── MSAF, c 16 ──────────┘
        │ layer4                           │ pool, convolution
    (B, 2048, 2, 7, 7)                 (B, 64, 26)
        └──────────── MSAF, c 32 ──────────┘
        │ average, linear                  │ flatten, linear
        └──────────────── + ───────────────┘
                     logits (B, K)

25,940,724 parameters: 25,882,056 of the face branch, 34,024 of the voice branch, 5,356 and 19,288
of the two MSAF. Section 4.1 of the paper; where it leaves a detail open (where in the voice branch
MSAF sits, padding, dropout), github.com/anita-hu/MSAF was followed, whose parameters these are.
Thread: the caller's. Shape letters: B batch, K classes, N channel blocks of both modalities,
c channels of a block.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.paper.config import RavdessConfig
from models.paper.faults import Fault
from models.paper.mfcc_cnn import mfcc_cnn
from models.paper.reference import fusion
from models.paper.resnext3d import resnext3d


class RavdessOutput(NamedTuple):
    """The answer and what it leaned on; the parts of an absent modality are 0."""

    logits: Tensor  # (B, K) face_logits + voice_logits
    face_logits: Tensor  # (B, K)
    voice_logits: Tensor  # (B, K)
    early_attention: Tensor  # (B, N, c) what the first MSAF multiplied by
    late_attention: Tensor  # (B, N, c) and the second


class RavdessNet(nn.Module):
    """Both branches and their fusion; `face` and `voice` are networks of their own."""

    def __init__(self, config: RavdessConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RavdessConfig()
        self.face = resnext3d(
            config.classes,
            depths=config.depths,
            stem_relu=Fault.STEM_WITHOUT_RELU not in config.faults,
        )
        self.voice = mfcc_cnn(config.classes, coefficients=config.coefficients, steps=config.steps)
        self.early_fusion, self.late_fusion = (
            fusion(each, config.faults) for each in config.fusions
        )

    def forward(self, clips: Tensor, mfcc: Tensor, present: Tensor | None = None) -> RavdessOutput:
        """Answer for one clip and its sound per sample.

        Parameters
        ----------
        clips
            (B, 3, T, H, W), pictures of the face, oldest first; T, H and W are free.
        mfcc
            (B, 13, U).
        present
            (B, 2) bool: face, voice; None means both, as in the paper. Of an absent modality only
            the shape of its tensor matters.

        Raises
        ------
        ValueError
            Batches differ, or a sample has neither modality.
        """
        face = self.face.early(clips)  # (B, 1024, T/8, H/16, W/16)
        voice = self.voice.early(mfcc)  # (B, 32, U - 4)
        (face, voice), early_attention = self.early_fusion([face, voice], present)
        face = self.face.late(face)  # (B, 2048, T/16, H/32, W/32)
        voice = self.voice.late(voice)  # (B, 64, (U - 4) // 8)
        (face, voice), late_attention = self.late_fusion([face, voice], present)
        face_logits = self.face.classify(face)
        voice_logits = self.voice.classify(voice)
        if present is not None:
            face_logits = torch.where(present[:, :1], face_logits, 0.0)
            voice_logits = torch.where(present[:, 1:], voice_logits, 0.0)
        return RavdessOutput(
            logits=face_logits + voice_logits,
            face_logits=face_logits,
            voice_logits=voice_logits,
            early_attention=early_attention[:, 0],
            late_attention=late_attention[:, 0],
        )

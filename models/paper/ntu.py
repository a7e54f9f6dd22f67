"""The paper's network for NTU RGB+D: colour video and skeletons, joined by MSAF at two depths.

    clips (B, 3, 32, 224, 224)         skeletons (B, 3, 32, 25, 2)
        │ I3D to Mixed_5b                  │ HCN to conv5, per person
    (B, 832, 4, 7, 7)                  two of (B, 128, 4, 4)
        └──────────── MSAF, c 64 ──────────┘
        │ Mixed_5c                         │ conv6, maximum of the two, fc7
    (B, 1024, 4, 7, 7)                 (B, 512)
        └─────────── MSAF, c 256 ──────────┘
        │ average, convolution             │ fc8
        └────────── mean of the two ───────┘
                     logits (B, K)

The two MSAF have 19,568 and 116,416 parameters, r 4 and lowest attention 0.5. With ResNet-50
inflated into time instead of I3D, the colour features are (B, 1024, T, 14, 14) and
(B, 2048, T, 7, 7). Section 4.3 of the paper; sizes that it leaves open are those of
github.com/anita-hu/MSAF and of the code of MFAS below it. The branches are trained with a loss
each, so both logits are returned. Thread: the caller's. Shape letters: B batch, T frames or steps,
K classes, N channel blocks of all modalities, c channels of a block.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.paper.config import NtuConfig
from models.paper.faults import Fault
from models.paper.hcn import JoinPersons, hcn
from models.paper.i3d import i3d
from models.paper.inflated_resnet import inflated_resnet
from models.paper.reference import fusion


class NtuOutput(NamedTuple):
    """The answer and what it leaned on; the parts of an absent modality are 0."""

    logits: Tensor  # (B, K) mean of the two that follow, of those that are there
    rgb_logits: Tensor  # (B, K)
    skeleton_logits: Tensor  # (B, K)
    early_attention: Tensor  # (B, N, c) of colour, first person, second person
    late_attention: Tensor  # (B, N, c) of colour and skeletons


class NtuNet(nn.Module):
    """Both branches and their fusion; `rgb` and `skeleton` are networks of their own."""

    def __init__(self, config: NtuConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or NtuConfig()
        if config.rgb == "i3d":
            self.rgb = i3d(config.classes, dropout=config.rgb_dropout)
        else:
            self.rgb = inflated_resnet(config.classes, depths=config.depths)
        self.skeleton = hcn(config.classes, steps=config.steps, dropout=config.skeleton_dropout)
        self.early_fusion, self.late_fusion = (
            fusion(each, config.faults) for each in config.fusions
        )

    def forward(self, clips: Tensor, skeletons: Tensor, present: Tensor | None = None) -> NtuOutput:
        """Answer for one clip and its skeletons per sample.

        Parameters
        ----------
        clips
            (B, 3, T, H, W), oldest frame first; I3D wants 16 frames or more, else T, H, W are free.
        skeletons
            (B, 3, 32, 25, 2): coordinates, steps, joints, persons.
        present
            (B, 3) bool: colour, first person, second person. None means all, as in the paper,
            where a person who is not there is a skeleton of zeros.

        Raises
        ------
        ValueError
            A shape does not fit, or a sample has no modality at all.
        """
        rgb = self.rgb.early(clips)  # (B, 832, T/8, H/32, W/32)
        one, two = self.skeleton.early(skeletons).unbind(dim=1)  # each (B, 128, 4, 4)
        (fused, one, two), early_attention = self.early_fusion([rgb, one, two], present)
        if Fault.UNUSED_FIRST_FUSION not in self.config.faults:
            rgb = fused

        persons = None if present is None else present[:, 1:]
        there = None  # (B, 2): colour, skeletons
        if persons is not None and present is not None:
            there = torch.stack([present[:, 0], persons.any(dim=1)], dim=1)
        join = self.skeleton.late
        assert isinstance(join, JoinPersons)
        rgb = self.rgb.late(rgb)  # (B, 1024, T/8, H/32, W/32)
        skeleton = join(torch.stack([one, two], dim=1), persons)  # (B, 512)
        (rgb, skeleton), late_attention = self.late_fusion([rgb, skeleton], there)

        rgb_logits = self.rgb.classify(rgb)
        skeleton_logits = self.skeleton.classify(skeleton)
        logits = (rgb_logits + skeleton_logits) / 2
        if there is not None:
            rgb_logits = torch.where(there[:, :1], rgb_logits, 0.0)
            skeleton_logits = torch.where(there[:, 1:], skeleton_logits, 0.0)
            logits = (rgb_logits + skeleton_logits) / there.sum(dim=1, keepdim=True)
        return NtuOutput(
            logits=logits,
            rgb_logits=rgb_logits,
            skeleton_logits=skeleton_logits,
            early_attention=early_attention[:, 0],
            late_attention=late_attention[:, 0],
        )

"""ResNet-50 inflated into time, the other colour branch of the paper's NTU RGB+D network.

As in the public code of MFAS (Pérez-Rúa et al., arXiv 1903.06496), which the reference uses: the
first convolution and pool see single frames, the 3x3 convolutions become 3x3x3, and no stride
shortens time. Thread: the caller's.
Shape letters: B batch, C channels, T frames, H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from models.paper.branch import Branch
from models.paper.resnext3d import DEPTHS, residual_branch


def inflated_resnet(classes: int = 60, *, depths: Sequence[int] = DEPTHS) -> Branch:
    """Clips (B, 3, T, H, W) → logits (B, K); T, H and W are free.

    `early` ends with (B, 1024, T, H/16, W/16), `late` with (B, 2048, T, H/32, W/32), rounded up.
    Flat kernels are 3D ones of one frame here: the same numbers, no turning of the tensor.
    """
    return residual_branch(
        classes,
        depths,
        conv1=nn.Conv3d(3, 64, (1, 7, 7), (1, 2, 2), padding=(0, 3, 3), bias=False),
        relu=nn.ReLU(inplace=True),
        maxpool=nn.MaxPool3d((1, 3, 3), (1, 2, 2), padding=(0, 1, 1)),
        width=64,
        expansion=4,
        stride=(1, 2, 2),
    )

"""ResNet-50 inflated into time, the other colour branch of the paper's NTU RGB+D network.

As in the public code of MFAS (Pérez-Rúa et al., arXiv 1903.06496), which the reference uses: the
first convolution and pool see single frames, the 3x3 convolutions become 3x3x3, and no stride
shortens time. Thread: the caller's.
Shape letters: B batch, C channels, T frames, H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from models.paper.branch import Branch, layers
from models.paper.resnext3d import DEPTHS, Bottleneck3D, GlobalAverage

EXPANSION = 4


def inflated_resnet(classes: int = 60, *, depths: Sequence[int] = DEPTHS) -> Branch:
    """Clips (B, 3, T, H, W) → logits (B, K); T, H and W are free.

    `early` ends with (B, 1024, T, H/16, W/16), `late` with (B, 2048, T, H/32, W/32), rounded up.
    Flat kernels are 3D ones of one frame here: the same numbers, no turning of the tensor.
    """
    stages = []
    channels = 64
    for stage, depth in enumerate(depths):
        width, step = 64 << stage, 2 if stage else 1
        blocks = []
        for index in range(depth):
            stride = (1, step, step) if index == 0 else (1, 1, 1)
            blocks.append(Bottleneck3D(channels, width, width * EXPANSION, stride=stride))
            channels = width * EXPANSION
        stages.append(nn.Sequential(*blocks))
    layer1, layer2, layer3, layer4 = stages
    branch = Branch(
        early=layers(
            conv1=nn.Conv3d(3, 64, (1, 7, 7), (1, 2, 2), padding=(0, 3, 3), bias=False),
            bn1=nn.BatchNorm3d(64),
            relu=nn.ReLU(inplace=True),
            maxpool=nn.MaxPool3d((1, 3, 3), (1, 2, 2), padding=(0, 1, 1)),
            layer1=layer1,
            layer2=layer2,
            layer3=layer3,
        ),
        late=layers(layer4=layer4),
        classify=layers(avgpool=GlobalAverage(), fc=nn.Linear(channels, classes)),
    )
    for module in branch.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
    return branch

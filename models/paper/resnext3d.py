"""3D ResNeXt-50, the face branch of the paper's RAVDESS network.

As in Hara, Kataoka, Satoh (arXiv 1711.09577): cardinality 32, shortcuts of type B, 30 frames of
224 x 224. `main.py bench` times it beside the live network. Thread: the caller's.
Shape letters: B batch, C channels, T frames, H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from models.paper.branch import Branch, layers

CARDINALITY = 32
EXPANSION = 2  # a block's output channels per channel of its width
DEPTHS = (3, 4, 6, 3)  # blocks per stage of a ResNet-50


class Bottleneck3D(nn.Module):
    """1x1x1, (grouped) 3x3x3 and 1x1x1 convolutions beside a shortcut."""

    def __init__(
        self,
        channels: int,
        width: int,
        out: int,
        *,
        stride: tuple[int, int, int] = (1, 1, 1),
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(out)
        self.downsample: nn.Module = nn.Identity()
        if stride != (1, 1, 1) or channels != out:
            self.downsample = nn.Sequential(
                nn.Conv3d(channels, out, 1, stride, bias=False), nn.BatchNorm3d(out)
            )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) → (B, out, T, H, W), each of T, H, W divided by its stride."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        joined: Tensor = self.relu(out + self.downsample(x))
        return joined


class GlobalAverage(nn.Module):
    """Mean over everything behind the channels."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) → (B, C)."""
        return x.flatten(2).mean(dim=2)


def resnext3d(
    classes: int = 8, *, depths: Sequence[int] = DEPTHS, stem_relu: bool = True
) -> Branch:
    """Clips (B, 3, T, H, W) → logits (B, K); T, H and W are free.

    `early` ends with (B, 1024, T/8, H/16, W/16), `late` with (B, 2048, T/16, H/32, W/32), rounded
    up. `stem_relu=False` leaves out the activation behind the first convolution
    (:mod:`models.paper.faults` says why anybody should want that).
    """
    stages = []
    channels = 64
    for stage, depth in enumerate(depths):
        width, step = 128 << stage, 2 if stage else 1
        blocks = []
        for index in range(depth):
            stride = (step, step, step) if index == 0 else (1, 1, 1)
            blocks.append(
                Bottleneck3D(channels, width, width * EXPANSION, stride=stride, groups=CARDINALITY)
            )
            channels = width * EXPANSION
        stages.append(nn.Sequential(*blocks))
    layer1, layer2, layer3, layer4 = stages
    branch = Branch(
        early=layers(
            conv1=nn.Conv3d(3, 64, 7, stride=(1, 2, 2), padding=3, bias=False),
            bn1=nn.BatchNorm3d(64),
            relu=nn.ReLU(inplace=True) if stem_relu else nn.Identity(),
            maxpool=nn.MaxPool3d(3, stride=2, padding=1),
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

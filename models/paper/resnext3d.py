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


def residual_branch(
    classes: int,
    depths: Sequence[int],
    *,
    conv1: nn.Conv3d,
    relu: nn.Module,
    maxpool: nn.Module,
    width: int,
    expansion: int,
    stride: tuple[int, int, int],
    groups: int = 1,
) -> Branch:
    """A ResNet: conv1 of 64 channels to layer3 are `early`, layer4 is `late`.

    `width` is that of the first stage's blocks and doubles from each to the next, `expansion` the
    blocks' output channels per channel of their width, `stride` that of the stages behind the
    first.
    """
    stages = []
    channels = 64
    for stage, depth in enumerate(depths):
        blocks = []
        for index in range(depth):
            inner = width << stage
            step = stride if stage and index == 0 else (1, 1, 1)
            blocks.append(
                Bottleneck3D(channels, inner, inner * expansion, stride=step, groups=groups)
            )
            channels = inner * expansion
        stages.append(nn.Sequential(*blocks))
    layer1, layer2, layer3, layer4 = stages
    branch = Branch(
        early=layers(
            conv1=conv1,
            bn1=nn.BatchNorm3d(64),
            relu=relu,
            maxpool=maxpool,
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


def resnext3d(
    classes: int = 8, *, depths: Sequence[int] = DEPTHS, stem_relu: bool = True
) -> Branch:
    """Clips (B, 3, T, H, W) → logits (B, K); T, H and W are free.

    `early` ends with (B, 1024, T/8, H/16, W/16), `late` with (B, 2048, T/16, H/32, W/32), rounded
    up. `stem_relu=False` leaves out the activation behind the first convolution
    (:mod:`models.paper.faults` says why anybody should want that).
    """
    return residual_branch(
        classes,
        depths,
        conv1=nn.Conv3d(3, 64, 7, stride=(1, 2, 2), padding=3, bias=False),
        relu=nn.ReLU(inplace=True) if stem_relu else nn.Identity(),
        maxpool=nn.MaxPool3d(3, stride=2, padding=1),
        width=128,
        expansion=2,
        stride=(2, 2, 2),
        groups=CARDINALITY,
    )

"""I3D, the colour branch of the paper's NTU RGB+D network.

Carreira and Zisserman (arXiv 1705.07750): Inception-v1 with every kernel inflated into time, the
first pools in space only. Padding is symmetric, as in the public reference's port, not
TensorFlow's; batch norm has that port's eps and momentum. Thread: the caller's.
Shape letters: B batch, C channels, T frames, H height, W width, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.paper.branch import Branch, layers


def unit(channels: int, out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU; (B, C, T, H, W) → (B, out, T, H, W), divided by `stride`."""
    return layers(
        conv=nn.Conv3d(channels, out, kernel, stride, padding=kernel // 2, bias=False),
        bn=nn.BatchNorm3d(out, eps=1e-3, momentum=0.001),
        relu=nn.ReLU(inplace=True),
    )


class Inception(nn.Module):
    """Four paths side by side, their channels joined."""

    def __init__(
        self, channels: int, one: int, two: tuple[int, int], three: tuple[int, int], pool: int
    ) -> None:
        super().__init__()
        self.branch0 = nn.Sequential(unit(channels, one, 1))
        self.branch1 = nn.Sequential(unit(channels, two[0], 1), unit(*two, 3))
        self.branch2 = nn.Sequential(unit(channels, three[0], 1), unit(*three, 3))
        self.branch3 = nn.Sequential(nn.MaxPool3d(3, 1, padding=1), unit(channels, pool, 1))
        self.out_channels = one + two[1] + three[1] + pool

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) → (B, out_channels, T, H, W)."""
        paths = (self.branch0, self.branch1, self.branch2, self.branch3)
        return torch.cat([path(x) for path in paths], dim=1)


class AveragePairs(nn.Module):
    """Mean over space and over each two neighbouring steps: the paper's (2, 7, 7) pool.

    Over 7 x 7 maps they are the same; other sizes of picture are averaged whole here.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) → (B, C, T - 1, 1, 1)."""
        steps = x.mean(dim=(3, 4), keepdim=True)
        if steps.shape[2] < 2:
            raise ValueError("the clip is too short for I3D: 16 frames is the least")
        return (steps[:, :, 1:] + steps[:, :, :-1]) / 2


class AverageTime(nn.Module):
    """Mean of the logits over time."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, K, T, 1, 1) → (B, K)."""
        return x.flatten(2).mean(dim=2)


def i3d(classes: int = 60, *, dropout: float = 0.5) -> Branch:
    """Clips (B, 3, T, H, W) → logits (B, K), for 16 frames or more.

    `early` ends with Mixed_5b, (B, 832, T/8, H/32, W/32), `late` with Mixed_5c,
    (B, 1024, T/8, H/32, W/32).
    """

    def flat_pool() -> nn.Module:
        return nn.MaxPool3d((1, 3, 3), (1, 2, 2), padding=(0, 1, 1))

    return Branch(
        early=layers(
            conv1=unit(3, 64, 7, stride=2),
            pool1=flat_pool(),
            conv2=unit(64, 64, 1),
            conv3=unit(64, 192, 3),
            pool2=flat_pool(),
            mixed_3b=Inception(192, 64, (96, 128), (16, 32), 32),
            mixed_3c=Inception(256, 128, (128, 192), (32, 96), 64),
            pool3=nn.MaxPool3d(3, 2, padding=1),
            mixed_4b=Inception(480, 192, (96, 208), (16, 48), 64),
            mixed_4c=Inception(512, 160, (112, 224), (24, 64), 64),
            mixed_4d=Inception(512, 128, (128, 256), (24, 64), 64),
            mixed_4e=Inception(512, 112, (144, 288), (32, 64), 64),
            mixed_4f=Inception(528, 256, (160, 320), (32, 128), 128),
            pool4=nn.MaxPool3d(2, 2),
            mixed_5b=Inception(832, 256, (160, 320), (32, 128), 128),
        ),
        late=layers(mixed_5c=Inception(832, 384, (192, 384), (48, 128), 128)),
        classify=layers(
            avgpool=AveragePairs(),
            dropout=nn.Dropout3d(dropout),
            conv=nn.Conv3d(1024, classes, 1),
            mean=AverageTime(),
        ),
    )

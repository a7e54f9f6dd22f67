"""3D ResNeXt-50, the face branch of the paper's RAVDESS network, for comparison.

As in Hara, Kataoka, Satoh (arXiv 1711.09577): cardinality 32, 30 frames of 224 x 224. The live
program does not use it; `main.py bench` times it beside the live network. Thread: the caller's.
Shape letters: B batch, C channels, T frames, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

CARDINALITY = 32
EXPANSION = 2  # a block's output channels per channel of its width


class Block(nn.Module):
    """1x1x1, grouped 3x3x3 and 1x1x1 convolutions beside a shortcut."""

    def __init__(self, channels: int, planes: int, stride: int) -> None:
        super().__init__()
        out = planes * EXPANSION
        self.residual = nn.Sequential(
            nn.Conv3d(channels, planes, 1, bias=False),
            nn.BatchNorm3d(planes),
            nn.ReLU(inplace=True),
            nn.Conv3d(planes, planes, 3, stride, padding=1, groups=CARDINALITY, bias=False),
            nn.BatchNorm3d(planes),
            nn.ReLU(inplace=True),
            nn.Conv3d(planes, out, 1, bias=False),
            nn.BatchNorm3d(out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            self.shortcut = nn.Sequential(
                nn.Conv3d(channels, out, 1, stride, bias=False), nn.BatchNorm3d(out)
            )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) → (B, 2 x planes, T / stride, H / stride, W / stride)."""
        out: Tensor = self.relu(self.residual(x) + self.shortcut(x))
        return out


class ResNeXt3D(nn.Module):
    """Clips (B, 3, T, H, W) → logits (B, n_classes); T, H and W are free."""

    def __init__(self, n_classes: int = 8, depths: Sequence[int] = (3, 4, 6, 3)) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv3d(3, 64, 7, stride=(1, 2, 2), padding=3, bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(inplace=True),
            nn.MaxPool3d(3, stride=2, padding=1),
        ]
        channels = 64
        for stage, depth in enumerate(depths):
            planes = 128 << stage
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                layers.append(Block(channels, planes, stride))
                channels = planes * EXPANSION
        self.features = nn.Sequential(*layers)
        self.classify = nn.Linear(channels, n_classes)

    def forward(self, clips: Tensor) -> Tensor:
        """(B, 3, T, H, W) → (B, n_classes)."""
        logits: Tensor = self.classify(self.features(clips).mean(dim=(2, 3, 4)))
        return logits

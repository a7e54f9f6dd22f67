"""The face branch: one aligned face crop → one feature map.

    B batch, C channels, S height and width of the map

The trunk is MobileNet (Howard et al. 2017, arXiv 1704.04861, width 1) with two changes: its first
convolution takes one grey channel, since FER+ is grey, and its last stage keeps the resolution
(stride 16 in all), so that a map of 6 x 6 is left for MSAF and for the picture over the face. It
runs once per frame. MobileNet and not a younger network since this is the one with pretrained
weights that know faces (models/training/live/face_start.py).
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor, nn

from models.config import FaceTrunkConfig
from models.labels import FERPLUS_EMOTIONS

STEM_CHANNELS = 32
BLOCKS = (
    # channels, stride
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 1),  # stride 2 in the paper
    (1024, 1),
)


def _convolution(
    channels_in: int, channels: int, size: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    padding = size // 2
    return [
        nn.Conv2d(channels_in, channels, size, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU6(inplace=True),
    ]


class SeparableConvolution(nn.Sequential):
    """Filter each channel, then mix the channels; each with batch norm and ReLU6."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__(
            *_convolution(channels_in, channels_in, 3, stride, groups=channels_in),
            *_convolution(channels_in, channels, 1),
        )


class FaceTrunk(nn.Module):
    """(B, 1, 48, 48) grey in [0, 1] → (B, C, S, S)."""

    shift = 116 / 255
    """What is taken off the crop: the mean of the faces that the starting point was trained on."""

    def __init__(self, config: FaceTrunkConfig) -> None:
        super().__init__()
        self.config = config
        self.resolution = config.resolution
        layers: list[nn.Module] = [nn.Sequential(*_convolution(1, STEM_CHANNELS, 3, 2))]
        channels = STEM_CHANNELS
        for width, stride in BLOCKS:
            layers.append(SeparableConvolution(channels, width, stride))
            channels = width
        self.features = nn.Sequential(*layers)
        self.project = nn.Sequential(
            nn.Conv2d(channels, config.channels, 1, bias=False),
            nn.BatchNorm2d(config.channels),
            nn.ReLU(inplace=True),
        )

    def enlarged(self, crops: Tensor) -> Tensor:
        """Crops as the first convolution takes them, (B, 1, resolution, resolution)."""
        size = (self.resolution, self.resolution)
        return F.interpolate(crops, size=size, mode="bilinear", align_corners=False) - self.shift

    def forward(self, crops: Tensor) -> Tensor:
        maps: Tensor = self.project(self.features(self.enlarged(crops)))
        return maps


class FaceClassifier(nn.Module):
    """The trunk with the head it is first trained with: the eight classes of FER+."""

    def __init__(self, config: FaceTrunkConfig, dropout: float = 0.3) -> None:
        super().__init__()
        self.trunk = FaceTrunk(config)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(config.channels, len(FERPLUS_EMOTIONS))

    def forward(self, crops: Tensor) -> Tensor:
        """(B, 1, 48, 48) → logits (B, 8)."""
        pooled = self.trunk(crops).mean(dim=(2, 3))
        logits: Tensor = self.head(self.dropout(pooled))
        return logits

"""The face branch: one aligned face crop → one feature map.

    B batch, C channels, S height and width of the map

The trunk is MobileNetV2 (Sandler et al. 2018) with two changes: its first convolution takes one
grey channel, since FER+ is grey, and its last stage keeps the resolution (stride 16 in all), so
that a map of 6 x 6 is left for MSAF and for the picture over the face. It runs once per frame.
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor, nn

from models.config import FaceTrunkConfig
from models.labels import FERPLUS_EMOTIONS

STAGES = (
    # expansion, channels, blocks, stride
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 1),  # stride 2 in the paper
    (6, 320, 1, 1),
)


def _convolution(
    channels_in: int, channels: int, size: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    padding = size // 2
    return [
        nn.Conv2d(channels_in, channels, size, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
    ]


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; the input is added where shapes allow."""

    def __init__(self, channels_in: int, channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = channels_in * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [*_convolution(channels_in, width, 1), nn.ReLU6(inplace=True)]
        layers += [*_convolution(width, width, 3, stride, groups=width), nn.ReLU6(inplace=True)]
        layers += _convolution(width, channels, 1)
        self.layers = nn.Sequential(*layers)
        self.is_residual = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.is_residual else y


class FaceTrunk(nn.Module):
    """(B, 1, 48, 48) grey in [0, 1] → (B, C, S, S)."""

    def __init__(self, config: FaceTrunkConfig) -> None:
        super().__init__()
        self.resolution = config.resolution
        # Grey pictures of ImageNet have about this mean and spread.
        self.shift, self.scale = 0.45, 0.225
        layers: list[nn.Module] = [*_convolution(1, 32, 3, 2), nn.ReLU6(inplace=True)]
        channels = 32
        for expansion, width, blocks, stride in STAGES:
            for block in range(blocks):
                step = stride if block == 0 else 1
                layers.append(InvertedResidual(channels, width, step, expansion))
                channels = width
        self.features = nn.Sequential(*layers)
        self.project = nn.Sequential(
            *_convolution(channels, config.channels, 1), nn.ReLU(inplace=True)
        )

    def forward(self, crops: Tensor) -> Tensor:
        size = (self.resolution, self.resolution)
        x = F.interpolate(crops, size=size, mode="bilinear", align_corners=False)
        x = self.features((x - self.shift) / self.scale)
        maps: Tensor = self.project(x)
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


def load_imagenet(trunk: FaceTrunk, weights: dict[str, Tensor]) -> None:
    """Start `trunk` from torchvision's MobileNetV2 state dict.

    The three colour filters of the first convolution are added: on a grey picture that is the same.
    """
    names = {}
    for name in weights:
        if name.startswith("features.0.0"):
            names[name] = name.replace("features.0.0", "features.0")
        elif name.startswith("features.0.1"):
            names[name] = name.replace("features.0.1", "features.1")
        elif name.startswith("features.") and not name.startswith("features.18"):
            index, _, rest = name.removeprefix("features.").partition(".")
            rest = rest.removeprefix("conv.")
            names[name] = f"features.{int(index) + 2}.layers.{_flat(int(index), rest)}"
    renamed = {new: weights[old] for old, new in names.items()}
    renamed["features.0.weight"] = renamed["features.0.weight"].sum(dim=1, keepdim=True)
    own = {name for name in trunk.state_dict() if name.startswith("features.")}
    own = {name for name in own if not name.endswith("num_batches_tracked")}
    if missing := own - set(renamed):
        raise ValueError(f"these weights lack {len(missing)} tensors, {min(missing)} among them")
    trunk.load_state_dict(renamed, strict=False)


def _flat(index: int, rest: str) -> str:
    """torchvision nests convolution, norm and activation: "0.1.weight" → "1.weight"."""
    parts = rest.split(".")
    nested = 1 if index == 1 else 2  # ConvBNReLU groups before the projection
    if int(parts[0]) < nested:
        return f"{int(parts[0]) * 3 + int(parts[1])}.{parts[2]}"
    return f"{nested * 3 + int(parts[0]) - nested}.{parts[1]}"

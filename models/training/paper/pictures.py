"""From prepared pictures to the clips that a network takes; the same for RAVDESS and NTU RGB+D.

Pure: arrays in, arrays or tensors out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Of ImageNet's pictures, red, green, blue.
_MEAN: Final = torch.tensor([0.485, 0.456, 0.406])
_DEVIATION: Final = torch.tensor([0.229, 0.224, 0.225])


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureAugmentation:
    """A smaller square and a mirror image, drawn once per clip."""

    least_area: float = 0.8  # of the picture; the square's share lies between this and 1
    mirrored: float = 0.5  # how many clips

    def __post_init__(self) -> None:
        if not 0.0 < self.least_area <= 1.0:
            raise ValueError(f"least_area must be above 0 and at most 1, not {self.least_area}")

    def __call__(self, pictures: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Clip (T, size, size, 3) → the same shape; every picture is changed alike."""
        size = pictures.shape[1]
        side = max(1, round(size * float(np.sqrt(rng.uniform(self.least_area, 1.0)))))
        top, left = rng.integers(0, size - side + 1, 2)
        cut = pictures[:, top : top + side, left : left + side]
        if rng.random() < self.mirrored:
            cut = cut[:, :, ::-1]
        scaled = [
            cv2.resize(np.ascontiguousarray(each), (size, size), interpolation=cv2.INTER_LINEAR)
            for each in cut
        ]
        return np.stack(scaled).astype(np.uint8)


def network_clip(pictures: NDArray[np.uint8]) -> Tensor:
    """RGB pictures (T, H, W, 3) → normalised clip (3, T, H, W)."""
    clip = (torch.from_numpy(pictures).float() / 255 - _MEAN) / _DEVIATION
    return clip.permute(3, 0, 1, 2).contiguous()

"""What turns FER+'s stills into the faces that a web camera shows.

Batches of grey pictures (B, 48, 48) in [0, 1]; everything random comes from one torch generator, so
a seed repeats it. Any device; thread: the trainer's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Generator, Tensor

from models.config import check_range


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceAugmentation:
    """How far each change may go; `strength` scales all of them."""

    strength: float = 1.0
    rotation_degrees: float = 12.0
    scale: float = 0.15
    shift: float = 0.07  # of the picture's width
    shear: float = 0.12
    contrast: float = 0.35
    brightness: float = 0.15
    gamma: float = 0.4  # octaves
    light: float = 0.25  # slope of a sideways light, corner to corner
    blur_chance: float = 0.3
    resolution_chance: float = 0.35  # seen at fewer pixels
    noise: float = 0.04
    jpeg_chance: float = 0.2
    occlusion_chance: float = 0.15
    clean_chance: float = 0.0  # pictures that only move, so that good pictures stay common

    def __post_init__(self) -> None:
        chances = ("blur_chance", "resolution_chance", "jpeg_chance", "occlusion_chance")
        check_range(self, 0, 1, *chances, "clean_chance")
        strengths = ("strength", "rotation_degrees", "scale", "shift", "shear", "contrast")
        check_range(self, 0, math.inf, *strengths, "brightness", "gamma", "light", "noise")

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """uint8 or float (B, H, W) → float (B, 1, H, W), each picture changed in its own way."""
        pictures = _as_float(images)
        pictures = self.move(pictures, self.poses(len(pictures), generator))
        flip = _chance(len(pictures), 0.5, generator).to(pictures.device)
        pictures = torch.where(flip, pictures.flip(-1), pictures)
        clean = _chance(len(pictures), self.clean_chance, generator).to(pictures.device)
        return torch.where(clean, pictures, self.photograph(pictures, generator))

    def poses(self, count: int, generator: Generator) -> Tensor:
        """Random affine transforms (count, 2, 3) of the picture plane."""
        angle = _spread(count, math.radians(self.rotation_degrees), generator) * self.strength
        scale = torch.exp(_spread(count, self.scale, generator) * self.strength)
        aspect = torch.exp(_spread(count, self.scale / 2, generator) * self.strength)
        shear = _spread(count, self.shear, generator) * self.strength
        shift = _spread(2 * count, 2 * self.shift, generator).view(count, 2) * self.strength
        cosine, sine = angle.cos(), angle.sin()
        rows = [scale * cosine, scale * (shear - sine), shift[:, 0]]
        rows += [scale * aspect * sine, scale * aspect * cosine, shift[:, 1]]
        return torch.stack(rows, dim=1).view(count, 2, 3)

    @staticmethod
    def move(pictures: Tensor, poses: Tensor) -> Tensor:
        """Apply affine transforms (B, 2, 3) to pictures (B, 1, H, W), repeating the border."""
        grid = F.affine_grid(poses.to(pictures.device), list(pictures.shape), align_corners=False)
        return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)

    def photograph(
        self, pictures: Tensor, generator: Generator, *, one_scene: bool = False
    ) -> Tensor:
        """Light, lens, sensor and compression, on pictures (B, 1, H, W).

        With `one_scene` all pictures get the same, but for the sensor's noise.
        """
        count = 1 if one_scene else len(pictures)
        size, power = pictures.shape[-1], self.strength
        device = pictures.device

        def spread(limit: float) -> Tensor:
            return _spread(count, limit * power, generator).view(-1, 1, 1, 1).to(device)

        # Light: gamma, contrast about the mean, brightness, a slope across the face.
        pictures = pictures.clamp(1e-3, 1).pow(torch.exp2(spread(self.gamma)))
        mean = pictures.mean(dim=(2, 3), keepdim=True)
        pictures = (pictures - mean) * torch.exp(spread(self.contrast)) + mean
        ramp = torch.linspace(-0.5, 0.5, size, device=device)
        slope = spread(self.light) * ramp + spread(self.light) * ramp.view(-1, 1)
        pictures = pictures + spread(self.brightness) + slope

        # Occlusion: a flat patch, as of a hand or a microphone.
        if self.occlusion_chance:
            hidden = _chance(count, self.occlusion_chance * power, generator).to(device)
            patch = _patches(count, size, generator).to(device)
            pictures = torch.where(hidden & patch, mean + spread(0.4), pictures)

        # Lens and distance: blur along a direction, then fewer pixels.
        blurred = _blur(pictures, generator)
        chosen = _chance(count, self.blur_chance * power, generator).to(device)
        pictures = torch.where(chosen, blurred, pictures)
        small = int(torch.randint(20, 40, (1,), generator=generator))
        coarse = F.interpolate(pictures, size=(small, small), mode="area")
        coarse = F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)
        chosen = _chance(count, self.resolution_chance * power, generator).to(device)
        pictures = torch.where(chosen, coarse, pictures)

        # Sensor and compression.
        noise = torch.randn(pictures.shape, generator=generator).to(device)
        level = torch.rand(count, generator=generator).view(-1, 1, 1, 1).to(device)
        pictures = (pictures + noise * level * self.noise * power).clamp(0, 1)
        return _compress(pictures, self.jpeg_chance * power, generator, one_scene=one_scene)

    def sequence(self, image: Tensor, frames: int, generator: Generator) -> Tensor:
        """One still (H, W) → (frames, H, W) of a head that moves a little under one light.

        The pose starts anywhere and wanders; light, lens and camera stay what they are, the
        sensor's noise is new in every frame.
        """
        pictures = _as_float(image[None]).expand(frames, -1, -1, -1)
        start = self.poses(1, generator)
        steps = self.poses(frames, generator) - torch.eye(2, 3)
        wander = torch.cumsum(steps, dim=0) / math.sqrt(frames) * 0.25
        pictures = self.move(pictures, start + wander)
        if torch.rand(1, generator=generator) < 0.5:
            pictures = pictures.flip(-1)
        return self.photograph(pictures, generator, one_scene=True)[:, 0]


def _as_float(images: Tensor) -> Tensor:
    pictures = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    return pictures.unsqueeze(1) if pictures.dim() == 3 else pictures


def _spread(count: int, limit: float, generator: Generator) -> Tensor:
    """Uniform in [-limit, limit]."""
    return (torch.rand(count, generator=generator) * 2 - 1) * limit


def _chance(count: int, chance: float, generator: Generator) -> Tensor:
    """(count, 1, 1, 1) bool, true with probability `chance`."""
    return (torch.rand(count, generator=generator) < chance).view(-1, 1, 1, 1)


def _patches(count: int, size: int, generator: Generator) -> Tensor:
    """(count, 1, size, size) bool: one random rectangle each."""
    span = (0.2 + 0.25 * torch.rand(count, 2, generator=generator)) * size
    start = torch.rand(count, 2, generator=generator) * (size - span)
    at = torch.arange(size).view(1, 1, -1)
    inside = (at >= start.unsqueeze(-1)) & (at < (start + span).unsqueeze(-1))
    return (inside[:, 0].unsqueeze(2) & inside[:, 1].unsqueeze(1)).unsqueeze(1)


def _blur(pictures: Tensor, generator: Generator) -> Tensor:
    """Blur by one Gaussian for the batch, stretched along a direction as moving heads are."""
    sigma = 0.5 + torch.rand(1, generator=generator) * 0.9
    stretch = 1 + torch.rand(1, generator=generator) * 1.5
    angle = torch.rand(1, generator=generator) * math.pi
    y, x = torch.meshgrid(torch.arange(-3.0, 4.0), torch.arange(-3.0, 4.0), indexing="ij")
    along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    kernel = torch.exp(-0.5 * ((along / (sigma * stretch)) ** 2 + (across / sigma) ** 2))
    kernel = (kernel / kernel.sum()).to(pictures).view(1, 1, 7, 7)
    return F.conv2d(F.pad(pictures, (3, 3, 3, 3), mode="replicate"), kernel)


def _compress(pictures: Tensor, chance: float, generator: Generator, *, one_scene: bool) -> Tensor:
    """Pass some pictures through JPEG."""
    draws = 1 if one_scene else len(pictures)
    chosen = (torch.rand(draws, generator=generator) < chance).expand(len(pictures))
    qualities = torch.randint(25, 80, (draws,), generator=generator).expand(len(pictures))
    if not chosen.any():
        return pictures
    result = pictures.clone()
    for index in chosen.nonzero().flatten().tolist():
        grey = (pictures[index, 0].cpu().numpy() * 255).astype(np.uint8)
        _, packed = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, int(qualities[index])])
        decoded = cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE)
        result[index, 0] = torch.from_numpy(decoded.astype(np.float32) / 255).to(result)
    return result

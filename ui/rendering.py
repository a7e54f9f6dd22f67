"""Arrays → pictures that own their bytes.

Thread: any. Nothing here keeps a reference to an array it was given.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QImage, QTransform

from models.arrays import FloatArray
from models.config import FACE_STRIDE
from ui.palette import HEAT_STOPS, lookup_table, rgb

HEAT_SIZE: Final = 72  # pixels along each side of the heatmap's picture
_HEAT_FROM: Final = 0.25  # activation, up to which the heatmap is clear
_HEAT_STEPS: Final = 9  # of its legend
_PICTURE: Final = "#b4a79e"  # what stands for the picture there: skin of middle lightness, greyish
_LARGE_PICTURE: Final = 1_500_000  # pixels above which scaling it here would cost the frame rate


def picture(image: NDArray[np.uint8], size: QSize, *, mirrored: bool = False) -> QImage:
    """A camera image (height, width, 3), RGB, ready to be drawn on `size` device pixels.

    It has that size, smoothly scaled; only where that is very large it keeps its own, for the
    painter to stretch in passing, less finely.
    """
    shown = _wrap(np.ascontiguousarray(image), QImage.Format.Format_RGB888)
    if size.width() * size.height() <= _LARGE_PICTURE:
        shown = shown.scaled(
            size,
            Qt.AspectRatioMode.IgnoreAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
    owned = shown.convertToFormat(QImage.Format.Format_RGB32)
    if mirrored:
        owned.flip(Qt.Orientation.Horizontal)
    return owned


def heat(activation: FloatArray) -> QImage:
    """A class activation map (rows, columns) in 0..1 as a soft, half transparent square.

    Little activation is transparent, and so are the corners, where the crop shows no face.
    """
    rows, columns = activation.shape
    values = _spread(rows) @ activation.astype(np.float64) @ _spread(columns).T
    values = np.clip(values, 0.0, 1.0)
    colours = lookup_table(HEAT_STOPS)[np.rint(values * 255).astype(np.intp)]
    return _rgba(colours, _heat_opacity(values) * _face_mask())


@lru_cache(maxsize=1)
def heat_legend() -> tuple[str, ...]:
    """The heatmap's colours from the least to the most that it draws, as they look on a picture."""
    values = np.linspace(_HEAT_FROM, 1.0, _HEAT_STEPS)
    opacity = _heat_opacity(values)[:, None]
    colours = lookup_table(HEAT_STOPS)[np.rint(values * 255).astype(np.intp)]
    seen = opacity * colours + (1.0 - opacity) * rgb(_PICTURE)
    return tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in seen.astype(int))


def _heat_opacity(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much of the picture activation of 0..1 covers."""
    return np.clip((values - _HEAT_FROM) / 0.6, 0.0, 1.0) * 0.7


def stacked_probabilities(
    probabilities: FloatArray,
    faded: NDArray[np.bool_],
    colours: NDArray[np.uint8],
    height: int,
) -> QImage:
    """Classes stacked upon each other over time.

    Parameters
    ----------
    probabilities
        (columns, classes); a column of NaN stays transparent.
    faded
        (columns,) columns to draw faintly.
    colours
        (classes, 3) RGB.
    height
        Of the picture, in pixels; its width is the number of columns.
    """
    known = np.isfinite(probabilities).all(axis=1)
    shares = np.where(known[:, None], probabilities, 0.0).astype(np.float32)
    shares *= height / np.maximum(shares.sum(axis=1, keepdims=True), 1e-9)
    bottoms = np.cumsum(shares, axis=1) - shares
    edges = np.arange(height + 1, dtype=np.float32)[:, None, None]  # of the rows, from the bottom
    below = np.clip(edges - bottoms, 0.0, shares)  # (height + 1, columns, classes)
    mixed = np.diff(below @ colours.astype(np.float32), axis=0)
    opacity = np.where(known, np.where(faded, 0.22, 0.85), 0.0)
    return _rgba(mixed[::-1], np.broadcast_to(opacity, mixed.shape[:2]))


def affine(matrix: FloatArray) -> QTransform:
    """A (2, 3) affine matrix on column vectors as Qt's transform."""
    (a, b, x), (c, d, y) = matrix.astype(float).tolist()
    return QTransform(a, c, b, d, x, y)


def _rgba(colours: NDArray[np.generic], opacity: NDArray[np.float64]) -> QImage:
    """(height, width, 3) colours and (height, width) opacity 0..1 → premultiplied image."""
    height, width = opacity.shape
    pixels = np.empty((height, width, 4), dtype=np.uint8)
    pixels[..., :3] = np.rint(colours.astype(np.float64) * opacity[..., None])
    pixels[..., 3] = np.rint(opacity * 255)
    image = _wrap(pixels, QImage.Format.Format_RGBA8888_Premultiplied)
    return image.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)


def _wrap(pixels: NDArray[np.uint8], pixel_format: QImage.Format) -> QImage:
    """A view on contiguous (height, width, channels) pixels, valid as long as they are."""
    height, width, _ = pixels.shape
    data = cast("bytes", pixels.data)  # Qt takes any buffer; its type hints say bytes
    return QImage(data, width, height, pixels.strides[0], pixel_format)


@lru_cache(maxsize=4)
def _spread(cells: int) -> NDArray[np.float64]:
    """(HEAT_SIZE, cells) weights that blend neighbouring cells with a bell of half a cell."""
    centres = (np.arange(cells) + 0.5 / FACE_STRIDE) / cells
    places = (np.arange(HEAT_SIZE) + 0.5) / HEAT_SIZE
    weights = np.exp(-0.5 * ((places[:, None] - centres) * cells / 0.5) ** 2)
    normalised: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return normalised


@lru_cache(maxsize=1)
def _face_mask() -> NDArray[np.float64]:
    """(HEAT_SIZE, HEAT_SIZE) opacity that falls off towards the corners of the crop."""
    across = np.linspace(-1.0, 1.0, HEAT_SIZE)
    radius = np.hypot(across[:, None] / 1.02, across / 0.98)
    return np.asarray(np.clip((1.0 - radius) / 0.28, 0.0, 1.0))

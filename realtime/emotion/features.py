"""From pictures to what the network wants: the aligned face crop.

Pure: arrays in, arrays out. Coordinates are (x, y) in pixels unless said.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.alignment import CANONICAL_KEYPOINTS, CROP_SIZE
from models.arrays import FloatArray

# A face is first cut out this many times finer than the crop and then averaged down, since taking
# every n-th pixel of a large face would alias.
OVERSAMPLING = 4


def brightness(image: NDArray[np.uint8]) -> float:
    """Mean luminance of an RGB image (height, width, 3), 0..1; every eighth row and column tell."""
    red, green, blue = image[::8, ::8].mean(axis=(0, 1)) / 255.0
    return float(0.299 * red + 0.587 * green + 0.114 * blue)


def similarity_transform(source: FloatArray, target: FloatArray) -> FloatArray:
    """Rotation, scale and shift that carry `source` (n, 2) nearest to `target` (n, 2).

    Least squares in closed form (Umeyama 1991). Returns (2, 3).
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    x, y = (source - source_mean).T
    u, v = (target - target_mean).T
    spread = float(np.sum(x * x + y * y))
    if spread < 1e-9:
        raise ValueError("the points coincide: no transform carries them anywhere")
    cosine = float(np.sum(x * u + y * v)) / spread
    sine = float(np.sum(x * v - y * u)) / spread
    rotation = np.array([[cosine, -sine], [sine, cosine]])
    shift = target_mean - rotation @ source_mean
    return np.column_stack([rotation, shift]).astype(np.float32)


def align_face(image: NDArray[np.uint8], keypoints: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Cut the face out so that its eyes and mouth lie where they do in FER+.

    Parameters
    ----------
    image
        (height, width, 3) RGB.
    keypoints
        (4, 2) image-left eye, image-right eye, nose tip, mouth; 0..1 of the image. The nose is not
        used: it moves against the rest when the head turns.

    Returns
    -------
    The crop, (48, 48) grey in [0, 1], and the (2, 3) affine from image pixels to crop pixels.
    """
    height, width = image.shape[:2]
    corners = [0, 1, 3]
    points = keypoints[corners] * np.array([width, height], np.float32)
    target = np.array(CANONICAL_KEYPOINTS, np.float32)[corners]
    matrix = similarity_transform(points.astype(np.float32), target)
    fine = cv2.warpAffine(
        image,
        matrix * OVERSAMPLING,
        (CROP_SIZE * OVERSAMPLING, CROP_SIZE * OVERSAMPLING),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    grey = cv2.cvtColor(fine, cv2.COLOR_RGB2GRAY)
    crop = cv2.resize(grey, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_AREA)
    return crop.astype(np.float32) / 255.0, matrix

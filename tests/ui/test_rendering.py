"""Arrays become pictures of the right size and colours, which own their bytes."""

import numpy as np
import pytest
from PyQt6.QtCore import QPointF, QSize
from PyQt6.QtGui import QColor

from ui import rendering


def test_a_picture_is_scaled_and_owns_its_bytes() -> None:
    image = np.zeros((20, 40, 3), np.uint8)
    image[:, :20] = (255, 0, 0)
    image[:, 20:] = (0, 0, 255)
    shown = rendering.picture(image, QSize(80, 40))
    image[:] = 0
    assert (shown.width(), shown.height()) == (80, 40)
    assert shown.pixelColor(10, 20) == QColor(255, 0, 0)
    assert shown.pixelColor(70, 20) == QColor(0, 0, 255)


def test_a_very_large_picture_is_left_to_the_painter() -> None:
    image = np.full((20, 40, 3), 7, np.uint8)
    shown = rendering.picture(image, QSize(4000, 2000))
    assert (shown.width(), shown.height()) == (40, 20)


def test_a_mirrored_picture_swaps_left_and_right() -> None:
    image = np.zeros((20, 40, 3), np.uint8)
    image[:, :20, 0] = 255
    assert rendering.picture(image, QSize(40, 20), mirrored=True).pixelColor(30, 5).red() == 255


def test_read_only_and_strided_pictures_are_fine() -> None:
    image = np.full((20, 80, 3), 7, np.uint8)[:, ::2]
    image.flags.writeable = False
    assert rendering.picture(image, QSize(10, 5)).pixelColor(4, 2) == QColor(7, 7, 7)


def test_heat_is_opaque_where_the_network_looked_and_clear_elsewhere() -> None:
    activation = np.zeros((6, 6), np.float32)
    activation[3, 3] = 1.0
    image = rendering.heat(activation)
    middle = rendering.HEAT_SIZE // 2
    assert image.pixelColor(middle, middle).alpha() > 80
    for corner in (0, rendering.HEAT_SIZE - 1):
        assert image.pixelColor(corner, corner).alpha() == 0
    aside = np.zeros((6, 6), np.float32)
    aside[2, 3] = 1.0  # which looks at pixels 32 and 48 of 96
    image = rendering.heat(aside)
    opacity = [
        [image.pixelColor(x, y).alpha() for x in range(rendering.HEAT_SIZE)]
        for y in range(rendering.HEAT_SIZE)
    ]
    total = np.sum(opacity)
    places = (np.arange(rendering.HEAT_SIZE) + 0.5) / rendering.HEAT_SIZE
    assert np.sum(opacity, axis=0) @ places / total == pytest.approx(48.5 / 96, abs=0.03)
    assert np.sum(opacity, axis=1) @ places / total == pytest.approx(32.5 / 96, abs=0.05)
    everywhere = rendering.heat(np.ones((5, 5), np.float32))
    assert everywhere.pixelColor(0, 0).alpha() == 0  # the corners of the crop show no face


def test_the_legend_shows_the_colours_that_the_heatmap_draws_and_no_others() -> None:
    colours = [QColor(stop) for stop in rendering.heat_legend()]
    heat = [rendering.heat(np.full((6, 6), level, np.float32)) for level in (0.25, 1.0)]
    middle = rendering.HEAT_SIZE // 2
    assert heat[0].pixelColor(middle, middle).alpha() == 0  # the least is the picture itself
    assert colours[0].hslSaturationF() < 0.15
    most = heat[1].pixelColor(middle, middle)
    assert abs(most.hueF() - colours[-1].hueF()) < 0.03
    assert all(colour.red() > colour.blue() for colour in colours)  # nothing purple


def test_stacked_probabilities_fill_their_columns_from_the_bottom() -> None:
    colours = np.array([[255, 0, 0], [0, 255, 0]], np.uint8)
    shares = np.array([[0.25, 0.75], [np.nan, np.nan]], np.float32)
    image = rendering.stacked_probabilities(shares, np.zeros(2, bool), colours, 8)
    assert (image.width(), image.height()) == (2, 8)
    assert image.pixelColor(0, 7).red() > 200  # the first class is at the bottom …
    assert image.pixelColor(0, 5).green() > 200  # … and ends after a quarter
    assert image.pixelColor(1, 4).alpha() == 0


def test_affine_maps_as_the_matrix_does() -> None:
    matrix = np.array([[0.5, -0.2, 3.0], [0.1, 0.7, -4.0]], np.float32)
    mapped = rendering.affine(matrix).map(QPointF(10.0, 20.0))
    expected = matrix @ np.array([10.0, 20.0, 1.0])
    assert (mapped.x(), mapped.y()) == pytest.approx(tuple(expected))

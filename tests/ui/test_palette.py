"""Colours stay apart for everybody, and text stays readable on them."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from models.labels import EMOTIONS
from ui import palette

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
EYES = {
    "trichromat": np.eye(3),
    "protanope": np.array(
        [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]]
    ),
    "deuteranope": np.array(
        [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]]
    ),
}


def linear(colour: str) -> NDArray[np.float64]:
    channels = np.array(palette.rgb(colour)) / 255
    return np.asarray(
        np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    )


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    light = sorted(
        float(np.array([0.2126, 0.7152, 0.0722]) @ linear(colour)) for colour in (one, other)
    )
    return (light[1] + 0.05) / (light[0] + 0.05)


def test_every_class_has_a_colour() -> None:
    assert set(palette.EMOTION_COLOURS) == set(EMOTIONS)
    for name in EMOTIONS:
        assert palette.class_colour(name, EMOTIONS) == palette.EMOTION_COLOURS[name]


def test_other_classes_have_colours_of_their_own_as_well() -> None:
    for labels in (("day", "night", "party"), ("negative", "neutral", "positive"), (*"abcdefg",)):
        colours = [palette.class_colour(name, labels) for name in labels]
        assert len(set(colours)) == len(labels)
        assert set(colours) <= set(palette.EMOTION_COLOURS.values())
    assert palette.class_colour("neutral", ("negative", "neutral")) == "#939dab"
    many = (*EMOTIONS, *(f"action {number}" for number in range(60)))
    assert len({palette.class_colour(name, many) for name in many}) == len(EMOTIONS)


@pytest.mark.parametrize("eyes", EYES)
def test_emotion_colours_stay_apart(eyes: str) -> None:
    seen = {
        name: lab(EYES[eyes] @ linear(colour)) for name, colour in palette.EMOTION_COLOURS.items()
    }
    distances = {
        pair: float(np.linalg.norm(seen[pair[0]] - seen[pair[1]]))
        for pair in itertools.combinations(seen, 2)
    }
    assert min(distances.values()) > 14, min(distances, key=lambda pair: distances[pair])


def test_texts_are_readable() -> None:
    for text in (palette.TEXT, palette.TEXT_SOFT, palette.TEXT_FAINT):
        for ground in (palette.BACKGROUND, palette.SURFACE, palette.RAISED):
            assert contrast(text, ground) >= 4.5, (text, ground)
    for colour in palette.EMOTION_COLOURS.values():
        ink = palette.ink_on(colour)
        assert contrast(ink, colour) >= 4.5, colour
        assert palette.contrast(ink, colour) == pytest.approx(contrast(ink, colour), rel=1e-3)


def test_lookup_table_runs_through_its_stops() -> None:
    table = palette.lookup_table(("#000000", "#ff8000", "#ffffff"), 5)
    assert table.tolist() == [
        [0, 0, 0],
        [128, 64, 0],
        [255, 128, 0],
        [255, 192, 128],
        [255, 255, 255],
    ]

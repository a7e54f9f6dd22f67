"""Colours as hexadecimal strings, free of Qt so that ui/present and rendering can use them.

One accent, a soft blue, marks what can be operated; amber means "the network leaned on this".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

BACKGROUND: Final = "#0d1014"
SURFACE: Final = "#151920"
RAISED: Final = "#1e242d"
HOVER: Final = "#283039"
LINE: Final = "#2b323d"
GROOVE: Final = "#626d7c"  # of sliders; 3:1 against what lies behind, as WCAG 2.2 asks (1.4.11)
TEXT: Final = "#edf0f4"
TEXT_SOFT: Final = "#aab3c0"
TEXT_FAINT: Final = "#87919f"
ACCENT: Final = "#8ab4ff"
ATTENTION: Final = "#f4b04d"
GOOD: Final = "#58c894"
WARNING: Final = "#f2c14e"
ERROR: Final = "#ff7a6b"

# Chosen to stay apart under protanopia and deuteranopia (tests/ui/test_palette.py simulates both).
EMOTION_COLOURS: Final[Mapping[str, str]] = {
    "neutral": "#939dab",
    "happy": "#ffd84d",
    "sad": "#4478e8",
    "angry": "#e04f35",
    "fearful": "#c3a0f5",
    "disgusted": "#2aa876",
    "surprised": "#86e0ff",
}

MSAF_STOPS: Final = ("#7f9bff", "#3d4e92", "#232933", "#8f6523", "#ffc05c")  # neutral in the middle
SOUND_STOPS: Final = ("#10141a", "#23254a", "#2a4f7c", "#2f8f9d", "#7fd6bb", "#eafbf0")
HEAT_STOPS: Final = ("#5b1a6b", "#b0305c", "#ee6a3a", "#ffb347", "#fff2b8")


def class_colour(name: str, labels: Sequence[str]) -> str:
    """Colour of the class `name`, one of `labels` unless it is an emotion.

    Emotions have their own. Other classes take in turn those that none of `labels` owns, the grey
    of "neutral" last, and again from the first when there are no more.
    """
    if name in EMOTION_COLOURS:
        return EMOTION_COLOURS[name]
    colours = [*EMOTION_COLOURS.values()]
    colours = [*colours[1:], colours[0]]
    owned = {EMOTION_COLOURS.get(label) for label in labels}
    free = [colour for colour in colours if colour not in owned] or colours
    others = [label for label in labels if label not in EMOTION_COLOURS]
    return free[others.index(name) % len(free)]


def rgb(colour: str) -> tuple[int, int, int]:
    """`#rrggbb` as three numbers 0..255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def ink_on(colour: str) -> str:
    """The text colour, light or dark, that is easier to read on `colour`."""
    return max((TEXT, BACKGROUND), key=lambda ink: contrast(ink, colour))


def contrast(one: str, other: str) -> float:
    """How far apart two colours are in lightness, 1..21, as WCAG 2 counts it."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    shares = (channel / 255.0 for channel in rgb(colour))
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def lookup_table(stops: tuple[str, ...], size: int = 256) -> NDArray[np.uint8]:
    """Colours (size, 3) that run evenly through `stops`."""
    channels = np.array([rgb(stop) for stop in stops], dtype=np.float64)
    positions = np.linspace(0.0, len(stops) - 1.0, size)
    table = [np.interp(positions, np.arange(len(stops)), channel) for channel in channels.T]
    return np.asarray(np.rint(np.stack(table, axis=1)), dtype=np.uint8)

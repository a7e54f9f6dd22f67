"""Words and numbers as people read them.

Thread: any.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

PRIVACY: Final = (
    "Nothing leaves this computer; no picture, sound or answer is stored unless you ask for it."
)
PAUSED: Final = "Paused"
LEAST_DRAWN: Final = 0.005  # what is less than half a per cent has no bar
UNKNOWN: Final = "–"
_ROUNDING: Final = 1e-6  # of single precision: nearer than this is the same


def sentence(text: str) -> str:
    """`text` with a capital first letter."""
    return text[:1].upper() + text[1:]


def failure(text: str, path: Path | None = None) -> str:
    """`text` as a sentence, unless that would alter the name of a file: `path`'s, or another's."""
    is_known = path is not None and text.startswith((str(path), path.name))
    is_name = is_known or any(mark in text.partition(" ")[0] for mark in "./\\")
    return text if is_name else sentence(text)


def listed(names: Sequence[str]) -> str:
    """`names` as a list in a sentence."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def percent(value: float | None) -> str:
    """0..1 as whole per cent; what is only nearly none or all is not called so."""
    if value is None:
        return UNKNOWN
    if _ROUNDING < value < LEAST_DRAWN:
        return "<1\u202f%"
    if 0.995 <= value < 1.0 - _ROUNDING:
        return ">99\u202f%"
    return f"{100.0 * value:.0f}\u202f%"


def roughly(seconds: float) -> str:
    """A duration that is only estimated, in its largest unit."""
    if seconds < 59.5:
        return f"about {max(seconds, 1.0):.0f} s"
    if seconds < 5370:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.1f} h"


def decibels(level: float) -> str:
    """A sound level in dBFS, whole, with a true minus sign."""
    return f"{max(level, -99.0):.0f} dB".replace("-", "\u2212")


def milliseconds(seconds: float | None) -> str:
    """Seconds as whole milliseconds without their unit."""
    return "–" if seconds is None else f"{1000.0 * seconds:.0f}"

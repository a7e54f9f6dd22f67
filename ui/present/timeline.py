"""The timeline in words.

Thread: any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from realtime.clock import clock_time
from ui.present.words import sentence


def axis_end(*, paused: bool) -> str:
    """What a live axis of time ends with."""
    return "pause" if paused else "now"


_SHORT: Final = 3  # letters that names are shortened to, before there is room for fewer only


def short_names(name: str, names: Sequence[str]) -> tuple[str, ...]:
    """`name` in fewer letters, and in as few as tell it from all others of `names`."""
    others = [each.casefold() for each in names if each != name]

    def is_clear(letters: int) -> bool:
        return not any(each.startswith(name[:letters].casefold()) for each in others)

    fewest = next((count for count in range(1, len(name)) if is_clear(count)), len(name))
    lengths = sorted({max(_SHORT, fewest), fewest}, reverse=True)
    return tuple(sentence(name[:count]) for count in lengths if count < len(name))


_MOST_TOLD: Final = 10  # stretches, of which the one where playback stands is the last but one


def timeline_words(
    stretches: Sequence[tuple[str, float, float]],
    *,
    position: float | None = None,
    end: float = 0.0,
    paused: bool = False,
) -> str:
    """The timeline as screen readers tell it, from `stretches` of label, start and end in seconds.

    In a recording those around `position`; live the last ones, by how long before `end` they were.
    """
    if position is None:
        told = ", ".join(
            f"{name} {_reach(f'{end - start:.0f}', f'{end - stop:.0f}')} s"
            for name, start, stop in stretches[-_MOST_TOLD:]
        )
        return told and f"{told} {'before the pause' if paused else 'ago'}"
    begun = sum(start <= position for _, start, _ in stretches)
    first = max(0, min(begun + 1, len(stretches)) - _MOST_TOLD)
    told = ", ".join(
        f"{name} {_reach(clock_time(start), clock_time(stop))}"
        for name, start, stop in stretches[first : first + _MOST_TOLD]
    )
    return f"{told}; at {clock_time(position)}".removeprefix("; ")


def _reach(start: str, end: str) -> str:
    return start if start == end else f"{start}–{end}"

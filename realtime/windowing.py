"""Which window is due, and which pictures and sound belong to it.

Pure: numbers in, numbers out. Window k covers the sound [k·hop − length, k·hop) and the pictures
of the same span moved back by `picture_lag_seconds`. Each hop of a window is one slot; slot k is
the last hop of window k. Units: seconds on the packets' time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from realtime.config import WindowConfig

# Times are sums of floats: without this a hop that ends at 0.30000000000000004 would come late.
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open span of time."""

    start: float
    end: float


class WindowGrid:
    """The fixed grid of windows over packet time."""

    def __init__(self, config: WindowConfig) -> None:
        self._config = config

    def end(self, index: int) -> float:
        """End of window `index`, rounded to microseconds."""
        return round(index * self._config.hop_seconds, 6)

    def sound(self, index: int) -> Span:
        """Span of the sound in window `index`."""
        end = self.end(index)
        return Span(end - self._config.window_seconds, end)

    def newest_ended(self, time: float) -> int:
        """Newest window that ends by `time`."""
        return math.floor(time / self._config.hop_seconds + _EPSILON)

    def slot_of(self, picture_time: float) -> int:
        """Slot that a picture taken at `picture_time` belongs to."""
        late = picture_time + self._config.picture_lag_seconds
        return math.floor(late / self._config.hop_seconds + _EPSILON) + 1

    def first_slot(self, index: int) -> int:
        """First of the slots of window `index`; the last one is `index` itself."""
        return index - self._config.window_hops + 1

    def last_due(self, *, picture_time: float | None, sound_end: float | None) -> int | None:
        """Newest window of which all has arrived.

        Parameters
        ----------
        picture_time
            Time of the newest picture, None when no pictures are to be waited for.
        sound_end
            Time just after the newest sample, None when no sound is to be waited for.

        Returns
        -------
        The index, or None when neither is to be waited for.
        """
        due: list[int] = []
        if picture_time is not None:
            # A picture at or after the end proves that all before it have come.
            due.append(self.slot_of(picture_time) - 1)
        if sound_end is not None:
            due.append(self.newest_ended(sound_end))
        return min(due, default=None)

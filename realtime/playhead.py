"""Where playback of a recording stands, by the clock.

Pure: whoever has it says what time it is, and sees to the lock. Seconds: `now` is on a clock,
positions are in the recording.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Playhead:
    """Stood at `start` when the clock showed `since`, and moves from there while it plays."""

    since: float
    start: float = 0.0
    speed: float = 1.0
    playing: bool = False

    def position(self, now: float, *, reached: float, duration: float) -> float:
        """Where it stands: not beyond `reached` unless it was placed there, nor beyond the end."""
        return _within(min(self._unhindered(now), max(reached, self.start)), duration)

    def place(self, position: float, now: float, *, duration: float) -> None:
        """Go on from `position`."""
        self.start, self.since = _within(position, duration), now

    def wait(self, now: float, *, reached: float) -> None:
        """To be called before `reached` grows: the time spent waiting there is not made up for."""
        furthest = max(reached, self.start)
        if self._unhindered(now) > furthest:
            self.start, self.since = furthest, now

    @property
    def began(self) -> float:
        """What the clock showed, or would have, at position 0, where it moves at speed 1."""
        return self.since - self.start

    def _unhindered(self, now: float) -> float:
        return self.start + ((now - self.since) * self.speed if self.playing else 0.0)


def _within(position: float, duration: float) -> float:
    return min(max(position, 0.0), duration)

"""The one clock of a session, in seconds.

Thread: any.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds on one monotonic scale."""

    def now(self) -> float:
        """Seconds since an arbitrary fixed instant, never running backwards."""
        ...

    @property
    def epoch(self) -> float:
        """Time of day at 0: seconds since 1970, UTC, as the system's clock has it now."""
        ...


class MonotonicClock:
    """Live time: seconds since the clock was made.

    Quantised to microseconds, so that a recording's container keeps every timestamp exactly.
    """

    def __init__(self) -> None:
        self._origin = time.perf_counter()

    def now(self) -> float:
        """Seconds since construction."""
        return round(time.perf_counter() - self._origin, 6)

    @property
    def epoch(self) -> float:
        """See Clock.epoch."""
        return time.time() - self.now()


def clock_time(seconds: float, *, tenths: bool = False) -> str:
    """Seconds as m:ss, or h:mm:ss from an hour on; `tenths` adds a decimal."""
    total = max(seconds, 0.0)
    whole = int(total)
    text = f"{whole // 60 % 60}:{whole % 60:02d}"
    if whole >= 3600:
        text = f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{text}.{int(total * 10) % 10}" if tenths else text

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


class MonotonicClock:
    """Live time: seconds since the clock was made.

    Quantised to microseconds, so that a recording's container keeps every timestamp exactly.
    """

    def __init__(self) -> None:
        self._origin = time.perf_counter()

    def now(self) -> float:
        """Seconds since construction."""
        return round(time.perf_counter() - self._origin, 6)

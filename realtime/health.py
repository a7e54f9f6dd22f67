"""Rates and delays over the last seconds.

Thread: any; each object holds one lock and calls nobody while holding it. Units: seconds.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

LEAST_SECONDS: Final = 0.2  # that a rate is told of; drivers hand over what has gathered at once


class Rolling:
    """Values of the last `span_seconds`."""

    def __init__(self, span_seconds: float) -> None:
        self._lock = threading.Lock()
        self._span = span_seconds
        self._values: deque[tuple[float, float]] = deque()

    def add(self, now: float, value: float) -> None:
        """Note `value`, measured at `now`."""
        with self._lock:
            self._values.append((now, value))
            self._forget(now)

    def rate(self, now: float) -> float:
        """Values per second."""
        with self._lock:
            self._forget(now)
            if len(self._values) < 2:
                return 0.0
            first, last = self._values[0][0], self._values[-1][0]
            # Up to now, not to the last value: a stream that has stopped sinks towards zero.
            return (len(self._values) - 1) / max(now - first, last - first, LEAST_SECONDS)

    def quantiles(self, now: float, *wanted: float) -> tuple[float | None, ...]:
        """Quantiles (0..1), the value nearest to each; None while there are none."""
        with self._lock:
            self._forget(now)
            values = sorted(value for _, value in self._values)
        if not values:
            return tuple(None for _ in wanted)
        return tuple(values[round(each * (len(values) - 1))] for each in wanted)

    def clear(self) -> None:
        """Forget all values."""
        with self._lock:
            self._values.clear()

    def _forget(self, now: float) -> None:
        while self._values and self._values[0][0] < now - self._span:
            self._values.popleft()

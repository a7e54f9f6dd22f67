"""Fixed memory between the capture threads and the worker; the oldest is overwritten.

Thread: any. Each ring holds one lock and calls nobody while holding it. Units: seconds.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

import numpy as np

from realtime.messages import FloatArray, Sighting, VideoPacket

T = TypeVar("T")


class MessageRing(Generic[T]):
    """The last `capacity` messages of one kind."""

    def __init__(self, capacity: int = 32) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        self._lock = threading.Lock()
        self._messages: deque[T] = deque(maxlen=capacity)
        self._count = 0

    def push(self, message: T) -> None:
        """Add a message; when the ring is full its oldest one is lost."""
        with self._lock:
            self._messages.append(message)
            self._count += 1

    def read(self, seen: int) -> tuple[list[T], int, int]:
        """Messages pushed after the `seen`-th, oldest first.

        Returns the messages, the number pushed so far (hand it back next time), and how many of the
        asked-for messages had already been overwritten.
        """
        with self._lock:
            missed = self._count - seen
            kept = min(missed, len(self._messages))
            messages = list(self._messages)[len(self._messages) - kept :]
            return messages, self._count, missed - kept

    def latest(self) -> T | None:
        """Newest message."""
        with self._lock:
            return self._messages[-1] if self._messages else None

    def clear(self) -> None:
        """Forget all messages (the source was changed)."""
        with self._lock:
            self._messages.clear()


FrameRing = MessageRing[VideoPacket]
SightingRing = MessageRing[Sighting]


class SampleRing:
    """The last `capacity_seconds` of mono sound at one rate, without gaps.

    Sound that does not follow on from what is there (the source was away, or changed) starts the
    ring anew, since filling the gap would pass silence off as sound that was heard.
    """

    def __init__(
        self, sample_rate: int, capacity_seconds: float, gap_seconds: float = 0.05
    ) -> None:
        self.sample_rate = sample_rate
        self._lock = threading.Lock()
        self._samples = np.zeros(round(capacity_seconds * sample_rate), np.float32)
        self._gap_samples = round(gap_seconds * sample_rate)
        self._origin = 0.0  # s, time of sample number 0
        self._start = 0  # number of the first sample since the last restart
        self._end = 0  # number of the sample after the last

    def push(self, timestamp: float, samples: FloatArray) -> None:
        """Append mono samples (n,), the first of which was heard at `timestamp` seconds."""
        capacity = len(self._samples)
        with self._lock:
            due = self._origin + self._end / self.sample_rate
            lead = round((timestamp - due) * self.sample_rate)
            if self._end == self._start or abs(lead) > self._gap_samples:
                self._origin = timestamp - self._end / self.sample_rate
                self._start = self._end
            else:
                # The source's clock leans a little from packet to packet; follow it.
                self._origin += lead / self.sample_rate
            kept = samples[-capacity:]
            first = self._end + len(samples) - len(kept)
            position = first % capacity
            head = min(len(kept), capacity - position)
            self._samples[position : position + head] = kept[:head]
            self._samples[: len(kept) - head] = kept[head:]
            self._end += len(samples)

    @property
    def start_seconds(self) -> float | None:
        """Time of the oldest sample still there, None while empty."""
        with self._lock:
            if self._end == self._start:
                return None
            return self._origin + self._oldest() / self.sample_rate

    @property
    def end_seconds(self) -> float | None:
        """Time just after the newest sample, None while empty."""
        with self._lock:
            if self._end == self._start:
                return None
            return self._origin + self._end / self.sample_rate

    def read(self, start: float, end: float) -> tuple[float, FloatArray]:
        """Samples of [start, end) that are there, and the time of the first of them.

        The span is cut to what the ring holds; nothing there gives an empty array.
        """
        with self._lock:
            oldest = self._oldest()
            first = min(max(round((start - self._origin) * self.sample_rate), oldest), self._end)
            last = min(max(round((end - self._origin) * self.sample_rate), first), self._end)
            capacity = len(self._samples)
            begin, count = first % capacity, last - first
            head = self._samples[begin : begin + count]
            rest = self._samples[: count - len(head)]
            return self._origin + first / self.sample_rate, np.concatenate([head, rest])

    def clear(self) -> None:
        """Forget all samples (the source was changed or switched off)."""
        with self._lock:
            self._start = self._end

    def _oldest(self) -> int:
        return max(self._start, self._end - len(self._samples))

"""Fixed memory for what comes without end; the oldest is overwritten. Units: seconds.

Thread: a ring of pictures stands between threads, with one lock, and calls nobody while holding it;
a ring of samples belongs to one thread.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.arrays import FloatArray
from realtime.messages import VideoPacket

GAP_SECONDS: Final = 0.05  # sound further than this from where it should follow on starts anew
SLACK_SECONDS: Final = 0.001  # a packet's time may differ this much from the count; clocks jitter
MOST_BEND: Final = 0.02  # share by which sound is stretched or squeezed: a third of a semitone


class FrameRing:
    """The last few pictures: what is older when there is time for it is too late to be looked at.

    More would only take memory, 25 MB for each picture of a large camera.
    """

    def __init__(self, capacity: int = 4) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        self._lock = threading.Lock()
        self._frames: deque[VideoPacket] = deque(maxlen=capacity)
        self._count = 0

    def push(self, frame: VideoPacket) -> None:
        """Add a picture; when the ring is full its oldest one is lost."""
        with self._lock:
            self._frames.append(frame)
            self._count += 1

    def read(self, seen: int) -> tuple[list[VideoPacket], int, int]:
        """Pictures pushed after the `seen`-th, oldest first.

        Returns them, the number pushed so far (hand it back next time), and how many of the
        asked-for ones had already been overwritten.
        """
        with self._lock:
            missed = self._count - seen
            kept = min(missed, len(self._frames))
            frames = list(self._frames)[len(self._frames) - kept :]
            return frames, self._count, missed - kept

    @property
    def count(self) -> int:
        """Pictures pushed so far."""
        with self._lock:
            return self._count

    def latest(self) -> VideoPacket | None:
        """Newest picture."""
        with self._lock:
            return self._frames[-1] if self._frames else None

    def clear(self) -> int:
        """Forget all pictures; returns how many were pushed so far."""
        with self._lock:
            self._frames.clear()
            return self._count


@dataclass(frozen=True, slots=True)
class _Run:
    """Samples without a gap between them, from number `first` on."""

    first: int
    time: float  # s, of the first


class SampleRing:
    """The last `capacity_seconds` of mono sound at one rate, in runs without gaps.

    A sample's time never changes, so a span always reads the same. Time within a run is counted in
    samples; where packet times drift over 1 ms from that, new samples are stretched or squeezed by
    up to 2 %.

    Sound that does not follow on from what is there (the source was away, or changed) starts a new
    run, since filling the gap would pass silence off as sound that was heard.
    """

    def __init__(self, sample_rate: int, capacity_seconds: float) -> None:
        self.sample_rate = sample_rate
        self._samples = np.zeros(round(capacity_seconds * sample_rate), np.float32)
        self._gap_samples = round(GAP_SECONDS * sample_rate)
        self._slack_samples = round(SLACK_SECONDS * sample_rate)
        self._runs: deque[_Run] = deque()  # oldest first, each up to the next
        self._end = 0  # number of the sample after the last

    def push(self, timestamp: float, samples: FloatArray) -> tuple[float, FloatArray]:
        """Append mono samples (n,), the first of which was heard at `timestamp` seconds.

        Returns them as they are kept: the time of the first, and (n,) samples or up to 2 % more or
        fewer, rounded up.
        """
        capacity = len(self._samples)
        lead = round((timestamp - self._due()) * self.sample_rate) if self._runs else 0
        if not self._runs or abs(lead) > self._gap_samples:
            self._runs.append(_Run(self._end, timestamp))
        elif abs(lead) > self._slack_samples:
            samples = _bent(samples, lead - int(math.copysign(self._slack_samples, lead)))
        start = self._due()
        kept = samples[-capacity:]
        first = self._end + len(samples) - len(kept)
        position = first % capacity
        head = min(len(kept), capacity - position)
        self._samples[position : position + head] = kept[:head]
        self._samples[: len(kept) - head] = kept[head:]
        self._end += len(samples)
        while len(self._runs) > 1 and self._runs[1].first <= self._end - capacity:
            self._runs.popleft()
        return start, samples

    @property
    def end_seconds(self) -> float | None:
        """Time just after the newest sample, None while empty."""
        return self._due() if self._runs else None

    def read(self, start: float, end: float) -> tuple[float, FloatArray]:
        """Samples of [start, end) that are there, and the time of the first of them.

        The span is cut to one run, the last that begins before `end`; nothing there gives an empty
        array.
        """
        if not self._runs:
            return start, np.zeros(0, np.float32)
        begun = (index for index, run in enumerate(self._runs) if run.time < end)
        run, oldest, stop = self._held(max(begun, default=0))

        def number(time: float) -> int:
            return run.first + round((time - run.time) * self.sample_rate)

        first = min(max(number(start), oldest), stop)
        last = min(max(number(end), first), stop)
        return self._time(run, first), self._copy(first, last)

    def clear(self) -> None:
        """Forget all samples (the source was changed or switched off)."""
        self._runs.clear()

    def _due(self) -> float:
        """When the next sample of the newest run is due."""
        return self._time(self._runs[-1], self._end)

    def _time(self, run: _Run, number: int) -> float:
        return run.time + (number - run.first) / self.sample_rate

    def _held(self, index: int) -> tuple[_Run, int, int]:
        """A run, and the numbers of its oldest sample still there and of the one after its last."""
        run = self._runs[index]
        stop = self._runs[index + 1].first if index + 1 < len(self._runs) else self._end
        return run, max(run.first, self._end - len(self._samples)), stop

    def _copy(self, first: int, last: int) -> FloatArray:
        """Samples [first, last) by number."""
        begin, count = first % len(self._samples), last - first
        head = self._samples[begin : begin + count]
        return np.concatenate([head, self._samples[: count - len(head)]])


def _bent(samples: FloatArray, lead: int) -> FloatArray:
    """`samples` stretched by `lead` samples, or squeezed, by MOST_BEND at most."""
    most = math.ceil(MOST_BEND * len(samples))
    count = len(samples) + min(max(lead, -most), most)
    numbers = np.arange(len(samples))
    positions = np.linspace(0, len(samples) - 1, count)
    return np.interp(positions, numbers, samples).astype(np.float32)

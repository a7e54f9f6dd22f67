"""Sources and a clock that do what a test tells them, at once."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np

from models.arrays import FloatArray
from realtime.messages import AudioPacket, VideoPacket
from realtime.sources.base import Packet, Source, SourceError
from realtime.sources.microphone import SampleClock
from realtime.sources.synthetic import speech_like


class ManualClock:
    """A clock that stands still until the test moves it."""

    epoch = 1.8e9

    def __init__(self, now: float = 0.0) -> None:
        self.time = now

    def now(self) -> float:
        """Seconds since the test began, as it says."""
        return self.time

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds


class ListSource(Source[Packet]):
    """Gives the packets of a list, then nothing; every `open` begins at the first."""

    name = "list"

    def __init__(self, packets: Iterable[Packet]) -> None:
        self.packets: list[Packet] = list(packets)
        self.is_open = False
        self.opened = 0  # how often
        self._next = 0

    def open(self) -> None:
        """See Source.open."""
        assert not self.is_open, "opened twice without being closed"
        self.opened += 1
        self.is_open = True
        self._next = 0

    def read(self, timeout_seconds: float) -> Packet | None:
        """See Source.read; waits only where nothing is left."""
        assert self.is_open, "read while not open"
        if self._next == len(self.packets):
            threading.Event().wait(timeout_seconds)
            return None
        self._next += 1
        return self.packets[self._next - 1]

    def close(self) -> None:
        """See Source.close."""
        self.is_open = False


class FailingSource(ListSource[Packet]):
    """Raises `error` in place of packet `at`, the first `times` times; then recovers.

    With `at` None it is `open` that fails.
    """

    name = "failing"

    def __init__(
        self,
        packets: Iterable[Packet],
        *,
        at: int | None,
        times: int = 1,
        error: Exception | None = None,
    ) -> None:
        super().__init__(packets)
        self._at, self.failures_left = at, times
        self._error = error or SourceError("the cable is out: put it back in")

    def open(self) -> None:
        """See Source.open."""
        if self._at is None:
            self._fail()
        super().open()

    def read(self, timeout_seconds: float) -> Packet | None:
        """See Source.read."""
        if self._next == self._at:
            self._fail()
        return super().read(timeout_seconds)

    def _fail(self) -> None:
        if self.failures_left > 0:
            self.failures_left -= 1
            raise self._error


class BlockedSource(ListSource[VideoPacket]):
    """Its driver does not return from `read` until the test releases it."""

    name = "blocked"

    def __init__(self) -> None:
        super().__init__(pictures(1))
        self.reading = threading.Event()
        self.release = threading.Event()

    def read(self, timeout_seconds: float) -> VideoPacket | None:
        """See Source.read, but for the time."""
        self.reading.set()
        self.release.wait(30.0)
        return super().read(timeout_seconds)


def pictures(count: int, frame_rate: float = 30.0) -> list[VideoPacket]:
    """Small grey pictures, one after another."""
    return [
        VideoPacket(
            timestamp=number / frame_rate,
            sequence=number,
            image=np.full((4, 6, 3), number % 256, np.uint8),
        )
        for number in range(count)
    ]


def sound(
    samples: FloatArray, sample_rate: int, *, start: float = 0.0, block: int = 480
) -> list[AudioPacket]:
    """`samples` (n,) or (n, channels) cut into packets, the first sample at `start` seconds."""
    columns = samples.reshape(len(samples), -1)
    return [
        AudioPacket(
            timestamp=start + first / sample_rate,
            sequence=number,
            samples=columns[first : first + block],
            sample_rate=sample_rate,
        )
        for number, first in enumerate(range(0, len(columns), block))
    ]


def jittered_speech(seconds: float) -> list[AudioPacket]:
    """A microphone's packets of 10 ms.

    Its clock is off, arrival jitters by 12 ms, and the first block comes later than that.
    """
    rate, block = 48000, 480
    rng = np.random.default_rng(1)
    heard = np.resize(speech_like(rate), (round(100 * seconds), block))
    clock = SampleClock(rate)
    packets = []
    for number, samples in enumerate(heard):
        late = rng.uniform(0.0, 0.012) if number else 0.03
        arrival = (number + 1) * block / rate * (1 + 200e-6) + late
        packets.append(
            AudioPacket(
                timestamp=clock.stamp(block, arrival),
                sequence=number,
                samples=samples[:, None],
                sample_rate=rate,
            )
        )
    return packets

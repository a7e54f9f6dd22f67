"""Generated input at the pace of the clock: a camera with a moving picture, a speaking microphone.

For `bench`, for tests and for looking at the program without devices. Thread: the source's capture
thread. Times in seconds on the session's clock, and exact: packet k was "captured" at k periods
after opening. A reader who comes too late finds what a device would give: the newest frame, with
a gap in the numbers, and sound with an overflow.
"""

from __future__ import annotations

import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.arrays import FloatArray
from realtime.clock import Clock
from realtime.messages import AudioPacket, VideoPacket
from realtime.sources.base import Packet, Source, SourceError
from realtime.sources.microphone import BLOCK_SECONDS

Image = NDArray[np.uint8]

_SWAY_SECONDS: Final = (5.0, 3.0)  # periods of the pasted picture's movement, across and down
_BACKLOG_SECONDS: Final = 1.0  # of sound kept for a slow reader


class _Paced(Source[Packet]):
    """What both have in common: packets that fall due one period after another."""

    def __init__(self, clock: Clock, period_seconds: float) -> None:
        self._clock = clock
        self._period = period_seconds
        self._origin: float | None = None
        self._next = 0

    def open(self) -> None:
        """See Source.open."""
        self._origin, self._next = self._clock.now(), 0

    def close(self) -> None:
        """See Source.close."""
        self._origin = None

    def _wait(self, due_periods: int, timeout_seconds: float) -> int | None:
        """Whole periods since opening once there are `due_periods`, None if not in time."""
        if self._origin is None:
            raise SourceError("the synthetic source is not open")
        left = self._origin + due_periods * self._period - self._clock.now()
        if left > 0:
            time.sleep(min(left, timeout_seconds))
        # Half a thousandth of a period forgives the clock's rounding.
        passed = int((self._clock.now() - self._origin) / self._period + 5e-4)
        return passed if passed >= due_periods else None

    def _time(self, periods: int) -> float:
        assert self._origin is not None
        return self._origin + periods * self._period


class SyntheticCamera(_Paced[VideoPacket]):
    """A background that glides by; `image`, such as a face, is pasted in and sways about.

    `size` is (width, height); `image` (height, width, 3) RGB, shrunk if need be to leave it room to
    move.
    """

    name = "synthetic camera"

    def __init__(
        self,
        clock: Clock,
        *,
        size: tuple[int, int] = (1280, 720),
        frame_rate: float = 30.0,
        image: Image | None = None,
    ) -> None:
        super().__init__(clock, 1 / frame_rate)
        self._width, self._height = size
        self._image = None if image is None else self._fitted(image)
        # Two pictures wide, so that every position is a slice.
        across = np.linspace(0, 4 * np.pi, 2 * self._width, endpoint=False)
        down = np.linspace(0, np.pi, self._height)
        wave = 96 + 60 * np.sin(across) * np.sin(down)[:, None]
        self._background = np.stack([wave, wave[::-1], 192 - wave], axis=2).astype(np.uint8)

    def read(self, timeout_seconds: float) -> VideoPacket | None:
        """See Source.read."""
        number = self._wait(self._next, timeout_seconds)
        if number is None:
            return None
        self._next = number + 1
        return VideoPacket(
            timestamp=self._time(number), sequence=number, image=self.picture(number)
        )

    def picture(self, number: int) -> Image:
        """Frame `number` (height, width, 3), read-only."""
        first = 4 * number % self._width
        picture: Image = self._background[:, first : first + self._width].copy()
        if self._image is not None:
            height, width = self._image.shape[:2]
            across, down = (
                0.5 + 0.5 * np.sin(2 * np.pi * number * self._period / each)
                for each in _SWAY_SECONDS
            )
            left = round(across * (self._width - width))
            top = round(down * (self._height - height))
            picture[top : top + height, left : left + width] = self._image
        picture.flags.writeable = False
        return picture

    def _fitted(self, image: Image) -> Image:
        scale = 0.9 * min(self._width / image.shape[1], self._height / image.shape[0])
        if scale >= 1:
            return image
        rows, columns = (
            (np.arange(round(scale * length)) / scale).astype(int) for length in image.shape[:2]
        )
        return np.ascontiguousarray(image[rows[:, None], columns])


class SyntheticMicrophone(_Paced[AudioPacket]):
    """Says vowels for ever, or plays `samples` (n,) or (n, channels) at `sample_rate` in a loop."""

    name = "synthetic microphone"

    def __init__(
        self,
        clock: Clock,
        *,
        sample_rate: int = 48000,
        samples: FloatArray | None = None,
    ) -> None:
        self._sample_rate = sample_rate
        self._block = round(BLOCK_SECONDS * sample_rate)
        super().__init__(clock, self._block / sample_rate)
        sound = speech_like(sample_rate) if samples is None else samples
        self._loop = np.asarray(sound, np.float32).reshape(len(sound), -1)

    def read(self, timeout_seconds: float) -> AudioPacket | None:
        """See Source.read."""
        heard = self._wait(self._next + 1, timeout_seconds)
        if heard is None:
            return None
        number = max(self._next, heard - round(_BACKLOG_SECONDS / self._period))
        overflowed = number > self._next
        self._next = number + 1
        positions = np.arange(number * self._block, (number + 1) * self._block) % len(self._loop)
        samples = self._loop[positions]
        samples.flags.writeable = False
        return AudioPacket(
            timestamp=self._time(number),
            sequence=number,
            samples=samples,
            sample_rate=self._sample_rate,
            overflowed=overflowed,
        )


def speech_like(sample_rate: int, seconds: float = 4.0) -> FloatArray:
    """Sound that voice detectors take for speech, (n,) in [-0.5, 0.5]: a buzz through vowels.

    A voice of 110 to 150 Hz whose harmonics are weighted by three formants that move from vowel to
    vowel, with four syllables a second.
    """
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    pitch = 130 + 20 * np.sin(2 * np.pi * times / seconds)
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    vowels = np.array([[730, 1090, 2440], [270, 2290, 3010], [570, 840, 2410], [300, 870, 2240]])
    syllable = np.arange(4 * seconds + 1) / 4
    tracks = [
        np.interp(times, syllable, np.resize(vowels[:, formant], len(syllable)))
        for formant in range(3)
    ]
    sound = np.zeros_like(times)
    for harmonic in range(1, int(min(4000.0, 0.45 * sample_rate) / 150) + 1):
        weight = sum(
            np.exp(-(((harmonic * pitch - track) / (60 + 0.08 * track)) ** 2)) / (1 + index)
            for index, track in enumerate(tracks)
        )
        sound += (0.02 + weight) / np.sqrt(harmonic) * np.sin(harmonic * phase)
    sound *= 0.15 + np.sin(4 * np.pi * times) ** 2
    scaled: FloatArray = (0.5 * sound / np.abs(sound).max()).astype(np.float32)
    return scaled

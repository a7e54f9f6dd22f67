"""A microphone, through PortAudio (sounddevice).

Threads: PortAudio's own runs the callback, which stamps and copies the block, appends it to a
bounded deque and returns; the microphone's capture thread does all the rest. Without a lock this is
safe because deque.append and popleft are atomic, the blocks never change, and each attribute is
written by one side only: `_count` by the callback; everything else by the capture thread, and while
no stream is open. `_came` only ends a wait: it may be set after its block was read already. When
the capture thread falls behind, the deque loses its oldest blocks, and the gap in their numbers
tells.

Times are seconds on the session's clock, rates in Hz.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from models.arrays import FloatArray
from realtime.clock import Clock
from realtime.devices.listing import MicrophoneInfo
from realtime.devices.sound import ALSA_PERIODS, PORTAUDIO, microphones
from realtime.messages import AudioPacket
from realtime.sources.base import NoDeviceError, Source, SourceError

logger = logging.getLogger(__name__)

# A window's answer waits for the end of the block that its sound ends in.
BLOCK_SECONDS: Final = 0.005
# Besides the block that is being filled. With less, a moment without the interpreter's lock loses
# sound; with more, ALSA hands blocks over in bursts, and each burst is waited for.
DRIVER_BUFFER_SECONDS: Final = (ALSA_PERIODS - 1) * BLOCK_SECONDS
BACKLOG_SECONDS: Final = 2.0  # of blocks waiting to be read
START_PATIENCE_SECONDS: Final = 5.0  # sound servers wake sleeping devices, Bluetooth takes seconds
LEAN_SECONDS: Final = 10.0  # of sound, over which the lean towards arrival is averaged
FAR_SECONDS: Final = 0.1  # between count and arrival is far, and after …
ANCHOR_SECONDS: Final = 1.0  # … of sound that is far there is a new anchor
MEASURED_SECONDS: Final = 3.0  # each of the spans in which a device's rate is measured
RATE_TOLERANCE: Final = 0.005  # of it; sound cards are off by 200 millionths
PATIENCE_SECONDS: Final = 0.8  # then a silent callback means that the device is gone


class SampleClock:
    """When samples were heard: counted from an anchor, leaning gently towards their arrival.

    Counting alone drifts, for a sound card's second is up to 200 millionths off; arrival alone
    jitters by whole blocks. The lean is an average over LEAN_SECONDS, which lags a drift of 200
    ppm by 2 ms. It is quicker just after an anchor, when there is little to average, and never
    bends time by more than a tenth. Arrival that stays far from the count for ANCHOR_SECONDS
    (the driver lost sound silently, the computer slept) sets a new anchor.

    A device whose rate is quite another than it says (44.1 and 48 kHz mixed up) would get an anchor
    each second, and its sound fall to pieces: `sample_rate` becomes what is measured.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate  # Hz, of the samples stamped last
        self._end: float | None = None  # of the last block
        self._averaged = 0.0  # s of sound since the anchor
        self._off = 0.0  # s of sound for which arrival has been far from the count
        self._count = 0  # samples since measuring began
        self._least_late = [np.inf]  # s behind that count, in each span of the measurement

    def stamp(self, n_samples: int, arrival: float, *, lost: bool = False) -> float:
        """Time of the first of `n_samples` new samples, the last of which was heard at `arrival`.

        `lost`: samples are missing before them. Times never run backwards.
        """
        lost = self._measure(n_samples, arrival, lost=lost) or lost
        span = n_samples / self.sample_rate
        start = arrival - span
        if self._end is None:
            self._end = start
        apart = start - self._end
        self._off = self._off + span if abs(apart) > FAR_SECONDS else 0.0
        if lost or self._off > ANCHOR_SECONDS:
            # Time goes on, also where the count had been ahead of arrival.
            start = max(start, self._end)
            self._averaged = self._off = 0.0
        else:
            weight = span / min(self._averaged + span, LEAN_SECONDS) if span else 0.0
            bend = 0.1 * span
            start = self._end + min(max(weight * apart, -bend), bend)
        self._averaged += span
        self._end = start + span
        return start

    def _measure(self, n_samples: int, arrival: float, *, lost: bool) -> bool:
        """Take another rate for the device's own where it clearly is; whether it was.

        Blocks are handed over late by anything, but never early, so that the least late of a span
        shows how far the count has come off. Two steps from span to span must agree: a sound
        server that changes its delay, or a computer that slept, makes one.
        """
        if lost:
            self._count, self._least_late = 0, [np.inf]
        self._count += n_samples
        late = arrival - self._count / self.sample_rate
        self._least_late[-1] = min(self._least_late[-1], late)
        if self._count < len(self._least_late) * MEASURED_SECONDS * self.sample_rate:
            return False
        if len(self._least_late) < 3:
            self._least_late.append(np.inf)
            return False
        first, second = np.diff(self._least_late) / MEASURED_SECONDS
        self._count, self._least_late = 0, [np.inf]
        agree = abs(first - second) < RATE_TOLERANCE < min(abs(first), abs(second))
        stretch = 1 + (first + second) / 2
        if not agree or not 0.5 < stretch < 2.0:
            return False
        rate = round(self.sample_rate / stretch)
        logger.info("sound comes at %d samples a second, not at %d", rate, self.sample_rate)
        self.sample_rate = rate
        return True


@dataclass(frozen=True, slots=True)
class _Block:
    number: int  # counts blocks since open()
    arrival: float  # s, when its last sample was heard, as well as the driver knows
    overflowed: bool
    samples: FloatArray


class MicrophoneSource(Source[AudioPacket]):
    """Sound of the microphone called `selector`: "default", its number, its name or a part of it.

    Sound comes at the device's own rate, as measured where that is quite another than it says, mono
    or stereo, in packets of 5 ms.
    """

    def __init__(self, selector: str, clock: Clock) -> None:
        self._selector = selector.strip()
        self._clock = clock
        self._name = "microphone" if self._selector == "default" else self._selector
        # What a number stood for, since numbers change: a name, …
        self._known: str | None = None
        self._place = 0  # … and which of those that are called so
        self._stream: Any = None
        self._sample_rate = 0  # as the device says
        self._came = threading.Event()
        self._blocks: deque[_Block] = deque(maxlen=round(BACKLOG_SECONDS / BLOCK_SECONDS))
        self._count = 0  # blocks heard
        self._next = 0  # number of the block to be read next
        self._sample_clock = SampleClock(1)
        self._silence_left = 0.0

    @property
    def name(self) -> str:
        """The device's name, once it was open."""
        return self._name

    def open(self) -> None:
        """See Source.open; looks anew for devices that were plugged in meanwhile."""
        self.close()
        with PORTAUDIO.devices() as sounddevice:
            found = microphones(sounddevice)
            info = find_microphone(found, self._known or self._selector, self._place)
            stream = self._opened_stream(sounddevice, info)
            PORTAUDIO.opened()
        self._stream, self._name = stream, info.name
        if self._selector != "default" and self._known is None:
            self._known = info.name
            self._place = [each for each in found if each.name == info.name].index(info)

    def read(self, timeout_seconds: float) -> AudioPacket | None:
        """See Source.read."""
        if self._stream is None:
            raise SourceError(f"{self._name} is not open")
        self._came.clear()
        if not self._blocks and not self._came.wait(timeout_seconds):
            # Waits are summed, not read off the clock: a process that was held up as a whole must
            # not take that for a microphone gone.
            self._silence_left -= timeout_seconds
            if self._silence_left <= 0 or not PORTAUDIO.is_active(self._stream):
                raise SourceError(f"the microphone {self._name} has stopped: check its cable")
            return None
        if not self._blocks:
            return None  # the callback was told of late, its block read already
        self._silence_left = PATIENCE_SECONDS
        block = self._blocks.popleft()
        lost = block.overflowed or block.number != self._next
        self._next = block.number + 1
        start = self._sample_clock.stamp(len(block.samples), block.arrival, lost=lost)
        return AudioPacket(
            timestamp=round(start, 6),  # to the session's clock, which a recording can keep
            sequence=block.number,
            samples=block.samples,
            sample_rate=self._sample_clock.sample_rate,
            overflowed=block.overflowed,
        )

    def close(self) -> None:
        """See Source.close."""
        stream, self._stream = self._stream, None
        if stream is not None:
            PORTAUDIO.close(stream)

    def _opened_stream(self, sounddevice: Any, info: MicrophoneInfo) -> Any:
        """A running stream; some drivers take only the device's own number of channels."""
        self._sample_rate = info.sample_rate
        self._sample_clock = SampleClock(info.sample_rate)
        self._silence_left = START_PATIENCE_SECONDS
        problem: Exception | None = None
        for channels in dict.fromkeys((min(info.channels, 2), info.channels, 1)):
            self._blocks.clear()
            self._count = self._next = 0
            try:
                stream = sounddevice.InputStream(
                    device=info.index,
                    channels=channels,
                    samplerate=info.sample_rate,
                    blocksize=round(BLOCK_SECONDS * info.sample_rate),
                    latency=DRIVER_BUFFER_SECONDS,
                    dtype="float32",
                    callback=self._hear,
                )
            except (sounddevice.PortAudioError, ValueError) as error:
                problem = error
                continue
            try:
                self._latency = float(stream.latency)
                stream.start()
            except sounddevice.PortAudioError as error:
                stream.close(ignore_errors=True)
                problem = error
                continue
            return stream
        raise SourceError(
            f"the microphone {info.name} cannot be opened ({problem}): close other programs that "
            f"use it, allow this one to, or choose another"
        ) from problem

    def _hear(self, data: FloatArray, n_samples: int, time_info: Any, status: Any) -> None:
        """Thread: PortAudio's."""
        now = self._clock.now()
        # How long ago the block's last sample was heard. Drivers make this figure up (zero, or a
        # third of a second for a moment), so it counts only within the stream's own latency.
        age = time_info.currentTime - time_info.inputBufferAdcTime - n_samples / self._sample_rate
        samples = np.array(data, np.float32)
        samples.flags.writeable = False
        self._blocks.append(
            _Block(
                number=self._count,
                arrival=now - age if 0.0 <= age <= self._latency else now,
                overflowed=bool(status.input_overflow),
                samples=samples,
            )
        )
        self._count += 1
        self._came.set()


def find_microphone(found: list[MicrophoneInfo], selector: str, place: int = 0) -> MicrophoneInfo:
    """The one that `selector` means: "default", a number, a name, or a part of one name only.

    Of several with the same name it is the one at `place`, or the last where there are fewer now.
    Raises NoDeviceError, saying what there is.
    """
    if not found:
        raise NoDeviceError("there is no microphone: plug one in")
    if selector == "default":
        for each in found:
            if each.is_default:
                return each
        return found[0]
    exact = [each for each in found if selector in (str(each.index), each.name)]
    matches = exact or [each for each in found if selector.casefold() in each.name.casefold()]
    if not matches or not selector:
        raise NoDeviceError(f"there is no microphone “{selector}”")
    if len(matches) > 1 and not exact:
        names = ", ".join(each.name for each in matches)
        raise NoDeviceError(f"“{selector}” fits several microphones, say more of its name: {names}")
    return matches[min(place, len(matches) - 1)]

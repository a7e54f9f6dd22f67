"""A recording's sound, heard in step with its picture.

Threads: `sound` runs `run`, which opens and closes the device and decodes a little ahead;
PortAudio's own thread runs the callback, which looks up what is heard now. This needs no lock: what
`sound` hands to the callback (`_began`, `_blocks`) is replaced as a whole and never changed, and
all other state of the callback is its own while a stream is open. `muted` may be set and `problem`
read by any thread. Times are seconds, of the recording or of the clock that plays it.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.arrays import FloatArray
from realtime.closing import Closing
from realtime.devices.sound import PORTAUDIO, loudspeaker
from realtime.recording.players import SoundPlayer
from realtime.sources.base import SourceError

logger = logging.getLogger(__name__)

STEP_SECONDS: Final = 0.02
BLOCK_SECONDS: Final = 0.02
# The longest that the callback may wait for the interpreter's lock before the sound breaks up.
DRIVER_BUFFER_SECONDS: Final = 0.3
MOST_DELAY_SECONDS: Final = 1.0  # a longer delay is the driver's invention
AHEAD_SECONDS, BEHIND_SECONDS = 1.0, 0.3  # what is kept decoded around the position
LEAP_SECONDS: Final = 20.0  # up to here decoding on is as quick as seeking
# Recorded times are rounded: sound that begins this near to the end of the last joins it.
SEAM_SECONDS: Final = 0.02
APART_SECONDS: Final = 0.04  # from the picture, on average, until sound leaps
APART_WEIGHT: Final = 0.05  # of the newest block in that average
SAME_SECONDS: Final = 0.005  # beginnings this near are one
RETRY_SECONDS: Final = 5.0  # until a device that was missing or failed is tried again
# Of silence, until the device is closed: while it is open no new devices are found.
IDLE_SECONDS: Final = 3.0


class SoundPlayback(Closing):
    """Plays sound at real time, as long as somebody else says that it is to be heard.

    `began` tells when, on the clock `now`, the recording's first instant was or would have been
    heard; None for silence. A device that is missing or fails is tried again and again; meanwhile
    `problem` says why there is no sound.
    """

    def __init__(
        self,
        path: Path,
        began: Callable[[], float | None],
        now: Callable[[], float],
        stopping: threading.Event,
        anew: threading.Event | None = None,
    ) -> None:
        """`anew`: see Recording."""
        self.muted = False
        self.problem = ""
        self._path, self._began_at, self._now, self._stopping = path, began, now, stopping
        self._anew = anew
        self._began: float | None = None
        self._blocks: tuple[tuple[int, FloatArray], ...] = ()  # number of the first sample, samples
        # The sound thread's own.
        self._stream: Any = None
        self._player: SoundPlayer | None = None
        self._retry_at = -math.inf
        self._wanted_at = -math.inf
        self._from = self._reach = math.inf  # s, span that is decoded; at first nothing
        self._due: int | None = None  # number of the sample after the newest block
        # Set before a stream is opened, then the callback's own or unchanged.
        self._rate, self._channels, self._latency = 1, 1, 0.0
        self._cursor = 0  # number of the sample to be heard next
        self._gain = 0.0  # at the end of the last block
        self._heard: float | None = None  # the beginning that the cursor belongs to
        self._apart = 0.0  # samples that the cursor is late by, averaged
        self._underflows = 0  # how often the driver ran dry

    def run(self) -> None:
        """Play until stopped. Thread: sound."""
        with self:
            try:
                while not self._stopping.wait(STEP_SECONDS):
                    self.step()
            except Exception as error:
                logger.exception("the sound failed")
                self.problem = f"the sound failed: {error}"

    def step(self) -> None:
        """Have the sound ready that is to be heard, in an open device; close it after silence."""
        began = None if self.muted else self._began_at()
        now = self._now()
        if began is None:
            self._began = None
            if now - self._wanted_at > IDLE_SECONDS:
                self.close()
            return
        self._wanted_at = now
        if now < self._retry_at:
            return
        try:
            player = self._player or self._open()
            if not PORTAUDIO.is_active(self._stream):
                raise SourceError("the loudspeaker has stopped: is it still connected?")
            self._decode(player, self._now() - began)
        except SourceError as error:
            self._retry_at = now + RETRY_SECONDS
            if str(error) != self.problem:
                logger.info("no sound: %s", error)
                self.problem = str(error)  # before the driver, which may block for good
            self.close()
        else:
            self._began, self.problem = began, ""

    def close(self) -> None:
        """Let go of the device and the file."""
        self._began = None
        stream, self._stream = self._stream, None
        if stream is not None:
            PORTAUDIO.close(stream)
            if self._underflows:
                logger.info("the sound card ran dry %d times", self._underflows)
        player, self._player = self._player, None
        if player is not None:
            player.close()

    def _open(self) -> SoundPlayer:
        """Start a stream, which is silent for now, and open the file for it."""
        with PORTAUDIO.devices() as sounddevice:
            info = loudspeaker(sounddevice)
            self._rate, self._channels = info.sample_rate, min(info.channels, 2)
            self._blocks, self._gain, self._underflows = (), 0.0, 0
            try:
                stream = sounddevice.OutputStream(
                    device=info.index,
                    channels=self._channels,
                    samplerate=info.sample_rate,
                    blocksize=round(BLOCK_SECONDS * info.sample_rate),
                    latency=DRIVER_BUFFER_SECONDS,
                    dtype="float32",
                    callback=self._play,
                )
                self._latency = float(stream.latency)
                PORTAUDIO.opened()
                self._stream = stream
                stream.start()
            except (sounddevice.PortAudioError, ValueError) as error:
                raise SourceError(f"{info.name} cannot be opened ({error})") from error
        self._from = self._reach = math.inf
        self._player = SoundPlayer(
            self._path, sample_rate=self._rate, channels=self._channels, anew=self._anew
        )
        return self._player

    def _decode(self, player: SoundPlayer, position: float) -> None:
        """Have the sound around `position` ready."""
        if player.lost or not self._from <= position <= self._reach + LEAP_SECONDS:
            player.seek(max(0.0, position - BEHIND_SECONDS))  # decoders need a run-up
            self._blocks, self._due = (), None
            self._from = self._reach = position
        oldest = position - BEHIND_SECONDS
        blocks = list(self._blocks)
        while self._reach < position + AHEAD_SECONDS and not self._stopping.is_set():
            if (sound := player.read()) is None:
                self._reach = math.inf
                break
            time, samples = sound
            first = round(time * self._rate)
            if self._due is not None and abs(first - self._due) < SEAM_SECONDS * self._rate:
                first = self._due
            self._due = first + len(samples)
            self._reach = max(self._reach, self._due / self._rate)
            if self._due > oldest * self._rate:
                blocks.append((first, samples))
        self._blocks = tuple(
            (first, samples)
            for first, samples in blocks
            if first + len(samples) > oldest * self._rate
        )
        self._from = max(self._from, oldest)

    # -- PortAudio's thread ---------------------------------------------------------------------

    def _play(self, out: FloatArray, count: int, times: Any, status: Any) -> None:
        """Fill `out` (count, channels) with what is to be heard when it comes out.

        Sound fades in and out within a block, so that nothing clicks. After a seek, or when a sound
        card has drifted too far, it fades out here and in at the right place.
        """
        self._underflows += bool(status.output_underflow)
        began = self._began
        delay = times.outputBufferDacTime - times.currentTime
        if not 0.0 < delay <= MOST_DELAY_SECONDS:
            delay = self._latency
        wanted = 0 if began is None else round((self._now() + delay - began) * self._rate)
        if not self._gain:
            self._cursor, self._heard, self._apart = wanted, began, 0.0
        self._apart += APART_WEIGHT * (wanted - self._cursor - self._apart)
        in_step = (
            began is not None
            and self._heard is not None
            and abs(began - self._heard) < SAME_SECONDS
            and abs(self._apart) < APART_SECONDS * self._rate
        )
        ramp = np.linspace(self._gain, float(in_step), count, dtype=np.float32)
        out[:] = self._sound(count) * ramp[:, None] if in_step or self._gain else 0.0
        self._gain = float(in_step)
        self._cursor += count

    def _sound(self, count: int) -> FloatArray:
        """What the recording has at the cursor, (count, channels); silence where it has nothing."""
        sound = np.zeros((count, self._channels), np.float32)
        for first, samples in self._blocks:
            begin = max(first, self._cursor)
            end = min(first + len(samples), self._cursor + count)
            if begin < end:
                sound[begin - self._cursor : end - self._cursor] = samples[
                    begin - first : end - first
                ]
        return sound

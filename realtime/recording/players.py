"""What belongs to an instant of a recording: its picture, its sound.

Thread: each player belongs to one. Times are seconds from the start of the recording, see
realtime/recording/recording.py.
"""

from __future__ import annotations

import math
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

import av
import numpy as np
from av.audio.frame import AudioFrame

from models.arrays import FloatArray
from realtime.closing import Closing
from realtime.messages import VideoPacket
from realtime.recording.container import DECODING_ERRORS
from realtime.recording.recording import Recording
from realtime.recording.track import RecordedTrack, samples_of
from realtime.resampling import harmless
from realtime.sources.base import UnreadableFileError

_THREADS: Final = 2  # that decode pictures
_SEEK_AHEAD: Final = 1.5  # s; up to here decoding on is cheaper than seeking


class FramePlayer(Closing):
    """Pictures of a recording by their time: cheap when time runs forward, exact after a leap.

    Raises UnreadableFileError as `Recording` does, and when there are no pictures.
    """

    def __init__(self, path: Path, *, anew: threading.Event | None = None) -> None:
        """`anew`: see Recording."""
        with Recording(path) as recording:
            if not recording.has_video:
                raise UnreadableFileError(f"{recording.name} has no picture to show")
            self._origin = recording.picture_start_seconds
        self._path = Path(path)
        self._track = RecordedTrack(self._path, "video", _THREADS, anew or threading.Event())
        self._current = self._track.take()
        self._earliest = -math.inf if self._current is None else self._current.time
        self._packet: VideoPacket | None = None  # the newest that was given
        self._tried = False  # whether the current frame was made a packet, as far as it can be
        self._count = 0

    def frame_at(self, seconds: float) -> VideoPacket:
        """The picture seen at `seconds`: the newest one not after it.

        Before the first picture that is the first one, after the last the last. As long as the
        picture stays the same, so does the packet; `sequence` counts the packets given. Where a
        picture cannot be converted, the packet given before stays.
        Raises UnreadableFileError when the file cannot be read any more.
        """
        # Before the first picture and after the last a search would be repeated at every call.
        wanted = max(seconds + self._origin, self._earliest)
        if (
            self._current is None
            or self._track.lost
            or wanted < self._current.time
            or (wanted > self._track.end + _SEEK_AHEAD and self._track.peek() is not None)
        ):
            self._seek(wanted)
        while (following := self._track.peek()) is not None and following.time <= wanted:
            self._take()
        if self._current is None:
            raise UnreadableFileError(f"{self._path.name} cannot be read any more: open it again")
        if not self._tried:
            self._tried = True
            with suppress(*DECODING_ERRORS):
                self._packet = VideoPacket(
                    timestamp=self._current.time - self._origin,
                    sequence=self._count,
                    image=self._track.image(self._current),
                )
                self._count += 1
        if self._packet is None:
            raise UnreadableFileError(f"the pictures of {self._path.name} cannot be shown")
        return self._packet

    def close(self) -> None:
        """Let go of the file."""
        self._track.close()

    def _take(self) -> None:
        self._current, self._tried = self._track.take(), False

    def _seek(self, wanted: float) -> None:
        """Stand on a frame not after `wanted`, or on the first one."""
        self._track.lead_before(wanted)
        self._take()


class SoundPlayer(Closing):
    """Sound of a recording from any instant on, as a device takes it.

    Raises UnreadableFileError as `Recording` does, and when there is no sound.
    """

    def __init__(
        self,
        path: Path,
        *,
        sample_rate: int,
        channels: int,
        anew: threading.Event | None = None,
    ) -> None:
        """`channels`: one or two; others are mixed into them. `anew`: see Recording."""
        with Recording(path) as recording:
            if not recording.has_audio:
                raise UnreadableFileError(f"{recording.name} has no sound to play")
            self._origin = recording.sound_start_seconds
        self._sample_rate, self._layout = sample_rate, "mono" if channels == 1 else "stereo"
        self._resampler: av.AudioResampler | None = None
        self._resampled: tuple[str, str, int] | None = None  # format that the resampler is for
        self._track = RecordedTrack(Path(path), "audio", 1, anew or threading.Event())

    @property
    def lost(self) -> bool:
        """Whether the last seek is now known to have led to the wrong place: seek again."""
        return self._track.lost

    def seek(self, seconds: float) -> None:
        """Go on with what is heard at `seconds`, or with something before it."""
        self._track.lead_before(seconds + self._origin)
        self._resampled = None

    def read(self) -> tuple[float, FloatArray] | None:
        """The next sound, when it begins and samples (n, channels); None at the end."""
        while (timed := self._track.take()) is not None:
            with suppress(*DECODING_ERRORS):
                frames = self._resample(cast(AudioFrame, timed.frame))
                if frames:
                    return timed.time - self._origin, np.concatenate([*map(samples_of, frames)])
        return None

    def close(self) -> None:
        """Let go of the file."""
        self._track.close()

    def _resample(self, frame: AudioFrame) -> list[AudioFrame]:
        kind = frame.format.name, frame.layout.name, frame.sample_rate
        if self._resampler is None or kind != self._resampled:  # it may change within a file
            self._resampled = kind
            self._resampler = av.AudioResampler("flt", self._layout, self._sample_rate)
        frame.pts = None  # the track's times count
        return self._resampler.resample(_harmless_frame(frame))


def _harmless_frame(frame: AudioFrame) -> AudioFrame:
    """The same sound, made harmless where it is floating point, which can hold anything.

    FFmpeg's resampler would spread a NaN over its neighbours.
    """
    if not frame.format.name.startswith(("flt", "dbl")):
        return frame
    samples = np.ascontiguousarray(harmless(samples_of(frame)).reshape(1, -1))
    clean = AudioFrame.from_ndarray(samples, format="flt", layout=frame.layout.name)
    clean.sample_rate = frame.sample_rate
    return clean

"""One track of a recording, decoded frame by frame on a scale of time that never falls back.

Thread: that of whoever has it. Times are seconds on the container's scale. What the frames' own
timestamps say counts, never the rate the container claims.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from models.arrays import FloatArray
from realtime.recording.container import (
    DECODING_ERRORS,
    FAR_AHEAD,
    MAX_PIXELS,
    USUAL_FRAME_RATE,
    WORDS,
    Kind,
    frame_rate_of,
    open_container,
    pixel_aspect_of,
    stated_length_of,
    stream_of,
)
from realtime.rings import GAP_SECONDS

# These decoders do not report damage within a picture: its lower part keeps whatever was in memory
# before, which differs from run to run.
HIDES_DAMAGE: Final = frozenset({"mjpeg"})
NOTED_SECONDS: Final = 0.5  # differences in length shorter than this are not worth a word

_LEAST_STEP: Final = 0.001  # s, between pictures whose recorded times do not rise
# s; times that fall back this far have begun anew. A decoding time may be the demuxer's guess, and
# off by the reordering of pictures, which is less.
_FAR_BACK: Final = 0.5
_SOUND_LEAN: Final = 0.1  # share of a difference below GAP_SECONDS that is followed at once
# PyAV (18.1) crashes on planar sound of this many channels or more: it reads past its planes.
_MANY_CHANNELS: Final = 8
_FAILED_READS: Final = 100  # in a row, and the rest of the file is given up

_Matrix: TypeAlias = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Timed:
    """One decoded frame and when it begins, in seconds on the container's scale."""

    time: float
    frame: VideoFrame | AudioFrame


class _Timeline:
    """Moves the times of a file's packets, which may begin anew in its middle, onto one scale.

    It sees the packets of both tracks in the file's order, so that both are moved by the same, and
    every reader who starts at the beginning moves them by the same.
    """

    def __init__(self, container: InputContainer, anew: threading.Event) -> None:
        """`anew` is set where times begin anew."""
        self._anew = anew
        self._stated_end = (container.start_time or 0) / av.time_base
        self._stated_end += stated_length_of(container) or 0.0
        self._reach = -math.inf  # s, the latest time so far
        self._newest = 0.0  # s, what is added to times since they last began anew
        self._shifts: dict[int, float] = {}  # s, what is added to each stream's
        self._decoded: dict[int, float] = {}  # decoding time of each stream's newest packet

    def place(self, packet: Any) -> None:
        """Move the packet's times; an impossible presentation time is removed."""
        if packet.dts is None:  # the only time that rises from packet to packet
            return
        stream, tick = packet.stream.index, float(packet.time_base)
        recorded, last = packet.dts * tick, self._decoded.get(stream)
        shift = self._shifts.get(stream, self._newest)
        if last is not None:
            # Once the other track has restarted, any step back here counts as a restart too.
            if shift != self._newest and not self._may_be(recorded + shift, last):
                shift = self._newest
            if not self._may_be(recorded + shift, last - _FAR_BACK):
                shift = self._newest = self._reach - recorded
                self._anew.set()
        self._shifts[stream] = shift
        ticks = round(shift / tick)
        packet.dts += ticks
        self._decoded[stream] = decoded = packet.dts * tick
        self._reach = max(self._reach, decoded)
        if packet.pts is None:
            return
        packet.pts += ticks
        if self._may_be(packet.pts * tick, decoded - _FAR_BACK):
            self._reach = max(self._reach, (packet.pts + (packet.duration or 0)) * tick)
        else:
            packet.pts = None

    def _may_be(self, time: float, earliest: float) -> bool:
        latest = max(self._reach + FAR_AHEAD, self._stated_end + _FAR_BACK)
        return earliest <= time <= latest


class RecordedTrack:
    """The pictures or the sound of a file, with its own hold on the file.

    Two holds make merging independent of how the container interleaves its tracks: neither track
    ever waits in memory for the other.
    """

    def __init__(
        self,
        path: Path,
        kind: Kind,
        threads: int,
        anew: threading.Event,
        *,
        strict: bool = False,
    ) -> None:
        """`anew`: see Recording. `strict`: refuse pictures whose damage FFmpeg would not report."""
        self.kind = kind
        self._path, self._threads, self._anew, self._strict = path, threads, anew, strict
        self.damaged_at: float | None = None  # where decoding first failed
        self.gap: tuple[float, float] | None = None  # where sound is first missing
        self.end = 0.0  # just after the newest frame
        # Kept from picture to picture, since setting one up costs as much as converting with it.
        self._reformatter = VideoReformatter()
        # Reading side data creates a reference cycle, so the frame is freed only by the garbage
        # collector. FFmpeg reuses freed buffers to conceal damage, so that timing would show. We
        # read the matrix only when the rotation changes and keep those few frames.
        self._rotation: int | None = None  # degrees; None before the first picture
        self._matrix: _Matrix | None = None
        self._matrix_of: VideoFrame | None = None
        self._open()
        self._go_on(self._packets(), sought=False)

    def _open(self) -> None:
        """Take hold of the file; its beginning is what will be read next."""
        self.container = open_container(self._path)
        streams = {kind: stream_of(self.container, kind) for kind in WORDS}
        self._followed = [stream for stream in streams.values() if stream is not None]
        stream = streams[self.kind]
        self.codec: str | None = None  # its name; None when there is no such track
        self._stream: Any = None  # None also when there is no decoder for it
        if stream is not None:
            self.codec = stream.codec_context.name if stream.codec_context else "unknown format"
            self._stream = stream if stream.codec_context else None
        is_video = self.kind == "video"
        self.frame_rate = frame_rate_of(stream) if is_video else None
        self._pixel_aspect = pixel_aspect_of(stream) if is_video else 1.0
        # AVI states decoding times only. The decoder reorders the pictures and gives one out for
        # each that it takes in, at whose decoding time the one given out is shown.
        self._shown_as_decoded = False
        if self._stream is not None:
            context = self._stream.codec_context
            context.thread_count = self._threads
            options = {"max_pixels": MAX_PIXELS}
            if self._strict and self.codec in HIDES_DAMAGE:
                options["err_detect"] = "explode"
            context.options = options
            is_avi = self.container.format.name == "avi"
            self._shown_as_decoded = is_avi and is_video and context.has_b_frames

    def _go_on(self, packets: Iterator[Any], *, sought: bool) -> None:
        """Decode `packets` from now on; `sought`: the container's index led to them."""
        self._sought = sought
        self._timeline = _Timeline(self.container, self._anew)
        self._due: float | None = None  # when the next frame should begin
        self._last = 0.0  # when the newest one began
        self._decoding = self._decode(packets)
        self._following: Timed | None = None  # looked at, but not taken yet

    def peek(self) -> Timed | None:
        """The next frame, which `take` will still give; None at the end."""
        if self._following is None:
            self._following = next(self._decoding, None)
        return self._following

    def take(self) -> Timed | None:
        """The next frame; None at the end."""
        frame, self._following = self.peek(), None
        return frame

    @property
    def lost(self) -> bool:
        """Whether a seek by time led here, and times have turned out to begin anew since."""
        return self._sought and self._anew.is_set()

    def lead_before(self, wanted: float) -> None:
        """Go on with a frame that begins not after `wanted`, or with the first one.

        Raises UnreadableFileError when the file cannot be opened any more.
        """
        # Some containers land after the time they were asked for.
        for earlier in (0.0, 2.0, 10.0, math.inf):
            self._seek(wanted - earlier)
            first = self.peek()
            if first is not None and first.frame.pts is not None and first.time <= wanted:
                return

    def _seek(self, seconds: float) -> None:
        """Go on from the keyframe at or before `seconds`, as far as the container's index knows it.

        Without an index, or where times begin anew, the file is read again up to there.
        """
        if not self._anew.is_set():
            with suppress(*DECODING_ERRORS):
                at = round(seconds / self._stream.time_base)
                self.container.seek(at, stream=self._stream, backward=True)
                self._go_on(self._packets(), sought=True)
                return
        self.close()
        self._open()
        self._go_on(self._packets_for(seconds), sought=False)

    def image(self, timed: Timed) -> NDArray[np.uint8]:
        """Upright RGB picture with square pixels, (height, width, 3), read-only."""
        frame = cast(VideoFrame, timed.frame)
        width = max(1, round(frame.width * self._pixel_aspect))
        converted = self._reformatter.reformat(frame, width=width, format="rgb24", threads=1)
        image = cast(NDArray[np.uint8], converted.to_ndarray())
        if frame.rotation != self._rotation:
            self._rotation, self._matrix, self._matrix_of = frame.rotation, _matrix(frame), frame
        upright = np.ascontiguousarray(_turned(image, self._matrix))
        upright.flags.writeable = False
        return upright

    def close(self) -> None:
        """Let go of the file."""
        self._decoding.close()  # reading on from a closed container would crash
        self.container.close()

    def _decode(self, packets: Iterator[Any]) -> Generator[Timed, None, None]:
        if self._stream is None:
            return
        for packet in packets:
            try:
                frames = packet.decode()
            except DECODING_ERRORS:
                self._damage()
                continue
            for frame in frames:
                if isinstance(frame, AudioFrame) and not (frame.samples and frame.sample_rate):
                    continue
                if frame.is_corrupt:
                    self._damage()
                yield self._timed(frame)

    def _packets(self) -> Iterator[Any]:
        failures = 0
        while failures < _FAILED_READS:
            try:
                for packet in self.container.demux(self._followed):
                    failures = 0
                    self._timeline.place(packet)
                    if packet.stream.index == self._stream.index:
                        yield packet
                return
            except DECODING_ERRORS:
                failures += 1
                self._damage()

    def _packets_for(self, seconds: float) -> Iterator[Any]:
        """The coming packets, from the last keyframe on that begins by `seconds`."""
        packets = self._packets()
        waiting: list[Any] = []
        for packet in packets:
            begins = packet.pts is not None and packet.pts * packet.time_base <= seconds
            if packet.is_keyframe and begins:
                waiting.clear()
            waiting.append(packet)
            if packet.dts is None or packet.dts * packet.time_base > seconds:
                break
        yield from waiting
        yield from packets

    def _damage(self) -> None:
        if self.damaged_at is None:
            self.damaged_at = self.end

    def _timed(self, frame: VideoFrame | AudioFrame) -> Timed:
        stamp = frame.dts if self._shown_as_decoded else frame.pts
        if stamp is not None and frame.time_base:
            time = float(stamp * frame.time_base)
        else:
            time = self._due or 0.0
        if isinstance(frame, AudioFrame):
            length = frame.samples / frame.sample_rate
            if self._due is not None:
                lead = time - self._due
                if abs(lead) < GAP_SECONDS:
                    time = self._due + _SOUND_LEAN * lead
                else:
                    time = max(time, self._due)
                    if lead > NOTED_SECONDS and self.gap is None:
                        self.gap = self._due, time
        else:
            length = 1.0 / (self.frame_rate or USUAL_FRAME_RATE)
            if self._due is not None:
                time = max(time, self._last + _LEAST_STEP)
        self._last = time
        self._due = self.end = time + length
        return Timed(time, frame)


def samples_of(frame: AudioFrame) -> FloatArray:
    """Sound as float32 (n_samples, n_channels), read-only."""
    channels = frame.layout.nb_channels
    # Nor does PyAV know 64-bit integers.
    if (frame.format.is_planar and channels >= _MANY_CHANNELS) or frame.format.name[:3] == "s64":
        frame = av.AudioResampler(format="flt").resample(frame)[0]
    raw: NDArray[Any] = frame.to_ndarray()
    samples: NDArray[Any] = raw.T if frame.format.is_planar else raw.reshape(-1, channels)
    if raw.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128.0) / 128.0
    elif np.issubdtype(raw.dtype, np.integer):
        samples = samples / -float(np.iinfo(raw.dtype).min)
    with np.errstate(over="ignore"):  # the resampler sees to what is out of range
        result: FloatArray = np.ascontiguousarray(samples, np.float32)
    result.flags.writeable = False
    return result


def _matrix(frame: VideoFrame) -> _Matrix | None:
    """The upper left of the frame's display matrix, ((a, b), (c, d))."""
    side_data: Any = frame.side_data
    data = side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    (a, b, _), (c, d, _), _ = np.frombuffer(bytes(data), np.int32)[:9].reshape(3, 3).tolist()
    return (a, b), (c, d)


def _turned(image: NDArray[np.uint8], matrix: _Matrix | None) -> NDArray[np.uint8]:
    """The picture as its display matrix wants it, among right angles and reflections."""
    if matrix is None:
        return image
    # x' = a x + c y, y' = b x + d y, in 16.16 fixed point, with y pointing down
    (a, b), (c, d) = matrix
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return image[:: _sign(d), :: _sign(a)]
    return image.transpose(1, 0, 2)[:: _sign(b), :: _sign(c)]


def _sign(value: int) -> int:
    return -1 if value < 0 else 1

"""Recordings of every kind, through PyAV: packets in time order, or what belongs to an instant.

Thread: each `Recording`, `FramePlayer` or `SoundPlayer` belongs to one. Times are seconds from the
start of the recording, which is where the earlier of picture and sound begins. What the frames' own
timestamps say counts, never the rate the container claims.
"""

from __future__ import annotations

import heapq
import math
import os
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from realtime.closing import Closing
from realtime.messages import AudioPacket, FloatArray, VideoPacket
from realtime.resampling import harmless
from realtime.sources.base import UnreadableFileError

Kind = Literal["video", "audio"]

_WHAT: Final[dict[Kind, str]] = {"video": "picture", "audio": "sound"}  # for people

# What a damaged file can make PyAV raise; LookupError where tracks appear in mid-file.
_DECODING_ERRORS: Final = (av.FFmpegError, ValueError, ArithmeticError, LookupError)
# Only the file itself is read: a playlist must not fetch anything from elsewhere.
_OPTIONS: Final = {"protocol_whitelist": "file", "max_pixels": str(1 << 26)}
# Not recordings, although FFmpeg can make pictures of them.
_NOT_RECORDINGS: Final = frozenset({"tty", "hls", "concat", "lavfi", "ffmetadata"})
_STILL_BRANDS: Final = frozenset({"heic", "heix", "mif1", "avif"})
# Containers whose header states the length; elsewhere FFmpeg estimates it from what it finds.
_STATES_LENGTH: Final = frozenset({"mov", "mp4", "matroska", "avi", "wav", "flac"})
# What writes a RIFF file into a pipe knows no size, and states this one (sox) or a larger one.
_NO_RIFF_SIZE: Final = 0x7FFFF000

# Of a damaged picture these decoders leave the rest unwritten and do not mark it: what was in
# memory before shows there, another thing each time.
_HIDES_DAMAGE: Final = frozenset({"mjpeg"})

_USUAL_FRAME_RATE: Final = 30.0  # where frames carry neither a time nor a rate
_LEAST_STEP: Final = 0.001  # s, between pictures whose recorded times do not rise
# s; a recorded time that falls back this far begins a new count. When pictures are decoded may be
# the demuxer's guess, and wrong by as much as pictures are out of order, which is less.
_FAR_BACK: Final = 0.5
_FAR_AHEAD: Final = 10.0  # s; one that leaps this far must still lie inside the recording
_SOUND_GAP: Final = 0.05  # s of disagreement before a sound's recorded time is a gap or an overlap
_SOUND_LEAN: Final = 0.1  # share of a smaller disagreement that is followed at once
_BLOCK_SECONDS: Final = 0.1  # longest audio packet handed on
_LEAST_BITRATE: Final = 200.0  # bit/s; a file with less is not as long as it says
_NOTED_SECONDS: Final = 0.5  # differences in length shorter than this are not worth a word
# PyAV (18.1) reads past the list of planes where a frame keeps this many or more, and crashes.
_MANY_CHANNELS: Final = 8
_MOST_SAMPLE_RATE: Final = 768_000  # Hz, of the fastest converters there are
_FAILED_READS: Final = 100  # in a row, and the rest of the file is given up
_SEEK_AHEAD: Final = 1.5  # s; up to here decoding on is cheaper than seeking


_Matrix: TypeAlias = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class _Timed:
    """One decoded frame and when it begins, in seconds on the container's scale."""

    time: float
    frame: VideoFrame | AudioFrame


class _Timeline:
    """Moves the times of a file's packets, which may begin anew in its middle, onto one scale.

    It follows picture and sound together, in the file's order. So both are moved alike, and alike
    for everybody who reads the file from its beginning.
    """

    def __init__(self, container: InputContainer, anew: threading.Event) -> None:
        """`anew` is set where times begin anew."""
        self._anew = anew
        self._stated_end = (container.start_time or 0) / av.time_base
        self._stated_end += _stated_length(container) or 0.0
        self._reach = -math.inf  # s, the latest time so far
        self._newest = 0.0  # s, the shift that was found last
        self._shifts: dict[int, float] = {}  # that of each stream
        self._decoded: dict[int, float] = {}  # when each stream's newest packet is decoded

    def place(self, packet: Any) -> None:
        """Move the packet's times, and take away one at which it cannot be meant to be shown."""
        if packet.dts is None:  # no other time is sure to rise
            return
        stream, tick = packet.stream.index, float(packet.time_base)
        recorded, last = packet.dts * tick, self._decoded.get(stream)
        shift = self._shifts.get(stream, self._newest)
        if last is not None:
            # Where the other track has begun anew, this one does with the smallest fall.
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
        latest = max(self._reach + _FAR_AHEAD, self._stated_end + _FAR_BACK)
        return earliest <= time <= latest


class _Track:
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
        """`strict`: take no picture that is damaged without FFmpeg's saying so."""
        self.kind = kind
        self._path, self._threads, self._anew, self._strict = path, threads, anew, strict
        self.damaged_at: float | None = None  # where decoding first failed
        self.gap: tuple[float, float] | None = None  # where sound is first missing
        self.end = 0.0  # just after the newest frame
        # Kept from picture to picture, since setting one up costs as much as converting with it.
        self._reformatter = VideoReformatter()
        # Its display matrix is read off a frame only where the rotation changes: a frame asked for
        # side data refers to itself, and is freed when Python happens to look for such; but out of
        # what its memory holds FFmpeg makes good for damage, the next time it is used. So those few
        # are kept, and all others go at once.
        self._rotation: int | None = None  # degrees; None before the first picture
        self._matrix: _Matrix | None = None
        self._matrix_of: VideoFrame | None = None
        self._open()
        self._go_on(self._packets(), sought=False)

    def _open(self) -> None:
        """Take hold of the file; its beginning is what will be read next."""
        self.container = _open(self._path)
        streams = {kind: _stream(self.container, kind) for kind in _WHAT}
        self._followed = [stream for stream in streams.values() if stream is not None]
        stream = streams[self.kind]
        self.codec: str | None = None  # its name; None when there is no such track
        self._stream: Any = None  # None also when there is no decoder for it
        if stream is not None:
            self.codec = stream.codec_context.name if stream.codec_context else "unknown format"
            self._stream = stream if stream.codec_context else None
        is_video = self.kind == "video"
        self.frame_rate = _frame_rate(stream) if is_video else None
        self._pixel_aspect = _pixel_aspect(stream) if is_video else 1.0
        # AVI says when pictures are decoded only. In which order they are shown the decoder finds,
        # and it gives one out whenever it takes one in.
        self._shown_as_decoded = False
        if self._stream is not None:
            context = self._stream.codec_context
            context.thread_count = self._threads
            options = {"max_pixels": _OPTIONS["max_pixels"]}
            if self._strict and self.codec in _HIDES_DAMAGE:
                options["err_detect"] = "explode"
            context.options = options
            is_avi = self.container.format.name == "avi"
            self._shown_as_decoded = is_avi and is_video and context.has_b_frames

    def _go_on(self, packets: Iterator[Any], *, sought: bool) -> None:
        """Decode `packets` from now on; `sought`: the container has searched for them."""
        self._sought = sought
        self._timeline = _Timeline(self.container, self._anew)
        self._due: float | None = None  # when the next frame should begin
        self._last = 0.0  # when the newest one began
        self._decoding = self._decode(packets)
        self._following: _Timed | None = None  # looked at, but not taken yet

    def peek(self) -> _Timed | None:
        """The next frame, which `take` will still give; None at the end."""
        if self._following is None:
            self._following = next(self._decoding, None)
        return self._following

    def take(self) -> _Timed | None:
        """The next frame; None at the end."""
        frame, self._following = self.peek(), None
        return frame

    @property
    def lost(self) -> bool:
        """Whether it was led to where it is by times that have turned out to begin anew."""
        return self._sought and self._anew.is_set()

    def lead_before(self, wanted: float) -> None:
        """Go on with a frame that begins not after `wanted`, or with the first one.

        Raises UnreadableFileError when the file cannot be opened any more.
        """
        # Some containers land behind what they were asked for.
        for earlier in (0.0, 2.0, 10.0, math.inf):
            self._seek(wanted - earlier)
            first = self.peek()
            if first is not None and first.frame.pts is not None and first.time <= wanted:
                return

    def _seek(self, seconds: float) -> None:
        """Go on from the keyframe at or before `seconds`, as near as the container's index knows.

        Where it has none, or its times begin anew, the file is read again up to there.
        """
        if not self._anew.is_set():
            with suppress(*_DECODING_ERRORS):
                at = round(seconds / self._stream.time_base)
                self.container.seek(at, stream=self._stream, backward=True)
                self._go_on(self._packets(), sought=True)
                return
        self.close()
        self._open()
        self._go_on(self._packets_for(seconds), sought=False)

    def image(self, timed: _Timed) -> NDArray[np.uint8]:
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

    def _decode(self, packets: Iterator[Any]) -> Generator[_Timed, None, None]:
        if self._stream is None:
            return
        for packet in packets:
            try:
                frames = packet.decode()
            except _DECODING_ERRORS:
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
            except _DECODING_ERRORS:
                failures += 1
                self._damage()

    def _packets_for(self, seconds: float) -> Iterator[Any]:
        """Those of the packets that come next without which `seconds` and later cannot be shown."""
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

    def _timed(self, frame: VideoFrame | AudioFrame) -> _Timed:
        stamp = frame.dts if self._shown_as_decoded else frame.pts
        if stamp is not None and frame.time_base:
            time = float(stamp * frame.time_base)
        else:
            time = self._due or 0.0
        if isinstance(frame, AudioFrame):
            length = frame.samples / frame.sample_rate
            if self._due is not None:
                lead = time - self._due
                if abs(lead) < _SOUND_GAP:
                    time = self._due + _SOUND_LEAN * lead
                else:
                    time = max(time, self._due)
                    if lead > _NOTED_SECONDS and self.gap is None:
                        self.gap = self._due, time
        else:
            length = 1.0 / (self.frame_rate or _USUAL_FRAME_RATE)
            if self._due is not None:
                time = max(time, self._last + _LEAST_STEP)
        self._last = time
        self._due = self.end = time + length
        return _Timed(time, frame)


class Recording(Closing):
    """A video or sound file, read once from beginning to end.

    Iterating gives every VideoPacket and AudioPacket in time order: pictures upright, sound in its
    own rate and channels in blocks of at most 0.1 s. The same file always gives the same packets.
    What is wrong with the file but does not keep it from being read is said in `notes`, part of it
    only once the end is reached.

    Raises UnreadableFileError, with a sentence for people, when nothing can be read.

    Parameters
    ----------
    path
        The file.
    threads
        For each decoder. More than one makes damaged pictures depend on chance.
    anew
        Set where the recording's times begin anew in its middle. Shared with the players of this
        recording, it tells them that times do not lead to a place in the file.
    """

    def __init__(
        self, path: Path, *, threads: int = 1, anew: threading.Event | None = None
    ) -> None:
        self._path = Path(path)
        anew = anew or threading.Event()
        self.notes: list[str] = []
        self.size: tuple[int, int] | None = None
        """(width, height) of the first picture as seen, upright."""
        self.frame_rate: float | None = None
        """Average pictures per second by the container's account, None where it has none."""
        self.sample_rate: int | None = None
        """Of the sound, in Hz."""
        _check_openable(self._path)
        self._tracks: dict[Kind, _Track] = {}
        self._origins: dict[Kind, float] = {}
        self._intervals: list[float] = []
        codecs = []
        try:
            for kind in ("video", "audio"):
                track = _Track(self._path, kind, threads, anew, strict=True)
                if self._begins(track):
                    self._tracks[kind] = track
                    continue
                if track.codec in _HIDES_DAMAGE:
                    # Nothing at all passes: an odd writer is likelier than so much damage.
                    track.close()
                    track = _Track(self._path, kind, threads, anew)
                    if self._begins(track):
                        self._tracks[kind] = track
                        continue
                track.close()
                if track.codec is not None:
                    codecs.append(track.codec)
                    self.notes.append(f"the {_WHAT[kind]} ({track.codec}) cannot be decoded")
            if not self._tracks:
                raise UnreadableFileError(_nothing_inside(self._path, codecs))
            if self.sample_rate is not None and self.sample_rate > _MOST_SAMPLE_RATE:
                raise UnreadableFileError(
                    f"the sound of {self.name} has {self.sample_rate} samples a second, more than "
                    f"the {_MOST_SAMPLE_RATE} of any device: the file is damaged or no recording"
                )
            self._length = _length(next(iter(self._tracks.values())).container)
            self._agree_on_start()
        except BaseException:
            self.close()
            raise
        if not self.has_audio:
            self.notes.append("no sound in this recording: only the face can be judged")
        if not self.has_video:
            self.notes.append("no picture in this recording: only the voice can be judged")

    def _begins(self, track: _Track) -> bool:
        """Look at the first frame; whether there is one."""
        first = track.peek()
        if first is None:
            return False
        if isinstance(first.frame, AudioFrame):
            self.sample_rate = first.frame.sample_rate
        else:
            try:
                height, width = track.image(first).shape[:2]
            except _DECODING_ERRORS:
                return False
            self.size = width, height
            self.frame_rate = track.frame_rate
        self._origins[track.kind] = first.time
        return True

    @property
    def name(self) -> str:
        """The file's name."""
        return self._path.name

    @cached_property
    def duration_seconds(self) -> float:
        """Length by the container's account; where it gives none, the file is read through for it.

        Raises UnreadableFileError when it cannot be opened any more.
        """
        return _scan_duration(self._path) if self._length is None else self._length

    @property
    def has_video(self) -> bool:
        """Whether there are pictures."""
        return "video" in self._origins

    @property
    def has_audio(self) -> bool:
        """Whether there is sound."""
        return "audio" in self._origins

    @property
    def picture_start_seconds(self) -> float:
        """What the container calls the instant that is 0 here, for its pictures."""
        return self._origins["video"]

    @property
    def sound_start_seconds(self) -> float:
        """What the container calls the instant that is 0 here, for its sound."""
        return self._origins["audio"]

    def __iter__(self) -> Iterator[VideoPacket | AudioPacket]:
        """All packets in time order; a second iteration goes on where the first one ended."""
        tracks: tuple[Iterator[VideoPacket | AudioPacket], ...] = (
            self._pictures(),
            self._sounds(),
        )
        yield from heapq.merge(*tracks, key=lambda packet: packet.timestamp)
        if self._tracks:
            self._note_ends()

    def close(self) -> None:
        """Let go of the file; iterating ends."""
        for track in self._tracks.values():
            track.close()
        self._tracks = {}

    # -- reading --------------------------------------------------------------------------------

    def _pictures(self) -> Iterator[VideoPacket]:
        sequence, last = 0, None
        for timed in self._frames("video"):
            try:
                image = self._tracks["video"].image(timed)
            except _DECODING_ERRORS:
                continue
            timestamp = timed.time - self._origins["video"]
            if last is not None:
                self._intervals.append(timestamp - last)
            yield VideoPacket(timestamp=timestamp, sequence=sequence, image=image)
            sequence, last = sequence + 1, timestamp

    def _sounds(self) -> Iterator[AudioPacket]:
        sequence = 0
        for timed in self._frames("audio"):
            frame = cast(AudioFrame, timed.frame)
            samples, rate = _samples(frame), frame.sample_rate
            block = max(1, round(_BLOCK_SECONDS * rate))
            for first in range(0, len(samples), block):
                yield AudioPacket(
                    timestamp=timed.time - self._origins["audio"] + first / rate,
                    sequence=sequence,
                    samples=samples[first : first + block],
                    sample_rate=rate,
                )
                sequence += 1

    def _frames(self, kind: Kind) -> Iterator[_Timed]:
        track = self._tracks.get(kind)
        if track is None:
            return
        while (timed := track.take()) is not None:
            self._note_damage(track)
            yield timed
        self._note_damage(track)

    # -- what to say about it -------------------------------------------------------------------

    def _note_damage(self, track: _Track) -> None:
        origin, what = self._origins[track.kind], _WHAT[track.kind]
        if track.damaged_at is not None:
            at = max(0.0, track.damaged_at - origin)
            self._note(f"the {what} is damaged at {at:.1f} s: what could be read was analysed")
        if track.gap is not None:
            start, end = (at - origin for at in track.gap)
            self._note(f"the {what} is missing from {start:.1f} s to {end:.1f} s")

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _note_ends(self) -> None:
        ends = {kind: track.end - self._origins[kind] for kind, track in self._tracks.items()}
        end = max(ends.values())
        stated = _stated_length(next(iter(self._tracks.values())).container)
        if stated is not None and stated - end > 2 * _NOTED_SECONDS:
            self.notes.append(
                f"the file is cut off: of {stated:.1f} s only {end:.1f} s could be read and "
                "were analysed"
            )
        elif _lacks_its_end(self._path):
            self.notes.append(f"the file is cut off after {end:.1f} s: what there is was analysed")
        if len(ends) == 2:
            lead = ends["video"] - ends["audio"]
            if lead > _NOTED_SECONDS:
                self.notes.append(f"the sound ends {lead:.1f} s before the picture")
            elif lead < -_NOTED_SECONDS:
                self.notes.append(f"the picture ends {-lead:.1f} s before the sound")
        if len(self._intervals) >= 5:
            short, long = np.percentile(self._intervals, (5, 95))
            if long > 1.5 * short:
                self.notes.append(
                    f"the frame rate varies between {1 / long:.0f} and {1 / short:.0f} pictures a "
                    "second: the recorded times were used"
                )

    # -- time -----------------------------------------------------------------------------------

    def _agree_on_start(self) -> None:
        """Make one instant the start of both tracks, unless their starts cannot belong together."""
        if len(self._origins) == 2:
            apart = abs(self._origins["video"] - self._origins["audio"])
            if apart <= _FAR_AHEAD or apart <= self.duration_seconds:
                self._origins = dict.fromkeys(self._origins, min(self._origins.values()))


class FramePlayer(Closing):
    """Pictures of a recording by their time: cheap when time runs forward, exact after a leap.

    Raises UnreadableFileError as `Recording` does, and when there are no pictures.
    """

    def __init__(
        self, path: Path, *, threads: int = 2, anew: threading.Event | None = None
    ) -> None:
        """`anew`: see Recording."""
        with Recording(path) as recording:
            if not recording.has_video:
                raise UnreadableFileError(f"{recording.name} has no picture to show")
            self._origin = recording.picture_start_seconds
        self._path = Path(path)
        self._track = _Track(self._path, "video", threads, anew or threading.Event())
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
        # Where there are no pictures yet, or no more, searching for some would find none each time.
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
            with suppress(*_DECODING_ERRORS):
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
        self._track = _Track(Path(path), "audio", 1, anew or threading.Event())

    @property
    def lost(self) -> bool:
        """Whether a seek has led elsewhere, as is known by now: seek again."""
        return self._track.lost

    def seek(self, seconds: float) -> None:
        """Go on with what is heard at `seconds`, or with something before it."""
        self._track.lead_before(seconds + self._origin)
        self._resampled = None

    def read(self) -> tuple[float, FloatArray] | None:
        """The next sound, when it begins and samples (n, channels); None at the end."""
        while (timed := self._track.take()) is not None:
            with suppress(*_DECODING_ERRORS):
                frames = self._resample(cast(AudioFrame, timed.frame))
                if frames:
                    return timed.time - self._origin, np.concatenate([*map(_samples, frames)])
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
    """The same sound; where samples may be anything, as floating point may, they are made sound.

    FFmpeg's resampler would smear one that is no number over its neighbours.
    """
    if not frame.format.name.startswith(("flt", "dbl")):
        return frame
    samples = np.ascontiguousarray(harmless(_samples(frame)).reshape(1, -1))
    clean = AudioFrame.from_ndarray(samples, format="flt", layout=frame.layout.name)
    clean.sample_rate = frame.sample_rate
    return clean


# -- files ----------------------------------------------------------------------------------------


def _check_openable(path: Path) -> None:
    """Say what is wrong with `path` as a file; its content is not looked at."""
    if path.is_dir():
        raise UnreadableFileError(f"{path} is a folder, not a recording: choose a file in it")
    try:
        if path.exists() and not path.is_file():
            raise UnreadableFileError(f"{path} is not an ordinary file: choose a recording")
        with path.open("rb"):
            pass
        size = path.stat().st_size
    except FileNotFoundError:
        raise UnreadableFileError(f"there is no file {path}: check its name") from None
    except PermissionError:
        raise UnreadableFileError(
            f"{path} may not be read: give yourself permission to read it"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableFileError(f"{path} cannot be opened: {reason.lower()}") from None
    if size == 0:
        raise UnreadableFileError(f"{path.name} is empty: it was never filled; choose another file")


def _open(path: Path) -> InputContainer:
    """Open the container; raises UnreadableFileError when it is none, or no recording."""
    try:
        # An absolute path cannot be taken for an address such as "http:".
        container = av.open(
            str(path.absolute()), mode="r", options=dict(_OPTIONS), metadata_errors="replace"
        )
    except _DECODING_ERRORS:
        _check_openable(path)  # it may have gone since it was looked at
        raise UnreadableFileError(_not_a_recording(path)) from None
    name = container.format.name
    brand = container.metadata.get("major_brand", "").strip().lower()
    if name.endswith("_pipe") or name == "image2" or brand in _STILL_BRANDS:
        problem = "is a still picture: choose a video or sound recording"
    elif name in _NOT_RECORDINGS:
        problem = "is no recording: choose a video or sound file"
    else:
        return container
    container.close()
    raise UnreadableFileError(f"{path.name} {problem}")


def _not_a_recording(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] in (b"ftyp", b"mdat", b"wide", b"free"):
        return (
            f"{path.name} is incomplete: its table of contents, written last, is missing, as when "
            "a recording is broken off; record it again or let a repair program rebuild it"
        )
    return f"{path.name} is no video or sound file, or too damaged to tell: choose another file"


def _nothing_inside(path: Path, codecs: list[str]) -> str:
    if not codecs:
        return f"{path.name} holds neither pictures nor sound: choose another file"
    return (
        f"nothing in {path.name} can be decoded ({', '.join(codecs)}): it is damaged or protected; "
        "try to play or convert it with another program"
    )


def _stream(container: InputContainer, kind: Kind) -> Any:
    """The stream of `kind` that people mean, None if there is none; cover pictures do not count."""
    streams: Any = container.streams.video if kind == "video" else container.streams.audio
    wanted = [each for each in streams if not _is_cover(each)]
    best = container.streams.best(kind)
    if best is not None and any(each.index == best.index for each in wanted):
        return best
    return wanted[0] if wanted else None


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _frame_rate(stream: Any) -> float | None:
    """Average rate in Hz if the container has a believable one."""
    for rate in (stream.average_rate, stream.guessed_rate) if stream is not None else ():
        if rate and 0.1 <= float(rate) <= 240.0:
            return float(rate)
    return None


def _pixel_aspect(stream: Any) -> float:
    """Width of a pixel over its height, 1 where the container says nothing likely."""
    aspect = float(stream.sample_aspect_ratio or 1) if stream is not None else 1.0
    return aspect if 0.25 <= aspect <= 4.0 else 1.0


def _length(container: InputContainer) -> float | None:
    """Length in seconds by FFmpeg's account; None where there is none or it cannot be."""
    if container.duration is None or container.duration <= 0:
        return None
    seconds = container.duration / av.time_base
    start = (container.start_time or 0) / av.time_base
    if "matroska" in container.format.name and start < seconds:
        seconds -= start  # FFmpeg, for one, writes there when the recording ends
    return seconds if 8 * container.size >= _LEAST_BITRATE * seconds else None


def _stated_length(container: InputContainer) -> float | None:
    """Length in seconds where the container itself states it."""
    return _length(container) if _STATES_LENGTH & {*container.format.name.split(",")} else None


def _scan_duration(path: Path) -> float:
    """Span of all packets, for containers without a length (live WebM, raw streams)."""
    times: list[float] = []
    pictures = 0
    with _open(path) as container:
        frame_rate = _frame_rate(_stream(container, "video")) or _USUAL_FRAME_RATE
        # Damage is met, and told of, when the recording is read.
        with suppress(*_DECODING_ERRORS):
            for packet in container.demux():
                if packet.pts is not None and packet.time_base:
                    times.append(float(packet.pts * packet.time_base))
                pictures += packet.stream.type == "video" and packet.size > 0
    steps = np.diff(np.sort(times))
    return float(np.sum(steps[steps < _FAR_AHEAD])) if len(steps) else pictures / frame_rate


def _lacks_its_end(path: Path) -> bool:
    """Whether a RIFF file (WAV, AVI) is shorter than its header says, which FFmpeg passes over."""
    try:
        with path.open("rb") as file:
            head, size = file.read(8), os.fstat(file.fileno()).st_size
    except OSError:  # it was moved or deleted while it was read, which went on all the same
        return False
    stated = int.from_bytes(head[4:], "little")
    return head[:4] == b"RIFF" and size < stated + 8 and stated < _NO_RIFF_SIZE


# -- frames ---------------------------------------------------------------------------------------


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


def _samples(frame: AudioFrame) -> FloatArray:
    """Sound as float32 (n_samples, n_channels), read-only."""
    channels = frame.layout.nb_channels
    if frame.format.is_planar and channels >= _MANY_CHANNELS:
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

"""Recordings of every kind, through PyAV: all packets in time order.

Thread: a `Recording` belongs to one. Times are seconds from the start of the recording, which is
where the earlier of picture and sound begins.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Final, cast

import numpy as np
from av.audio.frame import AudioFrame

from realtime.closing import Closing
from realtime.messages import AudioPacket, VideoPacket
from realtime.recording.container import (
    DECODING_ERRORS,
    FAR_AHEAD,
    USUAL_FRAME_RATE,
    WORDS,
    Kind,
    check_openable,
    has_times,
    lacks_its_end,
    length_of,
    nothing_inside,
    scan_duration,
    stated_length_of,
)
from realtime.recording.track import HIDES_DAMAGE, NOTED_SECONDS, RecordedTrack, Timed, samples_of
from realtime.sources.base import UnreadableFileError

_THREADS: Final = 1  # of each decoder; more make damaged pictures depend on chance
_BLOCK_SECONDS: Final = 0.1  # longest audio packet handed on
_MOST_SAMPLE_RATE: Final = 768_000  # Hz, of the fastest converters there are


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
    anew
        Set where the recording's times begin anew in its middle. Shared with the players of this
        recording, it tells them that times do not lead to a place in the file.
    """

    def __init__(self, path: Path, *, anew: threading.Event | None = None) -> None:
        self._path = Path(path)
        anew = anew or threading.Event()
        self.notes: list[str] = []
        self.size: tuple[int, int] | None = None
        """(width, height) of the first picture as seen, upright."""
        self.frame_rate: float | None = None
        """Average pictures per second by the container's account, None where it has none."""
        self.sample_rate: int | None = None
        """Of the sound, in Hz."""
        check_openable(self._path)
        self._tracks: dict[Kind, RecordedTrack] = {}
        self._origins: dict[Kind, float] = {}
        self._intervals: list[float] = []
        undecoded: dict[Kind, str] = {}  # codecs of tracks that are there
        try:
            for kind in ("video", "audio"):
                track = RecordedTrack(self._path, kind, _THREADS, anew, strict=True)
                if self._begins(track):
                    self._tracks[kind] = track
                    continue
                if track.codec in HIDES_DAMAGE:
                    # No picture passes: more likely the writer is odd than every picture damaged.
                    track.close()
                    track = RecordedTrack(self._path, kind, _THREADS, anew)
                    if self._begins(track):
                        self._tracks[kind] = track
                        continue
                track.close()
                if track.codec is not None:
                    undecoded[kind] = track.codec
            if not self._tracks:
                raise UnreadableFileError(nothing_inside(self._path, list(undecoded.values())))
            if self.sample_rate is not None and self.sample_rate > _MOST_SAMPLE_RATE:
                raise UnreadableFileError(
                    f"the sound of {self.name} has {self.sample_rate} samples a second, more than "
                    f"the {_MOST_SAMPLE_RATE} of any device: the file is damaged or no recording"
                )
            self._length = length_of(next(iter(self._tracks.values())).container)
            self._agree_on_start()
        except BaseException:
            self.close()
            raise
        others: dict[Kind, str] = {"audio": "face", "video": "voice"}
        for kind, other in others.items():
            if kind not in self._origins:
                why = f"no {WORDS[kind]} in this recording"
                if (codec := undecoded.get(kind)) is not None:
                    why = f"the {WORDS[kind]} ({codec}) cannot be decoded"
                self.notes.append(f"{why}: only the {other} can be judged")

    def _begins(self, track: RecordedTrack) -> bool:
        """Look at the first frame; whether there is one."""
        first = track.peek()
        if first is None:
            return False
        if isinstance(first.frame, AudioFrame):
            self.sample_rate = first.frame.sample_rate
        else:
            try:
                height, width = track.image(first).shape[:2]
            except DECODING_ERRORS:
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
        return scan_duration(self._path) if self._length is None else self._length

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
            except DECODING_ERRORS:
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
            samples, rate = samples_of(frame), frame.sample_rate
            block = max(1, round(_BLOCK_SECONDS * rate))
            for first in range(0, len(samples), block):
                yield AudioPacket(
                    timestamp=timed.time - self._origins["audio"] + first / rate,
                    sequence=sequence,
                    samples=samples[first : first + block],
                    sample_rate=rate,
                )
                sequence += 1

    def _frames(self, kind: Kind) -> Iterator[Timed]:
        track = self._tracks.get(kind)
        if track is None:
            return
        while (timed := track.take()) is not None:
            self._note_damage(track)
            yield timed
        self._note_damage(track)

    # -- what to say about it -------------------------------------------------------------------

    def _note_damage(self, track: RecordedTrack) -> None:
        origin, what = self._origins[track.kind], WORDS[track.kind]
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
        stated = stated_length_of(next(iter(self._tracks.values())).container)
        if stated is not None and stated - end > 2 * NOTED_SECONDS:
            self.notes.append(
                f"the file is cut off: of {stated:.1f} s only {end:.1f} s could be read and "
                "were analysed"
            )
        elif lacks_its_end(self._path):
            self.notes.append(f"the file is cut off after {end:.1f} s: what there is was analysed")
        if len(ends) == 2:
            lead = ends["video"] - ends["audio"]
            if lead > NOTED_SECONDS:
                self.notes.append(f"the sound ends {lead:.1f} s before the picture")
            elif lead < -NOTED_SECONDS:
                self.notes.append(f"the picture ends {-lead:.1f} s before the sound")
        pictures = self._tracks.get("video")
        if pictures is not None and not has_times(pictures.container):
            rate = pictures.frame_rate or USUAL_FRAME_RATE
            self.notes.append(f"the pictures carry no times: {rate:g} a second were assumed")
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
            if apart <= FAR_AHEAD or apart <= self.duration_seconds:
                self._origins = dict.fromkeys(self._origins, min(self._origins.values()))

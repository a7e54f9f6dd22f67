"""Opening a recording's container, and what it says of itself.

Thread: any. Times are seconds.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

import av
import numpy as np
from av.container import InputContainer

from realtime.sources.base import UnreadableFileError

Kind = Literal["video", "audio"]

WORDS: Final[dict[Kind, str]] = {"video": "picture", "audio": "sound"}  # for people

# What a damaged file can make PyAV raise; LookupError where tracks appear in mid-file.
DECODING_ERRORS: Final = (av.FFmpegError, ValueError, ArithmeticError, LookupError)
MAX_PIXELS: Final = str(1 << 26)
USUAL_FRAME_RATE: Final = 30.0  # where frames carry neither a time nor a rate
FAR_AHEAD: Final = 10.0  # s; a time that leaps this far must still lie inside the recording

# Only the file itself is read: a playlist must not fetch anything from elsewhere.
_OPTIONS: Final = {"protocol_whitelist": "file", "max_pixels": MAX_PIXELS}
# Not recordings, although FFmpeg can make pictures of them.
_NOT_RECORDINGS: Final = frozenset({"tty", "hls", "concat", "lavfi", "ffmetadata"})
_STILL_BRANDS: Final = frozenset({"heic", "heix", "mif1", "avif"})
# Containers whose header states the length; elsewhere FFmpeg estimates it from what it finds.
_STATES_LENGTH: Final = frozenset({"mov", "mp4", "matroska", "avi", "wav", "flac", "aiff", "au"})
# A program that writes a RIFF file into a pipe cannot know its size, and states this (sox) or more.
_NO_RIFF_SIZE: Final = 0x7FFFF000
_LEAST_BITRATE: Final = 200.0  # bit/s; a file with less is not as long as it says


def check_openable(path: Path) -> None:
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


def open_container(path: Path) -> InputContainer:
    """Open the container; raises UnreadableFileError when it is none, or no recording."""
    try:
        # An absolute path cannot be taken for an address such as "http:".
        container = av.open(
            str(path.absolute()), mode="r", options=dict(_OPTIONS), metadata_errors="replace"
        )
    except DECODING_ERRORS:
        check_openable(path)  # it may have gone since it was looked at
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


def nothing_inside(path: Path, codecs: list[str]) -> str:
    if not codecs:
        return f"{path.name} holds neither pictures nor sound: choose another file"
    return (
        f"nothing in {path.name} can be decoded ({', '.join(codecs)}): it is damaged or protected; "
        "try to play or convert it with another program"
    )


def stream_of(container: InputContainer, kind: Kind) -> Any:
    """The stream of `kind` that people mean, None if there is none; cover pictures do not count.

    Nor does one that FFmpeg cannot decode, as phones' spatial sound, while there is another.
    """
    streams: Any = container.streams.video if kind == "video" else container.streams.audio
    shown = [each for each in streams if not _is_cover(each)]
    wanted = [each for each in shown if each.codec_context is not None] or shown
    best = container.streams.best(kind)
    if best is not None and any(each.index == best.index for each in wanted):
        return best
    return wanted[0] if wanted else None


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def has_times(container: InputContainer) -> bool:
    """Whether pictures carry times; in a raw stream they do not."""
    no_times: Any = av.format.Flags.no_timestamps  # an enumeration; the flags are a number
    return not container.format.flags & no_times.value


def frame_rate_of(stream: Any) -> float | None:
    """Average rate in Hz if the container has a believable one.

    Of a raw stream that is FFmpeg's own default, but its codec may tell.
    """
    if stream is None:
        return None
    rates = stream.average_rate, stream.guessed_rate
    for rate in rates if has_times(stream.container) else reversed(rates):
        if rate and 0.1 <= float(rate) <= 240.0:
            return float(rate)
    return None


def pixel_aspect_of(stream: Any) -> float:
    """Width of a pixel over its height, 1 where the container says nothing likely."""
    aspect = float(stream.sample_aspect_ratio or 1) if stream is not None else 1.0
    return aspect if 0.25 <= aspect <= 4.0 else 1.0


def length_of(container: InputContainer) -> float | None:
    """Length in seconds by FFmpeg's account; None where there is none or it cannot be."""
    if container.duration is None or container.duration <= 0:
        return None
    if container.format.name == "avi" and _riff_size(Path(container.name)) is None:
        return None  # invented, as that size was
    seconds = container.duration / av.time_base
    start = (container.start_time or 0) / av.time_base
    if "matroska" in container.format.name and start < seconds:
        seconds -= start  # FFmpeg, for one, writes there when the recording ends
    return seconds if 8 * container.size >= _LEAST_BITRATE * seconds else None


def stated_length_of(container: InputContainer) -> float | None:
    """Length in seconds where the container itself states it."""
    kinds = {*container.format.name.split(",")}
    if _STATES_LENGTH & kinds or ("mp3" in kinds and _counts_its_frames(Path(container.name))):
        return length_of(container)
    return None


def scan_duration(path: Path) -> float:
    """Span of all packets, for containers without a length (live WebM, raw streams)."""
    times: list[float] = []
    pictures = 0
    with open_container(path) as container:
        frame_rate = frame_rate_of(stream_of(container, "video")) or USUAL_FRAME_RATE
        # Damage is noted when the recording itself is read.
        with suppress(*DECODING_ERRORS):
            for packet in container.demux():
                if packet.pts is not None and packet.time_base:
                    times.append(float(packet.pts * packet.time_base))
                pictures += packet.stream.type == "video" and packet.size > 0
    steps = np.diff(np.sort(times))
    return float(np.sum(steps[steps < FAR_AHEAD])) if len(steps) else pictures / frame_rate


def lacks_its_end(path: Path) -> bool:
    """Whether a RIFF file (WAV, AVI) is shorter than its header says, which FFmpeg passes over."""
    stated = _riff_size(path)
    try:
        return stated is not None and path.stat().st_size < stated
    except OSError:  # gone meanwhile, as `_riff_size` allows for
        return False


def _riff_size(path: Path) -> int | None:
    """Size in bytes that a RIFF file states in its header; None where it states none."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError:  # it was moved or deleted while it was read, which went on all the same
        return None
    size = int.from_bytes(head[4:], "little")
    return size + 8 if head[:4] == b"RIFF" and size < _NO_RIFF_SIZE else None


def _counts_its_frames(path: Path) -> bool:
    """Whether an MP3 file states its length, in a first frame that holds nothing else."""
    try:
        with path.open("rb") as file:
            head = file.read(10)
            if head[:3] == b"ID3":  # a size of four times seven bits (id3v2.4.0, 3.1)
                size = sum((byte & 0x7F) << 7 * (3 - place) for place, byte in enumerate(head[6:]))
                file.seek(10 + size)
            else:
                file.seek(0)
            first = file.read(256)
    except OSError:
        return False
    return b"Xing" in first or b"Info" in first

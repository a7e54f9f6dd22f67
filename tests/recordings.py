"""Makes recordings of every kind for tests: good, odd and broken ones.

Picture n of a movie is grey of level `level(n)` with a red corner at the top left, so that a test
can tell which picture it got and which way up. Channel c of the sound is a 440 Hz tone of amplitude
`amplitude(c)`.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

_QUICK: dict[str, dict[str, str]] = {
    "libx264": {"preset": "ultrafast", "crf": "12"},
    "libx265": {"preset": "ultrafast", "crf": "12", "x265-params": "log-level=none"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "12", "b": "0"},
}
_TICK = Fraction(1, 12800)  # where the container can keep it


def level(index: int) -> int:
    """Grey of the picture number `index`."""
    return 40 + (index * 7) % 200


def amplitude(channel: int) -> float:
    """Of the tone in a channel; differs from channel to channel."""
    return 0.6 - 0.08 * channel


def picture(index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Picture `index`, (height, width, 3)."""
    width, height = size
    image = np.full((height, width, 3), level(index), np.uint8)
    image[: height // 4, : width // 4] = (255, 0, 0)
    return image


def tone(seconds: float, sample_rate: int, channels: int) -> NDArray[np.float32]:
    """The sound, (n_samples, n_channels)."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    wave = np.sin(2 * np.pi * 440 * time)
    tones = np.stack([amplitude(each) * wave for each in range(channels)], axis=1)
    return np.asarray(tones, np.float32)


def first_seconds(recording: Path, path: Path, seconds: float) -> Path:
    """Write what a recording holds before `seconds`, nothing of it coded anew."""
    with av.open(str(recording)) as source, av.open(str(path), "w") as container:
        tracks = {
            stream.index: container.add_stream_from_template(stream) for stream in source.streams
        }
        for packet in source.demux():
            if packet.pts is not None and packet.pts * packet.time_base < seconds:
                packet.stream = tracks[packet.stream.index]
                container.mux(packet)
    return path


def movie(
    path: Path,
    *,
    codec: str | None = "libx264",
    pixel_format: str = "yuv420p",
    size: tuple[int, int] = (96, 64),
    rate: int = 25,
    seconds: float = 1.0,
    times: Sequence[float] | None = None,
    sound: str | None = "aac",
    sound_seconds: float | None = None,
    sound_start: float = 0.0,
    pixel_aspect: Fraction | None = None,
    sample_rate: int = 48000,
    layout: str = "stereo",
    sound_format: str = "fltp",
    b_frames: int = 0,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a recording; `codec` or `sound` None leaves that track out.

    `times` gives every picture's time in seconds instead of `rate` and `seconds`.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        stream: Any = None
        if codec is not None:
            stream = container.add_stream(codec, rate=rate, options=_QUICK.get(codec, {}))
            stream.width, stream.height = size
            stream.pix_fmt = pixel_format
            stream.gop_size = 10
            if b_frames:
                stream.codec_context.max_b_frames = b_frames
            # AVI fills every tick without a picture with an empty one, and of a raw stream the
            # tick is all that tells its rate.
            by_rate = path.suffix in (".avi", ".h264")
            stream.codec_context.time_base = Fraction(1, rate) if by_rate else _TICK
            if pixel_aspect is not None:
                stream.codec_context.sample_aspect_ratio = pixel_aspect
        track: Any = None
        if sound is not None:
            track = container.add_stream(sound, rate=sample_rate)
            track.layout, track.format = layout, sound_format
            track.bit_rate = 128_000 * len(track.layout.channels)
        if stream is not None:
            _write_pictures(container, stream, size, times, rate, seconds)
        if track is not None:
            length = seconds if sound_seconds is None else sound_seconds
            samples = tone(length, sample_rate, len(av.AudioLayout(layout).channels))
            _write_sound(container, track, samples, sound_start)
    return path


def sound_file(
    path: Path,
    samples: NDArray[np.float32],
    sample_rate: int,
    *,
    missing: tuple[float, float] = (0.0, 0.0),
) -> Path:
    """Write mono `samples` (n_samples,) as they are, in floating point.

    What lies between the two times of `missing` is left out, as far as the container can tell.
    """
    with av.open(str(path), "w") as container:
        track: Any = container.add_stream("pcm_f32le", rate=sample_rate)
        track.layout, track.format = "mono", "flt"
        _write_sound(container, track, samples[:, None], 0.0, missing)
    return path


def song_with_cover(path: Path) -> Path:
    """Write an MP3 that carries a cover picture."""
    with av.open(str(path), "w") as container:
        track: Any = container.add_stream("libmp3lame", rate=48000)
        track.layout, track.format = "stereo", "fltp"
        cover: Any = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(picture(0, (64, 64)), format="rgb24")
        frame.pts = 0
        container.mux(cover.encode(frame))
        container.mux(cover.encode(None))
        _write_sound(container, track, tone(1.0, 48000, 2), 0.0)
    return path


def stamped(path: Path, milliseconds: Sequence[int]) -> Path:
    """Write pictures into a Matroska file with exactly these timestamps, sensible or not."""
    with av.open(str(path), "w", format="matroska") as container:
        stream: Any = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        packets = []
        for index in range(len(milliseconds)):
            frame = av.VideoFrame.from_ndarray(picture(index, (96, 64)), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 1000)
            packets.extend(stream.encode(frame))
        packets.extend(stream.encode(None))
        earliest = min(milliseconds) - len(milliseconds)  # decoding times must rise all the same
        for index, (packet, stamp) in enumerate(zip(packets, milliseconds, strict=True)):
            packet.pts, packet.dts = stamp, earliest + index
            container.mux(packet)
    return path


def _write_pictures(
    container: Any,
    stream: Any,
    size: tuple[int, int],
    times: Sequence[float] | None,
    rate: int,
    seconds: float,
) -> None:
    if times is None:
        times = [index / rate for index in range(round(seconds * rate))]
    for index, time in enumerate(times):
        frame = av.VideoFrame.from_ndarray(picture(index, size), format="rgb24")
        frame.pts, frame.time_base = round(time / _TICK), _TICK
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _write_sound(
    container: Any,
    track: Any,
    samples: NDArray[np.float32],
    start: float,
    missing: tuple[float, float] = (0.0, 0.0),
) -> None:
    rate, layout = track.rate, track.layout.name
    resampler = av.AudioResampler(format=track.format.name, layout=layout, rate=rate)
    for first in range(0, len(samples), 1024):
        if missing[0] <= first / rate < missing[1]:
            continue
        block = samples[first : first + 1024].reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout=layout)
        frame.sample_rate, frame.pts = rate, first + round(start * rate)
        frame.time_base = Fraction(1, rate)
        for converted in resampler.resample(frame):
            container.mux(track.encode(converted))
    container.mux(track.encode(None))


def turned(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write the display matrix (a, b, c, d) into the first track of the MP4 at `path`."""
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd") + 4
    start = header + (40 if data[header] == 0 else 52)
    a, b, c, d = (value << 16 for value in matrix)
    struct.pack_into(">9i", data, start, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def joined(path: Path, *others: Path) -> Path:
    """Write `others`, which are transport streams, one behind the other."""
    path.write_bytes(b"".join(each.read_bytes() for each in others))
    return path


def cut(path: Path, share: float) -> Path:
    """Keep only the first `share` of the file."""
    data = path.read_bytes()
    path.write_bytes(data[: round(share * len(data))])
    return path


def zeroed(path: Path, start: float, end: float) -> Path:
    """Overwrite a part of the file, from one share of it to another, with zeros."""
    data = bytearray(path.read_bytes())
    first, last = round(start * len(data)), round(end * len(data))
    data[first:last] = bytes(last - first)
    path.write_bytes(data)
    return path


def flipped(path: Path, seed: int, share: float = 0.002, begin: float = 0.0) -> Path:
    """Change some bytes behind the share `begin` of the file at random."""
    chance = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(max(1, round(share * len(data)))):
        data[chance.randrange(round(begin * len(data)), len(data))] ^= chance.randrange(1, 256)
    path.write_bytes(data)
    return path

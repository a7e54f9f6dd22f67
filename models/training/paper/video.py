"""Pictures and sound of the data sets' clips, through PyAV.

Pictures are RGB, (height, width, 3) uint8, at the size they were recorded in; sound is mono float32
in [-1, 1]. Thread: the caller's; no state.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from models.arrays import FloatArray
from models.training.data import DataError
from models.training.paper.prepared import Arrays

Image = NDArray[np.uint8]
Sound = FloatArray

# What a damaged file can make PyAV raise.
_ERRORS: Final = (av.FFmpegError, ValueError, ArithmeticError, LookupError)
_UNKNOWN: Final = 0xFFFFFFFF  # size of the sound, says a WAV file that was written to a pipe
_QUALITY: Final = 95  # of the JPEG pictures that are kept
_WHOLE: Final = 0.9  # share of the stated pictures that must be there; headers are not exact


def spread_pictures(path: Path, count: int) -> Iterator[Image]:
    """`count` pictures spread evenly over a clip: those in the middle of as many equal parts.

    A clip of fewer pictures gives some of them more than once.

    Raises
    ------
    DataError
        No clip, no pictures, or damaged.
    """
    try:
        # Containers state the number of pictures inexactly or not at all; counting is cheap.
        with av.open(str(path)) as container:
            stream = _video(container, path)
            stated = int(stream.frames)
            total = sum(packet.size > 0 for packet in container.demux(stream))
        if total == 0:
            raise DataError(f"{path} has no pictures")
        if total < _WHOLE * stated:
            raise DataError(f"{path} is damaged: it has {total} of {stated} pictures")
        wanted = ((np.arange(count) + 0.5) * total / count).astype(int)
        given = 0
        newest: VideoFrame | None = None
        with av.open(str(path)) as container:
            for index, frame in enumerate(container.decode(_video(container, path))):
                if frame.is_corrupt:
                    raise DataError(f"{path} is damaged at picture {index + 1} of {total}")
                newest = frame
                while given < count and wanted[given] == index:
                    yield _rgb(frame)
                    given += 1
                if given == count:
                    return
        if newest is None or index + 1 < _WHOLE * total:
            raise DataError(f"{path} is damaged: it ends before picture {wanted[given] + 1}")
        for _ in range(given, count):
            yield _rgb(newest)
    except _ERRORS as error:
        raise DataError(f"{path} cannot be read as a video: {error}") from None


def read_sound(path: Path) -> tuple[Sound, int] | None:
    """Mono sound (n_samples,) of a clip or sound file and its rate in Hz; None without a track.

    Channels are averaged.

    Raises
    ------
    DataError
        The file cannot be read, or its sound is damaged or cut short.
    """
    _check_length(path)
    parts: list[Sound] = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                return None
            stream = container.streams.audio[0]
            rate = int(stream.rate)
            planar = av.AudioResampler(format="fltp")
            for frame in container.decode(stream):
                parts += [_mono(each) for each in planar.resample(frame)]
            parts += [_mono(each) for each in planar.resample(None)]
    except _ERRORS as error:
        raise DataError(f"{path}: its sound cannot be read: {error}") from None
    if not parts:
        raise DataError(f"{path} has a sound track without sound")
    return np.concatenate(parts), rate


def _check_length(path: Path) -> None:
    """DataError where a WAV file ends before its sound does, of which FFmpeg takes what there is.

    Other files pass: that they are cut short shows when they are decoded.
    """
    try:
        with path.open("rb") as file:
            if (head := file.read(12))[:4] + head[8:] != b"RIFFWAVE":
                return
            while len(chunk := file.read(8)) == 8:
                name, size = struct.unpack("<4sI", chunk)
                if name == b"data":
                    there = path.stat().st_size - file.tell()
                    if there < size < _UNKNOWN:
                        raise DataError(
                            f"{path} is cut short: it has {there} of {size} bytes of sound"
                        )
                    return
                file.seek(size + size % 2, os.SEEK_CUR)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def square(image: Image, left: int, top: int, side: int, size: int) -> Image:
    """The square from (left, top) with that side, both in pixels, scaled to (size, size, 3).

    What lies outside the picture repeats its border; the aspect is kept.
    """
    height, width = image.shape[:2]
    before = max(0, -top), max(0, -left)
    after = max(0, top + side - height), max(0, left + side - width)
    inside = image[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)]
    if any((*before, *after)):
        way = cv2.BORDER_REPLICATE
        bordered = cv2.copyMakeBorder(inside, before[0], after[0], before[1], after[1], way)
        inside = np.asarray(bordered, np.uint8)
    way = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(inside, (size, size), interpolation=way), np.uint8)


def pack(pictures: NDArray[np.uint8]) -> Arrays:
    """RGB pictures (n, height, width, 3) as JPEG, so that a data set fits on a disk."""
    encoded = []
    for picture in pictures:
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)  # cv2 writes BGR
        encoded.append(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1])
    ends = np.cumsum([len(each) for each in encoded])
    return {"jpeg": np.concatenate(encoded), "jpeg_ends": ends}


def unpack(arrays: Arrays) -> NDArray[np.uint8]:
    """The RGB pictures (n, height, width, 3) that `pack` packed."""
    parts = np.split(arrays["jpeg"], arrays["jpeg_ends"][:-1])
    pictures = [cv2.imdecode(part, cv2.IMREAD_COLOR) for part in parts]
    return np.stack([cv2.cvtColor(each, cv2.COLOR_BGR2RGB) for each in pictures]).astype(np.uint8)


def _video(container: Any, path: Path) -> Any:
    if not container.streams.video:
        raise DataError(f"{path} has no pictures")
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1  # clips are prepared several at a time
    return stream


def _rgb(frame: VideoFrame) -> Image:
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _mono(frame: AudioFrame) -> Sound:
    return np.asarray(frame.to_ndarray().mean(axis=0), np.float32)

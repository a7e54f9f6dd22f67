"""What Linux and its drivers say of cameras (V4L2). Thread: any. Rates in Hz, sizes in pixels."""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from realtime.devices.listing import CameraInfo, CameraMode

logger = logging.getLogger(__name__)

# From linux/videodev2.h: request numbers, and how the structures they fill are laid out.
_QUERYCAP, _CAPABILITY = 0x80685600, struct.Struct("=16s32s32s6I")
_FRAMESIZES, _FRAMESIZE = 0xC02C564A, struct.Struct("=5I24x")
_FRAMEINTERVALS, _FRAMEINTERVAL = 0xC034564B, struct.Struct("=7I24x")
_CAN_CAPTURE: Final = 0x1
_DISCRETE: Final = 1
_FORMATS: Final = [int.from_bytes(code, "little") for code in (b"MJPG", b"YUYV")]

Request = Callable[[int, bytes], bytes]
"""What asks a driver: request number and structure in, filled structure out; raises OSError."""


def camera_name(index: int) -> str:
    """What the system calls a local camera."""
    try:
        name = Path(f"/sys/class/video4linux/video{index}/name").read_text().strip()
    except (OSError, ValueError):
        name = ""
    return name or f"Camera {index}"


def listed_cameras(root: Path = Path("/sys/class/video4linux")) -> list[CameraInfo]:
    cameras = []
    numbers = [each.name.removeprefix("video") for each in root.glob("video*")]
    for index in sorted(int(number) for number in numbers if number.isdecimal()):
        try:
            with _asking(Path(f"/dev/video{index}")) as ask:
                if can_capture(ask):
                    info = CameraInfo(index=index, name=camera_name(index), modes=modes(ask))
                    cameras.append(info)
        except FileNotFoundError:  # one of the host's, which this container was not given
            continue
        except OSError as error:  # it may not be read, or is gone: opening it will say so
            logger.debug("camera %d does not answer: %s", index, error)
            cameras.append(CameraInfo(index=index, name=camera_name(index)))
    return cameras


@contextmanager
def _asking(device: Path) -> Iterator[Request]:
    import fcntl

    descriptor = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    try:
        yield lambda request, data: fcntl.ioctl(descriptor, request, data)
    finally:
        os.close(descriptor)


def can_capture(ask: Request) -> bool:
    """Whether a video node gives pictures; many cameras have a second one for metadata."""
    fields = _CAPABILITY.unpack(ask(_QUERYCAP, bytes(_CAPABILITY.size)))
    return bool(fields[5] & _CAN_CAPTURE)


def modes(ask: Request) -> tuple[CameraMode, ...]:
    """What a V4L2 driver offers, largest first: each size with its best rate over the formats."""
    rates: dict[tuple[int, int], float] = {}
    for code in _FORMATS:
        for size in _enumerated(ask, _FRAMESIZES, _FRAMESIZE, (code,)):
            _, _, kind, width, height = size
            if kind != _DISCRETE:
                break
            rates[width, height] = max(
                rates.get((width, height), 0.0),
                *(
                    above / below
                    for *_, kind, below, above in _enumerated(
                        ask, _FRAMEINTERVALS, _FRAMEINTERVAL, (code, width, height)
                    )
                    if kind == _DISCRETE and below
                ),
                0.0,
            )
    ordered = sorted(rates.items(), key=lambda item: item[0][0] * item[0][1], reverse=True)
    return tuple(CameraMode(*size, round(rate, 2)) for size, rate in ordered)


def _enumerated(
    ask: Request, request: int, layout: struct.Struct, wanted: tuple[int, ...]
) -> Iterator[tuple[int, ...]]:
    """The entries of one of the driver's lists; it ends the list by an error."""
    for index in range(64):  # a driver that never ends it must not hold us
        head = struct.pack(f"={1 + len(wanted)}I", index, *wanted)
        try:
            yield layout.unpack(ask(request, head.ljust(layout.size, b"\0")))
        except OSError:
            return

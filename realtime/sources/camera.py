"""A local camera or a network camera, through OpenCV.

Thread: the camera's capture thread; every call blocks there as long as the driver does (a local
camera about 2 s at most, an address as long as its time-outs below, and as it takes to ask why it
gives nothing). Timestamps are seconds on the
session's clock, taken when the driver hands the frame over and before anything is done to it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from realtime.clock import Clock
from realtime.devices.addresses import CAMERA_WANTED, is_address, local_number, public_name
from realtime.devices.cameras import CAMERAS_IN_USE, OPENING_CAMERA, camera_backend, opencv
from realtime.devices.reach import obstacle
from realtime.devices.video4linux import camera_name
from realtime.messages import VideoPacket
from realtime.sources.base import NoDeviceError, Source, SourceError

OPEN_TIMEOUT_SECONDS: Final = 4.0  # of an address
READ_TIMEOUT_SECONDS: Final = 2.0


class CameraSource(Source[VideoPacket]):
    """Pictures of the camera called `selector`: a number, or an address (http, https, rtsp).

    A local camera is asked for `size` (width, height) and `frame_rate`, and gives what it can. Half
    a metre from a web cam a face is some 250 of 720 lines, many times what the network looks at;
    larger pictures cost decoding and win nothing.
    """

    def __init__(
        self,
        selector: str,
        clock: Clock,
        *,
        size: tuple[int, int] = (1280, 720),
        frame_rate: float = 30.0,
    ) -> None:
        self._selector = selector.strip()
        self._clock = clock
        self._size, self._frame_rate = size, frame_rate
        self._name = public_name(self._selector)
        self._cv2: Any = None  # the module, once it is needed
        self._capture: Any = None
        self._sequence = 0

    @property
    def name(self) -> str:
        """The device's name, or the address without its password."""
        return self._name

    def open(self) -> None:
        """See Source.open; returns once the camera has given a first picture."""
        self.close()
        self._cv2 = opencv()
        number = local_number(self._selector)
        if number is not None:
            with OPENING_CAMERA[number]:
                capture = self._open_local(number)
                CAMERAS_IN_USE.add(number)
        elif is_address(self._selector):
            capture = self._open_address()
        else:
            raise NoDeviceError(f"{self._name} cannot be opened: {CAMERA_WANTED}")
        self._capture, self._sequence = capture, 0

    def read(self, timeout_seconds: float) -> VideoPacket | None:
        """See Source.read; blocks until the driver has a picture, whatever `timeout_seconds` is.

        None stands for a picture that could not be decoded; its number is left out.
        """
        if self._capture is None:
            raise SourceError(f"{self._name} is not open")
        grabbed = self._capture.grab()
        timestamp = self._clock.now()
        if not grabbed:
            raise SourceError(f"{self._name} has stopped sending pictures: {self._remedy()}")
        sequence = self._sequence
        self._sequence += 1
        decoded, image = self._capture.retrieve()
        if not decoded or image is None or image.ndim != 3:
            return None
        rgb = cast(NDArray[np.uint8], self._cv2.cvtColor(image, self._cv2.COLOR_BGR2RGB))
        rgb.flags.writeable = False
        return VideoPacket(timestamp=timestamp, sequence=sequence, image=rgb)

    def close(self) -> None:
        """See Source.close."""
        capture, self._capture = self._capture, None
        if capture is None:
            return
        capture.release()
        number = local_number(self._selector)
        if number is not None:
            CAMERAS_IN_USE.discard(number)

    def _open_local(self, index: int) -> Any:
        node = Path(f"/dev/video{index}")
        if sys.platform == "linux" and not node.exists():
            raise NoDeviceError(f"there is no camera {index}")
        if sys.platform == "linux" and not os.access(node, os.R_OK | os.W_OK):
            raise SourceError(
                f"{node} may not be used: `sudo usermod -aG video $USER`, then log in again"
            )
        self._name = camera_name(index)
        cv2 = self._cv2
        capture = cv2.VideoCapture(index, camera_backend())
        if not capture.isOpened():
            capture.release()
            settings = "System Settings → Privacy & Security → Camera"
            permit = f" ({settings})" if sys.platform == "darwin" else ""
            raise NoDeviceError(
                f"camera {index} cannot be opened: it is not there, another program uses it, or "
                f"this one lacks permission{permit}"
            )
        # MJPG before the size: uncompressed, USB 2 carries 720 lines only ten times a second, and
        # drivers settle the size for the format that is set.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        width, height = self._size
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        capture.set(cv2.CAP_PROP_FPS, self._frame_rate)
        if not capture.grab():
            capture.release()
            raise SourceError(
                f"{self._name} gives no picture: close other programs that use the camera, or plug "
                "it into another port"
            )
        return capture

    def _open_address(self) -> Any:
        cv2 = self._cv2
        capture = cv2.VideoCapture(
            self._selector,
            cv2.CAP_FFMPEG,
            [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                round(1e3 * OPEN_TIMEOUT_SECONDS),
                cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                round(1e3 * READ_TIMEOUT_SECONDS),
                # Each further thread holds H.264 and H.265 pictures back by one; by itself OpenCV
                # takes as many as there are cores.
                cv2.CAP_PROP_N_THREADS,
                1,
            ],
        )
        if not capture.isOpened() or not capture.grab():
            capture.release()
            raise SourceError(f"{self._name} cannot be watched: {obstacle(self._selector)}")
        return capture

    def _remedy(self) -> str:
        if "://" in self._selector:
            return "check that the camera is on and in the same network"
        return "check its cable"

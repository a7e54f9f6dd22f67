"""Local cameras, and OpenCV, which opens them and those in the network.

Thread: any. OpenCV is imported when first needed: the program starts faster. Rates in Hz, sizes in
pixels.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import defaultdict
from typing import Any, Final

from realtime.devices.addresses import local_number
from realtime.devices.listing import CameraInfo, CameraMode, Listing
from realtime.devices.video4linux import listed_cameras
from realtime.output import set_up_libraries

logger = logging.getLogger(__name__)

_PROBED_CAMERAS: Final = 4  # where the system has no list, opening is the only way to know
CAMERAS_IN_USE: Final[set[int]] = set()
"""Numbers of the local cameras that this process has open."""
OPENING_CAMERA: Final[defaultdict[int, threading.Lock]] = defaultdict(threading.Lock)
"""Of each number, held while that camera is opened, by a session or to list it."""


def opencv() -> Any:
    """The module cv2, told to keep its messages to itself; what the environment says stays."""
    set_up_libraries()
    import cv2

    cv2.setLogLevel(0)  # in case it was loaded before the settings were there
    return cv2


def camera_backend() -> int:
    """OpenCV's number of the interface that local cameras are opened through."""
    cv2 = opencv()
    backends = {"linux": cv2.CAP_V4L2, "win32": cv2.CAP_MSMF, "darwin": cv2.CAP_AVFOUNDATION}
    return int(backends.get(sys.platform, cv2.CAP_ANY))


def list_cameras() -> Listing[CameraInfo]:
    """Local cameras by number; raises nothing.

    Linux has a list of them. Elsewhere each that no session has open is opened for a moment to know
    it: that takes seconds, lights the camera's lamp, and does not find one that another program
    keeps to itself.
    """
    try:
        cameras = listed_cameras() if sys.platform == "linux" else _probed_cameras()
    except Exception as error:  # whatever a driver does, the list of cameras is not worth a crash
        logger.info("cameras cannot be listed", exc_info=True)
        return Listing(problem=f"cameras cannot be listed: {error}", fault=True)
    problem = (
        ""
        if cameras
        else "no camera was found: plug one in, or use the address of a network camera"
    )
    return Listing(cameras, problem)


def _probed_cameras() -> list[CameraInfo]:
    cameras = []
    for index in range(_PROBED_CAMERAS):
        with OPENING_CAMERA[index]:
            modes = () if index in CAMERAS_IN_USE else _probed_modes(index)
        if modes is not None:
            cameras.append(CameraInfo(index=index, name=f"Camera {index}", modes=modes))
    return cameras


def _probed_modes(index: int) -> tuple[CameraMode] | None:
    """How the camera comes when nothing is asked of it; None if it is in use, or there is none."""
    cv2 = opencv()
    capture = cv2.VideoCapture(index, camera_backend())
    try:
        if not capture.isOpened():
            return None
        return (
            CameraMode(
                round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
                round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
                max(0.0, capture.get(cv2.CAP_PROP_FPS)),
            ),
        )
    finally:
        capture.release()


def ask_for_camera(selector: str, platform: str = sys.platform) -> None:
    """Let macOS ask the person whether this program may use the local camera `selector`.

    OpenCV can wait for the answer on the main thread only (opencv/opencv#16427), and sessions open
    cameras on others. Opening one is asking, as `list_cameras` does too.
    """
    number = local_number(selector)
    if platform == "darwin" and number is not None:
        opencv().VideoCapture(number, camera_backend()).release()

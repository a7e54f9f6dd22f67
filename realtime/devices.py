"""Which cameras and microphones there are, and the libraries that speak to them.

Thread: any. OpenCV and sounddevice are imported when first needed: the program runs without
PortAudio, and starts faster without either. Rates in Hz, sizes in pixels.
"""

from __future__ import annotations

import logging
import os
import re
import struct
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

from realtime.sources.base import NoDeviceError, SourceError

logger = logging.getLogger(__name__)

Info = TypeVar("Info")


class Listing(list[Info]):
    """The devices found; `problem` tells people why there are none, or not all.

    `fault`: they could not be looked for, which is another thing than there being none.
    """

    def __init__(
        self, devices: Iterable[Info] = (), problem: str = "", *, fault: bool = False
    ) -> None:
        super().__init__(devices)
        self.problem = problem
        self.fault = fault


def list_devices() -> tuple[Listing[CameraInfo], Listing[MicrophoneInfo]]:
    """Cameras and microphones; raises nothing, and may take as long as `list_cameras`."""
    return list_cameras(), list_microphones()


def chosen_devices(
    camera: str | None, microphone: str | None
) -> tuple[str | None, str | None, list[str]]:
    """Selectors of what to open; what nobody chose is taken if there is one, "none" is none.

    An address may come without its http://. The third is why devices that nobody chose could not be
    looked for. A microphone's number means what it stands for now: it may be another one when it is
    opened. Thread: main, see `ask_for_camera`.
    """
    faults = []
    if camera is None:
        cameras = list_cameras()
        camera = next((each.selector for each in cameras), None)
        faults += [cameras.problem] if cameras.fault else []
    elif re.fullmatch(r"[^\s/]+[.:/]\S*", camera):  # no number, and no name of a device
        camera = network_address(camera)
    else:
        ask_for_camera(camera)
    if microphone is None:
        microphones = list_microphones()
        microphone = "default" if microphones else None
        faults += [microphones.problem] if microphones.fault else []
    elif microphone.isdecimal():
        names = {str(each.index): each.selector for each in list_microphones()}
        microphone = names.get(microphone, microphone)
    camera, microphone = (None if each == "none" else each for each in (camera, microphone))
    return camera, microphone, faults


# -- cameras --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CameraMode:
    """A picture size, and the highest rate the camera gives it at (0: not known)."""

    width: int
    height: int
    frame_rate: float

    def __str__(self) -> str:
        size = f"{self.width}×{self.height}"
        return f"{size} at {self.frame_rate:g} Hz" if self.frame_rate else size


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraInfo:
    """A local camera."""

    index: int
    name: str
    modes: tuple[CameraMode, ...] = ()  # largest first; empty when it does not say

    @property
    def selector(self) -> str:
        """What `CameraSource` finds it by."""
        return str(self.index)

    @property
    def details(self) -> str:
        """What it can do, in a line for people."""
        shown = ", ".join(map(str, self.modes[:4]))
        return shown + (", …" if len(self.modes) > 4 else "")


_PROBED_CAMERAS: Final = 4  # where the system has no list, opening is the only way to know
CAMERAS_IN_USE: Final[set[int]] = set()
"""Numbers of the local cameras that this process has open."""
OPENING_CAMERA: Final[defaultdict[int, threading.Lock]] = defaultdict(threading.Lock)
"""Of each number, held while that camera is opened, by a session or to list it."""
_OPENCV_SETTINGS: Final = {
    "OPENCV_LOG_LEVEL": "SILENT",
    "OPENCV_FFMPEG_LOGLEVEL": "-8",  # AV_LOG_QUIET
    # RTSP over TCP, since over UDP one lost packet smears the picture for seconds. Whatever is set
    # here, OpenCV 4.11 takes TCP and heeds no other option.
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;tcp",
    "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "2",  # seconds; 10 would hold up whoever wants to stop
    "OPENCV_VIDEOIO_MSMF_ENABLE_HW_TRANSFORMS": "0",  # on, opening takes most of a minute
}


def opencv() -> Any:
    """The module cv2, told to keep its messages to itself; what the environment says stays."""
    for name, value in _OPENCV_SETTINGS.items():
        os.environ.setdefault(name, value)
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
        cameras = _video4linux() if sys.platform == "linux" else _probed_cameras()
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


def local_number(selector: str) -> int | None:
    """Number of the local camera that `selector` means, None where it is an address."""
    number = re.fullmatch(r"(?:/dev/video)?(\d{1,3})", selector.strip())
    return int(number[1]) if number else None


def network_address(text: str) -> str:
    """Address of a network camera as somebody typed it, with http:// where it names no protocol.

    Behind an http:// that stood there already, people may paste a whole address.
    """
    address = re.sub(r"^http://(?=[a-z]+://)", "", text.strip(), flags=re.IGNORECASE)
    return address if "://" in address or not address else f"http://{address}"


def public_address(address: str) -> str:
    """`address` without user, password and query, as it may be kept; "" if it is none.

    Nor is it one where a password may go on behind the host's place, as / ? # not escaped let it.
    """
    try:
        parts = urlsplit(address)
        whole = parts.hostname and (parts.port or True)
    except ValueError:
        return ""
    if not whole or "@" in parts.path + parts.query + parts.fragment:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def public_name(selector: str) -> str:
    """What to call the camera `selector` before it is open; of an address, what people may see.

    That is all but user, password and query.
    """
    if address := public_address(selector):
        return address.partition("//")[2]
    if "//" in selector:
        return "Camera"
    plain = selector.rpartition("@")[2]  # a number, or an address that lacks its beginning
    return f"Camera {plain}" if local_number(plain) is not None else plain or "Camera"


def _video4linux(root: Path = Path("/sys/class/video4linux")) -> list[CameraInfo]:
    cameras = []
    numbers = [each.name.removeprefix("video") for each in root.glob("video*")]
    for index in sorted(int(number) for number in numbers if number.isdecimal()):
        try:
            with _asking(Path(f"/dev/video{index}")) as ask:
                if can_capture(ask):
                    info = CameraInfo(index=index, name=camera_name(index), modes=modes(ask))
                    cameras.append(info)
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


# -- microphones ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MicrophoneInfo:
    """A device that gives sound."""

    index: int  # PortAudio's number; another one after devices were plugged or unplugged
    name: str
    selector: str  # what `MicrophoneSource` finds it by: its name, or its number among namesakes
    channels: int  # at most
    sample_rate: int  # its own
    host_api: str
    is_default: bool

    @property
    def details(self) -> str:
        """What it can do, in a line for people."""
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        default = ", default" if self.is_default else ""
        return f"{self.sample_rate} Hz, {channels}, {self.host_api}{default}"


# ALSA's plugins that convert for others and are no devices.
_CONVERTERS: Final = frozenset(
    {"dmix", "dsnoop", "jack", "lavrate", "null", "oss", "samplerate"}
    | {"speex", "speexrate", "upmix", "usbstream", "vdownmix"}
)


PORTAUDIO_PATIENCE_SECONDS: Final = 5.0  # sound servers take seconds to wake sleeping devices


class PortAudio:
    """sounddevice, loaded when first needed, its list of devices renewed while no stream is open.

    PortAudio looks for devices only when it is initialised, so what is plugged in later is found by
    doing that again, which would break an open stream. Thread: any; one lock, held while devices
    are listed, opened or closed. A driver may keep it for good, so that nobody waits long for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._initialised = True  # as importing sounddevice does
        self._streams = 0

    @property
    def in_use(self) -> bool:
        """Whether a stream is open, so that the list of devices stays as it is."""
        return self._streams > 0

    @contextmanager
    def devices(self) -> Iterator[Any]:
        """The module sounddevice with a list of devices as new as may be.

        Nobody else lists, opens or closes meanwhile. Raises SourceError where PortAudio is missing
        or does not work, also while it is asked: a device may go between two questions.
        """
        with self._held():
            is_new = "sounddevice" not in sys.modules
            try:
                import sounddevice

                if not is_new and not self.in_use:
                    if self._initialised:
                        sounddevice._terminate()
                        self._initialised = False
                    sounddevice._initialize()
                    self._initialised = True
            except OSError as error:
                raise SourceError(
                    "the sound library PortAudio is missing: install it with "
                    "`sudo apt install libportaudio2` and start again"
                ) from error
            except Exception as error:  # sounddevice.PortAudioError; its class needs the import
                raise SourceError(f"the sound system does not answer: {error}") from error
            try:
                yield sounddevice
            # A device's name may be in no known code.
            except (sounddevice.PortAudioError, UnicodeDecodeError) as error:
                raise SourceError(f"the sound system does not answer: {error}") from error

    def opened(self) -> None:
        """A stream was opened; call it inside `devices`."""
        self._streams += 1

    @staticmethod
    def is_active(stream: Any) -> bool:
        """Whether an open stream runs; one that PortAudio cannot tell of any more does not."""
        import sounddevice

        try:
            return bool(stream.active)
        except sounddevice.PortAudioError as error:
            logger.info("a sound stream does not answer: %s", error)
            return False

    def close(self, stream: Any) -> None:
        """Close a stream that was told of by `opened`.

        Takes for ever where a sound server hangs, and keeps nobody else from their devices then.
        """
        # abort, not stop: what is still in the buffers is of no use to anybody.
        stream.abort(ignore_errors=True)
        with self._lock:
            stream.close(ignore_errors=True)
            self._streams -= 1

    @contextmanager
    def _held(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=PORTAUDIO_PATIENCE_SECONDS):
            raise SourceError("the sound system does not answer: start it or the computer anew")
        try:
            yield
        finally:
            self._lock.release()


PORTAUDIO: Final = PortAudio()
"""The one of this process, as PortAudio itself is."""


def list_microphones() -> Listing[MicrophoneInfo]:
    """Microphones of the system's usual interface; raises nothing."""
    try:
        with PORTAUDIO.devices() as sounddevice:
            found = microphones(sounddevice)
            renewed = not PORTAUDIO.in_use
    except SourceError as error:
        return Listing(problem=str(error), fault=True)
    except Exception as error:
        logger.info("microphones cannot be listed", exc_info=True)
        return Listing(problem=f"microphones cannot be listed: {error}", fault=True)
    if not renewed:
        problem = "new microphones are found only while no sound is recorded or played"
    else:
        problem = "" if found else "no microphone was found: plug one in"
    return Listing(found, problem)


def microphones(sounddevice: Any) -> list[MicrophoneInfo]:
    """What PortAudio lists, without what is no device.

    Call it inside `PORTAUDIO.devices`, which turns PortAudio's errors into SourceError.
    """
    number, api = _host_api(sounddevice)
    if api is None:
        return []
    default = api["default_input_device"]
    inputs = [
        device
        for device in sounddevice.query_devices()
        if device["hostapi"] == number
        and device["max_input_channels"] > 0
        and device["name"] not in _CONVERTERS
    ]
    named = Counter(device["name"] for device in inputs)
    return [
        MicrophoneInfo(
            index=device["index"],
            name=device["name"],
            selector=device["name"] if named[device["name"]] == 1 else str(device["index"]),
            channels=device["max_input_channels"],
            sample_rate=round(device["default_samplerate"]),
            host_api=api["name"],
            is_default=device["index"] == default,
        )
        for device in inputs
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoudspeakerInfo:
    """The device that plays the system's sounds."""

    index: int
    name: str
    channels: int  # at most
    sample_rate: int  # its own


def loudspeaker(sounddevice: Any) -> LoudspeakerInfo:
    """Where sound is heard. Call it inside `PORTAUDIO.devices`; raises NoDeviceError."""
    _, api = _host_api(sounddevice)
    index = -1 if api is None else api["default_output_device"]
    if index < 0:
        raise NoDeviceError("there is no loudspeaker: plug one in, or headphones")
    device = sounddevice.query_devices(index)
    return LoudspeakerInfo(
        index=index,
        name=device["name"],
        channels=device["max_output_channels"],
        sample_rate=round(device["default_samplerate"]),
    )


def _host_api(sounddevice: Any) -> tuple[int, Any]:
    """Number and description of the system's usual interface, None where there is none.

    On Windows every device is there once per interface; WASAPI has the full names and the shortest
    delay.
    """
    apis = sounddevice.query_hostapis()
    names = [api["name"] for api in apis]
    number = sounddevice.default.hostapi
    if "Windows WASAPI" in names:
        number = names.index("Windows WASAPI")
    return number, apis[number] if 0 <= number < len(apis) else None

"""Listing devices: what drivers say is understood, and nothing is raised."""

from __future__ import annotations

import errno
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.devices import addresses, cameras, choice, sound, video4linux
from realtime.devices.listing import CameraInfo, CameraMode, MicrophoneInfo
from realtime.devices.sound import PortAudio
from realtime.sources.base import SourceError


class Driver:
    """Answers V4L2's requests as a web cam's driver does (linux/videodev2.h)."""

    def __init__(
        self, sizes: dict[bytes, dict[tuple[int, int], list[int]]], *, captures: bool = True
    ) -> None:
        self._sizes = {int.from_bytes(code, "little"): each for code, each in sizes.items()}
        self._captures = captures

    def __call__(self, request: int, data: bytes) -> bytes:
        if request == 0x80685600:
            names = b"uvcvideo".ljust(16, b"\0") + b"A camera".ljust(32, b"\0") + bytes(32)
            # bit 0: gives pictures; bit 23: gives metadata
            own = 0x04200001 if self._captures else 0x04A00000
            return names + struct.pack("=6I", 0x060100, 0x84A00001, own, 0, 0, 0)
        index, code = struct.unpack_from("=2I", data)
        sizes = self._sizes.get(code, {})
        if request == 0xC02C564A:
            assert len(data) == 44
            if index >= len(sizes):
                raise OSError(errno.EINVAL, "no more")
            return struct.pack("=5I24x", index, code, 1, *list(sizes)[index])
        assert request == 0xC034564B
        assert len(data) == 52
        rates = sizes[struct.unpack_from("=2I", data, 8)]
        if index >= len(rates):
            raise OSError(errno.EINVAL, "no more")
        return struct.pack(
            "=7I24x", index, code, *struct.unpack_from("=2I", data, 8), 1, 1, rates[index]
        )


WEB_CAM = Driver(
    {
        b"MJPG": {(640, 480): [30, 15], (1280, 720): [30, 60], (1920, 1080): [30]},
        b"YUYV": {(640, 480): [30], (1280, 720): [10], (320, 240): [30]},
    }
)


def test_the_best_rate_of_each_size_is_found() -> None:
    assert video4linux.modes(WEB_CAM) == (
        CameraMode(1920, 1080, 30.0),
        CameraMode(1280, 720, 60.0),
        CameraMode(640, 480, 30.0),
        CameraMode(320, 240, 30.0),
    )


def test_a_node_for_metadata_is_no_camera() -> None:
    assert video4linux.can_capture(WEB_CAM)
    assert not video4linux.can_capture(Driver({}, captures=False))


def test_a_driver_whose_list_never_ends_is_left() -> None:
    def endless(request: int, data: bytes) -> bytes:
        index = struct.unpack_from("=I", data)[0]
        if request == 0xC02C564A:
            return struct.pack("=5I24x", index, 0, 1, 640 + index, 480)
        return struct.pack("=7I24x", index, 0, 640, 480, 1, 0, 0)  # a rate of 0 / 0

    assert len(video4linux.modes(endless)) == 64


@pytest.mark.skipif(sys.platform != "linux", reason="V4L2 is Linux's")
def test_cameras_are_listed_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("video10", "video7", "video2", "video0", "v4l-subdev0", "radio0"):
        (tmp_path / name).mkdir()

    @contextmanager
    def asking(device: Path) -> Iterator[video4linux.Request]:
        if device.name == "video10":
            raise PermissionError(errno.EACCES, "may not be read")
        if device.name == "video7":  # the host's, not this container's
            raise FileNotFoundError(errno.ENOENT, "is not there")
        yield WEB_CAM if device.name == "video0" else Driver({}, captures=False)

    monkeypatch.setattr(video4linux, "_asking", asking)
    first, last = video4linux.listed_cameras(tmp_path)
    assert (first.index, len(first.modes)) == (0, 4)
    assert last == CameraInfo(index=10, name="Camera 10")


def test_listing_cameras_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> list[CameraInfo]:
        raise RuntimeError("the driver crashed")

    monkeypatch.setattr(cameras, "listed_cameras", fail)
    monkeypatch.setattr(cameras, "_probed_cameras", fail)
    found = cameras.list_cameras()
    assert not found
    assert "the driver crashed" in found.problem


def test_no_camera_has_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cameras, "listed_cameras", list)
    monkeypatch.setattr(cameras, "_probed_cameras", list)
    assert "plug one in" in cameras.list_cameras().problem


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("10.0.0.20:8080/video", "http://10.0.0.20:8080/video"),
        (" camera.local ", "http://camera.local"),
        ("http://rtsp://camera/1", "rtsp://camera/1"),
        ("HTTPS://Camera/1", "https://Camera/1"),
        ("", ""),
    ],
)
def test_an_address_may_lack_its_protocol(typed: str, address: str) -> None:
    assert addresses.network_address(typed) == address


@pytest.mark.parametrize(
    ("typed", "chosen"),
    [
        ("10.0.0.20:8080/video", "http://10.0.0.20:8080/video"),
        ("localhost/video", "http://localhost/video"),
        ("camera.local", "http://camera.local"),
        ("RTSP://user:Secret@camera/1", "rtsp://user:Secret@camera/1"),
        ("http://[fe80::1]:8080/", "http://[fe80::1]:8080/"),
        (" 2 ", "2"),
        ("/dev/video2", "/dev/video2"),
    ],
)
def test_a_camera_is_a_number_or_an_address(typed: str, chosen: str) -> None:
    assert addresses.camera_selector(typed) == chosen


@pytest.mark.parametrize(
    "typed",
    [
        *("", "foo", "-1", "-1.5", "/dev/null", "..", "a b.c", "ftp://camera/1", "rtmp://camera"),
        *("http://", "http://:80/video", "http:///video", "http://camera:99999/", "http://[fe80/"),
    ],
)
def test_what_no_camera_can_be_asked_at_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="a camera is chosen by its number"):
        addresses.camera_selector(typed)


class Cameras:
    """What OpenCV finds where cameras have to be opened to know them: two, of which one is used."""

    def __init__(self) -> None:
        self.opened: list[int] = []
        self.held: set[int] = set()

    def open(self, index: int, _backend: int) -> SimpleNamespace:
        self.opened.append(index)
        self.held.add(index)
        return SimpleNamespace(
            isOpened=lambda: index in (1, 3),
            get=lambda what: {3: 640.0, 4: 480.0}.get(what, -1),  # width and height
            release=lambda: self.held.remove(index),
        )


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Cameras:
    import cv2

    driver = Cameras()
    monkeypatch.setattr(cv2, "VideoCapture", driver.open)
    return driver


def test_where_there_is_no_list_cameras_are_opened(driver: Cameras) -> None:
    found = cameras._probed_cameras()
    assert [each.index for each in found] == [1, 3], "camera 0 is in use, and hides none"
    assert found[0].details == "640×480"
    assert driver.opened == [0, 1, 2, 3]
    assert not driver.held


def test_a_camera_in_use_is_listed_without_being_opened(
    driver: Cameras, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cameras, "CAMERAS_IN_USE", {1})
    found = cameras._probed_cameras()
    assert [(each.index, each.details) for each in found] == [(1, ""), (3, "640×480")]
    assert driver.opened == [0, 2, 3]


@pytest.mark.parametrize(
    ("platform", "selector", "asked"),
    [
        ("darwin", "1", [1]),
        ("darwin", "none", []),
        ("darwin", "http://10.0.0.20/video", []),
        ("linux", "1", []),
        ("win32", "1", []),
    ],
)
def test_macos_is_asked_for_a_local_camera(
    driver: Cameras, platform: str, selector: str, asked: list[int]
) -> None:
    cameras.ask_for_camera(selector, platform)
    assert driver.opened == asked
    assert not driver.held


def test_a_camera_that_was_chosen_is_asked_for_before_a_session_opens_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(choice, "ask_for_camera", asked.append)
    assert choice.chosen_devices("1", "none") == ("1", None, [], None)
    assert asked == ["1"]


def test_details_are_for_people() -> None:
    many = CameraInfo(index=3, name="A", modes=(*video4linux.modes(WEB_CAM), CameraMode(9, 9, 0)))
    assert many.selector == "3"
    assert many.details == (
        "1920×1080 at 30 Hz, 1280×720 at 60 Hz, 640×480 at 30 Hz, 320×240 at 30 Hz, …"
    )
    microphone = MicrophoneInfo(
        index=2,
        name="B",
        selector="B",
        channels=1,
        sample_rate=48000,
        host_api="ALSA",
        is_default=True,
    )
    assert microphone.details == "48000 Hz, 1 channel, ALSA, default"


class Sounddevice:
    """What of the module sounddevice listing needs."""

    def __init__(self, apis: list[dict[str, Any]], found: list[dict[str, Any]]) -> None:
        self._apis, self._found = apis, found
        self.default = SimpleNamespace(hostapi=0 if apis else -1)

    def query_hostapis(self) -> list[dict[str, Any]]:
        return self._apis

    def query_devices(self) -> list[dict[str, Any]]:
        return self._found


def device(index: int, name: str, channels: int, api: int) -> dict[str, Any]:
    return {
        "index": index,
        "name": name,
        "max_input_channels": channels,
        "default_samplerate": 44100.0,
        "hostapi": api,
    }


def test_windows_lists_each_microphone_once_by_its_full_name() -> None:
    found = sound.microphones(
        Sounddevice(
            [
                {"name": "MME", "default_input_device": 0},
                {"name": "Windows WASAPI", "default_input_device": 3},
            ],
            [
                device(0, "Microphone (USB Audio Devi", 2, 0),
                device(1, "Speakers", 0, 1),
                device(2, "Line in", 2, 1),
                device(3, "Microphone (USB Audio Device)", 1, 1),
            ],
        )
    )
    assert [(each.index, each.is_default) for each in found] == [(2, False), (3, True)]
    assert found[1].name == "Microphone (USB Audio Device)"


def test_alsa_s_converters_are_no_microphones() -> None:
    apis = [{"name": "ALSA", "default_input_device": 1}]
    names = ["samplerate", "default", "USB: Audio (hw:1,0)", "upmix"]
    listed = [device(index, name, 2, 0) for index, name in enumerate(names)]
    found = sound.microphones(Sounddevice(apis, listed))
    assert [each.name for each in found] == ["default", "USB: Audio (hw:1,0)"]
    assert found[0].is_default


def test_microphones_are_chosen_by_name_where_that_tells_them_apart() -> None:
    apis = [{"name": "Core Audio", "default_input_device": 0}]
    names = ["Built-in", "Headset", "Twin", "Twin"]
    listed = [device(index, name, 1, 0) for index, name in enumerate(names)]
    listed.append(device(4, "Headset", 0, 0))  # its ear-phones
    found = sound.microphones(Sounddevice(apis, listed))
    assert [each.selector for each in found] == ["Built-in", "Headset", "2", "3"]


def test_no_sound_system_is_no_microphone() -> None:
    assert sound.microphones(Sounddevice([], [])) == []


def test_listing_microphones_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> list[MicrophoneInfo]:
        raise RuntimeError("the sound server crashed")

    monkeypatch.setattr(sound, "microphones", fail)
    found = sound.list_microphones()
    assert not found
    assert found.problem


def test_a_sound_system_that_fails_when_asked_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class PortAudioError(Exception):
        pass

    def fail() -> None:
        raise PortAudioError("Error querying host API 0")

    module = SimpleNamespace(
        PortAudioError=PortAudioError,
        _terminate=lambda: None,
        _initialize=lambda: None,
        query_hostapis=fail,
    )
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    monkeypatch.setattr(sound, "PORTAUDIO", PortAudio())
    found = sound.list_microphones()
    assert (list(found), found.fault) == ([], True)
    assert found.problem == "the sound system does not answer: Error querying host API 0"


def test_missing_portaudio_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    monkeypatch.setattr(sound, "PORTAUDIO", PortAudio())
    found = sound.list_microphones()
    assert not found
    assert "sudo apt install libportaudio2" in found.problem


def test_the_list_is_renewed_unless_somebody_records(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    stream = SimpleNamespace(
        abort=lambda ignore_errors: calls.append("abort"),
        close=lambda ignore_errors: calls.append("close"),
    )
    module = SimpleNamespace(
        _terminate=lambda: calls.append("terminate"), _initialize=lambda: calls.append("initialize")
    )
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    portaudio = PortAudio()
    with portaudio.devices():
        portaudio.opened()
    assert calls == ["terminate", "initialize"]
    with portaudio.devices():
        pass
    assert len(calls) == 2, "an open stream must not be broken"
    portaudio.close(stream)
    with portaudio.devices():
        pass
    assert calls[2:] == ["abort", "close", "terminate", "initialize"]


@pytest.mark.skipif(sys.platform != "linux", reason="ALSA's own")
def test_buffers_are_cut_finely_whoever_loaded_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []
    library = SimpleNamespace(
        _libname="libportaudio.so.2", _initialize=lambda: None, _terminate=lambda: None
    )
    library.PortAudioError = OSError
    monkeypatch.setitem(sys.modules, "sounddevice", library)

    def load(name: str) -> SimpleNamespace:
        return SimpleNamespace(PaAlsa_SetNumPeriods=lambda parts: asked.append((name, parts)))

    monkeypatch.setattr("ctypes.CDLL", load)
    with PortAudio().devices():
        pass
    assert asked == [("libportaudio.so.2", sound.ALSA_PERIODS)]


def test_a_stream_that_cannot_be_closed_keeps_nobody_from_the_devices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []
    hanging, answers = threading.Event(), threading.Event()

    def abort(ignore_errors: bool) -> None:
        hanging.set()
        answers.wait(60.0)

    stream = SimpleNamespace(abort=abort, close=lambda ignore_errors: calls.append("close"))
    module = SimpleNamespace(
        _terminate=lambda: calls.append("terminate"), _initialize=lambda: calls.append("initialize")
    )
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    monkeypatch.setattr(sound, "PORTAUDIO_PATIENCE_SECONDS", 0.01)
    portaudio = PortAudio()
    with portaudio.devices():
        portaudio.opened()
    calls.clear()
    closing = threading.Thread(target=portaudio.close, args=(stream,))
    closing.start()
    assert hanging.wait(60.0)
    with portaudio.devices():
        assert calls == [], "it is still open, and must not be broken"
    answers.set()
    closing.join(60.0)
    with portaudio.devices():
        assert calls == ["close", "terminate", "initialize"]


def test_a_sound_system_that_hangs_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "PORTAUDIO", PortAudio())
    monkeypatch.setattr(sound, "PORTAUDIO_PATIENCE_SECONDS", 0.01)
    module = SimpleNamespace(_terminate=lambda: None, _initialize=lambda: None)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    with sound.PORTAUDIO.devices():  # as another thread does, which it does not let go
        found = sound.list_microphones()
    assert found.fault
    assert "does not answer" in found.problem


def test_a_sound_server_that_never_answers_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It accepts whoever asks, and is silent: PortAudio waits for it for good."""
    answers = threading.Event()
    module = SimpleNamespace(
        PortAudioError=RuntimeError, _terminate=lambda: None, _initialize=answers.wait
    )
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    monkeypatch.setattr(sound, "PORTAUDIO_PATIENCE_SECONDS", 0.01)
    portaudio = PortAudio()
    for _ in range(2):  # asked once more, it still has the first
        with pytest.raises(SourceError, match="does not answer: start it"), portaudio.devices():
            pass
    answers.set()
    monkeypatch.setattr(sound, "PORTAUDIO_PATIENCE_SECONDS", 60.0)
    with portaudio.devices() as found:
        assert found is module


@pytest.mark.parametrize(("platform", "own"), [("linux", False), ("win32", True)])
def test_on_windows_who_opens_a_device_has_asked_for_it(
    monkeypatch: pytest.MonkeyPatch, platform: str, own: bool
) -> None:
    """PortAudio makes ready for COM the thread that asks, and devices open on no other."""
    asked: list[threading.Thread] = []
    module = SimpleNamespace(
        PortAudioError=RuntimeError,
        _libname="",
        _terminate=lambda: None,
        _initialize=lambda: asked.append(threading.current_thread()),
    )
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    monkeypatch.setattr(sound, "sys", SimpleNamespace(platform=platform, modules=sys.modules))
    with PortAudio().devices():
        pass
    assert [each is threading.current_thread() for each in asked] == [own]


def test_a_thread_that_cannot_be_had_leaves_the_sound_system_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = SimpleNamespace(
        PortAudioError=RuntimeError, _terminate=lambda: None, _initialize=lambda: None
    )
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    portaudio = PortAudio()

    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError, match="new thread"), portaudio.devices():
            pass
    with portaudio.devices() as found:
        assert found is module


def test_a_sound_system_that_does_not_come_back_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []

    def initialize() -> None:
        calls.append("initialize")
        if len(calls) == 2:
            raise RuntimeError("no server")

    module = SimpleNamespace(_terminate=lambda: calls.append("terminate"), _initialize=initialize)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    portaudio = PortAudio()
    with pytest.raises(SourceError, match="no server"), portaudio.devices():
        pass
    with portaudio.devices() as found:
        assert found is module
    assert calls == ["terminate", "initialize", "initialize"]

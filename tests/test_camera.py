"""The camera: a real server of pictures as network camera, and local ones stood in for."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from realtime.capture import CaptureThread
from realtime.clock import MonotonicClock
from realtime.devices.addresses import public_address
from realtime.devices.cameras import CAMERAS_IN_USE, OPENING_CAMERA
from realtime.devices.reach import obstacle
from realtime.messages import SourceState, VideoPacket
from realtime.sources import camera as camera_module
from realtime.sources.base import NoDeviceError, SourceError
from realtime.sources.camera import CameraSource
from tests.fakes.mjpeg_server import MjpegServer
from tests.fakes.sources import ManualClock
from tests.recordings import movie

BITS = 12


def numbered(number: int) -> NDArray[np.uint8]:
    """A picture (48, 192, 3) that is red on top and carries its number in black and white."""
    image = np.zeros((48, 192, 3), np.uint8)
    image[:16, :, 0] = 255
    for bit in range(BITS):
        if number >> bit & 1:
            image[16:, 16 * bit : 16 * (bit + 1)] = 255
    return image


def number_in(image: NDArray[np.uint8]) -> int:
    return sum(1 << bit for bit in range(BITS) if image[32, 16 * bit + 8, 1] > 127)


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer(numbered) as running:
        yield running


def take(source: CameraSource, count: int) -> list[VideoPacket]:
    packets = [source.read(1.0) for _ in range(count)]
    return [packet for packet in packets if packet is not None]


# -- a network camera ------------------------------------------------------------------------------


def test_pictures_arrive_whole_and_in_order(server: MjpegServer) -> None:
    clock = MonotonicClock()
    with CameraSource(server.url, clock) as source:
        packets = take(source, 20)
    assert len(packets) == 20
    assert [packet.sequence for packet in packets] == list(range(20))
    numbers = [number_in(packet.image) for packet in packets]
    assert numbers == list(range(numbers[0], numbers[0] + 20))
    image = packets[0].image
    assert image.shape == (48, 192, 3)
    assert not image.flags.writeable
    assert image[8, 100, 0] > 200, "red is the first channel"
    assert image[8, 100, 2] < 60
    times = [packet.timestamp for packet in packets]
    assert times == sorted(times)
    assert times[-1] <= clock.now()


def test_the_rate_is_the_camera_s(server: MjpegServer) -> None:
    clock = MonotonicClock()
    with CameraSource(server.url, clock) as source:
        packets = take(source, 46)
    seconds = packets[-1].timestamp - packets[0].timestamp
    sent = number_in(packets[-1].image) - number_in(packets[0].image)
    assert seconds == pytest.approx(sent / 30, abs=1.0)  # of 1.5 s; a busy machine stutters


def test_no_picture_waits_in_the_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A time-out would flush the decoder.
    monkeypatch.setattr(camera_module, "READ_TIMEOUT_SECONDS", 120.0)
    film = movie(tmp_path / "film.flv", seconds=2.4, sound=None)
    done = threading.Event()

    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/x-flv\r\n\r\n")
            connection.sendall(film.read_bytes())
            done.wait(120.0)  # nothing more comes, nor does the end

    packets: list[VideoPacket] = []
    clock = MonotonicClock()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        source = CameraSource(f"http://127.0.0.1:{listening.getsockname()[1]}/", clock)
        capture = CaptureThread(source, packets.append, clock, name="camera", stall_seconds=0.5)
        capture.start()
        try:
            deadline = time.monotonic() + 30.0
            while len(packets) < 59:  # one of the 60 went by while it was opened
                assert time.monotonic() < deadline, len(packets)
                time.sleep(0.01)
        finally:
            done.set()
            thread.join(10.0)
            capture.stop(10.0)


def test_a_server_that_dies_is_told_of(server: MjpegServer) -> None:
    source = CameraSource(server.url, MonotonicClock())
    with source:
        take(source, 3)
        server.drop()
        with pytest.raises(SourceError, match="has stopped sending pictures: check that"):
            take(source, 200)
        with pytest.raises(SourceError, match="cannot be watched"):
            source.open()
    server.come_back()
    with source:
        (packet,) = take(source, 1)
        assert packet.sequence == 0


def test_a_server_that_says_nothing_is_given_up(
    server: MjpegServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_module, "READ_TIMEOUT_SECONDS", 0.3)
    with CameraSource(server.url, MonotonicClock()) as source:
        server.pause()
        with pytest.raises(SourceError, match="has stopped sending pictures"):
            take(source, 200)


def test_the_capture_thread_recovers(server: MjpegServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = MonotonicClock()
    packets: list[VideoPacket] = []
    capture = CaptureThread(
        CameraSource(server.url, clock), packets.append, clock, name="camera", stall_seconds=0.5
    )

    def until(state: SourceState) -> None:
        deadline = time.monotonic() + 60.0
        while capture.health().state is not state:
            assert time.monotonic() < deadline, capture.health()
            time.sleep(0.01)

    capture.start()
    try:
        until(SourceState.RUNNING)
        server.drop()
        until(SourceState.RETRYING)
        assert "127.0.0.1" in capture.health().message
        before = len(packets)
        server.come_back()
        until(SourceState.RUNNING)
        assert len(packets) > before
    finally:
        capture.stop(10.0)
    times = [packet.timestamp for packet in packets]
    assert times == sorted(times)
    assert "has stopped sending pictures" in caplog.text


def test_an_address_that_nobody_answers_at() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    source = CameraSource(f"http://127.0.0.1:{port}/", MonotonicClock())
    for _ in range(2):
        with pytest.raises(
            SourceError,
            match=r"cannot be watched: 127\.0\.0\.1 is there, and nothing answers at its port",
        ):
            source.open()
    source.close()


def test_an_address_that_takes_calls_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_module, "OPEN_TIMEOUT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = CameraSource(f"http://127.0.0.1:{silent.getsockname()[1]}/", MonotonicClock())
        with pytest.raises(SourceError, match="cannot be watched"):
            source.open()


def test_an_address_that_is_no_camera() -> None:
    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<h1>Hello</h1>")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        source = CameraSource(f"http://127.0.0.1:{listening.getsockname()[1]}/", MonotonicClock())
        with pytest.raises(SourceError, match="cannot be watched"):
            source.open()
        thread.join(10.0)


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (401, "text/html", "it wants a user and a password: check those"),
        (404, "text/html", "has nothing at that path: look up the address"),
        (503, "text/plain", "it answers with the error 503"),
        (200, "text/html", "a web page comes from there"),
        (200, "image/jpeg", "a single picture comes from there"),
        (200, "application/json", "check the address, with the user and password"),
    ],
)
def test_why_a_network_camera_gives_nothing_is_told(status: int, kind: str, told: str) -> None:
    asked: list[str | None] = []

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        why = obstacle(f"http://me:secret%21@127.0.0.1:{server.server_port}/video?channel=1")
        server.shutdown()
        serving.join()
    assert told in why
    assert "secret" not in why
    assert asked == [None], "the password would be sent as it is"


def test_addresses_that_are_none_to_python_are_told_of_too() -> None:
    for odd in ("http://127.0.0.1:9/vidéo", "http://cam..local/x", f"http://{'a' * 70}.local/"):
        assert "check the address" in obstacle(odd)


def test_a_network_camera_that_nobody_knows_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "create_connection", unknown)
    assert (
        obstacle("rtsp://cam.local/1") == "no cam.local is known in this network: check the address"
    )


def test_rtsp_comes_over_tcp() -> None:
    described = "v=0\r\ns=a camera\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:one\r\n"
    asked: list[str] = []

    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            while (request := connection.recv(4096).decode()) and "SETUP" not in request:
                (number,) = (each for each in request.splitlines() if each.startswith("CSeq"))
                body = described if request.startswith("DESCRIBE") else ""
                head = f"RTSP/1.0 200 OK\r\n{number}\r\nContent-Type: application/sdp\r\n"
                length = f"Content-Length: {len(body)}\r\n\r\n"
                connection.sendall((head + length + body).encode())
            asked.append(request)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        source = CameraSource(f"rtsp://127.0.0.1:{listening.getsockname()[1]}/", MonotonicClock())
        with pytest.raises(SourceError, match="cannot be watched"):
            source.open()
        thread.join(10.0)
    assert "Transport: RTP/AVP/TCP" in asked[0]


@pytest.mark.parametrize(
    ("selector", "name"),
    [
        ("http://10.0.0.20:8080/video", "10.0.0.20:8080/video"),
        ("rtsp://me:secret@camera.local/one?token=secret", "camera.local/one"),
        ("http://[::1]:8080/v", "[::1]:8080/v"),
        ("http://[bad", "Camera"),
        ("http://me:se/cret@camera.local/one", "Camera"),
        ("http://me:12?cret@camera.local/one", "Camera"),
        ("http://me:12#cret@camera.local/one", "Camera"),
        ("me:secret@camera.local", "camera.local"),
        ("2", "Camera 2"),
        ("", "Camera"),
    ],
)
def test_names_keep_passwords_to_themselves(selector: str, name: str) -> None:
    source = CameraSource(selector, ManualClock())
    assert source.name == name


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("http://[::1]:8080/v", "http://[::1]:8080/v"),
        ("rtsp://me:secret@camera.local/one?token=secret", "rtsp://camera.local/one"),
        ("http://me:secret@camera.local:99999/v", ""),
        ("http://camera:80a/", ""),
        ("rtsp://camera.local:554/user=admin&password=secret&channel=1", ""),
        ("rtsp://camera.local/user=admin_passwd%3Dsecret_channel=1", ""),
        ("http://camera.local/passage/video", "http://camera.local/passage/video"),
        ("http://me:se@cret/s@camera.local/v", ""),
        ("http://me:12?cret@camera.local/v", ""),
        ("2", ""),
    ],
)
def test_addresses_are_kept_without_passwords_and_only_if_they_are_some(
    address: str, kept: str
) -> None:
    assert public_address(address) == kept


@pytest.mark.parametrize("selector", ["rtmp://me:secret@camera.local", "me:secret@camera.local"])
def test_a_refusal_keeps_passwords_to_itself(selector: str) -> None:
    with pytest.raises(NoDeviceError, match=r"camera\.local cannot be opened") as refusal:
        CameraSource(selector, ManualClock()).open()
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("selector", ["", "webcam", "file:///etc/passwd", "http:/half", "-1"])
def test_what_is_no_camera_is_refused(selector: str) -> None:
    with pytest.raises(SourceError):
        CameraSource(selector, ManualClock()).open()


def test_read_wants_an_open_source() -> None:
    with pytest.raises(SourceError, match="not open"):
        CameraSource("0", ManualClock()).read(0.0)


def test_opencv_keeps_quiet(server: MjpegServer, capfd: pytest.CaptureFixture[str]) -> None:
    with CameraSource(server.url, MonotonicClock()) as source:
        take(source, 2)
        server.drop()
        with pytest.raises(SourceError):
            take(source, 200)
    with pytest.raises(SourceError):
        source.open()
    assert capfd.readouterr() == ("", "")


# -- a local camera -------------------------------------------------------------------------------


class Device:
    """A local camera as cv2.VideoCapture shows it."""

    def __init__(self) -> None:
        self.opens, self.delivers, self.decodes = True, True, True
        self.settings: list[tuple[int, float]] = []
        self.holders = 0

    def __call__(self, index: int, backend: int) -> Device:
        self.holders += 1
        return self

    def isOpened(self) -> bool:  # noqa: N802
        return self.opens

    def set(self, what: int, value: float) -> bool:
        self.settings.append((what, value))
        return True

    def grab(self) -> bool:
        return self.delivers

    def retrieve(self) -> tuple[bool, Any]:
        return self.decodes, np.full((4, 6, 3), (1, 2, 3), np.uint8) if self.decodes else None

    def release(self) -> None:
        self.holders -= 1


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    fake = Device()
    monkeypatch.setattr(cv2, "VideoCapture", fake)
    # Windows has no device files to look at.
    monkeypatch.setattr(camera_module, "sys", SimpleNamespace(platform="win32"))
    return fake


def test_the_format_is_set_before_the_size(device: Device) -> None:
    with CameraSource("0", ManualClock(), size=(640, 480), frame_rate=25) as source:
        assert device.settings == [
            (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),
            (cv2.CAP_PROP_FRAME_WIDTH, 640),
            (cv2.CAP_PROP_FRAME_HEIGHT, 480),
            (cv2.CAP_PROP_FPS, 25),
        ]
        (packet,) = take(source, 1)
    assert packet.image[0, 0].tolist() == [3, 2, 1]


def test_pictures_are_stamped_at_the_grab(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock(4.0)
    retrieve = device.retrieve

    def slow() -> tuple[bool, Any]:
        clock.advance(0.02)
        return retrieve()

    monkeypatch.setattr(device, "retrieve", slow)
    with CameraSource("0", clock) as source:
        (packet,) = take(source, 1)
    assert packet.timestamp == 4.0


def test_a_picture_that_cannot_be_decoded_leaves_a_gap(device: Device) -> None:
    with CameraSource("0", ManualClock()) as source:
        take(source, 1)
        device.decodes = False
        assert source.read(0.0) is None
        device.decodes = True
        (packet,) = take(source, 1)
    assert packet.sequence == 2


def test_a_camera_that_is_opened_or_in_use_is_not_opened_to_list_it(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_to_us: list[bool] = []

    def is_opened() -> bool:
        kept_to_us.append(OPENING_CAMERA[0].locked())
        return True

    monkeypatch.setattr(device, "isOpened", is_opened)
    with CameraSource("0", ManualClock()):
        assert kept_to_us == [True]
        assert {0} == CAMERAS_IN_USE
    assert not CAMERAS_IN_USE


@pytest.mark.parametrize(
    ("broken", "told"),
    [("opens", "cannot be opened: it is not there"), ("delivers", "close other programs")],
)
def test_a_failed_open_holds_nothing_and_can_be_repeated(
    device: Device, broken: str, told: str
) -> None:
    source = CameraSource("0", ManualClock())
    setattr(device, broken, False)
    with pytest.raises(SourceError, match=told):
        source.open()
    assert device.holders == 0
    assert not CAMERAS_IN_USE
    setattr(device, broken, True)
    with source:
        assert len(take(source, 1)) == 1
    assert device.holders == 0


def test_a_camera_pulled_out_is_told_of(device: Device) -> None:
    with CameraSource("0", ManualClock()) as source:
        take(source, 1)
        device.delivers = False
        with pytest.raises(SourceError, match="check its cable"):
            source.read(0.0)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has a file for each camera")
def test_a_camera_that_may_not_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: True)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SourceError, match="sudo usermod -aG video"):
        CameraSource("98", ManualClock()).open()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has a file for each camera")
@pytest.mark.parametrize("selector", ["99", "/dev/video99"])
def test_a_number_without_a_camera(selector: str) -> None:
    source = CameraSource(selector, ManualClock())
    with pytest.raises(NoDeviceError, match=r"there is no camera 99$"):
        source.open()

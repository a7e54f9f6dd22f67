"""A small network camera on loopback: MJPEG over HTTP, as real ones speak it.

Threads: one accepts viewers and one serves each of them; `stop` (or leaving the `with` block) ends
them all. The methods may be called from any thread.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class MjpegServer:
    """Serves RGB images (height, width, 3), in turn or made by a function of their number."""

    def __init__(
        self,
        images: Sequence[Image] | Callable[[int], Image],
        *,
        frame_rate: float = 30.0,
        quality: int = 90,
    ) -> None:
        self._quality = quality
        self._frame_rate = frame_rate
        self._image: Callable[[int], bytes]
        if callable(images):
            make = images
            self._image = lambda number: self._encode(make(number))
        else:
            encoded = [self._encode(image) for image in images]
            self._image = lambda number: encoded[number % len(encoded)]
        self._offline = threading.Event()
        self._flowing = threading.Event()
        self._flowing.set()
        self._viewers: set[socket.socket] = set()
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Address of the stream; it stays the same over `drop` and `come_back`."""
        return f"http://127.0.0.1:{self._port}/video.mjpg"

    @property
    def viewers(self) -> int:
        """How many are connected."""
        return len(self._viewers)

    def come_back(self) -> None:
        """Listen, at the same address as before."""
        self._offline.clear()
        self._server = _Server(("127.0.0.1", self._port), _Viewer)
        self._server.camera = self
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="mjpeg-server", daemon=True
        )
        self._thread.start()

    start = come_back

    def drop(self) -> None:
        """Break every connection and refuse new ones, as when the plug is pulled."""
        self._offline.set()
        if self._server is None or self._thread is None:
            return
        for viewer in list(self._viewers):
            with suppress(OSError):
                viewer.shutdown(socket.SHUT_RDWR)
        self._server.shutdown()
        self._server.server_close()  # waits for the viewers' threads
        self._thread.join()
        self._server = self._thread = None

    stop = drop

    def pause(self) -> None:
        """Keep the connections and send nothing."""
        self._flowing.clear()

    def resume(self) -> None:
        """Send again."""
        self._flowing.set()

    def serve(self, viewer: socket.socket) -> None:
        """Send images until the viewer has gone or the camera is dropped. Thread: the viewer's."""
        self._viewers.add(viewer)
        started, number = time.monotonic(), 0
        try:
            while not self._offline.wait(max(0.0, started - time.monotonic())):
                if not self._flowing.wait(0.05):
                    started = time.monotonic()
                    continue
                data = self._image(number)
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                viewer.sendall(head.encode() + data + b"\r\n")
                number += 1
                started += 1 / self._frame_rate
        except OSError:  # the viewer has gone
            pass
        finally:
            self._viewers.discard(viewer)

    def _encode(self, image: Image) -> bytes:
        ok, data = cv2.imencode(
            ".jpg",
            cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
            [cv2.IMWRITE_JPEG_QUALITY, self._quality],
        )
        assert ok
        return data.tobytes()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close waits for them
    camera: MjpegServer


class _Viewer(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        self.wfile.flush()
        self.server.camera.serve(self.connection)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

"""Why a network camera gives no picture: OpenCV only says that it cannot be opened.

Thread: the camera's capture thread; each step of asking takes PATIENCE_SECONDS at most.
"""

from __future__ import annotations

import http.client
import socket
from typing import Final
from urllib.parse import SplitResult, urlsplit

PATIENCE_SECONDS: Final = 2.0
_PORTS: Final = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}


def obstacle(address: str) -> str:
    """What keeps the camera at `address` from being watched, and what to do; it tells no password.

    The host is called, and asked for its pictures where it speaks plain HTTP.
    """
    parts = urlsplit(address)
    host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
    try:
        socket.create_connection((host, port), PATIENCE_SECONDS).close()
        return _of_http(parts) if parts.scheme == "http" else _UNKNOWN
    except socket.gaierror:
        return f"no {host} is known in this network: check the address"
    except ConnectionRefusedError:
        return f"{host} is there, and nothing answers at its port {port}: check the address"
    except (OSError, ValueError, http.client.HTTPException):  # ValueError: of no ASCII
        return _UNKNOWN


_UNKNOWN: Final = (
    "check the address, with the user and password that the camera may want in it, and that the "
    "camera is on and in the same network"
)


def _of_http(parts: SplitResult) -> str:
    connection = http.client.HTTPConnection(
        str(parts.hostname), parts.port or _PORTS["http"], timeout=PATIENCE_SECONDS
    )
    path = parts.path or "/"
    try:  # without user and password: FFmpeg may have given them in a form that keeps them secret
        connection.request("GET", f"{path}?{parts.query}" if parts.query else path)
        answer = connection.getresponse()
    finally:
        connection.close()
    if answer.status in (401, 403):
        return "it wants a user and a password: check those in http://user:password@host/path"
    if answer.status == 404:
        return "it is there, and has nothing at that path: look up the address of its pictures"
    if answer.status >= 400:
        return f"it answers with the error {answer.status}: look up the address of its pictures"
    kind = answer.headers.get_content_type()
    if kind.startswith("text/"):
        return "a web page comes from there: look up the address of the camera's pictures"
    if kind.startswith("image/"):
        return "a single picture comes from there: look up the address of the camera's video"
    return _UNKNOWN

"""Selectors of cameras: a number, or the address of one in the network. Thread: any."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

CAMERA_WANTED: Final = (
    "a camera is chosen by its number (0), as a device (/dev/video0) or by an address of http, "
    "https, rtsp or rtsps with a host and, if any, a port of 1 to 65535, as in "
    "http://10.0.0.20:8080/video"
)

_SCHEMES: Final = ("http", "https", "rtsp", "rtsps")
_PASSWORD: Final = re.compile(r"(pass\w*|pwd|pw)[=:]", re.IGNORECASE)
"""As many recorders have it in the path: /user=admin&password=…&channel=1."""


def local_number(selector: str) -> int | None:
    """Number of the local camera that `selector` means, None where it is an address."""
    number = re.fullmatch(r"(?:/dev/video)?(\d{1,3})", selector.strip())
    return int(number[1]) if number else None


def is_address(selector: str) -> bool:
    """Whether `selector` is an address that a camera can be asked at."""
    try:
        parts = urlsplit(selector)
        host = parts.hostname if parts.port is None or parts.port else None
    except ValueError:  # of what is no port, and of brackets
        return False
    return parts.scheme in _SCHEMES and re.match(r"[\w:]", host or "") is not None


def camera_selector(typed: str) -> str:
    """Selector of the camera that somebody typed, an address perhaps without its http://.

    Raises ValueError for what is neither a number nor an address.
    """
    selector = typed.strip()
    if local_number(selector) is not None:
        return selector
    if re.fullmatch(r"[^\s/]+[.:/]\S*", selector):  # no bare word
        address = network_address(selector)
        if is_address(address):
            return address
    raise ValueError(CAMERA_WANTED)


def network_address(text: str) -> str:
    """Address of a network camera as somebody typed it, with http:// where it names no protocol.

    Behind an http:// that stood there already, people may paste a whole address.
    """
    address = re.sub(r"^http://(?=[a-z]+://)", "", text.strip(), flags=re.IGNORECASE)
    scheme, separator, rest = address.partition("://")
    if separator:
        return f"{scheme.lower()}://{rest}"  # FFmpeg knows no HTTP://
    return f"http://{address}" if address else ""


def public_address(address: str) -> str:
    """`address` without user, password and query, as it may be kept; "" if it is none.

    Nor is it one where a password may go on behind the host's place, as / ? # not escaped let it,
    or where the path has one.
    """
    try:
        parts = urlsplit(address)
        whole = parts.hostname and (parts.port or True)
    except ValueError:
        return ""
    if not whole or "@" in parts.path + parts.query + parts.fragment:
        return ""
    if _PASSWORD.search(unquote(parts.path)):
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

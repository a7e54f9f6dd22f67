"""What is known of devices. Thread: any. Rates in Hz, sizes in pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

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

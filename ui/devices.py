"""What the window needs to know of cameras and microphones. Thread: any."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol


class Device(Protocol):
    """What the window needs to know of a camera or microphone."""

    @property
    def selector(self) -> str:
        """What a session selects it by."""
        ...

    @property
    def name(self) -> str:
        """What people call it."""
        ...


class Devices(Protocol):
    """Cameras, or microphones, as they were found."""

    @property
    def problem(self) -> str:
        """Why there are none, or not all; for people."""
        ...

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __iter__(self) -> Iterator[Device]:
        """One after another."""
        ...


ListDevices = Callable[[], tuple[Devices, Devices]]
"""Lists the cameras and the microphones; may block for seconds, and is called off the GUI."""

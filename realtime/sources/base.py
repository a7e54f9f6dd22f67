"""What every source of pictures or sound is to the rest of the program.

Thread: a source is opened, read and closed by one thread, its capture thread.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, Self, TypeVar

from realtime.closing import Closing
from realtime.messages import AudioPacket, VideoPacket

Packet = TypeVar("Packet", bound=VideoPacket | AudioPacket, covariant=True)


class SourceError(RuntimeError):
    """A device or file cannot be opened or read; the message says what happened and what to do."""


class NoDeviceError(SourceError):
    """There is no such device."""


class UnreadableFileError(SourceError):
    """A recording cannot be read at all."""


class Source(Closing, Generic[Packet]):
    """Packets in time order, one at a time."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What people call it: a device's or file's name."""

    @abstractmethod
    def open(self) -> None:
        """Take hold of the device; raises SourceError, and then holds nothing."""

    @abstractmethod
    def read(self, timeout_seconds: float) -> Packet | None:
        """Next packet, or None if none came in time.

        Raises SourceError when the device is gone.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the device; harmless when not open."""

    def __enter__(self) -> Self:
        self.open()
        return self

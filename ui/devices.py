"""Lists cameras and microphones behind the window's back, because that can take seconds.

Thread: GUI, except for the listing itself.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from PyQt6.QtCore import QObject, pyqtSignal

logger = logging.getLogger(__name__)


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

    def __iter__(self) -> Iterator[Device]:
        """One after another."""
        ...


ListDevices = Callable[[], tuple[Devices, Devices]]
"""Lists the cameras and the microphones; may block for seconds, and is called off the GUI."""


class DeviceLister(QObject):
    """Calls `list_devices` on a thread of its own, one call at a time."""

    listed = pyqtSignal(object, object)  # cameras, microphones

    def __init__(self, list_devices: ListDevices, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._list_devices = list_devices
        self._thread: threading.Thread | None = None

    def refresh(self) -> None:
        """List again; does nothing while a listing is under way."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._thread = threading.Thread(target=self._run, name="list-devices", daemon=True)
        self._thread.start()

    def wait(self, timeout_seconds: float) -> None:
        """Wait until the listing under way has ended, at most that long."""
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        """Thread: list-devices; the signal is delivered on the GUI's."""
        try:
            cameras, microphones = self._list_devices()
        except Exception:
            logger.exception("devices could not be listed")
            return
        try:
            self.listed.emit(cameras, microphones)
        except RuntimeError:  # the window was closed meanwhile
            logger.debug("nobody waits for the list of devices any more")

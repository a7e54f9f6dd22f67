"""Calls that may block, made on threads of their own so that the window never freezes.

Thread: GUI, except for the calls themselves.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from PyQt6.QtCore import QObject, pyqtSignal

logger = logging.getLogger(__name__)


class Background(QObject):
    """One call at a time, on a thread of its own that is called `name`.

    It has no parent: that might destroy it while the thread is still about to emit.
    """

    done = pyqtSignal(object)  # what the call returned; None where it raised, which is logged
    _returned = pyqtSignal(object)  # the same, on its way to the GUI's thread

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._thread: threading.Thread | None = None  # until `done` has told of it
        self._returned.connect(self._finish)

    @property
    def busy(self) -> bool:
        """Whether there is a call that `done` has not told of."""
        return self._thread is not None

    def call(self, function: Callable[[], object]) -> None:
        """Make a call; does nothing while busy."""
        if not self.busy:
            self._thread = threading.Thread(
                target=self._run, args=(function,), name=self._name, daemon=True
            )
            self._thread.start()

    def wait(self, timeout_seconds: float) -> None:
        """Wait until the call under way has returned, at most that long."""
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def _run(self, function: Callable[[], object]) -> None:
        """Thread: the call's."""
        result = None
        try:
            result = function()
        except Exception:
            logger.exception("the %s thread failed", self._name)
        self._returned.emit(result)

    def _finish(self, result: object) -> None:
        self._thread = None
        self.done.emit(result)

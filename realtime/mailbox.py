"""A mailbox with one slot: the newest message wins.

Thread: any; holds one lock and calls nobody while holding it.
"""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """One writer, any number of readers that each want only the newest message."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._message: T | None = None
        self._count = 0

    def publish(self, message: T) -> None:
        """Put `message` in place of whatever is there."""
        with self._lock:
            self._message = message
            self._count += 1

    def poll(self, seen: int = 0) -> tuple[T | None, int]:
        """Newest message and the number of messages so far.

        The message is None when there is none newer than the `seen`-th (or it was taken out): a
        reader hands back the number it got last time and so never handles a message twice. So read
        outlets to other programs; the window, which draws what is newest again and again, does not.
        """
        with self._lock:
            return (self._message if self._count > seen else None), self._count

    def clear(self) -> None:
        """Take the message out; the number of messages so far stays."""
        with self._lock:
            self._message = None

    def latest(self) -> T | None:
        """Newest message, seen or not; None when there is none."""
        with self._lock:
            return self._message

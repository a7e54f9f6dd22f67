"""What reaches the live worker, in the order in which it came.

Thread: any puts, the worker's takes. One lock, held for moments; nobody is called meanwhile.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from heapq import merge
from operator import itemgetter
from typing import Final

from realtime.messages import Input, Sighting, Sound

MOST_SIGHTINGS: Final = 32  # of older pictures no answer makes up for the time that they take


class Inbox:
    """Keeps what comes until it is taken.

    While nobody takes it (the network is loaded, a window takes long) the oldest sightings and the
    oldest sound make room for newer ones; control is never lost.
    """

    def __init__(self, most_samples: int, most_sightings: int = MOST_SIGHTINGS) -> None:
        self.pictures_missed = 0  # lost for newer ones, since the first time that any were taken
        self._most_samples = most_samples
        self._lock = threading.Lock()
        self._count = 0  # of all that came; numbered, so that it is taken in this order
        self._control: list[tuple[int, Input]] = []
        self._sightings: deque[tuple[int, Sighting]] = deque(maxlen=most_sightings)
        self._sound: deque[tuple[int, Sound]] = deque()
        self._samples = 0  # in it
        self._taken = False

    def put(self, message: Input) -> None:
        """Add what has come."""
        with self._lock:
            self._count += 1
            if isinstance(message, Sighting):
                if self._taken and len(self._sightings) == self._sightings.maxlen:
                    self.pictures_missed += 1
                self._sightings.append((self._count, message))
            elif isinstance(message, Sound):
                self._sound.append((self._count, message))
                self._samples += len(message.samples)
                while self._samples > self._most_samples and len(self._sound) > 1:
                    _, oldest = self._sound.popleft()
                    self._samples -= len(oldest.samples)
            else:
                self._control.append((self._count, message))

    def take(self) -> Iterator[Input]:
        """All that has come since the last time, oldest first."""
        with self._lock:
            kept = [list(each) for each in (self._control, self._sightings, self._sound)]
            for each in (self._control, self._sightings, self._sound):
                each.clear()
            self._samples = 0
            self._taken = True
        return (message for _, message in merge(*kept, key=itemgetter(0)))

"""Looks at the newest pictures of a camera.

Thread: `faces`; `forget`, `newest` and `skipped` are for any. One lock guards what they share;
while it is held only the ring is called, and what sightings are passed on to.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from realtime.messages import Sighting
from realtime.rings import FrameRing
from realtime.task import Watcher

CATCH_UP_SECONDS: Final = 0.02  # longest that the newest picture waits for those before it
LOOKS_AVERAGED: Final = 5


class PictureSearch:
    """Lets a watcher look at pictures as they come and passes on what it sees.

    Pictures that have gathered are passed over, and counted, where the newest would have to wait
    for them; so are those that `frames` has lost. A quick machine looks at all that a network
    delivers at once. What came before the first step is not for it.
    """

    def __init__(
        self,
        frames: FrameRing,
        pass_on: Callable[[Sighting], None],
        *,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`pass_on` must return at once; `now` in seconds, to see what a look takes."""
        self.skipped = 0  # pictures passed over because newer ones were waiting
        self.newest: Sighting | None = None  # of the present camera
        self._frames = frames
        self._pass_on = pass_on
        self._now = now
        self._look_seconds = 0.0  # on average
        self._lock = threading.Lock()
        self._seen: int | None = None  # pictures, None at a start
        self._starts = 0  # how often the search has started over …
        self._watched = 0  # … and as far as the watcher knows

    def step(self, watcher: Watcher) -> bool:
        """Look at what has come; False when nothing has."""
        with self._lock:
            starts = self._starts
            seen = self._frames.count if self._seen is None else self._seen
            frames, self._seen, missed = self._frames.read(seen)
        if starts != self._watched:
            watcher.reset()
            self._watched = starts
        # As many before the newest as it may wait for.
        affordable = int(CATCH_UP_SECONDS / max(self._look_seconds, 1e-6))
        frames, waited = frames[-1 - affordable :], len(frames)
        self.skipped += missed + waited - len(frames)
        for frame in frames:
            started = self._now()
            sighting = watcher.look(frame)
            self._look_seconds += (self._now() - started - self._look_seconds) / LOOKS_AVERAGED
            with self._lock:
                if self._starts != starts:
                    break  # it is of what came before
                self.newest = sighting
                self._pass_on(sighting)
        return bool(frames)

    def forget(self) -> None:
        """Start over, with another camera or after a pause: what came before is not passed on."""
        with self._lock:
            self._starts += 1
            self.newest = None
            cleared = self._frames.clear()
            if self._seen is not None:  # else the first step still begins at what comes then
                self._seen = cleared

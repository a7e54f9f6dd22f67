"""Looks at the newest pictures of a camera.

Thread: `faces`; `forget`, `newest` and `skipped` are for any. One lock guards what they share;
while it is held only the ring is called, and what sightings are passed on to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from realtime.messages import Sighting
from realtime.rings import FrameRing
from realtime.task import Watcher


class PictureSearch:
    """Lets a watcher look at pictures as they come and passes on what it sees.

    When they come faster than they can be looked at, those that `frames` has lost are passed over,
    and counted. What came before the first step is not for it.
    """

    def __init__(self, frames: FrameRing, pass_on: Callable[[Sighting], None]) -> None:
        """`pass_on` must return at once."""
        self.skipped = 0  # pictures passed over because newer ones were waiting
        self.newest: Sighting | None = None  # of the present camera
        self._frames = frames
        self._pass_on = pass_on
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
        self.skipped += missed
        for frame in frames:
            sighting = watcher.look(frame)
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

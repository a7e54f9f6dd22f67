"""Looks at the newest pictures of a camera.

Thread: `faces`, after construction.
"""

from __future__ import annotations

from realtime.rings import FrameRing, SightingRing
from realtime.task import Watcher


class PictureSearch:
    """Lets a watcher look at pictures as they come and passes on what it sees.

    When they come faster than they can be looked at, only the newest `most_waiting` of those that
    wait are; the others are counted.
    """

    def __init__(
        self,
        frames: FrameRing,
        sightings: SightingRing,
        watcher: Watcher,
        *,
        most_waiting: int = 4,
    ) -> None:
        self.skipped = 0  # pictures passed over because newer ones were waiting
        self._frames = frames
        self._sightings = sightings
        self._watcher = watcher
        self._most_waiting = most_waiting
        self._seen = frames.count  # what came before was not for us

    def step(self) -> bool:
        """Look at what has come; False when nothing has."""
        frames, self._seen, missed = self._frames.read(self._seen)
        passed = max(0, len(frames) - self._most_waiting)
        self.skipped += missed + passed
        for frame in frames[passed:]:
            self._sightings.push(self._watcher.look(frame))
        return bool(frames)

    def forget(self) -> None:
        """Start over with another camera."""
        self._watcher.reset()
        self._frames.clear()
        self._seen = self._frames.count

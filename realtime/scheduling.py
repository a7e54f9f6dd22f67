"""Which window the worker answers next.

A choice is a value (`WindowChoice`), which the worker is given like a picture or a sound: what load
and the clock force is settled here, and can be noted. Both schedulers go by how far the worker's
tracks have come; only the live one has a clock.

Thread: the worker's. Units: seconds in packet time, and on the clock of live input.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from realtime.clock import Clock
from realtime.config import WindowConfig
from realtime.messages import (
    NO_SOURCE,
    STALLED,
    Given,
    Reason,
    Sighting,
    Sound,
    SourceChange,
    StartOver,
    Track,
    WindowChoice,
)
from realtime.windowing import WindowGrid
from realtime.worker import TrackState

# Cameras take a while to open.
OPENING_SECONDS = 4.0

Tracks = Mapping[Track, TrackState]


class ReplayScheduler:
    """Of a recording every window, in order, as soon as all of it has come."""

    def __init__(self, windows: WindowConfig, tracks: Tracks) -> None:
        self._windows = windows
        self._grid = WindowGrid(windows)
        self._tracks = tracks
        self._next = 1

    def choose(self) -> WindowChoice | None:
        """The next window, None when it has not come yet; it counts as taken."""
        lost = self._lost()
        due = _last_due(self._grid, self._tracks, lost)
        if due is None or due < self._next:
            return None
        return self._choice(lost)

    def rest(self, end: float) -> Iterator[WindowChoice]:
        """All windows that end by `end`, now that nothing more will come."""
        last, lost = self._grid.newest_ended(end), self._lost()
        while self._next <= last:
            yield self._choice(lost)

    def _choice(self, lost: Mapping[Track, Reason]) -> WindowChoice:
        self._next += 1
        return WindowChoice(index=self._next - 1, lost=lost)

    def _lost(self) -> dict[Track, Reason]:
        """Tracks that do not flow, and why.

        Packets come in time order: a track that is `stall_seconds` behind the other has ended.
        """
        now = max(state.newest or 0.0 for state in self._tracks.values())
        lost = {}
        for track, state in self._tracks.items():
            behind = now - (state.newest or 0.0) > self._windows.stall_seconds
            if behind or not state.connected:
                lost[track] = NO_SOURCE
            elif state.newest is None:
                lost[track] = STALLED
        return lost


class LiveScheduler:
    """Of live input the newest window that is due; those before it are skipped, and counted.

    A source that is late by `stall_seconds`, by the clock, no longer holds windows up. Where none
    delivers, windows are due by the clock, since "no input" is an answer too.
    """

    def __init__(
        self, windows: WindowConfig, tracks: Tracks, clock: Clock, started: float = 0.0
    ) -> None:
        """`started`: when the sources were, on the clock."""
        self.windows_skipped = 0  # though there was input
        self._windows = windows
        self._grid = WindowGrid(windows)
        self._tracks = tracks
        self._clock = clock
        self._next = 1
        self._begun = False  # since the start or a pause
        self._flowed: set[int] = set()  # windows to come that something flowed at the end of
        # s; until then devices may still be opening, and "no input" would be a false alarm
        self._awaited = started + OPENING_SECONDS

    def note(self, given: Given) -> None:
        """The worker has been given this."""
        if isinstance(given, StartOver):
            self._begun = False
            self._awaited = max(self._awaited, self._clock.now())
        elif isinstance(given, SourceChange) and given.connected:
            self._begun = False
            self._awaited = self._clock.now() + OPENING_SECONDS
        elif isinstance(given, Sighting):
            self._flows(given.timestamp, given.timestamp)
        elif isinstance(given, Sound):
            newest = self._tracks[Track.SOUND].newest
            assert newest is not None
            self._flows(newest - len(given.samples) / self._windows.sample_rate, newest)

    def choose(self) -> WindowChoice | None:
        """The next window, None when none is due; it counts as taken."""
        now = self._clock.now()
        lost = self._lost(now)
        due = _last_due(self._grid, self._tracks, lost)
        if due is None:
            late = now - self._windows.stall_seconds
            if not self._begun and late < self._awaited:
                return None
            due = math.floor(late / self._windows.hop_seconds)
        if not self._begun:
            self._next, self._begun = max(self._next, due), True
        if due < self._next:
            return None
        # Of an hour for which the computer slept, none but the first few.
        self.windows_skipped += sum(self._next <= index < due for index in self._flowed)
        self._flowed = {index for index in self._flowed if index > due}
        self._next = due + 1
        return WindowChoice(index=due, lost=lost)

    def _flows(self, start: float, newest: float) -> None:
        """Something has come, and flows until it would have stalled."""
        until = self._grid.newest_ended(newest + self._windows.stall_seconds)
        self._flowed.update(range(self._grid.newest_ended(start) + 1, until + 1))

    def _lost(self, now: float) -> dict[Track, Reason]:
        """Tracks that do not flow, and why."""
        lost = {}
        for track, state in self._tracks.items():
            if not state.connected:
                lost[track] = NO_SOURCE
            elif state.newest is None or now - state.newest > self._windows.stall_seconds:
                lost[track] = STALLED
        return lost


def _last_due(grid: WindowGrid, tracks: Tracks, lost: Mapping[Track, Reason]) -> int | None:
    """The newest window of which all has come that flows, None where nothing does."""
    newest = {track: state.newest for track, state in tracks.items() if track not in lost}
    return grid.last_due(picture_time=newest.get(Track.PICTURES), sound_end=newest.get(Track.SOUND))

"""The worker: pictures and sound in, one answer per window out.

Thread: whoever calls `step` (live: the inference thread; replay: the analysis), always the same.
It owns the modalities, the smoother and the window cursor; the rings take their own locks.
Packet time alone decides what a window holds. The clock, which only a live worker has, tells when a
source has stalled and how late an answer is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from realtime.clock import Clock
from realtime.config import ConfigError, SessionConfig
from realtime.messages import (
    LOW_CONFIDENCE,
    NO_INPUT,
    NO_SOURCE,
    NOT_DELIVERING,
    STALLED,
    STARTING,
    FloatArray,
    ModalityReport,
    Prediction,
    Reason,
    Track,
)
from realtime.rings import SampleRing, SightingRing
from realtime.smoothing import Smoother
from realtime.task import Excerpt, Fusion, Modality, Network
from realtime.windowing import WindowGrid

# Before this much input "not sure" is not the person's doing.
STARTING_SECONDS = 1.0
# Cameras take a while to open.
OPENING_SECONDS = 4.0


@dataclass(slots=True, eq=False)
class TrackState:
    """How far pictures or sound have come, in packet time."""

    modalities: Sequence[Modality[Any, Any]]  # taken from it
    connected: bool = False  # there is such a source to wait for
    start: float | None = None  # s
    newest: float | None = None  # s; just after it, if it is sound

    def note(self, start: float, newest: float) -> None:
        """Something has come."""
        if self.start is None:
            self.start = start
        self.newest = newest

    def forget(self) -> None:
        """Start over with another source."""
        self.start = self.newest = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DueWindow:
    """All that one window needs, taken from the rings; encoding it depends on nothing else."""

    index: int
    end: float  # s
    newest: float  # s, time of the newest sample or picture
    starting: bool  # less than a second of input so far
    excerpts: tuple[Excerpt, ...]  # of each modality, in the network's order
    seconds: float  # spent on the window so far


class InferenceWorker:
    """One window per step.

    Raises ConfigError for windows that the network was not trained on.
    """

    def __init__(
        self,
        *,
        config: SessionConfig,
        sightings: SightingRing,
        samples: SampleRing,
        network: Network,
        clock: Clock | None = None,
        started: float = 0.0,
    ) -> None:
        """`clock`: of live input; `started`: when its sources were, on that clock."""
        for name in ("window_seconds", "hop_seconds", "sample_rate"):
            trained, value = getattr(network, name), getattr(config.windows, name)
            if value != trained:
                raise ConfigError(
                    f"{name} must be {trained:g}, as the network was trained, not {value!r}"
                )
        self.windows_skipped = 0  # though there was input
        self.pictures_missed = 0  # overwritten before they were taken in
        self._config = config
        self._grid = WindowGrid(config.windows)
        self._sightings = sightings
        self._samples = samples
        self._network = network
        self._modalities: Sequence[Modality[Any, Any]] = network.modalities(config.windows, samples)
        self._tracks = {
            track: TrackState([each for each in self._modalities if each.track is track])
            for track in Track
        }
        self._clock = clock
        self._smoother = Smoother(config.smoothing)
        self._answered = 0  # index of the last window that was answered
        self._sightings_seen = self._samples_seen = 0
        self._prepared_seconds = 0.0  # spent on windows to come
        self._next: int | None = None
        self._flowed: set[int] = set()  # live: windows to come that something flowed at the end of
        # s; until then devices may still be opening, and "no input" would be a false alarm
        self._awaited = started + OPENING_SECONDS

    # -- taking input in ------------------------------------------------------------------------

    def connect(self, track: Track, connected: bool) -> None:
        """Say whether there is a source of pictures or sound; one that nobody needs is none."""
        state = self._tracks[track]
        state.connected = connected and bool(state.modalities)

    def change_source(self, track: Track, connected: bool) -> None:
        """Start over with another source, which another person may be at."""
        self._forget_input(track)
        for modality in self._tracks[track].modalities:
            modality.forget_person()
        self.connect(track, connected)

    def ingest(self) -> None:
        """Take in the pictures and the sound that came since the last call."""
        sightings, self._sightings_seen, missed = self._sightings.read(self._sightings_seen)
        if self._next is not None:  # else they came while the network was loaded
            self.pictures_missed += missed
        pictures, sound = self._tracks[Track.PICTURES], self._tracks[Track.SOUND]
        for sighting in sightings:
            for modality in pictures.modalities:
                modality.see(sighting)
            self._note(pictures, sighting.timestamp, sighting.timestamp)
        pieces, self._samples_seen = self._samples.since(self._samples_seen)
        for start, samples in pieces:
            for modality in sound.modalities:
                modality.hear(start, samples)
            self._note(sound, start, start + len(samples) / self._samples.sample_rate)

    def _note(self, state: TrackState, start: float, newest: float) -> None:
        """Something has come, and flows until it would have stalled."""
        state.note(start, newest)
        if self._clock is not None:
            until = self._grid.newest_ended(newest + self._config.windows.stall_seconds)
            self._flowed.update(range(self._grid.newest_ended(start) + 1, until + 1))

    def _forget_input(self, track: Track) -> None:
        if track is Track.PICTURES:
            self._sightings_seen = self._sightings.clear()
        else:
            self._samples.clear()
        self._tracks[track].forget()
        for modality in self._tracks[track].modalities:
            modality.forget_input()

    def start_over(self) -> None:
        """Live: go on after a pause, as if what came meanwhile had never been."""
        assert self._clock is not None
        for track in Track:
            self._forget_input(track)
        self._next = None
        self._awaited = max(self._awaited, self._clock.now())

    # -- windows --------------------------------------------------------------------------------

    def step(self) -> Prediction | None:
        """Compute the next window that is due; None when there is none yet.

        A live worker that is behind goes to the newest window that is due and counts the skipped.
        """
        due = self.gather()
        return None if due is None else self.answer(self.encode(due))

    def gather(self) -> DueWindow | None:
        """First part of a step: take all that the next window needs from the rings.

        When none is due, what the next ones will need is got ready instead.
        """
        self.ingest()
        lost = self._lost()
        index = self._next_due(lost)
        if index is not None:
            return self._gather(index, lost)
        started = time.perf_counter()
        for modality in self._modalities:
            modality.prepare()
        self._prepared_seconds += time.perf_counter() - started
        return None

    def _next_due(self, lost: Mapping[Track, Reason | None]) -> int | None:
        """The next window, if it is due; it counts as taken."""
        flowing = {
            track: state.newest if lost[track] is None else None
            for track, state in self._tracks.items()
        }
        due = self._grid.last_due(
            picture_time=flowing[Track.PICTURES], sound_end=flowing[Track.SOUND]
        )
        if due is None:
            due = self._due_without_input()
        if due is None:
            return None
        if self._next is None:
            self._next = max(self._answered + 1, due) if self._clock is not None else 1
        if due < self._next:
            return None
        if self._clock is not None:
            # Of an hour for which the computer slept, none but the first few.
            self.windows_skipped += sum(self._next <= index < due for index in self._flowed)
            self._flowed = {index for index in self._flowed if index > due}
            self._next = due
        index = self._next
        self._next += 1
        return index

    def encode(self, due: DueWindow) -> DueWindow:
        """Second part: `due` with its excerpts encoded, most of a step's work.

        It depends on nothing but `due`, so that replay may run several at a time. Thread: any.
        """
        started = time.perf_counter()
        pairs = zip(self._modalities, due.excerpts, strict=True)
        encoded = tuple(modality.encode(excerpt) for modality, excerpt in pairs)
        seconds = due.seconds + time.perf_counter() - started
        return replace(due, excerpts=encoded, seconds=seconds)

    def _lost(self) -> dict[Track, Reason | None]:
        """Why pictures and sound do not flow, None where they do.

        A source that is late by `stall_seconds` no longer holds windows up. Live, that is late by
        the clock; in a recording, whose packets come in time order, late behind the other track.
        """
        now = (
            self._clock.now()
            if self._clock is not None
            else max(state.newest or 0.0 for state in self._tracks.values())
        )

        def lost(state: TrackState) -> Reason | None:
            if not state.connected:
                return NO_SOURCE
            if now - (state.newest or 0.0) <= self._config.windows.stall_seconds:
                return None if state.newest is not None else STALLED
            return STALLED if self._clock is not None else NO_SOURCE

        return {track: lost(state) for track, state in self._tracks.items()}

    def _due_without_input(self) -> int | None:
        """Live, the answer "no input" still comes at every hop, paced by the clock."""
        if self._clock is None:
            return None
        late = self._clock.now() - self._config.windows.stall_seconds
        if self._next is None and late < self._awaited:
            return None
        return math.floor(late / self._config.windows.hop_seconds)

    def finish(self, end: float) -> Iterator[DueWindow]:
        """Replay: all windows that end by `end`, now that nothing more will come."""
        last = self._grid.newest_ended(end)
        self.ingest()
        lost = self._lost()
        for index in range(self._next or 1, last + 1):
            self._next = index + 1
            yield self._gather(index, lost)

    # -- one window -----------------------------------------------------------------------------

    def _gather(self, index: int, lost: Mapping[Track, Reason | None]) -> DueWindow:
        started = time.perf_counter() - self._prepared_seconds
        self._prepared_seconds = 0.0
        end = self._grid.end(index)
        has_sound = lost[Track.SOUND] is None
        excerpts = tuple(each.excerpt(index, lost[each.track]) for each in self._modalities)
        return DueWindow(
            index=index,
            end=end,
            # Without sound the newest sample is a picture, and pictures end a little earlier.
            newest=end if has_sound else end - self._config.windows.picture_lag_seconds,
            starting=self._is_starting(end),
            excerpts=excerpts,
            seconds=time.perf_counter() - started,
        )

    def answer(self, due: DueWindow) -> Prediction:
        """Last part of a step: fuse, smooth, tell. Encoded windows must come in order."""
        started = time.perf_counter()
        if any(excerpt.new_person for excerpt in due.excerpts):
            for modality in self._modalities:
                modality.forget_person()
        hops, self._answered = due.index - self._answered, due.index
        held = list(zip(self._modalities, due.excerpts, strict=True))
        inputs = {
            modality.name: modality.inputs(excerpt)
            for modality, excerpt in held
            if excerpt.absent is None
        }
        fusion = probabilities = smoothed = label = shown = confidence = None
        if inputs:
            fusion = self._network.fuse(inputs)
            probabilities = _softmax(fusion.logits)
            smoothed = self._smoother.update(due.end, probabilities)
            label = smoothed.label
            shown = label if label is not None else int(smoothed.probabilities.argmax())
            confidence = float(smoothed.probabilities[shown])
        else:
            self._smoother.reset()
        labels = self._network.labels
        prediction = Prediction(
            window_index=due.index,
            window_end=due.end,
            labels=labels,
            label=None if label is None else labels[label],
            reason=None if label is not None else _reason(due, fusion),
            confidence=confidence,
            logits=None if fusion is None else fusion.logits,
            probabilities=probabilities,
            smoothed=None if smoothed is None else smoothed.probabilities,
            modalities=tuple(
                self._report(modality, excerpt.absent, fusion) for modality, excerpt in held
            ),
            attention=() if fusion is None else fusion.attention,
        )
        whole = self._config.windows.window_hops  # only what is new in a window is learned from
        for modality, excerpt in held:
            counted = fusion if modality.name in inputs else None
            if counted is not None:
                modality.learn(counted, min(hops, whole) / whole)
            prediction = modality.show(prediction, excerpt, counted, shown)
        prediction = replace(
            prediction, inference_seconds=due.seconds + time.perf_counter() - started
        )
        if self._clock is None:
            return prediction
        return replace(
            prediction,
            # The newest sample's time is an estimate, and may lie ahead just after the start.
            latency_seconds=max(0.0, self._clock.now() - due.newest),
            time_of_day=self._clock.epoch + due.end,
        )

    def _report(
        self, modality: Modality[Any, Any], absent: Reason | None, fusion: Fusion | None
    ) -> ModalityReport:
        """What one modality was, said and counted."""
        report = ModalityReport(name=modality.name, track=modality.track, absent=absent)
        part = None if fusion is None else fusion.contributions.get(modality.name)
        if part is None:
            return report
        return replace(
            report,
            share=part.share,
            chance_share=part.chance_share,
            label=self._network.labels[int(part.logits.argmax())],
        )

    def _is_starting(self, end: float) -> bool:
        """Whether less than a second of input had come by `end`."""
        starts = [state.start for state in self._tracks.values() if state.start is not None]
        return bool(starts) and end - min(starts) < STARTING_SECONDS


def _reason(due: DueWindow, fusion: Fusion | None) -> Reason:
    """Why there is no label."""
    if fusion is not None:
        return LOW_CONFIDENCE
    if due.starting:
        return STARTING
    reasons = (excerpt.absent for excerpt in due.excerpts if excerpt.absent is not None)
    gravest = max(reasons, key=lambda reason: reason.rank, default=NO_SOURCE)
    return NO_INPUT if gravest in NOT_DELIVERING else gravest


def _softmax(logits: FloatArray) -> FloatArray:
    shifted = np.exp(logits - logits.max())
    result: FloatArray = (shifted / shifted.sum()).astype(np.float32)
    return result

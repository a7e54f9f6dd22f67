"""The worker: pictures and sound in, one answer per window out.

It is a function of the values that it is given, one after another: what was seen in pictures,
sound, control, and which window to answer (realtime/scheduling.py chooses). Time it takes but to
tell what its work cost; the same values again give the same answers, to the last bit
(docs/adr/0012).

Thread: whoever calls it (live: the inference thread; replay: the analysis), always the same, but
for `encode`. It owns the modalities, the smoother and the sound that windows are cut from.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.arrays import FloatArray
from realtime.config import ConfigError, SessionConfig
from realtime.messages import (
    LOW_CONFIDENCE,
    NO_ANSWER,
    NO_INPUT,
    NO_SOURCE,
    NOT_DELIVERING,
    STARTING,
    Given,
    ModalityReport,
    Prediction,
    Reason,
    Sighting,
    Sound,
    SourceChange,
    StartOver,
    Track,
    WindowChoice,
)
from realtime.rings import SampleRing
from realtime.smoothing import Smoother
from realtime.task import Excerpt, Fusion, Modality, Network
from realtime.windowing import WindowGrid

logger = logging.getLogger(__name__)

# Before this much input "not sure" is not the person's doing.
STARTING_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class TrackState:
    """How far pictures or sound have come, in packet time."""

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
    """All that one window needs; encoding it depends on nothing else."""

    index: int
    end: float  # s
    starting: bool  # less than a second of input so far
    excerpts: tuple[Excerpt, ...]  # of each modality, in the network's order
    seconds: float  # spent on the window so far


class InferenceWorker:
    """Answers the windows that it is told to.

    Raises ConfigError for windows that the network was not trained on.
    """

    def __init__(self, *, config: SessionConfig, network: Network) -> None:
        windows = config.windows
        for name in ("window_seconds", "hop_seconds", "sample_rate"):
            trained, value = getattr(network, name), getattr(windows, name)
            if value != trained:
                raise ConfigError(
                    f"{name} must be {trained:g}, as the network was trained, not {value!r}"
                )
        self._config = config
        self._grid = WindowGrid(windows)
        self._network = network
        self._samples = SampleRing(windows.sample_rate, windows.kept_seconds)
        self._modalities: Sequence[Modality[Any, Any]] = network.modalities(windows, self._samples)
        self._taking = {  # modalities by what they are taken from
            track: [each for each in self._modalities if each.track is track] for track in Track
        }
        self._tracks = {track: TrackState() for track in Track}
        self._smoother = Smoother(config.smoothing)
        self._answered = 0  # index of the last window that was answered
        self._prepared_seconds = 0.0  # spent on windows to come
        self._told_not_finite = False

    @property
    def tracks(self) -> Mapping[Track, TrackState]:
        """How far each track has come, up to date at all times; to be read only."""
        return self._tracks

    # -- taking values in -----------------------------------------------------------------------

    def take(self, given: Given) -> Prediction | None:
        """Take in the next value: a choice of a window gives its answer, all else None."""
        match given:
            case Sighting():
                self._see(given)
            case Sound():
                self._hear(given)
            case SourceChange():
                self._change_source(given.track, given.connected)
            case StartOver():
                for track in Track:
                    self._forget_input(track)
            case WindowChoice():
                return self.answer(self.encode(self.gather(given)))
        return None

    def _see(self, sighting: Sighting) -> None:
        for modality in self._taking[Track.PICTURES]:
            modality.see(sighting)
        self._tracks[Track.PICTURES].note(sighting.timestamp, sighting.timestamp)

    def _hear(self, sound: Sound) -> None:
        start, samples = self._samples.push(sound.timestamp, sound.samples)
        for modality in self._taking[Track.SOUND]:
            modality.hear(start, samples)
        end = start + len(samples) / self._samples.sample_rate
        self._tracks[Track.SOUND].note(start, end)

    def _change_source(self, track: Track, connected: bool) -> None:
        self._forget_input(track)
        for modality in self._taking[track]:
            modality.forget_person()
        # A source that no modality needs is none to wait for.
        self._tracks[track].connected = connected and bool(self._taking[track])

    def _forget_input(self, track: Track) -> None:
        if track is Track.SOUND:
            self._samples.clear()
        self._tracks[track].forget()
        for modality in self._taking[track]:
            modality.forget_input()

    def prepare(self) -> None:
        """Get ready what windows to come will need, when none is due; it changes no answer."""
        started = time.perf_counter()
        for modality in self._modalities:
            modality.prepare()
        self._prepared_seconds += time.perf_counter() - started

    # -- one window -----------------------------------------------------------------------------

    def gather(self, choice: WindowChoice) -> DueWindow:
        """First part of an answer: cut out of the input all that the window needs."""
        started = time.perf_counter() - self._prepared_seconds
        self._prepared_seconds = 0.0
        index, end = choice.index, self._grid.end(choice.index)
        excerpts = tuple(
            each.excerpt(index, choice.lost.get(each.track)) for each in self._modalities
        )
        return DueWindow(
            index=index,
            end=end,
            starting=self._is_starting(end),
            excerpts=excerpts,
            seconds=time.perf_counter() - started,
        )

    def encode(self, due: DueWindow) -> DueWindow:
        """Second part: `due` with its excerpts encoded, most of the work.

        It depends on nothing but `due`, so that replay may run several at a time. Thread: any.
        """
        started = time.perf_counter()
        pairs = zip(self._modalities, due.excerpts, strict=True)
        encoded = tuple(modality.encode(excerpt) for modality, excerpt in pairs)
        seconds = due.seconds + time.perf_counter() - started
        return replace(due, excerpts=encoded, seconds=seconds)

    def answer(self, due: DueWindow) -> Prediction:
        """Last part: fuse, smooth, tell. Encoded windows must come in order."""
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
        fusion = self._network.fuse(inputs) if inputs else None
        if fusion is not None and not np.isfinite(fusion.logits).all():
            self._tell_not_finite(due.end)  # it would stay in every average to come
            held = [
                (modality, replace(excerpt, absent=excerpt.absent or NO_ANSWER))
                for modality, excerpt in held
            ]
            fusion, inputs = None, {}
        probabilities = smoothed = label = shown = confidence = None
        if fusion is not None:
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
            reason=None if label is not None else _reason(held, fusion, starting=due.starting),
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
        return replace(prediction, inference_seconds=due.seconds + time.perf_counter() - started)

    def _tell_not_finite(self, end: float) -> None:
        if not self._told_not_finite:
            logger.warning("the network gave no finite answer at %.1f s", end)
        self._told_not_finite = True

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


def _reason(
    held: Iterable[tuple[Modality[Any, Any], Excerpt]], fusion: Fusion | None, *, starting: bool
) -> Reason:
    """Why there is no label."""
    if fusion is not None:
        return LOW_CONFIDENCE
    if starting:
        return STARTING
    reasons = (excerpt.absent for _, excerpt in held if excerpt.absent is not None)
    gravest = max(reasons, key=lambda reason: reason.rank, default=NO_SOURCE)
    return NO_INPUT if gravest in NOT_DELIVERING else gravest


def _softmax(logits: FloatArray) -> FloatArray:
    shifted = np.exp(logits - logits.max())
    result: FloatArray = (shifted / shifted.sum()).astype(np.float32)
    return result

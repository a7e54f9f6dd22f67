"""The worker: faces and sound in, one answer per window out.

Thread: whoever calls `step` (live: the inference thread; replay: the analysis), always the same.
It owns the engine, the speech detector, what is known of the speaker, the smoother and the window
cursor; the rings take their own locks. Packet time alone decides what a window holds. The clock,
which only a live worker has, tells when a source has stalled and how late an answer is.

Work done once is kept: each slot's face goes through the trunk once, each 32 ms of sound through
the speech detector once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from models.attention import modality_share
from models.config import MODALITIES
from models.mel import SlidingLogMel
from models.speaker import SpeakerOffset
from realtime.clock import Clock
from realtime.config import ConfigError, SessionConfig
from realtime.engine import Engine, Fusion
from realtime.messages import (
    Attention,
    FaceObservation,
    FloatArray,
    ModalityReport,
    Prediction,
    Reason,
    Sighting,
    Status,
)
from realtime.rings import SampleRing, SightingRing
from realtime.smoothing import Smoother
from realtime.speech import VoiceActivity
from realtime.windowing import Span, WindowGrid

FACE, _ = MODALITIES

# Below this there is too little sound for one frame of every layer of the voice encoder.
LEAST_SOUND_SECONDS = 0.5
# Before this much input "not sure" is not the person's doing.
STARTING_SECONDS = 1.0
# Cameras take a while to open.
OPENING_SECONDS = 4.0


@dataclass(slots=True, eq=False)
class _Slot:
    """The newest picture of one hop that shows the followed face."""

    face: FaceObservation
    feature_map: FloatArray | None = None  # made when the slot's window is due


@dataclass(slots=True, eq=False, kw_only=True)
class DueWindow:
    """All that one window needs, taken from the rings; what follows depends on nothing else."""

    index: int
    end: float  # s
    newest: float  # s, time of the newest sample or picture
    starting: bool  # less than a second of input so far
    face_status: Status
    faces: list[FaceObservation]  # of the followed face, oldest first
    maps: FloatArray | None  # (channels, n, height, width); None when the face does not count
    voice_status: Status
    mel: FloatArray | None  # (80, n); there with any sound, speech or not
    mel_end: float | None  # s, time just after it
    speech: bool
    stranger: bool  # since the window before, a face came that may be another person's
    sound_level: float | None  # dBFS
    seconds: float  # spent on the window so far


class InferenceWorker:
    """One window per step.

    Raises ConfigError for windows that the engine's network was not trained on.
    """

    def __init__(
        self,
        *,
        config: SessionConfig,
        sightings: SightingRing,
        samples: SampleRing,
        engine: Engine,
        activity: VoiceActivity,
        clock: Clock | None = None,
    ) -> None:
        for name in ("window_seconds", "hop_seconds", "sample_rate"):
            trained, value = getattr(engine.config, name), getattr(config.windows, name)
            if value != trained:
                raise ConfigError(
                    f"{name} must be {trained:g}, as the network was trained, not {value!r}"
                )
        self.has_pictures = False  # set by the session: there is such a source to wait for
        self.has_sound = False
        self.windows_skipped = 0
        self._config = config
        self._grid = WindowGrid(config.windows)
        self._sightings = sightings
        self._samples = samples
        self._engine = engine
        self._activity = activity
        self._clock = clock
        self._smoother = Smoother(config.smoothing)
        self._log_mel = SlidingLogMel(round(config.windows.hop_seconds * samples.sample_rate))
        self._labels = engine.config.labels
        self._speaker = SpeakerOffset(
            engine.config.voice.channels,
            prior_windows=engine.config.speaker_prior_windows,
            memory_windows=engine.config.speaker_memory_windows,
        )
        self._followed: FaceObservation | None = None  # the newest sight of a face
        self._absent_seconds = 0.0  # of pictures without one since then
        self._strangers: list[int] = []  # slots in which a face came that may be another person's
        self._answered = 0  # index of the last window that was answered
        self._sightings_seen = self._samples_seen = 0
        self._picture_time: float | None = None
        self._picture_start: float | None = None
        self._sound_end: float | None = None  # of what the speech detector has been given
        self._sound_start: float | None = None
        self._slots: dict[int, _Slot] = {}
        self._brightness: dict[int, float] = {}  # of each slot's newest picture
        self._next: int | None = None
        self._awaited = OPENING_SECONDS  # s, when input is due; "no input" before would only alarm

    # -- taking input in ------------------------------------------------------------------------

    def ingest(self) -> None:
        """Take in the faces and listen to the sound that came since the last call."""
        sightings, self._sightings_seen, _ = self._sightings.read(self._sightings_seen)
        for sighting in sightings:
            self._notice_strangers(sighting)
            self._picture_time = sighting.timestamp
            if self._picture_start is None:
                self._picture_start = sighting.timestamp
            slot = self._grid.slot_of(sighting.timestamp)
            self._brightness[slot] = sighting.brightness
            if sighting.searched and sighting.face is not None:
                self._slots[slot] = _Slot(sighting.face)
        pieces, self._samples_seen = self._samples.since(self._samples_seen)
        for start, samples in pieces:
            if self._sound_start is None:
                self._sound_start = start
            self._activity.push(start, samples)
            self._sound_end = start + len(samples) / self._samples.sample_rate

    def forget_pictures(self) -> None:
        """Start over with another camera."""
        self._slots.clear()
        self._brightness.clear()
        self._sightings.clear()
        self._picture_time = self._picture_start = self._followed = None
        self._absent_seconds = 0.0

    def forget_sound(self) -> None:
        """Start over with other sound; what is known of the voice stays."""
        self._activity.reset()
        self._samples.clear()
        self._sound_start = self._sound_end = None

    def start_over(self) -> None:
        """Live: go on after a pause, as if what came meanwhile had never been."""
        assert self._clock is not None
        self.forget_pictures()
        self.forget_sound()
        self._next = None
        self._awaited = max(self._awaited, self._clock.now())

    def forget_voice(self) -> None:
        """Start over with another microphone: somebody else may speak into it."""
        self._speaker.forget()

    # -- windows --------------------------------------------------------------------------------

    def step(self) -> Prediction | None:
        """Compute the next window that is due; None when there is none yet.

        A live worker that is behind goes to the newest window that is due and counts the skipped.
        """
        due = self.gather()
        return None if due is None else self.answer(due, self.encode(due))

    def gather(self) -> DueWindow | None:
        """First part of a step: take all that the next window needs from the rings."""
        self.ingest()
        picture_status, sound_status = self._flow_status()
        due = self._grid.last_due(
            picture_time=self._picture_time if picture_status is Status.PRESENT else None,
            sound_end=self._sound_end if sound_status is Status.PRESENT else None,
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
            self.windows_skipped += due - self._next
            self._next = due
        index = self._next
        self._next += 1
        return self._gather(index, picture_status, sound_status)

    def encode(self, due: DueWindow) -> FloatArray | None:
        """Second part: the voice encoder, most of a step's work.

        It depends on nothing but `due`, so that replay may run several at a time. Thread: any.
        """
        if due.voice_status is not Status.PRESENT or due.mel is None:
            return None
        started = time.perf_counter()
        frames = self._engine.voice_frames(due.mel)
        due.seconds += time.perf_counter() - started
        return frames

    def _flow_status(self) -> tuple[Status, Status]:
        """Whether pictures and sound are flowing: PRESENT, STALLED or NO_SOURCE.

        A source that is late by `stall_seconds` no longer holds windows up. Live, that is late by
        the clock; in a recording, whose packets come in time order, late behind the other track.
        """
        now = (
            self._clock.now()
            if self._clock is not None
            else max(self._picture_time or 0.0, self._sound_end or 0.0)
        )

        def status(connected: bool, newest: float | None) -> Status:
            if not connected:
                return Status.NO_SOURCE
            if now - (newest or 0.0) <= self._config.presence.stall_seconds:
                return Status.PRESENT if newest is not None else Status.STALLED
            return Status.STALLED if self._clock is not None else Status.NO_SOURCE

        return (
            status(self.has_pictures, self._picture_time),
            status(self.has_sound, self._sound_end),
        )

    def _due_without_input(self) -> int | None:
        """Live, the answer "no input" still comes at every hop, paced by the clock."""
        if self._clock is None:
            return None
        late = self._clock.now() - self._config.presence.stall_seconds
        if self._next is None and late < self._awaited:
            return None
        return math.floor(late / self._config.windows.hop_seconds)

    def finish(self, end: float) -> Iterator[DueWindow]:
        """Replay: all windows that end by `end`, now that nothing more will come."""
        last = self._grid.newest_ended(end)
        self.ingest()
        statuses = self._flow_status()
        for index in range(self._next or 1, last + 1):
            self._next = index + 1
            yield self._gather(index, *statuses)

    def _drop_old_slots(self, index: int) -> None:
        oldest = self._grid.first_slot(index + 1)
        for kept in (self._slots, self._brightness):
            for slot in [slot for slot in kept if slot < oldest]:
                del kept[slot]
        self._strangers = [slot for slot in self._strangers if slot > index]

    # -- one window -----------------------------------------------------------------------------

    def _gather(self, index: int, picture_status: Status, sound_status: Status) -> DueWindow:
        started = time.perf_counter()
        end = self._grid.end(index)
        face_status, slots = self._face_of(index, picture_status)
        span, rate = self._grid.sound(index), self._samples.sample_rate
        start, samples = self._samples.read(span.start, span.end)
        mel = mel_end = None
        if len(samples) >= LEAST_SOUND_SECONDS * rate:
            mel, mel_end = self._log_mel(samples), start + len(samples) / rate
        heard = None if mel is None else Span(max(start, span.start), span.end)
        voice_status, speech = self._voice_of(heard, sound_status)
        maps = self._maps(slots) if face_status is Status.PRESENT else None
        has_sound = sound_status is Status.PRESENT
        due = DueWindow(
            index=index,
            end=end,
            # Without sound the newest sample is a picture, and pictures end a little earlier.
            newest=end if has_sound else end - self._config.windows.picture_lag_seconds,
            starting=self._is_starting(end),
            face_status=face_status,
            faces=[slot.face for slot in slots],
            maps=maps,
            voice_status=voice_status,
            mel=mel,
            mel_end=mel_end,
            speech=speech,
            stranger=any(slot <= index for slot in self._strangers),
            sound_level=self._level(end) if has_sound else None,
            seconds=0.0,
        )
        self._drop_old_slots(index)
        due.seconds = time.perf_counter() - started
        return due

    def answer(self, due: DueWindow, frames: FloatArray | None) -> Prediction:
        """Last part of a step: fuse, smooth, tell. Windows must come in order."""
        started = time.perf_counter()
        maps = due.maps
        if due.stranger:
            self._speaker.forget()
        hops, self._answered = due.index - self._answered, due.index
        if maps is None and frames is None:
            self._smoother.reset()
            fusion = smoothed = None
        else:
            fusion = self._engine.fuse(maps, frames, self._speaker.value)
            if frames is not None and self._config.adapt:
                whole = self._config.windows.window_hops  # only what is new in a window counts
                self._speaker.hear(fusion.voice_residual, min(hops, whole) / whole)
            probabilities = _softmax(fusion.logits)
            smoothed = self._smoother.update(due.end, probabilities)
        label = smoothed.label if smoothed is not None else None
        confidence = activation = None
        if fusion is not None and smoothed is not None:
            shown = label if label is not None else int(smoothed.probabilities.argmax())
            confidence = float(smoothed.probabilities[shown])
            if maps is not None:
                activation = _unit_range(fusion.face_activation[shown])
        attention = self._attention(fusion)
        prediction = Prediction(
            window_index=due.index,
            window_end=due.end,
            labels=self._labels,
            label=None if label is None else self._labels[label],
            reason=None if label is not None else self._reason(due, fusion),
            confidence=confidence,
            logits=None if fusion is None else fusion.logits,
            probabilities=None if fusion is None else probabilities,
            smoothed=None if smoothed is None else smoothed.probabilities,
            modalities=self._reports(due.face_status, due.voice_status, fusion),
            attention=attention,
            face=due.faces[-1] if due.faces else None,
            face_activation=activation,
            spectrogram=due.mel,
            spectrogram_end=due.mel_end,
            voice_moments=fusion.voice_moments if fusion and frames is not None else None,
            sound_level=due.sound_level,
            speech=due.speech,
            frames_used=tuple(face.sequence for face in due.faces) if maps is not None else (),
            inference_seconds=due.seconds + time.perf_counter() - started,
            latency_seconds=None,
            speaker_seconds=self._speaker.windows * self._config.windows.window_seconds,
        )
        if self._clock is None:
            return prediction
        return replace(prediction, latency_seconds=self._clock.now() - due.newest)

    def _notice_strangers(self, sighting: Sighting) -> None:
        """Tell when a face takes over from another, or comes after a long time without one.

        One that comes back after a short loss, as a new face to the tracker, is taken for the same.
        """
        presence, face, before = self._config.presence, sighting.face, self._followed
        since = 0.0 if self._picture_time is None else sighting.timestamp - self._picture_time
        # Neither in the dark nor without pictures can anybody be seen to be gone.
        if sighting.brightness >= presence.dark_picture:
            self._absent_seconds += min(since, presence.stall_seconds)
        if face is None:
            return
        took_over = (
            before is not None
            and before.identity != face.identity
            and face.timestamp - before.timestamp < presence.face_age_seconds
        )
        if took_over or self._absent_seconds > presence.new_person_seconds:
            self._strangers.append(self._grid.slot_of(sighting.timestamp))
        self._followed, self._absent_seconds = face, 0.0

    def _face_of(self, index: int, flow: Status) -> tuple[Status, list[_Slot]]:
        """Status of the face and the slots of the window that show it, oldest first."""
        presence = self._config.presence
        first = self._grid.first_slot(index)
        slots = [self._slots[slot] for slot in sorted(self._slots) if first <= slot <= index]
        missing = flow
        if flow is Status.PRESENT:
            seen = max((slot for slot in self._brightness if slot <= index), default=None)
            dark = seen is not None and self._brightness[seen] < presence.dark_picture
            missing = Status.TOO_DARK if dark else Status.NO_FACE
        if not slots:
            return missing, slots
        newest = slots[-1].face
        slots = [slot for slot in slots if slot.face.identity == newest.identity]
        lag = self._config.windows.picture_lag_seconds
        age = self._grid.end(index) - lag - newest.timestamp
        if len(slots) < presence.face_frames or age > presence.face_age_seconds:
            return missing, slots
        if newest.brightness < presence.dark:
            return Status.TOO_DARK, slots
        return Status.PRESENT, slots

    def _maps(self, slots: list[_Slot]) -> FloatArray:
        """Feature maps (channels, n, height, width); those made for earlier windows are reused."""
        maps = []
        for slot in slots:
            if slot.feature_map is None:
                assert slot.face.crop is not None
                slot.feature_map = self._engine.face_map(slot.face.crop)
            maps.append(slot.feature_map)
        return np.stack(maps, axis=1)

    def _voice_of(self, heard: Span | None, flow: Status) -> tuple[Status, bool]:
        """Status of the voice, and whether somebody speaks right now.

        `heard` is what there is of the window's sound, None if that is too little.
        """
        presence, activity = self._config.presence, self._activity
        missing = Status.SILENCE if flow is Status.PRESENT else flow
        if heard is None:
            return missing, False
        start, end = heard.start, heard.end
        hop = self._config.windows.hop_seconds
        speech = activity.speech_seconds(max(start, end - 2 * hop), end) > 0
        last = activity.last_speech(start, end)
        if (
            last is None
            or end - last > presence.speech_age_seconds
            or activity.speech_seconds(start, end) < presence.speech_seconds
        ):
            return missing, speech
        if activity.clipped_share(start, end) > presence.clipped:
            return Status.CLIPPED, speech
        return Status.PRESENT, speech

    def _level(self, end: float) -> float | None:
        """RMS of the last hop in dBFS."""
        _, samples = self._samples.read(end - self._config.windows.hop_seconds, end)
        if not len(samples):
            return None
        power = float(np.mean(np.square(samples, dtype=np.float64)))
        return 10 * math.log10(max(power, 1e-10))

    def _is_starting(self, end: float) -> bool:
        """Whether less than a second of input had come by `end`."""
        starts = (self._picture_start, self._sound_start)
        known = [start for start in starts if start is not None and start < end]
        return bool(known) and end - min(known) < STARTING_SECONDS

    @staticmethod
    def _reason(due: DueWindow, fusion: Fusion | None) -> Reason:
        if fusion is not None:
            return Reason.LOW_CONFIDENCE
        if due.starting:
            return Reason.STARTING
        for status, reason in (
            (Status.TOO_DARK, Reason.TOO_DARK),
            (Status.CLIPPED, Reason.CLIPPED),
            (Status.NO_FACE, Reason.NO_FACE),
            (Status.STALLED, Reason.NO_INPUT),  # silence is no news where the picture is lost
            (Status.SILENCE, Reason.SILENCE),
        ):
            if status in (due.face_status, due.voice_status):
                return reason
        return Reason.NO_INPUT

    def _attention(self, fusion: Fusion | None) -> tuple[Attention, ...]:
        if fusion is None:
            return ()
        config = self._engine.config
        lowest = config.lowest_attention
        return tuple(
            Attention(
                name=name,
                # Back from L + (1 - L) a, by which a block was multiplied, to its softmax a.
                weights=np.maximum(weights - lowest, 0) / (1 - lowest),
                modalities=tuple(np.repeat(MODALITIES, counts).tolist()),
            )
            for name, weights, counts in (
                ("maps", fusion.attention_maps, config.map_block_counts),
                ("sequences", fusion.attention_sequences, config.sequence_block_counts),
            )
        )

    def _reports(
        self, face: Status, voice: Status, fusion: Fusion | None
    ) -> tuple[ModalityReport, ...]:
        """What each modality was, said and counted.

        It counted by what MSAF gave it where the two sequences meet. Where maps meet frames a layer
        norm follows in each branch, so that only the relations between a modality's own blocks get
        past it.
        """
        config = self._engine.config
        counted = None
        if fusion is not None:
            counted = modality_share(
                fusion.attention_sequences,
                config.sequence_block_counts,
                lowest_attention=config.lowest_attention,
            )
        reports = []
        for index, (name, status) in enumerate(zip(MODALITIES, (face, voice), strict=True)):
            if status is not Status.PRESENT or fusion is None or counted is None:
                share = chance = label = None
            else:
                own = fusion.face_logits if name == FACE else fusion.voice_logits
                share, chance = float(counted.share[index]), float(counted.chance[index])
                label = self._labels[int(own.argmax())]
            reports.append(
                ModalityReport(
                    name=name, status=status, share=share, chance_share=chance, label=label
                )
            )
        return tuple(reports)


def _softmax(logits: FloatArray) -> FloatArray:
    shifted = np.exp(logits - logits.max())
    result: FloatArray = (shifted / shifted.sum()).astype(np.float32)
    return result


def _unit_range(activation: FloatArray) -> FloatArray:
    """Scale an activation map to [0, 1]; negative activation speaks against the class and is 0."""
    positive = np.maximum(activation, 0)
    peak = float(positive.max())
    result: FloatArray = (positive / peak if peak > 0 else positive).astype(np.float32)
    return result

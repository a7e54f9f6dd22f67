"""Sessions without devices, network or threads: everything is made up from the clock.

`FakeLiveSession` and `FakeReplaySession` implement the controls of realtime/session.py. Their
predictions move smoothly through the classes, so that every part of the window has something to
show. Thread: whichever calls.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import FloatArray
from models.labels import EMOTIONS
from realtime.config import SessionConfig
from realtime.devices.listing import CameraInfo, Listing, MicrophoneInfo
from realtime.emotion.reasons import NO_FACE, SILENCE
from realtime.export import AnswerLog, Written
from realtime.messages import (
    LOW_CONFIDENCE,
    NO_SOURCE,
    Attention,
    Box,
    FaceObservation,
    Health,
    ModalityReport,
    Playback,
    Prediction,
    SessionState,
    Snapshot,
    SourceHealth,
    SourceState,
    Track,
    VideoPacket,
)
from realtime.sources.base import UnreadableFileError

HOP = 0.1
BLOCKS = 8  # channel blocks per modality
FRAME_RATE = 30.0


class ManualTime:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Let that much time pass."""
        self.seconds += seconds


# -- pictures ----------------------------------------------------------------------------------


class DrawnPictures:
    """A face of circles on a gradient, swaying a little."""

    def __init__(self, width: int = 320, height: int = 180) -> None:
        self.width, self.height = width, height

    def centre(self, seconds: float) -> tuple[float, float]:
        """Middle of the face, 0..1 of the picture."""
        return 0.5 + 0.05 * math.sin(seconds), 0.48 + 0.02 * math.sin(1.7 * seconds)

    def box(self, seconds: float) -> Box:
        """Where the face is."""
        x, y = self.centre(seconds)
        return Box(left=x - 0.13, top=y - 0.25, width=0.26, height=0.5)

    def packet(self, seconds: float) -> VideoPacket:
        """The frame at that time."""
        sequence = int(seconds * FRAME_RATE)
        moment = sequence / FRAME_RATE
        rows, columns = np.mgrid[0 : self.height, 0 : self.width].astype(np.float32)
        image: NDArray[np.uint8] = np.empty((self.height, self.width, 3), np.uint8)
        shade = rows / self.height
        for channel, (top, bottom) in enumerate(((46, 24), (58, 30), (74, 40))):
            image[..., channel] = top + (bottom - top) * shade
        x, y = self.centre(moment)
        unit = self.height * 0.22

        def disc(
            dx: float, dy: float, width: float, height: float, colour: tuple[int, ...]
        ) -> None:
            across = (columns - x * self.width - dx * unit) / (width * unit)
            down = (rows - y * self.height - dy * unit) / (height * unit)
            image[across**2 + down**2 < 1.0] = colour

        disc(0, 1.9, 1.5, 0.8, (52, 84, 110))
        disc(0, 0, 0.86, 1.08, (214, 170, 140))
        for side in (-0.34, 0.34):
            disc(side, -0.2, 0.14, 0.08, (250, 248, 244))
            disc(side, -0.2, 0.07, 0.075, (50, 40, 36))
        disc(0, 0.5, 0.3, 0.06 + 0.06 * abs(math.sin(3 * moment)), (150, 70, 70))
        image.flags.writeable = False
        return VideoPacket(timestamp=moment, sequence=sequence, image=image)


class ClipPictures:
    """The frames of a short clip, over and over."""

    def __init__(self, path: Path, face: Box) -> None:
        import av

        with av.open(str(path)) as container:
            self._frames: list[NDArray[Any]] = [
                frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)
            ]
        self.height, self.width, _ = self._frames[0].shape
        self._face = face

    def box(self, seconds: float) -> Box:
        """Where the face is, which the caller has said."""
        return self._face

    def packet(self, seconds: float) -> VideoPacket:
        """The frame at that time."""
        sequence = int(seconds * FRAME_RATE)
        image = self._frames[sequence % len(self._frames)]
        return VideoPacket(timestamp=sequence / FRAME_RATE, sequence=sequence, image=image)


Pictures = DrawnPictures | ClipPictures


def face_at(pictures: Pictures, seconds: float) -> FaceObservation:
    """The face in the picture at that time, aligned as if its keypoints had been found."""
    sequence = int(seconds * FRAME_RATE)
    box = pictures.box(sequence / FRAME_RATE)
    left, top = box.left * pictures.width, box.top * pictures.height
    scale = 48.0 / (box.height * pictures.height)
    inset = (48.0 - scale * box.width * pictures.width) / 2
    matrix = [[scale, 0.0, -scale * left + inset], [0.0, scale, -scale * top]]
    return FaceObservation(
        timestamp=sequence / FRAME_RATE,
        sequence=sequence,
        identity=0,
        box=box,
        keypoints=np.full((4, 2), 0.5, np.float32),
        score=0.98,
        crop=np.full((48, 48), 0.5, np.float32),
        crop_from_image=np.array(matrix, np.float32),
        brightness=0.5,
    )


# -- predictions -------------------------------------------------------------------------------


def make_prediction(index: int, face: FaceObservation | None = None, **changes: Any) -> Prediction:
    """The made-up answer of window `index`; `changes` replace its fields."""
    seconds = index * HOP
    count = len(EMOTIONS)
    place = (seconds / 6.0) % count  # a new class every six seconds
    distance = np.abs((np.arange(count) - place + count / 2) % count - count / 2)
    ripple = 0.3 * np.sin(seconds * 1.3 + np.arange(count))
    logits = (3.2 - 2.6 * distance + ripple).astype(np.float32)
    powers = np.exp(logits - logits.max())
    probabilities = (powers / powers.sum()).astype(np.float32)
    best = int(np.argmax(probabilities))
    confidence = float(probabilities[best])
    sure = confidence > 0.5
    speaking = seconds % 9.0 < 6.5
    share = 0.5 + 0.18 * math.sin(seconds / 2.0) if speaking else 1.0
    prediction = Prediction(
        window_index=index,
        window_end=seconds,
        labels=EMOTIONS,
        label=EMOTIONS[best] if sure else None,
        reason=None if sure else LOW_CONFIDENCE,
        confidence=confidence,
        logits=logits,
        probabilities=probabilities,
        smoothed=probabilities,
        modalities=(
            ModalityReport(
                name="face",
                track=Track.PICTURES,
                absent=None,
                share=share,
                chance_share=0.5 if speaking else 1.0,
                label=EMOTIONS[best],
            ),
            ModalityReport(
                name="voice",
                track=Track.SOUND,
                absent=None if speaking else SILENCE,
                share=1.0 - share if speaking else None,
                chance_share=0.5 if speaking else None,
                label=EMOTIONS[(best + 1) % count] if speaking else None,
            ),
        ),
        attention=tuple(
            _attention(name, seconds, speaking, offset)
            for offset, name in enumerate(("maps", "sequences"))
        ),
        face=face,
        face_activation=_activation(seconds),
        spectrogram=_spectrogram(index),
        spectrogram_end=seconds,
        voice_moments=_moments(seconds) if speaking else None,
        sound_level=-24.0 + 9.0 * math.sin(3.1 * seconds) if speaking else -52.0,
        speech=speaking,
        inference_seconds=0.021,
        latency_seconds=0.043,
    )
    return replace(prediction, **changes)


def make_snapshot(state: SessionState = SessionState.RUNNING, **changes: Any) -> Snapshot:
    """Live, without picture and answer; `changes` replace its fields."""
    running = SourceHealth(name="Camera", state=SourceState.RUNNING)
    values: dict[str, Any] = {
        "message": "",
        "progress": None,
        "preview": None,
        "face": None,
        "prediction": None,
        "health": Health(camera=running, microphone=running),
    }
    return Snapshot(state=state, **(values | changes))


def replay_snapshot(state: SessionState = SessionState.RUNNING, **changes: Any) -> Snapshot:
    """Of a recording of 48 s, a third of which is analysed; `changes` also of its playback."""
    values: dict[str, Any] = {
        "position": 2.0,
        "duration": 48.0,
        "analysed": 16.0,
        "speed": 1.0,
        "playing": True,
        "picture_late": False,
    }
    values |= {name: changes.pop(name) for name in values if name in changes}
    return make_snapshot(state, playback=Playback(**values), **changes)


def absent_prediction(index: int = 50) -> Prediction:
    """Neither face nor voice: the answer has nothing to rest on."""
    return make_prediction(
        index,
        label=None,
        reason=NO_FACE,
        confidence=None,
        logits=None,
        probabilities=None,
        smoothed=None,
        modalities=(
            ModalityReport(name="face", track=Track.PICTURES, absent=NO_FACE),
            ModalityReport(name="voice", track=Track.SOUND, absent=NO_SOURCE),
        ),
        attention=(),
        face_activation=None,
        spectrogram=None,
        spectrogram_end=None,
        voice_moments=None,
        sound_level=None,
        speech=False,
    )


def _attention(name: str, seconds: float, speaking: bool, offset: int) -> Attention:
    rows = np.arange(2 * BLOCKS)[:, None]
    columns = np.arange(16)[None, :]
    logits = 0.9 * np.sin(0.9 * rows * (offset + 1) + seconds) * np.cos(0.7 * columns + rows)
    logits = logits + 0.25 * np.sin(seconds / 2) * np.where(rows < BLOCKS, 1, -1)
    powers = np.exp(logits)
    if not speaking:
        powers[BLOCKS:] = 0.0
    weights = (powers / powers.sum(axis=0)).astype(np.float32)
    return Attention(
        name=name, weights=weights, modalities=("face",) * BLOCKS + ("voice",) * BLOCKS
    )


def _activation(seconds: float) -> FloatArray:
    rows, columns = np.mgrid[0:5, 0:5]
    x, y = 2 + math.sin(seconds * 0.7), 2.8 + 0.8 * math.cos(seconds * 0.5)
    bump = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 2.2)
    return np.asarray(bump, dtype=np.float32)


def _spectrogram(index: int) -> FloatArray:
    """Three seconds out of nine that repeat, as a log-mel (80, 300)."""
    return np.roll(_sound(), -index * 10, axis=1)[:, -300:]


@cache
def _sound() -> FloatArray:
    """Nine seconds of harmonics with pauses, ending in silence, (80, 900)."""
    times = np.arange(900)[None, :] / 100.0
    bands = np.arange(80)[:, None]
    pitch = 9.0 + 2.0 * np.sin(2.1 * times)
    voiced = np.clip(np.sin(5.3 * times) + 0.55, 0.0, 1.0) * (times < 6.5)
    harmonics = np.cos(2 * np.pi * bands / pitch) * 0.35 * np.exp(-bands / 60)
    envelope = np.exp(-(((bands - 22 - 8 * np.sin(3 * times)) / 22) ** 2))
    noise = np.random.default_rng(0).normal(0.0, 0.09, (80, 900))
    level = -0.85 + voiced * (1.35 * envelope + harmonics + 0.25) + noise
    return np.asarray(level, dtype=np.float32)


def _moments(seconds: float) -> FloatArray:
    times = np.linspace(seconds - 3, seconds, 75)
    weights = 0.15 + np.clip(np.sin(5.3 * times), 0, 1) ** 2 * (1.4 + np.sin(1.9 * times))
    return np.asarray(weights / weights.sum(), dtype=np.float32)


# -- sessions ----------------------------------------------------------------------------------


@dataclass
class _FakeSession:
    """What live and replay have in common; tests set the public fields."""

    now: Callable[[], float]
    pictures: Pictures | None = field(default_factory=DrawnPictures)
    loading_seconds: float = 1.0
    state: SessionState | None = None  # overrides what the clock says
    message: str = ""
    failure: Exception | None = None
    notes: tuple[str, ...] = ()
    changes: dict[str, Any] = field(default_factory=dict)  # replaced in every prediction
    health_changes: dict[str, Any] = field(default_factory=dict)
    started: int = 0
    stopped: int = 0
    paused: bool = False
    _origin: float = 0.0
    _cache: dict[int, Prediction] = field(default_factory=dict)
    _packet: VideoPacket | None = None
    _face: FaceObservation | None = None  # in that picture

    def start(self) -> None:
        self.started += 1
        self._origin = self.now()

    def stop(self) -> None:
        self.stopped += 1

    @property
    def loaded(self) -> float:
        """Progress of loading, 0..1."""
        if not self.started:
            return 0.0
        return min((self.now() - self._origin) / max(self.loading_seconds, 1e-6), 1.0)

    def prediction(self, index: int) -> Prediction:
        """The answer of window `index`, the same object each time."""
        if index not in self._cache:
            face = None
            if self.pictures is not None:
                face = face_at(self.pictures, index * HOP)
            self._cache[index] = make_prediction(index, **{"face": face, **self.changes})
        return self._cache[index]

    def preview(self, seconds: float) -> VideoPacket | None:
        """The frame at that time, the same object while it is the same frame."""
        if self.pictures is None:
            return None
        if self._packet is None or self._packet.sequence != int(seconds * FRAME_RATE):
            self._packet, self._face = self.pictures.packet(seconds), None
        return self._packet

    def health(self) -> Health:
        running = SourceState.RUNNING
        known: dict[str, Any] = {
            "camera": SourceHealth(name="Studio camera", state=running, rate=30.0),
            "microphone": SourceHealth(name="Desk microphone", state=running, rate=48000.0),
            "answer_rate": 10.0,
            "latency_p50": 0.043,
            "latency_p95": 0.081,
            "windows_skipped": 2,
            "frames_skipped": 7,
            "sound_offset": 0.012,
            "engine": "onnxruntime, CPU",
        }
        return Health(**(known | self.health_changes))

    def snapshot_at(self, seconds: float, state: SessionState) -> Snapshot:
        preview = self.preview(seconds)
        face = None
        if preview is not None and self.pictures is not None and "face" not in self.changes:
            self._face = face = self._face or face_at(self.pictures, preview.timestamp)
        index = int(seconds / HOP)
        loading = state is SessionState.LOADING
        return Snapshot(
            state=state,
            message=self.message or ("Loading the network" if loading else ""),
            progress=self.loaded if loading else None,
            preview=preview,
            face=face,
            prediction=None if loading or index < 1 else self.prediction(index),
            health=self.health(),
            notes=self.notes,
        )


@dataclass
class FakeLiveSession(_FakeSession):
    """A camera and microphone that never fail unless told to."""

    camera: str | None = "0"
    microphone: str | None = "default"
    keep_seconds: float = SessionConfig().history_seconds
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # changes of devices
    _frozen: float = 0.0

    def pause(self) -> None:
        self._frozen, self.paused = self.now() - self._origin, True

    def resume(self) -> None:
        self.paused = False

    def set_camera(self, selector: str | None) -> None:
        self.camera = selector
        self.asked.append(("camera", selector))

    def set_microphone(self, selector: str | None) -> None:
        self.microphone = selector
        self.asked.append(("microphone", selector))

    @property
    def _seconds(self) -> float:
        return self._frozen if self.paused else self.now() - self._origin

    def snapshot(self) -> Snapshot:
        state = SessionState.RUNNING if self.loaded >= 1.0 else SessionState.LOADING
        if self.paused:
            state = SessionState.PAUSED
        return self.snapshot_at(self._seconds, self.state or state)

    def history(self, after_index: int = -1) -> Sequence[Prediction]:
        last = int(self._seconds / HOP) if self.loaded >= 1.0 else 0
        first = max(after_index + 1, 1, last - round(self.keep_seconds / HOP))
        return [self.prediction(index) for index in range(first, last + 1)]


@dataclass
class FakeReplaySession(_FakeSession):
    """A recording that is analysed at eight times its speed."""

    path: Path = Path("interview.mp4")
    duration_seconds: float = 48.0
    speed: float = 1.0
    playing: bool = True
    muted: bool = False
    sound_problem: str = ""
    sound_waits: bool = False
    out: Path | None = None  # where its answers are written while it is analysed
    analysis_speed: float = 8.0
    _base: float = 0.0  # position when …
    _since: float = 0.0  # … the clock showed this

    def start(self) -> None:
        super().start()
        self._since = self.now()

    @property
    def position_seconds(self) -> float:
        moved = (self.now() - self._since) * self.speed if self.playing else 0.0
        return min(self._base + moved, self.duration_seconds)

    @property
    def analysed_seconds(self) -> float:
        done = (self.now() - self._origin - self.loading_seconds) * self.analysis_speed
        return min(max(done, 0.0), self.duration_seconds) if self.started else 0.0

    def health(self) -> Health:
        analysing = 0 < self.analysed_seconds < self.duration_seconds
        speed = self.analysis_speed if analysing else 0.0
        return replace(super().health(), analysis_speed=speed)

    def _rebase(self) -> None:
        self._base, self._since = self.position_seconds, self.now()

    def pause(self) -> None:
        self._rebase()
        self.playing = False

    def resume(self) -> None:
        self._rebase()
        if self._base >= self.duration_seconds <= self.analysed_seconds:
            self._base = 0.0
        self.playing = True

    def seek(self, seconds: float) -> None:
        self._base = min(max(seconds, 0.0), self.duration_seconds)
        self._since = self.now()

    def set_speed(self, speed: float) -> None:
        self._rebase()
        self.speed = speed

    def set_muted(self, muted: bool) -> None:
        self.muted = muted

    def export(self, path: Path) -> Written:
        if path.suffix not in (".csv", ".jsonl"):
            raise ValueError(f"{path.suffix or 'no ending'} is neither .csv nor .jsonl")
        written = self._written(path)
        path.write_text(json.dumps({"predictions": written.count}), encoding="utf-8")
        return written

    @property
    def written(self) -> Written | None:
        return None if self.out is None else self._written(self.out)

    def _written(self, path: Path) -> Written:
        return Written(
            path=path,
            count=len(self.history()),
            end=self.analysed_seconds,
            duration=self.duration_seconds,
            complete=self.analysed_seconds == self.duration_seconds,
        )

    def snapshot(self) -> Snapshot:
        state = SessionState.RUNNING if self.loaded >= 1.0 else SessionState.LOADING
        if self.analysed_seconds >= self.duration_seconds:
            state = SessionState.ENDED
        playback = Playback(
            position=self.position_seconds,
            duration=self.duration_seconds,
            analysed=self.analysed_seconds,
            speed=self.speed,
            playing=self.playing,
            sound_problem=self.sound_problem,
            sound_waits=self.sound_waits,
        )
        snapshot = self.snapshot_at(self.position_seconds, self.state or state)
        snapshot = replace(snapshot, playback=playback)
        if self.position_seconds > self.analysed_seconds:
            return replace(snapshot, prediction=None)
        return snapshot

    def history(self, after_index: int = -1) -> Sequence[Prediction]:
        last = int(self.analysed_seconds / HOP)
        return [self.prediction(index) for index in range(max(after_index + 1, 1), last + 1)]


@dataclass
class FakeFactory:
    """Makes fake sessions and remembers them."""

    now: Callable[[], float]
    made: list[FakeLiveSession | FakeReplaySession] = field(default_factory=list)
    log: AnswerLog = field(default_factory=AnswerLog)

    @cached_property
    def unreadable(self) -> set[Path]:
        """Recordings that cannot be opened."""
        return set()

    def live(self, camera: str | None, microphone: str | None) -> FakeLiveSession:
        session = FakeLiveSession(self.now, camera=camera, microphone=microphone)
        self.made.append(session)
        return session

    def check(self, path: Path) -> None:
        if path in self.unreadable:
            raise UnreadableFileError(f"{path.name} cannot be read as a recording")

    def replay(self, path: Path) -> FakeReplaySession:
        session = FakeReplaySession(self.now, path=path)
        self.made.append(session)
        return session


def fake_microphone(selector: str, name: str) -> MicrophoneInfo:
    """A microphone in a list."""
    return MicrophoneInfo(
        index=0,
        name=name,
        selector=selector,
        channels=1,
        sample_rate=48000,
        host_api="ALSA",
        is_default=False,
    )


def list_fake_devices() -> tuple[Listing[CameraInfo], Listing[MicrophoneInfo]]:
    """Two cameras and a microphone, which is in use."""
    cameras = Listing(
        [CameraInfo(index=0, name="Studio camera"), CameraInfo(index=1, name="Lid camera")]
    )
    microphones = Listing([fake_microphone("default", "default"), fake_microphone("Desk", "Desk")])
    microphones.problem = "new microphones are found only while no sound is recorded or played"
    return cameras, microphones

"""The core on quite another task: nothing in it knows of emotions, faces or voices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from realtime.config import SessionConfig
from realtime.export import record_of
from realtime.live import LiveSession
from realtime.messages import (
    Attention,
    FloatArray,
    Prediction,
    Reason,
    SessionState,
    Sighting,
    Status,
)
from realtime.replay import ReplaySession, analyse
from realtime.rings import SampleRing
from realtime.sources.file import Recording
from realtime.sources.synthetic import SyntheticCamera, SyntheticMicrophone
from realtime.task import Contribution, Excerpt, Fusion, Modality, Track
from tests.recordings import movie
from tests.test_live_session import wait_for
from tests.test_worker import BrightFaces


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Level(Excerpt):
    """How bright or loud it was."""

    value: float


class Light(Modality[Level, Fusion]):
    """The brightness of whole pictures; nobody has to be in them."""

    name = "light"
    track = Track.PICTURES

    def __init__(self) -> None:
        self.newest = 0.0

    def see(self, sighting: Sighting) -> None:
        self.newest = sighting.brightness

    def excerpt(self, index: int, flow: Status) -> Level:
        return Level(status=flow, value=self.newest)

    def encode(self, excerpt: Level) -> FloatArray | None:
        if excerpt.status is not Status.PRESENT:
            return None
        return np.array([excerpt.value], np.float32)

    def inputs(self, features: FloatArray) -> Mapping[str, FloatArray]:
        return {self.name: features}

    def explain(
        self, prediction: Prediction, excerpt: Level, fusion: Fusion | None, shown: int | None
    ) -> Prediction:
        return prediction


class Noise(Light):
    """The loudness of the newest sound."""

    name = "noise"
    track = Track.SOUND

    def hear(self, start: float, samples: FloatArray) -> None:
        self.newest = float(np.abs(samples).mean())

    def explain(
        self, prediction: Prediction, excerpt: Level, fusion: Fusion | None, shown: int | None
    ) -> Prediction:
        return replace(prediction, sound_level=excerpt.value)


class DayOrNight:
    """Three classes from light and noise, by arithmetic."""

    engine_name = "a lookup table"
    labels = ("day", "night", "party")
    window_seconds, hop_seconds, sample_rate = 3.0, 0.1, 16000

    def modalities(self, config: SessionConfig, samples: SampleRing) -> tuple[Light, Noise]:
        return Light(), Noise()

    def fuse(self, inputs: Mapping[str, FloatArray]) -> Fusion:
        if not inputs:
            raise ValueError("nothing to fuse")
        light, noise = (float(inputs.get(name, [0.0])[0]) for name in ("light", "noise"))
        logits = np.array([20 * light, 5 * (1 - light), 20 * noise], np.float32)
        return Fusion(
            logits=logits,
            contributions={
                name: Contribution(
                    logits=logits, share=1 / len(inputs), chance_share=1 / len(inputs)
                )
                for name in inputs
            },
            attention=(
                Attention(
                    name="levels",
                    weights=np.ones((2, 1), np.float32),
                    modalities=("light", "noise"),
                ),
            ),
        )


def test_a_recording_is_answered_by_another_task(demo: Path) -> None:
    with Recording(demo) as recording:
        answers = list(analyse(recording, DayOrNight()))
    assert len(answers) > 50
    assert {each.label for each in answers} <= {"day", "night", "party", None}
    newest = answers[-1]
    assert [report.name for report in newest.modalities] == ["light", "noise"]
    assert newest.label == newest.modality("light").label
    assert (newest.face, newest.spectrogram) == (None, None)
    assert newest.sound_level is not None
    assert record_of(newest)["probabilities"].keys() == {"day", "night", "party"}


def test_sessions_run_another_task(demo: Path) -> None:
    def load(_progress: Any) -> DayOrNight:
        return DayOrNight()

    live = LiveSession(
        load,
        detector_factory=BrightFaces,
        camera_factory=lambda _selector, clock: SyntheticCamera(clock, size=(160, 120)),
        microphone_factory=lambda _selector, clock: SyntheticMicrophone(clock),
    )
    for session in (live, ReplaySession(demo, load, play=False)):
        session.start()
        try:
            wait_for(lambda: len(session.history()) > 5, "answers")  # noqa: B023
            snapshot = session.snapshot()
            assert snapshot.state is not SessionState.FAILED
            assert snapshot.health.engine == "a lookup table"
            assert session.history()[-1].labels == DayOrNight.labels
        finally:
            session.stop()


def test_a_track_that_is_not_there_does_not_count(tmp_path: Path) -> None:
    with Recording(movie(tmp_path / "silent.mp4", seconds=2.0, sound=None)) as recording:
        newest = list(analyse(recording, DayOrNight()))[-1]
    assert newest.modality("noise").status is Status.NO_SOURCE
    assert newest.modality("noise").share is None
    assert newest.reason in (None, Reason.LOW_CONFIDENCE)

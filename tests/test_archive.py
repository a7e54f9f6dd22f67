"""What is kept of a recording: all that is shown again, in little space."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from models.arrays import FloatArray
from models.mel import log_mel
from realtime.analysis import analyse
from realtime.archive import Archive
from realtime.config import WindowConfig
from realtime.emotion.faces import watch_face
from realtime.messages import FaceObservation, Prediction, Sighting
from realtime.recording.recording import Recording
from tests.fakes.engine import arithmetic_network


@dataclass
class Analysis:
    """All that the analysis of the demo hands over."""

    sightings: list[Sighting] = field(default_factory=list)
    sounds: list[tuple[float, FloatArray]] = field(default_factory=list)
    answers: list[Prediction] = field(default_factory=list)

    def archive(self) -> Archive:
        archive = Archive(WindowConfig().sample_rate)
        for sighting in self.sightings:
            archive.see(sighting)
        for start, samples in self.sounds:
            archive.hear(start, samples)
        for answer in self.answers:
            archive.add(answer)
        return archive


@pytest.fixture(scope="module")
def analysis(demo: Path) -> Analysis:
    result = Analysis()
    with Recording(demo) as recording:
        result.answers.extend(
            analyse(
                recording,
                arithmetic_network(),
                watch_face,
                on_sighting=result.sightings.append,
                on_sound=lambda *sound: result.sounds.append(sound),
            )
        )
    return result


def assert_same_face(face: FaceObservation | None, expected: FaceObservation | None) -> None:
    assert (face is None) == (expected is None)
    if face is None or expected is None:
        return
    assert face.crop is None
    for name in ("timestamp", "sequence", "identity", "box"):
        assert getattr(face, name) == getattr(expected, name)
    for name in ("score", "brightness"):
        assert getattr(face, name) == pytest.approx(getattr(expected, name))
    assert np.array_equal(face.keypoints, expected.keypoints)
    assert np.array_equal(face.crop_from_image, expected.crop_from_image)


def test_every_picture_has_its_face(analysis: Analysis) -> None:
    archive = analysis.archive()
    for sighting in analysis.sightings:
        face = archive.face(sighting.timestamp)
        assert_same_face(face, sighting.face)
        assert archive.face(sighting.timestamp + 0.01) is face
    assert archive.face(-1.0) is None
    assert archive.last_picture_seconds == analysis.sightings[-1].timestamp
    assert {each.face is None for each in analysis.sightings} == {True, False}


def test_what_is_shown_of_an_answer_comes_back(analysis: Analysis) -> None:
    archive = analysis.archive()
    assert len(archive.answers) == len(analysis.answers)
    for number, expected in enumerate(analysis.answers, start=1):
        shown = archive.answer(number)
        assert archive.answer(number) is shown
        assert_same_face(shown.face, expected.face)
        assert [each.name for each in shown.attention] == [each.name for each in expected.attention]
        for attention, other in zip(shown.attention, expected.attention, strict=True):
            assert attention.modalities == other.modalities
            assert attention.weights == pytest.approx(other.weights, rel=1e-3, abs=1e-7)
        for name in ("face_activation", "voice_moments"):
            array, original = getattr(shown, name), getattr(expected, name)
            assert (array is None) == (original is None)
            if array is not None:
                assert array.dtype == np.float32
                assert array == pytest.approx(original, rel=1e-3, abs=1e-6)
        assert shown.spectrogram is None
        assert (shown.spectrogram_end is None) == (expected.spectrogram is None)
        if shown.spectrogram_end is not None and expected.spectrogram is not None:
            start = shown.window_end - WindowConfig().window_seconds
            sound = archive.sound(start, shown.spectrogram_end)
            apart = np.abs(log_mel(sound) - expected.spectrogram)
            assert apart.mean() < 0.005
            assert np.mean(apart > 0.1) < 0.001  # in near silence the last of 16 bits shows
        for name in ("label", "reason", "confidence", "smoothed", "modalities", "sound_level"):
            assert getattr(shown, name) is getattr(expected, name)
    assert any(each.voice_moments is not None for each in analysis.answers)
    assert any(each.face_activation is not None for each in analysis.answers)


def test_two_hours_of_recording_fit_into_half_a_gigabyte(analysis: Analysis) -> None:
    tracemalloc.start()
    try:
        archive = analysis.archive()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size / archive.answers[-1].window_end < 70e3  # bytes a second

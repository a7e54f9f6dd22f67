"""The analysis of a recording: every window, and the same answers whatever its threads do."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing
from itertools import groupby
from pathlib import Path

import numpy as np
import psutil
import pytest

from models.checkpoint import default_weights
from realtime.analysis import ahead, analyse
from realtime.emotion.faces import FaceTracker, MediapipeDetector, watch_face
from realtime.emotion.network import EmotionNetwork, load_emotion_network
from realtime.emotion.reasons import NO_FACE
from realtime.export import record_of
from realtime.messages import LOW_CONFIDENCE, NO_INPUT, Prediction
from realtime.recording.recording import Recording
from realtime.sources.base import UnreadableFileError
from tests.fakes.driver import SteppedDriver, bits
from tests.fakes.engine import answers, arithmetic_network
from tests.fakes.waiting import wait_for
from tests.recordings import movie


@pytest.fixture(scope="module")
def demo_answers(demo: Path) -> list[Prediction]:
    return answers(demo)


def test_every_window_of_the_recording_is_answered(demo_answers: list[Prediction]) -> None:
    assert [each.window_index for each in demo_answers] == list(range(1, len(demo_answers) + 1))
    assert len(demo_answers) >= 79
    fused = [each for each in demo_answers if all(report.present for report in each.modalities)]
    assert len(fused) > len(demo_answers) / 3


@pytest.fixture(scope="module")
def shipped() -> EmotionNetwork:
    """The network that ships."""
    return load_emotion_network(default_weights(), device="cpu")


@pytest.mark.parametrize(
    ("name", "labels"),
    [  # as models/weights/MODEL_CARD.md has them
        ("01-01-01-01-01-01-01.mp4", ["neutral"]),
        ("01-01-04-01-02-01-01.mp4", ["neutral"]),  # wrongly: he is sad
        ("01-01-08-02-02-02-01.mp4", ["neutral", "surprised"]),
    ],
)
def test_the_clips_of_a_person_never_heard(
    clips: Path, shipped: EmotionNetwork, name: str, labels: list[str]
) -> None:
    with Recording(clips / name) as recording:
        shown = list(analyse(recording, shipped, watch_face))
        duration = recording.duration_seconds
    assert duration is not None
    assert [each.window_index for each in shown] == list(range(1, len(shown) + 1))
    assert shown[-1].window_end == pytest.approx(duration, abs=0.15)
    assert [label for label, _ in groupby(each.label for each in shown if each.label)] == labels
    assert all(report.present for report in shown[len(shown) // 2].modalities)
    for each in shown:
        if each.probabilities is not None:
            assert np.isfinite(each.probabilities).all()
            assert each.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_a_face_that_comes_late_and_sound_that_ends_early(
    clips: Path, shipped: EmotionNetwork
) -> None:
    with Recording(clips / "noface_face.mov") as recording:
        shown = list(analyse(recording, shipped, watch_face))
    assert [each.window_index for each in shown] == list(range(1, len(shown) + 1))
    seen = [each.modality("face").present for each in shown]
    first = seen.index(True)
    assert first > 5
    assert all(seen[first : first + 5])
    assert not shown[-1].modality("voice").present


def test_the_demo_shows_what_the_program_can_say(demo: Path, shipped: EmotionNetwork) -> None:
    """The shipped network's own answers follow the face through all that the demo shows."""
    with Recording(demo) as recording:
        shown = list(analyse(recording, shipped, watch_face))
    labels = [each.label for each in shown if each.label is not None]
    runs = [(label, len(list(run))) for label, run in groupby(labels)]
    assert [label for label, _ in runs] == [
        *("neutral", "sad", "angry"),
        "happy",  # wrongly, of a voice alone that says nothing much, and not surely
        *("surprised", "happy"),
    ]
    assert all(hops >= 10 for _, hops in runs)  # a second each
    assert LOW_CONFIDENCE in {each.reason for each in shown}
    present = {tuple(report.present for report in each.modalities) for each in shown}
    assert {(True, True), (True, False), (False, True)} <= present


def test_where_no_picture_is_nothing_arrives(tmp_path: Path) -> None:
    times = [*np.arange(0.0, 1.0, 0.04), *np.arange(9.0, 10.0, 0.04)]
    shown = answers(movie(tmp_path / "hole.mp4", times=times, sound=None))
    by_time = {round(each.window_end, 1): each.reason for each in shown}
    assert {by_time[end] for end in (4.5, 6.0, 8.0)} == {NO_INPUT}
    assert by_time[10.0] is NO_FACE


def test_two_replays_are_identical(demo: Path, demo_answers: list[Prediction]) -> None:
    first, second = (
        [json.dumps(record_of(p)) for p in run] for run in (demo_answers, answers(demo))
    )
    assert first == second
    assert all(each.latency_seconds is None for each in demo_answers)


def test_its_threads_change_nothing(opening: Path) -> None:
    threaded, plain = answers(opening), []
    with MediapipeDetector() as detector, Recording(opening) as recording:
        driver = SteppedDriver(arithmetic_network(), FaceTracker(detector))
        for packet in recording:
            driver.push(packet)
            plain += driver.answers()
    assert len(plain) >= len(threaded) - 2  # those of the very end are due to its being known
    for ours, theirs in zip(plain, threaded, strict=False):
        assert bits(ours) == bits(theirs)


def test_an_abandoned_analysis_leaves_no_thread(opening: Path) -> None:
    with Recording(opening) as recording:
        predictions = analyse(recording, arithmetic_network(), watch_face)
        next(predictions)
        predictions.close()


def test_analyses_leave_nothing_running(opening: Path) -> None:
    process = psutil.Process()
    answers(opening)  # what is started once and for all
    before = process.num_threads()
    answers(opening)
    wait_for(lambda: process.num_threads() <= before, "the end of all threads, mediapipe's too")


def test_reading_ahead_keeps_order_and_hands_failures_on() -> None:
    assert list(ahead((number for number in range(100)), 3, "numbers")) == list(range(100))

    def breaks() -> Generator[int, None, None]:
        yield 1
        raise UnreadableFileError("torn")

    items = ahead(breaks(), 3, "numbers")
    assert next(items) == 1
    with pytest.raises(UnreadableFileError, match="torn"):
        next(items)


def test_what_is_read_ahead_is_closed_with_it() -> None:
    closed: list[bool] = []

    def endless() -> Generator[int, None, None]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    with closing(ahead(endless(), 3, "numbers")) as items:
        next(items)
        assert not closed
    assert closed

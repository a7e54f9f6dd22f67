"""The live session: real threads over generated devices, an arithmetic engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest

from models.checkpoint import CheckpointError
from realtime.clock import Clock, MonotonicClock
from realtime.config import SessionConfig, WindowConfig
from realtime.engine import Progress
from realtime.faces import FaceDetector
from realtime.live import LiveSession
from realtime.messages import Reason, SessionState, SourceState, VideoPacket
from realtime.session import Deadline
from realtime.sources.base import NoDeviceError, SourceError
from realtime.sources.file import FramePlayer
from realtime.sources.synthetic import SyntheticCamera, SyntheticMicrophone
from tests.fakes.engine import ArithmeticEngine
from tests.fakes.sources import FailingSource

PATIENCE_SECONDS = 20.0


class ShiftedClock(MonotonicClock):
    """Live time, which the test may move on."""

    def __init__(self) -> None:
        super().__init__()
        self.shift_seconds = 0.0

    def now(self) -> float:
        return super().now() + self.shift_seconds


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def arithmetic(progress: Progress) -> ArithmeticEngine:
    progress(0.5, "Counting")
    return ArithmeticEngine()


def endless(progress: Progress) -> ArithmeticEngine:
    """Loads until it is broken off."""
    while True:
        progress(0.5, "Counting")
        time.sleep(0.001)


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
def session(demo: Path, clock: ShiftedClock) -> Iterator[LiveSession]:
    with FramePlayer(demo) as player:
        picture = player.frame_at(0.5).image
    session = LiveSession(
        arithmetic,
        clock=clock,
        camera_factory=lambda _selector, clock: SyntheticCamera(
            clock, size=(640, 480), image=picture
        ),
        microphone_factory=lambda _selector, clock: SyntheticMicrophone(clock),
    )
    yield session
    session.stop()


def newest_is_fused(session: LiveSession) -> bool:
    newest = session.predictions.latest()
    return newest is not None and all(report.present for report in newest.modalities)


def test_answers_come_with_both_modalities(session: LiveSession) -> None:
    session.start()
    wait_for(lambda: newest_is_fused(session), "a fused answer")
    snapshot = session.snapshot()
    assert snapshot.state is SessionState.RUNNING
    assert snapshot.preview is not None
    assert snapshot.face is not None
    assert snapshot.prediction is not None
    assert snapshot.prediction.latency_seconds is not None
    assert snapshot.prediction.spectrogram is not None
    health = snapshot.health
    assert health.camera.state is SourceState.RUNNING
    assert health.microphone.state is SourceState.RUNNING
    assert health.engine == "arithmetic"
    assert health.latency_p50 is not None
    assert health.sound_offset is not None
    history = session.history()
    assert all(b.window_index > a.window_index for a, b in pairwise(history))
    assert all(each.spectrogram is None for each in history)
    last = history[-1].window_index
    assert all(each.window_index > last for each in session.history(last))


def test_pause_freezes_and_resume_starts_over(session: LiveSession, clock: ShiftedClock) -> None:
    session.start()
    wait_for(lambda: newest_is_fused(session), "a fused answer")
    session.pause()
    frozen = session.snapshot()
    assert frozen.state is SessionState.PAUSED
    time.sleep(0.1)  # time for pictures that must not be shown
    again = session.snapshot()
    assert frozen.preview is not None
    assert again.preview is not None
    assert again.preview.sequence == frozen.preview.sequence
    skipped = session.health().windows_skipped
    clock.shift_seconds = 60.0
    session.resume()
    before = session.predictions.poll()[1]
    wait_for(lambda: session.predictions.poll()[1] > before + 5, "answers after the pause")
    assert session.health().windows_skipped < skipped + 300  # a slow machine may skip some


def test_a_lost_camera_shows_neither_its_last_picture_nor_a_face(
    clock: ShiftedClock, demo: Path
) -> None:
    unplugged, stalled = threading.Event(), threading.Event()
    with FramePlayer(demo) as player:
        picture = player.frame_at(0.5).image

    class Unplugged(SyntheticCamera):
        def read(self, timeout_seconds: float) -> VideoPacket | None:
            if unplugged.is_set():
                raise SourceError("unplugged")
            if stalled.is_set():
                unplugged.wait(timeout_seconds)
                return None
            return super().read(timeout_seconds)

    session = LiveSession(
        arithmetic,
        clock=clock,
        camera_factory=lambda _selector, clock: Unplugged(clock, size=(640, 480), image=picture),
        microphone_factory=lambda _selector, clock: SyntheticMicrophone(clock),
    )
    session.start()
    try:
        wait_for(lambda: newest_is_fused(session), "a fused answer")
        wait_for(lambda: session.snapshot().face is not None, "the face")
        stalled.set()
        clock.shift_seconds += 2.0
        wait_for(lambda: session.health().camera.state is SourceState.STALLED, "the stall")
        assert session.snapshot().preview is not None
        assert session.snapshot().face is None
        stalled.clear()
        wait_for(lambda: session.snapshot().face is not None, "the face after the stall")
        session.pause()
        clock.shift_seconds += 2.0
        wait_for(lambda: session.snapshot().face is not None, "the face of the paused picture")
        session.resume()
        unplugged.set()
        wait_for(lambda: session.health().camera.state is SourceState.RETRYING, "the loss")
        assert session.snapshot().preview is None
        unplugged.clear()
        wait_for(lambda: session.snapshot().face is not None, "the face again")
        assert session.snapshot().preview is not None
    finally:
        session.stop()


def test_figures_go_with_what_they_measure(session: LiveSession, clock: ShiftedClock) -> None:
    session.start()
    wait_for(lambda: newest_is_fused(session), "a fused answer")
    assert session.health().sound_offset is not None
    session.set_microphone(None)
    wait_for(lambda: session.health().microphone.state is SourceState.OFF, "the microphone to go")
    wait_for(lambda: session.health().sound_offset is None, "its delay to go")
    session.set_camera(None)

    def rests_on_nothing() -> bool:
        newest = session.predictions.latest()
        return newest is not None and newest.reason is Reason.NO_INPUT

    wait_for(rests_on_nothing, "an answer without input")
    clock.shift_seconds = 60.0
    wait_for(lambda: session.health().latency_p50 is None, "the delay of answers to go")
    assert session.health().latency_p95 is None


def test_devices_are_changed_while_running(session: LiveSession) -> None:
    session.start()
    wait_for(lambda: newest_is_fused(session), "a fused answer")
    session.set_microphone(None)
    wait_for(lambda: session.health().microphone.state is SourceState.OFF, "the microphone to go")

    def face_alone() -> bool:
        newest = session.predictions.latest()
        return newest is not None and [each.present for each in newest.modalities] == [True, False]

    wait_for(face_alone, "an answer of the face alone")
    session.set_camera(None)
    session.set_microphone("default")
    assert session.camera is None
    assert session.microphone == "default"

    def voice_alone() -> bool:
        newest = session.predictions.latest()
        return newest is not None and [each.present for each in newest.modalities] == [False, True]

    wait_for(voice_alone, "an answer of the voice alone")


def test_a_stopped_session_starts_again(session: LiveSession) -> None:
    session.start()
    wait_for(lambda: newest_is_fused(session), "a fused answer")
    session.stop()
    session.stop()
    count = session.predictions.poll()[1]
    session.start()
    wait_for(lambda: session.predictions.poll()[1] > count, "an answer after the restart")


@pytest.mark.logs_warnings
def test_a_camera_that_is_not_there_is_said_and_sound_goes_on() -> None:
    broken: FailingSource = FailingSource(  # type: ignore[type-arg]
        [], at=None, times=1000, error=NoDeviceError("there is no camera 7")
    )
    session = LiveSession(
        arithmetic,
        camera="7",
        camera_factory=lambda _selector, _clock: broken,
        microphone_factory=lambda _selector, clock: SyntheticMicrophone(clock),
    )
    session.start()
    try:
        wait_for(lambda: session.predictions.latest() is not None, "an answer")
        wait_for(lambda: "no camera 7" in session.health().camera.message, "the sentence")
    finally:
        session.stop()


def test_damaged_weights_fail_the_session_in_one_sentence() -> None:
    def damaged(_progress: Progress) -> ArithmeticEngine:
        raise CheckpointError("live.safetensors is damaged")

    session = LiveSession(damaged, camera=None, microphone=None)
    session.start()
    try:
        wait_for(lambda: session.snapshot().state is SessionState.FAILED, "the failure")
        assert session.snapshot().message == "live.safetensors is damaged"
        assert isinstance(session.failure, CheckpointError)
    finally:
        session.stop()


def test_windows_that_do_not_fit_the_network_fail_the_session_in_one_sentence() -> None:
    config = SessionConfig(windows=WindowConfig(window_seconds=2.0))
    session = LiveSession(arithmetic, camera=None, microphone=None, config=config)
    session.start()
    try:
        wait_for(lambda: session.snapshot().state is SessionState.FAILED, "the failure")
        assert session.snapshot().message.startswith("window_seconds must be 3")
    finally:
        session.stop()


@pytest.mark.logs_warnings
def test_an_unforeseen_failure_is_shown_and_the_session_can_be_started_again(demo: Path) -> None:
    class Tripping(ArithmeticEngine):
        def voice_frames(self, mel: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            raise RuntimeError("the cat walked over the keyboard")

    engines = iter([Tripping(), ArithmeticEngine()])
    session = LiveSession(
        lambda _progress: next(engines),
        camera=None,
        microphone_factory=lambda _selector, clock: SyntheticMicrophone(clock),
    )
    session.start()
    try:
        wait_for(lambda: session.snapshot().state is SessionState.FAILED, "the failure")
        assert "the cat" in session.snapshot().message
        session.stop()
        session.start()

        def speaks() -> bool:
            newest = session.predictions.latest()
            return newest is not None and newest.modality("voice").present

        wait_for(speaks, "answers after the retry")
        assert session.failure is None
    finally:
        session.stop()


def test_a_stopped_session_leaves_nothing_running(session: LiveSession) -> None:
    process = psutil.Process()

    def run_once() -> int:
        session.start()
        wait_for(lambda: session.snapshot().face is not None, "a face")
        session.stop()
        return process.num_threads()

    before = run_once()  # with what is started once and for all
    run_once()
    wait_for(lambda: process.num_threads() <= before, "the end of all threads, mediapipe's too")


def test_stopping_breaks_the_loading_off() -> None:
    session = LiveSession(endless, camera=None, microphone=None)
    session.start()
    wait_for(lambda: session.snapshot().progress == 0.5, "loading")
    session.stop()
    assert session.failure is None
    assert session.snapshot().state is SessionState.LOADING


@pytest.mark.logs_warnings
def test_a_failure_stays_to_be_seen_when_the_network_is_loaded_after_it() -> None:
    failed = threading.Event()

    def broken() -> FaceDetector:
        raise RuntimeError("no detector")

    def slow(_progress: Progress) -> ArithmeticEngine:
        assert failed.wait(PATIENCE_SECONDS)
        return ArithmeticEngine()

    session = LiveSession(slow, camera=None, microphone=None, detector_factory=broken)
    session.start()
    try:
        wait_for(lambda: session.snapshot().state is SessionState.FAILED, "the failure")
        failed.set()
        wait_for(lambda: session.health().engine == "arithmetic", "the network")
        assert session.snapshot().state is SessionState.FAILED
        assert "no detector" in session.snapshot().message
    finally:
        failed.set()
        session.stop()


@pytest.mark.logs_warnings
def test_a_device_that_cannot_even_be_made_fails_the_session() -> None:
    def broken(_selector: str, _clock: Clock) -> SyntheticCamera:
        raise RuntimeError("no driver at all")

    session = LiveSession(arithmetic, microphone=None, camera_factory=broken)
    session.start()
    try:
        wait_for(lambda: session.snapshot().state is SessionState.FAILED, "the failure")
        assert "no driver at all" in session.snapshot().message
    finally:
        session.stop()


def test_what_does_not_end_is_left_and_told_of(caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()
    stuck = threading.Thread(target=release.wait, args=(PATIENCE_SECONDS,), name="stuck")
    stuck.start()
    try:
        Deadline(0.0).join([stuck])
        assert "the stuck thread did not end in time" in caplog.text
    finally:
        release.set()
        stuck.join()

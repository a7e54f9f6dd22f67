"""The live session: real threads over generated devices, an arithmetic engine."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from models.arrays import FloatArray
from models.checkpoint import CheckpointError
from realtime import live
from realtime.clock import Clock, MonotonicClock
from realtime.config import SessionConfig, WindowConfig
from realtime.emotion.faces import FaceTracker
from realtime.emotion.network import EmotionNetwork
from realtime.export import AnswerLog, Written
from realtime.live import LiveSession
from realtime.live_worker import LiveWorker
from realtime.messages import (
    NO_INPUT,
    STARTING,
    AudioPacket,
    FaceObservation,
    Input,
    Prediction,
    SessionState,
    Sighting,
    Sound,
    SourceChange,
    SourceState,
    Track,
    VideoPacket,
)
from realtime.recording.players import FramePlayer
from realtime.session import Deadline, told
from realtime.sources.base import NoDeviceError, Packet, Source, SourceError
from realtime.sources.synthetic import SyntheticCamera, SyntheticMicrophone
from realtime.task import Progress
from realtime.windowing import WindowGrid
from tests.fakes.driver import (
    AnyPacket,
    NotingWorker,
    SteppedDriver,
    bits,
    given_again,
    in_time_order,
)
from tests.fakes.engine import (
    ArithmeticEngine,
    GatedEngine,
    arithmetic_network,
    endless,
    task,
)
from tests.fakes.faces import (
    TWO_PEOPLE,
    BrightFaces,
    pictures_of_two_people,
    watch_brightness,
)
from tests.fakes.sources import BlockedSource, FailingSource, ListSource, jittered_speech
from tests.fakes.waiting import PATIENCE_SECONDS, wait_for


class ShiftedClock(MonotonicClock):
    """Live time, which the test may move on."""

    def __init__(self) -> None:
        super().__init__()
        self.shift_seconds = 0.0

    def now(self) -> float:
        return super().now() + self.shift_seconds


def listening(**more: Any) -> LiveSession:
    """A session on a microphone alone."""
    return LiveSession(
        task(arithmetic),
        camera=None,
        microphone_factory=lambda _selector, clock: SyntheticMicrophone(clock),
        **more,
    )


def has_ended(session: LiveSession) -> bool:
    """Whether none of the threads that answer is left."""
    return not any(thread.is_alive() for thread in session._threads)


def arithmetic(progress: Progress) -> EmotionNetwork:
    progress(0.5, "Counting")
    return arithmetic_network()


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
def session(demo: Path, clock: ShiftedClock) -> Iterator[LiveSession]:
    with FramePlayer(demo) as player:
        picture = player.frame_at(0.5).image
    session = LiveSession(
        task(arithmetic),
        clock=clock,
        camera_factory=lambda _selector, clock: SyntheticCamera(
            clock, size=(640, 480), image=picture
        ),
        microphone_factory=lambda _selector, clock: SyntheticMicrophone(clock),
    )
    yield session
    session.stop()


def newest_is_fused(session: LiveSession) -> bool:
    newest = session.snapshot().prediction
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


class PacketClock:
    """The time of the newest packet that any source gave."""

    epoch = 1.8e9

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        return self._now

    def give(self, time: float) -> None:
        self._now = max(self._now, time)


class GatedSource(ListSource[Packet]):
    """Gives a packet as soon as `may` lets it."""

    name = "gated"

    def __init__(
        self, packets: list[Packet], clock: PacketClock, may: Callable[[Packet], bool]
    ) -> None:
        super().__init__(packets)
        self._clock, self._may = clock, may

    def read(self, timeout_seconds: float) -> Packet | None:
        if self._next < len(self.packets):
            packet = self.packets[self._next]
            if not self._may(packet):
                time.sleep(0.001)
                return None
            self._clock.give(packet.timestamp)
        return super().read(timeout_seconds)


class Keeping(LiveSession):
    """Keeps every answer as a whole."""

    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self.answers: list[Prediction] = []
        self.heard = False  # any sound yet

    def _push_sound(self, packet: AudioPacket) -> None:
        super()._push_sound(packet)
        self.heard = True

    def _publish(self, prediction: Prediction, worker: LiveWorker) -> None:
        self.answers.append(prediction)
        super()._publish(prediction, worker)


def test_threads_find_what_one_thread_finds() -> None:
    """Within a hop the threads run as they like; beyond, windows would be skipped."""
    pictures, sound = pictures_of_two_people(7.0), jittered_speech(7.0)
    clock = PacketClock()
    driver = SteppedDriver(
        arithmetic_network(settings=TWO_PEOPLE, residual=0.5), watch_brightness(), clock=clock
    )
    expected = []
    for packet in in_time_order(pictures, sound):
        clock.give(packet.timestamp)
        driver.push(packet)
        expected += driver.answers()
    assert driver.windows_skipped == 0
    assert len(expected) >= 68

    session: Keeping
    ready, grid = threading.Event(), WindowGrid(WindowConfig())

    def may(packet: AnyPacket) -> bool:
        if not ready.is_set() or packet.sequence == 0:
            return ready.is_set()
        if session._search.newest is None or not session.heard:
            return False  # both begin together: a source that has not begun is not waited for
        reaches = packet.end if isinstance(packet, AudioPacket) else packet.timestamp + 0.04
        return reaches < grid.end(len(session.answers) + 2) - 0.02

    clock = PacketClock()
    camera = GatedSource(pictures, clock, may)
    microphone = GatedSource(sound, clock, may)
    session = Keeping(
        task(
            lambda _progress: arithmetic_network(settings=TWO_PEOPLE, residual=0.5),
            watch=watch_brightness,
        ),
        clock=clock,
        camera_factory=lambda *_: camera,
        microphone_factory=lambda *_: microphone,
    )
    session.start()
    try:
        wait_for(lambda: camera.is_open and microphone.is_open, "the sources")
        # What came before the search began would not be looked at.
        wait_for(lambda: session._search._seen is not None, "the faces thread")
        wait_for(lambda: session.snapshot().state is SessionState.RUNNING, "the network")
        ready.set()
        wait_for(lambda: len(session.answers) >= len(expected), "all answers")
        health = session.health()
    finally:
        session.stop()
    assert (health.windows_skipped, health.frames_skipped) == (0, 0)
    assert bits(session.answers) == bits(expected)


def test_what_its_threads_gave_the_worker_gives_the_same_answers_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the machine's load made of it."""
    workers: list[NotingWorker] = []

    class Noting(NotingWorker):
        def __init__(self, **parts: Any) -> None:
            super().__init__(**parts)
            workers.append(self)

    monkeypatch.setattr(live, "InferenceWorker", Noting)
    session = Keeping(
        task(lambda _progress: arithmetic_network(residual=0.5), watch=watch_brightness),
        camera_factory=lambda _selector, clock: SyntheticCamera(clock, size=(160, 90)),
        microphone_factory=lambda _selector, clock: SyntheticMicrophone(clock),
    )

    def fused() -> bool:
        return bool(session.answers) and all(
            each.present for each in session.answers[-1].modalities
        )

    session.start()
    try:
        wait_for(fused, "a fused answer")
        session.set_microphone("another")
        session.set_camera(None)
        wait_for(lambda: not fused(), "the camera to be off")
        session.set_camera("0")
        wait_for(fused, "fused answers of the new devices")
        session.pause()
        time.sleep(0.1)  # in which sound comes that counts for nothing
        session.resume()
        count = len(session.answers)
        wait_for(lambda: len(session.answers) > count + 5, "answers after the pause")
    finally:
        session.stop()
    (worker,) = workers
    again = given_again(worker.given, arithmetic_network(residual=0.5))
    assert bits(again) == bits([replace(each, time_of_day=None) for each in session.answers])


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
    before = session.history()[-1].window_index
    wait_for(lambda: len(session.history(before)) > 5, "answers after the pause")
    assert session.health().windows_skipped < skipped + 300  # a slow machine may skip some


def test_an_answer_that_was_under_way_at_a_pause_is_not_shown(demo: Path) -> None:
    engine = GatedEngine()
    with FramePlayer(demo) as player:
        picture = player.frame_at(0.5).image
    session = LiveSession(
        task(lambda _progress: arithmetic_network(engine)),
        microphone=None,
        camera_factory=lambda _selector, clock: SyntheticCamera(
            clock, size=(640, 480), image=picture
        ),
    )
    session.start()
    try:
        assert engine.waiting.wait(PATIENCE_SECONDS)
        session.pause()
        before, fusions = session.history()[-1], engine.fusions
        engine.gate.set()
        wait_for(lambda: engine.fusions > fusions, "the answer")
        time.sleep(0.1)  # in which it would be published
        assert session.history()[-1] is before
        session.resume()
        wait_for(lambda: session.history()[-1] is not before, "answers after the pause")
    finally:
        engine.gate.set()
        session.stop()


def test_a_disk_that_is_slower_than_the_history_is_long_loses_no_answer(tmp_path: Path) -> None:
    path, going_on = tmp_path / "session.jsonl", threading.Event()

    class SlowLog(AnswerLog):
        def write(self, prediction: Prediction) -> None:
            assert going_on.wait(PATIENCE_SECONDS)
            super().write(prediction)

    with SlowLog() as log:
        log.open(path)
        session = listening(config=SessionConfig(history_seconds=1.0), log=log)
        session.start()
        try:
            wait_for(lambda: len(session.history()) > 0, "an answer")
            first = session.history()[0].window_index
            wait_for(lambda: session.history()[0].window_index > first + 3, "a history gone by")
        finally:
            going_on.set()
            session.stop()
    ends = [json.loads(line)["window_end"] for line in path.read_text().splitlines()]
    assert ends[0] == pytest.approx(0.1 * first)
    assert ends[-1] == session.history()[-1].window_end


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
        task(arithmetic),
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


def test_how_long_a_silent_camera_is_waited_for_is_a_setting(clock: ShiftedClock) -> None:
    silent = threading.Event()

    class Silent(SyntheticCamera):
        def read(self, timeout_seconds: float) -> VideoPacket | None:
            if silent.is_set():
                time.sleep(0.01)
                return None
            return super().read(timeout_seconds)

    session = LiveSession(
        task(arithmetic, watch=watch_brightness),
        clock=clock,
        config=SessionConfig(windows=WindowConfig(stall_seconds=50.0)),
        microphone=None,
        camera_factory=lambda _selector, clock: Silent(clock),
    )
    session.start()
    try:
        wait_for(lambda: session.health().camera.state is SourceState.RUNNING, "the camera")
        silent.set()
        clock.shift_seconds = 10.0
        assert session.health().camera.state is SourceState.RUNNING
        clock.shift_seconds = 60.0
        wait_for(lambda: session.health().camera.state is SourceState.STALLED, "the stall")
    finally:
        session.stop()


def test_the_paused_picture_goes_with_its_camera(session: LiveSession) -> None:
    session.start()
    wait_for(lambda: session.snapshot().state is SessionState.RUNNING, "the engine")
    wait_for(lambda: session.snapshot().preview is not None, "a picture")
    session.pause()
    assert session.snapshot().preview is not None
    session.set_camera(None)
    wait_for(lambda: session.snapshot().preview is None, "the picture to go")
    session.set_camera("0")
    wait_for(lambda: session.health().camera.state is SourceState.RUNNING, "the other camera")
    assert session.snapshot().preview is None  # nor does what the old one saw come back
    session.resume()
    wait_for(lambda: session.snapshot().preview is not None, "its picture")


def test_the_paused_picture_stays_until_the_next_one_comes(clock: ShiftedClock) -> None:
    may_come, held = threading.Event(), threading.Event()
    may_come.set()

    class Held(SyntheticCamera):
        def read(self, timeout_seconds: float) -> VideoPacket | None:
            if may_come.is_set():
                return super().read(timeout_seconds)
            held.set()
            may_come.wait(timeout_seconds)
            return None

    session = LiveSession(
        task(arithmetic),
        clock=clock,
        microphone=None,
        camera_factory=lambda _selector, clock: Held(clock),
    )
    session.start()
    try:
        wait_for(lambda: session.snapshot().state is SessionState.RUNNING, "the engine")
        wait_for(lambda: session.snapshot().preview is not None, "a picture")
        session.pause()
        frozen = session.snapshot().preview
        assert frozen is not None
        may_come.clear()
        assert held.wait(10.0)
        session.resume()
        wait_for(lambda: session._frames.latest() is None, "the pictures to be forgotten")
        assert session.snapshot().preview is frozen
        may_come.set()
        wait_for(lambda: session.snapshot().preview is not frozen, "the next picture")
        assert session.snapshot().preview is not None
    finally:
        session.stop()


def test_a_pause_brings_no_picture_back(session: LiveSession) -> None:
    session.start()
    wait_for(lambda: session.snapshot().state is SessionState.RUNNING, "the engine")
    wait_for(lambda: session.snapshot().preview is not None, "a picture")
    session.set_camera(None)
    wait_for(lambda: session.snapshot().preview is None, "the picture to go")
    session.pause()
    assert session.snapshot().preview is None


def test_figures_go_with_what_they_measure(session: LiveSession, clock: ShiftedClock) -> None:
    session.start()
    wait_for(lambda: newest_is_fused(session), "a fused answer")
    assert session.health().sound_offset is not None
    session.set_microphone(None)
    wait_for(lambda: session.health().microphone.state is SourceState.OFF, "the microphone to go")
    wait_for(lambda: session.health().sound_offset is None, "its delay to go")
    session.set_camera(None)

    def rests_on_nothing() -> bool:
        newest = session.snapshot().prediction
        return newest is not None and newest.reason is NO_INPUT

    wait_for(rests_on_nothing, "an answer without input")
    clock.shift_seconds = 60.0
    wait_for(lambda: session.health().latency_p50 is None, "the delay of answers to go")
    assert session.health().latency_p95 is None


def test_a_camera_that_waits_for_another_to_let_go_is_opening_not_off() -> None:
    blocked = BlockedSource()
    session = LiveSession(
        task(arithmetic),
        microphone=None,
        camera_factory=lambda selector, clock: (
            blocked if selector == "0" else SyntheticCamera(clock)
        ),
    )
    session.start()
    try:
        assert blocked.reading.wait(PATIENCE_SECONDS)
        session.set_camera("1")
        wait_for(lambda: session.health().camera.name != blocked.name, "the change")
        waiting = session.health().camera
        assert (waiting.name, waiting.state) == ("Camera 1", SourceState.OPENING)
        blocked.release.set()
        wait_for(lambda: session.health().camera.state is SourceState.RUNNING, "the other camera")
    finally:
        blocked.release.set()
        session.stop()


def test_choices_that_are_outdated_are_not_opened() -> None:
    blocked, opened = BlockedSource(), list[str]()

    def camera(selector: str, clock: Clock) -> Source[VideoPacket]:
        opened.append(selector)
        return blocked if selector == "0" else SyntheticCamera(clock)

    session = LiveSession(task(arithmetic), microphone=None, camera_factory=camera)
    session.start()
    try:
        assert blocked.reading.wait(PATIENCE_SECONDS)
        for selector in ("1", "2", "3"):
            session.set_camera(selector)
        blocked.release.set()
        wait_for(lambda: session.health().camera.state is SourceState.RUNNING, "the last camera")
    finally:
        blocked.release.set()
        session.stop()
    assert opened == ["0", "3"]


def test_another_microphone_in_the_place_of_one_that_went_is_another_voice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Headset(FailingSource[AudioPacket]):
        def open(self) -> None:
            super().open()
            self.name = "headset" if self.opened == 1 else "built in"

    given: list[Input] = []
    session = LiveSession(
        task(arithmetic),
        camera=None,
        microphone_factory=lambda _selector, _clock: Headset(jittered_speech(1.0), at=50),
    )
    put = session._inbox.put

    def noting(message: Input) -> None:
        given.append(message)
        put(message)

    monkeypatch.setattr(session._inbox, "put", noting)
    session.start()
    try:
        wait_for(lambda: session.health().microphone.name == "built in", "the other microphone")
        wait_for(lambda: isinstance(given[-1], Sound), "its sound")
    finally:
        session.stop()
    changes = [each for each in given if isinstance(each, SourceChange)]
    heard = [each for each in changes if each.track is Track.SOUND]
    assert heard == [SourceChange(track=Track.SOUND, connected=True)] * 2


def test_devices_are_changed_while_running(session: LiveSession) -> None:
    session.start()
    wait_for(lambda: newest_is_fused(session), "a fused answer")
    session.set_microphone(None)
    wait_for(lambda: session.health().microphone.state is SourceState.OFF, "the microphone to go")

    def face_alone() -> bool:
        newest = session.snapshot().prediction
        return newest is not None and [each.present for each in newest.modalities] == [True, False]

    wait_for(face_alone, "an answer of the face alone")
    session.set_camera(None)
    session.set_microphone("default")
    assert session.camera is None
    assert session.microphone == "default"

    def voice_alone() -> bool:
        newest = session.snapshot().prediction
        return newest is not None and [each.present for each in newest.modalities] == [False, True]

    wait_for(voice_alone, "an answer of the voice alone")


@pytest.mark.parametrize("stop", [False, True])
def test_a_session_runs_once(stop: bool) -> None:
    session = LiveSession(task(arithmetic), camera=None, microphone=None)
    session.start()
    try:
        if stop:
            session.stop()
            session.stop()
        with pytest.raises(RuntimeError, match="make another"):
            session.start()
    finally:
        session.stop()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_file_that_cannot_be_written_is_given_up_and_the_session_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "session.csv"
    path.symlink_to("/dev/full")
    with AnswerLog() as log:
        log.open(path)
        session = listening(log=log)
        session.start()
        try:
            wait_for(lambda: log.failure is not None, "the failure")
            answered = len(session.history())
            wait_for(lambda: len(session.history()) > answered, "more answers")
            snapshot = session.snapshot()
            log.open(tmp_path / "other.csv")
            assert session.snapshot().flaws == ()
        finally:
            session.stop()
        assert log.failure is not None, "what was lost is lost"
    assert snapshot.state is SessionState.RUNNING
    told = f"{path}: no room left on the disk. Answers are no longer written (0 were)"
    assert snapshot.flaws == (told,)
    assert snapshot.notes == ()
    assert snapshot.health.written_to == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_is_full_at_the_very_end_is_told_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.live.WRITING_SECONDS", 1000.0)
    path = tmp_path / "session.csv"
    path.symlink_to("/dev/full")
    with AnswerLog() as log:
        log.open(path)
        session = listening(log=log)
        session.start()
        wait_for(lambda: session.snapshot().prediction is not None, "an answer")
        assert log.failure is None
        session.stop()
        assert isinstance(log.failure, OSError)


def test_a_file_that_is_opened_amid_a_session_gets_what_is_answered_then(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    with AnswerLog() as log:
        session = listening(log=log)
        session.start()
        try:
            wait_for(lambda: len(session.history()) > 5, "answers")  # a fifth may just be written
            before = session.history()[0].window_end
            assert session.snapshot().notes == ()
            log.open(path)
            assert session.snapshot().notes == (f"answers are written to {path}",)
            assert session.health().written_to == str(path)
            wait_for(lambda: path.read_text().count("\n") > 1, "what is written")
            written = log.finish()
            assert session.health().written_to == ""
        finally:
            session.stop()
    ends = [json.loads(line)["window_end"] for line in path.read_text().splitlines()]
    assert written == Written(path=path, count=len(ends))
    assert before < ends[0] < ends[-1]


@pytest.mark.logs_warnings
def test_what_nobody_foresaw_is_told_with_its_kind() -> None:
    assert told(KeyError("ring")).endswith("KeyError: 'ring'")


@pytest.mark.logs_warnings
def test_a_camera_that_is_not_there_is_said_and_sound_goes_on() -> None:
    broken: FailingSource = FailingSource(  # type: ignore[type-arg]
        [], at=None, times=1000, error=NoDeviceError("there is no camera 7")
    )
    session = LiveSession(
        task(arithmetic),
        camera="7",
        camera_factory=lambda _selector, _clock: broken,
        microphone_factory=lambda _selector, clock: SyntheticMicrophone(clock),
    )
    session.start()
    try:
        wait_for(lambda: session.snapshot().prediction is not None, "an answer")
        wait_for(lambda: "no camera 7" in session.health().camera.message, "the sentence")
    finally:
        session.stop()


def test_damaged_weights_fail_the_session_in_one_sentence() -> None:
    def damaged(_progress: Progress) -> EmotionNetwork:
        raise CheckpointError("live.safetensors is damaged")

    session = LiveSession(task(damaged), camera=None, microphone=None)
    session.start()
    try:
        wait_for(lambda: session.snapshot().state is SessionState.FAILED, "the failure")
        assert session.snapshot().message == "live.safetensors is damaged"
        assert isinstance(session.failure, CheckpointError)
    finally:
        session.stop()


def test_windows_that_do_not_fit_the_network_fail_the_session_in_one_sentence() -> None:
    config = SessionConfig(windows=WindowConfig(window_seconds=2.0))
    session = LiveSession(task(arithmetic), camera=None, microphone=None, config=config)
    session.start()
    try:
        wait_for(lambda: session.snapshot().state is SessionState.FAILED, "the failure")
        assert session.snapshot().message.startswith("window_seconds must be 3")
    finally:
        session.stop()


class Tripping(ArithmeticEngine):
    """Fails in the midst of a step, once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_fail = threading.Event()
        self.may_fail.set()

    def _encoder(self, mel: FloatArray) -> dict[str, FloatArray]:
        assert self.may_fail.wait(PATIENCE_SECONDS)
        raise RuntimeError("the cat walked over the keyboard")


@pytest.mark.logs_warnings
def test_an_unforeseen_failure_is_shown() -> None:
    session = LiveSession(
        task(lambda _progress: arithmetic_network(Tripping())),
        camera=None,
        microphone_factory=lambda _selector, clock: SyntheticMicrophone(clock),
    )
    session.start()
    try:
        wait_for(lambda: session.snapshot().state is SessionState.FAILED, "the failure")
        assert "the cat" in session.snapshot().message
        assert isinstance(session.failure, RuntimeError)
    finally:
        session.stop()


@pytest.mark.logs_warnings
def test_what_fails_first_ends_the_session() -> None:
    may_look, engine = threading.Event(), Tripping()
    engine.may_fail.clear()

    class Broken(FaceTracker):
        def look(self, packet: VideoPacket) -> Sighting:
            assert may_look.wait(PATIENCE_SECONDS)
            raise RuntimeError("the dog ate the detector")

    session = LiveSession(
        task(lambda _progress: arithmetic_network(engine), watch=lambda: Broken(BrightFaces())),
        camera_factory=lambda _selector, clock: SyntheticCamera(clock, size=(160, 90)),
        microphone_factory=lambda _selector, clock: SyntheticMicrophone(clock),
    )
    session.start()
    try:
        wait_for(lambda: session.snapshot().prediction is not None, "an answer")
        may_look.set()
        wait_for(lambda: session.snapshot().state is SessionState.FAILED, "the failure")
        engine.may_fail.set()
        wait_for(lambda: has_ended(session), "the end of all threads")
        assert "the dog" in session.snapshot().message
        assert "the dog" in str(session.failure)
    finally:
        engine.may_fail.set()
        session.stop()


def test_a_stopped_session_leaves_nothing_running(demo: Path) -> None:
    process = psutil.Process()
    with FramePlayer(demo) as player:
        picture = player.frame_at(0.5).image

    def run() -> int:
        session = LiveSession(
            task(arithmetic),
            camera_factory=lambda _selector, clock: SyntheticCamera(clock, image=picture),
            microphone_factory=lambda _selector, clock: SyntheticMicrophone(clock),
        )
        session.start()
        wait_for(lambda: session.snapshot().face is not None, "a face")
        session.stop()
        return process.num_threads()

    before = run()  # with what is started once and for all
    run()
    wait_for(lambda: process.num_threads() <= before, "the end of all threads, mediapipe's too")


def test_stopping_breaks_the_loading_off() -> None:
    session = LiveSession(task(endless), camera=None, microphone=None)
    session.start()
    wait_for(lambda: session.snapshot().progress == 0.5, "loading")
    session.stop()
    assert session.failure is None
    assert session.snapshot().state is SessionState.LOADING


@pytest.mark.logs_warnings
def test_a_failure_stays_to_be_seen_when_the_network_is_loaded_after_it() -> None:
    failed = threading.Event()

    def broken() -> FaceTracker:
        raise RuntimeError("no detector")

    def slow(_progress: Progress) -> EmotionNetwork:
        assert failed.wait(PATIENCE_SECONDS)
        return arithmetic_network()

    session = LiveSession(
        task(slow, watch=broken),
        microphone=None,
        camera_factory=lambda _, clock: SyntheticCamera(clock),
    )
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


def test_what_searches_pictures_is_loaded_for_a_camera_alone() -> None:
    loaded = threading.Event()

    def watch() -> FaceTracker:
        loaded.set()
        return watch_brightness()

    session = LiveSession(
        task(arithmetic, watch=watch),
        camera=None,
        microphone=None,
        camera_factory=lambda _, clock: SyntheticCamera(clock),
    )
    session.start()
    try:
        wait_for(lambda: session.snapshot().state is SessionState.RUNNING, "the network")
        assert not loaded.wait(0.2)
        session.set_camera("0")
        assert loaded.wait(PATIENCE_SECONDS)
    finally:
        session.stop()


def test_without_a_camera_nothing_is_busy_waiting_for_one() -> None:
    waits: list[float | None] = []

    class Watched(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            return super().wait(timeout)

    session = listening()
    session._picture_came = Watched()
    session.start()
    try:
        wait_for(lambda: len(session.history()) >= 5, "answers")
        assert waits == [None]
    finally:
        session.stop()


def test_what_comes_while_the_network_loads_is_answered() -> None:
    session: LiveSession

    def slow(progress: Progress) -> EmotionNetwork:
        wait_for(lambda: session._inbox._samples > 2 * 16000, "sound")
        wait_for(lambda: session._search.newest is not None, "a picture")
        return arithmetic(progress)

    session = LiveSession(
        task(slow, watch=watch_brightness),
        camera_factory=lambda _selector, clock: SyntheticCamera(clock, size=(160, 90)),
        microphone_factory=lambda _selector, clock: SyntheticMicrophone(clock),
    )
    session.start()
    try:
        wait_for(lambda: len(session.history()) > 3, "answers")
        assert all(each.reason is not STARTING for each in session.history())
    finally:
        session.stop()


def test_pictures_that_no_answer_could_rest_on_are_told() -> None:
    may_answer, answering = threading.Event(), threading.Event()

    class Slow(ArithmeticEngine):
        def _encoder(self, mel: FloatArray) -> dict[str, FloatArray]:
            answering.set()
            assert may_answer.wait(PATIENCE_SECONDS)
            return super()._encoder(mel)

    session = LiveSession(
        task(lambda _progress: arithmetic_network(Slow()), watch=watch_brightness),
        camera_factory=lambda _selector, clock: SyntheticCamera(clock, size=(160, 90)),
        microphone_factory=lambda _selector, clock: SyntheticMicrophone(clock),
    )
    session.start()
    try:
        assert answering.wait(PATIENCE_SECONDS)
        seen = session._search.newest
        assert seen is not None

        def come() -> int:
            newest = session._search.newest
            return 0 if newest is None else newest.sequence - seen.sequence

        wait_for(lambda: come() > 40, "more pictures than are kept")
        may_answer.set()
        wait_for(lambda: session.health().frames_skipped > session._search.skipped, "the loss")
    finally:
        may_answer.set()
        session.stop()


def test_a_face_is_not_seen_once_its_camera_is_off() -> None:
    may_look, late, looked = threading.Event(), threading.Event(), threading.Event()
    may_look.set()

    class Slow(BrightFaces):
        def detect(self, image: Any) -> Any:
            if not may_look.is_set():
                late.set()
                assert may_look.wait(PATIENCE_SECONDS)
                looked.set()
            return super().detect(image)

    session = LiveSession(
        task(arithmetic, watch=lambda: FaceTracker(Slow())),
        camera_factory=lambda _selector, clock: SyntheticCamera(clock, size=(160, 90)),
        microphone_factory=lambda _selector, clock: SyntheticMicrophone(clock),
    )

    def newest_face() -> FaceObservation | None:
        newest = session.snapshot().prediction
        return None if newest is None else newest.face

    session.start()
    try:
        wait_for(lambda: newest_face() is not None, "a face")
        may_look.clear()
        assert late.wait(PATIENCE_SECONDS)
        session.set_camera(None)
        wait_for(lambda: newest_face() is None, "the face to go")
        may_look.set()
        assert looked.wait(PATIENCE_SECONDS)
        last = session.history()[-1].window_index
        wait_for(lambda: len(session.history(last)) > 5, "more answers")
        assert all(each.face is None for each in session.history(last))
        assert session.snapshot().face is None
    finally:
        may_look.set()
        session.stop()


@pytest.mark.logs_warnings
def test_a_device_that_cannot_even_be_made_fails_the_session() -> None:
    def broken(_selector: str, _clock: Clock) -> SyntheticCamera:
        raise RuntimeError("no driver at all")

    session = LiveSession(task(arithmetic), microphone=None, camera_factory=broken)
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

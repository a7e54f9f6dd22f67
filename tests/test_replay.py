"""A recording in a session, which plays beside the analysis."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.arrays import FloatArray
from models.files import SameFileError
from realtime.export import PredictionWriter, record_of, write_predictions
from realtime.messages import Prediction, SessionState, SourceState, VideoPacket
from realtime.recording.players import FramePlayer
from realtime.recording.recording import Recording
from realtime.replay import ReplaySession
from realtime.sources.base import UnreadableFileError
from realtime.task import Task
from tests.fakes.engine import GatedEngine, answers, arithmetic_network, endless, task
from tests.fakes.session import ManualTime
from tests.fakes.waiting import PATIENCE_SECONDS, wait_for
from tests.recordings import cut, joined, movie, sound_file


@pytest.fixture(scope="module")
def demo_answers(opening: Path) -> list[Prediction]:
    return answers(opening)


@pytest.fixture
def session(opening: Path) -> Iterator[ReplaySession]:
    session = ReplaySession(opening, task(), play=False)
    yield session
    session.stop()


def test_the_whole_recording_is_analysed_beside_playback(
    session: ReplaySession, demo_answers: list[Prediction], tmp_path: Path
) -> None:
    session.start()
    wait_for(lambda: session.snapshot().state is SessionState.ENDED, "the end of the analysis")
    assert len(session.history()) == len(demo_answers)
    assert len(session.history(after_index=10)) == len(demo_answers) - 10
    assert session.playback.analysed == pytest.approx(demo_answers[-1].window_end)
    assert session.playback.duration >= session.playback.analysed

    session.seek(3.02)
    wait_for(lambda: _preview_time(session) > 2.9, "the picture at 3 s")
    snapshot = session.snapshot()
    assert snapshot.prediction is not None
    assert snapshot.prediction.window_end == pytest.approx(3.0)
    assert snapshot.prediction.spectrogram is not None
    assert snapshot.face is not None
    assert snapshot.health.camera.state is SourceState.ENDED

    path = tmp_path / "answers.jsonl"
    written = session.export(path)
    lines = path.read_text().splitlines()
    assert written.complete
    assert str(written) == f"{len(demo_answers)} answers written to {path}"
    assert len(lines) == len(demo_answers)
    assert json.loads(lines[29]) == record_of(demo_answers[29])
    with pytest.raises(ValueError, match=r"\.txt"):
        session.export(tmp_path / "answers.txt")
    with pytest.raises(SameFileError):
        session.export(session.path)


def test_what_is_written_of_a_recording_that_is_cut_off_says_so(tmp_path: Path) -> None:
    recording = cut(movie(tmp_path / "cut.mkv", seconds=4.0), 0.6)
    with PredictionWriter(tmp_path / "beside.csv") as writer:
        session = ReplaySession(recording, task(), writer=writer)
        session.start()
        wait_for(lambda: session.snapshot().state is SessionState.ENDED, "the end")
        session.stop()
    written, exported = session.written, session.export(tmp_path / "exported.csv")
    for each in (written, exported):
        assert re.search(r"csv; the file is cut off: of \d\.\d s only \d\.\d s could", str(each))
    assert session.snapshot().notes == (str(written),)  # which has the recording's own in it


def test_a_writer_gets_the_same_answers_and_the_end_is_noted(
    opening: Path, demo_answers: list[Prediction], tmp_path: Path
) -> None:
    path, same = tmp_path / "answers.csv", tmp_path / "same.csv"
    with PredictionWriter(path) as writer:
        session = ReplaySession(opening, task(), writer=writer)
        session.start()
        wait_for(lambda: bool(session.snapshot().notes), "the note about the file")
        session.stop()
    assert session.snapshot().notes == (f"{len(demo_answers)} answers written to {path}",)
    assert session.written is not None
    assert session.written.complete
    write_predictions(same, demo_answers)
    assert path.read_bytes() == same.read_bytes()


def test_an_export_spares_the_file_that_is_being_written(opening: Path, tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    with PredictionWriter(path) as writer:
        session = ReplaySession(opening, task(), writer=writer)
        with pytest.raises(SameFileError):
            session.export(path)
        session.start()
        wait_for(lambda: session.snapshot().state is SessionState.ENDED, "the end")
        session.stop()
    before = path.read_bytes()
    assert session.export(path).complete
    assert path.read_bytes() == before


def test_playback_moves_pauses_and_comes_to_an_end(session: ReplaySession) -> None:
    session.start()
    wait_for(lambda: session.snapshot().state is SessionState.ENDED, "the end of the analysis")
    assert not session.playback.playing
    session.set_speed(100)
    assert session.playback.speed == 4.0
    session.resume()
    assert session.playback.playing
    wait_for(lambda: session.playback.position > 1, "playback")
    session.pause()
    stands = session.playback.position
    assert session.playback.position == stands
    session.seek(1e9)
    assert session.playback.position == session.playback.duration
    session.seek(-5)
    assert session.playback.position == 0
    session.seek(session.playback.duration - 0.2)
    session.resume()
    wait_for(lambda: not session.playback.playing, "the end of playback")
    session.resume()  # from the beginning again
    assert session.playback.position < 2
    assert session.playback.playing
    session.seek(session.playback.duration - 0.01)  # as near as a slider comes
    session.resume()
    assert session.playback.position < 2


def test_stopping_breaks_the_loading_off(opening: Path) -> None:
    session = ReplaySession(opening, task(endless))
    session.start()
    wait_for(lambda: session.snapshot().progress == 0.5, "loading")
    session.stop()
    assert session.failure is None
    assert session.snapshot().state is SessionState.LOADING


@pytest.fixture
def now() -> ManualTime:
    return ManualTime()


def slow(engine: GatedEngine) -> Task:
    return task(lambda _progress: arithmetic_network(engine))


@pytest.fixture
def slow_engine() -> GatedEngine:
    return GatedEngine()


@pytest.fixture
def slow_session(
    opening: Path, slow_engine: GatedEngine, now: ManualTime
) -> Iterator[ReplaySession]:
    """A session whose analysis has come as far as its engine goes for now."""
    session = ReplaySession(opening, slow(slow_engine), now=now)
    session.start()
    try:
        assert slow_engine.waiting.wait(PATIENCE_SECONDS)
        yield session
    finally:
        slow_engine.gate.set()
        session.stop()


def test_a_writer_keeps_what_there_is_when_the_analysis_is_left(
    opening: Path, slow_engine: GatedEngine, tmp_path: Path
) -> None:
    path = tmp_path / "part.csv"
    with PredictionWriter(path) as writer:
        session = ReplaySession(opening, slow(slow_engine), writer=writer)
        session.start()
        assert slow_engine.waiting.wait(PATIENCE_SECONDS)
        threading.Timer(0.0, slow_engine.gate.set).start()
        session.stop()
    written = session.written
    assert written is not None
    assert not written.complete
    assert len(path.read_text().splitlines()) == written.count + 1
    assert f"{written.count} answers, up to 0:0" in str(written)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_file_that_cannot_be_written_is_given_up_and_the_analysis_goes_on(
    opening: Path, tmp_path: Path
) -> None:
    path = tmp_path / "answers.csv"
    path.symlink_to("/dev/full")
    with PredictionWriter(path) as writer:
        session = ReplaySession(opening, task(), writer=writer)
        session.start()
        try:
            wait_for(lambda: session.snapshot().state is SessionState.ENDED, "the end")
        finally:
            session.stop()
    told = f"{path}: no room left on the disk. Answers are no longer written (0 were)"
    assert session.snapshot().flaws == (told,)
    assert isinstance(session.unwritten, OSError)
    assert session.written is None
    assert len(session.history()) > 10


def test_a_picture_that_stands_still_is_told_of(
    opening: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_player: FramePlayer, _seconds: float) -> None:
        raise UnreadableFileError("demo.mp4 cannot be shown any more")

    monkeypatch.setattr(FramePlayer, "frame_at", fail)
    session = ReplaySession(opening, task())
    session.start()
    try:
        wait_for(lambda: session.snapshot().state is SessionState.ENDED, "the end")
        assert session.snapshot().flaws == (
            "its picture stands still: demo.mp4 cannot be shown any more",
        )
    finally:
        session.stop()
    with pytest.raises(RuntimeError, match="make another"):
        session.start()


def test_before_a_recording_is_open_nobody_knows_what_it_lacks(opening: Path) -> None:
    health = ReplaySession(opening, task()).snapshot().health
    assert health.camera.state is health.microphone.state is SourceState.OPENING


def test_an_end_that_is_not_analysed_is_waited_for(slow_session: ReplaySession) -> None:
    end = slow_session.playback.duration
    slow_session.seek(end)
    slow_session.pause()
    slow_session.resume()
    assert (slow_session.playback.playing, slow_session.playback.position) == (True, end)


def test_the_pace_of_the_analysis_is_told(slow_session: ReplaySession, now: ManualTime) -> None:
    now.advance(2.0)
    speed = slow_session.snapshot().health.analysis_speed
    assert speed == pytest.approx(slow_session.playback.analysed / 2.0)


def test_ahead_of_the_analysis_no_other_instant_is_shown(slow_session: ReplaySession) -> None:
    session = slow_session
    session.pause()
    analysed = session.playback.analysed
    session.seek(analysed + 0.05)
    prediction = session.snapshot().prediction
    assert prediction is not None
    assert prediction.window_end == analysed
    session.seek(5.0)
    wait_for(lambda: _preview_time(session) > 4.9, "the picture at 5 s")
    snapshot = session.snapshot()
    assert snapshot.prediction is None
    assert snapshot.face is None


def test_at_the_heels_of_the_analysis_nothing_is_heard(
    slow_session: ReplaySession, slow_engine: GatedEngine
) -> None:
    session = slow_session
    analysed = session.playback.analysed
    heard = []
    for lead in (1.01, 0.5, 0.31, 0.2, 0.5, 0.9, 1.01):
        session.seek(analysed - lead)
        heard.append(session._began() is not None)
        assert session.playback.sound_waits is not heard[-1]
    assert heard == [True, True, True, False, False, False, True]
    session.seek(analysed - 0.1)
    slow_engine.gate.set()
    wait_for(lambda: session.snapshot().state is SessionState.ENDED, "the end of the analysis")
    assert session._began() == -session.playback.position  # as the clock stands at 0
    assert not session.playback.sound_waits


@pytest.mark.parametrize("sought", [None, 5.0])
def test_playback_waits_for_the_analysis_and_does_not_rush_afterwards(
    slow_session: ReplaySession,
    slow_engine: GatedEngine,
    now: ManualTime,
    sought: float | None,
) -> None:
    session = slow_session
    if sought is not None:
        session.seek(sought)
    now.advance(30)
    waiting = session.playback.position
    assert waiting == (sought or session.playback.analysed)
    slow_engine.gate.set()
    wait_for(lambda: session.snapshot().state is SessionState.ENDED, "the end of the analysis")
    assert session.playback.position == waiting
    now.advance(1)
    assert session.playback.position == pytest.approx(waiting + 1)
    prediction = session.snapshot().prediction
    assert prediction is not None
    assert prediction.window_end == pytest.approx(waiting + 1)


@pytest.mark.logs_warnings
def test_playback_stays_where_the_analysis_fails(
    slow_session: ReplaySession, slow_engine: GatedEngine, now: ManualTime
) -> None:
    session = slow_session
    now.advance(0.5)
    assert session.playback.position == 0.5
    slow_engine.residual = np.zeros(3, np.float32)  # of the wrong size
    slow_engine.gate.set()
    wait_for(lambda: session.snapshot().state is SessionState.FAILED, "the failure")
    assert session.playback.position == 0.5
    session.seek(0.2)
    session.resume()
    now.advance(0.1)
    assert session.playback.position == pytest.approx(0.3)
    now.advance(60)
    assert session.playback.position == session.playback.analysed


def sound_with_a_gap(path: Path) -> Path:
    samples = np.random.default_rng(0).normal(0, 0.1, 6 * 16000).astype(np.float32)
    return sound_file(path, samples, 16000, missing=(3.0, 3.5))


def sound_that_ends_early(path: Path) -> Path:
    return movie(path, seconds=5.0, sound_seconds=2.5)


@pytest.mark.parametrize("make", [sound_with_a_gap, sound_that_ends_early])
def test_the_spectrogram_is_that_of_the_answer(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = make(tmp_path / "recording.mkv")
    expected = answers(path)
    session = ReplaySession(path, task(), play=False)
    session.start()
    try:
        wait_for(lambda: session.snapshot().state is SessionState.ENDED, "the end of the analysis")
        for answer in expected[::3]:
            session.seek(answer.window_end)
            shown = session.snapshot().prediction
            assert shown is not None
            assert shown.spectrogram_end == answer.spectrogram_end
            if answer.spectrogram is None:
                assert shown.spectrogram is None
            else:  # but for a sample, since times lean
                assert shown.spectrogram == pytest.approx(answer.spectrogram, abs=0.1)
    finally:
        session.stop()
    assert expected[24].spectrogram is not None
    assert expected[-1].spectrogram is not None


def test_while_a_spectrogram_is_made_nobody_waits(opening: Path) -> None:
    locked: list[bool] = []

    def spectrogram(sound: FloatArray) -> FloatArray:
        locked.append(watched._lock.locked())
        return sound[None]

    watched = ReplaySession(opening, replace(task(), spectrogram=spectrogram), play=False)
    watched.start()
    try:
        wait_for(lambda: watched.snapshot().state is SessionState.ENDED, "the end of the analysis")
    finally:
        watched.stop()
    watched.seek(3.02)
    shown = watched.snapshot().prediction
    assert shown is not None
    assert shown.spectrogram is not None
    assert watched.snapshot().prediction is shown
    assert locked == [False]


def test_a_leap_leads_to_the_same_picture_where_times_begin_anew(tmp_path: Path) -> None:
    parts = [movie(tmp_path / f"{seconds}.ts", seconds=seconds) for seconds in (1.5, 2.0)]
    path = joined(tmp_path / "joined.ts", *parts)
    with Recording(path) as recording:
        pictures = [packet for packet in recording if isinstance(packet, VideoPacket)]
    session = ReplaySession(path, task(), play=False)
    session.start()
    try:
        wait_for(lambda: session.snapshot().state is SessionState.ENDED, "the end of the analysis")
        picture = pictures[-10]
        session.seek(picture.timestamp + 0.01)
        wait_for(lambda: _preview_time(session) == picture.timestamp, "the picture")
        preview = session.snapshot().preview
        assert preview is not None
        assert np.array_equal(preview.image, picture.image)
    finally:
        session.stop()


def test_a_picture_that_takes_long_to_find_has_no_face_of_another_moment(
    opening: Path, now: ManualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, free = FramePlayer.frame_at, threading.Event()

    def slow(player: FramePlayer, seconds: float) -> VideoPacket:
        assert seconds < 3.0 or free.wait(PATIENCE_SECONDS)
        return found(player, seconds)

    monkeypatch.setattr(FramePlayer, "frame_at", slow)
    session = ReplaySession(opening, task(), play=False, now=now)
    session.start()
    try:
        wait_for(lambda: session.snapshot().state is SessionState.ENDED, "the end of the analysis")
        session.seek(2.0)
        wait_for(lambda: session.snapshot().face is not None, "a face")
        session.seek(3.5)
        assert session.snapshot().face is None
        assert not session.playback.picture_late  # which is told only where it lasts
        now.advance(0.5)
        assert session.playback.picture_late
        free.set()
        wait_for(lambda: not session.playback.picture_late, "the picture")
        assert session.snapshot().face is not None
    finally:
        free.set()
        session.stop()


def _preview_time(session: ReplaySession) -> float:
    preview = session.snapshot().preview
    return -1.0 if preview is None else preview.timestamp


def test_what_is_no_recording_fails_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("this is a text file")
    session = ReplaySession(path, task())
    session.start()
    try:
        wait_for(lambda: session.snapshot().state is SessionState.FAILED, "the failure")
        assert "notes.mp4" in session.snapshot().message
        assert isinstance(session.failure, UnreadableFileError)
        assert not session.playback.playing
    finally:
        session.stop()

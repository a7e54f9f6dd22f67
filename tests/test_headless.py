"""The program without a window: answers as they come, their lines, and the summary."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from rich.console import Console

from models.checkpoint import CheckpointError
from realtime import headless
from realtime.emotion.reasons import FEW_PICTURES
from realtime.messages import (
    NO_SOURCE,
    STARTING,
    Health,
    Prediction,
    SessionState,
    SourceHealth,
    SourceState,
)
from realtime.sources.base import NoDeviceError
from tests.fakes.session import FakeLiveSession, ManualTime, absent_prediction, make_prediction


def rendered(what: object) -> str:
    stream = io.StringIO()
    Console(file=stream, width=120).print(what)
    return stream.getvalue()


# -- a live session ---------------------------------------------------------------------------


def test_every_answer_comes_once_until_the_time_is_over() -> None:
    time = ManualTime()
    session = FakeLiveSession(now=time, pictures=None, loading_seconds=0.0)
    answers = list(headless.live_predictions(session, 2.0, now=time, sleep=time.advance))
    indices = [each.window_index for each in answers]
    assert indices == list(range(indices[0], indices[0] + len(indices)))
    assert len(answers) == pytest.approx(20, abs=1)
    assert (session.started, session.stopped) == (1, 1)


def test_a_session_that_is_no_longer_wanted_is_stopped() -> None:
    time = ManualTime()
    session = FakeLiveSession(now=time, pictures=None, loading_seconds=0.0)
    answers = headless.live_predictions(session, now=time, sleep=time.advance)
    next(answers)
    answers.close()
    assert session.stopped == 1


def test_what_the_session_failed_of_is_passed_on() -> None:
    time = ManualTime()
    session = FakeLiveSession(
        now=time, pictures=None, state=SessionState.FAILED, failure=CheckpointError("torn")
    )
    with pytest.raises(CheckpointError, match="torn"):
        next(headless.live_predictions(session, now=time, sleep=time.advance))
    session.failure, session.message = None, "it broke"
    with pytest.raises(headless.SessionFailedError, match="it broke"):
        next(headless.live_predictions(session, now=time, sleep=time.advance))
    assert session.stopped == 2


RUNNING = SourceHealth(name="Studio camera", state=SourceState.RUNNING)
LOST = SourceHealth(name="Studio camera", state=SourceState.RETRYING, message="its cable is out")
OPENING = SourceHealth(name="Studio camera", state=SourceState.OPENING)
ABSENT = SourceHealth(name="Camera 7", state=SourceState.FAILED, message="there is no camera 7")
OFF = SourceHealth(name="none")


@dataclass
class Changing(FakeLiveSession):
    """A live session whose camera changes as time passes; its microphone does not."""

    camera_states: tuple[tuple[float, SourceHealth], ...] = ()  # since when, in time order
    microphone_state: SourceHealth = OFF

    def health(self) -> Health:
        since_start = self.now() - self._origin
        camera = [each for since, each in self.camera_states if since <= since_start][-1]
        return replace(super().health(), camera=camera, microphone=self.microphone_state)


def changing(
    *states: tuple[float, SourceHealth], microphone: SourceHealth = OFF, loading: float = 0.0
) -> tuple[Changing, ManualTime]:
    time = ManualTime()
    session = Changing(
        now=time,
        pictures=None,
        loading_seconds=loading,
        camera_states=states,
        microphone_state=microphone,
    )
    return session, time


@pytest.mark.logs_warnings
@pytest.mark.parametrize("seconds", [None, 3.0])
@pytest.mark.parametrize("required", [(), ("camera",)])
def test_sources_that_never_deliver_are_no_device(
    seconds: float | None, required: tuple[str, ...]
) -> None:
    session, time = changing((0.0, LOST))
    answers = headless.live_predictions(
        session, seconds, required=required, now=time, sleep=time.advance
    )
    with pytest.raises(NoDeviceError, match=r"^Studio camera: its cable is out .*devices"):
        next(answers)  # not even an answer that says so
    assert time.seconds == pytest.approx(headless.DEVICE_PATIENCE_SECONDS, abs=0.1)


def test_a_network_camera_is_not_looked_for_in_the_list_of_devices() -> None:
    session, time = changing((0.0, ABSENT))
    session.camera = "http://10.0.0.20:8080/video"
    with pytest.raises(NoDeviceError, match=r"^there is no camera 7$"):
        next(headless.live_predictions(session, required=("camera",), now=time, sleep=time.advance))


def test_what_says_nothing_is_told_of_all_the_same() -> None:
    session, time = changing((0.0, OPENING))
    with pytest.raises(NoDeviceError, match=r"from the camera or the microphone .`python main"):
        next(headless.live_predictions(session, now=time, sleep=time.advance))


def test_patience_begins_when_the_network_is_loaded() -> None:
    session, time = changing((0.0, OPENING), (12.0, RUNNING), loading=10.0)
    answers = headless.live_predictions(session, 2.0, now=time, sleep=time.advance)
    assert len(list(answers)) == pytest.approx(20, abs=1)


def test_a_device_that_was_asked_for_and_is_not_there_is_not_waited_for() -> None:
    microphone = replace(RUNNING, name="Desk microphone")
    session, time = changing((0.0, ABSENT), microphone=microphone)
    answers = headless.live_predictions(session, required=("camera",), now=time, sleep=time.advance)
    with pytest.raises(NoDeviceError, match=r"^there is no camera 7 .*devices"):
        next(answers)
    assert time.seconds == 0.0


def test_a_device_that_nobody_asked_for_is_missed_and_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    microphone = replace(RUNNING, name="Desk microphone")
    states = ((0.0, ABSENT), (5.0, RUNNING), (6.0, LOST), (16.0, RUNNING), (17.0, LOST))
    session, time = changing(*states, microphone=microphone)
    answers = list(headless.live_predictions(session, 20.0, now=time, sleep=time.advance))
    assert len(answers) == pytest.approx(200, abs=1)
    absent, lost = (
        f"{told} (it is tried again)"
        for told in ("there is no camera 7", "Studio camera: its cable is out")
    )
    back = "Studio camera delivers now"
    assert caplog.messages == [absent, back, lost, back, lost]


@pytest.mark.parametrize("required", [(), ("camera",)])
def test_seconds_count_from_when_the_devices_deliver(required: tuple[str, ...]) -> None:
    session, time = changing((0.0, OPENING), (3.0, RUNNING))
    answers = list(
        headless.live_predictions(session, 2.0, required=required, now=time, sleep=time.advance)
    )
    assert answers[0].window_end == pytest.approx(3.1, abs=0.15)
    assert len(answers) == pytest.approx(20, abs=1)
    assert time.seconds == pytest.approx(5.0, abs=0.1)


def test_time_in_which_nobody_looked_is_no_silence() -> None:
    session, time = changing((0.0, RUNNING), (30.0, OPENING), (31.0, RUNNING))
    answers = headless.live_predictions(session, now=time, sleep=time.advance)
    next(answers)
    time.advance(30.5)  # whoever takes the answers was held up
    assert max(next(answers).window_end for _ in range(400)) > 31.0


@pytest.mark.logs_warnings
@pytest.mark.parametrize("required", [(), ("camera",)])
def test_a_device_may_vanish_and_return_but_not_for_ever(required: tuple[str, ...]) -> None:
    states = ((0.0, RUNNING), (2.0, LOST), (8.0, RUNNING), (10.0, LOST))
    session, time = changing(*states)
    answers = headless.live_predictions(session, required=required, now=time, sleep=time.advance)
    with pytest.raises(NoDeviceError, match="its cable is out"):
        for _ in answers:
            pass
    assert time.seconds == pytest.approx(10.0 + headless.DEVICE_PATIENCE_SECONDS, abs=0.1)
    assert session.stopped == 1


def test_the_end_of_a_session_is_the_end_of_its_answers() -> None:
    time = ManualTime()
    session = FakeLiveSession(now=time, pictures=None, state=SessionState.ENDED)
    list(headless.live_predictions(session, now=time, sleep=time.advance))
    assert session.stopped == 1


# -- pace -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("speed", "seconds"), [(1.0, 3.0), (2.0, 1.5)])
def test_answers_come_when_their_place_is_played(speed: float, seconds: float) -> None:
    time = ManualTime()
    answers = [make_prediction(index) for index in (10, 20, 30)]
    paced = list(headless.paced(answers, speed, now=time, sleep=time.advance))
    assert paced == answers
    assert time.seconds == pytest.approx(seconds)


@pytest.mark.parametrize(("speed", "indices"), [(1.0, [10]), (2.0, [10, 20])])
def test_so_many_seconds_of_playing_are_enough(speed: float, indices: list[int]) -> None:
    time = ManualTime()
    answers = [make_prediction(index) for index in (10, 20, 30)]
    paced = headless.paced(answers, speed, 1.2, now=time, sleep=time.advance)
    assert [each.window_index for each in paced] == indices


# -- writing ----------------------------------------------------------------------------------


def test_one_json_object_per_answer() -> None:
    stream = io.StringIO()
    write = headless.json_writer(stream)
    write(make_prediction(7))
    write(absent_prediction(8))
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert set(first) == {
        "window_end",
        "time",
        "label",
        "reason",
        "confidence",
        "probabilities",
        "unsmoothed",
        "modalities",
        "modality_share",
        "latency_ms",
    }
    assert (first["label"], first["reason"]) == ("neutral", None)
    assert (second["label"], second["reason"]) == (None, "no face")
    assert second["confidence"] is second["probabilities"] is None


def test_a_line_says_what_how_sure_and_from_what() -> None:
    told = rendered(headless.line(make_prediction(7)))
    assert "0.7 s" in told
    assert "neutral" in told
    assert "face" in told
    assert "43 ms" in told
    told = rendered(headless.line(replace(absent_prediction(), latency_seconds=None)))
    assert "not sure (no face)" in told
    assert "voice no sound here" in told
    assert "0 %" not in told
    assert " ms" not in told


def test_a_line_s_bar_is_read_without_colours() -> None:
    sure = replace(make_prediction(7), confidence=0.75)
    assert f"{15 * '━'}{5 * '·'}  75 %" in rendered(headless.line(sure))
    assert 20 * "·" in rendered(headless.line(absent_prediction()))


def test_a_line_says_that_it_is_starting_as_the_window_does() -> None:
    absent = absent_prediction()
    early = replace(
        absent,
        reason=STARTING,
        modalities=tuple(
            replace(each, absent=why)
            for each, why in zip(absent.modalities, (FEW_PICTURES, NO_SOURCE), strict=True)
        ),
    )
    told = rendered(headless.line(early))
    assert "not sure (starting)" in told
    assert "face starting" in told
    assert "voice no sound here" in told


def test_what_is_off_is_called_so_as_in_the_window() -> None:
    live = replace(absent_prediction(), latency_seconds=0.1, time_of_day=1.8e9)
    assert "voice not in use" in rendered(headless.line(live))
    assert "voice no sound here" in rendered(headless.line(absent_prediction()))


def test_the_summary_counts_answers_labels_and_modalities() -> None:
    summary = headless.Summary()
    stream = io.StringIO()
    answers = [make_prediction(0), make_prediction(1), absent_prediction(2)]
    headless.report(answers, [headless.text_writer(Console(file=stream))], summary)
    assert len(stream.getvalue().splitlines()) == 3
    assert summary.answers == 3
    assert summary.outcomes == {"neutral": 2, "not sure (no face)": 1}
    assert summary.modalities == {"face": 2, "voice": 2}
    told = rendered(summary.table(["the sound is cut off"]))
    assert "neutral" in told
    assert "67 %" in told
    assert "covering 0.3 s" in " ".join(told.split())
    assert " ".join(told.split()).count("delay p50 43 ms, p95 43 ms") == 1
    assert "the sound is cut off" in told
    assert "lost" not in told
    replayed = headless.Summary()
    replayed.add(replace(make_prediction(0), latency_seconds=None))
    assert "delay" not in rendered(replayed.table())


def test_an_answer_that_an_interruption_let_out_is_counted() -> None:
    summary, stream = headless.Summary(), io.StringIO()

    def interrupt(_prediction: Prediction) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        headless.report([make_prediction(0)], [headless.json_writer(stream), interrupt], summary)
    assert len(stream.getvalue().splitlines()) == summary.answers == 1


def test_the_summary_of_a_live_run_tells_what_was_lost() -> None:
    session, time = changing((0.0, replace(RUNNING, dropped=2)))
    summary = headless.Summary()
    answers = headless.live_predictions(
        session, 1.0, watch=summary.watch, now=time, sleep=time.advance
    )
    headless.report(answers, [], summary)
    assert summary.health is not None
    summary.health = replace(summary.health, windows_skipped=7, sound_offset=0.035)
    told = " ".join(rendered(summary.table()).split())
    assert "lost 7 windows skipped, 7 pictures passed over, 2 pictures and 0 blocks of" in told
    assert "sound after picture +35 ms" in told


def test_one_answer_covers_a_step() -> None:
    summary = headless.Summary()
    summary.add(make_prediction(33))
    assert "covering 0.1 s" in " ".join(rendered(summary.table()).split())


def test_an_empty_run_has_a_summary_too() -> None:
    assert "answers" in rendered(headless.Summary().table())


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_being_done_is_told(terminal: bool) -> None:
    stream, name = io.StringIO(), "Talk [dQw4w9WgXcQ] :smile:.mp4"
    with headless.Steps(Console(file=stream, force_terminal=terminal, width=100)) as steps:
        for fraction, text in ((0.0, "Checking"), (0.5, "Warming up"), (1.0, "Ready")):
            steps.loading(fraction, text)
        for fraction in (0.0, 0.5, 1.0):
            steps.tell(fraction, f"Analysing {name}")
    steps.tell(0.5, "Late")
    told = stream.getvalue()
    if terminal:
        assert f"Analysing {name}" in told
        assert "━" in told
        assert "Late" not in told
    else:
        assert told.splitlines() == ["Checking", "Warming up", "Ready", f"Analysing {name}"]


# -- screens ----------------------------------------------------------------------------------


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the environment that tells of screens, and nothing else."""

    def set_to(**values: str) -> None:
        for name in ("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    monkeypatch.setattr("sys.platform", "linux")
    return set_to


# What an X server says first (X11 protocol, 8): status, versions, and how many words follow.
ACCEPTED = struct.pack("<BxHHH", 1, 11, 0, 8) + bytes(32)
REFUSED = struct.pack("<BBHHH", 0, 4, 11, 0, 1) + b"no.."


@contextmanager
def display_server(answer: bytes) -> Iterator[str]:
    """DISPLAY of a server that gives its clients this answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError), ExitStack() as clients:
                while True:
                    client = clients.enter_context(server.accept()[0])
                    if client.recv(12):  # not the one that only looks whether there is a server
                        client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1] - 6000}.0"
        server.shutdown(socket.SHUT_RDWR)


def test_no_display_server_is_no_screen(bare: Callable[..., None], tmp_path: Path) -> None:
    bare()
    assert not headless.has_screen()
    bare(DISPLAY=":987")
    assert not headless.has_screen()
    bare(DISPLAY="nonsense")
    assert not headless.has_screen()
    bare(WAYLAND_DISPLAY="wayland-0", XDG_RUNTIME_DIR=str(tmp_path))
    assert not headless.has_screen()


def test_what_answers_is_a_screen(bare: Callable[..., None], tmp_path: Path) -> None:
    bare(QT_QPA_PLATFORM="offscreen")
    assert headless.has_screen()
    (tmp_path / "wayland-0").touch()
    bare(WAYLAND_DISPLAY="wayland-0", XDG_RUNTIME_DIR=str(tmp_path))
    assert headless.has_screen()
    with display_server(ACCEPTED) as display:
        bare(DISPLAY=display)
        assert headless.has_screen()


def test_a_display_that_lets_nobody_in_is_no_screen(
    bare: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    with display_server(REFUSED) as display:
        bare(DISPLAY=display)
        assert not headless.has_screen()
    assert f"the display {display} does not let this program in" in caplog.text


@pytest.mark.logs_warnings
def test_a_display_that_never_answers_is_no_screen(
    bare: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headless, "_DISPLAY_PATIENCE_SECONDS", 0.2)
    with display_server(b"") as display:
        bare(DISPLAY=display)
        assert not headless.has_screen()


def test_macos_and_windows_always_have_one(
    bare: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bare()
    monkeypatch.setattr("sys.platform", "darwin")
    assert headless.has_screen()
    assert "DISPLAY" not in os.environ

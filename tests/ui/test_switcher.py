"""Sessions that are started, stopped and changed, with and without a window around them."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QAbstractButton, QApplication, QFileDialog
from pytestqt.qtbot import QtBot

from realtime.devices.listing import CameraInfo, Listing
from realtime.messages import NO_INPUT, NO_SOURCE, ModalityReport, SessionState, SourceHealth, Track
from realtime.session import Deadline
from realtime.sources.base import UnreadableFileError
from tests.fakes.session import (
    FakeFactory,
    FakeLiveSession,
    FakeReplaySession,
    ManualTime,
    list_fake_devices,
)
from tests.ui.conftest import OpenWindow, click, open_file, press, press_focused, run
from ui.present.answer import NO_DEVICES
from ui.present.notices import Notice, Remedy, Severity
from ui.present.words import PRIVACY
from ui.switcher import Devices, SessionSwitcher


def test_closing_the_window_stops_the_session(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    window.close()
    assert live.stopped == 1
    window.stop()
    assert live.stopped == 1


def test_a_window_that_is_closed_is_gone_before_its_session_is_stopped(
    open_window: OpenWindow,
    live: FakeLiveSession,
    now: ManualTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    visible: list[bool] = []
    monkeypatch.setattr(live, "stop", lambda: visible.append(window.isVisible()))
    window.close()
    assert visible == [False]


def test_looking_for_devices_says_what_stands_in_the_way(
    qtbot: QtBot, open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    qtbot.waitUntil(lambda: window.views.header.camera_choice.count() == 4)
    run(window, now, 2.0)
    assert window.views.banner.notice is not None
    assert window.views.banner.notice.text == PRIVACY  # at the start nobody has asked
    press(window, Qt.Key.Key_F5)

    def told() -> bool:
        text = "New microphones are found only while no sound is recorded or played"
        return window.views.banner.notice is not None and window.views.banner.notice.text == text

    qtbot.waitUntil(told)


def test_going_live_with_nothing_to_go_live_on_says_so(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    factory: FakeFactory,
    now: ManualTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = open_window(replay)
    nothing = Listing[CameraInfo]((), "no camera was found: plug one in")
    monkeypatch.setattr(
        window.switcher, "_list_devices", lambda: (nothing, Listing((), "no microphone"))
    )
    qtbot.waitUntil(lambda: not window.switcher._listing.busy)
    window.commands["live"].trigger()
    qtbot.waitUntil(lambda: window.live is not None)
    (session,) = factory.made
    qtbot.waitUntil(lambda: session.started == 1)
    session.pictures = None
    none = SourceHealth(name="none")
    session.health_changes.update(camera=none, microphone=none)
    absent = ModalityReport(name="face", track=Track.PICTURES, absent=NO_SOURCE)
    session.changes = {
        "label": None,
        "reason": NO_INPUT,
        "modalities": (absent, replace(absent, name="voice", track=Track.SOUND)),
    }
    window.bridge.poll()
    assert (window.views.answer.headline, window.views.answer.detail) == NO_DEVICES
    run(window, now, 2.0)
    assert (window.views.answer.headline, window.views.answer.detail) == NO_DEVICES
    assert window.views.banner.notice is not None
    assert window.views.banner.notice.text == "No camera was found: plug one in; no microphone"
    assert window.views.video._empty[1] == "Connect a camera, or open a recording"


def test_a_recording_is_silent_before_devices_are_looked_for(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = open_window(replay)
    qtbot.waitUntil(lambda: not window.switcher._listing.busy)
    stopped: list[int] = []

    def look() -> Devices:
        stopped.append(replay.stopped)
        return list_fake_devices()

    monkeypatch.setattr(window.switcher, "_list_devices", look)
    window.switcher.go_live()
    qtbot.waitUntil(lambda: window.live is not None)
    assert stopped == [1]
    assert replay.stopped == 1


def test_the_speed_stays_for_the_next_recording_of_the_window(
    qtbot: QtBot, open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    replay.speed = 1.25  # that was asked for
    window = open_window(replay)
    run(window, now, 0.1)
    assert replay.speed == 1.25
    press(window, Qt.Key.Key_BracketRight)
    open_file(qtbot, window, Path("other.mp4"))
    assert isinstance(window.replay, FakeReplaySession)
    assert window.replay.speed == 1.5
    window.switcher.go_live()
    qtbot.waitUntil(lambda: window.live is not None)
    open_file(qtbot, window, Path("other.mp4"))
    assert window.replay.speed == 1.5
    run(window, now, 0.1)
    assert window.views.transport.speed_choice.currentText() == "1.5×"
    window.close()
    again = open_window(FakeReplaySession(now))
    assert isinstance(again.replay, FakeReplaySession)
    assert again.replay.speed == 1.0


@pytest.mark.parametrize("seconds", [2.0, 6.5], ids=["amid", "after"])
@pytest.mark.parametrize("to", ["recording", "live"])
def test_leaving_a_recording_amid_its_analysis_says_what_of_it_is_written(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    to: str,
    seconds: float,
) -> None:
    replay.out = Path("talk.csv")
    window = open_window(replay)
    run(window, now, seconds)
    press_focused(Qt.Key.Key_Escape)  # of the first run
    if to == "live":
        window.switcher.go_live()
        qtbot.waitUntil(lambda: window.live is not None)
    else:
        open_file(qtbot, window, Path("other.mp4"))
    run(window, now, 0.2)
    told = window.views.banner.notice.text if window.views.banner.notice else ""
    cut_short = "160 answers, up to 0:16 of 0:48, written to talk.csv"
    assert told == cut_short if seconds < 6.0 else "written" not in told


def test_a_recording_is_opened_and_left_again(
    qtbot: QtBot,
    open_window: OpenWindow,
    live: FakeLiveSession,
    factory: FakeFactory,
    now: ManualTime,
) -> None:
    window = open_window(live)
    live.set_camera("1")
    run(window, now, 2.0)
    open_file(qtbot, window, Path("other.mkv"))
    (replay,) = factory.made
    assert isinstance(replay, FakeReplaySession)
    assert window.views.answer.headline == "Waiting"  # nothing of the old session is left
    qtbot.waitUntil(lambda: replay.started == 1)
    assert live.stopped == 1
    run(window, now, 2.0)
    window.commands["live"].trigger()
    again = factory.made[-1]
    assert isinstance(again, FakeLiveSession)
    qtbot.waitUntil(lambda: again.started == 1)
    assert replay.stopped == 1
    assert (again.camera, again.microphone) == ("1", "default")
    assert window.views.video.mirrored


def test_a_recording_is_left_for_the_devices_that_are_there_then(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    factory: FakeFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = open_window(replay)
    plugged_in = Listing(
        [CameraInfo(index=2, name="Conference camera"), CameraInfo(index=4, name="Lid camera")]
    )
    monkeypatch.setattr(window.switcher, "_list_devices", lambda: (plugged_in, Listing()))
    qtbot.waitUntil(
        lambda: not window.switcher._listing.busy
    )  # of the start, before they were there
    press(window, Qt.Key.Key_L, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: window.live is not None)
    (session,) = factory.made
    assert isinstance(session, FakeLiveSession)
    assert (session.camera, session.microphone) == ("2", None)
    assert window.views.header.camera_choice.currentText() == "Conference camera"


def test_a_recording_that_is_left_stands_still_while_devices_are_looked_for(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_answer = threading.Event()

    def look() -> Devices:
        assert may_answer.wait(30.0)
        return list_fake_devices()

    window = open_window(replay)
    qtbot.waitUntil(lambda: not window.switcher._listing.busy)
    monkeypatch.setattr(window.switcher, "_list_devices", look)
    run(window, now, 1.0)
    press(window, Qt.Key.Key_L, Qt.KeyboardModifier.ControlModifier)
    run(window, now, 1.0)
    loading = window.views.loading
    assert loading.isVisible()
    assert loading.accessibleDescription() == "Looking for cameras and microphones"
    for key in (Qt.Key.Key_Space, Qt.Key.Key_Right, Qt.Key.Key_BracketRight):
        press(window, key)
    window.views.timeline.sought.emit(9.0)
    window.views.transport.sought.emit(9.0)
    run(window, now, 1.0)
    assert (replay.playing, replay.speed) == (False, 1.0)
    assert replay.position_seconds == pytest.approx(1.0)
    may_answer.set()
    qtbot.waitUntil(lambda: window.live is not None)
    run(window, now, 2.0)
    assert not loading.isVisible()
    assert window.commands["pause"].isEnabled()


def test_going_live_again_waits_until_the_recording_is_stopped(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_stop = threading.Event()
    done: list[str] = []

    def stop() -> None:
        assert may_stop.wait(30.0)
        done.append("stopped")

    def look() -> Devices:
        done.append("looked")
        return list_fake_devices()

    window = open_window(replay)
    qtbot.waitUntil(lambda: not window.switcher._listing.busy)
    monkeypatch.setattr(replay, "stop", stop)
    monkeypatch.setattr(window.switcher, "_list_devices", look)
    for _ in range(2):
        press(window, Qt.Key.Key_L, Qt.KeyboardModifier.ControlModifier)
    window.switcher._listing.wait(30.0)
    may_stop.set()
    qtbot.waitUntil(lambda: window.live is not None)
    assert done == ["stopped", "looked"]
    assert not window.commands["live"].autoRepeat()
    assert not window.commands["export"].autoRepeat()
    assert window.commands["forward"].autoRepeat()


def test_where_looking_for_devices_fails_one_goes_live_without_them(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    factory: FakeFactory,
    now: ManualTime,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def look() -> Devices:
        raise RuntimeError("a driver crashed")

    window = open_window(replay)
    qtbot.waitUntil(lambda: not window.switcher._listing.busy)
    monkeypatch.setattr(window.switcher, "_list_devices", look)
    window.commands["live"].trigger()
    qtbot.waitUntil(lambda: window.live is not None)
    (session,) = factory.made
    assert isinstance(session, FakeLiveSession)
    assert (session.camera, session.microphone) == (None, None)
    run(window, now, 2.0)
    assert window.views.banner.notice is not None
    assert window.views.banner.notice.text.startswith("Devices cannot be looked for")
    assert "a driver crashed" in caplog.text


def test_another_recording_goes_before_devices_that_are_still_listed(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    factory: FakeFactory,
) -> None:
    window = open_window(replay)
    qtbot.waitUntil(lambda: not window.switcher._listing.busy)
    window.commands["live"].trigger()
    open_file(qtbot, window, Path("other.mkv"))
    qtbot.waitUntil(lambda: not window.switcher._listing.busy)
    assert [type(each) for each in factory.made] == [FakeReplaySession]


@dataclass
class SlowSession(FakeLiveSession):
    """Takes as long to stop as the test wants."""

    may_stop: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        assert self.may_stop.wait(30.0)
        super().stop()


@pytest.fixture
def slow(now: ManualTime) -> Iterator[SlowSession]:
    session = SlowSession(now)
    yield session
    session.may_stop.set()


def test_the_window_goes_on_while_a_session_is_stopped(
    qtbot: QtBot,
    open_window: OpenWindow,
    slow: SlowSession,
    factory: FakeFactory,
    now: ManualTime,
) -> None:
    window = open_window(slow)
    run(window, now, 2.0)
    assert not window.views.loading.isVisible()
    open_file(qtbot, window, Path("one.mp4"))
    run(window, now, 0.2)
    assert window.views.loading.isVisible()
    open_file(qtbot, window, Path("two.mp4"))
    first, second = factory.made
    assert (slow.stopped, first.started, second.started) == (0, 0, 0)
    slow.may_stop.set()
    qtbot.waitUntil(lambda: second.started == 1)
    assert (slow.stopped, first.started, first.stopped) == (1, 0, 0)
    run(window, now, 2.0)
    assert window.windowTitle() == "two.mp4 – MSAF Live"
    assert not window.views.loading.isVisible()
    window.close()
    assert (second.started, second.stopped) == (1, 1)


def test_closing_the_window_starts_nothing_any_more(
    qtbot: QtBot,
    qapp: QApplication,
    open_window: OpenWindow,
    slow: SlowSession,
    factory: FakeFactory,
) -> None:
    window = open_window(slow)
    open_file(qtbot, window, Path("one.mp4"))
    slow.may_stop.set()
    window.close()
    assert slow.stopped == 1
    qapp.processEvents()
    (session,) = factory.made
    assert (session.started, session.stopped) == (0, 0)


def test_a_session_that_cannot_be_stopped_does_not_hold_up_the_next(
    qtbot: QtBot,
    open_window: OpenWindow,
    live: FakeLiveSession,
    factory: FakeFactory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise RuntimeError("the driver crashed")

    monkeypatch.setattr(live, "stop", fail)
    window = open_window(live)
    open_file(qtbot, window, Path("one.mp4"))
    (session,) = factory.made
    qtbot.waitUntil(lambda: session.started == 1)
    assert "the driver crashed" in caplog.text


def test_an_unreadable_recording_leaves_the_session_alone(
    qtbot: QtBot,
    open_window: OpenWindow,
    live: FakeLiveSession,
    factory: FakeFactory,
    now: ManualTime,
) -> None:
    factory.unreadable.add(Path("my text.mp4"))
    window = open_window(live)
    run(window, now, 2.0)
    open_file(qtbot, window, Path("my text.mp4"))
    run(window, now, 0.5)
    assert live.stopped == 0
    assert window.views.banner.notice is not None
    assert window.views.banner.notice.text == "my text.mp4 cannot be read as a recording"
    another = next(
        each
        for each in window.views.banner.findChildren(QAbstractButton)
        if each.text() == "Open recording…"
    )
    click(another)
    (dialog,) = window.findChildren(QFileDialog)
    dialog.close()


def test_the_window_goes_on_while_a_recording_is_looked_into(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    factory: FakeFactory,
    now: ManualTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_answer = threading.Event()
    checked: list[Path] = []

    def check(path: Path) -> None:
        checked.append(path)
        assert may_answer.wait(5.0)
        if path == Path("one.txt"):
            raise UnreadableFileError("one.txt is no recording")

    monkeypatch.setattr(factory, "check", check)
    window = open_window(replay)
    for name in ("one.txt", "two.mp4", "three.mp4"):  # the newest is what is wanted
        window.switcher.open_recording(Path(name))
    run(window, now, 2.0)
    assert window.windowTitle() == "talk.mp4 – MSAF Live"
    assert window.views.answer.headline == "Neutral"
    may_answer.set()
    qtbot.waitUntil(lambda: window.windowTitle() == "three.mp4 – MSAF Live")
    assert checked == [Path("one.txt"), Path("three.mp4")]
    window.switcher.open_recording(Path("four.mp4"))
    window.switcher.go_live()
    qtbot.waitUntil(lambda: window.live is not None and not window.switcher._checking.busy)
    assert [type(each) for each in factory.made] == [FakeReplaySession, FakeLiveSession]


def test_a_failed_session_can_be_tried_again(
    qtbot: QtBot,
    open_window: OpenWindow,
    live: FakeLiveSession,
    factory: FakeFactory,
    now: ManualTime,
) -> None:
    live.state, live.message = SessionState.FAILED, "The weights are damaged."
    live.camera = "http://cam.local/"
    window = open_window(live)
    run(window, now, 0.2)
    assert window.views.banner.isVisible()
    assert window.views.banner.accessibleDescription() == "The weights are damaged."
    retry = next(
        each for each in window.views.banner.findChildren(QAbstractButton) if each.text() == "Retry"
    )
    click(retry)
    (second,) = factory.made
    qtbot.waitUntil(lambda: second.started == 1)
    assert live.stopped == 1
    assert isinstance(second, FakeLiveSession)
    assert second.camera == "http://cam.local/"
    run(window, now, 2.0)
    assert window.views.answer.headline == "Neutral"


# -- without a window --------------------------------------------------------------------------


@dataclass
class Watched:
    """A switcher, and what it tells."""

    switcher: SessionSwitcher
    sessions: list[FakeLiveSession | FakeReplaySession] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.switcher.changed.connect(self.sessions.append)
        self.switcher.told.connect(self.notices.append)


Watch = Callable[[FakeLiveSession | FakeReplaySession], Watched]


@pytest.fixture
def watch(factory: FakeFactory) -> Iterator[Watch]:
    """Starts a switcher on a session."""
    switchers: list[SessionSwitcher] = []

    def watched(session: FakeLiveSession | FakeReplaySession) -> Watched:
        switchers.append(SessionSwitcher(session, factory, list_fake_devices))
        switchers[-1].start()
        return Watched(switchers[-1])

    yield watched
    for switcher in switchers:
        switcher.stop(Deadline())
        switcher.wait(Deadline())


def test_a_change_is_told_before_the_session_starts(
    qtbot: QtBot, watch: Watch, live: FakeLiveSession
) -> None:
    watched = watch(live)
    switcher = watched.switcher
    assert (switcher.live, switcher.replay, live.started) == (live, None, 1)
    started: list[int] = []
    switcher.changed.connect(lambda session: started.append(session.started))
    switcher.open_recording(Path("talk.mp4"))
    qtbot.waitUntil(lambda: bool(watched.sessions))
    (session,) = watched.sessions
    assert (switcher.live, switcher.replay, switcher.session) == (None, session, session)
    qtbot.waitUntil(lambda: session.started == 1)
    assert (started, live.stopped, watched.notices) == ([0], 1, [])


def test_from_a_recording_one_goes_live_on_the_devices_that_are_found(
    qtbot: QtBot, watch: Watch, replay: FakeReplaySession
) -> None:
    watched = watch(replay)
    switcher = watched.switcher
    switcher.go_live()
    assert switcher.replay is replay  # until it is stopped and the devices are listed
    qtbot.waitUntil(lambda: switcher.live is not None)
    assert switcher.devices is not None
    (session,) = watched.sessions
    assert isinstance(session, FakeLiveSession)
    assert (session.camera, session.microphone, replay.stopped) == ("0", "default", 1)
    assert [each.text for each in watched.notices] == [
        "New microphones are found only while no sound is recorded or played"
    ]
    qtbot.waitUntil(lambda: session.started == 1)


def test_what_cannot_be_opened_changes_nothing(
    qtbot: QtBot, watch: Watch, factory: FakeFactory, live: FakeLiveSession
) -> None:
    watched = watch(live)
    factory.unreadable.add(Path("notes.txt"))
    watched.switcher.open_recording(Path("notes.txt"), of=2)
    qtbot.waitUntil(lambda: bool(watched.notices))
    (notice,) = watched.notices
    assert (notice.severity, notice.remedy) == (Severity.ERROR, Remedy.OPEN)
    assert (watched.sessions, live.stopped) == ([], 0)
    factory.unreadable.clear()
    watched.switcher.open_recording(Path("notes.txt"), of=2)
    qtbot.waitUntil(lambda: len(watched.notices) == 2)
    assert watched.notices[1].text == "Only the first of 2 files was opened."


def test_a_recording_that_cannot_be_opened_does_not_keep_from_going_live(
    qtbot: QtBot, watch: Watch, factory: FakeFactory, replay: FakeReplaySession
) -> None:
    watched = watch(replay)
    qtbot.waitUntil(lambda: not watched.switcher._listing.busy)
    factory.unreadable.add(Path("notes.txt"))
    watched.switcher.go_live()  # which stops the recording at once
    watched.switcher.open_recording(Path("notes.txt"))
    qtbot.waitUntil(lambda: watched.switcher.live is not None)
    (session,) = watched.sessions
    qtbot.waitUntil(lambda: isinstance(session, FakeLiveSession) and session.started == 1)
    assert Severity.ERROR in {each.severity for each in watched.notices}


def test_a_recording_asked_for_on_the_way_to_live_is_opened(
    qtbot: QtBot, watch: Watch, replay: FakeReplaySession
) -> None:
    watched = watch(replay)
    qtbot.waitUntil(lambda: not watched.switcher._listing.busy)
    watched.switcher.go_live()
    watched.switcher.open_recording(Path("talk.mp4"))
    qtbot.waitUntil(lambda: bool(watched.sessions))
    qtbot.waitUntil(lambda: not watched.switcher._listing.busy)
    (session,) = watched.sessions
    assert isinstance(session, FakeReplaySession)


def test_a_stopped_switcher_starts_nothing(
    qtbot: QtBot, watch: Watch, live: FakeLiveSession
) -> None:
    watched = watch(live)
    watched.switcher.stop(Deadline())
    assert not watched.switcher.running
    watched.switcher.open_recording(Path("talk.mp4"))
    qtbot.waitUntil(lambda: bool(watched.sessions))
    assert (watched.sessions[0].started, live.stopped) == (0, 1)

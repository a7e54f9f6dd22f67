"""Which notice is shown, and for how long."""

from pathlib import Path

import pytest
from PyQt6.QtCore import QSettings, Qt
from pytestqt.qtbot import QtBot

from realtime.messages import SessionState, SourceHealth, SourceState
from tests.fakes.session import FakeFactory, FakeLiveSession, FakeReplaySession, ManualTime
from tests.ui.conftest import OpenWindow, export, press_focused, run
from ui.notice_board import NoticeBoard
from ui.present.notices import Notice, Severity
from ui.present.words import PRIVACY


def test_an_export_amid_the_analysis_says_how_far_it_goes(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    tmp_path: Path,
) -> None:
    window = open_window(replay)
    run(window, now, 2.0)
    export(qtbot, window, tmp_path / "part.csv")
    notice = window.views.banner.notice
    assert notice is not None
    assert notice.text == f"160 answers, up to 0:16 of 0:48, written to {tmp_path / 'part.csv'}"
    assert notice.severity is Severity.WARNING
    run(window, now, 3.9)
    assert window.views.banner.notice == notice
    run(window, now, 0.2)  # to the end of the analysis
    assert window.views.banner.notice != notice
    export(qtbot, window, tmp_path / "whole.csv")
    run(window, now, 0.1)
    whole = window.views.banner.notice
    assert whole is not None
    assert whole.text == f"480 answers written to {tmp_path / 'whole.csv'}"


def test_a_failure_is_shown_before_what_was_exported(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    tmp_path: Path,
) -> None:
    replay.notes = ("It is cut off.",)
    window = open_window(replay)
    run(window, now, 2.0)

    def told() -> str:
        return window.views.banner.notice.text if window.views.banner.notice else ""

    export(qtbot, window, tmp_path / "talk.csv")
    assert "talk.csv" in told()  # what was just done, before what is no graver
    replay.state, replay.message = SessionState.FAILED, "The analysis failed."
    run(window, now, 0.1)
    assert told() == "The analysis failed."
    export(qtbot, window, tmp_path / "talk.csv")
    assert told() == "The analysis failed."
    window.views.banner.dismissed.emit(window.views.banner.notice)
    run(window, now, 0.1)
    assert "talk.csv" in told()


def test_the_first_run_says_that_nothing_leaves_the_computer(
    open_window: OpenWindow, live: FakeLiveSession, factory: FakeFactory, now: ManualTime
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    assert window.views.banner.notice is not None
    assert window.views.banner.notice.text == PRIVACY
    window.views.banner.dismissed.emit(window.views.banner.notice)
    run(window, now, 0.5)
    assert window.views.banner.notice is None
    again = open_window(factory.live("0", None))
    run(again, now, 2.0)
    assert again.views.banner.notice is None


@pytest.mark.parametrize("kind", ["camera", "microphone"])
def test_what_was_told_of_a_device_goes_when_another_is_chosen(
    qtbot: QtBot, open_window: OpenWindow, live: FakeLiveSession, now: ManualTime, kind: str
) -> None:
    window = open_window(live)
    choice = (
        window.views.header.camera_choice
        if kind == "camera"
        else window.views.header.microphone_choice
    )
    qtbot.waitUntil(lambda: choice.count() > 2)
    run(window, now, 2.0)
    press_focused(Qt.Key.Key_Escape)  # of the first run
    window.switcher.told.emit(Notice(text="There is no camera 7.", severity=Severity.WARNING))
    run(window, now, 0.1)
    assert window.views.banner.isVisible()
    choice.activated.emit(1)
    run(window, now, 0.1)
    assert window.views.banner.notice is None


def test_a_dismissed_notice_stays_away_until_it_happens_again(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    assert window.views.banner.notice is not None
    window.views.banner.dismissed.emit(window.views.banner.notice)  # of the first run
    failed = SourceHealth(name="Camera", state=SourceState.FAILED, message="gone")
    live.health_changes["camera"] = failed
    run(window, now, 0.2)
    assert window.views.banner.notice is not None
    window.views.banner.dismissed.emit(window.views.banner.notice)
    run(window, now, 0.5)
    assert window.views.banner.notice is None
    del live.health_changes["camera"]
    run(window, now, 0.2)
    live.health_changes["camera"] = failed
    run(window, now, 0.2)
    assert window.views.banner.isVisible()


def test_a_notice_that_only_informs_goes_by_itself(
    qtbot: QtBot, open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    window = open_window(replay)
    run(window, now, 0.5)
    press_focused(Qt.Key.Key_Escape)  # of the first run
    replay.notes = ("it is cut off",)
    run(window, now, 0.1)
    assert window.views.banner.notice is not None
    assert window.views.banner.reading.isActive()
    window.views.banner.reading.setInterval(0)
    qtbot.waitUntil(lambda: window.views.banner.notice is None)
    run(window, now, 0.5)
    assert not window.views.banner.isVisible()
    export(qtbot, window, Path("talk.doc"))
    run(window, now, 0.5)
    assert window.views.banner.isVisible()
    assert not window.views.banner.reading.isActive()  # a failure stays until it is dismissed


def test_nothing_is_read_in_a_minimised_window(
    qtbot: QtBot,
    open_window: OpenWindow,
    live: FakeLiveSession,
    now: ManualTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    reading, expired = window.views.banner.reading, []
    reading.timeout.connect(lambda: expired.append(window.views.banner.notice))
    window.showMinimized()
    reading.setInterval(0)
    qtbot.waitUntil(lambda: len(expired) > 1)
    assert expired[-1] is not None
    assert expired[-1].text == PRIVACY
    again: list[bool] = []
    with monkeypatch.context() as patches:
        patches.setattr(reading, "start", lambda: again.append(window.isMinimized()))
        window.showNormal()
    assert again == [False]  # there is as much time as ever to read it
    qtbot.waitUntil(lambda: window.views.banner.notice is None)


# -- without a window --------------------------------------------------------------------------


LOST = Notice(text="Camera: it has stopped sending pictures", severity=Severity.WARNING)


@pytest.fixture
def board(tmp_path: Path) -> NoticeBoard:
    return NoticeBoard(QSettings(str(tmp_path / "board.ini"), QSettings.Format.IniFormat))


def test_the_gravest_is_shown_and_of_the_same_what_was_told(board: NoticeBoard) -> None:
    told, note = Notice(text="480 answers written"), Notice(text="It is cut off.")
    board.tell(told)
    for found, shown in (([], told), ([note], told), ([LOST, note], LOST)):
        assert board.choose(found, SessionState.RUNNING) is shown
    board.dismiss(told)
    assert board.choose([note], SessionState.RUNNING) is note


def test_what_is_told_of_a_part_goes_with_the_end_of_the_analysis(board: NoticeBoard) -> None:
    part, whole = Notice(text="160 answers written"), Notice(text="480 answers written")
    board.tell(part, partial=True)
    assert board.choose([], SessionState.RUNNING) is part
    assert board.choose([LOST], SessionState.ENDED) is LOST
    board.tell(part, partial=True)
    board.tell(whole)
    assert board.choose([], SessionState.ENDED) is whole
    board.clear()
    assert board.choose([LOST], SessionState.ENDED) is LOST


def test_privacy_is_told_once_there_is_room_for_it(board: NoticeBoard) -> None:
    assert board.choose([], SessionState.LOADING) is None
    shown = board.choose([], SessionState.RUNNING)
    assert shown is not None
    assert shown.text == PRIVACY
    assert board.choose([LOST], SessionState.RUNNING) is LOST
    board.dismiss(shown)
    assert board.choose([], SessionState.RUNNING) is None


def test_nothing_is_stored_is_not_said_while_answers_are_written(tmp_path: Path) -> None:
    settings = QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
    board, writing = NoticeBoard(settings), Notice(text="Answers are written to a.csv")
    assert board.choose([writing], SessionState.RUNNING) == writing
    board.dismiss(writing)
    assert board.choose([writing], SessionState.RUNNING) is None
    shown = board.choose([], SessionState.RUNNING)
    assert shown is not None
    assert shown.text == PRIVACY

"""Help, About and the choice of a file to export to."""

from pathlib import Path

import pytest
from PyQt6.QtCore import QPoint, QRect, QSize, Qt, QTimer
from PyQt6.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QTextBrowser,
    QToolButton,
)
from pytestqt.qtbot import QtBot

from tests.fakes.session import FakeLiveSession, FakeReplaySession, ManualTime
from tests.ui.conftest import OpenWindow, has_colour, press, run, type_in
from ui import palette
from ui.dialogs import AboutDialog, ExportDialog, HelpDialog


@pytest.mark.parametrize(("command", "kind"), [("help", HelpDialog), ("about", AboutDialog)])
def test_help_and_about_open(
    open_window: OpenWindow,
    live: FakeLiveSession,
    command: str,
    kind: type[QDialog],
) -> None:
    window = open_window(live)
    window.commands[command].trigger()
    (dialog,) = window.findChildren(kind)
    assert dialog.isVisible()
    dialog.grab()
    window.commands[command].trigger()  # the second replaces the first
    dialogs = [each for each in window.findChildren(kind) if each.isVisible()]
    assert len(dialogs) == 1
    dialogs[0].close()


def put_dialogs_on_a_screen(monkeypatch: pytest.MonkeyPatch, room: QSize) -> None:
    class Screen:
        def availableGeometry(self) -> QRect:  # noqa: N802
            return QRect(QPoint(0, 0), room)

    monkeypatch.setattr(QDialog, "screen", lambda _: Screen())


@pytest.mark.parametrize("command", ["help", "about"])
def test_dialogs_fit_on_a_small_screen(
    open_window: OpenWindow,
    live: FakeLiveSession,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    window = open_window(live)
    put_dialogs_on_a_screen(monkeypatch, QSize(683, 360))
    window.commands[command].trigger()
    (dialog,) = [each for each in window.findChildren(QDialog) if each.isVisible()]
    assert dialog.height() < 340
    dialog.grab()
    close = next(each for each in dialog.findChildren(QPushButton) if each.text() == "Close")
    assert dialog.rect().contains(close.geometry())
    for keys in dialog.findChildren(QScrollArea):
        bar = keys.verticalScrollBar()
        assert bar is not None
        assert bar.maximum() > 0
    dialog.close()


def test_all_keys_are_seen_at_once_where_there_is_room(
    open_window: OpenWindow, live: FakeLiveSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_window(live)
    put_dialogs_on_a_screen(monkeypatch, QSize(1920, 1040))
    window.commands["help"].trigger()
    (dialog,) = window.findChildren(HelpDialog)
    dialog.grab()
    keys = dialog.findChild(QScrollArea)
    assert keys is not None
    whole, port = keys.widget(), keys.viewport()
    assert whole is not None
    assert port is not None
    QApplication.processEvents()  # in which the bar goes
    assert port.rect().contains(whole.geometry())
    dialog.close()


def test_where_help_scrolls_it_shows_that_it_has_the_focus(
    qtbot: QtBot, open_window: OpenWindow, live: FakeLiveSession
) -> None:
    window = open_window(live)
    window.commands["help"].trigger()
    (dialog,) = window.findChildren(HelpDialog)
    qtbot.waitUntil(dialog.isActiveWindow)
    scrolled = dialog.findChild(QScrollArea)
    assert scrolled is not None
    assert scrolled.accessibleName()
    assert not has_colour(scrolled.grab().toImage(), palette.ACCENT)
    scrolled.setFocus(Qt.FocusReason.TabFocusReason)
    assert has_colour(scrolled.grab().toImage(), palette.ACCENT)
    dialog.close()


@pytest.mark.parametrize("command", ["open", "export"])
def test_a_file_dialog_of_qt_fits_on_a_small_screen(
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    window = open_window(replay)
    run(window, now, 3.0)
    room = QSize(640, 360)
    put_dialogs_on_a_screen(monkeypatch, room)
    window.commands[command].trigger()
    (dialog,) = window.findChildren(QFileDialog)
    dialog.grab()
    assert dialog.height() < room.height()
    assert dialog.width() < room.width()
    for control in (*dialog.findChildren(QPushButton), *dialog.findChildren(QLineEdit)):
        if control.isVisible():
            assert dialog.rect().contains(QRect(control.mapTo(dialog, QPoint()), control.size()))
    dialog.close()


@pytest.mark.parametrize("command", ["open", "export"])
def test_the_arrows_of_a_file_dialog_of_qt_are_seen(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime, command: str
) -> None:
    window = open_window(replay)
    run(window, now, 3.0)
    window.commands[command].trigger()
    (dialog,) = window.findChildren(QFileDialog)
    for name in ("backButton", "forwardButton", "toParentButton"):
        button = dialog.findChild(QToolButton, name)
        assert button is not None
        button.setEnabled(True)
        assert has_colour(button.grab().toImage(), palette.TEXT), name
    dialog.close()


def test_help_explains_what_is_shown(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    run(window, now, 1.0)
    window.commands["help"].trigger()
    (dialog,) = window.findChildren(HelpDialog)
    texts = [label.text() for label in dialog.findChildren(QLabel)]
    for name in ("Answer", "Picture", "What counted", "MSAF attention", "Sound", "Timeline"):
        explanation = texts[texts.index(name) + 1]
        assert len(explanation) > 80, name
        assert "\n" not in explanation
    assert "Delay p50 · p95" in texts
    dialog.close()


def test_the_about_box_scrolls_only_up_and_down(
    open_window: OpenWindow, live: FakeLiveSession
) -> None:
    window = open_window(live)
    window.commands["about"].trigger()
    (card,) = window.findChildren(QTextBrowser)
    assert card.horizontalScrollBarPolicy() is Qt.ScrollBarPolicy.ScrollBarAlwaysOff
    window.findChildren(AboutDialog)[0].close()


def test_question_mark_opens_help(open_window: OpenWindow, live: FakeLiveSession) -> None:
    window = open_window(live)
    press(window, Qt.Key.Key_Question)
    (dialog,) = window.findChildren(HelpDialog)
    dialog.close()


@pytest.mark.parametrize(
    ("name", "kind", "written_to"),
    [
        ("results", 0, "results.csv"),
        ("results.v2", 0, "results.v2.csv"),
        ("results.v2", 1, "results.v2.jsonl"),
        ("results.JSONL", 0, "results.JSONL"),
        ("results.csv", 1, "results.csv"),
    ],
)
def test_a_name_to_export_to_gets_an_ending_that_can_be_written(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    kind: int,
    written_to: str,
) -> None:
    replay.path = tmp_path / "talk.mp4"
    window = open_window(replay)
    exported: list[Path] = []
    monkeypatch.setattr(window, "export", lambda path, _of: exported.append(path))
    run(window, now, 3.0)
    window.commands["export"].trigger()
    (dialog,) = window.findChildren(ExportDialog)
    dialog.selectNameFilter(dialog.nameFilters()[kind])
    line = dialog.findChild(QLineEdit)
    assert line is not None
    line.clear()
    type_in(line, name)
    press(line, Qt.Key.Key_Return)
    assert exported == [tmp_path / written_to]


def test_a_name_too_long_for_a_file_is_told(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    tmp_path: Path,
) -> None:
    replay.path = tmp_path / "talk.mp4"
    window = open_window(replay)
    run(window, now, 3.0)
    window.commands["export"].trigger()
    (dialog,) = window.findChildren(ExportDialog)
    line = dialog.findChild(QLineEdit)
    assert line is not None
    line.setText("x" * 300)
    press(line, Qt.Key.Key_Return)
    dialog.fileSelected.emit(str(tmp_path / ("y" * 300)))  # as a dialog of the system's does
    qtbot.waitUntil(lambda: not window._filing.busy)
    assert window.views.banner.notice is not None
    assert window.views.banner.notice.text.startswith("The answers cannot be written")
    dialog.close()


def test_a_file_is_replaced_only_after_it_was_asked_about(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replay.path = tmp_path / "talk.mp4"
    (tmp_path / "results.v2.csv").write_text("of yesterday")
    window = open_window(replay)
    exported: list[Path] = []
    monkeypatch.setattr(window, "export", lambda path, _of: exported.append(path))
    run(window, now, 3.0)
    window.commands["export"].trigger()
    (dialog,) = window.findChildren(ExportDialog)
    asked: list[str] = []

    def decline() -> None:
        question = QApplication.activeModalWidget()
        assert isinstance(question, QMessageBox)
        asked.append(question.text())
        question.reject()

    line = dialog.findChild(QLineEdit)
    assert line is not None
    line.clear()
    type_in(line, "results.v2")
    QTimer.singleShot(0, decline)
    press(line, Qt.Key.Key_Return)
    assert len(asked) == 1
    assert "results.v2.csv" in asked[0]
    # A dialog of the system's does not come by here, and has asked about another name.
    dialog.fileSelected.emit(str(tmp_path / "results.v2"))
    assert exported == []
    assert window.views.banner.notice is not None
    assert "results.v2.csv exists already" in window.views.banner.notice.text
    dialog.fileSelected.emit(str(tmp_path / "results.v2.csv"))
    assert exported == [tmp_path / "results.v2.csv"]
    dialog.close()

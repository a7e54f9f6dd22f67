"""The application around the window: how it starts, fails and ends."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from PyQt6.QtCore import QSettings, QTimer
from PyQt6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from tests.fakes.session import FakeFactory, FakeLiveSession, ManualTime, list_fake_devices
from ui import app
from ui.main_window import MainWindow


def windows() -> list[MainWindow]:
    return [each for each in QApplication.topLevelWidgets() if isinstance(each, MainWindow)]


@pytest.fixture
def settings(tmp_path: Path) -> QSettings:
    return QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)


def test_the_window_is_shown_before_the_session_starts(
    qtbot: QtBot, factory: FakeFactory, now: ManualTime, settings: QSettings
) -> None:
    session = FakeLiveSession(now)
    seen: list[tuple[bool, int]] = []

    def look() -> None:
        (window,) = [each for each in windows() if each.isVisible()]
        seen.append((window.isVisible(), session.started))
        QTimer.singleShot(0, window.close)

    QTimer.singleShot(50, look)
    code = app.run_window(session, factory, list_devices=list_fake_devices, settings=settings)
    assert code == 0
    assert seen == [(True, 1)]
    assert session.stopped == 1


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_program_cleanly(
    qtbot: QtBot,
    factory: FakeFactory,
    now: ManualTime,
    settings: QSettings,
    number: signal.Signals,
) -> None:
    session = FakeLiveSession(now)
    before = signal.getsignal(number)
    QTimer.singleShot(50, lambda: os.kill(os.getpid(), number))
    code = app.run_window(session, factory, list_devices=list_fake_devices, settings=settings)
    assert (code, session.stopped) == (0, 1)
    assert signal.getsignal(number) is before


def test_failures_show_one_dialog_that_names_the_log(
    qtbot: QtBot, caplog: pytest.LogCaptureFixture
) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    with app.failures_shown(window, Path("/logs/msaf-live.log")) as reporter:
        for text in ("first", "second"):
            error = RuntimeError(text)
            sys.excepthook(RuntimeError, error, None)
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
        qtbot.waitUntil(lambda: reporter.dialog is not None)
        QApplication.processEvents()
        dialog = reporter.dialog
        assert dialog is not None
        assert "first" in dialog.informativeText()
        assert "msaf-live.log" in dialog.informativeText()
        dialog.close()
        qtbot.waitUntil(lambda: reporter.dialog is None)
    assert len([record for record in caplog.records if record.levelname == "CRITICAL"]) == 3
    assert sys.excepthook is not reporter.report

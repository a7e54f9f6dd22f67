"""The application around the window: how it starts, fails and ends."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PyQt6 import sip
from PyQt6.QtCore import QEvent, QObject, QRect, QSettings, QSize, QTimer
from PyQt6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from realtime.messages import Snapshot
from tests.fakes.session import FakeFactory, FakeLiveSession, ManualTime, list_fake_devices
from tests.ui.conftest import TASK_OPTIONS
from ui import app
from ui.main_window import MainWindow, WindowOptions

OPTIONS = WindowOptions(**TASK_OPTIONS)


def windows() -> list[MainWindow]:
    return [each for each in QApplication.topLevelWidgets() if isinstance(each, MainWindow)]


@pytest.fixture
def settings(tmp_path: Path) -> QSettings:
    return QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)


def test_the_window_is_shown_before_the_session_starts(
    qtbot: QtBot, factory: FakeFactory, now: ManualTime, settings: QSettings
) -> None:
    painted: list[QWidget] = []
    seen: list[bool] = []

    class Looking(FakeLiveSession):
        """Sees, when it is started, whether the window and what is in it were painted."""

        def start(self) -> None:
            super().start()
            (window,) = [each for each in windows() if each.isVisible()]
            seen.append(window in painted and window.views.answer in painted)
            QTimer.singleShot(0, window.close)

    class Watch(QObject):
        def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
            if isinstance(watched, QWidget) and event and event.type() is QEvent.Type.Paint:
                painted.append(watched)
            return False

    watch, application = Watch(), QApplication.instance()
    assert application is not None
    application.installEventFilter(watch)
    session = Looking(now)
    try:
        code = app.run_window(
            session, factory, list_devices=list_fake_devices, options=OPTIONS, settings=settings
        )
    finally:
        application.removeEventFilter(watch)
    assert code == 0
    assert windows() == []  # left to the process's end, PyQt crashes on it
    assert seen == [True]
    assert (session.started, session.stopped) == (1, 1)


def test_the_window_opens_where_it_was_closed_and_as_large(
    qtbot: QtBot, factory: FakeFactory, now: ManualTime, settings: QSettings
) -> None:
    seen: list[tuple[QRect, bool, bool]] = []

    def run(then: Callable[[MainWindow], object]) -> None:
        class Looking(FakeLiveSession):
            def start(self) -> None:
                super().start()
                (window,) = [each for each in windows() if each.isVisible()]
                full = window.commands["full_screen"].isChecked() or window.isFullScreen()
                seen.append((window.normalGeometry(), window.isMaximized(), full))
                then(window)
                QTimer.singleShot(0, window.close)

        app.run_window(
            Looking(now),
            factory,
            list_devices=list_fake_devices,
            options=OPTIONS,
            settings=settings,
        )

    place = QRect(20, 40, 700, 500)
    run(lambda window: window.setGeometry(place))
    run(lambda window: window.showMaximized())
    run(lambda window: window.set_full_screen(True))
    run(lambda window: None)
    assert seen[1] == (place, False, False)
    assert seen[2] == (place, True, False)
    assert seen[3][2] is False  # nobody looks for a way out of what they did not ask for


def test_a_window_for_some_seconds_counts_them_from_the_end_of_loading(
    qtbot: QtBot, factory: FakeFactory, now: ManualTime, settings: QSettings
) -> None:
    class Loading(FakeLiveSession):
        """Loads until it has been looked at twenty times."""

        looks = 0

        def snapshot(self) -> Snapshot:
            self.looks += 1
            if self.looks == 20:
                now.advance(self.loading_seconds)
            return super().snapshot()

    session = Loading(now)
    code = app.run_window(
        session,
        factory,
        list_devices=list_fake_devices,
        options=OPTIONS,
        settings=settings,
        seconds=0.001,
    )
    assert code == 0
    assert session.looks >= 20
    assert session.stopped == 1


def test_a_window_that_is_never_painted_is_not_waited_for(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_UNSEEN_MILLISECONDS", 1)
    hidden = QWidget()
    qtbot.addWidget(hidden)
    with qtbot.waitSignal(app.FirstPaint(hidden).happened):
        pass


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_program_cleanly(
    qtbot: QtBot,
    factory: FakeFactory,
    now: ManualTime,
    settings: QSettings,
    number: signal.Signals,
) -> None:
    class Interrupted(FakeLiveSession):
        def start(self) -> None:
            super().start()
            QTimer.singleShot(0, lambda: os.kill(os.getpid(), number))

    session = Interrupted(now)
    before = signal.getsignal(number)
    code = app.run_window(
        session, factory, list_devices=list_fake_devices, options=OPTIONS, settings=settings
    )
    assert (code, session.stopped) == (0, 1)
    assert signal.getsignal(number) is before


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
@pytest.mark.parametrize("when", ["before the loop", "in a poll", "at the end"])
def test_signals_may_come_at_any_moment(
    qtbot: QtBot,
    factory: FakeFactory,
    now: ManualTime,
    settings: QSettings,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    class Interrupted(FakeLiveSession):
        def snapshot(self) -> Snapshot:
            if when == "in a poll":
                interrupt()
            return super().snapshot()

    def show(window: MainWindow) -> None:
        QWidget.show(window)
        if when == "before the loop":
            interrupt()
        elif when == "at the end":
            QTimer.singleShot(0, window.close)

    def destroy(window: QWidget) -> None:
        sip.delete(window)
        interrupt()

    monkeypatch.setattr(MainWindow, "show", show)
    monkeypatch.setattr(app, "destroy", destroy)
    patience = QTimer()
    patience.timeout.connect(lambda: QApplication.exit(99))
    patience.start(10_000)
    session = Interrupted(now)
    code = app.run_window(
        session, factory, list_devices=list_fake_devices, options=OPTIONS, settings=settings
    )
    patience.stop()
    assert code == 0


class Screen:
    """A screen of that size, with a bar of the system's at its top."""

    def __init__(self, width: int, height: int) -> None:
        self._room = QRect(0, 30, width, height - 30)

    def availableGeometry(self) -> QRect:  # noqa: N802
        return self._room


@pytest.mark.parametrize(
    ("screen", "least", "most"),
    [
        (Screen(3840, 2160), QSize(3000, 1700), QSize(3500, 2000)),
        (Screen(1920, 1080), QSize(1500, 850), QSize(1700, 950)),
        (Screen(1366, 768), QSize(1050, 600), QSize(1250, 700)),
        (Screen(960, 540), QSize(900, 440), QSize(944, 470)),
        (Screen(640, 360), QSize(600, 280), QSize(624, 290)),
        (Screen(1080, 1920), QSize(900, 1500), QSize(1000, 1700)),
    ],
    ids=lambda it: f"{it._room.width()}" if isinstance(it, Screen) else "",
)
def test_a_new_window_fits_on_its_screen(
    qtbot: QtBot,
    factory: FakeFactory,
    now: ManualTime,
    settings: QSettings,
    monkeypatch: pytest.MonkeyPatch,
    screen: Screen,
    least: QSize,
    most: QSize,
) -> None:
    window = MainWindow(
        FakeLiveSession(now),
        factory,
        list_devices=list_fake_devices,
        settings=settings,
        options=OPTIONS,
    )
    qtbot.addWidget(window)
    monkeypatch.setattr(MainWindow, "screen", lambda _: screen)
    app.place(window)
    assert window.size() == window.size().expandedTo(least).boundedTo(most)
    assert screen.availableGeometry().contains(window.geometry())


@pytest.mark.parametrize(
    ("place", "kept"),
    [
        (QRect(100, 100, 400, 300), QRect(100, 100, 400, 300)),
        (QRect(-50, -9, 400, 300), QRect(0, 30, 400, 300)),
        (QRect(700, 400, 400, 300), QRect(560, 240, 400, 300)),
        (QRect(500, 100, 960, 900), QRect(0, 30, 960, 510)),
    ],
)
def test_what_of_a_window_lies_outside_of_its_screen_is_brought_back(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, place: QRect, kept: QRect
) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    monkeypatch.setattr(QWidget, "screen", lambda _: Screen(960, 540))
    window.setGeometry(place)
    app.keep_on_screen(window)
    assert window.geometry() == kept


@pytest.mark.parametrize("seconds", [3e6, float("inf")])
def test_a_window_may_be_shown_longer_than_qt_counts(
    qtbot: QtBot, factory: FakeFactory, now: ManualTime, settings: QSettings, seconds: float
) -> None:
    class Closing(FakeLiveSession):
        def start(self) -> None:
            super().start()
            (window,) = windows()
            QTimer.singleShot(100, window.close)

    code = app.run_window(
        Closing(now),
        factory,
        list_devices=list_fake_devices,
        options=OPTIONS,
        settings=settings,
        seconds=seconds,
    )
    assert code == 0


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

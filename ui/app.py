"""The Qt application around the window: look, failures, Ctrl-C, and how it ends.

Thread: GUI.
"""

from __future__ import annotations

import functools
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final

from PyQt6 import sip
from PyQt6.QtCore import QEvent, QObject, QSettings, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import QApplication, QMessageBox, QWidget

from realtime.messages import SessionState, Snapshot
from realtime.session import LiveControls, ReplayControls
from ui import icons, theme
from ui.main_window import MainWindow, WindowOptions
from ui.switcher import Devices, SessionFactory

logger = logging.getLogger(__name__)

_SIGNAL_MILLISECONDS: Final = 200  # how long Ctrl-C may wait for Python to run
_COMFORTABLE: Final = QSize(960, 600)  # for a new window, where its screen has the room
_MOST_SECONDS: Final = 2e6  # 23 days; Qt's timers count little further
_UNSEEN_MILLISECONDS: Final = 1000  # until a window that is not painted counts as shown


def run_window(
    session: LiveControls | ReplayControls,
    factory: SessionFactory,
    *,
    list_devices: Callable[[], Devices],
    options: WindowOptions,
    log_path: Path | None = None,
    settings: QSettings | None = None,
    seconds: float | None = None,
) -> int:
    """Show the window until it is closed, and return the exit code.

    `seconds` after the session is loaded it closes by itself (None: never).
    `session` must not be started yet: the window is shown first and loading goes on behind it.
    `log_path` is named when something fails that nobody expected.
    """
    application = make_application()
    window = MainWindow(
        session,
        factory,
        list_devices=list_devices,
        settings=settings or QSettings("msaf-live", "msaf-live"),
        options=options,
    )
    place(window)

    def begin() -> None:
        keep_on_screen(window)  # only now its frame is known
        logger.info("window shown")  # what `bench` waits for
        window.start()

    with interrupts_close(window):  # also while it is destroyed, when there is nothing to close
        try:
            if seconds is not None:
                close_after(window, seconds)
            with failures_shown(window, log_path):
                FirstPaint(window).happened.connect(begin)
                window.show()
                try:
                    return application.exec()
                finally:
                    window.stop()
        finally:
            destroy(window)


def destroy(window: QWidget) -> None:
    """Destroy a closed window and all that is in it, which must be done before the process ends.

    At exit PyQt destroys the remaining Qt objects. It crashes if that frees the wrapper it is
    visiting, as with our windows, which only their own actions' slots still hold.
    """
    sip.delete(window)


def close_after(window: MainWindow, seconds: float) -> None:
    """Close the window so many seconds after its session is loaded, or has failed to be."""
    if seconds > _MOST_SECONDS:  # for ever
        return
    closing = QTimer(window)
    closing.setSingleShot(True)
    closing.setInterval(round(1000 * seconds))
    closing.timeout.connect(window.close)

    def look(snapshot: Snapshot) -> None:
        if snapshot.state is not SessionState.LOADING:
            window.bridge.polled.disconnect(look)
            closing.start()

    window.bridge.polled.connect(look)


class FirstPaint(QObject):
    """Tells once that a window's first picture is on the screen.

    A window that nobody sees, such as a minimised one, is not painted: then it tells after a while.
    """

    happened = pyqtSignal()

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._waiting = QTimer(self)
        self._waiting.setSingleShot(True)
        self._waiting.timeout.connect(self._tell)
        self._waiting.start(_UNSEEN_MILLISECONDS)
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Wait for the window's first paint event."""
        if event is not None and event.type() is QEvent.Type.Paint:
            # The widgets in the window are painted right after it, before any timer fires.
            self._window.removeEventFilter(self)
            self._waiting.start(0)
        return False

    def _tell(self) -> None:
        self._window.removeEventFilter(self)
        self.happened.emit()


@functools.cache
def make_application() -> QApplication:
    """The one application of the process, in our look; it lives as long as the process."""
    existing = QApplication.instance()
    application = existing if isinstance(existing, QApplication) else QApplication(sys.argv[:1])
    application.setApplicationName("MSAF Live")
    application.setDesktopFileName("msaf-live")
    application.setWindowIcon(icons.application_icon())
    theme.dress(application)
    return application


def place(window: MainWindow) -> None:
    """Put the window where it was closed; a new one gets a comfortable part of its screen.

    Of a small screen it gets all, and of one that stands upright an upright part.
    """
    screen = window.screen()
    if screen is None:
        return
    room = screen.availableGeometry()
    most = room.size() - theme.FRAME
    window.setMinimumSize(window.minimumSize().boundedTo(most))
    if window.restore_place():
        return
    shape = QSize(9, 16) if room.height() > room.width() else QSize(16, 9)
    size = shape.scaled(room.size() * 0.85, Qt.AspectRatioMode.KeepAspectRatio)
    window.resize(size.expandedTo(_COMFORTABLE).boundedTo(most))
    window.move(room.center() - window.rect().center())


def keep_on_screen(window: QWidget) -> None:
    """Move and shrink a shown window until it and its frame lie within its screen."""
    screen = window.screen()
    if screen is None or window.isMaximized() or window.isFullScreen():
        return
    room, frame = screen.availableGeometry(), window.frameGeometry()
    if room.contains(frame):
        return
    window.resize(window.size().boundedTo(room.size() - (frame.size() - window.size())))
    frame = window.frameGeometry()
    corner = frame.bottomRight()
    frame.translate(min(room.right() - corner.x(), 0), min(room.bottom() - corner.y(), 0))
    frame.moveLeft(max(frame.left(), room.left()))
    frame.moveTop(max(frame.top(), room.top()))
    window.move(frame.topLeft())


class FailureReporter(QObject):
    """Logs uncaught exceptions, and shows one dialog at a time about them."""

    _failed = pyqtSignal(str)  # brings other threads' failures to the GUI's

    def __init__(self, window: QWidget, log_path: Path | None) -> None:
        super().__init__(window)
        self._window = window
        self._log_path = log_path
        self.dialog: QMessageBox | None = None
        self._failed.connect(self._show)

    def report(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        """Log an exception and show it. Thread: any."""
        if issubclass(kind, KeyboardInterrupt):
            self._window.close()
            return
        logger.critical("an unexpected failure", exc_info=(kind, error, trace))
        self._failed.emit(f"{kind.__name__}: {error}")

    def _show(self, text: str) -> None:
        if self.dialog is not None:
            return
        where = "" if self._log_path is None else f"\n\nMore is in {self._log_path}"
        dialog = QMessageBox(self._window)
        dialog.setIcon(QMessageBox.Icon.Warning)
        dialog.setWindowTitle("MSAF Live")
        dialog.setText("Something went wrong that should not have.")
        dialog.setInformativeText(f"{text}{where}")
        dialog.finished.connect(self._closed)
        self.dialog = dialog
        dialog.open()

    def _closed(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None


@contextmanager
def failures_shown(window: QWidget, log_path: Path | None) -> Iterator[FailureReporter]:
    """While this is open, uncaught exceptions of all threads are logged and shown."""
    reporter = FailureReporter(window, log_path)
    hooks = sys.excepthook, threading.excepthook

    def on_thread(details: threading.ExceptHookArgs) -> None:
        if details.exc_value is not None:
            reporter.report(details.exc_type, details.exc_value, details.exc_traceback)

    sys.excepthook, threading.excepthook = reporter.report, on_thread
    try:
        yield reporter
    finally:
        sys.excepthook, threading.excepthook = hooks


@contextmanager
def interrupts_close(window: QWidget) -> Iterator[None]:
    """While this is open, Ctrl-C and SIGTERM close the window, which ends the application.

    Python handles signals only while Python code runs, so a timer calls some from Qt's loop. The
    handler may interrupt a poll, or come before the loop has begun, which closing would not end:
    so it leaves the closing to the loop.
    """

    def close(_number: int, _frame: FrameType | None) -> None:
        if not sip.isdeleted(window):
            QTimer.singleShot(0, window.close)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, close) for number in numbers]
    timer = QTimer()
    timer.timeout.connect(lambda: None)
    timer.start(_SIGNAL_MILLISECONDS)
    try:
        yield
    finally:
        timer.stop()
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)

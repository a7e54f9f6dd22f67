"""How many pictures a second the real window shows, for `bench`. Thread: GUI."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from PyQt6.QtCore import QEventLoop, QSettings, QSize, QTimer

from realtime.devices.listing import Listing
from realtime.messages import Health, SessionState, Snapshot
from realtime.session import LiveControls
from ui.app import destroy, make_application
from ui.main_window import MainWindow, WindowOptions
from ui.switcher import SessionFactory

SETTLE_SECONDS = 3.0  # the shown rate is an average over two seconds


def shown_rate(
    session: LiveControls,
    factory: SessionFactory,
    seconds: float,
    labels: tuple[str, ...],
    modalities: tuple[str, ...],
    *,
    size: QSize = QSize(1280, 720),  # noqa: B008 (a value that nobody changes)
) -> float:
    """Run a window on `session` and return the median of the pictures it shows per second.

    Counted for `seconds` from when the network runs, of these classes and modalities. Raises
    RuntimeError when the session fails.
    """
    make_application()
    rates: list[float] = []
    state = [SessionState.LOADING]
    loop = QEventLoop()

    def look(snapshot: Snapshot) -> None:
        if snapshot.state is state[-1]:
            return
        state.append(snapshot.state)
        if snapshot.state is SessionState.RUNNING:
            QTimer.singleShot(round(1e3 * (SETTLE_SECONDS + seconds)), loop.quit)
            QTimer.singleShot(round(1e3 * SETTLE_SECONDS), rates.clear)
        elif snapshot.state is SessionState.FAILED:
            loop.quit()

    def note(_: Health, shown_rate: float) -> None:
        rates.append(shown_rate)

    with tempfile.TemporaryDirectory() as folder:
        window = MainWindow(
            session,
            factory,
            list_devices=lambda: (Listing(), Listing()),
            settings=QSettings(str(Path(folder) / "settings.ini"), QSettings.Format.IniFormat),
            options=WindowOptions(labels=labels, modalities=modalities),
        )
        window.bridge.polled.connect(look)
        window.bridge.measured.connect(note)
        window.resize(size)
        window.show()
        window.start()
        loop.exec()
        window.close()
        destroy(window)
    if state[-1] is SessionState.FAILED:
        raise RuntimeError(session.snapshot().message)
    return statistics.median(rates) if rates else 0.0

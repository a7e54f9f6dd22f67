"""Saves a picture of the real window, for the documentation.

    python scripts/screenshot.py window.png --recording realtime/data/demo.mp4 --at 4 --heatmap
    python scripts/screenshot.py window.png --camera http://127.0.0.1:8080/ --at 20

A recording is analysed to its end and played up to the wanted second; devices are watched for that
long. Needs a screen; without one: `xvfb-run -s "-screen 0 1920x1080x24" python scripts/…`
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from PyQt6.QtCore import QEventLoop, QSettings, QSize, QTimer

from realtime.devices.choice import list_devices
from realtime.emotion.task import emotion_task
from realtime.messages import SessionState
from realtime.session import LiveControls, ReplayControls
from realtime.sessions import Sessions
from ui.app import destroy, make_application
from ui.main_window import MainWindow, WindowOptions

RUN_UP_SECONDS: Final = 2.5  # of playback before the picture is taken, so that bars have settled
POLL_MILLISECONDS: Final = 20


def take(
    session: LiveControls | ReplayControls,
    factory: Sessions,
    path: Path,
    *,
    seconds: float,
    size: QSize,
    heatmap: bool = False,
) -> None:
    """Open the window on `session`, save at `path` what it shows at `seconds`, close it.

    Raises RuntimeError when the session fails.
    """
    make_application()
    with tempfile.TemporaryDirectory() as folder:
        settings = QSettings(str(Path(folder) / "settings.ini"), QSettings.Format.IniFormat)
        settings.setValue("privacy_seen", True)
        window = MainWindow(
            session,
            factory,
            list_devices=list_devices,
            settings=settings,
            options=WindowOptions(labels=factory.task.labels(), modalities=factory.task.modalities),
        )
        window.resize(size)
        window.commands["heatmap"].setChecked(heatmap)
        window.show()
        window.start()
        try:
            if isinstance(session, ReplayControls):
                _play_up_to(session, seconds)
            else:
                _watch_for(session, seconds)
            window.grab().save(str(path))
        finally:
            window.close()
            destroy(window)


def _play_up_to(session: ReplayControls, seconds: float) -> None:
    _wait(lambda: session.snapshot().state in (SessionState.ENDED, SessionState.FAILED))
    if (end := session.snapshot()).state is SessionState.FAILED:
        raise RuntimeError(end.message)
    session.seek(max(seconds - RUN_UP_SECONDS, 0.0))
    session.resume()

    def is_there() -> bool:
        playback = session.snapshot().playback
        return playback is None or playback.position >= seconds or not playback.playing

    _wait(is_there)


def _watch_for(session: LiveControls, seconds: float) -> None:
    _wait(lambda: session.snapshot().state is not SessionState.LOADING)
    if (now := session.snapshot()).state is SessionState.FAILED:
        raise RuntimeError(now.message)
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def _wait(done: Callable[[], bool]) -> None:
    """Let Qt run until `done`."""
    loop, timer = QEventLoop(), QTimer()
    timer.timeout.connect(lambda: loop.quit() if done() else None)
    timer.start(POLL_MILLISECONDS)
    loop.exec()


def main() -> None:
    """Parse, take, exit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("picture", type=Path, help="where the PNG goes")
    parser.add_argument("--recording", type=Path)
    parser.add_argument("--camera", help="number or address, where there is no --recording")
    parser.add_argument("--microphone", default="default", help="number, name or none")
    parser.add_argument("--at", type=float, default=3.0, metavar="SECONDS")
    parser.add_argument("--size", default="1280x720", metavar="WIDTHxHEIGHT")
    parser.add_argument("--heatmap", action="store_true")
    wanted = parser.parse_args()
    width, height = map(int, wanted.size.split("x"))
    factory = Sessions(emotion_task())
    session: LiveControls | ReplayControls
    if wanted.recording is not None:
        session = factory.replay(wanted.recording)
        session.pause()  # until it is analysed
    else:
        microphone = None if wanted.microphone == "none" else wanted.microphone
        session = factory.live(wanted.camera, microphone)
    take(
        session,
        factory,
        wanted.picture,
        seconds=wanted.at,
        size=QSize(width, height),
        heatmap=wanted.heatmap,
    )


if __name__ == "__main__":
    main()

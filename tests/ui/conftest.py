"""A window on made-up sessions, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QSettings, QSize, Qt
from PyQt6.QtGui import QImage, QWheelEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from models.config import MODALITIES
from models.labels import EMOTIONS
from tests.fakes.session import (
    FakeFactory,
    FakeLiveSession,
    FakeReplaySession,
    ManualTime,
    list_fake_devices,
)
from ui import palette, theme
from ui.main_window import MainWindow, WindowOptions

_QTEST: Any = QTest  # its type hints take a QTest first, its functions do not


class OpenWindow(Protocol):
    """Opens and starts a window."""

    def __call__(self, session: FakeLiveSession | FakeReplaySession, **options: Any) -> MainWindow:
        """On `session`, with these of the WindowOptions."""
        ...


def press(
    widget: QWidget,
    key: Qt.Key,
    modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
) -> None:
    """Press a key on `widget`."""
    _QTEST.keyClick(widget, key, modifier)


def press_focused(key: Qt.Key) -> None:
    """Press a key where the keyboard's focus is, as a person does."""
    focused = QApplication.focusWidget()
    assert focused is not None
    press(focused, key)


def type_in(widget: QWidget, text: str) -> None:
    """Press the keys of `text` on `widget`."""
    _QTEST.keyClicks(widget, text)


def click(widget: QWidget, place: QPoint | None = None) -> None:
    """Click `widget` at `place`, by default in its middle."""
    _QTEST.mouseClick(widget, Qt.MouseButton.LeftButton, pos=place or widget.rect().center())


def double_click(widget: QWidget, place: QPoint) -> None:
    """Click `widget` twice at `place`."""
    _QTEST.mouseDClick(widget, Qt.MouseButton.LeftButton, pos=place)


def turn_wheel(
    widget: QWidget, notches: int = -1, x: float | None = None, *, across: bool = False
) -> bool:
    """Turn the mouse's wheel over `widget`, by default in its middle; whether it was used."""
    place, turned = widget.rect().center().toPointF(), 120 * notches
    if x is not None:
        place.setX(x)
    event = QWheelEvent(
        place,
        widget.mapToGlobal(place),
        QPoint(),
        QPoint(turned, 0) if across else QPoint(0, turned),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


def share_of_colour(image: QImage, name: str, tolerance: int = 12) -> float:
    """How much of the picture is nearly of this colour, 0..1."""
    plain = image.convertToFormat(QImage.Format.Format_RGBA8888)
    data = plain.constBits()
    assert data is not None
    pixels = np.frombuffer(data.asstring(plain.sizeInBytes()), np.uint8).reshape(-1, 4)
    near = np.abs(pixels[:, :3].astype(int) - palette.rgb(name)) <= tolerance
    return float(near.all(axis=1).mean())


def has_colour(image: QImage, name: str, tolerance: int = 12) -> bool:
    """Whether some pixel is nearly of this colour."""
    return share_of_colour(image, name, tolerance) > 0.0


def open_file(qtbot: QtBot, window: MainWindow, path: Path) -> None:
    """Open a recording, and wait until it has been looked into."""
    window.switcher.open_recording(path)
    qtbot.waitUntil(lambda: not window.switcher._checking.busy)


def resize(window: MainWindow, size: QSize) -> None:
    """Give the window another size, and the layout the turn of the loop that it takes."""
    window.resize(size)
    QApplication.processEvents()


def run(window: MainWindow, now: ManualTime, seconds: float) -> None:
    """Let time pass in tenths of a second."""
    for _ in range(round(seconds * 10)):
        now.advance(0.1)
        window.bridge.poll()


def tab_to(name: str) -> None:
    """Press Tab until the control of that name has the focus."""
    for _ in range(20):
        press_focused(Qt.Key.Key_Tab)
        focused = QApplication.focusWidget()
        if focused is not None and focused.accessibleName() == name:
            return
    raise AssertionError(f"Tab does not reach {name}")


def export(qtbot: QtBot, window: MainWindow, path: Path) -> None:
    assert window.replay is not None
    window.export(path, window.replay)
    qtbot.waitUntil(lambda: not window._filing.busy)


@pytest.fixture(autouse=True)
def dressed(qapp: QApplication) -> None:
    """Every test draws as the program does."""
    theme.dress(qapp)


@pytest.fixture
def now() -> ManualTime:
    return ManualTime()


@pytest.fixture
def factory(now: ManualTime) -> Iterator[FakeFactory]:
    made = FakeFactory(now)
    with made.log:
        yield made


TASK_OPTIONS: dict[str, Any] = {
    "labels": EMOTIONS,
    "modalities": MODALITIES,
    "about": "# Model card",
}


@pytest.fixture
def open_window(
    qtbot: QtBot, tmp_path: Path, factory: FakeFactory, now: ManualTime
) -> Iterator[OpenWindow]:
    """Opens and starts windows; `window.bridge.poll()` makes them look at their session."""
    windows: list[MainWindow] = []

    def opened(session: FakeLiveSession | FakeReplaySession, **options: Any) -> MainWindow:
        settings = QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
        window = MainWindow(
            session,
            factory,
            list_devices=list_fake_devices,
            settings=settings,
            options=WindowOptions(**TASK_OPTIONS | {"version": "1.2.3"} | options),
            now=now,
        )
        qtbot.addWidget(window)
        window.show()
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow)  # keys reach only the active one
        window.start()
        windows.append(window)
        return window

    yield opened
    for window in windows:
        window.stop()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is painted over the picture, in the order in which it comes."""
    texts: list[str] = []
    monkeypatch.setattr("ui.video_view.write", lambda _painter, _area, text, *_: texts.append(text))
    return texts


@pytest.fixture
def live(now: ManualTime) -> FakeLiveSession:
    return FakeLiveSession(now, loading_seconds=1.0)


@pytest.fixture
def replay(now: ManualTime) -> FakeReplaySession:
    return FakeReplaySession(now, loading_seconds=0.0, path=Path("talk.mp4"))

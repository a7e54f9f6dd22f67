"""The window as a whole: layout, keys, modes, failures."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import (
    QMimeData,
    QPoint,
    QPointF,
    QRect,
    QRectF,
    QSettings,
    QSize,
    QStandardPaths,
    Qt,
    QTimer,
    QUrl,
)
from PyQt6.QtGui import QDragEnterEvent, QDropEvent
from PyQt6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QDialog,
    QFileDialog,
    QInputDialog,
    QLineEdit,
    QMenu,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QSlider,
    QTextBrowser,
    QWidget,
)
from pytestqt.qtbot import QtBot

from models.labels import EMOTIONS
from realtime.devices import CameraInfo, Listing
from realtime.export import Written
from realtime.messages import (
    ModalityReport,
    Reason,
    SessionState,
    SourceHealth,
    SourceState,
    Status,
    Track,
)
from realtime.sources.base import UnreadableFileError
from realtime.sources.file import Recording
from tests.fakes.session import (
    DrawnPictures,
    FakeFactory,
    FakeLiveSession,
    FakeReplaySession,
    ManualTime,
    fake_microphone,
    list_fake_devices,
)
from tests.recordings import movie
from tests.ui.conftest import (
    OpenWindow,
    click,
    has_colour,
    press,
    press_focused,
    share_of_colour,
    turn_wheel,
    type_in,
)
from ui import palette
from ui.dialogs import AboutDialog, ExportDialog, HelpDialog
from ui.main_window import _ENDINGS, SMALLEST, MainWindow, WindowOptions
from ui.presenters import (
    BEFORE_THE_PAUSE,
    NO_DEVICES,
    NOT_SURE,
    PRIVACY,
    SLOWED_BY_ANALYSIS,
    WAITS_FOR_ANALYSIS,
    Notice,
    Severity,
)
from ui.switcher import Devices
from ui.video_view import HEATMAP_CAPTION, NO_FACE_HERE


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


# -- start and end -----------------------------------------------------------------------------


def test_loading_is_shown_and_then_the_answer(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    run(window, now, 0.5)
    assert live.started == 1
    assert window.views.loading.isVisible()
    assert window.views.answer.headline == "Waiting"
    run(window, now, 1.5)
    assert not window.views.loading.isVisible()
    assert window.views.answer.headline == "Neutral"


def test_closing_the_window_stops_the_session(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    window.close()
    assert live.stopped == 1
    window.stop()
    assert live.stopped == 1


def test_devices_are_offered_as_soon_as_they_are_known(
    qtbot: QtBot, open_window: OpenWindow, live: FakeLiveSession
) -> None:
    window = open_window(live)
    choice = window.views.header.camera_choice
    assert choice.currentText() == "Camera 0"
    qtbot.waitUntil(lambda: choice.currentText() == "Studio camera")
    assert [choice.itemText(index) for index in range(choice.count())] == [
        "Studio camera", "Lid camera", "No camera", "Network camera…",
    ]  # fmt: skip
    assert window.views.header.microphone_choice.currentText() == "System default"


@pytest.mark.parametrize("size", [QSize(960, 600), QSize(1280, 720), QSize(1080, 1920)])
def test_long_names_of_devices_take_the_room_there_is(
    qtbot: QtBot, open_window: OpenWindow, live: FakeLiveSession, size: QSize
) -> None:
    window = open_window(live)
    qtbot.waitUntil(lambda: not window.switcher._listing.busy)
    window.resize(size)
    camera, microphone = window.views.header.camera_choice, window.views.header.microphone_choice
    short = camera.width() + microphone.width()
    assert short == camera.sizeHint().width() + microphone.sizeHint().width()
    name = "Camera with a name that is far too long to be shown " * 4
    window.switcher.devices = (
        Listing([CameraInfo(index=0, name=name)]),
        Listing([fake_microphone("1", name)]),
    )
    window._show_devices()
    buttons = window.views.header.findChildren(QAbstractButton)

    def all_is_taken() -> bool:
        visible = [button for button in buttons if button.isVisible()]
        left = min(button.mapTo(window, QPoint(0, 0)).x() for button in visible)
        return 0 <= left - microphone.mapTo(window, microphone.rect().topRight()).x() < 30

    qtbot.waitUntil(all_is_taken)
    assert camera.toolTip() == f"Camera: {name}"
    live.microphone = "1"
    window._show_devices()
    assert microphone.toolTip() == f"Microphone: {name}"


def test_choosing_devices_drives_the_session(
    qtbot: QtBot, open_window: OpenWindow, live: FakeLiveSession
) -> None:
    window = open_window(live)
    camera, microphone = window.views.header.camera_choice, window.views.header.microphone_choice
    qtbot.waitUntil(lambda: camera.count() == 4)
    camera.activated.emit(1)
    microphone.activated.emit(1)
    assert (live.camera, live.microphone) == ("1", "Desk")
    camera.activated.emit(2)
    microphone.activated.emit(2)
    assert (live.camera, live.microphone) == (None, None)


def test_the_mouse_wheel_chooses_neither_device_nor_speed(
    qtbot: QtBot,
    open_window: OpenWindow,
    live: FakeLiveSession,
    replay: FakeReplaySession,
    now: ManualTime,
) -> None:
    window = open_window(live)
    camera, microphone = window.views.header.camera_choice, window.views.header.microphone_choice
    qtbot.waitUntil(lambda: camera.count() == 4)
    turn_wheel(camera)
    turn_wheel(microphone)
    assert (live.asked, camera.currentIndex(), microphone.currentIndex()) == ([], 0, 0)
    other = open_window(replay)
    run(other, now, 0.1)
    turn_wheel(other.views.transport.speed_choice)
    assert (replay.speed, other.views.transport.speed_choice.currentData()) == (1.0, 1.0)


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)  # pop-ups, offscreen
@pytest.mark.parametrize("key", ["Up", "Down", "PageUp", "PageDown", "Home", "End", "N"])
def test_no_key_chooses_in_passing(
    qtbot: QtBot,
    open_window: OpenWindow,
    live: FakeLiveSession,
    replay: FakeReplaySession,
    now: ManualTime,
    key: str,
) -> None:
    window = open_window(live)
    camera = window.views.header.camera_choice
    qtbot.waitUntil(lambda: camera.count() == 4)
    camera.setFocus(Qt.FocusReason.TabFocusReason)
    press(camera, Qt.Key[f"Key_{key}"])
    assert (live.asked, camera.currentIndex()) == ([], 0)
    popup = QApplication.activePopupWidget()
    assert (popup is not None) is (key != "N")
    if popup is not None:
        popup.close()
    other = open_window(replay)
    run(other, now, 0.1)
    before, speed = replay.position_seconds, other.views.transport.speed_choice
    speed.setFocus(Qt.FocusReason.TabFocusReason)
    press(speed, Qt.Key[f"Key_{key}"])
    assert (replay.speed, replay.position_seconds) == (1.0, before)
    if (popup := QApplication.activePopupWidget()) is not None:
        popup.close()


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)  # pop-ups, offscreen
def test_return_chooses_in_the_list(
    qtbot: QtBot, open_window: OpenWindow, live: FakeLiveSession
) -> None:
    window = open_window(live)
    camera = window.views.header.camera_choice
    qtbot.waitUntil(lambda: camera.count() == 4)
    camera.setFocus(Qt.FocusReason.TabFocusReason)
    press(camera, Qt.Key.Key_Down)
    view = camera.view()
    assert view is not None
    press(view, Qt.Key.Key_Down)
    assert live.asked == []
    press(view, Qt.Key.Key_Return)
    assert live.asked == [("camera", "1")]


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
    session.health_changes["camera"] = SourceHealth(name="none")
    absent = ModalityReport(name="face", track=Track.PICTURES, status=Status.NO_SOURCE)
    session.changes = {
        "label": None,
        "reason": Reason.NO_INPUT,
        "modalities": (absent, replace(absent, name="voice", track=Track.SOUND)),
    }
    window.bridge.poll()
    assert (window.views.answer.headline, window.views.answer.detail) == NO_DEVICES
    run(window, now, 2.0)
    assert (window.views.answer.headline, window.views.answer.detail) == NO_DEVICES
    assert window.views.banner.notice is not None
    assert window.views.banner.notice.text == "No camera was found: plug one in; no microphone"
    assert window.views.video._empty[1] == "Connect a camera, or open a recording"


def test_the_demo_is_called_one_and_can_be_opened(
    qtbot: QtBot, factory: FakeFactory, replay: FakeReplaySession, now: ManualTime, tmp_path: Path
) -> None:
    told = "No camera or microphone found: this is the demo recording"
    window = MainWindow(
        replay,
        factory,
        list_devices=list_fake_devices,
        settings=QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat),
        options=WindowOptions(demo=Path("demo.mp4"), notice=told),
        now=now,
    )
    qtbot.addWidget(window)
    window.show()
    window.start()
    run(window, now, 1.0)
    assert window.views.banner.notice is not None
    assert window.views.banner.notice.text == told
    window.commands["demo"].trigger()
    qtbot.waitUntil(lambda: len(factory.made) == 1)
    (session,) = factory.made
    assert isinstance(session, FakeReplaySession)
    assert session.path == Path("demo.mp4")
    window.stop()


def test_the_system_s_microphone_is_offered_once(
    qtbot: QtBot, open_window: OpenWindow, live: FakeLiveSession
) -> None:
    live.microphone = "Headset"  # unplugged meanwhile
    window = open_window(live)
    choice = window.views.header.microphone_choice
    qtbot.waitUntil(lambda: choice.count() == 4)
    assert [choice.itemText(index) for index in range(choice.count())] == [
        "System default", "Desk", "Headset", "No microphone",
    ]  # fmt: skip
    assert choice.currentText() == "Headset"


def test_the_address_of_a_network_camera_is_asked_for(
    qtbot: QtBot, open_window: OpenWindow, live: FakeLiveSession
) -> None:
    window = open_window(live)
    choice = window.views.header.camera_choice
    qtbot.waitUntil(lambda: choice.count() == 4)
    choice.activated.emit(3)
    (dialog,) = window.views.header.findChildren(QDialog)
    dialog.textValueSelected.emit(" http://cam.local/video ")  # type: ignore[attr-defined]
    dialog.close()
    assert live.camera == "http://cam.local/video"
    assert choice.itemText(2) == "cam.local/video"


@pytest.mark.parametrize("typed", [True, False], ids=["typed", "from the command line"])
def test_the_password_of_a_network_camera_is_not_shown(
    qtbot: QtBot, open_window: OpenWindow, live: FakeLiveSession, typed: bool, tmp_path: Path
) -> None:
    (tmp_path / "settings.ini").touch()
    address = "rtsp://me:secret@10.0.0.20/live?token=secret"
    live.camera = "0" if typed else address
    window = open_window(live)
    choice = window.views.header.camera_choice
    qtbot.waitUntil(lambda: choice.itemText(0) == "Studio camera")
    if typed:
        window.views.header._use_address(address)
    assert (choice.currentText(), choice.currentData()) == ("10.0.0.20/live", address)
    assert live.camera == address
    choice.activated.emit(choice.count() - 1)
    (dialog,) = window.views.header.findChildren(QInputDialog)
    assert dialog.textValue() == "rtsp://10.0.0.20/live"
    dialog.close()
    window._settings.sync()
    assert "secret" not in (tmp_path / "settings.ini").read_text()


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("192.168.1.20:8080/video", "http://192.168.1.20:8080/video"),
        ("rtsp://cam.local/live", "rtsp://cam.local/live"),
        ("", None),
    ],
)
def test_an_address_is_typed_behind_its_beginning(
    open_window: OpenWindow, live: FakeLiveSession, typed: str, address: str | None
) -> None:
    window = open_window(live)
    for replaced in (False, True):
        window.views.header.offer_address("")
        live.camera = None
        window._show_devices()
        window.views.header.ask_address()
        dialog = next(d for d in window.views.header.findChildren(QInputDialog) if d.isVisible())
        (line,) = dialog.findChildren(QLineEdit)
        assert (line.text(), line.selectedText()) == ("http://", "")
        if replaced:
            line.selectAll()
        type_in(line, typed)
        dialog.accept()
        assert live.camera == address
    if address is not None:  # it is offered to the next window too
        again = open_window(live)
        live.camera = None
        again._show_devices()
        again.views.header.ask_address()
        (dialog,) = again.views.header.findChildren(QInputDialog)
        assert dialog.textValue() == address
        dialog.close()


def test_the_address_of_a_camera_that_is_not_reached_can_be_changed(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    live.camera = "http://10.0.0.20/vidoe"
    live.health_changes["camera"] = SourceHealth(
        name="10.0.0.20/vidoe", state=SourceState.RETRYING, message="it cannot be reached"
    )
    window = open_window(live)
    run(window, now, 2.0)
    change = next(
        each
        for each in window.views.banner.findChildren(QAbstractButton)
        if each.text() == "Change address…"
    )
    click(change)
    (dialog,) = window.views.header.findChildren(QInputDialog)
    assert dialog.textValue() == live.camera
    dialog.close()


def test_an_address_without_a_secret_can_be_corrected(
    open_window: OpenWindow, live: FakeLiveSession
) -> None:
    live.camera = "http://cam.local:8080/vidoe"
    window = open_window(live)
    choice = window.views.header.camera_choice
    choice.activated.emit(choice.count() - 1)
    (dialog,) = window.views.header.findChildren(QInputDialog)
    assert dialog.textValue() == "http://cam.local:8080/vidoe"
    dialog.close()


# -- keys --------------------------------------------------------------------------------------


def test_space_pauses_and_goes_on(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    press(window, Qt.Key.Key_Space)
    run(window, now, 0.1)
    assert live.paused
    assert window.commands["pause"].text() == "Resume"
    press(window, Qt.Key.Key_Space)
    run(window, now, 0.1)
    assert not live.paused
    assert window.commands["pause"].text() == "Pause"


def test_space_operates_a_button_that_was_reached_with_tab(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    button = next(
        each
        for each in window.views.header.findChildren(QAbstractButton)
        if each.accessibleName().startswith("Heatmap")
    )
    button.setFocus(Qt.FocusReason.TabFocusReason)
    press(button, Qt.Key.Key_Space)
    assert window.views.video.heatmap
    press(button, Qt.Key.Key_Return)
    assert not window.views.video.heatmap
    assert not live.paused


def tab_to(name: str) -> None:
    """Press Tab until the control of that name has the focus."""
    for _ in range(20):
        press_focused(Qt.Key.Key_Tab)
        focused = QApplication.focusWidget()
        if focused is not None and focused.accessibleName() == name:
            return
    raise AssertionError(f"Tab does not reach {name}")


@pytest.mark.parametrize("mode", ["live", "replay"])
def test_the_first_space_pauses(
    open_window: OpenWindow,
    live: FakeLiveSession,
    replay: FakeReplaySession,
    now: ManualTime,
    mode: str,
) -> None:
    window = open_window(live if mode == "live" else replay)
    run(window, now, 2.0)
    press_focused(Qt.Key.Key_Space)
    run(window, now, 0.1)
    assert window.commands["pause"].text() == ("Resume" if mode == "live" else "Play")
    assert (window.live is not None) is (mode == "live")
    assert QApplication.activePopupWidget() is None


def test_a_pause_without_a_picture_is_seen(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    live.pictures = None
    live.health_changes["camera"] = SourceHealth(name="none")
    window = open_window(live)
    run(window, now, 2.0)
    running = window.views.video.grab().toImage(), window.views.answer.grab().toImage()
    assert window.views.answer.detail != BEFORE_THE_PAUSE
    press_focused(Qt.Key.Key_Space)
    run(window, now, 0.1)
    assert window.views.video.badge == "Paused"
    assert window.views.video.grab().toImage() != running[0]
    assert window.views.answer.grab().toImage() != running[1]
    assert window.views.answer.detail == BEFORE_THE_PAUSE
    assert window.views.answer.accessibleDescription().endswith(BEFORE_THE_PAUSE)
    press_focused(Qt.Key.Key_Space)
    run(window, now, 0.5)
    assert window.views.video.badge == ""
    assert window.views.answer.detail != BEFORE_THE_PAUSE


def test_in_a_pause_nothing_is_called_of_now(
    qtbot: QtBot,
    open_window: OpenWindow,
    live: FakeLiveSession,
    now: ManualTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[str] = []
    for name in ("timeline_view", "spectrogram_view", "share_view"):
        monkeypatch.setattr(f"ui.{name}.write", lambda _p, _a, text, *_: written.append(text))
    window = open_window(live)
    run(window, now, 2.0)
    timed = window.views.timeline, window.views.spectrogram, window.views.shares
    qtbot.waitUntil(lambda: written.count("now") >= 2)
    assert window.views.status.level is not None
    press_focused(Qt.Key.Key_Space)
    run(window, now, 0.1)
    written.clear()
    for view in timed:
        view.grab()
    assert written.count("pause") == 2
    assert not any("now" in text.split() for text in written)
    assert window.views.shares.paused
    assert window.views.attention.paused
    assert window.views.status.level is None
    press_focused(Qt.Key.Key_Space)
    run(window, now, 0.5)
    assert window.views.status.level is not None
    assert not window.views.shares.paused


def test_the_last_answer_before_a_pause_can_be_read(
    qtbot: QtBot,
    open_window: OpenWindow,
    live: FakeLiveSession,
    now: ManualTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    press_focused(Qt.Key.Key_Space)
    run(window, now, 0.1)
    written: dict[str, float] = {}
    monkeypatch.setattr(
        "ui.answer_view.write",
        lambda painter, _area, text, *_: written.update({text: painter.opacity()}),
    )
    window.views.answer.update()
    qtbot.waitUntil(lambda: "Surprised" in written)
    assert {"Neutral", BEFORE_THE_PAUSE} < set(written)
    assert set(written.values()) == {1.0}  # only bars and dots are dimmed
    assert not has_colour(window.views.answer.grab().toImage(), palette.EMOTION_COLOURS["happy"])


def test_not_sure_keeps_its_reason_in_a_pause(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    live.changes.update(label=None, reason=Reason.TOO_DARK)
    window = open_window(live)
    run(window, now, 2.0)
    press_focused(Qt.Key.Key_Space)
    run(window, now, 0.1)
    assert window.views.answer.headline == NOT_SURE
    assert window.views.answer.detail == "Too dark to see a face"
    assert window.views.answer.accessibleDescription().endswith(BEFORE_THE_PAUSE)


def test_a_recording_of_sound_says_that_it_is_paused_or_waits(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    replay.pictures = None
    window = open_window(replay)
    run(window, now, 1.0)
    playing = window.views.video.grab().toImage()
    window.views.timeline.sought.emit(40.0)
    run(window, now, 0.1)
    waiting = window.views.video.grab().toImage()
    assert (window.views.video.badge, waiting == playing) == (WAITS_FOR_ANALYSIS, False)
    press_focused(Qt.Key.Key_Space)
    run(window, now, 0.1)
    assert window.views.video.badge == "Paused"
    assert window.views.video.grab().toImage() not in (playing, waiting)
    press_focused(Qt.Key.Key_End)
    run(window, now, 6.0)
    assert window.views.video.badge == ""  # at the end nothing is held up


def test_tab_and_space_operate_a_control_until_the_picture_is_clicked(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    tab_to("Heatmap over the face")
    press_focused(Qt.Key.Key_Space)
    assert (window.views.video.heatmap, live.paused) == (True, False)
    click(window.views.video)
    press_focused(Qt.Key.Key_Space)
    assert (window.views.video.heatmap, live.paused) == (True, True)


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)  # pop-ups, offscreen
def test_space_pauses_after_a_device_was_chosen_with_the_mouse(
    qtbot: QtBot, open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    choice = window.views.header.camera_choice
    qtbot.waitUntil(lambda: choice.count() == 4)
    run(window, now, 2.0)
    click(choice)
    popup = QApplication.activePopupWidget()
    assert popup is not None
    popup.close()
    press_focused(Qt.Key.Key_Space)
    assert live.paused


def test_space_pauses_once_the_focused_control_has_gone(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    tab_to("Dismiss")
    press_focused(Qt.Key.Key_Space)
    assert not window.views.banner.isVisible()
    press_focused(Qt.Key.Key_Space)
    assert live.paused


def test_space_pauses_where_a_control_went_while_another_window_was_active(
    qtbot: QtBot, open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    tab_to("Dismiss")
    other = QWidget()
    qtbot.addWidget(other)
    other.show()
    other.activateWindow()
    qtbot.waitUntil(other.isActiveWindow)
    window.views.banner.dismissed.emit(window.views.banner.notice)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    press_focused(Qt.Key.Key_Space)
    assert live.paused


def test_space_pauses_a_recording_that_was_opened_while_a_control_had_the_focus(
    qtbot: QtBot,
    open_window: OpenWindow,
    live: FakeLiveSession,
    factory: FakeFactory,
    now: ManualTime,
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    tab_to("Camera")
    open_file(qtbot, window, Path("other.mkv"))
    press_focused(Qt.Key.Key_Space)
    (replay,) = factory.made
    assert isinstance(replay, FakeReplaySession)
    assert not replay.playing


def test_h_and_m_change_the_picture(open_window: OpenWindow, live: FakeLiveSession) -> None:
    window = open_window(live)
    assert window.views.video.mirrored  # as people know themselves
    press(window, Qt.Key.Key_M)
    press(window, Qt.Key.Key_H)
    assert (window.views.video.mirrored, window.views.video.heatmap) == (False, True)


def test_how_the_picture_is_shown_is_remembered(
    qtbot: QtBot,
    open_window: OpenWindow,
    live: FakeLiveSession,
    factory: FakeFactory,
) -> None:
    window = open_window(live)
    press(window, Qt.Key.Key_M)
    press(window, Qt.Key.Key_H)
    open_file(qtbot, window, Path("other.mkv"))
    press(window, Qt.Key.Key_M)  # which is of this recording only
    assert window.views.video.mirrored
    open_file(qtbot, window, Path("another.mkv"))
    assert (window.views.video.mirrored, window.views.video.heatmap) == (False, True)
    window.switcher.go_live()
    assert (window.views.video.mirrored, window.views.video.heatmap) == (False, True)
    window.close()
    again = open_window(factory.live("0", None))
    assert (again.views.video.mirrored, again.views.video.heatmap) == (False, True)
    press(again, Qt.Key.Key_M)
    press(again, Qt.Key.Key_H)
    again.close()
    third = open_window(factory.live("0", None))
    assert (third.views.video.mirrored, third.views.video.heatmap) == (True, False)


def test_full_screen_and_back(open_window: OpenWindow, live: FakeLiveSession) -> None:
    window = open_window(live)
    press(window, Qt.Key.Key_F)
    assert window.isFullScreen()
    press(window, Qt.Key.Key_Escape)
    assert not window.isFullScreen()
    press(window, Qt.Key.Key_F11)
    press(window, Qt.Key.Key_F11)
    assert not window.isFullScreen()


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


def test_the_about_box_scrolls_only_up_and_down(
    open_window: OpenWindow, live: FakeLiveSession
) -> None:
    window = open_window(live)
    window.commands["about"].trigger()
    (card,) = window.findChildren(QTextBrowser)
    assert card.horizontalScrollBarPolicy() is Qt.ScrollBarPolicy.ScrollBarAlwaysOff
    window.findChildren(AboutDialog)[0].close()


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)  # pop-ups, offscreen
@pytest.mark.parametrize("name", ["heatmap", "mirror", "full_screen"])
def test_the_menu_marks_what_is_switched_on(
    open_window: OpenWindow, live: FakeLiveSession, name: str
) -> None:
    window = open_window(live)
    (menu,) = window.views.header.findChildren(QMenu)
    action = window.commands[name]
    pictures = []
    for is_on in (False, True):
        action.setChecked(is_on)
        menu.popup(window.pos())
        pictures.append(menu.grab(menu.actionGeometry(action)).toImage())
        menu.close()
    assert not has_colour(pictures[0], palette.ACCENT)
    assert has_colour(pictures[1], palette.ACCENT)


def test_question_mark_opens_help(open_window: OpenWindow, live: FakeLiveSession) -> None:
    window = open_window(live)
    press(window, Qt.Key.Key_Question)
    (dialog,) = window.findChildren(HelpDialog)
    dialog.close()


def test_every_command_has_its_own_keys(open_window: OpenWindow, live: FakeLiveSession) -> None:
    window = open_window(live)
    keys = [key.toString() for action in window.commands.values() for key in action.shortcuts()]
    assert len(keys) == len(set(keys))


# -- recordings --------------------------------------------------------------------------------


def test_the_sound_can_be_switched_off_and_stays_so(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    factory: FakeFactory,
    now: ManualTime,
) -> None:
    window = open_window(replay)
    assert not replay.muted
    press(window, Qt.Key.Key_S)
    assert replay.muted
    open_file(qtbot, window, Path("other.mp4"))
    assert isinstance(factory.made[-1], FakeReplaySession)
    assert factory.made[-1].muted
    window.close()
    again = open_window(FakeReplaySession(now))
    assert isinstance(again.replay, FakeReplaySession)
    assert again.replay.muted
    click(again.views.transport._sound)
    assert not again.replay.muted
    again.switcher.go_live()
    qtbot.waitUntil(lambda: again.live is not None)
    press(again, Qt.Key.Key_S)  # live there is nothing to hear
    assert again.commands["sound"].isChecked()


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


def test_why_nothing_is_heard_is_said_where_sound_is_switched(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    window = open_window(replay)
    button = window.views.transport._sound
    run(window, now, 0.2)
    assert button.toolTip() == "Sound is on (S)"
    replay.sound_waits = True
    run(window, now, 0.2)
    assert button.toolTip() == "Sound is on (S), silent until the analysis is ahead"
    replay.set_speed(2.0)
    run(window, now, 0.2)
    assert button.toolTip() == "Sound is on (S), heard at 1× only"
    assert has_colour(button.grab().toImage(), palette.ACCENT)
    replay.sound_problem = "there is no loudspeaker: plug one in, or headphones"
    run(window, now, 0.2)
    image = button.grab().toImage()
    assert has_colour(image, palette.WARNING)
    assert not has_colour(image, palette.ACCENT)  # nothing is on
    press(window, Qt.Key.Key_S)
    run(window, now, 0.2)
    assert button.toolTip() == f"No sound: {replay.sound_problem}"
    replay.sound_problem = ""
    run(window, now, 0.2)
    assert button.toolTip() == "Sound is off (S)"


def test_replay_controls_drive_the_session(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    window = open_window(replay)
    run(window, now, 3.0)
    assert window.windowTitle() == "talk.mp4 – MSAF Live"
    assert window.views.transport.isVisible()
    assert not window.views.video.mirrored
    press(window, Qt.Key.Key_Space)
    assert not replay.playing
    press(window, Qt.Key.Key_Right)
    assert replay.position_seconds == pytest.approx(4.0)
    press(window, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert replay.position_seconds == pytest.approx(9.0)
    press(window, Qt.Key.Key_Left)
    assert replay.position_seconds == pytest.approx(8.0)
    press(window, Qt.Key.Key_Home)
    assert replay.position_seconds == 0.0
    press(window, Qt.Key.Key_End)
    assert replay.position_seconds == replay.duration_seconds
    run(window, now, 4.0)  # until all is analysed
    press(window, Qt.Key.Key_Space)  # from the end it begins again
    assert replay.playing
    assert replay.position_seconds == 0.0


def test_speed_by_keys_and_by_choice(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    window = open_window(replay)
    for _ in range(5):
        press(window, Qt.Key.Key_BracketRight)
    assert replay.speed == 4.0
    for _ in range(9):
        press(window, Qt.Key.Key_BracketLeft)
    assert replay.speed == 0.25
    run(window, now, 0.1)
    assert window.views.transport.speed_choice.currentData() == 0.25
    window.views.transport.speed_choice.activated.emit(3)
    assert replay.speed == 1.5


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


def test_a_speed_that_is_not_offered_is_shown(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    replay.speed = 3.0  # as the command line can ask for
    window = open_window(replay)
    choice = window.views.transport.speed_choice
    run(window, now, 0.1)
    assert choice.currentText() == "3×"
    press(window, Qt.Key.Key_BracketLeft)
    assert replay.speed == 2.0
    run(window, now, 0.1)
    assert choice.currentText() == "2×"
    assert choice.findText("3×") == -1


def test_keys_zoom_the_timeline_around_where_playback_stands(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    window = open_window(replay)
    run(window, now, 1.0)
    whole = window.views.timeline.span()
    for _ in range(4):
        press_focused(Qt.Key.Key_Plus)
    start, end = window.views.timeline.span()
    assert end - start == pytest.approx(0.8**4 * (whole[1] - whole[0]))
    assert start <= replay.position_seconds <= end
    press_focused(Qt.Key.Key_Minus)
    assert window.views.timeline.span()[1] > end
    press_focused(Qt.Key.Key_0)
    assert window.views.timeline.span() == whole


def test_slider_and_timeline_seek(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    window = open_window(replay)
    run(window, now, 1.0)
    slider = window.views.transport.slider
    click(slider)
    assert replay.position_seconds == pytest.approx(24.0, abs=0.5)
    window.views.timeline.sought.emit(7.0)
    assert replay.position_seconds == pytest.approx(7.0)


def test_the_slider_s_own_steps_are_of_use(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    window = open_window(replay)
    run(window, now, 2.0)
    replay.pause()
    slider = window.views.transport.slider
    slider.setFocus(Qt.FocusReason.TabFocusReason)

    def stands_at(seconds: float) -> bool:
        run(window, now, 0.1)
        return replay.position_seconds == pytest.approx(seconds, abs=0.05)

    for key, seconds in (("PageUp", 12.0), ("Up", 13.0), ("Down", 12.0), ("PageDown", 2.0)):
        press(slider, Qt.Key[f"Key_{key}"])
        assert stands_at(seconds), key
    press(slider, Qt.Key.Key_Right)
    assert stands_at(3.0)
    turn_wheel(slider)
    assert stands_at(2.0)


def test_screen_readers_hear_what_a_press_does_and_where_playback_stands(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    window = open_window(replay)
    run(window, now, 2.0)
    play, slider = window.views.transport._play, window.views.transport.slider
    assert play.accessibleName() == "Pause"
    assert slider.accessibleDescription() == "0:02.0 of 0:48.0"
    press(window, Qt.Key.Key_Space)
    run(window, now, 0.1)
    assert play.accessibleName() == "Play"


def test_past_what_is_analysed_the_window_says_that_it_waits(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    window = open_window(replay)
    run(window, now, 2.0)
    window.views.timeline.sought.emit(40.0)
    run(window, now, 0.2)
    assert window.views.answer.headline == "Not analysed yet"
    assert window.views.answer.detail == "Playback goes on in about 3 s; analysed up to 0:17"
    assert (window.views.video.badge, window.views.video.accessibleDescription()) == (
        WAITS_FOR_ANALYSIS,
        "",
    )
    run(window, now, 4.0)
    assert window.views.answer.headline not in ("Not analysed yet", "Waiting")
    assert window.views.video.badge == ""


def test_at_an_end_that_is_not_analysed_the_place_is_kept(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    window = open_window(replay)
    run(window, now, 2.0)
    press_focused(Qt.Key.Key_End)
    run(window, now, 0.2)
    assert window.views.answer.detail == "The answer comes in about 4 s; analysed up to 0:17"
    press_focused(Qt.Key.Key_Space)
    run(window, now, 0.1)
    assert window.views.video.badge == "Paused"
    press_focused(Qt.Key.Key_Space)
    run(window, now, 0.1)
    assert (replay.playing, replay.position_seconds) == (True, replay.duration_seconds)


def test_at_the_heels_of_the_analysis_the_window_says_what_slows_it(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    replay.analysis_speed = 1.0
    window = open_window(replay)
    run(window, now, 2.0)
    assert (window.views.video.badge, window.views.answer.headline) == (
        SLOWED_BY_ANALYSIS,
        "Neutral",
    )
    press_focused(Qt.Key.Key_Left)
    run(window, now, 0.1)
    assert window.views.video.badge == ""
    press_focused(Qt.Key.Key_Right)
    press_focused(Qt.Key.Key_Space)
    run(window, now, 0.1)
    assert window.views.video.badge == "Paused"
    replay.analysis_speed = 48.0
    press_focused(Qt.Key.Key_Space)
    run(window, now, 0.1)
    assert window.views.video.badge == ""


def test_a_failed_recording_cannot_be_played(
    qtbot: QtBot, open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    replay.pictures, replay.playing, replay.analysis_speed = None, False, 0.0
    replay.state, replay.message = SessionState.FAILED, "The weights are damaged."
    window = open_window(replay)
    run(window, now, 0.2)
    transport = window.views.transport
    controls = (
        transport._play, transport._sound, transport._export, transport.slider,
        transport.speed_choice,
    )  # fmt: skip
    assert not any(control.isEnabled() for control in controls)
    assert not has_colour(
        transport.grab().copy(transport.slider.geometry()).toImage(), palette.TEXT
    )
    for key in (Qt.Key.Key_Space, Qt.Key.Key_Right, Qt.Key.Key_BracketRight, Qt.Key.Key_S):
        press(window, key)
    window.views.timeline.sought.emit(9.0)
    assert (replay.playing, replay.position_seconds, replay.speed) == (False, 0.0, 1.0)
    assert not replay.muted
    press_focused(Qt.Key.Key_Escape)
    run(window, now, 0.1)
    assert window.views.video._empty == ("Nothing to show", "The weights are damaged.")
    open_file(qtbot, window, Path("other.mp4"))
    run(window, now, 0.1)
    assert all(control.isEnabled() for control in controls)
    assert has_colour(transport.grab().copy(transport.slider.geometry()).toImage(), palette.TEXT)
    window.switcher.go_live()
    qtbot.waitUntil(lambda: window.live is not None)
    assert window.commands["pause"].isEnabled()


def test_what_was_analysed_before_a_failure_can_be_looked_at_and_exported(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    window = open_window(replay)
    run(window, now, 2.0)
    replay.playing, replay.state, replay.message = False, SessionState.FAILED, "It is damaged."
    run(window, now, 0.1)
    assert not window.commands["pause"].isEnabled()
    assert window.commands["export"].isEnabled()
    press(window, Qt.Key.Key_Right)
    assert replay.position_seconds == pytest.approx(1.0)


def test_a_recording_paused_before_its_first_answer_does_not_wait(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    written: list[str],
) -> None:
    window = open_window(replay)
    run(window, now, 2.0)
    press_focused(Qt.Key.Key_H)
    press_focused(Qt.Key.Key_Space)
    press_focused(Qt.Key.Key_Home)
    run(window, now, 0.2)
    assert window.views.video.badge == window.views.answer.headline == "Paused"
    assert window.views.answer.detail == "Play, or click the timeline"
    assert window.views.video.face_area() is not None
    qtbot.waitUntil(lambda: f"{HEATMAP_CAPTION}: none yet" in written)
    replay.changes["face"] = None  # which takes its box away
    replay.seek(0.04)
    run(window, now, 0.1)
    assert window.views.video.face_area() is None
    qtbot.waitUntil(lambda: f"{HEATMAP_CAPTION}: {NO_FACE_HERE}" in written)
    run(window, now, 6.0)  # the whole timeline is coloured
    assert (window.views.answer.headline, window.views.video.badge) == ("Analysed", "Paused")
    press_focused(Qt.Key.Key_Space)
    run(window, now, 0.5)
    assert window.views.answer.headline == "Neutral"


def test_the_tag_at_the_face_says_what_the_headline_says(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    written: list[str],
) -> None:
    window = open_window(replay)
    run(window, now, 8.0)
    replay.pause()

    def is_painted(text: str) -> bool:
        return any(each.startswith(text) for each in written)

    for position, says in ((4.5, "Happy"), (1.0, "Neutral")):
        replay.seek(position)
        written.clear()
        window.bridge.poll()  # the picture comes first, the answer when it is due again
        qtbot.waitUntil(lambda: bool(written))
        run(window, now, 0.1)
        assert window.views.answer.headline == says
        qtbot.waitUntil(partial(is_painted, says))


def test_the_slider_follows_playback_without_seeking(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    window = open_window(replay)
    run(window, now, 2.0)
    assert window.views.transport.slider.value() == pytest.approx(200, abs=2)
    assert replay.position_seconds == pytest.approx(2.0)


def export(qtbot: QtBot, window: MainWindow, path: Path) -> None:
    window.export(path)
    qtbot.waitUntil(lambda: not window._exporting.busy)


def test_export_says_what_was_written(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    tmp_path: Path,
) -> None:
    window = open_window(replay)
    run(window, now, 8.0)
    export(qtbot, window, tmp_path / "talk.csv")
    assert (tmp_path / "talk.csv").exists()
    assert window.views.banner.notice is not None
    notice = window.views.banner.notice
    assert notice.text == f"480 answers written to {tmp_path / 'talk.csv'}"
    assert notice.severity is Severity.INFO
    export(qtbot, window, tmp_path / "talk.doc")
    assert "neither .csv nor .jsonl" in window.views.banner.notice.text
    export(qtbot, window, tmp_path / "none" / "talk.csv")
    assert window.views.banner.notice.text.endswith("talk.csv: no such file or directory")


def test_an_export_that_takes_long_does_not_hold_the_window_up(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    going_on = threading.Event()
    write = replay.export

    def slow(path: Path) -> Written:
        assert going_on.wait(10.0)
        return write(path)

    monkeypatch.setattr(replay, "export", slow)
    window = open_window(replay)
    run(window, now, 8.0)
    window.export(tmp_path / "talk.csv")
    window.export(tmp_path / "again.csv")
    assert window.views.banner.notice is not None
    assert window.views.banner.notice.text == "The export before is still being written."
    going_on.set()
    qtbot.waitUntil(lambda: not window._exporting.busy)
    assert [path.name for path in tmp_path.glob("*.csv")] == ["talk.csv"]


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
    monkeypatch.setattr(window, "export", exported.append)
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
    monkeypatch.setattr(window, "export", exported.append)
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
    assert "There is a results.v2.csv already" in window.views.banner.notice.text
    dialog.fileSelected.emit(str(tmp_path / "results.v2.csv"))
    assert exported == [tmp_path / "results.v2.csv"]
    dialog.close()


@pytest.mark.parametrize("command", ["open", "export"])
def test_files_are_asked_for_without_stopping_the_window(
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = open_window(replay)
    run(window, now, 1.0)
    window.commands[command].trigger()
    (dialog,) = window.findChildren(QFileDialog)
    before = window.views.transport.slider.value()
    run(window, now, 1.0)
    assert window.views.transport.slider.value() > before
    dialog.close()


def test_files_are_asked_for_where_the_last_ones_were(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    tmp_path: Path,
) -> None:
    replay.path = tmp_path / "talk.mp4"
    (tmp_path / "other").mkdir()
    window = open_window(replay)
    run(window, now, 3.0)
    window.commands["export"].trigger()
    (dialog,) = window.findChildren(QFileDialog)
    assert [Path(each) for each in dialog.selectedFiles()] == [tmp_path / "talk.csv"]
    dialog.close()
    open_file(qtbot, window, tmp_path / "other" / "one.mp4")
    again = open_window(replay)
    again.commands["open"].trigger()
    (dialog,) = again.findChildren(QFileDialog)
    assert Path(dialog.directory().absolutePath()) == tmp_path / "other"
    dialog.close()


def test_recordings_are_first_looked_for_among_films(
    open_window: OpenWindow,
    live: FakeLiveSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    films, home, stick = tmp_path / "Videos", tmp_path / "home", tmp_path / "stick"
    home.mkdir()
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.setattr(QStandardPaths, "writableLocation", lambda _: str(films))
    window = open_window(live)

    def shown() -> Path:
        window.commands["open"].trigger()
        dialog = next(each for each in window.findChildren(QFileDialog) if each.isVisible())
        assert dialog.testOption(QFileDialog.Option.HideNameFilterDetails)
        dialog.close()
        return Path(dialog.directory().absolutePath())

    assert shown() == home
    films.mkdir()
    assert shown() == films
    window._settings.setValue("folder", str(stick))  # which was pulled out
    assert shown() == films
    stick.mkdir()
    assert shown() == stick


@pytest.mark.parametrize(
    ("ending", "picture", "sound"),
    [
        ("gif", {"codec": "gif", "pixel_format": "rgb8"}, None),
        ("wmv", {"codec": "wmv2"}, "wmav2"),
        ("mpg", {"codec": None}, "mp2"),
        ("mts", {}, "aac"),
        ("3gp", {}, "aac"),
        ("webm", {"codec": "libvpx-vp9"}, "libopus"),
        ("ogg", {"codec": None}, "libopus"),
        ("opus", {"codec": None}, "libopus"),
        ("aac", {"codec": None}, "aac"),
    ],
)
def test_what_is_offered_can_be_read(
    ending: str, picture: dict[str, Any], sound: str | None, tmp_path: Path
) -> None:
    whole: dict[str, Any] = {"sound_format": "s16"} if sound in ("libopus", "mp2") else {}
    path = movie(tmp_path / f"talk.{ending}", sound=sound, **picture, **whole)
    with Recording(path) as recording:
        assert next(iter(recording))
    assert ending in _ENDINGS.split()


def test_an_export_that_fails_as_nobody_foresaw_says_so(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_path: Path) -> Written:
        raise RuntimeError("a cosmic ray")

    monkeypatch.setattr(replay, "export", fail)
    window = open_window(replay)
    run(window, now, 8.0)
    export(qtbot, window, Path("talk.csv"))
    assert window.views.banner.notice is not None
    told = "Could not export: an unexpected failure; the log file has the details"
    assert window.views.banner.notice.text == told
    assert "a cosmic ray" in caplog.text


def test_without_answers_there_is_nothing_to_export(
    open_window: OpenWindow, replay: FakeReplaySession
) -> None:
    window = open_window(replay)
    window.commands["export"].trigger()
    assert not window.findChildren(QFileDialog)
    assert window.views.banner.notice is not None
    assert "no answers" in window.views.banner.notice.text


def test_a_recording_that_cannot_be_read_is_not_waited_for(
    qtbot: QtBot, open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    replay.pictures, replay.state, replay.message = None, SessionState.FAILED, "It is no recording."
    window = open_window(replay)
    window.bridge.poll()
    assert window.views.answer.headline == "No answer"
    assert window.views.banner.notice is not None
    assert window.views.banner.notice.text == "It is no recording."
    open_file(qtbot, window, Path("better.mp4"))
    assert window.views.answer.headline == "Waiting"


@pytest.mark.parametrize(
    "size", [QSize(1920, 1080), QSize(960, 600), QSize(1280, 720), QSize(1080, 1920)]
)
def test_a_notice_stays_on_the_picture_when_the_window_changes(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime, qtbot: QtBot, size: QSize
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    assert window.views.banner.isVisible()
    window.resize(size)
    central = window.centralWidget()
    assert central is not None

    def lies_on_the_picture() -> bool:
        place = window.views.video.mapTo(central, QPoint(0, 0))
        return QRect(place, window.views.video.size()).contains(window.views.banner.geometry())

    qtbot.waitUntil(lambda: window.width() == size.width() and lies_on_the_picture())
    on_top = central.childAt(window.views.banner.geometry().center())
    assert on_top is not None
    assert window.views.banner in (on_top, on_top.parentWidget())
    assert window.views.banner.width() > 300


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


def test_a_recording_is_said_to_have_no_picture_only_once_that_is_known(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    replay.pictures = None
    window = open_window(replay)
    run(window, now, 0.1)
    assert window.views.video._empty == ("", "")
    replay.health_changes["camera"] = SourceHealth(name="none")
    run(window, now, 0.1)
    assert window.views.video._empty[0] == "This recording has no picture"


def test_a_label_that_another_class_is_ahead_of_says_so(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    happy = np.eye(len(EMOTIONS), dtype=np.float32)[EMOTIONS.index("happy")]
    replay.changes.update(label="neutral", reason=None, smoothed=happy)
    window = open_window(replay)
    run(window, now, 2.0)
    assert window.views.answer.headline == "Neutral"
    assert window.views.answer.detail == "Perhaps turning to happy"
    assert "steadied" in window.views.answer.toolTip()


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


def drop(window: MainWindow, *urls: QUrl) -> bool:
    """Drag `urls` over the window and drop them; tells whether that was invited to."""
    data = QMimeData()
    data.setUrls(urls)
    how = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton)
    none = Qt.KeyboardModifier.NoModifier
    before = window.views.video.grab().toImage()
    enter = QDragEnterEvent(QPoint(9, 9), *how, none)
    enter.ignore()
    window.dragEnterEvent(enter)
    assert enter.isAccepted() is (window.views.video.grab().toImage() != before)
    window.dropEvent(QDropEvent(QPointF(9, 9), *how, none))
    return enter.isAccepted()


def test_a_dropped_file_of_this_computer_is_opened(
    qtbot: QtBot,
    open_window: OpenWindow,
    live: FakeLiveSession,
    factory: FakeFactory,
    tmp_path: Path,
) -> None:
    window = open_window(live)
    web = QUrl("https://example.org/talk.mp4")
    folder, missing, path = tmp_path / "films", tmp_path / "none.mp4", tmp_path / "talk.mp4"
    folder.mkdir()
    path.touch()
    for url in (web, QUrl.fromLocalFile(str(folder)), QUrl.fromLocalFile(str(missing))):
        assert not drop(window, url)
    assert not window.switcher._checking.busy
    assert drop(window, web, QUrl.fromLocalFile(str(folder)), QUrl.fromLocalFile(str(path)))
    qtbot.waitUntil(lambda: window.replay is not None)
    (session,) = factory.made
    assert isinstance(session, FakeReplaySession)
    assert session.path == path
    assert window.views.banner.notice is None or "first" not in window.views.banner.notice.text


def test_of_several_dropped_files_the_first_is_opened_and_that_is_said(
    qtbot: QtBot,
    open_window: OpenWindow,
    live: FakeLiveSession,
    factory: FakeFactory,
    tmp_path: Path,
) -> None:
    window = open_window(live)
    paths = [tmp_path / "one.mp4", tmp_path / "two.mp4"]
    for path in paths:
        path.touch()
    urls = [QUrl.fromLocalFile(str(path)) for path in paths]
    factory.unreadable.add(paths[0])
    drop(window, *urls)
    qtbot.waitUntil(lambda: not window.switcher._checking.busy)
    assert window.views.banner.notice is not None
    assert window.views.banner.notice.text == "one.mp4 cannot be read as a recording"
    factory.unreadable.clear()
    drop(window, *urls)
    qtbot.waitUntil(lambda: window.windowTitle() == "one.mp4 – MSAF Live")
    assert window.views.banner.notice is not None
    assert window.views.banner.notice.text == "Only the first of 2 files was opened."


# -- notices -----------------------------------------------------------------------------------


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


def test_a_failed_camera_can_be_tried_again(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    live.health_changes["camera"] = SourceHealth(
        name="Studio camera", state=SourceState.FAILED, message="it is in use"
    )
    window = open_window(live)
    run(window, now, 2.0)
    notice = window.views.banner.notice
    assert notice is not None
    live.camera = "1"
    window.views.banner.remedied.emit(notice.remedy)
    assert live.asked == [("camera", "1")]


def test_a_lost_camera_leaves_no_picture_behind(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    picture = window.views.video.grab().toImage()
    live.health_changes["camera"] = SourceHealth(name="Camera", state=SourceState.STALLED)
    window.bridge.poll()
    assert window.views.video.grab().toImage() != picture  # it wears a badge
    live.pictures = None  # as LiveSession does for a camera that is lost
    live.health_changes["camera"] = SourceHealth(
        name="Camera", state=SourceState.RETRYING, message="it has stopped sending pictures"
    )
    run(window, now, 0.2)
    assert window.views.video.face_area() is None
    assert window.views.banner.notice is not None
    assert "stopped sending pictures" in window.views.banner.notice.text


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


def test_escape_dismisses_the_notice_before_it_leaves_full_screen(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    press_focused(Qt.Key.Key_F)
    assert window.views.banner.isVisible()
    press_focused(Qt.Key.Key_Escape)
    run(window, now, 0.1)
    assert (window.views.banner.isVisible(), window.isFullScreen()) == (False, True)
    press_focused(Qt.Key.Key_Escape)
    assert not window.isFullScreen()


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


class HighPictures(DrawnPictures):
    """A face at the top of the picture."""

    def centre(self, seconds: float) -> tuple[float, float]:
        return 0.5, 0.3


def test_the_tag_at_the_face_lies_below_a_notice(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    live.pictures = HighPictures()
    window = open_window(live)
    run(window, now, 2.0)

    def clear_of_the_notice() -> bool:
        tag = window.views.video.tag_area()
        assert tag is not None
        assert window.views.video.picture_area().contains(tag)
        on_screen = QRect(
            window.views.video.mapToGlobal(tag.toRect().topLeft()), tag.toRect().size()
        )
        banner = window.views.banner
        return not on_screen.intersects(QRect(banner.mapToGlobal(QPoint(0, 0)), banner.size()))

    assert window.views.banner.isVisible()
    assert clear_of_the_notice()
    press_focused(Qt.Key.Key_Escape)
    assert not window.views.banner.isVisible()
    assert not clear_of_the_notice()  # it is back where the notice was


# -- colours -----------------------------------------------------------------------------------


def test_every_class_has_its_colour_beside_its_name_without_an_answer(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    run(window, now, 0.5)
    assert window.views.answer.headline == "Waiting"
    picture = window.views.answer.grab().toImage()
    for name in EMOTIONS:
        assert has_colour(picture, palette.EMOTION_COLOURS[name]), name


@pytest.mark.parametrize("sure", [True, False], ids=["neutral", "not sure"])
def test_not_sure_is_drawn_otherwise_than_neutral(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime, sure: bool
) -> None:
    if not sure:
        live.changes.update(label=None, reason=Reason.LOW_CONFIDENCE)
    window = open_window(live)
    run(window, now, 2.0)
    neutral = palette.EMOTION_COLOURS["neutral"]
    tag, timeline = window.views.video.tag_area(), window.views.timeline
    assert tag is not None
    assert (share_of_colour(window.views.video.grab(tag.toRect()).toImage(), neutral) > 0.5) is sure
    height = timeline.theme.px(8)
    end = QRectF(0, 0, height, height)  # of the band, inside its rounded corners
    end.moveBottomRight(timeline.chart().bottomRight() - QPointF(4, 3))
    band = timeline.grab(end.toRect()).toImage()
    assert (share_of_colour(band, neutral) > 0.9) is sure
    assert has_colour(band, palette.RAISED) is not sure  # hatched, on the ground
    assert sure or has_colour(band, palette.TEXT_FAINT)


# -- layout ------------------------------------------------------------------------------------


def placed(window: MainWindow) -> dict[str, QRect]:
    """Where the visible parts of the window lie."""
    parts: dict[str, QWidget] = {
        "header": window.views.header,
        "video": window.views.video,
        "transport": window.views.transport,
        "spectrogram": window.views.spectrogram,
        "timeline": window.views.timeline,
        "answer": window.views.answer,
        "shares": window.views.shares,
        "attention": window.views.attention,
        "status": window.views.status,
    }
    return {
        name: QRect(part.mapTo(window, QPoint(0, 0)), part.size())
        for name, part in parts.items()
        if part.isVisible()
    }


SIZES = [
    SMALLEST, QSize(683, 360), QSize(800, 450), QSize(910, 480), QSize(960, 510), QSize(960, 600),
    QSize(1024, 700), QSize(1280, 720), QSize(1920, 1080), QSize(3840, 2160),
    QSize(700, 1024), QSize(960, 1000), QSize(1080, 1500), QSize(1080, 1920), QSize(1440, 2560),
]  # fmt: skip


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size.width()}x{size.height()}")
@pytest.mark.parametrize("mode", ["live", "replay"])
def test_nothing_overlaps_and_nothing_is_cut_off(
    open_window: OpenWindow,
    live: FakeLiveSession,
    replay: FakeReplaySession,
    now: ManualTime,
    mode: str,
    size: QSize,
) -> None:
    window = open_window(live if mode == "live" else replay)
    resize(window, size)
    run(window, now, 2.0)
    window.grab()  # settles the layout
    assert window.size() == size
    areas = placed(window)
    for name, area in areas.items():
        assert window.rect().contains(area), name
        for other, its_area in areas.items():
            assert name == other or not area.intersects(its_area), (name, other)
    tall = size.height() > size.width()
    assert areas["video"].height() > (0.3 if tall else 0.4) * size.height()
    for part in (window.views.header, window.views.transport):
        inside = [
            child
            for child in part.findChildren(QWidget)
            if isinstance(child, QAbstractButton | QComboBox | QSlider) and child.isVisible()
        ]
        for child in inside:
            area = QRect(child.mapTo(part, QPoint(0, 0)), child.size())
            assert part.rect().contains(area), child.accessibleName()
            assert child.width() >= child.minimumSizeHint().width(), child.accessibleName()
    central = window.centralWidget()
    assert central is not None
    for overlay in (window.views.banner, window.views.loading):
        assert central.rect().contains(overlay.geometry())


@pytest.mark.parametrize(
    ("size", "missing"),
    [
        (QSize(960, 600), set()),
        (QSize(960, 500), {"attention"}),
        (QSize(683, 360), {"attention", "spectrogram", "timeline"}),
        (QSize(1080, 1920), set()),
    ],
)
def test_a_low_window_goes_without_what_matters_least(
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    size: QSize,
    missing: set[str],
) -> None:
    window = open_window(replay)
    everything = set(placed(window))
    resize(window, size)
    run(window, now, 1.0)
    assert everything - set(placed(window)) == missing
    resize(window, QSize(1280, 720))
    assert set(placed(window)) == everything


@pytest.mark.parametrize("size", [QSize(960, 1000), QSize(1080, 1500), QSize(1080, 1920)])
def test_a_tall_window_has_its_cards_below_the_picture(
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    size: QSize,
) -> None:
    window = open_window(replay)
    resize(window, QSize(1280, 720))
    run(window, now, 1.0)
    window.grab()
    wide = placed(window)
    resize(window, size)
    run(window, now, 1.0)
    window.grab()
    areas, px = placed(window), window.theme.px
    for card in ("answer", "shares", "attention"):
        assert areas[card].top() > areas["timeline"].bottom(), card
    rows = len(window.views.answer._bars)
    assert (areas["answer"].height() - px(112)) / rows <= px(48)  # they belong together
    video = areas["video"]
    assert video.width() > 0.9 * size.width()
    assert 1.2 < video.width() / video.height() < 2.3  # hardly any room above most pictures
    resize(window, QSize(1280, 720))
    assert placed(window) == wide


def test_type_is_as_large_in_a_tall_window_as_in_a_wide_one(
    open_window: OpenWindow, live: FakeLiveSession
) -> None:
    window = open_window(live)
    window.resize(1080, 1920)
    assert window.theme.scale > 1.0


def test_the_layout_does_not_move_with_what_is_shown(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    run(window, now, 1.5)
    window.grab()
    before = placed(window)
    live.health_changes.update(engine="torch, NVIDIA with a very long name indeed " * 3)
    run(window, now, 3.0)
    window.grab()
    assert placed(window) == before


def test_type_grows_with_the_window(open_window: OpenWindow, live: FakeLiveSession) -> None:
    window = open_window(live)
    window.resize(1280, 720)
    small = window.theme.px(13)
    window.resize(3840, 2160)
    assert window.theme.px(13) > 1.8 * small


# -- without a mouse, without sight ------------------------------------------------------------


@pytest.mark.parametrize("mode", ["live", "replay"])
def test_everything_can_be_reached_with_tab_and_has_a_name(
    open_window: OpenWindow, live: FakeLiveSession, replay: FakeReplaySession, mode: str
) -> None:
    window = open_window(live if mode == "live" else replay)
    controls = [
        child
        for child in window.findChildren(QWidget)
        if isinstance(child, QAbstractButton | QComboBox | QSlider) and child.isVisibleTo(window)
    ]
    assert len(controls) >= 7
    for control in controls:
        assert control.focusPolicy() & Qt.FocusPolicy.TabFocus, control
        name = control.accessibleName() or (
            control.text() if isinstance(control, QAbstractButton) else ""
        )
        assert name, control
        assert control.toolTip() or name == "Retry", name


def test_views_have_names_for_screen_readers(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    for view in (
        window.views.video,
        window.views.answer,
        window.views.shares,
        window.views.spectrogram,
        window.views.status,
    ):
        assert view.accessibleName()
        assert view.accessibleDescription(), view.accessibleName()

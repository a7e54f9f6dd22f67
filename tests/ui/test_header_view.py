"""Devices and addresses that are chosen at the top of the window."""

from pathlib import Path

import pytest
from PyQt6.QtCore import QEvent, QPoint, QSize
from PyQt6.QtGui import QPixmap
from PyQt6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QDialog,
    QDialogButtonBox,
    QInputDialog,
    QLineEdit,
    QMenu,
)
from pytestqt.qtbot import QtBot

from realtime.devices.listing import CameraInfo, Listing
from realtime.messages import SourceHealth, SourceState
from tests.fakes.session import FakeLiveSession, ManualTime, fake_microphone
from tests.ui.conftest import OpenWindow, click, has_colour, run, type_in
from ui import icons, palette
from ui.header_view import HeaderView


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


def test_symbols_are_drawn_anew_for_the_points_of_another_screen(
    open_window: OpenWindow, live: FakeLiveSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_window(live)
    draw, sizes = icons.brand_mark, []

    def drawn(size: int) -> QPixmap:
        sizes.append(size)
        return draw(size)

    monkeypatch.setattr(icons, "brand_mark", drawn)
    for ratio in (1.0, 2.0):
        monkeypatch.setattr(HeaderView, "devicePixelRatioF", lambda _, ratio=ratio: ratio)
        QApplication.sendEvent(window, QEvent(QEvent.Type.DevicePixelRatioChange))
    assert sizes[1] == 2 * sizes[0]


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
        ("http://foo bar", None),
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
        (buttons,) = dialog.findChildren(QDialogButtonBox)
        connect = buttons.button(QDialogButtonBox.StandardButton.Ok)
        assert connect is not None
        assert connect.isEnabled() == (address is not None)
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

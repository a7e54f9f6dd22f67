"""What wheel and keys do to buttons, choices and sliders in a window."""

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QAbstractButton, QApplication
from pytestqt.qtbot import QtBot

from tests.fakes.session import FakeLiveSession, FakeReplaySession, ManualTime
from tests.ui.conftest import OpenWindow, click, press, press_focused, run, tab_to, turn_wheel


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

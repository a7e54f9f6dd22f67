"""The controls of a recording in a window."""

from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from pytestqt.qtbot import QtBot

from tests.fakes.session import FakeFactory, FakeReplaySession, ManualTime
from tests.ui.conftest import OpenWindow, click, has_colour, open_file, press, run
from ui import palette


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


def test_the_slider_follows_playback_without_seeking(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    window = open_window(replay)
    run(window, now, 2.0)
    assert window.views.transport.slider.value() == pytest.approx(200, abs=2)
    assert replay.position_seconds == pytest.approx(2.0)

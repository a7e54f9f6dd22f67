"""The window as a whole: layout, keys, modes, failures."""

import json
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import QMimeData, QPoint, QPointF, QRectF, QSettings, QStandardPaths, Qt, QUrl
from PyQt6.QtGui import QDragEnterEvent, QDropEvent, QImage
from PyQt6.QtWidgets import QAbstractButton, QApplication, QComboBox, QFileDialog, QSlider, QWidget
from pytestqt.qtbot import QtBot

from models.labels import EMOTIONS
from realtime.emotion.reasons import TOO_DARK
from realtime.export import Written
from realtime.messages import LOW_CONFIDENCE, SessionState, SourceHealth, SourceState
from realtime.recording.recording import Recording
from tests.fakes.session import (
    FakeFactory,
    FakeLiveSession,
    FakeReplaySession,
    ManualTime,
    list_fake_devices,
)
from tests.recordings import movie
from tests.ui.conftest import (
    TASK_OPTIONS,
    OpenWindow,
    export,
    has_colour,
    open_file,
    press,
    press_focused,
    run,
    share_of_colour,
    tab_to,
)
from ui import palette, rendering
from ui.dialogs import ExportDialog
from ui.main_window import _ENDINGS, MainWindow, WindowOptions
from ui.present.answer import BEFORE_THE_PAUSE, NOT_SURE, summary
from ui.present.notices import Remedy, Severity
from ui.present.playback import SLOWED_BY_ANALYSIS, WAITS_FOR_ANALYSIS
from ui.video_view import HEATMAP_CAPTION, NO_FACE_HERE, NO_MAP

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


def test_the_demo_is_called_one_and_can_be_opened(
    qtbot: QtBot, factory: FakeFactory, replay: FakeReplaySession, now: ManualTime, tmp_path: Path
) -> None:
    told = "No camera or microphone found: this is the demo recording"
    window = MainWindow(
        replay,
        factory,
        list_devices=list_fake_devices,
        settings=QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat),
        options=WindowOptions(**TASK_OPTIONS, demo=Path("demo.mp4"), notice=told),
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
    live.changes.update(label=None, reason=TOO_DARK)
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


def test_full_screen_that_the_window_manager_ended_can_be_entered_again(
    open_window: OpenWindow, live: FakeLiveSession
) -> None:
    window = open_window(live)
    press(window, Qt.Key.Key_F11)
    window.showNormal()  # as the window manager's own key does
    assert not window.commands["full_screen"].isChecked()
    press(window, Qt.Key.Key_F11)
    assert window.isFullScreen()
    assert window.commands["full_screen"].isChecked()


def test_a_minimised_window_draws_no_pictures(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    scaled: list[int] = []
    picture = rendering.picture

    def count(*args: Any, **options: Any) -> QImage:
        scaled.append(1)
        return picture(*args, **options)

    monkeypatch.setattr(rendering, "picture", count)
    window.showMinimized()
    scaled.clear()
    live.changes.update(label=None, reason=TOO_DARK)
    live.health_changes["camera"] = SourceHealth(name="Camera", state=SourceState.STALLED)
    run(window, now, 2.0)
    assert scaled == []
    assert window.views.answer.headline == "Neutral"
    assert window.views.banner.notice is not None
    assert "nothing arrives" in window.views.banner.notice.text
    assert window.bridge._last_index >= 38
    window.showNormal()
    scaled.clear()
    window.bridge.poll()
    assert scaled == [1]
    assert window.views.answer.headline == NOT_SURE


def test_every_command_has_its_own_keys(open_window: OpenWindow, live: FakeLiveSession) -> None:
    window = open_window(live)
    keys = [key.toString() for action in window.commands.values() for key in action.shortcuts()]
    assert len(keys) == len(set(keys))


# -- recordings --------------------------------------------------------------------------------


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
    qtbot.waitUntil(lambda: window.live is not None and window.commands["pause"].isEnabled())


def test_a_failed_live_session_cannot_be_paused_or_written(
    qtbot: QtBot,
    open_window: OpenWindow,
    live: FakeLiveSession,
    now: ManualTime,
    tmp_path: Path,
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    window.write(tmp_path / "session.csv")
    qtbot.waitUntil(lambda: not window._filing.busy)
    live.state, live.message = SessionState.FAILED, "The weights are damaged."
    run(window, now, 0.1)
    pause, write = window.commands["pause"], window.commands["write"]
    assert (pause.isEnabled(), write.isEnabled()) == (False, True)  # it can still be stopped
    write.trigger()
    qtbot.waitUntil(lambda: not window._filing.busy)
    run(window, now, 0.1)
    assert (pause.isEnabled(), write.isEnabled()) == (False, False)
    press_focused(Qt.Key.Key_Space)
    assert not live.paused
    window.views.banner.remedied.emit(Remedy.SESSION)
    run(window, now, 0.1)
    assert (pause.isEnabled(), write.isEnabled()) == (False, True)  # it loads


def test_a_live_session_that_still_loads_offers_no_pause(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    live.state = SessionState.LOADING
    window = open_window(live)
    run(window, now, 0.1)
    assert not window.commands["pause"].isEnabled()
    live.state = SessionState.RUNNING
    run(window, now, 0.1)
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
    assert window.views.answer.detail == "Play, or choose a place below"
    assert window.views.video.face_area() is not None
    qtbot.waitUntil(lambda: f"{HEATMAP_CAPTION}: {NO_MAP}" in written)
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
    text = window.views.banner.notice.text
    assert f"there is no folder {tmp_path / 'none'}: create it" in text


def test_live_answers_are_written_to_a_file_until_that_is_stopped(
    qtbot: QtBot,
    open_window: OpenWindow,
    factory: FakeFactory,
    live: FakeLiveSession,
    now: ManualTime,
    tmp_path: Path,
) -> None:
    window, path = open_window(live), tmp_path / "session.csv"
    run(window, now, 2.0)
    command = window.commands["write"]
    for _ in range(2):  # what is not chosen changes nothing
        command.trigger()
        (dialog,) = window.findChildren(ExportDialog)
        assert not command.isChecked()
        dialog.reject()
        qtbot.waitUntil(lambda: not window.findChildren(ExportDialog))
    window.write(path)
    qtbot.waitUntil(lambda: not window._filing.busy)
    window.bridge.poll()
    assert factory.log.path == path
    assert command.isChecked()
    assert command.text() == "Stop writing answers"
    factory.log.write(live.prediction(7))
    command.trigger()
    qtbot.waitUntil(lambda: not window._filing.busy)
    window.bridge.poll()
    assert factory.log.path is None
    assert (command.isChecked(), command.text()) == (False, "Write answers to a file…")
    assert window.views.banner.notice is not None
    assert window.views.banner.notice.text == f"1 answer written to {path}"
    assert len(path.read_text().splitlines()) == 2


def test_live_answers_go_on_into_their_file_after_a_recording(
    qtbot: QtBot,
    open_window: OpenWindow,
    factory: FakeFactory,
    live: FakeLiveSession,
    now: ManualTime,
    tmp_path: Path,
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    window.write(tmp_path / "session.csv")
    qtbot.waitUntil(lambda: not window._filing.busy)
    open_file(qtbot, window, tmp_path / "talk.mp4")
    assert not window.commands["write"].isEnabled()
    assert not window.commands["write"].isVisible()
    assert window.commands["export"].isVisible()
    window.commands["live"].trigger()
    window.bridge.poll()
    assert window.commands["write"].isChecked()
    assert factory.log.path is not None


def test_a_file_that_cannot_be_made_is_told(
    qtbot: QtBot,
    open_window: OpenWindow,
    factory: FakeFactory,
    live: FakeLiveSession,
    now: ManualTime,
    tmp_path: Path,
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    window.write(tmp_path / "none" / "session.csv")
    qtbot.waitUntil(lambda: not window._filing.busy)
    assert window.views.banner.notice is not None
    assert f"there is no folder {tmp_path / 'none'}" in window.views.banner.notice.text
    assert factory.log.path is None


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
    window.export(tmp_path / "talk.csv", replay)
    window.export(tmp_path / "again.csv", replay)
    assert window.views.banner.notice is not None
    assert window.views.banner.notice.text == "The file before this one is still being written."
    going_on.set()
    qtbot.waitUntil(lambda: not window._filing.busy)
    assert [path.name for path in tmp_path.glob("*.csv")] == ["talk.csv"]


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


@pytest.mark.parametrize("command", ["open", "write"])
def test_a_last_folder_that_cannot_be_reached_keeps_nothing_from_being_asked(
    open_window: OpenWindow, live: FakeLiveSession, tmp_path: Path, command: str
) -> None:
    window = open_window(live)
    unreachable = tmp_path / ("x" * 300)  # too long a name, of which Path raises as of a dead mount
    window._settings.setValue("folder", str(unreachable))
    window.commands[command].trigger()
    (dialog,) = window.findChildren(QFileDialog)
    assert Path(dialog.directory().absolutePath()) != unreachable
    dialog.close()
    assert not drop(window, QUrl.fromLocalFile(str(unreachable / "talk.mp4")))


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
    told = "The answers cannot be written: an unexpected failure; the log file has the details"
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


@pytest.mark.parametrize("to", ["recording", "live"])
def test_the_answers_exported_are_of_the_recording_that_they_were_asked_of(
    qtbot: QtBot,
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    tmp_path: Path,
    to: str,
) -> None:
    replay.path = tmp_path / "talk.mp4"
    window = open_window(replay)
    run(window, now, 2.0)
    window.commands["export"].trigger()
    (dialog,) = window.findChildren(ExportDialog)
    if to == "live":
        window.switcher.go_live()
        qtbot.waitUntil(lambda: window.live is not None)
    else:
        open_file(qtbot, window, tmp_path / "other.mp4")
    other = window.switcher.session
    if isinstance(other, FakeReplaySession):
        other.analysis_speed = 1000.0  # at its end before the answers are written
    run(window, now, 2.0)
    answers = len(replay.history())
    dialog.fileSelected.emit(str(tmp_path / "talk.csv"))
    qtbot.waitUntil(lambda: not window._filing.busy)
    run(window, now, 0.1)
    assert json.loads((tmp_path / "talk.csv").read_text()) == {"predictions": answers}
    assert window.views.banner.notice is not None
    assert window.views.banner.notice.text.endswith(f"written to {tmp_path / 'talk.csv'}")
    dialog.close()


def test_live_answers_asked_for_before_a_recording_was_opened_are_not_written(
    qtbot: QtBot,
    open_window: OpenWindow,
    factory: FakeFactory,
    live: FakeLiveSession,
    now: ManualTime,
    tmp_path: Path,
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    window.commands["write"].trigger()
    (dialog,) = window.findChildren(ExportDialog)
    open_file(qtbot, window, tmp_path / "talk.mp4")
    dialog.fileSelected.emit(str(tmp_path / "live.csv"))
    qtbot.waitUntil(lambda: not window._filing.busy)
    assert window.views.banner.notice is not None
    assert window.views.banner.notice.text.startswith("Nothing is written")
    assert (factory.log.path, (tmp_path / "live.csv").exists()) == (None, False)
    dialog.close()


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


def test_at_its_end_a_recording_is_summed_up(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    window = open_window(replay)
    run(window, now, 8.0)
    answer = window.views.answer
    assert not answer.sums_up
    window.commands["end"].trigger()
    run(window, now, 1.0)
    assert answer.headline == "Summary"
    assert answer.detail.startswith("Share of the time")
    window.commands["begin"].trigger()
    run(window, now, 1.0)
    assert not answer.sums_up
    assert not answer.detail.startswith("Share of the time")


def test_the_summary_counts_the_last_answers(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    replay.duration_seconds = 6.0
    window = open_window(replay)
    window.commands["end"].trigger()
    for _ in range(60):
        now.advance(0.025)  # several polls between two looks at the history
        window.bridge.poll()
    assert window.views.answer.sums_up
    told = summary(window.views.timeline.label_shares(), EMOTIONS)[1]
    assert window.views.answer.accessibleDescription().endswith(
        ", ".join(f"{bar.name} {bar.text}" for bar in told)
    )


def test_two_failed_devices_are_tried_again_together(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    failed = SourceHealth(name="USB", state=SourceState.FAILED, message="it is in use")
    live.health_changes.update(camera=failed, microphone=failed)
    run(window, now, 2.0)
    (retry,) = [
        each for each in window.views.banner.findChildren(QAbstractButton) if each.text() == "Retry"
    ]
    retry.click()
    assert live.asked == [("camera", live.camera), ("microphone", live.microphone)]


def test_no_notice_hides_where_a_file_is_dropped(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime, tmp_path: Path
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    assert window.views.banner.isVisible()  # that nothing is stored
    data = QMimeData()
    (tmp_path / "talk.mp4").touch()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "talk.mp4"))])
    how = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton)
    window.dragEnterEvent(QDragEnterEvent(QPoint(9, 9), *how, Qt.KeyboardModifier.NoModifier))
    assert not window.views.banner.isVisible()
    window.dragLeaveEvent(None)
    assert window.views.banner.isVisible()


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
        live.changes.update(label=None, reason=LOW_CONFIDENCE)
    window = open_window(live)
    run(window, now, 2.0)
    neutral = palette.EMOTION_COLOURS["neutral"]
    tag, timeline = window.views.video.tag_area(), window.views.timeline
    assert tag is not None
    assert (share_of_colour(window.views.video.grab(tag.toRect()).toImage(), neutral) > 0.5) is sure
    end = QRectF(0, 0, timeline.theme.px(8), 2)  # of the band, inside its corners, below the name
    end.moveBottomRight(timeline.chart().bottomRight() - QPointF(4, 1))
    band = timeline.grab(end.toRect()).toImage()
    assert (share_of_colour(band, neutral) > 0.9) is sure
    assert has_colour(band, palette.RAISED) is not sure  # hatched, on the ground
    assert sure or has_colour(band, palette.TEXT_FAINT)


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
        assert "(" not in name  # keys are for the tooltip


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

"""Long names in the lines of a narrow window."""

from pathlib import Path

import pytest
from PyQt6.QtCore import QRect, QSize, Qt
from PyQt6.QtWidgets import QLabel

from realtime.messages import SessionState
from tests.fakes.session import FakeReplaySession, ManualTime
from tests.ui.conftest import OpenWindow, has_colour, resize, run
from ui import palette
from ui.wrapping import breakable

NAME = f"{'interview_with_all_of_them_' * 4}{'0123456789' * 8}.mp4"
ACCENT = "\u0301"


def test_a_long_name_stays_within_the_window(
    open_window: OpenWindow, replay: FakeReplaySession, now: ManualTime
) -> None:
    replay.path, replay.pictures = Path(NAME), None
    replay.state, replay.message = SessionState.FAILED, f"{NAME} cannot be read"
    window = open_window(replay)
    resize(window, QSize(640, 360))
    run(window, now, 0.2)
    banner, video = window.views.banner, window.views.video
    (label,) = (each for each in banner.findChildren(QLabel) if each.text())

    room, told = QRect(0, 0, label.width(), 1000), f"{NAME} cannot be read"
    wrapped = int(Qt.TextFlag.TextWordWrap)
    assert room.contains(label.fontMetrics().boundingRect(room, wrapped, label.text()))
    assert (label.accessibleName(), banner.accessibleDescription()) == (told, told)

    assert video._empty[1] == told
    third_line = video.rect().adjusted(0, video.height() // 2 + video.theme.px(70), 0, 0)
    assert has_colour(video.grab(third_line).toImage(), palette.TEXT_SOFT, tolerance=40)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("talk.mp4 cannot be read: 0.5 s", "talk.mp4 cannot be read: 0.5 s"),
        ("it is in /home/somebody/films.d/", "it is in /|home/|somebody/|films.|d/"),
        ("x" * 45, f"{'x' * 20}|{'x' * 20}|{'x' * 5}"),
        ("https://camera-of-the-hall", "https://|camera-|of-|the-|hall"),
        (f"{'x' * 20}{ACCENT}yz", f"{'x' * 20}{ACCENT}|yz"),  # which belongs to the x before it
    ],
)
def test_only_long_words_are_broken(text: str, shown: str) -> None:
    assert breakable(text) == shown.replace("|", "\u200b")

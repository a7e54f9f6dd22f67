"""The pointer on the timeline of a recording, in a window."""

import pytest
from PyQt6.QtCore import Qt

from tests.fakes.session import FakeReplaySession, ManualTime
from tests.ui.conftest import OpenWindow, press, run, turn_wheel


@pytest.fixture
def long_replay(now: ManualTime) -> FakeReplaySession:
    return FakeReplaySession(now, loading_seconds=0.0, duration_seconds=600.0, analysis_speed=1e3)


def test_while_it_plays_one_may_look_at_another_part(
    open_window: OpenWindow, long_replay: FakeReplaySession, now: ManualTime
) -> None:
    window = open_window(long_replay)
    run(window, now, 2.0)
    timeline = window.views.timeline
    x = timeline.chart().left() + 0.8 * timeline.chart().width()
    below = timeline.seconds_at(x)
    for _ in range(6):
        turn_wheel(timeline, 1, x)
        run(window, now, 0.2)
    assert timeline.seconds_at(x) == pytest.approx(below)
    start, _ = timeline.span()
    assert start > long_replay.position_seconds
    turn_wheel(timeline, -2, across=True)
    run(window, now, 0.2)
    assert timeline.span()[0] > start
    press(window, Qt.Key.Key_Right)  # who seeks, wants to see where that leads
    run(window, now, 0.1)
    start, end = timeline.span()
    assert start <= long_replay.position_seconds <= end

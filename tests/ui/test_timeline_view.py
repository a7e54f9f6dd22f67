"""The pointer on the timeline of a recording, in a window."""

import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtWidgets import QApplication, QWidget

from tests.fakes.session import FakeReplaySession, ManualTime
from tests.ui.conftest import OpenWindow, click, press, run, turn_wheel


@pytest.fixture
def long_replay(now: ManualTime) -> FakeReplaySession:
    return FakeReplaySession(now, loading_seconds=0.0, duration_seconds=150.0, analysis_speed=1e3)


def mouse(widget: QWidget, kind: QEvent.Type, place: QPointF) -> None:
    """Press, move or release the left button, as the system tells it."""
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    event = QMouseEvent(
        kind,
        place,
        widget.mapToGlobal(place),
        none if kind is QEvent.Type.MouseMove else left,
        none if kind is QEvent.Type.MouseButtonRelease else left,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(widget, event)


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


def test_a_double_click_that_moves_a_little_seeks_nowhere_else(
    open_window: OpenWindow, long_replay: FakeReplaySession, now: ManualTime
) -> None:
    window = open_window(long_replay)
    run(window, now, 2.0)
    timeline = window.views.timeline
    turn_wheel(timeline, 12, timeline.chart().left())
    place = timeline.chart().center()
    kinds = QEvent.Type
    mouse(timeline, kinds.MouseButtonPress, place)
    mouse(timeline, kinds.MouseButtonRelease, place)
    sought = long_replay.position_seconds
    assert 2.0 < sought < 50.0
    mouse(timeline, kinds.MouseButtonDblClick, place)
    assert timeline.span() == (0.0, 150.0)
    mouse(timeline, kinds.MouseMove, place + QPointF(1, 0))
    mouse(timeline, kinds.MouseButtonRelease, place + QPointF(1, 0))
    assert long_replay.position_seconds == sought


def test_only_presses_on_the_chart_seek(
    open_window: OpenWindow, long_replay: FakeReplaySession, now: ManualTime
) -> None:
    window = open_window(long_replay)
    run(window, now, 2.0)
    timeline = window.views.timeline
    chart = timeline.chart()
    beside = (
        timeline.title_area().center().toPoint(),
        QPoint(timeline.width() - 40, 8),  # the legend
        QPoint(3, timeline.height() // 2),
        QPoint(timeline.width() - 3, timeline.height() // 2),
    )
    for place in beside:
        click(timeline, place)
        assert long_replay.position_seconds == pytest.approx(2.0)
    click(timeline, chart.topLeft().toPoint() + QPoint(100, -4))  # on the cursor's arrow
    assert long_replay.position_seconds > 10.0
    kinds = QEvent.Type
    mouse(timeline, kinds.MouseButtonPress, chart.center())
    for across, seconds in ((0.7, 105.0), (1.5, 150.0)):  # a drag goes on beside the chart
        mouse(timeline, kinds.MouseMove, QPointF(chart.left() + across * chart.width(), -20.0))
        assert long_replay.position_seconds == pytest.approx(seconds)
    mouse(timeline, kinds.MouseButtonRelease, chart.center())
    mouse(timeline, kinds.MouseMove, chart.center())
    assert long_replay.position_seconds == pytest.approx(150.0)

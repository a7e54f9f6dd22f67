"""Where playback stands: by the clock, and no further than there are answers."""

from __future__ import annotations

import math

import pytest

from realtime.playhead import Playhead


def test_it_stands_until_it_plays() -> None:
    head = Playhead(10.0)
    assert head.position(15.0, reached=math.inf, duration=60.0) == 0.0
    head.place(3.0, 15.0, duration=60.0)
    head.playing = True
    assert head.position(16.5, reached=math.inf, duration=60.0) == 4.5
    assert head.began == 12.0


def test_asking_changes_nothing() -> None:
    head = Playhead(0.0, playing=True)
    assert head.position(5.0, reached=2.0, duration=60.0) == 2.0
    assert head.position(5.0, reached=10.0, duration=60.0) == 5.0


def test_the_time_spent_waiting_is_not_made_up_for() -> None:
    head = Playhead(0.0, playing=True)
    head.wait(1.0, reached=2.0)  # it is not there yet
    assert head.position(1.5, reached=2.0, duration=60.0) == 1.5
    head.wait(5.0, reached=2.0)
    assert head.position(5.5, reached=10.0, duration=60.0) == 2.5


@pytest.mark.parametrize("reached", [0.0, 2.0])
def test_it_waits_where_it_was_placed(reached: float) -> None:
    head = Playhead(0.0, playing=True)
    head.place(7.0, 1.0, duration=60.0)
    assert head.position(3.0, reached=reached, duration=60.0) == 7.0
    head.wait(3.0, reached=reached)
    assert head.position(4.0, reached=math.inf, duration=60.0) == 8.0


def test_it_keeps_its_speed_and_within_the_recording() -> None:
    head = Playhead(0.0, speed=4.0, playing=True)
    assert head.position(2.0, reached=math.inf, duration=60.0) == 8.0
    assert head.position(20.0, reached=math.inf, duration=60.0) == 60.0
    for wanted, position in ((-5.0, 0.0), (100.0, 60.0)):
        head.place(wanted, 20.0, duration=60.0)
        assert head.position(20.0, reached=0.0, duration=60.0) == position

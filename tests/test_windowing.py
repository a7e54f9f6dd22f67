"""The grid of windows, on exact edges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.config import ConfigError, SmoothingConfig, WindowConfig
from realtime.windowing import WindowGrid

GRID = WindowGrid(WindowConfig(picture_lag_seconds=0.04))


def test_a_window_ends_on_its_hop() -> None:
    assert GRID.end(3) == 0.3
    assert GRID.sound(31).start == pytest.approx(0.1)
    assert GRID.sound(31).end == pytest.approx(3.1)
    assert GRID.first_slot(31) == 2


@given(st.integers(0, 100_000), st.integers(0, 99))
def test_a_picture_belongs_to_the_slot_that_ends_after_it(hop: int, percent: int) -> None:
    time = hop / 10 - 0.04 + percent / 1000
    assert GRID.slot_of(time) == hop + 1


def test_a_picture_on_the_edge_belongs_to_the_next_slot() -> None:
    assert GRID.slot_of(0.26) == 4
    assert GRID.slot_of(0.2599) == 3


def test_a_window_is_due_when_both_have_reached_its_end() -> None:
    assert GRID.last_due(picture_time=0.27, sound_end=0.29) == 2
    assert GRID.last_due(picture_time=0.27, sound_end=0.3) == 3
    assert GRID.last_due(picture_time=0.25, sound_end=0.3) == 2


def test_nothing_to_wait_for_means_nothing_due() -> None:
    assert GRID.last_due(picture_time=None, sound_end=None) is None
    assert GRID.last_due(picture_time=None, sound_end=0.31) == 3
    assert GRID.last_due(picture_time=0.37, sound_end=None) == 4


def test_settings_are_checked_at_the_door() -> None:
    with pytest.raises(ConfigError, match=r"hop_seconds.*not 4"):
        WindowConfig(hop_seconds=4)
    with pytest.raises(ConfigError, match=r"unsure.*0\.9"):
        SmoothingConfig(unsure=0.9)

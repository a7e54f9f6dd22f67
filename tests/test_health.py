"""Rates and delays over the last seconds."""

from __future__ import annotations

import pytest

from realtime.health import Rolling


def test_quantiles_are_values_that_came() -> None:
    delays = Rolling(30.0)
    assert delays.quantiles(0.0, 0.5, 0.95) == (None, None)
    for now, value in enumerate((5.0, 1.0, 3.0, 2.0, 4.0)):
        delays.add(float(now), value)
    assert delays.quantiles(4.0, 0.0, 0.5, 0.95, 1.0) == (1.0, 3.0, 5.0, 5.0)


def test_what_is_older_than_the_span_is_forgotten() -> None:
    delays = Rolling(2.0)
    delays.add(0.0, 9.0)
    delays.add(3.0, 1.0)
    assert delays.quantiles(3.0, 1.0) == (1.0,)
    assert delays.quantiles(6.0, 1.0) == (None,)


def test_the_rate_of_what_has_stopped_sinks() -> None:
    packets = Rolling(2.0)
    for number in range(11):
        packets.add(number / 10, 1.0)
    assert packets.rate(1.0) == pytest.approx(10.0)
    assert packets.rate(2.0) == pytest.approx(5.0)
    assert packets.rate(9.0) == 0.0


def test_what_a_driver_hands_over_at_once_is_no_rate() -> None:
    packets = Rolling(2.0)
    packets.add(0.0, 1.0)
    packets.add(0.0005, 1.0)
    assert packets.rate(0.0005) == pytest.approx(5.0)

"""Times as people read them."""

import pytest

from realtime.clock import clock_time


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (61.96, "1:01"), (3725, "1:02:05"), (-1, "0:00")]
)
def test_times(seconds: float, text: str) -> None:
    assert clock_time(seconds) == text


def test_tenths() -> None:
    assert clock_time(61.96, tenths=True) == "1:01.9"

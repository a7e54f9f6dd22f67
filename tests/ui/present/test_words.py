"""Numbers as people read them."""

import pytest

from ui.present import words


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.0049, "<1"), (0.006, "1"), (0.994, "99"), (0.9999, ">99"), (1.0, "100")],
)
def test_what_is_nearly_all_or_nothing_is_not_called_so(value: float, text: str) -> None:
    assert words.percent(value) == f"{text}\u202f%"


def test_levels_carry_a_true_minus_sign() -> None:
    assert words.decibels(-31.6) == "\u221232 dB"
    assert words.decibels(-120.0) == "\u221299 dB"

"""From probabilities to a label that does not flicker."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from models.arrays import FloatArray
from realtime.config import SmoothingConfig
from realtime.smoothing import Smoother

HAPPY = np.array([0.1, 0.8, 0.1], np.float32)
SAD = np.array([0.1, 0.1, 0.8], np.float32)
NOBODY_KNOWS = np.full(3, 1 / 3, np.float32)


def labels(probabilities: list[FloatArray], config: SmoothingConfig) -> list[int | None]:
    smoother = Smoother(config)
    return [smoother.update(0.1 * k, each).label for k, each in enumerate(probabilities)]


def test_the_average_follows_seconds_not_windows() -> None:
    config = SmoothingConfig(decay_seconds=0.5)
    coarse, fine = Smoother(config), Smoother(config)
    coarse.update(0, HAPPY)
    fine.update(0, HAPPY)
    for k in range(1, 11):
        result = fine.update(0.1 * k, SAD)
    np.testing.assert_allclose(
        result.probabilities, coarse.update(1.0, SAD).probabilities, rtol=1e-5
    )


def test_one_odd_window_changes_nothing() -> None:
    assert labels([HAPPY, HAPPY, SAD, HAPPY, HAPPY], SmoothingConfig()) == [1] * 5


def test_a_lasting_change_is_taken_up_once() -> None:
    seen = labels([HAPPY] * 5 + [SAD] * 15, SmoothingConfig())
    changes = [(a, b) for a, b in pairwise(seen) if a != b]
    assert changes in ([(1, 2)], [(1, None), (None, 2)])


@pytest.mark.parametrize(("lead", "windows"), [(0.06, None), (0.1, 3), (0.2, 0)])
def test_the_further_another_class_leads_the_sooner_it_is_the_label(
    lead: float, windows: int | None
) -> None:
    config = SmoothingConfig(decay_seconds=0)
    challenged = np.array([0.1, 0.45 - lead / 2, 0.45 + lead / 2], np.float32)
    seen = labels([HAPPY, *[challenged] * 9], config)
    assert seen == [1, *[1] * 9] if windows is None else [1, *[1] * windows, *[2] * (9 - windows)]


def test_a_headline_is_never_far_behind_the_likeliest_class() -> None:
    config = SmoothingConfig()
    smoother = Smoother(config)
    random = np.random.default_rng(0)
    for index in range(2000):  # moods of some seconds with noise on top
        mood = 3.0 * (np.arange(7) == (index // 23) % 7)
        powers = np.exp(mood + random.normal(0, 1.0, 7))
        result = smoother.update(0.1 * index, (powers / powers.sum()).astype(np.float32))
        if result.label is not None:
            behind = result.probabilities.max() - result.probabilities[result.label]
            assert behind < config.switch_at_once


def test_two_classes_that_are_close_do_not_take_turns() -> None:
    config = SmoothingConfig(decay_seconds=0)
    one, other = (np.array([0.19, *pair], np.float32) for pair in ((0.455, 0.355), (0.355, 0.455)))
    assert labels([one, other] * 20, config) == [1] * 40


def test_unsure_is_an_answer_and_has_hysteresis() -> None:
    config = SmoothingConfig(decay_seconds=0, sure=0.5, unsure=0.4)
    between = np.array([0.3, 0.45, 0.25], np.float32)
    assert labels([between, HAPPY, between, NOBODY_KNOWS, between], config) == [
        None,
        1,
        1,
        None,
        None,
    ]


def test_reset_forgets() -> None:
    smoother = Smoother(SmoothingConfig())
    smoother.update(0, HAPPY)
    smoother.reset()
    assert smoother.update(0.1, SAD).label == 2
    assert smoother.update(0.1, SAD).probabilities[2] == pytest.approx(0.8)

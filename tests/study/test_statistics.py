"""Paired tests against what can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.training.study.statistics import (
    confusion_matrix,
    corrected_resampled_test,
    holm,
    lowest_sign_flip_p,
    sign_flip_test,
    sum_per_unit,
)
from models.training.study.task import NO_LABEL


def test_sign_flips_are_counted() -> None:
    assert sign_flip_test(np.array([1.0, 1.0, 1.0])) == 2 / 8  # all plus, all minus
    assert sign_flip_test(np.array([1.0, -1.0])) == 1.0
    assert sign_flip_test(np.zeros(40)) == 1.0


def test_large_units_count_for_more_than_small_ones() -> None:
    """The 8 patterns of 4, 1 and 2 have the sums 1, 3, 5 and 7, either way."""
    assert sign_flip_test(np.array([4.0, -1.0, -2.0])) == 8 / 8
    assert sign_flip_test(np.array([4.0, 1.0, -2.0])) == 6 / 8
    assert sign_flip_test(np.array([4.0, 1.0, 2.0])) == 2 / 8


@pytest.mark.parametrize("units", [1, 4, 16, 17])
def test_no_units_agree_more_than_all(units: int) -> None:
    assert sign_flip_test(np.full(units, 0.1)) >= lowest_sign_flip_p(units)
    if units <= 16:
        assert sign_flip_test(np.full(units, 0.1)) == lowest_sign_flip_p(units)


def test_many_units_are_drawn_and_agree_with_the_normal_limit() -> None:
    rng = np.random.default_rng(0)
    differences = rng.normal(0.2, 1.0, 100)
    z = differences.sum() / np.sqrt(np.square(differences).sum())
    from scipy.stats import norm

    assert sign_flip_test(differences) == pytest.approx(2 * norm.sf(abs(z)), abs=0.01)


def test_resampled_test_is_a_t_test_without_the_correction() -> None:
    from scipy.stats import ttest_1samp

    differences = np.random.default_rng(0).normal(0.5, 1.0, (5, 3))
    plain = ttest_1samp(differences.mean(axis=1), 0.0).pvalue  # four degrees of freedom
    assert corrected_resampled_test(differences, 0.0) == pytest.approx(plain)
    corrected = corrected_resampled_test(differences, 0.25)
    assert corrected is not None
    assert corrected > plain
    assert corrected_resampled_test(differences[:1], 0.25) is None
    assert corrected_resampled_test(np.zeros((5, 3)), 0.25) == 1.0


def test_more_seeds_of_the_same_folds_are_no_further_evidence() -> None:
    differences = np.random.default_rng(0).normal(0.5, 1.0, (5, 3))
    twice = np.concatenate([differences, differences], axis=1)
    once = corrected_resampled_test(differences, 0.25)
    assert corrected_resampled_test(twice, 0.25) == pytest.approx(once)


def test_holm_corrects_by_rank_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_sums_of_units_and_confusions_leave_missing_steps_out() -> None:
    labels = np.array([[0, 1, NO_LABEL], [1, NO_LABEL, NO_LABEL]])
    right = np.array([[1.0, 0.5, 9.0], [0.25, 9.0, 9.0]])
    np.testing.assert_allclose(
        sum_per_unit(right, labels, np.array([7, 3])), [0.25, 1.5]
    )  # unit 3 first
    logits = np.zeros((1, 2, 3, 2), np.float32)
    logits[0, 0, 1, 1] = 1.0  # right; the only other label 1 is answered 0
    np.testing.assert_array_equal(confusion_matrix(logits, labels, 2), [[1, 0], [1, 1]])

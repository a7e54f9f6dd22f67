"""Means, spreads and paired tests of the study. Pure: arrays in, numbers out.

Shapes: F folds, R seeds (repetitions), n samples, U units (people or videos).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.arrays import FloatArray, IntArray
from models.training.scores import confusion
from models.training.study.task import NO_LABEL

DRAWS: Final = 100_000
EXACT_UP_TO: Final = 16  # units; 2^16 sign patterns are counted instead of drawn


def sign_flip_test(differences: NDArray[np.float64]) -> float:
    """Two-sided p-value of paired differences (U,): is their sum zero?

    What is tested is the sum as it is, so that units of different size count as they do in it (see
    :func:`sum_per_unit`). Under the null hypothesis each unit's difference is as likely to have the
    other sign; the p-value is the part of all patterns of signs whose sum lies as far from zero as
    the one seen, and never below :func:`lowest_sign_flip_p`.
    """
    count = len(differences)
    seen = abs(differences.sum())
    if count <= EXACT_UP_TO:
        patterns = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        sums = (1.0 - 2.0 * patterns) @ differences
        return float((np.abs(sums) >= seen - 1e-12).mean())
    rng, extreme = np.random.default_rng(0), 0
    for _ in range(DRAWS // 1000):
        signs = rng.integers(0, 2, size=(1000, count)) * 2.0 - 1.0
        extreme += int((np.abs(signs @ differences) >= seen - 1e-12).sum())
    return (extreme + 1) / (DRAWS + 1)


def lowest_sign_flip_p(units: int) -> float:
    """What :func:`sign_flip_test` says where so many units all agree: two patterns of all."""
    return float(2.0 ** (1 - units)) if units <= EXACT_UP_TO else 1.0 / (DRAWS + 1)


def corrected_resampled_test(differences: NDArray[np.float64], test_share: float) -> float | None:
    """Two-sided p-value of differences over folds and seeds (F, R), by Nadeau and Bengio (2003).

    Seeds share a fold's split, so they are averaged first: what is resampled are the F splits. The
    variance of their differences is taken times 1 / F + n_test / n_train instead of 1 / F, since
    trainings share most of their people; the t-distribution has F - 1 degrees of freedom.
    `test_share` is n_test / n_train. None where there is but one fold: seeds alone say nothing
    about other people.
    """
    from scipy.stats import t

    if len(differences) < 2:
        return None
    values = differences.mean(axis=1)
    variance = values.var(ddof=1) * (1.0 / len(values) + test_share)
    if variance == 0.0:
        return 1.0 if values.mean() == 0.0 else 0.0
    return float(2.0 * t.sf(abs(values.mean()) / np.sqrt(variance), len(values) - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number, by Holm (1979), in the order given."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def sum_per_unit(
    values: NDArray[np.float64], labels: IntArray, units: IntArray
) -> NDArray[np.float64]:
    """Sum of each unit's values (U,), in ascending order of units.

    `values` and `labels` are (n,) or (n, T): what an answer adds to a figure (how often it was
    right over seeds, divided by the number of answers), and what is an answer at all.
    """
    known = labels != NO_LABEL
    every = np.broadcast_to(units.reshape(-1, *[1] * (labels.ndim - 1)), labels.shape)[known]
    _, index = np.unique(every, return_inverse=True)
    return np.asarray(np.bincount(index, values[known]), np.float64)


def confusion_matrix(logits: FloatArray, labels: IntArray, classes: int) -> IntArray:
    """Counts, rows are the truth; logits (R, n, ..., K) of all seeds together."""
    known = labels != NO_LABEL
    return sum(
        (confusion(said[known], labels[known], classes) for said in logits.argmax(axis=-1)),
        start=np.zeros((classes, classes), np.int64),
    )

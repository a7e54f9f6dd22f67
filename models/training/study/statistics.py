"""Means, spreads and paired tests of the study. Pure: arrays in, numbers out.

Shapes: F folds, R seeds (repetitions), n samples, U units (people, videos or clips).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.training.scores import confusion
from models.training.study.task import NO_LABEL

DRAWS: Final = 100_000
EXACT_UP_TO: Final = 16  # units; 2^16 sign patterns are counted instead of drawn


def sign_flip_test(differences: NDArray[np.float64]) -> float:
    """Two-sided p-value of paired differences (U,): is their mean zero?

    Under the null hypothesis each unit's difference is as likely to have the other sign; the
    p-value is the part of all patterns of signs whose mean lies as far from zero as the one seen.
    """
    count = len(differences)
    seen = abs(differences.mean())
    if count <= EXACT_UP_TO:
        patterns = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        means = ((1.0 - 2.0 * patterns) @ differences) / count
        return float((np.abs(means) >= seen - 1e-12).mean())
    rng, extreme = np.random.default_rng(0), 0
    for _ in range(DRAWS // 1000):
        signs = rng.integers(0, 2, size=(1000, count)) * 2.0 - 1.0
        extreme += int((np.abs(signs @ differences / count) >= seen - 1e-12).sum())
    return (extreme + 1) / (DRAWS + 1)


def corrected_resampled_test(differences: NDArray[np.float64], test_share: float) -> float | None:
    """Two-sided p-value of differences over folds and seeds (F, R), by Nadeau and Bengio (2003).

    The variance of the k = F R differences is taken times 1 / k + n_test / n_train instead of
    1 / k, since trainings share most of their people. `test_share` is n_test / n_train. None where
    there is but one fold: seeds alone say nothing about other people.
    """
    from scipy.stats import t

    if len(differences) < 2:
        return None
    values = differences.ravel()
    variance = values.var(ddof=1) * (1.0 / len(values) + test_share)
    if variance == 0.0:
        return 1.0 if values.mean() == 0.0 else 0.0
    return float(2.0 * t.sf(abs(values.mean()) / np.sqrt(variance), len(values) - 1))


def accuracy_per_unit(
    right: NDArray[np.float64], labels: NDArray[np.int64], units: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Accuracy of each unit (U,), in ascending order of units.

    `right` and `labels` are (n,) or (n, T): how often an answer was right over seeds, and what is
    an answer at all.
    """
    known = labels != NO_LABEL
    every = np.broadcast_to(units.reshape(-1, *[1] * (labels.ndim - 1)), labels.shape)[known]
    _, index = np.unique(every, return_inverse=True)
    return np.asarray(np.bincount(index, right[known]) / np.bincount(index))


def confusion_matrix(
    logits: NDArray[np.float32], labels: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """Counts, rows are the truth; logits (R, n, ..., K) of all seeds together."""
    known = labels != NO_LABEL
    return sum(
        (confusion(said[known], labels[known], classes) for said in logits.argmax(axis=-1)),
        start=np.zeros((classes, classes), np.int64),
    )

"""Probabilities that mean what they say: a temperature per condition, from validation people.

A condition is what was present: both, face only, voice only. Logits divided by the temperature
have the smallest negative log-likelihood on people who were not trained on.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from models.arrays import FloatArray, IntArray

BINS: Final = 15
"""Bins of equal width over the confidence, as in Guo et al. (2017)."""


def expected_calibration_error(logits: FloatArray, labels: IntArray, bins: int = BINS) -> float:
    """Mean distance between confidence and accuracy, weighted by how many answers a bin holds.

    Logits (n, K), labels (n,); 0 is perfect, 1 the worst.
    """
    probabilities = softmax(logits.astype(np.float64), axis=1)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gap = np.bincount(bin_of, weights=confidence - right, minlength=bins)
    return float(np.abs(gap).sum() / len(labels))


def calibration_error_floor(logits: FloatArray, bins: int = BINS) -> float:
    """What perfectly calibrated answers would show on as many samples, by chance.

    Mean of the error over 50 draws of the labels from the answers' own probabilities.
    """
    rng = np.random.default_rng(0)
    cumulated = softmax(logits.astype(np.float64), axis=1).cumsum(axis=1)
    errors = []
    for _ in range(50):
        drawn = (cumulated < rng.random((len(logits), 1)) * cumulated[:, -1:]).sum(axis=1)
        errors.append(expected_calibration_error(logits, drawn, bins))
    return float(np.mean(errors))


def negative_log_likelihood(logits: FloatArray, labels: IntArray) -> float:
    """Mean of -log p(label), in nats."""
    logs = log_softmax(logits.astype(np.float64), axis=1)
    return float(-logs[np.arange(len(labels)), labels].mean())


def fit_temperature(logits: FloatArray, labels: IntArray) -> float:
    """The temperature in [0.05, 20] at which `logits / temperature` is likeliest."""
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(logits / np.exp(log_t), labels),
        bounds=(np.log(0.05), np.log(20.0)),
        method="bounded",
    )
    return float(np.exp(found.x))

"""Figures of answers against the truth: classes, and sentiment as CMU-MOSEI is scored.

Pure: arrays in, plain numbers out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import FloatArray, IntArray
from models.training.scores import accuracy, balanced_accuracy


def class_figures(logits: FloatArray, labels: IntArray) -> dict[str, float]:
    """Accuracy, plain and balanced over the classes that occur, from (n, K) and (n,)."""
    said = logits.argmax(axis=1)
    return {
        "accuracy": accuracy(said, labels),
        "balanced_accuracy": balanced_accuracy(said, labels),
    }


def sentiment_figures(answers: FloatArray, sentiment: FloatArray) -> dict[str, float]:
    """Figures that CMU-MOSEI is reported with, from (n,) and (n,), both -3 to 3.

    `accuracy_2` and `f1` are of negative against positive, utterances of sentiment 0 left out, as
    in the paper; F1 is weighted by how often each of the two occurs. `accuracy_2_with_neutral`
    counts 0 as not negative. `accuracy_7` is of the nearest whole number. `mae` is the mean
    absolute error, `correlation` Pearson's.
    """
    clear = sentiment != 0
    positive, said = sentiment[clear] > 0, answers[clear] > 0
    return {
        "accuracy_2": _share(said == positive),
        "f1": _weighted_f1(said, positive),
        "accuracy_2_with_neutral": _share((answers >= 0) == (sentiment >= 0)),
        "accuracy_7": _share(_sevenths(answers) == _sevenths(sentiment)),
        "mae": float(np.abs(answers - sentiment).mean()),
        "correlation": _correlation(answers, sentiment),
    }


def _share(flags: NDArray[Any]) -> float:
    return float(flags.mean()) if len(flags) else 0.0


def _sevenths(values: FloatArray) -> FloatArray:
    return np.asarray(np.clip(np.rint(values), -3, 3), np.float32)


def _weighted_f1(said: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    total = 0.0
    for kind in (False, True):
        hits = int(((said == kind) & (truth == kind)).sum())
        found = int((said == kind).sum()) + int((truth == kind).sum())
        if found:
            total += float((truth == kind).mean()) * 2 * hits / found
    return total


def _correlation(a: FloatArray, b: FloatArray) -> float:
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])

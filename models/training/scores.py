"""How right answers are, told one way everywhere.

Pure: class indices in, plain numbers out. Classes that do not occur are left out of recalls and
their mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.arrays import IntArray


def accuracy(said: IntArray, labels: IntArray) -> float:
    """Part of the answers (n,) that are right."""
    return float((said == labels).mean())


def recalls(said: IntArray, labels: IntArray, names: Sequence[str]) -> dict[str, float]:
    """Part of each class that is found, from (n,) and (n,)."""
    return counted_recalls(confusion(said, labels, len(names)), names)


def balanced_accuracy(said: IntArray, labels: IntArray) -> float:
    """Mean of the recalls."""
    classes = int(max(said.max(), labels.max())) + 1
    return counted_balanced_accuracy(confusion(said, labels, classes))


def confusion(said: IntArray, labels: IntArray, classes: int) -> IntArray:
    """(classes, classes) how often a class (row) was taken for another (column)."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, said), 1)
    return counts


def counted_recalls(counts: IntArray, names: Sequence[str]) -> dict[str, float]:
    """Recalls from a confusion matrix (classes, classes)."""
    totals = counts.sum(axis=1)
    return {
        name: float(right / total)
        for name, right, total in zip(names, counts.diagonal(), totals, strict=True)
        if total
    }


def counted_balanced_accuracy(counts: IntArray) -> float:
    """Mean of the recalls from a confusion matrix (classes, classes)."""
    names = [str(index) for index in range(len(counts))]
    return float(np.mean(list(counted_recalls(counts, names).values())))


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean and sample standard deviation (0 of one value)."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "deviation": deviation}

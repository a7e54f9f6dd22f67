"""From finished cells to the figures of `docs/results.json` and `docs/results.md`."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.arrays import FloatArray, IntArray
from models.training.data import DataError
from models.training.loop import content_digest, load_state, save_atomically
from models.training.scores import counted_balanced_accuracy, counted_recalls, spread
from models.training.study.cost import Cost, measure
from models.training.study.networks import FusedNetwork
from models.training.study.protocol import Cell, Choice, Row, Study
from models.training.study.statistics import (
    confusion_matrix,
    corrected_resampled_test,
    sign_flip_test,
    sum_per_unit,
)
from models.training.study.task import BEST_FUSED, NO_LABEL, Fold, Task
from models.training.study.training import accuracy
from models.training.study.variants import compare_variants

Figures = dict[str, Any]

MSAF_OURS: Final = "msaf"
MSAF_PAPER: Final = "msaf-paper"
"""Beginnings of the keys of MSAF's rows: with identity start, and as in the paper."""

_ALIKE: Final = 1e-12  # a unit's difference that is rounding


def run(study: Study, *, variants: bool = True, before: Figures | None = None) -> Figures:
    """Train what is missing and return every figure of the task.

    `variants`: MSAF's settings one by one too, on validation people; else those of `before`, the
    figures of an earlier run, are kept if the same networks chose there.
    """
    cells = {row.key: list(study.cells(row)) for row in study.wanted}
    figures = collect(study, cells)
    if variants and len(study.wanted) > 1:
        figures["variants"] = compare_variants(study)
    elif before and "variants" in before and _validations(before) == _validations(figures):
        figures["variants"] = before["variants"]
    return figures


def _validations(figures: Figures) -> dict[str, Any]:
    """What the networks that choose came to, by row."""
    return {key: row["validation"] for key, row in figures["rows"].items()}


def collect(study: Study, cells: dict[str, list[Cell]]) -> Figures:
    """Figures of a task whose cells are all there."""
    task = study.task
    fold = task.folds[0]
    sample = task.inputs(fold, fold.train).clean(fold.test[:1])
    rows = {row.key: _row(study, row, cells[row.key], sample) for row in study.wanted}
    return {
        "title": task.title if len(rows) > 1 else task.title_alone,
        "protocol": task.protocol,
        "extractor": task.extractor if len(rows) > 1 else task.extractor_alone,
        "extraction_training": task.extraction_training() if task.extraction_training else None,
        "extraction": _extraction(study),
        "classes": list(task.classes),
        "unit": task.unit,
        "units": len(_tested_units(task)),
        "seeds": task.settings.seeds,
        "folds": len(task.folds),
        "device": str(study.context.device),
        "notes": list(task.notes),
        "rows": rows,
        "paired": _paired(task, cells),
        "wrong_together": wrong_together(task, cells),
        "targets": _targets(task, rows),
    }


def _extraction(study: Study) -> Figures | None:
    """What computing the features of one clip costs, where a network does."""
    if study.task.extraction is None:
        return None
    network, inputs = study.task.extraction()
    return asdict(measure(network, inputs, None, study.context.device))


def _row(study: Study, row: Row, cells: Sequence[Cell], sample: list[Tensor]) -> Figures:
    task = study.task
    scores = _scores(task, cells)
    matrix = _confusion(task, [cell.logits for cell in cells])
    chosen = [cell.choice for cell in cells]
    usual = max(range(len(row.choices)), key=chosen.count)  # the first of those chosen as often
    network = study.network(row, row.choices[usual])
    cost = _cost(study, network, row, row.choices[usual], sample)
    return {
        "title": row.title,
        "pretrained": row.pretrained,
        "modalities": [task.modalities[index] for index in row.modalities],
        "accuracy": (over := spread(scores.ravel().tolist()))["mean"],
        "deviation": over["deviation"],
        "scores": scores.tolist(),  # (folds, seeds)
        "together": _together(task, cells),
        "balanced_accuracy": counted_balanced_accuracy(matrix),
        "recall": counted_recalls(matrix, task.classes),
        "confusion": matrix.tolist(),
        "by_sex": _by_sex(task, cells),
        "sessions": _in_sessions(task, cells),
        "joint_channels": network.joint_channels,
        "parameters": cost.parameters,
        "flops": cost.flops,
        "milliseconds": cost.milliseconds,
        "chosen": chosen,
        "epochs": [cell.epochs for cell in cells],
        "validation": [list(cell.validation) for cell in cells],
        "training_seconds": sum(cell.seconds for cell in cells),
    }


def _cost(
    study: Study, network: FusedNetwork, row: Row, choice: Choice, sample: list[Tensor]
) -> Cost:
    """Measured once for the same network and code, however many rows and tables have it."""
    inputs = [sample[index] for index in row.modalities]
    trail = [
        str(network),
        torch.__version__,
        _sources(network),
        asdict(choice.fusion),
        [list(each.shape) for each in inputs],
        str(study.context.device),
    ]
    digest = hashlib.sha256(json.dumps(trail).encode()).hexdigest()
    path = study.context.stage_dir("costs") / f"{digest}.pt"
    with suppress(DataError):  # not there, or damaged
        return Cost(**load_state(path))
    steps = study.task.steps(study.task.folds[0].test[:1])
    cost = measure(network, inputs, steps, study.context.device)
    save_atomically(asdict(cost), path)
    return cost


def _sources(network: FusedNetwork) -> str:
    """Digest of the files that this project's parts of a network are written in."""
    names = {type(part).__module__ for part in network.modules()}
    files = sorted(str(sys.modules[name].__file__) for name in names if name.startswith("models."))
    return content_digest(*(Path(file).read_text(encoding="utf-8") for file in files))


def _confusion(task: Task, logits: Sequence[FloatArray]) -> IntArray:
    """Counts of all folds' answers (R, test rows, ..., K) together, rows are the truth."""
    classes = len(task.classes)
    return sum(
        (
            confusion_matrix(each, task.labels[fold.test].numpy(), classes)
            for fold, each in zip(task.folds, logits, strict=True)
        ),
        start=np.zeros((classes, classes), np.int64),
    )


def _scores(task: Task, cells: Sequence[Cell]) -> NDArray[np.float64]:
    """Accuracy of every network, (folds, seeds)."""
    return np.array(
        [
            [accuracy(logits, task.labels[fold.test].numpy()) for logits in cell.logits]
            for fold, cell in zip(task.folds, cells, strict=True)
        ]
    )


def _together(task: Task, cells: Sequence[Cell]) -> float:
    """Accuracy, as mean over folds, of the seeds' answers averaged (log-probabilities)."""
    scores = []
    for fold, cell in zip(task.folds, cells, strict=True):
        answers = torch.from_numpy(cell.logits).log_softmax(dim=-1).mean(dim=0)
        scores.append(accuracy(answers.numpy(), task.labels[fold.test].numpy()))
    return float(np.mean(scores))


def _by_sex(task: Task, cells: Sequence[Cell]) -> dict[str, float] | None:
    if task.female is None:
        return None
    right, female = _right(task, cells)[0], task.female[_tested(task.folds)]
    return {"female": float(right[female].mean()), "male": float(right[~female].mean())}


def _in_sessions(task: Task, cells: Sequence[Cell]) -> Figures | None:
    """Accuracy over all orders of each network, and by sex; None where nobody asked."""
    scores, right, answers = [], [], []
    for fold, cell in zip(task.folds, cells, strict=True):
        if cell.session_logits is None:
            return None
        answers.append(cell.session_logits.reshape(-1, *cell.session_logits.shape[2:]))
        hits = cell.session_logits.argmax(axis=-1) == task.labels[fold.test].numpy()
        scores.append(hits.mean(axis=(1, 2)))  # (seeds,)
        right.append(hits.mean(axis=(0, 1)))  # (test rows,)
    figures = {
        "accuracy": (over := spread(np.concatenate(scores).tolist()))["mean"],
        "deviation": over["deviation"],
        "balanced_accuracy": counted_balanced_accuracy(_confusion(task, answers)),
    }
    if task.female is not None:
        every = np.concatenate(right)
        female = task.female[_tested(task.folds)]
        figures |= {"female": float(every[female].mean()), "male": float(every[~female].mean())}
    return figures


def _right(task: Task, cells: Sequence[Cell]) -> tuple[NDArray[np.float64], IntArray]:
    """How often each answer was right over seeds, and the labels; all test rows together."""
    labels = task.labels[_tested(task.folds)].numpy()
    right = np.concatenate(
        [
            (cell.logits.argmax(axis=-1) == task.labels[fold.test].numpy()).mean(axis=0)
            for fold, cell in zip(task.folds, cells, strict=True)
        ]
    )
    return right, labels


def accuracy_by_unit(task: Task, cells: Sequence[Cell]) -> NDArray[np.float64]:
    """What each unit adds to the row's accuracy, (U,): the sum is the accuracy in the table.

    That is the mean over folds of their accuracies, so an answer counts as 1 / (F n) in a fold of n
    answers, and a unit as much as it has of them.
    """
    right, labels = _right(task, cells)
    known = [int((task.labels[fold.test] != NO_LABEL).sum()) for fold in task.folds]
    weights = np.repeat(
        [1.0 / (len(known) * count) for count in known], [len(fold.test) for fold in task.folds]
    )
    weighted = right * weights.reshape(-1, *[1] * (right.ndim - 1))
    return sum_per_unit(weighted, labels, task.units[_tested(task.folds)])


def _paired(task: Task, cells: dict[str, list[Cell]]) -> list[Figures]:
    """MSAF against each branch alone and every other fusion, with the same pre-training.

    p-values as they are: the page corrects them for the number of its comparisons.
    """
    share = float(np.mean([len(fold.test) / len(fold.train) for fold in task.folds]))
    pairs: list[Figures] = []
    for start, network, against in _comparisons(task, cells):
        ours = cells[f"{network}-{start}"]
        theirs = cells[f"{against}-alone" if against in task.modalities else f"{against}-{start}"]
        by_unit = accuracy_by_unit(task, ours) - accuracy_by_unit(task, theirs)
        differences = _scores(task, ours) - _scores(task, theirs)
        pairs.append(
            {
                "network": network,
                "against": against,
                "pretrained": start == "pretrained",
                "difference": float(differences.mean()),
                "units_better": int((by_unit > _ALIKE).sum()),
                "units_worse": int((by_unit < -_ALIKE).sum()),
                "sign_flip_p": sign_flip_test(by_unit),
                "resampled_p": corrected_resampled_test(differences, share),
            }
        )
    return pairs


def _comparisons(task: Task, cells: dict[str, list[Cell]]) -> Iterator[tuple[str, str, str]]:
    """(start, network, against): what a table tests, fixed before it is looked at."""
    for start in ("scratch", "pretrained"):
        if f"{MSAF_OURS}-{start}" not in cells:
            continue
        for against in (*task.modalities, "average", "concatenation", "mmtm", MSAF_PAPER):
            yield start, MSAF_OURS, against
        yield start, MSAF_PAPER, "average"


def wrong_together(task: Task, cells: dict[str, list[Cell]]) -> list[Figures]:
    """How often two branches alone are wrong in the same sample, over all and as by chance.

    Chance knows the class and nothing else of the other branch, as pairs that are made by class.
    """
    found = []
    for one, other in combinations(task.modalities, 2):
        if not {f"{one}-alone", f"{other}-alone"} <= set(cells):
            continue
        (first, labels), (second, _) = (_right(task, cells[f"{m}-alone"]) for m in (one, other))
        groups = [labels == index for index in range(len(task.classes))]
        wrong = [(1.0 - first[group], 1.0 - second[group]) for group in groups if group.any()]
        samples = sum(len(a) for a, _ in wrong)
        found.append(
            {
                "branches": [one, other],
                "measured": float(sum((a * b).sum() for a, b in wrong) / samples),
                "by_chance": float(sum(a.sum() * b.mean() for a, b in wrong) / samples),
            }
        )
    return found


def _targets(task: Task, rows: dict[str, Figures]) -> list[Figures]:
    """What was to reach: of fused rows the one that validation people prefer, and of MSAF's."""
    fused = [key for key, row in rows.items() if len(row["modalities"]) > 1]
    reached = []
    for name, aim in task.targets.items():
        if name == BEST_FUSED:
            groups = [fused, [key for key in fused if key.startswith("msaf-")]]
            keys = [max(group, key=lambda key: _validated(rows[key])) for group in groups if group]
        else:
            keys = [] if fused else [name]  # a branch alone is judged in the table of its own
        for key in dict.fromkeys(keys):
            value = rows[key]["accuracy"]
            reached.append({"row": key, "accuracy": value, "aim": aim, "reached": value >= aim})
    return reached


def _validated(row: Figures) -> float:
    """Mean over folds of the chosen setting's validation accuracy."""
    return float(np.mean([max(each) for each in row["validation"]]))


def _tested(folds: Sequence[Fold]) -> IntArray:
    return np.concatenate([fold.test for fold in folds])


def _tested_units(task: Task) -> set[int]:
    rows = _tested(task.folds)
    known = (task.labels[rows] != NO_LABEL).reshape(len(rows), -1).any(dim=1).numpy()
    return set(task.units[rows][known].tolist())

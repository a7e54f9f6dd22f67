"""What `evaluate ravdess|mosei|ntu` prints: figures per fold, together, per class."""

from __future__ import annotations

from typing import Any, Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from models.training.scores import spread

_HIDDEN: Final = ("people", "samples")
_PLAIN: Final = ("mae", "correlation")  # not shares
_LARGEST_MATRIX: Final = 12  # classes; a larger one is in results.json only


def report(results: dict[str, Any], console: Console) -> None:
    """Print the figures of `evaluate_task` as tables."""
    folds = results["folds"]
    names = [name for name in next(iter(folds.values())) if name not in _HIDDEN]
    several = ("mean", "deviation") if len(folds) > 1 else ()
    table = Table(results["task"], *folds, *several, title="Test people")
    table.add_row("people", *(each["people"] for each in folds.values()))
    table.add_row("samples", *(str(each["samples"]) for each in folds.values()))
    for name in names:
        values = [each[name] for each in folds.values()]
        shown = [_number(name, value) for value in values]
        over = spread(values)
        table.add_row(name, *shown, *(_number(name, over[part]) for part in several))
    console.print(table)

    together = results["together"]
    if "recall" in together:
        classes = Table("class", "recall", title="All folds together")
        for name, share in together["recall"].items():
            classes.add_row(name, f"{share:.1%}")
        console.print(classes)
    if len(together.get("labels", ())) in range(1, _LARGEST_MATRIX + 1):
        short = [label[:4] for label in together["labels"]]
        matrix = Table("is ↓ taken for →", *short, title="All folds together", box=SIMPLE)
        for name, row in zip(together["labels"], together["confusion"], strict=True):
            matrix.add_row(name, *map(str, row))
        console.print(matrix)
    if "accuracy_by_sex" in together:
        of = together["accuracy_by_sex"]
        console.print("accuracy: " + ", ".join(f"{sex} {share:.1%}" for sex, share in of.items()))
    console.print(f"data: {results['data']}", soft_wrap=True)
    console.print(
        f"protocol {results['protocol']}: the epoch was chosen by {results['epoch_chosen_by']}",
        soft_wrap=True,
    )


def _number(name: str, value: float) -> str:
    return f"{value:.3f}" if name in _PLAIN else f"{value:.1%}"

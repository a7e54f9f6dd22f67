"""Where MSAF could stand better: its settings one by one, on validation people alone.

Nothing here reaches a row of the table; it tells why those rows come out as they do. Each variant
is the networks that choose, with pre-trained branches, kept in the work folder when finished; those
that are a row's setting are taken from its cells.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Final

import numpy as np

from models.files import write_whole
from models.training.study.networks import Fusion
from models.training.study.protocol import IDENTITY, PAPER, Choice, Study
from models.training.study.task import Fold

VARIANTS: Final[dict[str, Choice]] = {
    "averaging": Choice(fusion=Fusion()),
    "concatenation, beginning as the average": Choice(
        fusion=Fusion(kind="concatenation", identity_start=True)
    ),
    "… beginning with a random head": Choice(fusion=Fusion(kind="concatenation")),
    "MSAF as in the paper: L 0, p 0.2, 2 blocks in the narrowest": Choice(fusion=PAPER),
    "… joint feature of a quarter of a block": Choice(fusion=replace(PAPER, reduction=4)),
    "… 4 narrower blocks": Choice(fusion=replace(PAPER, blocks=4)),
    "… 8 narrow blocks": Choice(fusion=replace(PAPER, blocks=8)),
    "… lowest attention L 0.5": Choice(fusion=replace(PAPER, lowest_attention=0.5)),
    "… L 0.5 and no block dropout, as the paper's NTU network": Choice(
        fusion=replace(PAPER, lowest_attention=0.5, block_dropout=0.0)
    ),
    "… no block dropout": Choice(fusion=replace(PAPER, block_dropout=0.0)),
    "… identity start": Choice(fusion=replace(PAPER, identity_start=True)),
    "… warm-up: branches wait for a fifth of the training": Choice(fusion=PAPER, held=0.2),
    "… behind the first stage only": Choice(fusion=replace(PAPER, places="first")),
    "… behind the last stage only": Choice(fusion=replace(PAPER, places="last")),
    "MSAF with identity start: L 0.5, p 0.1": Choice(fusion=IDENTITY),
    "… joint feature of a quarter of a block, as above": Choice(
        fusion=replace(IDENTITY, reduction=4)
    ),
    "… without block dropout": Choice(fusion=replace(IDENTITY, block_dropout=0.0)),
    "… warm-up, as above": Choice(fusion=IDENTITY, held=0.2),
    "… 4 narrower blocks, as above": Choice(fusion=replace(IDENTITY, blocks=4)),
    "… 8 narrow blocks, as above": Choice(fusion=replace(IDENTITY, blocks=8)),
    "… lowest attention L 0, as in the paper": Choice(
        fusion=replace(IDENTITY, lowest_attention=0.0)
    ),
    "… lowest attention L 0.8": Choice(fusion=replace(IDENTITY, lowest_attention=0.8)),
    "… behind the first stage only, as above": Choice(fusion=replace(IDENTITY, places="first")),
    "… behind the last stage only, as above": Choice(fusion=replace(IDENTITY, places="last")),
}


def compare_variants(study: Study) -> dict[str, float]:
    """Validation accuracy of every variant, mean over folds."""
    every: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for fold in study.task.folds:  # outside: what a fold reads is prepared once
        for name, choice in VARIANTS.items():
            kept = _of_a_row(study, fold, choice)
            every[name].append(_validated(study, fold, choice) if kept is None else kept)
    return {name: float(np.mean(accuracies)) for name, accuracies in every.items()}


def _of_a_row(study: Study, fold: Fold, choice: Choice) -> float | None:
    """What the cell of a row with this setting has of it."""
    for row in study.rows:
        if row.pretrained and choice in row.choices:
            return study.cell(row, fold).validation[row.choices.index(choice)]
    return None


def _validated(study: Study, fold: Fold, choice: Choice) -> float:
    row = next(row for row in study.rows if row.key == "msaf-pretrained")
    variant = replace(row, choices=(choice,))
    fingerprint = study.fingerprint(variant, fold)
    path = study.context.stage_dir(f"{study.folder}/variants") / f"{fold.name}-{fingerprint}.json"
    with suppress(OSError, ValueError):  # not there, or damaged
        return float(json.loads(path.read_text(encoding="utf-8")))
    _, accuracy = study.validate(variant, fold, choice)
    write_whole(path, json.dumps(accuracy))
    return accuracy

"""Where MSAF could stand better: its settings one by one, on validation people alone.

Nothing here reaches a row of the table; it tells why those rows come out as they do. Each variant
is one network per inner split with pre-trained branches, kept in the work folder when finished.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

import numpy as np

from models.training.study.networks import Fusion
from models.training.study.protocol import Choice, Study

_PAPER: Final = Fusion(kind="msaf")
_STEADY: Final = Fusion(kind="msaf", lowest_attention=0.5, block_dropout=0.1, identity_start=True)

VARIANTS: Final[dict[str, Choice]] = {
    "averaging, for comparison": Choice(fusion=Fusion()),
    "MSAF as in the paper: L 0, p 0.2, 4 blocks in the narrowest": Choice(fusion=_PAPER),
    "… 2 wide blocks": Choice(fusion=replace(_PAPER, blocks=2)),
    "… 8 narrow blocks": Choice(fusion=replace(_PAPER, blocks=8)),
    "… lowest attention L 0.5": Choice(fusion=replace(_PAPER, lowest_attention=0.5)),
    "… no block dropout": Choice(fusion=replace(_PAPER, block_dropout=0.0)),
    "… beginning as the identity": Choice(fusion=replace(_PAPER, identity_start=True)),
    "… warm-up: branches wait for a fifth of the training": Choice(fusion=_PAPER, held=0.2),
    "… behind the first stage only": Choice(fusion=replace(_PAPER, places="first")),
    "… behind the last stage only": Choice(fusion=replace(_PAPER, places="last")),
    "MSAF beginning as the identity: L 0.5, p 0.1": Choice(fusion=_STEADY),
    "… without block dropout": Choice(fusion=replace(_STEADY, block_dropout=0.0)),
    "… warm-up: branches wait for a fifth of the training, as above": Choice(
        fusion=_STEADY, held=0.2
    ),
    "… behind the last stage only, without block dropout": Choice(
        fusion=replace(_STEADY, block_dropout=0.0, places="last")
    ),
}


def compare_variants(study: Study) -> dict[str, dict[str, float]]:
    """Validation accuracy of every variant: mean over folds, and the mean of the best epochs."""
    row = next(row for row in study.rows if row.key == "msaf-pretrained")
    directory = study.context.stage_dir(f"{study.folder}/variants")
    every: dict[str, list[tuple[int, float]]] = {name: [] for name in VARIANTS}
    for fold in study.task.folds:  # outside: what a fold reads is prepared once
        for index, (name, choice) in enumerate(VARIANTS.items()):
            path = directory / f"{fold.name}-{index}.json"
            variant = replace(row, choices=(choice,))
            fingerprint = study.fingerprint(variant, fold)
            if path.is_file():
                kept = json.loads(path.read_text(encoding="utf-8"))
                if kept.get("fingerprint") == fingerprint:
                    every[name].append((kept["epoch"], kept["accuracy"]))
                    continue
            epoch, accuracy = study.validate(variant, fold, choice)
            every[name].append((epoch, accuracy))
            kept = {"fingerprint": fingerprint, "epoch": epoch, "accuracy": accuracy}
            path.write_text(json.dumps(kept), encoding="utf-8")
    return {
        name: {
            "accuracy": float(np.mean([accuracy for _, accuracy in best])),
            "epoch": float(np.mean([epoch for epoch, _ in best])),
        }
        for name, best in every.items()
    }

"""Fine-tuned voices, cross-fitted: whoever learns behind an encoder is nobody it ever heard.

A fine-tuned encoder tells of the clips that it learned from more than of other people's, and what
learns on such features trusts the voice too much. So they are made the way of stacking (Wolpert
1992, doi:10.1016/S0893-6080(05)80023-1): a fold has as many encoders as there are other folds, each
learning from the training people without those whom one of the other folds tests. These are read
with it; test people, whom no encoder of the fold heard, with all of them, averaged. Encoders that
were trained apart say the same in different words: ridge regressions bring what each says near to
what all of them say in the mean. Thread: the study's. Shapes: V views, n clips, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from models.training.loop import RunContext
from models.training.study.networks import Branch
from models.training.study.ravdess import Clips, statistics
from models.training.study.task import Fold, Rows, VectorInputs
from models.training.study.tuning import TuningConfig, made_with, tuned_statistics, tuning_seconds
from models.voice import VoiceEncoder

PENALTY: Final = 1.0
"""Of the ridge regressions, times the variance of a standardised feature.

Of 0.003 to 100 it is what brings people nearest whom a regression was not made on. No label is
used.
"""


def fold_statistics(
    context: RunContext, clips: Clips, fold: Fold, branch: Callable[[], Branch]
) -> list[Tensor]:
    """`tuned_statistics` of the encoders of a fold, one for each of its `parts`."""
    return [tuned_statistics(context, clips, learned, branch) for _, learned in parts(clips, fold)]


def cross_fitted(said: Sequence[Tensor], clips: Clips, fold: Fold) -> Tensor:
    """What networks of `fold` read of the voice, (V, n, F), of its `fold_statistics`."""
    standard = VectorInputs.scaled(said, fold.train).views
    mean = torch.stack(standard).mean(dim=0)
    split = parts(clips, fold)
    mapped = [
        values + values @ _ridge(values[:, learned], (mean - values)[:, learned])
        for values, (_, learned) in zip(standard, split, strict=True)
    ]
    made = torch.stack(mapped).mean(dim=0)
    for values, (left_out, _) in zip(mapped, split, strict=True):
        made[:, left_out] = values[:, left_out]
    return made


def parts(clips: Clips, fold: Fold) -> list[tuple[Rows, Rows]]:
    """A fold's training people by the fold that tests them: (those, all others of them)."""
    split = [
        (np.intersect1d(fold.train, other.test), np.setdiff1d(fold.train, other.test))
        for other in clips.folds
    ]
    return [each for each in split if len(each[0])]


def cross_fitted_with(config: TuningConfig) -> str:
    """All settings that features depend on."""
    return repr((made_with(config), "ridge on the mean", PENALTY))


def training_seconds(
    context: RunContext, clips: Clips, branch: Callable[[], Branch]
) -> dict[str, float]:
    """How long the encoders of all folds were trained, by device; two folds share one."""
    people = [rows for fold in clips.folds for _, rows in parts(clips, fold)]
    return tuning_seconds(context, clips, people, branch)


class CrossFittedVoice(nn.Module):
    """What reads a clip of test people, as a network whose cost can be measured."""

    def __init__(self, encoders: Sequence[VoiceEncoder], features: int) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.maps = nn.ModuleList(nn.Linear(features, features, bias=False) for _ in encoders)

    def forward(self, inputs: list[Tensor], _steps: Tensor | None = None) -> Tensor:
        """[log-mel (1, 80, N)] → (1, F)."""
        every = [
            mapped(statistics(encoder, inputs[0]))  # type: ignore[arg-type]
            for encoder, mapped in zip(self.encoders, self.maps, strict=True)
        ]
        return torch.stack(every).mean(dim=0)


def _ridge(values: Tensor, wanted: Tensor) -> Tensor:
    """(V, m, F) both → (F, F), with which `values` come near to `wanted`."""
    x, y = values.flatten(0, 1), wanted.flatten(0, 1)
    squares = x.T @ x
    squares.diagonal().add_(PENALTY * len(x))
    solved: Tensor = torch.linalg.solve(squares, x.T @ y)
    return solved

"""What a task is to the study: a value with data, published folds and branches, no special case.

Any thread. Shapes: n samples, M modalities, T steps of a sequence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.arrays import FloatArray, IntArray
from models.training.loop import content_digest
from models.training.study.networks import Branch

Rows = IntArray

NO_LABEL = -100
"""Label of a step that does not exist; torch's losses leave it out by themselves."""

BEST_FUSED = "best fused"
"""Name of the row that validation people prefer among the fused ones, as the key of a target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one network is trained; the same for every fusion but for what `choices` vary."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    mixup: float = 0.0  # parameter of the beta distribution; 0 is no blending
    ema_decay: float = 0.98
    tuning_factor: float = 0.3  # of the learning rate, for branches that were trained before
    evaluate_every: int = 1  # epochs
    half: bool = False  # training in bfloat16 where the hardware has it
    held: float = 0.0  # part of the steps in which pre-trained branches wait for what joins them
    seeds: int = 3  # networks that are scored
    choosing_seeds: int = 1  # and, per inner split, that choose setting and epoch


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """One published split into training and test people, and the splits made inside the former."""

    name: str
    train: Rows
    test: Rows
    inner: tuple[tuple[Rows, Rows], ...]  # (training, validation) rows, both of training people


class Inputs(Protocol):
    """Data as the networks of one fold read it, scaled on the rows it was made for."""

    def clean(self, rows: Rows) -> list[Tensor]:
        """Per modality (rows, ...), as scored."""

    def augmented(self, rows: Rows, rng: np.random.Generator) -> list[Tensor]:
        """The same as trained on, changed at random."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Task:
    """Data, folds, branches and settings of one comparison."""

    name: str
    title: str
    protocol: str  # in words, for the report
    classes: tuple[str, ...]
    branches: Mapping[str, Callable[[], Branch]]  # modality → a new branch
    labels: Tensor  # (n,) or (n, T) with NO_LABEL where a sequence is over
    names: tuple[str, ...]  # (n,)
    units: IntArray  # (n,) what a paired test counts as one: person or video
    unit: str  # what that is, in words
    folds: tuple[Fold, ...]
    inputs: Callable[[Fold, Rows], Inputs]  # scaled on these rows
    features: Callable[[Fold], Sequence[NDArray[Any] | Tensor]]  # as read, what inputs are made of
    settings: Settings
    female: NDArray[np.bool_] | None = None  # (n,), where it is known
    targets: Mapping[str, float] = field(
        default_factory=dict
    )  # key of a row, or BEST_FUSED → accuracy
    title_alone: str = ""  # of the table that holds but the first branch
    notes: tuple[str, ...] = ()  # what was not chosen inside the training people, and how
    sessions: bool = False  # score test people's clips one after the other too
    data: str = ""  # settings that the inputs were made with; other ones begin all cells again
    extractor: str = ""  # what was computed once, and so is not in parameters, FLOPs and time
    extractor_alone: str = ""  # of these what the first branch reads
    # What training that took: device, by torch's name of its type → seconds.
    extraction_training: Callable[[], dict[str, float]] | None = None
    # The network that computed it, and what that reads of one clip; see `cost.measure`.
    extraction: Callable[[], tuple[nn.Module, list[Tensor]]] | None = None

    @property
    def modalities(self) -> tuple[str, ...]:
        """In the order of the branches, of inputs and of figures."""
        return tuple(self.branches)

    def steps(self, rows: Rows) -> Tensor | None:
        """(rows, T) which steps exist; None where samples are no sequences of answers."""
        return self.labels[rows] != NO_LABEL if self.labels.dim() == 2 else None


def digest(task: Task, fold: Fold) -> str:
    """Changes with the data of a fold: names, labels, units and features, as they were read.

    Not with what is computed from them on the way to the networks, whose last bits depend on the
    machine.
    """
    names = json.dumps(task.names)
    return content_digest(names, task.labels, task.units, *task.features(fold))


@dataclass(frozen=True, slots=True, eq=False)
class VectorInputs:
    """Vectors, or sequences of them, standardised per feature; augmentation is a choice of views.

    Views are the same samples seen otherwise (another speed, another room); the first is the clean
    one. Standardised values are cut at ±5: a feature that hardly varies in training people must not
    explode in others.
    """

    views: tuple[Tensor, ...]  # per modality (V, n, ..., F), standardised

    @classmethod
    def scaled(
        cls, views: Sequence[Tensor], rows: Rows, steps: Tensor | None = None
    ) -> VectorInputs:
        """Standardise with mean and deviation of the clean view of `rows`, and of their steps."""
        scaled = []
        for each in views:
            known = each[0, rows] if steps is None else each[0, rows][steps[rows]]
            known = known.float().reshape(-1, each.shape[-1])
            mean, deviation = known.mean(dim=0), known.std(dim=0)
            values = (each.float() - mean) / (deviation + 1e-6)
            scaled.append(values.clamp_(-5.0, 5.0))
        return cls(tuple(scaled))

    def clean(self, rows: Rows) -> list[Tensor]:
        return [view[0, rows] for view in self.views]

    def augmented(self, rows: Rows, rng: np.random.Generator) -> list[Tensor]:
        return [view[rng.integers(len(view), size=len(rows)), rows] for view in self.views]


def people_split(
    people: IntArray, train: Rows, validation_people: Sequence[int]
) -> tuple[Rows, Rows]:
    """Rows of `train` without and with these people."""
    inside = np.isin(people[train], list(validation_people))
    return train[~inside], train[inside]


def torch_rows(values: FloatArray) -> Tensor:
    """(n, ...) → one view of it, (1, n, ...)."""
    return torch.from_numpy(np.ascontiguousarray(values)).unsqueeze(0)

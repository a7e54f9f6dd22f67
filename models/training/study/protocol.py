"""The nested comparison: choices on validation people, then training on all training people.

Every row of the table (a branch alone, or a fusion with or without pre-trained branches) goes the
same way. Each of its settings is trained on the inner splits; setting and epoch with the best
validation accuracy are taken; networks of several seeds are trained with them on all training
people of the fold and scored once on its test people. With pre-trained branches the two begin a
little differently, which the page says too: on the inner splits from branches trained for all
epochs, on all training people from branches trained up to the epoch chosen for them. What is
finished is kept in the work folder, a file per cell, so that the same command goes on after a kill.
Thread: the study's; any device.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, product
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.arrays import FloatArray
from models.training.data import GET_AGAIN, DataError
from models.training.loop import RunContext, console, load_state, save_atomically
from models.training.study.networks import FusedNetwork, Fusion, layout
from models.training.study.sessions import SETTINGS as SESSION_SETTINGS
from models.training.study.sessions import predict_in_sessions
from models.training.study.task import NO_LABEL, Fold, Inputs, Rows, Settings, Task, digest
from models.training.study.training import predict, train

logger = logging.getLogger(__name__)

SMOOTHING: Final = 3
"""Evaluations over which a validation curve is averaged before its best epoch is taken."""

PAPER: Final = Fusion(kind="msaf", reduction=0)
"""MSAF with the lowest attention, 0, and the block dropout, 0.2, of the paper's RAVDESS network."""

IDENTITY: Final = replace(PAPER, lowest_attention=0.5, block_dropout=0.1, identity_start=True)
"""MSAF that begins by changing nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One setting that validation people may choose."""

    fusion: Fusion
    rate: float = 1.0  # times the task's learning rate
    held: float = 0.0  # see Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the table."""

    key: str  # of files and JSON
    title: str
    modalities: tuple[int, ...]
    pretrained: bool
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """What one row did in one fold."""

    fold: str
    choice: int
    epochs: int
    validation: tuple[float, ...]  # best accuracy of each choice
    logits: FloatArray  # (seeds, test rows, ..., K)
    session_logits: FloatArray | None  # (seeds, orders, test rows, K) if asked for
    seconds: float  # of processor time


def rows_of(task: Task) -> tuple[Row, ...]:
    """Branches alone, then each fusion without and with pre-training: two settings to each."""
    alone = tuple(
        Row(
            key=f"{name}-alone",
            title=f"{name} alone",
            modalities=(index,),
            pretrained=False,
            choices=tuple(Choice(fusion=Fusion(), rate=rate) for rate in (1.0, 0.3)),
        )
        for index, name in enumerate(task.modalities)
    )
    joined = Fusion(kind="concatenation", identity_start=True)
    kinds = {
        "average": ("averaging of logits", (Fusion(), Fusion(learned_weights=True))),
        "concatenation": ("concatenation", (joined, replace(joined, hidden=64))),
        "mmtm": ("MMTM", (Fusion(kind="mmtm"), Fusion(kind="mmtm", places="last"))),
        "msaf-paper": ("MSAF, as in the paper", (PAPER, replace(PAPER, places="last"))),
        "msaf": ("MSAF, identity start", (IDENTITY, replace(IDENTITY, places="last"))),
    }
    fused = tuple(
        Row(
            key=f"{kind}-{'pretrained' if pretrained else 'scratch'}",
            title=title,
            modalities=tuple(range(len(task.modalities))),
            pretrained=pretrained,
            choices=tuple(Choice(fusion=fusion) for fusion in fusions),
        )
        for pretrained in (False, True)
        for kind, (title, fusions) in kinds.items()
    )
    return alone + fused


class Study:
    """Runs the cells of one task, or reads those that are there."""

    def __init__(self, task: Task, context: RunContext, *, alone: bool = False) -> None:
        """`alone`: of the rows only the first branch alone, in the same files.

        Raises
        ------
        DataError
            In some fold nobody is left to train on, to choose by or to test, or a label is of no
            class.
        """
        known = set(task.labels.flatten().tolist()) - {NO_LABEL}
        if strange := sorted(known - set(range(len(task.classes)))):
            raise DataError(
                f"{task.title}: {strange[0]} is the number of none of the {len(task.classes)} "
                f"classes, which count from 0 once they are read: {GET_AGAIN}"
            )
        for fold in task.folds:
            if not all(map(len, (fold.train, fold.test, *chain(*fold.inner)))):
                raise DataError(
                    f"{task.title}: too little data, fold {fold.name} has nobody to train on, to "
                    f"choose by or to test: {GET_AGAIN}"
                )
        self.task, self.context = task, context
        self.rows = rows_of(task)
        self.wanted = self.rows[:1] if alone else self.rows
        # Fewer seeds for a first look must not overwrite the cells that are published.
        self.folder = f"{task.name}/{task.settings.seeds}-seeds"
        self._inputs: dict[tuple[str, int], Inputs] = {}
        self._digests: dict[str, str] = {}

    def cells(self, row: Row) -> Iterator[Cell]:
        """The row's cell in every fold, trained now or before."""
        for fold in self.task.folds:
            yield self.cell(row, fold)

    def cell(self, row: Row, fold: Fold) -> Cell:
        """One cell, from its file where the same settings made it."""
        path = self._path(row, fold, "cell.pt")
        fingerprint = self.fingerprint(row, fold)
        if path.is_file():
            kept = load_state(path)
            if kept.pop("fingerprint") == fingerprint:
                return Cell(**{name: _as_array(value) for name, value in kept.items()})
            logger.info("%s: settings have changed, computed anew", path)
        cell = self._compute(row, fold)
        values = {name: _as_tensor(getattr(cell, name)) for name in Cell.__slots__}
        save_atomically(values | {"fingerprint": fingerprint}, path)
        console.print(
            f"{self.task.name}: {row.key}, fold {fold.name}: setting {cell.choice + 1}, "
            f"{cell.epochs} epochs, validation {max(cell.validation):.1%} ({cell.seconds:.0f} s)"
        )
        return cell

    def network(
        self,
        row: Row,
        choice: Choice,
        seed: int = 0,
        trained: Sequence[Mapping[str, Tensor]] = (),
    ) -> FusedNetwork:
        """A new network of this row; random weights but for branches with `trained` ones."""
        torch.manual_seed(seed)
        builders = list(self.task.branches.values())
        branches = [builders[index]() for index in row.modalities]
        for branch, weights in zip(branches, trained, strict=False):
            branch.load_state_dict(weights)
        return FusedNetwork(branches, choice.fusion, len(self.task.classes))

    def validate(self, row: Row, fold: Fold, choice: Choice) -> tuple[int, float]:
        """Best epoch of one setting and its accuracy, over the inner splits of `fold` and seeds."""
        curves: list[list[float]] = []
        epochs: tuple[int, ...] = ()
        seeds = range(self.task.settings.choosing_seeds)
        for (index, (rows, validation)), seed in product(enumerate(fold.inner), seeds):
            trained = train(
                self.task,
                self._start(row, fold, choice, seed, inner=index),
                self._scaled(fold, rows, index),
                rows,
                self._settings(choice),
                modalities=row.modalities,
                validation=validation,
                pretrained=row.pretrained,
                seed=seed,
                device=self.context.device,
            )
            epochs = tuple(epoch for epoch, _ in trained.curve)
            curves.append([value for _, value in trained.curve])
            if len(row.modalities) == 1:
                which = _inner(index, row.choices.index(choice), seed)
                self._keep(trained.network, row, fold, which)
        mean = _smooth(np.mean(curves, axis=0))
        best = int(mean.argmax())
        return epochs[best], float(mean[best])

    def fingerprint(self, row: Row, fold: Fold) -> str:
        """Changes with whatever a row's figures in a fold depend on: settings, people and data."""
        if fold.name not in self._digests:
            self._digests[fold.name] = digest(self.task, fold)
        rows = [row, *(self.rows[index] for index in row.modalities if row.pretrained)]
        values: Sequence[Any] = [
            self.task.extractor,
            self.task.data,
            asdict(self.task.settings),
            SMOOTHING,
            *(asdict(each) for each in rows),
            *([SESSION_SETTINGS] if self.task.sessions else []),
        ]
        people = [part.tolist() for part in (fold.train, fold.test, *chain(*fold.inner))]
        layouts = [layout(self.network(each, choice)) for each in rows for choice in each.choices]
        trail = json.dumps([values, people, layouts, self._digests[fold.name]])
        return hashlib.sha256(trail.encode()).hexdigest()

    def _compute(self, row: Row, fold: Fold) -> Cell:
        # What is computed once is not the row's, and of the others' work on the machine nothing.
        inputs = self._scaled(fold, fold.train, -1)
        if row.pretrained:
            self._prepare_branches(row, fold)
        started = time.process_time()
        found = [self.validate(row, fold, choice) for choice in row.choices]
        best = max(range(len(found)), key=lambda index: found[index][1])
        logits, in_sessions = [], []
        for seed in range(self.task.settings.seeds):
            network = self._train(row, fold, best, found[best][0], seed)
            logits.append(
                predict(
                    self.task,
                    network,
                    inputs,
                    fold.test,
                    row.modalities,
                    self.context.device,
                )
            )
            if self.task.sessions:
                in_sessions.append(
                    predict_in_sessions(
                        self.task,
                        network,
                        inputs,
                        fold,
                        row.modalities,
                        self.context.device,
                    )
                )
        return Cell(
            fold=fold.name,
            choice=best,
            epochs=found[best][0],
            validation=tuple(value for _, value in found),
            logits=np.stack(logits),
            session_logits=np.stack(in_sessions) if in_sessions else None,
            seconds=time.process_time() - started,
        )

    def _train(self, row: Row, fold: Fold, choice: int, epochs: int, seed: int) -> FusedNetwork:
        """A network trained on all training people of `fold`."""
        network = train(
            self.task,
            self._start(row, fold, row.choices[choice], seed, inner=-1),
            self._scaled(fold, fold.train, -1),
            fold.train,
            self._settings(row.choices[choice]),
            modalities=row.modalities,
            epochs=epochs,
            pretrained=row.pretrained,
            seed=seed,
            device=self.context.device,
        ).network
        if len(row.modalities) == 1:
            self._keep(network, row, fold, f"seed{seed}")
        return network

    def _start(
        self, row: Row, fold: Fold, choice: Choice, seed: int, *, inner: int
    ) -> FusedNetwork:
        """A network before training, its branches trained alone where the row asks for that."""
        trained = [
            self._trained_alone(self.rows[index], fold, seed, inner)
            for index in row.modalities
            if row.pretrained
        ]
        return self.network(row, choice, seed, trained)

    def _prepare_branches(self, row: Row, fold: Fold) -> None:
        """Have all branches trained alone that networks of this row begin from."""
        settings = self.task.settings
        wanted = list(product(range(settings.choosing_seeds), range(len(fold.inner))))
        wanted += [(seed, -1) for seed in range(settings.seeds)]
        for index in row.modalities:
            for seed, inner in wanted:
                self._trained_alone(self.rows[index], fold, seed, inner)

    def _trained_alone(self, row: Row, fold: Fold, seed: int, inner: int) -> dict[str, Tensor]:
        """Weights of a branch alone, trained again where those that are kept are not its own.

        Other settings may have left theirs in the same files without finishing a cell.
        """
        cell = self.cell(row, fold)
        which = f"seed{seed}" if inner < 0 else _inner(inner, cell.choice, seed)
        kept = self._kept(row, fold, which)
        if kept is None:
            logger.info("%s, fold %s: %s.pt is not its own, made anew", row.key, fold.name, which)
            if inner < 0:
                self._train(row, fold, cell.choice, cell.epochs, seed)
            else:
                self.validate(row, fold, row.choices[cell.choice])
            kept = self._kept(row, fold, which)
            assert kept is not None
        return kept

    def _kept(self, row: Row, fold: Fold, which: str) -> dict[str, Tensor] | None:
        """A branch's weights from their file, if this row's settings made it."""
        try:
            kept = load_state(self._path(row, fold, f"{which}.pt"))
        except DataError:  # not there, or damaged
            return None
        # A file that says nothing of its settings may be anybody's.
        own = kept.get("fingerprint") == self.fingerprint(row, fold)
        return kept["weights"] if own else None

    def _keep(self, network: FusedNetwork, row: Row, fold: Fold, which: str) -> None:
        branch: Any = network.branches[0]
        values = {"weights": branch.state_dict(), "fingerprint": self.fingerprint(row, fold)}
        save_atomically(values, self._path(row, fold, f"{which}.pt"))

    def _settings(self, choice: Choice) -> Settings:
        settings = self.task.settings
        rate = settings.learning_rate * choice.rate
        return replace(settings, learning_rate=rate, held=choice.held)

    def _scaled(self, fold: Fold, rows: Rows, which: int) -> Inputs:
        key = (fold.name, which)
        if key not in self._inputs:
            if not any(name == fold.name for name, _ in self._inputs):
                self._inputs.clear()  # one fold at a time is enough to hold
            self._inputs[key] = self.task.inputs(fold, rows)
        return self._inputs[key]

    def _path(self, row: Row, fold: Fold, name: str) -> Path:
        return self.context.stage_dir(f"{self.folder}/{row.key}/{fold.name}") / name


def _inner(split: int, choice: int, seed: int) -> str:
    """Name of a network that chooses."""
    return f"inner{split}-{choice}-seed{seed}"


def _as_tensor(value: Any) -> Any:
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _as_array(value: Any) -> Any:
    return value.numpy() if isinstance(value, Tensor) else value


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Running mean that is shorter at the ends."""
    half = SMOOTHING // 2
    return np.array([values[max(0, i - half) : i + half + 1].mean() for i in range(len(values))])

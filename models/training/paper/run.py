"""Train one of the paper's networks fold by fold, and score it. Thread: the trainer's.

    WORK/prepared/…                            prepared samples
    WORK/honest/fold-1/face/                   a stage: resumable state, log.jsonl
    WORK/honest/fold-1/weights.safetensors     the fold's network, when it is done
    WORK/honest/results.json                   what `evaluate` measured; of NTU RGB+D
                                               results-SPLIT.json, of some folds
                                               alone results-FOLD.json

Two protocols. `honest`: people whom training does not see choose the epoch, and the test people are
looked at once, by `evaluate`. `paper`: as in the paper, which chose the epoch on the people that it
reports; such figures are optimistic and are labelled so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from models.checkpoint import Format, WeightsFile
from models.config import PlainConfig
from models.files import write_whole
from models.training import distributed
from models.training.data import DataError
from models.training.loop import (
    RunContext,
    begin_stage,
    console,
    fit,
    progress_bar,
    seed_everything,
)
from models.training.paper.batches import (
    Batch,
    Samples,
    check_batch_size,
    in_order,
    training_epochs,
)
from models.training.paper.layout import Fold
from models.training.paper.recipes import StageConfig
from models.training.settings import RecipeError, StageError

WEIGHTS: Final = "weights.safetensors"

MADE_OF: Final = "samples and settings"
"""What a file of weights calls the digest of what its network learned from."""

Results = dict[str, Any]


class Protocol(StrEnum):
    """Who chooses the epoch."""

    HONEST = "honest"
    PAPER = "paper"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of the network and how it is trained and asked."""

    name: str
    part: Callable[[nn.Module], nn.Module]  # of the whole network
    settings: StageConfig
    answer: Callable[[nn.Module, Batch], Tensor]  # (part, batch) → logits (B, K)
    loss: Callable[[nn.Module, Batch], Tensor]  # (part, batch) → scalar
    only: int | None = None  # place of the one modality that is wanted; None is all
    by_loss: bool = False  # the epoch where that loss is lowest is kept, not the task's score


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A data set, its folds and its network; the last stage is of the whole network."""

    name: str
    seed: int
    data: str  # settings of the data; other ones begin all stages again
    config: PlainConfig  # of the network
    format: Format[Any, Any]  # of its file, which also builds it
    origin: Mapping[str, str]  # what stands in that file besides
    stages: tuple[Stage, ...]
    samples: Samples  # which can be told and counted before they are prepared
    prepare: Callable[[], object] = lambda: None
    workers: int  # threads that make samples ready; 0 where there is nothing to do
    folds: tuple[Fold, ...]
    begin_fold: Callable[[Fold], None]  # fits scalers on its training samples
    figures: Callable[[Any, Any], dict[str, float]]  # answers (n, K), targets (n,)
    score: str  # the figure that chooses the epoch
    lowest: bool = False  # is it the epoch where that figure is lowest?
    details: Callable[[Any, Any, Sequence[int]], dict[str, Any]]  # of all test answers together
    results: str = "results"  # of all folds, the file without its ending
    chooses: str  # who chooses the epoch, for the report
    found: str  # how much of the official data is there, for the report

    def made_of(self, fold: Fold) -> str:
        """Digest of a fold's people and samples and of what is made of them."""
        keys = self.samples.keys
        people = [[keys[row] for row in rows] for rows in (fold.train, fold.choose, fold.test)]
        told = repr((self.name, self.data, people))
        return hashlib.sha256(told.encode()).hexdigest()


def train_task(
    task: Task,
    context: RunContext,
    protocol: Protocol,
    folds: Sequence[int] = (),
) -> list[Path]:
    """Train the folds with these numbers, from 1 (all when there are none); where weights lie.

    Goes on where it was killed and passes at once what is done. With other settings a stage is
    begun again.

    Raises
    ------
    DataError, RecipeError
        Data or settings do not fit.
    """
    for stage in task.stages:  # now, not when those before it are trained
        check_batch_size(stage.settings.batch_size)
    context, chosen = replace(context, seed=task.seed), _chosen(task, folds)
    if distributed.is_first():
        console.print(f"{task.name}: {task.found}")
    task.prepare()
    return [_train_fold(task, fold, context, protocol) for fold in chosen]


def _chosen(task: Task, numbers: Sequence[int]) -> list[Fold]:
    if wrong := [number for number in numbers if not 1 <= number <= len(task.folds)]:
        raise RecipeError(f"no fold {wrong[0]}; {task.name} has 1 to {len(task.folds)}")
    return [task.folds[number - 1] for number in sorted(set(numbers))] or list(task.folds)


def _train_fold(task: Task, fold: Fold, context: RunContext, protocol: Protocol) -> Path:
    folder = f"{protocol}/{fold.name}"
    weights = context.work_dir / folder / WEIGHTS
    task.begin_fold(fold)
    seed_everything(context.seed)
    network = task.format.build(task.config).to(context.device)
    trail = repr((task.made_of(fold), context.seed))
    for stage in task.stages:
        part = stage.part(network)
        trail += repr((stage.name, stage.settings, task.config))
        if stage.settings.initial:
            trail += _begin_with(part, Path(stage.settings.initial))
        begin_stage(context, f"{folder}/{stage.name}", trail, [weights])
        _fit_stage(task, stage, part, fold, context, f"{folder}/{stage.name}")
    if distributed.is_first():
        origin = {
            **task.origin,
            "test people": fold.people,
            "epoch chosen by": task.chooses,
            MADE_OF: task.made_of(fold),
        }
        task.format.save(weights, network, task.config, origin)
    distributed.wait()
    return weights


def _fit_stage(
    task: Task,
    stage: Stage,
    part: nn.Module,
    fold: Fold,
    context: RunContext,
    name: str,
) -> None:
    settings = stage.settings
    seed_everything(context.seed)
    optimizer = torch.optim.Adam(
        part.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    epochs = training_epochs(
        task.samples,
        fold.train,
        settings.batch_size,
        context.seed,
        context.device,
        task.workers,
        stage.only,
    )
    steps = max(1, len(epochs(0)))

    def rate(step: int) -> float:
        return 0.1 ** sum(step // steps >= epoch for epoch in settings.tenth_after)

    def validate(model: nn.Module) -> dict[str, float]:
        figures = task.figures(*_answers(task, stage, model, fold.choose, context.device))
        if task.lowest:
            figures |= {f"minus_{task.score}": -figures[task.score]}
        if stage.by_loss:
            figures |= {
                "minus_chooser_loss": -_loss(task, stage, model, fold.choose, context.device)
            }
        return figures

    score = f"minus_{task.score}" if task.lowest else task.score
    fit(
        name=name,
        context=context,
        model=part,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.LambdaLR(optimizer, rate),
        epochs=settings.epochs,
        batches=epochs,
        loss=stage.loss,
        validate=validate,
        score="minus_chooser_loss" if stage.by_loss else score,
        ema_decay=settings.ema_decay,
        clip_norm=settings.clip_norm,
        autocast=settings.autocast,
    )


def _answers(
    task: Task,
    stage: Stage,
    model: nn.Module,
    rows: Sequence[int],
    device: torch.device,
    advance: Callable[[int], None] = lambda _samples: None,
) -> tuple[Any, Any]:
    """Answers (n, K) and targets (n,) of these samples; `model` is in evaluation mode.

    `advance` is told of each batch how many samples it had.
    """
    said, truth = [], []
    size = stage.settings.batch_size
    batches = in_order(task.samples, rows, size, device, task.workers, stage.only)
    with torch.inference_mode():
        for batch in batches:
            said.append(stage.answer(model, batch).float().cpu())
            truth.append(batch[-1].cpu())
            advance(len(batch[-1]))
    return torch.cat(said).numpy(), torch.cat(truth).numpy()


def _loss(
    task: Task, stage: Stage, model: nn.Module, rows: Sequence[int], device: torch.device
) -> float:
    """Mean of the stage's loss over these samples; `model` is in evaluation mode."""
    total, size = 0.0, stage.settings.batch_size
    for batch in in_order(task.samples, rows, size, device, task.workers, stage.only):
        total += len(batch[-1]) * float(stage.loss(model, batch))
    return total / len(rows)


def _begin_with(part: nn.Module, path: Path) -> str:
    """Begin a branch with weights from elsewhere, and their digest.

    Its last layer may be of other classes.
    """
    import safetensors.torch
    from safetensors import SafetensorError

    try:
        given = safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise DataError(f"the weights to begin with are not there: {path}") from None
    except (OSError, SafetensorError) as error:
        raise DataError(f"the weights to begin with cannot be read: {path}: {error}") from None
    own = part.state_dict()
    taken = {
        name: tensor
        for name, tensor in given.items()
        if not (name.startswith("classify.") and name in own and tensor.shape != own[name].shape)
    }
    lacking = own.keys() - taken.keys()
    unknown = taken.keys() - own.keys()
    wrong = {name for name in taken.keys() & own.keys() if taken[name].shape != own[name].shape}
    if unknown or wrong or any(not name.startswith("classify.") for name in lacking):
        bad = sorted(unknown | wrong | {n for n in lacking if not n.startswith("classify.")})
        raise DataError(f"{path} does not fit this branch: {', '.join(bad[:3])}")
    part.load_state_dict(taken, strict=False)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def evaluate_task(
    task: Task,
    context: RunContext,
    protocol: Protocol,
    folds: Sequence[int] = (),
) -> Results:
    """Score each fold's network on its test people; writes and returns the figures.

    Of several processes the first one does, once all have the samples; the others get nothing.

    Raises
    ------
    StageError
        A fold has not been trained to its end.
    CheckpointError, RecipeError
        Its weights are damaged, or of another network than the settings describe.
    """
    results: Results = {
        "task": task.name,
        "protocol": protocol.value,
        "epoch_chosen_by": task.chooses,
        "data": task.found,
        "folds": {},
    }
    said, truth = [], []
    rows: list[int] = []
    chosen = _chosen(task, folds)
    files = [_trained(task, fold, context.work_dir / protocol, protocol) for fold in chosen]
    task.prepare()  # which takes hours: whether there is anything to score is known by now
    if not distributed.is_first():
        return {}
    for fold, file in zip(chosen, files, strict=True):
        task.begin_fold(fold)
        network = file.network().to(context.device)
        with progress_bar() as progress:
            bar = progress.add_task(f"{task.name}: {fold.name}", total=len(fold.test), note="")
            advance = partial(progress.advance, bar)
            pair = _answers(task, task.stages[-1], network, fold.test, context.device, advance)
        about = {"people": fold.people, "samples": len(pair[1])}
        results["folds"][fold.name] = about | task.figures(*pair)
        said.append(pair[0])
        truth.append(pair[1])
        rows += fold.test
    results["together"] = task.details(np.concatenate(said), np.concatenate(truth), rows)
    # Figures of some folds do not take the place of those of all.
    part = "-".join(["", *results["folds"]]) if len(results["folds"]) < len(task.folds) else ""
    path = context.work_dir / protocol / f"{task.results}{part}.json"
    write_whole(path, json.dumps(results, indent=2) + "\n")
    return results


def _trained(
    task: Task, fold: Fold, folder: Path, protocol: Protocol
) -> WeightsFile[Any, nn.Module]:
    """The fold's weights, which belong to these samples and settings."""
    path = folder / fold.name / WEIGHTS
    if not path.is_file():
        option = "" if protocol is Protocol.HONEST else f" --protocol {protocol}"
        raise StageError(
            f"{path.parent.name} has not been trained to its end ({path} is not there): "
            f"run `train {task.name}{option}` first"
        )
    file = task.format.read(path)
    if file.config != task.config:
        raise RecipeError(f"{path} was trained with other settings of the network: {file.config}")
    if file.origin.get(MADE_OF) != task.made_of(fold):
        raise RecipeError(
            f"{path} was trained on other samples, folds or settings of the data than asked for "
            f"now (test people then: {file.origin.get('test people', 'not told')}; now: "
            f"{fold.people}): give `evaluate` the --root and --config of `train`, or train again "
            "with another --work-dir"
        )
    return file

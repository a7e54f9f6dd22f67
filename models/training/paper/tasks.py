"""The three tasks as values: data, network, stages and scores, put together from their settings.

Each function prepares the data first (the first process alone, the others wait), which can take
hours and goes on where it was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from models.labels import RAVDESS_EMOTIONS
from models.paper import weights
from models.training import distributed
from models.training.loop import RunContext
from models.training.paper import mosei, ntu, ravdess
from models.training.paper.batches import Batch
from models.training.paper.layout import Fold
from models.training.paper.recipes import MoseiRecipe, NtuRecipe, PaperRecipe, RavdessRecipe
from models.training.paper.run import Protocol, Stage, Task
from models.training.paper.scores import class_figures, sentiment_figures
from models.training.scores import confusion, recalls

OPTIMISTIC: Final = (
    "the test people themselves, as in the paper: optimistic, not comparable with honest figures"
)

_NTU_CHOOSES: Final = {
    "cross-subject": "persons 2, 5, 9, 14 of the training people",
    "cross-view": "cameras 2 and 3 of persons 2, 5, 9, 14; the test camera saw everybody, these "
    "too, in the same performances",
}

Value = TypeVar("Value")


def _first_alone(make: Callable[[], Value]) -> Value:
    """The first process makes it, then the others, for whom it is made already."""
    if distributed.is_first():
        made = make()
        distributed.wait()
        return made
    distributed.wait()
    return make()


def ravdess_task(
    context: RunContext,
    recipe: RavdessRecipe,
    protocol: Protocol,
    workers: int,
    finder: Callable[[], ravdess.FaceFinder],
) -> Task:
    """Emotion from face clip and MFCC, in folds of consecutive actors.

    Raises
    ------
    DataError
        The data is missing, damaged or of another layout.
    """
    recordings = ravdess.find_recordings(context.data_root)
    folds = ravdess.actor_folds(recordings, recipe.folds, protocol is Protocol.HONEST)
    made_for = recipe.preparation, recipe.network.coefficients
    folder = ravdess.recordings_folder(context.work_dir, *made_for)
    samples = ravdess.RavdessSamples(folder, recordings, recipe.augmentation)
    actors = np.array([each.actor for each in recordings])

    def details(logits: Any, labels: Any, rows: Sequence[int]) -> dict[str, Any]:
        told = _class_details(logits, labels, RAVDESS_EMOTIONS)
        male = actors[list(rows)] % 2 == 1
        told["accuracy_by_sex"] = {
            name: float((logits[of].argmax(axis=1) == labels[of]).mean())
            for name, of in (("female", ~male), ("male", male))
            if of.any()
        }
        return told

    return Task(
        name="ravdess",
        seed=recipe.seed,
        data=repr((recipe.preparation, recipe.augmentation)),
        config=recipe.network,
        format=weights.RAVDESS,
        origin={
            "data": "RAVDESS speech videos (Livingstone and Russo 2018)",
            "terms": "CC BY-NC-SA 4.0, non-commercial, because RAVDESS is",
        },
        stages=(
            _branch("face", 0, recipe.face),
            _branch("voice", 1, recipe.voice),
            Stage(
                name="fusion",
                part=lambda network: network,
                settings=recipe.fusion,
                answer=lambda network, batch: network(*batch[:2]).logits,
                loss=lambda network, batch: functional.cross_entropy(
                    network(*batch[:2]).logits, batch[-1]
                ),
            ),
        ),
        samples=samples,
        prepare=lambda: _first_alone(
            lambda: ravdess.prepare_recordings(
                recordings, *made_for, context.work_dir, finder, workers
            )
        ),
        workers=workers,
        folds=tuple(folds),
        begin_fold=_nothing,
        figures=class_figures,
        score="accuracy",
        details=details,
        chooses="the next fold's actors" if protocol is Protocol.HONEST else OPTIMISTIC,
        found=f"{len(recordings):,} of {ravdess.OFFICIAL:,} official recordings",
    )


def mosei_task(context: RunContext, recipe: MoseiRecipe, _protocol: Protocol, workers: int) -> Task:
    """Sentiment from face, voice and words, in the official folds.

    The paper's protocol is an honest one here: the official validation fold chooses.

    Raises
    ------
    DataError
        The data is missing, damaged or of another layout.
    """
    folder, videos = _first_alone(
        lambda: mosei.prepare_mosei(
            context.data_root, recipe.preparation, context.work_dir, context.device, workers
        )
    )
    samples = mosei.MoseiSamples(folder, videos, recipe.preparation)
    fold = mosei.mosei_fold(samples)

    def answer(network: nn.Module, batch: Batch) -> Tensor:
        present = batch[3] if recipe.tell_absent else None
        out: Tensor = network(*batch[:3], present).logits[:, 0]
        return out

    def details(answers: Any, sentiment: Any, _rows: Sequence[int]) -> dict[str, Any]:
        return {"samples": len(sentiment), **sentiment_figures(answers, sentiment)}

    return Task(
        name="mosei",
        seed=recipe.seed,
        data=repr((mosei.FORMAT, recipe.preparation, recipe.standardise, recipe.tell_absent)),
        config=recipe.network,
        format=weights.MOSEI,
        origin={"data": "CMU-MOSEI (Zadeh et al. 2018)", "terms": "for research"},
        stages=(
            Stage(
                name="fusion",
                part=lambda network: network,
                settings=recipe.fusion,
                answer=answer,
                loss=lambda network, batch: functional.mse_loss(answer(network, batch), batch[-1]),
            ),
        ),
        samples=samples,
        workers=0,
        folds=(fold,),
        begin_fold=(lambda of: samples.standardise(of.train)) if recipe.standardise else _nothing,
        figures=sentiment_figures,
        score="mae",
        lowest=True,
        details=details,
        chooses="the official validation fold",
        found=mosei.found_videos(videos),
    )


def ntu_task(context: RunContext, recipe: NtuRecipe, protocol: Protocol, workers: int) -> Task:
    """Action from colour clip and skeletons, in an official split.

    Raises
    ------
    DataError
        The data is missing, damaged or of another layout.
    """
    found = ntu.find_samples(context.data_root, recipe.complete)
    honest = protocol is Protocol.HONEST
    fold = ntu.ntu_fold(found, recipe.split, honest)
    folder = ntu.samples_folder(context.work_dir, recipe.preparation)

    def output(network: nn.Module, batch: Batch) -> Any:
        return network(*batch[:2], batch[2] if recipe.tell_absent else None)

    def loss(network: nn.Module, batch: Batch) -> Tensor:
        """Each branch by its own logits.

        The sum of both moves every layer, with one optimiser. The authors' code gives each branch
        an optimiser of its own, which its own loss alone moves, and MSAF to both.
        """
        said = output(network, batch)
        return functional.cross_entropy(said.rgb_logits, batch[-1]) + functional.cross_entropy(
            said.skeleton_logits, batch[-1]
        )

    names = [f"A{action + 1:03d}" for action in range(recipe.network.classes)]
    return Task(
        name="ntu",
        seed=recipe.seed,
        # The last: the skeleton branch alone is told too.
        data=repr((ntu.FORMAT, recipe.preparation, recipe.taking, recipe.tell_absent, "alone")),
        config=recipe.network,
        format=weights.NTU,
        origin={"data": "NTU RGB+D (Shahroudy et al. 2016)", "terms": "for research"},
        stages=(
            _branch("rgb", 0, recipe.rgb),
            _branch("skeleton", 1, recipe.skeleton, persons=recipe.tell_absent),
            Stage(
                name="fusion",
                part=lambda network: network,
                settings=recipe.fusion,
                answer=lambda network, batch: output(network, batch).logits,
                loss=loss,
                by_loss=not honest,  # as the authors' code: the mean of both losses
            ),
        ),
        samples=ntu.NtuSamples(folder, found, recipe.taking),
        prepare=lambda: _first_alone(
            lambda: ntu.prepare_samples(found, recipe.preparation, context.work_dir, workers)
        ),
        workers=workers,
        folds=(fold,),
        begin_fold=_nothing,
        figures=class_figures,
        score="accuracy",
        details=lambda logits, labels, _rows: _class_details(logits, labels, names),
        results=f"results-{recipe.split}",
        chooses=_NTU_CHOOSES[recipe.split] if honest else OPTIMISTIC,
        found=f"{len(found):,} of {ntu.OFFICIAL:,} official samples",
    )


def make_task(
    context: RunContext,
    recipe: PaperRecipe,
    protocol: Protocol,
    workers: int,
    finder: Callable[[], ravdess.FaceFinder],
) -> Task:
    """The task that these settings are of; `finder` makes face finders, for RAVDESS."""
    match recipe:
        case RavdessRecipe():
            return ravdess_task(context, recipe, protocol, workers, finder)
        case MoseiRecipe():
            return mosei_task(context, recipe, protocol, workers)
        case NtuRecipe():
            return ntu_task(context, recipe, protocol, workers)


def _branch(name: str, place: int, settings: Any, *, persons: bool = False) -> Stage:
    """One branch alone, on the modality at that place of a batch.

    With `persons` it is told which of the two of NTU RGB+D's skeletons are there.
    """

    def answer(branch: nn.Module, batch: Batch) -> Tensor:
        known = (batch[2][:, 1:],) if persons else ()
        out: Tensor = branch(batch[place], *known)
        return out

    return Stage(
        name=name,
        part=lambda network: getattr(network, name),
        settings=settings,
        answer=answer,
        loss=lambda branch, batch: functional.cross_entropy(answer(branch, batch), batch[-1]),
        only=place,
    )


def _class_details(logits: Any, labels: Any, names: Sequence[str]) -> dict[str, Any]:
    said = logits.argmax(axis=1)
    return {
        "samples": len(labels),
        **class_figures(logits, labels),
        "recall": recalls(said, labels, names),
        "labels": list(names),
        "confusion": confusion(said, labels, len(names)).tolist(),
    }


def _nothing(_fold: Fold) -> None:
    """Nothing to fit."""

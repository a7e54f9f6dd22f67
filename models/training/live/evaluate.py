"""What the live network can do, on people it never saw: figures, printed and kept as JSON.

Validation people chose epochs and temperatures; test people (FER+ test split, RAVDESS actors
01, 04, 09, 22) had no part in anything. The weights learned from the validation actors too, at the
very end, so figures on these are of the network before that, which training leaves in the work
folder. Fused answers are scored on pairs of the same class, a face
of FER+ with a clip of RAVDESS, which are not recordings of one person.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from models.checkpoint import LIVE
from models.config import CONDITIONS
from models.face import FaceClassifier
from models.files import write_whole
from models.labels import EMOTIONS
from models.live import FusionHead, LiveNet
from models.training.data import OTHER_FOLDS, load_ferplus
from models.training.live.calibration import (
    calibration_error_floor,
    expected_calibration_error,
)
from models.training.live.face import face_scores
from models.training.live.fusion import head_made_for
from models.training.live.fusion_answers import (
    SESSION_START,
    Answers,
    answers,
    face_shares,
    session_answers,
)
from models.training.live.fusion_features import (
    QUALITIES,
    FaceFeatures,
    VoiceFeatures,
    evaluation_features,
    evaluation_voices,
    face_features,
)
from models.training.live.fusion_pairs import paired_voices
from models.training.live.fusion_settings import FusionStageConfig
from models.training.live.recipe import LiveRecipe
from models.training.live.report import report
from models.training.live.train import SELECTION, WITHOUT_DROPOUT, fold_weights, take_stage
from models.training.loop import RunContext
from models.training.settings import StageError

Results = dict[str, Any]
People = tuple[FaceFeatures, VoiceFeatures]


def evaluate_live(context: RunContext, weights: Path, recipe: LiveRecipe) -> Results:
    """Score `weights`, print the figures on standard output, write `results.json`.

    What is measured on validation people, calibration and the cost of modality dropout, is there
    when the work folder holds the network that was chosen by them, and is None elsewhere; so is
    what needs the networks of the stage `folds`.

    Raises
    ------
    CheckpointError, DataError
        The weights or the data are missing or damaged.
    StageError
        The network in the work folder is another's.
    """
    checkpoint = LIVE.read(weights)
    network = checkpoint.network().to(context.device)
    test = evaluation_features(context, network, recipe.fusion, "test")
    said = answers(network.head, *test, network.config, context.device)
    results: Results = {
        "weights": {
            "file": weights.name,
            "bytes": len(checkpoint.content),
            "sha256": checkpoint.sha256,
            "file_sha256": hashlib.sha256(checkpoint.content).hexdigest(),
            "parameters": {
                name: sum(parameter.numel() for parameter in getattr(network, name).parameters())
                for name in ("trunk", "encoder", "head")
            },
            "temperatures": dict(zip(CONDITIONS, network.config.temperatures, strict=True)),
            "origin": dict(checkpoint.origin),
        },
        "ferplus_test": score_ferplus(context, network),
        "conditions": {"test": score_conditions(said, network)},
        "by_sex": score_by_sex(said, test),
        "sessions": {"test": score_sessions(network, test, context)},
        "qualities": {"test": score_qualities(context, network, recipe.fusion, "test")},
        "folds": score_folds(context, network, recipe.fusion),
        "modality_dropout": None,
    }
    selection = context.work_dir / SELECTION
    if selection.is_file():
        chosen = _trained_beside(network, selection).to(context.device)
        people = evaluation_features(context, chosen, recipe.fusion, "validation")
        said = answers(chosen.head, *people, chosen.config, context.device)
        results["conditions"]["validation"] = score_conditions(said, chosen)
        results["sessions"]["validation"] = score_sessions(chosen, people, context)
        results["qualities"]["validation"] = score_qualities(
            context, chosen, recipe.fusion, "validation"
        )
        results["modality_dropout"] = score_dropout(
            context, chosen, said, people, recipe.fusion.epochs
        )
    results["targets"] = targets(results)
    write_whole(context.work_dir / "results.json", json.dumps(results, indent=2) + "\n")
    report(results, Console())
    return results


def _trained_beside(network: LiveNet, path: Path) -> LiveNet:
    """The network in `path`, which was trained with the same settings as `network`."""
    other = LIVE.read(path).network()
    if other.config != network.config:
        raise StageError(
            f"{path} was not trained for these weights: their settings differ. Name the work "
            "folder that the weights were trained in, or one that is empty"
        )
    return other


def score_conditions(said: Mapping[str, Answers], network: LiveNet) -> dict[str, dict[str, Any]]:
    """Figures of each condition."""
    return {
        condition: score(answer, network.config.temperatures[index])
        for index, (condition, answer) in enumerate(said.items())
    }


def score_sessions(
    network: LiveNet, people: People, context: RunContext
) -> dict[str, dict[str, dict[str, float]]]:
    """Each actor's clips heard in one session, with and without adaptation to the voice."""

    faces, voices = people

    def figures(condition: str, *, adapt: bool, neutral_first: bool) -> dict[str, float]:
        said = session_answers(
            network.head,
            faces,
            voices,
            condition,
            network.config,
            context.device,
            adapt=adapt,
            neutral_first=neutral_first,
        )
        whole, known = said.after(), said.after(min(SESSION_START, len(said.labels) // 2))
        return {
            "balanced_accuracy": whole.balanced_accuracy,
            f"after_{SESSION_START}_clips": known.balanced_accuracy,
            "female": said.after(odd=False).balanced_accuracy,
            "male": said.after(odd=True).balanced_accuracy,
            "calibration_error": expected_calibration_error(whole.logits, whole.labels),
        }

    sessions = (
        ("both", "both", False),
        ("voice only", "voice only", False),
        ("voice only, neutral first", "voice only", True),
    )
    return {
        title: {
            name: figures(condition, adapt=adapt, neutral_first=neutral_first)
            for name, adapt in (("adapted", True), ("not adapted", False))
        }
        for title, condition, neutral_first in sessions
    }


def score_qualities(
    context: RunContext, network: LiveNet, config: FusionStageConfig, split: str
) -> dict[str, dict[str, float]]:
    """Balanced accuracy where a sense is given poorly, and how much the face then counts."""
    figures = {}
    for quality in QUALITIES:
        people = evaluation_features(context, network, config, split, quality)
        said = answers(network.head, *people, network.config, context.device)
        shares = face_shares(network.head, *people, network.config, context.device)
        figures[quality] = {
            **{condition: answer.balanced_accuracy for condition, answer in said.items()},
            "the face counts": float(shares.mean()),
        }
    return figures


def score(answer: Answers, temperature: float) -> dict[str, Any]:
    """Figures of one condition.

    Calibration also as it was before the temperature, and as perfect answers would show it by
    chance.
    """
    return {
        "samples": len(answer.labels),
        "accuracy": answer.accuracy,
        "balanced_accuracy": answer.balanced_accuracy,
        "calibration_error": expected_calibration_error(answer.logits, answer.labels),
        "calibration_error_floor": calibration_error_floor(answer.logits),
        "calibration_error_before": expected_calibration_error(
            answer.logits * np.float32(temperature), answer.labels
        ),
        "recall": answer.recall,
        "support": {
            name: int((answer.labels == index).sum()) for index, name in enumerate(EMOTIONS)
        },
    }


def score_folds(
    context: RunContext, network: LiveNet, config: FusionStageConfig
) -> dict[str, dict[str, float]] | None:
    """The voice of every actor, judged by a network that never heard them.

    `network` judges the test actors, those of the stage `folds` the actors of the other published
    folds. The deviation is that of the actors' own balanced accuracies.
    """
    judges = {"test": network}
    for fold in OTHER_FOLDS:
        path = fold_weights(context, fold)
        if not path.is_file():
            return None
        judges[fold] = _trained_beside(network, path).to(context.device)
    alone, actors, sessions = [], [], []
    for people, judge in judges.items():
        faces = face_features(context, judge.trunk, "test", config)
        voices = evaluation_voices(context, judge.encoder, judge.config, people)
        heard = (judge.head, faces, voices)
        alone.append(answers(*heard, judge.config, context.device)["voice only"])
        actors.append(voices.actors.numpy())
        sessions.append(
            session_answers(*heard, "voice only", judge.config, context.device, adapt=True)
        )
    by_window, actor = _joined(alone), np.concatenate(actors)
    said = {
        "each window by itself": [_part(by_window, actor % 2 == odd) for odd in (0, 1)],
        "adapted": [_joined([each.after(odd=odd) for each in sessions]) for odd in (False, True)],
    }
    own = [_part(by_window, actor == one).balanced_accuracy for one in np.unique(actor)]
    return {
        name: {
            "balanced_accuracy": (whole := _joined([women, men])).balanced_accuracy,
            "female": women.balanced_accuracy,
            "male": men.balanced_accuracy,
            "calibration_error": expected_calibration_error(whole.logits, whole.labels),
        }
        for name, (women, men) in said.items()
    } | {"actors": {"count": float(len(own)), "deviation": float(np.std(own, ddof=1))}}


def _joined(parts: Sequence[Answers]) -> Answers:
    return Answers(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _part(said: Answers, rows: NDArray[np.bool_]) -> Answers:
    return Answers(said.logits[rows], said.labels[rows])


def score_ferplus(context: RunContext, network: LiveNet) -> dict[str, Any]:
    """FER+ test, eight classes, by the head the trunk was first trained with.

    `published` is the whole split, with the photographs that earlier splits have too.
    """
    classifier = FaceClassifier(network.config.face)
    classifier.trunk.load_state_dict(network.trunk.state_dict())
    classifier.head.load_state_dict(network.ferplus_head.state_dict())
    classifier.to(context.device)

    def scores(*, copies: bool) -> dict[str, Any]:
        data = load_ferplus(context.data_root, "test", copies=copies)
        return {
            **face_scores(classifier, data, context.device),
            "samples": int(data.agreed.sum()),
            "samples_most_voted": len(data.labels),
        }

    return {**scores(copies=False), "published": scores(copies=True)}


def score_by_sex(said: Mapping[str, Answers], people: People) -> dict[str, dict[str, float]]:
    """Balanced accuracy by the sex of the actor that is heard, for the conditions with a voice."""
    faces, voices = people
    actors = voices.actors.numpy()
    heard = {"both": actors[paired_voices(faces, voices)], "voice only": actors}
    return {
        condition: {
            sex: _part(said[condition], of % 2 == odd).balanced_accuracy
            for sex, odd in (("female", 0), ("male", 1))
        }
        for condition, of in heard.items()
    }


def score_dropout(
    context: RunContext,
    network: LiveNet,
    said: Mapping[str, Answers],
    people: People,
    epochs: int,
) -> dict[str, float] | None:
    """Balanced accuracy with both modalities, trained with and without modality dropout."""
    try:
        head = FusionHead(network.config)
        take_stage(context, WITHOUT_DROPOUT, head, epochs, head_made_for(network))
    except StageError:
        return None
    without = answers(head.to(context.device), *people, network.config, context.device)["both"]
    kept = said["both"].balanced_accuracy
    return {
        "with": kept,
        "without": without.balanced_accuracy,
        "cost_points": 100.0 * (without.balanced_accuracy - kept),
    }


def targets(results: Results) -> list[dict[str, Any]]:
    """The figures that were aimed at: what, measured, aim, whether reached."""
    test = results["conditions"]["test"]
    session = results["sessions"]["test"]["voice only"]["adapted"]
    rows = [
        (
            "FER+ test, 8 classes by majority vote, photographs never seen",
            results["ferplus_test"]["accuracy"],
            ">=",
            0.85,
        ),
        (
            "voice only, test actors, balanced, each window by itself",
            test["voice only"]["balanced_accuracy"],
            ">=",
            0.78,
        ),
        (
            "voice only, test actors, an actor's clips in one session",
            session["balanced_accuracy"],
            ">=",
            0.78,
        ),
        ("weights, MB", results["weights"]["bytes"] / 1e6, "<=", 40.0),
    ]
    if folds := results["folds"]:
        rows.append(
            (
                "voice only, every actor by a network that never heard them, each window by itself",
                folds["each window by itself"]["balanced_accuracy"],
                ">=",
                0.78,
            )
        )
    if validation := results["conditions"].get("validation"):
        worst = max(figures["calibration_error"] for figures in validation.values())
        rows.append(("calibration error, validation, worst condition", worst, "<=", 0.05))
    if dropout := results["modality_dropout"]:
        rows.append(
            ("cost of modality dropout, validation, points", dropout["cost_points"], "<=", 1.0)
        )
    return [
        {
            "what": what,
            "value": value,
            "aim": f"{sign} {aim:g}",
            "reached": bool(value >= aim if sign == ">=" else value <= aim),
        }
        for what, value, sign, aim in rows
    ]

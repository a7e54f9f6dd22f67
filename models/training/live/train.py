"""How the shipped weights are made: face, voice, fusion, calibration, one after the other.

All choices are made on validation people, by a network that never heard them. Then voice and fusion
are trained once more with the same settings, from the validation actors' clips as well and to the
end of the schedule (stage `final`): that is what ships, since every further voice counts where
there are two dozen. In the same way the stage `folds`, only where it is asked for, trains a network
for each other published fold of actors, which never heard them: four test actors say little of a
recipe, all two dozen more.

Every stage resumes where it was killed and passes at once when it is done. Thread: the trainer's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import torch
from torch import nn

from models.checkpoint import LIVE, Checkpoint, default_weights, round_as_stored
from models.config import CONDITIONS, LiveNetConfig
from models.face import FaceClassifier
from models.files import check_writable
from models.labels import EMOTIONS, FERPLUS_TO_EMOTION
from models.live import FusionHead, LiveNet
from models.training.data import ACTORS, FINAL_ACTORS, OTHER_FOLDS, TRAIN_ACTORS, without
from models.training.live.calibration import expected_calibration_error, fit_temperature
from models.training.live.face import train_face
from models.training.live.fusion import head_made_for, learn_voice_means, train_fusion
from models.training.live.fusion_answers import answers
from models.training.live.fusion_features import (
    FaceFeatures,
    VoiceFeatures,
    evaluation_features,
    face_features,
    training_voices,
)
from models.training.live.recipe import LiveRecipe
from models.training.live.voice import STAGE as VOICE_STAGE
from models.training.live.voice import WEIGHTS, VoiceTask, load_voice, train_voice
from models.training.loop import (
    NETWORK,
    RunContext,
    console,
    load_state,
    load_weights,
    seed_everything,
)
from models.training.settings import RecipeError, StageError
from models.voice import VoiceClassifier

STAGES: Final = ("face", "voice", "fusion", "final", "folds")
"""In this order; calibration takes seconds and always follows fusion."""

SHIPPED: Final = STAGES[:-1]
"""Those that the weights need."""

_STATES: Final = (
    "face/state.pt",
    f"{VOICE_STAGE}/{WEIGHTS}",
    "fusion/state.pt",
    "fusion-final/state.pt",
)
"""What each of them leaves in the work folder."""

SELECTION: Final = "selection.safetensors"
"""In the work folder: the network that validation people chose, before the stage `final`."""

WITHOUT_DROPOUT: Final = "fusion-without-modality-dropout"
"""Stage of the same head trained on complete pairs only, to know what modality dropout costs."""

NOT_TRAINED: Final = "the stage {0} has not been trained yet: run `train live --stage {0}` first"


def origin(actors: Sequence[int]) -> dict[str, str]:
    """What a file of weights says of its data, starting points and terms."""
    return {
        "data": "FER+ (FER2013 images, Barsoum et al. 2016 labels), training split; "
        "RAVDESS speech audio (Livingstone and Russo 2018), actors "
        + ", ".join(f"{actor:02d}" for actor in actors),
        "starting points": "HSE-FaceRes, a MobileNet trained on VGGFace2 (Savchenko, Apache-2.0); "
        "OpenAI Whisper tiny.en encoder (MIT)",
        "terms": "CC BY-NC-SA 4.0, non-commercial: RAVDESS is CC BY-NC-SA 4.0, FER2013 is for "
        "research",
    }


def train_live(
    context: RunContext,
    recipe: LiveRecipe,
    stages: Sequence[str] = SHIPPED,
    weights: Path | None = None,
) -> Checkpoint | None:
    """Train the named stages, calibrate, and write the weights (by default the shipped ones).

    Stages that are not named are taken as they stand. Where one was never trained, it ends with the
    last one that is named and says what is still to be trained; there are no weights then.

    Raises
    ------
    DataError, StartingPointError
        Something that training needs is missing.
    StageError
        A stage that is not named has not been trained to its end, or behind other branches; or
        never, and one that is named needs it.
    OSError
        The weights cannot be written where they are wanted; said before anything is trained.
    """
    if unknown := set(stages) - set(STAGES):
        raise RecipeError(f"no stage {', '.join(sorted(unknown))}; there are {', '.join(STAGES)}")
    weights = weights or default_weights()
    check_writable(weights)  # hours before it comes to that
    context = replace(context, seed=recipe.seed)
    lacking = [
        stage
        for stage, state in zip(SHIPPED, _STATES, strict=True)
        if stage not in stages and not (context.work_dir / state).is_file()
    ]
    if "face" in stages:
        train_face(context, recipe.network.face, recipe.face)
    if "voice" in stages:
        train_voice(context, recipe.network.voice, recipe.voice)
    if lacking and not {"fusion", "final", "folds"} & set(stages):
        _tell_lacking(stages, lacking)
        return None
    face = FaceClassifier(recipe.network.face)
    take_stage(context, "face", face, recipe.face.epochs, repr(recipe.network.face))
    voice = take_voice(context, recipe, "voice", VOICE_STAGE)
    network = _branches_joined(context, recipe, face, voice)
    validation = evaluation_features(context, network, recipe.fusion, "validation")
    if "fusion" in stages:
        training = _fusion_training(context, recipe, network, "train")
        for name, settings in (
            (WITHOUT_DROPOUT, replace(recipe.fusion, face_only=0.0, voice_only=0.0)),
            ("fusion", recipe.fusion),
        ):
            network.head = _new_head(recipe, face, voice)
            train_fusion(context, settings, network, training, validation, name=name)
    _take_head(context, recipe, "fusion", network, "fusion")
    learn_voice_means(context, network, "train")
    chosen = calibrated(network, validation, context.device)
    LIVE.save(context.work_dir / SELECTION, chosen, chosen.config, origin(TRAIN_ACTORS))
    if lacking and not {"final", "folds"} & set(stages):
        _tell_lacking(stages, lacking)
        return None

    temperatures = chosen.config.temperatures
    train = "final" in stages
    final = _trained_as_chosen(context, recipe, face, temperatures, "final", "final", train=train)
    written = LIVE.save(weights, final, final.config, origin(FINAL_ACTORS))
    if "folds" in stages:
        for fold in OTHER_FOLDS:
            people = without(fold)
            network = _trained_as_chosen(context, recipe, face, temperatures, people, fold)
            LIVE.save(fold_weights(context, fold), network, network.config, origin(ACTORS[people]))
    return written


def _tell_lacking(stages: Sequence[str], lacking: Sequence[str]) -> None:
    made = ", ".join(stage for stage in STAGES if stage in stages)
    console.print(
        f"trained: {made}. Before weights can be written, {', '.join(lacking)} must be trained "
        "too: `train live` goes on with that"
    )


def fold_weights(context: RunContext, fold: str) -> Path:
    """Where the stage `folds` leaves the network that never heard the actors of `fold`."""
    return context.work_dir / f"{fold}.safetensors"


def _trained_as_chosen(
    context: RunContext,
    recipe: LiveRecipe,
    face: FaceClassifier,
    temperatures: tuple[float, float, float],
    people: str,
    name: str,
    *,
    train: bool = True,
) -> LiveNet:
    """Voice and fusion once more, from `people` and with all that validation people chose.

    Their stages are called `voice-NAME` and `fusion-NAME`; without `train` they are taken as they
    stand.
    """
    voice_stage, fusion_stage = f"{VOICE_STAGE}-{name}", f"fusion-{name}"
    if train:
        task = VoiceTask.chosen(context, people, voice_stage)
        train_voice(context, recipe.network.voice, recipe.voice, task)
    voice = take_voice(context, recipe, name, voice_stage)
    network = _branches_joined(context, recipe, face, voice)
    if train:
        training = _fusion_training(context, recipe, network, people)
        network.head = _new_head(recipe, face, voice)
        train_fusion(context, recipe.fusion, network, training, None, name=fusion_stage)
    _take_head(context, recipe, fusion_stage, network, name)
    learn_voice_means(context, network, people)
    return with_temperatures(network, temperatures)


def take_voice(context: RunContext, recipe: LiveRecipe, name: str, stage: str) -> VoiceClassifier:
    """The voice network that the stage called `name` trained in the folder `stage`."""
    if not (context.work_dir / stage / WEIGHTS).is_file():
        raise StageError(NOT_TRAINED.format(name))
    return load_voice(context, recipe.network.voice, stage).cpu()


def _branches_joined(
    context: RunContext, recipe: LiveRecipe, face: FaceClassifier, voice: VoiceClassifier
) -> LiveNet:
    """The live network with finished branches and a new head."""
    network = LiveNet(recipe.network).to(context.device)
    network.trunk.load_state_dict(face.trunk.state_dict())
    network.encoder.load_state_dict(voice.encoder.state_dict())
    network.ferplus_head.load_state_dict(face.head.state_dict())
    round_as_stored(network)  # so that the head learns on just the features that it will get
    return network


def _fusion_training(
    context: RunContext, recipe: LiveRecipe, network: LiveNet, people: str
) -> tuple[FaceFeatures, list[VoiceFeatures]]:
    return (
        face_features(context, network.trunk, "train", recipe.fusion, recipe.face.augmentation),
        training_voices(context, network.encoder, recipe.fusion, recipe.voice, people),
    )


def _new_head(recipe: LiveRecipe, face: FaceClassifier, voice: VoiceClassifier) -> FusionHead:
    seed_everything(recipe.seed)
    head = FusionHead(recipe.network)
    start_from_branches(head, face, voice, recipe.network)
    return head


def _take_head(
    context: RunContext, recipe: LiveRecipe, name: str, network: LiveNet, stage: str
) -> None:
    """Load the head in the folder `name`, of `stage`, which must have learned behind `network`'s
    branches.
    """
    take_stage(
        context, name, network.head, recipe.fusion.epochs, head_made_for(network), stage=stage
    )


Network = TypeVar("Network", bound=nn.Module)


def take_stage(
    context: RunContext,
    name: str,
    network: Network,
    epochs: int,
    made_of: str,
    *,
    stage: str | None = None,
) -> Network:
    """Load the best weights of the folder `name`, of `stage`, into `network`.

    `made_of` is what :func:`begin_stage` should have noted of the network then.

    Raises
    ------
    StageError
        It has not been trained, or not for all of its `epochs`, or as another network.
    DataError
        Its state is damaged, or of a network of other sizes.
    """
    path, stage = context.work_dir / name / "state.pt", stage or name
    if not path.is_file():
        raise StageError(NOT_TRAINED.format(stage))
    state = load_state(path)
    if state["epoch"] < epochs:
        raise StageError(
            f"the stage {stage} has been trained for {state['epoch']} of {epochs} epochs: "
            f"`train live --stage {stage}` goes on with it"
        )
    load_weights(network, state["best_weights"], path)
    noted = path.with_name(NETWORK)
    if not noted.is_file() or noted.read_text() != made_of:  # other settings, weights of that size
        raise StageError(
            f"the stage {stage} was trained with another [network] than the settings have now, or "
            f"behind another face or voice: run `train live --stage {stage}`, or give the settings "
            "that it was trained with"
        )
    return network.eval()


def start_from_branches(
    head: FusionHead, face: FaceClassifier, voice: VoiceClassifier, config: LiveNetConfig
) -> None:
    """Begin the head with what the branches' own classifiers know.

    Attention starts near even: each of N blocks is multiplied by about L + (1 - L) / N. Linear
    layers behind it are scaled up to make good for that.
    """
    gain_maps = replace(config.map_fusion, identity_start=True).gain
    gain_sequences = replace(config.sequence_fusion, identity_start=True).gain
    head.voice_sequence.load_state_dict(voice.sequence.state_dict())
    with torch.no_grad():
        for own, learned in (
            (head.voice_pool.score, voice.pool.score),
            (head.voice_head, voice.head),
        ):
            own.weight.copy_(learned.weight * gain_sequences)
            own.bias.copy_(learned.bias)
        rows = [FERPLUS_TO_EMOTION.index(emotion) for emotion in range(len(EMOTIONS))]
        weight, bias = face.head.weight[rows] * gain_maps, face.head.bias[rows]
        head.activation.load_state_dict({"weight": weight[:, :, None, None, None], "bias": bias})


def calibrated(
    network: LiveNet, validation: tuple[FaceFeatures, VoiceFeatures], device: torch.device
) -> LiveNet:
    """The same network with the temperatures that validation people ask for."""
    plain = with_temperatures(network, (1.0, 1.0, 1.0))
    said = answers(plain.head.to(device), *validation, plain.config, device)
    temperatures = [fit_temperature(*said[condition]) for condition in CONDITIONS]
    for condition, temperature in zip(CONDITIONS, temperatures, strict=True):
        logits, labels = said[condition]
        console.print(
            f"calibration, {condition}: temperature {temperature:.3f}, expected calibration error "
            f"{expected_calibration_error(logits, labels):.1%} → "
            f"{expected_calibration_error(logits / temperature, labels):.1%}"
        )
    both, face, voice = temperatures
    return with_temperatures(network, (both, face, voice))


def with_temperatures(network: LiveNet, temperatures: tuple[float, float, float]) -> LiveNet:
    """The same network with other temperatures."""
    result = LiveNet(replace(network.config, temperatures=temperatures))
    result.load_state_dict(network.state_dict())
    return result.eval()

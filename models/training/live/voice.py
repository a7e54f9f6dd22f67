"""Second stage: the voice branch learns emotion from RAVDESS, begun from Whisper tiny.en.

First the classifier learns on the frozen encoder's layers, computed once; from there everything is
fine-tuned, and the better of the two on validation actors is kept. Thread: the trainer's; any
device.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional

from models.arrays import FloatArray, IntArray
from models.config import VoiceEncoderConfig
from models.files import write_whole
from models.labels import EMOTIONS
from models.training.data import DataError, VoiceClip, voice_clips
from models.training.live.voice_settings import VoiceStageConfig
from models.training.live.voice_windows import VoiceEpoch, VoiceEvaluation, augmented_mels
from models.training.loop import (
    OTHER_NETWORK,
    RunContext,
    begin_stage,
    content_digest,
    cosine_schedule,
    fit,
    half_precision,
    load_state,
    load_weights,
    progress_bar,
    save_atomically,
    seed_everything,
)
from models.training.scores import accuracy, balanced_accuracy, recalls
from models.training.whisper import start_from_whisper
from models.voice import VoiceClassifier, VoiceEncoder

WEIGHTS: Final = "voice.safetensors"
"""The trained classifier inside the stage's folder."""

ENCODER: Final = "encoder"
"""What says in that file with which VoiceEncoderConfig it was trained."""

STAGE: Final = "voice"
WAYS: Final = ("frozen", "tuned")
"""How the encoder is treated; each way begins from the one before."""


@dataclass(frozen=True, slots=True, eq=False)
class VoiceTask:
    """Whom a voice network learns from, and who chooses its epoch."""

    clips: list[VoiceClip]
    validation: VoiceEvaluation | None  # None: everything has been chosen before
    stage: str  # folder of the states and results inside the work folder
    ways: tuple[str, ...] = WAYS  # the last one is kept, with validation the better one

    @classmethod
    def live(cls, data_root: Path, config: VoiceStageConfig) -> VoiceTask:
        """What the voice branch of the live network learns; DataError without the data."""
        return cls(
            clips=voice_clips(data_root, "train"),
            validation=VoiceEvaluation.of(
                voice_clips(data_root, "validation"), config.window_seconds
            ),
            stage=STAGE,
        )

    @property
    def source(self) -> tuple[str, str]:
        """Digests of the clips, those to learn from and those of validation."""
        return content_digest(*self.clips), self.validation.source if self.validation else ""

    @classmethod
    def chosen(cls, context: RunContext, people: str, stage: str) -> VoiceTask:
        """The same from other `people` (a key of ACTORS), the way that validation actors chose.

        Raises
        ------
        DataError
            The figures by which they chose are not there or damaged, or the clips are.
        """
        directory = context.stage_dir(STAGE)
        better = _better({way: _noted_figures(directory / f"{way}.json") for way in WAYS})
        return cls(
            clips=voice_clips(context.data_root, people),
            validation=None,
            stage=stage,
            ways=WAYS[: WAYS.index(better) + 1],
        )


def train_voice(
    context: RunContext,
    encoder: VoiceEncoderConfig | None = None,
    config: VoiceStageConfig | None = None,
    task: VoiceTask | None = None,
) -> tuple[VoiceClassifier, dict[str, float]]:
    """Train a voice network, by default the live one's branch; it and its best epoch's figures.

    Writes `frozen.json`, `tuned.json` (figures of both ways) and the better weights into the
    stage's folder. Killed and called again, it goes on after the last complete epoch; with other
    settings or clips it is begun again.
    """
    config = config or VoiceStageConfig()
    task = task or VoiceTask.live(context.data_root, config)
    seed_everything(context.seed)
    directory = context.stage_dir(task.stage)
    model = VoiceClassifier(encoder, dropout=config.dropout)
    if config.initial == "whisper":
        start_from_whisper(model.encoder, context.work_dir)
    model.to(context.device)

    trail = repr((config, model.encoder.config, context.seed, task.source, EMOTIONS, task.ways))
    made = [directory / WEIGHTS]
    if task.validation is not None:
        # What followed from the choice: without its weights nobody takes the old one for it.
        made += context.work_dir.glob(f"{task.stage}-*/{WEIGHTS}")
    figures: dict[str, dict[str, float]] = {}
    weights: dict[str, dict[str, Tensor]] = {}
    for way in task.ways:
        begin_stage(context, f"{task.stage}/{way}", trail, made)
        train = {"frozen": _train_frozen, "tuned": _train_tuned}[way]
        figures[way] = train(context, model, task, config)
        weights[way] = {name: value.clone() for name, value in model.state_dict().items()}
        write_whole(directory / f"{way}.json", json.dumps(figures[way], indent=2) + "\n")
    better = task.ways[-1] if task.validation is None else _better(figures)
    model.load_state_dict(weights[better])
    metadata = {ENCODER: repr(model.encoder.config)}
    write_whole(directory / WEIGHTS, save(weights[better], metadata))
    return model.eval(), figures[better]


def _noted_figures(path: Path) -> dict[str, float]:
    try:
        figures: dict[str, float] = json.loads(path.read_text())
        figures["balanced_accuracy"]
    except (OSError, ValueError, LookupError, TypeError):
        raise DataError(
            f"{path}, by which a way of training was chosen, cannot be read: "
            "run `train live --stage voice`"
        ) from None
    return figures


def _better(figures: dict[str, dict[str, float]]) -> str:
    return max(figures, key=lambda way: figures[way]["balanced_accuracy"])


def load_voice(
    context: RunContext, encoder: VoiceEncoderConfig | None = None, stage: str = STAGE
) -> VoiceClassifier:
    """Classifier that :func:`train_voice` left behind, in evaluation mode.

    Raises
    ------
    DataError
        Its weights are not there, damaged, or were trained with another encoder.
    """
    model, path = VoiceClassifier(encoder), context.stage_dir(stage) / WEIGHTS
    try:
        weights = load_file(path)
        with safe_open(path, "pt") as file:
            noted = (file.metadata() or {}).get(ENCODER)
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"{path} cannot be read ({error}): delete it, and training makes it again"
        ) from None
    load_weights(model, weights, path)
    if noted != repr(model.encoder.config):  # weights are the same however frames are averaged
        raise DataError(OTHER_NETWORK.format(path))
    return model.to(context.device).eval()


def voice_probabilities(model: nn.Module, mels: Tensor, device: torch.device) -> FloatArray:
    """Probabilities (n, 7) of log-mel windows (n, 80, frames)."""
    model.eval()
    with torch.inference_mode():
        parts = [
            model(part.to(device)).softmax(dim=1).cpu().numpy() for part in torch.split(mels, 32)
        ]
    return np.concatenate(parts)


def voice_scores(model: nn.Module, data: VoiceEvaluation, device: torch.device) -> dict[str, float]:
    """Accuracy over the classes, plain and balanced, and the recall of each."""
    return _scores(voice_probabilities(model, data.mels, device), data.labels)


def _scores(probabilities: FloatArray, labels: IntArray) -> dict[str, float]:
    said = probabilities.argmax(axis=1)
    return {
        "balanced_accuracy": balanced_accuracy(said, labels),
        "accuracy": accuracy(said, labels),
        **recalls(said, labels, EMOTIONS),
    }


def _train_frozen(
    context: RunContext, model: VoiceClassifier, task: VoiceTask, config: VoiceStageConfig
) -> dict[str, float]:
    """Train mix, projection and classifier on layer outputs that are computed once."""
    people = task.validation
    head = [value for name, value in model.named_parameters() if not _in_whisper(name)]
    states = _FrozenStates(context, model, task, config)
    steps = math.ceil(len(task.clips) * config.frozen_variants / (2 * config.batch_size))
    optimizer = torch.optim.AdamW(
        head, lr=config.frozen_learning_rate, weight_decay=config.weight_decay
    )
    class_weights = _class_weights(task).to(context.device)

    def batches(epoch: int) -> list[Tensor]:
        generator = torch.Generator().manual_seed(context.seed * 1000 + epoch)
        order = torch.randperm(len(states.train_labels), generator=generator)
        return list(torch.split(order, 2 * config.batch_size))

    def logits(network: VoiceClassifier, layers: list[Tensor]) -> Tensor:
        moved = [layer.to(context.device).float() for layer in layers]
        return network.classify(network.encoder.combine(moved))

    def loss(network: nn.Module, rows: Tensor) -> Tensor:
        assert isinstance(network, VoiceClassifier)
        return functional.cross_entropy(
            logits(network, [layer[rows] for layer in states.train]).float(),
            states.train_labels[rows].to(context.device),
            weight=class_weights,
            label_smoothing=config.label_smoothing,
        )

    def validate(network: nn.Module, labels: IntArray) -> dict[str, float]:
        assert isinstance(network, VoiceClassifier)
        parts = [
            logits(network, list(layers)).softmax(1).cpu()
            for layers in zip(*(torch.split(layer, 32) for layer in states.validation), strict=True)
        ]
        return _scores(torch.cat(parts).numpy(), labels)

    figures = fit(
        name=f"{task.stage}/frozen",
        context=context,
        model=model,
        optimizer=optimizer,
        scheduler=cosine_schedule(optimizer, steps, steps * config.frozen_epochs),
        epochs=config.frozen_epochs,
        batches=batches,
        loss=loss,
        validate=partial(validate, labels=people.labels) if people else None,
        score="balanced_accuracy",
        ema_decay=0.98,
    )
    states.forget()
    return figures


def _train_tuned(
    context: RunContext, model: VoiceClassifier, task: VoiceTask, config: VoiceStageConfig
) -> dict[str, float]:
    """Train everything, the layers near the sound more slowly."""
    people = task.validation
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameter_groups(model, config), weight_decay=0.0)
    steps = math.ceil(len(task.clips) / config.batch_size)
    class_weights = _class_weights(task).to(context.device)

    def loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        mels, targets = (part.to(context.device) for part in batch)
        return functional.cross_entropy(
            network(mels).float(),
            targets,
            weight=class_weights,
            label_smoothing=config.label_smoothing,
        )

    return fit(
        name=f"{task.stage}/tuned",
        context=context,
        model=model,
        optimizer=optimizer,
        scheduler=cosine_schedule(
            optimizer, round(config.warm_up_epochs * steps), steps * config.epochs
        ),
        epochs=config.epochs,
        batches=lambda epoch: VoiceEpoch(task.clips, config, (context.seed, epoch)),
        loss=loss,
        validate=partial(voice_scores, data=people, device=context.device) if people else None,
        score="balanced_accuracy",
        ema_decay=0.99,
        autocast=True,
    )


class _FrozenStates:
    """Layer outputs of the frozen encoder, computed at first use and kept on disk as float16.

    They lie in the stage's folder, a gigabyte, until the head has been trained.
    """

    def __init__(
        self,
        context: RunContext,
        model: VoiceClassifier,
        task: VoiceTask,
        config: VoiceStageConfig,
    ) -> None:
        self._context, self._model, self._task, self._config = context, model, task, config
        labels = torch.tensor([clip.label for clip in task.clips])
        self.train_labels = labels.repeat(config.frozen_variants)

    @cached_property
    def train(self) -> list[Tensor]:
        """Per layer (variants · clips, T, W)."""
        return self._cached("train", self._train_mels)

    @cached_property
    def validation(self) -> list[Tensor]:
        """Per layer (n, T, W)."""
        people = self._task.validation
        assert people is not None
        return self._cached("validation", lambda: torch.split(people.mels, 16))

    def forget(self) -> None:
        """Remove them from disk."""
        for name in ("train", "validation"):
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._context.stage_dir(f"{self._task.stage}/frozen") / f"{name}.pt"

    def _train_mels(self) -> Iterator[Tensor]:
        config, rng = self._config, np.random.default_rng(self._context.seed)
        clips = self._task.clips
        for _ in range(config.frozen_variants):
            for first in range(0, len(clips), 16):
                part = clips[first : first + 16]
                mels = augmented_mels(part, clips, config.window_seconds, config, rng)
                yield torch.from_numpy(mels)

    def _cached(
        self, name: str, mels: Callable[[], Iterator[Tensor] | tuple[Tensor, ...]]
    ) -> list[Tensor]:
        path = self._path(name)
        with suppress(DataError):  # not there, or damaged
            return load_state(path, mmap=True)  # type: ignore[no-any-return]
        parts = []
        self._model.eval()
        with (
            torch.inference_mode(),
            half_precision(self._context.device),
            progress_bar() as progress,
        ):
            bar = progress.add_task(f"voice: layers of {name} clips", total=None, note="")
            for mel in mels():
                layers = self._model.encoder.hidden_states(mel.to(self._context.device))
                parts.append([layer.half().cpu() for layer in layers])
                progress.update(bar, advance=len(mel))
        save_atomically([torch.cat(layer) for layer in zip(*parts, strict=True)], path)
        self._model.train()
        return load_state(path, mmap=True)  # type: ignore[no-any-return]


def _in_whisper(name: str) -> bool:
    """Whether a parameter of the classifier stays as Whisper has it while the head is trained."""
    return name.startswith(("encoder.conv", "encoder.positions", "encoder.layers."))


class TuningRates(Protocol):
    """Settings of :func:`parameter_groups`; see VoiceStageConfig."""

    @property
    def encoder_learning_rate(self) -> float: ...
    @property
    def layer_decay(self) -> float: ...
    @property
    def head_learning_rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...


def parameter_groups(model: nn.Module, config: TuningRates) -> list[dict[str, object]]:
    """Learning rate by depth of `model.encoder`'s layers; weight decay on matrices only."""
    assert isinstance(model.encoder, VoiceEncoder)
    layers = model.encoder.config.layers
    groups: dict[tuple[float, bool], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if name.startswith("encoder.layers."):
            depth = layers - 1 - int(name.split(".")[2])
        else:
            depth = layers
        rate = config.encoder_learning_rate * config.layer_decay**depth
        if not _in_whisper(name):
            rate = config.head_learning_rate
        decayed = parameter.dim() > 1 and name != "encoder.positions"
        groups.setdefault((rate, decayed), []).append(parameter)
    return [
        {"params": values, "lr": rate, "weight_decay": config.weight_decay if decayed else 0.0}
        for (rate, decayed), values in groups.items()
    ]


def _class_weights(task: VoiceTask) -> Tensor:
    """(classes,) inverse frequency, 1 on average over the clips."""
    counts = np.bincount([clip.label for clip in task.clips], minlength=len(EMOTIONS))
    return torch.from_numpy(len(task.clips) / (len(counts) * np.maximum(counts, 1))).float()

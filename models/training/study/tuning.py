"""Fine-tunes Whisper tiny.en's encoder on the emotion in RAVDESS voices, once per published fold.

An encoder learns from the fold's training actors without those who validate: they choose the epoch,
and later the fusion's settings, on features that have not seen them. The study's voice branch is
trained on the frozen encoder's statistics first, and only then all of it, at a low rate and on
speech that is augmented anew in every pass: beginning with an untrained head would bend good
features out of shape (Kumar et al. 2022, arXiv 2202.10054). What the study reads are the same
statistics as of the frozen encoder. Thread: the study's; any device. Shapes: B batch, K classes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from models.config import VoiceEncoderConfig
from models.labels import RAVDESS_EMOTIONS
from models.mel import log_mel
from models.training.augment_audio import Samples, augment_audio
from models.training.data import DataError
from models.training.live.voice import parameter_groups
from models.training.live.voice_settings import VoiceStageConfig
from models.training.loop import (
    RunContext,
    cosine_schedule,
    fit,
    load_state,
    save_atomically,
    seed_everything,
)
from models.training.study.networks import Branch, FusedNetwork, Fusion
from models.training.study.ravdess import (
    HOP,
    MAX_FRAMES,
    VIEW,
    Clips,
    encode,
    heard,
    speech,
    statistics,
    views,
)
from models.training.study.task import Fold, Rows
from models.training.study.training import mixup_loss
from models.training.whisper import start_from_whisper
from models.voice import VoiceEncoder

VIEWS: Final = 4
"""Of the tuned encoder's."""

_EPSILON: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningConfig:
    """How one fold's encoder is trained; what is not named here is as in the voice stage."""

    voice: VoiceStageConfig = field(
        default_factory=lambda: VoiceStageConfig(
            frozen_epochs=40,
            frozen_learning_rate=4e-3,
            epochs=5,
            encoder_learning_rate=5e-5,
            head_learning_rate=2e-4,
        )
    )
    frozen_batch_size: int = 128
    mixup: float = 0.4  # parameter of the beta distribution
    shortest: float = 0.75  # part of a clip's speech that training hears at least


class TunedVoice(nn.Module):
    """Encoder and the study's own voice branch behind it; log-mel (B, 80, N) → logits (B, K)."""

    mean: Tensor
    scale: Tensor

    def __init__(self, encoder: VoiceEncoder, branch: Branch, known: Tensor) -> None:
        """`known` (n, 3072): statistics of the frozen encoder on training people."""
        super().__init__()
        self.encoder = encoder
        self.network = FusedNetwork([branch], Fusion(), len(RAVDESS_EMOTIONS))
        self.register_buffer("mean", known.mean(dim=0))
        self.register_buffer("scale", known.std(dim=0) + _EPSILON)

    def classify(self, values: Tensor) -> Tensor:
        """Statistics (B, 3072) → logits (B, K)."""
        standard = (values - self.mean) / self.scale
        return self.network([standard.clamp(-5.0, 5.0)])  # type: ignore[no-any-return]


def tuned_statistics(
    context: RunContext, clips: Clips, fold: Fold, branch: Branch, frozen: Tensor
) -> Tensor:
    """Statistics (VIEWS, n, 3072) of the encoder tuned for `fold`, trained at first use.

    `frozen` are those of the encoder as it comes; `branch` is trained with it and thrown away.
    """
    config = TuningConfig()
    path = context.stage_dir(stage(config, fold, branch)) / "statistics.pt"
    with suppress(DataError):  # not there, or damaged
        return load_state(path)  # type: ignore[no-any-return]
    encoder = Tuner(context, clips, fold, branch, frozen, config).run().encoder
    every = [encode(encoder, view, context) for view in views(context.data_root, VIEWS)]
    made = torch.from_numpy(np.stack(every))
    save_atomically(made, path)
    return made


def tuning_seconds(context: RunContext, clips: Clips, branch: Branch) -> float:
    """How long the encoders of all folds were trained, by their logs."""
    folders = [context.work_dir / stage(TuningConfig(), fold, branch) for fold in clips.folds]
    logs = [log for folder in folders for log in folder.glob("*/log.jsonl")]
    lines = [line for log in logs for line in log.read_text().splitlines()]
    return float(sum(json.loads(line)["seconds"] for line in lines))


def stage(config: TuningConfig, fold: Fold, branch: Branch) -> str:
    """Folder of a fold's encoder, another one for other settings, people or layout."""
    people = [rows.tolist() for rows in fold.inner[0]]
    trail = repr((made_with(config), people, str(branch)))
    return f"tuned-{hashlib.sha256(trail.encode()).hexdigest()[:8]}/{fold.name}"


def made_with(config: TuningConfig) -> str:
    """Settings of an encoder and of its statistics; it begins with those of the frozen one."""
    return repr((config, heard(), heard(VIEWS)))


class Tuner:
    """Trains one fold's encoder; killed and called again, it goes on after the last epoch."""

    def __init__(
        self,
        context: RunContext,
        clips: Clips,
        fold: Fold,
        branch: Branch,
        frozen: Tensor,
        config: TuningConfig,
    ) -> None:
        self._context, self._config = context, config
        self._stage = stage(config, fold, branch)
        self._rows, self._validation = fold.inner[0]
        self._frozen = frozen
        self._speech = speech(context.data_root)
        self._labels = torch.from_numpy(clips.labels).to(context.device)
        seed_everything(context.seed)
        encoder = VoiceEncoder(VoiceEncoderConfig(max_frames=MAX_FRAMES))
        start_from_whisper(encoder, context.work_dir)
        self._model = TunedVoice(encoder, branch, frozen[0, self._rows]).to(context.device)

    def run(self) -> TunedVoice:
        """The branch on the frozen encoder, then both together."""
        self._train_frozen()
        self._train_tuned()
        return self._model

    def _train_frozen(self) -> None:
        config, size = self._config.voice, self._config.frozen_batch_size
        steps = math.ceil(len(self._rows) / size)
        optimizer = torch.optim.AdamW(
            self._model.network.parameters(),
            lr=config.frozen_learning_rate,
            weight_decay=config.weight_decay,
        )

        def batches(epoch: int) -> list[tuple[Rows, Rows]]:
            rng = np.random.default_rng((self._context.seed, epoch))
            parts = np.array_split(rng.permutation(self._rows), steps)
            return [(rng.integers(len(self._frozen), size=len(part)), part) for part in parts]

        def loss(_network: nn.Module, batch: tuple[Rows, Rows]) -> Tensor:
            return self._loss(self._frozen[batch].to(self._context.device), batch[1])

        fit(
            name=f"{self._stage}/frozen",
            context=self._context,
            model=self._model,
            optimizer=optimizer,
            scheduler=cosine_schedule(optimizer, 2 * steps, steps * config.frozen_epochs),
            epochs=config.frozen_epochs,
            batches=batches,
            loss=loss,
            validate=lambda network: self._scores(network, self._frozen[0, self._validation]),
            score="accuracy",
            ema_decay=0.98,
        )

    def _train_tuned(self) -> None:
        config = self._config.voice
        steps = math.ceil(len(self._rows) / config.batch_size)
        optimizer = torch.optim.AdamW(parameter_groups(self._model, config), weight_decay=0.0)
        heard = [self._speech[row] for row in self._validation]

        def loss(_network: nn.Module, batch: tuple[Tensor, Rows]) -> Tensor:
            mel = batch[0].to(self._context.device)
            return self._loss(statistics(self._model.encoder, mel), batch[1])

        def validate(network: nn.Module) -> dict[str, float]:
            assert isinstance(network, TunedVoice)
            values = torch.from_numpy(encode(network.encoder, heard, self._context))
            return self._scores(network, values)

        fit(
            name=f"{self._stage}/tuned",
            context=self._context,
            model=self._model,
            optimizer=optimizer,
            scheduler=cosine_schedule(optimizer, steps, steps * config.epochs),
            epochs=config.epochs,
            batches=lambda epoch: list(self._batches(epoch)),
            loss=loss,
            validate=validate,
            score="accuracy",
            ema_decay=0.98,
            autocast=True,
        )

    def _batches(self, epoch: int) -> Iterator[tuple[Tensor, Rows]]:
        """Augmented log-mels, clips of about the same length together, cut to the shortest."""
        rng = np.random.default_rng((self._context.seed, epoch))
        parts: list[tuple[Samples, int]] = []
        for row in self._rows:
            samples = augment_audio(self._speech[row], rng, config=VIEW)
            count = round(len(samples) * rng.uniform(self._config.shortest, 1.0))
            first = rng.integers(len(samples) - count + 1)
            parts.append((samples[first : first + count], int(row)))
        parts.sort(key=lambda part: len(part[0]))
        count = math.ceil(len(parts) / self._config.voice.batch_size)
        groups = np.array_split(np.arange(len(parts)), count)
        for index in rng.permutation(count):
            group = [parts[place] for place in groups[index]]
            length = min(len(group[0][0]) // HOP * HOP, HOP * MAX_FRAMES)
            mels = log_mel(np.stack([samples[:length] for samples, _ in group]))
            yield torch.from_numpy(mels), np.array([row for _, row in group])

    def _loss(self, values: Tensor, rows: Rows) -> Tensor:
        """Cross-entropy of statistics of pairs of clips, blended (mixup)."""
        targets, mixup = self._labels[rows], self._config.mixup
        share = float(torch.distributions.Beta(mixup, mixup).sample())
        other = torch.randperm(len(rows), device=values.device)
        logits = self._model.classify(share * values + (1.0 - share) * values[other]).float()
        smoothing = self._config.voice.label_smoothing
        return mixup_loss(logits, targets, targets[other], share, smoothing)

    def _scores(self, network: nn.Module, values: Tensor) -> dict[str, float]:
        assert isinstance(network, TunedVoice)
        said = network.classify(values.to(self._context.device)).argmax(dim=1)
        return {"accuracy": float((said == self._labels[self._validation]).float().mean())}

"""Fine-tunes Whisper tiny.en's encoder on the emotion in RAVDESS voices, for given people.

Its own passes are not chosen: all of them are trained. The study's voice branch learns on the
frozen encoder's statistics first, and only then all of it does, at a low rate: beginning with an
untrained head would bend good features out of shape (Kumar et al. 2022, arXiv 2202.10054). What the
study reads are the same statistics as of the frozen encoder, cross-fitted. Thread: the study's; any
device. Shapes: B batch, K classes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from models.labels import RAVDESS_EMOTIONS
from models.mel import HOP as MEL_HOP
from models.mel import SAMPLE_RATE, log_mel
from models.training.augment_audio import random_window
from models.training.data import DataError
from models.training.live.voice import parameter_groups
from models.training.loop import (
    RunContext,
    cosine_schedule,
    fit,
    load_state,
    save_atomically,
    seed_everything,
)
from models.training.study.networks import Branch, FusedNetwork, Fusion, layout
from models.training.study.ravdess import (
    WINDOW,
    Clips,
    Recordings,
    heard,
    recordings,
    statistics,
    whisper,
    whisper_statistics,
    window_statistics,
)
from models.training.study.task import Rows
from models.training.study.training import mixup_loss
from models.voice import VoiceEncoder

_EPSILON: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningConfig:
    """How an encoder is trained."""

    label_smoothing: float = 0.1
    weight_decay: float = 0.05
    mixup: float = 0.3  # parameter of the beta distribution
    # The branch on the frozen encoder's statistics,
    frozen_epochs: int = 40
    frozen_batch_size: int = 128
    frozen_learning_rate: float = 4e-3
    frozen_warm_up_epochs: int = 2
    frozen_ema_decay: float = 0.98
    # … and then both together, on windows of sound.
    epochs: int = 16
    batch_size: int = 16
    encoder_learning_rate: float = 1e-4  # of the last layer
    layer_decay: float = 0.75  # of the learning rate, from each layer to the one below
    head_learning_rate: float = 5e-4
    warm_up_epochs: int = 1
    ema_decay: float = 0.99
    shortest_seconds: float = 1.5  # of the shorter windows that some batches hold
    short_batches: float = 0.5  # part of the batches with shorter windows


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
    context: RunContext, clips: Clips, rows: Rows, branch: Callable[[], Branch]
) -> Tensor:
    """`window_statistics` of the encoder tuned on the clips `rows`, trained at first use.

    A `branch` is trained with it and thrown away.
    """
    config = TuningConfig()
    folder = context.stage_dir(stage(context, config, clips, rows, branch))
    path = folder / "statistics.pt"
    with suppress(DataError):  # not there, or damaged
        return load_state(path)  # type: ignore[no-any-return]
    spoken = recordings(context)
    encoder = Tuner(context, clips, rows, branch, spoken, config).run().encoder
    made = window_statistics(context, encoder, spoken).half()
    save_atomically(made, path)
    for state in folder.glob("*/state.pt"):  # nobody goes on from there
        state.unlink()
    return made


def tuning_seconds(
    context: RunContext, clips: Clips, people: Iterable[Rows], branch: Callable[[], Branch]
) -> dict[str, float]:
    """How long the encoders tuned on these people were trained, by device, each counted once."""
    config = TuningConfig()
    stages = dict.fromkeys(stage(context, config, clips, rows, branch) for rows in people)
    logs = [log for name in stages for log in (context.work_dir / name).glob("*/log.jsonl")]
    seconds: dict[str, float] = {}
    for epoch in (json.loads(line) for log in logs for line in log.read_text().splitlines()):
        device = epoch.get("device", "")
        seconds[device] = seconds.get(device, 0.0) + epoch["seconds"]
    return seconds


def stage(
    context: RunContext,
    config: TuningConfig,
    clips: Clips,
    rows: Rows,
    branch: Callable[[], Branch],
) -> str:
    """Folder of one encoder, another one for other settings, seed, people or layout."""
    people = [(clips.names[row], int(clips.labels[row])) for row in rows]
    learned = (clips.names, clips.sound, people)
    trail = repr((made_with(config), context.seed, *learned, layout(branch())))
    return f"tuned/{hashlib.sha256(trail.encode()).hexdigest()[:8]}"


def made_with(config: TuningConfig) -> str:
    """Settings of an encoder and of its statistics."""
    return repr((config, heard()))


class Tuner:
    """Trains one encoder; killed and called again, it goes on after the last epoch."""

    def __init__(
        self,
        context: RunContext,
        clips: Clips,
        rows: Rows,
        branch: Callable[[], Branch],
        spoken: Recordings,
        config: TuningConfig,
    ) -> None:
        self._context, self._config = context, config
        self._stage = stage(context, config, clips, rows, branch)
        self._rows, self._spoken = rows, spoken
        self._frozen = whisper_statistics(context)
        self._labels = torch.from_numpy(clips.labels).to(context.device)
        seed_everything(context.seed)
        known = self._frozen[0, rows]
        self._model = TunedVoice(whisper(context), branch(), known).to(context.device)

    def run(self) -> TunedVoice:
        """The branch on the frozen encoder, then both together."""
        self._train_frozen()
        self._train_tuned()
        return self._model

    def _train_frozen(self) -> None:
        config, network = self._config, self._model.network
        steps = math.ceil(len(self._rows) / config.frozen_batch_size)
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=config.frozen_learning_rate, weight_decay=config.weight_decay
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
            model=network,
            optimizer=optimizer,
            scheduler=cosine_schedule(
                optimizer, steps * config.frozen_warm_up_epochs, steps * config.frozen_epochs
            ),
            epochs=config.frozen_epochs,
            batches=batches,
            loss=loss,
            validate=None,
            ema_decay=config.frozen_ema_decay,
        )

    def _train_tuned(self) -> None:
        config = self._config
        steps = math.ceil(len(self._rows) / config.batch_size)
        optimizer = torch.optim.AdamW(parameter_groups(self._model, config), weight_decay=0.0)

        def loss(_network: nn.Module, batch: tuple[Tensor, Rows]) -> Tensor:
            mel = batch[0].to(self._context.device)
            return self._loss(statistics(self._model.encoder, mel), batch[1])

        fit(
            name=f"{self._stage}/tuned",
            context=self._context,
            model=self._model,
            optimizer=optimizer,
            scheduler=cosine_schedule(
                optimizer, steps * config.warm_up_epochs, steps * config.epochs
            ),
            epochs=config.epochs,
            batches=self._batches,
            loss=loss,
            validate=None,
            ema_decay=config.ema_decay,
            autocast=True,
        )

    def _batches(self, epoch: int) -> Iterator[tuple[Tensor, Rows]]:
        """Windows anywhere in a recording's speech, as a sliding window meets it; some shorter."""
        config = self._config
        rng = np.random.default_rng((self._context.seed, epoch))
        groups = math.ceil(len(self._rows) / config.batch_size)
        for rows in np.array_split(rng.permutation(self._rows), groups):
            count = WINDOW
            if rng.random() < config.short_batches:
                seconds = rng.uniform(config.shortest_seconds, WINDOW / SAMPLE_RATE)
                count = round(seconds * SAMPLE_RATE / MEL_HOP) * MEL_HOP
            heard = [
                self._spoken.samples_of(int(rng.integers(1, len(self._spoken.ends))), row)
                for row in rows
            ]
            mels = log_mel(np.stack([random_window(each, count, rng) for each in heard]))
            yield torch.from_numpy(mels), rows

    def _loss(self, values: Tensor, rows: Rows) -> Tensor:
        """Cross-entropy of statistics of pairs of clips, blended (mixup)."""
        targets, mixup = self._labels[rows], self._config.mixup
        share = float(torch.distributions.Beta(mixup, mixup).sample())
        other = torch.randperm(len(rows), device=values.device)
        logits = self._model.classify(share * values + (1.0 - share) * values[other]).float()
        return mixup_loss(logits, targets, targets[other], share, self._config.label_smoothing)

"""Fine-tunes the upper half of Whisper tiny.en's encoder on the emotion in RAVDESS voices.

One encoder per published fold. It learns from the fold's training actors without those who validate
(they choose the epoch, and later the fusion's settings on features that have not seen them), and
from what the frozen lower half makes of every view of a clip, computed once: half the work of
fine-tuning it all. What the study's branches read are the same statistics as of the frozen
encoder. Thread: the study's; any device. Shapes: B batch, T frames, W width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.config import VoiceEncoderConfig
from models.mel import log_mel
from models.training.loop import (
    RunContext,
    fit,
    half_precision,
    progress_bar,
    save_atomically,
    seed_everything,
)
from models.training.study.networks import Branch, FusedNetwork, Fusion
from models.training.study.ravdess import CLASSES, MAX_FRAMES, Clips, views
from models.training.study.task import Fold, Rows
from models.training.whisper import start_from_whisper
from models.voice import VoiceEncoder

FROZEN_LAYERS: Final = 2
VIEWS: Final = 4  # of the frozen encoder's
_EPSILON: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningConfig:
    """How the upper half is trained."""

    epochs: int = 8
    batch_size: int = 16
    learning_rate: float = 1.5e-4  # of the last layer
    layer_decay: float = 0.75
    head_learning_rate: float = 2e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    mixup: float = 0.4
    shortest: float = 0.75  # part of a clip's frames that training sees at least
    ema_decay: float = 0.98


class UpperEncoder(nn.Module):
    """The layers that are tuned and the norms of all; frames of the frozen half → statistics."""

    def __init__(self, encoder: VoiceEncoder) -> None:
        super().__init__()
        self.layers = nn.ModuleList(encoder.layers[FROZEN_LAYERS:])
        self.norms = encoder.norms

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Outputs of both frozen layers, (B, T, W) each → (B, 8 · W), as ravdess.encode has it."""
        states, x = [first, second], second
        for layer in self.layers:
            x = layer(x)
            states.append(x)
        normed = [norm(each.float()) for norm, each in zip(self.norms, states, strict=True)]
        stacked = torch.stack(normed, dim=1)
        return torch.cat([stacked.mean(dim=2), stacked.std(dim=2)], dim=2).flatten(1)


class TunedVoice(nn.Module):
    """Upper half and the study's own voice branch behind it."""

    mean: Tensor
    scale: Tensor

    def __init__(self, encoder: VoiceEncoder, branch: Branch, mean: Tensor, scale: Tensor) -> None:
        """`mean` and `scale` standardise statistics: the frozen encoder's on training people."""
        super().__init__()
        self.upper = UpperEncoder(encoder)
        self.network = FusedNetwork([branch], Fusion(), len(CLASSES))
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def classify(self, statistics: Tensor) -> Tensor:
        """Statistics (B, 3072) → logits (B, K)."""
        standard = (statistics - self.mean) / self.scale
        return self.network([standard.clamp(-5.0, 5.0)])  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, eq=False)
class LowerFrames:
    """What the frozen half makes of every view of every clip; clips one after another."""

    frames: NDArray[np.float16]  # (sum of T, 2, W)
    starts: NDArray[np.int64]  # (VIEWS, n)
    lengths: NDArray[np.int64]  # (VIEWS, n)

    @classmethod
    def load(cls, context: RunContext) -> LowerFrames:
        """From their files in the work folder, made at first use."""
        folder = context.stage_dir("features")
        frames, lengths = folder / "lower.npy", folder / "lower_lengths.npy"
        if not lengths.is_file():
            _write_lower_frames(context, frames, lengths)
        count = np.load(lengths)
        starts = np.cumsum(count.ravel()).reshape(count.shape) - count
        return cls(np.load(frames, mmap_mode="r"), starts, count)

    def batch(self, view: NDArray[np.int64], rows: Rows, length: int, first: Rows) -> Tensor:
        """`length` frames of clips from frame `first` of each on, (B, length, 2, W)."""
        starts = self.starts[view, rows] + first
        parts = [self.frames[start : start + length] for start in starts]
        return torch.from_numpy(np.stack(parts))


def tuned_statistics(
    context: RunContext, clips: Clips, fold: Fold, branch: Branch, frozen: Tensor
) -> Tensor:
    """Statistics (VIEWS, n, 3072) of the encoder tuned for `fold`, trained at first use.

    `frozen` are those of the encoder as it comes, `branch` is trained with it and thrown away.
    """
    path = context.stage_dir(f"tuned/{fold.name}") / "statistics.pt"
    if not path.is_file():
        lower = LowerFrames.load(context)
        network = tune(context, clips, fold, branch, frozen, lower, TuningConfig())
        save_atomically(_statistics(network.upper, lower, context.device), path)
    kept: Tensor = torch.load(path, weights_only=True)
    return kept


def tune(
    context: RunContext,
    clips: Clips,
    fold: Fold,
    branch: Branch,
    frozen: Tensor,
    lower: LowerFrames,
    config: TuningConfig,
) -> TunedVoice:
    """Train one fold's encoder; killed and called again, it goes on after the last epoch."""
    rows, validation = fold.inner[0]
    seed_everything(context.seed)
    encoder = VoiceEncoder(VoiceEncoderConfig(max_frames=MAX_FRAMES))
    start_from_whisper(encoder, context.work_dir)
    known = frozen[0, rows]
    model = TunedVoice(encoder, branch, known.mean(dim=0), known.std(dim=0) + _EPSILON)
    model.to(context.device)
    labels = torch.from_numpy(clips.labels).to(context.device)
    steps = math.ceil(len(rows) / config.batch_size)

    def batches(epoch: int) -> list[tuple[Tensor, Rows]]:
        rng = np.random.default_rng((context.seed, epoch))
        return list(_batches(lower, rows, config, rng))

    def loss(network: nn.Module, batch: tuple[Tensor, Rows]) -> Tensor:
        assert isinstance(network, TunedVoice)
        frames, members = batch
        first, second = frames.to(context.device, torch.float32).unbind(dim=2)
        statistics = network.upper(first, second)
        share = float(torch.distributions.Beta(config.mixup, config.mixup).sample())
        other = torch.randperm(len(members), device=statistics.device)
        logits = network.classify(share * statistics + (1.0 - share) * statistics[other]).float()
        targets, smoothing = labels[members], config.label_smoothing
        return share * functional.cross_entropy(logits, targets, label_smoothing=smoothing) + (
            1.0 - share
        ) * functional.cross_entropy(logits, targets[other], label_smoothing=smoothing)

    def validate(network: nn.Module) -> dict[str, float]:
        assert isinstance(network, TunedVoice)
        statistics = _of_rows(network.upper, lower, 0, validation, context.device)
        right = network.classify(statistics.to(context.device)).argmax(dim=1) == labels[validation]
        return {"accuracy": float(right.float().mean())}

    optimizer = torch.optim.AdamW(_groups(model, config))
    warm_up, total = steps, steps * config.epochs

    def schedule(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 + 0.5 * math.cos(math.pi * (step - warm_up) / max(1, total - warm_up))

    fit(
        name=f"tuned/{fold.name}",
        context=context,
        model=model,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.LambdaLR(optimizer, schedule),
        epochs=config.epochs,
        batches=batches,
        loss=loss,
        validate=validate,
        score="accuracy",
        ema_decay=config.ema_decay,
        autocast=True,
    )
    return model


def _batches(
    lower: LowerFrames, rows: Rows, config: TuningConfig, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Rows]]:
    """A random view of every clip; clips of about the same length together, cut to the shortest."""
    view = rng.integers(len(lower.lengths), size=len(rows))
    length = lower.lengths[view, rows] * rng.uniform(config.shortest, 1.0, len(rows))
    order = np.argsort(length)
    parts = np.array_split(order, math.ceil(len(rows) / config.batch_size))
    for index in rng.permutation(len(parts)):
        part = parts[index]
        least = max(2, int(length[part[0]]))
        room = lower.lengths[view[part], rows[part]] - least
        first = rng.integers(room + 1)
        yield lower.batch(view[part], rows[part], least, first), rows[part]


def _groups(model: TunedVoice, config: TuningConfig) -> list[dict[str, object]]:
    layers = list(model.upper.layers)
    groups: list[dict[str, object]] = []
    for depth, layer in enumerate(reversed(layers)):
        rate = config.learning_rate * config.layer_decay**depth
        groups += _decayed(layer, rate, config.weight_decay)
    groups += _decayed(model.upper.norms, config.learning_rate, config.weight_decay)
    return groups + _decayed(model.network, config.head_learning_rate, config.weight_decay)


def _decayed(module: nn.Module, rate: float, decay: float) -> list[dict[str, object]]:
    every = [each for each in module.parameters() if each.requires_grad]
    return [
        {"params": [each for each in every if each.dim() > 1], "lr": rate, "weight_decay": decay},
        {"params": [each for each in every if each.dim() < 2], "lr": rate, "weight_decay": 0.0},
    ]


def _statistics(upper: UpperEncoder, lower: LowerFrames, device: torch.device) -> Tensor:
    every = np.arange(lower.lengths.shape[1])
    with torch.inference_mode():
        return torch.stack(
            [_of_rows(upper, lower, view, every, device) for view in range(len(lower.lengths))]
        )


def _of_rows(
    upper: UpperEncoder, lower: LowerFrames, view: int, rows: Rows, device: torch.device
) -> Tensor:
    """Statistics of whole clips (rows, 3072); clips of the same length go together."""
    result = torch.zeros(len(rows), 8 * lower.frames.shape[2])
    lengths = lower.lengths[view, rows]
    for length in np.unique(lengths):
        where = np.flatnonzero(lengths == length)
        views_of = np.full(len(where), view)
        frames = lower.batch(views_of, rows[where], int(length), np.zeros_like(where))
        first, second = frames.to(device, torch.float32).unbind(dim=2)
        with half_precision(device):
            result[where] = upper(first, second).float().cpu()
    return result


def _write_lower_frames(context: RunContext, frames: Path, lengths: Path) -> None:
    encoder = VoiceEncoder(VoiceEncoderConfig(max_frames=MAX_FRAMES))
    start_from_whisper(encoder, context.work_dir)
    del encoder.layers[FROZEN_LAYERS:]
    encoder.to(context.device).eval()
    spoken = views(context.data_root, VIEWS)
    counts = [[min(len(each) // 320, MAX_FRAMES) for each in view] for view in spoken]
    partial = frames.with_suffix(".partial.npy")
    shape = (int(np.sum(counts)), FROZEN_LAYERS, encoder.config.width)
    kept = np.lib.format.open_memmap(  # type: ignore[no-untyped-call]
        partial, mode="w+", dtype=np.float16, shape=shape
    )
    start = 0
    with torch.inference_mode(), half_precision(context.device), progress_bar() as progress:
        bar = progress.add_task("voice: frozen half of the encoder", total=len(kept), note="")
        for view in spoken:
            for samples in view:
                count = min(len(samples) // 320, MAX_FRAMES)
                mel = torch.from_numpy(log_mel(samples[: 320 * count]))[None].to(context.device)
                states = encoder.hidden_states(mel)
                kept[start : start + count] = torch.cat(states).transpose(0, 1).cpu().numpy()
                start += count
                progress.update(bar, advance=count)
    kept.flush()
    partial.replace(frames)
    np.save(lengths, np.array(counts))

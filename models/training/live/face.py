"""First stage: the face trunk learns the eight classes of FER+ from the annotators' votes.

Starts from a network that knows faces; the first epochs run at a lower resolution, where they cost
less than half. Thread: the trainer's; any device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from models.arrays import FloatArray
from models.config import FaceTrunkConfig, check_positive, check_range
from models.face import FaceClassifier
from models.training.data import FerPlus, load_ferplus
from models.training.live.augment_images import FaceAugmentation
from models.training.live.face_start import start_from_faceres
from models.training.loop import (
    RunContext,
    begin_stage,
    content_digest,
    cosine_factor,
    fit,
    seed_everything,
)
from models.training.scores import accuracy, balanced_accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceStageConfig:
    """How the face stage is trained."""

    initial: str = "faceres"  # or "random"
    cycles: tuple[int, ...] = (8, 8, 12)  # epochs, from a high learning rate down to none each time
    coarse_epochs: int = 4  # the first of each cycle, at `coarse_resolution`
    coarse_resolution: int = 64
    # In the other epochs the first layers, which see the most pixels and by then change least, are
    # left as they are: a third of the time saved.
    frozen_layers: int = 3
    batch_size: int = 64
    learning_rate: float = 2e-3
    trunk_rate: float = 0.4  # of the learning rate, for what comes pretrained
    warm_up_steps: int = 100
    weight_decay: float = 0.02
    dropout: float = 0.1
    label_smoothing: float = 0.0
    rare_power: float = 0.2  # how strongly rare classes are drawn more often: 0 not, 1 equally
    augmentation: FaceAugmentation = field(
        default_factory=lambda: FaceAugmentation(strength=0.5, clean_chance=0.7)
    )

    def __post_init__(self) -> None:
        if self.initial not in ("faceres", "random"):
            raise ValueError(f"initial must be 'faceres' or 'random', not {self.initial!r}")
        check_positive(self, "batch_size", "coarse_resolution")
        check_range(self, 0, 1, "dropout", "label_smoothing", "rare_power")
        rates = ("learning_rate", "trunk_rate", "weight_decay")
        check_range(self, 0, math.inf, *rates, "frozen_layers", "warm_up_steps")
        if not self.cycles or min(self.cycles) < 1:
            raise ValueError(f"cycles must be one number of epochs or more, not {self.cycles}")
        if not 0 <= self.coarse_epochs <= min(self.cycles):
            raise ValueError(
                f"coarse_epochs must lie between 0 and the shortest cycle ({min(self.cycles)}), "
                f"not {self.coarse_epochs}"
            )

    @property
    def epochs(self) -> int:
        """Epochs of all cycles."""
        return sum(self.cycles)

    def place_in_cycle(self, epoch: int) -> int:
        """How many epochs of its cycle come before `epoch`, which counts from 0."""
        for length in self.cycles:
            if epoch < length:
                return epoch
            epoch -= length
        raise ValueError(f"the cycles {self.cycles} have no epoch {epoch + self.epochs}")


def train_face(
    context: RunContext, trunk: FaceTrunkConfig, config: FaceStageConfig
) -> tuple[FaceClassifier, dict[str, float]]:
    """Train the face branch and return it with the figures of its best validation epoch.

    Killed and called again, it goes on after the last complete epoch; with other settings or
    pictures it is begun again.
    """
    train = load_ferplus(context.data_root, "train")
    validation = load_ferplus(context.data_root, "validation")
    trail = (config, trunk, context.seed, content_digest(train, validation))
    begin_stage(context, "face", repr(trail), network=repr(trunk))
    seed_everything(context.seed)
    model = FaceClassifier(trunk, config.dropout)
    if config.initial == "faceres":
        picks = np.random.default_rng(context.seed).permutation(len(train.images))[:512]
        crops = torch.from_numpy(train.images[picks]).float().unsqueeze(1) / 255
        start_from_faceres(model.trunk, crops, context.work_dir)
    model = model.to(context.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(_parameter_groups(model, config))
    steps = math.ceil(len(train.labels) / config.batch_size)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, _schedule(config, steps))

    def epoch_batches(epoch: int) -> _Epoch:
        coarse = config.place_in_cycle(epoch) < config.coarse_epochs
        model.trunk.resolution = config.coarse_resolution if coarse else trunk.resolution
        for layer in model.trunk.features[: config.frozen_layers]:
            layer.requires_grad_(coarse)
            layer.train(coarse)
        return _Epoch(train, config, context, epoch)

    def loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        crops, votes = batch
        logits = network(crops)
        return F.cross_entropy(logits.float(), votes, label_smoothing=config.label_smoothing)

    def validate(network: nn.Module) -> dict[str, float]:
        assert isinstance(network, FaceClassifier)
        network.trunk.resolution = trunk.resolution  # also of coarse epochs: what will be used
        return face_scores(network, validation, context.device)

    best = fit(
        name="face",
        context=context,
        model=model,
        optimizer=optimizer,
        scheduler=scheduler,
        epochs=config.epochs,
        batches=epoch_batches,
        loss=loss,
        validate=validate,
        score="accuracy",
        ema_decay=0.996,
        autocast=True,
    )
    model.trunk.resolution = trunk.resolution
    return model, best


def face_probabilities(
    model: FaceClassifier, images: NDArray[np.uint8], device: torch.device
) -> FloatArray:
    """Probabilities (n, 8) of FER+ images (n, 48, 48)."""
    model.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(images), 128):
            crops = torch.from_numpy(images[start : start + 128]).to(device).float() / 255
            crops = crops.unsqueeze(1).contiguous(memory_format=torch.channels_last)
            parts.append(model(crops).softmax(dim=1).cpu().numpy())
    return np.concatenate(parts)


def face_scores(model: FaceClassifier, data: FerPlus, device: torch.device) -> dict[str, float]:
    """Accuracy over eight classes where a majority agreed, plain and balanced over classes.

    `accuracy_most_voted` is that of all images, those on which the annotators did not agree too.
    """
    said = face_probabilities(model, data.images, device).argmax(axis=1)
    agreed = said[data.agreed], data.labels[data.agreed]
    return {
        "accuracy": accuracy(*agreed),
        "balanced_accuracy": balanced_accuracy(*agreed),
        "accuracy_most_voted": accuracy(said, data.labels),
    }


def _parameter_groups(model: FaceClassifier, config: FaceStageConfig) -> list[dict[str, Any]]:
    """What comes pretrained learns more slowly; biases and norms do not decay."""
    trunk = set(model.trunk.features.parameters())
    groups = []
    for pretrained, rate in ((True, config.trunk_rate), (False, 1.0)):
        weights = [weight for weight in model.parameters() if (weight in trunk) is pretrained]
        for matrices, decay in ((True, config.weight_decay), (False, 0.0)):
            groups.append(
                {
                    "params": [weight for weight in weights if (weight.dim() > 1) is matrices],
                    "lr": rate * config.learning_rate,
                    "weight_decay": decay,
                }
            )
    return groups


def _schedule(config: FaceStageConfig, steps: int) -> Callable[[int], float]:
    """Learning-rate factor by step, of `steps` an epoch: cosines with warm restarts.

    Loshchilov and Hutter 2017 (SGDR, arXiv 1608.03983); each cycle begins with a linear rise.
    """
    ends = np.cumsum(config.cycles) * steps

    def factor(step: int) -> float:
        cycle = min(int(np.searchsorted(ends, step, side="right")), len(ends) - 1)
        total = config.cycles[cycle] * steps
        return cosine_factor(step - (int(ends[cycle]) - total), config.warm_up_steps, total)

    return factor


class _Epoch:
    """Augmented batches, (crops (B, 1, 48, 48), votes (B, 8)); the epoch's number alone decides
    what they hold.
    """

    def __init__(
        self, data: FerPlus, config: FaceStageConfig, context: RunContext, number: int
    ) -> None:
        self._config, self._device = config, context.device
        self._images, self._votes = torch.from_numpy(data.images), torch.from_numpy(data.votes)
        self._generator = torch.Generator().manual_seed(context.seed * 1000 + number)
        frequency = np.bincount(data.labels, minlength=data.votes.shape[1]) / len(data.labels)
        weights = torch.from_numpy(np.maximum(frequency, 1e-9)[data.labels] ** -config.rare_power)
        # Each picture as often as its weight says, the fraction decided by chance: unlike drawing
        # with replacement this leaves hardly any picture of a common class out.
        wanted = weights / weights.sum() * len(weights)
        chance = torch.rand(len(wanted), generator=self._generator)
        repeats = (wanted + chance).floor().long()
        order = torch.repeat_interleave(torch.arange(len(repeats)), repeats)
        self._order = order[torch.randperm(len(order), generator=self._generator)]

    def __len__(self) -> int:
        return math.ceil(len(self._order) / self._config.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.split(self._order, self._config.batch_size):
            crops = self._config.augmentation(self._images[rows], self._generator)
            crops = crops.to(self._device, memory_format=torch.channels_last)
            yield crops, self._votes[rows].to(self._device)

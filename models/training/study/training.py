"""Trains one network of the study: small, in memory, the same loop for every fusion.

What is scored is the exponential moving average of the weights. Thread: the study's; any device.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.arrays import FloatArray, IntArray
from models.training.loop import (
    check_converging,
    cosine_factor,
    half_precision,
    keep_freed_memory,
)
from models.training.study.networks import FusedNetwork
from models.training.study.task import NO_LABEL, Inputs, Rows, Settings, Task


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained network, and what it reached on validation people on the way."""

    network: FusedNetwork  # the moving average, in evaluation mode
    curve: tuple[tuple[int, float], ...]  # (epoch, accuracy), empty without validation people


def train(
    task: Task,
    network: FusedNetwork,
    inputs: Inputs,
    rows: Rows,
    settings: Settings,
    *,
    modalities: tuple[int, ...],
    epochs: int | None = None,
    validation: Rows | None = None,
    pretrained: bool = False,
    seed: int = 0,
    device: torch.device | None = None,
) -> Trained:
    """Train `network` on `rows`.

    Parameters
    ----------
    rows
        Samples to learn from; `inputs` are scaled on them.
    validation
        Samples whose accuracy makes the curve, every `settings.evaluate_every` epochs.
    modalities
        Which of the task's modalities the network's branches are, in its order.
    epochs
        Where to stop; the schedule is that of `settings.epochs` all the same.
    pretrained
        The branches were trained before: they learn more slowly than what joins them.
    """
    device = device or torch.device("cpu")
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    keep_freed_memory()
    network.to(device).train()
    averaged = copy.deepcopy(network).eval().requires_grad_(False)
    optimizer, rates = _optimizer(network, settings, pretrained, device)
    batches = max(1, len(rows) // settings.batch_size)
    total = settings.epochs * batches
    warm_up = max(1, total // 20)
    step, curve = 0, []
    labels = task.labels.to(device)
    for epoch in range(1, (epochs or settings.epochs) + 1):
        for batch in np.array_split(rng.permutation(rows), batches):
            schedule = cosine_factor(step, warm_up, total)
            holds = step < settings.held * total
            for group, (rate, slow) in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = 0.0 if slow and holds else rate * schedule
            optimizer.zero_grad(set_to_none=True)
            with half_precision(device, settings.half):
                value = _loss(
                    task, network, inputs, batch, labels, settings, modalities, rng, device
                )
            value.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            check_converging(task.name, float(value.detach()), norm)
            optimizer.step()
            step += 1
            _follow(averaged, network, min(settings.ema_decay, (1 + step) / (10 + step)))
        due = epoch % settings.evaluate_every == 0 or epoch == settings.epochs
        if validation is not None and due:
            logits = predict(task, averaged, inputs, validation, modalities, device)
            curve.append((epoch, accuracy(logits, task.labels[validation].numpy())))
    return Trained(averaged, tuple(curve))


def predict(
    task: Task,
    network: FusedNetwork,
    inputs: Inputs,
    rows: Rows,
    modalities: tuple[int, ...],
    device: torch.device | None = None,
) -> FloatArray:
    """Logits (rows, K), or (rows, T, K) of sequences; the network is in evaluation mode after."""
    device = device or torch.device("cpu")
    network.eval()
    parts = []
    with torch.inference_mode():
        for part in np.array_split(rows, math.ceil(len(rows) / 128)):
            features, steps = inputs.clean(part), task.steps(part)
            parts.append(
                network(
                    [features[index].to(device) for index in modalities],
                    None if steps is None else steps.to(device),
                )
                .float()
                .cpu()
            )
    return torch.cat(parts).numpy()


def accuracy(logits: FloatArray, labels: IntArray) -> float:
    """Part of what has a label that is right."""
    known = labels != NO_LABEL
    return float((logits.argmax(axis=-1) == labels)[known].mean())


def _loss(
    task: Task,
    network: FusedNetwork,
    inputs: Inputs,
    batch: Rows,
    labels: Tensor,
    settings: Settings,
    modalities: tuple[int, ...],
    rng: np.random.Generator,
    device: torch.device,
) -> Tensor:
    every = inputs.augmented(batch, rng)
    features = [every[index].to(device, torch.float32) for index in modalities]
    steps = task.steps(batch)
    targets = labels[batch]
    if steps is not None:
        steps = steps.to(device)
        return functional.cross_entropy(
            network(features, steps)[steps],
            targets[steps],
            label_smoothing=settings.label_smoothing,
        )
    if settings.mixup <= 0.0:
        logits = network(features).float()
        return functional.cross_entropy(logits, targets, label_smoothing=settings.label_smoothing)
    share = float(rng.beta(settings.mixup, settings.mixup))
    other = torch.from_numpy(rng.permutation(len(batch))).to(device)
    logits = network([share * each + (1.0 - share) * each[other] for each in features])
    return mixup_loss(logits, targets, targets[other], share, settings.label_smoothing)


def mixup_loss(
    logits: Tensor, targets: Tensor, others: Tensor, share: float, smoothing: float
) -> Tensor:
    """Cross-entropy of samples that were blended, with `share` of the first (Zhang et al. 2018).

    Logits (B, K), classes of the first and of the other (B,), arXiv 1710.09412.
    """
    return share * functional.cross_entropy(logits, targets, label_smoothing=smoothing) + (
        1.0 - share
    ) * functional.cross_entropy(logits, others, label_smoothing=smoothing)


def _optimizer(
    network: FusedNetwork, settings: Settings, pretrained: bool, device: torch.device
) -> tuple[torch.optim.Optimizer, list[tuple[float, bool]]]:
    """AdamW, and of each of its groups the highest learning rate and whether it was trained before.

    Biases and norms do not decay.
    """
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            slow = pretrained and name.startswith("branches.")
            groups.setdefault((slow, parameter.dim() > 1), []).append(parameter)
    parameters: list[dict[str, Any]] = [
        {"params": members, "weight_decay": settings.weight_decay if decays else 0.0}
        for (_, decays), members in groups.items()
    ]
    rates = [
        (settings.learning_rate * (settings.tuning_factor if slow else 1.0), slow)
        for slow, _ in groups
    ]
    return torch.optim.AdamW(parameters, lr=settings.learning_rate, fused=True), rates


@torch.no_grad()
def _follow(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the average towards the network, running statistics included."""
    followers = [*averaged.parameters(), *(b for b in averaged.buffers() if b.is_floating_point())]
    leaders = [*network.parameters(), *(b for b in network.buffers() if b.is_floating_point())]
    torch._foreach_lerp_(followers, leaders, 1.0 - decay)

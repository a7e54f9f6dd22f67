"""Fusion stage: MSAF and everything behind it, on features of the finished branches.

Thread: the trainer's; any device. Shapes:

    B  batch        N  channel blocks of both modalities
    K  classes      c  channels of a block
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.config import CONDITIONS, LiveNetConfig
from models.labels import EMOTIONS
from models.live import LiveNet
from models.training.live.fusion_answers import answers
from models.training.live.fusion_features import FaceFeatures, VoiceFeatures, evaluation_voices
from models.training.live.fusion_pairs import PairBatch, TrainingPairs
from models.training.live.fusion_settings import FusionStageConfig
from models.training.loop import RunContext, begin_stage, content_digest, fit


def fusion_loss(
    head: nn.Module, batch: PairBatch, config: FusionStageConfig, network: LiveNetConfig
) -> Tensor:
    """Cross-entropy of the answer, and of each head that has something to go on; and balance.

    The target is the mean of the targets of what is present: the votes of ten people for the
    face, the acted class for the voice. Twice the attention and half the weights behind it are the
    same network, so that a modality's share alone says nothing: the batch's mean share is held
    near chance, and what is left tells how much a sample leans on one sense.
    """
    output = head(batch.maps, batch.frames, batch.present)
    has = batch.present.float()
    targets = torch.stack([batch.face_target, batch.voice_target], dim=1)  # (B, 2, K)
    target = (targets * has[:, :, None]).sum(dim=1) / has.sum(dim=1, keepdim=True)

    def among_present(logits: Tensor, modality: int) -> Tensor:
        each = functional.cross_entropy(logits, targets[:, modality], reduction="none")
        return (each * has[:, modality]).sum() / has[:, modality].sum().clamp(min=1.0)

    own = (
        among_present(output.face_logits, 0)
        + among_present(output.voice_logits, 1)
        + among_present(output.face_activation.mean(dim=(2, 3, 4)), 0)
    )
    loss = functional.cross_entropy(output.logits, target) + config.auxiliary * own
    if (both := batch.present.all(dim=1)).any():
        for attention, counts in (
            (output.attention_maps, network.map_block_counts),
            (output.attention_sequences, network.sequence_block_counts),
        ):
            above = (attention[both] - network.lowest_attention).mean(dim=2)  # (B, N)
            share = (above[:, : counts[0]].sum(dim=1) / above.sum(dim=1)).mean()  # the face's
            loss = loss + config.balance * (share - counts[0] / sum(counts)) ** 2
    return loss


def parameter_groups(head: nn.Module, config: FusionStageConfig) -> list[dict[str, Any]]:
    """What begins from the voice branch learns slowly, and MSAF fast.

    A modality's attention rises only when that of all its channels does, each of which moves the
    answer but little: at the rate of the other layers it stays where it began.
    """
    groups: dict[str, list[nn.Parameter]] = {"voice": [], "fusion": [], "other": []}
    for name, value in head.named_parameters():
        part = next((key for key in ("fusion", "voice") if key in name.split(".")[0]), "other")
        groups[part].append(value)
    rate = config.learning_rate
    return [
        {"params": groups["other"], "lr": rate},
        {"params": groups["voice"], "lr": rate * config.warm_rate},
        {"params": groups["fusion"], "lr": rate * config.attention_rate, "weight_decay": 0.0},
    ]


def train_fusion(
    context: RunContext,
    config: FusionStageConfig,
    network: LiveNet,
    training: tuple[FaceFeatures, Sequence[VoiceFeatures]],
    validation: tuple[FaceFeatures, VoiceFeatures] | None,
    *,
    name: str = "fusion",
) -> dict[str, float]:
    """Train the head of `network` in place; resumable. Returns the figures of the chosen epoch.

    The epoch is chosen by the mean of the three conditions' balanced accuracy on validation people;
    without them, when all has been chosen, it is the last. A run that began from other branches or
    settings is not resumed but begun again.
    """
    data = [tensor for each in (training[0], *training[1], *(validation or ())) for tensor in each]
    head = network.head
    settings = (config, network.config, context.seed)
    trail = content_digest(settings, *head.state_dict().values(), *data)
    begin_stage(context, name, trail, network=head_made_for(network))
    head.to(context.device)
    optimizer = torch.optim.AdamW(parameter_groups(head, config), weight_decay=config.weight_decay)
    rates = [group["lr"] for group in optimizer.param_groups]
    steps = config.epochs * (config.pairs_per_epoch // config.batch_size)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=rates, total_steps=steps, pct_start=0.15
    )

    def validate(model: nn.Module, people: tuple[FaceFeatures, VoiceFeatures]) -> dict[str, float]:
        said = answers(model, *people, network.config, context.device)
        figures = {condition: said[condition].balanced_accuracy for condition in CONDITIONS}
        return figures | {"mean": float(np.mean(list(figures.values())))}

    def loss(model: nn.Module, batch: PairBatch) -> Tensor:
        moved = PairBatch(*(part.to(context.device) for part in batch))
        return fusion_loss(model, moved, config, network.config)

    return fit(
        name=name,
        context=context,
        model=head,
        optimizer=optimizer,
        scheduler=scheduler,
        epochs=config.epochs,
        batches=lambda epoch: TrainingPairs(
            *training, config, network.config, seed=context.seed * 1000 + epoch
        ),
        loss=loss,
        validate=partial(validate, people=validation) if validation else None,
        score="mean",
        ema_decay=0.98,
    )


def head_made_for(network: LiveNet) -> str:
    """Digest of what a head belongs to: the settings and the weights of the branches before it.

    Not the temperatures, which are found when the head has been trained.
    """
    settings = replace(network.config, temperatures=(1.0, 1.0, 1.0))
    weights = [*network.trunk.state_dict().values(), *network.encoder.state_dict().values()]
    return content_digest(repr(settings), *weights)


@torch.inference_mode()
def learn_voice_means(context: RunContext, network: LiveNet, people: str) -> None:
    """Tell the head what the voice of each class is on average, over clean windows of `people`."""
    voices = evaluation_voices(context, network.encoder, network.config, people)
    head = network.head.to(context.device).eval()
    head.voice_means.zero_()  # so that the residual is the whole mean
    means = []
    for part in torch.split(voices.frames, 64):
        maps = torch.zeros(len(part), network.config.face.channels, 1, 1, 1)
        present = torch.tensor([[False, True]]).expand(len(part), 2)
        inputs = (each.to(context.device) for each in (maps, part.float(), present))
        means.append(head(*inputs).voice_residual.cpu())
    every = torch.cat(means)
    for index in range(len(EMOTIONS)):
        if (of := voices.labels == index).any():
            head.voice_means[index] = every[of].mean(dim=0)

"""The same networks when they meet each test person's clips one after the other.

What is a person's own, in the voice as in the face, is learned without labels from the answers
given so far and taken off the features of the clips that follow (models/speaker.py; the live
program does so with the voice alone, every 100 ms). Thread: the study's.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from models.arrays import FloatArray
from models.config import LiveNetConfig
from models.speaker import SpeakerOffset
from models.training.study.networks import FusedNetwork
from models.training.study.task import Fold, Inputs, Task

ORDERS: Final = 8
"""In which each person's clips are met."""

SETTINGS: Final = (
    ORDERS,
    LiveNetConfig().speaker_prior_windows,
    LiveNetConfig().speaker_memory_windows,
)
"""What figures in sessions depend on: orders, and the two settings of a SpeakerOffset."""


def predict_in_sessions(
    task: Task,
    network: FusedNetwork,
    inputs: Inputs,
    fold: Fold,
    modalities: tuple[int, ...],
    device: torch.device,
) -> FloatArray:
    """Logits of the fold's test clips in every order, (ORDERS, test clips, K)."""
    network.eval()
    usual = _class_means(task, inputs, fold, modalities)
    features = [inputs.clean(fold.test)[index].float() for index in modalities]
    rng, units = np.random.default_rng(0), task.units[fold.test]
    sessions = [
        (order, rng.permutation(np.flatnonzero(units == unit)))
        for order in range(ORDERS)
        for unit in np.unique(units)
    ]
    _, prior, memory = SETTINGS
    offsets = [
        SpeakerOffset((len(sessions), *each.shape[1:]), prior_windows=prior, memory_windows=memory)
        for each in features
    ]
    logits = np.zeros((ORDERS, len(fold.test), len(task.classes)), np.float32)
    for step in range(max(len(clips) for _, clips in sessions)):
        # A session that is over goes on with its last clip, which nobody looks at again.
        rows = np.array([clips[min(step, len(clips) - 1)] for _, clips in sessions])
        met = [each[rows] for each in features]
        with torch.inference_mode():
            known = [x - torch.from_numpy(own.value) for x, own in zip(met, offsets, strict=True)]
            said = network([x.to(device) for x in known]).float().cpu()
        answer = said.softmax(dim=1)
        for x, means, own in zip(met, usual, offsets, strict=True):
            own.hear((x - torch.tensordot(answer, means, dims=1)).numpy())
        for index, (order, clips) in enumerate(sessions):
            if step < len(clips):
                logits[order, rows[index]] = said[index].numpy()
    return logits


def _class_means(
    task: Task, inputs: Inputs, fold: Fold, modalities: tuple[int, ...]
) -> list[torch.Tensor]:
    """Per modality what each class is on average among training people, (K, ...).

    Of a class that none of them showed it is the mean of all, 0.
    """
    features, labels = inputs.clean(fold.train), task.labels[fold.train]
    return [
        torch.stack(
            [
                features[index][labels == number].float().mean(dim=0).nan_to_num()
                for number in range(len(task.classes))
            ]
        )
        for index in modalities
    ]

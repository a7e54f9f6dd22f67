"""Pairs of a face sequence and a clip of the same class, on which the head learns and is scored.

No large set of recordings with face and voice of the same person is at hand. Shapes:

    B  batch        T  face maps of a window     U  voice frames of a window
    C  channels     K  classes
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.arrays import FloatArray, IntArray
from models.config import LiveNetConfig
from models.labels import EMOTIONS
from models.training.live.fusion_features import FaceFeatures, VoiceFeatures
from models.training.live.fusion_settings import FusionStageConfig


class PairBatch(NamedTuple):
    """What the head is trained and scored on; all samples share T and U."""

    maps: Tensor  # (B, C, T, 1, 1)
    frames: Tensor  # (B, C, U)
    present: Tensor  # (B, 2) bool
    face_target: Tensor  # (B, K) votes
    voice_target: Tensor  # (B, K) one-hot
    labels: Tensor  # (B,)


class TrainingPairs:
    """One epoch of pairs of the same class, every class equally often.

    Each batch draws its own T and U: half of the batches have all images of a window, the others
    lost some, here and there or for a while; its voices are all of one set. Each pair may lack a
    modality.
    """

    def __init__(
        self,
        faces: FaceFeatures,
        voices: Sequence[VoiceFeatures],
        config: FusionStageConfig,
        network: LiveNetConfig,
        seed: int,
    ) -> None:
        self.faces, self.voices, self.config, self.network = faces, voices, config, network
        self.seed = seed

    def __len__(self) -> int:
        return self.config.pairs_per_epoch // self.config.batch_size

    def __iter__(self) -> Iterator[PairBatch]:
        rng = np.random.default_rng(self.seed)
        faces_of, *voices_of = (
            [np.flatnonzero(labels.numpy() == emotion) for emotion in range(len(EMOTIONS))]
            for labels in (self.faces.labels, *(each.labels for each in self.voices))
        )
        windows = np.array([len(each.labels) for each in self.voices])
        for _ in range(len(self)):
            labels = rng.integers(len(EMOTIONS), size=self.config.batch_size)
            chosen = rng.choice(len(self.voices), p=windows / windows.sum())
            face, voice = (
                np.array([rng.choice(pools[label]) for label in labels])
                for pools in (faces_of, voices_of[chosen])
            )
            chance = rng.random(len(labels))
            present = np.ones((len(labels), 2), dtype=bool)
            present[chance < self.config.voice_only, 0] = False
            present[chance > 1.0 - self.config.face_only, 1] = False
            yield make_batch(
                self.faces,
                self.voices[chosen],
                face,
                voice,
                present,
                self._positions(len(labels), rng),
            )

    def _positions(self, batch: int, rng: np.random.Generator) -> FloatArray:
        """When images were taken, (B, T) in [0, 1], from the grid of the window."""
        full = self.network.max_maps
        count = full if rng.random() < 0.5 else int(rng.integers(min(5, full), full + 1))
        rows = []
        for _ in range(batch):
            if rng.random() < 0.5:  # lost here and there
                rows.append(np.sort(rng.choice(full, count, replace=False)))
            else:  # lost for a while
                kept_first = int(rng.integers(0, count + 1))
                rows.append(np.r_[:kept_first, full - count + kept_first : full])
        return np.stack(rows).astype(np.float32) / (full - 1)


def make_batch(
    faces: FaceFeatures,
    voices: VoiceFeatures,
    face: IntArray,
    voice: IntArray,
    present: NDArray[np.bool_],
    positions: FloatArray,
) -> PairBatch:
    """Put pairs together: samples `face` (B,) with `voice` (B,).

    Maps are interpolated at `positions` (B, T), 0 to 1 of the window.
    """
    last = faces.maps.shape[1] - 1
    place = torch.from_numpy(positions) * last
    before = place.floor().long().clamp(max=max(last - 1, 0))
    part = (place - before)[:, :, None, None, None]
    rows = torch.from_numpy(face)[:, None]
    maps = torch.lerp(
        faces.maps[rows, before].float(),
        faces.maps[rows, (before + 1).clamp(max=last)].float(),
        part,
    )
    labels = torch.where(torch.from_numpy(present[:, 0]), faces.labels[face], voices.labels[voice])
    return PairBatch(
        maps=maps.transpose(1, 2),
        frames=voices.frames[voice].float(),
        present=torch.from_numpy(present),
        face_target=faces.votes[face],
        voice_target=functional.one_hot(voices.labels[voice], len(EMOTIONS)).float(),
        labels=labels,
    )


def paired_voices(faces: FaceFeatures, voices: VoiceFeatures) -> IntArray:
    """A clip for each face, of the same class, all clips of a class about equally often."""
    voice = np.zeros(len(faces.labels), dtype=np.int64)
    for emotion in range(len(EMOTIONS)):
        wanted = np.flatnonzero(faces.labels.numpy() == emotion)
        clips = np.flatnonzero(voices.labels.numpy() == emotion)
        if len(clips):
            voice[wanted] = np.resize(
                np.random.default_rng(emotion).permutation(clips), len(wanted)
            )
    return voice


def evaluation_batches(
    faces: FaceFeatures, voices: VoiceFeatures, condition: str, network: LiveNetConfig
) -> Iterator[PairBatch]:
    """Full windows in a fixed order: every face (with a clip of its class), or every clip."""
    if condition == "voice only":
        voice = np.arange(len(voices.labels))
        face = np.zeros_like(voice)
    else:
        face, voice = np.arange(len(faces.labels)), paired_voices(faces, voices)
    present = np.array([condition != "voice only", condition != "face only"])
    grid = np.linspace(0.0, 1.0, network.max_maps, dtype=np.float32)
    for start in range(0, len(face), 64):
        rows = slice(start, start + 64)
        count = len(face[rows])
        yield make_batch(
            faces,
            voices,
            face[rows],
            voice[rows],
            np.tile(present, (count, 1)),
            np.tile(grid, (count, 1)),
        )

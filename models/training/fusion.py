"""Fusion stage: MSAF and everything behind it, on features of the finished branches.

No large set of recordings with face and voice of the same person is at hand, so the head learns
from pairs of the same class: a face sequence made from one FER+ still (head movement, light, an
onset from a neutral face) with a RAVDESS clip. The branches are frozen, so their features are
computed once and cached. Shapes:

    B  batch        T  face maps of a window     Q  key images of a face sequence
    C  channels     U  voice frames of a window  K  classes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.config import CONDITIONS, LiveNetConfig, check_positive
from models.labels import EMOTIONS, FERPLUS_TO_EMOTION
from models.live import FusionHead, LiveNet
from models.mel import log_mel
from models.speaker import SpeakerOffset
from models.training.augment_audio import add_noise, centred_window, random_noise
from models.training.augment_images import FaceAugmentation
from models.training.data import ACTORS, DataError, load_ferplus, load_ravdess
from models.training.loop import (
    RunContext,
    begin_stage,
    content_digest,
    fit,
    load_state,
    progress_bar,
    save_atomically,
)
from models.training.scores import accuracy, balanced_accuracy, recalls
from models.training.voice import VoiceStageConfig, augmented_mels

FloatArray = NDArray[np.float32]

CLIP_WINDOWS: Final = 3
"""Of each clip that is scored."""

ORDERS: Final = 8
"""In which the clips of an actor are heard in a session."""

EVALUATION_AUGMENTATION: Final = FaceAugmentation(strength=0.3)
"""Faces of validation and test move and change a little, as anybody's do."""

POOR_FACE: Final = 2.0
"""Strength of the changes to a face that is hard to see, by light, distance and blur."""

POOR_SNR: Final = 0.0
"""Signal-to-noise ratio of a voice that is hard to hear, for scoring, dB."""

QUALITIES: Final = ("good", "poor face", "poor voice", "both poor")
"""What the senses are given where it is scored how the fusion copes with a poor one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionStageConfig:
    """Settings of the stage; `[fusion]` in the recipe file."""

    epochs: int = 8
    batch_size: int = 128
    learning_rate: float = 2e-3
    warm_rate: float = 0.1  # of the learning rate, for the layers that begin from the voice branch
    attention_rate: float = 10.0  # times the learning rate, for MSAF; see `parameter_groups`
    weight_decay: float = 0.02
    pairs_per_epoch: int = 4480
    faces_per_class: int = 800  # sequences made from training stills
    poor_faces: float = 0.5  # part of them that are hard to see (POOR_FACE)
    evaluation_faces_per_class: int = 300  # at most, for validation and test
    onset: float = 0.3  # part of the sequences that begin with a neutral face
    key_images: int = 6  # of a sequence, through the trunk; the maps between are interpolated
    voice_seconds: tuple[float, ...] = (3.0, 3.0, 2.0)  # augmented windows of each clip
    poor_voice_seconds: tuple[float, ...] = (3.0,)  # and those that are hard to hear
    poor_snr_decibels: tuple[float, float] = (-5.0, 10.0)  # of these
    face_only: float = 0.15  # part of the training pairs that lack the voice
    voice_only: float = 0.15  # and that lack the face
    auxiliary: float = 0.3  # weight of the losses on each modality's own head
    balance: float = 1.0  # weight of the loss that keeps modality shares near chance on average

    def __post_init__(self) -> None:
        sizes = ("epochs", "batch_size", "faces_per_class", "evaluation_faces_per_class")
        check_positive(self, *sizes, "key_images")
        if self.pairs_per_epoch < self.batch_size:
            raise ValueError(
                f"pairs_per_epoch = {self.pairs_per_epoch} makes no batch of {self.batch_size}"
            )
        windows = self.voice_seconds + self.poor_voice_seconds
        if not windows or min(windows) < 0.5:
            raise ValueError(f"windows of the voice must be of 0.5 s or more, not {windows}")
        if min(self.face_only, self.voice_only, 1.0 - self.face_only - self.voice_only) < 0.0:
            raise ValueError(
                "face_only and voice_only must be 0 or more and at most 1 together, not "
                f"{self.face_only} and {self.voice_only}"
            )


class FaceFeatures(NamedTuple):
    """Face sequences through the trunk.

    Everything behind the trunk is linear over space or averages over it, so that the average of a
    map gives the same answer as the map, at a small part of the cost.
    """

    maps: Tensor  # (n, Q, C, 1, 1) float16
    votes: Tensor  # (n, K) rows sum to 1
    labels: Tensor  # (n,) the most voted


class VoiceFeatures(NamedTuple):
    """Windows of speech through the encoder."""

    frames: Tensor  # (n, C, U) float16
    labels: Tensor  # (n,)
    actors: Tensor  # (n,)


class PairBatch(NamedTuple):
    """What the head is trained and scored on; all samples share T and U."""

    maps: Tensor  # (B, C, T, 1, 1)
    frames: Tensor  # (B, C, U)
    present: Tensor  # (B, 2) bool
    face_target: Tensor  # (B, K) votes
    voice_target: Tensor  # (B, K) one-hot
    labels: Tensor  # (B,)


# Features of the branches.


def face_features(
    context: RunContext,
    trunk: nn.Module,
    split: str,
    config: FusionStageConfig,
    augmentation: FaceAugmentation | None = None,
    *,
    poor: bool = False,
) -> FaceFeatures:
    """Make sequences from the stills of a FER+ split and put them through `trunk`; cached.

    Training stills are drawn equally often per class; of validation and test stills each is used
    at most once, moves less and is not degraded, unless all are to be `poor`.
    """
    training = split == "train"
    limit = config.faces_per_class if training else config.evaluation_faces_per_class
    changes = (training and augmentation) or EVALUATION_AUGMENTATION
    hard = replace(changes, strength=POOR_FACE)
    part_poor = config.poor_faces if training else float(poor)

    data = load_ferplus(context.data_root, split)

    def make() -> FaceFeatures:
        rng = np.random.default_rng(context.seed)
        generator = torch.Generator().manual_seed(context.seed)
        emotion_of = np.array([-1 if e is None else e for e in FERPLUS_TO_EMOTION])
        labels = emotion_of[data.labels]
        picks = np.concatenate(
            [
                _draw(np.flatnonzero(labels == emotion), limit, training, rng)
                for emotion in range(len(EMOTIONS))
            ]
        )
        neutrals = np.flatnonzero(labels == 0)
        stills = torch.from_numpy(data.images)
        maps = []
        with progress_bar() as progress:
            bar = progress.add_task(f"face sequences, {split}", total=len(picks), note="")
            for part in np.array_split(picks, max(1, len(picks) // 16)):
                sequences = []
                for pick in part:
                    onset = training and rng.random() < config.onset
                    neutral = stills[rng.choice(neutrals)] if onset else None
                    seen = hard if rng.random() < part_poor else changes
                    sequences.append(
                        face_sequence(stills[pick], neutral, config.key_images, seen, generator)
                    )
                whole = _features(trunk, torch.cat(sequences)[:, None], context.device)
                maps.append(whole.mean(dim=(2, 3), keepdim=True))
                progress.advance(bar, len(part))
        joined = torch.cat(maps)
        votes = torch.zeros(len(picks), len(EMOTIONS))
        kept = emotion_of >= 0
        votes[:, emotion_of[kept]] = torch.from_numpy(data.votes[picks][:, kept])
        return FaceFeatures(
            maps=joined.reshape(len(picks), config.key_images, *joined.shape[1:]),
            votes=votes / votes.sum(dim=1, keepdim=True),
            labels=torch.from_numpy(labels[picks]),
        )

    settings = (limit, config.key_images, config.onset, changes, part_poor, POOR_FACE)
    key = (split, *settings, content_digest(data))
    name = f"poor-face-{split}" if poor else f"face-{split}"
    return FaceFeatures(*_cached(context, name, trunk, key, make))


def training_voices(
    context: RunContext,
    encoder: nn.Module,
    config: FusionStageConfig,
    augmentation: VoiceStageConfig,
    people: str = "train",
) -> list[VoiceFeatures]:
    """Augmented windows of every clip of `people`, one set per length; cached.

    Each length in `voice_seconds` and `poor_voice_seconds` adds one window per clip. The speech
    lies anywhere in a window and may be partly cut off, as a sliding window does.
    """
    noisy = replace(
        augmentation,
        augmentation=replace(
            augmentation.augmentation, noise=1.0, snr_decibels=config.poor_snr_decibels
        ),
    )
    wanted = [(seconds, augmentation) for seconds in config.voice_seconds]
    wanted += [(seconds, noisy) for seconds in config.poor_voice_seconds]

    clips = list(load_ravdess(context.data_root, ACTORS[people]))

    def make() -> tuple[Tensor, ...]:
        rng = np.random.default_rng(context.seed)
        sets = []
        with progress_bar() as progress:
            total = len(clips) * len(wanted)
            bar = progress.add_task(f"voice windows, {people}", total=total, note="")
            for seconds, changes in wanted:
                frames = []
                for start in range(0, len(clips), 16):
                    part = clips[start : start + 16]
                    mels = torch.from_numpy(augmented_mels(part, clips, seconds, changes, rng))
                    frames.append(_features(encoder, mels, context.device))
                    progress.advance(bar, len(part))
                sets.append(torch.cat(frames))
        labels = torch.tensor([clip.label for clip in clips])
        return labels, torch.tensor([clip.actor for clip in clips]), *sets

    settings = [(seconds, changes.augmentation) for seconds, changes in wanted]
    key = (settings, content_digest(*clips))
    labels, actors, *sets = _cached(context, f"voice-{people}", encoder, key, make)
    by_length: dict[int, list[Tensor]] = {}
    for frames in sets:
        by_length.setdefault(frames.shape[2], []).append(frames)
    return [
        VoiceFeatures(torch.cat(alike), labels.repeat(len(alike)), actors.repeat(len(alike)))
        for alike in by_length.values()
    ]


def evaluation_voices(
    context: RunContext,
    encoder: nn.Module,
    network: LiveNetConfig,
    people: str,
    *,
    poor: bool = False,
) -> VoiceFeatures:
    """Three clean windows of each clip of `people` (a key of ACTORS); cached.

    As a sliding window comes by: the speech in the middle, and half a second to either side. The
    windows of a clip follow each other. `poor` ones are hard to hear (POOR_SNR).
    """
    clips = list(load_ravdess(context.data_root, ACTORS[people]))
    count = round(network.window_seconds * network.sample_rate)
    shift = network.sample_rate // 2

    def make() -> VoiceFeatures:
        frames, rng = [], np.random.default_rng(context.seed)
        for clip in clips:
            long = centred_window(clip.samples, count + 2 * shift)
            if poor:
                noisy = add_noise(long, random_noise(len(long), rng), POOR_SNR)
                long = np.clip(noisy, -1.0, 1.0).astype(np.float32, copy=False)
            windows = np.stack([long[start : start + count] for start in (0, shift, 2 * shift)])
            frames.append(_features(encoder, torch.from_numpy(log_mel(windows)), context.device))
        return VoiceFeatures(
            torch.cat(frames),
            torch.tensor([clip.label for clip in clips]).repeat_interleave(CLIP_WINDOWS),
            torch.tensor([clip.actor for clip in clips]).repeat_interleave(CLIP_WINDOWS),
        )

    key = (count, shift, POOR_SNR if poor else None, content_digest(*clips))
    name = f"poor-voice-{people}" if poor else f"clean-voice-{people}"
    return VoiceFeatures(*_cached(context, name, encoder, key, make))


def evaluation_features(
    context: RunContext,
    network: LiveNet,
    config: FusionStageConfig,
    split: str,
    quality: str = "good",
) -> tuple[FaceFeatures, VoiceFeatures]:
    """Features of "validation" or "test" people, of one of QUALITIES."""
    poor_face, poor_voice = (quality in (poor, "both poor") for poor in QUALITIES[1:3])
    return (
        face_features(context, network.trunk, split, config, poor=poor_face),
        evaluation_voices(context, network.encoder, network.config, split, poor=poor_voice),
    )


def face_sequence(
    still: Tensor,
    neutral: Tensor | None,
    count: int,
    augmentation: FaceAugmentation,
    generator: torch.Generator,
) -> Tensor:
    """A face that moves for one window: (count, 48, 48) in [0, 1] from one uint8 still (48, 48).

    Where `neutral` is given, the expression comes in from it over the first third or more.
    """
    state = generator.get_state()
    images = augmentation.sequence(still, count, generator)
    if neutral is None:
        return images
    speed = 1.0 + 2.0 * float(torch.rand(1, generator=generator))
    generator.set_state(state)  # the same movement and light
    before = augmentation.sequence(neutral, count, generator)
    shown = (torch.linspace(0.0, speed, count)).clamp(max=1.0)[:, None, None]
    return torch.lerp(before, images, shown)


def _draw(
    pool: NDArray[np.int64], limit: int, again: bool, rng: np.random.Generator
) -> NDArray[np.int64]:
    """`limit` indices of `pool`; fewer where there are fewer, unless they may come `again`."""
    if again and len(pool):
        pool = np.tile(rng.permutation(pool), -(-limit // len(pool)))[:limit]
    return rng.permutation(pool)[:limit]


@torch.inference_mode()
def _features(network: nn.Module, inputs: Tensor, device: torch.device) -> Tensor:
    return network(inputs.to(device)).to("cpu", torch.float16)  # type: ignore[no-any-return]


def _cached(
    context: RunContext,
    name: str,
    network: nn.Module,
    key: tuple[Any, ...],
    make: Callable[[], tuple[Tensor, ...]],
) -> tuple[Tensor, ...]:
    """Features from the work folder if the same network made them, of the same settings and data.

    `key` is those two.
    """
    digest = content_digest((key, context.seed), *network.state_dict().values())
    path = context.stage_dir("features") / f"{name}.pt"
    with suppress(DataError):  # not there, or damaged
        stored = load_state(path)
        if stored["key"] == digest:
            return tuple(stored["tensors"])
    network.eval().to(  # type: ignore[call-overload]
        device=context.device,
        memory_format=torch.channels_last,  # nearly twice as fast on CPU
    )
    tensors = tuple(make())
    save_atomically({"key": digest, "tensors": list(tensors)}, path)
    return tensors


# Pairs.


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
    face: NDArray[np.int64],
    voice: NDArray[np.int64],
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


def paired_voices(faces: FaceFeatures, voices: VoiceFeatures) -> NDArray[np.int64]:
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


# Training and scoring.


class Answers(NamedTuple):
    """What the head said to every sample of one condition."""

    logits: FloatArray  # (n, K)
    labels: NDArray[np.int64]  # (n,)

    @property
    def said(self) -> NDArray[np.int64]:
        """The class of each answer."""
        return np.asarray(self.logits.argmax(axis=1))

    @property
    def accuracy(self) -> float:
        """Part of the answers that are right."""
        return accuracy(self.said, self.labels)

    @property
    def recall(self) -> dict[str, float]:
        """Part of each class that is found, for the classes that occur."""
        return recalls(self.said, self.labels, EMOTIONS)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the recalls."""
        return balanced_accuracy(self.said, self.labels)


class SessionAnswers(NamedTuple):
    """What the head said to clips that it heard one after the other, several sessions at a time."""

    logits: FloatArray  # (clips of a session, sessions, windows of a clip, K)
    labels: NDArray[np.int64]  # (clips of a session, sessions)
    actors: NDArray[np.int64]  # (clips of a session, sessions)

    def after(self, clips: int = 0, *, odd: bool | None = None) -> Answers:
        """All windows from clip number `clips` on, of men only (`odd`) or women only."""
        kept = np.ones_like(self.labels[clips:], dtype=np.bool_)
        if odd is not None:
            kept = (self.actors[clips:] % 2 == 1) == odd
        logits, labels = self.logits[clips:][kept], self.labels[clips:][kept]
        return Answers(logits.reshape(-1, logits.shape[-1]), np.repeat(labels, logits.shape[1]))


@torch.inference_mode()
def answers(
    head: nn.Module,
    faces: FaceFeatures,
    voices: VoiceFeatures,
    network: LiveNetConfig,
    device: torch.device,
) -> dict[str, Answers]:
    """What `head` says under each condition."""
    head.eval()
    said = {}
    for condition in CONDITIONS:
        logits, labels = [], []
        for batch in evaluation_batches(faces, voices, condition, network):
            maps, frames, present = (part.to(device) for part in batch[:3])
            logits.append(head(maps, frames, present).logits.cpu())
            labels.append(batch.labels)
        said[condition] = Answers(torch.cat(logits).numpy(), torch.cat(labels).numpy())
    return said


@torch.inference_mode()
def face_shares(
    head: nn.Module,
    faces: FaceFeatures,
    voices: VoiceFeatures,
    network: LiveNetConfig,
    device: torch.device,
) -> FloatArray:
    """(n,) the face's share of MSAF's attention where the sequences meet, with both present."""
    head.eval()
    shares = []
    for batch in evaluation_batches(faces, voices, CONDITIONS[0], network):
        attention = head(*(part.to(device) for part in batch[:3])).attention_sequences
        blocks, _ = network.sequence_block_counts
        shares.append(_face_share(attention, blocks, network.lowest_attention).cpu())
    return torch.cat(shares).numpy()


def _face_share(attention: Tensor, blocks: int, lowest: float) -> Tensor:
    """(B, N, c) → (B,) of the first `blocks`, as `modality_share` tells it, with a gradient."""
    above = (attention - lowest).mean(dim=2)
    return above[:, :blocks].sum(dim=1) / above.sum(dim=1)


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


@torch.inference_mode()
def session_answers(
    head: nn.Module,
    faces: FaceFeatures,
    voices: VoiceFeatures,
    condition: str,
    network: LiveNetConfig,
    device: torch.device,
    *,
    adapt: bool = True,
    neutral_first: bool = False,
) -> SessionAnswers:
    """What `head` says when it hears the clips of each actor in one session.

    Clip by clip: each is judged with what the clips before it told of the voice
    (models/speaker.py; live, that goes on every 100 ms). Several sessions per actor, in random
    orders; with `neutral_first` a voice becomes known by its neutral clips alone. Under the
    condition "both" each window gets a face of its class.
    """
    rng = np.random.default_rng(0)
    clip_actors = voices.actors[::CLIP_WINDOWS].numpy()
    sessions = [
        rng.permutation(np.flatnonzero(clip_actors == actor))
        for _ in range(ORDERS)
        for actor in np.unique(clip_actors)
    ]
    if neutral_first:
        emotional = voices.labels[::CLIP_WINDOWS].numpy() != EMOTIONS.index("neutral")
        sessions = [each[np.argsort(emotional[each], kind="stable")] for each in sessions]
    length = min(len(session) for session in sessions)
    clips = np.stack([session[:length] for session in sessions], axis=1)  # (length, sessions)
    speaker = SpeakerOffset(
        (len(sessions), network.voice.channels),
        prior_windows=network.speaker_prior_windows,
        memory_windows=network.speaker_memory_windows,
    )
    pools = [np.flatnonzero(faces.labels.numpy() == index) for index in range(len(EMOTIONS))]
    grid = np.linspace(0.0, 1.0, network.max_maps, dtype=np.float32)
    windows, logits = np.arange(CLIP_WINDOWS), []
    for step in clips:
        voice = (CLIP_WINDOWS * step[:, None] + windows).ravel()
        face = np.array([rng.choice(pools[label]) for label in voices.labels[voice].tolist()])
        present = np.tile([condition == "both", True], (len(voice), 1))
        batch = make_batch(faces, voices, face, voice, present, np.tile(grid, (len(voice), 1)))
        offset = torch.from_numpy(speaker.value).repeat_interleave(CLIP_WINDOWS, dim=0)
        inputs = (each.to(device) for each in (batch.maps, batch.frames, batch.present, offset))
        said = head(*inputs)
        if adapt:
            residual = said.voice_residual.float().cpu().numpy()
            speaker.hear(residual.reshape(len(step), CLIP_WINDOWS, -1).mean(axis=1))
        logits.append(said.logits.float().cpu().numpy().reshape(len(step), CLIP_WINDOWS, -1))
    rows = CLIP_WINDOWS * torch.from_numpy(clips)
    return SessionAnswers(
        np.stack(logits), voices.labels[rows].numpy(), voices.actors[rows].numpy()
    )


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
            share = _face_share(attention[both], counts[0], network.lowest_attention).mean()
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
    head: FusionHead,
    network: LiveNetConfig,
    training: tuple[FaceFeatures, Sequence[VoiceFeatures]],
    validation: tuple[FaceFeatures, VoiceFeatures] | None,
    *,
    name: str = "fusion",
) -> dict[str, float]:
    """Train `head` in place; resumable. Returns the figures of the chosen epoch.

    The epoch is chosen by the mean of the three conditions' balanced accuracy on validation people;
    without them, when all has been chosen, it is the last. A run that began from other branches or
    settings is not resumed but begun again.
    """
    data = [tensor for each in (training[0], *training[1], *(validation or ())) for tensor in each]
    settings = (config, network, context.seed)
    begin_stage(context, name, content_digest(settings, *head.state_dict().values(), *data))
    head.to(context.device)
    optimizer = torch.optim.AdamW(parameter_groups(head, config), weight_decay=config.weight_decay)
    rates = [group["lr"] for group in optimizer.param_groups]
    steps = config.epochs * (config.pairs_per_epoch // config.batch_size)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=rates, total_steps=steps, pct_start=0.15
    )

    def validate(model: nn.Module, people: tuple[FaceFeatures, VoiceFeatures]) -> dict[str, float]:
        said = answers(model, *people, network, context.device)
        figures = {condition: said[condition].balanced_accuracy for condition in CONDITIONS}
        return figures | {"mean": float(np.mean(list(figures.values())))}

    def loss(model: nn.Module, batch: PairBatch) -> Tensor:
        moved = PairBatch(*(part.to(context.device) for part in batch))
        return fusion_loss(model, moved, config, network)

    return fit(
        name=name,
        context=context,
        model=head,
        optimizer=optimizer,
        scheduler=scheduler,
        epochs=config.epochs,
        batches=lambda epoch: TrainingPairs(
            *training, config, network, seed=context.seed * 1000 + epoch
        ),
        loss=loss,
        validate=partial(validate, people=validation) if validation else None,
        score="mean",
        ema_decay=0.98,
    )

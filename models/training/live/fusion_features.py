"""Features of the finished branches, on which the fusion learns and is scored.

The branches are frozen, so their features are computed once and kept in the work folder. A face
sequence is made of one FER+ still: head movement, light, an onset from a neutral face. Shapes:

    n  samples      Q  key images of a face sequence     C  channels
    K  classes      U  voice frames of a window
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from models.arrays import IntArray
from models.config import LiveNetConfig
from models.labels import EMOTIONS, FERPLUS_TO_EMOTION
from models.live import LiveNet
from models.mel import log_mel
from models.training.augment_audio import add_noise, centred_window, random_noise
from models.training.data import DataError, load_ferplus, require_every_class, voice_clips
from models.training.live.augment_images import FaceAugmentation
from models.training.live.fusion_settings import FusionStageConfig
from models.training.live.voice_settings import VoiceStageConfig
from models.training.live.voice_windows import augmented_mels
from models.training.loop import (
    RunContext,
    content_digest,
    load_state,
    progress_bar,
    save_atomically,
)

CLIP_WINDOWS: Final = 3
"""Of each clip that is scored."""

EVALUATION_AUGMENTATION: Final = FaceAugmentation(strength=0.3)
"""Faces of validation and test move and change a little, as anybody's do."""

POOR_FACE: Final = 2.0
"""Strength of the changes to a face that is hard to see, by light, distance and blur."""

POOR_SNR: Final = 0.0
"""Signal-to-noise ratio of a voice that is hard to hear, for scoring, dB."""

QUALITIES: Final = ("good", "poor face", "poor voice", "both poor")
"""What the senses are given where it is scored how the fusion copes with a poor one."""


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
        require_every_class(labels, context.data_root / "ferplus.npz", f"face for {split}")
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

    clips = voice_clips(context.data_root, people)

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

    masks = (augmentation.mask_bins, augmentation.mask_frames)
    settings = [(seconds, changes.augmentation) for seconds, changes in wanted]
    key = (settings, masks, content_digest(*clips))
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
    clips = voice_clips(context.data_root, people)
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


def _draw(pool: IntArray, limit: int, again: bool, rng: np.random.Generator) -> IntArray:
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

    `key` is those two. Of a network its own settings count beside its weights, since some of them,
    as the number of heads, change no weight.
    """
    made_of = getattr(network, "config", None)
    digest = content_digest((key, context.seed, made_of), *network.state_dict().values())
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

"""RAVDESS: the emotion in a voice, and in a voice with the face's action units."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.labels import RAVDESS_EMOTIONS
from models.mel import HOP, MELS
from models.paper.mfcc_cnn import mfcc_cnn
from models.training.loop import RunContext
from models.training.study.networks import Branch
from models.training.study.ravdess import (
    ACTION_UNITS,
    WINDOW,
    Clips,
    ClipStatistics,
    action_units,
    heard,
    mfcc_sequences,
    read_clips,
    whisper,
    whisper_statistics,
)
from models.training.study.task import (
    BEST_FUSED,
    Fold,
    Rows,
    Settings,
    Task,
    VectorInputs,
    torch_rows,
)
from models.training.study.tuning import (
    TuningConfig,
    made_with,
    trained_on,
    tuned_statistics,
    tuning_time,
)

VOICES: Final = ("mfcc", "whisper", "tuned")

NOISE: Final = 4.0
"""Deviation of the white noise on the fine-tuned voice's standardised features where it is fused.

A fine-tuned encoder tells of the clips that it learned from more than of other people's, and what
fuses it would trust the voice too much.
"""

STATISTICS: Final = 3072
"""Means and deviations of Whisper's four layers."""

_PROTOCOL: Final = (
    "5 published actor folds (Luna-Jiménez et al. 2021), 8 classes, {} clips; choices on the "
    "actors of the fold behind the test fold, then training on all actors but the test fold's"
)
_SIZES: Final = (
    "RAVDESS: widths, dropout and budget of the branches, the same for every row, were set by a "
    "few trials on the validation people of folds 1 to 3, who are test people of other folds. They "
    "stand since before the first test figures of these networks; the MFCC branch is the paper's "
    "network as it is, with the same budget. Logistic regression on the features had been scored "
    "on test people even before, as a first look at the data"
)
_TUNING: Final = (
    "RAVDESS, fine-tuned voice: passes, rates, windows and augmentation of the encoder were chosen "
    "on the actors of folds 1 to 4, one fold left out at a time, nobody of fold 5 heard or scored; "
    "of those four folds they are test people here. An earlier recipe (five passes over whole "
    "utterances, at half the rate) had been scored on all test people before, and found 76.0 %. "
    "The networks behind an encoder learn on features of the very clips that it learned from, "
    "which tell more of the class than those of other people's: so where they are fused they get "
    f"noise of {NOISE:.0f} deviations in training, chosen among 0, 1, 2, 4, 6 and 9 on the "
    "validation people of folds 1 to 4, when test figures without it were known"
)
_EXTRACTORS: Final = {
    "mfcc": "13 MFCC as the paper takes them, but of sound that comes at 16 kHz: at the 44.1 kHz "
    "it is brought to, nothing is left above 8 kHz",
    "whisper": "Whisper tiny.en's encoder as it comes (8.2 M parameters); mean and deviation of "
    "each layer over 3 s around the speech",
    "tuned": "Whisper tiny.en's encoder, fine-tuned on the people that the networks behind it "
    "learn from (8.2 M parameters); mean and deviation of each layer over 3 s around the speech",
}


def emotion(context: RunContext, voice: str) -> Task:
    """A voice branch and the face's action units."""
    clips = read_clips(context.data_root)
    units = torch_rows(action_units(context.data_root, clips))
    voices, build = _voice(context, voice, clips)
    return Task(
        name=f"emotion-{voice}",
        title=f"Emotion: voice ({voice}) + face action units, RAVDESS",
        title_alone=f"Emotion: voice alone ({voice}), RAVDESS",
        protocol=_PROTOCOL.format(len(clips.names)),
        classes=RAVDESS_EMOTIONS,
        branches={f"voice ({voice})": build, "face": face_branch},
        labels=torch.from_numpy(clips.labels),
        names=clips.names,
        units=clips.actors,
        unit="actor",
        folds=clips.folds,
        inputs=lambda fold, rows: VectorInputs.scaled([voices(rows), units], rows),
        features=lambda fold: [*_read(voices, fold), units],
        settings=Settings(
            epochs=16,
            batch_size=128,
            learning_rate=4e-3,
            weight_decay=0.05,
            mixup=0.4,
            seeds=3,
            evaluate_every=2,
            half=True,
        ),
        female=clips.female,
        targets={} if voice == "mfcc" else {BEST_FUSED: 0.87, f"voice ({voice})-alone": 0.80},
        notes=(_SIZES, _TUNING) if voice == "tuned" else (_SIZES,),
        noise={0: NOISE} if voice == "tuned" else {},
        # The paper's network reads a sequence: one offset per moment would mean nothing.
        sessions=voice != "mfcc",
        data={
            "mfcc": "",
            "whisper": heard(),
            "tuned": repr((made_with(TuningConfig()), NOISE)),
        }[voice],
        extractor=f"{_EXTRACTORS[voice]}; OpenFace's action units",
        extractor_alone=_EXTRACTORS[voice],
        extraction_training=partial(tuning_time, context, clips, statistics_branch)
        if voice == "tuned"
        else None,
        # Fine-tuned or not, it is the same network.
        extraction=None
        if voice == "mfcc"
        else lambda: (
            ClipStatistics(whisper(context)),
            [torch.zeros(1, MELS, WINDOW // HOP)],
        ),
    )


def statistics_branch() -> Branch:
    """Whisper's statistics, (B, 3072) → (B, 128) → (B, 64)."""
    return Branch(
        [
            nn.Sequential(_FeatureDropout(0.3), _dense(STATISTICS, 128, before=0.0)),
            _dense(128, 64, before=0.3),
        ],
        [128, 64],
        classes=len(RAVDESS_EMOTIONS),
        dropout=0.2,
    )


def face_branch() -> Branch:
    """Action units, (B, 35) → (B, 64) → (B, 64)."""
    return Branch(
        [_dense(ACTION_UNITS, 64, before=0.1), _dense(64, 64, before=0.3)],
        [64, 64],
        classes=len(RAVDESS_EMOTIONS),
        dropout=0.2,
    )


def mfcc_branch() -> Branch:
    """The paper's network with its 34,024 parameters, cut where the paper cuts it."""
    network = mfcc_cnn(len(RAVDESS_EMOTIONS))
    flatten, dropout, head = network.classify.children()
    assert isinstance(head, nn.Linear)
    branch = Branch(
        [network.early, network.late],
        [32, 64],
        pool=nn.Sequential(flatten, dropout),
        width=head.in_features,
        classes=len(RAVDESS_EMOTIONS),
    )
    branch.head = head
    return branch


class _FeatureDropout(nn.Module):
    """Dropout of the same features in a whole batch: of thousands, drawing them singly is slow."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * functional.dropout(x.new_ones(x.shape[1]), self.p)


def _dense(features: int, width: int, *, before: float) -> nn.Module:
    return nn.Sequential(
        nn.Dropout(before), nn.Linear(features, width), nn.BatchNorm1d(width), nn.ReLU()
    )


def _read(voices: Callable[[Rows], Tensor], fold: Fold) -> list[Tensor]:
    """All that the networks of a fold read of the voice, each once."""
    features = [voices(rows) for rows in trained_on(fold)]
    return list({id(each): each for each in features}.values())


def _voice(
    context: RunContext, voice: str, clips: Clips
) -> tuple[Callable[[Rows], Tensor], Callable[[], Branch]]:
    """Views of one voice feature for those who learn from `rows`, and the branch that reads it."""
    if voice == "mfcc":
        # Standardised per coefficient over clips and time, so time goes in front of the channels.
        sequences = mfcc_sequences(context).transpose(-1, -2)
        return (lambda _rows: sequences), _mfcc_from_time_first
    if voice == "whisper":
        statistics = whisper_statistics(context)
        return (lambda _rows: statistics), statistics_branch
    if voice == "tuned":
        return (
            lambda rows: tuned_statistics(context, clips, rows, statistics_branch)
        ), statistics_branch
    raise ValueError(f"voice must be one of {', '.join(VOICES)}, not {voice!r}")


def _mfcc_from_time_first() -> Branch:
    branch = mfcc_branch()
    branch.stages[0] = nn.Sequential(_ChannelsFirst(), branch.stages[0])
    return branch


class _ChannelsFirst(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)

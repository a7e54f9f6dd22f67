"""Fine-tunes Whisper tiny.en's encoder on the emotion in RAVDESS voices, once per published fold.

It is the live network's voice stage (models/training/voice.py) with a fold's people and the eight
classes. It learns from the fold's training actors without those who validate: they choose the
epoch, and later the fusion's settings, on features that have not seen them. What the study's
branches read are the same statistics as of the frozen encoder. Thread: the study's; any device.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from models.training.data import load_ravdess
from models.training.loop import RunContext, save_atomically
from models.training.study.ravdess import CLASSES, MAX_FRAMES, Clips, encode, views
from models.training.study.task import Fold
from models.training.voice import (
    VoiceEvaluation,
    VoiceStageConfig,
    VoiceTask,
    train_voice,
)
from models.training.whisper import start_from_whisper
from models.voice import VoiceEncoder

VIEWS: Final = 4
"""Of the frozen encoder's."""

CONFIG: Final = VoiceStageConfig(frozen_epochs=6, epochs=8)
"""Half the live stage's passes: five encoders are trained."""


def tuned_statistics(context: RunContext, clips: Clips, fold: Fold) -> Tensor:
    """Statistics (VIEWS, n, 3072) of the encoder tuned for `fold`, trained at first use."""
    path = context.stage_dir(f"tuned/{fold.name}") / "statistics.pt"
    if not path.is_file():
        classifier, _ = train_voice(context, config=CONFIG, task=fold_task(context, clips, fold))
        encoder = with_longer_positions(classifier.encoder, context).to(context.device).eval()
        every = [encode(encoder, view, context) for view in views(context.data_root, VIEWS)]
        save_atomically(torch.from_numpy(np.stack(every)), path)
    kept: Tensor = torch.load(path, weights_only=True)
    return kept


def fold_task(context: RunContext, clips: Clips, fold: Fold) -> VoiceTask:
    """What the voice stage learns in one fold: eight classes, the inner split's people."""
    train, validation = (set(clips.actors[rows].tolist()) for rows in fold.inner[0])
    every = load_ravdess(context.data_root, tuple(train | validation))
    said = [replace(clip, label=clip.emotion) for clip in every]
    return VoiceTask(
        clips=[clip for clip in said if clip.actor in train],
        validation=VoiceEvaluation.of(
            [clip for clip in said if clip.actor in validation], CONFIG.window_seconds
        ),
        labels=CLASSES,
        stage=f"tuned/{fold.name}",
    )


def with_longer_positions(encoder: VoiceEncoder, context: RunContext) -> VoiceEncoder:
    """The same encoder for whole clips: behind the positions that were tuned come Whisper's own."""
    longer = VoiceEncoder(replace(encoder.config, max_frames=MAX_FRAMES))
    start_from_whisper(longer, context.work_dir)
    state = encoder.state_dict()
    known = state["positions"]
    state["positions"] = torch.cat([known, longer.positions.detach().to(known)[len(known) :]])
    longer.load_state_dict(state)
    return longer

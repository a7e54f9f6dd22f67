"""The task that ships: emotions from one face and its voice.

Thread: any. The network is imported when it is loaded: the window is shown before.
"""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from models.checkpoint import LIVE, CheckpointError, default_weights
from models.config import MODALITIES
from models.labels import EMOTIONS
from realtime.emotion.config import EmotionConfig
from realtime.task import Progress, Task

if TYPE_CHECKING:
    from realtime.emotion.network import EmotionNetwork


def emotion_task(weights: Path | None = None, device: str = "auto", *, adapt: bool = True) -> Task:
    """Emotions as the network in the file `weights` names them (None: the one that ships).

    `device` as for `load_emotion_network`; `adapt`: learn what is a voice's own.
    """
    from models.mel import log_mel
    from realtime.emotion.faces import watch_face

    path = weights or default_weights()
    return Task(
        labels=partial(_labels, path),
        modalities=MODALITIES,
        about=partial(_model_card, path),
        watch=watch_face,
        load=_Once(path, EmotionConfig(adapt=adapt), device),
        spectrogram=log_mel,
    )


class _Once:
    """Loads the network once for all sessions, which call this on threads of theirs.

    Loading takes seconds. What `progress` raises breaks it off, as a session does that is left: the
    next one begins anew.
    """

    def __init__(self, weights: Path, settings: EmotionConfig, device: str) -> None:
        self._weights, self._settings, self._device = weights, settings, device
        self._lock = threading.Lock()
        self._network: EmotionNetwork | None = None

    def __call__(self, progress: Progress) -> EmotionNetwork:
        from realtime.emotion.network import load_emotion_network

        with self._lock:
            if self._network is None:
                self._network = load_emotion_network(
                    self._weights, self._settings, device=self._device, progress=progress
                )
            return self._network


def _labels(weights: Path) -> tuple[str, ...]:
    """The network's classes; those of our own where its weights are not to be read.

    What is wrong with them is told when a session loads them.
    """
    try:
        return LIVE.read(weights).config.labels
    except CheckpointError:
        return EMOTIONS


def _model_card(weights: Path) -> str:
    card = weights.with_name("MODEL_CARD.md")
    return card.read_text(encoding="utf-8") if card.is_file() else ""

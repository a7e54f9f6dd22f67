"""A small real engine: arithmetic instead of a trained network, everything else as it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import FloatArray
from models.config import MODALITIES, FaceTrunkConfig, LiveNetConfig, VoiceEncoderConfig
from models.mel import log_mel
from realtime.analysis import analyse
from realtime.emotion.config import EmotionConfig
from realtime.emotion.faces import watch_face
from realtime.emotion.network import EmotionNetwork
from realtime.emotion.speech import VoiceActivity
from realtime.engine import Arrays
from realtime.messages import Prediction
from realtime.recording.recording import Recording
from realtime.task import Progress, Task, Watcher

GATE_SECONDS = 60.0
CONFIG = LiveNetConfig(face=FaceTrunkConfig(channels=16), voice=VoiceEncoderConfig(channels=16))


class ArithmeticEngine:
    """Bright faces are happy, loud voices angry; counts how often each part was run."""

    def __init__(self) -> None:
        self.name = "arithmetic"
        self.trunk_runs = 0
        self.encoder_runs = 0
        self.fusions = 0
        self.maps = 0  # that the last of them was given
        self.residual: FloatArray = np.zeros(16, np.float32)

    def run(self, part: str, inputs: Arrays) -> Arrays:
        parts = {"trunk": self._trunk, "encoder": self._encoder, "head": self._head}
        found: dict[str, FloatArray] = parts[part](**inputs)  # type: ignore[operator]
        return {name: output[None] for name, output in found.items()}

    def _trunk(self, crops: FloatArray) -> dict[str, FloatArray]:
        self.trunk_runs += 1
        size = CONFIG.face.map_size
        return {"maps": np.full((16, size, size), crops[0, 0].mean(), np.float32)}

    def _encoder(self, mel: FloatArray) -> dict[str, FloatArray]:
        self.encoder_runs += 1
        return {"frames": np.full((16, mel.shape[2] // 4), mel[0].max(), np.float32)}

    def _head(
        self, maps: FloatArray, frames: FloatArray, present: Any, speaker: FloatArray
    ) -> dict[str, FloatArray]:
        self.fusions += 1
        self.maps = maps.shape[2]
        count, steps = len(CONFIG.labels), maps.shape[2]
        face, voice = np.zeros((2, count), np.float32)
        has_face, has_voice = present[0]
        if has_face:
            face[1] = 6 * maps[0].mean()
        if has_voice:
            voice[3] = 4 * (frames[0] - speaker[0][:, None]).mean()
        lowest, size = CONFIG.lowest_attention, CONFIG.face.map_size

        def weights(counts: tuple[int, ...]) -> FloatArray:
            rows = np.repeat(present[0].astype(np.float32), counts)
            rows = np.where(rows > 0, lowest + (1 - lowest) * rows / rows.sum(), 0)
            return np.tile(rows[:, None], (1, CONFIG.block_channels)).astype(np.float32)

        moments = frames.shape[2]
        return {
            "logits": face + voice,
            "face_logits": face,
            "voice_logits": voice,
            "attention_maps": weights(CONFIG.map_block_counts),
            "attention_sequences": weights(CONFIG.sequence_block_counts),
            "voice_moments": np.full(moments, 1 / moments, np.float32),
            "face_activation": np.ones((count, steps, size, size), np.float32),
            "voice_residual": self.residual if has_voice else np.zeros(16, np.float32),
        }


class GatedEngine(ArithmeticEngine):
    """Fuses ten windows, and the others when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting, self.gate = threading.Event(), threading.Event()

    def run(self, part: str, inputs: Arrays) -> Arrays:
        if part == "head" and self.fusions >= 10:
            self.waiting.set()
            assert self.gate.wait(GATE_SECONDS)
        return super().run(part, inputs)


def arithmetic_network(
    engine: ArithmeticEngine | None = None,
    settings: EmotionConfig | None = None,
    *,
    residual: float = 0.0,
    make_activity: Callable[[float], VoiceActivity] = VoiceActivity,
    **trained: float,
) -> EmotionNetwork:
    """The emotion network on this engine; `residual` is what each voice has of its own."""
    if engine is None:
        engine = ArithmeticEngine()
        engine.residual = np.full(16, residual, np.float32)
    config = replace(CONFIG, **trained)  # type: ignore[arg-type]
    return EmotionNetwork(engine, config, settings, make_activity=make_activity)


def task(
    load: Callable[[Progress], EmotionNetwork] = lambda _progress: arithmetic_network(),
    *,
    watch: Callable[[], Watcher] = watch_face,
) -> Task:
    """The emotion task, on arithmetic unless something else is loaded."""
    return Task(
        labels=lambda: CONFIG.labels,
        modalities=MODALITIES,
        about=str,
        watch=watch,
        load=load,
        spectrogram=log_mel,
    )


def endless(progress: Progress) -> EmotionNetwork:
    """Loads until it is broken off."""
    while True:
        progress(0.5, "Counting")
        time.sleep(0.001)


def answers(path: Path) -> list[Prediction]:
    """What a recording is answered by arithmetic."""
    with Recording(path) as recording:
        return list(analyse(recording, arithmetic_network(), watch_face))

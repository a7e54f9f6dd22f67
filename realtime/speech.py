"""When somebody speaks: silero-vad's network on the sound as it arrives.

Thread: worker. The network comes inside the silero-vad wheel and runs in onnxruntime, 0.2 ms for
each 32 ms of sound.
"""

from __future__ import annotations

from collections import deque
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from realtime.messages import FloatArray
from realtime.onnx import inference_session

CHUNK_SAMPLES = 512  # 32 ms at 16 kHz, the only size silero-vad 6 takes
CONTEXT_SAMPLES = 64  # samples of the chunk before, which the network wants in front
SAMPLE_RATE = 16000
SPEECH_PROBABILITY = 0.5  # silero-vad's own default threshold
FULL_SCALE = 0.985  # |sample| from here on counts as cut off


def _network_path() -> Path:
    # Found without importing the package, which would load torch for nothing.
    spec = find_spec("silero_vad")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "data" / "silero_vad.onnx"


class VoiceActivity:
    """Speech seconds and clipping over the last seconds of a stream of sound."""

    def __init__(self, history_seconds: float = 3.0) -> None:
        self._network = inference_session(_network_path())
        self._rate = np.array(SAMPLE_RATE, np.int64)
        chunks = int(history_seconds * SAMPLE_RATE / CHUNK_SAMPLES) + 1
        # (end in seconds, speaks, share of samples at full scale) of each chunk
        self._chunks: deque[tuple[float, bool, float]] = deque(maxlen=chunks)
        self.reset()

    def reset(self) -> None:
        """Forget the stream: what comes next does not follow on."""
        self._state = np.zeros((2, 1, 128), np.float32)
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)
        self._waiting = np.zeros(0, np.float32)
        self._waiting_start = 0.0
        self._chunks.clear()

    def push(self, start: float, samples: FloatArray) -> None:
        """Take in mono 16 kHz samples (n,), the first of them at `start` seconds."""
        if not len(self._waiting):
            self._waiting_start = start
        waiting = np.concatenate([self._waiting, samples])
        used = 0
        while used + CHUNK_SAMPLES <= len(waiting):
            chunk = waiting[used : used + CHUNK_SAMPLES]
            used += CHUNK_SAMPLES
            padded = np.concatenate([self._context, chunk])[None]
            probability, self._state = self._network.run(
                None, {"input": padded, "state": self._state, "sr": self._rate}
            )
            self._context = chunk[-CONTEXT_SAMPLES:]
            end = self._waiting_start + used / SAMPLE_RATE
            clipped = float(np.mean(np.abs(chunk) >= FULL_SCALE))
            self._chunks.append((end, bool(probability[0, 0] >= SPEECH_PROBABILITY), clipped))
        self._waiting = waiting[used:]
        self._waiting_start += used / SAMPLE_RATE

    def speech_seconds(self, start: float, end: float) -> float:
        """Seconds of speech heard in [start, end)."""
        count = sum(speaks for at, speaks, _ in self._chunks if start < at <= end)
        return count * CHUNK_SAMPLES / SAMPLE_RATE

    def last_speech(self, end: float) -> float | None:
        """Time of the newest speech not after `end`, in seconds."""
        return next((at for at, speaks, _ in reversed(self._chunks) if speaks and at <= end), None)

    def clipped_share(self, start: float, end: float) -> float:
        """Share of the speech samples of [start, end) at full scale."""
        shares = [clip for at, speaks, clip in self._chunks if speaks and start < at <= end]
        return float(np.mean(shares)) if shares else 0.0

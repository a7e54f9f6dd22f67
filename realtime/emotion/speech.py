"""When somebody speaks: silero-vad's network on the sound as it arrives.

Thread: worker. The network comes inside the silero-vad wheel and runs in onnxruntime, 0.2 ms for
each 32 ms of sound.
"""

from __future__ import annotations

import math
from collections import deque
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from models.arrays import FloatArray
from realtime.onnx import inference_session

CHUNK_SAMPLES = 512  # 32 ms at 16 kHz, the only size silero-vad 6 takes
CONTEXT_SAMPLES = 64  # samples of the chunk before, which the network wants in front
SAMPLE_RATE = 16000
SPEECH_PROBABILITY = 0.5  # silero-vad's own default threshold
FULL_SCALE = 0.985  # |sample| from here on counts as cut off

# Windows and chunks often end together, and both times are sums of floats.
_EPSILON = 1e-6


def _network_path() -> Path:
    # Found without importing the package, which would load torch for nothing.
    spec = find_spec("silero_vad")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "data" / "silero_vad.onnx"


class VoiceActivity:
    """Speech seconds and clipping over the last `kept_seconds` of a stream of sound.

    What it says of a span of time depends on the sound up to the span's end alone, whenever it is
    asked and however the sound was cut into pieces.
    """

    def __init__(self, kept_seconds: float = 5.0) -> None:
        self._network = inference_session(_network_path())
        self._rate = np.array(SAMPLE_RATE, np.int64)
        chunks = math.ceil(kept_seconds * SAMPLE_RATE / CHUNK_SAMPLES) + 1
        # (end in seconds, speaks, share of samples at full scale) of each chunk
        self._chunks: deque[tuple[float, bool, float]] = deque(maxlen=chunks)
        self._begin(0.0)

    def reset(self) -> None:
        """Forget all that was heard."""
        self._chunks.clear()
        self._begin(0.0)

    def _begin(self, start: float) -> None:
        """What comes next does not follow on; its first sample is at `start` seconds."""
        self._state = np.zeros((2, 1, 128), np.float32)
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)
        self._waiting = np.zeros(0, np.float32)
        self._start = start
        self._heard = 0  # samples since then, but for those that wait until their chunk is full

    def push(self, start: float, samples: FloatArray) -> None:
        """Take in mono 16 kHz samples (n,), the first of them at `start` seconds.

        Sound that does not follow on from that before is listened to afresh.
        """
        due = self._start + (self._heard + len(self._waiting)) / SAMPLE_RATE
        if abs(start - due) > 0.5 / SAMPLE_RATE:
            self._begin(start)
        self._waiting = np.concatenate([self._waiting, samples])
        while len(self._waiting) >= CHUNK_SAMPLES:
            chunk, self._waiting = np.split(self._waiting, [CHUNK_SAMPLES])
            self._heard += CHUNK_SAMPLES
            # Counted from the start, so that no sum of floats depends on how the sound was cut.
            end = self._start + self._heard / SAMPLE_RATE
            clipped = float(np.mean(np.abs(chunk) >= FULL_SCALE))
            self._chunks.append((end, self._speaks(chunk), clipped))

    def _speaks(self, chunk: FloatArray) -> bool:
        """Whether the next chunk of the stream is speech."""
        padded = np.concatenate([self._context, chunk])[None]
        probability, self._state = self._network.run(
            None, {"input": padded, "state": self._state, "sr": self._rate}
        )
        self._context = chunk[-CONTEXT_SAMPLES:]
        return bool(probability[0, 0] >= SPEECH_PROBABILITY)

    def speech_seconds(self, start: float, end: float) -> float:
        """Seconds of speech heard in [start, end)."""
        return len(self._speech(start, end)) * CHUNK_SAMPLES / SAMPLE_RATE

    def last_speech(self, start: float, end: float) -> float | None:
        """Time of the newest speech in [start, end), in seconds."""
        return max((at for at, _ in self._speech(start, end)), default=None)

    def clipped_share(self, start: float, end: float) -> float:
        """Share of the speech samples of [start, end) at full scale."""
        shares = [clipped for _, clipped in self._speech(start, end)]
        return float(np.mean(shares)) if shares else 0.0

    def _speech(self, start: float, end: float) -> list[tuple[float, float]]:
        """(end, share at full scale) of the chunks of speech that end in (start, end]."""
        return [
            (at, clipped)
            for at, speaks, clipped in self._chunks
            if speaks and start + _EPSILON < at <= end + _EPSILON
        ]

"""Mel-frequency cepstral coefficients, exactly as librosa 0.8 makes them by default.

The paper's voice branch was trained on `librosa.feature.mfcc(y, sr, n_mfcc=13)`. What that means,
in full:

1. The signal is continued by 1024 samples at both ends by reflection; frames of 2048 samples begin
   every 512 samples, so n samples give 1 + n // 512 frames.
2. Each frame times a periodic Hann window; power |FFT|² at 1025 frequencies.
3. 128 mel filters from 0 Hz to half the rate on Slaney's scale (linear up to 1000 Hz at 200/3 Hz
   per mel, above it 27 mel per factor 6.4), triangles between neighbouring centres, each scaled by
   2 / its width in Hz.
4. Decibels: 10 log10(max(power, 1e-10)), then nothing below the clip's loudest value less 80 dB.
5. Discrete cosine transform (type II, orthonormal) over the mel filters; its first `count` numbers.

Pure: arrays in, arrays out.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.arrays import FloatArray
from models.mel import mel_filters

FRAME: Final = 2048  # samples
HOP: Final = 512  # samples
MELS: Final = 128
LEAST_POWER: Final = 1e-10
RANGE_DB: Final = 80.0

Matrix = NDArray[np.float64]


def mfcc(samples: FloatArray, sample_rate: int, count: int) -> FloatArray:
    """Coefficients (count, 1 + n_samples // 512) of mono sound (n_samples,), at least 1025 long."""
    padded = np.pad(samples.astype(np.float64), FRAME // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    power = np.abs(np.fft.rfft(frames * _hann(), axis=1)) ** 2
    filters = mel_filters(sample_rate, FRAME, MELS)
    decibels = 10.0 * np.log10(np.maximum(power @ filters.T, LEAST_POWER))
    decibels = np.maximum(decibels, decibels.max() - RANGE_DB)
    return np.asarray(_cosines(count) @ decibels.T, np.float32)


@functools.cache
def _hann() -> Matrix:
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME))


@functools.cache
def _cosines(count: int) -> Matrix:
    angles = np.pi / MELS * np.outer(np.arange(count), np.arange(MELS) + 0.5)
    basis = np.sqrt(2.0 / MELS) * np.cos(angles)
    basis[0] /= np.sqrt(2.0)
    return np.asarray(basis)

"""Whisper's log-mel spectrogram in numpy, so that the live program needs no torch for it.

Any thread. Sound is mono at 16 kHz in [-1, 1]; one mel frame every 10 ms (160 samples).
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from models.arrays import FloatArray

SAMPLE_RATE: Final = 16000  # Hz
FFT_SIZE: Final = 400  # samples, 25 ms
HOP: Final = 160  # samples, 10 ms
MELS: Final = 80

_BLOCK: Final = 10  # frames that are computed together
_MIN_SAMPLES: Final = FFT_SIZE // 2 + 1  # below this a reflection does not fit


def log_mel(samples: FloatArray) -> FloatArray:
    """Log-mel spectrogram as Whisper was trained on, normalised over each row of samples.

    Parameters
    ----------
    samples
        (..., n) mono at 16 kHz; n is at least 201.

    Returns
    -------
    (..., 80, n // 160) mel bins by frames; frame t is centred on sample 160 t. The loudest cell of
    a spectrogram lies at most 2 above its softest.

    Raises
    ------
    ValueError
        Too few samples.
    """
    return _normalised(_columns(_mirrored(samples), samples.shape[-1] // HOP))


class SlidingLogMel:
    """`log_mel` of windows that overlap, bit for bit; what the window before had is not done again.

    That is so for windows which begin `hop_samples` after the one before, a multiple of 0.1 s; all
    others are computed as a whole. Belongs to one thread.
    """

    def __init__(self, hop_samples: int) -> None:
        self._hop_samples = hop_samples
        self._samples: FloatArray = np.zeros(0, np.float32)
        self._logs: FloatArray = np.zeros((0, MELS), np.float32)

    def __call__(self, samples: FloatArray) -> FloatArray:
        """`log_mel` of `samples` (n,), which are not to be changed afterwards; also its errors."""
        shift = self._hop_samples
        kept = self._samples[shift:]
        padded = _mirrored(samples)
        count = samples.shape[-1] // HOP
        # The first block mirrors the window's beginning, the last two of the window before its end.
        first, last = _BLOCK, (len(kept) // HOP // _BLOCK - 1) * _BLOCK
        whole_blocks = shift % (_BLOCK * HOP) == 0
        if whole_blocks and last > first and np.array_equal(kept, samples[: len(kept)]):
            offset = shift // HOP
            logs = np.concatenate(
                [
                    _columns(padded[: (first - 1) * HOP + FFT_SIZE], first),
                    self._logs[first + offset : last + offset],
                    _columns(padded[last * HOP :], count - last),
                ]
            )
        else:
            logs = _columns(padded, count)
        self._samples, self._logs = samples, logs
        return _normalised(logs)


def _mirrored(samples: FloatArray) -> FloatArray:
    """Samples (..., n) with half an FFT of their reflection at both ends."""
    if samples.shape[-1] < _MIN_SAMPLES:
        raise ValueError(f"a spectrogram takes {_MIN_SAMPLES} samples, got {samples.shape[-1]}")
    margin = [(0, 0)] * (samples.ndim - 1) + [(FFT_SIZE // 2, FFT_SIZE // 2)]
    return np.pad(samples.astype(np.float32, copy=False), margin, mode="reflect")


def _columns(padded: FloatArray, count: int) -> FloatArray:
    """The first `count` frames of mirrored samples (..., n) → log energies (..., count, 80)."""
    frames = sliding_window_view(padded, FFT_SIZE, axis=-1)[..., ::HOP, :][..., :count, :]
    spectrum = np.fft.rfft(frames * _window())
    power = (np.square(spectrum.real) + np.square(spectrum.imag)).astype(np.float32)
    # Ten frames at a time: a larger product would wake BLAS's threads, which then spin and take
    # the cores from the network; and so a frame's bits do not depend on how many come with it.
    energies = [
        power[..., first : first + _BLOCK, :] @ _projection() for first in range(0, count, _BLOCK)
    ]
    logs: FloatArray = np.log10(np.maximum(np.concatenate(energies, axis=-2), 1e-10))
    return logs


def _normalised(logs: FloatArray) -> FloatArray:
    """Log energies (..., frames, 80) → the spectrogram (..., 80, frames)."""
    logs = np.maximum(logs, logs.max(axis=(-2, -1), keepdims=True) - 8.0)
    return np.ascontiguousarray(((logs + 4.0) / 4.0).swapaxes(-1, -2), dtype=np.float32)


@cache
def _projection() -> FloatArray:
    """(201, 80)."""
    return np.ascontiguousarray(mel_filters(SAMPLE_RATE, FFT_SIZE, MELS).astype(np.float32).T)


@cache
def mel_filters(sample_rate: int, fft_size: int, count: int) -> NDArray[np.float64]:
    """(count, fft_size // 2 + 1) triangles of unit area, from 0 Hz to half the rate.

    Their corners lie evenly on Slaney's scale: linear to 1 kHz, then logarithmic.
    """
    edges = _to_hertz(np.linspace(0.0, _to_mel(sample_rate / 2), count + 2))
    bins = np.linspace(0.0, sample_rate / 2, fft_size // 2 + 1)  # Hz
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - lower) / (centre - lower)
    falling = (upper - bins) / (upper - centre)
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (upper - lower))


_LINEAR_STEP: Final = 200.0 / 3.0  # Hz per mel below 1 kHz, which is at 15 mel
_LOG_STEP: Final = np.log(6.4) / 27.0  # above, 27 mels span a factor of 6.4


def _to_mel(hertz: float) -> float:
    if hertz < 1000.0:
        return hertz / _LINEAR_STEP
    return float(15.0 + np.log(hertz / 1000.0) / _LOG_STEP)


def _to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15.0, mel * _LINEAR_STEP, 1000.0 * np.exp(_LOG_STEP * (mel - 15.0)))


@cache
def _window() -> FloatArray:
    return np.hanning(FFT_SIZE + 1)[:-1].astype(np.float32)  # periodic, as torch.hann_window

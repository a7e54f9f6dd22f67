"""Makes other microphones, rooms and distances of clean speech, and cuts windows out of clips.

All functions take mono float32 samples at 16 kHz, draw only from the generator they are given, and
return new arrays. Any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from models.arrays import FloatArray
from models.config import check_interval, check_range
from models.mel import SAMPLE_RATE

Samples = FloatArray

_FRAME: Final = 320  # samples, 20 ms: the grain at which speech is told from silence
_QUIET: Final = 1e-5  # amplitude of the noise floor behind clips that end too early


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioAugmentation:
    """How often each change is made, as probabilities, and how strong it may be."""

    speed: float = 0.5
    speed_range: tuple[float, float] = (0.9, 1.1)
    reverberation: float = 0.3
    decay_seconds: tuple[float, float] = (0.1, 0.6)  # to -60 dB
    colour: float = 0.5
    telephone: float = 0.06
    noise: float = 0.5
    snr_decibels: tuple[float, float] = (5.0, 40.0)
    clipping: float = 0.08
    companding: float = 0.06
    gain_decibels: float = 6.0  # standard deviation, cut at two of them

    def __post_init__(self) -> None:
        chances = ("speed", "reverberation", "colour", "telephone", "noise", "clipping")
        check_range(self, 0, 1, *chances, "companding")
        check_range(self, 0, 60, "gain_decibels")
        check_interval(self, 0.1, 10, "speed_range")
        check_interval(self, 0.01, 10, "decay_seconds")
        check_interval(self, -60, 100, "snr_decibels")


def augment_audio(
    samples: Samples,
    rng: np.random.Generator,
    *,
    babble: Sequence[Samples] = (),
    config: AudioAugmentation | None = None,
) -> Samples:
    """A clip as another microphone in another room might have heard it; values stay in [-1, 1].

    Parameters
    ----------
    samples
        (n,) one speaker.
    babble
        Clips of other speakers that may murmur in the background.

    Returns
    -------
    (m,) where m / n is at most one over the slowest speed.
    """
    config = config or AudioAugmentation()
    if rng.random() < config.speed:
        samples = change_speed(samples, rng.uniform(*config.speed_range))
    if rng.random() < config.reverberation:
        samples = reverberate(samples, rng.uniform(*config.decay_seconds), rng)
    if rng.random() < config.noise:
        samples = add_noise(samples, random_noise(len(samples), rng, babble), _snr(config, rng))
    if rng.random() < config.colour:
        samples = colour(samples, rng)
    if rng.random() < config.telephone:
        samples = band_limit(samples, 300.0, 3400.0)
    decibels = np.clip(rng.normal(), -2.0, 2.0) * config.gain_decibels
    samples = samples * np.float32(10.0 ** (decibels / 20.0))
    if rng.random() < config.clipping:
        level = np.quantile(np.abs(samples), rng.uniform(0.97, 0.998))
        samples = np.clip(samples, -level, level)
    if rng.random() < config.companding:
        samples = compand(samples)
    return np.clip(samples, -1.0, 1.0).astype(np.float32, copy=False)


def _snr(config: AudioAugmentation, rng: np.random.Generator) -> float:
    return float(rng.uniform(*config.snr_decibels))


def change_speed(samples: Samples, factor: float) -> Samples:
    """Play faster (factor > 1) or slower; the pitch moves along."""
    changed: Samples = soxr.resample(samples, SAMPLE_RATE, SAMPLE_RATE / factor, quality="LQ")
    return changed


def reverberate(samples: Samples, decay_seconds: float, rng: np.random.Generator) -> Samples:
    """Convolve with noise that fades by 60 dB in `decay_seconds`, behind the direct sound."""
    length = int(decay_seconds * SAMPLE_RATE)
    fade = np.exp(-6.9 * np.arange(length) / length)
    response = rng.standard_normal(length) * fade
    response *= rng.uniform(0.2, 1.0) / np.sqrt(np.square(response).sum())  # against the direct 1
    response[0] = 1.0
    size = _fft_size(len(samples) + length)
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)
    wet = wet[: len(samples)]
    return (wet * (_rms(samples) / _rms(wet))).astype(np.float32)


def random_noise(count: int, rng: np.random.Generator, babble: Sequence[Samples] = ()) -> Samples:
    """White, pink or brown noise, mains hum, or babble where there are clips for it; any level."""
    kind = rng.choice(["white", "pink", "brown", "hum", "babble"])
    if kind == "babble" and len(babble):
        voices = [
            np.roll(np.resize(babble[chosen], count), rng.integers(count))
            for chosen in rng.integers(len(babble), size=3)
        ]
        return np.asarray(sum(voices), dtype=np.float32)
    if kind == "hum":
        base = rng.choice([50.0, 60.0])
        time = np.arange(count) / SAMPLE_RATE
        tones = [
            np.sin(2 * np.pi * base * order * time + rng.uniform(0, 2 * np.pi)) / order
            for order in range(1, 8)
        ]
        return np.asarray(sum(tones) + 0.05 * rng.standard_normal(count), dtype=np.float32)
    slope = {"pink": 0.5, "brown": 1.0}.get(str(kind), 0.0)  # of amplitude over frequency
    size = _fft_size(count)
    spectrum = np.fft.rfft(rng.standard_normal(size))
    frequency = np.maximum(np.fft.rfftfreq(size, 1 / SAMPLE_RATE), 20.0)
    return np.fft.irfft(spectrum / frequency**slope, size)[:count].astype(np.float32)


def add_noise(samples: Samples, noise: Samples, snr_decibels: float) -> Samples:
    """Add `noise`, as long as the samples, scaled to the wanted ratio to the speech in them."""
    first, last = speech_span(samples)
    factor = _rms(samples[first:last]) / _rms(noise) * 10.0 ** (-snr_decibels / 20.0)
    return samples + noise * np.float32(factor)


def colour(samples: Samples, rng: np.random.Generator) -> Samples:
    """A random microphone: shelves below and above, and the ends of its band."""
    low, high = rng.uniform(100.0, 600.0), rng.uniform(2000.0, 6000.0)
    low_decibels, high_decibels = rng.uniform(-6.0, 6.0), rng.uniform(-9.0, 6.0)
    bottom, top = rng.uniform(20.0, 200.0), rng.uniform(3800.0, 8000.0)

    def response(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        decibels = low_decibels / (1 + (frequency / low) ** 2)
        decibels = decibels + high_decibels / (1 + (high / frequency) ** 2)
        return np.asarray(10.0 ** (decibels / 20.0)) * _band(frequency, bottom, top)

    return _filter(samples, response)


def band_limit(samples: Samples, bottom: float, top: float) -> Samples:
    """Keep `bottom` to `top` Hz, as a telephone does."""
    return _filter(samples, lambda frequency: _band(frequency, bottom, top))


def compand(samples: Samples) -> Samples:
    """Eight-bit µ-law there and back, as in telephony."""
    scaled = np.sign(samples) * np.log1p(255.0 * np.minimum(np.abs(samples), 1.0)) / np.log(256.0)
    coarse = np.round(scaled * 127.0) / 127.0
    restored = np.sign(coarse) * np.expm1(np.abs(coarse) * np.log(256.0)) / 255.0
    return np.asarray(restored, dtype=np.float32)


def speech_span(samples: Samples, decibels: float = 35.0) -> tuple[int, int]:
    """First and last sample of what is at most `decibels` below the loudest 20 ms; half-open."""
    count = len(samples) // _FRAME
    if count == 0:
        return 0, len(samples)
    power = np.square(samples[: count * _FRAME], dtype=np.float32).reshape(count, _FRAME).mean(1)
    loud = np.flatnonzero(power >= power.max() * 10.0 ** (-decibels / 10.0))
    return int(loud[0]) * _FRAME, (int(loud[-1]) + 1) * _FRAME


def centred_window(samples: Samples, count: int) -> Samples:
    """`count` samples around the middle of the speech, noise floor where the clip has none."""
    first, last = speech_span(samples)
    return _cut(samples, (first + last - count) // 2, count, np.random.default_rng(0))


def random_window(
    samples: Samples, count: int, rng: np.random.Generator, *, least: float = 0.6
) -> Samples:
    """`count` samples that hold at least part of the speech, anywhere in them.

    `least` is how much of the speech, or of the window where that is shorter, must be inside: the
    rest may be cut off at either end, as a sliding window does.
    """
    first, last = speech_span(samples)
    inside = int(least * min(count, last - first))
    return _cut(samples, int(rng.integers(first + inside - count, last - inside + 1)), count, rng)


def _cut(samples: Samples, start: int, count: int, rng: np.random.Generator) -> Samples:
    window = (rng.standard_normal(count) * _QUIET).astype(np.float32)
    first, last = max(0, start), min(len(samples), start + count)
    window[first - start : last - start] = samples[first:last]
    return window


def _filter(
    samples: Samples, response: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> Samples:
    size = _fft_size(len(samples) + 2048)
    frequency = np.maximum(np.fft.rfftfreq(size, 1 / SAMPLE_RATE), 1.0)
    filtered = np.fft.irfft(np.fft.rfft(samples, size) * response(frequency), size)
    return filtered[: len(samples)].astype(np.float32)


def _band(frequency: NDArray[np.float64], bottom: float, top: float) -> NDArray[np.float64]:
    """Gain of a gentle band pass: fourth order at both ends."""
    return 1.0 / np.sqrt((1 + (bottom / frequency) ** 8) * (1 + (frequency / top) ** 8))


def _rms(samples: FloatArray | NDArray[np.float64]) -> float:
    return float(np.sqrt(np.square(samples).mean())) + 1e-9


def _fft_size(count: int) -> int:
    """A length that the transform is fast at: the next multiple of 2048 (pocketfft likes it)."""
    return -(-count // 2048) * 2048

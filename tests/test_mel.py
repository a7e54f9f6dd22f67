"""Log-mel against plain loops in double precision, written from Whisper's definition."""

import cmath
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from models.mel import SlidingLogMel, log_mel, mel_filters


def reference(samples: list[float]) -> list[list[float]]:
    """Whisper's log-mel, (80, n // 160), one number at a time; the DFT from its definition."""
    window = [0.5 - 0.5 * math.cos(2 * math.pi * i / 400) for i in range(400)]
    mirrored = samples[200:0:-1] + samples + samples[-2:-202:-1]
    turns = [cmath.exp(-2j * math.pi * i / 400) for i in range(400)]

    def hertz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * math.exp((mel - 15) * math.log(6.4) / 27)

    top = 15 + 27 * math.log(8) / math.log(6.4)
    edges = [hertz(top * i / 81) for i in range(82)]
    columns = []
    for frame in range(len(samples) // 160):
        piece = [mirrored[160 * frame + i] * window[i] for i in range(400)]
        power = [
            abs(sum(piece[i] * turns[i * k % 400] for i in range(400))) ** 2 for k in range(201)
        ]
        column = []
        for low, centre, high in zip(edges, edges[1:], edges[2:], strict=False):
            energy = 0.0
            for k in range(201):
                rising, falling = (40 * k - low) / (centre - low), (high - 40 * k) / (high - centre)
                energy += power[k] * max(0.0, min(rising, falling)) * 2 / (high - low)
            column.append(math.log10(max(energy, 1e-10)))
        columns.append(column)
    loudest = max(map(max, columns))
    return [[(max(column[mel], loudest - 8) + 4) / 4 for column in columns] for mel in range(80)]


@pytest.mark.parametrize("count", [201, 1000, 1600])
def test_agrees_with_plain_loops(count: int) -> None:
    rng = np.random.default_rng(count)
    samples = (rng.standard_normal(count) * np.geomspace(1e-4, 0.3, count)).astype(np.float32)
    expected = np.array(reference(samples.astype(float).tolist()))
    np.testing.assert_allclose(log_mel(samples), expected, atol=2e-5)


def test_leading_axes_are_kept_and_each_row_is_scaled_by_itself() -> None:
    samples = np.random.default_rng(0).standard_normal((2, 3, 4800)).astype(np.float32)
    samples[1] *= 1e-3
    spectrogram = log_mel(samples)
    assert spectrogram.shape == (2, 3, 80, 30)
    assert spectrogram.dtype == np.float32
    np.testing.assert_allclose(spectrogram[1, 2], log_mel(samples[1, 2]), atol=1e-6)


def test_silence_is_finite_and_flat() -> None:
    np.testing.assert_allclose(log_mel(np.zeros(48000, dtype=np.float32)), -1.5, atol=1e-6)


def test_a_tone_lights_the_bin_of_its_frequency() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    loudest: NDArray[np.intp] = log_mel(tone).argmax(axis=0)
    centres = mel_filters(16000, 400, 80).argmax(axis=1) * 40.0
    assert np.all(np.abs(centres[loudest[2:-2]] - 1000.0) <= 40.0)


def test_filters_reach_from_nothing_to_half_the_rate() -> None:
    """Of MFCC at 44.1 kHz, and where all of it is linear: triangles 200 / 3 Hz per mel apart."""
    for rate, size, count in ((16000, 400, 80), (44100, 2048, 128), (1500, 2048, 20)):
        filters = mel_filters(rate, size, count)
        assert filters.shape == (count, size // 2 + 1)
        assert (filters[:, [0, -1]] == 0.0).all()
        assert ((filters > 0.0).sum(axis=0)[1:-1] >= 1).all()
    bins = filters.sum(axis=1) * rate / size  # each has an area of one
    np.testing.assert_allclose(bins, 1.0, rtol=0.01)
    middle = filters.argmax(axis=1) * rate / size
    np.testing.assert_allclose(np.diff(middle), 750.0 / 21, atol=rate / size)


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="201 samples, got 200"):
        log_mel(np.zeros(200, dtype=np.float32))


@pytest.mark.parametrize("count", [48000, 20000, 8050])
def test_sliding_over_the_sound_gives_the_very_same_bits(count: int) -> None:
    sound = np.random.default_rng(1).standard_normal(72000).astype(np.float32)
    sliding = SlidingLogMel(1600)
    starts = [0, 1600, 3200, 4800, 8000, 9600, 9601, 11201, 12801]  # skips one, leans by a sample
    for start in starts:
        window = sound[start : start + count].copy()
        np.testing.assert_array_equal(sliding(window), log_mel(window))


def test_a_window_that_grows_or_another_hop_is_computed_as_a_whole() -> None:
    sound = np.random.default_rng(2).standard_normal(48000).astype(np.float32)
    for hop in (1600, 800):
        sliding = SlidingLogMel(hop)
        for end in range(16000, 24000, hop):
            np.testing.assert_array_equal(sliding(sound[:end].copy()), log_mel(sound[:end]))
        np.testing.assert_array_equal(sliding(sound[hop:end].copy()), log_mel(sound[hop:end]))

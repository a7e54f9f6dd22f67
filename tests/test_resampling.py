"""Sound of any rate becomes 16 kHz mono, at the right time and however it is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from models.arrays import FloatArray
from realtime.messages import AudioPacket
from realtime.resampling import SpeechResampler, _bank
from realtime.rings import GAP_SECONDS
from realtime.sources.synthetic import speech_like
from tests.fakes.sources import sound

RATES = (8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000)


def tone(frequency: float, sample_rate: int, seconds: float = 1.0) -> FloatArray:
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    return np.asarray(0.5 * np.sin(2 * np.pi * frequency * times), np.float32)


Speech = tuple[float, FloatArray]


def through(packets: list[AudioPacket]) -> list[Speech]:
    resampler = SpeechResampler()
    results = [resampler.push(packet) for packet in packets] + [resampler.flush()]
    return [result for result in results if result is not None]


def joined(speech: list[Speech]) -> FloatArray:
    return np.concatenate([samples for _, samples in speech])


@pytest.mark.parametrize(
    ("rate", "frequency"),
    [(rate, each) for rate in RATES for each in (200.0, 3000.0, 6500.0) if each < 0.4 * rate],
)
def test_a_tone_keeps_its_phase_and_size(rate: int, frequency: float) -> None:
    result = joined(through(sound(tone(frequency, rate), rate, block=rate // 100)))
    assert len(result) == 16000
    inner = slice(500, -500)  # the edges meet the silence before and after
    np.testing.assert_allclose(result[inner], tone(frequency, 16000)[inner], atol=1e-4)


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 96000])
@pytest.mark.parametrize("frequency", [8000.0, 9000.0, 10500.0])
def test_what_16_khz_cannot_carry_is_gone(rate: int, frequency: float) -> None:
    result = joined(through(sound(tone(frequency, rate), rate)))
    assert np.abs(result[500:-500]).max() < 1e-4  # else it would come back as another tone


def test_sound_at_the_right_rate_passes_unchanged() -> None:
    samples = tone(440, 16000)
    np.testing.assert_array_equal(joined(through(sound(samples, 16000))), samples)


@pytest.mark.parametrize("rate", [7999, 47999, 191999])
def test_rates_with_no_divisor_in_common_are_resampled_too(rate: int) -> None:
    seconds, frequency = 2.0, 3000.0
    result = joined(through(sound(tone(frequency, rate, seconds), rate, block=rate // 100)))
    assert len(result) == 32000
    inner = slice(500, -500)
    np.testing.assert_allclose(result[inner], tone(frequency, 16000, seconds)[inner], atol=2e-4)


@pytest.mark.parametrize("rate", [7999, 15999, 16001, 47999, 191999, 767999])
def test_no_rate_wants_much_memory(rate: int) -> None:
    assert _bank(rate, 16000).nbytes < 8e6
    assert _bank(rate, 16000) is _bank(rate, 16000), "gaps would make it again and again"


@settings(max_examples=30, deadline=None)
@given(rate=st.sampled_from(RATES), data=st.data())
def test_the_cuts_between_packets_do_not_show(rate: int, data: DataObject) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, rate // 4).astype(np.float32)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(samples)), max_size=12)))
    packets = [
        AudioPacket(
            timestamp=first / rate, sequence=0, samples=samples[first:last, None], sample_rate=rate
        )
        for first, last in zip([0, *cuts], [*cuts, len(samples)], strict=True)
    ]
    whole = sound(samples, rate, block=len(samples))
    np.testing.assert_array_equal(joined(through(packets)), joined(through(whole)))


@pytest.mark.parametrize("rate", RATES)
def test_a_click_is_heard_when_it_was_made(rate: int) -> None:
    samples = np.zeros(rate, np.float32)
    samples[rate // 2] = 1.0
    results = through(sound(samples, rate, start=100.0, block=rate // 50))
    start, loudest = max(results, key=lambda speech: float(np.abs(speech[1]).max()))
    heard = start + int(np.abs(loudest).argmax()) / 16000
    made = 100 + (rate // 2) / rate
    assert heard == pytest.approx(made, abs=0.5 / 16000 + 1e-9)


@pytest.mark.parametrize("rate", RATES)
def test_packets_follow_on_and_lag_little(rate: int) -> None:
    resampler = SpeechResampler()
    end: float | None = None
    for number, packet in enumerate(sound(tone(300, rate), rate, start=5.0, block=rate // 100)):
        result = resampler.push(packet)
        if result is None:
            assert number == 0
            continue
        start, samples = result
        assert samples.ndim == 1
        assert not samples.flags.writeable
        if end is not None:
            assert start == pytest.approx(end, abs=1e-9)
        end = start + len(samples) / 16000
        assert packet.end - end < 0.008


@pytest.mark.parametrize("channels", [2, 6])
def test_channels_that_are_not_used_take_nothing_from_a_voice(channels: int) -> None:
    voice = tone(440, 48000)
    voice[:4800] = 0.0
    hiss = np.random.default_rng(0).uniform(-3e-4, 3e-4, (len(voice), channels))
    samples = hiss.astype(np.float32)
    samples[:, -1] += voice
    alone, blocks = joined(through(sound(voice, 48000))), (480, len(voice))
    cut, whole = (joined(through(sound(samples, 48000, block=block))) for block in blocks)
    np.testing.assert_allclose(whole[:1550], alone[:1550], atol=3e-4)
    np.testing.assert_allclose(whole[1820:], alone[1820:], atol=3e-3)  # 10 ms after it began
    np.testing.assert_array_equal(cut, whole)
    samples[24000:, 0] += voice[24000:]  # from here on there is another
    later = joined(through(sound(samples, 48000, block=480)))
    np.testing.assert_allclose(later[9000:-500], alone[9000:-500], atol=3e-3)


def decibels(samples: FloatArray) -> float:
    return 10 * float(np.log10(np.square(samples.astype(np.float64)).mean()))


def spoken(seconds: float = 4.0) -> FloatArray:
    return np.resize(speech_like(48000), round(seconds * 48000)).astype(np.float32)


def test_sides_that_are_turned_round_do_not_cancel_out() -> None:
    voice = spoken()
    heard = joined(through(sound(np.stack([voice, -voice], axis=1), 48000)))
    alone = joined(through(sound(voice, 48000)))
    np.testing.assert_allclose(heard[500:], alone[500:], atol=1e-6)
    nearly = np.random.default_rng(1).normal(0.0, 2e-3, (len(voice), 2)).astype(np.float32)
    nearly += voice[:, None] * np.array([1, -1], np.float32)  # each is the louder one at times
    heard = joined(through(sound(nearly, 48000)))
    way = np.sign(heard @ alone)  # whichever, but one from beginning to end
    np.testing.assert_allclose(way * heard[500:], alone[500:], atol=0.02)
    noise = 0.05 * np.random.default_rng(0).normal(size=(len(voice), 6)).astype(np.float32)
    noise += voice[:, None] * np.array([0, 1, 0, -1, 1, 0], np.float32)
    heard = joined(through(sound(noise, 48000)))[500:]
    assert np.corrcoef(np.abs(heard), np.abs(alone[500:]))[0, 1] > 0.9


@pytest.mark.parametrize("click", [0.01, 1.0])
def test_a_click_on_a_dead_side_costs_nothing_that_lasts(click: float) -> None:
    voice = spoken()
    samples = np.stack([voice, np.zeros_like(voice)], axis=1)
    samples[12000, 1] = click
    heard, alone = joined(through(sound(samples, 48000))), joined(through(sound(voice, 48000)))
    assert decibels(heard[8000:]) == pytest.approx(decibels(alone[8000:]), abs=0.5)


def test_hiss_on_other_channels_leaves_a_voice_as_loud_as_it_is() -> None:
    voice = spoken()
    samples = 0.002 * np.random.default_rng(0).normal(size=(len(voice), 6)).astype(np.float32)
    samples[:, 2] += voice
    heard, alone = joined(through(sound(samples, 48000))), joined(through(sound(voice, 48000)))
    assert decibels(heard[500:]) == pytest.approx(decibels(alone[500:]), abs=1.0)


def test_a_second_voice_on_the_other_side_is_heard_at_once() -> None:
    voice = spoken()
    half = len(voice) // 2
    samples = np.zeros((len(voice), 2), np.float32)
    samples[:half, 0], samples[half:, 1] = voice[:half], voice[half:]
    heard, alone = joined(through(sound(samples, 48000))), joined(through(sound(voice, 48000)))
    begins = slice(half // 3 + 500, half // 3 + 4000)
    assert decibels(heard[begins]) > decibels(alone[begins]) - 6.5


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_the_cuts_do_not_show_in_what_is_mixed(data: DataObject) -> None:
    rng = np.random.default_rng(1)
    samples = spoken(0.5)[:, None] * np.array([1, -0.7, 0.1], np.float32)
    samples += 0.01 * rng.normal(size=samples.shape).astype(np.float32)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(samples)), max_size=12)))
    packets = [
        AudioPacket(
            timestamp=first / 48000, sequence=0, samples=samples[first:last], sample_rate=48000
        )
        for first, last in zip([0, *cuts], [*cuts, len(samples)], strict=True)
    ]
    whole = sound(samples, 48000, block=len(samples))
    np.testing.assert_array_equal(joined(through(packets)), joined(through(whole)))


def test_channels_are_averaged() -> None:
    left, right = tone(300, 48000), tone(700, 48000)
    both = through(sound(np.stack([left, right], axis=1), 48000))
    mean = through(sound((left + right) / 2, 48000))
    np.testing.assert_allclose(joined(both), joined(mean), atol=1e-6)


@pytest.mark.parametrize("rate", RATES)
def test_samples_that_cannot_be_are_made_harmless(rate: int) -> None:
    samples = tone(440, rate)
    right = samples.copy()
    places = [rate // 4, rate // 3, rate // 2]
    samples[places], right[places] = (np.nan, np.inf, -7.0), (0.0, 1.0, -1.0)
    expected = joined(through(sound(right, rate)))
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(joined(through(sound(samples, rate))), expected)


def test_the_source_s_lean_towards_its_clock_is_followed() -> None:
    resampler = SpeechResampler()
    packets = sound(tone(300, 48000, 10.0), 48000)
    for packet in packets:
        leaning = AudioPacket(
            timestamp=packet.timestamp * 1.0002,  # 200 ppm
            sequence=packet.sequence,
            samples=packet.samples,
            sample_rate=48000,
        )
        result = resampler.push(leaning)
    assert result is not None
    start, samples = result
    assert leaning.end - (start + len(samples) / 16000) == pytest.approx(0.00313, abs=1e-4)


@pytest.mark.parametrize("gap", [2 * GAP_SECONDS, -2 * GAP_SECONDS, 3600.0])
def test_a_gap_begins_anew(gap: float) -> None:
    samples = tone(300, 48000)
    resampler = SpeechResampler()
    for packet in sound(samples, 48000):
        resampler.push(packet)
    results = [resampler.push(each) for each in sound(samples, 48000, start=1.0 + gap)]
    results.append(resampler.flush())
    there = [each for each in results if each is not None]
    assert there[0][0] == pytest.approx(1.0 + gap)
    np.testing.assert_array_equal(joined(there), joined(through(sound(samples, 48000))))


def test_another_rate_begins_anew() -> None:
    resampler = SpeechResampler()
    for packet in sound(tone(300, 48000), 48000):
        resampler.push(packet)
    results = [resampler.push(each) for each in sound(tone(300, 44100), 44100, start=1.0)]
    first = next(each for each in results if each is not None)
    assert first[0] == pytest.approx(1.0)


def test_nothing_in_nothing_out() -> None:
    resampler = SpeechResampler()
    assert resampler.flush() is None
    empty = np.zeros((0, 2), np.float32)
    packet = AudioPacket(timestamp=0.0, sequence=0, samples=empty, sample_rate=48000)
    assert resampler.push(packet) is None
    assert resampler.flush() is None

"""Rings: across the wrap, after overruns, after gaps."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle, islice, repeat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.emotion.speech import VoiceActivity
from realtime.messages import VideoPacket
from realtime.resampling import SpeechResampler
from realtime.rings import FrameRing, SampleRing
from tests.fakes.sources import jittered_speech


def frame(sequence: int) -> VideoPacket:
    return VideoPacket(
        timestamp=sequence / 30, sequence=sequence, image=np.zeros((2, 2, 3), np.uint8)
    )


def test_frames_are_read_once_and_in_order() -> None:
    ring = FrameRing(4)
    for number in range(3):
        ring.push(frame(number))
    frames, seen, missed = ring.read(0)
    assert [each.sequence for each in frames] == [0, 1, 2]
    assert missed == 0
    ring.push(frame(3))
    frames, seen, missed = ring.read(seen)
    assert [each.sequence for each in frames] == [3]
    assert ring.read(seen) == ([], 4, 0)


def test_overwritten_frames_are_counted() -> None:
    ring = FrameRing(4)
    for number in range(10):
        ring.push(frame(number))
    frames, seen, missed = ring.read(2)
    assert [each.sequence for each in frames] == [6, 7, 8, 9]
    assert (seen, missed) == (10, 4)
    newest = ring.latest()
    assert newest is not None
    assert newest.sequence == 9


def test_few_pictures_wait_since_large_ones_take_much_memory() -> None:
    ring = FrameRing()
    for number in range(60):
        ring.push(frame(number))
    frames, _, missed = ring.read(0)
    assert [each.sequence for each in frames] == [56, 57, 58, 59]
    assert missed == 56


def test_a_cleared_ring_has_nothing_to_show() -> None:
    ring = FrameRing(2)
    ring.push(frame(0))
    ring.clear()
    assert ring.latest() is None


def test_a_frame_ring_holds_at_least_one() -> None:
    with pytest.raises(ValueError, match="not 0"):
        FrameRing(0)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_samples_come_back_whatever_the_packets(lengths: list[int]) -> None:
    ring = SampleRing(1000, 0.7)
    signal = np.arange(sum(lengths), dtype=np.float32)
    start = 0
    for length in lengths:
        ring.push(5 + start / 1000, signal[start : start + length])
        start += length
    held = min(start, 700)
    first, samples = ring.read(0, 100)
    np.testing.assert_array_equal(samples, signal[start - held :])
    assert first == pytest.approx(5 + (start - held) / 1000)
    assert ring.end_seconds == pytest.approx(5 + start / 1000)


def test_a_span_is_cut_to_what_is_there() -> None:
    ring = SampleRing(1000, 1.0)
    assert ring.end_seconds is None
    ring.push(2.0, np.arange(500, dtype=np.float32))
    start, samples = ring.read(2.1, 2.2)
    assert start == pytest.approx(2.1)
    np.testing.assert_array_equal(samples, np.arange(100, 200))
    assert len(ring.read(3.0, 4.0)[1]) == 0
    assert len(ring.read(0.0, 1.0)[1]) == 0


def test_a_gap_starts_anew_and_what_was_before_it_stays() -> None:
    ring = SampleRing(1000, 0.25)
    ring.push(0.0, np.zeros(100, np.float32))
    ring.push(0.5, np.full(100, 2, np.float32))  # 400 ms late: sound was lost
    start, samples = ring.read(0, 1)
    assert start == 0.5
    np.testing.assert_array_equal(samples, np.full(100, 2))
    start, samples = ring.read(0, 0.5)  # a window that is read late
    assert start == 0.0
    np.testing.assert_array_equal(samples, np.zeros(100))
    ring.push(0.6, np.full(200, 2, np.float32))
    assert len(ring.read(0, 0.5)[1]) == 0  # overwritten
    assert ring.read(0, 1)[0] == pytest.approx(0.55)


def test_sound_whose_time_falls_back_counts_from_then_on() -> None:
    ring = SampleRing(1000, 1.0)
    ring.push(5.0, np.zeros(100, np.float32))
    ring.push(4.9, np.ones(100, np.float32))
    start, samples = ring.read(4.0, 4.95)
    assert start == pytest.approx(4.9)
    np.testing.assert_array_equal(samples, np.ones(50))
    np.testing.assert_array_equal(ring.read(4.0, 5.1)[1], np.ones(100))


def test_new_samples_are_told_as_they_are_kept() -> None:
    ring = SampleRing(1000, 0.25)
    start, samples = ring.push(0.0, np.zeros(100, np.float32))
    assert (start, len(samples)) == (0.0, 100)
    assert ring.push(0.5, np.ones(100, np.float32))[0] == 0.5
    start, samples = ring.push(0.606, np.ones(300, np.float32))  # 6 ms late
    assert start == pytest.approx(0.6)
    assert len(samples) == 305
    assert ring.end_seconds == pytest.approx(start + 0.305)
    ring.clear()
    assert ring.end_seconds is None
    assert ring.push(0.9, np.ones(10, np.float32))[0] == 0.9


def test_a_leaning_clock_bends_the_sound_that_comes_then() -> None:
    ring = SampleRing(1000, 1.0)
    ramp = np.arange(300, dtype=np.float32)
    ring.push(0.0, ramp[:100])
    ring.push(0.101, ramp[100:200])  # within the slack
    before = ring.read(0, 0.2)
    ring.push(0.206, ramp[200:])  # 6 ms late: two samples more, which is all that 100 may bend
    assert ring.end_seconds == pytest.approx(0.302)
    start, samples = ring.read(0, 0.2)
    assert start == before[0]
    np.testing.assert_array_equal(samples, before[1])
    samples = ring.read(0, 1)[1]
    assert len(samples) == 302
    assert np.all(np.diff(samples) > 0.9)  # neither a leap nor a repetition
    assert (samples[0], samples[-1]) == (0, 299)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
@settings(max_examples=5, deadline=None)
def test_windows_hold_the_same_however_late_they_are_read(bursts: list[int]) -> None:
    """Packets come in `bursts`, over and over, and windows are read after each."""
    packets = jittered_speech(7.0)
    # Some are lost, so that a window is read before and after its sound has begun anew.
    packets = packets[:450] + packets[460:]

    def windows(bursts: Iterable[int]) -> dict[int, tuple[bytes, float, float | None]]:
        ring, resampler, activity = SampleRing(16000, 5.0), SpeechResampler(), VoiceActivity(5.0)
        found: dict[int, tuple[bytes, float, float | None]] = {}
        index, waiting = 1, iter(packets)
        for burst in bursts:
            if not (come := list(islice(waiting, burst))):
                break
            for packet in come:
                speech = resampler.push(packet)
                if speech is not None:
                    activity.push(*ring.push(*speech))
            while index * 0.1 <= (ring.end_seconds or 0.0):
                start, end = index * 0.1 - 3.0, index * 0.1
                found[index] = (
                    ring.read(start, end)[1].tobytes(),
                    activity.speech_seconds(start, end),
                    activity.last_speech(start, end),
                )
                index += 1
        return found

    found = windows(cycle(bursts))
    assert len(found) >= 69
    assert max(speech for _, speech, _ in found.values()) > 2
    assert found == windows(repeat(1))

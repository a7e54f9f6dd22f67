"""Rings: across the wrap, after overruns, after gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.messages import VideoPacket
from realtime.rings import FrameRing, SampleRing


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
    assert ring.start_seconds is None
    assert ring.end_seconds is None
    ring.push(2.0, np.arange(500, dtype=np.float32))
    start, samples = ring.read(2.1, 2.2)
    assert start == pytest.approx(2.1)
    np.testing.assert_array_equal(samples, np.arange(100, 200))
    assert len(ring.read(3.0, 4.0)[1]) == 0
    assert len(ring.read(0.0, 1.0)[1]) == 0


def test_a_gap_starts_anew_and_small_drift_is_followed() -> None:
    ring = SampleRing(1000, 1.0)
    ring.push(0.0, np.zeros(100, np.float32))
    ring.push(0.102, np.ones(100, np.float32))  # 2 ms late: a clock that leans
    assert ring.end_seconds == pytest.approx(0.202)
    assert len(ring.read(0, 1)[1]) == 200
    ring.push(0.5, np.full(100, 2, np.float32))  # 300 ms late: sound was lost
    start, samples = ring.read(0, 1)
    assert start == pytest.approx(0.5)
    np.testing.assert_array_equal(samples, np.full(100, 2))

"""Generated input keeps the clock's pace and behaves like a device."""

from __future__ import annotations

import numpy as np
import pytest

from realtime.clock import MonotonicClock
from realtime.emotion.speech import VoiceActivity
from realtime.resampling import SpeechResampler
from realtime.sources.base import SourceError
from realtime.sources.microphone import BLOCK_SECONDS
from realtime.sources.synthetic import SyntheticCamera, SyntheticMicrophone, speech_like
from tests.fakes.sources import ManualClock


def test_pictures_come_at_the_clock_s_pace() -> None:
    clock = ManualClock(7.0)
    with SyntheticCamera(clock, size=(64, 36), frame_rate=25.0) as camera:
        for number in range(50):
            packet = camera.read(0.0)
            assert packet is not None
            assert packet.sequence == number
            assert packet.timestamp == pytest.approx(7.0 + number / 25)
            assert packet.image.shape == (36, 64, 3)
            assert not packet.image.flags.writeable
            assert camera.read(0.0) is None
            clock.advance(1 / 25)


def test_a_slow_reader_gets_the_newest_picture() -> None:
    clock = ManualClock()
    with SyntheticCamera(clock, size=(64, 36)) as camera:
        camera.read(0.0)
        clock.advance(0.5)
        packet = camera.read(0.0)
        assert packet is not None
        assert packet.sequence == 15


def test_the_face_moves_and_stays_inside() -> None:
    face = np.full((30, 20, 3), (250, 5, 120), np.uint8)
    camera = SyntheticCamera(ManualClock(), size=(128, 72), image=face)
    places = set()
    for number in range(0, 300, 10):
        rows, columns = np.nonzero((camera.picture(number) == face[0, 0]).all(axis=2))
        assert np.ptp(rows) == 29
        assert np.ptp(columns) == 19
        places.add((rows.min(), columns.min()))
    assert len(places) > 20


def test_a_large_picture_is_shrunk() -> None:
    image = np.full((1440, 2560, 3), 255, np.uint8)
    camera = SyntheticCamera(ManualClock(), size=(128, 72), image=image)
    white = (camera.picture(0) == 255).all(axis=2)
    assert 0.7 < white.mean() < 0.9


def test_sound_follows_on_and_is_the_loop() -> None:
    clock = ManualClock(3.0)
    samples = np.linspace(-1, 1, 1000, dtype=np.float32)
    with SyntheticMicrophone(clock, sample_rate=8000, samples=samples) as microphone:
        assert microphone.read(0.0) is None, "a block is there when its last sample is"
        heard = []
        for number in range(60):
            clock.advance(BLOCK_SECONDS)
            packet = microphone.read(0.0)
            assert packet is not None
            assert packet.timestamp == pytest.approx(3.0 + number * BLOCK_SECONDS)
            heard.append(packet.samples)
    np.testing.assert_array_equal(np.concatenate(heard)[:, 0], np.resize(samples, 2400))


def test_a_slow_listener_is_told_what_was_lost() -> None:
    clock = ManualClock()
    with SyntheticMicrophone(clock) as microphone:
        clock.advance(0.5)
        packet = microphone.read(0.0)
        assert packet is not None
        assert packet.sequence == 0
        assert not packet.overflowed
        clock.advance(3.0)
        packet = microphone.read(0.0)
        assert packet is not None
        assert packet.overflowed
        assert packet.timestamp == pytest.approx(2.5)


def test_it_takes_a_voice_detector_in() -> None:
    activity, resampler = VoiceActivity(4.0), SpeechResampler()
    clock = ManualClock()
    with SyntheticMicrophone(clock, samples=speech_like(48000)) as microphone:
        for _ in range(800):
            clock.advance(BLOCK_SECONDS)
            packet = microphone.read(0.0)
            assert packet is not None
            speech = resampler.push(packet)
            if speech is not None:
                activity.push(*speech)
    assert activity.speech_seconds(1.0, 4.0) > 2.7


def test_real_time_passes() -> None:
    with SyntheticCamera(MonotonicClock(), size=(64, 36)) as camera:
        packets = [packet for _ in range(4) if (packet := camera.read(5.0)) is not None]
    assert len(packets) == 4
    assert packets[-1].timestamp - packets[0].timestamp >= 3 / 30 - 1e-6


def test_read_wants_an_open_source() -> None:
    camera = SyntheticCamera(ManualClock(), size=(64, 36))
    with pytest.raises(SourceError, match="not open"):
        camera.read(0.0)
    with camera:
        pass
    with pytest.raises(SourceError, match="not open"):
        camera.read(0.0)

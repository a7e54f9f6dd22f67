"""A recording's sound: in step with the picture, silent where it should be, never in the way."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.arrays import FloatArray
from realtime.clock import MonotonicClock
from realtime.messages import AudioPacket, SessionState
from realtime.playback import (
    BEHIND_SECONDS,
    BLOCK_SECONDS,
    IDLE_SECONDS,
    RETRY_SECONDS,
    SoundPlayback,
)
from realtime.recording.players import SoundPlayer
from realtime.replay import ReplaySession
from realtime.sources.microphone import MicrophoneSource
from tests.fakes.engine import task
from tests.fakes.loudspeaker import Loudspeaker
from tests.fakes.pulse import VirtualMicrophone
from tests.fakes.session import ManualTime
from tests.fakes.waiting import wait_for
from tests.recordings import joined, movie, sound_file

SECONDS = 30.0
DELAY = 0.08  # of the loudspeaker


@pytest.fixture(scope="module")
def ramp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording whose sound says where it is: it rises from 0.1 to 0.9."""
    samples = np.linspace(0.1, 0.9, round(SECONDS * 16000), dtype=np.float32)
    return sound_file(tmp_path_factory.mktemp("ramp") / "ramp.wav", samples, 16000)


@pytest.fixture
def loudspeaker(monkeypatch: pytest.MonkeyPatch) -> Loudspeaker:
    speaker = Loudspeaker()
    monkeypatch.setitem(sys.modules, "sounddevice", speaker)
    return speaker


class Deck:
    """A playback whose clock, sound thread and sound card the test drives."""

    def __init__(self, path: Path, loudspeaker: Loudspeaker) -> None:
        self.now = ManualTime()
        self.began: float | None = None
        self.anew = threading.Event()
        self.playback = SoundPlayback(
            path, lambda: self.began, self.now, threading.Event(), self.anew
        )
        self._loudspeaker = loudspeaker

    def play_from(self, position: float) -> None:
        """Begin there, or leap there."""
        self.began = self.now() - position

    def run(self, seconds: float, *, drift: float = 0.0, late: float = 0.0) -> FloatArray:
        """Let time pass, (n_blocks, n_samples, n_channels) is heard.

        The sound card's second is off by `drift`; callbacks come up to `late` seconds late.
        """
        chance = np.random.default_rng(0)
        blocks = []
        start = self.now()
        for number in range(round(seconds / BLOCK_SECONDS)):
            self.playback.step()
            due = start + number * BLOCK_SECONDS * (1 + drift)
            self.now.seconds = due + late * chance.random()
            blocks.append(self._loudspeaker.streams[-1].play(DELAY))
        self.now.seconds = start + len(blocks) * BLOCK_SECONDS * (1 + drift)
        return np.array(blocks)

    def apart(self, blocks: FloatArray, *, drift: float = 0.0) -> FloatArray:
        """How far sound was ahead of the picture at each fully audible block's first sample."""
        assert self.began is not None
        step = BLOCK_SECONDS * (1 + drift)
        heard_at = self.now() + DELAY - step * np.arange(len(blocks), 0, -1)
        positions = np.array([_position(block) for block in blocks])
        full = [number for number in range(1, len(blocks)) if _is_ramp(blocks[number])]
        apart: FloatArray = (positions - (heard_at - self.began))[full]
        return apart


def _is_ramp(block: FloatArray) -> bool:
    slope = np.diff(block[:, 0])
    return bool(block.min() > 0.06 and np.ptp(slope) < 1e-4)


def _position(block: FloatArray) -> float:
    """Where in the recording a block of the ramp begins."""
    level = block[0, 0] * block.shape[1] ** 0.5  # one channel is shared out evenly
    return float((level - 0.1) / 0.8 * SECONDS)


@pytest.fixture
def deck(ramp: Path, loudspeaker: Loudspeaker) -> Iterator[Deck]:
    deck = Deck(ramp, loudspeaker)
    yield deck
    deck.playback.close()
    assert all(stream.closed for stream in loudspeaker.streams)


def test_sound_is_in_step_with_the_picture_also_after_a_leap(deck: Deck) -> None:
    for position in (0.0, 12.0, 4.0, 4.5, 3.9):
        deck.play_from(position)
        blocks = deck.run(2.0)
        assert (blocks[..., 0] == blocks[..., 1]).all()
        apart = deck.apart(blocks[3:])  # a leap fades out here and in there
        assert len(apart) > 90
        assert np.abs(apart).max() < 0.002


@pytest.mark.parametrize("drift", [-0.002, 0.002])
def test_a_sound_card_that_drifts_stays_in_step(deck: Deck, drift: float) -> None:
    deck.play_from(0.0)
    blocks = deck.run(28.0, drift=drift)
    apart = deck.apart(blocks, drift=drift)
    assert len(apart) > 0.99 * len(blocks)
    assert np.abs(apart).max() < 0.05


def test_callbacks_that_come_late_are_no_reason_to_leap(deck: Deck) -> None:
    deck.play_from(0.0)
    blocks = deck.run(20.0, late=0.03)
    assert len(deck.apart(blocks)) == len(blocks) - 1  # the first fades in
    assert np.abs(deck.apart(blocks)).max() < 0.05


def test_it_is_silent_while_paused_or_muted_and_does_not_click(deck: Deck) -> None:
    deck.play_from(5.0)
    heard = [deck.run(1.0)]
    deck.began = None
    heard.append(deck.run(1.0))
    deck.play_from(5.5)
    heard.append(deck.run(1.0))
    deck.playback.muted = True
    heard.append(deck.run(1.0))
    for silent in (heard[1], heard[3]):
        assert (silent[1:] == 0).all()
    assert len(deck.apart(heard[2])) == len(heard[2]) - 1
    wave = np.concatenate(heard).reshape(-1, 2)[:, 0]
    assert np.abs(np.diff(wave)).max() < 0.002


def test_before_and_after_the_recording_there_is_silence(deck: Deck) -> None:
    deck.play_from(SECONDS - 1.0)
    blocks = deck.run(2.0)
    assert len(deck.apart(blocks)) > 40
    assert (blocks[50:] == 0).all()
    deck.play_from(10.0)  # and back again
    assert len(deck.apart(deck.run(1.0))) > 45


def test_only_some_seconds_are_decoded_at_a_time(deck: Deck) -> None:
    for position in (0.0, 15.0, 29.0, 3.0):
        deck.play_from(position)
        deck.run(1.0)
        kept = sum(len(samples) for _, samples in deck.playback._blocks)
        assert kept < 2 * 48000


def test_sound_that_was_sought_in_the_wrong_place_is_sought_again(
    tmp_path: Path, loudspeaker: Loudspeaker
) -> None:
    parts = [movie(tmp_path / f"{seconds}.ts", seconds=seconds) for seconds in (2.0, 4.0)]
    deck = Deck(joined(tmp_path / "joined.ts", *parts), loudspeaker)
    deck.play_from(3.0)
    deck.run(0.1)
    player = deck.playback._player
    assert player is not None
    deck.anew.set()  # as by the analysis, which comes there now
    assert player.lost
    deck.run(0.1)
    assert not player.lost
    first, samples = deck.playback._blocks[0]
    assert first / 48000 == pytest.approx(3.0 - BEHIND_SECONDS, abs=0.3)
    assert np.abs(samples).max() > 0.3
    deck.playback.close()


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.avi"])
def test_rounded_times_leave_no_cracks(name: str, tmp_path: Path, loudspeaker: Loudspeaker) -> None:
    deck = Deck(movie(tmp_path / name, seconds=4.0, sample_rate=44100), loudspeaker)
    deck.play_from(0.0)
    wave = deck.run(3.5)[2:].reshape(-1, 2)[:, 0]
    deck.playback.close()
    # A tone of 440 Hz bends this much at most; a sample that is missing more.
    assert np.abs(np.diff(wave, 2)).max() < 1.5 * 0.6 * (2 * np.pi * 440 / 48000) ** 2


def test_one_channel_at_another_rate_will_do(ramp: Path, loudspeaker: Loudspeaker) -> None:
    loudspeaker.channels, loudspeaker.sample_rate = 1, 44100
    deck = Deck(ramp, loudspeaker)
    deck.play_from(2.0)
    blocks = deck.run(1.0)
    deck.playback.close()
    assert blocks.shape == (50, 882, 1)
    assert np.abs(deck.apart(blocks)).max() < 0.002


def test_without_a_loudspeaker_it_says_so_until_there_is_one(
    deck: Deck, loudspeaker: Loudspeaker
) -> None:
    loudspeaker.plugged_in = False
    deck.play_from(0.0)
    deck.playback.step()
    assert deck.playback.problem == "there is no loudspeaker: plug one in, or headphones"
    loudspeaker.plugged_in, loudspeaker.taken = True, True
    deck.now.advance(RETRY_SECONDS)
    deck.playback.step()
    assert deck.playback.problem == "Headphones cannot be opened (device unavailable)"
    loudspeaker.taken = False
    deck.playback.step()  # not yet
    assert not loudspeaker.streams
    deck.now.advance(RETRY_SECONDS)
    assert len(deck.apart(deck.run(1.0))) > 45
    assert deck.playback.problem == ""
    loudspeaker.streams[-1].runs = False
    deck.playback.step()
    assert "stopped" in deck.playback.problem
    deck.now.advance(RETRY_SECONDS)
    deck.play_from(3.0)
    assert len(deck.apart(deck.run(1.0))) > 45


@pytest.mark.parametrize("query", ["hostapis", "devices"])
def test_a_sound_system_that_does_not_answer_is_asked_again(
    deck: Deck, loudspeaker: Loudspeaker, query: str
) -> None:
    loudspeaker.failing = query
    deck.play_from(0.0)
    deck.playback.step()
    told = f"the sound system does not answer: Error querying {query}"
    assert deck.playback.problem == told
    loudspeaker.failing = ""
    deck.now.advance(RETRY_SECONDS)
    assert len(deck.apart(deck.run(1.0))) > 45
    assert deck.playback.problem == ""


def test_a_loudspeaker_that_nothing_can_be_told_of_has_stopped(
    deck: Deck, loudspeaker: Loudspeaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    deck.play_from(0.0)
    deck.run(1.0)
    stream = loudspeaker.streams[-1]
    stream.broken = True
    monkeypatch.setattr(stream, "abort", lambda ignore_errors: told.append(deck.playback.problem))
    deck.playback.step()
    assert told == [deck.playback.problem], "it is told also where the driver never lets go"
    assert "stopped" in deck.playback.problem
    assert loudspeaker.streams[-1].closed
    deck.now.advance(RETRY_SECONDS)
    assert len(deck.apart(deck.run(1.0))) > 45
    assert deck.playback.problem == ""


def test_without_portaudio_it_says_so(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoPortAudio:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice")
    monkeypatch.setattr(sys, "meta_path", [NoPortAudio(), *sys.meta_path])
    deck.play_from(0.0)
    deck.playback.step()
    assert "PortAudio is missing" in deck.playback.problem


def test_after_some_silence_the_device_is_let_go(deck: Deck, loudspeaker: Loudspeaker) -> None:
    deck.play_from(0.0)
    deck.run(1.0)
    deck.began = None
    deck.run(IDLE_SECONDS - 0.1)
    deck.now.advance(0.2)
    deck.playback.step()
    assert loudspeaker.streams[-1].closed
    deck.play_from(8.0)
    assert len(deck.apart(deck.run(1.0))) > 45
    assert len(loudspeaker.streams) == 2


# -- in a session ---------------------------------------------------------------------------------


@pytest.fixture
def now() -> ManualTime:
    return ManualTime()


@pytest.fixture
def session(ramp: Path, loudspeaker: Loudspeaker, now: ManualTime) -> Iterator[ReplaySession]:
    """The recording, analysed to its end, at its beginning."""
    session = ReplaySession(ramp, task(), sound=True, now=now)
    session.start()
    wait_for(lambda: session.snapshot().state is SessionState.ENDED, "the end of the analysis")
    yield session
    session.stop()
    assert all(stream.closed for stream in loudspeaker.streams)


def heard(loudspeaker: Loudspeaker) -> float | None:
    """What position the loudspeaker is at now, None while it is silent."""
    if not loudspeaker.streams or not loudspeaker.streams[-1].active:
        return None
    block = loudspeaker.streams[-1].play(DELAY)
    return _position(block) - DELAY if _is_ramp(block) else None


def test_what_is_done_to_the_picture_is_done_to_the_sound(
    session: ReplaySession, loudspeaker: Loudspeaker, now: ManualTime
) -> None:
    def in_step() -> bool:
        now.advance(BLOCK_SECONDS)
        position = heard(loudspeaker)
        return position is not None and abs(position - session.playback.position) < 0.04

    def silent() -> bool:
        now.advance(BLOCK_SECONDS)
        return heard(loudspeaker) is None

    wait_for(in_step, "sound")
    session.seek(20.0)
    wait_for(in_step, "sound after a leap")
    session.set_speed(2.0)
    wait_for(silent, "silence at another speed")
    session.set_speed(1.0)
    session.seek(3.0)
    wait_for(in_step, "sound again")
    session.pause()
    wait_for(silent, "silence in a pause")
    session.resume()
    wait_for(in_step, "sound after the pause")
    session.set_muted(True)
    wait_for(silent, "silence when muted")
    session.set_muted(False)
    session.seek(5.0)
    wait_for(in_step, "sound that is no longer muted")
    session.seek(SECONDS)
    wait_for(silent, "silence at the end")
    assert session.playback.sound_problem == ""


def test_a_recording_without_sound_says_so(
    tmp_path: Path, loudspeaker: Loudspeaker, now: ManualTime
) -> None:
    path = movie(tmp_path / "silent.mp4", sound=None)
    session = ReplaySession(path, task(), sound=True, now=now)
    session.start()
    try:
        wait_for(lambda: session.snapshot().state is SessionState.ENDED, "the end of the analysis")
        assert session.playback.sound_problem == "the recording has none"
    finally:
        session.stop()
    assert not loudspeaker.streams


def test_a_real_sound_server_plays_in_step(demo: Path) -> None:
    """The demo recording is played into a sink, which is listened to on the session's clock."""
    clock = MonotonicClock()
    with VirtualMicrophone():
        session = ReplaySession(demo, task(), play=False, sound=True, now=clock.now)
        session.start()
        try:
            wait_for(lambda: session.snapshot().state is SessionState.ENDED, "the analysis")
            with MicrophoneSource("default", clock) as microphone:
                session.resume()
                began = clock.now() - session.playback.position
                heard: list[AudioPacket] = []
                while session.playback.position < 9.2:
                    packet = microphone.read(0.1)
                    # Opening the device takes its time; from here on somebody speaks.
                    if packet is not None and packet.timestamp - began > 7.2:
                        heard.append(packet)
        finally:
            session.stop()
    rate = heard[0].sample_rate
    with SoundPlayer(demo, sample_rate=rate, channels=1) as player:
        blocks = iter(player.read, None)
        recorded = np.concatenate([samples[:, 0] for _, samples in blocks])
    part = np.concatenate([packet.samples[:, 0] for packet in heard])[:rate]
    place = 5 * rate
    place += int(np.argmax(np.correlate(recorded[place : 11 * rate], part, "valid")))
    found = recorded[place : place + rate]
    assert np.corrcoef(part, found)[0, 1] > 0.9
    assert abs(place / rate - (heard[0].timestamp - began)) < 0.1


@pytest.mark.parametrize("rate", [48000, 44100])
def test_what_is_no_sound_does_not_reach_the_loudspeaker(tmp_path: Path, rate: int) -> None:
    samples = np.full(48000, 0.25, np.float32)
    samples[1000], samples[2000], samples[3000:3010] = np.nan, np.inf, 1e30
    path = sound_file(tmp_path / "odd.wav", samples, 48000)
    with SoundPlayer(path, sample_rate=rate, channels=1) as player:
        heard = np.concatenate([block for _, block in iter(player.read, None)])
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() < 1.2  # a resampler rings at an edge
    assert np.mean(np.abs(heard - 0.25) < 0.01) > 0.98

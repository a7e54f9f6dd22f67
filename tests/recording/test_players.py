"""The picture and the sound of an instant, wherever playback leaps."""

from __future__ import annotations

import random
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from realtime.recording.players import FramePlayer, SoundPlayer
from realtime.recording.recording import Recording
from realtime.recording.track import RecordedTrack, Timed
from realtime.sources.base import UnreadableFileError
from tests import recordings
from tests.recording.test_recording import JOINED, Make, Read
from tests.recordings import movie


@pytest.mark.parametrize("name", ["p.mp4", "p.mkv", "p.ts", "p.avi", "p.webm"])
def test_the_player_shows_the_picture_of_the_instant(tmp_path: Path, name: str) -> None:
    options: dict[str, Any] = {}
    if name == "p.webm":
        options = {"codec": "libvpx-vp9", "sound": "libopus", "sound_format": "flt"}
    path = movie(tmp_path / name, seconds=4.0, **options)
    pictures = Read(path).pictures
    chance = random.Random(0)
    forward = list(range(0, 100, 3))
    with FramePlayer(path) as player:
        for index in [*forward, *chance.sample(range(100), 30), 99, 0]:
            packet = player.frame_at(pictures[index].timestamp + 0.01)
            assert packet.timestamp == pytest.approx(pictures[index].timestamp, abs=1e-9)
            assert np.array_equal(packet.image, pictures[index].image)


@pytest.mark.parametrize("make", [make for make, _ in JOINED])
def test_where_times_begin_anew_a_leap_leads_to_what_is_played(tmp_path: Path, make: Make) -> None:
    path, anew = make(tmp_path / "joined.ts"), threading.Event()
    chance = random.Random(0)
    with FramePlayer(path, anew=anew) as early:
        early.frame_at(0.0)
        early.frame_at(2.4)  # where nobody knows yet that this leads elsewhere
        pictures = Read(path, anew=anew).pictures
        indices = [*chance.sample(range(len(pictures)), 25), len(pictures) - 1, 0]
        with FramePlayer(path, anew=anew) as late:
            for player in (early, late):
                for index in indices:
                    packet = player.frame_at(pictures[index].timestamp + 0.01)
                    assert packet.timestamp == pictures[index].timestamp
                    assert np.array_equal(packet.image, pictures[index].image)


def test_a_picture_that_cannot_be_converted_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = movie(tmp_path / "p.mp4")
    convert = RecordedTrack.image

    def fails_at_ten(track: RecordedTrack, timed: Timed) -> Any:
        if timed.time == pytest.approx(0.4):
            raise ValueError("no such format")
        return convert(track, timed)

    monkeypatch.setattr(RecordedTrack, "image", fails_at_ten)
    read = Read(path)
    assert 0.4 not in [pytest.approx(time) for time in read.times]
    with FramePlayer(path) as player:
        before = player.frame_at(0.37)
        assert player.frame_at(0.41) is before
        following = player.frame_at(0.45)
        assert following.timestamp == pytest.approx(0.44)
        assert following.sequence == before.sequence + 1
        assert player.frame_at(0.41) is following  # until another one can be shown
        assert player.frame_at(0.37).timestamp == before.timestamp
    with FramePlayer(path) as player, pytest.raises(UnreadableFileError, match="cannot be shown"):
        player.frame_at(0.41)


@pytest.mark.parametrize("make", [make for make, _ in JOINED])
def test_where_times_begin_anew_the_sound_of_an_instant_is_played(
    tmp_path: Path, make: Make
) -> None:
    path, anew = make(tmp_path / "joined.ts"), threading.Event()
    with SoundPlayer(path, sample_rate=48000, channels=1, anew=anew) as player:
        whole = dict(iter(player.read, None))
        assert anew.is_set()
        starts = np.array([*whole])
        for seconds in (2.0, 0.5, starts[-1] - 0.1, 0.1):
            player.seek(seconds)
            assert not player.lost
            sounds = [sound for _ in range(8) if (sound := player.read()) is not None]
            before = starts[starts <= seconds][-1]
            assert sounds[0][0] == pytest.approx(before, abs=0.03)
            time, samples = sounds[-1]
            same = starts[np.abs(starts - time).argmin()]
            assert time == pytest.approx(same, abs=0.01)  # as times lean
            assert samples == pytest.approx(whole[same], abs=0.02)


def test_the_player_keeps_to_the_ends(tmp_path: Path) -> None:
    with FramePlayer(movie(tmp_path / "p.mp4", sound_seconds=3.0)) as player:
        last = player.frame_at(100.0)
        assert last.timestamp == pytest.approx(0.96)
        assert player.frame_at(2.5) is last
        first = player.frame_at(-1.0)
        assert first.timestamp == 0.0
        assert player.frame_at(0.0) is first
        assert player.frame_at(0.039) is first
        following = player.frame_at(0.041)
        assert following.timestamp == pytest.approx(0.04)
        assert following.sequence == first.sequence + 1


def test_playing_forward_does_not_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FramePlayer(movie(tmp_path / "p.mp4", seconds=4.0)) as player:

        def refuse(_: object) -> None:
            raise AssertionError("searched")

        monkeypatch.setattr(player, "_seek", refuse)
        for index in range(0, 100, 8):
            player.frame_at(index / 25)


def test_a_picture_may_be_asked_for_as_often_as_one_likes(tmp_path: Path) -> None:
    with FramePlayer(movie(tmp_path / "p.mp4")) as player:
        shown = player.frame_at(0.5)
        for _ in range(300_000):  # half an hour of playing
            assert player.frame_at(0.5) is shown
        assert player.frame_at(0.7).timestamp == pytest.approx(0.68)


@pytest.mark.parametrize("name", ["p.mp4", "p.mkv", "p.ts"])
def test_where_there_is_only_sound_the_player_does_not_search_again(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = movie(tmp_path / name, times=[3.0 + k / 25 for k in range(25)], sound_seconds=8.0)
    pictures = Read(path).pictures
    searched: list[float] = []
    with FramePlayer(path) as player:
        search = player._seek

        def noted(wanted: float) -> None:
            searched.append(wanted)
            search(wanted)

        monkeypatch.setattr(player, "_seek", noted)
        for start, picture in ((0.5, pictures[0]), (6.0, pictures[-1]), (0.5, pictures[0])):
            searched.clear()
            first = player.frame_at(start)
            assert first.timestamp == pytest.approx(picture.timestamp, abs=1e-9)
            assert all(player.frame_at(start + k / 30) is first for k in range(30))
            assert len(searched) <= 1


def test_the_player_shows_pictures_on_the_recordings_time(tmp_path: Path) -> None:
    times = [0.5 + index / 25 for index in range(25)]
    path = movie(tmp_path / "late_picture.mkv", times=times)
    pictures = Read(path).pictures
    with FramePlayer(path) as player:
        assert player.frame_at(0.0).timestamp == pictures[0].timestamp
        assert player.frame_at(0.8).timestamp == pytest.approx(0.78, abs=0.03)


def test_the_player_needs_pictures(tmp_path: Path) -> None:
    path = movie(tmp_path / "sound.m4a", codec=None)
    with pytest.raises(UnreadableFileError, match=r"sound\.m4a has no picture"):
        FramePlayer(path)


@pytest.mark.parametrize("name", ["s.wav", "s.mkv", "s.mp4", "s.ts", "s.avi", "s.webm"])
def test_sound_is_played_from_any_instant(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name in ("s.wav", "s.mkv"):
        noise = np.random.default_rng(0).normal(0.0, 0.1, 4 * 48000).astype(np.float32)
        recordings.sound_file(path, noise, 48000)
    else:
        options: dict[str, Any] = {}
        if name == "s.webm":
            options = {"codec": "libvpx-vp9", "sound": "libopus", "sound_format": "flt"}
        movie(path, seconds=4.0, layout="mono", **options)
    whole = Read(path).samples[:, 0]
    with SoundPlayer(path, sample_rate=48000, channels=1) as player:
        for seconds in (0.0, 3.0, 1.5, 0.7, 3.9):
            player.seek(seconds)
            sounds = [sound for _ in range(8) if (sound := player.read()) is not None]
            assert seconds - 2.5 < sounds[0][0] <= seconds
            if seconds < 3.5:  # some decoders need several frames to be themselves again
                time, samples = sounds[7]
                place = round(time * 48000)
                apart = [
                    np.abs(samples[:500, 0] - whole[place + shift :][:500]).max()
                    for shift in range(-48, 49)  # as times may be rounded to a millisecond
                ]
                assert min(apart) < 0.02
        player.seek(100.0)
        assert sum(1 for _ in iter(player.read, None)) < 250  # it ends, wherever it went on


def test_sound_comes_as_the_device_takes_it(tmp_path: Path) -> None:
    path = movie(tmp_path / "s.mkv", seconds=2.0, layout="5.1")
    with SoundPlayer(path, sample_rate=44100, channels=2) as player:
        sounds = [*iter(player.read, None)]
    assert all(samples.shape[1] == 2 for _, samples in sounds)
    assert sum(len(samples) for _, samples in sounds) == pytest.approx(2 * 44100, rel=0.03)


def test_sound_that_is_not_there_cannot_be_played(tmp_path: Path) -> None:
    path = movie(tmp_path / "silent.mp4", sound=None)
    with pytest.raises(UnreadableFileError, match=r"silent\.mp4 has no sound"):
        SoundPlayer(path, sample_rate=48000, channels=2)


def test_to_be_played_a_recording_is_not_read_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"codec": "libvpx-vp9", "sound": "libopus", "sound_format": "flt"}
    path = movie(tmp_path / "live.webm", options={"live": "1"}, **options)

    def refuse(_: Path) -> float:
        raise AssertionError("read through")

    monkeypatch.setattr("realtime.recording.recording.scan_duration", refuse)
    with FramePlayer(path) as pictures, SoundPlayer(path, sample_rate=48000, channels=1) as sound:
        assert pictures.frame_at(0.5).timestamp == pytest.approx(0.48, abs=0.03)
        assert sound.read() is not None
    assert Read(path).notes == []


@pytest.mark.parametrize(
    "player", [FramePlayer, partial(SoundPlayer, sample_rate=48000, channels=1)]
)
def test_a_file_may_go_between_two_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, player: Any
) -> None:
    path = movie(tmp_path / "gone.mp4")
    close = Recording.close

    def close_and_delete(recording: Recording) -> None:
        close(recording)
        path.unlink(missing_ok=True)

    monkeypatch.setattr(Recording, "close", close_and_delete)
    with pytest.raises(UnreadableFileError, match=r"there is no file .*gone\.mp4"):
        player(path)

"""Recordings of every kind: good, odd, damaged, and none at all."""

from __future__ import annotations

import gc
import os
import random
import re
import wave
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.testing import assert_allclose

from models.arrays import FloatArray
from realtime.messages import AudioPacket, VideoPacket
from realtime.recording.players import FramePlayer
from realtime.recording.recording import Recording
from realtime.recording.track import RecordedTrack
from realtime.sources.base import UnreadableFileError
from tests import recordings
from tests.recordings import movie

SIZE = (96, 64)


class Read:
    """A recording read to its end."""

    def __init__(self, path: Path, **options: Any) -> None:
        with Recording(path, **options) as recording:
            self.recording = recording
            self.packets = list(recording)
            self.notes = list(recording.notes)
        self.pictures = [each for each in self.packets if isinstance(each, VideoPacket)]
        self.sounds = [each for each in self.packets if isinstance(each, AudioPacket)]
        assert all(a.timestamp <= b.timestamp for a, b in pairwise(self.packets))
        assert [each.sequence for each in self.pictures] == list(range(len(self.pictures)))
        assert [each.sequence for each in self.sounds] == list(range(len(self.sounds)))
        assert not any(each.image.flags.writeable for each in self.pictures)
        assert not any(each.samples.flags.writeable for each in self.sounds)

    @property
    def times(self) -> list[float]:
        return [each.timestamp for each in self.pictures]

    @property
    def samples(self) -> FloatArray:
        return np.concatenate([each.samples for each in self.sounds])


def level(packet: VideoPacket) -> int:
    """Grey of a picture's lower right part."""
    height, width = packet.image.shape[:2]
    return round(float(packet.image[height // 2 :, width // 2 :].mean()))


def red_corner(image: Any) -> tuple[str, str]:
    """Where the red corner is: top or bottom, left or right."""
    red = image[:, :, 0].astype(int) - image[:, :, 1] > 120
    down, right = np.argwhere(red).mean(axis=0) / red.shape
    return ("top" if down < 0.5 else "bottom"), ("left" if right < 0.5 else "right")


# -- what recordings are made of ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("h264.mp4", {}),
        ("h264.mkv", {}),
        ("h264.ts", {"sound": "libmp3lame"}),
        ("hevc.mp4", {"codec": "libx265"}),
        ("vp9.webm", {"codec": "libvpx-vp9", "sound": "libopus", "sound_format": "flt"}),
        (
            "mjpeg.avi",
            {
                "codec": "mjpeg",
                "pixel_format": "yuvj420p",
                "sound": "pcm_s16le",
                "sound_format": "s16",
            },
        ),
        ("ten_bit.mkv", {"codec": "libx265", "pixel_format": "yuv420p10le"}),
        ("grey.mkv", {"codec": "ffv1", "pixel_format": "gray"}),
    ],
)
def test_every_picture_comes_once_in_order(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    read = Read(movie(tmp_path / name, **options))
    assert [level(each) for each in read.pictures] == pytest.approx(
        [recordings.level(index) for index in range(25)], abs=4
    )
    assert read.pictures[0].image.shape == (64, 96, 3)
    assert np.diff(read.times) == pytest.approx(0.04, abs=1e-3)
    assert read.packets[0].timestamp == 0.0
    recording = read.recording
    assert (recording.name, recording.size) == (name, SIZE)
    assert recording.frame_rate == pytest.approx(25)
    assert recording.duration_seconds == pytest.approx(1.0, abs=0.1)
    assert read.notes == []


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1", "7.1"])
@pytest.mark.parametrize(
    ("codec", "sound_format"),
    [("pcm_s24le", "s32"), ("flac", "s16"), ("pcm_f32le", "flt")],
)
def test_sound_of_every_layout(tmp_path: Path, codec: str, sound_format: str, layout: str) -> None:
    read = Read(
        movie(
            tmp_path / "sound.mkv",
            codec=None,
            sound=codec,
            sound_format=sound_format,
            layout=layout,
        )
    )
    channels = {"mono": 1, "stereo": 2, "5.1": 6, "7.1": 8}[layout]
    assert_allclose(read.samples, recordings.tone(1.0, 48000, channels), atol=1e-4)


@pytest.mark.parametrize("layout", ["stereo", "5.1", "7.1"])
def test_compressed_sound_keeps_its_channels(tmp_path: Path, layout: str) -> None:
    read = Read(movie(tmp_path / "sound.m4a", codec=None, layout=layout))
    loudest = np.abs(read.samples[9600:38400]).max(axis=0)
    channels = [each for each in range(len(loudest)) if not (layout != "stereo" and each == 3)]
    assert loudest[channels] == pytest.approx(
        [recordings.amplitude(each) for each in channels], abs=0.05
    )


@pytest.mark.parametrize("sample_rate", [8000, 11025, 16000, 44100, 96000])
def test_sound_keeps_its_rate(tmp_path: Path, sample_rate: int) -> None:
    read = Read(
        movie(
            tmp_path / "sound.wav",
            codec=None,
            sound="pcm_s16le",
            sound_format="s16",
            sample_rate=sample_rate,
            layout="mono",
        )
    )
    assert read.recording.sample_rate == sample_rate
    assert all(each.sample_rate == sample_rate for each in read.sounds)
    assert_allclose(read.samples, recordings.tone(1.0, sample_rate, 1), atol=1e-4)
    assert read.sounds[-1].end == pytest.approx(1.0)
    for one, following in pairwise(read.sounds):
        assert following.timestamp == pytest.approx(one.end, abs=1e-9)
        assert one.end - one.timestamp < 0.101


@pytest.mark.parametrize(
    ("name", "codec", "sound_format"),
    [
        ("a.wav", "pcm_u8", "u8"),
        ("a.mp3", "libmp3lame", "fltp"),
        ("a.m4a", "aac", "fltp"),
        ("a.flac", "flac", "s16"),
        ("a.ogg", "libopus", "flt"),
        ("a.aac", "aac", "fltp"),
    ],
)
def test_sound_alone(tmp_path: Path, name: str, codec: str, sound_format: str) -> None:
    read = Read(movie(tmp_path / name, codec=None, sound=codec, sound_format=sound_format))
    recording = read.recording
    assert (recording.size, recording.frame_rate, read.pictures) == (None, None, [])
    assert read.notes == ["no picture in this recording: only the voice can be judged"]
    spectrum = np.abs(np.fft.rfft(read.samples[:48000, 0]))
    assert spectrum.argmax() == pytest.approx(440, abs=2)
    assert np.abs(read.samples[9600:38400, 0]).max() == pytest.approx(0.6, abs=0.06)


def test_picture_alone(tmp_path: Path) -> None:
    with Recording(movie(tmp_path / "silent.mp4", sound=None)) as recording:
        assert recording.has_video
        assert not recording.has_audio
        assert recording.sample_rate is None
        assert recording.notes == ["no sound in this recording: only the face can be judged"]


def test_a_cover_picture_is_not_a_video(tmp_path: Path) -> None:
    with Recording(recordings.song_with_cover(tmp_path / "song.mp3")) as recording:
        assert not recording.has_video
        assert recording.has_audio


# -- time -----------------------------------------------------------------------------------------


def test_recorded_times_count_where_the_rate_varies(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.3, 0.31, 0.5, 0.9, 1.0]
    read = Read(movie(tmp_path / "variable.mkv", times=times))
    assert read.times == pytest.approx(times, abs=1e-3)
    assert [level(each) for each in read.pictures] == pytest.approx(
        [recordings.level(index) for index in range(len(times))], abs=4
    )
    assert any("frame rate varies" in note for note in read.notes)


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([0, 40, 40, 120, 160], [0, 40, 41, 120, 160]),  # the same time twice
        ([0, 40, 20, 120, 160], [0, 40, 41, 120, 160]),  # out of order
        ([0, 40, 80, 36_000_000, 36_000_040], [0, 40, 80, 120, 160]),  # ten hours later
        ([9000, 9040, 9080, 40, 80], [0, 40, 80, 120, 160]),  # the clock was set back
        ([5000, 5040, 8080, 8120, 8160], [0, 40, 3080, 3120, 3160]),  # a real pause
    ],
)
def test_times_that_cannot_be_are_repaired(
    tmp_path: Path, stamps: list[int], expected: list[int]
) -> None:
    read = Read(recordings.stamped(tmp_path / "odd.mkv", stamps))
    assert 1000 * np.array(read.times) == pytest.approx(expected, abs=1.01)


@pytest.mark.parametrize("b_frames", [1, 3])
def test_where_only_decoding_times_are_stated_pictures_keep_their_distance(
    tmp_path: Path, b_frames: int
) -> None:
    path = movie(tmp_path / "b.avi", seconds=2.0, sound="libmp3lame", b_frames=b_frames)
    read = Read(path)
    assert np.diff(read.times) == pytest.approx(0.04, abs=1e-3)
    assert [level(each) for each in read.pictures] == pytest.approx(
        [recordings.level(index) for index in range(50)], abs=4
    )
    assert read.notes == []
    with FramePlayer(path) as player:
        for index in (40, 3, 4, 5, 17, 0, 49):
            assert player.frame_at(read.times[index] + 0.01).timestamp == read.times[index]


Make = Callable[[Path], Path]


def short_sound_first(path: Path) -> Path:
    """A second recording begins where the sound of the first has ended long before its picture."""
    first = movie(path.with_name("first.ts"), seconds=3.5, sound_seconds=1.0, b_frames=2)
    return recordings.joined(path, first, movie(path.with_name("second.ts"), seconds=2.0))


def short_picture_first(path: Path) -> Path:
    first = movie(path.with_name("first.ts"), seconds=0.4, sound_seconds=3.5)
    return recordings.joined(path, first, movie(path.with_name("second.ts"), seconds=2.0))


def fallen_back_by_less_than_a_second(path: Path) -> Path:
    first = movie(path.with_name("first.ts"), seconds=0.9)
    return recordings.joined(path, first, movie(path.with_name("second.ts"), seconds=2.0))


def ten_hours_later(path: Path) -> Path:
    late = {"output_ts_offset": "36000"}
    first = movie(path.with_name("first.ts"), seconds=1.5)
    second = movie(path.with_name("second.ts"), seconds=2.0, options=late)
    return recordings.joined(path, first, second)


JOINED: list[tuple[Make, float]] = [  # and where the second part begins
    (short_sound_first, 3.5),
    (short_picture_first, 3.5),
    (fallen_back_by_less_than_a_second, 0.9),
    (ten_hours_later, 1.5),
]


@pytest.mark.parametrize(("make", "second"), JOINED)
def test_where_times_begin_anew_sound_and_picture_stay_together(
    tmp_path: Path, make: Make, second: float
) -> None:
    read = Read(make(tmp_path / "joined.ts"))
    times, ends = np.array(read.times), read.sounds[-1].end
    assert times[-50] == pytest.approx(second, abs=0.15)
    assert np.diff(times[-49:]) == pytest.approx(0.04, abs=1e-3)
    assert np.sum(np.diff(times) < 0.03) <= 2  # the parts may overlap by a picture
    assert ends - times[-1] == pytest.approx(0.04, abs=0.06)  # as in each part
    assert not any("frame rate" in note or "ends" in note for note in read.notes)


def test_the_earlier_track_begins_at_zero(tmp_path: Path) -> None:
    read = Read(
        movie(tmp_path / "late_sound.mkv", sound="flac", sound_format="s16", sound_start=0.3)
    )
    assert read.times[0] == 0.0
    assert read.sounds[0].timestamp == pytest.approx(0.3, abs=2e-3)
    times = [0.5 + index / 25 for index in range(25)]
    read = Read(movie(tmp_path / "late_picture.mkv", times=times))
    assert read.sounds[0].timestamp == 0.0
    assert read.times[0] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("seconds", "sound_seconds", "note"),
    [
        (2.0, 0.8, "the sound ends 1.2 s before the picture"),
        (0.8, 2.0, "the picture ends 1.2 s before the sound"),
    ],
)
def test_tracks_of_different_length(
    tmp_path: Path, seconds: float, sound_seconds: float, note: str
) -> None:
    read = Read(movie(tmp_path / "uneven.mp4", seconds=seconds, sound_seconds=sound_seconds))
    assert read.notes == [note]
    assert read.times[-1] == pytest.approx(seconds - 0.04, abs=1e-3)
    assert read.sounds[-1].end == pytest.approx(sound_seconds, abs=0.03)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("raw.h264", {"sound": None}),
        (
            "live.webm",
            {
                "codec": "libvpx-vp9",
                "sound": "libopus",
                "sound_format": "flt",
                "options": {"live": "1"},
            },
        ),
    ],
)
def test_length_is_found_where_it_is_not_stated(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    with Recording(movie(tmp_path / name, **options)) as recording:
        assert recording.duration_seconds == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("name", ["late.mkv", "late.mp4", "late.ts"])
def test_a_recording_whose_times_begin_late_is_whole(tmp_path: Path, name: str) -> None:
    read = Read(movie(tmp_path / name, options={"output_ts_offset": "10"}))
    assert read.notes == []
    assert read.recording.duration_seconds == pytest.approx(1.0, abs=0.1)
    assert read.times[0] == pytest.approx(0.0, abs=0.03)


def test_a_recording_that_cannot_be_measured_lets_go_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tracks begin far apart, so that its length counts, which only reading through tells."""
    options: dict[str, Any] = {"codec": "libvpx-vp9", "sound": "libopus", "sound_format": "flt"}
    path = movie(tmp_path / "live.webm", sound_start=20.0, options={"live": "1"}, **options)
    closed: list[str] = []
    close = RecordedTrack.close

    def gone(_: Path) -> float:
        raise UnreadableFileError("the file has gone")

    def noted(track: RecordedTrack) -> None:
        closed.append(track.kind)
        close(track)

    monkeypatch.setattr("realtime.recording.recording.scan_duration", gone)
    monkeypatch.setattr(RecordedTrack, "close", noted)
    with pytest.raises(UnreadableFileError, match="has gone"):
        Recording(path)
    assert closed == ["video", "audio"]


def test_the_same_file_gives_the_same_packets(tmp_path: Path) -> None:
    path = recordings.zeroed(movie(tmp_path / "damaged.mkv", seconds=2.0), 0.4, 0.5)
    first, second = Read(path), Read(path)
    assert first.notes == second.notes
    assert len(first.packets) == len(second.packets)
    for one, other in zip(first.packets, second.packets, strict=True):
        assert one.timestamp == other.timestamp
        if isinstance(one, VideoPacket) and isinstance(other, VideoPacket):
            assert np.array_equal(one.image, other.image)
        elif isinstance(one, AudioPacket) and isinstance(other, AudioPacket):
            assert np.array_equal(one.samples, other.samples)


# -- which way up ---------------------------------------------------------------------------------


def test_pictures_are_freed_as_they_go(demo: Path) -> None:
    """Else what FFmpeg makes good for damage with depends on when Python looks for garbage."""
    gc.collect()
    gc.disable()
    try:
        with Recording(demo) as recording:
            for _ in recording:
                pass
            held = [each for each in gc.get_objects() if type(each) is av.VideoFrame]
    finally:
        gc.enable()
    assert len(held) <= 2


@pytest.mark.parametrize(
    ("matrix", "corner", "shape"),
    [
        ((1, 0, 0, 1), ("top", "left"), (64, 96, 3)),
        ((0, 1, -1, 0), ("top", "right"), (96, 64, 3)),  # a telephone held upright
        ((-1, 0, 0, -1), ("bottom", "right"), (64, 96, 3)),
        ((0, -1, 1, 0), ("bottom", "left"), (96, 64, 3)),
        ((-1, 0, 0, 1), ("top", "right"), (64, 96, 3)),  # mirrored
        ((0, 1, 1, 0), ("top", "left"), (96, 64, 3)),  # mirrored and turned
    ],
)
def test_pictures_are_upright(
    tmp_path: Path,
    matrix: tuple[int, int, int, int],
    corner: tuple[str, str],
    shape: tuple[int, int, int],
) -> None:
    path = recordings.turned(movie(tmp_path / "turned.mp4", seconds=0.2), matrix)
    read = Read(path)
    image = read.pictures[-1].image
    assert image.shape == shape
    assert image.flags.c_contiguous
    assert red_corner(image) == corner
    assert read.recording.size == (shape[1], shape[0])


def test_pixels_become_square(tmp_path: Path) -> None:
    path = movie(tmp_path / "wide.mp4", seconds=0.2, pixel_aspect=Fraction(4, 3))
    assert Read(path).recording.size == (128, 64)


# -- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cut.mkv", {}),
        ("cut.mp4", {"options": {"movflags": "faststart"}}),
        ("cut.wav", {"codec": None, "sound": "pcm_s16le", "sound_format": "s16"}),
        ("cut.aiff", {"codec": None, "sound": "pcm_s16be", "sound_format": "s16"}),
        ("cut.au", {"codec": None, "sound": "pcm_s16be", "sound_format": "s16"}),
        ("cut.mp3", {"codec": None, "sound": "libmp3lame"}),
        ("cut.mp3", {"codec": None, "sound": "libmp3lame", "options": {"id3v2_version": "0"}}),
    ],
)
def test_a_cut_off_file_is_read_as_far_as_it_goes(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    read = Read(recordings.cut(movie(tmp_path / name, seconds=4.0, **options), 0.6))
    assert read.sounds[-1].end == pytest.approx(2.4, abs=0.2)
    if options.get("codec", "libx264"):
        assert read.times[-1] == pytest.approx(2.4, abs=0.2)
    assert any(note.startswith("the file is cut off") for note in read.notes)


def test_sound_in_64_bit_integers(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.wav", codec=None, sound="pcm_s64le", sound_format="s64")
    assert_allclose(Read(path).samples, recordings.tone(1.0, 48000, 2), atol=1e-4)


def test_an_mp3_that_does_not_state_its_length_is_not_called_cut_off(tmp_path: Path) -> None:
    options = {"write_xing": "0"}
    read = Read(movie(tmp_path / "a.mp3", codec=None, sound="libmp3lame", options=options))
    assert read.notes == ["no picture in this recording: only the voice can be judged"]


def test_an_avi_from_a_pipe_is_whole(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.avi", codec="mpeg4", sound="pcm_s16le", sound_format="s16")
    content = path.read_bytes()
    path.write_bytes(b"RIFF" + b"\xff" * 4 + content[8:])
    data = bytearray(path.read_bytes())
    for kind in (b"vids", b"auds"):  # the length of each stream is as large as the file's size
        at = data.index(kind) + 32
        data[at : at + 4] = b"\xff\xff\x0f\x00"
    path.write_bytes(data)
    read = Read(path)
    assert read.recording.duration_seconds == pytest.approx(1.0, abs=0.1)
    assert read.notes == []


@pytest.mark.parametrize("rate", [15, 60])
def test_a_raw_stream_has_the_rate_that_its_codec_tells(tmp_path: Path, rate: int) -> None:
    read = Read(movie(tmp_path / "raw.h264", rate=rate, seconds=2.0, sound=None))
    assert read.recording.frame_rate == rate
    assert_allclose(np.diff(read.times), 1 / rate, atol=1e-6)
    assert f"the pictures carry no times: {rate} a second were assumed" in read.notes


def test_sound_that_nothing_decodes_does_not_hide_the_other(tmp_path: Path) -> None:
    """As phones write it: spatial sound, of a higher rate, beside the usual."""
    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as container:
        tracks: list[Any] = [
            container.add_stream("aac", rate=48000),
            container.add_stream("ac3", rate=48000),
        ]
        for track, rate in zip(tracks, (64_000, 448_000), strict=True):
            track.layout, track.format, track.bit_rate = "stereo", "fltp", rate
        for track in tracks:
            recordings._write_sound(container, track, recordings.tone(1.0, 48000, 2), 0.0)
    path.write_bytes(path.read_bytes().replace(b"ac-3", b"apac"))
    read = Read(path)
    assert read.sounds[-1].end == pytest.approx(1.0, abs=0.05)
    assert read.notes == ["no picture in this recording: only the voice can be judged"]


@pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])  # sox, arecord
def test_sound_from_a_pipe_is_whole(tmp_path: Path, size: int) -> None:
    path = movie(tmp_path / "a.wav", codec=None, sound="pcm_s16le", sound_format="s16")
    content = path.read_bytes()
    data = content.index(b"data")
    stated = size.to_bytes(4, "little")
    path.write_bytes(b"RIFF" + stated + content[8:data] + b"data" + stated + content[data + 8 :])
    read = Read(path)
    assert read.recording.duration_seconds == pytest.approx(1.0)
    assert read.notes == ["no picture in this recording: only the voice can be judged"]


def test_a_cut_off_transport_stream_is_read(tmp_path: Path) -> None:
    read = Read(recordings.cut(movie(tmp_path / "cut.ts", seconds=4.0), 0.6))
    assert read.times[-1] == pytest.approx(2.4, abs=0.2)


@pytest.mark.parametrize(
    ("name", "options"),
    [("hole.mkv", {}), ("hole.ts", {}), ("hole.mp4", {"options": {"movflags": "faststart"}})],
)
def test_reading_goes_on_behind_damage(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    read = Read(recordings.zeroed(movie(tmp_path / name, seconds=4.0, **options), 0.45, 0.6))
    assert read.times[-1] == pytest.approx(3.96, abs=0.05)
    assert read.sounds[-1].end == pytest.approx(4.0, abs=0.05)
    assert any("is damaged at" in note or "is missing from" in note for note in read.notes)
    assert level(read.pictures[-1]) == pytest.approx(recordings.level(99), abs=4)


def test_a_picture_whose_rest_is_missing_is_left_out(tmp_path: Path) -> None:
    path = movie(tmp_path / "half.avi", codec="mjpeg", pixel_format="yuvj420p", sound=None)
    content = bytearray(path.read_bytes())
    starts = [match.start() for match in re.finditer(b"\xff\xd8\xff", content)]
    assert len(starts) == 25
    scan = content.index(b"\xff\xda", starts[10])
    middle = (scan + starts[11]) // 2 & ~1
    for at in range(middle, starts[11] - 16, 2):
        content[at : at + 2] = b"\xff\xd9"  # the picture ends in its middle
    path.write_bytes(content)
    read = Read(path)
    assert len(read.times) == 24
    assert 0.4 not in [pytest.approx(time) for time in read.times]
    assert "the picture is damaged at 0.4 s: what could be read was analysed" in read.notes


@pytest.mark.parametrize("name", ["f.mp4", "f.mkv", "f.ts", "f.avi", "f.mp3", "f.wav", "f.flac"])
def test_no_damage_crashes_or_hangs(tmp_path: Path, name: str) -> None:
    sound_only: dict[str, Any] = {
        "f.mp3": {"codec": None, "sound": "libmp3lame"},
        "f.wav": {"codec": None, "sound": "pcm_s16le", "sound_format": "s16"},
        "f.flac": {"codec": None, "sound": "flac", "sound_format": "s16"},
    }.get(name, {})
    good = movie(tmp_path / name, **sound_only).read_bytes()
    for seed in range(6):
        path = tmp_path / f"{seed}{name}"
        path.write_bytes(good)
        chance = random.Random(seed)
        recordings.flipped(path, seed, chance.choice([0.0005, 0.005, 0.05]), chance.random() / 4)
        try:
            read = Read(path)
        except UnreadableFileError:
            continue
        assert not read.packets or read.packets[-1].timestamp < 15.0
        if read.recording.has_video:
            with FramePlayer(path) as player:
                for seconds in (0.0, 0.7, 0.2, 5.0):
                    player.frame_at(seconds)


def test_nothing_is_written_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Read(recordings.zeroed(movie(tmp_path / "hole.mkv", seconds=2.0), 0.4, 0.6))
    assert capfd.readouterr() == ("", "")


# -- no recording at all --------------------------------------------------------------------------


def png(path: Path) -> None:
    import cv2

    cv2.imwrite(str(path), recordings.picture(0, SIZE))


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        ("missing.mp4", lambda _path: None, "there is no file"),
        ("folder.mp4", Path.mkdir, "is a folder, not a recording"),
        ("empty.mp4", lambda path: path.touch(), "is empty"),
        ("text.mp4", lambda path: path.write_text("words\n" * 500), "no video or sound file"),
        ("noise.mkv", lambda path: path.write_bytes(random.Random(1).randbytes(50_000)), "noise"),
        ("text.txt", lambda path: path.write_text("words\n" * 500), "choose a"),
        (
            "words.srt",
            lambda path: path.write_text("1\n00:00:01,000 --> 00:00:02,000\nwords\n\n"),
            "neither pictures nor sound",
        ),
        ("still.png", png, "is a still picture"),
        ("still.jpg", png, "is a still picture"),
        ("no_index.mp4", lambda path: recordings.cut(movie(path), 0.6), "is incomplete"),
        ("head.mkv", lambda path: recordings.cut(movie(path), 0.02), "head.mkv"),
    ],
)
def test_what_is_no_recording_gets_a_sentence(
    tmp_path: Path, name: str, make: Any, sentence: str
) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(UnreadableFileError, match=sentence) as caught:
        Recording(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_device_is_not_waited_for() -> None:
    if not Path("/dev/zero").exists():
        pytest.skip("no such devices here")
    with pytest.raises(UnreadableFileError, match="not an ordinary file"):
        Recording(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PermissionError(13, "Permission denied"), "may not be read"),
        (OSError(5, "Input/output error"), "cannot be opened: input/output error"),
    ],
)
def test_what_the_system_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, sentence: str
) -> None:
    path = movie(tmp_path / "mine.mp4", seconds=0.2)

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UnreadableFileError, match=sentence):
        Recording(path)


def test_a_playlist_fetches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "list.m3u8"
    other = movie(tmp_path / "other.ts")
    path.write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\n{other.name}\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(UnreadableFileError, match=r"list\.m3u8"):
        Recording(path)


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be deleted there")
def test_a_file_may_go_while_it_is_read(tmp_path: Path) -> None:
    path = movie(tmp_path / "gone.mp4")
    with Recording(path) as recording:
        path.unlink()
        assert len([each for each in recording if isinstance(each, VideoPacket)]) == 25
    assert recording.notes == []


def test_sound_faster_than_any_device_makes_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fast.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 1_000_003, 0, "NONE", ""))
        file.writeframes(bytes(20_000))
    with pytest.raises(UnreadableFileError, match=r"fast\.wav has 1000003 samples a second"):
        Recording(path)


def test_odd_names(tmp_path: Path) -> None:
    path = movie(tmp_path / "good.mp4", seconds=0.2)
    for name in ("http:a%03d.mp4", "zwölf Übungen 😀.mp4", "pipe:0", "#?&.mp4"):
        assert Read(path.rename(tmp_path / name)).pictures
        path = tmp_path / name


def test_reading_ends_when_the_recording_is_closed(tmp_path: Path) -> None:
    recording = Recording(movie(tmp_path / "a.mp4", seconds=2.0))
    packets = iter(recording)
    next(packets)
    recording.close()
    recording.close()
    assert len(list(packets)) < 10


# -- real recordings ------------------------------------------------------------------------------


def test_the_clips(clips: Path) -> None:
    short = Read(clips / "noface_face.mov")
    assert short.notes == ["the sound ends 2.4 s before the picture"]
    assert short.recording.frame_rate == pytest.approx(26.5, abs=0.1)
    assert np.median(np.diff(short.times)) == pytest.approx(1 / 30, abs=0.01)
    assert len(short.times) == 169
    read = Read(clips / "single_face.mp4")
    assert read.notes == []
    assert read.sounds[-1].end == pytest.approx(read.times[-1], abs=0.2)
    with pytest.raises(UnreadableFileError, match="still picture"):
        Recording(clips / "multi_face.jpg")


def test_the_demo_is_what_it_should_be(demo: Path) -> None:
    from realtime.emotion.faces import MediapipeDetector

    read = Read(demo)
    assert demo.stat().st_size < 1_000_000
    assert read.notes == []
    assert read.recording.size == (640, 480)
    assert 12.0 <= read.recording.duration_seconds <= 20.1
    with MediapipeDetector() as detector:
        seen = {each.timestamp: bool(detector.detect(each.image)) for each in read.pictures[::10]}
    gone = [time for time, face in seen.items() if not face]
    assert len(seen) - len(gone) > 0.6 * len(seen)
    assert all(9.3 < time < 12.8 for time in gone)
    assert len(gone) >= 5
    quiet = np.abs(read.samples[:12000])
    assert quiet.max() < 0.01
    assert np.abs(read.samples).max() > 0.3

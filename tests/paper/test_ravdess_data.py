"""RAVDESS in its official layout: what is found, how it is prepared, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.labels import RAVDESS_EMOTIONS
from models.training.data import DataError
from models.training.paper import prepared
from models.training.paper.mfcc import mfcc
from models.training.paper.pictures import PictureAugmentation, network_clip
from models.training.paper.ravdess import (
    RavdessPreparation,
    RavdessSamples,
    Recording,
    actor_folds,
    cut_sound,
    find_recordings,
    prepare_recording,
    prepare_recordings,
)
from models.training.paper.video import pack, read_sound, spread_pictures, square, unpack
from tests.paper.datasets import (
    BrightFace,
    Found,
    Image,
    face_pictures,
    ravdess,
    tone,
    write_video,
    write_wav,
)

SMALL = RavdessPreparation(pictures=6, size=32, looks=3)


def recording(path: Path, sound: Path | None = None) -> Recording:
    return Recording(name="x", label=0, actor=1, video=path, sound=sound)


def touched(root: Path, *names: str) -> Path:
    for name in names:
        path = root / f"Actor_{name[18:20]}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


# What is found.


def test_speech_videos_are_found_in_order_with_their_sound(tmp_path: Path) -> None:
    touched(
        tmp_path,
        "01-01-08-02-02-01-10.mp4",
        "01-01-01-01-01-01-02.mp4",
        "02-01-01-01-01-01-02.mp4",  # the same without sound
        "03-01-01-01-01-01-02.wav",
        "02-01-04-01-01-01-02.mp4",
        "03-01-07-01-01-01-02.wav",  # there is no video of it
        "01-02-05-01-01-01-02.mp4",  # song
    )
    (tmp_path / "Actor_02" / "notes.txt").touch()
    found = find_recordings(tmp_path)
    assert [each.name for each in found] == [
        "01-01-01-01-01-02",
        "01-04-01-01-01-02",
        "01-08-02-02-01-10",
    ]
    assert [RAVDESS_EMOTIONS[each.label] for each in found] == ["neutral", "sad", "surprised"]
    assert [each.actor for each in found] == [2, 2, 10]
    assert found[0].video.name.startswith("01-")
    assert found[1].video.name.startswith("02-")
    assert [each.sound is not None for each in found] == [True, False, False]


def test_another_layout_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere is no folder: --root names .* RAVDESS"):
        find_recordings(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds no videos of RAVDESS: expected .*Actor_01"):
        find_recordings(tmp_path)
    (tmp_path / "Actor_03").mkdir()
    (tmp_path / "Actor_03" / "01-01-01-01-01-01-04.mp4").touch()
    with pytest.raises(DataError, match="says actor 04, but lies in Actor_03"):
        find_recordings(tmp_path)


def all_actors() -> list[Recording]:
    return [
        Recording(name=f"{actor}", label=0, actor=actor, video=Path("x"), sound=None)
        for actor in range(1, 25)
    ]


def test_folds_are_of_four_consecutive_actors() -> None:
    people = all_actors()
    paper = actor_folds(people, 6, honest=False)
    assert [[people[row].actor for row in fold.test] for fold in paper] == [
        list(range(first, first + 4)) for first in range(1, 25, 4)
    ]
    for fold in paper:
        assert fold.choose == fold.test
        assert len(fold.train) == 20
        assert not set(fold.train) & set(fold.test)


def test_honest_folds_share_nobody() -> None:
    folds = actor_folds(all_actors(), 6, honest=True)
    for fold in folds:
        assert len(fold.train) == 16
        assert len(fold.choose) == len(fold.test) == 4
        assert len({*fold.train, *fold.choose, *fold.test}) == 24
    assert sorted(row for fold in folds for row in fold.test) == list(range(24))
    assert folds[0].people == "actors 01–04"


@pytest.mark.parametrize(
    ("actors", "count", "honest"), [(23, 6, True), (24, 2, True), (24, 1, False)]
)
def test_actors_that_cannot_be_divided(actors: int, count: int, honest: bool) -> None:
    with pytest.raises(DataError, match=rf"{actors} are here .* be divided into {count} folds"):
        actor_folds(all_actors()[:actors], count, honest)


# Pictures. The public reference reads BGR as RGB, squeezes 16 to 9 into a square, and cuts (and in
# training draws) another crop for every picture.


def test_colours_are_red_green_blue(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", face_pictures((255, 60, 0)), sound=tone(300))
    arrays = prepare_recording(recording(path), SMALL, 13, BrightFace())
    middle = unpack(arrays)[:, 14:18, 14:18].reshape(-1, 3).mean(axis=0)
    assert middle[0] > 200
    assert middle[2] < 60
    clip = RavdessSamples(*stored(tmp_path, arrays), PictureAugmentation()).sample(0, None)[0]
    assert clip.shape == (3, 6, 32, 32)
    assert clip[0, :, 16, 16].min() > 1.5
    assert clip[2, :, 16, 16].max() < -1.0


def stored(folder: Path, arrays: prepared.Arrays) -> tuple[Path, list[Recording]]:
    video = folder / "x.mp4"
    video.touch()
    of = recording(video)
    prepared.prepare("x", folder / "stored", {of.key: lambda: arrays}, 1)
    return folder / "stored", [of]


def test_one_square_per_clip_so_that_the_head_moves(tmp_path: Path) -> None:
    pictures = face_pictures((255, 255, 255), drift=1)
    path = write_video(tmp_path / "a.mp4", pictures, sound=tone(300))
    wide = replace(SMALL, face_scale=2.0)
    faces = unpack(prepare_recording(recording(path), wide, 13, BrightFace()))
    lefts = [int(np.nonzero(face[16].max(axis=1) > 128)[0].min()) for face in faces]
    scale = 32 / (24 * wide.face_scale)
    moved = [left - lefts[0] for left in lefts]
    assert moved == pytest.approx([2 * scale * index for index in range(6)], abs=1.1)


def test_the_aspect_is_kept(tmp_path: Path) -> None:
    pictures = face_pictures((255, 255, 255), size=(192, 64))
    path = write_video(tmp_path / "a.mp4", pictures, sound=tone(300))
    for face in unpack(prepare_recording(recording(path), SMALL, 13, BrightFace())):
        bright = face.max(axis=2) > 128
        width, height = bright.any(axis=0).sum(), bright.any(axis=1).sum()
        assert abs(int(width) - int(height)) <= 1
        assert width == pytest.approx(32 / SMALL.face_scale, abs=2)


def test_augmentation_is_drawn_once_per_clip() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
    still = np.stack([picture] * 5)
    augmentation = PictureAugmentation(least_area=0.5, mirrored=0.5)
    seen = set()
    for _ in range(20):
        changed = augmentation(still, rng)
        assert changed.shape == still.shape
        assert (changed == changed[0]).all()
        seen.add(changed[0].tobytes())
    assert len(seen) > 10
    mirrored = PictureAugmentation(least_area=1.0, mirrored=1.0)(still, rng)
    assert np.array_equal(mirrored, still[:, :, ::-1])


def test_a_square_beyond_the_border_repeats_it() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, :30] = 200
    cut = square(image, -20, -5, 50, 25)
    assert cut.shape == (25, 25, 3)
    assert (cut[:, :24] == 200).all()


def test_pictures_in_the_middle_of_equal_parts(tmp_path: Path) -> None:
    greys = [np.full((48, 64, 3), 5 * index, np.uint8) for index in range(50)]
    path = write_video(tmp_path / "a.mp4", greys)
    taken = [float(picture.mean()) / 5 for picture in spread_pictures(path, 5)]
    assert taken == pytest.approx([5, 15, 25, 35, 45], abs=1)
    few = [float(picture.mean()) / 5 for picture in spread_pictures(path, 100)]
    assert len(few) == 100
    assert few == sorted(few)


def test_a_video_that_ends_too_soon(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(40)]
    path = write_video(tmp_path / "a.avi", noise)
    content = path.read_bytes()
    assert len(list(spread_pictures(path, 4))) == 4
    path.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(DataError, match=r"a\.avi is damaged: it has \d+ of 40 pictures"):
        list(spread_pictures(path, 4))


def test_packed_pictures_come_back() -> None:
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.integers(0, 255, (4, 4, 3), dtype=np.uint8), (64, 48))
    pictures = np.stack([smooth, smooth[::-1]]).astype(np.uint8)
    back = unpack(pack(pictures))
    assert back.shape == pictures.shape
    assert np.abs(back.astype(int) - pictures).mean() < 4


def test_clips_are_normalised_as_imagenet_is() -> None:
    grey = np.full((2, 4, 4, 3), 124, np.uint8)
    clip = network_clip(grey)
    assert clip.shape == (3, 2, 4, 4)
    expected = (124 / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    torch.testing.assert_close(clip[:, 0, 0, 0], expected)


# Sound.


def test_sound_is_cut_at_the_wanted_rate(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(1000.0, channels=2))
    sound = read_sound(path)
    assert sound is not None
    assert sound[1] == 48000
    cut = cut_sound(*sound, RavdessPreparation())
    assert len(cut) == 108045
    spectrum = np.abs(np.fft.rfft(cut))
    assert spectrum.argmax() / 2.45 == pytest.approx(1000.0, abs=0.5)
    begins = np.zeros(48000 * 4, np.float32)
    begins[24000:] = 1.0  # at 0.5 s
    assert cut_sound(begins, 48000, RavdessPreparation())[50:].min() > 0.95


def test_a_sound_file_that_ends_too_soon(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(1000.0))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.wav is cut short: it has \d+ of \d+ bytes of sound"):
        read_sound(path)
    place = whole.index(b"data") + 4
    path.write_bytes(whole[:place] + b"\xff" * 4 + whole[place + 4 :])  # as a pipe gets it
    sound = read_sound(path)
    assert sound is not None
    assert len(sound[0]) == len(tone(1000.0))
    with pytest.raises(DataError, match=r"gone\.wav cannot be read: No such file"):
        read_sound(tmp_path / "gone.wav")


def test_sound_that_ends_sooner_goes_on_in_silence() -> None:
    short = np.ones(round(2.9 * 44100), np.float32)
    cut = cut_sound(short, 44100, RavdessPreparation())
    assert len(cut) == 108045
    assert (cut[: round(2.4 * 44100)] == 1).all()
    assert (cut[round(2.4 * 44100) :] == 0).all()
    with pytest.raises(DataError, match=r"lasts 1\.00 s only"):
        cut_sound(short[:44100], 44100, RavdessPreparation())


def plain_mfcc(samples: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """The definition, number by number."""

    def hertz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    highest = 15 + 27 * np.log(rate / 2 / 1000) / np.log(6.4)
    edges = [hertz(highest * index / 129) for index in range(130)]
    padded = [*samples[1024:0:-1], *samples, *samples[-2:-1026:-1]]
    power = []
    for start in range(0, len(padded) - 2047, 512):
        frame = padded[start : start + 2048]
        windowed = [value * np.sin(np.pi * index / 2048) ** 2 for index, value in enumerate(frame)]
        energies = np.abs(np.fft.fft(windowed)[:1025]) ** 2
        mels = []
        for band in range(128):
            low, centre, high = edges[band : band + 3]
            total = 0.0
            for index in range(1025):
                frequency = index * rate / 2048
                if low < frequency < high:
                    rise = (frequency - low) / (centre - low)
                    fall = (high - frequency) / (high - centre)
                    total += min(rise, fall) * energies[index]
            mels.append(10 * np.log10(max(1e-10, total * 2 / (high - low))))
        power.append(mels)
    decibels = np.maximum(power, np.max(power) - 80)
    result = []
    for coefficient in range(13):
        scale = np.sqrt((1 if coefficient == 0 else 2) / 128)
        cosines = [np.cos(np.pi * coefficient * (2 * band + 1) / 256) for band in range(128)]
        result.append([scale * float(np.dot(cosines, frame)) for frame in decibels])
    return np.array(result)


def test_mfcc_is_the_plain_definition() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(scale=0.1, size=4000).astype(np.float32)
    samples += np.sin(np.arange(4000) * 0.05).astype(np.float32)
    np.testing.assert_allclose(mfcc(samples, 44100, 13), plain_mfcc(samples, 44100), atol=1e-3)
    assert mfcc(np.zeros(108045, np.float32), 44100, 13).shape == (13, 212)


# Preparation as a whole.


def test_the_sound_only_file_helps_out(tmp_path: Path) -> None:
    silent = write_video(tmp_path / "a.mp4", face_pictures((255, 255, 255)))
    with pytest.raises(DataError, match=r"a\.mp4 has no sound, and there is no 03-x\.wav"):
        prepare_recording(recording(silent), SMALL, 13, BrightFace())
    wav = write_wav(tmp_path / "a.wav", tone(500.0))
    arrays = prepare_recording(recording(silent, wav), SMALL, 13, BrightFace())
    assert arrays["mfcc"].shape == (13, 212)
    other = replace(SMALL, sound_seconds=2.0)
    arrays = prepare_recording(recording(silent, wav), other, 20, BrightFace())
    assert arrays["mfcc"].shape == (20, other.steps) == (20, 173)


def test_a_recording_that_is_too_short_is_named(tmp_path: Path) -> None:
    video = tmp_path / "Actor_01" / "01-01-03-01-01-01-01.mp4"
    write_video(video, face_pictures((255, 255, 255)), sound=tone(300, seconds=1.0))
    found = find_recordings(tmp_path)
    told = (
        rf"1 of 1 samples of ravdess cannot be used: {found[0].key}: its sound lasts 1\.\d+ s only"
    )
    with pytest.raises(DataError, match=told):
        prepare_recordings(found, SMALL, 13, tmp_path, BrightFace, 1)


def test_damaged_files_are_named_at_the_end_and_the_rest_is_kept(tmp_path: Path) -> None:
    root = ravdess(tmp_path / "data", (1, 2), (1, 3, 5, 7))
    videos = sorted(root.rglob("*.mp4"))
    videos[0].write_bytes(b"no video at all")
    content = videos[1].read_bytes()
    videos[1].write_bytes(content[: len(content) // 3])
    write_video(videos[2], [np.zeros((48, 64, 3), np.uint8)] * 8, sound=tone(200))
    recordings = find_recordings(root)
    with pytest.raises(
        DataError, match=r"3 of 8 samples of ravdess cannot be used: .*no face found"
    ):
        prepare_recordings(recordings, SMALL, 13, tmp_path, BrightFace, 2)
    for video in videos[:3]:
        video.unlink()
    kept = list((tmp_path / "prepared").rglob("*.npz"))
    assert len(kept) == 5
    times = {path: path.stat().st_mtime_ns for path in kept}
    folder = prepare_recordings(find_recordings(root), SMALL, 13, tmp_path, BrightFace, 2)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times


class Killed(BaseException):
    """What a kill looks like from inside."""


def test_preparation_goes_on_after_a_kill(tmp_path: Path) -> None:
    root = ravdess(tmp_path / "data", (1,), (1, 3, 5))
    looked = []

    class Dies(BrightFace):
        def detect(self, image: Image) -> list[Found]:
            looked.append(1)
            if len(looked) > 4:
                raise Killed
            return super().detect(image)

    recordings = find_recordings(root)
    with pytest.raises(Killed):
        prepare_recordings(recordings, SMALL, 13, tmp_path, Dies, 1)
    (folder,) = (tmp_path / "prepared").iterdir()
    assert [path.stem for path in folder.iterdir()] == [recordings[0].key]
    assert prepare_recordings(recordings, SMALL, 13, tmp_path, BrightFace, 1) == folder
    assert len(list(folder.iterdir())) == 3
    other = RavdessPreparation(pictures=7, size=32)
    assert prepare_recordings(recordings, other, 13, tmp_path, BrightFace, 1) != folder


def test_a_prepared_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"x\.npz cannot be read .* prepared earlier; delete it"):
        prepared.load(tmp_path, "x")


def test_the_real_clips(clips: Path, tmp_path: Path) -> None:
    from realtime.emotion.faces import MediapipeDetector

    (tmp_path / "Actor_01").mkdir()
    for path in clips.glob("01-01-0*.mp4"):
        (tmp_path / "Actor_01" / path.name).symlink_to(path)
    recordings = find_recordings(tmp_path)
    assert [RAVDESS_EMOTIONS[each.label] for each in recordings] == ["neutral", "sad", "surprised"]
    with MediapipeDetector() as finder:
        for recording in recordings:
            arrays = prepare_recording(recording, RavdessPreparation(), 13, finder)
            faces = unpack(arrays)
            assert faces.shape == (30, 224, 224, 3)
            assert arrays["mfcc"].shape == (13, 212)
            seen = finder.detect(faces[15])
            assert len(seen) == 1
            assert seen[0].box[2] > 0.6
            skin = faces[:, 100:140, 80:140].reshape(-1, 3).mean(axis=0)
            assert skin[0] > skin[1] > skin[2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"looks": 0}, "looks must be 1 to 30"), ({"sound_seconds": 0.01}, "shorter than one MFCC")],
)
def test_preparation_settings_out_of_range(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RavdessPreparation(**settings)  # type: ignore[arg-type]

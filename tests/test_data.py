"""Readers of the data sets: what is missing or damaged is named, with what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.training.data import DataError, load_ferplus, load_ravdess, read_archive
from models.training.study.action import action
from models.training.study.ravdess import action_units, read_clips
from models.training.study.sentiment import sentiment

soundfile = pytest.importorskip("soundfile")

VOTES = np.tile(np.arange(10, dtype=np.uint8), (3, 1))
PICTURES = np.zeros((3, 48, 48), np.uint8)


def write_ferplus(root: Path, **other: object) -> Path:
    """`ferplus.npz` of three pictures; what `other` gives is there instead, None is left out."""
    arrays = {"images": PICTURES, "votes": VOTES, "split": np.arange(3, dtype=np.uint8)} | other
    path = root / "ferplus.npz"
    np.savez(path, **{name: each for name, each in arrays.items() if each is not None})  # type: ignore[arg-type]
    return path


def test_arrays_that_are_not_as_they_should_be(tmp_path: Path) -> None:
    for other, told in (
        ({"votes": None}, r"ferplus\.npz cannot be read \(.*votes.*docs/data\.md"),
        ({"votes": VOTES[:, :8]}, r"ferplus\.npz: votes is of the shape \(3, 8\), not \(3, 10\)"),
        ({"votes": VOTES[:2]}, r"votes is of the shape \(2, 10\), not \(3, 10\): get it again"),
        ({"images": PICTURES[0]}, r"images is of the shape \(48, 48\), not \(3, 48, 48\)"),
        ({"images": np.array([None] * 3)}, r"ferplus\.npz cannot be read \(Object arrays"),
        ({}, r"ferplus\.npz holds no face of the split train: get it again"),  # all are "no face"
    ):
        write_ferplus(tmp_path, **other)
        with pytest.raises(DataError, match=told):
            load_ferplus(tmp_path, "train")


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("ferplus.npz", lambda root: load_ferplus(root, "train")),
        ("utd_mhad.npz", action),
        ("mosi_utterances.npz", sentiment),
    ],
)
def test_archives_that_are_missing_or_damaged(
    tmp_path: Path, name: str, read: Callable[[Path], object]
) -> None:
    with pytest.raises(DataError, match=f"not found: .*{name}"):
        read(tmp_path)
    whole, path = write_ferplus(tmp_path).read_bytes(), tmp_path / name
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    for damaged in (b"", b"no archive", whole[:-100], bytes(changed)):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=rf"{name} cannot be read \(.*docs/data\.md"):
            read(tmp_path)
    with path.open("wb") as file:
        np.save(file, VOTES)
    with pytest.raises(DataError, match=rf"{name} cannot be read \(it is no archive\)"):
        read(tmp_path)


def test_all_of_an_archive(tmp_path: Path) -> None:
    arrays = read_archive(write_ferplus(tmp_path))
    assert set(arrays) == {"images", "votes", "split"}
    np.testing.assert_array_equal(arrays["votes"], VOTES)


@pytest.mark.parametrize(
    ("frames", "told"), [([4, 4], "promises 8"), ([0, 7], "promises 7, of a clip at least 0")]
)
def test_skeletons_that_do_not_add_up(tmp_path: Path, frames: list[int], told: str) -> None:
    np.savez(
        tmp_path / "utd_mhad.npz",
        names=np.array(["a1_s1_t1", "a1_s2_t1"]),
        action=np.array([1, 1]),
        subject=np.array([1, 2]),
        skeleton=np.zeros((7, 20, 3), np.float16),
        skeleton_frames=np.array(frames),
        depth=np.zeros((2, 32, 64, 64), np.uint8),
    )
    with pytest.raises(DataError, match=rf"utd_mhad\.npz: skeleton has 7 .* {told}"):
        action(tmp_path)


@pytest.mark.parametrize("names", [["video0", "video1"], ["a_0", "b[1]"], ["a_0", "b_one"], []])
def test_utterances_that_are_not_called_as_they_should_be(tmp_path: Path, names: list[str]) -> None:
    count = len(names)
    features = {name: np.zeros((count, 3), np.float32) for name in ("text", "audio", "video")}
    np.savez(
        tmp_path / "mosi_utterances.npz",
        utterance_id=np.array(names, str),
        split=np.zeros(count, np.uint8),
        label=np.zeros(count, np.uint8),
        **features,
    )
    with pytest.raises(DataError, match=r"utterance_id must be VIDEO_index of each: get it again"):
        sentiment(tmp_path)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ([0, 0, 1, 1, 2, 2], "split must be 0 .* or 1 .* which it is not for c"),
        ([0, 0, 0, 1, 1, 1], "the same for a whole video, which it is not for b"),
        ([0, 0, 0, 0, 0, 0], "split must have videos to train on and to test"),
    ],
)
def test_a_split_of_another_kind_is_refused(tmp_path: Path, split: list[int], message: str) -> None:
    features = {name: np.zeros((6, 3), np.float32) for name in ("text", "audio", "video")}
    np.savez(
        tmp_path / "mosi_utterances.npz",
        utterance_id=np.array(["a_0", "a_1", "b_0", "b_1", "c_0", "c_1"]),
        split=np.array(split, np.uint8),
        label=np.zeros(6, np.uint8),
        **features,
    )
    with pytest.raises(DataError, match=f"{message}.*: get it again"):
        sentiment(tmp_path)


def test_clips_that_are_missing_or_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "ravdess_speech"
    folder.mkdir()
    for actor in (1, 2):
        noise = np.random.default_rng(actor).normal(scale=0.1, size=16000)
        soundfile.write(folder / f"03-01-01-01-01-01-{actor:02d}.flac", noise, 16000)
    assert [clip.actor for clip in load_ravdess(tmp_path, (1, 2, 3))] == [1, 2]
    with pytest.raises(DataError, match=r"ravdess_speech holds no clip .* the actors 03, 04: get"):
        list(load_ravdess(tmp_path, (3, 4)))
    path = folder / "03-01-01-01-01-01-02.flac"
    whole = path.read_bytes()
    for damaged in (b"", b"no sound", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"01-02\.flac cannot be read \(.*docs/data\.md"):
            list(load_ravdess(tmp_path, (1, 2)))
    assert len(list(load_ravdess(tmp_path, (1,)))) == 1  # nobody else's is opened
    soundfile.write(path, np.zeros((16000, 2)), 48000)
    with pytest.raises(DataError, match=r"01-02\.flac is 48000 Hz in 2 channels, not"):
        list(load_ravdess(tmp_path, (2,)))


@pytest.mark.parametrize(
    "stray", ["03-01-00-01-01-01-02", "03-01-09-01-01-01-02", "03-01-01-01-01-01-02 (1)", "03-01-a"]
)
def test_files_of_other_names_are_no_clips(tmp_path: Path, stray: str) -> None:
    folder = tmp_path / "ravdess_speech"
    folder.mkdir()
    for name in ("03-01-08-01-01-01-02", stray):
        soundfile.write(folder / f"{name}.flac", np.zeros(16000), 16000)
    assert [(clip.label, clip.actor) for clip in load_ravdess(tmp_path)] == [(6, 2)]
    assert read_clips(tmp_path).names == ("03-01-08-01-01-01-02",)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name,AU01_r\n01-01-08-01-01-01-02,1\n", r"has no 'name'"),
        ("AU01_r;name\n1;01-01-07-01-01-01-02\n", r"has no '01-08-01-01-01-02'"),
        ("AU01_r;name\n1;01-01-08-01-01-01-02\n", r"has 1 action units, not 35"),
        ("AU01_r;name\nmany;01-01-08-01-01-01-02\n", r"cannot be read .*'many'"),
        ("AU01_r;name\n1\n", r"cannot be read"),
        (
            ";".join(["name", *(f"AU{unit}" for unit in range(35))])
            + "\n01-01-08-01-01-01-02;nan"
            + 34 * ";1",
            r"has no number in 03-01-08-01-01-01-02",
        ),
    ],
)
def test_action_units_that_are_not_as_they_should_be(
    tmp_path: Path, table: str, message: str
) -> None:
    (tmp_path / "ravdess_speech").mkdir()
    soundfile.write(tmp_path / "ravdess_speech/03-01-08-01-01-01-02.flac", np.zeros(9), 16000)
    (tmp_path / "ravdess_action_units.csv").write_text(table)
    with pytest.raises(DataError, match=rf"ravdess_action_units\.csv {message}.*: get it again"):
        action_units(tmp_path, read_clips(tmp_path))

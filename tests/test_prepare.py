"""Official distributions, made small in their layout, become files that training reads."""

from __future__ import annotations

import csv
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import main
from models.training.data import load_ferplus, load_ravdess
from realtime.errors import ExitCode

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")

HEADER = (
    *("Usage", "Image name"),
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    *("unknown", "NF"),
)
VOTES = (
    ("Training", "fer0000000.png", 4, 0, 0, 1, 3, 2, 0, 0, 0, 0),
    ("Training", "", 0, 0, 0, 0, 0, 0, 0, 0, 0, 10),
    ("Training", "fer0000002.png", 0, 0, 0, 0, 0, 0, 0, 0, 10, 0),
    ("PublicTest", "fer0000003.png", 0, 10, 0, 0, 0, 0, 0, 0, 0, 0),
    ("PrivateTest", "fer0000004.png", 0, 0, 0, 0, 0, 0, 9, 1, 0, 0),
)
PICTURES = np.random.default_rng(0).integers(0, 256, size=(len(VOTES), 48, 48))

Ferplus = Callable[..., Any]
Rows = list[list[Any]]


def write_table(path: Path, rows: Rows) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def pictures() -> Rows:
    """The rows of fer2013.csv."""
    rows = zip(PICTURES, VOTES, strict=True)
    return [["emotion", "pixels", "Usage"]] + [
        [0, " ".join(map(str, picture.ravel())), vote[0]] for picture, vote in rows
    ]


def votes() -> Rows:
    """The rows of fer2013new.csv."""
    return [list(HEADER), *map(list, VOTES)]


@pytest.fixture
def ferplus(tmp_path: Path) -> Ferplus:
    """Call the command on such rows."""

    def invoke(faces: Rows, labels: Rows) -> Any:
        return prepare(
            *("ferplus", "--fer2013", write_table(tmp_path / "fer2013.csv", faces)),
            *("--labels", write_table(tmp_path / "fer2013new.csv", labels)),
            *("--out", tmp_path / "data"),
        )

    return invoke


def prepare(*arguments: object) -> Any:
    return CliRunner().invoke(main.app, ["prepare", *map(str, arguments)])


def test_ferplus_is_what_training_reads(ferplus: Ferplus, tmp_path: Path) -> None:
    result = ferplus(pictures(), votes())
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"written: {tmp_path / 'data' / 'ferplus.npz'}\n"
    train = load_ferplus(tmp_path / "data", "train")
    np.testing.assert_array_equal(train.images, PICTURES[:1])  # without the unknown one
    np.testing.assert_allclose(train.votes, [[0.4, 0, 0, 0.1, 0.3, 0.2, 0, 0]], rtol=1e-6)
    validation, test = (load_ferplus(tmp_path / "data", name) for name in ("validation", "test"))
    assert (validation.labels.tolist(), test.labels.tolist()) == ([1], [6])
    np.testing.assert_array_equal(test.images, PICTURES[4:])
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["ferplus.npz"]


def test_ferplus_of_the_competition_page(ferplus: Ferplus, tmp_path: Path) -> None:
    """Kaggle's icml_face_data.csv: other order of the columns, a space before their names."""
    rows = [[usage, f" {face}"] for _, face, usage in pictures()[1:]]
    assert ferplus([["Usage", " pixels"], *rows], votes()).exit_code == 0
    assert load_ferplus(tmp_path / "data", "test").labels.tolist() == [6]


def test_ferplus_layout_is_that_of_the_file_the_weights_were_made_with(
    ferplus: Ferplus, data_root: Path, tmp_path: Path
) -> None:
    assert ferplus(pictures(), votes()).exit_code == 0
    with (
        np.load(data_root / "ferplus.npz") as ours,
        np.load(tmp_path / "data" / "ferplus.npz") as made,
    ):
        assert set(made.files) == set(ours.files)
        for name in ours.files:
            assert made[name].dtype.kind == ours[name].dtype.kind, name
            assert made[name].shape[1:] == ours[name].shape[1:], name
        assert made["vote_labels"].tolist() == ours["vote_labels"].tolist()


def _cut(rows: Rows) -> None:
    rows.pop()


def _no_votes(rows: Rows) -> None:
    for row in rows:
        del row[2:]


def _moved(rows: Rows) -> None:
    rows[1], rows[4] = rows[4], rows[1]


def _too_many(rows: Rows) -> None:
    rows[1][2] = 11


def _no_number(rows: Rows) -> None:
    rows[1][2] = "four"


def _nameless(rows: Rows) -> None:
    for row in rows[1:]:
        row[1] = ""


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_cut, "fer2013.csv has 5 rows, "),
        (_cut, "fer2013new.csv has 4: "),
        (_no_votes, "fer2013new.csv has no column neutral, happiness, "),
        (_moved, "row 1 is 'Training' in "),
        (_too_many, "row 1: expected numbers of 0 to 10, found 0 to 11"),
        (_no_number, "row 1: invalid literal for int() with base 10: 'four'"),
        (_nameless, "names no picture"),
    ],
)
def test_wrong_votes_are_told_of(
    ferplus: Ferplus, tmp_path: Path, spoil: Callable[[Rows], None], told: str
) -> None:
    labels = [list(row) for row in votes()]
    spoil(labels)
    result = ferplus(pictures(), labels)
    assert result.exit_code == ExitCode.NO_TRAINING_DATA
    assert told in result.stderr
    assert not (tmp_path / "data").exists()


def test_wrong_pictures_are_told_of(ferplus: Ferplus, tmp_path: Path) -> None:
    faces = pictures()
    faces[2][1] = "1 2 3"
    result = ferplus(faces, votes())
    assert result.exit_code == ExitCode.NO_TRAINING_DATA
    assert "fer2013.csv, row 2: expected 2304 numbers, found 3" in result.stderr
    chosen = ("--labels", write_table(tmp_path / "votes.csv", votes()), "--out", tmp_path / "data")
    result = prepare("ferplus", "--fer2013", tmp_path / "nowhere.csv", *chosen)
    assert result.exit_code == ExitCode.NO_TRAINING_DATA
    assert "nowhere.csv is not there; docs/data.md says" in result.stderr
    (tmp_path / "zip.csv").write_bytes(b"PK\x03\x04\xff\xfe\xff")
    result = prepare("ferplus", "--fer2013", tmp_path / "zip.csv", *chosen)
    assert result.exit_code == ExitCode.NO_TRAINING_DATA
    assert "zip.csv is no table: " in result.stderr


def test_where_nothing_can_be_written(ferplus: Ferplus, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    assert ferplus(pictures(), votes()).exit_code == ExitCode.UNREADABLE_FILE


# -- RAVDESS ----------------------------------------------------------------------------------


def recordings() -> Iterator[str]:
    """Names of all 1440."""
    for actor in range(1, 25):
        for emotion in range(1, 9):
            for intensity in (1, 2)[: 1 if emotion == 1 else 2]:
                for last in ("01-01", "01-02", "02-01", "02-02"):
                    yield f"03-01-{emotion:02d}-{intensity:02d}-{last}-{actor:02d}"


@pytest.fixture(scope="module")
def ravdess(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All recordings, 50 ms each, as the official archive unpacks; one of them in stereo."""
    root = tmp_path_factory.mktemp("ravdess")
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(2400) / 48000)
    for index, name in enumerate(recordings()):
        folder = root / "Audio_Speech_Actors_01-24" / f"Actor_{name[-2:]}"
        folder.mkdir(parents=True, exist_ok=True)
        channels = [2 * tone, 0 * tone] if index == 1 else [tone]  # on average the same
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setparams((len(channels), 2, 48000, 0, "NONE", ""))
            file.writeframes((32767 * np.stack(channels, axis=1)).astype("<i2").tobytes())
    song = root / "Audio_Song_Actors_01-24" / "Actor_01"
    song.mkdir(parents=True)
    (song / "03-02-01-01-01-01-01.wav").write_bytes(b"is passed over")
    return root


def test_ravdess_is_what_training_reads(ravdess: Path, tmp_path: Path) -> None:
    result = prepare("ravdess", "--root", ravdess, "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    folder = tmp_path / "ravdess_speech"
    assert result.stdout == f"written: {folder}\n"
    assert {path.name for path in folder.iterdir()} == {f"{name}.flac" for name in recordings()}
    clips = {clip.name: clip for clip in load_ravdess(tmp_path, tuple(range(1, 25)))}
    assert len(clips) == 1439  # without the one that is there twice
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(800) / 16000)
    inside = slice(100, 700)  # off the edges, where the tone breaks off
    for name in ("03-01-01-01-01-01-01", "03-01-01-01-01-02-01"):  # mono, stereo
        assert clips[name].samples.shape == (800,)
        np.testing.assert_allclose(clips[name].samples[inside], tone[inside], atol=2e-3)
        assert soundfile.info(folder / f"{name}.flac").subtype == "PCM_16"


def test_missing_or_damaged_recordings_are_told_of(ravdess: Path, tmp_path: Path) -> None:
    chosen = ("--out", tmp_path / "data")
    result = prepare("ravdess", "--root", tmp_path / "nowhere", *chosen)
    assert result.exit_code == ExitCode.NO_TRAINING_DATA
    assert "nowhere is no folder" in result.stderr
    actor = ravdess / "Audio_Speech_Actors_01-24" / "Actor_01"
    result = prepare("ravdess", "--root", actor, *chosen)
    assert result.exit_code == ExitCode.NO_TRAINING_DATA
    assert "holds 60 of the 1440 recordings" in result.stderr
    sound = actor.with_name("Actor_24") / "03-01-08-02-02-02-24.wav"  # the last one
    whole = sound.read_bytes()
    try:
        sound.write_bytes(b"no sound")
        result = prepare("ravdess", "--root", ravdess, *chosen)
    finally:
        sound.write_bytes(whole)
    assert result.exit_code == ExitCode.NO_TRAINING_DATA
    assert "03-01-08-02-02-02-24.wav: its sound cannot be read" in result.stderr
    assert not (tmp_path / "data").exists()


def test_a_recording_that_is_cut_short_is_told_of(ravdess: Path, tmp_path: Path) -> None:
    sound = next(ravdess.rglob("03-01-08-02-02-02-24.wav"))
    whole = sound.read_bytes()
    try:
        sound.write_bytes(whole[:-2])  # one sample
        result = prepare("ravdess", "--root", ravdess, "--out", tmp_path / "data")
    finally:
        sound.write_bytes(whole)
    assert result.exit_code == ExitCode.NO_TRAINING_DATA
    assert "24.wav is cut short: it has 4798 of 4800 bytes of sound" in result.stderr
    assert not (tmp_path / "data").exists()

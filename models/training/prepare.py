"""From official distributions to the files that training reads; docs/data.md says what they hold.

Files appear whole or not at all. Thread: the caller's.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.files import write_whole
from models.labels import FERPLUS_EMOTIONS
from models.mel import SAMPLE_RATE
from models.training.data import DataError
from models.training.loop import progress_bar
from models.training.paper.layout import existing
from models.training.paper.video import read_sound

SIDE: Final = 48  # pixels of a face
USAGES: Final = ("Training", "PublicTest", "PrivateTest")
VOTES: Final = (*FERPLUS_EMOTIONS, "unknown", "NF")  # columns of FER+; NF is "not a face"
RECORDINGS: Final = 24 * 60  # actors, clips of each

_SPEECH: Final = "03-01-0[1-8]-0[12]-0[12]-0[12]-[0-2][0-9].wav"


def prepare_ferplus(fer2013: Path, labels: Path, out: Path) -> Path:
    """`ferplus.npz` from FER2013's table of pictures and FER+'s table of votes.

    Both have the same rows in the same order. Pictures to which FER+ gives no name, since nobody
    saw a face in them, are left out.

    Raises
    ------
    DataError
        A table is missing, or is not what it should be.
    OSError
        The file cannot be written.
    """
    faces = [
        (row["Usage"], _numbers(row["pixels"].split(), SIDE * SIDE, 255, fer2013, number))
        for number, row in _rows(fer2013, ("pixels", "Usage"))
    ]
    votes = [row for _, row in _rows(labels, ("Usage", "Image name", *VOTES))]
    if len(faces) != len(votes):
        raise DataError(
            f"{fer2013} has {len(faces)} rows, {labels} has {len(votes)}: they belong together row "
            "by row, so one of them is incomplete"
        )
    for number, ((usage, _), row) in enumerate(zip(faces, votes, strict=True), start=1):
        if usage not in USAGES or usage != row["Usage"]:
            raise DataError(
                f"row {number} is {usage!r} in {fer2013}, {row['Usage']!r} in {labels}: both must "
                f"have the rows of the original in its order, each of {', '.join(USAGES)}"
            )
    kept = [index for index, row in enumerate(votes) if row["Image name"]]
    if not kept:
        raise DataError(f"{labels} names no picture")
    counts = [
        _numbers([votes[index][name] for name in VOTES], len(VOTES), 10, labels, index + 1)
        for index in kept
    ]
    written = io.BytesIO()
    np.savez_compressed(
        written,
        images=np.stack([faces[index][1] for index in kept]).reshape(-1, SIDE, SIDE),
        votes=np.stack(counts),
        split=np.array([USAGES.index(votes[index]["Usage"]) for index in kept], np.uint8),
        names=np.array([votes[index]["Image name"] for index in kept]),
        vote_labels=np.array([*VOTES[:-1], "not_a_face"]),
    )
    write_whole(path := out / "ferplus.npz", written.getvalue())
    return path


def prepare_ravdess(root: Path, out: Path) -> Path:
    """`ravdess_speech/` from RAVDESS's sound-only files: 16 kHz mono, FLAC of 16 bit.

    Raises
    ------
    DataError
        Recordings are missing, or one cannot be read.
    OSError
        A file cannot be written.
    """
    import soundfile
    import soxr

    what = "RAVDESS's speech (Actor_01, Actor_02, … with the files 03-01-….wav)"
    found = {path.stem: path for path in sorted(existing(root, what).rglob(_SPEECH))}
    if len(found) != RECORDINGS:
        raise DataError(f"{root} holds {len(found)} of the {RECORDINGS} recordings of {what}")
    encoded = {}  # some 100 MB, written once all is well: training takes what the folder holds
    with progress_bar() as progress:
        bar = progress.add_task("preparing ravdess", total=len(found), note="")
        for name, path in found.items():
            sound = read_sound(path)
            if sound is None:
                raise DataError(f"{path} has no sound")
            samples, rate = sound
            written = io.BytesIO()
            samples = soxr.resample(samples, rate, SAMPLE_RATE, quality="HQ")
            soundfile.write(written, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
            encoded[name] = written.getvalue()
            progress.update(bar, advance=1)
    folder = out / "ravdess_speech"
    for name, content in encoded.items():
        write_whole(folder / f"{name}.flac", content)
    return folder


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a table with their numbers from 1, stripped, once it has all these columns."""
    if not path.is_file():
        raise DataError(f"{path} is not there; docs/data.md says where to get it")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, skipinitialspace=True, restval="")
            missing = [name for name in columns if name not in (table.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{path} has no column {', '.join(missing)}: is it the table that docs/data.md "
                    "describes?"
                )
            for number, row in enumerate(table, start=1):
                yield number, {name: row[name].strip() for name in columns}
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no table: {error}") from None


def _numbers(
    texts: Sequence[str], count: int, most: int, path: Path, row: int
) -> NDArray[np.uint8]:
    """So many whole numbers of 0 to `most` that stand in a row of a table."""
    if len(texts) != count:
        raise DataError(f"{path}, row {row}: expected {count} numbers, found {len(texts)}")
    try:
        numbers = [int(text) for text in texts]
    except ValueError as error:
        raise DataError(f"{path}, row {row}: {error}") from None
    if min(numbers) < 0 or max(numbers) > most:
        raise DataError(
            f"{path}, row {row}: expected numbers of 0 to {most}, found {min(numbers)} to "
            f"{max(numbers)}"
        )
    return np.array(numbers, np.uint8)

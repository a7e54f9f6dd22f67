"""Readers of the data sets, with the splits that everything here is trained and scored on."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.arrays import FloatArray, IntArray
from models.labels import EMOTIONS, FERPLUS_EMOTIONS
from models.mel import SAMPLE_RATE

ACTOR_FOLDS: Final = (
    (2, 5, 14, 15, 16),
    (3, 6, 7, 13, 18),
    (10, 11, 12, 19, 20),
    (8, 17, 21, 23, 24),
    (1, 4, 9, 22),
)
"""Luna-Jiménez et al. (2021)."""

EVERYBODY: Final = tuple(range(1, 25))
"""All actors of RAVDESS."""

TEST_ACTORS: Final = ACTOR_FOLDS[-1]
"""Looked at once. Actor 1 speaks in the try-out clips too."""

VALIDATION_ACTORS: Final = (8, 17, 21, 24)
"""Two men and two women who choose epochs and temperatures."""

TRAIN_ACTORS: Final = tuple(
    actor for actor in EVERYBODY if actor not in (*TEST_ACTORS, *VALIDATION_ACTORS)
)

FINAL_ACTORS: Final = tuple(sorted((*TRAIN_ACTORS, *VALIDATION_ACTORS)))
"""Whom the shipped network hears once validation people have chosen all there is to choose."""

OTHER_FOLDS: Final = tuple(f"fold-{number}" for number in range(1, len(ACTOR_FOLDS)))
"""The published folds whose actors the shipped network heard."""


def without(fold: str) -> str:
    """Key in ACTORS of everybody who is not in `fold`."""
    return f"all-but-{fold}"


ACTORS: Final[Mapping[str, tuple[int, ...]]] = {
    "train": TRAIN_ACTORS,
    "validation": VALIDATION_ACTORS,
    "final": FINAL_ACTORS,
    "test": TEST_ACTORS,
    **dict(zip(OTHER_FOLDS, ACTOR_FOLDS, strict=False)),
    **{
        without(fold): tuple(actor for actor in EVERYBODY if actor not in actors)
        for fold, actors in zip(OTHER_FOLDS, ACTOR_FOLDS, strict=False)
    },
}
"""Whose clips are in which set."""

RAVDESS_TO_EMOTION: Final = (0, 0, 1, 2, 3, 4, 5, 6)
"""RAVDESS emotion code minus one → index into EMOTIONS (neutral and calm together)."""

RAVDESS_DUPLICATE: Final = "03-01-03-01-02-02-07"  # the same recording as 03-01-03-01-02-01-07


class DataError(RuntimeError):
    """Training data is missing or not what it should be; the message says which and where."""


def default_data_root() -> Path:
    """Folder of the data sets: `MSAF_DATA`, else `../shared/data` beside the project."""
    if named := os.environ.get("MSAF_DATA"):
        return Path(named)
    return Path(__file__).resolve().parents[3] / "shared" / "data"


def require(path: Path) -> Path:
    """Return `path`, or say clearly that this piece of the data is missing."""
    if not path.exists():
        raise DataError(
            f"training data not found: {path}. Name the folder that holds it with --data-root "
            "or the environment variable MSAF_DATA (docs/data.md says how it is made)."
        )
    return path


Shape = tuple[int | str, ...]

GET_AGAIN: Final = "get it again, or make it again (docs/data.md says how and what it holds)"


def read_archive(
    path: Path, shapes: Mapping[str, Shape] | None = None, remedy: str = GET_AGAIN
) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file: those that `shapes` names, or all of them.

    In a shape a name stands for any number, the same one wherever it comes.

    Raises
    ------
    DataError
        The file is missing, damaged or not of this layout; `remedy` says what to do.
    """
    try:
        with path.open("rb") as file:  # numpy leaves one open that it cannot read
            archive = np.load(file)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it is no archive")
            with archive:
                arrays = {name: archive[name] for name in shapes or archive.files}
    except (  # what a damaged file can make numpy raise
        *(OSError, ValueError, EOFError, LookupError),
        *(zipfile.BadZipFile, zlib.error, RuntimeError),
    ) as error:
        raise DataError(f"{path} cannot be read ({error}): {remedy}") from None
    known: dict[str, int] = {}
    for name, wanted in (shapes or {}).items():
        found = arrays[name].shape
        if len(found) != len(wanted) or any(
            size != (known.setdefault(each, size) if isinstance(each, str) else each)
            for size, each in zip(found, wanted, strict=True)
        ):
            told = ", ".join(str(known.get(str(each), each)) for each in wanted)
            raise DataError(f"{path}: {name} is of the shape {found}, not ({told}): {remedy}")
    return arrays


@dataclass(frozen=True, slots=True, eq=False)
class FerPlus:
    """Faces of one split of FER+ whose most voted is one of the eight emotions."""

    images: NDArray[np.uint8]  # (n, 48, 48) grey
    votes: FloatArray  # (n, 8) rows sum to 1
    labels: IntArray  # (n,) the emotion with the most votes
    agreed: NDArray[np.bool_]  # (n,) whether that is the majority, as the FER+ paper scores it


FERPLUS_SPLITS: Final = ("train", "validation", "test")

NEAR_COPY: Final = 0.93
"""Pictures that correlate as much are one photograph, cut, scaled or marked in another way; looked
through by eye, most pairs down to here are, and below 0.9 most are two people."""


def near_copies(images: NDArray[np.uint8], earlier: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of `images` (n, 48, 48) show a photograph that is among `earlier` (m, 48, 48), (n,)."""

    def thumbnails(pictures: NDArray[np.uint8]) -> FloatArray:
        small = pictures.reshape(-1, 16, 3, 16, 3).mean(axis=(2, 4), dtype=np.float32)
        small = small.reshape(len(small), 256)
        small -= small.mean(axis=1, keepdims=True)
        scaled: FloatArray = small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6)
        return scaled

    known, found = thumbnails(earlier).T, np.zeros(len(images), np.bool_)
    for rows in np.array_split(np.arange(len(images)), len(images) // 512 + 1):
        alike = thumbnails(images[rows]) @ known
        found[rows] = alike.max(axis=1, initial=-1.0) > NEAR_COPY
    return found


def load_ferplus(data_root: Path, split: str, *, copies: bool = False) -> FerPlus:
    """Read one of FERPLUS_SPLITS from `ferplus.npz`.

    FER2013 was gathered from the web, and a sixth of its validation and test pictures show a
    photograph that an earlier split has too: a network has seen those. They are left out, unless
    `copies` are wanted, as for figures that others gave of the whole split.

    The most voted is taken over all ten vote columns; images that most annotators called unknown
    or not a face are left out. `agreed` is the majority mode of Barsoum et al. (2016), in which
    their validation and test images are always scored: votes that one annotator alone gave are
    dropped, and of those left more than half go to one emotion.

    Raises
    ------
    DataError
        The file is missing, damaged, of another layout, or the split is empty.
    """
    path = require(data_root / "ferplus.npz")
    archive = read_archive(
        path,
        {"split": ("n",), "images": ("n", 48, 48), "votes": ("n", 10)},
    )
    number, splits, every = FERPLUS_SPLITS.index(split), archive["split"], archive["images"]
    wanted = splits == number
    images = every[wanted]
    votes = archive["votes"][wanted].astype(np.float32)
    labels = votes.argmax(axis=1)
    shared = np.where(votes > 1, votes, 0)
    agreed = shared.max(axis=1) > shared.sum(axis=1) / 2
    kept = (labels < len(FERPLUS_EMOTIONS)) & (votes.sum(axis=1) > 0)
    if not copies:
        kept &= ~near_copies(images, every[splits < number])
    if not kept.any():
        raise DataError(f"{path} holds no face of the split {split}: {GET_AGAIN}")
    eight = votes[kept, : len(FERPLUS_EMOTIONS)]
    return FerPlus(
        images=images[kept],
        votes=eight / eight.sum(axis=1, keepdims=True),
        labels=labels[kept].astype(np.int64),
        agreed=agreed[kept],
    )


@dataclass(frozen=True, slots=True, eq=False)
class VoiceClip:
    """One RAVDESS speech clip."""

    name: str
    emotion: int  # RAVDESS's own eight: its emotion code less one
    label: int  # index into EMOTIONS
    actor: int  # 1 to 24; odd male, even female
    samples: FloatArray  # (n,) at 16 kHz in [-1, 1]


class ClipFile(NamedTuple):
    """Where one RAVDESS speech clip lies, and what its name says."""

    path: Path
    emotion: int  # RAVDESS's own eight: its emotion code less one
    actor: int  # 1 to 24


_CLIP: Final = re.compile(r"03-01-0([1-8])-0[12]-0[12]-0[12]-([0-2][0-9])")


def ravdess_files(data_root: Path, actors: tuple[int, ...] = EVERYBODY) -> list[ClipFile]:
    """Speech clips of `actors` in file order, without the one duplicate; other files are no clips.

    Raises
    ------
    DataError
        There are none.
    """
    folder, found = require(data_root / "ravdess_speech"), []
    for path in sorted(folder.glob("*.flac")):
        name = _CLIP.fullmatch(path.stem)
        if name and int(name[2]) in actors and path.stem != RAVDESS_DUPLICATE:
            found.append(ClipFile(path, int(name[1]) - 1, int(name[2])))
    if not found:
        people = ", ".join(f"{actor:02d}" for actor in actors)
        raise DataError(f"{folder} holds no clip 03-01-….flac of the actors {people}: {GET_AGAIN}")
    return found


def load_ravdess(data_root: Path, actors: tuple[int, ...] = EVERYBODY) -> Iterator[VoiceClip]:
    """Read the clips of :func:`ravdess_files`, 16 kHz mono.

    Raises
    ------
    DataError
        One of them is damaged, or there are none.
    """
    for path, emotion, actor in ravdess_files(data_root, actors):
        label = RAVDESS_TO_EMOTION[emotion]
        yield VoiceClip(path.stem, emotion, label, actor, _read_clip(path))


def voice_clips(data_root: Path, people: str) -> list[VoiceClip]:
    """All clips of `people`, a key of ACTORS, among them some of every one of EMOTIONS.

    Raises
    ------
    DataError
        An emotion is missing, or a clip is damaged.
    """
    clips = list(load_ravdess(data_root, ACTORS[people]))
    labels = np.array([clip.label for clip in clips])
    require_every_class(labels, data_root / "ravdess_speech", f"clip of the actors for {people}")
    return clips


def require_every_class(labels: IntArray, path: Path, what: str) -> None:
    """DataError where one of EMOTIONS is not among the `labels` of what `path` holds."""
    missing = [name for index, name in enumerate(EMOTIONS) if not (labels == index).any()]
    if missing:
        raise DataError(f"{path}: no {what} is {' or '.join(missing)}: {GET_AGAIN}")


def _read_clip(path: Path) -> FloatArray:
    """Samples (n,) of a file of 16 kHz mono; DataError where it is not that."""
    import soundfile

    try:
        samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise DataError(f"{path} cannot be read ({error}): {GET_AGAIN}") from None
    if (channels := samples.shape[1]) != 1 or sample_rate != SAMPLE_RATE:
        raise DataError(
            f"{path} is {sample_rate} Hz in {channels} channels, not {SAMPLE_RATE} in one: "
            f"{GET_AGAIN}"
        )
    return np.ascontiguousarray(samples[:, 0], dtype=np.float32)

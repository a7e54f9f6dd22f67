"""RAVDESS speech videos in their official layout: one face clip and MFCC per recording.

    ROOT/Actor_01/01-01-05-01-02-01-01.mp4     picture and sound
                  02-01-05-01-02-01-01.mp4     picture only: taken where 01- is not there
                  03-01-05-01-02-01-01.wav     sound only: taken where the video has none

The numbers are modality, channel (01 speech, 02 song), emotion, intensity, sentence, repetition,
actor. Song is passed over.

A clip's pictures are 30, spread evenly over it, all cut from one square that holds the face, so
that the head moves in the clip as it did before the camera; RGB, aspect kept. Its sound is taken
from 0.5 s for 2.45 s at 44.1 kHz. Thread: the caller's, and the workers that prepare.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor

from models.arrays import FloatArray
from models.config import check_positive
from models.training.data import DataError
from models.training.paper.layout import Fold, existing, indices
from models.training.paper.mfcc import HOP, mfcc
from models.training.paper.pictures import PictureAugmentation, network_clip
from models.training.paper.prepared import Arrays, load, prepare, prepared_folder, sample_key
from models.training.paper.video import (
    Image,
    Sound,
    pack,
    read_sound,
    spread_pictures,
    square,
    unpack,
)

ACTORS: Final = 24
OFFICIAL: Final = 1440  # speech recordings in the whole data set

_NAME: Final = re.compile(r"0([123])-01-0([1-8])-0[12]-0[12]-0[12]-(\d\d)$")


class Face(Protocol):
    """Where a face is: left, top, width, height as shares of the picture; how sure, 0 to 1."""

    @property
    def box(self) -> FloatArray: ...
    @property
    def score(self) -> float: ...


class FaceFinder(Protocol):
    """Finds the faces of an RGB picture (height, width, 3)."""

    def detect(self, image: Image) -> Sequence[Face]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RavdessPreparation:
    """How clips are made ready; other settings are prepared anew."""

    pictures: int = 30
    size: int = 224  # pixels of a side
    looks: int = 5  # pictures in which the face is searched, to find its one square
    face_scale: float = 1.3  # side of the square in units of the face's longer side
    sample_rate: int = 44100  # Hz
    sound_start: float = 0.5  # s
    sound_seconds: float = 2.45

    def __post_init__(self) -> None:
        check_positive(self, "size")
        if not 1 <= self.looks <= self.pictures:
            raise ValueError(f"looks must be 1 to {self.pictures} (pictures), not {self.looks}")
        if self.sound_seconds * self.sample_rate < 2048:
            raise ValueError(f"sound_seconds = {self.sound_seconds} is shorter than one MFCC frame")

    @property
    def steps(self) -> int:
        """Of the MFCC that a clip gives."""
        return 1 + round(self.sound_seconds * self.sample_rate) // HOP


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One utterance of the data set."""

    name: str  # the six numbers that say what, and the actor
    label: int  # index into RAVDESS_EMOTIONS
    actor: int  # 1 to 24; odd male, even female
    video: Path
    sound: Path | None  # the sound-only file, where there is one

    @property
    def key(self) -> str:
        """What it is called once it is prepared."""
        return sample_key(self.name, self.video, self.sound)


def find_recordings(root: Path) -> list[Recording]:
    """All speech recordings under `root`, in order of actor and name.

    Raises
    ------
    DataError
        No such folder, or nothing of RAVDESS in it.
    """
    what = "RAVDESS (Actor_01, Actor_02, … with the files 01-01-….mp4)"
    files: dict[str, dict[str, Path]] = {}
    labels: dict[str, tuple[int, int]] = {}
    for path in sorted(existing(root, what).rglob("Actor_*/*")):
        match = _NAME.match(path.stem)
        if match is None or path.suffix.lower() not in (".mp4", ".wav"):
            continue
        modality, emotion, actor = (int(each) for each in match.groups())
        if path.parent.name != f"Actor_{actor:02d}" or not 1 <= actor <= ACTORS:
            raise DataError(f"{path} says actor {actor:02d}, but lies in {path.parent.name}")
        name = path.stem[3:]
        files.setdefault(name, {})[f"{modality}{path.suffix.lower()}"] = path
        labels[name] = emotion - 1, actor
    found = [
        Recording(
            name=name,
            label=labels[name][0],
            actor=labels[name][1],
            video=of.get("1.mp4") or of["2.mp4"],
            sound=of.get("3.wav"),
        )
        for name, of in files.items()
        if "1.mp4" in of or "2.mp4" in of
    ]
    if not found:
        raise DataError(f"{root} holds no videos of RAVDESS: expected {what}")
    return sorted(found, key=lambda each: (each.actor, each.name))


def actor_folds(recordings: Sequence[Recording], count: int, honest: bool) -> list[Fold]:
    """`count` folds of consecutive actors, each the test of one.

    The paper chooses the epoch on the fold that it reports. Honest: the next fold's actors choose,
    and are not learned from.

    Raises
    ------
    DataError
        The actors that are there cannot be divided so.
    """
    actors = sorted({each.actor for each in recordings})
    least = 3 if honest else 2
    if count < least or len(actors) % count:
        there = ", ".join(f"{actor:02d}" for actor in actors)
        raise DataError(
            f"of RAVDESS's {ACTORS} actors {len(actors)} are here ({there}), which cannot be "
            f"divided into {count} folds, of which there must be {least} or more: get the others, "
            "or name with --config a file that has another number of `folds`"
        )
    size = len(actors) // count
    groups = [actors[start : start + size] for start in range(0, len(actors), size)]

    def of(people: Sequence[int]) -> tuple[int, ...]:
        return indices([each.actor in people for each in recordings])

    folds = []
    for number, test in enumerate(groups):
        choose = groups[(number + 1) % count] if honest else test
        train = [actor for actor in actors if actor not in (*test, *choose)]
        told = f"actor {test[0]:02d}" if size == 1 else f"actors {test[0]:02d}–{test[-1]:02d}"
        folds.append(
            Fold(
                name=f"fold-{number + 1}",
                train=of(train),
                choose=of(choose),
                test=of(test),
                people=told,
            )
        )
    return folds


def recordings_folder(work_dir: Path, settings: RavdessPreparation, coefficients: int) -> Path:
    """Where :func:`prepare_recordings` leaves what it prepares."""
    return prepared_folder(work_dir, "ravdess", (settings, coefficients))


def prepare_recordings(
    recordings: Sequence[Recording],
    settings: RavdessPreparation,
    coefficients: int,
    work_dir: Path,
    finder: Callable[[], FaceFinder],
    workers: int,
) -> Path:
    """Prepare what is not prepared yet and return the folder that holds it.

    `coefficients` is how many MFCC the network takes; `finder` makes a face finder for each worker.

    Raises
    ------
    DataError
        Some recordings are damaged or show no face; the others are prepared by then.
    """
    folder = recordings_folder(work_dir, settings, coefficients)
    finders = threading.local()

    def maker(recording: Recording) -> Callable[[], Arrays]:
        def make() -> Arrays:
            if not hasattr(finders, "own"):
                finders.own = finder()
            return prepare_recording(recording, settings, coefficients, finders.own)

        return make

    makers = {each.key: maker(each) for each in recordings}
    prepare("ravdess", folder, makers, workers)
    return folder


def prepare_recording(
    recording: Recording, settings: RavdessPreparation, coefficients: int, finder: FaceFinder
) -> Arrays:
    """Face pictures (JPEG, RGB when unpacked) and `mfcc` (coefficients, U) of one recording."""
    pictures = list(spread_pictures(recording.video, settings.pictures))
    left, top, side = face_square(pictures, settings, finder)
    faces = np.stack([square(each, left, top, side, settings.size) for each in pictures])
    sound = read_sound(recording.video)
    if sound is None and recording.sound is not None:
        sound = read_sound(recording.sound)
    if sound is None:
        raise DataError(f"{recording.video} has no sound, and there is no 03-{recording.name}.wav")
    voice = mfcc(cut_sound(*sound, settings), settings.sample_rate, coefficients)
    return {**pack(faces), "mfcc": voice}


def face_square(
    pictures: Sequence[Image], settings: RavdessPreparation, finder: FaceFinder
) -> tuple[int, int, int]:
    """Left, top and side in pixels of the one square that a clip is cut from.

    Around the median place and size of the most prominent face in some of the pictures.
    """
    places = np.linspace(0, len(pictures) - 1, settings.looks).round().astype(int)
    seen = []
    for place in places:
        faces = finder.detect(pictures[place])
        if faces:
            best = max(faces, key=lambda face: face.score * float(face.box[2] * face.box[3]))
            seen.append(best.box)
    if not seen:
        raise DataError(f"no face found in {len(places)} of its pictures")
    height, width = pictures[0].shape[:2]
    boxes = np.stack(seen) * np.array([width, height, width, height])
    centre_x, centre_y = np.median(boxes[:, :2] + boxes[:, 2:] / 2, axis=0)
    side = max(2, round(settings.face_scale * float(np.median(boxes[:, 2:].max(axis=1)))))
    return round(centre_x - side / 2), round(centre_y - side / 2), side


def cut_sound(samples: Sound, rate: int, settings: RavdessPreparation) -> Sound:
    """The wanted seconds at the wanted rate; a recording that ends sooner goes on in silence."""
    import soxr

    if rate != settings.sample_rate:
        samples = soxr.resample(samples, rate, settings.sample_rate, quality="HQ")
    begin = round(settings.sound_start * settings.sample_rate)
    count = round(settings.sound_seconds * settings.sample_rate)
    cut = samples[begin : begin + count]
    if len(cut) < count // 2:
        raise DataError(f"its sound lasts {len(samples) / settings.sample_rate:.2f} s only")
    return np.pad(cut, (0, count - len(cut))).astype(np.float32)


class RavdessSamples:
    """Prepared recordings as the network takes them. Thread: any."""

    def __init__(
        self, folder: Path, recordings: Sequence[Recording], augmentation: PictureAugmentation
    ) -> None:
        self._folder = folder
        self.keys = [each.key for each in recordings]
        self._augmentation = augmentation
        self.labels = [each.label for each in recordings]

    def __len__(self) -> int:
        return len(self.keys)

    def sample(
        self, index: int, rng: np.random.Generator | None, only: int | None = None
    ) -> tuple[Tensor, ...]:
        """Clip (3, T, H, W), MFCC (coefficients, U), label ().

        `rng` draws the augmentation, None leaves it. One draw holds for all pictures of the clip.
        With `only` 1 the clip is empty.
        """
        arrays = load(self._folder, self.keys[index])
        clip = torch.empty(0)
        if only != 1:
            pictures = unpack(arrays)
            clip = network_clip(self._augmentation(pictures, rng) if rng is not None else pictures)
        return clip, torch.from_numpy(arrays["mfcc"]), torch.tensor(self.labels[index])

"""NTU RGB+D (60 actions) in its official layout: colour clip and skeletons of each sample.

    ROOT/nturgbd_rgb/…/S001C002P003R002A013_rgb.avi            (or nturgb+d_rgb)
         nturgbd_skeletons/…/S001C002P003R002A013.skeleton     (or nturgb+d_skeletons)
         NTU_RGBD_samples_with_missing_skeletons.txt           if you have it; else our copy

The name says setup, camera, person, repetition and action. The colour clip is 32 pictures spread
over the recording, all cut from one square around the persons, which their skeletons show; RGB,
aspect kept (also of files that were squeezed to 256 x 256). Skeletons keep all their frames here
and are brought to 32 steps when they are taken. Thread: the caller's, and the workers that prepare.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor

from models.config import check_positive
from models.training.data import DataError
from models.training.paper.layout import Fold, existing, indices
from models.training.paper.pictures import PictureAugmentation, network_clip
from models.training.paper.prepared import Arrays, load, prepare, prepared_folder, sample_key
from models.training.paper.skeleton import (
    COLOUR_SIZE,
    Skeletons,
    centred,
    read_skeletons,
    resampled,
)
from models.training.paper.video import Image, pack, spread_pictures, square, unpack

ACTIONS: Final = 60
SPLITS: Final = ("cross-subject", "cross-view")

TRAIN_SUBJECTS: Final = frozenset(
    {1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38}
)
"""Of the official cross-subject split; the other twenty are its test."""
TEST_CAMERA: Final = 1
"""Of the official cross-view split."""
VALIDATION_SUBJECTS: Final = frozenset({2, 5, 9, 14})
"""Four of the training subjects, who choose epochs here (MFAS chose the same four)."""
PAPER_SUBJECTS: Final = frozenset({3, 6, 7, 10})
"""Those whom the authors' code lets choose the epoch. They are test subjects."""

MISSING_LIST: Final = "NTU_RGBD_samples_with_missing_skeletons.txt"

FORMAT: Final = 2  # of prepared files; 1 took who comes for who had gone, however far away

_NAME: Final = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")
_VIDEOS: Final = ("nturgbd_rgb", "nturgb+d_rgb")
_SKELETONS: Final = ("nturgbd_skeletons", "nturgb+d_skeletons")


@dataclass(frozen=True, slots=True, kw_only=True)
class NtuPreparation:
    """How samples are made ready; other settings are prepared anew."""

    pictures: int = 32
    size: int = 224  # pixels of a side
    person_scale: float = 1.2  # side of the square in units of what the joints span

    def __post_init__(self) -> None:
        check_positive(self, "pictures", "size")


_AS_IT_IS: Final = PictureAugmentation(least_area=1.0, mirrored=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NtuTaking:
    """How prepared samples are taken for training and testing."""

    steps: int = 32  # of the skeletons
    least_window: float = 0.5  # share of a clip that training sees, drawn from this to all of it
    least_frames: int = 64  # of the skeletons in that share, where there are as many
    augmentation: PictureAugmentation = field(default_factory=lambda: _AS_IT_IS)


@dataclass(frozen=True, slots=True, kw_only=True)
class NtuSample:
    """One recording."""

    name: str
    camera: int
    subject: int
    action: int  # from 0
    video: Path
    skeleton: Path

    @property
    def key(self) -> str:
        """What it is called once it is prepared."""
        return sample_key(self.name, self.video, self.skeleton)


def missing_skeletons(root: Path) -> frozenset[str]:
    """Names of the samples that are left out: the data set's list where the user has it."""
    own = Path(__file__).with_name("ntu_missing_skeletons.txt")
    theirs = sorted(root.rglob(MISSING_LIST))
    text = (theirs[0] if theirs else own).read_text(encoding="utf-8")
    return frozenset(match.group() for match in _NAME.finditer(text))


OFFICIAL: Final = 56_578
"""Samples of the whole data set: 56,880 of the 60 actions, less 302 whose skeletons are damaged."""


def find_samples(root: Path, complete: bool = True) -> list[NtuSample]:
    """All usable samples of the 60 actions, by name.

    `complete`: a sample of which one half is not there is an error, not left out.

    Raises
    ------
    DataError
        The layout is another, or halves of samples are missing.
    """
    existing(root, "nturgbd_rgb and nturgbd_skeletons")
    left_out = missing_skeletons(root)

    def named(folders: Sequence[str], suffix: str) -> dict[str, Path]:
        roots = [root / folder for folder in folders if (root / folder).is_dir()]
        if not roots:
            raise DataError(f"training data not found: {root} holds no folder {folders[0]}")
        found = {}
        for path in roots[0].rglob(f"*{suffix}"):
            match = _NAME.fullmatch(path.name.removesuffix(suffix))
            if match and int(match[5]) <= ACTIONS and match.group() not in left_out:
                found[match.group()] = path
        if not found:
            raise DataError(f"{roots[0]} holds no file S…C…P…R…A…{suffix}")
        return found

    videos = named(_VIDEOS, "_rgb.avi")
    skeletons = named(_SKELETONS, ".skeleton")
    for have, lack, what in ((videos, skeletons, "skeleton"), (skeletons, videos, "video")):
        if complete and (lone := sorted(have.keys() - lack.keys())):
            raise DataError(
                f"{len(lone)} samples of {root} have no {what}, the first is {lone[0]}. To go on "
                "without them, set complete = false in a settings file"
            )
    both = sorted(videos.keys() & skeletons.keys())
    if not both:
        raise DataError(f"{root}: no sample has both a video and a skeleton")
    samples = []
    for name in both:
        _setup, camera, subject, _repetition, action = map(int, _NAME.fullmatch(name).groups())  # type: ignore[union-attr]
        samples.append(
            NtuSample(
                name=name,
                camera=camera,
                subject=subject,
                action=action - 1,
                video=videos[name],
                skeleton=skeletons[name],
            )
        )
    return samples


def ntu_fold(samples: Sequence[NtuSample], split: str, honest: bool) -> Fold:
    """One of the official splits.

    Honest: four training subjects choose the epoch and are not learned from. The paper's way: four
    of the test subjects do.

    Raises
    ------
    DataError
        One of the three is empty, or the paper has no such split.
    """
    if split == "cross-subject":
        test = [each.subject not in TRAIN_SUBJECTS for each in samples]
    elif honest:
        test = [each.camera == TEST_CAMERA for each in samples]
    else:
        raise DataError("the paper measured NTU RGB+D cross-subject only")
    if honest:
        pairs = zip(samples, test, strict=True)
        choose = [each.subject in VALIDATION_SUBJECTS and not apart for each, apart in pairs]
    else:
        choose = [each.subject in PAPER_SUBJECTS for each in samples]
    train = [not (apart or chooses) for apart, chooses in zip(test, choose, strict=True)]
    fold = Fold(
        name=split,
        train=indices(train),
        choose=indices(choose),
        test=indices(test),
        people=f"{split} test",
    )
    for part in ("train", "choose", "test"):
        if not getattr(fold, part):
            raise DataError(f"NTU RGB+D, {split}: no sample here is one to {part}")
    return fold


def samples_folder(work_dir: Path, settings: NtuPreparation) -> Path:
    """Where :func:`prepare_samples` leaves what it prepares."""
    return prepared_folder(work_dir, "ntu", (FORMAT, settings))


def prepare_samples(
    samples: Sequence[NtuSample], settings: NtuPreparation, work_dir: Path, workers: int
) -> Path:
    """Prepare what is not prepared yet and return the folder that holds it.

    Raises
    ------
    DataError
        Some samples are damaged; the others are prepared by then.
    """
    folder = samples_folder(work_dir, settings)

    def maker(sample: NtuSample) -> Callable[[], Arrays]:
        return lambda: prepare_sample(sample, settings)

    prepare("ntu", folder, {each.key: maker(each) for each in samples}, workers)
    return folder


def prepare_sample(sample: NtuSample, settings: NtuPreparation) -> Arrays:
    """Pictures (JPEG), `joints` (3, T, 25, 2) in metres and `persons` (2,) of one sample."""
    skeletons = read_skeletons(sample.skeleton)
    pictures = []
    for picture in spread_pictures(sample.video, settings.pictures):
        upright = _with_aspect(picture)
        left, top, side = person_square(skeletons, upright.shape[:2], settings.person_scale)
        pictures.append(square(upright, left, top, side, settings.size))
    return {**pack(np.stack(pictures)), "joints": skeletons.joints, "persons": skeletons.persons}


def person_square(
    skeletons: Skeletons, shape: tuple[int, ...], scale: float
) -> tuple[int, int, int]:
    """Left, top, side in pixels of the one square around all joints of a clip."""
    height, width = shape
    if len(skeletons.colour) == 0:
        return (width - height) // 2, 0, height
    places = np.clip(skeletons.colour, 0.0, 1.0) * np.array([width, height], np.float32)
    low, high = places.min(axis=0), places.max(axis=0)
    side = max(2, round(scale * float((high - low).max())))
    centre = (low + high) / 2
    return round(float(centre[0]) - side / 2), round(float(centre[1]) - side / 2), side


def _with_aspect(picture: Image) -> Image:
    """The picture at 16 to 9, which files that were squeezed to squares have lost."""
    height, width = picture.shape[:2]
    wanted = round(height * COLOUR_SIZE[0] / COLOUR_SIZE[1])
    if abs(wanted - width) <= 2:
        return picture
    return np.asarray(
        cv2.resize(picture, (wanted, height), interpolation=cv2.INTER_LINEAR), np.uint8
    )


class NtuSamples:
    """Prepared samples as the network takes them. Thread: any."""

    def __init__(self, folder: Path, samples: Sequence[NtuSample], taking: NtuTaking) -> None:
        self._folder = folder
        self.keys = [each.key for each in samples]
        self._taking = taking
        self.labels = [each.action for each in samples]

    def __len__(self) -> int:
        return len(self.keys)

    def sample(
        self, index: int, rng: np.random.Generator | None, only: int | None = None
    ) -> tuple[Tensor, ...]:
        """Clip (3, T, H, W), skeletons (3, 32, 25, 2), present (3,), action ().

        `rng` draws one window of time for both, None takes the whole clip. `present` is for colour,
        first and second person. With `only` 1 the clip is empty.
        """
        arrays = load(self._folder, self.keys[index])
        joints, persons = arrays["joints"], arrays["persons"]
        count = joints.shape[1]
        begin, end = (0, count) if rng is None else self._window(count, rng)
        clip = torch.empty(0)
        if only != 1:
            pictures = unpack(arrays)
            step = (len(pictures) - 1) / max(1, count - 1)  # pictures per frame of the skeletons
            places = np.linspace(begin * step, (end - 1) * step, len(pictures))
            pictures = pictures[places.round().astype(int)]
            if rng is not None:
                pictures = self._taking.augmentation(pictures, rng)
            clip = network_clip(pictures)
        steps = resampled(centred(joints[:, begin:end], persons), self._taking.steps)
        return (
            clip,
            torch.from_numpy(steps),
            torch.from_numpy(np.concatenate([[True], persons])),
            torch.tensor(self.labels[index]),
        )

    def _window(self, count: int, rng: np.random.Generator) -> tuple[int, int]:
        share = rng.uniform(self._taking.least_window, 1.0)
        length = min(count, max(int(count * share), self._taking.least_frames))
        begin = int(rng.integers(0, count - length + 1))
        return begin, begin + length

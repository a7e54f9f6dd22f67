"""Skeletons of NTU RGB+D (.skeleton text files) and HCN's preparation of them.

A file says per frame how many bodies are seen, per body an identity and 25 joints, per joint among
others x, y, z in metres from the camera and its place in the 1920 x 1080 colour picture. Bodies are
followed by identity; a body that comes after another one has gone, near to it, is the same person.
Pure but for reading the file. Thread: any.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from models.arrays import FloatArray
from models.training.data import DataError

JOINTS: Final = 25
PERSONS: Final = 2
COLOUR_SIZE: Final = (1920, 1080)  # width, height that the colour coordinates mean
SHORTEST_TRACK: Final = 12  # frames; what is seen for less is a chair or a reflection
NEAR: Final = 0.75  # m, what somebody walks in half a second; two people mostly stand further apart
ORIGIN: Final = 1  # the joint in the middle of the spine
_FIELDS: Final = 12  # numbers per joint


@dataclass(frozen=True, slots=True, eq=False)
class Skeletons:
    """The two persons of a clip; who is not there is 0."""

    joints: FloatArray  # (3, T, 25, 2) m; gaps repeat the nearest frame
    persons: NDArray[np.bool_]  # (2,) is there
    colour: FloatArray  # (n, 2) places of all joints as shares of the colour picture's size


@dataclass(slots=True, eq=False)
class _Track:
    """One identity: joints by frame, (25, 5) each: x, y, z, colour x, colour y."""

    frames: dict[int, FloatArray]

    @property
    def first(self) -> int:
        return min(self.frames)

    @property
    def last(self) -> int:
        return max(self.frames)

    @property
    def motion(self) -> float:
        """Sum over x, y, z of the deviation in time, mean over joints."""
        joints = np.stack(list(self.frames.values()))[:, :, :3]
        return float(joints.std(axis=0).sum(axis=1).mean())


def read_skeletons(path: Path) -> Skeletons:
    """Read one file; the two persons who move most are kept.

    Raises
    ------
    DataError
        No such file, damaged, or nobody in it.
    """
    try:
        numbers = path.read_text(encoding="ascii").split()
    except FileNotFoundError:
        raise DataError(f"training data not found: {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    try:
        count, tracks = _parse(iter(numbers))
    except (ValueError, StopIteration):
        raise DataError(f"{path} is damaged: it is no complete .skeleton file") from None
    persons = _persons(tracks)
    if count == 0 or not persons:
        raise DataError(f"{path} shows nobody")
    joints = np.zeros((3, count, JOINTS, PERSONS), np.float32)
    for place, person in enumerate(persons):
        seen = np.array(sorted(person.frames))
        nearest = seen[np.abs(np.arange(count)[:, None] - seen[None]).argmin(axis=1)]
        poses = np.stack([person.frames[frame][:, :3] for frame in nearest])  # (T, 25, 3)
        joints[:, :, :, place] = poses.transpose(2, 0, 1)
    places = np.concatenate([pose[:, 3:] for person in persons for pose in person.frames.values()])
    return Skeletons(
        joints=joints,
        persons=np.arange(PERSONS) < len(persons),
        colour=places[np.isfinite(places).all(axis=1)] / np.array(COLOUR_SIZE, np.float32),
    )


def _parse(numbers: Iterator[str]) -> tuple[int, list[_Track]]:
    tracks: dict[str, _Track] = {}
    count = int(next(numbers))
    for frame in range(count):
        for _ in range(int(next(numbers))):
            identity = next(numbers)
            for _ in range(9):  # edges, hands, lean, tracking state
                next(numbers)
            if int(next(numbers)) != JOINTS:
                raise ValueError("not 25 joints")
            joints = np.array(
                [float(next(numbers)) for _ in range(JOINTS * _FIELDS)], np.float32
            ).reshape(JOINTS, _FIELDS)
            pose = joints[:, [0, 1, 2, 5, 6]]
            pose[:, :3] = np.nan_to_num(pose[:, :3], posinf=0.0, neginf=0.0)
            tracks.setdefault(identity, _Track({})).frames[frame] = pose
    if next(numbers, None) is not None:
        raise ValueError("more than it says")
    return count, list(tracks.values())


def _persons(tracks: list[_Track]) -> list[_Track]:
    """At most two, the one who moves most first."""
    long = [track for track in tracks if len(track.frames) >= SHORTEST_TRACK]
    persons: list[_Track] = []
    for track in sorted(long or tracks[:1], key=lambda each: each.first):
        begin = track.frames[track.first][ORIGIN, :3]
        gone = [person for person in persons if person.last < track.first]
        far = [float(np.linalg.norm(each.frames[each.last][ORIGIN, :3] - begin)) for each in gone]
        if far and min(far) <= NEAR:
            gone[far.index(min(far))].frames.update(track.frames)
        else:
            persons.append(_Track(dict(track.frames)))
    return sorted(persons, key=lambda each: each.motion, reverse=True)[:PERSONS]


def centred(joints: FloatArray, persons: NDArray[np.bool_]) -> FloatArray:
    """(3, T, 25, 2) in metres from the first person's spine, frame by frame; the absent stay 0."""
    origin = joints[:, :, ORIGIN : ORIGIN + 1, :1]
    return np.asarray(np.where(persons, joints - origin, 0.0), np.float32)


def resampled(joints: FloatArray, steps: int) -> FloatArray:
    """(3, T, 25, 2) → (3, steps, 25, 2), linear in time between the centres of frames."""
    count = joints.shape[1]
    flat = torch.from_numpy(np.ascontiguousarray(joints)).permute(0, 2, 3, 1).reshape(1, -1, count)
    scaled = functional.interpolate(flat, size=steps, mode="linear", align_corners=False)
    back = scaled.reshape(joints.shape[0], *joints.shape[2:], steps).permute(0, 3, 1, 2)
    return np.asarray(back.contiguous().numpy(), np.float32)

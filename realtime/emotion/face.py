"""The face: one picture of each hop that shows the followed face, put through the trunk once.

Thread: the worker's, but for `encode`. A window is seen as slots, see realtime/windowing.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from models.arrays import FloatArray
from models.config import FACE
from realtime.config import WindowConfig
from realtime.emotion.config import EmotionConfig
from realtime.emotion.fusion import EmotionFusion
from realtime.emotion.reasons import FEW_PICTURES, NO_FACE, TOO_DARK
from realtime.messages import STALLED, FaceObservation, Prediction, Reason, Sighting, Track
from realtime.task import Excerpt, Modality
from realtime.windowing import WindowGrid


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FaceExcerpt(Excerpt):
    """The face in one window."""

    faces: tuple[FaceObservation, ...]  # the followed one, oldest first
    maps: FloatArray | None  # (channels, n, height, width); None when the face does not count


@dataclass(slots=True, eq=False)
class _Slot:
    """The newest picture of one hop that shows the followed face."""

    face: FaceObservation
    feature_map: FloatArray | None = None  # made once no newer picture can come


class Face(Modality[FaceExcerpt, EmotionFusion]):
    """The followed face."""

    name = FACE
    track = Track.PICTURES

    def __init__(
        self,
        config: EmotionConfig,
        windows: WindowConfig,
        *,
        trunk: Callable[[FloatArray], FloatArray],
    ) -> None:
        """`trunk`: aligned grey crop (48, 48) in [0, 1] → feature map (channels, height, width)."""
        self._config = config
        self._windows = windows
        self._grid = WindowGrid(windows)
        self._trunk = trunk
        self._slots: dict[int, _Slot] = {}
        self._brightness: dict[int, float] = {}  # of each slot's newest picture
        self._picture_time: float | None = None
        self._followed: FaceObservation | None = None  # the newest sight of a face
        self._absent_seconds = 0.0  # of pictures without one since then
        self._strangers: list[int] = []  # slots in which a face came that may be another person's

    def see(self, sighting: Sighting) -> None:
        """See Modality.see."""
        self._notice_strangers(sighting)
        self._picture_time = sighting.timestamp
        slot = self._grid.slot_of(sighting.timestamp)
        self._brightness[slot] = sighting.brightness
        if sighting.searched and sighting.face is not None:
            self._slots[slot] = _Slot(sighting.face)

    def prepare(self) -> None:
        """Put the face of a slot that is over through the trunk, before its sound has come.

        One at a time: a window may fall due.
        """
        if self._picture_time is None:
            return
        present = self._grid.slot_of(self._picture_time)
        for slot, held in self._slots.items():
            counts = held.face.brightness >= self._config.dark  # what is too dark may never
            if held.feature_map is None and slot < present and counts:
                self._map(held)
                return

    def forget_input(self) -> None:
        """See Modality.forget_input."""
        self._slots.clear()
        self._brightness.clear()
        self._picture_time = self._followed = None
        self._absent_seconds = 0.0

    def excerpt(self, index: int, lost: Reason | None) -> FaceExcerpt:
        """See Modality.excerpt."""
        absent, slots = self._absent(index, lost)
        found = FaceExcerpt(
            absent=absent,
            new_person=any(slot <= index for slot in self._strangers),
            faces=tuple(slot.face for slot in slots),
            maps=self._maps(slots) if absent is None else None,
        )
        self._drop_old_slots(index)
        return found

    def inputs(self, excerpt: FaceExcerpt) -> Mapping[str, FloatArray]:
        """See Modality.inputs."""
        assert excerpt.maps is not None
        return {"maps": excerpt.maps}

    def show(
        self,
        prediction: Prediction,
        excerpt: FaceExcerpt,
        fusion: EmotionFusion | None,
        shown: int | None,
    ) -> Prediction:
        """The newest face and what of it speaks for the class that is shown."""
        newest = excerpt.faces[-1] if excerpt.faces else None
        if fusion is None or shown is None:
            return replace(prediction, face=newest)
        return replace(
            prediction,
            face=newest,
            face_activation=_unit_range(fusion.face_activation[shown]),
        )

    def _notice_strangers(self, sighting: Sighting) -> None:
        """Tell when a face takes over from another, or comes after a long time without one.

        One that comes back after a short loss, as a new face to the tracker, is taken for the same.
        """
        config, face, before = self._config, sighting.face, self._followed
        since = 0.0 if self._picture_time is None else sighting.timestamp - self._picture_time
        # Absence counts only while pictures arrive and are bright enough to show a face.
        if sighting.brightness >= config.dark_picture:
            self._absent_seconds += min(since, self._windows.stall_seconds)
        if face is None:
            return
        took_over = (
            before is not None
            and before.identity != face.identity
            and face.timestamp - before.timestamp < config.face_age_seconds
        )
        if took_over or self._absent_seconds > config.new_person_seconds:
            self._strangers.append(self._grid.slot_of(sighting.timestamp))
        self._followed, self._absent_seconds = face, 0.0

    def _absent(self, index: int, lost: Reason | None) -> tuple[Reason | None, list[_Slot]]:
        """Why the face does not count, if so, and the window's slots that show it, in order."""
        config = self._config
        first = self._grid.first_slot(index)
        slots = [self._slots[slot] for slot in sorted(self._slots) if first <= slot <= index]
        missing = lost
        if lost is None:
            seen = max((slot for slot in self._brightness if slot <= index), default=None)
            if seen is None:  # a hole in a recording, which was not known before its end
                missing = STALLED
            else:
                missing = TOO_DARK if self._brightness[seen] < config.dark_picture else NO_FACE
        if not slots:
            return missing, slots
        newest = slots[-1].face
        slots = [slot for slot in slots if slot.face.identity == newest.identity]
        age = self._grid.end(index) - self._windows.picture_lag_seconds - newest.timestamp
        if age > config.face_age_seconds:
            return missing, slots
        if len(slots) < config.face_frames:
            return FEW_PICTURES, slots
        if newest.brightness < config.dark:
            return TOO_DARK, slots
        return None, slots

    def _maps(self, slots: list[_Slot]) -> FloatArray:
        """Feature maps (channels, n, height, width); those made for earlier windows are reused."""
        return np.stack([self._map(slot) for slot in slots], axis=1)

    def _map(self, slot: _Slot) -> FloatArray:
        """Feature map (channels, height, width), made once."""
        if slot.feature_map is None:
            assert slot.face.crop is not None
            slot.feature_map = self._trunk(slot.face.crop)
        return slot.feature_map

    def _drop_old_slots(self, index: int) -> None:
        """Drop what no window after `index` has a use for."""
        oldest = self._grid.first_slot(index + 1)
        for kept in (self._slots, self._brightness):
            for slot in [slot for slot in kept if slot < oldest]:
                del kept[slot]
        self._strangers = [slot for slot in self._strangers if slot > index]


def _unit_range(activation: FloatArray) -> FloatArray:
    """Scale an activation map to [0, 1]; negative activation speaks against the class and is 0."""
    positive = np.maximum(activation, 0)
    peak = float(positive.max())
    result: FloatArray = (positive / peak if peak > 0 else positive).astype(np.float32)
    return result

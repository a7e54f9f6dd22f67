"""Which face is followed: mediapipe finds faces, a tracker chooses one and stays with it.

Thread: `faces`, live and in replay, which hands its sightings on to the worker.
Boxes and keypoints are in image coordinates divided by width and height; time is seconds. Each
image is looked at by itself (no video mode), so that the same images in the same order always give
the same faces.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.arrays import FloatArray
from realtime.closing import Closing
from realtime.emotion.features import align_face, brightness
from realtime.messages import Box, FaceObservation, Sighting, VideoPacket

KEEP_SECONDS: Final = 1.0  # that the followed face may be lost, or another one larger
SETTLE_SECONDS: Final = 0.3  # that a face new to the scene is seen at one place, to be followed
LARGER: Final = 1.8  # a face with so many times the followed one's area is clearly larger
SMOOTHING_SECONDS: Final = 0.04  # in which a detection's weight in the smoothed one falls to 1/e
SEARCH_SECONDS: Final = 0.024  # at least, from one searched image to the next (docs/adr/0006)

_HEARING: Final = "mediapipe.tasks.python.audio"


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """One face in one image."""

    box: FloatArray  # (4,) left, top, width, height
    keypoints: FloatArray  # (4, 2) image-left eye, image-right eye, nose tip, mouth
    score: float  # 0..1

    @property
    def area(self) -> float:
        """Share of the image that the box covers."""
        return float(self.box[2] * self.box[3])


class FaceDetector(Protocol):
    """Finds all faces in an image."""

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Faces in an RGB image (height, width, 3), in any order."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class MediapipeDetector(Closing):
    """mediapipe's short-range face detector (BlazeFace), for faces within about two metres."""

    # The detector looks at 128 x 128 pixels itself; a smaller picture only spares it the way there.
    _WIDTH = 640
    _LEAST_SCORE = 0.5

    def __init__(self) -> None:
        # Its package loads sounddevice for tasks that hear, and with it asks a sound server, which
        # may never answer.
        nothing = ModuleType(_HEARING)
        sys.modules.setdefault(_HEARING, nothing)
        from mediapipe.python.solutions.face_detection import FaceDetection

        if sys.modules.get(_HEARING) is nothing:  # not that of another detector made meanwhile
            del sys.modules[_HEARING]
        self._network = FaceDetection(model_selection=0, min_detection_confidence=self._LEAST_SCORE)

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Faces in an RGB image (height, width, 3)."""
        height, width = image.shape[:2]
        if width > self._WIDTH:
            size = (self._WIDTH, max(1, round(height * self._WIDTH / width)))
            image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8)
        found = self._network.process(image).detections or []
        return [self._detection(each) for each in found]

    @staticmethod
    def _detection(found: object) -> Detection:
        location = found.location_data  # type: ignore[attr-defined]
        box = location.relative_bounding_box
        points = location.relative_keypoints[:4]
        return Detection(
            box=np.array([box.xmin, box.ymin, box.width, box.height], np.float32),
            keypoints=np.array([[point.x, point.y] for point in points], np.float32),
            score=float(found.score[0]),  # type: ignore[attr-defined]
        )

    def close(self) -> None:
        """Free the network."""
        self._network.close()


def _overlap(a: FloatArray, b: FloatArray) -> float:
    """Intersection over union of two boxes."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = float(width * height)
    return shared / (float(a[2] * a[3]) + float(b[2] * b[3]) - shared)


class FaceTracker(Closing):
    """Follows one face: the largest steady one, through short losses.

    A face is taken up when it has been seen twice; another one replaces it after KEEP_SECONDS
    without a sight of it, or when it has been clearly larger for as long. One that was nowhere
    beside it, as after a cut, need not wait so long: SETTLE_SECONDS at one place while the
    followed one is missed, or as long as that had been followed, will do. An image that comes less
    than SEARCH_SECONDS after the one searched last is passed over (docs/adr/0006).
    """

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self._identities = 0
        self.reset()

    def close(self) -> None:
        """Let go of the detector."""
        self._detector.close()

    def reset(self) -> None:
        """Forget whom we follow (another source)."""
        self._target: Detection | None = None
        self._taken_at = 0.0
        self._seen_at = 0.0
        self._beside: list[tuple[float, Detection]] = []  # when others were seen with the target
        self._rival: Detection | None = None
        self._settled: tuple[float, Detection] | None = None  # when the rival came to its place
        self._larger_since = 0.0  # from when on the rival has been clearly larger
        self._searched_at: float | None = None
        self._found: FaceObservation | None = None  # by the last search

    def look(self, packet: VideoPacket) -> Sighting:
        """Search the next image for the followed face."""
        now, last = packet.timestamp, self._searched_at
        searched = last is None or not 0 <= now - last < SEARCH_SECONDS
        if searched:
            self._searched_at, self._found = now, self._find(packet)
        return Sighting(
            timestamp=now,
            sequence=packet.sequence,
            face=self._found,
            brightness=brightness(packet.image),
            searched=searched,
        )

    def _find(self, packet: VideoPacket) -> FaceObservation | None:
        found = self._detector.detect(packet.image)
        now = packet.timestamp
        if self._target is not None and now - self._seen_at > KEEP_SECONDS:
            self._target = None
        match = self._same(self._target, found)
        if match is not None:
            recent = [each for each in self._beside if now - each[0] <= KEEP_SECONDS]
            self._beside = recent + [(now, face) for face in found if face is not match]
        largest = max(found, key=lambda face: face.area, default=None)
        if largest is None or largest is match:
            self._rival = None
        else:
            known = self._rival is not None and _overlap(self._rival.box, largest.box) > 0.2
            if not known or (match is not None and largest.area <= LARGER * match.area):
                self._larger_since = now
            if (
                not known
                or self._settled is None
                or _overlap(self._settled[1].box, largest.box) <= 0.5
            ):
                self._settled = now, largest
            self._rival = largest
            if self._target is None:
                takes_over = known
            elif match is not None:
                takes_over = now - self._larger_since >= KEEP_SECONDS
            else:
                takes_over = known and self._is_new_here(now, largest)
            if takes_over:
                self._identities += 1
                self._taken_at, self._beside = now, []
                self._rival, self._target, match = None, None, largest
        if match is None:
            return None
        self._target = self._smoothed(match, now)
        self._seen_at = now
        return self._observe(self._target, packet)

    def _is_new_here(self, now: float, rival: Detection) -> bool:
        """Whether `rival`, seen while the target is missed, need not wait for it to come back.

        It was seen a moment ago: there is time to see it again, and who was beside it then waits.
        """
        if self._settled is None or any(
            _overlap(face.box, rival.box) > 0.2 for _, face in self._beside
        ):
            return False
        followed_for = self._seen_at - self._taken_at
        return now - self._settled[0] >= min(SETTLE_SECONDS, followed_for)

    @staticmethod
    def _same(target: Detection | None, found: list[Detection]) -> Detection | None:
        if target is None or not found:
            return None
        best = max(found, key=lambda face: _overlap(target.box, face.box))
        return best if _overlap(target.box, best.box) > 0.2 else None

    def _smoothed(self, new: Detection, now: float) -> Detection:
        if self._target is None:
            return new
        elapsed = max(now - self._seen_at, 0.0)
        keep = math.exp(-elapsed / SMOOTHING_SECONDS)
        # Only jitter is smoothed: the box of a fast head must not lag behind it.
        moved = float(np.abs(new.box[:2] - self._target.box[:2]).max())
        keep *= max(0.0, 1.0 - moved / (0.1 * float(new.box[2]) + 1e-6))
        return Detection(
            box=(keep * self._target.box + (1 - keep) * new.box).astype(np.float32),
            keypoints=(keep * self._target.keypoints + (1 - keep) * new.keypoints).astype(
                np.float32
            ),
            score=new.score,
        )

    def _observe(self, face: Detection, packet: VideoPacket) -> FaceObservation | None:
        try:
            crop, matrix = align_face(packet.image, face.keypoints)
        except ValueError:  # eyes and mouth in one point: not a face after all
            return None
        left, top, width, height = (float(value) for value in face.box)
        return FaceObservation(
            timestamp=packet.timestamp,
            sequence=packet.sequence,
            identity=self._identities,
            box=Box(left=left, top=top, width=width, height=height),
            keypoints=face.keypoints,
            score=face.score,
            crop=crop,
            crop_from_image=matrix,
            brightness=float(crop.mean()),
        )


def watch_face() -> FaceTracker:
    """A task's watcher that follows one face."""
    return FaceTracker(MediapipeDetector())

"""Faces without a detector: where the test says, or where a picture is bright."""

from __future__ import annotations

import numpy as np

from realtime.emotion.config import EmotionConfig
from realtime.emotion.faces import Detection, FaceTracker
from realtime.messages import VideoPacket

FPS = 30
TWO_PEOPLE = EmotionConfig(new_person_seconds=1.0)


def face(x: float, size: float = 0.3) -> Detection:
    """A face whose box is centred at (x, 0.5)."""
    left, top = x - size / 2, 0.5 - size / 2
    points = [(0.3, 0.35), (0.7, 0.35), (0.5, 0.55), (0.5, 0.75)]
    return Detection(
        box=np.array([left, top, size, size], np.float32),
        keypoints=np.array([[left + size * a, top + size * b] for a, b in points], np.float32),
        score=0.9,
    )


class BrightFaces:
    """A face wherever the picture is not black at the top left, or nearly so."""

    def detect(self, image: np.ndarray) -> list:  # type: ignore[type-arg]
        return [face(0.5)] if image[0, 0, 0] > 2 else []

    def close(self) -> None:
        pass


def watch_brightness() -> FaceTracker:
    return FaceTracker(BrightFaces())


def pictures_of_two_people(seconds: float, frame_rate: float = 15.0) -> list[VideoPacket]:
    """A face, nobody for a second and a half, a face again."""
    pictures = []
    for number in range(round(seconds * frame_rate)):
        time = number / frame_rate
        image = np.full((90, 160, 3), 130 + number, np.uint8)
        image[0, 0] = 0 if 3.5 < time < 5.0 else 160
        pictures.append(VideoPacket(timestamp=time, sequence=number, image=image))
    return pictures

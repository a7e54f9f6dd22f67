"""Which face is followed, and how it is cut out."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from models.alignment import CANONICAL_KEYPOINTS, CROP_SIZE
from realtime.emotion.faces import Detection, FaceTracker
from realtime.emotion.features import align_face, similarity_transform
from realtime.messages import FaceObservation, Sighting, VideoPacket
from realtime.rings import FrameRing
from realtime.search import PictureSearch
from tests.fakes.faces import face
from tests.fakes.sources import ManualClock

RATE = 10.0


class ScriptedDetector:
    """Finds what the script says, frame by frame."""

    def __init__(self, script: list[list[Detection]]) -> None:
        self._script = iter(script)

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        return next(self._script)

    def close(self) -> None:
        pass


def follow(script: list[list[Detection]]) -> list[FaceObservation | None]:
    tracker = FaceTracker(ScriptedDetector(script))
    image = np.full((90, 160, 3), 128, np.uint8)
    return [
        tracker.look(VideoPacket(timestamp=k / RATE, sequence=k, image=image)).face
        for k in range(len(script))
    ]


def identities(script: list[list[Detection]]) -> list[int | None]:
    return [None if each is None else each.identity for each in follow(script)]


def test_a_sighting_tells_how_bright_the_picture_is() -> None:
    tracker = FaceTracker(ScriptedDetector([[]]))
    image = np.zeros((720, 1280, 3), np.uint8)
    image[:, 640:] = (0, 255, 0)
    for number in range(2):  # the second comes too soon to be searched
        packet = VideoPacket(timestamp=number / 100, sequence=number, image=image)
        sighting = tracker.look(packet)
        assert sighting.brightness == pytest.approx(0.587 / 2)
        assert sighting.searched is (number == 0)


def test_a_face_is_taken_up_when_seen_twice() -> None:
    assert identities([[face(0.5)]] * 3) == [None, 1, 1]


def test_one_false_alarm_is_nobody() -> None:
    assert identities([[face(0.5)], [], [face(0.2)], []]) == [None] * 4


def test_identity_survives_a_short_loss_but_not_a_long_one() -> None:
    script = [[face(0.5)]] * 3 + [[]] * 5 + [[face(0.52)]] * 2
    assert identities(script) == [None, 1, 1, *[None] * 5, 1, 1]
    script = [[face(0.5)]] * 3 + [[]] * 15 + [[face(0.5)]] * 3
    assert identities(script)[-1] == 2


def test_a_slightly_larger_passer_by_changes_nothing() -> None:
    script = [[face(0.3)]] * 3 + [[face(0.3), face(0.7, 0.35)]] * 20
    assert identities(script)[2:] == [1] * 21


def test_a_clearly_larger_steady_face_takes_over() -> None:
    script = [[face(0.2, 0.15)]] * 3 + [[face(0.2, 0.15), face(0.7, 0.4)]] * 20
    seen = identities(script)
    assert seen[5] == 1
    assert seen[-1] == 2


def test_one_missed_image_hands_nobody_over_to_a_passer_by() -> None:
    both = [face(0.3), face(0.7, 0.32)]
    script = [[face(0.3)]] * 3 + [both] * 20 + [both[1:]] + [both] * 20
    assert identities(script)[2:] == [1] * 21 + [None] + [1] * 20
    script = [[face(0.3)]] * 3 + [both] * 20 + [both[1:]] * 13
    assert identities(script)[23:32] == [None] * 9
    assert identities(script)[-1] == 2  # after more than a second


def test_a_face_that_is_clearly_larger_for_a_moment_does_not_take_over() -> None:
    both, closer = [face(0.3), face(0.7, 0.32)], [face(0.3), face(0.7, 0.45)]
    script = [[face(0.3)]] * 3 + [both] * 20 + [closer] * 8 + [both] + [closer] * 8
    assert identities(script)[2:] == [1] * 38
    assert identities(script + [closer] * 4)[-1] == 2


def test_after_a_cut_the_face_that_stands_there_need_not_wait_long() -> None:
    script = [[face(0.25)]] * 10 + [[face(0.75)]] * 6
    assert identities(script)[9:] == [1, None, None, None, 2, 2, 2]


def test_what_was_taken_for_a_face_for_a_moment_holds_nobody_up() -> None:
    script = [[face(0.25)]] * 3 + [[]] * 2 + [[face(0.75)]] * 3
    assert identities(script) == [None, 1, 1, *[None] * 3, None, 2]
    assert identities([[face(0.25)]] * 9 + script[3:])[9:] == [None] * 5


@pytest.mark.parametrize("size", [0.2, 0.4])
def test_who_was_seen_beside_the_face_does_not_take_its_place_for_a_short_loss(
    size: float,
) -> None:
    both = [face(0.25), face(0.75, size)]
    script = [both] * 10 + [both[:1]] + [both[1:]] * 8 + [both] * 3
    first = identities([[face(0.25)]] * 3 + script)
    assert first[2:] == [1] * 12 + [None] * 8 + [1] * 3


def test_who_walks_past_does_not_take_the_place_of_the_face_that_is_covered() -> None:
    walking = [[face(0.1 + 0.1 * k, 0.25)] for k in range(6)]
    script = [[face(0.9, 0.2)]] * 10 + walking + [[face(0.9, 0.2)]] * 3
    assert identities(script)[9:] == [1, *[None] * 6, 1, 1, 1]


def test_the_box_follows_a_moving_face() -> None:
    seen = follow([[face(0.3 + 0.02 * k)] for k in range(15)])
    newest = seen[-1]
    assert newest is not None
    assert newest.box.left == pytest.approx(0.3 + 0.02 * 14 - 0.15, abs=0.01)


def test_a_similarity_is_recovered() -> None:
    points = np.array([[0, 0], [4, 0], [2, 5]], np.float32)
    angle, scale = 0.4, 2.5
    rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = similarity_transform(points, (points @ rotation.T + [7, -3]).astype(np.float32))
    np.testing.assert_allclose(matrix, np.column_stack([rotation, [7, -3]]), atol=1e-5)
    with pytest.raises(ValueError, match="coincide"):
        similarity_transform(np.zeros((3, 2), np.float32), points)


def test_eyes_and_mouth_land_where_the_trunk_expects_them() -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    keypoints = np.array([[0.40, 0.30], [0.60, 0.34], [0.49, 0.45], [0.48, 0.58]], np.float32)
    for x, y in keypoints[[0, 1, 3]]:
        column, row = round(x * 400), round(y * 300)
        image[row - 4 : row + 5, column - 4 : column + 5] = 255
    crop, matrix = align_face(image, keypoints)
    assert crop.shape == (CROP_SIZE, CROP_SIZE)
    assert matrix.shape == (2, 3)
    for k in (0, 1, 3):
        x, y = CANONICAL_KEYPOINTS[k]
        assert crop[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4].max() > 0.5
    assert crop[:6].max() == 0.0


def test_points_that_coincide_are_no_face() -> None:
    broken = Detection(face(0.5).box, np.full((4, 2), 0.5, np.float32), 0.9)
    assert identities([[broken]] * 3) == [None] * 3


def test_pictures_that_cannot_be_searched_in_time_are_passed_over() -> None:
    frames, sightings = FrameRing(), list[Sighting]()
    tracker = FaceTracker(ScriptedDetector([[face(0.5)]] * 20))
    search = PictureSearch(frames, sightings.append)
    assert not search.step(tracker)
    image = np.full((90, 160, 3), 128, np.uint8)
    for k in range(12):
        frames.push(VideoPacket(timestamp=k / RATE, sequence=k, image=image))
    assert search.step(tracker)
    assert [each.sequence for each in sightings] == [8, 9, 10, 11]
    assert [each.face is not None for each in sightings] == [False, True, True, True]
    assert search.newest is sightings[-1]
    assert search.skipped == 8


def test_where_a_search_is_slow_the_newest_picture_waits_for_none() -> None:
    frames, sightings, clock = FrameRing(), list[Sighting](), ManualClock()

    class Slow(ScriptedDetector):
        def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
            clock.advance(0.05)
            return super().detect(image)

    tracker = FaceTracker(Slow([[face(0.5)]] * 40))
    search = PictureSearch(frames, sightings.append, now=clock.now)
    search.step(tracker)
    image = np.full((90, 160, 3), 128, np.uint8)
    for k in range(30):
        frames.push(VideoPacket(timestamp=k / RATE, sequence=k, image=image))
        if k < 10 or k % 3 == 2:  # then three come while one is searched
            search.step(tracker)
    assert [each.sequence for each in sightings[:10]] == list(range(10))
    assert [each.sequence for each in sightings[-6:]] == [14, 17, 20, 23, 26, 29]
    assert search.skipped == 30 - len(sightings)


def test_what_came_before_a_search_or_another_camera_is_not_passed_over() -> None:
    frames, sightings = FrameRing(), list[Sighting]()
    image = np.full((90, 160, 3), 128, np.uint8)

    def push(count: int) -> None:
        for k in range(count):
            frames.push(VideoPacket(timestamp=k / RATE, sequence=k, image=image))

    push(12)
    tracker = FaceTracker(ScriptedDetector([[face(0.5)]] * 20))
    search = PictureSearch(frames, sightings.append)
    assert not search.step(tracker)
    push(2)
    assert search.step(tracker)
    push(12)
    search.forget()
    assert not search.step(tracker)
    assert search.skipped == 0
    search.forget()
    assert frames.latest() is None
    before = len(sightings)
    push(1)  # of the other camera
    assert search.step(tracker)
    assert len(sightings) == before + 1


def test_what_is_seen_of_a_camera_too_late_is_not_passed_on() -> None:
    frames, sightings = FrameRing(), list[Sighting]()
    search = PictureSearch(frames, sightings.append)
    image = np.full((90, 160, 3), 128, np.uint8)

    class Changing(ScriptedDetector):
        """Another camera comes while the second picture is searched."""

        searched = 0

        def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
            self.searched += 1
            if self.searched == 2:
                search.forget()
            return super().detect(image)

    def push(count: int) -> None:
        for k in range(count):
            frames.push(VideoPacket(timestamp=k / RATE, sequence=k, image=image))

    tracker = FaceTracker(Changing([[face(0.5)]] * 20))
    search.step(tracker)
    push(3)
    assert search.step(tracker)
    assert len(sightings) == 1
    assert search.newest is None
    assert not search.step(tracker)
    push(3)
    assert search.step(tracker)
    assert [each.face is not None for each in sightings[1:]] == [False, True, True], (
        "nobody is known there"
    )


class CountingDetector:
    """The same face everywhere; remembers which pictures it was shown."""

    def __init__(self) -> None:
        self.shown: list[int] = []

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        self.shown.append(int(image[0, 0, 0]))
        return [face(0.5)]

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("rate", "every"), [(120, 3), (60, 2), (50, 2), (30, 1), (25, 1), (10, 1)])
def test_pictures_that_come_quickly_are_not_all_searched(rate: int, every: int) -> None:
    detector = CountingDetector()
    tracker = FaceTracker(detector)
    images = [np.full((90, 160, 3), k, np.uint8) for k in range(60)]
    sightings = [
        tracker.look(VideoPacket(timestamp=k / rate, sequence=k, image=image))
        for k, image in enumerate(images)
    ]
    assert detector.shown == list(range(0, 60, every))
    assert [each.sequence for each in sightings if each.searched] == detector.shown
    for before, after in pairwise(sightings[2 * every :]):
        if not after.searched:
            assert after.face is before.face is not None


def test_time_that_runs_back_does_not_keep_pictures_from_being_searched() -> None:
    detector = CountingDetector()
    tracker = FaceTracker(detector)
    for k, time in enumerate((5.0, 0.0, 0.1)):
        image = np.full((90, 160, 3), k, np.uint8)
        tracker.look(VideoPacket(timestamp=time, sequence=k, image=image))
    tracker.reset()
    tracker.look(VideoPacket(timestamp=0.11, sequence=3, image=np.full((90, 160, 3), 3, np.uint8)))
    assert detector.shown == [0, 1, 2, 3]

"""NTU RGB+D in its official layout: skeletons, splits, pictures, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.training.data import DataError
from models.training.paper import ntu as data
from models.training.paper.ntu import (
    NtuPreparation,
    NtuSample,
    NtuSamples,
    NtuTaking,
    find_samples,
    missing_skeletons,
    ntu_fold,
    person_square,
    prepare_sample,
    prepare_samples,
)
from models.training.paper.skeleton import ORIGIN, centred, read_skeletons, resampled
from models.training.paper.video import unpack
from tests.paper.datasets import ntu, ntu_name, standing, write_skeleton, write_video

SMALL = NtuPreparation(pictures=8, size=32)


# Skeletons.


def test_a_skeleton_file_is_read(tmp_path: Path) -> None:
    frames = [{1: standing(0.01 * index, column=900)} for index in range(15)]
    found = read_skeletons(write_skeleton(tmp_path / "a.skeleton", frames))
    assert found.joints.shape == (3, 15, 25, 2)
    assert found.persons.tolist() == [True, False]
    for index in range(15):
        expected = frames[index][1][:, :3].T
        np.testing.assert_allclose(found.joints[:, index, :, 0], expected, atol=1e-5)
    assert (found.joints[..., 1] == 0).all()
    assert found.colour.shape == (15 * 25, 2)
    assert found.colour[0] == pytest.approx([900 / 1920, 500 / 1080])


def test_persons_are_followed_by_identity_and_the_lively_come_first(tmp_path: Path) -> None:
    frames = []
    for index in range(40):
        bodies = {2: standing(1.0, column=1200)}  # stands still
        mover = standing(-1.0 + 0.02 * index, column=500)
        # The one who moves is lost for a while and comes back under another number.
        if index < 15:
            bodies = {1: mover, **bodies}
        elif index >= 20:
            bodies = {**bodies, 5: mover}
        if 10 <= index < 15:
            bodies[9] = standing(3.0 + index, column=100)  # a chair, for five frames
        frames.append(bodies)
    found = read_skeletons(write_skeleton(tmp_path / "a.skeleton", frames))
    assert found.persons.tolist() == [True, True]
    first, second = found.joints[0, :, 0, 0], found.joints[0, :, 0, 1]
    np.testing.assert_allclose(first[:15], -1.0 + 0.02 * np.arange(15), atol=1e-5)
    np.testing.assert_allclose(first[20:], -1.0 + 0.02 * np.arange(20, 40), atol=1e-5)
    nearest = np.minimum(abs(first[15:20] + 0.72), abs(first[15:20] + 0.6))
    assert nearest.max() < 1e-5  # a gap repeats the nearest that was seen
    np.testing.assert_allclose(second, 1.0, atol=1e-5)


@pytest.mark.parametrize(("apart", "same"), [(0.7, True), (0.8, False)])
def test_who_comes_far_from_where_one_was_lost_is_another(
    tmp_path: Path, apart: float, same: bool
) -> None:
    frames = [
        {1: standing(0.01 * index, column=500)}
        if index < 20
        else {2: standing(0.19 + apart, column=900)}
        for index in range(40)
    ]
    found = read_skeletons(write_skeleton(tmp_path / "a.skeleton", frames))
    assert found.persons.tolist() == [True, not same]
    ends_at = 0.19 + (apart if same else 0.0)  # of the first, whose last frame is repeated
    assert found.joints[0, -1, 0, 0] == pytest.approx(ends_at, abs=1e-5)
    assert found.joints[0, -1, 0, 1] == pytest.approx(0.0 if same else 0.19 + apart, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ("2\n1\n", "damaged"),
        ("1\n1\n7 0 1 1 1 1 0 0 0 2\n24\n", "damaged"),
        ("0\n", "shows nobody"),
        ("2\n0\n0\n", "shows nobody"),
        ("1\n0\n5\n", "damaged"),
    ],
)
def test_a_damaged_skeleton_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.skeleton"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"a\.skeleton .*{message}"):
        read_skeletons(path)
    with pytest.raises(DataError, match="not found"):
        read_skeletons(tmp_path / "gone.skeleton")


def test_joints_are_counted_from_the_first_persons_spine() -> None:
    rng = np.random.default_rng(0)
    joints = rng.normal(size=(3, 4, 25, 2)).astype(np.float32)
    both = centred(joints, np.array([True, True]))
    assert (both[:, :, ORIGIN, 0] == 0).all()
    np.testing.assert_allclose(both[..., 1], joints[..., 1] - joints[:, :, [ORIGIN], 0], atol=1e-6)
    joints[..., 1] = 0
    assert (centred(joints, np.array([True, False]))[..., 1] == 0).all()


def test_time_is_resampled_linearly() -> None:
    ramp = np.arange(64, dtype=np.float32)
    joints = np.broadcast_to(ramp[None, :, None, None], (3, 64, 25, 2))
    steps = resampled(joints, 32)
    assert steps.shape == (3, 32, 25, 2)
    np.testing.assert_allclose(steps[0, :, 3, 1], 2 * np.arange(32) + 0.5, atol=1e-5)
    assert resampled(joints[:, :5], 32).shape == (3, 32, 25, 2)


# What is found.


def test_the_list_of_missing_skeletons(tmp_path: Path) -> None:
    names = missing_skeletons(tmp_path)
    assert len(names) == 302
    assert {"S001C002P005R002A008", "S017C003P020R001A059"} <= names
    own = tmp_path / "docs" / data.MISSING_LIST
    own.parent.mkdir()
    own.write_text("The following samples are incomplete:\n\nS001C001P001R001A001\n")
    assert missing_skeletons(tmp_path) == {"S001C001P001R001A001"}


def layout(root: Path, *names: str, folder: str = "nturgbd") -> Path:
    for name in names:
        for path in (
            root / f"{folder}_rgb" / "s001" / f"{name}_rgb.avi",
            root / f"{folder}_skeletons" / f"{name}.skeleton",
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return root


@pytest.mark.parametrize("folder", ["nturgbd", "nturgb+d"])
def test_samples_are_found_by_name(tmp_path: Path, folder: str) -> None:
    layout(
        tmp_path,
        ntu_name(2, 3, 7, 60),
        ntu_name(1, 2, 5, 8),
        ntu_name(1, 2, 5, 8, repetition=2),  # on the list of missing skeletons
        ntu_name(18, 1, 41, 61),  # of the 120 actions, not of the 60
        folder=folder,
    )
    first, second = find_samples(tmp_path)
    assert first.name == "S001C002P005R001A008"
    assert (second.camera, second.subject, second.action) == (3, 7, 59)
    assert second.video.name == "S002C003P007R001A060_rgb.avi"


def test_halves_of_samples(tmp_path: Path) -> None:
    names = [ntu_name(1, 1, subject, 1) for subject in (1, 2, 3)]
    layout(tmp_path, *names)
    (tmp_path / "nturgbd_skeletons" / f"{names[1]}.skeleton").unlink()
    with pytest.raises(DataError, match=rf"1 samples .* have no skeleton, the first is {names[1]}"):
        find_samples(tmp_path)
    assert [each.name for each in find_samples(tmp_path, complete=False)] == [names[0], names[2]]


def test_another_layout_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no folder: --root names"):
        find_samples(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no folder nturgbd_rgb"):
        find_samples(tmp_path)
    (tmp_path / "nturgbd_rgb").mkdir()
    with pytest.raises(DataError, match=r"nturgbd_rgb holds no file S…C…P…R…A…_rgb\.avi"):
        find_samples(tmp_path)


def everybody() -> list[NtuSample]:
    return [
        NtuSample(
            name=f"{subject}-{camera}",
            camera=camera,
            subject=subject,
            action=0,
            video=Path("x"),
            skeleton=Path("x"),
        )
        for subject in range(1, 41)
        for camera in (1, 2, 3)
    ]


def test_the_official_splits() -> None:
    samples = everybody()

    def people(rows: tuple[int, ...]) -> set[int]:
        return {samples[row].subject for row in rows}

    honest = ntu_fold(samples, "cross-subject", honest=True)
    assert people(honest.choose) == {2, 5, 9, 14}
    assert len(people(honest.train)) == 16
    assert len(people(honest.test)) == 20
    assert not people(honest.test) & (people(honest.train) | people(honest.choose))
    paper = ntu_fold(samples, "cross-subject", honest=False)
    assert people(paper.test) == people(honest.test)
    assert people(paper.train) == people(honest.train) | people(honest.choose)
    assert people(paper.choose) == {3, 6, 7, 10} <= people(paper.test)
    view = ntu_fold(samples, "cross-view", honest=True)
    assert {samples[row].camera for row in view.test} == {1}
    assert {samples[row].camera for row in view.train + view.choose} == {2, 3}
    assert not people(view.train) & people(view.choose)
    assert len(view.train + view.choose + view.test) == 120


def test_splits_that_cannot_be() -> None:
    with pytest.raises(DataError, match=r"the paper measured NTU .* cross-subject only"):
        ntu_fold(everybody(), "cross-view", honest=False)
    with pytest.raises(DataError, match="cross-subject: no sample here is one to test"):
        ntu_fold([each for each in everybody() if each.subject < 3], "cross-subject", honest=True)


# Pictures. The public reference reads BGR as RGB, squeezes 16 to 9 into a square and leaves the
# last picture black.


def one_sample(root: Path, size: tuple[int, int], count: int = 20) -> NtuSample:
    """A red square of 90 pixels on grey where the person stands, in a 1920 x 1080 world."""
    width, _height = size
    picture = np.full((1080, 1920, 3), 90, np.uint8)
    picture[500:590, 900:990] = (255, 0, 0)
    import cv2

    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    video = write_video(root / f"{width}.avi", [small] * count)
    body = standing(0.0, column=900, height=90)
    body[:, 3] = np.linspace(900, 990, 25)
    skeleton = write_skeleton(root / f"{width}.skeleton", [{1: body}] * count)
    return NtuSample(name="x", camera=1, subject=1, action=0, video=video, skeleton=skeleton)


@pytest.mark.parametrize("size", [(1920, 1080), (256, 256)])
def test_colours_aspect_and_no_black_end(tmp_path: Path, size: tuple[int, int]) -> None:
    arrays = prepare_sample(one_sample(tmp_path, size, count=10), SMALL)
    pictures = unpack(arrays)
    assert pictures.shape == (8, 32, 32, 3)
    for picture in pictures:
        red = (picture[..., 0] > 170) & (picture[..., 2] < 120)
        width, height = red.any(axis=0).sum(), red.any(axis=1).sum()
        assert width == pytest.approx(32 / 1.2, abs=3)
        assert abs(int(width) - int(height)) <= 2
    assert arrays["joints"].shape == (3, 10, 25, 2)


def test_one_square_around_all_persons(tmp_path: Path) -> None:
    frames = [
        {1: standing(0, column=400 + 10 * index), 2: standing(1, column=1200)}
        for index in range(20)
    ]
    skeletons = read_skeletons(write_skeleton(tmp_path / "a.skeleton", frames))
    left, top, side = person_square(skeletons, (1080, 1920), 1.2)
    assert side == round(1.2 * (1220 - 400))
    assert left + side / 2 == pytest.approx((400 + 1220) / 2, abs=1)
    assert top + side / 2 == pytest.approx(600, abs=1)
    nowhere = type(skeletons)(skeletons.joints, skeletons.persons, skeletons.colour[:0])
    assert person_square(nowhere, (1080, 1920), 1.2) == (420, 0, 1080)


# Samples.


def test_colour_and_skeletons_see_the_same_time(tmp_path: Path) -> None:
    count = 96
    pictures = [np.full((72, 128, 3), 2 * index, np.uint8) for index in range(count)]
    video = write_video(tmp_path / "a.avi", pictures)
    frames = [{1: standing(0.01 * index, column=960)} for index in range(count)]
    for index, bodies in enumerate(frames):
        bodies[1][:, 2] = 3 + 0.01 * index * np.arange(25)  # so that time shows after centring
    skeleton = write_skeleton(tmp_path / "a.skeleton", frames)
    sample = NtuSample(name="x", camera=1, subject=1, action=4, video=video, skeleton=skeleton)
    settings = NtuPreparation(pictures=32, size=16)
    folder = prepare_samples([sample], settings, tmp_path, 1)
    samples = NtuSamples(folder, [sample], NtuTaking(least_window=0.3, least_frames=24))
    whole = samples.sample(0, None)
    assert [part.shape for part in whole] == [(3, 32, 16, 16), (3, 32, 25, 2), (3,), ()]
    assert whole[2].tolist() == [True, True, False]
    assert int(whole[3]) == 4

    def times(taken: tuple[torch.Tensor, ...]) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        grey = (taken[0][0].mean(dim=(1, 2)) * 0.229 + 0.485) * 255 / 2
        depth = (taken[1][2, :, 24, 0] - taken[1][2, :, 2, 0]) / 0.22
        return grey.numpy() / (count - 1), depth.numpy() / (count - 1)

    spans = []
    for seed in range(10):
        taken = samples.sample(0, np.random.default_rng(seed))
        colour, joints = times(taken)
        assert np.abs(colour - joints).max() < 0.04
        spans.append(colour[-1] - colour[0])
    assert min(spans) < 0.6 < max(spans)
    again = samples.sample(0, np.random.default_rng(3))
    first = samples.sample(0, np.random.default_rng(3))
    assert all(torch.equal(a, b) for a, b in zip(again, first, strict=True))
    assert samples.sample(0, None, only=1)[0].numel() == 0


def test_a_small_data_set(tmp_path: Path) -> None:
    root = ntu(tmp_path / "data", (1, 3))
    samples = find_samples(root)
    assert len(samples) == 4
    folder = prepare_samples(samples, SMALL, tmp_path, 2)
    taken = NtuSamples(folder, samples, NtuTaking()).sample(1, None)
    assert taken[2].tolist() == [True, True, True]  # two persons in the second action
    samples[0].video.write_bytes(samples[0].video.read_bytes()[:5000])
    other = NtuPreparation(pictures=4, size=32)
    with pytest.raises(DataError, match=r"1 of 4 samples of ntu cannot be used: .*_rgb\.avi"):
        prepare_samples(samples, other, tmp_path, 1)

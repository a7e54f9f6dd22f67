"""The face branch, its starting point, and the augmentation it is trained with."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional

from models.config import FACE_STRIDE, FaceTrunkConfig
from models.face import BLOCKS, FaceClassifier, FaceTrunk
from models.labels import FERPLUS_EMOTIONS
from models.training.data import FERPLUS_SPLITS, FerPlus, load_ferplus, near_copies
from models.training.live.augment_images import FaceAugmentation
from models.training.live.face import (
    FaceStageConfig,
    _Epoch,
    _schedule,
    face_probabilities,
    face_scores,
    train_face,
)
from models.training.live.face_start import load_faceres, read_tensors
from models.training.loop import RunContext
from models.training.starting_points import StartingPointError
from tests.conftest import ROOT

SMALL = FaceTrunkConfig(resolution=32, channels=12)
CPU = torch.device("cpu")


def seeded(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def stills(count: int = 6) -> Tensor:
    """Bright ovals with dark eyes, uint8 (count, 48, 48), no two alike."""
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    face = ((x - 24) / 16) ** 2 + ((y - 24) / 21) ** 2 < 1
    eyes = ((x - 16).abs() < 3) & ((y - 19).abs() < 2) | ((x - 33).abs() < 3) & ((y - 19).abs() < 2)
    picture = 40 + 140 * face - 120 * eyes
    shades = torch.linspace(0.7, 1.2, count).view(-1, 1, 1)
    return (picture * shades).clamp(0, 255).to(torch.uint8)


# --- network


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("resolution", [64, 80, 33])
def test_the_map_has_the_size_that_the_settings_promise(batch: int, resolution: int) -> None:
    config = FaceTrunkConfig(resolution=resolution, channels=12)
    maps = FaceTrunk(config).eval()(torch.rand(batch, 1, 48, 48))
    assert maps.shape == (batch, 12, config.map_size, config.map_size)
    assert (maps >= 0).all()


def test_the_shipped_trunk_gives_six_by_six() -> None:
    config = FaceTrunkConfig()
    assert (config.image_size, config.channels, config.map_size) == (48, 128, 6)


def test_the_resolution_can_change_without_a_new_network() -> None:
    trunk = FaceTrunk(SMALL).eval()
    crops = torch.rand(1, 1, 48, 48)
    trunk.resolution = 64
    assert trunk(crops).shape == (1, 12, 4, 4)


def test_a_face_does_not_depend_on_its_neighbours_in_the_batch() -> None:
    trunk = FaceTrunk(SMALL).eval()
    crops = torch.rand(3, 1, 48, 48)
    torch.testing.assert_close(trunk(crops)[1:2], trunk(crops[1:2]))


def test_a_batch_of_one_trains_and_reaches_the_first_layer() -> None:
    # 48 px leave a map of 3 x 3, so that batch norm has something to normalise over.
    model = FaceClassifier(FaceTrunkConfig(resolution=48, channels=12)).train()
    logits = model(torch.rand(1, 1, 48, 48))
    assert logits.shape == (1, len(FERPLUS_EMOTIONS))
    logits.logsumexp(dim=1).sum().backward()
    silent = [
        name
        for name, weight in model.named_parameters()
        if weight.grad is None or not weight.grad.isfinite().all()
    ]
    assert silent == []
    first = model.trunk.features[0][0].weight.grad  # type: ignore[index]
    assert isinstance(first, Tensor)
    assert first.abs().max() > 0


def test_a_cell_of_the_map_looks_at_its_first_pixel() -> None:
    trunk = FaceTrunk(FaceTrunkConfig()).eval()
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1.0 / module.weight[0].numel())
            if module.kernel_size == (3, 3) and module.stride == (1, 1):
                module.weight.data *= torch.tensor([0.0, 1.0, 0.0]).outer(torch.eye(3)[1])
    crops = torch.ones(1, 1, 48, 48, requires_grad=True)
    cell = 3  # with fields so small that no border cuts them off
    (gradient,) = torch.autograd.grad(trunk(crops)[0, 0, cell, cell], crops)
    places = (torch.arange(48) + 0.5) / 48
    centre = (cell * FACE_STRIDE + 0.5) / trunk.resolution
    for along in (0, 1):
        found = (gradient[0, 0].sum(dim=along) * places).sum() / gradient.sum()
        assert float(found) == pytest.approx(centre, abs=0.02)  # half a cell is 0.08


def test_onnxruntime_agrees_for_any_number_of_faces(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trunk = FaceTrunk(SMALL).eval()
    path = tmp_path / "trunk.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            trunk,
            (torch.rand(2, 1, 48, 48),),
            path,
            input_names=["crops"],
            output_names=["maps"],
            dynamic_axes={"crops": {0: "n"}, "maps": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 5):
        crops = torch.rand(count, 1, 48, 48)
        (maps,) = session.run(None, {"crops": crops.numpy()})
        with torch.inference_mode():
            np.testing.assert_allclose(maps, trunk(crops).numpy(), atol=1e-4, rtol=1e-3)


# --- starting point


def published_tensors() -> dict[str, NDArray[np.float32]]:
    """Random tensors with the names and shapes of HSE-FaceRes; batch norm is folded in."""
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> NDArray[np.float32]:
        values: NDArray[np.float32] = rng.standard_normal(shape, dtype=np.float32)
        return values / np.float32(np.sqrt(np.prod(shape[:3])))

    tensors = {
        "conv1/convolution/merged_input": drawn(3, 3, 3, 32) / 64,
        "conv1_bn/batchnorm_1/sub": drawn(32) + 0.5,
    }
    channels = 32
    for index, (width, _) in enumerate(BLOCKS, start=1):
        tensors[f"conv_dw_{index}/depthwise_kernel"] = drawn(3, 3, channels, 1) * channels**0.5
        tensors[f"conv_dw_{index}_bn/batchnorm_1/mul"] = drawn(channels) + 1
        tensors[f"conv_dw_{index}_bn/batchnorm_1/sub"] = drawn(channels) + 0.3
        tensors[f"conv_pw_{index}/convolution/merged_input"] = drawn(1, 1, channels, width)
        tensors[f"conv_pw_{index}_bn/batchnorm_1/sub"] = drawn(width) + 0.3
        channels = width
    return tensors


def published_network(pictures: Tensor, tensors: dict[str, NDArray[np.float32]]) -> Tensor:
    """What those tensors compute of colour pictures (B, 3, H, W) in 0 to 255, with our strides."""

    def kernel(name: str, order: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(tensors[name]).permute(order)

    def shift(name: str) -> Tensor:
        return torch.from_numpy(tensors[f"{name}_bn/batchnorm_1/sub"])

    as_torch = (3, 2, 0, 1)
    weight = kernel("conv1/convolution/merged_input", as_torch)
    x = functional.conv2d(pictures - 116, weight, shift("conv1"), stride=2, padding=1)
    x = x.clamp(0, 6)
    for index, (_, stride) in enumerate(BLOCKS, start=1):
        gain = torch.from_numpy(tensors[f"conv_dw_{index}_bn/batchnorm_1/mul"])
        weight = kernel(f"conv_dw_{index}/depthwise_kernel", (2, 3, 0, 1))
        x = functional.conv2d(x, weight, None, stride, padding=1, groups=len(gain))
        x = (x * gain[:, None, None] + shift(f"conv_dw_{index}")[:, None, None]).clamp(0, 6)
        weight = kernel(f"conv_pw_{index}/convolution/merged_input", as_torch)
        x = functional.conv2d(x, weight, shift(f"conv_pw_{index}")).clamp(0, 6)
    return x


def test_on_grey_the_trunk_equals_the_published_network_in_colour() -> None:
    torch.manual_seed(0)
    tensors = published_tensors()
    trunk = FaceTrunk(SMALL).eval()
    load_faceres(trunk, tensors, torch.rand(8, 1, 48, 48))
    crops = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        expected = published_network(255 * crops.expand(-1, 3, -1, -1), tensors)
        assert expected.std() > 0.01
        found = trunk.features(trunk.enlarged(crops))
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_the_starting_point_can_be_trained_on_with_batch_statistics() -> None:
    torch.manual_seed(0)
    trunk = FaceTrunk(SMALL)
    crops = torch.rand(8, 1, 48, 48)
    load_faceres(trunk, published_tensors(), crops)
    with torch.inference_mode():
        inputs = trunk.enlarged(crops)
        still = trunk.eval().features(inputs)
        torch.testing.assert_close(trunk.train().features(inputs), still, atol=1e-3, rtol=1e-2)


def write_published(folder: Path, stored: str = "<f2") -> Path:
    """A TensorFlow.js model of two tensors in two files."""
    values = [np.arange(6, dtype=stored).tobytes(), np.array(2.5, "<f4").tobytes()]
    (folder / "a.bin").write_bytes(values[0] + values[1][:2])
    (folder / "b.bin").write_bytes(values[1][2:])
    half = {"dtype": "float16", "original_dtype": "float32"}
    weights = [
        {"name": "kernel", "shape": [2, 3], "dtype": "float32", "quantization": half},
        {"name": "scale", "shape": [], "dtype": "float32"},
    ]
    path = folder / "model.json"
    manifest = [{"paths": ["a.bin", "b.bin"], "weights": weights}]
    path.write_text(json.dumps({"weightsManifest": manifest}))
    return path


def test_tensors_are_read_across_files_and_in_half_precision(tmp_path: Path) -> None:
    tensors = read_tensors(write_published(tmp_path))
    np.testing.assert_array_equal(tensors["kernel"], [[0, 1, 2], [3, 4, 5]])
    assert tensors["scale"] == np.float32(2.5)


def test_a_damaged_or_incomplete_starting_point_is_refused(tmp_path: Path) -> None:
    path = write_published(tmp_path)
    (tmp_path / "b.bin").write_bytes(b"")
    with pytest.raises(StartingPointError, match="cannot be read as a TensorFlow"):
        read_tensors(path)
    with pytest.raises(StartingPointError, match=r"gone\.json cannot be read"):
        read_tensors(tmp_path / "gone.json")
    tensors = published_tensors()
    del tensors["conv_dw_7/depthwise_kernel"]
    with pytest.raises(StartingPointError, match="no tensor conv_dw_7/depthwise_kernel"):
        load_faceres(FaceTrunk(SMALL), tensors, torch.rand(2, 1, 48, 48))


# --- augmentation


@pytest.mark.parametrize("as_float", [False, True])
def test_augmented_faces_are_pictures_again(as_float: bool) -> None:
    images = stills().float() / 255 if as_float else stills()
    pictures = FaceAugmentation()(images, seeded())
    assert pictures.shape == (6, 1, 48, 48)
    assert pictures.dtype == torch.float32
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    assert (pictures.std(dim=(1, 2, 3)) > 0.02).all()


def test_a_seed_repeats_the_augmentation_and_another_does_not() -> None:
    augment, images = FaceAugmentation(), stills()
    assert torch.equal(augment(images, seeded(1)), augment(images, seeded(1)))
    assert not torch.equal(augment(images, seeded(1)), augment(images, seeded(2)))


def test_equal_faces_are_changed_in_different_ways() -> None:
    same = stills(1).expand(4, -1, -1)
    pictures = FaceAugmentation()(same, seeded())
    assert all(not torch.equal(one, two) for one, two in itertools.combinations(pictures, 2))


def test_strength_zero_only_mirrors() -> None:
    images = stills(8)
    plain = images.float().unsqueeze(1) / 255
    pictures = FaceAugmentation(strength=0.0)(images, seeded())
    straight = (pictures - plain).abs().amax(dim=(1, 2, 3))
    mirrored = (pictures - plain.flip(-1)).abs().amax(dim=(1, 2, 3))
    # Black is lifted to 0.001, so that gamma has a slope there.
    assert (torch.minimum(straight, mirrored) < 2e-3).all()


def test_clean_pictures_only_move() -> None:
    images = stills(8)
    augment = FaceAugmentation(
        clean_chance=1.0, rotation_degrees=0.0, scale=0.0, shift=0.0, shear=0.0
    )
    pictures = augment(images, seeded())
    plain = images.float().unsqueeze(1) / 255
    straight = (pictures - plain).abs().amax(dim=(1, 2, 3))
    mirrored = (pictures - plain.flip(-1)).abs().amax(dim=(1, 2, 3))
    assert (torch.minimum(straight, mirrored) < 1e-4).all()


def test_the_callers_pictures_stay_as_they_are() -> None:
    images = stills().float() / 255
    before = images.clone()
    FaceAugmentation()(images, seeded())
    FaceAugmentation().sequence(images[0], 3, seeded())
    assert torch.equal(images, before)


@pytest.mark.parametrize("frames", [1, 7])
def test_a_still_becomes_a_sequence(frames: int) -> None:
    augment = FaceAugmentation()
    moving = augment.sequence(stills()[0], frames, seeded())
    assert moving.shape == (frames, 48, 48)
    assert moving.min() >= 0
    assert moving.max() <= 1
    assert torch.equal(moving, augment.sequence(stills()[0], frames, seeded()))


def test_a_sequence_moves_little_and_keeps_its_light() -> None:
    augment = FaceAugmentation()
    for seed in range(8):
        moving = augment.sequence(stills()[3], 12, seeded(seed))
        brightness = moving.mean(dim=(1, 2))
        assert brightness.max() - brightness.min() < 0.1
        steps = (moving[1:] - moving[:-1]).abs().mean(dim=(1, 2))
        assert (steps > 0).all()
        assert steps.max() < 0.1


# --- stage


def test_looking_for_faces_needs_no_sound_system() -> None:
    """mediapipe's package would load sounddevice, which a sound server can keep from ending."""
    script = (
        "import sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from realtime.emotion.faces import MediapipeDetector\n"
        "with ThreadPoolExecutor(2) as pool:\n"  # as they prepare RAVDESS
        "    for each in [pool.submit(MediapipeDetector) for _ in range(4)]:\n"
        "        each.result().close()\n"
        "print('sounddevice' in sys.modules)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, timeout=60
    )
    assert told.stdout.split() == [b"False"]


def test_stage_settings_name_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="not 'resnet'"):
        FaceStageConfig(initial="resnet")
    with pytest.raises(ValueError, match=r"between 0 and the shortest cycle \(3\), not 4"):
        FaceStageConfig(cycles=(3,), coarse_epochs=4)


def test_each_cycle_rises_and_falls_to_nothing() -> None:
    config = FaceStageConfig(cycles=(2, 3), coarse_epochs=0, warm_up_steps=10)
    factor = _schedule(config, 100)
    assert factor(0) == pytest.approx(0.1)
    assert factor(10) == pytest.approx(1.0)
    assert factor(199) == pytest.approx(0.0, abs=1e-3)
    assert factor(210) == pytest.approx(1.0)
    assert factor(499) == pytest.approx(0.0, abs=1e-3)
    assert [config.place_in_cycle(epoch) for epoch in range(config.epochs)] == [0, 1, 0, 1, 2]
    assert factor(500) == pytest.approx(0.0, abs=1e-9)  # where the last step leaves the scheduler


def drawn(rare_power: float, tmp_path: Path) -> NDArray[np.int64]:
    """How often an epoch holds each of 90 faces of one class and 10 of another."""
    labels = np.repeat([0, 5], [90, 10])
    votes = np.zeros((100, 8), np.float32)
    votes[:, 0] = np.arange(100)  # not votes, but numbers that name the pictures
    data = FerPlus(
        images=np.zeros((100, 48, 48), np.uint8),
        votes=votes,
        labels=labels,
        agreed=np.ones(100, dtype=bool),
    )
    context = RunContext(data_root=tmp_path, work_dir=tmp_path, device=CPU)
    epoch = _Epoch(data, FaceStageConfig(rare_power=rare_power), context, 0)
    batches = [batch[:, 0] for _, batch in epoch]
    assert len(batches) == len(epoch)
    return np.bincount(torch.cat(batches).long().numpy(), minlength=100)


def test_an_epoch_holds_rare_faces_more_often_and_hardly_leaves_one_out(tmp_path: Path) -> None:
    assert drawn(0.0, tmp_path).tolist() == [1] * 100
    counts = drawn(0.5, tmp_path)
    assert counts[:90].max() == 1  # weight 0.83
    assert set(counts[90:]) <= {2, 3}  # three times that
    assert 60 < counts[:90].sum() < 90


class _Scripted(FaceClassifier):
    """Answers with the class that the script says for each picture, by its brightness."""

    def __init__(self, answers: list[int]) -> None:
        super().__init__(SMALL)
        self._answers = torch.tensor(answers)

    def forward(self, crops: Tensor) -> Tensor:
        rows = (crops.mean(dim=(1, 2, 3)) * 255).round().long()
        return torch.nn.functional.one_hot(self._answers[rows], len(FERPLUS_EMOTIONS)) * 9.0


def test_scores_are_plain_and_balanced_over_the_classes_present() -> None:
    images = np.broadcast_to(np.arange(5, dtype=np.uint8)[:, None, None], (5, 48, 48))
    labels = np.array([0, 0, 0, 5, 3])
    data = FerPlus(
        images=images.copy(),
        votes=np.eye(8, dtype=np.float32)[labels],
        labels=labels,
        agreed=np.array([True, True, True, True, False]),
    )
    scores = face_scores(_Scripted([0, 0, 0, 0, 0]), data, CPU)
    assert scores == {"accuracy": 0.75, "balanced_accuracy": 0.5, "accuracy_most_voted": 0.6}
    assert face_scores(_Scripted([0, 0, 0, 5, 0]), data, CPU)["balanced_accuracy"] == 1.0


def test_a_majority_is_counted_as_in_the_ferplus_paper(tmp_path: Path) -> None:
    """Single votes are dropped, then more than half must agree; most called unknown: left out."""
    votes = np.array(
        [
            [5, 4, 0, 0, 0, 0, 0, 0, 1, 0],  # 5 of 9
            [5, 5, 0, 0, 0, 0, 0, 0, 0, 0],  # a tie
            [5, 1, 1, 1, 1, 1, 0, 0, 0, 0],  # five single votes are none
            [4, 3, 3, 0, 0, 0, 0, 0, 0, 0],
            [4, 0, 0, 0, 0, 0, 0, 0, 6, 0],
        ],
        np.uint8,
    )
    images = np.zeros((5, 48, 48), np.uint8)
    np.savez(tmp_path / "ferplus.npz", images=images, votes=votes, split=np.zeros(5, np.uint8))
    data = load_ferplus(tmp_path, "train")
    assert data.labels.tolist() == [0, 0, 0, 0]
    assert data.agreed.tolist() == [True, False, True, False]


def test_how_many_faces_of_ferplus_are_scored(data_root: Path) -> None:
    for split, published, fresh in (("validation", 3191, 2700), ("test", 3137, 2576)):
        assert load_ferplus(data_root, split, copies=True).agreed.sum() == published
        assert load_ferplus(data_root, split).agreed.sum() == fresh


def photograph(number: int) -> NDArray[np.uint8]:
    """(48, 48), soft shapes."""
    small = np.random.default_rng(number).integers(30, 220, (6, 6)).astype(np.uint8)
    return cv2.resize(small, (48, 48), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def test_a_photograph_is_known_again_however_it_was_treated() -> None:
    known = np.stack([photograph(number) for number in range(20)])
    marked = known[2].copy()
    marked[42:46, 20:46] = 235
    shifted = cv2.resize(known[4][1:47, 1:47], (48, 48))
    darker = (known[3] * 0.6).astype(np.uint8)
    rough = known[5] + np.random.default_rng(0).integers(0, 12, (48, 48)).astype(np.uint8)
    others = [photograph(number) for number in range(100, 400)]
    images = np.stack([known[1], marked, darker, shifted, rough, *others])
    assert near_copies(images, known).tolist() == [True] * 5 + [False] * 300
    assert not near_copies(images, known[:0]).any()
    assert near_copies(images[:0], known).shape == (0,)


def test_what_an_earlier_split_has_too_is_no_validation_and_no_test(tmp_path: Path) -> None:
    images = np.stack([photograph(number) for number in (0, 1, 1, 2, 3, 0, 2, 4)])
    votes = np.zeros((len(images), 10), np.uint8)
    votes[:, 3] = 10
    split = np.array([0, 0, 0, 1, 1, 2, 2, 2], np.uint8)
    split[2] = 1
    np.savez(tmp_path / "ferplus.npz", images=images, votes=votes, split=split)
    train, validation, test = (load_ferplus(tmp_path, name) for name in FERPLUS_SPLITS)
    np.testing.assert_array_equal(train.images, images[:2])
    np.testing.assert_array_equal(validation.images, images[3:5])
    np.testing.assert_array_equal(test.images, images[7:])
    assert len(load_ferplus(tmp_path, "test", copies=True).images) == 3


def test_probabilities_sum_to_one_across_batches() -> None:
    model = FaceClassifier(SMALL)
    images = np.random.default_rng(0).integers(0, 256, (130, 48, 48)).astype(np.uint8)
    probabilities = face_probabilities(model, images, CPU)
    assert probabilities.shape == (130, 8)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    alone = face_probabilities(model, images[129:], CPU)
    np.testing.assert_allclose(alone[0], probabilities[129], atol=1e-5)


def write_ferplus(folder: Path) -> None:
    """A tiny ferplus.npz: 16 pictures to train on, 8 to validate."""
    images = np.stack([photograph(number) for number in range(24)])
    labels = np.arange(len(images)) % 8
    votes = np.zeros((len(images), 10), np.uint8)
    votes[np.arange(len(images)), labels] = 9
    votes[:, 8] = 1  # one annotator never knows
    split = np.repeat([0, 1], [16, 8]).astype(np.uint8)
    np.savez(folder / "ferplus.npz", images=images, votes=votes, split=split)


def test_training_that_was_killed_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ferplus(tmp_path)
    config = FaceStageConfig(
        initial="random", cycles=(1, 1), coarse_epochs=1, coarse_resolution=32, batch_size=8
    )
    trunk = replace(SMALL, resolution=48)

    def run(name: str) -> tuple[FaceClassifier, dict[str, float]]:
        context = RunContext(data_root=tmp_path, work_dir=tmp_path / name, device=CPU, seed=3)
        return train_face(context, trunk, config)

    model, best = run("whole")
    assert model.trunk.resolution == 48
    assert not model.training
    assert {"accuracy", "balanced_accuracy", "epoch", "loss"} <= set(best)

    calls = itertools.count(1)
    whole_augmentation = FaceAugmentation.__call__

    def killed(self: FaceAugmentation, images: Tensor, generator: Generator) -> Tensor:
        if next(calls) == 4:  # two batches an epoch: inside the second one
            raise KeyboardInterrupt
        return whole_augmentation(self, images, generator)

    with monkeypatch.context() as patch:
        patch.setattr(FaceAugmentation, "__call__", killed)
        with pytest.raises(KeyboardInterrupt):
            run("killed")
    again, best_again = run("killed")
    assert best_again == best
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], weight, msg=name)
    lines = (tmp_path / "killed" / "face" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


def test_other_settings_are_not_resumed_but_begun_again(tmp_path: Path) -> None:
    write_ferplus(tmp_path)
    config = FaceStageConfig(initial="random", cycles=(2,), coarse_epochs=0, batch_size=8)

    def run(folder: str, config: FaceStageConfig, seed: int = 3) -> dict[str, Tensor]:
        context = RunContext(data_root=tmp_path, work_dir=tmp_path / folder, device=CPU, seed=seed)
        return train_face(context, replace(SMALL, resolution=48), config)[0].state_dict()

    run("used", config)
    for other, seed in ((replace(config, cycles=(1,), learning_rate=1e-3), 3), (config, 4)):
        given, expected = run("used", other, seed), run(f"new-{seed}", other, seed)
        for name, weight in expected.items():
            torch.testing.assert_close(given[name], weight, rtol=0, atol=0, msg=name)
        lines = (tmp_path / "used" / "face" / "log.jsonl").read_text().splitlines()
        assert len(lines) == other.epochs

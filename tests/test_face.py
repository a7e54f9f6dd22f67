"""The face branch, its starting point, and the augmentation it is trained with."""

from __future__ import annotations

import itertools
import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from models.config import FaceTrunkConfig
from models.face import STAGES, FaceClassifier, FaceTrunk, load_imagenet
from models.labels import FERPLUS_EMOTIONS
from models.training.augment_images import FaceAugmentation
from models.training.data import FerPlus
from models.training.face import (
    FaceStageConfig,
    _Batches,
    face_probabilities,
    face_scores,
    train_face,
)
from models.training.loop import RunContext

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
    first = model.trunk.features[0].weight.grad
    assert isinstance(first, Tensor)
    assert first.abs().max() > 0


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


def _group(channels_in: int, channels: int, size: int, stride: int, groups: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU6(),
    )


class _Block(nn.Module):
    """An inverted residual whose tensors are named as in torchvision."""

    def __init__(self, channels_in: int, channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = channels_in * expansion
        layers = [_group(channels_in, width, 1, 1)] if expansion != 1 else []
        layers.append(_group(width, width, 3, stride, groups=width))
        layers.append(nn.Conv2d(width, channels, 1, bias=False))
        layers.append(nn.BatchNorm2d(channels))
        self.conv = nn.Sequential(*layers)
        self.adds = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.adds else y


class _Torchvision(nn.Module):
    """MobileNetV2 in colour, named as in torchvision, with our strides and without its last layer.

    Weights and norms are drawn at random, each norm with its own statistics, so that no two tensors
    can be mistaken for each other.
    """

    def __init__(self) -> None:
        super().__init__()
        layers = [_group(3, 32, 3, 2)]
        channels = 32
        for expansion, width, blocks, stride in STAGES:
            for block in range(blocks):
                layers.append(_Block(channels, width, stride if block == 0 else 1, expansion))
                channels = width
        self.features = nn.Sequential(*layers)
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                count = layer.num_features
                layer.weight.data.uniform_(0.8, 1.2)
                layer.bias.data.normal_(std=0.1)
                layer.running_mean = torch.randn(count) * 0.1
                layer.running_var = torch.rand(count) * 0.2 + 0.1

    def weights(self) -> dict[str, Tensor]:
        # The real file goes on after the blocks; those tensors have no place in the trunk.
        beyond = {"features.18.0.weight": torch.zeros(1), "classifier.1.weight": torch.zeros(1)}
        return dict(self.state_dict()) | beyond


def test_on_grey_the_trunk_equals_imagenets_network_in_colour() -> None:
    torch.manual_seed(0)
    reference = _Torchvision().eval()
    trunk = FaceTrunk(SMALL).eval()
    load_imagenet(trunk, reference.weights())
    grey = (torch.rand(2, 1, 32, 32) - trunk.shift) / trunk.scale
    with torch.inference_mode():
        expected = reference.features(grey.expand(-1, 3, -1, -1))
        assert expected.std() > 0.01
        torch.testing.assert_close(trunk.features(grey), expected, atol=1e-4, rtol=1e-3)


def test_an_incomplete_starting_point_is_refused() -> None:
    weights = _Torchvision().weights()
    del weights["features.17.conv.2.weight"]
    with pytest.raises(ValueError, match=r"lack 1 tensors, features\.19\.layers\.6\.weight"):
        load_imagenet(FaceTrunk(SMALL), weights)


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


def test_stage_settings_name_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="not 'resnet'"):
        FaceStageConfig(initial="resnet")
    with pytest.raises(ValueError, match=r"between 0 and epochs \(3\), not 4"):
        FaceStageConfig(epochs=3, coarse_epochs=4)


def drawn(rare_power: float, tmp_path: Path) -> NDArray[np.int64]:
    """How often an epoch holds each of 90 faces of one class and 10 of another."""
    labels = np.repeat([0, 5], [90, 10])
    votes = np.zeros((100, 8), np.float32)
    votes[:, 0] = np.arange(100)  # not votes, but numbers that name the pictures
    data = FerPlus(images=np.zeros((100, 48, 48), np.uint8), votes=votes, labels=labels)
    context = RunContext(data_root=tmp_path, work_dir=tmp_path, device=CPU)
    epoch = _Batches(data, FaceStageConfig(rare_power=rare_power), context).epoch(0)
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
    images = np.broadcast_to(np.arange(4, dtype=np.uint8)[:, None, None], (4, 48, 48))
    labels = np.array([0, 0, 0, 5])
    data = FerPlus(images=images.copy(), votes=np.eye(8, dtype=np.float32)[labels], labels=labels)
    scores = face_scores(_Scripted([0, 0, 0, 0]), data, CPU)
    assert scores == {"accuracy": 0.75, "balanced_accuracy": 0.5}
    assert face_scores(_Scripted([0, 0, 0, 5]), data, CPU)["balanced_accuracy"] == 1.0


def test_probabilities_sum_to_one_across_batches() -> None:
    model = FaceClassifier(SMALL)
    images = np.random.default_rng(0).integers(0, 256, (130, 48, 48)).astype(np.uint8)
    probabilities = face_probabilities(model, images, CPU)
    assert probabilities.shape == (130, 8)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    alone = face_probabilities(model, images[129:], CPU)
    np.testing.assert_allclose(alone[0], probabilities[129], atol=1e-5)


def write_ferplus(folder: Path) -> None:
    """A tiny ferplus.npz: 16 stills to train on, 8 to validate."""
    images = torch.cat([stills(16), stills(8)]).numpy()
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
        initial="random", epochs=2, coarse_epochs=1, coarse_resolution=32, batch_size=8
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

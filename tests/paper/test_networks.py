"""The paper's networks: every published number of parameters, every shape, who may be absent."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from models.paper.branch import Branch, count_parameters
from models.paper.config import MoseiConfig, NtuConfig, RavdessConfig
from models.paper.hcn import hcn
from models.paper.i3d import i3d
from models.paper.inflated_resnet import inflated_resnet
from models.paper.lstm_pair import lstm_pair
from models.paper.mfcc_cnn import mfcc_cnn
from models.paper.mosei import MoseiNet
from models.paper.ntu import NtuNet
from models.paper.ravdess import RavdessNet
from models.paper.resnext3d import resnext3d

SHALLOW = (1, 1, 1, 1)


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """A network without numbers: sizes and shapes are there, computing takes no time."""
    with torch.device("meta"):
        return build()


def shapes(output: tuple[Tensor, ...]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(each.shape) for name, each in output._asdict().items()}  # type: ignore[attr-defined]


# -- sizes --------------------------------------------------------------------------------------


def test_ravdess_has_the_published_parameters() -> None:
    network = on_meta(RavdessNet)
    assert isinstance(network, RavdessNet)
    assert count_parameters(network) == 25_940_724
    assert count_parameters(network.face) == 25_882_056
    assert count_parameters(network.voice) == 34_024
    assert count_parameters(network.early_fusion) == 5_356
    assert count_parameters(network.late_fusion) == 19_288


def test_mosei_has_the_published_parameters() -> None:
    network = on_meta(MoseiNet)
    assert isinstance(network, MoseiNet)
    assert count_parameters(network.fusion) == 10_840
    branches = [count_parameters(each) for each in (network.face, network.voice, network.words)]
    assert branches == [17_280, 69_120, 591_872]
    assert count_parameters(network.regress) == 225
    assert count_parameters(network) == 689_337


@pytest.mark.parametrize(
    ("rgb", "rgb_parameters", "early", "late"),
    [("i3d", 12_348_764, 19_568, 116_416), ("resnet50", 46_265_468, 22_832, 182_976)],
)
def test_ntu_has_the_published_parameters(
    rgb: str, rgb_parameters: int, early: int, late: int
) -> None:
    network = on_meta(lambda: NtuNet(NtuConfig(rgb=rgb)))
    assert isinstance(network, NtuNet)
    assert count_parameters(network.early_fusion) == early
    assert count_parameters(network.late_fusion) == late
    assert count_parameters(network.rgb) == rgb_parameters
    assert count_parameters(network.skeleton) == 1_062_652


def test_i3d_has_the_size_of_the_kinetics_network() -> None:
    assert count_parameters(on_meta(lambda: i3d(400))) == 12_697_264


# -- shapes, at full size -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "input_shape", "early", "late", "logits"),
    [
        (resnext3d, (3, 30, 224, 224), (1024, 4, 14, 14), (2048, 2, 7, 7), (8,)),
        (mfcc_cnn, (13, 212), (32, 208), (64, 26), (8,)),
        (lambda: lstm_pair(35, 32), (35, 50), (32, 50), (32, 50), (1,)),
        (lambda: lstm_pair(768, 128, None), (768, 50), (128, 50), (128, 50), (128,)),
        (i3d, (3, 32, 224, 224), (832, 4, 7, 7), (1024, 4, 7, 7), (60,)),
        (inflated_resnet, (3, 8, 224, 224), (1024, 8, 14, 14), (2048, 8, 7, 7), (60,)),
        (hcn, (3, 32, 25, 2), (2, 128, 4, 4), (512,), (60,)),
    ],
    ids=["ResNeXt", "MFCC", "LSTM", "LSTM without head", "I3D", "ResNet", "HCN"],
)
def test_stages_of_a_branch(
    build: Callable[[], Branch],
    input_shape: tuple[int, ...],
    early: tuple[int, ...],
    late: tuple[int, ...],
    logits: tuple[int, ...],
) -> None:
    branch = on_meta(build)
    assert isinstance(branch, Branch)
    x = torch.empty(2, *input_shape, device="meta")
    first = branch.early(x)
    assert first.shape == (2, *early)
    second = branch.late(first)
    assert second.shape == (2, *late)
    assert branch(x).shape == (2, *logits)


def test_ravdess_at_full_size() -> None:
    output = on_meta(RavdessNet)(
        torch.empty(2, 3, 30, 224, 224, device="meta"), torch.empty(2, 13, 212, device="meta")
    )
    assert shapes(output) == {
        "logits": (2, 8),
        "face_logits": (2, 8),
        "voice_logits": (2, 8),
        "early_attention": (2, 66, 16),
        "late_attention": (2, 66, 32),
    }


def test_mosei_at_full_size() -> None:
    inputs = [torch.empty(2, channels, 50, device="meta") for channels in (35, 74, 768)]
    assert shapes(on_meta(MoseiNet)(*inputs)) == {"logits": (2, 1), "attention": (2, 5, 14, 16)}


@pytest.mark.parametrize(("rgb", "early", "late"), [("i3d", 17, 6), ("resnet50", 20, 10)])
def test_ntu_at_full_size(rgb: str, early: int, late: int) -> None:
    output = on_meta(lambda: NtuNet(NtuConfig(rgb=rgb)))(
        torch.empty(2, 3, 32, 224, 224, device="meta"), torch.empty(2, 3, 32, 25, 2, device="meta")
    )
    assert shapes(output) == {
        "logits": (2, 60),
        "rgb_logits": (2, 60),
        "skeleton_logits": (2, 60),
        "early_attention": (2, early, 64),
        "late_attention": (2, late, 256),
    }


# -- numbers, at small sizes --------------------------------------------------------------------


def small_ravdess() -> tuple[RavdessNet, list[Tensor]]:
    network = RavdessNet(RavdessConfig(depths=SHALLOW, steps=60))
    return network, [torch.rand(3, 3, 4, 32, 32), torch.randn(3, 13, 60)]


def small_mosei() -> tuple[MoseiNet, list[Tensor]]:
    network = MoseiNet(MoseiConfig(channels=(5, 7, 9)))
    return network, [torch.randn(3, 5, 12), torch.randn(3, 7, 6), torch.randn(3, 9, 50)]


def small_ntu() -> tuple[NtuNet, list[Tensor]]:
    network = NtuNet(NtuConfig(classes=5, steps=16))
    return network, [torch.rand(3, 3, 16, 32, 32), torch.randn(3, 3, 16, 25, 2)]


SMALL = [small_ravdess, small_mosei, small_ntu]


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("build", SMALL)
def test_gradients_reach_every_weight(build: Callable[[], tuple[nn.Module, list[Tensor]]]) -> None:
    network, inputs = build()
    network.train()
    output = network(*inputs)
    output.logits.square().sum().backward()
    without = [name for name, each in network.named_parameters() if each.grad is None]
    assert without == []
    assert all(bool(each.isfinite().all()) for each in output)


@pytest.mark.parametrize("build", SMALL)
def test_everybody_present_is_the_papers_network(
    build: Callable[[], tuple[nn.Module, list[Tensor]]],
) -> None:
    network, inputs = build()
    network.eval()
    present = torch.ones(3, 2 if isinstance(network, RavdessNet) else 3, dtype=torch.bool)
    torch.testing.assert_close(network(*inputs, present), network(*inputs))


@pytest.mark.parametrize("build", SMALL)
def test_onnx_gives_the_same_numbers(
    build: Callable[[], tuple[nn.Module, list[Tensor]]], tmp_path: Path
) -> None:
    network, inputs = build()
    network.eval()
    names = [f"input{index}" for index in range(len(inputs))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter speaks of its own deprecation
        torch.onnx.export(
            network,
            tuple(inputs),
            tmp_path / "network.onnx",
            input_names=names,
            dynamic_axes={name: {0: "batch"} for name in names},
            dynamo=False,
        )
    session = onnxruntime.InferenceSession(
        tmp_path / "network.onnx", providers=["CPUExecutionProvider"]
    )
    two = [each[:2] for each in inputs]
    answers = session.run(None, {n: x.numpy() for n, x in zip(names, two, strict=True)})
    for answer, expected in zip(answers, network(*two), strict=True):
        torch.testing.assert_close(torch.from_numpy(answer), expected, rtol=1e-4, atol=1e-6)


def test_an_absent_sense_has_no_say_in_ravdess() -> None:
    network, (clips, mfcc) = small_ravdess()
    network.eval()
    present = torch.tensor([[True, True], [True, False], [False, True]])
    before = network(clips, mfcc, present)
    assert torch.equal(before.voice_logits[1], torch.zeros(8))
    assert torch.equal(before.face_logits[2], torch.zeros(8))
    assert torch.equal(before.early_attention[1, 64:], torch.zeros(2, 16))
    clips[2], mfcc[1] = 7.0, -7.0
    torch.testing.assert_close(network(clips, mfcc, present), before)


def test_an_absent_sense_has_no_say_in_mosei() -> None:
    network, inputs = small_mosei()
    network.eval()
    present = torch.tensor([[True, False, True], [True, True, False], [False, True, True]])
    before = network(*inputs, present)
    inputs[0][2], inputs[1][0], inputs[2][1] = 7.0, 7.0, 7.0
    torch.testing.assert_close(network(*inputs, present), before)
    assert not torch.allclose(network(*inputs).logits, before.logits)


def test_an_absent_person_has_no_say_in_ntu() -> None:
    network, (clips, skeletons) = small_ntu()
    network.eval()
    present = torch.tensor([[True, True, False], [False, True, True], [True, False, False]])
    before = network(clips, skeletons, present)
    assert torch.equal(before.skeleton_logits[2], torch.zeros(5))
    assert torch.equal(before.rgb_logits[1], torch.zeros(5))
    torch.testing.assert_close(before.logits[2], before.rgb_logits[2])
    torch.testing.assert_close(before.logits[1], before.skeleton_logits[1])
    skeletons[0, ..., 1], clips[1], skeletons[2] = 7.0, 7.0, 7.0
    torch.testing.assert_close(network(clips, skeletons, present), before)


def test_an_absent_person_has_no_say_in_the_skeleton_branch_alone() -> None:
    torch.manual_seed(0)
    branch = hcn(4).eval()
    torch.nn.init.ones_(
        branch.get_parameter("late.conv6.0.bias")
    )  # which answers to a skeleton of zeros
    skeletons = torch.randn(2, 3, 32, 25, 2)
    skeletons[0, ..., 1] = 0.0
    there = torch.tensor([[True, False], [True, True]])
    alone, both = branch(skeletons[:1, ..., :1]), branch(skeletons)
    torch.testing.assert_close(branch(skeletons, there), torch.cat([alone, both[1:]]))
    assert not torch.allclose(alone, both[:1])


def test_a_branch_alone_answers_as_its_stages_do() -> None:
    network, (clips, mfcc) = small_ravdess()
    network.eval()
    face = network.face
    torch.testing.assert_close(face(clips), face.classify(face.late(face.early(clips))))
    assert network.voice(mfcc).shape == (3, 8)


def test_who_comes_first_makes_no_difference_to_the_skeleton_network() -> None:
    network = hcn(5).eval()
    skeletons = torch.randn(2, 3, 32, 25, 2)
    torch.testing.assert_close(network(skeletons), network(skeletons.flip(4)))
    three = torch.cat([skeletons, skeletons[..., :1]], dim=4)  # a third who is the first again
    torch.testing.assert_close(network(skeletons), network(three))


def test_a_longer_batch_of_persons_is_each_person_by_itself() -> None:
    network = hcn(5).eval()
    skeletons = torch.randn(2, 3, 32, 25, 2)
    both = network.early(skeletons)
    for person in range(2):
        alone = network.early(skeletons[..., person : person + 1])
        torch.testing.assert_close(both[:, person : person + 1], alone)


def test_i3d_averages_each_two_neighbouring_steps() -> None:
    network = i3d(5).eval()
    maps = torch.randn(2, 1024, 4, 7, 7)
    expected = nn.functional.avg_pool3d(maps, (2, 7, 7), stride=1)
    expected = network.classify.get_submodule("conv")(expected).flatten(2).mean(dim=2)
    torch.testing.assert_close(network.classify(maps), expected)
    with pytest.raises(ValueError, match="16 frames is the least"):
        network(torch.rand(1, 3, 8, 32, 32))


# -- wrong use ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RavdessConfig(depths=(3, 4)), "depths must be four numbers of blocks"),
        (lambda: NtuConfig(depths=(1, 1, 0, 1)), "at least 1 each, not"),
        (lambda: RavdessConfig(classes=0), "classes must be at least 1, not 0"),
        (lambda: RavdessConfig(faults=("typo",)), "no such fault here: typo; there are batch-of-"),
        (lambda: RavdessConfig(faults=("unused-first-fusion",)), "unused-first-fusion; there are"),
        (lambda: NtuConfig(faults=("unused-first-fusion",)), "no such fault here"),
        (lambda: NtuConfig(rgb="c3d"), "must be i3d or resnet50, not 'c3d'"),
        (lambda: MoseiConfig(segments=0), "segments must be at least 1, not 0"),
        (lambda: hcn(steps=20), "steps must be a multiple of 16, not 20"),
        (lambda: mfcc_cnn(steps=11), "11 steps of MFCC are too few"),
        (lambda: hcn()(torch.zeros(1, 3, 32, 20, 2)), r"expected .* got \(1, 3, 32, 20, 2\)"),
        (lambda: small_mosei()[0](*[torch.zeros(1, n, 3) for n in (5, 7, 9)]), "3 time steps"),
    ],
)
def test_wrong_use_is_said(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("config", [RavdessConfig(), MoseiConfig(), NtuConfig(rgb="resnet50")])
def test_settings_survive_json(config: RavdessConfig | MoseiConfig | NtuConfig) -> None:
    import json

    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config

"""The networks that are compared: shapes, equal branches, where MSAF starts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from models.paper.config import MoseiConfig, NtuConfig, RavdessConfig
from models.training.study.action import CLASSES, FRAMES, depth_branch, skeleton_branch
from models.training.study.cost import measure
from models.training.study.emotion import face_branch, mfcc_branch, statistics_branch
from models.training.study.networks import FUSIONS, Branch, FusedNetwork, Fusion
from models.training.study.protocol import PAPER
from models.training.study.sentiment import BranchBuilder


def branch(width: int = 8, classes: int = 3) -> Branch:
    return Branch(
        [nn.Linear(5, width), nn.Linear(width, 2 * width)], [width, 2 * width], classes=classes
    )


@pytest.mark.parametrize("kind", FUSIONS)
@pytest.mark.parametrize("places", ["all", "first", "last"])
def test_every_fusion_trains_every_branch(kind: str, places: str) -> None:
    torch.manual_seed(0)
    network = FusedNetwork([branch(), branch(16)], Fusion(kind=kind, places=places), 3)
    inputs = [torch.randn(4, 5, requires_grad=True) for _ in range(2)]
    logits = network(inputs)
    assert logits.shape == (4, 3)
    logits.square().sum().backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in inputs)


def test_msaf_that_starts_as_the_identity_equals_averaging() -> None:
    branches = [branch(), branch(16)]
    averaged = FusedNetwork(branches, Fusion(), 3).eval()
    for lowest in (0.0, 0.5):
        fusion = Fusion(kind="msaf", lowest_attention=lowest, identity_start=True)
        fused = FusedNetwork(branches, fusion, 3).eval()
        inputs = [torch.randn(4, 5), torch.randn(4, 5)]
        torch.testing.assert_close(fused(inputs), averaged(inputs))
        as_in_the_paper = FusedNetwork(branches, replace(fusion, identity_start=False), 3).eval()
        assert not torch.allclose(as_in_the_paper(inputs), averaged(inputs), atol=1e-3)


@pytest.mark.parametrize("hidden", [0, 6])
def test_concatenation_that_starts_as_averaging_equals_it_and_learns(hidden: int) -> None:
    branches = [branch(), branch(16), branch(4)]
    inputs = [torch.randn(4, 5) for _ in branches]
    averaged = FusedNetwork(branches, Fusion(), 3).eval()(inputs)
    fusion = Fusion(kind="concatenation", hidden=hidden, identity_start=True)
    joined = FusedNetwork(branches, fusion, 3).eval()
    torch.testing.assert_close(joined(inputs), averaged)
    optimizer = torch.optim.SGD(joined.parameters(), lr=0.1)
    before = [parameter.clone() for parameter in joined.head.parameters()]
    for _ in range(2):  # what begins at zero lets nothing through to what is before it
        optimizer.zero_grad()
        joined(inputs).square().sum().backward()
        optimizer.step()
    after = joined.head.parameters()
    assert all((old != new).any() for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("narrowest", "joint"),
    [(64, 8), (32, 8), (16, 8), (8, 4), (128, 16), (512, 64), (96, 12), (40, 10)],
)
def test_msafs_joint_feature_is_as_wide_as_the_papers(narrowest: int, joint: int) -> None:
    """Blocks are of half the narrowest modality."""
    fusion = Fusion(kind="msaf", reduction=0)
    network = FusedNetwork([branch(narrowest // 2), branch(narrowest)], fusion, 3)
    assert network.joint_channels[1] == joint
    assert Fusion(kind="msaf", reduction=4).msaf([64, 128]).reduction == 4


def test_steps_that_do_not_exist_change_nothing() -> None:
    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(5, 8)

        def forward(self, x: Tensor, steps: Tensor) -> Tensor:
            assert steps.shape == x.shape[:2]
            return self.linear(x)  # type: ignore[no-any-return]

    torch.manual_seed(0)
    branches = [Branch([Step()], [8], classes=2) for _ in range(2)]
    network = FusedNetwork(branches, Fusion(kind="msaf", block_dropout=0.0), 2).train()
    steps = torch.tensor([[True, True, True], [True, False, False]])
    inputs = [torch.randn(2, 3, 5) for _ in range(2)]
    first = network(inputs, steps)[steps]
    other = [each.masked_fill(~steps[..., None], 1e3) for each in inputs]
    torch.testing.assert_close(network(other, steps)[steps], first)


def test_branches_have_their_sizes() -> None:
    mfcc = mfcc_branch()
    assert sum(each.numel() for each in mfcc.parameters()) == 34_024
    network = FusedNetwork([mfcc, face_branch()], Fusion(kind="msaf"), 8).eval()
    assert network([torch.randn(2, 13, 212), torch.randn(2, 35)]).shape == (2, 8)
    network = FusedNetwork([statistics_branch(), face_branch()], Fusion(kind="mmtm"), 8).eval()
    assert network([torch.randn(2, 3072), torch.randn(2, 35)]).shape == (2, 8)
    network = FusedNetwork([skeleton_branch(), depth_branch()], Fusion(kind="msaf"), 27).eval()
    inputs = [torch.randn(2, FRAMES, 21, 3), torch.randn(2, 8, 32, 32)]
    assert network(inputs).shape == (2, len(CLASSES))


def test_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="'sum'"):
        Fusion(kind="sum")
    with pytest.raises(ValueError, match="places"):
        Fusion(places="none")
    other = branch()
    other.head = nn.Identity()
    with pytest.raises(ValueError, match="linear heads"):
        FusedNetwork([other], Fusion(kind="concatenation", identity_start=True), 3)
    with pytest.raises(ValueError, match="same number of stages"):
        FusedNetwork([branch(), Branch([nn.Linear(5, 4)], [4], classes=3)], Fusion(), 3)


def test_operations_of_attention_are_counted() -> None:
    count, features, width, classes = 12, 100, 16, 2
    network = FusedNetwork([BranchBuilder(features, width)()], Fusion(), classes)
    steps = torch.ones(1, count, dtype=torch.bool)
    cost = measure(network, [torch.randn(1, count, features)], steps, torch.device("cpu"))
    layers = features * width + width * 3 * width + width * width + width * classes
    attention = 2 * count * width  # per utterance: with every other one, then what they say
    assert cost.flops == 2 * count * (layers + attention)


def test_msaf_is_cut_and_dropped_as_in_the_paper() -> None:
    ravdess = RavdessConfig()
    places = (*ravdess.fusions, MoseiConfig().fusion, *NtuConfig().fusions)
    assert {min(place.block_counts) for place in places} == {PAPER.blocks}
    assert PAPER.lowest_attention == ravdess.lowest_attention
    assert PAPER.block_dropout == ravdess.block_dropout

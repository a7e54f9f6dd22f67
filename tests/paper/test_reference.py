"""Each fault of the public reference: named, it gives the reference's numbers; unnamed, not."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from models.msaf import MSAF, MSAFConfig
from models.paper.config import NtuConfig, RavdessConfig
from models.paper.faults import IN_MSAF, Fault
from models.paper.ntu import NtuNet
from models.paper.ravdess import RavdessNet
from models.paper.reference import ReferenceMSAF, fusion
from tests.paper import restated


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    torch.manual_seed(0)


def pair(config: MSAFConfig, *faults: Fault) -> tuple[MSAF, MSAF, restated.Msaf]:
    """MSAF, MSAF with faults and the reference, all with the same weights."""
    ours, faulty = MSAF(config), fusion(config, faults)
    assert isinstance(faulty, ReferenceMSAF)
    theirs = restated.Msaf(
        config.channels,
        config.block_channels,
        config.reduction,
        config.lowest_attention,
        config.segments,
    )
    restated.unsettled(ours)
    faulty.load_state_dict(ours.state_dict())
    for index, block in enumerate(theirs.blocks):
        state = {
            name: torch.tensor_split(value, config.segments)[index] if value.dim() else value
            for name, value in ours.segments[0].state_dict().items()
        }
        assert isinstance(block, restated.MsafBlock)
        block.joint_features[0].load_state_dict(part(state, "squeeze."))
        block.joint_features[1].load_state_dict(part(state, "norm."))
        count, width = len(block.dense_group), config.block_channels
        weights = state["excite.weight"].reshape(count, width, -1)
        biases = state["excite.bias"].reshape(count, width)
        for index, dense in enumerate(block.dense_group):
            dense.load_state_dict({"weight": weights[index], "bias": biases[index]})
    return ours.eval(), faulty.eval(), theirs.eval()


def part(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(name): value for key, value in state.items() if key.startswith(name)}


def differ(some: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    return any(not torch.allclose(a, b, rtol=1e-3) for a, b in zip(some, other, strict=True))


TWO = MSAFConfig(channels=(8, 12), block_channels=4, lowest_attention=0.3)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "config",
    [
        TWO,
        MSAFConfig(channels=(7, 9, 3), block_channels=4, reduction=2),
        MSAFConfig(channels=(7, 9, 3), block_channels=4, identity_start=True),
        MSAFConfig(channels=(8, 8), block_channels=4, segments=3, block_dropout=0.0),
    ],
)
def test_without_faults_it_is_msaf(config: MSAFConfig, training: bool) -> None:
    ours = restated.unsettled(MSAF(config)).train(training)
    stated = ReferenceMSAF(config, ())
    stated.load_state_dict(ours.state_dict())
    features = [torch.randn(5, channels, 11, 2) for channels in config.channels]
    torch.manual_seed(1)
    expected = ours(features)
    torch.manual_seed(1)
    torch.testing.assert_close(stated.train(training)(features), expected)
    torch.testing.assert_close(stated.state_dict(), ours.state_dict())


def test_without_faults_of_the_module_none_is_built() -> None:
    assert type(fusion(TWO)) is MSAF
    assert type(fusion(TWO, [Fault.STEM_WITHOUT_RELU])) is MSAF
    assert isinstance(fusion(TWO, [Fault.BATCH_OF_ONE]), ReferenceMSAF)


def test_where_widths_divide_the_reference_answers_as_msaf_does() -> None:
    ours, _, theirs = pair(TWO, Fault.DOUBLE_DROPOUT)
    features = [torch.randn(3, 8, 5), torch.randn(3, 12, 2, 2)]
    torch.testing.assert_close(ours(features).features, theirs(features))


def test_double_dropout() -> None:
    ours, faulty, theirs = pair(TWO, Fault.DOUBLE_DROPOUT)
    for each in (ours, faulty, theirs):
        each.train()
    features = [torch.randn(6, 8, 5), torch.randn(6, 12, 2, 2)]
    torch.manual_seed(1)
    mask = (torch.rand(6, 5, 1) >= 0.2) / 0.8
    expected = theirs(features, mask[:, :, 0])
    torch.manual_seed(1)
    named = faulty(features).features
    torch.manual_seed(1)
    plain = ours(features).features
    torch.testing.assert_close(named, expected)
    assert differ(plain, expected)
    torch.testing.assert_close([each / 0.8 for each in plain], named)


@pytest.mark.parametrize("steps", [12, 13, 9])
def test_lost_steps(steps: int) -> None:
    config = MSAFConfig(channels=(8, 8), block_channels=4, segments=5)
    ours, faulty, theirs = pair(config, Fault.LOST_STEPS)
    features = [torch.randn(3, 8, steps), torch.randn(3, 8, 10)]
    expected = theirs(features)
    torch.testing.assert_close(faulty(features).features, expected)
    left = expected[0].shape[2]
    assert left == {12: 12, 13: 10, 9: 5}[steps]
    assert ours(features).features[0].shape[2] == steps


def test_fewer_steps_than_segments_end_in_torchs_own_error() -> None:
    config = MSAFConfig(channels=(8, 8), block_channels=4, segments=5)
    ours, faulty, theirs = pair(config, Fault.LOST_STEPS)
    features = [torch.randn(3, 8, 4), torch.randn(3, 8, 10)]
    for each in (faulty, theirs):
        with pytest.raises(RuntimeError, match="split_size can only be 0"):
            each(features)
    with pytest.raises(ValueError, match="4 time steps cannot fill 5 segments"):
        ours(features)


def test_batch_of_one() -> None:
    ours, faulty, theirs = pair(TWO, Fault.BATCH_OF_ONE)
    features = [torch.randn(1, 8, 5), torch.randn(1, 12, 2, 2)]
    for each in (faulty, theirs):
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            each.train()(features)
    assert ours.train()(features).features[0].isfinite().all()
    torch.testing.assert_close(faulty.eval()(features), ours.eval()(features))


@pytest.mark.parametrize(
    "shapes", [[(3, 7, 5), (3, 12, 4)], [(3, 10, 5), (3, 12)], [(3, 10), (3, 12)]]
)
def test_channel_padding(shapes: list[tuple[int, ...]]) -> None:
    """No width that does not divide can be computed, not even with half a block too much."""
    config = MSAFConfig(channels=(shapes[0][1], 12), block_channels=4)
    ours, faulty, theirs = pair(config, Fault.CHANNEL_PADDING)
    features = [torch.randn(shape) for shape in shapes]
    messages = []
    for each in (faulty, theirs):
        with pytest.raises(RuntimeError, match=r"shape .* is invalid for input") as caught:
            each(features)
        messages.append(re.sub(r"\s+", " ", str(caught.value)))
    assert messages[0] == messages[1]
    assert [each.shape for each in ours(features).features] == [torch.Size(s) for s in shapes]


def test_channel_padding_does_no_harm_where_widths_divide() -> None:
    ours, faulty, theirs = pair(TWO, Fault.CHANNEL_PADDING)
    features = [torch.randn(3, 8, 5), torch.randn(3, 12)]
    torch.testing.assert_close(faulty(features), ours(features))
    torch.testing.assert_close(faulty(features).features, theirs(features))


def test_the_reference_knows_no_absent_modality() -> None:
    _, faulty, _ = pair(TWO, *IN_MSAF)
    with pytest.raises(ValueError, match="leave `present` out"):
        faulty([torch.randn(2, 8), torch.randn(2, 12)], torch.ones(2, 2, dtype=torch.bool))


def test_stem_without_relu() -> None:
    """The whole network against the reference: tests/paper/test_convert.py."""
    config = RavdessConfig(depths=(1, 1, 1, 1), steps=60)
    ours = restated.unsettled(RavdessNet(config))
    faulty = RavdessNet(RavdessConfig(depths=(1, 1, 1, 1), steps=60, faults=("stem-without-relu",)))
    faulty.load_state_dict(ours.state_dict())
    clips = torch.randn(2, 3, 4, 32, 32)
    assert differ([ours.face.early(clips)], [faulty.eval().face.early(clips)])


def test_unused_first_fusion() -> None:
    config = NtuConfig(rgb="resnet50", depths=(1, 1, 1, 1), classes=5, steps=16)
    named = NtuConfig(
        rgb="resnet50", depths=(1, 1, 1, 1), classes=5, steps=16, faults=("unused-first-fusion",)
    )
    ours = restated.unsettled(NtuNet(config))
    faulty = NtuNet(named)
    faulty.load_state_dict(ours.state_dict())
    inputs = torch.rand(2, 3, 2, 32, 32), torch.randn(2, 3, 16, 25, 2)
    answers = ours(*inputs), faulty.eval()(*inputs)
    torch.testing.assert_close(answers[0].early_attention, answers[1].early_attention)
    assert differ(answers[0][1:2], answers[1][1:2])

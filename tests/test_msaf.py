"""MSAF against plain loops in float64, and everything the public reference gets wrong."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from models import MSAF, MSAFConfig
from models.attention import modality_share

Array = NDArray[np.float64]


def segment_state(msaf: MSAF, segment: int) -> dict[str, Array]:
    """What one segment has of its own, in float64."""
    return {
        name: np.array_split(value.double().numpy(), msaf.config.segments)[segment]
        for name, value in msaf.segments[0].state_dict().items()
        if value.dim()
    }


def reference_block(
    features: list[Array], present: NDArray[np.bool_], msaf: MSAF, segment: int
) -> tuple[list[Array], Array]:
    """One MSAF block in evaluation mode, sample by sample, block by block, channel by channel."""
    config = msaf.config
    width, low = config.block_channels, config.lowest_attention
    state = segment_state(msaf, segment)
    total = sum(math.ceil(channels / width) for channels in config.channels)
    fused = [np.zeros_like(feature) for feature in features]
    used = np.zeros((len(features[0]), total, width))
    for sample in range(len(features[0])):
        joint = np.zeros(width)
        for m, feature in enumerate(features):
            if present[sample, m]:
                for channel in range(feature.shape[1]):
                    joint[channel % width] += feature[sample, channel].mean()
        squeezed = state["squeeze.weight"] @ joint + state["squeeze.bias"]
        scale = state["norm.weight"] / np.sqrt(state["norm.running_var"] + 1e-5)
        squeezed = (squeezed - state["norm.running_mean"]) * scale + state["norm.bias"]
        squeezed = np.maximum(squeezed, 0.0)
        logits = np.zeros((total, width))
        owner: list[int] = []
        place: list[int] = []
        for m, channels in enumerate(config.channels):
            for index in range(math.ceil(channels / width)):
                rows = slice(len(owner) * width, (len(owner) + 1) * width)
                logits[len(owner)] = (
                    state["excite.weight"][rows] @ squeezed + state["excite.bias"][rows]
                )
                owner.append(m)
                place.append(index)
        for channel in range(width):
            there = [n for n in range(total) if present[sample, owner[n]]]
            parts = {n: math.exp(logits[n, channel]) for n in there}
            for n in there:
                attention = low + (1 - low) * parts[n] / sum(parts.values())
                used[sample, n, channel] = attention
                position = place[n] * width + channel
                if position < config.channels[owner[n]]:
                    fused[owner[n]][sample, position] = (
                        attention * features[owner[n]][sample, position]
                    )
    return fused, used


def reference(
    features: list[Array], present: NDArray[np.bool_], msaf: MSAF
) -> tuple[list[Array], Array]:
    if msaf.config.segments == 1:
        fused, attention = reference_block(features, present, msaf, 0)
        return fused, attention[:, None]
    joined: list[list[Array]] = [[] for _ in features]
    attentions = []
    count = msaf.config.segments
    for s in range(count):
        cut = []
        for feature in features:
            length = feature.shape[2] // count
            end = feature.shape[2] if s == count - 1 else (s + 1) * length
            cut.append(feature[:, :, s * length : end])
        fused, attention = reference_block(cut, present, msaf, s)
        attentions.append(attention)
        for parts, piece in zip(joined, fused, strict=True):
            parts.append(piece)
    return [np.concatenate(parts, axis=2) for parts in joined], np.stack(attentions, axis=1)


def randomised(msaf: MSAF, seed: int = 0) -> MSAF:
    """Give every parameter and running statistic a value that shows if it is left out."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in msaf.state_dict().items():
            if name.endswith("running_var"):
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
            elif value.is_floating_point():
                value.copy_(torch.randn(value.shape, generator=generator))
    return msaf


@st.composite
def cases(draw: st.DrawFn) -> tuple[MSAFConfig, list[tuple[int, ...]], list[list[bool]]]:
    modalities = draw(st.integers(1, 4))
    reduction = draw(st.sampled_from((1, 2, 4)))
    segments = draw(st.integers(1, 3))
    config = MSAFConfig(
        channels=tuple(
            draw(st.lists(st.integers(1, 21), min_size=modalities, max_size=modalities))
        ),
        block_channels=reduction * draw(st.integers(1, 3)),
        reduction=reduction,
        lowest_attention=draw(st.sampled_from((0.0, 0.3, 1.0))),
        segments=segments,
    )
    batch = draw(st.integers(1, 3))
    shapes = []
    for channels in config.channels:
        trailing = draw(st.lists(st.integers(1, 4), min_size=int(segments > 1), max_size=3))
        if segments > 1:
            trailing[0] += segments - 1
        shapes.append((batch, channels, *trailing))
    row = st.lists(st.booleans(), min_size=modalities, max_size=modalities).filter(any)
    return config, shapes, draw(st.lists(row, min_size=batch, max_size=batch))


@settings(max_examples=80, deadline=None)
@given(case=cases(), seed=st.integers(0, 2**16))
def test_equals_plain_loops(
    case: tuple[MSAFConfig, list[tuple[int, ...]], list[list[bool]]], seed: int
) -> None:
    config, shapes, rows = case
    msaf = randomised(MSAF(config), seed).double().eval()
    rng = np.random.default_rng(seed)
    features = [rng.normal(size=shape) for shape in shapes]
    present = np.array(rows)
    expected, expected_attention = reference(features, present, msaf)
    fused, attention = msaf([torch.from_numpy(f) for f in features], torch.from_numpy(present))
    for one, other in zip(fused, expected, strict=True):
        np.testing.assert_allclose(one.detach().numpy(), other, atol=1e-9)
    np.testing.assert_allclose(attention.detach().numpy(), expected_attention, atol=1e-9)
    if present.all():
        again, _ = msaf([torch.from_numpy(f) for f in features])
        torch.testing.assert_close(again, fused)


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (MSAFConfig(channels=(32, 64, 128), block_channels=16, reduction=2, segments=5), 10_840),
        (MSAFConfig(channels=(832, 128, 128), block_channels=64), 19_568),
        (MSAFConfig(channels=(1024, 512), block_channels=256), 116_416),
        (MSAFConfig(channels=(1024, 32), block_channels=16), 5_356),
        (MSAFConfig(channels=(2048, 64), block_channels=32), 19_288),
    ],
    ids=["MOSEI", "NTU first", "NTU second", "RAVDESS first", "RAVDESS second"],
)
def test_has_the_papers_number_of_parameters(config: MSAFConfig, count: int) -> None:
    assert sum(parameter.numel() for parameter in MSAF(config).parameters()) == count


@pytest.mark.parametrize("segments", [1, 3])
@pytest.mark.parametrize("lowest", [0.0, 0.5, 1.0])
def test_identity_start_changes_nothing_until_it_learns(segments: int, lowest: float) -> None:
    config = MSAFConfig(
        channels=(9, 8), block_channels=4, segments=segments, lowest_attention=lowest
    )
    torch.manual_seed(0)
    paper, drawn = MSAF(config), torch.get_rng_state()
    torch.manual_seed(0)
    msaf = MSAF(replace(config, identity_start=True))
    assert torch.equal(torch.get_rng_state(), drawn)  # the same draws: only the last layer differs
    for name, value in msaf.state_dict().items():
        like = paper.state_dict()[name]
        assert torch.equal(value, torch.zeros_like(like) if "excite" in name else like), name
    features = [torch.randn(4, 9, 7, 2), torch.randn(4, 8, 5)]
    fused, attention = msaf.eval()(features)
    torch.testing.assert_close(fused, features)
    torch.testing.assert_close(attention, torch.full_like(attention, lowest + (1 - lowest) / 5))
    paper.eval().load_state_dict(msaf.state_dict())  # its features, and nothing but the gain
    smaller = paper(features).features
    gain = 1.0 / (lowest + (1.0 - lowest) / 5)
    assert all(torch.equal(a, b * gain) for a, b in zip(fused, smaller, strict=True))
    msaf.train()(features).features[0].square().sum().backward()
    last = dict(msaf.named_parameters())["segments.0.excite.weight"].grad
    assert last is not None
    assert (last.abs().sum() > 0) == (lowest < 1.0)


def test_identity_start_stands_where_weights_are_made_later() -> None:
    """As FSDP and others do: a network without weights first, each part begun where it will be."""
    config = MSAFConfig(channels=(8, 8), block_channels=4, identity_start=True)
    with torch.device("meta"):
        msaf = MSAF(config)
    msaf.to_empty(device="cpu")
    for part in msaf.modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()  # type: ignore[operator]
    features = [torch.randn(4, 8, 3), torch.randn(4, 8)]
    torch.testing.assert_close(msaf.eval()(features).features, features)


# What goes wrong in the public reference, one test each.


@pytest.mark.parametrize("channels", [(7, 5), (8, 9), (3, 16), (1, 1)])
def test_width_that_does_not_divide_is_padded_on_the_channels(channels: tuple[int, int]) -> None:
    msaf = MSAF(MSAFConfig(channels=channels, block_channels=8)).eval()
    features = [torch.randn(2, channels[0], 3, 4, 4), torch.randn(2, channels[1], 6)]
    fused, attention = msaf(features)
    assert [f.shape for f in fused] == [f.shape for f in features]
    assert attention.shape == (2, 1, sum(msaf.config.block_counts), 8)
    torch.testing.assert_close(attention.sum(dim=2), torch.ones(2, 1, 8))


def test_block_dropout_acts_once_jointly_and_on_whole_blocks() -> None:
    config = MSAFConfig(
        channels=(400, 400), block_channels=4, lowest_attention=1.0, block_dropout=0.25
    )
    msaf = MSAF(config).train()
    torch.manual_seed(3)
    fused, _ = msaf([torch.ones(64, 400, 2), torch.ones(64, 400)])
    # With lowest attention 1, what comes out of ones is the dropout mask itself, scaled once.
    blocks = torch.cat([fused[0].mean(dim=2), fused[1]], dim=1).reshape(64, 200, 4)
    assert sorted(set(blocks.flatten().tolist())) == pytest.approx([0.0, 1 / 0.75])
    assert torch.equal(blocks.amin(dim=2), blocks.amax(dim=2))
    assert (blocks[:, :, 0] == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    first, second = blocks[:, :100, 0] == 0, blocks[:, 100:, 0] == 0
    assert not torch.equal(first, second)  # one draw over all blocks, not one per modality
    assert not torch.equal(first[0], first[1])  # and one per sample
    assert torch.equal(
        msaf.eval()([torch.ones(1, 400), torch.ones(1, 400)])[0][0], torch.ones(1, 400)
    )


def test_dropped_blocks_add_nothing_to_the_joint_feature() -> None:
    config = MSAFConfig(channels=(8, 8), block_channels=4, block_dropout=0.5)
    msaf = randomised(MSAF(config)).train()
    torch.manual_seed(0)
    kept = torch.rand(16, 4, 1) >= 0.5
    features = [torch.randn(16, 8), torch.randn(16, 8)]
    poisoned = torch.cat(features, dim=1).reshape(16, 4, 4)
    poisoned = torch.where(kept, poisoned, 1e3).reshape(16, 16)
    torch.manual_seed(0)
    plain = msaf(features)
    torch.manual_seed(0)
    other = msaf([poisoned[:, :8], poisoned[:, 8:]])
    torch.testing.assert_close(plain.attention, other.attention)
    torch.testing.assert_close(plain.features, other.features)


@pytest.mark.parametrize("length", [0, 1, 4])
def test_sequence_shorter_than_its_segments_is_an_error(length: int) -> None:
    msaf = MSAF(MSAFConfig(channels=(8, 8), block_channels=4, segments=5))
    with pytest.raises(ValueError, match=f"modality 1: .*{length}"):
        msaf([torch.randn(2, 8, 9), torch.randn(2, 8, length)])


def test_segments_do_not_mix_and_the_last_takes_the_remainder() -> None:
    config = MSAFConfig(channels=(4, 4), block_channels=4, reduction=1, segments=3)
    msaf = randomised(MSAF(config)).eval()
    features = [torch.randn(1, 4, 11), torch.randn(1, 4, 3)]
    changed = [features[0].clone(), features[1]]
    changed[0][:, :, 6:] += 5.0  # 11 steps: [0, 3), [3, 6), [6, 11)
    before, after = msaf(features), msaf(changed)
    torch.testing.assert_close(before.features[0][:, :, :6], after.features[0][:, :, :6])
    torch.testing.assert_close(before.attention[:, :2], after.attention[:, :2])
    assert not torch.allclose(before.attention[:, 2], after.attention[:, 2])


def test_batch_of_one_trains_on_running_statistics() -> None:
    msaf = randomised(MSAF(MSAFConfig(channels=(8, 8), block_channels=4, block_dropout=0.0)))
    features = [torch.randn(1, 8, 3), torch.randn(1, 8)]
    before = {name: value.clone() for name, value in msaf.state_dict().items()}
    training = msaf.train()(features)
    sum(f.sum() for f in training.features).backward()
    torch.testing.assert_close(training.features, msaf.eval()(features).features)
    torch.testing.assert_close(before, dict(msaf.state_dict()))
    msaf.train()([torch.randn(2, 8), torch.randn(2, 8)])
    mean = "segments.0.norm.running_mean"
    assert not torch.equal(before[mean], msaf.state_dict()[mean])


@pytest.mark.parametrize("segments", [1, 2])
@pytest.mark.parametrize("training", [True, False])
def test_an_empty_batch_stays_empty(segments: int, training: bool) -> None:
    msaf = MSAF(MSAFConfig(channels=(8, 6), block_channels=4, segments=segments)).train(training)
    before = {name: value.clone() for name, value in msaf.named_buffers() if "running" in name}
    features = [torch.randn(0, 8, 4, 3), torch.randn(0, 6, 5)]
    for present in (None, torch.ones(0, 2, dtype=torch.bool)):
        fused, attention = msaf(features, present)
        assert [each.shape for each in fused] == [(0, 8, 4, 3), (0, 6, 5)]
        assert attention.shape == (0, segments, 4, 4)
    after = {name: value for name, value in msaf.named_buffers() if "running" in name}
    torch.testing.assert_close(after, before)


def test_leaves_what_it_was_given_alone() -> None:
    msaf = MSAF(MSAFConfig(channels=(6, 6), block_channels=4)).train()
    features = [torch.randn(3, 6, 2), torch.randn(3, 6)]
    given_list, copies = list(features), [f.clone() for f in features]
    fused, _ = msaf(features, torch.tensor([[True, False]] * 3))
    assert fused is not features
    assert all(one is other for one, other in zip(features, given_list, strict=True))
    torch.testing.assert_close(features, copies)


# Presence.


def test_absent_modality_passes_nothing_on_whatever_it_holds() -> None:
    msaf = randomised(MSAF(MSAFConfig(channels=(12, 8), block_channels=4, lowest_attention=0.3)))
    face, voice = torch.randn(3, 12, 5, requires_grad=True), torch.randn(3, 8)
    present = torch.tensor([[True, True], [True, False], [False, True]])
    voice[1] = math.nan
    fused, attention = msaf.eval()([face, voice], present)
    assert torch.equal(fused[1][1], torch.zeros(8))
    assert torch.equal(fused[0][2], torch.zeros(12, 5))
    assert torch.equal(attention[1, 0, 3:], torch.zeros(2, 4))
    alone = MSAF(MSAFConfig(channels=(12,), block_channels=4, lowest_attention=0.3)).eval()
    alone.load_state_dict(
        {
            name: value[:12] if "excite" in name else value
            for name, value in msaf.state_dict().items()
        }
    )
    torch.testing.assert_close(fused[0][1:2], alone([face[1:2]]).features[0])
    sum(f.sum() for f in fused).backward()
    assert face.grad is not None
    assert face.grad.isfinite().all()
    assert torch.equal(face.grad[2], torch.zeros(12, 5))
    assert all(p.grad is not None and p.grad.isfinite().all() for p in msaf.parameters())


def test_sample_without_any_modality_is_an_error() -> None:
    msaf = MSAF(MSAFConfig(channels=(4, 4), block_channels=4)).eval()
    present = torch.tensor([[True, False], [False, False]])
    with pytest.raises(ValueError, match=r"samples \[1\] of 2"):
        msaf([torch.randn(2, 4), torch.randn(2, 4)], present)


@pytest.mark.parametrize(
    ("shapes", "present", "message"),
    [
        ([(2, 8)], None, "expected 2 modalities, got 1"),
        ([(2, 8), (2, 7, 3)], None, r"modality 1: expected \(batch, 6, ...\), got \(2, 7, 3\)"),
        ([(2, 8), (6,)], None, r"modality 1: expected \(batch, 6, ...\), got \(6,\)"),
        ([(2, 8), (3, 6)], None, "modality 1: batch of 3, but modality 0 has 2"),
        ([(2, 8, 0), (2, 6)], None, "modality 0: nothing to average"),
        ([(2, 8), (2, 6)], torch.ones(2, 3, dtype=torch.bool), r"bool \(2, 2\), got .* \(2, 3\)"),
        ([(2, 8), (2, 6)], torch.ones(2, 2), "present must be bool .* got torch.float32"),
    ],
)
def test_errors_name_both_numbers(
    shapes: list[tuple[int, ...]], present: Tensor | None, message: str
) -> None:
    msaf = MSAF(MSAFConfig(channels=(8, 6), block_channels=4))
    with pytest.raises(ValueError, match=message):
        msaf([torch.randn(shape) for shape in shapes], present)


@pytest.mark.parametrize(
    ("features", "present", "message"),
    [
        (torch.randn(2, 8, 8), None, "give a list, one tensor per modality .* not a Tensor"),
        ({0: torch.randn(2, 8), 1: torch.randn(2, 6)}, None, "give a list, .* not a dict"),
        ([torch.randn(2, 8), None], None, "modality 1: expected a tensor, got NoneType; .*present"),
        ([torch.randn(2, 8), np.zeros((2, 6))], None, "modality 1: expected a tensor, got ndarray"),
        ([torch.randn(2, 8), torch.ones(2, 6).int()], None, "1: expected floating.*torch.int32"),
        (
            [torch.randn(2, 8), torch.randn(2, 6)],
            [[True, False]] * 2,
            r"tensor \(2, 2\), not a list",
        ),
        ([torch.randn(2, 8), torch.randn(2, 6)], True, r"bool tensor \(2, 2\), not a bool"),
    ],
)
def test_errors_name_what_was_given_instead(features: Any, present: Any, message: str) -> None:
    msaf = MSAF(MSAFConfig(channels=(8, 6), block_channels=4))
    with pytest.raises(TypeError, match=message):
        msaf(features, present)
    if isinstance(features, Tensor):
        with pytest.raises(TypeError, match="give a list"):
            msaf(features, torch.randn(2, 6))


@pytest.mark.parametrize("segments", [1, 3])
@pytest.mark.parametrize("steps", [0, 2])
def test_a_modality_that_no_sample_has_may_be_too_short(segments: int, steps: int) -> None:
    config = MSAFConfig(channels=(8, 6), block_channels=4, segments=segments)
    msaf = randomised(MSAF(config)).eval()
    face = torch.randn(2, 8, 5)
    present = torch.tensor([[True, False]] * 2)
    expected = msaf([face, torch.full((2, 6, 4), math.nan)], present)
    fused, attention = msaf([face, torch.randn(2, 6, steps)], present)
    torch.testing.assert_close(fused[0], expected.features[0])
    torch.testing.assert_close(attention, expected.attention)
    assert torch.equal(fused[1], torch.zeros(2, 6, steps))
    present[1, 1] = True
    if steps < segments or steps == 0:
        with pytest.raises(ValueError, match=r"modality 1: .*(average|fill)"):
            msaf([face, torch.randn(2, 6, steps)], present)


def test_presence_is_looked_at_on_the_cpu_only() -> None:
    """Elsewhere the look would wait for the device, and "meta" has nothing to look at."""
    msaf = MSAF(MSAFConfig(channels=(8, 6), block_channels=4)).eval()
    features = [torch.randn(2, 8, 3), torch.randn(2, 6)]
    nobody = torch.tensor([[True, True], [False, False]])
    with pytest.raises(ValueError, match=r"samples \[1\] of 2"):
        msaf(features, nobody)
    shapes = [each.to("meta") for each in features]
    for present in (torch.ones(2, 2, dtype=torch.bool), nobody.to("meta")):
        fused, attention = msaf.to("meta")(shapes, present)
        assert [each.shape for each in fused] == [(2, 8, 3), (2, 6)]
        assert attention.is_meta


def test_it_tells_what_it_is() -> None:
    msaf = MSAF(MSAFConfig(channels=[7, 5], block_channels=4))  # type: ignore[arg-type]
    assert msaf.config.channels == (7, 5)
    assert "channels=(7, 5), block_channels=4, reduction=4, lowest_attention=0.0" in repr(msaf)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"channels": ()}, r"not \(\)"),
        ({"channels": 40}, r"width of each modality, as \(40, 24\), not 40"),
        ({"channels": (40, 2.5)}, r"not \(40, 2.5\)"),
        ({"channels": (4, 0)}, r"not \(4, 0\)"),
        ({"block_channels": 8.0}, "block_channels must be a whole number, not 8.0"),
        ({"block_channels": 0}, "not 0 and 4"),
        ({"block_channels": 10}, "10 is not a multiple of reduction 4"),
        ({"lowest_attention": 1.5}, "not 1.5"),
        ({"segments": 0}, "not 0"),
        ({"block_dropout": 1.0}, "not 1.0"),
    ],
)
def test_config_is_checked(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(MSAFConfig(channels=(8, 8), block_channels=4), **values)


# Weights.


def test_a_segments_weights_may_have_names_of_their_own() -> None:
    """As in files of the public reference, and in those that this project wrote at first."""
    config = MSAFConfig(channels=(9, 8), block_channels=4, segments=3)
    msaf, other = randomised(MSAF(config)), MSAF(config)
    apart = {
        f"segments.{index}.{name}": value.chunk(3)[index] if value.dim() else value
        for index in range(3)
        for name, value in msaf.segments[0].state_dict().items()
    }
    other.load_state_dict(apart)
    torch.testing.assert_close(other.state_dict(), msaf.state_dict())
    assert len(apart) == 3 * len(msaf.state_dict())  # the caller's are left as they are
    wrapped = nn.ModuleDict({"deep": MSAF(config)})
    wrapped.load_state_dict({f"deep.{name}": value for name, value in apart.items()})
    torch.testing.assert_close(wrapped["deep"].state_dict(), msaf.state_dict())
    apart["segments.1.squeeze.weight"] = torch.zeros(1, 3)
    with pytest.raises(
        ValueError, match=r"squeeze.weight do not go together: .*\(1, 4\), \(1, 3\)"
    ):
        other.load_state_dict(apart)


# Gradients, precision, compilers, exporters.


def test_gradients_are_right_and_reach_every_modality() -> None:
    config = MSAFConfig(channels=(5, 4), block_channels=4, segments=2, block_dropout=0.0)
    msaf = randomised(MSAF(config)).double().eval()
    features = [
        torch.randn(2, 5, 3, 2, dtype=torch.float64, requires_grad=True),
        torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True),
    ]
    present = torch.tensor([[True, True], [True, False]])
    assert torch.autograd.gradcheck(lambda *xs: tuple(msaf(xs, present).features), features)
    msaf(features)[0][0].sum().backward()  # the second modality steers the first
    assert features[1].grad is not None
    assert features[1].grad.abs().sum() > 0


def test_autocast_keeps_the_callers_types() -> None:
    msaf = MSAF(MSAFConfig(channels=(16, 12), block_channels=8)).eval()
    features = [torch.randn(4, 16, 7).bfloat16(), torch.randn(4, 12)]
    present = torch.tensor([[True, True]] * 3 + [[True, False]])
    exact, attention = msaf(features, present)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fused, cast_attention = msaf(features, present)
    assert [f.dtype for f in fused] == [torch.bfloat16, torch.float32]
    assert cast_attention.dtype == torch.float32
    torch.testing.assert_close(attention, cast_attention, atol=0.02, rtol=0.0)
    torch.testing.assert_close(exact[1], fused[1], atol=0.05, rtol=0.05)


@pytest.mark.parametrize("segments", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_leaves_averages_and_attention_in_single_precision(
    segments: int, dtype: torch.dtype
) -> None:
    config = MSAFConfig(channels=(1024, 32), block_channels=16, segments=segments)
    msaf = MSAF(config).eval()
    features = [torch.full((2, 1024, 3, 4), 1200.0).to(dtype), torch.randn(2, 32, 3).to(dtype)]
    expected = msaf(features)  # the sum of 66 blocks lies beyond the largest half
    with torch.autocast("cpu", dtype=dtype):
        found = msaf(features)
    assert found.attention.dtype == torch.float32
    assert torch.equal(found.attention, expected.attention)
    assert found.attention.isfinite().all()
    assert [each.dtype for each in found.features] == [dtype] * 2
    for one, other in zip(found.features, expected.features, strict=True):
        assert torch.equal(one, other)


def test_autocast_compiles() -> None:
    msaf = MSAF(MSAFConfig(channels=(8, 6), block_channels=4, segments=2)).eval()
    compiled = torch.compile(msaf, backend="eager", fullgraph=True)
    features = [torch.randn(3, 8, 4), torch.randn(3, 6, 5)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(compiled(features), msaf(features))
    torch.testing.assert_close(compiled(features), msaf(features))


@pytest.mark.parametrize("segments", [1, 2])
def test_compiles_without_graph_breaks(segments: int) -> None:
    config = MSAFConfig(channels=(8, 6), block_channels=4, segments=segments)
    msaf = MSAF(config)
    compiled = torch.compile(msaf, backend="eager", fullgraph=True)
    features = [torch.randn(3, 8, 4, 2), torch.randn(3, 6, 5)]
    present = torch.tensor([[True, True], [True, False], [False, True]])
    torch.manual_seed(1)
    expected = msaf(features, present)
    torch.manual_seed(1)
    torch.testing.assert_close(compiled(features, present), expected)


@pytest.mark.parametrize("segments", [1, 2])
def test_compiled_training_takes_any_batch(segments: int) -> None:
    config = MSAFConfig(channels=(8, 6), block_channels=4, segments=segments, block_dropout=0.0)
    msaf, ours = MSAF(config), MSAF(config)
    ours.load_state_dict(msaf.state_dict())
    compiled = torch.compile(msaf, backend="aot_eager", fullgraph=True)
    for batch in (8, 5, 1, 8):  # the last of an epoch is smaller
        features = [torch.randn(batch, 8, 4, 2), torch.randn(batch, 6, 5)]
        torch.testing.assert_close(compiled(features), ours(features))
    assert msaf.state_dict()["segments.0.norm.num_batches_tracked"] == 3


def test_statistics_are_measured_anew_as_those_of_any_batch_norm() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.msaf = MSAF(MSAFConfig(channels=(8, 6), block_channels=4))

        def forward(self, pair: Tensor) -> Tensor:
            attention: Tensor = self.msaf([pair[:, :8], pair[:, 8:]]).attention
            return attention

    network = Attends()
    before = dict(network.state_dict())
    update_bn([torch.randn(4, 14) + 3.0 for _ in range(3)], network)
    after = network.state_dict()
    assert after["msaf.segments.0.norm.num_batches_tracked"] == 3
    assert (after["msaf.segments.0.norm.running_mean"] != 0.0).all()
    assert after.keys() == before.keys()


def test_half_precision_is_the_same_with_gradients() -> None:
    msaf = MSAF(MSAFConfig(channels=(8, 6), block_channels=4)).half().eval()
    features = [torch.full((2, 8, 64, 64), 20.0).half(), torch.randn(2, 6).half()]
    with torch.no_grad():
        expected = msaf(features).attention
    features[0].requires_grad_()  # their sum lies beyond the largest number in half precision
    torch.testing.assert_close(msaf(features).attention, expected)


class _Two(nn.Module):
    """MSAF with positional tensors, as exporters like them."""

    def __init__(self, msaf: MSAF) -> None:
        super().__init__()
        self.msaf = msaf

    def forward(self, face: Tensor, voice: Tensor, present: Tensor) -> tuple[Tensor, ...]:
        fused, attention = self.msaf([face, voice], present)
        return *fused, attention


@pytest.mark.parametrize("segments", [1, 2, 3, 4])
def test_torch_export_with_free_sizes(segments: int) -> None:
    network = _Two(MSAF(MSAFConfig(channels=(8, 6), block_channels=4, segments=segments))).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    time, steps = (torch.export.Dim(name, min=segments, max=512) for name in ("time", "steps"))
    program = torch.export.export(
        network,
        (torch.randn(2, 8, 9, 3), torch.randn(2, 6, 7), torch.ones(2, 2, dtype=torch.bool)),
        dynamic_shapes=({0: batch, 2: time}, {0: batch, 2: steps}, {0: batch}),
    )
    inputs = (torch.randn(5, 8, 4, 3), torch.randn(5, 6, 11), torch.rand(5, 2) > 2)
    inputs[2][:, 1] = True
    torch.testing.assert_close(program.module()(*inputs), network(*inputs))


@pytest.mark.parametrize(("dynamo", "segments"), [(True, 2), (False, 1), (False, 2)])
def test_onnx_gives_the_same_numbers(segments: int, dynamo: bool, tmp_path: Path) -> None:
    """Of torch's exporter as it is called without more (docs/msaf.md), and of its older one."""
    onnxruntime = pytest.importorskip("onnxruntime")
    if dynamo:
        pytest.importorskip("onnxscript")
    network = _Two(MSAF(MSAFConfig(channels=(8, 6), block_channels=4, segments=segments))).eval()
    target = tmp_path / "msaf.onnx"
    inputs = (torch.randn(2, 8, 9, 3), torch.randn(2, 6, 7), torch.ones(2, 2, dtype=torch.bool))
    sizes = {"face": {0: "b", 2: "t"}, "voice": {0: "b", 2: "u"}, "present": {0: "b"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters speak of their own deprecations
        if dynamo:
            torch.onnx.export(network, inputs, target, dynamic_shapes=sizes)
        else:
            torch.onnx.export(
                network, inputs, target, input_names=[*sizes], dynamic_axes=sizes, dynamo=False
            )
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    face, voice = torch.randn(3, 8, 5, 3), torch.randn(3, 6, 2)
    present = torch.tensor([[True, True], [True, False], [False, True]])
    voice[1], face[2] = math.nan, math.inf
    outputs = session.run(
        None, {"face": face.numpy(), "voice": voice.numpy(), "present": present.numpy()}
    )
    for output, expected in zip(outputs, network(face, voice, present), strict=True):
        np.testing.assert_allclose(output, expected.detach().numpy(), atol=1e-5)


# Reading the attention.


def test_share_is_told_against_chance() -> None:
    attention = np.full((2, 10, 4), 0.1, dtype=np.float32)  # 8 + 2 blocks, all alike
    share, chance = modality_share(attention, (8, 2), lowest_attention=0.0)
    np.testing.assert_allclose(share, [[0.8, 0.2]] * 2, rtol=1e-5)
    np.testing.assert_allclose(chance, [[0.8, 0.2]] * 2, rtol=1e-5)


def test_share_takes_the_lowest_attention_off_and_knows_the_absent() -> None:
    config = MSAFConfig(channels=(8, 8, 4), block_channels=4, lowest_attention=0.5)
    msaf = randomised(MSAF(config)).eval()
    features = [torch.randn(2, 8), torch.randn(2, 8), torch.randn(2, 4)]
    present = torch.tensor([[True, True, True], [True, False, True]])
    attention = msaf(features, present).attention.detach().numpy()[:, 0]
    share, chance = modality_share(attention, config.block_counts, lowest_attention=0.5)
    np.testing.assert_allclose(share.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(chance, [[0.4, 0.4, 0.2], [2 / 3, 0, 1 / 3]], rtol=1e-5)
    assert share[1, 1] == 0
    softmax = (attention - 0.5) / 0.5
    np.testing.assert_allclose(share[0, 0], softmax[0, :2].sum() / 4, rtol=1e-4)


def test_msaf_tells_shares_of_its_own_attention() -> None:
    config = MSAFConfig(channels=(10, 8), block_channels=4, lowest_attention=0.5, segments=2)
    msaf = randomised(MSAF(config)).eval()
    features = [torch.randn(3, 10, 6), torch.randn(3, 8, 5, requires_grad=True)]
    present = torch.tensor([[True, True], [True, False], [False, True]])
    attention = msaf(features, present).attention
    share, chance = msaf.share(attention)
    assert share.shape == chance.shape == (3, 2, 2)
    softmax = (attention.detach() - 0.5) / 0.5
    real = torch.cat([softmax[0, 1, :3].flatten()[:10], softmax[0, 1, 3:].flatten()])
    np.testing.assert_allclose(share[0, 1, 0], real[:10].sum() / real.sum(), rtol=1e-5)
    np.testing.assert_allclose(chance[0], [[10 / 18, 8 / 18]] * 2, rtol=1e-6)
    np.testing.assert_allclose(share[1:], [[[1, 0]] * 2, [[0, 1]] * 2], atol=1e-6)
    np.testing.assert_allclose(chance[1:], share[1:], atol=1e-6)
    alone, _ = msaf.share(attention[0, 1])
    np.testing.assert_array_equal(alone, share[0, 1])
    full = MSAF(replace(config, channels=(12, 8)))  # nothing padded: what the live program tells
    for one, other in zip(
        full.share(attention),
        modality_share(attention.detach().numpy(), (3, 2), lowest_attention=0.5),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_share_wants_widths_that_fit() -> None:
    attention = np.zeros((1, 10, 4), dtype=np.float32)
    with pytest.raises(ValueError, match="8 blocks of 4 channels are not those of 28 channels"):
        modality_share(attention, (8, 2), lowest_attention=0.0, channels=(28, 8))


def test_share_wants_block_counts_that_fit() -> None:
    with pytest.raises(ValueError, match=r"\(8, 3\) do not add up to 10"):
        modality_share(np.zeros((1, 10, 4), dtype=np.float32), (8, 3), lowest_attention=0.0)

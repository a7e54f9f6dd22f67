"""MMTM against a restatement of the paper's formulas that shares nothing with it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.mmtm import MMTM


def restated(module: MMTM, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Joze et al. (2020), equations 1 to 5, for two modalities and one sample, in loops."""
    squeezed = []
    for feature in (first, second):
        squeezed += [float(channel.sum()) / channel.numel() for channel in feature]
    weights = module.state_dict()
    joint = []
    for row, bias in zip(weights["squeeze.weight"], weights["squeeze.bias"], strict=True):
        value = sum(float(w) * s for w, s in zip(row, squeezed, strict=True)) + float(bias)
        joint.append(max(0.0, value))
    scaled = []
    for index, feature in enumerate((first, second)):
        out = feature.clone()
        for channel in range(len(feature)):
            row = weights[f"excite.{index}.weight"][channel]
            value = sum(float(w) * z for w, z in zip(row, joint, strict=True))
            value += float(weights[f"excite.{index}.bias"][channel])
            out[channel] *= 2.0 / (1.0 + 2.718281828459045**-value)
        scaled.append(out)
    return scaled[0], scaled[1]


@pytest.mark.parametrize("shapes", [((6, 3, 4), (5,)), ((8,), (4, 7)), ((3, 2, 2, 2), (9, 5))])
def test_equals_the_restatement(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    torch.manual_seed(0)
    module = MMTM([shape[0] for shape in shapes])
    features = [torch.randn(2, *shape) for shape in shapes]
    fused = module(features)
    for sample in range(2):
        expected = restated(module, *(feature[sample] for feature in features))
        for out, wanted in zip(fused, expected, strict=True):
            torch.testing.assert_close(out[sample], wanted)


def test_any_number_of_modalities_and_gradients_into_each() -> None:
    module = MMTM([4, 6, 2], reduction=3)
    assert module.squeeze.out_features == 4
    features = [torch.randn(3, width, 5, requires_grad=True) for width in (4, 6, 2)]
    sum(out.square().sum() for out in module(features)).backward()
    for feature in features:
        assert feature.grad is not None
        assert feature.grad.abs().sum() > 0


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"channels"):
        MMTM([])
    with pytest.raises(ValueError, match="between 1 and 4"):
        MMTM([2, 2], reduction=5)
    with pytest.raises(ValueError, match=r"\(4, 2\), got \(4, 3\)"):
        MMTM([4, 2])([torch.zeros(1, 4), torch.zeros(1, 3)])

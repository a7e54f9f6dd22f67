"""MSAF, multimodal split attention fusion (Su, Hu, Li, Cao, arXiv 2012.07175, section 3).

A module that can be put between the layers of several networks, one per modality: features in,
features of the same shapes out, re-weighted by one attention over the channel blocks of all of
them. Thread: whoever calls the network. Shape letters used in this file:

    B  batch                       C_m  channels of modality m
    M  modalities                  c    channels of a block (`block_channels`)
    S  time segments               N_m  blocks of modality m, ceil(C_m / c)
    T  time steps                  N    blocks of all modalities, the sum of N_m
                                   d    channels of the joint feature, c / r (`reduction`)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.config import MSAFConfig

__all__ = ["MSAF", "MSAFConfig", "MSAFOutput"]


class MSAFOutput(NamedTuple):
    """What :class:`MSAF` returns."""

    features: list[Tensor]  # per modality, shape and dtype as they came in
    attention: Tensor  # (B, S, N, c), what the blocks were multiplied by; 0 where absent


class MSAF(nn.Module):
    r"""Split attention over the channel blocks of several modalities.

    Modality m is padded with zero channels to N_m blocks of c channels. With
    :math:`\bar b_{mi}` the average of block i over all space and time,

    .. math::
        z &= \mathrm{ReLU}(\mathrm{BN}(W_z \textstyle\sum_{m,i} \bar b_{mi} + w_z))
            && (B, d) \\
        a_{mi} &= \mathrm{softmax}_{mi}(W_{mi} z + w_{mi})
            && (B, c), \text{over all N blocks, for each channel} \\
        \hat b_{mi} &= (L + (1 - L)\, a_{mi}) \odot b_{mi}

    (the paper's split, join and highlight). In training, whole blocks are dropped first with
    probability p, drawn once for all modalities of a sample, and the others scaled by 1 / (1 - p)
    (the paper's BlockDropout). With S > 1 time, the dimension after the channels, is cut into S
    equal segments, the remainder going to the last, each with weights of its own.

    As padded channels are zero and cut off again, features are never really padded: only their
    averages are. The N matrices :math:`W_{mi}` are the rows of a single one.

    At the start :math:`a_{mi}` is about 1 / N, so features come out shrunken, which branches that
    were trained before do not expect. With `identity_start` all :math:`W_{mi}` and :math:`w_{mi}`
    begin at zero and what comes out is multiplied by the fixed 1 / (L + (1 - L) / N): where all
    modalities are there, exactly what went in. The attention that is returned is without it.
    """

    def __init__(self, config: MSAFConfig) -> None:
        super().__init__()
        self.config = config
        self.segments = nn.ModuleList(_Segment(config) for _ in range(config.segments))
        self._counts = list(config.block_counts)
        if config.identity_start:
            for segment in self.segments:
                for parameter in segment.get_submodule("excite").parameters():
                    nn.init.zeros_(parameter)

    def forward(self, features: Sequence[Tensor], present: Tensor | None = None) -> MSAFOutput:
        """Fuse one feature per modality.

        Parameters
        ----------
        features
            Per modality (B, C_m, ...): any further dimensions, time first where S > 1; they need
            not agree between modalities. The sequence and its tensors are left as they are.
        present
            (B, M) bool, which modality each sample has; None means all. An absent modality takes
            no attention, adds nothing to the joint feature and comes out as zeros, whatever its
            tensor holds (NaN included).

        Raises
        ------
        ValueError
            A shape does not fit, or a sample has no modality at all. The latter is not checked
            in a compiled or exported network, whose answer for such a sample is NaN.
        """
        if not torch.jit.is_tracing():  # type: ignore[no-untyped-call, attr-defined]
            self._check(features, present)
        if present is not None:
            features = [
                torch.where(_broadcast(present[:, m], feature), feature, 0.0)
                for m, feature in enumerate(features)
            ]
        averages = [self._average(*each) for each in zip(features, self._counts, strict=True)]
        blocks = torch.cat(averages, dim=2)  # (B, S, N, c)
        gate = self._gate(blocks)
        joint = (blocks if gate is None else blocks * gate).sum(dim=2)  # (B, S, c)
        logits = _stack(
            [segment(each) for segment, each in zip(self.segments, joint.unbind(1), strict=True)]
        )
        attention = self._attend(logits.to(blocks).reshape(blocks.shape), present)
        weights = attention if gate is None else attention * gate
        fused = [
            feature * self._spread(weight, feature)
            for feature, weight in zip(
                features, torch.split(weights, self._counts, dim=2), strict=True
            )
        ]
        if self.config.identity_start:
            fused = [feature * self.config.gain for feature in fused]
        return MSAFOutput(fused, attention)

    def _average(self, feature: Tensor, count: int) -> Tensor:
        """(B, C_m, ...) → averages of its `count` blocks over time and space (B, S, N_m, c)."""
        config = self.config
        dtype = cast(_Segment, self.segments[0]).norm.weight.dtype
        averages = _means(feature, config.segments, dtype)
        if padding := -feature.shape[1] % config.block_channels:
            averages = functional.pad(averages, (0, padding))  # (B, S, N_m · c)
        return averages.reshape(averages.shape[0], config.segments, count, config.block_channels)

    def _gate(self, blocks: Tensor) -> Tensor | None:
        """Block dropout: (B, S, N, 1), 0 or 1 / (1 - p); None where nothing is dropped."""
        dropout = self.config.block_dropout
        if not self.training or dropout == 0.0:
            return None
        kept = torch.rand_like(blocks[..., :1]) >= dropout
        return kept.to(blocks) / (1.0 - dropout)

    def _attend(self, logits: Tensor, present: Tensor | None) -> Tensor:
        """(B, S, N, c) → softmax over the blocks that are there, raised to L; 0 for the others."""
        if present is None:
            return self._raise(torch.softmax(logits, dim=2))
        there = torch.cat(
            [present[:, m : m + 1].expand(-1, count) for m, count in enumerate(self._counts)], dim=1
        )[:, None, :, None]  # (B, 1, N, 1)
        return self._raise(torch.softmax(logits.masked_fill(~there, -torch.inf), dim=2)) * there

    def _raise(self, attention: Tensor) -> Tensor:
        lowest = self.config.lowest_attention
        return attention if lowest == 0.0 else lowest + (1.0 - lowest) * attention

    def _spread(self, weight: Tensor, feature: Tensor) -> Tensor:
        """(B, S, N_m, c) → (B, C_m, T or 1, 1, ...), to be multiplied with the feature."""
        weight = weight.flatten(2)[..., : feature.shape[1]].to(feature)  # (B, S, C_m)
        if self.config.segments > 1:
            segment = _segment_of(feature.shape[2], self.config.segments, feature.device)
            return _broadcast(weight.index_select(1, segment).transpose(1, 2), feature)
        return _broadcast(weight[:, 0], feature)

    def _check(self, features: Sequence[Tensor], present: Tensor | None) -> None:
        config = self.config
        if len(features) != len(config.channels):
            raise ValueError(f"expected {len(config.channels)} modalities, got {len(features)}")
        batch = features[0].shape[0]
        for m, (feature, channels) in enumerate(zip(features, config.channels, strict=True)):
            if feature.dim() < 2 or feature.shape[1] != channels:
                raise ValueError(
                    f"modality {m}: expected (batch, {channels}, ...), got {tuple(feature.shape)}"
                )
            if feature.shape[0] != batch:
                raise ValueError(
                    f"modality {m}: batch of {feature.shape[0]}, but modality 0 has {batch}"
                )
            if any(size == 0 for size in feature.shape[2:]):
                raise ValueError(f"modality {m}: nothing to average in {tuple(feature.shape)}")
            if config.segments > 1:
                steps = feature.shape[2] if feature.dim() > 2 else 0
                if steps < config.segments:
                    raise ValueError(
                        f"modality {m}: {steps} time steps cannot fill {config.segments} segments"
                    )
        if present is None:
            return
        if present.shape != (batch, len(features)) or present.dtype != torch.bool:
            raise ValueError(
                f"present must be bool ({batch}, {len(features)}), "
                f"got {present.dtype} {tuple(present.shape)}"
            )
        if not torch.compiler.is_compiling() and not bool(present.any(dim=1).all()):
            missing = (~present.any(dim=1)).nonzero().flatten().tolist()
            raise ValueError(f"no modality is present in samples {missing} of {batch}")


class _Segment(nn.Module):
    """What one time segment has of its own: joint feature, and logits for every block."""

    def __init__(self, config: MSAFConfig) -> None:
        super().__init__()
        reduced = config.block_channels // config.reduction
        self.squeeze = nn.Linear(config.block_channels, reduced)
        self.norm = _BatchNorm(reduced)
        self.excite = nn.Linear(reduced, sum(config.block_counts) * config.block_channels)

    def forward(self, joint: Tensor) -> Tensor:
        """Sum of all blocks (B, c) → (B, N * c)."""
        logits: Tensor = self.excite(torch.relu(self.norm(self.squeeze(joint))))
        return logits


class _BatchNorm(nn.BatchNorm1d):
    """Batch norm that takes a batch of one in training.

    One value has no variance: it is normalised by the running statistics, as in evaluation, and
    leaves them as they are.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that torch gives it
        if self.training and input.shape[0] == 1:
            return functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


def _segment_of(steps: int, count: int, device: torch.device) -> Tensor:
    """(T,) segment of each step: `count` equally long ones, the remainder belongs to the last."""
    step = torch.arange(steps, device=device)
    return torch.div(step, steps // count, rounding_mode="floor").clamp(max=count - 1)


def _stack(segments: Sequence[Tensor]) -> Tensor:
    """S times (B, n) → (B, S, n)."""
    return segments[0].unsqueeze(1) if len(segments) == 1 else torch.stack(tuple(segments), dim=1)


def _means(feature: Tensor, segments: int, dtype: torch.dtype) -> Tensor:
    """(B, C, ...) → averages of each segment over time and space, (B, S, C)."""
    if segments == 1:
        return _mean(feature, 2, dtype).unsqueeze(1)
    # One matrix product for all segments; cut into pieces, time could not be free in an export.
    index = _segment_of(feature.shape[2], segments, feature.device)
    member = (index[:, None] == torch.arange(segments, device=feature.device)).to(dtype)  # (T, S)
    return (_mean(feature, 3, dtype) @ (member / member.sum(dim=0))).transpose(1, 2)


def _mean(feature: Tensor, first: int, dtype: torch.dtype) -> Tensor:
    """Average over dimension number `first` and all behind it."""
    dims = tuple(range(first, feature.dim()))
    if not dims:
        return feature.to(dtype)
    if not (torch.is_grad_enabled() and feature.requires_grad):
        return feature.mean(dim=dims, dtype=dtype)
    # The gradient of mean is written out in the size of the feature, that of sum is a view. A sum
    # of half precision's numbers may be larger than the largest of them.
    total = feature.sum(dim=dims, dtype=torch.promote_types(dtype, torch.float32))
    return (total / math.prod(feature.shape[first:])).to(dtype)


def _broadcast(value: Tensor, feature: Tensor) -> Tensor:
    """Append dimensions of one, so that `value` multiplies `feature` from the left."""
    return value.reshape(value.shape + (1,) * (feature.dim() - value.dim()))

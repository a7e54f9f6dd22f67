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
from collections.abc import MutableMapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.attention import ModalityShare, MSAFConfig, modality_share

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
    averages are. The N matrices :math:`W_{mi}` are the rows of a single one, and those of the S
    segments lie below each other. Averages are over all steps that a tensor has: where sequences of
    several lengths are padded to one, the padding takes part.

    Everything up to the attention is computed in the precision of the weights, also under autocast.

    At the start :math:`a_{mi}` is about 1 / N, so features come out shrunken, which branches that
    were trained before do not expect. With `identity_start` all :math:`W_{mi}` and :math:`w_{mi}`
    begin at zero and what comes out is multiplied by the fixed 1 / (L + (1 - L) / N): where all
    modalities are there, exactly what went in. The attention that is returned is without it.
    """

    def __init__(self, config: MSAFConfig) -> None:
        super().__init__()
        self.config = config
        # A list of one: `segments.0` is what files of weights call it.
        self.segments = nn.ModuleList([_Segments(config)])
        self._counts = list(config.block_counts)
        self.register_load_state_dict_pre_hook(_load_joined)  # type: ignore[no-untyped-call]

    def forward(self, features: Sequence[Tensor], present: Tensor | None = None) -> MSAFOutput:
        """Fuse one feature per modality.

        Parameters
        ----------
        features
            A list, per modality (B, C_m, ...): any further dimensions, time first where S > 1; they
            need not agree between modalities. The list and its tensors are left as they are.
        present
            (B, M) bool, which modality each sample has; None means all. An absent modality takes
            no attention, adds nothing to the joint feature and comes out as zeros, whatever its
            tensor holds (NaN included); one that no sample has may have no steps at all.

        Raises
        ------
        TypeError
            Not a list of floating-point tensors, or `present` is no tensor.
        ValueError
            A shape does not fit, or a sample has no modality at all. The latter is checked where
            `present` is on the CPU, from where it is brought to the features' device: elsewhere
            the look would wait for the device. Not checked, the answer for such a sample is NaN,
            as it is in a compiled or exported network.
        """
        unused: list[int] = []
        if not is_traced():
            unused = self._check(features, present)
        given, device = features, features[0].device
        if present is not None and present.device != device:
            present = present.to(device, non_blocking=True)
        if unused:  # of no sample, and too short to be averaged
            features = [
                each.new_zeros(*each.shape[:2], self.config.segments) if m in unused else each
                for m, each in enumerate(features)
            ]
        # In half precision the sum of many blocks overflows. (Torch knows no autocast of "meta".)
        if device.type != "meta" and torch.is_autocast_enabled(device.type):
            with torch.autocast(device.type, enabled=False):
                fused, attention = self._fuse(features, present)
        else:
            fused, attention = self._fuse(features, present)
        for m in unused:
            fused[m] = torch.zeros_like(given[m])
        return MSAFOutput(fused, attention)

    def share(self, attention: Tensor) -> ModalityShare:
        """How much each modality counted, from the attention that `forward` returned.

        (..., N, c) → `share` and `chance`, both (..., M) of numpy: the part of the attention that
        each modality took, and the part that its number of channels would have given it.
        """
        return modality_share(
            attention.detach().float().cpu().numpy(),
            self.config.block_counts,
            lowest_attention=self.config.lowest_attention,
            channels=self.config.channels,
        )

    def extra_repr(self) -> str:
        """What `print` tells besides the layers."""
        return ", ".join(
            f"{each.name}={getattr(self.config, each.name)}" for each in fields(self.config)
        )

    @property
    def _segments(self) -> _Segments:
        (module,) = self.segments
        assert isinstance(module, _Segments)
        return module

    def _fuse(
        self, features: Sequence[Tensor], present: Tensor | None
    ) -> tuple[list[Tensor], Tensor]:
        if present is not None:
            features = [
                torch.where(_broadcast(present[:, m], feature), feature, 0.0)
                for m, feature in enumerate(features)
            ]
        members = self._members(features)
        averages = [
            self._average(*each) for each in zip(features, members, self._counts, strict=True)
        ]
        blocks = torch.cat(averages, dim=2)  # (B, S, N, c)
        gate = self._gate(blocks)
        joint = (blocks if gate is None else blocks * gate).sum(dim=2)  # (B, S, c)
        logits = self._segments(joint)
        attention = self._attend(logits.to(blocks).reshape(blocks.shape), present)
        weights = attention if gate is None else attention * gate
        fused = [
            feature * self._spread(weight, feature, member)
            for weight, feature, member in zip(
                torch.split(weights, self._counts, dim=2), features, members, strict=True
            )
        ]
        if self.config.identity_start:
            fused = [feature * self.config.gain for feature in fused]
        return fused, attention

    def _members(self, features: Sequence[Tensor]) -> list[Tensor | None]:
        """Per modality (T, S), 1 where a step is in a segment; None where there is one segment."""
        count = self.config.segments
        if count == 1:
            return [None] * len(features)
        dtype = self._segments.norm.weight.dtype
        if is_traced() or torch.compiler.is_compiling():  # lengths may be free: not to be compared
            return [_member(each.shape[2], count, each.device, dtype) for each in features]
        made: dict[int, Tensor] = {}
        for each in features:
            if (steps := each.shape[2]) not in made:
                made[steps] = _member(steps, count, each.device, dtype)
        return [made[each.shape[2]] for each in features]

    def _average(self, feature: Tensor, member: Tensor | None, count: int) -> Tensor:
        """(B, C_m, ...) → averages of its `count` blocks over time and space (B, S, N_m, c)."""
        config = self.config
        averages = _means(feature, member, self._segments.norm.weight.dtype)
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

    def _spread(self, weight: Tensor, feature: Tensor, member: Tensor | None) -> Tensor:
        """(B, S, N_m, c) → (B, C_m, T or 1, 1, ...), to be multiplied with the feature."""
        weight = weight.flatten(2)[..., : feature.shape[1]]  # (B, S, C_m)
        if member is None:
            return _broadcast(weight.to(feature)[:, 0], feature)
        return _broadcast((member @ weight).to(feature).transpose(1, 2), feature)

    def _check(self, features: Sequence[Tensor], present: Tensor | None) -> list[int]:
        """The modalities that are too short to be averaged, which no sample has."""
        config = self.config
        if not isinstance(features, Sequence):
            raise TypeError(
                "give a list, one tensor per modality in the order of `channels`, "
                f"not a {type(features).__name__}"
            )
        if len(features) != len(config.channels):
            raise ValueError(f"expected {len(config.channels)} modalities, got {len(features)}")
        for m, feature in enumerate(features):
            if not isinstance(feature, Tensor):
                raise TypeError(
                    f"modality {m}: expected a tensor, got {type(feature).__name__}; of a modality "
                    "that is absent give a tensor of its shape, and say in `present` that it is"
                )
            if not feature.is_floating_point():
                raise TypeError(
                    f"modality {m}: expected floating-point features, got {feature.dtype}"
                )
        batch = features[0].shape[0] if features[0].dim() else 0
        for m, (feature, channels) in enumerate(zip(features, config.channels, strict=True)):
            if feature.dim() < 2 or feature.shape[1] != channels:
                raise ValueError(
                    f"modality {m}: expected (batch, {channels}, ...), got {tuple(feature.shape)}"
                )
            if feature.shape[0] != batch:
                raise ValueError(
                    f"modality {m}: batch of {feature.shape[0]}, but modality 0 has {batch}"
                )
        if present is not None:
            self._check_present(present, batch)
        unused = []
        for m, feature in enumerate(features):
            if (why := self._too_short(feature)) is None:
                continue
            if present is None or torch.compiler.is_compiling() or bool(present[:, m].any()):
                raise ValueError(f"modality {m}: {why}")
            unused.append(m)
        return unused

    def _too_short(self, feature: Tensor) -> str | None:
        if any(size == 0 for size in feature.shape[2:]):
            return f"nothing to average in {tuple(feature.shape)}"
        if (count := self.config.segments) > 1:
            steps = feature.shape[2] if feature.dim() > 2 else 0
            if steps < count:
                return f"{steps} time steps cannot fill {count} segments"
        return None

    def _check_present(self, present: Tensor, batch: int) -> None:
        shape = (batch, len(self.config.channels))
        if not isinstance(present, Tensor):
            raise TypeError(
                f"present must be a bool tensor {shape}, not a {type(present).__name__}"
            )
        if present.shape != shape or present.dtype != torch.bool:
            raise ValueError(
                f"present must be bool {shape}, got {present.dtype} {tuple(present.shape)}"
            )
        if torch.compiler.is_compiling() or present.device.type != "cpu":
            return
        there = present.any(dim=1)
        if not bool(there.all()):
            missing = (~there).nonzero().flatten().tolist()
            raise ValueError(f"no modality is present in samples {missing} of {batch}")


class _Segments(nn.Module):
    """What each time segment has of its own: joint feature, and logits for every block.

    The rows of the S segments lie below each other in one layer.
    """

    def __init__(self, config: MSAFConfig) -> None:
        super().__init__()
        self.count, width = config.segments, config.block_channels
        reduced = width // config.reduction
        self.squeeze = nn.Linear(width, self.count * reduced)
        self.norm = _BatchNorm(self.count * reduced)
        kind = _ZeroLinear if config.identity_start else nn.Linear
        self.excite = kind(reduced, self.count * sum(config.block_counts) * width)

    def forward(self, joint: Tensor) -> Tensor:
        """Sums of all blocks (B, S, c) → (B, S, N * c)."""
        if self.count == 1:
            logits: Tensor = self.excite(torch.relu(self.norm(self.squeeze(joint[:, 0]))))
            return logits.unsqueeze(1)
        squeezed = _of_each(self.squeeze, joint).flatten(1)  # (B, S · d)
        z = torch.relu(self.norm(squeezed))
        return _of_each(self.excite, z.reshape(*joint.shape[:2], self.excite.in_features))


def _of_each(layer: nn.Linear, x: Tensor) -> Tensor:
    """(B, S, n) → (B, S, k), with k rows of the layer for each segment."""
    weight = layer.weight.reshape(x.shape[1], -1, x.shape[2])  # (S, k, n)
    bias = layer.bias.reshape(x.shape[1], 1, -1)
    return torch.baddbmm(bias, x.transpose(0, 1), weight.transpose(1, 2)).transpose(0, 1)


def join_segments(state: MutableMapping[str, Tensor], prefix: str) -> None:
    """Put weights that each segment has under a name of its own below each other.

    So they stand in files of the public reference, and in those of ours from before.

    Raises
    ------
    ValueError
        Segments differ in more than their height.
    """
    parts: dict[str, dict[int, Tensor]] = {}
    for name in [each for each in state if each.startswith(f"{prefix}segments.")]:
        index, part = name.removeprefix(f"{prefix}segments.").split(".", 1)
        if index.isdecimal():
            parts.setdefault(part, {})[int(index)] = state.pop(name)
    for part, pieces in parts.items():
        tensors = [pieces[index] for index in sorted(pieces)]
        if part.endswith("num_batches_tracked"):  # the same in all
            tensors = tensors[:1]
        try:
            joined = tensors[0] if len(tensors) == 1 else torch.cat(tensors)
        except RuntimeError:
            raise ValueError(
                f"the segments of {prefix}segments.….{part} do not go together: they are "
                f"{', '.join(dict.fromkeys(str(tuple(each.shape)) for each in tensors))}"
            ) from None
        state[f"{prefix}segments.0.{part}"] = joined


def _load_joined(_module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    if any(name.startswith(f"{prefix}segments.1.") for name in state):
        join_segments(state, prefix)


class _ZeroLinear(nn.Linear):
    """A linear layer that begins at zero, also where it is begun anew (`to_empty`, FSDP)."""

    def reset_parameters(self) -> None:
        super().reset_parameters()  # which draws as another layer would: what follows is the same
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


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


def is_traced() -> bool:
    """Whether a graph is being recorded for export, in which sizes may not be compared."""
    return torch.jit.is_tracing()  # type: ignore[no-untyped-call, attr-defined, no-any-return]


def _member(steps: int, count: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(T, S): 1 where a step is in a segment.

    The segments are equally long, the remainder belongs to the last.
    """
    step = torch.arange(steps, device=device)
    of = torch.div(step, steps // count, rounding_mode="floor").clamp(max=count - 1)
    return (of[:, None] == torch.arange(count, device=device)).to(dtype)


def _means(feature: Tensor, member: Tensor | None, dtype: torch.dtype) -> Tensor:
    """(B, C, ...) → averages of each segment over time and space, (B, S, C)."""
    if member is None:
        return _mean(feature, 2, dtype).unsqueeze(1)
    # One matrix product for all segments; cut into pieces, time could not be free in an export.
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

"""MSAF with the faults of the public reference (models/paper/faults.py). Thread: the caller's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.msaf import MSAF, MSAFConfig, MSAFOutput
from models.paper.faults import IN_MSAF, Fault, checked_faults


def fusion(config: MSAFConfig, faults: Iterable[str] = ()) -> MSAF:
    """MSAF as the paper has it, or with those of the faults that are the module's own."""
    own = [fault for fault in faults if fault in IN_MSAF]
    return ReferenceMSAF(config, own) if own else MSAF(config)


class ReferenceMSAF(MSAF):
    """MSAF step by step as the public reference computes it, with the faults that are named.

    Without any it gives what MSAF gives. It has MSAF's weights under the same names, is slower,
    and knows no absent modality.
    """

    def __init__(self, config: MSAFConfig, faults: Iterable[str]) -> None:
        super().__init__(config)
        self.faults = checked_faults(faults, IN_MSAF)

    def forward(self, features: Sequence[Tensor], present: Tensor | None = None) -> MSAFOutput:
        """As :meth:`MSAF.forward`, for all modalities present.

        Raises
        ------
        ValueError
            A shape does not fit, `present` is given, or BATCH_OF_ONE is met in training.
        RuntimeError
            Torch's own, where CHANNEL_PADDING or LOST_STEPS end in shapes that do not fit.
        """
        if present is not None:
            raise ValueError("the public reference knows no absent modality: leave `present` out")
        if Fault.LOST_STEPS not in self.faults:
            self._check(features, present)
        cut = [self._cut(feature) for feature in features]
        pieces = [
            self._fuse(segment, [spans[index] for spans in cut])
            for index, segment in enumerate(self.segments)
        ]
        attention = torch.stack([attention for _, attention in pieces], dim=1)
        if self.config.segments == 1:
            joined = pieces[0][0]
        else:
            spans = zip(*(fused for fused, _ in pieces), strict=True)
            joined = [torch.cat(each, dim=2) for each in spans]
        return MSAFOutput([each * self.config.gain for each in joined], attention)

    def _cut(self, feature: Tensor) -> list[Tensor]:
        count = self.config.segments
        if count == 1:
            return [feature]
        length = feature.shape[2] // count
        spans = list(torch.split(feature, length, dim=2))
        rest = -2 if Fault.LOST_STEPS in self.faults else count - 1
        if len(spans) > count:
            spans[rest] = torch.cat(spans[rest:], dim=2)
        return spans[:count]

    def _fuse(self, segment: nn.Module, spans: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """One segment of every modality → the same re-weighted, attention (B, N, c)."""
        config = self.config
        counts = list(config.block_counts)
        blocks = [self._blocks(span, count) for span, count in zip(spans, counts, strict=True)]
        masks: list[Tensor] | None = None
        if self.training and config.block_dropout > 0.0:
            kept = torch.rand(len(spans[0]), sum(counts), 1, device=spans[0].device)
            mask = (kept >= config.block_dropout) / (1.0 - config.block_dropout)
            masks = [
                each.reshape(each.shape + (1,) * (block.dim() - 3))
                for each, block in zip(torch.split(mask, counts, dim=1), blocks, strict=True)
            ]
            blocks = [block * each for block, each in zip(blocks, masks, strict=True)]

        sums = [block.sum(dim=1) for block in blocks]  # (B, c, ...)
        joint = torch.stack([each.flatten(2).mean(2) if each.dim() > 2 else each for each in sums])
        z = segment.get_submodule("squeeze")(joint.sum(dim=0))
        norm = segment.get_submodule("norm")
        strict = Fault.BATCH_OF_ONE in self.faults
        z = torch.relu(nn.BatchNorm1d.forward(norm, z) if strict else norm(z))  # type: ignore[arg-type]
        logits = segment.get_submodule("excite")(z).unflatten(1, (-1, config.block_channels))
        attention = self._raise(torch.softmax(logits, dim=1))  # (B, N, c)

        if masks is not None and Fault.DOUBLE_DROPOUT in self.faults:
            blocks = [block * mask for block, mask in zip(blocks, masks, strict=True)]
        weights = torch.split(attention, counts, dim=1)
        fused = []
        for block, weight, span in zip(blocks, weights, spans, strict=True):
            raised = block * weight.reshape(weight.shape + (1,) * (block.dim() - 3))
            if Fault.CHANNEL_PADDING in self.faults:
                fused.append(raised.reshape(span.shape))
            else:
                fused.append(raised.flatten(1, 2)[:, : span.shape[1]])
        return fused, attention

    def _blocks(self, span: Tensor, count: int) -> Tensor:
        """(B, C_m, ...) → (B, N_m, c, ...)."""
        width, channels = self.config.block_channels, span.shape[1]
        if Fault.CHANNEL_PADDING in self.faults:
            padded = functional.pad(span, (0, channels % width))
        else:
            padded = functional.pad(span, (0, 0) * (span.dim() - 2) + (0, -channels % width))
        return padded.reshape(span.shape[0], count, width, *padded.shape[2:])

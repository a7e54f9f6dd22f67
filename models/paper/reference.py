"""MSAF with the faults of the public reference (models/paper/faults.py). Thread: the caller's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
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
        if Fault.BATCH_OF_ONE in self.faults and self.training and len(features[0]) == 1:
            raise ValueError("Expected more than 1 value per channel when training, got one sample")
        config, counts = self.config, list(self.config.block_counts)
        cut = [self._cut(feature) for feature in features]
        pieces = []  # per segment: blocks of each modality, what they are masked with
        joint = []
        for index in range(config.segments):
            blocks = [
                self._blocks(spans[index], count) for spans, count in zip(cut, counts, strict=True)
            ]
            masks = self._masks(blocks)
            blocks = [block * mask for block, mask in zip(blocks, masks, strict=True)]
            sums = [block.sum(dim=1) for block in blocks]  # (B, c, ...)
            means = [each.flatten(2).mean(2) if each.dim() > 2 else each for each in sums]
            joint.append(torch.stack(means).sum(dim=0))
            pieces.append((blocks, masks))
        logits = self.segments[0](torch.stack(joint, dim=1))  # (B, S, N · c)
        attention = self._raise(
            torch.softmax(logits.unflatten(2, (-1, config.block_channels)), dim=2)
        )
        fused = [
            self._highlight(*piece, weights, [spans[index].shape for spans in cut])
            for index, (piece, weights) in enumerate(
                zip(pieces, attention.unbind(dim=1), strict=True)
            )
        ]
        if config.segments == 1:
            joined = fused[0]
        else:
            joined = [torch.cat(spans, dim=2) for spans in zip(*fused, strict=True)]
        return MSAFOutput([each * config.gain for each in joined], attention)

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

    def _masks(self, blocks: list[Tensor]) -> list[Tensor]:
        """Block dropout of one segment, drawn over the blocks of all modalities."""
        if not self.training or self.config.block_dropout == 0.0:
            return [block.new_ones(()) for block in blocks]
        counts, dropout = list(self.config.block_counts), self.config.block_dropout
        kept = torch.rand(len(blocks[0]), sum(counts), 1, device=blocks[0].device)
        mask = (kept >= dropout) / (1.0 - dropout)
        return [
            each.reshape(each.shape + (1,) * (block.dim() - 3))
            for each, block in zip(torch.split(mask, counts, dim=1), blocks, strict=True)
        ]

    def _highlight(
        self,
        blocks: list[Tensor],
        masks: list[Tensor],
        attention: Tensor,
        shapes: list[torch.Size],
    ) -> list[Tensor]:
        """Blocks of one segment, times their attention (B, N, c), side by side again."""
        if Fault.DOUBLE_DROPOUT in self.faults:
            blocks = [block * mask for block, mask in zip(blocks, masks, strict=True)]
        weights = torch.split(attention, list(self.config.block_counts), dim=1)
        fused = []
        for block, weight, shape in zip(blocks, weights, shapes, strict=True):
            raised = block * weight.reshape(weight.shape + (1,) * (block.dim() - 3))
            if Fault.CHANNEL_PADDING in self.faults:
                fused.append(raised.reshape(shape))
            else:
                fused.append(raised.flatten(1, 2)[:, : shape[1]])
        return fused

    def _blocks(self, span: Tensor, count: int) -> Tensor:
        """(B, C_m, ...) → (B, N_m, c, ...)."""
        width, channels = self.config.block_channels, span.shape[1]
        if Fault.CHANNEL_PADDING in self.faults:
            padded = functional.pad(span, (0, channels % width))
        else:
            padded = functional.pad(span, (0, 0) * (span.dim() - 2) + (0, -channels % width))
        return padded.reshape(span.shape[0], count, width, *padded.shape[2:])

"""The networks that are compared: the same branches, joined in five ways at the same places.

A branch is a row of stages; a fusion sits behind each of them. Averaging, MMTM and MSAF end in the
mean of the branches' logits, as the paper's RAVDESS network ends in their sum; concatenation joins
what the branches' heads would see. Shapes: B batch, C channels, K classes, M modalities, T steps of
a sequence whose every step has an answer of its own (a video's utterances).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from models.mmtm import MMTM
from models.msaf import MSAF, MSAFConfig, MSAFOutput

FUSIONS: Final = ("average", "concatenation", "mmtm", "msaf")

JOINT_CHANNELS: Final = 8
"""Numbers of MSAF's joint feature, at least, where blocks are that wide: the paper's places have 4
to 64, of blocks of 16 to 256 channels. Blocks of the study are narrower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """How branches are joined. Fields that a kind does not name have no meaning for it."""

    kind: str = "average"  # one of FUSIONS; a branch alone is the average of one
    learned_weights: bool = False  # average: one weight per branch, learned, from 1 / M on
    hidden: int = 0  # concatenation: width of a layer before the answer; 0 is none
    reduction: int = 4  # mmtm, msaf; 0 (msaf): at most 4, but see JOINT_CHANNELS
    blocks: int = 2  # msaf: blocks of the narrowest modality at each place; all the paper's have 2
    lowest_attention: float = 0.0  # msaf
    block_dropout: float = 0.2  # msaf
    # msaf: begin by changing nothing; concatenation: begin as the average
    identity_start: bool = False
    places: str = "all"  # mmtm, msaf: behind "all" stages, the "first" or the "last"

    def __post_init__(self) -> None:
        if self.kind not in FUSIONS:
            raise ValueError(f"kind must be one of {', '.join(FUSIONS)}, not {self.kind!r}")
        if self.places not in ("all", "first", "last"):
            raise ValueError(f"places must be all, first or last, not {self.places!r}")

    def msaf(self, channels: Sequence[int]) -> MSAFConfig:
        """MSAF behind stages with so many channels per modality."""
        block = max(1, min(channels) // self.blocks)
        fitting = (r for r in (4, 3, 2) if block % r == 0 and block // r >= JOINT_CHANNELS)
        return MSAFConfig(
            channels=tuple(channels),
            block_channels=block,
            reduction=min(self.reduction, block) or next(fitting, 1),
            lowest_attention=self.lowest_attention,
            block_dropout=self.block_dropout,
            identity_start=self.identity_start,
        )


def layout(network: nn.Module) -> list[tuple[object, ...]]:
    """What a network is made of: kinds of its parts, what they drop, and shapes of weights.

    In the same words whatever torch's release, which `str` is not.
    """
    parts = [
        (name, type(part).__name__, getattr(part, "p", None))
        for name, part in network.named_modules()
    ]
    return [*parts, *((name, tuple(each.shape)) for name, each in network.state_dict().items())]


class Branch(nn.Module):
    """The parts of one modality: stages, then a vector, then logits of its own.

    Run by :class:`FusedNetwork`, which alone knows what sits between them.
    """

    def __init__(
        self,
        stages: Sequence[nn.Module],
        channels: Sequence[int],
        *,
        pool: nn.Module | None = None,
        width: int | None = None,
        classes: int,
        dropout: float = 0.0,
    ) -> None:
        """`channels` are those each stage puts out; `pool` makes (B, `width`) of the last."""
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.channels = tuple(channels)
        self.pool = pool or nn.Identity()
        self.width = width or self.channels[-1]
        self.dropout = nn.Dropout(dropout)
        self.head: nn.Module = nn.Linear(self.width, classes)


def _fused(place: nn.Module, features: list[Tensor]) -> list[Tensor]:
    fused: list[Tensor] | MSAFOutput = place(features)
    return fused.features if isinstance(fused, MSAFOutput) else fused


class FusedNetwork(nn.Module):
    """Branches joined by one fusion; (inputs, steps) → logits (B, K) or (B, T, K)."""

    def __init__(self, branches: Sequence[Branch], fusion: Fusion, classes: int) -> None:
        """Branches that were trained before have their weights by now: concatenation takes over
        what their heads know, and with that the heads.
        """
        super().__init__()
        if len({len(branch.stages) for branch in branches}) != 1:
            raise ValueError("all branches must have the same number of stages")
        self.fusion = fusion
        self.branches = nn.ModuleList(branches)
        depths = len(branches[0].stages)
        places = {"all": range(depths), "first": [0], "last": [depths - 1]}[fusion.places]
        self.places = nn.ModuleDict()
        self.joint_channels: tuple[int, ...] = ()  # MSAF's d at each place
        if fusion.kind in ("mmtm", "msaf"):
            for depth in places:
                channels = [branch.channels[depth] for branch in branches]
                if fusion.kind == "mmtm":
                    self.places[str(depth)] = MMTM(channels, fusion.reduction)
                else:
                    config = fusion.msaf(channels)
                    self.places[str(depth)] = MSAF(config)
                    self.joint_channels += (config.block_channels // config.reduction,)
        self.shares = nn.Parameter(
            torch.full((len(branches),), 1.0 / len(branches)), requires_grad=fusion.learned_weights
        )
        if fusion.kind == "concatenation":
            width = sum(branch.width for branch in branches)
            if fusion.identity_start:
                heads = [branch.head for branch in branches]
                self.head: nn.Module = _JoinedHead(heads, fusion.hidden)
            else:
                self.head = _head(width, fusion.hidden, classes)
            for branch in branches:
                branch.head = nn.Identity()

    def forward(self, inputs: Sequence[Tensor], steps: Tensor | None = None) -> Tensor:
        """Inputs of each branch → logits.

        `steps` (B, T) bool tells which steps of a sequence exist. Stages are then given them too,
        features are (B, T, C), and a fusion sees each step as a sample of its own: a vector per
        modality.
        """
        features, known = list(inputs), () if steps is None else (steps,)
        for depth in range(len(self.branches[0].stages)):  # type: ignore[arg-type]
            features = [
                branch.stages[depth](x, *known)  # type: ignore[index, operator]
                for branch, x in zip(self.branches, features, strict=True)
            ]
            if str(depth) in self.places:
                features = _at_each_step(self.places[str(depth)], features, steps)
        vectors = [
            branch.dropout(branch.pool(x))  # type: ignore[operator]
            for branch, x in zip(self.branches, features, strict=True)
        ]
        if self.fusion.kind == "concatenation":
            return self.head(torch.cat(vectors, dim=-1))  # type: ignore[no-any-return]
        logits = [
            branch.head(x)  # type: ignore[operator]
            for branch, x in zip(self.branches, vectors, strict=True)
        ]
        shared: Tensor = sum(
            share * each for share, each in zip(self.shares.unbind(), logits, strict=True)
        )
        return shared


class _JoinedHead(nn.Module):
    """Logits of all vectors together, (B, ..., sum of widths) → (B, ..., K), at first the average.

    The linear layer begins with the weights of the branches' heads side by side, [W_1 / M | W_2 /
    M | ...], so that concatenation keeps them as every other fusion does. A hidden layer stands
    beside it and adds nothing at first: its last weights begin at zero.
    """

    def __init__(self, heads: Sequence[nn.Module], hidden: int) -> None:
        super().__init__()
        linear = [head for head in heads if isinstance(head, nn.Linear)]
        if len(linear) != len(heads):
            raise ValueError("concatenation that begins as the average needs linear heads")
        width, classes = sum(head.in_features for head in linear), linear[0].out_features
        self.linear = nn.Linear(width, classes)
        with torch.no_grad():
            weights = torch.cat([head.weight for head in linear], dim=1)
            self.linear.weight.copy_(weights / len(linear))
            biases = torch.stack([head.bias for head in linear])
            self.linear.bias.copy_(biases.sum(dim=0) / len(linear))
        self.beside = _head(width, hidden, classes) if hidden else None
        if isinstance(self.beside, nn.Sequential):
            for parameter in self.beside[-1].parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(x)
        return logits if self.beside is None else logits + self.beside(x)


def _head(width: int, hidden: int, classes: int) -> nn.Module:
    if not hidden:
        return nn.Linear(width, classes)
    return nn.Sequential(
        nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(0.3), nn.Linear(hidden, classes)
    )


def _at_each_step(place: nn.Module, features: list[Tensor], steps: Tensor | None) -> list[Tensor]:
    """Fuse features; of sequences the steps that exist, one by one."""
    if steps is None:
        return _fused(place, features)
    fused = _fused(place, [feature[steps] for feature in features])
    return [
        torch.zeros_like(feature).masked_scatter(steps.unsqueeze(-1), vectors)
        for feature, vectors in zip(features, fused, strict=True)
    ]

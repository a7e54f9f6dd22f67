"""MSAF without torch: its sizes, and how much each modality counted in its attention.

Numpy only; any thread. models/msaf.py has the module itself and the letters of its shapes.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]  # not from models/arrays.py: this file can be copied by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class MSAFConfig:
    """Sizes of one MSAF module (models/msaf.py has the letters); the defaults are the paper's."""

    channels: tuple[int, ...]  # C_m of each modality
    block_channels: int  # c
    reduction: int = 4  # r
    lowest_attention: float = 0.0  # L: no channel is multiplied by less
    segments: int = 1  # S
    block_dropout: float = 0.2  # p
    identity_start: bool = False  # begin by changing nothing; the paper begins by shrinking

    def __post_init__(self) -> None:
        try:
            channels = tuple(operator.index(each) for each in self.channels)
        except TypeError:
            raise ValueError(
                f"channels must name the width of each modality, as (40, 24), not {self.channels!r}"
            ) from None
        object.__setattr__(self, "channels", channels)
        for name in ("block_channels", "reduction", "segments"):
            try:
                object.__setattr__(self, name, operator.index(getattr(self, name)))
            except TypeError:
                raise ValueError(
                    f"{name} must be a whole number, not {getattr(self, name)!r}"
                ) from None
        if not self.channels or min(self.channels) < 1:
            raise ValueError(f"channels must name one positive width or more, not {self.channels}")
        if self.block_channels < 1 or self.reduction < 1:
            raise ValueError(
                "block_channels and reduction must be positive, "
                f"not {self.block_channels} and {self.reduction}"
            )
        if self.block_channels % self.reduction:
            raise ValueError(
                f"block_channels {self.block_channels} is not a multiple of "
                f"reduction {self.reduction}"
            )
        if not 0.0 <= self.lowest_attention <= 1.0:
            raise ValueError(f"lowest_attention must be in [0, 1], not {self.lowest_attention}")
        if self.segments < 1:
            raise ValueError(f"segments must be 1 or more, not {self.segments}")
        if not 0.0 <= self.block_dropout < 1.0:
            raise ValueError(f"block_dropout must be in [0, 1), not {self.block_dropout}")

    @property
    def block_counts(self) -> tuple[int, ...]:
        """N_m of each modality; the last block of a modality may be partly padding."""
        return tuple(-(-channels // self.block_channels) for channels in self.channels)

    @property
    def gain(self) -> float:
        """What every feature is multiplied by besides: 1, or what undoes an even attention."""
        if not self.identity_start:
            return 1.0
        lowest = self.lowest_attention
        return 1.0 / (lowest + (1.0 - lowest) / sum(self.block_counts))


class ModalityShare(NamedTuple):
    """Shares of the modalities in one answer; each adds up to 1."""

    share: FloatArray  # (..., M) part of the attention that each modality took
    chance: FloatArray  # (..., M) part it would take if all present blocks were alike


def modality_share(
    attention: FloatArray,
    block_counts: Sequence[int],
    *,
    lowest_attention: float,
    channels: Sequence[int] = (),
) -> ModalityShare:
    """Share of the attention per modality, beside what its number of blocks would give by chance.

    :meth:`models.msaf.MSAF.share` knows all that is wanted here.

    Parameters
    ----------
    attention
        (..., N, c) as :class:`models.msaf.MSAF` returns it; blocks of absent modalities are 0.
    block_counts
        Blocks of each modality; they add up to N.
    lowest_attention
        L of that MSAF. It is taken off again, since every block gets it whatever it holds.
    channels
        Widths of the modalities, where one does not divide into blocks: what the last block's
        padding gets is nobody's. Without them all blocks are full.

    Raises
    ------
    ValueError
        The block counts do not add up to N, or the widths do not fill them.
    """
    blocks, width = attention.shape[-2:]
    if sum(block_counts) != blocks:
        raise ValueError(f"block counts {tuple(block_counts)} do not add up to {blocks} blocks")
    starts = np.cumsum((0, *block_counts[:-1]))
    real = np.ones((blocks, width), dtype=attention.dtype)  # no padding
    for of, start, count in zip(channels, starts, block_counts, strict=bool(channels)):
        if not (count - 1) * width < of <= count * width:
            raise ValueError(f"{count} blocks of {width} channels are not those of {of} channels")
        real[start + count - 1, of - (count - 1) * width :] = 0.0
    full = real.mean(axis=-1, dtype=np.float64)  # part of each block that is no padding
    per_block = (attention * real).mean(axis=-1, dtype=np.float64)
    above = per_block - lowest_attention * full * (per_block > 0.0)
    share = np.add.reduceat(np.maximum(above, 0.0), starts, axis=-1)
    present = np.add.reduceat(per_block, starts, axis=-1) > 0.0
    chance = present * np.add.reduceat(full, starts)
    return ModalityShare(
        *(
            (part / np.maximum(part.sum(axis=-1, keepdims=True), 1e-12)).astype(np.float32)
            for part in (share, chance)
        )
    )

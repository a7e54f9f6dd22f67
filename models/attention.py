"""Reading MSAF's attention: how much each modality counted. Numpy only; any thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class ModalityShare(NamedTuple):
    """Shares of the modalities in one answer; each adds up to 1."""

    share: NDArray[np.float32]  # (..., M) part of the attention that each modality took
    chance: NDArray[np.float32]  # (..., M) part it would take if all present blocks were alike


def modality_share(
    attention: NDArray[np.float32],
    block_counts: Sequence[int],
    *,
    lowest_attention: float = 0.0,
) -> ModalityShare:
    """Share of the attention per modality, beside what its number of blocks would give by chance.

    Parameters
    ----------
    attention
        (..., N, c) as :class:`models.msaf.MSAF` returns it; blocks of absent modalities are 0.
    block_counts
        Blocks of each modality; they add up to N.
    lowest_attention
        L of that MSAF. It is taken off again, since every block gets it whatever it holds.

    Raises
    ------
    ValueError
        The block counts do not add up to N.
    """
    blocks = attention.shape[-2]
    if sum(block_counts) != blocks:
        raise ValueError(f"block counts {tuple(block_counts)} do not add up to {blocks} blocks")
    starts = np.cumsum((0, *block_counts[:-1]))
    per_block = attention.mean(axis=-1, dtype=np.float64)
    above = per_block - lowest_attention * (per_block > 0.0)
    share = np.add.reduceat(np.maximum(above, 0.0), starts, axis=-1)
    present = np.add.reduceat(per_block, starts, axis=-1) > 0.0
    chance = present * np.asarray(block_counts, dtype=np.float64)
    return ModalityShare(
        *(
            (part / np.maximum(part.sum(axis=-1, keepdims=True), 1e-12)).astype(np.float32)
            for part in (share, chance)
        )
    )

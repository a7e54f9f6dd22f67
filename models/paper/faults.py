"""What the paper's public code does otherwise than the paper, each to be switched on by name.

github.com/anita-hu/MSAF is the authors' own. For weights that were trained with it, and for people
who want its numbers again, a network's settings may name faults; without them all is as the paper
says. Two of its faults are none of a network's: the caller's list is overwritten (here networks
take tensors), and the epoch is chosen on the people that are then scored (a matter of training).
Thread: any.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Fault(StrEnum):
    """One deviation; the value is its name in settings."""

    CHANNEL_PADDING = "channel-padding"
    """Zeros go to the end of the last dimension, C mod c of them, instead of -C mod c to the
    channels: a width that does not divide into blocks cannot be computed."""

    DOUBLE_DROPOUT = "double-dropout"
    """In training the mask of the block dropout, scaled by 1 / (1 - p), multiplies twice what
    goes on: it is scaled by 1 / (1 - p)² in all."""

    LOST_STEPS = "lost-steps"
    """Time is cut into pieces of T // S steps, the last two pieces are joined, and the first S are
    used: what is left behind those is lost (of 9 steps in 5 segments 4 are), and fewer steps than
    segments end in torch's own error."""

    BATCH_OF_ONE = "batch-of-one"
    """A batch of one cannot be trained on: batch norm refuses it."""

    STEM_WITHOUT_RELU = "stem-without-relu"
    """RAVDESS: in the fused network the face branch loses the activation behind its first
    convolution, which it had when it was trained alone."""

    UNUSED_FIRST_FUSION = "unused-first-fusion"
    """NTU RGB+D with ResNet-50: what the first MSAF makes of the colour features is thrown away;
    only the skeletons go on from there."""


IN_MSAF = frozenset(
    {Fault.CHANNEL_PADDING, Fault.DOUBLE_DROPOUT, Fault.LOST_STEPS, Fault.BATCH_OF_ONE}
)
"""Faults of the module itself; the others are one network's."""


def checked_faults(names: Iterable[str], possible: Iterable[Fault]) -> tuple[Fault, ...]:
    """The named faults, in order and each once; ValueError for one that is not possible here."""
    named, known = set(names), sorted(possible)
    if wrong := sorted(named - set(known)):
        raise ValueError(f"no such fault here: {', '.join(wrong)}; there are {', '.join(known)}")
    return tuple(fault for fault in known if fault in named)

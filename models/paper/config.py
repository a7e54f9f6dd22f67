"""Settings of the paper's networks; the defaults are the paper's, or the public reference's.

Plain values, readable without loading torch. Channels and sizes of the branches are fixed; what
can be changed is what another data set or a smaller machine asks for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from models.attention import MSAFConfig
from models.config import PlainConfig, check_positive
from models.paper.faults import IN_MSAF, Fault, checked_faults

RGB_CHANNELS: Final = {"i3d": (832, 1024), "resnet50": (1024, 2048)}
"""NTU RGB+D's colour branches, and their channels at the two depths."""


def check_depths(depths: tuple[int, ...]) -> None:
    """ValueError where a residual network cannot be built of them."""
    if len(depths) != 4 or min(depths) < 1:
        raise ValueError(f"depths must be four numbers of blocks, at least 1 each, not {depths}")


def check_mfcc_steps(steps: int) -> None:
    """ValueError where RAVDESS's voice branch cannot be built for so many."""
    if steps < 12:
        raise ValueError(f"{steps} steps of MFCC are too few, 12 is the least")


def check_skeleton_steps(steps: int) -> None:
    """ValueError where NTU RGB+D's skeleton branch cannot be built for so many."""
    if steps < 16 or steps % 16:
        raise ValueError(f"steps must be a multiple of 16, not {steps}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RavdessConfig(PlainConfig):
    """Face clip and MFCC → emotion (models/paper/ravdess.py)."""

    classes: int = 8  # K
    depths: tuple[int, ...] = (3, 4, 6, 3)  # blocks per stage of the face branch
    coefficients: int = 13  # of the MFCC
    steps: int = 212  # of the MFCC, U
    block_channels: tuple[int, int] = (16, 32)  # c of the two MSAF
    reduction: int = 4  # r
    lowest_attention: float = 0.0  # L
    block_dropout: float = 0.2  # p
    faults: tuple[str, ...] = ()  # names of models.paper.faults.Fault

    def __post_init__(self) -> None:
        check_positive(self, "classes", "coefficients")
        check_depths(self.depths)
        check_mfcc_steps(self.steps)
        _ = self.fusions  # which check what they are made with
        possible = {*IN_MSAF, Fault.STEM_WITHOUT_RELU}
        object.__setattr__(self, "faults", checked_faults(self.faults, possible))

    @property
    def fusions(self) -> tuple[MSAFConfig, MSAFConfig]:
        """The two MSAF, of face and voice."""
        early, late = self.block_channels
        return _msaf(self, early, 1024, 32), _msaf(self, late, 2048, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoseiConfig(PlainConfig):
    """FACET, COVAREP and BERT → sentiment (models/paper/mosei.py)."""

    channels: tuple[int, int, int] = (35, 74, 768)  # of the features: face, voice, words
    hidden: tuple[int, int, int] = (32, 64, 128)  # of the LSTMs
    outputs: int = 1
    block_channels: int = 16  # c
    reduction: int = 2  # r
    segments: int = 5  # S
    lowest_attention: float = 0.0  # L
    block_dropout: float = 0.2  # p
    faults: tuple[str, ...] = ()  # names of models.paper.faults.Fault

    def __post_init__(self) -> None:
        check_positive(self, "outputs", "segments")
        if min(self.channels) < 1:
            raise ValueError(f"channels must be at least 1 each, not {self.channels}")
        _ = self.fusion  # which checks what it is made with
        object.__setattr__(self, "faults", checked_faults(self.faults, IN_MSAF))

    @property
    def fusion(self) -> MSAFConfig:
        """MSAF of face, voice and words."""
        return replace(_msaf(self, self.block_channels, *self.hidden), segments=self.segments)


@dataclass(frozen=True, slots=True, kw_only=True)
class NtuConfig(PlainConfig):
    """Colour clip and skeletons → action (models/paper/ntu.py)."""

    classes: int = 60  # K
    rgb: str = "i3d"  # or "resnet50"
    depths: tuple[int, ...] = (3, 4, 6, 3)  # blocks per stage of the ResNet
    steps: int = 32  # of the skeletons
    rgb_dropout: float = 0.5  # I3D's; ResNet-50 has none
    skeleton_dropout: float = 0.4
    block_channels: tuple[int, int] = (64, 256)  # c of the two MSAF
    reduction: int = 4  # r
    lowest_attention: float = 0.5  # L
    block_dropout: float = 0.0  # p: the reference has none here
    faults: tuple[str, ...] = ()  # names of models.paper.faults.Fault

    def __post_init__(self) -> None:
        check_positive(self, "classes")
        check_depths(self.depths)
        if self.rgb not in RGB_CHANNELS:
            raise ValueError(f"rgb must be {' or '.join(RGB_CHANNELS)}, not {self.rgb!r}")
        check_skeleton_steps(self.steps)
        _ = self.fusions  # which check what they are made with
        possible = set(IN_MSAF)
        if self.rgb == "resnet50":
            possible.add(Fault.UNUSED_FIRST_FUSION)
        object.__setattr__(self, "faults", checked_faults(self.faults, possible))

    @property
    def fusions(self) -> tuple[MSAFConfig, MSAFConfig]:
        """The two MSAF: of colour and both persons, of colour and skeletons."""
        early, late = self.block_channels
        rgb_early, rgb_late = RGB_CHANNELS[self.rgb]
        return _msaf(self, early, rgb_early, 128, 128), _msaf(self, late, rgb_late, 512)


def _msaf(
    config: RavdessConfig | MoseiConfig | NtuConfig, block_channels: int, *channels: int
) -> MSAFConfig:
    return MSAFConfig(
        channels=channels,
        block_channels=block_channels,
        reduction=config.reduction,
        lowest_attention=config.lowest_attention,
        block_dropout=config.block_dropout,
    )

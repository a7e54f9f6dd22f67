"""What the live network is made of and trained for, as plain values.

Apart from the networks themselves, so that the program can read it without loading torch.
Durations are in seconds, rates in Hz.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Self

from models.attention import MSAFConfig
from models.labels import EMOTIONS

FACE: Final = "face"
VOICE: Final = "voice"
MODALITIES: Final = (FACE, VOICE)
"""Order of the modalities in masks, attention and block counts."""

FACE_STRIDE: Final = 16
"""Pixels of the enlarged face crop from one cell of the face map to the next. The trunk's padding
centres a cell on the first of them, not in their middle: cell i on pixel 16 i."""

CONDITIONS: Final = ("both", "face only", "voice only")
"""What may be present; each has a temperature of its own."""


def check_positive(config: object, *names: str) -> None:
    """ValueError where one of these settings is below 1."""
    for name in names:
        if (value := getattr(config, name)) < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")


def check_range(config: object, low: float, high: float, *names: str) -> None:
    """ValueError where one of these settings is below `low` or above `high`, which may be inf."""
    for name in names:
        if not low <= (value := getattr(config, name)) <= high:
            wanted = f"{low} or more" if math.isinf(high) else f"between {low} and {high}"
            raise ValueError(f"{name} must be {wanted}, not {value}")


def check_interval(config: object, low: float, high: float, *names: str) -> None:
    """ValueError where one of these pairs does not rise, or lies outside `low` to `high`."""
    for name in names:
        first, last = getattr(config, name)
        if not low <= first <= last <= high:
            raise ValueError(
                f"{name} must be two numbers between {low} and {high}, the lower one first, not "
                f"{first} and {last}"
            )


class PlainConfig:
    """Settings that can be written down as JSON and read again: what a file of weights carries."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`; ValueError names a setting that does not fit."""
        return cls(**_checked(cls, values))


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceTrunkConfig:
    """The face branch's trunk (models/face.py)."""

    image_size: int = 48  # of the aligned crop, px
    resolution: int = 96  # the crop is enlarged to this before the first convolution, px
    channels: int = 128  # of the feature map

    def __post_init__(self) -> None:
        check_positive(self, "image_size", "resolution", "channels")

    @property
    def map_size(self) -> int:
        """Height and width of the feature map."""
        return -(-self.resolution // FACE_STRIDE)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceEncoderConfig:
    """Sizes of the voice branch's encoder (models/voice.py); the defaults are Whisper tiny's."""

    n_mels: int = 80
    width: int = 384
    layers: int = 4
    heads: int = 6
    max_frames: int = 150  # of 20 ms, before any are averaged, in the longest window, 3 s
    halved_after: int = 0  # number of layers after which frames are averaged in pairs; 0: never
    channels: int = 128  # of the frames that leave the encoder

    def __post_init__(self) -> None:
        check_positive(self, "n_mels", "width", "layers", "heads", "max_frames", "channels")
        if not 0 <= self.halved_after < self.layers:
            raise ValueError(
                f"halved_after must be 0 or more and below the {self.layers} layers, not "
                f"{self.halved_after}"
            )
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide into {self.heads} heads")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveNetConfig(PlainConfig):
    """The live network: two branches, MSAF at two depths, one linear head per modality."""

    face: FaceTrunkConfig = FaceTrunkConfig()
    voice: VoiceEncoderConfig = VoiceEncoderConfig()
    labels: tuple[str, ...] = EMOTIONS
    hidden: int = 64  # of the recurrent layers, per direction
    block_channels: int = 32  # c of both MSAF
    reduction: int = 2  # r
    lowest_attention: float = 0.2  # L; above zero since the branches come pretrained
    block_dropout: float = 0.2  # p
    temperatures: tuple[float, float, float] = (1.0, 1.0, 1.0)  # per condition, logits / T
    window_seconds: float = 3.0
    hop_seconds: float = 0.1
    face_rate: float = 10.0  # face maps per second
    sample_rate: int = 16000
    speaker_prior_windows: float = 5.0  # of speech, before a voice's own is half believed
    speaker_memory_windows: float = 40.0  # and after which what was heard counts 1/e

    def __post_init__(self) -> None:
        if len(self.labels) < 2:
            raise ValueError(f"labels must name two classes or more, not {self.labels}")
        if len(self.temperatures) != len(CONDITIONS) or min(self.temperatures) <= 0.0:
            raise ValueError(f"temperatures must be three positive numbers: {self.temperatures}")
        for name in (
            "hidden",
            "window_seconds",
            "hop_seconds",
            "face_rate",
            "sample_rate",
            "speaker_prior_windows",
            "speaker_memory_windows",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)!r}")
        if self.lowest_attention == 1.0:
            raise ValueError("lowest_attention must be below 1.0, at which no block counts more")
        _ = self.map_fusion, self.sequence_fusion  # which check what they are made with

    @property
    def max_maps(self) -> int:
        """Face maps in a full window."""
        return round(self.window_seconds * self.face_rate)

    @property
    def map_fusion(self) -> MSAFConfig:
        """MSAF where maps meet frames."""
        return self._msaf(self.face.channels, self.voice.channels)

    @property
    def sequence_fusion(self) -> MSAFConfig:
        """MSAF where the sequences meet."""
        return self._msaf(2 * self.hidden, 2 * self.hidden)

    def _msaf(self, *channels: int) -> MSAFConfig:
        return MSAFConfig(
            channels=channels,
            block_channels=self.block_channels,
            reduction=self.reduction,
            lowest_attention=self.lowest_attention,
            block_dropout=self.block_dropout,
        )

    @property
    def map_block_counts(self) -> tuple[int, ...]:
        """Channel blocks of face and voice where maps meet frames."""
        return self.map_fusion.block_counts

    @property
    def sequence_block_counts(self) -> tuple[int, ...]:
        """Channel blocks of face and voice where the sequences meet."""
        return self.sequence_fusion.block_counts

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LiveNetConfig:
        """Inverse of :meth:`to_dict`; ValueError names a setting that does not fit."""
        plain = _checked(cls, values)
        for name, part in (("face", FaceTrunkConfig), ("voice", VoiceEncoderConfig)):
            if name in plain:
                plain[name] = part(**_checked(part, plain[name]))
        return cls(**plain)


def _checked(owner: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for a dataclass, JSON's lists turned into tuples again."""
    unknown = set(values) - {entry.name for entry in fields(owner)}
    if unknown:
        raise ValueError(f"{owner.__name__} has no setting {', '.join(sorted(unknown))}")
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }

"""How a session runs: frozen, checked when built.

Durations are in seconds, rates in Hz; counts are derived.
"""

from __future__ import annotations

from dataclasses import dataclass, field


class ConfigError(ValueError):
    """A setting is out of range; the message names the setting and quotes the value."""


def check_range(owner: object, name: str, low: float, high: float) -> None:
    """Raise ConfigError unless `owner`'s setting `name` lies between `low` and `high`."""
    value = getattr(owner, name)
    if not low <= value <= high:
        raise ConfigError(f"{name} must lie between {low:g} and {high:g}, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothingConfig:
    """How quickly probabilities and the label follow the network."""

    decay_seconds: float = 0.5  # time constant of the exponential average
    switch_margin: float = 0.08  # a new label must lead the old one by this probability …
    switch_seconds: float = 0.25  # … for this long
    switch_at_once: float = 0.15  # … unless it leads by this much
    sure: float = 0.45  # a label appears at this smoothed probability …
    unsure: float = 0.36  # … and disappears below this one

    def __post_init__(self) -> None:
        check_range(self, "decay_seconds", 0.0, 10.0)
        check_range(self, "switch_margin", 0.0, 1.0)
        check_range(self, "switch_seconds", 0.0, 10.0)
        check_range(self, "switch_at_once", self.switch_margin, 1.0)
        check_range(self, "sure", 0.0, 1.0)
        check_range(self, "unsure", 0.0, self.sure)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowConfig:
    """The sliding windows; the worker takes only those that its network was trained on."""

    window_seconds: float = 3.0
    hop_seconds: float = 0.1
    # The pictures of a window end this much before its sound, so that an answer need not wait for
    # the camera's next frame to know that no more belongs to the window.
    picture_lag_seconds: float = 0.04
    stall_seconds: float = 0.5  # a live source silent for this long no longer holds windows up
    sample_rate: int = 16000

    def __post_init__(self) -> None:
        check_range(self, "window_seconds", 0.5, 10.0)
        check_range(self, "hop_seconds", 0.02, self.window_seconds)
        check_range(self, "picture_lag_seconds", 0.0, 1.0)
        check_range(self, "stall_seconds", 0.0, 60.0)
        check_range(self, "sample_rate", 8000, 48000)

    @property
    def kept_seconds(self) -> float:
        """Seconds of sound that are kept: a window, and so much later may it be read."""
        return self.window_seconds + 2.0

    @property
    def window_hops(self) -> int:
        """Hops in one window, which is also the most face maps it can hold."""
        return round(self.window_seconds / self.hop_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """All of it."""

    windows: WindowConfig = field(default_factory=WindowConfig)
    smoothing: SmoothingConfig = field(default_factory=SmoothingConfig)
    history_seconds: float = 60.0  # of predictions kept for the timeline, live

    def __post_init__(self) -> None:
        check_range(self, "history_seconds", 1.0, 3600.0)

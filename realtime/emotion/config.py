"""Settings of the task that ships: frozen, checked when built. Durations are in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from realtime.config import check_range


@dataclass(frozen=True, slots=True, kw_only=True)
class EmotionConfig:
    """When a face or a voice is good enough to count, and whose it is."""

    face_frames: int = 5  # at least this many maps in the window
    face_age_seconds: float = 1.0  # the newest of them no older than this
    dark: float = 0.12  # mean luminance of the face crop below which it is too dark
    # Mean luminance of a picture below which it is no news that nobody is found in it: with a dark
    # room's noise the detector finds all faces of the demo at 0.08, some at 0.055, none at 0.04.
    dark_picture: float = 0.07
    speech_seconds: float = 0.4  # at least this much speech in the window
    speech_age_seconds: float = 1.5  # the newest of it no older than this
    clipped: float = 0.02  # share of speech samples at full scale above which they are distorted
    new_person_seconds: float = 10.0  # a face that comes after so long without one is a stranger's
    adapt: bool = True  # take what is the speaker's own off the voice (models/speaker.py)

    def __post_init__(self) -> None:
        check_range(self, "face_frames", 1, 1000)
        for name in ("face_age_seconds", "speech_seconds", "speech_age_seconds"):
            check_range(self, name, 0.0, 60.0)
        check_range(self, "new_person_seconds", 0.0, 3600.0)
        check_range(self, "dark", 0.0, 1.0)
        check_range(self, "dark_picture", 0.0, 1.0)
        check_range(self, "clipped", 0.0, 1.0)

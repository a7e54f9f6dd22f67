"""All settings of the network that ships.

Thread: any.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from models.alignment import CROP_SIZE
from models.config import LiveNetConfig
from models.labels import EMOTIONS
from models.mel import HOP, MELS, SAMPLE_RATE
from models.training.live.face import FaceStageConfig
from models.training.live.fusion_settings import FusionStageConfig
from models.training.live.voice_settings import VoiceStageConfig
from models.training.settings import check_seed, read_settings
from models.training.whisper import WIDTH as WHISPER_WIDTH


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRecipe:
    """All settings of a training run."""

    seed: int = 0
    network: LiveNetConfig = field(default_factory=LiveNetConfig)
    face: FaceStageConfig = field(default_factory=FaceStageConfig)
    voice: VoiceStageConfig = field(default_factory=VoiceStageConfig)
    fusion: FusionStageConfig = field(default_factory=FusionStageConfig)

    def __post_init__(self) -> None:
        check_seed(self.seed)
        network = self.network
        for name, value, known in (
            ("labels", network.labels, EMOTIONS),
            ("sample_rate", network.sample_rate, SAMPLE_RATE),
            ("face.image_size", network.face.image_size, CROP_SIZE),
            ("voice.n_mels", network.voice.n_mels, MELS),
        ):
            if value != known:
                raise ValueError(f"network.{name} must be {known}, as the data is, not {value}")
        if self.voice.initial == "whisper" and network.voice.width != WHISPER_WIDTH:
            raise ValueError(
                f"network.voice.width must be {WHISPER_WIDTH}, as in Whisper tiny.en, not "
                f"{network.voice.width}; or set voice.initial = 'random'"
            )
        if network.max_maps < 2:
            raise ValueError(
                f"a window of {network.window_seconds} s has fewer than two face maps, of which "
                f"there are {network.face_rate} a second"
            )
        longest = 2 * network.voice.max_frames * HOP / SAMPLE_RATE
        for name, seconds in (
            ("network.window_seconds", network.window_seconds),
            ("voice.window_seconds", self.voice.window_seconds),
            ("fusion.voice_seconds", max(self.fusion.voice_seconds, default=0.0)),
            ("fusion.poor_voice_seconds", max(self.fusion.poor_voice_seconds, default=0.0)),
        ):
            if seconds > longest:
                raise ValueError(
                    f"{name} = {seconds} is longer than what network.voice.max_frames = "
                    f"{network.voice.max_frames} takes, {longest} s"
                )


def load_recipe(path: Path | None = None) -> LiveRecipe:
    """Read a recipe (TOML); without a path, the one the shipped weights were made with.

    Raises
    ------
    RecipeError
        Not readable, no TOML, or a setting that is unknown, of the wrong kind or out of range.
    """
    return read_settings(LiveRecipe, path or Path(__file__).with_name("live.toml"))

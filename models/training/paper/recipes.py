"""Settings of the three tasks; each has a file of its own (ravdess.toml, mosei.toml, ntu.toml)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from models.labels import RAVDESS_EMOTIONS
from models.paper.config import MoseiConfig, NtuConfig, RavdessConfig
from models.paper.faults import IN_MSAF
from models.training.paper.mfcc import MELS
from models.training.paper.mosei import WIDTHS, MoseiPreparation
from models.training.paper.ntu import ACTIONS, SPLITS, NtuPreparation, NtuTaking
from models.training.paper.pictures import PictureAugmentation
from models.training.paper.ravdess import RavdessPreparation
from models.training.settings import check_seed, read_settings

_LEAST_PICTURES: Final = 16  # that I3D takes


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """Training of a branch, or of all with their fusion; Adam, and the mean of the last batch."""

    epochs: int
    batch_size: int  # of all processes together
    learning_rate: float
    weight_decay: float = 0.0
    tenth_after: tuple[int, ...] = ()  # epochs after which the learning rate falls to a tenth
    initial: str = ""  # safetensors file that a branch begins with; "" is at random
    ema_decay: float = 0.0  # of the average of weights that is kept; 0 is the weights themselves
    clip_norm: float = float("inf")  # longest gradient
    autocast: bool = False  # half precision where the hardware has it

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate"):
            if (value := getattr(self, name)) <= 0:
                raise ValueError(f"{name} must be above 0, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RavdessRecipe:
    """Face and voice alone, then both with MSAF, in each fold."""

    seed: int = 1234
    folds: int = 6  # of consecutive actors
    network: RavdessConfig = field(default_factory=RavdessConfig)
    preparation: RavdessPreparation = field(default_factory=RavdessPreparation)
    augmentation: PictureAugmentation = field(default_factory=PictureAugmentation)
    face: StageConfig = StageConfig(epochs=70, batch_size=4, learning_rate=1e-3)
    voice: StageConfig = StageConfig(epochs=70, batch_size=4, learning_rate=1e-3)
    fusion: StageConfig = StageConfig(epochs=70, batch_size=4, learning_rate=1e-3)

    def __post_init__(self) -> None:
        check_seed(self.seed)
        classes, steps = len(RAVDESS_EMOTIONS), self.preparation.steps
        _check_equal("network.classes", self.network.classes, "the data has", classes)
        _check_equal("network.steps", self.network.steps, "[preparation] gives", steps)
        if self.network.coefficients > MELS:
            raise ValueError(
                f"network.coefficients must be at most {MELS}, not {self.network.coefficients}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MoseiRecipe:
    """All three branches and MSAF at once."""

    seed: int = 1234
    standardise: bool = True  # features, by training utterances
    tell_absent: bool = True  # the network knows which modality an utterance lacks
    network: MoseiConfig = field(default_factory=MoseiConfig)
    preparation: MoseiPreparation = field(default_factory=MoseiPreparation)
    fusion: StageConfig = StageConfig(epochs=10, batch_size=16, learning_rate=1e-3)

    def __post_init__(self) -> None:
        check_seed(self.seed)
        _check_equal("network.channels", self.network.channels, "the data has", WIDTHS)
        _check_equal("network.outputs", self.network.outputs, "the data has", 1)
        _check_absent(self.tell_absent, self.network.faults)
        if self.preparation.steps < self.network.segments:
            raise ValueError(
                f"preparation.steps = {self.preparation.steps} cannot fill network.segments = "
                f"{self.network.segments}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class NtuRecipe:
    """Colour and skeletons alone, then both with MSAF."""

    seed: int = 0
    split: str = "cross-subject"
    complete: bool = True  # a sample of which one half is not there is an error
    tell_absent: bool = True  # the network knows when there is no second person
    network: NtuConfig = field(default_factory=NtuConfig)
    preparation: NtuPreparation = field(default_factory=NtuPreparation)
    taking: NtuTaking = field(default_factory=NtuTaking)
    rgb: StageConfig = StageConfig(
        epochs=30, batch_size=8, learning_rate=1e-4, weight_decay=1e-4, tenth_after=(20,)
    )
    skeleton: StageConfig = StageConfig(
        epochs=70, batch_size=64, learning_rate=1e-3, weight_decay=1e-4, tenth_after=(40, 60)
    )
    fusion: StageConfig = StageConfig(
        epochs=70, batch_size=4, learning_rate=1e-4, weight_decay=1e-4, tenth_after=(5, 20)
    )

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.split not in SPLITS:
            raise ValueError(f"split must be {' or '.join(SPLITS)}, not {self.split!r}")
        _check_equal("network.classes", self.network.classes, "the data has", ACTIONS)
        _check_equal("network.steps", self.network.steps, "[taking] gives", self.taking.steps)
        _check_absent(self.tell_absent, self.network.faults)
        if self.network.rgb == "i3d" and self.preparation.pictures < _LEAST_PICTURES:
            raise ValueError(
                f"preparation.pictures must be at least {_LEAST_PICTURES} for I3D, not "
                f"{self.preparation.pictures}"
            )


def _check_equal(name: str, value: object, told: str, there: object) -> None:
    if value != there:
        raise ValueError(f"{name} = {value}, but {told} {there}")


def _check_absent(tell_absent: bool, faults: Iterable[str]) -> None:
    named = sorted(set(faults) & IN_MSAF)
    if tell_absent and named:
        raise ValueError(
            f"network.faults = {', '.join(named)}: the public code's MSAF knows no absent "
            "modality. Set tell_absent = false with it"
        )


PaperRecipe = RavdessRecipe | MoseiRecipe | NtuRecipe

RECIPES: Final[dict[str, type[PaperRecipe]]] = {
    "ravdess": RavdessRecipe,
    "mosei": MoseiRecipe,
    "ntu": NtuRecipe,
}


def load_paper_recipe(task: str, path: Path | None = None) -> PaperRecipe:
    """Settings of a task from a TOML file; without a path, those that come with the project.

    Raises
    ------
    RecipeError
        Not readable, no TOML, or a setting that is unknown, of the wrong kind or out of range.
    """
    return read_settings(RECIPES[task], path or Path(__file__).with_name(f"{task}.toml"))

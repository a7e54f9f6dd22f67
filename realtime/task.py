"""What the live path asks of a task: its modalities, and the network that joins them.

The core (sources, rings, windows, worker, sessions) knows pictures, sound and time. What counts in
them, which features that gives and which network answers is a task's, and a task is a value that
the sessions are given: realtime/emotion/ is the one that ships (docs/adr/0011).
Shapes are without a batch: one window.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from realtime.config import SessionConfig
from realtime.messages import Attention, FloatArray, Prediction, Sighting, Status
from realtime.rings import SampleRing


class Track(StrEnum):
    """What a source delivers, and a modality is taken from."""

    PICTURES = "pictures"
    SOUND = "sound"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Excerpt:
    """What one window holds of one modality; a modality has a class of its own for it."""

    status: Status  # PRESENT: good enough to count
    new_person: bool = False  # since the window before, somebody came who may be another person


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Contribution:
    """What one modality did in one answer."""

    logits: FloatArray  # (n_classes,) of its own head
    share: float  # of the attention, 0..1
    chance_share: float  # what its number of channel blocks alone would give


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Fusion:
    """A network's answer for one window; a task's own says what else its network tells."""

    logits: FloatArray  # (n_classes,) calibrated
    contributions: Mapping[str, Contribution]  # by modality, of those that were present
    attention: tuple[Attention, ...]  # one per depth


ExcerptT = TypeVar("ExcerptT", bound=Excerpt)
FusionT = TypeVar("FusionT", bound=Fusion)


class Modality(ABC, Generic[ExcerptT, FusionT]):
    """One modality of one session: takes input in, says what a window holds of it, encodes that.

    Thread: the worker's, but for `encode`.
    """

    name: ClassVar[str]
    track: ClassVar[Track]

    def see(self, sighting: Sighting) -> None:
        """Take in a picture after the search for the face, in time order."""

    def hear(self, start: float, samples: FloatArray) -> None:
        """Take in sound (n,), the first sample of which is from `start` seconds."""

    @abstractmethod
    def excerpt(self, index: int, flow: Status) -> ExcerptT:
        """What window `index` holds. Windows come in order, and each once.

        `flow` tells of the track: PRESENT, STALLED or NO_SOURCE. Work that is done once and kept
        for the windows to come is done here.
        """

    @abstractmethod
    def encode(self, excerpt: ExcerptT) -> FloatArray | None:
        """Features for the network; None when the modality does not count.

        Depends on nothing but `excerpt`, so that several can be under way. Thread: any.
        """

    @abstractmethod
    def inputs(self, features: FloatArray) -> Mapping[str, FloatArray]:
        """What the network is given of it, by the names of the network's inputs."""

    @abstractmethod
    def explain(
        self, prediction: Prediction, excerpt: ExcerptT, fusion: FusionT | None, shown: int | None
    ) -> Prediction:
        """`prediction` with what there is to show of the modality.

        `fusion` is None when the modality did not count, `shown` (the class that is shown) when
        there is none.
        """

    def learn(self, fusion: FusionT, windows: float) -> None:
        """Adapt to the person from an answer, of whose window the part `windows` is new."""

    def forget_input(self) -> None:
        """Start over with another source; what is known of the person stays."""

    def forget_person(self) -> None:
        """Somebody else may come next."""


class Task(Protocol[FusionT]):
    """Labels, modalities and the network. Thread: any; sessions that follow one another share it.

    The windows are those that the network was trained on.
    """

    @property
    def engine_name(self) -> str:
        """What runs the network, for the status line."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the network's order."""
        ...

    @property
    def window_seconds(self) -> float:
        """Length of a window."""
        ...

    @property
    def hop_seconds(self) -> float:
        """From one window to the next."""
        ...

    @property
    def sample_rate(self) -> int:
        """Of the sound, Hz."""
        ...

    def modalities(
        self, config: SessionConfig, samples: SampleRing
    ) -> Sequence[Modality[Any, FusionT]]:
        """New ones for one session, in the network's order; `samples` is its sound."""
        ...

    def fuse(self, inputs: Mapping[str, FloatArray]) -> FusionT:
        """The answer to what modalities gave; those whose inputs are not there are absent.

        Raises ValueError when all are.
        """
        ...

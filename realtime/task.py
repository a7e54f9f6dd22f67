"""What the live path asks of a task: what to look for in pictures, modalities, and the network.

The core (sources, rings, windows, worker, sessions) knows pictures, sound and time. What counts in
them, which features that gives and which network answers is a task's, and a task is a value that
the sessions are given: realtime/emotion/ is the one that ships (docs/adr/0011).
Shapes are without a batch: one window.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from models.arrays import FloatArray
from realtime.config import WindowConfig
from realtime.messages import Attention, Prediction, Reason, Sighting, Track, VideoPacket
from realtime.rings import SampleRing

Progress = Callable[[float, str], None]
"""Told how far loading is, 0..1, and what it is doing; what it raises breaks the loading off."""


class Watcher(Protocol):
    """Searches pictures for what the task's modalities need, in time order.

    Thread: never two at a time; in replay `look` runs on another one than the rest.
    """

    def look(self, packet: VideoPacket) -> Sighting:
        """What the next picture shows; a watcher may have a kind of sighting of its own."""
        ...

    def reset(self) -> None:
        """Forget what earlier pictures showed (another camera, a pause)."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Where the parts of a task come from; nothing is loaded before it is asked for."""

    labels: Callable[[], tuple[str, ...]]  # as far as they are known before the network is loaded
    modalities: tuple[str, ...]  # names, in the network's order
    about: Callable[[], str]  # its data, figures, limits and terms, for people: Markdown
    watch: Callable[[], Watcher]
    load: Callable[[Progress], Network]  # called on the thread that answers
    # Sound (n,) → Prediction.spectrogram, without which a recording's answers are kept; None where
    # the task shows none.
    spectrogram: Callable[[FloatArray], FloatArray] | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Excerpt:
    """What one window holds of one modality; a modality has a class of its own for it."""

    absent: Reason | None  # why it does not count, None where it does
    new_person: bool = False  # since the window gathered before, maybe another person came


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Contribution:
    """What one modality did in one answer."""

    logits: FloatArray  # (n_classes,) of its own head
    share: float  # of the attention, 0..1
    chance_share: float  # what its number of channel blocks alone would give


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Fusion:
    """A network's answer for one window; a task's own says what else its network tells."""

    logits: FloatArray  # (n_classes,) calibrated, of classes that exclude each other
    contributions: Mapping[str, Contribution]  # by modality, of those that counted
    attention: tuple[Attention, ...]  # one per depth


ExcerptT = TypeVar("ExcerptT", bound=Excerpt)
FusionT = TypeVar("FusionT", bound=Fusion)


class Modality(ABC, Generic[ExcerptT, FusionT]):
    """One modality of one session.

    It works in two phases. Input is taken in and windows are cut out (`see` or `hear`, `prepare`,
    `excerpt`, `forget_input`); some windows later these are answered (`inputs`, `learn`, `show`,
    `forget_person`). How many windows later depends on the machine: the phases may share nothing
    that changes, or answers would depend on it too. Thread: the worker's, but for `encode`.
    """

    name: ClassVar[str]
    track: ClassVar[Track]

    def see(self, sighting: Sighting) -> None:
        """Take in the next picture, where pictures are the modality's track."""

    def hear(self, start: float, samples: FloatArray) -> None:
        """Take in sound (n,) from `start` seconds on, where sound is its track."""

    def prepare(self) -> None:
        """Do what the windows to come will need and what does not change any more.

        Called whenever no window is due; it should not take long. How often that is depends on the
        machine, so that no answer may depend on it.
        """

    def forget_input(self) -> None:
        """Start over with another source; what is known of the person stays."""

    @abstractmethod
    def excerpt(self, index: int, lost: Reason | None) -> ExcerptT:
        """What window `index` holds, whatever has come since then.

        `lost`: why its track does not deliver, NO_SOURCE or STALLED; None where it does.

        Indices rise; a live worker that is late leaves some out. Work that is done once and kept
        for the windows to come is done here or in `prepare`.
        """

    def encode(self, excerpt: ExcerptT) -> ExcerptT:
        """`excerpt` with what takes long to make of it; that may find that it does not count.

        It depends on nothing but `excerpt`, so that several can be under way. Thread: any.
        """
        return excerpt

    @abstractmethod
    def inputs(self, excerpt: ExcerptT) -> Mapping[str, FloatArray]:
        """What the network is given of an excerpt that counts, by names of its own."""

    def learn(self, fusion: FusionT, windows: float) -> None:
        """Adapt to the person after an answer in which this modality counted.

        `windows`: the part of the window no earlier answer covered.
        """

    @abstractmethod
    def show(
        self, prediction: Prediction, excerpt: ExcerptT, fusion: FusionT | None, shown: int | None
    ) -> Prediction:
        """`prediction` with what there is to show of the modality.

        `fusion` is None where it did not count; `shown` is the class that is shown, if any.
        """

    def forget_person(self) -> None:
        """Somebody else may come next."""


class Network(Protocol):
    """Labels, modalities and what joins them. Thread: any; several sessions may share it.

    The windows are those that it was trained on.
    """

    @property
    def engine_name(self) -> str:
        """What runs it, for the status line."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in its order."""
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
        self, windows: WindowConfig, samples: SampleRing
    ) -> Sequence[Modality[Any, Any]]:
        """New ones for one session, in its order; `samples` is the session's sound."""
        ...

    def fuse(self, inputs: Mapping[str, Mapping[str, FloatArray]]) -> Fusion:
        """The answer to what the modalities give, by their names; one that is not there is absent.

        Raises ValueError when all are.
        """
        ...

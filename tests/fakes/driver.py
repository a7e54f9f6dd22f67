"""The whole path in one thread, and answers compared bit by bit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from itertools import chain

import numpy as np

from realtime.clock import Clock
from realtime.config import SessionConfig
from realtime.inbox import MOST_SIGHTINGS, Inbox
from realtime.live_worker import LiveWorker
from realtime.messages import (
    AudioPacket,
    Given,
    Prediction,
    Sound,
    SourceChange,
    Track,
    VideoPacket,
)
from realtime.resampling import SpeechResampler
from realtime.scheduling import ReplayScheduler
from realtime.task import Network, Watcher
from realtime.worker import InferenceWorker

AnyPacket = VideoPacket | AudioPacket
OWN_TIMES = ("inference_seconds", "latency_seconds")  # what the machine took, not what it found


class NotingWorker(InferenceWorker):
    """Notes all that it is given."""

    def __init__(self, *, config: SessionConfig, network: Network) -> None:
        super().__init__(config=config, network=network)
        self.given: list[Given] = []

    def take(self, given: Given) -> Prediction | None:
        self.given.append(given)
        return super().take(given)


class SteppedWorker:
    """A worker on one thread: with a clock it is driven as a live one, else as an analysis does."""

    def __init__(
        self,
        network: Network,
        *,
        config: SessionConfig | None = None,
        clock: Clock | None = None,
        started: float = 0.0,
        most_sightings: int = MOST_SIGHTINGS,
    ) -> None:
        config = config or SessionConfig()
        windows = config.windows
        self.inbox = Inbox(round(windows.kept_seconds * windows.sample_rate), most_sightings)
        self.worker = NotingWorker(config=config, network=network)
        self.scheduler = ReplayScheduler(windows, self.worker.tracks)
        self._live: LiveWorker | None = None
        if clock is not None:
            self._live = LiveWorker(
                self.worker, self.inbox, windows=windows, clock=clock, started=started
            )
        for track in Track:
            self.change_source(track, True)

    @property
    def windows_skipped(self) -> int:
        return 0 if self._live is None else self._live.windows_skipped

    def change_source(self, track: Track, connected: bool) -> None:
        """There is another source from now on, or none."""
        self.inbox.put(SourceChange(track=track, connected=connected))

    def take_in(self) -> None:
        """What comes before a step chooses."""
        if self._live is not None:
            self._live.take_in()
        else:
            for message in self.inbox.take():
                self.worker.take(message)

    def step(self) -> Prediction | None:
        """The answer for the next window, None when none is due."""
        if self._live is not None:
            return self._live.step()
        self.take_in()
        if (choice := self.scheduler.choose()) is not None:
            return self.worker.take(choice)
        self.worker.prepare()
        return None

    def answers(self) -> list[Prediction]:
        """Answers for all windows that are due."""
        found = []
        while (prediction := self.step()) is not None:
            found.append(prediction)
        return found


class SteppedDriver(SteppedWorker):
    """Packets in, answers out, each when the test says so."""

    def __init__(
        self,
        network: Network,
        watcher: Watcher,
        *,
        config: SessionConfig | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(network, config=config, clock=clock)
        self._watcher = watcher
        self._resampler = SpeechResampler(network.sample_rate)

    def push(self, packet: AnyPacket) -> None:
        """What happens to a packet before the worker sees it."""
        if isinstance(packet, VideoPacket):
            self.inbox.put(self._watcher.look(packet))
        elif (speech := self._resampler.push(packet)) is not None:
            start, samples = speech
            self.inbox.put(Sound(timestamp=start, samples=samples))


def given_again(given: Iterable[Given], network: Network) -> list[Prediction]:
    """What another worker answers to the very same values; it has neither clock nor scheduler."""
    worker = InferenceWorker(config=SessionConfig(), network=network)
    return [answer for each in given if (answer := worker.take(each)) is not None]


def in_time_order(*sources: Sequence[AnyPacket]) -> list[AnyPacket]:
    """The packets of all sources in one list."""
    return sorted(chain(*sources), key=lambda packet: packet.timestamp)


def bits(value: object) -> object:
    """`value` in a form that is equal only where each bit is; the machine's own times aside."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, tuple | list):
        return [bits(each) for each in value]
    if is_dataclass(value):
        names = [each.name for each in fields(value) if each.name not in OWN_TIMES]
        return {name: bits(getattr(value, name)) for name in names}
    return value

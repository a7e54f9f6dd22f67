"""The whole path in one thread, and answers compared bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from itertools import chain

import numpy as np

from realtime.clock import Clock
from realtime.config import SessionConfig
from realtime.messages import AudioPacket, Prediction, Track, VideoPacket
from realtime.resampling import SpeechResampler
from realtime.rings import SampleRing, SightingRing
from realtime.task import Network, Watcher
from realtime.worker import InferenceWorker

AnyPacket = VideoPacket | AudioPacket
OWN_TIMES = ("inference_seconds", "latency_seconds")  # what the machine took, not what it found


class SteppedDriver:
    """Packets in, answers out, each when the test says so."""

    def __init__(
        self,
        network: Network,
        watcher: Watcher,
        *,
        config: SessionConfig | None = None,
        clock: Clock | None = None,
    ) -> None:
        config = config or SessionConfig()
        windows = config.windows
        self._watcher = watcher
        self._resampler = SpeechResampler(windows.sample_rate)
        self._sightings = SightingRing()
        self._samples = SampleRing(windows.sample_rate, windows.kept_seconds)
        self.worker = InferenceWorker(
            config=config,
            sightings=self._sightings,
            samples=self._samples,
            network=network,
            clock=clock,
        )
        for track in Track:
            self.worker.connect(track, True)

    def push(self, packet: AnyPacket) -> None:
        """What happens to a packet before the worker sees it."""
        if isinstance(packet, VideoPacket):
            self._sightings.push(self._watcher.look(packet))
        elif (speech := self._resampler.push(packet)) is not None:
            self._samples.push(*speech)

    def answers(self) -> list[Prediction]:
        """Answers for all windows that are due."""
        found = []
        while (prediction := self.worker.step()) is not None:
            found.append(prediction)
        return found


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

"""A loudspeaker without hardware: a small sounddevice whose streams are driven by the test."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from models.arrays import FloatArray


class PortAudioError(Exception):
    """As sounddevice's."""


class Stream:
    """An output stream; `play` is what the sound card does all the time.

    `broken`: its device is gone in such a way that PortAudio cannot tell whether it runs.
    """

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.latency = options["latency"]
        self.runs = self.closed = self.broken = False

    @property
    def active(self) -> bool:
        if self.broken and not self.closed:
            raise PortAudioError("Unanticipated host error")
        return self.runs

    def start(self) -> None:
        self.runs = True

    def abort(self, ignore_errors: bool) -> None:
        self.runs = False

    def close(self, ignore_errors: bool) -> None:
        self.runs, self.closed = False, True

    def play(self, delay: float) -> FloatArray:
        """The next block (n, channels), which comes out after `delay` seconds."""
        assert self.active
        count = self.options["blocksize"]
        out = np.full((count, self.options["channels"]), np.nan, np.float32)
        times = SimpleNamespace(currentTime=1000.0, outputBufferDacTime=1000.0 + delay)
        self.options["callback"](out, count, times, SimpleNamespace(output_underflow=False))
        return out


class Loudspeaker:
    """Stands in for the module sounddevice: one device that plays, or none."""

    PortAudioError = PortAudioError

    def __init__(self, *, channels: int = 2, sample_rate: int = 48000) -> None:
        self.channels, self.sample_rate = channels, sample_rate
        self.plugged_in = True
        self.taken = False  # by another program
        self.failing = ""  # the query that fails
        self.default = SimpleNamespace(hostapi=0)
        self.streams: list[Stream] = []

    def _initialize(self) -> None: ...

    def _terminate(self) -> None:
        assert not any(stream.active for stream in self.streams)

    def query_hostapis(self) -> list[dict[str, Any]]:
        self._fail_at("hostapis")
        return [{"name": "ALSA", "default_output_device": 3 if self.plugged_in else -1}]

    def query_devices(self, index: int) -> dict[str, Any]:
        assert index == 3
        self._fail_at("devices")
        return {
            "name": "Headphones",
            "max_output_channels": self.channels,
            "default_samplerate": float(self.sample_rate),
        }

    def _fail_at(self, query: str) -> None:
        if query == self.failing:
            raise PortAudioError(f"Error querying {query}")

    def OutputStream(self, **options: Any) -> Stream:  # noqa: N802 (sounddevice's name)
        if self.taken:
            raise PortAudioError("device unavailable")
        self.streams.append(Stream(**options))
        return self.streams[-1]

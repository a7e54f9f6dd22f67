"""Sound of any rate and number of channels → mono at the rate of the speech features.

Thread: whoever pushes (live: microphone; replay: analysis). Times in seconds, rates in Hz.

A windowed sinc in its polyphase form, the textbook one. General resamplers (soxr) work in long
blocks: at 48 kHz they hold sound back by 12 to 40 ms, in bursts, and every answer waits that long.
This one holds back half its filter, 3 ms (6 ms at 8 kHz), always the same.
"""

from __future__ import annotations

from math import ceil, gcd
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from realtime.messages import AudioPacket, FloatArray

SILENT: Final = 1e-3  # a channel that was never louder, -60 dB, is taken for one that is not used
GAP_SECONDS: Final = 0.05  # sound further than this from where it should follow on starts anew
_PASS_BAND: Final = 0.95  # of the lower of both Nyquist frequencies, where the filter is at half
_ZEROS: Final = 48  # zero crossings of the sinc on each side …
_KAISER_BETA: Final = 7.86  # … and its window: 80 dB down at the Nyquist frequency


class SpeechResampler:
    """Packets in, packets of mono float32 at `sample_rate` out; the same however they are cut.

    What comes in is taken as it is from files and drivers; what goes out is made of finite numbers.
    """

    def __init__(self, sample_rate: int = 16000) -> None:
        self.sample_rate = sample_rate
        self._stream: _Stream | None = None
        self._used = np.zeros(0, np.bool_)  # (channels,) whether each has been heard
        self._end = 0.0  # s, of the packet before
        self._sequence = 0

    def push(self, packet: AudioPacket) -> AudioPacket | None:
        """What can be said after `packet`, None if nothing yet.

        Another rate, or a time that does not follow on, begins a new stream; the last 3 ms of
        the old one are lost with it.
        """
        stream = self._stream
        if (
            stream is None
            or stream.rate_in != packet.sample_rate
            or abs(packet.timestamp - self._end) > GAP_SECONDS
        ):
            stream = self._stream = _Stream(packet.sample_rate, self.sample_rate)
        self._end = packet.end
        first, n_before = stream.n_out, stream.n_in
        samples = stream.push(self._mixed(harmless(packet.samples)))
        # Counted from this packet's own time, so that the source's lean towards its clock is kept.
        ago = n_before / stream.rate_in - first / self.sample_rate
        return self._packet(packet.timestamp - ago, samples, packet.overflowed)

    def _mixed(self, samples: FloatArray) -> FloatArray:
        """(n, channels) → (n,), the mean of the channels that have been heard by then.

        A microphone plugged into one side, or speech in the centre of six, is not to sound distant.
        """
        if samples.shape[1] != len(self._used):
            self._used = np.zeros(samples.shape[1], np.bool_)
        mixed: FloatArray
        if self._used.all():
            mixed = samples.mean(axis=1, dtype=np.float32)
            return mixed
        used = np.logical_or.accumulate(np.abs(samples) > SILENT, axis=0) | self._used
        if len(used):
            self._used = used[-1]
        count = used.sum(axis=1)
        count[count == 0] = samples.shape[1]
        mixed = samples.sum(axis=1, dtype=np.float32) / count.astype(np.float32)
        return mixed

    def flush(self) -> AudioPacket | None:
        """What the filter still holds, at the end of a recording; the next packet begins anew."""
        stream, self._stream = self._stream, None
        if stream is None:
            return None
        ago = stream.n_in / stream.rate_in - stream.n_out / self.sample_rate
        return self._packet(self._end - ago, stream.flush(), overflowed=False)

    def _packet(
        self, timestamp: float, samples: FloatArray, overflowed: bool
    ) -> AudioPacket | None:
        if not len(samples):
            return None
        samples.flags.writeable = False
        self._sequence += 1
        return AudioPacket(
            timestamp=timestamp,
            sequence=self._sequence - 1,
            samples=samples[:, None],
            sample_rate=self.sample_rate,
            overflowed=overflowed,
        )


def harmless(samples: FloatArray) -> FloatArray:
    """Within [-1, 1], silent where there is no number: damaged files and drivers give anything."""
    return np.clip(np.nan_to_num(samples, nan=0.0), -1.0, 1.0)


class _Stream:
    """One unbroken run of mono sound. Output k lies at input position k * rate_in / rate_out."""

    def __init__(self, rate_in: int, rate_out: int) -> None:
        common = gcd(rate_in, rate_out)
        self.rate_in = rate_in
        self._up, self._down = rate_out // common, rate_in // common
        self.n_in = self.n_out = 0
        cutoff = _PASS_BAND * min(rate_in, rate_out) / 2 / rate_in  # cycles per input sample
        self._half = 0 if rate_in == rate_out else ceil(_ZEROS / (2 * cutoff))
        # Row p is the filter for outputs that lie p / up behind an input sample: (up, 2 half).
        offset = np.arange(1 - self._half, self._half + 1) - np.arange(self._up)[:, None] / self._up
        window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0, 1 - (offset / (self._half or 1)) ** 2)))
        bank = np.sinc(2 * cutoff * offset) * window
        if self._half:
            bank /= bank.sum(axis=1, keepdims=True)
        self._bank = bank.astype(np.float32)
        # Inputs not done with; before the first there was silence.
        self._waiting = np.zeros(max(0, self._half - 1), np.float32)
        self._waiting_from = -len(self._waiting)  # number of the first of them

    def push(self, samples: FloatArray) -> FloatArray:
        """Mono samples (n,) → the outputs (m,) whose whole filter is covered now."""
        self.n_in += len(samples)
        if not self._half:
            self.n_out += len(samples)
            return samples.copy()
        return self._filter(samples, covered=self.n_in - self._half)

    def flush(self) -> FloatArray:
        """The outputs still owed (m,): after the last input there is silence."""
        if not self._half:
            return np.zeros(0, np.float32)
        return self._filter(np.zeros(self._half, np.float32), covered=self.n_in)

    def _filter(self, samples: FloatArray, covered: int) -> FloatArray:
        """Outputs before input position `covered`."""
        self._waiting = np.concatenate([self._waiting, samples])
        stop = -(-covered * self._up // self._down)
        if stop <= self.n_out:
            return np.zeros(0, np.float32)
        position, phase = np.divmod(np.arange(self.n_out, stop) * self._down, self._up)
        start = position - (self._half - 1) - self._waiting_from
        covers = sliding_window_view(self._waiting, 2 * self._half)[start]
        # Not a matrix product: each row must be added up in the same order however many there are.
        result: FloatArray = np.einsum("ij,ij->i", covers, self._bank[phase])
        self.n_out = stop
        done = stop * self._down // self._up - (self._half - 1) - self._waiting_from
        self._waiting = self._waiting[done:]
        self._waiting_from += done
        return result

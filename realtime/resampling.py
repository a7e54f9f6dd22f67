"""Sound of any rate and number of channels → mono at the rate of the speech features.

Thread: whoever pushes (live: microphone; replay: analysis). Times in seconds, rates in Hz.

A windowed sinc in its polyphase form, the textbook one. General resamplers (soxr) work in long
blocks: at 48 kHz they hold sound back by 12 to 40 ms, in bursts, and every answer waits that long.
This one holds back half its filter, 3 ms (6 ms at 8 kHz), always the same.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from models.arrays import FloatArray
from realtime.messages import AudioPacket
from realtime.rings import GAP_SECONDS

_PASS_BAND: Final = 0.95  # of the lower of both Nyquist frequencies, where the filter is at half
_ZEROS: Final = 48  # zero crossings of the sinc on each side …
_KAISER_BETA: Final = 7.86  # … and its window: 80 dB down at the Nyquist frequency
# Rates without a large common divisor need thousands of nearly equal filters. Instead we make one
# for each such step and take the nearest; the error is 72 dB below a tone at 8 kHz.
_STEP_SECONDS: Final = 1e-8

_BLOCK_SECONDS: Final = 0.01  # what the channels are weighed by …
_MEMORY_SECONDS: Final = 1.0  # … and how long it counts
_IN_FULL: Final = 0.25  # of the loudest channel's power, -6 dB: as loud as this counts as much
_OPPOSED: Final = -0.5  # correlation with the loudest below which a channel is turned round
_SILENCE: Final = 1e-12  # power below all sound


class SpeechResampler:
    """Packets in; mono sound at `sample_rate` out, the same however the packets are cut.

    What comes in is taken as files and drivers give it. What goes out is the time of its first
    sample and samples (n,), which are finite, read-only and at least one.
    """

    def __init__(self, sample_rate: int = 16000) -> None:
        self.sample_rate = sample_rate
        self._stream: _Stream | None = None
        self._mixer: _Mixer | None = None
        self._end = 0.0  # s, of the packet before

    def push(self, packet: AudioPacket) -> tuple[float, FloatArray] | None:
        """The sound that is complete with `packet`, None if there is none yet.

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
        mixer, kind = self._mixer, (packet.samples.shape[1], packet.sample_rate)
        if mixer is None or mixer.kind != kind:
            mixer = self._mixer = _Mixer(*kind)
        self._end = packet.end
        first, n_before = stream.n_out, stream.n_in
        samples = stream.push(mixer.push(harmless(packet.samples)))
        # Counted from this packet's own time, so that the source's lean towards its clock is kept.
        ago = n_before / stream.rate_in - first / self.sample_rate
        return _timed(packet.timestamp - ago, samples)

    def flush(self) -> tuple[float, FloatArray] | None:
        """What the filter still holds, at the end of a recording; the next packet begins anew."""
        stream, self._stream = self._stream, None
        if stream is None:
            return None
        ago = stream.n_in / stream.rate_in - stream.n_out / self.sample_rate
        return _timed(self._end - ago, stream.flush())


def _timed(timestamp: float, samples: FloatArray) -> tuple[float, FloatArray] | None:
    samples.flags.writeable = False
    return (timestamp, samples) if len(samples) else None


def harmless(samples: FloatArray) -> FloatArray:
    """Within [-1, 1], silent where there is no number: damaged files and drivers give anything."""
    return np.clip(np.nan_to_num(samples, nan=0.0), -1.0, 1.0)


class _Mixer:
    """Channels of sound → one: the mean of those that are used, whichever way round they are wired.

    So a microphone on one of two channels, or speech in the centre of six, keeps its loudness, and
    two channels of opposite polarity do not cancel out. Channels are weighed in blocks counted from
    the first sample, so that it does not matter how packets are cut; each block is mixed with the
    weights from before it, so that none is waited for.
    """

    def __init__(self, channels: int, sample_rate: int) -> None:
        self.kind = channels, sample_rate
        self._weights = np.ones(channels, np.float32)  # negative: turned round
        self._block_size = max(1, round(_BLOCK_SECONDS * sample_rate))
        self._block = np.zeros((0, channels), np.float32)  # what there is of the present one
        self._products = np.zeros((channels, channels))  # of each two channels, over the memory
        self._power = np.zeros(channels)  # of the loudest block that is remembered

    def push(self, samples: FloatArray) -> FloatArray:
        """(n, channels) → (n,)."""
        if len(self._weights) == 1:
            return samples[:, 0]
        mixed = [np.zeros(0, np.float32)]
        while len(samples):
            now = samples[: self._block_size - len(self._block)]
            samples = samples[len(now) :]
            # Not a matrix product: each row must be added up in the same order however many.
            mixed.append((now * self._weights).sum(axis=1) / np.abs(self._weights).sum())
            self._block = np.concatenate([self._block, now])
            if len(self._block) == self._block_size:
                self._weigh(self._block.astype(np.float64))
                self._block = self._block[:0]
        return np.concatenate(mixed)

    def _weigh(self, block: FloatArray) -> None:
        kept = 1 - _BLOCK_SECONDS / _MEMORY_SECONDS
        products = block.T @ block / len(block)
        self._products = kept * self._products + products
        # A decaying peak, not an average: a voice on another channel counts from the next block on.
        self._power = np.maximum(kept * self._power, products.diagonal() + _SILENCE)
        loudest = self._power.argmax()
        weights = np.minimum(1.0, self._power / (_IN_FULL * self._power[loudest]))
        size = np.sqrt(self._products.diagonal())
        opposed = self._products[loudest] < _OPPOSED * size[loudest] * size
        # The loudest channel keeps its sign, since another may be the loudest in the next block.
        turned = np.where(opposed, -weights, weights) * np.sign(self._weights[loudest])
        self._weights = turned.astype(np.float32)


class _Stream:
    """One unbroken run of mono sound. Output k lies at input position k * rate_in / rate_out."""

    def __init__(self, rate_in: int, rate_out: int) -> None:
        common = gcd(rate_in, rate_out)
        self.rate_in = rate_in
        self._up, self._down = rate_out // common, rate_in // common
        self.n_in = self.n_out = 0
        self._bank = _bank(rate_in, rate_out)
        self._half = self._bank.shape[1] // 2
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
        position, past = np.divmod(np.arange(self.n_out, stop) * self._down, self._up)
        phase = (2 * past * (len(self._bank) - 1) + self._up) // (2 * self._up)  # the nearest
        start = position - (self._half - 1) - self._waiting_from
        covers = sliding_window_view(self._waiting, 2 * self._half)[start]
        # Not a matrix product: each row must be added up in the same order however many there are.
        result: FloatArray = np.einsum("ij,ij->i", covers, self._bank[phase])
        self.n_out = stop
        done = stop * self._down // self._up - (self._half - 1) - self._waiting_from
        self._waiting = self._waiting[done:]
        self._waiting_from += done
        return result


@lru_cache(maxsize=4)  # every gap begins anew, and some rates take a tenth of a second
def _bank(rate_in: int, rate_out: int) -> FloatArray:
    """Filters (n + 1, 2 half): row p is for outputs that lie p / n behind an input sample."""
    if rate_in == rate_out:
        return np.zeros((2, 0), np.float32)
    cutoff = _PASS_BAND * min(rate_in, rate_out) / 2 / rate_in  # cycles per input sample
    half = ceil(_ZEROS / (2 * cutoff))
    n = min(rate_out // gcd(rate_in, rate_out), ceil(1 / (_STEP_SECONDS * rate_in)))
    offset = np.arange(1 - half, half + 1) - np.arange(n + 1)[:, None] / n
    window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0, 1 - (offset / half) ** 2)))
    bank = np.sinc(2 * cutoff * offset) * window
    bank /= bank.sum(axis=1, keepdims=True)
    filters: FloatArray = bank.astype(np.float32)
    filters.flags.writeable = False
    return filters

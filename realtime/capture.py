"""Pumps one source into whoever wants its packets, and tries again when the device goes away.

Thread: one per source, which opens, reads and closes it; `health`, `start` and `stop` may be called
from any other. One lock guards what `health` tells; nothing is called while it is held. Times in
seconds on the session's clock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from realtime.clock import Clock
from realtime.health import Rolling
from realtime.messages import AudioPacket, SourceHealth, SourceState, VideoPacket
from realtime.sources.base import NoDeviceError, Source, SourceError

logger = logging.getLogger(__name__)

Packet = TypeVar("Packet", VideoPacket, AudioPacket)

READ_SECONDS: Final = 0.1  # longest wait for a packet, and so for a stop where the driver heeds it
RETRY_SECONDS: Final = (0.5, 5.0)  # wait before trying again: at first, and at most
RATE_SECONDS: Final = 2.0


class CaptureThread(Generic[Packet]):
    """Open, read, push until stopped.

    `push` is called on this thread with each packet. What fails, also in a way nobody foresaw, is
    opened again and again, at growing intervals; meanwhile `health` says why.
    """

    def __init__(
        self,
        source: Source[Packet],
        push: Callable[[Packet], None],
        clock: Clock,
        *,
        name: str,
        stall_seconds: float,
        replaced: Callable[[], None] = lambda: None,
    ) -> None:
        """`stall_seconds`: a source silent for longer has stalled.

        `replaced` is called on this thread before the first packet of another device, which the
        system has put in the place of one that went away.
        """
        self._source: Source[Packet] = source
        self._push: Callable[[Packet], None] = push
        self._clock = clock
        self._stall_seconds = stall_seconds
        self._replaced = replaced
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        # This thread's own.
        self._open = False
        self._device = ""  # name of the one that was open last
        self._retry_seconds = RETRY_SECONDS[0]
        self._next_sequence = 0
        # Told by health.
        self._arrivals = Rolling(RATE_SECONDS)
        self._lock = threading.Lock()
        self._state, self._message = SourceState.OFF, ""
        self._packet_size = 1
        self._packet_time: float | None = None  # when the last one came
        self._dropped = 0

    def start(self) -> None:
        """Start the thread; once only."""
        self._tell(SourceState.OPENING)
        self._thread.start()

    def tell_to_stop(self) -> None:
        """Begin to stop, without waiting."""
        self._stopping.set()

    def stop(self, timeout_seconds: float) -> None:
        """End the thread, which lets go of the device. Nothing is pushed after this returns.

        A driver that blocks for longer is left alone with its thread, which ends when it returns.
        """
        self._stopping.set()
        if self._thread.ident is None:
            return
        self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            logger.warning(
                "%s does not answer; its thread %s was left", self._source.name, self._thread.name
            )

    def health(self) -> SourceHealth:
        """How the source is doing now."""
        now = self._clock.now()
        rate = self._arrivals.rate(now)
        with self._lock:
            state = self._state
            last = self._packet_time
            if state is SourceState.RUNNING and last is not None:
                state = SourceState.STALLED if now - last > self._stall_seconds else state
            return SourceHealth(
                name=self._source.name,
                state=state,
                rate=rate * self._packet_size,
                dropped=self._dropped,
                message=self._message,
            )

    def step(self) -> float:
        """Open the source, or read and push one packet.

        Returns the seconds to wait before the next step.
        """
        try:
            if not self._open:
                self._source.open()
                self._open = True
                if self._stopping.is_set():  # it took long: nothing is said of it any more
                    return 0.0
                self._next_sequence = 0
                if self._device not in ("", self._source.name):
                    self._replaced()
                self._device = self._source.name
            packet = self._source.read(READ_SECONDS)
            if packet is not None and not self._stopping.is_set():
                self._push(packet)
                self._note(packet)
        except SourceError as error:
            never_was = isinstance(error, NoDeviceError) and self._packet_time is None
            if str(error) != self._message:
                logger.info("%s", error)  # for the log file; people are told by health
            return self._failed(
                SourceState.FAILED if never_was else SourceState.RETRYING, str(error)
            )
        except Exception as error:
            message = f"{self._source.name} failed unexpectedly: {error}"
            if message != self._message:
                logger.exception("%s failed", self._source.name)
            was_there = self._packet_time is not None
            return self._failed(SourceState.RETRYING if was_there else SourceState.FAILED, message)
        return 0.0

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._stopping.wait(self.step())
        finally:
            self._close()

    def _failed(self, state: SourceState, message: str) -> float:
        """Keep the reason, let go of the device, and say when to try again."""
        self._tell(state, message)  # before the driver, which may block for good
        self._close()
        wait_seconds = self._retry_seconds
        self._retry_seconds = min(2 * wait_seconds, RETRY_SECONDS[1])
        return wait_seconds

    def _note(self, packet: Packet) -> None:
        """Count a packet that has arrived."""
        now = self._clock.now()
        self._arrivals.add(now, 1.0)
        lost = packet.sequence - self._next_sequence
        self._next_sequence = packet.sequence + 1
        size = 1
        if isinstance(packet, AudioPacket):
            lost += packet.overflowed
            size = len(packet.samples)
        self._retry_seconds = RETRY_SECONDS[0]
        with self._lock:
            recovered = self._state is SourceState.RETRYING
            self._state, self._message = SourceState.RUNNING, ""
            self._packet_size, self._packet_time = size, now
            self._dropped += max(0, lost)
        if recovered:
            logger.info("%s is back", self._source.name)

    def _close(self) -> None:
        """Let go of the device, which may fail in turn once it is gone."""
        self._open = False
        try:
            self._source.close()
        except Exception:
            logger.info("%s could not be closed properly", self._source.name, exc_info=True)

    def _tell(self, state: SourceState, message: str = "") -> None:
        with self._lock:
            self._state, self._message = state, message

"""The worker on live input: it takes what has come, answers what is due, and tells how late it is.

Thread: inference. Seconds on the session clock.
"""

from __future__ import annotations

from dataclasses import replace

from realtime.clock import Clock
from realtime.config import WindowConfig
from realtime.inbox import Inbox
from realtime.messages import NOT_DELIVERING, Prediction, Track, WindowChoice
from realtime.scheduling import LiveScheduler
from realtime.worker import InferenceWorker


class LiveWorker:
    """One window per step.

    All that the answers depend on passes through `worker.take`, one value after another: whoever
    notes these can have the same answers again, to the last bit, but for how late they were.
    """

    def __init__(
        self,
        worker: InferenceWorker,
        inbox: Inbox,
        *,
        windows: WindowConfig,
        clock: Clock,
        started: float = 0.0,
    ) -> None:
        """`started`: when the sources were, on the clock."""
        self._worker = worker
        self._inbox = inbox
        self._windows = windows
        self._clock = clock
        self._scheduler = LiveScheduler(windows, worker.tracks, clock, started)

    @property
    def windows_skipped(self) -> int:
        """Windows with input that were passed over for a newer one."""
        return self._scheduler.windows_skipped

    def take_in(self) -> None:
        """Take in what has come since the last call."""
        for message in self._inbox.take():
            self._worker.take(message)
            self._scheduler.note(message)

    def step(self) -> Prediction | None:
        """Take in what has come, and answer the newest window that is due; None if there is none.

        Then what the next ones will need is got ready instead.
        """
        self.take_in()
        choice = self._scheduler.choose()
        if choice is None:
            self._worker.prepare()
            return None
        prediction = self._worker.take(choice)
        assert prediction is not None
        latency = None
        if any(report.absent not in NOT_DELIVERING for report in prediction.modalities):
            latency = self._latency(prediction.window_end, choice)
        return replace(
            prediction,
            latency_seconds=latency,
            time_of_day=self._clock.epoch + prediction.window_end,
        )

    def _latency(self, newest: float, choice: WindowChoice) -> float:
        """How long ago the newest sample of the window that ends at `newest` came in."""
        if Track.SOUND in choice.lost:  # the newest is a picture, and these end a little earlier
            newest -= self._windows.picture_lag_seconds
        # The newest sample's time is an estimate, and may lie ahead just after the start.
        return max(0.0, self._clock.now() - newest)

"""Polls the session and tells the views what is new; nothing queues up.

Thread: GUI. The session's threads never call into Qt: this timer asks, and only the newest answer
is shown. Pictures are looked for at the pace of the timer, answers and figures more seldom.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from PyQt6.QtCore import QObject, Qt, QTimer, pyqtSignal

from realtime.messages import FaceObservation, Prediction, Snapshot, VideoPacket
from realtime.session import Session

POLL_MILLISECONDS: Final = 25  # a little faster than a camera's 33 ms, so that no frame is missed
ANSWER_SECONDS: Final = 0.08  # answers are passed on at most this often …
HISTORY_SECONDS: Final = 0.1
HEALTH_SECONDS: Final = 0.25
RATE_SECONDS: Final = 2.0  # span over which shown frames are counted


class Bridge(QObject):
    """One timer between a session and the window."""

    polled = pyqtSignal(object)  # Snapshot, at every tick
    pictured = pyqtSignal(object)  # Snapshot whose preview or face differs from the last
    predicted = pyqtSignal(object)  # Prediction | None, when it changed
    grown = pyqtSignal(object)  # list[Prediction] that the history gained
    measured = pyqtSignal(object, float)  # Health and `preview_rate`, a few times a second
    ticked = pyqtSignal(float)  # seconds since the last tick, for what moves smoothly

    def __init__(
        self,
        parent: QObject | None = None,
        *,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(parent)
        self._now = now
        self._session: Session | None = None
        self._seen = True
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(POLL_MILLISECONDS)
        self._timer.timeout.connect(self.poll)
        self._shown: deque[float] = deque()
        self._prediction: Prediction | None = None
        self._preview: VideoPacket | None = None
        self._face: FaceObservation | None = None
        self._last_index = -1
        self._answered = self._grew = self._measured = 0.0
        self._ticked = self._started = 0.0
        self._forget()

    def start(self, session: Session) -> None:
        """Watch `session` from now on; whatever was known of another is forgotten."""
        self._session = session
        self._forget()
        self._timer.start()

    def set_seen(self, seen: bool) -> None:
        """Whether anyone sees the views; else only the state and the history are passed on."""
        if seen and not self._seen:  # the rate of what is shown begins anew
            self._shown.clear()
            self._started = self._now()
        self._seen = seen

    def stop(self) -> None:
        """Watch nothing."""
        self._timer.stop()
        self._session = None

    @property
    def preview_rate(self) -> float:
        """Different frames shown per second over the last two seconds."""
        now = self._now()
        recent = sum(now - shown < RATE_SECONDS for shown in self._shown)
        return recent / min(max(now - self._started, 0.5), RATE_SECONDS)

    def poll(self) -> None:
        """Look once and tell what is new."""
        if self._session is None:
            return
        now = self._now()
        snapshot = self._session.snapshot()
        self.polled.emit(snapshot)
        if now - self._grew >= HISTORY_SECONDS:
            self._grew = now
            if gained := list(self._session.history(self._last_index)):
                self._last_index = gained[-1].window_index
                self.grown.emit(gained)
        if not self._seen:
            return
        self._look_at_picture(snapshot, now)
        if now - self._answered >= ANSWER_SECONDS and snapshot.prediction is not self._prediction:
            self._answered, self._prediction = now, snapshot.prediction
            self.predicted.emit(snapshot.prediction)
        if now - self._measured >= HEALTH_SECONDS:
            self._measured = now
            self.measured.emit(snapshot.health, self.preview_rate)
        self.ticked.emit(min(now - self._ticked, 0.25))
        self._ticked = now

    def _look_at_picture(self, snapshot: Snapshot, now: float) -> None:
        while self._shown and now - self._shown[0] > RATE_SECONDS:
            self._shown.popleft()
        if snapshot.preview is not self._preview:
            self._shown.append(now)
        elif snapshot.face is self._face:
            return
        self._preview, self._face = snapshot.preview, snapshot.face
        self.pictured.emit(snapshot)

    def _forget(self) -> None:
        self._shown.clear()
        self._prediction = self._preview = self._face = None
        self._last_index = -1
        self._answered = self._grew = self._measured = float("-inf")
        self._ticked = self._started = self._now()

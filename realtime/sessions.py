"""Makes the sessions of a task, which share its network and the file for live answers.

Thread: GUI, or main without a window; `check` any. What a session needs is imported when one is
made.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from realtime.config import SessionConfig
from realtime.export import AnswerLog
from realtime.task import Task

if TYPE_CHECKING:
    from realtime.export import PredictionWriter
    from realtime.live import LiveSession
    from realtime.replay import ReplaySession


class Sessions:
    """Makes sessions, also those that the person asks the window for."""

    def __init__(self, task: Task, config: SessionConfig | None = None) -> None:
        self.task = task
        self.config = config or SessionConfig()
        self.log = AnswerLog()
        """Takes what live sessions answer."""
        self._newest: LiveSession | ReplaySession | None = None
        self._unwritten: OSError | None = None  # why answers of an earlier one are lost

    def live(self, camera: str | None, microphone: str | None) -> LiveSession:
        """A session on these devices, not yet started."""
        from realtime.live import LiveSession

        session = LiveSession(
            self.task,
            camera=camera,
            microphone=microphone,
            config=self.config,
            log=self.log,
        )
        self._made(session)
        return session

    def replay(self, path: Path, writer: PredictionWriter | None = None) -> ReplaySession:
        """A session on a recording, not yet started; `writer` gets the answers too."""
        from realtime.replay import ReplaySession

        session = ReplaySession(path, self.task, config=self.config, writer=writer, sound=True)
        self._made(session)
        return session

    def _made(self, session: LiveSession | ReplaySession) -> None:
        if self._newest is not None:
            self._unwritten = self._unwritten or self._newest.unwritten
        self._newest = session

    def check(self, path: Path) -> None:
        """Open a recording and close it; raises UnreadableFileError when it cannot be read."""
        from realtime.recording.recording import Recording

        Recording(path).close()

    def raise_failure(self) -> None:
        """Raise what the newest session failed of, or why answers could not be written."""
        failures: list[Exception | None] = [self._unwritten, self.log.failure]
        if self._newest is not None:
            failures = [self._newest.failure, self._newest.unwritten, *failures]
        for failure in failures:
            if failure is not None:
                raise failure

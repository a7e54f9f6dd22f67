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

    def live(self, camera: str | None, microphone: str | None) -> LiveSession:
        """A session on these devices, not yet started."""
        from realtime.live import LiveSession

        self._newest = session = LiveSession(
            self.task,
            camera=camera,
            microphone=microphone,
            config=self.config,
            log=self.log,
        )
        return session

    def replay(self, path: Path, writer: PredictionWriter | None = None) -> ReplaySession:
        """A session on a recording, not yet started; `writer` gets the answers too."""
        from realtime.replay import ReplaySession

        self._newest = session = ReplaySession(
            path, self.task, config=self.config, writer=writer, sound=True
        )
        return session

    def check(self, path: Path) -> None:
        """Open a recording and close it; raises UnreadableFileError when it cannot be read."""
        from realtime.recording.recording import Recording

        Recording(path).close()

    def raise_failure(self) -> None:
        """Raise what the session failed of that was made last."""
        if self._newest is not None and self._newest.failure is not None:
            raise self._newest.failure

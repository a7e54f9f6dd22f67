"""Makes the sessions of the task that ships; they share one network.

Thread: GUI, or main without a window; `load` and `check` any. What a session needs is imported when
one is made, and the network when it is loaded: the window is shown before.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from models.checkpoint import LIVE, CheckpointError, default_weights
from models.labels import EMOTIONS
from realtime.config import SessionConfig
from realtime.emotion.config import EmotionConfig
from realtime.export import AnswerLog
from realtime.task import Progress, Task

if TYPE_CHECKING:
    from realtime.emotion.network import EmotionNetwork
    from realtime.export import PredictionWriter
    from realtime.live import LiveSession
    from realtime.replay import ReplaySession


class Sessions:
    """Makes sessions, also those that the person asks the window for."""

    def __init__(
        self, weights: Path | None = None, device: str = "auto", *, adapt: bool = True
    ) -> None:
        """`weights` None: those that ship. `device` as for `load_emotion_network`."""
        self.weights = weights or default_weights()
        self.config = SessionConfig()
        self._settings = EmotionConfig(adapt=adapt)
        self._device = device
        self._loading = threading.Lock()
        self._network: EmotionNetwork | None = None
        self._newest: LiveSession | ReplaySession | None = None
        self.log = AnswerLog()
        """Takes what live sessions answer."""
        self.also_told: Progress = lambda _done, _text: None

    def load(self, progress: Progress) -> EmotionNetwork:
        """The network, loaded once for all sessions, which call this on a thread of theirs.

        Loading takes seconds. What `progress` raises breaks it off, as a session does that is left:
        the next one begins anew.
        """
        from realtime.emotion.network import load_emotion_network

        def tell(done: float, text: str) -> None:
            progress(done, text)
            self.also_told(done, text)

        with self._loading:
            if self._network is None:
                self._network = load_emotion_network(
                    self.weights, self._settings, device=self._device, progress=tell
                )
            return self._network

    def task(self) -> Task:
        """What all sessions do: read emotions off one face and its voice."""
        from models.mel import log_mel
        from realtime.emotion.faces import watch_face

        return Task(watch=watch_face, load=self.load, spectrogram=log_mel)

    def labels(self) -> tuple[str, ...]:
        """The network's classes; those of our own where its weights are not to be read.

        What is wrong with them is told when a session loads them.
        """
        try:
            return LIVE.read(self.weights).config.labels
        except CheckpointError:
            return EMOTIONS

    def live(self, camera: str | None, microphone: str | None) -> LiveSession:
        """A session on these devices, not yet started."""
        from realtime.live import LiveSession

        self._newest = session = LiveSession(
            self.task(),
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
            path, self.task(), config=self.config, writer=writer, sound=True
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

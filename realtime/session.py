"""A session as the window and the command line see it.

`Session` is the face that `realtime/live.py` and `realtime/replay.py` share. Thread: made, started,
controlled and stopped by one thread at a time (the GUI's or the command line's; the GUI leaves the
stopping to another); `snapshot` and `history` may be called from any.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from realtime.errors import ExitCode, explain
from realtime.export import Written
from realtime.messages import FaceObservation, Prediction, Snapshot

logger = logging.getLogger(__name__)

STOP_SECONDS: Final = 2.0  # for all threads of a session together
_LEAST_PATIENCE_SECONDS: Final = 0.1  # for each, however late it is
FACE_SHOWN_SECONDS: Final = 0.4  # a box older than this is no longer drawn


class StoppedError(Exception):
    """Raised in what still loads a session that has been stopped meanwhile."""


def told(error: Exception) -> str:
    """The sentence that tells people why a session failed; an unexpected failure is also logged."""
    code, sentence = explain(error)
    if code is ExitCode.UNEXPECTED:
        logger.error("the %s thread failed", threading.current_thread().name, exc_info=error)
    elif not isinstance(error, OSError):
        return sentence  # says itself what to do
    return f"The analysis stopped: {sentence}"


class Deadline:
    """A time that all that has to end shares: each may wait for what is left of it."""

    def __init__(self, seconds: float = STOP_SECONDS) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that may still be waited, never none at all."""
        return max(self._at - time.monotonic(), _LEAST_PATIENCE_SECONDS)

    def join(self, threads: Iterable[threading.Thread]) -> None:
        """Wait for threads that were told to end; one that does not in time is left, and logged."""
        for thread in threads:
            thread.join(self.left())
            if thread.is_alive():
                logger.warning("the %s thread did not end in time and was left", thread.name)


def face_at(time: float, face: FaceObservation | None) -> FaceObservation | None:
    """The face to draw on the picture of `time`: `face`, unless it was seen at quite another."""
    if face is None or abs(time - face.timestamp) > FACE_SHOWN_SECONDS:
        return None
    return face


class Session(Protocol):
    """What every session offers."""

    @property
    def failure(self) -> Exception | None:
        """Why it has failed, None while it has not."""
        ...

    def start(self) -> None:
        """Start the threads, once, and return at once; loading goes on behind (see `snapshot`)."""
        ...

    def stop(self) -> None:
        """Stop all threads within two seconds; harmless when not running."""
        ...

    def pause(self) -> None:
        """Freeze the picture and the answers (live: the devices stay open; replay: playback)."""
        ...

    def resume(self) -> None:
        """Go on after `pause`; a recording begins again at its end, once that is analysed."""
        ...

    def snapshot(self) -> Snapshot:
        """What there is to show now; cheap enough for 60 calls a second."""
        ...

    def history(self, after_index: int = -1) -> Sequence[Prediction]:
        """Predictions kept with `window_index > after_index`, oldest first.

        Live: the last `history_seconds`; replay: of the whole recording so far.
        """
        ...


@runtime_checkable
class LiveControls(Session, Protocol):
    """A live session: devices can be changed while it runs."""

    @property
    def camera(self) -> str | None:
        """Selector of the camera in use ("0", a URL), None when switched off."""
        ...

    @property
    def microphone(self) -> str | None:
        """Selector of the microphone in use (its name or number), None when switched off."""
        ...

    def set_camera(self, selector: str | None) -> None:
        """Change the camera; None switches it off. Failures appear in `snapshot().health`."""
        ...

    def set_microphone(self, selector: str | None) -> None:
        """Change the microphone; None switches it off."""
        ...


@runtime_checkable
class ReplayControls(Session, Protocol):
    """A recording: it is analysed as fast as it goes, and played back beside that."""

    @property
    def path(self) -> Path:
        """The recording."""
        ...

    def seek(self, seconds: float) -> None:
        """Move playback; outside the recording it stops at the nearer end."""
        ...

    def set_speed(self, speed: float) -> None:
        """Set the playback speed, 0.25 to 4."""
        ...

    def set_muted(self, muted: bool) -> None:
        """Keep the recording's sound silent, or let it be heard (at a speed of 1)."""
        ...

    @property
    def written(self) -> Written | None:
        """What of it was written as it was analysed, None unless that was asked for."""
        ...

    def export(self, path: Path) -> Written:
        """Write the predictions so far as .csv or .jsonl, and tell how far they go.

        Raises OSError, and ValueError for another ending or for the recording itself.
        """
        ...

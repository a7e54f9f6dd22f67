"""Whether a session stands still, and why.

Thread: any.
"""

from __future__ import annotations

from typing import Final

from realtime.messages import Playback, SessionState, Snapshot, SourceState
from ui.present.words import PAUSED

WAITS_FOR_ANALYSIS: Final = "Waiting for the analysis"
SLOWED_BY_ANALYSIS: Final = "Slowed by the analysis"
PICTURE_FOLLOWS: Final = "Looking for the picture"
_HEELS_SECONDS: Final = 0.3  # nearer to the analysis than this, playback is held up by it


def is_paused(snapshot: Snapshot) -> bool:
    """Whether the session waits for the person to go on."""
    if snapshot.playback is None:
        return snapshot.state is SessionState.PAUSED
    return not snapshot.playback.playing


def is_ahead(snapshot: Snapshot) -> bool:
    """Whether a recording is played back, or stands, past what is analysed."""
    playback = snapshot.playback
    analysing = snapshot.state is SessionState.RUNNING and snapshot.prediction is None
    return playback is not None and analysing and playback.position > playback.analysed


def is_slowed(snapshot: Snapshot) -> bool:
    """Whether playback moves only as fast as the analysis, at whose heels it is."""
    playback = snapshot.playback
    analysing = snapshot.state is SessionState.RUNNING and snapshot.prediction is not None
    if playback is None or not analysing:
        return False
    return playback.playing and playback.analysed - playback.position <= _HEELS_SECONDS


def sound_hint(playback: Playback, *, on: bool) -> str:
    """What the sound's button says of itself; `on`: as the person wants it."""
    if playback.sound_problem:
        return f"No sound: {playback.sound_problem}"
    if not on:
        return "Sound is off (S)"
    if playback.speed != 1.0:
        return "Sound is on (S), heard at 1× only"
    waits = playback.sound_waits
    return "Sound is on (S)" + (", silent until the analysis is ahead" if waits else "")


def is_over(snapshot: Snapshot) -> bool:
    """Whether a recording is analysed, and played to its end."""
    playback = snapshot.playback
    at_end = playback is not None and 0.0 < playback.duration <= playback.position
    return at_end and snapshot.state is SessionState.ENDED


def badge(snapshot: Snapshot) -> str:
    """Live, why the picture is not of now; of a recording, why playback stands still or is slow.

    Else it is empty, as at an analysed end.
    """
    state, playback = snapshot.state, snapshot.playback
    if playback is None:
        if state is SessionState.PAUSED:
            return PAUSED
        return "Camera stalled" if snapshot.health.camera.state is SourceState.STALLED else ""
    if playback.picture_late:
        return PICTURE_FOLLOWS
    if playback.playing:
        if is_ahead(snapshot):
            return WAITS_FOR_ANALYSIS
        return SLOWED_BY_ANALYSIS if is_slowed(snapshot) else ""
    is_open = state in (SessionState.RUNNING, SessionState.ENDED)
    return PAUSED if is_open and not is_over(snapshot) else ""

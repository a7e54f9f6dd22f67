"""Why a face or a voice does not count, the gravest first."""

from __future__ import annotations

from typing import Final

from realtime.messages import STALLED, Reason

TOO_DARK: Final = Reason(
    name="too dark", told="too dark to see a face", short="too dark", rank=STALLED.rank + 4
)
CLIPPED: Final = Reason(  # speech so loud that the microphone cut its peaks off
    name="speech clipped",
    told="the sound is too loud and distorts",
    short="distorted",
    rank=STALLED.rank + 3,
)
FEW_PICTURES: Final = Reason(  # of the face: it has just come, or the camera is slow
    name="too few pictures",
    told="too few pictures of the face so far",
    short="too few pictures",
    rank=STALLED.rank + 2,
    at_first=True,
)
NO_FACE: Final = Reason(
    name="no face",
    told="no face in the picture",
    short="no face",
    rank=STALLED.rank + 1,
    at_first=True,
)
SILENCE: Final = Reason(  # which is no news where the picture is lost
    name="silence",
    told="nobody is speaking",
    short="no speech",
    rank=STALLED.rank - 1,
    at_first=True,
)

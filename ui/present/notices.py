"""What is wrong and what can be done; also what stands in place of a picture.

Thread: any.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path

from realtime.messages import Health, SessionState, Snapshot, SourceState
from ui.present.words import failure, sentence


class Remedy(StrEnum):
    """What the button of a notice does."""

    SESSION = "session"
    OPEN = "open"
    CAMERA = "camera"
    MICROPHONE = "microphone"
    DEVICES = "devices"  # camera and microphone
    ADDRESS = "address"  # of a network camera


class Severity(IntEnum):
    """How grave a notice is."""

    INFO = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A sentence that has to be seen, and perhaps a way out."""

    text: str
    severity: Severity = Severity.INFO
    remedy: Remedy | None = None


def gravest_first(found: Iterable[Notice]) -> list[Notice]:
    """By severity; those of the same stay in their order."""
    return sorted(found, key=lambda notice: notice.severity, reverse=True)


def notices(
    snapshot: Snapshot, *, network_camera: bool = False, recording: Path | None = None
) -> tuple[Notice, ...]:
    """What is wrong now, the gravest first."""
    live = snapshot.live
    found: list[Notice] = []
    if snapshot.state is SessionState.FAILED:
        text = failure(snapshot.message, recording) or "The analysis stopped."
        remedy = Remedy.SESSION if live or _was_opened(snapshot.health) else Remedy.OPEN
        found.append(Notice(text=text, severity=Severity.ERROR, remedy=remedy))
    # A network camera is tried again by itself; what people can do is to correct its address.
    mend = Remedy.ADDRESS if network_camera else Remedy.CAMERA
    sources = (
        ("Camera" if live else "Picture", snapshot.health.camera, mend),
        ("Microphone" if live else "Sound", snapshot.health.microphone, Remedy.MICROPHONE),
    )
    failed: list[Notice] = []
    for kind, source, remedy in sources:
        text = f"{kind}: {source.message}" if source.message else f"{kind} {source.state.value}"
        if source.state is SourceState.STALLED and not source.message and live:
            text = f"{kind}: nothing arrives. Check its cable, or choose another one above"
        if kind.casefold() in source.message.casefold():
            text = failure(source.message)
        if source.state is SourceState.FAILED:
            mending = remedy if live else None
            failed.append(Notice(text=text, severity=Severity.ERROR, remedy=mending))
        elif source.state in (SourceState.RETRYING, SourceState.STALLED) and live:
            address = remedy is Remedy.ADDRESS and source.state is SourceState.RETRYING
            mending = remedy if address else None
            found.append(Notice(text=text, severity=Severity.WARNING, remedy=mending))
    # Those of one weight in one notice: the first would hide the others.
    if live and len(failed) > 1:
        text = ". ".join(each.text.rstrip(".") for each in failed)
        failed = [Notice(text=text, severity=Severity.ERROR, remedy=Remedy.DEVICES)]
    found += failed
    if snapshot.flaws:
        text = sentence("; ".join(snapshot.flaws))
        found.append(Notice(text=text, severity=Severity.WARNING))
    if snapshot.notes:
        found.append(Notice(text=sentence("; ".join(snapshot.notes))))
    return tuple(gravest_first(found))


def _was_opened(health: Health) -> bool:
    """Whether something to analyse was found in the recording."""
    return {health.camera.state, health.microphone.state} != {SourceState.OFF}


def empty_picture(
    snapshot: Snapshot, *, cameras: bool = True, recording: Path | None = None
) -> tuple[str, str]:
    """Title and advice in place of the picture when there is none; `cameras`: some were found."""
    camera, live = snapshot.health.camera, snapshot.live
    if not live and snapshot.state is SessionState.FAILED:
        return "Nothing to show", failure(snapshot.message, recording) or "Open another recording"
    if not live and camera.state is SourceState.OFF:
        return "This recording has no picture", "Its sound is analysed"
    if not live:
        return "", ""  # the picture comes in a moment
    is_open = camera.state in (SourceState.RUNNING, SourceState.STALLED)
    if snapshot.state is SessionState.PAUSED and is_open:
        return "No picture", "It comes back when you resume"
    if camera.state in (SourceState.OPENING, SourceState.RUNNING):
        return "Opening the camera", camera.name
    if camera.state is SourceState.OFF:
        choose = "Choose one above" if cameras else "Connect a camera"
        return "No camera", f"{choose}, or open a recording"
    if camera.state is SourceState.RETRYING:
        return "No picture", "The camera is tried again; or choose another one above"
    choose = "Choose another camera above" if cameras else "Connect a camera"
    return "No picture", f"{choose}, or open a recording"

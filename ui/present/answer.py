"""The answer: its headline, its reason and its bars.

Thread: any.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from realtime.clock import clock_time
from realtime.messages import (
    LOW_CONFIDENCE,
    NO_INPUT,
    NO_SOURCE,
    STALLED,
    STARTING,
    Health,
    Playback,
    Prediction,
    Reason,
    SessionState,
    Snapshot,
    SourceState,
    Track,
)
from ui import palette
from ui.present.playback import is_ahead
from ui.present.words import PAUSED, UNKNOWN, listed, percent, roughly, sentence

NOT_SURE: Final = "Not sure"
NOT_COUNTED: Final = "Not counted"
SUMMARY: Final = "Summary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The one large label and the line below it."""

    headline: str
    detail: str
    confidence: str  # "87 %", or empty when not sure
    colour: str
    sure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One class among the bars."""

    name: str
    value: float  # smoothed probability, 0 when there is none
    text: str
    colour: str
    leading: bool  # this is the label


class Tag(NamedTuple):
    """What stands at the face box."""

    text: str
    colour: str
    sure: bool  # the answer rests on this face and has a label


UNANSWERED: Final = ("Waiting", "The first answer comes after a second of input")
NO_DEVICES: Final = ("No input", "No camera or microphone")
_UNAVAILABLE: Final = (SourceState.RETRYING, SourceState.FAILED)
BEFORE_THE_PAUSE: Final = "The last answer before the pause"


def absence(snapshot: Snapshot) -> tuple[str, str]:
    """Headline and detail where there is no answer."""
    state, playback = snapshot.state, snapshot.playback
    if state is SessionState.FAILED:
        return "No answer", "Nothing can be analysed"
    if state is SessionState.PAUSED:
        return PAUSED, "The first answer comes when you resume"
    if playback is None:
        return _live_absence(snapshot.health)
    goes_on = playback.playing and playback.position < playback.duration
    if is_ahead(snapshot):
        return "Not analysed yet", _wait(playback, snapshot.health.analysis_speed, goes_on)
    if not goes_on and state in (SessionState.RUNNING, SessionState.ENDED):
        is_whole = state is SessionState.ENDED
        return "Analysed" if is_whole else PAUSED, "Play, or choose a place below"
    return UNANSWERED


def _live_absence(health: Health) -> tuple[str, str]:
    """That the first answer is to come, unless nothing is there that it could come of."""
    states = {Track.PICTURES: health.camera.state, Track.SOUND: health.microphone.state}
    missing = {track for track, state in states.items() if state in _UNAVAILABLE}
    if any(state is not SourceState.OFF for track, state in states.items() if track not in missing):
        return UNANSWERED
    if not missing:
        return NO_DEVICES
    detail = _of_one(missing, "no picture arrives", "no sound arrives", NO_INPUT)
    return NO_DEVICES[0], sentence(detail)


def _wait(playback: Playback, analysis_speed: float, goes_on: bool) -> str:
    """What playback, or only the answer, waits for, and how long as far as one can tell."""
    reached = clock_time(playback.analysed)
    if not analysis_speed:
        what = "Playback" if goes_on else "The answer"
        return f"{what} waits for the analysis, now at {reached}"
    what = "Playback goes on" if goes_on else "The answer comes"
    seconds = (playback.position - playback.analysed) / analysis_speed
    return f"{what} in {roughly(seconds)}; analysed up to {reached}"


def answer(
    prediction: Prediction | None,
    absence: tuple[str, str] = UNANSWERED,
    *,
    window_seconds: float | None = None,
) -> Answer:
    """What the person shows, or that we are not sure and why; `absence` where there is none.

    `window_seconds`: what every answer looks back on, which is told where it is given.
    """
    if prediction is None:
        headline, detail = absence
        return Answer(
            headline=headline,
            detail=detail,
            confidence="",
            colour=palette.TEXT_FAINT,
            sure=False,
        )
    if prediction.label is None:
        reason = prediction.reason or LOW_CONFIDENCE
        headline, detail = NOT_SURE, reason.told
        if all(each.absent is NO_SOURCE for each in prediction.modalities):
            headline, detail = NO_DEVICES
        elif reason is STARTING:
            detail = _started(prediction)
        elif reason is NO_INPUT:
            detail = _missing_input(prediction)
        if reason is LOW_CONFIDENCE and (leader := likeliest(prediction)) is not None:
            detail = f"{detail}; likeliest is {leader}, {percent(prediction.confidence)}"
        return Answer(
            headline=headline,
            detail=sentence(detail),
            confidence="",
            colour=palette.TEXT_FAINT,
            sure=False,
        )
    present = [report.name for report in prediction.modalities if report.present]
    detail = f"from the {listed(present)}" if present else ""
    if present and window_seconds is not None:
        detail += f" of the last {window_seconds:g} s"
    if (leader := likeliest(prediction)) not in (None, prediction.label):
        detail = f"perhaps turning to {leader}"  # else label and bars contradict each other
    return Answer(
        headline=sentence(prediction.label),
        detail=sentence(detail),
        confidence=percent(prediction.confidence),
        colour=palette.class_colour(prediction.label, prediction.labels),
        sure=True,
    )


def summary(shares: Sequence[float], labels: Sequence[str]) -> tuple[Answer, tuple[Bar, ...]]:
    """What a whole recording came to; `shares`: part of the time of each class, 0..1."""
    most = max(range(len(labels)), key=shares.__getitem__)
    ever = shares[most] > 0.0
    unsure = max(1.0 - sum(shares), 0.0)
    shown = Answer(
        headline=SUMMARY,
        detail=f"Share of the time; not sure for {percent(unsure)}",
        confidence="",
        colour=palette.TEXT_FAINT,
        sure=False,
    )
    return shown, tuple(
        Bar(
            name=sentence(name),
            value=share,
            text=percent(share),
            colour=palette.class_colour(name, labels),
            leading=ever and index == most,
        )
        for index, (name, share) in enumerate(zip(labels, shares, strict=True))
    )


def spoken(shown: Answer, bars: Iterable[Bar] = ()) -> str:
    """An answer as screen readers tell it: with its reason, and what its bars show."""
    figures = ", ".join(f"{bar.name} {bar.text}" for bar in bars if bar.text != UNKNOWN)
    told = (f"{shown.headline} {shown.confidence}".strip(), shown.detail, figures)
    return ". ".join(part for part in told if part)


def tag(prediction: Prediction | None) -> Tag:
    """The tag at the face box; no text where there is no answer."""
    if prediction is None:
        return Tag("", palette.TEXT_SOFT, sure=False)
    if prediction.label is None:
        return Tag(NOT_SURE, palette.TEXT_SOFT, sure=False)
    for report in prediction.modalities:
        if report.track is Track.PICTURES and not report.present:
            # The answer is the voice's.
            return Tag(NOT_COUNTED, palette.TEXT_SOFT, sure=False)
    text = f"{sentence(prediction.label)}  {percent(prediction.confidence)}"
    return Tag(text, palette.class_colour(prediction.label, prediction.labels), sure=True)


def bars(prediction: Prediction | None, labels: Sequence[str]) -> tuple[Bar, ...]:
    """One bar per class; `labels` are their names in the network's order."""
    values = None if prediction is None else prediction.smoothed
    label = None if prediction is None else prediction.label
    return tuple(
        Bar(
            name=sentence(name),
            value=0.0 if values is None else float(values[index]),
            text=percent(None if values is None else float(values[index])),
            colour=palette.class_colour(name, labels),
            leading=name == label,
        )
        for index, name in enumerate(labels)
    )


def likeliest(prediction: Prediction) -> str | None:
    """Name of the class with the largest smoothed probability."""
    if prediction.smoothed is None:
        return None
    return prediction.labels[int(np.argmax(prediction.smoothed))]


def _started(prediction: Prediction) -> str:
    """What has just started; what is off, or missing in a recording, has not."""
    there = {each.track for each in prediction.modalities if each.absent is not NO_SOURCE}
    return _of_one(there, "just started, watching", "just started, listening", STARTING)


def _missing_input(prediction: Prediction) -> str:
    """Which track should deliver and does not; of the other one nothing counts, or it is off."""
    missing = {each.track for each in prediction.modalities if each.absent is STALLED}
    return _of_one(missing, "no picture arrives", "no sound arrives", NO_INPUT)


def _of_one(tracks: set[Track], pictures: str, sound: str, otherwise: Reason) -> str:
    """The words for the one track there is among `tracks`, else those for the reason."""
    words = {Track.PICTURES: pictures, Track.SOUND: sound}
    return words[next(iter(tracks))] if len(tracks) == 1 else otherwise.told

"""Messages → what the views draw: texts, bars, colours. No Qt, no clock, no state.

Thread: any.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from realtime.clock import clock_time
from realtime.messages import (
    Attention,
    Health,
    ModalityReport,
    Playback,
    Prediction,
    Reason,
    SessionState,
    Snapshot,
    SourceHealth,
    SourceState,
    Status,
    Track,
)
from ui import palette

PRIVACY: Final = "Nothing leaves this computer; nothing is stored unless you ask for it."
NOT_SURE: Final = "Not sure"

REASON_WORDS: Final = {
    Reason.STARTING: "just started, watching and listening",
    Reason.NO_FACE: "no face in the picture",
    Reason.FEW_PICTURES: "too few pictures of the face so far",
    Reason.TOO_DARK: "too dark to see a face",
    Reason.SILENCE: "nobody is speaking",
    Reason.CLIPPED: "the sound is too loud and distorts",
    Reason.NO_INPUT: "neither picture nor sound arrives",
    Reason.LOW_CONFIDENCE: "no expression stands out",
}

STATUS_WORDS: Final = {
    Status.PRESENT: "",
    Status.NO_SOURCE: "switched off",  # live; what a recording lacks has other words
    Status.STALLED: "no input arrives",
    Status.NO_FACE: "no face",
    Status.FEW_PICTURES: "too few pictures",
    Status.TOO_DARK: "too dark",
    Status.SILENCE: "silence",
    Status.CLIPPED: "distorted",
}

STATE_COLOURS: Final = {
    SourceState.OFF: palette.TEXT_FAINT,
    SourceState.OPENING: palette.WARNING,
    SourceState.RUNNING: palette.GOOD,
    SourceState.STALLED: palette.WARNING,
    SourceState.RETRYING: palette.WARNING,
    SourceState.ENDED: palette.TEXT_FAINT,
    SourceState.FAILED: palette.ERROR,
}


# -- the answer --------------------------------------------------------------------------------


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


UNANSWERED: Final = ("Waiting", "The first answer comes after a second of input")
NO_DEVICES: Final = ("No input", "No camera or microphone")
WAITS_FOR_ANALYSIS: Final = "Waiting for the analysis"
SLOWED_BY_ANALYSIS: Final = "Slowed by the analysis"
PAUSED: Final = "Paused"
BEFORE_THE_PAUSE: Final = "The last answer before the pause"


def absence(snapshot: Snapshot) -> tuple[str, str]:
    """Headline and detail where there is no answer."""
    state, playback = snapshot.state, snapshot.playback
    if state is SessionState.FAILED:
        return "No answer", "Nothing can be analysed"
    if state is SessionState.PAUSED:
        return PAUSED, "The first answer comes when you go on"
    if playback is None:
        return UNANSWERED
    goes_on = playback.playing and playback.position < playback.duration
    if is_ahead(snapshot):
        return "Not analysed yet", _wait(playback, snapshot.health.analysis_speed, goes_on)
    if not goes_on and state in (SessionState.RUNNING, SessionState.ENDED):
        is_whole = state is SessionState.ENDED
        return "Analysed" if is_whole else PAUSED, "Play, or click the timeline"
    return UNANSWERED


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
        reason = prediction.reason or Reason.LOW_CONFIDENCE
        headline, detail = NOT_SURE, REASON_WORDS[reason]
        if all(each.status is Status.NO_SOURCE for each in prediction.modalities):
            headline, detail = NO_DEVICES
        elif reason is Reason.STARTING:
            detail = _started(prediction)
        elif reason is Reason.NO_INPUT:
            detail = _missing_input(prediction)
        if reason is Reason.LOW_CONFIDENCE and (leader := likeliest(prediction)) is not None:
            detail = f"{detail}; likeliest is {leader}, {percent(prediction.confidence)}"
        return Answer(
            headline=headline,
            detail=sentence(detail),
            confidence="",
            colour=palette.TEXT_FAINT,
            sure=False,
        )
    present = [report.name for report in prediction.modalities if report.present]
    detail = f"from {listed(present)}" if present else ""
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


def axis_end(*, paused: bool) -> str:
    """What a live axis of time ends with."""
    return "pause" if paused else "now"


def spoken(shown: Answer, bars: Iterable[Bar] = ()) -> str:
    """An answer as screen readers tell it: with its reason, and what its bars show."""
    figures = ", ".join(f"{bar.name} {bar.text}" for bar in bars if bar.text != UNKNOWN)
    told = (f"{shown.headline} {shown.confidence}".strip(), shown.detail, figures)
    return ". ".join(part for part in told if part)


def tag(prediction: Prediction | None) -> tuple[str, str]:
    """Text and colour of the tag at the face box; no text where there is no answer."""
    if prediction is None:
        return "", palette.TEXT_SOFT
    if prediction.label is None:
        return NOT_SURE, palette.TEXT_SOFT
    text = f"{sentence(prediction.label)}  {percent(prediction.confidence)}"
    return text, palette.class_colour(prediction.label, prediction.labels)


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


# -- what counted ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How much one modality counted, beside what it would get at equal weight."""

    name: str
    share: float | None
    equal: float | None
    text: str  # "62 %", or in one word why it is absent
    opinion: str  # what this modality alone would say of this window, not steadied


def shares(prediction: Prediction | None, modalities: Sequence[str]) -> tuple[Share, ...]:
    """One row per modality in the network's order; `modalities` names them without an answer."""
    if prediction is None:
        return tuple(
            Share(name=sentence(name), share=None, equal=None, text="–", opinion="")
            for name in modalities
        )
    starting = prediction.reason is Reason.STARTING
    is_live = prediction.time_of_day is not None
    return tuple(
        _share(report, starting=starting, live=is_live) for report in prediction.modalities
    )


def _share(report: ModalityReport, *, starting: bool, live: bool) -> Share:
    name = sentence(report.name)
    if not report.present or report.share is None:
        words = _status_words(report, live=live)
        if starting and report.status in (Status.NO_FACE, Status.FEW_PICTURES, Status.SILENCE):
            words = "starting"  # nothing could be seen or heard yet
        return Share(name=name, share=None, equal=None, text=words, opinion="")
    return Share(
        name=name,
        share=report.share,
        equal=report.chance_share,
        text=percent(report.share),
        opinion=f"alone: {report.label}" if report.label else "",
    )


def _status_words(report: ModalityReport, *, live: bool) -> str:
    """Why a modality did not count. A recording may lack a track, or only the end of it."""
    if report.status is Status.NO_SOURCE and not live:
        return {Track.PICTURES: "no picture here", Track.SOUND: "no sound here"}[report.track]
    return STATUS_WORDS[report.status]


def _started(prediction: Prediction) -> str:
    """What has just started; what is off, or missing in a recording, has not."""
    there = {each.track for each in prediction.modalities if each.status is not Status.NO_SOURCE}
    return _of_one(there, "just started, watching", "just started, listening", Reason.STARTING)


def _missing_input(prediction: Prediction) -> str:
    """Which track should deliver and does not; of the other one nothing counts, or it is off."""
    missing = {each.track for each in prediction.modalities if each.status is Status.STALLED}
    return _of_one(missing, "no picture arrives", "no sound arrives", Reason.NO_INPUT)


def _of_one(tracks: set[Track], pictures: str, sound: str, otherwise: Reason) -> str:
    """The words for the one track there is among `tracks`, else those for the reason."""
    words = {Track.PICTURES: pictures, Track.SOUND: sound}
    return words[next(iter(tracks))] if len(tracks) == 1 else REASON_WORDS[otherwise]


def sound_absence(prediction: Prediction) -> str:
    """Why a modality that is taken from sound did not count, "" where there is no such thing."""
    for report in prediction.modalities:
        if report.track is Track.SOUND and not report.present:
            words = _status_words(report, live=prediction.time_of_day is not None)
            return f"{report.name} not counted: {words}"
    return ""


def voice_known(prediction: Prediction | None) -> str:
    """From how much speech the voice is known, "" from less than a second of it."""
    seconds = 0.0 if prediction is None else prediction.speaker_seconds
    return f"voice known from {seconds:.0f} s of speech" if seconds >= 1.0 else ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionPanel:
    """One depth of MSAF as a picture: rows are channel blocks, columns channels."""

    title: str
    groups: tuple[tuple[str, int, bool], ...]  # modality, its number of blocks, present
    # (blocks, channels) log2 of weight ÷ uniform share, group after group; NaN absent
    factors: NDArray[np.float32]

    def rows(self, modality: str) -> NDArray[np.float32] | None:
        """The factors of one modality, None where it has no blocks or is absent."""
        first = 0
        for name, count, present in self.groups:
            if name == modality:
                return self.factors[first : first + count] if present else None
            first += count
        return None


DEPTH_TITLES: Final = {"maps": "Feature maps", "sequences": "Sequences"}


def attention_panels(prediction: Prediction | None) -> tuple[AttentionPanel, ...]:
    """One panel per depth; empty when no modality was there."""
    if prediction is None:
        return ()
    present = {report.name: report.present for report in prediction.modalities}
    return tuple(_attention_panel(each, present) for each in prediction.attention)


def _attention_panel(attention: Attention, present: dict[str, bool]) -> AttentionPanel:
    names = attention.modalities
    there = np.array([present.get(name, False) for name in names])
    uniform = 1.0 / max(int(there.sum()), 1)
    with np.errstate(divide="ignore"):
        factors = np.log2(np.maximum(attention.weights, 1e-6) / uniform).astype(np.float32)
    factors[~there] = np.nan
    unique = _unique(names)
    factors = factors[np.argsort([unique.index(name) for name in names], kind="stable")]
    groups = tuple((name, names.count(name), present.get(name, False)) for name in unique)
    return AttentionPanel(
        title=DEPTH_TITLES.get(attention.name, sentence(attention.name)),
        groups=groups,
        factors=factors,
    )


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def moments_curve(moments: NDArray[np.float32], top: float = 6.0) -> NDArray[np.float32]:
    """Weights of the moments, which sum to 1, as heights 0..1 where `top` × uniform is 1."""
    return np.clip(moments * len(moments) / top, 0.0, 1.0).astype(np.float32)


# -- timeline ----------------------------------------------------------------------------------


_MOST_TOLD: Final = 10  # stretches, of which the one where playback stands is the last but one


def timeline_words(
    stretches: Sequence[tuple[str, float, float]],
    *,
    position: float | None = None,
    end: float = 0.0,
    paused: bool = False,
) -> str:
    """The timeline as screen readers tell it, from `stretches` of label, start and end in seconds.

    In a recording those around `position`; live the last ones, by how long before `end` they were.
    """
    if position is None:
        told = ", ".join(
            f"{name} {_reach(f'{end - start:.0f}', f'{end - stop:.0f}')} s"
            for name, start, stop in stretches[-_MOST_TOLD:]
        )
        return told and f"{told} {'before the pause' if paused else 'ago'}"
    begun = sum(start <= position for _, start, _ in stretches)
    first = max(0, min(begun + 1, len(stretches)) - _MOST_TOLD)
    told = ", ".join(
        f"{name} {_reach(clock_time(start), clock_time(stop))}"
        for name, start, stop in stretches[first : first + _MOST_TOLD]
    )
    return f"{told}; at {clock_time(position)}".removeprefix("; ")


def _reach(start: str, end: str) -> str:
    return start if start == end else f"{start}–{end}"


# -- playback ----------------------------------------------------------------------------------


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


# -- status line -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One figure of the status line."""

    caption: str
    text: str
    tip: str
    colour: str | None = None  # of a dot before the text


def status_cells(health: Health, shown_rate: float, *, live: bool) -> tuple[Cell, ...]:
    """Always the same cells in the same order, whatever is known; the last three are states.

    `shown_rate`: pictures shown per second.
    """
    stands = health.camera.state is SourceState.OFF or round(shown_rate) < 1
    picture = Cell(
        caption="Picture",
        text=UNKNOWN if stands else f"{shown_rate:.0f} fps",
        tip=f"Pictures of the {'camera' if live else 'recording'} shown per second",
    )
    engine = Cell(
        caption="Engine",
        text=health.engine or UNKNOWN,
        tip="The software that computes the answers, and the processor it uses",
    )
    if not live:
        return (
            picture,
            _analysis_cell(health),
            track_cell("Picture", health.camera),
            track_cell("Sound", health.microphone),
            engine,
        )
    p50, p95 = milliseconds(health.latency_p50), milliseconds(health.latency_p95)
    return (
        picture,
        Cell(
            caption="Answers",
            text=f"{health.answer_rate:.1f} /s",
            tip="Answers per second, over the last five seconds",
        ),
        Cell(
            caption="Delay p50 · p95",
            text="–" if health.latency_p50 is None else f"{p50} · {p95} ms",
            tip=(
                "From the newest picture or sound to the answer that counts it: half of them come\n"
                "within the first time (p50, the median), 95 of 100 within the second (p95)"
            ),
        ),
        Cell(
            caption="Skipped · dropped",
            text=f"{health.windows_skipped} · {health.camera.dropped + health.microphone.dropped}",
            tip=(
                f"Left out because newer ones waited: {health.windows_skipped} answers, "
                f"{health.frames_skipped} pictures\n"
                f"Lost before they arrived: {health.camera.dropped} pictures, "
                f"{health.microphone.dropped} pieces of sound"
            ),
        ),
        Cell(
            caption="Sound − picture",
            text=(
                "–"
                if health.sound_offset is None
                else f"{1000 * health.sound_offset:+.0f} ms".replace("-", "\u2212")
            ),
            tip="How much later the sound arrives than the picture of the same moment",
        ),
        source_cell("Camera", health.camera),
        source_cell("Microphone", health.microphone),
        engine,
    )


def _analysis_cell(health: Health) -> Cell:
    """How fast a recording is analysed, or that this is done."""
    states = {health.camera.state, health.microphone.state}
    speed = f"{health.analysis_speed:.1f}×" if health.analysis_speed else "–"
    return Cell(
        caption="Analysis",
        text="done" if SourceState.ENDED in states else speed,
        tip="How fast the recording is analysed; 1× is as fast as it plays",
    )


def source_cell(caption: str, source: SourceHealth) -> Cell:
    """The state of one source as a cell with a coloured dot."""
    told = source.message or source.state.value
    is_off = source.state is SourceState.OFF  # and called "none"
    return Cell(
        caption=caption,
        text=source.state.value,
        tip=f"The {caption.lower()} is switched off" if is_off else f"{source.name}: {told}",
        colour=STATE_COLOURS[source.state],
    )


_TRACK_WORDS: Final = {
    SourceState.OPENING: "–",
    SourceState.RUNNING: "being read",
    SourceState.ENDED: "read",
}


def track_cell(kind: str, track: SourceHealth) -> Cell:
    """How far one track of a recording is read, which may lack it."""
    cell = source_cell(f"{kind} track", track)
    if (word := _TRACK_WORDS.get(track.state)) is not None:
        cell = replace(cell, text=word, tip=f"{track.name}: {word}")
    if track.state is SourceState.OFF:
        return replace(cell, text="none", tip=f"No {kind.lower()} in this recording", colour=None)
    return cell


def level_fraction(level: float | None) -> float:
    """A sound level in dBFS as a length 0..1 of the meter, which begins at -60."""
    return 0.0 if level is None else min(max((level + 60.0) / 60.0, 0.0), 1.0)


# -- notices -----------------------------------------------------------------------------------


class Remedy(StrEnum):
    """What the button of a notice does."""

    SESSION = "session"
    OPEN = "open"
    CAMERA = "camera"
    MICROPHONE = "microphone"
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
    live = snapshot.playback is None
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
    for kind, source, remedy in sources:
        text = f"{kind}: {source.message}" if source.message else f"{kind} {source.state.value}"
        if kind.casefold() in source.message.casefold():
            text = failure(source.message)
        if source.state is SourceState.FAILED:
            mending = remedy if live else None
            found.append(Notice(text=text, severity=Severity.ERROR, remedy=mending))
        elif source.state in (SourceState.RETRYING, SourceState.STALLED) and live:
            address = remedy is Remedy.ADDRESS and source.state is SourceState.RETRYING
            mending = remedy if address else None
            found.append(Notice(text=text, severity=Severity.WARNING, remedy=mending))
    if snapshot.notes:  # in one: they are of one weight, and the first would hide the others
        found.append(Notice(text=sentence("; ".join(snapshot.notes))))
    return tuple(gravest_first(found))


def _was_opened(health: Health) -> bool:
    """Whether something to analyse was found in the recording."""
    return {health.camera.state, health.microphone.state} != {SourceState.OFF}


def empty_picture(
    snapshot: Snapshot, *, cameras: bool = True, recording: Path | None = None
) -> tuple[str, str]:
    """Title and advice in place of the picture when there is none; `cameras`: some were found."""
    camera, live = snapshot.health.camera, snapshot.playback is None
    if not live and snapshot.state is SessionState.FAILED:
        return "Nothing to show", failure(snapshot.message, recording) or "Open another recording"
    if not live and camera.state is SourceState.OFF:
        return "This recording has no picture", "Its sound is analysed"
    if not live:
        return "", ""  # the picture comes in a moment
    is_open = camera.state in (SourceState.RUNNING, SourceState.STALLED)
    if snapshot.state is SessionState.PAUSED and is_open:
        return "No picture", "It comes when you go on"
    if camera.state in (SourceState.OPENING, SourceState.RUNNING):
        return "Opening the camera", camera.name
    if camera.state is SourceState.OFF:
        choose = "Choose one above" if cameras else "Connect a camera"
        return "No camera", f"{choose}, or open a recording"
    if camera.state is SourceState.RETRYING:
        return "No picture", "The camera is tried again; or choose another one above"
    return "No picture", "Choose another camera above, or open a recording"


def badge(snapshot: Snapshot) -> str:
    """Live, why the picture is not of now; of a recording, why playback stands still or is slow.

    Else it is empty, as at an analysed end.
    """
    state, playback = snapshot.state, snapshot.playback
    if playback is None:
        if state is SessionState.PAUSED:
            return PAUSED
        return "Camera stalled" if snapshot.health.camera.state is SourceState.STALLED else ""
    if playback.playing:
        if is_ahead(snapshot):
            return WAITS_FOR_ANALYSIS
        return SLOWED_BY_ANALYSIS if is_slowed(snapshot) else ""
    is_over = playback.position >= playback.duration and state is SessionState.ENDED
    is_open = state in (SessionState.RUNNING, SessionState.ENDED)
    return PAUSED if is_open and not is_over else ""


# -- words and numbers -------------------------------------------------------------------------


LEAST_DRAWN: Final = 0.005  # what is less than half a per cent has no bar
UNKNOWN: Final = "–"
_ROUNDING: Final = 1e-6  # of single precision: nearer than this is the same


def sentence(text: str) -> str:
    """`text` with a capital first letter."""
    return text[:1].upper() + text[1:]


def failure(text: str, path: Path | None = None) -> str:
    """`text` as a sentence, unless that would alter the name of a file: `path`'s, or another's."""
    is_known = path is not None and text.startswith((str(path), path.name))
    is_name = is_known or any(mark in text.partition(" ")[0] for mark in "./\\")
    return text if is_name else sentence(text)


def listed(names: Sequence[str]) -> str:
    """`names` as a list in a sentence."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def percent(value: float | None) -> str:
    """0..1 as whole per cent; what is only nearly none or all is not called so."""
    if value is None:
        return UNKNOWN
    if _ROUNDING < value < LEAST_DRAWN:
        return "<1\u202f%"
    if 0.995 <= value < 1.0 - _ROUNDING:
        return ">99\u202f%"
    return f"{100.0 * value:.0f}\u202f%"


def roughly(seconds: float) -> str:
    """A duration that is only estimated, in its largest unit."""
    if seconds < 59.5:
        return f"about {max(seconds, 1.0):.0f} s"
    if seconds < 5370:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.1f} h"


def decibels(level: float) -> str:
    """A sound level in dBFS, whole, with a true minus sign."""
    return f"{max(level, -99.0):.0f} dB".replace("-", "\u2212")


def milliseconds(seconds: float | None) -> str:
    """Seconds as whole milliseconds without their unit."""
    return "–" if seconds is None else f"{1000.0 * seconds:.0f}"

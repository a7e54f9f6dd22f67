"""The figures of the status line.

Thread: any.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from realtime.messages import Health, SourceHealth, SourceState
from ui import palette
from ui.present.words import UNKNOWN, milliseconds

STATE_COLOURS: Final = {
    SourceState.OFF: palette.TEXT_FAINT,
    SourceState.OPENING: palette.WARNING,
    SourceState.RUNNING: palette.GOOD,
    SourceState.STALLED: palette.WARNING,
    SourceState.RETRYING: palette.WARNING,
    SourceState.ENDED: palette.TEXT_FAINT,
    SourceState.FAILED: palette.ERROR,
}


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
        caption="Shown",
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
            caption="Written" if health.written_to else "Answers",
            text=f"{health.answer_rate:.1f} /s",
            tip="Answers per second, over the last five seconds"
            + (f"\nThey are written to {health.written_to}" if health.written_to else ""),
            colour=palette.ERROR if health.written_to else None,
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
                f"{health.frames_skipped} pictures. "
                f"Not readable: {health.camera.dropped} pictures. Lost before they arrived: "
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
            tip="How much later the sound arrives than the picture; of the camera's own delay "
            "nothing is known",
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
        tip=f"No {caption.lower()} is in use" if is_off else f"{source.name}: {told}",
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

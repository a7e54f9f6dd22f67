"""The figures of the status line."""

from dataclasses import replace
from itertools import product

import pytest

from realtime.messages import Health, SourceHealth, SourceState
from ui import palette
from ui.present import status, words

RUNNING = SourceHealth(name="Camera", state=SourceState.RUNNING)
OFF = SourceHealth(name="none")


def test_status_cells_keep_their_number() -> None:
    known = Health(
        camera=replace(RUNNING, dropped=3),
        microphone=replace(RUNNING, dropped=1),
        latency_p50=0.0414,
        latency_p95=0.09,
        windows_skipped=2,
        sound_offset=-0.0123,
    )
    unknown = Health(camera=SourceHealth(name="none"), microphone=SourceHealth(name="none"))
    full = status.status_cells(known, 30.0, live=True)
    texts = {cell.caption: cell.text for cell in full}
    assert texts["Delay p50 · p95"] == "41 · 90 ms"
    assert texts["Skipped · dropped"] == "2 · 4"
    assert texts["Sound − picture"] == "\u221212 ms"
    assert len(full) == len(status.status_cells(unknown, 0.0, live=True))
    replayed = [len(status.status_cells(each, 30.0, live=False)) for each in (known, unknown)]
    assert replayed == [5, 5]


def test_where_no_picture_follows_another_there_is_no_rate() -> None:
    health = Health(camera=RUNNING, microphone=RUNNING)
    paused, sought = 0.0, 0.5  # one in two seconds
    for is_live, rate in product((True, False), (paused, sought)):
        assert status.status_cells(health, rate, live=is_live)[0].text == words.UNKNOWN
    shown = status.status_cells(health, 29.8, live=True)
    assert shown[0].text == "30 fps"


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("source", [RUNNING, OFF])
def test_every_figure_of_the_status_line_is_explained_in_plain_words(
    source: SourceHealth, live: bool
) -> None:
    cells = status.status_cells(Health(camera=source, microphone=source), 30.0, live=live)
    tips = {cell.caption: cell.tip for cell in cells}
    assert len(tips) == len(cells)
    assert all(len(tip) > 6 for tip in tips.values())
    for word in ("none", "sample", "window", "percentile", "prediction", "frames"):
        assert not any(word in tip.casefold() for tip in tips.values()), word


def test_sound_level_becomes_a_length() -> None:
    assert [status.level_fraction(level) for level in (None, -90, -60, -30, 0, 3)] == [
        0.0, 0.0, 0.0, 0.5, 1.0, 1.0,
    ]  # fmt: skip


def test_a_recording_without_pictures_has_no_picture_track() -> None:
    cells = status.status_cells(Health(camera=OFF, microphone=RUNNING), 0.0, live=False)
    shown = {cell.caption: (cell.text, cell.colour) for cell in cells}
    assert shown["Shown"] == ("–", None)
    assert shown["Picture track"] == ("none", None)
    assert shown["Sound track"] == ("being read", palette.GOOD)


@pytest.mark.parametrize(
    ("state", "speed", "track", "analysis"),
    [
        (SourceState.OPENING, 0.0, "–", "–"),
        (SourceState.RUNNING, 4.62, "being read", "4.6×"),
        (SourceState.ENDED, 0.0, "read", "done"),
    ],
)
def test_the_status_of_a_recording_is_not_that_of_devices(
    state: SourceState, speed: float, track: str, analysis: str
) -> None:
    source = SourceHealth(name="talk.mp4", state=state)
    health = Health(camera=source, microphone=source, analysis_speed=speed)
    cells = {cell.caption: cell for cell in status.status_cells(health, 30.0, live=False)}
    texts = [cells[name].text for name in ("Picture track", "Sound track", "Analysis")]
    assert texts == [track, track, analysis]
    assert "Delay p50 · p95" not in cells
    assert not any("amera" in cell.tip for cell in cells.values())


def test_answers_that_are_written_say_where() -> None:
    health = Health(camera=RUNNING, microphone=OFF, written_to="sessions/monday.csv")
    (cell,) = (
        each for each in status.status_cells(health, 30.0, live=True) if each.caption == "Written"
    )
    assert "sessions/monday.csv" in cell.tip
    assert cell.colour == palette.ERROR  # as of what records

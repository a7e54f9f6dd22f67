"""The window on other tasks than emotions from face and voice."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import QRectF, QSize
from PyQt6.QtGui import QFont, QPainter
from PyQt6.QtWidgets import QApplication

from realtime.emotion.reasons import CLIPPED, NO_FACE, SILENCE, TOO_DARK
from realtime.messages import (
    NO_INPUT,
    NO_SOURCE,
    STALLED,
    Attention,
    ModalityReport,
    Prediction,
    Reason,
    Track,
)
from tests.fakes.session import FakeLiveSession, ManualTime
from tests.ui.conftest import OpenWindow, has_colour
from ui import palette
from ui.main_window import MainWindow
from ui.panel import text_width
from ui.present.answer import answer as shown_answer
from ui.present.attention import attention_panels
from ui.present.shares import sound_absence

BLOCKS = 4  # channel blocks per modality
TASKS = {
    "light": ("light",),
    "light and noise": ("light", "noise"),
    "text, voice and skeleton": ("text", "voice", "skeleton"),
}
HEARD = ("noise", "text", "voice")
LABELS = ("day", "night", "party")
DEPTHS = ("maps", "sequences", "words")


def reports(**statuses: Reason | None) -> tuple[ModalityReport, ...]:
    present = sum(status is None for status in statuses.values())
    return tuple(
        ModalityReport(
            name=name,
            track=Track.SOUND if name in HEARD else Track.PICTURES,
            absent=status,
            share=1 / present if status is None else None,
            chance_share=1 / present if status is None else None,
            label=LABELS[0] if status is None else None,
        )
        for name, status in statuses.items()
    )


def answer(index: int, depths: int, **statuses: Reason | None) -> Prediction:
    """An answer of another task, of which there is nothing to show but what every task has."""
    smoothed = np.array([0.1, 0.2, 0.7], np.float32)
    blocks = [name for name in statuses for _ in range(BLOCKS)]
    there = np.array([statuses[name] is None for name in blocks])[:, None]
    weights = (np.ones((len(blocks), 8)) * there / max(there.sum(), 1)).astype(np.float32)
    return Prediction(
        window_index=index,
        window_end=index * 0.1,
        labels=LABELS,
        label="party",
        reason=None,
        confidence=0.7,
        logits=smoothed,
        probabilities=smoothed,
        smoothed=smoothed,
        modalities=reports(**statuses),
        attention=tuple(
            Attention(name=name, weights=weights, modalities=tuple(blocks))
            for name in DEPTHS[:depths]
        ),
    )


def unanswered(index: int, reason: Reason, **statuses: Reason | None) -> Prediction:
    return replace(
        answer(index, 0, **statuses),
        label=None,
        reason=reason,
        confidence=None,
        logits=None,
        probabilities=None,
        smoothed=None,
    )


class OtherSession(FakeLiveSession):
    """Gives the answers that it is told to."""

    def __init__(self, now: ManualTime, answers: list[Prediction]) -> None:
        super().__init__(now, loading_seconds=0.0)
        self._answers = answers

    def prediction(self, index: int) -> Prediction:
        """They follow one another, and the last one stays; the same object each time."""
        if index not in self._cache:
            made = self._answers[min(index, len(self._answers)) - 1]
            self._cache[index] = replace(made, window_index=index, window_end=index * 0.1)
        return self._cache[index]


class Painted:
    """What a view writes: texts with the room and the font that they have."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, view: str) -> None:
        self.texts: dict[str, tuple[QRectF, QFont]] = {}
        monkeypatch.setattr(f"ui.{view}.write", self._note)

    def _note(self, _: QPainter, area: QRectF, text: str, font: QFont, *rest: Any) -> None:
        self.texts[text] = (QRectF(area), font)

    def line(self, text: str) -> QRectF:
        """Where a text lies: as wide as its room, as high as its capitals and descenders."""
        area, font = self.texts[text]
        line = QRectF(area.left(), 0, area.width(), font.pixelSize())
        line.moveCenter(area.center())
        return line

    def is_whole(self, text: str) -> bool:
        """Whether it is drawn, and not shortened."""
        area, font = self.texts[text]
        return text_width(text, font) <= area.width()


def resize(window: MainWindow, size: QSize) -> None:
    window.resize(size)
    QApplication.processEvents()  # a window lays its views out when it gets round to it
    window.grab()


SIZES = (QSize(960, 600), QSize(1280, 720), QSize(2560, 1440), QSize(960, 1000), QSize(1080, 1920))


@pytest.mark.parametrize("depths", [1, 2, 3])
@pytest.mark.parametrize("names", TASKS.values(), ids=TASKS)
def test_every_modality_has_its_place(
    open_window: OpenWindow,
    now: ManualTime,
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...],
    depths: int,
) -> None:
    written = {view: Painted(monkeypatch, f"{view}_view") for view in ("share", "attention")}
    all_there = dict.fromkeys(names, None)
    last_absent = all_there | ({names[-1]: STALLED} if len(names) > 1 else {})
    none_there = dict.fromkeys(names, STALLED)
    answers = [
        unanswered(1, NO_INPUT, **none_there),
        answer(2, depths, **all_there),
        answer(3, depths, **last_absent),
        unanswered(4, NO_INPUT, **none_there),
        answer(5, depths, **all_there),
    ]
    window = open_window(OtherSession(now, answers), labels=LABELS, modalities=names)
    for step in answers:
        now.advance(0.1)
        window.bridge.poll()
        for size in SIZES:
            for each in written.values():
                each.texts.clear()
            resize(window, size)
            present = [report.name.capitalize() for report in step.modalities if report.present]
            told = window.views.shares.accessibleDescription()
            assert all(f"{name} {100 / len(present):.0f}" in told for name in present)
            for view, widget in (
                ("share", window.views.shares),
                ("attention", window.views.attention),
            ):
                lines = [written[view].line(name.capitalize()) for name in names]
                for name, line in zip(names, lines, strict=True):
                    assert written[view].is_whole(name.capitalize()), (view, name, size)
                    assert widget.content().contains(line), (view, name, size)
                assert all(a.bottom() <= b.top() for a, b in pairwise(lines)), (view, size)
            if not step.attention:
                continue
            cells = window.views.attention.cells()
            assert len(cells) == len(names) * depths
            assert not any(a.intersects(b) for a, b in combinations(cells, 2))
            pictures = [each.widget for each in window.views.attention._pictures]
            shown = [each.geometry() for each in pictures if each.isVisible()]
            there = [report.present for report in step.modalities] * depths
            assert shown == [cell for cell, is_there in zip(cells, there, strict=True) if is_there]
            for cell in cells:
                assert window.views.attention.content().toAlignedRect().contains(cell)
                assert min(cell.width(), cell.height()) > 20
    assert window.views.answer.headline == "Party"


def test_other_classes_are_told_apart(open_window: OpenWindow, now: ManualTime) -> None:
    statuses = {"light": None, "noise": None}
    session = OtherSession(now, [answer(1, 1, **statuses)])
    window = open_window(session, labels=LABELS, modalities=tuple(statuses))
    for _ in range(30):
        now.advance(0.1)
        window.bridge.poll()
    bars, timeline = (
        view.grab().toImage() for view in (window.views.answer, window.views.timeline)
    )
    for label in LABELS:
        assert has_colour(bars, palette.class_colour(label, LABELS)), label
    assert has_colour(timeline, palette.class_colour("party", LABELS))
    assert window.views.answer.accessibleDescription() == (
        "Party 70\u202f%. From the light and noise of the last 3 s. "
        "Day 10\u202f%, Night 20\u202f%, Party 70\u202f%"
    )


def test_the_next_session_starts_from_the_depths_that_are_known(
    open_window: OpenWindow, now: ManualTime
) -> None:
    session = OtherSession(now, [answer(1, 3, light=None)])
    window = open_window(session, labels=LABELS, modalities=("light",))
    assert len(window.views.attention.cells()) == 2
    now.advance(0.1)
    window.bridge.poll()
    for prediction in (None, unanswered(2, NO_FACE, light=NO_FACE)):
        assert len(window.views.attention.cells()) == 3
        window._show_prediction(prediction)
    assert len(window.views.attention.cells()) == 3


# -- words -----------------------------------------------------------------------------------------


def test_modalities_are_listed_as_in_a_sentence() -> None:
    for names, told in (
        (("light",), "From the light"),
        (("light", "noise"), "From the light and noise"),
        (("text", "voice", "face"), "From the text, voice and face"),
    ):
        shown = shown_answer(answer(1, 1, **dict.fromkeys(names, None)))
        assert shown.detail == told


def test_no_input_is_told_by_what_arrives() -> None:
    def detail(**statuses: Reason | None) -> str:
        return shown_answer(unanswered(1, NO_INPUT, **statuses)).detail

    stalled, silence = STALLED, SILENCE
    assert detail(light=stalled) == "No picture arrives"
    assert detail(text=stalled, voice=stalled) == "No sound arrives"
    assert detail(light=stalled, noise=stalled) == "Neither picture nor sound arrives"
    assert detail(light=stalled, noise=silence) == "No picture arrives"
    assert detail(text=silence, voice=silence, face=stalled) == "No picture arrives"


def test_why_sound_did_not_count_is_told_by_its_status() -> None:
    def told(level: float | None, **statuses: Reason | None) -> str:
        prediction = unanswered(1, NO_INPUT, **statuses)
        return sound_absence(replace(prediction, sound_level=level))

    assert told(-60.0, light=STALLED, noise=SILENCE) == "noise not counted: no speech"
    assert told(-1.0, noise=CLIPPED, light=NO_FACE) == "noise not counted: distorted"
    assert told(None, light=TOO_DARK, noise=STALLED) == ("noise not counted: no input arrives")
    assert told(None, light=STALLED, noise=None) == ""
    assert told(None, face=NO_SOURCE, voice=NO_SOURCE) == ("voice not counted: no sound here")


def test_blocks_of_a_modality_need_not_lie_together() -> None:
    mixed = Attention(
        name="maps",
        weights=np.array([[1.0], [2.0], [4.0], [8.0]], np.float32) / 15,
        modalities=("light", "noise", "light", "noise"),
    )
    prediction = answer(1, 0, light=None, noise=None)
    (panel,) = attention_panels(replace(prediction, attention=(mixed,)))
    for name, weights in (("light", [1, 4]), ("noise", [2, 8])):
        rows = panel.rows(name)
        assert rows is not None
        np.testing.assert_allclose(np.exp2(rows[:, 0]) / 4 * 15, weights, rtol=1e-5)
    assert panel.rows("face") is None


def test_a_modality_that_there_is_not_is_named_with_those_that_there_are() -> None:
    prediction = answer(1, 1, light=None, noise=STALLED)
    assert prediction.modality("noise").absent is STALLED
    with pytest.raises(KeyError, match="“voice”, only light, noise"):
        prediction.modality("voice")

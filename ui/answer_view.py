"""The one large label, how sure it is, and a bar for every class.

Thread: GUI. Bars follow the answers smoothly: `advance` moves them at the pace of the display.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QColor, QPainter
from PyQt6.QtWidgets import QWidget

from realtime.messages import Prediction
from ui import palette
from ui.panel import (
    DIMMED,
    RIGHT,
    Follower,
    Panel,
    fill,
    names_width,
    shrinkage,
    text_width,
    write,
)
from ui.present.answer import BEFORE_THE_PAUSE, UNANSWERED, Answer, Bar, answer, bars, spoken
from ui.present.words import LEAST_DRAWN
from ui.theme import BODY, DISPLAY, FIGURE, MEDIUM, REGULAR, SEMIBOLD, Theme

_FOLLOW_SECONDS: Final = 0.12  # time constant of the bars
_HEAD: Final = 84.0  # design pixels for label and detail


class AnswerView(Panel):
    """Label, confidence and bars on one card."""

    def __init__(
        self,
        labels: tuple[str, ...],
        window_seconds: float,
        theme: Theme,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("", theme, parent)
        self.setAccessibleName("Answer")
        self.setToolTip(
            "The answer is steadied, so that it does not flicker: another takes its place\n"
            "once it is clearly ahead for a moment, or far ahead.\n"
            "The bars show how all of them stand, averaged over about half a second."
        )
        self._labels = labels
        self._window_seconds = window_seconds
        self._prediction: Prediction | None = None
        self._absence = UNANSWERED
        self._answer: Answer = answer(None)
        self._bars: tuple[Bar, ...] = bars(None, labels)
        self._follower = Follower(len(labels), _FOLLOW_SECONDS)

    @property
    def headline(self) -> str:
        """The large text that is shown."""
        return self._answer.headline

    @property
    def detail(self) -> str:
        """The text below it."""
        return self._answer.detail

    def show_prediction(self, prediction: Prediction | None) -> None:
        """Show another answer; the bars begin to move towards it."""
        self._prediction = prediction
        shown = answer(prediction, self._absence, window_seconds=self._window_seconds)
        self._answer = shown
        self._bars = bars(prediction, self._labels)
        told = spoken(shown, self._bars)
        if self._is_old():
            if shown.sure:  # else the reason stays to be read
                self._answer = replace(shown, detail=BEFORE_THE_PAUSE)
            told = f"{told}. {BEFORE_THE_PAUSE}"
        self.describe(told)
        self.update()

    def set_absence(self, absence: tuple[str, str]) -> None:
        """What to say, as headline and detail, where there is no answer."""
        if absence != self._absence:
            self._absence = absence
            if self._prediction is None:
                self.show_prediction(None)

    def set_paused(self, paused: bool) -> None:
        """Dim the bars and say that the answer is the last one before the pause."""
        if paused != self.paused:
            super().set_paused(paused)
            self.show_prediction(self._prediction)

    def _is_old(self) -> bool:
        return self.paused and self._prediction is not None

    def advance(self, seconds: float) -> None:
        """Let the bars move for `seconds`."""
        if self._follower.advance((bar.value for bar in self._bars), seconds):
            top = round(self.content().top() + self.theme.px(_HEAD))
            self.update(0, top, self.width(), self.height() - top)

    def paint(self, painter: QPainter, area: QRectF) -> None:
        px = self.theme.px
        head = QRectF(area.left(), area.top(), area.width(), self.theme.px(_HEAD))
        self._paint_head(painter, head)
        body = area.adjusted(0, head.height(), 0, 0)
        row = body.height() / len(self._bars)
        fit = shrinkage(row, self.theme)
        wide = self.theme.font(BODY * fit, MEDIUM, tabular=True)
        names = [each.name for each in self._bars]
        column = names_width(names, wide, px(6), px(98) - px(16), body.width() / 2)
        for index, bar in enumerate(self._bars):
            line = QRectF(body.left(), body.top() + index * row, body.width(), row)
            self._paint_bar(painter, line, bar, self._follower.lengths[index], fit, column)

    def _paint_head(self, painter: QPainter, area: QRectF) -> None:
        px, font = self.theme.px, self.theme.font
        shown = self._answer
        large = QRectF(area.left(), area.top() - px(4), area.width(), px(DISPLAY + 10))
        figure = font(FIGURE, SEMIBOLD, tabular=True)
        level = large.adjusted(0, px(4), 0, 0)
        write(painter, level, shown.confidence, figure, palette.TEXT, RIGHT)
        colour = shown.colour if shown.sure else palette.TEXT_SOFT
        name = large.adjusted(0, 0, -px(78), 0) if shown.confidence else large
        write(painter, name, shown.headline, font(DISPLAY, SEMIBOLD), colour)
        detail = QRectF(area.left(), large.bottom(), area.width(), px(BODY + 7))
        if text_width(shown.detail, font(BODY)) <= detail.width():
            write(painter, detail, shown.detail, font(BODY), palette.TEXT_SOFT)
        else:  # in a narrow window it goes on in a second line, for which there is room
            detail.setBottom(area.bottom())
            painter.setFont(font(BODY))
            painter.setPen(QColor(palette.TEXT_SOFT))
            painter.drawText(detail, int(Qt.TextFlag.TextWordWrap), shown.detail)

    def _paint_bar(
        self, painter: QPainter, area: QRectF, bar: Bar, length: float, fit: float, column: float
    ) -> None:
        """`fit`: what sizes are multiplied by; `column`: width of the names."""
        px = self.theme.px
        weight = MEDIUM if bar.leading else REGULAR
        font = self.theme.font(BODY * fit, weight, tabular=True)
        colour = palette.TEXT if bar.leading else palette.TEXT_SOFT
        name = QRectF(area.left() + px(16), area.top(), column, area.height())
        write(painter, name, bar.name, font, colour)
        write(painter, area, bar.text, font, colour, RIGHT)
        painter.setOpacity(DIMMED if self._is_old() else 1.0)
        thickness = px(8 * fit)
        radius = px(4 * fit)
        dot = QRectF(area.left(), area.center().y() - radius, thickness, thickness)
        fill(painter, dot, bar.colour, radius)  # the key to the timeline, so always there
        left = px(16) + column
        track = area.adjusted(left, (area.height() - thickness) / 2, -px(52), 0)
        track.setHeight(thickness)
        fill(painter, track, palette.RAISED, thickness / 2)
        if length >= LEAST_DRAWN:
            ink = QColor(bar.colour)
            ink.setAlphaF(1.0 if bar.leading else 0.72)
            filled = QRectF(track)
            filled.setWidth(max(track.width() * min(length, 1.0), thickness))
            fill(painter, filled, ink, thickness / 2)
        painter.setOpacity(1.0)

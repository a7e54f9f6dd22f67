"""The one large label, how sure it is, and a bar for every class.

Thread: GUI. Bars follow the answers smoothly: `advance` moves them at the pace of the display.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QPainter
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
from ui.present.answer import (
    BEFORE_THE_PAUSE,
    UNANSWERED,
    Answer,
    Bar,
    answer,
    bars,
    spoken,
    summary,
)
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
            "The bars show how all of them stand, averaged over about half a second;\n"
            "at the end of a recording, for how much of it each was the answer."
        )
        self._labels = labels
        self._window_seconds = window_seconds
        self._prediction: Prediction | None = None
        self._absence = UNANSWERED
        self._summary: tuple[float, ...] | None = None
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
        if self._summary is not None:
            shown, self._bars = summary(self._summary, self._labels)
        else:
            shown = answer(prediction, self._absence, window_seconds=self._window_seconds)
            self._bars = bars(prediction, self._labels)
        self._answer = shown
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

    @property
    def sums_up(self) -> bool:
        """Whether it shows what the whole recording came to."""
        return self._summary is not None

    def sum_up(self, shares: tuple[float, ...] | None) -> None:
        """Show part of the time, 0..1, of each class; None: the answer again."""
        if shares != self._summary:
            self._summary = shares
            self.show_prediction(self._prediction)

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
            self.update(self._tracks().toAlignedRect())

    def _body(self) -> QRectF:
        """The rows, below label and detail."""
        return self.content().adjusted(0, self.theme.px(_HEAD), 0, 0)

    def _row(self) -> float:
        return self._body().height() / len(self._bars)

    def _font(self, weight: QFont.Weight) -> QFont:
        """That of names and figures."""
        return self.theme.font(BODY * shrinkage(self._row(), self.theme), weight, tabular=True)

    def _tracks(self) -> QRectF:
        """Where the bars lie, between names and figures."""
        px, body = self.theme.px, self._body()
        names = [each.name for each in self._bars]
        column = names_width(names, self._font(MEDIUM), px(6), px(98) - px(16), body.width() / 2)
        return body.adjusted(px(16) + column, 0, -px(52), 0)

    def paint(self, painter: QPainter, area: QRectF) -> None:
        body, tracks, row = self._body(), self._tracks(), self._row()
        moves = self.is_within(tracks.toAlignedRect())  # nothing but bars
        if not moves:
            head = QRectF(area.left(), area.top(), area.width(), self.theme.px(_HEAD))
            self._paint_head(painter, head)
        for index, bar in enumerate(self._bars):
            top = body.top() + index * row
            track = QRectF(tracks.left(), top, tracks.width(), row)
            if not moves:
                line = QRectF(body.left(), top, body.width(), row)
                self._paint_words(painter, line, bar, track.left())
            self._paint_bar(painter, track, bar, self._follower.lengths[index])

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

    def _paint_words(self, painter: QPainter, area: QRectF, bar: Bar, end: float) -> None:
        """Name and figure of a class, and its colour; `end`: of the names, from the left."""
        font = self._font(MEDIUM if bar.leading else REGULAR)
        colour = palette.TEXT if bar.leading else palette.TEXT_SOFT
        left = area.left() + self.theme.px(16)
        name = QRectF(left, area.top(), end - left, area.height())
        write(painter, name, bar.name, font, colour)
        write(painter, area, bar.text, font, colour, RIGHT)
        thickness = self._thickness()
        dot = QRectF(area.left(), area.center().y() - thickness / 2, thickness, thickness)
        painter.setOpacity(DIMMED if self._is_old() else 1.0)
        fill(painter, dot, bar.colour, thickness / 2)  # the key to the timeline, so always there
        painter.setOpacity(1.0)

    def _paint_bar(self, painter: QPainter, area: QRectF, bar: Bar, length: float) -> None:
        thickness = self._thickness()
        track = QRectF(area.left(), area.center().y() - thickness / 2, area.width(), thickness)
        painter.setOpacity(DIMMED if self._is_old() else 1.0)
        fill(painter, track, palette.RAISED, thickness / 2)
        if length >= LEAST_DRAWN:
            ink = QColor(bar.colour)
            ink.setAlphaF(1.0 if bar.leading else 0.72)
            filled = QRectF(track)
            filled.setWidth(max(track.width() * min(length, 1.0), thickness))
            fill(painter, filled, ink, thickness / 2)
        painter.setOpacity(1.0)

    def _thickness(self) -> int:
        """Of the bars."""
        return self.theme.px(8 * shrinkage(self._row(), self.theme))

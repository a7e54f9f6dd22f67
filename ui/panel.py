"""The card that every painted view is drawn on.

Thread: GUI.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from PyQt6.QtCore import QEvent, QPoint, QRect, QRectF, Qt
from PyQt6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QFontMetricsF,
    QHelpEvent,
    QLinearGradient,
    QPainter,
    QPaintEvent,
)
from PyQt6.QtWidgets import QSizePolicy, QToolTip, QWidget

from ui import palette
from ui.theme import CAPTION, GAP, MEDIUM, PADDING, RADIUS, Theme

LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
CENTRE = Qt.AlignmentFlag.AlignCenter

_SINGLE_LINE: Final = Qt.TextFlag.TextSingleLine.value
DIMMED: Final = 0.5  # opacity of graphics (not text) while paused
_ROW: Final = 18.0  # design pixels that a row of text and a bar wants
_STILL: Final = 5e-4  # a bar nearer than this to its value has arrived


def as_tip(text: str) -> str:
    """`text` for a tooltip, escaped where Qt could take the name of a file in it for HTML."""
    if "<" not in text and "&lt;" not in text:
        return text
    return f"<qt>{escape(text)}</qt>".replace("\n", "<br>")


class Explained(QWidget):
    """A widget whose tooltip depends on where the pointer is."""

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            self.show_tip(event.pos(), event.globalPos())
            return True
        return super().event(event)

    def show_tip(self, place: QPoint, global_place: QPoint) -> None:
        """Explain what is at a place in the widget, beside that place on the screen."""
        QToolTip.showText(global_place, as_tip(self.tip_at(place)), self)

    def tip_at(self, place: QPoint) -> str:
        """What is explained at a place in the widget, empty where that is nothing."""
        return self.toolTip()


class Panel(Explained):
    """A rounded card with a quiet title; subclasses paint into `content()`.

    What a panel shows never changes how large it wants to be.
    """

    def __init__(self, title: str, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self.theme = theme
        self.paused = False
        self._anew = QRect()  # what is being painted
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self.setAccessibleName(title)

    def set_theme(self, theme: Theme) -> None:
        """Draw at another scale from now on."""
        self.theme = theme
        self.update()

    def set_paused(self, paused: bool) -> None:
        """Dim the panel while live input is paused."""
        if paused != self.paused:
            self.paused = paused
            self.update()

    def describe(self, text: str) -> None:
        """Tell screen readers what is drawn; cheap when it did not change."""
        if text != self.accessibleDescription():
            self.setAccessibleDescription(text)

    def content(self) -> QRectF:
        """The part of the card below its title, in widget coordinates."""
        padding = self.theme.px(PADDING)
        area = QRectF(self.rect()).adjusted(padding, padding, -padding, -padding)
        if self._title:
            area.setTop(area.top() + self.theme.px(CAPTION + GAP))
        return area

    def title_area(self) -> QRectF:
        """The line of the title, where hints and legends fit on its right."""
        padding = self.theme.px(PADDING)
        return QRectF(
            padding, padding * 0.8, self.width() - 2.0 * padding, self.theme.px(CAPTION + 5)
        )

    def paint(self, painter: QPainter, area: QRectF) -> None:
        """Draw what the panel shows into `area`, its `content()`."""

    def is_within(self, area: QRect) -> bool:
        """Whether no more than `area` is being painted: then `paint` may leave out the rest."""
        return area.contains(self._anew)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        self._anew = self.rect() if event is None else event.rect()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        radius = self.theme.px(RADIUS)
        fill(painter, QRectF(self.rect()), palette.SURFACE, radius)
        if self._title:
            font = self.theme.font(CAPTION + 1, MEDIUM)
            write(painter, self.title_area(), self._title, font, palette.TEXT_SOFT)
        self.paint(painter, self.content())
        painter.end()


class Follower:
    """Lengths of bars, which approach their values smoothly."""

    def __init__(self, count: int, time_constant: float) -> None:
        """`time_constant` in seconds."""
        self.lengths = [0.0] * count
        self._time_constant = time_constant

    def advance(self, values: Iterable[float], seconds: float) -> bool:
        """Move towards `values` for `seconds`; whether that changed anything."""
        step = 1.0 - math.exp(-seconds / self._time_constant)
        moved = False
        for index, value in enumerate(values):
            distance = value - self.lengths[index]
            if abs(distance) > _STILL:
                self.lengths[index] += step * distance
                moved = True
        return moved


def fill(painter: QPainter, area: QRectF, colour: str | QColor, radius: float = 0.0) -> None:
    """A filled rectangle without an outline, its corners round."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    painter.drawRoundedRect(area, radius, radius)


def legend(painter: QPainter, bar: QRectF, stops: Sequence[str]) -> None:
    """A bar with round ends in which colours run evenly through `stops`."""
    gradient = QLinearGradient(bar.topLeft(), bar.topRight())
    for index, stop in enumerate(stops):
        gradient.setColorAt(index / (len(stops) - 1), QColor(stop))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(gradient)
    painter.drawRoundedRect(bar, bar.height() / 2, bar.height() / 2)


def hatch(painter: QPainter, area: QRectF, colour: str, radius: float = 0.0) -> None:
    """A rectangle of thin slanting lines: something is known to be missing here."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QBrush(QColor(colour), Qt.BrushStyle.BDiagPattern))
    painter.drawRoundedRect(area, radius, radius)


def write(
    painter: QPainter,
    area: QRectF,
    text: str,
    font: QFont,
    colour: str,
    align: Qt.AlignmentFlag = LEFT,
) -> None:
    """One line of text, shortened with "…" where it does not fit."""
    metrics = QFontMetricsF(font)
    if metrics.horizontalAdvance(text) > area.width():
        text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, area.width())
    painter.setFont(font)
    painter.setPen(QColor(colour))
    painter.drawText(area, align.value | _SINGLE_LINE, text)


def text_width(text: str, font: QFont) -> float:
    """Width of `text` on one line in pixels."""
    return QFontMetricsF(font).horizontalAdvance(text)


def names_width(names: Iterable[str], font: QFont, gap: float, least: float, most: float) -> float:
    """Width of the column of `names` that rows begin with, `gap` included."""
    widest = max((text_width(name, font) for name in names), default=0.0)
    return max(least, min(widest + gap, most))


def shrinkage(row: float, theme: Theme) -> float:
    """What to multiply sizes by in rows `row` pixels high; 1 where those are high enough."""
    return min(1.0, row / theme.px(_ROW))

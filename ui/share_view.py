"""How much each modality counted, beside what it would get at equal weight.

Thread: GUI.
"""

from __future__ import annotations

from typing import Final

from PyQt6.QtCore import QLineF, QRectF
from PyQt6.QtGui import QColor, QPainter, QPen
from PyQt6.QtWidgets import QWidget

from realtime.messages import Prediction
from ui import palette
from ui.panel import (
    DIMMED,
    RIGHT,
    Follower,
    Panel,
    fill,
    hatch,
    names_width,
    shrinkage,
    text_width,
    write,
)
from ui.present.shares import Share, shares
from ui.present.words import LEAST_DRAWN
from ui.theme import BODY, CAPTION, MEDIUM, Theme

_FOLLOW_SECONDS: Final = 0.15  # time constant of the bars
_TICK: Final = "equal weight"
_FIGURE: Final = 40.0  # design pixels
OPINION: Final = 88.0  # …, for the longest of the emotions


class ShareView(Panel):
    """One row per modality: its share of MSAF's attention, a tick at equal weight, its opinion."""

    def __init__(
        self, modalities: tuple[str, ...], theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__("What counted", theme, parent)
        self.setToolTip(
            "How much each weighed where the answer is put together (share of MSAF's attention).\n"
            "The tick marks equal weight: what it would get if all parts of what is seen and\n"
            "heard (channel blocks) weighed the same.\n"
            "What each says alone is of the same seconds, but not steadied: it may change earlier."
        )
        self._modalities = modalities
        self._shares: tuple[Share, ...] = shares(None, modalities)
        self._follower = Follower(len(modalities), _FOLLOW_SECONDS)

    def show_prediction(self, prediction: Prediction | None) -> None:
        """Show another answer's shares."""
        self._shares = shares(prediction, self._modalities)
        self.describe("; ".join(f"{each.name} {each.text}" for each in self._shares))
        self.update()

    def advance(self, seconds: float) -> None:
        """Let the bars move for `seconds`."""
        if self._follower.advance((share.share or 0.0 for share in self._shares), seconds):
            self.update()

    def paint(self, painter: QPainter, area: QRectF) -> None:
        px = self.theme.px
        hint = self.theme.font(CAPTION)
        title = self.title_area()
        write(painter, title, _TICK, hint, palette.TEXT_FAINT, RIGHT)
        tick = title.right() - text_width(_TICK, hint) - px(8)
        painter.setPen(QPen(QColor(palette.TEXT), px(2)))
        painter.drawLine(QLineF(tick, title.top() + px(3), tick, title.bottom() - px(3)))
        row = area.height() / max(len(self._shares), 1)
        for index, (share, length) in enumerate(
            zip(self._shares, self._follower.lengths, strict=True)
        ):
            line = QRectF(area.left(), area.top() + index * row, area.width(), row)
            self._paint_row(painter, line, share, length)

    def _paint_row(self, painter: QPainter, area: QRectF, share: Share, length: float) -> None:
        px, font = self.theme.px, self.theme.font
        fit = shrinkage(area.height(), self.theme)
        body, caption, thickness = BODY * fit, CAPTION * fit, px(10 * fit)
        there = share.share is not None
        names = [each.name for each in self._shares]
        column = names_width(names, font(body, MEDIUM), px(6), px(46), area.width() / 4)
        name = QRectF(area.left(), area.top(), column, area.height())
        write(painter, name, share.name, font(body, MEDIUM), palette.TEXT)
        opinion = area.adjusted(area.width() - px(OPINION), 0, 0, 0)
        write(painter, opinion, share.opinion, font(caption), palette.TEXT_FAINT, RIGHT)
        figure = area.adjusted(0, 0, -px(OPINION + 8), 0)
        figure.setLeft(figure.right() - px(_FIGURE))
        if there:
            numbers = font(body, MEDIUM, tabular=True)
            write(painter, figure, share.text, numbers, palette.TEXT, RIGHT)
        else:
            figure.setRight(area.right())
            write(painter, figure, share.text, font(body), palette.TEXT_FAINT, RIGHT)
        left, right = area.left() + column, area.right() - px(OPINION + 8 + _FIGURE + 8)
        track = QRectF(left, area.center().y() - thickness / 2, right - left, thickness)
        painter.setOpacity(DIMMED if self.paused else 1.0)
        fill(painter, track, palette.RAISED, thickness / 2)
        if not there:
            hatch(painter, track, palette.LINE, thickness / 2)
        elif length >= LEAST_DRAWN:
            filled = QRectF(track)
            filled.setWidth(max(track.width() * min(length, 1.0), thickness))
            fill(painter, filled, palette.ATTENTION, thickness / 2)
        if share.equal is not None and share.equal < 1.0:
            x = track.left() + share.equal * track.width()
            painter.setPen(QPen(QColor(palette.TEXT), px(2)))
            over = px(3 * fit)
            painter.drawLine(QLineF(x, track.top() - over, x, track.bottom() + over))
        painter.setOpacity(1.0)

"""MSAF's own attention at both depths: channel blocks × channels against an even share.

Thread: GUI. The neutral colour is what an even softmax would give; levels are fixed at an eighth
and eight times that, so that colours mean the same at all times.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QRect, QRectF, Qt
from PyQt6.QtGui import QColor, QLinearGradient, QPainter, QResizeEvent
from PyQt6.QtWidgets import QWidget

from realtime.messages import Prediction
from ui import palette
from ui.panel import CENTRE, RIGHT, Panel, fill, text_width, write
from ui.presenters import AttentionPanel, attention_panels, sentence
from ui.theme import CAPTION, MEDIUM, Theme

LEVELS: Final = (-3.0, 3.0)  # log2 of weight ÷ even share
_DEPTHS: Final = ("Feature maps", "Sequences")
_SIDE: Final = 42.0  # design pixels for the names of the modalities
_GAP: Final = 8.0  # … between the pictures, and between the two modalities
_FOOT: Final = 16.0  # … for the captions below


class AttentionView(Panel):
    """Two heatmaps side by side, one per depth; the face's blocks above the voice's."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("MSAF attention", theme, parent)
        self.setToolTip(
            "What MSAF multiplied the features by: one row per channel block, one column per\n"
            "channel of a block. Grey is an even share over all blocks that were there."
        )
        self._panels: tuple[AttentionPanel, ...] = ()
        self._absent_text = ""
        self._pictures = tuple(_Heatmap(self) for _ in _DEPTHS for _ in range(2))

    def show_prediction(self, prediction: Prediction | None) -> None:
        """Show another answer's attention; pictures without any stay empty."""
        self._panels = attention_panels(prediction)
        self._absent_text = "" if prediction is None else "not counted"
        self.describe(", ".join(panel.title for panel in self._panels) or self._absent_text)
        pictures = iter(self._pictures)
        for panel in self._panels[: len(_DEPTHS)]:
            first = 0
            for _, count, present in panel.groups[:2]:
                rows = panel.factors[first : first + count]
                next(pictures).show(rows if present else None)
                first += count
        for picture in pictures:
            picture.show(None)
        self.update()

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self._place()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        self._place()

    def cells(self) -> list[QRect]:
        """Where the pictures lie: for each depth the face's, then the voice's."""
        px = self.theme.px
        area = self.content().adjusted(px(_SIDE), 0, 0, -px(_FOOT))
        width = (area.width() - px(_GAP)) / len(_DEPTHS)
        height = (area.height() - px(_GAP)) / 2
        return [
            QRectF(
                area.left() + depth * (width + px(_GAP)),
                area.top() + part * (height + px(_GAP)),
                width,
                height,
            ).toRect()
            for depth in range(len(_DEPTHS))
            for part in range(2)
        ]

    def paint(self, painter: QPainter, area: QRectF) -> None:
        px = self.theme.px
        font = self.theme.font(CAPTION)
        cells = self.cells()
        groups = self._panels[0].groups if self._panels else ()
        names = [name for name, _, _ in groups] or ["face", "voice"]
        for name, cell in zip(names, cells[:2], strict=False):
            side = QRectF(area.left(), cell.top(), px(_SIDE), cell.height())
            write(
                painter, side, sentence(name), self.theme.font(CAPTION, MEDIUM), palette.TEXT_SOFT
            )
        for depth, title in enumerate(_DEPTHS):
            if depth < len(self._panels):
                title = self._panels[depth].title
            cell = cells[2 * depth]
            foot = QRectF(cell.left(), area.bottom() - px(_FOOT - 3), cell.width(), px(_FOOT))
            write(painter, foot, title, font, palette.TEXT_FAINT, CENTRE)
        present = [there for panel in self._panels for _, _, there in panel.groups[:2]]
        for index, cell in enumerate(cells):
            if index >= len(present) or not present[index]:
                self._paint_absent(painter, QRectF(cell))
        self._paint_legend(painter)

    def _paint_absent(self, painter: QPainter, cell: QRectF) -> None:
        fill(painter, cell, palette.RAISED, self.theme.px(4))
        font = self.theme.font(CAPTION)
        write(painter, cell, self._absent_text, font, palette.TEXT_FAINT, CENTRE)

    def _paint_legend(self, painter: QPainter) -> None:
        px = self.theme.px
        font = self.theme.font(CAPTION, tabular=True)
        line = self.title_area()
        unit = "8 × even share"
        right = text_width(unit, font) + px(6)
        write(painter, line, unit, font, palette.TEXT_FAINT, RIGHT)
        bar = QRectF(line.right() - right - px(72), 0, px(72), px(6))
        bar.moveTop(line.center().y() - bar.height() / 2)
        gradient = QLinearGradient(bar.topLeft(), bar.topRight())
        for index, stop in enumerate(palette.MSAF_STOPS):
            gradient.setColorAt(index / (len(palette.MSAF_STOPS) - 1), QColor(stop))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(gradient)
        painter.drawRoundedRect(bar, bar.height() / 2, bar.height() / 2)
        left = QRectF(line.left(), line.top(), bar.left() - px(6) - line.left(), line.height())
        write(painter, left, "⅛ ×", font, palette.TEXT_FAINT, RIGHT)

    def _place(self) -> None:
        for picture, cell in zip(self._pictures, self.cells(), strict=True):
            picture.widget.setGeometry(cell)


class _Heatmap:
    """One pyqtgraph picture that fills its widget."""

    def __init__(self, parent: QWidget) -> None:
        self.widget: QWidget = pg.GraphicsView(parent, useOpenGL=False, background=palette.SURFACE)
        self.widget.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.widget.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._box: Any = pg.ViewBox(enableMouse=False, enableMenu=False, defaultPadding=0.0)
        self._box.invertY(True)
        self.widget.setCentralItem(self._box)
        self._item: Any = pg.ImageItem(axisOrder="row-major")
        self._item.setLookupTable(palette.lookup_table(palette.MSAF_STOPS))
        self._box.addItem(self._item)
        self._shape: tuple[int, ...] = ()
        self.widget.hide()

    def show(self, factors: np.ndarray[Any, np.dtype[np.float32]] | None) -> None:
        """Show (blocks, channels), or nothing."""
        self.widget.setVisible(factors is not None)
        if factors is None:
            return
        self._item.setImage(np.ascontiguousarray(factors), autoLevels=False, levels=LEVELS)
        if factors.shape != self._shape:
            self._shape = factors.shape
            self._box.setRange(QRectF(0, 0, factors.shape[1], factors.shape[0]), padding=0)

"""MSAF's own attention at every depth: channel blocks × channels against equal weight.

Thread: GUI. The neutral colour is what an even softmax would give; levels are fixed at an eighth
and eight times that, so that colours mean the same at all times.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, Final

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QRect, QRectF, Qt
from PyQt6.QtGui import QPainter, QResizeEvent
from PyQt6.QtWidgets import QWidget

from realtime.messages import Prediction
from ui import palette
from ui.panel import CENTRE, DIMMED, RIGHT, Panel, fill, legend, names_width, text_width, write
from ui.present.attention import DEPTH_TITLES, attention_panels
from ui.present.words import sentence
from ui.theme import CAPTION, MEDIUM, Theme

LEVELS: Final = (-3.0, 3.0)  # log2 of weight ÷ equal weight
_SIDE: Final = 42.0  # design pixels for the names of the modalities, at least
_GAP: Final = 8.0  # … between the pictures
_FOOT: Final = 16.0  # … for the captions below


class AttentionView(Panel):
    """Heatmaps, the depths side by side and the modalities one above the other."""

    def __init__(
        self, modalities: tuple[str, ...], theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__("MSAF attention", theme, parent)
        self.setToolTip(
            "How much every part of what is seen and heard weighed inside the network: the\n"
            "brighter the amber, the more; the brighter the blue, the less; dark is equal weight.\n"
            "A row is a group of features (channel block), a column one of them (channel)."
        )
        self._modalities = modalities
        # Of the depths as known so far: an answer that rests on nothing tells of none.
        self._titles = tuple(DEPTH_TITLES.values())
        self._empty: list[str | None] = []  # for each cell its text, None where a picture is
        self._pictures: list[_Heatmap] = []
        self.show_prediction(None)

    def show_prediction(self, prediction: Prediction | None) -> None:
        """Show another answer's attention; pictures without any stay empty."""
        panels = attention_panels(prediction)
        before = self._titles, self._empty
        missing = "" if prediction is None else "not counted"
        self.describe(", ".join(panel.title for panel in panels) or missing)
        self._titles = tuple(panel.title for panel in panels) or self._titles
        count = len(self._titles) * len(self._modalities)
        shown = [panel.rows(name) for panel in panels for name in self._modalities]
        shown = shown or [None] * count
        self._empty = [missing if rows is None else None for rows in shown]
        self._pictures += [_Heatmap(self) for _ in range(count - len(self._pictures))]
        for picture, rows in zip_longest(self._pictures, shown):
            picture.dim(self.paused)
            picture.show(rows)
        if (self._titles, self._empty) != before:  # the pictures paint themselves
            self._place()
            self.update()

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self._place()

    def set_paused(self, paused: bool) -> None:
        super().set_paused(paused)
        for picture in self._pictures:
            picture.dim(paused)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        self._place()

    def cells(self) -> list[QRect]:
        """Where the pictures lie: for each depth those of all modalities."""
        px = self.theme.px
        area = self.content().adjusted(self._side(), 0, 0, -px(_FOOT))
        depths, parts = len(self._titles), len(self._modalities)
        width = (area.width() - (depths - 1) * px(_GAP)) / max(depths, 1)
        height = (area.height() - (parts - 1) * px(_GAP)) / max(parts, 1)
        return [
            QRectF(
                area.left() + depth * (width + px(_GAP)),
                area.top() + part * (height + px(_GAP)),
                width,
                height,
            ).toRect()
            for depth in range(depths)
            for part in range(parts)
        ]

    def _names(self) -> list[str]:
        return [sentence(name) for name in self._modalities]

    def _side(self) -> float:
        """Width of the column of names."""
        px, font = self.theme.px, self.theme.font(CAPTION, MEDIUM)
        return names_width(self._names(), font, px(6), px(_SIDE), self.content().width() / 4)

    def paint(self, painter: QPainter, area: QRectF) -> None:
        px = self.theme.px
        font = self.theme.font(CAPTION)
        cells = self.cells()
        names, column = self._names(), self._side()
        for name, cell in zip(names, cells, strict=False):
            side = QRectF(area.left(), cell.top(), column, cell.height())
            write(painter, side, name, self.theme.font(CAPTION, MEDIUM), palette.TEXT_SOFT)
        for title, cell in zip(self._titles, cells[:: max(len(names), 1)], strict=False):
            foot = QRectF(cell.left(), area.bottom() - px(_FOOT - 3), cell.width(), px(_FOOT))
            write(painter, foot, title, font, palette.TEXT_FAINT, CENTRE)
        for text, cell in zip(self._empty, cells, strict=True):
            if text is not None:
                fill(painter, QRectF(cell), palette.RAISED, px(4))
                write(painter, QRectF(cell), text, font, palette.TEXT_FAINT, CENTRE)
        self._paint_legend(painter)

    def _paint_legend(self, painter: QPainter) -> None:
        px = self.theme.px
        font = self.theme.font(CAPTION, tabular=True)
        line = self.title_area()
        unit = "8 × equal weight"
        title = self.theme.font(CAPTION + 1, MEDIUM)
        if text_width(f"{self._title}⅛ ×{unit}", title) + px(72 + 24) > line.width():
            unit = "8 ×"
        right = text_width(unit, font) + px(6)
        write(painter, line, unit, font, palette.TEXT_FAINT, RIGHT)
        bar = QRectF(line.right() - right - px(72), 0, px(72), px(6))
        bar.moveTop(line.center().y() - bar.height() / 2)
        legend(painter, bar, palette.MSAF_STOPS)
        left = QRectF(line.left(), line.top(), bar.left() - px(6) - line.left(), line.height())
        write(painter, left, "⅛ ×", font, palette.TEXT_FAINT, RIGHT)

    def _place(self) -> None:
        for picture, cell in zip(self._pictures, self.cells(), strict=False):
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

    def dim(self, dimmed: bool) -> None:
        """Dim the picture while live input is paused."""
        self._item.setOpacity(DIMMED if dimmed else 1.0)

"""The status line: rates, delay, losses, sound level, the sources and the engine.

Thread: GUI. Cells keep their places whatever they say.
"""

from __future__ import annotations

from typing import Final

from PyQt6.QtCore import QPoint, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from realtime.messages import Health, SourceState
from ui import palette
from ui.panel import LEFT, Explained, fill, write
from ui.present.status import Cell, level_fraction, status_cells
from ui.present.words import UNKNOWN, decibels
from ui.theme import CAPTION, MEDIUM, Theme

# Design pixels, min. weights; the meter comes before the last three.
_LIVE: Final = (50.0, 60.0, 98.0, 112.0, 99.0, 74.0, 90.0, 168.0)
_RECORDING: Final = (58.0, 66.0, 94.0, 94.0, 150.0)
_STATES: Final = 3
_METER: Final = 110.0
_LEAST: Final = 4  # of the live cells the one that matters least …
_LEAST_WIDTH: Final = 800.0  # … and the width of a line that has room for it
_METER_CAPTION: Final = "Sound level"
_METER_TIP: Final = "Loudness of the last tenth of a second; bright while somebody speaks"


class StatusView(Explained):
    """One row of small figures under the window."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = theme
        self.setAccessibleName("Status")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._cells: tuple[Cell, ...] = ()
        self._widths: tuple[float, ...] = _LIVE
        self._level: float | None = None
        self._hears = True  # else the level is an old one
        self._paused = False
        self._speech = False

    def set_theme(self, theme: Theme) -> None:
        """Draw at another scale from now on."""
        self.theme = theme
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(600, self.theme.px(40))

    def show_health(self, health: Health, shown_rate: float, *, live: bool) -> None:
        """Show other figures; `shown_rate`: pictures shown per second."""
        cells = status_cells(health, shown_rate, live=live)
        self._hears = health.microphone.state in (SourceState.RUNNING, SourceState.ENDED)
        self._widths = _LIVE if live else _RECORDING
        if cells != self._cells:
            self._cells = cells
            self.setAccessibleDescription("; ".join(f"{c.caption}: {c.text}" for c in cells))
            self.update()

    def explained(self) -> list[tuple[str, str]]:
        """The figures by name, and what they say; not the states of sources and engine."""
        return [
            *((cell.caption, cell.tip) for cell in self._cells[:-3]),
            (_METER_CAPTION, _METER_TIP),
        ]

    def show_level(self, level: float | None, *, speech: bool) -> None:
        """Show another sound level in dBFS, and whether somebody speaks."""
        if (level, speech) != (self._level, self._speech):
            self._level, self._speech = level, speech
            self.update(self.meter_area().toAlignedRect())

    def set_paused(self, paused: bool) -> None:
        """Show no sound level while live input is paused."""
        if paused != self._paused:
            self._paused = paused
            self.update()

    @property
    def level(self) -> float | None:
        """What the meter shows, in dBFS."""
        return self._level if self._hears and not self._paused else None

    def shown(self) -> list[Cell]:
        """The cells that have room, which is all but one."""
        return [self._cells[index] for index in self._places() if index < len(self._cells)]

    def _places(self) -> list[int]:
        """Numbers of the cells that have room."""
        is_narrow = self._widths is _LIVE and self.width() < self.theme.px(_LEAST_WIDTH)
        return [each for each in range(len(self._widths)) if not (is_narrow and each == _LEAST)]

    def _areas(self) -> tuple[list[QRectF], QRectF]:
        """Where the cells lie, and the meter, which comes before the last three."""
        widths = [self._widths[index] for index in self._places()]
        unit = self.width() / (sum(widths) + _METER)
        meter = QRectF(sum(widths[:-_STATES]) * unit, 0, _METER * unit, self.height())
        areas, x = [], 0.0
        for index, width in enumerate(widths):
            if index == len(widths) - _STATES:
                x = meter.right()
            areas.append(QRectF(x, 0, width * unit, self.height()))
            x += width * unit
        return areas, meter

    def cell_areas(self) -> list[QRectF]:
        """Where the cells lie."""
        return self._areas()[0]

    def meter_area(self) -> QRectF:
        """Where the sound meter lies."""
        return self._areas()[1]

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        meter = self.meter_area().toAlignedRect()
        if event is None or not meter.contains(event.rect()):  # which mostly is all that changes
            for cell, area in zip(self.shown(), self.cell_areas(), strict=False):
                self._paint_cell(painter, area, cell)
        self._paint_meter(painter, self.meter_area())
        painter.end()

    def _lines(self, area: QRectF) -> tuple[QRectF, QRectF]:
        px = self.theme.px
        width = area.width() - px(8)
        upper = QRectF(area.left(), area.top() + px(3), width, px(15))
        return upper, QRectF(area.left(), area.top() + px(18), width, px(18))

    def _paint_cell(self, painter: QPainter, area: QRectF, cell: Cell) -> None:
        px, font = self.theme.px, self.theme.font
        upper, lower = self._lines(area)
        write(painter, upper, cell.caption, font(CAPTION - 0.5), palette.TEXT_FAINT, LEFT)
        if cell.colour is not None:
            dot = QRectF(lower.left(), lower.center().y() - px(3.5), px(7), px(7))
            fill(painter, dot, cell.colour, dot.height() / 2)
            lower.setLeft(dot.right() + px(6))
        write(painter, lower, cell.text, font(CAPTION + 1, MEDIUM, tabular=True), palette.TEXT)

    def _paint_meter(self, painter: QPainter, area: QRectF) -> None:
        px, font = self.theme.px, self.theme.font
        upper, lower = self._lines(area)
        write(painter, upper, _METER_CAPTION, font(CAPTION - 0.5), palette.TEXT_FAINT, LEFT)
        track = QRectF(lower.left(), lower.center().y() - px(3), area.width() - px(64), px(6))
        fill(painter, track, palette.RAISED, px(3))
        level = self.level
        length = level_fraction(level)
        if length > 0.02:
            colour = palette.ERROR if level is not None and level > -3 else palette.GOOD
            filled = QRectF(track)
            filled.setWidth(max(track.width() * length, px(6)))
            ink = QColor(colour)
            ink.setAlphaF(1.0 if self._speech else 0.5)
            fill(painter, filled, ink, px(3))
        text = UNKNOWN if level is None else decibels(level)
        figure = QRectF(track.right() + px(8), lower.top(), px(48), lower.height())
        numbers = font(CAPTION + 1, MEDIUM, tabular=True)
        write(painter, figure, text, numbers, palette.TEXT, Qt.AlignmentFlag.AlignVCenter)

    def tip_at(self, place: QPoint) -> str:
        for cell, area in zip(self.shown(), self.cell_areas(), strict=False):
            if area.left() <= place.x() < area.right():
                return cell.tip
        return _METER_TIP

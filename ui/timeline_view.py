"""Labels and probabilities over time: the last minute, or a recording, whole or a part of it.

Thread: GUI. Above, the probabilities of all classes stacked; below, the label as a band of colour
hatched where we are not sure. The colours are those of the bars.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QLineF, QPoint, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QFont,
    QMouseEvent,
    QPainter,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
    QWheelEvent,
)
from PyQt6.QtWidgets import QToolTip, QWidget

from realtime.clock import clock_time
from realtime.messages import Prediction
from ui import palette, rendering
from ui.answer_track import NOT_SURE, NOTHING, AnswerTrack, runs
from ui.panel import CENTRE, LEFT, RIGHT, Panel, fill, hatch, text_width, write
from ui.present.timeline import axis_end, short_names, timeline_words
from ui.present.words import percent, sentence
from ui.theme import CAPTION, SEMIBOLD, Theme

_FOOT: Final = 15.0  # design pixels for the times
_BAND: Final = 14.0  # … for the labels
_NOTCH: Final = 120  # eighths of a degree that a mouse's wheel turns at a time
_LEAST_SPAN: Final = 5.0  # s, that the wheel shows of a recording
_SOUGHT: Final = 0.9  # s, that no playback moves between two polls, but every key that seeks
_TENTHS_BELOW: Final = 20.0  # s, of which whole seconds would say too little
_REACH: Final = 6.0  # design pixels around the chart, where a press seeks as well
ZOOM: Final = 0.8  # of what is shown, by a notch of the wheel
_MOST_ROWS: Final = 96  # of the stacked picture; Qt stretches it


class TimelineView(Panel):
    """The last `history_seconds` in live mode; in replay the file, with a cursor.

    The wheel shows less of a file, or more, around the pointer; a double click shows all of it.
    """

    sought = pyqtSignal(float)  # s, where the person clicked in a recording

    def __init__(
        self,
        labels: tuple[str, ...],
        history_seconds: float,
        theme: Theme,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("", theme, parent)
        self._labels = labels
        self._names = [(sentence(label), *short_names(label, labels)) for label in labels]
        self._history_seconds = history_seconds
        self.setAccessibleName("Timeline")
        self.setToolTip(
            "Above, how all classes stood at each moment; below, the answer of that moment.\n"
            "Where it is hatched there was none: not sure."
        )
        self._dragged = False  # a press has sought, and its button is still down
        self._picture = QPixmap()  # of the chart; null where that has no room
        self._tip = ""  # that was shown last, and where
        self._tip_place = QPoint(), QPoint()
        self.clear(live=True)

    # -- what is shown -------------------------------------------------------------------------

    def clear(self, *, live: bool) -> None:
        """Begin anew, for live input or for a recording."""
        self._live = live
        self._track = AnswerTrack(self._labels, self._history_seconds if live else None)
        self._duration = self._history_seconds if live else 0.0
        self._analysed = self._position = 0.0
        self._part: tuple[float, float] | None = None  # of the recording, None for the whole
        self._title = "Last minute" if live else "Recording"
        self._tell()
        self.setAccessibleName("Timeline")
        self.setCursor(Qt.CursorShape.ArrowCursor if live else Qt.CursorShape.PointingHandCursor)
        self._render()

    def extend(self, predictions: Sequence[Prediction]) -> None:
        """Add new predictions at the end."""
        self._track.extend(predictions)
        self._render()
        self._tell()
        if self._live and self._tip and QToolTip.isVisible() and QToolTip.text() == self._tip:
            self.show_tip(*self._tip_place)  # of what is there now

    def label_shares(self) -> tuple[float, ...]:
        """See AnswerTrack.label_shares."""
        return self._track.label_shares()

    def set_extent(self, duration: float, analysed: float, position: float) -> None:
        """Length of the recording, how far it is analysed and where playback stands, in seconds."""
        redraw = duration != self._duration
        moved = position != self._position or analysed != self._analysed
        passed = redraw or int(position) != int(self._position)  # to another second
        # Whoever looks at another part stays there, until they seek.
        follows = self._is_shown() or abs(position - self._position) > _SOUGHT
        self._duration, self._analysed, self._position = duration, analysed, position
        if follows:
            self._follow()
        if redraw:
            self._render()
        elif moved:
            self.update()
        if passed:
            self._tell()

    def set_paused(self, paused: bool) -> None:
        if paused != self.paused:
            super().set_paused(paused)
            self._tell()

    def _tell(self) -> None:
        """Tell screen readers what the colours mean."""
        named = [(self._name(label), start, end) for label, start, end in self._track.stretches]
        position = None if self._live else self._position
        told = timeline_words(named, position=position, end=self._track.end, paused=self.paused)
        self.describe(told)

    def _name(self, label: int) -> str:
        return "not sure" if label == NOT_SURE else self._labels[label]

    def _colour(self, label: str) -> str:
        return palette.class_colour(label, self._labels)

    # -- where things are ----------------------------------------------------------------------

    def span(self) -> tuple[float, float]:
        """First and last second that are shown."""
        if self._live:
            return self._track.end - self._history_seconds, self._track.end
        return self._part or (0.0, self._whole())

    def _whole(self) -> float:
        """Seconds of the whole recording."""
        return max(self._duration, self._track.end, 0.1)

    def zoom(self, factor: float, around: float | None = None) -> None:
        """Show `factor` times as much of a recording; `around` (s, else the cursor) stays put."""
        if around is None:
            self._follow()
        start, end = self.span()
        fixed = min(self._position, end) if around is None else around
        length = max((end - start) * factor, min(_LEAST_SPAN, self._whole()))
        self._show_part(fixed - (fixed - start) / (end - start) * length, length)

    def show_whole(self) -> None:
        """Show all of a recording."""
        self._show_part(0.0, self._whole())

    def _show_part(self, start: float, length: float) -> None:
        """Show `length` seconds from about `start` on, within the recording."""
        whole = self._whole()
        start = min(max(start, 0.0), max(whole - length, 0.0))
        part = (start, start + length) if length < whole else None
        if part != self._part and not self._live:
            self._part = part
            self._render()

    def _is_shown(self) -> bool:
        """Whether the part that is shown is that where playback stands."""
        start, end = self.span()
        return self._part is None or start <= self._position <= end

    def _follow(self) -> None:
        """Turn to the part where playback stands, unless that is shown."""
        if not self._is_shown():
            start, end = self.span()
            self._show_part(self._position - 0.1 * (end - start), end - start)

    def chart(self) -> QRectF:
        """Where time runs from left to right: probabilities above, labels below."""
        return self.content().adjusted(0, 0, 0, -self.theme.px(_FOOT))

    def seconds_at(self, x: float) -> float:
        """Time below a place in the widget."""
        area, (start, end) = self.chart(), self.span()
        fraction = (x - area.left()) / max(area.width(), 1.0)
        return start + min(max(fraction, 0.0), 1.0) * (end - start)

    def _x_of(self, seconds: float) -> float:
        area, (start, end) = self.chart(), self.span()
        return area.left() + (seconds - start) / (end - start) * area.width()

    # -- painting ------------------------------------------------------------------------------

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self._render()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        self._render()

    def _render(self) -> None:
        """Draw the chart into a picture; needed only when there is something new in it."""
        area, ratio = self.chart(), self.devicePixelRatioF()
        self._picture = QPixmap((area.size() * ratio).toSize().expandedTo(QSize(0, 0)))
        if not self._picture.isNull():
            self._picture.setDevicePixelRatio(ratio)
            self._picture.fill(Qt.GlobalColor.transparent)
            painter = QPainter(self._picture)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_chart(painter, QRectF(QPointF(0, 0), area.size()))
            painter.end()
        self.update()

    def _paint_chart(self, painter: QPainter, area: QRectF) -> None:
        px = self.theme.px
        band = QRectF(0, area.bottom() - px(_BAND), area.width(), px(_BAND))
        stack = area.adjusted(0, 0, 0, -px(_BAND + 4))
        fill(painter, stack, palette.RAISED, px(3))
        fill(painter, band, palette.RAISED, px(3))
        height, count = round(stack.height()), round(area.width())
        if count < 2 or height < 2:
            return
        start, end = self.span()
        # Live, columns stand for the same moments as long as they are shown: else what moves to the
        # left would change its width by a column, and its name, ten times a second.
        late = end % (self._history_seconds / count) if self._live else 0.0
        columns = self._track.columns(start - late, end - late, count)
        colours = np.array([palette.rgb(self._colour(label)) for label in self._labels], np.uint8)
        image = rendering.stacked_probabilities(
            columns.smoothed, columns.labels < 0, colours, min(height, _MOST_ROWS)
        )
        painter.drawImage(stack, image)
        self._paint_labels(painter, band, columns.labels)

    def paint(self, painter: QPainter, area: QRectF) -> None:
        if self._picture.devicePixelRatio() != self.devicePixelRatioF():  # on another screen
            self._render()
        chart = self.chart()
        painter.drawPixmap(chart.topLeft(), self._picture)
        self._paint_times(painter, area, chart)
        if not self._live:
            self._paint_position(painter, chart)

    def _paint_labels(self, painter: QPainter, band: QRectF, labels: NDArray[np.int8]) -> None:
        px = self.theme.px
        font = self.theme.font(CAPTION - 1, SEMIBOLD)
        column = band.width() / len(labels)
        for label, start, end in runs(labels):
            part = QRectF(start * column, band.top(), (end - start) * column, band.height())
            if label == NOT_SURE:
                hatch(painter, part, palette.TEXT_FAINT)
            if label < 0:
                continue
            colour = self._colour(self._labels[label])
            fill(painter, part, colour, min(px(3), part.width() / 2))
            if (name := self._name_within(part.width(), label, font)) is not None:
                write(painter, part, name, font, palette.ink_on(colour), CENTRE)

    def _name_within(self, width: float, label: int, font: QFont) -> str | None:
        """The name of a class, shortened as far as `width` pixels ask for; None where none fits."""
        whole, *shorter = self._names[label]
        if text_width(whole, font) + self.theme.px(8) <= width:
            return whole
        room = width - self.theme.px(3)
        return next((name for name in shorter if text_width(name, font) <= room), None)

    def _paint_legend(self, painter: QPainter) -> QRectF:
        """Say what is hatched, at the right of the title; returns the room that is left."""
        px = self.theme.px
        font = self.theme.font(CAPTION)
        line = self.title_area()
        write(painter, line, "not sure", font, palette.TEXT_FAINT, RIGHT)
        swatch = QRectF(0, 0, px(22), px(11))
        swatch.moveCenter(line.center())
        swatch.moveRight(line.right() - text_width("not sure", font) - px(6))
        fill(painter, swatch, palette.RAISED)
        hatch(painter, swatch, palette.TEXT_FAINT)
        line.setRight(swatch.left() - px(16))
        return line

    def _paint_times(self, painter: QPainter, area: QRectF, chart: QRectF) -> None:
        px = self.theme.px
        font = self.theme.font(CAPTION, tabular=True)
        foot = QRectF(area.left(), chart.bottom() + px(2), area.width(), px(_FOOT))
        start, end = self.span()
        title = self._paint_legend(painter)
        if self._live:
            write(painter, foot, f"−{end - start:.0f} s", font, palette.TEXT_FAINT, LEFT)
            write(painter, foot, axis_end(paused=self.paused), font, palette.TEXT_FAINT, RIGHT)
            return
        is_close = self._part is not None and end - start < _TENTHS_BELOW
        end = self._duration if self._part is None else end
        first, last = (clock_time(each, tenths=is_close) for each in (start, end))
        write(painter, foot, first, font, palette.TEXT_FAINT, LEFT)
        write(painter, foot, last, font, palette.TEXT_FAINT, RIGHT)
        if self._part is not None:
            beside = px(12)
            left, right = text_width(first, font) + beside, text_width(last, font) + beside
            self._paint_part(painter, foot.adjusted(left, 0, -right, 0))
        if self._analysed < self._duration - 0.2:
            fraction = self._analysed / max(self._duration, 0.1)
            text = f"analysed {percent(fraction)}"
            write(painter, title, text, font, palette.TEXT_FAINT, RIGHT)
            left = min(max(self._x_of(self._analysed), chart.left()), chart.right())
            rest = QRectF(left, chart.top(), chart.right() - left, chart.height())
            painter.fillRect(rest, QColor(13, 16, 20, 150))

    def _paint_part(self, painter: QPainter, area: QRectF) -> None:
        """Which part of the recording is shown, as scroll bars do."""
        (start, end), whole = self.span(), self._whole()
        thickness = self.theme.px(3)
        line = QRectF(area.left(), area.center().y() - thickness / 2, area.width(), thickness)
        fill(painter, line, palette.RAISED, thickness / 2)
        width = max((end - start) / whole * line.width(), 2 * thickness)
        line.setLeft(line.left() + start / (whole - end + start) * (line.width() - width))
        line.setWidth(width)
        fill(painter, line, palette.TEXT_FAINT, thickness / 2)

    def _paint_position(self, painter: QPainter, chart: QRectF) -> None:
        px = self.theme.px
        start, end = self.span()
        if self._position < start or (self._part is not None and self._position > end):
            return
        x = self._x_of(min(self._position, end))
        painter.setPen(QPen(QColor(palette.TEXT), px(2)))
        painter.drawLine(QLineF(x, chart.top() - px(2), x, chart.bottom()))
        half = px(5)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(palette.TEXT))
        top = chart.top() - px(3)
        painter.drawPolygon(
            QPolygonF(
                [
                    QPointF(x - half, top - half),
                    QPointF(x + half, top - half),
                    QPointF(x, top + px(2)),
                ]
            )
        )

    # -- pointer -------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is None or event.button() != Qt.MouseButton.LeftButton or self._live:
            return
        reach = self.theme.px(_REACH)
        if self.chart().adjusted(-reach, -reach, reach, reach).contains(event.position()):
            self._dragged = True
            self._seek(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and self._dragged:
            self._seek(event)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        self._dragged = False

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        if self._part is not None:  # its first click sought
            self.show_whole()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is None:
            return
        if self._live:
            event.ignore()
            return
        start, end = self.span()
        across, notches = event.angleDelta().x() / _NOTCH, event.angleDelta().y() / _NOTCH
        if across:
            self._show_part(start - 0.1 * across * (end - start), end - start)
        if notches:
            self.zoom(ZOOM**notches, self.seconds_at(event.position().x()))
        event.accept()

    def _seek(self, event: QMouseEvent) -> None:
        self.sought.emit(self.seconds_at(event.position().x()))

    def show_tip(self, place: QPoint, global_place: QPoint) -> None:
        self._tip, self._tip_place = self.tip_at(place), (place, global_place)
        if not self._live:
            self._tip += "\nThe wheel zooms" if self._part is None else "\nDouble click: the whole"
        QToolTip.showText(global_place, self._tip, self)

    def tip_at(self, place: QPoint) -> str:
        """What was answered when, at a place in the widget."""
        seconds = self.seconds_at(place.x())
        label = self._track.label_at(seconds)
        if self._live and label == NOTHING and seconds <= max(self._track.begin, 0.0):
            return "Before the start"
        what = "no answer" if label == NOTHING else self._name(label)
        if not self._live:
            if label == NOTHING and seconds > self._analysed:
                what = "not analysed yet"
            return f"{sentence(what)}, {clock_time(seconds, tenths=True)}"
        before = "before the pause" if self.paused else "ago"
        return f"{sentence(what)}, {self._track.end - seconds:.0f} s {before}"

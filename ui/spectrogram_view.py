"""The sound of the window, and the moments of it that counted.

Thread: GUI. The spectrogram is the log-mel that the network is given, at fixed levels.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QRect, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen, QResizeEvent
from PyQt6.QtWidgets import QWidget

from realtime.messages import Prediction
from ui import palette
from ui.panel import CENTRE, DIMMED, LEFT, RIGHT, Panel, fill, text_width, write
from ui.present.shares import moments_curve, sound_absence, voice_known
from ui.present.timeline import axis_end
from ui.theme import CAPTION, MEDIUM, Theme

LEVELS: Final = (-1.0, 1.4)  # of Whisper's normalised log-mel: room noise … loud speech
MEL_SECONDS: Final = 0.01  # per column
_BANDS: Final = 80
_FOOT: Final = 15.0


class SpectrogramView(Panel):
    """Spectrogram with the curve of the voice's attention over time."""

    def __init__(self, window_seconds: float, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("Sound", theme, parent)
        self.setToolTip(
            f"The sound of the last {window_seconds:g} s: low tones below, high ones above, loud "
            "ones bright\n"
            "(log-mel spectrogram, 0 to 8 kHz).\n"
            "The amber curve shows the moments that counted (attention over time).\n"
            "While somebody speaks, the program learns how this voice sounds by nature,\n"
            "and discounts it, so that only the emotion is judged."
        )
        self._window_seconds = window_seconds
        self._hint = self._absent_text = self._known = ""
        self._has_sound = self._has_curve = False
        self._plot: QWidget = pg.GraphicsView(self, useOpenGL=False, background=palette.SURFACE)
        self._plot.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        box: Any = pg.ViewBox(enableMouse=False, enableMenu=False, defaultPadding=0.0)
        self._plot.setCentralItem(box)
        box.setRange(QRectF(-window_seconds, 0, window_seconds, _BANDS), padding=0)
        self._image: Any = pg.ImageItem(axisOrder="row-major")
        self._image.setLookupTable(palette.lookup_table(palette.SOUND_STOPS))
        wash = QColor(palette.ATTENTION)
        wash.setAlphaF(0.28)
        self._curve: Any = pg.PlotCurveItem(fillLevel=0.0, brush=wash, antialias=True)
        box.addItem(self._image)
        box.addItem(self._curve)
        self._plot.hide()

    def show_prediction(self, prediction: Prediction | None) -> None:
        """Show another window's sound."""
        spectrogram = None if prediction is None else prediction.spectrogram
        moments = None if prediction is None else prediction.voice_moments
        before = self._told()
        self._has_sound = spectrogram is not None
        self._has_curve = spectrogram is not None and moments is not None
        self._plot.setVisible(self._has_sound)
        if prediction is not None:
            self._show_sound(prediction)
        self._hint = "" if prediction is None else sound_absence(prediction)
        self._absent_text = "" if prediction is None else "no sound"
        self._known = voice_known(prediction)
        heard = self._hint or f"Sound of the last {self._window_seconds:g} s"
        self.describe("; ".join(filter(None, (heard, self._known))))
        if self._told() != before:  # spectrogram and curve paint themselves
            self.update()

    def _told(self) -> tuple[object, ...]:
        """What `paint` shows."""
        return self._has_sound, self._has_curve, self._hint, self._absent_text, self._known

    def _show_sound(self, prediction: Prediction) -> None:
        spectrogram, moments = prediction.spectrogram, prediction.voice_moments
        if spectrogram is None or prediction.spectrogram_end is None:
            return
        length = spectrogram.shape[1] * MEL_SECONDS
        start = prediction.spectrogram_end - prediction.window_end - length
        self._image.setImage(np.ascontiguousarray(spectrogram), autoLevels=False, levels=LEVELS)
        self._image.setRect(QRectF(start, 0, length, _BANDS))
        self._curve.setVisible(moments is not None)
        if moments is not None:
            times = start + (np.arange(len(moments)) + 0.5) * length / len(moments)
            self._curve.setData(times, moments_curve(moments) * _BANDS * 0.9)

    def set_paused(self, paused: bool) -> None:
        super().set_paused(paused)
        for item in (self._image, self._curve):
            item.setOpacity(DIMMED if paused else 1.0)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self._curve.setPen(pg.mkPen(palette.ATTENTION, width=1.6 * theme.scale))
        self._place()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        self._place()

    def plot_area(self) -> QRect:
        """Where the spectrogram lies."""
        return self.content().adjusted(0, 0, 0, -self.theme.px(_FOOT)).toRect()

    def paint(self, painter: QPainter, area: QRectF) -> None:
        px = self.theme.px
        font = self.theme.font(CAPTION, tabular=True)
        plot = QRectF(self.plot_area())
        if not self._has_sound:
            fill(painter, plot, palette.RAISED, px(4))
            write(painter, plot, self._absent_text, font, palette.TEXT_FAINT, CENTRE)
        foot = QRectF(area.left(), plot.bottom() + px(2), area.width(), px(_FOOT))
        begin = f"−{self._window_seconds:.0f} s"
        end = axis_end(paused=self.paused)
        beside = max(text_width(begin, font), text_width(end, font)) + px(12)
        known = foot.adjusted(beside, 0, -beside, 0)
        if text_width(self._known, font) > known.width():  # the begin matters less
            begin = ""
            known.setLeft(foot.left())
        write(painter, foot, begin, font, palette.TEXT_FAINT, LEFT)
        write(painter, known, self._known, font, palette.TEXT_FAINT, CENTRE)
        write(painter, foot, end, font, palette.TEXT_FAINT, RIGHT)
        title = self.title_area()
        title.setLeft(title.left() + text_width(self._title, self.theme.font(CAPTION + 2, MEDIUM)))
        if self._has_curve:
            text = "what counted"
            write(painter, title, text, font, palette.TEXT_FAINT, RIGHT)
            x = title.right() - text_width(text, font) - px(22)
            painter.setPen(QPen(QColor(palette.ATTENTION), px(2)))
            painter.drawLine(
                round(x), round(title.center().y()), round(x + px(14)), round(title.center().y())
            )
        else:
            write(painter, title, self._hint, font, palette.TEXT_FAINT, RIGHT)

    def _place(self) -> None:
        self._plot.setGeometry(self.plot_area())

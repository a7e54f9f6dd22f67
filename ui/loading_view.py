"""What is being loaded, over the middle of the picture.

Thread: GUI.
"""

from __future__ import annotations

import math
from typing import Final

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QWidget

from ui import palette
from ui.panel import fill, write
from ui.present.words import PRIVACY
from ui.theme import BODY, CAPTION, RADIUS, SEMIBOLD, TITLE, Theme

_TURN_SECONDS: Final = 1.6  # one swing of the bar while nobody knows how long it takes


class LoadingView(QWidget):
    """Title, message and progress on a small card that floats."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = theme
        self.setAccessibleName("Loading")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._message = ""
        self._progress: float | None = None
        self._shown = 0.0
        self._seconds = 0.0
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Draw at another scale from now on."""
        self.theme = theme
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self.theme.px(408), self.theme.px(142))

    def show_progress(self, message: str, progress: float | None) -> None:
        """Say what is being loaded, and how much of it is (None: not known)."""
        self._message, self._progress = message, progress
        self.setAccessibleDescription(message)

    def advance(self, seconds: float) -> None:
        """Let the bar move for `seconds`."""
        if not self.isVisible():
            return
        self._seconds += seconds
        goal = self._progress or 0.0
        self._shown += (goal - self._shown) * (1.0 - math.exp(-seconds / 0.2))
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        px, font = self.theme.px, self.theme.font
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        fill(painter, self.rect().toRectF(), QColor(30, 36, 45, 242), px(RADIUS + 2))
        area = self.rect().toRectF().adjusted(px(22), px(18), -px(22), -px(18))
        line = QRectF(area.left(), area.top(), area.width(), px(24))
        write(painter, line, "Getting ready", font(TITLE + 1, SEMIBOLD), palette.TEXT)
        line.translate(0, px(27))
        write(painter, line, self._message, font(BODY), palette.TEXT_SOFT)
        track = QRectF(area.left(), line.bottom() + px(8), area.width(), px(6))
        fill(painter, track, palette.LINE, px(3))
        done = QRectF(track)
        if self._progress is None:
            done.setWidth(track.width() * 0.3)
            swing = 0.5 - 0.5 * math.cos(2 * math.pi * self._seconds / _TURN_SECONDS)
            done.moveLeft(track.left() + swing * (track.width() - done.width()))
        else:
            done.setWidth(max(track.width() * min(self._shown, 1.0), px(6)))
        fill(painter, done, palette.ACCENT, px(3))
        line.moveTop(track.bottom() + px(10))
        write(painter, line, PRIVACY, font(CAPTION), palette.TEXT_FAINT)
        painter.end()

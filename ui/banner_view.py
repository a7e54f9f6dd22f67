"""A sentence laid over the top of the picture, with a button where something can be done.

Thread: GUI. It floats, so that nothing below it moves. What only informs goes by itself.
"""

from __future__ import annotations

from typing import Final

from PyQt6.QtCore import QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QAction, QColor, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from ui import icons, palette
from ui.controls import Button
from ui.present.notices import Notice, Remedy, Severity
from ui.theme import RADIUS, Theme
from ui.wrapping import breakable

READING_MILLISECONDS: Final = 6000  # how long a notice that only informs is shown
_LOOKS: Final = {
    Severity.INFO: ("about", palette.ACCENT),
    Severity.WARNING: ("warning", palette.WARNING),
    Severity.ERROR: ("warning", palette.ERROR),
}

_BUTTONS: Final = {Remedy.OPEN: "Open recording…", Remedy.ADDRESS: "Change address…"}


class BannerView(QWidget):
    """Shows one notice at a time; hidden when there is none."""

    remedied = pyqtSignal(object)  # Remedy of the notice whose button was pressed
    dismissed = pyqtSignal(object)  # the Notice

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Notice")
        self.theme = theme
        self._notice: Notice | None = None
        self._seen = True
        self.reading = QTimer(self)  # runs while a notice is shown that only informs
        self.reading.setSingleShot(True)
        self.reading.setInterval(READING_MILLISECONDS)
        self.reading.timeout.connect(self._expire)
        self._symbol = QLabel()
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._button = QPushButton()
        self._button.setProperty("role", "primary")
        self._button.clicked.connect(self._remedy)
        closing = QAction(icons.icon("close"), "Dismiss", self)
        closing.setToolTip("Dismiss (Esc)")
        closing.triggered.connect(self._dismiss)
        self._close = Button(closing)
        self._layout = QHBoxLayout(self)
        self._layout.addWidget(self._symbol)
        self._layout.addWidget(self._text, stretch=1)
        self._layout.addWidget(self._button)
        self._layout.addWidget(self._close)
        self.set_theme(theme)
        self.hide()

    @property
    def notice(self) -> Notice | None:
        """What is shown, None when hidden."""
        return self._notice

    def show_notice(self, notice: Notice | None) -> None:
        """Show another notice, or none."""
        if notice == self._notice:
            return
        self._notice = notice
        if notice is not None:
            self._text.setText(breakable(notice.text))
            self._text.setAccessibleName(notice.text)
            self.setAccessibleDescription(notice.text)
            if notice.remedy is not None:
                self._button.setText(_BUTTONS.get(notice.remedy, "Retry"))
            self._button.setVisible(notice.remedy is not None)
            self._dress()
        self.setVisible(notice is not None)
        if notice is not None and notice.severity is Severity.INFO and notice.remedy is None:
            self.reading.start()
        else:
            self.reading.stop()

    def set_seen(self, seen: bool) -> None:
        """Whether anyone can read it; from then on what only informs is shown as long as ever."""
        self._seen = seen
        if self.reading.isActive():
            self.reading.start()

    def set_theme(self, theme: Theme) -> None:
        """Lay out at another scale."""
        self.theme = theme
        px = theme.px
        self._layout.setContentsMargins(px(14), px(8), px(8), px(8))
        self._layout.setSpacing(px(10))
        self._close.setFixedSize(px(30), px(30))
        self._close.setIconSize(QSize(px(14), px(14)))
        self._dress()

    def place(self, left: int, top: int, width: int) -> None:
        """Float at this place, as high as the text needs."""
        self.setGeometry(left, top, width, self._layout.heightForWidth(width))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        _, colour = _LOOKS[self._notice.severity if self._notice else Severity.INFO]
        edge = QColor(colour)
        edge.setAlphaF(0.6)
        painter.setPen(QPen(edge, 1.2))
        painter.setBrush(QColor(30, 36, 45, 242))
        radius = self.theme.px(RADIUS)
        painter.drawRoundedRect(self.rect().toRectF().adjusted(1, 1, -1, -1), radius, radius)
        painter.end()

    def _dress(self) -> None:
        name, colour = _LOOKS[self._notice.severity if self._notice else Severity.INFO]
        ratio = self.devicePixelRatioF()
        symbol = icons.pixmap(name, colour, round(self.theme.px(20) * ratio))
        symbol.setDevicePixelRatio(ratio)
        self._symbol.setPixmap(symbol)

    def _remedy(self) -> None:
        if self._notice is not None:
            self.remedied.emit(self._notice.remedy)

    def _expire(self) -> None:
        # Under the mouse it is being read, or about to be dismissed.
        if self.underMouse() or not self._seen:
            self.reading.start()
        else:
            self._dismiss()

    def _dismiss(self) -> None:
        if self._notice is not None:
            self.dismissed.emit(self._notice)

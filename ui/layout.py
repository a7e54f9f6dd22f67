"""Where the views lie in the window, and how large everything in it is.

Thread: GUI.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from PyQt6.QtCore import QEvent, QObject, QRect, QSize, Qt
from PyQt6.QtWidgets import QGridLayout, QMainWindow, QVBoxLayout, QWidget

from ui.answer_view import AnswerView
from ui.attention_view import AttentionView
from ui.banner_view import BannerView
from ui.controls import Button
from ui.header_view import HeaderView
from ui.loading_view import LoadingView
from ui.share_view import ShareView
from ui.spectrogram_view import SpectrogramView
from ui.status_view import StatusView
from ui.theme import GAP, Theme
from ui.timeline_view import TimelineView
from ui.transport_view import TransportView
from ui.video_view import VideoView

USUAL: Final = QSize(1280, 720)
_SIDE_WIDTH: Final = 396.0  # design pixels …
_NARROW_SIDE_WIDTH: Final = 300.0
_BOTTOM_HEIGHT: Final = 132.0
_TALL_BOTTOM_HEIGHT: Final = 150.0
_MOST_BELOW: Final = 1000.0  # … beyond which the rows of the cards lie far apart, in one column …
_MOST_BELOW_PAIRED: Final = 400.0  # … and in two …
_LEAST_BELOW_PAIRED: Final = 228.0  # … of less height than which the rows have no room
_SHARES_HEIGHT: Final = 84.0  # … that this card has at least
_COLUMN_HEIGHT: Final = 1070  # pixels, of a window whose cards have room in one column
_UNBOUNDED: Final = (1 << 24) - 1  # QWIDGETSIZE_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """All that the window shows."""

    header: HeaderView
    video: VideoView
    transport: TransportView
    spectrogram: SpectrogramView
    timeline: TimelineView
    answer: AnswerView
    shares: ShareView
    attention: AttentionView
    status: StatusView
    # These two float above all else.
    loading: LoadingView
    banner: BannerView


@dataclass(frozen=True, slots=True)
class Shape:
    """What has room in a window, and where."""

    tall: bool  # the cards lie below the picture, not beside it …
    paired: bool  # … in two columns
    narrow: bool  # buttons go without their words
    has_attention: bool  # else the answer would have to shrink
    has_bottom: bool  # else the picture would

    @classmethod
    def of(cls, size: QSize) -> Shape:
        """The shape of a window of `size`."""
        width, height = size.width(), size.height()
        tall = height > width
        return cls(
            tall=tall,
            paired=tall and height < max(1.4 * width, _COLUMN_HEIGHT),
            narrow=width < 880,
            has_attention=tall or height >= 560,
            has_bottom=height >= (700 if tall else 440),
        )


class Layout(QObject):
    """Lays `views` out in `window`, anew whenever its shape or scale changes."""

    def __init__(self, window: QMainWindow, views: Views) -> None:
        super().__init__(window)
        self.theme = Theme()
        self._shape = Shape.of(USUAL)
        self._window = window
        self._views = views
        self._bottom = QWidget()
        self._below = below = QGridLayout(self._bottom)
        below.setContentsMargins(0, 0, 0, 0)
        below.addWidget(views.spectrogram, 0, 0)
        below.addWidget(views.timeline, 0, 1)
        below.setColumnStretch(1, 7)
        self._main = QWidget()
        left = QVBoxLayout(self._main)
        left.setContentsMargins(0, 0, 0, 0)
        left.addWidget(views.video, stretch=1)
        left.addWidget(views.transport)
        left.addWidget(self._bottom)
        self._side = QWidget()
        self._cards = QGridLayout(self._side)
        self._cards.setContentsMargins(0, 0, 0, 0)
        self.central = QWidget()
        self.central.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # else the first control gets it
        self._grid = QGridLayout(self.central)
        self._grid.setColumnStretch(0, 1)
        self._columns = (left, self._cards, below)
        window.setCentralWidget(self.central)
        self._arrange()
        for floating in (views.loading, views.banner):
            floating.setParent(self.central)  # last, to lie above all else
        views.video.installEventFilter(self)
        self.dress()

    def fit(self, size: QSize) -> None:
        """Lay out for a window of `size`."""
        theme, shape = Theme.for_window(size), Shape.of(size)
        if (theme, shape) != (self.theme, self._shape):
            self.theme, self._shape = theme, shape
            self._arrange()
            self.dress()

    def _arrange(self) -> None:
        """Put everything where the window's shape has room for it."""
        shape, views, grid, cards = self._shape, self._views, self._grid, self._cards
        places = {
            views.header: (0, 0, 1, 2),
            self._main: (1, 0, 1, 2 if shape.tall else 1),
            self._side: (2, 0, 1, 2) if shape.tall else (1, 1, 1, 1),
            views.status: (3, 0, 1, 2),
        }
        stretches = (10, 4) if shape.paired else (10, 9) if shape.tall else (1, 0)
        _lay(grid, places, dict(enumerate(stretches, start=1)))
        views.attention.setVisible(shape.has_attention)
        self._bottom.setVisible(shape.has_bottom)
        if shape.paired:
            places = {views.answer: (0, 0, 2, 1), views.shares: (0, 1, 1, 1)}
            _lay(cards, places | {views.attention: (1, 1, 1, 1)}, {0: 100, 1: 210, 2: 0})
        else:
            column = (views.answer, views.shares, views.attention)
            places = {card: (row, 0, 1, 1) for row, card in enumerate(column)}
            _lay(cards, places, {0: 264, 1: 100, 2: 210 if shape.has_attention else 0})
        cards.setColumnStretch(0, 1)
        cards.setColumnStretch(1, 1 if shape.paired else 0)
        self._below.setColumnStretch(0, 7 if shape.narrow else 4)
        views.header.set_narrow(shape.narrow)
        style = Qt.ToolButtonStyle.ToolButtonTextBesideIcon
        if shape.narrow:
            style = Qt.ToolButtonStyle.ToolButtonIconOnly
        for button in self._window.findChildren(Button):
            if button.property("labelled"):
                button.setToolButtonStyle(style)

    def dress(self) -> None:
        """Give everything the sizes, fonts and symbols of the present theme and screen."""
        theme, shape = self.theme, self._shape
        gap = theme.px(GAP)
        self._window.setStyleSheet(theme.style_sheet())
        self._grid.setContentsMargins(theme.px(16), theme.px(10), theme.px(16), theme.px(6))
        self._grid.setSpacing(gap)
        self._grid.setVerticalSpacing(theme.px(10))
        for column in self._columns:
            column.setSpacing(gap)
        self._side.setMinimumWidth(0)
        self._side.setMaximumSize(_UNBOUNDED, _UNBOUNDED)
        self._side.setMinimumHeight(theme.px(_LEAST_BELOW_PAIRED) if shape.paired else 0)
        if shape.tall:
            most = _MOST_BELOW_PAIRED if shape.paired else _MOST_BELOW
            self._side.setMaximumHeight(theme.px(most))
        else:
            wide = _NARROW_SIDE_WIDTH if shape.narrow else _SIDE_WIDTH
            self._side.setFixedWidth(theme.px(wide))
        for row in (0, 1):
            is_shares = row == (0 if shape.paired else 1)
            self._cards.setRowMinimumHeight(row, theme.px(_SHARES_HEIGHT) if is_shares else 0)
        self._bottom.setFixedHeight(theme.px(_TALL_BOTTOM_HEIGHT if shape.tall else _BOTTOM_HEIGHT))
        for field in fields(self._views):
            getattr(self._views, field.name).set_theme(theme)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """The overlays follow the picture, which gets its place later than the window its size."""
        if event is not None and event.type() in (QEvent.Type.Resize, QEvent.Type.Move):
            self.place_overlays()
        return False

    def place_overlays(self) -> None:
        """Float the banner over the top of the picture and the loading card over its middle."""
        video, banner, loading = self._views.video, self._views.banner, self._views.loading
        place = video.mapTo(self.central, video.rect().topLeft())
        area = video.rect().translated(place)
        margin = self.theme.px(12)
        width = min(area.width() - 2 * margin, self.theme.px(640))
        banner.place(area.center().x() - width // 2, area.top() + margin, width)
        over = banner.geometry().translated(-area.topLeft())
        video.set_covered(QRect() if banner.isHidden() else over)
        card = loading.sizeHint()
        loading.resize(card)
        loading.move(area.center().x() - card.width() // 2, area.center().y() - card.height() // 2)


def _lay(
    grid: QGridLayout, places: dict[QWidget, tuple[int, int, int, int]], stretches: dict[int, int]
) -> None:
    """Put widgets at (row, column, rows, columns) of `grid`, and let its rows grow as told."""
    for widget, place in places.items():
        grid.removeWidget(widget)
        grid.addWidget(widget, *place)
    for row, stretch in stretches.items():
        grid.setRowStretch(row, stretch)

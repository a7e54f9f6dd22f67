"""Type scale, spacing and style sheet, all in design pixels that grow with the window.

Thread: GUI. A design pixel is one device-independent pixel in a window of 1280 × 720.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from PyQt6.QtCore import QSize
from PyQt6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PyQt6.QtWidgets import QApplication

from ui import palette

CAPTION: Final = 11.0
BODY: Final = 13.0
TITLE: Final = 15.0
FIGURE: Final = 22.0
DISPLAY: Final = 38.0

GAP: Final = 12.0
PADDING: Final = 14.0
RADIUS: Final = 10.0

FRAME: Final = QSize(16, 40)  # pixels, about what systems take for a window's frame

REGULAR: Final = QFont.Weight.Normal
MEDIUM: Final = QFont.Weight.Medium
SEMIBOLD: Final = QFont.Weight.DemiBold

_ASSETS: Final = Path(__file__).parent / "assets"
_FAMILIES: Final = ("Inter", "Segoe UI", "Helvetica Neue", "DejaVu Sans")
_DESIGN_SIZE: Final = QSize(1280, 720)
_TALL_DESIGN_SIZE: Final = QSize(900, 1280)  # where nothing lies beside the picture
_SMALLEST, _LARGEST, _STEP = 0.84, 3.0, 0.04


def load_fonts() -> None:
    """Make the typeface that the program carries known to Qt; once per application."""
    for path in sorted(_ASSETS.glob("*.otf")):
        QFontDatabase.addApplicationFont(str(path))


def dark_palette() -> QPalette:
    """Qt's own palette in our colours, for whatever the style sheet does not reach."""
    roles = {
        QPalette.ColorRole.Window: palette.BACKGROUND,
        QPalette.ColorRole.WindowText: palette.TEXT,
        QPalette.ColorRole.Base: palette.SURFACE,
        QPalette.ColorRole.AlternateBase: palette.RAISED,
        QPalette.ColorRole.Text: palette.TEXT,
        QPalette.ColorRole.Button: palette.RAISED,
        QPalette.ColorRole.ButtonText: palette.TEXT,
        QPalette.ColorRole.ToolTipBase: palette.RAISED,
        QPalette.ColorRole.ToolTipText: palette.TEXT,
        QPalette.ColorRole.PlaceholderText: palette.TEXT_FAINT,
        QPalette.ColorRole.Highlight: palette.ACCENT,
        QPalette.ColorRole.HighlightedText: palette.BACKGROUND,
        QPalette.ColorRole.Link: palette.ACCENT,
    }
    colours = QPalette()
    for role, colour in roles.items():
        colours.setColor(role, QColor(colour))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        colours.setColor(QPalette.ColorGroup.Disabled, role, QColor(palette.TEXT_FAINT))
    return colours


def dress(application: QApplication) -> None:
    """Give `application` the dark look; once, before its first window."""
    load_fonts()
    application.setStyle("Fusion")
    application.setPalette(dark_palette())
    application.setFont(Theme().font(BODY))


@dataclass(frozen=True, slots=True)
class Theme:
    """Sizes at one scale; make another one for another window size."""

    scale: float = 1.0

    @classmethod
    def for_window(cls, size: QSize) -> Theme:
        """The theme for a window of `size`: larger windows get larger type, but not all of it."""
        design = _TALL_DESIGN_SIZE if size.height() > size.width() else _DESIGN_SIZE
        ratio = min(size.width() / design.width(), size.height() / design.height())
        stepped = round(max(ratio, 0.1) ** 0.7 / _STEP) * _STEP
        return cls(min(max(stepped, _SMALLEST), _LARGEST))

    def px(self, design: float) -> int:
        """Design pixels as whole pixels, at least one."""
        return max(1, round(design * self.scale))

    def font(
        self, size: float = BODY, weight: QFont.Weight = REGULAR, *, tabular: bool = False
    ) -> QFont:
        """The typeface at `size` design pixels; `tabular` digits are all equally wide."""
        return _font(self.px(size), weight, tabular)

    def style_sheet(self) -> str:
        """The style sheet of a whole window."""
        return _style_sheet(self.scale)


@lru_cache(maxsize=256)
def _font(pixels: int, weight: QFont.Weight, tabular: bool) -> QFont:
    font = QFont()
    font.setFamilies(_FAMILIES)
    font.setPixelSize(pixels)
    font.setWeight(weight)
    if tabular:
        font.setFeature(QFont.Tag("tnum"), 1)
    return font


def _style_sheet(scale: float) -> str:
    def px(design: float) -> str:
        return f"{max(1, round(design * scale))}px"

    p = palette
    groove, knob = 2 * max(1, round(2 * scale)), max(4, round(7 * scale))  # height; radius
    return f"""
    QMainWindow, QDialog {{ background: {p.BACKGROUND}; }}
    QWidget {{ color: {p.TEXT}; font-family: "Inter", "Segoe UI", "DejaVu Sans";
               font-size: {px(BODY)}; }}
    QLabel {{ background: transparent; }}
    QLabel[role="brand"] {{ font-size: {px(TITLE)}; font-weight: 600; }}
    QLabel[role="heading"] {{ font-size: {px(FIGURE)}; font-weight: 600; }}
    QLabel[role="term"] {{ font-weight: 500; }}
    QLabel[role="soft"] {{ color: {p.TEXT_SOFT}; }}
    QLabel[role="keycap"] {{ color: {p.TEXT}; background: {p.RAISED};
        border: 1px solid {p.LINE}; border-radius: {px(5)}; font-size: {px(CAPTION)};
        font-weight: 600; padding: {px(3)} {px(8)}; }}

    QToolTip {{ color: {p.TEXT}; background: {p.RAISED}; border: 1px solid {p.LINE};
                padding: {px(5)} {px(8)}; font-size: {px(CAPTION + 1)}; }}

    QAbstractButton {{ color: {p.TEXT}; background: {p.RAISED}; font-weight: 500;
        border: {px(1)} solid transparent; border-radius: {px(7)};
        padding: {px(6)} {px(12)}; }}
    QToolButton {{ background: transparent; padding: {px(4)}; }}
    QToolButton[labelled="true"] {{ background: {p.RAISED}; padding: {px(6)} {px(12)}; }}
    QAbstractButton:hover {{ background: {p.HOVER}; }}
    QAbstractButton:pressed {{ background: {p.LINE}; }}
    QAbstractButton:checked {{ background: {p.RAISED}; border-color: {p.LINE}; }}
    QAbstractButton:disabled {{ color: {p.TEXT_FAINT}; }}
    QAbstractButton:focus {{ border-color: {p.ACCENT}; }}
    QToolButton::menu-indicator {{ image: none; width: 0; }}
    QPushButton[role="primary"] {{ background: {p.ACCENT}; color: {p.BACKGROUND};
        font-weight: 600; }}
    QPushButton[role="primary"]:hover {{ background: #a5c5ff; }}
    QPushButton[role="primary"]:focus {{ border-color: {p.TEXT}; }}

    QComboBox {{ background: {p.RAISED}; border: {px(1)} solid transparent;
        border-radius: {px(7)}; padding: {px(5)} {px(10)}; min-height: {px(20)}; }}
    QComboBox:disabled {{ color: {p.TEXT_FAINT}; }}
    QComboBox:hover {{ background: {p.HOVER}; }}
    QComboBox:focus, QLineEdit:focus {{ border-color: {p.ACCENT}; }}
    QComboBox::drop-down {{ border: none; width: {px(22)}; }}
    QComboBox::down-arrow {{ image: url("{(_ASSETS / "chevron-down.svg").as_posix()}");
        width: {px(12)}; height: {px(12)}; }}
    QComboBoxPrivateContainer {{ background: {p.RAISED}; border: 1px solid {p.LINE};
        padding: {px(4)} 0; }}
    QComboBox QListView {{ background: {p.RAISED}; border: none; outline: none;
        padding: 0 {px(4)}; }}
    QComboBox QListView::item {{ min-height: {px(28)}; padding: 0 {px(8)};
        border-radius: {px(5)}; }}
    QComboBox QListView::item:hover, QComboBox QListView::item:selected {{
        background: {p.HOVER}; color: {p.TEXT}; }}

    QLineEdit {{ background: {p.RAISED}; border: {px(1)} solid {p.LINE};
        border-radius: {px(7)}; padding: {px(7)} {px(10)};
        selection-background-color: {p.ACCENT}; selection-color: {p.BACKGROUND}; }}

    QMenu {{ background: {p.RAISED}; border: 1px solid {p.LINE}; padding: {px(6)}; }}
    QMenu::item {{ padding: {px(7)} {px(28)} {px(7)} {px(12)}; border-radius: {px(5)}; }}
    QMenu::item:selected {{ background: {p.HOVER}; }}
    QMenu::item:disabled {{ color: {p.TEXT_FAINT}; }}
    QMenu::separator {{ height: 1px; background: {p.LINE}; margin: {px(5)} {px(8)}; }}
    QMenu::indicator {{ width: {px(6)}; height: {px(6)}; margin-left: {px(8)};
        border-radius: {px(3)}; }}
    QMenu::indicator:checked {{ background: {p.ACCENT}; }}
    QMenu::icon {{ padding-left: {px(10)}; }}

    QSlider {{ min-height: {px(24)}; }}
    QSlider::groove:horizontal {{ height: {groove}px; background: {p.GROOVE};
        border-radius: {px(2)}; }}
    QSlider::sub-page:horizontal {{ background: {p.ACCENT}; border-radius: {px(2)}; }}
    QSlider::handle:horizontal {{ background: {p.TEXT}; width: {2 * knob - 4}px;
        margin: -{knob - groove // 2}px 0; border-radius: {knob}px; border: 2px solid {p.TEXT}; }}
    QSlider::handle:horizontal:disabled {{ background: {p.LINE}; border-color: {p.LINE}; }}
    QSlider::handle:horizontal:focus {{ background: {p.BACKGROUND}; border-color: {p.ACCENT}; }}

    QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
    QTextBrowser {{ background: {p.SURFACE}; border: none; border-radius: {px(RADIUS)};
        padding: {px(10)}; selection-background-color: {p.ACCENT};
        selection-color: {p.BACKGROUND}; }}
    QTextBrowser:focus {{ border: {px(1)} solid {p.ACCENT}; }}
    QScrollArea {{ border: {px(1)} solid transparent; border-radius: {px(RADIUS)};
        padding: {px(7)}; }}
    QScrollArea:focus {{ border-color: {p.ACCENT}; }}
    QScrollBar:vertical {{ background: transparent; width: {px(10)}; margin: 0; }}
    QScrollBar::handle:vertical {{ background: {p.LINE}; border-radius: {px(4)};
        min-height: {px(28)}; margin: {px(1)}; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; width: 0; }}
    QScrollBar:horizontal {{ height: {px(10)}; background: transparent; }}
    QScrollBar::handle:horizontal {{ background: {p.LINE}; border-radius: {px(4)}; }}
    """

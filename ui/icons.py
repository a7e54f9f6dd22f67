"""Line icons on a grid of 24 × 24, drawn for this program.

Thread: GUI.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from PyQt6.QtCore import QByteArray, QRectF, Qt
from PyQt6.QtGui import QIcon, QPainter, QPixmap
from PyQt6.QtSvg import QSvgRenderer

from ui import palette

_DRAWINGS: Final = {
    "play": '<path d="M8 5.5v13l10.5-6.5z" fill="{c}"/>',
    "pause": '<path d="M8.5 6v12M15.5 6v12" stroke-width="3"/>',
    "camera": '<rect x="3" y="6.5" width="12.5" height="11" rx="2.5"/>'
    '<path d="m15.5 11 5.5-3.2v8.4L15.5 13"/>',
    "microphone": '<rect x="9" y="3.5" width="6" height="10.5" rx="3"/>'
    '<path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3"/>',
    "heatmap": '<circle cx="12" cy="12" r="2.2" fill="{c}"/><circle cx="12" cy="12" r="5.6"/>'
    '<circle cx="12" cy="12" r="9" stroke-dasharray="2.6 3"/>',
    "mirror": '<path d="M12 3.5v17" stroke-dasharray="2.4 2.6"/>'
    '<path d="M9 7.5 3.5 17H9zM15 7.5 20.5 17H15z"/>',
    "full-screen": '<path d="M4 9V4.5h5M20 9V4.5h-5M4 15v4.5h5M20 15v4.5h-5"/>',
    "open": '<path d="M3.5 18.5v-12a1 1 0 0 1 1-1H9l2 2.5h8.5a1 1 0 0 1 1 1v9.5'
    'a1 1 0 0 1-1 1h-15a1 1 0 0 1-1-1z"/>',
    "menu": '<path d="M4.5 7h15M4.5 12h15M4.5 17h15"/>',
    "export": '<path d="M12 4v11M7.5 11l4.5 4.5 4.5-4.5M4.5 19.5h15"/>',
    "record": '<circle cx="12" cy="12" r="4.5" fill="{c}"/><circle cx="12" cy="12" r="8.5"/>',
    "live": '<circle cx="12" cy="12" r="3" fill="{c}"/>'
    '<path d="M7 7a7 7 0 0 0 0 10M17 7a7 7 0 0 1 0 10"/>',
    "file": '<path d="M6 3.5h8l4.5 4.5v12.5H6zM14 3.5V8h4.5"/>',
    "help": '<circle cx="12" cy="12" r="9"/>'
    '<path d="M9.3 9.3a2.8 2.8 0 1 1 4 2.6c-.9.5-1.3 1-1.3 2M12 17h.01"/>',
    "about": '<circle cx="12" cy="12" r="9"/><path d="M12 11v5.5M12 7.5h.01"/>',
    "warning": '<path d="M12 4 2.8 19.5h18.4zM12 10v4.5M12 17h.01"/>',
    "close": '<path d="m6.5 6.5 11 11M17.5 6.5l-11 11"/>',
    "no-picture": '<path d="M3.5 3.5 20.5 20.5M9 6.5h5a1.5 1.5 0 0 1 1.5 1.5v2.5l5.5-3v9"/>'
    '<path d="M15.5 15.5V16a1.5 1.5 0 0 1-1.5 1.5H5A1.5 1.5 0 0 1 3.5 16V8A1.5 1.5 0 0 1 5 6.5"/>',
    "sound": '<path d="M4 10v4M8 7v10M12 4v16M16 8v8M20 10.5v3"/>',
    "speaker": '<path d="M4 9.5v5h3.5l4.5 4v-13l-4.5 4z"/>'
    '<path d="M15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a7.8 7.8 0 0 1 0 11"/>',
    "speaker-off": '<path d="M4 9.5v5h3.5l4.5 4v-13l-4.5 4zM15.5 9.5l5 5M20.5 9.5l-5 5"/>',
    "refresh": '<path d="M19.5 12a7.5 7.5 0 1 1-2.3-5.4L19.5 9M19.5 4v5h-5"/>',
    "arrow-left": '<path d="M19.5 12h-15M11 5.5 4.5 12l6.5 6.5"/>',
    "arrow-right": '<path d="M4.5 12h15M13 5.5l6.5 6.5-6.5 6.5"/>',
    "arrow-up": '<path d="M12 19.5v-15M5.5 11 12 4.5l6.5 6.5"/>',
    "quit": '<path d="M12 3.5v8M7 6.5a8 8 0 1 0 10 0"/>',
}


@lru_cache(maxsize=512)
def pixmap(name: str, colour: str, pixels: int) -> QPixmap:
    """The icon `name` as a transparent square of `pixels` × `pixels` device pixels."""
    drawing = _DRAWINGS[name].replace("{c}", colour)
    return _drawn(
        f'<g fill="none" stroke="{colour}" stroke-width="1.7" stroke-linecap="round" '
        f'stroke-linejoin="round">{drawing}</g>',
        pixels,
    )


def icon(name: str, lit: str = palette.ACCENT) -> QIcon:
    """The icon for buttons and menus: soft, `lit` when switched on, faint when disabled.

    Where there is a drawing of that name with `-off`, that is shown when switched off.
    """
    result = QIcon()
    off = f"{name}-off" if f"{name}-off" in _DRAWINGS else name
    for pixels in (16, 32, 64):
        soft = pixmap(off, palette.TEXT, pixels)
        result.addPixmap(soft, QIcon.Mode.Normal, QIcon.State.Off)
        result.addPixmap(pixmap(name, lit, pixels), QIcon.Mode.Normal, QIcon.State.On)
        faint = pixmap(name, palette.TEXT_FAINT, pixels)
        result.addPixmap(faint, QIcon.Mode.Disabled, QIcon.State.Off)
    return result


def application_icon() -> QIcon:
    """The program's own mark: sound inside a frame."""
    result = QIcon()
    for pixels in (16, 32, 48, 64, 128, 256):
        result.addPixmap(brand_mark(pixels))
    return result


@lru_cache(maxsize=32)
def brand_mark(pixels: int) -> QPixmap:
    """The mark as a square of `pixels` × `pixels` device pixels."""
    return _drawn(
        f'<rect width="24" height="24" rx="6.5" fill="{palette.RAISED}"/>'
        f'<g stroke-width="2.3" stroke-linecap="round" fill="none">'
        f'<path stroke="{palette.ACCENT}" d="M6 10.6v2.8M10 7.2v9.6"/>'
        f'<path stroke="{palette.ATTENTION}" d="M14 5.4v13.2M18 9.8v4.4"/></g>',
        pixels,
    )


def _drawn(shapes: str, pixels: int) -> QPixmap:
    """SVG `shapes` on a grid of 24 × 24, as a transparent square of `pixels` × `pixels`."""
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">{shapes}</svg>'
    renderer = QSvgRenderer(QByteArray(svg.encode()))
    picture = QPixmap(pixels, pixels)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    renderer.render(painter, QRectF(0, 0, pixels, pixels))
    painter.end()
    return picture

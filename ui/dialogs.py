"""Help with the keys, and the About box.

Thread: GUI. Neither blocks the window behind it.
"""

from __future__ import annotations

from typing import Final

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from ui import icons
from ui.actions import HELP, PAIRS, keys_of
from ui.presenters import PRIVACY
from ui.theme import Theme

CAUTION: Final = (
    "It reads expressions, not feelings: a smile is not always joy, and a still face hides what "
    "it will. The EU AI Act forbids emotion recognition at work and in education, and asks that "
    "people are told when it is used on them."
)


class HelpDialog(QDialog):
    """Every key of the window."""

    def __init__(
        self, actions: dict[str, QAction], theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        px = theme.px
        grid = QGridLayout()
        grid.setHorizontalSpacing(px(28))
        grid.setVerticalSpacing(px(8))
        row = 0
        for heading, names in HELP:
            title = QLabel(heading)
            title.setProperty("role", "brand")
            grid.addWidget(title, row, 0, 1, 2)
            grid.setRowMinimumHeight(row, px(30))
            row += 1
            for name in names:
                action, other = actions[name], actions.get(PAIRS.get(name, ""))
                text = action.text().rstrip("…")
                keys = keys_of(action)
                if other is not None:
                    text = f"{text}, {other.text().lower()}"
                    keys = keys + keys_of(other)
                label = QLabel("Play or pause" if name == "pause" else text)
                label.setProperty("role", "soft")
                grid.addWidget(label, row, 0)
                grid.addLayout(_keycaps(keys), row, 1)
                row += 1
        grid.setColumnStretch(0, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(px(28), px(20), px(28), px(20))
        layout.setSpacing(px(16))
        layout.addLayout(grid)
        layout.addWidget(_close_box(self))
        self.setMinimumWidth(px(460))


class AboutDialog(QDialog):
    """What the program is, what it cannot do, and the model card."""

    def __init__(
        self, version: str, model_card: str, theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("About MSAF Live")
        px = theme.px
        ratio = self.devicePixelRatioF()
        mark, picture = QLabel(), icons.brand_mark(round(px(44) * ratio))
        picture.setDevicePixelRatio(ratio)
        mark.setPixmap(picture)
        name = QLabel(f"MSAF Live {version}".strip())
        name.setProperty("role", "heading")
        head = QHBoxLayout()
        head.setSpacing(px(14))
        head.addWidget(mark)
        head.addWidget(name, stretch=1)
        caution = QLabel(f"{CAUTION}\n\n{PRIVACY}")
        caution.setWordWrap(True)
        caution.setProperty("role", "soft")
        card = QTextBrowser()
        card.setAccessibleName("Model card")
        card.setOpenExternalLinks(True)
        card.setMarkdown(model_card or "The model card is not at hand.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(px(28), px(24), px(28), px(20))
        layout.setSpacing(px(16))
        layout.addLayout(head)
        layout.addWidget(caution)
        layout.addWidget(card, stretch=1)
        layout.addWidget(_close_box(self))
        self.resize(px(680), px(580))


def _keycaps(keys: list[str]) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addStretch(1)
    for key in keys:
        cap = QLabel(key)
        cap.setProperty("role", "keycap")
        cap.setAlignment(Qt.AlignmentFlag.AlignCenter)
        row.addWidget(cap)
    return row


def _close_box(dialog: QDialog) -> QDialogButtonBox:
    box = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    box.rejected.connect(dialog.close)
    return box

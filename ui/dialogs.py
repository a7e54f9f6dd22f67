"""Help with the keys and with what is shown, the About box, and which file answers go to.

Thread: GUI. None of them blocks the window behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PyQt6.QtCore import QFileInfo, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QAction,
    QColor,
    QShowEvent,
    QTextBlock,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
)
from PyQt6.QtWidgets import (
    QBoxLayout,
    QDialog,
    QFileDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QTextBrowser,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ui import icons, palette
from ui.actions import HELP, PAIRS, keys_of
from ui.present.words import PRIVACY
from ui.theme import BODY, FRAME, Theme

CAUTION: Final = (
    "It reads expressions, not feelings: a smile is not always joy, and a still face hides what "
    "it will. The EU AI Act forbids emotion recognition at work and in education, and asks that "
    "people are told when it is used on them."
)

_COLUMN: Final = 430.0  # design pixels, of the explanations in the help …
_TWO_COLUMNS: Final = 1000.0  # … which stand beside the keys where there is so much room

# Buttons of Qt's own file dialog, whose arrows are black, and ours.
_ARROWS: Final = {
    "backButton": "arrow-left", "forwardButton": "arrow-right", "toParentButton": "arrow-up",
}  # fmt: skip
# What is offered, and its ending.
_EXPORTS: Final = {"Comma-separated values (*.csv)": "csv", "JSON lines (*.jsonl)": "jsonl"}


class HelpDialog(QDialog):
    """Every key of the window, and what every part of it shows."""

    def __init__(
        self,
        actions: dict[str, QAction],
        explained: Sequence[tuple[str, str]],
        theme: Theme,
        parent: QWidget | None = None,
    ) -> None:
        """`explained`: parts of the window, and what they show."""
        super().__init__(parent)
        self.setWindowTitle("Help")
        px = theme.px
        self._texts: list[QLabel] = []
        whole = QWidget()
        columns = QBoxLayout(QBoxLayout.Direction.LeftToRight, whole)
        columns.setContentsMargins(0, 0, px(14), 0)  # beside what scrolls it
        columns.setSpacing(px(44))
        columns.addLayout(self._keys(actions, theme), stretch=1)
        columns.addLayout(self._explanations(explained, theme))
        screen = self.screen()
        if screen is not None and screen.availableGeometry().width() < px(_TWO_COLUMNS):
            columns.setDirection(QBoxLayout.Direction.TopToBottom)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(px(20), px(12), px(20), px(20))
        layout.setSpacing(px(8))
        self._scrolled = _Scrolled(whole)
        layout.addWidget(self._scrolled)
        _add_close(self, layout)
        self._least = QSize(px(460), 0)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Fit the contents, whose size is known only now that the style sheet is applied."""
        for text in self._texts:
            text.setFixedHeight(text.heightForWidth(text.width()))
        self._scrolled.updateGeometry()
        _resize(self, self.sizeHint().expandedTo(self._least))
        super().showEvent(event)

    def _explanations(self, explained: Sequence[tuple[str, str]], theme: Theme) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(theme.px(4))
        heading = QLabel("What is shown")
        heading.setProperty("role", "brand")
        heading.setMinimumHeight(theme.px(30))
        column.addWidget(heading)
        column.addSpacing(theme.px(4))
        for name, explanation in explained:
            title, text = QLabel(name), QLabel(" ".join(explanation.split()))
            title.setProperty("role", "term")
            text.setProperty("role", "soft")
            text.setWordWrap(True)
            text.setFixedWidth(theme.px(_COLUMN))
            self._texts.append(text)
            column.addWidget(title)
            column.addWidget(text)
            column.addSpacing(theme.px(8))
        column.addStretch(1)
        return column

    def _keys(self, actions: dict[str, QAction], theme: Theme) -> QGridLayout:
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
                grid.addLayout(_keycaps(keys, px(6)), row, 1)
                row += 1
        grid.setColumnStretch(0, 1)
        grid.setRowStretch(row, 1)
        return grid


class _Scrolled(QScrollArea):
    """A widget that scrolls vertically where a screen has no room for all of it."""

    def __init__(self, whole: QWidget) -> None:
        super().__init__()
        self.setAccessibleName("Keys, and what is shown")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidgetResizable(True)
        self.setWidget(whole)

    def sizeHint(self) -> QSize:
        """Room for everything, and for the bar beside it."""
        whole, bar = self.widget(), self.verticalScrollBar()
        assert whole is not None
        assert bar is not None
        frame = 2 * self.frameWidth()
        return whole.sizeHint() + QSize(bar.sizeHint().width() + frame, frame)


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
        card.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        card.setMarkdown(model_card or "The model card is not at hand.")
        if (document := card.document()) is not None:
            _air(document, px(8), px(BODY))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(px(28), px(24), px(28), px(20))
        layout.setSpacing(px(16))
        layout.addLayout(head)
        layout.addWidget(caution)
        layout.addWidget(card, stretch=1)
        _add_close(self, layout)
        _resize(self, QSize(px(680), px(580)))


def fit_in(dialog: QFileDialog) -> None:
    """Give Qt's own file dialog arrows that are seen on the dark, and no more than the screen.

    A dialog of the system's has neither these buttons nor a size of ours.
    """
    for name, icon in _ARROWS.items():
        if (button := dialog.findChild(QToolButton, name)) is not None:
            button.setIcon(icons.icon(icon))
    dialog.ensurePolished()
    _resize(dialog, dialog.sizeHint())


class ExportDialog(QFileDialog):
    """Asks for the file for answers, whose name always gets an ending that can be written."""

    chosen = pyqtSignal(Path)
    taken = pyqtSignal(Path)  # the completed name is that of a file, and nobody was asked about it

    def __init__(self, title: str, folder: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent, title, folder, ";;".join(_EXPORTS))
        self.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        self.filterSelected.connect(lambda kind: self.setDefaultSuffix(_EXPORTS[kind]))
        self.setDefaultSuffix("csv")
        self.selectFile(name)
        self.fileSelected.connect(self._choose)
        fit_in(self)

    def accept(self) -> None:
        """Complete the name before Qt asks whether to replace the file of that name."""
        line = self.findChild(QLineEdit, "fileNameEdit")  # none in a dialog of the system's
        name = "" if line is None else line.text().strip()
        path = self.directory().filePath(name)
        is_folder = QFileInfo(path).isDir()  # which Qt opens instead
        if line is not None and name and not is_folder:
            line.setText(self._completed(name))
        super().accept()

    def _choose(self, path: str) -> None:
        """Complete the name once more, and tell where that makes it the name of another file.

        Native dialogs add a suffix only if there is none, and cannot ask about overwriting the
        completed name.
        """
        whole = Path(self._completed(path))
        is_news = whole != Path(path) and QFileInfo(str(whole)).exists()
        (self.taken if is_news else self.chosen).emit(whole)

    def _completed(self, name: str) -> str:
        """`name`, with the ending of the chosen kind where it has neither of ours."""
        is_ours = Path(name).suffix.lower().lstrip(".") in _EXPORTS.values()
        return name if is_ours else f"{name}.{_EXPORTS.get(self.selectedNameFilter(), 'csv')}"


def _air(document: QTextDocument, gap: int, size: int) -> None:
    """Give rendered Markdown some room, and its code the text's size in pixels."""
    document.setDocumentMargin(gap)
    block = document.begin()
    while block.isValid():
        heading = block.blockFormat().headingLevel()
        spaced = block.blockFormat()
        spaced.setTopMargin(1.6 * gap if heading and block.blockNumber() else 0.0)
        spaced.setBottomMargin(0.0 if block.textList() else gap)
        cursor = QTextCursor(block)
        if (table := cursor.currentTable()) is not None:
            spaced.setBottomMargin(0.0)
            look = table.format()
            look.setCellPadding(gap * 0.7)
            look.setBorderCollapse(True)
            look.setBorderBrush(QColor(palette.LINE))
            table.setFormat(look)
        cursor.setBlockFormat(spaced)
        if heading:
            cursor.select(QTextCursor.SelectionType.BlockUnderCursor)
            smaller = cursor.charFormat()
            smaller.setProperty(QTextFormat.Property.FontSizeAdjustment, max(2 - heading, 0) + 1)
            cursor.setCharFormat(smaller)
        _scale_code(document, block, size)
        block = block.next()


def _scale_code(document: QTextDocument, block: QTextBlock, size: int) -> None:
    """Markdown gives code a font of its own, which the style sheet's scale does not reach."""
    fragments = block.begin()
    spans = []
    while not fragments.atEnd():
        fragment = fragments.fragment()
        if fragment.charFormat().fontFixedPitch():
            spans.append((fragment.position(), fragment.length()))
        fragments += 1
    scaled = QTextCharFormat()
    scaled.setProperty(QTextFormat.Property.FontPixelSize, size)
    for start, length in spans:
        cursor = QTextCursor(document)
        cursor.setPosition(start)
        cursor.setPosition(start + length, QTextCursor.MoveMode.KeepAnchor)
        cursor.mergeCharFormat(scaled)


def _keycaps(keys: list[str], gap: int) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(gap)
    row.addStretch(1)
    for key in keys:
        cap = QLabel(key)
        cap.setProperty("role", "keycap")
        cap.setAlignment(Qt.AlignmentFlag.AlignCenter)
        row.addWidget(cap)
    return row


def _resize(dialog: QDialog, size: QSize) -> None:
    """Make a dialog that large, as far as its screen and the frame around it leave room."""
    if (screen := dialog.screen()) is not None:
        size = size.boundedTo(screen.availableGeometry().size() - FRAME)
    dialog.resize(size)


def _add_close(dialog: QDialog, layout: QVBoxLayout) -> None:
    close = QPushButton("Close")
    close.setDefault(True)
    close.clicked.connect(dialog.close)
    layout.addWidget(close, alignment=Qt.AlignmentFlag.AlignRight)
    close.setFocus()

"""Buttons, choices, labels and the slider; a click on one does not take the keyboard's focus.

Thread: GUI. The window's own keys (Space, arrows) act everywhere, except that a control which was
reached with Tab keeps those that operate it.
"""

from __future__ import annotations

from typing import Final

from PyQt6.QtCore import QEvent, QSize, Qt
from PyQt6.QtGui import QAction, QKeyEvent, QMouseEvent, QPaintEvent, QResizeEvent, QWheelEvent
from PyQt6.QtWidgets import (
    QComboBox,
    QLabel,
    QListView,
    QSlider,
    QStyle,
    QStyleOptionComboBox,
    QStyleOptionSlider,
    QStylePainter,
    QToolButton,
    QWidget,
)

from ui.panel import as_tip

_NOTCH: Final = 120  # eighths of a degree that a mouse's wheel turns at a time
_PRESSING: Final = (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter)
_OPENING: Final = (
    *_PRESSING, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown,
    Qt.Key.Key_Home, Qt.Key.Key_End, Qt.Key.Key_F4,
)  # fmt: skip


def _operates(event: QEvent | None, keys: tuple[Qt.Key, ...] = _PRESSING) -> bool:
    """Whether `event` is a ShortcutOverride for one of `keys`.

    Accepting it keeps the key from the window's shortcuts.
    """
    return (
        isinstance(event, QKeyEvent)
        and event.type() == QEvent.Type.ShortcutOverride
        and event.key() in keys
    )


class Button(QToolButton):
    """A button of an action: its icon alone, or with its text."""

    def __init__(self, action: QAction, parent: QWidget | None = None, *, labelled: bool = False):
        super().__init__(parent)
        self.setDefaultAction(action)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        action.changed.connect(self._take_name)
        self._take_name()
        if labelled:
            self.setProperty("labelled", True)
            self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)

    def event(self, event: QEvent | None) -> bool:
        if event is not None and _operates(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
        else:
            super().keyPressEvent(event)

    def _take_name(self) -> None:
        """Tell screen readers what a press does, which changes with the action's text."""
        if (action := self.defaultAction()) is not None:
            self.setAccessibleName(action.text().rstrip("…"))


class Choice(QComboBox):
    """A combo box that changes only in its open list, never by wheel or arrow keys."""

    def __init__(self, name: str, parent: QWidget | None = None, *, keys: str = "") -> None:
        """`keys`: those of the window that change it as well, for the tooltip."""
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAccessibleName(name)
        self._hint = f"{name} ({keys})" if keys else name
        self.currentTextChanged.connect(self._tell)
        self._tell()
        self.setView(QListView())  # Fusion's own pop-up takes no style sheet
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)

    def event(self, event: QEvent | None) -> bool:
        if event is not None and _operates(event, _OPENING):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Open the list; no key changes the choice while it is closed."""
        if event is None:
            return
        if event.key() in _OPENING:
            self.showPopup()
        else:
            event.ignore()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the choice as it is; an open list scrolls by itself."""
        if event is not None:
            event.ignore()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """As the style paints it, but a text that is too long loses its middle, not its end."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        field = painter.style().subControlRect(  # type: ignore[union-attr]
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            self,
        )
        room = field.width() - 2  # the style insets it
        option.currentText = self.fontMetrics().elidedText(
            option.currentText, Qt.TextElideMode.ElideMiddle, room
        )
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.end()

    def sizeHint(self) -> QSize:
        """Some pixels more than the style asks for, which itself insets the text."""
        return super().sizeHint() + QSize(6, 0)

    def fill(self, entries: list[tuple[str, object]], chosen: object) -> None:
        """Offer `entries` (text, data) and show the one whose data is `chosen`; emits nothing."""
        blocked = self.blockSignals(True)
        self.clear()
        for text, data in entries:
            self.addItem(text, data)
        self.setCurrentIndex(max(self.findData(chosen), 0))
        self.blockSignals(blocked)
        self._tell()

    def _tell(self) -> None:
        """Show the whole text of what is chosen in the tooltip; the field may be too narrow."""
        chosen = self.currentText()
        self.setToolTip(as_tip(f"{self._hint}: {chosen}" if chosen else self._hint))


class ElidedLabel(QLabel):
    """One line of plain text, which loses its middle where it is too long."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._whole = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        # Also a Hebrew or Arabic text, which is read from the right, stays at the left.
        absolute = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignAbsolute
        self.setAlignment(absolute | Qt.AlignmentFlag.AlignVCenter)

    def set_whole(self, text: str) -> None:
        """Show another text."""
        self._whole = text
        self.setToolTip(as_tip(text))
        self.setAccessibleName(text)
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        self._fit()

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange:
            self._fit()

    def _fit(self) -> None:
        room = self.contentsRect().width()
        middle = Qt.TextElideMode.ElideMiddle
        self.setText(self.fontMetrics().elidedText(self._whole, middle, room))


class SeekSlider(QSlider):
    """A horizontal slider whose handle jumps to where its groove is clicked.

    A notch of the mouse's wheel is one single step.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:
            notches = (event.angleDelta().y() or event.angleDelta().x()) / _NOTCH
            self.setValue(self.value() + round(notches * self.singleStep()))
            event.accept()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._jump(event.position().x())
        super().mousePressEvent(event)

    def _jump(self, x: float) -> None:
        style, option = self.style(), QStyleOptionSlider()
        self.initStyleOption(option)
        assert style is not None
        handle = style.subControlRect(
            QStyle.ComplexControl.CC_Slider, option, QStyle.SubControl.SC_SliderHandle, self
        )
        room = self.width() - handle.width()
        position = style.sliderValueFromPosition(
            self.minimum(), self.maximum(), round(x - handle.width() / 2), room
        )
        self.setSliderPosition(position)

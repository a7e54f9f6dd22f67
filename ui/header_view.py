"""The top of the window: what is being watched, and the buttons.

Thread: GUI.
"""

from __future__ import annotations

from typing import Final

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import (
    QDialogButtonBox,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QLineEdit,
    QMenu,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QWidget,
)

from realtime.devices.addresses import (
    camera_selector,
    network_address,
    public_address,
    public_name,
)
from realtime.devices.listing import CameraInfo, Listing, MicrophoneInfo
from ui import icons, palette
from ui.actions import MENU
from ui.controls import Button, Choice, ElidedLabel
from ui.present.words import sentence
from ui.theme import GAP, Theme

_NONE: Final = ""  # data of the entry that switches a source off
_ADDRESS: Final = "address"  # data of the entry that asks for an IP camera's address
_SCHEME: Final = "http://"  # of an address that names none
_SHORTEST_NAME: Final = 7  # wide letters of a device's name that always have room
_DEFAULT_MICROPHONE: Final = ("System default", "default")


class HeaderView(QWidget):
    """Mark, sources or file name, buttons and menu."""

    camera_chosen = pyqtSignal(object)  # selector, None for no camera
    microphone_chosen = pyqtSignal(object)

    def __init__(
        self, actions: dict[str, QAction], theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._mark = QLabel()
        self._brand = QLabel("MSAF Live")
        self._brand.setProperty("role", "brand")
        self._cameras: list[tuple[str, object]] = []
        self._camera: str | None = None
        self._address = _SCHEME
        self.camera_choice = Choice("Camera")
        self.microphone_choice = Choice("Microphone")
        for choice in (self.camera_choice, self.microphone_choice):
            # As wide as the longest name, and less only where there is no more room.
            choice.setSizeAdjustPolicy(Choice.SizeAdjustPolicy.AdjustToContents)
            choice.setMinimumContentsLength(_SHORTEST_NAME)
            choice.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.camera_choice.activated.connect(self._choose_camera)
        self.microphone_choice.activated.connect(self._choose_microphone)
        self._file = ElidedLabel()
        self._file.setProperty("role", "soft")
        self._file.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._icons: list[tuple[QLabel, str]] = []
        self._pages = QStackedWidget()
        self._pages.addWidget(
            self._row(("camera", self.camera_choice), ("microphone", self.microphone_choice))
        )
        self._pages.addWidget(self._row(("file", self._file)))
        self._pages.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._live = Button(actions["live"], labelled=True)
        live_names, names = ("write", "pause"), ("heatmap", "mirror", "full_screen")
        self._live_buttons = [Button(actions[name]) for name in live_names]
        self._buttons = self._live_buttons + [Button(actions[name]) for name in names]
        self._open = Button(actions["open"], labelled=True)
        self._menu_button = self._make_menu(actions)
        layout = QHBoxLayout(self)
        for widget in (self._mark, self._brand):
            layout.addWidget(widget)
        layout.addSpacing(10)
        layout.addWidget(self._pages, stretch=1)
        layout.addSpacing(6)
        for button in (self._live, self._open, *self._buttons, self._menu_button):
            layout.addWidget(button)
        self.set_theme(theme)

    # -- what is shown -------------------------------------------------------------------------

    def set_live(self, live: bool, file_name: str = "") -> None:
        """Offer devices, or name the recording."""
        self._pages.setCurrentIndex(0 if live else 1)
        self._live.setVisible(not live)
        for button in self._live_buttons:  # a recording has its own, to play and to export
            button.setVisible(live)
        self._file.set_whole(file_name)

    def set_narrow(self, narrow: bool) -> None:
        """Leave the program's name to its mark where there is little room."""
        self._brand.setHidden(narrow)

    def set_devices(
        self,
        cameras: Listing[CameraInfo] | None,
        microphones: Listing[MicrophoneInfo] | None,
        *,
        camera: str | None,
        microphone: str | None,
    ) -> None:
        """Offer what there is (None: not known yet) and show what is in use."""
        self._camera = camera
        self._cameras = [(each.name, each.selector) for each in cameras or ()]
        entries = self._cameras.copy()
        if camera is not None and camera not in {data for _, data in entries}:
            entries.append((public_name(camera), camera))
        self.camera_choice.fill(
            [*entries, ("No camera", _NONE), ("Network camera…", _ADDRESS)], camera or _NONE
        )
        sounds: list[tuple[str, object]] = [_DEFAULT_MICROPHONE]
        sounds += [
            (each.name, each.selector)
            for each in microphones or ()
            if each.selector != _DEFAULT_MICROPHONE[1]  # ALSA lists it as well
        ]
        if microphone is not None and microphone not in {data for _, data in sounds}:
            sounds.append((sentence(microphone), microphone))
        self.microphone_choice.fill([*sounds, ("No microphone", _NONE)], microphone or _NONE)

    def set_theme(self, theme: Theme) -> None:
        """Lay out at another scale."""
        px = theme.px
        self.setFixedHeight(px(40))
        layout = self.layout()
        assert layout is not None
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(px(6))
        ratio = self.devicePixelRatioF()
        mark = icons.brand_mark(round(px(28) * ratio))
        mark.setDevicePixelRatio(ratio)
        self._mark.setPixmap(mark)
        for label, name in self._icons:
            picture = icons.pixmap(name, palette.TEXT_SOFT, round(px(18) * ratio))
            picture.setDevicePixelRatio(ratio)
            label.setPixmap(picture)
        for button in (*self._buttons, self._menu_button):
            button.setFixedSize(px(36), px(34))
        for button in (self._live, self._open, *self._buttons, self._menu_button):
            button.setIconSize(QSize(px(18), px(18)))
        for button in (self._live, self._open):
            button.setFixedHeight(px(34))

    # -- parts ---------------------------------------------------------------------------------

    def _row(self, *parts: tuple[str, QWidget]) -> QWidget:
        page = QWidget()
        layout = QHBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        for index, (name, widget) in enumerate(parts):
            if index:
                layout.addSpacing(round(GAP))
            symbol = QLabel()
            self._icons.append((symbol, name))
            layout.addWidget(symbol)
            # Devices take the room that their names need, a file name takes all there is.
            layout.addWidget(widget, stretch=0 if len(parts) > 1 else 1)
        if len(parts) > 1:
            layout.addStretch(1)
        return page

    def _make_menu(self, actions: dict[str, QAction]) -> QToolButton:
        menu = QMenu(self)
        for name in MENU:
            if name:
                menu.addAction(actions[name])
            else:
                menu.addSeparator()
        opener = QAction(icons.icon("menu"), "Menu", self)
        button = Button(opener)
        button.setToolTip("Menu")
        button.setMenu(menu)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        return button

    # -- choosing ------------------------------------------------------------------------------

    def _choose_camera(self, index: int) -> None:
        data = self.camera_choice.itemData(index)
        if data == _ADDRESS:
            self.camera_choice.setCurrentIndex(
                max(self.camera_choice.findData(self._camera or _NONE), 0)
            )
            self.ask_address()
        else:
            self._camera = data or None
            self.camera_chosen.emit(self._camera)

    def _choose_microphone(self, index: int) -> None:
        self.microphone_chosen.emit(self.microphone_choice.itemData(index) or None)

    def offer_address(self, address: str) -> None:
        """Offer this address of a network camera, which was used before."""
        self._address = address or _SCHEME

    def ask_address(self) -> None:
        """Ask for the address of a network camera."""
        dialog = QInputDialog(self)
        dialog.setWindowTitle("Network camera")
        label, camera = "Address of the camera (http://… or rtsp://…)", self._camera or ""
        shown = public_address(camera)
        if shown not in ("", camera):
            label += "\nUser, password and what follows a ? are not shown: type them again."
        dialog.setLabelText(label)
        dialog.setTextValue(shown or self._address)
        dialog.setOkButtonText("Connect")
        dialog.resize(dialog.sizeHint() * 1.5)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.textValueSelected.connect(self._use_address)
        dialog.open()
        if (buttons := dialog.findChild(QDialogButtonBox)) is not None:
            connect = buttons.button(QDialogButtonBox.StandardButton.Ok)
            assert connect is not None
            dialog.textValueChanged.connect(lambda text: connect.setEnabled(_is_address(text)))
            connect.setEnabled(_is_address(dialog.textValue()))
        if (line := dialog.findChild(QLineEdit)) is not None:  # it selects all when it is shown
            line.end(False)

    def _use_address(self, address: str) -> None:
        if not _is_address(address):
            return
        self._camera = address = network_address(address)
        self.offer_address(public_address(address))
        if self.camera_choice.findData(address) < 0:
            self.camera_choice.insertItem(len(self._cameras), public_name(address), address)
        self.camera_choice.setCurrentIndex(self.camera_choice.findData(address))
        self.camera_chosen.emit(address)


def _is_address(text: str) -> bool:
    """Whether a camera can be asked at what was typed."""
    try:
        return "://" in camera_selector(text)
    except ValueError:
        return False

"""Play, seek, speed, sound and export of a recording.

Thread: GUI.
"""

from __future__ import annotations

from math import ceil
from typing import Final

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from realtime.clock import clock_time
from realtime.messages import Playback
from ui import icons, palette
from ui.controls import Button, Choice, SeekSlider
from ui.panel import text_width
from ui.present.playback import sound_hint
from ui.theme import BODY, MEDIUM, Theme

SPEEDS: Final = (0.25, 0.5, 1.0, 1.5, 2.0, 4.0)
_STEPS_PER_SECOND: Final = 100


class TransportView(QWidget):
    """One row of controls below the picture."""

    sought = pyqtSignal(float)  # s
    speed_chosen = pyqtSignal(float)

    def __init__(
        self, actions: dict[str, QAction], theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.theme = theme
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._play = Button(actions["pause"])
        self._duration = 0.0
        self._time = QLabel()
        self._time.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.slider = SeekSlider()
        self.slider.setAccessibleName("Position")
        self.slider.setSingleStep(_STEPS_PER_SECOND)
        self.slider.setPageStep(10 * _STEPS_PER_SECOND)
        self.slider.setToolTip("Position in the recording (← and →)")
        self.slider.valueChanged.connect(self._seek)
        self.speed_choice = Choice("Speed", keys="[ and ]")
        self.show_speed(1.0)
        self.speed_choice.activated.connect(
            lambda index: self.speed_chosen.emit(self.speed_choice.itemData(index))
        )
        actions["begin"].enabledChanged.connect(self.slider.setEnabled)
        actions["faster"].enabledChanged.connect(self.speed_choice.setEnabled)
        self._sound_action = actions["sound"]
        self._sound = Button(self._sound_action)
        self._export = Button(actions["export"], labelled=True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._play)
        layout.addWidget(self._time)
        layout.addWidget(self.slider, stretch=1)
        layout.addWidget(self._sound)
        layout.addWidget(self.speed_choice)
        layout.addWidget(self._export)
        self.set_theme(theme)

    def show_playback(self, playback: Playback) -> None:
        """Show where playback stands, how fast it is and whether sound is heard."""
        self.show_position(playback.position, playback.duration)
        self.show_speed(playback.speed)
        self._show_sound(playback)

    def show_position(self, position: float, duration: float) -> None:
        """Show where playback stands in a recording of `duration` seconds."""
        if duration != self._duration:
            self._duration = duration
            self._fit_time()
        text = _progress(position, duration)
        if text != self._time.text():
            self._time.setText(text)
            self.slider.setAccessibleDescription(_progress(position, duration, " of "))
        if self.slider.isSliderDown():
            return
        blocked = self.slider.blockSignals(True)
        self.slider.setRange(0, round(duration * _STEPS_PER_SECOND))
        self.slider.setValue(round(position * _STEPS_PER_SECOND))
        self.slider.blockSignals(blocked)

    def show_speed(self, speed: float) -> None:
        """Show the playback speed, which need not be one of those offered."""
        if speed != self.speed_choice.currentData():
            speeds = sorted({*SPEEDS, speed})
            self.speed_choice.fill([(f"{each:g}×", each) for each in speeds], speed)

    def _show_sound(self, playback: Playback) -> None:
        """Show whether sound is heard, and why not."""
        hint = sound_hint(playback, on=self._sound_action.isChecked())
        if hint != self._sound_action.toolTip():
            self._sound_action.setToolTip(hint)
            self._sound_action.setIcon(
                icons.icon("speaker-off", palette.WARNING)
                if playback.sound_problem
                else icons.icon("speaker")
            )

    def set_theme(self, theme: Theme) -> None:
        """Lay out at another scale."""
        self.theme = theme
        px = theme.px
        self.setFixedHeight(px(36))
        layout = self.layout()
        assert layout is not None
        layout.setSpacing(px(10))
        for button in (self._play, self._sound):
            button.setFixedSize(px(38), px(34))
        self._time.setFont(theme.font(BODY, MEDIUM, tabular=True))
        self._fit_time()
        self.speed_choice.setFixedWidth(px(84))
        self._export.setFixedHeight(px(34))
        for button in (self._play, self._sound, self._export):
            button.setIconSize(QSize(px(18), px(18)))

    def _fit_time(self) -> None:
        """Leave room for the widest time of this recording, so that nothing moves."""
        widest = _progress(self._duration, self._duration)
        self._time.setFixedWidth(ceil(text_width(widest, self._time.font())) + self.theme.px(4))

    def _seek(self, value: int) -> None:
        self.sought.emit(value / _STEPS_PER_SECOND)


def _progress(position: float, duration: float, between: str = "  /  ") -> str:
    return f"{clock_time(position, tenths=True)}{between}{clock_time(duration, tenths=True)}"

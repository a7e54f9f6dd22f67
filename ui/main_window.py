"""The window: where the views lie, and who hears whom.

Thread: GUI, which also owns the session.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from PyQt6.QtCore import (
    QByteArray,
    QEvent,
    QMimeData,
    QObject,
    QRect,
    QSettings,
    QSize,
    QStandardPaths,
    Qt,
)
from PyQt6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QResizeEvent,
)
from PyQt6.QtWidgets import QDialog, QFileDialog, QGridLayout, QMainWindow, QVBoxLayout, QWidget

from models.config import MODALITIES
from models.labels import EMOTIONS
from realtime.config import SessionConfig
from realtime.devices import CameraInfo, Listing, MicrophoneInfo, local_number, public_address
from realtime.errors import ExitCode, explain
from realtime.export import Written
from realtime.messages import Health, Playback, Prediction, SessionState, Snapshot
from realtime.session import Deadline, LiveControls, ReplayControls
from realtime.sources.base import SourceError, UnreadableFileError
from ui import icons
from ui.actions import LIVE_ONLY, LOOKING, PLAYING, REPLAY_ONLY, make_actions
from ui.answer_view import AnswerView
from ui.attention_view import AttentionView
from ui.background import Background
from ui.banner_view import BannerView
from ui.bridge import Bridge
from ui.controls import Button
from ui.dialogs import AboutDialog, ExportDialog, HelpDialog
from ui.header_view import HeaderView
from ui.loading_view import LoadingView
from ui.presenters import (
    NO_DEVICES,
    PRIVACY,
    UNANSWERED,
    Notice,
    Remedy,
    Severity,
    absence,
    badge,
    empty_picture,
    failure,
    gravest_first,
    is_paused,
    notices,
    sentence,
)
from ui.share_view import ShareView
from ui.spectrogram_view import SpectrogramView
from ui.status_view import StatusView
from ui.theme import GAP, Theme
from ui.timeline_view import ZOOM, TimelineView
from ui.transport_view import SPEEDS, TransportView
from ui.video_view import VideoView

logger = logging.getLogger(__name__)

SMALLEST: Final = QSize(640, 360)  # a small laptop's screen at twice its size has little more
_USUAL: Final = QSize(1280, 720)
_SIDE_WIDTH: Final = 396.0  # design pixels …
_NARROW_SIDE_WIDTH: Final = 300.0
_BOTTOM_HEIGHT: Final = 132.0
_TALL_BOTTOM_HEIGHT: Final = 150.0
_MOST_BELOW: Final = 1000.0  # … beyond which the rows of the cards lie far apart, in one column …
_MOST_BELOW_PAIRED: Final = 400.0  # … and in two
_UNBOUNDED: Final = (1 << 24) - 1  # QWIDGETSIZE_MAX
_ENDINGS: Final = (
    "mp4 m4v mov mkv webm avi wmv flv mpg mpeg ts mts m2ts 3gp ogv gif "
    "wav flac mp3 m4a aac ogg oga opus wma aiff"
)
_RECORDINGS: Final = f"Recordings ({' '.join(f'*.{ending}' for ending in _ENDINGS.split())})"
_PRIVACY_SEEN: Final = "privacy_seen"
_SOUND: Final = "sound"
_MIRROR: Final = "mirror"  # of live pictures
_HEATMAP: Final = "heatmap"
_GEOMETRY: Final = "geometry"  # of the window
_FOLDER: Final = "folder"  # of the recording opened last
_ADDRESS: Final = "camera_address"  # of the network camera used last, without its password


Devices = tuple[Listing[CameraInfo], Listing[MicrophoneInfo]]


class SessionFactory(Protocol):
    """Makes the sessions that the person asks for; no call starts anything."""

    def live(self, camera: str | None, microphone: str | None) -> LiveControls:
        """A session on these devices (None: without one)."""
        ...

    def replay(self, path: Path) -> ReplayControls:
        """A session on a recording; raises SourceError or OSError when that is hopeless."""
        ...

    def check(self, path: Path) -> None:
        """Look into a recording; raises SourceError or OSError when it cannot be read.

        Thread: any. May take long, as where a network drive is slow.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowOptions:
    """What the window shows besides the session."""

    version: str = ""
    model_card: str = ""  # Markdown
    demo: Path | None = None  # the recording that comes with the program
    notice: str = ""  # about the first session
    # Of the task
    labels: tuple[str, ...] = EMOTIONS
    modalities: tuple[str, ...] = MODALITIES
    config: SessionConfig = field(default_factory=SessionConfig)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What has room in a window, and where."""

    tall: bool  # the cards lie below the picture, not beside it …
    paired: bool  # … in two columns
    narrow: bool  # buttons go without their words
    has_attention: bool  # else the answer would have to shrink
    has_bottom: bool  # else the picture would

    @classmethod
    def of(cls, size: QSize) -> _Shape:
        width, height = size.width(), size.height()
        tall = height > width
        return cls(
            tall=tall,
            paired=tall and height < 1.4 * width,
            narrow=width < 880,
            has_attention=tall or height >= 560,
            has_bottom=tall or height >= 440,
        )


class MainWindow(QMainWindow):
    """One session at a time, live or a recording."""

    def __init__(
        self,
        session: LiveControls | ReplayControls,
        factory: SessionFactory,
        *,
        list_devices: Callable[[], Devices],
        settings: QSettings,
        options: WindowOptions | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__()
        self.options = options or WindowOptions()
        self.theme = Theme()
        self._shape = _Shape.of(_USUAL)
        self.bridge = Bridge(self, now=now)
        self.commands = make_actions(self)
        self._factory = factory
        self._settings = settings
        # Camera and microphone used last.
        self._sources: tuple[str | None, str | None] | None = None
        self._going_live = False  # once the devices are listed
        self._devices: Devices | None = None
        self._devices_asked_for = False  # by the person, who is told what stands in the way
        self._list_devices = list_devices
        self._listing = Background("list-devices")
        self._stopping = Background("stop-session")
        self._exporting = Background("export")
        self._checking = Background("check-recording")
        self._wanted: Path | None = None  # to be opened, if it can be read …
        self._wanted_of = 1  # … of so many
        self._speed: float | None = None  # of the recording before
        self._dismissed: set[Notice] = set()
        self._trouble: Notice | None = None  # from an action, until dismissed
        self._partial: Notice | None = None  # of an export, until the analysis ends
        self._dialog: QDialog | None = None
        self._running = False  # from start to stop of the window
        self._started = False  # so the session is
        self._privacy_seen = bool(settings.value(_PRIVACY_SEEN, False, type=bool))

        self.setWindowTitle("MSAF Live")
        self.setWindowIcon(icons.application_icon())
        self.setMinimumSize(SMALLEST)
        self.setAcceptDrops(True)
        self._build()
        self.commands["sound"].setChecked(settings.value(_SOUND, True, type=bool))
        self._connect()
        self.commands["heatmap"].setChecked(settings.value(_HEATMAP, False, type=bool))
        self.header.offer_address(settings.value(_ADDRESS, "", type=str))
        self._adopt(session)
        if self.options.notice:
            self._trouble = Notice(text=self.options.notice, severity=Severity.WARNING)
        self.commands["demo"].setVisible(self.options.demo is not None)
        self.resize(_USUAL)

    # -- layout --------------------------------------------------------------------------------

    def _build(self) -> None:
        theme, labels, config = self.theme, self.options.labels, self.options.config
        modalities = self.options.modalities
        self.header = HeaderView(self.commands, theme)
        self.video = VideoView(theme)
        self.transport = TransportView(self.commands, theme)
        self.spectrogram = SpectrogramView(config.windows.window_seconds, theme)
        self.timeline = TimelineView(labels, config.history_seconds, theme)
        self.answer = AnswerView(labels, config.windows.window_seconds, theme)
        self.shares = ShareView(modalities, theme)
        self.attention = AttentionView(modalities, theme)
        self.status = StatusView(theme)

        self._bottom = QWidget()
        self._below = below = QGridLayout(self._bottom)
        below.setContentsMargins(0, 0, 0, 0)
        below.addWidget(self.spectrogram, 0, 0)
        below.addWidget(self.timeline, 0, 1)
        below.setColumnStretch(1, 7)
        self._main = QWidget()
        left = QVBoxLayout(self._main)
        left.setContentsMargins(0, 0, 0, 0)
        left.addWidget(self.video, stretch=1)
        left.addWidget(self.transport)
        left.addWidget(self._bottom)
        self._side = QWidget()
        self._cards = QGridLayout(self._side)
        self._cards.setContentsMargins(0, 0, 0, 0)

        central = QWidget()
        central.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # else Qt would focus the first control
        self._grid = QGridLayout(central)
        self._grid.setColumnStretch(0, 1)
        self._columns = (left, self._cards, below)
        self.setCentralWidget(central)
        self._arrange()
        self.loading = LoadingView(theme, central)  # these two last, to lie above all else
        self.banner = BannerView(theme, central)
        self.video.installEventFilter(self)
        self.addActions(list(self.commands.values()))
        self._apply_theme()

    def _arrange(self) -> None:
        """Put everything where the window's shape has room for it."""
        shape, grid, cards = self._shape, self._grid, self._cards
        places = {
            self.header: (0, 0, 1, 2),
            self._main: (1, 0, 1, 2 if shape.tall else 1),
            self._side: (2, 0, 1, 2) if shape.tall else (1, 1, 1, 1),
            self.status: (3, 0, 1, 2),
        }
        stretches = (10, 4) if shape.paired else (10, 9) if shape.tall else (1, 0)
        _lay(grid, places, dict(enumerate(stretches, start=1)))
        self.attention.setVisible(shape.has_attention)
        self._bottom.setVisible(shape.has_bottom)
        if shape.paired:
            places = {self.answer: (0, 0, 2, 1), self.shares: (0, 1, 1, 1)}
            _lay(cards, places | {self.attention: (1, 1, 1, 1)}, {0: 100, 1: 210, 2: 0})
        else:
            column = (self.answer, self.shares, self.attention)
            places = {card: (row, 0, 1, 1) for row, card in enumerate(column)}
            _lay(cards, places, {0: 264, 1: 100, 2: 210 if shape.has_attention else 0})
        cards.setColumnStretch(0, 1)
        cards.setColumnStretch(1, 1 if shape.paired else 0)
        self._below.setColumnStretch(0, 7 if shape.narrow else 4)
        style = Qt.ToolButtonStyle.ToolButtonTextBesideIcon
        if shape.narrow:
            style = Qt.ToolButtonStyle.ToolButtonIconOnly
        for button in self.findChildren(Button):
            if button.property("labelled"):
                button.setToolButtonStyle(style)

    def _apply_theme(self) -> None:
        theme, shape = self.theme, self._shape
        gap = theme.px(GAP)
        self.setStyleSheet(theme.style_sheet())
        self._grid.setContentsMargins(theme.px(16), theme.px(10), theme.px(16), theme.px(6))
        self._grid.setSpacing(gap)
        self._grid.setVerticalSpacing(theme.px(10))
        for column in self._columns:
            column.setSpacing(gap)
        self._side.setMinimumWidth(0)
        self._side.setMaximumSize(_UNBOUNDED, _UNBOUNDED)
        if shape.tall:
            most = _MOST_BELOW_PAIRED if shape.paired else _MOST_BELOW
            self._side.setMaximumHeight(theme.px(most))
        else:
            wide = _NARROW_SIDE_WIDTH if shape.narrow else _SIDE_WIDTH
            self._side.setFixedWidth(theme.px(wide))
        self._bottom.setFixedHeight(theme.px(_TALL_BOTTOM_HEIGHT if shape.tall else _BOTTOM_HEIGHT))
        for view in (
            self.header,
            self.video,
            self.transport,
            self.spectrogram,
            self.timeline,
            self.answer,
            self.shares,
            self.attention,
            self.status,
            self.loading,
            self.banner,
        ):
            view.set_theme(theme)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        theme, shape = Theme.for_window(self.size()), _Shape.of(self.size())
        if (theme, shape) != (self.theme, self._shape):
            self.theme, self._shape = theme, shape
            self._arrange()
            self._apply_theme()
        super().resizeEvent(event)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """The overlays follow the picture, which gets its place later than the window its size."""
        if event is not None and event.type() in (QEvent.Type.Resize, QEvent.Type.Move):
            self._place_overlays()
        return False

    def _place_overlays(self) -> None:
        """Float the banner over the top of the picture and the loading card over its middle."""
        central = self.centralWidget()
        assert central is not None
        area = self.video.rect().translated(self.video.mapTo(central, self.video.rect().topLeft()))
        margin = self.theme.px(12)
        width = min(area.width() - 2 * margin, self.theme.px(640))
        self.banner.place(area.center().x() - width // 2, area.top() + margin, width)
        over = self.banner.geometry().translated(-area.topLeft())
        self.video.set_covered(QRect() if self.banner.isHidden() else over)
        card = self.loading.sizeHint()
        self.loading.resize(card)
        self.loading.move(
            area.center().x() - card.width() // 2, area.center().y() - card.height() // 2
        )

    # -- the keyboard's focus ------------------------------------------------------------------

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Go on to the next control; Qt asks for that as well where the focused one has gone."""
        if self._focus_is_lost():
            self._focus_window()
            return True
        return super().focusNextPrevChild(forward)

    def changeEvent(self, event: QEvent | None) -> None:
        is_activation = event is not None and event.type() == QEvent.Type.ActivationChange
        if is_activation and self._focus_is_lost():  # while another window was active
            self._focus_window()
        super().changeEvent(event)

    def _focus_is_lost(self) -> bool:
        """Whether the control with the focus was hidden or disabled."""
        focused = self.focusWidget()
        return focused is not None and not (focused.isVisible() and focused.isEnabled())

    def _focus_window(self) -> None:
        """Give every key to the window, until a control is reached with Tab."""
        central = self.centralWidget()
        assert central is not None
        central.setFocus()

    # -- wiring --------------------------------------------------------------------------------

    def _connect(self) -> None:
        bridge = self.bridge
        bridge.polled.connect(self._show_snapshot)
        bridge.pictured.connect(self._show_picture)
        bridge.predicted.connect(self._show_prediction)
        bridge.grown.connect(self.timeline.extend)
        bridge.measured.connect(self._show_health)
        for view in (self.answer, self.shares, self.loading):
            bridge.ticked.connect(view.advance)
        self.header.camera_chosen.connect(self._use_camera)
        self.header.microphone_chosen.connect(self._use_microphone)
        self.timeline.sought.connect(self._seek)
        self.transport.sought.connect(self._seek)
        self.transport.speed_chosen.connect(self._set_speed)
        self.banner.remedied.connect(self._remedy)
        self.banner.dismissed.connect(self._dismiss)
        self._listing.done.connect(self._devices_listed)
        self._stopping.done.connect(self._session_stopped)
        self._exporting.done.connect(self._exported)
        self._checking.done.connect(self._checked)
        handlers: dict[str, Callable[[], object]] = {
            "pause": self.toggle_pause,
            "escape": self._escape,
            "open": self._ask_recording,
            "demo": self._open_demo,
            "live": self.go_live,
            "refresh": self._look_for_devices,
            "back": lambda: self._seek_by(-1.0),
            "forward": lambda: self._seek_by(1.0),
            "far_back": lambda: self._seek_by(-5.0),
            "far_forward": lambda: self._seek_by(5.0),
            "begin": lambda: self._seek(0.0),
            "end": lambda: self._seek(float("inf")),
            "slower": lambda: self._change_speed(-1),
            "faster": lambda: self._change_speed(1),
            "zoom_in": lambda: self.timeline.zoom(ZOOM),
            "zoom_out": lambda: self.timeline.zoom(1.0 / ZOOM),
            "zoom_whole": self.timeline.show_whole,
            "export": self._ask_export,
            "help": self._show_help,
            "about": self._show_about,
            "quit": self.close,
        }
        for name, handler in handlers.items():
            self.commands[name].triggered.connect(lambda _, call=handler: call())
        self.commands["heatmap"].toggled.connect(self._set_heatmap)
        self.commands["mirror"].toggled.connect(self._set_mirrored)
        self.commands["sound"].toggled.connect(self._set_sound)
        self.commands["full_screen"].toggled.connect(self.set_full_screen)

    # -- sessions ------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the session; call after the window is shown, so that it is seen first."""
        self._running = True
        self.bridge.start(self._session)
        self._start_session()
        self._listing.call(self._list_devices)

    def stop(self) -> None:
        """Stop the session and watch nothing; harmless when already done."""
        deadline = Deadline()
        self._running, self._wanted = False, None
        self.bridge.stop()
        if self._started:
            self._started = False
            self._session.stop()
        self._stopping.wait(deadline.left())
        self._exporting.wait(deadline.left())
        for reading in (self._listing, self._checking):
            reading.wait(min(deadline.left(), 0.5))

    def _start_session(self) -> None:
        """Start the session, unless another one is still being stopped: its devices are taken."""
        if self._running and not self._started and not self._stopping.busy:
            self._started = True
            self._session.start()

    def open_recording(self, path: Path, *, of: int = 1) -> None:
        """Leave the present session for a recording, once that is known to be one.

        `of`: how many were asked for, of which this is the first.

        What was analysed is worth too much to be lost for a file that cannot be read.
        """
        self._going_live = False
        self._wanted, self._wanted_of = path, of
        self._check_wanted()

    def _check_wanted(self) -> None:
        """Look into the recording that is asked for; `_checked` is told of it."""
        if (path := self._wanted) is None:
            return

        def check() -> tuple[Path, Exception | None]:
            try:
                self._factory.check(path)
            except (SourceError, OSError) as error:
                return path, error
            return path, None

        self._checking.call(check)

    def _checked(self, outcome: tuple[Path, Exception | None] | None) -> None:
        path, error = outcome or (self._wanted, None)  # no outcome: let the session tell
        if path is None or path != self._wanted:  # something else was asked for meanwhile
            self._check_wanted()
            return
        self._wanted = None
        if error is not None:
            self._tell_unopened(error, path)
            return
        if path != self.options.demo:
            self._settings.setValue(_FOLDER, str(path.absolute().parent))
        self._note_sources()
        self._change_session(lambda: self._factory.replay(path), path)
        if self._wanted_of > 1 and self._trouble is None:
            self._tell(f"Only the first of {self._wanted_of} files was opened.")

    def _open_demo(self) -> None:
        if (demo := self.options.demo) is not None:
            self.open_recording(demo)

    def go_live(self) -> None:
        """Leave the present session for the devices used last, at first for those there are now."""
        self._wanted = None
        self._note_sources()
        if (sources := self._sources) is not None:
            self._change_session(lambda: self._factory.live(*sources))
        else:
            self._going_live = self._devices_asked_for = True
            if self._started:  # while its sound is played no new microphone can be found
                self._started = False
                self._stopping.call(self._session.stop)
            else:
                self._listing.call(self._list_devices)

    def _session_stopped(self) -> None:
        if self._going_live:
            self._listing.call(self._list_devices)
        else:
            self._start_session()

    def _note_sources(self) -> None:
        if (live := self.live) is not None:
            self._sources = (live.camera, live.microphone)

    def _change_session(
        self, make: Callable[[], LiveControls | ReplayControls], path: Path | None = None
    ) -> None:
        self._going_live = False
        try:
            session = make()
        except (SourceError, OSError) as error:
            self._tell_unopened(error, path)
            return
        written = None
        if self.replay is not None:
            written = self.replay.written
            if (playback := self.replay.snapshot().playback) is not None:
                self._speed = playback.speed
        if self._started:
            self._started = False
            self._stopping.call(self._session.stop)
        self._adopt(session)
        if written is not None and not written.complete:  # which nothing else will tell any more
            self._tell(str(written), severity=Severity.WARNING)
        if self._running:
            self.bridge.start(session)
        self._start_session()

    def _tell_unopened(self, error: Exception, path: Path | None) -> None:
        remedy = Remedy.OPEN if isinstance(error, UnreadableFileError) else None
        self._tell(failure(str(error), path), severity=Severity.ERROR, remedy=remedy)

    def _adopt(self, session: LiveControls | ReplayControls) -> None:
        """Set everything up for a session that has shown nothing yet."""
        self._session = session
        self.live = session if isinstance(session, LiveControls) else None
        self.replay = replay = session if isinstance(session, ReplayControls) else None
        is_live = replay is None
        name = "" if replay is None else replay.path.name
        self.setWindowTitle(f"{name} – MSAF Live" if name else "MSAF Live")
        self.header.set_live(is_live, name)
        self.transport.setVisible(not is_live)
        self.timeline.clear(live=is_live)
        self.video.show_frame(None, None)
        self.video.set_badge("")
        self.answer.set_absence(UNANSWERED)
        self._dim(False)
        self._show_prediction(None)
        self._dismissed.clear()
        self._trouble = None
        for command in REPLAY_ONLY:
            self.commands[command].setEnabled(not is_live)
        for command in LIVE_ONLY:
            self.commands[command].setEnabled(is_live)
        self.commands["pause"].setEnabled(True)
        mirrored = self._settings.value(_MIRROR, True, type=bool)  # as people know themselves
        self.commands["mirror"].setChecked(is_live and mirrored)
        if replay is not None:
            replay.set_muted(not self.commands["sound"].isChecked())
            if self._speed is not None:
                replay.set_speed(self._speed)
        self._show_devices()
        self._focus_window()

    @property
    def _recording(self) -> Path | None:
        return None if self.replay is None else self.replay.path

    # -- what is shown -------------------------------------------------------------------------

    def _show_snapshot(self, snapshot: Snapshot) -> None:
        loading = snapshot.state is SessionState.LOADING
        if loading:
            self.loading.show_progress(snapshot.message, snapshot.progress)
        if loading != self.loading.isVisible():
            self.loading.setVisible(loading)
            self._place_overlays()
        if snapshot.preview is None:
            found = self._devices is None or len(self._devices[0]) > 0
            empty = empty_picture(snapshot, cameras=found, recording=self._recording)
            self.video.set_empty(*(("", "") if loading else empty))
        self._show_notice(snapshot)
        failed = snapshot.state is SessionState.FAILED
        if (playback := snapshot.playback) is not None:
            self._show_playback(playback, failed=failed)
        else:
            self._dim(snapshot.state is SessionState.PAUSED)
        live = self.live
        nothing = live is not None and live.camera is None and live.microphone is None
        self.answer.set_absence(NO_DEVICES if nothing else absence(snapshot))
        self.video.set_badge(badge(snapshot))
        self._offer_pause(is_paused(snapshot))

    def _show_playback(self, playback: Playback, *, failed: bool) -> None:
        self.timeline.set_extent(playback.duration, playback.analysed, playback.position)
        self.transport.show_playback(playback)
        for command in PLAYING:
            self.commands[command].setEnabled(not failed)
        for command in LOOKING:
            self.commands[command].setEnabled(not failed or playback.analysed > 0)

    def _show_picture(self, snapshot: Snapshot) -> None:
        self.video.show_frame(snapshot.preview, snapshot.face)

    def _offer_pause(self, paused: bool) -> None:
        """Offer to pause, or to go on."""
        command = self.commands["pause"]
        text = ("Play" if self.replay is not None else "Resume") if paused else "Pause"
        if command.text() != text:
            command.setText(text)
            command.setToolTip(f"{text} (Space)")
            command.setIcon(icons.icon("play" if paused else "pause"))

    def _dim(self, paused: bool) -> None:
        """Dim all values while live input is paused."""
        timed = (self.answer, self.shares, self.attention, self.spectrogram, self.timeline)
        for view in (*timed, self.status):
            view.set_paused(paused)

    def _show_prediction(self, prediction: Prediction | None) -> None:
        for view in (self.answer, self.shares, self.attention, self.spectrogram, self.video):
            view.show_prediction(prediction)
        self.status.show_level(
            None if prediction is None else prediction.sound_level,
            speech=prediction is not None and prediction.speech,
        )

    def _show_health(self, health: Health, shown_rate: float) -> None:
        self.status.show_health(health, shown_rate, live=self.replay is None)

    # -- notices -------------------------------------------------------------------------------

    def _show_notice(self, snapshot: Snapshot) -> None:
        camera = None if self.live is None else self.live.camera
        network = camera is not None and local_number(camera) is None
        found = notices(snapshot, network_camera=network, recording=self._recording)
        self._dismissed.intersection_update(found)  # what went away may be told again
        if snapshot.state is SessionState.ENDED and self._trouble is self._partial:
            self._trouble = None
        waiting = [notice for notice in found if notice not in self._dismissed]
        if self._trouble is not None:
            waiting = gravest_first([self._trouble, *waiting])
        loading = snapshot.state is SessionState.LOADING  # its card says it as well
        if not waiting and not loading and not self._privacy_seen:
            waiting.append(Notice(text=PRIVACY))
        shown = waiting[0] if waiting else None
        if shown != self.banner.notice:
            self._show_in_banner(shown)

    def _show_in_banner(self, notice: Notice | None) -> None:
        self.banner.show_notice(notice)
        self._place_overlays()

    def _tell(
        self, text: str, *, severity: Severity = Severity.INFO, remedy: Remedy | None = None
    ) -> None:
        """Show a sentence until it is dismissed, has been read or the session changes."""
        self._trouble = Notice(text=text, severity=severity, remedy=remedy)
        self.banner.show_notice(None)  # what is told again is there as long again
        self._show_notice(self._session.snapshot())

    def _dismiss(self, notice: Notice) -> None:
        if notice == self._trouble:
            self._trouble = None
        elif notice.text == PRIVACY:
            self._privacy_seen = True
            self._settings.setValue(_PRIVACY_SEEN, True)
        else:
            self._dismissed.add(notice)
        self._show_in_banner(None)

    def _remedy(self, remedy: Remedy) -> None:
        replay, live = self.replay, self.live
        if remedy is Remedy.SESSION and replay is not None:
            self.open_recording(replay.path)
        elif remedy is Remedy.SESSION:
            self.go_live()
        elif remedy is Remedy.OPEN:
            self._ask_recording()
        elif remedy is Remedy.CAMERA and live is not None:
            live.set_camera(live.camera)
        elif remedy is Remedy.ADDRESS:
            self.header.ask_address()
        elif remedy is Remedy.MICROPHONE and live is not None:
            live.set_microphone(live.microphone)

    # -- devices -------------------------------------------------------------------------------

    def _look_for_devices(self) -> None:
        self._devices_asked_for = True
        self._listing.call(self._list_devices)

    def _devices_listed(self, found: Devices | None) -> None:
        if found is None:
            return
        self._devices = cameras, microphones = found
        self._show_devices()
        problems = [each.problem for each in found if each.problem]
        if self._going_live:
            camera = next((each.selector for each in cameras), None)
            self._sources = (camera, "default" if len(microphones) else None)
            self.go_live()
            if self._trouble is not None:  # of the recording that was left, and graver
                problems = []
        if self._devices_asked_for and problems:
            self._tell(sentence("; ".join(problems)))
        self._devices_asked_for = False

    def _show_devices(self) -> None:
        cameras, microphones = self._devices or (None, None)
        if (live := self.live) is not None:
            self.header.set_devices(
                cameras, microphones, camera=live.camera, microphone=live.microphone
            )

    def _use_camera(self, selector: str | None) -> None:
        self._trouble = None  # was told of what was used before
        if (live := self.live) is not None:
            live.set_camera(selector)
        if selector is not None and local_number(selector) is None:
            self._settings.setValue(_ADDRESS, public_address(selector))

    def _use_microphone(self, selector: str | None) -> None:
        self._trouble = None
        if (live := self.live) is not None:
            live.set_microphone(selector)

    # -- commands ------------------------------------------------------------------------------

    def toggle_pause(self) -> None:
        """Pause or go on."""
        if is_paused(self._session.snapshot()):
            self._session.resume()
        else:
            self._session.pause()

    def set_full_screen(self, full: bool) -> None:
        """Fill the screen, or go back to a window."""
        self.commands["full_screen"].setChecked(full)
        if full != self.isFullScreen():
            self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def _escape(self) -> None:
        """Dismiss the notice; without one leave full screen."""
        if (notice := self.banner.notice) is not None:
            self._dismiss(notice)
        else:
            self.set_full_screen(False)

    def _seek(self, seconds: float) -> None:
        if (replay := self.replay) is not None and self.commands["begin"].isEnabled():
            replay.seek(seconds)

    def _seek_by(self, seconds: float) -> None:
        if (playback := self._session.snapshot().playback) is not None:
            self._seek(playback.position + seconds)

    def _set_speed(self, speed: float) -> None:
        if (replay := self.replay) is not None:
            replay.set_speed(speed)

    def _set_heatmap(self, shown: bool) -> None:
        self._settings.setValue(_HEATMAP, shown)
        self.video.set_heatmap(shown)

    def _set_mirrored(self, mirrored: bool) -> None:
        if self.live is not None:
            self._settings.setValue(_MIRROR, mirrored)
        self.video.set_mirrored(mirrored)

    def _set_sound(self, heard: bool) -> None:
        self._settings.setValue(_SOUND, heard)
        if (replay := self.replay) is not None:
            replay.set_muted(not heard)

    def _change_speed(self, direction: int) -> None:
        if (playback := self._session.snapshot().playback) is not None:
            speed = playback.speed
            beyond = [each for each in SPEEDS if (each - speed) * direction > 0]
            if beyond:
                self._set_speed(min(beyond, key=lambda each: abs(each - speed)))

    def _ask_recording(self) -> None:
        dialog = QFileDialog(
            self, "Open recording", self._folder(), f"{_RECORDINGS};;All files (*)"
        )
        dialog.setOption(QFileDialog.Option.HideNameFilterDetails)  # a line of thirty endings
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda path: self.open_recording(Path(path)))
        self._open_dialog(dialog)

    def _folder(self) -> str:
        """Where people's recordings are: where the last one was, at first where films belong."""
        last = self._settings.value(_FOLDER, "", type=str)
        films = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.MoviesLocation)
        there = (each for each in (last, films) if each and Path(each).is_dir())
        return next(there, str(Path.home()))

    def _ask_export(self) -> None:
        replay, playback = self.replay, self._session.snapshot().playback
        if replay is None or playback is None:
            return
        if not playback.analysed:
            self._tell("There are no answers to export yet.")
            return
        folder = str(replay.path.absolute().parent)
        if replay.path == self.options.demo:  # which lies among the program's own files
            folder = self._folder()
        dialog = ExportDialog(folder, replay.path.with_suffix(".csv").name, self)
        dialog.chosen.connect(self.export)
        dialog.taken.connect(
            lambda path: self._tell(
                f"There is a {path.name} already: choose it to replace it, or another name.",
                severity=Severity.WARNING,
            )
        )
        self._open_dialog(dialog)

    def export(self, path: Path) -> None:
        """Write the answers so far, and say what became of it once they are written."""
        if (replay := self.replay) is None:
            return
        if self._exporting.busy:
            self._tell("The export before is still being written.")
            return

        def write() -> Written | Exception:
            try:
                return replay.export(path)
            except (OSError, ValueError) as error:
                return error

        self._exporting.call(write)

    def _exported(self, outcome: Written | Exception | None) -> None:
        if isinstance(outcome, Written):
            self._tell(
                str(outcome), severity=Severity.INFO if outcome.complete else Severity.WARNING
            )
            self._partial = None if outcome.complete else self._trouble
        else:
            told = ExitCode.UNEXPECTED.meaning if outcome is None else str(outcome)
            if isinstance(outcome, OSError):
                told = explain(outcome)[1]
            self._tell(f"Could not export: {told}", severity=Severity.ERROR)

    def _show_help(self) -> None:
        self._open_dialog(HelpDialog(self.commands, self.theme, self))

    def _show_about(self) -> None:
        options = self.options
        self._open_dialog(AboutDialog(options.version, options.model_card, self.theme, self))

    def _open_dialog(self, dialog: QDialog) -> None:
        """Show one dialog at a time, without stopping the window behind it."""
        if self._dialog is not None:
            self._dialog.close()
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._dialog = dialog
        dialog.destroyed.connect(lambda: self._forget_dialog(dialog))
        dialog.open()

    def _forget_dialog(self, dialog: QDialog) -> None:
        if self._dialog is dialog:
            self._dialog = None

    # -- files dropped, and the end ------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        if event is not None and _files(event.mimeData()):
            event.acceptProposedAction()
            self.video.set_dropping(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent | None) -> None:
        self.video.set_dropping(False)

    def dropEvent(self, event: QDropEvent | None) -> None:
        self.video.set_dropping(False)
        if event is not None and (paths := _files(event.mimeData())):
            self.open_recording(paths[0], of=len(paths))

    def restore_place(self) -> bool:
        """Lie where the window was closed, as large; whether it ever was."""
        known = self._settings.value(_GEOMETRY, QByteArray(), type=QByteArray)
        restored = self.restoreGeometry(known)
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowFullScreen)
        return restored

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self._settings.setValue(_GEOMETRY, self.saveGeometry())
        self.stop()
        super().closeEvent(event)


def _lay(
    grid: QGridLayout, places: dict[QWidget, tuple[int, int, int, int]], stretches: dict[int, int]
) -> None:
    """Put widgets at (row, column, rows, columns) of `grid`, and let its rows grow as told."""
    for widget, place in places.items():
        grid.removeWidget(widget)
        grid.addWidget(widget, *place)
    for row, stretch in stretches.items():
        grid.setRowStretch(row, stretch)


def _files(data: QMimeData | None) -> list[Path]:
    """The files of this computer among what is dragged, without folders and addresses."""
    urls = [] if data is None else data.urls()
    paths = [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
    return [path for path in paths if path.is_file()]

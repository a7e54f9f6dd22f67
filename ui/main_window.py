"""The window: where the views lie, and who hears whom.

Thread: GUI, which also owns the session.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from PyQt6.QtCore import (
    QByteArray,
    QEvent,
    QFileInfo,
    QMimeData,
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
from PyQt6.QtWidgets import QDialog, QFileDialog, QMainWindow

from realtime.config import SessionConfig
from realtime.devices.addresses import local_number, public_address
from realtime.errors import ExitCode, explain
from realtime.export import Written, spare_answers
from realtime.messages import Health, Playback, Prediction, SessionState, Snapshot
from realtime.session import Deadline, LiveControls, ReplayControls
from ui import icons
from ui.actions import LIVE_ONLY, LOOKING, PLAYING, REPLAY_ONLY, make_actions
from ui.answer_view import AnswerView
from ui.attention_view import AttentionView
from ui.background import Background
from ui.banner_view import BannerView
from ui.bridge import Bridge
from ui.dialogs import AboutDialog, ExportDialog, HelpDialog, fit_in
from ui.header_view import HeaderView
from ui.layout import USUAL, Layout, Views
from ui.loading_view import LoadingView
from ui.notice_board import NoticeBoard
from ui.present.answer import UNANSWERED, absence
from ui.present.notices import Notice, Remedy, Severity, empty_picture, notices
from ui.present.playback import badge, is_over, is_paused
from ui.share_view import ShareView
from ui.spectrogram_view import SpectrogramView
from ui.status_view import StatusView
from ui.switcher import Devices, SessionFactory, SessionSwitcher
from ui.theme import Theme
from ui.timeline_view import ZOOM, TimelineView
from ui.transport_view import SPEEDS, TransportView
from ui.video_view import VideoView

SMALLEST: Final = QSize(640, 360)  # a small laptop's screen at twice its size has little more
_ENDINGS: Final = (
    "mp4 m4v mov mkv webm avi wmv flv mpg mpeg ts mts m2ts 3gp ogv gif "
    "wav flac mp3 m4a aac ogg oga opus wma aiff"
)
_RECORDINGS: Final = f"Recordings ({' '.join(f'*.{ending}' for ending in _ENDINGS.split())})"
_SOUND: Final = "sound"
_MIRROR: Final = "mirror"  # of live pictures
_HEATMAP: Final = "heatmap"
_GEOMETRY: Final = "geometry"  # of the window
_FOLDER: Final = "folder"  # of the recording opened last
_ADDRESS: Final = "camera_address"  # of the network camera used last, without its password


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowOptions:
    """What the window shows besides the session."""

    # Of the task
    labels: tuple[str, ...]
    modalities: tuple[str, ...]
    version: str = ""
    about: str = ""  # the task's data, figures, limits and terms: Markdown
    demo: Path | None = None  # the recording that comes with the program
    notice: str = ""  # about the first session
    config: SessionConfig = field(default_factory=SessionConfig)


class MainWindow(QMainWindow):
    """One session at a time, live or a recording."""

    def __init__(
        self,
        session: LiveControls | ReplayControls,
        factory: SessionFactory,
        *,
        list_devices: Callable[[], Devices],
        settings: QSettings,
        options: WindowOptions,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__()
        self.options = options
        self.bridge = Bridge(self, now=now)
        self.commands = make_actions(self)
        self.switcher = SessionSwitcher(session, factory, list_devices, self)
        self._settings = settings
        self._notices = NoticeBoard(settings)
        self._filing = Background("file-answers")
        self._filed_of: ReplayControls | None = None  # the recording whose answers those are
        self._dialog: QDialog | None = None

        self.setWindowTitle("MSAF Live")
        self.setWindowIcon(icons.application_icon())
        self.setMinimumSize(SMALLEST)
        self.setAcceptDrops(True)
        self.views = self._make_views()
        self._layout = Layout(self, self.views)
        self.addActions(list(self.commands.values()))
        self.commands["sound"].setChecked(settings.value(_SOUND, True, type=bool))
        self._connect()
        self.commands["heatmap"].setChecked(settings.value(_HEATMAP, False, type=bool))
        self.views.header.offer_address(settings.value(_ADDRESS, "", type=str))
        self._adopt()
        if self.options.notice:
            self._notices.tell(Notice(text=self.options.notice, severity=Severity.WARNING))
        self.commands["demo"].setVisible(self.options.demo is not None)
        self.resize(USUAL)

    # -- layout --------------------------------------------------------------------------------

    def _make_views(self) -> Views:
        theme, options = Theme(), self.options
        labels, modalities, config = options.labels, options.modalities, options.config
        return Views(
            header=HeaderView(self.commands, theme),
            video=VideoView(theme),
            transport=TransportView(self.commands, theme),
            spectrogram=SpectrogramView(config.windows.window_seconds, theme),
            timeline=TimelineView(labels, config.history_seconds, theme),
            answer=AnswerView(labels, config.windows.window_seconds, theme),
            shares=ShareView(modalities, theme),
            attention=AttentionView(modalities, theme),
            status=StatusView(theme),
            loading=LoadingView(theme),
            banner=BannerView(theme),
        )

    @property
    def theme(self) -> Theme:
        """The sizes at which everything is shown."""
        return self._layout.theme

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        self._layout.fit(self.size())
        super().resizeEvent(event)

    # -- the keyboard's focus ------------------------------------------------------------------

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Focus the next control; Qt also asks for that when the focused one disappears."""
        if self._focus_is_lost():
            self._focus_window()
            return True
        return super().focusNextPrevChild(forward)

    def event(self, event: QEvent | None) -> bool:
        done = super().event(event)
        if event is not None and event.type() == QEvent.Type.DevicePixelRatioChange:
            self._layout.dress()  # on another screen: symbols are drawn for its points
        return done

    def changeEvent(self, event: QEvent | None) -> None:
        is_activation = event is not None and event.type() == QEvent.Type.ActivationChange
        if is_activation and self._focus_is_lost():  # while another window was active
            self._focus_window()
        if event is not None and event.type() == QEvent.Type.WindowStateChange:
            # The window manager has keys and buttons of its own for that.
            self.commands["full_screen"].setChecked(self.isFullScreen())
            seen = not self.isMinimized()
            self.bridge.set_seen(seen)
            self.views.banner.set_seen(seen)
        super().changeEvent(event)

    def _focus_is_lost(self) -> bool:
        """Whether the control with the focus was hidden or disabled."""
        focused = self.focusWidget()
        return focused is not None and not (focused.isVisible() and focused.isEnabled())

    def _focus_window(self) -> None:
        """Give every key to the window, until a control is reached with Tab."""
        self._layout.central.setFocus()

    # -- wiring --------------------------------------------------------------------------------

    def _connect(self) -> None:
        bridge, views = self.bridge, self.views
        bridge.polled.connect(self._show_snapshot)
        bridge.pictured.connect(self._show_picture)
        bridge.predicted.connect(self._show_prediction)
        bridge.grown.connect(self._extend_history)
        bridge.measured.connect(self._show_health)
        for view in (views.answer, views.shares, views.loading):
            bridge.ticked.connect(view.advance)
        views.header.camera_chosen.connect(self._use_camera)
        views.header.microphone_chosen.connect(self._use_microphone)
        views.timeline.sought.connect(self._seek)
        views.transport.sought.connect(self._seek)
        views.transport.speed_chosen.connect(self._set_speed)
        views.banner.remedied.connect(self._remedy)
        views.banner.dismissed.connect(self._dismiss)
        self.switcher.changed.connect(self._change)
        self.switcher.told.connect(self._tell)
        self.switcher.listed.connect(self._show_devices)
        self._filing.done.connect(self._filed)
        handlers: dict[str, Callable[[], object]] = {
            "pause": self.toggle_pause,
            "escape": self._escape,
            "open": self._ask_recording,
            "demo": self._open_demo,
            "live": self.switcher.go_live,
            "refresh": self.switcher.look_for_devices,
            "back": lambda: self._seek_by(-1.0),
            "forward": lambda: self._seek_by(1.0),
            "far_back": lambda: self._seek_by(-5.0),
            "far_forward": lambda: self._seek_by(5.0),
            "begin": lambda: self._seek(0.0),
            "end": lambda: self._seek(float("inf")),
            "slower": lambda: self._change_speed(-1),
            "faster": lambda: self._change_speed(1),
            "zoom_in": lambda: views.timeline.zoom(ZOOM),
            "zoom_out": lambda: views.timeline.zoom(1.0 / ZOOM),
            "zoom_whole": views.timeline.show_whole,
            "write": self._toggle_writing,
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

    @property
    def live(self) -> LiveControls | None:
        """The session, if it is a live one."""
        return self.switcher.live

    @property
    def replay(self) -> ReplayControls | None:
        """The session, if it is on a recording."""
        return self.switcher.replay

    def start(self) -> None:
        """Start the session; call after the window is shown, so that it is seen first."""
        self.bridge.start(self.switcher.session)
        self.switcher.start()

    def stop(self) -> None:
        """Stop the session and watch nothing; harmless when already done."""
        deadline = Deadline()
        self.bridge.stop()
        self.switcher.stop(deadline)
        self._filing.wait(deadline.left())
        self.switcher.wait(deadline)

    def _open_demo(self) -> None:
        if (demo := self.options.demo) is not None:
            self.switcher.open_recording(demo)

    def _change(self, session: LiveControls | ReplayControls) -> None:
        """Show another session instead of the one before."""
        if (path := self._recording) is not None and path != self.options.demo:
            self._settings.setValue(_FOLDER, str(path.absolute().parent))
        self._adopt()
        if self.switcher.running:
            self.bridge.start(session)

    def _adopt(self) -> None:
        """Set everything up for a session that has shown nothing yet."""
        replay, views = self.replay, self.views
        is_live = replay is None
        name = "" if replay is None else replay.path.name
        self.setWindowTitle(f"{name} – MSAF Live" if name else "MSAF Live")
        views.header.set_live(is_live, name)
        views.transport.setVisible(not is_live)
        views.timeline.clear(live=is_live)
        views.video.show_frame(None, None)
        views.video.set_badge("")
        views.answer.set_absence(UNANSWERED)
        views.answer.sum_up(None)
        self._dim(False)
        self._show_prediction(None)
        self._notices.clear()
        for command in REPLAY_ONLY:
            self.commands[command].setEnabled(not is_live)
        for command in LIVE_ONLY:
            self.commands[command].setEnabled(is_live)
        self.commands["write"].setVisible(is_live)
        self.commands["export"].setVisible(not is_live)
        self.commands["pause"].setEnabled(True)
        mirrored = self._settings.value(_MIRROR, True, type=bool)  # as people know themselves
        self.commands["mirror"].setChecked(is_live and mirrored)
        if replay is not None:
            replay.set_muted(not self.commands["sound"].isChecked())
        self._show_devices()
        self._focus_window()

    @property
    def _recording(self) -> Path | None:
        return None if self.replay is None else self.replay.path

    # -- what is shown -------------------------------------------------------------------------

    def _show_snapshot(self, snapshot: Snapshot) -> None:
        views, going_live = self.views, self.switcher.going_live
        loading = going_live or snapshot.state is SessionState.LOADING
        if going_live:
            views.loading.show_progress("Looking for cameras and microphones", None)
        elif loading:
            views.loading.show_progress(snapshot.message, snapshot.progress)
        if loading != views.loading.isVisible():
            views.loading.setVisible(loading)
            self._layout.place_overlays()
        if snapshot.preview is None:
            devices = self.switcher.devices
            found = devices is None or len(devices[0]) > 0
            empty = empty_picture(snapshot, cameras=found, recording=self._recording)
            views.video.set_empty(*(("", "") if loading else empty))
        self._show_notice(snapshot)
        failed = snapshot.state is SessionState.FAILED
        if (playback := snapshot.playback) is not None:
            self._show_playback(playback, failed=failed, over=is_over(snapshot))
        else:
            self._dim(snapshot.state is SessionState.PAUSED)
            self.commands["pause"].setEnabled(not failed and not loading)
            writing = self.switcher.log.path is not None
            self.commands["write"].setEnabled(not failed or writing)
        views.answer.set_absence(UNANSWERED if going_live else absence(snapshot))
        views.video.set_badge("" if going_live else badge(snapshot))
        self._offer_pause(is_paused(snapshot))
        self._offer_writing()

    def _show_playback(self, playback: Playback, *, failed: bool, over: bool) -> None:
        self.views.timeline.set_extent(playback.duration, playback.analysed, playback.position)
        self.views.transport.show_playback(playback)
        if over != self.views.answer.sums_up:
            self.views.answer.sum_up(self.views.timeline.label_shares() if over else None)
        stopped = self.switcher.going_live
        for command in PLAYING:
            self.commands[command].setEnabled(not failed and not stopped)
        for command in LOOKING:
            there = not failed or playback.analysed > 0
            self.commands[command].setEnabled(there and not stopped)

    def _extend_history(self, gained: list[Prediction]) -> None:
        self.views.timeline.extend(gained)
        if self.views.answer.sums_up:  # which it may have begun before the last answers came
            self.views.answer.sum_up(self.views.timeline.label_shares())

    def _show_picture(self, snapshot: Snapshot) -> None:
        self.views.video.show_frame(snapshot.preview, snapshot.face)

    def _offer_pause(self, paused: bool) -> None:
        """Offer to pause, or to go on."""
        command = self.commands["pause"]
        text = ("Play" if self.replay is not None else "Resume") if paused else "Pause"
        if command.text() != text:
            command.setText(text)
            command.setToolTip(f"{text} (Space)")
            command.setIcon(icons.icon("play" if paused else "pause"))

    def _offer_writing(self) -> None:
        """Offer to write live answers to a file, or to stop that."""
        command, writing = self.commands["write"], self.switcher.log.path is not None
        command.setChecked(writing)
        text = "Stop writing answers" if writing else "Write answers to a file…"
        if command.text() != text:
            command.setText(text)
            command.setToolTip(f"{text.rstrip('…')} (Ctrl+S)")

    def _dim(self, paused: bool) -> None:
        """Dim all values while live input is paused."""
        views = self.views
        timed = (views.answer, views.shares, views.attention, views.spectrogram, views.timeline)
        for view in (*timed, views.status):
            view.set_paused(paused)

    def _show_prediction(self, prediction: Prediction | None) -> None:
        views = self.views
        answered = (views.answer, views.shares, views.attention, views.spectrogram, views.video)
        for view in answered:
            view.show_prediction(prediction)
        views.status.show_level(
            None if prediction is None else prediction.sound_level,
            speech=prediction is not None and prediction.speech,
        )

    def _show_health(self, health: Health, shown_rate: float) -> None:
        self.views.status.show_health(health, shown_rate, live=self.replay is None)

    # -- notices -------------------------------------------------------------------------------

    def _show_notice(self, snapshot: Snapshot) -> None:
        camera = None if self.live is None else self.live.camera
        network = camera is not None and local_number(camera) is None
        found = notices(snapshot, network_camera=network, recording=self._recording)
        shown = self._notices.choose(found, snapshot.state)
        if shown != self.views.banner.notice:
            self._show_in_banner(shown)

    def _show_in_banner(self, notice: Notice | None) -> None:
        self.views.banner.show_notice(notice)
        self._layout.place_overlays()

    def _tell(self, notice: Notice, *, partial: bool = False) -> None:
        """Show a sentence until it is dismissed, has been read or the session changes.

        `partial`: at most until the analysis has come to its end.
        """
        self._notices.tell(notice, partial=partial)
        self.views.banner.show_notice(None)  # what is told again is there as long again
        self._show_notice(self.switcher.session.snapshot())

    def _dismiss(self, notice: Notice) -> None:
        self._notices.dismiss(notice)
        self._show_in_banner(None)

    def _remedy(self, remedy: Remedy) -> None:
        replay, live = self.replay, self.live
        if remedy is Remedy.SESSION and replay is not None:
            self.switcher.open_recording(replay.path)
        elif remedy is Remedy.SESSION:
            self.switcher.go_live()
        elif remedy is Remedy.OPEN:
            self._ask_recording()
        elif remedy is Remedy.ADDRESS:
            self.views.header.ask_address()
        elif live is not None:
            if remedy is not Remedy.MICROPHONE:
                live.set_camera(live.camera)
            if remedy is not Remedy.CAMERA:
                live.set_microphone(live.microphone)

    # -- devices -------------------------------------------------------------------------------

    def _show_devices(self) -> None:
        cameras, microphones = self.switcher.devices or (None, None)
        if (live := self.live) is not None:
            self.views.header.set_devices(
                cameras, microphones, camera=live.camera, microphone=live.microphone
            )

    def _use_camera(self, selector: str | None) -> None:
        self._notices.retract()  # it was about what was used before
        if (live := self.live) is not None:
            live.set_camera(selector)
        if selector is not None and local_number(selector) is None:
            self._settings.setValue(_ADDRESS, public_address(selector))

    def _use_microphone(self, selector: str | None) -> None:
        self._notices.retract()
        if (live := self.live) is not None:
            live.set_microphone(selector)

    # -- commands ------------------------------------------------------------------------------

    def toggle_pause(self) -> None:
        """Pause or go on."""
        if is_paused(self.switcher.session.snapshot()):
            self.switcher.session.resume()
        else:
            self.switcher.session.pause()

    def set_full_screen(self, full: bool) -> None:
        """Fill the screen, or go back to a window."""
        self.commands["full_screen"].setChecked(full)
        if full != self.isFullScreen():
            self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def _escape(self) -> None:
        """Dismiss the notice; without one leave full screen."""
        if (notice := self.views.banner.notice) is not None:
            self._dismiss(notice)
        else:
            self.set_full_screen(False)

    def _seek(self, seconds: float) -> None:
        if (replay := self.replay) is not None and self.commands["begin"].isEnabled():
            replay.seek(seconds)

    def _seek_by(self, seconds: float) -> None:
        if (playback := self.switcher.session.snapshot().playback) is not None:
            self._seek(playback.position + seconds)

    def _set_speed(self, speed: float) -> None:
        if (replay := self.replay) is not None:
            replay.set_speed(speed)

    def _set_heatmap(self, shown: bool) -> None:
        self._settings.setValue(_HEATMAP, shown)
        self.views.video.set_heatmap(shown)

    def _set_mirrored(self, mirrored: bool) -> None:
        if self.live is not None:
            self._settings.setValue(_MIRROR, mirrored)
        self.views.video.set_mirrored(mirrored)

    def _set_sound(self, heard: bool) -> None:
        self._settings.setValue(_SOUND, heard)
        if (replay := self.replay) is not None:
            replay.set_muted(not heard)

    def _change_speed(self, direction: int) -> None:
        if (playback := self.switcher.session.snapshot().playback) is not None:
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
        fit_in(dialog)
        dialog.fileSelected.connect(lambda path: self.switcher.open_recording(Path(path)))
        self._open_dialog(dialog)

    def _folder(self) -> str:
        """The folder of the last recording, at first the system's for films."""
        last = self._settings.value(_FOLDER, "", type=str)
        films = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.MoviesLocation)
        # Path raises where a folder cannot be reached.
        there = (each for each in (last, films) if QFileInfo(each).isDir())
        return next(there, str(Path.home()))

    # -- answers in files ----------------------------------------------------------------------

    def _toggle_writing(self) -> None:
        """Ask for the file for live answers; where there is one, write nothing more to it."""
        self._offer_writing()  # as it is, not as the press has made it
        if (log := self.switcher.log).path is not None:
            self._file(log.finish)
        else:
            name = f"answers {datetime.now().astimezone():%Y-%m-%d %H.%M}.csv"
            self._ask_file("Write answers", self._folder(), name, self.write)

    def write(self, path: Path) -> None:
        """Write live answers from now on."""
        if self.live is None:  # which was left while the file was asked for
            text = "Nothing is written: only live answers are, and this is a recording."
            self._tell(Notice(text=text, severity=Severity.WARNING))
            return
        self._settings.setValue(_FOLDER, str(path.absolute().parent))
        self._file(lambda: self.switcher.log.open(path))

    def _ask_export(self) -> None:
        replay, playback = self.replay, self.switcher.session.snapshot().playback
        if replay is None or playback is None:
            return
        if not playback.analysed:
            self._tell(Notice(text="There are no answers to export yet."))
            return
        folder = str(replay.path.absolute().parent)
        if replay.path == self.options.demo:  # which lies among the program's own files
            folder = self._folder()
        name = replay.path.with_suffix(".csv").name
        # The window may have gone on to another session by the time the file is chosen.
        self._ask_file("Export answers", folder, name, lambda path: self.export(path, replay))

    def export(self, path: Path, replay: ReplayControls) -> None:
        """Write the answers of a recording so far; it may have been stopped."""
        log = self.switcher.log.path  # which live sessions go on with

        def export() -> Written:
            if log is not None:
                spare_answers(path, log)
            return replay.export(path)

        self._file(export, of=replay)

    def _ask_file(self, title: str, folder: str, name: str, use: Callable[[Path], None]) -> None:
        dialog = ExportDialog(title, folder, name, self)
        dialog.chosen.connect(use)
        dialog.taken.connect(
            lambda path: self._tell(
                Notice(
                    text=f"{path.name} exists already: choose it again to replace it, or choose "
                    "another name.",
                    severity=Severity.WARNING,
                )
            )
        )
        self._open_dialog(dialog)

    def _file(self, act: Callable[[], Written | None], *, of: ReplayControls | None = None) -> None:
        """Do something with a file, which may take long, and say what became of it then.

        `of`: the recording whose answers are written.
        """
        if self._filing.busy:
            self._tell(Notice(text="The file before this one is still being written."))
            return

        def call() -> tuple[Written | None, Exception | None]:
            try:
                return act(), None
            except (OSError, ValueError) as error:
                return None, error

        self._filed_of = of
        self._filing.call(call)

    def _filed(self, outcome: tuple[Written | None, Exception | None] | None) -> None:
        written, error = outcome or (None, None)
        if written is not None:
            severity = Severity.INFO if written.complete else Severity.WARNING
            notice = Notice(text=str(written), severity=severity)
            goes_on = not written.complete and self._filed_of is self.replay
            self._tell(notice, partial=goes_on)
        elif outcome is None or error is not None:
            told = ExitCode.UNEXPECTED.meaning if error is None else str(error)
            if isinstance(error, OSError):
                told = explain(error)[1]
            text = f"The answers cannot be written: {told}"
            self._tell(Notice(text=text, severity=Severity.ERROR))

    def _show_help(self) -> None:
        views = self.views
        parts = (
            views.answer,
            views.video,
            views.shares,
            views.attention,
            views.spectrogram,
            views.timeline,
        )
        explained = [(part.accessibleName(), part.toolTip()) for part in parts]
        explained += views.status.explained()
        self._open_dialog(HelpDialog(self.commands, explained, self.theme, self))

    def _show_about(self) -> None:
        options = self.options
        self._open_dialog(AboutDialog(options.version, options.about, self.theme, self))

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
            self._show_dropping(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent | None) -> None:
        self._show_dropping(False)

    def dropEvent(self, event: QDropEvent | None) -> None:
        self._show_dropping(False)
        if event is not None and (paths := _files(event.mimeData())):
            self.switcher.open_recording(paths[0], of=len(paths))

    def _show_dropping(self, dropping: bool) -> None:
        """Say where a file would be dropped, with no notice over it."""
        self.views.video.set_dropping(dropping)
        banner = self.views.banner
        banner.setHidden(dropping or banner.notice is None)

    def restore_place(self) -> bool:
        """Restore where the window was last closed, and its size; whether that is known."""
        known = self._settings.value(_GEOMETRY, QByteArray(), type=QByteArray)
        restored = self.restoreGeometry(known)
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowFullScreen)
        return restored

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self._settings.setValue(_GEOMETRY, self.saveGeometry())
        self.hide()  # to stop may take a moment, in which it would stand still
        self.stop()
        super().closeEvent(event)


def _files(data: QMimeData | None) -> list[Path]:
    """The files of this computer among what is dragged, without folders and addresses."""
    urls = [] if data is None else data.urls()
    paths = [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
    return [path for path in paths if QFileInfo(str(path)).isFile()]

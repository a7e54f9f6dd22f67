"""The session of the window: starting, stopping and changing it, and which devices there are.

Thread: GUI, which owns the sessions; what may block is called on threads of its own. It knows no
view: the window hears of what happens by signals.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from PyQt6.QtCore import QObject, pyqtSignal

from realtime.devices.listing import CameraInfo, Listing, MicrophoneInfo
from realtime.errors import ExitCode
from realtime.export import AnswerLog
from realtime.session import Deadline, LiveControls, ReplayControls
from realtime.sources.base import SourceError, UnreadableFileError
from ui.background import Background
from ui.present.notices import Notice, Remedy, Severity
from ui.present.words import failure, sentence

Devices = tuple[Listing[CameraInfo], Listing[MicrophoneInfo]]
_LISTING_SECONDS = 0.5  # longest that the end waits for devices to be listed


class SessionFactory(Protocol):
    """Makes the sessions that the person asks for; no call starts anything."""

    @property
    def log(self) -> AnswerLog:
        """The file, if any, that live sessions' answers are written to."""
        ...

    def live(self, camera: str | None, microphone: str | None) -> LiveControls:
        """A session on these devices (None: without one)."""
        ...

    def replay(self, path: Path) -> ReplayControls:
        """A session on a recording; may raise SourceError or OSError where it cannot be read."""
        ...

    def check(self, path: Path) -> None:
        """Look into a recording; raises SourceError or OSError when it cannot be read.

        Thread: any. May take long, as where a network drive is slow.
        """
        ...


class SessionSwitcher(QObject):
    """Runs one session at a time, `session`, and changes it for another when asked to."""

    changed = pyqtSignal(object)  # the session that takes the place of another, not yet started
    told = pyqtSignal(object)  # Notice about a change, or about devices
    listed = pyqtSignal()  # `devices` were looked for

    def __init__(
        self,
        session: LiveControls | ReplayControls,
        factory: SessionFactory,
        list_devices: Callable[[], Devices],
        parent: QObject | None = None,
    ) -> None:
        """`list_devices` may block for seconds, and is called on a thread of its own."""
        super().__init__(parent)
        self._hold(session)
        self.devices: Devices | None = None  # None: not known yet
        self._factory = factory
        self.log = factory.log
        self._list_devices = list_devices
        self._running = False  # from `start` to `stop`
        self._started = False  # so the session is
        # Camera and microphone used last.
        self._sources: tuple[str | None, str | None] | None = None
        self._going_live = False  # once the devices are listed
        self._devices_asked_for = False  # by the person, who is told what stands in the way
        self._wanted: Path | None = None  # to be opened, if it can be read …
        self._wanted_of = 1  # … of so many
        self._speed: float | None = None  # of the recording before
        self._listing = Background("list-devices")
        self._stopping = Background("stop-session")
        self._checking = Background("check-recording")
        self._listing.done.connect(self._devices_listed)
        self._stopping.done.connect(self._session_stopped)
        self._checking.done.connect(self._checked)

    def _hold(self, session: LiveControls | ReplayControls) -> None:
        """Have `session`, which is also `live` or `replay`; the other of these is None."""
        self.session = session
        self.live = session if isinstance(session, LiveControls) else None
        self.replay = session if isinstance(session, ReplayControls) else None

    @property
    def running(self) -> bool:
        """Whether sessions are started at all."""
        return self._running

    @property
    def going_live(self) -> bool:
        """Whether the session is left for devices that are still looked for."""
        return self._going_live

    # -- start and end -------------------------------------------------------------------------

    def start(self) -> None:
        """Start the session, and look for devices."""
        self._running = True
        self._start_session()
        self._listing.call(self._list_devices)

    def stop(self, deadline: Deadline) -> None:
        """Stop the session and start none any more; harmless when already done."""
        self._running, self._wanted = False, None
        if self._started:
            self._started = False
            self.session.stop()
        self._stopping.wait(deadline.left())

    def wait(self, deadline: Deadline) -> None:
        """After `stop`, wait a moment for what is still being looked for or into."""
        for reading in (self._listing, self._checking):
            reading.wait(min(deadline.left(), _LISTING_SECONDS))

    def _start_session(self) -> None:
        """Start the session, unless another one is still being stopped: its devices are taken."""
        if self._running and not self._started and not self._stopping.busy:
            self._started = True
            self.session.start()

    def _session_stopped(self) -> None:
        self._look_to_go_live()
        if not self._going_live:
            self._start_session()

    # -- another session -----------------------------------------------------------------------

    def open_recording(self, path: Path, *, of: int = 1) -> None:
        """Leave the present session for a recording, once that is known to be one.

        What was analysed is worth too much to be lost for a file that cannot be read.

        `of`: how many were asked for, of which this is the first.
        """
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
            self._look_to_go_live()
            return
        self._note_sources()
        has_told = self._change(lambda: self._factory.replay(path), path)
        if self._wanted_of > 1 and not has_told:
            self.told.emit(Notice(text=f"Only the first of {self._wanted_of} files was opened."))

    def go_live(self) -> bool:
        """Leave the present session for the devices used last, at first for those there are now.

        Returns whether something had to be told.
        """
        self._wanted = None
        self._note_sources()
        if (sources := self._sources) is not None:
            self._going_live = False
            return self._change(lambda: self._factory.live(*sources))
        self._going_live = self._devices_asked_for = True
        self.session.pause()  # its time would go on without pictures and sound
        if self._started:  # while its sound is played no new microphone can be found
            self._started = False
            self._stopping.call(self.session.stop)
        else:
            self._look_to_go_live()
        return False

    def _look_to_go_live(self) -> None:
        """Look for the devices to go live on, where that is asked for and the session stopped."""
        if self._going_live and not self._stopping.busy:
            self._listing.call(self._list_devices)

    def _note_sources(self) -> None:
        if (live := self.live) is not None:
            self._sources = (live.camera, live.microphone)

    def _change(
        self, make: Callable[[], LiveControls | ReplayControls], path: Path | None = None
    ) -> bool:
        """Leave the present session for another; returns whether something had to be told."""
        try:
            session = make()
        except (SourceError, OSError) as error:
            self._tell_unopened(error, path)
            self._look_to_go_live()
            return True
        self._going_live = False
        left, written = self.session, None
        if (replay := self.replay) is not None:
            written = replay.written
            if (playback := replay.snapshot().playback) is not None:
                self._speed = playback.speed
        if self._started:
            self._started = False
            self._stopping.call(left.stop)
        self._hold(session)
        if (replay := self.replay) is not None and self._speed is not None:
            replay.set_speed(self._speed)
        self.changed.emit(session)
        is_cut_short = written is not None and not written.complete
        if is_cut_short:  # nothing will tell this later
            self.told.emit(Notice(text=str(written), severity=Severity.WARNING))
        self._start_session()
        return is_cut_short

    def _tell_unopened(self, error: Exception, path: Path | None) -> None:
        remedy = Remedy.OPEN if isinstance(error, UnreadableFileError) else None
        text = failure(str(error), path)
        self.told.emit(Notice(text=text, severity=Severity.ERROR, remedy=remedy))

    # -- devices -------------------------------------------------------------------------------

    def look_for_devices(self) -> None:
        """Look for devices again, and tell what stands in the way."""
        self._devices_asked_for = True
        self._listing.call(self._list_devices)

    def _devices_listed(self, found: Devices | None) -> None:
        if found is None:
            if not self._going_live:
                return
            problem = f"devices cannot be looked for: {ExitCode.UNEXPECTED.meaning}"
            found = Listing((), problem, fault=True), Listing()
        self.devices = cameras, microphones = found
        self.listed.emit()
        problems = [each.problem for each in found if each.problem]
        if self._going_live and self._wanted is None:
            camera = next((each.selector for each in cameras), None)
            self._sources = (camera, "default" if len(microphones) else None)
            if self.go_live():  # which told of the recording that was left, and graver
                problems = []
        if self._devices_asked_for and problems:
            self.told.emit(Notice(text=sentence("; ".join(problems))))
        self._devices_asked_for = False

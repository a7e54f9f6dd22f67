"""Live input: what camera and microphone threads deliver, an inference thread answers.

Threads: `camera` (realtime/capture.py) pushes pictures into a ring, which `faces` looks at
(realtime/search.py); what it sees goes into the inbox, as does the sound of `microphone`.
`inference` owns the worker, which everything reaches through the inbox, control too. `writer`
writes the answers to a file, where that is wanted. The thread that made the session controls it;
changing a device can take seconds, so that is done by another thread, `devices`, one change at a
time.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

from realtime.capture import CaptureThread
from realtime.clock import Clock, MonotonicClock
from realtime.config import SessionConfig
from realtime.devices.addresses import public_name
from realtime.export import AnswerLog
from realtime.health import Rolling
from realtime.inbox import Inbox
from realtime.live_worker import LiveWorker
from realtime.messages import (
    AudioPacket,
    Health,
    Prediction,
    SessionState,
    Snapshot,
    Sound,
    SourceChange,
    SourceHealth,
    SourceState,
    StartOver,
    Track,
    VideoPacket,
)
from realtime.resampling import SpeechResampler
from realtime.rings import FrameRing
from realtime.search import PictureSearch
from realtime.session import Deadline, StoppedError, face_at, told
from realtime.sources.base import Source
from realtime.task import Task
from realtime.worker import InferenceWorker

logger = logging.getLogger(__name__)

AnyCapture = CaptureThread[VideoPacket] | CaptureThread[AudioPacket]
CameraFactory = Callable[[str, Clock], Source[VideoPacket]]
MicrophoneFactory = Callable[[str, Clock], Source[AudioPacket]]

IDLE_SECONDS = 0.01  # longest the inference thread sleeps when nothing wakes it
DEVICE_PATIENCE_SECONDS = 1.0  # for a device's driver to let go
WRITING_SECONDS = 0.2  # answers that have gathered are written this often


def open_camera(selector: str, clock: Clock) -> Source[VideoPacket]:
    """The camera or address called `selector`."""
    from realtime.sources.camera import CameraSource

    return CameraSource(selector, clock)


def open_microphone(selector: str, clock: Clock) -> Source[AudioPacket]:
    """The microphone called `selector`."""
    from realtime.sources.microphone import MicrophoneSource

    return MicrophoneSource(selector, clock)


class LiveSession:
    """Camera and microphone → answers, until stopped."""

    def __init__(
        self,
        task: Task,
        *,
        camera: str | None = "0",
        microphone: str | None = "default",
        config: SessionConfig | None = None,
        log: AnswerLog | None = None,
        clock: Clock | None = None,
        camera_factory: CameraFactory = open_camera,
        microphone_factory: MicrophoneFactory = open_microphone,
    ) -> None:
        """`log`: takes every prediction, soon after it is made; whoever made it closes it."""
        self.config = config or SessionConfig()
        self._clock = clock or MonotonicClock()
        self._task = task
        self._log = log
        self._camera_factory = camera_factory
        self._microphone_factory = microphone_factory
        self._selectors = {Track.PICTURES: camera, Track.SOUND: microphone}
        windows = self.config.windows
        self._frames = FrameRing()
        self._inbox = Inbox(round(windows.kept_seconds * windows.sample_rate))
        self._search = PictureSearch(self._frames, self._inbox.put)
        self._resampler = SpeechResampler(windows.sample_rate)
        self._latency = Rolling(30.0)
        self._answers = Rolling(5.0)
        self._delays = {track: Rolling(5.0) for track in Track}  # s, capture to arrival
        self._lock = threading.Lock()  # guards what follows; held only for moments
        self._state = SessionState.LOADING
        self._message = "Starting"
        self._progress: float | None = 0.0
        self._engine_name = ""
        self._newest: Prediction | None = None  # whole, as the window shows it
        self._history: deque[Prediction] = deque(
            maxlen=round(self.config.history_seconds / windows.hop_seconds)
        )
        self._unwritten: list[Prediction] = []  # however long the disk takes
        self._captures: dict[Track, AnyCapture] = {}
        self._windows_skipped = 0
        self._frozen: VideoPacket | None = None  # the picture while paused, and until the next one
        self.failure: Exception | None = None
        self.unwritten: OSError | None = None  # what answers meet is the log's, which lives longer
        self._wake = threading.Event()  # the inference thread has something to do
        self._picture_came = threading.Event()  # the faces thread has: a picture, a camera, an end
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._devices: ThreadPoolExecutor | None = None

    # -- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """See Session.start."""
        if self._threads or self._stopping.is_set():
            raise RuntimeError("a session runs once: make another one")
        bodies = {"inference": partial(self._infer, self._clock.now()), "faces": self._look}
        if self._log is not None:
            bodies["writer"] = partial(self._write, self._log)
        for name, run in bodies.items():
            thread = threading.Thread(target=self._guard, args=(run,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._devices = ThreadPoolExecutor(1, thread_name_prefix="devices")
        for track in Track:
            self._switch(track)

    def stop(self) -> None:
        """See Session.stop: sources first, then what they feed."""
        deadline = Deadline()
        self._end()
        if self._devices is not None:
            self._devices.shutdown(wait=True, cancel_futures=True)
            self._devices = None
        with self._lock:
            captures = list(self._captures.values())
            self._captures.clear()
        for capture in captures:
            capture.tell_to_stop()
        for capture in captures:
            capture.stop(timeout_seconds=min(deadline.left(), DEVICE_PATIENCE_SECONDS))
        deadline.join(self._threads)
        self._threads.clear()

    def pause(self) -> None:
        """See Session.pause."""
        picture = self._picture(self.health().camera)
        with self._lock:
            if self._state is SessionState.RUNNING:
                self._state = SessionState.PAUSED
                self._frozen = picture

    def resume(self) -> None:
        """See Session.resume; what came meanwhile is not looked at."""
        with self._lock:
            if self._state is not SessionState.PAUSED:
                return
            self._search.forget()
            self._inbox.put(StartOver())
            self._state = SessionState.RUNNING  # from here on pictures come again
        self._wake.set()

    # -- devices --------------------------------------------------------------------------------

    @property
    def camera(self) -> str | None:
        """See LiveControls.camera."""
        return self._selectors[Track.PICTURES]

    @property
    def microphone(self) -> str | None:
        """See LiveControls.microphone."""
        return self._selectors[Track.SOUND]

    def set_camera(self, selector: str | None) -> None:
        """See LiveControls.set_camera."""
        self._selectors[Track.PICTURES] = selector
        self._picture_came.set()  # whoever waits for a camera has one
        self._switch(Track.PICTURES)

    def set_microphone(self, selector: str | None) -> None:
        """See LiveControls.set_microphone."""
        self._selectors[Track.SOUND] = selector
        self._switch(Track.SOUND)

    def _switch(self, track: Track) -> None:
        """Have the track captured from what is selected now."""
        if self._devices is not None:
            change = partial(self._exchange, track, self._selectors[track])
            self._devices.submit(self._guard, change)

    def _exchange(self, track: Track, selector: str | None) -> None:
        """Stop the capture of this track and start another. Thread: devices."""
        if selector != self._selectors[track]:
            return  # what was chosen since then comes next
        with self._lock:
            old = self._captures.pop(track, None)
            if track is Track.PICTURES:
                self._frozen = None
        if old is not None:
            old.stop(timeout_seconds=DEVICE_PATIENCE_SECONDS)
        self._start_over(track, connected=selector is not None)
        if selector is None or self._stopping.is_set():
            return
        capture = self._capture(track, selector)
        with self._lock:
            self._captures[track] = capture
        capture.start()

    def _capture(self, track: Track, selector: str) -> AnyCapture:
        clock, stall_seconds = self._clock, self.config.windows.stall_seconds
        if track is Track.PICTURES:
            camera = self._camera_factory(selector, clock)
            return CaptureThread(
                camera,
                self._push_frame,
                clock,
                name="camera",
                stall_seconds=stall_seconds,
                replaced=partial(self._start_over, track, connected=True),
            )
        microphone = self._microphone_factory(selector, clock)
        return CaptureThread(
            microphone,
            self._push_sound,
            clock,
            name="microphone",
            stall_seconds=stall_seconds,
            replaced=partial(self._start_over, track, connected=True),
        )

    def _start_over(self, track: Track, *, connected: bool) -> None:
        """What comes from here on is of another device. Thread: devices, the track's capture."""
        if track is Track.PICTURES:
            self._search.forget()
        else:
            self._resampler = SpeechResampler(self.config.windows.sample_rate)
        self._delays[track].clear()
        self._inbox.put(SourceChange(track=track, connected=connected))
        self._wake.set()

    def _push_frame(self, packet: VideoPacket) -> None:
        """Thread: camera."""
        delay = self._clock.now() - packet.timestamp
        self._delays[Track.PICTURES].add(packet.timestamp, delay)
        if self._state is SessionState.PAUSED:
            return
        self._frames.push(packet)
        self._picture_came.set()

    def _push_sound(self, packet: AudioPacket) -> None:
        """Thread: microphone."""
        self._delays[Track.SOUND].add(packet.end, self._clock.now() - packet.end)
        if self._state is SessionState.PAUSED:
            return
        speech = self._resampler.push(packet)
        if speech is not None:
            start, samples = speech
            self._inbox.put(Sound(timestamp=start, samples=samples))
            self._wake.set()

    # -- inference ------------------------------------------------------------------------------

    def _guard(self, run: Callable[[], None]) -> None:
        """Run a thread's body; what it fails of becomes the session's failure."""
        try:
            run()
        except StoppedError:
            logger.info("stopped while loading")
        except Exception as error:
            self._fail(error, told(error))

    def _look(self) -> None:
        """Look at pictures until stopped; what searches them waits for a camera. Thread: faces."""
        while self.camera is None and not self._stopping.is_set():
            self._picture_came.wait()
            self._picture_came.clear()
        if self._stopping.is_set():
            return
        with closing(self._task.watch()) as watcher:
            while True:
                self._picture_came.clear()  # before looking, lest a sign be lost
                if self._stopping.is_set():
                    return
                if self._search.step(watcher):
                    self._wake.set()
                else:
                    self._picture_came.wait()

    def _infer(self, started: float) -> None:
        """Load, then step until stopped. Thread: inference."""

        def loading(fraction: float, text: str) -> None:
            if self._stopping.is_set():
                raise StoppedError
            with self._lock:
                self._progress, self._message = fraction, text

        network = self._task.load(loading)
        worker = LiveWorker(
            InferenceWorker(config=self.config, network=network),
            self._inbox,
            windows=self.config.windows,
            clock=self._clock,
            started=started,
        )
        with self._lock:
            self._engine_name = network.engine_name
            if self._stopping.is_set():
                return  # also where another thread has failed, which must stay to be seen
            self._state, self._message, self._progress = SessionState.RUNNING, "", None
        while not self._stopping.is_set():
            self._wake.clear()
            if self._state is SessionState.PAUSED:
                worker.take_in()
                prediction = None
            else:
                prediction = worker.step()
            if prediction is not None:
                self._publish(prediction, worker)
            else:
                self._wake.wait(IDLE_SECONDS)

    def _write(self, log: AnswerLog) -> None:
        """Write what has been answered until stopped, beside the answers. Thread: writer."""
        while True:
            stopped = self._stopping.wait(WRITING_SECONDS)
            with self._lock:  # what is being published when the end comes is written too
                unwritten, self._unwritten = self._unwritten, []
            for prediction in unwritten:
                log.write(prediction)
            if stopped:
                return

    def _fail(self, error: Exception, message: str) -> None:
        """Stop answering for good; of several failures the first is told. Thread: any."""
        with self._lock:
            if self.failure is None:
                self.failure = error
                self._state, self._message, self._progress = SessionState.FAILED, message, None
            self._end()

    def _end(self) -> None:
        """Tell the session's own threads to end; devices go on until `stop`."""
        self._stopping.set()
        self._wake.set()
        self._picture_came.set()

    def _publish(self, prediction: Prediction, worker: LiveWorker) -> None:
        with self._lock:
            if self._stopping.is_set() or self._state is SessionState.PAUSED:
                return  # too late: it was still being computed
            self._newest = prediction
            self._history.append(kept := prediction.compact())
            if self._log is not None:
                self._unwritten.append(kept)
            self._windows_skipped = worker.windows_skipped
        now = self._clock.now()
        self._answers.add(now, 1.0)
        if prediction.latency_seconds is not None:
            self._latency.add(now, prediction.latency_seconds)

    # -- what there is to show ------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """See Session.snapshot."""
        with self._lock:
            state, message, progress = self._state, self._message, self._progress
            frozen, newest = self._frozen, self._newest
        health = self.health()
        paused = state is SessionState.PAUSED
        preview = frozen if paused else self._picture(health.camera)
        sighting = self._search.newest
        face = None if sighting is None else sighting.face
        shown_at = frozen.timestamp if paused and frozen is not None else self._clock.now()
        return Snapshot(
            state=state,
            message=message,
            progress=progress,
            preview=preview,
            face=None if preview is None else face_at(shown_at, face),
            prediction=newest,
            health=health,
            notes=(f"answers are written to {health.written_to}",) if health.written_to else (),
            flaws=(self._log.trouble,) if self._log is not None and self._log.trouble else (),
        )

    def _picture(self, camera: SourceHealth) -> VideoPacket | None:
        """The newest picture; none of a camera that is lost, as if it were of now."""
        is_there = camera.state in (SourceState.RUNNING, SourceState.STALLED)
        return (self._frames.latest() or self._frozen) if is_there else None

    def health(self) -> Health:
        """How the session is doing right now."""
        now = self._clock.now()
        with self._lock:
            captures = dict(self._captures)
            engine = self._engine_name
        p50, p95 = self._latency.quantiles(now, 0.5, 0.95)
        (picture,) = self._delays[Track.PICTURES].quantiles(now, 0.5)
        (sound,) = self._delays[Track.SOUND].quantiles(now, 0.5)
        offset = None if picture is None or sound is None else sound - picture
        path = None if self._log is None else self._log.path

        def source(track: Track) -> SourceHealth:
            if (capture := captures.get(track)) is not None:
                return capture.health()
            selector = self._selectors[track]
            if selector is None or self._devices is None:
                return SourceHealth(name="none")
            # It waits for the one before to be let go of.
            return SourceHealth(name=public_name(selector), state=SourceState.OPENING)

        return Health(
            camera=source(Track.PICTURES),
            microphone=source(Track.SOUND),
            answer_rate=self._answers.rate(now),
            latency_p50=p50,
            latency_p95=p95,
            windows_skipped=self._windows_skipped,
            frames_skipped=self._search.skipped + self._inbox.pictures_missed,
            sound_offset=offset,
            engine=engine,
            written_to="" if path is None else str(path),
        )

    def history(self, after_index: int = -1) -> Sequence[Prediction]:
        """See Session.history."""
        with self._lock:
            return [each for each in self._history if each.window_index > after_index]

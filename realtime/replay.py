"""A recording through the very same worker as live input.

`analyse` is the deterministic driver: it pushes the recording's packets in time order into the
rings and takes the worker's steps until nothing is due, with no clock, so that the same file and
weights give the same predictions every time. `ReplaySession` runs it on a thread of its
own as fast as it goes and lets others play picture and sound (docs/adr/0004).
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from realtime.archive import Archive
from realtime.config import SessionConfig
from realtime.export import PredictionWriter, Written, write_predictions
from realtime.messages import (
    AudioPacket,
    Health,
    Playback,
    Prediction,
    SessionState,
    Sighting,
    Snapshot,
    SourceHealth,
    SourceState,
    Track,
    VideoPacket,
)
from realtime.playback import SoundPlayback
from realtime.resampling import SpeechResampler
from realtime.rings import SampleRing, SightingRing
from realtime.session import Deadline, StoppedError, face_at, told
from realtime.sources.base import SourceError
from realtime.sources.file import FramePlayer, Recording
from realtime.task import Network, Task, Watcher
from realtime.windowing import WindowGrid
from realtime.worker import DueWindow, Excerpts, InferenceWorker

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

SLOWEST, FASTEST = 0.25, 4.0
# Playback that waits for the analysis again and again would be heard in shreds: nearer to it than
# the one there is silence, until the other is between them.
LEAST_LEAD_SECONDS, ENOUGH_LEAD_SECONDS = 0.3, 1.0
END_SECONDS = 0.05  # what is left of a recording that has as good as come to its end


ENCODERS = min(4, os.cpu_count() or 1)  # windows that are encoded at the same time …
MOST_PENDING = ENCODERS + 4  # … and windows under way in all, so that no encoder has to wait
READ_AHEAD = 32  # packets; some pictures of a large recording are all that should wait in memory


def analyse(
    recording: Recording,
    network: Network,
    watch: Callable[[], Watcher],
    *,
    config: SessionConfig | None = None,
    on_sighting: Callable[[Sighting], None] | None = None,
    on_sound: Callable[[AudioPacket], None] | None = None,
) -> Generator[Prediction, None, None]:
    """Predictions for every window of `recording`, in order.

    The recording is read to its end; what is wrong with it is in `recording.notes` afterwards.
    `on_sighting` is told of every picture, `on_sound` of all sound, mono at the windows' rate.
    Decoding and `watch`'s search run ahead on a thread of their own, and a few windows are encoded
    at a time, which changes when things happen but neither their order nor what comes of them.
    """
    config = config or SessionConfig()
    windows = config.windows
    sightings: SightingRing = SightingRing(READ_AHEAD)
    samples = SampleRing(windows.sample_rate, windows.kept_seconds)
    resampler = SpeechResampler(windows.sample_rate)
    worker = InferenceWorker(
        config=config,
        sightings=sightings,
        samples=samples,
        network=network,
    )
    worker.connect(Track.PICTURES, recording.has_video)
    worker.connect(Track.SOUND, recording.has_audio)
    frame_seconds = 1.0 / (recording.frame_rate or 30.0)
    end = 0.0

    def hear(packet: AudioPacket | None) -> None:
        if packet is not None and len(packet.samples):
            samples.push(packet.timestamp, packet.samples[:, 0])
            if on_sound is not None:
                on_sound(packet)

    def looked_at() -> Iterator[Sighting | AudioPacket]:
        for packet in recording:
            yield watcher.look(packet) if isinstance(packet, VideoPacket) else packet

    pending: deque[tuple[DueWindow, Future[Excerpts]]] = deque()

    def answers(most_pending: int) -> Iterator[Prediction]:
        while len(pending) > most_pending:
            due, excerpts = pending.popleft()
            yield worker.answer(due, excerpts.result())

    with (
        ThreadPoolExecutor(ENCODERS, thread_name_prefix="encoder") as encoders,
        closing(watch()) as watcher,
        closing(ahead(looked_at(), READ_AHEAD)) as packets,
    ):
        for packet in packets:
            if isinstance(packet, Sighting):
                sightings.push(packet)
                end = max(end, packet.timestamp + frame_seconds)
                if on_sighting is not None:
                    on_sighting(packet)
            else:
                hear(resampler.push(packet))
                end = max(end, packet.end)
            while (due := worker.gather()) is not None:
                pending.append((due, encoders.submit(worker.encode, due)))
                yield from answers(most_pending=MOST_PENDING)
        hear(resampler.flush())
        for due in worker.finish(end):
            pending.append((due, encoders.submit(worker.encode, due)))
            yield from answers(most_pending=MOST_PENDING)
        yield from answers(most_pending=0)


def ahead(items: Iterable[Item], count: int) -> Generator[Item, None, None]:
    """Yield `items`, made on another thread up to `count` ahead; their failure is raised here."""
    waiting: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(count)
    stopping = threading.Event()

    def put(entry: tuple[Item] | BaseException | None) -> bool:
        while not stopping.is_set():
            try:
                waiting.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for item in items:
                if not put((item,)):
                    return
            put(None)
        except BaseException as error:  # handed over whatever it is
            put(error)

    thread = threading.Thread(target=make, name="reader", daemon=True)
    thread.start()
    try:
        while (entry := waiting.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        stopping.set()
        thread.join()


class ReplaySession:
    """A recording being analysed, and played back beside that.

    Threads: `analysis` owns the worker and the recording; `player` owns the frame player. Both
    write what they found under the session's one lock; the GUI reads it. `sound` (if wanted) asks
    under the same lock where playback stands; see realtime/playback.py.
    """

    def __init__(
        self,
        path: Path,
        task: Task,
        *,
        config: SessionConfig | None = None,
        writer: PredictionWriter | None = None,
        play: bool = True,
        sound: bool = False,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`writer`: takes every prediction as it is made; whoever made it closes it."""
        self._path = path
        self._task = task
        self._config = config or SessionConfig()
        self._writer = writer
        self._grid = WindowGrid(self._config.windows)
        self._now = now
        self._lock = threading.Lock()
        self._wake = threading.Event()  # the player has something to do
        self._stopping = threading.Event()
        self._anew = threading.Event()  # the analysis has seen the recording's times begin anew
        self._threads: list[threading.Thread] = []
        self._state = SessionState.LOADING
        self._message = "Opening the recording"
        self._progress: float | None = 0.0
        self._notes: tuple[str, ...] = ()
        windows = self._config.windows
        self._archive = Archive(windows.sample_rate, windows.window_seconds)
        self._duration = 0.0
        self._analysed = 0.0
        self._analysis_started = 0.0
        self._engine_name = ""
        self._playing = play
        self._speed = 1.0
        self._anchor_position = 0.0  # playback position …
        self._anchor_time = self._now()  # … at this instant
        self._preview: VideoPacket | None = None
        self._has_video = self._has_audio = False
        self._audible = False  # as far as the analysis lets it
        self._sound: SoundPlayback | None = None
        if sound:
            self._sound = SoundPlayback(path, self._began, now, self._stopping, self._anew)
        self.failure: Exception | None = None  # why the state is FAILED

    # -- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """See Session.start."""
        bodies = {"analysis": self._analyse, "player": self._play}
        if self._sound is not None:
            bodies["sound"] = self._sound.run
        for name, target in bodies.items():
            thread = threading.Thread(target=target, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """See Session.stop."""
        self._stopping.set()
        self._wake.set()
        Deadline().join(self._threads)
        self._threads.clear()

    def _analyse(self) -> None:
        try:
            with Recording(self._path, anew=self._anew) as recording:
                duration = recording.duration_seconds  # for which it may have to be read through
                with self._lock:
                    self._duration = duration
                    self._has_video = recording.has_video
                    self._has_audio = recording.has_audio
                self._wake.set()
                network = self._task.load(self._loading)
                with self._lock:
                    self._state, self._message, self._progress = SessionState.RUNNING, "", None
                    self._anchor_time = self._now()
                    self._analysis_started = self._now()
                    self._engine_name = network.engine_name
                self._wake.set()
                predictions = analyse(
                    recording,
                    network,
                    self._task.watch,
                    config=self._config,
                    on_sighting=self._remember,
                    on_sound=self._remember_sound,
                )
                with closing(predictions):
                    for prediction in predictions:
                        if self._stopping.is_set():
                            return
                        if self._writer is not None:
                            self._writer.write(prediction)
                        with self._lock:
                            self._archive.add(prediction)
                            self._analysed = prediction.window_end
                            self._duration = max(self._duration, prediction.window_end)
                            self._notes = tuple(recording.notes)
            with self._lock:
                self._notes = tuple(recording.notes)
                self._duration = max(self._analysed, self._archive.last_picture_seconds)
                self._state = SessionState.ENDED
            if (written := self.written) is not None:
                with self._lock:
                    self._notes += (str(written),)
        except StoppedError:
            logger.info("stopped while loading")
        except Exception as error:
            self._fail(error, told(error))

    def _fail(self, error: Exception, message: str) -> None:
        with self._lock:
            self._anchor_position = self._position()
            self.failure = error
            self._state, self._message, self._progress = SessionState.FAILED, message, None
            self._playing = False

    def _loading(self, fraction: float, text: str) -> None:
        if self._stopping.is_set():
            raise StoppedError
        with self._lock:
            self._progress, self._message = fraction, text

    def _remember(self, sighting: Sighting) -> None:
        with self._lock:
            self._archive.see(sighting)

    def _remember_sound(self, packet: AudioPacket) -> None:
        with self._lock:
            self._archive.hear(packet)

    def _play(self) -> None:
        """Decode the picture of the playback position, whenever that moves."""
        player: FramePlayer | None = None
        shown = -1.0
        try:
            while not self._stopping.is_set():
                self._wake.wait(timeout=0.008 if self.playback.playing else 0.1)
                self._wake.clear()
                with self._lock:
                    ready = self._has_video
                if not ready:
                    continue
                if player is None:
                    player = FramePlayer(self._path, anew=self._anew)
                position = self.playback.position
                if position == shown:
                    continue
                frame = player.frame_at(position)
                shown = position
                with self._lock:
                    self._preview = frame
        except SourceError as error:
            logger.info("playback ended: %s", error)
        except Exception:
            logger.exception("playback failed")
        finally:
            if player is not None:
                player.close()

    # -- playback -------------------------------------------------------------------------------

    @property
    def path(self) -> Path:
        """See ReplayControls.path."""
        return self._path

    @property
    def playback(self) -> Playback:
        """How it is played back now, as in `snapshot`."""
        with self._lock:
            return self._playback()

    def _playback(self) -> Playback:
        position, state = self._position(), self._state
        ended = state is SessionState.ENDED and position >= self._duration
        silent = state is SessionState.RUNNING and not self._audible
        problem = "" if self._sound is None else self._sound.problem
        if self._has_video and not self._has_audio:
            problem = "the recording has none"
        return Playback(
            position=position,
            duration=self._duration,
            analysed=self._analysed,
            speed=self._speed,
            playing=self._playing and not ended,
            sound_problem=problem,
            sound_waits=silent and self._playing and self._has_audio,
        )

    def _position(self) -> float:
        position = self._anchor_position
        if self._playing and self._state in (SessionState.RUNNING, SessionState.ENDED):
            position += (self._now() - self._anchor_time) * self._speed
        reached = max(self._analysed, self._anchor_position)
        if self._state is SessionState.RUNNING and position > reached:
            # Playback waits for the answers, and does not make up for it afterwards.
            position = self._anchor_position = reached
            self._anchor_time = self._now()
        return min(max(position, 0.0), self._duration)

    def pause(self) -> None:
        """See Session.pause."""
        self._reanchor(playing=False)

    def resume(self) -> None:
        """See Session.resume."""
        with self._lock:
            is_whole = self._state is SessionState.ENDED  # else the end is waited for
            at_end = is_whole and self._position() > self._duration - END_SECONDS
        self._reanchor(playing=True, position=0.0 if at_end else None)

    def seek(self, seconds: float) -> None:
        """See ReplayControls.seek."""
        self._reanchor(position=seconds)

    def set_speed(self, speed: float) -> None:
        """See ReplayControls.set_speed."""
        self._reanchor(speed=min(max(speed, SLOWEST), FASTEST))

    def _reanchor(
        self,
        *,
        playing: bool | None = None,
        position: float | None = None,
        speed: float | None = None,
    ) -> None:
        with self._lock:
            now = self._position() if position is None else position
            self._anchor_position = min(max(now, 0.0), self._duration)
            self._anchor_time = self._now()
            if playing is not None:
                self._playing = playing
            if speed is not None:
                self._speed = speed
        self._wake.set()

    # -- what there is to show ------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """See Session.snapshot."""
        with self._lock:
            playback = self._playback()
            window = self._grid.newest_ended(playback.position)
            answered = 1 <= window <= len(self._archive.answers)
            preview = self._preview
            face = None
            if preview is not None:
                face = face_at(preview.timestamp, self._archive.face(preview.timestamp))
            return Snapshot(
                state=self._state,
                message=self._message,
                progress=self._progress,
                preview=preview,
                face=face,
                prediction=self._archive.answer(window) if answered else None,
                health=self._health(),
                playback=playback,
                notes=self._notes,
            )

    def _health(self) -> Health:
        seconds = self._now() - self._analysis_started
        running = self._state is SessionState.RUNNING and seconds > 0.2
        state = {
            SessionState.LOADING: SourceState.OPENING,
            SessionState.FAILED: SourceState.FAILED,
            SessionState.ENDED: SourceState.ENDED,
        }.get(self._state, SourceState.RUNNING)

        opening = self._state is SessionState.LOADING and not (self._has_video or self._has_audio)

        def source(there: bool) -> SourceHealth:
            if there or opening:
                return SourceHealth(name=self._path.name, state=state)
            return SourceHealth(name="none")

        return Health(
            camera=source(self._has_video),
            microphone=source(self._has_audio),
            answer_rate=len(self._archive.answers) / seconds if running else 0.0,
            analysis_speed=self._analysed / seconds if running else 0.0,
            engine=self._engine_name,
        )

    # -- sound ----------------------------------------------------------------------------------

    def set_muted(self, muted: bool) -> None:
        """See ReplayControls.set_muted."""
        if self._sound is not None:
            self._sound.muted = muted

    def _began(self) -> float | None:
        """When the recording began that is heard now; None where nothing is to be heard."""
        with self._lock:
            position = self._position()
            if not (self._playing and self._speed == 1.0 and self._has_audio):
                return None
            if self._state is SessionState.RUNNING:
                least = LEAST_LEAD_SECONDS if self._audible else ENOUGH_LEAD_SECONDS
                self._audible = self._analysed - position >= least
            else:
                self._audible = self._state is SessionState.ENDED and position < self._duration
            return self._anchor_time - self._anchor_position if self._audible else None

    # -- answers --------------------------------------------------------------------------------

    def history(self, after_index: int = -1) -> Sequence[Prediction]:
        """See Session.history."""
        with self._lock:
            return self._archive.answers[max(after_index, 0) :]

    def export(self, path: Path) -> Written:
        """See ReplayControls.export."""
        with self._lock:
            predictions = self._archive.answers.copy()
            written = self._written(path, len(predictions))
        write_predictions(path, predictions)
        return written

    @property
    def written(self) -> Written | None:
        """See ReplayControls.written; the session's own writer has written it."""
        if (writer := self._writer) is None:
            return None
        with self._lock:
            return self._written(writer.path, writer.count)

    def _written(self, path: Path, count: int) -> Written:
        return Written(
            path=path,
            count=count,
            end=self._analysed,
            duration=self._duration,
            complete=self._state is SessionState.ENDED,
        )

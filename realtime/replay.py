"""A recording in a session: analysed on one thread as fast as that goes, played on others.

Why the one is kept apart from the other is in docs/adr/0004. Times are seconds in the recording,
but for those of the clock that plays it.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from models.arrays import FloatArray
from realtime.analysis import TOO_SHORT, analyse
from realtime.archive import Archive
from realtime.config import SessionConfig
from realtime.errors import explain
from realtime.export import (
    PredictionWriter,
    Written,
    given_up,
    spare_answers,
    spare_recording,
    write_predictions,
)
from realtime.messages import (
    Health,
    Playback,
    Prediction,
    SessionState,
    Sighting,
    Snapshot,
    SourceHealth,
    SourceState,
    VideoPacket,
)
from realtime.playback import SoundPlayback
from realtime.playhead import Playhead
from realtime.recording.players import FramePlayer
from realtime.recording.recording import Recording
from realtime.session import Deadline, StoppedError, face_at, told
from realtime.sources.base import SourceError
from realtime.task import Task
from realtime.windowing import WindowGrid

logger = logging.getLogger(__name__)

SLOWEST, FASTEST = 0.25, 4.0
# Sound stops when the analysis is less than LEAST_LEAD ahead and resumes at ENOUGH_LEAD, so that it
# does not stutter.
LEAST_LEAD_SECONDS, ENOUGH_LEAD_SECONDS = 0.3, 1.0
# A picture further than this from where playback stands is of another moment; one that is not there
# after as long is told of.
PICTURE_SECONDS = 0.3
END_SECONDS = 0.05  # what is left of a recording that has as good as come to its end


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
        self._unplayed = ""  # why no further picture is shown
        self._outcome: Written | None = None  # by the writer, once the analysis is at its end
        windows = self._config.windows
        self._archive = Archive(windows.sample_rate)
        # The answer last shown as it is kept, and with its spectrogram.
        self._shown: tuple[Prediction | None, Prediction | None] = None, None
        self._duration = 0.0
        self._analysed = 0.0
        self._analysis_started = 0.0
        self._engine_name = ""
        self._playhead = Playhead(self._now(), playing=play)
        self._preview: VideoPacket | None = None
        self._preview_position = 0.0  # that it was looked for
        self._moved_at = -math.inf  # when playback was last led elsewhere
        self._has_video = self._has_audio = False
        self._audible = False  # as far as the analysis lets it
        self._sound: SoundPlayback | None = None
        if sound:
            self._sound = SoundPlayback(path, self._began, now, self._stopping, self._anew)
        self.failure: Exception | None = None  # why the state is FAILED
        self.unwritten: OSError | None = None  # why `writer` was given up

    # -- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """See Session.start."""
        if self._threads or self._stopping.is_set():
            raise RuntimeError("a session runs once: make another one")
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
                    self._wait()
                    self._state, self._message, self._progress = SessionState.RUNNING, "", None
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
                        self._write(prediction)
                        with self._lock:
                            self._wait()
                            self._archive.add(prediction)
                            self._analysed = prediction.window_end
                            self._duration = max(self._duration, prediction.window_end)
                            self._notes = tuple(recording.notes)
            with self._lock:
                self._wait()
                self._notes = tuple(recording.notes)
                if not self._archive.answers and duration < self._config.windows.hop_seconds:
                    self._notes += (TOO_SHORT,)
                self._duration = max(self._analysed, self._archive.last_picture_seconds)
                self._state = SessionState.ENDED
            written = self.written
            with self._lock:
                self._outcome = written
        except StoppedError:
            logger.info("stopped while loading")
        except Exception as error:
            self._fail(error, told(error))

    def _write(self, prediction: Prediction) -> None:
        """Hand on an answer to the writer; where that fails, go on without."""
        if self._writer is None or self.unwritten is not None:
            return
        try:
            self._writer.write(prediction)
        except OSError as error:
            logger.info("answers are no longer written", exc_info=True)
            self.unwritten = error

    def _fail(self, error: Exception, message: str) -> None:
        with self._lock:
            self._playhead.place(self._position(), self._now(), duration=self._duration)
            self._playhead.playing = False
            self.failure = error
            self._state, self._message, self._progress = SessionState.FAILED, message, None

    def _loading(self, fraction: float, text: str) -> None:
        if self._stopping.is_set():
            raise StoppedError
        with self._lock:
            self._progress, self._message = fraction, text

    def _remember(self, sighting: Sighting) -> None:
        with self._lock:
            self._archive.see(sighting)

    def _remember_sound(self, start: float, samples: FloatArray) -> None:
        with self._lock:
            self._archive.hear(start, samples)

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
                    self._preview, self._preview_position = frame, position
        except Exception as error:
            with self._lock:
                self._unplayed = f"its picture stands still: {explain(error)[1]}"
            if not isinstance(error, SourceError):
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
            speed=self._playhead.speed,
            playing=self._playhead.playing and not ended,
            sound_problem=problem,
            sound_waits=silent and self._playhead.playing and self._has_audio,
            picture_late=self._is_picture_late(position)
            and self._now() - self._moved_at > PICTURE_SECONDS
            and not self._unplayed,
        )

    def _is_picture_late(self, position: float) -> bool:
        """Whether the picture is of another moment: after a leap it may take long to decode."""
        apart = abs(position - self._preview_position)
        return self._preview is not None and apart > PICTURE_SECONDS

    def _position(self) -> float:
        return self._playhead.position(
            self._now(), reached=self._reached(), duration=self._duration
        )

    def _wait(self) -> None:
        """To be called before `_reached` changes."""
        self._playhead.wait(self._now(), reached=self._reached())

    def _reached(self) -> float:
        """How far playback may go by itself: up to the newest answer."""
        if self._state is SessionState.ENDED:
            return math.inf
        return 0.0 if self._state is SessionState.LOADING else self._analysed

    def pause(self) -> None:
        """See Session.pause."""
        self._change(playing=False)

    def resume(self) -> None:
        """See Session.resume."""
        with self._lock:
            is_whole = self._state is SessionState.ENDED  # else the end is waited for
            at_end = is_whole and self._position() > self._duration - END_SECONDS
        self._change(playing=True, position=0.0 if at_end else None)

    def seek(self, seconds: float) -> None:
        """See ReplayControls.seek."""
        self._change(position=seconds)

    def set_speed(self, speed: float) -> None:
        """See ReplayControls.set_speed."""
        self._change(speed=min(max(speed, SLOWEST), FASTEST))

    def _change(
        self,
        *,
        playing: bool | None = None,
        position: float | None = None,
        speed: float | None = None,
    ) -> None:
        with self._lock:
            if position is None:
                position = self._position()
            else:
                self._moved_at = self._now()
            self._playhead.place(position, self._now(), duration=self._duration)
            if playing is not None:
                self._playhead.playing = playing
            if speed is not None:
                self._playhead.speed = speed
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
            if preview is not None and not self._is_picture_late(playback.position):
                face = face_at(preview.timestamp, self._archive.face(preview.timestamp))
            snapshot = Snapshot(
                state=self._state,
                message=self._message,
                progress=self._progress,
                preview=preview,
                face=face,
                prediction=self._archive.answer(window) if answered else None,
                health=self._health(),
                playback=playback,
                flaws=self._flaws(),
                notes=() if self._outcome is None else (str(self._outcome),),
            )
        return replace(snapshot, prediction=self._with_spectrogram(snapshot.prediction))

    def _flaws(self) -> tuple[str, ...]:
        flaws = [*self._notes, self._unplayed]
        if self._writer is not None and self.unwritten is not None:
            flaws.append(given_up(self.unwritten, self._writer.count))
        return tuple(filter(None, flaws))

    def _with_spectrogram(self, answer: Prediction | None) -> Prediction | None:
        """`answer` with its spectrogram, the same object as long as `answer` is.

        Making one takes milliseconds, for which the other threads must not wait: without the lock.
        """
        kept, shown = self._shown
        if answer is kept:
            return shown
        shown = answer
        if answer is not None and answer.spectrogram_end is not None and self._task.spectrogram:
            start = answer.window_end - self._config.windows.window_seconds
            with self._lock:
                sound = self._archive.sound(start, answer.spectrogram_end)
            shown = replace(answer, spectrogram=self._task.spectrogram(sound))
        self._shown = answer, shown
        return shown

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
            playhead, position = self._playhead, self._position()
            if not (playhead.playing and playhead.speed == 1.0 and self._has_audio):
                return None
            if self._state is SessionState.RUNNING:
                least = LEAST_LEAD_SECONDS if self._audible else ENOUGH_LEAD_SECONDS
                self._audible = self._analysed - position >= least
            else:
                self._audible = self._state is SessionState.ENDED and position < self._duration
            return playhead.began if self._audible else None

    # -- answers --------------------------------------------------------------------------------

    def history(self, after_index: int = -1) -> Sequence[Prediction]:
        """See Session.history."""
        with self._lock:
            return self._archive.answers[max(after_index, 0) :]

    def export(self, path: Path) -> Written:
        """See ReplayControls.export."""
        spare_recording(path, self._path)
        going_on = self._state in (SessionState.LOADING, SessionState.RUNNING)
        if self._writer is not None and self.unwritten is None and going_on:
            spare_answers(path, self._writer.path)
        with self._lock:
            predictions = self._archive.answers.copy()
            written = self._written(path, len(predictions))
        write_predictions(path, predictions)
        return written

    @property
    def written(self) -> Written | None:
        """See ReplayControls.written; the session's own writer has written it."""
        if (writer := self._writer) is None or self.unwritten is not None:
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
            notes=self._notes,
        )

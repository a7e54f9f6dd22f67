"""The program without a window: answers as lines, and a summary at the end.

Thread: main. Every way of running is an iterator of predictions, and what is done with them is
wrapped around it.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from realtime.closing import Closing
from realtime.config import WindowConfig
from realtime.errors import interrupted
from realtime.export import record_of
from realtime.messages import (
    STARTING,
    Health,
    Prediction,
    SessionState,
    SourceHealth,
    SourceState,
)
from realtime.session import LiveControls
from realtime.sources.base import NoDeviceError

logger = logging.getLogger(__name__)

Writer = Callable[[Prediction], None]

HOP_SECONDS = WindowConfig().hop_seconds  # what each answer adds
POLL_SECONDS = 0.03  # an answer comes every tenth of a second
# A network camera may take some seconds to send its first picture, a cable some to be put back in.
DEVICE_PATIENCE_SECONDS = 8.0

_DISPLAY_PATIENCE_SECONDS = 2.0  # that a display server may take to answer

_LISTED = " (`python main.py devices` lists what there is)"


class SessionFailedError(RuntimeError):
    """A running session failed; the message says why."""


def has_screen() -> bool:
    """Whether a window can be shown: on Linux, whether a display server answers and lets us in."""
    if sys.platform in ("darwin", "win32") or os.environ.get("QT_QPA_PLATFORM"):
        return True
    wayland = os.environ.get("WAYLAND_DISPLAY")
    if wayland and Path(os.environ.get("XDG_RUNTIME_DIR", "/"), wayland).exists():
        return True
    host, _, number = os.environ.get("DISPLAY", "").rpartition(":")
    number = number.partition(".")[0]
    if not number.isdigit():
        return False
    try:
        if host in ("", "unix"):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(f"/tmp/.X11-unix/X{number}")
        else:
            address = (host, 6000 + int(number))
            socket.create_connection(address, timeout=_DISPLAY_PATIENCE_SECONDS).close()
    except OSError:
        return False
    if _lets_us_in():
        return True
    logger.warning(
        "the display %s does not let this program in (see `xhost` and `xauth`): it goes on without "
        "a window",
        os.environ["DISPLAY"],
    )
    return False


def _lets_us_in() -> bool:
    """Whether the X server takes a client of this person; where it does not, Qt would abort."""
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:  # which Qt needs too
        return False
    xcb.xcb_connect.restype = ctypes.c_void_p
    accepted: list[bool] = []

    def connect() -> None:
        connection = ctypes.c_void_p(xcb.xcb_connect(None, None))
        accepted.append(not xcb.xcb_connection_has_error(connection))
        xcb.xcb_disconnect(connection)

    asking = threading.Thread(target=connect, name="display", daemon=True)
    asking.start()
    asking.join(_DISPLAY_PATIENCE_SECONDS)
    return accepted == [True]


def live_predictions(
    session: LiveControls,
    seconds: float | None = None,
    *,
    required: Collection[str] = (),
    watch: Callable[[Health], None] = lambda _health: None,
    loading: Callable[[float, str], None] = lambda _fraction, _text: None,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[Prediction, None, None]:
    """Run `session` for so many seconds of answers (None: until closed), then stop it.

    `required` names what has to deliver: "camera", "microphone" or both; when empty, either will
    do. Answers begin when it does, and the seconds with the first of them. What is wrong with a
    device is logged; `watch` is told again and again how the session is doing, `loading` how far
    the network is loaded.

    Raises NoDeviceError when what has to deliver has failed, or is silent for
    DEVICE_PATIENCE_SECONDS; what a failed session failed of, or SessionFailedError when it does not
    say.
    """
    session.start()
    try:
        groups: list[tuple[str, ...]] = [(kind,) for kind in required] or [("camera", "microphone")]
        unlisted = ("camera",) if "://" in (session.camera or "") else ()
        awaited = [_Awaited(kinds, hint="" if kinds == unlisted else _LISTED) for kinds in groups]
        messages: dict[str, str] = {}
        seen = -1
        answering = False
        answering_since: float | None = None
        while True:
            snapshot, time_now = session.snapshot(), now()
            if snapshot.state is SessionState.FAILED:
                raise session.failure or SessionFailedError(snapshot.message)
            is_loading = snapshot.state is SessionState.LOADING
            if is_loading and snapshot.progress:
                loading(snapshot.progress, snapshot.message)
            sources = {"camera": snapshot.health.camera, "microphone": snapshot.health.microphone}
            for each in awaited:
                each.look(sources, time_now, loading=is_loading)
            _log_new_messages(sources, messages)
            watch(snapshot.health)
            answering = answering or (not is_loading and all(each.delivered for each in awaited))
            for prediction in session.history(seen):
                seen = prediction.window_index
                if answering:
                    answering_since = time_now if answering_since is None else answering_since
                    yield prediction
            over = (
                seconds is not None
                and answering_since is not None
                and time_now - answering_since >= seconds
            )
            if snapshot.state is SessionState.ENDED or over:
                return
            sleep(POLL_SECONDS)
    finally:
        session.stop()


@dataclass(slots=True)
class _Awaited:
    """Devices of which one at least has to deliver."""

    kinds: tuple[str, ...]
    hint: str  # what to do when they do not
    delivered: bool = False
    silent_since: float | None = None  # s, when they were first found silent

    def look(self, sources: Mapping[str, SourceHealth], now: float, *, loading: bool) -> None:
        """Raise NoDeviceError when there is nothing to wait for, or patience is over."""
        mine = [sources[kind] for kind in self.kinds]
        states = {each.state for each in mine}
        if SourceState.RUNNING in states:
            self.delivered, self.silent_since = True, None
            return
        if self.silent_since is None or loading:
            self.silent_since = now  # loading may keep the machine too busy for its devices
        if states == {SourceState.FAILED} or now - self.silent_since > DEVICE_PATIENCE_SECONDS:
            told = [_wrong_with(each) for each in mine if each.message]
            what = "; ".join(told) or f"nothing comes from the {' or the '.join(self.kinds)}"
            raise NoDeviceError(what + self.hint)


def _wrong_with(source: SourceHealth) -> str:
    """What is wrong with a device, which is named once."""
    named = source.name.casefold() in source.message.casefold()
    return source.message if named else f"{source.name}: {source.message}"


def _log_new_messages(sources: Mapping[str, SourceHealth], messages: dict[str, str]) -> None:
    """Log what is wrong with each device once, and its end; `messages` holds what was before."""
    for kind, source in sources.items():
        before = messages.get(kind)
        if source.message and source.message != before:
            again = source.state in (SourceState.FAILED, SourceState.RETRYING)
            logger.warning("%s%s", _wrong_with(source), " (it is tried again)" if again else "")
        elif before and source.state is SourceState.RUNNING:
            logger.warning("%s delivers now", source.name)
        messages[kind] = source.message


class Steps(Closing):
    """What the program is at while no answer comes: a bar on a terminal, else a line per step.

    Thread: any.
    """

    def __init__(self, console: Console) -> None:
        self._lock = threading.Lock()
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,  # that belongs to the answers
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("", total=1.0)
        self._told = ""
        self._closed = False

    def loading(self, fraction: float, text: str) -> None:
        """Tell what is being loaded; see task.Progress."""
        self.tell(fraction, text)
        if fraction >= 1.0:
            with self._lock:
                self._rest()

    def tell(self, fraction: float, text: str) -> None:
        """Tell what is being done, and how much of it is."""
        with self._lock:
            if self._closed:
                return
            if self._console.is_terminal:
                self._bar.update(self._task, completed=fraction, description=text)
                self._bar.start()
            elif text != self._told:
                self._console.out(text, highlight=False)
            self._told = text

    def close(self) -> None:
        """Leave the terminal as it was; what is told later is not shown."""
        with self._lock:
            self._closed = True
            self._rest()

    def _rest(self) -> None:
        if self._bar.live.is_started:  # else a line would be left behind
            self._bar.stop()


def paced(
    predictions: Iterable[Prediction],
    speed: float,
    seconds: float | None = None,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Prediction]:
    """Hold each prediction back until its place in the recording, played at `speed`, is reached.

    `seconds` of playing are enough (None: all of it).
    """
    started = now()
    for prediction in predictions:
        if seconds is not None and prediction.window_end > seconds * speed:
            return
        sleep(max(0.0, started + prediction.window_end / speed - now()))
        yield prediction


@dataclass(slots=True)
class Summary:
    """What a run came to."""

    answers: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)  # labels, and "not sure (reason)"
    modalities: Counter[str] = field(default_factory=Counter)
    first_end: float = 0.0  # s, window_end of the first answer
    last_end: float = 0.0
    seconds: float = 0.0  # wall time
    delays: Counter[int] = field(default_factory=Counter)  # ms, live; counts, as days add up
    health: Health | None = None  # of a live session, when it was asked last

    def watch(self, health: Health) -> None:
        """Remember how the session is doing."""
        self.health = health

    def add(self, prediction: Prediction) -> None:
        """Count one answer."""
        if self.answers == 0:
            self.first_end = prediction.window_end
        self.answers += 1
        self.last_end = prediction.window_end
        self.outcomes[_outcome(prediction)] += 1
        self.modalities.update(each.name for each in prediction.modalities if each.present)
        if prediction.latency_seconds is not None:
            self.delays[round(1e3 * prediction.latency_seconds)] += 1

    def table(self, notes: Iterable[str] = ()) -> Table:
        """For people."""
        table = Table(title="Summary", title_justify="left", show_header=False, box=None)
        table.add_row("answers", str(self.answers))
        if self.answers:
            span = self.last_end - self.first_end + HOP_SECONDS
            table.add_row("covering", f"{span:.1f} s in {self.seconds:.1f} s")
            if self.delays:
                delays = np.repeat(list(self.delays), list(self.delays.values()))
                p50, p95 = np.percentile(delays, (50, 95))
                table.add_row("delay", f"p50 {p50:.0f} ms, p95 {p95:.0f} ms")
            if self.health is not None:
                table.add_row("lost", _lost(self.health))
                if (offset := self.health.sound_offset) is not None:
                    table.add_row("sound after picture", f"{1e3 * offset:+.0f} ms")
            for name, count in self.modalities.most_common():
                table.add_row(f"with {name}", f"{100 * count / self.answers:.0f} %")
            for name, count in self.outcomes.most_common():
                table.add_row(name, f"{100 * count / self.answers:.0f} %")
        for note in notes:
            table.add_row("note", Text(note, overflow="fold"))
        return table


def _lost(health: Health) -> str:
    """Windows, pictures and sound that were given up."""
    return (
        f"{health.windows_skipped} windows skipped, {health.frames_skipped} pictures passed over, "
        f"{health.camera.dropped} pictures and {health.microphone.dropped} blocks of sound dropped"
    )


def report(predictions: Iterable[Prediction], writers: Iterable[Writer], summary: Summary) -> None:
    """Count each prediction in `summary`, and hand it to every writer.

    It is counted first: what an interruption let out must not be taken for nothing. Time counts
    from the beginning, live from the first answer: devices and network come first.
    """
    writers, started = tuple(writers), time.monotonic()
    for prediction in predictions:
        if interrupted.is_set():
            raise KeyboardInterrupt
        if summary.answers == 0 and prediction.live:
            started = time.monotonic() - HOP_SECONDS
        summary.add(prediction)
        summary.seconds = time.monotonic() - started
        for write in writers:
            write(prediction)


def json_writer(stream: TextIO) -> Writer:
    """One JSON object per line, flushed, for other programs."""

    def write(prediction: Prediction) -> None:
        stream.write(json.dumps(record_of(prediction), allow_nan=False) + "\n")
        stream.flush()

    return write


def text_writer(console: Console) -> Writer:
    """One line per answer, for people."""

    def write(prediction: Prediction) -> None:
        console.print(line(prediction), soft_wrap=True, highlight=False)

    return write


def line(prediction: Prediction) -> Text:
    """`12.3 s  happy  ━━━━━━━━━━━━━━━━····  78 %  face 62 %  voice 38 %`."""
    sure = prediction.label is not None
    text = Text(f"{prediction.window_end:7.1f} s  ")
    text.append(f"{_outcome(prediction):<26}", style="bold" if sure else "dim")
    confidence = prediction.confidence
    full = round(20 * (confidence or 0.0))
    text.append("━" * full, style="cyan" if sure else "dim")
    text.append("·" * (20 - full), style="bright_black")
    text.append("   – %" if confidence is None else f" {100 * confidence:3.0f} %")
    for each in prediction.modalities:
        what = (
            f"{100 * each.share:3.0f} %"
            if each.share is not None
            else each.absence(live=prediction.live, starting=prediction.reason is STARTING)
        )
        text.append(f"  {each.name} {what:<9}", style="" if each.present else "dim")
    if prediction.latency_seconds is not None:
        text.append(f" {1e3 * prediction.latency_seconds:4.0f} ms", style="dim")
    return text


def _outcome(prediction: Prediction) -> str:
    return prediction.label or f"not sure ({prediction.reason})"

"""The analysis of a recording, by the very same worker as live input.

The worker is given what the recording's packets hold, in time order, and every window as soon as it
is due in packet time, so that the same file and weights give the same predictions every time.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

from models.arrays import FloatArray
from models.cores import usable_cores
from realtime.config import SessionConfig
from realtime.messages import (
    AudioPacket,
    Prediction,
    Sighting,
    Sound,
    SourceChange,
    Track,
    VideoPacket,
    WindowChoice,
)
from realtime.recording.recording import Recording
from realtime.resampling import SpeechResampler
from realtime.scheduling import ReplayScheduler
from realtime.task import Network, Watcher
from realtime.worker import DueWindow, InferenceWorker

Item = TypeVar("Item")

TOO_SHORT = "too short: there is an answer for every tenth of a second"
"""Of a recording without any."""

ENCODERS = min(4, usable_cores())  # windows that are encoded at the same time …
MOST_PENDING = ENCODERS + 4  # … and windows under way in all, so that no encoder has to wait
READ_AHEAD = 32  # packets of sound, and of pictures what was seen in them …
DECODE_AHEAD = 4  # … and packets before that, pictures whole: of 4K 25 MB each


def analyse(
    recording: Recording,
    network: Network,
    watch: Callable[[], Watcher],
    *,
    config: SessionConfig | None = None,
    on_sighting: Callable[[Sighting], None] | None = None,
    on_sound: Callable[[float, FloatArray], None] | None = None,
) -> Generator[Prediction, None, None]:
    """Predictions for every window of `recording`, in order.

    The recording is read to its end; what is wrong with it is in `recording.notes` afterwards.
    `on_sighting` is told of every picture, `on_sound` of all sound: when it begins, and mono
    samples (n,) at the windows' rate. Decoding and `watch`'s search run ahead on threads of their
    own, and a few windows are encoded at a time, which changes when things happen but neither their
    order nor what comes of them.
    """
    config = config or SessionConfig()
    windows = config.windows
    resampler = SpeechResampler(windows.sample_rate)
    worker = InferenceWorker(config=config, network=network)
    scheduler = ReplayScheduler(windows, worker.tracks)
    worker.take(SourceChange(track=Track.PICTURES, connected=recording.has_video))
    worker.take(SourceChange(track=Track.SOUND, connected=recording.has_audio))
    frame_seconds = 1.0 / (recording.frame_rate or 30.0)
    end = 0.0

    def hear(speech: tuple[float, FloatArray] | None) -> None:
        if speech is not None:
            start, samples = speech
            worker.take(Sound(timestamp=start, samples=samples))
            if on_sound is not None:
                on_sound(start, samples)

    def looked_at() -> Generator[Sighting | AudioPacket, None, None]:
        with closing(ahead((each for each in recording), DECODE_AHEAD, "decoder")) as decoded:
            for packet in decoded:
                yield watcher.look(packet) if isinstance(packet, VideoPacket) else packet

    pending: deque[Future[DueWindow]] = deque()

    def begin(choice: WindowChoice) -> None:
        pending.append(encoders.submit(worker.encode, worker.gather(choice)))

    def answers(most_pending: int) -> Iterator[Prediction]:
        while len(pending) > most_pending:
            yield worker.answer(pending.popleft().result())

    with (
        ThreadPoolExecutor(ENCODERS, thread_name_prefix="encoder") as encoders,
        closing(watch()) as watcher,
        closing(ahead(looked_at(), READ_AHEAD, "faces")) as packets,
    ):
        for packet in packets:
            if isinstance(packet, Sighting):
                worker.take(packet)
                end = max(end, packet.timestamp + frame_seconds)
                if on_sighting is not None:
                    on_sighting(packet)
            else:
                hear(resampler.push(packet))
                end = max(end, packet.end)
            while (choice := scheduler.choose()) is not None:
                begin(choice)
                yield from answers(most_pending=MOST_PENDING)
            worker.prepare()
        hear(resampler.flush())
        for choice in scheduler.rest(end):
            begin(choice)
            yield from answers(most_pending=MOST_PENDING)
        yield from answers(most_pending=0)


def ahead(items: Generator[Item, None, None], count: int, name: str) -> Generator[Item, None, None]:
    """Yield `items`, made on a thread `name` up to `count` ahead; their failure is raised here.

    They are closed with this.
    """
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

    thread = threading.Thread(target=make, name=name, daemon=True)
    thread.start()
    try:
        while (entry := waiting.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        stopping.set()
        thread.join()
        items.close()

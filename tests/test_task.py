"""The core on quite another task: nothing in it knows of emotions, faces or voices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.arrays import FloatArray
from realtime import analysis
from realtime.analysis import analyse
from realtime.clock import Clock
from realtime.config import WindowConfig
from realtime.export import record_of
from realtime.live import LiveSession
from realtime.messages import (
    NO_SOURCE,
    Attention,
    AudioPacket,
    Prediction,
    Reason,
    SessionState,
    Sighting,
    Track,
    VideoPacket,
)
from realtime.recording.recording import Recording
from realtime.replay import ReplaySession
from realtime.rings import SampleRing
from realtime.sources.synthetic import SyntheticCamera, SyntheticMicrophone
from realtime.task import Contribution, Excerpt, Fusion, Modality, Network, Task
from realtime.windowing import WindowGrid
from tests.fakes.driver import SteppedDriver, bits
from tests.fakes.sources import ManualClock
from tests.fakes.waiting import wait_for
from tests.recordings import movie

DARK = 0.05
NIGHT = Reason(name="night", told="it is night", short="night", rank=1)
HUSH = Reason(name="hush", told="all is still", short="still", rank=-1)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Level(Excerpt):
    """How bright or loud it was."""

    values: FloatArray  # (n,)
    mean: float = 0.0  # once encoded


class LightMeter:
    """A watcher that searches for nothing at all."""

    def look(self, packet: VideoPacket) -> Sighting:
        return Sighting(
            timestamp=packet.timestamp,
            sequence=packet.sequence,
            face=None,
            brightness=float(packet.image.mean() / 255),
        )

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


class Light(Modality[Level, Fusion]):
    """The brightness of whole pictures; in the dark there is none to speak of."""

    name = "light"
    track = Track.PICTURES

    def __init__(self, windows: WindowConfig) -> None:
        self._grid = WindowGrid(windows)
        self._levels: dict[int, float] = {}

    def see(self, sighting: Sighting) -> None:
        self._levels[self._grid.slot_of(sighting.timestamp)] = sighting.brightness

    def forget_input(self) -> None:
        self._levels.clear()

    def excerpt(self, index: int, lost: Reason | None) -> Level:
        first = self._grid.first_slot(index)
        held = [level for slot, level in self._levels.items() if first <= slot <= index]
        there = lost is None and bool(held)
        return Level(absent=None if there else NO_SOURCE, values=np.array(held, np.float32))

    def encode(self, excerpt: Level) -> Level:
        if excerpt.absent is not None:
            return excerpt
        mean = float(excerpt.values.mean())
        return replace(excerpt, mean=mean, absent=None if mean > DARK else NIGHT)

    def inputs(self, excerpt: Level) -> Mapping[str, FloatArray]:
        return {"level": np.array([excerpt.mean], np.float32)}

    def show(
        self, prediction: Prediction, excerpt: Level, fusion: Fusion | None, shown: int | None
    ) -> Prediction:
        return prediction


class Noise(Modality[Level, Fusion]):
    """The loudness of the sound, less what is usual with this person."""

    name = "noise"
    track = Track.SOUND

    def __init__(self, windows: WindowConfig, samples: SampleRing) -> None:
        self._grid = WindowGrid(windows)
        self._samples = samples
        self._usual = 0.0

    def excerpt(self, index: int, lost: Reason | None) -> Level:
        span = self._grid.sound(index)
        _, samples = self._samples.read(span.start, span.end)
        missing = lost is None and not len(samples)
        return Level(absent=HUSH if missing else lost, values=np.abs(samples))

    def encode(self, excerpt: Level) -> Level:
        if excerpt.absent is not None:
            return excerpt
        return replace(excerpt, mean=float(excerpt.values.mean(dtype=np.float64)))

    def inputs(self, excerpt: Level) -> Mapping[str, FloatArray]:
        return {"level": np.array([excerpt.mean - self._usual], np.float32)}

    def learn(self, fusion: Fusion, windows: float) -> None:
        self._usual += 0.1 * windows

    def show(
        self, prediction: Prediction, excerpt: Level, fusion: Fusion | None, shown: int | None
    ) -> Prediction:
        return replace(prediction, sound_level=excerpt.mean)

    def forget_person(self) -> None:
        self._usual = 0.0


class DayOrNight:
    """Three classes, by arithmetic."""

    engine_name = "a lookup table"
    labels = ("day", "night", "party")
    window_seconds, hop_seconds, sample_rate = 3.0, 0.1, 16000

    def modalities(
        self, windows: WindowConfig, samples: SampleRing
    ) -> Sequence[Modality[Any, Fusion]]:
        return [Light(windows), Noise(windows, samples)]

    def fuse(self, inputs: Mapping[str, Mapping[str, FloatArray]]) -> Fusion:
        if not inputs:
            raise ValueError("nothing to fuse")
        logits = {name: np.zeros(3, np.float32) for name in inputs}
        for name, given in inputs.items():
            level = float(given["level"][0])
            logits[name][:] = (20 * level, 1, 0) if name == "light" else (0, 1, 20 * level)
        share = 1 / len(inputs)
        return Fusion(
            logits=np.sum(list(logits.values()), axis=0),
            contributions={
                name: Contribution(logits=own, share=share, chance_share=share)
                for name, own in logits.items()
            },
            attention=(
                Attention(
                    name="levels",
                    weights=np.full((len(inputs), 1), share, np.float32),
                    modalities=tuple(inputs),
                ),
            ),
        )


class LightAlone(DayOrNight):
    """The same without ears."""

    def modalities(
        self, windows: WindowConfig, samples: SampleRing
    ) -> Sequence[Modality[Any, Fusion]]:
        return [Light(windows)]


def load(_progress: Any) -> DayOrNight:
    return DayOrNight()


TASK = Task(
    labels=lambda: DayOrNight.labels,
    modalities=("light", "noise"),
    about=str,
    watch=LightMeter,
    load=load,
)


def answers(path: Path) -> list[Prediction]:
    with Recording(path) as recording:
        return list(analyse(recording, DayOrNight(), LightMeter))


def stepped(network: Network, clock: Clock | None = None) -> SteppedDriver:
    return SteppedDriver(network, LightMeter(), clock=clock)


def picture(time: float, brightness: float) -> VideoPacket:
    image = np.full((48, 64, 3), round(255 * brightness), np.uint8)
    return VideoPacket(timestamp=time, sequence=round(30 * time), image=image)


def sound(time: float, seconds: float) -> AudioPacket:
    samples = np.full((round(16000 * seconds), 1), 0.01, np.float32)
    return AudioPacket(timestamp=time, sequence=0, samples=samples, sample_rate=16000)


def test_a_recording_is_answered_by_another_task(opening: Path) -> None:
    found = answers(opening)
    assert len(found) > 50
    newest = found[-1]
    assert newest.label in DayOrNight.labels
    assert [report.name for report in newest.modalities] == ["light", "noise"]
    assert newest.modality("light").label == "day"
    assert newest.modality("noise").label == "night"  # it is not loud enough for a party
    assert newest.modality("noise").share == 0.5
    assert (newest.face, newest.spectrogram) == (None, None)
    assert newest.sound_level is not None
    assert record_of(newest)["probabilities"].keys() == {"day", "night", "party"}


@pytest.mark.parametrize("pending", [0, 3, 12])
def test_how_many_windows_are_under_way_changes_nothing(
    opening: Path, monkeypatch: pytest.MonkeyPatch, pending: int
) -> None:
    driver = stepped(DayOrNight())
    expected = []
    with Recording(opening) as recording:
        for packet in recording:
            driver.push(packet)
            expected += driver.answers()
    monkeypatch.setattr(analysis, "MOST_PENDING", pending)
    assert bits(answers(opening)[: len(expected)]) == bits(expected)


def test_sessions_run_another_task(opening: Path) -> None:
    live = LiveSession(
        TASK,
        camera_factory=lambda _selector, clock: SyntheticCamera(clock, size=(160, 120)),
        microphone_factory=lambda _selector, clock: SyntheticMicrophone(clock),
    )
    for session in (live, ReplaySession(opening, TASK, play=False)):
        session.start()
        try:
            wait_for(lambda: len(session.history()) > 5, "answers")  # noqa: B023
            snapshot = session.snapshot()
            assert snapshot.state is not SessionState.FAILED
            assert snapshot.health.engine == "a lookup table"
            assert session.history()[-1].labels == DayOrNight.labels
        finally:
            session.stop()


def test_a_track_that_is_not_there_does_not_count(tmp_path: Path) -> None:
    newest = answers(movie(tmp_path / "silent.mp4", seconds=2.0, sound=None))[-1]
    assert newest.modality("noise").absent is NO_SOURCE
    assert newest.modality("noise").share is None
    assert newest.modality("light").share == 1.0


def test_what_an_encoder_finds_to_be_nothing_does_not_count() -> None:
    driver = stepped(LightAlone())
    for number in range(60):
        driver.push(picture(number / 30, 0.0))
    newest = driver.answers()[-1]
    assert newest.modality("light").absent is NIGHT
    assert not newest.modality("light").present
    assert (newest.probabilities, newest.reason) == (None, NIGHT)


def test_a_track_that_nobody_needs_is_not_waited_for() -> None:
    clock = ManualClock()
    driver = stepped(LightAlone(), clock)
    ends = []
    for number in range(90):
        clock.time = number / 30 + 0.001
        driver.push(picture(number / 30, 0.8))
        if number < 30:  # the microphone goes away after a second
            driver.push(sound(number / 30, 1 / 30))
        ends += [each.window_end for each in driver.answers()]
    assert driver.windows_skipped == 0
    assert np.diff(ends).max() == pytest.approx(0.1)


def test_a_person_is_forgotten_with_the_source_of_the_modality() -> None:
    clock = ManualClock()
    driver = stepped(DayOrNight(), clock)

    def party(start: float, end: float) -> float:
        logits = None
        for number in range(round(30 * start), round(30 * end)):
            clock.time = number / 30 + 0.001
            driver.push(picture(number / 30, 0.8))
            driver.push(sound(number / 30, 1 / 30))
            for answer in driver.answers():
                logits = answer.logits
        assert logits is not None
        return float(logits[2])

    known = party(0, 3)
    driver.change_source(Track.PICTURES, True)
    better_known = party(3, 4)
    driver.change_source(Track.SOUND, True)
    assert better_known < known < party(4, 5)

"""The worker: what windows hold, what is missing and why, what load forces."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.arrays import FloatArray
from realtime.config import ConfigError, SessionConfig, WindowConfig
from realtime.emotion.config import EmotionConfig
from realtime.emotion.faces import FaceTracker, MediapipeDetector
from realtime.emotion.reasons import CLIPPED, FEW_PICTURES, NO_FACE, SILENCE, TOO_DARK
from realtime.emotion.speech import VoiceActivity
from realtime.engine import Arrays
from realtime.messages import (
    LOW_CONFIDENCE,
    NO_ANSWER,
    NO_INPUT,
    NO_SOURCE,
    STALLED,
    STARTING,
    Prediction,
    Sound,
    StartOver,
    Track,
    VideoPacket,
)
from realtime.recording.players import FramePlayer
from tests.fakes.driver import (
    AnyPacket,
    SteppedDriver,
    SteppedWorker,
    bits,
    in_time_order,
)
from tests.fakes.engine import ArithmeticEngine, arithmetic_network
from tests.fakes.faces import (
    TWO_PEOPLE,
    pictures_of_two_people,
    watch_brightness,
)
from tests.fakes.sources import ManualClock, jittered_speech

RATE = 16000
FPS = 30


class LoudIsSpeech(VoiceActivity):
    """Speech wherever the sound is louder than a threshold; all else as it is."""

    def _speaks(self, chunk: FloatArray) -> bool:
        return bool(np.abs(chunk).max() > 0.1)


class Bench(SteppedWorker):
    """A worker with everything around it, fed by hand in time order."""

    def __init__(
        self,
        *,
        live: bool = False,
        config: SessionConfig | None = None,
        settings: EmotionConfig | None = None,
        started: float = 0.0,
        **trained: float,
    ) -> None:
        self.engine = ArithmeticEngine()
        self.activity = LoudIsSpeech()
        self.clock = ManualClock()
        self.tracker = watch_brightness()
        network = arithmetic_network(
            self.engine, settings, make_activity=lambda _seconds: self.activity, **trained
        )
        super().__init__(
            network,
            config=config,
            clock=self.clock if live else None,
            started=started,
            most_sightings=8,
        )
        self.sequence = 0
        self.predictions: list[Prediction] = []

    def picture(self, time: float, brightness: int = 160) -> None:
        """Of a face; with `brightness` 0 of a bright wall, up to 2 of the dark."""
        image = np.full((90, 160, 3), brightness or 160, np.uint8)
        image[0, 0] = brightness
        packet = VideoPacket(timestamp=time, sequence=self.sequence, image=image)
        self.inbox.put(self.tracker.look(packet))
        self.sequence += 1

    def sound(self, time: float, seconds: float, loudness: float = 0.5) -> None:
        count = round((time + seconds) * RATE) - round(time * RATE)
        wave = np.sin(np.arange(count) * 0.2).astype(np.float32)
        samples = np.clip(wave * loudness, -1, 1)
        self.inbox.put(Sound(timestamp=time, samples=samples))

    def drain(self) -> None:
        self.predictions += self.answers()

    def run(
        self,
        start: float,
        end: float,
        *,
        brightness: int | None = 160,
        loudness: float | None = 0.5,
    ) -> list[Prediction]:
        """Feed pictures and sound of [start, end); None is no such packets at all."""
        before = len(self.predictions)
        for k in range(round(start * FPS), round(end * FPS)):
            time = k / FPS
            self.clock.time = time + 0.001
            if brightness is not None:
                self.picture(time, brightness)
            if loudness is not None:
                self.sound(time, 1 / FPS, loudness)
            self.drain()
        return self.predictions[before:]


def test_every_window_comes_once_and_in_order() -> None:
    bench = Bench()
    bench.run(0, 4)
    indices = [each.window_index for each in bench.predictions]
    assert indices == list(range(1, len(indices) + 1))
    assert indices[-1] in (38, 39, 40)
    assert all(
        each.window_end == pytest.approx(each.window_index / 10) for each in bench.predictions
    )


def test_both_modalities_count_once_they_are_there() -> None:
    bench = Bench()
    newest = bench.run(0, 4)[-1]
    assert [report.absent for report in newest.modalities] == [None] * 2
    assert sum(report.share or 0 for report in newest.modalities) == pytest.approx(1)
    assert newest.modality("face").chance_share == pytest.approx(0.5)
    assert newest.label is not None
    assert newest.reason is None
    assert newest.probabilities is not None
    assert newest.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert bench.engine.maps == 30
    assert newest.spectrogram is not None
    assert newest.spectrogram.shape == (80, 300)
    assert newest.voice_moments is not None
    assert len(newest.voice_moments) == 75


def test_each_slot_goes_through_the_trunk_once() -> None:
    bench = Bench()
    predictions = bench.run(0, 6)
    with_face = [each for each in predictions if each.modality("face").present]
    assert bench.engine.trunk_runs <= len(with_face) + EmotionConfig().face_frames


def test_the_face_does_not_wait_for_the_sound() -> None:
    bench = Bench()
    bench.run(0, 2)
    before, answered = bench.engine.trunk_runs, len(bench.predictions)
    bench.run(2, 2.3, loudness=None)
    assert len(bench.predictions) == answered
    ahead = bench.engine.trunk_runs
    assert ahead == before + 3, "each hop's face was put through the trunk, no sound being there"
    bench.run(2, 2.3, brightness=None)
    assert len(bench.predictions) == answered + 3
    assert bench.engine.trunk_runs == ahead


def test_the_first_second_is_starting_and_not_anybodys_fault() -> None:
    bench = Bench()
    first = bench.run(0, 0.5)[0]
    assert (first.label, first.reason) == (None, STARTING)
    assert first.logits is None


def test_silence_leaves_the_answer_to_the_face() -> None:
    newest = Bench().run(0, 4, loudness=0.01)[-1]
    assert newest.modality("voice").absent is SILENCE
    assert newest.modality("voice").share is None
    assert newest.modality("face").share == pytest.approx(1)
    assert newest.modality("face").chance_share == pytest.approx(1)
    assert newest.label == "happy"
    assert newest.voice_moments is None
    assert newest.spectrogram is not None


def test_nobody_and_silence_is_not_sure() -> None:
    newest = Bench().run(0, 4, brightness=0, loudness=0.01)[-1]
    assert (newest.label, newest.reason) == (None, NO_FACE)
    assert newest.attention == ()


def test_a_dark_face_does_not_count() -> None:
    newest = Bench().run(0, 4, brightness=10, loudness=0.01)[-1]
    assert newest.modality("face").absent is TOO_DARK
    assert newest.reason is TOO_DARK
    assert newest.face_activation is None


def test_where_the_dark_hides_the_face_it_is_the_dark_that_is_told() -> None:
    bench = Bench()
    newest = bench.run(0, 4, brightness=1, loudness=0.01)[-1]
    assert newest.modality("face").absent is TOO_DARK
    assert newest.reason is TOO_DARK
    assert bench.run(4, 5, brightness=0, loudness=0.01)[-1].reason is NO_FACE


def test_a_noisy_picture_of_a_dark_room_is_too_dark(demo: Path) -> None:
    chance = np.random.default_rng(0)
    reasons = {}
    for light in (1.0, 0.05):
        with MediapipeDetector() as detector, FramePlayer(demo) as player:
            driver = SteppedDriver(arithmetic_network(), FaceTracker(detector))
            driver.change_source(Track.SOUND, False)
            for number in range(20):
                image = player.frame_at(1.0 + number / 10).image
                image = light * image + chance.normal(0, 8, image.shape)
                dim = np.clip(image, 0, 255).astype(np.uint8)
                driver.push(VideoPacket(timestamp=number / 10, sequence=number, image=dim))
            reasons[light] = driver.answers()[-1].modality("face").absent
    assert reasons == {1.0: None, 0.05: TOO_DARK}


def test_pictures_newer_than_the_first_window_are_a_start() -> None:
    bench = Bench(live=True)
    bench.clock.time = 3.1
    bench.picture(3.05)  # what is due by now ended before the camera's first picture
    first = bench.step()
    assert first is not None
    assert first.window_end < 3.05
    assert first.reason is STARTING


@pytest.mark.parametrize("frame_rate", [1, 30])
def test_a_face_of_which_there_are_few_pictures_is_not_missing(frame_rate: int) -> None:
    bench = Bench()
    for k in range(6 * 30):
        if k % (30 // frame_rate) == 0:
            bench.picture(k / 30)
        bench.sound(k / 30, 1 / 30, loudness=0.0)
        bench.drain()
    later = [each for each in bench.predictions if each.window_end > 2.0]
    statuses = {each.modality("face").absent for each in later}
    assert statuses == {None if frame_rate == 30 else FEW_PICTURES}


def test_clipped_speech_does_not_count() -> None:
    newest = Bench().run(0, 4, brightness=0, loudness=30)[-1]
    assert newest.modality("voice").absent is CLIPPED
    assert newest.reason is CLIPPED


def test_low_confidence_is_said() -> None:
    quiet = EmotionConfig(dark=0.0)
    newest = Bench(settings=quiet).run(0, 4, brightness=3, loudness=0.01)[-1]
    assert (newest.label, newest.reason) == (None, LOW_CONFIDENCE)
    assert newest.smoothed is not None


def test_a_face_that_left_stops_counting_after_a_second() -> None:
    bench = Bench()
    bench.run(0, 4)
    gone = bench.run(4, 6, brightness=0)
    lasting = [each.window_end for each in gone if each.modality("face").present]
    assert max(lasting) == pytest.approx(5.0, abs=0.15)


def test_without_a_microphone_pictures_alone_make_windows() -> None:
    bench = Bench()
    bench.change_source(Track.SOUND, False)
    newest = bench.run(0, 4, loudness=None)[-1]
    assert newest.modality("voice").absent is NO_SOURCE
    assert newest.sound_level is None
    assert newest.spectrogram is None
    assert newest.label == "happy"


def test_sound_that_ends_before_the_picture_holds_nothing_up() -> None:
    bench = Bench()
    bench.run(0, 3)
    later = bench.run(3, 7, loudness=None)
    assert later[-1].window_end > 6.5
    assert later[-1].modality("voice").absent is NO_SOURCE
    at_four = next(each for each in later if each.window_index == 40)
    assert at_four.spectrogram is not None
    assert at_four.spectrogram.shape == (80, 200)
    assert at_four.spectrogram_end == pytest.approx(3.0, abs=0.01)
    rest = [choice.index for choice in bench.scheduler.rest(7.0)]
    assert [*(each.window_index for each in later), *rest][-1] == 70


def test_the_same_packets_give_the_same_answers() -> None:
    def lines() -> list[tuple[object, ...]]:
        bench = Bench()
        bench.run(0, 3)
        bench.run(3, 4, brightness=0)
        bench.run(4, 6, loudness=0.01)
        return [
            (p.window_index, p.label, p.reason, p.confidence, p.latency_seconds)
            for p in bench.predictions
        ]

    assert lines() == lines()


@pytest.mark.parametrize("seed", range(5))
def test_neither_the_order_between_sources_nor_late_reading_changes_an_answer(seed: int) -> None:
    chance = random.Random(seed)
    sound, pictures = jittered_speech(7.0), pictures_of_two_people(7.0)
    in_order, shuffled = (
        SteppedDriver(arithmetic_network(settings=TWO_PEOPLE, residual=0.5), watch_brightness())
        for _ in range(2)
    )
    expected = []
    for packet in in_time_order(sound, pictures):
        in_order.push(packet)
        expected += in_order.answers()
    assert {each.speaker_seconds < 0.5 for each in expected[35:]} == {True, False}

    answers = []
    ours, theirs = deque[AnyPacket](sound), deque[AnyPacket](pictures)
    for source in (ours, theirs):  # one that has not begun would not be waited for
        shuffled.push(source.popleft())
    while ours or theirs:
        behind, ahead = sorted((ours, theirs), key=lambda each: each[0].timestamp if each else 1e9)
        far = not ahead or ahead[0].timestamp - behind[0].timestamp > 0.3
        shuffled.push((behind if far or chance.random() < 0.3 else ahead).popleft())
        if chance.random() < 0.1:
            answers += shuffled.answers()
    answers += shuffled.answers()
    assert bits(answers) == bits(expected)


def test_a_stranger_is_charged_to_the_window_that_shows_him() -> None:
    settings = EmotionConfig(new_person_seconds=1.0)
    bench = Bench(settings=settings)
    bench.run(0, 3)
    bench.run(3, 4.5, brightness=0)
    for k in range(135, 165):  # a second comes at once, in the middle of which he comes back
        bench.picture(k / FPS, 0 if k < 150 else 160)
        bench.sound(k / FPS, 1 / FPS)
        bench.take_in()
    strangers = []
    while (choice := bench.scheduler.choose()) is not None:
        due = bench.worker.gather(choice)
        strangers += [due.index] if any(each.new_person for each in due.excerpts) else []
    assert strangers == [51]  # which ends at 5.1 s; he was seen twice at 5.03 s


def test_sound_that_comes_while_the_worker_listens_is_not_answered_unheard() -> None:
    bench = Bench()
    bench.run(0, 3)
    listen, heard = bench.activity.push, []

    def interrupted(start: float, samples: FloatArray) -> None:
        listen(start, samples)
        heard.append(start + len(samples) / RATE)
        if len(heard) == 1:
            bench.sound(3.05, 0.06)  # the microphone's thread, meanwhile

    bench.activity.push = interrupted  # type: ignore[method-assign]
    bench.picture(3.1)
    bench.sound(3.0, 0.05)
    assert bench.step() is None
    answer = bench.step()
    assert answer is not None
    assert answer.window_end == pytest.approx(3.1)
    assert heard[-1] > answer.window_end


def test_a_late_live_worker_skips_to_the_newest_window_and_counts() -> None:
    bench = Bench(live=True)
    bench.run(0, 2)
    for k in range(60, 81):  # two thirds of a second arrive while the worker is busy
        bench.picture(k / FPS)
        bench.sound(k / FPS, 1 / FPS)
    bench.clock.time = 81 / FPS + 0.001
    before = bench.windows_skipped
    prediction = bench.step()
    assert prediction is not None
    assert prediction.window_end == pytest.approx(2.6, abs=0.11)
    assert bench.windows_skipped - before >= 5
    assert prediction.latency_seconds == pytest.approx(bench.clock.time - prediction.window_end)
    assert prediction.time_of_day == bench.clock.epoch + prediction.window_end


@pytest.mark.parametrize("input_first", [False, True])
def test_what_a_computer_slept_through_was_not_skipped(input_first: bool) -> None:
    bench = Bench(live=True)
    bench.run(0, 3)
    bench.clock.time = 3600.0
    if not input_first:
        bench.drain()
    later = bench.run(3600, 3602)
    assert bench.windows_skipped <= 6  # until the input would have stalled
    assert later[-1].modality("voice").present


def test_pictures_that_the_worker_comes_too_late_for_are_counted() -> None:
    bench = Bench(live=True)
    for k in range(20):  # while the network is loaded
        bench.picture(k / FPS)
    bench.run(1, 3)
    assert bench.inbox.pictures_missed == 0
    for k in range(90, 110):
        bench.picture(k / FPS)
    bench.take_in()
    assert bench.inbox.pictures_missed == 20 - 8


def test_a_stalled_camera_holds_nothing_up() -> None:
    bench = Bench(live=True)
    bench.run(0, 3)
    stalled = bench.run(3, 6, brightness=None)
    assert stalled[-1].modality("face").absent is STALLED
    assert stalled[-1].modality("voice").absent is None
    assert stalled[-1].window_end > 5.8


def test_a_lost_camera_is_not_taken_for_silence() -> None:
    bench = Bench(live=True)
    bench.run(0, 3)
    newest = bench.run(3, 9, brightness=None, loudness=0.01)[-1]
    assert newest.modality("voice").absent is SILENCE
    assert newest.reason is NO_INPUT


def test_when_nothing_flows_the_answer_says_so() -> None:
    bench = Bench(live=True)
    bench.run(0, 3)
    silent = bench.run(3, 9, brightness=None, loudness=None)
    assert silent[-1].reason is NO_INPUT
    assert silent[-1].label is None


def test_what_rests_on_nothing_has_no_delay() -> None:
    bench = Bench(live=True)
    bench.run(0, 3)
    answers = bench.run(3, 9, brightness=None, loudness=None)
    for answer in answers:
        nothing = all(report.absent is STALLED for report in answer.modalities)
        assert (answer.latency_seconds is None) == nothing
    assert answers[-1].latency_seconds is None


@pytest.mark.logs_warnings
def test_an_answer_that_is_not_finite_spoils_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    whole = bench.engine.run

    def spoiled(part: str, inputs: Arrays) -> Arrays:
        found = whole(part, inputs)
        return {**found, "logits": found["logits"] * np.nan} if part == "head" else found

    before = bench.run(0, 3)[-1]
    with monkeypatch.context() as patch:
        patch.setattr(bench.engine, "run", spoiled)
        spoilt = bench.run(3, 3.5)
    after = bench.run(3.5, 5)
    assert {each.reason for each in spoilt} == {NO_ANSWER}
    assert all(each.confidence is None and each.probabilities is None for each in spoilt)
    assert not any(report.present for each in spoilt for report in each.modalities)
    assert before.label is not None
    assert {each.label for each in after} == {before.label}
    assert all(each.confidence is not None and each.confidence > 0.5 for each in after)


def test_another_camera_has_time_to_open() -> None:
    bench = Bench(live=True)
    bench.change_source(Track.SOUND, False)
    bench.run(0, 6, loudness=None)
    bench.change_source(Track.PICTURES, True)
    assert bench.run(6, 8, brightness=None, loudness=None) == []
    assert all(each.reason is not NO_INPUT for each in bench.run(8, 10, loudness=None))
    bench.change_source(Track.PICTURES, True)
    assert bench.run(10, 15, brightness=None, loudness=None)[-1].reason is NO_INPUT


def test_a_pause_is_neither_a_load_nor_a_loss_of_input() -> None:
    bench = Bench(live=True)
    last = bench.run(0, 5)[-1].window_index
    bench.clock.time = 8.0
    bench.inbox.put(StartOver())
    assert bench.step() is None
    bench.clock.time = 8.4  # a camera and a microphone may take that long
    assert bench.step() is None
    again = bench.run(8.4, 9)
    assert bench.windows_skipped == 0
    assert all(each.reason is not NO_INPUT for each in again)
    assert again[0].window_index > last + 30
    bench.inbox.put(StartOver())
    bench.take_in()
    bench.clock.time = 10.0
    silent = bench.step()
    assert silent is not None
    assert silent.reason is NO_INPUT


def test_a_pause_of_a_moment_answers_no_window_twice() -> None:
    bench = Bench(live=True)
    before = bench.run(0, 5)
    bench.inbox.put(StartOver())
    indices = [each.window_index for each in [*before, *bench.run(5, 5.5)]]
    assert indices == list(range(indices[0], indices[0] + len(indices)))


def test_devices_have_time_to_open_whenever_they_are_started() -> None:
    bench = Bench(live=True, started=100.0)
    assert bench.run(100.0, 103.0, brightness=None, loudness=None) == []
    assert bench.run(103.0, 105.0, brightness=None, loudness=None)[-1].reason is NO_INPUT


def test_another_camera_starts_over() -> None:
    bench = Bench(live=True)
    bench.run(0, 3)
    for track in Track:
        bench.change_source(track, True)
    again = bench.run(3, 3.3)
    assert all(not report.present for each in again for report in each.modalities)


def test_a_voice_becomes_known_while_it_speaks() -> None:
    bench = Bench()
    bench.engine.residual = np.full(16, 0.5, np.float32)
    known = [each.speaker_seconds for each in bench.run(0, 6)]
    assert known == sorted(known)
    assert known[-1] == pytest.approx(5.0, abs=1.1)  # of the six seconds, speech and overlap
    # Half of what is heard is the speaker's own: taken off, less of it is anger.
    louder, plain = bench.predictions[-1].logits, Bench().run(0, 6)[-1].logits
    assert louder is not None
    assert plain is not None
    assert louder[3] < plain[3]


def test_without_adaptation_each_window_is_judged_by_itself() -> None:
    bench, plain = Bench(settings=EmotionConfig(adapt=False)), Bench()
    bench.engine.residual = np.full(16, 0.5, np.float32)
    for ours, theirs in zip(bench.run(0, 6), plain.run(0, 6), strict=True):
        assert ours.confidence == theirs.confidence
        assert ours.speaker_seconds == 0.0


def test_a_face_after_a_long_time_without_one_is_somebody_elses() -> None:
    bench = Bench(settings=EmotionConfig(new_person_seconds=3.0))
    bench.run(0, 4)
    away = bench.run(4, 5.5, brightness=0)
    assert away[-1].speaker_seconds > 2.0
    again = bench.run(5.5, 8)  # back after less than that: the same person
    assert again[-1].speaker_seconds > away[-1].speaker_seconds
    gone = bench.run(8, 14, brightness=0)
    assert gone[-1].speaker_seconds > again[-1].speaker_seconds  # a voice without a face, known on
    assert bench.run(14, 15.5)[-1].speaker_seconds < 1.6


def test_whoever_spoke_long_before_the_first_face_is_somebody_else() -> None:
    bench = Bench(settings=EmotionConfig(new_person_seconds=3.0))
    assert bench.run(0, 6, brightness=0)[-1].speaker_seconds > 4.0
    assert bench.run(6, 7)[-1].speaker_seconds < 1.1


def test_the_dark_and_a_stalled_camera_make_nobody_a_stranger() -> None:
    settings = EmotionConfig(new_person_seconds=2.0, dark=0.9)
    dark = Bench(settings=settings)  # this face is seen, but counts for nothing
    assert not dark.run(0, 4)[-1].modality("face").present
    assert dark.predictions[-1].speaker_seconds > 2.0
    out = Bench(settings=EmotionConfig(new_person_seconds=2.0))
    out.run(0, 3)
    known = out.run(3, 8, brightness=1)[-1].speaker_seconds  # the light is switched off and on
    assert out.run(8, 9)[-1].speaker_seconds > known > 2.0
    bench = Bench(live=True, settings=settings)
    bench.run(0, 3)
    stalled = bench.run(3, 8, brightness=None)
    assert bench.run(8, 9)[-1].speaker_seconds > stalled[-1].speaker_seconds


def test_a_face_that_takes_over_is_somebody_elses() -> None:
    bench = Bench()
    known = bench.run(0, 4)[-1].speaker_seconds
    for sequence, time in enumerate((4.0, 4.1), start=200):
        image = np.full((90, 160, 3), 160, np.uint8)
        seen = bench.tracker.look(VideoPacket(timestamp=time, sequence=sequence, image=image))
        assert seen.face is not None
        other = replace(seen.face, identity=seen.face.identity + 1)
        bench.inbox.put(replace(seen, face=other))
        bench.sound(time, 0.1)
        bench.drain()
    assert known > 3.0
    assert bench.predictions[-1].speaker_seconds < 0.3


def test_skipped_windows_do_not_slow_the_learning() -> None:
    bench = Bench(live=True)
    bench.run(0, 3)
    known = bench.predictions[-1].speaker_seconds
    for k in range(90, 120):  # a second arrives while the worker is busy
        bench.clock.time = k / FPS + 0.001
        bench.picture(k / FPS)
        bench.sound(k / FPS, 1 / FPS)
    bench.drain()
    assert bench.windows_skipped > 5
    assert bench.predictions[-1].speaker_seconds == pytest.approx(known + 1.0, abs=0.15)


def test_after_a_pause_the_voice_is_known_but_not_of_another_microphone() -> None:
    bench = Bench(live=True)
    known = bench.run(0, 4)[-1].speaker_seconds
    bench.inbox.put(StartOver())
    assert bench.run(4, 4.3)[-1].speaker_seconds == known > 3.0
    bench.change_source(Track.PICTURES, True)
    assert bench.run(4.3, 4.6)[-1].speaker_seconds > known
    bench.change_source(Track.SOUND, True)
    assert bench.run(4.6, 4.7)[-1].speaker_seconds == 0.0


def test_windows_of_another_length_hold_as_many_maps() -> None:
    config = SessionConfig(windows=WindowConfig(window_seconds=2.0))
    bench = Bench(config=config, window_seconds=2.0)
    newest = bench.run(0, 4)[-1]
    assert bench.engine.maps == 20
    assert newest.spectrogram is not None
    assert newest.spectrogram.shape == (80, 200)


@pytest.mark.parametrize(
    ("name", "trained", "value"),
    [("window_seconds", 2.0, 3.0), ("hop_seconds", 0.2, 0.1), ("sample_rate", 8000, 16000)],
)
def test_windows_that_the_network_was_not_trained_on_are_refused(
    name: str, trained: float, value: float
) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be {trained:g}.*not {value}"):
        Bench(**{name: trained})  # type: ignore[arg-type]

"""The worker on live input: what it is given is all that its answers depend on."""

from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import pairwise

import pytest

from realtime.emotion.network import EmotionNetwork
from realtime.emotion.reasons import NO_FACE
from realtime.messages import (
    NO_INPUT,
    STALLED,
    Input,
    Prediction,
    SourceChange,
    StartOver,
    Track,
    VideoPacket,
    WindowChoice,
)
from tests.fakes.driver import SteppedDriver, bits, given_again, in_time_order
from tests.fakes.engine import arithmetic_network
from tests.fakes.faces import TWO_PEOPLE, pictures_of_two_people, watch_brightness
from tests.fakes.sources import ManualClock, jittered_speech

BUSY = (4.2, 5.0)  # s, when the worker is held up
STALL = (6.0, 7.5)  # when the camera delivers nothing
CHANGE = 8.5  # of the microphone
PAUSE = (10.0, 11.5)
UNPLUGGED = 13.0  # when camera and microphone go
END = 17.0


def network() -> EmotionNetwork:
    return arithmetic_network(settings=TWO_PEOPLE, residual=0.5)


def live_session() -> tuple[SteppedDriver, list[Prediction]]:
    """A live worker through all that load, devices and people do to it; its answers."""
    clock, answers = ManualClock(), list[Prediction]()
    driver = SteppedDriver(network(), watch_brightness(), clock=clock)
    control: dict[float, Input] = {
        CHANGE: SourceChange(track=Track.SOUND, connected=True),
        PAUSE[1]: StartOver(),
    }

    def passed(until: float) -> None:
        """What the person did by then."""
        for at in [at for at in control if at <= until]:
            driver.inbox.put(control.pop(at))

    for packet in in_time_order(pictures_of_two_people(UNPLUGGED), jittered_speech(UNPLUGGED)):
        time = packet.timestamp
        stalled = isinstance(packet, VideoPacket) and STALL[0] <= time < STALL[1]
        if stalled or PAUSE[0] <= time < PAUSE[1]:
            continue
        clock.time = max(clock.time, time + 0.01)
        passed(time)
        driver.push(packet)
        if not BUSY[0] <= time < BUSY[1]:
            answers += driver.answers()
    while clock.time < END:
        clock.advance(0.05)
        answers += driver.answers()
    return driver, answers


def test_the_same_values_give_the_same_answers_without_a_clock() -> None:
    driver, answers = live_session()
    # All of this did happen:
    assert driver.windows_skipped >= 5
    absent = {(each.track, each.absent) for answer in answers for each in answer.modalities}
    assert {(Track.PICTURES, STALLED), (Track.PICTURES, NO_FACE), (Track.SOUND, STALLED)} <= absent
    assert answers[-1].reason is NO_INPUT
    known = [answer.speaker_seconds for answer in answers]
    assert any(after < before for before, after in pairwise(known)), "somebody else came"
    assert any(answer.latency_seconds is not None for answer in answers)

    noted = pickle.loads(pickle.dumps(driver.worker.given))  # plain values, and no array is shared
    untimed = [replace(answer, time_of_day=None) for answer in answers]
    assert bits(given_again(noted, network())) == bits(untimed)


def test_what_load_forced_is_in_the_choices() -> None:
    driver, answers = live_session()
    choices = [each for each in driver.worker.given if isinstance(each, WindowChoice)]
    assert [choice.index for choice in choices] == [answer.window_index for answer in answers]
    left_out = [after.index - before.index - 1 for before, after in pairwise(choices)]
    paused = max(left_out)
    assert paused == pytest.approx(10 * (PAUSE[1] - PAUSE[0]), abs=2)
    assert sum(left_out) - paused == driver.windows_skipped
    assert {tuple(choice.lost) for choice in choices} == {
        (),
        (Track.PICTURES,),
        (Track.PICTURES, Track.SOUND),
    }

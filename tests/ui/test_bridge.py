"""What the bridge passes on, and how often."""

import pytest

from realtime.messages import Prediction, Snapshot
from tests.fakes.session import FakeLiveSession, ManualTime
from ui.bridge import Bridge


@pytest.fixture
def session(now: ManualTime) -> FakeLiveSession:
    return FakeLiveSession(now, loading_seconds=0.0)


@pytest.fixture
def bridge(now: ManualTime, session: FakeLiveSession) -> Bridge:
    session.start()
    bridge = Bridge(now=now)
    bridge.start(session)
    return bridge


def run(bridge: Bridge, now: ManualTime, seconds: float, step: float = 0.025) -> None:
    for _ in range(round(seconds / step)):
        now.advance(step)
        bridge.poll()


def test_every_frame_is_shown_once(bridge: Bridge, now: ManualTime) -> None:
    shown: list[int] = []
    bridge.pictured.connect(lambda snapshot: shown.append(snapshot.preview.sequence))
    run(bridge, now, 2.0)
    assert len(set(shown)) >= 58
    assert bridge.preview_rate == pytest.approx(30.0, abs=1.0)


def test_answers_come_at_most_a_dozen_times_a_second(bridge: Bridge, now: ManualTime) -> None:
    answers: list[Prediction] = []
    bridge.predicted.connect(answers.append)
    run(bridge, now, 3.0)
    assert 25 <= len(answers) <= 38
    assert len({answer.window_index for answer in answers}) == len(answers)


def test_history_is_told_without_gaps_or_repeats(bridge: Bridge, now: ManualTime) -> None:
    told: list[int] = []
    bridge.grown.connect(lambda gained: told.extend(each.window_index for each in gained))
    run(bridge, now, 3.0)
    assert told == list(range(1, told[-1] + 1))


def test_health_comes_with_the_rate_of_pictures(bridge: Bridge, now: ManualTime) -> None:
    rates: list[float] = []
    bridge.measured.connect(lambda _, rate: rates.append(rate))
    run(bridge, now, 2.0)
    assert len(rates) <= 9
    assert rates[-1] == pytest.approx(30.0, abs=1.5)


def test_another_session_starts_from_nothing(
    bridge: Bridge, now: ManualTime, session: FakeLiveSession
) -> None:
    run(bridge, now, 2.0)
    other = FakeLiveSession(now, loading_seconds=0.0)
    other.start()
    bridge.start(other)
    told: list[int] = []
    bridge.grown.connect(lambda gained: told.extend(each.window_index for each in gained))
    run(bridge, now, 0.5)
    assert told[0] == 1
    assert bridge.preview_rate < 40.0


def test_a_stopped_bridge_asks_nobody(bridge: Bridge, now: ManualTime) -> None:
    seen: list[Snapshot] = []
    bridge.polled.connect(seen.append)
    bridge.stop()
    run(bridge, now, 0.5)
    assert seen == []


def test_a_frozen_picture_costs_nothing(
    bridge: Bridge, now: ManualTime, session: FakeLiveSession
) -> None:
    run(bridge, now, 1.0)
    session.pause()
    run(bridge, now, 0.1)
    session.changes["face"] = None
    shown: list[Snapshot] = []
    run(bridge, now, 0.1)
    bridge.pictured.connect(shown.append)
    run(bridge, now, 1.0)
    assert shown == []
    assert bridge.preview_rate < 20.0

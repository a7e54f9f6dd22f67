"""The thread between a device and the rings: it delivers, it tells, it tries again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest

from realtime.capture import RETRY_SECONDS, CaptureThread
from realtime.clock import MonotonicClock
from realtime.messages import AudioPacket, SourceHealth, SourceState, VideoPacket
from realtime.sources.base import NoDeviceError, Source
from tests.fakes.sources import (
    BlockedSource,
    FailingSource,
    ListSource,
    ManualClock,
    pictures,
    sound,
)

Packet = TypeVar("Packet", VideoPacket, AudioPacket)


def capture(
    source: Source[Packet], push: Callable[[Packet], None], clock: ManualClock | None = None
) -> CaptureThread[Packet]:
    return CaptureThread(source, push, clock or ManualClock(), name="camera", stall_seconds=0.5)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


def test_packets_arrive_in_order_and_the_device_is_let_go_of() -> None:
    got: list[VideoPacket] = []
    source = ListSource(pictures(5))
    thread = CaptureThread(source, got.append, MonotonicClock(), name="camera", stall_seconds=0.5)
    assert thread.health().state is SourceState.OFF
    thread.start()
    eventually(lambda: len(got) == 5)
    thread.stop(5.0)
    assert got == source.packets
    assert not source.is_open


def test_it_is_opening_until_the_first_packet() -> None:
    source = BlockedSource()
    thread = capture(source, lambda _: None)
    thread.start()
    try:
        assert source.reading.wait(10.0)
        assert thread.health().state is SourceState.OPENING
    finally:
        source.release.set()
        thread.stop(5.0)


def test_rate_counts_packets_of_pictures_and_samples_of_sound() -> None:
    clock = ManualClock()
    camera = capture(ListSource[VideoPacket](pictures(60)), lambda _: None, clock)
    microphone = capture(
        ListSource[AudioPacket](sound(np.zeros(48000, np.float32), 48000)), lambda _: None, clock
    )
    for _ in range(30):
        clock.advance(1 / 30)
        camera.step()
    assert camera.health().rate == pytest.approx(30.0, rel=0.01)
    for _ in range(50):
        clock.advance(0.01)
        microphone.step()
    assert microphone.health().rate == pytest.approx(48000, rel=0.01)
    clock.advance(10.0)
    assert camera.health().rate == 0.0


def test_gaps_and_overflows_count_as_dropped() -> None:
    kept = [packet for packet in pictures(10) if packet.sequence not in (0, 4, 5)]
    camera = capture(ListSource[VideoPacket](kept), lambda _: None)
    for _ in kept:
        camera.step()
    assert camera.health().dropped == 3

    blocks = sound(np.zeros(4800, np.float32), 48000)
    blocks[3] = replace(blocks[3], overflowed=True)
    microphone = capture(ListSource[AudioPacket](blocks), lambda _: None)
    for _ in blocks:
        microphone.step()
    assert microphone.health().dropped == 1


def test_silence_of_a_running_source_is_a_stall() -> None:
    clock = ManualClock()
    thread = capture(ListSource[VideoPacket](pictures(3)), lambda _: None, clock)
    thread.step()
    assert thread.health().state is SourceState.RUNNING
    clock.advance(0.51)
    assert thread.health().state is SourceState.STALLED
    thread.step()
    assert thread.health().state is SourceState.RUNNING


def test_a_lost_device_is_told_of_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    got: list[VideoPacket] = []
    source = FailingSource(pictures(4), at=2, times=3)
    thread = capture(source, got.append)
    assert [thread.step() for _ in range(2)] == [0.0, 0.0]
    assert thread.step() == RETRY_SECONDS[0]
    health = thread.health()
    assert health.state is SourceState.RETRYING
    assert health.message == "the cable is out: put it back in"
    assert not source.is_open
    while source.failures_left:
        thread.step()
    while len(got) < 2 + 2 + 2 + 4:
        thread.step()
    assert source.opened == 4
    assert health.dropped == 0, "numbers begin anew with each opening"
    told = [each.message for each in caplog.records]
    assert told == ["the cable is out: put it back in", "failing is back"] * 3
    assert thread.health().message == ""


def test_another_device_in_the_place_of_one_that_went_is_told_before_its_packets() -> None:
    class Headset(FailingSource[VideoPacket]):
        """Goes; the system then gives what is built in."""

        def open(self) -> None:
            super().open()
            self.name = "headset" if self.opened < 3 else "built in"

    events: list[str] = []
    source = Headset(pictures(2), at=1, times=3)
    thread = CaptureThread(
        source,
        lambda _: events.append("picture"),
        ManualClock(),
        name="camera",
        stall_seconds=0.5,
        replaced=lambda: events.append("replaced"),
    )
    while source.opened < 4 or len(events) < 6:
        thread.step()
    assert events == ["picture", "picture", "replaced", "picture", "picture", "picture"]


def test_another_device_that_opens_after_the_end_is_not_told_of() -> None:
    """Its driver took longer than anybody waited, and others may be in use by now."""

    class Slow(FailingSource[VideoPacket]):
        def open(self) -> None:
            super().open()
            if self.opened > 1:
                self.name = "Headset"
                thread.tell_to_stop()

    told: list[str] = []
    source = Slow(pictures(4), at=1)
    thread = CaptureThread(
        source,
        lambda _: told.append("picture"),
        ManualClock(),
        name="camera",
        stall_seconds=0.5,
        replaced=lambda: told.append("another"),
    )
    while source.opened < 2:
        thread.step()
    assert "another" not in told


def test_attempts_become_rarer_and_start_afresh_after_success() -> None:
    source = FailingSource(pictures(1), at=None, times=6)
    thread = capture(source, lambda _: None)
    assert [thread.step() for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert thread.health().state is SourceState.RETRYING
    assert thread.step() == 0.0
    source.failures_left, source._at = 1, 1
    assert thread.step() == RETRY_SECONDS[0]


def test_a_device_that_never_was_there_has_failed_and_is_looked_for_quietly() -> None:
    error = NoDeviceError("there is no camera 0")
    source = FailingSource(pictures(2), at=None, times=2, error=error)
    thread = capture(source, lambda _: None)
    for _ in range(2):
        assert thread.step()
        assert thread.health().state is SourceState.FAILED
        assert thread.health().message == "there is no camera 0"
    thread.step()
    assert thread.health().state is SourceState.RUNNING


def test_a_device_that_was_there_and_is_gone_is_retried() -> None:
    source = FailingSource(pictures(2), at=1, error=NoDeviceError("unplugged"))
    thread = capture(source, lambda _: None)
    thread.step()
    thread.step()
    assert thread.health().state is SourceState.RETRYING


def test_what_nobody_foresaw_is_logged_once_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = FailingSource(pictures(3), at=0, times=3, error=ZeroDivisionError("by zero"))
    thread = capture(source, lambda _: None)
    for wait_seconds in (0.5, 1.0, 2.0):
        assert thread.step() == wait_seconds
        assert thread.health().state is SourceState.FAILED
        assert "by zero" in thread.health().message
        assert not source.is_open
    (record,) = caplog.records
    assert record.exc_info
    assert thread.step() == 0.0
    assert thread.health().state is SourceState.RUNNING


@pytest.mark.logs_warnings
def test_what_nobody_foresaw_of_a_device_that_was_there_is_a_loss_for_the_moment() -> None:
    source = FailingSource(pictures(2), at=1, error=ZeroDivisionError("by zero"))
    thread = capture(source, lambda _: None)
    thread.step()
    thread.step()
    assert thread.health().state is SourceState.RETRYING  # which headless runs have patience for


def test_a_device_that_cannot_even_be_closed_is_tried_again() -> None:
    class Stuck(FailingSource[VideoPacket]):
        def close(self) -> None:
            super().close()
            raise RuntimeError("gone")

    thread = capture(Stuck(pictures(2), at=None), lambda _: None)
    assert thread.step()
    assert thread.step() == 0.0


def test_why_a_device_is_let_go_of_is_told_also_while_it_does_not_let_go() -> None:
    told: list[SourceHealth] = []

    class Hanging(FailingSource[VideoPacket]):
        def close(self) -> None:
            super().close()
            told.append(thread.health())

    thread = capture(Hanging(pictures(2), at=1), lambda _: None)
    thread.step()
    thread.step()
    (health,) = told
    assert health.state is SourceState.RETRYING
    assert "cable is out" in health.message


def test_stop_returns_in_time_when_the_driver_blocks(caplog: pytest.LogCaptureFixture) -> None:
    got: list[VideoPacket] = []
    source = BlockedSource()
    thread = CaptureThread(source, got.append, MonotonicClock(), name="camera", stall_seconds=0.5)
    thread.start()
    try:
        assert source.reading.wait(10.0)
        thread.stop(0.05)
        assert "blocked does not answer" in caplog.text
    finally:
        source.release.set()
    thread.stop(10.0)
    assert got == [], "a stopped capture delivers nothing more"
    assert not source.is_open


def test_stop_does_not_wait_for_the_next_attempt() -> None:
    source = FailingSource(pictures(1), at=None, times=1000)
    thread = CaptureThread(
        source, lambda _: None, MonotonicClock(), name="camera", stall_seconds=0.5
    )
    thread.start()
    eventually(lambda: source.failures_left <= 997)  # the next is seconds away
    started = time.monotonic()
    thread.stop(30.0)
    assert time.monotonic() - started < 15.0
    assert not thread._thread.is_alive()


def test_stop_before_start_is_harmless() -> None:
    capture(ListSource[VideoPacket](pictures(1)), lambda _: None).stop(1.0)


def test_the_error_of_a_receiver_is_not_taken_for_the_device_s(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def push(_: VideoPacket) -> None:
        raise KeyError("ring")

    thread = capture(ListSource[VideoPacket](pictures(1)), push)
    assert thread.step() == RETRY_SECONDS[0]
    assert thread.health().state is SourceState.FAILED
    assert "ring" in thread.health().message
    assert len(caplog.records) == 1

"""The microphone: time from counted samples, PortAudio in a real sound server, devices that go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import FloatArray
from realtime.capture import CaptureThread
from realtime.clock import MonotonicClock
from realtime.devices import sound
from realtime.devices.listing import MicrophoneInfo
from realtime.devices.sound import PORTAUDIO, list_microphones
from realtime.messages import AudioPacket, SourceState
from realtime.resampling import SpeechResampler
from realtime.sources import microphone as microphone_module
from realtime.sources.base import NoDeviceError, SourceError
from realtime.sources.microphone import (
    BLOCK_SECONDS,
    MicrophoneSource,
    SampleClock,
    find_microphone,
)
from tests.fakes.pulse import VirtualMicrophone
from tests.fakes.sources import ManualClock

BLOCK = 480


# -- SampleClock ----------------------------------------------------------------------------------


def hour(
    drift: float, seed: int, *, lost_at: tuple[int, ...] = (), lost_seconds: float = 0.3
) -> Any:
    """Errors (n,) in seconds of an hour of stamps, of a sound card whose second is off by `drift`.

    Blocks arrive up to 15 ms late, and once a minute 200 ms late, then several at once.
    """
    rng = np.random.default_rng(seed)
    clock = SampleClock(48000)
    span = BLOCK / 48000 * (1 + drift)  # of a block, true
    count = round(3600 / span)
    late = rng.uniform(0.0, 0.015, count)
    late[3000::6000] = 0.2
    errors = np.empty(count)
    true = 10.0
    handed_over = 0.0
    for number in range(count):
        lost = number in lost_at
        true += lost_seconds if lost else 0.0
        handed_over = max(handed_over, true + span + late[number])
        errors[number] = clock.stamp(BLOCK, handed_over, lost=lost) - true
        true += span
    return errors


@pytest.mark.parametrize("drift", [-200e-6, 0.0, 200e-6])
def test_an_hour_on_a_clock_that_is_off_stays_in_step(drift: float) -> None:
    errors = hour(drift, seed=1)
    assert np.abs(errors).max() < 0.040
    steady = errors[6000:]
    assert np.ptp(steady) < 0.010


def test_lost_sound_does_not_shift_what_follows() -> None:
    at = (50_000, 200_000)
    errors = hour(100e-6, seed=2, lost_at=at)
    assert np.abs(errors).max() < 0.040


def test_time_never_runs_backwards_and_bends_little() -> None:
    rng = np.random.default_rng(3)
    clock = SampleClock(48000)
    stamps = [
        clock.stamp(BLOCK, number * 0.01 + rng.exponential(0.02), lost=bool(rng.random() < 0.01))
        for number in range(5000)
    ]
    assert np.diff(stamps).min() >= 0.9 * 0.01 - 1e-9


def test_sound_lost_without_a_word_sets_a_new_anchor() -> None:
    clock = SampleClock(48000)
    for number in range(500):
        clock.stamp(BLOCK, 0.01 * (number + 1))
    for number in range(500, 800):  # the computer slept for an hour
        stamp = clock.stamp(BLOCK, 3600 + 0.01 * (number + 1))
    assert stamp == pytest.approx(3600 + 0.01 * 799, abs=0.001)


def test_a_late_hand_over_is_no_reason_to_jump() -> None:
    clock = SampleClock(48000)
    for number in range(2000):
        clock.stamp(BLOCK, 0.01 * (number + 1))
    stamps = [clock.stamp(BLOCK, 20.9) for _ in range(90)]  # held up for 0.9 s, then all at once
    assert stamps[0] == pytest.approx(20.0, abs=0.002)
    assert stamps[-1] == pytest.approx(20.89, abs=0.05)


@pytest.mark.parametrize(("said", "true"), [(44100, 48000), (48000, 44100), (48000, 47000)])
def test_a_device_at_quite_another_rate_than_it_says_is_heard_without_gaps(
    said: int, true: int
) -> None:
    rng = np.random.default_rng(4)
    clock, block = SampleClock(said), said // 100
    resampler = SpeechResampler()
    heard: list[tuple[float, FloatArray]] = []
    arrival = 0.0
    for number in range(round(40 * true / block)):
        arrival = max(arrival, (number + 1) * block / true + rng.uniform(0.0, 0.015))
        stamp = clock.stamp(block, arrival)
        wave = np.sin(2 * np.pi * 1000 * (number * block + np.arange(block)) / true)
        packet = AudioPacket(
            timestamp=stamp,
            sequence=number,
            samples=wave[:, None].astype(np.float32),
            sample_rate=clock.sample_rate,
        )
        assert number < 3000 or stamp == pytest.approx(number * block / true, abs=0.030)
        if (speech := resampler.push(packet)) is not None:
            heard.append(speech)
    assert clock.sample_rate == pytest.approx(true, rel=1e-3)
    times = [(start, start + len(samples) / 16000) for start, samples in heard[-1000:]]
    starts, ends = np.array(times).T
    assert np.abs(starts[1:] - ends[:-1]).max() < 0.002
    last = np.concatenate([samples for _, samples in heard])[-3 * 16000 :]
    spectrum = np.abs(np.fft.rfft(last * np.hanning(len(last))))
    assert spectrum.argmax() / 3.0 == pytest.approx(1000.0, abs=1.0)
    assert np.square(last).mean() == pytest.approx(0.5, abs=0.01)


def test_a_delay_that_changes_once_is_no_other_rate() -> None:
    clock = SampleClock(48000)
    for number in range(6000):
        later = 0.08 * (number > 1500) + 0.3 * (number > 3500)
        clock.stamp(BLOCK, 0.01 * (number + 1) + later)
        assert clock.sample_rate == 48000


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4800), st.floats(0, 5), st.booleans()), min_size=1, max_size=50
    )
)
def test_any_arrivals_give_rising_times(blocks: list[tuple[int, float, bool]]) -> None:
    clock = SampleClock(48000)
    end = -np.inf
    now = 0.0
    for samples, wait, lost in blocks:
        now += wait
        stamp = clock.stamp(samples, now, lost=lost)
        assert np.isfinite(stamp)
        assert stamp >= end - 0.11 * samples / 48000
        end = stamp


# -- which one ------------------------------------------------------------------------------------


def info(index: int, name: str, *, is_default: bool = False) -> MicrophoneInfo:
    return MicrophoneInfo(
        index=index,
        name=name,
        selector=name,
        channels=2,
        sample_rate=48000,
        host_api="ALSA",
        is_default=is_default,
    )


FOUND = [info(0, "USB Audio"), info(4, "default", is_default=True), info(5, "USB Webcam 2")]


@pytest.mark.parametrize(
    ("selector", "index"),
    [("default", 4), ("0", 0), ("5", 5), ("webcam", 5), ("USB Audio", 0), ("audio", 0)],
)
def test_a_number_a_name_or_a_part_of_it_will_do(selector: str, index: int) -> None:
    assert find_microphone(FOUND, selector).index == index


@pytest.mark.parametrize(
    ("selector", "told"),
    [("3", "no microphone “3”"), ("usb", "USB Audio, USB Webcam 2"), ("", "“”")],
)
def test_a_doubtful_choice_is_refused(selector: str, told: str) -> None:
    with pytest.raises(NoDeviceError, match=told):
        find_microphone(FOUND, selector)


def test_without_a_default_it_is_the_first() -> None:
    assert find_microphone(FOUND[:1], "default").index == 0


def test_none_at_all_has_its_sentence() -> None:
    with pytest.raises(NoDeviceError, match="plug one in"):
        find_microphone([], "default")


# -- PortAudio, stood in for ----------------------------------------------------------------------


class PortAudioError(Exception):
    """As sounddevice's."""


class Stream:
    """An input stream."""

    latency = 0.03

    def __init__(self, owner: Sounddevice, options: dict[str, Any]) -> None:
        self._owner = owner
        self.options = options
        self.runs = self.closed = False
        self.hangs: threading.Event | None = None  # until it is set

    @property
    def active(self) -> bool:
        if not self.closed:
            self._owner.fail_at("active")
        return self.runs

    def start(self) -> None:
        if self._owner.start_fails:
            raise PortAudioError("device unavailable")
        self.runs = True

    def abort(self, ignore_errors: bool) -> None:
        if self.hangs is not None:
            self.hangs.wait()
        self.runs = False

    def close(self, ignore_errors: bool) -> None:
        self.runs, self.closed = False, True


class Sounddevice:
    """A small sounddevice whose stream is driven by the test."""

    PortAudioError = PortAudioError

    def __init__(self) -> None:
        self.default = SimpleNamespace(hostapi=0)
        self.names = ["default", "USB Audio"]
        self.refused: set[int] = set()  # numbers of channels the driver does not take
        self.start_fails = False
        self.failing = ""  # what fails when it is asked
        self.streams: list[Stream] = []

    def _initialize(self) -> None: ...

    def _terminate(self) -> None:
        assert not any(stream.active for stream in self.streams)

    def fail_at(self, what: str) -> None:
        if what == self.failing:
            raise PortAudioError("Unanticipated host error")

    def query_hostapis(self) -> list[dict[str, Any]]:
        self.fail_at("hostapis")
        return [{"name": "ALSA", "default_input_device": 0}]

    def query_devices(self) -> list[dict[str, Any]]:
        self.fail_at("devices")
        return [
            {
                "index": index,
                "name": name,
                "max_input_channels": 32,
                "default_samplerate": 48000.0,
                "hostapi": 0,
            }
            for index, name in enumerate(self.names)
        ]

    def InputStream(self, **options: Any) -> Stream:  # noqa: N802
        if options["channels"] in self.refused:
            raise PortAudioError(f"{options['channels']} channels are not supported")
        stream = Stream(self, options)
        self.streams.append(stream)
        return stream

    def hear(
        self, *, age: float = BLOCK_SECONDS, overflow: bool = False, value: float = 0.5
    ) -> None:
        """Call the newest stream's callback with a block, `age` s old as the driver says."""
        options = self.streams[-1].options
        data = np.full((options["blocksize"], options["channels"]), value, np.float32)
        times = SimpleNamespace(currentTime=100.0, inputBufferAdcTime=100.0 - age)
        options["callback"](data, len(data), times, SimpleNamespace(input_overflow=overflow))
        data[:] = 0  # PortAudio uses the memory again


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Sounddevice:
    fake = Sounddevice()
    monkeypatch.setitem(__import__("sys").modules, "sounddevice", fake)
    return fake


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(50.0)


@pytest.fixture
def source(module: Sounddevice, clock: ManualClock) -> Iterator[MicrophoneSource]:
    with MicrophoneSource("default", clock) as opened:
        yield opened


def read(source: MicrophoneSource) -> AudioPacket:
    packet = source.read(0.0)
    assert packet is not None
    return packet


def test_blocks_become_packets(module: Sounddevice, source: MicrophoneSource) -> None:
    for value in (0.25, 0.5):
        module.hear(value=value)
    first, second = read(source), read(source)
    assert (first.sequence, second.sequence) == (0, 1)
    assert first.sample_rate == 48000
    assert first.samples.shape == (240, 2)
    assert not first.samples.flags.writeable
    assert (first.samples == 0.25).all(), "the driver's memory must not be kept"
    assert source.read(0.0) is None


def test_times_are_whole_microseconds(
    module: Sounddevice, source: MicrophoneSource, clock: ManualClock
) -> None:
    for number in range(20):
        clock.advance(BLOCK_SECONDS + 0.0003 * (number % 3))
        module.hear()
        time = read(source).timestamp
        assert time == round(time, 6)


@pytest.mark.parametrize(
    ("age", "end"), [(0.005, 50.0), (0.020, 49.985), (0.0, 50.0), (0.31, 50.0), (100.0, 50.0)]
)
def test_the_driver_s_age_counts_where_it_can_be_true(
    module: Sounddevice, source: MicrophoneSource, age: float, end: float
) -> None:
    module.hear(age=age)
    assert read(source).end == pytest.approx(end, abs=1e-6)


def test_an_overflow_is_told_and_time_goes_on(
    module: Sounddevice, source: MicrophoneSource, clock: ManualClock
) -> None:
    module.hear()
    before = read(source)
    clock.advance(0.5)
    module.hear(overflow=True)
    after = read(source)
    assert after.overflowed
    assert after.timestamp - before.timestamp == pytest.approx(0.5)


def test_a_reader_who_sleeps_misses_the_oldest(
    module: Sounddevice, source: MicrophoneSource, clock: ManualClock
) -> None:
    for _ in range(600):
        clock.advance(BLOCK_SECONDS)
        module.hear()
    packet = read(source)
    assert packet.sequence == 200
    assert packet.timestamp == pytest.approx(51.0, abs=0.011)


def test_other_numbers_of_channels_are_tried(module: Sounddevice, clock: ManualClock) -> None:
    module.refused = {2, 32}
    with MicrophoneSource("USB", clock) as source:
        module.hear()
        assert read(source).samples.shape == (240, 1)


@pytest.mark.parametrize("where", ["open", "start"])
def test_a_failed_open_holds_nothing_and_can_be_repeated(
    module: Sounddevice, clock: ManualClock, where: str
) -> None:
    source = MicrophoneSource("default", clock)
    if where == "open":
        module.refused = {1, 2, 32}
    else:
        module.start_fails = True
    with pytest.raises(SourceError, match="close other programs"):
        source.open()
    assert not any(stream.active for stream in module.streams)
    assert PORTAUDIO._streams == 0
    module.refused, module.start_fails = set(), False
    with source:
        module.hear()
        read(source)


def test_a_block_told_of_after_it_was_read_is_not_read_twice(
    module: Sounddevice, source: MicrophoneSource
) -> None:
    class Late(threading.Event):
        """The callback is held up between its block and the word of it."""

        def wait(self, timeout: float | None = None) -> bool:
            self.set()
            return super().wait(timeout)

    module.hear()
    source._came = Late()
    read(source)
    assert source.read(0.0) is None
    module.hear()
    assert read(source).sequence == 1


def test_a_device_that_ends_is_noticed_at_once(
    module: Sounddevice, source: MicrophoneSource
) -> None:
    module.streams[-1].runs = False
    with pytest.raises(SourceError, match="has stopped"):
        source.read(0.0)


@pytest.mark.parametrize("failing", ["hostapis", "devices", "active"])
def test_a_sound_system_that_fails_is_tried_again(
    module: Sounddevice, clock: ManualClock, failing: str
) -> None:
    packets: list[AudioPacket] = []
    source = MicrophoneSource("default", clock)
    capture = CaptureThread(source, packets.append, clock, name="microphone", stall_seconds=0.5)
    module.failing = failing
    wait_seconds = capture.step()
    assert wait_seconds is not None
    assert wait_seconds > 0
    health = capture.health()
    assert health.state is SourceState.RETRYING
    told = {"active": "has stopped: check its cable"}.get(failing, "Unanticipated host error")
    assert told in health.message
    assert PORTAUDIO._streams == 0
    module.failing = ""
    capture.step()
    module.hear()
    assert capture.step() == 0.0
    assert len(packets) == 1
    assert capture.health().state is SourceState.RUNNING
    source.close()


def test_a_device_that_falls_silent_is_given_up(
    module: Sounddevice, source: MicrophoneSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(microphone_module, "PATIENCE_SECONDS", 0.03)
    module.hear()
    read(source)
    assert source.read(0.01) is None
    module.hear()
    read(source)  # patience begins anew
    assert source.read(0.01) is None
    assert source.read(0.01) is None
    with pytest.raises(SourceError, match="has stopped"):
        source.read(0.02)


@pytest.mark.logs_warnings
def test_a_driver_that_hangs_is_left_alone_and_the_device_opened_beside_it(
    module: Sounddevice, source: MicrophoneSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound, "PORTAUDIO_PATIENCE_SECONDS", 0.05)
    over = threading.Event()
    module.streams[-1].hangs = over
    source.open()  # closes the old stream first
    module.hear()
    read(source)
    source.close()
    assert "only while no sound is recorded" in list_microphones().problem
    over.set()
    deadline = time.monotonic() + 60.0
    while PORTAUDIO.in_use:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not list_microphones().problem


def test_a_number_stands_for_the_device_it_meant_at_first(
    module: Sounddevice, clock: ManualClock
) -> None:
    source = MicrophoneSource("1", clock)
    with source:
        assert source.name == "USB Audio"
    module.names = ["default", "Headset", "USB Audio"]  # plugged in meanwhile
    with source:
        assert module.streams[-1].options["device"] == 2


def test_of_namesakes_it_stays_the_one_that_was_chosen(
    module: Sounddevice, clock: ManualClock
) -> None:
    module.names = ["default", "USB Audio", "USB Audio"]
    source = MicrophoneSource("2", clock)
    devices = []
    for names in (
        module.names,
        ["default", "Headset", "USB Audio", "USB Audio"],
        ["default", "USB Audio"],  # the other one, while it is gone
        module.names,
    ):
        module.names = names
        with source:
            devices.append(module.streams[-1].options["device"])
    assert devices == [2, 3, 1, 2]


def test_a_chosen_microphone_is_found_again_under_another_number(
    module: Sounddevice, clock: ManualClock
) -> None:
    chosen = list_microphones()[1].selector
    module.names = ["default", "Headset", "USB Audio"]  # plugged in before a new session
    with MicrophoneSource(chosen, clock) as source:
        assert source.name == "USB Audio"
        assert module.streams[-1].options["device"] == 2


def test_new_microphones_are_found_once_none_is_in_use(
    module: Sounddevice, source: MicrophoneSource
) -> None:
    assert "only while no sound is recorded" in list_microphones().problem
    source.close()
    assert not list_microphones().problem


def test_read_wants_an_open_source(module: Sounddevice, clock: ManualClock) -> None:
    with pytest.raises(SourceError, match="not open"):
        MicrophoneSource("default", clock).read(0.0)


# -- a real sound server --------------------------------------------------------------------------


@pytest.fixture
def virtual() -> Iterator[VirtualMicrophone]:
    with VirtualMicrophone() as microphone:
        yield microphone


def tone(frequency: float, seconds: float) -> FloatArray:
    times = np.arange(round(seconds * VirtualMicrophone.sample_rate))
    wave = 0.5 * np.sin(2 * np.pi * frequency * times / VirtualMicrophone.sample_rate)
    return np.asarray(wave, np.float32)


def test_a_tone_is_recorded_in_step_with_the_clock(virtual: VirtualMicrophone) -> None:
    names = [each.name for each in list_microphones() if each.is_default]
    assert names == ["default"]
    clock = MonotonicClock()
    packets: list[AudioPacket] = []
    with MicrophoneSource("default", clock) as source:
        virtual.play(tone(1000.0, 30.0))
        deadline = time.monotonic() + 60.0
        loud = 0
        while loud < 100:
            assert time.monotonic() < deadline, "nothing was heard"
            packet = source.read(0.1)
            if packet is not None:
                packets.append(packet)
                loud += float(np.abs(packet.samples).max()) > 0.3
                assert packet.end < clock.now() + 0.05
    assert [packet.sequence for packet in packets] == list(range(len(packets)))
    starts = np.array([packet.timestamp for packet in packets])
    ends = np.array([packet.end for packet in packets])
    assert (np.diff(starts) > 0).all()
    assert np.abs(starts[1:] - ends[:-1])[50:].max() < 0.01, "there are no gaps once it runs"
    heard = np.concatenate([packet.samples[:, 0] for packet in packets[-60:]])
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    frequency = spectrum.argmax() * packets[0].sample_rate / len(heard)
    assert frequency == pytest.approx(1000.0, abs=3.0)


@pytest.mark.logs_warnings
def test_a_microphone_that_is_pulled_out_and_put_back(virtual: VirtualMicrophone) -> None:
    packets: list[AudioPacket] = []
    clock = MonotonicClock()
    capture = CaptureThread(
        MicrophoneSource("default", clock),
        packets.append,
        clock,
        name="microphone",
        stall_seconds=0.5,
    )

    def until(*states: SourceState) -> None:
        deadline = time.monotonic() + 60.0
        while capture.health().state not in states:
            assert time.monotonic() < deadline, capture.health()
            time.sleep(0.02)

    capture.start()
    try:
        until(SourceState.RUNNING)
        virtual.unplug()
        until(SourceState.RETRYING)
        assert "microphone" in capture.health().message
        virtual.plug_in()
        until(SourceState.RUNNING)
    finally:
        capture.stop(10.0)
    starts = [packet.timestamp for packet in packets]
    assert starts == sorted(starts)

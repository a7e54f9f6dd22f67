"""The command line: what each command writes where, and with which code it ends."""

from __future__ import annotations

import csv
import errno
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, get_args, get_type_hints

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import main
from models.checkpoint import LIVE as LIVE_FORMAT
from models.checkpoint import default_weights
from models.config import MODALITIES, LiveNetConfig
from models.labels import EMOTIONS
from models.live import LiveNet
from models.training import commands
from realtime import errors
from realtime.devices.listing import CameraInfo, Listing
from realtime.emotion.config import EmotionConfig
from realtime.emotion.network import EmotionNetwork
from realtime.emotion.task import emotion_task
from realtime.errors import ExitCode
from realtime.live import LiveSession
from realtime.messages import Snapshot
from realtime.sessions import Sessions
from realtime.sources.base import UnreadableFileError
from realtime.sources.synthetic import SyntheticCamera, SyntheticMicrophone
from realtime.task import Progress
from tests.conftest import ROOT
from tests.fakes.engine import arithmetic_network
from tests.fakes.mjpeg_server import MjpegServer
from tests.recordings import movie

Run = Callable[..., Any]

LOADER = "realtime.emotion.network.load_emotion_network"


@pytest.fixture
def run() -> Run:
    """Run the program in this process."""

    def invoke(*arguments: object) -> Any:
        return CliRunner().invoke(main.app, [str(each) for each in arguments])

    return invoke


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that needs no weights."""
    monkeypatch.setattr(LOADER, lambda *_, **__: arithmetic_network())


@pytest.fixture
def no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.headless.has_screen", lambda: False)


@pytest.fixture
def no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.devices.choice.list_cameras", lambda: Listing((), "no camera"))
    monkeypatch.setattr(
        "realtime.devices.choice.list_microphones", lambda: Listing((), "no microphone")
    )


@pytest.fixture
def synthetic(monkeypatch: pytest.MonkeyPatch) -> list[LiveSession]:
    """Live sessions on generated input; those that were made."""
    made: list[LiveSession] = []

    def make(task: Any, **chosen: Any) -> LiveSession:
        made.append(
            LiveSession(
                task,
                **chosen,
                camera_factory=lambda _, clock: SyntheticCamera(clock, size=(320, 240)),
                microphone_factory=lambda _, clock: SyntheticMicrophone(clock),
            )
        )
        return made[-1]

    monkeypatch.setattr("realtime.live.LiveSession", make)
    return made


# -- help, version, wrong use -----------------------------------------------------------------


def shown(text: str) -> str:
    """What is in one of typer's frames, on one line."""
    return " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize(
    ("name", "typed"), [("main.py", "python main.py"), ("msaf-live", "msaf-live")]
)
def test_help_shows_examples_and_every_exit_code(name: str, typed: str) -> None:
    result = CliRunner().invoke(main.app, ["--help"], prog_name=name)
    assert result.exit_code == 0
    assert f"\n  {typed} replay talk.mp4 --headless" in result.stdout
    assert f"\n  {typed}     " in result.stdout
    for code in ExitCode:
        assert f"{code:<5d}{code.meaning}" in result.stdout


@pytest.mark.parametrize(
    "command",
    [
        "live",
        "replay",
        "devices",
        "bench",
        "convert",
        "prepare",
        "prepare ferplus",
        "prepare ravdess",
        "train",
        "train live",
        "train ntu",
        "evaluate",
        "evaluate live",
        "evaluate ravdess",
    ],
)
def test_every_command_has_help(run: Run, command: str) -> None:
    result = run(*command.split(), "-h")
    assert result.exit_code == 0
    assert "Usage" in result.stdout
    assert "bool" not in result.stdout  # as if a flag took a value
    assert "{" not in result.stdout.split("\n\n")[0]
    assert "[default: (" not in result.stdout


def test_version(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    assert run("--version").stdout.startswith("msaf-live 0.")

    def missing(_: str) -> str:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "version", missing)
    assert run("--version").stdout.startswith("msaf-live 0.")


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["live", "--seconds", "0"],
        ["--microscope", "0"],
        ["replay"],
        ["replay", "", "--headless"],
        ["convert", "", "--kind", "ravdess", "--out", "a.safetensors"],
        ["replay", "x.mp4", "--headless", "--speed", "fast"],
        ["replay", "x.mp4", "--headless", "--speed", "-1"],
        ["replay", "x.mp4", "--headless", "--out", "answers.txt"],
        ["live", "--out", "answers.txt"],
        ["bench", "--device", "tpu"],
        ["convert", "a.pth", "--kind", "foo", "--out", "a.safetensors"],
    ],
)
def test_wrong_use(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == ExitCode.WRONG_USE
    assert result.stdout == ""
    assert result.stderr


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("live --seconds abc", "'--seconds': must be a number of 0.1 or more, not 'abc'"),
        ("live --seconds nan", "'--seconds': must be a number of 0.1 or more, not 'nan'"),
        ("bench --minutes 0", "'--minutes': must be a number of 0.1 or more, not '0'"),
        ("train live --seed 1.5", "must be a whole number from 0 to 4294967295, not '1.5'"),
        ("train live --seed -1", "must be a whole number from 0 to 4294967295, not '-1'"),
        ("train ntu --root . --workers 0", "must be a whole number of 1 or more, not '0'"),
        ("train ntu --root . --fold x", "'--fold': must be a whole number, not 'x'"),
        ("replay x --speed abc", "--speed: must be a positive number or max, not 'abc'"),
        ("live --device tpu", "'--device': 'tpu' is not one of 'auto', 'cpu', 'cuda'."),
    ],
)
def test_what_is_no_such_number_or_choice_is_said_plainly(run: Run, typed: str, told: str) -> None:
    result = run(*typed.split())
    assert result.exit_code == ExitCode.WRONG_USE
    assert told in shown(result.stderr)


def test_a_file_in_place_of_a_command_is_told_what_reads_it(run: Run, demo: Path) -> None:
    result = run(demo)
    assert result.exit_code == ExitCode.WRONG_USE
    assert "is no command but a file: `replay" in shown(result.stderr)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", "it names no file"),
        (".csv", "'.csv' is an ending without a name"),
        ("noext", "'noext' has no ending"),
        ("a.txt", "'a.txt' has another ending"),
    ],
)
def test_a_file_for_answers_needs_an_ending_and_a_name(run: Run, typed: str, told: str) -> None:
    result = run("live", "--out", typed)
    assert result.exit_code == ExitCode.WRONG_USE
    assert f"{told}: answers are written to a file that ends in .csv" in shown(result.stderr)


@pytest.mark.parametrize("typed", ["foo", "-1", "ftp://camera/1", "", "http://"])
def test_what_is_no_camera_is_wrong_use(run: Run, typed: str) -> None:
    result = run("live", "--headless", "--camera", typed)
    assert (result.exit_code, result.stdout) == (ExitCode.WRONG_USE, "")
    assert "a camera is chosen by its number (0), as a device (/dev/video0)" in shown(result.stderr)


def test_a_file_in_place_of_a_camera_is_told_what_reads_it(
    run: Run, demo: Path, tmp_path: Path
) -> None:
    for typed, told in (
        (demo, "is no camera but a file: `replay"),
        ("clip.mp4", "looks like a recording, which is not there"),
        ("clips/talk.mp4", "looks like a recording, which is not there"),
        ("../clips/talk.mp4", "looks like a recording, which is not there"),
        ("C:\\clips\\talk.mp4", "looks like a recording, which is not there"),
    ):
        result = run("live", "--headless", "--camera", typed)
        assert (result.exit_code, result.stdout) == (ExitCode.WRONG_USE, "")
        assert told in shown(result.stderr)


# -- replay -----------------------------------------------------------------------------------


def test_headless_replay_writes_json_lines_and_nothing_else(
    run: Run, quick: None, opening: Path, tmp_path: Path
) -> None:
    out = tmp_path / "answers.csv"
    result = run("replay", opening, "--headless", "--out", out)
    assert result.exit_code == 0, result.stderr
    records = [json.loads(line) for line in result.stdout.splitlines()]
    ends = [record["window_end"] for record in records]
    assert ends == [round(0.1 * (index + 1), 6) for index in range(len(ends))]
    assert any(record["modalities"] == ["face", "voice"] for record in records)
    assert "Summary" in result.stderr
    told = "".join(result.stderr.split())
    assert f"{len(records)} answers written to {out}".replace(" ", "") in told
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [record["label"] or "" for record in records]


def test_replay_twice_gives_identical_lines(run: Run, quick: None, opening: Path) -> None:
    first, second = (
        run("replay", opening, "--headless", "--speed", speed) for speed in ("max", "MAX")
    )
    assert first.stdout == second.stdout
    assert first.stdout


def test_a_terminal_gets_a_line_per_answer(
    run: Run, quick: None, no_screen: None, opening: Path
) -> None:
    result = run("replay", opening, "--speed", "50")
    assert result.exit_code == 0, result.stderr
    assert len(result.stdout.splitlines()) == int(result.stderr.split("answers")[1].split()[0])


@pytest.mark.parametrize("headless", [True, False])
def test_what_cannot_be_read(
    run: Run, quick: None, no_screen: None, tmp_path: Path, headless: bool
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a film")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    for path in (tmp_path / "missing.mp4", tmp_path, text, empty):
        result = run("replay", path, *(["--headless"] if headless else []))
        assert result.exit_code == ExitCode.UNREADABLE_FILE, path
        assert result.stdout == ""
        assert len(result.stderr.strip().splitlines()) == 1


def test_what_may_not_be_read_has_its_own_code(
    run: Run, demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_text("not for you")
    access, open_file = os.access, Path.open

    def refuse(path: Path, *how: Any, **more: Any) -> Any:
        if path == secret:
            raise PermissionError(13, "Permission denied", str(secret))
        return open_file(path, *how, **more)

    monkeypatch.setattr(
        os, "access", lambda path, *how: Path(path) != secret and access(path, *how)
    )
    monkeypatch.setattr(Path, "open", refuse)
    result = run("replay", secret, "--headless")
    assert result.exit_code == ExitCode.UNREADABLE_FILE
    assert "may not be read" in result.stderr
    result = run("replay", demo, "--headless", "--weights", secret)
    assert result.exit_code == ExitCode.DAMAGED_WEIGHTS


def test_an_unwritable_output(run: Run, quick: None, demo: Path, tmp_path: Path) -> None:
    for headless in (["--headless"], []):
        result = run("replay", demo, *headless, "--out", tmp_path / "nowhere" / "a.csv")
        assert result.exit_code == ExitCode.UNREADABLE_FILE
        assert result.stdout == ""
        folder = tmp_path / "nowhere"
        assert f"there is no folder {folder}: create it, or choose another" in result.stderr


def test_damaged_weights(run: Run, demo: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"\0" * 100)
    for path in (weights, tmp_path / "missing.safetensors"):
        result = run("replay", demo, "--headless", "--device", "cpu", "--weights", path)
        assert result.exit_code == ExitCode.DAMAGED_WEIGHTS
        assert path.name in result.stderr


# -- live -------------------------------------------------------------------------------------


def test_headless_live_writes_answers_for_so_long(
    run: Run, quick: None, synthetic: list[LiveSession]
) -> None:
    result = run("live", "--headless", "--camera", "0", "--microphone", "default", "--seconds", "2")
    assert result.exit_code == 0, result.stderr
    assert (synthetic[0].camera, synthetic[0].microphone) == ("0", "default")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(records) > 3
    assert all(record["latency_ms"] > 0 for record in records)
    assert "Summary" in result.stderr


DEVICES = ("--camera", "0", "--microphone", "default")
LIVE = ("live", *DEVICES, "--seconds", "1")


def test_live_answers_are_written_as_they_are_printed(
    run: Run, quick: None, synthetic: list[LiveSession], tmp_path: Path
) -> None:
    out = tmp_path / "session.jsonl"
    began = datetime.now(UTC)
    result = run(*LIVE, "--headless", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert result.stdout
    assert out.read_text().endswith(result.stdout)  # it has those before the devices delivered too
    times = [
        datetime.fromisoformat(json.loads(line)["time"]) for line in out.read_text().splitlines()
    ]
    assert began < times[0]
    assert times == sorted(set(times))
    assert times[-1] < datetime.now(UTC)


def test_a_window_writes_live_answers_to_the_last_and_says_so(
    run: Run,
    quick: None,
    close_when: Callable[..., None],
    synthetic: list[LiveSession],
    tmp_path: Path,
) -> None:
    out = tmp_path / "session.csv"
    told: list[str] = []

    def answered(window: Any, _: Snapshot) -> bool:
        notice = window.views.banner.notice
        told.append("" if notice is None else notice.text)
        return len(synthetic[0].history()) > 5

    close_when(answered)
    result = run("live", *DEVICES, "--out", out)
    assert any(f"answers are written to {out}" in each.lower() for each in told)
    history = synthetic[0].history()
    ends = [float(row["window_end"]) for row in csv.DictReader(out.read_text().splitlines())]
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"{len(ends)} answers written to {out}\n"
    assert ends == pytest.approx([each.window_end for each in history])


def test_answers_that_nobody_can_make_again_are_not_written_over(
    run: Run, windows: list[tuple[Any, dict[str, Any]]], tmp_path: Path
) -> None:
    out = tmp_path / "yesterday.csv"
    out.write_text("precious")
    for headless in ([], ["--headless"]):
        result = run(*LIVE, *headless, "--out", out)
        assert result.exit_code == ExitCode.UNREADABLE_FILE
        assert "yesterday.csv: there is such a file already: name another" in result.stderr
    assert out.read_text() == "precious"
    assert not windows


def test_no_table_of_live_answers_is_made_of_the_demo(
    run: Run, no_devices: None, no_screen: None, tmp_path: Path
) -> None:
    result = run("live", "--out", tmp_path / "session.csv")
    assert result.exit_code == ExitCode.NO_DEVICE
    assert list(tmp_path.iterdir()) == []


def test_headless_live_without_the_camera_that_was_named(
    run: Run, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "realtime.live.LiveSession",
        partial(LiveSession, microphone_factory=lambda _, clock: SyntheticMicrophone(clock)),
    )
    result = run("live", "--headless", "--camera", "999", "--microphone", "default")
    assert result.exit_code == ExitCode.NO_DEVICE
    assert result.stdout == ""
    assert "camera 999" in result.stderr
    assert "`python main.py devices` lists what there is" in result.stderr


@pytest.mark.parametrize("adapt", [True, False])
def test_adaptation_is_a_choice(
    run: Run, synthetic: list[LiveSession], monkeypatch: pytest.MonkeyPatch, adapt: bool
) -> None:
    given: list[EmotionConfig] = []

    def load(_weights: Path, settings: EmotionConfig, **_: object) -> EmotionNetwork:
        given.append(settings)
        return arithmetic_network(settings=settings)

    monkeypatch.setattr(LOADER, load)
    options = [] if adapt else ["--no-adapt"]
    run("live", "--headless", "--camera", "0", "--microphone", "none", "--seconds", "1", *options)
    assert given == [EmotionConfig(adapt=adapt)]


def test_no_command_is_live(
    run: Run, quick: None, no_screen: None, synthetic: list[LiveSession]
) -> None:
    result = run("--camera", "0", "--microphone", "none", "--seconds", "1")
    assert result.exit_code == 0, result.stderr
    assert (synthetic[0].camera, synthetic[0].microphone) == ("0", None)


def test_ctrl_c_is_how_live_ends_and_cuts_a_replay_short(
    run: Run, quick: None, synthetic: list[LiveSession], demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("realtime.headless.report", interrupted)
    chosen = ("--camera", "0", "--microphone", "none")
    assert run("live", "--headless", *chosen).exit_code == ExitCode.DONE
    assert run("live", "--headless", *chosen, "--seconds", 5).exit_code == ExitCode.INTERRUPTED
    assert run("replay", demo, "--headless").exit_code == ExitCode.INTERRUPTED


def test_ctrl_c_that_a_library_made_something_else_of_is_still_ctrl_c(
    run: Run, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        errors.interrupted.set()
        raise ImportError("numpy._core.multiarray failed to import")

    monkeypatch.setattr(LOADER, load)
    try:
        result = run("replay", demo, "--headless")
    finally:
        errors.interrupted.clear()
    assert result.exit_code == ExitCode.INTERRUPTED
    assert result.stderr == "msaf-live: stopped\n"


def test_nothing_to_listen_to(run: Run, no_devices: None) -> None:
    for arguments in (["live", "--headless"], ["live", "--camera", "none"]):
        result = run(*arguments)
        assert result.exit_code == ExitCode.NO_DEVICE
        assert result.stdout == ""
    result = run("devices")
    assert result.exit_code == ExitCode.NO_DEVICE
    assert result.stderr.splitlines() == ["no camera", "no microphone"]


def test_both_switched_off_is_wrong_use(run: Run) -> None:
    result = run("live", "--camera", "none", "--microphone", "None")
    assert result.exit_code == ExitCode.WRONG_USE
    assert "both are switched off" in result.stderr


def test_a_microphone_that_was_declined_is_not_said_to_be_missing(
    run: Run, no_devices: None
) -> None:
    result = run("live", "--headless", "--microphone", "none")
    assert result.exit_code == ExitCode.NO_DEVICE
    assert "no camera was found, and the microphone is switched off: plug" in result.stderr


def test_without_devices_the_demo_is_shown(
    run: Run, quick: None, no_devices: None, no_screen: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.headless.paced", lambda predictions, *_: predictions)
    result = run()
    assert result.exit_code == 0, result.stderr
    assert "demo" in result.stderr
    assert len(result.stdout.splitlines()) > 20


def test_the_demo_is_shown_for_as_long_as_live_was_asked_for(
    run: Run, quick: None, no_devices: None, no_screen: None
) -> None:
    result = run("--seconds", "0.55")
    assert result.exit_code == 0, result.stderr
    assert len(result.stdout.splitlines()) == 5


def test_without_a_sound_library_that_is_said(
    run: Run,
    quick: None,
    synthetic: list[LiveSession],
    windows: list[tuple[Any, dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from realtime.devices.listing import CameraInfo

    monkeypatch.setitem(sys.modules, "sounddevice", None)  # as if importing it failed
    monkeypatch.setattr(
        "realtime.devices.choice.list_cameras", lambda: Listing([CameraInfo(index=0, name="Lid")])
    )
    result = run("live", "--headless", "--seconds", "0.5")
    assert (result.exit_code, synthetic[0].microphone) == (0, None)
    assert "msaf-live: The sound" in result.stderr
    assert run("live").exit_code == 0
    monkeypatch.setattr("realtime.devices.choice.list_cameras", lambda: Listing((), "no camera"))
    assert run("live").exit_code == 0
    with_camera, demo = (how["options"].notice for _, how in windows)
    assert with_camera.startswith("The sound system")
    assert demo.startswith("No camera or microphone found: this is the demo recording. The sound")


def test_devices_are_listed_with_what_they_can_do(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from realtime.devices.listing import CameraInfo, CameraMode

    camera = CameraInfo(index=2, name="Studio", modes=(CameraMode(1280, 720, 30.0),))
    monkeypatch.setattr("realtime.devices.choice.list_cameras", lambda: Listing([camera]))
    monkeypatch.setattr(
        "realtime.devices.choice.list_microphones", lambda: Listing((), "none found")
    )
    result = run("devices")
    assert result.exit_code == 0
    assert "Studio" in result.stdout
    assert "1280×720" in result.stdout
    assert "none found" in result.stderr


def test_a_microphone_s_number_is_what_it_stands_for_now(
    run: Run, windows: list[tuple[Any, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from realtime.devices.listing import MicrophoneInfo

    headset = MicrophoneInfo(
        index=4,
        name="Headset",
        selector="Headset",
        channels=1,
        sample_rate=48000,
        host_api="ALSA",
        is_default=False,
    )
    monkeypatch.setattr("realtime.devices.choice.list_microphones", lambda: Listing([headset]))
    for chosen in ("4", "5", "head"):
        assert run("live", "--camera", "0", "--microphone", chosen).exit_code == 0
    assert [session.microphone for session, _ in windows] == ["Headset", "5", "head"]
    assert "4" in run("devices").stdout.split()


# -- the window -------------------------------------------------------------------------------


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """Instead of windows: the sessions that they were to show, and how."""
    shown: list[tuple[Any, dict[str, Any]]] = []

    def run_window(session: Any, _factory: Any, **how: Any) -> int:
        shown.append((session, how))
        return 0

    monkeypatch.setattr("ui.app.run_window", run_window)
    monkeypatch.setattr("realtime.headless.has_screen", lambda: True)
    return shown


@pytest.mark.parametrize("speed", ["0.1", "8"])
def test_the_window_plays_at_no_speed_that_it_cannot(
    run: Run, windows: list[tuple[Any, dict[str, Any]]], demo: Path, speed: str
) -> None:
    result = run("replay", demo, "--speed", speed)
    assert result.exit_code == ExitCode.WRONG_USE
    assert f"0.25 to 4, not {speed}" in result.stderr
    assert not windows
    assert run("replay", demo, "--speed", "max").exit_code == 0
    assert windows[0][0].playback.speed == 4.0


def test_an_address_is_no_recording(run: Run) -> None:
    for typed, advice in (
        ("http://10.0.0.20:8080/video", "cameras go to `live --camera`"),
        ("file:///home/talk.mp4", "give its path"),
    ):
        result = run("replay", typed, "--headless")
        assert result.exit_code == ExitCode.WRONG_USE
        told = f"is an address, and a recording has to be a file: {advice}"
        assert told in shown(result.stderr)


def test_a_recording_too_short_for_an_answer_gets_a_sentence(
    run: Run, quick: None, tmp_path: Path
) -> None:
    path = movie(tmp_path / "short.mp4", seconds=0.05)
    result = run("replay", path, "--headless")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "too short" in result.stderr


def test_a_screen_gets_a_window(
    run: Run, windows: list[tuple[Any, dict[str, Any]]], no_devices: None, demo: Path
) -> None:
    assert run("live", "--camera", "10.0.0.1/video", "--seconds", 5).exit_code == 0
    assert run("replay", demo, "--speed", "2").exit_code == 0
    assert run("--seconds", 7).exit_code == 0
    live, replay, fallback = (session for session, _ in windows)
    assert live.camera == "http://10.0.0.1/video"
    assert live.microphone is None
    assert (replay.path, replay.playback.speed) == (demo, 2.0)
    assert fallback.path == demo
    told = (
        "No camera or microphone found: this is the demo recording. "
        "Connect one, then choose Go live"
    )
    deaf = "No microphone was found: only the face is judged"
    assert [how["options"].notice for _, how in windows] == [deaf, "", told]
    how = windows[0][1]
    assert how["options"].version.startswith("0.")
    assert [how["seconds"] for _, how in windows] == [5.0, None, 7.0]
    assert [list(each) for each in how["list_devices"]()] == [[], []]


def test_devices_are_not_looked_for_twice_at_the_start(
    run: Run, windows: list[tuple[Any, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That opens cameras where the system has no list of them."""
    looked: list[str] = []

    def look(kind: str, found: Listing[Any]) -> Listing[Any]:
        looked.append(kind)
        return found

    cameras, microphones = Listing([CameraInfo(index=0, name="Lid")]), Listing[Any]()
    for name, found in (("list_cameras", cameras), ("list_microphones", microphones)):
        monkeypatch.setattr(f"realtime.devices.choice.{name}", partial(look, name, found))
    assert run("live").exit_code == 0
    ((_, how),) = windows
    assert how["list_devices"]() == (cameras, microphones)
    assert len(looked) == 2
    how["list_devices"]()  # asked for by the person
    assert len(looked) == 4


def test_the_window_shows_the_classes_and_modalities_of_the_network(
    run: Run, windows: list[tuple[Any, dict[str, Any]]], tmp_path: Path
) -> None:
    weights = tmp_path / "weights.safetensors"
    network = LiveNet(LiveNetConfig(labels=("calm", "loud")))
    live = ("live", "--camera", "0", "--microphone", "none", "--weights", weights)
    assert run(*live).exit_code == 0
    LIVE_FORMAT.save(weights, network, network.config, {})
    assert run(*live).exit_code == 0
    labels = [how["options"].labels for _, how in windows]
    assert labels == [EMOTIONS, ("calm", "loud")]
    for session, how in windows:
        assert how["options"].config is session.config
        assert how["options"].modalities == MODALITIES


@pytest.fixture
def close_when(
    qapp: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[Callable[[Any, Snapshot], bool]], None]:
    """Real windows: each is closed once what it shows is as wanted."""
    from PyQt6.QtCore import QSettings, QTimer

    from ui.main_window import MainWindow

    QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, str(tmp_path))
    start = MainWindow.start

    def close(wanted: Callable[[Any, Snapshot], bool]) -> None:
        def started(window: MainWindow) -> None:
            def look(snapshot: Snapshot) -> None:
                if wanted(window, snapshot):
                    QTimer.singleShot(0, window.close)  # not amid a poll

            window.bridge.polled.connect(look)
            start(window)

        monkeypatch.setattr(MainWindow, "start", started)

    return close


@pytest.mark.parametrize("window", [[], ["--headless"]])
def test_a_recording_that_is_not_there_leaves_the_table_of_before(
    run: Run,
    windows: list[tuple[Any, dict[str, Any]]],
    tmp_path: Path,
    window: list[str],
) -> None:
    table = tmp_path / "old.csv"
    table.write_text("precious")
    result = run("replay", tmp_path / "nosuch.mp4", "--out", table, *window)
    assert result.exit_code == ExitCode.UNREADABLE_FILE
    assert table.read_text() == "precious"
    assert not windows


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("window", [[], ["--headless"]])
def test_a_recording_is_not_written_over_by_its_answers(
    run: Run,
    windows: list[tuple[Any, dict[str, Any]]],
    demo: Path,
    tmp_path: Path,
    window: list[str],
) -> None:
    recording, table = tmp_path / "talk.csv", tmp_path / "table.csv"
    recording.write_bytes(demo.read_bytes())
    table.symlink_to(recording)
    for out in (recording, table):
        result = run("replay", recording, "--out", out, *window)
        assert result.exit_code == ExitCode.WRONG_USE
        assert f"{out} is the recording itself" in result.stderr
    assert recording.read_bytes() == demo.read_bytes()
    assert not windows


def test_weights_that_are_damaged_leave_the_table_of_before(
    run: Run, demo: Path, tmp_path: Path
) -> None:
    table, weights = tmp_path / "old.csv", tmp_path / "weights.safetensors"
    table.write_text("precious")
    weights.write_bytes(b"not weights")
    result = run(
        "replay", demo, "--headless", "--device", "cpu", "--weights", weights, "--out", table
    )
    assert result.exit_code == ExitCode.DAMAGED_WEIGHTS
    assert table.read_text() == "precious"


def test_a_window_that_is_closed_while_loading_leaves_the_table_of_before(
    run: Run,
    close_when: Callable[..., None],
    demo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def endless(*_: object, progress: Progress, **__: object) -> EmotionNetwork:
        while True:
            progress(0.5, "Counting")
            time.sleep(0.01)

    monkeypatch.setattr(LOADER, endless)
    close_when(lambda *_: True)
    table = tmp_path / "old.csv"
    table.write_text("precious")
    assert run("replay", demo, "--out", table).exit_code == ExitCode.INTERRUPTED
    assert table.read_text() == "precious"


def test_a_table_that_cannot_be_written_is_refused_before_anything_is_loaded(
    run: Run, demo: Path, tmp_path: Path
) -> None:
    result = run("replay", demo, "--headless", "--out", tmp_path / "nowhere" / "table.csv")
    assert result.exit_code == ExitCode.UNREADABLE_FILE
    assert "Analysing" not in result.stderr


def test_the_window_writes_the_file_that_was_asked_for(
    run: Run, quick: None, close_when: Callable[..., None], opening: Path, tmp_path: Path
) -> None:
    beside, alone = tmp_path / "beside.csv", tmp_path / "alone.csv"

    def said(window: Any, _: Snapshot) -> bool:
        notice = window.views.banner.notice
        return notice is not None and f"answers written to {beside}" in notice.text

    close_when(said)
    result = run("replay", opening, "--out", beside)
    assert (result.exit_code, result.stdout) == (0, "")
    count = len(beside.read_text().splitlines()) - 1
    assert result.stderr == f"{count} answers written to {beside}\n"
    run("replay", opening, "--headless", "--out", alone)
    assert beside.read_bytes() == alone.read_bytes()


def test_a_window_that_is_closed_early_says_how_far_its_file_goes(
    run: Run, quick: None, close_when: Callable[..., None], demo: Path, tmp_path: Path
) -> None:
    close_when(lambda *_: True)
    out = tmp_path / "part.jsonl"
    result = run("replay", demo, "--out", out)
    assert result.exit_code == ExitCode.INTERRUPTED
    count = len(out.read_text().splitlines())
    assert "the analysis was not at its end" in result.stderr
    assert f"{count} answer" in result.stderr
    assert f"written to {out}" in result.stderr.strip().replace("\n", "")


@pytest.mark.logs_warnings
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
@pytest.mark.parametrize("live", [False, True])
def test_a_window_whose_file_cannot_be_written_ends_with_that(
    run: Run,
    quick: None,
    close_when: Callable[..., None],
    synthetic: list[LiveSession],
    demo: Path,
    tmp_path: Path,
    live: bool,
) -> None:
    close_when(lambda _, snapshot: "no longer written" in " ".join(snapshot.flaws))
    full = tmp_path / "full.csv"
    full.symlink_to("/dev/full")
    command = ("live", "--camera", "0", "--microphone", "default") if live else ("replay", demo)
    result = run(*command, "--out", full)
    assert result.exit_code == ExitCode.UNREADABLE_FILE
    assert "no room left on the disk" in result.stderr


@pytest.mark.logs_warnings
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
def test_live_answers_that_cannot_be_written_end_with_that(
    run: Run,
    quick: None,
    synthetic: list[LiveSession],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("realtime.live.WRITING_SECONDS", 60.0)  # they are the very last to be done
    full = tmp_path / "full.csv"
    full.symlink_to("/dev/full")
    result = run(*LIVE, "--headless", "--out", full)
    assert result.exit_code == ExitCode.UNREADABLE_FILE
    assert "no room left on the disk" in result.stderr


@pytest.mark.logs_warnings
def test_live_without_its_camera_leaves_nothing_in_the_way_of_another_try(
    run: Run, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.headless.DEVICE_PATIENCE_SECONDS", 1.0)
    out = tmp_path / "a.csv"
    nowhere = ("--camera", "http://127.0.0.1:9/video", "--microphone", "none")
    for _ in range(2):
        result = run("live", "--headless", *nowhere, "--out", out)
        assert result.exit_code == ExitCode.NO_DEVICE
        assert "Summary" not in result.stderr
        assert out.read_bytes() == b""


def test_sessions_share_one_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loads: list[str] = []
    told: list[str] = []
    loading, asked = threading.Event(), threading.Event()

    def load(*_: object, progress: Callable[[float, str], None], **_options: Any) -> Any:
        loads.append(threading.current_thread().name)
        if len(loads) == 1:
            raise RuntimeError("no room in memory")
        loading.set()
        assert asked.wait(30.0)
        progress(0.5, "preparing")
        return arithmetic_network()

    monkeypatch.setattr(LOADER, load)
    task = emotion_task(tmp_path / "weights", "cpu")
    networks: dict[str, Any] = {}

    def ask(name: str) -> None:
        networks[name] = task.load(lambda _fraction, _text: told.append(name))

    with pytest.raises(RuntimeError, match="no room"):
        ask("failing")
    old, new = (threading.Thread(target=ask, args=(name,), name=name) for name in ("old", "new"))
    old.start()
    assert loading.wait(30.0)
    new.start()
    asked.set()
    for thread in (old, new):
        thread.join(30.0)
    assert told == ["old"]
    assert networks["old"] is networks["new"]
    assert loads == ["MainThread", "old"]


# -- training ---------------------------------------------------------------------------------


def test_training_without_its_data(run: Run, tmp_path: Path) -> None:
    folders = ("--data-root", tmp_path / "nowhere", "--work-dir", tmp_path / "runs")
    result = run("train", "live", *folders, "--device", "cpu")
    assert result.exit_code == ExitCode.NO_TRAINING_DATA, result.stderr
    assert "nowhere" in result.stderr
    assert run("train", "live", *folders, "--stage", "ears").exit_code == ExitCode.WRONG_USE
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("sead = 1")
    result = run("train", "live", *folders, "--config", recipe)
    assert result.exit_code == ExitCode.WRONG_USE
    assert "did you mean seed" in result.stderr


def test_a_stage_that_others_follow_is_no_failure(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.training.live.train.train_live", lambda *_: None)
    result = run("train", "live", "--stage", "face", "--work-dir", tmp_path, "--device", "cpu")
    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["prepare", "ravdess", "--root", "."],
        ["train", "live", "--stage", "ears"],
        ["train", "live", "--config", "nowhere.toml"],
        ["train", "live", "--seed", "-1"],
        ["train", "mosei", "--root", ".", "--seed", str(2**32)],
        ["train", "ravdess", "--root", ".", "--config", "nowhere.toml"],
        ["evaluate", "fusion", "--task", "foo"],
        ["evaluate", "fusion", "--voice", "foo"],
        ["evaluate", "fusion", "--seeds", "1"],
        ["bench", "--msaf", "--minutes", "60"],
        ["bench", "--msaf", "--no-paper"],
    ],
)
def test_a_wrong_argument_is_told_of_before_a_missing_package(
    run: Run, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "models.training", None)
    assert run(*arguments).exit_code == ExitCode.WRONG_USE


def test_what_can_be_chosen_is_what_there_is() -> None:
    from models.paper.convert import KINDS
    from models.training.live.train import STAGES
    from models.training.study.emotion import VOICES
    from models.training.study.tasks import TASKS

    def choices(command: Callable[..., None], option: str) -> tuple[str, ...]:
        return get_args(get_type_hints(command)[option])

    assert set(choices(main.convert, "kind")) == set(KINDS)
    assert set(choices(commands.evaluate_fusion, "task")) == {*TASKS, "all"}
    assert set(choices(commands.evaluate_fusion, "voice")) == {*VOICES, "all"}
    assert tuple(commands.Stage) == STAGES


def test_evaluating_weights_that_are_not_there(run: Run, tmp_path: Path) -> None:
    result = run("evaluate", "live", "--weights", tmp_path / "none.safetensors", "--device", "cpu")
    assert result.exit_code == ExitCode.DAMAGED_WEIGHTS


# -- failures ---------------------------------------------------------------------------------


def test_every_failure_that_has_a_code_exists() -> None:
    for name in errors._CODES:
        module, _, kind = name.rpartition(".")
        assert issubclass(getattr(importlib.import_module(module), kind), BaseException)


def test_each_kind_of_failure_is_one_sentence() -> None:
    from realtime.sources.base import NoDeviceError

    assert errors.explain(NoDeviceError("the camera\nis gone")) == (
        ExitCode.NO_DEVICE,
        "the camera is gone",
    )
    assert errors.explain(PermissionError(13, "Permission denied", "a.csv")) == (
        ExitCode.UNREADABLE_FILE,
        "a.csv: permission denied",
    )
    assert errors.explain(OSError(28, "No space left on device"))[1] == "no room left on the disk"
    assert errors.explain(KeyboardInterrupt())[0] is ExitCode.INTERRUPTED
    assert errors.explain(ZeroDivisionError("x"))[0] is ExitCode.UNEXPECTED


def test_the_unexpected_names_the_log_file(
    run: Run, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(LOADER, broken)
    result = run("replay", demo, "--headless")
    assert result.exit_code == ExitCode.UNEXPECTED
    assert "ZeroDivisionError: by zero" in result.stderr
    log = Path(result.stderr.rpartition("details in ")[2].strip().removesuffix(")"))
    assert "Traceback" in log.read_text()


# -- as a process of its own ------------------------------------------------------------------


@pytest.fixture
def process() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the program as a person does."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "main.py", *map(str, arguments)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()


needs_weights = pytest.mark.skipif(not default_weights().is_file(), reason="no weights here")


def test_help_comes_at_once(process: Callable[..., subprocess.Popen[str]]) -> None:
    program = process("--help")
    out, _ = program.communicate(timeout=60)
    assert program.returncode == 0
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "main.py", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    names = {line.rpartition("|")[2].strip() for line in loaded.splitlines()}
    assert not names & {"numpy", "torch", "cv2", "PyQt6", "av", "mediapipe"}
    ours = {name for name in names if name.startswith("models.")}
    assert ours == {"models.options", "models.training", "models.training.commands"}
    assert "Examples" in out


@needs_weights
def test_only_answers_on_stdout_and_no_chatter_on_stderr(
    process: Callable[..., subprocess.Popen[str]], opening: Path
) -> None:
    program = process("replay", opening, "--headless", "--device", "cpu")
    out, err = program.communicate(timeout=150)
    assert program.returncode == 0, err
    assert all("window_end" in json.loads(line) for line in out.splitlines())
    steps, _, _ = err.partition("Summary")
    assert steps.splitlines()[0] == "Checking the weights"
    assert {"Ready", "Analysing opening.mp4"} < set(steps.split("\n"))
    assert len(set(steps.split("\n"))) >= len(steps.strip().split("\n"))  # each is told once
    assert "TensorFlow" not in err
    again, _ = process("replay", opening, "--headless", "--device", "cpu").communicate(timeout=150)
    assert again == out


@needs_weights
def test_no_chatter_on_stderr_beside_the_window(
    process: Callable[..., subprocess.Popen[str]],
) -> None:
    nowhere = "http://127.0.0.1:9/"  # the face detector is loaded all the same, and talks
    program = process(
        "--camera", nowhere, "--microphone", "none", "--seconds", 6, "--device", "cpu"
    )
    out, err = program.communicate(timeout=150)
    assert (program.returncode, out, err) == (0, "", "")


@needs_weights
def test_a_window_that_is_closed_at_once_ends_well(
    process: Callable[..., subprocess.Popen[str]],
) -> None:
    nowhere = "http://127.0.0.1:9/"  # meanwhile the face detector is loaded
    program = process(
        "--camera", nowhere, "--microphone", "none", "--seconds", 0.1, "--device", "cpu"
    )
    _, err = program.communicate(timeout=150)
    assert program.returncode == 0, err


def test_a_window_on_damaged_weights_ends_with_their_code(
    process: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"not weights")
    program = process(
        "--camera", "http://127.0.0.1:9/", "--microphone", "none", "--seconds", 0.1,
        "--device", "cpu", "--weights", damaged,
    )  # fmt: skip
    _, err = program.communicate(timeout=150)
    assert program.returncode == ExitCode.DAMAGED_WEIGHTS, err
    assert err.startswith("msaf-live: ")
    assert "damaged" in err


@needs_weights
@pytest.mark.skipif(os.name == "nt", reason="signals as on POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_in_two_seconds(
    process: Callable[..., subprocess.Popen[str]], demo: Path, number: signal.Signals
) -> None:
    program = process("replay", demo, "--headless", "--speed", "0.5", "--device", "cpu")
    assert program.stdout is not None
    assert program.stdout.readline()
    program.send_signal(number)
    asked = time.monotonic()
    _, err = program.communicate(timeout=30)
    assert program.returncode == ExitCode.INTERRUPTED
    assert "msaf-live: stopped" in err
    assert time.monotonic() - asked < 3.0  # two are promised; machines that test are busy


@needs_weights
@pytest.mark.skipif(os.name == "nt", reason="signals as on POSIX")
def test_ctrl_c_ends_live_answers_too(
    process: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    table = tmp_path / "live.jsonl"
    with MjpegServer([np.full((240, 320, 3), 90, np.uint8)]) as camera:
        program = process(
            "live", "--headless", "--camera", camera.url, "--microphone", "none",
            "--device", "cpu", "--out", table,
        )  # fmt: skip
        assert program.stdout is not None
        first = program.stdout.readline()
        program.send_signal(signal.SIGINT)
        asked = time.monotonic()
        out, err = program.communicate(timeout=30)
    assert program.returncode == ExitCode.DONE, err
    assert time.monotonic() - asked < 3.0
    lines = (first + out).splitlines()
    assert set(lines) <= set(table.read_text().splitlines())
    assert f"writtento{table}" in "".join(err.split())  # which is folded


@needs_weights
def test_live_answers_go_on_into_their_file_when_the_reader_leaves(
    process: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    table = tmp_path / "live.jsonl"
    with MjpegServer([np.full((240, 320, 3), 90, np.uint8)]) as camera:
        program = process(
            "live", "--headless", "--camera", camera.url, "--microphone", "none",
            "--device", "cpu", "--out", table, "--seconds", "2",
        )  # fmt: skip
        assert program.stdout is not None
        assert program.stdout.readline()
        program.stdout.close()
        assert program.stderr is not None
        err = program.stderr.read()
        assert program.wait(timeout=60) == ExitCode.DONE, err
    assert len(table.read_text().splitlines()) > 5
    assert f"writtento{table}" in "".join(err.split())


@needs_weights
@pytest.mark.skipif(os.name == "nt", reason="signals as on POSIX")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["replay", "{demo}"], ExitCode.DONE),  # the window
        (["replay", "{demo}", "--headless"], ExitCode.INTERRUPTED),
    ],
)
def test_leaving_while_the_network_is_prepared_leaves_nothing_behind(
    process: Callable[..., subprocess.Popen[str]],
    demo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: ExitCode,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    program = process(*(each.format(demo=demo) for each in arguments), "--device", "cpu")
    graphs = tmp_path / "msaf-live" / "graphs"
    while not list(graphs.glob("making-*")):
        assert program.poll() is None
        time.sleep(0.01)
    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=60)
    assert program.returncode == code, err
    assert err.endswith("" if code is ExitCode.DONE else "msaf-live: stopped\n")
    assert not list(graphs.iterdir())  # it was broken off, not waited for


@pytest.mark.parametrize(
    ("thread", "several", "left"),
    [(True, False, True), (False, True, True), (False, False, False)],
)
def test_what_was_left_does_not_meet_the_interpreter_s_end(
    thread: bool, several: bool, left: bool
) -> None:
    """A thread, or torch's own of a training on several processes."""
    script = (
        "import atexit, sys, threading, main\n"
        "atexit.register(print, 'the end')\n"
        "thread = threading.Thread(target=threading.Event().wait, daemon=True)\n"
        f"thread.start() if {thread} else None\n"
        "sys.argv = ['main.py', 'devices', '--no-such-option']\n"
        "main.main()\n"
    )
    environment = os.environ | ({"MASTER_ADDR": "127.0.0.1"} if several else {})
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == ExitCode.WRONG_USE
    assert "--no-such-option" in ended.stderr
    assert ("the end" in ended.stdout) is not left


@needs_weights
def test_a_reader_that_leaves_ends_it_quietly(
    process: Callable[..., subprocess.Popen[str]], demo: Path
) -> None:
    program = process("replay", demo, "--headless", "--device", "cpu")
    assert program.stdout is not None
    assert program.stdout.readline()
    program.stdout.close()
    assert program.stderr is not None
    err = program.stderr.read()
    assert program.wait(timeout=60) == ExitCode.DONE, err
    assert "Traceback" not in err


@needs_weights
def test_a_file_is_written_to_its_end_though_the_reader_leaves(
    process: Callable[..., subprocess.Popen[str]], opening: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.jsonl"
    program = process("replay", opening, "--headless", "--out", table, "--device", "cpu")
    assert program.stdout is not None
    assert program.stdout.readline()
    program.stdout.close()
    assert program.stderr is not None
    err = program.stderr.read()
    assert program.wait(timeout=60) == ExitCode.DONE, err
    lines = table.read_text().splitlines()
    assert len(lines) > 70
    assert f"{len(lines)} answers written to" in err


@needs_weights
@pytest.mark.skipif(os.name == "nt", reason="descriptors as on POSIX")
def test_nobody_need_read_what_is_told(opening: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    reading, writing = os.pipe()
    os.close(reading)
    program = subprocess.run(
        [sys.executable, "main.py", "replay", opening, "--headless", "--out", table],
        cwd=ROOT,
        stderr=writing,
        preexec_fn=lambda: os.close(1),  # as a shell does for `>&-`
        timeout=150,
    )
    os.close(writing)
    assert program.returncode == ExitCode.DONE
    assert len(table.read_text().splitlines()) > 45


@pytest.fixture
def full_disk() -> Iterator[IO[str]]:
    """A file that takes nothing."""
    if not Path("/dev/full").exists():
        pytest.skip("no such device here")
    with open("/dev/full", "w") as full:  # noqa: PTH123
        yield full


def ended(*arguments: str | Path, **streams: Any) -> subprocess.CompletedProcess[str]:
    """The program as a process of its own, at its end."""
    program = [sys.executable, "main.py", *map(str, arguments)]
    return subprocess.run(program, cwd=ROOT, text=True, timeout=150, **streams)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["replay", "--help"]])
def test_help_that_cannot_be_written(full_disk: IO[str], arguments: list[str]) -> None:
    result = ended(*arguments, stdout=full_disk, stderr=subprocess.PIPE)
    assert result.returncode == ExitCode.UNREADABLE_FILE
    assert result.stderr == "msaf-live: no room left on the disk\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--version"], ExitCode.DONE),
        (["frobnicate"], ExitCode.WRONG_USE),
        (["replay", "nowhere.mp4", "--headless"], ExitCode.UNREADABLE_FILE),
    ],
)
def test_what_is_told_may_be_lost_and_the_code_stays(
    full_disk: IO[str], arguments: list[str], code: ExitCode
) -> None:
    assert ended(*arguments, stderr=full_disk).returncode == code
    closed = ended(*arguments, preexec_fn=lambda: os.close(2))  # as a shell does for `2>&-`
    assert closed.returncode == code


@needs_weights
def test_answers_are_whole_though_what_is_told_is_lost(
    full_disk: IO[str], opening: Path, tmp_path: Path
) -> None:
    replay = ("replay", opening, "--headless", "--out", table := tmp_path / "table.jsonl")
    result = ended(*replay, stdout=subprocess.PIPE, stderr=full_disk)
    assert result.returncode == ExitCode.DONE
    assert len(result.stdout.splitlines()) > 45
    assert table.read_text() == result.stdout


@needs_weights
def test_a_file_has_the_answers_that_standard_output_had_no_room_for(
    full_disk: IO[str], opening: Path, tmp_path: Path
) -> None:
    replay = ("replay", opening, "--headless", "--out", table := tmp_path / "table.jsonl")
    result = ended(*replay, stdout=full_disk, stderr=subprocess.PIPE)
    assert result.returncode == ExitCode.UNREADABLE_FILE
    assert "msaf-live: no room left on the disk" in result.stderr
    assert json.loads(table.read_text().splitlines()[0])["window_end"] == 0.1


def test_help_may_be_read_in_part(process: Callable[..., subprocess.Popen[str]]) -> None:
    program = process("--help")
    assert program.stdout is not None
    program.stdout.close()
    _, err = program.communicate(timeout=60)
    assert (program.returncode, err) == (ExitCode.DONE, "")


@needs_weights
@pytest.mark.skipif(sys.platform != "linux", reason="limits as on Linux")
def test_a_reader_that_leaves_costs_no_file_per_answer(
    process: Callable[..., subprocess.Popen[str]], demo: Path, tmp_path: Path
) -> None:
    """Fewer files may be open than there are answers."""
    import resource

    out = tmp_path / "answers.jsonl"
    program = process("replay", demo, "--headless", "--device", "cpu", "--out", out)
    resource.prlimit(program.pid, resource.RLIMIT_NOFILE, (120, 120))
    assert program.stdout is not None
    assert program.stdout.readline()
    program.stdout.close()
    assert program.stderr is not None
    err = program.stderr.read()
    assert program.wait(timeout=120) == ExitCode.DONE, err
    assert len(out.read_text().splitlines()) > 150


@needs_weights
@pytest.mark.skipif(sys.platform != "linux", reason="it asks Linux what the program waits for")
def test_sigterm_ends_it_while_nobody_reads(
    process: Callable[..., subprocess.Popen[str]], demo: Path
) -> None:
    program = process("replay", demo, "--headless", "--device", "cpu")
    assert program.stderr is not None
    waits = Path(f"/proc/{program.pid}/wchan")
    deadline = time.monotonic() + 60.0
    while "pipe_write" not in waits.read_text():  # what it says stands in the pipe, which is full
        assert program.poll() is None
        assert time.monotonic() < deadline, "it does not wait"
        time.sleep(0.01)
    program.send_signal(signal.SIGTERM)
    err = program.stderr.read()  # to its end, which is the program's
    assert program.wait(timeout=60) == ExitCode.INTERRUPTED
    assert err.endswith("msaf-live: stopped\n")


@pytest.mark.skipif(os.name == "nt", reason="signals as on POSIX")
def test_ctrl_c_while_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "typer.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ended = subprocess.run(
        [sys.executable, "main.py"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")  # to a shell, that is 130


@pytest.mark.skipif(os.name == "nt", reason="signals as on POSIX")
def test_a_second_ctrl_c_does_not_break_off_the_end() -> None:
    script = (
        "import atexit, os, signal, sys, main\n"
        "atexit.register(lambda: print(os.kill(os.getpid(), signal.SIGINT)))\n"
        "sys.argv = ['main.py', 'devices', '--no-such-option']\n"
        "main.main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == ExitCode.WRONG_USE
    assert "Traceback" not in ended.stderr


def test_a_missing_training_package_is_said_with_how_to_get_it() -> None:
    code, sentence = errors.explain(ModuleNotFoundError("No module named 'soxr'", name="soxr"))
    assert code is ExitCode.NO_TRAINING_DATA
    assert "soxr" in sentence
    assert '-e ".[train]"' in sentence
    assert errors.explain(ModuleNotFoundError("none", name="other"))[0] is ExitCode.UNEXPECTED


def test_answers_that_could_not_be_written_are_told_of_at_the_end_whatever_came_after() -> None:
    sessions = Sessions(emotion_task(None, "cpu"))
    lost = OSError(errno.ENOSPC, "No space left", "session.csv")
    sessions.replay(main.DEMO).unwritten = lost
    sessions.live(None, None)
    with pytest.raises(OSError, match=r"session\.csv"):
        sessions.raise_failure()


def test_what_fails_of_its_own_after_ctrl_c_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    errors.interrupted.set()
    try:
        codes = []
        for failure in (OSError(errno.ENOSPC, "No space left", "a.csv"), ImportError("half")):
            with pytest.raises(typer.Exit) as ended, main._failures_told():
                raise failure
            codes.append(ended.value.exit_code)
    finally:
        errors.interrupted.clear()
    assert codes == [ExitCode.UNREADABLE_FILE, ExitCode.INTERRUPTED]
    assert capsys.readouterr().err == (
        "msaf-live: a.csv: no room left on the disk\nmsaf-live: stopped\n"
    )


def test_the_window_is_told_which_files_are_no_recordings(tmp_path: Path) -> None:
    sessions = Sessions(emotion_task(tmp_path / "weights", "cpu"))
    sessions.check(main.DEMO)
    (tmp_path / "note.txt").write_text("milk, bread\n")
    for path in (tmp_path / "note.txt", tmp_path, tmp_path / "none.mp4"):
        with pytest.raises(UnreadableFileError):
            sessions.check(path)

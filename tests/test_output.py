"""Logs, answers and the chatter of native libraries each go where they belong."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime import output
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def logs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder for log files; the root logger is afterwards as it was."""
    monkeypatch.setattr(output, "log_directory", lambda: tmp_path / "logs")
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield tmp_path / "logs"
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers[:] = before
    root.setLevel(level)
    for name in ("main", "models", "realtime", "ui"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def use_own_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write to the process's own streams, which lead into the test's capture of descriptors.

    Called by the test itself: between a test's phases pytest puts its own streams back.
    """
    monkeypatch.setattr(sys, "stdout", sys.__stdout__)
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)


@pytest.mark.logs_warnings
def test_warnings_are_shown_and_more_is_kept(
    logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output.set_up_logging()
    logger = logging.getLogger("realtime.example")
    logger.warning("shown")
    logger.info("kept")
    logger.debug("neither")
    shown, kept = capsys.readouterr().err, (logs / "msaf-live.log").read_text()
    assert shown == "msaf-live: shown\n"
    assert "shown" in kept
    assert "kept" in kept
    assert "neither" not in kept
    output.set_up_logging(2)
    logger.debug("all of it")
    assert "DEBUG realtime.example: all of it" in capsys.readouterr().err


def test_a_home_that_cannot_be_written_to_is_no_obstacle(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(output, "log_directory", lambda: tmp_path / "file" / "logs")
    output.set_up_logging()
    with output.native_chatter_in_file():
        pass


@pytest.mark.logs_warnings
def test_only_python_reaches_the_terminal(
    monkeypatch: pytest.MonkeyPatch, logs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    use_own_streams(monkeypatch)
    output.set_up_logging()
    streams = sys.stdout, sys.stderr
    with output.native_chatter_in_file():
        sys.stdout.write("answer\n")
        sys.stderr.write("progress\n")
        logging.getLogger("realtime.example").warning("careful")
        os.write(1, b"chatter on 1\n")
        os.write(2, b"chatter on 2\n")
    os.write(1, b"afterwards\n")
    out, err = capfd.readouterr()
    assert out == "answer\nafterwards\n"
    assert err.splitlines() == ["progress", "msaf-live: careful"]
    assert (logs / "native.log").read_text() == "chatter on 1\nchatter on 2\n"
    assert (sys.stdout, sys.stderr) == streams


def test_what_libraries_print_does_not_fill_the_disk(
    monkeypatch: pytest.MonkeyPatch, logs: Path
) -> None:
    """A camera's odd pictures are a line each, for as long as it runs."""
    use_own_streams(monkeypatch)
    monkeypatch.setattr(output, "_NATIVE_LOG_BYTES", 100)
    monkeypatch.setattr(output, "_NATIVE_LOG_SECONDS", 0.001)
    with output.native_chatter_in_file():
        os.write(2, b"x" * 200)
        deadline = time.monotonic() + 20.0
        while (logs / "native.log").stat().st_size:
            assert time.monotonic() < deadline, "it was not emptied"
            time.sleep(0.001)
        os.write(2, b"after")
    assert (logs / "native.log").read_text() == "after"


def test_a_log_that_another_program_holds_is_written_on(
    monkeypatch: pytest.MonkeyPatch, logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on Windows, where a file that is open cannot be given another name."""

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "rename", refuse)
    output.set_up_logging()
    (handler,) = [
        each for each in logging.getLogger().handlers if isinstance(each, output._RotatingFile)
    ]
    handler.maxBytes = 10
    for text in ("the first", "the second"):
        logging.getLogger("realtime.example").info(text)
    kept = (logs / "msaf-live.log").read_text()
    assert "the first" in kept
    assert "the second" in kept
    assert capsys.readouterr().err == ""


def test_libraries_are_told_how_to_behave_before_one_is_loaded() -> None:
    """OpenCV on Windows reads some of it as it is loaded, which the task does before a camera."""
    script = (
        "import main, sys, os\n"
        "main._set_up(0)\n"
        "assert 'cv2' not in sys.modules\n"
        "print(os.environ['OPENCV_VIDEOIO_MSMF_ENABLE_HW_TRANSFORMS'])\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, timeout=60
    )
    assert told.stdout.split() == [b"0"]


def test_captured_streams_are_left_alone(capsys: pytest.CaptureFixture[str], logs: Path) -> None:
    with output.native_chatter_in_file():
        sys.stdout.write("answer\n")
    assert capsys.readouterr().out == "answer\n"
    assert not logs.exists()


def test_a_reader_that_has_gone_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    use_own_streams(monkeypatch)
    kept = os.dup(1)
    reading, writing = os.pipe()
    os.dup2(writing, 1)
    os.close(writing)
    try:
        with output.native_chatter_in_file():
            os.close(reading)
            with pytest.raises(BrokenPipeError):
                sys.stdout.write("nobody reads this\n")
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
def test_a_failure_to_write_is_told_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    use_own_streams(monkeypatch)
    kept, full = os.dup(1), os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, 1)
    os.close(full)
    try:
        with pytest.raises(OSError, match="No space left"), output.native_chatter_in_file():
            sys.stdout.write("an answer\n")
        sys.stderr.write("no room\n")
        sys.stderr.flush()
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    assert capfd.readouterr().err == "no room\n"


@pytest.mark.logs_warnings
def test_a_name_that_is_no_text_can_be_told(
    monkeypatch: pytest.MonkeyPatch, logs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    use_own_streams(monkeypatch)
    name = os.fsdecode(b"\xff.mp4")
    output.set_up_logging()
    with output.native_chatter_in_file():
        sys.stdout.write(f"{name}\n")
        logging.getLogger("realtime.example").warning("%s", name)
    out, err = capfd.readouterr()
    assert out == "\\udcff.mp4\n"
    assert err == "msaf-live: \\udcff.mp4\n"
    assert "\\udcff.mp4" in (logs / "msaf-live.log").read_text()


@pytest.mark.skipif(os.name == "nt", reason="descriptors as on POSIX")
def test_closed_streams_are_not_taken_for_files(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from realtime.output import mend_streams\n"
        "for descriptor in range(3): os.close(descriptor)\n"
        "sys.stdin = sys.stdout = sys.stderr = None\n"
        "mend_streams()\n"
        "with open(sys.argv[1], 'w') as table:\n"
        "    print('an answer', flush=True)\n"
        "    os.write(1, b'chatter')\n"
        "    table.write('a row')\n"
    )
    table = tmp_path / "table.csv"
    subprocess.run([sys.executable, "-c", script, str(table)], cwd=ROOT, check=True, timeout=60)
    assert table.read_text() == "a row"

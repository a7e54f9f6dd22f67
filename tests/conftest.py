"""What every test gets: no screen, no real home, no thread or warning left behind unseen."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.recordings import first_seconds

ROOT = Path(__file__).resolve().parents[1]
OURS = ("main", "models", "realtime", "ui")
THREAD_PATIENCE_SECONDS = 3.0

# Before Qt, torch or the program are imported by any test.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks on shared cores
os.environ.pop("PYTHONUNBUFFERED", None)  # which hides what is lost when output is written at last
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="msaf-live-state-")  # log files
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

_started_by: dict[threading.Thread, str] = {}
_start = threading.Thread.start


def _remembering_start(thread: threading.Thread) -> None:
    """Start a thread and keep which line of this project asked for it."""
    callers = [
        frame
        for frame in traceback.extract_stack()[:-1]
        if not frame.filename.endswith(("threading.py", "thread.py"))
    ]
    path = Path(callers[-1].filename)
    if path.is_relative_to(ROOT) and "site-packages" not in path.parts:
        _started_by[thread] = f"{path.relative_to(ROOT)}:{callers[-1].lineno}"
    _start(thread)


threading.Thread.start = _remembering_start  # type: ignore[assignment, method-assign]


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    """Fail a test that leaves a thread of this project running, and name who started it."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + THREAD_PATIENCE_SECONDS
    while left := [
        thread
        for thread in threading.enumerate()
        if thread not in before and thread in _started_by and thread.is_alive()
    ]:
        if time.monotonic() > deadline:
            told = ", ".join(f"{each.name} (started by {_started_by[each]})" for each in left)
            pytest.fail(f"threads left running: {told}")
        time.sleep(0.01)
    for thread in [thread for thread in _started_by if not thread.is_alive()]:
        del _started_by[thread]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `gpu` where torch finds none; torch is loaded only if there is such."""
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if not wanting:
        return
    import torch

    if not torch.cuda.is_available():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="needs a GPU that torch can use"))


@pytest.fixture(autouse=True)
def _no_unexpected_warning(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test during which this project logs a warning or worse.

    A test that asks for `caplog`, or is marked `logs_warnings`, has its own view of that.
    """
    if "caplog" in request.fixturenames or request.node.get_closest_marker("logs_warnings"):
        yield
        return
    records: list[logging.LogRecord] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name.partition(".")[0] in OURS:
                records.append(record)

    collector = Collector(logging.WARNING)
    logging.getLogger().addHandler(collector)
    yield
    logging.getLogger().removeHandler(collector)
    if records:
        told = "; ".join(f"{each.name}: {each.getMessage()}" for each in records)
        pytest.fail(f"unexpected log messages: {told}")


@pytest.fixture(scope="session")
def demo() -> Path:
    """The recording that comes with the program."""
    return ROOT / "realtime" / "data" / "demo.mp4"


@pytest.fixture(scope="session")
def opening(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 8 s of the demo, face and voice: enough where its rest would change nothing."""
    return first_seconds(demo, tmp_path_factory.mktemp("opening") / "opening.mp4", 8.0)


@pytest.fixture(scope="session")
def clips() -> Path:
    """Folder of real clips beside the project; tests that want it are skipped without it."""
    folder = ROOT.parent / "shared" / "clips"
    if not folder.is_dir():
        pytest.skip("the clips are not here")
    return folder


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the training data; tests that want it are skipped without it."""
    folder = Path(os.environ.get("MSAF_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the training data is not here")
    return folder

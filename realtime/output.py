"""What the process writes where: logs, answers, and the chatter of native libraries.

Thread: main, before others are started. Logs go to standard error and to a rotating file; standard
output belongs to the answers.
"""

from __future__ import annotations

import faulthandler
import io
import logging
import logging.handlers
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import platformdirs

# Read by the libraries when they are loaded; what somebody has set stays.
_QUIET: Final = {
    "GLOG_minloglevel": "2",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}
# A file may have a name that is no UTF-8, which Python holds in surrogates.
_TEXT: Final[dict[str, Any]] = {"encoding": "utf-8", "errors": "backslashreplace"}


def log_directory() -> Path:
    """Where the log files are."""
    return Path(platformdirs.user_log_dir("msaf-live", appauthor=False))


def set_up_logging(verbosity: int = 0) -> None:
    """Send warnings (-v: more, -vv: all) to standard error, and more than that to a file.

    Warnings alone are for people, and look like everything else that the program tells them.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    console = logging.StreamHandler(sys.stderr)
    console.setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)])
    told = "%(levelname)s %(name)s: %(message)s" if verbosity else "msaf-live: %(message)s"
    console.setFormatter(logging.Formatter(told))
    handlers: list[logging.Handler] = [console]
    with suppress(OSError):  # a home that cannot be written to must not stop the program
        log_directory().mkdir(parents=True, exist_ok=True)
        handlers.append(
            logging.handlers.RotatingFileHandler(
                log_directory() / "msaf-live.log",
                maxBytes=1_000_000,
                backupCount=3,
                delay=True,
                **_TEXT,
            )
        )
        handlers[-1].setFormatter(
            logging.Formatter("%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s")
        )
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    if verbosity > 1:
        for name in ("main", "models", "realtime", "ui"):
            logging.getLogger(name).setLevel(logging.DEBUG)


class Told(io.TextIOWrapper):
    """Standard error, for people: what it cannot take is lost, and ends nothing."""

    def write(self, text: str, /) -> int:
        """See TextIOBase.write."""
        with suppress(OSError):  # nobody reads it any more, or the disk is full
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """See IOBase.flush."""
        with suppress(OSError):
            super().flush()

    def close(self) -> None:
        """See IOBase.close."""
        with suppress(OSError):
            super().close()


def mend_streams() -> None:
    """Lead standard streams that are closed, as after `>&-`, nowhere; make standard error `Told`.

    Otherwise the next files opened get descriptors 0 to 2, and native libraries' output ends up in
    them.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    # Of its own file object: who drops the one that was there closes what it writes to.
    sys.stderr = Told(os.fdopen(2, "wb", closefd=False), line_buffering=True, **_TEXT)


@contextmanager
def native_chatter_in_file() -> Iterator[None]:
    """Let only Python write to the terminal; what libraries print by themselves goes to a file.

    TensorFlow Lite and mediapipe write to the file descriptors directly. While the block runs those
    lead to `native.log`, and `sys.stdout` and `sys.stderr` keep the real ones. Where the streams
    are not the process's own (under a test's capture), nothing is changed.
    """
    try:
        ours = sys.stdout.fileno() == 1 and sys.stderr.fileno() == 2
    except (OSError, ValueError, AttributeError):
        ours = False
    if not ours:
        yield
        return
    path = Path(os.devnull)
    with suppress(OSError):
        log_directory().mkdir(parents=True, exist_ok=True)
        (log_directory() / "native.log").write_bytes(b"")
        path = log_directory() / "native.log"
    python_streams = sys.stdout, sys.stderr
    for stream in python_streams:
        stream.flush()
    with (
        path.open("ab") as sink,
        os.fdopen(os.dup(1), "w", buffering=1, **_TEXT) as out,
        Told(os.fdopen(os.dup(2), "wb"), line_buffering=True, **_TEXT) as err,
    ):
        for descriptor in (1, 2):
            os.dup2(sink.fileno(), descriptor)
        sys.stdout, sys.stderr = out, err
        handlers = [
            handler
            for handler in logging.getLogger().handlers
            if isinstance(handler, logging.StreamHandler) and handler.stream is python_streams[1]
        ]
        for handler in handlers:
            handler.setStream(err)
        faulthandler.enable(file=err)
        try:
            yield
        finally:
            faulthandler.disable()
            for handler in handlers:
                handler.setStream(python_streams[1])
            sys.stdout, sys.stderr = python_streams
            for descriptor, stream in ((1, out), (2, err)):
                try:
                    stream.flush()
                except OSError:  # nobody reads it, or the disk is full: what is left goes nowhere
                    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                        os.dup2(nowhere.fileno(), stream.fileno())
                os.dup2(stream.fileno(), descriptor)

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
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, TextIO

import platformdirs

from realtime.errors import interrupted

# Read by the libraries when they are loaded; what somebody has set stays.
_LIBRARIES: Final = {
    "GLOG_minloglevel": "2",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "OPENCV_LOG_LEVEL": "SILENT",
    "OPENCV_FFMPEG_LOGLEVEL": "-8",  # AV_LOG_QUIET
    # RTSP over TCP, since over UDP one lost packet smears the picture for seconds. Whatever is set
    # here, OpenCV 4.11 takes TCP and heeds no other option.
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;tcp",
    "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "2",  # seconds; 10 would hold up whoever wants to stop
    "OPENCV_VIDEOIO_MSMF_ENABLE_HW_TRANSFORMS": "0",  # on, opening takes most of a minute
}
_NATIVE_LOG_BYTES: Final = 1_000_000  # kept of what libraries print, looked at so often:
_NATIVE_LOG_SECONDS: Final = 60.0
# A file may have a name that is no UTF-8, which Python holds in surrogates.
_TEXT: Final[dict[str, Any]] = {"encoding": "utf-8", "errors": "backslashreplace"}


def log_directory() -> Path:
    """Where the log files are."""
    return Path(platformdirs.user_log_dir("msaf-live", appauthor=False))


def set_up_libraries() -> None:
    """Tell native libraries how to behave, before any of them is loaded."""
    for name, value in _LIBRARIES.items():
        os.environ.setdefault(name, value)
    # It comes with mediapipe, draws nothing here, and complains of a home that it cannot write to.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


class _RotatingFile(logging.handlers.RotatingFileHandler):
    """The log file, which grows on where another program of ours keeps Windows from renaming it."""

    def rotate(self, source: str, dest: str) -> None:
        with suppress(PermissionError):
            super().rotate(source, dest)


def set_up_logging(verbosity: int = 0) -> None:
    """Send warnings (-v: more, -vv: all) to standard error, and more than that to a file.

    Warnings alone are for people, and look like everything else that the program tells them.
    """
    set_up_libraries()
    console = logging.StreamHandler(sys.stderr)
    console.setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)])
    told = "%(levelname)s %(name)s: %(message)s" if verbosity else "msaf-live: %(message)s"
    console.setFormatter(logging.Formatter(told))
    handlers: list[logging.Handler] = [console]
    with suppress(OSError):  # a home that cannot be written to must not stop the program
        log_directory().mkdir(parents=True, exist_ok=True)
        handlers.append(
            _RotatingFile(
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


def lead_nowhere(stream: TextIO) -> None:
    """Lead a standard stream nowhere, so that what is left of it is no failure and holds up nobody.

    For one that cannot be written to: nobody reads it any more, or the disk is full.
    """
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), stream.fileno())


def _keep_small(file: IO[bytes], ended: threading.Event) -> None:
    """Empty `file`, which is appended to, whenever it is large. Thread: native log."""
    while not ended.wait(_NATIVE_LOG_SECONDS):
        with suppress(OSError):
            if os.fstat(file.fileno()).st_size > _NATIVE_LOG_BYTES:
                os.ftruncate(file.fileno(), 0)


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
        ended = threading.Event()
        small = threading.Thread(
            target=_keep_small, args=(sink, ended), name="native log", daemon=True
        )
        small.start()
        try:
            yield
        finally:
            ended.set()
            small.join()
            faulthandler.disable()
            for handler in handlers:
                handler.setStream(python_streams[1])
            sys.stdout, sys.stderr = python_streams
            if interrupted.is_set():  # by somebody who may read nothing of the line begun
                lead_nowhere(out)
            for descriptor, stream in ((1, out), (2, err)):
                try:
                    stream.flush()
                except OSError:
                    lead_nowhere(stream)
                os.dup2(stream.fileno(), descriptor)

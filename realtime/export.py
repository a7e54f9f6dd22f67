"""Predictions as records for other programs: JSON Lines and CSV.

Thread: any. Times are in seconds but for `latency_ms`. Numbers are rounded to six digits, so that
two replays of a recording give identical lines.
"""

from __future__ import annotations

import csv
import errno
import json
import logging
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from models.arrays import FloatArray
from models.files import SameFileError
from realtime.clock import clock_time
from realtime.closing import Closing
from realtime.errors import explain
from realtime.messages import Prediction

logger = logging.getLogger(__name__)

_DIGITS = 6


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), _DIGITS)


def _time_of_day(seconds: float | None) -> str | None:
    """Seconds since 1970 as 2026-11-24T09:30:15.120Z."""
    if seconds is None:
        return None
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def record_of(prediction: Prediction) -> dict[str, Any]:
    """One prediction in plain Python types, ready for JSON.

    `probabilities` are the smoothed ones, of which `confidence` is that of the label, or of the
    likeliest class where there is none, `unsmoothed` those of this window by itself; all three are
    None when no modality was present.
    `modality_share` has None for an absent modality. `reason` is None exactly when there is a
    label, `time` (of `window_end`, ISO 8601 in UTC) and `latency_ms` where time is the recording's.
    """

    def by_name(values: FloatArray | None) -> dict[str, float | None] | None:
        if values is None:
            return None
        pairs = zip(prediction.labels, values.tolist(), strict=True)
        return {name: _rounded(value) for name, value in pairs}

    latency = prediction.latency_seconds
    return {
        "window_end": _rounded(prediction.window_end),
        "time": _time_of_day(prediction.time_of_day),
        "label": prediction.label,
        "reason": None if prediction.reason is None else prediction.reason.name,
        "confidence": _rounded(prediction.confidence),
        "probabilities": by_name(prediction.smoothed),
        "unsmoothed": by_name(prediction.probabilities),
        "modalities": [report.name for report in prediction.modalities if report.present],
        "modality_share": {report.name: _rounded(report.share) for report in prediction.modalities},
        "latency_ms": None if latency is None else round(1000 * latency, 1),
    }


def _row_of(prediction: Prediction) -> dict[str, Any]:
    """The record flat: a column per class and per modality, absent values empty."""
    record = record_of(prediction)
    probabilities = record.pop("probabilities") or {}
    unsmoothed = record.pop("unsmoothed") or {}
    shares = record.pop("modality_share")
    latency = record.pop("latency_ms")
    return {
        **record,
        "modalities": "+".join(record["modalities"]),
        **{f"probability_{name}": probabilities.get(name) for name in prediction.labels},
        **{f"unsmoothed_{name}": unsmoothed.get(name) for name in prediction.labels},
        **{f"share_{name}": share for name, share in shares.items()},
        "latency_ms": latency,
    }


def spare_recording(out: Path, recording: Path) -> None:
    """Raise SameFileError where `out` is the recording itself, by this path or another.

    To be called before `out` is opened for writing.
    """
    with suppress(OSError):  # what is not there yet is no recording
        if out.samefile(recording):
            raise SameFileError(
                f"{out} is the recording itself: choose another file for its answers"
            )


def spare_answers(out: Path, being_written: Path) -> None:
    """Raise SameFileError where `out` is the file that answers are being written to."""
    with suppress(OSError):
        if out.samefile(being_written):
            raise SameFileError(
                f"answers are being written to {out} already: choose another file for these"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written where; all but the first two is about a recording."""

    path: Path
    count: int  # predictions
    end: float = 0.0  # s, how far they reach …
    duration: float = 0.0  # s, … in a recording of this length
    complete: bool = True  # its analysis has come to the end
    notes: tuple[str, ...] = ()  # what is wrong with it, as when it is cut off

    def __str__(self) -> str:
        """`824 answers, up to 1:22 of 1:52, written to talk.csv; the file is cut off …`."""
        what = "1 answer" if self.count == 1 else f"{self.count} answers"
        if self.count and not self.complete:
            what += f", up to {clock_time(self.end)} of {clock_time(self.duration)},"
        return "; ".join((f"{what} written to {self.path}", *self.notes))


class PredictionWriter(Closing):
    """Writes predictions to a .csv or .jsonl file, each one whole and at once.

    What was written stays readable however the program ends. Old content is replaced by the first
    prediction, or on a clean exit. A run that fails earlier leaves the file as it was. Raises
    ValueError for another ending and OSError when the file cannot be written, FileExistsError where
    it has content and `replace` is not set, as for live answers, which nobody can make again.
    """

    def __init__(self, path: Path, *, replace: bool = True) -> None:
        ending = path.suffix.lower()
        if ending not in (".csv", ".jsonl"):
            raise ValueError(
                f"answers are written as .csv or .jsonl: change the ending of {path.name!r}"
            )
        taken = FileExistsError(
            errno.EEXIST, "there is such a file already: name another, or remove it", str(path)
        )
        if not replace and path.is_file() and path.stat().st_size:
            raise taken
        self.path = path
        self._as_csv = ending == ".csv"
        # "x": of two that make it at the same time one has the file.
        mode = "a" if replace or os.path.lexists(path) else "x"
        try:
            self._file = path.open(mode, encoding="utf-8", newline="")
        except FileExistsError:
            raise taken from None
        self._has_old = path.is_file()  # no device or pipe, which hold nothing
        self._columns: csv.DictWriter[str] | None = None
        self.count = 0
        """Predictions written so far."""

    def write(self, prediction: Prediction) -> None:
        """Add one prediction."""
        try:
            self._forget_old()
            if self._as_csv:
                self._write_row(_row_of(prediction))
            else:
                self._file.write(json.dumps(record_of(prediction), allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            error.filename = str(self.path)  # which the system does not say of an open file
            raise
        self.count += 1

    def _write_row(self, row: dict[str, Any]) -> None:
        if self._columns is None:
            self._columns = csv.DictWriter(self._file, list(row), lineterminator="\n")
            self._columns.writeheader()
        self._columns.writerow(row)

    def _forget_old(self) -> None:
        if self._has_old:
            self._file.truncate(0)
            self._has_old = False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._forget_old()
        super().__exit__(kind, error, traceback)

    def close(self) -> None:
        """Close the file; harmless when closed."""
        with suppress(OSError):  # what could not be written, `write` has told of
            self._file.close()


def given_up(error: OSError, count: int) -> str:
    """That no answers are written any more after the `count` that were, and why."""
    return f"{explain(error)[1]}. Answers are no longer written ({count} were)"


class AnswerLog(Closing):
    """The file that live answers are written to, of one session after the other; at first none.

    Where that fails nothing more is written, and what is watched goes on. Thread: any.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # a session may come to its end while the next one begins
        self._writer: PredictionWriter | None = None
        self.failure: OSError | None = None
        """Why a file was given up, also once there is another one."""
        self.trouble = ""
        """That, and how much is in it; "" once there is another one."""

    @property
    def path(self) -> Path | None:
        """The file, None while nothing is written."""
        writer = self._writer
        return None if writer is None else writer.path

    def open(self, path: Path, *, replace: bool = True) -> None:
        """Write to `path` what is answered from now on; raises as PredictionWriter does."""
        writer = PredictionWriter(path, replace=replace)
        self.finish()
        with self._lock:
            self._writer, self.trouble = writer, ""

    def write(self, prediction: Prediction) -> None:
        """Add one prediction, where there is a file."""
        with self._lock:
            if (writer := self._writer) is None:
                return
            try:
                writer.write(prediction)
            except OSError as error:
                logger.info("live answers are no longer written", exc_info=True)
                self.failure, self.trouble = error, given_up(error, writer.count)
                self._writer = None
                writer.close()

    def finish(self) -> Written | None:
        """Write nothing more; returns what was written, None where there was no file."""
        with self._lock:
            writer, self._writer = self._writer, None
        if writer is None:
            return None
        with writer:
            return Written(path=writer.path, count=writer.count)

    def close(self) -> None:
        """See `finish`."""
        self.finish()


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> int:
    """Write all `predictions` to `path` and return how many; raises as PredictionWriter does."""
    with PredictionWriter(path) as writer:
        for prediction in predictions:
            writer.write(prediction)
        return writer.count

"""Predictions as JSON Lines and CSV."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.files import SameFileError
from realtime.emotion.reasons import NO_FACE
from realtime.export import (
    AnswerLog,
    PredictionWriter,
    Written,
    record_of,
    spare_answers,
    spare_recording,
    write_predictions,
)
from realtime.messages import NO_SOURCE, ModalityReport, Prediction, Reason, Track

LABELS = ("neutral", "happy", "sad")


def report(name: str, share: float | None, status: Reason | None = None) -> ModalityReport:
    track = Track.PICTURES if name == "face" else Track.SOUND
    return ModalityReport(name=name, track=track, absent=status, share=share)


def prediction(index: int = 12, *, latency: float | None = 0.08123) -> Prediction:
    smoothed = np.array([0.1, 0.7, 0.2], np.float32)
    return Prediction(
        window_index=index,
        window_end=index * 0.1,
        labels=LABELS,
        label="happy",
        reason=None,
        confidence=float(smoothed[1]),
        logits=np.log(smoothed),
        probabilities=np.array([0.0, 1.0, 0.0], np.float32),
        smoothed=smoothed,
        modalities=(report("face", 0.62), report("voice", 0.38)),
        attention=(),
        face=None,
        face_activation=None,
        spectrogram=None,
        spectrogram_end=None,
        voice_moments=None,
        sound_level=-30.0,
        speech=True,
        inference_seconds=0.01,
        latency_seconds=latency,
        time_of_day=None if latency is None else 1.8e9 + index * 0.1,
    )


def unsure() -> Prediction:
    return Prediction(
        window_index=1,
        window_end=0.1,
        labels=LABELS,
        label=None,
        reason=NO_FACE,
        confidence=None,
        logits=None,
        probabilities=None,
        smoothed=None,
        modalities=(
            report("face", None, NO_FACE),
            report("voice", None, NO_SOURCE),
        ),
        attention=(),
        face=None,
        face_activation=None,
        spectrogram=None,
        spectrogram_end=None,
        voice_moments=None,
        sound_level=None,
        speech=False,
        inference_seconds=0.0,
        latency_seconds=None,
    )


def test_record_has_the_documented_fields() -> None:
    assert record_of(prediction()) == {
        "window_end": 1.2,
        "time": "2027-01-15T08:00:01.200Z",
        "label": "happy",
        "reason": None,
        "confidence": 0.7,
        "probabilities": {"neutral": 0.1, "happy": 0.7, "sad": 0.2},
        "unsmoothed": {"neutral": 0.0, "happy": 1.0, "sad": 0.0},
        "modalities": ["face", "voice"],
        "modality_share": {"face": 0.62, "voice": 0.38},
        "latency_ms": 81.2,
    }


def test_record_of_no_answer_says_why() -> None:
    assert record_of(unsure()) == {
        "window_end": 0.1,
        "time": None,
        "label": None,
        "reason": "no face",
        "confidence": None,
        "probabilities": None,
        "unsmoothed": None,
        "modalities": [],
        "modality_share": {"face": None, "voice": None},
        "latency_ms": None,
    }


def test_json_lines_read_back(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    assert write_predictions(path, [unsure(), prediction()]) == 2
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert records == [record_of(unsure()), record_of(prediction())]


def test_csv_is_flat_and_leaves_absent_values_empty(tmp_path: Path) -> None:
    path = tmp_path / "answers.CSV"
    write_predictions(path, [unsure(), prediction()])
    with path.open(encoding="utf-8", newline="") as file:
        none, happy = csv.DictReader(file)
    assert list(happy) == [
        "window_end",
        "time",
        "label",
        "reason",
        "confidence",
        "modalities",
        "probability_neutral",
        "probability_happy",
        "probability_sad",
        "unsmoothed_neutral",
        "unsmoothed_happy",
        "unsmoothed_sad",
        "share_face",
        "share_voice",
        "latency_ms",
    ]
    assert happy["label"] == "happy"
    assert happy["modalities"] == "face+voice"
    assert happy["probability_sad"] == "0.2"
    assert happy["unsmoothed_happy"] == "1.0"
    assert (none["label"], none["reason"], none["probability_sad"]) == ("", "no face", "")
    assert none["confidence"] == ""


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_what_was_written_is_on_disk_before_closing(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"answers{ending}"
    writer = PredictionWriter(path)
    writer.write(prediction())
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == (2 if ending == ".csv" else 1)
    assert lines[-1]
    writer.close()
    writer.close()


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_what_was_there_goes_with_the_first_answer(tmp_path: Path, ending: str) -> None:
    path, new = tmp_path / f"answers{ending}", tmp_path / f"new{ending}"
    path.write_text("precious")
    with pytest.raises(RuntimeError), PredictionWriter(path):
        raise RuntimeError("broken off while loading")
    assert path.read_text() == "precious"
    write_predictions(path, [prediction(), unsure()])
    write_predictions(new, [prediction(), unsure()])
    assert path.read_bytes() == new.read_bytes()


def test_what_was_there_goes_where_there_is_no_answer_at_all(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("of another recording")
    assert write_predictions(path, []) == 0
    assert path.read_bytes() == b""


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_tiny_differences_do_not_change_a_line(tmp_path: Path, ending: str) -> None:
    texts = []
    for number, noise in enumerate((0.0, 1e-8)):
        first = prediction(latency=None)
        assert first.smoothed is not None
        first.smoothed[:] += noise
        path = tmp_path / f"{number}{ending}"
        write_predictions(path, [first])
        texts.append(path.read_bytes())
    assert texts[0] == texts[1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_a_full_disk_is_told_of_with_the_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"answers{ending}"
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match=path.name), PredictionWriter(path) as writer:
        writer.write(prediction())


def test_what_was_written_is_said_with_how_far_it_goes() -> None:
    def told(count: int, *, complete: bool) -> str:
        path = Path("out", "part.csv")
        return str(Written(path=path, count=count, end=82.4, duration=112.0, complete=complete))

    path = Path("out", "part.csv")
    assert told(824, complete=False) == f"824 answers, up to 1:22 of 1:52, written to {path}"
    assert told(1, complete=True) == f"1 answer written to {path}"
    assert told(0, complete=False) == f"0 answers written to {path}"
    live = Written(path=path, count=77)
    assert str(live) == f"77 answers written to {path}"
    cut = replace(live, notes=("the file is cut off after 7.2 s", "no sound"))
    assert str(cut) == f"77 answers written to {path}; the file is cut off after 7.2 s; no sound"


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_the_recording_itself_is_no_place_for_its_answers(tmp_path: Path) -> None:
    recording, other = tmp_path / "talk.mp4", tmp_path / "other.csv"
    recording.write_text("precious")
    other.touch()
    soft, hard = tmp_path / "soft.csv", tmp_path / "hard.csv"
    soft.symlink_to(recording)
    hard.hardlink_to(recording)
    for path in (recording, soft, hard, tmp_path / "." / "talk.mp4"):
        with pytest.raises(SameFileError, match=f"{path.name} is the recording itself"):
            spare_recording(path, recording)
    for path in (other, tmp_path / "new.csv", tmp_path / "nowhere" / "new.csv"):
        spare_recording(path, recording)


def test_the_file_that_is_being_written_is_no_place_for_others(tmp_path: Path) -> None:
    path = tmp_path / "talk.csv"
    with PredictionWriter(path), pytest.raises(SameFileError, match=r"talk\.csv already"):
        spare_answers(tmp_path / "." / "talk.csv", path)
    spare_answers(tmp_path / "other.csv", path)


def test_unknown_ending_is_refused_before_a_file_is_made(tmp_path: Path) -> None:
    path = tmp_path / "answers.xlsx"
    with pytest.raises(ValueError, match=r"^answers are .*\.csv or \.jsonl.*'answers\.xlsx'"):
        PredictionWriter(path)
    assert not path.exists()


def test_a_place_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"answers\.csv"):
        PredictionWriter(tmp_path / "missing" / "answers.csv")


def test_a_log_writes_what_comes_while_it_has_a_file(tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.csv"
    with AnswerLog() as log:
        log.write(unsure())
        assert (log.path, log.finish()) == (None, None)
        log.open(first)
        log.write(prediction())
        log.write(unsure())
        with pytest.raises(OSError, match="missing"):
            log.open(tmp_path / "missing" / "answers.csv")
        assert log.path == first  # which goes on
        log.open(second)
        log.write(unsure())
        assert log.finish() == Written(path=second, count=1)
        log.write(unsure())
    assert len(first.read_text().splitlines()) == 2
    assert len(second.read_text().splitlines()) == 2


def test_a_log_that_is_asked_to_spares_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "yesterday.csv"
    path.write_text("precious")
    with AnswerLog() as log, pytest.raises(FileExistsError, match="name another"):
        log.open(path, replace=False)
    assert path.read_text() == "precious"
    (fresh := tmp_path / "fresh.csv").touch()
    with monkeypatch.context() as patch:  # another program has made it since it was looked for
        patch.setattr(os.path, "lexists", lambda _: False)
        with pytest.raises(FileExistsError, match="name another"):
            PredictionWriter(fresh, replace=False)
    with AnswerLog() as log:  # asked about by a dialog: replaced even by nothing
        log.open(path)
    assert path.read_text() == ""

"""What people read of every kind of answer, and where there is none."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.labels import EMOTIONS
from realtime.emotion.reasons import NO_FACE, SILENCE, TOO_DARK
from realtime.messages import (
    LOW_CONFIDENCE,
    NO_INPUT,
    NO_SOURCE,
    STALLED,
    STARTING,
    Health,
    ModalityReport,
    Reason,
    SessionState,
    SourceHealth,
    SourceState,
    Track,
)
from tests.fakes.session import absent_prediction, make_prediction, make_snapshot, replay_snapshot
from ui import palette
from ui.present import answer, notices, words

RUNNING = SourceHealth(name="Camera", state=SourceState.RUNNING)
OFF = SourceHealth(name="none")


def test_a_sure_answer_names_its_label_and_what_it_rests_on() -> None:
    shown = answer.answer(make_prediction(10))
    assert (shown.headline, shown.detail, shown.sure) == (
        "Neutral",
        "From the face and voice",
        True,
    )
    assert shown.confidence.endswith("%")
    assert shown.colour == palette.EMOTION_COLOURS["neutral"]


def test_an_answer_tells_how_far_it_looks_back() -> None:
    shown = answer.answer(make_prediction(10), window_seconds=2.5)
    assert shown.detail == "From the face and voice of the last 2.5 s"


@pytest.mark.parametrize(
    ("camera", "microphone", "headline", "detail"),
    [
        ("failed", "failed", "No input", "Neither picture nor sound arrives"),
        ("retrying", "failed", "No input", "Neither picture nor sound arrives"),
        ("failed", "off", "No input", "No picture arrives"),
        ("off", "retrying", "No input", "No sound arrives"),
        ("off", "off", "No input", "No camera or microphone"),
        ("failed", "opening", *answer.UNANSWERED),
        ("running", "off", *answer.UNANSWERED),
    ],
)
def test_no_first_answer_is_promised_where_nothing_arrives(
    camera: str, microphone: str, headline: str, detail: str
) -> None:
    health = Health(
        camera=SourceHealth(name="Camera", state=SourceState(camera)),
        microphone=SourceHealth(name="Microphone", state=SourceState(microphone)),
    )
    assert answer.absence(make_snapshot(health=health)) == (headline, detail)


@pytest.mark.parametrize("reason", [NO_INPUT, NO_FACE, LOW_CONFIDENCE], ids=str)
def test_every_reason_for_not_being_sure_has_its_own_words(reason: Reason) -> None:
    shown = answer.answer(make_prediction(10, label=None, reason=reason))
    assert shown.headline == answer.NOT_SURE
    assert shown.confidence == ""
    told = reason.told[:1].upper() + reason.told[1:]
    assert shown.detail.startswith(told)


def not_sure(reason: Reason, face: Reason | None, voice: Reason | None) -> str:
    """What is said of an answer that rests on nothing."""
    modalities = (
        ModalityReport(name="face", track=Track.PICTURES, absent=face),
        ModalityReport(name="voice", track=Track.SOUND, absent=voice),
    )
    prediction = make_prediction(10, label=None, reason=reason, modalities=modalities)
    return answer.answer(prediction).detail


def test_a_lost_camera_is_told_from_no_input_at_all() -> None:
    def detail(face: Reason | None, voice: Reason | None) -> str:
        return not_sure(NO_INPUT, face, voice)

    assert detail(STALLED, SILENCE) == "No picture arrives"
    assert detail(STALLED, STALLED) == "Neither picture nor sound arrives"
    # What is off by choice is not missed.
    assert detail(STALLED, NO_SOURCE) == "No picture arrives"
    assert detail(NO_SOURCE, STALLED) == "No sound arrives"


def test_only_what_is_there_has_just_started() -> None:
    def detail(face: Reason | None, voice: Reason | None) -> str:
        return not_sure(STARTING, face, voice)

    assert detail(NO_FACE, NO_SOURCE) == "Just started, watching"
    assert detail(NO_SOURCE, SILENCE) == "Just started, listening"
    assert detail(NO_FACE, SILENCE) == "Just started, watching and listening"


def test_low_confidence_names_the_likeliest_class() -> None:
    prediction = make_prediction(10, label=None, reason=LOW_CONFIDENCE, confidence=0.4)
    assert "likeliest is neutral, 40" in answer.answer(prediction).detail


def test_a_label_that_is_not_the_longest_bar_says_so() -> None:
    smoothed = np.array([0.38, 0.45, *[0.034] * 5], np.float32)
    held = make_prediction(10, label="neutral", confidence=0.38, smoothed=smoothed)
    shown = answer.answer(held)
    assert shown.headline == "Neutral"
    assert shown.detail == "Perhaps turning to happy"


def test_a_recording_is_summed_up_by_its_times() -> None:
    shown, bars = answer.summary((0.2, 0.5, 0.0, 0.0, 0.0, 0.0, 0.1), EMOTIONS)
    assert shown.headline == answer.SUMMARY
    assert shown.detail == "Share of the time; not sure for 20\u202f%"
    assert [bar.name for bar in bars if bar.leading] == ["Happy"]
    assert bars[1].value == 0.5
    shown, bars = answer.summary((0.0,) * 7, EMOTIONS)
    assert shown.detail == "Share of the time; not sure for 100\u202f%"
    assert not any(bar.leading for bar in bars)


def test_screen_readers_hear_the_reason_and_the_bars() -> None:
    sure = make_prediction(10)
    bars = answer.bars(sure, EMOTIONS)
    told = answer.spoken(answer.answer(sure), bars)
    assert told.startswith(f"Neutral {words.percent(sure.confidence)}. From the face and voice. ")
    assert all(f"{bar.name} {bar.text}" in told for bar in bars)
    unsure = absent_prediction()
    bars = answer.bars(unsure, EMOTIONS)
    told = answer.spoken(answer.answer(unsure), bars)
    assert told == "Not sure. No face in the picture"


def test_before_the_first_answer_the_bars_have_names_but_no_values() -> None:
    assert answer.answer(None).headline == "Waiting"
    bars = answer.bars(None, EMOTIONS)
    assert [bar.name.lower() for bar in bars] == list(EMOTIONS)
    assert all(bar.value == 0 and bar.text == "–" and not bar.leading for bar in bars)


def test_bars_mark_the_label() -> None:
    bars = answer.bars(make_prediction(10), EMOTIONS)
    assert [bar.name for bar in bars if bar.leading] == ["Neutral"]
    assert sum(bar.value for bar in bars) == pytest.approx(1.0)


def test_before_the_first_answer_a_pause_is_not_waited_out() -> None:
    paused = make_snapshot(SessionState.PAUSED)
    assert answer.absence(paused)[0] == "Paused"
    assert notices.empty_picture(paused)[1] == "It comes back when you resume"
    assert answer.absence(replay_snapshot(playing=False))[0] == "Paused"
    assert answer.absence(replay_snapshot(SessionState.ENDED, playing=False))[0] == "Analysed"


def test_what_failed_is_neither_waited_for_nor_analysed() -> None:
    failed = replay_snapshot(SessionState.FAILED, health=Health(camera=OFF, microphone=OFF))
    assert notices.empty_picture(failed)[0] == "Nothing to show"
    assert answer.absence(make_snapshot())[0] == answer.absence(replay_snapshot())[0] == "Waiting"
    assert answer.absence(failed)[0] == "No answer"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (42.0, "42 s"), (59.7, "1 min"), (1080.0, "18 min"), (9000.0, "2.5 h")],
)
def test_how_long_the_analysis_will_take(seconds: float, text: str) -> None:
    position, health = 12.0 + seconds, Health(camera=RUNNING, microphone=RUNNING)
    ahead: dict[str, Any] = {"position": position, "duration": 9999.0, "analysed": 12.0}
    known = replace(health, analysis_speed=1.0)
    _, detail = answer.absence(replay_snapshot(health=known, **ahead))
    assert detail == f"Playback goes on in about {text}; analysed up to 0:12"
    _, detail = answer.absence(replay_snapshot(health=health, **ahead))
    assert detail == "Playback waits for the analysis, now at 0:12"


def test_a_face_that_does_not_count_is_not_tagged_with_the_voices_answer() -> None:
    sure = make_prediction(10)
    assert sure.label is not None
    assert answer.tag(sure)[0].startswith(sure.label.capitalize())
    dark = replace(sure.modality("face"), absent=TOO_DARK, share=None)
    others = tuple(each for each in sure.modalities if each.name != "face")
    assert answer.tag(replace(sure, modalities=(dark, *others)))[0] == answer.NOT_COUNTED

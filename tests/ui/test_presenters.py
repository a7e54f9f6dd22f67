"""What people read for every kind of answer."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.config import MODALITIES
from models.labels import EMOTIONS
from realtime.messages import (
    Health,
    ModalityReport,
    Playback,
    Reason,
    SessionState,
    Snapshot,
    SourceHealth,
    SourceState,
    Status,
    Track,
)
from tests.fakes.session import absent_prediction, make_prediction, make_snapshot
from ui import palette, presenters
from ui.presenters import Notice, Remedy, Severity

RUNNING = SourceHealth(name="Camera", state=SourceState.RUNNING)
OFF = SourceHealth(name="none")


def replay(state: SessionState = SessionState.RUNNING, **changes: Any) -> Snapshot:
    """Of a recording of 48 s, a third of which is analysed; `changes` also of its playback."""
    values: dict[str, Any] = {
        "position": 2.0,
        "duration": 48.0,
        "analysed": 16.0,
        "speed": 1.0,
        "playing": True,
    }
    values |= {name: changes.pop(name) for name in values if name in changes}
    return make_snapshot(state, playback=Playback(**values), **changes)


def test_a_sure_answer_names_its_label_and_what_it_rests_on() -> None:
    shown = presenters.answer(make_prediction(10))
    assert (shown.headline, shown.detail, shown.sure) == ("Neutral", "From face and voice", True)
    assert shown.confidence.endswith("%")
    assert shown.colour == palette.EMOTION_COLOURS["neutral"]


def test_an_answer_tells_how_far_it_looks_back() -> None:
    shown = presenters.answer(make_prediction(10), window_seconds=2.5)
    assert shown.detail == "From face and voice of the last 2.5 s"


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_for_not_being_sure_has_its_own_words(reason: Reason) -> None:
    shown = presenters.answer(make_prediction(10, label=None, reason=reason))
    assert shown.headline == presenters.NOT_SURE
    assert shown.confidence == ""
    assert shown.detail[0].isupper()
    details = {presenters.REASON_WORDS[each] for each in Reason}
    assert len(details) == len(Reason)


def not_sure(reason: Reason, face: Status, voice: Status) -> str:
    """What is said of an answer that rests on nothing."""
    modalities = (
        ModalityReport(name="face", track=Track.PICTURES, status=face),
        ModalityReport(name="voice", track=Track.SOUND, status=voice),
    )
    prediction = make_prediction(10, label=None, reason=reason, modalities=modalities)
    return presenters.answer(prediction).detail


def test_a_lost_camera_is_told_from_no_input_at_all() -> None:
    def detail(face: Status, voice: Status) -> str:
        return not_sure(Reason.NO_INPUT, face, voice)

    assert detail(Status.STALLED, Status.SILENCE) == "No picture arrives"
    assert detail(Status.STALLED, Status.STALLED) == "Neither picture nor sound arrives"
    # What is off by choice is not missed.
    assert detail(Status.STALLED, Status.NO_SOURCE) == "No picture arrives"
    assert detail(Status.NO_SOURCE, Status.STALLED) == "No sound arrives"


def test_only_what_is_there_has_just_started() -> None:
    def detail(face: Status, voice: Status) -> str:
        return not_sure(Reason.STARTING, face, voice)

    assert detail(Status.NO_FACE, Status.NO_SOURCE) == "Just started, watching"
    assert detail(Status.NO_SOURCE, Status.SILENCE) == "Just started, listening"
    assert detail(Status.NO_FACE, Status.SILENCE) == "Just started, watching and listening"


def test_low_confidence_names_the_likeliest_class() -> None:
    prediction = make_prediction(10, label=None, reason=Reason.LOW_CONFIDENCE, confidence=0.4)
    assert "likeliest is neutral, 40" in presenters.answer(prediction).detail


def test_a_label_that_is_not_the_longest_bar_says_so() -> None:
    smoothed = np.array([0.38, 0.45, *[0.034] * 5], np.float32)
    held = make_prediction(10, label="neutral", confidence=0.38, smoothed=smoothed)
    shown = presenters.answer(held)
    assert shown.headline == "Neutral"
    assert shown.detail == "Perhaps turning to happy"


def test_screen_readers_hear_the_reason_and_the_bars() -> None:
    sure = make_prediction(10)
    bars = presenters.bars(sure, EMOTIONS)
    told = presenters.spoken(presenters.answer(sure), bars)
    assert told.startswith(f"Neutral {presenters.percent(sure.confidence)}. From face and voice. ")
    assert all(f"{bar.name} {bar.text}" in told for bar in bars)
    unsure = absent_prediction()
    bars = presenters.bars(unsure, EMOTIONS)
    told = presenters.spoken(presenters.answer(unsure), bars)
    assert told == "Not sure. No face in the picture"


def test_before_the_first_answer_the_bars_have_names_but_no_values() -> None:
    assert presenters.answer(None).headline == "Waiting"
    bars = presenters.bars(None, EMOTIONS)
    assert [bar.name.lower() for bar in bars] == list(EMOTIONS)
    assert all(bar.value == 0 and bar.text == "–" and not bar.leading for bar in bars)


def test_bars_mark_the_label() -> None:
    bars = presenters.bars(make_prediction(10), EMOTIONS)
    assert [bar.name for bar in bars if bar.leading] == ["Neutral"]
    assert sum(bar.value for bar in bars) == pytest.approx(1.0)


def test_shares_show_equal_weight_and_the_status_of_what_is_absent() -> None:
    face, voice = presenters.shares(make_prediction(10), MODALITIES)
    assert face.equal == voice.equal == 0.5
    assert face.opinion == "alone: neutral"  # not "now": it is of the last seconds
    face, voice = presenters.shares(make_prediction(70), MODALITIES)  # nobody speaks
    assert (face.text, voice.text) == ("100\u202f%", "silence")
    assert voice.share is None
    assert voice.opinion == ""
    assert [each.text for each in presenters.shares(None, MODALITIES)] == ["–", "–"]


def test_what_is_switched_off_is_told_from_what_a_recording_lacks() -> None:
    def told(time_of_day: float | None) -> tuple[str, str, str]:
        gone = [
            ModalityReport(name=name, track=track, status=Status.NO_SOURCE)
            for name, track in (("face", Track.PICTURES), ("voice", Track.SOUND))
        ]
        prediction = replace(absent_prediction(), modalities=tuple(gone), time_of_day=time_of_day)
        face, voice = presenters.shares(prediction, MODALITIES)
        return face.text, voice.text, presenters.sound_absence(prediction)

    assert told(1.7e9) == ("switched off", "switched off", "voice not counted: switched off")
    # Where one track ends before the other it is missing "here", not in the whole recording.
    assert told(None) == ("no picture here", "no sound here", "voice not counted: no sound here")


def test_a_share_of_zero_is_a_share() -> None:
    prediction = make_prediction(10)
    none = replace(prediction.modalities[0], share=0.0)
    prediction = replace(prediction, modalities=(none, prediction.modalities[1]))
    shown = presenters.shares(prediction, MODALITIES)
    assert shown[0].text == "0\u202f%"


@pytest.mark.parametrize("status", Status)
def test_every_status_has_words(status: Status) -> None:
    assert (presenters.STATUS_WORDS[status] == "") == (status is Status.PRESENT)


def test_attention_is_drawn_against_an_even_share() -> None:
    maps, sequences = presenters.attention_panels(make_prediction(10))
    assert (maps.title, sequences.title) == ("Feature maps", "Sequences")
    assert maps.groups == (("face", 8, True), ("voice", 8, True))
    np.testing.assert_allclose(np.exp2(maps.factors).sum(axis=0) / 16, 1.0, rtol=1e-5)


def test_attention_of_an_absent_modality_is_nothing_rather_than_little() -> None:
    maps, _ = presenters.attention_panels(make_prediction(70))
    assert maps.groups == (("face", 8, True), ("voice", 8, False))
    assert np.isnan(maps.factors[8:]).all()
    np.testing.assert_allclose(np.exp2(maps.factors[:8]).sum(axis=0) / 8, 1.0, rtol=1e-5)
    assert presenters.attention_panels(absent_prediction()) == ()
    assert presenters.attention_panels(None) == ()


def test_even_moments_draw_a_flat_low_curve() -> None:
    curve = presenters.moments_curve(np.full(150, 1 / 150, np.float32), top=4.0)
    np.testing.assert_allclose(curve, 0.25, rtol=1e-5)


def test_status_cells_keep_their_number() -> None:
    known = Health(
        camera=replace(RUNNING, dropped=3),
        microphone=replace(RUNNING, dropped=1),
        latency_p50=0.0414,
        latency_p95=0.09,
        windows_skipped=2,
        sound_offset=-0.0123,
    )
    unknown = Health(camera=SourceHealth(name="none"), microphone=SourceHealth(name="none"))
    full = presenters.status_cells(known, 30.0, live=True)
    texts = {cell.caption: cell.text for cell in full}
    assert texts["Delay p50 · p95"] == "41 · 90 ms"
    assert texts["Skipped · dropped"] == "2 · 4"
    assert texts["Sound − picture"] == "\u221212 ms"
    assert len(full) == len(presenters.status_cells(unknown, 0.0, live=True))
    replayed = [len(presenters.status_cells(each, 30.0, live=False)) for each in (known, unknown)]
    assert replayed == [5, 5]


def test_where_no_picture_follows_another_there_is_no_rate() -> None:
    health = Health(camera=RUNNING, microphone=RUNNING)
    paused, sought = 0.0, 0.5  # one in two seconds
    for is_live, rate in product((True, False), (paused, sought)):
        assert presenters.status_cells(health, rate, live=is_live)[0].text == presenters.UNKNOWN
    shown = presenters.status_cells(health, 29.8, live=True)
    assert shown[0].text == "30 fps"


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("source", [RUNNING, OFF])
def test_every_figure_of_the_status_line_is_explained_in_plain_words(
    source: SourceHealth, live: bool
) -> None:
    cells = presenters.status_cells(Health(camera=source, microphone=source), 30.0, live=live)
    tips = {cell.caption: cell.tip for cell in cells}
    assert len(tips) == len(cells)
    assert all(len(tip) > 6 for tip in tips.values())
    for word in ("none", "sample", "window", "percentile", "prediction", "frames"):
        assert not any(word in tip.casefold() for tip in tips.values()), word


def test_sound_level_becomes_a_length() -> None:
    assert [presenters.level_fraction(level) for level in (None, -90, -60, -30, 0, 3)] == [
        0.0, 0.0, 0.0, 0.5, 1.0, 1.0,
    ]  # fmt: skip


def test_a_failed_session_offers_to_try_again() -> None:
    (notice,) = presenters.notices(make_snapshot(SessionState.FAILED, message="Damaged."))
    assert notice == Notice(text="Damaged.", severity=Severity.ERROR, remedy=Remedy.SESSION)


def test_a_recording_that_cannot_be_read_offers_to_open_another() -> None:
    unread = replay(SessionState.FAILED, health=Health(camera=OFF, microphone=OFF))
    assert presenters.notices(unread)[0].remedy is Remedy.OPEN
    opened = replay(SessionState.FAILED, health=Health(camera=OFF, microphone=RUNNING))
    assert presenters.notices(opened)[0].remedy is Remedy.SESSION


def test_a_failed_camera_offers_to_try_again_only_live() -> None:
    failed = SourceHealth(name="Camera", state=SourceState.FAILED, message="it is in use")
    bad = make_snapshot(health=Health(camera=failed, microphone=RUNNING))
    (notice,) = presenters.notices(bad)
    assert (notice.text, notice.remedy) == ("Camera: it is in use", Remedy.CAMERA)
    assert presenters.notices(replay(health=bad.health))[0].remedy is None


def test_a_device_is_named_once() -> None:
    failed = SourceHealth(name="Camera 7", state=SourceState.FAILED, message="camera 7 is in use")
    (notice,) = presenters.notices(make_snapshot(health=Health(camera=failed, microphone=RUNNING)))
    assert notice.text == "Camera 7 is in use"
    gone = SourceHealth(
        name="USB", state=SourceState.FAILED, message="there is no microphone: plug one in"
    )
    (notice,) = presenters.notices(make_snapshot(health=Health(camera=RUNNING, microphone=gone)))
    assert notice.text == "There is no microphone: plug one in"
    lost = SourceHealth(
        name="cam.local",
        state=SourceState.RETRYING,
        message="cam.local cannot be reached: check that the camera is on",
    )
    (notice,) = presenters.notices(make_snapshot(health=Health(camera=lost, microphone=RUNNING)))
    assert notice.text == lost.message


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("there is no file my talk.mp4: check its name", None),
        ("nothing in my talk.mp4 can be decoded", None),
        ("no weights at live.safetensors", None),
        ("my talk.mp4 is empty", "my talk.mp4 is empty"),
        ("clips/my talk.mp4 is a folder", "clips/my talk.mp4 is a folder"),
        ("live.safetensors is damaged", "live.safetensors is damaged"),
    ],
)
def test_a_failure_is_a_sentence_and_file_names_stay_as_they_are(
    message: str, text: str | None
) -> None:
    failed = replay(SessionState.FAILED, message=message)
    (notice,) = presenters.notices(failed, recording=Path("clips/my talk.mp4"))
    assert notice.text == (text or message[0].upper() + message[1:])


def test_a_source_that_tries_again_is_a_warning() -> None:
    retrying = SourceHealth(name="Microphone", state=SourceState.RETRYING)
    bad = make_snapshot(health=Health(camera=RUNNING, microphone=retrying))
    assert [notice.severity for notice in presenters.notices(bad)] == [Severity.WARNING]


def test_the_gravest_notice_comes_first() -> None:
    retrying = SourceHealth(name="Camera", state=SourceState.RETRYING)
    failed = SourceHealth(name="Microphone", state=SourceState.FAILED)
    told = presenters.notices(make_snapshot(health=Health(camera=retrying, microphone=failed)))
    assert [notice.severity for notice in told] == [Severity.ERROR, Severity.WARNING]


def test_notes_about_a_recording_come_last() -> None:
    told = presenters.notices(replay(SessionState.FAILED, message="No.", notes=("It is cut off.",)))
    assert [notice.text for notice in told] == ["No.", "It is cut off."]
    assert presenters.notices(make_snapshot()) == ()


def test_no_note_about_a_recording_hides_another() -> None:
    noted = replay(notes=("the picture is damaged at 1.5 s", "the file is cut off"))
    (notice,) = presenters.notices(noted)
    assert notice.text == "The picture is damaged at 1.5 s; the file is cut off"


@pytest.mark.parametrize("state", SourceState)
def test_an_empty_picture_is_explained(state: SourceState) -> None:
    health = Health(camera=replace(RUNNING, state=state), microphone=RUNNING)
    title, _ = presenters.empty_picture(make_snapshot(health=health))
    assert title
    assert state in presenters.STATE_COLOURS


def test_a_recording_has_no_picture_only_once_that_is_known() -> None:
    silent = Health(camera=OFF, microphone=RUNNING)
    title, _ = presenters.empty_picture(replay(health=silent))
    assert title == "This recording has no picture"
    assert presenters.empty_picture(replay()) == ("", "")


def test_a_picture_that_is_not_of_now_says_so() -> None:
    stalled = Health(camera=replace(RUNNING, state=SourceState.STALLED), microphone=RUNNING)
    assert presenters.badge(make_snapshot()) == ""
    assert presenters.badge(make_snapshot(health=stalled)) == "Camera stalled"
    assert presenters.badge(make_snapshot(SessionState.PAUSED, health=stalled)) == "Paused"


def test_a_recording_that_stands_still_says_why() -> None:
    def told(state: SessionState, answered: bool = True, **changes: object) -> str:
        prediction = make_prediction(10) if answered else None
        return presenters.badge(replay(state, prediction=prediction, **changes))

    running, ended = SessionState.RUNNING, SessionState.ENDED
    assert told(running) == told(ended, playing=False, position=48.0) == ""
    assert told(running, False, position=20.0) == presenters.WAITS_FOR_ANALYSIS
    assert told(running, position=15.8) == presenters.SLOWED_BY_ANALYSIS
    assert told(ended, position=15.8) == ""
    for position in (15.8, 20.0, 48.0):
        assert told(running, position < 16.0, playing=False, position=position) == "Paused"
    assert told(ended, playing=False) == "Paused"
    assert told(SessionState.FAILED, playing=False) == ""


def test_before_the_first_answer_a_pause_is_not_waited_out() -> None:
    paused = make_snapshot(SessionState.PAUSED)
    assert presenters.absence(paused)[0] == "Paused"
    assert presenters.empty_picture(paused)[1] == "It comes when you go on"
    assert presenters.absence(replay(playing=False))[0] == "Paused"
    assert presenters.absence(replay(SessionState.ENDED, playing=False))[0] == "Analysed"


def test_what_failed_is_neither_waited_for_nor_analysed() -> None:
    failed = replay(SessionState.FAILED, health=Health(camera=OFF, microphone=OFF))
    assert presenters.empty_picture(failed)[0] == "Nothing to show"
    assert presenters.absence(make_snapshot())[0] == presenters.absence(replay())[0] == "Waiting"
    assert presenters.absence(failed)[0] == "No answer"


def test_what_is_paused_can_go_on() -> None:
    assert presenters.is_paused(make_snapshot(SessionState.PAUSED))
    assert presenters.is_paused(replay(playing=False))
    assert not any(map(presenters.is_paused, (make_snapshot(), replay())))


def test_the_timeline_is_told_around_where_playback_stands() -> None:
    stretches = [("neutral", 1.0, 5.2), ("not sure", 5.2, 6.0), ("happy", 6.0, 19.2)]
    told = presenters.timeline_words(stretches, position=5.4)
    assert told == "neutral 0:01–0:05, not sure 0:05–0:06, happy 0:06–0:19; at 0:05"
    assert presenters.timeline_words([], position=0.0) == "at 0:00"
    many = [(str(index), float(index), index + 1.0) for index in range(40)]
    for position, first, last in ((0.5, "0", "9"), (20.5, "12", "21"), (99.0, "30", "39")):
        names = [
            part.split()[0]
            for part in presenters.timeline_words(many, position=position).split(",")
        ]
        assert (names[0], names[-1], len(names)) == (first, last, 10)


def test_the_last_minute_is_told_by_how_long_ago_it_was() -> None:
    stretches = [("sad", 70.0, 80.0), ("happy", 80.0, 101.0)]
    told = presenters.timeline_words(stretches, end=101.0)
    assert told == "sad 31–21 s, happy 21–0 s ago"
    stretches.append(("not sure", 101.0, 101.2))
    paused = presenters.timeline_words(stretches, end=101.2, paused=True)
    assert paused == "sad 31–21 s, happy 21–0 s, not sure 0 s before the pause"
    assert presenters.timeline_words([], end=0.0) == ""


def test_how_well_the_voice_is_known() -> None:
    prediction = make_prediction(10)
    assert presenters.voice_known(None) == presenters.voice_known(prediction) == ""
    known = replace(prediction, speaker_seconds=23.6)
    assert presenters.voice_known(known) == "voice known from 24 s of speech"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.0049, "<1"), (0.006, "1"), (0.994, "99"), (0.9999, ">99"), (1.0, "100")],
)
def test_what_is_nearly_all_or_nothing_is_not_called_so(value: float, text: str) -> None:
    assert presenters.percent(value) == f"{text}\u202f%"


def test_a_recording_without_pictures_has_no_picture_track() -> None:
    cells = presenters.status_cells(Health(camera=OFF, microphone=RUNNING), 0.0, live=False)
    shown = {cell.caption: (cell.text, cell.colour) for cell in cells}
    assert shown["Picture"] == ("–", None)
    assert shown["Picture track"] == ("none", None)
    assert shown["Sound track"] == ("being read", palette.GOOD)


@pytest.mark.parametrize(
    ("state", "speed", "track", "analysis"),
    [
        (SourceState.OPENING, 0.0, "–", "–"),
        (SourceState.RUNNING, 4.62, "being read", "4.6×"),
        (SourceState.ENDED, 0.0, "read", "done"),
    ],
)
def test_the_status_of_a_recording_is_not_that_of_devices(
    state: SourceState, speed: float, track: str, analysis: str
) -> None:
    source = SourceHealth(name="talk.mp4", state=state)
    health = Health(camera=source, microphone=source, analysis_speed=speed)
    cells = {cell.caption: cell for cell in presenters.status_cells(health, 30.0, live=False)}
    texts = [cells[name].text for name in ("Picture track", "Sound track", "Analysis")]
    assert texts == [track, track, analysis]
    assert "Delay p50 · p95" not in cells
    assert not any("amera" in cell.tip for cell in cells.values())


def test_at_the_start_nothing_is_missing_yet() -> None:
    for reason, words in ((Reason.STARTING, "starting"), (Reason.NO_FACE, "no face")):
        shown = presenters.shares(replace(absent_prediction(), reason=reason), MODALITIES)
        assert shown[0].text == words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (42.0, "42 s"), (59.7, "1 min"), (1080.0, "18 min"), (9000.0, "2.5 h")],
)
def test_how_long_the_analysis_will_take(seconds: float, text: str) -> None:
    position, health = 12.0 + seconds, Health(camera=RUNNING, microphone=RUNNING)
    ahead: dict[str, Any] = {"position": position, "duration": 9999.0, "analysed": 12.0}
    known = replace(health, analysis_speed=1.0)
    _, detail = presenters.absence(replay(health=known, **ahead))
    assert detail == f"Playback goes on in about {text}; analysed up to 0:12"
    _, detail = presenters.absence(replay(health=health, **ahead))
    assert detail == "Playback waits for the analysis, now at 0:12"


def test_levels_carry_a_true_minus_sign() -> None:
    assert presenters.decibels(-31.6) == "\u221232 dB"
    assert presenters.decibels(-120.0) == "\u221299 dB"

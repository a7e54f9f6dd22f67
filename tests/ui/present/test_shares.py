"""What people read of what counted."""

from dataclasses import replace

import numpy as np

from models.config import MODALITIES
from realtime.emotion.reasons import NO_FACE
from realtime.messages import NO_SOURCE, STARTING, ModalityReport, Track
from tests.fakes.session import absent_prediction, make_prediction
from ui.present import shares


def test_shares_show_equal_weight_and_the_status_of_what_is_absent() -> None:
    face, voice = shares.shares(make_prediction(10), MODALITIES)
    assert face.equal == voice.equal == 0.5
    assert face.opinion == "alone: neutral"  # not "now": it is of the last seconds
    face, voice = shares.shares(make_prediction(70), MODALITIES)  # nobody speaks
    assert (face.text, voice.text) == ("100\u202f%", "no speech")
    assert voice.share is None
    assert voice.opinion == ""
    assert [each.text for each in shares.shares(None, MODALITIES)] == ["–", "–"]


def test_what_is_switched_off_is_told_from_what_a_recording_lacks() -> None:
    def told(time_of_day: float | None) -> tuple[str, str, str]:
        gone = [
            ModalityReport(name=name, track=track, absent=NO_SOURCE)
            for name, track in (("face", Track.PICTURES), ("voice", Track.SOUND))
        ]
        prediction = replace(absent_prediction(), modalities=tuple(gone), time_of_day=time_of_day)
        face, voice = shares.shares(prediction, MODALITIES)
        return face.text, voice.text, shares.sound_absence(prediction)

    assert told(1.7e9) == ("not in use", "not in use", "voice not counted: not in use")
    # Where one track ends before the other it is missing "here", not in the whole recording.
    assert told(None) == ("no picture here", "no sound here", "voice not counted: no sound here")


def test_a_share_of_zero_is_a_share() -> None:
    prediction = make_prediction(10)
    none = replace(prediction.modalities[0], share=0.0)
    prediction = replace(prediction, modalities=(none, prediction.modalities[1]))
    shown = shares.shares(prediction, MODALITIES)
    assert shown[0].text == "0\u202f%"


def test_even_moments_draw_a_flat_low_curve() -> None:
    curve = shares.moments_curve(np.full(150, 1 / 150, np.float32), top=4.0)
    np.testing.assert_allclose(curve, 0.25, rtol=1e-5)


def test_how_well_the_voice_is_known() -> None:
    prediction = make_prediction(10)
    assert shares.voice_known(None) == shares.voice_known(prediction) == ""
    known = replace(prediction, speaker_seconds=23.6)
    assert shares.voice_known(known) == "voice known from 24 s"


def test_at_the_start_nothing_is_missing_yet() -> None:
    for reason, words in ((STARTING, "starting"), (NO_FACE, "no face")):
        shown = shares.shares(replace(absent_prediction(), reason=reason), MODALITIES)
        assert shown[0].text == words

"""Predictions laid out over time."""

import numpy as np
import pytest

from models.labels import EMOTIONS
from realtime.emotion.reasons import SILENCE
from tests.fakes.session import absent_prediction, make_prediction
from ui.answer_track import NOT_SURE, NOTHING, AnswerTrack, runs


def test_columns_hold_what_was_predicted_there() -> None:
    track = AnswerTrack(EMOTIONS)
    track.extend([make_prediction(index) for index in range(1, 21)])
    columns = track.columns(0.0, 4.0, 40)
    assert (columns.labels[:20] == 0).all()
    assert (columns.labels[20:] == NOTHING).all()
    np.testing.assert_allclose(columns.smoothed[:20].sum(axis=1), 1.0, rtol=1e-5)
    assert np.isnan(columns.smoothed[20:]).all()


def test_the_time_of_each_class_is_a_part_of_all_that_was_answered() -> None:
    track = AnswerTrack(EMOTIONS)
    assert track.label_shares() == (0.0,) * 7
    track.extend([make_prediction(index, label="happy") for index in range(1, 41)])
    track.extend([absent_prediction(index) for index in range(41, 51)])
    track.extend([make_prediction(index, label="sad") for index in range(100, 150)])
    shares = dict(zip(EMOTIONS, track.label_shares(), strict=True))
    begun = AnswerTrack(EMOTIONS)  # whose first answer counts as much as each other
    begun.extend([absent_prediction(1), make_prediction(2, label="happy")])
    assert max(begun.label_shares()) == pytest.approx(0.5)
    assert shares["happy"] == pytest.approx(0.4, abs=0.02)
    assert shares["sad"] == pytest.approx(0.5, abs=0.02)  # the gap before it is no time at all
    assert sum(shares.values()) == pytest.approx(0.9, abs=0.02)


def test_gaps_longer_than_half_a_second_stay_gaps() -> None:
    track = AnswerTrack(EMOTIONS)
    track.extend([make_prediction(10), make_prediction(40)])
    assert track.label_at(0.9) != NOTHING
    assert track.label_at(2.0) == NOTHING
    assert track.label_at(3.7) != NOTHING


def test_not_sure_is_not_nothing() -> None:
    track = AnswerTrack(EMOTIONS)
    track.extend([make_prediction(9, label=None, reason=SILENCE), absent_prediction(10)])
    columns = track.columns(0.8, 1.0, 2)
    assert columns.labels.tolist() == [NOT_SURE, NOT_SURE]
    assert np.isfinite(columns.smoothed[0]).all()
    assert np.isnan(columns.smoothed[1]).all()


def test_live_it_forgets_the_old() -> None:
    track = AnswerTrack(EMOTIONS, keep_seconds=2.0)
    for index in range(1, 101):
        track.extend([make_prediction(index)])
    assert len(track) == 31  # two seconds, and one that is scrolling out
    assert track.end == 10.0


def test_equal_labels_that_follow_each_other_are_one_stretch() -> None:
    track = AnswerTrack(EMOTIONS)
    for label, indices in (("sad", range(1, 21)), (None, range(21, 31)), ("sad", range(60, 71))):
        reason = None if label else SILENCE
        track.extend([make_prediction(index, label=label, reason=reason) for index in indices])
    sad = EMOTIONS.index("sad")
    labels, times = [each.label for each in track.stretches], [each[1:] for each in track.stretches]
    assert labels == [sad, NOT_SURE, sad]
    assert np.allclose(times, [(0.0, 2.0), (2.0, 3.0), (6.0, 7.0)])
    live = AnswerTrack(EMOTIONS, keep_seconds=2.0)
    for index in range(1, 101):
        label = EMOTIONS[index // 10 % 2]
        live.extend([make_prediction(index, label=label, reason=None)])
    assert len(live.stretches) == 3
    assert live.stretches[-1].end == live.end


def test_nothing_yet() -> None:
    track = AnswerTrack(EMOTIONS, keep_seconds=60.0)
    track.extend([])
    columns = track.columns(-60.0, 0.0, 5)
    assert (columns.labels == NOTHING).all()


def test_runs_of_labels() -> None:
    assert runs(np.array([3, 3, -1, 5], np.int8)) == [(3, 0, 2), (-1, 2, 3), (5, 3, 4)]
    assert runs(np.array([2], np.int8)) == [(2, 0, 1)]

"""What is learned of one voice: cautious, forgetting, the same in parts and as a whole."""

from __future__ import annotations

import numpy as np
import pytest

from models.speaker import SpeakerOffset

RESIDUAL = np.array([1.0, -2.0, 0.5], np.float32)


def test_nothing_heard_is_nothing_taken_off() -> None:
    speaker = SpeakerOffset(3, prior_windows=5.0, memory_windows=40.0)
    assert (speaker.value == 0).all()
    assert speaker.windows == 0.0


def test_the_prior_counts_as_so_many_windows_of_nothing() -> None:
    speaker = SpeakerOffset(3, prior_windows=5.0, memory_windows=1e9)
    for count in range(1, 21):
        speaker.hear(RESIDUAL)
        np.testing.assert_allclose(speaker.value, RESIDUAL * count / (count + 5), rtol=1e-5)


def test_windows_that_overlap_count_for_what_is_new_in_them() -> None:
    whole, parts = (SpeakerOffset(3, prior_windows=5.0, memory_windows=40.0) for _ in range(2))
    for _ in range(10):
        whole.hear(RESIDUAL)
        for _ in range(30):
            parts.hear(RESIDUAL, 1 / 30)
    assert parts.windows == pytest.approx(whole.windows, rel=0.02)
    np.testing.assert_allclose(parts.value, whole.value, rtol=0.02)


def test_another_voice_replaces_the_one_before() -> None:
    speaker = SpeakerOffset(3, prior_windows=5.0, memory_windows=20.0)
    for residual in (RESIDUAL, -RESIDUAL):
        for _ in range(100):
            speaker.hear(residual)
    assert speaker.windows == pytest.approx(20.0, rel=0.01)
    np.testing.assert_allclose(speaker.value, -RESIDUAL * 20 / 25, rtol=0.02)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_spoils_nothing(odd: float) -> None:
    speaker = SpeakerOffset(3, prior_windows=5.0, memory_windows=20.0)
    speaker.hear(RESIDUAL)
    before, windows = speaker.value, speaker.windows
    speaker.hear(np.array([0.0, odd, 0.0], np.float32))
    np.testing.assert_array_equal(speaker.value, before)
    assert speaker.windows == windows


def test_forgotten_is_as_never_heard() -> None:
    speaker = SpeakerOffset((2, 3), prior_windows=5.0, memory_windows=20.0)
    speaker.hear(np.stack([RESIDUAL, -RESIDUAL]))
    assert speaker.value.shape == (2, 3)
    assert (speaker.value[0] == -speaker.value[1]).all()
    speaker.forget()
    assert (speaker.value == 0).all()
    assert speaker.windows == 0.0

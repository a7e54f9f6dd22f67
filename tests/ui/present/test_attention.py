"""MSAF's attention as pictures."""

import numpy as np

from tests.fakes.session import absent_prediction, make_prediction
from ui.present import attention


def test_attention_is_drawn_against_an_even_share() -> None:
    maps, sequences = attention.attention_panels(make_prediction(10))
    assert (maps.title, sequences.title) == ("Feature maps", "Sequences")
    assert maps.groups == (("face", 8, True), ("voice", 8, True))
    np.testing.assert_allclose(np.exp2(maps.factors).sum(axis=0) / 16, 1.0, rtol=1e-5)


def test_attention_of_an_absent_modality_is_nothing_rather_than_little() -> None:
    maps, _ = attention.attention_panels(make_prediction(70))
    assert maps.groups == (("face", 8, True), ("voice", 8, False))
    assert np.isnan(maps.factors[8:]).all()
    np.testing.assert_allclose(np.exp2(maps.factors[:8]).sum(axis=0) / 8, 1.0, rtol=1e-5)
    assert attention.attention_panels(absent_prediction()) == ()
    assert attention.attention_panels(None) == ()

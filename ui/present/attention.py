"""MSAF's attention as pictures.

Thread: any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.arrays import FloatArray
from realtime.messages import Attention, Prediction
from ui.present.words import sentence


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionPanel:
    """One depth of MSAF as a picture: rows are channel blocks, columns channels."""

    title: str
    groups: tuple[tuple[str, int, bool], ...]  # modality, its number of blocks, present
    # (blocks, channels) log2 of weight ÷ uniform share, group after group; NaN absent
    factors: FloatArray

    def rows(self, modality: str) -> FloatArray | None:
        """The factors of one modality, None where it has no blocks or is absent."""
        first = 0
        for name, count, present in self.groups:
            if name == modality:
                return self.factors[first : first + count] if present else None
            first += count
        return None


DEPTH_TITLES: Final = {"maps": "Feature maps", "sequences": "Sequences"}


def attention_panels(prediction: Prediction | None) -> tuple[AttentionPanel, ...]:
    """One panel per depth; empty when no modality was there."""
    if prediction is None:
        return ()
    present = {report.name: report.present for report in prediction.modalities}
    return tuple(_attention_panel(each, present) for each in prediction.attention)


def _attention_panel(attention: Attention, present: dict[str, bool]) -> AttentionPanel:
    names = attention.modalities
    there = np.array([present.get(name, False) for name in names])
    uniform = 1.0 / max(int(there.sum()), 1)
    with np.errstate(divide="ignore"):
        factors = np.log2(np.maximum(attention.weights, 1e-6) / uniform).astype(np.float32)
    factors[~there] = np.nan
    unique = _unique(names)
    factors = factors[np.argsort([unique.index(name) for name in names], kind="stable")]
    groups = tuple((name, names.count(name), present.get(name, False)) for name in unique)
    return AttentionPanel(
        title=DEPTH_TITLES.get(attention.name, sentence(attention.name)),
        groups=groups,
        factors=factors,
    )


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))

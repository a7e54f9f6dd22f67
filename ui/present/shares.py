"""What counted: each modality beside what it would get at equal weight, and the sound.

Thread: any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import FloatArray
from realtime.messages import STARTING, ModalityReport, Prediction, Track
from ui.present.words import percent, sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How much one modality counted, beside what it would get at equal weight."""

    name: str
    share: float | None
    equal: float | None
    text: str  # "62 %", or in one word why it is absent
    opinion: str  # what this modality alone would say of this window, not steadied


def shares(prediction: Prediction | None, modalities: Sequence[str]) -> tuple[Share, ...]:
    """One row per modality in the network's order; `modalities` names them without an answer."""
    if prediction is None:
        return tuple(
            Share(name=sentence(name), share=None, equal=None, text="–", opinion="")
            for name in modalities
        )
    starting = prediction.reason is STARTING
    return tuple(
        _share(report, starting=starting, live=prediction.live) for report in prediction.modalities
    )


def _share(report: ModalityReport, *, starting: bool, live: bool) -> Share:
    name = sentence(report.name)
    if not report.present or report.share is None:
        words = report.absence(live=live, starting=starting)
        return Share(name=name, share=None, equal=None, text=words, opinion="")
    return Share(
        name=name,
        share=report.share,
        equal=report.chance_share,
        text=percent(report.share),
        opinion=f"alone: {report.label}" if report.label else "",
    )


def sound_absence(prediction: Prediction) -> str:
    """Why a modality that is taken from sound did not count, "" where there is no such thing."""
    for report in prediction.modalities:
        if report.track is Track.SOUND and not report.present:
            words = report.absence(live=prediction.live)
            return f"{report.name} not counted: {words}"
    return ""


def voice_known(prediction: Prediction | None) -> str:
    """From how long the voice is known, "" from less than a second."""
    seconds = 0.0 if prediction is None else prediction.speaker_seconds
    return f"voice known from {seconds:.0f} s" if seconds >= 1.0 else ""


def moments_curve(moments: FloatArray, top: float = 6.0) -> FloatArray:
    """Weights of the moments, which sum to 1, as heights 0..1 where `top` × uniform is 1."""
    return np.clip(moments * len(moments) / top, 0.0, 1.0).astype(np.float32)

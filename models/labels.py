"""Names of the classes, in the order of the network's outputs."""

from typing import Final

EMOTIONS: Final = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
"""Seven classes of the live network; RAVDESS's calm counts as neutral, FER+'s contempt as none."""

RAVDESS_EMOTIONS: Final = (
    "neutral",
    "calm",
    "happy",
    "sad",
    "angry",
    "fearful",
    "disgusted",
    "surprised",
)
"""Eight classes of RAVDESS (Livingstone and Russo 2018), in the order of its numbers from 1."""

FERPLUS_EMOTIONS: Final = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
)
"""Eight classes of FER+ (Barsoum et al. 2016), in the order of its vote columns."""

FERPLUS_TO_EMOTION: Final = (0, 1, 6, 2, 3, 5, 4, None)
"""FER+ class → index into EMOTIONS; contempt has no counterpart and is left out."""

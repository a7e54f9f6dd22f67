"""The voice: the window's sound, encoded whenever somebody speaks in it.

Thread: the worker's, but for `encode`. Each 32 ms of sound go through the speech detector once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from models.arrays import FloatArray
from models.config import VOICE
from models.mel import SlidingLogMel
from models.speaker import SpeakerOffset
from realtime.config import WindowConfig
from realtime.emotion.config import EmotionConfig
from realtime.emotion.fusion import EmotionFusion
from realtime.emotion.reasons import CLIPPED, SILENCE
from realtime.emotion.speech import VoiceActivity
from realtime.messages import Prediction, Reason, Track
from realtime.rings import SampleRing
from realtime.task import Excerpt, Modality
from realtime.windowing import Span, WindowGrid

# Below this there is too little sound for one frame of every layer of the voice encoder.
LEAST_SOUND_SECONDS = 0.5


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class VoiceExcerpt(Excerpt):
    """The voice in one window."""

    mel: FloatArray | None  # (80, n); there with any sound, speech or not
    mel_end: float | None  # s, time just after it
    speech: bool  # somebody speaks in the last two hops
    sound_level: float | None  # dBFS
    frames: FloatArray | None = None  # (channels, n_frames), once it is encoded


class Voice(Modality[VoiceExcerpt, EmotionFusion]):
    """Whoever speaks."""

    name = VOICE
    track = Track.SOUND

    def __init__(
        self,
        config: EmotionConfig,
        windows: WindowConfig,
        samples: SampleRing,
        *,
        activity: VoiceActivity,
        speaker: SpeakerOffset,
        encoder: Callable[[FloatArray], FloatArray],
    ) -> None:
        """`encoder`: log-mel (80, n) → frames (channels, n_frames), called on any thread."""
        self._config = config
        self._windows = windows
        self._grid = WindowGrid(windows)
        self._samples = samples
        self._activity = activity
        self._speaker = speaker
        self._encoder = encoder
        self._log_mel = SlidingLogMel(round(windows.hop_seconds * samples.sample_rate))

    def hear(self, start: float, samples: FloatArray) -> None:
        """See Modality.hear."""
        self._activity.push(start, samples)

    def forget_input(self) -> None:
        """See Modality.forget_input."""
        self._activity.reset()

    def forget_person(self) -> None:
        """See Modality.forget_person."""
        self._speaker.forget()

    def excerpt(self, index: int, lost: Reason | None) -> VoiceExcerpt:
        """See Modality.excerpt."""
        span, rate = self._grid.sound(index), self._samples.sample_rate
        start, samples = self._samples.read(span.start, span.end)
        mel = mel_end = None
        if len(samples) >= LEAST_SOUND_SECONDS * rate:
            mel, mel_end = self._log_mel(samples), start + len(samples) / rate
        heard = None if mel is None else Span(max(start, span.start), span.end)
        absent, speech = self._absent(heard, lost)
        return VoiceExcerpt(
            absent=absent,
            mel=mel,
            mel_end=mel_end,
            speech=speech,
            sound_level=self._level(span.end) if lost is None else None,
        )

    def encode(self, excerpt: VoiceExcerpt) -> VoiceExcerpt:
        """With its frames, if somebody speaks: most of a window's work."""
        if excerpt.absent is not None:
            return excerpt
        assert excerpt.mel is not None
        return replace(excerpt, frames=self._encoder(excerpt.mel))

    def inputs(self, excerpt: VoiceExcerpt) -> Mapping[str, FloatArray]:
        """See Modality.inputs."""
        assert excerpt.frames is not None
        return {"frames": excerpt.frames, "speaker": self._speaker.value}

    def learn(self, fusion: EmotionFusion, windows: float) -> None:
        """See Modality.learn."""
        if self._config.adapt:
            self._speaker.hear(fusion.voice_residual, windows)

    def show(
        self,
        prediction: Prediction,
        excerpt: VoiceExcerpt,
        fusion: EmotionFusion | None,
        shown: int | None,
    ) -> Prediction:
        """The spectrogram and the moments that the answer leaned on."""
        return replace(
            prediction,
            spectrogram=excerpt.mel,
            spectrogram_end=excerpt.mel_end,
            voice_moments=None if fusion is None else fusion.voice_moments,
            sound_level=excerpt.sound_level,
            speech=excerpt.speech,
            speaker_seconds=self._speaker.windows * self._windows.window_seconds,
        )

    def _absent(self, heard: Span | None, lost: Reason | None) -> tuple[Reason | None, bool]:
        """Why the voice does not count, if so, and whether somebody speaks right now.

        `heard` is what there is of the window's sound, None if that is too little.
        """
        config, activity = self._config, self._activity
        missing = lost or SILENCE
        if heard is None:
            return missing, False
        start, end = heard.start, heard.end
        hop = self._windows.hop_seconds
        speech = activity.speech_seconds(max(start, end - 2 * hop), end) > 0
        last = activity.last_speech(start, end)
        if (
            last is None
            or end - last > config.speech_age_seconds
            or activity.speech_seconds(start, end) < config.speech_seconds
        ):
            return missing, speech
        if activity.clipped_share(start, end) > config.clipped:
            return CLIPPED, speech
        return None, speech

    def _level(self, end: float) -> float | None:
        """RMS of the last hop in dBFS."""
        _, samples = self._samples.read(end - self._windows.hop_seconds, end)
        if not len(samples):
            return None
        power = float(np.mean(np.square(samples, dtype=np.float64)))
        return 10 * math.log10(max(power, 1e-10))

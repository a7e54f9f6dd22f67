"""The immutable messages that flow from the sources to the window.

Thread: any; nothing here changes after it is made. Times are seconds on the session clock (live) or
in the recording (replay). Absent is `None` or no message, never zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.arrays import FloatArray


class Track(StrEnum):
    """What a source delivers, and a modality is taken from."""

    PICTURES = "pictures"
    SOUND = "sound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a modality does not count in a window, or why there is no label.

    A task has reasons of its own besides those below.
    """

    name: str  # in records: "no face"
    told: str  # for people, as the end of a sentence: "no face in the picture"
    short: str = ""  # for people, beside the modality: "no face"
    rank: int = 0  # of several modalities' reasons the highest is why there is no label
    at_first: bool = False  # so it is as long as nothing could be seen or heard yet

    def __str__(self) -> str:
        return self.name


NO_SOURCE: Final = Reason(  # no device, no such track in the recording, or switched off
    name="no source", told="no camera or microphone", short="not in use", rank=-10
)
STALLED: Final = Reason(  # the source is there but has stopped delivering
    name="stalled", told="no input arrives", short="no input arrives"
)
NOT_DELIVERING: Final = (NO_SOURCE, STALLED)
NO_ANSWER: Final = Reason(  # what the network gave is not finite
    name="no answer", told="the network fails on this input", short="the network fails", rank=10
)

# Why there is no label:
STARTING: Final = Reason(  # less than a second of input so far
    name="starting", told="just started, watching and listening"
)
NO_INPUT: Final = Reason(  # neither source delivers, or the camera is lost and nobody speaks
    name="no input", told="neither picture nor sound arrives"
)
LOW_CONFIDENCE: Final = Reason(name="low confidence", told="nothing stands out")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VideoPacket:
    """One camera image."""

    timestamp: float  # s, when the image was grabbed
    sequence: int  # counts since open(); a gap is a dropped frame
    image: NDArray[np.uint8]  # (height, width, 3), RGB, read-only


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AudioPacket:
    """A run of sound samples."""

    timestamp: float  # s, of the first sample
    sequence: int  # counts since open()
    samples: FloatArray  # (n_samples, n_channels), read-only; in [-1, 1] if the source is right
    sample_rate: int  # Hz
    overflowed: bool = False  # the driver lost input just before this packet

    @property
    def end(self) -> float:
        """Time just after the last sample, in seconds."""
        return self.timestamp + len(self.samples) / self.sample_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle in image coordinates divided by the image's width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FaceObservation:
    """The face that is followed, in one image."""

    timestamp: float  # s, of the image
    sequence: int  # of the image
    identity: int  # counts faces since the start; the same person keeps it through short losses
    box: Box
    keypoints: FloatArray  # (4, 2): image-left eye, image-right eye, nose tip, mouth; 0..1 of image
    score: float  # the detector's confidence, 0..1
    crop: FloatArray | None  # (48, 48) grey, [0, 1], see models/alignment.py; None in histories
    crop_from_image: FloatArray  # (2, 3) affine: image pixels → crop pixels
    brightness: float  # mean luminance of the crop, 0..1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sighting:
    """One image after the search for the followed face (docs/adr/0006)."""

    timestamp: float  # s, of the image
    sequence: int  # of the image
    face: FaceObservation | None  # as last seen; None when the last search did not find it
    brightness: float  # mean luminance of the whole image, 0..1
    searched: bool = True  # False: too soon after the search before, whose face is repeated


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sound:
    """A run of sound as windows are made of it: mono, at their rate."""

    timestamp: float  # s, of the first sample
    samples: FloatArray  # (n,), at least one, read-only


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChange:
    """What comes from here on is of another source, which another person may be at."""

    track: Track
    connected: bool  # whether there is one to wait for


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOver:
    """The end of a pause: what came before it is forgotten, but not the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowChoice:
    """The window to be answered now; those between the one before and this are skipped."""

    index: int
    lost: Mapping[Track, Reason]  # tracks that do not deliver, and why: NO_SOURCE or STALLED


Input = Sighting | Sound | SourceChange | StartOver
"""What reaches a worker from outside, one after another."""
Given = Input | WindowChoice
"""All that a worker's answers depend on (docs/adr/0012)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModalityReport:
    """What one modality did in one window."""

    name: str  # of the emotion task "face" and "voice"
    track: Track
    absent: Reason | None = None  # why the answer does not rest on it, None where it does
    share: float | None = None  # of the attention, 0..1; None when absent
    chance_share: float | None = None  # what its number of channel blocks alone would give
    label: str | None = None  # what this modality's own head says; None when absent

    @property
    def present(self) -> bool:
        """Whether the answer rests on this modality."""
        return self.absent is None

    def absence(self, *, live: bool, starting: bool = False) -> str:
        """Why it does not count, in a word or two for people; empty where it does.

        A recording may lack a track, or only the end of it. `starting`: so is the whole answer.
        """
        if starting and self.absent is not None and self.absent.at_first:
            return STARTING.name
        if self.absent is NO_SOURCE and not live:
            return {Track.PICTURES: "no picture here", Track.SOUND: "no sound here"}[self.track]
        return "" if self.absent is None else self.absent.short


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attention:
    """MSAF's attention at one depth (arXiv 2012.07175, section 3), before its floor L."""

    name: str  # of the emotion task "maps" and "sequences"
    weights: (
        FloatArray  # (n_channel_blocks, block_channels); softmax over the blocks that are there
    )
    modalities: tuple[str, ...]  # modality of each channel block, (n_channel_blocks,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """The answer for one window [window_end - window_seconds, window_end).

    In histories what takes space is left out: the spectrogram and the face's crop, of a recording
    also logits, attention, face and what there is to show of both; `Snapshot.prediction` has it.
    """

    window_index: int  # window_end = window_index * hop_seconds
    window_end: float  # s
    labels: tuple[str, ...]  # names of the classes in the network's order
    label: str | None  # the steady label; None is "not sure"
    reason: Reason | None  # why there is no label; None exactly when there is one
    confidence: float | None  # smoothed, of the label or the likeliest class; None without either
    logits: FloatArray | None  # (n_classes,) calibrated; None when no modality was present
    probabilities: FloatArray | None  # (n_classes,) softmax of the logits
    smoothed: FloatArray | None  # (n_classes,) over the last windows
    modalities: tuple[ModalityReport, ...]  # in the network's order
    attention: tuple[Attention, ...]  # one per depth; empty when no modality was present
    inference_seconds: float = 0.0  # time the worker spent on this window
    latency_seconds: float | None = None  # newest sample → published; None without, or in replay
    time_of_day: float | None = None  # s since 1970, UTC, of window_end; None in a recording's time
    # What there is to show of the face,
    face: FaceObservation | None = None  # newest of the window
    face_activation: FloatArray | None = None  # (6, 6) class activation map over face.crop, 0..1
    # … and of the voice.
    spectrogram: FloatArray | None = None  # (80, n) log-mel of the window, whether speech or not
    spectrogram_end: float | None = None  # s, before window_end where sound is late; it is kept
    voice_moments: FloatArray | None = None  # weights of equal parts of it in time, sum to 1
    sound_level: float | None = None  # dBFS, RMS of the last hop
    speech: bool = False  # somebody speaks in the last two hops
    speaker_seconds: float = 0.0  # that this voice counted for, two minutes at most

    @property
    def live(self) -> bool:
        """Whether it was made of live input, not of a recording."""
        return self.time_of_day is not None

    def compact(self) -> Prediction:
        """A copy for histories, without what takes space: the spectrogram and the face crop."""
        face = None if self.face is None else replace(self.face, crop=None)
        return replace(self, spectrogram=None, face=face)

    def modality(self, name: str) -> ModalityReport:
        """Report of the modality called `name`; raises KeyError, naming those that there are."""
        for report in self.modalities:
            if report.name == name:
                return report
        names = ", ".join(report.name for report in self.modalities)
        raise KeyError(f"there is no modality “{name}”, only {names or 'none'}")


class SourceState(StrEnum):
    """Life of one source."""

    OFF = "off"
    OPENING = "opening"
    RUNNING = "running"
    STALLED = "stalled"
    RETRYING = "retrying"
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHealth:
    """One source as the status line shows it."""

    name: str  # "Logitech C920", "demo.mkv", "none"
    state: SourceState = SourceState.OFF
    rate: float = 0.0  # packets (video) or samples (audio) per second
    dropped: int = 0  # pictures that could not be decoded, blocks that the driver lost
    message: str = ""  # what is wrong and what to do, for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A frozen look at how the session is doing; a new one is made on every request."""

    camera: SourceHealth
    microphone: SourceHealth
    answer_rate: float = 0.0  # predictions per second over the last 5 s
    analysis_speed: float = 0.0  # of a recording, while it is analysed; 1 is as fast as it plays
    latency_p50: float | None = None  # s, over the last 30 s
    latency_p95: float | None = None
    windows_skipped: int = 0  # windows with input, not computed because a newer one was due
    frames_skipped: int = 0  # frames passed over, by the search or the answers, for newer ones
    # s, how much older sound is than a picture when it comes in here; positive: sound late. What
    # a camera or a network takes before is not known.
    sound_offset: float | None = None
    engine: str = ""  # "onnxruntime, CPU" or "torch, NVIDIA …"
    written_to: str = ""  # file that live answers are written to


class SessionState(StrEnum):
    """Life of a session."""

    LOADING = "loading"
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"  # replay: the whole file is analysed
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Playback:
    """How a recording is played back, beside its analysis."""

    position: float  # s, where it stands
    duration: float  # s, an estimate until it is known, 0 before the recording is open
    analysed: float  # s, how far the predictions reach
    speed: float  # 1 is real time
    playing: bool  # it moves, or does as soon as the analysis lets it
    sound_problem: str = ""  # why the sound cannot be heard, for people; empty while it can
    sound_waits: bool = False  # it is too near to the analysis for the sound to be heard
    picture_late: bool = False  # the picture is still that of another moment


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """Everything a window shows at one instant."""

    state: SessionState
    message: str  # for people: what is being loaded, or why it failed and what to do
    progress: float | None  # 0..1 while loading
    preview: VideoPacket | None  # None also when the camera that gave it is lost
    face: FaceObservation | None  # of the preview or just before; None when nobody is followed
    prediction: Prediction | None
    health: Health
    playback: Playback | None = None  # None when live
    flaws: tuple[str, ...] = ()  # what is wrong with a recording: it is cut off, has no sound, …
    notes: tuple[str, ...] = ()  # answers are written, …

    @property
    def live(self) -> bool:
        """Whether it is of live input, not of a recording."""
        return self.playback is None

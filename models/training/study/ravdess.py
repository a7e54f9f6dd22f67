"""What the two emotion tasks share: RAVDESS clips, published actor folds, features computed once.

Every feature file lies in the work folder and is made at first use. Thread: the study's.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.arrays import FloatArray, IntArray
from models.config import VoiceEncoderConfig
from models.files import written_whole
from models.mel import SAMPLE_RATE, log_mel
from models.paper.mfcc_cnn import COEFFICIENTS
from models.training.augment_audio import (
    AudioAugmentation,
    Samples,
    augment_audio,
    centred_window,
    speech_span,
)
from models.training.data import (
    ACTOR_FOLDS,
    GET_AGAIN,
    DataError,
    load_ravdess,
    ravdess_files,
    require,
)
from models.training.loop import RunContext, half_precision, progress_bar
from models.training.paper.mfcc import mfcc
from models.training.study.task import Fold, people_split
from models.training.whisper import start_from_whisper
from models.voice import VoiceEncoder

_FULL_SCALE: Final = 32767.0  # of 16 bit
_TOGETHER: Final = 16  # windows that go through an encoder at once
VIEWS: Final = 6  # of each clip: as it is, and five times through another microphone and room
ACTION_UNITS: Final = 35
HOP: Final = 320  # samples of one encoder frame, 20 ms
MAX_FRAMES: Final = 250  # encoder frames, 5 s: no clip's speech is longer
WINDOW: Final = round(3.0 * SAMPLE_RATE)  # what a fine-tuned encoder reads
RECORDINGS: Final = 8  # of each clip that encoders are fine-tuned on, the first as it is
VIEW: Final = AudioAugmentation(
    speed=1.0,
    speed_range=(0.88, 1.14),
    reverberation=0.2,
    noise=0.4,
    snr_decibels=(15.0, 40.0),
    clipping=0.0,
    companding=0.0,
    telephone=0.0,
)
RECORDED: Final = AudioAugmentation(
    speed=0.8,
    speed_range=(0.86, 1.16),
    reverberation=0.25,
    noise=0.4,
    snr_decibels=(8.0, 40.0),
    clipping=0.03,
    companding=0.03,
    telephone=0.03,
)


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """The 1439 clips without the one that is there twice, in file order."""

    names: tuple[str, ...]
    labels: IntArray  # (n,) into RAVDESS_EMOTIONS
    actors: IntArray  # (n,)
    folds: tuple[Fold, ...]

    @property
    def female(self) -> NDArray[np.bool_]:
        """(n,) actors with even numbers."""
        return np.asarray(self.actors % 2 == 0)


def read_clips(data_root: Path) -> Clips:
    """Names and labels of the clips that are there; the fold behind the test fold validates.

    Raises
    ------
    DataError
        There are none.
    """
    files = ravdess_files(data_root)
    actors = np.array([file.actor for file in files])
    folds = []
    for index, test_actors in enumerate(ACTOR_FOLDS):
        train = np.flatnonzero(~np.isin(actors, test_actors))
        validation_actors = ACTOR_FOLDS[(index + 1) % len(ACTOR_FOLDS)]
        folds.append(
            Fold(
                str(index + 1),
                train,
                np.flatnonzero(np.isin(actors, test_actors)),
                (people_split(actors, train, validation_actors),),
            )
        )
    names = tuple(file.path.stem for file in files)
    return Clips(names, np.array([file.emotion for file in files]), actors, tuple(folds))


def action_units(data_root: Path, clips: Clips) -> FloatArray:
    """Clip means of OpenFace's 35 action units, (n, 35).

    Raises
    ------
    DataError
        The table or one of its clips is missing, or it is not as docs/data.md says.
    """
    path = require(data_root / "ravdess_action_units.csv")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = {row["name"][3:]: row for row in csv.DictReader(file, delimiter=";")}
        units = [
            [float(value) for unit, value in rows[name[3:]].items() if unit.startswith("AU")]
            for name in clips.names
        ]
    except KeyError as error:
        raise DataError(f"{path} has no {error}: {GET_AGAIN}") from None
    except (ValueError, TypeError, AttributeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error}): {GET_AGAIN}") from None
    if wrong := {len(each) for each in units} - {ACTION_UNITS}:
        raise DataError(f"{path} has {wrong.pop()} action units, not {ACTION_UNITS}: {GET_AGAIN}")
    return np.array(units, np.float32)


def speech(data_root: Path) -> list[Samples]:
    """The clips' sound, silence in front and behind cut off."""
    spoken = []
    for clip in load_ravdess(data_root):
        first, last = speech_span(clip.samples)
        spoken.append(clip.samples[first:last])
    return spoken


def views(data_root: Path, count: int = VIEWS) -> list[list[Samples]]:
    """The clips as they are, then as other microphones in other rooms might have heard them."""
    clean, rng = speech(data_root), np.random.default_rng(0)
    return [clean] + [
        [augment_audio(samples, rng, config=VIEW) for samples in clean] for _ in range(count - 1)
    ]


def heard(count: int = VIEWS) -> str:
    """Settings that statistics of so many views are made with."""
    return repr((VIEW, count, HOP, MAX_FRAMES))


@dataclass(frozen=True, slots=True, eq=False)
class Recordings:
    """Whole clips, silence included, RECORDINGS times each.

    First as they are, then as other microphones in other rooms might have heard them. They are the
    same for all encoders: where there is a GPU, changing the sound takes longer than the training.
    """

    samples: NDArray[np.int16]  # of all clips, one behind the other
    ends: IntArray  # (RECORDINGS, n) where each ends

    def samples_of(self, recording: int, row: int) -> Samples:
        """(m,) in [-1, 1]."""
        index = recording * self.ends.shape[1] + row
        ends = self.ends.reshape(-1)
        part = self.samples[ends[index - 1] if index else 0 : ends[index]]
        return part.astype(np.float32) / _FULL_SCALE


def recordings(context: RunContext) -> Recordings:
    """Those of all clips, made at first use: 1.4 GB on disk."""

    def compute() -> NDArray[np.int16]:
        clips = [clip.samples for clip in load_ravdess(context.data_root)]
        given = [(number, row) for number in range(RECORDINGS) for row in range(len(clips))]
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            made = list(pool.map(_recorded, (clips[row] for _, row in given), given, chunksize=32))
        ends = np.cumsum([len(each) for each in made]).reshape(RECORDINGS, len(clips))
        _keep(context, "recording-ends", recorded(), ends)
        return np.concatenate(made)

    samples = _kept(context, "recordings", recorded(), compute, mmap=True)
    return Recordings(samples, np.load(_path(context, "recording-ends", recorded())))


def recorded() -> str:
    """Settings that recordings are made with."""
    return repr((RECORDED, RECORDINGS))


def _recorded(samples: Samples, which: tuple[int, int]) -> NDArray[np.int16]:
    """One recording of a clip."""
    if which[0] > 0:
        samples = augment_audio(samples, np.random.default_rng(which), config=RECORDED)
    rounded: NDArray[np.int16] = np.round(samples * _FULL_SCALE).astype(np.int16)
    return rounded


def window_statistics(
    context: RunContext, encoder: VoiceEncoder, spoken: Recordings, count: int
) -> Tensor:
    """Statistics of the first `count` recordings, (count, n, 3072): a window around the speech."""
    clips = spoken.ends.shape[1]
    which = [(number, row) for number in range(count) for row in range(clips)]
    parts = []
    with (
        torch.inference_mode(),
        half_precision(context.device),
        progress_bar() as progress,
    ):
        bar = progress.add_task("voice: layers of the encoder", total=len(which), note="")
        for first in range(0, len(which), _TOGETHER):
            some = which[first : first + _TOGETHER]
            windows = [centred_window(spoken.samples_of(*each), WINDOW) for each in some]
            mel = torch.from_numpy(log_mel(np.stack(windows))).to(context.device)
            parts.append(statistics(encoder, mel).cpu())
            progress.update(bar, advance=len(some))
    return torch.cat(parts).reshape(count, clips, -1)


def whisper_window_statistics(context: RunContext, spoken: Recordings, count: int) -> Tensor:
    """The same of Whisper tiny.en as it comes, made at first use."""

    def compute() -> FloatArray:
        encoder = whisper(context, VoiceEncoderConfig())
        return window_statistics(context, encoder, spoken, count).numpy()

    settings = repr((recorded(), count, WINDOW))
    return torch.from_numpy(_kept(context, "whisper-windows", settings, compute))


def whisper(context: RunContext, config: VoiceEncoderConfig) -> VoiceEncoder:
    """Whisper tiny.en's encoder as it comes, in evaluation mode."""
    encoder = VoiceEncoder(config)
    start_from_whisper(encoder, context.work_dir)
    return encoder.to(context.device).eval()


def whisper_statistics(context: RunContext) -> Tensor:
    """Whisper tiny.en as it comes: (VIEWS, n, 3072), mean and deviation of each layer over time.

    Per layer 384 means, then 384 deviations.
    """

    def compute() -> FloatArray:
        encoder = whisper(context, VoiceEncoderConfig(max_frames=MAX_FRAMES))
        return np.stack([encode(encoder, view, context) for view in views(context.data_root)])

    return torch.from_numpy(_kept(context, "whisper", heard(), compute))


def statistics(encoder: VoiceEncoder, mel: Tensor) -> Tensor:
    """Log-mel (B, 80, N) → mean and deviation over time of each layer, (B, layers · 2 · width)."""
    states = encoder.hidden_states(mel)
    normed = [norm(x.float()) for norm, x in zip(encoder.norms, states, strict=True)]
    stacked = torch.stack(normed, dim=1)  # (B, layers, T, W)
    return torch.cat([stacked.mean(dim=2), stacked.std(dim=2)], dim=2).flatten(1)


def encode(encoder: VoiceEncoder, spoken: list[Samples], context: RunContext) -> FloatArray:
    """Statistics of clips, (n, layers · 2 · width); shorter clips are not padded."""
    rows: list[FloatArray] = []
    with (
        torch.inference_mode(),
        half_precision(context.device),
        progress_bar() as progress,
    ):
        bar = progress.add_task("voice: layers of the encoder", total=len(spoken), note="")
        for samples in spoken:
            count = min(len(samples) // HOP * HOP, HOP * MAX_FRAMES)
            mel = torch.from_numpy(log_mel(samples[:count]))[None].to(context.device)
            rows.append(statistics(encoder, mel)[0].cpu().numpy())
            progress.update(bar, advance=1)
    return np.stack(rows)


def mfcc_sequences(context: RunContext) -> Tensor:
    """The paper's 13 MFCC, (1, n, 13, 212): 2.45 s from 0.5 s on, at 44.1 kHz.

    The clips come at 16 kHz; what lies above 8 kHz at 44.1 kHz is missing. Clips that are over
    earlier are continued with silence.
    """

    def compute() -> FloatArray:
        rows = []
        for clip in load_ravdess(context.data_root):
            part = clip.samples[round(0.5 * SAMPLE_RATE) :][: round(2.45 * SAMPLE_RATE)]
            part = np.pad(part, (0, round(2.45 * SAMPLE_RATE) - len(part)))
            rows.append(mfcc(soxr.resample(part, SAMPLE_RATE, 44100), 44100, COEFFICIENTS))
        return np.stack(rows)[None]

    return torch.from_numpy(_kept(context, "mfcc", "", compute))


def _kept(
    context: RunContext,
    name: str,
    settings: str,
    compute: Callable[[], NDArray[Any]],
    *,
    mmap: bool = False,
) -> NDArray[Any]:
    """An array from its file, made at first use: another one for other settings or clips."""
    path = _path(context, name, settings)
    with suppress(OSError, ValueError, EOFError):  # not there, or damaged
        return np.asarray(np.load(path, mmap_mode="r" if mmap else None))
    made = compute()
    _keep(context, name, settings, made)
    return made


def _keep(context: RunContext, name: str, settings: str, values: NDArray[Any]) -> None:
    with written_whole(_path(context, name, settings)) as file:
        np.save(file, values)


def _path(context: RunContext, name: str, settings: str) -> Path:
    key = repr((settings, read_clips(context.data_root).names))
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    return context.stage_dir("features") / f"{name}-{digest}.npy"

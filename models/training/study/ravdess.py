"""What the two emotion tasks share: RAVDESS clips, published actor folds, features computed once.

Every feature file lies in the work folder and is made at first use. Thread: the study's.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

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

RECORDINGS: Final = 8  # of each clip: as it is, and seven times through other microphones and rooms
VIEWS: Final = 4  # of them that the networks behind an encoder learn from
ACTION_UNITS: Final = 35
WINDOW: Final = round(3.0 * SAMPLE_RATE)  # around the speech, what an encoder reads
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
_FULL_SCALE: Final = 32767.0  # of 16 bit
_TOGETHER: Final = 16  # windows that go through an encoder at once


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """The clips that are there, 1439 of all, without the one that is twice, in file order."""

    names: tuple[str, ...]
    labels: IntArray  # (n,) into RAVDESS_EMOTIONS
    actors: IntArray  # (n,)
    folds: tuple[Fold, ...]
    sound: str = ""  # digest of their files

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
    sound = hashlib.sha256()
    for file in files:
        sound.update(file.path.read_bytes())
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
    emotions = np.array([file.emotion for file in files])
    return Clips(names, emotions, actors, tuple(folds), sound.hexdigest())


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
    values = np.array(units, np.float32)
    if not (known := np.isfinite(values).all(axis=1)).all():
        raise DataError(f"{path} has no number in {clips.names[known.argmin()]}: {GET_AGAIN}")
    return values


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
    """Those of all clips, made at first use: 1.4 GB on disk, and twice as much memory meanwhile."""
    paths = [_path(context, name, recorded()) for name in ("recordings", "recording-ends")]
    with suppress(OSError, ValueError, EOFError, IndexError):  # not there, or damaged
        samples, ends = np.load(paths[0], mmap_mode="r"), np.load(paths[1])
        if len(ends) == RECORDINGS and ends[-1, -1] == len(samples):
            return Recordings(samples, ends)
    clips = [clip.samples for clip in load_ravdess(context.data_root)]
    made: list[NDArray[np.int16]] = []
    with progress_bar() as progress:
        total = RECORDINGS * len(clips)
        bar = progress.add_task("voice: other microphones and rooms", total=total, note="")
        for number in range(RECORDINGS):
            for row, samples in enumerate(clips):
                if number > 0:
                    rng = np.random.default_rng((number, row))
                    samples = augment_audio(samples, rng, config=RECORDED)
                made.append(np.round(samples * _FULL_SCALE).astype(np.int16))
                progress.update(bar, advance=1)
    ends = np.cumsum([len(each) for each in made]).reshape(RECORDINGS, len(clips))
    for path, values in zip(paths, (np.concatenate(made), ends), strict=True):
        _save(values, path)
    return Recordings(np.load(paths[0], mmap_mode="r"), ends)


def recorded() -> str:
    """Settings that recordings are made with."""
    return repr((RECORDED, RECORDINGS))


def heard() -> str:
    """Settings that an encoder's statistics are made with, its own too."""
    return repr((recorded(), VIEWS, WINDOW, VoiceEncoderConfig()))


def whisper_statistics(context: RunContext) -> Tensor:
    """`window_statistics` of Whisper tiny.en as it comes, made at first use."""
    path = _path(context, "whisper", heard())

    def compute() -> FloatArray:
        made = window_statistics(context, whisper(context), recordings(context))
        values: FloatArray = made.numpy()
        return values

    return torch.from_numpy(_kept(path, compute))


def whisper(context: RunContext) -> VoiceEncoder:
    """Whisper tiny.en's encoder as it comes, in evaluation mode."""
    encoder = VoiceEncoder()
    start_from_whisper(encoder, context.work_dir)
    return encoder.to(context.device).eval()


def window_statistics(context: RunContext, encoder: VoiceEncoder, spoken: Recordings) -> Tensor:
    """Statistics of each clip's first recordings, (VIEWS, n, 3072).

    Mean and deviation of each layer over time, per layer 384 means, then 384 deviations, in the
    window of 3 s around the speech.
    """
    clips = spoken.ends.shape[1]
    which = [(number, row) for number in range(VIEWS) for row in range(clips)]
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
    return torch.cat(parts).reshape(VIEWS, clips, -1)


def statistics(encoder: VoiceEncoder, mel: Tensor) -> Tensor:
    """Log-mel (B, 80, N) → mean and deviation over time of each layer, (B, layers · 2 · width)."""
    states = encoder.hidden_states(mel)
    normed = [norm(x.float()) for norm, x in zip(encoder.norms, states, strict=True)]
    return torch.cat([part for x in normed for part in (x.mean(dim=1), x.std(dim=1))], dim=1)


class ClipStatistics(nn.Module):
    """What the frozen Whisper's rows read of one clip, as a network whose cost can be measured."""

    def __init__(self, encoder: VoiceEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, inputs: list[Tensor], _steps: Tensor | None = None) -> Tensor:
        """[log-mel (1, 80, N)] → (1, layers · 2 · width)."""
        return statistics(self.encoder, inputs[0])


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

    return torch.from_numpy(_kept(_path(context, "mfcc", ""), compute))


def _kept(path: Path, compute: Callable[[], FloatArray]) -> FloatArray:
    """An array from its file, made at first use."""
    with suppress(OSError, ValueError, EOFError):  # not there, or damaged
        return np.asarray(np.load(path))
    made = compute()
    _save(made, path)
    return made


def _save(values: NDArray[Any], path: Path) -> None:
    with written_whole(path) as file:
        np.save(file, values)


def _path(context: RunContext, name: str, settings: str) -> Path:
    """Of a file of features: another one for other settings or clips."""
    clips = read_clips(context.data_root)
    key = repr((settings, clips.names, clips.sound))
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    return context.stage_dir("features") / f"{name}-{digest}.npy"

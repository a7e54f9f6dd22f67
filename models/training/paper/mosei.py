"""CMU-MOSEI from its computational sequences: face, voice and words of each utterance, by word.

    ROOT/…/CMU_MOSEI_Labels.csd             sentiment (first of its numbers), -3 to 3
           CMU_MOSEI_VisualFacet42.csd      FACET, 35 per picture
           CMU_MOSEI_COVAREP.csd            COVAREP, 74 per 10 ms
           CMU_MOSEI_TimestampedWords.csd   words
           CMU_MOSEI_TimestampedBERT.csd    BERT, 768 per word; or instead
           bert-base-uncased/               the published network, which then makes them

An utterance is the span of one label. Its steps are the words in it (pauses, "sp", are none):
FACET and COVAREP are averaged over each word, BERT gives a vector per word. The network takes the
last 50 words, padded in front. What a word lacks is NaN until it is scaled, then 0, the mean. Folds
are the official ones, by video (mosei_folds.txt). Thread: the caller's, and the workers that
prepare.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.arrays import FloatArray
from models.config import check_positive
from models.training.data import DataError
from models.training.paper.bert import BertWords
from models.training.paper.csd import SHORTEST, ComputationalSequence, averages, overlapping
from models.training.paper.layout import Fold, existing, indices
from models.training.paper.prepared import Arrays, load, prepare, prepared_folder, unprepared

MODALITIES: Final = ("face", "voice", "words")
WIDTHS: Final = (35, 74, 768)

_LABELS: Final = ("CMU_MOSEI_Labels", "CMU_MOSEI_All_Labels", "CMU_MOSEI_LabelsSentiment")
_FACE: Final = ("CMU_MOSEI_VisualFacet42",)
_VOICE: Final = ("CMU_MOSEI_COVAREP",)
_WORDS: Final = ("CMU_MOSEI_TimestampedWords",)
_BERT: Final = ("CMU_MOSEI_TimestampedBERT", "CMU_MOSEI_TimestampedBert")
BERT_FOLDER: Final = "bert-base-uncased"
_PAUSE: Final = "sp"
_FOLDS: Final = ("train", "validation", "test")
FORMAT: Final = 2  # of prepared files; 1 had zeros where nothing is known


@dataclass(frozen=True, slots=True, kw_only=True)
class MoseiPreparation:
    """How utterances are made ready; other settings are prepared anew."""

    steps: int = 50  # words that the network takes

    def __post_init__(self) -> None:
        check_positive(self, "steps")


@functools.cache
def official_folds() -> Mapping[str, str]:
    """Video → "train", "validation" or "test"."""
    folds: dict[str, str] = {}
    current = ""
    for line in Path(__file__).with_name("mosei_folds.txt").read_text().splitlines():
        if line.startswith("["):
            current = line.strip("[]")
        elif line and not line.startswith("#"):
            folds[line] = current
    return folds


def found_videos(videos: Sequence[str]) -> str:
    """How many of the official videos these are, in all and of each fold."""
    folds = official_folds()
    here = [folds[video] for video in videos]
    official = list(folds.values())
    each = ", ".join(f"{name} {here.count(name):,} of {official.count(name):,}" for name in _FOLDS)
    return f"{len(here):,} of {len(official):,} official videos ({each}) are in all .csd files"


def prepare_mosei(
    root: Path,
    settings: MoseiPreparation,
    work_dir: Path,
    device: torch.device,
    workers: int,
) -> tuple[Path, list[str]]:
    """Prepare what is not prepared yet; the folder that holds it and the videos in it.

    Raises
    ------
    DataError
        A file is missing or damaged, or no video of the official folds is there.
    """
    existing(root, "the .csd files of CMU-MOSEI")
    folder = prepared_folder(work_dir, "mosei", (FORMAT, settings, _sources(root)))
    with ExitStack() as files:

        def take(names: Sequence[str], width: int | None) -> ComputationalSequence:
            return files.enter_context(closing(ComputationalSequence(_find(root, names), width)))

        labels = take(_LABELS, None)
        face, voice = take(_FACE, WIDTHS[0]), take(_VOICE, WIDTHS[1])
        words = take(_WORDS, 1)
        bert: ComputationalSequence | None = None
        if any(_paths(root, name) for name in _BERT):
            bert = take(_BERT, WIDTHS[2])
        shared = labels.videos & face.videos & voice.videos & words.videos
        if bert is not None:
            shared &= bert.videos
        videos = sorted(shared & official_folds().keys())
        if not videos:
            raise DataError(
                f"{root}: no video of the official folds is in all of the .csd files "
                f"({len(labels.videos)} have labels)"
            )
        vectors: ComputationalSequence | BertWords | None = bert
        if vectors is None and unprepared(folder, videos):
            vectors = _bert_words(root, device)

        def maker(video: str) -> Callable[[], Arrays]:
            return lambda: _prepare_video(video, labels, face, voice, words, vectors)

        prepare("mosei", folder, {video: maker(video) for video in videos}, workers)
    return folder, videos


def _sources(root: Path) -> list[tuple[str, int]]:
    """Names and sizes of the files that are read."""
    files = [_find(root, names) for names in (_LABELS, _FACE, _VOICE, _WORDS)]
    files += [path for name in _BERT for path in _paths(root, name)[:1]][:1] or [
        path for path in sorted((root / BERT_FOLDER).glob("*")) if path.is_file()
    ]
    return [(path.name, path.stat().st_size) for path in files]


def _paths(root: Path, name: str) -> list[Path]:
    return sorted(root.rglob(f"{name}.csd"))


def _find(root: Path, names: Sequence[str]) -> Path:
    for name in names:
        if paths := _paths(root, name):
            return paths[0]
    raise DataError(f"training data not found: {root} holds no {names[0]}.csd")


def _bert_words(root: Path, device: torch.device) -> BertWords:
    folder = root / BERT_FOLDER
    if not folder.is_dir():
        raise DataError(
            f"{root} holds neither {_BERT[0]}.csd nor the folder {BERT_FOLDER}, from which BERT's "
            "vectors of the words could be made"
        )
    bert = BertWords(folder, device)
    if bert.width != WIDTHS[2]:
        raise DataError(f"{folder}: its vectors have {bert.width} numbers, not {WIDTHS[2]}")
    return bert


def _prepare_video(
    video: str,
    labels: ComputationalSequence,
    face: ComputationalSequence,
    voice: ComputationalSequence,
    words: ComputationalSequence,
    bert: ComputationalSequence | BertWords | None,
) -> Arrays:
    """Utterances of one video, one after the other.

    `face`, `voice` and `words` (steps of all utterances, width), NaN where nothing is known, `ends`
    (utterances,) where each one's steps end, `sentiment` (utterances,). An utterance without words
    is left out.
    """
    said = words.read(video)
    spoken = [_text(each) for each in said.features[:, 0]]
    of_label = labels.read(video)
    pictures, sounds = face.read(video), voice.read(video)
    vectors = bert.read(video) if isinstance(bert, ComputationalSequence) else None
    parts: list[list[FloatArray]] = [[], [], []]
    ends, sentiment = [], []
    total = 0
    for (begin, end), label in zip(of_label.intervals, of_label.features, strict=True):
        if end - begin < SHORTEST:
            continue
        inside = overlapping(said.intervals, begin, end)
        chosen = [index for index in np.flatnonzero(inside) if spoken[index] != _PAUSE]
        if not chosen:
            continue
        spans = np.clip(said.intervals[chosen], begin, end)
        if vectors is None:
            assert isinstance(bert, BertWords)
            meanings = bert([spoken[index] for index in chosen])
        else:
            meanings = averages(vectors, spans)
        features = (averages(pictures, spans), averages(sounds, spans), meanings)
        for part, each in zip(parts, features, strict=True):
            part.append(each)
        total += len(chosen)
        ends.append(total)
        sentiment.append(float(label[0]))
    if sentiment and not -3.0 <= min(sentiment) <= max(sentiment) <= 3.0:
        raise DataError(
            f"{labels.path}: video {video} has sentiments from {min(sentiment):.1f} to "
            f"{max(sentiment):.1f}; they should lie in -3 to 3"
        )
    joined = [
        np.concatenate(part) if part else np.zeros((0, width), np.float32)
        for part, width in zip(parts, WIDTHS, strict=True)
    ]
    return {
        "face": joined[0],
        "voice": joined[1],
        "words": joined[2].astype(np.float16),
        "ends": np.array(ends, np.int64),
        "sentiment": np.array(sentiment, np.float32),
    }


def _text(word: object) -> str:
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)


class MoseiSamples:
    """All utterances, in memory, as the network takes them. Thread: any.

    One in whose last words nothing is known is left out.
    """

    def __init__(self, folder: Path, videos: Sequence[str], settings: MoseiPreparation) -> None:
        self._steps = settings.steps
        self._utterances: list[tuple[FloatArray, ...]] = []
        there: list[NDArray[np.bool_]] = []
        sentiment: list[float] = []
        self.folds: list[str] = []
        self.keys: list[str] = []  # the folder's name tells of the files that it was made of
        for video in videos:
            arrays = load(folder, video)
            if not len(arrays["sentiment"]):  # nobody says a word in it
                continue
            cuts = arrays["ends"][:-1]
            parts = [np.split(arrays[name], cuts) for name in MODALITIES]
            for *features, felt in zip(*parts, arrays["sentiment"], strict=True):
                has = np.array([np.isfinite(each[-self._steps :]).any() for each in features])
                if has.any():
                    self._utterances.append(tuple(features))
                    there.append(has)
                    sentiment.append(float(felt))
                    self.folds.append(official_folds()[video])
                    self.keys.append(f"{folder.name} {video} {len(self.keys)}")
        self._there = np.stack(there) if there else np.zeros((0, 3), np.bool_)
        self._sentiment = np.array(sentiment, np.float32)
        self._scales = [
            (np.zeros(width, np.float32), np.ones(width, np.float32)) for width in WIDTHS
        ]

    def __len__(self) -> int:
        return len(self._utterances)

    def standardise(self, learned_from: Sequence[int]) -> None:
        """Give every feature mean 0 and deviation 1 over the words of these utterances.

        Words count that have it; one that none of them has stays out.
        """
        for modality in range(len(MODALITIES)):
            rows = np.concatenate(
                [self._utterances[i][modality] for i in learned_from], dtype=np.float64
            )
            known = np.isfinite(rows)
            count = np.maximum(known.sum(axis=0), 1)
            mean = rows.sum(axis=0, where=known) / count
            mean[~known.any(axis=0)] = np.nan
            deviation = np.sqrt(((rows - mean) ** 2).sum(axis=0, where=known) / count)
            deviation[deviation < 1e-6] = 1.0  # a feature that never changes stays out
            self._scales[modality] = (mean.astype(np.float32), deviation.astype(np.float32))

    def sample(
        self, index: int, rng: np.random.Generator | None, only: int | None = None
    ) -> tuple[Tensor, ...]:
        """Face (35, 50), voice (74, 50), words (768, 50), present (3,), sentiment ().

        Nothing is drawn and nothing left out. What is not known is 0.
        """
        features = []
        for each, (mean, deviation) in zip(self._utterances[index], self._scales, strict=True):
            kept = (each[-self._steps :].astype(np.float32) - mean) / deviation
            kept = np.where(np.isnan(kept), np.float32(0.0), kept)
            padded = np.pad(kept, ((self._steps - len(kept), 0), (0, 0)))
            features.append(torch.from_numpy(np.ascontiguousarray(padded.T)))
        return (
            *features,
            torch.from_numpy(self._there[index]),
            torch.tensor(self._sentiment[index]),
        )


def mosei_fold(samples: MoseiSamples) -> Fold:
    """The official folds; its validation videos choose the epoch.

    Raises
    ------
    DataError
        One of the three is empty.
    """
    of = {name: indices([fold == name for fold in samples.folds]) for name in _FOLDS}
    if empty := [name for name in _FOLDS if not of[name]]:
        raise DataError(f"CMU-MOSEI: the official fold {empty[0]} has no utterance here")
    return Fold(
        name="official",
        train=of["train"],
        choose=of["validation"],
        test=of["test"],
        people="official test fold",
    )

"""CMU-MOSEI from computational sequences: alignment to words, folds, figures, what is refused."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.training.data import DataError
from models.training.paper.bert import Bert, BertWords, WordPieces, own_names
from models.training.paper.mosei import (
    MoseiPreparation,
    MoseiSamples,
    mosei_fold,
    official_folds,
    prepare_mosei,
)
from models.training.paper.prepared import load
from models.training.paper.scores import sentiment_figures
from tests.paper.datasets import fold_videos, mosei, write_csd

pytest.importorskip("h5py")

from models.training.paper.csd import ComputationalSequence, Sequence, averages

CPU = torch.device("cpu")
COUNTS = {"train": 3, "validation": 1, "test": 2}


def contents(path: Path) -> dict[str, Sequence]:
    """What a .csd file holds of each video."""
    with closing(ComputationalSequence(path)) as file:
        return {video: file.read(video) for video in file.videos}


def test_the_official_folds() -> None:
    counts = Counter(official_folds().values())
    assert counts == {"train": 2250, "validation": 300, "test": 678}
    assert official_folds()["-3g5yACwYnA"] == "train"
    assert official_folds()["7l3BNtSE0xc"] == "test"


# Computational sequences.


def test_parts_of_a_video_are_put_together_in_order(tmp_path: Path) -> None:
    first = np.array([[1.0], [2.0]]), np.array([[0.0, 1.0], [1.0, 2.0]])
    later = np.array([[4.0], [3.0]]), np.array([[3.0, 4.0], [2.0, 3.0]])
    path = write_csd(tmp_path / "a.csd", {"v[1]": later, "v[0]": first, "w": first})
    with closing(ComputationalSequence(path, 1)) as sequence:
        assert sequence.videos == {"v", "w"}
        features, intervals = sequence.read("v")
    assert features[:, 0].tolist() == [1, 2, 3, 4]
    assert (np.diff(intervals[:, 0]) > 0).all()


def test_what_is_no_computational_sequence(tmp_path: Path) -> None:
    import h5py

    with pytest.raises(DataError, match=r"training data not found: .*a\.csd"):
        ComputationalSequence(tmp_path / "a.csd")
    (tmp_path / "a.csd").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="damaged or no computational sequence"):
        ComputationalSequence(tmp_path / "a.csd")
    with h5py.File(tmp_path / "b.csd", "w") as file:
        file["something"] = np.zeros(3)
    with pytest.raises(DataError, match="no group <name>/data"):
        ComputationalSequence(tmp_path / "b.csd")
    spans = np.array([[0.0, 1.0]])
    path = write_csd(tmp_path / "c.csd", {"v": (np.zeros((1, 34)), spans)})
    with (
        closing(ComputationalSequence(path, 35)) as sequence,
        pytest.raises(DataError, match=r"video v has features \(1, 34\) .* expected \(n, 35\)"),
    ):
        sequence.read("v")
    path = write_csd(tmp_path / "d.csd", {"v": (np.zeros((2, 35)), spans)})
    with (
        closing(ComputationalSequence(path, 35)) as sequence,
        pytest.raises(DataError, match="video v"),
    ):
        sequence.read("v")


def test_averages_are_the_plain_means() -> None:
    rng = np.random.default_rng(0)
    begin = np.sort(rng.uniform(0, 20, 200))
    intervals = np.stack([begin, begin + rng.uniform(0.01, 1.5, 200)], axis=1)
    features = rng.normal(size=(200, 3))
    features[7, 1], features[9, 2] = -np.inf, np.nan
    starts = np.sort(rng.uniform(-2, 25, 40))
    spans = np.stack([starts, starts + rng.uniform(0.0, 1.0, 40)], axis=1)
    means = averages(Sequence(features, intervals), spans)
    for row, (low, high) in enumerate(spans):
        chosen = [
            features[i]
            for i in range(200)
            if min(intervals[i, 1], high) - max(intervals[i, 0], low) > 1e-5
        ]
        for column, mean in enumerate(means[row]):
            finite = [each[column] for each in chosen if np.isfinite(each[column])]
            assert np.isfinite(mean) == bool(finite)
            if finite:
                assert mean == pytest.approx(np.mean(finite), abs=1e-6)
    assert np.isfinite(means).any()
    assert not np.isfinite(means).all()


# Preparation.


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[str]]:
    """Root, prepared folder, videos."""
    root = mosei(tmp_path_factory.mktemp("mosei"), COUNTS)
    return root, *prepare_mosei(root, MoseiPreparation(), root / "work", CPU, 1)


def test_utterances_are_aligned_to_their_words(made: tuple[Path, Path, list[str]]) -> None:
    root, folder, videos = made
    assert len(videos) == 6
    video = fold_videos("train", 1)[0]
    arrays = load(folder, video)
    assert arrays["ends"].tolist() == [5, 11]  # the pause in the first is no word
    assert arrays["face"].shape == (11, 35)
    assert arrays["words"].shape == (11, 768)
    with closing(ComputationalSequence(root / "visual" / "CMU_MOSEI_VisualFacet42.csd")) as face:
        features, intervals = face.read(video)
    begin, end = 0.5 + 5 / 12, 0.5 + 10 / 12  # the second word
    inside = (np.minimum(intervals[:, 1], end) - np.maximum(intervals[:, 0], begin)) > 1e-5
    np.testing.assert_allclose(arrays["face"][1], features[inside].mean(axis=0), rtol=1e-5)
    assert all(np.isfinite(load(folder, each)["voice"]).all() for each in videos)


def test_samples_are_padded_in_front_and_standardised_by_training(
    made: tuple[Path, Path, list[str]],
) -> None:
    _root, folder, videos = made
    samples = MoseiSamples(folder, videos, MoseiPreparation())
    fold = mosei_fold(samples)
    assert [len(part) for part in (fold.train, fold.choose, fold.test)] == [6, 2, 4]
    raw = samples.sample(fold.train[0], None)
    samples.standardise(fold.train)
    parts = [samples.sample(row, None) for row in fold.train]
    assert [part.shape for part in parts[0][:3]] == [(35, 50), (74, 50), (768, 50)]
    assert parts[0][3].tolist() == [True, True, True]
    assert -3 <= float(parts[0][4]) <= 3
    length = 5
    assert (parts[0][0][:, :-length] == 0).all()
    assert (parts[0][0][:, -length:] != 0).all()
    assert not torch.equal(raw[1][:, -length:], parts[0][1][:, -length:])
    for modality in range(3):
        steps = torch.cat(
            [part[modality][:, part[0].abs().sum(dim=0) > 0] for part in parts], dim=1
        )
        assert steps.mean(dim=1).abs().max() < 1e-3
        torch.testing.assert_close(
            steps.std(dim=1, correction=0), torch.ones(len(steps)), atol=2e-3, rtol=0
        )
    short = MoseiSamples(folder, videos, MoseiPreparation(steps=3)).sample(fold.train[0], None)
    assert torch.equal(short[0], raw[0][:, -3:])


def test_what_an_utterance_lacks_is_known(tmp_path: Path) -> None:
    root = mosei(tmp_path, COUNTS)
    video = fold_videos("train", 1)[0]
    path = root / "visual" / "CMU_MOSEI_VisualFacet42.csd"
    content = contents(path)
    features, intervals = content[video]
    early = intervals[:, 1] <= 3.0  # nothing is seen of the second utterance
    content[video] = Sequence(features[early], intervals[early])
    write_csd(path, content)
    folder, videos = prepare_mosei(root, MoseiPreparation(), tmp_path / "work", CPU, 1)
    samples = MoseiSamples(folder, videos, MoseiPreparation())
    row = 2 * videos.index(video)
    assert samples.sample(row, None)[3].tolist() == [True, True, True]
    assert samples.sample(row + 1, None)[3].tolist() == [False, True, True]


def test_a_video_without_a_word_has_no_utterances(tmp_path: Path) -> None:
    root = mosei(tmp_path, COUNTS)
    video = fold_videos("train", 1)[0]
    path = root / "language" / "CMU_MOSEI_TimestampedWords.csd"
    content = contents(path)
    content[video].features[:] = b"sp"
    write_csd(path, content)
    folder, videos = prepare_mosei(root, MoseiPreparation(), tmp_path / "work", CPU, 1)
    samples = MoseiSamples(folder, videos, MoseiPreparation())
    assert len(samples) == 2 * (len(videos) - 1)
    assert len(mosei_fold(samples).train) == 2 * (COUNTS["train"] - 1)


def test_what_a_word_lacks_is_the_mean_and_no_extreme(tmp_path: Path) -> None:
    root = mosei(tmp_path, COUNTS)
    video = fold_videos("train", 1)[0]
    path = root / "visual" / "CMU_MOSEI_VisualFacet42.csd"
    content = contents(path)
    for features, _intervals in content.values():
        features += 100.0  # far from 0, as seen beside their deviation
        features[:, 3] = np.nan  # known of nobody
    features, intervals = content[video]
    unseen = (intervals[:, 0] > 0.85) & (intervals[:, 1] < 1.45)  # the second word
    content[video] = Sequence(features[~unseen], intervals[~unseen])
    content[video].features[-30:, 5] = np.nan  # of the second utterance one number
    write_csd(path, content)
    folder, videos = prepare_mosei(root, MoseiPreparation(), tmp_path / "work", CPU, 1)
    samples = MoseiSamples(folder, videos, MoseiPreparation())
    fold = mosei_fold(samples)
    samples.standardise(fold.train)
    row = 2 * videos.index(video)
    first, second = samples.sample(row, None)[0], samples.sample(row + 1, None)[0]
    known = torch.arange(35) != 3
    assert (first[:, -4] == 0).all()
    assert (first[known][:, [-5, -3, -2, -1]] != 0).all()
    assert (second[5] == 0).all()
    assert (second[known & (torch.arange(35) != 5), -6:] != 0).all()
    faces = [samples.sample(each, None)[0] for each in range(len(samples))]
    assert torch.stack(faces).abs().max() < 5
    assert (torch.stack(faces)[:, 3] == 0).all()


def test_only_the_words_that_are_taken_tell_what_is_there(tmp_path: Path) -> None:
    root = mosei(tmp_path, COUNTS)
    video = fold_videos("train", 1)[0]
    for name in ("visual/CMU_MOSEI_VisualFacet42", "acoustic/CMU_MOSEI_COVAREP"):
        path = root / f"{name}.csd"
        with closing(ComputationalSequence(path)) as sequence:
            content = {each: sequence.read(each) for each in sequence.videos}
        features, intervals = content[video]
        early = intervals[:, 1] <= 1.0  # two words of five
        content[video] = Sequence(features[early], intervals[early])
        write_csd(path, content)
    folder, videos = prepare_mosei(root, MoseiPreparation(), tmp_path / "work", CPU, 1)
    row = 2 * videos.index(video)
    whole = MoseiSamples(folder, videos, MoseiPreparation())
    assert whole.sample(row, None)[3].tolist() == [True, True, True]
    short = MoseiSamples(folder, videos, MoseiPreparation(steps=3))
    assert short.sample(row, None)[3].tolist() == [False, False, True]


def test_files_that_are_missing_or_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is no folder: --root names .* \.csd files of CMU-MOSEI"):
        prepare_mosei(tmp_path / "nowhere", MoseiPreparation(), tmp_path, CPU, 1)
    root = mosei(tmp_path / "root", COUNTS, bert=False)
    with pytest.raises(
        DataError, match=r"holds neither CMU_MOSEI_TimestampedBERT\.csd nor the folder"
    ):
        prepare_mosei(root, MoseiPreparation(), tmp_path / "work", CPU, 1)
    (root / "visual" / "CMU_MOSEI_VisualFacet42.csd").unlink()
    with pytest.raises(DataError, match=r"holds no CMU_MOSEI_VisualFacet42\.csd"):
        prepare_mosei(root, MoseiPreparation(), tmp_path / "work", CPU, 1)
    spans = np.array([[0.0, 1.0]])
    write_csd(root / "CMU_MOSEI_VisualFacet42.csd", {"unknown": (np.zeros((1, 35)), spans)})
    with pytest.raises(DataError, match="no video of the official folds is in all"):
        prepare_mosei(root, MoseiPreparation(), tmp_path / "work", CPU, 1)


def test_sentiment_out_of_range(tmp_path: Path) -> None:
    root = mosei(tmp_path, COUNTS)
    path = root / "labels" / "CMU_MOSEI_Labels.csd"
    with closing(ComputationalSequence(path)) as labels:
        content = {each: labels.read(each) for each in labels.videos}
    next(iter(content.values())).features[0, 0] = 7
    write_csd(path, content)
    with pytest.raises(DataError, match=r"sentiments from .* to 7\.0; they should lie in -3 to 3"):
        prepare_mosei(root, MoseiPreparation(), tmp_path / "work", CPU, 1)


def test_an_empty_fold(tmp_path: Path) -> None:
    root = mosei(tmp_path, {"train": 2, "test": 1})
    folder, videos = prepare_mosei(root, MoseiPreparation(), tmp_path / "work", CPU, 1)
    with pytest.raises(DataError, match="official fold validation has no utterance"):
        mosei_fold(MoseiSamples(folder, videos, MoseiPreparation()))


# BERT.

VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "word",
    "##0",
    "##1",
    "un",
    "##aff",
    "##able",
    "cafe",
    "'",
    "t",
]


def bert_folder(path: Path, width: int = 768) -> Path:
    """The published files of a tiny BERT, under their published names."""
    import safetensors.torch

    path.mkdir(parents=True)
    (path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    config = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": width,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "intermediate_size": 32,
        "max_position_embeddings": 16,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
    }
    (path / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    weights: dict[str, torch.Tensor] = {}

    def add(name: str, *shape: int) -> None:
        weights[f"bert.{name}"] = torch.randn(*shape) / 10

    for name, rows in (("word", len(VOCABULARY)), ("position", 16), ("token_type", 2)):
        add(f"embeddings.{name}_embeddings.weight", rows, width)
    layer = "encoder.layer.0"
    for name, out, into in (
        *((f"attention.self.{part}", width, width) for part in ("query", "key", "value")),
        ("attention.output.dense", width, width),
        ("intermediate.dense", 32, width),
        ("output.dense", width, 32),
    ):
        add(f"{layer}.{name}.weight", out, into)
        add(f"{layer}.{name}.bias", out)
    for name in ("embeddings", f"{layer}.attention.output", f"{layer}.output"):
        add(f"{name}.LayerNorm.gamma", width)  # as in the oldest files
        add(f"{name}.LayerNorm.beta", width)
    safetensors.torch.save_file(weights, path / "model.safetensors")
    return path


def test_words_are_cut_into_known_pieces() -> None:
    pieces = WordPieces(VOCABULARY)
    assert pieces.pieces("Unaffable") == [7, 8, 9]
    assert pieces.pieces(unicodedata.normalize("NFC", "café")) == [10]
    assert pieces.pieces("un't") == [7, 11, 12]
    assert pieces.pieces("unknown") == [1]
    assert pieces.pieces("x" * 200) == [1]
    assert pieces.pieces("") == pieces.pieces("\u0301") == [1]  # an accent on nothing
    with pytest.raises(DataError, match=r"vocabulary of BERT lacks '\[CLS\]'"):
        WordPieces(["word"])


def plain_bert(weights: dict[str, torch.Tensor], pieces: list[int]) -> NDArray[np.float64]:
    """One layer of BERT by its equations."""
    plain = {name.removeprefix("bert."): value.double().numpy() for name, value in weights.items()}

    def norm(x: Any, name: str) -> Any:
        centred = x - x.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-12)
        return scaled * plain[f"{name}.LayerNorm.gamma"] + plain[f"{name}.LayerNorm.beta"]

    def linear(x: Any, name: str) -> Any:
        name = f"encoder.layer.0.{name}"
        return x @ plain[f"{name}.weight"].T + plain[f"{name}.bias"]

    x = plain["embeddings.word_embeddings.weight"][pieces]
    x = x + plain["embeddings.position_embeddings.weight"][: len(pieces)]
    x = norm(x + plain["embeddings.token_type_embeddings.weight"][0], "embeddings")
    query, key, value = (linear(x, f"attention.self.{part}") for part in ("query", "key", "value"))
    heads = []
    for head in np.split(np.arange(x.shape[1]), 4):
        scores = query[:, head] @ key[:, head].T / np.sqrt(len(head))
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        heads.append(shares / shares.sum(axis=1, keepdims=True) @ value[:, head])
    attended = linear(np.concatenate(heads, axis=1), "attention.output.dense")
    x = norm(x + attended, "encoder.layer.0.attention.output")
    inner = torch.nn.functional.gelu(torch.from_numpy(linear(x, "intermediate.dense"))).numpy()
    return np.asarray(norm(x + linear(inner, "output.dense"), "encoder.layer.0.output"))


def test_bert_by_its_equations(tmp_path: Path) -> None:
    import safetensors.torch

    folder = bert_folder(tmp_path / "bert", width=24)
    vectors = BertWords(folder, CPU)(["word0", "unaffable", "word"])
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    expected = plain_bert(weights, [2, 4, 5, 7, 8, 9, 4, 3])
    np.testing.assert_allclose(vectors[0], expected[1:3].mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(vectors[1], expected[3:6].mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(vectors[2], expected[6], atol=1e-5)
    long = BertWords(folder, CPU)(["word"] * 20)  # 14 fit
    assert np.isnan(long[:6]).all()
    assert np.isfinite(long[6:]).all()


def test_words_through_the_published_network(tmp_path: Path) -> None:
    root = mosei(tmp_path / "root", COUNTS, bert=False)
    bert_folder(root / "bert-base-uncased")
    folder, videos = prepare_mosei(root, MoseiPreparation(), tmp_path / "work", CPU, 2)
    words = load(folder, videos[0])["words"]
    assert words.shape == (11, 768)
    assert np.isfinite(words).all()
    assert words.std() > 0


def test_a_bert_that_does_not_fit(tmp_path: Path) -> None:
    root = mosei(tmp_path / "root", COUNTS, bert=False)
    folder = bert_folder(root / "bert-base-uncased", width=24)
    with pytest.raises(DataError, match=r"its vectors have 24 numbers, not 768"):
        prepare_mosei(root, MoseiPreparation(), tmp_path / "work", CPU, 1)
    (folder / "vocab.txt").unlink()
    with pytest.raises(DataError, match=r"lacks vocab\.txt"):
        BertWords(folder, CPU)
    other = bert_folder(tmp_path / "other")
    (other / "config.json").write_text("{}")
    with pytest.raises(DataError, match="cannot be used: KeyError"):
        BertWords(other, CPU)
    cut = bert_folder(tmp_path / "cut")
    for path in cut.glob("*.safetensors"):
        path.unlink()
    for damaged in (b"", b"no weights"):
        (cut / "pytorch_model.bin").write_bytes(damaged)
        with pytest.raises(DataError, match="cannot be used"):
            BertWords(cut, CPU)


def test_every_weight_of_bert_has_its_place() -> None:
    config = {
        "vocab_size": 5, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 4, "max_position_embeddings": 6, "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
    }  # fmt: skip
    wanted = set(Bert(config).state_dict())
    names = [f"embeddings.{each}_embeddings.weight" for each in ("word", "position", "token_type")]
    for kind in ("weight", "bias"):
        names.append(f"embeddings.LayerNorm.{kind}")
        for layer in range(2):
            names += [
                f"encoder.layer.{layer}.{part}.{kind}"
                for part in (
                    "attention.self.query", "attention.self.key", "attention.self.value",
                    "attention.output.dense", "attention.output.LayerNorm", "intermediate.dense",
                    "output.dense", "output.LayerNorm",
                )
            ]  # fmt: skip
    assert set(own_names({name: torch.zeros(2) for name in names})) == wanted


# Figures.


def test_figures_by_hand() -> None:
    truth = np.array([-2.0, -0.4, 0.0, 1.0, 3.0], np.float32)
    said = np.array([-1.0, 0.6, 0.2, 1.4, 5.0], np.float32)
    figures = sentiment_figures(said, truth)
    assert figures["mae"] == pytest.approx((1 + 1 + 0.2 + 0.4 + 2) / 5)
    assert figures["accuracy_2"] == pytest.approx(3 / 4)  # the neutral one is left out
    assert figures["accuracy_2_with_neutral"] == pytest.approx(4 / 5)
    # Rounded and clipped: said -1 1 0 1 3, truth -2 0 0 1 3.
    assert figures["accuracy_7"] == pytest.approx(3 / 5)
    # Negative: precision 1, recall 1/2; positive: precision 2/3, recall 1.
    assert figures["f1"] == pytest.approx(0.5 * (2 / 3) + 0.5 * 0.8)
    assert figures["correlation"] == pytest.approx(np.corrcoef(said, truth)[0, 1])
    still = sentiment_figures(np.zeros(5, np.float32), truth)
    assert still["correlation"] == 0.0

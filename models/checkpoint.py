"""One file holds the whole live network: tensors, settings and where they come from.

A safetensors file whose metadata carries the format, the settings as JSON and a SHA-256 over all
the rest of the file. Matrices are stored in half precision, vectors (biases and the
statistics of batch norm) in single. Reading and checking need no torch; building the network does.
Thread: any.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from models.config import LiveNetConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from models.live import LiveNet

FORMAT: Final = "msaf-live-1"


def default_weights() -> Path:
    """The weights that come with the program."""
    return Path(__file__).parent / "weights" / "live.safetensors"


class CheckpointError(RuntimeError):
    """Weights cannot be used; the message says which file, what is wrong and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checked file of weights."""

    path: Path
    config: LiveNetConfig
    origin: Mapping[str, str]  # data, starting points, terms: what a model card needs to name
    sha256: str  # of everything in the file but itself
    content: bytes = field(repr=False)  # the whole file

    def network(self) -> LiveNet:
        """Build the network in single precision, on the CPU, in evaluation mode."""
        import safetensors.torch
        import torch

        from models.live import LiveNet

        network = LiveNet(self.config)
        tensors = {
            name: tensor.float() if tensor.dtype is torch.float16 else tensor
            for name, tensor in safetensors.torch.load(self.content).items()
        }
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:
            raise CheckpointError(
                f"{self.path} does not hold the network that its settings describe: {error}"
            ) from None
        return network.eval()


def save_checkpoint(path: Path, network: LiveNet, origin: Mapping[str, str]) -> Checkpoint:
    """Write `network` to `path`, leaving either the old file or the whole new one.

    Raises
    ------
    ValueError
        A weight is not finite, or does not fit half precision.
    """
    import safetensors.torch
    import torch

    tensors = {}
    for name, tensor in network.state_dict().items():
        stored = tensor.detach().cpu().to(torch.float16 if _is_halved(tensor) else tensor.dtype)
        if not stored.isfinite().all():
            raise ValueError(f"{name} is not finite or too large for half precision")
        tensors[name] = stored.contiguous()
    metadata = {
        "format": FORMAT,
        "config": json.dumps(network.config.to_dict()),
        "origin": json.dumps(dict(origin)),
    }
    metadata["sha256"] = _digest(safetensors.torch.save(tensors, metadata))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(safetensors.torch.save(tensors, metadata))
    partial.replace(path)
    return read_checkpoint(path)


def round_as_stored(network: nn.Module) -> None:
    """Give the weights the values that they will have after saving and loading."""
    for tensor in network.state_dict().values():
        if _is_halved(tensor):
            tensor.copy_(tensor.half())


def _is_halved(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.dim() > 1


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and check a file of weights.

    Raises
    ------
    CheckpointError
        It is missing, damaged, of another version or no file of ours.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(
            f"no weights at {path}. They come with the project (models/weights/live.safetensors), "
            "or are made by `train live`."
        ) from None
    except OSError as error:
        raise CheckpointError(f"cannot read the weights {path}: {error.strerror}") from None
    try:
        metadata = _split(content)[0]["__metadata__"]
        found = metadata["format"]
    except (ValueError, KeyError):
        raise CheckpointError(
            f"{path} is not a file of MSAF Live weights, or its start is damaged."
        ) from None
    if found != FORMAT:
        raise CheckpointError(
            f"{path} has the format {found!r}, but this program reads {FORMAT!r}. "
            "Use the weights and the program of one version."
        )
    digest = _digest(content)
    if digest != metadata.get("sha256"):
        raise CheckpointError(
            f"{path} is damaged: its checksum is {digest[:12]}…, it should be "
            f"{str(metadata.get('sha256'))[:12]}… Get the file again."
        )
    try:
        config = LiveNetConfig.from_dict(json.loads(metadata["config"]))
        origin = json.loads(metadata["origin"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} carries settings that do not fit: {error}") from None
    return Checkpoint(path=path, config=config, origin=origin, sha256=digest, content=content)


def load_checkpoint(path: Path) -> LiveNet:
    """Read, check and build the network in `path`; raises :class:`CheckpointError`."""
    return read_checkpoint(path).network()


def _split(content: bytes) -> tuple[dict[str, Any], memoryview]:
    """Header and tensor bytes of a safetensors file; ValueError where it is none.

    Such a file is the header's length in 8 bytes, a JSON header, the tensors.
    """
    if len(content) < 8:
        raise ValueError("too short")
    end = 8 + int(struct.unpack("<Q", content[:8])[0])
    header = json.loads(content[8:end])
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__"), dict):
        raise ValueError("no metadata")
    return header, memoryview(content)[end:]


def _digest(content: bytes) -> str:
    """SHA-256 over the header (less the digest itself) and the tensor bytes."""
    header, tensors = _split(content)
    header["__metadata__"].pop("sha256", None)
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    digest.update(tensors)
    return digest.hexdigest()

"""Files of weights: tensors, settings and where they come from, together.

A safetensors file whose metadata carries the format (which network, and which version of its
file), the settings as JSON and a SHA-256 over all the rest of the file. Reading and checking need
no torch; building the network does. One :class:`Format` per kind of network; the live network's is
here, the paper's are in models/paper/weights.py. Thread: any.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

from models.config import LiveNetConfig, PlainConfig
from models.files import write_whole

if TYPE_CHECKING:
    from torch import Tensor, nn

    from models.live import LiveNet

ConfigT = TypeVar("ConfigT", bound=PlainConfig)
NetworkT = TypeVar("NetworkT", bound="nn.Module")


class CheckpointError(RuntimeError):
    """Weights cannot be used; the message says which file, what is wrong and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format(Generic[ConfigT, NetworkT]):
    """How networks of one kind are kept in files."""

    name: str  # stands in the file
    config: type[ConfigT]
    build: Callable[[ConfigT], NetworkT]
    source: str  # where such files come from, for people who have none
    halved: bool = False  # matrices in half precision; vectors (biases, the statistics of batch
    # norm) stay in single

    def save(
        self, path: Path, network: nn.Module, config: ConfigT, origin: Mapping[str, str]
    ) -> WeightsFile[ConfigT, NetworkT]:
        """Write `network` to `path`, leaving either the old file or the whole new one.

        Raises
        ------
        ValueError
            A weight is not finite, or does not fit half precision.
        OSError
            The file cannot be written.
        """
        import safetensors.torch

        tensors = {}
        for name, tensor in network.state_dict().items():
            stored = tensor.detach().cpu()
            if self.halved and _is_halved(tensor):
                stored = stored.half()
            if not stored.isfinite().all():
                raise ValueError(
                    f"{name} is not finite" + " or too large for half precision" * self.halved
                )
            tensors[name] = stored.contiguous()
        metadata = {
            "format": self.name,
            "config": json.dumps(config.to_dict()),
            "origin": json.dumps(dict(origin)),
        }
        metadata["sha256"] = _digest(safetensors.torch.save(tensors, metadata))
        write_whole(path, safetensors.torch.save(tensors, metadata))
        return self.read(path)

    def read(self, path: Path) -> WeightsFile[ConfigT, NetworkT]:
        """Read and check a file of weights.

        Raises
        ------
        CheckpointError
            It is missing, damaged, of another version or kind, or no file of ours.
        """
        content = _content(path, self.source)
        metadata = _metadata(path, content)
        if metadata["format"] != self.name:
            raise CheckpointError(
                f"{path} has the format {metadata['format']!r}, but this program reads "
                f"{self.name!r}. Use the weights and the program of one version."
            )
        digest = _digest(content)
        if digest != metadata.get("sha256"):
            raise CheckpointError(
                f"{path} is damaged: its checksum is {digest[:12]}…, it should be "
                f"{str(metadata.get('sha256'))[:12]}… Get the file again."
            )
        try:
            config = self.config.from_dict(json.loads(metadata["config"]))
            origin = json.loads(metadata["origin"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path} carries settings that do not fit: {error}") from None
        return WeightsFile(
            path=path, format=self, config=config, origin=origin, sha256=digest, content=content
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile(Generic[ConfigT, NetworkT]):
    """A checked file of weights."""

    path: Path
    format: Format[ConfigT, NetworkT] = field(repr=False)
    config: ConfigT
    origin: Mapping[str, str]  # data, starting points, terms: what a model card needs to name
    sha256: str  # of everything in the file but itself
    content: bytes = field(repr=False)  # the whole file

    def network(self) -> NetworkT:
        """Build the network in single precision, on the CPU, in evaluation mode."""
        import safetensors.torch
        import torch

        try:
            network = self.format.build(self.config)
        except (TypeError, ValueError) as error:
            raise CheckpointError(
                f"{self.path} carries settings that do not fit: {error}"
            ) from None
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


def read_format(path: Path) -> str:
    """The format that a file of weights names; CheckpointError where it is none of ours."""
    return str(_metadata(path, _content(path, "Is the name right?"))["format"])


# -- the live network ---------------------------------------------------------------------------

Checkpoint: TypeAlias = "WeightsFile[LiveNetConfig, LiveNet]"


def _build_live(config: LiveNetConfig) -> LiveNet:
    from models.live import LiveNet

    return LiveNet(config)


LIVE: Final = Format(
    name="msaf-live-2",
    config=LiveNetConfig,
    build=_build_live,
    source="They come with the project (models/weights/live.safetensors), or are made by "
    "`train live`.",
    halved=True,
)


def default_weights() -> Path:
    """The weights that come with the program."""
    return Path(__file__).parent / "weights" / "live.safetensors"


def round_as_stored(network: nn.Module) -> None:
    """Give the weights the values that they will have after saving and loading."""
    for tensor in network.state_dict().values():
        if _is_halved(tensor):
            tensor.copy_(tensor.half())


# -- what a file looks like ---------------------------------------------------------------------


def _is_halved(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.dim() > 1


def _content(path: Path, source: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"no weights at {path}. {source}") from None
    except OSError as error:
        raise CheckpointError(f"cannot read the weights {path}: {error.strerror}") from None


def _metadata(path: Path, content: bytes) -> dict[str, Any]:
    """Metadata of a file of ours: it names a format."""
    try:
        metadata: dict[str, Any] = _split(content)[0]["__metadata__"]
        metadata["format"]
    except (ValueError, KeyError):
        raise CheckpointError(
            f"{path} is not a file of MSAF Live weights, or its start is damaged."
        ) from None
    return metadata


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

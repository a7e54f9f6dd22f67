"""The network as three ONNX graphs, the form in which it runs fastest on a CPU.

Made once per file of weights and kept in the user's cache, named by the weights' SHA-256; a warm
cache is found without loading torch. Thread: any. Inputs and outputs of the graphs:

    trunk    crops (n, 1, 48, 48)                          → maps (n, C, S, S)
    encoder  mel (B, 80, n)                                → frames (B, C, n / 2)
    head     maps (B, C, T, S, S), frames (B, C, U),
             present (B, 2) bool, speaker (B, C)           → the fields of models.live.FusionOutput
"""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from models.checkpoint import Checkpoint, read_checkpoint
from models.config import LiveNetConfig

if TYPE_CHECKING:
    from models.live import LiveNet

logger = logging.getLogger(__name__)

REVISION: Final = 2
"""Counts changes of the graphs' inputs and outputs, so that old caches are not taken for new."""

PARTS: Final = ("trunk", "encoder", "head")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedGraphs:
    """The graphs of one file of weights, and its settings."""

    config: LiveNetConfig
    sha256: str  # of the weights
    trunk: Path
    encoder: Path
    head: Path


def exported_graphs(
    weights: Path,
    *,
    cache_dir: Path | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> ExportedGraphs:
    """Find the graphs of `weights` in the cache, or make them (some seconds, once).

    Parameters
    ----------
    cache_dir
        Where graphs are kept; by default the user's cache folder.
    progress
        Called with the part that is done, 0 to 1, and what comes next.

    Raises
    ------
    CheckpointError
        The weights are missing or damaged.
    OSError
        There is no folder to write to, neither the cache nor one for temporary files.
    """
    report = progress or (lambda done, text: None)
    report(0.0, "Checking the weights")
    checkpoint = read_checkpoint(weights)
    if cache_dir is None:
        from platformdirs import user_cache_path

        cache_dir = user_cache_path("msaf-live") / "graphs"
    folder = cache_dir / f"{checkpoint.sha256[:16]}-{REVISION}"
    if not _complete(folder):
        try:
            _export(checkpoint, folder, report)
        except OSError as error:
            logger.warning(
                "the prepared network cannot be kept, so that every start takes some seconds "
                "longer: %s",
                error,
            )
            folder = Path(tempfile.mkdtemp(prefix="msaf-live-")) / folder.name
            atexit.register(shutil.rmtree, folder.parent, ignore_errors=True)
            _export(checkpoint, folder, report)
    report(1.0, "Graphs are ready")
    trunk, encoder, head = (_graph(folder, part) for part in PARTS)
    return ExportedGraphs(
        config=checkpoint.config,
        sha256=checkpoint.sha256,
        trunk=trunk,
        encoder=encoder,
        head=head,
    )


def _graph(folder: Path, part: str) -> Path:
    return folder / f"{part}.onnx"


def _complete(folder: Path) -> bool:
    """Whether all graphs are there; what tidies up a cache may have taken some."""
    return all(_graph(folder, part).is_file() for part in PARTS)


def _export(checkpoint: Checkpoint, folder: Path, report: Callable[[float, str], None]) -> None:
    """Write the three graphs into `folder`, which appears whole or not at all."""
    report(0.1, "Loading torch")
    network = checkpoint.network()
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="making-", dir=folder.parent))
    try:
        for index, part in enumerate(PARTS):
            report(0.3 + 0.2 * index, f"Preparing the network: {part}")
            _export_part(network, part, _graph(partial, part))
        if not _complete(folder):
            shutil.rmtree(folder, ignore_errors=True)
        try:
            partial.rename(folder)
        except OSError:
            if not _complete(folder):  # else another process was quicker
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _export_part(network: LiveNet, name: str, path: Path) -> None:
    import torch

    from models.live import FusionOutput

    config = network.config
    size, cells = config.face.image_size, config.face.map_size
    inputs: dict[str, torch.Tensor]
    outputs: tuple[str, ...]
    if name == "trunk":
        inputs = {"crops": torch.rand(2, 1, size, size)}
        outputs = ("maps",)
        free = {"crops": {0: "n"}}
    elif name == "encoder":
        inputs = {"mel": torch.randn(2, config.voice.n_mels, 120)}
        outputs = ("frames",)
        free = {"mel": {0: "batch", 2: "columns"}}
    else:
        inputs = {
            "maps": torch.randn(2, config.face.channels, 7, cells, cells),
            "frames": torch.randn(2, config.voice.channels, 60),
            "present": torch.ones(2, 2, dtype=torch.bool),
            "speaker": torch.randn(2, config.voice.channels),
        }
        outputs = FusionOutput._fields
        free = {
            "maps": {0: "batch", 2: "images"},
            "frames": {0: "batch", 2: "steps"},
            "present": {0: "batch"},
            "speaker": {0: "batch"},
        }
    with _quiet(), torch.inference_mode():
        # The tracing exporter: the newer one writes GRU layers with linear_before_reset = 0,
        # which torch's are not, and takes several times as long.
        torch.onnx.export(
            getattr(network, name),
            tuple(inputs.values()),
            path,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=free,
            opset_version=17,
            dynamo=False,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks (its own deprecation, constants of the trace) off the screen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

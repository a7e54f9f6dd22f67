"""The network as three ONNX graphs, the form in which it runs fastest on a CPU.

Made once per file of weights and kept in the user's cache, named by the weights' SHA-256, until
they have not been used for a month. Graphs in the cache are found without loading torch. A process
of its own makes them (`python -m models.export`): it can be ended at any moment, an export on a
thread could not. Thread: any. Inputs and outputs of the graphs:

    trunk    crops (n, 1, 48, 48)                          → maps (n, C, S, S)
    encoder  mel (B, 80, n)                                → frames (B, C, U), of 20 or 40 ms
    head     maps (B, C, T, S, S), frames (B, C, U),
             present (B, 2) bool, speaker (B, C)           → the fields of models.live.FusionOutput
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from models.checkpoint import LIVE, Checkpoint
from models.config import LiveNetConfig

if TYPE_CHECKING:
    from torch import nn

    from models.live import LiveNet

logger = logging.getLogger(__name__)

REVISION: Final = 5
"""Counts changes of the graphs, so that old caches are not taken for new."""

PARTS: Final = ("trunk", "encoder", "head")

_SUMS: Final = "SHA256SUMS"  # beside the graphs

_HOUR: Final = 3600.0
_KEPT_SECONDS: Final[Mapping[str, float]] = {
    "[0-9a-f]*-[0-9]*": 30 * 24 * _HOUR,  # of weights or a revision that are used no more
    "making-*": _HOUR,  # of an export that was killed
}
"""How long folders in the cache stay untouched before they are removed, by their names."""

POLL_SECONDS: Final = 0.05  # how often the process that makes them is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedGraphs:
    """The graphs of one file of weights, and its settings."""

    config: LiveNetConfig
    graphs: Mapping[str, Path]  # by the names of PARTS


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
        Called again and again with the share that is done, 0 to 1, and what is being done. What it
        raises breaks the work off at once and leaves nothing behind.

    Raises
    ------
    CheckpointError
        The weights are missing or damaged.
    OSError
        There is no folder to write to, neither the cache nor one for temporary files.
    """
    report = progress or (lambda done, text: None)
    report(0.0, "Checking the weights")
    checkpoint = LIVE.read(weights)
    if cache_dir is None:
        from platformdirs import user_cache_path

        cache_dir = user_cache_path("msaf-live") / "graphs"
    folder = cache_dir / f"{checkpoint.sha256[:16]}-{REVISION}"
    if not _complete(folder):
        try:
            _export(checkpoint, folder, report)
            _tidy(cache_dir)
        except OSError as error:
            logger.warning(
                "the prepared network cannot be kept, so that every start takes some seconds "
                "longer: %s",
                error,
            )
            folder = Path(tempfile.mkdtemp(prefix="msaf-live-")) / folder.name
            atexit.register(shutil.rmtree, folder.parent, ignore_errors=True)
            _export(checkpoint, folder, report)
    with suppress(OSError):
        os.utime(folder)  # so that it counts as used
    report(1.0, "Loading the network")
    return ExportedGraphs(
        config=checkpoint.config, graphs={part: _graph(folder, part) for part in PARTS}
    )


def _graph(folder: Path, part: str) -> Path:
    return folder / f"{part}.onnx"


def _sums(folder: Path) -> str:
    """What `sha256sum` says of the graphs in `folder`; raises OSError."""
    lines = []
    for part in PARTS:
        graph = _graph(folder, part)
        lines.append(f"{hashlib.sha256(graph.read_bytes()).hexdigest()}  {graph.name}\n")
    return "".join(lines)


def _complete(folder: Path) -> bool:
    """Whether all graphs are there as they were made.

    What tidies up a cache may have taken some, a crash or a failing disk have damaged others.
    """
    try:
        return (folder / _SUMS).read_bytes() == _sums(folder).encode()
    except OSError:
        return False


def _tidy(cache_dir: Path) -> None:
    """Remove the folders that nobody has used for long, as far as that can be done."""
    now = time.time()
    for names, seconds in _KEPT_SECONDS.items():
        for folder in cache_dir.glob(names):
            with suppress(OSError):
                if now - folder.stat().st_mtime > seconds:
                    shutil.rmtree(folder)


def _export(checkpoint: Checkpoint, folder: Path, report: Callable[[float, str], None]) -> None:
    """Let the three graphs be written into `folder`, which appears whole or not at all."""
    partial = folder.parent / f"making-{uuid.uuid4().hex}"
    try:
        partial.mkdir(parents=True)
        if not _written_elsewhere(checkpoint, partial, report):
            logger.info("the network is prepared in this process, where that cannot be broken off")
            _write(checkpoint, partial)  # which also tells what is wrong, if anything is
        (partial / _SUMS).write_bytes(_sums(partial).encode())
        if not _complete(folder):
            shutil.rmtree(folder, ignore_errors=True)
        try:
            partial.rename(folder)
        except OSError:
            if not _complete(folder):  # else another process was quicker
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _written_elsewhere(
    checkpoint: Checkpoint, folder: Path, report: Callable[[float, str], None]
) -> bool:
    """Let another process write the graphs; False when it did not, for whatever reason."""
    module = [sys.executable, "-m", "models.export"]
    try:
        process = subprocess.Popen(
            [*module, checkpoint.path.absolute(), folder.absolute(), checkpoint.sha256],
            cwd=Path(__file__).parents[1],  # where it finds this package
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us alone, and so it is …
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # … on Windows
        )
    except OSError:
        return False
    with process:
        try:
            while process.poll() is None:
                done = sum(_graph(folder, part).exists() for part in PARTS)
                report((0.1, 0.5, 0.7, 0.9)[done], f"Preparing the network, once ({done} of 3)")
                with suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_SECONDS)
        finally:
            process.kill()
    return process.returncode == 0


def _write(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the three graphs into `folder`; takes seconds and cannot be broken off."""
    network = checkpoint.network()
    _spell_out_norms(network)
    for part in PARTS:
        _export_part(network, part, _graph(folder, part))


def _spell_out_norms(network: nn.Module) -> None:
    """Have layer norms exported as the arithmetic they are, in a form that stays so.

    onnxruntime's own operator, into which it joins the usual form, adds up one number after the
    other: it takes a seventh of the encoder's time, the arithmetic a tenth of that.
    """
    import torch
    from torch import nn

    class Arithmetic(nn.Module):
        def __init__(self, norm: nn.LayerNorm) -> None:
            super().__init__()
            assert len(norm.normalized_shape) == 1
            assert norm.elementwise_affine
            self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            centred = x - x.mean(dim=-1, keepdim=True)
            variance = (centred * centred).mean(dim=-1, keepdim=True)
            return centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias

    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.LayerNorm):
                setattr(parent, name, Arithmetic(child))


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


def _main(weights: str, folder: str, sha256: str) -> None:
    """What the process of its own does."""
    checkpoint = LIVE.read(Path(weights))
    if checkpoint.sha256 != sha256:
        sys.exit("the weights have changed meanwhile")
    _write(checkpoint, Path(folder))


if __name__ == "__main__":
    _main(*sys.argv[1:])

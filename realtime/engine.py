"""What runs a network's parts: onnxruntime on a CPU, torch on a GPU, behind one protocol.

Thread: any; sessions that follow one another share an engine, and the older one may not have quite
ended. onnxruntime is the CPU's engine because it measured fastest (docs/adr/0002); `main.py bench`
prints both.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from realtime.config import ConfigError

if TYPE_CHECKING:
    from torch import nn

Arrays = Mapping[str, np.ndarray[Any, Any]]


class Engine(Protocol):
    """A trained network, run on whatever is fastest here."""

    @property
    def name(self) -> str:
        """For the status line: engine and device."""
        ...

    def run(self, part: str, inputs: Arrays) -> Arrays:
        """Run one part of the network.

        Parameters
        ----------
        part
            Its name.
        inputs
            Batches by the names of the part's inputs.

        Returns
        -------
        The part's outputs by name; what the only output of a part is called is the engine's.
        """
        ...


def has_gpu() -> bool:
    """Whether torch can use an NVIDIA GPU; it is slow to load, and not where there is no driver."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    import torch

    return torch.cuda.is_available()


def check_device(device: str) -> None:
    """Raises ConfigError for a torch device that is not there."""
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(
            "there is no CUDA GPU that torch can use: run with --device cpu, or install the "
            "NVIDIA driver and a torch build with CUDA"
        )


class OnnxEngine:
    """Graphs in onnxruntime on the CPU."""

    def __init__(self, graphs: Mapping[str, Path], *, threads: Mapping[str, int]) -> None:
        """`threads`: of the parts that are large enough for more than one to pay."""
        from realtime.onnx import ENGINE, inference_session

        self.name = ENGINE
        self._parts = {
            part: inference_session(graph, threads=threads.get(part, 1))
            for part, graph in graphs.items()
        }
        self._outputs = {
            part: [output.name for output in session.get_outputs()]
            for part, session in self._parts.items()
        }

    def run(self, part: str, inputs: Arrays) -> Arrays:
        """See Engine.run."""
        found = self._parts[part].run(None, dict(inputs))
        return dict(zip(self._outputs[part], found, strict=True))


class TorchEngine:
    """Modules in torch: on a GPU in half precision, on its own stream, from pinned memory."""

    def __init__(self, parts: Mapping[str, nn.Module], *, device: str) -> None:
        """Raises ConfigError for a device that is not there."""
        import torch

        check_device(device)
        self._torch = torch
        self._device = torch.device(device)
        self._cuda = self._device.type == "cuda"
        torch.set_num_threads(1)  # CPU: these networks are small, and slower with two
        self._parts = {name: part.eval().to(self._device) for name, part in parts.items()}
        where = "CPU"
        if self._cuda:
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
            where = torch.cuda.get_device_name(self._device)
        self.name = f"torch {torch.__version__}, {where}"

    def run(self, part: str, inputs: Arrays) -> Arrays:
        """See Engine.run."""
        torch, module = self._torch, self._parts[part]
        if not self._cuda:
            with torch.inference_mode():
                tensors = {name: torch.from_numpy(each) for name, each in inputs.items()}
                return self._to_numpy(module(**tensors))
        with (
            torch.inference_mode(),
            torch.cuda.stream(self._stream),
            torch.autocast("cuda", torch.float16),
        ):
            tensors = {
                name: torch.from_numpy(each).pin_memory().to(self._device, non_blocking=True)
                for name, each in inputs.items()
            }
            return self._to_numpy(module(**tensors))

    def _to_numpy(self, output: Any) -> Arrays:
        """A tensor, or a named tuple of them."""
        named = {"output": output} if isinstance(output, self._torch.Tensor) else output._asdict()
        return {name: each.float().cpu().numpy() for name, each in named.items()}

"""What runs a network's parts: onnxruntime on a CPU, torch on a GPU, behind one protocol.

Thread: any; sessions that follow one another share an engine, and the older one may not have quite
ended. onnxruntime is the CPU's engine because it measured fastest (docs/adr/0002); `main.py bench`
prints both. Torch's own (realtime/torch_engine.py) stands apart, since torch is slow to load.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from realtime.config import ConfigError

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

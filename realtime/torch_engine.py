"""Runs a network's parts in torch: on a GPU, and on a CPU to compare with.

A GPU waits for the kernels of such small networks to be started one by one, by a thread that shares
Python with camera and window. So they are recorded (CUDA graphs, docs/adr/0002) and started as one.
Thread: any.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from realtime.engine import Arrays, check_device

MOST_GRAPHS: Final = 128
"""Shapes of inputs whose kernels stay recorded.

A window that fills has 26 lengths of sound, which the encoder and the head meet; later the head
meets up to 26 numbers of faces, each with a voice and without.
"""

EAGER_RUNS: Final = 2
"""Before a recording, in which libraries choose their kernels and take their memory."""

Shapes = tuple[tuple[int, ...], ...]


def torch_engine(parts: Mapping[str, nn.Module], *, device: str) -> TorchEngine | CudaEngine:
    """The engine for `device`; raises ConfigError where there is none."""
    check_device(device)
    kind = CudaEngine if torch.device(device).type == "cuda" else TorchEngine
    return kind(parts, torch.device(device))


class TorchEngine:
    """Modules as they are, on a CPU."""

    def __init__(self, parts: Mapping[str, nn.Module], device: torch.device) -> None:
        torch.set_num_threads(1)  # these networks are small, and slower with two
        self._parts = {name: part.eval().to(device) for name, part in parts.items()}
        self.name = f"torch {torch.__version__}, CPU"

    def run(self, part: str, inputs: Arrays) -> Arrays:
        """See Engine.run."""
        with torch.inference_mode():
            tensors = {name: torch.from_numpy(each) for name, each in inputs.items()}
            outputs = _by_name(self._parts[part](**tensors))
        return {name: each.numpy() for name, each in outputs.items()}


class CudaEngine:
    """Modules as CUDA graphs, in half precision, one at a time on a stream of their own.

    The first call with inputs of some shape records the graph, which takes 25 to 110 ms, and all
    calls run it: what comes of an input does not depend on what was run before.
    """

    def __init__(self, parts: Mapping[str, nn.Module], device: torch.device) -> None:
        self._parts = {name: part.eval().to(device) for name, part in parts.items()}
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()  # one at a time runs: they share their memory
        self._graphs: OrderedDict[tuple[str, Shapes], _Graph] = OrderedDict()
        self._lock = threading.Lock()
        self.name = f"torch {torch.__version__}, {torch.cuda.get_device_name(device)}"

    def run(self, part: str, inputs: Arrays) -> Arrays:
        """See Engine.run."""
        key = (part, tuple(each.shape for each in inputs.values()))
        with self._lock:
            graph = self._graphs.pop(key, None)
            if graph is None:
                while len(self._graphs) >= MOST_GRAPHS:
                    self._graphs.popitem(last=False)
                graph = _Graph(self._parts[part], inputs, self._stream, self._pool)
            self._graphs[key] = graph  # the one used last
            return graph.run(inputs)


class _Graph:
    """One part's way from host memory to host memory, recorded for inputs of one shape."""

    def __init__(
        self, module: nn.Module, inputs: Arrays, stream: torch.cuda.Stream, pool: Any
    ) -> None:
        self._module, self._stream = module, stream
        self._given = {name: _pinned(torch.from_numpy(each)) for name, each in inputs.items()}
        self._hand_in(inputs)
        self._there = {name: each.to(stream.device) for name, each in self._given.items()}
        self._graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.stream(stream):
            for _ in range(EAGER_RUNS):
                outputs = self._forward()
            self._found = {name: _pinned(each) for name, each in outputs.items()}
            with torch.cuda.graph(
                self._graph,
                pool=pool,
                stream=stream,
                capture_error_mode="thread_local",  # other threads may use the GPU meanwhile
            ):
                for name, each in self._forward().items():
                    self._found[name].copy_(each, non_blocking=True)

    def run(self, inputs: Arrays) -> Arrays:
        """Inputs of the shapes that it was recorded with; the results are the caller's."""
        self._hand_in(inputs)
        with torch.cuda.stream(self._stream):
            self._graph.replay()
        self._stream.synchronize()
        return {name: each.numpy().copy() for name, each in self._found.items()}

    def _hand_in(self, inputs: Arrays) -> None:
        for name, each in inputs.items():
            np.copyto(self._given[name].numpy(), each)

    def _forward(self) -> Mapping[str, Tensor]:
        for name, each in self._given.items():
            self._there[name].copy_(each, non_blocking=True)
        # Without its cache: what was cast outside a graph is not there when the graph runs.
        with torch.autocast("cuda", torch.float16, cache_enabled=False):
            outputs = _by_name(self._module(**self._there))
        return {name: each.float() for name, each in outputs.items()}


def _pinned(tensor: Tensor) -> Tensor:
    """Host memory of the same shape that the GPU can reach by itself."""
    return torch.empty_like(tensor, device="cpu", pin_memory=True)


def _by_name(output: Any) -> Mapping[str, Tensor]:
    """A tensor, or a named tuple of them."""
    return {"output": output} if isinstance(output, Tensor) else output._asdict()

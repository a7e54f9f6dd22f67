"""What a network of the study costs: parameters, operations and time for one clip."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

_REPEATS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one network: everything behind the features that were computed once, or what made them."""

    parameters: int
    flops: int  # multiplications and additions of matrix products (attention's, too) and
    # convolutions, per clip
    milliseconds: float  # one clip at a time, one thread on CPU; the fastest of _REPEATS, since
    # whatever else the machine does can only add to it


def measure(
    network: nn.Module, inputs: list[Tensor], steps: Tensor | None, device: torch.device
) -> Cost:
    """Cost of one sample, `inputs` being (1, ...) per modality; `network` takes both."""
    network.cpu().eval()
    inputs = [each.cpu().float() for each in inputs]
    with (
        torch.inference_mode(),
        sdpa_kernel(SDPBackend.MATH),  # the counter does not see what a fused attention computes
        FlopCounterMode(display=False) as counter,
    ):
        network(inputs, steps)
    network.to(device)
    inputs = [each.to(device) for each in inputs]
    steps = None if steps is None else steps.to(device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            fastest = float("inf")
            for _ in range(_REPEATS):
                _wait(device)
                started = time.perf_counter()
                network(inputs, steps)
                _wait(device)
                fastest = min(fastest, time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    return Cost(
        parameters=sum(each.numel() for each in network.parameters() if each.requires_grad),
        flops=counter.get_total_flops(),
        milliseconds=1000.0 * fastest,
    )


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

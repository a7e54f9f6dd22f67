"""One training run on several processes, as torchrun starts them; alone, all of this is nothing.

    torchrun --nproc-per-node 2 main.py train ntu --root NTU

Each process computes on its part of every batch and gradients are averaged
(DistributedDataParallel). The first process alone prepares data, validates, writes and prints. All
processes see the same work folder. Thread: the trainer's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

_PATIENCE = timedelta(hours=24)
"""How long processes wait for the first one, which may be preparing data."""


def _joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def rank() -> int:
    """Number of this process, from 0."""
    return distributed.get_rank() if _joined() else 0


def world_size() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if _joined() else 1


def is_first() -> bool:
    """Is this the process that writes and prints?"""
    return rank() == 0


def wait() -> None:
    """Until all processes are here."""
    if _joined():
        distributed.barrier()


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that torchrun started, and give this one's device.

    Without torchrun the device is given back as it is.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or "MASTER_ADDR" not in os.environ:
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield device
    finally:
        distributed.destroy_process_group()


def parallel(model: nn.Module, device: torch.device) -> nn.Module:
    """`model`, its gradients averaged over all processes; its weights are the first one's."""
    if world_size() == 1:
        return model
    return DistributedDataParallel(model, [device.index] if device.type == "cuda" else None)


Value = TypeVar("Value")


def from_first(value: Value) -> Value:
    """What the first process has, for everybody."""
    if world_size() == 1:
        return value
    box: list[Any] = [value]
    distributed.broadcast_object_list(box, src=0)
    received: Value = box[0]
    return received


def weights_from_first(model: nn.Module) -> None:
    """Give every process the first one's weights and statistics."""
    if world_size() > 1:
        for tensor in model.state_dict().values():
            distributed.broadcast(tensor, src=0)

"""Samples into batches: shuffled, augmented, made ahead of need, divided among processes.

What an epoch holds depends on the seed, its number and nothing else: neither on the number of
workers nor on their timing. Threads: workers of an epoch, joined when it ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor

from models.training import distributed
from models.training.settings import RecipeError

Batch = tuple[Tensor, ...]

_AHEAD: Final = 3  # batches that are made before they are asked for


class Samples(Protocol):
    """Numbered samples; each is a tuple of tensors, the target last."""

    @property
    def keys(self) -> Sequence[str]:
        """Names of the samples; another name where the data is another."""
        ...

    def __len__(self) -> int: ...
    def sample(self, index: int, rng: np.random.Generator | None, only: int | None = None) -> Batch:
        """One sample; `rng` draws its augmentation, None leaves it as it is.

        With `only` the modalities at other places may be left empty.
        """
        ...


class Epoch:
    """Batches in order; with a length, so that a progress bar knows the end."""

    def __init__(
        self,
        samples: Samples,
        rows: Sequence[Sequence[int]],
        device: torch.device,
        workers: int,
        seed: tuple[int, int] | None,
        only: int | None,
    ) -> None:
        self._samples, self._rows, self._device = samples, rows, device
        self._workers, self._seed, self._only = workers, seed, only

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Batch]:
        if self._workers == 0:
            for rows in self._rows:
                yield self._collate([self._one(row) for row in rows])
            return
        waiting: deque[list[Future[Batch]]] = deque()
        pool = ThreadPoolExecutor(self._workers, "samples")
        try:
            for rows in self._rows:
                waiting.append([pool.submit(self._one, row) for row in rows])
                if len(waiting) > _AHEAD:
                    yield self._collate([each.result() for each in waiting.popleft()])
            while waiting:
                yield self._collate([each.result() for each in waiting.popleft()])
        finally:
            pool.shutdown(cancel_futures=True)

    def _one(self, row: int) -> Batch:
        rng = None if self._seed is None else np.random.default_rng((*self._seed, row))
        return self._samples.sample(row, rng, self._only)

    def _collate(self, samples: list[Batch]) -> Batch:
        return tuple(
            torch.stack(parts).to(self._device, non_blocking=True)
            for parts in zip(*samples, strict=True)
        )


def in_order(
    samples: Samples,
    rows: Sequence[int],
    batch_size: int,
    device: torch.device,
    workers: int,
    only: int | None = None,
) -> Epoch:
    """Each of `rows` once, as it is."""
    cut = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return Epoch(samples, cut, device, workers, None, only)


def check_batch_size(batch_size: int) -> None:
    """RecipeError if a process would get less than two samples of a batch.

    From one alone the norm of MSAF learns no statistics: another network would be trained.
    """
    count = distributed.world_size()
    if batch_size // count < 2:
        raise RecipeError(
            f"batch_size = {batch_size} is less than 2 samples for each of {count} processes: "
            f"raise it to {2 * count} or more, or start fewer processes"
        )


def training_epochs(
    samples: Samples,
    rows: Sequence[int],
    batch_size: int,
    seed: int,
    device: torch.device,
    workers: int,
    only: int | None = None,
) -> Callable[[int], Epoch]:
    """Epoch number → this process's part of its batches: `rows` shuffled and augmented.

    The batch size is of all processes together. A last batch with less than one sample per process
    is left out.
    """
    check_batch_size(batch_size)
    count = distributed.world_size()

    def epoch(number: int) -> Epoch:
        order = np.random.default_rng((seed, number)).permutation(np.asarray(rows, np.int64))
        whole = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        parts = [
            np.array_split(batch, count)[distributed.rank()].tolist()
            for batch in whole
            if len(batch) >= count
        ]
        return Epoch(samples, parts, device, workers, (seed, number), only)

    return epoch

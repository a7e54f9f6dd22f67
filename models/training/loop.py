"""What every training stage shares: where it runs, seeds, a loop that survives being killed.

A stage hands its network, optimiser and data to :func:`fit`; everything that is needed to go on
after a kill (weights, moving average, optimiser, schedule, best result so far) is written
atomically after each epoch; chance begins anew with each epoch, from its number. The best epoch is
the one that scores highest on validation people; test people are never seen here.
"""

from __future__ import annotations

import copy
import ctypes
import hashlib
import json
import logging
import math
import random
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sized
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.files import write_whole, written_whole
from models.training import distributed
from models.training.data import DataError
from models.training.settings import RecipeError

logger = logging.getLogger(__name__)
console = Console(stderr=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """Where a training run reads, writes and computes."""

    data_root: Path  # the folder with ferplus.npz and ravdess_speech/
    work_dir: Path  # caches, resumable states and results; never committed
    device: torch.device
    seed: int = 0

    def stage_dir(self, name: str) -> Path:
        """Folder of one stage, made on first use."""
        path = self.work_dir / name
        path.mkdir(parents=True, exist_ok=True)
        return path


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch (all devices)."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (libraries may draw from it)
    torch.manual_seed(seed)


def _epoch_seed(seed: int, epoch: int) -> int:
    """Chance of one epoch on one process, whatever was drawn before."""
    sequence = np.random.SeedSequence((seed, epoch, distributed.rank()))
    return int(sequence.generate_state(1)[0])


def half_precision(device: torch.device, wanted: bool = True) -> AbstractContextManager[Any]:
    """Autocast to bfloat16 where it is wanted and in hardware; it halves what an epoch takes."""
    fast = device.type != "cpu" or torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and bool(fast))


def keep_freed_memory() -> None:
    """Tell glibc to keep large blocks for the next step instead of giving them back each time.

    On a CPU a third of an epoch is otherwise spent in the kernel, on the pages of activations.
    """
    if sys.platform == "linux":
        trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of malloc.h
        with suppress(OSError, AttributeError):  # another libc
            libc = ctypes.CDLL(None)
            libc.mallopt(trim_threshold, 2**31 - 1)
            libc.mallopt(mmap_max, 0)


def progress_bar() -> Progress:
    """Progress display on standard error, so that standard output stays free for results."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        refresh_per_second=2,
        disable=not distributed.is_first(),
    )


def save_atomically(value: Any, path: Path) -> None:
    """`torch.save` that leaves either the old file or the whole new one; raises OSError."""
    with written_whole(path) as file:  # torch's own files tell of a full disk in other words
        torch.save(value, file)


def content_digest(*parts: object) -> str:
    """SHA-256 over data as it was read: arrays by type, shape and content, dataclasses by their
    fields, anything else as text.
    """
    digest = hashlib.sha256()

    def add(part: object) -> None:
        if isinstance(part, Tensor):
            part = part.detach().cpu().numpy()
        if isinstance(part, np.ndarray):
            values = np.ascontiguousarray(part)
            digest.update(f"{values.dtype} {values.shape}".encode())
            digest.update(values.data)
        elif is_dataclass(part):
            for each in fields(part):
                add(getattr(part, each.name))
        else:
            digest.update(str(part).encode())

    for part in parts:
        add(part)
    return digest.hexdigest()


STATE: Final = "state.pt"
LOG: Final = "log.jsonl"
"""Of a stage, in its folder; both grow with each epoch."""

NETWORK: Final = "network.txt"
"""Beside the state of a stage: what its network is, for those who take its weights."""


def begin_stage(
    context: RunContext, name: str, trail: str, made: Iterable[Path] = (), *, network: str = ""
) -> None:
    """Set a stage aside, and what was `made` of it, that began otherwise or nobody knows how.

    `trail` is all that its weights depend on, data too; a digest of it lies beside the state. What
    was trained and made is kept, until the next time, under names that end in .before, and the
    training of before is gone on with if it is that which is wanted; what the stage's folder keeps
    of features goes. `network` is noted for those who will take the weights, since others may have
    the same sizes.
    """
    if distributed.is_first():
        digest = hashlib.sha256(trail.encode()).hexdigest()
        directory = context.stage_dir(name)
        record = directory / "start.txt"
        if not record.is_file() or record.read_text() != digest:
            _set_aside(name, [record, directory / STATE, directory / LOG], made, digest)
            for stale in directory.glob("*.pt"):
                if stale.name != STATE:
                    stale.unlink()
            record.write_text(digest)
        write_whole(directory / NETWORK, network)  # only now, that it stands by no older weights
    distributed.wait()


def _set_aside(name: str, trained: list[Path], made: Iterable[Path], digest: str) -> None:
    """Give a stage's files names that end in .before, and those that have them their own back if
    they began as `digest` says. What was made of a stage is made again from it.
    """

    def before(path: Path) -> Path:
        return path.with_name(f"{path.name}.before")

    record = trained[0]
    wanted = before(record).is_file() and before(record).read_text() == digest
    there = [path for path in (*trained[1:], *made) if path.is_file()]
    for path in trained if wanted else ():
        if before(path).is_file():
            before(path).replace(path.with_name(f"{path.name}.back"))
    for path in (record, *there):
        if path.is_file():
            path.replace(before(path))
    for path in trained if wanted else ():
        if (back := path.with_name(f"{path.name}.back")).is_file():
            back.replace(path)
    if there:
        what = "gone on with what was set aside" if wanted else "begun anew"
        console.print(
            f"{name}: {what}, since settings, seed or data are not those of the last time; what "
            f"there was: {', '.join(str(before(path)) for path in there)}",
            soft_wrap=True,
        )


def check_converging(name: str, loss: float, norm: Tensor) -> None:
    """RecipeError where loss or gradient is no number any more, before anything learns from it."""
    if not math.isfinite(loss) or not math.isfinite(norm):
        raise RecipeError(
            f"{name}: training has diverged (loss {loss:g}, gradient {float(norm):g}): set its "
            "learning_rate lower, and begin again"
        )


def load_state(
    path: Path,
    device: torch.device | str = "cpu",
    *,
    mmap: bool = False,
) -> Any:
    """What `save_atomically` left in the work folder.

    Raises
    ------
    DataError
        It is not there or damaged, and has to be deleted to be made again.
    """
    try:
        return torch.load(path, map_location=device, mmap=mmap, weights_only=True)
    except Exception as error:  # of any kind, where the bytes are not torch's
        why = error.strerror if isinstance(error, OSError) else "it is damaged"
        raise DataError(
            f"{path} cannot be read ({why}): delete it, and training makes it again"
        ) from None


OTHER_NETWORK: Final = (
    "{} was trained with another [network] than the settings have now: give the settings that it "
    "was trained with, or train its stage again"
)


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Give `network` the weights that were read from `path`.

    Raises
    ------
    DataError
        They are of other sizes.
    """
    try:
        network.load_state_dict(weights)
    except RuntimeError:
        raise DataError(OTHER_NETWORK.format(path)) from None


def cosine_schedule(
    optimizer: torch.optim.Optimizer, warm_up: int, total: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """The scheduler of :func:`cosine_factor`."""
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: cosine_factor(step, warm_up, total)
    )


def cosine_factor(step: int, warm_up: int, total: int) -> float:
    """Factor of the learning rate at a step, which counts from 0.

    A linear rise of `warm_up` steps, then half a cosine down to nothing at step `total`.
    """
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, total - warm_up))))


def fit(
    *,
    name: str,
    context: RunContext,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    epochs: int,
    batches: Callable[[int], Iterable[Any]],
    loss: Callable[[nn.Module, Any], Tensor],
    validate: Callable[[nn.Module], dict[str, float]] | None,
    score: str = "",
    ema_decay: float = 0.999,
    clip_norm: float = 1.0,
    autocast: bool = False,
) -> dict[str, float]:
    """Train `model` and leave it with its best weights, without validation with its last.

    With several processes (models/training/distributed.py) each hands in its part of every batch;
    the first one alone validates and writes.

    Parameters
    ----------
    name
        Folder of the state and the log inside the work folder; :func:`begin_stage` comes before.
    batches
        Epoch number, from 0 → the batches of that epoch; with a length, the progress bar knows the
        end.
    loss
        (network in training mode, batch) → scalar to minimise.
    validate
        Network in evaluation mode (the exponential moving average) → figures, among them `score`.
        None where nobody is left to choose an epoch by: then all are trained.
    score
        Name of the figure that chooses the epoch; higher is better.
    scheduler
        Stepped once per batch.
    ema_decay
        Of the moving average of the weights, per step; it is what is validated and kept. 0 is the
        weights themselves.
    clip_norm
        Longest gradient, as the norm over all weights.
    autocast
        Compute `loss` in half precision where the hardware has it.

    Returns
    -------
    The figures of the chosen epoch, with `epoch` (from 1) and `loss` (of training) among them.

    Raises
    ------
    DataError
        The state to go on from is damaged.
    RecipeError
        Loss or gradient is no number any more; the state of the epoch before is there still.
    OSError
        The state cannot be written; the one of the epoch before is there still.
    """
    keep_freed_memory()
    directory = context.stage_dir(name)
    state_path = directory / STATE
    averaged = AveragedModel(
        model,
        multi_avg_fn=get_ema_multi_avg_fn(ema_decay),  # type: ignore[no-untyped-call]
        use_buffers=True,
    )
    parts: dict[str, Any] = {
        "model": model,
        "averaged": averaged,
        "optimizer": optimizer,
        "scheduler": scheduler,
    }
    first_epoch = 0
    best: dict[str, float] = {}
    best_weights: dict[str, Tensor] = {}
    if state_path.is_file():
        state = load_state(state_path, context.device)
        for key, part in parts.items():
            part.load_state_dict(state[key])
        first_epoch, best, best_weights = state["epoch"], state["best"], state["best_weights"]
        if distributed.is_first():
            console.print(f"{name}: resuming after epoch {first_epoch} of {epochs}")
    elif distributed.is_first():
        (directory / LOG).unlink(missing_ok=True)  # of a state that is gone

    parallel = distributed.parallel(model, context.device)

    def step(batch: Any) -> float:
        optimizer.zero_grad(set_to_none=True)
        with half_precision(context.device, autocast):
            value = loss(parallel, batch)
        value.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        reached = float(value.detach())
        check_converging(name, reached, norm)
        optimizer.step()
        scheduler.step()
        averaged.update_parameters(model)
        return reached

    with progress_bar() as progress:
        for epoch in range(first_epoch, epochs):
            started = time.monotonic()
            model.train()
            seed_everything(_epoch_seed(context.seed, epoch))
            running = _run(batches(epoch), step, progress, f"{name} {epoch + 1}/{epochs}")
            if not distributed.is_first():
                continue
            averaged.eval()
            with torch.inference_mode():
                figures = validate(averaged.module) if validate else {}
            figures |= {"epoch": epoch + 1, "loss": running}
            # A score may be NaN, as that of a class of which there is nobody.
            before = best.get(score, math.nan)
            if validate is None or math.isnan(before) or figures[score] > before:
                best = figures
                best_weights = copy.deepcopy(averaged.module.state_dict())
            states = {key: part.state_dict() for key, part in parts.items()}
            about = {"epoch": epoch + 1, "best": best, "best_weights": best_weights}
            save_atomically(states | about, state_path)
            _log(directory, name, figures, time.monotonic() - started, context.device)
    if distributed.is_first():
        model.load_state_dict(best_weights)
    distributed.weights_from_first(model)
    model.eval()
    return distributed.from_first(best)


def _run(
    batches: Iterable[Any], step: Callable[[Any], float], progress: Progress, title: str
) -> float:
    """One epoch, shown; returns the loss, averaged over the last steps."""
    total = len(batches) if isinstance(batches, Sized) else None
    bar = progress.add_task(title, total=total, note="")
    running = 0.0
    for count, batch in enumerate(batches, start=1):
        running += (step(batch) - running) / min(count, 50)
        progress.update(bar, advance=1, note=f"loss {running:.3f}")
    return running


def _log(
    directory: Path,
    name: str,
    figures: Mapping[str, float],
    seconds: float,
    device: torch.device,
) -> None:
    """An epoch as a line in the stage's log, and on the console."""
    line = {**figures, "seconds": round(seconds, 1), "device": device.type}
    with (directory / LOG).open("a") as log:
        log.write(json.dumps(line) + "\n")
    text = " ".join(f"{key} {value:.4g}" for key, value in figures.items())
    console.print(f"{name}: {text} ({seconds:.0f} s)")

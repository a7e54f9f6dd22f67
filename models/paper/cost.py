"""What MSAF costs at each of the paper's places, beside plain concatenation.

Plain concatenation is the least that a fusion can do with the same features: average each over
time and space, put the averages side by side. It changes no feature and has no parameters. MSAF
does as much and hands every feature on, re-weighted. Thread: main; on a CPU one core is used, and
its time counts, not the clock's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.profiler import profile

from models.mmtm import averages
from models.msaf import MSAF
from models.paper.branch import count_parameters
from models.paper.mosei import MoseiNet
from models.paper.ntu import NtuNet
from models.paper.ravdess import RavdessNet

Tell = Callable[[str], None]
Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the paper MSAF sits, and what it meets there, without the batch."""

    name: str  # network: the layers of its branches that MSAF comes behind
    network: str
    module: str  # its name in the network
    shapes: Shapes
    batch: int  # the paper's, in training
    steps_first: bool = False  # in memory, as LSTMs leave their sequences


PLACES: Final = (
    Place("RAVDESS: layer3", "RAVDESS", "early_fusion", ((1024, 4, 14, 14), (32, 208)), 4),
    Place("RAVDESS: layer4", "RAVDESS", "late_fusion", ((2048, 2, 7, 7), (64, 26)), 4),
    Place(
        "MOSEI: LSTMs",
        "CMU-MOSEI",
        "fusion",
        ((32, 50), (64, 50), (128, 50)),
        16,
        steps_first=True,
    ),
    Place(
        "NTU: Mixed_5b, conv5",
        "NTU RGB+D",
        "early_fusion",
        ((832, 4, 7, 7), (128, 4, 4), (128, 4, 4)),
        4,
    ),
    Place(
        "NTU: Mixed_5c, fc7",
        "NTU RGB+D",
        "late_fusion",
        ((1024, 4, 7, 7), (512,)),
        4,
    ),
)

NETWORKS: Final[dict[str, tuple[Callable[[], nn.Module], Shapes]]] = {
    "RAVDESS": (RavdessNet, ((3, 30, 224, 224), (13, 212))),
    "CMU-MOSEI": (MoseiNet, ((35, 50), (74, 50), (768, 50))),
    "NTU RGB+D": (NtuNet, ((3, 32, 224, 224), (3, 32, 25, 2))),
}
"""Each whole network, and the shapes of one sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One way of fusing at one place."""

    forward_ms: float  # one sample, nothing kept for a gradient
    training_ms: float  # the paper's batch, forward and backward
    forward_bytes: int  # most that it holds at once, besides its input, for one sample
    training_bytes: int  # the same for the batch, forward and backward


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceCost:
    """MSAF beside concatenation."""

    place: str
    shapes: Shapes
    batch: int  # of the training figures
    parameters: int
    msaf: Cost
    concatenation: Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCost:
    """One sample through a whole network, and the part of that which is MSAF's."""

    network: str
    forward_ms: float
    msaf_ms: float

    @property
    def share(self) -> float:
        """MSAF's part of the time, 0 to 1."""
        return self.msaf_ms / self.forward_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """All that was measured."""

    device: str
    places: tuple[PlaceCost, ...]
    networks: tuple[NetworkCost, ...]


def measure(
    device: torch.device, tell: Tell, *, places: Sequence[Place] = PLACES, seconds: float = 1.0
) -> Costs:
    """Measure every place, and one sample of every network that has one.

    Parameters
    ----------
    tell
        Told what is being measured.
    seconds
        For which each action is repeated; the shortest time counts.
    """
    measured: list[PlaceCost] = []
    networks: list[NetworkCost] = []
    with _one_core():
        for name in dict.fromkeys(place.network for place in places):
            build, shapes = NETWORKS[name]
            network = build().to(device)
            here = []
            for place in (each for each in places if each.network == name):
                tell(place.name)
                module = network.get_submodule(place.module)
                assert isinstance(module, MSAF)
                here.append(_place(place, module, device, seconds))
            tell(f"{name}, one sample through the network")
            inputs = [torch.rand(1, *shape, device=device) for shape in shapes]
            network.eval()
            with torch.inference_mode():
                forward = _milliseconds(partial(network, *inputs), device, seconds)
            networks.append(
                NetworkCost(
                    network=name,
                    forward_ms=forward,
                    msaf_ms=sum(each.msaf.forward_ms for each in here),
                )
            )
            measured += here
    return Costs(device=_name(device), places=tuple(measured), networks=tuple(networks))


def _place(place: Place, msaf: MSAF, device: torch.device, seconds: float) -> PlaceCost:
    def cost(fuse: Callable[[list[Tensor]], list[Tensor]], weights: list[Tensor]) -> Cost:
        one = _features(place, 1, device)
        batch = [each.requires_grad_() for each in _features(place, place.batch, device)]
        gradients = [torch.ones_like(each) for each in fuse(batch)]

        def forward() -> object:
            with torch.inference_mode():
                return fuse(one)

        def training() -> object:
            return torch.autograd.grad(fuse(batch), [*batch, *weights], gradients)

        msaf.eval()
        forward_ms, forward_bytes = _milliseconds(forward, device, seconds), _held(forward, device)
        msaf.train()
        return Cost(
            forward_ms=forward_ms,
            forward_bytes=forward_bytes,
            training_ms=_milliseconds(training, device, seconds),
            training_bytes=_held(training, device),
        )

    return PlaceCost(
        place=place.name,
        shapes=place.shapes,
        batch=place.batch,
        parameters=count_parameters(msaf),
        msaf=cost(lambda features: msaf(features).features, list(msaf.parameters())),
        concatenation=cost(lambda features: [averages(features)], []),
    )


def _features(place: Place, batch: int, device: torch.device) -> list[Tensor]:
    if place.steps_first:
        return [
            torch.randn(batch, steps, channels, device=device).transpose(1, 2)
            for channels, steps in place.shapes
        ]
    return [torch.randn(batch, *shape, device=device) for shape in place.shapes]


def _milliseconds(action: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Shortest of the runs in so many seconds; on a CPU without what other programs took."""
    on_gpu = device.type == "cuda"
    clock = time.perf_counter if on_gpu else time.thread_time
    action()  # warms up
    shortest, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or shortest == float("inf"):
        started = clock()
        action()
        if on_gpu:
            torch.cuda.synchronize(device)
        shortest = min(shortest, clock() - started)
    return 1e3 * shortest


def _held(action: Callable[[], object], device: torch.device) -> int:
    """Most bytes that `action` holds at once, its result among them."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        action()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(profile_memory=True, acc_events=True) as profiler:
        result = action()
    del result
    events: list[Any] = [
        each for each in profiler.kineto_results.events() if each.name() == "[memory]"
    ]
    held = most = 0
    for event in sorted(events, key=lambda each: each.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


@contextmanager
def _one_core() -> Iterator[None]:
    """Small tensors are slower on several, and the figures of two machines compare better."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, one core"

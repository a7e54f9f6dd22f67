"""What MSAF costs: the places are the paper's, the figures are of the right things."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

import main
from models.msaf import MSAF
from models.paper import cost
from models.paper.cost import PLACES, Cost, Costs, NetworkCost, PlaceCost
from realtime import fusion_bench


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_places_are_where_the_networks_have_msaf(place: cost.Place) -> None:
    """With the features that the network itself hands to its MSAF there, at full size."""
    build, shapes = cost.NETWORKS[place.network]
    met: list[tuple[tuple[int, ...], ...]] = []
    with torch.device("meta"):
        network = build()
        module = network.get_submodule(place.module)
        assert isinstance(module, MSAF)
        module.register_forward_pre_hook(
            lambda _, inputs: met.append(tuple(tuple(each.shape[1:]) for each in inputs[0]))
        )
        network(*(torch.empty(2, *shape) for shape in shapes))
    assert met == [place.shapes]


def test_everything_is_measured_at_one_place() -> None:
    told: list[str] = []
    threads = torch.get_num_threads()
    costs = cost.measure(torch.device("cpu"), told.append, places=PLACES[2:3], seconds=0.01)
    assert torch.get_num_threads() == threads
    assert told == ["MOSEI: LSTMs", "CMU-MOSEI, one sample through the network"]
    (place,) = costs.places
    assert place.parameters == 10_840
    results = 4 * 50 * (32 + 64 + 128)  # bytes of the features that come out, for one sample
    assert results <= place.msaf.forward_bytes < 3 * results
    assert 16 * results <= place.msaf.training_bytes
    assert place.concatenation.forward_bytes < results
    for each in (place.msaf, place.concatenation):
        assert 0 < each.forward_ms < each.training_ms
    (network,) = costs.networks
    assert 0 < network.share < 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_measures_on_a_gpu() -> None:
    costs = cost.measure(torch.device("cuda"), lambda _: None, places=PLACES[2:3], seconds=0.01)
    assert costs.places[0].msaf.training_bytes > costs.places[0].msaf.forward_bytes > 0


COSTS = Costs(
    device="abacus",
    places=(
        PlaceCost(
            place="RAVDESS: layer3",
            shapes=((4,),),
            batch=4,
            parameters=5356,
            msaf=Cost(
                forward_ms=0.25, training_ms=6.5, forward_bytes=3_250_000, training_bytes=38_800_000
            ),
            concatenation=Cost(
                forward_ms=0.05, training_ms=2.1, forward_bytes=8_000, training_bytes=13_000_000
            ),
        ),
    ),
    networks=(NetworkCost(network="RAVDESS", forward_ms=2500.0, msaf_ms=0.5),),
)


def test_costs_are_shown_side_by_side() -> None:
    stream = io.StringIO()
    fusion_bench.show(COSTS, Console(file=stream, width=80))
    lines = stream.getvalue().splitlines()
    row = next(line for line in lines if line.startswith("RAVDESS: layer3"))
    told = "RAVDESS: layer3 5,356 0.250 / 0.050 6.50 / 2.10 3.25 / 0.01 38.8 / 13.0"
    assert row.split() == told.split()
    assert "RAVDESS: one sample takes 2500 ms, of which MSAF 0.500 ms, 0.02 %" in lines


def test_bench_prints_costs_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(device: torch.device, tell: Any) -> Costs:
        assert device == torch.device("cpu")
        tell("nothing")
        return COSTS

    monkeypatch.setattr(cost, "measure", measure)
    result = CliRunner().invoke(main.app, ["bench", "--msaf", "--json", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    assert values["places"][0]["msaf"]["training_bytes"] == 38_800_000
    assert values["networks"][0]["share"] == pytest.approx(0.0002)
    assert values["machine"]["cores"] >= 1
    assert "measuring: nothing" in result.stderr

"""What MSAF costs beside plain concatenation, as a table and as plain values for JSON.

`main.py bench --msaf` prints it; models/paper/cost.py measures. Thread: main.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from realtime.bench import machine

if TYPE_CHECKING:
    from models.paper.cost import Costs


def as_json(costs: Costs) -> dict[str, Any]:
    """Plain values, with the machine that they were measured on."""
    networks = [asdict(each) | {"share": each.share} for each in costs.networks]
    return {
        "machine": machine(),
        "device": costs.device,
        "places": [asdict(each) for each in costs.places],
        "networks": networks,
    }


def show(costs: Costs, console: Console) -> None:
    """MSAF / concatenation for every place, then MSAF's share of every network."""
    console.print(
        "MSAF / plain concatenation, for one sample and for the paper's batch in training\n"
    )
    table = Table("behind", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("weights", "ms", "training ms", "MB", "training MB"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in costs.places:
        ours, plain = each.msaf, each.concatenation
        table.add_row(
            each.place,
            f"{each.parameters:,}",
            f"{ours.forward_ms:.3f} / {plain.forward_ms:.3f}",
            f"{ours.training_ms:.2f} / {plain.training_ms:.2f}",
            f"{ours.forward_bytes / 1e6:.2f} / {plain.forward_bytes / 1e6:.2f}",
            f"{ours.training_bytes / 1e6:.1f} / {plain.training_bytes / 1e6:.1f}",
        )
    console.print(table)
    console.print(
        "\ntraining: forward and backward; MB: the most held at once besides the input",
        style="dim",
    )
    console.print()
    for network in costs.networks:
        console.print(
            f"{network.network}: one sample takes {network.forward_ms:.4g} ms, of which MSAF "
            f"{network.msaf_ms:.3f} ms, {100 * network.share:.3g} %",
            highlight=False,
        )
    console.print(f"\n{costs.device}", style="dim", highlight=False)
    for name, value in machine().items():
        console.print(f"{name:>16}  {value}", style="dim", highlight=False, soft_wrap=True)

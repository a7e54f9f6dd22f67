"""The paper's networks in files: what is stored comes back to the last bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from models.checkpoint import LIVE, CheckpointError, Format
from models.paper.config import MoseiConfig, NtuConfig, RavdessConfig
from models.paper.mosei import MoseiNet
from models.paper.ntu import NtuNet
from models.paper.ravdess import RavdessNet
from models.paper.weights import BRANCH, MOSEI, NTU, RAVDESS, BranchConfig, read_network

SHALLOW = (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("form", "build"),
    [
        (RAVDESS, lambda: RavdessNet(RavdessConfig(depths=SHALLOW, faults=("double-dropout",)))),
        (MOSEI, lambda: MoseiNet(MoseiConfig(channels=(5, 7, 9)))),
        (NTU, lambda: NtuNet(NtuConfig(rgb="resnet50", depths=SHALLOW, classes=7))),
    ],
)
def test_what_is_stored_comes_back(
    form: Format[Any, Any], build: Callable[[], RavdessNet | MoseiNet | NtuNet], tmp_path: Path
) -> None:
    network = build()
    path = tmp_path / "network.safetensors"
    form.save(path, network, network.config, {"data": "none"})
    read = read_network(path)
    assert read.config == network.config
    assert read.origin == {"data": "none"}
    again = read.network()
    assert type(again) is type(network)
    assert not again.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_a_branch_is_stored_with_what_it_was_built_from(tmp_path: Path) -> None:
    config = BranchConfig(branch="lstm", settings={"channels": 5, "hidden": 4})
    branch = config.build()
    path = tmp_path / "branch.safetensors"
    BRANCH.save(path, branch, config, {})
    again = read_network(path).network()
    x = torch.randn(2, 5, 9)
    assert torch.equal(again(x), branch.eval()(x))


def test_another_network_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "mosei.safetensors"
    config = MoseiConfig(channels=(5, 7, 9))
    MOSEI.save(path, MoseiNet(config), config, {})
    with pytest.raises(CheckpointError, match="'msaf-mosei-1', but this program reads 'msaf-live"):
        LIVE.read(path).network()
    with pytest.raises(CheckpointError, match="but this program reads 'msaf-ravdess-1'"):
        RAVDESS.read(path)


def test_live_weights_are_none_of_the_papers(tmp_path: Path) -> None:
    import safetensors.torch

    path = tmp_path / "live.safetensors"
    safetensors.torch.save_file({"a": torch.ones(2)}, path, {"format": "msaf-live-1"})
    with pytest.raises(CheckpointError, match="'msaf-live-1', which is none of the paper's"):
        read_network(path)
    with pytest.raises(CheckpointError, match="no weights at"):
        read_network(tmp_path / "gone.safetensors")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"branch": "lstm", "settings": {"colour": 1}}, "settings that do not fit: .*colour"),
        ({"branch": "rnn", "settings": {}}, "settings that do not fit: no branch 'rnn'"),
    ],
)
def test_settings_of_no_branch(
    settings: dict[str, object],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(BranchConfig, "to_dict", lambda _: json.loads(json.dumps(settings)))
    path = tmp_path / "branch.safetensors"
    config = BranchConfig(branch="lstm", settings={})
    with pytest.raises(CheckpointError, match=message):
        BRANCH.save(path, nn.Linear(2, 2), config, {}).network()


def test_weights_that_are_not_finite_are_not_stored(tmp_path: Path) -> None:
    network = MoseiNet(MoseiConfig(channels=(5, 7, 9)))
    with torch.no_grad():
        network.regress.bias[0] = torch.nan
    with pytest.raises(ValueError, match=r"regress\.bias is not finite$"):
        MOSEI.save(tmp_path / "a.safetensors", network, network.config, {})

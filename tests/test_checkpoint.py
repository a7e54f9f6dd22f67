"""Weights: what is stored comes back, and everything wrong with a file gets its own sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from models.checkpoint import LIVE, CheckpointError, default_weights
from models.config import FaceTrunkConfig, LiveNetConfig, VoiceEncoderConfig
from models.live import LiveNet

SMALL = LiveNetConfig(
    face=FaceTrunkConfig(resolution=32, channels=8),
    voice=VoiceEncoderConfig(width=16, layers=1, heads=2, channels=8),
    hidden=4,
    block_channels=8,
    temperatures=(1.1, 1.2, 1.3),
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "new folder" / "live.safetensors"
    LIVE.save(path, LiveNet(SMALL), SMALL, {"data": "invented", "terms": "none"})
    return path


def test_what_is_stored_comes_back(saved: Path) -> None:
    torch.manual_seed(0)
    original = LiveNet(SMALL)
    checkpoint = LIVE.read(saved)
    assert checkpoint.config == SMALL
    assert checkpoint.origin == {"data": "invented", "terms": "none"}
    network = LIVE.read(saved).network()
    assert not network.training
    for name, tensor in network.state_dict().items():
        expected = original.state_dict()[name]
        assert tensor.dtype == expected.dtype
        torch.testing.assert_close(tensor, expected, rtol=1e-3, atol=1e-6)
        if tensor.dim() < 2:
            assert torch.equal(tensor, expected)  # vectors keep single precision
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_saving_again_changes_nothing(saved: Path, tmp_path: Path) -> None:
    checkpoint = LIVE.read(saved)
    network, config, origin = checkpoint.network(), checkpoint.config, checkpoint.origin
    again = LIVE.save(tmp_path / "again.safetensors", network, config, origin)
    assert again.sha256 == checkpoint.sha256


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no weights at .*gone\.safetensors.*train live"):
        LIVE.read(tmp_path / "gone.safetensors")


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot read the weights .*directory"):
        LIVE.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64, b"PK\x03\x04" + bytes(200)])
def test_something_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "live.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a file of MSAF Live weights"):
        LIVE.read(path).network()


def test_safetensors_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    for metadata in (None, {"author": "somebody"}):
        safetensors.torch.save_file({"a": torch.ones(2)}, path, metadata)
        with pytest.raises(CheckpointError, match="not a file of MSAF Live weights"):
            LIVE.read(path).network()


def test_another_version(tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    safetensors.torch.save_file({"a": torch.ones(2)}, path, {"format": "msaf-live-0"})
    with pytest.raises(CheckpointError, match="'msaf-live-0', but this program reads"):
        LIVE.read(path).network()


@pytest.mark.parametrize("where", [0.3, 0.6, 0.999])
def test_one_changed_byte(saved: Path, where: float) -> None:
    content = bytearray(saved.read_bytes())
    content[int(where * len(content))] ^= 1
    saved.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"is damaged|start is damaged"):
        LIVE.read(saved).network()


def test_cut_off(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="is damaged: its checksum"):
        LIVE.read(saved).network()


def test_changed_settings_are_noticed(saved: Path) -> None:
    content = saved.read_bytes()
    changed = content.replace(b"1.3]", b"9.3]")
    assert changed != content
    saved.write_bytes(changed)
    with pytest.raises(CheckpointError, match="is damaged"):
        LIVE.read(saved).network()


def test_settings_of_another_network(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = LIVE.read(saved).network()
    wider = LiveNetConfig.from_dict(json.loads(json.dumps(SMALL.to_dict() | {"hidden": 12})))
    monkeypatch.setattr(network, "config", wider)
    LIVE.save(saved, network, network.config, {})
    with pytest.raises(CheckpointError, match="does not hold the network that its settings"):
        LIVE.read(saved).network()


def test_settings_that_make_no_sense(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = LIVE.read(saved).network()
    monkeypatch.setattr(LiveNetConfig, "to_dict", lambda self: {"colour": "blue"})
    with pytest.raises(CheckpointError, match=r"settings that do not fit: .*colour"):
        LIVE.save(saved, network, network.config, {})
    monkeypatch.setattr(LiveNetConfig, "to_dict", lambda self: [])
    with pytest.raises(CheckpointError, match=r"settings that do not fit"):
        LIVE.save(saved, network, network.config, {})


@pytest.mark.parametrize("value", [float("nan"), 1e6])
def test_weights_that_do_not_fit_are_not_stored(saved: Path, value: float) -> None:
    network = LIVE.read(saved).network()
    with torch.no_grad():
        network.head.face_head.weight[0, 0] = value
    before = saved.read_bytes()
    with pytest.raises(ValueError, match=r"face_head\.weight is not finite or too large"):
        LIVE.save(saved, network, network.config, {})
    assert saved.read_bytes() == before


@pytest.mark.skipif(not default_weights().is_file(), reason="weights not there")
def test_the_shipped_weights_are_whole() -> None:
    checkpoint = LIVE.read(default_weights())
    assert checkpoint.path.stat().st_size <= 40e6
    assert checkpoint.config.labels[0] == "neutral"
    assert {"data", "terms"} <= set(checkpoint.origin)
    checkpoint.network()

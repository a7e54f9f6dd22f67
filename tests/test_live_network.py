"""The live network: any lengths, absent modalities, ONNX, and settings that survive JSON."""

from __future__ import annotations

import copy
import json
import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.checkpoint import LIVE
from models.config import FaceTrunkConfig, LiveNetConfig, VoiceEncoderConfig
from models.export import exported_graphs
from models.live import FusionOutput, LiveNet

SMALL = LiveNetConfig(
    face=FaceTrunkConfig(resolution=32, channels=12),
    voice=VoiceEncoderConfig(width=16, layers=2, heads=2, channels=20, halved_after=1),
    hidden=8,
    block_channels=8,
    temperatures=(2.0, 1.5, 0.5),
)
CELLS = SMALL.face.map_size
BOTH, FACE, VOICE = [True, True], [True, False], [False, True]


@pytest.fixture(scope="module")
def network() -> LiveNet:
    torch.manual_seed(0)
    return LiveNet(SMALL).eval()


def features(batch: int, images: int, frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(batch, 12, images, CELLS, CELLS), torch.randn(batch, 20, frames)


@torch.inference_mode()
def test_shapes_of_the_whole(network: LiveNet) -> None:
    present = torch.tensor([BOTH, FACE, VOICE])
    output = network(torch.rand(3, 4, 1, 48, 48), torch.randn(3, 80, 101), present)
    blocks = sum(SMALL.map_block_counts)
    assert {name: tuple(value.shape) for name, value in output._asdict().items()} == {
        "logits": (3, 7),
        "face_logits": (3, 7),
        "voice_logits": (3, 7),
        "attention_maps": (3, blocks, 8),
        "attention_sequences": (3, sum(SMALL.sequence_block_counts), 8),
        "voice_moments": (3, 26),
        "face_activation": (3, 7, 4, CELLS, CELLS),
        "voice_residual": (3, 20),
    }
    torch.testing.assert_close(output.logits, output.face_logits + output.voice_logits)
    torch.testing.assert_close(output.voice_moments.sum(dim=1), torch.tensor([1.0, 0.0, 1.0]))
    assert output.face_logits[2].abs().sum() == 0
    assert output.voice_logits[1].abs().sum() == 0
    assert output.face_activation[2].abs().sum() == 0
    assert output.voice_residual[1].abs().sum() == 0


@torch.inference_mode()
def test_what_is_the_speakers_own_is_taken_off_every_frame(network: LiveNet) -> None:
    network = copy.deepcopy(network)
    network.head.voice_means.normal_()
    present = torch.tensor([BOTH, FACE, VOICE])
    maps, frames = features(3, 5, 9)
    speaker = torch.randn(3, 20)
    expected = network.head(maps, frames, present)
    output = network.head(maps, frames + speaker[:, :, None], present, speaker)
    torch.testing.assert_close(output.logits, expected.logits)
    # The residual is of what was heard, so that it goes on telling the whole difference.
    own = speaker * present[:, 1:]
    torch.testing.assert_close(output.voice_residual, expected.voice_residual + own)
    usual = expected.logits.softmax(dim=1) @ network.head.voice_means
    mean = (frames * expected.voice_moments[:, None]).sum(dim=2)
    torch.testing.assert_close(expected.voice_residual, (mean - usual) * present[:, 1:])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.sampled_from((BOTH, FACE, VOICE)))
@torch.inference_mode()
def test_any_lengths(images: int, frames: int, present: list[bool]) -> None:
    head = LiveNet(SMALL).eval().head
    output = head(*features(2, images, frames), torch.tensor([present] * 2))
    assert all(value.isfinite().all() for value in output)


@pytest.mark.parametrize(("present", "absent"), [(FACE, 1), (VOICE, 0)])
@torch.inference_mode()
def test_what_stands_in_for_an_absent_modality_does_not_matter(
    network: LiveNet, present: list[bool], absent: int
) -> None:
    inputs = list(features(1, 9, 31))
    mask = torch.tensor([present])
    expected = network.head(*inputs, mask)
    placeholder = inputs[absent][:, :, :1]
    for filling in (0.0, 1e30, math.nan, math.inf):
        changed = list(inputs)
        changed[absent] = torch.full_like(placeholder, filling)
        output = network.head(*changed, mask)
        own = ("voice_moments",) if absent else ("face_activation",)
        for name in FusionOutput._fields:
            if name not in own:  # as long as the placeholder
                assert torch.equal(getattr(output, name), getattr(expected, name)), name
            else:
                assert getattr(output, name).abs().sum() == 0


@torch.inference_mode()
def test_neither_modality_is_an_error(network: LiveNet) -> None:
    with pytest.raises(ValueError, match="no modality is present"):
        network.head(*features(1, 3, 3), torch.tensor([[False, False]]))


@torch.inference_mode()
def test_each_condition_has_its_temperature(network: LiveNet) -> None:
    plain = LiveNet(replace(SMALL, temperatures=(1.0, 1.0, 1.0))).eval()
    plain.load_state_dict(network.state_dict())
    present = torch.tensor([BOTH, FACE, VOICE])
    inputs = features(3, 5, 9)
    hot, raw = network.head(*inputs, present).logits, plain.head(*inputs, present).logits
    scale = torch.tensor(SMALL.temperatures)[:, None]
    torch.testing.assert_close(hot * scale, raw)


def test_gradients_reach_both_branches() -> None:
    network = LiveNet(SMALL).train()
    present = torch.tensor([BOTH, FACE, VOICE, BOTH])
    output = network(torch.rand(4, 3, 1, 48, 48), torch.randn(4, 80, 60), present)
    (output.logits.square().sum() + output.face_activation.sum()).backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None]
    assert silent == ["ferplus_head.weight", "ferplus_head.bias"]
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def test_graphs_give_the_same_answers(network: LiveNet, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    weights = tmp_path / "live.safetensors"
    network = LIVE.save(weights, network, network.config, {}).network()
    graphs = exported_graphs(weights, cache_dir=tmp_path / "cache").graphs

    def run(path: Path, **inputs: torch.Tensor) -> list[Any]:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return list(session.run(None, {name: value.numpy() for name, value in inputs.items()}))

    with torch.inference_mode():
        crops = torch.rand(3, 1, 48, 48)
        np.testing.assert_allclose(
            run(graphs["trunk"], crops=crops)[0], network.trunk(crops), atol=1e-5
        )
        for columns in (1, 4, 57, 59, 300):
            mel = torch.randn(1, 80, columns)
            np.testing.assert_allclose(
                run(graphs["encoder"], mel=mel)[0], network.encoder(mel), atol=1e-4
            )
        for images, frames, present in [(30, 150, BOTH), (1, 77, VOICE), (6, 1, FACE)]:
            maps, voice = features(2, images, frames)
            (maps if present == VOICE else voice if present == FACE else maps[:0])[:] = math.nan
            mask = torch.tensor([present] * 2)
            inputs = {
                "maps": maps,
                "frames": voice,
                "present": mask,
                "speaker": torch.randn(2, 20),
            }
            expectation = network.head(*inputs.values())
            for output, expected in zip(run(graphs["head"], **inputs), expectation, strict=True):
                np.testing.assert_allclose(output, expected, atol=1e-5)


def test_graphs_are_made_once(network: LiveNet, tmp_path: Path) -> None:
    weights = tmp_path / "live.safetensors"
    LIVE.save(weights, network, network.config, {})
    steps: list[float] = []
    first = exported_graphs(
        weights, cache_dir=tmp_path / "cache", progress=lambda done, text: steps.append(done)
    )
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (0.0, 1.0)
    stamp = first.graphs["head"].stat().st_mtime_ns
    again = exported_graphs(weights, cache_dir=tmp_path / "cache")
    assert again == first
    assert again.graphs["head"].stat().st_mtime_ns == stamp
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [
        first.graphs["head"].parent.name
    ]


def test_making_them_can_be_broken_off(network: LiveNet, tmp_path: Path) -> None:
    class BrokenOffError(Exception): ...

    def progress(done: float, _text: str) -> None:
        if done >= 0.1:
            raise BrokenOffError

    weights = tmp_path / "live.safetensors"
    LIVE.save(weights, network, network.config, {})
    with pytest.raises(BrokenOffError):
        exported_graphs(weights, cache_dir=tmp_path / "cache", progress=progress)
    assert not list((tmp_path / "cache").iterdir())
    assert not psutil.Process().children()


def test_where_no_process_can_be_started_they_are_made_in_this_one(
    network: LiveNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "live.safetensors"
    LIVE.save(weights, network, network.config, {})
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert exported_graphs(weights, cache_dir=tmp_path / "cache").graphs["head"].is_file()


def test_graphs_that_were_tidied_away_or_damaged_are_made_again(
    network: LiveNet, tmp_path: Path
) -> None:
    weights = tmp_path / "live.safetensors"
    LIVE.save(weights, network, network.config, {})
    graph = exported_graphs(weights, cache_dir=tmp_path / "cache").graphs["encoder"]
    whole = graph.read_bytes()
    turned = bytearray(whole)
    turned[-100] ^= 1  # which would load
    for damaged in (None, whole[: len(whole) // 2], turned):
        graph.unlink()
        if damaged is not None:
            graph.write_bytes(damaged)
        exported_graphs(weights, cache_dir=tmp_path / "cache")
        assert graph.read_bytes() == whole


def test_graphs_that_are_used_no_more_are_removed(network: LiveNet, tmp_path: Path) -> None:
    weights, cache = tmp_path / "live.safetensors", tmp_path / "cache"
    LIVE.save(weights, network, network.config, {})
    now, hour = time.time(), 3600.0
    ages = {
        "0123456789abcdef-1": 31 * 24 * hour,
        "0123456789abcdef-2": 29 * 24 * hour,
        "making-killed": 2 * hour,
        "making-now": 0.5 * hour,
        "somebody-else": 365 * 24 * hour,
    }
    for name, age in ages.items():
        (cache / name).mkdir(parents=True)
        (cache / name / "trunk.onnx").touch()
        os.utime(cache / name, (now - age, now - age))
    used = exported_graphs(weights, cache_dir=cache).graphs["trunk"].parent
    kept = {"0123456789abcdef-2", "making-now", "somebody-else", used.name}
    assert {path.name for path in cache.iterdir()} == kept


def test_graphs_that_are_used_stay(network: LiveNet, tmp_path: Path) -> None:
    paths = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    for number, path in enumerate(paths):
        LIVE.save(path, network, network.config, {"number": str(number)})
    first = exported_graphs(paths[0], cache_dir=tmp_path / "cache")
    long_ago = time.time() - 31 * 24 * 3600.0
    os.utime(first.graphs["trunk"].parent, (long_ago, long_ago))
    assert exported_graphs(paths[0], cache_dir=tmp_path / "cache") == first
    exported_graphs(paths[1], cache_dir=tmp_path / "cache")
    assert first.graphs["trunk"].is_file()


def test_what_cannot_be_removed_is_left(
    network: LiveNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, old = tmp_path / "live.safetensors", tmp_path / "cache" / "making-killed"
    LIVE.save(weights, network, network.config, {})
    old.mkdir(parents=True)
    os.utime(old, (0, 0))

    def refuse(path: Path, **_: object) -> None:
        if path == old:
            raise PermissionError(f"{path} is in use")

    monkeypatch.setattr("shutil.rmtree", refuse)
    assert exported_graphs(weights, cache_dir=tmp_path / "cache").graphs["head"].is_file()
    assert old.is_dir()


def test_a_cache_that_cannot_be_written_is_done_without(
    network: LiveNet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = tmp_path / "live.safetensors"
    LIVE.save(weights, network, network.config, {})
    graphs = exported_graphs(weights, cache_dir=weights / "cache").graphs  # below a file
    assert all(path.is_file() for path in graphs.values())
    assert "cannot be kept" in caplog.text


def test_warm_start_needs_no_torch(network: LiveNet, tmp_path: Path) -> None:
    weights = tmp_path / "live.safetensors"
    LIVE.save(weights, network, network.config, {})
    exported_graphs(weights, cache_dir=tmp_path / "cache")
    script = (
        "import sys\nfrom pathlib import Path\nfrom models.export import exported_graphs\n"
        "folder = Path(sys.argv[1])\n"
        "graphs = exported_graphs(folder / 'live.safetensors', cache_dir=folder / 'cache').graphs\n"
        "assert graphs['trunk'].is_file() and 'torch' not in sys.modules, 'torch was loaded'\n"
    )
    subprocess.run(
        [sys.executable, "-c", script, tmp_path],
        check=True,
        cwd=Path(__file__).resolve().parents[1],
    )


def test_settings_survive_json() -> None:
    assert LiveNetConfig.from_dict(json.loads(json.dumps(SMALL.to_dict()))) == SMALL
    assert SMALL.max_maps == 30
    assert SMALL.map_block_counts == (2, 3)
    assert SMALL.sequence_block_counts == (2, 2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"depth": 3}, "LiveNetConfig has no setting depth"),
        ({"face": {"colour": 3}}, "FaceTrunkConfig has no setting colour"),
        ({"labels": ["one"]}, "labels must name two classes"),
        ({"temperatures": [1.0, 0.0, 1.0]}, "temperatures must be three positive"),
        ({"window_seconds": 0}, "window_seconds must be positive, not 0"),
        ({"voice": {"width": 7}}, "width 7"),
    ],
)
def test_settings_are_checked(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LiveNetConfig.from_dict(values)

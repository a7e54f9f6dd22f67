"""The engines: same answers from onnxruntime and torch, on whatever device."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from models.arrays import FloatArray
from models.checkpoint import LIVE, CheckpointError
from models.config import FACE, VOICE, LiveNetConfig, VoiceEncoderConfig
from models.live import LiveNet
from realtime.emotion import network as network_module
from realtime.emotion.network import (
    EmotionNetwork,
    in_onnxruntime,
    in_torch,
    load_emotion_network,
)
from realtime.engine import has_gpu

RNG = np.random.default_rng(5)
CROP = RNG.random((48, 48), np.float32)
MEL = RNG.normal(size=(80, 120)).astype(np.float32)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained network in a file, and a cache of its own for the graphs."""
    torch.manual_seed(3)
    network = LiveNet(
        LiveNetConfig(voice=VoiceEncoderConfig(width=48, layers=2, heads=2, halved_after=1))
    )
    for module in network.modules():  # statistics as after training, not at their start
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    path = tmp_path_factory.mktemp("weights") / "live.safetensors"
    LIVE.save(path, network, network.config, {"data": "none"})
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_names, **_options: cache)


def answers(network: EmotionNetwork) -> list[FloatArray]:
    maps = np.stack([network.face_map(CROP), network.face_map(CROP.T.copy())], axis=1)
    frames = network.voice_frames(MEL)
    face, voice = {FACE: {"maps": maps}}, {VOICE: {"frames": frames}}
    known = {VOICE: {"frames": frames, "speaker": frames.mean(axis=1)}}
    found = []
    for inputs in (face | voice, face, voice, face | known):
        fusion = network.fuse(inputs)
        assert fusion.contributions.keys() == inputs.keys()
        found += [fusion.logits, fusion.face_activation, fusion.voice_residual]
        found += [attention.weights for attention in fusion.attention]
        for part in fusion.contributions.values():
            found += [part.logits, np.array([part.share, part.chance_share], np.float32)]
    return found


def test_onnxruntime_says_what_torch_says(weights: Path) -> None:
    reference = answers(in_torch(weights, device="cpu"))
    for ours, theirs in zip(answers(in_onnxruntime(weights)), reference, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)


def test_the_same_input_gives_the_same_bits(weights: Path) -> None:
    first, second = answers(in_onnxruntime(weights)), answers(in_onnxruntime(weights))
    for ours, theirs in zip(first, second, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_shapes_and_sums(weights: Path) -> None:
    network = in_onnxruntime(weights)
    maps = np.stack([network.face_map(CROP)] * 3, axis=1)
    frames = network.voice_frames(MEL)
    assert maps.shape == (128, 3, 6, 6)
    assert frames.shape == (128, 30)
    fusion = network.fuse({FACE: {"maps": maps}, VOICE: {"frames": frames}})
    assert fusion.logits.shape == (7,)
    assert fusion.face_activation.shape == (7, 6, 6)
    assert fusion.voice_moments.sum() == pytest.approx(1, abs=1e-5)


def test_without_face_and_voice_there_is_nothing_to_fuse(weights: Path) -> None:
    with pytest.raises(ValueError, match="neither"):
        in_onnxruntime(weights).fuse({})


def test_loading_tells_how_far_it_is(weights: Path) -> None:
    told: list[float] = []
    network = load_emotion_network(
        weights, device="cpu", progress=lambda done, _text: told.append(done)
    )
    assert network.labels[0] == "neutral"
    assert "CPU" in network.engine_name
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_damaged_weights_are_said(weights: Path, tmp_path: Path) -> None:
    content = bytearray(weights.read_bytes())
    content[-100] ^= 0xFF
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        load_emotion_network(damaged)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_said(weights: Path) -> None:
    with pytest.raises(ValueError, match="--device cpu"):
        load_emotion_network(weights, device="cuda")


@pytest.mark.parametrize("when", ["loading", "warming up"])
def test_a_gpu_that_cannot_be_used_is_done_without(
    weights: Path,
    when: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object, **__: object) -> EmotionNetwork:
        raise RuntimeError("CUDA error: no kernel image is available\nCompile with …")

    monkeypatch.setattr(network_module, "has_gpu", lambda: True)
    if when == "loading":
        monkeypatch.setattr(network_module, "in_torch", fail)
    else:
        unusable = in_onnxruntime(weights)
        monkeypatch.setattr(unusable, "warm_up", fail)
        monkeypatch.setattr(network_module, "in_torch", lambda *_, **__: unusable)
    assert "CPU" in load_emotion_network(weights).engine_name
    assert "the GPU cannot be used (CUDA error: no kernel image is available)" in caplog.text
    with pytest.raises(RuntimeError, match="no kernel image"):
        load_emotion_network(weights, device="cuda")


def test_damaged_weights_are_no_fault_of_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(network_module, "has_gpu", lambda: True)
    with pytest.raises(CheckpointError):
        load_emotion_network(tmp_path / "missing.safetensors")
    assert not caplog.records


def test_without_a_driver_torch_is_not_even_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", missing)
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it would fail
    assert not has_gpu()


@pytest.mark.parametrize(
    ("platform", "driver"), [("linux", "libcuda.so.1"), ("win32", "nvcuda.dll")]
)
def test_where_there_is_a_driver_torch_is_asked(
    monkeypatch: pytest.MonkeyPatch, platform: str, driver: str
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr("ctypes.CDLL", loaded.append)
    monkeypatch.setitem(
        sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: True))
    )
    assert has_gpu()
    assert loaded == [driver]

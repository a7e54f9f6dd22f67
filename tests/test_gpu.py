"""The network that ships on a GPU: the CPU's answers, and memory that stays where it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.arrays import FloatArray
from models.checkpoint import default_weights
from models.config import FACE, VOICE
from realtime.analysis import analyse
from realtime.bench import own_memory
from realtime.emotion.faces import watch_face
from realtime.emotion.network import EmotionNetwork, in_onnxruntime, load_emotion_network
from realtime.recording.recording import Recording

pytestmark = pytest.mark.gpu

TOLERANCE = 1e-2  # of probabilities: half precision against single


@pytest.fixture(scope="module")
def gpu() -> EmotionNetwork:
    network = load_emotion_network(default_weights(), device="cuda")
    assert network.engine_name.startswith("torch")
    assert "CPU" not in network.engine_name
    return network


@pytest.fixture(scope="module")
def cpu() -> EmotionNetwork:
    return in_onnxruntime(default_weights())


def probabilities(logits: FloatArray) -> FloatArray:
    shifted = np.exp(logits - logits.max())
    result: FloatArray = shifted / shifted.sum()
    return result


def answers(network: EmotionNetwork, seed: int) -> list[FloatArray]:
    """Probabilities on one generated window with face and voice, face alone, voice alone."""
    rng = np.random.default_rng(seed)
    blurred = rng.random((30, 13, 13)).repeat(4, axis=1).repeat(4, axis=2)[:, 2:50, 2:50]
    crops = blurred.astype(np.float32)
    mel = np.clip(rng.normal(0, 0.5, (80, 300)).cumsum(axis=1) / 8, -1, 1).astype(np.float32)
    maps = np.stack([network.face_map(crop) for crop in crops], axis=1)
    frames = network.voice_frames(mel)
    face, voice = {FACE: {"maps": maps}}, {VOICE: {"frames": frames}}
    return [probabilities(network.fuse(each).logits) for each in (face | voice, face, voice)]


@pytest.mark.parametrize("seed", range(5))
def test_generated_windows_get_the_cpus_answers(
    gpu: EmotionNetwork, cpu: EmotionNetwork, seed: int
) -> None:
    for ours, theirs in zip(answers(gpu, seed), answers(cpu, seed), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)


def test_a_recording_gets_the_cpus_answers(
    gpu: EmotionNetwork, cpu: EmotionNetwork, demo: Path
) -> None:
    runs = []
    for network in (gpu, cpu):
        with Recording(demo) as recording:
            runs.append(list(analyse(recording, network, watch_face)))
    for ours, theirs in zip(*runs, strict=True):
        assert (ours.probabilities is None) == (theirs.probabilities is None)
        if ours.probabilities is not None and theirs.probabilities is not None:
            np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=TOLERANCE)
            for one, other in zip(ours.modalities, theirs.modalities, strict=True):
                assert one.share == pytest.approx(other.share, abs=TOLERANCE)


def test_the_same_window_gets_the_same_bits(gpu: EmotionNetwork) -> None:
    for first, second in zip(answers(gpu, 1), answers(gpu, 1), strict=True):
        np.testing.assert_array_equal(first, second)


def test_memory_stays_where_it_is(gpu: EmotionNetwork) -> None:
    for seed in range(5):
        answers(gpu, seed)
    allocated, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    held = own_memory()
    for _ in range(20):
        for seed in range(5):
            answers(gpu, seed)
    assert torch.cuda.memory_allocated() == allocated
    assert torch.cuda.memory_reserved() - reserved < 8e6
    assert own_memory() - held < 20

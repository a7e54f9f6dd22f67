"""What runs the network: onnxruntime on a CPU, torch on a GPU, behind one protocol.

Thread: any; sessions that follow one another share an engine, and the older one may not have quite
ended. The one place where channels-last pictures and sound become the network's channels-first
tensors. onnxruntime is the CPU's engine because it measured fastest (docs/adr/0002); `main.py
bench` prints both.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from realtime.config import ConfigError
from realtime.messages import FloatArray

if TYPE_CHECKING:
    from models.config import LiveNetConfig

Arrays = dict[str, np.ndarray[Any, Any]]

Progress = Callable[[float, str], None]
"""Told how far loading is, 0..1, and what it is doing; what it raises breaks the loading off."""


@dataclass(frozen=True, slots=True, eq=False)
class Fusion:
    """The network's answer for one window, numpy."""

    logits: FloatArray  # (n_classes,) calibrated
    face_logits: FloatArray  # (n_classes,) of the face's own head; meaningless when absent
    voice_logits: FloatArray  # (n_classes,)
    attention_maps: FloatArray  # (n_channel_blocks, block_channels) where faces are still maps
    attention_sequences: FloatArray  # (n_channel_blocks, block_channels) on the sequences
    voice_moments: FloatArray  # (n_voice_frames,) sums to 1
    face_activation: FloatArray  # (n_classes, height, width) of the newest map, before scaling
    voice_residual: FloatArray  # (channels,) what the speaker's voice has of its own; 0 when absent


class Engine(Protocol):
    """The trained network, run on whatever is fastest here."""

    @property
    def name(self) -> str:
        """For the status line: engine and device."""
        ...

    @property
    def config(self) -> LiveNetConfig:
        """Labels, sizes and temperatures of the network."""
        ...

    def face_map(self, crop: FloatArray) -> FloatArray:
        """Aligned grey crop (48, 48) in [0, 1] → feature map (channels, height, width)."""
        ...

    def voice_frames(self, mel: FloatArray) -> FloatArray:
        """Log-mel (80, n) → encoded frames (channels, n / 2)."""
        ...

    def fuse(
        self,
        maps: FloatArray | None,
        frames: FloatArray | None,
        speaker: FloatArray | None = None,
    ) -> Fusion:
        """Both branches → the answer.

        Parameters
        ----------
        maps
            (channels, n_maps, height, width), oldest first; None when there is no face.
        frames
            (channels, n_frames); None when there is no voice.
        speaker
            (channels,) what is known of the speaker's own; None is nothing.

        Raises ValueError when both are None.
        """
        ...


def load_engine(weights: Path, *, device: str = "auto", progress: Progress | None = None) -> Engine:
    """Load the network on `device` ("auto", "cpu", "cuda") and warm it up.

    Raises models.checkpoint.CheckpointError for missing or damaged weights, ConfigError for a
    device that is not there.
    """
    tell = progress or (lambda _fraction, _text: None)
    engine: Engine
    if device == "cuda" or (device == "auto" and _has_gpu()):
        tell(0.1, "Loading torch")
        engine = TorchEngine(weights, device="cuda")
    else:
        engine = OnnxEngine(weights, progress=lambda done, text: tell(0.8 * done, text))
    tell(0.8, "Warming up")
    _warm_up(engine)
    tell(1.0, "Ready")
    return engine


def _has_gpu() -> bool:
    """Whether this machine has an NVIDIA GPU; asked of the driver, since torch is slow to load."""
    if (
        not Path("/proc/driver/nvidia/version").exists()
        and not Path("C:/Windows/System32/nvcuda.dll").exists()
    ):
        return False
    import torch

    return torch.cuda.is_available()


def _warm_up(engine: Engine) -> None:
    config = engine.config
    crop = np.full((config.face.image_size,) * 2, 0.5, np.float32)
    maps = np.stack([engine.face_map(crop)] * 2, axis=1)
    frames = engine.voice_frames(np.zeros((config.voice.n_mels, 300), np.float32))
    engine.fuse(maps, frames)
    engine.fuse(maps, None)
    engine.fuse(None, frames)


class _Fusing(ABC):
    """The last part of every engine: one window as a batch of one, in and out."""

    config: LiveNetConfig

    def fuse(
        self,
        maps: FloatArray | None,
        frames: FloatArray | None,
        speaker: FloatArray | None = None,
    ) -> Fusion:
        """See Engine.fuse."""
        config = self.config
        if maps is None and frames is None:
            raise ValueError("neither face nor voice is present: there is nothing to fuse")
        present = np.array([[maps is not None, frames is not None]])
        if maps is None:  # an absent modality is a masked placeholder
            size = config.face.map_size
            maps = np.zeros((config.face.channels, 1, size, size), np.float32)
        if frames is None:
            frames = np.zeros((config.voice.channels, 1), np.float32)
        if speaker is None:
            speaker = np.zeros(config.voice.channels, np.float32)
        out = self._answer(
            {
                "maps": maps[None],
                "frames": frames[None],
                "present": present,
                "speaker": speaker[None],
            }
        )
        return Fusion(
            logits=out["logits"][0],
            face_logits=out["face_logits"][0],
            voice_logits=out["voice_logits"][0],
            attention_maps=out["attention_maps"][0],
            attention_sequences=out["attention_sequences"][0],
            voice_moments=out["voice_moments"][0],
            face_activation=out["face_activation"][0][:, -1],
            voice_residual=out["voice_residual"][0],
        )

    @abstractmethod
    def _answer(self, inputs: Arrays) -> Arrays:
        """Run the fusion head; the fields of models.live.FusionOutput by name."""


class OnnxEngine(_Fusing):
    """The network in onnxruntime on the CPU, exported once from the weights into a cache."""

    def __init__(self, weights: Path, *, progress: Progress | None = None) -> None:
        from models.export import exported_graphs
        from realtime.onnx import ENGINE, inference_session

        graphs = exported_graphs(weights, progress=progress)
        self.config = graphs.config
        self._trunk = inference_session(graphs.trunk)
        # Nearly all of a hop's work, and the only part large enough for two threads to pay.
        self._encoder = inference_session(graphs.encoder, threads=min(2, os.cpu_count() or 1))
        self._head = inference_session(graphs.head)
        self._outputs = [output.name for output in self._head.get_outputs()]
        self._name = ENGINE

    @property
    def name(self) -> str:
        """Engine and device."""
        return self._name

    def face_map(self, crop: FloatArray) -> FloatArray:
        """See Engine.face_map."""
        result: FloatArray = self._trunk.run(None, {"crops": crop[None, None]})[0][0]
        return result

    def voice_frames(self, mel: FloatArray) -> FloatArray:
        """See Engine.voice_frames."""
        result: FloatArray = self._encoder.run(None, {"mel": mel[None]})[0][0]
        return result

    def _answer(self, inputs: Arrays) -> Arrays:
        return dict(zip(self._outputs, self._head.run(None, inputs), strict=True))


class TorchEngine(_Fusing):
    """The network in torch: on a GPU in half precision, on its own stream, from pinned memory."""

    def __init__(self, weights: Path, *, device: str = "cuda") -> None:
        import torch

        from models.checkpoint import load_checkpoint

        if device.startswith("cuda") and not torch.cuda.is_available():
            raise ConfigError(
                "there is no CUDA GPU that torch can use: run with --device cpu, or install the "
                "NVIDIA driver and a torch build with CUDA"
            )
        self._torch = torch
        self._device = torch.device(device)
        self._cuda = self._device.type == "cuda"
        torch.set_num_threads(1)  # CPU: these networks are small, and slower with two
        self._network = load_checkpoint(weights).eval().to(self._device)
        self.config = self._network.config
        if self._cuda:
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
            self._name = f"torch {torch.__version__}, {torch.cuda.get_device_name(self._device)}"
        else:
            self._name = f"torch {torch.__version__}, CPU"

    @property
    def name(self) -> str:
        """Engine and device."""
        return self._name

    def _run(self, part: Callable[..., Any], *inputs: np.ndarray[Any, Any]) -> Any:
        """Call `part` on `inputs` and bring what it returns back as numpy, nested as it was."""
        torch = self._torch
        if not self._cuda:
            with torch.inference_mode():
                return self._to_numpy(part(*(torch.from_numpy(each) for each in inputs)))
        with (
            torch.inference_mode(),
            torch.cuda.stream(self._stream),
            torch.autocast("cuda", torch.float16),
        ):
            tensors = [
                torch.from_numpy(each).pin_memory().to(self._device, non_blocking=True)
                for each in inputs
            ]
            return self._to_numpy(part(*tensors))

    def _to_numpy(self, value: Any) -> Any:
        if isinstance(value, self._torch.Tensor):
            return value.float().cpu().numpy()
        return {name: self._to_numpy(each) for name, each in value._asdict().items()}

    def face_map(self, crop: FloatArray) -> FloatArray:
        """See Engine.face_map."""
        result: FloatArray = self._run(self._network.trunk, crop[None, None])[0]
        return result

    def voice_frames(self, mel: FloatArray) -> FloatArray:
        """See Engine.voice_frames."""
        result: FloatArray = self._run(self._network.encoder, mel[None])[0]
        return result

    def _answer(self, inputs: Arrays) -> Arrays:
        out: Arrays = self._run(self._network.head, *inputs.values())
        return out

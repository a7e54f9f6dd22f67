"""The network of the task that ships: seven emotions from face and voice (models/live.py).

Thread: any. The one place where channels-last pictures and sound become the network's
channels-first batches of one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from models.arrays import FloatArray
from models.attention import modality_share
from models.checkpoint import CheckpointError
from models.config import FACE, MODALITIES, VOICE, LiveNetConfig
from models.cores import usable_cores
from models.speaker import SpeakerOffset
from realtime.config import WindowConfig
from realtime.emotion.config import EmotionConfig
from realtime.emotion.face import Face
from realtime.emotion.fusion import EmotionFusion
from realtime.emotion.speech import VoiceActivity
from realtime.emotion.voice import Voice
from realtime.engine import Engine, OnnxEngine, has_gpu
from realtime.messages import Attention
from realtime.rings import SampleRing
from realtime.task import Contribution, Progress

logger = logging.getLogger(__name__)


def load_emotion_network(
    weights: Path,
    settings: EmotionConfig | None = None,
    *,
    device: str = "auto",
    progress: Progress | None = None,
) -> EmotionNetwork:
    """Load the network on `device` ("auto", "cpu", "cuda") and warm it up.

    "auto" is the GPU where there is one that can be used. Raises models.checkpoint.CheckpointError
    for missing or damaged weights, ConfigError for a device that is not there.
    """
    tell = progress or (lambda _fraction, _text: None)

    def warmed_up(network: EmotionNetwork) -> EmotionNetwork:
        tell(0.8, "Warming up")
        network.warm_up()
        tell(1.0, "Ready")
        return network

    def on_gpu() -> EmotionNetwork:
        tell(0.1, "Loading torch")
        return warmed_up(in_torch(weights, settings, device="cuda"))

    if device == "cuda":
        return on_gpu()
    if device == "auto" and has_gpu():
        try:
            return on_gpu()
        except CheckpointError:
            raise
        except RuntimeError as error:  # its memory is taken, or it is too old for this torch
            reason = str(error).partition("\n")[0]
            logger.warning("the GPU cannot be used (%s): going on without it", reason)
    return warmed_up(
        in_onnxruntime(weights, settings, progress=lambda done, text: tell(0.8 * done, text))
    )


def in_onnxruntime(
    weights: Path, settings: EmotionConfig | None = None, *, progress: Progress | None = None
) -> EmotionNetwork:
    """The network on the CPU, exported once from the weights into a cache."""
    from models.export import exported_graphs

    exported = exported_graphs(weights, progress=progress)
    # Nearly all of a hop's work, and the only part large enough for two threads to pay.
    threads = {"encoder": min(2, usable_cores())}
    return EmotionNetwork(OnnxEngine(exported.graphs, threads=threads), exported.config, settings)


def in_torch(
    weights: Path, settings: EmotionConfig | None = None, *, device: str = "cuda"
) -> EmotionNetwork:
    """The network as it was trained, on a torch device."""
    from models.checkpoint import LIVE
    from realtime.torch_engine import torch_engine

    trained = LIVE.read(weights).network()
    parts = {"trunk": trained.trunk, "encoder": trained.encoder, "head": trained.head}
    return EmotionNetwork(torch_engine(parts, device=device), trained.config, settings)


class EmotionNetwork:
    """See realtime.task.Network."""

    def __init__(
        self,
        engine: Engine,
        config: LiveNetConfig,
        settings: EmotionConfig | None = None,
        *,
        make_activity: Callable[[float], VoiceActivity] = VoiceActivity,
    ) -> None:
        """`make_activity` is called with the seconds that a session's speech detector keeps."""
        self.engine = engine
        self.config = config
        self.settings = settings or EmotionConfig()
        self.engine_name = engine.name
        self.labels = config.labels
        self.window_seconds = config.window_seconds
        self.hop_seconds = config.hop_seconds
        self.sample_rate = config.sample_rate
        self._make_activity = make_activity

    def modalities(self, windows: WindowConfig, samples: SampleRing) -> tuple[Face, Voice]:
        """See Network.modalities."""
        speaker = SpeakerOffset(
            self.config.voice.channels,
            prior_windows=self.config.speaker_prior_windows,
            memory_windows=self.config.speaker_memory_windows,
        )
        voice = Voice(
            self.settings,
            windows,
            samples,
            activity=self._make_activity(windows.kept_seconds),
            speaker=speaker,
            encoder=self.voice_frames,
        )
        return Face(self.settings, windows, trunk=self.face_map), voice

    def face_map(self, crop: FloatArray) -> FloatArray:
        """Aligned grey crop (48, 48) in [0, 1] → feature map (channels, height, width)."""
        return self._run("trunk", crops=crop[None, None])

    def voice_frames(self, mel: FloatArray) -> FloatArray:
        """Log-mel (80, n) → encoded frames (channels, n_frames)."""
        return self._run("encoder", mel=mel[None])

    def _run(self, part: str, **inputs: FloatArray) -> FloatArray:
        """One of a batch of one, of a part with one output."""
        (output,) = self.engine.run(part, inputs).values()
        first: FloatArray = output[0]
        return first

    def fuse(self, inputs: Mapping[str, Mapping[str, FloatArray]]) -> EmotionFusion:
        """Both branches → the answer.

        Parameters
        ----------
        inputs
            `face`: `maps` (channels, n_maps, height, width), oldest first.
            `voice`: `frames` (channels, n_frames), and `speaker` (channels,), what is known of the
            speaker's own, if anything is.

        Raises ValueError when neither is there.
        """
        config = self.config
        present = np.array([[name in inputs for name in MODALITIES]])
        if not present.any():
            raise ValueError("neither face nor voice is present: there is nothing to fuse")
        size = config.face.map_size
        batch = {  # an absent modality is a masked placeholder
            "maps": np.zeros((config.face.channels, 1, size, size), np.float32),
            "frames": np.zeros((config.voice.channels, 1), np.float32),
            "speaker": np.zeros(config.voice.channels, np.float32),
        }
        for given in inputs.values():
            batch |= given
        batch = {name: each[None] for name, each in batch.items()}
        out = self.engine.run("head", batch | {"present": present})
        # How much each counted is told where the two sequences meet. Where maps meet frames a layer
        # norm follows in each branch, so that only the relations between a modality's own blocks
        # get past it.
        counted = modality_share(
            out["attention_sequences"][0],
            config.sequence_block_counts,
            lowest_attention=config.lowest_attention,
        )
        return EmotionFusion(
            logits=out["logits"][0],
            contributions={
                name: Contribution(
                    logits=out[f"{name}_logits"][0],
                    share=float(counted.share[index]),
                    chance_share=float(counted.chance[index]),
                )
                for index, name in enumerate(MODALITIES)
                if present[0, index]
            },
            attention=(
                self._attention("maps", out["attention_maps"], config.map_block_counts),
                self._attention(
                    "sequences", out["attention_sequences"], config.sequence_block_counts
                ),
            ),
            voice_moments=out["voice_moments"][0],
            face_activation=out["face_activation"][0][:, -1],
            voice_residual=out["voice_residual"][0],
        )

    def _attention(
        self, name: str, weights: FloatArray, block_counts: tuple[int, ...]
    ) -> Attention:
        lowest = self.config.lowest_attention
        return Attention(
            name=name,
            # Back from L + (1 - L) a, by which a block was multiplied, to its softmax a.
            weights=np.maximum(weights[0] - lowest, 0) / (1 - lowest),
            modalities=tuple(np.repeat(MODALITIES, block_counts).tolist()),
        )

    def warm_up(self) -> None:
        """Run every part once, with face, voice and both: the first time is slow."""
        config = self.config
        crop = np.full((config.face.image_size,) * 2, 0.5, np.float32)
        maps = np.stack([self.face_map(crop)] * 2, axis=1)
        frames = self.voice_frames(np.zeros((config.voice.n_mels, 300), np.float32))
        face, voice = {FACE: {"maps": maps}}, {VOICE: {"frames": frames}}
        for inputs in (face | voice, face, voice):
            self.fuse(inputs)

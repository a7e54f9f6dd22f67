"""What the head says to people it did not learn from, window by window and in sessions.

Shapes: B batch, n samples, K classes.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.arrays import FloatArray, IntArray
from models.attention import modality_share
from models.config import CONDITIONS, LiveNetConfig
from models.labels import EMOTIONS
from models.speaker import SpeakerOffset
from models.training.live.fusion_features import CLIP_WINDOWS, FaceFeatures, VoiceFeatures
from models.training.live.fusion_pairs import evaluation_batches, make_batch
from models.training.scores import accuracy, balanced_accuracy, recalls

ORDERS: Final = 8
"""In which the clips of an actor are heard in a session."""

SESSION_START: Final = 16
"""Clips after which a voice counts as known, a minute of RAVDESS."""


class Answers(NamedTuple):
    """What the head said to every sample of one condition."""

    logits: FloatArray  # (n, K)
    labels: IntArray  # (n,)

    @property
    def said(self) -> IntArray:
        """The class of each answer."""
        return np.asarray(self.logits.argmax(axis=1))

    @property
    def accuracy(self) -> float:
        """Part of the answers that are right."""
        return accuracy(self.said, self.labels)

    @property
    def recall(self) -> dict[str, float]:
        """Part of each class that is found, for the classes that occur."""
        return recalls(self.said, self.labels, EMOTIONS)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the recalls."""
        return balanced_accuracy(self.said, self.labels)


class SessionAnswers(NamedTuple):
    """What the head said to clips that it heard one after the other, several sessions at a time."""

    logits: FloatArray  # (clips of the longest session, sessions, windows of a clip, K)
    labels: IntArray  # (clips of the longest session, sessions)
    actors: IntArray  # (clips of the longest session, sessions)
    heard: NDArray[np.bool_]  # (clips of the longest session, sessions) False: it is over by then

    def after(self, clips: int = 0, *, odd: bool | None = None) -> Answers:
        """All windows from clip number `clips` on, of men only (`odd`) or women only."""
        kept = self.heard[clips:]
        if odd is not None:
            kept = kept & ((self.actors[clips:] % 2 == 1) == odd)
        logits, labels = self.logits[clips:][kept], self.labels[clips:][kept]
        return Answers(logits.reshape(-1, logits.shape[-1]), np.repeat(labels, logits.shape[1]))


@torch.inference_mode()
def answers(
    head: nn.Module,
    faces: FaceFeatures,
    voices: VoiceFeatures,
    network: LiveNetConfig,
    device: torch.device,
) -> dict[str, Answers]:
    """What `head` says under each condition."""
    head.eval()
    said = {}
    for condition in CONDITIONS:
        logits, labels = [], []
        for batch in evaluation_batches(faces, voices, condition, network):
            maps, frames, present = (part.to(device) for part in batch[:3])
            logits.append(head(maps, frames, present).logits.cpu())
            labels.append(batch.labels)
        said[condition] = Answers(torch.cat(logits).numpy(), torch.cat(labels).numpy())
    return said


@torch.inference_mode()
def face_shares(
    head: nn.Module,
    faces: FaceFeatures,
    voices: VoiceFeatures,
    network: LiveNetConfig,
    device: torch.device,
) -> FloatArray:
    """(n,) the face's share of MSAF's attention where the sequences meet, with both present."""
    head.eval()
    shares = []
    for batch in evaluation_batches(faces, voices, CONDITIONS[0], network):
        attention = head(*(part.to(device) for part in batch[:3])).attention_sequences
        shares.append(
            modality_share(
                attention.cpu().numpy(),
                network.sequence_block_counts,
                lowest_attention=network.lowest_attention,
            ).share[:, 0]
        )
    return np.concatenate(shares)


@torch.inference_mode()
def session_answers(
    head: nn.Module,
    faces: FaceFeatures,
    voices: VoiceFeatures,
    condition: str,
    network: LiveNetConfig,
    device: torch.device,
    *,
    adapt: bool = True,
    neutral_first: bool = False,
) -> SessionAnswers:
    """What `head` says when it hears the clips of each actor in one session.

    Clip by clip: each is judged with what the clips before it told of the voice
    (models/speaker.py; live, that goes on every 100 ms). Several sessions per actor, in random
    orders; with `neutral_first` a voice becomes known by its neutral clips alone. Under the
    condition "both" each window gets a face of its class.
    """
    rng = np.random.default_rng(0)
    clip_actors = voices.actors[::CLIP_WINDOWS].numpy()
    sessions = [
        rng.permutation(np.flatnonzero(clip_actors == actor))
        for _ in range(ORDERS)
        for actor in np.unique(clip_actors)
    ]
    if neutral_first:
        emotional = voices.labels[::CLIP_WINDOWS].numpy() != EMOTIONS.index("neutral")
        sessions = [each[np.argsort(emotional[each], kind="stable")] for each in sessions]
    step = np.arange(max(len(session) for session in sessions))[:, None]
    ends = np.array([len(session) for session in sessions])
    # A session that is over goes on with its last clip, at which nobody looks again.
    places = np.minimum(step, ends - 1).T
    clips = np.stack([each[at] for each, at in zip(sessions, places, strict=True)], axis=1)
    speaker = SpeakerOffset(
        (len(sessions), network.voice.channels),
        prior_windows=network.speaker_prior_windows,
        memory_windows=network.speaker_memory_windows,
    )
    pools = [np.flatnonzero(faces.labels.numpy() == index) for index in range(len(EMOTIONS))]
    grid = np.linspace(0.0, 1.0, network.max_maps, dtype=np.float32)
    windows, logits = np.arange(CLIP_WINDOWS), []
    for met in clips:
        voice = (CLIP_WINDOWS * met[:, None] + windows).ravel()
        face = np.array([rng.choice(pools[label]) for label in voices.labels[voice].tolist()])
        present = np.tile([condition == "both", True], (len(voice), 1))
        batch = make_batch(faces, voices, face, voice, present, np.tile(grid, (len(voice), 1)))
        offset = torch.from_numpy(speaker.value).repeat_interleave(CLIP_WINDOWS, dim=0)
        inputs = (each.to(device) for each in (batch.maps, batch.frames, batch.present, offset))
        said = head(*inputs)
        if adapt:
            residual = said.voice_residual.float().cpu().numpy()
            speaker.hear(residual.reshape(len(met), CLIP_WINDOWS, -1).mean(axis=1))
        logits.append(said.logits.float().cpu().numpy().reshape(len(met), CLIP_WINDOWS, -1))
    rows = CLIP_WINDOWS * torch.from_numpy(clips)
    return SessionAnswers(
        np.stack(logits), voices.labels[rows].numpy(), voices.actors[rows].numpy(), step < ends
    )

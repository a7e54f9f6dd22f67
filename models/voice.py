"""The voice branch: log-mel frames → speech encoder → 128 channels every 20 or 40 ms.

The encoder has the shape of Whisper's, so that training can begin from Whisper tiny.en; only its
positions are cut, from 30 s to the 3 s of a window, and its upper layers may see half as many
frames: what they tell of an expression changes slowly, and they take half the time.

Shapes: B batch, N mel frames (10 ms), T encoder frames, ⌈N / 2⌉ of 20 ms and, after
`halved_after` layers, half of that, rounded up, of 40 ms; W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.config import VoiceEncoderConfig
from models.labels import EMOTIONS
from models.msaf import is_traced
from models.sequence import AttentionPool, SequenceBranch


class EncoderLayer(nn.Module):
    """Pre-norm transformer layer, (B, T, W) → (B, T, W)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.attention_in = nn.Linear(width, 3 * width)  # queries, keys, values
        self.attention_out = nn.Linear(width, width)
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward_in = nn.Linear(width, 4 * width)
        self.feedforward_out = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.attention_in(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, T, W / heads)
        attended = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.attention_out(attended.transpose(1, 2).flatten(2))
        hidden = functional.gelu(self.feedforward_in(self.feedforward_norm(x)))
        return x + self.feedforward_out(hidden)  # type: ignore[no-any-return]


class VoiceEncoder(nn.Module):
    """Whisper's encoder, and a learned mix of all its layers projected to a few channels.

    Early layers hold tone and late layers words; which of them carry emotion is learned.
    """

    def __init__(self, config: VoiceEncoderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or VoiceEncoderConfig()
        self.conv1 = nn.Conv1d(config.n_mels, config.width, 3, padding=1)
        self.conv2 = nn.Conv1d(config.width, config.width, 3, stride=2, padding=1)
        self.positions = nn.Parameter(torch.randn(config.max_frames, config.width) * 0.02)
        self.layers = nn.ModuleList(
            EncoderLayer(config.width, config.heads) for _ in range(config.layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(config.layers))
        self.mix = nn.Parameter(torch.zeros(config.layers))
        self.project = nn.Linear(config.width, config.channels)

    def hidden_states(self, mel: Tensor) -> list[Tensor]:
        """(B, n_mels, N) → the output of each layer, (B, T, W), not yet normalised.

        Those after `halved_after` layers have half as many frames.

        Raises
        ------
        ValueError
            The spectrogram has the wrong number of mel bins or is longer than the positions.
        """
        bins, frames = mel.shape[1:]
        if bins != self.config.n_mels:
            raise ValueError(f"expected {self.config.n_mels} mel bins, got {bins}")
        if not is_traced() and frames > 2 * self.config.max_frames:
            raise ValueError(f"at most {2 * self.config.max_frames} mel frames, got {frames}")
        x = functional.gelu(self.conv1(mel))
        x = functional.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.positions[: x.shape[1]]
        states = []
        for index, layer in enumerate(self.layers):
            if index > 0 and index == self.config.halved_after:  # 0 is never
                x = _halved(x)
            x = layer(x)
            states.append(x)
        return states

    def combine(self, states: list[Tensor]) -> Tensor:
        """Mix layer outputs, (B, T, W) each, into frames (B, channels, T), T that of the last."""
        normed = [norm(x) for norm, x in zip(self.norms, states, strict=True)]
        early = self.config.halved_after
        same_length = [*map(_halved, normed[:early]), *normed[early:]]
        shares = self.mix.softmax(dim=0).unbind()
        weighted = [share * x for share, x in zip(shares, same_length, strict=True)]
        mixed = torch.stack(weighted).sum(dim=0)
        return self.project(mixed).transpose(1, 2)  # type: ignore[no-any-return]

    def forward(self, mel: Tensor) -> Tensor:
        """(B, n_mels, N) log-mel, N ≤ 2 · max_frames → (B, channels, T)."""
        return self.combine(self.hidden_states(mel))


def _halved(x: Tensor) -> Tensor:
    """Means of pairs of frames, (B, T, W) → (B, ⌈T / 2⌉, W); an odd last frame stays as it is.

    Spelled out, since onnxruntime's pooling does not end as torch's does where a pair is cut off.
    """
    first = x[:, ::2]
    second = torch.cat([x[:, 1::2], x[:, -1:]], dim=1)[:, : first.shape[1]]
    return (first + second) / 2


class VoiceClassifier(nn.Module):
    """Emotion from the voice alone: trains the encoder before fusion, and says what it can do."""

    def __init__(
        self,
        config: VoiceEncoderConfig | None = None,
        *,
        hidden: int = 64,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.encoder = VoiceEncoder(config)
        self.frame_dropout = nn.Dropout1d(dropout / 2)
        self.sequence = SequenceBranch(self.encoder.config.channels, hidden)
        self.pool = AttentionPool(2 * hidden)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * hidden, len(EMOTIONS))

    def classify(self, frames: Tensor) -> Tensor:
        """Encoder frames (B, channels, T) → logits (B, classes)."""
        pooled, _ = self.pool(self.sequence(self.frame_dropout(frames)))
        return self.head(self.dropout(pooled))  # type: ignore[no-any-return]

    def forward(self, mel: Tensor) -> Tensor:
        """(B, n_mels, N) log-mel → logits (B, classes), in the order of EMOTIONS."""
        return self.classify(self.encoder(mel))

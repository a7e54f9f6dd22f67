"""Time: what one modality's frames say together. Used by the voice network and by the fusion.

Shapes: B batch, C channels, T frames. T may differ from call to call.
"""

from __future__ import annotations

from torch import Tensor, nn


class SequenceBranch(nn.Module):
    """Layer norm over channels, then a recurrent layer that reads the frames both ways.

    (B, channels_in, T) → (B, 2 · hidden, T).
    """

    def __init__(self, channels_in: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels_in)
        self.recurrent = nn.GRU(channels_in, hidden, batch_first=True, bidirectional=True)

    def forward(self, frames: Tensor) -> Tensor:
        sequence, _ = self.recurrent(self.norm(frames.transpose(1, 2)))
        return sequence.transpose(1, 2)  # type: ignore[no-any-return]


class AttentionPool(nn.Module):
    """Average over time with learned weights, which are returned as "the moments that counted".

    (B, channels, T) → pooled (B, channels), weights (B, T) that sum to 1 over time.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Linear(channels, 1)

    def forward(self, sequence: Tensor) -> tuple[Tensor, Tensor]:
        weights = self.score(sequence.transpose(1, 2)).squeeze(-1).softmax(dim=-1)
        return (sequence * weights.unsqueeze(1)).sum(dim=-1), weights

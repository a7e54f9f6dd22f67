"""Two LSTMs one behind the other, the branches of the paper's CMU-MOSEI network.

Thread: the caller's. Shape letters: B batch, C channels, T steps, K outputs.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.paper.branch import Branch, layers


class Recurrent(nn.Module):
    """One LSTM, oldest step first, channels in dimension 1."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, hidden, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) → (B, hidden, T)."""
        out: Tensor = self.lstm(x.transpose(1, 2))[0]
        return out.transpose(1, 2)


class LastStep(nn.Module):
    """What an LSTM knows at the end."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) → (B, C)."""
        return x[:, :, -1]


def lstm_pair(channels: int, hidden: int, outputs: int | None = 1) -> Branch:
    """Sequences (B, channels, T) → (B, outputs); T is free.

    `early` and `late` each end with (B, hidden, T). With `outputs=None` the branch ends with its
    last step, (B, hidden), for a network that has a head of its own.
    """
    head: dict[str, nn.Module] = {"last": LastStep()}
    if outputs is not None:
        head |= {"dropout": nn.Dropout(0.1), "fc": nn.Linear(hidden, outputs)}
    return Branch(
        early=Recurrent(channels, hidden), late=Recurrent(hidden, hidden), classify=layers(**head)
    )

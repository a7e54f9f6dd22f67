"""The paper's network for CMU-MOSEI: face, voice and words, joined by MSAF between two LSTMs.

    FACET (B, 35, 50)     COVAREP (B, 74, 50)     BERT (B, 768, 50)
        │ LSTM                │ LSTM                  │ LSTM
    (B, 32, 50)           (B, 64, 50)             (B, 128, 50)
        └──────── MSAF, c 16, r 2, five segments ─────┘
        │ LSTM                │ LSTM                  │ LSTM
        └────────── last steps joined, 224 ───────────┘
                    linear → sentiment (B, 1)

689,337 parameters: 17,280, 69,120 and 591,872 of the branches, 10,840 of MSAF, 225 of the last
layer. Section 4.2 of the paper. Thread: the caller's. Shape letters: B batch, T steps,
S segments, N channel blocks of the three modalities, c channels of a block.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.paper.config import MoseiConfig
from models.paper.lstm_pair import lstm_pair
from models.paper.reference import fusion


class MoseiOutput(NamedTuple):
    """The answer and what it leaned on."""

    logits: Tensor  # (B, 1) sentiment, -3 to 3 in the data's scale
    attention: Tensor  # (B, S, N, c) what MSAF multiplied by; 0 where absent


class MoseiNet(nn.Module):
    """Three branches and their fusion.

    The branches end with their last step; :func:`models.paper.lstm_pair.lstm_pair` builds them
    with a head, to be trained alone.
    """

    def __init__(self, config: MoseiConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MoseiConfig()
        self.face, self.voice, self.words = (
            lstm_pair(channels, hidden, outputs=None)
            for channels, hidden in zip(config.channels, config.hidden, strict=True)
        )
        self.fusion = fusion(config.fusion, config.faults)
        self.regress = nn.Linear(sum(config.hidden), config.outputs)

    def forward(
        self, face: Tensor, voice: Tensor, words: Tensor, present: Tensor | None = None
    ) -> MoseiOutput:
        """Answer for one utterance per sample.

        Parameters
        ----------
        face, voice, words
            (B, 35, T), (B, 74, T), (B, 768, T), oldest step first, at least as many steps as there
            are segments; T is free and need not be the same for the three.
        present
            (B, 3) bool, in that order; None means all, as in the paper. Of an absent modality only
            the shape of its tensor matters.

        Raises
        ------
        ValueError
            Batches differ, a sequence is too short, or a sample has no modality at all.
        """
        features = [self.face.early(face), self.voice.early(voice), self.words.early(words)]
        (face, voice, words), attention = self.fusion(features, present)
        last = [
            self.face.classify(self.face.late(face)),  # (B, 32)
            self.voice.classify(self.voice.late(voice)),  # (B, 64)
            self.words.classify(self.words.late(words)),  # (B, 128)
        ]
        if present is not None:
            last = [torch.where(present[:, m : m + 1], x, 0.0) for m, x in enumerate(last)]
        return MoseiOutput(logits=self.regress(torch.cat(last, dim=1)), attention=attention)

"""HCN, the skeleton branch of the paper's NTU RGB+D network.

Li, Zhong, Xie, Pu (arXiv 1804.06055): co-occurrence features of joints, for positions and for
their motion. Sizes, dropout and the place of every activation are those of the public code of
MFAS, which the reference uses. Thread: the caller's. Shape letters:

    B  batch     P  persons, 2     V  joints, 25
    T  steps     K  classes

Two persons: both go through the same weights (here as one batch), and the element-wise maximum of
the two behind conv6 goes on, so who is first makes no difference and a third person needs no new
weights. MSAF comes before that maximum and sees the two as modalities of their own. A convolution
here is 2D: over (T, V) while coordinates are the channels, then, behind the turn that gives HCN
its name, over (T, features) with the joints as channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.paper.branch import Branch, layers
from models.paper.config import check_skeleton_steps

STEPS, JOINTS, PERSONS = 32, 25, 2


class JointStream(nn.Module):
    """Coordinates, or their motion, of one person: conv1 to conv4."""

    def __init__(self, steps: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, 64, 1), nn.ReLU())
        self.conv2 = nn.Conv2d(64, steps, (3, 1), padding=(1, 0))
        self.conv3 = nn.Sequential(nn.Conv2d(JOINTS, 32, 3, padding=1), nn.MaxPool2d(2))
        self.conv4 = nn.Sequential(
            nn.Conv2d(32, 64, 3, padding=1), nn.Dropout2d(dropout), nn.MaxPool2d(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, T, V) → (B, 64, T/4, steps/4)."""
        x = self.conv2(self.conv1(x))  # (B, steps, T, V)
        out: Tensor = self.conv4(self.conv3(x.transpose(1, 3)))  # joints as channels
        return out


class PersonFeatures(nn.Module):
    """Both streams and conv5, for each person by itself."""

    def __init__(self, steps: int, dropout: float) -> None:
        super().__init__()
        self.steps = steps
        self.position = JointStream(steps, dropout)
        self.motion = JointStream(steps, dropout)
        self.conv5 = nn.Sequential(
            nn.Conv2d(128, 128, 3, padding=1), nn.ReLU(), nn.Dropout2d(dropout), nn.MaxPool2d(2)
        )

    def forward(self, skeletons: Tensor) -> Tensor:
        """(B, 3, T, V, P) → (B, P, 128, T/8, T/8)."""
        if skeletons.dim() != 5 or skeletons.shape[1:4] != (3, self.steps, JOINTS):
            raise ValueError(
                f"expected skeletons (batch, 3, {self.steps}, {JOINTS}, persons), "
                f"got {tuple(skeletons.shape)}"
            )
        persons = skeletons.movedim(4, 1)
        x = persons.flatten(0, 1)  # (B · P, 3, T, V)
        moved = x[:, :, 1:] - x[:, :, :-1]
        motion = functional.interpolate(
            moved, size=tuple(x.shape[2:]), mode="bilinear", align_corners=False
        )
        joined = torch.cat([self.position(x), self.motion(motion)], dim=1)  # (B · P, 128, …)
        out: Tensor = self.conv5(joined)
        return out.reshape(*persons.shape[:2], *out.shape[1:])


class JoinPersons(nn.Module):
    """conv6 for each person, their maximum, fc7."""

    def __init__(self, steps: int, dropout: float) -> None:
        super().__init__()
        self.conv6 = nn.Sequential(
            nn.Conv2d(128, 256, 3, padding=1), nn.ReLU(), nn.Dropout2d(dropout), nn.MaxPool2d(2)
        )
        self.fc7 = nn.Sequential(
            nn.Linear(256 * (steps // 16) ** 2, 512), nn.ReLU(), nn.Dropout(dropout)
        )

    def forward(self, persons: Tensor, present: Tensor | None = None) -> Tensor:
        """(B, P, 128, T/8, T/8), and (B, P) bool who is there → (B, 512).

        An absent person adds nothing: what conv6 gives is never below 0.
        """
        out: Tensor = self.conv6(persons.flatten(0, 1))
        out = out.reshape(*persons.shape[:2], *out.shape[1:])
        if present is not None:
            out = torch.where(present[:, :, None, None, None], out, 0.0)
        joint: Tensor = self.fc7(out.amax(dim=1).flatten(1))
        return joint


def hcn(classes: int = 60, *, steps: int = STEPS, dropout: float = 0.4) -> Branch:
    """Skeletons (B, 3, T, V, P), and (B, P) bool who is there → logits (B, K).

    Without the latter all are. T is fixed by the weights.
    `early` ends with (B, P, 128, T/8, T/8), each person's features apart, `late` with (B, 512).
    """
    check_skeleton_steps(steps)
    branch = Branch(
        early=PersonFeatures(steps, dropout),
        late=JoinPersons(steps, dropout),
        classify=layers(fc8=nn.Linear(512, classes)),
    )
    for module in branch.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return branch

"""MFCC network, the voice branch of the paper's RAVDESS network: 34,024 parameters.

13 coefficients of 2.45 s at 44.1 kHz; a hop of 512 samples gives 212 steps (the sizes of the
published classifier, 64 x 26 inputs, fit 212 to 219). Thread: the caller's.
Shape letters: B batch, U steps, K classes.
"""

from __future__ import annotations

from torch import nn

from models.paper.branch import Branch, layers
from models.paper.config import check_mfcc_steps

COEFFICIENTS = 13
STEPS = 212


def mfcc_cnn(classes: int = 8, *, coefficients: int = COEFFICIENTS, steps: int = STEPS) -> Branch:
    """MFCC (B, 13, U) → logits (B, K); U is fixed by the classifier.

    `early` ends with (B, 32, U - 4), in front of the pooling, and `late` with
    (B, 64, (U - 4) // 8), as in the public reference. The paper's kernels of 7 have padding 2, so
    each takes two steps away. Batch norm comes behind the activations.
    """
    check_mfcc_steps(steps)
    left = (steps - 4) // 8
    return Branch(
        early=layers(
            conv1=nn.Conv1d(coefficients, 32, kernel_size=7, padding=2),
            relu1=nn.ReLU(inplace=True),
            bn1=nn.BatchNorm1d(32),
            conv2=nn.Conv1d(32, 32, kernel_size=7, padding=2),
            relu2=nn.ReLU(inplace=True),
        ),
        late=layers(
            maxpool=nn.MaxPool1d(8),
            bn2=nn.BatchNorm1d(32),
            dropout1=nn.Dropout(0.2),
            conv3=nn.Conv1d(32, 64, kernel_size=5, padding=2),
            relu3=nn.ReLU(inplace=True),
            bn3=nn.BatchNorm1d(64),
        ),
        classify=layers(
            flatten=nn.Flatten(), dropout2=nn.Dropout(0.4), fc1=nn.Linear(64 * left, classes)
        ),
    )

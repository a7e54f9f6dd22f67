"""The paper's networks and their branches in files (models/checkpoint.py has the file itself).

Thread: any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from models.checkpoint import CheckpointError, Format, WeightsFile, read_format
from models.config import PlainConfig
from models.paper.branch import Branch
from models.paper.config import MoseiConfig, NtuConfig, RavdessConfig
from models.paper.hcn import hcn
from models.paper.i3d import i3d
from models.paper.inflated_resnet import inflated_resnet
from models.paper.lstm_pair import lstm_pair
from models.paper.mfcc_cnn import mfcc_cnn
from models.paper.mosei import MoseiNet
from models.paper.ntu import NtuNet
from models.paper.ravdess import RavdessNet
from models.paper.resnext3d import resnext3d

BRANCHES: Final[Mapping[str, Callable[..., Branch]]] = {
    "resnext3d": resnext3d,
    "mfcc": mfcc_cnn,
    "lstm": lstm_pair,
    "i3d": i3d,
    "resnet50": inflated_resnet,
    "hcn": hcn,
}
"""Builders of the branches by name; what they take is what a file of a branch records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchConfig(PlainConfig):
    """A branch alone: which one, and what its builder was given."""

    branch: str
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.branch not in BRANCHES:
            raise ValueError(f"no branch {self.branch!r}; there are {', '.join(BRANCHES)}")

    def build(self) -> Branch:
        """The branch, with random weights."""
        return BRANCHES[self.branch](**self.settings)


_SOURCE: Final = "They are made by `train`, or by `convert` from the public reference's files."

RAVDESS: Final = Format(
    name="msaf-ravdess-1", config=RavdessConfig, build=RavdessNet, source=_SOURCE
)
MOSEI: Final = Format(name="msaf-mosei-1", config=MoseiConfig, build=MoseiNet, source=_SOURCE)
NTU: Final = Format(name="msaf-ntu-1", config=NtuConfig, build=NtuNet, source=_SOURCE)
BRANCH: Final = Format(
    name="msaf-branch-1", config=BranchConfig, build=BranchConfig.build, source=_SOURCE
)

FORMATS: Final[Mapping[str, Format[Any, Any]]] = {
    each.name: each for each in (RAVDESS, MOSEI, NTU, BRANCH)
}


def read_network(path: Path) -> WeightsFile[Any, Any]:
    """Read and check a file of any of the paper's networks or branches.

    Raises
    ------
    CheckpointError
        It is missing, damaged, or holds another kind of network.
    """
    name = read_format(path)
    if name not in FORMATS:
        raise CheckpointError(
            f"{path} has the format {name!r}, which is none of the paper's networks: "
            f"{', '.join(FORMATS)}."
        )
    return FORMATS[name].read(path)

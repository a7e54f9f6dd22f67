"""A network of one modality, cut into stages so that MSAF can be put between them.

Thread: the caller's.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn


class Branch(nn.Module):
    """`classify(late(early(x)))`: usable alone, or stage by stage with MSAF in between.

    What comes out of `early` and `late` has its channels in dimension 1, as MSAF wants them.
    """

    def __init__(self, *, early: nn.Module, late: nn.Module, classify: nn.Module) -> None:
        super().__init__()
        self.early = early
        self.late = late
        self.classify = classify

    def forward(self, x: Tensor, *known: Tensor | None) -> Tensor:
        """One modality alone → (B, K); `known` is what `late` takes besides its features."""
        out: Tensor = self.classify(self.late(self.early(x), *known))
        return out


def layers(**modules: nn.Module) -> nn.Sequential:
    """A sequence whose layers have names, which the weights then carry."""
    return nn.Sequential(OrderedDict(modules))


def count_parameters(network: nn.Module) -> int:
    """Numbers that training changes."""
    return sum(parameter.numel() for parameter in network.parameters())

"""MMTM, multimodal transfer module (Joze, Shaban, Iuzzolino, Koishida, CVPR 2020, section 3.1).

Squeeze and excitation across modalities: every channel of each is scaled by a gate that a joint
squeeze of all of them decides. Kept to compare MSAF with. Thread: whoever calls the network.
Shapes: B batch, C_m channels of modality m, d width of the joint squeeze.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class MMTM(nn.Module):
    r"""Channel gates for several modalities from one joint squeeze.

    With :math:`s_m` the average of modality m over space and time,

    .. math::
        z &= \mathrm{ReLU}(W [s_1, \dots, s_M] + b) && (B, d),\ d = \lfloor \textstyle\sum_m C_m / r
        \rfloor \\
        \hat f_m &= 2\, \sigma(W_m z + b_m) \odot f_m && \text{the shape of } f_m

    The paper writes d as a quarter of all channels together; its two modalities become any number.
    """

    def __init__(self, channels: Sequence[int], reduction: int = 4) -> None:
        super().__init__()
        if not channels or min(channels) < 1:
            raise ValueError(f"channels must name one positive width or more, not {channels}")
        if not 1 <= reduction <= sum(channels):
            raise ValueError(
                f"reduction must lie between 1 and {sum(channels)} (all channels), not {reduction}"
            )
        self.channels = tuple(channels)
        self.squeeze = nn.Linear(sum(channels), sum(channels) // reduction)
        self.excite = nn.ModuleList(
            nn.Linear(self.squeeze.out_features, width) for width in channels
        )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Per modality (B, C_m, ...) → the same shapes; further dimensions need not agree.

        Raises
        ------
        ValueError
            The number of modalities or their channels are not those of the module.
        """
        shapes = tuple(feature.shape[1] for feature in features)
        if shapes != self.channels:
            raise ValueError(f"expected channels {self.channels}, got {shapes}")
        joint = torch.relu(self.squeeze(averages(features)))
        return [
            feature * gate.reshape(gate.shape + (1,) * (feature.dim() - 2))
            for feature, excite in zip(features, self.excite, strict=True)
            for gate in (2.0 * torch.sigmoid(excite(joint)),)
        ]


def averages(features: Sequence[Tensor]) -> Tensor:
    """Features (B, C_m, ...) averaged over time and space, side by side: (B, sum of C_m)."""
    return torch.cat(
        [each.flatten(2).mean(dim=2) if each.dim() > 2 else each for each in features], dim=1
    )

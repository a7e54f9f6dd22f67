"""Two networks of your own, joined by MSAF at two depths: python examples/two_networks.py"""

import torch
from torch import Tensor, nn

from models import MSAF, MSAFConfig

picture = nn.Sequential(  # (B, 3, H, W) → 5 classes; yours, and already trained
    nn.Sequential(nn.Conv2d(3, 40, 3, stride=2), nn.ReLU()),
    nn.Sequential(nn.Conv2d(40, 96, 3, stride=2), nn.ReLU()),
    nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, 5)),
)
sound = nn.Sequential(  # (B, 64, T) → 5 classes
    nn.Sequential(nn.Conv1d(64, 24, 5), nn.ReLU()),
    nn.Sequential(nn.Conv1d(24, 48, 5), nn.ReLU()),
    nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(48, 5)),
)


class Joined(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.picture, self.sound = picture, sound  # the very networks, weights and all
        self.early = MSAF(MSAFConfig(channels=(40, 24), block_channels=8, identity_start=True))
        self.late = MSAF(MSAFConfig(channels=(96, 48), block_channels=16, identity_start=True))

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        (x, y), _ = self.early([self.picture[0](x), self.sound[0](y)])
        (x, y), attention = self.late([self.picture[1](x), self.sound[1](y)])
        return self.picture[2](x) + self.sound[2](y), attention  # logits, (B, 1, 6 + 3, 16)


if __name__ == "__main__":
    x, y, joined = torch.rand(4, 3, 64, 64), torch.randn(4, 64, 100), Joined()
    logits, _ = joined.eval()(x, y)  # before any training: what the two say together
    print("what they say apart is kept:", torch.allclose(logits, picture(x) + sound(y), atol=1e-5))
    logits, attention = joined.train()(x, y)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 3])).backward()
    print("logits", tuple(logits.shape), "attention", tuple(attention.shape))

"""The public reference's networks (github.com/anita-hu/MSAF), stated again with its names.

What our networks, converter and named faults are compared with: the same names of weights, the
same arithmetic, faults and all, in few words and without any of our modules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

NetworkT = TypeVar("NetworkT", bound=nn.Module)


class MsafBlock(nn.Module):
    """One time segment; `mask` stands for its draw of the block dropout, (B, N), scaled."""

    def __init__(
        self, channels: Sequence[int], width: int, reduction: int, lowest: float = 0.0
    ) -> None:
        super().__init__()
        reduced = width // reduction
        self.width, self.lowest = width, lowest
        self.counts = [-(-each // width) for each in channels]
        self.joint_features = nn.Sequential(
            nn.Linear(width, reduced), nn.BatchNorm1d(reduced), nn.ReLU()
        )
        self.dense_group = nn.ModuleList(nn.Linear(reduced, width) for _ in range(sum(self.counts)))

    def forward(self, features: Sequence[Tensor], mask: Tensor | None = None) -> list[Tensor]:
        split = []
        for x, count in zip(features, self.counts, strict=True):
            padded = functional.pad(x, (0, x.shape[1] % self.width))  # the wrong axis and amount
            split.append(padded.reshape(len(x), count, self.width, *padded.shape[2:]))
        masks = [torch.ones(())] * len(split)
        if mask is not None:
            pieces = torch.split(mask, self.counts, dim=1)
            masks = [
                each.reshape(*each.shape, *[1] * (x.dim() - 2))
                for each, x in zip(pieces, split, strict=True)
            ]
        split = [x * m for x, m in zip(split, masks, strict=True)]
        joint = sum(x.sum(1).reshape(len(x), self.width, -1).mean(2) for x in split)
        joint = self.joint_features(joint)
        attention = torch.stack([dense(joint) for dense in self.dense_group]).softmax(0)
        attention = self.lowest + attention.permute(1, 0, 2) * (1 - self.lowest)
        pieces = torch.split(attention, self.counts, dim=1)
        fused = []
        for x, m, a, original in zip(split, masks, pieces, features, strict=True):
            weight = m * a.reshape(*x.shape[:3], *[1] * (x.dim() - 3))  # the mask, once more
            fused.append((x * weight).reshape(original.shape))
        return fused


class Msaf(nn.Module):
    """All time segments."""

    def __init__(
        self,
        channels: Sequence[int],
        width: int,
        reduction: int,
        lowest: float = 0.0,
        segments: int = 1,
    ) -> None:
        super().__init__()
        self.segments = segments
        self.blocks = nn.ModuleList(
            MsafBlock(channels, width, reduction, lowest) for _ in range(segments)
        )

    def forward(self, features: Sequence[Tensor], mask: Tensor | None = None) -> list[Tensor]:
        if self.segments == 1:
            fused: list[Tensor] = self.blocks[0](features, mask)
            return fused
        cut = [list(torch.split(x, x.shape[2] // self.segments, dim=2)) for x in features]
        for spans in cut:
            if len(spans) > self.segments:
                spans[-2] = torch.cat(spans[-2:], dim=2)
        pieces = [block([s[i] for s in cut], mask) for i, block in enumerate(self.blocks)]
        return [torch.cat(spans, dim=2) for spans in zip(*pieces, strict=True)]


class Bottleneck(nn.Module):
    """Of ResNeXt (groups 32, out = 2 widths) and of the inflated ResNet (groups 1, 4 widths)."""

    def __init__(self, inside: int, width: int, out: int, stride: object, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inside, width, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, 3, stride, 1, groups=groups, bias=False)  # type: ignore[arg-type]
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(out)
        self.downsample = None
        if inside != out:
            self.downsample = nn.Sequential(
                nn.Conv3d(inside, out, 1, stride, bias=False),  # type: ignore[arg-type]
                nn.BatchNorm3d(out),
            )

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


def residual_layers(first: int, expansion: int, groups: int, flat: bool) -> list[nn.Sequential]:
    """Four stages of one block each."""
    found, inside = [], 64
    for stage in range(4):
        width, step = first << stage, 2 if stage else 1
        out = width * expansion
        stride = (1, step, step) if flat else step
        found.append(nn.Sequential(Bottleneck(inside, width, out, stride, groups)))
        inside = out
    return found


class ResNeXt(nn.Module):
    """The face branch alone; here the stem has its activation."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 64, 7, (1, 2, 2), 3, bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        self.layer1, self.layer2, self.layer3, self.layer4 = residual_layers(128, 2, 32, False)
        self.fc = nn.Linear(2048, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool3d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(x.mean((2, 3, 4)))
        return logits


class Mfcc(nn.Module):
    """The voice branch alone."""

    def __init__(self, classes: int, left: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(13, 32, 7, padding=2)
        self.bn1 = nn.BatchNorm1d(32)
        self.conv2 = nn.Conv1d(32, 32, 7, padding=2)
        self.bn2 = nn.BatchNorm1d(32)
        self.conv3 = nn.Conv1d(32, 64, 5, padding=2)
        self.bn3 = nn.BatchNorm1d(64)
        self.fc1 = nn.Linear(64 * left, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.conv2(self.bn1(functional.relu(self.conv1(x)))))
        x = self.bn2(functional.max_pool1d(x, 8))
        logits: Tensor = self.fc1(self.bn3(functional.relu(self.conv3(x))).flatten(1))
        return logits


class Ravdess(nn.Module):
    """Both, cut into blocks; the stem has lost its activation."""

    def __init__(self, classes: int, left: int) -> None:
        super().__init__()
        self.msaf = nn.ModuleList([Msaf([1024, 32], 16, 4), Msaf([2048, 64], 32, 4)])
        face, voice, none = ResNeXt(classes), Mfcc(classes, left), nn.Identity
        pool = nn.MaxPool3d(3, 2, 1)
        self.video_model_blocks = nn.ModuleList(
            [
                nn.Sequential(face.conv1, face.bn1, pool, face.layer1, face.layer2, face.layer3),
                nn.Sequential(face.layer4),
                nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), face.fc),
            ]
        )
        self.audio_model_blocks = nn.ModuleList(
            [
                nn.Sequential(voice.conv1, nn.ReLU(), voice.bn1, voice.conv2, nn.ReLU()),
                nn.Sequential(
                    nn.MaxPool1d(8), voice.bn2, none(), voice.conv3, nn.ReLU(), voice.bn3
                ),
                nn.Sequential(nn.Flatten(), none(), voice.fc1),
            ]
        )

    def forward(self, clips: Tensor, mfcc: Tensor) -> Tensor:
        x = [clips, mfcc]
        for index in range(3):
            x = [self.video_model_blocks[index](x[0]), self.audio_model_blocks[index](x[1])]
            if index < 2:
                x = self.msaf[index](x)
        return x[0] + x[1]


class LstmNet(nn.Module):
    """One branch of CMU-MOSEI alone, on (B, T, C)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.lstm1 = nn.LSTM(channels, hidden, batch_first=True)
        self.lstm2 = nn.LSTM(hidden, hidden, batch_first=True)
        self.classifier = nn.Sequential(nn.Dropout(0.1), nn.Linear(hidden, 1))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.lstm2(self.lstm1(x)[0])[0][:, -1])
        return logits


class Mosei(nn.Module):
    """All three, on (B, T, C)."""

    def __init__(self) -> None:
        super().__init__()
        self.msaf = nn.ModuleList([Msaf([32, 64, 128], 16, 2, segments=5)])
        for name, channels, hidden in (
            ("visual", 35, 32),
            ("audio", 74, 64),
            ("text", 768, 128),
        ):
            alone = LstmNet(channels, hidden)
            self.add_module(f"{name}_model", nn.ModuleList([alone.lstm1, alone.lstm2]))
        self.multimodal_classifier = nn.Sequential(nn.Linear(224, 1))

    def forward(self, *x: Tensor) -> Tensor:
        models = [self.get_submodule(f"{name}_model") for name in ("visual", "audio", "text")]
        first = [model.get_submodule("0")(each)[0] for model, each in zip(models, x, strict=True)]
        fused = self.msaf[0]([each.transpose(1, 2) for each in first])
        second = [
            model.get_submodule("1")(each.transpose(1, 2))[0]
            for model, each in zip(models, fused, strict=True)
        ]
        joined = torch.cat([each[:, -1] for each in second], dim=1)
        sentiment: Tensor = self.multimodal_classifier(joined)
        return sentiment


class Basic(nn.Module):
    def __init__(self, inside: int, out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inside, out, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm3d(out, eps=1e-3, momentum=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    def __init__(self, inside: int, *o: int) -> None:
        super().__init__()
        self.branch0 = nn.Sequential(Basic(inside, o[0], 1))
        self.branch1 = nn.Sequential(Basic(inside, o[1], 1), Basic(o[1], o[2], 3))
        self.branch2 = nn.Sequential(Basic(inside, o[3], 1), Basic(o[3], o[4], 3))
        self.branch3 = nn.Sequential(nn.MaxPool3d(3, 1, 1), Basic(inside, o[5], 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(
            [self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)], dim=1
        )


class I3D(nn.Module):
    """The colour branch alone, on (B, T, H, W, 3); its last maps are of `size`, 7 for 224 px."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Basic(3, 64, 7, 2),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            Basic(64, 64, 1),
            Basic(64, 192, 3),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            Mixed(192, 64, 96, 128, 16, 32, 32),
            Mixed(256, 128, 128, 192, 32, 96, 64),
            nn.MaxPool3d(3, 2, 1),
            Mixed(480, 192, 96, 208, 16, 48, 64),
            Mixed(512, 160, 112, 224, 24, 64, 64),
            Mixed(512, 128, 128, 256, 24, 64, 64),
            Mixed(512, 112, 144, 288, 32, 64, 64),
            Mixed(528, 256, 160, 320, 32, 128, 128),
            nn.MaxPool3d(2, 2),
            Mixed(832, 256, 160, 320, 32, 128, 128),
            Mixed(832, 384, 192, 384, 48, 128, 128),
            nn.AvgPool3d((2, size, size), stride=1),
            nn.Dropout3d(0.5),
            nn.Conv3d(1024, classes, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.features(x.permute(0, 4, 1, 2, 3))
        return logits.squeeze(3).squeeze(3).mean(2)


class FlatResNet(nn.Module):
    """The inflated ResNet-50's trunk: its first layers see single frames."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1, self.layer2, self.layer3, self.layer4 = residual_layers(64, 4, 1, True)

    def to_layer3(self, frames: Tensor) -> Tensor:
        batch, steps = frames.shape[:2]
        x = frames.permute(0, 1, 4, 2, 3).flatten(0, 1)  # (B · T, 3, H, W)
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = x.reshape(batch, steps, *x.shape[1:]).transpose(1, 2)
        out: Tensor = self.layer3(self.layer2(self.layer1(x)))
        return out


class Visual(nn.Module):
    """The other colour branch alone, on (B, T, H, W, 3)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.cnn = FlatResNet()
        self.classifier = nn.Linear(2048, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.cnn.layer4(self.cnn.to_layer3(x)).mean((2, 3, 4)))
        return logits


class Skeleton(nn.Module):
    """The skeleton branch alone, person after person."""

    def __init__(self, classes: int, steps: int) -> None:
        super().__init__()
        for end in ("", "m"):
            self.add_module(f"conv1{end}", nn.Sequential(nn.Conv2d(3, 64, 1), nn.ReLU()))
            self.add_module(f"conv2{end}", nn.Conv2d(64, steps, (3, 1), padding=(1, 0)))
            self.add_module(
                f"conv3{end}", nn.Sequential(nn.Conv2d(25, 32, 3, padding=1), nn.MaxPool2d(2))
            )
            conv4 = nn.Sequential(nn.Conv2d(32, 64, 3, padding=1), nn.Identity(), nn.MaxPool2d(2))
            self.add_module(f"conv4{end}", conv4)
        for name, inside, out in (("conv5", 128, 128), ("conv6", 128, 256)):
            layer = nn.Sequential(
                nn.Conv2d(inside, out, 3, padding=1), nn.ReLU(), nn.Identity(), nn.MaxPool2d(2)
            )
            self.add_module(name, layer)
        self.fc7 = nn.Sequential(nn.Linear(256 * (steps // 16) ** 2, 512), nn.ReLU())
        self.fc8 = nn.Linear(512, classes)

    def to_conv5(self, skeletons: Tensor) -> list[Tensor]:
        batch, _, steps, joints, persons = skeletons.shape
        motion = skeletons[:, :, 1:] - skeletons[:, :, :-1]
        motion = motion.permute(0, 1, 4, 2, 3).reshape(batch, 3 * persons, steps - 1, joints)
        motion = functional.interpolate(motion, size=(steps, joints), mode="bilinear")
        motion = motion.reshape(batch, 3, persons, steps, joints).permute(0, 1, 3, 4, 2)
        found = []
        for person in range(persons):
            streams = []
            for end, source in (("", skeletons), ("m", motion)):
                layer = [self.get_submodule(f"conv{number}{end}") for number in range(1, 5)]
                x = layer[1](layer[0](source[..., person])).permute(0, 3, 2, 1)
                streams.append(layer[3](layer[2](x)))
            found.append(self.get_submodule("conv5")(torch.cat(streams, dim=1)))
        return found

    def to_fc7(self, persons: Sequence[Tensor]) -> Tensor:
        first, second = (self.get_submodule("conv6")(each) for each in persons)
        joint: Tensor = self.fc7(torch.max(first, second).flatten(1))
        return joint

    def forward(self, skeletons: Tensor) -> Tensor:
        logits: Tensor = self.fc8(self.to_fc7(self.to_conv5(skeletons)))
        return logits


class Ntu(nn.Module):
    """Both; with the ResNet the first fused colour features are forgotten."""

    def __init__(self, rgb: str, classes: int, steps: int, size: int = 7) -> None:
        super().__init__()
        early, late = (832, 1024) if rgb == "i3d" else (1024, 2048)
        self.msaf1 = Msaf([early, 128, 128], 64, 4, 0.5)
        self.msaf2 = Msaf([late, 512], 256, 4, 0.5)
        self.visual = I3D(classes, size) if rgb == "i3d" else Visual(classes)
        self.skeleton = Skeleton(classes, steps)

    def forward(self, frames: Tensor, skeletons: Tensor) -> Tensor:
        one, two = self.skeleton.to_conv5(skeletons)
        visual = self.visual
        if isinstance(visual, I3D):
            rgb = visual.features[:15](frames.permute(0, 4, 1, 2, 3))
            rgb, one, two = self.msaf1([rgb, one, two])
            rgb = visual.features[15](rgb)
            rgb, joint = self.msaf2([rgb, self.skeleton.to_fc7([one, two])])
            logits = visual.features[16:](rgb).flatten(2).mean(2)
        else:
            assert isinstance(visual, Visual)
            rgb = visual.cnn.to_layer3(frames)
            _, one, two = self.msaf1([rgb, one, two])
            rgb = visual.cnn.layer4(rgb)
            rgb, joint = self.msaf2([rgb, self.skeleton.to_fc7([one, two])])
            logits = visual.classifier(rgb.mean((2, 3, 4)))
        answer: Tensor = (self.skeleton.fc8(joint) + logits) / 2
        return answer


def unsettled(network: NetworkT) -> NetworkT:
    """Give every weight and running statistic a value that shows if it goes astray."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith("running_var"):
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
            elif name.endswith(("running_mean", "bias")):
                value.copy_(0.1 * torch.randn(value.shape, generator=generator))
    return network.eval()

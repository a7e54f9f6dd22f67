"""Weights of the public reference (github.com/anita-hu/MSAF) → files of ours.

Its files are state dicts that torch pickled: of the three fused networks, and of the branches that
they start from, some of which come from MFAS and MMTM. They are read without running what a pickle
may carry, and only the names change; only what is kept in double precision is rounded, to single.
Where the reference's network differs from the paper's also when it is not trained, the fault
(models/paper/faults.py) goes into the settings, so that the numbers are those that the weights were
trained for. Thread: any.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from models.checkpoint import CheckpointError, Format, WeightsFile
from models.config import PlainConfig
from models.files import SameFileError
from models.msaf import join_segments
from models.paper.config import MoseiConfig, NtuConfig, RavdessConfig
from models.paper.faults import Fault
from models.paper.resnext3d import DEPTHS
from models.paper.weights import BRANCH, MOSEI, NTU, RAVDESS, BranchConfig

State = Mapping[str, Tensor]
Rules = tuple[tuple[str, str], ...]
"""Patterns of the reference's names and what they become; the first that fits decides."""


class ConversionError(CheckpointError):
    """A file is not what it was said to be; the message names what is missing or too much."""


class UnreadableWeightsError(ConversionError):
    """A file is none of torch's at all."""


def _prefixed(rules: Rules, old: str, new: str) -> Rules:
    """The rules for a branch inside of a network."""
    return tuple((old + pattern, new + name) for pattern, name in rules)


def _msaf(old: str, new: str) -> Rules:
    return (
        (rf"{old}\.blocks\.(\d+)\.joint_features\.0\.", rf"{new}.segments.\1.squeeze."),
        (rf"{old}\.blocks\.(\d+)\.joint_features\.1\.", rf"{new}.segments.\1.norm."),
        (rf"{old}\.blocks\.(\d+)\.dense_group\.(\d+)\.", rf"{new}.segments.\1.excite.\2."),
    )


_RESNET: Final[Rules] = (
    (r"(conv1|bn1|layer[123])\.", r"early.\1."),
    (r"layer4\.", "late.layer4."),
    (r"(?:fc|classifier)\.", "classify.fc."),
)
_MFCC: Final[Rules] = (
    (r"(conv[12]|bn1)\.", r"early.\1."),
    (r"(conv3|bn[23])\.", r"late.\1."),
    (r"fc1\.", "classify.fc1."),
)
_LSTM: Final[Rules] = (
    (r"lstm1\.", "early.lstm."),
    (r"lstm2\.", "late.lstm."),
    (r"classifier\.1\.", "classify.fc."),
)
_I3D_LAYERS: Final = {
    0: "early.conv1",
    2: "early.conv2",
    3: "early.conv3",
    5: "early.mixed_3b",
    6: "early.mixed_3c",
    8: "early.mixed_4b",
    9: "early.mixed_4c",
    10: "early.mixed_4d",
    11: "early.mixed_4e",
    12: "early.mixed_4f",
    14: "early.mixed_5b",
    15: "late.mixed_5c",
    18: "classify.conv",
}
_I3D: Final[Rules] = tuple(
    (rf"features\.{index}\.", f"{name}.") for index, name in _I3D_LAYERS.items()
)
_HCN: Final[Rules] = (
    (r"conv([1-4])m\.", r"early.motion.conv\1."),
    (r"conv([1-4])\.", r"early.position.conv\1."),
    (r"conv5\.", "early.conv5."),
    (r"(conv6|fc7)\.", r"late.\1."),
    (r"fc8\.", "classify.fc8."),
)
_RAVDESS: Final[Rules] = (
    *_msaf(r"msaf\.0", "early_fusion"),
    *_msaf(r"msaf\.1", "late_fusion"),
    (r"video_model_blocks\.0\.0\.", "face.early.conv1."),
    (r"video_model_blocks\.0\.1\.", "face.early.bn1."),
    (r"video_model_blocks\.0\.3\.", "face.early.layer1."),
    (r"video_model_blocks\.0\.4\.", "face.early.layer2."),
    (r"video_model_blocks\.0\.5\.", "face.early.layer3."),
    (r"video_model_blocks\.1\.0\.", "face.late.layer4."),
    (r"video_model_blocks\.2\.2\.", "face.classify.fc."),
    (r"audio_model_blocks\.0\.0\.", "voice.early.conv1."),
    (r"audio_model_blocks\.0\.2\.", "voice.early.bn1."),
    (r"audio_model_blocks\.0\.3\.", "voice.early.conv2."),
    (r"audio_model_blocks\.1\.1\.", "voice.late.bn2."),
    (r"audio_model_blocks\.1\.3\.", "voice.late.conv3."),
    (r"audio_model_blocks\.1\.5\.", "voice.late.bn3."),
    (r"audio_model_blocks\.2\.2\.", "voice.classify.fc1."),
)
_MOSEI: Final[Rules] = (
    *_msaf(r"msaf\.0", "fusion"),
    *(
        (rf"{old}_model\.{index}\.", f"{new}.{stage}.lstm.")
        for old, new in (("visual", "face"), ("audio", "voice"), ("text", "words"))
        for index, stage in enumerate(("early", "late"))
    ),
    (r"multimodal_classifier\.0\.", "regress."),
)
_NTU: Final[Rules] = (
    *_msaf("msaf1", "early_fusion"),
    *_msaf("msaf2", "late_fusion"),
    *_prefixed(_I3D, r"visual\.", "rgb."),
    *_prefixed(_RESNET, r"visual\.(?:cnn\.)?", "rgb."),
    *_prefixed(_HCN, r"skeleton\.", "skeleton."),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file of the reference's."""

    what: str  # for people
    rules: Rules
    format: Format[Any, Any]
    config: Callable[[State], PlainConfig]  # from the renamed tensors, whose sizes say the rest


def _size(state: State, name: str, dimension: int, usual: int) -> int:
    """Size of a tensor; what is not there, or has no such size, is found later, by name."""
    shape = state[name].shape if name in state else ()
    return (shape[dimension] if dimension < len(shape) else 0) or usual


def _outputs(state: State, name: str) -> int:
    """How many outputs a layer has."""
    return _size(state, name, 0, 1)


def _depths(state: State, stages: str) -> tuple[int, ...]:
    """Blocks in each of the four stages of a ResNet; what is not there is found later, by name."""
    counts = [0] * 4
    for name in state:
        if (found := re.match(rf"{stages}(?:early|late)\.layer([1-4])\.(\d+)\.", name)) is not None:
            stage = int(found[1]) - 1
            counts[stage] = max(counts[stage], int(found[2]) + 1)
    return tuple(count or whole for count, whole in zip(counts, DEPTHS, strict=True))


def _ravdess(state: State) -> RavdessConfig:
    return RavdessConfig(
        classes=_outputs(state, "face.classify.fc.weight"),
        depths=_depths(state, r"face\."),
        faults=(Fault.STEM_WITHOUT_RELU,),
    )


def _ntu(state: State) -> NtuConfig:
    flat = any(name.startswith("rgb.classify.fc.") for name in state)
    return NtuConfig(
        rgb="resnet50" if flat else "i3d",
        depths=_depths(state, r"rgb\."),
        classes=_outputs(state, "skeleton.classify.fc8.weight"),
        steps=_steps(state, "skeleton.early.position.conv2.weight"),
        faults=(Fault.UNUSED_FIRST_FUSION,) if flat else (),
    )


def _steps(state: State, name: str) -> int:
    """Steps of the skeletons: HCN's second convolution has as many outputs."""
    return _size(state, name, 0, 32)


def _resnet(branch: str) -> Callable[[State], BranchConfig]:
    return lambda state: BranchConfig(
        branch=branch,
        settings={
            "classes": _outputs(state, "classify.fc.weight"),
            "depths": _depths(state, ""),
        },
    )


def _mfcc(state: State) -> BranchConfig:
    last = "classify.fc1.weight"
    steps = 8 * (_size(state, last, 1, 1664) // 64) + 4
    return BranchConfig(branch="mfcc", settings={"classes": _outputs(state, last), "steps": steps})


def _lstm(state: State) -> BranchConfig:
    first = "early.lstm.weight_ih_l0"
    return BranchConfig(
        branch="lstm",
        settings={
            "channels": _size(state, first, 1, 35),
            "hidden": _size(state, first, 0, 128) // 4 or 32,
        },
    )


def _i3d(state: State) -> BranchConfig:
    return BranchConfig(branch="i3d", settings={"classes": _outputs(state, "classify.conv.weight")})


def _hcn(state: State) -> BranchConfig:
    return BranchConfig(
        branch="hcn",
        settings={
            "classes": _outputs(state, "classify.fc8.weight"),
            "steps": _steps(state, "early.position.conv2.weight"),
        },
    )


KINDS: Final[Mapping[str, Kind]] = {
    "ravdess": Kind("RAVDESS, fused", _RAVDESS, RAVDESS, _ravdess),
    "mosei": Kind("CMU-MOSEI, fused", _MOSEI, MOSEI, lambda _: MoseiConfig()),
    "ntu": Kind("NTU RGB+D, fused, with I3D or ResNet-50", _NTU, NTU, _ntu),
    "resnext3d": Kind("RAVDESS's face branch", _RESNET, BRANCH, _resnet("resnext3d")),
    "mfcc": Kind("RAVDESS's voice branch", _MFCC, BRANCH, _mfcc),
    "lstm": Kind("a branch of CMU-MOSEI", _LSTM, BRANCH, _lstm),
    "i3d": Kind("NTU RGB+D's colour branch, I3D", _I3D, BRANCH, _i3d),
    "resnet50": Kind(
        "NTU RGB+D's colour branch, ResNet-50",
        _prefixed(_RESNET, r"(?:cnn\.)?", ""),
        BRANCH,
        _resnet("resnet50"),
    ),
    "hcn": Kind("NTU RGB+D's skeleton branch", _HCN, BRANCH, _hcn),
}


def convert(source: Path, target: Path, kind: str) -> WeightsFile[Any, Any]:
    """Read a file of the public reference and write it as one of ours.

    Parameters
    ----------
    source
        What `torch.save` wrote: a state dict, or a dictionary that has one as `state_dict`,
        `model_state_dict` or `model`; written from DataParallel or not.
    target
        The safetensors file to write; another than `source`.
    kind
        A key of :data:`KINDS`.

    Raises
    ------
    OSError, UnreadableWeightsError
        The file cannot be read.
    SameFileError
        `target` is `source`.
    ConversionError
        Names and shapes are not those of this kind, two names mean the same weights, or weights are
        not finite; all that are missing, unexpected, of another size or spoiled are named, and so
        is the kind that the file is of, if it is of any.
    ValueError
        There is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"no kind {kind!r}; there are {', '.join(KINDS)}")
    if target.exists() and source.exists() and target.samefile(source):
        raise SameFileError(f"{target} is the file to convert: choose another name for --out")
    tensors = _read(source)
    fitted = _fitted(tensors, kind)
    if isinstance(fitted, str):
        others = [each for each in KINDS if not isinstance(_fitted(tensors, each), str)]
        hint = f" It is {KINDS[others[0]].what}: kind {others[0]}." if others else ""
        raise ConversionError(f"{source} is not {KINDS[kind].what}{fitted}{hint}")
    network, config = fitted
    origin = {"converted from": source.name, "network of": "github.com/anita-hu/MSAF", "kind": kind}
    return KINDS[kind].format.save(target, network, config, origin)


def _fitted(tensors: State, kind: str) -> tuple[nn.Module, PlainConfig] | str:
    """The network with these weights and its settings, or what of them does not fit."""
    renamed: dict[str, Tensor] = {}
    original: dict[str, str] = {}
    unexpected, twice = [], []
    for name, tensor in tensors.items():
        new = _rename(name, KINDS[kind].rules)
        if new is None:
            unexpected.append(name)
        elif new in renamed:
            twice.append(f"{original[new]} and {name}, both {new}")
        else:
            renamed[new], original[new] = tensor, name
    try:
        state = _one_layer(renamed)
        config = KINDS[kind].config(state)
        with torch.device("meta"):  # sizes and names are enough: every number comes from the file
            network: nn.Module = KINDS[kind].format.build(config)
    except ValueError as error:
        return f": {error}"
    wanted = network.state_dict()
    state = _fit(state, wanted)
    missing = [name for name in wanted if name not in state]
    unexpected += [original.get(name, name) for name in state if name not in wanted]
    sizes = [
        f"{original.get(name, name)} is {tuple(state[name].shape)} and not {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tensor.shape
    ]
    spoiled = [original.get(name, name) for name, each in state.items() if not _is_finite(each)]
    problems = [
        f"{what}: {_listed(names)}"
        for what, names in (
            ("missing (by our names)", missing),
            ("unexpected", unexpected),
            ("of another size", sizes),
            ("not finite", spoiled),
            ("there twice", twice),
        )
        if names
    ]
    if problems:
        return f". {'; '.join(problems)}."
    network.load_state_dict(state, assign=True)
    return network, config


def _read(source: Path) -> dict[str, Tensor]:
    """The state dict in a file of torch's, without DataParallel's prefix."""
    scalar = np.core.multiarray.scalar  # type: ignore[attr-defined]
    dtypes = [type(np.dtype(name)) for name in ("f4", "f8")]
    try:  # the reference keeps its scores, numbers of numpy's, beside the weights
        with torch.serialization.safe_globals(
            [scalar, (scalar, "numpy._core.multiarray.scalar"), np.dtype, *dtypes]
        ):
            found: Any = torch.load(source, map_location="cpu", weights_only=True)
    except OSError:  # it says by itself what is wrong
        raise
    except Exception as error:  # of any kind, where the bytes are not torch's
        raise UnreadableWeightsError(
            f"{source} is no file of plain tensors that torch wrote{_reason(error)}"
        ) from error
    for key in ("model_state_dict", "state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not found:
        raise ConversionError(f"{source} holds no state dict but a {type(found).__name__}")
    strangers = [name for name, each in found.items() if not isinstance(each, Tensor)]
    if strangers:
        raise ConversionError(
            f"{source} holds more than tensors: {_listed([str(name) for name in strangers])}. "
            f"{_ONLY_WEIGHTS}"
        )
    plain = {str(name).removeprefix("module."): tensor for name, tensor in found.items()}
    if len(plain) < len(found):
        names = [name for name in plain if name in found and f"module.{name}" in found]
        raise ConversionError(
            f"{source} holds weights twice, with and without module.: {_listed(names)}"
        )
    return plain


def _reason(error: Exception) -> str:
    """Torch's own, where the file is torch's, and what to do about it."""
    text = str(error)
    if (found := re.search(r"Unsupported (?:global|class).+?(?=\. Please|\n|$)", text)) is None:
        return f": it is a TorchScript archive. {_ONLY_WEIGHTS}" if "TorchScript" in text else ""
    return f" (torch says: {found[0]}). {_ONLY_WEIGHTS}"


_ONLY_WEIGHTS: Final = (
    "Load it with the code that it belongs to, then write the weights alone: "
    "torch.save(model.state_dict(), 'weights.pth')"
)


def _is_finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())


def _rename(name: str, rules: Rules) -> str | None:
    for pattern, new in rules:
        if (found := re.match(pattern, name)) is not None:
            return found.expand(new) + name[found.end() :]
    return None


def _joined(state: State) -> Iterator[tuple[str, Tensor]]:
    """Put the reference's one linear layer per block below each other, as MSAF has them.

    Raises
    ------
    ValueError
        Blocks of one layer differ in more than their height.
    """
    groups: dict[str, dict[int, Tensor]] = {}
    for name, tensor in state.items():
        if (found := re.fullmatch(r"(.*\.excite)\.(\d+)\.(weight|bias)", name)) is None:
            yield name, tensor
        else:
            groups.setdefault(f"{found[1]}.{found[3]}", {})[int(found[2])] = tensor
    for name, blocks in groups.items():
        try:
            joined = torch.cat([blocks[index] for index in sorted(blocks)])
        except RuntimeError:
            shapes = dict.fromkeys(str(tuple(each.shape)) for each in blocks.values())
            raise ValueError(
                f"the blocks of {name} (by our names) do not go together: they are "
                f"{_listed(list(shapes))}"
            ) from None
        yield name, joined


def _one_layer(state: State) -> dict[str, Tensor]:
    """Blocks, then segments of each MSAF joined; ValueError where they do not go together."""
    joined = dict(_joined(state))
    for prefix in {name[: name.index("segments.")] for name in joined if "segments." in name}:
        join_segments(joined, prefix)
    return joined


def _fit(state: State, wanted: State) -> dict[str, Tensor]:
    """Flat kernels get their one frame; counters that old versions of torch lack are zero."""
    fitted = dict(state)
    for name, like in wanted.items():
        tensor = state.get(name)
        if tensor is None:
            if name.endswith("num_batches_tracked"):
                fitted[name] = torch.zeros((), dtype=like.dtype)
        elif like.dim() == 5 and tensor.dim() == 4:
            fitted[name] = tensor.unsqueeze(2).to(like.dtype)
        else:
            fitted[name] = tensor.to(like.dtype)
    return fitted


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")

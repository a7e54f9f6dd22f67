"""Weights of the public reference: converted, they give the reference's own answers."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

import main
from models.checkpoint import CheckpointError
from models.files import SameFileError
from models.paper.convert import KINDS, ConversionError, convert
from models.paper.faults import Fault
from models.paper.weights import read_network
from realtime.errors import ExitCode
from tests.paper import restated


def channels_first(frames: Tensor) -> Tensor:
    return frames.permute(0, 4, 1, 2, 3)


def clip(steps: int = 16, size: int = 32) -> Tensor:
    return torch.rand(2, steps, size, size, 3)


def skeletons(steps: int = 16) -> Tensor:
    return torch.randn(2, 3, steps, 25, 2)


Inputs = list[Tensor]
CASES: dict[str, tuple[str, Callable[[], nn.Module], Callable[[], tuple[Inputs, Inputs]]]] = {}


def case(
    name: str, kind: str, build: Callable[[], nn.Module], inputs: Callable[[], Inputs], turn: object
) -> None:
    """Register the reference's network, its input, and how ours wants each input turned."""

    def both() -> tuple[Inputs, Inputs]:
        theirs = inputs()
        turns = turn if isinstance(turn, tuple) else (turn,) * len(theirs)
        return theirs, [t(x) if callable(t) else x for t, x in zip(turns, theirs, strict=True)]

    CASES[name] = (kind, build, both)


def swapped(x: Tensor) -> Tensor:
    return x.transpose(1, 2)


case(
    "ravdess",
    "ravdess",
    lambda: restated.Ravdess(8, 26),
    lambda: [torch.rand(2, 3, 4, 16, 16), torch.randn(2, 13, 212)],
    None,
)
case(
    "mosei",
    "mosei",
    restated.Mosei,
    lambda: [torch.randn(2, 50, channels) for channels in (35, 74, 768)],
    swapped,
)
case(
    "ntu, I3D",
    "ntu",
    lambda: restated.Ntu("i3d", 6, 16, size=1),
    lambda: [clip(), skeletons()],
    (channels_first, None),
)
case(
    "ntu, ResNet",
    "ntu",
    lambda: restated.Ntu("resnet50", 6, 32),
    lambda: [clip(2, 16), skeletons(32)],
    (channels_first, None),
)
case(
    "resnext3d",
    "resnext3d",
    lambda: restated.ResNeXt(5),
    lambda: [torch.rand(2, 3, 4, 16, 16)],
    None,
)
case("mfcc", "mfcc", lambda: restated.Mfcc(5, 7), lambda: [torch.randn(2, 13, 60)], None)
case("lstm", "lstm", lambda: restated.LstmNet(74, 64), lambda: [torch.randn(2, 9, 74)], swapped)
case("resnet50", "resnet50", lambda: restated.Visual(5), lambda: [clip(2, 16)], channels_first)
case("hcn", "hcn", lambda: restated.Skeleton(5, 16), lambda: [skeletons()], None)


FAULTS: dict[str, tuple[Fault, ...]] = {
    "ravdess": (Fault.STEM_WITHOUT_RELU,),
    "mosei": (),
    "ntu": (),
    "ntu, ResNet": (Fault.UNUSED_FIRST_FUSION,),
}
"""What the reference's networks have also when they are not trained."""


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", CASES)
def test_converted_weights_give_the_references_answers(name: str, tmp_path: Path) -> None:
    kind, build, both = CASES[name]
    reference = restated.unsettled(build())
    source, target = tmp_path / "original.pth", tmp_path / "ours.safetensors"
    torch.save(reference.state_dict(), source)
    convert(source, target, kind)
    read = read_network(target)
    assert read.origin["kind"] == kind
    if kind in FAULTS:
        assert read.config.faults == FAULTS.get(name, ())
    theirs, ours = ([x.double() for x in inputs] for inputs in both())
    with torch.inference_mode():
        expected = reference.double()(*theirs)
        answer = read.network().double()(*ours)
    answer = answer if isinstance(answer, Tensor) else answer.logits
    # Random attention over many blocks leaves little of the features: look at the last digits.
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-11)
    assert expected.std(dim=0).min() > 1e-8  # and the answers do depend on the input


def test_i3d_alone(tmp_path: Path) -> None:
    """Without running it: the fused network's test has done that."""
    reference = restated.I3D(7, 7)
    torch.save(reference.state_dict(), tmp_path / "i3d.checkpoint")
    file = convert(tmp_path / "i3d.checkpoint", tmp_path / "i3d.safetensors", "i3d")
    state = file.network().state_dict()
    assert torch.equal(
        state["late.mixed_5c.branch1.1.conv.weight"],
        reference.state_dict()["features.15.branch1.1.conv.weight"],
    )
    assert len(state) == len(reference.state_dict())


def test_reads_what_the_references_training_wrote(tmp_path: Path) -> None:
    """Weights beside scores of numpy's, from several GPUs, by an old torch."""
    network = restated.Mosei()
    states = {
        "epoch": 6,
        "model_state_dict": {
            f"module.{name}": each
            for name, each in network.state_dict().items()
            if "num_batches_tracked" not in name
        },
        "optimizer_state_dict": {"state": {}, "param_groups": [{"lr": 0.001, "params": [0]}]},
        "test_score": [np.float64(48.5), np.float32(80.1)],
    }
    source = tmp_path / "msaf_mosei_epoch6.pth"
    torch.save(states, source, _use_new_zipfile_serialization=False)
    read = convert(source, tmp_path / "mosei.safetensors", "mosei")
    weight = network.state_dict()["text_model.1.weight_hh_l0"]
    assert torch.equal(read.network().state_dict()["words.late.lstm.weight_hh_l0"], weight)
    assert read.origin["converted from"] == "msaf_mosei_epoch6.pth"


def test_a_state_dict_may_stand_under_the_name_model(tmp_path: Path) -> None:
    state = {name: each.double() for name, each in restated.LstmNet(35, 32).state_dict().items()}
    torch.save({"epoch": 3, "model": state}, tmp_path / "a.pth")
    read = convert(tmp_path / "a.pth", tmp_path / "a.safetensors", "lstm")
    weight = read.network().state_dict()["late.lstm.weight_hh_l0"]
    assert torch.equal(weight, state["lstm2.weight_hh_l0"].float())  # doubles become single


# -- errors -------------------------------------------------------------------------------------


def lstm_state() -> dict[str, object]:
    return dict(restated.LstmNet(35, 32).state_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.pop("lstm2.bias_hh_l0"),
            r"missing \(by our names\): late\.lstm\.bias_hh_l0\.",
        ),
        (lambda s: s.update(extra=torch.ones(2)), r"unexpected: extra\."),
        (
            lambda s: s.update({"lstm2.weight_hh_l0": torch.ones(3, 4)}),
            r"of another size: lstm2\.weight_hh_l0 is \(3, 4\) and not \(128, 32\)",
        ),
        (
            lambda s: s.update({"lstm2.weight_hh_l0": torch.full((128, 32), torch.nan)}),
            r"not finite: lstm2\.weight_hh_l0",
        ),
        (lambda s: s.update(epoch=3), "holds more than tensors: epoch"),
        (lambda s: s.clear(), "holds no state dict but a dict"),
    ],
)
def test_names_what_does_not_fit(
    change: Callable[[dict[str, object]], object], message: str, tmp_path: Path
) -> None:
    state = lstm_state()
    change(state)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(ConversionError, match=message):
        convert(tmp_path / "a.pth", tmp_path / "a.safetensors", "lstm")
    assert not (tmp_path / "a.safetensors").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_is_refused(kind: str, tmp_path: Path) -> None:
    torch.save({"somebody.elses": torch.ones(1)}, tmp_path / "a.pth")
    with pytest.raises(ConversionError, match=r"missing .* and \d+ more; unexpected: somebody"):
        convert(tmp_path / "a.pth", tmp_path / "a.safetensors", kind)


@pytest.mark.parametrize(
    ("kind", "name", "shape"),
    [
        ("mfcc", "fc1.weight", (8,)),
        ("mfcc", "fc1.weight", ()),
        ("mfcc", "fc1.weight", (0, 1664)),
        ("resnext3d", "fc.weight", ()),
        ("resnet50", "cnn.classifier.weight", ()),
        ("lstm", "lstm1.weight_ih_l0", (128,)),
        ("lstm", "lstm1.weight_ih_l0", (3, 35)),
        ("lstm", "lstm1.weight_ih_l0", ()),
        ("i3d", "features.18.weight", ()),
        ("hcn", "conv2.weight", ()),
        ("hcn", "conv2.weight", (0, 64, 3, 1)),
        ("ntu", "skeleton.fc8.weight", ()),
        ("ravdess", "video_model_blocks.2.2.weight", ()),
    ],
)
def test_sizes_that_say_nothing_are_told_like_others(
    kind: str, name: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    torch.save({name: torch.zeros(shape)}, tmp_path / "a.pth")
    told = rf"of another size: {re.escape(f'{name} is {shape} and not (')}"
    with pytest.raises(ConversionError, match=told):
        convert(tmp_path / "a.pth", tmp_path / "a.safetensors", kind)


@pytest.mark.parametrize("shape", [(16, 5), ()])
def test_blocks_that_do_not_go_together(shape: tuple[int, ...], tmp_path: Path) -> None:
    state = restated.Mosei().state_dict()
    state["msaf.0.blocks.2.dense_group.1.weight"] = torch.zeros(shape)
    torch.save(state, tmp_path / "a.pth")
    told = (
        "is not CMU-MOSEI, fused: the blocks of fusion.segments.2.excite.weight (by our names) "
        f"do not go together: they are (16, 8), {shape}"
    )
    with pytest.raises(ConversionError, match=re.escape(told)):
        convert(tmp_path / "a.pth", tmp_path / "a.safetensors", "mosei")


def test_two_names_of_the_same_weights_are_both_told(tmp_path: Path) -> None:
    state = restated.Visual(5).state_dict()
    known = next(name for name in state if name.endswith("classifier.weight"))
    state["fc.weight"] = torch.zeros_like(state[known])
    torch.save(state, tmp_path / "a.pth")
    told = f"there twice: {known} and fc.weight, both classify.fc.weight."
    with pytest.raises(ConversionError, match=re.escape(told)):
        convert(tmp_path / "a.pth", tmp_path / "a.safetensors", "resnet50")
    state = lstm_state()
    state["module.lstm1.bias_hh_l0"] = state["lstm1.bias_hh_l0"]
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(
        ConversionError, match=r"twice, with and without module\.: lstm1\.bias_hh_l0"
    ):
        convert(tmp_path / "a.pth", tmp_path / "a.safetensors", "lstm")


def test_the_source_is_never_written_over(tmp_path: Path) -> None:
    source, link = tmp_path / "same.pth", tmp_path / "link.safetensors"
    torch.save(lstm_state(), source)
    link.symlink_to(source)
    before = source.read_bytes()
    for target in (source, link):
        with pytest.raises(SameFileError, match="is the file to convert"):
            convert(source, target, "lstm")
    assert source.read_bytes() == before


def test_the_kind_that_fits_is_named(tmp_path: Path) -> None:
    torch.save(restated.Mfcc(5, 7).state_dict(), tmp_path / "a.pth")
    with pytest.raises(ConversionError, match=r"It is RAVDESS's voice branch: kind mfcc\.$"):
        convert(tmp_path / "a.pth", tmp_path / "a.safetensors", "lstm")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (nn.Linear(2, 2), "GLOBAL torch.nn.modules.linear.Linear was not an allowed global"),
        ({"state_dict": {}, "args": Namespace(a=1)}, "GLOBAL argparse.Namespace was not"),
        ({"state_dict": {}, "mean": np.ones(3)}, "GLOBAL numpy.*_reconstruct was not"),
        ({"net": {"a": torch.ones(2)}}, "holds more than tensors: net"),
    ],
)
def test_what_is_beside_weights_is_told_and_what_to_do(
    content: object, message: str, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "a.pth")
    told = rf"{message}.*torch\.save\(model\.state_dict\(\), "
    with pytest.raises(ConversionError, match=told):
        convert(tmp_path / "a.pth", tmp_path / "a.safetensors", "lstm")


class _Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("harmed"),))


def test_code_in_a_pickle_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"lstm1": _Harmful()}, "a.pth")
    with pytest.raises(ConversionError, match="no file of plain tensors"):
        convert(Path("a.pth"), Path("a.safetensors"), "lstm")
    assert not Path("harmed").exists()


def test_files_that_are_none(tmp_path: Path) -> None:
    target = tmp_path / "a.safetensors"
    (tmp_path / "text.pth").write_text("these are not the weights")
    for file in ("gone.pth", "", "text.pth"):
        arguments = ["convert", str(tmp_path / file), "--kind", "lstm", "--out", str(target)]
        result = CliRunner().invoke(main.app, arguments)
        assert result.exit_code == ExitCode.UNREADABLE_FILE
        assert str(tmp_path / file) in result.stderr
    assert result.stderr.endswith("is no file of plain tensors that torch wrote\n")
    with pytest.raises(ValueError, match="no kind 'lstn'; there are ravdess"):
        convert(tmp_path / "text.pth", target, "lstn")
    assert issubclass(ConversionError, CheckpointError)  # the program's exit code


def test_the_command_says_what_it_wrote_and_what_is_wrong(tmp_path: Path) -> None:
    source, target = tmp_path / "a.pth", tmp_path / "a.safetensors"
    torch.save(restated.LstmNet(35, 32).state_dict(), source)
    arguments = ["convert", str(source), "--out", str(target), "--kind"]
    result = CliRunner().invoke(main.app, [*arguments, "lstm"])
    assert result.exit_code == 0, result.output
    assert "17,313 parameters; faults of the public code that it keeps: none" in result.stdout
    assert isinstance(read_network(target).network(), nn.Module)
    result = CliRunner().invoke(main.app, [*arguments, "mfcc"])
    assert result.exit_code == ExitCode.DAMAGED_WEIGHTS
    assert "is not RAVDESS's voice branch" in result.stderr

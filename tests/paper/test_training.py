"""Training and scoring of the paper's networks on small data: protocols, kills, processes."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from typer.testing import CliRunner

import main
from models.checkpoint import Format
from models.paper.branch import Branch, layers
from models.paper.config import RavdessConfig
from models.paper.weights import RAVDESS
from models.training.data import DataError
from models.training.loop import RunContext
from models.training.paper.batches import Epoch, in_order, training_epochs
from models.training.paper.ntu import PAPER_SUBJECTS
from models.training.paper.pictures import PictureAugmentation
from models.training.paper.ravdess import RavdessPreparation
from models.training.paper.recipes import (
    RECIPES,
    NtuRecipe,
    RavdessRecipe,
    StageConfig,
    load_paper_recipe,
)
from models.training.paper.run import Protocol, Task, evaluate_task, train_task
from models.training.paper.scores import class_figures
from models.training.paper.tasks import ntu_task, ravdess_task
from models.training.scores import confusion, recalls, spread
from models.training.settings import RecipeError, StageError
from realtime.errors import ExitCode
from tests.conftest import ROOT
from tests.paper.datasets import BrightFace, mosei, ntu, ravdess

pytest.importorskip("h5py")


class Said(NamedTuple):
    logits: torch.Tensor


class SmallNet(nn.Module):
    """Stands in for the paper's network where that one's size would only cost time."""

    def __init__(self) -> None:
        super().__init__()
        self.face = Branch(
            early=layers(conv=nn.Conv3d(3, 4, 3), norm=nn.BatchNorm3d(4)),
            late=nn.AdaptiveAvgPool3d(1),
            classify=layers(flat=nn.Flatten(), drop=nn.Dropout(0.5), fc=nn.Linear(4, 8)),
        )
        self.voice = Branch(
            early=layers(conv=nn.Conv1d(13, 4, 9)),
            late=nn.AdaptiveAvgPool1d(1),
            classify=layers(flat=nn.Flatten(), fc=nn.Linear(4, 8)),
        )

    def forward(self, clips: torch.Tensor, mfcc: torch.Tensor) -> Said:
        return Said(self.face(clips) + self.voice(mfcc))


QUICK = StageConfig(epochs=2, batch_size=4, learning_rate=1e-3)
TINY = RavdessRecipe(
    folds=3,
    network=RavdessConfig(depths=(1, 1, 1, 1)),
    preparation=RavdessPreparation(pictures=6, size=32, looks=2),
    face=replace(QUICK, epochs=1),
    voice=QUICK,
    fusion=QUICK,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ravdess(tmp_path_factory.mktemp("ravdess"), (1, 2, 3), (1, 5))


def context_of(root: Path, work: Path) -> RunContext:
    return RunContext(data_root=root, work_dir=work, device=torch.device("cpu"))


def task_of(context: RunContext, recipe: RavdessRecipe, protocol: Protocol) -> Task:
    small = Format(
        name=RAVDESS.name, config=RavdessConfig, build=lambda _: SmallNet(), source=RAVDESS.source
    )
    return replace(ravdess_task(context, recipe, protocol, 1, BrightFace), format=small)


def train(
    context: RunContext, recipe: RavdessRecipe, protocol: Protocol, *folds: int
) -> list[Path]:
    return train_task(task_of(context, recipe, protocol), context, protocol, folds)


@pytest.fixture(scope="module")
def trained(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Work folder with the first honest fold, trained to its end."""
    work = tmp_path_factory.mktemp("work")
    (weights,) = train(context_of(root, work), TINY, Protocol.HONEST, 1)
    assert weights == work / "honest" / "fold-1" / "weights.safetensors"
    return work


def weights_in(work: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(work / "honest" / "fold-1" / "weights.safetensors")


def test_from_videos_to_figures(root: Path, trained: Path) -> None:
    context = context_of(root, trained)
    results = evaluate_task(task_of(context, TINY, Protocol.HONEST), context, Protocol.HONEST, (1,))
    assert json.loads((trained / "honest" / "results-fold-1.json").read_text()) == results
    assert results["protocol"] == "honest"
    assert results["epoch_chosen_by"] == "the next fold's actors"
    assert results["data"].endswith(" of 1,440 official recordings")
    assert int(results["data"].split()[0]) == len(list(root.rglob("*.mp4")))
    fold = results["folds"]["fold-1"]
    assert (fold["people"], fold["samples"]) == ("actor 01", 2)
    together = results["together"]
    assert sum(map(sum, together["confusion"])) == 2
    assert set(together["recall"]) == {"neutral", "angry"}
    assert set(together["accuracy_by_sex"]) == {"male"}
    logs = sorted(path.parent.name for path in trained.rglob("log.jsonl"))
    assert logs == ["face", "fusion", "voice"]
    with pytest.raises(StageError, match=r"fold-2 has not been trained.*run `train ravdess` first"):
        evaluate_task(task_of(context, TINY, Protocol.HONEST), context, Protocol.HONEST)
    with pytest.raises(StageError, match="run `train ravdess --protocol paper` first"):
        evaluate_task(task_of(context, TINY, Protocol.PAPER), context, Protocol.PAPER)
    task = task_of(context, TINY, Protocol.HONEST)
    (fold, *_) = task.folds  # its network learned from some of the people of a larger one
    larger = replace(fold, test=fold.test + fold.train[:2], people="actors 01–02")
    with pytest.raises(RecipeError, match=r"people then: actor 01; now: actors 01–02\): give"):
        evaluate_task(replace(task, folds=(larger,)), context, Protocol.HONEST)
    other = replace(TINY, augmentation=replace(TINY.augmentation, mirrored=0.0))
    with pytest.raises(RecipeError, match="on other samples, folds or settings of the data"):
        evaluate_task(task_of(context, other, Protocol.HONEST), context, Protocol.HONEST, (1,))
    other = replace(TINY, network=RavdessConfig())
    with pytest.raises(RecipeError, match="trained with other settings of the network"):
        evaluate_task(task_of(context, other, Protocol.HONEST), context, Protocol.HONEST, (1,))
    with pytest.raises(RecipeError, match="no fold 4; ravdess has 1 to 3"):
        train(context, TINY, Protocol.HONEST, 4)


def test_what_is_wrong_is_said_before_samples_are_prepared(root: Path, tmp_path: Path) -> None:
    context = context_of(root, tmp_path)
    for protocol in Protocol:
        task = task_of(context, TINY, protocol)
        with pytest.raises(RecipeError, match="no fold 9; ravdess has 1 to 3"):
            train_task(task, context, protocol, (9,))
        with pytest.raises(StageError, match="has not been trained to its end"):
            evaluate_task(task, context, protocol)
        last = task.stages[-1]
        single = replace(last, settings=replace(last.settings, batch_size=1))
        with pytest.raises(RecipeError, match="batch_size = 1 is less than 2 samples"):
            train_task(replace(task, stages=(single,)), context, protocol)
    assert not (tmp_path / "prepared").exists()


def test_the_papers_network_itself(root: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "prepared", tmp_path / "prepared")
    context = context_of(root, tmp_path)
    once = replace(QUICK, epochs=1)
    recipe = replace(TINY, face=once, voice=once, fusion=once)
    task = ravdess_task(context, recipe, Protocol.HONEST, 1, BrightFace)
    train_task(task, context, Protocol.HONEST, (3,))
    results = evaluate_task(task, context, Protocol.HONEST, (3,))
    assert results["together"]["samples"] == 2


def test_as_many_mfcc_are_prepared_as_the_network_takes(root: Path, tmp_path: Path) -> None:
    for coefficients in (13, 20):
        network = replace(TINY.network, coefficients=coefficients)
        context, recipe = context_of(root, tmp_path), replace(TINY, network=network)
        task = ravdess_task(context, recipe, Protocol.HONEST, 1, BrightFace)
        task.prepare()
        voice = task.samples.sample(0, None, 1)[1]
        built = task.format.build(task.config).eval()
        assert task.stages[1].part(built)(voice[None]).shape == (1, 8)


def test_the_fusion_begins_with_the_trained_branches(trained: Path) -> None:
    fold = trained / "honest" / "fold-1"
    face = torch.load(fold / "face" / "state.pt", weights_only=True)["best_weights"]
    fusion = torch.load(fold / "fusion" / "state.pt", weights_only=True)["model"]
    moved = [
        float((fusion[f"face.{name}"] - tensor).abs().max())
        for name, tensor in face.items()
        if tensor.dim() == 5
    ]
    assert 0 < max(moved) < 0.01  # a few steps of Adam away, where another start would be far


def test_a_finished_fold_passes_at_once(root: Path, trained: Path) -> None:
    before = weights_in(trained)
    logs = {path: path.read_text() for path in trained.rglob("log.jsonl")}
    train(context_of(root, trained), TINY, Protocol.HONEST, 1)
    torch.testing.assert_close(weights_in(trained), before, rtol=0, atol=0)
    assert {path: path.read_text() for path in trained.rglob("log.jsonl")} == logs


class Killed(BaseException):
    """What a kill looks like from inside."""


def test_killed_and_resumed_is_the_same_as_uninterrupted(
    root: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained / "prepared", tmp_path / "prepared")
    for stage in ("face", "voice"):
        shutil.copytree(
            trained / "honest" / "fold-1" / stage, tmp_path / "honest" / "fold-1" / stage
        )
    context = context_of(root, tmp_path)
    original = Epoch.__iter__
    begun = []

    def dies_in_the_second_epoch(self: Epoch) -> Iterator[tuple[torch.Tensor, ...]]:
        begun.append(self._seed)
        if begun[-1] == (TINY.seed, 1):
            raise Killed
        yield from original(self)

    monkeypatch.setattr(Epoch, "__iter__", dies_in_the_second_epoch)
    with pytest.raises(Killed):
        train(context, TINY, Protocol.HONEST, 1)
    assert begun[0] == (TINY.seed, 0)
    assert not (tmp_path / "honest" / "fold-1" / "weights.safetensors").exists()
    monkeypatch.setattr(Epoch, "__iter__", original)
    train(context, TINY, Protocol.HONEST, 1)
    torch.testing.assert_close(weights_in(tmp_path), weights_in(trained), rtol=0, atol=0)


def test_other_settings_are_begun_again(root: Path, trained: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(trained, work)
    other = replace(TINY, fusion=replace(QUICK, epochs=1, learning_rate=1e-2))
    train(context_of(root, work), other, Protocol.HONEST, 1)
    fold = work / "honest" / "fold-1"
    assert len((fold / "fusion" / "log.jsonl").read_text().splitlines()) == 1
    kept = (fold / "face" / "log.jsonl").read_text()
    assert kept == (trained / "honest" / "fold-1" / "face" / "log.jsonl").read_text()
    drawn = replace(other, augmentation=PictureAugmentation(mirrored=0.1))
    train(context_of(root, work), drawn, Protocol.HONEST, 1)
    assert (fold / "face" / "log.jsonl").read_text() != kept


def test_the_papers_protocol_chooses_on_the_test_people(
    root: Path, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "prepared", tmp_path / "prepared")
    context = context_of(root, tmp_path)
    short = replace(TINY, face=replace(QUICK, epochs=1), voice=replace(QUICK, epochs=1))
    (weights,) = train(context, short, Protocol.PAPER, 2)
    assert weights.parent == tmp_path / "paper" / "fold-2"
    task = task_of(context, short, Protocol.PAPER)
    results = evaluate_task(task, context, Protocol.PAPER, (2,))
    assert "optimistic" in results["epoch_chosen_by"]
    log = (weights.parent / "fusion" / "log.jsonl").read_text().splitlines()
    best = max(json.loads(line)["accuracy"] for line in log)
    assert results["folds"]["fold-2"]["accuracy"] == pytest.approx(best)


def test_the_lowest_loss_may_choose_the_epoch(root: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "prepared", tmp_path / "prepared")
    context = context_of(root, tmp_path)
    task = task_of(context, replace(TINY, fusion=replace(QUICK, epochs=4)), Protocol.PAPER)
    stage = replace(task.stages[-1], by_loss=True)
    train_task(replace(task, stages=(stage,)), context, Protocol.PAPER, (1,))
    folder = tmp_path / "paper" / "fold-1" / "fusion"
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    best = max(log, key=lambda each: each["minus_chooser_loss"])
    kept = torch.load(folder / "state.pt", weights_only=True)["best"]
    assert kept["epoch"] == best["epoch"]
    assert all(each["minus_chooser_loss"] < 0 for each in log)


def test_ntu_s_fusion_is_chosen_as_in_the_authors_code(tmp_path: Path) -> None:
    root = ntu(tmp_path / "data", (1, *sorted(PAPER_SUBJECTS)[:1], 2, 40), (1, 2))
    context = context_of(root, tmp_path / "work")
    config = settings_file(tmp_path / "mine.toml", NTU_SETTINGS)
    recipe = load_paper_recipe("ntu", config)
    assert isinstance(recipe, NtuRecipe)
    for protocol in Protocol:
        task = ntu_task(context, recipe, protocol, 1)
        chosen_by = {stage.name: stage.by_loss for stage in task.stages}
        paper = protocol is Protocol.PAPER
        assert chosen_by == {"rgb": False, "skeleton": False, "fusion": paper}
        assert task.found == "8 of 56,578 official samples"


@pytest.mark.parametrize("told", [True, False])
def test_the_skeleton_branch_learns_from_the_persons_who_are_there(
    tmp_path: Path, told: bool
) -> None:
    root = ntu(tmp_path / "data", (1, 2, 3))
    config = settings_file(tmp_path / "mine.toml", NTU_SETTINGS)
    recipe = load_paper_recipe("ntu", config)
    assert isinstance(recipe, NtuRecipe)
    recipe = replace(recipe, tell_absent=told)
    task = ntu_task(context_of(root, tmp_path / "work"), recipe, Protocol.HONEST, 1)
    stage = {each.name: each for each in task.stages}["skeleton"]
    network = task.format.build(task.config).eval()
    nn.init.ones_(
        network.get_parameter("skeleton.late.conv6.0.bias")
    )  # which answers to a skeleton of zeros
    skeletons = torch.randn(2, 3, recipe.network.steps, 25, 2)
    skeletons[..., 1] = 0.0
    there = torch.tensor([[True, True, False]] * 2)
    batch = (torch.empty(0), skeletons, there, torch.tensor([0, 1]))
    of = skeletons[..., :1] if told else skeletons
    torch.testing.assert_close(stage.answer(network.skeleton, batch), network.skeleton(of))
    other = skeletons if told else skeletons[..., :1]
    assert not torch.allclose(network.skeleton(of), network.skeleton(other))
    loss = nn.functional.cross_entropy(network.skeleton(of), batch[-1])
    torch.testing.assert_close(stage.loss(network.skeleton, batch), loss)


def test_a_branch_begins_with_weights_from_elsewhere(
    root: Path, trained: Path, tmp_path: Path
) -> None:
    task = task_of(context_of(root, trained), TINY, Protocol.HONEST)
    network: Any = task.format.build(task.config)
    tensors = dict(network.voice.state_dict())
    path = tmp_path / "voice.safetensors"
    shutil.copytree(trained / "prepared", tmp_path / "prepared")
    shutil.copytree(trained / "honest" / "fold-1" / "face", tmp_path / "honest/fold-1/face")

    def begin() -> None:
        voice = replace(QUICK, epochs=1, learning_rate=1e-9, initial=str(path))
        recipe = replace(TINY, voice=voice, fusion=replace(QUICK, epochs=1))
        train(context_of(root, tmp_path), recipe, Protocol.HONEST, 1)

    with pytest.raises(DataError, match="the weights to begin with are not there"):
        begin()
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="the weights to begin with cannot be read"):
        begin()
    name = next(name for name in tensors if name.startswith("early") and tensors[name].dim() == 3)
    safetensors.torch.save_file({**tensors, name: torch.zeros(1)}, path)
    with pytest.raises(DataError, match=f"does not fit this branch: {name}"):
        begin()
    head = next(name for name in tensors if name.startswith("classify") and name.endswith("weight"))
    tensors[head] = torch.zeros(400, 3)  # of other classes: begun at random
    for value in (0.25, 0.5):  # the same file with other weights is begun with anew
        tensors[name] = torch.full_like(tensors[name], value)
        safetensors.torch.save_file(tensors, path)
        begin()
        state = torch.load(tmp_path / "honest/fold-1/voice/state.pt", weights_only=True)
        torch.testing.assert_close(state["model"][name], tensors[name], atol=1e-5, rtol=0)


# Batches.


class Numbers:
    """Sample i is i; drawn samples are i and a random number."""

    keys = tuple(str(i) for i in range(11))

    def __len__(self) -> int:
        return 11

    def sample(
        self, index: int, rng: np.random.Generator | None, only: int | None = None
    ) -> tuple[torch.Tensor, ...]:
        drawn = 0.0 if rng is None else rng.random()
        return torch.tensor(index), torch.tensor(drawn)


def test_an_epoch_is_the_same_for_any_number_of_workers() -> None:
    device = torch.device("cpu")
    rows = list(range(11))
    taken = []
    for workers in (0, 1, 3):
        epochs = training_epochs(Numbers(), rows, 4, 7, device, workers)
        batches = list(epochs(5))
        assert len(epochs(5)) == len(batches) == 3
        assert sorted(torch.cat([batch[0] for batch in batches]).tolist()) == rows
        taken.append(torch.cat([torch.stack(batch) for batch in batches], dim=1))
        assert not torch.equal(next(iter(epochs(6)))[0], batches[0][0])
    assert torch.equal(taken[0], taken[1])
    assert torch.equal(taken[0], taken[2])
    plain = list(in_order(Numbers(), [3, 1, 2], 2, device, 2))
    assert [batch[0].tolist() for batch in plain] == [[3, 1], [2]]


def test_an_epoch_that_is_left_early_leaves_no_thread() -> None:
    for _batch in training_epochs(Numbers(), range(11), 2, 0, torch.device("cpu"), 2)(0):
        break


def test_processes_share_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cpu")
    alone = [
        batch[0].tolist() for batch in training_epochs(Numbers(), range(11), 5, 0, device, 0)(0)
    ]
    monkeypatch.setattr("models.training.distributed.world_size", lambda: 2)
    parts = []
    for rank in range(2):
        monkeypatch.setattr("models.training.distributed.rank", lambda rank=rank: rank)
        epoch = training_epochs(Numbers(), range(11), 5, 0, device, 0)(0)
        parts.append([batch[0].tolist() for batch in epoch])
    assert [one + two for one, two in zip(*parts, strict=True)] == alone[:2]
    monkeypatch.setattr("models.training.distributed.world_size", lambda: 3)
    with pytest.raises(RecipeError, match=r"batch_size = 5 is less than 2 .* each of 3 .* to 6"):
        training_epochs(Numbers(), range(11), 5, 0, device, 0)


def test_too_small_a_batch_is_refused_before_anything_is_trained(
    root: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained / "prepared", tmp_path / "prepared")
    monkeypatch.setattr("models.training.distributed.world_size", lambda: 2)
    recipe = replace(TINY, fusion=replace(QUICK, batch_size=3))
    with pytest.raises(RecipeError, match="batch_size = 3 is less than 2 samples for each of 2"):
        train(context_of(root, tmp_path), recipe, Protocol.HONEST, 1)
    assert not (tmp_path / "honest").exists()


# Figures.


def test_class_figures_by_hand() -> None:
    labels = np.array([0, 0, 0, 2])
    logits = np.eye(3, dtype=np.float32)[[0, 0, 2, 2]]
    figures = class_figures(logits, labels)
    assert figures["accuracy"] == 0.75
    assert figures["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    said = logits.argmax(axis=1)
    assert confusion(said, labels, 3).tolist() == [[2, 0, 1], [0, 0, 0], [0, 0, 1]]
    assert recalls(said, labels, ("a", "b", "c")) == {"a": pytest.approx(2 / 3), "c": 1.0}
    assert spread([1.0, 3.0]) == {"mean": 2.0, "deviation": pytest.approx(2**0.5)}
    assert spread([1.0])["deviation"] == 0.0


# Settings.


@pytest.mark.parametrize("task", RECIPES)
def test_the_settings_that_come_with_the_project_are_the_defaults(task: str) -> None:
    assert load_paper_recipe(task) == RECIPES[task]()


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        *((task, f"seed = {2**32}", "seed must be 0 to 4294967295, not") for task in RECIPES),
        ("ntu", "split = 'by moon'", "split must be cross-subject or cross-view, not 'by moon'"),
        ("ravdess", "[fusion]\nepochs = 0", r"\[fusion\] epochs must be above 0, not 0"),
        ("mosei", "[preparation]\nsteps = 0", "steps must be at least 1, not 0"),
        ("ravdess", "[network]\nfaults = ['gremlins']", "gremlins"),
        ("ravdess", "[augmentation]\nleast_area = 2.0", "least_area must be above 0 and at most 1"),
        ("ravdess", "[network]\nlowest_attention = 2.0", r"\[network\] .* in \[0, 1\], not 2\.0"),
        (
            "ravdess",
            "[network]\nsteps = 220",
            r"network.steps = 220, but \[preparation\] gives 212",
        ),
        ("ravdess", "[preparation]\nsound_seconds = 3.0", r"= 212, but \[preparation\] gives 259"),
        ("ravdess", "[network]\ncoefficients = 129", "coefficients must be at most 128, not 129"),
        ("ravdess", "[network]\nclasses = 6", "network.classes = 6, but the data has 8"),
        ("ravdess", "[network]\nsteps = 9", "9 steps of MFCC are too few"),
        ("mosei", "[network]\nreduction = 3", "block_channels 16 is not a multiple of reduction 3"),
        ("mosei", "[network]\nsegments = 60", "steps = 50 cannot fill network.segments = 60"),
        ("mosei", "[network]\nchannels = [35, 74, 300]", r"but the data has \(35, 74, 768\)"),
        ("mosei", "[network]\noutputs = 2", "network.outputs = 2, but the data has 1"),
        ("ntu", "[taking]\nsteps = 48", r"network.steps = 32, but \[taking\] gives 48"),
        ("ntu", "[network]\nsteps = 20", "steps must be a multiple of 16, not 20"),
        ("ntu", "[network]\nblock_dropout = 1.0", r"block_dropout must be in \[0, 1\), not 1\.0"),
        ("ntu", "[network]\nclasses = 12", "network.classes = 12, but the data has 60"),
        ("ntu", "[network]\nfaults = ['batch-of-one']", "Set tell_absent = false with it"),
        ("mosei", "[network]\nfaults = ['lost-steps']", "Set tell_absent = false with it"),
        ("ntu", "[preparation]\npictures = 8", "pictures must be at least 16 for I3D, not 8"),
    ],
)
def test_a_bad_setting_is_explained(tmp_path: Path, task: str, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        load_paper_recipe(task, path)


# The command line.

Run = Callable[..., Any]


@pytest.fixture
def run() -> Run:
    def invoke(*arguments: object) -> Any:
        return CliRunner().invoke(main.app, [str(each) for each in arguments])

    return invoke


def settings_file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


MOSEI_SETTINGS = "[fusion]\nepochs = 2\nbatch_size = 4\nlearning_rate = 1e-3\n"


def test_other_files_are_prepared_and_trained_anew(run: Run, tmp_path: Path) -> None:
    counts = {"train": 5, "validation": 2, "test": 3}
    root, other = (mosei(tmp_path / name, counts) for name in ("data", "other"))
    (vectors,) = other.rglob("*BERT.csd")
    with vectors.open("ab") as file:  # the same videos in a file of another size
        file.write(b"\0")
    config = settings_file(tmp_path / "mine.toml", MOSEI_SETTINGS)
    work = ["--work-dir", tmp_path / "work", "--config", config]
    assert run("train", "mosei", "--root", root, *work).exit_code == 0
    refused = run("evaluate", "mosei", "--root", other, *work)
    assert refused.exit_code == ExitCode.WRONG_USE
    assert "was trained on other samples, folds or settings of the data" in refused.stderr
    assert run("evaluate", "mosei", "--root", root, *work).exit_code == 0
    again = run("train", "mosei", "--root", other, *work)
    assert again.exit_code == 0
    assert "resuming" not in again.stderr
    assert run("evaluate", "mosei", "--root", other, *work).exit_code == 0


def test_a_damaged_state_is_named(root: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "work")
    state = tmp_path / "work/honest/fold-1/voice/state.pt"
    for content in (b"", state.read_bytes()[:1000]):
        state.write_bytes(content)
        with pytest.raises(DataError, match=r"state\.pt cannot be read .*: delete it"):
            train(context_of(root, tmp_path / "work"), TINY, Protocol.HONEST, 1)


def test_mosei_from_the_command_line(run: Run, tmp_path: Path) -> None:
    root = mosei(tmp_path / "data", {"train": 5, "validation": 2, "test": 3})
    config = settings_file(tmp_path / "mine.toml", MOSEI_SETTINGS)
    options = ["--root", root, "--work-dir", tmp_path / "work", "--config", config]
    early = run("evaluate", "mosei", *options)
    assert early.exit_code == ExitCode.NO_TRAINING_DATA
    assert "run `train mosei` first" in early.stderr
    result = run("train", "mosei", *options, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "weights.safetensors" in result.stdout
    scored = run("evaluate", "mosei", *options)
    assert scored.exit_code == 0, scored.output
    for word in ("accuracy_2", "mae", "correlation", "official validation fold"):
        assert word in scored.stdout
    log = (tmp_path / "work" / "honest" / "official" / "fusion" / "log.jsonl").read_text()
    for epoch in map(json.loads, log.splitlines()):
        assert epoch["minus_mae"] == -epoch["mae"]  # the lowest error chooses
    figures = json.loads((tmp_path / "work" / "honest" / "results.json").read_text())
    assert figures["together"]["samples"] == 6
    assert "of 3,228 official videos (train " in figures["data"]
    assert " of 678)" in figures["data"]


NTU_SETTINGS = """\
[preparation]
pictures = 16
size = 32
[rgb]
epochs = 1
batch_size = 4
learning_rate = 1e-4
[skeleton]
epochs = 1
batch_size = 4
learning_rate = 1e-4
[fusion]
epochs = 1
batch_size = 4
learning_rate = 1e-4
"""


def test_ravdess_is_searched_for_faces_by_the_program_s_own_detector(
    run: Run, root: Path, tmp_path: Path
) -> None:
    config = settings_file(tmp_path / "mine.toml", "folds = 3\n")
    options = ["--root", root, "--work-dir", tmp_path / "work", "--config", config]
    result = run("train", "ravdess", *options, "--device", "cpu", "--workers", 1)
    assert result.exit_code == ExitCode.NO_TRAINING_DATA, result.output
    assert "no face found" in result.stderr  # in bright squares


def test_ntu_from_the_command_line(run: Run, tmp_path: Path) -> None:
    root = ntu(tmp_path / "data", (1, 2, 3))
    config = settings_file(tmp_path / "mine.toml", NTU_SETTINGS)
    options = ["--root", root, "--work-dir", tmp_path / "work", "--config", config]
    result = run("train", "ntu", *options, "--device", "cpu", "--workers", 2)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "work" / "honest" / "cross-subject" / "weights.safetensors").is_file()
    scored = run("evaluate", "ntu", *options)
    assert scored.exit_code == 0, scored.output
    assert "persons 2, 5, 9, 14" in " ".join(scored.stdout.split())
    assert (tmp_path / "work" / "honest" / "results-cross-subject.json").is_file()
    lacking = run("train", "ntu", *options, "--split", "cross-view", "--protocol", "paper")
    assert lacking.exit_code == ExitCode.NO_TRAINING_DATA
    assert "cross-subject only" in lacking.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("train", "ravdess"), ExitCode.NO_TRAINING_DATA, "is no folder: --root names"),
        (("evaluate", "ntu"), ExitCode.NO_TRAINING_DATA, "is no folder: --root names"),
        (("train", "mosei", "--split", "cross-view"), ExitCode.WRONG_USE, "only NTU RGB+D"),
        (("train", "mosei", "--config", "gone.toml"), ExitCode.WRONG_USE, "does not exist"),
        (("train", "ravdess", "--protocol", "lucky"), ExitCode.WRONG_USE, "lucky"),
    ],
)
def test_wrong_use(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], code: ExitCode, sentence: str
) -> None:
    folders = ["--root", tmp_path / "nowhere", "--work-dir", tmp_path / "work"]
    result = run(*arguments, *folders)
    assert result.exit_code == code
    assert sentence in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("task", "stages"),
    [("mosei", {"fusion": 2}), ("ntu", {"rgb": 1, "skeleton": 1, "fusion": 1})],
)
def test_two_processes_train_one_network(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    stages: dict[str, int],
) -> None:
    """As torchrun starts them, but the first is this process, which spares its imports."""
    if task == "mosei":
        root = mosei(tmp_path / "data", {"train": 5, "validation": 2, "test": 1})
        text = MOSEI_SETTINGS
    else:
        root, text = ntu(tmp_path / "data", (1, 2, 3)), NTU_SETTINGS
    config = settings_file(tmp_path / "mine.toml", text)
    options = ["--root", str(root), "--work-dir", str(tmp_path / "work"), "--config", str(config)]
    command = ["train", task, *options, "--device", "cpu", "--workers", "1"]
    two_processes(run, monkeypatch, command, says="weights.safetensors")
    (fold,) = (tmp_path / "work" / "honest").iterdir()
    for stage, epochs in stages.items():
        log = [json.loads(line) for line in (fold / stage / "log.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in log] == list(range(1, epochs + 1))  # one process wrote
    weights = safetensors.torch.load_file(fold / "weights.safetensors")
    best = torch.load(fold / "fusion" / "state.pt", weights_only=True)["best_weights"]
    torch.testing.assert_close(weights, best, rtol=0, atol=0)
    if task == "ntu":  # whose samples are prepared only once it is known that there are weights
        shutil.rmtree(tmp_path / "work" / "prepared")
        command = ["evaluate", task, *options, "--device", "cpu", "--workers", "1"]
        two_processes(run, monkeypatch, command, says="protocol honest")


def two_processes(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: list[str], *, says: str
) -> None:
    """Run `command` on two processes, of which the first `says` something, the second nothing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    rendezvous = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    second = subprocess.Popen(
        [sys.executable, "main.py", *command],
        cwd=ROOT,
        env={**os.environ, **rendezvous, "RANK": "1", "LOCAL_RANK": "1", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for name, value in {**rendezvous, "RANK": "0", "LOCAL_RANK": "0"}.items():
            monkeypatch.setenv(name, value)
        first = run(*command)
        out, err = second.communicate(timeout=120)
    finally:
        second.kill()
    assert first.exit_code == second.returncode == 0, first.output + err
    assert says in first.stdout
    assert out == "", "the second process writes nothing"

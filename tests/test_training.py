"""Training from end to end on tiny invented data, and what happens when it is killed."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn

from models.attention import modality_share
from models.checkpoint import LIVE
from models.config import FaceTrunkConfig, LiveNetConfig, VoiceEncoderConfig
from models.live import FusionHead, FusionOutput, LiveNet
from models.training import loop
from models.training.data import ACTORS, OTHER_FOLDS, DataError, VoiceClip, without
from models.training.live import fusion, fusion_answers, fusion_features, fusion_pairs
from models.training.live.calibration import (
    calibration_error_floor,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
)
from models.training.live.evaluate import evaluate_live
from models.training.live.face import FaceStageConfig
from models.training.live.fusion import head_made_for
from models.training.live.fusion_features import FaceFeatures, VoiceFeatures, face_sequence
from models.training.live.fusion_pairs import TrainingPairs, evaluation_batches, paired_voices
from models.training.live.fusion_settings import FusionStageConfig
from models.training.live.model_card import _dropout, model_card
from models.training.live.recipe import LiveRecipe, load_recipe
from models.training.live.train import (
    start_from_branches,
    take_stage,
    train_live,
    with_temperatures,
)
from models.training.live.voice import VoiceTask, _FrozenStates, train_voice
from models.training.live.voice_settings import VoiceStageConfig
from models.training.live.voice_windows import augmented_mels
from models.training.loop import RunContext, begin_stage
from models.training.settings import RecipeError, StageError
from models.voice import VoiceClassifier, VoiceEncoder

soundfile = pytest.importorskip("soundfile")

TINY = LiveRecipe(
    network=LiveNetConfig(
        face=FaceTrunkConfig(resolution=32, channels=16),
        voice=VoiceEncoderConfig(width=16, layers=2, heads=2, channels=16, halved_after=1),
    ),
    face=FaceStageConfig(
        initial="random", cycles=(1,), coarse_epochs=0, batch_size=16, warm_up_steps=1
    ),
    voice=VoiceStageConfig(
        initial="random", frozen_variants=1, frozen_epochs=1, epochs=1, batch_size=8
    ),
    fusion=FusionStageConfig(
        epochs=2,
        batch_size=8,
        pairs_per_epoch=16,
        faces_per_class=3,
        evaluation_faces_per_class=2,
        key_images=3,
        voice_seconds=(3.0, 1.5),
    ),
)


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FER+ and RAVDESS in their layout: a few pictures of noise, a few hums."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(8), 6)
    votes = np.zeros((48, 10), dtype=np.uint8)
    votes[np.arange(48), labels] = 8
    votes[np.arange(48), (labels + 1) % 8] = 2
    np.savez(
        root / "ferplus.npz",
        images=rng.integers(0, 255, size=(48, 48, 48), dtype=np.uint8),
        votes=votes,
        split=np.repeat([0, 1, 2], 16).astype(np.uint8),
        vote_labels=np.array(["label"] * 10),
    )
    folder = root / "ravdess_speech"
    folder.mkdir()
    time = np.arange(24000) / 16000
    for actor in (1, 2, 3, 8, 10, 17, 22):
        for emotion in range(1, 9):
            tone = np.sin(2 * np.pi * (100 + 40 * emotion + actor) * time) * np.hanning(24000)
            path = folder / f"03-01-{emotion:02d}-01-01-01-{actor:02d}.flac"
            soundfile.write(path, 0.3 * tone + rng.normal(scale=1e-3, size=24000), 16000)
    return root


def context_of(data_root: Path, work_dir: Path) -> RunContext:
    return RunContext(data_root=data_root, work_dir=work_dir, device=torch.device("cpu"))


@pytest.fixture(scope="module")
def trained(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Work folder of a complete run, its weights in `live.safetensors`."""
    work = tmp_path_factory.mktemp("work")
    train_live(context_of(data_root, work), TINY, weights=work / "live.safetensors")
    return work


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(path)


def test_from_data_to_weights(trained: Path) -> None:
    checkpoint = LIVE.read(trained / "live.safetensors")
    expected = replace(TINY.network, temperatures=checkpoint.config.temperatures)
    assert checkpoint.config == expected
    assert checkpoint.config.temperatures != (1.0, 1.0, 1.0)
    assert {"data", "terms", "starting points"} <= set(checkpoint.origin)
    network = checkpoint.network()
    present = torch.tensor([[True, True]])
    with torch.inference_mode():
        output = network(torch.rand(1, 3, 1, 48, 48), torch.randn(1, 80, 100), present)
    assert output.logits.isfinite().all()


def test_a_finished_run_passes_at_once_and_changes_nothing(data_root: Path, trained: Path) -> None:
    logs = {path: path.read_text() for path in trained.rglob("log.jsonl")}
    again = trained / "again.safetensors"
    train_live(context_of(data_root, trained), TINY, weights=again)
    torch.testing.assert_close(
        weights_of(again), weights_of(trained / "live.safetensors"), rtol=0, atol=0
    )
    assert {path: path.read_text() for path in trained.rglob("log.jsonl")} == logs


class Killed(BaseException):
    """What a kill looks like from inside."""


def test_killed_and_resumed_is_the_same_as_uninterrupted(
    data_root: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stage in ("face", "voice", "voice-final"):
        shutil.copytree(trained / stage, tmp_path / stage)
    context = context_of(data_root, tmp_path)
    original = TrainingPairs.__iter__
    started = []

    def dies_in_the_second_epoch(self: TrainingPairs) -> Iterator[fusion_pairs.PairBatch]:
        started.append(self.seed)
        for index, batch in enumerate(original(self)):
            if len(started) == 2 and index == 1:
                raise Killed
            yield batch

    monkeypatch.setattr(TrainingPairs, "__iter__", dies_in_the_second_epoch)
    stages = ("fusion", "final")
    with pytest.raises(Killed):
        train_live(context, TINY, stages, weights=tmp_path / "live.safetensors")
    monkeypatch.setattr(TrainingPairs, "__iter__", original)
    assert not (tmp_path / "live.safetensors").exists()
    train_live(context, TINY, stages, weights=tmp_path / "live.safetensors")
    torch.testing.assert_close(
        weights_of(tmp_path / "live.safetensors"),
        weights_of(trained / "live.safetensors"),
        rtol=0,
        atol=0,
    )


def test_a_score_that_is_no_number_keeps_no_epoch(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scores = iter([math.nan, 0.5, math.nan, 0.4])
    best = loop.fit(
        name="stage",
        context=context_of(tmp_path, tmp_path),
        model=model,
        optimizer=optimizer,
        scheduler=loop.cosine_schedule(optimizer, 1, 4),
        epochs=4,
        batches=lambda _epoch: [torch.ones(1, 1)],
        loss=lambda network, batch: network(batch).mean(),
        validate=lambda _network: {"accuracy": next(scores)},
        score="accuracy",
    )
    assert (best["epoch"], best["accuracy"]) == (2, 0.5)


def test_training_that_diverges_says_so_and_keeps_what_was_there(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    values = iter([1.0, math.nan])
    with pytest.raises(RecipeError, match=r"stage: training has diverged \(loss nan, .* lower"):
        loop.fit(
            name="stage",
            context=context_of(tmp_path, tmp_path),
            model=model,
            optimizer=optimizer,
            scheduler=loop.cosine_schedule(optimizer, 1, 4),
            epochs=4,
            batches=lambda _epoch: [torch.ones(1, 1)],
            loss=lambda network, batch: network(batch).mean() * next(values),
            validate=None,
        )
    assert torch.isfinite(model.weight).all()
    assert torch.load(tmp_path / "stage" / "state.pt", weights_only=True)["epoch"] == 1


def draws_of(work: Path, epochs: int) -> list[float]:
    """One number from torch's generator per epoch that `loop.fit` trains."""
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    drawn = []

    def loss(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
        drawn.append(float(torch.rand(())))
        value: torch.Tensor = network(batch).mean()
        return value

    loop.fit(
        name="stage",
        context=context_of(work, work),
        model=model,
        optimizer=optimizer,
        scheduler=loop.cosine_schedule(optimizer, 1, 10),
        epochs=epochs,
        batches=lambda _epoch: [torch.ones(2, 1)],
        loss=loss,
        validate=None,
    )
    return drawn


def test_the_learning_rate_rises_and_falls_by_half_a_cosine() -> None:
    steps = {0: 0.1, 8: 0.9, 9: 1.0, 10: 1.0, 40: 0.75, 55: 0.5, 100: 0.0, 200: 0.0}
    found = {step: loop.cosine_factor(step, 10, 100) for step in steps}
    assert found == pytest.approx(steps)


def test_chance_is_of_the_epoch_and_the_process_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    whole = draws_of(tmp_path / "whole", 3)
    assert len(set(whole)) == 3
    torch.manual_seed(2)
    parts = draws_of(tmp_path / "parts", 1)
    path = tmp_path / "parts" / "stage" / "state.pt"
    state = torch.load(path, weights_only=True)
    torch.save({**state, "rng": torch.get_rng_state()}, path)  # as older versions wrote it
    torch.rand(5)
    assert parts + draws_of(tmp_path / "parts", 3) == whole
    monkeypatch.setattr("models.training.distributed.rank", lambda: 1)
    other = draws_of(tmp_path / "other", 3)
    assert not set(other) & set(whole)
    assert other == draws_of(tmp_path / "again", 3)


def test_a_stage_that_is_not_finished_is_not_taken(
    data_root: Path, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "work")
    path = tmp_path / "work" / "fusion-final" / "state.pt"
    torch.save(torch.load(path) | {"epoch": 1}, path)
    weights = tmp_path / "live.safetensors"
    with pytest.raises(StageError, match="stage final has been trained for 1 of 2 epochs: `train"):
        train_live(context_of(data_root, tmp_path / "work"), TINY, ("fusion",), weights)
    assert not weights.exists()


@pytest.mark.parametrize(
    ("network", "stage", "lacking"),
    [
        (
            replace(TINY.network, face=replace(TINY.network.face, channels=8)),
            "fusion",
            "face/state",
        ),
        (replace(TINY.network, voice=replace(TINY.network.voice, channels=8)), "fusion", "voice/"),
        (
            replace(TINY.network, voice=replace(TINY.network.voice, halved_after=0)),
            "fusion",
            "voice/",
        ),
        (replace(TINY.network, hidden=32), "final", "fusion/state"),
        # Weights of the same sizes.
        (
            replace(TINY.network, face=replace(TINY.network.face, resolution=48)),
            "fusion",
            "stage face",
        ),
        (replace(TINY.network, lowest_attention=0.5), "final", "stage fusion"),
    ],
)
def test_stages_of_another_network_are_told_of(
    data_root: Path, trained: Path, tmp_path: Path, network: LiveNetConfig, stage: str, lacking: str
) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    message = rf"{lacking}.* was trained with another \[network\]"
    with pytest.raises((DataError, StageError), match=message):
        train_live(
            context_of(data_root, tmp_path),
            replace(TINY, network=network),
            (stage,),
            tmp_path / "other.safetensors",
        )


def test_other_settings_are_not_resumed_but_begun_again(
    data_root: Path, trained: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    shutil.copytree(trained, work)
    recipe = replace(TINY, fusion=replace(TINY.fusion, learning_rate=1e-2, epochs=1))
    train_live(context_of(data_root, work), recipe, ("fusion",), weights=work / "live.safetensors")
    assert len((work / "fusion" / "log.jsonl").read_text().splitlines()) == 1


def test_a_head_killed_before_its_first_epoch_is_not_taken(
    data_root: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that was there belongs to other branches by then."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    context, weights = context_of(data_root, tmp_path), tmp_path / "new.safetensors"
    recipe = replace(TINY, voice=replace(TINY.voice, dropout=0.5))
    with pytest.raises(StageError, match="behind another face or voice"):
        train_live(context, recipe, ("voice",), weights)

    def killed(**_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("models.training.live.fusion.fit", killed)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                train_live(context, recipe, ("fusion",), weights)
    with pytest.raises(StageError, match=r"behind another|has not been trained yet"):
        train_live(context, recipe, ("final",), weights)


def test_a_fusion_of_other_features_is_begun_again(
    data_root: Path, trained: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    shutil.copytree(trained, work)
    context, log = context_of(data_root, work), work / "fusion" / "log.jsonl"
    path, before = work / "features" / "voice-train.pt", log.read_text()
    train_live(context, TINY, ("fusion",), weights=work / "live.safetensors")
    assert log.read_text() == before
    kept = torch.load(path)
    kept["tensors"] = [*kept["tensors"][:2], *(tensor * 2 for tensor in kept["tensors"][2:])]
    torch.save(kept, path)
    train_live(context, TINY, ("fusion",), weights=work / "live.safetensors")
    assert log.read_text() != before


def test_branches_of_other_settings_are_begun_again(
    data_root: Path, trained: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    shutil.copytree(trained, work)
    recipe = replace(TINY, voice=replace(TINY.voice, dropout=0.5, frozen_variants=2))
    context = context_of(data_root, work)
    with pytest.raises(StageError, match="behind another face or voice"):
        train_live(context, recipe, ("voice",), weights=work / "new.safetensors")
    old, new = (weights_of(root / "voice" / "voice.safetensors") for root in (trained, work))
    assert any((old[name] != new[name]).any() for name in old)
    assert not list((work / "voice").rglob("train.pt"))  # layers go once the head is trained
    train_live(context, recipe, ("fusion", "final"), weights=work / "new.safetensors")
    old, new = (weights_of(root / "voice-final" / "voice.safetensors") for root in (trained, work))
    assert any((old[name] != new[name]).any() for name in old)


def test_a_damaged_state_is_named(data_root: Path, trained: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(trained, work)
    for name in ("voice-final/voice.safetensors", "fusion/state.pt", "face/state.pt"):
        whole = (work / name).read_bytes()
        for damaged in (b"", b"no state", whole[: len(whole) // 2]):
            (work / name).write_bytes(damaged)
            with pytest.raises(DataError, match=rf"{name} cannot be read \(.*\): delete it"):
                train_live(context_of(data_root, work), TINY, ("folds",), work / "new.safetensors")


def test_damaged_features_are_made_again(data_root: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    before = {path: path.read_text() for path in tmp_path.rglob("log.jsonl")}
    for path in (tmp_path / "features").iterdir():
        path.write_bytes(path.read_bytes()[:-1000])
    again = tmp_path / "again.safetensors"
    train_live(context_of(data_root, tmp_path), TINY, weights=again)
    old, new = weights_of(trained / "live.safetensors"), weights_of(again)
    torch.testing.assert_close(new, old, rtol=0, atol=0)
    assert {path: path.read_text() for path in tmp_path.rglob("log.jsonl")} == before


def test_damaged_layers_are_made_again(data_root: Path, tmp_path: Path) -> None:
    context, config = context_of(data_root, tmp_path), TINY.voice
    task = VoiceTask.live(data_root, config)
    torch.manual_seed(0)
    model = VoiceClassifier(TINY.network.voice)
    made = [layer.clone() for layer in _FrozenStates(context, model, task, config).validation]
    path = tmp_path / "voice" / "frozen" / "validation.pt"
    path.write_bytes(path.read_bytes()[:1000])
    again = _FrozenStates(context, model, task, config).validation
    torch.testing.assert_close(again, made, rtol=0, atol=0)


def other_data(data_root: Path, copy: Path) -> Path:
    """The same data but for one picture of each split and one clip of each set of actors."""
    shutil.copytree(data_root, copy)
    with np.load(copy / "ferplus.npz") as archive:
        arrays = dict(archive)
    arrays["images"][[0, 16, 32]] = 0  # as many of the same votes
    np.savez(copy / "ferplus.npz", **arrays)
    for actor in (2, 8, 22):
        path = copy / "ravdess_speech" / f"03-01-01-01-01-01-{actor:02d}.flac"
        samples, rate = soundfile.read(path)
        soundfile.write(path, samples[::-1], rate)
    return copy


def test_features_of_other_data_are_made_anew(data_root: Path, tmp_path: Path) -> None:
    def features(root: Path) -> list[tuple[torch.Tensor, ...]]:
        context = context_of(root, tmp_path / "work")
        return [
            fusion_features.face_features(context, nn.AvgPool2d(8), "test", TINY.fusion),
            *fusion_features.training_voices(context, nn.Identity(), TINY.fusion, TINY.voice),
            fusion_features.evaluation_voices(context, nn.Identity(), TINY.network, "test"),
        ]

    before, after = features(data_root), features(other_data(data_root, tmp_path / "data"))
    for old, new in zip(before, after, strict=True):
        assert not torch.equal(old[0], new[0])


@pytest.mark.parametrize("stage", ["face", "voice"])
def test_branches_of_other_data_are_begun_again(
    data_root: Path, trained: Path, tmp_path: Path, stage: str
) -> None:
    work = tmp_path / "work"
    shutil.copytree(trained, work)
    context = context_of(other_data(data_root, tmp_path / "data"), work)
    logs = {path: path.read_text() for path in (work / stage).rglob("log.jsonl")}
    with pytest.raises(StageError, match="behind another face or voice"):
        train_live(context, TINY, (stage,), work / "new.safetensors")
    assert logs
    assert all(path.read_text() != before for path, before in logs.items())


def test_a_fusion_of_other_validation_people_is_begun_again(
    data_root: Path, trained: Path, tmp_path: Path
) -> None:
    """They chose its epoch."""
    work, root = tmp_path / "work", tmp_path / "data"
    shutil.copytree(trained, work)
    shutil.copytree(data_root, root)
    path, state = root / "ravdess_speech/03-01-01-01-01-01-08.flac", work / "fusion/state.pt"
    before = state.stat().st_mtime_ns
    soundfile.write(path, soundfile.read(path)[0][::-1], 16000)
    train_live(context_of(root, work), TINY, ("fusion",), work / "new.safetensors")
    assert state.stat().st_mtime_ns != before


def test_a_stage_that_began_otherwise_is_set_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As is one of which there is no record. Features, which cost little, go."""
    context = context_of(tmp_path, tmp_path)
    names = ("one/state.pt", "one/log.jsonl", "made", "one/features.pt")
    state, log, made, features = paths = [tmp_path / name for name in names]
    for trail, forgotten in (("settings", True), ("settings", False), ("others", True)):
        context.stage_dir("one")
        for path in paths:
            path.write_text(trail)
        begin_stage(context, "one", trail, [made])
        assert [path.exists() for path in paths] == [not forgotten] * 4
        assert ("one: begun anew" in " ".join(capsys.readouterr().err.split())) == forgotten
    for path in (state, log, made):
        assert path.with_name(f"{path.name}.before").read_text() == "others"
    assert not features.with_name("features.pt.before").exists()


def test_what_was_set_aside_is_gone_on_with_where_it_is_wanted_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a seed that was a slip."""
    context = context_of(tmp_path, tmp_path)
    context.stage_dir("one")
    state, log, made = paths = [tmp_path / each for each in ("one/state.pt", "one/log.jsonl", "w")]
    for trail in ("mine", "slip", "mine", "slip"):
        begin_stage(context, "one", trail, [made])
        told = " ".join(capsys.readouterr().err.split())
        for path in paths:
            if not path.exists():
                path.write_text(trail)
        assert (state.read_text(), log.read_text(), made.read_text()) == (trail,) * 3
    assert "one: gone on with what was set aside" in told
    assert state.with_name("state.pt.before").read_text() == "mine"
    assert not list(tmp_path.rglob("*.back"))


def test_the_shipped_network_learns_from_the_validation_actors_too(
    data_root: Path, trained: Path
) -> None:
    chosen, shipped = (
        LIVE.read(trained / name) for name in ("selection.safetensors", "live.safetensors")
    )
    assert "actors 02, 03, 05" in chosen.origin["data"]
    assert ", 08," not in chosen.origin["data"]
    assert ", 08," in shipped.origin["data"]
    assert "01" not in shipped.origin["data"].split("actors")[1]
    assert shipped.config.temperatures == chosen.config.temperatures
    # Nobody is left to choose by, so the last epoch is kept, in the way that was better before.
    state = torch.load(trained / "fusion-final" / "state.pt", weights_only=True)
    assert state["best"]["epoch"] == TINY.fusion.epochs
    assert set(state["best"]) == {"epoch", "loss"}
    assert not (trained / "voice-final" / "frozen" / "validation.pt").exists()
    for checkpoint in (chosen, shipped):
        assert weights_of(checkpoint.path)["head.voice_means"].abs().sum() > 0


def test_a_stage_needs_the_one_before(data_root: Path, trained: Path, tmp_path: Path) -> None:
    context = context_of(data_root, tmp_path)
    with pytest.raises(StageError, match="the stage face has not been trained yet"):
        train_live(context, TINY, ("fusion",))
    shutil.copytree(trained / "face", tmp_path / "face")
    with pytest.raises(StageError, match="the stage voice has not been trained yet"):
        train_live(context, TINY, ("fusion",))
    shutil.copytree(trained / "voice", tmp_path / "voice")
    with pytest.raises(StageError, match="the stage fusion has not been trained yet"):
        train_live(context, TINY, ("final",))
    with pytest.raises(IsADirectoryError):
        train_live(context, TINY, weights=tmp_path)
    with pytest.raises(RecipeError, match="no stage fushion; there are face, voice, fusion, f"):
        train_live(context, TINY, ("fushion",))


def test_one_stage_after_the_other(
    data_root: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    context, weights = context_of(data_root, tmp_path), tmp_path / "live.safetensors"
    for stage, lacking in (
        ("voice", "face, fusion, final"),
        ("face", "fusion, final"),
        ("fusion", "final"),
    ):
        assert train_live(context, TINY, (stage,), weights) is None
        told = " ".join(capsys.readouterr().err.split())
        assert f"trained: {stage}. Before weights can be written, {lacking} must be" in told
        assert (tmp_path / "selection.safetensors").is_file() == (stage == "fusion")
    assert not weights.exists()
    assert train_live(context, TINY, ("final",), weights) is not None
    torch.testing.assert_close(
        weights_of(weights), weights_of(trained / "live.safetensors"), rtol=0, atol=0
    )


def test_missing_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"training data not found: .*ferplus\.npz.*--data-root"):
        train_live(context_of(tmp_path / "nowhere", tmp_path), TINY)


def test_data_without_an_emotion_is_told_of(data_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(data_root, root)
    with np.load(root / "ferplus.npz") as archive:
        arrays = dict(archive)
    arrays["votes"][arrays["split"] == 1] = np.eye(10, dtype=np.uint8)[4] * 9
    np.savez(root / "ferplus.npz", **arrays)
    with pytest.raises(DataError, match=r"ferplus\.npz: no face for validation is neutral or "):
        train_live(context_of(root, tmp_path / "work"), TINY, weights=tmp_path / "new.safetensors")
    for path in (root / "ravdess_speech").glob("03-01-05-*.flac"):
        if path.stem.endswith(("-08", "-17")):
            path.unlink()
    with pytest.raises(DataError, match="no clip of the actors for validation is angry: get it"):
        train_live(context_of(root, tmp_path / "work"), TINY, ("voice",))


def test_evaluation_and_model_card(
    data_root: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    context = context_of(data_root, trained)
    results = evaluate_live(context, trained / "live.safetensors", TINY)
    assert json.loads((trained / "results.json").read_text()) == results
    printed = capsys.readouterr().out
    assert results["weights"]["sha256"] in printed
    assert "voice only" in printed
    assert set(results["conditions"]["test"]) == {"both", "face only", "voice only"}
    assert results["conditions"]["test"]["voice only"]["samples"] == 48
    assert set(results["by_sex"]["both"]) == {"female", "male"}
    for people in ("test", "validation"):
        heard = results["sessions"][people]["voice only"]
        assert set(heard) == {"adapted", "not adapted"}
        assert 0.0 <= heard["adapted"]["balanced_accuracy"] <= 1.0
        poor = results["qualities"][people]["both poor"]
        assert 0.0 < poor["the face counts"] < 1.0
    cost = results["modality_dropout"]
    assert cost["cost_points"] == pytest.approx(100 * (cost["without"] - cost["with"]))
    assert results["folds"] is None
    card = model_card(results)
    assert "--stage folds" not in card
    assert results["weights"]["sha256"] in card
    assert results["weights"]["file_sha256"] in card
    assert f"{100 * results['ferplus_test']['accuracy']:.1f} %" in card
    assert "{" not in card


@pytest.mark.parametrize(
    ("cost", "told"),
    [(-0.73, "nothing: it gains 0.7 points"), (-0.03, "0.0 points"), (0.42, "0.4 points")],
)
def test_the_card_says_what_modality_dropout_costs_or_gains(cost: float, told: str) -> None:
    figures = {"with": 0.9207, "without": 0.9207 + cost / 100, "cost_points": cost}
    assert _dropout(figures).endswith(f"| {told} |")


def test_every_actor_is_judged_by_a_network_that_never_heard_them(
    data_root: Path, trained: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    shutil.copytree(trained, work)
    context, weights = context_of(data_root, work), work / "live.safetensors"
    before = LIVE.read(weights).sha256
    train_live(context, TINY, ("folds",), weights)
    assert LIVE.read(weights).sha256 == before
    for fold in OTHER_FOLDS:
        learned_from = torch.load(work / "features" / f"voice-{without(fold)}.pt")["tensors"][1]
        there = {1, 2, 3, 8, 10, 17, 22}
        assert set(learned_from.tolist()) == there - set(ACTORS[fold])
    results = evaluate_live(context, weights, TINY)
    folds = results["folds"]
    assert folds["actors"]["count"] == 7
    alone = folds["each window by itself"]
    assert alone["balanced_accuracy"] == pytest.approx(
        (3 * alone["male"] + 4 * alone["female"]) / 7
    )
    assert "--stage folds" in model_card(results)


def test_evaluation_without_the_work_folder(data_root: Path, trained: Path, tmp_path: Path) -> None:
    results = evaluate_live(
        context_of(data_root, tmp_path / "new"), trained / "live.safetensors", TINY
    )
    assert results["modality_dropout"] is None
    assert set(results["conditions"]) == {"test"}
    assert "Nothing was measured on validation people" in model_card(results)
    assert (tmp_path / "new" / "results.json").is_file()


def test_a_selection_of_other_weights_is_not_taken_for_theirs(
    data_root: Path, trained: Path, tmp_path: Path
) -> None:
    chosen = LIVE.read(trained / "selection.safetensors")
    other = with_temperatures(chosen.network(), (1.0, 2.0, 3.0))
    LIVE.save(tmp_path / "selection.safetensors", other, other.config, {})
    with pytest.raises(StageError, match="their settings differ"):
        evaluate_live(context_of(data_root, tmp_path), trained / "live.safetensors", TINY)


@pytest.mark.parametrize("content", [None, "", "{}", "3"])
def test_figures_of_a_choice_that_are_gone_are_told_of(
    data_root: Path, trained: Path, tmp_path: Path, content: str | None
) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    figures = tmp_path / "voice" / "frozen.json"
    figures.unlink()
    if content is not None:
        figures.write_text(content)
    with pytest.raises(
        DataError, match=r"frozen\.json, by which .* run `train live --stage voice`"
    ):
        train_live(context_of(data_root, tmp_path), TINY, ("final",), tmp_path / "new.safetensors")


def test_the_way_that_was_better_is_gone_again(data_root: Path, tmp_path: Path) -> None:
    context = context_of(data_root, tmp_path)
    for way, figure in (("frozen", 0.6), ("tuned", 0.5)):
        path = context.stage_dir("voice") / f"{way}.json"
        path.write_text(json.dumps({"balanced_accuracy": figure}))
    task = VoiceTask.chosen(context, "final", "voice-final")
    assert task.ways == ("frozen",)
    assert {clip.actor for clip in task.clips} == {2, 3, 8, 10, 17}
    train_voice(context, TINY.network.voice, TINY.voice, task)
    assert (tmp_path / "voice-final" / "voice.safetensors").is_file()
    assert not (tmp_path / "voice-final" / "tuned").exists()


def test_features_of_other_weights_are_made_anew(data_root: Path, trained: Path) -> None:
    context = context_of(data_root, trained)
    network = LIVE.read(trained / "live.safetensors").network()
    first = fusion_features.evaluation_voices(context, network.encoder, network.config, "test")
    with torch.no_grad():
        network.encoder.project.bias.add_(1.0)
    other = fusion_features.evaluation_voices(context, network.encoder, network.config, "test")
    torch.testing.assert_close(
        other.frames.float(), first.frames.float() + 1.0, atol=5e-3, rtol=5e-3
    )


def test_voices_with_other_masks_are_made_anew(data_root: Path, tmp_path: Path) -> None:
    first, other = (
        fusion_features.training_voices(
            context_of(data_root, tmp_path), nn.Identity(), TINY.fusion, config
        )
        for config in (TINY.voice, replace(TINY.voice, mask_bins=0, mask_frames=0))
    )
    assert not torch.equal(first[0].frames, other[0].frames)


def test_masks_reach_every_bin_and_frame() -> None:
    config = VoiceStageConfig(mask_bins=60, mask_frames=0)
    clip = VoiceClip("one", 0, 0, 1, np.random.default_rng(0).normal(size=8000).astype(np.float32))
    rng = np.random.default_rng(0)
    mels = augmented_mels([clip] * 200, [clip], 0.5, config, rng)
    masked = mels.std(axis=2) == 0
    assert masked[:, 0].any()
    assert masked[:, -1].any()


def test_features_of_other_settings_are_made_anew(data_root: Path, trained: Path) -> None:
    """Heads change no weight, and yet what comes of them."""
    context = context_of(data_root, trained)
    network = LIVE.read(trained / "live.safetensors").network()
    first = fusion_features.evaluation_voices(context, network.encoder, network.config, "test")
    split = VoiceEncoder(replace(network.config.voice, heads=4)).eval()
    split.load_state_dict(network.encoder.state_dict())
    other = fusion_features.evaluation_voices(context, split, network.config, "test")
    assert not torch.equal(other.frames, first.frames)


# Pairs.


def invented(key_images: int = 4) -> tuple[FaceFeatures, VoiceFeatures]:
    labels = torch.arange(7).repeat(4)
    votes = nn.functional.one_hot(labels, 7).float()
    maps = torch.randn(28, key_images, 16, 2, 2).half()
    return (
        FaceFeatures(maps, votes, labels),
        VoiceFeatures(torch.randn(21, 16, 150).half(), labels[:21], torch.arange(21)),
    )


def test_pairs_are_of_one_class_and_miss_what_they_should() -> None:
    faces, voices = invented()
    shorter = voices._replace(frames=voices.frames[:, :, :75])
    config = FusionStageConfig(batch_size=50, pairs_per_epoch=1000, face_only=0.3, voice_only=0.1)
    pairs = TrainingPairs(faces, [voices, shorter], config, TINY.network, seed=1)
    batches = list(pairs)
    assert len(batches) == len(pairs) == 20
    for batch in batches:
        assert torch.equal(batch.face_target, batch.voice_target)
        assert torch.equal(batch.face_target.argmax(dim=1), batch.labels)
        assert batch.maps.shape[:2] == (50, 16)
        assert 5 <= batch.maps.shape[2] <= 30
        assert batch.frames.shape[2] in (75, 150)
        assert batch.present.any(dim=1).all()
    assert len({batch.maps.shape[2] for batch in batches}) > 3
    present = torch.cat([batch.present for batch in batches]).float().mean(dim=0)
    assert present.tolist() == pytest.approx([0.9, 0.7], abs=0.05)
    for one, other in zip(
        batches, TrainingPairs(faces, [voices, shorter], config, TINY.network, 1), strict=True
    ):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_shares_are_held_near_chance() -> None:
    faces, voices = invented()
    config = FusionStageConfig(batch_size=50, pairs_per_epoch=50, face_only=0.2, voice_only=0.2)
    (batch,) = TrainingPairs(faces, [voices], config, TINY.network, seed=1)
    head = FusionHead(TINY.network).eval()
    face_blocks, _ = TINY.network.sequence_block_counts
    with torch.no_grad():
        bias = dict(head.named_parameters())["sequence_fusion.segments.0.excite.bias"]
        bias.view(2 * face_blocks, -1)[:face_blocks] += 3.0  # all for the face
        with_, without = (
            fusion.fusion_loss(head, batch, replace(config, balance=balance), TINY.network)
            for balance in (2.0, 0.0)
        )
        output = head(*batch[:3])
    excess = 0.0
    for attention, counts in (
        (output.attention_maps, TINY.network.map_block_counts),
        (output.attention_sequences, TINY.network.sequence_block_counts),
    ):
        told = modality_share(
            attention[batch.present.all(dim=1)].numpy(),
            counts,
            lowest_attention=TINY.network.lowest_attention,
        )
        excess += (told.share[:, 0].mean() - 0.5) ** 2
    assert excess > 0.05
    assert float(with_ - without) == pytest.approx(2.0 * excess, rel=1e-3)


def test_msaf_learns_fast_and_what_was_trained_before_slowly() -> None:
    head, config = FusionHead(TINY.network), FusionStageConfig()
    rate = {
        id(value): group["lr"]
        for group in fusion.parameter_groups(head, config)
        for value in group["params"]
    }
    named = dict(head.named_parameters())
    assert len(rate) == len(named)
    for name, value in named.items():
        factor = {"map": 10.0, "sequence": 10.0, "voice": 0.1}.get(name.split("_")[0], 1.0)
        assert rate[id(value)] == pytest.approx(factor * config.learning_rate), name


def test_poor_senses_and_good_ones(data_root: Path, tmp_path: Path) -> None:
    context = context_of(data_root, tmp_path)
    bare = LiveNet(TINY.network)
    bare.trunk, bare.encoder = nn.AvgPool2d(8), nn.Identity()  # type: ignore[assignment]
    good, poor_face, poor_voice, both = (
        fusion_features.evaluation_features(context, bare, TINY.fusion, "test", quality)
        for quality in fusion_features.QUALITIES
    )
    assert torch.equal(good[0].maps, poor_voice[0].maps)
    assert torch.equal(good[1].frames, poor_face[1].frames)
    assert torch.equal(both[0].maps, poor_face[0].maps)
    assert torch.equal(both[1].frames, poor_voice[1].frames)
    assert not torch.equal(good[0].maps, poor_face[0].maps)
    assert good[1].frames.std() > poor_voice[1].frames.std()  # noise fills the silence


def test_maps_between_key_images_are_interpolated() -> None:
    faces, voices = invented(key_images=3)
    chosen = np.array([5])
    positions = np.array([[0.0, 0.25, 0.5, 1.0]], dtype=np.float32)
    present = np.ones((1, 2), dtype=bool)
    maps = fusion_pairs.make_batch(faces, voices, chosen, chosen, present, positions).maps[0]
    key = faces.maps[5].float()
    expected = torch.stack([key[0], (key[0] + key[1]) / 2, key[1], key[2]], dim=1)
    torch.testing.assert_close(maps, expected)


def test_evaluation_takes_everybody_once_in_a_fixed_order() -> None:
    faces, voices = invented()
    clips = paired_voices(faces, voices)
    assert torch.equal(voices.labels[clips], faces.labels)
    assert np.array_equal(clips, paired_voices(faces, voices))
    for condition, count, mask in (
        ("both", 28, [True, True]),
        ("face only", 28, [True, False]),
        ("voice only", 21, [False, True]),
    ):
        batches = list(evaluation_batches(faces, voices, condition, TINY.network))
        assert sum(len(batch.labels) for batch in batches) == count
        assert all((batch.present == torch.tensor(mask)).all() for batch in batches)
        labels = voices.labels if condition == "voice only" else faces.labels
        assert torch.equal(torch.cat([batch.labels for batch in batches]), labels)


class Leaning(nn.Module):
    """Says the class of a voice by its first channels, which a speaker may have shifted."""

    def forward(
        self,
        maps: torch.Tensor,
        frames: torch.Tensor,
        present: torch.Tensor,
        speaker: torch.Tensor,
    ) -> FusionOutput:
        heard = frames.mean(dim=2)
        logits = 8.0 * (heard - speaker)[:, :7]
        usual = nn.functional.pad(logits.softmax(dim=1), (0, 9))
        nothing = torch.zeros(len(frames))
        rest = dict.fromkeys(FusionOutput._fields, nothing)
        return FusionOutput(**rest | {"logits": logits, "voice_residual": heard - usual})


def test_in_a_session_a_voice_becomes_known() -> None:
    faces, _ = invented()
    labels = torch.arange(7).repeat(6)
    own = torch.zeros(2, 16)
    own[0, 0], own[1, 3] = 0.9, 0.8  # one speaker sounds neutral by nature, one angry
    actors = torch.arange(2).repeat_interleave(21)
    frames = nn.functional.one_hot(labels, 16).float() + own[actors]
    voices = VoiceFeatures(
        frames[:, :, None].repeat_interleave(3, dim=0).half(),
        labels.repeat_interleave(3),
        actors.repeat_interleave(3),
    )
    network = TINY.network
    adapted, plain = (
        fusion_answers.session_answers(
            Leaning(), faces, voices, "voice only", network, torch.device("cpu"), adapt=adapt
        )
        for adapt in (True, False)
    )
    assert adapted.logits.shape == (21, 16, 3, 7)  # clips, sessions, windows, classes
    assert (adapted.logits[0] == plain.logits[0]).all()  # nothing is known of a first clip
    assert plain.after().balanced_accuracy == pytest.approx(
        plain.after(10).balanced_accuracy, abs=0.1
    )
    margins = [np.sort(each.after(10).logits, axis=1) for each in (adapted, plain)]
    surer, before = ((each[:, -1] - each[:, -2]).mean() for each in margins)
    assert surer > before + 1.0
    men, women = (adapted.after(odd=odd) for odd in (True, False))
    assert len(men.labels) == len(women.labels) == 21 * 8 * 3
    # One has a clip less: of the other, all are heard.
    fewer = VoiceFeatures(*(each[:-3] for each in voices))
    said = fusion_answers.session_answers(
        Leaning(), faces, fewer, "voice only", network, torch.device("cpu")
    )
    assert len(said.after(odd=False).labels) == 21 * 8 * 3
    assert len(said.after(odd=True).labels) == 20 * 8 * 3
    assert len(said.after(20).labels) == 8 * 3


def test_a_face_sequence_moves_and_may_begin_neutral() -> None:
    still = torch.zeros(48, 48, dtype=torch.uint8)
    still[20:28, 20:28] = 255
    neutral = torch.full((48, 48), 128, dtype=torch.uint8)
    quiet = fusion_features.EVALUATION_AUGMENTATION
    images = face_sequence(still, None, 6, quiet, torch.Generator().manual_seed(0))
    assert images.shape == (6, 48, 48)
    assert 0.0 <= images.min() < images.max() <= 1.0
    assert not torch.equal(images[0], images[-1])
    onset = face_sequence(still, neutral, 6, quiet, torch.Generator().manual_seed(0))
    torch.testing.assert_close(onset[-1], images[-1])
    assert (onset[0] - images[0]).abs().mean() > 0.1


def test_the_head_begins_with_what_the_branches_know() -> None:
    from models.face import FaceClassifier
    from models.live import FusionHead

    torch.manual_seed(0)
    face = FaceClassifier(TINY.network.face).eval()
    voice = VoiceClassifier(TINY.network.voice).eval()
    head = FusionHead(TINY.network).eval()
    start_from_branches(head, face, voice, TINY.network)
    frames = torch.randn(8, 16, 60)
    maps = torch.randn(8, 16, 3, 2, 2)
    with torch.inference_mode():
        output = head(maps, frames, torch.ones(8, 2, dtype=torch.bool))
        alone = voice.classify(frames)
        seen = face.head(maps.mean(dim=(2, 3, 4)))[:, [0, 1, 3, 4, 6, 5, 2]]
    correlation = np.corrcoef(output.voice_logits.flatten(), alone.flatten())[0, 1]
    assert correlation > 0.9
    activation = output.face_activation.mean(dim=(2, 3, 4))
    assert np.corrcoef(activation.flatten(), seen.flatten())[0, 1] > 0.9


# Calibration.


def sure_answers(temperature: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20000, 7)).astype(np.float32) * 2
    gumbel = rng.gumbel(size=logits.shape)
    return logits * np.float32(temperature), (logits + gumbel).argmax(axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_and_calibrates(temperature: float) -> None:
    logits, labels = sure_answers(temperature)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(temperature, rel=0.05)
    assert expected_calibration_error(logits / found, labels) < 0.012
    if temperature != 1.0:
        assert expected_calibration_error(logits, labels) > 0.1
    assert negative_log_likelihood(logits / found, labels) <= negative_log_likelihood(
        logits, labels
    )


def test_the_floor_is_what_perfect_answers_show() -> None:
    logits, labels = sure_answers(1.0)
    few = logits[:300], labels[:300]
    floor = calibration_error_floor(few[0])
    assert 0.02 < floor < 0.1
    assert expected_calibration_error(*few) == pytest.approx(floor, abs=0.03)
    assert calibration_error_floor(logits) < 0.012


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.9, 0.9, 0.9, 0.6], dtype=np.float64)
    logits = np.log(np.stack([confidence, 1 - confidence], axis=1)).astype(np.float32)
    labels = np.array([0, 0, 1, 1])
    # 0.9 three times, right twice: 3/4 · |0.9 - 2/3|; 0.6 once, wrong: 1/4 · 0.6
    expected = 0.75 * abs(0.9 - 2 / 3) + 0.25 * 0.6
    assert expected_calibration_error(logits, labels) == pytest.approx(expected, abs=1e-6)


# Recipes.


def test_the_shipped_recipe_is_read() -> None:
    recipe = load_recipe()
    assert recipe.face.initial == "faceres"
    assert recipe.network.lowest_attention == 0.2
    assert recipe.network.voice.halved_after == 2
    assert isinstance(recipe.fusion.voice_seconds, tuple)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fusion]\nepoch = 3", r"unknown setting fusion\.epoch = 3; did you mean epochs\?"),
        ("[fusion]\nepochs = 'many'", r"fusion\.epochs = 'many' is not int"),
        ("[fusion]\nepochs = true", r"fusion\.epochs = True is not int"),
        ("[fusion]\nvoice_seconds = [3, 'two']", r"fusion\.voice_seconds = 'two' is not float"),
        ("[face]\ninitial = 'nothing'", r"\[face\] initial must be .* not 'nothing'"),
        ("[network]\ntemperatures = [1.0]", r"network\.temperatures takes 3 values, not \[1\.0\]"),
        ("[network]\nface = 3", "network.face must be a table, not 3"),
        ("[network]\nreduction = 3", r"\[network\] block_channels 32 is not a multiple of reduc"),
        ("[network]\nlowest_attention = 1.0", "lowest_attention must be below 1.0"),
        ("[network]\nlowest_attention = 2.0", r"lowest_attention must be in \[0, 1\], not 2.0"),
        ("[network.face]\nchannels = 0", r"\[network.face\] channels must be at least 1, not 0"),
        (
            "[network]\nlabels = ['good', 'bad']",
            "network.labels must be .*'neutral'.*, not .*'bad'",
        ),
        ("[network]\nwindow_seconds = 0.1", "a window of 0.1 s has fewer than two face maps"),
        ("[network]\nwindow_seconds = 4.0", r"4.0 is longer than .*max_frames = 150 takes, 3.0 s"),
        ("[fusion]\npoor_voice_seconds = [2.0, 3.5]", r"fusion.poor_voice_seconds = 3.5 is longer"),
        ("[fusion]\npairs_per_epoch = 9", "pairs_per_epoch = 9 makes no batch of 128"),
        ("[fusion]\nepochs = 0", r"\[fusion\] epochs must be at least 1, not 0"),
        ("[fusion]\nvoice_seconds = [0.1]", r"must be of 0.5 s or more, not \(0.1, 3.0\)"),
        ("[fusion]\nface_only = 0.9", r"at most 1 together, not 0\.9 and 0\.15"),
        ("[face]\ndropout = 1.5", r"\[face\] dropout must be between 0 and 1, not 1\.5"),
        ("[face]\nlearning_rate = nan", r"face\.learning_rate must be a finite number, not nan"),
        ("[face.augmentation]\nnoise = -1", r"\[face\.augmentation\] noise must be 0 or more"),
        ("[voice]\nmask_bins = 81", "mask_bins must be between 0 and 80, not 81"),
        ("[voice]\nmask_frames = -1", "mask_frames must be 0 or more, not -1"),
        (
            "[voice.augmentation]\nspeed_range = [1.1, 0.9]",
            r"speed_range must be two .* the lower one first, not 1\.1 and 0\.9",
        ),
        ("[network.face]\nimage_size = 64", "network.face.image_size must be 48, as the data is"),
        ("[face]\nbatch_size = 0", r"\[face\] batch_size must be at least 1, not 0"),
        ("[network.voice]\nwidth = 192", "width must be 384, as in Whisper tiny.en, not 192"),
        ("[network.voice]\nn_mels = 128", "network.voice.n_mels must be 80, as the data is"),
        ("colour = 'blue'", "unknown setting colour = 'blue'"),
        ("seed = ", "Invalid value"),
        ("seed = -1", r"\[top\] seed must be 0 to 4294967295, not -1"),
    ],
)
def test_a_bad_recipe_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message) as error:
        load_recipe(path)
    assert str(path) in str(error.value)


def test_a_recipe_in_another_encoding_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes("# größer\nseed = 4\n".encode("latin-1"))
    with pytest.raises(RecipeError, match=r"mine\.toml is no text in UTF-8"):
        load_recipe(path)


def test_a_good_recipe_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("seed = 4\n[network.voice]\nlayers = 2\n[fusion]\nface_only = 0\n")
    recipe = load_recipe(path)
    assert (recipe.seed, recipe.network.voice.layers, recipe.fusion.face_only) == (4, 2, 0.0)
    with pytest.raises(RecipeError, match="No such file"):
        load_recipe(tmp_path / "gone.toml")


def test_a_stage_is_taken_as_it_stands(data_root: Path, trained: Path) -> None:
    network = LIVE.read(trained / "selection.safetensors").network()
    head = take_stage(
        context_of(data_root, trained),
        "fusion",
        FusionHead(TINY.network),
        TINY.fusion.epochs,
        head_made_for(network),
    )
    assert not head.training

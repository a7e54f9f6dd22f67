"""The comparison from end to end on invented data: nested, resumable, paired, written down."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from typer.testing import CliRunner

import main
from models.config import VoiceEncoderConfig
from models.labels import RAVDESS_EMOTIONS
from models.training.data import ACTOR_FOLDS, DataError, load_ravdess
from models.training.loop import RunContext
from models.training.settings import RecipeError
from models.training.study import (
    crossfit,
    networks,
    protocol,
    ravdess,
    report,
    results,
    training,
    tuning,
    variants,
)
from models.training.study.action import CLASSES as ACTIONS
from models.training.study.action import action, normalised
from models.training.study.cost import measure
from models.training.study.emotion import emotion, face_branch, statistics_branch
from models.training.study.networks import Branch, FusedNetwork, Fusion, layout
from models.training.study.protocol import Cell, Choice, Study, rows_of
from models.training.study.ravdess import Clips, read_clips, window_statistics
from models.training.study.sentiment import MODALITIES, NOISE, sentiment
from models.training.study.sessions import ORDERS, predict_in_sessions
from models.training.study.task import (
    BEST_FUSED,
    NO_LABEL,
    Fold,
    Rows,
    Settings,
    Task,
    VectorInputs,
)
from models.voice import VoiceEncoder

soundfile = pytest.importorskip("soundfile")

FAST = Settings(epochs=2, batch_size=8, learning_rate=1e-2, mixup=0.4, seeds=2)


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    return RunContext(data_root=tmp_path, work_dir=tmp_path / "work", device=torch.device("cpu"))


@pytest.fixture
def task() -> Task:
    """Three people, of whom each is tested once; two modalities that both tell the class."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 36)
    people = np.arange(36) % 3
    values = [
        torch.from_numpy((labels[:, None] + rng.normal(0, 0.5, (36, width))).astype(np.float32))
        for width in (6, 4)
    ]
    folds = []
    for person in range(3):
        train = np.flatnonzero(people != person)
        inside = people[train] == (person + 1) % 3
        folds.append(
            Fold(
                str(person),
                train,
                np.flatnonzero(people == person),
                ((train[~inside], train[inside]),),
            )
        )
    return Task(
        name="invented",
        title="Invented",
        protocol="three people",
        classes=("no", "yes"),
        branches={"wide": _builder(6), "narrow": _builder(4)},
        labels=torch.from_numpy(labels),
        names=tuple(str(index) for index in range(36)),
        units=people,
        unit="person",
        folds=tuple(folds),
        inputs=lambda _fold, rows: VectorInputs.scaled([each[None] for each in values], rows),
        features=lambda _fold: values,
        settings=FAST,
        female=people == 1,
        targets={BEST_FUSED: 0.5},
    )


def _builder(features: int, classes: int = 2) -> Callable[[], Branch]:
    def build() -> Branch:
        stages = [
            torch.nn.Sequential(torch.nn.Linear(features, 8), torch.nn.ReLU()),
            torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU()),
        ]
        return Branch(stages, [8, 8], classes=classes)

    return build


def test_everything_is_measured_and_written(
    task: Task, context: RunContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "models.training.study.variants.VARIANTS", {"one": Choice(fusion=Fusion(kind="msaf"))}
    )
    figures = results.run(Study(task, context))
    assert 0.0 <= figures["variants"]["one"] <= 1.0
    assert list(figures["rows"]) == [row.key for row in rows_of(task)]
    for row in figures["rows"].values():
        assert np.shape(row["scores"]) == (3, 2)
        assert row["accuracy"] == pytest.approx(np.mean(row["scores"]))
        assert 0.0 <= row["together"] <= 1.0
        assert np.sum(row["confusion"]) == 36 * 2
        assert row["parameters"] > 0
        assert row["flops"] > 0
        assert set(row["by_sex"]) == {"female", "male"}
    others = len(task.modalities) + 4
    assert len(figures["paired"]) == 2 * (others + 1)
    for pair in figures["paired"]:
        assert 0.0 < pair["sign_flip_p"] <= 1.0
        assert 0.0 <= pair["resampled_p"] <= 1.0
        assert pair["units_better"] + pair["units_worse"] <= 3
        assert (pair["network"] == "msaf-paper") <= (pair["against"] == "average")
    assert figures["rows"]["msaf-scratch"]["joint_channels"][-1] == 4
    assert figures["rows"]["mmtm-scratch"]["joint_channels"] == ()
    assert figures["targets"][0]["aim"] == 0.5
    page = tmp_path / "results.md"
    report.write({"invented": figures}, page)
    text = page.read_text()
    for word in (
        "MMTM",
        "p (sign flip)",
        "p (Holm)",
        "nothing can be claimed: with 3 test persons",
        "Per class",
        "by sex",
        "Trained and timed on a CPU",
        "wide alone",
        "Settings",
        "the most frequent class",
        "MSAF, as in the paper",
        "d = 4",
    ):
        assert word in text
    assert text.index("In sessions") < text.index("Per class")  # explained before it is used
    assert text.index("What was to reach") < text.index("How it was done")  # the answer first
    assert "### By fold" in text
    assert "| network | branches | fold 1 | fold 2 | fold 3 | female | male |" in text
    assert report.read(page) == json.loads(json.dumps({"invented": figures}))


def test_claims_are_corrected_for_all_comparisons_of_the_page(
    task: Task, context: RunContext, tmp_path: Path
) -> None:
    figures = results.run(Study(task, context), variants=False)
    page = {"one": figures, "other": copy.deepcopy(figures)}
    for each in page.values():
        for pair in each["paired"]:
            pair["sign_flip_p"] = 0.001
    report.write(page, tmp_path / "results.md")
    count = 2 * len(figures["paired"])
    kept = report.read(tmp_path / "results.md")
    assert kept["other"]["paired"][0]["holm_p"] == pytest.approx(0.001 * count)


def test_a_branch_alone_is_told_once_where_it_is_fused_too(
    task: Task, context: RunContext, tmp_path: Path
) -> None:
    fused = results.run(Study(task, context), variants=False)
    alone = results.run(Study(replace(task, title_alone="Alone"), context, alone=True))
    titles = {}
    for name, page in {"both": {"a": fused, "b": alone}, "alone": {"b": alone}}.items():
        report.write(page, tmp_path / "results.md")
        lines = (tmp_path / "results.md").read_text().splitlines()
        titles[name] = "## Alone" in lines
    assert titles == {"both": False, "alone": True}


def test_what_a_network_costs_is_measured_anew_with_other_code(
    task: Task, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    results.run(Study(task, context, alone=True))
    costs = context.work_dir / "costs"
    before = set(costs.iterdir())
    assert before
    results.run(Study(task, context, alone=True))
    assert set(costs.iterdir()) == before
    monkeypatch.setattr(results, "_sources", lambda _network: "other")
    results.run(Study(task, context, alone=True))
    assert len(set(costs.iterdir())) == 2 * len(before)


def test_training_that_diverges_says_so(task: Task, context: RunContext) -> None:
    wild = replace(task, settings=replace(task.settings, learning_rate=1e38, epochs=5))
    with pytest.raises(RecipeError, match="invented: training has diverged"):
        results.run(Study(wild, context, alone=True), variants=False)


def test_networks_together_give_one_answer(task: Task) -> None:
    """Two of three networks are a little wrong, the third is surely right."""
    fold = task.folds[0]
    task = replace(task, folds=(fold,))
    right = torch.nn.functional.one_hot(task.labels[fold.test], 2).float()
    logits = torch.stack([1.0 - right, 1.0 - right, 5.0 * right]).numpy()
    cell = Cell(fold.name, 0, 1, (1.0,), logits, None, 0.0)
    assert results._together(task, [cell]) == 1.0
    assert results._scores(task, [cell]).tolist() == [[0.0, 0.0, 1.0]]


def test_killed_and_called_again_it_goes_on(
    task: Task, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    original = training.train

    def counted(*args: object, **options: object) -> training.Trained:
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KeyboardInterrupt
        return original(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("models.training.study.protocol.train", counted)
    with pytest.raises(KeyboardInterrupt):
        results.run(Study(task, context), variants=False)
    broken_off = calls
    first = results.run(Study(task, context), variants=False)
    done = calls
    whole = 2 * 3 * (2 + 2) + 10 * 3 * (2 + 2)  # rows x folds x (settings + seeds)
    assert done - broken_off == whole - 4  # one cell was finished before
    again = results.run(Study(task, context), variants=False)
    assert calls == done
    for key, row in first["rows"].items():
        assert row["scores"] == again["rows"][key]["scores"]
    changed = replace(task, settings=replace(task.settings, epochs=1))
    results.run(Study(changed, context, alone=True))
    assert calls == done + 3 * (2 + 2)  # other settings, computed anew


def test_branches_of_a_run_with_other_settings_are_not_taken(
    task: Task, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold, alone, row = task.folds[0], rows_of(task)[:2], rows_of(task)[-1]
    undisturbed = replace(context, work_dir=context.work_dir / "undisturbed")
    expected = Study(task, undisturbed).cell(row, fold)
    for each in alone:
        Study(task, context).cell(each, fold)
    other = Study(replace(task, settings=replace(FAST, learning_rate=1e-4)), context)

    def killed(*_: object) -> NDArray[np.float32]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(protocol, "predict", killed)
        for each in alone:  # its branches are kept, its cell is not
            with pytest.raises(KeyboardInterrupt):
                other.cell(each, fold)
    found = Study(task, context).cell(row, fold)
    assert found.validation == expected.validation
    np.testing.assert_array_equal(found.logits, expected.logits)


class Filter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Linear(10, 4)

    def forward(self, inputs: list[torch.Tensor], _steps: torch.Tensor | None) -> torch.Tensor:
        return self.weights(inputs[0])  # type: ignore[no-any-return]


def test_what_computed_the_features_has_a_cost_of_its_own(task: Task, context: RunContext) -> None:
    filtered = replace(
        task,
        title_alone="alone",
        extractor_alone="a filter",
        extraction=lambda: (Filter(), [torch.zeros(1, 10)]),
    )
    figures = results.run(Study(filtered, context, alone=True), variants=False)
    assert figures["extraction"]["flops"] == 2 * 10 * 4
    assert figures["extraction"]["parameters"] == 44
    told = "in the costs: a filter; 0.0 M parameters in all, for one clip 0.0 GFLOP and 0 ms."
    assert told in report.section(figures)


def test_several_networks_may_choose(
    task: Task, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = replace(task, settings=replace(task.settings, choosing_seeds=3))
    fold, row = task.folds[0], rows_of(task)[-1]
    began: dict[int, dict[str, torch.Tensor]] = {}
    curves: list[list[float]] = []
    original = training.train

    def noted(*args: Any, **options: Any) -> training.Trained:
        joins = len(options["modalities"]) > 1 and "validation" in options
        if joins:
            began[options["seed"]] = {
                name: value.clone() for name, value in args[1].branches[0].state_dict().items()
            }
        trained = original(*args, **options)
        if joins:
            curves.append([value for _, value in trained.curve])
        return trained

    monkeypatch.setattr(protocol, "train", noted)
    cell = Study(several, context).cell(row, fold)
    assert sorted(began) == [0, 1, 2]
    assert not all(torch.equal(began[0][name], began[1][name]) for name in began[0])
    expected = protocol._smooth(np.mean(curves[: 3 * len(fold.inner)], axis=0)).max()
    assert cell.validation[0] == pytest.approx(expected)


def test_branches_that_say_nothing_of_their_settings_are_made_anew_where_needed(
    task: Task, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As earlier versions kept them; cells that are finished do not need them."""
    fold, row = task.folds[0], rows_of(task)[-1]
    expected = Study(task, context).cell(row, fold)
    branches = [path for path in context.work_dir.rglob("*.pt") if path.name != "cell.pt"]
    assert len(branches) == 2 * (2 + 2)  # branches alone x (settings + seeds)
    for path in branches:
        torch.save(torch.load(path, weights_only=True)["weights"], path)
    trained = 0
    original = training.train

    def counted(*args: Any, **options: Any) -> training.Trained:
        nonlocal trained
        trained += 1
        return original(*args, **options)

    monkeypatch.setattr(protocol, "train", counted)
    for each in (*rows_of(task)[:2], row):
        Study(task, context).cell(each, fold)
    assert trained == 0
    (context.work_dir / "invented/2-seeds" / row.key / fold.name / "cell.pt").unlink()
    found = Study(task, context).cell(row, fold)
    assert trained == (2 + 2) + 2 * (1 + 2)  # of each branch the chosen setting, and the seeds
    np.testing.assert_array_equal(found.logits, expected.logits)


def test_what_units_add_comes_to_the_accuracy_of_the_table(task: Task) -> None:
    """Videos of three, one and three utterances; the first is tested in a fold of its own."""
    labels = torch.tensor([[0, 1, 1], [1, NO_LABEL, NO_LABEL], [0, 0, 1]])
    answers = np.array([[0, 1, 0], [0, 0, 0], [0, 1, 1]])
    folds = tuple(Fold(str(rows), np.arange(3), np.array(rows), ()) for rows in ([0], [1, 2]))
    cells = [
        Cell(
            fold.name, 0, 1, (0.5,), np.eye(2, dtype=np.float32)[answers[fold.test]][None], None, 0
        )
        for fold in folds
    ]
    task = replace(task, labels=labels, units=np.array([5, 4, 3]), folds=folds)
    by_unit = results.accuracy_by_unit(task, cells)
    np.testing.assert_allclose(by_unit, [2 / 4 / 2, 0.0, 2 / 3 / 2])  # units 3, 4, 5
    assert by_unit.sum() == pytest.approx(np.mean([2 / 3, 2 / 4]))


def test_a_row_costs_what_its_usual_setting_costs(task: Task, context: RunContext) -> None:
    study = Study(task, context)
    row = next(row for row in study.rows if row.key == "concatenation-scratch")
    made = {row.key: [replace(cell) for cell in study.cells(row)]}
    sizes = [
        sum(each.numel() for each in study.network(row, choice).parameters() if each.requires_grad)
        for choice in row.choices
    ]
    for chosen, usual in (((0, 1, 1), 1), ((1, 0, 0), 0)):
        made[row.key] = [
            replace(cell, choice=choice) for cell, choice in zip(made[row.key], chosen, strict=True)
        ]
        study.wanted = (row,)
        figures = results.collect(study, made)["rows"][row.key]
        assert figures["parameters"] == sizes[usual]


def test_a_class_that_does_not_occur_has_no_recall(
    task: Task, context: RunContext, tmp_path: Path
) -> None:
    more = replace(task, classes=("no", "never", "yes"), labels=2 * task.labels)
    more = replace(more, branches={"wide": _builder(6, 3), "narrow": _builder(4, 3)})
    figures = results.run(Study(more, context, alone=True))
    (row,) = figures["rows"].values()
    assert set(row["recall"]) == {"no", "yes"}
    found = [row["confusion"][index][index] / sum(row["confusion"][index]) for index in (0, 2)]
    assert list(row["recall"].values()) == found
    assert row["balanced_accuracy"] == pytest.approx(np.mean(found))
    page = tmp_path / "results.md"
    report.write({"more": figures}, page)
    assert "| never | 0 | 0 | 0 | – |" in page.read_text()
    row = {"recall": {"no": 0.5, "yes": 0.25}, "confusion": [[1, 0, 1], [0, 0, 0], [3, 0, 1]]}
    listed = report._confused(figures, row)  # as where there are many classes
    assert "| yes | 25.0% | no (3 of 4) |" in listed
    assert "never" not in listed


def test_fewer_seeds_leave_the_cells_of_more_alone(task: Task, context: RunContext) -> None:
    row, fold = rows_of(task)[0], task.folds[0]
    first = Study(task, context).cell(row, fold)
    files = {path: path.read_bytes() for path in context.work_dir.rglob("cell.pt")}
    single = replace(task, settings=replace(task.settings, seeds=1))
    assert len(Study(single, context).cell(row, fold).logits) == 1
    assert len(first.logits) == 2
    assert files
    assert all(path.read_bytes() == content for path, content in files.items())


def test_a_fingerprint_knows_the_data(task: Task, context: RunContext) -> None:
    fold, row = task.folds[0], rows_of(task)[0]
    features = [np.array(each) for each in task.features(fold)]
    changed = [features[0], features[1].copy()]
    changed[1][0, 0] += 1e-3
    permuted = task.labels[torch.randperm(36, generator=torch.Generator().manual_seed(0))]
    tasks = (
        task,
        replace(task, labels=permuted),
        replace(task, names=task.names[::-1]),
        replace(task, units=task.units[::-1]),
        replace(task, features=lambda _fold: changed),
    )
    assert len({Study(each, context).fingerprint(row, fold) for each in tasks}) == len(tasks)
    same = replace(task, labels=task.labels.clone(), features=lambda _fold: features)
    assert Study(same, context).fingerprint(row, fold) == Study(task, context).fingerprint(
        row, fold
    )


def _told(pairs: list[tuple[float, float]], units: int) -> str:
    """What the page says of these (difference, p by Holm) with so many units."""
    others = ["average", "concatenation", "mmtm", "face"]
    made = [
        {
            "network": "msaf",
            "against": name,
            "pretrained": start,
            "difference": difference,
            "holm_p": p,
        }
        for start in (False, True)
        for name, (difference, p) in zip(others, pairs, strict=True)
    ]
    return report.claims([{"title": "Task", "units": units, "unit": "person", "paired": made}])


def test_what_is_claimed_is_established() -> None:
    text = _told([(0.034, 0.05), (-0.02, 0.051), (-0.01, 0.001), (0.2, 0.0)], units=24)
    told = (
        "is ahead of averaging (+3.4 points), face alone (+20.0 points) and behind MMTM (-1.0 "
        "points)"
    )
    assert text == f"- Task: MSAF, identity start, from scratch, {told}; " + (
        f"MSAF, identity start, pre-trained, {told}.\n"
    )
    nowhere = "- That one fusion is better than another is established nowhere.\n"
    text = _told([(0.1, 0.06)] * 4, units=24)
    assert text == f"- Task: no difference is established.\n{nowhere}"
    text = _told([(0.1, 0.06)] * 3 + [(0.2, 0.0)], units=24)
    assert "ahead of face alone (+20.0 points)" in text
    assert nowhere in text
    few = _told([(0.17, 0.06)] * 4, units=4)
    assert "nothing can be claimed: with 4 test persons no p (sign flip) is below 0.125" in few


def test_claims_stand_on_people_and_not_on_folds(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test over folds is shown beside, corrected is the one over people."""
    monkeypatch.setattr(results, "sign_flip_test", lambda _: 0.001)
    monkeypatch.setattr(results, "corrected_resampled_test", lambda *_: 0.9)
    said = np.zeros((1, 12, 2), np.float32)
    cells = [Cell(fold.name, 0, 1, (0.5,), said, None, 0.0) for fold in task.folds]
    keys = [f"{name}-alone" for name in task.modalities]
    kinds = ("average", "concatenation", "mmtm", "msaf-paper", "msaf")
    keys += [f"{kind}-scratch" for kind in kinds]
    pairs = results._paired(task, dict.fromkeys(keys, cells))
    assert len(pairs) == 2 + 4 + 1
    assert all(pair["resampled_p"] == 0.9 for pair in pairs)
    assert all(pair["units_better"] == pair["units_worse"] == 0 for pair in pairs)


def test_notes_are_said_once_and_tasks_stand_in_order(
    task: Task, context: RunContext, tmp_path: Path
) -> None:
    noted = replace(task, notes=("People: few", "Sizes: guessed"))
    figures = results.run(Study(noted, context), variants=False)
    titled = {
        key: figures | {"title": f"Title of {key}"}
        for key in ("sentiment", "voice-mfcc", "emotion-tuned", "other", "emotion-whisper")
    }
    report.write(titled, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert text.count("Sizes: guessed") == text.count("People: few") == 1
    order = ("emotion-whisper", "emotion-tuned", "voice-mfcc", "sentiment", "other")
    places = [text.index(f"## Title of {key}") for key in order]
    assert places == sorted(places)


def test_the_most_frequent_class_stands_beside_what_is_learned(
    task: Task, context: RunContext
) -> None:
    labels = task.labels.clone()
    labels[:] = 1
    labels[:6] = 0
    figures = results.run(Study(replace(task, labels=labels), context, alone=True))
    line = '| the most frequent class ("yes") |  | 83.3% | – | 50.0% |'
    assert line in report.table(figures)


def test_the_same_network_is_measured_once(
    task: Task, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = 0

    def counted(*args: Any) -> Any:
        nonlocal measured
        measured += 1
        return measure(*args)

    monkeypatch.setattr(results, "measure", counted)
    first = results.run(Study(task, context, alone=True))
    renamed = replace(task, name="other")  # branches alone are the same in other tables
    second = results.run(Study(renamed, context, alone=True))
    assert measured == 1
    key = "wide-alone"
    assert first["rows"][key]["milliseconds"] == second["rows"][key]["milliseconds"]


def test_pretrained_concatenation_keeps_the_heads_of_its_branches(
    task: Task, context: RunContext
) -> None:
    fold = task.folds[0]
    row = next(row for row in rows_of(task) if row.key == "concatenation-pretrained")
    study = Study(task, context)
    inputs = task.inputs(fold, fold.train).clean(fold.test)
    alone = [
        study.network(study.rows[index], study.rows[index].choices[0], 0, [weights]).eval()
        for index in range(2)
        for weights in [study._trained_alone(study.rows[index], fold, 0, -1)]
    ]
    mean = (alone[0](inputs[:1]) + alone[1](inputs[1:])) / 2
    for choice in row.choices:
        network = study._start(row, fold, choice, 0, inner=-1).eval()
        torch.testing.assert_close(network(inputs), mean)


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "–"), (0.0, "< 0.001"), (0.00099, "< 0.001"), (0.0124, "0.012")]
)
def test_no_p_value_is_shown_as_zero(value: float | None, shown: str) -> None:
    assert report.p_value(value) == shown


@pytest.mark.parametrize(("alike", "expected"), [(True, 2 / 3), (False, 0.0)])
def test_whether_branches_are_wrong_together(task: Task, alike: bool, expected: float) -> None:
    def cells(hits: Callable[[Rows], NDArray[np.bool_]]) -> list[Cell]:
        made = []
        for fold in task.folds:
            truth = task.labels[fold.test].numpy()
            said = np.where(hits(fold.test), truth, 1 - truth)
            logits = np.eye(len(task.classes), dtype=np.float32)[said][None]
            made.append(Cell(fold.name, 0, 1, (0.5,), logits, None, 0.0))
        return made

    one, other = task.modalities
    given = {
        f"{one}-alone": cells(lambda rows: rows // 3 % 3 == 0),
        f"{other}-alone": cells(lambda rows: (rows // 3 % 3 == 0) == alike),
    }
    (pair,) = results.wrong_together(task, given)
    assert pair["branches"] == [one, other]
    assert pair["measured"] == pytest.approx(expected)
    assert pair["by_chance"] == pytest.approx(4 / 9 if alike else 2 / 9, abs=0.06)


def test_test_people_have_no_part_in_anything(task: Task, context: RunContext) -> None:
    """Other labels of the test people change no choice and no answer."""
    fold = task.folds[0]
    labels = task.labels.clone()
    labels[fold.test] = 1 - labels[fold.test]
    row = rows_of(task)[-1]
    other = RunContext(
        data_root=context.data_root, work_dir=context.work_dir / "other", device=context.device
    )
    first = Study(task, context).cell(row, fold)
    second = Study(replace(task, labels=labels), other).cell(row, fold)
    assert first.validation == second.validation
    np.testing.assert_array_equal(first.logits, second.logits)


def test_a_fold_that_nobody_is_in_is_told_of(task: Task, context: RunContext) -> None:
    empty = replace(task.folds[0], test=task.folds[0].test[:0])
    with pytest.raises(DataError, match=r"too little data, fold .* has nobody"):
        Study(replace(task, folds=(empty,)), context)


def test_a_label_of_no_class_is_told_of(task: Task, context: RunContext) -> None:
    labels = task.labels.clone()
    labels[-1] = len(task.classes)
    with pytest.raises(DataError, match="2 is the number of none of the 2 classes"):
        Study(replace(task, labels=labels), context)


def test_scalers_see_training_people_alone() -> None:
    values = torch.tensor([[0.0], [2.0], [100.0]])
    inputs = VectorInputs.scaled([values[None]], np.array([0, 1]))
    clean = inputs.clean(np.arange(3))[0].flatten()
    torch.testing.assert_close(clean, torch.tensor([-0.7071, 0.7071, 5.0]), atol=1e-3, rtol=0)


def test_sentiment_in_its_layout(context: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    names = [f"v{video}_{index}" for video in range(9) for index in (10, 2, 1)]
    count = len(names)
    np.savez(
        context.data_root / "mosi_utterances.npz",
        utterance_id=np.array(names),
        split=np.repeat([0, 0, 0, 0, 0, 0, 1, 1, 1], 3).astype(np.uint8),
        label=(np.arange(count) % 2).astype(np.uint8),
        text=rng.normal(size=(count, 100)).astype(np.float32),
        audio=rng.normal(size=(count, 73)).astype(np.float32),
        video=rng.normal(size=(count, 100)).astype(np.float32),
    )
    task = sentiment(context.data_root)
    fold = task.folds[0]
    assert (len(fold.train), len(fold.test), len(fold.inner)) == (6, 3, 2)
    assert task.labels[0].tolist() == [0, 1, 0]  # in the order they were said: 1, 2, 10
    inputs = task.inputs(fold, fold.train)
    same = [inputs.clean(fold.train)[0] for _ in range(2)]
    assert torch.equal(*same)  # validation's noise is the same every time
    fresh = [inputs.augmented(fold.train, np.random.default_rng(seed))[0] for seed in range(2)]
    assert not torch.equal(*fresh)
    strangers = [inputs.augmented(fold.test, np.random.default_rng(seed))[0] for seed in range(2)]
    assert torch.equal(*strangers)  # their features have not seen their labels
    _run_one_row(replace(task, settings=replace(FAST, mixup=0.0)), context)
    monkeypatch.setitem(NOISE, "text", 0.0)
    row, quieter = rows_of(task)[0], sentiment(context.data_root)
    prints = {Study(each, context).fingerprint(row, fold) for each in (task, quieter)}
    assert len(prints) == 2


@pytest.mark.parametrize(("modality", "published"), [("text", 0.76), ("video", 0.53)])
def test_noise_makes_strangers_of_training_people(
    data_root: Path, modality: str, published: float
) -> None:
    task = sentiment(data_root)
    fold = task.folds[0]
    place, rng = MODALITIES.index(modality), np.random.default_rng(0)
    right = []
    for train, validation in fold.inner:
        inputs = task.inputs(fold, fold.train)
        known, asked = task.labels[train] != NO_LABEL, task.labels[validation] != NO_LABEL
        drawn = [inputs.augmented(train, rng)[place][known] for _ in range(8)]
        x = torch.cat(drawn).double()
        y = task.labels[train][known].repeat(len(drawn)).double() - 0.5
        ridge = x.T @ x / len(x) + 0.1 * torch.eye(x.shape[1], dtype=torch.float64)
        direction = torch.linalg.solve(ridge, x.T @ y / len(x))
        said = inputs.clean(validation)[place][asked].double() @ direction > 0.0
        right.append(float((said == task.labels[validation][asked].bool()).double().mean()))
    assert np.mean(right) == pytest.approx(published, abs=0.03)  # without noise 0.98 and 0.92


def test_action_in_its_layout(context: RunContext) -> None:
    rng = np.random.default_rng(0)
    _invent_actions(context.data_root, rng)
    task = action(context.data_root)
    fold = task.folds[0]
    assert not set(fold.inner[0][1]) & set(fold.test)
    _run_one_row(replace(task, settings=replace(FAST, half=True)), context)


def test_a_skeleton_is_the_same_wherever_the_person_stands() -> None:
    rng = np.random.default_rng(0)
    joints = rng.normal(size=(50, 20, 3)).astype(np.float32)
    turn = np.array([[0.6, 0, -0.8], [0, 1, 0], [0.8, 0, 0.6]], np.float32)
    moved = (1.3 * joints) @ turn + np.array([1.0, 2.0, 3.0], np.float32)
    np.testing.assert_allclose(normalised(moved), normalised(joints), atol=1e-4)


def test_ravdess_folds_are_the_published_ones(data_root: Path) -> None:
    clips = read_clips(data_root)
    assert len(clips.names) == 1439
    assert sorted(actor for fold in ACTOR_FOLDS for actor in fold) == list(range(1, 25))
    for fold in clips.folds:
        tested = set(clips.actors[fold.test])
        for rows in (fold.train, *fold.inner[0]):
            assert not tested & set(clips.actors[rows])
        assert not set(clips.actors[fold.inner[0][0]]) & set(clips.actors[fold.inner[0][1]])


def test_mfcc_and_action_units_of_real_clips(data_root: Path, context: RunContext) -> None:
    """Two actors' clips through the whole of it, one fold of one row."""
    (context.data_root / "ravdess_speech").mkdir()
    for path in sorted((data_root / "ravdess_speech").glob("03-01-*-01-01-0[1-6].flac")):
        (context.data_root / "ravdess_speech" / path.name).symlink_to(path)
    (context.data_root / "ravdess_action_units.csv").symlink_to(
        data_root / "ravdess_action_units.csv"
    )
    task = emotion(context, "mfcc")
    assert task.inputs(task.folds[0], task.folds[0].train).clean(np.array([0]))[0].shape == (
        1,
        212,
        13,
    )
    full = task.folds[0]
    assert isinstance(full.train, np.ndarray)
    fold = Fold("few", full.train, full.test, ((full.train[::2], full.train[1::2]),))
    _run_one_row(replace(task, settings=FAST, folds=(fold,)), context)


def test_in_sessions_people_become_known(task: Task, context: RunContext) -> None:
    """Each of two test people has an offset; what it hides comes out as they become known."""
    rng = np.random.default_rng(1)
    labels, people = np.tile([0, 1], 60), np.repeat(np.arange(4), 30)
    own = np.array([0.0, 0.0, 1.5, -1.5])[people]
    values = torch.from_numpy(
        (labels + own + rng.normal(0, 0.2, 120))[:, None].astype(np.float32).repeat(6, axis=1)
    )
    fold = Fold("one", np.arange(60), np.arange(60, 120), ((np.arange(30), np.arange(30, 60)),))
    task = replace(
        task,
        branches={"wide": _builder(6)},
        labels=torch.from_numpy(labels),
        units=people,
        folds=(fold,),
        female=people == 2,
        inputs=lambda _fold, rows: VectorInputs.scaled([values[None]], rows),
        sessions=True,
        settings=replace(FAST, epochs=20),
    )
    study = Study(task, context, alone=True)
    cell = study.cell(study.rows[0], fold)
    assert cell.session_logits is not None
    assert cell.session_logits.shape == (2, ORDERS, 60, 2)
    figures = results.run(study)["rows"]["wide-alone"]
    assert figures["accuracy"] < 0.7
    assert figures["sessions"]["accuracy"] > figures["accuracy"] + 0.1
    assert set(figures["sessions"]) == {
        *("accuracy", "deviation", "balanced_accuracy", "female", "male")
    }
    again = Study(task, context, alone=True).cell(study.rows[0], fold)  # from its file
    assert again.session_logits is not None
    assert (again.session_logits == cell.session_logits).all()


def test_variants_of_an_earlier_run_are_kept(
    task: Task, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "models.training.study.variants.VARIANTS", {"one": Choice(fusion=Fusion(kind="msaf"))}
    )
    task = replace(task, settings=replace(FAST, epochs=1, seeds=1))
    study = Study(task, context)
    first = results.run(study)
    assert results.run(study, variants=False, before=first)["variants"] == first["variants"]
    assert "variants" not in results.run(study, variants=False)
    others = replace(task, settings=replace(task.settings, choosing_seeds=2))
    chosen = results.run(Study(others, context), variants=False, before=first)
    assert "variants" not in chosen  # other networks chose the rows beside them


def test_a_fingerprint_knows_what_joins_the_branches(
    task: Task, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold, row = task.folds[0], rows_of(task)[-1]
    assert row.key == "msaf-pretrained"
    before = Study(task, context).fingerprint(row, fold)
    monkeypatch.setattr(networks, "JOINT_CHANNELS", 1)
    assert Study(task, context).fingerprint(row, fold) != before


def test_a_class_that_nobody_trained_on_leaves_sessions_their_offsets(
    task: Task, context: RunContext
) -> None:
    fold, rows = task.folds[0], rows_of(task)
    branches = {"wide": _builder(6, 3), "narrow": _builder(4, 3)}
    study = Study(replace(task, classes=("no", "yes", "never"), branches=branches), context)
    network = study.network(rows[0], rows[0].choices[0])
    said = predict_in_sessions(
        study.task, network, task.inputs(fold, fold.train), fold, (0,), torch.device("cpu")
    )
    assert np.ptp(said, axis=0).max() > 0  # what was heard before tells in what comes after


def test_a_fingerprint_tells_inputs_and_folds_apart(task: Task, context: RunContext) -> None:
    fold, row = task.folds[0], rows_of(task)[-1]
    rows, asked = fold.inner[0]
    seen = {
        Study(each, context).fingerprint(row, part)
        for each, part in (
            (task, fold),
            (replace(task, data="more noise"), fold),
            (task, Fold(fold.name, fold.train, fold.test[1:], fold.inner)),
            (task, Fold(fold.name, fold.train, fold.test, ((rows[1:], asked),))),
            (task, Fold(fold.name, fold.train, fold.test, ((rows, asked), (asked, rows)))),
        )
    }
    assert len(seen) == 5
    assert Study(task, context).fingerprint(row, fold) in seen


def test_variants_of_other_inputs_are_computed_anew(
    task: Task, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variants, "VARIANTS", {"one": Choice(fusion=Fusion(kind="msaf"))})
    asked: list[str] = []

    def validate(_study: Study, _row: object, fold: Fold, _choice: object) -> tuple[int, float]:
        asked.append(fold.name)
        return 1, 0.5

    monkeypatch.setattr(Study, "validate", validate)
    for data in ("", "", "more noise"):
        variants.compare_variants(Study(replace(task, data=data), context))
    assert len(asked) == 2 * len(task.folds)
    for path in (context.work_dir / Study(task, context).folder / "variants").iterdir():
        path.write_text("")  # a full disk cut it short
    variants.compare_variants(Study(task, context))
    assert len(asked) == 3 * len(task.folds)


def test_a_variant_that_is_a_rows_setting_is_that_rows(
    task: Task, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study(task, context)
    row = study.rows[-1]
    assert row.choices[1] in variants.VARIANTS.values()
    expected = np.mean([study.cell(row, fold).validation[1] for fold in task.folds])
    monkeypatch.setattr(variants, "VARIANTS", {"one": row.choices[1]})
    monkeypatch.setattr(Study, "validate", None)  # nothing is left to train
    assert variants.compare_variants(study) == {"one": expected}


def test_damaged_cells_are_named_and_damaged_branches_made_again(
    task: Task, context: RunContext
) -> None:
    row, fold = rows_of(task)[-1], task.folds[0]
    study = Study(task, context)
    cell = study.cell(row, fold)
    folder = context.work_dir / study.folder
    path = folder / row.key / fold.name / "cell.pt"
    path.write_bytes(b"no cell")
    with pytest.raises(DataError, match=r"cell\.pt cannot be read \(.*\): delete it"):
        study.cell(row, fold)
    path.unlink()
    (folder / rows_of(task)[0].key / fold.name / "seed0.pt").write_bytes(b"no weights")
    np.testing.assert_array_equal(study.cell(row, fold).logits, cell.logits)


def test_damaged_statistics_are_made_again(
    context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "recordings", lambda _context: None)
    monkeypatch.setattr(tuning, "window_statistics", lambda *_: torch.ones(4, 1, 2))
    monkeypatch.setattr(tuning.Tuner, "__init__", lambda *_: None)
    monkeypatch.setattr(tuning.Tuner, "run", lambda _: SimpleNamespace(encoder=None))
    clips = Clips(("one",), np.zeros(1, np.int64), np.zeros(1, np.int64), ())
    given = context, clips, np.arange(1), statistics_branch
    made = tuning.tuned_statistics(*given)
    (path,) = context.work_dir.rglob("statistics.pt")
    path.write_bytes(b"no statistics")
    assert torch.equal(tuning.tuned_statistics(*given), made)
    assert torch.equal(torch.load(path), made)


def test_features_of_other_recordings_are_made_anew(
    context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = context.data_root / "ravdess_speech"
    folder.mkdir()
    (folder / "03-01-01-01-01-01-01.flac").touch()
    monkeypatch.setattr(ravdess, "start_from_whisper", lambda _encoder, _cache_dir: None)
    monkeypatch.setattr(ravdess, "recordings", lambda _context: None)
    made: list[object] = []

    def nothing(*given: object) -> torch.Tensor:
        made.append(given)
        return torch.zeros(1, 2)

    monkeypatch.setattr(ravdess, "window_statistics", nothing)
    stages = set()

    def stage(**changed: int) -> str:
        clips = read_clips(context.data_root)
        config = tuning.TuningConfig(**changed)
        return tuning.stage(context, config, clips, np.arange(1), statistics_branch)

    for noise in (0.5, 0.5, 0.6):
        monkeypatch.setattr(ravdess, "RECORDED", replace(ravdess.RECORDED, noise=noise))
        ravdess.whisper_statistics(context)
        stages.add(stage())
    assert len(made) == len(stages) == 2
    (folder / "03-01-02-01-01-01-01.flac").touch()
    ravdess.whisper_statistics(context)
    assert len(made) == 3
    assert (added := stage()) not in stages
    (folder / "03-01-02-01-01-01-01.flac").write_bytes(b"other sound under the same name")
    ravdess.whisper_statistics(context)
    assert len(made) == 4
    assert stage() not in {*stages, added}
    assert stage(epochs=3) != stage()
    for path in (context.work_dir / "features").iterdir():
        path.write_bytes(b"no features")
    ravdess.whisper_statistics(context)
    assert len(made) == 5
    sizes = replace(VoiceEncoderConfig(), heads=4)
    monkeypatch.setattr(ravdess, "VoiceEncoderConfig", lambda: sizes)
    ravdess.whisper_statistics(context)
    assert len(made) == 6


def test_layers_of_unequal_length_have_statistics_too() -> None:
    encoder = VoiceEncoder(VoiceEncoderConfig(width=16, layers=3, heads=2, halved_after=1)).eval()
    assert ravdess.statistics(encoder, torch.randn(2, 80, 100)).shape == (2, 3 * 2 * 16)


@pytest.fixture
def five_folds() -> Clips:
    """500 clips of a class each, every fifth of which another fold tests."""
    of = np.arange(500) % 5
    folds = [Fold(str(k), np.flatnonzero(of != k), np.flatnonzero(of == k), ()) for k in range(5)]
    return Clips(tuple(map(str, range(500))), np.zeros(500, np.int64), of, tuple(folds))


def test_people_are_read_by_encoders_that_never_heard_them(five_folds: Clips) -> None:
    torch.manual_seed(0)
    for fold in five_folds.folds:
        parts = crossfit.parts(five_folds, fold)
        assert len(parts) == 4
        assert sorted(np.concatenate([left_out for left_out, _ in parts])) == fold.train.tolist()
        for left_out, learned in parts:
            assert not set(learned) & {*left_out, *fold.test}
            assert sorted({*learned, *left_out}) == fold.train.tolist()
    shared = {
        tuple(rows) for fold in five_folds.folds for _, rows in crossfit.parts(five_folds, fold)
    }
    assert len(shared) == 10  # of 20: those without people of two folds serve both
    fold = five_folds.folds[1]
    said = torch.randn(2, 500, 3)
    (standard,) = VectorInputs.scaled([said], fold.train).views
    every = [said.clone() for _ in range(4)]
    torch.testing.assert_close(crossfit.cross_fitted(every, five_folds, fold), standard)
    # What one encoder mistakes is read of those alone who are left to it.
    left_out = crossfit.parts(five_folds, fold)[2][0]
    every[2][:, left_out] = said[:, left_out[::-1].copy()]
    read = crossfit.cross_fitted(every, five_folds, fold)
    mistaken = standard[:, left_out[::-1].copy()]
    torch.testing.assert_close(read[:, left_out], mistaken)
    assert not torch.allclose(mistaken, standard[:, left_out])


def test_nothing_of_test_people_reaches_those_who_learn(five_folds: Clips) -> None:
    torch.manual_seed(0)
    fold = five_folds.folds[3]
    said = [torch.randn(2, 500, 6) for _ in range(4)]
    read = crossfit.cross_fitted(said, five_folds, fold)
    for each in said:
        each[:, fold.test] = 100.0 * torch.randn(2, 100, 6)
    other = crossfit.cross_fitted(said, five_folds, fold)
    assert torch.equal(read[:, fold.train], other[:, fold.train])
    assert not torch.equal(read[:, fold.test], other[:, fold.test])


def test_encoders_that_use_other_words_are_brought_together(five_folds: Clips) -> None:
    """Four that say the same turned about, also of people whom no regression is made on."""
    torch.manual_seed(0)
    fold = five_folds.folds[0]
    known = torch.randn(1, 500, 3) @ torch.randn(3, 8)
    turned = [known @ torch.linalg.qr(torch.randn(8, 8)).Q for _ in range(4)]
    standard = VectorInputs.scaled(turned, fold.train).views
    read = crossfit.cross_fitted(turned, five_folds, fold)
    mean = torch.stack(standard).mean(dim=0)
    for values, (part, _) in zip(standard, crossfit.parts(five_folds, fold), strict=True):
        before, after = values[:, part] - mean[:, part], read[:, part] - mean[:, part]
        assert after.square().mean() < 0.3 * before.square().mean()


def test_a_cross_fitted_voice_is_as_dear_as_all_its_encoders() -> None:
    config = VoiceEncoderConfig(width=16, layers=3, heads=2, halved_after=1)
    encoders = [VoiceEncoder(config).eval() for _ in range(4)]
    mel = [torch.zeros(1, 80, 100)]
    one = measure(ravdess.ClipStatistics(encoders[0]), mel, None, torch.device("cpu"))
    all_four = crossfit.CrossFittedVoice(encoders, 3 * 2 * 16)
    cost = measure(all_four, mel, None, torch.device("cpu"))
    assert cost.flops == 4 * (one.flops + 2 * 96 * 96)
    assert cost.parameters == 4 * (one.parameters + 96 * 96)


def test_an_encoder_is_tuned_on_a_folds_people_and_read_by_the_branch(
    context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From clips in RAVDESS's layout to statistics, with an encoder of random weights."""
    folder = context.data_root / "ravdess_speech"
    folder.mkdir()
    time = np.arange(16000) / 16000
    for actor in (2, 3, 10):
        for code in (1, 3, 5, 8):
            tone = 0.3 * np.sin(2 * np.pi * (100 * code + actor) * time)
            name = f"03-01-{code:02d}-01-01-01-{actor:02d}.flac"
            soundfile.write(folder / name, tone.astype(np.float32), 16000)
    monkeypatch.setattr(ravdess, "start_from_whisper", lambda _encoder, _cache_dir: None)
    clips = read_clips(context.data_root)
    ((_, rows), _) = crossfit.parts(clips, clips.folds[0])
    spoken = ravdess.recordings(context)
    for row, clip in enumerate(load_ravdess(context.data_root)):
        np.testing.assert_allclose(spoken.samples_of(0, row), clip.samples, atol=1e-4)
        assert not np.array_equal(spoken.samples_of(1, row), spoken.samples_of(0, row))
    config = tuning.TuningConfig(frozen_epochs=2, frozen_batch_size=2, epochs=1, batch_size=2)
    monkeypatch.setattr(tuning, "TuningConfig", lambda: config)
    tuner = tuning.Tuner(context, clips, rows, statistics_branch, spoken, config)
    tuned = tuner.run()
    folder = context.work_dir / tuning.stage(context, config, clips, rows, statistics_branch)
    assert torch.load(folder / "tuned/state.pt", weights_only=True)["epoch"] == 1
    values = window_statistics(context, tuned.encoder, spoken)
    assert values.shape == (ravdess.VIEWS, 12, 3072)
    assert tuned.classify(values[0]).shape == (12, len(RAVDESS_EMOTIONS))
    # The command goes on from there, and keeps no state of what is finished.
    kept = tuning.tuned_statistics(context, clips, rows, statistics_branch)
    torch.testing.assert_close(kept.float(), values, atol=2e-3, rtol=2e-3)
    assert not list(folder.glob("*/state.pt"))
    times = crossfit.training_seconds(context, clips, statistics_branch)
    assert list(times) == ["cpu"]
    assert times["cpu"] > 0.0
    heard = {int(row) for _, each in tuner._batches(0) for row in each}
    assert set(clips.actors[sorted(heard)]) == {10}  # neither tested actors nor those left out
    for name in ("recordings", "recording-ends"):
        (damaged,) = context.work_dir.rglob(f"{name}-*.npy")
        damaged.write_bytes(b"no sound")
        np.testing.assert_array_equal(ravdess.recordings(context).ends, spoken.ends)


def test_a_layout_tells_what_weights_do_not() -> None:
    assert layout(statistics_branch()) == layout(statistics_branch())
    assert layout(statistics_branch()) != layout(face_branch())
    assert any("_FeatureDropout" in part and 0.3 in part for part in layout(statistics_branch()))


def test_the_command_says_what_it_does_not_know(tmp_path: Path) -> None:
    runner = CliRunner()
    wrong = runner.invoke(main.app, ["evaluate", "fusion", "--task", "dance"])
    assert wrong.exit_code == 2
    assert "sentiment" in wrong.output
    missing = runner.invoke(
        main.app,
        [
            *("evaluate", "fusion", "--task", "sentiment", "--data-root", str(tmp_path)),
            *("--work-dir", str(tmp_path / "work"), "--out", str(tmp_path / "r.md")),
        ],
    )
    assert missing.exit_code == 6
    figures = tmp_path / "results.json"
    figures.write_text("{")
    for out, told in ((figures, "call it results.md"), (tmp_path / "results.md", "delete it")):
        damaged = runner.invoke(
            main.app,
            [
                *("evaluate", "fusion", "--task", "sentiment", "--data-root", str(tmp_path)),
                *("--work-dir", str(tmp_path / "work"), "--out", str(out)),
            ],
        )
        assert told in " ".join(damaged.output.replace("│", " ").split())
        assert figures.read_text() == "{"


def _run_one_row(task: Task, context: RunContext) -> None:
    """MSAF with pre-trained branches, and with that the branches alone."""
    cell = Study(task, context).cell(rows_of(task)[-1], task.folds[0])
    rows: Rows = task.folds[0].test
    assert cell.logits.shape[:2] == (task.settings.seeds, len(rows))
    assert np.isfinite(cell.logits).all()


def _invent_actions(root: Path, rng: np.random.Generator) -> None:
    subjects = np.repeat([1, 2, 3, 4], len(ACTIONS))
    frames = rng.integers(20, 30, len(subjects))
    np.savez(
        root / "utd_mhad.npz",
        names=np.array([f"clip{index}" for index in range(len(subjects))]),
        action=np.tile(np.arange(1, 28), 4).astype(np.int16),
        subject=subjects.astype(np.int16),
        trial=np.ones(len(subjects), np.int16),
        skeleton=rng.normal(size=(frames.sum(), 20, 3)).astype(np.float16),
        skeleton_frames=frames.astype(np.int16),
        depth=rng.integers(0, 255, (len(subjects), 32, 64, 64)).astype(np.uint8),
    )


def test_branches_wait_for_what_joins_them(task: Task) -> None:
    fold = task.folds[0]
    inputs = task.inputs(fold, fold.train)
    network = FusedNetwork(
        [build() for build in task.branches.values()], Fusion(kind="msaf"), len(task.classes)
    )
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for held, moved in ((1.0, False), (0.5, True)):
        settings = replace(task.settings, held=held)
        modalities = tuple(range(len(task.branches)))
        training.train(
            task,
            network,
            inputs,
            fold.train,
            settings,
            modalities=modalities,
            pretrained=True,
        )
        after = network.state_dict()
        changed = {name for name, value in before.items() if (after[name] != value).any()}
        assert any(name.startswith("places.") for name in changed)
        assert any(name.startswith("branches.") for name in changed) is moved


def test_one_network_has_no_deviation(task: Task, context: RunContext, tmp_path: Path) -> None:
    single = replace(
        task, settings=replace(FAST, seeds=1), folds=task.folds[:1], name="single", female=None
    )
    figures = results.run(Study(single, context, alone=True))
    assert all(row["deviation"] == 0.0 for row in figures["rows"].values())
    report.write({"single": figures}, tmp_path / "page.md")

"""Prints what `evaluate live` measured, a function per table. Thread: any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from models.config import CONDITIONS
from models.labels import EMOTIONS
from models.training.live.calibration import BINS
from models.training.live.fusion_answers import SESSION_START
from models.training.live.fusion_features import POOR_SNR

Results = Mapping[str, Any]


def report(results: Results, console: Console) -> None:
    """Print the figures, as `evaluate_live` returns them, as tables."""
    for tables in (
        _aims,
        _face_branch,
        _conditions,
        _classes,
        _sexes,
        _everybody,
        _sessions,
        _qualities,
    ):
        for table in tables(results):
            console.print(table)
    if dropout := results["modality_dropout"]:
        console.print(
            "modality dropout, both present, validation people: with "
            f"{dropout['with']:.1%}, without {dropout['without']:.1%}, cost "
            f"{dropout['cost_points']:.1f} points"
        )
    else:
        console.print(
            "the network that validation people chose is not in the work folder: nothing was "
            "measured on them"
        )
    weights = results["weights"]
    parameters = ", ".join(f"{name} {count:,}" for name, count in weights["parameters"].items())
    console.print(f"weights: {weights['bytes'] / 1e6:.1f} MB; parameters: {parameters}")
    console.print(f"SHA-256 {weights['sha256']}", soft_wrap=True)


def _percents(values: Iterable[float]) -> Iterator[str]:
    return (f"{value:.1%}" for value in values)


def _aims(results: Results) -> Iterator[Table]:
    table = Table("figure", "measured", "aim", "", title="Aims")
    for row in results["targets"]:
        value = f"{row['value']:.3f}" if row["value"] < 10 else f"{row['value']:.1f}"
        table.add_row(row["what"], value, row["aim"], "reached" if row["reached"] else "missed")
    yield table


def _face_branch(results: Results) -> Iterator[Table]:
    table = Table(
        *("FER+ test, eight classes", "samples", "accuracy", "balanced", "most voted"),
        title="Face branch",
    )
    for what, figures in (
        ("photographs that no earlier split has", results["ferplus_test"]),
        ("the whole split, as published", results["ferplus_test"]["published"]),
    ):
        names = ("accuracy", "balanced_accuracy", "accuracy_most_voted")
        table.add_row(what, str(figures["samples"]), *_percents(figures[name] for name in names))
    yield table


def _conditions(results: Results) -> Iterator[Table]:
    calibration = (f"ECE ({BINS} bins)", "perfect", "uncalibrated")
    columns = ("condition", "samples", "accuracy", "balanced", *calibration)
    names = (
        "accuracy",
        "balanced_accuracy",
        "calibration_error",
        "calibration_error_floor",
        "calibration_error_before",
    )
    for split, conditions in results["conditions"].items():
        table = Table(*columns, title=f"Seven classes, {split} people")
        for condition, figures in conditions.items():
            cells = _percents(figures[name] for name in names)
            table.add_row(condition, str(figures["samples"]), *cells)
        yield table


def _classes(results: Results) -> Iterator[Table]:
    test = results["conditions"]["test"]
    table = Table("class", *test, title="Recall per class (of so many), test people")
    for name in EMOTIONS:
        cells = (f"{each['recall'][name]:.1%} ({each['support'][name]})" for each in test.values())
        table.add_row(name, *cells)
    yield table


def _sexes(results: Results) -> Iterator[Table]:
    table = Table(
        "condition", "female", "male", title="Balanced accuracy by sex of the actor heard"
    )
    for condition, figures in results["by_sex"].items():
        table.add_row(condition, *_percents(figures[sex] for sex in ("female", "male")))
    yield table


def _everybody(results: Results) -> Iterator[Table | str]:
    if not (folds := results["folds"]):
        yield (
            "not measured: all actors, each by a network that never heard them "
            "(`train live --stage folds` leaves these in the work folder)"
        )
        return
    table = Table(
        *("voice only", "balanced", "female", "male", f"ECE ({BINS} bins)"),
        title=f"Every one of {folds['actors']['count']:.0f} actors, judged by a network that "
        "never heard them (5 folds)",
    )
    for name in ("each window by itself", "adapted"):
        table.add_row(name, *_percents(folds[name].values()))
    yield table
    yield f"deviation between actors: {folds['actors']['deviation']:.1%}"


def _sessions(results: Results) -> Iterator[Table]:
    table = Table(
        *("people", "condition", "", "balanced", f"after {SESSION_START} clips"),
        *("female", "male", f"ECE ({BINS} bins)"),
        title="Each actor's clips heard in one session, mean of random orders",
    )
    for split, conditions in results["sessions"].items():
        for condition, of in conditions.items():
            for name, figures in of.items():
                table.add_row(split, condition, name, *_percents(figures.values()))
    yield table


def _qualities(results: Results) -> Iterator[Table]:
    table = Table(
        *("people", "what is given", *CONDITIONS, "the face counts"),
        title=f"Balanced accuracy where a sense is poor (voice: {POOR_SNR:.0f} dB SNR)",
    )
    for split, rows in results["qualities"].items():
        for quality, figures in rows.items():
            table.add_row(split, quality, *_percents(figures.values()))
    yield table

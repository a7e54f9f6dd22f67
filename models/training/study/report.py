"""Results as tables: in the terminal, and as `docs/results.md` beside `docs/results.json`.

The page is always made of the whole JSON file, so that one task can be run anew without the others.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch

from models.training.study.results import Figures
from models.training.study.statistics import lowest_sign_flip_p

_FUSION_TITLES: Final = {
    "average": "averaging",
    "concatenation": "concatenation",
    "mmtm": "MMTM",
    "msaf": "MSAF",
}

_TESTS: Final = {"sign flip": "sign_flip_p", "resampled": "resampled_p", "Holm": "holm_p"}
_LEVEL: Final = 0.05
"""Of p (Holm), up to which a difference is called clear."""

_HEAD: Final = """\
# Is the fusion worth it?

Written by `python main.py evaluate fusion`; figures as measured, with all their digits in
[results.json](results.json).

How it was done. On the published folds of each data set, the same branches, training budget and
seeds for every row. Each row has two settings (a branch alone: two learning rates; averaging: plain
mean, learned weights; concatenation: linear answer, a hidden layer of 64; MMTM: behind both stages,
behind the last; MSAF: as in the paper with L = 0 and block dropout p = 0.2, and beginning as the
identity with L = 0.5 and p = 0.1: its last layer starts at zero and what comes out is multiplied by
a fixed 1 / (L + (1 - L) / N). MMTM is given no such start). Setting and epoch are chosen on
validation people inside the training people (what was set before that is said under each table);
then networks of several seeds are trained with them on all training people and scored once on the
test people. "From scratch" trains everything together; "pre-trained" starts from the branches that
were trained alone on the same people. MMTM and MSAF sit behind both stages of the branches and end,
as averaging does, in the mean of the branches' logits.

A limitation of the pre-trained rows, of every fusion alike: the networks that choose setting and
epoch, and those of "what was tried", start from branches trained for all epochs, while the networks
that are scored start from branches trained up to the epoch chosen for them. So setting and epoch
are chosen for a start that is not quite the one they are used with.

± is the standard deviation over folds and seeds. p (sign flip) flips, person by person or video by
video, what each adds to the difference shown beside it, right answers averaged over seeds; p
(resampled) is the corrected resampled t-test of Nadeau and Bengio over folds, seeds averaged first
(folds - 1 degrees of freedom; a single fold allows none). Both are two-sided. p (Holm) is the
larger of the two, corrected by Holm for the number of comparisons in its table (not of all tables
together), and what claims stand on, at 0.05. Folds share most of their training people, so no p is
better than its assumptions; and where no difference is clear, that does not show that there is
none.

Parameters, FLOPs and time are those of the network behind the features named under each table, with
the setting chosen in most folds (of two chosen as often, the first), one clip at a time on one
thread, the fastest of 200 times. FLOPs are those of matrix products, attention's too, and
convolutions. Training time is that of the row itself, choices included, on a machine that was doing
other things too; what pre-trained rows start from was trained in the rows of the branches alone.
"""


def write(results: dict[str, Figures], markdown: Path) -> None:
    """Write the page and, with the same name, the JSON file."""
    markdown.parent.mkdir(parents=True, exist_ok=True)
    data = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)
    markdown.with_suffix(".json").write_text(data + "\n", encoding="utf-8")
    parts = [_HEAD, _summary(results)]
    parts += [_task(results[name]) for name in results]
    markdown.write_text("\n".join(parts), encoding="utf-8")


def read(markdown: Path) -> dict[str, Figures]:
    """What the JSON file beside the page holds; empty where there is none."""
    path = markdown.with_suffix(".json")
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def machine() -> str:
    """What the figures were measured on."""
    return f"torch {torch.__version__}, {platform.system()} {platform.machine()}"


def table(task: Figures) -> str:
    """The main table of one task."""
    rows = []
    every = task["rows"].values()
    in_sessions = any(map(_sessions, every))
    for row in every:
        cells = [
            row["title"],
            "" if len(row["modalities"]) == 1 else _start(row["pretrained"]),
            f"{row['accuracy']:.1%} ± {100 * row['deviation']:.1f}",
            f"{row['balanced_accuracy']:.1%}",
            *((_sessions(row) or ["–"]) if in_sessions else []),
            f"{row['parameters']:,}",
            f"{row['flops'] / 1e6:.2f}",
            f"{row['milliseconds']:.2f}",
            f"{row['training_seconds'] / 60:.1f}",
        ]
        rows.append(cells)
    head = ["network", "branches", "accuracy", "balanced"]
    head += ["in sessions"] if in_sessions else []
    head += ["parameters", "MFLOP", "ms", "min"]
    return _markdown(head, rows)


def _sexes_in_sessions(row: Figures) -> dict[str, float]:
    found = row.get("sessions") or {}
    return {sex: found[sex] for sex in ("female", "male") if sex in found}


def _sessions(row: Figures) -> list[str]:
    """Accuracy in sessions, nothing where that was not asked for."""
    found = row.get("sessions")
    return [f"{found['accuracy']:.1%} ± {100 * found['deviation']:.1f}"] if found else []


def _task(task: Figures) -> str:
    parts = [f"## {task['title']}\n"]
    parts.append(
        f"{_sentence(task['protocol'])} {task['seeds']} seeds. {task['units']} test "
        f"{task['unit']}s.{_extraction(task)}\n"
    )
    parts.append(table(task))
    parts += [f"{_sentence(note)}\n" for note in task["notes"]]
    if pairs := task.get("wrong_together"):
        told = "; ".join(
            f"{' and '.join(pair['branches'])} {pair['measured']:.1%} ({pair['by_chance']:.1%})"
            for pair in pairs
        )
        parts.append(
            "Two branches alone are wrong in the same sample (in brackets, if they had nothing in "
            f"common but the class, as pairs made by class): {told}.\n"
        )
    if task["paired"]:
        parts += ["### MSAF against the others\n", _against(task), verdict(task), _tried(task)]
    if "variants" in task:
        parts += ["### What was tried with MSAF\n", _variants(task)]
    best = _chosen_msaf(task)
    parts.append(f"### Per class, {_named(best)}\n")
    if len(task["classes"]) <= 8:
        parts.append("Rows are the truth, columns the answer; all seeds together.\n")
        parts.append(
            _markdown(
                ["", *task["classes"], "recall"],
                [
                    [name, *(str(count) for count in counts), _recall(best, name)]
                    for name, counts in zip(task["classes"], best["confusion"], strict=True)
                ],
            )
        )
    else:
        parts.append(_confused(task, best))
    if best["by_sex"]:
        parts.append("### By sex\n")
        parts.append(
            _markdown(
                [
                    *("network", "branches", "female", "male"),
                    *(f"{sex}, in sessions" for sex in _sexes_in_sessions(best)),
                ],
                [
                    [
                        row["title"],
                        "" if len(row["modalities"]) == 1 else _start(row["pretrained"]),
                        f"{row['by_sex']['female']:.1%}",
                        f"{row['by_sex']['male']:.1%}",
                        *(f"{value:.1%}" for value in _sexes_in_sessions(row).values()),
                    ]
                    for row in task["rows"].values()
                ],
            )
        )
    return "\n".join(parts)


def _extraction(task: Figures) -> str:
    """What was computed before any of the networks, and how long it took where that is known."""
    if not task["extractor"]:
        return ""
    seconds = task.get("extraction_seconds")
    took = f" (training: {seconds / 60:.0f} minutes)" if seconds else ""
    return f" Computed once, and not in the costs{took}: {task['extractor']}."


def _against(task: Figures) -> str:
    return _markdown(
        ["against", "branches", "difference, points", *(f"p ({name})" for name in _TESTS)],
        [
            [
                _titled(pair),
                _start(pair["pretrained"]),
                f"{100 * pair['difference']:+.2f}",
                *(p_value(pair[key]) for key in _TESTS.values()),
            ]
            for pair in task["paired"]
        ],
    )


def p_value(value: float | None) -> str:
    """How a p-value is shown; None where there is no such test."""
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _titled(pair: Figures) -> str:
    against: str = pair["against"]
    return _FUSION_TITLES.get(against, against)


def verdict(task: Figures) -> str:
    """In words: what all tests of the table together let one say."""
    lowest = lowest_sign_flip_p(task["units"])
    if lowest > _LEVEL:
        return (
            f"Nothing is claimed here: with {task['units']} test {task['unit']}s no p (sign flip) "
            f"can be below {lowest:.3f}.\n"
        )
    sentences = []
    for pretrained in (False, True):
        pairs = [pair for pair in task["paired"] if pair["pretrained"] is pretrained]
        clear = [pair for pair in pairs if pair["holm_p"] <= _LEVEL]
        told = [
            f"{'ahead of' if pair['difference'] > 0 else 'behind'} "
            f"{_titled(pair)} by {100 * abs(pair['difference']):.1f} points"
            for pair in clear
        ]
        start = _sentence(f"with branches {_start(pretrained)}, MSAF is ")[:-1]
        if told:
            rest = "" if len(clear) == len(pairs) else "; no clear difference to the others"
            sentences.append(start + ", ".join(told) + rest + ".")
        else:
            sentences.append(start + "neither clearly better nor clearly worse than any other.")
    return " ".join(sentences) + "\n"


def _summary(results: dict[str, Figures]) -> str:
    rows = [
        [
            task["title"],
            _named(task["rows"][target["row"]]),
            f"{target['accuracy']:.1%}",
            f"≥ {target['aim']:.1%}",
            "reached" if target["reached"] else "missed",
            *(_sessions(task["rows"][target["row"]]) or ["–"]),
        ]
        for task in results.values()
        for target in task["targets"]
    ]
    seconds = sum(
        row["training_seconds"]
        for task in results.values()
        if task["paired"]  # tables of one branch share its training
        for row in task["rows"].values()
    )
    return "\n".join(
        [
            "## What was to reach\n",
            "Of the fused rows those that validation people prefer, of all and of MSAF's; not "
            "those that came out best on test people. In sessions people become known, which is "
            "not the published protocol that the aims are about; see under emotion.\n",
            _markdown(["task", "network", "accuracy", "aim", "", "in sessions"], rows),
            f"All rows together trained for {seconds / 60:.0f} minutes ({machine()}).\n",
        ]
    )


def _tried(task: Figures) -> str:
    """Validation accuracy of every setting: what was tried, without a look at test people."""
    rows = []
    for row in task["rows"].values():
        if len(row["modalities"]) == 1:
            continue
        means = [sum(each) / len(each) for each in zip(*row["validation"], strict=True)]
        chosen = [row["chosen"].count(index) for index in range(len(means))]
        rows.append(
            [
                row["title"],
                _start(row["pretrained"]),
                *(f"{mean:.1%} ({count})" for mean, count in zip(means, chosen, strict=True)),
            ]
        )
    return "\n".join(
        [
            "### Settings on validation people\n",
            "Mean over folds, and in how many folds each was chosen.\n",
            _markdown(["network", "branches", "first setting", "second setting"], rows),
        ]
    )


def _variants(task: Figures) -> str:
    rows = [
        [name, f"{figures['accuracy']:.1%}", f"{figures['epoch']:.0f}"]
        for name, figures in task["variants"].items()
    ]
    text = "Validation people, pre-trained branches, one network per inner split; no test people.\n"
    return f"{text}\n" + _markdown(["variant", "accuracy", "best epoch"], rows)


def _recall(row: Figures, name: str) -> str:
    """Part of a class that is found; it has none where it does not occur."""
    return f"{row['recall'][name]:.1%}" if name in row["recall"] else "–"


def _confused(task: Figures, row: Figures) -> str:
    """Classes with their recall and the wrong answer they get most, worst first."""
    lines = []
    for name, recall in row["recall"].items():
        index = task["classes"].index(name)
        counts = list(row["confusion"][index])
        total, counts[index] = sum(counts), -1
        most = max(range(len(counts)), key=counts.__getitem__)
        taken = f"{task['classes'][most]} ({counts[most]} of {total})" if counts[most] > 0 else "–"
        lines.append((recall, [name, f"{recall:.1%}", taken]))
    lines.sort(key=lambda line: line[0])
    return _markdown(["class", "recall", "most often taken for"], [line for _, line in lines])


def _chosen_msaf(task: Figures) -> Figures:
    """The MSAF row that validation people prefer; the only row where nothing is fused."""
    rows = [row for key, row in task["rows"].items() if key.startswith("msaf-")]
    rows = rows or list(task["rows"].values())
    return max(rows, key=lambda row: sum(max(each) for each in row["validation"]))


def _named(row: Figures) -> str:
    if len(row["modalities"]) == 1:
        return str(row["title"])
    return f"{row['title']}, {_start(row['pretrained'])}"


def _start(pretrained: bool) -> str:
    return "pre-trained" if pretrained else "from scratch"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")

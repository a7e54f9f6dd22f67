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

from models.files import write_whole
from models.training.data import DataError
from models.training.study.networks import JOINT_CHANNELS
from models.training.study.results import Figures
from models.training.study.sessions import ORDERS
from models.training.study.statistics import holm, lowest_sign_flip_p

_TITLES: Final = {
    "average": "averaging",
    "concatenation": "concatenation",
    "mmtm": "MMTM",
    "msaf": "MSAF, identity start",
    "msaf-paper": "MSAF, as in the paper",
}

_TESTS: Final = {"sign flip": "sign_flip_p", "Holm": "holm_p", "resampled": "resampled_p"}
_LEVEL: Final = 0.05
"""Of p (Holm), up to which a difference is called established."""

_SEXES: Final = ("female", "male")

_ORDER: Final = ("emotion-", "voice-", "action", "sentiment")
_VOICES: Final = ("whisper", "tuned", "mfcc")
"""In which tasks follow each other on the page, by the beginnings and ends of their keys."""

_HEAD: Final = """\
# Is the fusion worth it?

Written by `python main.py evaluate fusion`; figures as measured, with all their digits in
[results.json](results.json). The paper's own three networks were never trained here on the data
sets that the paper has for them, since these are not at hand: what is compared is the paper's
fusion, put into smaller networks.
"""

_METHOD: Final = f"""\
## How it was done

On the published folds of each data set, the same branches, training budget and seeds for every
row. Each row has two settings:

| row | first setting | second setting |
|---|---|---|
| a branch alone | the task's learning rate | 0.3 of it |
| averaging of logits | plain mean | one weight per branch, learned |
| concatenation | linear answer | beside it a hidden layer of 64 |
| MMTM | behind both stages of the branches | behind the last |
| MSAF, as in the paper | behind both stages | behind the last |
| MSAF, identity start | behind both stages | behind the last |

Setting and epoch are chosen on validation people, who are taken from the training people; then
networks of several seeds are trained with them on all training people and scored once on the test
people. What was not chosen so stands at the end of the page. What chooses is one network per split
inside the training people; of CMU-MOSI, whose networks are small and differ much by seed, it is
ten, whose curves are averaged.

- **Branch**: the network of one modality, of two stages; **alone** it answers by itself. Averaging,
  MMTM and MSAF end in the mean of the branches' logits.
- **From scratch**: everything is trained together. **Pre-trained**: training starts from branches
  that were trained alone on the same people, heads included; they learn at 0.3 of the rate of what
  joins them. The networks that choose setting and epoch start from branches trained for all epochs,
  those that are scored from branches trained up to the epoch chosen for them: of every fusion
  alike, a start that is not quite the one the choice was made for. Where validation people stop
  them after a few epochs (the last column under "settings", as on CMU-MOSI), the fusions are hardly
  trained, and such rows compare little but the mean of branches that are the same.
- **Concatenation** begins as averaging does: its linear layer has the weights of the branches'
  heads side by side, divided by their number, and the last layer of the hidden path beside it
  begins at zero. Being what joins the branches, it learns at the full rate.
- **MSAF** cuts the features of all modalities into N blocks of half the narrowest modality's
  channels, as at all five places of the paper, and multiplies each by an attention, a softmax over
  all N raised to a lowest attention L; in training whole blocks are dropped with probability p. It
  reads the attention from a joint feature of **d** = c / r numbers: c are the channels of a block,
  r the largest of 4, 3 and 2 that leaves at least {JOINT_CHANNELS} numbers, else 1. The paper's
  places have d = 4 to 64.
- **As in the paper**: L = 0 and p = 0.2, as its RAVDESS network has it (its NTU RGB+D network has L
  = 0.5 and no dropout). **Identity start**: L = 0.5 and p = 0.1; MSAF's last layer begins at zero
  and what comes out is multiplied by a fixed 1 / (L + (1 - L) / N), so that nothing is changed at
  first. MMTM needs no such start: its gates begin near 1.
- **Accuracy** is the mean of single networks over folds and seeds, **±** their standard deviation;
  **together** that of one answer from the networks of all seeds, the mean of their
  log-probabilities (an ensemble costs as many times as much). **Balanced** is the mean over classes
  of the part that is found. **The most frequent class** is the answer of whoever always says the
  one that test people show most.
- **Parameters, MFLOP, ms** (millions of operations and time per clip) are those of the network
  behind the features named above each table, with the setting chosen in most folds (of two chosen
  as often, the first); time for one clip at a time (of CMU-MOSI, whose networks read a video's
  utterances in sequence, the first test video) on one thread of a CPU, or on a GPU where the task
  says so, the fastest of 200, taken once per network. Operations are those of matrix products,
  attention's too, and convolutions. A speech encoder before a branch is not in them: its own stand
  above the table.
- **By sex** stands where the data says who is a woman and who a man: RAVDESS alone. A **confusion
  matrix** of more than eight classes is in results.json only.
- **min** is the processor time of the row's training, choices included, on one core; what
  pre-trained rows start from was trained in the rows of the branches alone.
- **In sessions** the same networks meet the clips of each test person one after the other, in
  {ORDERS} random orders. What is the person's own, in the voice as in the face, is learned without
  labels from the answers given so far and taken off the features of the clips that follow
  (`models/speaker.py`, with the live program's two settings, which four of these actors chose; the
  live program does so with the voice alone). Acted clips hold about as much of one emotion as of
  another. It is not the published protocol, which the aims are about, and its figures are not to be
  compared with figures under that.

Tested are MSAF with identity start, which validation people prefer to the paper's in eight of ten
cases (some by next to nothing), against each branch alone and every other fusion, the paper's MSAF
among them; and the paper's MSAF against averaging.

- **p (sign flip)** flips, person by person (of CMU-MOSI video by video), what each adds to the
  difference, right answers averaged over seeds; **better / worse** counts them. It takes the
  networks as they are trained and asks about other test people.
- **p (Holm)** is p (sign flip) corrected for the number of all comparisons on this page. A
  difference is **established**, and in bold, where it is at most {_LEVEL}; not established does not
  mean that there is none.
- **p (resampled)**, uncorrected, shows how much hangs on the training people: the corrected
  resampled t-test of Nadeau and Bengio over folds, seeds averaged first (folds - 1 degrees of
  freedom; a single fold allows none). Folds share most of their training people and five are few,
  so it finds little.

All are two-sided, and none is better than its assumptions.
"""

_CHANGES: Final = """\
## What was changed after test figures were known

Earlier versions of this page had test figures of all these tasks before reviews found most of what
is listed here, about in the order of the changes. How things are now was decided by the paper and
by what is asked, but in the knowledge of those figures.

- **Concatenation began with a random head**, in pre-trained rows too, where every other fusion
  keeps the branches' trained heads. MSAF's only clear advantage, over concatenation with the
  fine-tuned voice, came with that. Validation people did not ask for the change: under "what was
  tried" the random head stands beside.
- **MSAF's joint feature had d = 1 to 4**, since r was 4 wherever blocks had 4 channels or more:
  below the paper's places as soon as blocks were narrower than 16. Validation people do not decide
  it: with identity start they see no difference; the paper's MSAF comes out better with MFCC (3
  points), and worse with Whisper (1 to 2), where blocks of 16 with d = 4 are what its RAVDESS
  network has (all that with four blocks, see the point about blocks). One rule for all tasks was
  kept; the former r stands under "what was tried".
- **The paper's MSAF and the one with identity start were one row**, which chose between them on
  validation people (nearly always the latter): the former had no test figures.
- **A claim needed the larger of two p-values**, one of them the t-test's over five folds, corrected
  together: +8.6 points, better for all 24 actors, came out as "no clear difference". What decides
  now is the sign flip over people, since it is other people that the question is about. It is the
  more lenient rule; p (resampled) still stands beside it.
- **Whisper read whole utterances**, frozen (75.8 % alone) and fine-tuned (76.0 %). Both read a
  window of 3 s around the speech now, as the live network does, and how the encoder is fine-tuned
  was chosen anew: by whom, the next section says.
- **On CMU-MOSI one network per split chose**, as elsewhere. The paper's MSAF was best there after 2
  of 20 epochs, when networks of other seeds were not ready, and came to 65.3 ± 15.8 % from scratch
  and 71.2 ± 11.0 % pre-trained. Ten networks choose now, of every row.
- **MSAF had four blocks in the narrowest modality**, half as wide as the paper has them at all of
  its places: the row called the paper's was not the paper's, and this page held against the paper
  what was this study's own choice. Validation people prefer two blocks for it but on CMU-MOSI,
  where they see no difference. From scratch and pre-trained, with four, it came to 80.3 and 83.2 %
  with the frozen voice, 78.3 and 84.5 with the fine-tuned one (with noise, as below), 66.0 and 66.3
  with MFCC, 90.6 and 97.2 on UTD-MHAD, 76.2 and 76.3 on CMU-MOSI, and from scratch was behind
  averaging by 5.2 and 7.5 points with the first two. With identity start, of which validation
  people think both alike, four blocks came to 84.4 and 85.1, 85.9 and 85.6, 66.6 and 67.7, 97.0 and
  97.4, 79.2 and 78.6 %. Figures of MSAF in the points above are of four blocks where nothing else
  is said. Rows that this does not touch were computed again too: those with Whisper and of CMU-MOSI
  came out the same to the last digit, those with MFCC and of UTD-MHAD up to 1.4 points differently
  (averaging with MFCC, pre-trained: 66.0 % before), why is not on record.
- **Fine-tuned voices were read by encoders that knew the people who learn**: one per fold, which
  had heard all its training people. What learns on such features trusts the voice too much. Alone
  that came to 78.2 %. Fused it came, pre-trained, to 84.8 % by averaging, 84.0 by concatenation,
  83.9 by MMTM, 84.3 and 84.9 by MSAF as in the paper and with identity start (four blocks); from
  scratch to 84.5, 83.8, 83.1, 82.6 and 84.2. Then with noise of 4 deviations on the voice where it
  is fused, and two blocks, to 85.9, 86.0, 85.9, 85.4 and 85.9; from scratch to 85.8, 85.9, 85.6,
  84.7 and 85.7. The encoders are cross-fitted now, without noise. On test people the fused figures
  are the same within what chance does, at four times the encoder's cost, and four encoders are
  something like an ensemble: what of the difference comes of which was not taken apart.
- **Networks together** were not scored. That stands beside single networks since all figures of
  those were known; the aims stay with single networks.
- **p was corrected within each table**, not for all comparisons of the page. One advantage of MSAF
  over another fusion passed for established then, over concatenation with MFCC, pre-trained (p
  0.027), and so did its advantage over the face alone there (0.021 and 0.027).
"""


_KNOWN: Final = (
    (
        "emotion, voice",
        "xlsr-wav2vec2, fine-tuned (Luna-Jiménez et al. 2022, doi:10.3390/app12010327)",
        "81.8%",
        "the folds used here",
    ),
    (
        "emotion, voice + face",
        "the same, and sequences of action units",
        "86.7%",
        "the folds used here",
    ),
    (
        "emotion, voice + face",
        "HiCMAE (Sun et al. 2024, arXiv 2401.05698)",
        "88.0%",
        "other folds of actors",
    ),
    (
        "emotion, voice + face",
        "MSAF with 3D ResNeXt-50 and MFCC (the paper)",
        "74.9%",
        "6 folds of 4 actors, best test epoch",
    ),
    (
        "emotion, voice + face",
        "CFN-SR (Fu et al. 2021, arXiv 2111.02172)",
        "75.8%",
        "6 folds of 4 actors, best test epoch",
    ),
    (
        "action",
        "depth + inertial sensors (Chen et al. 2015, with the data)",
        "79.1%",
        "odd subjects against even ones",
    ),
    ("sentiment", "bc-LSTM (Poria et al. 2017)", "80.3%", "features and split used here"),
)
"""What others report: task, network, accuracy, protocol."""


def write(results: dict[str, Figures], markdown: Path) -> None:
    """Write the page and, with the same name, the JSON file.

    Of each comparison it notes `holm_p`, what a claim stands on: the sign flip over people,
    corrected for the number of all comparisons on the page.
    """
    pairs = [pair for task in results.values() for pair in task["paired"]]
    for pair, corrected in zip(pairs, holm([pair["sign_flip_p"] for pair in pairs]), strict=True):
        pair["holm_p"] = corrected
    data = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(markdown.with_suffix(".json"), data + "\n")
    tasks = [results[key] for key in sorted(results, key=_place)]
    titles = {row["title"] for task in tasks if task["paired"] for row in task["rows"].values()}
    told = [  # a branch alone stands in the tables of its fusions
        task
        for task in tasks
        if task["paired"] or next(iter(task["rows"].values()))["title"] not in titles
    ]
    parts = [_HEAD, _summary(tasks), _METHOD, *map(section, told), _CHANGES, _notes(tasks)]
    write_whole(markdown, "\n".join(parts))


def _place(key: str) -> tuple[int, int]:
    """Where a task stands on the page."""
    begins = [key.startswith(name) for name in _ORDER]
    ends = [key.endswith(name) for name in _VOICES]
    return (*begins, True).index(True), (*ends, True).index(True)


def _notes(tasks: Sequence[Figures]) -> str:
    """What was not chosen on validation people, each said once."""
    notes = dict.fromkeys(note for task in tasks for note in task["notes"])
    lines = [f"- {_sentence(note)}" for note in notes]
    return "\n".join(["## What was not chosen inside the training people\n", *lines]) + "\n"


def read(markdown: Path) -> dict[str, Figures]:
    """What the JSON file beside the page holds; empty where there is none.

    Raises
    ------
    DataError
        It is damaged.
    """
    path = markdown.with_suffix(".json")
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
    except ValueError as error:
        raise DataError(
            f"{path} cannot be read ({error}): delete it, and the command writes it anew from what "
            "is finished"
        ) from None


def machine() -> str:
    """What the figures were measured on."""
    return f"torch {torch.__version__}, {platform.system()} {platform.machine()}"


def table(task: Figures) -> str:
    """The main table of one task."""
    rows = [
        [
            *_network(row),
            f"{row['accuracy']:.1%} ± {100 * row['deviation']:.1f}",
            _together(row),
            f"{row['balanced_accuracy']:.1%}",
            f"{row['parameters']:,}",
            f"{row['flops'] / 1e6:.2f}",
            f"{row['milliseconds']:.2f}",
            f"{row['training_seconds'] / 60:.1f}",
        ]
        for row in task["rows"].values()
    ]
    figures = ["accuracy", "together", "balanced", "parameters", "MFLOP", "ms", "min"]
    return _markdown(["network", "branches", *figures], [_most_frequent(task), *rows])


def _together(row: Figures) -> str:
    """Figures of an earlier version do not have it."""
    return f"{row['together']:.1%}" if "together" in row else "–"


def _most_frequent(task: Figures) -> list[str]:
    """The line of whoever always gives the answer that is right most often."""
    counts = [sum(each) for each in next(iter(task["rows"].values()))["confusion"]]
    share, named = max(counts) / sum(counts), task["classes"][counts.index(max(counts))]
    # Of classes that are as frequent any would do.
    name = f' ("{named}")' if counts.count(max(counts)) == 1 else ""
    balanced = 1 / sum(count > 0 for count in counts)
    measured = [f"{share:.1%}", "–", f"{balanced:.1%}"]
    return [f"the most frequent class{name}", "", *measured, *["–"] * 4]


def section(task: Figures) -> str:
    """All that is said of one task, as Markdown."""
    parts = [f"## {task['title']}\n"]
    parts.append(
        f"{_sentence(task['protocol'])} {task['seeds']} seeds. {task['units']} test "
        f"{task['unit']}s. Trained and timed {_on(task['device'])}.{_extraction(task)}"
        f"{_joint_features(task)}\n"
    )
    parts.append(table(task))
    if pairs := task.get("wrong_together"):
        told = "; ".join(
            f"{' and '.join(pair['branches'])} {pair['measured']:.1%} ({pair['by_chance']:.1%})"
            for pair in pairs
        )
        parts.append(
            "Two branches alone are wrong in the same sample (in brackets, if they had nothing in "
            f"common but the class, as pairs made by class): {told}.\n"
        )
    if task["folds"] > 1:
        by_sex = all(row["by_sex"] for row in task["rows"].values())
        parts += [f"### By fold{' and by sex' if by_sex else ''}\n", "Mean over seeds.\n"]
        parts.append(_by_fold(task, _SEXES if by_sex else ()))
    if task["paired"]:
        parts += ["### MSAF against the others\n", _against(task), _tried(task)]
    if "variants" in task:
        parts += ["### What was tried\n", _variants(task)]
    elif task["paired"]:
        parts += ["### What was tried\n", "Not measured yet with these settings.\n"]
    best, every = _chosen_msaf(task), list(task["rows"].values())
    if len(task["classes"]) <= 8:
        parts.append("### Per class\n")
        parts.append("Rows are the truth, columns the answer; all seeds together.\n")
        for row in (every[0], best) if best is not every[0] else (best,):
            head = [_named(row), *task["classes"], "recall"]
            lines = [
                [name, *map(str, counts), _recall(row, name)]
                for name, counts in zip(task["classes"], row["confusion"], strict=True)
            ]
            parts.append(_markdown(head, lines))
    else:
        parts += [f"### Per class, {_named(best)}\n", _confused(task, best)]
    if best["sessions"]:
        parts.append("### In sessions\n")
        parts.append("Not the published protocol, see how it was done.\n")
        sexes = [sex for sex in _SEXES if sex in best["sessions"]]
        lines = [
            [
                *_network(row),
                f"{row['sessions']['accuracy']:.1%} ± {100 * row['sessions']['deviation']:.1f}",
                *_shares(row["sessions"], *sexes),
            ]
            for row in every
        ]
        parts.append(_markdown(["network", "branches", "all", *sexes], lines))
    return "\n".join(parts)


def _by_fold(task: Figures, sexes: Sequence[str]) -> str:
    head = ["network", "branches", *(f"fold {number + 1}" for number in range(task["folds"]))]
    lines = [
        [
            *_network(row),
            *(f"{sum(each) / len(each):.1%}" for each in row["scores"]),
            *(_shares(row["by_sex"], *sexes)),
        ]
        for row in task["rows"].values()
    ]
    return _markdown([*head, *sexes], lines)


def _network(row: Figures) -> list[str]:
    """A row's name, and where its branches began if there are several."""
    return [row["title"], "" if len(row["modalities"]) == 1 else _start(row["pretrained"])]


def _shares(figures: Figures, *names: str) -> list[str]:
    return [f"{figures[name]:.1%}" for name in names]


def _joint_features(task: Figures) -> str:
    """How wide MSAF's joint feature is at its places."""
    every = {tuple(row["joint_channels"]) for row in task["rows"].values()} - {()}
    widths = sorted({width for each in every for width in each})
    if not widths:
        return ""
    return f" MSAF's joint feature: d = {' and '.join(map(str, widths))}."


def _extraction(task: Figures) -> str:
    """What was computed before any of the networks, and how long it took where that is known."""
    if not task["extractor"]:
        return ""
    times = [
        f"{seconds / 60:.0f} minutes {_on(device)}"
        for device, seconds in sorted((task.get("extraction_training") or {}).items())
    ]
    took = f" (training: {' and '.join(times)})" if times else ""
    cost = task.get("extraction")
    each = (
        ""
        if cost is None
        else f"; {cost['parameters'] / 1e6:.1f} M parameters in all, "
        f"for one clip {cost['flops'] / 1e9:.1f} GFLOP and {cost['milliseconds']:.0f} ms"
    )
    return f" Computed once, and not in the costs{took}: {task['extractor']}{each}."


def _on(device: str) -> str:
    """Where something was computed, by torch's name of the device."""
    return "on a CPU" if device.startswith("cpu") else "on a GPU"


def _against(task: Figures) -> str:
    head = ["network", "against", "branches", "difference, points", "better / worse"]
    return _markdown(
        [*head, *(f"p ({name})" for name in _TESTS)],
        [
            [
                _TITLES[pair["network"]],
                _titled(pair),
                _start(pair["pretrained"]),
                f"**{points}**" if _established(pair) else points,
                f"{pair['units_better']} / {pair['units_worse']}",
                *(p_value(pair[key]) for key in _TESTS.values()),
            ]
            for pair in task["paired"]
            for points in (f"{100 * pair['difference']:+.2f}",)
        ],
    )


def p_value(value: float | None) -> str:
    """How a p-value is shown; None where there is no such test."""
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _titled(pair: Figures) -> str:
    against: str = pair["against"]
    return _TITLES.get(against, f"{against} alone")


def _established(pair: Figures) -> bool:
    return bool(pair["holm_p"] <= _LEVEL)


def claims(tasks: Sequence[Figures]) -> str:
    """In words: what the comparisons let one say."""
    lines, fusions = [], False
    for task in tasks:
        if not task["paired"]:
            continue
        lowest = lowest_sign_flip_p(task["units"])
        groups: dict[tuple[str, bool], list[Figures]] = {}
        for pair in filter(_established, task["paired"]):
            groups.setdefault((pair["network"], pair["pretrained"]), []).append(pair)
            fusions |= pair["against"] in _TITLES
        told = [
            f"{_TITLES[network]}, {_start(pretrained)}, is {_ahead(pairs)}"
            for (network, pretrained), pairs in groups.items()
        ] or ["no difference is established"]
        if lowest > _LEVEL:
            told = [
                f"nothing can be claimed: with {task['units']} test {task['unit']}s no p (sign "
                f"flip) is below {lowest:.3f}"
            ]
        lines.append(f"- {task['title']}: {'; '.join(told)}.")
    if lines and not fusions:
        lines.append("- That one fusion is better than another is established nowhere.")
    return "\n".join(lines) + "\n"


def _ahead(pairs: Sequence[Figures]) -> str:
    """Of one network: what it is ahead of, and what behind."""
    parts = []
    for word, sign in (("ahead of", 1.0), ("behind", -1.0)):
        told = [
            f"{_titled(pair)} ({100 * pair['difference']:+.1f} points)"
            for pair in pairs
            if sign * pair["difference"] > 0.0
        ]
        parts += [f"{word} {', '.join(told)}"] if told else []
    return " and ".join(parts)


def _compared(tasks: Sequence[Figures]) -> str:
    """Accuracy of every fusion, a line per task and start, beside the better branch alone."""
    rows = []
    for task in tasks:
        alone = [row for row in task["rows"].values() if len(row["modalities"]) == 1]
        best = max(alone, key=lambda row: float(row["accuracy"]))
        for pretrained in (False, True):
            fused = {
                row["title"]: row
                for row in task["rows"].values()
                if len(row["modalities"]) > 1 and row["pretrained"] == pretrained
            }
            if fused:
                rows.append(
                    [
                        task["title"],
                        _start(pretrained),
                        f"{best['title'].removesuffix(' alone')} {best['accuracy']:.1%}",
                        *(f"{row['accuracy']:.1%}" for row in fused.values()),
                    ]
                )
                names = list(fused)
    return _markdown(["task", "branches", "best alone", *names], rows) if rows else ""


def _summary(tasks: Sequence[Figures]) -> str:
    rows = [
        [
            task["title"],
            _named(task["rows"][target["row"]]),
            f"{target['accuracy']:.1%}",
            _together(task["rows"][target["row"]]),
            f"≥ {target['aim']:.1%}",
            "reached" if target["reached"] else "missed",
        ]
        for task in tasks
        for target in task["targets"]
    ]
    seconds = sum(
        row["training_seconds"]
        for task in tasks
        if task["paired"]  # tables of one branch share its training
        for row in task["rows"].values()
    )
    return "\n".join(
        [
            "## In short\n",
            "Accuracy, mean over folds and seeds; the best branch alone is named as test people "
            "have it.\n",
            _compared(tasks),
            claims(tasks),
            "### What was to reach\n",
            "Of the fused rows those that validation people prefer, of all and of MSAF's; not "
            "those that came out best on test people. Aims are about accuracy, not about networks "
            "together.\n",
            _markdown(["task", "network", "accuracy", "together", "aim", ""], rows),
            f"All rows together trained for {seconds / 60:.0f} minutes of processor time, choices "
            f"included, the fine-tuning of encoders not ({machine()}).\n",
            "### What others report\n",
            "By their authors, with features and networks of their own; nothing of it was measured "
            "again.\n",
            _markdown(["task", "network", "accuracy", "protocol"], _KNOWN),
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
        epochs = sorted(row["epochs"])
        rows.append(
            [
                row["title"],
                _start(row["pretrained"]),
                *(f"{mean:.1%} ({count})" for mean, count in zip(means, chosen, strict=True)),
                f"{epochs[0]}" if epochs[0] == epochs[-1] else f"{epochs[0]} to {epochs[-1]}",
            ]
        )
    return "\n".join(
        [
            "### Settings on validation people\n",
            "Mean over folds, in how many folds each was chosen, and for how many epochs.\n",
            _markdown(["network", "branches", "first setting", "second setting", "epochs"], rows),
        ]
    )


def _variants(task: Figures) -> str:
    rows = [[name, f"{accuracy:.1%}"] for name, accuracy in task["variants"].items()]
    text = "Validation people, pre-trained branches; no test people.\n"
    return f"{text}\n" + _markdown(["variant", "accuracy"], rows)


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

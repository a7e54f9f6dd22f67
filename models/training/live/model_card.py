"""Writes the model card from the figures that `evaluate live` left behind.

    python -m models.training.live.model_card runs/live/results.json models/weights/MODEL_CARD.md

so that no figure of a measurement in the tables was typed by hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from models.training.data import TEST_ACTORS, TRAIN_ACTORS, VALIDATION_ACTORS
from models.training.live.calibration import BINS
from models.training.live.fusion_answers import ORDERS, SESSION_START
from models.training.live.fusion_features import POOR_SNR

TEMPLATE: Final = """\
# Model card: MSAF Live

A network that names one of seven *expressions* (neutral, happy, sad, angry, fearful, disgusted,
surprised) from a face, a voice, or both. It reads what a face and a voice show, not what a person
feels. This page is written by `models/training/live/model_card.py` from what
`python main.py evaluate live` measured.

## What it may be used for

Demonstration, research and teaching about multimodal fusion, with people who know that the program
is looking and listening. It is not fit for decisions about anybody. In the European Union the AI
Act forbids emotion recognition at work and in education (Article 5) and asks elsewhere that people
be told (Article 50). The weights may not be used commercially.

## Figures

On people that the network never saw. Balanced accuracy is the mean, over classes, of the part of
the class that is found. Faces and voices of "both" are pairs made by class, see the data below.

{test_table}

FER2013, whose pictures FER+ votes on, was gathered from the web, and many a photograph is in more
than one of its splits: the same pixels, or cut, scaled or marked in another way. Of the test split
{ferplus_copies} are in the training or the validation split as well, so that any network trained on
FER+ has seen them. All figures here, but for one that is named, are of the others.

Face branch on the FER+ test split, eight classes by majority vote ({ferplus_samples} images):
accuracy **{ferplus_accuracy}**, balanced {ferplus_balanced}. Scored as in the FER+ paper: votes
that one annotator alone gave are dropped, and images on which no emotion has more than half of the
votes that remain are left out. With those in, by the most voted emotion
({ferplus_samples_most_voted} images): {ferplus_most_voted}. The tables of seven classes go by the
most voted too. On the whole split as published, photographs known from training among them
({published_samples} images), accuracy {published_accuracy}, balanced {published_balanced}: that one
compares with what others gave (VGG13 in the FER+ paper: 84.99 %).

The program goes on learning what is a voice's own, without labels, while it is heard
(models/speaker.py), and takes that off. So each actor's 60 clips were also heard in one session, in
{orders} random orders, and in orders that begin with the neutral clips, clip by clip; a voice heard
for the first time is judged as in the table above (`--no-adapt` does so with everybody). With both,
a face of its class was drawn for each window, other pairs than above. Acted clips hold one emotion
as often as another; how well a voice becomes known in ordinary talk was not measured:

{session_table}

{folds}Where a sense is poor, the other has to carry the answer. Faces were darkened, blurred,
shrunk and covered, further than a web camera does, and voices put into noise of {poor_snr} dB
signal to noise, both as in training.
"The face counts" is its mean share of MSAF's attention, which training holds near one half:

{quality_table}

Settings, schedule and temperatures were chosen on validation people, by a network that never heard
them: the two tables below are that network's. The one that ships was then trained with the same
settings, to the end of the schedule, from the four validation actors' clips as well, since every
further voice counts.

{calibration_table}

{dropout}

### Part of each class that is found (of so many), test people

{class_table}

Of rare classes few photographs are left: differences of some points mean nothing there either.

### By sex of the actor heard, balanced accuracy

{sex_table}

Two women and two men are few: differences of some points mean nothing. FER+ does not say who is in
its pictures, so nothing can be said by sex, age or skin for the face.

## Known failures and limits

- In the tables above: {weakest}.
- On the three RAVDESS videos of actor 01 (not part of any training) the answer was neutral for the
  neutral one, neutral and then surprised for the surprised one, and, wrongly and with confidence
  (0.99), neutral for the sad one: its face and its voice were each taken for neutral, and two
  signs that agree make an answer surer still. Weak, acted sadness is easily missed.
- RAVDESS is acted, in North American English, two sentences by 24 actors. Spontaneous speech, other
  languages, children and old people were never heard.
- FER+ has few disgusted and fearful faces (191 and 655 of 28,558 training pictures).
- Faces in profile, strong side light, hands or masks over the mouth and very small faces are rare
  in the training data: expect errors.
- Ten other checkpoints of this project were scored on the same test people. Every epoch,
  setting and temperature was chosen on validation people.
- One person at a time. Where two people speak, the voice may be somebody else's.
- Probabilities were calibrated on validation people of the same data sets; on other cameras, rooms
  and people they are less reliable than the calibration error above.

## Data

{data_table}

Data: {data}.
Starting points: {starting_points}.

**Pairs are made by class.** No recordings of face and voice of the same person were at hand to
train on (of RAVDESS's videos but three, which are tests). A face of FER+ is paired with a clip of
RAVDESS of the same class, so the figures for "both" say how well two independent signs of one class
are joined; they are higher than on recordings of real people, whose face and voice may disagree or
be unclear together. In RAVDESS's own recordings a face (its action units) and a voice are wrong
together somewhat more often than pairs made by class would be (docs/results.md, emotion).

## The file

- File: `models/weights/{file}`, {megabytes} MB. SHA-256, as `sha256sum` has it:
  `{file_sha256}`; of all in it but itself, as the program
  checks it: `{sha256}`
- Parameters: {parameters}
- Terms: {terms}. See `models/weights/LICENSE`.
"""


FOLDS: Final = """\
Actors differ: by {deviation} points (one standard deviation of their balanced accuracies), so
that {test_actors} of them say little. Therefore the same recipe was also trained with each other
published fold of actors left out (`train live --stage folds`), and each of the {actors} judged by
the network that never heard them. Four of them chose the settings, and these networks do not ship,
but for the one that judges the test actors:

{table}

"""

NOT_MEASURED: Final = (
    "Nothing was measured on validation people in this run: the network that was chosen by them is "
    "not at hand."
)


def model_card(results: Mapping[str, Any]) -> str:
    """The card as Markdown, from the content of `results.json`."""
    return TEMPLATE.format(**_weights(results), **_ferplus(results), **_figures(results))


def _weights(results: Mapping[str, Any]) -> dict[str, str]:
    """What the file holds, of which data it is and on which terms."""
    weights = results["weights"]
    counts = weights["parameters"]
    parts = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    split, copies = "FER+, {0} split", "without photographs of"
    header = ("data", "used for", "people")
    rows = [
        (split.format("training"), "face branch, fusion", "unknown, from the web"),
        (
            f"{split.format('validation')}, {copies} the training split",
            "choice of epochs, temperatures",
            "others",
        ),
        (
            f"{split.format('test')}, {copies} either",
            "the figures above; nothing chosen by it",
            "others",
        ),
        ("RAVDESS speech (sound)", "voice branch, fusion", _actors(TRAIN_ACTORS)),
        ("", "choice of epochs, temperatures; then the same", _actors(VALIDATION_ACTORS)),
        ("", "the figures above; nothing chosen by it", _actors(TEST_ACTORS)),
    ]
    return {
        "file": weights["file"],
        "megabytes": f"{weights['bytes'] / 1e6:.1f}",
        "sha256": weights["sha256"],
        "file_sha256": weights["file_sha256"],
        "parameters": f"{sum(counts.values()):,} ({parts})",
        "terms": weights["origin"]["terms"],
        "data": weights["origin"]["data"],
        "starting_points": weights["origin"]["starting points"],
        "data_table": _table(header, rows),
    }


def _ferplus(results: Mapping[str, Any]) -> dict[str, str]:
    """The face branch by itself."""
    ferplus = results["ferplus_test"]
    published = ferplus["published"]
    copies = published["samples_most_voted"] - ferplus["samples_most_voted"]
    return {
        "ferplus_copies": f"{copies:,} of {published['samples_most_voted']:,}",
        "published_samples": f"{published['samples']:,}",
        "published_accuracy": _percent(published["accuracy"]),
        "published_balanced": _percent(published["balanced_accuracy"]),
        "ferplus_samples": f"{ferplus['samples']:,}",
        "ferplus_accuracy": _percent(ferplus["accuracy"]),
        "ferplus_balanced": _percent(ferplus["balanced_accuracy"]),
        "ferplus_samples_most_voted": f"{ferplus['samples_most_voted']:,}",
        "ferplus_most_voted": _percent(ferplus["accuracy_most_voted"]),
    }


def _figures(results: Mapping[str, Any]) -> dict[str, str]:
    """All of seven classes."""
    conditions, sexes = results["conditions"], results["by_sex"]
    test = conditions["test"]
    return {
        "test_table": _test(test),
        "orders": str(ORDERS),
        "session_table": _sessions(results["sessions"]["test"]),
        "folds": _folds(results["folds"]),
        "poor_snr": f"{POOR_SNR:.0f}",
        "quality_table": _qualities(results["qualities"]["test"]),
        "calibration_table": _calibration(
            conditions.get("validation"), results["weights"]["temperatures"]
        ),
        "dropout": _dropout(results["modality_dropout"]),
        "class_table": _classes(test),
        "sex_table": _table(
            ("test people", "female", "male"),
            [
                (name, _percent(figures["female"]), _percent(figures["male"]))
                for name, figures in sexes.items()
            ],
        ),
        "weakest": _weakest(test),
    }


def _test(conditions: Mapping[str, Any]) -> str:
    error = f"calibration error ({BINS} bins)"
    header = ("seven classes, test people", "samples", "accuracy", "balanced accuracy", error)
    names = ("accuracy", "balanced_accuracy", "calibration_error")
    rows = [
        (condition, figures["samples"], *(_percent(figures[name]) for name in names))
        for condition, figures in conditions.items()
    ]
    return _table(header, rows)


def _sessions(conditions: Mapping[str, Any]) -> str:
    header = (
        "test people, balanced accuracy",
        "each window by itself",
        "adapted",
        f"adapted, after {SESSION_START} clips",
        "women",
        "men",
        "calibration error",
    )
    rows = [
        (
            condition,
            _percent(of["not adapted"]["balanced_accuracy"]),
            *(_percent(value) for value in of["adapted"].values()),
        )
        for condition, of in conditions.items()
    ]
    return _table(header, rows)


def _qualities(qualities: Mapping[str, Mapping[str, float]]) -> str:
    header = ("test people, balanced accuracy", *next(iter(qualities.values())))
    rows = [
        (quality, *(_percent(value) for value in figures.values()))
        for quality, figures in qualities.items()
    ]
    return _table(header, rows)


def _calibration(conditions: Mapping[str, Any] | None, temperatures: Mapping[str, float]) -> str:
    if conditions is None:
        return NOT_MEASURED
    header = (
        "validation people",
        "calibration error",
        "perfect answers would show, by chance",
        "without temperature",
        "temperature",
    )
    names = ("calibration_error", "calibration_error_floor", "calibration_error_before")
    rows = [
        (condition, *(_percent(figures[name]) for name in names), f"{temperatures[condition]:.2f}")
        for condition, figures in conditions.items()
    ]
    return _table(header, rows)


def _classes(conditions: Mapping[str, Any]) -> str:
    rows = [
        (
            label,
            *(
                f"{_percent(figures['recall'][label])} ({figures['support'][label]})"
                for figures in conditions.values()
            ),
        )
        for label in conditions["both"]["recall"]
    ]
    return _table(("class", *conditions), rows)


def _folds(figures: Mapping[str, Mapping[str, float]] | None) -> str:
    if figures is None:
        return ""
    table = _table(
        ("voice only, all actors", "balanced accuracy", "women", "men", "calibration error"),
        [
            (name, *(_percent(value) for value in values.values()))
            for name, values in figures.items()
            if name != "actors"
        ],
    )
    return FOLDS.format(
        actors=f"{figures['actors']['count']:.0f}",
        deviation=f"{100 * figures['actors']['deviation']:.0f}",
        test_actors=len(TEST_ACTORS),
        table=table,
    )


def _dropout(figures: Mapping[str, float] | None) -> str:
    if figures is None:
        return ""
    cost = round(figures["cost_points"], 1)
    row = (
        "validation pairs",
        _percent(figures["with"]),
        _percent(figures["without"]),
        f"nothing: it gains {-cost:.1f} points" if cost < 0.0 else f"{abs(cost):.1f} points",
    )
    header = ("with modality dropout", "without", "what it costs (from unrounded figures)")
    return _table(("both present, balanced", *header), [row])


def _weakest(conditions: Mapping[str, Any]) -> str:
    """The class that is found least, per condition."""
    texts = []
    for condition, figures in conditions.items():
        label, part = min(figures["recall"].items(), key=lambda item: item[1])
        texts.append(f"{condition}, {label} is found least ({_percent(part)})")
    return "; ".join(texts)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _actors(actors: Iterable[int]) -> str:
    return "actors " + ", ".join(f"{actor:02d}" for actor in actors)


def _table(header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    source, target = (Path(argument) for argument in sys.argv[1:])
    target.write_text(model_card(json.loads(source.read_text())))

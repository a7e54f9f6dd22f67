"""Which comparisons there are, by the name that the command line gives them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from models.training.loop import RunContext
from models.training.study.action import action
from models.training.study.emotion import VOICES, emotion
from models.training.study.protocol import Study
from models.training.study.sentiment import sentiment
from models.training.study.task import Task

TASKS: Final = ("sentiment", "action", "voice", "emotion")


def studies(
    names: tuple[str, ...],
    context: RunContext,
    *,
    voices: tuple[str, ...] = VOICES,
    seeds: int | None = None,
) -> Iterator[tuple[str, Study]]:
    """Studies of these tasks, each read when its turn comes; (key in the results, study).

    Raises
    ------
    ValueError
        There is no such task or voice branch.
    """
    for known, given in ((TASKS, names), (VOICES, voices)):
        if unknown := set(given) - set(known):
            raise ValueError(f"{', '.join(sorted(unknown))}: choose from {', '.join(known)}")
    for name in names:
        for task, alone in _tasks(name, context, voices):
            if seeds is not None:
                task = replace(task, settings=replace(task.settings, seeds=seeds))
            study = Study(task, context, alone=alone)
            yield task.name.replace("emotion", "voice") if alone else task.name, study


def _tasks(name: str, context: RunContext, voices: tuple[str, ...]) -> Iterator[tuple[Task, bool]]:
    """Tasks, and whether only their first branch alone is wanted."""
    if name == "sentiment":
        yield sentiment(context.data_root), False
    elif name == "action":
        yield action(context.data_root), False
    else:
        for voice in voices:
            yield emotion(context, voice), name == "voice"

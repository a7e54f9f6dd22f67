"""The commands that make training data, train networks and score them.

Nothing heavy is imported before a command needs it, so that --help comes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from models.options import Commands, Device, DeviceOption, Host, Verbose, Weights, torch_device

if TYPE_CHECKING:
    from models.training.loop import RunContext
    from models.training.paper import run as paper_run

    PaperParts = tuple[paper_run.Task, RunContext, paper_run.Protocol]

RUNS = Path("runs/live")
PUBLISHED = Path("docs/results.md")


class Stage(StrEnum):
    """A stage of the live network's training; typer takes a list of these, but not of Literal."""

    FACE = "face"
    VOICE = "voice"
    FUSION = "fusion"
    FINAL = "final"
    FOLDS = "folds"


train_app = Commands(help="Train a network from the data sets.", no_args_is_help=True)
evaluate_app = Commands(help="Score a network on people it never saw.", no_args_is_help=True)
prepare_app = Commands(
    help="Make the files that training reads from official data sets (docs/data.md).",
    no_args_is_help=True,
)

DataRoot = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the data sets; else MSAF_DATA, else ../shared/data beside the project.",
        show_default=False,
    ),
]
DataOut = Annotated[
    Path,
    typer.Option(
        metavar="DATA",
        help="Folder of the data sets, later --data-root or MSAF_DATA.",
        show_default=False,
    ),
]
WorkDir = Annotated[Path, typer.Option(help="Caches, resumable states and results.")]
Recipe = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        metavar="FILE.toml",
        help="Settings of the stages; else as the weights were made.",
        show_default=False,
    ),
]
Root = Annotated[
    Path,
    typer.Option(help="Folder of the data set in its official layout.", show_default=False),
]
ProtocolOption = Annotated[
    Literal["honest", "paper"],
    typer.Option(
        help="honest: validation people choose the epoch, test people are looked at once. "
        "paper: as in the paper, which chose it on the people it reports."
    ),
]
PaperWorkDir = Annotated[
    Path | None,
    typer.Option(
        help="Prepared data, resumable states and results; else runs/ravdess, …",
        show_default=False,
    ),
]
PaperSettings = Annotated[
    Path | None,
    typer.Option(
        "--config",
        exists=True,
        dir_okay=False,
        metavar="FILE.toml",
        help="Settings; else the paper's.",
        show_default=False,
    ),
]
Folds = Annotated[
    list[int] | None,
    typer.Option(help="Only this fold; may be given more than once.", show_default=False),
]
Split = Annotated[
    Literal["cross-subject", "cross-view"] | None,
    typer.Option(help="NTU RGB+D only; else cross-subject.", show_default=False),
]
Seed = Annotated[
    int | None,
    typer.Option(min=0, max=2**32 - 1, help="Instead of the settings' seed."),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Threads that prepare and load data; else as many as cores."),
]


@prepare_app.command("ferplus")
def prepare_ferplus(
    fer2013: Annotated[
        Path,
        typer.Option(
            "--fer2013",
            metavar="fer2013.csv",
            help="FER2013's table of pictures.",
            show_default=False,
        ),
    ],
    labels: Annotated[
        Path,
        typer.Option(metavar="fer2013new.csv", help="FER+'s table of votes.", show_default=False),
    ],
    out: DataOut,
    verbose: Verbose = 0,
) -> None:
    """Faces of FER2013 with the votes of FER+, as ferplus.npz."""
    from models.training import prepare

    typer.echo(f"written: {prepare.prepare_ferplus(fer2013, labels, out)}")


@prepare_app.command("ravdess")
def prepare_ravdess(root: Root, out: DataOut, verbose: Verbose = 0) -> None:
    """Speech of RAVDESS at 16 kHz, as ravdess_speech/."""
    from models.training import prepare

    typer.echo(f"written: {prepare.prepare_ravdess(root, out)}")


@train_app.command("live")
def train_live(
    data_root: DataRoot = None,
    work_dir: WorkDir = RUNS,
    config: Recipe = None,
    stage: Annotated[
        list[Stage] | None,
        typer.Option(
            help="Only this stage; may be given more than once. Else all but folds, which is for "
            "figures alone.",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Where to write the weights; else over those that ship."),
    ] = None,
    seed: Seed = None,
    device: DeviceOption = Device.AUTO,
    verbose: Verbose = 0,
) -> None:
    """Train the live network in stages; killed or stopped, the same command goes on."""
    from dataclasses import replace

    from models.training.live.recipe import load_recipe
    from models.training.live.train import SHIPPED
    from models.training.live.train import train_live as train

    recipe = load_recipe(config)
    if seed is not None:
        recipe = replace(recipe, seed=seed)
    context = _training_context(data_root, work_dir, device)
    checkpoint = train(context, recipe, tuple(stage or SHIPPED), weights)
    if checkpoint is not None:
        typer.echo(f"written: {checkpoint.path} (SHA-256 {checkpoint.sha256})")


def _train_paper(parts: PaperParts, folds: list[int]) -> None:
    from models.training.distributed import is_first
    from models.training.paper.run import train_task

    for path in train_task(*parts, folds):
        if is_first():
            typer.echo(f"written: {path}")


def _evaluate_paper(parts: PaperParts, folds: list[int]) -> None:
    from rich.console import Console

    from models.training.distributed import is_first
    from models.training.paper.report import report
    from models.training.paper.run import evaluate_task

    results = evaluate_task(*parts, folds)
    if is_first():
        report(results, Console())


def _paper_command(work: Callable[[PaperParts, list[int]], None]) -> Callable[..., None]:
    """A command for each of the paper's tasks, all with the same options."""

    def command(
        ctx: typer.Context,
        root: Root,
        protocol: ProtocolOption = "honest",
        work_dir: PaperWorkDir = None,
        config: PaperSettings = None,
        fold: Folds = None,
        split: Split = None,
        seed: Seed = None,
        workers: Workers = None,
        device: DeviceOption = Device.AUTO,
        verbose: Verbose = 0,
    ) -> None:
        with _paper_task(
            ctx, root, protocol, work_dir, config, split, seed, workers, device
        ) as parts:
            work(parts, fold or [])

    return command


for _name, _what in (
    ("ravdess", "RAVDESS: emotion from face clip and MFCC, in folds of actors"),
    ("mosei", "CMU-MOSEI: sentiment from FACET, COVAREP and BERT, in the official folds"),
    ("ntu", "NTU RGB+D: action from colour video and skeletons, in an official split"),
):
    train_app.command(
        _name,
        help=f"Train the paper's network for {_what}; killed or stopped, the same command goes on.",
    )(_paper_command(_train_paper))
    evaluate_app.command(
        _name,
        help=f"Score the paper's network for {_what}, on test people; keeps results.json.",
    )(_paper_command(_evaluate_paper))


@contextmanager
def _paper_task(
    ctx: typer.Context,
    root: Path,
    protocol: str,
    work_dir: Path | None,
    config: Path | None,
    split: str | None,
    seed: int | None,
    workers: int | None,
    device: Device,
) -> Iterator[PaperParts]:
    """The task that the command is named after, its data prepared, on this process's device."""
    from dataclasses import replace

    from models.cores import usable_cores
    from models.training import distributed
    from models.training.paper.recipes import NtuRecipe, load_paper_recipe
    from models.training.paper.run import Protocol
    from models.training.paper.tasks import make_task

    host: Host = ctx.obj
    name = str(ctx.info_name)
    recipe = load_paper_recipe(name, config)
    if seed is not None:
        recipe = replace(recipe, seed=seed)
    if split is not None:
        if not isinstance(recipe, NtuRecipe):
            raise typer.BadParameter("only NTU RGB+D has two splits", param_hint="--split")
        recipe = replace(recipe, split=split)
    context = _training_context(root, work_dir or Path("runs") / name, device)
    count = usable_cores() if workers is None else workers
    with host.output(), distributed.joined(context.device) as own:
        context = replace(context, device=own)
        chosen = Protocol(protocol)
        yield make_task(context, recipe, chosen, count, host.face_finder), context, chosen


@evaluate_app.command("live")
def evaluate_live(
    data_root: DataRoot = None,
    work_dir: WorkDir = RUNS,
    config: Recipe = None,
    weights: Weights = None,
    device: DeviceOption = Device.AUTO,
    verbose: Verbose = 0,
) -> None:
    """Print the figures of the model card, as far as the work folder has the networks for them."""
    from models.checkpoint import default_weights
    from models.training.live.evaluate import evaluate_live as evaluate
    from models.training.live.recipe import load_recipe

    context = _training_context(data_root, work_dir, device)
    evaluate(context, weights or default_weights(), load_recipe(config))


@evaluate_app.command("fusion")
def evaluate_fusion(
    task: Annotated[
        Literal["voice", "emotion", "action", "sentiment", "all"],
        typer.Option(help="What to compare on."),
    ] = "all",
    voice: Annotated[
        Literal["mfcc", "whisper", "tuned", "all"],
        typer.Option(
            help="Voice branch of voice and emotion: the paper's, or a speech encoder, frozen or "
            "fine-tuned.",
        ),
    ] = "all",
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Networks per cell; else as published here.")
    ] = None,
    variants: Annotated[
        bool,
        typer.Option(
            help="Try MSAF's settings one by one too, on validation people; else those that the "
            "page has are kept."
        ),
    ] = True,
    out: Annotated[
        Path, typer.Option(help="The page; a JSON file of the same name comes beside it.")
    ] = PUBLISHED,
    data_root: DataRoot = None,
    work_dir: WorkDir = Path("runs/study"),
    device: DeviceOption = Device.AUTO,
    verbose: Verbose = 0,
) -> None:
    """Compare MSAF with other fusions on real data; killed or stopped, the same command goes on."""
    if seeds is not None and out.resolve() == PUBLISHED.resolve():
        raise typer.BadParameter(
            f"{out} has the published number of networks per cell: name another page with --out",
            param_hint="--seeds",
        )
    from models.training.study import report, results
    from models.training.study.emotion import VOICES
    from models.training.study.tasks import TASKS, studies

    if out.suffix == ".json":
        raise typer.BadParameter(
            f"{out} names the page, whose figures come beside it as .json: call it {out.stem}.md",
            param_hint="--out",
        )
    context = _training_context(data_root, work_dir, device)
    wanted = studies(
        TASKS if task == "all" else (task,),
        context,
        voices=VOICES if voice == "all" else (voice,),
        seeds=seeds,
    )
    figures = report.read(out)
    for key, study in wanted:
        figures[key] = results.run(study, variants=variants, before=figures.get(key))
        report.write(figures, out)
        typer.echo(report.section(figures[key]))
    typer.echo(f"written: {out}")


def _training_context(data_root: Path | None, work_dir: Path, device: Device) -> RunContext:
    from models.training.data import default_data_root
    from models.training.loop import RunContext

    return RunContext(
        data_root=data_root or default_data_root(), work_dir=work_dir, device=torch_device(device)
    )

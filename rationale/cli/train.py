"""The commands `rationale train …` and `rationale tune …`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from eraser import Dataset, Fault, InputError
from rationale.cli.from_settings import from_settings
from rationale.cli.options import DataPath, DatasetName, Dense, ModelOut, OnlyEvidence, Overwrite, Training
from rationale.process.terminal import digits, say, say_lines, say_next
from rationale.training.recipes.adapler.settings import RECIPE_OPTIONS, AdaplerSettings, recipe_options
from rationale.training.recipes.settings import (
    DactSettings,
    ExitsSettings,
    InforCoefSettings,
    PruneSettings,
)
from rationale.training.settings import AdaptiveSettings, TrainSettings

train_app = typer.Typer(no_args_is_help=True, help="Train models.")
tune_app = typer.Typer(no_args_is_help=True, help="Search for a model's best settings on val.")

STEP = ("weight_decay", "clip", "warmup")  # of the optimiser, which these recipes leave as they are
NOT_TUNED = (*STEP, "temperature", "eta", "eta_max", "target_class", "saliency_epochs")
LONG = 150  # words of a text, on average, from which the recipe for long texts is suggested


def _apply_recipe(context: typer.Context, name: str | None) -> str | None:
    """Make a recipe's values the command's defaults: options given take precedence."""
    if name is not None:
        context.default_map = {**(context.default_map or {}), **recipe_options(name)}
    return name


RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        is_eager=True,
        callback=_apply_recipe,
        help="Tuned values for options that are not given. "
        + "; ".join(f"{name}: for {use}" for name, (use, _) in RECIPE_OPTIONS.items())
        + ". Default: as published.",
    ),
]


@train_app.command("dense")
@from_settings()
def train_dense_command(  # noqa: PLR0913 (one option each)
    backbone: Annotated[str, typer.Option(help="Hub id or folder of a pretrained encoder.")],
    out: ModelOut,
    dataset: DatasetName = None,
    data: DataPath = None,
    only_evidence: OnlyEvidence = False,
    overwrite: Overwrite = False,
    *,
    settings: TrainSettings,
) -> None:
    """Fine-tune a dense classifier; an interrupted training resumes where it stopped."""
    from rationale.hf.classifier import new_classifier
    from rationale.hf.memory import keep_freed_memory
    from rationale.training.dense import train_dense

    keep_freed_memory()
    loaded = _loaded(dataset, data, only_evidence)
    record = train_dense(
        lambda: new_classifier(backbone, loaded.labels), loaded, out, settings, backbone, overwrite
    )
    say(f"{out}: val accuracy {digits(record['val_accuracy'])}")
    where = ["--dense", out, *of_data(dataset, data), "--recipe", _suggested(loaded)]
    say_next("train", "adapler", *where, "--out", f"{out}-adapler")


def of_data(dataset: str | None, data: Path | None) -> list[str]:
    """Return the given options that name a data set."""
    given = {"--dataset": dataset, "--data": data}
    return [word for name, value in given.items() if value is not None for word in (name, str(value))]


def _suggested(dataset: Dataset) -> str:
    """Return the recipe that suits the length of a data set's texts."""
    examples = dataset.splits["val"]
    words = sum(len(dataset.text(e).words) for e in examples) / len(examples)
    return "long-texts" if words >= LONG else "short-texts"


@train_app.command("adapler")
@from_settings()
def train_adapler_command(
    recipe: RecipeName = None, *, training: Training, settings: AdaplerSettings
) -> None:
    """Train a model that drops tokens layer by layer; an interrupted training resumes where it stopped."""
    if recipe is not None:
        values = " ".join(f"--{k.replace('_', '-')} {v:g}" for k, v in recipe_options(recipe).items())
        say(f"recipe {recipe}: {values}; options given on the command line take precedence")
    train_recipe("adapler", training, settings, recipe)


@train_app.command("dact")
@from_settings(without=(*STEP, "hard_epochs", "hard_lr", "speedup"))
def train_dact_command(*, training: Training, settings: DactSettings) -> None:
    """Train a model in which a text stops at the layer that decides its class (DACT-BERT)."""
    train_recipe("dact", training, settings)


@train_app.command("exits")
@from_settings(without=(*STEP, "hard_epochs", "hard_lr", "speedup", "word_drop"))
def train_exits_command(*, training: Training, settings: ExitsSettings) -> None:
    """Train a head at each layer, for any rule of early exits, and then halting units (DACT-BERT)."""
    train_recipe("exits", training, settings)


@train_app.command("inforcoef")
@from_settings(without=STEP)
def train_inforcoef_command(*, training: Training, settings: InforCoefSettings) -> None:
    """Train samplers that drop tokens layer by layer (Infor-Coef)."""
    train_recipe("inforcoef", training, settings)


@train_app.command("prune")
@from_settings(without=(*STEP, "speedup"))
def train_prune_command(*, training: Training, settings: PruneSettings) -> None:
    """Prune heads, FFN units, hidden dimensions and sublayers of a model (CoFi, Infor-Coef)."""
    train_recipe("prune", training, settings)


def train_recipe(
    name: str, training: Training, settings: AdaptiveSettings, preset: str | None = None
) -> None:
    """Train a model of RECIPES; print its accuracy and speed-up.

    Args:
        name: of RECIPES.
        training: the dense model, data and output folder.
        settings: the recipe's.
        preset: the name in RECIPE_OPTIONS that the settings came from, for the record.
    """
    from rationale.hf.memory import keep_freed_memory
    from rationale.training.adaptive import train_adaptive
    from rationale.training.recipes.table import RECIPES
    from rationale.training.run import REACHED

    keep_freed_memory()
    t = training
    loaded = _loaded(t.dataset, t.data, t.only_evidence)
    record = train_adaptive(RECIPES[name], t.dense, loaded, t.out, settings, t.compose, t.overwrite, preset)
    kept = record["kept"]
    fits = "within" if kept["within_tolerance"] else "NOT within"
    say(
        f"{t.out}: val accuracy {digits(kept['val_accuracy'])} "
        f"(dense {digits(record['dense_val_accuracy'])}, {fits} the tolerance), "
        f"FLOPs speed-up {digits(kept['speedup'])}×"
    )
    if settings.speedup is not None and kept["speedup"] < REACHED * settings.speedup:
        say(f"note: no epoch reached --speedup {settings.speedup:g}; the most accurate was kept", err=True)
    say_next("evaluate", *of_data(t.dataset, t.data), "--model", t.out, "--dense", t.dense)


def _loaded(name: str | None, data: Path | None, only_evidence: bool) -> Dataset:
    """Return the data set of a command's options."""
    from eraser.data.evidence_only import evidence_only
    from eraser.load import load

    dataset = load(name, data)
    if not only_evidence:
        return dataset
    read = {split: dataset.splits[split] for split in ("train", "val") if split in dataset.splits}
    found = evidence_only(replace(dataset, splits=read))
    for note in found.notes[len(dataset.notes) :]:
        say(f"note: {note}", err=True)
    return found


@tune_app.command("adapler")
@from_settings(without=NOT_TUNED)
def tune_adapler_command(  # noqa: PLR0913 (one option each)
    dense: Dense,
    out: Annotated[Path, typer.Option(help="Folder for the search: a folder per model, and frontier.csv.")],
    dataset: DatasetName = None,
    data: DataPath = None,
    gamma: Annotated[str, typer.Option(help="Weights of the saliency loss, comma-separated.")] = "0.005,0.05",
    phi: Annotated[
        str, typer.Option(help="Weights of the length penalty, comma-separated.")
    ] = "0.0005,0.005,0.05",
    lr: Annotated[str, typer.Option(help="Learning rates of the model weights, comma-separated.")] = "3e-5",
    speedup: Annotated[str | None, typer.Option(help="Target FLOPs speed-ups, comma-separated.")] = None,
    overwrite: Overwrite = False,
    *,
    settings: AdaplerSettings,
) -> None:
    """Train AdapLeR over a grid; write the accuracy-speed frontier on val as CSV and PNG."""
    from eraser.files.owned import writes
    from eraser.files.whole import write_bytes
    from eraser.load import load
    from rationale.bench.dial import tune
    from rationale.hf.memory import keep_freed_memory
    from rationale.report.plots import png, tune_figure

    keep_freed_memory()
    grid = {"gamma": numbers(gamma), "phi": numbers(phi), "lr": numbers(lr)}
    if speedup is not None:
        grid["speedup"] = numbers(speedup)
    table = tune(dense, load(dataset, data), out, settings, grid, overwrite)
    write_bytes(out / "frontier.png", png(tune_figure(table)))
    writes(out, "frontier.png")
    best = table[table.frontier].sort_values("speedup")
    heads = {"val_accuracy": "val_accuracy ↑", "speedup": "speedup ↑"}
    say_lines(best.rename(columns=heads).to_string(index=False, float_format=digits))
    say_next("evaluate", *of_data(dataset, data), "--model", out / _chosen(best), "--dense", dense)


def _chosen(frontier: Any) -> str:
    """Return the run with the fastest epoch within the tolerance, or else the most accurate epoch."""
    fit = frontier[frontier.within_tolerance.astype(bool)]
    return str((fit if len(fit) else frontier.sort_values("val_accuracy")).run.iloc[-1])


def numbers(text: str) -> list[float]:
    """Read numbers separated by commas."""
    try:
        return [float(x) for x in text.split(",")]
    except ValueError:
        raise InputError(Fault("numbers, comma-separated", repr(text))) from None

"""The commands `rationale train …` and `rationale tune …`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from eraser import Dataset, Fault, InputError
from rationale.cli.options import (
    Compose,
    DataPath,
    DatasetName,
    Dense,
    Distill,
    Epochs,
    HardEpochs,
    HardLr,
    OnlyEvidence,
    Overwrite,
    Precision,
    PredictorEpochs,
    PredictorLr,
    Steepness,
    Target,
    TeacherEpochs,
    ThresholdLr,
    Tolerance,
    WordDrop,
)
from rationale.process.terminal import say, say_lines

train_app = typer.Typer(no_args_is_help=True, help="Train models.")
tune_app = typer.Typer(no_args_is_help=True, help="Search a model's settings on val.")


@train_app.command("dense")
def train_dense_command(  # noqa: PLR0913 (one option each)
    backbone: Annotated[str, typer.Option(help="Hub id or folder of a pretrained encoder.")],
    out: Annotated[Path, typer.Option(help="Folder for the trained model.")],
    dataset: DatasetName = None,
    data: DataPath = None,
    epochs: int = 2,
    lr: float = 5e-5,
    batch_size: int = 32,
    max_length: Annotated[int, typer.Option(help="Pieces read at once; longer texts in windows.")] = 512,
    precision: Precision = "auto",
    device: str = "auto",
    seed: int = 0,
    keep_epochs: Annotated[int, typer.Option(help="Best epochs kept, for `train adapler`.")] = 1,
    only_evidence: OnlyEvidence = False,
    overwrite: Overwrite = False,
) -> None:
    """Fine-tune a dense classifier; a killed run goes on where it stopped."""
    from rationale.hf.classifier import new_classifier
    from rationale.hf.memory import keep_freed_memory
    from rationale.training.dense import TrainSettings, train_dense

    keep_freed_memory()
    loaded = _loaded(locals())
    settings = TrainSettings(
        epochs=epochs,
        lr=lr,
        batch_size=batch_size,
        max_length=max_length,
        precision=precision,
        device=device,
        seed=seed,
        keep_epochs=keep_epochs,
    )
    record = train_dense(
        lambda: new_classifier(backbone, loaded.labels), loaded, out, settings, backbone, overwrite
    )
    say(f"{out}: val accuracy {record['val_accuracy']:.4f}")


@train_app.command("adapler")
def train_adapler_command(  # noqa: PLR0913 (one option each)
    dense: Dense,
    out: Annotated[Path, typer.Option(help="Folder for the trained model.")],
    dataset: DatasetName = None,
    data: DataPath = None,
    compose: Compose = None,
    predictor_epochs: PredictorEpochs = 0,
    epochs: Epochs = 5,
    hard_epochs: HardEpochs = 0,
    speedup: Annotated[
        float | None, typer.Option(help="Aim: times fewer operations; without it, phi alone decides.")
    ] = None,
    gamma: Annotated[float, typer.Option(help="Weight of the saliency loss.")] = 0.005,
    phi: Annotated[float, typer.Option(help="Weight of the lengths.")] = 0.0005,
    lr: Annotated[float, typer.Option(help="Of the weights, soft stage.")] = 3e-5,
    hard_lr: HardLr = 3e-5,
    word_drop: WordDrop = 0.0,
    threshold_lr: ThresholdLr = 5e-4,
    predictor_lr: PredictorLr = None,
    weight_decay: float = 0.01,
    clip: Annotated[float, typer.Option(help="Largest norm of a gradient.")] = 1.0,
    warmup: Annotated[float, typer.Option(help="Share of the steps.")] = 0.06,
    distill: Distill = 0.0,
    temperature: Annotated[float, typer.Option(help="Of the distillation.")] = 2.0,
    steepness: Steepness = None,
    eta: Annotated[float, typer.Option(help="Thresholds at the start.")] = 0.25,
    eta_max: Annotated[float, typer.Option(help="Largest threshold, hard stage (above 1 ours).")] = 1.0,
    target: Target = "gradient_x_input",
    target_class: Annotated[Literal["gold", "predicted"], typer.Option()] = "gold",
    saliency_epochs: Annotated[int, typer.Option(help="Best epochs whose saliency is averaged.")] = 3,
    teacher_epochs: TeacherEpochs = 1,
    tolerance: Tolerance = 0.01,
    batch_size: int = 32,
    precision: Precision = "auto",
    device: str = "auto",
    seed: int = 0,
    only_evidence: OnlyEvidence = False,
    overwrite: Overwrite = False,
) -> None:
    """Train a model that drops tokens layer by layer; a killed run goes on where it stopped."""
    from rationale.training.recipes.adapler_settings import parse_steepness

    train_recipe("adapler", locals() | {"steepness": parse_steepness(steepness)})


def train_recipe(name: str, values: dict[str, Any]) -> None:
    """Train a line of RECIPES with a command's options; print what it came to."""
    from rationale.hf.memory import keep_freed_memory
    from rationale.training.adaptive import train_adaptive
    from rationale.training.recipes.table import RECIPES

    keep_freed_memory()
    recipe, out, loaded = RECIPES[name], values["out"], _loaded(values)
    settings = recipe.settings.of(values)
    start, overwrite = values["compose"], values.get("overwrite", False)
    record = train_adaptive(recipe, values["dense"], loaded, out, settings, start, overwrite)
    kept = record["kept"]
    fits = "within" if kept["within_tolerance"] else "NOT within"
    say(
        f"{out}: val accuracy {kept['val_accuracy']:.4f} (dense {record['dense_val_accuracy']:.4f}, "
        f"{fits} the tolerance), {kept['speedup']:.2f} times fewer operations"
    )


def _loaded(values: dict[str, Any]) -> Dataset:
    """Return the data set of a command's options."""
    from eraser.data.evidence_only import evidence_only
    from eraser.load import load

    dataset = load(values["dataset"], values["data"])
    if not values.get("only_evidence"):
        return dataset
    read = {split: dataset.splits[split] for split in ("train", "val") if split in dataset.splits}
    found = evidence_only(replace(dataset, splits=read))
    for note in found.notes[len(dataset.notes) :]:
        say(f"note: {note}", err=True)
    return found


@tune_app.command("adapler")
def tune_adapler_command(  # noqa: PLR0913 (one option each)
    dense: Dense,
    out: Annotated[Path, typer.Option(help="Folder for the search: a model folder each, frontier.csv.")],
    dataset: DatasetName = None,
    data: DataPath = None,
    gamma: Annotated[str, typer.Option(help="Values, comma-separated.")] = "0.005,0.05",
    phi: Annotated[str, typer.Option(help="Values, comma-separated.")] = "0.0005,0.005,0.05",
    lr: Annotated[str, typer.Option(help="Values, comma-separated.")] = "3e-5",
    speedup: Annotated[str | None, typer.Option(help="Aims, comma-separated.")] = None,
    predictor_epochs: PredictorEpochs = 0,
    epochs: Epochs = 5,
    hard_epochs: HardEpochs = 0,
    hard_lr: HardLr = 3e-5,
    word_drop: WordDrop = 0.0,
    threshold_lr: ThresholdLr = 5e-4,
    predictor_lr: PredictorLr = None,
    distill: Distill = 0.0,
    steepness: Steepness = None,
    target: Target = "gradient_x_input",
    teacher_epochs: TeacherEpochs = 1,
    tolerance: Tolerance = 0.01,
    batch_size: int = 32,
    precision: Precision = "auto",
    device: str = "auto",
    seed: int = 0,
    overwrite: Overwrite = False,
) -> None:
    """Train AdapLeR over a grid, write the accuracy-speed frontier on val as CSV and PNG."""
    from eraser.files.owned import writes
    from eraser.files.whole import write_bytes
    from eraser.load import load
    from rationale.bench.dial import tune
    from rationale.hf.memory import keep_freed_memory
    from rationale.report.plots import png, tune_figure
    from rationale.training.recipes.adapler_settings import AdaplerSettings, parse_steepness

    keep_freed_memory()
    grid = {"gamma": numbers(gamma), "phi": numbers(phi), "lr": numbers(lr)}
    if speedup is not None:
        grid["speedup"] = numbers(speedup)
    values = locals()
    values["steepness"] = parse_steepness(steepness)
    base = AdaplerSettings.of({k: v for k, v in values.items() if k not in grid and k != "speedup"})
    table = tune(dense, load(dataset, data), out, base, grid, overwrite)
    write_bytes(out / "frontier.png", png(tune_figure(table)))
    writes(out, "frontier.png")
    best = table[table.frontier].sort_values("speedup")
    say_lines(best.to_string(index=False, float_format="{:.4g}".format))


def numbers(text: str) -> list[float]:
    """Read numbers separated by commas."""
    try:
        return [float(x) for x in text.split(",")]
    except ValueError:
        raise InputError(Fault("numbers, comma-separated", repr(text))) from None

"""The command `rationale`. Commands import what they need when they run: scoring needs no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from eraser.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Which words decided, do people agree, can it be trusted, what did it cost?",
)
data_app = typer.Typer(no_args_is_help=True, help="Fetch, list and describe data sets.")
train_app = typer.Typer(no_args_is_help=True, help="Train models.")
app.add_typer(data_app, name="data")
app.add_typer(train_app, name="train")

DatasetName = Annotated[str, typer.Option(help="sample, movies, multirc, hatexplain, or a name of your own.")]
DataPath = Annotated[
    Path | None, typer.Option(help="Folder or .tar.gz of the data set; default the fetched copy.")
]
ExtraLabels = Annotated[
    list[str] | None,
    typer.Option(
        "--extra-label", help="Label that may be predicted though gold lacks it (HateXplain: normal)."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """Run the command line; bad input is a line a fault on standard error, and exit code 2."""
    try:
        app()
    except InputError as error:
        _fail(2, *(f"error: {line}" for line in str(error).splitlines()))
    except OSError as error:  # a folder that is a file, no permission, a full disk
        place = "" if error.filename is None else f"{error.filename}: "
        _fail(2, f"error: {place}expected a usable file or folder, got {error.strerror or error}")
    except ModuleNotFoundError as error:
        advice = "pip install 'rationale-suite[models]' (in a checkout: '.[models]')"
        _fail(2, f"error: {error.name} is not installed: {advice}")
    except KeyboardInterrupt:
        _fail(130, "stopped; run the same command again to go on")


def _fail(code: int, *lines: str) -> NoReturn:
    for line in lines:
        typer.echo(line, err=True)
    raise SystemExit(code) from None


@data_app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """List the data sets that can be fetched, and which are there."""
    from eraser.download import status

    rows = status()
    if as_json:
        typer.echo(json.dumps([r.__dict__ if hasattr(r, "__dict__") else r for r in rows], default=str))
        return
    for row in rows:
        place = f" ({row.path})" if row.state == "here" else ""
        typer.echo(f"{row.name:20} {row.state:10} {row.description}{place}")


@data_app.command("fetch")
def data_fetch(
    names: Annotated[list[str], typer.Argument(help="Data sets, see `rationale data list`.")],
    force: Annotated[bool, typer.Option(help="Fetch again what is there.")] = False,
) -> None:
    """Download data sets into the cache folder, check and unpack them."""
    from eraser.download import fetch

    for name in names:
        typer.echo(f"{name}: {fetch(name, force=force)}")


@data_app.command("describe")
def data_describe(dataset: DatasetName = "sample", data: DataPath = None, as_json: AsJson = False) -> None:
    """Say what a data set holds and what was left out of it."""
    from eraser.load import load

    loaded = load(dataset, data)
    facts: dict[str, Any] = {
        "name": loaded.name,
        "labels": loaded.labels,
        "notes": loaded.notes,
        "splits": {},
    }
    for split, examples in loaded.splits.items():
        facts["splits"][split] = {
            "examples": len(examples),
            "with_evidence": sum(bool(e.gold) for e in examples),
            "evidence_spans": sum(len(e.evidence) for e in examples),
            "human_share": round(loaded.human_share(split), 4),
        }
    if as_json:
        typer.echo(json.dumps(facts).replace("NaN", "null"))
        return
    typer.echo(f"{loaded.name}: labels {', '.join(loaded.labels)}")
    for split, row in facts["splits"].items():
        typer.echo(f"  {split:6}" + "  ".join(f"{k} {v}" for k, v in row.items()))
    for note in loaded.notes:
        typer.echo(f"  note: {note}")


@train_app.command("dense")
def train_dense_command(  # noqa: PLR0913 (one option each)
    backbone: Annotated[str, typer.Option(help="Hub id or folder of a pretrained encoder.")],
    out: Annotated[Path, typer.Option(help="Folder for the trained model.")],
    dataset: DatasetName = "sample",
    data: DataPath = None,
    epochs: int = 2,
    lr: float = 5e-5,
    batch_size: int = 32,
    max_length: Annotated[int, typer.Option(help="Pieces read at once; longer texts in windows.")] = 512,
    precision: Annotated[Literal["float32", "bf16", "auto"], typer.Option()] = "auto",
    device: str = "auto",
    seed: int = 0,
    keep_epochs: Annotated[int, typer.Option(help="Best epochs kept, for `train adapler`.")] = 1,
) -> None:
    """Fine-tune a dense classifier; a killed run goes on where it stopped."""
    from eraser.load import load
    from rationale.hf import new_classifier
    from rationale.memory import keep_freed_memory
    from rationale.training.dense import TrainSettings, train_dense

    keep_freed_memory()
    loaded = load(dataset, data)
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
    record = train_dense(lambda: new_classifier(backbone, loaded.labels), loaded, out, settings, backbone)
    typer.echo(f"{out}: val accuracy {record['val_accuracy']:.4f}")


@train_app.command("adapler")
def train_adapler_command(  # noqa: PLR0913 (one option each)
    dense: Annotated[Path, typer.Option(help="Model of `train dense`: teacher, start and saliency.")],
    out: Annotated[Path, typer.Option(help="Folder for the trained model.")],
    dataset: DatasetName = "sample",
    data: DataPath = None,
    start: Annotated[Path | None, typer.Option(help="Train this encoder's weights instead.")] = None,
    epochs: Annotated[int, typer.Option(help="Of soft removal, as published.")] = 5,
    hard_epochs: Annotated[int, typer.Option(help="Of hard removal after it (ours).")] = 0,
    speedup: Annotated[
        float | None, typer.Option(help="Aim: times fewer operations; without it, phi alone decides.")
    ] = None,
    gamma: Annotated[float, typer.Option(help="Weight of the saliency loss.")] = 0.005,
    phi: Annotated[float, typer.Option(help="Weight of the lengths.")] = 0.0005,
    lr: Annotated[float, typer.Option(help="Of the weights, soft stage.")] = 3e-5,
    hard_lr: Annotated[float, typer.Option(help="Of the weights, hard stage.")] = 3e-5,
    threshold_lr: Annotated[float, typer.Option(help="Of the thresholds.")] = 5e-4,
    predictor_lr: Annotated[float | None, typer.Option(help="Of the predictors; default lr.")] = None,
    weight_decay: float = 0.01,
    clip: Annotated[float, typer.Option(help="Largest norm of a gradient.")] = 1.0,
    warmup: Annotated[float, typer.Option(help="Share of the steps.")] = 0.06,
    distill: Annotated[
        float, typer.Option(help="Share of the task loss that imitates the dense model.")
    ] = 0.0,
    temperature: Annotated[float, typer.Option(help="Of the distillation.")] = 2.0,
    steepness: Annotated[
        str | None, typer.Option(help="FIRST,GROWTH of lambda an epoch; default as published.")
    ] = None,
    eta: Annotated[float, typer.Option(help="Thresholds at the start.")] = 0.25,
    target: Annotated[
        str,
        typer.Option(help="What predictors imitate: gradient_x_input (published), human, METHOD, A+B."),
    ] = "gradient_x_input",
    target_class: Annotated[Literal["gold", "predicted"], typer.Option()] = "gold",
    saliency_epochs: Annotated[int, typer.Option(help="Best epochs whose saliency is averaged.")] = 3,
    tolerance: Annotated[float, typer.Option(help="Accuracy on val that may be lost.")] = 0.01,
    batch_size: int = 32,
    precision: Annotated[Literal["float32", "bf16", "auto"], typer.Option()] = "auto",
    device: str = "auto",
    seed: int = 0,
) -> None:
    """Train a model that drops tokens layer by layer; a killed run goes on where it stopped."""
    from eraser.load import load
    from rationale.memory import keep_freed_memory
    from rationale.training.adapler import AdaplerStepSettings
    from rationale.training.shrink import AdaplerSettings, parse_steepness, train_adapler

    keep_freed_memory()
    step = AdaplerStepSettings(
        gamma=gamma,
        phi=phi,
        lr=lr,
        threshold_lr=threshold_lr,
        predictor_lr=predictor_lr,
        weight_decay=weight_decay,
        clip=clip,
        warmup=warmup,
        distill=distill,
        temperature=temperature,
    )
    settings = AdaplerSettings(
        epochs=epochs,
        hard_epochs=hard_epochs,
        hard_lr=hard_lr,
        speedup=speedup,
        step=step,
        steepness=parse_steepness(steepness),
        eta=eta,
        target=target,
        target_class=target_class,
        saliency_epochs=saliency_epochs,
        tolerance=tolerance,
        batch_size=batch_size,
        precision=precision,
        device=device,
        seed=seed,
    )
    record = train_adapler(dense, load(dataset, data), out, settings, start)
    kept = record["kept"]
    fits = "within" if kept["within_tolerance"] else "NOT within"
    typer.echo(
        f"{out}: val accuracy {kept['val_accuracy']:.4f} (dense {record['dense_val_accuracy']:.4f}, "
        f"{fits} the tolerance), {kept['speedup']:.2f} times fewer operations"
    )


@app.command("evaluate")
def evaluate_command(  # noqa: PLR0913 (one option each)
    dataset: DatasetName = "sample",
    data: DataPath = None,
    model: Annotated[
        str | None, typer.Option(help="Folder or hub id; the sample trains a small one of its own.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/DATASET-SPLIT.")] = None,
    split: str = "test",
    methods: Annotated[
        str | None, typer.Option(help="Comma-separated; default the five standard ones.")
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(help="ratio, ratio=R or gold; may be repeated, the first is the main one."),
    ] = None,
    target: Annotated[str, typer.Option(help="Class to explain: predicted, gold, or a label.")] = "predicted",
    labels: Annotated[
        str | None, typer.Option(help="Names of the model's outputs in order, comma-separated.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N examples of the split.")] = None,
    long_texts: Annotated[Literal["window", "truncate"], typer.Option()] = "window",
    max_length: int | None = None,
    replace: Annotated[Literal["delete", "mask"], typer.Option(help="How words are removed.")] = "delete",
    ig_steps: int = 20,
    precision: Annotated[Literal["float32", "bf16", "auto"], typer.Option()] = "float32",
    device: str = "auto",
    seed: int = 0,
    as_json: AsJson = False,
) -> None:
    """Score rationale methods against human evidence; an interrupted run goes on where it stopped."""
    from eraser.load import load
    from rationale.evaluate import evaluate
    from rationale.hf import load_classifier
    from rationale.memory import keep_freed_memory
    from rationale.report import records, write_run
    from rationale.settings import DEFAULT_METHODS, EvaluateSettings

    keep_freed_memory()
    loaded = load(dataset, data)
    settings = EvaluateSettings(
        dataset=dataset,
        model=model or _default_model(loaded, dataset),
        split=split,
        methods=DEFAULT_METHODS if methods is None else tuple(methods.split(",")),
        budgets=tuple(budget or ("ratio", "gold")),
        target=target,
        limit=limit,
        long_texts=long_texts,
        max_length=max_length,
        replace=replace,
        ig_steps=ig_steps,
        precision=precision,
        device=device,
        seed=seed,
    )
    classifier = load_classifier(
        settings.model,
        labels=labels.split(",") if labels else None,
        device=device,
        precision=precision,
        max_length=max_length,
        long_texts=long_texts,
    )
    folder = out or Path("runs") / f"{dataset}-{split}"
    evaluation = evaluate(classifier, loaded, settings, folder)
    scores = write_run(evaluation, loaded, folder)
    if as_json:
        typer.echo(json.dumps(records(scores)))
    else:
        _print_run(scores, evaluation.budgets[0], folder)


def _default_model(loaded: Any, dataset: str) -> str:
    if dataset != "sample":
        raise typer.BadParameter("is needed for every data set but the sample", param_hint="--model")
    from rationale.sample_model import sample_model

    return str(sample_model(loaded))


def _print_run(scores: Any, budget: str, folder: Path) -> None:
    from rationale.results import headline

    accuracy = scores[scores.metric == "accuracy"].iloc[0]
    table = headline(scores, budget)
    names = {
        "false_positive_rate": "fpr",
        "average_precision": "avg_prec",
        "comprehensiveness": "comp",
        "sufficiency": "suff",
        "aopc_comprehensiveness": "aopc_comp",
        "aopc_sufficiency": "aopc_suff",
        "iou_f1_eraser": "iou_f1",
        "cost": "ms",
    }
    typer.echo(table.rename(columns=names).round(3).to_string())
    typer.echo(
        f"\naccuracy {accuracy.value:.3f} [{accuracy.low:.3f}, {accuracy.high:.3f}], n = {accuracy.n}; "
        f"budget {budget}; intervals and paired differences in {folder}/report.html"
    )


@app.command("score")
def score_command(
    predictions: Annotated[Path, typer.Option(help="Official-format .jsonl file.")],
    data: Annotated[Path, typer.Option(help="ERASER-format folder or .tar.gz.")],
    split: str = "test",
    official: Annotated[Path | None, typer.Option(help="Also write the official scorer's JSON here.")] = None,
    extra_label: ExtraLabels = None,
) -> None:
    """Score any system's predictions as the official ERASER scorer does; needs no torch."""
    from eraser.load import Source
    from eraser.official import score_official
    from eraser.write import write_text

    found = score_official(Source(data), split, predictions, extra_labels=tuple(extra_label or ()))
    text = json.dumps(found, indent=4, sort_keys=True)
    if official is not None:
        write_text(official, text + "\n")
    typer.echo(text)


@app.command("check")
def check_command(
    predictions: Annotated[Path, typer.Option(help="Official-format .jsonl file.")],
    data: Annotated[Path, typer.Option(help="ERASER-format folder or .tar.gz.")],
    split: str = "test",
    extra_label: ExtraLabels = None,
) -> None:
    """List everything wrong with a prediction file; exit code 2 if the official scorer would refuse it."""
    from eraser.check import check_predictions
    from eraser.inputs import Settings
    from eraser.load import Source

    settings = Settings(extra_labels=tuple(extra_label or ()))
    found = check_predictions(Source(data), split, predictions, settings)
    for warning in found.warnings:
        typer.echo(f"warning: {warning}")
    if found.faults:
        raise InputError(*found.faults)
    typer.echo(f"{predictions}: no faults, {len(found.warnings)} warnings")

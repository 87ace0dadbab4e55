"""The command `rationale evaluate`."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rationale.cli_options import (
    AsJson,
    Budgets,
    DataPath,
    DatasetName,
    DenseModel,
    Explained,
    Explains,
    LabelNames,
    Limit,
    Methods,
    ModelPath,
    Precision,
    Replacement,
    RunFolder,
)


def evaluate_command(  # noqa: PLR0913 (one option each)
    dataset: DatasetName = "sample",
    data: DataPath = None,
    model: ModelPath = None,
    dense: DenseModel = None,
    out: RunFolder = None,
    split: str = "test",
    methods: Methods = None,
    budget: Budgets = None,
    target: Explained = "predicted",
    labels: LabelNames = None,
    limit: Limit = None,
    long_texts: Annotated[Literal["window", "truncate"], typer.Option()] = "window",
    max_length: int | None = None,
    replace: Replacement = "delete",
    explain: Explains = "logit",
    ig_steps: int = 20,
    gradient_shap_samples: int = 20,
    lime_samples: int = 100,
    shap_samples: int = 500,
    occlusion_words: Annotated[int, typer.Option(help="Length of the phrase that slides.")] = 3,
    precision: Precision = "float32",
    device: str = "auto",
    seed: int = 0,
    as_json: AsJson = False,
) -> None:
    """Score rationale methods against human evidence; an interrupted run goes on where it stopped."""
    from eraser.load import load
    from rationale.evaluate import evaluate
    from rationale.hf import cast_once, drops_tokens, load_classifier
    from rationale.memory import keep_freed_memory
    from rationale.report import write_run
    from rationale.settings import EvaluateSettings, defaults

    given = locals()
    keep_freed_memory()
    loaded = load(dataset, data)
    path = model or _default_model(dataset)
    names = labels.split(",") if labels else None
    reads: Any = {"max_length": max_length, "long_texts": long_texts}
    where: Any = {"device": device, "precision": precision}
    classifier = cast_once(load_classifier(path, labels=names, **where, **reads))
    explained = None if dense is None else cast_once(load_classifier(dense, labels=names, **where, **reads))
    drops = drops_tokens(classifier)
    usual_methods, usual_budgets = defaults(drops)
    given |= {"model": path, "methods": _picked(methods, usual_methods, drops)}
    given |= {"budgets": tuple(budget or usual_budgets)}
    settings = EvaluateSettings(
        **{f.name: given[f.name] for f in fields(EvaluateSettings) if f.name in given}
    )
    folder = out or Path("runs") / f"{dataset}-{split}"
    evaluation = evaluate(classifier, loaded, settings, folder, explained)
    scores = write_run(evaluation, loaded, folder)
    _print_run(scores, evaluation.budgets[0], folder, as_json)


def _picked(methods: str | None, usual: tuple[str, ...], drops: bool) -> tuple[str, ...]:
    from rationale.attribution import METHODS

    if methods is None:
        return usual
    if methods == "all":
        return tuple(name for name, method in METHODS.items() if drops or not method.adaptive)
    return tuple(methods.split(","))


def _default_model(dataset: str) -> str:
    from rationale.hf import SHIPPED

    if dataset != "sample":
        raise typer.BadParameter("is needed for every data set but the sample", param_hint="--model")
    return str(SHIPPED)


def _print_run(scores: Any, budget: str, folder: Path, as_json: bool) -> None:
    from rationale.report import records
    from rationale.results import headline

    if as_json:
        typer.echo(json.dumps(records(scores)))
        return
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

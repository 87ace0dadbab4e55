"""The command `rationale evaluate`."""

from __future__ import annotations

import json
from dataclasses import fields
from dataclasses import replace as replaced  # `replace` is an option
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rationale.cli.options import (
    Address,
    AsJson,
    Budgets,
    DataPath,
    DatasetName,
    DenseModel,
    Explained,
    Explains,
    LabelNames,
    Limit,
    MaskText,
    Methods,
    ModelPath,
    Overwrite,
    Precision,
    Replacement,
    RunFolder,
    RunnerName,
    Sample,
    Threshold,
    Workers,
    absolute,
    label_names,
)
from rationale.process.terminal import say, say_lines

if TYPE_CHECKING:  # torch is imported when a command runs
    from rationale.asked import Asked
    from rationale.evaluation.plan import Plan
    from rationale.runners.jobs import EvaluateJob
    from rationale.settings import EvaluateSettings


def evaluate_command(  # noqa: PLR0913 (one option each)
    dataset: DatasetName = None,
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
    sample: Sample = None,
    long_texts: Annotated[Literal["window", "truncate"], typer.Option()] = "window",
    max_length: int | None = None,
    replace: Replacement = "delete",
    mask: MaskText = None,
    threshold: Threshold = 0.5,
    explain: Explains = None,
    ig_steps: int = 20,
    gradient_shap_samples: int = 20,
    lime_samples: int = 100,
    shap_samples: int = 500,
    occlusion_words: Annotated[int, typer.Option(help="Length of the phrase that slides.")] = 3,
    precision: Precision = "float32",
    device: str = "auto",
    seed: int = 0,
    chunk: Annotated[int, typer.Option(help="Examples to a part on disk.")] = 64,
    runner: RunnerName = "local",
    workers: Workers = 1,
    address: Address = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Score rationale methods against human evidence; an interrupted run goes on where it stopped."""
    from eraser.load import load
    from rationale.evaluation.plan import plan
    from rationale.hf.memory import keep_freed_memory
    from rationale.report.write import write_run
    from rationale.runners.backends import RUNNERS, check_runner

    given = locals()
    check_runner(runner, workers, address)
    keep_freed_memory()
    loaded = load(dataset, data, split=split)
    given |= {"dataset": loaded.name, "model": model or _default_model(dataset, data)}
    classifier = _classifier(given["model"], given)
    explained = None if dense is None else _classifier(dense, given)
    folder = out or Path("runs") / f"{loaded.name}-{split}"
    planned = plan(classifier, loaded, _settings(given, classifier, explained), folder, explained, overwrite)
    if planned.done:
        say(f"already done: {folder}; tables and report are made again from its parts", err=True)
    RUNNERS[runner](_job(given, planned), planned, workers, address)
    scores = write_run(planned.batches(), loaded, folder)
    _print_run(scores, str(planned.run.budgets[0]), folder, as_json)


def _job(given: dict[str, Any], planned: Plan) -> EvaluateJob:
    """Return what a worker needs to know of the run; paths are absolute, for it may start elsewhere."""
    import torch

    from rationale.runners.jobs import EvaluateJob

    s, data = planned.run.settings, given["data"]
    elsewhere = replaced(s, model=absolute(s.model), dense=None if s.dense is None else absolute(s.dense))
    labels = label_names(given["labels"])
    folder = str(planned.run.folder.parent.resolve())
    return EvaluateJob(elsewhere, folder, labels, torch.get_num_threads(), data and absolute(str(data)))


def _classifier(name: str, given: dict[str, Any]) -> Asked:
    """Return a model that reads and runs as the options say, or a function."""
    from rationale.named import load_named

    how = {name: given[name] for name in ("max_length", "long_texts", "device", "precision")}
    return load_named(name, label_names(given["labels"]), given["mask"], how)


def _settings(given: dict[str, Any], classifier: Asked, dense: Asked | None) -> EvaluateSettings:
    """Return the options as settings, with what suits the model where nothing is said."""
    from rationale.attribution import usual
    from rationale.budgets import parse_budget
    from rationale.cli.methods import picked
    from rationale.inference.capabilities import drops_tokens
    from rationale.settings import EvaluateSettings, defaults

    methods, budgets = defaults(drops_tokens(classifier), classifier.opaque)
    suited = picked(given["methods"], methods, classifier, dense)
    fit = [b for b in budgets if parse_budget(b).method in (None, *suited)]
    given = given | {"methods": suited, "budgets": tuple(given["budget"] or fit)}
    given["explain"] = given["explain"] or usual(classifier).explain
    return EvaluateSettings(**{f.name: given[f.name] for f in fields(EvaluateSettings) if f.name in given})


def _default_model(dataset: str | None, data: Path | None) -> str:
    """Return the shipped model, where the sample is read: not for a folder that happens to be called so."""
    from rationale.hf.classifier import SHIPPED

    if dataset != "sample" and (dataset, data) != (None, None):
        raise typer.BadParameter("is needed for every data set but the sample", param_hint="--model")
    return str(SHIPPED)


def _print_run(scores: Any, budget: str, folder: Path, as_json: bool) -> None:
    from rationale.report.summary import headline, in_words, of_answers
    from rationale.report.write import records

    if as_json:
        say(json.dumps(records(scores)))
        return
    table = headline(scores, budget)
    agreement = [c for c in ("token_f1", "false_positive_rate", "iou_f1", "average_precision") if c in table]
    if bare := bool(table[agreement].isna().all(axis=None)):  # nobody marked a word
        table = table.drop(columns=agreement)
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
    right = "".join(f"{in_words(row)}, n = {row['n']}; " for row in of_answers(scores))
    if bare:
        say("no human rationales in this split: agreement is left out")
    say_lines(table.rename(columns=names).round(3).to_string())
    say_lines(f"\n{right}budget {budget}; intervals and paired differences in {folder}/report.html")


def compare_command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of `rationale evaluate`, two or more.")],
    out: Annotated[Path, typer.Option(help="Folder for compare.csv and compare.md.")] = Path("runs/compare"),
    metrics: Annotated[
        str | None, typer.Option(help="Comma-separated; default accuracy, agreement and faithfulness.")
    ] = None,
) -> None:
    """Set runs side by side (models, seeds, methods) on the examples they share, with paired differences."""
    from rationale.report.compare import COMPARED, write_comparison

    names = COMPARED if metrics is None else tuple(metrics.split(","))
    say_lines(write_comparison(runs, names, out))
    say(f"written: {out}/compare.csv, {out}/compare.md")

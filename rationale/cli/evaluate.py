"""The command `rationale evaluate`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rationale.cli.from_settings import from_settings
from rationale.cli.options import (
    AsJson,
    Budgets,
    Compute,
    DataPath,
    DatasetName,
    DenseModel,
    Encoding,
    Explains,
    Explanations,
    ExplanationsMissing,
    Inside,
    LabelNames,
    Methods,
    ModelPath,
    Overwrite,
    RunFolder,
    Separator,
    SkipInvalid,
    absolute,
    label_names,
)
from rationale.process.terminal import digits, say, say_json, say_lines, say_next
from rationale.settings import EvaluateSettings, names_in

if TYPE_CHECKING:  # torch is imported when a command runs
    import pandas as pd

    from eraser.data.custom.options import ImportOptions
    from eraser.types import Dataset
    from rationale.evaluation.plan import Plan
    from rationale.report.summary import Tables
    from rationale.runners.jobs import EvaluateJob
    from rationale.text_classifier import TextClassifier

AGREEMENT = (
    *("token_f1", "false_positive_rate", "iou_f1_eraser", "average_precision"),
    *("sentence_f1", "sentence_precision", "sentence_recall", "sentence_average_precision"),
)
ARROWS = {True: "↑", False: "↓", None: ""}  # by whether higher is better
SHORT = {  # metric → its column head
    "false_positive_rate": "fpr",
    "average_precision": "avg_prec",
    "comprehensiveness": "comp",
    "sufficiency": "suff",
    "aopc_comprehensiveness": "aopc_comp",
    "aopc_sufficiency": "aopc_suff",
    "iou_f1_eraser": "iou_f1",
    "cost": "ms",
    "sentence_f1": "sent_f1",
    "sentence_precision": "sent_prec",
    "sentence_recall": "sent_rec",
    "sentence_average_precision": "sent_avg_prec",
}


@from_settings()
def evaluate_command(  # noqa: PLR0913 (one option each)
    dataset: DatasetName = None,
    data: DataPath = None,
    model: ModelPath = None,
    dense: DenseModel = None,
    out: RunFolder = None,
    methods: Methods = None,
    budget: Budgets = None,
    explain: Explains = None,
    labels: LabelNames = None,
    skip_invalid: SkipInvalid = False,
    encoding: Encoding = None,
    separator: Separator = None,
    explanations: Explanations = None,
    explanations_missing: ExplanationsMissing = "refuse",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    inside: Inside = False,
    *,
    settings: partial[EvaluateSettings],
    compute: Compute,
) -> None:
    """Score rationale methods against human evidence; an interrupted run resumes where it stopped."""
    from eraser.data.custom.options import ImportOptions
    from eraser.load import NO_RATIONALES, is_table, named
    from rationale.evaluation.choices import DEFAULT, choose
    from rationale.evaluation.notes import unread_query
    from rationale.evaluation.plan import plan
    from rationale.explanations.of_run import read_imports
    from rationale.hf.memory import keep_freed_memory
    from rationale.report.write import write_run
    from rationale.runners.backends import RUNNERS, check_runner

    check_runner(compute.runner, compute.workers, compute.address)
    keep_freed_memory()
    asked = settings(dataset=named(dataset, data), model=model or default_model(dataset, data), dense=dense)
    reading = ImportOptions(skip_invalid=skip_invalid, encoding=encoding, separator=separator)
    loaded = read_data(dataset, data, asked.split, reading)
    classifier = named_classifier(asked.model, asked, labels)
    explained = None if dense is None else named_classifier(dense, asked, labels)
    folder = out or Path("runs") / f"{loaded.name}-{asked.split}"
    imports = read_imports(explanations or (), explanations_missing)
    named_methods = DEFAULT if methods is None else methods
    choices = choose(asked, classifier, explained, named_methods, budget or (), explain, imports)
    for line in choices.left_out:
        say(line, err=True)
    planned = plan(classifier, loaded, choices.settings, folder, explained, overwrite, imports)
    of_a_table = unread_query(loaded) if data is not None and is_table(data) else ()
    for line in (*planned.surprises, *of_a_table):
        say(f"note: {line}", err=True)
    if planned.done:
        say(f"already done: {folder}; tables and report are written again from its parts", err=True)
    job = replace(
        _job(planned, labels, data, reading),
        explanations=tuple(absolute(str(file)) for file in explanations or ()),
        missing=explanations_missing,
    )
    RUNNERS[compute.runner](job, planned, compute.workers, compute.address)
    planned, known = _with_inside(planned) if inside else (planned, None)
    tables = write_run(planned.batches(), planned.dataset, folder, known)
    _print_run(tables, str(planned.run.budgets[0]), folder, as_json, NO_RATIONALES in loaded.notes)


def _with_inside(planned: Plan) -> tuple[Plan, pd.DataFrame]:
    """Return the plan with what is to be told of texts with words taken out, and the table of it."""
    from rationale.trusting.inside import inside_of

    table, notes = inside_of(planned)
    for line in notes:
        say(f"note: {line}", err=True)
    return replace(planned, notes=(*planned.notes, *notes)), table


def _job(planned: Plan, labels: str | None, data: Path | None, reading: ImportOptions) -> EvaluateJob:
    """Return the run as a worker needs it; paths are absolute, as it may start elsewhere."""
    import torch

    from rationale.runners.jobs import EvaluateJob

    s = planned.run.settings
    elsewhere = replace(s, model=absolute(s.model), dense=None if s.dense is None else absolute(s.dense))
    folder = str(planned.run.folder.parent.resolve())
    place = None if data is None else absolute(str(data))
    return EvaluateJob(
        elsewhere, folder, label_names(labels), torch.get_num_threads(), place,
        skip_invalid=reading.skip_invalid, encoding=reading.encoding, separator=reading.separator,
    )  # fmt: skip


def read_data(dataset: str | None, data: Path | None, split: str, reading: ImportOptions) -> Dataset:
    """Return the data set of a command's options, and print what was guessed about a table."""
    from eraser.load import is_table, load

    found = load(dataset, data, split=split, how=reading)
    for line in found.notes if data is not None and is_table(data) else ():
        say(f"note: {line}", err=True)
    return found


def named_classifier(name: str, asked: EvaluateSettings, labels: str | None) -> TextClassifier:
    """Return a model that reads and runs as the options say, or a function."""
    from rationale.named import load_named

    how = {
        "max_length": asked.max_length,
        "long_texts": asked.long_texts,
        "device": asked.device,
        "precision": asked.precision,
    }
    return load_named(name, label_names(labels), asked.mask, how)


def default_model(dataset: str | None, data: Path | None) -> str:
    """Return the shipped model if the data set is the sample (not a folder of that name)."""
    from rationale.hf.classifier import SHIPPED

    if dataset != "sample" and (dataset, data) != (None, None):
        raise typer.BadParameter("is needed for every data set but the sample", param_hint="--model")
    return str(SHIPPED)


def _print_run(tables: Tables, budget: str, folder: Path, as_json: bool, bare: bool) -> None:
    """Print the answers first; that no word was marked only where it was not `bare`, and so said before."""
    from eraser.metrics.table import METRICS
    from rationale.report.page import records
    from rationale.report.summary import headline, of_answers, with_interval
    from rationale.report.verdict import verdict

    scores = tables.scores
    if as_json:
        say_json(records(scores))
        return
    table = headline(scores, budget)
    agreement = [c for c in AGREEMENT if c in table]
    if table[agreement].isna().all(axis=None):  # no word was marked
        table = table.drop(columns=agreement)
        if not bare:
            say("no human rationales in this split: agreement is left out")
    arrows = {n: ARROWS[METRICS[n].higher_is_better] for n in map(str, table) if n in METRICS}
    heads = {n: f"{SHORT.get(n, n)} {arrows.get(n, '↓')}".strip() for n in map(str, table)}
    right = "".join(f"{with_interval(row)}, n = {row['n']}; " for row in of_answers(scores))
    say_lines(table.rename(columns=heads).to_string(float_format=digits, na_rep="–"))
    say_lines(f"\n{right}budget {budget}; intervals and paired differences in {folder}/report.html")
    for sentence in verdict(scores, tables.paired):
        say(sentence)
    say_next("app", "--run", folder)


def compare_command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of `rationale evaluate`, two or more.")],
    out: Annotated[Path, typer.Option(help="Folder for compare.csv and compare.md.")] = Path("runs/compare"),
    metrics: Annotated[
        str | None,
        typer.Option(help="Metrics, comma-separated; default accuracy, agreement and faithfulness."),
    ] = None,
) -> None:
    """Compare runs (models, seeds, methods) on the examples they share, with paired differences."""
    from rationale.report.several.compare import COMPARED, write_comparison

    names = COMPARED if metrics is None else names_in(metrics)
    found = write_comparison(runs, names, out)
    say_lines(found.brief())
    say(f"written: {out}/compare.csv, {out}/compare.md")
    for sentence in found.summary():
        say(sentence)
    say_next("app", *(word for run in runs for word in ("--run", run)))


def pool_command(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders of `rationale evaluate`, one for each training.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for pool.csv and pool.md.")] = Path("runs/pool"),
    against: Annotated[
        str | None, typer.Option(help="Method compared with all others; default the first of the runs.")
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help="Metrics, comma-separated; default accuracy, agreement and faithfulness."),
    ] = None,
) -> None:
    """Pool the runs of several trainings of one recipe: means, with intervals over examples and trainings."""
    from rationale.report.several.compare import COMPARED
    from rationale.report.several.pool import write_pool

    found = write_pool(runs, against, COMPARED if metrics is None else names_in(metrics), out)
    say_lines(str(found))
    say(f"written: {out}/pool.csv, {out}/pool.md")
    say_next("compare", *runs)

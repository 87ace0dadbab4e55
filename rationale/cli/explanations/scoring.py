"""The command `rationale explanations score`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rationale.cli.options import AsJson, Budgets, DataPath, DatasetName, ExplanationsMissing, Split
from rationale.process.terminal import digits, say, say_json, say_lines, say_next

METRICS_SHOWN = ("token_f1", "token_precision", "token_recall", "iou_f1_eraser", "average_precision")


def score_explanations(  # noqa: PLR0913 (one option each)
    files: Annotated[
        list[Path], typer.Argument(help="Files of `rationale explanations import`, one or more.")
    ],
    dataset: DatasetName = None,
    data: DataPath = None,
    split: Split = "test",
    budget: Budgets = None,
    explanations_missing: ExplanationsMissing = "refuse",
    as_json: AsJson = False,
) -> None:
    """Score explanations made elsewhere against annotators alone; needs no model."""
    from eraser.load import load, named
    from rationale.evaluation.without_model import agreement_table
    from rationale.explanations.of_run import read_imports

    imports = read_imports(files, explanations_missing)
    loaded = load(dataset, data, split=split)
    table, notes = agreement_table(loaded, split, imports, budget or ())
    if as_json:
        say_json(json.loads(table.to_json(orient="records", double_precision=15)))
        return
    shown = table[table.metric.isin(METRICS_SHOWN)]
    say_lines(shown.to_string(index=False, float_format=digits))
    for note in notes:
        say(f"note: {note}")
    where = ["--dataset", named(dataset, data), *(("--data", data) if data else ())]
    rows = [word for file in files for word in ("--explanations", file)]
    rows += ["--explanations-missing", explanations_missing] * (explanations_missing == "skip")
    say_next("evaluate", *where, "--model", "MODEL", "--split", split, *rows)

"""Run folders of `rationale evaluate` → a CSV table as the documentation shows it.

python -m scripts.results_table runs/a --out docs/results/a.csv
python -m scripts.results_table runs/a runs/b --budget ratio=0.2 --out docs/results/both.csv
python -m scripts.results_table runs/a --against attention --out docs/results/differences.csv

One row per method, one column per headline metric: the value, its 95 % interval, and ** around the best and
whatever ties with it. These are the cells of a run's summary.md. A column `run` tells several runs apart, a
column `budget` where they are under several.
With --against METHOD the cells are paired differences: that method minus each other, a tie where the interval
holds 0.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from eraser import Fault, InputError
from eraser.files.cells import as_csv
from rationale.evaluation.stored.run_folder import read_facts, read_table
from rationale.report.summary import summary_cells

A_RUN = "a folder written by `rationale evaluate`"
MINUS = "−"  # "-" at the beginning of a cell is a formula to a spreadsheet
DIFFERENCES = ("token_f1", "false_positive_rate", "iou_f1_eraser", "comprehensiveness", "sufficiency")
SCORES = ("method", "budget", "metric", "value", "low", "high", "n", "better")
PAIRED = ("method", "other", "metric", "budget", "tie")


def results_table(runs: Sequence[Path], budget: str | None = None) -> pd.DataFrame:
    """Return the headline scores of runs as text, under one budget; by default each run's first.

    Raises:
        InputError: a folder holds no run, or its run has no such budget.
    """
    tables = [_cells(run, budget) for run in runs]
    if len(runs) == 1:
        return tables[0]
    budgets = [_budget(run, budget) for run in runs]
    for run, table, at in zip(runs, tables, budgets, strict=True):
        table.insert(0, "run", run.name)
        if len(set(budgets)) > 1:
            table.insert(2, "budget", at)
    return pd.concat(tables, ignore_index=True).fillna("–")


def _budget(run: Path, asked: str | None) -> str:
    """Return the budget that is asked for, or the run's first."""
    facts = read_facts(run)
    if facts is None:
        raise InputError(Fault(A_RUN, "none", run))
    budgets = [str(name) for name in facts.get("budgets", [])]
    if not budgets or (asked is not None and asked not in budgets):
        known = ", ".join(budgets) or "none"
        raise InputError(Fault(f"one of this run's budgets: {known}", str(asked), run))
    return asked or budgets[0]


def _cells(run: Path, budget: str | None) -> pd.DataFrame:
    at = _budget(run, budget)
    scores, paired = read_table(run, "scores.csv", SCORES), read_table(run, "paired.csv", PAIRED)
    if scores is None:
        raise InputError(Fault(A_RUN, "none", run))
    empty = pd.DataFrame(columns=list(PAIRED))  # a run of one method compares nothing
    cells = summary_cells(scores, empty if paired is None else paired, at)
    text = cells.map(lambda cell: f"**{cell.value}** {cell.interval}" if cell.best else cell.text)
    return text.map(lambda cell: cell.replace("-", MINUS)).reset_index()


def differences(run: Path, against: str, budget: str | None = None) -> pd.DataFrame:
    """Return a method's paired differences from each other one under one budget, as text.

    Raises:
        InputError: the folder holds no run, or its run compares no such method under that budget.
    """
    facts, paired = read_facts(run), read_table(run, "paired.csv", (*PAIRED, "difference", "low", "high"))
    if facts is None or paired is None:
        raise InputError(Fault("a run of several methods, written by `rationale evaluate`", "none", run))
    at = paired[paired.budget == (budget or facts["budgets"][0])]
    rows: dict[str, dict[str, str]] = {}
    for row in at[at.metric.isin(DIFFERENCES)].to_dict("records"):
        if against in (row["method"], row["other"]):
            sign, other = (1, row["other"]) if row["method"] == against else (-1, row["method"])
            value, *ends = (sign * float(row[name]) for name in ("difference", "low", "high"))
            text = f"{value:.3f} [{min(ends):.3f}, {max(ends):.3f}]" + " tie" * bool(row["tie"])
            rows.setdefault(other, {})[row["metric"]] = text.replace("-", MINUS)
    if not rows:
        raise InputError(Fault("a method and a budget of this run", f"{against}, {budget}", run))
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=list(DIFFERENCES)).dropna(axis=1)
    return table.rename_axis(f"{against} minus").reset_index()


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the table that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--out", required=True, type=Path, metavar="CSV")
    parser.add_argument("--budget")
    parser.add_argument("--against", metavar="METHOD")
    given = parser.parse_args(arguments)
    if given.against is not None and len(given.runs) > 1:
        parser.error("--against is of one run")
    try:
        if given.against is None:
            table = results_table(given.runs, given.budget)
        else:
            table = differences(given.runs[0], given.against, given.budget)
    except InputError as error:
        raise SystemExit(f"error: {error}") from None
    given.out.write_text(as_csv(table), encoding="utf-8")
    sys.stdout.write(f"written: {given.out} ({len(table)} rows)\n")


if __name__ == "__main__":
    main()

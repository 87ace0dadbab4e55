"""Run folders as tables: what `rationale evaluate`, `bench --dial`, `speeds` and `tune` wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from eraser.errors import first_line
from eraser.files.owned import check_whole
from rationale.evaluation.per_example import NO_BUDGET
from rationale.evaluation.stored.run_folder import read_facts, read_table, unreadable
from rationale.report.annotators import ANNOTATOR_TABLES
from rationale.report.plots import dial_figure, speed_figure, tune_figure
from rationale.report.summary import Tables

MOST_METHODS = 200

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "scores": ("method", "budget", "metric", "value", "low", "high", "n", "better", "unit"),
    "paired": ("metric", "budget", "method", "other", "difference", "tie"),
    "curves": ("method", "fraction", "without", "only", "n"),
    "layers": ("layer", "words", "metric", "method", "value", "low", "high", "n"),
    "agreement": ("method", "other", "tau", "low", "high", "n"),
}


@dataclass(frozen=True)
class Curve:
    """A CSV of speeds: the columns it must have, how it is drawn, and what wrote it."""

    columns: tuple[str, ...]
    draw: Callable[[pd.DataFrame], Figure]
    by: str


CURVES = {
    "dial.csv": Curve(("dial", "speedup", "accuracy", "token_f1"), dial_figure, "rationale bench --dial"),
    "speeds.csv": Curve(("model", "flops", "wall", "accuracy", "n"), speed_figure, "rationale speeds"),
    "frontier.csv": Curve(("run", "speedup", "val_accuracy", "frontier"), tune_figure, "rationale tune"),
}


@dataclass(frozen=True)
class RunTables:
    """One run: its tables, those of annotators, what it stands on, its budgets with the leading one first."""

    name: str
    tables: Tables
    annotators: Mapping[str, pd.DataFrame]
    facts: Mapping[str, Any]

    @property
    def budgets(self) -> tuple[str, ...]:
        """The budgets of rationales, the leading one first."""
        there = [b for b in dict.fromkeys(self.tables.scores.budget) if b != NO_BUDGET]
        leading = [b for b in self.facts.get("budgets", []) if b in there]
        return tuple(dict.fromkeys([*leading, *there]))

    @property
    def asked(self) -> tuple[str, ...]:
        """The budgets as they were asked for: `ratio` without its number; none where nobody marked words."""
        if not self.facts.get("with_human_evidence", True):
            return ()
        asked = self.facts.get("settings", {}).get("budgets")
        return tuple(map(str, asked)) if isinstance(asked, list) else ()


def unit_of(runs: Iterable[RunTables]) -> str:
    """Return what runs pick: words, or sentences; "unit" where some pick the one and some the other."""
    units = {str(run.facts.get("settings", {}).get("unit", "word")) for run in runs}
    return units.pop() if len(units) == 1 else "unit"


def read_run(folder: Path) -> RunTables:
    """Read a run's tables; those it does not have are empty.

    Raises:
        InputError: it has no scores, is half written or a mixture, or a file of it cannot be read.
    """
    check_whole(folder)
    tables = {
        name: read_csv(folder / f"{name}.csv", needed, name == "scores") for name, needed in COLUMNS.items()
    }
    _check_scores(tables["scores"], folder / "scores.csv")
    annotators = {n: read_csv(folder / f"{n}.csv", (), False) for n in ANNOTATOR_TABLES}
    there = {n: table for n, table in annotators.items() if not table.empty}
    return RunTables(folder.name, Tables(**tables), there, facts_of(folder))


def read_csv(path: Path, needed: Sequence[str], must: bool = True) -> pd.DataFrame:
    """Read a table and check its columns; an empty one where there is no file and need not be.

    Raises:
        InputError: it cannot be read, or lacks a column.
    """
    table = read_table(path.parent, path.name, needed)
    if table is not None:
        return table
    if must:
        raise unreadable(path, "a readable CSV file", "none")
    return pd.DataFrame(columns=list(needed))


def _check_scores(scores: pd.DataFrame, path: Path) -> None:
    """Refuse a number that stands there twice, an unknown direction, and more methods than can be drawn."""
    if not scores.better.isin(["higher", "lower", ""]).all():
        raise unreadable(path, "higher, lower or nothing in column 'better'", "something else")
    if scores.duplicated(["method", "budget", "metric"]).any():
        raise unreadable(path, "each method, budget and metric once", "one of them twice")
    if (n := scores.method.nunique()) > MOST_METHODS:
        raise unreadable(path, f"at most {MOST_METHODS} methods", f"{n}")


def facts_of(folder: Path) -> dict[str, Any]:
    """Return what a run's numbers stand on; nothing where it does not say.

    Raises:
        InputError: its scores.json cannot be read.
    """
    return read_facts(folder) or {}


def together(runs: Sequence[RunTables]) -> pd.DataFrame:
    """Return the scores of runs as one table, methods named after their run where there are several."""
    tables = []
    for run in runs:
        table = run.tables.scores.copy()
        if len(runs) > 1:
            table["method"] = f"{run.name}: " + table.method
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def draw_curve(path: Path) -> tuple[pd.DataFrame, Figure]:
    """Return a CSV of speeds and its figure.

    Raises:
        InputError: it cannot be read or drawn.
    """
    curve = CURVES[path.name]
    table = read_csv(path, curve.columns)
    try:
        return table, curve.draw(table)
    except (AttributeError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise unreadable(path, f"a table written by `{curve.by}`", first_line(error)) from None

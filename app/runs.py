"""Run folders as tables: what `rationale evaluate`, `bench --dial`, `speeds` and `tune` wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from eraser import Fault, InputError
from rationale.measured import NO_BUDGET
from rationale.people import PEOPLE_TABLES
from rationale.plots import dial_figure, speed_figure, tune_figure
from rationale.results import Tables

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
class Run:
    """One run: its tables, those about people, what it stands on, its budgets with the leading one first."""

    name: str
    tables: Tables
    people: Mapping[str, pd.DataFrame]
    facts: Mapping[str, Any]

    @property
    def budgets(self) -> tuple[str, ...]:
        """The budgets of rationales, the leading one first."""
        there = [b for b in dict.fromkeys(self.tables.scores.budget) if b != NO_BUDGET]
        leading = [b for b in self.facts.get("budgets", []) if b in there]
        return tuple(dict.fromkeys([*leading, *there]))


def read_run(folder: Path) -> Run:
    """Read a run's tables; those it does not have are empty.

    Raises:
        InputError: it has no scores, or a file of it cannot be read.
    """
    tables = {
        name: read_csv(folder / f"{name}.csv", needed, name == "scores") for name, needed in COLUMNS.items()
    }
    people = {n: read_csv(folder / f"{n}.csv", (), False) for n in PEOPLE_TABLES}
    there = {n: table for n, table in people.items() if not table.empty}
    return Run(folder.name, Tables(**tables), there, facts_of(folder))


def read_csv(path: Path, needed: Sequence[str], must: bool = True) -> pd.DataFrame:
    """Read a table and check its columns; an empty one where there is no file and need not be.

    Raises:
        InputError: it cannot be read, or lacks a column.
    """
    if not path.is_file() and not must:
        return pd.DataFrame(columns=list(needed))
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise InputError(Fault("a readable CSV file", _told(error), path)) from None
    if missing := [c for c in needed if c not in table]:
        raise InputError(Fault(f"the columns {', '.join(needed)}", f"none of the name {missing[0]}", path))
    return table


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def facts_of(folder: Path) -> dict[str, Any]:
    """Return what a run's numbers stand on; nothing where it does not say.

    Raises:
        InputError: its scores.json cannot be read.
    """
    path = folder / "scores.json"
    if not path.is_file():
        return {}
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))["run"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(Fault("the scores.json of a run", _told(error), path)) from None
    return facts if isinstance(facts, dict) else {}


def together(runs: Sequence[Run]) -> pd.DataFrame:
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
    except (AttributeError, KeyError, ValueError, TypeError) as error:
        raise InputError(Fault(f"a table written by `{curve.by}`", _told(error), path)) from None

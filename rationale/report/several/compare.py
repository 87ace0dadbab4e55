"""Runs side by side: the same examples, metrics and methods, with paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eraser import Fault, InputError
from eraser.errors import first_line
from eraser.files.cells import as_csv
from eraser.files.whole import write_text
from eraser.metrics.table import METRICS, compare, defined, score
from rationale.evaluation.per_example import MODEL
from rationale.evaluation.stored.columns import Key
from rationale.evaluation.stored.run_folder import unreadable
from rationale.report.several.runs import StoredRun, check_alike, common_ids, read_runs
from rationale.report.summary import PAIRED, in_markdown, markdown_table
from rationale.report.verdict import Sentences, only_one, sides
from rationale.templates import fragment

COMPARED = (*(name for name, metric in METRICS.items() if metric.needs == "label"), *PAIRED)
NORMALISED = ("normalised_aopc_comprehensiveness", "normalised_aopc_sufficiency")
OF_MODELS = (
    " The models differ: how far comprehensiveness and sufficiency can go differs too, so hold them against "
    "each other normalised "
)
READABLE = 40  # rows; of more, a terminal shows what differs


def check_metrics(metrics: Sequence[str]) -> None:
    """Refuse metrics that are not measured."""
    if unknown := [m for m in metrics if m not in METRICS]:
        raise InputError(*(Fault(f"a metric of {', '.join(METRICS)}", repr(m)) for m in unknown))


def compare_runs(runs: Sequence[StoredRun], metrics: Sequence[str] = COMPARED, seed: int = 0) -> pd.DataFrame:
    """Return a row for each metric, budget, method and pair of runs: both values and their difference.

    Values, differences and intervals are over the examples that all runs have and both define; where only
    one run has the method, its value stands alone. `tie` where the difference may be 0.

    Raises:
        InputError: a metric that is not measured, no examples in common, or nothing to compare.
    """
    check_metrics(metrics)
    ids = common_ids(runs)
    keys = list(dict.fromkeys(key for run in runs for key in run.per_example))
    rows = [
        _checked_row(key, one, other, ids, seed)
        for one, other in combinations(runs, 2)
        for metric in dict.fromkeys(metrics)
        for key in keys
        if key[0] == metric and (key in one.per_example or key in other.per_example)
    ]
    if not rows:
        raise InputError(Fault.of(f"no run measured {', '.join(metrics)}"))
    return pd.DataFrame(rows)


def _checked_row(key: Key, one: StoredRun, other: StoredRun, ids: Sequence[str], seed: int) -> dict[str, Any]:
    try:
        return _row(key, one, other, ids, seed)
    except (ArithmeticError, LookupError, ValueError) as error:  # columns of another metric
        if isinstance(error, InputError):
            raise
        got = f"{first_line(error)} in this or {other.name}"
        raise unreadable(Path(one.name), f"{key[0]} as runs measure it", got) from None


def _row(key: Key, one: StoredRun, other: StoredRun, ids: Sequence[str], seed: int) -> dict[str, Any]:
    metric, budget, method = key
    ours, theirs = (run.columns(key, ids) if key in run.per_example else None for run in (one, other))
    kept = np.all([defined(columns) for columns in (ours, theirs) if columns is not None], axis=0)
    row: dict[str, Any] = {"metric": metric, "budget": budget, "method": method}
    row |= {"run": one.name, "other": other.name}
    for name, columns in (("", ours), ("other_", theirs)):
        s = None if columns is None else score(metric, columns[kept], seed)
        row |= {f"{name}value": s.value if s else np.nan}
        row |= {f"{name}low": s.low if s else np.nan, f"{name}high": s.high if s else np.nan}
    d = None if ours is None or theirs is None else compare(metric, ours, theirs, seed)
    row |= {"difference": d.value if d else np.nan}
    row |= {"difference_low": d.low if d else np.nan, "difference_high": d.high if d else np.nan}
    return row | {"n": int(kept.sum()), "tie": d.spans_zero if d and d.n else None}


@dataclass(frozen=True, repr=False)
class Comparison:
    """Runs and the table that sets them side by side; a notebook shows it with every text escaped."""

    runs: tuple[StoredRun, ...]
    table: pd.DataFrame

    def __repr__(self) -> str:
        return page(self.runs, self.table)

    def brief(self) -> str:
        """Return the text of the comparison; of many rows, only answers and what differs."""
        if len(self.table) <= READABLE:
            return str(self)
        differs = self.table.difference.notna()
        ties = differs & (self.table.tie != False) & (self.table.method != MODEL)  # noqa: E712 (None too)
        alone = only_one(self.table)
        left_out = f"Left out: {ties.sum()} rows that tie, {alone.sum()} that only one run has"
        if undefined := (~differs & ~alone).sum():
            left_out += f", {undefined} without a number"
        return f"{page(self.runs, self.table[differs & ~ties])}{left_out}.\n"

    def summary(self) -> Sentences:
        """Return what the table says in sentences: answers first, then methods."""
        return Sentences(sides(self.table))

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table

    def _repr_html_(self) -> str:
        pairs = [(name, list(t.columns), t.to_numpy().tolist()) for name, t in _pairs(self.table)]
        return fragment("comparison.html", title=_basis(self.runs), pairs=pairs, legend=_legend(self.runs))


def compared(folders: Sequence[Path], metrics: Sequence[str] = COMPARED, seed: int = 0) -> Comparison:
    """Read runs and set them side by side.

    Raises:
        InputError: as `read_runs` and `compare_runs` do.
    """
    return compared_runs(read_runs(folders), metrics, seed)


def compared_runs(runs: Sequence[StoredRun], metrics: Sequence[str] = COMPARED, seed: int = 0) -> Comparison:
    """Set runs side by side that were read, or are in memory.

    Raises:
        InputError: as `compare_runs` does.
    """
    check_alike(runs)
    return Comparison(tuple(runs), compare_runs(runs, metrics, seed))


def page(runs: Sequence[StoredRun], table: pd.DataFrame) -> str:
    """Return the comparison in Markdown: what the runs are, then a table for each pair.

    What only one of the two measured stands below the rest.
    """
    lines = [in_markdown(_basis(runs)), ""]
    if changed := changed_settings(runs):
        header = ["run", *changed]
        texts = [[run.name, *(_text(run.facts["settings"].get(c)) for c in changed)] for run in runs]
        lines += ["Settings that differ:", "", markdown_table(pd.DataFrame(texts, columns=header))]
    for name, shown in _pairs(table):
        lines += [f"{in_markdown(name)}:", "", markdown_table(shown)]
    lines.append(in_markdown(_legend(runs)))
    return "\n".join(lines) + "\n"


def _basis(runs: Sequence[StoredRun]) -> str:
    """Return in a line what a comparison stands on."""
    n, settings = len(common_ids(runs)), runs[0].facts["settings"]
    counts = ", ".join(f"{n} of {len(run.ids)} in {run.name}" for run in runs)
    return f"{settings['dataset']} {settings['split']}; examples compared: {counts}."


def _legend(runs: Sequence[StoredRun]) -> str:
    intervals = runs[0].facts.get("intervals", "intervals")
    found = f"Brackets: {intervals}; a difference whose interval includes 0 is a tie."
    if len({run.facts["settings"].get("model") for run in runs}) == 1:
        return found
    how = f"--metrics {','.join(NORMALISED)}"
    if not all(_is_normalised(run) for run in runs):
        how += "; for these evaluate each again with leave_one_out among its methods"
    return f"{found}{OF_MODELS}({how})."


def _is_normalised(run: StoredRun) -> bool:
    """Return whether a run has numbers of NORMALISED, which leave_one_out gives."""
    keys = [key for key in run.per_example if key[0] in NORMALISED]
    return any(defined(run.columns(key, run.ids)).any() for key in keys)


def _pairs(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return for each pair of runs its name and its rows as printed."""
    found = []
    for (one, other), rows in table.groupby(["run", "other"], sort=False):
        paired_first = rows.sort_values("difference", key=lambda d: d.isna(), kind="stable")
        shown = pd.DataFrame([_as_printed(row) for _, row in paired_first.iterrows()])
        found.append((f"{one} − {other}", shown.rename(columns={"value": str(one), "other": str(other)})))
    return found


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def changed_settings(runs: Sequence[StoredRun]) -> list[str]:
    """Return the settings in which the runs differ."""
    all_settings = [run.facts["settings"] for run in runs]
    names = dict.fromkeys(name for settings in all_settings for name in settings)
    return [n for n in names if any(s.get(n) != all_settings[0].get(n) for s in all_settings)]


def _as_printed(row: pd.Series[Any]) -> dict[str, str]:
    """Return a row of the table as it is printed."""
    higher = METRICS[row.metric].higher_is_better
    verdict = ""
    if pd.notna(row.tie) and row.tie:
        verdict = "tie"
    elif pd.notna(row.tie) and higher is not None:
        verdict = f"{row.run if (row.difference > 0) == higher else row.other} better"
    return {
        "metric": with_arrow(row.metric),
        "budget": row.budget,
        "method": row.method,
        "value": _number(row.value, row.low, row.high),
        "other": _number(row.other_value, row.other_low, row.other_high),
        "difference": _number(row.difference, row.difference_low, row.difference_high),
        "n": str(row.n),
        "": verdict,
    }


def with_arrow(metric: str) -> str:
    """Return a metric's name with the way that is better."""
    return metric + {True: " ↑", False: " ↓", None: ""}[METRICS[metric].higher_is_better]


def _number(value: float, low: float, high: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def write_comparison(folders: Sequence[Path], metrics: Sequence[str], folder: Path) -> Comparison:
    """Compare runs, write compare.csv and compare.md, whose text is that of what is returned."""
    found = compared(folders, metrics)
    write_text(folder / "compare.csv", as_csv(found.table))
    write_text(folder / "compare.md", str(found))
    return found

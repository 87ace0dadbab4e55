"""Trainings of one recipe pooled: a run for each, methods compared within a training, intervals over both.

A difference is taken text by text within a training; each resample draws texts and trainings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eraser import Fault, InputError
from eraser.files.cells import as_csv
from eraser.files.whole import write_text
from eraser.metrics.bootstrap import difference_over_trainings, estimate_over_trainings
from eraser.metrics.table import METRICS, as_they_are, defined
from eraser.types import Floats
from rationale.evaluation.per_example import MODEL
from rationale.evaluation.stored.columns import Key
from rationale.report.several.compare import COMPARED, changed_settings, check_metrics, with_arrow
from rationale.report.several.runs import StoredRun, common_ids, read_runs
from rationale.report.summary import in_markdown, markdown_table

OF_A_TRAINING = frozenset({"model", "dense", "seed"})  # settings in which trainings of one recipe may differ


@dataclass(frozen=True, repr=False)
class Pool:
    """Runs of several trainings and the table of their means; printed as Markdown."""

    runs: tuple[StoredRun, ...]
    table: pd.DataFrame
    against: str

    def __repr__(self) -> str:
        first, ids = self.runs[0].facts["settings"], common_ids(self.runs)
        basis = (
            f"{first['dataset']} {first['split']}; {len(self.runs)} trainings, {len(ids)} examples in all. "
            "Square brackets: 95 % intervals over examples and trainings; round ones: the lowest and the "
            f"highest training. The column {self.against} − method: paired, in the same training."
        )
        shown = pd.DataFrame([_as_printed(row, self.against) for _, row in self.table.iterrows()])
        return f"{in_markdown(basis)}\n\n{markdown_table(shown)}"


def pooled(folders: Sequence[Path], against: str | None = None, metrics: Sequence[str] = COMPARED) -> Pool:
    """Read the runs of several trainings and pool them.

    Args:
        folders: runs of `rationale evaluate`, one for each training, their other settings alike.
        against: the method that is compared with each of the others; default the first that all measured.
        metrics: names in METRICS.

    Raises:
        InputError: as `read_runs` does; other settings differ; an unknown metric or method; nothing in all.
    """
    runs = read_runs(folders)
    for run in runs:
        if differ := [name for name in changed_settings((runs[0], run)) if name not in OF_A_TRAINING]:
            raise InputError(Fault.of(f"trainings of one recipe need the same {', '.join(differ)}", run.name))
    check_metrics(metrics)
    keys = [k for k in runs[0].per_example if k[0] in metrics and all(k in r.per_example for r in runs)]
    if not keys:
        raise InputError(Fault.of(f"no metric of {', '.join(metrics)} is in all runs"))
    methods = list(dict.fromkeys(method for _, _, method in keys if method != MODEL))
    if against not in (None, *methods):
        raise InputError(Fault(f"a method of {', '.join(methods)}", repr(against)))
    chosen = against or next(iter(methods), MODEL)
    ids = common_ids(runs)  # read once: each run may hold thousands
    columns = {key: [run.columns(key, ids) for run in runs] for key in keys}
    return Pool(tuple(runs), pd.DataFrame([_row(key, chosen, columns) for key in keys]), chosen)


def _row(key: Key, against: str, columns: Mapping[Key, Sequence[Floats]]) -> dict[str, Any]:
    """Return the mean of a number over trainings, and what `against` has more of it, both with intervals.

    Args:
        key: of the number.
        against: the method compared with the others.
        columns: of each number, those of each training [N,K], of the examples that all have.
    """
    metric, budget, method = key
    found = dict(zip(("metric", "budget", "method"), key, strict=True)) | _mean(metric, columns[key])
    other = (metric, budget, against)
    if method == against or other not in columns:
        return found
    ours, theirs = _where_all(metric, columns[other], columns[key])
    apart = difference_over_trainings(ours, theirs, METRICS[metric].fold)
    ends = {"difference_low": apart.low, "difference_high": apart.high}
    return found | {"difference": apart.value, **ends, "difference_n": apart.n}


def _mean(metric: str, columns: Sequence[Floats]) -> dict[str, Any]:
    (kept,), fold = _where_all(metric, columns), METRICS[metric].fold
    over = estimate_over_trainings(kept, fold)
    each = [float(fold(np.nanmean(of_one, 0))) if len(of_one) else np.nan for of_one in kept]
    found = {"value": over.value, "low": over.low, "high": over.high}
    return found | {"lowest": min(each), "highest": max(each), "n": over.n, "trainings": len(each)}


def _where_all(metric: str, *of_methods: Sequence[Floats]) -> list[list[Floats]]:
    """Return the columns of the examples where the number is defined in all trainings, of all methods."""
    known = np.all([defined(rows) for columns in of_methods for rows in columns], axis=0)
    of_all = METRICS[metric].of_all if known.any() else as_they_are
    return [[of_all(rows[known]) for rows in columns] for columns in of_methods]


def _as_printed(row: pd.Series[Any], against: str) -> dict[str, str]:
    apart = "–"
    if pd.notna(row.get("difference")):
        apart = f"{row.difference:+.3f} [{row.difference_low:+.3f}, {row.difference_high:+.3f}]"
        apart += f", n = {row.difference_n:.0f}" * (row.difference_n != row.n)
    return {
        "metric": with_arrow(row.metric),
        "budget": row.budget,
        "method": row.method,
        "value": f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}] ({row.lowest:.3f}, {row.highest:.3f})",
        f"{against} − method": apart.replace("-", "−"),
        "n": str(row.n),
    }


def write_pool(folders: Sequence[Path], against: str | None, metrics: Sequence[str], folder: Path) -> Pool:
    """Pool runs; write pool.csv and pool.md, whose text is that of what is returned."""
    found = pooled(folders, against, metrics)
    write_text(folder / "pool.csv", as_csv(found.table))
    write_text(folder / "pool.md", str(found))
    return found

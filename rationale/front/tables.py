"""A run's numbers as tables: with intervals, against one method, by label, by example."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from eraser import Example, Fault, InputError
from eraser.errors import short_repr
from eraser.labels import split_labels
from eraser.metrics.table import METRICS, defined, score
from eraser.types import Kind
from rationale.evaluation.per_example import MODEL, NO_BUDGET, TAU
from rationale.evaluation.stored.columns import ColumnMap
from rationale.report.summary import PAIRED
from rationale.templates.names import metric_name

ARROWS = {"higher": " ↑", "lower": " ↓"}
ARROW_OF = {True: ARROWS["higher"], False: ARROWS["lower"], None: ""}


def with_intervals(scores: pd.DataFrame, metrics: Sequence[str], budget: str) -> pd.DataFrame:
    """Return methods × metrics as texts: value, 95 % interval, n; an arrow says which way is better."""
    at = scores[scores.budget.isin((budget, NO_BUDGET)) & (scores.n > 0)]
    _check(metrics, at.metric.unique())
    rows = at[at.metric.isin(metrics)]
    texts = [f"{r.value:.3f} [{r.low:.3f}, {r.high:.3f}], n = {r.n}" for r in rows.itertuples()]
    columns = [f"{r.metric}{ARROWS.get(str(r.better), '')}" for r in rows.itertuples()]
    order = [next(c for c in columns if c.split()[0] == metric) for metric in metrics]
    cells = rows.assign(text=texts, column=columns).set_index(["method", "column"]).text.unstack()
    found: pd.DataFrame = cells.loc[list(dict.fromkeys(rows.method)), order]
    return found.rename_axis(columns=None).fillna("–")


def against(paired: pd.DataFrame, other: str, metrics: Sequence[str], budget: str) -> pd.DataFrame:
    """Return each method's paired difference to another; `tie` where its interval holds 0."""
    known = paired[paired.budget.isin((budget, NO_BUDGET))]
    flipped = known.assign(
        method=known.other,
        other=known.method,
        difference=-known.difference,
        low=-known.high,
        high=-known.low,
    )
    both = pd.concat([known, flipped])
    _check(metrics, PAIRED)
    if other not in set(both.other):
        methods = ", ".join(dict.fromkeys(both.method)) or "two or more"
        raise InputError(Fault(f"a method of {methods}", short_repr(other)))
    at = both[(both.other == other) & (both.n > 0)]
    rows = pd.concat([at[at.metric == metric] for metric in metrics])
    higher = rows.metric.map(lambda m: METRICS[m].higher_is_better).astype(bool)
    ahead = np.where((rows.difference > 0) == higher, "better", "worse")
    verdict = np.where(rows.tie.astype(bool), "tie", ahead)
    texts = [f"{r.difference:+.3f} [{r.low:+.3f}, {r.high:+.3f}]" for r in rows.itertuples()]
    names = rows.metric.map(lambda m: m + ARROW_OF[METRICS[m].higher_is_better])
    columns = {"metric": names, "method": rows.method, f"difference to {other}": texts, "n": rows.n}
    return pd.DataFrame(columns | {"verdict": verdict}).reset_index(drop=True)


def by_label(
    columns: ColumnMap,
    examples: Sequence[Example],
    metrics: Sequence[str],
    budget: str,
    seed: int,
    kind: Kind = "class",
) -> pd.DataFrame:
    """Return one row per label, metric and method, on that label's examples alone, with intervals.

    Where texts have several labels, a text is an example of each.
    """
    keys = [key for key in columns if key[0] in metrics and key[1] in (budget, NO_BUDGET)]
    _check(metrics, {key[0] for key in columns} & METRICS.keys())
    rows = []
    labels = [split_labels(e.label) if kind == "labels" else (e.label,) for e in examples]
    for label in sorted({label for of_example in labels for label in of_example}):
        own = np.array([label in of_example for of_example in labels])  # [N], True: the example has the label
        for metric, _, method in keys:
            s = score(metric, np.asarray(columns[metric, _, method])[own], seed)
            rows.append((label, metric, method, s.value, s.low, s.high, s.n))
    return pd.DataFrame(rows, columns=["label", "metric", "method", "value", "low", "high", "n"])


def by_example(columns: ColumnMap, examples: Sequence[Example], metric: str, budget: str) -> pd.DataFrame:
    """Return a row for each example and method that has a value: example, label, method, value.

    Of `tau`, Kendall's τ-b between two methods, `method` names both.
    """
    keys = [k for k in columns if k[0] == metric and (metric == TAU or k[1] in (budget, NO_BUDGET))]
    single = {k[0] for k in columns if k[0] in (*METRICS, TAU) and np.asarray(columns[k]).shape[1] == 1}
    _check([metric], single)
    rows = []
    for key in keys:
        values = np.asarray(columns[key])  # [N,1]
        name = f"{key[2]}, {key[1]}" if metric == TAU else key[2]
        for i in np.flatnonzero(defined(values)).tolist():
            rows.append((examples[i].id, examples[i].label, name, float(values[i, 0])))
    return pd.DataFrame(rows, columns=["example", "label", "method", "value"])


def labels_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return what `by_label` found as `rationale.report.plots.groups` draws it."""
    names = [
        metric_name(str(r.metric)) + ("" if r.method == MODEL else f" of {r.method}")
        for r in table.itertuples()
    ]
    return table.assign(group=table.label, metric=names)


def _check(metrics: Sequence[str], known: object) -> None:
    names = sorted(map(str, known))  # type: ignore[call-overload]
    if bad := [m for m in metrics if m not in names]:
        raise InputError(*(Fault(f"a metric of {', '.join(names)}", short_repr(m)) for m in bad))
    if not metrics:
        raise InputError(Fault(f"a metric of {', '.join(names)}", "none"))

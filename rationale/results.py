"""An evaluation → tables: one row a number, with its interval, n and settings."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from eraser.agreement import Columns
from eraser.metrics import METRICS, compare, measure, score
from rationale.evaluate import Evaluation

NO_BUDGET = "-"  # of metrics that look at the ranking or the label, not at the picked words
PAIRED = (  # metrics whose differences between methods are tested
    "token_f1",
    "false_positive_rate",
    "iou_f1_eraser",
    "average_precision",
    "comprehensiveness",
    "sufficiency",
    "aopc_comprehensiveness",
    "aopc_sufficiency",
)
Measured = dict[tuple[str, str, str], list[Columns]]  # (metric, budget, method) → columns of each example


def measured(evaluation: Evaluation) -> Measured:
    """Measure every metric on every example, once."""
    truths = [item.truth for item in evaluation.items]
    first = evaluation.budgets[0]
    found: Measured = {}
    for (method, budget), predictions in evaluation.predictions.items():
        for name, metric in METRICS.items():
            if metric.needs == "label":
                found[name, NO_BUDGET, "model"] = measure(name, truths, predictions)
            elif metric.needs == "rationale":
                found[name, budget, method] = measure(name, truths, predictions)
            elif budget == first:
                found[name, NO_BUDGET, method] = measure(name, truths, predictions)
    return found


def score_table(evaluation: Evaluation, columns: Measured) -> pd.DataFrame:
    """Return one row for each metric, budget and method, and one for each method's cost."""
    rows = []
    for (name, budget, method), of_examples in columns.items():
        metric = METRICS[name]
        better = {True: "higher", False: "lower", None: ""}[metric.higher_is_better]
        s = score(name, of_examples, evaluation.settings.seed)
        rows.append((method, budget, name, s.value, s.low, s.high, s.n, s.left_out, better, metric.unit))
    n = len(evaluation.items)
    for method, ms in evaluation.milliseconds.items():
        rows.append((method, NO_BUDGET, "cost", ms, np.nan, np.nan, n, 0, "lower", "ms per example (median)"))
    names = ["method", "budget", "metric", "value", "low", "high", "n", "left_out", "better", "unit"]
    return pd.DataFrame(rows, columns=names)


def paired_table(evaluation: Evaluation, columns: Measured) -> pd.DataFrame:
    """Return the difference of every two methods on every metric of PAIRED; `tie` where it may be 0."""
    rows = []
    places = sorted({(metric, budget) for metric, budget, _ in columns if metric in PAIRED})
    for metric, budget in places:
        for one, other in combinations(evaluation.settings.methods, 2):
            found = compare(
                metric, columns[metric, budget, one], columns[metric, budget, other], evaluation.settings.seed
            )
            rows.append(
                (metric, budget, one, other, found.value, found.low, found.high, found.n, found.spans_zero)
            )
    names = ["metric", "budget", "method", "other", "difference", "low", "high", "n", "tie"]
    return pd.DataFrame(rows, columns=names)


def ranking(scores: pd.DataFrame, paired: pd.DataFrame, metric: str, budget: str) -> pd.DataFrame:
    """Return a metric's methods best first, with `tied` for those the best does not surely beat.

    `below_random` marks a method that is surely worse than `random`.
    """
    rows = scores[(scores.metric == metric) & (scores.budget == budget)]
    lower = not rows.empty and rows.better.iloc[0] == "lower"
    rows = rows.sort_values("value", ascending=lower, kind="stable").reset_index(drop=True)
    if rows.empty:
        return rows.assign(tied=[], below_random=[])
    best = rows.method[0]
    at = paired[(paired.metric == metric) & (paired.budget == budget)]
    tie = {frozenset((m, o)): t for m, o, t in zip(at.method, at.other, at.tie, strict=True)}
    value = dict(zip(rows.method, rows.value, strict=True))

    def below(method: str) -> bool:
        if "random" not in value or tie.get(frozenset((method, "random")), True):
            return False
        return bool((value[method] > value["random"]) == lower)

    return rows.assign(
        tied=[m == best or bool(tie.get(frozenset((m, best)), False)) for m in rows.method],
        below_random=[below(m) for m in rows.method],
    )


# what people ask for first: (metric, whether it depends on the budget)
HEADLINE = (
    ("token_f1", True),
    ("false_positive_rate", True),
    ("iou_f1_eraser", True),
    ("average_precision", False),
    ("comprehensiveness", True),
    ("sufficiency", True),
    ("aopc_comprehensiveness", False),
    ("aopc_sufficiency", False),
    ("cost", False),
)


def headline(scores: pd.DataFrame, budget: str) -> pd.DataFrame:
    """Return methods × the metrics of HEADLINE."""
    columns = {}
    for metric, has_budget in HEADLINE:
        rows = scores[(scores.metric == metric) & (scores.budget == (budget if has_budget else NO_BUDGET))]
        columns[metric] = rows.set_index("method").value
    return pd.DataFrame(columns)


def markdown(scores: pd.DataFrame, paired: pd.DataFrame, budget: str) -> str:
    """Return HEADLINE as a Markdown table: value [interval], bold for the best and those tied with it."""
    methods = list(dict.fromkeys(scores.method[scores.metric == "cost"]))
    cells: dict[str, list[str]] = {method: [] for method in methods}
    titles = []
    for metric, has_budget in HEADLINE:
        rows = ranking(scores, paired, metric, budget if has_budget else NO_BUDGET).set_index("method")
        better = {"higher": "↑", "lower": "↓"}[rows.better.iloc[0]]
        titles.append("ms" if metric == "cost" else f"{metric} {better}")
        for method in methods:
            row = rows.loc[method]
            if metric == "cost":
                cells[method].append(f"{row.value:.1f}")
                continue
            value = f"**{row.value:.3f}**" if row.tied else f"{row.value:.3f}"
            cells[method].append(f"{value} [{row.low:.3f}, {row.high:.3f}]")
    lines = [["method", *titles], ["---"] * (len(titles) + 1), *([m, *cells[m]] for m in methods)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

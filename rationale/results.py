"""An evaluation → tables: one row a number, with its interval, n and settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from eraser.agreement import Columns
from eraser.bootstrap import estimate
from eraser.metrics import METRICS, compare, mean, measure, score
from eraser.types import Floats
from rationale.extract import top_words

if TYPE_CHECKING:  # tables that are on disk are read without torch
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
SURVIVORS = "survivors"  # the method whose score counts the layers a word reached
OF_LAYERS = ("false_positive_rate", "token_f1")
PER_EXAMPLE = "per_example.parquet"  # of a run's folder
Measured = dict[tuple[str, str, str], list[Columns]]  # (metric, budget, method) → columns of each example


@dataclass(frozen=True)
class Tables:
    """What figures and pages show; `layers` is empty where no method counts layers."""

    scores: pd.DataFrame
    paired: pd.DataFrame
    curves: pd.DataFrame
    layers: pd.DataFrame
    agreement: pd.DataFrame


def all_tables(evaluation: Evaluation, columns: Measured, taus: Floats) -> Tables:
    """Return the tables of what `measured` and `method_taus` found."""
    return Tables(
        score_table(evaluation, columns),
        paired_table(evaluation, columns),
        curve_table(evaluation),
        layer_table(evaluation),
        agreement_table(evaluation.settings.methods, taus, evaluation.settings.seed),
    )


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


def example_table(evaluation: Evaluation, columns: Measured) -> dict[str, list[Any]]:
    """Return what was measured as columns, a row for each example that a metric is defined for.

    `values` are the numbers whose means over examples the metric folds: runs can be compared from them.
    """
    ids = [item.example.id for item in evaluation.items]
    table: dict[str, list[Any]] = {n: [] for n in ("example", "metric", "budget", "method", "values")}
    for key, of_examples in columns.items():
        known = [i for i, values in enumerate(of_examples) if values is not None]
        table["example"] += [ids[i] for i in known]
        for name, value in zip(("metric", "budget", "method"), key, strict=True):
            table[name] += [value] * len(known)
        table["values"] += [of_examples[i] for i in known]
    return table


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
            if found.n:
                ends = (found.value, found.low, found.high, found.n, found.spans_zero)
                rows.append((metric, budget, one, other, *ends))
    names = ["metric", "budget", "method", "other", "difference", "low", "high", "n", "tie"]
    return pd.DataFrame(rows, columns=names)


def curve_table(evaluation: Evaluation) -> pd.DataFrame:
    """Return the mean drop of the predicted class's probability at each share of words."""
    rows = []
    for method in evaluation.settings.methods:
        predictions = evaluation.predictions[method, evaluation.budgets[0]]
        for i, fraction in enumerate(evaluation.settings.fractions):
            drops = [
                (p.probs[p.label] - a.without[p.label], p.probs[p.label] - a.only[p.label])
                for p in predictions
                for a in [p.ablations[i]]
            ]
            without, only = np.mean(drops, axis=0)
            rows.append((method, fraction, float(without), float(only), len(drops)))
    return pd.DataFrame(rows, columns=["method", "fraction", "without", "only", "n"])


def agreement_table(methods: tuple[str, ...], taus: Floats, seed: int) -> pd.DataFrame:
    """Return the mean τ-b [N,M,M] over examples of every two methods; `left_out` where one was constant."""
    rows = []
    for (i, one), (j, other) in combinations(enumerate(methods), 2):
        of_examples = taus[:, i, j]
        known = of_examples[~np.isnan(of_examples)]
        found = estimate(known[:, None], mean, seed)
        left_out = len(of_examples) - len(known)
        rows.append((one, other, found.value, found.low, found.high, found.n, left_out))
    return pd.DataFrame(rows, columns=["method", "other", "tau", "low", "high", "n", "left_out"])


def layer_table(evaluation: Evaluation) -> pd.DataFrame:
    """Return how well the words that reached each layer agree with people, beside other methods' as many.

    `words` is their mean share of the text, `difference` is to the survivors (its interval: `tie`).
    """
    rows = []
    first, seed = evaluation.budgets[0], evaluation.settings.seed
    marked = [i for i, item in enumerate(evaluation.items) if item.truth.spans]
    truths = [evaluation.items[i].truth for i in marked]
    methods = evaluation.settings.methods if SURVIVORS in evaluation.settings.methods else ()
    predictions = {m: [evaluation.predictions[m, first][i] for i in marked] for m in methods}
    reached = [np.nan_to_num(p.scores) for p in predictions.get(SURVIVORS, ())]
    for layer in range(1, int(max((s.max() for s in reached), default=0)) + 1):
        sizes = [int((s >= layer).sum()) for s in reached]
        words = float(np.mean([n / t.n_words for n, t in zip(sizes, truths, strict=True)]))
        found: dict[tuple[str, str], list[Columns]] = {}
        for method, of_method in predictions.items():
            picked = [
                replace(p, rationale=top_words(p.scores, n)) for p, n in zip(of_method, sizes, strict=True)
            ]
            found |= {(metric, method): measure(metric, truths, picked) for metric in OF_LAYERS}
        for (metric, method), columns in found.items():
            s = score(metric, columns, seed)
            d = compare(metric, columns, found[metric, SURVIVORS], seed)
            rows.append(
                (layer, words, metric, method, s.value, s.low, s.high, s.n)
                + (d.value, d.low, d.high, d.spans_zero)
            )
    names = ["layer", "words", "metric", "method", "value", "low", "high", "n"]
    names += ["difference", "difference_low", "difference_high", "tie"]
    return pd.DataFrame(rows, columns=names)


def ranking(scores: pd.DataFrame, paired: pd.DataFrame, metric: str, budget: str) -> pd.DataFrame:
    """Return a metric's methods best first, those that the best does not surely beat sharing its rank.

    `rank` is "1" or, shared, "1="; the best of the others leads the next rank, and so on. `tied` marks the
    first rank, `below_random` a method that is surely worse than `random`.
    """
    rows = scores[(scores.metric == metric) & (scores.budget == budget)]
    lower = not rows.empty and rows.better.iloc[0] == "lower"
    rows = rows.sort_values("value", ascending=lower, kind="stable").reset_index(drop=True)
    at = paired[(paired.metric == metric) & (paired.budget == budget)]
    tie = {frozenset((m, o)) for m, o, t in zip(at.method, at.other, at.tie, strict=True) if t}
    place = _places([m for m, v in zip(rows.method, rows.value, strict=True) if not np.isnan(v)], tie)
    shared = list(place.values())
    value = dict(zip(rows.method, rows.value, strict=True))

    def below(method: str) -> bool:
        if "random" not in place or method not in place or frozenset((method, "random")) in tie:
            return False
        return bool(value[method] > value["random"] if lower else value[method] < value["random"])

    names = {m: f"{p}=" if shared.count(p) > 1 else str(p) for m, p in place.items()}
    rows = rows.assign(
        rank=[names.get(m, "") for m in rows.method],
        tied=[place.get(m) == 1 for m in rows.method],
        below_random=[below(m) for m in rows.method],
    )
    order = sorted(range(len(rows)), key=lambda i: place.get(rows.method[i], len(rows) + 1))
    return rows.iloc[order].reset_index(drop=True)


def _places(methods: list[str], tie: set[frozenset[str]]) -> dict[str, int]:
    """Return the rank of each of `methods`, given best first."""
    place: dict[str, int] = {}
    while rest := [m for m in methods if m not in place]:
        leader, number = rest[0], len(place) + 1
        place |= {m: number for m in rest if m == leader or frozenset((m, leader)) in tie}
    return place


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


class Cell(NamedTuple):
    """A number as it is printed; `best` where nothing is surely better."""

    value: str
    interval: str = ""
    best: bool = False

    @property
    def text(self) -> str:
        """Value and interval."""
        return f"{self.value} {self.interval}".strip()


def summary_cells(scores: pd.DataFrame, paired: pd.DataFrame, budget: str) -> pd.DataFrame:
    """Return HEADLINE as printed: methods × metrics with their arrow, of Cells."""
    methods = list(dict.fromkeys(scores.method[scores.metric == "cost"]))
    cells: dict[str, list[Cell]] = {}
    for metric, has_budget in HEADLINE:
        rows = ranking(scores, paired, metric, budget if has_budget else NO_BUDGET).set_index("method")
        if metric == "cost":
            cells["ms"] = [Cell(f"{rows.value[m]:.1f}") for m in methods]
            continue
        better = {"higher": "↑", "lower": "↓"}[rows.better.iloc[0]]
        cells[f"{metric} {better}"] = [
            Cell(f"{r.value:.3f}", f"[{r.low:.3f}, {r.high:.3f}]", r.tied) if r.n else Cell("–")
            for r in (rows.loc[m] for m in methods)
        ]
    return pd.DataFrame(cells, index=pd.Index(methods, name="method"))


def markdown(cells: pd.DataFrame) -> str:
    """Return what `summary_cells` found as a Markdown table: value [interval], bold for the best."""
    return markdown_table(
        cells.map(lambda c: f"**{c.value}** {c.interval}" if c.best else c.text).reset_index()
    )


def markdown_table(table: pd.DataFrame) -> str:
    """Return a table of texts in Markdown."""
    lines = [[str(text).replace("|", "\\|") for text in row] for row in (table.columns, *table.to_numpy())]
    lines.insert(1, ["---"] * len(table.columns))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def latex(cells: pd.DataFrame) -> str:
    """Return what `summary_cells` found as a LaTeX table (booktabs): the same texts, escaped."""
    best = cells.map(lambda c: "textbf:--rwrap" if c.best else "").assign(method="").reset_index(drop=True)
    arrows = str.maketrans({"↑": r"$\uparrow$", "↓": r"$\downarrow$"})
    signs = str.maketrans({"-": "$-$", "–": "--"})
    styler = cells.map(lambda c: c.text).reset_index().style.hide(axis="index")
    styler = styler.apply(lambda shown: best[shown.columns], axis=None).format(escape="latex")
    styler = styler.format(lambda text: str(text).translate(signs), subset=list(cells), escape="latex")
    styler = styler.format_index(lambda text: str(text).translate(arrows), escape="latex", axis=1)
    return styler.to_latex(hrules=True, column_format="l" + "r" * len(cells.columns))

"""An evaluation → tables: one row a number, with its interval, n and settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from eraser.metrics.bootstrap import estimate
from eraser.metrics.table import METRICS, compare, defined, mean, rows_of, score
from eraser.types import Kind
from rationale.evaluation.per_example import (
    DROPS,
    MODEL,
    NO_BUDGET,
    OF_LAYERS,
    TAU,
    WORDS,
    by_layer,
    per_example_metrics,
    per_example_times,
)
from rationale.evaluation.stored.columns import ColumnMap
from rationale.templates.names import metric_name

if TYPE_CHECKING:  # tables that are on disk are read without torch
    from rationale.evaluation.plan import Evaluation
    from rationale.settings import EvaluateSettings

PAIRED = (  # metrics whose differences between methods are tested
    "token_f1",
    "false_positive_rate",
    "iou_f1_eraser",
    "average_precision",
    "comprehensiveness",
    "sufficiency",
    "aopc_comprehensiveness",
    "aopc_sufficiency",
    "sentence_f1",
    "sentence_precision",
    "sentence_recall",
    "sentence_average_precision",
)
COST_UNIT = "ms per example (median)"


@dataclass(frozen=True)
class Tables:
    """What figures and pages show; `layers` is empty where no method counts layers.

    `inside` is empty where nobody asked whether the model knows texts with words taken out.
    """

    scores: pd.DataFrame
    paired: pd.DataFrame
    curves: pd.DataFrame
    layers: pd.DataFrame
    agreement: pd.DataFrame
    inside: pd.DataFrame = field(default_factory=pd.DataFrame)


def all_tables(
    settings: EvaluateSettings, columns: ColumnMap, times: ColumnMap, kind: Kind = "class"
) -> Tables:
    """Return the tables of what `per_example` measured of a model that answers so."""
    methods, seed = settings.methods, settings.seed
    return Tables(
        score_table(columns, times, seed, kind),
        paired_table(methods, columns, seed),
        curve_table(columns),
        layer_table(methods, columns, seed),
        agreement_table(methods, columns, seed),
    )


def tables_of(evaluation: Evaluation) -> Tables:
    """Return the tables of an evaluation that is in memory."""
    return all_tables(
        evaluation.settings, per_example_metrics(evaluation), per_example_times(evaluation), evaluation.kind
    )


def score_table(columns: ColumnMap, times: ColumnMap, seed: int, kind: Kind = "class") -> pd.DataFrame:
    """Return one row for each metric, budget and method, and one for each method's cost."""
    rows = []
    units = {"probability": "value"} if kind == "value" else {}
    for name, budget, method in (key for key in columns if key[0] in METRICS):
        metric, of_examples = METRICS[name], columns[name, budget, method]
        better = {True: "higher", False: "lower", None: ""}[metric.higher_is_better]
        s = score(name, of_examples, seed)
        unit = units.get(metric.unit, metric.unit)
        rows.append((method, budget, name, s.value, s.low, s.high, s.n, s.left_out, better, unit))
    for (name, budget, method), of_examples in times.items():
        every = rows_of(of_examples)
        ms = every[defined(every)]
        median, left_out = float(np.median(ms)) if len(ms) else np.nan, len(every) - len(ms)
        rows.append((method, budget, name, median, np.nan, np.nan, len(ms), left_out, "lower", COST_UNIT))
    names = ["method", "budget", "metric", "value", "low", "high", "n", "left_out", "better", "unit"]
    return pd.DataFrame(rows, columns=names)


def paired_table(methods: Sequence[str], columns: ColumnMap, seed: int) -> pd.DataFrame:
    """Return the difference of every two methods on every metric of PAIRED; `tie` where it may be 0."""
    rows = []
    places = sorted({(metric, budget) for metric, budget, _ in columns if metric in PAIRED})
    for metric, budget in places:
        of_methods = {method: rows_of(columns[metric, budget, method]) for method in methods}
        for one, other in combinations(methods, 2):
            found = compare(metric, of_methods[one], of_methods[other], seed)
            if found.n:
                ends = (found.value, found.low, found.high, found.n, found.spans_zero)
                rows.append((metric, budget, one, other, *ends))
    names = ["metric", "budget", "method", "other", "difference", "low", "high", "n", "tie"]
    return pd.DataFrame(rows, columns=names)


def curve_table(columns: ColumnMap) -> pd.DataFrame:
    """Return the mean drop of the predicted class's probability, or what was explained, at each share."""
    rows = []
    for name, fraction, method in columns:
        if name == DROPS:
            drops = rows_of(columns[name, fraction, method])
            without, only = drops.mean(axis=0)
            rows.append((method, float(fraction), float(without), float(only), len(drops)))
    return pd.DataFrame(rows, columns=["method", "fraction", "without", "only", "n"])


def agreement_table(methods: Sequence[str], columns: ColumnMap, seed: int) -> pd.DataFrame:
    """Return the mean τ-b over examples of every two methods; `left_out` where one was constant."""
    rows = []
    for one, other in combinations(methods, 2):
        taus = rows_of(columns[TAU, other, one])
        found = estimate(taus[defined(taus)], mean, seed)
        rows.append((one, other, found.value, found.low, found.high, found.n, len(taus) - found.n))
    return pd.DataFrame(rows, columns=["method", "other", "tau", "low", "high", "n", "left_out"])


def layer_table(methods: Sequence[str], columns: ColumnMap, seed: int) -> pd.DataFrame:
    """Return how well the words that reached each layer agree with human rationales, and other methods'.

    `words` is their mean share of the text, `difference` is to the survivors (its interval: `tie`).
    """
    rows = []
    for name, layer, survivors in columns:
        if name != WORDS:
            continue
        shares = rows_of(columns[name, layer, survivors])
        if not (known := shares[defined(shares)]).any():
            continue  # nothing reached it, or people marked no word of any example
        words = float(known.mean())
        for method in methods:
            for metric in OF_LAYERS:
                place = by_layer(metric), layer
                of_method, of_survivors = columns[*place, method], columns[*place, survivors]
                s = score(metric, of_method, seed)
                d = compare(metric, of_method, of_survivors, seed)
                rows.append(
                    (int(layer), words, metric, method, s.value, s.low, s.high, s.n)
                    + (d.value, d.low, d.high, d.spans_zero)
                )
    names = ["layer", "words", "metric", "method", "value", "low", "high", "n"]
    names += ["difference", "difference_low", "difference_high", "tie"]
    return pd.DataFrame(rows, columns=names)


def of_answers(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows that say how right the model is: accuracy, or what its kind of answers has."""
    rows = scores[(scores.method == MODEL) & (scores.n > 0)]
    return [{str(k): v for k, v in row.items()} for row in rows.to_dict("records")]


def with_interval(row: dict[str, Any]) -> str:
    """Return a score with its interval."""
    return f"{metric_name(row['metric'])} {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def ranking(scores: pd.DataFrame, paired: pd.DataFrame, metric: str, budget: str) -> pd.DataFrame:
    """Return a metric's methods best first, those that the best does not surely beat sharing its rank.

    `rank` is "1" or, shared, "1="; the best of the others leads the next rank, and so on. `tied` marks the
    first rank, `below_random` a method that is surely worse than `random`. Of a metric whose differences
    were not tested nothing is said: no rank, none tied, none below.
    """
    rows = scores[(scores.metric == metric) & (scores.budget == budget)]
    lower = not rows.empty and rows.better.iloc[0] == "lower"
    rows = rows.sort_values("value", ascending=lower, kind="stable").reset_index(drop=True)
    methods, values = rows.method.tolist(), rows.value.tolist()
    at = paired[(paired.metric == metric) & (paired.budget == budget)]
    tie = {frozenset((m, o)) for m, o, t in zip(at.method, at.other, at.tie, strict=True) if t}
    known = [m for m, v in zip(methods, values, strict=True) if not np.isnan(v)]
    place = _ranks(known, tie) if len(at) or len(known) == 1 else {}
    shared = list(place.values())
    value = dict(zip(methods, values, strict=True))

    def below(method: str) -> bool:
        if "random" not in place or method not in place or frozenset((method, "random")) in tie:
            return False
        return bool(value[method] > value["random"] if lower else value[method] < value["random"])

    names = {m: f"{p}=" if shared.count(p) > 1 else str(p) for m, p in place.items()}
    rows = rows.assign(
        rank=[names.get(m, "") for m in methods],
        tied=[place.get(m) == 1 for m in methods],
        below_random=[below(m) for m in methods],
    )
    order = sorted(range(len(rows)), key=lambda i: place.get(methods[i], len(rows) + 1))
    return rows.iloc[order].reset_index(drop=True)


def _ranks(methods: list[str], tie: set[frozenset[str]]) -> dict[str, int]:
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
OF_SENTENCES = (  # in the place of the metrics of words, where sentences are picked
    ("sentence_f1", True),
    ("sentence_precision", True),
    ("sentence_recall", True),
    ("sentence_average_precision", False),
)
N_OF_WORDS = 4


def in_sentences(scores: pd.DataFrame) -> bool:
    """Return whether sentences are picked, not words."""
    return OF_SENTENCES[0][0] in set(scores.metric)


def of_units(metrics: Sequence[tuple[str, bool]], scores: pd.DataFrame) -> list[tuple[str, bool]]:
    """Return a list that begins as HEADLINE does, with the metrics of sentences where scores have them."""
    found = OF_SENTENCES if in_sentences(scores) else metrics[:N_OF_WORDS]
    return [*found, *metrics[N_OF_WORDS:]]


def headline(scores: pd.DataFrame, budget: str) -> pd.DataFrame:
    """Return methods × the metrics of HEADLINE."""
    columns = {}
    for metric, has_budget in of_units(HEADLINE, scores):
        rows = scores[(scores.metric == metric) & (scores.budget == (budget if has_budget else NO_BUDGET))]
        columns[metric] = rows.set_index("method").value
    return pd.DataFrame(columns)


class TableCell(NamedTuple):
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
    cells: dict[str, list[TableCell]] = {}
    for metric, has_budget in of_units(HEADLINE, scores):
        rows = ranking(scores, paired, metric, budget if has_budget else NO_BUDGET).set_index("method")
        if metric == "cost":
            cells["ms"] = [TableCell(f"{rows.value[m]:.1f}" if rows.n[m] else "–") for m in methods]
            continue
        better = {"higher": "↑", "lower": "↓"}[rows.better.iloc[0]]
        cells[f"{metric} {better}"] = [
            TableCell(f"{r.value:.3f}", f"[{r.low:.3f}, {r.high:.3f}]", r.tied) if r.n else TableCell("–")
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
    lines = [[in_markdown(str(text)) for text in row] for row in (table.columns, *table.to_numpy())]
    lines.insert(1, ["---"] * len(table.columns))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def in_markdown(text: str) -> str:
    r"""Return a text of data in Markdown's table: on one line, no link, no picture, no markup.

    >>> in_markdown("![a](http://b) <img> |"), in_markdown("token_f1 [0.1, 0.2]")
    ('![a]\\(http://b) &lt;img> \\|', 'token_f1 [0.1, 0.2]')
    """
    marks = {"|": "\\|", "](": "]\\(", "][": "]\\[", "]:": "]\\:", "<": "&lt;"}
    text = " ".join(text.split("\n"))
    for mark, escaped in marks.items():
        text = text.replace(mark, escaped)
    return text


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

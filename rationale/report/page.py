"""The report: one page that answers first, folds the rest, and asks for nothing from elsewhere."""

from __future__ import annotations

import base64
import re
from math import isnan, log10
from typing import Any, NamedTuple

import pandas as pd

from rationale.evaluation.per_example import NO_BUDGET
from rationale.report.annotators import ANNOTATOR_TABLES
from rationale.report.command import command_of, explained, model_name
from rationale.report.figures import FIGURES
from rationale.report.plots import LEAST_MS
from rationale.report.summary import HEADLINE, Tables, of_answers, of_units, ranking, with_interval
from rationale.report.verdict import details, verdict
from rationale.templates import fragment
from rationale.templates.names import budget_name, metric_name
from rationale.templates.palette import STEPS, step_class

TEMPLATE = "report.html"
RANKED = (
    ("token_f1", True),
    ("false_positive_rate", True),
    ("iou_f1_eraser", True),
    ("average_precision", False),
    ("aopc_comprehensiveness", False),
    ("aopc_sufficiency", False),
)
FIRST, COSTS = "tradeoff", "cost"  # figures that have a place of their own
DISAGREE, LOOK = (0, 1), 2  # places among the sections of examples
WRONG = 3


class Cell(NamedTuple):
    """A number of the page's table; `best` where nothing is surely better, `below` where random is.

    `inside` says whether the model knows the texts that it was asked about.
    """

    text: str
    interval: str = ""
    shade: str = ""
    best: bool = False
    below: bool = False
    inside: str = ""


class Column(NamedTuple):
    """A metric of the page's table: what it is called, which way is better, a cell for each method."""

    name: str
    better: str
    cells: dict[str, Cell]


def render(
    tables: Tables,
    facts: dict[str, Any],
    images: dict[str, bytes],
    sections: list[dict[str, Any]],
    annotators: dict[str, pd.DataFrame],
) -> str:
    """Return the report as one HTML page, every text escaped."""
    scores, paired, budgets = tables.scores, tables.paired, facts["budgets"]
    settings = facts["settings"]
    asked = settings.get("budgets", ()) if facts["with_human_evidence"] else ()  # else of nobody's marks
    figures = {n: _figure(FIGURES[n].says, data) for n, data in images.items()}
    return fragment(
        TEMPLATE,
        facts=facts,
        model=model_name(str(settings["model"])),
        budget=budgets[0],
        length=budget_name(budgets[0], asked, settings.get("unit", "word")),
        right=[(with_interval(row), row["n"]) for row in of_answers(scores)],
        verdict=verdict(scores, paired),
        more=details(scores, paired, budgets[0]),
        methods=list(dict.fromkeys(scores.method[scores.metric == "cost"])),
        columns=columns_of(scores, paired, budgets[0], tables.inside),
        inside=not tables.inside.empty,
        rankings=_rankings(scores, paired, budgets),
        first=figures.get(FIRST),
        costs=figures.get(COSTS),
        figures={n: shown for n, shown in figures.items() if n not in (FIRST, COSTS)},
        drawn=list(figures),
        wrong=sections[WRONG],
        apart=[sections[place] for place in DISAGREE],
        examples=sections[LOOK],
        annotators=[(n, ANNOTATOR_TABLES[n][1], list(t), records(t)) for n, t in annotators.items()],
        command=command_of(settings),
        explained=explained(settings),
    )


def _figure(says: str, data: bytes) -> tuple[str, str, str]:
    """Return what is said below a figure, its picture, and its title: its first sentence."""
    return says, base64.b64encode(data).decode(), re.split(r"(?<=\?)|\.", says)[0]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows; NaN, which JSON does not know, and what is missing as null."""
    rows = table.to_dict("records")
    return [{str(k): None if _is_missing(v) else v for k, v in r.items()} for r in rows]


def _is_missing(value: Any) -> bool:
    return value is pd.NA or (isinstance(value, float) and isnan(value))


def _rankings(
    scores: pd.DataFrame, paired: pd.DataFrame, budgets: list[str]
) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Return (metric, budget, rows best first) of each metric of RANKED."""
    places = [
        (metric, at)
        for metric, has_budget in of_units(RANKED, scores)
        for at in (budgets if has_budget else (NO_BUDGET,))
    ]
    return [(metric_name(m), at, records(ranking(scores, paired, m, at))) for m, at in places]


def columns_of(
    scores: pd.DataFrame, paired: pd.DataFrame, budget: str, inside: pd.DataFrame | None = None
) -> list[Column]:
    """Return the page's table, a column for each metric of HEADLINE."""
    found, known = [], {} if inside is None else inside_words(inside)
    for metric, has_budget in of_units(HEADLINE, scores):
        rows = ranking(scores, paired, metric, budget if has_budget else NO_BUDGET)
        if rows.empty:
            continue
        better = str(rows.better.iloc[0])
        shades = heat([float(v) for v in rows.value], better, logarithmic=metric == "cost")
        cells = {
            str(r.method): _cell(r, step, 1 if metric == "cost" else 3)._replace(
                inside=known.get((str(r.method), metric), "")
            )
            for r, step in zip(rows.itertuples(), shades, strict=True)
        }
        name = "cost, ms" if metric == "cost" else metric_name(metric)
        found.append(Column(name, better, cells))
    return found


def inside_words(inside: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Return by method and metric the p value that its texts are known to the model; ⚠ where they are not."""
    return {
        (r["method"], r["metric"]): f"p = {r['p']:.2g}{' ⚠' if r['outside'] else ''}" for r in records(inside)
    }


def _cell(row: Any, step: int, digits: int) -> Cell:
    if isnan(row.value):
        return Cell("–")
    interval = "" if isnan(row.low) else f"[{row.low:.3f}, {row.high:.3f}]"
    best = bool(row.tied) and not isnan(row.low)
    return Cell(f"{row.value:.{digits}f}", interval, step_class(step, signed=False), best, row.below_random)


def heat(values: list[float], better: str, logarithmic: bool = False) -> list[int]:
    """Return each value's shade, 0 for the worst to STEPS for the best; 0 too where it has no value.

    >>> heat([0.2, 0.6, 0.4], "higher"), heat([1.0, 100.0, 10.0], "lower", logarithmic=True)
    ([0, 8, 4], [8, 0, 4])
    """
    at = [log10(max(v, LEAST_MS)) if logarithmic else v for v in values]
    known = [v for v in at if not isnan(v)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    if low == high:
        return [0] * len(values)
    shares = [(v - low) / (high - low) for v in at]
    return [0 if isnan(s) else round(STEPS * (1 - s if better == "lower" else s)) for s in shares]

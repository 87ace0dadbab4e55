"""The page Scores: run folders of `rationale evaluate`, as tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from eraser import InputError
from eraser.files.cells import as_csv
from eraser.metrics.table import METRICS
from rationale.evaluation.per_example import MODEL, NO_BUDGET, OF_LAYERS, SURVIVORS
from rationale.report.annotators import ANNOTATOR_TABLES
from rationale.report.figures import COST, FIGURES, TRUSTED, agreement_places, agrees
from rationale.report.label_placement import label_marks
from rationale.report.page import heat
from rationale.report.plots import new_figure, scatter
from rationale.report.summary import HEADLINE, headline, of_answers, ranking, with_interval
from rationale.report.verdict import details, verdict
from rationale.templates.names import BETTER, budget_names, in_words, metric_name
from rationale.templates.palette import INK, shade
from rationale_viewer.compute import cached
from rationale_viewer.session.opened import Session, complain, short_names
from rationale_viewer.session.runs import RunTables, together, unit_of
from rationale_viewer.session.state import stamp
from rationale_viewer.view import charts, html
from rationale_viewer.view.show import Hover, show_figure

EMPTY = """No run is open. A run is a folder that `rationale evaluate` wrote; make one on the sample with

```bash
rationale evaluate --dataset sample
rationale app --run runs
```
"""
TABLE_OF = {"faithfulness": "curves", "methods": "agreement", "layers": "layers"}  # else scores
NUMBERS = ("value", "low", "high")
SHORT = {  # heads of the table, so that all columns fit; pointed at, each says its whole name
    "false_positive_rate": "FPR", "average_precision": "avg. prec.", "comprehensiveness": "comp.",
    "sufficiency": "suff.", "aopc_comprehensiveness": "AOPC comp.", "aopc_sufficiency": "AOPC suff.",
    "sentence_average_precision": "sentence AP", "cost": "ms",
}  # fmt: skip
MORE = "What else the tables say"
ROW = 35  # height of a table's row, pixels


def _agrees(run: RunTables, budget: str, theme: str) -> list[Any]:
    """Return agreement with human rationales."""
    scores = run.tables.scores
    return [charts.dots(scores, place, theme) for place in agreement_places(scores, budget)]


def _falls(run: RunTables, _: str, theme: str) -> list[Any]:
    """Return comprehensiveness and sufficiency over the share of words, or of sentences."""
    share = ("fraction", f"share of the {unit_of([run])}s")
    sides = (("without", in_words("comprehensiveness")), ("only", in_words("sufficiency")))
    return [charts.lines(run.tables.curves, share, side, theme) for side in sides]


def _by_layer(run: RunTables, _: str, theme: str) -> list[Any]:
    """Return how well the words that reached each layer agree with annotators."""
    layers, layer = run.tables.layers, ("layer", "layer")
    each = ((m, layers[layers.metric == m]) for m in OF_LAYERS)
    return [charts.lines(rows, layer, ("value", in_words(m)), theme, SURVIVORS) for m, rows in each]


def _alike(run: RunTables, _: str, theme: str) -> list[Any]:
    """Return how alike every two methods rank words."""
    return [charts.heat(run.tables.agreement, theme)]


CHARTS = {"layers": _by_layer, "agreement": _agrees, "faithfulness": _falls, "methods": _alike}
NAMED = ("layers", "faithfulness")  # whose marks need a legend


def scores_page(opened: Session) -> None:
    """Draw the page."""
    named = short_names(list(opened.runs))
    if not named:
        st.info(EMPTY)
        return
    chosen = st.multiselect(
        "Runs", list(named), default=list(named)[:1], key="runs", persist_state="session",
        placeholder="choose one or more",
    )  # fmt: skip
    read = {name: _read(named[name]) for name in chosen}
    runs = {name: replace(run, name=name) for name, run in read.items() if run is not None}
    if not runs:
        st.info("Choose a run to see its scores.")
        return
    key = tuple((name, stamp(Path(named[name]))) for name in runs)
    budgets = list(dict.fromkeys(b for r in runs.values() for b in r.budgets))
    names = budget_names(budgets, {b for r in runs.values() for b in r.asked}, unit_of(runs.values()))
    budget = st.selectbox(
        "Size of a rationale", budgets, key="at", format_func=names.__getitem__,
        help="Numbers that look at the ranking or the label, not at picked words, are the same under each.",
    )  # fmt: skip
    for name, run in runs.items():
        st.html(html.note(_stands_on(name, run, budget)))
    _verdicts(list(runs.values()), budget)
    table, figures, annotators = st.tabs(
        ["Table", "Figures", "Annotators and communities"], key="tab", bind="query-params"
    )
    if table.open:
        with table:
            _table(list(runs.values()), budget)
    if figures.open:
        with figures:
            _figures(list(runs.values()), budget, key)
    if annotators.open:
        with annotators:
            _annotators(runs)


def _read(folder: str) -> RunTables | None:
    """Return a run, or None after saying what is wrong with it."""
    try:
        return cached.run(folder, stamp(Path(folder)))
    except InputError as error:
        complain(error, "A run cannot be read.")
        return None


def _stands_on(name: str, run: RunTables, budget: str) -> str:
    """Return what a run's numbers stand on."""
    s, facts = run.facts.get("settings", {}), run.facts
    parts = [name, f"{s.get('dataset', '')} {s.get('split', '')}".strip()]
    parts += [f"{facts['examples']} examples"] if "examples" in facts else []
    parts += [str(facts[n]) for n in ("device", "intervals") if n in facts]
    parts += [f"the model: {with_interval(row)}" for row in of_answers(run.tables.scores)]
    return " · ".join(p for p in (*parts, budget) if p)


def _verdicts(runs: Sequence[RunTables], budget: str) -> None:
    """Say in three sentences what each run's tables say, and the rest in a fold."""
    for number, run in enumerate(runs):
        scores, paired = run.tables.scores, run.tables.paired
        name = run.name if len(runs) > 1 else ""
        if said := verdict(scores, paired):
            st.html(html.sentences(name, said))
        if more := details(scores, paired, budget):
            with st.expander(MORE, key=f"more-{number}"):
                st.html(html.sentences(name, more))


def _table(runs: Sequence[RunTables], budget: str) -> None:
    """Draw all headline metrics, shaded, then one metric with its intervals."""
    scores = together(runs)
    wide = pd.concat([_wide(run, budget, len(runs) > 1) for run in runs])
    st.html(html.note("The stronger the colour, the better within the column. Click a column to sort."))
    st.container(key="sideways-headline").dataframe(
        shaded(wide, "dark" if st.context.theme.type == "dark" else "light"),
        column_config=_heads(wide), height=_whole(wide),
    )  # fmt: skip
    _file("headline", wide.reset_index())
    metrics = [m for m in dict.fromkeys([*(m for m, _ in HEADLINE), *METRICS]) if m in set(scores.metric)]
    metric = st.selectbox(
        "One metric with its intervals", metrics, key="metric", bind="query-params", format_func=metric_name
    )
    at = budget if ((scores.metric == metric) & (scores.budget == budget)).any() else NO_BUDGET
    if len(runs) == 1 and not runs[0].tables.paired.empty:
        rows = ranking(scores, runs[0].tables.paired, metric, at)
    else:
        rows = scores[(scores.metric == metric) & (scores.budget == at)]
        rows = rows.sort_values("value", ascending=bool((rows.better == "lower").any()))
    ranked = "rank" in rows and bool(rows["rank"].ne("").any())
    shown = [c for c in (*["rank"] * ranked, "method", *NUMBERS, "n", "left_out") if c in rows]
    better = rows.better.iloc[0] if len(rows) and isinstance(rows.better.iloc[0], str) else ""
    says = f"{METRICS[metric].unit if metric in METRICS else 'ms per example (median)'}"
    says += f", {better} is better" if better else ""
    says += "; low and high: 95 % interval"
    says += "; between methods that share a rank (1=) the difference may be chance." if ranked else "."
    st.html(html.note(f"{says} Click a column to sort."))
    st.container(key="sideways-metric").dataframe(
        rows[shown],
        hide_index=True,
        column_config=_three(rows) | {"left_out": "left out"},
        height=_whole(rows),
    )
    _file("scores", scores)


def shaded(wide: pd.DataFrame, theme: str) -> Styler:
    """Return methods × metrics with each column's cells shaded from its worst to its best."""
    ink, styles = getattr(INK, theme), pd.DataFrame("", index=wide.index, columns=wide.columns)
    for metric in wide:
        better = "lower" if metric == COST[0] else BETTER[METRICS[str(metric)].higher_is_better]
        steps = heat([float(v) for v in wide[metric]], better, logarithmic=metric == COST[0])
        styles[metric] = [
            f"background-color: {getattr(shade(step, signed=False), theme)}; color: {ink}" for step in steps
        ]
    return wide.style.apply(lambda _: styles, axis=None)


def _whole(table: pd.DataFrame) -> int:
    """Return the height in pixels at which no row of a table is cut off."""
    return ROW * (len(table) + 1) + 3


def _heads(table: pd.DataFrame) -> dict[str, Any]:
    """Return how the columns of metrics are named, and that they have three digits."""
    return {
        str(m): st.column_config.NumberColumn(
            SHORT.get(str(m), metric_name(str(m))),
            format="%.1f" if m == COST[0] else "%.3f",
            help=in_words(str(m), "lower" if m == COST[0] else None),
        )
        for m in table
    }


def _three(table: pd.DataFrame) -> dict[str, Any]:
    """Return that numbers are shown with three digits."""
    return {str(c): st.column_config.NumberColumn(format="%.3f") for c in table.select_dtypes("float")}


def _wide(run: RunTables, budget: str, several: bool) -> pd.DataFrame:
    found = headline(run.tables.scores, budget)
    return found.rename(index=lambda m: f"{run.name}: {m}") if several else found


def _file(name: str, table: pd.DataFrame) -> None:
    st.download_button(
        "CSV", as_csv(table), f"{name}.csv", key=f"table-{name}", on_click="ignore",
        icon=":material/download:", type="tertiary",
    )  # fmt: skip


def _figures(runs: Sequence[RunTables], budget: str, key: tuple[object, ...]) -> None:
    """Draw the figures: runs together where that can be read, else the one that is chosen."""
    scores = together(runs)
    agreement = agrees(scores)
    pairs = {"agreement-faithfulness": (agreement, TRUSTED), "cost-agreement": (COST, agreement)}
    says = (
        "Agreement with annotators and faithfulness to the model: better to the right, and higher up.",
        "Agreement with annotators and what it costs: better to the left, and higher up.",
    )
    for (name, (x, y)), sentence in zip(pairs.items(), says, strict=True):
        make = partial(_scatter, scores, x, y)
        hover = Hover(partial(_points, scores, x, y), _methods(scores))
        show_figure(name, sentence + " Bars: 95 % intervals.", scores, make, key, hover=hover)
    run = runs[0]
    if len(runs) > 1:
        chosen = st.selectbox("The next figures are of", [r.name for r in runs])
        run = next(r for r in runs if r.name == chosen)
    for name in CHARTS:
        _of_run(run, name, budget, key)


def _points(scores: pd.DataFrame, x: tuple[str, str], y: tuple[str, str], theme: str) -> list[Any]:
    return [charts.points(scores, x, y, theme)]


def _scatter(scores: pd.DataFrame, x: tuple[str, str], y: tuple[str, str]) -> Figure:
    figure, (axes,) = new_figure(1, width=5.6, height=4.4)
    label_marks(scatter(axes, scores, x, y))
    return figure


def _of_run(run: RunTables, name: str, budget: str, key: tuple[object, ...]) -> None:
    """Draw a figure of a run, or say why it has none."""
    drawing, table = FIGURES[name], getattr(run.tables, TABLE_OF.get(name, "scores"))
    if table.empty or (name != "layers" and run.tables.curves.empty):
        if name == "layers":
            st.caption("No curves by layer: the run has no survivors, or was written before runs kept them.")
        return

    def make() -> Figure:
        figure = drawing.make(run.tables, budget)
        assert figure is not None  # its table is not empty
        return figure

    named = _methods(run.tables.scores) if name in NAMED else ()
    hover = Hover(partial(CHARTS[name], run, budget), named, name == "methods")
    show_figure(name, drawing.says, table, make, (*key, run.name, budget), wide=True, hover=hover)


def _methods(scores: pd.DataFrame) -> tuple[str, ...]:
    return tuple(dict.fromkeys(scores.method[scores.method != MODEL]))


def _annotators(runs: dict[str, RunTables]) -> None:
    """Draw fairness, annotators and HateXplain's protocol, where runs have them."""
    if not any(run.annotators for run in runs.values()):
        st.info("These runs have no tables of communities or annotators: HateXplain's runs do.")
    for name, run in runs.items():
        for what, table in run.annotators.items():
            st.subheader(what.replace("_", " "), anchor=False)
            st.html(html.note(name))
            st.caption(ANNOTATOR_TABLES[what][1])
            st.dataframe(table, hide_index=True, column_config=_three(table))
            _file(f"{name}-{what}", table)

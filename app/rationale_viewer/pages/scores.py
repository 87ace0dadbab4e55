"""Page 3: run folders of `rationale evaluate`, as tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from matplotlib.figure import Figure

from eraser import InputError
from eraser.files.cells import as_csv
from eraser.metrics.table import METRICS
from rationale.evaluation.per_example import NO_BUDGET
from rationale.report.annotators import ANNOTATOR_TABLES
from rationale.report.figures import AGREES, COST, FIGURES, TRUSTED
from rationale.report.label_placement import label_marks
from rationale.report.plots import new_figure, scatter
from rationale.report.summary import HEADLINE, headline, ranking
from rationale_viewer.compute import cached
from rationale_viewer.session.opened import Session, complain, short_names
from rationale_viewer.session.runs import RunTables, together
from rationale_viewer.session.state import stamp
from rationale_viewer.view import html
from rationale_viewer.view.show import show_figure

EMPTY = """No run is open. A run is a folder that `rationale evaluate` wrote; make one on the sample with

```bash
rationale evaluate --dataset sample
rationale app --run runs
```
"""
TABLE_OF = {"faithfulness": "curves", "methods": "agreement", "layers": "layers"}  # else scores
NUMBERS = ("value", "low", "high")


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
    runs = {name: run for name in chosen if (run := _read(named[name])) is not None}
    if not runs:
        st.info("Choose a run to see its scores.")
        return
    key = tuple((name, stamp(Path(named[name]))) for name in runs)
    budgets = list(dict.fromkeys(b for r in runs.values() for b in r.budgets))
    budget = st.selectbox(
        "Size of rationales (budget)", budgets, key="at",
        help="Numbers that look at the ranking or the label, not at picked words, are the same under each.",
    )  # fmt: skip
    for name, run in runs.items():
        st.html(html.note(_stands_on(name, run)))
    table, figures, people = st.tabs(
        ["Table", "Figures", "People and communities"], key="tab", bind="query-params"
    )
    if table.open:
        with table:
            _table(list(runs.values()), budget)
    if figures.open:
        with figures:
            _figures(list(runs.values()), budget, key)
    if people.open:
        with people:
            _people(runs)


def _read(folder: str) -> RunTables | None:
    """Return a run, or None after saying what is wrong with it."""
    try:
        return cached.run(folder, stamp(Path(folder)))
    except InputError as error:
        complain(error, "A run cannot be read.")
        return None


def _stands_on(name: str, run: RunTables) -> str:
    """Return what a run's numbers stand on."""
    s, facts = run.facts.get("settings", {}), run.facts
    parts = [name, f"{s.get('dataset', '')} {s.get('split', '')}".strip()]
    parts += [f"{facts['examples']} examples"] if "examples" in facts else []
    parts += [str(facts[n]) for n in ("device", "intervals") if n in facts]
    return " · ".join(p for p in parts if p)


def _table(runs: Sequence[RunTables], budget: str) -> None:
    """Draw one metric with its intervals, then all headline metrics."""
    scores = together(runs)
    metrics = [m for m in dict.fromkeys([*(m for m, _ in HEADLINE), *METRICS]) if m in set(scores.metric)]
    metric = st.selectbox("Metric", metrics, key="metric", bind="query-params")
    at = budget if ((scores.metric == metric) & (scores.budget == budget)).any() else NO_BUDGET
    if len(runs) == 1 and not runs[0].tables.paired.empty:
        rows = ranking(scores, runs[0].tables.paired, metric, at)
    else:
        rows = scores[(scores.metric == metric) & (scores.budget == at)]
        rows = rows.sort_values("value", ascending=bool((rows.better == "lower").any()))
    shown = [c for c in ("rank", "method", *NUMBERS, "n", "left_out") if c in rows]
    better = rows.better.iloc[0] if len(rows) and isinstance(rows.better.iloc[0], str) else ""
    says = f"{METRICS[metric].unit if metric in METRICS else 'ms per example (median)'}"
    says += f", {better} is better" if better else ""
    says += "; low and high: 95 % interval; methods that share a rank (1=) may differ at random."
    st.html(html.note(f"{says} Click a column to sort."))
    st.dataframe(rows[shown], hide_index=True, column_config=_three(rows))
    _file("scores", scores)
    st.caption("All headline numbers")
    wide = pd.concat([_wide(run, budget, len(runs) > 1) for run in runs])
    st.dataframe(wide, column_config=_three(wide))
    _file("headline", wide.reset_index())


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
    pairs = {"agreement-faithfulness": (AGREES, TRUSTED), "cost-agreement": (COST, AGREES)}
    says = (
        "Do annotators agree, against: did the model use it?",
        "Do annotators agree, against what it costs.",
    )
    for column, (name, (x, y)), sentence in zip(st.columns(2, gap="large"), pairs.items(), says, strict=True):
        with column:
            make = partial(_scatter, scores, x, y)
            show_figure(name, sentence + " With 95 % intervals.", scores, make, key)
    run = runs[0]
    if len(runs) > 1:
        chosen = st.selectbox("The next figures are of", [r.name for r in runs])
        run = next(r for r in runs if r.name == chosen)
    for name in ("layers", "agreement", "faithfulness", "methods"):
        _of_run(run, name, budget, key)


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

    show_figure(name, drawing.says, table, make, (*key, run.name, budget), wide=True)


def _people(runs: dict[str, RunTables]) -> None:
    """Draw fairness, annotators and HateXplain's protocol, where runs have them."""
    if not any(run.people for run in runs.values()):
        st.info("These runs have no tables of communities or annotators: HateXplain's runs do.")
    for name, run in runs.items():
        for what, table in run.people.items():
            st.subheader(what.replace("_", " "), anchor=False)
            st.html(html.note(name))
            st.caption(ANNOTATOR_TABLES[what][1])
            st.dataframe(table, hide_index=True, column_config=_three(table))
            _file(f"{name}-{what}", table)

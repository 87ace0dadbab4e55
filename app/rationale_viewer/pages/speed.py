"""The page Speed: accuracy against speed, and where the FLOPs go."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from eraser import InputError
from rationale.report.figures import COST
from rationale.report.plots import LEAST_MS, name_lines, new_figure, speed_lines
from rationale.templates.names import in_words
from rationale.templates.palette import COLOURS, look
from rationale.text_classifier import labelled_as
from rationale_viewer.compute import cached
from rationale_viewer.session.opened import Session, complain, short_names
from rationale_viewer.session.runs import CURVES, draw_curve
from rationale_viewer.session.start import folders_with
from rationale_viewer.session.state import stamp
from rationale_viewer.view import charts, html
from rationale_viewer.view.show import Hover, show_figure

DIALS = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
USUAL = (0.5, 1.0, 1.5)
SIZES = (16, 32, 64, 128, 256)
PARTS = {
    "matrices": "weights times tokens",
    "attention": "tokens times tokens",
    "deciding": "deciding who stays",
}


def speed_page(opened: Session) -> None:
    """Draw the page."""
    files, measure, layers = st.tabs(
        ["Measured before", "Measure this model", "Where the FLOPs go"],
        key="part", bind="query-params",
    )  # fmt: skip
    for tab, draw in ((files, _files), (measure, _measure), (layers, _layers)):
        if tab.open:
            with tab:
                draw(opened)


def _size(opened: Session, key: str) -> tuple[str, int]:
    """Return a split and how many of its examples."""
    splits = [s for s, examples in opened.data.dataset.splits.items() if examples]
    first = splits.index("test") if "test" in splits else 0
    left, right = st.columns(2, gap="medium")
    split = left.selectbox("Split", splits, index=first, key=f"{key}-split", persist_state="session")
    n = len(opened.data.dataset.splits[split])
    sizes = [s for s in SIZES if s < n] + [n]
    size = right.selectbox(
        "Examples", sizes, index=min(1, len(sizes) - 1), key=f"{key}-size",
        format_func=lambda s: f"{s}, spread over the split" if s < n else f"all {n}",
    )  # fmt: skip
    return split, size


def _measure(opened: Session) -> None:
    """Measure accuracy, FLOPs and time at some dials, when asked to."""
    held, data = opened.held, opened.data
    if not held.adaptive:
        st.info("This model has no dial: it drops no words and stops at no layer. Open one that does.")
        return
    labelled_as(held.classifier, data.dataset.labels, opened.model_name)
    split, size = _size(opened, "measure")
    dials = st.multiselect(
        "Dials", DIALS, default=USUAL, key="dials", persist_state="session",
        help="1 is as trained; 0 drops nothing; above 1 is faster.",
    )  # fmt: skip
    asked = ("measured", held.key, data.key, split, size, tuple(sorted(dials)))
    if st.button("Measure", type="primary", disabled=not dials):
        st.session_state.measured = asked
    if st.session_state.get("measured") != asked:
        st.caption(
            "Reads the examples at each dial, and times batches beside the model with nothing dropped."
        )
        return
    rows, bar = [], st.progress(0.0, "Measuring …")
    for i, dial in enumerate(sorted(dials)):
        rows.append(cached.speed(held, data, split, size, dial))
        bar.progress((i + 1) / len(dials), f"dial {dial:g} measured")
    bar.empty()
    table = pd.concat(rows, ignore_index=True).drop_duplicates(["model", "dial"]).reset_index(drop=True)
    on = f"{data.dataset.name} {split}, n = {size}; {held.classifier.where()}. Bars: 95 % intervals."
    sides = {"flops": "FLOPs, counted", "wall": "Time, measured"}
    for column, (side, says) in zip(st.columns(2, gap="large"), sides.items(), strict=True):
        with column:
            make = partial(frontier_figure, table, side, says)
            show_figure(f"accuracy-{side}", f"{says}: {on}", table, make, asked)
    st.dataframe(
        table[["model", "dial", "flops", "wall", "accuracy", "accuracy_low", "accuracy_high", "tokens"]],
        hide_index=True, column_config={"flops": "FLOPs speed-up", "wall": "measured speed-up"},
    )  # fmt: skip


def _layers(opened: Session) -> None:
    """Show each layer's FLOPs beside the dense model's."""
    if not opened.held.adaptive:
        st.info("This model works on every token in every layer: all layers cost the same.")
        return
    split, size = _size(opened, "layers")
    table = cached.shares(opened.held, opened.data, split, size)
    saved = table.dense.sum() / table[list(PARTS)].to_numpy().sum()
    says = (
        f"FLOPs of each layer, counted, mean of {size} texts of {opened.data.dataset.name} {split}. "
        f"Outline: the dense model. The layers together: a FLOPs speed-up of {saved:.2f}."
    )
    make = partial(layer_figure, table)
    show_figure("layers", says, table, make, (opened.held.key, opened.data.key, split, size), True)
    st.dataframe(table, hide_index=True, column_config={
        c: st.column_config.NumberColumn(format="%.1f" if c == "tokens" else "%.4f")
        for c in ("tokens", "dense", *PARTS)
    })  # fmt: skip
    st.caption("In GFLOPs a text; a multiply-add is two. Embedding and head are left out.")


def frontier_figure(table: pd.DataFrame, side: str, says: str) -> Figure:
    """Return accuracy against one kind of speed-up."""
    figure, (axes,) = new_figure(1, width=5.2, height=3.6)
    speed_lines(axes, table, side, f"speed-up over dense ({says})")
    name_lines(axes)
    return figure


def layer_figure(table: pd.DataFrame) -> Figure:
    """Return stacked bars for each layer beside the dense model's outline."""
    figure, (axes,) = new_figure(1, width=7.2, height=3.4)
    below = np.zeros(len(table))
    for colour, (part, says) in zip(COLOURS, PARTS.items(), strict=False):
        axes.bar(table.layer, table[part], bottom=below, color=colour, label=says, width=0.6)
        below = below + table[part].to_numpy()
    axes.bar(
        table.layer, table.dense, fill=False, edgecolor="#777777", linewidth=1.2, label="dense", width=0.72
    )
    axes.set_xlabel("layer")
    axes.set_xticks(list(table.layer))
    axes.set_ylabel("GFLOPs a text")
    axes.grid(visible=False, axis="x")
    figure.legend(loc="outside upper center", ncols=4, fontsize=8, frameon=False)
    return figure


def _files(opened: Session) -> None:
    """Draw what runs measured: their methods' costs, and the CSVs of speeds in the folders given at start."""
    for number, (name, folder) in enumerate(short_names(list(opened.runs)).items(), start=1):
        _costs(number, name, folder)
    found = [Path(f) / name for name in CURVES for f in folders_with(opened.start.runs, name)]
    if not found and opened.runs:
        return
    if not found:
        writers = ", ".join(f"`{c.by}`" for c in CURVES.values())
        st.info(f"None found. {writers} write them; start the viewer with `--run` and their folder.")
        return
    names = {f"{p.parent.name} · {p.name}": p for p in found}
    chosen = st.selectbox("Measured before", list(names), key="curve", persist_state="session")
    path = names[chosen]
    try:
        table, _ = draw_curve(path)
    except InputError as error:
        complain(error, "This cannot be drawn.")
        return
    show_figure(path.stem, f"Written by `{CURVES[path.name].by}`.", table,
                lambda: draw_curve(path)[1], (str(path), stamp(path)), wide=True)  # fmt: skip
    st.dataframe(table, hide_index=True)


def _costs(number: int, name: str, folder: str) -> None:
    """Draw what the methods of a run cost, and what the run says its model saved."""
    try:
        run = cached.run(folder, stamp(Path(folder)))
    except InputError as error:
        complain(error, "A run cannot be read.")
        return
    scores = run.tables.scores
    costs = scores[(scores.metric == "cost") & scores.value.notna()].sort_values("value")
    for note in run.facts.get("notes", []):
        if "FLOPs" in str(note):
            st.html(html.note(f"{name}: {note}."))
    if costs.empty:
        return
    says = f"{name}: median milliseconds an example that each method took to compute its scores."
    key, hover = (folder, stamp(Path(folder))), Hover(lambda theme: [charts.dots(costs, COST, theme)])
    show_figure(f"cost-{number}", says, costs, partial(cost_figure, costs), key, hover=hover)


def cost_figure(costs: pd.DataFrame) -> Figure:
    """Return a mark a method, the cheapest on top, on a logarithmic axis."""
    figure, (axes,) = new_figure(1, width=7.2, height=0.9 + 0.24 * len(costs))
    looks, shown = look(costs.method), costs.value.clip(lower=LEAST_MS)
    for place, (method, ms) in enumerate(zip(costs.method, shown, strict=True)):
        colour, marker = looks[method]
        axes.plot([ms], [place], marker=marker, color=colour, linestyle="none", markersize=7)
    axes.set_yticks(range(len(costs)), costs.method, parse_math=False)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:g}"))
    axes.set_xlabel(f"{in_words('cost', 'lower')}; n = {int(costs.n.max())}")
    axes.grid(visible=False, axis="y")
    return figure

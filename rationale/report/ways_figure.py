"""Accuracy against milliseconds: a model beside what people deploy instead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from rationale.bench.ways_table import names_of
from rationale.report.plots import new_figure, shared_legend
from rationale.templates.palette import look

PANELS = {
    "p50_ms": "one at a time: ms a window (median), lower is better",
    "batched_ms": "in batches: ms a window, lower is better",
}


def ways_figure(table: pd.DataFrame) -> Figure:
    """Return accuracy against time, alone and in batches; without labels, the share of same classes."""
    figure, axes = new_figure(2, width=4.8)
    for ax, (column, label) in zip(axes, PANELS.items(), strict=True):
        _points(ax, table, column)
        ax.set_xlabel(label)
    windows = int(table.windows.max())
    known = f", {int(table.n.max())} texts" if "n" in table else ""
    axes[0].set_title(f"{windows} windows{known}; filled: ours", fontsize=9)
    shared_legend(figure)
    return figure


def _points(axes: Axes, table: pd.DataFrame, column: str) -> None:
    """Draw a mark for each way, filled for ours, with its interval; the frontier is joined."""
    known = "accuracy" in table
    y = "accuracy" if known else "agreement"
    names = names_of(table)
    looks = look(names)
    for name, (_, row) in zip(names, table.iterrows(), strict=True):
        colour, marker = looks[name]
        ends = [[row[y] - row[f"{y}_low"]], [row[f"{y}_high"] - row[y]]] if known else None
        style: Any = {"color": colour, "marker": marker, "markersize": 6, "elinewidth": 0.6, "capsize": 2}
        style |= {"linestyle": "none", "markerfacecolor": colour if row["ours"] else "white"}
        axes.errorbar(
            row[column], row[y], yerr=None if ends is None else np.clip(ends, 0, None), label=name, **style
        )
    best = frontier_of(table[column].to_numpy(), table[y].to_numpy())
    axes.plot(
        table[column].to_numpy()[best], table[y].to_numpy()[best], color="#999999", linewidth=1, zorder=0
    )
    axes.set_xscale("log")
    for ticks in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        ticks(FuncFormatter(lambda ms, _: f"{ms:g}" if f"{ms:g}".strip("0.")[:1] in "1235" else ""))
    axes.set_ylabel(
        "accuracy, higher is better" if known else "same class as Hugging Face in float32, higher is better"
    )


def frontier_of(cost: np.ndarray[Any, Any], worth: np.ndarray[Any, Any]) -> list[int]:
    """Return the indices, cheapest first, of points that are better than all that are cheaper.

    >>> frontier_of(np.array([3.0, 1.0, 2.0, 4.0]), np.array([0.9, 0.7, 0.7, 0.8]))
    [1, 0]
    """
    best: list[int] = []
    for i in np.lexsort((-worth, cost)):
        if not best or worth[i] > worth[best[-1]]:
            best.append(int(i))
    return best

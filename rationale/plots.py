"""Figures: functions that draw results on the Axes they are given and return them."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rationale.results import NO_BUDGET

# Okabe and Ito's colours and two of Tol's, told apart by colour-blind readers; markers tell in grey
COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#999999",
    "#882255",
    "#44AA99",
)
MARKERS = "osD^vP*Xph"
ARROWS = {"higher": "↑", "lower": "↓", "": ""}  # which way is better
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "rationale",
}


def new_figure(columns: int = 1, width: float = 4.2, height: float = 3.2) -> tuple[Figure, list[Axes]]:
    """Return a figure of `columns` axes side by side, not tied to any window or notebook."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width * columns, height), layout="constrained")
        axes = [figure.add_subplot(1, columns, i + 1) for i in range(columns)]
    return figure, axes


def png(figure: Figure) -> bytes:
    """Return the figure as PNG."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def _look(methods: list[str]) -> dict[str, tuple[str, str]]:
    return {m: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, m in enumerate(methods)}


def intervals(axes: Axes, scores: pd.DataFrame, metric: str, budget: str) -> Axes:
    """Draw one metric: a dot a method with its 95 % interval, best on top, dashed line at random."""
    rows = scores[(scores.metric == metric) & (scores.budget == budget)]
    lower = bool((rows.better == "lower").any())
    rows = rows.sort_values("value", ascending=not lower)
    y = np.arange(len(rows))
    spread = np.clip(np.stack([rows.value - rows.low, rows.high - rows.value]), 0, None)
    axes.errorbar(rows.value, y, xerr=spread, fmt="o", color=COLOURS[0], capsize=3)
    axes.set_yticks(y, rows.method)
    floor = rows[rows.method == "random"].value
    if len(floor):
        axes.axvline(float(floor.iloc[0]), color="#666666", linestyle="--", linewidth=1)
    at = "" if budget == NO_BUDGET else f"budget {budget}, "
    axes.set_xlabel(f"{metric} {ARROWS['lower' if lower else 'higher']}")
    axes.set_title(f"{at}n = {int(rows.n.max()) if len(rows) else 0}", fontsize=9)
    return axes


def scatter(axes: Axes, scores: pd.DataFrame, x: tuple[str, str], y: tuple[str, str]) -> Axes:
    """Draw one metric against another, each (metric, budget), with intervals; one mark a method."""
    sides = [scores[(scores.metric == m) & (scores.budget == b)].set_index("method") for m, b in (x, y)]
    methods = [m for m in sides[0].index if m in sides[1].index]
    for method, (colour, marker) in _look(methods).items():
        one, other = sides[0].loc[method], sides[1].loc[method]
        error = [
            None if np.isnan(s.low) else np.clip([[s.value - s.low], [s.high - s.value]], 0, None)
            for s in (one, other)
        ]
        axes.errorbar(
            one.value,
            other.value,
            xerr=error[0],
            yerr=error[1],
            fmt=marker,
            color=colour,
            label=method,
            capsize=2,
        )
    for side, name, label in ((sides[0], x, axes.set_xlabel), (sides[1], y, axes.set_ylabel)):
        direction = side.better.iloc[0] if len(side) else ""
        label(f"{name[0]} {ARROWS[direction]}")
    if x[0] == "cost":
        axes.set_xscale("symlog", linthresh=0.1)
        axes.set_xlabel("cost (ms per example, median)")
    axes.legend(fontsize=7, frameon=False)
    return axes


def ablation_curves(axes: Axes, curves: pd.DataFrame, side: str) -> Axes:
    """Draw the mean drop of the predicted class's probability against the share of words.

    Args:
        axes: where to draw.
        curves: columns method, fraction, without, only (drops).
        side: `without` (comprehensiveness) or `only` (sufficiency).
    """
    look = _look(list(dict.fromkeys(curves.method)))
    for method, (colour, marker) in look.items():
        rows = curves[curves.method == method]
        axes.plot(rows.fraction * 100, rows[side], marker=marker, color=colour, label=method, markersize=4)
    axes.set_xlabel("share of the words (%)")
    name = "comprehensiveness ↑" if side == "without" else "sufficiency ↓"
    axes.set_ylabel(name)
    axes.set_xscale("log")
    ticks = sorted({float(f) * 100 for f in curves.fraction})
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.legend(fontsize=7, frameon=False)
    return axes


def frontier(axes: Axes, table: pd.DataFrame, metric: str, label: str) -> Axes:
    """Draw a metric against the times fewer operations, with its interval where the table has one."""
    rows = table.sort_values("speedup")
    spread = None
    if f"{metric}_low" in rows:
        ends = [rows[metric] - rows[f"{metric}_low"], rows[f"{metric}_high"] - rows[metric]]
        spread = np.clip(np.stack(ends), 0, None)
    axes.errorbar(
        rows.speedup, rows[metric], yerr=spread, fmt="o-", color=COLOURS[0], capsize=2, markersize=4
    )
    axes.set_xlabel("times fewer operations than dense")
    axes.set_ylabel(label)
    return axes


def kept_tokens(axes: Axes, table: pd.DataFrame, names: list[str]) -> Axes:
    """Draw the mean number of tokens in each layer, a line for each row of the table."""
    layers = [c for c in table.columns if c.startswith("layer_")]
    for i, (name, (_, row)) in enumerate(zip(names, table.iterrows(), strict=True)):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        axes.plot(range(len(layers)), row[layers].astype(float), color=colour, marker=marker, label=name)
    axes.set_xlabel("layer")
    axes.set_xticks(range(len(layers)))
    axes.set_ylabel("tokens worked on (mean)")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7, frameon=False)
    return axes


def dial_figure(table: pd.DataFrame) -> Figure:
    """Return accuracy, token F1 and false-positive rate against speed, and tokens in each layer."""
    figure, axes = new_figure(4, width=3.4)
    for ax, metric, arrow in zip(axes, ("accuracy", "token_f1", "false_positive_rate"), "↑↑↓", strict=False):
        frontier(ax, table, metric, f"{metric} {arrow}")
        n = int(table[f"{metric}_n"].max())
        ax.set_title(f"n = {n}", fontsize=9)
    kept_tokens(
        axes[3], table, [f"dial {d:g} ({s:.1f}x)" for d, s in zip(table.dial, table.speedup, strict=True)]
    )
    return figure


def tune_figure(table: pd.DataFrame) -> Figure:
    """Return val accuracy against speed of every epoch, the frontier joined, and its tokens in each layer."""
    figure, axes = new_figure(2, width=4.6)
    axes[0].plot(table.speedup, table.val_accuracy, ".", color="#999999", label="every epoch")
    best = table[table.frontier].sort_values("speedup")
    frontier(axes[0], best, "val_accuracy", "val accuracy ↑")
    axes[0].legend(fontsize=7, frameon=False)
    kept_tokens(axes[1], best, [f"{r} ({s:.1f}x)" for r, s in zip(best.run, best.speedup, strict=True)])
    return figure


FigureMaker = Callable[[pd.DataFrame, pd.DataFrame, str], Figure]


def agreement_figure(scores: pd.DataFrame, curves: pd.DataFrame, budget: str) -> Figure:
    """Return agreement with people: token F1, false-positive rate, average precision."""
    figure, axes = new_figure(3, width=3.6)
    wanted = (("token_f1", budget), ("false_positive_rate", budget), ("average_precision", NO_BUDGET))
    for ax, (metric, at) in zip(axes, wanted, strict=True):
        intervals(ax, scores, metric, at)
    return figure


def faithfulness_figure(scores: pd.DataFrame, curves: pd.DataFrame, budget: str) -> Figure:
    """Return comprehensiveness and sufficiency over the shares of words."""
    figure, axes = new_figure(2, width=4.6)
    ablation_curves(axes[0], curves, "without")
    ablation_curves(axes[1], curves, "only")
    return figure


def tradeoff_figure(scores: pd.DataFrame, curves: pd.DataFrame, budget: str) -> Figure:
    """Return agreement against faithfulness, and against cost."""
    figure, axes = new_figure(2, width=4.6)
    scatter(axes[0], scores, ("average_precision", NO_BUDGET), ("aopc_comprehensiveness", NO_BUDGET))
    scatter(axes[1], scores, ("cost", NO_BUDGET), ("average_precision", NO_BUDGET))
    return figure


FIGURES: dict[str, FigureMaker] = {
    "agreement": agreement_figure,
    "faithfulness": faithfulness_figure,
    "tradeoff": tradeoff_figure,
}

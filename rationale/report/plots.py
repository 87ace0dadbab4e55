"""Figures: functions that draw results on the Axes they are given and return them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import FuncFormatter

from rationale.evaluation.per_example import NO_BUDGET, SURVIVORS
from rationale.templates.names import in_words, metric_name
from rationale.templates.palette import COLOURS, HATCHES, MARKERS, look

LEAST_MS = 1e-3  # what a cost of nothing is drawn at, on a logarithmic axis
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


def shared_legend(figure: Figure) -> None:
    """Name the lines of the first axes once, beside all axes."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    style: Any = {"fontsize": 7, "frameon": False, "labelspacing": 0.3}
    _as_they_are(figure.legend(handles, labels, loc="outside right center", **style))


def name_lines(axes: Axes) -> None:
    """Name the lines of axes inside them."""
    _as_they_are(axes.legend(fontsize=7, frameon=False))


def _as_they_are(legend: Legend) -> None:
    """Let names stand as they are: a dollar sign in one begins no formula."""
    for text in legend.get_texts():
        text.set_parse_math(False)


def intervals(axes: Axes, scores: pd.DataFrame, metric: str, budget: str) -> Axes:
    """Draw one metric: a dot a method with its 95 % interval, best on top, dashed line at random."""
    rows = scores[(scores.metric == metric) & (scores.budget == budget)]
    lower = bool((rows.better == "lower").any())
    rows = rows.sort_values("value", ascending=not lower, na_position="first")
    y, looks = np.arange(len(rows)), look(rows.method)
    spread = np.clip(np.stack([rows.value - rows.low, rows.high - rows.value]), 0, None)
    for place, (colour, marker) in enumerate(looks[m] for m in rows.method):
        ends = spread[:, place : place + 1]
        axes.errorbar([rows.value.iloc[place]], [place], xerr=ends, fmt=marker, color=colour, capsize=3)
    axes.set_yticks(y, rows.method, parse_math=False)
    floor = rows[rows.method == "random"].value
    if len(floor):
        axes.axvline(float(floor.iloc[0]), color="#666666", linestyle="--", linewidth=1)
    at = "" if budget == NO_BUDGET else f"budget {budget}, "
    axes.set_xlabel(in_words(metric, "lower" if lower else "higher"))
    axes.set_title(f"{at}n = {int(rows.n.max()) if len(rows) else 0}", fontsize=9, parse_math=False)
    return axes


def scatter(axes: Axes, scores: pd.DataFrame, x: tuple[str, str], y: tuple[str, str]) -> Axes:
    """Draw one metric against another, each (metric, budget), with intervals; one mark a method.

    `label_marks` writes the names.
    """
    sides = [scores[(scores.metric == m) & (scores.budget == b)].set_index("method") for m, b in (x, y)]
    known = [side[side.value.notna()] for side in sides]
    looks = look(sides[0].index)
    for method in (m for m in known[0].index if m in known[1].index):
        colour, marker = looks[method]
        one, other = known[0].loc[method], known[1].loc[method]
        spread = [
            None if np.isnan(s.low) else np.clip([[s.value - s.low], [s.high - s.value]], 0, None)
            for s in (one, other)
        ]
        at = max(one.value, LEAST_MS) if x[0] == "cost" else one.value
        style: Any = {"fmt": marker, "color": colour, "capsize": 2, "markersize": 5, "elinewidth": 1}
        axes.errorbar(at, other.value, xerr=spread[0], yerr=spread[1], label=method, **style)
    for side, name, label in ((sides[0], x, axes.set_xlabel), (sides[1], y, axes.set_ylabel)):
        if len(side):
            label(f"{in_words(name[0], side.better.iloc[0])}; n = {int(side.n.max())}")
    if x[0] == "cost":
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:g}"))
        axes.set_xlabel(in_words("cost", "lower"))
    axes.margins(x=0.18, y=0.12)  # room for names
    return axes


def ablation_curves(axes: Axes, curves: pd.DataFrame, side: str, unit: str = "words") -> Axes:
    """Draw the mean drop of what the model answers against the share of words, or of sentences.

    Args:
        axes: where to draw.
        curves: columns method, fraction, without, only (drops).
        side: `without` (comprehensiveness) or `only` (sufficiency).
        unit: what shares count.
    """
    looks = look(curves.method)
    for method in dict.fromkeys(curves.method):
        colour, marker = looks[method]
        rows = curves[curves.method == method]
        axes.plot(rows.fraction * 100, rows[side], marker=marker, color=colour, label=method, markersize=4)
    axes.set_xlabel(f"share of the {unit} (%)")
    axes.set_ylabel(in_words("comprehensiveness" if side == "without" else "sufficiency"))
    axes.set_xscale("log")
    ticks = sorted({float(f) * 100 for f in curves.fraction})
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    return axes


def heat_map(axes: Axes, agreement: pd.DataFrame) -> Axes:
    """Draw the mean τ-b of every two methods, the number in its cell."""
    methods = list(dict.fromkeys([*agreement.method, *agreement.other]))
    values = np.full((len(methods), len(methods)), np.nan)
    for one, other, tau in zip(agreement.method, agreement.other, agreement.tau, strict=True):
        i, j = methods.index(one), methods.index(other)
        values[i, j] = values[j, i] = tau
    axes.imshow(values, cmap="PuOr", vmin=-1, vmax=1)  # NaN stays white
    for (i, j), tau in np.ndenumerate(values):
        if i != j:
            text = "–" if np.isnan(tau) else f"{round(tau, 2) + 0.0:.2f}"
            axes.text(j, i, text, ha="center", va="center", fontsize=7, color="w" if abs(tau) > 0.6 else "k")
    places = range(len(methods))
    axes.set_xticks(places, methods, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(places, methods, parse_math=False)
    axes.grid(visible=False)
    least, most = int(agreement.n.min()), int(agreement.n.max())
    n = f"{most}" if least == most else f"{least} to {most}"
    axes.set_title(f"mean Kendall's τ-b, n = {n}", fontsize=9)
    return axes


def layer_curves(axes: Axes, layers: pd.DataFrame, metric: str) -> Axes:
    """Draw a metric of the words that reached each layer, and of the same number of every other method's.

    The band is the 95 % interval of the survivors.
    """
    rows = layers[layers.metric == metric]
    looks = look(rows.method)
    for method in dict.fromkeys(rows.method):
        of_method, (colour, marker) = rows[rows.method == method], looks[method]
        own = method == SURVIVORS
        style: Any = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 2.5 if own else 1.2}
        axes.plot(of_method.layer, of_method.value, label=method, zorder=3 if own else 2, **style)
        if own:
            axes.fill_between(of_method.layer, of_method.low, of_method.high, color=colour, alpha=0.2)
    shares = rows.drop_duplicates("layer").set_index("layer").words
    axes.set_xticks(list(shares.index), [f"{layer}\n{share:.0%}" for layer, share in shares.items()])
    axes.set_xlabel("layer, and the share of the words that reached it")
    axes.set_ylabel(in_words(metric))
    axes.set_title(f"n = {int(rows.n.max())}", fontsize=9)
    return axes


def frontier(axes: Axes, table: pd.DataFrame, metric: str, label: str) -> Axes:
    """Draw a metric against the FLOPs speed-up, with its interval where the table has one."""
    rows = table.sort_values("speedup")
    spread = None
    if f"{metric}_low" in rows:
        ends = [rows[metric] - rows[f"{metric}_low"], rows[f"{metric}_high"] - rows[metric]]
        spread = np.clip(np.stack(ends), 0, None)
    axes.errorbar(
        rows.speedup, rows[metric], yerr=spread, fmt="o-", color=COLOURS[0], capsize=2, markersize=4
    )
    axes.set_xlabel("FLOPs speed-up over dense (×)")
    axes.set_ylabel(label)
    return axes


def speed_lines(axes: Axes, table: pd.DataFrame, x: str, label: str) -> Axes:
    """Draw accuracy, with its interval, against a column of speed-ups, a line for each model."""
    for name, (colour, marker) in look(table.model).items():
        rows = table[table.model == name].sort_values(x)
        ends = [rows.accuracy - rows.accuracy_low, rows.accuracy_high - rows.accuracy]
        axes.errorbar(
            rows[x],
            rows.accuracy,
            yerr=np.clip(np.stack(ends), 0, None),
            fmt=f"{marker}-",
            color=colour,
            capsize=2,
            markersize=4,
            label=name,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda v, _: f"{v:g}" if f"{v:g}"[0] in "235" else ""))
    axes.set_xlabel(label)
    axes.set_ylabel("accuracy, higher is better")
    return axes


def speed_figure(table: pd.DataFrame) -> Figure:
    """Return accuracy against FLOPs speed-up and against measured speed-up."""
    figure, axes = new_figure(2, width=4.8)
    speed_lines(axes[0], table, "flops", "FLOPs speed-up over dense (×)")
    speed_lines(axes[1], table, "wall", "times faster than dense (measured)")
    axes[0].set_title(f"n = {int(table.n.max())}", fontsize=9)
    shared_legend(figure)
    return figure


def exit_figure(table: pd.DataFrame) -> Figure:
    """Return accuracy, with its interval, against the share of the dense FLOPs, steps for each exit rule."""
    figure, axes = new_figure(1, width=5.6)
    for rule, (colour, marker) in look(table.rule).items():
        rows = table[table.rule == rule].drop_duplicates(["dials", "models"]).sort_values("share")
        axes[0].plot(rows.share, rows.accuracy, f"{marker}-", color=colour, markersize=4, label=rule)
        axes[0].fill_between(
            rows.share, rows.accuracy_low, rows.accuracy_high, color=colour, alpha=0.08, linewidth=0
        )
    axes[0].set_xlim(0, 1.02)
    axes[0].set_xlabel("FLOPs, as a share of the dense model's, lower is better")
    axes[0].set_ylabel("accuracy, higher is better")
    axes[0].set_title(f"n = {int(table.n.max())}", fontsize=9)
    shared_legend(figure)
    return figure


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
    name_lines(axes)
    return axes


def groups(axes: Axes, table: pd.DataFrame) -> Axes:
    """Draw metrics of groups of examples, each group a mark with its 95 % interval, n in the legend.

    Args:
        axes: where to draw.
        table: columns group, metric, value, low, high, n.
    """
    metrics, names = list(dict.fromkeys(table.metric)), list(dict.fromkeys(table.group))
    for i, name in enumerate(names):
        rows = table[table.group == name]
        y = np.array([metrics.index(m) for m in rows.metric]) + 0.24 * (i - (len(names) - 1) / 2)
        spread = np.clip(np.stack([rows.value - rows.low, rows.high - rows.value]), 0, None)
        least, most = int(rows.n.min()), int(rows.n.max())
        n = f"{most}" if least == most else f"{least} to {most}"
        style: Any = {"fmt": MARKERS[i % len(MARKERS)], "color": COLOURS[i % len(COLOURS)], "capsize": 3}
        axes.errorbar(rows.value, y, xerr=spread, label=f"{name}, n = {n}", markersize=5, **style)
    axes.set_yticks(range(len(metrics)), [metric_name(m) for m in metrics], parse_math=False)
    axes.invert_yaxis()
    name_lines(axes)
    return axes


def layer_parts(axes: Axes, table: pd.DataFrame) -> Axes:
    """Draw each layer's FLOPs, by what they are for, beside the dense model's.

    `shared_legend` names the parts.

    Args:
        axes: where to draw.
        table: columns `layer`, `dense`, and one for each part, in GFLOPs a window.
    """
    parts = [name for name in table.columns if name not in ("layer", "dense")]
    axes.bar(table.layer - 0.2, table.dense, 0.38, color="#dddddd", edgecolor="#666666", label="dense")
    below = np.zeros(len(table))
    for name, colour, hatch in zip(parts, COLOURS, HATCHES, strict=False):
        style: Any = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
        axes.bar(table.layer + 0.2, table[name], 0.38, bottom=below, label=name, **style)
        below = below + table[name].to_numpy()
    axes.set_xticks(list(table.layer))
    axes.set_xlabel("layer")
    axes.set_ylabel("GFLOPs a window (mean), lower is better")
    return axes


def dial_figure(table: pd.DataFrame) -> Figure:
    """Return accuracy, token F1 and false-positive rate against speed, and tokens in each layer."""
    figure, axes = new_figure(4, width=3.4)
    for ax, metric in zip(axes, ("accuracy", "token_f1", "false_positive_rate"), strict=False):
        frontier(ax, table, metric, in_words(metric))
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
    frontier(axes[0], best, "val_accuracy", "val accuracy, higher is better")
    name_lines(axes[0])
    kept_tokens(axes[1], best, [f"{r} ({s:.1f}x)" for r, s in zip(best.run, best.speedup, strict=True)])
    return figure

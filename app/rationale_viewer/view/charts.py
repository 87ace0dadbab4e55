"""Charts whose marks tell their numbers when pointed at, in the palette's colours.

The same figures as files come from `rationale.report.figures`; these are what the page shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Any

import altair as alt
import pandas as pd

from rationale.report.plots import LEAST_MS
from rationale.templates.names import in_words, metric_name
from rationale.templates.palette import INK, PAPER, contrast, look

Place = tuple[str, str]  # metric and budget
LEGIBLE = 1.8  # contrast of a mark with the paper
NUMBER = ".3f"
SIZE = 90  # of a mark, square pixels
PLOT, ENTRY, COLUMNS = 330, 26, 2  # heights of a chart and of a line of its legend, pixels; its columns
LEGEND = alt.Legend(title=None, columns=COLUMNS, symbolLimit=0, labelLimit=0, orient="bottom")
SHAPES = {  # the palette's markers, as Vega draws them
    "o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down", "P": "cross",
    "*": "M0,-1L.22,-.31L.95,-.31L.36,.12L.59,.81L0,.38L-.59,.81L-.36,.12L-.95,-.31L-.22,-.31Z",
    "X": "M-1,-.5L-.5,-1L0,-.5L.5,-1L1,-.5L.5,0L1,.5L.5,1L0,.5L-.5,1L-1,.5L-.5,0Z",
    "p": "M0,-1L.95,-.31L.59,.81L-.59,.81L-.95,-.31Z",
    "h": "M0,-1L.87,-.5L.87,.5L0,1L-.87,.5L-.87,-.5Z",
}  # fmt: skip


def points(scores: pd.DataFrame, x: Place, y: Place, theme: str) -> Any:
    """Return one metric against another, each (metric, budget), with intervals; one mark a method."""
    table = _joined(scores, x, y)
    cost = x[0] == "cost"
    scale = alt.Scale(type="log") if cost else alt.Scale(zero=False)
    ticks = alt.Axis(tickCount=5, format="~g") if cost else alt.Axis()
    across = alt.X("x:Q", title=_axis(scores, x), scale=scale, axis=ticks)
    up = alt.Y("y:Q", title=_lines(_axis(scores, y)), scale=alt.Scale(zero=False))
    told = [
        alt.Tooltip("method:N"),
        alt.Tooltip("x:Q", title=metric_name(x[0]), format=".1f" if cost else NUMBER),
        alt.Tooltip("x_interval:N", title="its interval"),
        alt.Tooltip("y:Q", title=metric_name(y[0]), format=NUMBER),
        alt.Tooltip("y_interval:N", title="its interval"),
        alt.Tooltip("n:Q"),
    ]
    base = alt.Chart(table).encode(color=_colour(table.method, theme))
    bars = base.mark_rule(opacity=0.7).encode(x=across, y=alt.Y("y_low:Q"), y2="y_high:Q", tooltip=told)
    layers = [
        bars,
        base.mark_point(filled=True, size=SIZE, opacity=1).encode(
            x=across, y=up, shape=_shape(table.method), tooltip=told
        ),
    ]
    if not cost:
        layers.insert(
            0, base.mark_rule(opacity=0.7).encode(x=alt.X("x_low:Q"), x2="x_high:Q", y=up, tooltip=told)
        )
    return alt.layer(*layers).properties(height=_height(table.method))


def lines(table: pd.DataFrame, x: tuple[str, str], y: tuple[str, str], theme: str) -> Any:
    """Return a column over another, each (column, title), a line for each method."""
    (across, title_x), (up, title_y) = x, y
    told = [
        alt.Tooltip("method:N"),
        alt.Tooltip(f"{across}:Q", title=title_x),
        alt.Tooltip(f"{up}:Q", title=title_y, format=NUMBER),
        alt.Tooltip("n:Q"),
    ]
    return (
        alt.Chart(table)
        .mark_line(point=alt.OverlayMarkDef(size=SIZE // 2))
        .encode(
            x=alt.X(f"{across}:Q", title=title_x),
            y=alt.Y(f"{up}:Q", title=_lines(title_y), scale=alt.Scale(zero=False)),
            color=_colour(table.method, theme),
            tooltip=told,
        )
        .properties(height=_height(table.method))
    )


def _height(methods: Iterable[str]) -> int:
    """Return the height of a chart and its legend."""
    return PLOT + ENTRY * ceil(len(set(methods)) / COLUMNS)


def _joined(scores: pd.DataFrame, x: Place, y: Place) -> pd.DataFrame:
    """Return a row for each method that has both metrics: x, y, their intervals as ends and as text."""
    sides = []
    for name, (metric, budget) in (("x", x), ("y", y)):
        rows = scores[(scores.metric == metric) & (scores.budget == budget) & scores.value.notna()]
        side = rows.set_index("method")[["value", "low", "high", "n"]]
        side.columns = pd.Index([name, f"{name}_low", f"{name}_high", f"{name}_n"])
        side[f"{name}_interval"] = [
            "–" if pd.isna(low) else f"[{low:.3f}, {high:.3f}]"
            for low, high in zip(side[f"{name}_low"], side[f"{name}_high"], strict=True)
        ]
        sides.append(side)
    table = sides[0].join(sides[1], how="inner").reset_index()
    if x[0] == "cost":
        table["x"] = table["x"].clip(lower=LEAST_MS)  # nothing has no place on a logarithmic axis
    return table.assign(n=table[["x_n", "y_n"]].min(axis=1))


def _lines(title: str) -> list[str]:
    """Return a title in lines, so that it is not cut off beside a low chart.

    >>> _lines("comprehensiveness (AOPC), higher is better")
    ['comprehensiveness (AOPC),', 'higher is better']
    """
    name, comma, way = title.partition(", ")
    return [f"{name},", way] if comma else [name]


def _axis(scores: pd.DataFrame, place: Place) -> str:
    better = scores.better[(scores.metric == place[0]) & (scores.budget == place[1])]
    return in_words(place[0], str(better.iloc[0]) if len(better) else None)


def _shape(methods: Iterable[str]) -> alt.Shape:
    """Return each method's marker: what tells in grey."""
    looks = look(methods)
    names = list(dict.fromkeys(methods))
    shapes = [SHAPES[looks[name][1]] for name in names]
    return alt.Shape("method:N", scale=alt.Scale(domain=names, range=shapes), legend=LEGEND)


def _colour(methods: Iterable[str], theme: str) -> alt.Color:
    """Return each method's colour; one that would vanish on dark paper becomes ink."""
    looks = look(methods)
    names = list(dict.fromkeys(methods))
    paper, ink = getattr(PAPER, theme), getattr(INK, theme)
    colours = [c if contrast(c, paper) >= LEGIBLE else ink for c in (looks[name][0] for name in names)]
    return alt.Color(
        "method:N",
        scale=alt.Scale(domain=names, range=colours),
        legend=LEGEND,
    )

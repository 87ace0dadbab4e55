"""Charts whose marks tell their numbers when pointed at, in the palette's colours and markers.

The same figures as files come from `rationale.report.figures`; these are what the page shows. Which mark is
whose stands below, in a legend of the page's own: it takes the width that there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import cos, pi, sin
from typing import Any

import altair as alt
import pandas as pd
from markupsafe import Markup

from rationale.report.plots import LEAST_MS
from rationale.templates.names import in_words, metric_name
from rationale.templates.palette import FOR, INK, LINE, PAPER, UNSIGNED, contrast, look, mix
from rationale_viewer.view import html

Place = tuple[str, str]  # metric and budget
NEVER, LEGIBLE = 1.8, 3.0  # contrast of a mark with the paper: below the first it becomes ink, else lighter
NUMBER = ".3f"
SIZE, HEIGHT = 90, 340  # of a mark, square pixels; of a chart, pixels
ROW, CELL = 26, 34  # heights of a method's line, width of a cell of the heat map, pixels
SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)  # of the words: what an axis of shares is marked at
_CROSS = (
    (-0.35, -1), (0.35, -1), (0.35, -0.35), (1, -0.35), (1, 0.35), (0.35, 0.35),
    (0.35, 1), (-0.35, 1), (-0.35, 0.35), (-1, 0.35), (-1, -0.35), (-0.35, -0.35),
)  # fmt: skip
Point = tuple[float, float]


def _around(n: int, *radii: float) -> tuple[Point, ...]:
    """Return n corners around the middle, the first on top, at these radii in turn."""
    turns = [(2 * pi * i / n, radii[i % len(radii)]) for i in range(n)]
    return tuple((r * sin(turn), -r * cos(turn)) for turn, r in turns)


CORNERS: dict[str, Sequence[Point]] = {  # of the palette's markers, in a square from -1 to 1
    "o": _around(24, 0.9),
    "s": ((-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)),
    "D": _around(4, 1),
    "^": ((0, -0.9), (1, 0.8), (-1, 0.8)),
    "v": ((0, 0.9), (1, -0.8), (-1, -0.8)),
    "P": _CROSS,
    "*": _around(10, 1, 0.38),
    "X": tuple(((x - y) * 0.75, (x + y) * 0.75) for x, y in _CROSS),
    "p": _around(5, 1),
    "h": _around(6, 1),
}


def _path(marker: str) -> str:
    """Return a marker as Vega draws it."""
    return f"M{'L'.join(f'{x:.2f},{y:.2f}' for x, y in CORNERS[marker])}Z"


def legend(methods: Iterable[str], theme: str) -> Markup:
    """Return which mark is whose."""
    looks = look(methods)
    marks = {
        marker: ",".join(f"{50 + 50 * x:.0f}% {50 + 50 * y:.0f}%" for x, y in corners)
        for marker, corners in CORNERS.items()
    }
    one = Markup('<i class="mark" style="background:{};clip-path:polygon({})"></i> {}')
    each = (one.format(colour, marks[looks[n][1]], n) for n, colour in _colours(methods, theme).items())
    return html.legend(each)


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
        *([] if cost else [_interval("x", x)]),
        alt.Tooltip("y:Q", title=metric_name(y[0]), format=NUMBER),
        _interval("y", y),
        alt.Tooltip("n:Q"),
    ]
    base = alt.Chart(table).encode(color=_colour(table.method, theme))
    bar = base.mark_rule(opacity=0.7)
    layers = [
        bar.encode(x=across, y=alt.Y("y_low:Q"), y2="y_high:Q", tooltip=told),
        base.mark_point(filled=True, size=SIZE, opacity=1).encode(
            x=across, y=up, shape=_shape(table.method), tooltip=told
        ),
    ]
    if not cost:
        layers.insert(0, bar.encode(x=alt.X("x_low:Q"), x2="x_high:Q", y=up, tooltip=told))
    return alt.layer(*layers).properties(height=HEIGHT)


def _interval(side: str, place: Place) -> Any:
    """Return the tooltip of an interval: of two with the same title only one would be shown."""
    return alt.Tooltip(f"{side}_interval:N", title=f"{metric_name(place[0])}, 95 %")


def lines(
    table: pd.DataFrame, x: tuple[str, str], y: tuple[str, str], theme: str, band: str | None = None
) -> Any:
    """Return a column over another, each (column, title), a line for each method.

    `band` names the method whose interval is drawn, where the table has intervals.
    """
    (across, title_x), (up, title_y) = x, y
    shares = across == "fraction"
    told = [
        alt.Tooltip("method:N"),
        alt.Tooltip(f"{across}:Q", title=title_x, format=".0%" if shares else "d"),
        alt.Tooltip(f"{up}:Q", title=title_y, format=NUMBER),
        *(alt.Tooltip(f"{end}:Q", format=NUMBER) for end in ("low", "high") if end in table),
        alt.Tooltip("n:Q"),
    ]
    values = [s for s in SHARES if s in set(table[across])] if shares else sorted(set(table[across]))
    base = alt.Chart(table).encode(
        x=alt.X(
            f"{across}:Q",
            title=title_x,
            scale=alt.Scale(type="log") if shares else alt.Scale(zero=False),
            axis=alt.Axis(values=values, format=".0%" if shares else "d", labelFlush=False),
        ),
        y=alt.Y(f"{up}:Q", title=_lines(title_y), scale=alt.Scale(zero=False)),
        color=_colour(table.method, theme),
    )
    layers = [
        base.mark_line(),
        base.mark_point(filled=True, size=SIZE // 2, opacity=1).encode(
            shape=_shape(table.method), tooltip=told
        ),
    ]
    if band in set(table.method):
        area = base.transform_filter(alt.datum.method == band).mark_area(opacity=0.2, line=False)
        layers.insert(0, area.encode(y=alt.Y("low:Q"), y2="high:Q"))
    return alt.layer(*layers).properties(height=HEIGHT)


def dots(scores: pd.DataFrame, place: Place, theme: str) -> Any:
    """Return one metric, (metric, budget): a mark a method with its interval; a line at random."""
    metric, budget = place
    rows = scores[(scores.metric == metric) & (scores.budget == budget) & scores.value.notna()]
    cost = metric == "cost"
    rows = rows.sort_values("value", ascending=bool((rows.better == "lower").any()))
    rows = rows.assign(at=rows.value.clip(lower=LEAST_MS) if cost else rows.value)
    scale = alt.Scale(type="log") if cost else alt.Scale(zero=False)
    ticks = alt.Axis(tickCount=5, format="~g") if cost else alt.Axis(tickCount=4)
    told = [
        alt.Tooltip("method:N"),
        alt.Tooltip("value:Q", title=metric_name(metric), format=".1f" if cost else NUMBER),
        *(() if cost else (alt.Tooltip("low:Q", format=NUMBER), alt.Tooltip("high:Q", format=NUMBER))),
        alt.Tooltip("n:Q"),
    ]
    order = list(dict.fromkeys(rows.method))
    base = alt.Chart(rows).encode(
        x=alt.X("at:Q", title=_lines(_axis(scores, place)), scale=scale, axis=ticks),
        y=alt.Y("method:N", sort=order, title=None, axis=alt.Axis(labelLimit=0, grid=True)),
        color=_colour(order, theme),
        tooltip=told,
    )
    marks = base.mark_point(filled=True, size=SIZE, opacity=1).encode(shape=_shape(order))
    layers = [marks] if cost else [base.mark_rule(opacity=0.7).encode(x=alt.X("low:Q"), x2="high:Q"), marks]
    if not cost and len(rows[rows.method == "random"]):
        line = alt.Chart(rows[rows.method == "random"]).mark_rule(strokeDash=[4, 3], color=_theme(INK, theme))
        layers.insert(0, line.encode(x=alt.X("at:Q")))
    return alt.layer(*layers).properties(height=alt.Step(ROW))


def heat(agreement: pd.DataFrame, theme: str) -> Any:
    """Return the mean τ-b of every two methods, the number in its cell."""
    methods = list(dict.fromkeys([*agreement.method, *agreement.other]))
    turned = agreement.rename(columns={"method": "other", "other": "method"})
    both = pd.concat([agreement, turned], ignore_index=True)
    hues = [_theme(colour, theme) for colour in (FOR, PAPER, UNSIGNED)]
    names: Any = {"title": None, "labelLimit": 0, "labelOverlap": False}
    shades = alt.Scale(domain=[-1, 0, 1], range=hues, interpolate="rgb")
    base = alt.Chart(both).encode(
        x=alt.X(
            "other:N",
            sort=methods,
            axis=alt.Axis(**names, labelAngle=-45),
        ),
        y=alt.Y("method:N", sort=methods, axis=alt.Axis(**names)),
        tooltip=[
            alt.Tooltip("method:N"),
            alt.Tooltip("other:N"),
            *(alt.Tooltip(f"{column}:Q", format=NUMBER) for column in ("tau", "low", "high")),
            alt.Tooltip("n:Q"),
        ],
    )
    cells = base.mark_rect(stroke=_theme(LINE, theme), strokeWidth=0.5).encode(
        color=alt.Color("tau:Q", scale=shades, legend=None)
    )
    numbers = base.mark_text(fontSize=10, color=_theme(INK, theme)).encode(
        text=alt.Text("tau:Q", format=".2f")
    )
    return alt.layer(cells, numbers).properties(width=alt.Step(CELL), height=alt.Step(ROW))


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

    >>> _lines("AOPC comprehensiveness, higher is better")
    ['AOPC comprehensiveness,', 'higher is better']
    """
    name, comma, way = title.rpartition(", ")
    return [f"{name},", way] if comma else [way]


def _axis(scores: pd.DataFrame, place: Place) -> str:
    better = scores.better[(scores.metric == place[0]) & (scores.budget == place[1])]
    return in_words(place[0], str(better.iloc[0]) if len(better) else None)


def _theme(colour: Any, theme: str) -> str:
    of_theme: str = getattr(colour, theme)
    return of_theme


def _colours(methods: Iterable[str], theme: str) -> dict[str, str]:
    """Return each method's colour, on dark paper as light as it must be; black becomes ink there."""
    looks = look(methods)
    return {name: _legible(looks[name][0], theme) for name in dict.fromkeys(methods)}


def _legible(colour: str, theme: str) -> str:
    paper, ink = _theme(PAPER, theme), _theme(INK, theme)
    if theme == "light":
        return colour
    if contrast(colour, paper) < NEVER:
        return ink
    lighter = (mix(colour, ink, share / 10) for share in range(11))
    return next(one for one in lighter if contrast(one, paper) >= LEGIBLE)


def _shape(methods: Iterable[str]) -> Any:
    """Return each method's marker: what tells in grey."""
    looks, names = look(methods), list(dict.fromkeys(methods))
    return _scaled(alt.Shape, names, [_path(looks[name][1]) for name in names])


def _colour(methods: Iterable[str], theme: str) -> Any:
    found = _colours(methods, theme)
    return _scaled(alt.Color, list(found), list(found.values()))


def _scaled(channel: Any, names: Sequence[str], to: Sequence[str]) -> Any:
    return channel("method:N", scale=alt.Scale(domain=names, range=to), legend=None)

"""A figure on the page, in the page's colours, with its files: PNG, SVG and the numbers as CSV."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from threading import RLock
from typing import Any

import matplotlib as mpl
import pandas as pd
import streamlit as st
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.spines import Spine
from matplotlib.text import Text

from eraser.files.cells import as_csv
from rationale.report.plots import png
from rationale.templates.palette import INK, LINE, PAPER, contrast
from rationale_viewer.view import charts, html


@dataclass(frozen=True)
class Hover:
    """A figure as charts side by side whose marks tell their numbers.

    `draw` makes them for a theme; `methods` are named in a legend below them; `wide` charts keep their width.
    """

    draw: Callable[[str], Sequence[Any]]
    methods: tuple[str, ...] = ()
    wide: bool = False


DRAWING = RLock()  # matplotlib's settings are the process's
LEGIBLE = 3.0  # contrast of a line or mark with the paper


def repaint(figure: Figure, theme: str) -> Figure:
    """Turn a figure drawn on white into the theme's paper and ink; colours that would vanish become ink."""
    paper, ink, line = (getattr(c, theme) for c in (PAPER, INK, LINE))
    figure.set_facecolor(paper)
    for axes in figure.axes:
        axes.set_facecolor(paper)
        axes.tick_params(which="both", color=ink, labelcolor=ink, grid_color=line)
    for text in figure.findobj(Text):
        text.set_color(ink)
    for spine in figure.findobj(Spine):
        spine.set_edgecolor(line)
    for mark in figure.findobj(Line2D):
        colour = to_hex(mark.get_color())
        if colour in ("#000000", "#222222") and contrast(colour, paper) < LEGIBLE:
            mark.set_color(ink)
    return figure


def svg(figure: Figure) -> bytes:
    """Return the figure as SVG, its text as text."""
    buffer = BytesIO()
    with mpl.rc_context({"svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg")
    return buffer.getvalue()


@st.cache_data(max_entries=128, show_spinner="Drawing …")
def _drawn(key: tuple[object, ...], theme: str, _make: Callable[[], Figure]) -> tuple[bytes, bytes, bytes]:
    """Return (for the page, PNG, SVG); files are always on white."""
    with DRAWING:
        figure = _make()
        files = png(figure), svg(figure)
        shown = files[0] if theme == "light" else png(repaint(figure, theme))
    return shown, *files


def show_figure(  # noqa: PLR0913 (what a figure has)
    name: str,
    says: str,
    table: pd.DataFrame,
    make: Callable[[], Figure],
    key: tuple[object, ...],
    wide: bool = False,
    hover: Hover | None = None,
) -> None:
    """Draw a figure with what it says and its files.

    Args:
        name: of the files.
        says: the sentence below it, and its text for those who cannot see it.
        table: the numbers that it shows.
        make: draws it.
        key: what it depends on.
        wide: of several panels, which a narrow page lets the reader push sideways.
        hover: the same as charts whose marks tell their numbers; they stand on the page.
    """
    theme = "dark" if st.context.theme.type == "dark" else "light"
    shown, as_png, as_svg = _drawn((name, *key), theme, make)
    with st.container(key=f"{'wide' if wide else 'figure'}-{name}"):
        if hover is not None:
            _hovered(hover, theme)
        else:
            # inside the page: a file beside it is gone when the next run of the page comes before the browser
            st.html(html.picture(b64encode(shown).decode(), says))
    st.html(html.note(says))
    with st.container(horizontal=True):
        for kind, data in (("PNG", as_png), ("SVG", as_svg), ("CSV", as_csv(table))):
            st.download_button(
                kind, data, f"{name}.{kind.lower()}", key=f"{name}-{kind}", on_click="ignore",
                icon=":material/download:", type="tertiary",
            )  # fmt: skip


def _hovered(hover: Hover, theme: str) -> None:
    """Draw charts side by side, below each other on a phone, and whose marks they hold."""
    drawn = hover.draw(theme)
    places = st.columns(len(drawn), gap="medium") if len(drawn) > 1 else [st.container()]
    for place, chart in zip(places, drawn, strict=True):
        place.altair_chart(chart, width="content" if hover.wide else "stretch")
    if hover.methods:
        st.html(charts.legend(hover.methods, theme))


def offer(files: Mapping[str, tuple[Callable[[], str | bytes], str]], stem: str) -> None:
    """Offer files by name, each with what makes it when it is asked for, and its ending."""
    with st.popover("Export", icon=":material/download:"):
        for name, (make, ending) in files.items():
            st.download_button(
                name, make, f"{stem}.{ending}", key=f"file-{ending}", on_click="ignore", width="stretch"
            )


def say_left_out(lines: Sequence[str]) -> None:
    """Tell which methods do not fit the model, and why, a line each."""
    if not lines:
        return
    many = "methods do" if len(lines) > 1 else "method does"
    with st.expander(f"{len(lines)} {many} not fit this model", icon=":material/block:"):
        for line in lines:
            st.html(html.note(line))

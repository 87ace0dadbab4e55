"""Charts tell the numbers of their tables, in the palette's colours."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rationale_viewer.view import charts

from rationale.templates.palette import FOR, MARKERS, METHODS_IN_ORDER, PAPER, UNSIGNED, contrast, look

SCORES = pd.DataFrame(
    [
        ("lime", "-", "average_precision", 0.5, 0.4, 0.6, 9, "higher"),
        ("lime", "-", "cost", 0.0, np.nan, np.nan, 9, "lower"),
        ("saliency", "-", "average_precision", 0.25, 0.2, 0.3, 9, "higher"),
        ("saliency", "-", "cost", 4.0, np.nan, np.nan, 8, "lower"),
        ("random", "-", "average_precision", np.nan, np.nan, np.nan, 0, "higher"),
    ],
    columns="method budget metric value low high n better".split(),
)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_chart_tells_the_tables_numbers_in_each_methods_colour(theme):
    spec = charts.points(SCORES, ("cost", "-"), ("average_precision", "-"), theme).to_dict()
    (rows,) = spec["datasets"].values()
    shown = {row["method"]: (row["x"], row["y"], row["y_interval"], row["n"]) for row in rows}
    assert shown == {"lime": (0.001, 0.5, "[0.400, 0.600]", 9), "saliency": (4.0, 0.25, "[0.200, 0.300]", 8)}
    colour = spec["layer"][-1]["encoding"]["color"]["scale"]
    if theme == "light":
        assert colour["range"] == [look([m])[m][0] for m in colour["domain"]]


def test_every_mark_can_be_seen_on_dark_paper():
    for name, colour in charts._colours(METHODS_IN_ORDER, "dark").items():
        assert contrast(colour, PAPER.dark) >= 3, name


@pytest.mark.parametrize(("x", "y"), [("average_precision", "token_f1"), ("cost", "average_precision")])
def test_a_mark_tells_each_interval_under_its_own_title(x, y):
    """A title that stands there twice would hide one of the two; a cost has no interval."""
    scores = pd.concat([SCORES, SCORES.assign(metric=SCORES.metric.replace("average_precision", "token_f1"))])
    spec = charts.points(scores.drop_duplicates(["method", "metric"]), (x, "-"), (y, "-"), "light").to_dict()
    for layer in spec["layer"]:
        told = layer["encoding"]["tooltip"]
        titles = [t.get("title", t["field"]) for t in told]
        assert len(titles) == len(set(titles))
        of = [t["field"] for t in told if t["field"].endswith("_interval")]
        assert of == (["y_interval"] if x == "cost" else ["x_interval", "y_interval"])


def test_axes_are_in_words():
    spec = charts.points(SCORES, ("cost", "-"), ("average_precision", "-"), "light").to_dict()
    assert spec["layer"][-1]["encoding"]["y"]["title"] == ["average precision,", "higher is better"]


def test_dots_stand_best_first_with_their_interval_and_a_line_at_random():
    known = SCORES.fillna({"value": 0.3, "low": 0.2, "high": 0.4})
    spec = charts.dots(known, ("average_precision", "-"), "light").to_dict()
    line, bars, marks = spec["layer"]
    assert marks["encoding"]["y"]["sort"] == ["lime", "random", "saliency"]
    assert (bars["encoding"]["x"]["field"], bars["encoding"]["x2"]["field"]) == ("low", "high")
    (at_random,) = spec["datasets"][line["data"]["name"]]
    assert (at_random["method"], at_random["at"]) == ("random", 0.3)
    assert [t["field"] for t in marks["encoding"]["tooltip"]] == ["method", "value", "low", "high", "n"]


def test_costs_stand_cheapest_first_on_a_logarithmic_axis():
    spec = charts.dots(SCORES, ("cost", "-"), "dark").to_dict()
    (marks,) = spec["layer"]
    assert marks["encoding"]["y"]["sort"] == ["lime", "saliency"]
    assert marks["encoding"]["x"]["scale"]["type"] == "log"


def test_the_heat_map_has_each_pair_twice_and_paper_for_no_agreement():
    table = pd.DataFrame(
        {"method": ["a"], "other": ["b"], "tau": [0.5], "low": [0.4], "high": [0.6], "n": [9]}
    )
    spec = charts.heat(table, "dark").to_dict()
    (rows,) = spec["datasets"].values()
    assert [(r["method"], r["other"], r["tau"]) for r in rows] == [("a", "b", 0.5), ("b", "a", 0.5)]
    scale = spec["layer"][0]["encoding"]["color"]["scale"]
    assert (scale["domain"], scale["range"]) == ([-1, 0, 1], [FOR.dark, PAPER.dark, UNSIGNED.dark])


def test_lines_have_the_band_of_the_method_that_is_named():
    rows = [("lime", 1, 0.5, 0.4, 0.6, 9), ("random", 1, 0.2, 0.1, 0.3, 9)]
    table = pd.DataFrame(rows, columns=["method", "layer", "value", "low", "high", "n"])
    of = table, ("layer", "layer"), ("value", "token F1"), "light"
    assert charts.lines(*of, "lime").to_dict()["layer"][0]["transform"] == [
        {"filter": "(datum.method === 'lime')"}
    ]
    assert [one["mark"]["type"] for one in charts.lines(*of, "survivors").to_dict()["layer"]] == [
        "line",
        "point",
    ]


def test_the_legend_shows_each_methods_mark_and_escapes_its_name():
    markup = str(charts.legend(["integrated_gradients", "<b>"], "light"))
    assert "&lt;b&gt;" in markup
    colour, marker = look(["integrated_gradients", "<b>"])["integrated_gradients"]
    assert marker == "s"
    corners = "10% 10%,90% 10%,90% 90%,10% 90%"
    assert f'style="background:{colour};clip-path:polygon({corners})"' in markup
    assert set(charts.CORNERS) == set(MARKERS)

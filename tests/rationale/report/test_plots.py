from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from rationale.report.figures import FIGURES, cost_figure, label_marks, layers_figure, methods_figure
from rationale.report.plots import (
    LEAST_MS,
    groups,
    heat_map,
    intervals,
    layer_curves,
    layer_parts,
    new_figure,
    png,
    scatter,
)
from rationale.report.summary import NO_BUDGET, Tables
from rationale.templates.palette import METHODS_IN_ORDER, look

pytestmark = pytest.mark.figures

AP, AOPC, COST = (("average_precision", "-"), ("aopc_comprehensiveness", "-"), ("cost", "-"))


def score_rows(points: dict[str, tuple[float, float, float]]) -> pd.DataFrame:
    """Scores of methods by (average precision, AOPC, ms), with intervals of ±0.01 and ±0.02."""
    rows = []
    for method, (ap, aopc, ms) in points.items():
        rows.append((method, "-", "average_precision", ap, ap - 0.01, ap + 0.01, 30, 2, "higher"))
        rows.append((method, "-", "aopc_comprehensiveness", aopc, aopc - 0.02, aopc + 0.02, 32, 0, "higher"))
        rows.append((method, "-", "cost", ms, np.nan, np.nan, 32, 0, "lower"))
    return pd.DataFrame(rows, columns="method budget metric value low high n left_out better".split())


THREE = score_rows({"a": (0.5, 0.1, 1.0), "random": (0.2, 0.0, 0.0), "b": (0.7, 0.3, 100.0)})


def marks(axes):
    """Name → (x, y) of each mark."""
    return {c.get_label(): tuple(c.lines[0].get_xydata()[0]) for c in axes.containers}


def test_scatter_has_a_mark_a_method_with_its_intervals():
    _, (axes,) = new_figure()
    assert scatter(axes, THREE, AP, AOPC) is axes
    assert marks(axes) == {"a": (0.5, 0.1), "random": (0.2, 0.0), "b": (0.7, 0.3)}
    bars = {c.get_label(): [b.get_segments()[0].tolist() for b in c.lines[2]] for c in axes.containers}
    expected = [[[0.69, 0.3], [0.71, 0.3]], [[0.7, 0.28], [0.7, 0.32]]]
    assert np.array(bars["b"]) == pytest.approx(np.array(expected))
    assert axes.get_xlabel() == "average precision, higher is better; n = 30"
    assert axes.get_ylabel() == "AOPC comprehensiveness, higher is better; n = 32"


def test_cost_is_logarithmic_and_nothing_is_drawn_at_the_least():
    _, (axes,) = new_figure()
    scatter(axes, THREE, COST, AP)
    assert axes.get_xscale() == "log"
    assert marks(axes)["random"] == (LEAST_MS, 0.2)
    assert marks(axes)["b"] == (100, 0.7)
    assert axes.get_xlabel() == "cost, ms per example (median), lower is better"


def test_methods_without_a_value_are_not_drawn():
    _, (axes,) = new_figure()
    scatter(axes, score_rows({"a": (0.5, 0.1, 1.0), "b": (np.nan, 0.3, 1.0)}), AP, AOPC)
    label_marks(axes)
    assert set(marks(axes)) == {"a"}
    assert [t.get_text() for t in axes.texts] == ["a"]


def test_every_name_stands_in_the_frame_and_on_no_other_name():
    rng = np.random.default_rng(0)
    points = {
        f"{name}_{i}": (0.5 + rng.normal(0, 0.02), 0.3 + rng.normal(0, 0.02), 1.0)
        for i, name in enumerate(["gradient_x_input", "rollout", "integrated_gradients", "lime"] * 4)
    }
    figure, (axes,) = new_figure(1, width=6.4, height=4.6)
    label_marks(scatter(axes, score_rows(points), AP, AOPC))
    figure.draw_without_rendering()
    assert sorted(t.get_text() for t in axes.texts) == sorted(points)
    boxes = [Text.get_window_extent(t) for t in axes.texts]  # of the name without its line
    frame = axes.get_window_extent().padded(2)
    assert all(frame.x0 <= b.x0 and b.x1 <= frame.x1 and frame.y0 <= b.y0 and b.y1 <= frame.y1 for b in boxes)
    touching = [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    assert not touching


@pytest.mark.parametrize("seed", [0, 1])
def test_no_name_covers_another_with_all_methods(seed):
    """Values as close as real ones are: sd 0.06 of average precision, costs in four heaps."""
    rng = np.random.default_rng(seed)
    points = {
        m: (rng.normal(0.45, 0.06), rng.normal(0.28, 0.03), float(rng.choice([2.0, 11.0, 15.0, 900.0])))
        for m in METHODS_IN_ORDER
    }
    assert len(points) >= 23
    table = all_parts(layer_rows(), AGREEMENT)
    figures = [
        FIGURES[n].make(replace(table, scores=score_rows(points)), "gold") for n in ("tradeoff", "cost")
    ]
    for figure in figures:
        figure.draw_without_rendering()
        for axes in figure.axes:
            boxes = [Text.get_window_extent(t) for t in axes.texts]
            assert len(boxes) == len(points)
            assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]


def test_a_method_has_one_colour_in_all_figures():
    tables = all_parts(layer_rows(), AGREEMENT)
    for name in ("agreement", "tradeoff", "cost"):
        for axes in FIGURES[name].make(tables, "gold").axes:
            names = (
                [t.get_text() for t in axes.get_yticklabels()] if name == "agreement" else list(marks(axes))
            )
            drawn = [to_hex(c.lines[0].get_color()).upper() for c in axes.containers]
            assert drawn == [look(names)[m][0].upper() for m in names]


def test_a_name_stands_beside_its_own_mark():
    figure, (axes,) = new_figure()
    label_marks(scatter(axes, THREE, AP, AOPC))
    for text in axes.texts:
        assert text.xy == marks(axes)[text.get_text()]


def test_methods_look_alike_in_all_figures_and_unlike_each_other():
    names = [f"m{i:02}" for i in range(30)]
    assert look(names) == look(reversed(names))
    assert len(set(look(names).values())) == 30


def test_intervals_are_sorted_best_on_top_with_a_line_at_random():
    _, (axes,) = new_figure()
    intervals(axes, THREE, "average_precision", NO_BUDGET)
    assert [t.get_text() for t in axes.get_yticklabels()] == ["random", "a", "b"]  # from below
    (line,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert line.get_xdata()[0] == 0.2


def test_a_method_without_a_value_stands_below_all_others():
    undefined = THREE.assign(value=THREE.value.where(THREE.method != "b"))
    for way in ("higher", "lower"):
        _, (axes,) = new_figure()
        intervals(axes, undefined.assign(better=way), "average_precision", NO_BUDGET)
        assert axes.get_yticklabels()[0].get_text() == "b"


AGREEMENT = pd.DataFrame(
    [("a", "b", 0.25, 9), ("a", "c", -0.75, 8), ("b", "c", np.nan, 0)], columns="method other tau n".split()
)


def test_heat_map_writes_the_number_in_both_cells():
    _, (axes,) = new_figure()
    heat_map(axes, AGREEMENT)
    texts = {t.get_position(): t.get_text() for t in axes.texts}
    assert texts == {
        (1, 0): "0.25", (0, 1): "0.25", (2, 0): "-0.75", (0, 2): "-0.75", (2, 1): "–", (1, 2): "–",
    }  # fmt: skip
    assert [t.get_text() for t in axes.get_xticklabels()] == ["a", "b", "c"]
    drawn = np.ma.filled(axes.images[0].get_array().astype(float), np.nan)
    nan = np.nan
    assert drawn == pytest.approx(
        np.array([[nan, 0.25, -0.75], [0.25, nan, nan], [-0.75, nan, nan]]), nan_ok=True
    )
    assert axes.get_title() == "mean Kendall's τ-b, n = 0 to 9"
    inks = {t.get_text(): t.get_color() for t in axes.texts}
    assert inks["-0.75"] != inks["0.25"]  # light on dark, dark on light


def layer_rows() -> pd.DataFrame:
    rows = [
        (layer, share, metric, method, value + layer, value + layer - 0.1, value + layer + 0.1, 7)
        for layer, share in ((1, 0.5), (2, 0.125))
        for metric in ("false_positive_rate", "token_f1")
        for method, value in (("survivors", 0.2), ("attention", 0.4))
    ]
    return pd.DataFrame(rows, columns="layer words metric method value low high n".split())


def test_layer_curves_are_the_tables_numbers():
    _, (axes,) = new_figure()
    layer_curves(axes, layer_rows(), "token_f1")
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert lines == {"survivors": [[1, 1.2], [2, 2.2]], "attention": [[1, 1.4], [2, 2.4]]}
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1\n50%", "2\n12%"]
    assert axes.get_ylabel() == "token F1, higher is better"
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    assert (corners[:, 1].min(), corners[:, 1].max()) == pytest.approx((1.1, 2.3))


def all_parts(layers: pd.DataFrame, agreement: pd.DataFrame) -> Tables:
    budgeted = THREE.assign(budget="gold", metric="token_f1")
    scores = pd.concat([THREE, budgeted, budgeted.assign(metric="false_positive_rate", better="lower")])
    curves = pd.DataFrame(
        [(m, f, 0.1, 0.2, 9) for m in ("a", "b", "random") for f in (0.1, 0.5)],
        columns="method fraction without only n".split(),
    )
    return Tables(scores, pd.DataFrame(), curves, layers, agreement)


def test_every_figure_is_made_where_its_numbers_are_there():
    full = all_parts(layer_rows(), AGREEMENT)
    made = {name: drawing.make(full, "gold") for name, drawing in FIGURES.items()}
    panels = {name: len(figure.axes) for name, figure in made.items()}
    assert panels == {
        "agreement": 3, "tradeoff": 1, "cost": 2, "faithfulness": 2, "methods": 1, "layers": 2
    }  # fmt: skip
    assert png(made["tradeoff"]).startswith(b"\x89PNG")
    for name in ("faithfulness", "layers"):
        (legend,) = made[name].legends
        lines, entries = made[name].axes[0].lines, legend.get_texts()
        assert [t.get_text() for t in entries] == [line.get_label() for line in lines]
        assert len({to_hex(line.get_color()) for line in lines}) == len(lines)


def test_cost_figure_sets_both_qualities_against_cost():
    figure = cost_figure(all_parts(layer_rows(), AGREEMENT), "gold")
    assert [axes.get_ylabel().split(",")[0] for axes in figure.axes] == [
        "average precision",
        "AOPC comprehensiveness",
    ]
    assert all(sorted(t.get_text() for t in axes.texts) == ["a", "b", "random"] for axes in figure.axes)


def test_figures_of_sentences_are_measured_on_sentences():
    words = all_parts(layer_rows(), AGREEMENT)
    at = {"token_f1": "sentence_f1", "false_positive_rate": "sentence_precision"}
    at |= {"average_precision": "sentence_average_precision"}
    of_words = words.scores[words.scores.metric.isin(at)]
    of_sentences = of_words.assign(metric=of_words.metric.replace(at))
    both = replace(words, scores=pd.concat([words.scores, of_sentences]))
    drawn = {"agreement": list(at.values()), "tradeoff": ["sentence_average_precision"]}
    drawn["cost"] = ["sentence_average_precision"]
    for name, metrics in drawn.items():
        table = FIGURES[name].data(both, "gold")
        assert set(table.metric) - {"aopc_comprehensiveness", "cost"} == set(metrics)
        labels = [f"{a.get_xlabel()}; {a.get_ylabel()}" for a in FIGURES[name].make(both, "gold").axes]
        assert "sentence average precision" in "".join(labels)
        assert "; average precision" not in "".join(labels)
    shares = [FIGURES["faithfulness"].make(tables, "gold").axes[0].get_xlabel() for tables in (words, both)]
    assert shares == ["share of the words (%)", "share of the sentences (%)"]


def test_figures_without_numbers_are_none():
    bare = all_parts(layer_rows()[:0], AGREEMENT[:0])
    assert layers_figure(bare, "gold") is None
    assert methods_figure(bare, "gold") is None


def test_parts_of_layers_are_stacked_beside_dense():
    table = pd.DataFrame(
        {"layer": [1, 2], "dense": [4.0, 4.0], "matrices": [2.0, 1.0], "deciding": [0.5, 0.25]}
    )
    _, (axes,) = new_figure()
    assert layer_parts(axes, table) is axes
    bars = {c.get_label(): [(b.get_y(), b.get_height()) for b in c] for c in axes.containers}
    assert bars == {
        "dense": [(0, 4), (0, 4)], "matrices": [(0, 2), (0, 1)], "deciding": [(2, 0.5), (1, 0.25)]
    }  # fmt: skip


def test_groups_are_marks_with_intervals_and_their_n():
    rows = [("a", "f1", 0.5, 0.4, 0.7, 9), ("b", "f1", 0.25, 0.2, 0.3, 8), ("b", "fpr", 0.1, 0.0, 0.2, 7)]
    _, (axes,) = new_figure()
    groups(axes, pd.DataFrame(rows, columns=["group", "metric", "value", "low", "high", "n"]))
    points = {c.get_label(): c.lines[0].get_xdata().tolist() for c in axes.containers}
    assert points == {"a, n = 9": [0.5], "b, n = 7 to 8": [0.25, 0.1]}
    first = axes.containers[0]
    ((low, high),) = [[p[0] for p in s] for bars in first.lines[2] for s in bars.get_segments()]
    assert (low, high) == pytest.approx((0.4, 0.7))
    assert [t.get_text() for t in axes.get_yticklabels()] == ["f1", "fpr"]

"""A run's tables to read, against numbers counted by hand or by the metrics themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import rationale
from eraser import Example, InputError
from eraser.metrics.table import measure
from rationale.front import tables

AP = "average_precision"


@pytest.fixture
def scores():
    rows = [
        ("token_f1", "ratio=0.2", "attention", 0.5, 0.4, 0.6, 9, "higher"),
        ("token_f1", "top=5", "attention", 0.9, 0.9, 0.9, 9, "higher"),
        ("sufficiency", "ratio=0.2", "attention", 0.1, 0.0, 0.2, 9, "lower"),
        ("token_f1", "ratio=0.2", "random", 0.25, 0.2, 0.3, 9, "higher"),
        (AP, "-", "random", np.nan, np.nan, np.nan, 0, "higher"),
    ]
    return pd.DataFrame(rows, columns=["metric", "budget", "method", "value", "low", "high", "n", "better"])


def test_values_with_intervals_in_the_order_asked_for(scores):
    found = tables.with_intervals(scores, ("sufficiency", "token_f1"), "ratio=0.2")
    assert list(found.columns) == ["sufficiency ↓", "token_f1 ↑"]
    assert found.loc["attention"].tolist() == [
        "0.100 [0.000, 0.200], n = 9",
        "0.500 [0.400, 0.600], n = 9",
    ]
    assert found.loc["random"].tolist() == ["–", "0.250 [0.200, 0.300], n = 9"]
    with pytest.raises(
        InputError, match="expected a metric of sufficiency, token_f1, got 'average_precision'"
    ):
        tables.with_intervals(scores, (AP,), "ratio=0.2")
    with pytest.raises(InputError, match="expected a metric of sufficiency, token_f1, got none"):
        tables.with_intervals(scores, (), "ratio=0.2")


def test_differences_are_turned_round_where_the_other_stands_first():
    rows = [
        (AP, "-", "attention", "random", 0.2, 0.1, 0.3, 5, False),
        (AP, "-", "random", "lime", 0.1, -0.1, 0.2, 5, True),
        ("sufficiency", "b", "attention", "random", 0.2, 0.1, 0.3, 5, False),
        ("sufficiency", "c", "attention", "random", 0.9, 0.9, 0.9, 5, False),
    ]
    names = ["metric", "budget", "method", "other", "difference", "low", "high", "n", "tie"]
    found = tables.against(pd.DataFrame(rows, columns=names), "random", ("sufficiency", AP), "b")
    assert found.to_numpy().tolist() == [
        ["sufficiency ↓", "attention", "+0.200 [+0.100, +0.300]", 5, "worse"],
        ["average_precision ↑", "attention", "+0.200 [+0.100, +0.300]", 5, "better"],
        ["average_precision ↑", "lime", "-0.100 [-0.200, +0.100]", 5, "tie"],
    ]
    with pytest.raises(InputError, match="expected a method of attention, random, lime, got 'lmie'"):
        tables.against(pd.DataFrame(rows, columns=names), "lmie", (AP,), "b")


def examples(labels):
    return [Example(str(i), (), label) for i, label in enumerate(labels)]


def test_by_label_and_by_example():
    columns = {
        (AP, "-", "attention"): np.array([[0.2], [0.4], [0.9], [np.nan]]),
        ("tau", "random", "attention"): np.array([[0.1], [np.nan], [0.3], [0.5]]),
    }
    given = examples("ABAB")
    found = tables.by_label(columns, given, (AP,), "b", 0).set_index("label")
    assert found.value.round(9).to_dict() == {"A": 0.55, "B": 0.4}
    assert found.n.to_dict() == {"A": 2, "B": 1}
    assert tables.labels_table(found.reset_index()).metric.tolist() == ["average precision of attention"] * 2
    each = tables.by_example(columns, given, "tau", "b")
    assert each.to_numpy().tolist() == [
        ["0", "A", "attention, random", 0.1],
        ["2", "A", "attention, random", 0.3],
        ["3", "B", "attention, random", 0.5],
    ]
    with pytest.raises(InputError, match="expected a metric of average_precision, tau, got 'taus'"):
        tables.by_example(columns, given, "taus", "b")


@pytest.fixture
def run(adaptive):
    return rationale.evaluate(adaptive, "sample", ["survivors", "random"], budget="ratio", limit=4, chunk=3)


def test_survivors_rank_by_what_each_layer_knows(run):
    found = run.by_layer()
    data, batches = run.plan.dataset, list(run.plan.batches())
    truths = [data.truth(e) for e in run.plan.examples]
    scores = [p.scores for b in batches for p in b.predictions["survivors", b.budgets[0]]]
    # after the first layer a ranking of two groups: its average precision by hand
    expected = []
    for truth, of_words in zip(truths, scores, strict=True):
        left = of_words >= 1  # [W], True: still there; fractions below 1 order the others
        order = [float(s) if not there else 1.0 for s, there in zip(of_words, left, strict=True)]
        ranks = sorted({*order}, reverse=True)
        hits, seen, total = 0, 0, 0.0
        for rank in ranks:
            at = np.array(order) == rank
            new = int(truth.gold[at].sum())
            hits, seen = hits + new, seen + int(at.sum())
            total += new * hits / seen
        expected.append(total / truth.gold.sum())
    rows = found[(found.layer == 1) & (found.method == "survivors")]
    assert rows.value.item() == pytest.approx(np.mean(expected))
    assert rows.words.item() == pytest.approx(np.mean([np.mean(s >= 1) for s in scores]))
    level = found[found.method == "random"].value
    answers = [p for b in batches for p in b.predictions["random", b.budgets[0]]]
    assert level.tolist() == pytest.approx([np.mean(measure(AP, truths, answers))] * len(level))
    assert run.plot("ranking_by_layer").axes[0].get_title() == "n = 4"


def test_what_a_run_shows_of_examples_and_labels(run):
    shown = run.examples("first", 2)
    assert repr(shown).startswith("First examples: ")
    assert len(shown) == 2
    page = shown._repr_html_()
    assert page.count("annotators: ") == 2
    assert "annotators only" in page
    with pytest.raises(InputError, match="expected one of annotators, methods, first, wrong, got 'last'"):
        run.examples("last")
    assert run.plot("labels").axes[0].get_legend_handles_labels()[1]
    assert set(run.by_label().label) == {e.label for e in run.plan.examples}
    assert run.basis.startswith("sample test, limit 4; 4 examples, ")
    assert run.annotators == {}
    assert run.method_agreement[["method", "other"]].to_numpy().tolist() == [["survivors", "random"]]
    assert run.table(AP).index.tolist() == ["survivors", "random"]
    assert run.against("random", AP).method.tolist() == ["survivors"]
    assert len(run.by_example(AP)) == 8


def test_examples_escape_their_texts(run):
    from rationale.templates import fragment

    shown = run.examples("first")
    shown.examples[0]["rows"][0][2][:] = [("<b>film</b>", "hit")]
    page = fragment("examples.html", shown=shown)
    assert "<b>film" not in page
    assert "&lt;b&gt;film" in page

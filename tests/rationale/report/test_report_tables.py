from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from eraser import Dataset, Document, Evidence, Example, Prediction, Span
from eraser.metrics.table import METRICS, defined
from rationale.evaluation.disagreement import BLOCK, furthest_apart, furthest_from_annotators, kendall
from rationale.evaluation.per_example import MODEL, NO_BUDGET, per_example_metrics
from rationale.evaluation.plan import Item
from rationale.evaluation.stored.columns import ColumnsFile, ColumnsWriter
from rationale.front.by_layer import ranking_by_layer
from rationale.front.tables import by_label
from rationale.report import summary as results
from rationale.report.annotators import annotators
from rationale.report.summary import (
    agreement_table,
    latex,
    markdown,
    ranking,
    score_table,
    summary_cells,
    tables_of,
)
from tests.helpers.made_runs import made

# ── rank correlation ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("n_words", [2, 7, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_kendall_is_scipys_for_every_pair(n_words):
    rng = np.random.default_rng(n_words)
    scores = rng.normal(size=(5, n_words))
    scores[1] = rng.integers(0, 3, n_words)  # many ties
    scores[2] = -scores[0]
    if n_words > 2:
        scores[:, n_words // 2] = np.nan
    tau = kendall(scores)
    for i in range(5):
        for j in range(5):
            expected = kendalltau(scores[i], scores[j], nan_policy="omit").statistic
            assert tau[i, j] == pytest.approx(expected, abs=1e-12, nan_ok=True), (i, j)
    assert tau[0, 2] == -1


def test_kendall_by_hand():
    """1 2 3 against 1 3 2: two pairs alike, one not; against 1 1 2: two of two alike, √(3·2) below."""
    tau = kendall(np.array([[1.0, 2, 3], [1, 3, 2], [1, 1, 2], [5, 5, 5]]))
    assert tau[0, 1] == pytest.approx(1 / 3)
    assert tau[0, 2] == pytest.approx(2 / 6**0.5)
    assert np.isnan(tau[3]).all()


def test_words_that_one_method_did_not_read_are_left_out():
    scores = np.array([[1.0, 2, 3, np.nan], [3, 2, 9, 1]])
    assert kendall(scores)[0, 1] == pytest.approx(1 / 3)  # of 1 2 3 against 3 2 9
    assert np.isnan(kendall(scores * np.nan)).all()


def test_table_of_agreement_means_over_examples_and_counts_the_undefined():
    one = [[1, 2, 3], [1, 2, 3], [1, 2, 3]]
    other = [[1, 2, 3], [1, 3, 2], [7, 7, 7]]
    evaluation, _ = made({"one": one, "other": other, "third": one}, [{0}, {0}, {0}])
    methods = ("one", "other", "third")
    table = agreement_table(methods, per_example_metrics(evaluation), 0).set_index(["method", "other"])
    assert list(table.index) == [("one", "other"), ("one", "third"), ("other", "third")]
    row = table.loc[("one", "other")]
    assert row.tau == pytest.approx((1 + 1 / 3) / 2)
    assert (row.n, row.left_out) == (2, 1)
    assert (row.low, row.high) == pytest.approx((1 / 3, 1))
    alike = table.loc[("one", "third")]
    assert (alike.tau, alike.low, alike.high, alike.n) == (1, 1, 1, 3)


# ── where they disagree ─────────────────────────────────────────────────────────────────────────────────


def test_furthest_from_annotators_are_those_of_lowest_mean_precision():
    by_method = [[(0.9,), (0.2,), None, (0.5,)], [(0.7,), (0.6,), None, (0.1,)]]
    assert furthest_from_annotators(by_method, 2) == [(3, pytest.approx(0.3)), (1, pytest.approx(0.4))]
    assert [i for i, _ in furthest_from_annotators(by_method, 9)] == [3, 1, 0]


def test_a_method_that_ranks_nothing_hides_no_example():
    by_method = [[(0.9,), (0.2,), None], [None, None, None], [(0.7,), (0.6,), None]]
    assert furthest_from_annotators(by_method, 3) == [(1, pytest.approx(0.4)), (0, pytest.approx(0.8))]


def test_furthest_apart_leaves_out_short_texts_and_undefined_pairs():
    of_pairs = [
        [(0.5,), (-1,), (0.9,), None],
        [(0.5,), (-1,), None, None],
        [(0.5,), (-1,), (-0.5,), None],
    ]
    found = furthest_apart(of_pairs, [5, 4, 20, 9], 3)
    assert found == [(2, pytest.approx(0.2)), (0, pytest.approx(0.5))]


# ── layers ──────────────────────────────────────────────────────────────────────────────────────────────


def test_layers_by_hand():
    """Gold words 0 and 1 of 4. Layer 1 is reached by 0, 1, 2; layer 2 by 0 alone."""
    evaluation, _ = made(
        {"survivors": [[2.5, 1.2, 1.9, 0.3]], "late": [[0.0, 0.1, 0.2, 0.3]], "unread": [[np.nan] * 3 + [1]]},
        [{0, 1}],
    )
    table = tables_of(evaluation).layers
    assert sorted(set(zip(table.layer, table.words, strict=True))) == [(1, 0.75), (2, 0.25)]
    value = {(r.layer, r.metric, r.method): r.value for r in table.itertuples()}
    assert value == {
        (1, "false_positive_rate", "survivors"): 0.5,
        (1, "token_f1", "survivors"): 0.8,
        (2, "false_positive_rate", "survivors"): 0.0,
        (2, "token_f1", "survivors"): pytest.approx(2 / 3),
        (1, "false_positive_rate", "late"): 1.0,  # words 1, 2, 3
        (1, "token_f1", "late"): pytest.approx(0.4),
        (2, "false_positive_rate", "late"): 0.5,  # word 3
        (2, "token_f1", "late"): 0.0,
        (1, "false_positive_rate", "unread"): 0.5,  # word 3 alone was read
        (1, "token_f1", "unread"): 0.0,
        (2, "false_positive_rate", "unread"): 0.5,
        (2, "token_f1", "unread"): 0.0,
    }
    late = table[(table.method == "late") & (table.metric == "false_positive_rate")]
    assert late.difference.tolist() == [0.5, 0.5]
    assert late.tie.all()  # one example tells nothing
    assert table[table.method == "survivors"].tie.all()


def test_words_that_were_only_picked_are_not_filled_up_at_any_layer():
    """Word 3 alone was picked, without a ranking: of four words at layer 1 there are no more."""
    evaluation, _ = made({"survivors": [[1.0, 1.0, 1.0, 1.0, 0.0]], "picked": [[0, 0, 0, 1, 0]]}, [{3}])
    table = tables_of(replace(evaluation, unranked=frozenset({"picked"}))).layers
    value = {(r.metric, r.method): r.value for r in table.itertuples()}
    assert value["token_f1", "picked"] == 1
    assert value["false_positive_rate", "picked"] == 0
    rows = ranking_by_layer([replace(evaluation, unranked=frozenset({"picked"}))], ("survivors", "picked"), 0)
    assert not rows[rows.method == "picked"].n.any()


def test_layers_stand_on_marked_examples_only_and_need_survivors():
    scores = [[1.5, 0.5], [2.5, 2.4]]
    table = tables_of(made({"survivors": scores}, [{0}, set()])[0]).layers
    assert table.layer.tolist() == [1, 1]  # layer 2 is reached in a text nobody marked
    assert set(table.n) == {1}
    assert tables_of(made({"attention": scores}, [{0}, {0}])[0]).layers.empty


# ── ranks ───────────────────────────────────────────────────────────────────────────────────────────────


def ranked(values: dict[str, float], ties: set[str], better: str = "higher") -> pd.DataFrame:
    """`ties` are pairs of one-letter methods."""
    methods = list(values)
    scores = pd.DataFrame(
        {"method": methods, "metric": "m", "budget": "-", "value": list(values.values()), "better": better}
    )
    pairs = [(a, b) for i, a in enumerate(methods) for b in methods[i + 1 :]]
    paired = pd.DataFrame(
        [("m", "-", a, b, a + b in ties or b + a in ties) for a, b in pairs],
        columns=["metric", "budget", "method", "other", "tie"],
    )
    return ranking(scores, paired, "m", "-").set_index("method")


def test_methods_not_surely_worse_than_the_first_of_a_rank_share_it():
    rows = ranked({"c": 0.5, "a": 0.9, "b": 0.8, "d": 0.4, "e": 0.1}, {"ab", "bc", "cd"})
    assert rows["rank"].to_dict() == {"a": "1=", "b": "1=", "c": "3=", "d": "3=", "e": "5"}
    assert rows.tied.to_dict() == {"a": True, "b": True, "c": False, "d": False, "e": False}
    assert list(rows.index) == ["a", "b", "c", "d", "e"]


def test_tie_with_the_best_counts_even_past_one_surely_worse():
    rows = ranked({"a": 0.9, "b": 0.8, "c": 0.7}, {"ac"})
    assert rows["rank"].to_dict() == {"a": "1=", "c": "1=", "b": "3"}
    assert list(rows.index) == ["a", "c", "b"]


def test_lower_may_be_better_and_undefined_has_no_rank():
    rows = ranked({"a": 0.9, "b": 0.1, "c": np.nan}, {"ac", "bc"}, "lower")
    assert rows["rank"].to_dict() == {"b": "1", "a": "2", "c": ""}
    assert not rows.tied["c"]
    assert ranked({"a": np.nan}, set())["rank"].tolist() == [""]


def test_below_random_is_surely_worse_than_random():
    values = {"random": 0.5, "a": 0.4, "b": 0.3, "c": 0.6}
    assert ranked(values, set()).below_random.to_dict() == {"c": False, "random": False, "a": True, "b": True}
    scores = {"m": ["a", "random"], "v": [0.4, 0.5]}
    table = pd.DataFrame(
        {"method": scores["m"], "metric": "m", "budget": "-", "value": scores["v"], "better": "higher"}
    )
    tie = pd.DataFrame([("m", "-", "a", "random", True)], columns="metric budget method other tie".split())
    assert not ranking(table, tie, "m", "-").below_random.any()


def test_of_a_metric_without_paired_differences_nothing_is_called_better():
    """ROC AUC of rollout, 0.478 [0.412, 0.542], once was "below random", whose value it may have."""
    rows = ranked({"a": 0.665, "random": 0.496, "rollout": 0.478}, set()).reset_index()
    untested = pd.DataFrame(columns=["metric", "budget", "method", "other", "tie"])
    again = ranking(rows, untested, "m", "-")
    assert again.method.tolist() == ["a", "random", "rollout"]  # best first
    assert again["rank"].tolist() == [""] * 3
    assert not again.tied.any()
    assert not again.below_random.any()
    assert {"sentence_precision", "sentence_recall"} <= set(results.PAIRED)  # in the tables, so with ranks


# ── the summary ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def tables():
    scores = {
        "good_one&": [[4, 3, 2, 1], [4, 3, 2, 1], [9, 1, 2, 3]],
        "random": [[1, 2, 3, 4], [1, 4, 2, 3], [1, 2, 3, 9]],
    }
    falls = {"good_one&": [0.3, 0.4, 0.5], "random": [-0.2, -0.1, -0.3]}
    evaluation, _ = made(scores, [{0}, {0, 1}, {0}], falls=falls)
    return evaluation, per_example_metrics(evaluation), tables_of(evaluation)


def test_latex_says_what_markdown_says(tables):
    cells = summary_cells(tables[2].scores, tables[2].paired, "gold")
    md, tex = markdown(cells), latex(cells)
    in_md = [
        [cell.strip().replace("**", "") for cell in line.strip("| \n").split("|")]
        for line in md.splitlines()
        if "---" not in line
    ]
    body = tex.replace(r"\&", "AND").split(r"\toprule")[1].split(r"\bottomrule")[0]
    in_tex = []
    for line in body.replace(r"\midrule", "").strip().split("\\\\"):
        plain = re.sub(r"\\textbf\{(.*?)\}", r"\1", line.strip())
        for mark, sign in ((r"$\uparrow$", "↑"), (r"$\downarrow$", "↓"), ("$-$", "-"), (r"\_", "_")):
            plain = plain.replace(mark, sign)
        in_tex.append([cell.strip().replace("AND", "&") for cell in plain.split("&")])
    assert [row for row in in_tex if row != [""]] == in_md
    assert r"good\_one\& & \textbf{1.000 [1.000, 1.000]} & \textbf{0.000" in tex
    assert "$-$0.200 [$-$0.300, $-$0.100]" in tex
    assert "| good_one& | **1.000** [1.000, 1.000] | **0.000** [0.000, 0.000] |" in md


def test_pipes_in_names_do_not_break_markdown_tables():
    assert results.markdown_table(pd.DataFrame({"a|b": ["c|d"]})) == "| a\\|b |\n| --- |\n| c\\|d |\n"


def test_undefined_numbers_print_as_a_dash(tables):
    evaluation, _ = made({"a": [[1, 2]], "random": [[2, 1]]}, [set()])
    found = tables_of(evaluation)
    row = markdown(summary_cells(found.scores, found.paired, "gold")).splitlines()[2]
    assert [cell.strip() for cell in row.split("|")][1:5] == ["a", "–", "–", "–"]
    assert "nan" not in row


def test_the_cost_of_a_method_is_the_median_of_its_texts():
    (row,) = score_table({}, {("cost", NO_BUDGET, "a"): [(1.0,), (1.0,), (100.0,), None]}, 0).itertuples()
    assert (row.value, row.n, row.left_out, row.better) == (1.0, 3, 1, "lower")


def test_values_of_examples_fold_to_the_scores(tables, tmp_path):
    _, columns, found = tables
    with ColumnsWriter(tmp_path / "c.parquet") as writer:
        writer.add(["e0", "e1", "e2"], columns)
    rows = ColumnsFile(tmp_path / "c.parquet")
    assert rows.ids == ("e0", "e1", "e2")
    scores = found.scores[(found.scores.metric != "cost") & (found.scores.n > 0)]
    for row in scores.itertuples():
        of_row = rows[row.metric, row.budget, row.method]
        of_row = of_row[defined(of_row)]
        assert len(of_row) == row.n
        assert METRICS[row.metric].fold(np.nanmean(of_row, axis=0)) == pytest.approx(row.value), row.metric


def test_examples_a_metric_is_undefined_for_have_no_values():
    evaluation, _ = made({"a": [[1, 2], [2, 1]]}, [{0}, set()])
    columns = per_example_metrics(evaluation)
    assert [row is None for row in columns["token_f1", "gold", "a"]] == [False, True]
    assert columns["accuracy", "-", "model"] == [(1.0,), (1.0,)]
    left_out = score_table(columns, {}, 0).set_index("metric").left_out
    assert (left_out["token_f1"], left_out["accuracy"]) == (1, 0)


def test_a_curve_tells_the_mean_fall_without_the_words_and_with_them_only():
    evaluation, _ = made({"a": [[1, 2], [2, 1]]}, [{0}, {1}], falls={"a": [0.1, 0.4]})
    (row,) = tables_of(evaluation).curves.itertuples()
    assert (row.method, row.fraction, row.n) == ("a", 0.5, 2)
    assert (row.without, row.only) == pytest.approx((0.25, 0.35))  # alone they fall 0.1 further


# ── several labels ──────────────────────────────────────────────────────────────────────────────────────


def of_labels():
    """Four texts marked by two people each; `rude` is explained, and two texts have other labels."""
    places = {"rude": (0, 2), "threat": (5, 7)}
    labels = ("rude", "rude|threat", "threat", "threat")
    documents = {f"e{i}": Document(f"e{i}", (tuple("abcdefgh"),)) for i in range(4)}
    marks = [frozenset({Evidence(f"e{i}", Span(*places[x.split("|")[0]]))}) for i, x in enumerate(labels)]
    examples = tuple(
        Example(f"e{i}", (f"e{i}",), label, gold=frozenset({of}), annotators=(of, of))
        for i, (label, of) in enumerate(zip(labels, marks, strict=True))
    )
    dataset = Dataset("labels", documents, {"test": examples})
    picked = np.arange(8) < 2
    predictions = tuple(
        Prediction(e.id, "rude", {"rude": 0.9, "threat": 0.2}, picked * 1.0, picked, kind="labels", of="rude")
        for e in examples
    )
    items = tuple(Item(e, dataset.text(e), dataset.truth(e), ()) for e in examples)
    return dataset, items, predictions


def test_marks_for_other_labels_are_not_those_of_the_label_explained():
    dataset, items, predictions = of_labels()
    evaluation, _ = made({"m": [[1.0, 0.0]]}, [{0}])
    several = replace(evaluation, items=items, predictions={("m", "own"): predictions})
    table = annotators(several, dataset)
    (row,) = table[table.method == "m"].itertuples()
    assert (row.value, row.n) == (1.0, 2)
    people = table[table.method == "people"]
    assert len(people) == 6
    assert (people.n + people.left_out == 2).all()  # the same texts


def test_a_text_of_several_labels_is_an_example_of_each():
    columns = {("accuracy", NO_BUDGET, MODEL): np.array([[1.0], [0.0], [1.0], [1.0]])}
    named = [Example(str(i), (str(i),), x) for i, x in enumerate(("rude|threat", "threat|rude", "rude", ""))]
    found = by_label(columns, named, ("accuracy",), "gold", 0, kind="labels")
    assert found[["label", "value", "n"]].to_numpy().tolist() == [["rude", 2 / 3, 3], ["threat", 0.5, 2]]
    assert len(by_label(columns, named, ("accuracy",), "gold", 0)) == 4

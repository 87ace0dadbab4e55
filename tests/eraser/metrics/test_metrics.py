from __future__ import annotations

import inspect
from dataclasses import replace
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eraser import Ablation, GoldRationale, Prediction, Span
from eraser.metrics import agreement, faithfulness, sentences
from eraser.metrics.answers import absolute_error, accuracy, label_counts, values
from eraser.metrics.bootstrap import Estimate
from eraser.metrics.faithfulness import bounds_of
from eraser.metrics.table import METRICS, Score, compare, f1_of_means, measure, micro_f1, score
from eraser.types import Bounds, mask_from_spans

checked = settings(deadline=None, derandomize=True, database=None, max_examples=60)


def test_the_table_has_every_metric_there_is():
    defined = {
        function
        for module in (agreement, faithfulness, sentences)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert bounds_of in defined  # no metric: what two of them need
    defined.remove(bounds_of)
    of_answers = {accuracy, label_counts, absolute_error, values}
    assert {metric.measure for metric in METRICS.values()} == defined | of_answers


OF_A_CLASS = [name for name, metric in METRICS.items() if "class" in metric.kinds and not metric.sentences]


# Ranges

probabilities = st.floats(0, 1)
two = probabilities.map(lambda p: {"POS": p, "NEG": 1 - p})
ablations = st.builds(Ablation, st.just(0.1), two, two)


@st.composite
def examples(draw: st.DrawFn) -> tuple[GoldRationale, Prediction]:
    n_words = draw(st.integers(1, 12))
    start = st.integers(0, n_words - 1)
    span = start.flatmap(lambda s: st.builds(Span, st.just(s), st.integers(s + 1, n_words)))
    words = st.lists(st.booleans(), min_size=n_words, max_size=n_words)
    scores = st.lists(st.floats(allow_infinity=False), min_size=n_words, max_size=n_words)
    labels = st.sampled_from(["POS", "NEG"])
    return GoldRationale(draw(labels), n_words, draw(st.frozensets(span, max_size=4))), Prediction(
        "e",
        draw(labels),
        draw(two),
        np.array(draw(scores)),
        np.array(draw(words)),
        draw(st.none() | ablations),
        tuple(draw(st.lists(ablations, max_size=3))),
    )


@checked
@given(st.lists(examples(), min_size=1, max_size=5))
def test_every_value_and_interval_stays_in_the_documented_range(pairs):
    truths, predictions = zip(*pairs, strict=True)
    for name, metric in ((name, METRICS[name]) for name in OF_A_CLASS):
        columns = measure(name, truths, predictions)
        found = score(name, columns)
        low, high = metric.range
        assert found.n + found.left_out == len(pairs)
        for value in (found.value, found.low, found.high):
            if isnan(value):
                assert all(c is None or any(map(isnan, c)) for c in columns), name
            else:
                assert low - 1e-12 <= value <= high + 1e-12, name


# Directions: people marked 1 2 and 5 of eight words

TRUTH = GoldRationale("POS", 8, frozenset({Span(1, 3), Span(5, 6)}))


def answers(rationale: np.ndarray, label: str, p: float, without: float, only: float) -> Prediction:
    change = Ablation(0.5, {label: without}, {label: only})
    known = {"leave_one_out": TRUTH.gold.astype(float), "bounds": Bounds((-1.0, 1.0), (-1.0, 1.0))}
    scores = rationale.astype(float)
    return Prediction("e", label, {label: p}, scores, rationale, change, (change,), **known)


def value(metric: str, prediction: Prediction) -> float:
    return score(metric, measure(metric, [TRUTH], [prediction])).value


DIRECTED = [name for name in OF_A_CLASS if METRICS[name].higher_is_better is not None]


@pytest.mark.parametrize("metric", DIRECTED)
def test_the_perfect_rationale_scores_at_the_better_end(metric):
    row = METRICS[metric]
    # for sufficiency that is a model which is certain of its rationale alone, and of nothing with the rest
    p = 0.0 if "sufficiency" in metric else 1.0
    perfect = answers(TRUTH.gold, "POS", p=p, without=0.0, only=1.0)
    worst = answers(~TRUTH.gold, "NEG", p=1 - p, without=1.0, only=0.0)
    best = 1.0 if metric == "iou_f1_eraser" else row.range[1 if row.higher_is_better else 0]  # of words
    assert value(metric, perfect) == pytest.approx(best)
    assert (value(metric, perfect) > value(metric, worst)) == row.higher_is_better


@pytest.mark.parametrize("metric", DIRECTED)
def test_a_rationale_of_half_the_gold_words_is_never_better_than_the_perfect_one(metric):
    half = TRUTH.gold & (np.arange(8) > 1)
    perfect = answers(TRUTH.gold, "POS", p=0.9, without=0.1, only=0.8)
    partial = answers(half, "POS", p=0.9, without=0.5, only=0.6)
    better = value(metric, perfect) - value(metric, partial)
    assert better >= 0 if METRICS[metric].higher_is_better else better <= 0


def test_only_size_has_no_direction():
    assert {name for name, metric in METRICS.items() if metric.higher_is_better is None} == {"size"}


# Chance

N_WORDS, N_PICKED, SEEDS = 120, 24, 600
MARKED = GoldRationale("POS", N_WORDS, frozenset({Span(10, 30), Span(60, 75), Span(119, 120)}))


@pytest.fixture(scope="module")
def at_random() -> list[Prediction]:
    found = []
    for seed in range(SEEDS):
        random = np.random.default_rng(seed)
        scores = random.random(N_WORDS)
        rationale = scores >= np.sort(scores)[-N_PICKED]
        found.append(Prediction("e", "POS", {}, scores, rationale))
    return found


@pytest.mark.parametrize(
    ("metric", "chance"),
    [
        ("token_precision", 36 / 120),
        ("token_recall", 24 / 120),
        ("false_positive_rate", 24 / 120),
        ("token_f1", 2 * (24 * 36 / 120) / (24 + 36)),
        ("roc_auc", 1 / 2),
        ("size", 24 / 120),
    ],
)
def test_a_random_rationale_scores_what_chance_says(at_random, metric, chance):
    (values,) = zip(*measure(metric, [MARKED] * SEEDS, at_random), strict=True)
    standard_error = np.std(values, ddof=1) / np.sqrt(SEEDS)
    assert abs(np.mean(values) - chance) <= 4 * standard_error + 1e-12


# Folding


def test_micro_f1_pools_words_and_macro_f1_weighs_examples_alike():
    short = (GoldRationale("POS", 2, frozenset({Span(0, 1)})), mask_from_spans((Span(0, 1),), 2))
    long = (GoldRationale("POS", 20, frozenset({Span(0, 10)})), mask_from_spans((Span(9, 15),), 20))
    truths = [short[0], long[0]]
    predictions = [Prediction("e", "POS", {}, rationale * 1.0, rationale) for _, rationale in (short, long)]
    macro, micro = (score(m, measure(m, truths, predictions)).value for m in ("token_f1", "token_f1_micro"))
    assert macro == pytest.approx((1 + 2 / 16) / 2, abs=1e-15)
    assert micro == pytest.approx(2 * (1 + 1) / (1 + 6 + 1 + 10), abs=1e-15)


def test_official_iou_f1_is_the_f1_of_mean_precision_and_mean_recall():
    """Precision is a mean over examples with predictions, recall over all."""
    truths = [
        GoldRationale("POS", 9, frozenset({Span(0, 2), Span(4, 6)})),
        GoldRationale("POS", 9, frozenset({Span(0, 2)})),
        GoldRationale("POS", 9, frozenset({Span(0, 2)})),
    ]
    masks = [mask_from_spans(spans, 9) for spans in ((Span(0, 2),), (Span(0, 2), Span(5, 6)), ())]
    predictions = [Prediction("e", "POS", {}, m * 1.0, m) for m in masks]
    p, r = (1 + 1 / 2) / 2, (1 / 2 + 1 + 0) / 3
    eraser, one_to_one = "iou_f1_eraser", "iou_f1_one_to_one"
    assert score(eraser, measure(eraser, truths, predictions)).value == pytest.approx(2 * p * r / (p + r))
    found = score(one_to_one, measure(one_to_one, truths, predictions))
    assert found.value == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_f1_of_means_is_0_where_both_are_or_nothing_is_picked_and_undefined_without_either():
    means = np.array([[0.0, 0.0], [0.5, 1.0], [1.0, 0.0], [nan, 0.0], [nan, nan]])
    assert f1_of_means(means).tolist() == pytest.approx([0, 2 / 3, 0, 0, nan], nan_ok=True)


def test_where_nothing_is_picked_in_any_text_every_f1_is_0():
    gold = [GoldRationale("a", 4, frozenset({Span(0, 2)}))] * 3
    none = [Prediction(str(i), "a", {"a": 1.0}, np.arange(4.0), np.zeros(4, bool)) for i in range(3)]
    for name in ("iou_f1_eraser", "iou_f1_one_to_one", "token_f1"):
        found = score(name, measure(name, gold, none))
        assert (found.value, found.low, found.high) == (0, 0, 0)


def test_micro_f1_of_means_is_that_of_sums():
    counts = np.array([[1.0, 2.0, 4.0], [3.0, 3.0, 5.0]])
    assert micro_f1(counts.mean(axis=0)) == pytest.approx(2 * 4 / (5 + 9), abs=1e-15)


def test_a_score_says_over_how_many_examples_it_was_undefined():
    assert score("token_f1", [(0.5,), None, (0.5,), None, None]) == Score("token_f1", 0.5, 0.5, 0.5, 2, 3)


@pytest.mark.parametrize("columns", [[], [None, None]])
def test_a_metric_undefined_everywhere_has_no_value(columns):
    found = score("token_f1", columns)
    assert all(map(isnan, (found.value, found.low, found.high)))
    assert (found.n, found.left_out) == (0, len(columns))


def test_intervals_follow_the_seed():
    columns = [(x,) for x in np.random.default_rng(0).random(40)]
    assert score("token_f1", columns, seed=1) == score("token_f1", columns, seed=1)
    assert score("token_f1", columns, seed=1).low != score("token_f1", columns, seed=2).low


def test_methods_are_compared_on_the_examples_where_both_are_defined():
    ours = [(1.0,), None, (0.75,), (0.0,)]
    theirs = [(0.5,), (1.0,), (0.25,), None]
    assert compare("token_f1", ours, theirs) == Estimate(0.5, 0.5, 0.5, 2)
    assert compare("token_f1", theirs, ours) == Estimate(-0.5, -0.5, -0.5, 2)


def test_methods_without_a_common_example_are_not_compared():
    found = compare("token_f1", [(1.0,), None], [None, (1.0,)])
    assert found.n == 0
    assert isnan(found.value)
    assert found.spans_zero


@pytest.mark.parametrize("metric", OF_A_CLASS)
def test_a_method_compared_with_itself_is_a_tie(metric):
    predictions = [answers(TRUTH.gold, "POS", 0.7, 0.2, 0.6), answers(~TRUTH.gold, "NEG", 0.9, 0.3, 0.1)]
    columns = measure(metric, [TRUTH] * 2, predictions)
    found = compare(metric, columns, columns)
    assert found == Estimate(0.0, 0.0, 0.0, 2)
    assert found.spans_zero


def test_truths_and_predictions_must_be_as_many():
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is shorter than argument 1"):
        measure("token_f1", [TRUTH] * 2, [answers(TRUTH.gold, "POS", 1, 0, 1)])
    with pytest.raises(ValueError, match="both need the same examples, got 1 and 2"):
        compare("token_f1", [(1.0,)], [(1.0,), (1.0,)])


def test_measuring_changes_nothing():
    prediction = answers(TRUTH.gold, "POS", 0.7, 0.2, 0.6)
    prediction = replace(prediction, scores=np.where(np.arange(8) == 3, nan, prediction.scores))
    scores, rationale = prediction.scores.copy(), prediction.rationale.copy()
    for metric in METRICS:
        measure(metric, [TRUTH], [prediction])
    assert prediction.scores.tolist() == pytest.approx(scores.tolist(), nan_ok=True)
    assert prediction.rationale.tolist() == rationale.tolist()

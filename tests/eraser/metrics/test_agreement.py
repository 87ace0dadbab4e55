from __future__ import annotations

import gzip
import json
from math import isnan, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eraser import Ablation, GoldRationale, Prediction, Span
from eraser.load import load
from eraser.metrics import agreement as a
from eraser.metrics.table import measure, score
from eraser.types import mask_from_spans
from tests.helpers.paths import data, golden
from tests.oracles import agreement as oracle

checked = settings(deadline=None, derandomize=True, database=None, max_examples=100)


def truth(n_words: int, *spans: tuple[int, int]) -> GoldRationale:
    return GoldRationale("POS", n_words, frozenset(Span(start, end) for start, end in spans))


def picks(n_words: int, *words: int) -> Prediction:
    """A prediction that picks these words."""
    rationale = np.isin(np.arange(n_words), words)
    return Prediction("e", "POS", {"POS": 1.0}, rationale.astype(float), rationale)


def scores(*values: float) -> Prediction:
    """A prediction with these scores that picks nothing."""
    return Prediction("e", "POS", {"POS": 1.0}, np.array(values), np.zeros(len(values), dtype=bool))


# Worked by hand. Ten words, gold 2 3 4 and 7; picked 3 4 5 and 9: hits 3 4

GOLD = truth(10, (2, 5), (7, 8))
PICKED = picks(10, 3, 4, 5, 9)


@pytest.mark.parametrize(
    ("metric", "columns"),
    [
        (a.token_counts, (2, 4, 4)),
        (a.token_precision, (2 / 4,)),
        (a.token_recall, (2 / 4,)),
        (a.token_f1, (4 / 8,)),
        (a.token_iou, (2 / 6,)),
        (a.iou_eraser, (1 / 2, 1 / 2)),  # 3-6 on 2-5: 2 words of 4; 9 on nothing
        (a.iou_f1_one_to_one, (2 / 4,)),
        (a.false_positive_rate, (2 / 6,)),
        (a.size, (4 / 10,)),
    ],
)
def test_rationales_worked_by_hand(metric, columns):
    assert metric(GOLD, PICKED) == columns


@pytest.mark.parametrize(
    ("metric", "columns"),
    [
        (a.token_counts, (0, 0, 4)),
        (a.token_precision, (0,)),
        (a.token_recall, (0,)),
        (a.token_f1, (0,)),
        (a.token_iou, (0,)),
        (a.iou_f1_one_to_one, (0,)),
        (a.false_positive_rate, (0,)),
        (a.size, (0,)),
    ],
)
def test_nothing_picked(metric, columns):
    assert metric(GOLD, picks(10)) == columns


def test_nothing_picked_has_no_span_precision_but_recall_0():
    precision, recall = a.iou_eraser(GOLD, picks(10)) or ()
    assert isnan(precision)
    assert recall == 0


# Four words, gold 0 and 2. Ranked 0 1 2 3: precision 1, 1/2, 2/3, 1/2 at recall 1/2, 1/2, 1, 1
RANKED = truth(4, (0, 1), (2, 3))


@pytest.mark.parametrize(
    ("metric", "values", "expected"),
    [
        (a.ranking_average_precision, (0.9, 0.5, 0.4, -1.0), (1 + 2 / 3) / 2),
        (a.ranking_auprc, (0.9, 0.5, 0.4, -1.0), 1 / 2 + (1 / 2 + 2 / 3) / 2 / 2),
        (a.ranking_roc_auc, (0.9, 0.5, 0.4, -1.0), 3 / 4),
        (a.ranking_average_precision, (7, 7, 7, 7), 1 / 2),
        (a.ranking_auprc, (7, 7, 7, 7), 3 / 4),
        (a.ranking_roc_auc, (7, 7, 7, 7), 1 / 2),
        (a.ranking_average_precision, (0.9, 0.4, 0.4, 0.4), (1 + 2 / 4) / 2),
        (a.ranking_auprc, (0.9, 0.4, 0.4, 0.4), 1 / 2 + (1 + 1 / 2) / 2 / 2),
        (a.ranking_roc_auc, (0.9, 0.4, 0.4, 0.4), (2 + 2 / 2) / 4),
        (a.ranking_average_precision, (0, 1, 0, 1), 1 / 2),
        (a.ranking_auprc, (0, 1, 0, 1), 1 / 4),
        (a.ranking_roc_auc, (0, 1, 0, 1), 0),
    ],
)
def test_rankings_worked_by_hand(metric, values, expected):
    (found,) = metric(RANKED, scores(*values))
    assert found == pytest.approx(expected, abs=1e-15)


RATIONALE_METRICS = [
    (a.token_counts, oracle.token_counts),
    (a.token_precision, oracle.token_precision),
    (a.token_recall, oracle.token_recall),
    (a.token_f1, oracle.token_f1),
    (a.token_iou, oracle.token_iou),
    (a.iou_eraser, oracle.iou_eraser),
    (a.iou_f1_one_to_one, oracle.iou_f1_one_to_one),
    (a.false_positive_rate, oracle.false_positive_rate),
    (a.size, oracle.size),
]
RANKING_METRICS = [
    (a.ranking_average_precision, oracle.average_precision),
    (a.ranking_auprc, oracle.auprc),
    (a.ranking_roc_auc, oracle.roc_auc),
]


@st.composite
def marked(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    """A number of words, and spans over them that may touch and overlap."""
    n_words = draw(st.integers(1, 14))
    start = st.integers(0, n_words - 1)
    span = start.flatmap(lambda s: st.tuples(st.just(s), st.integers(s + 1, n_words)))
    return n_words, draw(st.lists(span, max_size=4, unique=True))


def same(found: a.MetricColumns, expected: tuple[float, ...] | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return found == pytest.approx(expected, abs=1e-12, nan_ok=True)


@checked
@given(marked(), st.data())
def test_rationales_agree_with_the_slow_definitions(gold, data):
    n_words, spans = gold
    picked = data.draw(st.lists(st.booleans(), min_size=n_words, max_size=n_words))
    human, prediction = truth(n_words, *spans), picks(n_words, *np.flatnonzero(picked))
    for metric, slow in RATIONALE_METRICS:
        assert same(metric(human, prediction), slow(spans, picked)), metric.__name__


@checked
@given(marked(), st.data())
def test_rankings_agree_with_the_slow_definitions(gold, data):
    n_words, spans = gold
    few = st.sampled_from([-2.0, 0.0, 0.5, 1.0, nan])  # many ties
    any_score = st.floats(allow_nan=True, allow_infinity=False)
    values = data.draw(st.lists(few | any_score, min_size=n_words, max_size=n_words))
    for metric, slow in RANKING_METRICS:
        assert same(metric(truth(n_words, *spans), scores(*values)), slow(spans, values)), metric.__name__


@checked
@given(marked(), st.data())
def test_a_run_hits_its_own_gold_span_so_no_share_of_hits_exceeds_1(gold, data):
    n_words, spans = gold
    picked = data.draw(st.lists(st.booleans(), min_size=n_words, max_size=n_words))
    human, prediction = truth(n_words, *spans), picks(n_words, *np.flatnonzero(picked))
    if not spans or not any(picked):
        return
    precision, recall = a.iou_eraser(human, prediction) or ()
    (one_to_one,) = a.iou_f1_one_to_one(human, prediction) or ()
    assert 0 <= precision <= 1
    assert 0 <= recall <= 1
    both = precision + recall
    assert one_to_one == pytest.approx(2 * precision * recall / both if both else 0, abs=1e-12)


def test_two_predictions_that_halve_a_gold_span_are_one_run_here():
    """The official scorer counts two hits on one gold span: recall 2, F1 1.33."""
    halves = frozenset({Span(2, 4), Span(4, 6)})
    human, rationale = truth(8, (2, 6)), mask_from_spans(halves, 8)
    assert [max(h.iou(g) for g in human.spans) for h in halves] == [0.5, 0.5]
    prediction = Prediction("e", "POS", {}, rationale.astype(float), rationale)
    assert a.iou_eraser(human, prediction) == (1, 1)
    assert a.iou_f1_one_to_one(human, prediction) == (1,)


def test_gold_spans_that_touch_stay_two_but_a_prediction_of_both_is_one_run():
    human = truth(8, (2, 4), (4, 6))
    assert a.iou_eraser(human, picks(8, 2, 3, 4, 5)) == (1, 1 / 2)
    assert a.iou_f1_one_to_one(human, picks(8, 2, 3, 4, 5)) == (2 / 3,)


@pytest.mark.parametrize(("end", "hit"), [(4, 1), (3, 0)])
def test_an_iou_of_exactly_one_half_is_a_hit(end, hit):
    assert a.iou_eraser(truth(10, (0, 8)), picks(10, *range(end))) == (hit, hit)


def test_words_never_read_rank_below_every_score_however_low():
    human = truth(3, (0, 1))
    for value in (-5.0, 0.0, -1e300, 1e17, -1e17):
        assert a.ranking_roc_auc(human, scores(value, nan, nan)) == (1,)
        assert a.ranking_roc_auc(human, scores(nan, value, value)) == (0,)
    assert a.ranking_roc_auc(human, scores(nan, nan, nan)) == (1 / 2,)
    assert a.ranking_auprc(human, scores(nan, nan, nan)) == (pytest.approx((1 + 1 / 3) / 2),)


EVERY = [metric for metric, _ in RATIONALE_METRICS + RANKING_METRICS]


@pytest.mark.parametrize("metric", [m for m in EVERY if m is not a.size], ids=lambda m: m.__name__)
def test_without_human_evidence_no_agreement_is_defined(metric):
    assert metric(truth(3), picks(3, 1)) is None


@pytest.mark.parametrize("metric", EVERY, ids=lambda m: m.__name__)
def test_of_a_text_without_words_nothing_is_defined(metric):
    assert metric(truth(0), picks(0)) is None


@pytest.mark.parametrize("metric", EVERY, ids=lambda m: m.__name__)
def test_where_every_word_is_gold_only_other_words_are_missed(metric):
    needs_others = (a.false_positive_rate, a.ranking_average_precision, a.ranking_roc_auc)
    assert (metric(truth(3, (0, 3)), picks(3, 1)) is None) == (metric in needs_others)


def test_undefined_examples_are_left_out_and_counted():
    truths = [truth(2, (0, 1)), truth(2), truth(2, (0, 2)), truth(2, (1, 2))]
    predictions = [picks(2, 1), picks(2, 1), picks(2, 1), picks(2, 0, 1)]
    for metric, value, n in (
        ("token_recall", (0 + 1 / 2 + 1) / 3, 3),
        ("false_positive_rate", 1.0, 2),
        ("roc_auc", (0 + 1 / 2) / 2, 2),
        ("size", (1 / 2 + 1 / 2 + 1 / 2 + 1) / 4, 4),
    ):
        found = score(metric, measure(metric, truths, predictions))
        assert (found.value, found.n, found.left_out) == (pytest.approx(value), n, 4 - n), metric


# The official scorer's own numbers on real data


@pytest.fixture(scope="module")
def movies() -> tuple[list[GoldRationale], list[Prediction]]:
    with gzip.open(golden() / "scorer" / "movies_visible_predictions.jsonl.gz", "rt") as lines:
        records = {r["annotation_id"]: r for r in map(json.loads, lines)}
    dataset = load("movies", data("movies"), ["test"])
    examples = dataset.splits["test"]
    truths = [dataset.truth(e) for e in examples]
    return truths, [parsed(records[e.id], t.n_words) for e, t in zip(examples, truths, strict=True)]


def parsed(record: dict[str, Any], n_words: int) -> Prediction:
    (only,) = record["rationales"]
    rationale = np.zeros(n_words, dtype=bool)
    for span in only["hard_rationale_predictions"]:  # some of them without words
        rationale[span["start_token"] : span["end_token"]] = True
    thresholds = {0.01, 0.05, 0.1, 0.2, 0.5}
    return Prediction(
        record["annotation_id"],
        record["classification"],
        record["classification_scores"],
        np.array(only["soft_rationale_predictions"], dtype=float),
        rationale,
        ablation(record, 0),
        tuple(
            ablation(r, r["threshold"]) for r in record["thresholded_scores"] if r["threshold"] in thresholds
        ),
    )


def ablation(record: dict[str, Any], fraction: float) -> Ablation:
    without = record["comprehensiveness_classification_scores"]
    return Ablation(fraction, without, record["sufficiency_classification_scores"])


@pytest.mark.parametrize(
    ("metric", "path"),
    [
        ("accuracy", ("classification_scores", "accuracy")),
        ("token_f1", ("token_prf", "instance_macro", "f1")),
        ("token_precision", ("token_prf", "instance_macro", "p")),
        ("token_recall", ("token_prf", "instance_macro", "r")),
        ("token_f1_micro", ("token_prf", "instance_micro", "f1")),
        ("auprc_trapezoid", ("token_soft_metrics", "auprc")),
        ("average_precision", ("token_soft_metrics", "average_precision")),
        ("roc_auc", ("token_soft_metrics", "roc_auc_score")),
        ("comprehensiveness", ("classification_scores", "comprehensiveness")),
        ("sufficiency", ("classification_scores", "sufficiency")),
        ("aopc_comprehensiveness", ("classification_scores", "comprehensiveness_aopc")),
        ("aopc_sufficiency", ("classification_scores", "sufficiency_aopc")),
    ],
)
def test_scores_of_real_predictions_are_the_official_scorers(movies, metric, path):
    expected = json.loads((golden() / "scorer" / "movies_visible_official_scores.json").read_text())
    for key in path:
        expected = expected[key]
    found = score(metric, measure(metric, *movies))
    assert found.value == pytest.approx(expected, abs=1e-9)
    assert (found.n, found.left_out) == (199, 0)

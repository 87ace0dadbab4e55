from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from eraser.metrics import ranking
from eraser.official.records import ScorerInputs, ScorerOptions
from eraser.official.scorer import score_records
from tests.helpers.eraser.prediction_files import annotation, assert_same, prediction, rationale
from tests.oracles import ranking as oracle
from tests.oracles import spans as span_oracle

checked = settings(deadline=None, derandomize=True, database=None, max_examples=100)

levels = st.one_of(st.integers(0, 3).map(float), st.floats(-1e6, 1e6), st.sampled_from([0.0, -0.0, 1e-300]))
texts = st.lists(st.tuples(st.booleans(), levels), min_size=1, max_size=12)
METRICS = ["auprc_trapezoid", "average_precision", "roc_auc"]


@pytest.mark.parametrize("source", ["", "sklearn_"])
@pytest.mark.parametrize("metric", METRICS)
@checked
@given(text=texts)
def test_ranking_metrics_are_the_slow_ones(metric, source, text):
    gold, scores = map(list, zip(*text, strict=True))
    expected = getattr(oracle, source + metric)(gold, scores)
    found = getattr(ranking, metric)(np.array(gold), np.array(scores))
    assert isnan(found) if expected is None else found == pytest.approx(expected, abs=1e-12)


@checked
@given(several=st.lists(texts, min_size=1, max_size=5))
def test_many_texts_at_once_are_each_by_itself(several):
    golds = [np.array([g for g, _ in text]) for text in several]
    scores = [np.array([s for _, s in text]) for text in several]
    found = ranking.rank_texts(golds, scores)
    for metric in METRICS:
        one_by_one = [getattr(ranking, metric)(g, s) for g, s in zip(golds, scores, strict=True)]
        np.testing.assert_array_equal(getattr(found, metric), one_by_one)
    assert found.n_words.tolist() == [len(text) for text in several]
    assert found.n_gold.tolist() == [sum(g for g, _ in text) for text in several]


def test_ranking_refuses_words_without_a_score():
    with pytest.raises(ValueError, match="expected a score for every word, got NaN"):
        ranking.roc_auc(np.array([True, False]), np.array([nan, 1.0]))


spans = st.tuples(st.integers(0, 3), st.integers(-3, 9), st.integers(-3, 9))


@checked
@given(
    gold=st.sets(spans, max_size=8),
    predicted=st.sets(spans, max_size=8),
    threshold=st.sampled_from([0.1, 0.5, 1]),
)
def test_hard_block_is_the_slow_one(gold, predicted, threshold):
    """Spans of one pair are predicted in rationales of their own, as those of one may not overlap."""
    assume(span_oracle.tokens(gold))
    assume(span_oracle.tokens(predicted))
    annotations = [annotation(f"a{pair}", "X", ("d", a, b)) for pair, a, b in sorted(gold)]
    by_pair = {}
    for pair, a, b in sorted(predicted):
        by_pair.setdefault(pair, []).append(rationale("d", [(a, b)]))
    predictions = [
        (n, prediction(f"a{pair}", *own)) for n, (pair, own) in enumerate(by_pair.items(), start=1)
    ]
    found = score_records(ScorerInputs(annotations, {"d": (9,)}, predictions), ScorerOptions((threshold,)))
    assert_same(found["iou_scores"], [span_oracle.iou_score(predicted, gold, threshold)])
    assert_same(found["rationale_prf"], span_oracle.prf(predicted, gold))
    tokens = span_oracle.prf(span_oracle.tokens(predicted), span_oracle.tokens(gold))
    assert_same(found["token_prf"], tokens)

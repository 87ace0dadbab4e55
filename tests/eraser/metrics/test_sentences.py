"""Agreement on whole sentences: by hand, against a slow rewrite, and with a query's sentence left out."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eraser import GoldRationale, Prediction, Span
from eraser.metrics.agreement import iou_eraser
from eraser.metrics.table import METRICS, measure, score
from eraser.official.records import ScorerInputs
from eraser.official.scorer import score_records
from eraser.spans import cut_at, sentences_with
from tests.oracles import ranking

OF_SENTENCES = [name for name, metric in METRICS.items() if metric.sentences]

# Ten words, four sentences: 0 1 2 | 3 4 | 5 6 7 8 | 9. Marked: words 1, 3 and 4: the first two sentences.
STARTS = (0, 3, 5, 9)
TRUTH = GoldRationale("POS", 10, frozenset({Span(1, 2), Span(3, 5)}), sentence_starts=STARTS)
PICKED = np.array([False] * 3 + [True] * 6 + [False])  # the second sentence and the third
PREDICTION = Prediction(
    "e", "POS", {"POS": 1.0}, np.zeros(10), PICKED, sentence_scores=np.array([0.1, 0.9, 0.5, np.nan])
)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("sentence_precision", 1 / 2),  # of second and third the second is marked
        ("sentence_recall", 1 / 2),  # of first and second the second is picked
        ("sentence_f1", 1 / 2),
        ("sentence_average_precision", (1 / 1 + 2 / 3) / 2),  # ranks: second, third, first, unread
        ("sentence_auprc", ((1 + 1) / 2 + (1 / 2 + 2 / 3) / 2) / 2),
        ("sentence_roc_auc", 3 / 4),  # second above both others, first above the unread one alone
    ],
)
def test_by_hand(metric, expected):
    assert score(metric, measure(metric, [TRUTH], [PREDICTION])).value == pytest.approx(expected)


@pytest.mark.parametrize("metric", OF_SENTENCES)
def test_no_answer_without_picked_sentences_or_marks(metric):
    assert measure(metric, [TRUTH], [replace(PREDICTION, sentence_scores=None)]) == [None]
    assert measure(metric, [replace(TRUTH, spans=frozenset())], [PREDICTION]) == [None]


@pytest.mark.parametrize("metric", OF_SENTENCES)
def test_a_sentence_of_the_query_counts_on_neither_side(metric):
    """The same with a query of two words, one sentence, before it, picked and ranked first."""
    spans = frozenset(Span(s.start + 2, s.end + 2) for s in TRUTH.spans)
    truth = GoldRationale("POS", 12, spans, unasked=2, sentence_starts=(0, *(start + 2 for start in STARTS)))
    prediction = replace(
        PREDICTION,
        scores=np.zeros(12),
        rationale=np.concatenate(([True, True], PICKED)),
        sentence_scores=np.concatenate(([7.0], PREDICTION.sentence_scores)),
    )
    assert measure(metric, [truth], [prediction]) == measure(metric, [TRUTH], [PREDICTION])


def test_each_picked_sentence_is_a_span():
    assert iou_eraser(TRUTH, PREDICTION) == (1 / 2, 1 / 2)  # 3 4 hits, 5 to 8 does not
    as_words = replace(PREDICTION, sentence_scores=None)
    assert iou_eraser(TRUTH, as_words) == (0.0, 0.0)  # one run of six words, 2 / 6 of it gold


def test_spans_are_cut_where_sentences_begin():
    assert cut_at((Span(1, 6), Span(9, 10)), STARTS) == (Span(1, 3), Span(3, 5), Span(5, 6), Span(9, 10))


def test_a_sentence_without_words_holds_none():
    assert sentences_with(np.array([True, True]), (0, 0, 2)).tolist() == [False, True, False]


@st.composite
def texts(draw):
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=8))
    gold = draw(st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths)))
    numbers = st.sampled_from([0.0, 0.5, 1.0, 2.0])
    return lengths, gold, draw(st.lists(numbers, min_size=len(lengths), max_size=len(lengths)))


def test_two_sentences_that_halve_a_marked_span_both_hit_it_as_in_the_official_scorer():
    truth = GoldRationale("POS", 8, frozenset({Span(0, 4)}), sentence_starts=(0, 2, 4))
    picked = np.arange(8) < 4
    halves = replace(PREDICTION, scores=np.zeros(8), rationale=picked, sentence_scores=np.array([1, 1, 0.0]))
    assert measure("iou_f1_eraser", [truth], [halves]) == [(1.0, 2.0)]
    assert measure("iou_f1_eraser", [truth], [replace(halves, sentence_scores=None)]) == [(1.0, 1.0)]
    found = score("iou_f1_eraser", measure("iou_f1_eraser", [truth], [halves])).value
    assert found == pytest.approx(METRICS["iou_f1_eraser"].range[1])
    spans = [{"start_token": a, "end_token": b} for a, b in ((0, 2), (2, 4))]
    gold = {"annotation_id": "e", "query": "", "classification": "POS",
            "evidences": [[{"docid": "e", "text": "", "start_token": 0, "end_token": 4}]]}  # fmt: skip
    told = {"annotation_id": "e", "rationales": [{"docid": "e", "hard_rationale_predictions": spans}]}
    official = score_records(ScorerInputs([gold], {"e": (8,)}, [(1, told)]))
    assert official["iou_scores"][0]["macro"]["f1"] == pytest.approx(found)


@settings(deadline=None, derandomize=True, database=None, max_examples=200)
@given(texts())
def test_rankings_are_those_of_the_slow_rewrite(found):
    lengths, gold, scores = found
    starts = tuple(int(n) for n in np.cumsum([0, *lengths])[:-1])
    spans = frozenset(Span(start, start + 1) for start, marked in zip(starts, gold, strict=True) if marked)
    n_words = sum(lengths)
    truth = GoldRationale("POS", n_words, spans, sentence_starts=starts)
    prediction = replace(
        PREDICTION,
        scores=np.zeros(n_words),
        rationale=np.zeros(n_words, dtype=bool),
        sentence_scores=np.array(scores),
    )
    for metric, slow in (
        ("sentence_auprc", ranking.auprc_trapezoid),
        ("sentence_average_precision", ranking.average_precision),
        ("sentence_roc_auc", ranking.roc_auc),
    ):
        expected = slow(gold, scores)
        undefined = expected is None or (all(gold) and metric != "sentence_auprc")
        (columns,) = measure(metric, [truth], [prediction])
        assert columns is None if undefined else columns[0] == pytest.approx(expected)
    assert measure("sentence_f1", [truth], [prediction]) == [(0.0,) if any(gold) else None]
    precision = score("sentence_precision", measure("sentence_precision", [truth], [prediction])).value
    assert precision == 0.0 or isnan(precision)

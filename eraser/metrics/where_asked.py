"""Agreement counts only what annotators could mark: not a query's words, even if these have scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps

from eraser.types import GoldRationale, Prediction

Measure = Callable[[GoldRationale, Prediction], tuple[float, ...] | None]


def where_asked(measure: Measure) -> Measure:
    """Let a metric look only at the words and sentences that annotators could mark."""

    @wraps(measure)
    def measured(truth: GoldRationale, prediction: Prediction) -> tuple[float, ...] | None:
        return measure(truth.asked(), _asked(truth, prediction))

    return measured


def _asked(truth: GoldRationale, prediction: Prediction) -> Prediction:
    """Return a prediction of the documents alone."""
    if not (words := truth.unasked):
        return prediction
    before = sum(start < words for start in truth.sentence_starts)
    sentences = prediction.sentence_scores
    return replace(
        prediction,
        scores=prediction.scores[words:],
        rationale=prediction.rationale[words:],
        sentence_scores=None if sentences is None else sentences[before:],
    )

"""Do the selected words agree with the human rationale? One example at a time.

Every function takes (truth, prediction) and returns the columns that its metric folds (table.py), or None
where the metric is undefined: no word, or every word, is marked. The words of a query, in which annotators
could not mark any, are left out.
"""

from __future__ import annotations

import numpy as np

from eraser.metrics.ranking import auprc_trapezoid, average_precision, roc_auc
from eraser.metrics.where_asked import where_asked
from eraser.spans import Span, cut_at, runs
from eraser.types import Floats, GoldRationale, Prediction

MetricColumns = tuple[float, ...] | None
IOU = 0.5


def _picked(truth: GoldRationale, prediction: Prediction) -> tuple[Span, ...]:
    """Return the picked spans: runs of picked words, or each sentence where sentences are picked."""
    found = runs(prediction.rationale)
    return found if prediction.sentence_scores is None else cut_at(found, truth.sentence_starts)


@where_asked
def token_counts(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return words (hit, picked, gold)."""
    if not truth.spans:
        return None
    selected, gold = prediction.rationale, truth.gold
    return float((selected & gold).sum()), float(selected.sum()), float(gold.sum())


def token_precision(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return hit / picked words; 0 where none is picked, as the official scorer has it."""
    counts = token_counts(truth, prediction)
    return None if counts is None else (counts[0] / counts[1] if counts[1] else 0.0,)


def token_recall(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return hit / gold words."""
    counts = token_counts(truth, prediction)
    return None if counts is None else (counts[0] / counts[2],)


def token_f1(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return 2 hit / (picked + gold)."""
    counts = token_counts(truth, prediction)
    return None if counts is None else (2 * counts[0] / (counts[1] + counts[2]),)


def token_iou(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return words both picked and gold / words either."""
    counts = token_counts(truth, prediction)
    return None if counts is None else (counts[0] / (counts[1] + counts[2] - counts[0]),)


@where_asked
def iou_eraser(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return (hits / predicted spans, hits / gold spans), hits in the official sense.

    A predicted span, a run of picked words or a picked sentence, hits if its best IOU with a gold span is at
    least 0.5. Two halves of a gold span both hit it in the official scorer, so that its recall can exceed 1.
    So it is here of sentences, where it is at most 2 and F1 4/3; words that touch are one run, and no two
    runs can cover half of the same span. NaN where there is no predicted span.
    """
    if not truth.spans:
        return None
    predicted = _picked(truth, prediction)
    hits = sum(max(p.iou(g) for g in truth.spans) >= IOU for p in predicted)
    return (hits / len(predicted) if predicted else np.nan), hits / len(truth.spans)


@where_asked
def iou_f1_one_to_one(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return 2 matches / (predicted + gold spans) for the largest one-to-one matching at IOU >= 0.5."""
    if not truth.spans:
        return None
    from scipy.optimize import linear_sum_assignment  # slow to import, and only this metric needs it

    predicted = _picked(truth, prediction)
    fits = np.array([[p.iou(g) >= IOU for g in sorted(truth.spans)] for p in predicted], dtype=float)
    if not predicted:
        return (0.0,)
    rows, columns = linear_sum_assignment(fits, maximize=True)
    return (2 * float(fits[rows, columns].sum()) / (len(predicted) + len(truth.spans)),)


@where_asked
def false_positive_rate(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return picked non-gold words / non-gold words."""
    if not truth.spans or truth.gold.all():
        return None
    return (float(prediction.rationale[~truth.gold].mean()),)


def size(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return the share of words picked."""
    return (float(prediction.rationale.mean()),) if len(prediction.rationale) else None


def _ranked(prediction: Prediction) -> Floats:
    """Return the scores with unread words below all others."""
    return np.where(np.isnan(prediction.scores), -np.inf, prediction.scores)


@where_asked
def ranking_average_precision(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return average precision of the ranking of words; its mean over examples is mAP."""
    if not truth.spans or truth.gold.all():
        return None
    return (average_precision(truth.gold, _ranked(prediction)),)


@where_asked
def ranking_auprc(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return the area under precision and recall by trapezoids: 0.5 + share/2 for constant scores."""
    if not truth.spans:
        return None
    return (auprc_trapezoid(truth.gold, _ranked(prediction)),)


@where_asked
def ranking_roc_auc(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return the share of (gold, other) word pairs in the right order, ties half."""
    if not truth.spans or truth.gold.all():
        return None
    return (roc_auc(truth.gold, _ranked(prediction)),)

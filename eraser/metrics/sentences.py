"""Do the selected sentences agree with the human evidence? One example at a time, as agreement.py has words.

A sentence is evidence where any of its words is marked: of MultiRC and FEVER, whose evidence is whole
sentences, the same as the `start_sentence` and `end_sentence` that the official scorer reads. Every function
returns None where no sentences were picked, too: a run of words has no sentence scores.
Axis: S sentence.
"""

from __future__ import annotations

import numpy as np

from eraser.metrics.agreement import MetricColumns
from eraser.metrics.ranking import auprc_trapezoid, average_precision, roc_auc
from eraser.metrics.where_asked import where_asked
from eraser.spans import sentences_with
from eraser.types import Floats, GoldRationale, Prediction


@where_asked
def _counts(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return sentences (hit, picked, gold)."""
    if not truth.spans or prediction.sentence_scores is None:
        return None
    gold, selected = truth.gold_sentences, sentences_with(prediction.rationale, truth.sentence_starts)
    return float((selected & gold).sum()), float(selected.sum()), float(gold.sum())


def sentence_precision(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return hit / picked sentences; 0 where none is picked."""
    counts = _counts(truth, prediction)
    return None if counts is None else (counts[0] / counts[1] if counts[1] else 0.0,)


def sentence_recall(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return hit / gold sentences."""
    counts = _counts(truth, prediction)
    return None if counts is None else (counts[0] / counts[2],)


def sentence_f1(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return 2 hit / (picked + gold sentences)."""
    counts = _counts(truth, prediction)
    return None if counts is None else (2 * counts[0] / (counts[1] + counts[2]),)


def _ranked(prediction: Prediction) -> Floats | None:
    """Return the sentences' scores [S], those of sentences that were not read below all others."""
    scores = prediction.sentence_scores
    return None if scores is None else np.where(np.isnan(scores), -np.inf, scores)


@where_asked
def sentence_average_precision(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return average precision of the ranking of sentences."""
    scores, gold = _ranked(prediction), truth.gold_sentences
    return None if scores is None or not truth.spans or gold.all() else (average_precision(gold, scores),)


@where_asked
def sentence_auprc(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return the area under precision and recall of sentences by trapezoids."""
    scores = _ranked(prediction)
    return None if scores is None or not truth.spans else (auprc_trapezoid(truth.gold_sentences, scores),)


@where_asked
def sentence_roc_auc(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return the share of (gold, other) sentence pairs in the right order, ties half."""
    scores, gold = _ranked(prediction), truth.gold_sentences
    return None if scores is None or not truth.spans or gold.all() else (roc_auc(gold, scores),)

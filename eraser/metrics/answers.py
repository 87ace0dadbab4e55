"""Metrics of predictions: one class, a set of labels, or a number, against the human label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eraser.labels import number_of, split_labels
from eraser.metrics.agreement import MetricColumns
from eraser.types import Floats, GoldRationale, Prediction

CONSTANT = 1e-12  # a variance of no more, of standardised numbers, is none


def marked_for(truth: GoldRationale, label: str) -> GoldRationale:
    """Return the gold label and marks, without the marks where they speak for other labels than this one."""
    return truth if label in split_labels(truth.label) else replace(truth, spans=frozenset())


def accuracy(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return 1 where the predicted label is the human one; of several labels where all are, and no other."""
    if prediction.kind == "labels":
        return (float(set(split_labels(prediction.label)) == set(split_labels(truth.label))),)
    return (float(prediction.label == truth.label),)


def label_counts(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return for each label of the model in turn whether it is (hit, predicted, human)."""
    predicted, gold = set(split_labels(prediction.label)), set(split_labels(truth.label))
    of_label = ((x in predicted & gold, x in predicted, x in gold) for x in prediction.probs)
    return tuple(float(n) for counts in of_label for n in counts)


def micro_over_labels(means: Floats) -> Floats:
    """Fold label counts [...,3·labels]: F1 of the counts of all labels together, 0 if there are none."""
    hit, predicted, gold = (means[..., i::3].sum(-1) for i in range(3))
    return _f1(hit, predicted, gold)


def macro_over_labels(means: Floats) -> Floats:
    """Fold label counts [...,3·labels]: the mean over labels of F1, 0 for a label that no annotator gave."""
    found: Floats = _f1(*(means[..., i::3] for i in range(3))).mean(-1)
    return found


def _f1(hit: Floats, predicted: Floats, gold: Floats) -> Floats:
    both = predicted + gold
    found: Floats = np.where(both > 0, 2 * hit / np.where(both > 0, both, 1.0), 0.0)
    return found


def values(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return the two numbers (predicted, human); None where annotators gave none."""
    gold = number_of(truth.label)
    return None if gold is None else (float(prediction.probs[prediction.subject]), gold)


def absolute_error(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return |predicted − human|; None where annotators gave no number."""
    pair = values(truth, prediction)
    return None if pair is None else (abs(pair[0] - pair[1]),)


def moments(pairs: Floats) -> Floats:
    """Return standardised pairs [N,2] as (x, y, xx, yy, xy) [N,5]; `correlation` folds their means."""
    spread = pairs.std(axis=0)
    x, y = ((pairs - pairs.mean(axis=0)) / np.where(spread > 0, spread, 1.0)).T
    return np.stack([x, y, x * x, y * y, x * y], axis=1)


def rank_moments(pairs: Floats) -> Floats:
    """Return the moments [N,5] of the ranks of pairs [N,2]; resamples keep the ranks among all examples."""
    from scipy.stats import rankdata  # slow to import, and only this metric needs it

    return moments(np.stack([rankdata(column) for column in pairs.T], axis=1))


def correlation(means: Floats) -> Floats:
    """Fold moments [...,5]: Pearson's correlation, NaN where either is constant."""
    x, y, xx, yy, xy = (means[..., i] for i in range(5))
    spread = np.stack([xx - x * x, yy - y * y])
    product = np.where((spread > CONSTANT).all(axis=0), spread.prod(axis=0), np.nan)
    found: Floats = np.clip((xy - x * y) / np.sqrt(product), -1, 1)  # rounding may pass them
    return found

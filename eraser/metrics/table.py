"""METRICS: every metric that this package reports, one row each.

A metric measures one example at a time, giving K columns; the columns' means over examples are folded
to the reported value. To add one: a function (truth, prediction) → columns, and a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eraser.metrics import agreement as a
from eraser.metrics import answers as w
from eraser.metrics import faithfulness as f
from eraser.metrics import sentences as se
from eraser.metrics.bootstrap import Estimate, Fold, difference, estimate
from eraser.types import Dataset, Example, Floats, GoldRationale, Kind, Mask, Prediction

Measured = Sequence[a.MetricColumns] | Floats  # what `measure` found, or the same as an array (`rows_of`)
NOTHING = Estimate(np.nan, np.nan, np.nan, 0)
Needs = Literal["label", "rationale", "scores", "ablations"]


def mean(means: Floats) -> Floats:
    """Fold one column: its mean."""
    return means[..., 0]


def f1_of_means(means: Floats) -> Floats:
    """Fold columns (precision, recall): F1 of their means, 0 where both are 0 or nothing was ever picked."""
    p, r = means[..., 0], means[..., 1]
    nothing_picked = np.isnan(p) & ~np.isnan(r)  # no text has a precision, but there is something to find
    p = np.where(nothing_picked, 0.0, p)
    total = p + r
    f1 = 2 * p * r / np.where(total == 0, 1.0, total)
    return np.where(total == 0, 0.0, f1)


def micro_f1(means: Floats) -> Floats:
    """Fold columns (hit, picked, gold): F1 of the pooled counts."""
    found: Floats = 2 * means[..., 0] / (means[..., 1] + means[..., 2])
    return found


def as_they_are(rows: Floats) -> Floats:
    """Return the columns of all examples as each was measured."""
    return rows


@dataclass(frozen=True)
class Metric:
    """A metric: how it is measured and folded, which direction is better, its range, unit and source.

    `kinds` are the answers of a model that it is a number of. `of_all` turns the columns of all examples that
    have some, [N,K], into those whose means are folded, where an example alone cannot tell them. A metric of
    `sentences` is measured where sentences are picked.
    """

    measure: Callable[[GoldRationale, Prediction], a.MetricColumns]
    fold: Fold
    higher_is_better: bool | None
    range: tuple[float, float]
    unit: str
    needs: Needs
    source: str
    kinds: tuple[Kind, ...] = ("class", "labels", "value")
    of_all: Callable[[Floats], Floats] = as_they_are
    sentences: bool = False


def _of_sentences(
    measure: Callable[[GoldRationale, Prediction], a.MetricColumns], unit: str, needs: Needs
) -> Metric:
    return Metric(measure, mean, True, (0, 1), unit, needs, ERASER, sentences=True)


ERASER = "DeYoung et al. 2020"
TWO_HALVES = 4 / 3  # F1 where each marked span is two picked sentences: precision 1, recall 2
EDIN = "Edin et al. 2024, bounds of the orderings tried"

LABELS: tuple[Kind, ...] = ("labels",)
VALUE: tuple[Kind, ...] = ("value",)

METRICS: dict[str, Metric] = {
    "accuracy": Metric(
        w.accuracy, mean, True, (0, 1), "share of examples", "label", ERASER, ("class", "labels")
    ),
    "token_f1": Metric(a.token_f1, mean, True, (0, 1), "words", "rationale", ERASER),
    "token_f1_micro": Metric(a.token_counts, micro_f1, True, (0, 1), "words", "rationale", ERASER),
    "token_precision": Metric(a.token_precision, mean, True, (0, 1), "words", "rationale", ERASER),
    "token_recall": Metric(a.token_recall, mean, True, (0, 1), "words", "rationale", ERASER),
    "token_iou": Metric(a.token_iou, mean, True, (0, 1), "words", "rationale", "Jaccard"),
    "iou_f1_eraser": Metric(a.iou_eraser, f1_of_means, True, (0, TWO_HALVES), "spans", "rationale", ERASER),
    "iou_f1_one_to_one": Metric(
        a.iou_f1_one_to_one, mean, True, (0, 1), "spans", "rationale", "this project"
    ),
    "false_positive_rate": Metric(
        a.false_positive_rate, mean, False, (0, 1), "words", "rationale", "Modarressi et al. 2022"
    ),
    "size": Metric(a.size, mean, None, (0, 1), "share of words", "rationale", "this project"),
    "average_precision": Metric(a.ranking_average_precision, mean, True, (0, 1), "words", "scores", ERASER),
    "auprc_trapezoid": Metric(a.ranking_auprc, mean, True, (0, 1), "words", "scores", ERASER),
    "roc_auc": Metric(a.ranking_roc_auc, mean, True, (0, 1), "word pairs", "scores", ERASER),
    "comprehensiveness": Metric(f.comprehensiveness, mean, True, (-1, 1), "probability", "rationale", ERASER),
    "sufficiency": Metric(f.sufficiency, mean, False, (-1, 1), "probability", "rationale", ERASER),
    "aopc_comprehensiveness": Metric(
        f.aopc_comprehensiveness, mean, True, (-1, 1), "probability", "ablations", ERASER
    ),
    "aopc_sufficiency": Metric(f.aopc_sufficiency, mean, False, (-1, 1), "probability", "ablations", ERASER),
    "normalised_aopc_comprehensiveness": Metric(
        f.normalised_aopc_comprehensiveness, mean, True, (0, 1), "share of range", "ablations", EDIN
    ),
    "normalised_aopc_sufficiency": Metric(
        f.normalised_aopc_sufficiency, mean, False, (0, 1), "share of range", "ablations", EDIN
    ),
    "tau_leave_one_out": Metric(
        f.tau_leave_one_out, mean, True, (-1, 1), "rank correlation", "scores", "Attanasio et al. 2023"
    ),
    "sentence_f1": _of_sentences(se.sentence_f1, "sentences", "rationale"),
    "sentence_precision": _of_sentences(se.sentence_precision, "sentences", "rationale"),
    "sentence_recall": _of_sentences(se.sentence_recall, "sentences", "rationale"),
    "sentence_average_precision": _of_sentences(se.sentence_average_precision, "sentences", "scores"),
    "sentence_auprc": _of_sentences(se.sentence_auprc, "sentences", "scores"),
    "sentence_roc_auc": _of_sentences(se.sentence_roc_auc, "sentence pairs", "scores"),
    "label_f1_micro": Metric(
        w.label_counts, w.micro_over_labels, True, (0, 1), "labels", "label", "scikit-learn", LABELS
    ),
    "label_f1_macro": Metric(
        w.label_counts, w.macro_over_labels, True, (0, 1), "labels", "label", "scikit-learn", LABELS
    ),
    "mean_absolute_error": Metric(
        w.absolute_error, mean, False, (0, np.inf), "value", "label", "this project", VALUE
    ),
    "pearson": Metric(
        w.values, w.correlation, True, (-1, 1), "correlation", "label", "Pearson 1895", VALUE, w.moments
    ),
    "spearman": Metric(
        w.values,
        w.correlation,
        True,
        (-1, 1),
        "rank correlation",
        "label",
        "Spearman 1904",
        VALUE,
        w.rank_moments,
    ),
}


@dataclass(frozen=True)
class Score:
    """A metric's value over examples, its interval, and how many examples it was undefined for."""

    metric: str
    value: float
    low: float
    high: float
    n: int
    left_out: int


def measure(
    metric: str, truths: Sequence[GoldRationale], predictions: Sequence[Prediction]
) -> list[a.MetricColumns]:
    """Return the metric's columns of each example; None where it is undefined."""
    of = METRICS[metric].measure
    return [of(t, p) for t, p in zip(truths, predictions, strict=True)]


def measure_labels(
    dataset: Dataset, examples: Sequence[Example], labels: Iterable[str], kind: Kind = "class"
) -> list[a.MetricColumns]:
    """Return accuracy's columns of each example, for predicted labels, or sets of them, and nothing more."""
    nothing = np.zeros(0)
    pairs = zip(examples, labels, strict=True)
    found = [Prediction(e.id, x, {}, nothing, nothing > 0, kind=kind) for e, x in pairs]
    return measure("accuracy", [dataset.truth(e) for e in examples], found)


def score(metric: str, columns: Measured, seed: int = 0) -> Score:
    """Fold what `measure` found, with a bootstrap interval over examples."""
    rows, of = rows_of(columns), METRICS[metric]
    known = rows[defined(rows)]
    left_out = len(rows) - len(known)
    return folded(metric, of.of_all(known) if len(known) else known, of.fold, seed, left_out)


def folded(name: str, rows: Floats, fold: Fold, seed: int = 0, left_out: int = 0) -> Score:
    """Return the folded value of the columns [N,K] of all examples that have some, with its interval."""
    found = estimate(rows, fold, seed)
    return Score(name, found.value, found.low, found.high, found.n, left_out)


def compare(metric: str, ours: Measured, theirs: Measured, seed: int = 0) -> Estimate:
    """Return ours − theirs over the examples where both are defined, with a paired interval."""
    x, y = rows_of(ours), rows_of(theirs)
    if len(x) != len(y):
        raise ValueError(f"both need the same examples, got {len(x)} and {len(y)}")
    both, of = defined(x) & defined(y), METRICS[metric]
    if not both.any():
        return NOTHING
    return difference(of.of_all(x[both]), of.of_all(y[both]), of.fold, seed)


def rows_of(columns: Measured) -> Floats:
    """Return the columns of examples as an array [N,K]: a row of NaN where the metric is undefined."""
    if isinstance(columns, np.ndarray):
        return columns
    width = max((len(c) for c in columns if c is not None), default=1)
    undefined = (np.nan,) * width
    return np.array([undefined if c is None else c for c in columns], dtype=np.float64).reshape(-1, width)


def defined(rows: Floats) -> Mask:
    """Return the examples [N] that have a value in any column of rows [N,K]."""
    return np.asarray(~np.isnan(rows).all(axis=1))

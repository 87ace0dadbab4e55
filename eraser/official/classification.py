"""The official scorer's classification block: labels, comprehensiveness, sufficiency, AOPC.

Labels are compared over gold annotations, faithfulness over predictions, those of unknown annotations too.
Formulas: DeYoung et al. 2020, section 4.2; entropies and divergences in nats, of distributions scaled to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eraser.metrics.ranking import Ints
from eraser.official.records import (
    COMP,
    LABEL,
    SCORES,
    SUFF,
    THRESHOLDED,
    Record,
    ScorerInputs,
    ScorerOptions,
    aopc_entries,
)
from eraser.types import Floats

Row = dict[str, float]  # of a classification report
_MEASURES = ("precision", "recall", "f1-score")


def class_scores(inputs: ScorerInputs, aopc: ScorerInputs | None, settings: ScorerOptions) -> dict[str, Any]:
    """Return the block; what the first prediction does not have is None. AOPC reads inputs of its own."""
    predictions = [prediction for _, prediction in inputs.predictions]
    truth = [a[LABEL] for a in inputs.gold]
    predicted = [inputs.by_id[a["annotation_id"]][1][LABEL] for a in inputs.gold]
    scores: dict[str, Any] = {
        "accuracy": _accuracy(truth, predicted),
        "prf": _report(truth, predicted, settings),
    }
    with np.errstate(all="ignore"):  # odd distributions give NaN and Infinity, as they do officially
        for name, field in (("comprehensiveness", COMP), ("sufficiency", SUFF)):
            scores |= _change(predictions, name, field)
        of_aopc = [] if aopc is None else [prediction for _, prediction in aopc.predictions]
        return scores | _aopc(of_aopc, settings.aopc_thresholds)


def _accuracy(truth: Sequence[str], predicted: Sequence[str]) -> float:
    return sum(t == s for t, s in zip(truth, predicted, strict=True)) / len(truth)


def _report(truth: list[str], predicted: list[str], settings: ScorerOptions) -> dict[str, Any]:
    """Return scikit-learn's classification report as a dictionary."""
    rows = {label: _row(label, truth, predicted) for label in [*sorted(set(truth)), *settings.extra_labels]}
    accuracy, n = _accuracy(truth, predicted), float(len(truth))
    report: dict[str, Any] = {
        **rows,
        "macro avg": _average(rows, [1.0] * len(rows), n),
        "weighted avg": _average(rows, [row["support"] for row in rows.values()], n),
    }
    if settings.libraries == "modern":
        return report | {"accuracy": accuracy}
    report["micro avg"] = dict.fromkeys(_MEASURES, accuracy) | {"support": n}
    return {key: row | {"support": int(row["support"])} for key, row in report.items()}


def _row(label: str, truth: list[str], predicted: list[str]) -> Row:
    hits = sum(t == s == label for t, s in zip(truth, predicted, strict=True))
    n_predicted, n_true = predicted.count(label), truth.count(label)
    return {
        "precision": hits / n_predicted if n_predicted else 0.0,
        "recall": hits / n_true if n_true else 0.0,
        "f1-score": 2 * hits / (n_predicted + n_true) if hits else 0.0,
        "support": float(n_true),
    }


def _average(rows: dict[str, Row], weights: Sequence[float], support: float) -> Row:
    means = {m: float(np.average([row[m] for row in rows.values()], weights=weights)) for m in _MEASURES}
    return means | {"support": support}


# ── faithfulness ────────────────────────────────────────────────────────────────────────────────────────


def _change(predictions: list[Record], name: str, field: str) -> dict[str, float | None]:
    """Return what removing, or keeping only, the rationale does to a distribution, on average."""
    keys = (name, f"{name}_entropy", f"{name}_kl")
    if field not in predictions[0]:
        return dict.fromkeys(keys)
    before = [p[SCORES] for p in predictions]
    after = [p[field] for p in predictions]
    drops = [p[SCORES][p[LABEL]] - p[field][p[LABEL]] for p in predictions]
    rises = _entropies([list(d.values()) for d in before]) - _entropies([list(d.values()) for d in after])
    same_labels = [[a[label] for label in b] for a, b in zip(after, before, strict=True)]
    divergences = _divergences(same_labels, [list(b.values()) for b in before])
    means = (float(np.mean(values)) for values in (drops, rises, divergences))
    return dict(zip(keys, means, strict=True))


def _scaled(distributions: Sequence[Sequence[float]]) -> tuple[Floats, Ints]:
    """Return all numbers in a row, each distribution scaled to sum 1, and where each begins."""
    sizes = np.array([len(d) for d in distributions])
    flat = np.array([x for d in distributions for x in d], dtype=np.float64)
    starts = np.cumsum(sizes) - sizes
    return flat / np.repeat(np.add.reduceat(flat, starts), sizes), starts


def _entropies(distributions: Sequence[Sequence[float]]) -> Floats:
    """Return Σ -x ln x of each, with 0 ln 0 = 0; -inf for a negative x, NaN for a NaN."""
    x, starts = _scaled(distributions)
    terms = np.where(x == 0, 0, np.where(x < 0, -np.inf, -x * np.log(x)))
    return np.add.reduceat(terms, starts)


def _divergences(of: Sequence[Sequence[float]], to: Sequence[Sequence[float]]) -> Floats:
    """Return Σ x ln(x / y) of each; inf where x has mass and y none, and where either is negative."""
    (x, starts), (y, _) = _scaled(of), _scaled(to)
    terms = np.where((x > 0) & (y > 0), x * np.log(x / y), np.inf)
    terms = np.where((x == 0) & (y >= 0), 0, terms)
    terms = np.where(np.isnan(x) | np.isnan(y), np.nan, terms)
    return np.add.reduceat(terms, starts)


def _aopc(predictions: list[Record], thresholds: Sequence[float]) -> dict[str, Any]:
    """Return the mean drop over thresholds, None without predictions.

    Its points ascend, `aopc_thresholds` stay as they were given.
    """
    names = ("comprehensiveness", "sufficiency")
    keys = [f"{name}_aopc{suffix}" for suffix in ("", "_points") for name in names]
    if not predictions:
        return dict.fromkeys(["aopc_thresholds", *keys])
    before = np.array([p[SCORES][p[LABEL]] for p in predictions], dtype=np.float64)
    after = [
        entry[field][p[LABEL]]
        for p in predictions
        for entry in aopc_entries(p[THRESHOLDED], thresholds)
        for field in (COMP, SUFF)
    ]
    shape = (len(predictions), len(thresholds), 2)
    drops = before[:, None, None] - np.array(after, dtype=np.float64).reshape(shape)
    values = [*drops.mean(axis=(0, 1)).tolist(), *drops.mean(axis=0).T.tolist()]
    return {"aopc_thresholds": list(thresholds), **dict(zip(keys, values, strict=True))}

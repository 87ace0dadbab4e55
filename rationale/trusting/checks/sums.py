"""Arithmetic: do scores sum to what the method promises, and are they the same alone and in a batch?

A method that promises a sum (integrated gradients, gradient SHAP, DeepLIFT, kernel SHAP) may miss it by
`TOLERANCE` of the scores' absolute sum, in the median text. Any method must give a text the scores that it
gives it alone: else they depend on which texts were read beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eraser.metrics.bootstrap import Estimate, estimate
from eraser.metrics.table import mean
from eraser.types import Floats
from rationale.attribution import method_named
from rationale.models.packed.known import rounded
from rationale.text_classifier import TextClassifier
from rationale.trusting.contract import Finding, Outcome
from rationale.trusting.subject import Subject

NAME = "sums"
TRIED = 6  # texts that are explained alone
TOLERANCE = 0.05  # of a sum
SAME = 1e-3  # of the largest score, alone and in a batch: rounding
ROUNDED = 0.25  # the same in half precision


def sums(subject: Subject) -> list[Finding]:
    """Return for each method whether its sums hold and its scores depend on the batch."""
    return [_finding(subject, method) for method in subject.methods]


def missed(subject: Subject, method: str) -> Floats | None:
    """Return by which share of its scores' absolute sum each text [N] misses; None without a promise."""
    results = subject.results[method]
    if any(r.convergence_delta is None for r in results):
        return None
    totals = np.array([np.nansum(np.abs(r.scores)) for r in results])
    deltas = np.array([r.convergence_delta for r in results], dtype=np.float64)
    found: Floats = np.divide(deltas, totals, out=np.zeros_like(deltas), where=totals > 0)
    return found


def alone(subject: Subject, method: str) -> Floats:
    """Return for some texts how far scores alone are from those in a batch, of the largest score."""

    def compute() -> list[dict[str, Any]]:
        few, targets = subject.items[:TRIED], subject.targets[:TRIED]
        together = subject.explain(method, few, targets)
        single = [subject.explain(method, [i], [t])[0] for i, t in zip(few, targets, strict=True)]
        return [{"gap": gap(a.scores, b.scores)} for a, b in zip(together, single, strict=True)]

    rows = subject.part(f"alone-{method}", subject.identity_of(method), compute)
    return np.array([row["gap"] for row in rows])


def gap(one: Floats, other: Floats) -> float:
    """Return the largest difference of two rows of scores, of the largest score."""
    scale = float(np.nanmax(np.abs(one), initial=0.0))
    return float(np.nanmax(np.abs(one - other), initial=0.0)) / scale if scale else 0.0


def _rounds(classifier: TextClassifier) -> bool:
    """Return whether a classifier computes in half precision."""
    return not classifier.opaque and (classifier.bf16 or rounded(classifier.model))


def _finding(subject: Subject, method: str) -> Finding:
    if method_named(method) is None:
        return Finding.unknown(NAME, method, "it was made elsewhere and cannot be run again")
    apart, lost = alone(subject, method), missed(subject, method)
    batch_ok = bool(apart.max() <= (ROUNDED if _rounds(subject.run.classifier) else SAME))
    batch = f"scores alone and in a batch differ by {apart.max():.1g} of the largest, n = {len(apart)}"
    details = {"largest_gap_alone": float(apart.max()), "texts_alone": len(apart)}
    if lost is None:
        start = "It promises no sum" if batch_ok else "Depends on the batch"
        found = estimate(apart[:, None], mean)
        return Finding.of(
            NAME, method, found, "pass" if batch_ok else "fail", f"{start}; {batch}.", **details
        )
    median = float(np.median(lost))
    low, high = np.quantile(lost, [0.025, 0.975])
    held = median <= TOLERANCE
    spread = f"{median:.2%} (median; 95 % of texts {low:.2%} to {high:.2%})"
    told = f"its scores miss what they should sum to by {spread}"
    start = "Arithmetic holds" if held and batch_ok else "Arithmetic does not hold"
    outcome: Outcome = "pass" if held and batch_ok else "fail"
    found = Estimate(median, float(low), float(high), len(lost))
    return Finding.of(NAME, method, found, outcome, f"{start}: {told}, n = {len(lost)}; {batch}.", **details)

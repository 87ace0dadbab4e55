"""The decision: how many words must go until the class is another one, and do the scores point at them?

Of what an evaluation stores: the share of words, removed from the top of the ranking, at which the class
first flips (Chrysostomou and Aletras 2021; in steps of the stored shares); whether the answer falls further
with each step; how sparse and how complex scores are (Gini, entropy: Chalasani 2020, Bhatt 2020). Asked of
the model: whether the class flips without the highest word, and with the rationale replaced by other words.
Axes: N text, S step, W word.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eraser.metrics.bootstrap import Estimate, difference, estimate
from eraser.metrics.table import mean
from eraser.types import Floats, Mask
from rationale.budgets import top_words
from rationale.evaluation.pipeline import share_name
from rationale.evaluation.stored.method_result import indices
from rationale.heads import HEADS
from rationale.trusting.contract import MIN_EXAMPLES, Finding
from rationale.trusting.erasing import probs_without, usable
from rationale.trusting.subject import Subject

NAME = "decision"
NEVER = 1.0  # the share of a text whose class no step flips: all of its words, at least


def decision(subject: Subject) -> list[Finding]:
    """Return for each method the share of words until the class flips, against the random baseline."""
    if HEADS[subject.run.classifier.head].kind != "class":
        why = "the model answers no single class that could flip"
        return [Finding.unknown(NAME, m, why) for m in subject.methods]
    shares = {m: flip_shares(subject, m) for m in subject.methods}
    flips = np.any([s < NEVER for s in shares.values()], axis=0)  # [N]: by any method
    return [_finding(subject, m, shares, flips) for m in subject.methods]


def flip_shares(subject: Subject, method: str) -> Floats:
    """Return the smallest stored share [N] of removed words at which the class is another one."""
    predicted, fractions = subject.probs.argmax(1), sorted(subject.run.settings.fractions)
    found = []
    for result, label in zip(subject.results[method], predicted, strict=True):
        steps = ((f, result.at(share_name(f)).without) for f in fractions)
        found.append(next((f for f, probs in steps if int(np.argmax(probs)) != label), NEVER))
    return np.array(found)


def falls(subject: Subject, method: str) -> Floats:
    """Return by how much the answer explained falls at each stored share [N,S]."""
    fractions, before = sorted(subject.run.settings.fractions), subject.before()
    after = [
        [result.at(share_name(f)).without[target] for f in fractions]
        for result, target in zip(subject.results[method], subject.targets, strict=True)
    ]
    found: Floats = before[:, None] - np.array(after)
    return found


def gini(scores: Floats) -> float:
    """Return the Gini index of absolute scores: 0 where all are alike, towards 1 where one has all.

    >>> gini(np.array([1.0, 1.0])), gini(np.array([0.0, 0.0, 0.0, 4.0]))
    (0.0, 0.75)
    """
    a = np.sort(np.abs(scores[~np.isnan(scores)]))
    n, total = len(a), a.sum()
    if not total:
        return 0.0
    return float(((2 * np.arange(1, n + 1) - n - 1) * a).sum() / (n * total))


def entropy(scores: Floats) -> float:
    """Return the entropy of absolute scores as shares, of its largest: 1 where all are alike.

    >>> entropy(np.array([1.0, 1.0])), entropy(np.array([0.0, 1.0]))
    (1.0, 0.0)
    """
    a = np.abs(scores[~np.isnan(scores)])
    if len(a) < 2:
        return 0.0
    p = a / a.sum() if a.sum() else np.full(len(a), 1 / len(a))
    p = p[p > 0]
    return float(abs(-(p * np.log(p)).sum() / np.log(len(a))))


def constant(scores: Floats) -> bool:
    """Return whether all words that were read have the same score."""
    known = scores[~np.isnan(scores)]
    return not len(known) or bool(known.min() == known.max())


def _top(subject: Subject, method: str) -> list[Mask]:
    return [top_words(s, 1) for s in subject.scores(method)]


def _flipped(subject: Subject, masks: list[Mask], how: str, name: str) -> Floats:
    """Return where [N] the class is another one without the words of the masks."""

    def compute() -> list[dict[str, Any]]:
        found = probs_without(subject, [[m] for m in masks], how, name)  # type: ignore[arg-type]
        return [{"class": int(probs[0].argmax())} for probs in found]

    rows = subject.part(f"{name}-{how}", [list(indices(m)) for m in masks], compute)
    flipped: Floats = (np.array([row["class"] for row in rows]) != subject.probs.argmax(1)).astype(float)
    return flipped


def _details(subject: Subject, method: str) -> dict[str, Any]:
    """Return the numbers that have no pass or fail: each with its interval."""
    steps = np.diff(falls(subject, method), axis=1, prepend=0.0)
    numbers = {
        "flips_without_top_word": _flipped(subject, _top(subject, method), "delete", "top"),
        "monotone_steps": (steps > 0).mean(1),
        "gini": np.array(list(map(gini, subject.scores(method)))),
        "entropy": np.array(list(map(entropy, subject.scores(method)))),
    }
    if usable(subject)["infill"] is None:
        numbers["flips_when_replaced"] = _flipped(subject, subject.rationales(method), "infill", "replaced")
    return {name: vars(estimate(x[:, None], mean)) for name, x in numbers.items()}


def _finding(subject: Subject, method: str, shares: dict[str, Floats], flips: Mask) -> Finding:
    n_constant, n = sum(map(constant, subject.scores(method))), len(subject.items)
    details = _details(subject, method) | {"constant": n_constant, "flips_by_any": int(flips.sum())}
    own = shares[method][flips][:, None]
    found = estimate(own, mean)
    if 2 * n_constant > n:
        told = f"Ranks no word above another in {n_constant} of {n} texts."
        return Finding.of(NAME, method, found, "fail", told, **details)
    if len(own) < MIN_EXAMPLES or "random" not in shares:
        few = f"the class flips in {len(own)} of {n} texts, too few (at least {MIN_EXAMPLES})"
        why = few if len(own) < MIN_EXAMPLES else "random is not among the methods"
        return Finding.unknown(NAME, method, why, len(own), **details)
    gap = difference(own, shares["random"][flips][:, None], mean)
    return _against_random(method, found, gap, details)


def _against_random(method: str, found: Estimate, gap: Estimate, details: dict[str, Any]) -> Finding:
    number = f"{found.value:.0%} of the words [{found.low:.0%}, {found.high:.0%}] until the class flips"
    fewer, low, high = 0 - gap.value, 0 - gap.high, 0 - gap.low  # 0 - 0.0 has no sign
    word, points = ("fewer", (fewer, low, high)) if fewer >= 0 else ("more", (gap.value, gap.low, gap.high))
    value, *ends = (f"{100 * x:.0f}" for x in points)
    against = f"{value} points {word} than random [{', '.join(ends)}]"
    details |= {"fewer_than_random": {"value": fewer, "low": low, "high": high, "n": gap.n}}
    better = gap.high < 0
    start = "Finds what decides" if better else "Does not find what decides"
    sentence = f"{start}: {number}, {against}, n = {found.n} (texts that some method flips)."
    return Finding.of(NAME, method, found, "pass" if better else "fail", sentence, **details)

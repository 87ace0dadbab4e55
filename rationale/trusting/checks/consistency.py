"""Consistency: alike inside the model, alike in the explanation (Atanasova et al. 2020, arXiv 2009.13295).

Rationale consistency: of one text, models whose layers differ more should have explanations that differ
more; here the models are the subject's own, its copies with shuffled layers, and other trainings. Data-set
consistency: the same of pairs of texts under one model, with an interval over both texts of a pair.
Confidence indication: how much better than their mean the model's confidences can be told from how the
explanations of its classes differ. Distances are mean absolute differences: of the mean states of every
layer, and of scores scaled to a largest of 1.
Axes: N text, L layer, D hidden width, W word, P pair, F feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from eraser.metrics.bootstrap import Estimate
from eraser.types import Floats
from rationale.evaluation.pipeline import get_method
from rationale.trusting.checks.randomisation import cascade
from rationale.trusting.contract import MIN_EXAMPLES, Finding, Outcome
from rationale.trusting.model.activations import average, states_of
from rationale.trusting.model.again import FEW, MORE, OtherModel, cannot_run_again, few_of, scores_on, why_not
from rationale.trusting.statistics.agreement import correlation_of_pairs, mean_of, rank_correlation
from rationale.trusting.subject import Subject

RATIONALE, DATASET, CONFIDENCE = "rationale_consistency", "dataset_consistency", "confidence"
DIFFER = {RATIONALE: "models differ more inside", DATASET: "texts differ more inside the model"}
NONE = 0.1  # a correlation whose interval ends below it is none
SAME = 0.005  # of confidences that miss their mean by less there is nothing to tell
FOLDS = 5


def rationale_consistency(subject: Subject) -> list[Finding]:
    """Return for each method whether its explanations differ more where models differ more inside."""
    others = [*cascade(subject), *map(partial(_training, subject), subject.models)]
    known: dict[bool, list[Floats]] = {}  # of what adaptive methods explain, and of what the others do
    findings = []
    for method in subject.methods:
        if (why := cannot_run_again(subject, method)) is not None:
            findings.append(Finding.unknown(RATIONALE, method, why))
            continue
        try:
            again = [scores_on(subject, method, other) for other in others]
        except Exception as error:  # a stranger's method may raise whatever it likes
            findings.append(
                Finding.unknown(RATIONALE, method, f"{method} fails on another model ({why_not(error)})")
            )
            continue
        if (adaptive := get_method(method).adaptive) not in known:
            known[adaptive] = _inside(subject, [None, *others], adaptive)
        inside = known[adaptive]  # [model][N,L·D]
        explained = [subject.scores(method)[:FEW], *again]
        pairs = [
            np.array([(distance(inside[a][n], inside[b][n]), _apart(explained[a][n], explained[b][n]))
                      for a, b in combinations(range(len(inside)), 2)])
            for n in range(len(few_of(subject)[0]))
        ]  # fmt: skip
        found, apart = rank_correlation(pairs), np.concatenate(pairs)[:, 1]  # [K]
        findings.append(_correlated(RATIONALE, method, found, apart, f"{len(inside)} models"))
    for other in others:
        other.made.clear()
    return findings


def _training(subject: Subject, name: str) -> OtherModel:
    model = subject.models[name]
    return OtherModel(f"training {name}", lambda _: model, model.identity())


def _inside(subject: Subject, others: Sequence[OtherModel | None], adaptive: bool) -> list[Floats]:
    """Return the mean states [N,L·D] of the first texts in each model; None stands for the subject's own."""
    texts = [item.windows for item in few_of(subject)[0]]
    found = []
    for other in others:
        own = subject.run.classifier if adaptive else subject.run.explained
        asked = own if other is None else other.of(subject, adaptive)
        found.append(_states(subject, "own" if other is None else other.name, asked, texts))
    return found


def _states(subject: Subject, name: str, asked: Any, texts: Sequence[Any]) -> Floats:
    """Return mean states of texts as one row each [N,L·D], from disk where they are there."""

    def compute() -> list[dict[str, Any]]:
        subject.meter.read += sum(map(len, texts))
        return [{"states": row.ravel().tolist()} for row in states_of(asked, texts, average)]

    depends = [name, asked.identity(), len(texts)]
    return np.array([row["states"] for row in subject.part("states", depends, compute)])


def dataset_consistency(subject: Subject) -> list[Finding]:
    """Return for each method whether texts that are alike inside the model have explanations that are alike.

    A word that only one of two texts holds has the score 0 in the other.
    """
    items, _ = few_of(subject, MORE)
    inside = _states(subject, "own", subject.run.explained, [item.windows for item in items])  # [N,L·D]
    findings = []
    for method in subject.methods:
        words = [
            _by_word(i.text.words, scaled(s)) for i, s in zip(items, subject.scores(method), strict=False)
        ]
        in_model = np.array([[distance(a, b) for b in inside] for a in inside])  # [N,N]
        explained = np.array([[_words_apart(a, b) for b in words] for a in words])  # [N,N]
        apart = explained[~np.eye(len(items), dtype=bool)]  # [K]
        found = correlation_of_pairs(in_model, explained)
        findings.append(_correlated(DATASET, method, found, apart, f"{len(items)} texts in pairs"))
    return findings


def confidence_indication(subject: Subject) -> list[Finding]:
    """Return for each method how much better than their mean it tells the model's confidences."""
    return [_confidence(subject, method) for method in subject.methods]


def _confidence(subject: Subject, method: str) -> Finding:
    items, targets = few_of(subject, MORE)
    if (why := cannot_run_again(subject, method)) is not None:
        return Finding.unknown(CONFIDENCE, method, why)
    if len(subject.run.classifier.labels) < 2:  # noqa: PLR2004 (a class, and another)
        return Finding.unknown(CONFIDENCE, method, "the model knows no second class to explain")
    if len(items) < 2 * FOLDS:
        return Finding.unknown(
            CONFIDENCE, method, f"{len(items)} texts are too few (at least {2 * FOLDS})", len(items)
        )
    try:
        features = class_features(subject, method)  # [N,F]
    except Exception as error:  # a stranger's method may raise whatever it likes
        return Finding.unknown(CONFIDENCE, method, f"{method} fails for another class ({why_not(error)})")
    confidence = subject.probs[np.arange(len(items)), list(targets)]  # [N]
    told, guessed = predicted(features, confidence), predicted(features[:, :0], confidence)  # [N]
    of_told, of_mean = np.abs(told - confidence), np.abs(guessed - confidence)  # [N], [N]
    if of_mean.mean() < SAME:
        why = f"the model is as sure of one text as of another (within {of_mean.mean():.4f})"
        return Finding.unknown(CONFIDENCE, method, why, len(items))
    gain = mean_of(of_mean - of_told)
    details = {
        "error": float(of_told.mean()),
        "error_of_mean": float(of_mean.mean()),
        "largest": float(of_told.max()),
    }
    number = f"error {of_told.mean():.3f} against {of_mean.mean():.3f} for the mean, gain {gain.value:.3f}"
    number += f" [{gain.low:.3f}, {gain.high:.3f}], n = {gain.n}"
    if gain.low > 0:
        sentence, outcome = f"Tells how sure the model is: {number}.", "pass"
    else:
        sentence, outcome = (
            f"Does not tell how sure the model is better than its mean confidence: {number}.",
            "fail",
        )
        if gain.high > of_mean.mean() / 2:
            sentence, outcome = (
                f"Cannot tell whether it tells how sure the model is: {number}.",
                "cannot tell",
            )
    return Finding.of(CONFIDENCE, method, gain, outcome, sentence, **details)  # type: ignore[arg-type]


def class_features(subject: Subject, method: str) -> Floats:
    """Return how the explanation of the class predicted differs from those of the others [N,3].

    The mean over words of the difference: its largest, mean and least over the other classes.
    """
    items, targets = few_of(subject, MORE)
    own = subject.scores(method)[:MORE]
    columns = []
    for shift in range(1, len(subject.run.classifier.labels)):
        of = [(t + shift) % len(subject.run.classifier.labels) for t in targets]
        scores = _of_class(subject, method, shift, of)
        columns.append([float(np.nanmean(a - b)) for a, b in zip(own, scores, strict=True)])
    found = np.array(columns).T  # [N,C-1]
    return np.stack([found.max(1), found.mean(1), found.min(1)], axis=1)


def _of_class(subject: Subject, method: str, shift: int, targets: list[int]) -> list[Floats]:
    """Return a method's scores [W] of the first texts for other classes, from disk where they are there."""
    items, _ = few_of(subject, MORE)

    def compute() -> list[dict[str, Any]]:
        found = subject.explain(method, items, targets)
        return [{"scores": a.scores.tolist()} for a in found]

    rows = subject.part(f"class-{method}", [shift, MORE, targets, get_method(method).code], compute)
    return [np.array(row["scores"], dtype=np.float64) for row in rows]


def predicted(features: Floats, wanted: Floats) -> Floats:
    """Return least-squares predictions [N] from features [N,F], each text's by the texts of other folds."""
    rows = np.column_stack([np.ones(len(wanted)), features])  # [N,1+F]
    found = np.empty(len(wanted))
    fold = np.arange(len(wanted)) % FOLDS
    for n in range(FOLDS):
        held = fold == n
        scale = rows[~held].std(0) + (rows[~held].std(0) == 0)
        weights, *_ = np.linalg.lstsq(rows[~held] / scale, wanted[~held], rcond=None)
        found[held] = rows[held] / scale @ weights
    return np.clip(found, 0.0, 1.0)


def scaled(scores: Floats) -> Floats:
    """Return scores [W] with a largest size of 1; words that were not read have 0."""
    known = np.nan_to_num(scores)
    largest = np.abs(known).max(initial=0.0)
    found: Floats = known / largest if largest else known
    return found


def distance(one: Floats, other: Floats) -> float:
    """Return the mean absolute difference of two arrays."""
    return float(np.abs(one - other).mean())


def _apart(one: Floats, other: Floats) -> float:
    return distance(scaled(one), scaled(other))


def _by_word(words: Sequence[str], scores: Floats) -> dict[str, float]:
    """Return the highest score of each word of a text, whatever its case."""
    found: dict[str, float] = {}
    for word, score in zip(words, scores.tolist(), strict=True):
        key = word.lower()
        found[key] = max(found.get(key, -np.inf), score)
    return found


def _words_apart(one: dict[str, float], other: dict[str, float]) -> float:
    """Return the mean absolute difference over all words that either text holds."""
    either = one.keys() | other.keys()
    return float(np.mean([abs(one.get(w, 0.0) - other.get(w, 0.0)) for w in either]))


def _correlated(test: str, method: str, found: Estimate, apart: Floats, over: str) -> Finding:
    """Return what a correlation of distances says; `apart` are those of the explanations [K]."""
    if found.n < MIN_EXAMPLES:
        few = f"{found.n} texts are too few (at least {MIN_EXAMPLES})"
        return Finding.unknown(test, method, few, found.n)
    if np.ptp(apart) == 0:
        told = f"Explanations are all alike, also where {DIFFER[test]} ({over})."
        return Finding(test, method, 0.0, 0.0, 0.0, found.n, "fail", told)
    outcome, told = _verdict(found, DIFFER[test])
    number = f"ρ = {found.value:.2f} [{found.low:.2f}, {found.high:.2f}], n = {found.n} ({over})"
    return Finding.of(test, method, found, outcome, f"{told}: {number}.")


def _verdict(found: Estimate, differ: str) -> tuple[Outcome, str]:
    if found.low > 0:
        return "pass", f"Explanations differ more where {differ}"
    if found.high < NONE:
        return "fail", f"Explanations do not differ more where {differ}"
    return "cannot tell", f"Cannot tell whether explanations differ more where {differ}"

"""People as a distribution: does a method rank words as people marked them, how near is it to one of them?

Against all marks (average precision, paired with the random baseline); where annotators stand apart: against
soft gold, the share of people who marked a word; in texts on which people agree and on others; as a share of
the human ceiling, one annotator against the others. Right and wrong predictions apart: agreement on texts
that the model gets wrong is no praise for either. Axes: N text, W word.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eraser.metrics.annotators import human_ceiling
from eraser.metrics.bootstrap import RESAMPLES, Estimate, difference, estimate, interval, resamples
from eraser.metrics.ranking import average_precision
from eraser.metrics.table import mean
from eraser.types import Floats, Mask, mask_from_spans
from rationale.budgets import top_words
from rationale.heads import HEADS, predicted_label, same_answer
from rationale.trusting.contract import MIN_EXAMPLES, Finding
from rationale.trusting.subject import Subject

NAME = "people"


def people(subject: Subject) -> list[Finding]:
    """Return for each method its agreement with people, against the random baseline."""
    of_all = {m: precisions(subject, m) for m in subject.methods}
    ceiling = ceilings(subject)
    return [_finding(subject, m, of_all, ceiling) for m in subject.methods]


def _asked(subject: Subject, i: int, words: Floats | Mask) -> Any:
    """Return the part [W] in which people were asked."""
    return words[subject.items[i].truth.unasked :]


def precisions(subject: Subject, method: str) -> Floats:
    """Return the average precision of each text [N]; NaN where nothing, or everything, is marked."""
    found = np.full(len(subject.items), np.nan)
    for i, (item, scores) in enumerate(zip(subject.items, subject.scores(method), strict=True)):
        gold = _asked(subject, i, item.truth.gold)
        if gold.any() and not gold.all():
            ranked = np.where(np.isnan(scores), -np.inf, scores)
            found[i] = average_precision(gold, _asked(subject, i, ranked))
    return found


def ceilings(subject: Subject) -> Floats:
    """Return the token F1 of one annotator against the others in each text [N]; NaN without two."""
    found = []
    for item in subject.items:
        if len(item.example.annotators) < 2:
            found.append(np.nan)
            continue
        f1 = next(s for s in human_ceiling(subject.dataset, [item.example]) if s.metric == "token_f1")
        found.append(f1.value if f1.n else np.nan)
    return np.array(found)


def in_their_place(subject: Subject, method: str) -> Floats:
    """Return the token F1 of a method in the place of each annotator, with as many words, mean of each text.

    Against the union of the others, as `ceilings`: what a person reaches, and a method, on the same question.
    """
    found = np.full(len(subject.items), np.nan)
    for i, (item, scores) in enumerate(zip(subject.items, subject.scores(method), strict=True)):
        text, n = subject.dataset.text(item.example), item.truth.n_words
        marks = np.array(
            [mask_from_spans(text.spans(a), n) for a in item.example.annotators if a], dtype=bool
        )
        if len(marks) > 1 and item.truth.spans:  # none where people marked words for other labels
            marks = marks[:, item.truth.unasked :]  # [A,W]
            found[i] = float(np.mean([_f1(_asked(subject, i, scores), marks, a) for a in range(len(marks))]))
    return found


def _f1(scores: Floats, marks: Mask, annotator: int) -> float:
    """Return the token F1 of the highest words, as many as an annotator marked, against the others' [A,W]."""
    others, size = np.delete(marks, annotator, axis=0).any(0), int(marks[annotator].sum())
    picked = top_words(scores, size)
    return float(2 * (picked & others).sum() / (picked.sum() + others.sum()))


def soft(subject: Subject, method: str) -> Floats:
    """Return how much of the marks of all people the highest words hold, of the most they could [N].

    As many words as any person marked; a word weighs the share of people who marked it.
    """
    found = np.full(len(subject.items), np.nan)
    for i, (item, scores) in enumerate(zip(subject.items, subject.scores(method), strict=True)):
        votes = _asked(subject, i, subject.dataset.votes(item.example))
        if len(item.example.annotators) > 1 and np.nansum(votes) > 0:
            ranked = np.where(np.isnan(scores), -np.inf, scores)
            order = np.argsort(-_asked(subject, i, ranked), kind="stable")[: int((votes > 0).sum())]
            found[i] = votes[order].sum() / votes.sum()
    return found


def share_of_ceiling(own: Floats, ceiling: Floats, seed: int = 0) -> Estimate:
    """Return mean(own) / mean(ceiling) over texts that have both, with its bootstrap interval."""
    kept = ~np.isnan(own) & ~np.isnan(ceiling)
    n = int(kept.sum())
    if not n:
        return Estimate(np.nan, np.nan, np.nan, 0)
    drawn = resamples(n, seed, RESAMPLES)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (drawn @ own[kept]) / (drawn @ ceiling[kept])
        value = own[kept].mean() / ceiling[kept].mean()
    return Estimate(float(value), *interval(np.where(np.isfinite(ratios), ratios, np.nan)), n)


def _mean(values: Floats, where: Mask) -> dict[str, float]:
    kept = values[where & ~np.isnan(values)]
    return vars(estimate(kept[:, None], mean))


def _right(subject: Subject) -> Mask | None:
    """Return the mask [N] of texts that the model is right about; None where its answer is a number."""
    asked = subject.run.classifier
    if HEADS[asked.head].kind == "value":
        return None
    told = [
        predicted_label(asked.head, asked.labels, p, subject.run.settings.threshold) for p in subject.probs
    ]
    pairs = zip(told, subject.items, strict=True)
    return np.array([same_answer(asked.head, label, item.truth.label) for label, item in pairs])


def _strata(subject: Subject, own: Floats, ceiling: Floats) -> dict[str, Any]:
    """Return the agreement where the model is right and wrong, and where people agree more and less."""
    found = {}
    if (right := _right(subject)) is not None:
        found = {"right_predictions": _mean(own, right), "wrong_predictions": _mean(own, ~right)}
    if not np.isnan(ceiling).all():
        middle = np.nanmedian(ceiling)
        found |= {
            "people_agree": _mean(own, ceiling >= middle),
            "people_differ": _mean(own, ceiling < middle),
        }
    return found


def _finding(subject: Subject, method: str, of_all: dict[str, Floats], ceiling: Floats) -> Finding:
    own = of_all[method]
    kept = ~np.isnan(own)
    found = estimate(own[kept][:, None], mean)
    details = _strata(subject, own, ceiling)
    if not np.isnan(ceiling).all():
        share = share_of_ceiling(in_their_place(subject, method), ceiling)
        details |= {"share_of_human_ceiling": vars(share), "soft_gold": _mean(soft(subject, method), kept)}
    if found.n < MIN_EXAMPLES or "random" not in of_all:
        few = f"{found.n} texts with marked words are too few (at least {MIN_EXAMPLES})"
        why = few if found.n < MIN_EXAMPLES else "random is not among the methods"
        return Finding.unknown(NAME, method, why, found.n, **details)
    gap = difference(own[kept][:, None], of_all["random"][kept][:, None], mean)
    details |= {"more_than_random": vars(gap)}
    better = gap.low > 0
    number = f"average precision {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
    against = f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}] over random, n = {found.n}"
    start = "Ranks words as annotators do" if better else "Ranks words no better than random"
    sentence = f"{start}: {number}, {against}{_ceiling_words(details)}."
    return Finding.of(NAME, method, found, "pass" if better else "fail", sentence, **details)


def _ceiling_words(details: dict[str, Any]) -> str:
    share = details.get("share_of_human_ceiling")
    if share is None or not share["n"]:
        return ""
    value, low, high = (f"{share[name]:.0%}" for name in ("value", "low", "high"))
    return f"; {value} [{low}, {high}] of the human ceiling, n = {share['n']}"

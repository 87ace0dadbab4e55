"""Randomisation: does a method's ranking change when the model it explains is destroyed?

Weights are shuffled from the top layer down, and a copy learns shuffled labels (Adebayo et al. 2018, arXiv
1810.03292). Of each text the new scores are held against the old ones by Spearman's rank correlation, signed
and without signs; the larger counts. A method that keeps its ranking did not explain the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eraser.metrics.bootstrap import Estimate
from eraser.types import Floats
from rationale.evaluation.pipeline import get_method
from rationale.trusting.contract import MIN_EXAMPLES, Finding, Outcome
from rationale.trusting.model.again import FEW, OtherModel, cannot_run_again, few_of, scores_on, why_not
from rationale.trusting.model.randomised import WHOLE, groups_of, randomised, stages_of
from rationale.trusting.model.shuffled import learned_shuffled
from rationale.trusting.statistics.agreement import absolute_spearman, mean_of, spearman
from rationale.trusting.subject import Subject

NAME = "randomisation"
SHUFFLED = "shuffled labels"
KEPT = 0.5  # a mean rank correlation: above it more of a ranking is kept than lost


def randomisation(subject: Subject) -> list[Finding]:
    """Return for each method how well its rankings on models with other weights agree with its own."""
    others = [*cascade(subject), *_shuffled(subject)]
    found: dict[str, dict[str, Estimate]] = {m: {} for m in subject.methods}
    broken: dict[str, str] = {}
    for other in others:  # one at a time: each is a copy of the model
        for method in (m for m in subject.methods if cannot_run_again(subject, m) is None):
            if other.name == SHUFFLED and get_method(method).adaptive:
                continue  # what chooses tokens was not trained
            try:
                found[method][other.name] = kept_ranking(subject, method, scores_on(subject, method, other))
            except Exception as error:  # a stranger's method may raise whatever it likes
                broken[method] = f"{method} fails on a model with other weights ({why_not(error)})"
        other.made.clear()
    return [_finding(subject, m, found[m], broken.get(m)) for m in subject.methods]


def cascade(subject: Subject) -> list[OtherModel]:
    """Return the model with more and more of its weights shuffled, from the top down."""
    seed = subject.run.settings.seed

    def step(name: str) -> OtherModel:
        return OtherModel(name, lambda c: randomised(c, stages_of(c.model)[name], seed))

    return [step(name) for name in stages_of(subject.run.explained.model)]


def _shuffled(subject: Subject) -> list[OtherModel]:
    """Return the model trained on shuffled labels; none where there is nothing to train it on."""
    explained, epochs, seed = subject.run.explained, subject.settings.epochs, subject.run.settings.seed
    if explained.head != "softmax" or not subject.dataset.splits.get("train"):
        return []
    make = lambda c: learned_shuffled(c, subject.dataset, epochs, seed)  # noqa: E731
    return [OtherModel(SHUFFLED, make, epochs)]


def kept_ranking(subject: Subject, method: str, others: Sequence[Floats]) -> Estimate:
    """Return the mean rank correlation of a method's scores with those on another model.

    With signs or without, whichever is larger.
    """
    own = subject.scores(method)[:FEW]
    signed, plain = (
        mean_of([agreement(s, o) for s, o in zip(own, others, strict=True)])
        for agreement in (spearman, absolute_spearman)
    )
    return plain if plain.value > signed.value else signed


def _finding(subject: Subject, method: str, found: Mapping[str, Estimate], broken: str | None) -> Finding:
    """Return what the cascade's end says: passed where the ranking is gone with the weights."""
    if (why := cannot_run_again(subject, method) or broken) is not None:
        return Finding.unknown(NAME, method, why)
    end = found[WHOLE]
    stages = {name: vars(e) for name, e in found.items()}
    if end.n < MIN_EXAMPLES:
        few = f"{end.n} texts in which {method} ranks some words above others are too few"
        few += f" (at least {MIN_EXAMPLES})"
        return Finding.unknown(NAME, method, few, end.n, stages=stages)
    outcome, told = verdict_of(end)
    more = "; ".join(f"{e.value:.2f} after {name}" for name, e in found.items() if name != WHOLE)
    sentence = (
        f"{told}: with all weights shuffled its ranking correlates {end.value:.2f} "
        f"[{end.low:.2f}, {end.high:.2f}] with its own, n = {end.n} ({more})."
    )
    texts = len(few_of(subject)[0])
    groups = len(groups_of(subject.run.explained.model))
    return Finding.of(NAME, method, end, outcome, sentence, stages=stages, texts=texts, groups=groups)


def verdict_of(end: Estimate) -> tuple[Outcome, str]:
    """Return what a rank correlation with itself on a destroyed model says of a method."""
    if end.low > KEPT:
        return "fail", "Does not change with the model"
    if end.high < KEPT:
        return "pass", "Changes with the model"
    return "cannot tell", "Cannot tell whether it changes with the model"

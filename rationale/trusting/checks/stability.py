"""Stability: does a method pick the same words again: with another seed, another training, a small edit?

The edits are those of `edits.py`; texts count whose prediction stays. How alike two explanations are is told
by Jaccard's index of the words that are picked, and Kendall's tau of the scores.
Axes: N text, W word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eraser.metrics.bootstrap import Estimate
from eraser.types import Floats
from rationale.attribution.methods import METHODS
from rationale.evaluation.pipeline import Item, get_method
from rationale.trusting.contract import MIN_EXAMPLES, Finding, Outcome
from rationale.trusting.edits import edits_here
from rationale.trusting.model.again import OtherModel, cannot_run_again, few_of, scores_on, why_not
from rationale.trusting.statistics.agreement import jaccard, kendall, mean_of
from rationale.trusting.subject import Subject

NAME = "stability"
SEEDS = 3  # other seeds that a method which draws is run with
STABLE = 0.7  # Jaccard's index of two picks that share 82 % of their words


@dataclass(frozen=True)
class Repeat:
    """One way of running a method again: mean Jaccard and tau, and how many `texts` it was run on."""

    jaccard: Estimate
    tau: Estimate
    texts: int

    def record(self) -> dict[str, Any]:
        """Return it as details hold it."""
        return {"jaccard": vars(self.jaccard), "tau": vars(self.tau)}


def stability(subject: Subject) -> list[Finding]:
    """Return for each method how much of what it picks it picks again, in the worst way of trying."""
    edited = edited_texts(subject)
    return [_of_method(subject, method, edited) for method in subject.methods]


def _of_method(subject: Subject, method: str, edited: dict[str, list[Item | None]]) -> Finding:
    if (why := cannot_run_again(subject, method)) is not None:
        return Finding.unknown(NAME, method, why)
    try:
        found = {**_seeds(subject, method), **_edits(subject, method, edited), **_trainings(subject, method)}
    except Exception as error:  # a stranger's method may raise whatever it likes
        return Finding.unknown(NAME, method, f"{method} fails when it is run again ({why_not(error)})")
    return _finding(method, found)


def _seeds(subject: Subject, method: str) -> dict[str, Repeat]:
    """Return a method that draws with other seeds; nothing of one that draws nothing."""
    if "seed" not in get_method(method).uses:
        return {}
    items, targets = few_of(subject)
    pairs: list[tuple[int, Floats]] = []
    for n in range(1, SEEDS + 1):
        seed = subject.run.settings.seed + n
        pairs += enumerate(_again(subject, method, f"seed-{n}", items, targets, seed=seed))
    return {"seeds": _repeat(subject, method, pairs)}


def _edits(subject: Subject, method: str, edited: dict[str, list[Item | None]]) -> dict[str, Repeat]:
    """Return a method on edited texts whose prediction stayed."""
    _, targets = few_of(subject)
    found = {}
    for name, items in edited.items():
        kept = [(i, item) for i, item in enumerate(items) if item is not None]
        if kept:
            of = [targets[i] for i, _ in kept]
            scores = _again(subject, method, f"edit-{name.replace(' ', '_')}", [item for _, item in kept], of)
            found[name] = _repeat(subject, method, [(i, s) for (i, _), s in zip(kept, scores, strict=True)])
    return found


def _trainings(subject: Subject, method: str) -> dict[str, Repeat]:
    """Return a method on other trainings of the model, where they predict the same class."""
    items, targets = few_of(subject)
    found = {}
    for name, model in subject.models.items():
        probs = subject.answers([(i, item.windows) for i, item in enumerate(items)], model)  # [N,C]
        same = probs.argmax(1) == subject.probs[: len(items)].argmax(1)
        other = OtherModel(f"training {name}", lambda _, m=model: m, model.identity())  # type: ignore[misc]
        scores = scores_on(subject, method, other)
        pairs = [(i, s) for i, s in enumerate(scores) if same[i]]
        found[f"training {name}"] = _repeat(subject, method, pairs)
    return found


def _again(  # noqa: PLR0913 (what a method is asked)
    subject: Subject,
    method: str,
    name: str,
    items: Sequence[Item],
    targets: Sequence[int],
    seed: int | None = None,
) -> list[Floats]:
    """Return a method's scores [W] of texts, from disk where they are there."""

    def compute() -> list[dict[str, Any]]:
        found = subject.explain(method, items, targets, seed=seed)
        return [{"scores": a.scores.tolist()} for a in found]

    windows = [[w.as_lists() for w in item.windows] for item in items]
    known = {} if method in METHODS else {"code": get_method(method).code}
    rows = subject.part(f"{name}-{method}", [windows, list(targets), seed, known], compute)
    return [np.array(row["scores"], dtype=np.float64) for row in rows]


def _repeat(subject: Subject, method: str, pairs: Sequence[tuple[int, Floats]]) -> Repeat:
    """Return how alike a method's scores of texts, by their index, are to those it gave before.

    Of a text that was run again several times the mean counts.
    """
    own, picked = subject.scores(method), subject.rationales(method)
    by_text: dict[int, list[tuple[float, float]]] = {}
    for i, scores in pairs:
        size = int(picked[i].sum())
        alike = jaccard(own[i], scores, size) if np.nanmin(own[i]) < np.nanmax(own[i]) else np.nan
        by_text.setdefault(i, []).append((alike, kendall(own[i], scores)))
    means = np.array([np.mean(of_text, axis=0) for of_text in by_text.values()]).reshape(-1, 2)
    return Repeat(mean_of(means[:, 0]), mean_of(means[:, 1]), len(means))


def edited_texts(subject: Subject) -> dict[str, list[Item | None]]:
    """Return by edit the first texts with it; None where it changes no window, or the prediction."""
    items, targets = few_of(subject)
    found: dict[str, list[Item | None]] = {}
    for name, edit in edits_here().items():
        texts = [edit(item.text, subject.rng(f"{NAME}:{name}", i)) for i, item in enumerate(items)]
        windows = subject.run.classifier.encoder.encode(texts)
        probs = subject.answers(list(enumerate(windows)))
        before = subject.probs[: len(items)].argmax(1)
        stays = probs.argmax(1) == before
        found[name] = [
            replace(item, text=text, windows=w) if stays[i] and _differs(item, w) else None
            for i, (item, text, w) in enumerate(zip(items, texts, windows, strict=True))
        ]
    return found


def _differs(item: Item, windows: Sequence[Any]) -> bool:
    """Return whether a model that reads these windows reads anything else than before."""
    return [w.as_lists() for w in item.windows] != [w.as_lists() for w in windows]


def _finding(method: str, found: dict[str, Repeat]) -> Finding:
    """Return what the least stable way of running a method again says."""
    told = {name: r for name, r in found.items() if r.jaccard.n >= MIN_EXAMPLES}
    ways = {name: r.record() for name, r in found.items()}
    silent = [name for name, r in found.items() if not r.texts]
    none = "".join(f"; {name} predicts another class of every text" for name in silent)
    if not told:
        why = "it draws nothing, the model reads edited texts as they were, and there is no other training"
        if found:
            why = f"fewer than {MIN_EXAMPLES} texts could be explained again{none}"
        return Finding.unknown(NAME, method, why, ways=ways)
    worst = min(told, key=lambda name: told[name].jaccard.value)
    number, tau = told[worst].jaccard, told[worst].tau
    outcome, word = _verdict(number)
    more = "; ".join(f"{n} {r.jaccard.value:.2f}" for n, r in told.items() if n != worst)
    more = f" ({more})" if more else ""
    sentence = (
        f"{word}: Jaccard index of its picks {number.value:.2f} [{number.low:.2f}, {number.high:.2f}] "
        f"({worst}; tau {tau.value:.2f}), n = {number.n}{more}{none}."
    )
    return Finding.of(NAME, method, number, outcome, sentence, ways=ways, worst=worst)


def _verdict(number: Estimate) -> tuple[Outcome, str]:
    if number.low >= STABLE:
        return "pass", "Stable"
    return (
        ("fail", "Not stable")
        if number.high < STABLE
        else ("cannot tell", "Cannot tell whether it is stable")
    )

"""Planted truth: does a method find the words that a model was made to use?

See `rationale.trusting.planted`. Of each text of the label `with` as many words are picked as decide it; the
number is the share of deciding words among them, the mean over texts of all plants.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from eraser.errors import first_line
from eraser.metrics.bootstrap import estimate
from eraser.metrics.table import mean
from eraser.types import Floats
from rationale.attribution import method_named, unfit
from rationale.budgets import top_words
from rationale.evaluation.pipeline import seed_of
from rationale.inference.predict import text_probs
from rationale.trusting.contract import Finding, Outcome
from rationale.trusting.model.again import why_not
from rationale.trusting.planted import (
    HELD_OUT,
    LABELS,
    LEARNED,
    PLANTS,
    VERSION,
    Plant,
    as_function,
    items_of,
    longest_of,
    made,
    texts_of,
    trained,
)
from rationale.trusting.subject import Subject

NAME = "planted"
FINDS = 0.8  # share of deciding words that a method must find


def planted(subject: Subject) -> list[Finding]:
    """Return for each method the share of planted words that it ranks first."""
    makers = {plant.name: _Maker(subject, plant) for plant in PLANTS}
    return [_finding(subject, method, makers) for method in subject.methods]


class _Maker:
    """One plant's texts and what answers by it, made when they are first needed."""

    def __init__(self, subject: Subject, plant: Plant) -> None:
        self.subject, self.plant = subject, plant
        self.texts, self.others = cache(self._texts), cache(self._others)
        self.classifier = cache(self._classifier)
        self.accuracy = cache(self._accuracy)

    def _rng(self, purpose: str) -> np.random.Generator:
        seed = self.subject.run.settings.seed
        return np.random.default_rng(seed_of(seed, f"{NAME}:{self.plant.name}:{purpose}"))

    def _texts(self) -> Any:
        dataset = made(self.plant, texts_of(self.subject), HELD_OUT, self._rng("held out"), only=True)
        return items_of(self.subject, dataset)

    def _classifier(self) -> Any:
        if self.subject.run.classifier.opaque:
            return as_function(self.plant, self.subject.run.classifier)
        room = longest_of((*self.texts().items, *self.others().items))
        return trained(self.plant, self.subject, texts_of(self.subject), self._rng("train"), room)

    def _others(self) -> Any:
        """Return texts of both labels that it was not trained on."""
        dataset = made(self.plant, texts_of(self.subject), 2 * HELD_OUT, self._rng("accuracy"))
        return items_of(self.subject, dataset)

    def _accuracy(self) -> float:
        """Return how often it is right on texts that it was not trained on, of both labels."""
        items = self.others().items
        probs = text_probs(self.classifier(), [i.windows for i in items])
        return float(
            np.mean([LABELS[p.argmax()] == i.truth.label for p, i in zip(probs, items, strict=True)])
        )

    def hits(self, method: str) -> dict[str, Any]:
        """Return the share of deciding words that a method picks in each text, and the model's accuracy."""

        def compute() -> list[dict[str, Any]]:
            classifier, found = self.classifier(), self.texts()
            why = unfit(classifier, method)
            if why is not None or self.accuracy() < LEARNED:
                return [{"hits": [], "why": why, "accuracy": self.accuracy()}]
            try:
                told = self.subject.explain(
                    method, found.items, [1] * len(found.items), classifier=classifier
                )
            except Exception as error:  # a stranger's method
                why_not(error)
                return [{"hits": [], "why": first_line(error), "accuracy": self.accuracy()}]
            hits = [share(a.scores, decide) for a, decide in zip(told, found.truth, strict=True)]
            return [{"hits": hits, "why": None, "accuracy": self.accuracy()}]

        named = method_named(method)
        code = "" if named is None else named.code
        (row,) = self.subject.part(f"{NAME}-{self.plant.name}", [method, code, VERSION], compute)
        return row


def share(scores: Floats, decide: tuple[int, ...]) -> float:
    """Return the share of deciding words among the highest, as many as there are."""
    known = scores[~np.isnan(scores)]
    if not len(known) or known.min() == known.max():
        return 0.0  # no word stands out
    return float(top_words(scores, len(decide))[list(decide)].mean())


def _adaptive(method: str) -> bool:
    """Return whether only a model that drops tokens can be explained so."""
    named = method_named(method)
    return named is not None and named.adaptive


def _finding(subject: Subject, method: str, makers: dict[str, _Maker]) -> Finding:
    if method_named(method) is None:
        return Finding.unknown(NAME, method, "it was made elsewhere and cannot be run again")
    if not subject.run.classifier.opaque and _adaptive(method):
        why = "the small models that are planted drop no tokens, which this method needs"
        return Finding.unknown(NAME, method, why)
    rows = {name: maker.hits(method) for name, maker in makers.items()}
    told = {name: row for name, row in rows.items() if row["hits"]}
    details: dict[str, Any] = {
        name: {"accuracy": row["accuracy"], "left_out": row["why"]} for name, row in rows.items()
    }
    if not told:
        why = next((row["why"] for row in rows.values() if row["why"]), "no small model learned its plant")
        return Finding.unknown(NAME, method, f"on the planted models {why}", **details)
    each = {name: estimate(np.array(row["hits"])[:, None], mean) for name, row in told.items()}
    for name, of_plant in each.items():
        details[name] |= vars(of_plant)
    found = estimate(np.concatenate([row["hits"] for row in told.values()])[:, None], mean)
    missed = [name for name, e in each.items() if e.value < FINDS]
    parts = ", ".join(f"{name} {e.value:.0%}" for name, e in each.items())
    start = f"Misses what was planted ({', '.join(missed)})" if missed else "Finds what was planted"
    left = f"; not learned: {', '.join(n for n in rows if n not in told)}" if len(told) < len(rows) else ""
    number = f"{found.value:.0%} of the deciding words [{found.low:.0%}, {found.high:.0%}], n = {found.n}"
    outcome: Outcome = "fail" if missed else "pass"
    return Finding.of(NAME, method, found, outcome, f"{start}: {number} ({parts}{left}).", **details)

"""TESTS: every test of `rationale trust`. To add one: a function in checks/, and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rationale.trusting.checks.decision import decision
from rationale.trusting.checks.matched import matched
from rationale.trusting.checks.people import people
from rationale.trusting.checks.planted import planted
from rationale.trusting.checks.sums import sums
from rationale.trusting.contract import Finding
from rationale.trusting.subject import Subject


@dataclass(frozen=True)
class TrustTest:
    """A test: its function, what it asks in one line, what it needs, the settings its findings depend on.

    `version` is to be raised by a change that makes it find other numbers.
    """

    run: Callable[[Subject], list[Finding]]
    line: str
    needs: tuple[str, ...] = ()  # of NEEDS
    uses: tuple[str, ...] = ()  # of TrustSettings
    version: int = 1


TESTS: dict[str, TrustTest] = {
    "matched": TrustTest(
        matched,
        "Do the picked words matter more to the model than as many random words of the same text?",
        uses=("draws", "span_draws", "level"),
    ),
    "planted": TrustTest(planted, "Does it find the words that a model was made to use?"),
    "decision": TrustTest(decision, "Must fewer of its words go than random ones until the class flips?"),
    "sums": TrustTest(sums, "Do scores sum to what is promised, and do they not depend on the batch?"),
    "people": TrustTest(people, "Does it rank words as people marked them, better than random?", ("gold",)),
}


def _gold(subject: Subject) -> str | None:
    if any(item.truth.spans for item in subject.items):
        return None
    return "no text has words that people marked"


def _annotators(subject: Subject) -> str | None:
    if any(len(item.example.annotators) > 1 for item in subject.items):
        return None
    return "no text was marked by several people one by one"


def _weights(subject: Subject) -> str | None:
    return "a function of texts has no weights to look into" if subject.run.classifier.opaque else None


def _train(subject: Subject) -> str | None:
    return None if subject.dataset.splits.get("train") else "the data have no train split"


def _models(subject: Subject) -> str | None:
    return None if subject.models else "no other training of the model was given (--models)"


NEEDS: dict[str, Callable[[Subject], str | None]] = {  # why a subject lacks it; None where it does not
    "gold": _gold,
    "annotators": _annotators,
    "weights": _weights,
    "train": _train,
    "models": _models,
}

"""TESTS: every test of `rationale trust`. To add one: a function in checks/, and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eraser.files.content import content_of_examples
from rationale.trusting.checks.consistency import (
    confidence_indication,
    dataset_consistency,
    rationale_consistency,
)
from rationale.trusting.checks.decision import decision
from rationale.trusting.checks.distribution import (
    MOST_REFERENCE,
    distribution,
    trained_faithful,
)
from rationale.trusting.checks.matched import matched
from rationale.trusting.checks.people import people
from rationale.trusting.checks.planted import planted
from rationale.trusting.checks.randomisation import randomisation
from rationale.trusting.checks.stability import stability
from rationale.trusting.checks.sums import sums
from rationale.trusting.contract import Finding
from rationale.trusting.edits import edits_here
from rationale.trusting.model.activations import no_states
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
    reads: tuple[str, ...] = ()  # of READS, beside the texts tested and their scores
    version: int = 1


TESTS: dict[str, TrustTest] = {
    "matched": TrustTest(
        matched,
        "Do the picked words matter more to the model than as many random words of the same text?",
        uses=("draws", "span_draws", "level"),
        version=4,
    ),
    "planted": TrustTest(planted, "Does it find the words that a model was made to use?", version=2),
    "decision": TrustTest(
        decision, "Must fewer of its words go than random ones until the class flips?", version=2
    ),
    "sums": TrustTest(sums, "Do scores sum to what is promised, and do they not depend on the batch?"),
    "people": TrustTest(
        people, "Does it rank words as annotators marked them, better than random?", ("gold",), version=2
    ),
    "randomisation": TrustTest(
        randomisation,
        "Does the ranking change when the model's weights are shuffled, or trained on shuffled labels?",
        needs=("weights",),
        uses=("epochs",),
        reads=("other_splits",),
        version=2,
    ),
    "stability": TrustTest(
        stability,
        "Are the same words picked with another seed, in another training, after a small edit?",
        reads=("models", "edits"),
        version=3,
    ),
    "rationale_consistency": TrustTest(
        rationale_consistency,
        "Do explanations of one text differ more between models that differ more inside?",
        needs=("weights", "states"),
        reads=("models",),
        version=2,
    ),
    "dataset_consistency": TrustTest(
        dataset_consistency,
        "Do explanations differ more between texts that differ more inside the model?",
        needs=("weights", "states"),
        version=2,
    ),
    "confidence": TrustTest(
        confidence_indication, "Do the explanations of all classes tell how sure the model is?"
    ),
    "distribution": TrustTest(
        distribution,
        "Are texts whose words were erased still in the model's distribution?",
        needs=("weights", "states"),
        reads=("other_splits", "erased_in_training"),
        version=2,
    ),
}


def _gold(subject: Subject) -> str | None:
    if any(item.truth.spans for item in subject.items):
        return None
    return "no text has words that annotators marked"


def _annotators(subject: Subject) -> str | None:
    if any(len(item.example.annotators) > 1 for item in subject.items):
        return None
    return "no text was marked by several annotators one by one"


def _weights(subject: Subject) -> str | None:
    return "a function of texts has no weights to look into" if subject.run.classifier.opaque else None


def _states(subject: Subject) -> str | None:
    return no_states(subject.run.explained, subject.items[0].windows)


def _train(subject: Subject) -> str | None:
    return None if subject.dataset.splits.get("train") else "the data have no train split"


def _models(subject: Subject) -> str | None:
    return None if subject.models else "no other training of the model was given (--models)"


NEEDS: dict[str, Callable[[Subject], str | None]] = {  # why a subject lacks it; None where it does not
    "gold": _gold,
    "annotators": _annotators,
    "weights": _weights,
    "states": _states,
    "train": _train,
    "models": _models,
}


def _other_splits(subject: Subject) -> list[str]:
    of = [subject.dataset.splits.get(name, ())[:MOST_REFERENCE] for name in ("train", "val")]
    return [content_of_examples(subject.dataset, examples) for examples in of]


READS: dict[str, Callable[[Subject], list[str]]] = {  # hashes of what more a test may read
    "models": lambda subject: [f"{n} {model.identity()}" for n, model in subject.models.items()],
    "other_splits": _other_splits,
    "edits": lambda subject: sorted(edits_here()),
    "erased_in_training": lambda subject: [trained_faithful(subject) or "none"],
}

"""Which model methods explain: the one that answers, or one that reads the same pieces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from eraser import Fault, InputError
from rationale.inference.capabilities import is_efficient
from rationale.text_classifier import AnyT, TextClassifier


def explained_by(classifier: TextClassifier, dense: TextClassifier | None) -> TextClassifier:
    """Return what attention and gradient methods explain: another model must read the same pieces."""
    if classifier.opaque and dense is None:
        return classifier
    from rationale.hf.classifier import without_removal  # not for a function of texts

    if dense is None:
        return without_removal(classifier)
    if dense.opaque or classifier.opaque:
        raise InputError(Fault.of("a function of texts is explained itself; leave --dense out"))
    if not is_efficient(classifier):
        message = "--model drops no tokens, reads every layer and is not pruned"
        raise InputError(Fault.of(f"{message}, so it is explained itself; leave --dense out"))
    remedy = "give the dense model that --model was made from"
    return without_removal(reading_as(classifier, dense, "--dense", remedy))


def reading_as(classifier: TextClassifier, other: AnyT, name: str, remedy: str) -> AnyT:
    """Return another model as one that is given the pieces of `classifier`.

    Args:
        classifier: whose pieces, labels and class explained are given to both.
        other: the other model.
        name: the option that names it.
        remedy: what to give instead, for the error.

    Raises:
        InputError: it has another vocabulary, other labels, or reads less of a text.
    """
    if other.opaque != classifier.opaque:
        raise InputError(Fault.of(f"one of --model and {name} is a function of texts; {remedy}"))
    if _vocabulary(other) != _vocabulary(classifier) or (other.labels, other.head) != (
        classifier.labels,
        classifier.head,
    ):
        raise InputError(Fault.of(f"{name} has a different vocabulary or labels than --model; {remedy}"))
    room, wanted = other.encoder.max_length, classifier.encoder.max_length
    if room < wanted:
        expected = f"{name} to be a model that reads {wanted} pieces, as --model does"
        raise InputError(Fault(expected, str(room)))
    return cast("AnyT", replace(cast("Any", other), encoder=classifier.encoder))


def _vocabulary(classifier: TextClassifier) -> dict[str, int] | None:
    """Return the ids of a model's pieces; a function of texts has none."""
    encoder: Any = classifier.encoder
    return None if classifier.opaque else encoder.tokenizer.get_vocab()

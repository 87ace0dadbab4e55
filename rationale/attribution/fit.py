"""Which classifiers a method fits, decided before anything is computed.

A method's line in METHODS says what it needs of a model. As a last check, methods that look inside a model
are tried: two short texts must have the same scores alone and in one batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from eraser import Fault, InputError, Text
from eraser.errors import first_line
from eraser.progress import progress, silent
from eraser.types import Floats
from rationale.attribution.batched import AttributionInput, piece_scores
from rationale.attribution.gradients import lengths_count
from rationale.attribution.methods import Method, method_named
from rationale.models.packed.alone import length_matters
from rationale.models.packed.known import known, rounded
from rationale.models.packed.reads import reads_of
from rationale.settings import AttributionSettings
from rationale.text_classifier import TextClassifier

TRIED = (6, 3)  # words of the texts
OPAQUE = "it looks into a model, and this is a function of texts; leave_one_out works"
SCORE_TOLERANCE, ROUNDED_TOLERANCE = (
    0.01,
    0.25,
)  # of scores, as a share of the largest: rounding alone; the latter in bf16


if TYPE_CHECKING:
    from rationale.hf.classifier import Classifier


def shown_whole(classifier: TextClassifier) -> Any:
    """Return the classifier with nothing removed; a function is returned unchanged."""
    if classifier.opaque:
        return classifier
    from rationale.hf.classifier import (
        without_removal,  # a function is explained without Hugging Face's library
    )

    return without_removal(classifier)


def unfit(classifier: TextClassifier, name: str) -> str | None:
    """Return why a method does not fit a classifier, ending in methods that do, or None if it fits."""
    method = method_named(name)
    if method is None:
        return None
    if classifier.opaque:
        return None if method.asks else OPAQUE
    asked: Any = classifier if method.adaptive else shown_whole(classifier)
    reason = None if method.needs is None else method.needs(asked)
    if reason is not None or not method.tried:
        return reason
    return known(asked.model, ("tried", method.scores, asked.bf16), lambda: _tried(asked, method))


def fitting(
    classifier: TextClassifier, names: Iterable[str], explained: TextClassifier | None = None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the methods that fit, and a line for each that does not.

    Args:
        classifier: the model whose predictions are explained.
        names: of METHODS.
        explained: what the other methods explain, where that is another model.
    """
    explained = explained or shown_whole(classifier)
    names = progress(tuple(names), "check which methods fit", "methods")
    reasons = {name: unfit(_asked(classifier, explained, name), name) for name in names}
    fit = tuple(name for name, reason in reasons.items() if reason is None)
    return fit, tuple(f"{name} is left out: {why}" for name, why in reasons.items() if why is not None)


def refuse_unfit(
    classifier: TextClassifier, names: Iterable[str], explained: TextClassifier | None = None
) -> None:
    """Refuse methods that do not fit, one line per method."""
    faults = []
    for name in progress(tuple(names), "check that methods fit", "methods"):
        asked = _asked(classifier, explained, name)
        if (reason := unfit(asked, name)) is not None:
            what = "a function of texts" if asked.opaque else type(asked.model).__name__
            expected = f"a method that fits {what}"
            faults.append(Fault(expected, f"{name}: {reason}"))
    if faults:
        raise InputError(*faults)


def reading(classifier: Any) -> tuple[object, ...]:
    """Return what distinguishes parts on disk by how a model is read.

    That is nothing where the head reads the first token and padding changes no answer, as of BERT and kin.
    """
    if classifier.opaque:
        return ()
    reads, alike = reads_of(classifier.model), length_matters(classifier)
    return (reads, alike) if alike or reads not in ("first", None) else ()


def _asked(classifier: TextClassifier, explained: TextClassifier | None, name: str) -> TextClassifier:
    method = method_named(name)
    own = explained is None or (method is not None and method.adaptive)
    return classifier if own or explained is None else explained


def _tried(classifier: Classifier, method: Method) -> str | None:
    """Return why a method cannot be relied on; scores that are not finite are reported later."""
    try:
        classifier, cases = replace(classifier, passes=None), _two_texts(classifier)
    except InputError:  # an encoder that reads nothing, which is told when it is asked for more
        return None
    try:
        with silent():  # how many methods are tried is told
            alone = [_scores(classifier, method, [case]) for case in cases]
            together = _scores(classifier, method, cases)
    except Exception as error:  # whatever layers of another kind say to it
        return f"it fails on this model ({first_line(error)}); leave_one_out works"
    one, other = np.concatenate([s for found in alone for s in found]), np.concatenate(together)
    close = ROUNDED_TOLERANCE if classifier.bf16 or rounded(classifier.model) else SCORE_TOLERANCE
    if not np.isfinite(one).all() or np.abs(one - other).max() <= close * np.abs(one).max():
        return None
    if not lengths_count(classifier):
        return "its scores are rounding errors, as a word's vector may have any length here; saliency works"
    return "a text's scores change with the texts beside it; leave_one_out works"


def _scores(classifier: Classifier, method: Method, cases: Sequence[AttributionInput]) -> list[Floats]:
    pieces, _, _ = piece_scores(classifier, method, cases, AttributionSettings())
    return pieces


def _two_texts(classifier: Classifier) -> list[AttributionInput]:
    words = [tuple(f"{'xyz'[(i + n) % 3]}{i}" for i in range(size)) for n, size in enumerate(TRIED)]
    encoded = classifier.encoder.encode([Text(str(n), w, {str(n): 0}, (0,)) for n, w in enumerate(words)])
    return [
        AttributionInput(w[:1], size, 0, n) for n, (w, size) in enumerate(zip(encoded, TRIED, strict=True))
    ]

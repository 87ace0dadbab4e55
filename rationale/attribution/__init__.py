"""Attribution: scores for the words of texts, by any method of METHODS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eraser import Fault, InputError
from eraser.types import Floats, Mask
from rationale.attribution.batched import AttributionInput, halving, piece_scores
from rationale.attribution.fit import fitting, refuse_unfit, shown_whole, unfit
from rationale.attribution.methods import METHODS, Method, codes_of, method_named
from rationale.attribution.request import usual
from rationale.heads import check_explain
from rationale.inference.predict import check_finite
from rationale.settings import AttributionSettings
from rationale.text.word_scores import word_scores
from rationale.text_classifier import TextClassifier

__all__ = [
    "METHODS", "Attribution", "AttributionInput", "AttributionSettings", "attribute", "check_method",
    "codes_of", "fitting", "halving", "method_named", "refuse_unfit", "unfit", "usual",
]  # fmt: skip


@dataclass(frozen=True)
class Attribution:
    """One score for each word [W]; NaN where no piece was read. `target` is the class explained.

    `selected` [W] are the words that the method chose itself. `milliseconds` is the text's share, by pieces,
    of its batches' wall-clock time. `convergence_delta`, of methods whose scores should sum to a known value,
    is the distance from it, summed over the text's windows.
    """

    scores: Floats
    target: int
    milliseconds: float
    selected: Mask | None = None
    convergence_delta: float | None = None


def attribute(
    classifier: TextClassifier,
    method: str,
    cases: Sequence[AttributionInput],
    settings: AttributionSettings | None = None,
) -> list[Attribution]:
    """Score every word of every text with a method of METHODS, all windows together, longest first.

    For a token-dropping model, all methods but its own explain the encoder with nothing removed. If
    `classifier.passes` is given, what an earlier method summarised is not computed again, and its cost is
    still counted (not that of `passes.logits`).

    Args:
        classifier: the model.
        method: of METHODS.
        cases: the texts, with the class to explain of each.
        settings: default those of the model's head.

    Raises:
        InputError: the method is unknown or does not fit, settings are invalid, or scores are not finite.
    """
    chosen = check_method(classifier, method)
    settings = settings or usual(classifier)
    if faults := settings.faults():
        raise InputError(*faults)
    check_explain(settings.explain, classifier.head)
    classifier = classifier if chosen.adaptive else shown_whole(classifier)
    pieces, spent, deltas = piece_scores(classifier, chosen, cases, settings, method)
    check_finite(f"finite scores from {method}", pieces, [case.of for case in cases for _ in case.windows])
    of_windows = iter(pieces)
    bar = None if chosen.selection_threshold is None else chosen.selection_threshold(classifier)
    attributions = []
    for case, ms, delta in zip(cases, spent, deltas, strict=True):
        of_case = [next(of_windows) for _ in case.windows]
        scores = word_scores(case.windows, of_case, case.n_words, chosen.reduce)
        selected = None if bar is None else scores >= bar  # NaN, an unread word, is not chosen
        convergence_delta = None if chosen.expected_sum is None else float(delta)
        attributions.append(Attribution(scores, case.target, float(ms), selected, convergence_delta))
    return attributions


def check_method(classifier: TextClassifier, name: str) -> Method:
    """Return the method of that name; refuse an unknown one, or one that does not fit the classifier."""
    method = method_named(name)
    if method is None:
        raise InputError(Fault(f"a method of {', '.join(METHODS)}", repr(name)))
    refuse_unfit(classifier, [name])
    return method

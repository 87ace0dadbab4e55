"""Attribution: which words carried the decision, by the method asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eraser import Fault, InputError
from eraser.types import Mask
from rationale.attribution.batched import Case, halving, piece_scores
from rationale.attribution.fit import fitting, refuse_unfit, unfit
from rationale.attribution.methods import METHODS, method_named
from rationale.attribution.request import AttributionSettings
from rationale.attribution.words import word_scores
from rationale.hf import Classifier, without_removal

__all__ = [
    "METHODS",
    "Attribution",
    "AttributionSettings",
    "Case",
    "attribute",
    "fitting",
    "halving",
    "method_named",
    "refuse_unfit",
    "unfit",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Attribution:
    """One score for each word [W]; NaN where no piece was read. `target` is the class explained.

    `own` [W] are the words that a method chose itself. `milliseconds` is the text's share, by pieces,
    of its batches' wall-clock time. `delta` is by how much the scores of a method that promises it miss what
    they should sum to, added up over the text's windows.
    """

    scores: Floats
    target: int
    milliseconds: float
    own: Mask | None = None
    delta: float | None = None


def attribute(
    classifier: Classifier,
    method: str,
    cases: Sequence[Case],
    settings: AttributionSettings | None = None,
) -> list[Attribution]:
    """Score every word of every text with a method of METHODS, all windows together, longest first.

    Of a token-dropping model, all methods but its own explain the encoder with nothing removed. Where
    `classifier.passes` is given, what an earlier method summarised is not computed again, and its cost is
    counted all the same (not that of `passes.logits`).
    """
    chosen = method_named(method)
    if chosen is None:
        raise InputError(Fault(f"a method of {', '.join(METHODS)}", repr(method)))
    settings = settings or AttributionSettings()
    if faults := settings.faults():
        raise InputError(*faults)
    classifier = classifier if chosen.adaptive else without_removal(classifier)
    refuse_unfit(classifier, [method])
    pieces, spent, missed = piece_scores(classifier, chosen, cases, settings)
    if bad := [i for i, scores in enumerate(pieces) if not np.isfinite(scores).all()]:
        raise InputError(Fault(f"finite scores from {method}", f"NaN or infinity in {len(bad)} windows"))
    of_windows = iter(pieces)
    bar = None if chosen.own is None else chosen.own(classifier)
    attributions = []
    for case, ms, miss in zip(cases, spent, missed, strict=True):
        of_case = [next(of_windows) for _ in case.windows]
        scores = word_scores(case.windows, of_case, case.n_words, chosen.reduce)
        own = None if bar is None else scores >= bar  # NaN, an unread word, is not chosen
        delta = None if chosen.span is None else float(miss)
        attributions.append(Attribution(scores, case.target, float(ms), own, delta))
    return attributions

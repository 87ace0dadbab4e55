"""The methods that a command runs: those that are named, or of many those that fit the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rationale.process.terminal import say

if TYPE_CHECKING:  # torch is imported when a command runs
    from rationale.text_classifier import TextClassifier

ALL = "all"


def picked(
    given: str | None, usual: Sequence[str], classifier: TextClassifier, explained: TextClassifier | None
) -> tuple[str, ...]:
    """Return the methods to run; of the usual ones, or of all, those left out are told.

    Each that is left out is a line on stderr. What is named is returned as it is: the run refuses what does
    not fit.

    Args:
        given: the option; None for the usual methods.
        usual: what is run where nothing is asked for.
        classifier: the model.
        explained: the model that attention and gradients explain, where it is another one.
    """
    from rationale.attribution import METHODS, fitting
    from rationale.inference.capabilities import drops_tokens

    if given not in (None, ALL):
        return tuple(given.split(","))
    own = drops_tokens(classifier)
    names = usual if given is None else [n for n, method in METHODS.items() if own or not method.adaptive]
    fit, left_out = fitting(classifier, names, explained)
    for line in left_out:
        say(line, err=True)
    return fit

"""The methods that a command runs: those that are named, or the usual ones that fit the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rationale.process.terminal import say

if TYPE_CHECKING:  # torch is imported when a command runs
    from rationale.text_classifier import TextClassifier


def choose_methods(
    given: str | None, usual: Sequence[str], classifier: TextClassifier, explained: TextClassifier | None
) -> tuple[str, ...]:
    """Return the methods to run; usual ones, or `all`, that do not fit are left out, one line each on stderr.

    Named methods are returned unchanged: the run refuses what does not fit.

    Args:
        given: the option; None for the usual methods.
        usual: what is run where nothing is asked for.
        classifier: the model.
        explained: the model that attention and gradients explain, where it is another one.
    """
    from rationale.evaluation.choices import DEFAULT, suited

    fit, left_out = suited(DEFAULT if given is None else given, usual, classifier, explained)
    for line in left_out:
        say(line, err=True)
    return fit

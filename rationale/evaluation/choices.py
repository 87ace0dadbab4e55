"""The defaults of a run: the methods, rationale lengths and outputs that suit the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rationale.attribution import METHODS, fitting, usual
from rationale.budgets import parse_budget
from rationale.explanations.of_run import NO_IMPORTS, Imports
from rationale.inference.capabilities import drops_tokens, has_rationale_head
from rationale.settings import EvaluateSettings, Explain, defaults, names_in
from rationale.text_classifier import TextClassifier

ALL, DEFAULT = "all", "default"
Methods = str | Sequence[str]  # DEFAULT, ALL, or names, as a sequence or separated by commas


@dataclass(frozen=True)
class Choices:
    """Settings that suit a model, and a line for each method that was left out because it does not fit."""

    settings: EvaluateSettings
    left_out: tuple[str, ...]


def choose(  # noqa: PLR0913 (a choice each)
    settings: EvaluateSettings,
    classifier: TextClassifier,
    explained: TextClassifier | None = None,
    methods: Methods = DEFAULT,
    budgets: Sequence[str] = (),
    explain: Explain | None = None,
    imports: Imports = NO_IMPORTS,
) -> Choices:
    """Return the settings with methods, rationale lengths and output as asked, or as suits the model.

    Args:
        settings: all else.
        classifier: the model.
        explained: the model that attention and gradients explain, where it is another one.
        methods: those named are taken as they are.
        budgets: rationale lengths, the first leads; none: those that suit the methods.
        explain: what is explained; None: what is usual for such a model.
        imports: rows from elsewhere; of those that pick words the size is a rationale length of all methods.
    """
    usual_methods, usual_budgets = defaults(drops_tokens(classifier), classifier.opaque)
    names, left_out = suited(methods, usual_methods, classifier, explained)
    fit = tuple(b for b in usual_budgets if parse_budget(b).method in (None, *names))
    sizes = tuple(f"match={name}" for name in imports.choosing)
    what, rows = explain or usual(classifier).explain, (*names, *imports.names)
    made = replace(settings, methods=rows, budgets=tuple(budgets) or (*fit, *sizes), explain=what)
    return Choices(made, left_out)


def suited(
    methods: Methods,
    usual_methods: Sequence[str],
    classifier: TextClassifier,
    explained: TextClassifier | None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the methods of a run, and a line for each of the usual ones, or of all, that does not fit."""
    if not isinstance(methods, str):
        return tuple(methods), ()
    if methods not in (ALL, DEFAULT):
        return names_in(methods), ()
    drops = drops_tokens(classifier)
    taught = has_rationale_head(classifier)
    every = [n for n, m in METHODS.items() if (drops or not m.adaptive) and (taught or not m.taught)]
    return fitting(classifier, every if methods == ALL else usual_methods, explained)

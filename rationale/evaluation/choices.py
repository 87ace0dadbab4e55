"""What a run does where nobody says: the methods, rationale lengths and outputs that suit the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from eraser import Fault, InputError
from rationale.attribution import METHODS, fitting, usual
from rationale.budgets import parse_budget
from rationale.inference.capabilities import drops_tokens
from rationale.settings import EvaluateSettings, defaults
from rationale.text_classifier import TextClassifier

ALL, DEFAULT = "all", "default"
CHOSEN = ("methods", "budgets", "explain")  # fields that are filled in here


@dataclass(frozen=True)
class Choices:
    """Settings that suit a model, and a line for each method that was left out because it does not fit."""

    settings: EvaluateSettings
    left_out: tuple[str, ...]


def choose(
    classifier: TextClassifier,
    explained: TextClassifier | None,
    methods: str | Sequence[str] = DEFAULT,
    budgets: Sequence[str] = (),
    explain: str | None = None,
    **others: Any,
) -> Choices:
    """Return the settings of a run.

    Args:
        classifier: the model.
        explained: the model that attention and gradients explain, where it is another one.
        methods: `default`, `all`, or names; those named are taken as they are.
        budgets: rationale lengths, the first leads; none: those that suit the methods.
        explain: what is explained; None: what is usual for such a model.
        others: other fields of EvaluateSettings.

    Raises:
        InputError: a setting that there is not.
    """
    known = {f.name for f in fields(EvaluateSettings)} - set(CHOSEN)
    if unknown := sorted(set(others) - known):
        raise InputError(*(Fault(f"a setting of {', '.join(sorted(known))}", name) for name in unknown))
    usual_methods, usual_budgets = defaults(drops_tokens(classifier), classifier.opaque)
    names, left_out = suited(methods, usual_methods, classifier, explained)
    fit = [b for b in usual_budgets if parse_budget(b).method in (None, *names)]
    what = explain or usual(classifier).explain
    settings: Any = {"methods": names, "budgets": tuple(budgets or fit), "explain": what, **others}
    return Choices(EvaluateSettings(**settings), left_out)


def suited(
    methods: str | Sequence[str],
    usual_methods: Sequence[str],
    classifier: TextClassifier,
    explained: TextClassifier | None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the methods of a run, and a line for each of the usual ones, or of all, that does not fit."""
    if not isinstance(methods, str):
        return tuple(methods), ()
    if methods not in (ALL, DEFAULT):
        return tuple(methods.split(",")), ()
    drops = drops_tokens(classifier)
    every = [name for name, method in METHODS.items() if drops or not method.adaptive]
    return fitting(classifier, every if methods == ALL else usual_methods, explained)

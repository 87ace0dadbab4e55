"""Do explanations made elsewhere agree with annotators? Needs no model, and no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from eraser import Dataset, Fault, InputError, Prediction
from eraser.metrics import agreement
from eraser.metrics.table import METRICS, measure, score
from eraser.types import GoldRationale, Mask
from rationale.budgets import Budget, extract, parse_budget
from rationale.evaluation.per_example import NO_BUDGET
from rationale.explanations.of_run import Imports, explained_examples
from rationale.explanations.stored import ImportedMethod, WordExplanation


def budgets_of(names: Sequence[str], imports: Imports) -> tuple[Budget, ...]:
    """Return the rationale lengths: those asked for, or the annotators' and each that picks words has.

    Raises:
        InputError: a length cannot be had without a model or a train split.
    """
    found = tuple(map(parse_budget, names or ("gold", *(f"match={name}" for name in imports.choosing))))
    for budget in found:
        if budget.kind == "ratio" and budget.ratio is None:
            raise InputError(Fault("a budget ratio=R, with its number", "ratio"))
        if budget.kind == "match" and budget.method not in imports.choosing:
            expected = (
                f"a budget match=NAME of {', '.join(imports.choosing) or 'explanations that pick words'}"
            )
            raise InputError(Fault(expected, str(budget)))
        if budget.kind == "own" and set(imports.choosing) != set(imports.names):
            raise InputError(
                Fault("for budget own only explanations that pick words", ", ".join(imports.names))
            )
    return found


def agreement_table(
    dataset: Dataset, split: str, imports: Imports, budgets: Sequence[str] = (), seed: int = 0
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return a row for each metric of agreement, rationale length and file, with intervals; and notes.

    Raises:
        InputError: examples lack an explanation, or a length cannot be had.
    """
    imports.check(())
    lengths = budgets_of(budgets, imports)
    examples, left_out = explained_examples(dataset, dataset.examples(split), imports)
    truths = [dataset.truth(example) for example in examples]
    rows = []
    for one in imports.methods:
        told = [one.examples[example.id] for example in examples]
        for name, budget, columns in _measured(one, told, truths, lengths, imports):
            s = score(name, columns, seed)
            rows.append((one.method, budget, name, s.value, s.low, s.high, s.n, s.left_out))
    names = ["method", "budget", "metric", "value", "low", "high", "n", "left_out"]
    return pd.DataFrame(rows, columns=names), (*left_out, *imports.notes)


def _measured(
    one: ImportedMethod,
    told: Sequence[WordExplanation],
    truths: Sequence[GoldRationale],
    budgets: Sequence[Budget],
    imports: Imports,
) -> Iterator[tuple[str, str, list[agreement.MetricColumns]]]:
    """Yield each metric of agreement at each length; those of the ranking once."""
    others = {other.method: other for other in imports.methods}
    for number, budget in enumerate(budgets):
        matched = others.get(budget.method or "")
        selected = [
            _rationale(one, e, truth, budget, None if matched is None else matched.examples[e.id].selected)
            for e, truth in zip(told, truths, strict=True)
        ]
        predictions = [
            Prediction(e.id, "", {}, e.ranking, mask) for e, mask in zip(told, selected, strict=True)
        ]
        for name, metric in METRICS.items():
            if metric.measure.__module__ != agreement.__name__:
                continue
            if metric.needs == "rationale":
                yield name, str(budget), measure(name, truths, predictions)
            elif number == 0:
                nothing: list[agreement.MetricColumns] = [None] * len(truths)
                yield name, NO_BUDGET, measure(name, truths, predictions) if one.ranks else nothing


def _rationale(
    one: ImportedMethod, told: WordExplanation, truth: GoldRationale, budget: Budget, match: Mask | None
) -> Mask:
    at: Budget = Budget("own") if budget.method == one.method else budget
    return extract(told.extractable, at, gold=truth.gold, selected=told.selected, match=match)

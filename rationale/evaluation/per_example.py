"""What is measured on each example: every metric, cost, agreement between methods, words per layer."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from eraser.metrics.agreement import MetricColumns
from eraser.metrics.table import METRICS, measure
from rationale.budgets import only_picked, top_words
from rationale.evaluation.disagreement import method_taus
from rationale.evaluation.stored.columns import Key

if TYPE_CHECKING:  # tables that are on disk are read without torch
    from rationale.evaluation.plan import Evaluation

MODEL = "model"  # in the place of the method, of metrics that look at the answer alone
NO_BUDGET = "-"  # of metrics that look at the ranking or the label, not at the picked words
SURVIVORS = "survivors"  # the method whose score counts the layers a word reached
OF_LAYERS = ("false_positive_rate", "token_f1")
# measured too, beside METRICS; in the place of the budget stands what says which
COST, DELTA = "cost", "delta"
TAU = "tau"  # … the other method
DROPS = "drops"  # … the share of words; without them, and with only them
WORDS = "words"  # … the layer


def per_example_metrics(evaluation: Evaluation) -> dict[Key, list[MetricColumns]]:
    """Measure everything on every example; None where it is undefined."""
    truths = [item.truth for item in evaluation.items]
    first = evaluation.budgets[0]
    found: dict[Key, list[MetricColumns]] = {}
    picks_sentences = evaluation.settings.unit == "sentence"
    fit = {name: m for name, m in METRICS.items() if evaluation.kind in m.kinds}
    metrics = {name: m for name, m in fit.items() if picks_sentences or not m.sentences}
    for (method, budget), predictions in evaluation.predictions.items():
        for name, metric in metrics.items():
            if metric.needs == "label":
                found[name, NO_BUDGET, MODEL] = measure(name, truths, predictions)
            elif metric.needs == "rationale":
                found[name, budget, method] = measure(name, truths, predictions)
            elif budget == first:
                ranked = method not in evaluation.unranked
                found[name, NO_BUDGET, method] = (
                    measure(name, truths, predictions) if ranked else [None] * len(truths)
                )
    return (
        found | _convergence_deltas(evaluation) | _taus(evaluation) | _drops(evaluation) | _layers(evaluation)
    )


def per_example_times(evaluation: Evaluation) -> dict[Key, list[MetricColumns]]:
    """Return the milliseconds of each method on every example, which differ between runs.

    None for an explanation made elsewhere, whose time is not known.
    """
    known = {m: evaluation.milliseconds[m] for m in evaluation.settings.methods}
    return {
        (COST, NO_BUDGET, m): [None if np.isnan(ms) else (ms,) for ms in of_method]
        for m, of_method in known.items()
    }


def _convergence_deltas(evaluation: Evaluation) -> dict[Key, list[MetricColumns]]:
    methods = evaluation.settings.methods
    return {
        (DELTA, NO_BUDGET, m): [None if d is None else (abs(d),) for d in evaluation.convergence_deltas[m]]
        for m in methods
    }


def _taus(evaluation: Evaluation) -> dict[Key, list[MetricColumns]]:
    """Return Kendall's τ-b between each two methods' rankings of words; None where one is constant."""
    taus = method_taus(evaluation)
    pairs = combinations(enumerate(evaluation.settings.methods), 2)
    return {
        (TAU, other, one): [None if np.isnan(tau) else (float(tau),) for tau in taus[:, i, j]]
        for (i, one), (j, other) in pairs
    }


def _drops(evaluation: Evaluation) -> dict[Key, list[MetricColumns]]:
    """Return how far the explained answer, such as a class's probability, falls at each share of words."""
    first = evaluation.budgets[0]
    found: dict[Key, list[MetricColumns]] = {}
    for method in (m for m in evaluation.settings.methods if m not in evaluation.unranked):
        for i, fraction in enumerate(evaluation.settings.fractions):
            found[DROPS, str(fraction), method] = [
                (p.probs[p.subject] - a.without[p.subject], p.probs[p.subject] - a.only[p.subject])
                for p in evaluation.predictions[method, first]
                for a in [p.ablations[i]]
            ]
    return found


def _layers(evaluation: Evaluation) -> dict[Key, list[MetricColumns]]:
    """Measure the words that reached each layer, and the same number of other methods' top words.

    Only where annotators marked some.
    """
    first, methods = evaluation.budgets[0], evaluation.settings.methods
    if SURVIVORS not in methods:
        return {}
    found: dict[Key, list[MetricColumns]] = {}
    for i, item in enumerate(evaluation.items):
        reached = np.nan_to_num(evaluation.predictions[SURVIVORS, first][i].scores)
        for layer in range(1, evaluation.layers + 1):
            at, size = str(layer), int((reached >= layer).sum())
            marked = bool(item.truth.spans)
            words = (size / item.truth.n_words,) if marked else None
            found.setdefault((WORDS, at, SURVIVORS), []).append(words)
            for method in methods:
                p = evaluation.predictions[method, first][i]
                scores = only_picked(p.scores) if method in evaluation.unranked else p.scores  # [W]
                selected = replace(p, rationale=top_words(scores, size))
                for metric in OF_LAYERS:
                    row = METRICS[metric].measure(item.truth, selected) if marked else None
                    found.setdefault((by_layer(metric), at, method), []).append(row)
    return found


def by_layer(metric: str) -> str:
    """Return how a metric of the words that reached a layer is called."""
    return f"{metric}_by_layer"

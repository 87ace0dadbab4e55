"""Is one class of several right? Accuracy, macro F1 and AUROC of a model's answers, with intervals.

AUROC is scikit-learn's `roc_auc_score(…, multi_class="ovo", average="macro")`, which HateXplain reports: the
examples of each two classes are told apart by the probability of either, and the mean over all is taken.

Axes: N example, R resample, C class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from eraser.errors import Fault, InputError
from eraser.metrics.answers import macro_over_labels
from eraser.metrics.bias import weighted_aucs
from eraser.metrics.bootstrap import Fold, interval, resamples
from eraser.metrics.table import Score, folded, mean
from eraser.types import Example, Floats, Prediction

CLASS_FOLDS: dict[str, Fold] = {"accuracy": mean, "macro_f1": macro_over_labels}
Labels = NDArray[np.str_]


def class_columns(
    examples: Sequence[Example], predictions: Sequence[Prediction], labels: Sequence[str]
) -> dict[str, Floats]:
    """Return the columns [N,K] of accuracy and macro F1, whose means CLASS_FOLDS folds.

    Args:
        examples: with the human labels.
        predictions: one for each, in the same order.
        labels: those of the model; macro F1 is the mean over them, 0 for one that is neither given nor said.
    """
    human, said = (np.array([x.label for x in of]) for of in (examples, predictions))
    counts = [c for x in labels for c in ((said == x) & (human == x), said == x, human == x)]
    right = (said == human)[:, None]  # [N,1]
    return {"accuracy": right.astype(np.float64), "macro_f1": np.stack(counts, axis=1).astype(np.float64)}


def score_classes(
    examples: Sequence[Example], predictions: Sequence[Prediction], labels: Sequence[str], seed: int = 0
) -> tuple[Score, ...]:
    """Return accuracy, macro F1 and AUROC over examples, each with its bootstrap interval; see class_columns.

    Raises:
        InputError: a prediction lacks the probability of a label.
    """
    columns = class_columns(examples, predictions, labels)
    found = [folded(name, columns[name], fold, seed) for name, fold in CLASS_FOLDS.items()]
    return (*found, _auroc(examples, predictions, labels, seed))


def _auroc(
    examples: Sequence[Example], predictions: Sequence[Prediction], labels: Sequence[str], seed: int
) -> Score:
    """Return AUROC; NaN where no example has one of the labels."""
    if lacking := [p for p in predictions if not set(labels) <= p.probs.keys()]:
        expected = f"probabilities of {', '.join(labels)}"
        raise InputError(*(Fault(expected, ", ".join(p.probs), id=p.example_id) for p in lacking))
    human = np.array([e.label for e in examples])
    probs = np.array([[p.probs[x] for x in labels] for p in predictions])  # [N,C]
    auroc, n = one_against_one(human, probs, labels), len(examples)
    return Score("auroc", float(auroc(np.ones((1, n)))[0]), *interval(auroc(resamples(n, seed))), n, 0)


def one_against_one(human: Labels, probs: Floats, labels: Sequence[str]) -> Callable[[Floats], Floats]:
    """Return what gives the AUROC [R] of examples that count so often [R,N], NaN where a class is missing.

    Args:
        human: the label of each example [N].
        probs: that of each class [N,C].
        labels: the classes [C].
    """

    def auroc(weights: Floats) -> Floats:
        found = []
        for one, other in combinations(range(len(labels)), 2):
            pair = (human == labels[one]) | (human == labels[other])  # [N]
            for c in (one, other):
                found += [weighted_aucs(human[pair] == labels[c], probs[pair, c], weights[:, pair])]
        means: Floats = np.mean(found, axis=0)  # [R]
        return means

    return auroc

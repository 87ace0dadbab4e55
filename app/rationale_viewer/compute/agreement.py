"""What the viewer computes for the examples of a data set: a model's rationale beside the human one.

Axes: W word of an example.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from eraser import Dataset, Example, Prediction
from eraser.labels import split_labels
from eraser.metrics.agreement import MetricColumns
from eraser.metrics.answers import marked_for
from eraser.metrics.table import measure
from eraser.types import Floats, Kind, Mask, mask_from_spans
from rationale.attribution import METHODS, AttributionInput, attribute, usual
from rationale.budgets import extract, only_picked, parse_budget
from rationale.heads import HEADS, predicted_label
from rationale.hf.classifier import without_removal
from rationale.inference.predict import text_probs
from rationale.pass_cache import PassCache
from rationale.settings import targets_of
from rationale_viewer.compute.explain import GOLD, PREDICTED
from rationale_viewer.session.state import AS_TRAINED, LoadedModel

OWN_CHOICE, AS_STORED = "own", "stored"
BUDGET_SIZES = ("gold", "ratio=0.1", "ratio=0.2", "ratio=0.3")
ANNOTATORS = "annotators"  # how far they agree with each other
PRINTED_METRICS = ("token_f1", "token_precision", "token_recall", "false_positive_rate", "average_precision")


@dataclass(frozen=True)
class RationaleSpec:
    """How rationales are made: the method, their size, and the class explained (or PREDICTED, GOLD)."""

    method: str
    budget: str
    target: str = PREDICTED


@dataclass(frozen=True)
class ScoredExample:
    """One example: what annotators and the model said, and how well its words agree with theirs.

    `right` is None where a number has no right or wrong.
    """

    id: str
    label: str
    tags: tuple[str, ...]
    predicted: str
    probs: Mapping[str, float]
    scores: Floats
    selected: Mask
    gold: Mask
    agreement: Mapping[str, float | None]
    kind: Kind = "class"
    right: bool | None = None

    @property
    def wrong(self) -> bool:
        """Whether the model's label is not the annotators', or its labels not all of theirs."""
        return self.right is False

    @property
    def labels(self) -> frozenset[str]:
        """The annotators' labels."""
        return frozenset(split_labels(self.label) if self.kind == "labels" else (self.label,))


def budgets_of(method: str) -> tuple[str, ...]:
    """Return how many words a method's rationale may have, the most telling first."""
    chooses = METHODS[method].selection_threshold is not None
    return (*((OWN_CHOICE,) if chooses else ()), *BUDGET_SIZES)


def score_examples(
    held: LoadedModel, dataset: Dataset, examples: Sequence[Example], how: RationaleSpec
) -> list[ScoredExample]:
    """Return what a model and annotators said of examples."""
    texts = [dataset.text(e) for e in examples]
    encoded = held.classifier.encoder.encode(texts)
    method, labels = METHODS[how.method], held.classifier.labels
    with held.at_dial(AS_TRAINED) as classifier:
        probs = text_probs(classifier, encoded)
        explained = classifier if method.adaptive else without_removal(classifier)
        targets = [_target(how.target, e, p, labels) for e, p in zip(examples, probs, strict=True)]
        cases = [
            AttributionInput(w, len(t.words), i) for w, t, i in zip(encoded, texts, targets, strict=True)
        ]
        found = attribute(replace(explained, passes=PassCache()), how.method, cases, usual(explained))
    rows, head = [], held.classifier.head
    kind = HEADS[head].kind
    for example, p, a in zip(examples, probs, found, strict=True):
        gold = dataset.truth(example).gold
        selected = extract(a.scores, parse_budget(how.budget), gold=gold, selected=a.selected)
        by_label = dict(zip(labels, map(float, p), strict=True))
        of = None if kind == "class" else labels[a.target]
        label = predicted_label(head, labels, p)
        prediction = Prediction(example.id, label, by_label, a.scores, selected, kind=kind, of=of)
        rows.append(judged_of(dataset, example, prediction))
    return rows


def _target(target: str, example: Example, probs: Floats, labels: Sequence[str]) -> int:
    """Return the index of the class that is explained."""
    if target == PREDICTED:
        return int(probs.argmax())
    return labels.index(example.label if target == GOLD else targets_of(labels)[target])


def resized(dataset: Dataset, example: Example, prediction: Prediction, budget: str) -> Prediction:
    """Return a stored prediction with a rationale of another size; AS_STORED is the one it has.

    Of words that were picked without a ranking there are never more than those.
    """
    if budget == AS_STORED:
        return prediction
    gold, scores = dataset.truth(example).gold, prediction.scores
    if set(scores[~np.isnan(scores)].tolist()) <= {0.0, 1.0}:
        scores = only_picked(scores)
    return replace(prediction, rationale=extract(scores, parse_budget(budget), gold=gold))


def judged_of(dataset: Dataset, example: Example, prediction: Prediction) -> ScoredExample:
    """Return what a prediction and annotators said of an example.

    Of several labels agreement is told where annotators gave the one that is explained.
    """
    truth, kind = dataset.truth(example), prediction.kind
    marks = marked_for(truth, prediction.subject) if kind == "labels" else truth
    right = None if kind == "value" else bool(_number(measure("accuracy", [truth], [prediction])[0]))
    return ScoredExample(
        example.id, example.label, tuple(sorted(example.tags)), prediction.label, prediction.probs,
        prediction.scores, prediction.rationale, truth.gold,
        {m: _number(measure(m, [marks], [prediction])[0]) for m in PRINTED_METRICS}
        | {ANNOTATORS: _annotators_agree(dataset, example)}, kind, right,
    )  # fmt: skip


def _number(columns: MetricColumns) -> float | None:
    return None if columns is None else float(columns[0])


DISAGREEMENTS, AMONG_ANNOTATORS = "lowest token F1 first", "annotators who disagree most first"
ORDERS = {
    "in the data set's order": None,
    DISAGREEMENTS: ("token_f1", False),
    "highest false-positive rate first": ("false_positive_rate", True),
    AMONG_ANNOTATORS: (ANNOTATORS, False),
}


@dataclass(frozen=True)
class Filter:
    """Which examples are browsed, and in what order."""

    wrong_only: bool = False
    labels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    search: str = ""
    order: str = next(iter(ORDERS))

    def of(self, judged: Sequence[ScoredExample], words: Mapping[str, str]) -> list[ScoredExample]:
        """Return the examples that pass; `words` is each one's text in lower case."""
        wanted = self.search.casefold()
        found = [
            j
            for j in judged
            if (j.wrong or not self.wrong_only)
            and (not self.labels or j.labels & set(self.labels))
            and (not self.tags or set(j.tags) & set(self.tags))
            and (not wanted or wanted in words[j.id] or wanted in j.id.casefold())
        ]
        order = ORDERS[self.order]
        if order is None:
            return found
        metric, high = order
        sign = -1 if high else 1

        def place(one: ScoredExample) -> tuple[bool, float]:  # those without the number come last
            value = one.agreement[metric]
            return value is None, sign * (value or 0.0)

        return sorted(found, key=place)


def annotator_masks(dataset: Dataset, example: Example) -> list[Mask]:
    """Return each annotator's own marks [W], where a data set keeps them."""
    text = dataset.text(example)
    return [mask_from_spans(text.spans(a), len(text.words)) for a in example.annotators]


def pairwise_f1(masks: Sequence[Mask]) -> Floats:
    """Return the token F1 of every two annotators' marks [A,A]; NaN with oneself.

    1 where neither marked a word.

    >>> float(pairwise_f1([np.array([True, True, False]), np.array([True, False, False])])[0, 1])
    0.6666666666666666
    """
    found: Floats = np.full((len(masks), len(masks)), np.nan)
    for i, j in combinations(range(len(masks)), 2):
        n = int(masks[i].sum() + masks[j].sum())
        found[i, j] = found[j, i] = 2 * int((masks[i] & masks[j]).sum()) / n if n else 1.0
    return found


def _annotators_agree(dataset: Dataset, example: Example) -> float | None:
    """Return the mean token F1 of every two annotators; None where there are fewer than two."""
    masks = annotator_masks(dataset, example)
    return float(np.nanmean(pairwise_f1(masks))) if len(masks) > 1 else None

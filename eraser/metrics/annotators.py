"""How far do annotators agree with each other, and a method with each of them?

A method's agreement with the gold rationale says little without the agreement among those who made it. Here
each annotator's marks are a rationale, scored against the marks of the others by the functions that score
methods (agreement.py). Annotators who marked nothing are left out, and examples where fewer than two marked
something. Per example first, the mean over its annotators; then over examples, with a bootstrap interval
(bootstrap.py).

HateXplain's paper gives only the annotators' agreement on labels (Mathew et al. 2021); this is ours.
Axes: A annotator, W word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Literal, get_args

import numpy as np

from eraser.errors import Fault, InputError, short_repr
from eraser.metrics.agreement import MetricColumns
from eraser.metrics.table import METRICS, Score, score
from eraser.types import Dataset, Example, GoldRationale, Mask, Prediction, mask_from_spans, runs

Others = Literal["union", "majority"]

CEILING = ("token_f1", "iou_f1_one_to_one", "false_positive_rate")


def human_ceiling(
    dataset: Dataset, examples: Sequence[Example], *, others: Others = "union", seed: int = 0
) -> tuple[Score, ...]:
    """Return how well an annotator does against the others: token F1, IOU F1 and false-positive rate.

    The rows carry the names of `METRICS`, whose units and ranges hold. The others together mark less than
    all do, so that this is a ceiling for a method scored on the same others, and a reference, not a bound,
    for one scored on the gold of all.

    Args:
        dataset: holds the documents of the examples.
        examples: `left_out` counts those without two annotators who marked something, and those where the
            metric is undefined for all of them.
        others: what counts as marked. `union`: by any of the others, as HateXplain's gold. `majority`: by
            more than half of them, so by both of two; an annotator whose others agree on no word is left out.
        seed: of the bootstrap over examples.

    Raises:
        InputError: `others` is neither.
    """
    columns = ceiling_columns(dataset, examples, others)
    return tuple(score(metric, of_examples, seed) for metric, of_examples in columns.items())


def ceiling_columns(
    dataset: Dataset, examples: Sequence[Example], others: Others = "union"
) -> dict[str, list[MetricColumns]]:
    """Return of each metric of the ceiling the mean over annotators for each example; see `human_ceiling`.

    Raises:
        InputError: `others` is neither.
    """
    if others not in ("union", "majority"):
        raise InputError(Fault("others union or majority", short_repr(others)))
    pairs = [_each_against_others(dataset, e, others) for e in examples]
    return {m: [_mean(m, of_example) for of_example in pairs] for m in CEILING}


def agreement_rows(dataset: Dataset) -> list[dict[str, Any]]:
    """Return the ceiling of each split, as rows: `split`, `others`, and the fields of a score.

    Where no text of a split has more than two annotators, the union of the others and their majority are one.
    """
    rows = list[dict[str, Any]]()
    for split, examples in dataset.splits.items():
        most = max((len(e.annotators) for e in examples), default=0)
        for others in get_args(Others)[: max(0, min(most, 3) - 1)]:
            scores = human_ceiling(dataset, examples, others=others)
            rows += [{"split": split, "others": others, **asdict(score)} for score in scores]
    return rows


def annotator_agreement(
    dataset: Dataset, examples: Sequence[Example], predictions: Sequence[Prediction], *, seed: int = 0
) -> Score:
    """Return a method's token F1 against each annotator alone, the mean over annotators.

    On the examples that `human_ceiling` is about. One annotator marks fewer words than the union, so it
    compares with the same number of another method, not with a token F1 against gold.

    Args:
        dataset: holds the documents of the examples.
        examples: `left_out` counts those without two annotators who marked something.
        predictions: in any order, one for each example that is not left out; their `rationale` [W] counts.
        seed: of the bootstrap over examples.

    Raises:
        InputError: a prediction is missing, or its rationale is not as long as the text.
    """
    by_id = {p.example_id: p for p in predictions}
    columns: list[MetricColumns] = []
    faults = []
    for example in examples:
        marks = _marks(dataset, example)
        prediction = by_id.get(example.id)
        if len(marks) and (prediction is None or len(prediction.rationale) != marks.shape[1]):
            got = "none" if prediction is None else f"{len(prediction.rationale)}"
            faults.append(Fault(f"a rationale of {marks.shape[1]} words", got, id=example.id))
        elif prediction is None:
            columns.append(None)
        else:
            before = dataset.text(example).unasked
            columns.append(_mean("token_f1", [(_truth(example, mask, before), prediction) for mask in marks]))
    if faults:
        raise InputError(*faults)
    return score("token_f1", columns, seed)


def _marks(dataset: Dataset, example: Example) -> Mask:
    """Return the marks [A,W] of those who marked something, of nobody where they are fewer than two."""
    text = dataset.text(example)
    marks = [mask_from_spans(text.spans(marked), len(text.words)) for marked in example.annotators if marked]
    return np.array(marks if len(marks) >= 2 else [], dtype=bool).reshape(-1, len(text.words))


def _each_against_others(
    dataset: Dataset, example: Example, others: Others
) -> list[tuple[GoldRationale, Prediction]]:
    """Return what the others said and what the annotator said, for each annotator."""
    marks = _marks(dataset, example)
    pairs = []
    for number, own in enumerate(marks):
        rest = np.delete(marks, number, axis=0)
        gold = np.any(rest, axis=0) if others == "union" else 2 * np.sum(rest, axis=0) > len(rest)
        prediction = Prediction(example.id, example.label, {}, own.astype(np.float64), own)
        pairs.append((_truth(example, gold, dataset.text(example).unasked), prediction))
    return pairs


def _truth(example: Example, gold: Mask, unasked: int) -> GoldRationale:
    return GoldRationale(example.label, len(gold), frozenset(runs(gold)), unasked)


def _mean(metric: str, pairs: Iterable[tuple[GoldRationale, Prediction]]) -> MetricColumns:
    """Return the mean over annotators of a metric of one column, None where it is undefined for all."""
    found = [METRICS[metric].measure(truth, prediction) for truth, prediction in pairs]
    values = [columns[0] for columns in found if columns is not None]
    return (float(np.mean(values)),) if values else None

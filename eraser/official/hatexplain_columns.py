"""HateXplain's own numbers post by post, so that they have intervals and shares of what annotators reach.

The folded means of the columns are the numbers of `hatexplain_protocol.score_hatexplain`, which alone follows
its scorer. `iou_f1_one_to_one` is ours: neighbours among the five are one span, and no two hit the same one;
the human ceiling is known in it and in token F1.

Axes: N toxic post, K column.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eraser.metrics.agreement import IOU, iou_f1_one_to_one
from eraser.metrics.annotators import ceiling_columns
from eraser.metrics.bootstrap import Fold
from eraser.metrics.ranking import auprc_trapezoid
from eraser.metrics.table import Score, f1_of_means, folded, mean, rows_of
from eraser.official.hatexplain_protocol import score_hatexplain, top_five, toxic_posts
from eraser.spans import Span
from eraser.types import Dataset, Example, Floats, GoldRationale, Prediction

NO_GOLD = 0.5  # AUPRC of a post that nobody marked
CEILING_OF = {"token_f1": "token_f1", "iou_f1_one_to_one": "iou_f1_one_to_one"}  # number → that of annotators
OF_CEILING = "{}_of_ceiling"


def ratio(means: Floats) -> Floats:
    """Fold columns (ours, theirs): the one mean as a share of the other; NaN where theirs is 0."""
    ours, theirs = means[..., 0], means[..., 1]
    found: Floats = np.where(theirs > 0, ours / np.where(theirs > 0, theirs, 1.0), np.nan)
    return found


FOLDS: dict[str, Fold] = {
    "iou_f1": f1_of_means,
    "token_f1": mean,
    "auprc": mean,
    "comprehensiveness": mean,
    "sufficiency": mean,
    "iou_f1_one_to_one": mean,
    **{OF_CEILING.format(name): ratio for name in CEILING_OF},
}


def protocol_columns(
    dataset: Dataset, examples: Sequence[Example], predictions: Sequence[Prediction]
) -> dict[str, Floats]:
    """Return the columns [N,K] of each number of FOLDS; those of the ceiling where there is one.

    Args:
        dataset: holds the documents of the examples, in words or in word pieces.
        examples: of any label; only the N toxic ones count, in their order.
        predictions: as for `score_hatexplain`.

    Raises:
        InputError: as for `score_hatexplain`.
    """
    whole = score_hatexplain(dataset, examples, predictions)  # refuses what cannot be scored
    toxic, by_id = toxic_posts(examples), {p.example_id: p for p in predictions}
    pairs = [(dataset.truth(e), by_id[e.id]) for e in toxic]
    found = {
        "iou_f1": np.array([_iou(truth, p.scores) for truth, p in pairs]),
        "token_f1": np.array([[_token_f1(truth, p.scores)] for truth, p in pairs]),
        "auprc": np.array([[_auprc(truth, p.scores)] for truth, p in pairs]),
        "iou_f1_one_to_one": rows_of([iou_f1_one_to_one(t, _of_five(p)) for t, p in pairs]),
    }
    if not np.isnan(whole["Comprehensiveness"]):
        found |= _faithfulness([p for _, p in pairs])
    return found | _of_ceiling(dataset, toxic, found)


def score_columns(columns: dict[str, Floats], seed: int = 0) -> tuple[Score, ...]:
    """Return each number with its bootstrap interval over the toxic posts that have one."""
    scores = []
    for name, fold in FOLDS.items():
        if name in columns:
            rows = columns[name]
            known = rows[~np.isnan(rows).all(axis=1)]
            scores.append(folded(name, known, fold, seed, len(rows) - len(known)))
    return tuple(scores)


def _iou(truth: GoldRationale, scores: Floats) -> tuple[float, float]:
    """Return hits among the five spans of one word as a share of these, and of the gold spans."""
    five = np.flatnonzero(top_five(scores)).tolist()
    hits = sum(max((Span(w, w + 1).iou(g) for g in truth.spans), default=0.0) >= IOU for w in five)
    return hits / len(five), (hits / len(truth.spans) if truth.spans else np.nan)


def _token_f1(truth: GoldRationale, scores: Floats) -> float:
    """Return 2 hit / (picked + gold): 0 of a post that nobody marked, in the official scorer's sense."""
    five = top_five(scores)
    return float(2 * (five & truth.gold).sum() / (five.sum() + truth.gold.sum()))


def _auprc(truth: GoldRationale, scores: Floats) -> float:
    if not truth.spans:
        return NO_GOLD
    return auprc_trapezoid(truth.gold, np.where(np.isnan(scores), -np.inf, scores))


def _of_five(prediction: Prediction) -> Prediction:
    """Return a prediction whose rationale is the five."""
    five = top_five(prediction.scores)
    return Prediction(prediction.example_id, prediction.label, prediction.probs, prediction.scores, five)


def _faithfulness(predictions: Sequence[Prediction]) -> dict[str, Floats]:
    """Return how far the predicted label's probability falls without the five, and with the five alone."""
    pairs = [(p, p.at_rationale) for p in predictions if p.at_rationale is not None]  # all have it
    return {
        "comprehensiveness": np.array([[p.probs[p.label] - at.without[p.label]] for p, at in pairs]),
        "sufficiency": np.array([[p.probs[p.label] - at.only[p.label]] for p, at in pairs]),
    }


def _of_ceiling(dataset: Dataset, toxic: Sequence[Example], found: dict[str, Floats]) -> dict[str, Floats]:
    """Return our columns beside those of an annotator against the others, where several marked something."""
    people = {name: rows_of(of) for name, of in ceiling_columns(dataset, toxic).items()}
    return {
        OF_CEILING.format(name): np.concatenate([found[name], people[of]], axis=1)
        for name, of in CEILING_OF.items()
        if not np.isnan(people[of]).all()
    }

"""How well word scores rank gold words above the others: AUPRC, average precision, ROC AUC.

For a gold word i, n_i words score at least as high, tp_i of them gold; n'_i and tp'_i score strictly higher.
Over the P gold words, with N other words in the text,

    average precision = mean of tp_i / n_i
    AUPRC, trapezoids = mean of (tp_i / n_i + tp'_i / n'_i) / 2                          with 0 / 0 = 1
    ROC AUC           = mean of the share of the N that score lower, those that tie counted half

which are the usual sums over the steps of the curves, a step shared out among the gold words it gains
(Davis and Goadrich 2006 on why the trapezoids flatter; Fawcett 2006 on ROC). All three are NaN for a text
without gold words, ROC AUC also for one without other words.
Axes: W word of a text, D text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eraser.types import Floats, Mask

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rankings:
    """The three numbers of each text, each array [D], with its gold words [D] and all its words [D]."""

    auprc_trapezoid: Floats
    average_precision: Floats
    roc_auc: Floats
    n_gold: Ints
    n_words: Ints


def _places(gold: Mask, scores: Floats) -> tuple[Ints, Ints, Floats]:
    """Return for each gold word n', n and its score, the lowest first, gold and scores [W]."""
    words, marked = scores.copy(), scores[gold]
    words.sort()
    marked.sort()
    if len(words) and np.isnan(words[-1]):
        raise ValueError("expected a score for every word, got NaN: leave out what the model never read")
    n_words = len(words)
    return n_words - words.searchsorted(marked, "right"), n_words - words.searchsorted(marked, "left"), marked


def _gold_places(marked: Floats, text: Ints, n_gold: Ints) -> tuple[Ints, Ints]:
    """Return tp' and tp of the gold words of all texts [G], by text and score, the lowest first."""
    ends = np.cumsum(n_gold)[text]  # [G]
    new = np.ones(len(marked) + 1, dtype=bool)  # True where a word ties with none before it; and at the end
    new[1:-1] = (marked[1:] != marked[:-1]) | (text[1:] != text[:-1])
    begins = np.flatnonzero(new)  # of each run of words that tie
    run = np.cumsum(new[:-1]) - 1  # [G]
    return ends - begins[run + 1], ends - begins[run]


def rank_texts(gold: Sequence[Mask], scores: Sequence[Floats]) -> Rankings:
    """Rank each text by itself: `gold` and `scores` [D] of [W]."""
    # sorted text by text, small arrays stay in the cache; the arithmetic is done for all texts at once
    found = [_places(g, s) for g, s in zip(gold, scores, strict=True)]
    n_words = np.array([len(s) for s in scores], dtype=np.int64)
    n_gold = np.array([len(place[0]) for place in found], dtype=np.int64)
    n_above, n, marked = (np.concatenate(column) for column in zip(*found, strict=True))
    text = np.repeat(np.arange(len(found)), n_gold)
    tp_above, tp = _gold_places(marked, text, n_gold)
    precision = tp / n
    above = np.where(n_above > 0, tp_above / np.maximum(n_above, 1), 1.0)
    higher = (n - tp + n_above - tp_above) / 2  # other words, a tie half

    def mean(values: Floats) -> Floats:
        return np.bincount(text, values, minlength=len(found)) / n_gold

    with np.errstate(invalid="ignore", divide="ignore"):
        return Rankings(
            auprc_trapezoid=mean((precision + above) / 2),
            average_precision=mean(precision),
            roc_auc=1 - mean(higher) / (n_words - n_gold),
            n_gold=n_gold,
            n_words=n_words,
        )


def auprc_trapezoid(gold: Mask, scores: Floats) -> float:
    """Return the area under the precision-recall points joined by straight lines, gold and scores [W].

    >>> auprc_trapezoid(np.array([True, False]), np.array([0.5, 0.5]))  # all equal, half of them gold
    0.75
    """
    return float(rank_texts([gold], [scores]).auprc_trapezoid[0])


def average_precision(gold: Mask, scores: Floats) -> float:
    """Return the area under the precision-recall steps, gold and scores [W].

    >>> average_precision(np.array([True, False]), np.array([0.5, 0.5]))
    0.5
    """
    return float(rank_texts([gold], [scores]).average_precision[0])


def roc_auc(gold: Mask, scores: Floats) -> float:
    """Return the share of (gold, other) word pairs in the right order, a tie half, gold and scores [W].

    >>> roc_auc(np.array([True, False, False]), np.array([0.5, 0.5, 0.1]))
    0.75
    """
    return float(rank_texts([gold], [scores]).roc_auc[0])

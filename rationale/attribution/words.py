"""Scores of word pieces → scores of words, over all windows of a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rationale.attribution.methods import Reduce
from rationale.text import OUTSIDE, Window

Floats = NDArray[np.float64]


def _sum(word: NDArray[np.int64], scores: Floats, out: Floats) -> None:
    np.add.at(out, word, scores)


def _max(word: NDArray[np.int64], scores: Floats, out: Floats) -> None:
    out[word] = -np.inf
    np.maximum.at(out, word, scores)


def _max_magnitude(word: NDArray[np.int64], scores: Floats, out: Floats) -> None:
    order = np.argsort(np.abs(scores), kind="stable")
    out[word[order]] = scores[order]  # the last write, the largest, stays


def _first(word: NDArray[np.int64], scores: Floats, out: Floats) -> None:
    out[word[::-1]] = scores[::-1]


REDUCERS: dict[Reduce, Callable[[NDArray[np.int64], Floats, Floats], None]] = {
    "sum": _sum,
    "max": _max,
    "max_magnitude": _max_magnitude,
    "first": _first,
}


def word_scores(
    windows: Sequence[Window], piece_scores: Sequence[Floats], n_words: int, reduce: Reduce
) -> Floats:
    """Return one score a word [W]; NaN for a word of which no piece was read.

    >>> w = Window(np.array([101, 7, 8, 9, 102]), np.array([-1, 0, 0, 1, -1]), np.zeros(5, dtype=int))
    >>> word_scores([w], [np.array([9.0, 1.0, 2.0, 5.0, 9.0])], 3, "sum").tolist()
    [3.0, 5.0, nan]
    """
    words = np.concatenate([w.word[w.word != OUTSIDE] for w in windows])
    scores = np.concatenate(
        [s[w.word != OUTSIDE] for w, s in zip(windows, piece_scores, strict=True)]
    ).astype(np.float64)
    found: Floats = np.zeros(n_words)
    REDUCERS[reduce](words, scores, found)
    unread = np.ones(n_words, dtype=bool)
    unread[words] = False
    found[unread] = np.nan
    return found

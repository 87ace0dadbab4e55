"""Scores of word pieces → scores of words, over all windows of a text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eraser.types import Floats
from rationale.explanations.pooling import REDUCERS, Reduce
from rationale.text.windows import OUTSIDE, Window, words_between

BELOW_ONE = 1 - 1e-6  # largest tie-break of a word's layers: never another layer's worth


def word_scores(
    windows: Sequence[Window], piece_scores: Sequence[Floats], n_words: int, reduce: Reduce
) -> Floats:
    """Return one score per word [W]; NaN for a word of which no piece was read.

    The words of a unit have its score, of which, where scores are sums, each has an equal part.

    >>> w = Window(*np.array([[101, 7, 8, 9, 102], [-1, 0, 0, 1, -1], [0] * 5, [-1, 1, 1, 3, -1]]))
    >>> word_scores([w], [np.array([9.0, 1.0, 2.0, 5.0, 9.0])], 4, "sum").tolist()
    [3.0, 2.5, 2.5, nan]
    """
    words, ends = (
        np.concatenate([at[w.word != OUTSIDE] for w, at in zip(windows, of_windows, strict=True)])
        for of_windows in ([w.word for w in windows], [w.end for w in windows])
    )
    scores = np.concatenate(
        [s[w.word != OUTSIDE] for w, s in zip(windows, piece_scores, strict=True)]
    ).astype(np.float64)
    found: Floats = np.zeros(n_words)
    REDUCERS[reduce](words, scores, found)
    for word, end in set(zip(words[ends > words + 1], ends[ends > words + 1], strict=True)):
        found[word:end] = found[word] / (end - word if reduce == "sum" else 1)
    found[~words_between(words, ends, n_words)] = np.nan
    return found

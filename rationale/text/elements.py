"""The elements of a rationale: the words of a text or its sentences, each with a score.

Axes: W word, S sentence, E element: a word or a sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from eraser import GoldRationale
from eraser.spans import Mask, mask_from_spans, runs, sentences_with
from eraser.types import Floats, Span
from rationale.settings import SentenceScore, Unit

OF_WORDS: dict[SentenceScore, Callable[[Floats], Any]] = {"sum": np.sum, "mean": np.mean, "max": np.max}
assert tuple(OF_WORDS) == get_args(SentenceScore)


def sentence_scores(scores: Floats, starts: tuple[int, ...], how: SentenceScore) -> Floats:
    """Return the score of each sentence [S] from those of its words [W]; NaN where no word was read.

    >>> sentence_scores(np.array([1.0, np.nan, 3.0, np.nan]), (0, 3), "sum")
    array([ 4., nan])
    """
    known = (of_sentence[~np.isnan(of_sentence)] for of_sentence in np.split(scores, starts[1:]))
    return np.array([OF_WORDS[how](words) if len(words) else np.nan for words in known], dtype=np.float64)


@dataclass(frozen=True)
class Elements:
    """What is picked of `n_words`: the sentences that begin at `starts`, or, without these, the words."""

    n_words: int
    starts: tuple[int, ...] | None = None
    how: SentenceScore = "sum"

    @classmethod
    def of(cls, truth: GoldRationale, unit: Unit, how: SentenceScore) -> Elements:
        """Return the elements of a text."""
        return cls(truth.n_words, truth.sentence_starts if unit == "sentence" else None, how)

    def scores(self, of_words: Floats) -> Floats:
        """Return the score of each element [E] from those of words [W]."""
        return of_words if self.starts is None else sentence_scores(of_words, self.starts, self.how)

    def touched(self, words: Mask) -> Mask:
        """Return the elements [E] that hold any of these words [W]."""
        return words if self.starts is None else sentences_with(words, self.starts)

    def words(self, selected: Mask) -> Mask:
        """Return the words [W] of these elements [E]."""
        if self.starts is None:
            return selected
        edges = (*self.starts, self.n_words)
        spans = (Span(edges[run.start], edges[run.end]) for run in runs(selected))
        return mask_from_spans(tuple(spans), self.n_words)

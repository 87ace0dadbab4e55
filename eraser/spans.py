"""Spans of words, and masks over them: end excluded, True what the mask's name says.

Axes: W word of a text, S sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Words `start` up to, not including, `end`."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a span needs 0 <= start < end, got start {self.start}, end {self.end}")

    def __len__(self) -> int:
        return self.end - self.start

    def overlap(self, other: Span) -> int:
        """Return the number of words in both."""
        return max(0, min(self.end, other.end) - max(self.start, other.start))

    def iou(self, other: Span) -> float:
        """Return words in both / words in either."""
        both = self.overlap(other)
        return both / (len(self) + len(other) - both)


@dataclass(frozen=True, slots=True, order=True)
class Evidence:
    """A span of one document that an annotator marked."""

    doc_id: str
    span: Span


def runs(mask: Mask) -> tuple[Span, ...]:
    """Return the runs of True in `mask` as spans, from left to right.

    >>> runs(np.array([True, True, False, True]))
    (Span(start=0, end=2), Span(start=3, end=4))
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return tuple(Span(int(a), int(b)) for a, b in edges.reshape(-1, 2))


def mask_from_spans(spans: tuple[Span, ...] | frozenset[Span], n_words: int) -> Mask:
    """Return the mask [W] that is True inside `spans`."""
    mask = np.zeros(n_words, dtype=bool)
    for span in spans:
        mask[span.start : span.end] = True
    return mask


def sentences_with(words: Mask, starts: Sequence[int]) -> Mask:
    """Return the sentences [S], which begin at the words `starts`, that hold any of `words` [W].

    >>> sentences_with(np.array([False, True, False]), (0, 2))
    array([ True, False])
    """
    counts = np.concatenate(([0], np.cumsum(words)))
    edges = np.array([*starts, len(words)], dtype=np.int64)
    found: Mask = counts[edges[1:]] > counts[edges[:-1]]
    return found


def cut_at(spans: Sequence[Span], starts: Sequence[int]) -> tuple[Span, ...]:
    """Return spans cut where sentences begin.

    >>> cut_at((Span(0, 3),), (0, 2))
    (Span(start=0, end=2), Span(start=2, end=3))
    """
    cuts = ([s.start, *(c for c in starts if s.start < c < s.end), s.end] for s in spans)
    return tuple(Span(a, b) for edges in cuts for a, b in pairwise(dict.fromkeys(edges)))

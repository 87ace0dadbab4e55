"""Scores → hard rationale: the words that a budget allows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eraser import Fault, InputError
from eraser.types import Floats, Mask

BudgetKind = Literal["own", "gold", "ratio", "match", "top"]
EXPECTED = "own, gold, ratio, ratio=R with 0 < R <= 1, top=N with N >= 1, or match=METHOD"


@dataclass(frozen=True)
class Budget:
    """How many words a rationale may have.

    `own`: the words that the method selects itself. `gold`: the human rationale's number of words. `ratio`:
    a share of the words (without a number: the mean human share on train). `top`: a number of words. `match`:
    the number of words that another method selects.
    """

    kind: BudgetKind
    ratio: float | None = None
    method: str | None = None
    words: int | None = None

    def __str__(self) -> str:
        if self.kind == "ratio" and self.ratio is not None:
            return f"ratio={self.ratio!r}"  # in full: the name is part of a result's identity
        if self.kind == "top":
            return f"top={self.words}"
        return f"match={self.method}" if self.kind == "match" else self.kind


def parse_budget(text: str) -> Budget:
    """Read a budget's name.

    Raises:
        InputError: it is none.

    >>> parse_budget("ratio=0.2")
    Budget(kind='ratio', ratio=0.2, method=None, words=None)
    """
    kind, _, value = text.partition("=")
    if kind == "match" and value:
        return Budget("match", method=value)
    if kind in ("own", "gold") and not value and "=" not in text:
        return Budget(kind)  # type: ignore[arg-type]
    if text == "ratio":
        return Budget("ratio")
    if kind == "top" and value.isdecimal() and int(value) >= 1:
        return Budget("top", words=int(value))
    try:
        ratio = float(value)
    except ValueError:
        ratio = math.nan
    if kind == "ratio" and 0 < ratio <= 1:
        return Budget("ratio", ratio)
    raise InputError(Fault(f"a budget: {EXPECTED}", repr(text)))


def share_of(n_words: int, ratio: float) -> int:
    """Return that share of the words, rounded half up, at least one.

    >>> [share_of(23, r) for r in (0.01, 0.05, 0.1, 0.5)]
    [1, 1, 2, 12]
    >>> share_of(50, 0.29)  # 14.5, in binary a little less
    15
    """
    return max(1, math.floor(round(n_words * ratio, 9) + 0.5))


def top_words(scores: Floats, size: int) -> Mask:
    """Return the mask [W] of the `size` words with the highest scores; ties go to the first in the text.

    A NaN score (an unread word) is never picked, so fewer than `size` may be.
    """
    order = np.argsort(-scores, kind="stable")  # NaN sorts last
    selected = np.zeros(len(scores), dtype=bool)
    selected[order[:size]] = True
    return selected & ~np.isnan(scores)


def only_picked(scores: Floats) -> Floats:
    """Return the 1/0 [W] of words that were picked without a ranking, NaN for 0: no size makes them more."""
    return np.where(scores > 0, scores, np.nan)  # [W]


def extract(
    scores: Floats, budget: Budget, *, gold: Mask, selected: Mask | None = None, match: Mask | None = None
) -> Mask:
    """Return the hard rationale [W].

    Args:
        scores: one per word [W], NaN where unread.
        budget: how many words; a `ratio` must have its number.
        gold: the human rationale [W].
        selected: what the method itself chose [W], where it chooses.
        match: what the method named by a `match` budget chose [W].

    Raises:
        InputError: budget `own` of a method that only ranks words.
        ValueError: a `ratio` budget without its number.
    """
    if budget.kind == "own":
        if selected is None:
            raise InputError(
                Fault.of("budget own needs a method that chooses words; this one only ranks them")
            )
        return selected
    if budget.kind == "match":
        if match is None:
            message = f"budget match needs a method that chooses words; {budget.method} only ranks them"
            raise InputError(Fault.of(message))
        return top_words(scores, int(match.sum()))
    if budget.words is not None:
        return top_words(scores, budget.words)
    if budget.kind == "gold":
        return top_words(scores, int(gold.sum()))
    if budget.ratio is None:
        raise ValueError("a ratio budget without its number: fill it in from the train split first")
    return top_words(scores, share_of(len(scores), budget.ratio))

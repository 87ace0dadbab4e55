"""Scores of pieces → scores of words: how several become one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eraser.types import Floats

Reduce = Literal["sum", "max", "max_magnitude", "first"]


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

"""What one method gave for one example: in memory a `MethodResult`, on disk a row of a part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from eraser.types import Floats, Mask


@dataclass(frozen=True)
class ErasedAnswers:
    """The model's probabilities [C] without the words of a rationale, and with only them."""

    name: str  # the budget, or the share of words, that the rationale was extracted at
    words: tuple[int, ...]
    without: tuple[float, ...]
    only: tuple[float, ...]

    def to_row(self) -> dict[str, Any]:
        """Return what a part holds of it."""
        return {
            "name": self.name,
            "words": list(self.words),
            "without": list(self.without),
            "only": list(self.only),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read what `to_row` gave."""
        return cls(row["name"], tuple(row["words"]), tuple(row["without"]), tuple(row["only"]))


@dataclass(frozen=True)
class MethodResult:
    """Scores [W] of an example's words, and what the model answers at each rationale extracted from them.

    `selected` are the words that the method chose by itself, None where it chooses none; `device` is where
    it was computed.
    """

    id: str
    milliseconds: float
    device: str
    scores: Floats
    convergence_delta: float | None
    selected: tuple[int, ...] | None
    erased: tuple[ErasedAnswers, ...]

    def at(self, name: str) -> ErasedAnswers:
        """Return the answers at the rationale of that name."""
        (found,) = (answers for answers in self.erased if answers.name == name)
        return found

    def to_row(self) -> dict[str, Any]:
        """Return its row of a part."""
        return {
            "id": self.id,
            "ms": self.milliseconds,
            "where": self.device,
            "scores": self.scores.tolist(),
            "delta": self.convergence_delta,
            "own": None if self.selected is None else list(self.selected),
            "rationales": [answers.to_row() for answers in self.erased],
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read what `to_row` gave."""
        return cls(
            row["id"],
            row["ms"],
            row["where"],
            np.array(row["scores"], dtype=np.float64),
            row["delta"],
            None if row["own"] is None else tuple(row["own"]),
            tuple(map(ErasedAnswers.from_row, row["rationales"])),
        )


def indices(mask: Mask) -> tuple[int, ...]:
    """Return where a mask [W] is True."""
    return tuple(mask.nonzero()[0].tolist())


def mask_from_indices(words: Iterable[int], n_words: int) -> Mask:
    """Return the mask [W] that is True at these words."""
    mask = np.zeros(n_words, dtype=bool)
    mask[list(words)] = True
    return mask

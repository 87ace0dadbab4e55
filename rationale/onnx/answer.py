"""An exported model's answer: the label, each label's probability, and how far each word came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rationale.text.word_scores import BELOW_ONE

DIGITS = 7  # of a contribution: the graph has no more


class AnswerWord(NamedTuple):  # ten times as fast to create as a dataclass: long texts have many
    """A word of a text: `text` stands at its characters from `start` up to, not including, `end`.

    `layer` is the number of layers that its longest-lived piece went through; a word that went through all
    layers survived. `contribution` is that piece's score at the layer that dropped it, or at the last layer.
    Both are None for a word that was not read. `side` is 1 for a word of a pair's second text; `start` and
    `end` then count in that text.
    """

    text: str
    start: int
    end: int
    layer: int | None
    contribution: float | None
    side: int = 0

    @property
    def score(self) -> float | None:
        """The score of the method `survivors`: the layers, ties broken by the contribution."""
        if self.layer is None or self.contribution is None:
            return None
        return self.layer + min(self.contribution, BELOW_ONE)


@dataclass(frozen=True)
class Answer:
    """What the model predicts for a text.

    `label` is the class; for a multi-label model, all labels above the threshold, joined by `|`; for a model
    that predicts a number, that number as text. `scores` holds each label's probability, or the number;
    `logits` the means over the text's windows. `words` holds all words in order; it is empty if they were not
    requested or the model drops no tokens. A word survived if its `layer` equals `depth`. `unread` is the
    number of words not read at all; `truncated` counts those among them that were cut off.
    """

    label: str
    scores: Mapping[str, float]
    logits: tuple[float, ...]
    words: tuple[AnswerWord, ...]
    depth: int
    windows: int
    unread: int
    truncated: int

    @property
    def survivors(self) -> tuple[AnswerWord, ...]:
        """The words with a piece that was kept to the last layer: the rationale."""
        return tuple(word for word in self.words if word.layer == self.depth)

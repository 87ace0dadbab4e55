"""What an exported model says of a text: its label, each label's probability, and how far each word came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rationale.text.word_scores import BELOW_ONE

DIGITS = 7  # of a contribution: the graph has no more


class AnswerWord(NamedTuple):  # made ten times as fast as a dataclass is: long texts have many
    """A word of a text: `text` is what stands at its characters `start` up to, not including, `end`.

    `layer` is how many layers its longest-lived piece went through, of which all there are mean that it
    survived; `contribution` is that piece's score at the layer that dropped it, or at the last. Both are None
    of a word that was not read. `side` is 1 in a pair's second text, whose characters these are then.
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
    """What the model said of a text.

    `label` is the class; of a multi-label model all labels above the threshold, joined by `|`; of a model
    that gives a number its text. `scores` are each answer's own: probabilities, or the number; `logits` the
    model's, the mean over the text's windows. `words` are all words in order; empty where they were not
    asked for, or where the model drops none. A word reached `depth` layers if it survived. `unread` words
    were not read at all; `truncated` of them because the text was cut off.
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
        """The words of which a piece was kept to the last layer: the rationale."""
        return tuple(word for word in self.words if word.layer == self.depth)

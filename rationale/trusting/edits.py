"""Small edits of a text that keep every word at its place, so that scores can be held against each other.

To add one: a function (text, random numbers) → text, and a line in EDITS. Synonyms are no edit here: no
library that is kept up ships a list of them with itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from eraser import Text
from eraser.words import Spans

TYPO_LETTERS = 5  # of a word in which two inner letters are swapped
Edit = Callable[[Text, np.random.Generator], Text]


def lower_case(text: Text, rng: np.random.Generator) -> Text:
    """Return the text in lower case; a letter whose lower case is no single character stays as it is."""
    return _with(text, list(map(_lower, text.words)), lambda gap: _lower(gap))


def two_spaces(text: Text, rng: np.random.Generator) -> Text:
    """Return the text with two spaces for each between words."""
    return _with(text, list(text.words), lambda gap: gap.replace(" ", "  "))


def one_typo(text: Text, rng: np.random.Generator) -> Text:
    """Return the text with two inner letters of one word swapped; as it is where no word has five letters."""
    long = [i for i, word in enumerate(text.words) if len(word) >= TYPO_LETTERS and word.isalpha()]
    if not long:
        return text
    words, i = list(text.words), int(rng.choice(long))
    at = int(rng.integers(1, len(words[i]) - 2))
    words[i] = words[i][:at] + words[i][at + 1] + words[i][at] + words[i][at + 2 :]
    return _with(text, words, lambda gap: gap)


EDITS: dict[str, Edit] = {"lower case": lower_case, "two spaces": two_spaces, "one typo": one_typo}


def _lower(string: str) -> str:
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in string)


def _with(text: Text, words: list[str], between: Callable[[str], str]) -> Text:
    """Return the text with other words and what stands between them changed, each of its strings as one."""
    parts = [words] if text.second is None else [words[: text.second], words[text.second :]]
    strings = [_joined(s, spans, of, between) for (s, spans), of in zip(text.sides, parts, strict=True)]
    first = strings[0] if text.second is not None else text.first
    return replace(text, words=tuple(words), string=strings[-1], first=first)


def _joined(string: str, spans: Spans, words: list[str], between: Callable[[str], str]) -> str:
    """Return a string again from its words, and from what stood around them."""
    found, before = [], 0
    for (start, end), word in zip(spans, words, strict=True):
        found += [between(string[before:start]), word]
        before = end
    return "".join([*found, between(string[before:])])

"""Small edits of a text that keep every word at its place, so that scores can be held against each other.

To add one: a function (text, random numbers) → text, and a line in EDITS. Synonyms are those of WordNet,
where NLTK and its copy of it are installed: `pip install nltk`, `python -m nltk.downloader wordnet`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

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


def one_synonym(text: Text, rng: np.random.Generator) -> Text:
    """Return the text with one word replaced by a synonym; as it is where none of its words has any."""
    known = [(i, found) for i, word in enumerate(text.words) if (found := synonyms(word))]
    if not known:
        return text
    i, found = known[int(rng.integers(len(known)))]
    words = list(text.words)
    words[i] = str(rng.choice(found))
    return _with(text, words, lambda gap: gap)


def synonyms(word: str) -> list[str]:
    """Return the single words that share a word's most usual meaning, written as it begins."""
    senses = wordnet().synsets(word.lower()) if word.isalpha() else []
    same = {name for name in senses[0].lemma_names() if name.isalpha()} if senses else set()
    shaped = (name.capitalize() if word[0].isupper() else name for name in same - {word.lower()})
    return sorted(shaped)


@cache
def wordnet() -> Any:
    """Return NLTK's WordNet; None where the library or its data are not installed."""
    try:
        found: Any = import_module("nltk.corpus").wordnet
        found.ensure_loaded()
    except (ImportError, LookupError):
        return None
    return found


EDITS: dict[str, Edit] = {
    "lower case": lower_case,
    "two spaces": two_spaces,
    "one typo": one_typo,
    "one synonym": one_synonym,
}


def edits_here() -> dict[str, Edit]:
    """Return the edits whose library is installed."""
    return {name: edit for name, edit in EDITS.items() if edit is not one_synonym or wordnet() is not None}


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

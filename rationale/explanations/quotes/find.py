"""Where the passages that a model quoted stand in a text.

Three ways, in order: exactly; with case folded; with white space, punctuation and the form of letters (NFKD)
relaxed too. A passage begins and ends where words of letters and digits do: "art" does not stand in "heart",
nor "no table" in "notable". A passage found in none of these ways is never guessed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np

from eraser.types import Mask
from eraser.words import Spans

Way = Literal["as written", "with case folded", "with white space and punctuation relaxed"]
Repeated = Literal["all", "first"]
Fold = Callable[[str], str]  # one character → those that are compared


@dataclass(frozen=True)
class Found:
    """A passage in a text: the way it was found, and the characters [start, end) of each occurrence.

    Without a way there are none; `inside` says whether it stands within longer words.
    """

    way: Way | None
    places: Spans
    inside: bool = False


def _same(character: str) -> str:
    return character


def _relaxed(character: str) -> str:
    """Return letters, marks, digits and meaningful symbols; "" for spaces and punctuation."""
    kept = (c for c in unicodedata.normalize("NFKD", character.casefold()) if _counts(c))
    return "".join(kept)


def _counts(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind[0] in "LMN" or kind in ("Sc", "Sm", "So")


WAYS: dict[Way, Fold] = {
    "as written": _same,
    "with case folded": str.casefold,
    "with white space and punctuation relaxed": _relaxed,
}


@dataclass(frozen=True)
class QuotedText:
    """A text in which passages are looked for, and the characters of its words."""

    string: str
    words: Spans

    def find(self, quote: str) -> Found:
        """Return where a passage stands."""
        inside = False
        for way, fold in WAYS.items():
            wanted, gaps = _with_gaps(quote.strip(), fold)
            apart, within = self._occurrences(way, wanted, gaps) if wanted else ([], False)
            if apart:
                return Found(way, tuple(apart))
            inside |= within
        return Found(None, (), inside)

    def _occurrences(self, way: Way, wanted: str, gaps: Sequence[int]) -> tuple[list[tuple[int, int]], bool]:
        """Return where a passage stands, no two over one another, and whether it does inside longer words.

        `gaps` are the places in the passage before which it has white space that is not compared.
        """
        folded, places = self._folded[way]
        found, within = list[tuple[int, int]](), False
        at = folded.find(wanted)
        while at >= 0:
            end = at + len(wanted)
            span = places[at], places[end - 1] + 1
            halves = _is_half(places, at) or _is_half(places, end)
            if halves or any(map(self._is_inside_a_word, span)):
                within, step = True, 1
            elif any(_is_half(places, at + n) or self._is_inside_a_word(places[at + n]) for n in gaps):
                step = 1  # "no table" does not stand in "notable"
            else:
                found.append(span)
                step = len(wanted)
            at = folded.find(wanted, at + step)
        return found, within

    def selected(self, spans: Sequence[tuple[int, int]]) -> Mask:
        """Return the words [W] of which some character is in one of the spans."""
        starts, ends = np.array(self.words, dtype=np.int64).reshape(-1, 2).T
        selected = np.zeros(len(self.words), dtype=bool)
        for start, end in spans:
            selected |= (starts < end) & (ends > start)
        return selected

    @cached_property
    def _folded(self) -> dict[Way, tuple[str, list[int]]]:
        """Of each way the text as it is compared, and the place in the text of each of its characters."""
        return {way: _fold(self.string, fold) for way, fold in WAYS.items()}

    @cached_property
    def _word_of(self) -> list[int]:
        """The word of each character, -1 between words."""
        found = [-1] * len(self.string)
        for word, (start, end) in enumerate(self.words):
            found[start:end] = [word] * (end - start)
        return found

    def _is_inside_a_word(self, edge: int) -> bool:
        """Return whether letters or digits of one word stand on both sides of an edge."""
        if not 0 < edge < len(self.string):
            return False
        before, after = self._word_of[edge - 1], self._word_of[edge]
        letters = all(unicodedata.category(c)[0] in "LMN" for c in self.string[edge - 1 : edge + 1])
        return letters and before == after != -1


def _is_half(places: Sequence[int], at: int) -> bool:
    """Return whether a place in a folded text is in the middle of what one character became."""
    return 0 < at < len(places) and places[at - 1] == places[at]


def _with_gaps(quote: str, fold: Fold) -> tuple[str, list[int]]:
    """Return a passage as it is compared, and the places in it before which white space was left out.

    >>> _with_gaps("no table", _relaxed)
    ('notable', [2])
    """
    folded, places = _fold(quote, fold)
    between = (quote[before + 1 : after] for before, after in pairwise(places))
    return folded, [n for n, left_out in enumerate(between, start=1) if any(map(str.isspace, left_out))]


def _fold(text: str, fold: Fold) -> tuple[str, list[int]]:
    folded, places = list[str](), list[int]()
    for place, character in enumerate(text):
        for kept in fold(character):
            folded.append(kept)
            places.append(place)
    return "".join(folded), places

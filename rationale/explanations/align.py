"""Tokens → characters of a text → words: tokens of any tokenizer are found by their characters.

Case, accents, white space and compatibility forms (NFKC) are ignored on both sides. A token that does not
follow the one before it is looked for further on; it is left out if that lets more of the later tokens
follow. Axes: T token, W word.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from eraser.types import Floats, Text
from eraser.words import Spans
from rationale.explanations.pooling import REDUCERS, Reduce
from rationale.explanations.readings import READINGS, SPECIAL, UNKNOWN

Place = tuple[int, int] | None  # [start, end) in characters; None where a token has none
CONTEXT, AHEAD = 12, 8  # characters, and tokens, after one that is not at its place, that say where it is
FURTHEST = 20_000  # characters that may be passed over
SHORT_REACH = 8  # … for each that matches, where fewer than CONTEXT are left


@dataclass(frozen=True)
class Placed:
    """Where tokens stand in a text: the characters of each [T], and which tokens are special."""

    places: tuple[Place, ...]
    special: tuple[bool, ...]

    @property
    def found(self) -> int:
        """The number of tokens found in the text."""
        return sum(place is not None for place in self.places)

    @property
    def lost(self) -> int:
        """The number of tokens not found."""
        return len(self.places) - self.found - sum(self.special)


@lru_cache(maxsize=2**14)
def plain(character: str) -> str:
    """Return a character without case and accents, in its compatibility form; "" for an invisible one."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return "".join(c for c in folded if unicodedata.category(c) not in ("Mn", "Cc", "Cf") and not c.isspace())


def plain_text(string: str) -> tuple[str, list[int]]:
    """Return a text's plain characters, and the index in the text that each comes from."""
    found = [(p, i) for i, c in enumerate(string) for p in plain(c)]
    return "".join(p for p, _ in found), [i for _, i in found]


def place_tokens(tokens: Sequence[str], string: str) -> Placed:
    """Return where tokens stand in a text, in the reading that finds most of them."""
    there = plain_text(string)
    read = (texts for reading in READINGS.values() if (texts := reading(tokens)) is not None)
    return max((_placed(tokens, texts, string, there) for texts in read), key=lambda placed: placed.found)


def _placed(tokens: Sequence[str], texts: Sequence[str], string: str, there: tuple[str, list[int]]) -> Placed:
    """Return where tokens stand that are read as these texts."""
    whole, origin = there
    pieces = ["".join(map(plain, text)) for text in texts]
    marks = [SPECIAL.fullmatch(token) is not None for token in tokens]
    unknown = [UNKNOWN.fullmatch(token) is not None for token in tokens]
    places: list[Place] = [None] * len(tokens)
    at, special = 0, [not token for token in tokens]  # as shap writes a tokenizer's marks
    for i, piece in enumerate(pieces):
        if not piece:
            continue
        start = at if whole.startswith(piece, at) else -1
        if start < 0 and (marks[i] or unknown[i]):
            special[i] = marks[i]
            continue
        if start < 0:
            start = _further_on(whole, at, pieces, marks, unknown, i)
        if start >= 0:
            at = start + len(piece)
            places[i] = origin[start], origin[at - 1] + 1
    _place_unknown(places, unknown, string)
    _place_empty(places, texts, pieces)
    return Placed(tuple(p if t else None for p, t in zip(places, tokens, strict=True)), tuple(special))


def _further_on(
    whole: str, at: int, pieces: Sequence[str], marks: Sequence[bool], unknown: Sequence[bool], i: int
) -> int:
    """Return where a token stands further on; -1 if nowhere.

    It is looked for together with later tokens, then alone; not if more later tokens follow here without it.
    """
    ahead, last = pieces[i], i + 1
    while len(ahead) < CONTEXT and last < len(pieces) and not (marks[last] or unknown[last]):
        ahead += pieces[last]
        last += 1
    found = _near(whole, at, ahead)
    found = _near(whole, at, pieces[i]) if found < 0 else found
    if found < 0:
        return -1
    with_it = 1 + _in_a_row(whole, found + len(pieces[i]), pieces[i + 1 : i + 1 + AHEAD])
    return found if with_it > _in_a_row(whole, at, pieces[i + 1 : i + 1 + AHEAD]) else -1


def _near(whole: str, at: int, sought: str) -> int:
    """Return where something stands, the further away the longer it may be."""
    reach = FURTHEST if len(sought) >= CONTEXT else SHORT_REACH * len(sought)
    return whole.find(sought, at, at + reach + len(sought))


def _in_a_row(whole: str, at: int, pieces: Sequence[str]) -> int:
    """Return how many tokens stand one after the other from here on."""
    for n, piece in enumerate(pieces):
        if not whole.startswith(piece, at):
            return n
        at += len(piece)
    return len(pieces)


def _place_unknown(places: list[Place], unknown: Sequence[bool], string: str) -> None:
    """Give unknown tokens the words between their neighbours, if there is one word per token."""
    end = 0
    for is_unknown, group in groupby(range(len(places)), key=lambda i: unknown[i] and places[i] is None):
        inside = list(group)
        if not is_unknown:
            end = max([end, *(place[1] for i in inside if (place := places[i]) is not None)])
            continue
        after = (place[0] for place in places[inside[-1] + 1 :] if place is not None)
        stop = next(after, len(string))
        words = _spaced(string, end, stop)
        if len(words) == len(inside):
            for i, word in zip(inside, words, strict=True):
                places[i] = word


def _spaced(string: str, start: int, stop: int) -> list[tuple[int, int]]:
    """Return the characters of what stands between white space in a part of a text."""
    alike = groupby(range(start, stop), key=lambda i: string[i].isspace())
    runs = [list(run) for space, run in alike if not space]
    return [(run[0], run[-1] + 1) for run in runs]


def _place_empty(places: list[Place], texts: Sequence[str], pieces: Sequence[str]) -> None:
    """Let tokens without plain characters belong to the one before, white space alone to the one after."""
    before: Place = None
    for i, piece in enumerate(pieces):
        before = places[i] = places[i] if piece else before
    after = before  # at the end of a text there is none
    for i in reversed(range(len(places))):
        if pieces[i]:
            after = places[i]
        elif texts[i].isspace():
            places[i] = after


def words_at(places: Sequence[Place], spans: Spans) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first word [T] of each token's characters, and the word [T] after its last; -1, -1 of none.

    Args:
        places: the characters of each token.
        spans: those of each word.

    >>> words_at([(0, 1), (1, 5), None], ((0, 1), (2, 3), (3, 6)))
    (array([ 0,  1, -1]), array([ 1,  3, -1]))
    """
    there = np.array([i for i, (start, end) in enumerate(spans) if end > start], dtype=np.int64)
    starts, ends = np.array([spans[i] for i in there], dtype=np.int64).reshape(-1, 2).T
    first, after = np.full((2, len(places)), -1)
    for i, place in enumerate(places):
        if place is None:
            continue
        one = min(int(np.searchsorted(ends, place[0], side="right")), len(there) - 1)
        last = max(int(np.searchsorted(starts, place[1], side="left")) - 1, one)
        first[i], after[i] = there[one], there[last] + 1
    return first, after


def pooled(
    first: NDArray[np.int64], after: NDArray[np.int64], scores: Floats, n_words: int, reduce: Reduce
) -> Floats:
    """Return one score for each word [W] from those of tokens [T]; NaN where no token has a score.

    Of a token of several words each has an equal part where scores are summed, else the whole.
    """
    known = (first >= 0) & ~np.isnan(scores)
    words = np.concatenate([
        np.arange(a, b) for a, b in zip(first[known], after[known], strict=True)
    ] or [np.empty(0, np.int64)]).astype(np.int64)  # fmt: skip
    sizes = (after - first)[known]
    each = np.repeat(scores[known] / (sizes if reduce == "sum" else 1), sizes)
    found: Floats = np.zeros(n_words)
    REDUCERS[reduce](words, each, found)
    found[~np.isin(np.arange(n_words), words)] = np.nan
    return found


def place_in(text: Text, tokens: Sequence[str]) -> Placed:
    """Return where tokens stand in a text; those of a query, before or after it, count as special."""
    string, _ = text.plain
    alone = place_tokens(tokens, string)
    if not (text.query and text.query.strip()):
        return alone
    after_query = place_tokens(tokens, f"{text.query} {string}")
    before_query = place_tokens(tokens, f"{string} {text.query}")
    ways = (
        alone,
        _shifted(after_query, len(text.query) + 1, len(string)),
        _shifted(before_query, 0, len(string)),
    )
    return max(ways, key=lambda placed: (-placed.lost, placed.found))


def _shifted(placed: Placed, by: int, size: int) -> Placed:
    """Return places counted from where the text begins; of tokens outside it none, and they are special."""
    inside = [p is not None and by <= p[0] < by + size for p in placed.places]
    places = tuple(
        (p[0] - by, p[1] - by) if p is not None and here else None
        for p, here in zip(placed.places, inside, strict=True)
    )
    outside = (p is not None and not here for p, here in zip(placed.places, inside, strict=True))
    special = tuple(s or o for s, o in zip(placed.special, outside, strict=True))
    return Placed(places, special)

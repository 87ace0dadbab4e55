"""Texts → windows, whatever tokenizer makes their pieces: a long text is cut, its query repeated in each.

Nothing here needs torch. Axes: T word piece, W word of the example.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eraser.errors import Fault, InputError
from eraser.spans import Mask
from eraser.text import Text
from eraser.words import Spans
from rationale.text.windows import (
    MIN_ROOM,
    OUTSIDE,
    Ints,
    Window,
    glued,
    piece_ranges,
    words_of_pieces,
)


@dataclass(frozen=True)
class Pieces:
    """What a tokenizer makes of a text, or of a pair.

    `ids`, `types` and `side` [T], which is the text of the pair that a piece is from, or OUTSIDE; `offsets`
    [T,2] are its characters there; `special` [T] says which pieces the tokenizer added.
    """

    ids: Ints
    types: Ints
    side: Ints
    offsets: Ints
    special: Mask


Tokenize = Callable[[Sequence[str], Sequence[str] | None], Iterable[Pieces]]
"""Texts, or the first and the second text of pairs → their pieces, not truncated."""


@dataclass(frozen=True)
class WindowCutter:
    """Cuts texts into windows of at most `max_length` pieces; the id `start` stands for an empty text."""

    tokenize: Tokenize
    max_length: int
    start: int

    def windows(self, texts: Sequence[Text]) -> Iterator[tuple[int, tuple[Window, ...]]]:
        """Yield the place of each text and its windows, at least one: first those alone, then the pairs.

        Raises:
            InputError: a text has no words, no encoding, or too long a query.
        """
        for text in texts:
            if not any(text.words):
                raise InputError(text.problem("the text has no words"))
            if text.second and not (any(text.words[: text.second]) and any(text.words[text.second :])):
                raise InputError(text.problem("a text of the pair has no words"))
        for paired in (False, True):
            rows = [i for i, t in enumerate(texts) if t.is_pair == paired]
            yield from zip(rows, self._of_kind([texts[i] for i in rows], paired), strict=True)

    def _of_kind(self, texts: Sequence[Text], paired: bool) -> Iterator[tuple[Window, ...]]:
        """Yield the windows of texts that are all pairs, or none."""
        if not texts:
            return
        sides = [text.sides for text in texts]
        strings = [readable(of_text[-1][0], t) for t, of_text in zip(texts, sides, strict=True)]
        queries = [
            t.query or "" if t.second is None else of_text[0][0]
            for t, of_text in zip(texts, sides, strict=True)
        ]
        firsts = [readable(query, t) for t, query in zip(texts, queries, strict=True)]
        found = self.tokenize(firsts if paired else strings, strings if paired else None)
        for text, of_text, pieces in zip(texts, sides, found, strict=True):
            inside = (pieces.side == int(paired)) & ~pieces.special
            whole = _placed(text, [spans for _, spans in of_text], pieces, inside)
            yield self._cut(text, whole, inside, int((~inside & ~pieces.special).sum()))

    def _cut(self, text: Text, whole: Window, inside: Mask, n_query: int) -> tuple[Window, ...]:
        """Cut the pieces `inside` [T] a text into windows, each between what stands before and after them."""
        places = inside.nonzero()[0]
        specials = len(whole) - len(places) - n_query
        room = self.max_length - specials - n_query
        if self.max_length < specials + MIN_ROOM:
            raise InputError(Fault(f"a max_length of at least {specials + MIN_ROOM}", str(self.max_length)))
        if room < MIN_ROOM and len(whole) > self.max_length:
            what = "a query" if text.second is None else "a first text"
            expected = f"{what} that leaves {MIN_ROOM} of {self.max_length} pieces to the text"
            raise InputError(text.fault(expected, f"{n_query} pieces"))
        if not len(places):
            return (some(whole, self.start),)
        first, after = int(places[0]), int(places[-1]) + 1
        if after - first != len(places):
            raise InputError(Fault.of("the tokenizer puts other tokens between a text's pieces"))
        inner = whole.at(slice(first, after))
        return tuple(
            replace(
                glued(whole.at(slice(first)), inner.at(slice(start, end)), whole.at(slice(after, None))),
                lost=lost,
            )
            for start, end, lost in piece_ranges(inner, text.sentence_starts, room)
        )


def readable(string: str, text: Text) -> str:
    """Return the string if it can be encoded."""
    try:
        string.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(text.fault("text without lone surrogates", ascii(string[error.start]))) from None
    return string


def some(window: Window, start: int) -> Window:
    """Return the window, or the id of an empty text if it has no pieces: a model must read something."""
    return window if len(window) else Window(*(np.array([x]) for x in (start, OUTSIDE, 0, OUTSIDE)))


def _placed(text: Text, spans: Sequence[Spans], pieces: Pieces, inside: Mask) -> Window:
    """Return all pieces as one window; those `inside` [T] the text, or either of a pair, know their words."""
    before = text.second or 0
    word, end = np.full((2, len(pieces.ids)), OUTSIDE)
    word[inside], end[inside] = (before + w for w in words_of_pieces(pieces.offsets[inside], spans[-1]))
    if text.second is not None:
        first = (pieces.side == 0) & ~pieces.special
        word[first], end[first] = words_of_pieces(pieces.offsets[first], spans[0])
    return Window(pieces.ids, word, pieces.types, end)

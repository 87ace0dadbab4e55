"""What annotators marked in a text, in any of the known forms → a mask over its words.

Axes: W word of the text, as a cutter of eraser/words.py cuts it. Spans are [start, end), end excluded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, starmap
from math import inf
from typing import Any, Literal

import numpy as np

from eraser.errors import Fault, InputError, short_repr
from eraser.types import Mask, Span, mask_from_spans
from eraser.words import Spans, WordCutter, cut_words

RationaleForm = Literal["auto", "chars", "tokens", "quotes", "marks", "none"]
ENDS = ".!?。！？｡؟۔।"  # of a sentence


@dataclass(frozen=True)
class MarkedText:
    """A text, the characters of its words, the mask [W] of those marked, and how many spans marked them.

    Of the spans, `cut` begin or end inside a word, which is marked whole, and `bare` touch no word. Of the
    quotes, `lost` do not stand in the text, and `repeated` more than once, where each place is a span.
    """

    text: str
    words: Spans
    gold: Mask
    spans: int = 0
    cut: int = 0
    bare: int = 0
    quotes: int = 0
    lost: int = 0
    repeated: int = 0


def read_marks(
    text: str,
    value: Any,
    form: RationaleForm,
    marks: tuple[str, str],
    how: WordCutter = "whitespace",
    tokens: WordCutter = "whitespace",
) -> MarkedText:
    """Return which words of a text are marked.

    Args:
        text: with the opening and closing `marks` in it, if the form is `marks`.
        value: for `chars` a list of [start, end) in Unicode code points of the text, or the number of each
            character, for `tokens` such spans in words, or a 0 or 1 for each word, for `quotes` a list of
            words that stand in the text, or one string of them; None where nothing is marked.
        form: any but `auto`.
        marks: what opens and what closes a span.
        how: what cuts the text into words.
        tokens: what cuts it into those that `tokens` counts; they mark the words that they touch.

    Raises:
        InputError: one fault for each span out of range, or for the first mark without its other half.
    """
    if form == "marks":
        return mark_characters(*take_out_marks(text, *marks), how)
    if form == "none" or value is None:
        return mark_characters(text, (), how)
    if form == "chars":
        return mark_characters(text, _pairs(from_characters(value), len(text), "characters"), how)
    if form == "quotes":
        return mark_quotes(text, value, how)
    places = cut_words(text, tokens)
    spans: Spans = () if (by_word := _is_by_word(value)) else _pairs(value, len(places), "words")
    given = (
        _bits(value, len(places)) if by_word else mask_from_spans(tuple(starmap(Span, spans)), len(places))
    )
    found = mark_characters(text, tuple(places[i] for i in given.nonzero()[0]), how)
    return replace(found, spans=len(spans))


def counts_words(value: Any, n_words: int) -> bool:
    """Return whether a rationale may count the words of a text with that many.

    >>> counts_words([0, 1], 2), counts_words([[0, 2], [3, 4]], 2)
    (True, False)
    """
    if _is_by_word(value):
        return len(value) == n_words
    return isinstance(value, list) and all(_is_pair(pair) and pair[1] <= n_words for pair in value)


def check_spans(value: Any, form: RationaleForm) -> None:
    """Refuse spans that are wrong for any text, if the text, or with `auto` the form, is not known.

    Raises:
        InputError: it is no list, or a fault for each span that is no [start, end).
    """
    if form == "quotes":
        _quotes(value)
    elif value is not None and (form == "chars" or not _is_by_word(value)):
        _pairs(
            from_characters(value) if form == "chars" else value,
            None,
            {"chars": "characters", "tokens": "words"}.get(form, "words or characters"),
        )


def form_of(rows: Sequence[tuple[str, Any]], marks: tuple[str, str]) -> RationaleForm:
    """Return the form of (text, value) rows, `auto` where pairs of numbers may be words or characters.

    They are taken for characters where half of them or more end beyond the last word's number.
    """
    values = [value for _, value in rows if value is not None]
    if not values:
        return "marks" if any(all(mark in text for mark in marks) for text, _ in rows) else "none"
    if 2 * sum(map(_is_quoted, values)) > len(values):
        return "quotes"
    sized = [(len(text.split()), value) for text, value in rows if isinstance(value, list)]
    pairs = [(p, n_words) for n_words, value in sized for p in value if _is_pair(p)]
    if not pairs:
        return "tokens"
    pairs = [(p, n_words) for p, n_words in pairs if n_words]  # a row without a text tells nothing
    beyond = sum(end > n_words for (_, end), n_words in pairs)
    return "chars" if 2 * beyond >= len(pairs) else "auto"


def take_out_marks(text: str, opening: str, closing: str) -> tuple[str, Spans]:
    """Return the text without its marks, and the characters of it that stood between them.

    Raises:
        InputError: a mark without its other half, or one span inside another.

    >>> take_out_marks("a [[truly awful]] film", "[[", "]]")
    ('a truly awful film', ((2, 13),))
    """
    parts, length = list[str](), 0  # of the text without marks
    after = 0  # where the last mark ends in the text with them
    spans, opened = [], None
    for found in re.finditer(_either(opening, closing), text):
        parts.append(text[after : found.start()])
        length, after = length + len(parts[-1]), found.end()
        if opened is None and found[0] == opening:
            opened = (length, found)
        elif opened is None:
            raise _unpaired(f"{closing} without {opening}", found, (opening, closing))
        elif found[0] == closing:
            spans.append((opened[0], length))
            opened = None
        else:
            raise _unpaired(f"{opening} inside another", found, (opening, closing))
    if opened is not None:
        raise _unpaired(f"{opening} without {closing}", opened[1], (opening, closing))
    return "".join([*parts, text[after:]]), tuple(spans)


def without_marks(text: str, marks: tuple[str, str]) -> str:
    """Return the text without its marks, whether or not they are in pairs."""
    return re.sub(_either(*marks), "", text)


def _either(opening: str, closing: str) -> str:
    return "|".join(map(re.escape, sorted((opening, closing), key=len, reverse=True)))


def _unpaired(what: str, found: re.Match[str], marks: tuple[str, str]) -> InputError:
    place = f"{what} at character {found.start()}: {short_repr(found.string[found.start() :], 30)}"
    return InputError(Fault(f"marks {marks[0]} and {marks[1]} in pairs", place))


def mark_characters(text: str, spans: Spans, how: WordCutter = "whitespace") -> MarkedText:
    """Return the words that spans of characters touch.

    >>> found = mark_characters("a truly awful film", ((3, 13),))
    >>> found.gold.tolist(), found.cut
    ([False, True, True, False], 1)
    """
    words = cut_words(text, how)
    (starts, ends), (begins, stops) = (np.array(x, dtype=np.int64).reshape(-1, 2).T for x in (words, spans))
    first, after = np.searchsorted(ends, begins, "right"), np.searchsorted(starts, stops, "left")
    touch = first < after
    first, after, begins, stops = first[touch], after[touch], begins[touch], stops[touch]
    cut = int(((starts[first] < begins) | (ends[after - 1] > stops)).sum())
    size = len(words) + 1
    gold = (np.bincount(first, minlength=size) - np.bincount(after, minlength=size)).cumsum()[:-1] > 0
    return MarkedText(text, words, gold, len(spans), cut, int((~touch).sum()))


def mark_quotes(text: str, value: Any, how: WordCutter = "whitespace") -> MarkedText:
    """Return the words that quotes from a text touch, each wherever it stands; white space may differ.

    A quote that stands nowhere as words of its own is looked for inside of words, as some scripts have no
    spaces.

    >>> found = mark_quotes("a dull, dull  film", ["dull", "dull film", "warm"])
    >>> found.gold.tolist(), found.lost, found.repeated
    ([False, True, True, True], 1, 1)
    >>> mark_quotes("The heart of this art", ["art"]).gold.tolist()
    [False, False, False, False, True]

    Raises:
        InputError: it is neither a list of strings nor one.
    """
    spans, lost, repeated = list[tuple[int, int]](), 0, 0
    quotes = _quotes(value)
    for quote, times in Counter(quotes).items():
        found = _places(quote, text)
        lost += times * (not found)
        repeated += times * (len(found) > 1)
        spans += found
    return replace(mark_characters(text, tuple(spans), how), quotes=len(quotes), lost=lost, repeated=repeated)


def _places(quote: str, text: str) -> list[tuple[int, int]]:
    """Return where a quote stands in a text [start, end), as words of its own if it does."""
    pattern = r"\s+".join(map(re.escape, quote.split()))
    if not pattern:
        return []
    first = r"(?<!\w)" if quote.split()[0][0].isalnum() else ""
    last = r"(?!\w)" if quote.split()[-1][-1].isalnum() else ""
    whole = [match.span() for match in re.finditer(f"{first}{pattern}{last}", text)]
    return whole or [match.span() for match in re.finditer(pattern, text)]


def _quotes(value: Any) -> list[str]:
    """Return one quote or a list of them as a list."""
    quotes = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(quotes, list) or not all(isinstance(quote, str) for quote in quotes):
        raise InputError(Fault("a list of quotes from the text", short_repr(value)))
    return quotes


def _is_quoted(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(quote, str) for quote in value)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(n) is int for n in value)


def _is_by_word(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and not any(isinstance(v, list) for v in value)


def from_characters(value: Any) -> Any:
    """Return a list of the numbers of characters as spans, and anything else as it is.

    Two numbers that are no neighbours are rather one span, and left as they are.

    >>> from_characters([2, 3, 4, 9]), from_characters([2, 9])
    ([[2, 5], [9, 10]], [2, 9])
    """
    if not isinstance(value, list) or not value or any(type(n) is not int for n in value):
        return value
    steps = [b - a for a, b in pairwise(value)]
    if value[0] < 0 or min(steps, default=1) < 1 or (len(steps) == 1 and steps[0] > 1):
        return value
    edges = [0, *(i for i, step in enumerate(steps, start=1) if step > 1), len(value)]
    return [[value[a], value[b - 1] + 1] for a, b in pairwise(edges)]


def _pairs(value: Any, limit: int | None, unit: str) -> Spans:
    """Return spans within the first `limit` words or characters; None: however many there are."""
    if not isinstance(value, list):
        raise InputError(Fault(f"a list of [start, end) in {unit}", short_repr(value)))
    end, upper = (inf, "") if limit is None else (limit, f" <= {limit}")
    if wrong := [p for p in value if not (_is_pair(p) and 0 <= p[0] < p[1] <= end)]:
        expected = f"[start, end) in {unit}, 0 <= start < end{upper}"
        raise InputError(*(Fault(expected, short_repr(pair)) for pair in wrong))
    return tuple((start, end) for start, end in value)


def _bits(value: list[Any], n_words: int) -> Mask:
    """Return the mask [W] of a list with a 0 or 1 for each word."""
    if len(value) != n_words or not all(v in (0, 1) for v in value):
        expected = f"a 0 or 1 for each of {n_words} words, or a list of [start, end) in words"
        raise InputError(Fault(expected, f"{len(value)} items {short_repr(value)}"))
    return np.array(value, dtype=bool)


def sentences_of(text: str, places: Spans) -> tuple[tuple[str, ...], ...]:
    """Cut words at line breaks; a text of one line instead after each word that ends as a sentence does.

    >>> sentences_of("Dull . Not bad!  No", ((0, 4), (5, 6), (7, 10), (11, 15), (17, 19)))
    (('Dull', '.'), ('Not', 'bad!'), ('No',))
    """
    words = tuple(text[start:end] for start, end in places)
    between = zip(places, places[1:], strict=False)
    ends = [i for i, (a, b) in enumerate(between, start=1) if len(text[a[1] - 1 : b[0] + 1].splitlines()) > 1]
    if not ends:
        ends = [i for i, word in enumerate(words[:-1], start=1) if word[-1] in ENDS]
    edges = [0, *ends, len(words)]
    return tuple(words[a:b] for a, b in zip(edges, edges[1:], strict=False) if b > a)

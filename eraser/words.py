"""How a text is cut into words, and where its words stand.

A span is [start, end) in characters (Unicode code points) of the text. Between words there is white space, or
invisible characters (control and format characters), and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, get_args
from unicodedata import bidirectional, category

from eraser.errors import Fault, InputError, short_repr

if TYPE_CHECKING:
    import regex

WordCutter = Literal["whitespace", "punctuation", "characters"]
Spans = tuple[tuple[int, int], ...]

_LETTER = r"[\p{L}\p{M}\p{N}\p{Pc}]"
# Letters and digits of scripts that put no spaces between words; `SA` in Unicode's line breaking are Thai,
# Lao, Khmer, Burmese and their kin.
_UNSPACED = r"[[\p{L}\p{M}\p{N}]&&[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Bopo}\p{scx=Tibt}\p{lb=SA}]]"
_UNSEEN = r"[\s\p{Cc}\p{Cf}]"
_INSIDE = r"['’‐‑·\u00ad-]"  # between letters they are part of a word: don't, well-known
_IN_NUMBERS = r"[.,:٫٬]"  # between digits they are part of a number: 3.5, 10:30
SPACED_BELOW = 4.0  # letters to a white-space word, on average: with fewer, spaces stand between words


@cache
def _pattern(unspaced_alone: bool) -> regex.Pattern[str]:
    """Return what finds the next word or, as its first group, what is none."""
    import regex  # here, as few commands cut texts

    letter = rf"[{_LETTER}--{_UNSPACED}]" if unspaced_alone else _LETTER
    letters = rf"(?:(?={letter})\X)++"  # \X: a character as it is read, with its marks
    inside = rf"(?:{_INSIDE}(?={letter})|(?<=\p{{N}}){_IN_NUMBERS}(?=\p{{N}}))"
    initials = rf"(?:[\p{{L}}&&{letter}]\.){{2,}}+"  # e.g., U.S.
    same_sign = r"(?=[[\p{P}\p{S}]--\p{Extended_Pictographic}])(\X)(?:(?=\g<2>)\X)*+"
    words = rf"{initials}|{letters}(?:{inside}{letters})*+|{same_sign}|\X"
    return regex.compile(rf"({_UNSEEN}++)|{words}", regex.V1)


def _whitespace(text: str) -> Spans:
    return tuple(found.span() for found in re.finditer(r"\S+", text))  # as str.split() cuts


def _punctuation(text: str) -> Spans:
    return tuple(found.span() for found in _pattern(False).finditer(text) if found[1] is None)


def _characters(text: str) -> Spans:
    return tuple(found.span() for found in _pattern(True).finditer(text) if found[1] is None)


CUTTERS: dict[WordCutter, Callable[[str], Spans]] = {
    "whitespace": _whitespace,
    "punctuation": _punctuation,
    "characters": _characters,
}
assert tuple(CUTTERS) == get_args(WordCutter)


def cut_words(text: str, how: WordCutter) -> Spans:
    """Return the characters of each word of a text.

    `whitespace`: what stands between white space. `punctuation`: letters and digits together, with
    apostrophes and hyphens inside words, with points, commas and colons inside numbers, with the points of
    initials; any other sign is a word, a run of one and the same sign one word. `characters`: of scripts
    without spaces between words each character as it is read (a letter with its marks), everything else as
    `punctuation` has it.

    >>> [text[a:b] for text in ["Well-known, isn't it? 3.5"] for a, b in cut_words(text, "punctuation")]
    ['Well-known', ',', "isn't", 'it', '?', '3.5']
    >>> [text[a:b] for text in ["很好看 in 2D。"] for a, b in cut_words(text, "characters")]
    ['很', '好', '看', 'in', '2D', '。']

    Raises:
        InputError: there is no such way to cut.
    """
    if how not in CUTTERS:
        raise InputError(Fault(f"words cut by {', '.join(CUTTERS)}", short_repr(how)))
    return CUTTERS[how](text)


def is_unspaced(text: str) -> bool:
    """Return whether most letters of a text are of scripts without spaces between words, and it has none.

    Where such a text was cut into words by spaces, they are short.

    >>> is_unspaced("这部电影非常无聊，我不推荐。"), is_unspaced("这部 电影 非常 无聊")
    (True, False)
    """
    if text.isascii():
        return False
    import regex

    letters = len(regex.findall(r"\p{L}", text))
    unspaced = len(regex.findall(rf"(?={_UNSPACED})\X", text, regex.V1))
    if 2 * len(regex.findall(rf"[\p{{L}}&&{_UNSPACED}]", text, regex.V1)) <= letters:
        return False
    words = sum(bool(regex.search(_UNSPACED, word, regex.V1)) for word in text.split())
    return words < 3 or unspaced / words >= SPACED_BELOW


def direction(words: Iterable[str]) -> Literal["ltr", "rtl"]:
    """Return which way a text runs: by its first letter, as browsers tell it.

    >>> direction(["12", "שלום", "film"]), direction(["film", "שלום"]), direction(["…"])
    ('rtl', 'ltr', 'ltr')
    """
    strong = (way for word in words for char in word if (way := bidirectional(char)) in ("L", "R", "AL"))
    return "ltr" if next(strong, "L") == "L" else "rtl"


def cutter_for(
    texts: Iterable[str], asked: WordCutter | None, usual: WordCutter
) -> tuple[WordCutter, str | None]:
    """Return what cuts texts: what was asked for, or `usual`, or, with a note, `characters`.

    The last where most texts are written without spaces between words.
    """
    if asked is not None:
        cut_words("", asked)  # refused if there is none
        return asked, None
    judged = [is_unspaced(text) for text in texts]
    if 2 * sum(judged) <= len(judged):
        return usual, None
    what = "the text is" if len(judged) == 1 else f"{sum(judged)} of {len(judged)} texts are"
    return "characters", f"words: characters, as {what} written without spaces between words"


def joined(words: Sequence[str]) -> tuple[str, Spans]:
    """Return words as one string with a space between any two, and the characters of each; "" has none.

    >>> joined(["a", "", "film"])
    ('a film', ((0, 1), (1, 1), (2, 6)))
    """
    spans, at, space = [], 0, 0
    for word in words:
        start = at + space * bool(word)
        at = start + len(word)
        space |= bool(word)
        spans.append((start, at))
    return " ".join(filter(None, words)), tuple(spans)


def find_words(text: str, words: Sequence[str], **place: Any) -> Spans:
    """Return the characters of words that stand in a text one after the other.

    >>> find_words(" a  film", ["a", "film"])
    ((1, 2), (4, 8))

    Raises:
        InputError: a word is not there, or something else stands before it; `place` is where the text is.
    """
    spans, at = [], 0
    for word in words:
        start = text.find(word, at)
        if start < 0 or _seen(text[at:start]):
            raise InputError(
                Fault(f"the word {short_repr(word)}", short_repr(text[at:].lstrip(), 30), **place)
            )
        at = start + len(word)
        spans.append((start, at))
    if _seen(text[at:]):
        raise InputError(
            Fault("a text that ends with its last word", short_repr(text[at:].lstrip(), 30), **place)
        )
    return tuple(spans)


def placed(text: str | None, words: Sequence[str], **place: Any) -> tuple[str, Spans]:
    """Return a text with the characters of its words; where it is not known, the words are joined to one."""
    return joined(words) if text is None else (text, find_words(text, words, **place))


def gaps(text: str, spans: Spans) -> list[str]:
    """Return what stands after each word and before the next.

    >>> gaps("a  film.", ((0, 1), (3, 7), (7, 8)))
    ['  ', '', '']
    """
    return [text[end:start] for (_, end), (start, _) in pairwise((*spans, (len(text), len(text))))]


def _seen(gap: str) -> bool:
    """Return whether a visible character stands between words."""
    if not gap or gap.isspace():
        return False
    import regex

    return regex.fullmatch(rf"{_UNSEEN}*", gap, regex.V1) is None


def tied(words: Sequence[str], after: Sequence[str]) -> list[bool]:
    """Return for each word whether no line may end before it: closing signs, what follows opening ones.

    `after` is what stands after each word.

    >>> tied(["(", "warm", ",", "dull", ")", "好", "好"], ["", "", " ", "", "", "", ""])
    [False, True, True, False, True, False, False]
    """
    closes = [all(category(c) in ("Pe", "Pf", "Po") for c in word) for word in words]
    opens = [all(category(c) in ("Ps", "Pi") for c in word) for word in words]
    return [i > 0 and not after[i - 1] and (closes[i] or opens[i - 1]) for i in range(len(words))]

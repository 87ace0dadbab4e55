"""The unit of character spans: code points, UTF-16 units (as in browsers and Java) or bytes of UTF-8.

They differ in texts with characters beyond U+FFFF (emoji), and beyond ASCII for bytes. Where tools give the
words of a span beside its offsets, the unit that fits them is found out; else it is proposed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Literal

from eraser.data.forms.marks import Mark
from eraser.errors import Fault, InputError
from eraser.words import cut_words

OffsetUnit = Literal["codepoints", "utf16", "bytes"]
SIZES: dict[OffsetUnit, Callable[[str], int]] = {
    "codepoints": lambda c: 1,
    "utf16": lambda c: 1 + (ord(c) > 0xFFFF),
    "bytes": lambda c: len(c.encode("utf-8", "surrogatepass")),
}
IN_WORDS: dict[OffsetUnit, str] = {
    "codepoints": "code points", "utf16": "UTF-16 units", "bytes": "bytes of UTF-8"
}  # fmt: skip
Given = tuple[str, Sequence[Mark]]  # a text and its spans, in an unknown unit


def is_same(text: str, unit: OffsetUnit) -> bool:
    """Return whether a unit counts a text as code points do."""
    return unit == "codepoints" or text.isascii() or (unit == "utf16" and max(text) <= "\uffff")


def characters_at(text: str, unit: OffsetUnit) -> dict[int, int]:
    """Return the number of the character that begins at each offset of a unit; the text ends at the last."""
    offsets = accumulate(map(SIZES[unit], text), initial=0)
    return {offset: number for number, offset in enumerate(offsets)}


def in_characters(text: str, spans: Sequence[tuple[int, int]], unit: OffsetUnit) -> list[tuple[int, int]]:
    """Return spans of a unit as spans of code points.

    >>> in_characters("😀 dull", [(3, 7)], "utf16")
    [(2, 6)]

    Raises:
        InputError: a fault for each span that ends outside the text or inside a character.
    """
    if is_same(text, unit):
        return list(spans)
    at, faults = characters_at(text, unit), []
    for start, end in spans:
        if start not in at or end not in at:
            expected = f"[start, end) in {IN_WORDS[unit]}, between characters, end <= {max(at)}"
            faults.append(Fault(expected, f"[{start}, {end}]"))
    if faults:
        raise InputError(*faults)
    return [(at[start], at[end]) for start, end in spans]


def unit_of(given: Sequence[Given]) -> tuple[OffsetUnit, str | None]:
    """Return the unit that spans are in, and what to tell: found out by the words that they have beside them.

    Without such words it is code points; another unit, in which far fewer spans cut words, is proposed.
    """
    apart = [(t, m) for t, m in given if m and not is_same(t, "bytes")]
    fits = {unit: sum(_fitting(text, marks, unit) for text, marks in apart) for unit in SIZES}
    n = sum(mark.quote is not None for _, marks in apart for mark in marks)
    best = max(fits, key=lambda unit: fits[unit])
    if fits[best] > fits["codepoints"]:
        return best, f"offsets: {best}, as {fits[best]} of {n} spans then have the words that the file gives"
    return "codepoints", None if n else _proposal(apart)


def _fitting(text: str, marks: Sequence[Mark], unit: OffsetUnit) -> int:
    """Return how many spans have the words that stand beside them, counted in a unit."""
    at = characters_at(text, unit)
    return sum(
        mark.start in at and mark.end in at and mark.quote == text[at[mark.start] : at[mark.end]]
        for mark in marks
    )


def _proposal(apart: Sequence[Given]) -> str | None:
    for unit in ("utf16", "bytes"):
        differ = [(text, marks) for text, marks in apart if not is_same(text, unit)]
        cuts = [[c for t, m in differ for c in _cuts(t, m, u)] for u in ("codepoints", unit)]
        shares = [sum(each) / max(1, len(each)) for each in cuts]
        if shares[0] > 0.5 and shares[1] <= shares[0] / 2:
            what = f"counted in {IN_WORDS[unit]} {shares[1]:.0%} would: try --offsets {unit}"
            return f"in texts with such characters {shares[0]:.0%} of the spans cut words; {what}"
    return None


def _cuts(text: str, marks: Sequence[Mark], unit: OffsetUnit) -> list[bool]:
    """Return for each span whether it begins or ends inside a word or a character, or outside the text."""
    at = characters_at(text, unit)
    inside = {i for start, end in cut_words(text, "punctuation") for i in range(start + 1, end)}
    return [any(at.get(edge) is None or at[edge] in inside for edge in (m.start, m.end)) for m in marks]

"""One shape for everything that can be wrong with a user's input."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# what a terminal obeys rather than shows: controls, marks of direction, separators, halves of characters
CONTROLS = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

DIGITS = re.compile(r"\d{65,}")  # more than a hash has
VARIES = re.compile(r"'[^']*'|\d+")  # from one row to the next
ALIKE, FIRST = 10, 3  # as many of one kind are told one by one, else the first
MOST_LINES = 100
LONGEST = 2000  # characters of what was expected, or stood there


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong: where it is, what was expected there, what stood there instead."""

    expected: str
    got: str
    file: str | Path | None = None
    line: int | None = None
    id: str | None = None

    def __str__(self) -> str:
        """Return `file:line: id: expected …, got …` on one line, leaving out what is not known."""
        place = "" if self.file is None else str(self.file)
        if self.line is not None:
            place += f":{self.line}" if place else f"line {self.line}"
        parts = [p for p in (place, self.id) if p]
        text = ": ".join([*map(cut, parts), f"expected {cut(self.expected)}, got {cut(self.got)}"])
        return printable(" ".join(text.splitlines()))

    @property
    def like(self) -> tuple[str, str]:
        """What faults have in common that are told together: the file, and what was expected."""
        return str(self.file), VARIES.sub("#", self.expected[:LONGEST])


class InputError(ValueError):
    """The input is not what it must be; carries every fault found, prints them as `told` has them."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        super().__init__("\n".join(told(faults)))


def told(faults: Sequence[Fault]) -> list[str]:
    """Return a line for each fault, in their order; of many that are alike the first, and how many more.

    >>> told([Fault("a number", repr(c), "f", n) for n, c in enumerate("abcdefghijk", start=1)])[2:]
    ["f:3: expected a number, got 'c'", 'f: … and 8 more rows where a number was expected']
    """
    alike = Counter(fault.like for fault in faults)
    many = {like for like, n in alike.items() if n > ALIKE}
    seen: Counter[tuple[str, str]] = Counter()
    lines = []
    for fault in faults:
        seen[fault.like] += 1
        if fault.like not in many or seen[fault.like] <= FIRST:
            lines.append(str(fault))
        elif seen[fault.like] == FIRST + 1:
            place = "" if fault.file is None else f"{fault.file}: "
            what = "row" if fault.line is not None or fault.id is not None else "fault"
            more = (
                f"… and {alike[fault.like] - FIRST:,} more {what}s where {cut(fault.expected)} was expected"
            )
            lines.append(printable(place + more))
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"… and {len(lines) - MOST_LINES:,} more lines like these"]
    return lines


def cut(text: str) -> str:
    """Return a text without the rest of very long numbers, and of itself.

    >>> cut("9" * 4000 + ":3")
    '99999999999999999999… (4,000 digits):3'
    """
    text = DIGITS.sub(lambda found: f"{found[0][:20]}… ({len(found[0]):,} digits)", text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def printable(text: str, keep: str = "") -> str:
    r"""Return a text that says what it is and does nothing to a terminal, save for characters to keep.

    >>> print(printable("a\x1b[2Jb\nc"), printable("a\nb", keep="\n"), sep="|")
    a\x1b[2Jb\nc|a
    b
    """
    return CONTROLS.sub(lambda c: c[0] if c[0] in keep else c[0].encode("unicode_escape").decode(), text)


def short_repr(value: object, limit: int = 60) -> str:
    """Return `value` as it should stand in an error: quoted, on one line, cut at `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def first_line(error: Exception) -> str:
    """Return a library's error in one line: its kind, its first line, and the second after a colon."""
    lines = [line.strip() for line in str(error).splitlines()] or [""]
    more = lines[1:2] if lines[0].endswith(":") else []
    return f"{type(error).__name__}: {' '.join([lines[0], *more])}"

"""One shape for everything that can be wrong with a user's input."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# what a terminal obeys rather than shows: controls, marks of direction, separators, halves of characters
CONTROLS = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


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
        text = ": ".join([*parts, f"expected {self.expected}, got {self.got}"])
        return printable(" ".join(text.splitlines()))


class InputError(ValueError):
    """The input is not what it must be; carries every fault found, prints one to a line."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        super().__init__("\n".join(map(str, faults)))


def printable(text: str, keep: str = "") -> str:
    r"""Return a text that says what it is and does nothing to a terminal, save for characters to keep.

    >>> print(printable("a\x1b[2Jb\nc"), printable("a\nb", keep="\n"), sep="|")
    a\x1b[2Jb\nc|a
    b
    """
    return CONTROLS.sub(lambda c: c[0] if c[0] in keep else c[0].encode("unicode_escape").decode(), text)


def shown(value: object, limit: int = 60) -> str:
    """Return `value` as it should stand in an error: quoted, on one line, cut at `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def first_line(error: Exception) -> str:
    """Return a library's error in one line: its kind, its first line, and the second after a colon."""
    lines = [line.strip() for line in str(error).splitlines()] or [""]
    more = lines[1:2] if lines[0].endswith(":") else []
    return f"{type(error).__name__}: {' '.join([lines[0], *more])}"

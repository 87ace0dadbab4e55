"""How problems with a user's input are reported: one `Fault` each, raised together as an `InputError`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

# what a terminal would obey instead of showing: controls, direction marks, separators, lone surrogates
CONTROLS = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

DIGITS = re.compile(r"\d{65,}")  # more than a hash has
VARIES = re.compile(r"'[^']*'|\d+")  # from one row to the next
ALIKE, FIRST = 10, 3  # up to ALIKE faults of one kind are all printed; of more, only the FIRST ones
MOST_LINES = 100
MOST_NAMED = 50  # rows
LONGEST = 2000  # characters of an expected value, a found value or a message


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and its place: an expected and a found value, or (`Fault.of`) a plain message.

    `varies` is a name in its text, such as a document's, that differs between faults of one kind.
    """

    expected: str
    got: str
    file: str | Path | None = None
    line: int | None = None
    id: str | None = None
    message: str | None = None
    varies: str | None = None

    @classmethod
    def of(
        cls, message: str, file: str | Path | None = None, line: int | None = None, id: str | None = None
    ) -> Fault:
        """Return the fault that a plain sentence describes.

        Args:
            message: the sentence, without its place.
            file: where it is.
            line: of the file, from 1.
            id: of the example.

        >>> print(Fault.of("no such folder", "runs/first"))
        runs/first: no such folder
        """
        return cls("", "", file, line, id, message)

    @property
    def text(self) -> str:
        """The message, or `expected …, got …`."""
        if self.message is not None:
            return cut(self.message)
        return f"expected {cut(self.expected)}, got {cut(self.got)}"

    def __str__(self) -> str:
        """Return `file:line: id: message` on one line, leaving out what is not known."""
        place = "" if self.file is None else str(self.file)
        if self.line is not None:
            place += f":{self.line}" if place else f"line {self.line}"
        parts = [p for p in (place, self.id) if p]
        text = ": ".join([*map(cut, parts), self.text])
        return printable(" ".join(text.splitlines()))

    @property
    def like(self) -> tuple[str, str]:
        """What faults that are grouped have in common: the file, and the message or the expected value."""
        text = (self.message or self.expected)[:LONGEST]
        if self.varies:  # the last one that stands alone: names may be as short as "a"
            name = rf"(.*)(?<!\w){re.escape(self.varies)}(?!\w)"
            text = re.sub(name, r"\1#", text, count=1, flags=re.DOTALL)
        return str(self.file), VARIES.sub("#", text)


class InputError(ValueError):
    """The input is invalid; carries all faults found and prints one per line, many alike as one group."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        super().__init__("\n".join(fault_lines(faults)))


def fault_lines(faults: Sequence[Fault]) -> list[str]:
    """Return one line per fault in order; of many similar faults, the first three and how many follow.

    >>> fault_lines([Fault("a number", repr(c), "f", n) for n, c in enumerate("abcdefghijk", start=1)])[2:]
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
            expected = (
                f" where {cut(fault.expected)} was expected" if fault.message is None else " like these"
            )
            lines.append(printable(f"{place}… and {alike[fault.like] - FIRST:,} more {what}s{expected}"))
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"… and {len(lines) - MOST_LINES:,} more lines like these"]
    return lines


def left_out(faults: Sequence[Fault]) -> list[str]:
    """Return notes on rows that are left out as invalid: how many, which, and their faults.

    >>> left_out([Fault("a text", "''", "f", 2, "a"), Fault("a text", "''", "f", 3)])[0]
    'rows left out as invalid: 2: a, line 3'
    """
    if not faults:
        return []
    rows = dict.fromkeys((str(fault.file), fault.line, fault.id) for fault in faults)
    names = [id or f"line {line}" for _, line, id in list(rows)[:MOST_NAMED]]
    more = f", and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
    return [
        f"rows left out as invalid: {len(rows)}: {', '.join(names)}{more}",
        *(f"left out: {line}" for line in fault_lines(faults)),
    ]


def cut(text: str) -> str:
    """Return a text with very long numbers, and the text itself, cut short.

    >>> cut("9" * 4000 + ":3")
    '99999999999999999999… (4,000 digits):3'
    """
    text = DIGITS.sub(lambda found: f"{found[0][:20]}… ({len(found[0]):,} digits)", text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def printable(text: str, keep: str = "") -> str:
    r"""Return a text with control characters escaped, except the characters to keep.

    >>> print(printable("a\x1b[2Jb\nc"), printable("a\nb", keep="\n"), sep="|")
    a\x1b[2Jb\nc|a
    b
    """
    return CONTROLS.sub(lambda c: c[0] if c[0] in keep else c[0].encode("unicode_escape").decode(), text)


def short_repr(value: object, limit: int = 60) -> str:
    """Return `value` for an error message: quoted, on one line, cut at `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


NAMED = {int: "a whole number", float: "a number", str: "a text", bool: "True or False"}


def check_types(settings: Any) -> None:
    """Refuse settings of another type than the fields of their dataclass; only fields with a default count.

    Raises:
        InputError: a fault for each.
    """
    hints, faults = get_type_hints(type(settings)), list[Fault]()
    for field in fields(settings):
        value, hint = getattr(settings, field.name), hints[field.name]
        if field.default is not MISSING and value != field.default and not _is(value, hint):
            faults.append(Fault(f"{field.name} as {_named(hint)}", short_repr(value)))
    if faults:
        raise InputError(*faults)


def _is(value: Any, hint: Any) -> bool:
    """Return whether a value is of a type of NAMED, of several, or a list of one; True of all other types."""
    if isinstance(hint, UnionType):
        return any(_is(value, one) for one in get_args(hint))
    if get_origin(hint) is tuple:
        return isinstance(value, list | tuple) and all(_is(one, get_args(hint)[0]) for one in value)
    if hint is NoneType:
        return value is None
    if hint in (int, float) and isinstance(value, bool):
        return False
    return not isinstance(hint, type) or isinstance(value, (int, float) if hint is float else hint)


def _named(hint: Any) -> str:
    """Return a type of NAMED, of several or a list of one in words."""
    if isinstance(hint, UnionType):
        return " or ".join(_named(one) for one in get_args(hint))
    if get_origin(hint) is tuple:
        return f"a list, each {_named(get_args(hint)[0])}"
    return "None" if hint is NoneType else NAMED.get(hint, str(hint))


def first_line(error: Exception) -> str:
    """Return a library's error in one line: its type and first line (and the second, after a colon)."""
    lines = [line.strip() for line in str(error).splitlines()] or [""]
    more = lines[1:2] if lines[0].endswith(":") else []
    return f"{type(error).__name__}: {' '.join([lines[0], *more])}"


def strings_of(what: str, given: Any) -> tuple[str, ...]:
    """Return one name, or several; `what` is the argument's.

    Raises:
        InputError: it is neither.
    """
    found = (given,) if isinstance(given, str) else given
    if isinstance(found, bytes) or not isinstance(found, Iterable):
        raise InputError(Fault(f"{what} as a text or a list of texts", short_repr(given)))
    names = tuple(found)
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise InputError(Fault(f"{what} as a text or a list of texts", short_repr(wrong[0])))
    return names

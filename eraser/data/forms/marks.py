"""What every export contains: a text, its class, an annotator, and marked spans with labels.

Spans are [start, end), end excluded, in the unit that the file counts in (offsets.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eraser.data.custom.options import ColumnNames
from eraser.data.custom.tables import TableOptions, rows_of
from eraser.data.kinds.encodings import decoded_lines, find_encoding
from eraser.data.kinds.literals import python_list
from eraser.errors import Fault, InputError, short_repr

STARTS = ("start", "begin", "start_offset", "startOffset", "start_char", "char_start")
ENDS = ("end", "stop", "end_offset", "endOffset", "end_char", "char_end")
LABELS = ("label", "labels", "type", "tag", "category", "entity", "entity_group")
QUOTES = ("text", "quote")
OTHER_SHAPE = (AttributeError, KeyError, TypeError, ValueError)  # what a row raises that no tool writes so


@dataclass(frozen=True, slots=True)
class Mark:
    """A marked span, its labels, and its words according to the tool, if it gives them."""

    start: int
    end: int
    labels: tuple[str, ...] = ()
    quote: str | None = None


@dataclass(frozen=True)
class Annotated:
    """One annotator's answer to one text; `line` is where it begins, `file` the file if it is another one.

    Text, label, id, query and split are checked by whoever makes examples of them.
    """

    line: int | None
    text: Any
    label: Any = None
    id: Any = None
    annotator: str | None = None
    marks: tuple[Mark, ...] = ()
    query: Any = None
    split: Any = None
    file: Path | None = None


@dataclass(frozen=True)
class Told:
    """What a reader left out, and why, counted as it reads; how files are read, and notes on that."""

    counts: Counter[str] = field(default_factory=Counter)
    files: TableOptions = field(default_factory=TableOptions)
    of_files: list[str] = field(default_factory=list)

    def left_out(self, what: str, n: int = 1) -> None:
        """Count what was left out."""
        if n:
            self.counts[what] += n

    def notes(self) -> Iterator[str]:
        """Yield notes on files, and one note for each kind of thing that was left out."""
        yield from self.of_files
        yield from (f"{what}: {n}" for what, n in self.counts.items())


Found = Iterator[Annotated | Fault]
Row = Mapping[str, Any]
Make = Callable[[Row, int], Iterator[Annotated]]


def lines_in(path: Path, told: Told | None = None) -> Iterator[str]:
    """Yield the lines of a file without their ends.

    Raises:
        InputError: it cannot be read, or is of another encoding.
    """
    try:
        encoding, note = find_encoding(path, None if told is None else told.files.encoding)
        if told is not None and note is not None:
            told.of_files.append(note)
        for line in decoded_lines(path, encoding):
            yield line.rstrip("\r\n")
    except OSError as error:
        raise InputError(Fault("a readable file", f"{error.strerror}", path)) from None


def each_row(path: Path, make: Make, told: Told) -> Found:
    """Yield what is made of each row of a file, and the faults of rows of which nothing can be made."""
    for row in rows_of(path, told.files, told.of_files):
        if isinstance(row, Fault):
            yield row
            continue
        line, fields = row
        try:
            yield from make(fields, line)
        except InputError as error:
            id = None if fields.get("id") is None else str(fields["id"])
            yield from (Fault(f.expected, f.got, path, line, id, f.message) for f in error.faults)
        except OTHER_SHAPE as error:
            yield Fault("a row as the tool writes it", f"{type(error).__name__} {error}", path, line)


def first(fields: Row, names: tuple[str, ...]) -> Any:
    """Return the first of these fields that exists, or None."""
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def person(name: Any) -> str | None:
    """Return who an annotator is; None where a field does not say it."""
    return None if name in (None, "") else str(name)


def query_and_split(fields: Row, names: ColumnNames) -> dict[str, Any]:
    """Return what fields say of a text's query and split, where columns are named for them."""
    asked = {"query": names.query, "split": names.split}
    return {what: fields.get(name) for what, name in asked.items() if name}


def whole(value: Any) -> Any:
    """Return a float, or a text, that is a whole number as that number, and anything else as it is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) < 16:
        return int(value)
    return value


def mark_of(value: Any) -> Mark:
    """Return a span in any of its usual spellings: [start, end], with a label, or an object.

    >>> mark_of([2, 13, "REASON"]), mark_of({"start_offset": 2, "end_offset": 13})
    (Mark(start=2, end=13, labels=('REASON',), quote=None), Mark(start=2, end=13, labels=(), quote=None))

    Raises:
        InputError: it is none.
    """
    if isinstance(value, Mapping):
        start, end = (whole(first(value, names)) for names in (STARTS, ENDS))
        label, quote = first(value, LABELS), first(value, QUOTES)
    elif isinstance(value, list | tuple) and len(value) in (2, 3):
        start, end = map(whole, value[:2])
        label, quote = (value[2] if len(value) == 3 else None), None
    else:
        raise InputError(Fault("a span with a start and an end", short_repr(value)))
    if type(start) is not int or type(end) is not int or not 0 <= start < end:
        raise InputError(Fault("a span [start, end), 0 <= start < end", short_repr(value)))
    return Mark(start, end, labels_of(label), quote if isinstance(quote, str) else None)


def labels_of(value: Any) -> tuple[str, ...]:
    """Return one label or a list of them as texts."""
    if value is None or value == "":
        return ()
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


def marks_of(value: Any) -> tuple[Mark, ...]:
    """Return a list of spans; a text is read as JSON, nothing is no span.

    Raises:
        InputError: it is no list, or a fault for each item that is no span.
    """
    value = parsed(value)
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise InputError(Fault("a list of spans", short_repr(value)))
    found, faults = list[Mark](), list[Fault]()
    for item in value:
        try:
            found.append(mark_of(item))
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(*faults)
    return tuple(found)


def parsed(value: Any) -> Any:
    """Return a cell that holds JSON, or a list as Python writes it, as that; an empty one as None."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    if value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        found = python_list(value)
        return value if found is None else found


def is_listed(value: Any) -> bool:
    """Return whether a cell holds a list."""
    return isinstance(parsed(value), list)


def is_span(value: Any) -> bool:
    """Return whether a value is a span of a usual spelling, right or wrong, with more than two numbers."""
    if isinstance(value, Mapping):
        return any(n in value for n in STARTS) and any(n in value for n in ENDS)
    return (
        isinstance(value, list | tuple)
        and len(value) == 3
        and all(type(whole(n)) is int for n in value[:2])
        and not isinstance(value[2], int | float)
    )


def are_spans(value: Any) -> bool:
    """Return whether a value is a list, not empty, of spans with labels or of objects."""
    return isinstance(value, list | tuple) and bool(value) and all(map(is_span, value))


def classes_of(value: Any) -> Any:
    """Return a text's class of a list of names, or of names with a score each: those of 0.5 or more.

    >>> classes_of(["NEG"]), classes_of({"NEG": 1.0, "POS": 0.0}), classes_of("NEG")
    ('NEG', 'NEG', 'NEG')
    """
    if isinstance(value, Mapping):
        value = [name for name, score in value.items() if isinstance(score, int | float) and score >= 0.5]
    if isinstance(value, list | tuple) and len(value) == 1:
        return value[0]
    return list(value) if isinstance(value, tuple) else value


def missing(what: str, there: object) -> InputError:
    """Return the fault of a row that lacks a field."""
    return InputError(Fault(what, f"only {short_repr(there, 200)}"))

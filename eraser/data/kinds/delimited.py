"""CSV, TSV and their kin → rows: the separator is found out, or given, and told where it is unusual."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Literal

from eraser.data.kinds.encodings import decoded_lines, find_encoding
from eraser.data.kinds.rows import TEXT, Row, Rows, TableOptions
from eraser.errors import Fault, InputError, short_repr
from eraser.files.bounds import MAX_LINE

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
NAMES = {sign: name for name, sign in SEPARATORS.items()}
LOOKED_AT = 2**17  # characters at a file's beginning from which its separator is told
TOLD = re.compile(r"sep=(.)[\r\n]*", re.DOTALL)  # a first line by which Excel is told


def delimited_rows(path: Path, how: TableOptions, notes: list[str], usual: str) -> Rows:
    """Yield the rows under the header; the csv module, unlike pandas, says on which line a row is."""
    encoding, note = find_encoding(path, how.encoding)
    notes += [note] if note else []
    lines, start = decoded_lines(path, encoding), 1
    begin = _beginning(lines)
    lines = chain(begin, lines)
    separator = None if how.separator is None else separator_named(how.separator)
    if begin and (told := TOLD.fullmatch(begin[0])):
        separator, start = separator or told[1], 2
        next(lines)
        begin = begin[1:]
    separator = separator or find_separator(begin, usual)
    if separator != usual and how.separator is None:
        notes.append(f"{path.name}: fields are separated by {NAMES.get(separator, repr(separator))}s")
    bare = separator == "\t" and _has_bare_quotes(begin, separator)
    if bare:
        notes.append(f"{path.name}: quotes are read as they are, as no field is written in quotes")
    yield from _rows(lines, separator, csv.QUOTE_NONE if bare else csv.QUOTE_MINIMAL, path, start)


def separator_named(asked: str) -> str:
    r"""Return the separator that an option means: a sign, or its name.

    >>> separator_named("semicolon"), separator_named("\\t"), separator_named("~")
    (';', '\t', '~')

    Raises:
        InputError: it is no sign that can be one.
    """
    found = SEPARATORS.get(asked.lower(), asked.replace("\\t", "\t"))
    if len(found) != 1 or found in '"\r\n\0 ':
        expected = f"a separator: one character, or {', '.join(SEPARATORS)}"
        raise InputError(Fault(expected, short_repr(asked)))
    return found


def find_separator(lines: list[str], usual: str) -> str:
    """Return what separates the fields of a file that begins so.

    The usual sign of its kind where it cuts all rows into as many fields as the header, more than one; else
    the first sign that does; else the first that cuts the header.

    >>> find_separator(["text;label", "a, b;c"], ","), find_separator(["text,label", "a;b,c"], ",")
    (';', ',')
    """
    signs = [usual, *(sign for sign in SEPARATORS.values() if sign != usual)]
    counts = {sign: _counts(lines, sign) for sign in signs}
    cut = [sign for sign in signs if counts[sign] and counts[sign][0] > 1]
    even = [sign for sign in cut if len({*counts[sign]}) == 1]
    return next(iter(even or cut), usual)


def _counts(lines: list[str], separator: str) -> list[int]:
    """Return the number of fields of each row, as far as they can be read so."""
    found = []
    try:
        for fields in csv.reader(lines, delimiter=separator, strict=True):
            found += [len(fields)] if fields else []
    except csv.Error:  # the lines may end within a quoted field
        pass
    return found


def _has_bare_quotes(lines: list[str], separator: str) -> bool:
    """Return whether each line is a row, but not if quotes are read as CSV has them."""
    signs = [line.count(separator) for line in lines if line.strip()]
    even = len({*signs}) == 1 and signs[0] > 0
    return even and len(_counts(lines, separator)) != len(signs)


def _beginning(lines: Iterator[str]) -> list[str]:
    """Return the first lines."""
    found, size = [], 0
    for line in lines:
        found.append(line)
        if (size := size + len(line)) > LOOKED_AT:
            break
    return found


def _rows(lines: Iterable[str], delimiter: str, quoting: Literal[0, 3], path: Path, start: int) -> Rows:
    reader = csv.reader(lines, delimiter=delimiter, strict=True, quoting=quoting)
    before = start - 1
    names: list[str] = []
    while True:
        try:
            fields = _next(reader)
        except csv.Error as error:  # where the next row begins is unknown
            raise InputError(Fault("fields in quotes as CSV has them", str(error), path, start)) from None
        if fields is None:
            return
        if not names and not _is_empty(fields):
            names = _header(fields, path, start)
        elif not _is_empty(fields):
            yield _row(names, fields, path, start)
        start = before + reader.line_num + 1


def _next(reader: Iterator[list[str]]) -> list[str] | None:
    """Return the next fields, as long as a line may be; None at the end."""
    usual = csv.field_size_limit(MAX_LINE)  # of all of this process: it is set back at once
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(usual)


def _is_empty(fields: list[str]) -> bool:
    """Return whether a row holds nothing, such as those that spreadsheets put after the last one."""
    return len(fields) != 1 and not any(field.strip() for field in fields)


def _header(fields: list[str], path: Path, line: int) -> list[str]:
    """Return the names of the columns; some may have none."""
    names = [name.strip() for name in fields]
    if len(set(given := [name for name in names if name])) < len(given):
        raise InputError(Fault("each column once", short_repr(given, 200), path, line))
    return names


def _row(names: list[str], fields: list[str], path: Path, line: int) -> Row | Fault:
    """Return a row's fields; the first column may be without a name, others only where they are empty."""
    if len(fields) != len(names):
        return Fault(f"{len(names)} fields, as the header has", str(len(fields)), path, line)
    both = list(zip(names, fields, strict=True))
    if unnamed := [field for name, field in both[1:] if field.strip() and not name]:
        return Fault("fields under the header's names only", short_repr(unnamed[0]), path, line)
    return line, {name: field for name, field in both if name}


def text_lines(path: Path, how: TableOptions, notes: list[str]) -> Rows:
    """Yield a text for each line that is not blank; at the end a note says how many are."""
    encoding, note = find_encoding(path, how.encoding)
    notes += [note] if note else []
    blank = 0
    for number, line in enumerate(decoded_lines(path, encoding), start=1):
        if line.strip():
            yield number, {TEXT: line.rstrip("\r\n")}
        else:
            blank += 1
    notes += [f"blank lines skipped: {blank}"] if blank else []

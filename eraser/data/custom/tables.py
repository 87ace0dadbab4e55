"""Files of rows, in any of the forms that people keep them in → their rows, one at a time.

A row is the line that it begins on (in Parquet, which has no lines, its number from 1) and its fields by
column. What is wrong with one row is a Fault in its place; what ends the reading is raised. To add a form: a
reader and a line in READERS.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from eraser.data.source import parse_json_lines
from eraser.errors import Fault, InputError, first_line, short_repr
from eraser.files.bounds import CHUNK, MAX_LINE, lines_of, regular

Row = tuple[int, dict[str, Any]]
Rows = Iterator[Row | Fault]
BATCH = 1024  # rows of a Parquet file that are held at once
UNSURE = 16  # characters at a buffer's end that may be half of something
NO_SPACE = re.compile(r"[^ \t\r\n]")  # of JSON
TEXT = "text"  # the column of a file that has none: a text on each line


def rows_of(path: Path) -> Rows:
    """Yield the rows of a file, and the faults of those that are none.

    Raises:
        InputError: no reader knows the file by its ending, or it cannot be read to its end.
    """
    try:
        yield from READERS[path.suffix.lower()](path)
    except OSError as error:
        raise InputError(Fault("a readable file", f"{error.strerror}", path)) from None


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file with their ends, which are any of LF, CR LF and CR."""
    with regular(path) as file:
        for number, line in enumerate(lines_of(file, path), start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise InputError(Fault("UTF-8 text", str(error), path, number)) from None
            yield from io.StringIO(text, newline="") if "\r" in text else (text,)


# One reader for each form


def _csv_rows(path: Path, delimiter: str) -> Rows:
    """Yield the rows under the header; the csv module, unlike pandas, says on which line a row is."""
    reader, start = csv.reader(_lines(path), delimiter=delimiter, strict=True), 1
    names: list[str] = []
    while True:
        try:
            fields = _next(reader)
        except csv.Error as error:
            yield Fault("fields in quotes as CSV has them", str(error), path, start)
            return
        if fields is None:
            return
        if not names and fields:
            names = _header(fields, path, start)
        elif fields and len(fields) != len(names):
            yield Fault(f"{len(names)} fields, as the header has", str(len(fields)), path, start)
        elif fields:
            yield start, dict(zip(names, fields, strict=True))
        start = reader.line_num + 1


def _next(reader: Iterator[list[str]]) -> list[str] | None:
    """Return the next fields, as long as a line may be; None at the end."""
    usual = csv.field_size_limit(MAX_LINE)  # of all of this process: it is set back at once
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(usual)


def _header(fields: list[str], path: Path, line: int) -> list[str]:
    names = [name.strip() for name in fields]
    if len(set(names)) < len(names):
        raise InputError(Fault("each column once", short_repr(names, 200), path, line))
    return names


def _json_lines(path: Path) -> Rows:
    for number, line in enumerate(_lines(path), start=1):
        try:
            for _, record in parse_json_lines(line.rstrip("\r\n"), str(path), number - 1):
                yield number, record
        except InputError as error:
            yield from error.faults


def _text_lines(path: Path) -> Rows:
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            yield number, {TEXT: line.rstrip("\r\n")}


class _Array:
    """A JSON array read an element at a time: some of its text, where in it we are, and on which line."""

    def __init__(self, path: Path) -> None:
        self.path, self.lines, self.read = path, _lines(path), json.JSONDecoder().raw_decode
        self.text, self.at, self.line, self.ended = "", 0, 1, False

    def more(self) -> None:
        """Let go of what was read, and hold a block more, or twice as much as is left."""
        blocks, size = [self.text[self.at :]], 0
        self.at, wanted = 0, max(CHUNK, len(blocks[0]))
        while size < wanted and not self.ended:
            line = next(self.lines, None)
            self.ended = line is None
            blocks.append(line or "")
            size += len(blocks[-1])
        self.text = "".join(blocks)

    def go(self, end: int) -> None:
        """Go on to another place in the text."""
        self.line += self.text.count("\n", self.at, end)
        self.at = end

    def sign(self) -> str:
        """Return the next character that is no white space; nothing at the end."""
        while True:
            found = NO_SPACE.search(self.text, self.at)
            self.go(len(self.text) if found is None else found.start())
            if found is not None or self.ended:
                return "" if found is None else found[0]
            self.more()

    def element(self) -> Any:
        """Return the next element, which begins here."""
        while True:
            try:
                found, end = self.read(self.text, self.at)
            except (ValueError, RecursionError) as error:
                if self.ended or not self._is_half(error):
                    raise self._not_json(error) from None
            else:
                self.go(end)
                return found
            if len(self.text) - self.at > MAX_LINE:
                raise InputError(
                    Fault.of(f"an object is longer than {MAX_LINE} characters", self.path, self.line)
                )
            self.more()

    def _is_half(self, error: Exception) -> bool:
        """Return whether what is wrong may be that the text that is held ends here."""
        if not isinstance(error, JSONDecodeError):
            return False
        return error.pos >= len(self.text) - UNSURE or error.msg.startswith("Unterminated string")

    def _not_json(self, error: Exception) -> InputError:
        if not isinstance(error, JSONDecodeError):
            return self.fault("one JSON object", str(error))
        self.go(max(self.at, error.pos))  # its own line is that of what was held
        return self.fault("one JSON object", error.msg)

    def fault(self, expected: str, got: str) -> InputError:
        """Return what is wrong here."""
        return InputError(Fault(expected, got, self.path, self.line))


def _json_array(path: Path) -> Rows:
    array = _Array(path)
    if (sign := array.sign()) != "[":
        expected = "a JSON array of objects (JSON lines, an object on each, are a .jsonl file)"
        raise array.fault(expected, short_repr(sign) if sign else "an empty file")
    array.go(array.at + 1)
    if array.sign() == "]":
        array.go(array.at + 1)
    else:
        yield from _elements(array)
    if sign := array.sign():
        raise array.fault("nothing after the array", short_repr(sign))


def _elements(array: _Array) -> Rows:
    """Yield the elements of an array that is open; it is closed then."""
    while True:
        array.sign()
        line, found = array.line, array.element()
        if isinstance(found, dict):
            yield line, found
        else:
            yield Fault("one JSON object", short_repr(found), array.path, line)
        if (sign := array.sign()) not in (",", "]"):
            raise array.fault("a comma or the array's end", short_repr(sign) if sign else "the file's end")
        array.go(array.at + 1)
        if sign == "]":
            return


def _parquet(path: Path) -> Rows:
    import pyarrow as pa  # comes with the models: scoring needs none
    from pyarrow import parquet

    number = 0
    with regular(path) as file:
        try:
            table = parquet.ParquetFile(file, page_checksum_verification=True)
            if len(set(names := table.schema_arrow.names)) < len(names):
                raise InputError(Fault("each column once", short_repr(names, 200), path))
            for batch in table.iter_batches(BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
        except (pa.ArrowException, OSError) as error:
            raise InputError(Fault("a readable Parquet file", first_line(error), path)) from None


READERS: dict[str, Callable[[Path], Rows]] = {
    ".csv": partial(_csv_rows, delimiter=","),
    ".tsv": partial(_csv_rows, delimiter="\t"),
    ".json": _json_array,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
    ".txt": _text_lines,
}
LABELLED = tuple(kind for kind in READERS if kind != ".txt")  # those with columns


def listed(kinds: tuple[str, ...]) -> str:
    """Return file endings in words.

    >>> listed((".csv", ".tsv", ".txt"))
    '.csv, .tsv or .txt'
    """
    return f"{', '.join(kinds[:-1])} or {kinds[-1]}"

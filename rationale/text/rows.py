"""A file of texts other than UTF-8 JSON lines: converted once into a folder of ours, and read there.

Each line of what is made holds a row of the file, all columns of it, and the line that the row begins on:
what is wrong with a text is told with the file and line that its owner knows. JSON lines are converted, too,
where some of them may be left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from eraser import Fault, InputError
from eraser.data.custom.tables import READERS, TableOptions, listed, rows_of
from eraser.data.kinds.encodings import UTF8, find_encoding
from eraser.errors import left_out, short_repr
from eraser.files.owned import hash_of, read_made, writes
from eraser.files.whole import write_whole
from eraser.progress import progress
from eraser.words import WordCutter, cut_words
from rationale.settings import StreamSettings
from rationale.text.lines import (
    CHANGED,
    LOOKED_AT,
    TEXT,
    TOKENS,
    LineChunks,
    Numbered,
    advised,
    check_texts,
    id_of,
    own_id,
    refuse_alike,
    text_in,
)

ROWS = "rows.jsonl"
TXT = "txt"  # the form of a file of lines that are texts
VARIED = ("json", "jsonl")  # forms in which each row has columns of its own
FILE_OPTIONS = ("encoding", "separator", "skip_invalid")  # of StreamSettings


class TextRow(NamedTuple):
    """A row of a file: its number from 1 (of a file of lines its line), where it begins, its fields."""

    number: int
    line: int
    row: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A file of rows: how and what of it a run reads, and a hash of all it holds."""

    path: Path
    settings: StreamSettings
    content: str

    @property
    def form(self) -> str:
        """The file's ending, without its dot."""
        return self.path.suffix.lower()[1:]

    @property
    def _how(self) -> TableOptions:
        return TableOptions(self.settings.encoding, self.settings.separator)

    def found(self, notes: list[str] | None = None) -> Iterator[TextRow | Fault]:
        """Yield each row with a text, and the fault of each without; `notes` receives remarks."""
        lines = self.form in ("jsonl", TXT)
        for number, found in enumerate(rows_of(self.path, self._how, notes), start=1):
            if isinstance(found, Fault):
                yield found
                continue
            line, row = found
            row = {self.settings.text: row[TEXT]} if self.form == TXT else row
            fault = self._missing(line, row)
            if fault is not None and self.form not in VARIED:  # so it is in all rows
                raise InputError(fault)
            fault = fault or self._fault(line, row)
            yield TextRow(line if lines else number, line, row) if fault is None else fault

    def _missing(self, line: int, row: dict[str, Any]) -> Fault | None:
        """Return the fault of a row without a column that is read."""
        there = {*row, TEXT} if TOKENS in row else {*row}
        missing = [n for n in (self.settings.text, self.settings.query) if n is not None and n not in there]
        if not missing:
            return None
        expected = f"a column {missing[0]!r} (--text and --query name others)"
        return Fault(expected, f"only {short_repr(sorted(row), 200)}", self.path, line)

    def _fault(self, line: int, row: dict[str, Any]) -> Fault | None:
        """Return what is wrong with a row's text or query."""
        s = self.settings
        at = (self.path, line, own_id(row))
        try:
            check_texts(row, s.text, s.query, at)
        except InputError as error:
            return error.faults[0]
        string = text_in(row, s.text)
        if s.words is None or not isinstance(string, str) or has_words(string, s.words):
            return None
        return Fault(f"a text with words in {s.text!r}, cut by {s.words}", short_repr(string), *at)

    def rows(self) -> Iterator[TextRow]:
        """Yield the rows; those that are invalid are left out where the settings say so.

        Raises:
            InputError: the first thing that is wrong with a row, its text or its query, where they do not.
        """
        for found in self.found():
            if isinstance(found, TextRow):
                yield found
            elif not self.settings.skip_invalid:
                raise InputError(found)

    def notes(self, folder: Path) -> tuple[str, ...]:
        """Return notes on how the file is read; it is checked first, unless a run's folder has its rows."""
        if self.settings.skip_invalid or self.form == TXT or not self.is_in(folder):  # notes come at its end
            return self.check()
        notes = list[str]()
        next(self.found(notes), None)
        return tuple(notes)

    def check(self) -> tuple[str, ...]:
        """Read the file once, so that errors come before a folder is made; return the notes.

        Raises:
            InputError: no row is left; or the first thing that is wrong, where rows are not left out.
        """
        notes, invalid, n = list[str](), list[Fault](), 0
        for found in progress(self.found(notes), f"check {self.path.name}", "rows"):
            n += 1
            if isinstance(found, Fault):
                if not self.settings.skip_invalid:
                    raise InputError(advised(found))
                invalid.append(found)
        if n == len(invalid):
            raise InputError(*(invalid or [Fault("at least one row", "none", self.path)]))
        refuse_alike(self._ids, self.path)
        return (*notes, *left_out(invalid))

    def _ids(self) -> Iterator[tuple[int, str]]:
        return ((f.line, id_of(f.row, f.number)) for f in self.found() if isinstance(f, TextRow))

    def first_texts(self) -> Iterator[str]:
        """Yield the texts of the first rows, but those that are given as words."""
        rows = (found.row for found in islice(self.found(), LOOKED_AT) if isinstance(found, TextRow))
        return (text for row in rows if isinstance(text := text_in(row, self.settings.text), str))

    def is_in(self, folder: Path) -> bool:
        """Return whether a run's folder has the rows of this very file."""
        made = read_made(folder) if folder.is_dir() else None
        if made is None or made.of.get("content_of_file") != self.content or not (folder / ROWS).is_file():
            return False
        how = {"form": self.form, **file_options(self.settings)}
        same = {name: made.of.get(name) for name in ("form", *FILE_OPTIONS) if name in made.of} == how
        return same and made.files.get(ROWS) == hash_of(folder / ROWS)

    def convert(self, folder: Path, chunk: int) -> TableChunks:
        """Return the rows that a claimed folder has of this file, written first if it lacks them."""
        if not self.is_in(folder):
            write_whole(folder / ROWS, self._write)
            writes(folder, ROWS)
        return TableChunks(self, LineChunks(folder / ROWS, chunk))

    def _write(self, partial: Path) -> None:
        with partial.open("w", encoding="ascii") as file:
            for n, found in enumerate(progress(self.rows(), f"convert {self.path.name}", "rows"), start=1):
                kept = {k: v for k, v in found.row.items() if v is not None} if self.has_nulls else found.row
                number = {} if found.number == n else {"number": found.number}
                file.write(json.dumps({"line": found.line, **number, "row": kept}, default=str) + "\n")

    @property
    def has_nulls(self) -> bool:
        """Whether a row of its form has all columns, empty ones too."""
        return self.form in ("parquet", "xlsx")


def has_words(text: str, cutter: WordCutter) -> bool:
    """Return whether a text has words by that cutter: invisible characters may be none."""
    return re.search(r"\w", text) is not None or bool(cut_words(text, cutter))


def _is_plain(path: Path) -> bool:
    """Return whether lines are UTF-8 without a mark, as far as they are text, and are read as they are."""
    try:
        return find_encoding(path, None)[0] == UTF8
    except InputError:
        return True


def table_at(settings: StreamSettings) -> Table | None:
    """Return the table that a file is; None where it is JSON lines to be read as they are, or not there.

    Raises:
        InputError: it is none of the forms that are read.
    """
    path = Path(settings.file)
    kind = path.suffix.lower()
    if not path.is_file():
        return None
    if kind not in READERS:
        raise InputError(Fault(f"a {listed(tuple(READERS))} file", short_repr(path.name), path))
    try:
        if kind == ".jsonl" and not file_options(settings) and _is_plain(path):
            return None
        return Table(path, settings, hash_of(path))
    except OSError as error:
        raise InputError(Fault("a readable file", f"{error.strerror}", path)) from None


def file_options(settings: StreamSettings) -> dict[str, Any]:
    """Return the options of reading a file that are not their default."""
    found = {name: getattr(settings, name) for name in FILE_OPTIONS}
    return {name: value for name, value in found.items() if value not in (None, False)}


@dataclass(frozen=True)
class TableChunks:
    """The rows of a table chunk by chunk, from the lines that were made of them; see LineChunks."""

    table: Table
    made: LineChunks

    @property
    def path(self) -> Path:
        """The file itself."""
        return self.table.path

    @property
    def content(self) -> str:
        """A hash of the file as it was when it was first read."""
        return self.table.content

    def __len__(self) -> int:
        return len(self.made)

    def read(self, number: int) -> bytes:
        """Return the lines of one chunk, as they were made."""
        return self.made.read(number)

    def records(self, number: int) -> Iterator[Numbered]:
        """Yield for each row of one chunk its number from 1, the line that it begins on, and its fields."""
        for at, _, record in self.made.records(number):
            yield record.get("number", at), record["line"], record["row"]

    def check_unchanged(self) -> None:
        """Refuse a file that was changed since it was first read."""
        if hash_of(self.path) != self.content:
            raise InputError(Fault.of(CHANGED, self.path))

"""A file of texts in another form than JSON lines: converted once into a folder of ours, and read from there.

Each line of what is made holds a row of the file, all columns of it, and the line that the row begins on:
what is wrong with a text is told with the file and line that its owner knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from eraser import Fault, InputError
from eraser.data.custom.tables import READERS, TEXT, listed, rows_of
from eraser.errors import short_repr
from eraser.files.owned import hash_of, read_made, writes
from eraser.files.whole import write_whole
from eraser.progress import progress
from rationale.text.lines import CHANGED, LOOKED_AT, LineChunks, Numbered, check_texts

ROWS = "rows.jsonl"


@dataclass(frozen=True)
class Table:
    """A file of rows: the columns of text and query that a run reads, and a hash of all it holds."""

    path: Path
    text: str
    query: str | None
    content: str

    @property
    def form(self) -> str:
        """The file's ending, without its dot."""
        return self.path.suffix.lower()[1:]

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the line that each row begins on, and its fields.

        Raises:
            InputError: the first thing that is wrong: with a row, its text or its query.
        """
        for found in rows_of(self.path):
            if isinstance(found, Fault):
                raise InputError(found)
            line, row = found
            if self.form == "txt":
                row = {self.text: row[TEXT]}
            if missing := [n for n in (self.text, self.query) if n is not None and n not in row]:
                expected = f"a column {missing[0]!r} (--text and --query name others)"
                raise InputError(Fault(expected, f"only {short_repr(sorted(row), 200)}", self.path, line))
            own = None if row.get("id") is None else str(row["id"])
            check_texts(row, self.text, self.query, (self.path, line, own))
            yield line, row

    def check(self) -> None:
        """Read the file once, so that what is wrong with it is told before a folder is made."""
        if not sum(1 for _ in progress(self.rows(), f"check {self.path.name}", "rows")):
            raise InputError(Fault("at least one row", "none", self.path))

    def first_texts(self) -> Iterator[str]:
        """Yield the texts of the first rows."""
        return (row[self.text] for _, row in islice(self.rows(), LOOKED_AT))

    def is_in(self, folder: Path) -> bool:
        """Return whether a run's folder has the rows of this very file."""
        made = read_made(folder) if folder.is_dir() else None
        if made is None or made.of.get("content_of_file") != self.content or not (folder / ROWS).is_file():
            return False
        return made.of.get("form") == self.form and made.files.get(ROWS) == hash_of(folder / ROWS)

    def convert(self, folder: Path, chunk: int) -> TableChunks:
        """Return the rows that a claimed folder has of this file, written first if it lacks them."""
        if not self.is_in(folder):
            write_whole(folder / ROWS, self._write)
            writes(folder, ROWS)
        return TableChunks(self, LineChunks(folder / ROWS, chunk))

    def _write(self, partial: Path) -> None:
        with partial.open("w", encoding="ascii") as file:
            for line, row in progress(self.rows(), f"convert {self.path.name}", "rows"):
                kept = {k: v for k, v in row.items() if v is not None} if self.form == "parquet" else row
                file.write(json.dumps({"line": line, "row": kept}, default=str) + "\n")


def table_at(path: Path, text: str, query: str | None) -> Table | None:
    """Return the table that a file is; None where it is JSON lines, or not there.

    Raises:
        InputError: it is none of the forms that are read.
    """
    kind = path.suffix.lower()
    if kind == ".jsonl" or not path.is_file():
        return None
    if kind not in READERS:
        raise InputError(Fault(f"a {listed(tuple(READERS))} file", short_repr(path.name), path))
    try:
        return Table(path, text, query, hash_of(path))
    except OSError as error:
        raise InputError(Fault("a readable file", f"{error.strerror}", path)) from None


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
            yield at, record["line"], record["row"]

    def check_unchanged(self) -> None:
        """Refuse a file that was changed since it was first read."""
        if hash_of(self.path) != self.content:
            raise InputError(Fault.of(CHANGED, self.path))

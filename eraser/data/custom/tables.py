"""Files of rows, in any known form → their rows, one at a time.

A row is the line that it begins on (of a sheet its row; in Parquet, which has no lines, its number from 1)
and its fields by column. The fault of a row takes its place; what ends the reading is raised.
To add a form: a reader and a line in READERS.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from eraser.data.kinds.delimited import delimited_rows, text_lines
from eraser.data.kinds.excel import excel_rows
from eraser.data.kinds.json_rows import json_array, json_lines
from eraser.data.kinds.parquet import parquet_rows
from eraser.data.kinds.rows import TEXT, Row, Rows, TableOptions
from eraser.errors import Fault, InputError

__all__ = ["LABELLED", "READERS", "TEXT", "Row", "Rows", "TableOptions", "listed", "rows_of"]
AS_FOUND = TableOptions()
Reader = Callable[[Path, TableOptions, list[str]], Rows]


def rows_of(path: Path, how: TableOptions = AS_FOUND, notes: list[str] | None = None) -> Rows:
    """Yield the rows of a file, and the faults of those that are none.

    Args:
        path: a file that its ending says the form of.
        how: its encoding and separator, where they are given.
        notes: takes what the user should know of how the file was read.

    Raises:
        InputError: no reader knows the file by its ending, or it cannot be read to its end.
    """
    try:
        yield from READERS[path.suffix.lower()](path, how, [] if notes is None else notes)
    except OSError as error:
        raise InputError(Fault("a readable file", f"{error.strerror}", path)) from None


READERS: dict[str, Reader] = {
    ".csv": partial(delimited_rows, usual=","),
    ".tsv": partial(delimited_rows, usual="\t"),
    ".json": json_array,
    ".jsonl": json_lines,
    ".parquet": parquet_rows,
    ".xlsx": excel_rows,
    ".txt": text_lines,
}
LABELLED = tuple(kind for kind in READERS if kind != ".txt")  # those with columns


def listed(kinds: tuple[str, ...]) -> str:
    """Return file endings in words.

    >>> listed((".csv", ".tsv", ".txt"))
    '.csv, .tsv or .txt'
    """
    return f"{', '.join(kinds[:-1])} or {kinds[-1]}"

"""What is read of a run's folder, which is not trusted: its own files, bounded, of the right shape.

Links are not followed; all that is wrong is an InputError of one line that says so.
"""

from __future__ import annotations

import csv
import io
import json
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eraser import Fault, InputError
from eraser.errors import short_repr
from eraser.files.cells import unquoted

SCORES_JSON = "scores.json"
A_RUNS_JSON = "the scores.json of a run"
MOST_BYTES = {".json": 2**24, ".csv": 2**26, ".jsonl": 2**28, ".parquet": 2**32}
MOST_COLUMNS, MOST_CHARACTERS = 1000, 500  # of a table, of a cell
MOST_NUMBER = 1e15
DEEP = 3  # lists and objects inside a setting
TEXTS = frozenset({"method", "other", "metric", "budget", "better", "unit", "model", "run"})
FLAGS = {"True": True, "False": False}
FLAG_COLUMNS = frozenset({"tie", "frontier"})
COUNTS = frozenset({"n", "layer"})  # whole numbers, none missing
SHAPES: Mapping[str, type] = {
    "settings": dict,
    "budgets": list,
    "notes": list,
    "intervals": str,
    "device": str,
}
OF_SETTINGS = ("dataset", "split", "model", "target", "unit")  # texts, where they are said


def unreadable(path: Path, expected: str, got: str, line: int | None = None) -> InputError:
    """Return what is said of a run that cannot be read."""
    return InputError(Fault(expected, got, f"this run cannot be read: {path}", line))


def own_file(folder: Path, name: str) -> Path | None:
    """Return a file of a run's folder; None where there is none.

    Raises:
        InputError: it is a link, or behind one, no regular file, or too large.
    """
    path = folder
    try:
        for part in Path(name).parts:
            path = path / part
            if path.is_symlink():
                raise unreadable(path, "a file of the run's own", "a link")
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(path, "a readable file", f"{error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise unreadable(path, "a file", "something else of this name")
    if found.st_size > (most := MOST_BYTES[path.suffix]):
        raise unreadable(path, f"a file of at most {most:,} bytes", f"{found.st_size:,}")
    return path


def read_own(folder: Path, name: str) -> str | None:
    """Return the text of a file of a run's folder; None where there is none.

    Raises:
        InputError: as `own_file` does, or it cannot be read, or is no UTF-8.
    """
    path = own_file(folder, name)
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES[path.suffix]).decode("utf-8")
    except OSError as error:
        raise unreadable(path, "a readable file", f"{error.strerror}") from None
    except UnicodeDecodeError as error:
        raise unreadable(path, "UTF-8 text", str(error)) from None


def read_facts(folder: Path) -> dict[str, Any] | None:
    """Return what a run's numbers stand on; None where it does not say.

    Raises:
        InputError: it cannot be read, or is of another shape.
    """
    path, text = folder / SCORES_JSON, read_own(folder, SCORES_JSON)
    if text is None:
        return None
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise unreadable(path, A_RUNS_JSON, f"{type(error).__name__}: {error}") from None
    facts = whole.get("run") if isinstance(whole, dict) else None
    if not isinstance(facts, dict):
        raise unreadable(path, f'{A_RUNS_JSON}, an object with "run"', short_repr(whole))
    _check_shapes(path, facts)
    return facts


def _check_shapes(path: Path, facts: dict[str, Any]) -> None:
    for name, kind in SHAPES.items():
        if not isinstance(facts.get(name, kind()), kind):
            raise unreadable(
                path, f'{A_RUNS_JSON}, "{name}" of kind {kind.__name__}', short_repr(facts[name])
            )
    settings = facts.get("settings", {})
    for name, values in (("budgets", facts.get("budgets", [])), ("notes", facts.get("notes", []))):
        _check_texts(path, name, values)
    for name in OF_SETTINGS:
        _check_texts(path, name, [settings[name]] if settings.get(name) is not None else [])
    if deep := [name for name, value in settings.items() if not _is_flat(value, DEEP)]:
        raise unreadable(path, f"settings with at most {DEEP} levels", f"more in {short_repr(deep[0])}")


def _check_texts(path: Path, name: str, values: Sequence[object]) -> None:
    for value in values:
        if not isinstance(value, str) or len(value) > MOST_CHARACTERS * 10:
            raise unreadable(path, f'{A_RUNS_JSON}, texts in "{name}"', short_repr(value))


def _is_flat(value: object, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not inside or (levels > 0 and all(_is_flat(x, levels - 1) for x in inside))


def read_table(folder: Path, name: str, needed: Sequence[str]) -> pd.DataFrame | None:
    """Return a CSV table of a run's folder; None where there is none.

    Columns of TEXTS hold texts, others that are needed numbers; what else there is, numbers if all are.

    Raises:
        InputError: it cannot be read, lacks a column, or has one of another kind.
    """
    path, text = folder / name, read_own(folder, name)
    if text is None:
        return None
    lines, rows = _rows(path, text)
    header = [unquoted(column) for column in rows.pop(0)]
    if missing := [c for c in needed if c not in header]:
        raise unreadable(path, f"the columns {', '.join(needed)}", f"none of the name {missing[0]}")
    if len(set(header)) < len(header):
        raise unreadable(path, "each column once", short_repr(header), 1)
    cells = dict(zip(header, zip(*rows, strict=True) if rows else [()] * len(header), strict=True))
    return pd.DataFrame({
        column: _column(path, column, values, lines[1:], column in needed) for column, values in cells.items()
    })  # fmt: skip


def _rows(path: Path, text: str) -> tuple[list[int], list[list[str]]]:
    """Return the line that each row ends on, and its cells."""
    lines, rows = [], []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if not row:
                continue
            if len(row) > MOST_COLUMNS or max(map(len, row)) > MOST_CHARACTERS:
                expected = f"at most {MOST_COLUMNS} columns, and {MOST_CHARACTERS} characters in a cell"
                raise unreadable(path, expected, "more", reader.line_num)
            lines.append(reader.line_num)
            rows.append(row)
            if len(row) != len(rows[0]):
                raise unreadable(path, f"{len(rows[0])} columns", f"{len(row)}", lines[-1])
    except csv.Error as error:
        raise unreadable(path, "a readable CSV file", str(error), reader.line_num) from None
    if not rows:
        raise unreadable(path, "a readable CSV file", "an empty one")
    return lines, rows


def _column(
    path: Path, name: str, cells: Sequence[str], lines: Sequence[int], needed: bool
) -> pd.Series[Any]:
    """Return a column by what its name says that it holds."""
    if name in TEXTS:
        return pd.Series([unquoted(c) for c in cells], dtype=object)
    reads: Callable[[str], Any] = FLAGS.__getitem__ if name in FLAG_COLUMNS else _number
    found, expected = [], "True or False" if name in FLAG_COLUMNS else "a number below 1e15"
    for cell, line in zip(cells, lines, strict=True):
        try:
            found.append(reads(cell))
        except (KeyError, ValueError):
            if needed:
                raise unreadable(path, f"{expected} in column {name!r}", short_repr(cell), line) from None
            return pd.Series([unquoted(c) for c in cells], dtype=object)
        if needed and name in COUNTS and not (found[-1] >= 0 and float(found[-1]).is_integer()):
            raise unreadable(path, f"a whole number in column {name!r}", short_repr(cell), line)
    whole = all(c.removeprefix("-").isdecimal() for c in cells)
    return pd.Series(np.array(found, dtype=np.int64 if whole and found else None))


def _number(cell: str) -> float:
    value = float(cell or "nan")
    if abs(value) >= MOST_NUMBER:
        raise ValueError
    return value

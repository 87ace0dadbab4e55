"""Prodigy's JSONL: `spans`, the choice in `accept` (or `label`, or `cats`), and the `answer`.

https://prodi.gy/docs/api-interfaces: only what was accepted is read; what was rejected or ignored is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from eraser.data.custom.options import ColumnNames
from eraser.data.forms.marks import (
    Annotated,
    Found,
    Row,
    Told,
    classes_of,
    each_row,
    first,
    marks_of,
    missing,
    person,
    query_and_split,
)

ANSWERS = ("accept", "reject", "ignore")
PEOPLE = ("_annotator_id", "_session_id")


def is_prodigy(row: Row, names: ColumnNames) -> bool:
    """Return whether a row is one of Prodigy's."""
    return "_input_hash" in row or "_task_hash" in row or row.get("answer") in ANSWERS


def read_prodigy(path: Path, names: ColumnNames, told: Told) -> Found:
    """Read an export: an answer is a row that was accepted; what was shown to several has one input hash."""
    return each_row(path, partial(_row, names=names, told=told), told)


def _row(row: Row, line: int, names: ColumnNames, told: Told) -> Iterator[Annotated]:
    if (answer := row.get("answer", "accept")) != "accept":
        told.left_out(f"answers left out: {answer}")
        return
    if names.text not in row:
        raise missing(f"a field {names.text!r} (--text names another)", sorted(row))
    who = row.get(names.annotator) if names.annotator else first(row, PEOPLE)
    hashed = "_task_hash" if who is None else "_input_hash"  # one input may be asked about more than once
    id = row.get(names.id) if names.id else first(row, ("id", hashed))
    more = query_and_split(row, names)
    marks = marks_of(row.get(names.rationale or "spans"))
    yield Annotated(line, row[names.text], _class(row, names), id, person(who), marks, **more)


def _class(row: Row, names: ColumnNames) -> Any:
    fields = (names.label, "accept", "cats") if names.label != "label" else ("accept", "label", "cats")
    there = [n for n in fields if row.get(n) not in (None, [])]
    return classes_of(row[there[0]]) if there else row.get("accept")  # an empty list: none of several

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
)

ANSWERS = ("accept", "reject", "ignore")
PEOPLE = ("_annotator_id", "_session_id")


def is_prodigy(row: Row) -> bool:
    """Return whether a row is one of Prodigy's."""
    return "_input_hash" in row or "_task_hash" in row or row.get("answer") in ANSWERS


def read_prodigy(path: Path, named: ColumnNames, told: Told) -> Found:
    """Read an export: an answer is a row that was accepted; what was shown to several has one input hash."""
    return each_row(path, partial(_row, named=named, told=told), told)


def _row(row: Row, line: int, named: ColumnNames, told: Told) -> Iterator[Annotated]:
    if (answer := row.get("answer", "accept")) != "accept":
        told.left_out(f"answers left out: {answer}")
        return
    if named.text not in row:
        raise missing(f"a field {named.text!r} (--text names another)", sorted(row))
    id = row.get(named.id) if named.id else first(row, ("id", "_input_hash"))
    who = row.get(named.annotator) if named.annotator else first(row, PEOPLE)
    more = {what: row.get(name) for what in ("query", "split") if (name := getattr(named, what))}
    marks = marks_of(row.get(named.rationale or "spans"))
    who = None if who is None else str(who)
    yield Annotated(line, row[named.text], _class(row, named), id, who, marks, **more)


def _class(row: Row, named: ColumnNames) -> Any:
    names = (named.label, "accept", "cats") if named.label != "label" else ("accept", "label", "cats")
    there = [n for n in names if row.get(n) not in (None, [])]
    return classes_of(row[there[0]]) if there else None

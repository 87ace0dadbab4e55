"""spaCy's JSONL: `text`, `cats` with a score each, and `ents`, `entities` or `spans`.

https://spacy.io/api/doc#to_json: `spans` may be a list, or lists by the name of their group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard

from eraser.data.custom.options import ColumnNames
from eraser.data.custom.tables import TableOptions, rows_of
from eraser.data.forms.marks import (
    Annotated,
    Found,
    Row,
    Told,
    are_spans,
    classes_of,
    each_row,
    marks_of,
    missing,
    parsed,
    person,
    query_and_split,
)
from eraser.errors import Fault, InputError

SPANS = ("spans", "ents", "entities")


def is_spacy(row: Row, names: ColumnNames) -> bool:
    """Return whether a row is a text with cats, or with spans of characters."""
    return isinstance(row.get("cats"), Mapping) or any(
        are_spans(row.get(n)) or _grouped(row.get(n)) for n in SPANS
    )


def _grouped(value: Any) -> TypeGuard[Row]:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(v, list) for v in value.values())


def read_spacy(path: Path, names: ColumnNames, told: Told) -> Found:
    """Read a file; of several kinds of spans, those named by --rationale, else the group that has any."""
    chosen = names.rationale or _kind(path, told.files)
    return each_row(path, partial(_row, names=names, chosen=chosen, told=told), told)


def _kind(path: Path, how: TableOptions) -> str | None:
    """Return the one kind of spans that any row has; a group comes before what a pipeline may have found."""
    groups, lists = dict[str, None](), dict[str, None]()
    for row in rows_of(path, how):
        if not isinstance(row, Fault):
            groups |= dict.fromkeys(name for name, spans in _groups(row[1]).items() if spans)
            lists |= dict.fromkeys(name for name, spans in _lists(row[1]).items() if spans)
    several = list(groups or lists)
    if len(several) > 1:
        expected = "one kind of spans, or its name as --rationale (with --form spacy)"
        raise InputError(Fault(expected, ", ".join(map(repr, several)), path))
    return several[0] if several else None


def _groups(row: Row) -> Row:
    """Return the spans by the name of their group."""
    spans = parsed(row.get("spans"))
    return spans if _grouped(spans) else {}


def _lists(row: Row) -> Row:
    """Return the spans by the field that lists them."""
    there = {name: parsed(row[name]) for name in SPANS if row.get(name) is not None}
    return {name: spans for name, spans in there.items() if not _grouped(spans)}


def _row(row: Row, line: int, names: ColumnNames, chosen: str | None, told: Told) -> Iterator[Annotated]:
    if names.text not in row:
        raise missing(f"a field {names.text!r} (--text names another)", sorted(row))
    kinds = {**_lists(row), **_groups(row)}
    for kind in kinds.keys() - {chosen}:
        told.left_out(f"spans not read, of {kind}", len(kinds[kind]))
    spans = kinds.get(chosen or "", row.get(chosen or ""))
    own = row.get(names.label)
    label = classes_of(row.get("cats") if own is None else own)
    who = None if names.annotator is None else person(row.get(names.annotator))
    more = query_and_split(row, names)
    yield Annotated(line, row[names.text], label, row.get(names.id or "id"), who, marks_of(spans), **more)

"""spaCy's JSONL: `text`, `cats` with a score each, and `ents`, `entities` or `spans`.

https://spacy.io/api/doc#to_json: `spans` may be a list, or lists by the name of their group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from eraser.data.custom.options import ColumnNames
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
    query_and_split,
)

SPANS = ("spans", "ents", "entities")


def is_spacy(row: Row, names: ColumnNames) -> bool:
    """Return whether a row is a text with cats, or with spans of characters."""
    return isinstance(row.get("cats"), Mapping) or any(
        are_spans(row.get(n)) or _grouped(row.get(n)) for n in SPANS
    )


def _grouped(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(v, list) for v in value.values())


def read_spacy(path: Path, names: ColumnNames, told: Told) -> Found:
    """Read a file; of several kinds of spans, those named by --rationale, else the first that has any."""
    return each_row(path, partial(_row, names=names), told)


def _row(row: Row, line: int, names: ColumnNames) -> Iterator[Annotated]:
    if names.text not in row:
        raise missing(f"a field {names.text!r} (--text names another)", sorted(row))
    spans = _spans(row, names)
    own = row.get(names.label)
    label = classes_of(row.get("cats") if own is None else own)
    who = None if names.annotator is None else str(row.get(names.annotator))
    more = query_and_split(row, names)
    yield Annotated(line, row[names.text], label, row.get(names.id or "id"), who, marks_of(spans), **more)


def _spans(row: Row, names: ColumnNames) -> Any:
    """Return the spans: of the field, or the group, that is named, else of the first that has any."""
    groups = row["spans"] if _grouped(row.get("spans")) else {}
    if names.rationale is not None:
        return groups.get(names.rationale, row.get(names.rationale))
    found = [*groups.values(), *(row.get(name) for name in SPANS if not _grouped(row.get(name)))]
    return next((value for value in found if value), None)

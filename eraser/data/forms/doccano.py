"""doccano's JSONL: spans as `label`, `labels` or `entities`, classes as `cats` or `label`, or `annotations`.

https://doccano.github.io/doccano/: a span is [start, end, label] or an object with `start_offset` and
`end_offset`. The older export has the annotations of all users in one list, with the user of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from eraser.data.custom.options import ColumnNames
from eraser.data.forms.marks import (
    ENDS,
    STARTS,
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

SPANS = ("entities", "label", "labels")
CLASSES = ("cats", "label", "labels", "category")


def is_doccano(row: Row, names: ColumnNames) -> bool:
    """Return whether a row is one of doccano's."""
    if isinstance(row.get("annotations"), list) and "text" in row and "data" not in row:
        return all(isinstance(a, Mapping) and ("label" in a or "text" in a) for a in row["annotations"])
    if isinstance(row.get("cats"), list) and isinstance(row.get("entities"), list):
        return True
    return any(are_spans(row.get(name)) for name in SPANS) and not isinstance(row.get("cats"), Mapping)


def read_doccano(path: Path, names: ColumnNames, told: Told) -> Found:
    """Read an export; each user's annotations of a text are an answer of their own."""
    return each_row(path, partial(_row, names=names, told=told), told)


def _row(row: Row, line: int, names: ColumnNames, told: Told) -> Iterator[Annotated]:
    if names.text not in row:
        raise missing(f"a field {names.text!r} (--text names another)", sorted(row))
    told.left_out("relations not read", len(row.get("relations") or []))
    more = query_and_split(row, names)
    id = row.get(names.id or "id")
    if isinstance(row.get("annotations"), list):
        for who, label, marks in _by_user(row["annotations"], row.get(names.label)):
            yield Annotated(line, row[names.text], label, id, who, marks_of(marks), **more)
        return
    spans = names.rationale or next((n for n in SPANS if are_spans(row.get(n))), None)
    label = _class(row, spans, names)
    who = None if names.annotator is None else person(row.get(names.annotator))
    yield Annotated(line, row[names.text], label, id, who, marks_of(row.get(spans or "")), **more)


def _by_user(annotations: list[Any], label: Any) -> Iterator[tuple[str | None, Any, list[Any]]]:
    """Yield each user's class and spans; where no user is told, all annotations are one answer."""
    users = dict.fromkeys(a.get("user") for a in annotations) or {None: None}
    for user in users:
        own = [a for a in annotations if a.get("user") == user]
        spans = [a for a in own if any(n in a for n in STARTS) and any(n in a for n in ENDS)]
        classes = [a["label"] for a in own if a not in spans and a.get("label") is not None]
        yield person(user), classes_of(classes) if classes else label, spans


def _class(row: Row, spans: str | None, names: ColumnNames) -> Any:
    fields = (names.label, *CLASSES) if names.label != "label" else CLASSES
    there = [n for n in fields if row.get(n) not in (None, []) and n != spans]
    if there:
        return classes_of(parsed(row[there[0]]))
    none_of_several = any(row.get(n) == [] for n in fields if n not in (*SPANS, spans))
    return [] if none_of_several else None

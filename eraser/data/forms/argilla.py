"""Argilla's records, as `to_json`, `to_list` and `to_datasets` write them, nested or flat.

https://docs.argilla.io: a question has a list of responses, each with its user (flat: `NAME.responses`,
`NAME.responses.users` and `NAME.responses.status`), and a suggestion. A record with no response is read by
its suggestions, and counted.
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
    is_span,
    marks_of,
    missing,
    parsed,
    query_and_split,
)

RESPONSES, SUGGESTION = ".responses", ".suggestion"
Answers = dict[str | None, dict[str, Any]]  # by user: the value of each question


def is_argilla(row: Row, names: ColumnNames) -> bool:
    """Return whether a row is a record of Argilla's."""
    if isinstance(row.get("fields"), Mapping) and ("responses" in row or "suggestions" in row):
        return True
    return any(name.endswith((RESPONSES, SUGGESTION)) for name in row)


def read_argilla(path: Path, names: ColumnNames, told: Told) -> Found:
    """Read records; each user's submitted responses are an answer."""
    return each_row(path, partial(_record, names=names, told=told), told)


def _record(row: Row, line: int, names: ColumnNames, told: Told) -> Iterator[Annotated]:
    nested = isinstance(row.get("fields"), Mapping)
    fields = {**row, **row["fields"], **(row.get("metadata") or {})} if nested else dict(row)
    if names.text not in fields:
        raise missing(f"a field {names.text!r} (--text names another)", sorted(fields))
    answers = _nested(row) if nested else _flat(row, told)
    if not answers and (suggested := _suggested(row, nested)):
        told.left_out("records that nobody answered, read by their suggestions")
        answers = {None: suggested}
    if not answers:
        told.left_out("records left out that have neither response nor suggestion")
    more = query_and_split(fields, names)
    for who, values in answers.items():
        spans = _spans(values, names)
        marks = marks_of(values.get(spans)) if spans else ()
        label = _class(values, spans, fields, names)
        yield Annotated(line, fields[names.text], label, row.get(names.id or "id"), who, marks, **more)


def _nested(row: Row) -> Answers:
    found: Answers = {}
    for question, responses in (row.get("responses") or {}).items():
        for response in responses or []:
            found.setdefault(str(response.get("user_id")), {})[question] = response.get("value")
    return found


def _flat(row: Row, told: Told) -> Answers:
    found: Answers = {}
    for name, cell in row.items():
        values = parsed(cell)
        if not name.endswith(RESPONSES) or not isinstance(values, list):
            continue
        users = parsed(row.get(f"{name}.users")) or [str(n) for n in range(1, len(values) + 1)]
        status = parsed(row.get(f"{name}.status")) or ["submitted"] * len(values)
        for who, state, value in zip(users, status, values, strict=False):
            if state in ("submitted", None):
                found.setdefault(str(who), {})[name.removesuffix(RESPONSES)] = value
            else:
                told.left_out(f"responses left out: {state}")
    return found


def _suggested(row: Row, nested: bool) -> dict[str, Any]:
    if nested:
        return {q: s["value"] for q, s in (row.get("suggestions") or {}).items() if s and "value" in s}
    ends = {n: n.removesuffix(SUGGESTION) for n in row if n.endswith(SUGGESTION)}
    return {question: parsed(row[name]) for name, question in ends.items() if row[name] is not None}


def _spans(values: Mapping[str, Any], names: ColumnNames) -> str | None:
    """Return the question whose answer are spans."""
    found = [question for question, value in values.items() if are_spans(value)]
    if names.rationale is not None:
        return names.rationale
    if len(found) > 1:
        raise missing("one question of spans, or its name as --rationale", found)
    return found[0] if found else None


def _class(values: Mapping[str, Any], spans: str | None, fields: Row, names: ColumnNames) -> Any:
    if names.label in values and names.label != spans:
        return classes_of(values[names.label])
    if names.label in fields:
        return classes_of(fields[names.label])
    others = {q: v for q, v in values.items() if q != spans and not _no_class(v)}
    if len(others) > 1:
        raise missing("one question of labels, or its name as --label", sorted(others))
    return classes_of(next(iter(others.values()), None))


def _no_class(value: Any) -> bool:
    return value in (None, [], "") or (isinstance(value, list) and any(map(is_span, value)))

"""Label Studio's exports: JSON (tasks with annotations), JSON_MIN and CSV (a row for each annotation).

https://labelstud.io/guide/export: a span is a result whose value has `start`, `end`, `text` and `labels`, a
text's class is a result of type `choices`; JSON_MIN and CSV have a column for each control.
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
    Mark,
    Row,
    Told,
    are_spans,
    classes_of,
    each_row,
    first,
    labels_of,
    mark_of,
    marks_of,
    missing,
    parsed,
    person,
    query_and_split,
)
from eraser.errors import Fault, InputError, short_repr

KINDS = ("labels", "hypertextlabels")  # of results: spans of characters
OWN = ("annotation_id", "annotator", "created_at", "updated_at", "lead_time", "id")  # columns of JSON_MIN
CLASSES = ("label", "class", "sentiment", "choice", "choices", "category")  # usual names of a control


def is_tasks(row: Row, names: ColumnNames) -> bool:
    """Return whether a row is a task of the JSON export."""
    return isinstance(row.get("data"), Mapping) and isinstance(_annotations(row), list)


def is_min(row: Row, names: ColumnNames) -> bool:
    """Return whether a row is one of JSON_MIN or CSV, also where some columns were taken out."""
    if "annotation_id" in row and "annotator" in row:
        return True
    return (names.rationale or "rationale") not in row and any(map(_are_results, row.values()))


def _are_results(cell: Any) -> bool:
    """Return whether a cell holds spans as Label Studio writes them."""
    found = parsed(cell)
    return are_spans(found) and all(
        isinstance(s, Mapping) and isinstance(s.get("labels"), list) for s in found
    )


def read_tasks(path: Path, names: ColumnNames, told: Told) -> Found:
    """Read the JSON export: an answer for each annotation of a task that was not cancelled."""
    return each_row(path, partial(_task, names=names, told=told), told)


def _annotations(task: Row) -> Any:
    return task.get("annotations", task.get("completions"))  # the name before version 1.0


def _task(task: Row, line: int, names: ColumnNames, told: Told) -> Iterator[Annotated]:
    if not is_tasks(task, names):
        raise InputError(Fault("a task with data and annotations", short_repr(sorted(task), 200)))
    data, answers = task["data"], _annotations(task)
    kept = [a for a in answers if isinstance(a, Mapping) and not a.get("was_cancelled")]
    told.left_out("annotations left out as cancelled", len(answers) - len(kept))
    told.left_out("tasks left out that have no annotation", not kept)
    told.left_out("predictions of models not read", len(task.get("predictions") or []))
    if names.text not in data:
        raise missing(f"a text {names.text!r} in the task's data (--text names another)", sorted(data))
    id = task.get("id") if names.id is None else data.get(names.id)
    more = query_and_split(data, names)
    for answer in kept:
        results = [r for r in answer.get("result") or [] if isinstance(r, Mapping)]
        label = _class(results, data, names.label, told)
        marks = tuple(_spans(results, names.rationale, told))
        yield Annotated(line, data[names.text], label, id, _who(answer), marks, **more)


def _who(answer: Row) -> str | None:
    """Return who made an annotation: the address of the user, or the number."""
    by = answer.get("completed_by")
    by = first(by, ("email", "username", "id")) if isinstance(by, Mapping) else by
    return None if by is None else str(by)


def _spans(results: list[Mapping[str, Any]], control: str | None, told: Told) -> Iterator[Mark]:
    """Yield the spans of a control, or of all of them."""
    for result in results:
        kind, value = result.get("type"), result.get("value") or {}
        if kind in KINDS and control not in (None, result.get("from_name")):
            told.left_out("spans of other controls not read")
        elif kind in KINDS:
            places = value.get("globalOffsets") or value  # of hypertext; start and end are paths there
            more = {"labels": value.get(kind) or value.get("labels"), "text": value.get("text")}
            yield mark_of({"start": places.get("start"), "end": places.get("end"), **more})
        elif kind != "choices":
            told.left_out(f"results not read, of type {kind}")


def _class(results: list[Mapping[str, Any]], data: Row, wanted: str, told: Told) -> Any:
    """Return the text's class: of the control of that name, of the data, or of the only control there is.

    Where no name is asked for, the only control comes before the data: what is there may be anybody's.
    """
    spans = {r["id"] for r in results if r.get("type") in KINDS and r.get("id") is not None}
    chosen = {
        str(r.get("from_name")): labels_of((r.get("value") or {}).get("choices"))
        for r in results
        if r.get("type") == "choices" and r.get("id") not in spans  # a choice for a span is not the text's
    }
    if wanted in chosen:
        return classes_of(chosen[wanted])
    usual = wanted == ColumnNames.label
    if wanted in data and not (usual and len(chosen) == 1):
        told.left_out(
            "classes of the task's data, of several controls none named as --label", usual and bool(chosen)
        )
        return data[wanted]
    told.left_out("labels in the task's data not read, as annotators chose one", wanted in data)
    if len(chosen) > 1:
        raise missing("one control of choices, or its name as --label", sorted(chosen))
    return classes_of(next(iter(chosen.values()), None))


def read_min(path: Path, names: ColumnNames, told: Told) -> Found:
    """Read JSON_MIN or CSV: a row is one annotation."""
    return each_row(path, partial(_row, names=names), told)


def _row(row: Row, line: int, names: ColumnNames) -> Iterator[Annotated]:
    cells = {name: parsed(value) for name, value in row.items() if name not in OWN}
    if names.text not in row:
        raise missing(f"a column {names.text!r} (--text names another)", sorted(row))
    spans = [name for name, value in cells.items() if are_spans(value) and name != names.text]
    if names.rationale is not None:
        spans = [names.rationale]
    elif len(spans) > 1:
        raise missing("one control of spans, or its name as --rationale", spans)
    label = _class_of_row(cells, spans, names)
    marks = marks_of(cells.get(spans[0])) if spans else ()
    id = row.get(names.id or "id")
    who = person(row.get(names.annotator or "annotator"))
    more = query_and_split(row, names)
    yield Annotated(line, row[names.text], label, id, who, marks, **more)


def _class_of_row(cells: Row, spans: list[str], names: ColumnNames) -> Any:
    there = [n for n in (names.label, *CLASSES) if cells.get(n) and n not in spans and n != names.text]
    value = cells[there[0]] if there else None
    if isinstance(value, Mapping):  # several choices: {"choices": [...]}
        value = value.get("choices")
    return classes_of(value)

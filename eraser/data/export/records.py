"""A task → what each annotation tool imports; `by` is the model whose suggestion it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from eraser.data.export.tasks import EVIDENCE, Task
from eraser.labels import SEVERAL, join_labels
from eraser.words import Spans

ExportRecord = dict[str, Any]
ID = "example_id"  # where a tool has ids of its own


def label_studio(task: Task, by: str | None, labels: Sequence[str]) -> Iterator[ExportRecord]:
    """Yield a task with annotations, or with a prediction. https://labelstud.io/guide/task_format.

    Offsets are code points, as the tool counts since 2021 (label-studio-frontend, pull request 308).
    """
    record: ExportRecord = {"data": {"text": task.text, ID: task.id, **task.more}}
    if by is not None:
        record["predictions"] = [{"model_version": by, "result": _results(task, task.marks)}]
    else:
        record["annotations"] = [
            {"result": _results(task, marks), **({} if who is None else {"completed_by": _user(who)})}
            for who, marks in task.answers
        ]
    yield record


def _results(task: Task, marks: Spans) -> list[ExportRecord]:
    """Return the choice of the class, control `label`, and the spans, control `evidence`."""
    choice = {"type": "choices", "from_name": "label", "value": {"choices": list(task.labels)}}
    spans = [
        {
            "type": "labels",
            "from_name": EVIDENCE,
            "value": {"start": start, "end": end, "text": task.text[start:end], "labels": [EVIDENCE]},
        }
        for start, end in marks
    ]
    return [{"id": f"{n}", "to_name": "text", **found} for n, found in enumerate([choice, *spans])]


def _user(who: str) -> Any:
    """Return a user as tasks name one: by number, or by address."""
    return int(who) if who.isascii() and who.isdigit() and str(int(who)) == who else {"email": who}


def doccano(task: Task, by: str | None, labels: Sequence[str]) -> Iterator[ExportRecord]:
    """Yield a text with spans and classes; of several annotators, what all of them marked."""
    spans = [[start, end, EVIDENCE] for start, end in task.marks]
    yield {"text": task.text, "entities": spans, "cats": list(task.labels), ID: task.id, **task.more}


def prodigy(task: Task, by: str | None, labels: Sequence[str]) -> Iterator[ExportRecord]:
    """Yield a task for each annotator, answered; a suggestion is not. https://prodi.gy/docs/api-interfaces."""
    for who, marks in task.answers:
        record: ExportRecord = {
            "text": task.text,
            "spans": [{"start": start, "end": end, "label": EVIDENCE} for start, end in marks],
            "options": [{"id": label, "text": label} for label in labels],
            "accept": list(task.labels),
            "id": task.id,
            **task.more,
        }
        if by is not None:
            yield {**record, "meta": {"by": by}}
        else:
            yield {**record, "answer": "accept", **({} if who is None else {"_annotator_id": who})}


def argilla(task: Task, by: str | None, labels: Sequence[str]) -> Iterator[ExportRecord]:
    """Yield a record as `records.from_json` reads it: fields, metadata, responses of users, suggestions.

    What has no annotator is a suggestion.
    """
    query = {} if task.query is None else {"query": task.query}
    record: ExportRecord = {
        "id": task.id,
        "fields": {"text": task.text, **query},
        "metadata": {"split": task.split},
        "suggestions": {},
        "responses": {},
        "vectors": {},
    }
    label = task.labels[0] if len(task.labels) == 1 else list(task.labels)
    if any(who is not None for who, _ in task.annotators):
        record["responses"] = {
            "label": [{"value": label, "user_id": who} for who, _ in task.annotators],
            EVIDENCE: [{"value": _values(marks), "user_id": who} for who, marks in task.annotators],
        }
    else:
        agent = by or "annotators"
        record["suggestions"] = {
            "label": {"value": label, "score": None, "agent": agent},
            EVIDENCE: {"value": _values(task.marks), "score": None, "agent": agent},
        }
    yield record


def _values(marks: Spans) -> list[ExportRecord]:
    return [{"start": start, "end": end, "label": EVIDENCE} for start, end in marks]


def row(task: Task, by: str | None, labels: Sequence[str]) -> Iterator[ExportRecord]:
    """Yield a row for each annotator."""
    for who, marks in task.answers:
        yield {
            "id": task.id,
            "text": task.text,
            "label": join_labels(task.labels) or SEVERAL,  # an empty cell would be no label at all
            "query": task.query,
            "split": task.split,
            "annotator": who if by is None else by,
            "rationale": [list(mark) for mark in marks],
        }

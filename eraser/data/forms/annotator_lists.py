"""Rows with a list of annotators, each with a rationale, and with a label where they differ.

`annotators`, `annotations` or `rationales` holds an object for each; its rationale is a list of spans of
characters, or a 0 or 1 for each word of `tokens` (or of the text between white space).
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
    each_row,
    first,
    marks_of,
    missing,
    query_and_split,
)
from eraser.errors import Fault, InputError, short_repr
from eraser.words import Spans, cut_words, joined

LISTS = ("annotators", "annotations", "rationales")
RATIONALES = ("rationale", "char_spans", "spans", "entities", "mask", "evidence", "marks")
PEOPLE = ("annotator", "annotator_id", "user", "worker", "worker_id", "id")


def _list_in(row: Row, names: ColumnNames) -> str | None:
    """Return the field that holds the annotators."""
    given = (names.rationale,) if names.rationale else ()
    return next((name for name in (*given, *LISTS) if _is_list(row.get(name))), None)


def _is_list(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(v, Mapping) and any(isinstance(v.get(n), list) for n in RATIONALES) for v in value)
    )


def is_annotators(row: Row, names: ColumnNames) -> bool:
    """Return whether a row has a list of annotators with a rationale each."""
    return _list_in(row, names) is not None


def read_annotators(path: Path, names: ColumnNames, told: Told) -> Found:
    """Read a file; what each annotator said is an answer."""
    return each_row(path, partial(_row, names=names, told=told), told)


def _row(row: Row, line: int, names: ColumnNames, told: Told) -> Iterator[Annotated]:
    text = row.get(names.text, row.get("tokens"))
    if text is None:
        raise missing(f"a field {names.text!r} or 'tokens' (--text names another)", sorted(row))
    listed = _list_in(row, names)
    people = row[listed] if listed else []
    told.left_out("texts without an annotator, read as unmarked", not people)
    text, words = _words(text)
    id = row.get(names.id) if names.id else first(row, ("id", "text_id"))
    more = query_and_split(row, names)
    for number, one in enumerate(people or [{}], start=1):
        who = first(one, (names.annotator, *PEOPLE) if names.annotator else PEOPLE)
        label = one.get(names.label, row.get(names.label))
        marks = _marks(first(one, RATIONALES), words)
        annotator = str(number if who is None else who) if people else None
        yield Annotated(line, text, label, id, annotator, marks, **more)


def _words(text: Any) -> tuple[Any, Spans]:
    """Return the text, of listed words with spaces between them, and where its words stand."""
    if isinstance(text, str):
        return text, cut_words(text, "whitespace")
    if not isinstance(text, list) or not all(isinstance(word, str) for word in text):
        raise InputError(Fault("a text, or a list of words", short_repr(text)))
    return joined(text)


def _marks(value: Any, words: Spans) -> tuple[Mark, ...]:
    if not _is_mask(value):
        return marks_of(value)
    if len(value) != len(words):
        raise InputError(Fault(f"a 0 or 1 for each of {len(words)} words", f"{len(value)} items"))
    return tuple(Mark(*at) for at, bit in zip(words, value, strict=True) if bit)


def _is_mask(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, int) and v in (0, 1) for v in value)

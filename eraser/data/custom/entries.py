"""A record → an entry: its text cut into words, what is marked among them, its label, query and split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from eraser.data.custom.options import ImportOptions
from eraser.data.custom.rows import InputRow
from eraser.data.custom.spans import MarkedText, RationaleForm, check_spans, from_characters, read_marks
from eraser.data.offsets import OffsetUnit, in_characters
from eraser.data.source import SPLITS
from eraser.errors import Fault, InputError, short_repr
from eraser.types import Mask
from eraser.words import WordCutter

SPLIT_NAMES = {split: split for split in SPLITS} | dict.fromkeys(("validation", "valid", "dev"), "val")
T = TypeVar("T")


@dataclass(frozen=True)
class Cutting:
    """What cuts texts into words, and into the words that rationales in tokens count; what to say of it."""

    words: WordCutter
    tokens: WordCutter
    notes: tuple[str, ...]


@dataclass(frozen=True)
class RowReading:
    """How all rows of a data set are read: what was asked for, and what was found out."""

    asked: ImportOptions
    form: RationaleForm
    cut: Cutting
    unit: OffsetUnit = "codepoints"
    note: str | None = None  # of the unit


@dataclass(frozen=True)
class Entry:
    """A valid row; `each` is a mask [W] per annotator, if they are known one by one."""

    id: str
    split: str
    label: str
    query: str
    marked: MarkedText
    record: InputRow
    each: tuple[Mask, ...] = field(default=(), compare=False)
    names: tuple[str, ...] = ()


def entry_of(record: InputRow, how: RowReading, faults: list[Fault]) -> Entry | None:
    """Return a row's entry, or None and its faults."""
    wrong: list[Fault] = []

    def tried(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except InputError as error:
            wrong.extend(error.faults)
            return None

    text = tried(lambda: record.string("text"))
    label = tried(record.label)
    query = "" if record.is_blank("query") else tried(lambda: record.string("query"))
    split = tried(lambda: _split_of(record))
    marked = tried(lambda: _marked(record, text, how))
    faults += wrong
    if text is None or label is None or query is None or split is None or marked is None:
        return None
    return Entry(record.id, split, label, query, marked, record)


def _split_of(record: InputRow) -> str:
    if "split" not in record.columns:
        return record.split
    if (found := SPLIT_NAMES.get(record.string("split").lower())) is None:
        raise record.placed(Fault(f"a split of {', '.join(SPLIT_NAMES)}", short_repr(record.fields["split"])))
    return found


def _marked(record: InputRow, text: str | None, how: RowReading) -> MarkedText | None:
    """Return what is marked in a row's text; None if nothing is, or the form is not known."""
    form: RationaleForm = "chars" if record.counts else how.form
    try:
        value = None if form in ("marks", "none") else record.rationale(quoted=form == "quotes")
        if text is None or form == "auto":
            check_spans(value, form)
            return None
        if form == "chars" and how.unit != "codepoints" and record.counts != "codepoints":
            value = _counted(text, value, how.unit)
        found = read_marks(text, value, form, how.asked.marks, how.cut.words, how.cut.tokens)
    except InputError as error:
        raise record.placed(*error.faults) from None
    if not len(found.gold):
        raise record.placed(Fault("a text with words beside its marks", short_repr(text)))
    return found


def _counted(text: str, value: Any, unit: OffsetUnit) -> Any:
    """Return spans of another unit as spans of code points."""
    check_spans(value, "chars")
    return [list(span) for span in in_characters(text, from_characters(value) or (), unit)]

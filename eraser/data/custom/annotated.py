"""A file, or an export of an annotation tool → records, their spans in characters and with their labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eraser.data.custom.options import ImportOptions
from eraser.data.custom.rows import Counted, InputRow, check_size, read_records
from eraser.data.forms.marks import Mark, Told, are_spans, marks_of, parsed
from eraser.data.forms.table import ANNOTATION_FORMS, TABLE, recognised
from eraser.errors import Fault, InputError, short_repr
from eraser.labels import join_labels
from eraser.progress import progress
from eraser.words import joined

NONE, MARKED = "none", "marked"  # classes of texts without spans, and with spans that have no label


@dataclass(frozen=True)
class Read:
    """Records of all files so far, the forms of the files, and what was left out."""

    records: list[InputRow] = field(default_factory=list)
    forms: Counter[str] = field(default_factory=Counter)
    told: Told = field(default_factory=Told)
    labels: Counter[str] = field(default_factory=Counter)  # of spans

    def notes(self, how: ImportOptions) -> Iterator[str]:
        """Yield notes on how the files were read."""
        yield from (f"form: {ANNOTATION_FORMS[name].about}" for name in self.forms if name != TABLE)
        if self.labels:
            counts = ", ".join(f"{label} {n}" for label, n in self.labels.most_common())
            chosen = "" if how.span_labels else " (--span-labels chooses)"
            yield f"labels of spans: {counts}{chosen}"
        yield from self.told.notes()

    def add(self, split: str, path: Path, how: ImportOptions, faults: list[Fault]) -> None:
        """Read a file; `faults` takes those of single rows.

        Raises:
            InputError: it cannot be read, or there is no such form.
        """
        if how.form not in ("auto", TABLE, *ANNOTATION_FORMS):
            raise InputError(
                Fault(f"a form of auto, {TABLE}, {', '.join(ANNOTATION_FORMS)}", short_repr(how.form))
            )
        name = recognised(path, how) if how.form == "auto" else how.form
        if path.is_dir() and (name == TABLE or not ANNOTATION_FORMS[name].of_folders):
            self._add_folder(split, path, how, faults)
        else:
            self._add_file(split, path, name, how, faults)

    def _add_folder(self, split: str, path: Path, how: ImportOptions, faults: list[Fault]) -> None:
        """Read the files of a folder, one per annotator; annotators and made ids are named by the file."""
        files = sorted(file for file in path.iterdir() if file.is_file() and file.name[0] != ".")
        if not files:
            raise InputError(Fault.of("a folder without files", path))
        for file in files:
            before = len(self.records)
            name = recognised(file, how) if how.form == "auto" else how.form
            self._add_file(split, file, name, how, faults)
            self.records[before:] = [
                replace(r, annotator=r.annotator or file.stem, id=r.id if r.has_id else f"{file.stem}-{r.id}")
                for r in self.records[before:]
            ]

    def _add_file(self, split: str, path: Path, name: str, how: ImportOptions, faults: list[Fault]) -> None:
        check_size(path)
        self.forms[name] += 1
        if name == TABLE:
            found = list(_spelled(read_records(split, path, how, faults, self.told.of_files), faults))
        else:
            found = list(_records(split, path, name, how, self.told, faults))
        self.records.extend(self._finished(record, how) for record in found)

    def _finished(self, record: InputRow, how: ImportOptions) -> InputRow:
        """Return a record with the spans that were chosen, and its label where spans or folders have it."""
        if record.marks is not None:
            self.labels.update(label for mark in record.marks for label in mark.labels)
            record = _with_marks(record, self._chosen(record.marks, how))
        if how.label_from == "field":
            return record
        label = record.file.resolve().parent.name if how.label_from == "folder" else _label_of_spans(record)
        columns = {**record.columns, "label": f"of {how.label_from}"}
        return replace(record, fields={**record.fields, "label": label}, columns=columns)

    def _chosen(self, marks: Sequence[Mark], how: ImportOptions) -> tuple[Mark, ...]:
        chosen = tuple(m for m in marks if not how.span_labels or set(m.labels) & set(how.span_labels))
        self.told.left_out("spans of other labels left out", len(marks) - len(chosen))
        return chosen


def _with_marks(record: InputRow, marks: tuple[Mark, ...]) -> InputRow:
    pairs = [[mark.start, mark.end] for mark in marks]
    return replace(record, marks=marks, fields={**record.fields, "rationale": pairs})


def _label_of_spans(record: InputRow) -> str:
    """Return the labels of a text's spans as its class."""
    if record.marks is None:
        return NONE if parsed(record.fields.get("rationale")) in (None, []) else MARKED
    labels = [label for mark in record.marks for label in mark.labels or (MARKED,)]
    return join_labels(sorted(labels)) or NONE


def _records(
    split: str, path: Path, form: str, how: ImportOptions, told: Told, faults: list[Fault]
) -> Iterator[InputRow]:
    """Yield the annotations of an export, one record per annotator and text."""
    names = {"text": how.columns.text, "label": how.columns.label, "id": how.columns.id or "id"}
    names |= {what: name for what in ("query", "split") if (name := getattr(how.columns, what))}
    number, before = 0, len(faults)
    for found in progress(ANNOTATION_FORMS[form].read(path, how.columns, told), f"read {path.name}", "rows"):
        if isinstance(found, Fault):
            faults.append(found)
            continue
        number += 1
        made = f"{split}-{number:05d}"
        has_id = found.id not in (None, "")
        fields: dict[str, Any] = {what: getattr(found, what) for what in names}
        record = InputRow(found.file or path, found.line, made, split, fields, names | {"rationale": "spans"})
        try:
            id = record.string("id") if has_id else made
        except InputError as error:
            faults += error.faults
            continue
        record = replace(record, annotator=found.annotator, marks=found.marks, counts=_counted(form, how))
        yield replace(record, id=id, has_id=has_id)
    if not number and len(faults) == before:
        raise InputError(
            Fault.of(f"no annotated text in the file, read as {ANNOTATION_FORMS[form].about}", path)
        )


def _counted(form: str, how: ImportOptions) -> Counted | None:
    """Return what the spans of an export count: characters, unless they are said to be words."""
    if ANNOTATION_FORMS[form].in_code_points:
        return "codepoints"
    return None if how.offsets == "tokens" or how.rationale_form == "tokens" else "characters"


def _spelled(records: Sequence[InputRow], faults: list[Fault]) -> Iterator[InputRow]:
    """Yield the rows of a table; spans with labels, objects and spans of listed words are read."""
    values = [_value(record) for record in records]
    spelled = any(map(are_spans, values))
    for record, value in zip(records, values, strict=True):
        try:
            if isinstance(record.fields["text"], list):
                yield _of_tokens(record, value)
            elif spelled and isinstance(value, list):
                yield replace(record, marks=marks_of(value))
            else:
                yield record
        except InputError as error:
            faults += record.placed(*error.faults).faults


def _value(record: InputRow) -> Any:
    try:
        return record.rationale(quoted=True)
    except InputError:
        return None


def _of_tokens(record: InputRow, value: Any) -> InputRow:
    """Return a row whose text is a list of words as one whose text is these, with spaces between them."""
    words = record.fields["text"]
    if wrong := [w for w in words if not isinstance(w, str)]:
        raise InputError(Fault(f"words in column {record.columns['text']!r}", short_repr(wrong[0])))
    text, at = joined(words)
    fields = {**record.fields, "text": text}
    if isinstance(value, list) and value and all(v in (0, 1) and not isinstance(v, str) for v in value):
        if len(value) != len(words):
            raise InputError(Fault(f"a 0 or 1 for each of {len(words)} words", f"{len(value)} items"))
        value = [[n, n + 1] for n, bit in enumerate(value) if bit]
    if value is None or not isinstance(value, list) or any(isinstance(v, str) for v in value):
        return replace(record, fields=fields)
    marks = tuple(_of_words(mark, at) for mark in marks_of(value))
    return replace(record, fields=fields, marks=marks, counts="codepoints")


def _of_words(mark: Mark, at: Sequence[tuple[int, int]]) -> Mark:
    """Return a span of words as one of characters."""
    if mark.end > len(at):
        raise InputError(Fault(f"[start, end) in words, end <= {len(at)}", f"[{mark.start}, {mark.end}]"))
    return replace(mark, start=at[mark.start][0], end=at[mark.end - 1][1])

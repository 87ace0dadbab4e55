"""Files of rows → records: fields by meaning, each with its file, line and id."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from eraser.data.custom.options import ColumnNames, ImportOptions
from eraser.data.custom.tables import LABELLED, Row, listed, rows_of
from eraser.data.forms.marks import Mark, is_listed
from eraser.data.kinds.literals import python_list
from eraser.errors import Fault, InputError, short_repr
from eraser.files.bounds import MAX_BYTES
from eraser.labels import SEVERAL, join_labels, plain_label
from eraser.progress import progress

Counted = Literal["characters", "codepoints"]
USUAL = ("rationales", "evidences", "evidence", "char_spans")  # columns, where there is none called rationale


@dataclass(frozen=True)
class InputRow:
    """One row: where it stands, its fields by what they are (text, label, …), and their columns.

    The id is the row's own, or made of its split (`row` in a file of all splits) and its number from 1.
    `annotator` is who marked the rationale, where that is told; `marks` are its spans with their labels,
    where it is given so, and `counts` is what they count, where that is known: characters of whatever unit,
    or code points. `has_id` says whether the id is the row's own, `is_wrong` that a fault was told of it.
    """

    file: Path
    line: int | None
    id: str
    split: str
    fields: Mapping[str, Any]
    columns: Mapping[str, str]
    annotator: str | None = None
    marks: tuple[Mark, ...] | None = None
    counts: Counted | None = None
    has_id: bool = False
    is_wrong: bool = False

    def placed(self, *faults: Fault) -> InputError:
        """Return the faults as those of this row."""
        return InputError(*(replace(f, file=self.file, line=self.line, id=self.id) for f in faults))

    def string(self, what: str) -> str:
        """Return a field as text: a number as JSON writes it, 1.0 as 1; a Boolean is True or False."""
        value = self.fields[what]
        if what != "text" and isinstance(value, bool):
            value = str(value)
        if what != "text" and isinstance(value, float) and value.is_integer():
            value = int(value)
        if what != "text" and isinstance(value, int):
            value = json.dumps(value)
        if not isinstance(value, str) or not value.strip():
            raise self.placed(
                Fault(f"a non-empty string in column {self.columns[what]!r}", short_repr(value))
            )
        self._check_unicode(what, value)
        return value if what == "text" else value.strip()  # a text's characters are counted

    def _check_unicode(self, what: str, value: str) -> None:
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise self.placed(
                Fault(f"no lone surrogates in column {self.columns[what]!r}", short_repr(value))
            )

    def label(self) -> str:
        """Return the label as text: several, a JSON list, joined by `|`; a number as it is, 1.0 as 1.

        An empty list, none of several, is the empty string.
        """
        value = self.fields["label"]
        if value is None and self.marks is not None:
            expected = "a class of the text (--label names its field, --label-from says where else it is)"
            raise self.placed(Fault(expected, "none"))
        if isinstance(value, list):
            return self._joined(value)
        if isinstance(value, float) and math.isfinite(value) and not value.is_integer():
            return str(value)
        return plain_label(self.string("label"))

    def _joined(self, labels: list[Any]) -> str:
        names = [plain_label(str(x)) if type(x) in (int, float, bool, str) else x for x in labels]
        if bad := [x for x in names if not isinstance(x, str) or not x.strip() or SEVERAL in x]:
            expected = f"labels that are strings without {SEVERAL} in column {self.columns['label']!r}"
            raise self.placed(Fault(expected, short_repr(bad[0])))
        joined = join_labels(x.strip() for x in names)
        self._check_unicode("label", joined)
        return joined

    def is_blank(self, what: str) -> bool:
        """Return whether a field is not there, or holds nothing."""
        value = self.fields.get(what)
        return value in (None, []) or (isinstance(value, str) and not value.strip())

    def rationale(self, quoted: bool = False) -> Any:
        """Return what the rationale's column holds, a string read as a list; None if nothing is marked.

        Of quotes, a string that is no list is one itself.
        """
        value = self.fields.get("rationale")
        if self.is_blank("rationale"):
            return None
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                if (found := python_list(value)) is None and not quoted:
                    raise self.placed(Fault("a rationale as a JSON list", short_repr(value))) from None
                value = value if found is None else found
        return None if value == [] else value


def read_records(
    split: str, path: Path, how: ImportOptions, faults: list[Fault], notes: list[str]
) -> list[InputRow]:
    """Return the rows of a file; `faults` takes those of single rows. A row without its id has a made one.

    `notes` takes what is told of the file.

    Where several columns have rationales, a row is a record for each that is not blank. Where none is called
    rationale, and one is wanted, it is one of USUAL that holds lists.

    Raises:
        InputError: the file cannot be read, has no rows, or wants a column; rationales may be in other files.
    """
    before, columns = len(faults), how.columns
    rows = _rows(path, how, faults, notes)
    if not rows and len(faults) == before:
        raise InputError(Fault.of("the file has no rows", path))
    there = {name for _, row in rows for name in row}
    several = _rationale_columns(columns, there)
    usual = next((n for n in USUAL if any(is_listed(row.get(n)) for _, row in rows)), None)
    if several:
        columns = replace(columns, rationale=several[0])
    elif (
        columns.rationale is None and "rationale" not in there and how.rationale_form not in ("marks", "none")
    ):
        columns = replace(columns, rationale=usual)
    optional = {"rationale"} if how.label_from == "field" else {"rationale", "label"}
    names = _columns_there(path, there, columns, optional) if rows else {}
    found = list[InputRow]()
    for number, (line, row) in enumerate(rows, start=1):
        fields = {what: row.get(name) for what, name in names.items()}
        record = InputRow(path, line, f"{split}-{number:05d}", split, fields, names)
        try:
            record = replace(record, id=record.string("id"), has_id=True) if "id" in names else record
            record = replace(record, annotator=_annotator(record))
        except InputError as error:
            faults += error.faults
            record = replace(record, is_wrong=True)
        found += _for_each(record, row, several) if several else [record]
    return found


def _annotator(record: InputRow) -> str | None:
    return None if record.is_blank("annotator") else record.string("annotator")


def _rationale_columns(columns: ColumnNames, there: Collection[str]) -> list[str]:
    """Return the columns of several annotators, where more than one is named."""
    name = columns.rationale or ""
    names = [n.strip() for n in name.split(",") if n.strip()]
    return names if name not in there and len(names) > 1 else []


def _for_each(record: InputRow, row: Mapping[str, Any], columns: list[str]) -> Iterator[InputRow]:
    """Yield a record for each annotator's column that is not blank; the row itself where all are."""
    each = [
        replace(
            record,
            fields={**record.fields, "rationale": row.get(name)},
            columns={**record.columns, "rationale": name},
            annotator=name,
        )
        for name in columns
        if row.get(name) is not None and row.get(name) != ""
    ]
    yield from each or [replace(record, fields={**record.fields, "rationale": None})]


def check_size(path: Path) -> None:
    """Refuse a file that is too large to be read whole."""
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise InputError(Fault.of(f"the file is larger than {MAX_BYTES} bytes", path))


def _rows(path: Path, how: ImportOptions, faults: list[Fault], notes: list[str]) -> list[Row]:
    """Return the rows of a file that is read whole; `faults` takes those of single rows."""
    if path.suffix.lower() not in LABELLED:
        raise InputError(Fault(f"a {listed(LABELLED)} file", short_repr(path.name), path))
    check_size(path)
    rows: list[Row] = []
    for row in progress(rows_of(path, how.files, notes), f"read {path.name}", "rows"):
        if isinstance(row, Fault):
            faults.append(row)
        else:
            rows.append(row)
    return rows


def _columns_there(
    path: Path, there: set[str], columns: ColumnNames, optional: Collection[str]
) -> dict[str, str]:
    named = {what: name for what, name in asdict(columns).items() if name is not None}
    if named["text"] not in there and named["text"] == "text" and "tokens" in there:
        named["text"] = "tokens"
    if missing := [n for what, n in named.items() if n not in there and what not in optional]:
        got = f"only {short_repr(sorted(there), 200)}"
        raise InputError(*(Fault(f"a column {name!r}", got, path) for name in missing))
    usual = {what: what for what in ("id", "rationale", "query", "annotator")}
    return {what: name for what, name in (usual | named).items() if name in there}

"""Files of rows → records: fields by what they are, each with its file, line and id."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from eraser.data.custom.tables import LABELLED, Row, listed, rows_of
from eraser.errors import Fault, InputError, short_repr
from eraser.files.bounds import MAX_BYTES
from eraser.labels import SEVERAL, join_labels
from eraser.progress import progress


@dataclass(frozen=True)
class ColumnNames:
    """What columns are called; None: id, rationale and query go by these names, and need not be there."""

    text: str = "text"
    label: str = "label"
    id: str | None = None
    rationale: str | None = None
    query: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class Record:
    """One row: where it stands, its fields by what they are (text, label, …), and their columns.

    The id is the row's own, or made of its split (`row` in a file of all splits) and its number from 1.
    """

    file: Path
    line: int
    id: str
    split: str
    fields: Mapping[str, Any]
    columns: Mapping[str, str]

    def placed(self, *faults: Fault) -> InputError:
        """Return the faults as those of this row."""
        return InputError(*(replace(f, file=self.file, line=self.line, id=self.id) for f in faults))

    def string(self, what: str) -> str:
        """Return a field as text, JSON's numbers and booleans as JSON writes them."""
        value = self.fields[what]
        if isinstance(value, int) and what != "text":
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
        if isinstance(value, list):
            return self._joined(value)
        if isinstance(value, float) and math.isfinite(value):
            return str(int(value) if value.is_integer() else value)
        return self.string("label")

    def _joined(self, labels: list[Any]) -> str:
        names = [str(x) if type(x) is int else x for x in labels]
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

    def rationale(self) -> Any:
        """Return what the rationale's column holds, a string read as JSON; None if nothing is marked."""
        value = self.fields.get("rationale")
        if self.is_blank("rationale"):
            return None
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise self.placed(Fault("a rationale as a JSON list", short_repr(value))) from None
        return None if value == [] else value


def read_records(split: str, path: Path, columns: ColumnNames, faults: list[Fault]) -> list[Record]:
    """Return the rows of a file; `faults` takes those of single rows. A row without its id has a made one.

    Raises:
        InputError: the file cannot be read, has no rows, or wants a column; rationales may be in other files.
    """
    before = len(faults)
    rows = _rows(path, faults)
    if not rows and len(faults) == before:
        raise InputError(Fault.of("the file has no rows", path))
    there = {name for _, row in rows for name in row}
    names = _columns_there(path, there, columns) if rows else {}
    found = []
    for number, (line, row) in enumerate(rows, start=1):
        fields = {what: row.get(name) for what, name in names.items()}
        record = Record(path, line, f"{split}-{number:05d}", split, fields, names)
        try:
            record = replace(record, id=record.string("id")) if "id" in names else record
        except InputError as error:
            faults += error.faults
        found.append(record)
    return found


def _rows(path: Path, faults: list[Fault]) -> list[Row]:
    """Return the rows of a file that is read whole; `faults` takes those of single rows."""
    if path.suffix.lower() not in LABELLED:
        raise InputError(Fault(f"a {listed(LABELLED)} file", short_repr(path.name), path))
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise InputError(Fault.of(f"the file is larger than {MAX_BYTES} bytes", path))
    rows: list[Row] = []
    for row in progress(rows_of(path), f"read {path.name}", "rows"):
        if isinstance(row, Fault):
            faults.append(row)
        else:
            rows.append(row)
    return rows


def _columns_there(path: Path, there: set[str], columns: ColumnNames) -> dict[str, str]:
    named = {what: name for what, name in asdict(columns).items() if name is not None}
    if missing := [n for what, n in named.items() if n not in there and what != "rationale"]:
        got = f"only {short_repr(sorted(there), 200)}"
        raise InputError(*(Fault(f"a column {name!r}", got, path) for name in missing))
    usual = {what: what for what in ("id", "rationale", "query")}
    return {what: name for what, name in (usual | named).items() if name in there}

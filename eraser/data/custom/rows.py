"""CSV, TSV and JSONL files → records: fields by what they are, each with its file, line and id."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from eraser.data.source import parse_json_lines
from eraser.errors import Fault, InputError, short_repr
from eraser.files.bounds import read_bytes
from eraser.labels import SEVERAL, join_labels

DELIMITERS = {".csv": ",", ".tsv": "\t"}
Row = tuple[int, dict[str, Any]]  # the line it starts on, and its fields by column


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


def _decoded(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8-sig")
    except OSError as error:
        raise InputError(Fault("a readable file", f"{error.strerror}", path)) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(Fault("UTF-8 text", str(error), path, line)) from None


def _csv_rows(path: Path, delimiter: str, faults: list[Fault]) -> list[Row]:
    """Return the rows under the header; the csv module, unlike pandas, says on which line a row is."""
    text, start = _decoded(path), 1
    found: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    usual = csv.field_size_limit(len(text) + 1)
    try:
        for fields in reader:
            if fields:
                found.append((start, fields))
            start = reader.line_num + 1
    except csv.Error as error:
        faults.append(Fault("fields in quotes as CSV has them", str(error), path, start))
    finally:
        csv.field_size_limit(usual)
    if not found:
        return []
    (line, header), *rows = found
    names = [name.strip() for name in header]
    if len(set(names)) < len(names):
        raise InputError(Fault("each column once", short_repr(names, 200), path, line))
    expected = f"{len(names)} fields, as the header has"
    faults += [Fault(expected, str(len(row)), path, n) for n, row in rows if len(row) != len(names)]
    return [(n, dict(zip(names, row, strict=True))) for n, row in rows if len(row) == len(names)]


def _json_rows(path: Path, faults: list[Fault]) -> list[Row]:
    found: list[Row] = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", _decoded(path)), start=1):
        try:
            found += [(number, record) for _, record in parse_json_lines(line, str(path))]
        except InputError as error:
            faults += [replace(fault, line=number) for fault in error.faults]
    return found


def read_records(split: str, path: Path, columns: ColumnNames, faults: list[Fault]) -> list[Record]:
    """Return the rows of a file; `faults` takes those of single rows. A row without its id has a made one.

    Raises:
        InputError: the file cannot be read, has no rows, or wants a column; rationales may be in other files.
    """
    kind, before = path.suffix.lower(), len(faults)
    if kind not in (*DELIMITERS, ".jsonl"):
        raise InputError(Fault("a .csv, .tsv or .jsonl file", short_repr(path.name), path))
    rows = _csv_rows(path, DELIMITERS[kind], faults) if kind in DELIMITERS else _json_rows(path, faults)
    if not rows and len(faults) == before:
        raise InputError(Fault("at least one row", "none", path))
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


def _columns_there(path: Path, there: set[str], columns: ColumnNames) -> dict[str, str]:
    named = {what: name for what, name in asdict(columns).items() if name is not None}
    if missing := [n for what, n in named.items() if n not in there and what != "rationale"]:
        got = f"only {short_repr(sorted(there), 200)}"
        raise InputError(*(Fault(f"a column {name!r}", got, path) for name in missing))
    usual = {what: what for what in ("id", "rationale", "query")}
    return {what: name for what, name in (usual | named).items() if name in there}

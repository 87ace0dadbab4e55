"""The table of the forms that exports come in. To add one: a module, and a line in FORMS.

A form knows its first rows, or its path where it is no file of rows, and reads a path into what annotators
said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from eraser.data.custom.options import ColumnNames
from eraser.data.custom.tables import LABELLED, Rows, TableOptions, rows_of
from eraser.data.forms.doccano import is_doccano, read_doccano
from eraser.data.forms.label_studio import is_min, is_tasks, read_min, read_tasks
from eraser.data.forms.marks import Found, Row, Told
from eraser.data.forms.prodigy import is_prodigy, read_prodigy
from eraser.errors import Fault, InputError

LOOKED_AT = 20  # rows, to tell the form of a file
TABLE = "table"  # none of the forms: a file of rows, whose columns are named


@dataclass(frozen=True)
class AnnotationForm:
    """How an export is read, and known: by its path, or by one of its first rows."""

    about: str
    read: Callable[[Path, ColumnNames, Told], Found]
    of_path: Callable[[Path], bool] | None = None
    of_row: Callable[[Row], bool] | None = None
    in_code_points: bool = False  # whatever the file counts, the reader knows it


FORMS: dict[str, AnnotationForm] = {
    "label-studio": AnnotationForm("Label Studio's JSON", read_tasks, of_row=is_tasks),
    "label-studio-min": AnnotationForm("Label Studio's JSON_MIN and CSV", read_min, of_row=is_min),
    "prodigy": AnnotationForm("Prodigy's JSONL", read_prodigy, of_row=is_prodigy),
    "doccano": AnnotationForm("doccano's JSONL", read_doccano, of_row=is_doccano),
}


def recognised(path: Path, how: TableOptions) -> str:
    """Return the name of a file's form, `table` where it is of none of them.

    Raises:
        InputError: the file cannot be read.
    """
    for name, form in FORMS.items():
        if form.of_path is not None and form.of_path(path):
            return name
    if path.suffix.lower() not in LABELLED:
        return TABLE
    rows = [row[1] for row in islice(_rows(path, how), LOOKED_AT) if not isinstance(row, Fault)]
    told = (n for n, form in FORMS.items() if form.of_row is not None and any(map(form.of_row, rows)))
    return next(told, TABLE)


def _rows(path: Path, how: TableOptions) -> Rows:
    """Yield rows up to where the file cannot be read: whoever reads it whole tells why."""
    try:
        yield from rows_of(path, how)
    except InputError:
        return

"""The table of the forms that exports come in. To add one: a module, and a line in ANNOTATION_FORMS.

A form knows its first rows, or its path where it is no file of rows, and reads a path into what annotators
said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from eraser.data.custom.options import ColumnNames, ImportOptions
from eraser.data.custom.tables import LABELLED, Rows, TableOptions, rows_of
from eraser.data.forms.annotator_lists import is_annotators, read_annotators
from eraser.data.forms.argilla import is_argilla, read_argilla
from eraser.data.forms.bio import is_bio, read_bio
from eraser.data.forms.brat import is_brat, read_brat
from eraser.data.forms.doccano import is_doccano, read_doccano
from eraser.data.forms.label_studio import is_min, is_tasks, read_min, read_tasks
from eraser.data.forms.marks import Found, Row, Told
from eraser.data.forms.prodigy import is_prodigy, read_prodigy
from eraser.data.forms.spacy import is_spacy, read_spacy
from eraser.data.forms.webanno import is_webanno, read_webanno
from eraser.errors import Fault, InputError

LOOKED_AT = 20  # rows, to tell the form of a file
TABLE = "table"  # none of the forms: a file of rows, whose columns are named


@dataclass(frozen=True)
class AnnotationForm:
    """How an export is read, and known: by its path, or by one of its first rows."""

    about: str
    read: Callable[[Path, ColumnNames, Told], Found]
    of_path: Callable[[Path], bool] | None = None
    of_row: Callable[[Row, ColumnNames], bool] | None = None
    in_code_points: bool = False  # whatever the file counts, the reader knows it
    of_folders: bool = False  # it reads a folder as a whole; of others each file is an annotator's
    is_general: bool = False  # many files look so: one with a column of rationales is a table all the same


ANNOTATION_FORMS: dict[str, AnnotationForm] = {
    "brat": AnnotationForm("brat's stand-off, a folder", read_brat, of_path=is_brat, of_folders=True),
    "webanno": AnnotationForm(
        "INCEpTION's WebAnno TSV 3", read_webanno, is_webanno, in_code_points=True, of_folders=True
    ),
    "bio": AnnotationForm("lines of tokens with BIO tags", read_bio, is_bio, in_code_points=True),
    "label-studio": AnnotationForm("Label Studio's JSON", read_tasks, of_row=is_tasks),
    "label-studio-min": AnnotationForm("Label Studio's JSON_MIN or CSV", read_min, of_row=is_min),
    "argilla": AnnotationForm("Argilla's records", read_argilla, of_row=is_argilla),
    "prodigy": AnnotationForm("Prodigy's JSONL", read_prodigy, of_row=is_prodigy),
    "annotators": AnnotationForm("a list of annotators in each row", read_annotators, of_row=is_annotators),
    "doccano": AnnotationForm("doccano's JSONL", read_doccano, of_row=is_doccano, is_general=True),
    "spacy": AnnotationForm("spaCy's JSONL", read_spacy, of_row=is_spacy, is_general=True),
}  # in the order that they are tried in


def recognised(path: Path, how: ImportOptions) -> str:
    """Return the name of a file's form, `table` where it is of none of them.

    Raises:
        InputError: the file cannot be read.
    """
    for name, form in ANNOTATION_FORMS.items():
        if form.of_path is not None and form.of_path(path):
            return name
    if path.suffix.lower() not in LABELLED:
        return TABLE
    rows = [row[1] for row in islice(_rows(path, how.files), LOOKED_AT) if not isinstance(row, Fault)]
    names = how.columns
    plain = any((names.rationale or "rationale") in row for row in rows)
    for name, form in ANNOTATION_FORMS.items():
        asked = form.of_row if not (form.is_general and plain) else None
        if asked is not None and any(asked(row, names) for row in rows):
            return name
    return TABLE


def _rows(path: Path, how: TableOptions) -> Rows:
    """Yield rows up to where the file cannot be read: whoever reads it whole tells why."""
    try:
        yield from rows_of(path, how)
    except InputError:
        return

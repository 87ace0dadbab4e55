"""brat's stand-off: a folder of texts NAME.txt, each with its annotations in NAME.ann.

https://brat.nlplab.org/standoff.html: a line `T1<TAB>Label 2 13<TAB>words` is a span, of several pieces where
`;` stands between them. Relations, events and attributes are counted and not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from eraser.data.custom.options import ColumnNames
from eraser.data.forms.marks import Annotated, Found, Mark, Told
from eraser.errors import Fault, InputError, short_repr
from eraser.files.bounds import read_bytes

SPAN = re.compile(r"T\S*\t(\S+) (\d{1,15} \d{1,15}(?:;\d{1,15} \d{1,15})*)(?:\t(.*))?")
KINDS = {"R": "relations", "E": "events", "A": "attributes", "M": "attributes", "N": "normalisations",
         "#": "notes", "*": "equivalences"}  # fmt: skip


def is_brat(path: Path) -> bool:
    """Return whether a folder, or one in it, has .ann files."""
    return path.is_dir() and next(path.rglob("*.ann"), None) is not None


def read_brat(path: Path, names: ColumnNames, told: Told) -> Found:
    """Read all texts of a folder, and of those in it; an id is the path inside the folder."""
    for file in sorted(path.rglob("*.ann")):
        try:
            text = _decoded(file.with_suffix(".txt"))
            marks = tuple(_marks(_decoded(file), file, told))
        except InputError as error:
            yield from error.faults
            continue
        id = file.relative_to(path).with_suffix("").as_posix()
        yield Annotated(None, text, None, id, marks=marks, file=file.with_suffix(".txt"))


def _decoded(file: Path) -> str:
    try:
        return read_bytes(file).decode("utf-8-sig")
    except OSError as error:
        raise InputError(Fault("a readable file", f"{error.strerror}", file)) from None
    except UnicodeDecodeError as error:
        raise InputError(Fault("UTF-8 text", str(error), file)) from None


def _marks(annotations: str, file: Path, told: Told) -> Iterator[Mark]:
    for number, line in enumerate(annotations.replace("\r\n", "\n").split("\n"), start=1):
        if not line.strip():
            continue
        if line[0] != "T":
            told.left_out(f"{KINDS.get(line[0], 'lines of another kind')} not read")
            continue
        if (found := SPAN.fullmatch(line)) is None:
            raise InputError(Fault("T1, a tab, a label and offsets", short_repr(line), file, number))
        pieces = [tuple(map(int, piece.split())) for piece in found[2].split(";")]
        for start, end in pieces:
            if start >= end:
                raise InputError(Fault("offsets with start < end", short_repr(line), file, number))
            yield Mark(start, end, (found[1],), found[3] if len(pieces) == 1 else None)

"""A data set's name and place → Dataset, whichever format it is in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from eraser.data.catalog import cached
from eraser.data.custom.options import ImportOptions
from eraser.data.custom.read import read_custom
from eraser.data.custom.tables import LABELLED, READERS, listed
from eraser.data.eraser_format import load_eraser
from eraser.data.hatexplain import is_hatexplain, load_hatexplain
from eraser.data.source import SPLITS, Source
from eraser.errors import Fault, InputError, short_repr
from eraser.types import Dataset

SAMPLE_NAME = "sample"
SAMPLE = Path(__file__).parent / SAMPLE_NAME
ENDING = re.compile(r"\.(tar(\.\w+)?|tgz|tbz2?|txz)$", re.IGNORECASE)  # of an archive
NO_RATIONALES = "no rationales: faithfulness is measured, agreement with annotators is left out"


def load(
    name: str | None = None,
    path: str | Path | None = None,
    splits: Iterable[str] | None = None,
    *,
    split: str = "test",
    how: ImportOptions | None = None,
) -> Dataset:
    """Load a data set: ERASER format, HateXplain's own two JSON files, or a table.

    Args:
        name: what to call it; default what its path says (see `named`), and without one the sample.
        path: folder or .tar.gz archive; or a CSV, TSV, Excel, JSON, JSONL or Parquet file with the columns
            text and label, and where annotators marked words rationale, as `rationale data import` reads it.
        splits: which splits; default all that are there.
        split: what a file's rows are read as, all of them.
        how: how a file is read.

    Raises:
        InputError: nothing of that name is downloaded, or what is there cannot be read; all faults at once.
    """
    called = named(name, path)
    if path is None:
        path = SAMPLE if called == SAMPLE_NAME else cached(called)
    path = Path(path)
    if is_table(path):
        return _only(_of_file(path, called, split, how or ImportOptions()), splits)
    if how is not None and how != ImportOptions():
        raise InputError(Fault.of("options of reading are for a file of rows; this is none", path))
    source = _opened(path)
    if is_hatexplain(source):
        return _only(load_hatexplain(source, called), splits)
    return load_eraser(source, called, splits)


def _opened(path: Path) -> Source:
    """Return a folder or an archive that can be read; a file of another kind is told what could be."""
    source = Source(path)
    try:
        is_hatexplain(source)
    except InputError:
        if ENDING.search(path.name):
            raise
        expected = f"a folder, a .tar.gz archive, or a {listed(LABELLED)} file (unpacked)"
        raise InputError(Fault(expected, short_repr(path.name), path)) from None
    return source


def is_table(path: str | Path) -> bool:
    """Return whether a path is a file of rows, and neither a folder nor an archive."""
    return Path(path).suffix.lower() in READERS and Path(path).is_file()


def named(name: str | None, path: str | Path | None) -> str:
    """Return a data set's name: the one given, else the folder's, file's or archive's without its ending.

    >>> named(None, "here/films.tar.gz"), named("own", "films.csv"), named(None, None)
    ('films', 'own', 'sample')
    """
    if name is not None:
        return name
    if path is None:
        return SAMPLE_NAME
    full = Path(os.path.abspath(path))  # `.` has a name, and a link keeps its own
    of_file = full.stem if full.suffix.lower() in READERS else ENDING.sub("", full.name)
    return of_file or full.name or "data"


def _of_file(path: Path, name: str, split: str, how: ImportOptions) -> Dataset:
    """Read a file of rows as one split."""
    if path.suffix.lower() not in LABELLED:
        expected = f"a {listed(LABELLED)} file with the columns text and label"
        raise InputError(Fault(expected, f"a {path.suffix} file, which has no labels", path))
    if split not in SPLITS:
        raise InputError(Fault(f"a split of {', '.join(SPLITS)} to read the file as", repr(split), path))
    found = read_custom(name, {split: path}, how, least_labels=1)
    bare = not any(e.gold for e in found.splits[split])
    return replace(found, source=str(path), notes=(*found.notes, *((NO_RATIONALES,) if bare else ())))


def _only(dataset: Dataset, splits: Iterable[str] | None) -> Dataset:
    wanted = tuple(splits or dataset.splits)
    if missing := sorted(set(wanted) - set(dataset.splits)):
        told = f"no examples in this split (there are {', '.join(dataset.splits)})"
        raise InputError(*(Fault.of(told, dataset.source, None, s) for s in missing))
    return replace(dataset, splits={s: dataset.splits[s] for s in wanted})

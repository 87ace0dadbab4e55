"""Data by name, by place, or from files of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from eraser import Dataset, Fault, InputError
from eraser.data.custom.options import ColumnNames, ImportOptions
from eraser.data.custom.read import WHOLE, read_custom
from eraser.data.custom.tables import LABELLED
from eraser.errors import short_repr
from eraser.load import load

COLUMNS = frozenset(f.name for f in fields(ColumnNames))
OPTIONS = frozenset(f.name for f in fields(ImportOptions)) - {"columns"}


def load_data(place: str | Path | Mapping[str, str | Path] = "sample", **how: Any) -> Dataset:
    """Load a data set by name, from a path, or from files of your own.

    Args:
        place: a name (`sample`, or one that was fetched); a folder or archive in ERASER or HateXplain format;
            a CSV, TSV, Excel, JSON, JSONL or Parquet file, which is divided into train, val and test
            (`evaluate` and `trust` read such a file whole, as the split they are asked for); or such a file
            for each split: {"test": "films.csv"}.
        how: of such files: the names of columns (`text`, `label`, `id`, `rationale`, `query`, `split`,
            `annotator`), and `rationale_form`, `marks`, `fractions`, `seed`, `words`, `form`, `offsets`,
            `span_labels`, `label_from`, `skip_invalid`, `encoding`, `separator`, see
            `eraser.data.custom.options.ImportOptions`; they are called as the options of `rationale data
            import`. With `form` the place may be a file or folder of any form that is read.

    Raises:
        InputError: it cannot be read; all faults at once.
    """
    known = sorted(COLUMNS | OPTIONS)
    if unknown := sorted(how.keys() - set(known)):
        raise InputError(*(Fault(f"an option of {', '.join(known)}", name) for name in unknown))
    files = _files(place, "form" in how)
    if files:
        columns = ColumnNames(**{name: how[name] for name in how.keys() & COLUMNS})
        options = ImportOptions(columns, **{name: how[name] for name in how.keys() & OPTIONS})
        least = 1 if len(files) == 1 and WHOLE not in files else 2  # one split is to measure a model
        return read_custom(next(iter(files.values())).stem, files, options, least)
    if how:
        raise InputError(Fault(f"no {', '.join(how)} for data that are not in such a file", str(place)))
    path = Path(str(place))
    if isinstance(place, Path) or path.exists():
        return load(None, path)
    return load(str(place))


def _files(place: str | Path | Mapping[str, str | Path], exported: bool) -> dict[str, Path]:
    """Return the user's own files by split; {} if the place is something else."""
    of_split = place if isinstance(place, Mapping) else {"": place}
    if wrong := [value for value in of_split.values() if not isinstance(value, str | Path)]:
        expected = "data by name, by path, or as a file for each split"
        raise InputError(*(Fault(expected, short_repr(value)) for value in wrong))
    paths = {split: Path(file) for split, file in of_split.items()}
    if isinstance(place, Mapping):
        return paths
    path = paths[""]
    return {WHOLE: path} if exported or (path.suffix.lower() in LABELLED and not path.is_dir()) else {}

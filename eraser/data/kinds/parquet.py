"""Parquet → rows, a batch of them held at a time."""

from __future__ import annotations

from pathlib import Path

from eraser.data.kinds.rows import Rows, TableOptions, refuse_text_options
from eraser.errors import Fault, InputError, first_line, short_repr
from eraser.files.bounds import regular
from eraser.files.unpacked import batches_of, names_in


def parquet_rows(path: Path, how: TableOptions, notes: list[str]) -> Rows:
    """Yield the rows of a file, numbered from 1."""
    import pyarrow as pa  # comes with the models: scoring needs none

    refuse_text_options(path, how)
    number = 0
    with regular(path) as file:
        try:
            if len(set(names := names_in(file))) < len(names):
                raise InputError(Fault("each column once", short_repr(names, 200), path))
            for batch in batches_of(file, path):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
        except InputError:
            raise
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:  # also a text of no UTF-8
            raise InputError(Fault("a readable Parquet file", first_line(error), path)) from None

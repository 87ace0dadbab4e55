"""Parquet → rows, a batch of them held at a time; a small file that unpacks to a giant one is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eraser.data.kinds.rows import Rows, TableOptions, refuse_text_options
from eraser.errors import Fault, InputError, first_line, short_repr
from eraser.files.bounds import regular

BATCH = 1024  # rows that are held at once
UNSUSPECTED = 2**28  # bytes of rows that any file may hold
MOST_PACKED = 200  # times its size may a file hold above that: texts are packed five to ten times
OF_A_ROW = 100  # bytes, at the least, and of an element of a list


def parquet_rows(path: Path, how: TableOptions, notes: list[str]) -> Rows:
    """Yield the rows of a file, numbered from 1."""
    import pyarrow as pa  # comes with the models: scoring needs none

    refuse_text_options(path, how)
    number, size, most = 0, 0, max(UNSUSPECTED, MOST_PACKED * path.stat().st_size)
    with regular(path) as file:
        try:
            table = _open(file)
            if len(set(names := table.schema_arrow.names)) < len(names):
                raise InputError(Fault("each column once", short_repr(names, 200), path))
            for batch in table.iter_batches(BATCH):
                size += OF_A_ROW * len(batch) + sum(map(_bytes_of, batch.columns))
                if size > most:
                    raise InputError(Fault.of(f"the file unpacks to more than {most} bytes", path))
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
        except (pa.ArrowException, OSError) as error:
            raise InputError(Fault("a readable Parquet file", first_line(error), path)) from None


def _open(file: Any) -> Any:
    """Return a file of which a text that stands there often is held once."""
    from pyarrow import parquet

    leaves = parquet.ParquetFile(file).schema
    columns = [leaves.column(i) for i in range(len(leaves))]
    texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
    return parquet.ParquetFile(file, page_checksum_verification=True, read_dictionary=texts)


def _bytes_of(column: Any) -> int:
    """Return the bytes of a column's values, each counted as often as it stands there."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(column.dictionary)
        return pc.sum(pc.take(lengths, column.indices)).as_py() or 0
    if pa.types.is_struct(kind):
        return sum(map(_bytes_of, column.flatten()))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return OF_A_ROW * len(inside := column.flatten()) + _bytes_of(inside)
    return int(column.nbytes)

"""Parquet files that unpack to giants: a value stands there once, and a number says how often."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eraser.errors import Fault, InputError

BATCH = 1024  # rows that are held at once
UNSUSPECTED = 2**28  # bytes of rows that any file may hold
MOST_PACKED = 200  # times its size may a file hold above that: texts are packed five to ten times
OF_A_ROW = 100  # bytes, at the least, and of an element of a list


def names_in(file: Any) -> list[str]:
    """Return the names of a Parquet file's columns."""
    from pyarrow import parquet

    names: list[str] = parquet.ParquetFile(file).schema_arrow.names
    return names


def batches_of(file: Any, path: Path) -> Iterator[Any]:
    """Yield the record batches of a Parquet file, in which a text that stands there often is held once.

    Raises:
        InputError: it is small, and unpacks to more than it can honestly hold.
        ArrowException: it is damaged.
    """
    from pyarrow import parquet  # comes with the models: scoring needs none

    size, most = 0, max(UNSUSPECTED, MOST_PACKED * path.stat().st_size)
    leaves = parquet.ParquetFile(file).schema
    columns = [leaves.column(i) for i in range(len(leaves))]
    texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
    opened = parquet.ParquetFile(file, page_checksum_verification=True, read_dictionary=texts)
    for batch in opened.iter_batches(BATCH):
        size += OF_A_ROW * len(batch) + sum(map(_bytes_of, batch.columns))
        if size > most:
            raise InputError(Fault.of(f"the file unpacks to more than {most} bytes", path))
        yield batch


def _bytes_of(column: Any) -> int:
    """Return the bytes of a column's values, each counted as often as it stands there."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _bytes_of(column.storage)
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(column.dictionary)
        return pc.sum(pc.take(lengths, column.indices)).as_py() or 0
    if pa.types.is_map(kind):
        inside = slice(column.offsets[0].as_py(), column.offsets[-1].as_py())
        both = (column.keys[inside], column.items[inside])
        return sum(OF_A_ROW * len(of_all) + _bytes_of(of_all) for of_all in both)
    if pa.types.is_struct(kind):
        return sum(map(_bytes_of, column.flatten()))
    if pa.types.is_nested(kind):
        return OF_A_ROW * len(inside := column.flatten()) + _bytes_of(inside)
    return int(column.nbytes)

"""per_example.parquet, times.parquet: what each example gave, a column for each metric, budget and method.

Written block by block and read column by column, so that neither examples nor columns are ever all in memory.
A value is the list of numbers whose means over examples the metric folds; null where it is undefined.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eraser import InputError
from eraser.errors import short_repr
from eraser.metrics.table import Measured, defined, rows_of
from eraser.types import Floats
from rationale.evaluation.stored.run_folder import unreadable

PER_EXAMPLE, TIMES = "per_example.parquet", "times.parquet"  # of a run's folder
EXAMPLE = "example"
BLOCK = 4096  # examples written together: each block of each column costs some hundred bytes
MOST_ROWS, MOST_VALUES = 10**7, 10**9  # that are read
MOST_THRIFT = 10**8  # bytes, and parts, of what a file says of itself
Key = tuple[str, str, str]  # (metric, budget, method)
ColumnMap = Mapping[Key, Measured]


@dataclass
class ColumnsWriter:
    """A file that takes the columns of examples, some after others."""

    path: Path
    _ids: list[str] = field(default_factory=list)
    _waiting: dict[Key, list[Floats]] = field(default_factory=dict)
    _file: pq.ParquetWriter | None = None

    def add(self, ids: Sequence[str], columns: ColumnMap) -> None:
        """Take the columns of these examples; the keys are the same each time."""
        self._ids += ids
        for key, of_key in columns.items():
            self._waiting.setdefault(key, []).append(rows_of(of_key))
        if len(self._ids) >= BLOCK:
            self._write()

    def __enter__(self) -> ColumnsWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        try:
            if kind is None and self._ids:
                self._write()
        finally:
            if self._file is not None:
                self._file.close()

    def _write(self) -> None:
        found = {" / ".join(key): _lists(blocks) for key, blocks in self._waiting.items()}
        table = pa.table({EXAMPLE: pa.array(self._ids, pa.string()), **found})
        if self._file is None:
            self._file = pq.ParquetWriter(self.path, table.schema, write_page_checksum=True)
        self._file.write_table(table)
        self._ids, self._waiting = [], {}


def _lists(blocks: Sequence[Floats]) -> pa.ListArray:
    """Return rows [N,K] of each block as lists; K may be wrong where no row is defined."""
    known = [defined(rows) for rows in blocks]
    values = [rows[k].ravel() for rows, k in zip(blocks, known, strict=True)]
    sizes = np.concatenate([k * rows.shape[1] for rows, k in zip(blocks, known, strict=True)])
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, np.concatenate(values), mask=pa.array(sizes == 0))


@dataclass(frozen=True)
class ColumnsFile(Mapping[Key, Floats]):
    """The columns of a file, each read when it is asked for: rows [N,K], NaN where undefined.

    Raises:
        InputError: it is no such file.
    """

    path: Path

    def __post_init__(self) -> None:
        if EXAMPLE not in self._names or not len(self) or any(len(key) != 3 for key in self):
            names = ", ".join(name[:60] for name in self._names[:3])
            raise self._broken(f"columns {names} … (evaluate again, into a new folder)")
        if len(set(self._names)) < len(self._names):
            raise self._broken("a column twice")
        if odd := [f.name for f in self._file.schema_arrow if not _is_as_written(f)]:
            raise self._broken(f"no lists of numbers in column {short_repr(odd[0])}")
        meta = self._file.metadata
        groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
        sizes = [group.column(i).num_values for group in groups for i in range(group.num_columns)]
        if meta.num_rows > MOST_ROWS or sum(sizes) > MOST_VALUES:
            raise self._broken(f"{meta.num_rows:,} rows and {sum(sizes):,} values: too many")

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The examples, in their order.

        Raises:
            InputError: an example has no id, or that of another.
        """
        found = tuple(self._column(EXAMPLE).to_pylist())
        if None in found or len(set(found)) < len(found):
            raise self._broken("examples without an id, or with one that another has")
        return found

    @cached_property
    def _file(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(
                self.path, page_checksum_verification=True,
                thrift_string_size_limit=MOST_THRIFT, thrift_container_size_limit=MOST_THRIFT,
            )  # fmt: skip
        except (pa.ArrowException, OSError) as error:
            raise self._broken(str(error)) from None

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(self._file.schema_arrow.names)

    def __iter__(self) -> Iterator[Key]:
        return (tuple(name.split(" / ", 2)) for name in self._names if name != EXAMPLE)  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self._names) - 1

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and " / ".join(key) in self._names

    def __getitem__(self, key: Key) -> Floats:
        name = " / ".join(key)
        if name not in self._names:
            raise KeyError(key)
        found = self._column(name)
        known, values = np.asarray(found.is_valid()), np.asarray(found.flatten(), dtype=np.float64)
        sizes = set(found.value_lengths().drop_null().to_pylist())
        if len(sizes) > 1 or 0 in sizes:
            raise self._broken(f"rows of several lengths in column {short_repr(name)}")
        rows = np.full((len(known), max(1, len(values) // max(1, known.sum()))), np.nan)
        rows[known] = values.reshape(-1, rows.shape[1])
        return rows

    def _column(self, name: str) -> pa.Array:
        try:
            table = self._file.read(columns=[name])
        except (pa.ArrowException, OSError) as error:
            raise self._broken(str(error)) from None
        return table[name].combine_chunks()

    def _broken(self, got: str) -> InputError:
        return unreadable(self.path, f"the {self.path.name} of a run", got)


def _is_as_written(column: pa.Field) -> bool:
    if column.name == EXAMPLE:
        return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))
    return bool(pa.types.is_list(column.type) and pa.types.is_floating(column.type.value_type))

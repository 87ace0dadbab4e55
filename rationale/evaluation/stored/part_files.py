"""Results on disk: a part is one method on one chunk of examples, one Parquet file.

Its name holds a hash of all it depends on (model, texts, settings), so an existing part is valid,
and an interrupted run computes only those that are missing. The name stands inside, too: a file that was
renamed or copied there is not trusted.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eraser.errors import first_line, short_repr
from eraser.files.unpacked import batches_of
from eraser.files.whole import write_whole
from rationale.evaluation.stored.run_folder import own_file, unreadable

PartRows = list[dict[str, Any]]
NAME = b"part"


def whole_part(folder: Path, name: str) -> pa.Table:
    """Return a part of a run whose folder is not trusted.

    Raises:
        InputError: it is not there, is a link or broken, or does not say inside what its name says.
    """
    path = own_file(folder, name)
    if path is None:
        raise unreadable(folder / name, "a part of the run", "none")
    try:
        for _ in batches_of(path, path):
            pass  # too large a one is refused before it is held
        table = pq.read_table(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, "a part of the run", first_line(error)) from None
    inside = (table.schema.metadata or {}).get(NAME)
    if inside != path.stem.encode():
        got = "no name" if inside is None else f"the name {short_repr(inside.decode('utf-8', 'replace'))}"
        raise unreadable(path, "a part that says inside what its name says", got)
    return table


def part(path: Path, compute: Callable[[], PartRows]) -> PartRows:
    """Return the part's rows: read if it is there and whole, else computed and written."""
    if path.exists():
        try:
            table = pq.read_table(path, page_checksum_verification=True)
            if (table.schema.metadata or {}).get(NAME) == path.stem.encode():
                rows: PartRows = table.to_pylist()
                return rows
        except (pa.ArrowException, OSError):  # cut short or changed from outside: compute it again
            pass
    rows = compute()
    table = pa.Table.from_pylist(rows).replace_schema_metadata({NAME: path.stem.encode()})
    write_whole(path, lambda p: pq.write_table(table, p, write_page_checksum=True))
    return rows

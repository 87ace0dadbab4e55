"""Tables → CSV in which a spreadsheet reads texts as texts, and back.

A cell that begins as a formula does is run when a spreadsheet opens the file. Such a text gets an apostrophe
before it, and one more where it has some already, so that reading gives back what was written.
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

# beginnings that spreadsheets run or skip; a sign alone is nothing to run
RUN = re.compile(r"(?:[\t\r\n]|[ ]*[=+\-@＝＋－＠]).", re.DOTALL)  # noqa: RUF001
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def quoted(text: str) -> str:
    """Return a text as it stands in a CSV file.

    >>> quoted("=1+1"), quoted("'=1+1"), quoted("-0.5"), quoted("-"), quoted("'tis")
    ("'=1+1", "''=1+1", '-0.5', '-', "'tis")
    """
    return f"'{text}" if _is_run(text.lstrip("'")) else text


def unquoted(cell: str) -> str:
    """Return the text that `quoted` made a cell of."""
    return cell[1:] if cell.startswith("'") and _is_run(cell.lstrip("'")) else cell


def as_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV, without its index; texts and column names quoted, numbers as they are."""
    cells = {
        i: column.map(_quoted)
        if column.dtype == object or isinstance(column.dtype, pd.StringDtype)
        else column
        for i, (_, column) in enumerate(table.items())
    }
    shown = pd.DataFrame(cells, index=table.index)
    return shown.to_csv(index=False, header=[quoted(str(name)) for name in table.columns])


def _is_run(text: str) -> bool:
    return RUN.match(text) is not None and NUMBER.fullmatch(text) is None


def _quoted(value: Any) -> Any:
    return quoted(value) if isinstance(value, str) else value

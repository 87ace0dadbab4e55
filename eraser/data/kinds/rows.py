"""What a reader of files takes and gives: how a file is to be read, its rows, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eraser.errors import Fault, InputError, short_repr

Row = tuple[int, dict[str, Any]]  # the line that it begins on, and its fields by column
Rows = Iterator[Row | Fault]
TEXT = "text"  # the column of a file that has none: a text on each line


@dataclass(frozen=True)
class TableOptions:
    """How files are read; None: what can be found out is.

    `encoding` is one that Python knows. `separator` is one character, or comma, semicolon, tab or pipe.
    """

    encoding: str | None = None
    separator: str | None = None


def refuse_text_options(path: Path, how: TableOptions) -> None:
    """Refuse an encoding or a separator for a file of neither."""
    for name, value in vars(how).items():
        if value is not None:
            raise InputError(Fault(f"no --{name} for a file that is no text", short_repr(value), path))

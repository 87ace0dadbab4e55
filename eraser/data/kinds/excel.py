"""The first sheet of an Excel workbook → rows, a row of the sheet at a time."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eraser.data.kinds.rows import Rows, TableOptions, refuse_text_options
from eraser.errors import Fault, InputError, first_line, short_repr
from eraser.files.bounds import regular

MAX_UNPACKED = 2**29  # bytes of a workbook: its strings are held together
MAX_ROWS = 2**20  # of a sheet, as Excel has them
MAX_CELLS = 2**26  # of its rows, the empty ones before others too: one far to the right is 40 bytes
RETURN = "_x000D_"  # how Excel writes a carriage return


def excel_rows(path: Path, how: TableOptions, notes: list[str]) -> Rows:
    """Yield the rows under the first sheet's first row that holds something, its header.

    A formula is the value that was last computed for it. Other sheets are named in a note.

    Raises:
        InputError: it is no workbook, or unpacks to more than is read.
    """
    refuse_text_options(path, how)
    with regular(path) as file:
        try:
            _refuse_bomb(path, zipfile.ZipFile(file))
            sheets, names = _open(file)
            if len(names) > 1:
                others = ", ".join(map(repr, names[1:]))
                notes.append(f"{path.name}: the sheet {names[0]!r} was read, and not {others}")
            yield from _rows(path, sheets)
        except (InputError, MemoryError, ModuleNotFoundError):
            raise
        except Exception as error:  # of whatever kind: the library trusts what it reads
            raise InputError(Fault("a readable Excel workbook", first_line(error), path)) from None


def _refuse_bomb(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse a workbook by the sizes it names: no more than these is ever unpacked of it."""
    if sum(member.file_size for member in archive.infolist()) > MAX_UNPACKED:
        raise InputError(Fault.of(f"the workbook unpacks to more than {MAX_UNPACKED} bytes", path))


def _open(file: Any) -> tuple[Iterator[Sequence[Any]], list[str]]:
    """Return the cells of the first sheet, row by row, and the names of all sheets."""
    import openpyxl  # here, as few files are workbooks

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and the like, which nobody reads
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
    sheets = book.worksheets
    if not sheets:
        raise ValueError("no sheet")
    sheets[0].reset_dimensions()  # a sheet may call itself wider than it is
    return sheets[0].iter_rows(), [sheet.title for sheet in sheets]


def _rows(path: Path, sheet: Iterator[Sequence[Any]]) -> Rows:
    names: list[str] = []
    read = 0
    for number, cells in enumerate(sheet, start=1):
        read += len(cells)
        if number > MAX_ROWS or read > MAX_CELLS:
            raise InputError(Fault.of(f"the sheet has more than {MAX_ROWS} rows or {MAX_CELLS} cells", path))
        values = [_value(cell) for cell in cells]
        if all(value is None for value in values):
            continue
        if not names:
            names = _header(values, path, number)
        else:
            yield _row(names, values, (path, number))


@dataclass(frozen=True)
class CellError:
    """What a formula that failed leaves in a cell: a fault for whoever reads it, and only for them."""

    code: str
    place: str

    def __repr__(self) -> str:
        """Return what to tell of it."""
        return f"the error {self.code} in cell {self.place}"


def _value(cell: Any) -> Any:
    """Return what a cell holds; None where it is empty."""
    value = cell.value
    if getattr(cell, "data_type", "") == "e":
        return CellError(str(value), cell.coordinate)
    return value.replace(RETURN, "\r") if isinstance(value, str) else value


def _header(values: list[Any], path: Path, line: int) -> list[str]:
    names = ["" if value is None else str(value).strip() for value in values]
    given = [name for name in names if name]
    if len(set(given)) < len(given):
        raise InputError(Fault("each column once", short_repr(given, 200), path, line))
    return names


def _row(names: list[str], values: list[Any], at: tuple[Path, int]) -> tuple[int, dict[str, Any]] | Fault:
    """Return a row's fields, or what is wrong: a cell without a column's name."""
    unnamed = [v for i, v in enumerate(values) if v is not None and (i >= len(names) or not names[i])]
    if unnamed:
        return Fault("cells under the header's names only", short_repr(unnamed[0]), *at)
    padded = [*values, *[None] * (len(names) - len(values))]
    return at[1], {name: value for name, value in zip(names, padded, strict=True) if name}

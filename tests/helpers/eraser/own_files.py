"""A user's own small files, written for a test."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eraser import Dataset, InputError
from eraser.data.custom.options import ImportOptions
from eraser.data.custom.read import read_custom

FILMS: list[dict[str, Any]] = [
    {"id": "a", "text": "A truly awful film.", "label": "NEG", "rationale": [[2, 13]]},
    {"id": "b", "text": "A warm film.", "label": "POS", "rationale": [[2, 6]]},
    {"id": "c", "text": "Ninety minutes.", "label": "POS", "rationale": []},
]


def changed(number: int, **changes: Any) -> list[dict[str, Any]]:
    """FILMS with some fields of one row changed."""
    return [row | (changes if n == number else {}) for n, row in enumerate(FILMS)]


def films(n: int, labels: str = "AB") -> list[dict[str, Any]]:
    return [{"text": f"film {i}", "label": labels[i % len(labels)]} for i in range(n)]


def save(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as their kind of file has them: in CSV and TSV a list is JSON in a string."""
    if path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        return path
    if path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
        return path
    if path.suffix == ".xlsx":
        cells = [{k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows]
        write_workbook(path, [list(rows[0]), *(list(row.values()) for row in cells)])
        return path
    if path.suffix == ".txt":
        path.write_text("".join(f"{row['text']}\n" for row in rows), encoding="utf-8")
        return path
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows({k: json.dumps(v) if isinstance(v, list) else v for k, v in r.items()} for r in rows)
    return path


def write_workbook(path: Path, *sheets: list[list[Any]]) -> Path:
    """Write the rows of each sheet; a test without the library that reads workbooks is skipped."""
    openpyxl = pytest.importorskip("openpyxl", reason="needs openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets, start=1):
        sheet = book.create_sheet(f"Sheet{number}")
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def gold(dataset: Dataset) -> dict[str, list[int]]:
    """The marked words of each example."""
    examples = (e for found in dataset.splits.values() for e in found)
    return {e.id: np.flatnonzero(dataset.truth(e).gold).tolist() for e in examples}


def refused(files: dict[str, Path], how: ImportOptions, *lines: str) -> None:
    """Reading is refused with just these lines; {} in one stands for the first file."""
    text = "\n".join(re.escape(line.replace("{}", str(next(iter(files.values()))))) for line in lines)
    with pytest.raises(InputError, match=rf"\A{text}\Z"):
        read_custom("own", files, how)

"""Exports of annotation tools, written for a test, and what is read of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from eraser import Dataset
from eraser.data.custom.options import ColumnNames, ImportOptions
from eraser.data.custom.read import read_custom

COLUMNS = ColumnNames.__dataclass_fields__


def write(path: Path, rows: list[Any]) -> Path:
    """Write rows as a JSON array, or as JSON lines."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text(
        "\n".join(lines) if path.suffix == ".jsonl" else f"[{', '.join(lines)}]", encoding="utf-8"
    )
    return path


def imported(path: Path, **how: Any) -> Dataset:
    """Read a path as the test split; names of columns and other options by keyword."""
    columns = ColumnNames(**{name: how.pop(name) for name in list(how) if name in COLUMNS})
    return read_custom("own", {"test": path}, ImportOptions(columns, **how))


def marked(dataset: Dataset) -> dict[str, tuple[str, str]]:
    """Return the label and the marked words of each example."""
    return {
        e.id: (e.label, " ".join(dataset.text(e).words[i] for i in np.flatnonzero(dataset.truth(e).gold)))
        for e in dataset.splits["test"]
    }


def each(dataset: Dataset) -> dict[str, dict[str, list[tuple[int, int]]]]:
    """Return the spans of words that each annotator marked in each example, by name."""
    return {
        e.id: {
            name: sorted((v.span.start, v.span.end) for v in spans)
            for name, spans in zip(e.annotator_names, e.annotators, strict=True)
        }
        for e in dataset.splits["test"]
    }

"""ERASER folders, written record by record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DOCS = {"d1": "A film .\nNot dull .\n", "d2": "Great fun !\n"}


def annotation(id: str = "e1", **fields: Any) -> dict[str, Any]:
    record = {
        "annotation_id": id,
        "classification": "POS",
        "docids": ["d1"],
        "evidences": [],
        "query": "Good ?",
    }
    return record | fields


def at(doc_id: str, start: Any, end: Any) -> dict[str, Any]:
    return {"docid": doc_id, "start_token": start, "end_token": end}


def json_lines(records: list[Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def make(root: Path, docs: dict[str, str] = DOCS, **splits: list[Any] | str | bytes) -> Path:
    """Write an ERASER folder, byte for byte what is given; a split is its records, or its text."""
    folder = root / "tiny"
    (folder / "docs").mkdir(parents=True)
    for doc_id, text in docs.items():
        (folder / "docs" / doc_id).write_bytes(text.encode())
    for split, lines in splits.items():
        text = json_lines(lines) if isinstance(lines, list) else lines
        (folder / f"{split}.jsonl").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder

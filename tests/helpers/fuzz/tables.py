"""Data sets and tables that can be read, to be spoilt."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz.spoil import damaged, lines_of, spoilt

TEXTS = {"a": "One fine film .\nTwo words", "b": "dull", "c": "x y  z\n\n \nlast"}


def evidence(doc_id, start, end):
    place = {"start_token": start, "end_token": end, "start_sentence": 0, "end_sentence": 1}
    return {"docid": doc_id, "text": "…", **place}


GOLD = [
    {"annotation_id": "a", "classification": "POS", "docids": ["a"], "query": "good ?",
     "evidences": [[evidence("a", 0, 2), evidence("a", 3, 6)], [evidence("a", 1, 1)]]},
    {"annotation_id": "b", "classification": "NEG", "query": None, "evidences": []},
    {"annotation_id": "bc", "classification": "NEG", "evidences": [[evidence("c", 2, 4)], None]},
]  # fmt: skip


def filled(folder: Path, files: dict[str, bytes]) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


ROWS = [
    {"id": "a", "text": "A truly awful film.", "label": "NEG", "rationale": [[2, 13]], "query": "q",
     "split": "train"},
    {"id": "b", "text": "A [[warm]] film.", "label": "POS", "rationale": [[2, 6]], "query": "",
     "split": "val"},
    {"id": "c", "text": "Ninety minutes!", "label": "POS", "rationale": [], "query": None, "split": "test"},
    {"id": "d", "text": "So so.", "label": "NEG", "rationale": [0, 1], "query": "q", "split": "dev"},
]  # fmt: skip


@st.composite
def tables(draw):
    """The suffix and the bytes of a file of rows."""
    rows = draw(spoilt(ROWS))
    suffix = draw(st.sampled_from((".jsonl", ".csv", ".tsv")))
    if suffix == ".jsonl" or not isinstance(rows, list):
        return suffix, draw(damaged(lines_of(rows))) if draw(st.integers(0, 3)) == 0 else lines_of(rows)
    rows = [row if isinstance(row, dict) else {"text": row} for row in rows]
    out = io.StringIO()
    delimiter = "," if suffix == ".csv" else "	"
    writer = csv.DictWriter(out, list(ROWS[0]), delimiter=delimiter, extrasaction="ignore")
    writer.writeheader()
    writer.writerows({k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows)
    data = out.getvalue().encode("utf-8", "surrogatepass")
    return suffix, draw(damaged(data)) if draw(st.booleans()) else data

"""Dataset → a folder in ERASER format, which appears whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from eraser.data.annotations import annotator_records, annotators_file
from eraser.data.official_records import gold_record
from eraser.data.texts import TEXTS, WORDS, text_records
from eraser.errors import Fault, InputError, short_repr
from eraser.files.owned import made_whole
from eraser.files.whole import write_whole
from eraser.types import Dataset

BY = "data import"


def refuse_taken(folder: Path, but: Collection[str] = ()) -> None:
    """Refuse a folder to write to that has anything in it, `but` some files.

    Raises:
        InputError: it has, or is a file, or is the current folder, which would be replaced under the shell.
    """
    if folder.resolve() == Path.cwd():
        raise InputError(Fault.of("the current folder cannot be the output folder; name another", folder))
    if folder.exists() and not folder.is_dir():
        raise InputError(Fault.of("a file of this name exists; name another folder", folder))
    if folder.is_dir() and (there := sorted(path.name for path in folder.iterdir() if path.name not in but)):
        raise InputError(
            Fault("a folder that is empty or not there", f"one with {short_repr(there)}", folder)
        )


def write_eraser(dataset: Dataset, folder: Path, of: Mapping[str, Any] | None = None) -> None:
    """Write docs.jsonl and a .jsonl file for each split; the folder appears whole or not at all.

    Where it is said what the data set was made `of`, its manifest says so (eraser/files/owned.py).

    Beside them, where annotators are told apart, stands what each marked (eraser/data/annotations.py), and
    where texts were given as such, what cut them, and those that are not their words between spaces
    (eraser/data/texts.py).

    Raises:
        InputError: something is there already, or it cannot be written.
    """
    refuse_taken(folder)
    records = _records(dataset)
    made: list[Path] = []

    def write(partial: Path) -> None:
        made.append(partial)
        partial.mkdir()
        for name, rows in records.items():
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (partial / name).write_text("".join(lines), encoding="utf-8")
        if dataset.cutter is not None:
            (partial / WORDS).write_text(json.dumps({"words": dataset.cutter}) + "\n", encoding="utf-8")
        if of is not None:
            made_whole(partial, BY, of)

    try:
        write_whole(folder.resolve(), write)
    finally:
        for partial in made:
            shutil.rmtree(partial, ignore_errors=True)


def _records(dataset: Dataset) -> dict[str, Iterable[Mapping[str, Any]]]:
    """Return the lines of each file."""
    words = {document.id: document.words for document in dataset.documents.values()}
    texts = {d.id: "\n".join(map(" ".join, d.sentences)) for d in dataset.documents.values()}
    records: dict[str, Iterable[Mapping[str, Any]]] = {
        "docs.jsonl": ({"docid": id, "document": text} for id, text in texts.items()),
        **{f"{s}.jsonl": [gold_record(e, words) for e in examples] for s, examples in dataset.splits.items()},
    }
    optional = {annotators_file(s): annotator_records(examples) for s, examples in dataset.splits.items()}
    optional[TEXTS] = text_records(dataset.documents.values())
    return records | {name: lines for name, found in optional.items() if (lines := list(found))}

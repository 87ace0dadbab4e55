"""The content of examples and files as a hash: equal hashes mean the same to any run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from eraser.files.owned import hash_of
from eraser.text import Text
from eraser.types import Dataset, Evidence, Example


def content_of_examples(dataset: Dataset, examples: Sequence[Example]) -> str:
    """Return a hash of examples: their texts, queries, labels, and all that annotators marked."""
    told = hashlib.sha256()
    for example in examples:
        each = (*_as_lists(example), *_of_text(dataset.text(example)))
        told.update(repr(each).encode("utf-8", "surrogatepass"))
    return told.hexdigest()


def content_at(path: Path) -> str:
    """Return a hash of a file, or of the names and contents of all files in a folder."""
    if not path.is_dir():
        return hash_of(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    lines = "".join(f"{file.relative_to(path)}\0{hash_of(file)}\n" for file in files)
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()


def _of_text(text: Text) -> Iterator[Any]:
    """Yield a text's words, and where they were cut from a text that is known, this and its sentences."""
    yield text.words
    if text.string is not None or text.first is not None:
        yield from (text.string, text.first, text.sentence_starts)


def _as_lists(example: Example) -> tuple[Any, ...]:
    """Return an example with its sets in an order that is always the same."""
    groups, people = sorted(map(_spans, example.gold)), [_spans(e) for e in example.annotators]
    return example.id, example.label, example.query, groups, people, sorted(example.tags)


def _spans(evidence: Iterable[Evidence]) -> list[tuple[str, int, int]]:
    return sorted((e.doc_id, e.span.start, e.span.end) for e in evidence)

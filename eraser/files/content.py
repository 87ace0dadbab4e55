"""What examples say, as a hash: two data sets of one hash are the same to any run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from eraser.types import Dataset, Evidence, Example


def content_of_examples(dataset: Dataset, examples: Sequence[Example]) -> str:
    """Return a hash of examples: their words, queries, labels, and all that people marked."""
    told = hashlib.sha256()
    for example in examples:
        each = (*_as_lists(example), dataset.text(example).words)
        told.update(repr(each).encode("utf-8", "surrogatepass"))
    return told.hexdigest()


def _as_lists(example: Example) -> tuple[Any, ...]:
    """Return an example with its sets in an order that is always the same."""
    groups, people = sorted(map(_spans, example.gold)), [_spans(e) for e in example.annotators]
    return example.id, example.label, example.query, groups, people, sorted(example.tags)


def _spans(evidence: Iterable[Evidence]) -> list[tuple[str, int, int]]:
    return sorted((e.doc_id, e.span.start, e.span.end) for e in evidence)

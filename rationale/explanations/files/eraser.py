"""Predictions in ERASER's official form: spans of words that were picked, and a soft score for each word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eraser.errors import Fault, InputError, short_repr
from eraser.official.reading import read_predictions
from eraser.official.records import HARD, SENTENCES, TOKENS, rationales_of
from eraser.types import Text
from rationale.explanations.collected import CollectOptions
from rationale.explanations.stored import ImportedMethod, WordExplanation, hash_of_words

OFFICIAL = frozenset({"annotation_id", "rationales"})


def read_eraser(path: Path, texts: Mapping[str, Text], name: str, how: CollectOptions) -> ImportedMethod:
    """Return the rationales of an official prediction file.

    Raises:
        InputError: a line is not a prediction, its text is not in the split, or its words differ.
    """
    rows, faults = read_predictions(path)
    found: list[WordExplanation] = []
    for line, row in rows:
        try:
            found.append(_example(path, line, row, texts))
        except InputError as error:
            faults += error.faults
    if faults and not (how.skip_invalid and found):
        raise InputError(*faults)
    notes = [*how.notes, *([f"{len(faults)} rows left out, the first: {faults[0]}"] if faults else [])]
    if any(SENTENCES.field in r for _, row in rows for r in rationales_of(row)):
        notes.append("its scores of sentences are left out")
    return ImportedMethod.of(name, found, tool=how.tool, notes=tuple(notes))


def _example(path: Path, line: int, row: dict[str, Any], texts: Mapping[str, Text]) -> WordExplanation:
    id = row.get("annotation_id")
    place: dict[str, Any] = {"file": path, "line": line, "id": None if id is None else str(id)}
    if id is None or (text := texts.get(str(id))) is None:
        raise InputError(Fault.of("the split has no example of this id", **place))
    n_words = len(text.words)
    scores, selected = np.full(n_words, np.nan), np.zeros(n_words, dtype=bool)
    parts = [(r, *_words_of(r, text, place)) for r in rationales_of(row)]
    for rationale, start, end in parts:
        for a, b in _hard(rationale, end - start, place):
            selected[start + a : start + b] = True
        if (soft := rationale.get(TOKENS.field)) is not None:
            scores[start:end] = _soft(soft, end - start, place)
    has_hard = any(r.get(HARD) is not None for r, _, _ in parts)
    has_soft = any(r.get(TOKENS.field) is not None for r, _, _ in parts)
    if not parts or not (has_hard or has_soft):
        raise InputError(Fault(f"{HARD} or {TOKENS.field}", "neither", **place))
    label = row.get("classification")
    return WordExplanation(
        str(id), hash_of_words(text.words), n_words, scores if has_soft else None,
        selected if has_hard else None, None if label is None else str(label),
    )  # fmt: skip


def _words_of(rationale: Mapping[str, Any], text: Text, place: Mapping[str, Any]) -> tuple[int, int]:
    """Return the words of a rationale's document [start, end) in the text."""
    document = str(rationale.get("docid"))
    if document not in text.doc_starts:
        raise InputError(Fault(f"a document of {', '.join(text.doc_starts)}", short_repr(document), **place))
    start = text.doc_starts[document]
    later = [other for other in text.doc_starts.values() if other > start]
    return start, min(later, default=len(text.words))


def _hard(rationale: Mapping[str, Any], n_words: int, place: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    for span in rationale.get(HARD) or ():
        of = span if isinstance(span, dict) else {}
        start, end = of.get(TOKENS.start), of.get(TOKENS.end)
        if not (type(start) is int and type(end) is int and 0 <= start < end <= n_words):
            raise InputError(Fault(f"spans of words from 0 to {n_words}", short_repr(span), **place))
        yield start, end


def _soft(values: Any, n_words: int, place: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        found = np.empty(0)
    if found.shape != (n_words,) or not np.isfinite(found).all():
        raise InputError(Fault(f"{n_words} finite numbers in {TOKENS.field}", short_repr(values), **place))
    return found

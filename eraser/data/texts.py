"""The original texts, in a file beside ERASER's, whose documents are words between spaces.

`texts.jsonl` has a line for each document that is not just its words with a space between any two;
`words.json` says what cut texts into words. Both are optional; readers of ERASER format ignore them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from eraser.data.source import Source, parse_json_lines
from eraser.errors import Fault, InputError, short_repr
from eraser.types import Document
from eraser.words import CUTTERS, WordCutter, find_words, joined

TEXTS, WORDS = "texts.jsonl", "words.json"


@dataclass(frozen=True)
class OwnText:
    """A line of texts.jsonl: a text, and the characters [start, end) of each word, not yet checked."""

    string: str
    spans: list[Any]
    place: str
    line: int

    @classmethod
    def of(cls, record: Mapping[str, Any], place: str, line: int) -> OwnText:
        """Read a line.

        Raises:
            InputError: a field is missing or of another kind.
        """
        string, spans = record.get("text"), record.get("words")
        if not isinstance(record.get("docid"), str) or not isinstance(string, str):
            raise InputError(Fault('"docid" and "text" strings', short_repr(record), place, line))
        if not isinstance(spans, list):
            expected = '"words", a list of [start, end)'
            raise InputError(Fault(expected, short_repr(spans), place, line, record["docid"]))
        return cls(string, spans, place, line)


def text_records(documents: Iterable[Document]) -> Iterator[dict[str, Any]]:
    """Yield the lines of texts.jsonl."""
    for d in documents:
        if d.string is not None and d.string != joined(d.words)[0]:
            yield {"docid": d.id, "text": d.string, "words": d.plain[1]}


def read_texts(source: Source, wanted: Iterable[str]) -> dict[str, OwnText]:
    """Return the texts of those of the wanted documents that have one."""
    if not source.has(TEXTS):
        return {}
    ids, place = set(wanted), source.place(TEXTS)
    found = ((OwnText.of(r, place, n), r["docid"]) for n, r in parse_json_lines(source.text(TEXTS), place))
    return {doc_id: own for own, doc_id in found if doc_id in ids}


def read_cutter(source: Source) -> WordCutter | None:
    """Return what cut a data set's texts into words; None if that is not known."""
    if not source.has(WORDS):
        return None
    try:
        found = json.loads(source.text(WORDS))
    except (ValueError, RecursionError) as error:
        raise InputError(Fault("JSON", str(error), source.place(WORDS))) from None
    how = found.get("words") if isinstance(found, dict) else None
    if not isinstance(how, str) or how not in CUTTERS:
        raise InputError(Fault(f'"words" of {", ".join(CUTTERS)}', short_repr(found), source.place(WORDS)))
    return how


def cut_note(cutter: WordCutter | None) -> tuple[str, ...]:
    """Return a run's note on how words were cut."""
    return () if cutter is None else (f"words: {cutter}",)


def with_text(document: Document, own: OwnText | None, cutter: WordCutter | None) -> Document:
    """Return a document with its own text; where texts were cut and it has none, it is its words.

    Raises:
        InputError: text, words and the words' characters do not fit each other.
    """
    if own is None:
        return document if cutter is None else replace(document, string=joined(document.words)[0])
    at: dict[str, Any] = {"file": own.place, "line": own.line, "id": document.id}
    if len(own.spans) != len(document.words):
        expected = f"[start, end) of each of {len(document.words)} words"
        raise InputError(Fault(expected, f"{len(own.spans)}", **at))
    found = find_words(own.string, document.words, **at)
    for word, span, given in zip(document.words, found, own.spans, strict=True):
        if given != list(span) or any(type(n) is not int for n in given):
            raise InputError(Fault(f"{list(span)} for the word {short_repr(word)}", short_repr(given), **at))
    return replace(document, string=own.string)

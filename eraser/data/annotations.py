"""A line of an ERASER split → Example: its fields checked one by one, then against its documents.

`SPLIT.annotators.jsonl` is optional, and other readers ignore it. It has a line for each example whose
annotators are known one by one: `annotation_id`, and `annotators`, a list of objects with a `name` and
`evidences`, what that annotator marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eraser.data.source import Source, parse_json_lines
from eraser.errors import Fault, InputError, short_repr
from eraser.types import PAIR, Document, Evidence, Example, Span


@dataclass(frozen=True)
class Annotation:
    """One line of a split, its fields checked one by one but not yet against the documents."""

    place: str
    line: int
    id: str
    label: str
    query: str | None
    doc_ids: tuple[str, ...]
    evidences: tuple[tuple[tuple[str, int, int], ...], ...]
    zero_length: int


def read_annotation(source: Source, record: dict[str, Any], place: str, line: int) -> Annotation:
    """Check the fields of a line whose annotation_id is a string."""
    id = record["annotation_id"]
    label, query = record.get("classification"), record.get("query")
    if not isinstance(label, str):
        raise InputError(Fault("a classification string", short_repr(label), place, line, id))
    for what in (id, label, query or ""):
        if isinstance(what, str) and not what.isascii() and not _is_unicode(what):
            raise InputError(Fault("text without lone surrogates", ascii(what), place, line, ascii(id)))
    if not isinstance(query, str | None):
        raise InputError(Fault("a query string or null", short_repr(query), place, line, id))
    groups = _read_groups(record.get("evidences") or [], place, line, id)
    kept = [tuple(s for s in g if s[1] != s[2]) for g in groups]
    empty = sum(map(len, groups)) - sum(map(len, kept))
    doc_ids = record.get("docids") or sorted({s[0] for g in groups for s in g})
    pair = [id + end for end in PAIR]
    if doc_ids and isinstance(doc_ids, list) and all(d in pair for d in doc_ids):
        doc_ids = pair  # e-SNLI names neither, and marks may be in one of them alone
    if not doc_ids and (source.has(f"docs/{id}") or source.has("docs.jsonl")):
        doc_ids = [id]  # e.g. movies' posR_161.txt, which has no evidence to name its document
    if not isinstance(doc_ids, list) or not doc_ids or not all(isinstance(d, str) for d in doc_ids):
        raise InputError(
            Fault("docids or evidence that names a document", short_repr(doc_ids), place, line, id)
        )
    return Annotation(
        place, line, id, label, query, tuple(dict.fromkeys(doc_ids)), tuple(g for g in kept if g), empty
    )


def wrong_id(record: Mapping[str, Any], place: str | Path, line: int) -> Fault:
    """Return the fault of a line whose annotation_id is none, or another line's."""
    id, expected = record.get("annotation_id"), "a new annotation_id string"
    if id is None and (there := [name for name in ("text", "label") if name in record]):
        remedy = "`rationale data import --train FILE --test FILE` makes a data set of such rows"
        return Fault(expected, f"a row with {' and '.join(there)}: {remedy}", place, line)
    return Fault(expected, short_repr(id), place, line)


def _read_groups(groups: Any, place: str, line: int, id: str) -> list[list[tuple[str, int, int]]]:
    if not isinstance(groups, list) or not all(isinstance(g, list | None) for g in groups):
        raise InputError(Fault("evidences as a list of lists", short_repr(groups), place, line, id))
    return [[_read_evidence(e, place, line, id) for e in g or []] for g in groups]


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _read_evidence(record: Any, place: str, line: int, id: str) -> tuple[str, int, int]:
    """Return (docid, start, end); start == end is legal in the wild and left to the caller."""
    if not isinstance(record, dict):
        raise InputError(Fault("an evidence object", short_repr(record), place, line, id))
    doc_id, start, end = (record.get(k) for k in ("docid", "start_token", "end_token"))
    if not (isinstance(doc_id, str) and type(start) is type(end) is int and 0 <= start <= end):
        got = short_repr({"docid": doc_id, "start_token": start, "end_token": end}, 100)
        raise InputError(Fault("a docid and 0 <= start_token <= end_token", got, place, line, id))
    return doc_id, start, end


def example_of(row: Annotation, documents: Mapping[str, Document], faults: list[Fault]) -> Example:
    """Return the example; `faults` takes evidence that is outside its documents."""
    groups = set()
    for group in row.evidences:
        evidence = set()
        for doc_id, start, end in group:
            n_words = len(documents[doc_id].words) if doc_id in documents else None
            if doc_id not in row.doc_ids:
                expected = f"evidence in one of its docids {list(row.doc_ids)}"
                faults.append(Fault(expected, short_repr(doc_id), row.place, row.line, row.id))
            elif n_words is not None and end > n_words:
                expected = f"a span inside {doc_id} ({n_words} words)"
                got = f"{start}:{end}"
                faults.append(Fault(expected, got, row.place, row.line, row.id, varies=doc_id))
            evidence.add(Evidence(doc_id, Span(start, end)))
        groups.add(frozenset(evidence))
    return Example(row.id, row.doc_ids, row.label, row.query, frozenset(groups))


def annotators_file(split: str) -> str:
    """Return the name of the file that says what each annotator of a split marked."""
    return f"{split}.annotators.jsonl"


def annotator_records(examples: Iterable[Example]) -> Iterator[dict[str, Any]]:
    """Yield the lines of that file."""
    for example in examples:
        names = example.annotator_names or ("",) * len(example.annotators)
        people = [
            {"name": name, "evidences": [_place(e) for e in sorted(marked)]}
            for name, marked in zip(names, example.annotators, strict=True)
        ]
        if people:
            yield {"annotation_id": example.id, "annotators": people}


def _place(evidence: Evidence) -> dict[str, Any]:
    start, end = evidence.span.start, evidence.span.end
    return {"docid": evidence.doc_id, "start_token": start, "end_token": end}


@dataclass(frozen=True)
class Annotators:
    """A line of SPLIT.annotators.jsonl, not yet checked against the documents."""

    names: tuple[str, ...]
    marked: tuple[tuple[tuple[str, int, int], ...], ...]
    place: str
    line: int

    @classmethod
    def of(cls, record: Mapping[str, Any], place: str, line: int) -> Annotators:
        """Read a line."""
        id, people = record.get("annotation_id"), record.get("annotators")
        if not isinstance(id, str) or not isinstance(people, list):
            raise InputError(Fault('"annotation_id" and "annotators"', short_repr(record), place, line))
        names, marked = [], []
        for one in people:
            if not isinstance(one, dict) or not isinstance(one.get("name"), str):
                raise InputError(Fault('an annotator with a "name"', short_repr(one), place, line, id))
            (evidence,) = _read_groups([one.get("evidences")], place, line, id)
            names.append(one["name"])
            marked.append(tuple(evidence))
        return cls(tuple(names), tuple(marked), place, line)


def read_annotators(source: Source, split: str) -> dict[str, Annotators]:
    """Return what is known of each example's annotators."""
    if not source.has(name := annotators_file(split)):
        return {}
    lines = parse_json_lines(source.text(name), place := source.place(name))
    return {record["annotation_id"]: Annotators.of(record, place, line) for line, record in lines}


def with_annotators(
    example: Example, annotators: Annotators | None, documents: Mapping[str, Document], faults: list[Fault]
) -> Example:
    """Return an example with its annotators; `faults` takes evidence that is outside its documents."""
    if annotators is None:
        return example
    marked = frozenset(span for one in annotators.marked for span in one)
    for doc_id, start, end in sorted(marked):
        n_words = len(documents[doc_id].words) if doc_id in documents and doc_id in example.doc_ids else 0
        if not start < end <= n_words:
            expected = f"a span inside {short_repr(doc_id)} ({n_words} words)"
            faults.append(Fault(expected, f"{start}:{end}", annotators.place, annotators.line, example.id))
            return example
    people = tuple(frozenset(Evidence(d, Span(a, b)) for d, a, b in one) for one in annotators.marked)
    names = annotators.names if any(annotators.names) else ()
    return replace(example, annotators=people, annotator_names=names)

"""ERASER-format folders and archives → Dataset.

Format: `<split>.jsonl` with one annotation to a line, documents in `docs/<docid>` or `docs.jsonl`
(https://github.com/jayded/eraserbenchmark, DeYoung et al. 2020).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from eraser.data.annotations import (
    Annotation,
    example_of,
    read_annotation,
    read_annotators,
    with_annotators,
    wrong_id,
)
from eraser.data.on_disk import is_large, load_large
from eraser.data.source import (
    SPLITS,
    Source,
    check_document,
    cut_sentences,
    cut_sentences_of_jsonl,
    parse_json_lines,
    with_strings,
)
from eraser.data.texts import cut_note, read_cutter, read_texts, with_text
from eraser.errors import Fault, InputError
from eraser.types import Dataset, Document, Example


def read_documents(source: Source, doc_ids: Iterable[str]) -> dict[str, Document]:
    """Return the named documents; one that is not there is a fault."""
    wanted = sorted(set(doc_ids))
    if source.has("docs.jsonl"):
        found = _documents_of_jsonl(source, wanted)
    else:
        found = {d: Document(d, cut_sentences(source.text(f"docs/{d}"))) for d in wanted}
    cutter, texts = read_cutter(source), read_texts(source, wanted)
    return {d: with_text(document, texts.get(d), cutter) for d, document in found.items()}


def _documents_of_jsonl(source: Source, wanted: list[str]) -> dict[str, Document]:
    place = source.place("docs.jsonl")
    texts: dict[str, str] = {}
    for number, record in parse_json_lines(source.text("docs.jsonl"), place):
        check_document(record, place, number)
        texts[record["docid"]] = record["document"]
    if missing := [d for d in wanted if d not in texts]:
        raise InputError(*(Fault.of("no line with this docid", place, None, d) for d in missing))
    return {d: Document(d, cut_sentences_of_jsonl(texts[d])) for d in wanted}


def load_eraser(source: Source, name: str, splits: Iterable[str] | None = None) -> Dataset:
    """Load an ERASER-format source, a large folder from disk as it is used; its faults are told at once."""
    wanted = tuple(splits or ())
    there = [s for s in wanted or SPLITS if source.has(f"{s}.jsonl")]
    if missing := set(wanted) - set(there):
        raise InputError(*(Fault.of("no such file", source.place(f"{s}.jsonl")) for s in sorted(missing)))
    if not there:
        raise InputError(
            Fault.of(
                "no train.jsonl, val.jsonl or test.jsonl (nor HateXplain's dataset.json); "
                "`rationale data import` makes such a folder of tables and annotation exports",
                source.path,
            )
        )
    if is_large(source, there):
        return load_large(source, name, there)
    faults: list[Fault] = []
    notes: list[str] = []
    records = {s: _read_annotations(source, s, faults) for s in there}
    doc_ids = {d for rows in records.values() for row in rows for d in row.doc_ids}
    documents = read_documents(source, doc_ids) if not faults else {}
    loaded = {s: _examples(source, s, rows, documents, faults) for s, rows in records.items()}
    if faults:
        raise InputError(*faults)
    for split, rows in records.items():
        if empty := sum(row.zero_length for row in rows):
            notes.append(f"{split}: {empty} zero-length evidence spans left out")
        if bare := sum(not row.evidences for row in rows):
            notes.append(f"{split}: {bare} examples without evidence")
    cutter = read_cutter(source)
    return Dataset(name, documents, loaded, (*notes, *cut_note(cutter)), str(source.path), cutter)


def _examples(
    source: Source, split: str, rows: list[Annotation], documents: dict[str, Document], faults: list[Fault]
) -> tuple[Example, ...]:
    annotators = read_annotators(source, split) if not faults else {}
    found = ((row.id, example_of(row, documents, faults)) for row in rows)
    return tuple(with_annotators(example, annotators.get(id), documents, faults) for id, example in found)


def _read_annotations(source: Source, split: str, faults: list[Fault]) -> list[Annotation]:
    place = source.place(f"{split}.jsonl")
    seen: set[str] = set()
    found = []
    for line, record in _annotations(source, split, faults):
        id = record.get("annotation_id")
        if not isinstance(id, str) or id in seen:
            faults.append(wrong_id(record, place, line))
            continue
        seen.add(id)
        try:
            found.append(read_annotation(source, record, place, line))
        except InputError as error:
            faults += error.faults
    return found


def _annotations(source: Source, split: str, faults: list[Fault]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the lines of a split down to the first that is not JSON, which is one fault among the others."""
    name = f"{split}.jsonl"
    try:
        for line, record in parse_json_lines(source.text(name), source.place(name)):
            yield line, with_strings(record)
    except InputError as error:
        faults += error.faults

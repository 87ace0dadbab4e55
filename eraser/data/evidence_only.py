"""A data set reduced to what annotators marked: what a model can learn without searching."""

from __future__ import annotations

from dataclasses import replace

from eraser.errors import Fault, InputError
from eraser.types import Dataset, Document, Evidence, Example, Span, runs


def evidence_only(dataset: Dataset) -> Dataset:
    """Return the examples with evidence, reduced to their marked words; a note per split counts the others.

    Each run of marked words is a sentence of the new text, and all of it is evidence.

    Raises:
        InputError: where no example of a split has evidence.
    """
    documents: dict[str, Document] = {}
    splits: dict[str, tuple[Example, ...]] = {}
    notes = list(dataset.notes)
    for split, examples in dataset.splits.items():
        marked = [e for e in examples if e.evidence]
        if examples and not marked:
            raise InputError(Fault.of(f"no example of {split} has evidence", dataset.source))
        if len(marked) < len(examples):
            notes.append(f"{split}: {len(examples) - len(marked)} texts without evidence left out")
        documents |= {e.id: _document(dataset, e) for e in marked}
        splits[split] = tuple(_example(e, documents[e.id]) for e in marked)
    return replace(dataset, documents=documents, splits=splits, notes=tuple(notes))


def _document(dataset: Dataset, example: Example) -> Document:
    text = dataset.text(example)
    marked = runs(dataset.truth(example).gold)
    sentences = tuple(text.words[span.start : span.end] for span in marked)
    if text.string is None and text.first is None:
        return Document(example.id, sentences)
    string, places = text.plain
    parts = (string[places[span.start][0] : places[span.end - 1][1]] for span in marked)
    return Document(example.id, sentences, " ".join(parts))


def _example(example: Example, document: Document) -> Example:
    everything = frozenset({Evidence(document.id, Span(0, len(document.words)))})
    bare = replace(example, annotators=(), annotator_names=())
    return replace(bare, doc_ids=(document.id,), gold=frozenset({everything}))

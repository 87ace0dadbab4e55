"""Dataset → tasks: each text as one string, and spans of characters that annotators, or a model, marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from eraser.data.export.suggestions import Suggested
from eraser.errors import Fault, InputError
from eraser.labels import SEVERAL, split_labels
from eraser.types import Dataset, Document, Evidence, Example, Span, mask_from_spans, runs
from eraser.words import Spans, cut_words, joined

EVIDENCE = "evidence"  # the label of every span
BETWEEN = "\n"  # sentences, and documents


@dataclass(frozen=True)
class Task:
    """A text for annotators; spans are [start, end) in characters (code points), end excluded.

    `annotators` has each one's name, if it is known, and spans, where they are told apart; `marks` are those
    of all of them, or of the model whose suggestion it is.
    """

    id: str
    text: str
    labels: tuple[str, ...]
    split: str
    query: str | None = None
    marks: Spans = ()
    annotators: tuple[tuple[str | None, Spans], ...] = ()

    @property
    def answers(self) -> tuple[tuple[str | None, Spans], ...]:
        """What each annotator marked; where they are not told apart, what all did."""
        return self.annotators or ((None, self.marks),)

    @property
    def more(self) -> dict[str, Any]:
        """The other fields of a text for tools that keep them."""
        return {"split": self.split, **({} if self.query is None else {"query": self.query})}


@dataclass(frozen=True)
class Tally:
    """Counts of what could not be written unchanged."""

    counts: Counter[str] = field(default_factory=Counter)

    def notes(self) -> list[str]:
        """Return a note for each kind."""
        return [f"{what}: {n}" for what, n in self.counts.items() if n]


def tasks_of(
    dataset: Dataset, splits: Iterable[str], tally: Tally, suggested: Mapping[str, Suggested] | None = None
) -> Iterator[Task]:
    """Yield a task for each example; with suggestions, for each that has one, with what the model said.

    Raises:
        InputError: a suggestion does not fit its text.
    """
    for split in splits:
        for example in dataset.splits[split]:
            if suggested is None:
                yield _task(dataset, split, example, tally)
            elif example.id in suggested:
                yield _of_model(dataset, split, example, suggested[example.id])
            else:
                tally.counts["texts left out, as the run does not cover them"] += 1


def _task(dataset: Dataset, split: str, example: Example, tally: Tally) -> Task:
    text, places = laid_out([dataset.documents[d] for d in example.doc_ids])
    mask = dataset.truth(example).gold
    people = [_marks(dataset, example, marked, places) for marked in example.annotators]
    gold = tuple(_characters(span, places) for span in runs(mask))
    apart = _union(dataset, example) == runs(mask)
    names = example.annotator_names or tuple(str(n) for n in range(1, len(people) + 1))
    tally.counts["texts of several documents, written as one"] += len(example.doc_ids) > 1
    tally.counts["texts whose groups of evidence are written as one"] += len(example.gold) > 1
    tally.counts["texts whose target communities are not written"] += bool(example.tags)
    tally.counts["texts whose annotators are not kept apart, as other words count"] += (
        bool(people) and not apart
    )
    tally.counts["texts whose words are cut at more than white space"] += dataset.cutter is None and (
        cut_words(text, "whitespace") != places
    )
    each = tuple((name or None, marks) for name, marks in zip(names, people, strict=True)) if apart else ()
    return Task(example.id, text, _labels(example.label), split, example.query or None, gold, each)


def _of_model(dataset: Dataset, split: str, example: Example, suggested: Suggested) -> Task:
    text, places = laid_out([dataset.documents[d] for d in example.doc_ids])
    words = dataset.text(example)
    for doc_id, start, end in suggested.spans:
        n_words = len(dataset.documents[doc_id].words) if doc_id in words.doc_starts else 0
        if not 0 <= start < end <= n_words:
            expected = f"words of {doc_id!r}, which has {n_words}"
            raise InputError(Fault(expected, f"[{start}, {end})", suggested.file, suggested.line, example.id))
    spans = tuple(Span(words.doc_starts[d] + a, words.doc_starts[d] + b) for d, a, b in suggested.spans)
    found = runs(mask_from_spans(spans, len(words.words)))
    marks = tuple(_characters(span, places) for span in found)
    return Task(example.id, text, _labels(suggested.label), split, example.query or None, marks)


def laid_out(documents: Iterable[Document]) -> tuple[str, Spans]:
    """Return documents as one string, and the characters of each word.

    A document that is given as words has its sentences on lines.
    """
    parts = [part for document in documents for part in _parts(document)]
    text, places = "", list[tuple[int, int]]()
    for number, (part, spans) in enumerate(parts):
        text += BETWEEN if number else ""
        places += [(len(text) + start, len(text) + end) for start, end in spans]
        text += part
    return text, tuple(places)


def _parts(document: Document) -> Iterator[tuple[str, Spans]]:
    if document.string is not None:
        yield document.plain
        return
    for sentence in document.sentences:
        yield joined(sentence)


def _marks(dataset: Dataset, example: Example, marked: frozenset[Evidence], places: Spans) -> Spans:
    text = dataset.text(example)
    mask = mask_from_spans(text.spans(marked), len(text.words))
    return tuple(_characters(span, places) for span in runs(mask))


def _union(dataset: Dataset, example: Example) -> tuple[Span, ...]:
    text = dataset.text(example)
    everything = frozenset(e for marked in example.annotators for e in marked)
    return runs(mask_from_spans(text.spans(everything), len(text.words)))


def _characters(span: Span, places: Spans) -> tuple[int, int]:
    """Return where a run of words begins and ends."""
    return places[span.start][0], places[span.end - 1][1]


def _labels(label: str) -> tuple[str, ...]:
    return split_labels(label) if SEVERAL in label or not label else (label,)

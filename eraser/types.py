"""Human rationales and model predictions, as values that never change.

Axes: W word of an example (all its documents after one another), D document, S sentence.
Spans are in words, end excluded. A mask's name says what True means: `gold`, `rationale`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eraser.errors import Fault, InputError
from eraser.words import Spans, WordCutter, cut_words, placed

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Kind = Literal["class", "labels", "value"]  # what a model answers: one class, a set of labels, a number


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Words `start` up to, not including, `end`."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a span needs 0 <= start < end, got start {self.start}, end {self.end}")

    def __len__(self) -> int:
        return self.end - self.start

    def overlap(self, other: Span) -> int:
        """Return the number of words in both."""
        return max(0, min(self.end, other.end) - max(self.start, other.start))

    def iou(self, other: Span) -> float:
        """Return words in both / words in either."""
        both = self.overlap(other)
        return both / (len(self) + len(other) - both)


def runs(mask: Mask) -> tuple[Span, ...]:
    """Return the runs of True in `mask` as spans, from left to right.

    >>> runs(np.array([True, True, False, True]))
    (Span(start=0, end=2), Span(start=3, end=4))
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return tuple(Span(int(a), int(b)) for a, b in edges.reshape(-1, 2))


def mask_from_spans(spans: tuple[Span, ...] | frozenset[Span], n_words: int) -> Mask:
    """Return the mask [W] that is True inside `spans`."""
    mask = np.zeros(n_words, dtype=bool)
    for span in spans:
        mask[span.start : span.end] = True
    return mask


@dataclass(frozen=True)
class Document:
    """A text as the data set cuts it: sentences of words.

    `string` is the text itself, where it is known; else its words, joined by spaces, are the text.
    """

    id: str
    sentences: tuple[tuple[str, ...], ...]
    string: str | None = None

    @cached_property
    def words(self) -> tuple[str, ...]:
        """All words in order."""
        return tuple(word for sentence in self.sentences for word in sentence)

    @cached_property
    def sentence_starts(self) -> tuple[int, ...]:
        """For each sentence the index of its first word."""
        lengths = [len(s) for s in self.sentences]
        return tuple(int(n) for n in np.cumsum([0, *lengths])[:-1])

    @property
    def plain(self) -> tuple[str, Spans]:
        """The text as one string, and the characters of each word."""
        return placed(self.string, self.words, id=self.id)


@dataclass(frozen=True, slots=True, order=True)
class Evidence:
    """A span of one document that a person marked."""

    doc_id: str
    span: Span


@dataclass(frozen=True)
class Example:
    """One question to the classifier, with the answer and the evidence annotators gave.

    `gold` is a set of groups, a group a set of evidence. `annotators` holds, where a data set gives
    them one by one, each person's own evidence, and `annotator_names` who they are, where that is known.
    `tags` are HateXplain's target communities.
    """

    id: str
    doc_ids: tuple[str, ...]
    label: str
    query: str | None = None
    gold: frozenset[frozenset[Evidence]] = frozenset()
    annotators: tuple[frozenset[Evidence], ...] = ()
    tags: frozenset[str] = frozenset()
    annotator_names: tuple[str, ...] = ()

    @property
    def evidence(self) -> frozenset[Evidence]:
        """The evidence of all groups."""
        return frozenset(e for group in self.gold for e in group)


@dataclass(frozen=True)
class Text:
    """The words of one example: its documents after one another, and where each begins.

    `string` is the text itself, where it is known; else its words, joined by spaces, are what a model reads.
    `file` and `line` are where it stands, where that is known.
    """

    example_id: str
    words: tuple[str, ...]
    doc_starts: Mapping[str, int]
    sentence_starts: tuple[int, ...]
    query: str | None = None
    string: str | None = None
    file: str | None = field(default=None, compare=False)
    line: int | None = field(default=None, compare=False)

    @classmethod
    def of(cls, example_id: str, string: str, how: WordCutter, query: str | None = None) -> Text:
        """Return a string as a text of one document."""
        words = tuple(string[start:end] for start, end in cut_words(string, how))
        return cls(example_id, words, {"text": 0}, (0,), query, string)

    def fault(self, expected: str, got: str) -> Fault:
        """Return a wrong value in this text, with its place as far as that is known."""
        return Fault(expected, got, *self._place)

    def problem(self, message: str) -> Fault:
        """Return a plain message about this text, with its place as far as that is known."""
        return Fault.of(message, *self._place)

    @property
    def _place(self) -> tuple[str | None, int | None, str | None]:
        id = None if self.example_id == str(self.line) else self.example_id  # a line's number is no id
        return self.file, self.line, id

    @property
    def plain(self) -> tuple[str, Spans]:
        """The text as one string, and the characters of each word."""
        return placed(self.string, self.words, file=self.file, line=self.line, id=self.example_id)

    def spans(self, evidence: frozenset[Evidence]) -> frozenset[Span]:
        """Return `evidence` as spans over this text's words."""
        starts = self.doc_starts
        return frozenset(
            Span(starts[e.doc_id] + e.span.start, starts[e.doc_id] + e.span.end) for e in evidence
        )


@dataclass(frozen=True)
class Truth:
    """The human label and rationale of one example, in words of its text."""

    label: str
    n_words: int
    spans: frozenset[Span]

    @cached_property
    def gold(self) -> Mask:
        """Mask [W]: True where a person marked the word."""
        return mask_from_spans(self.spans, self.n_words)


@dataclass(frozen=True)
class Ablation:
    """Class probabilities after removing, and after keeping only, that share of the words."""

    fraction: float
    without: Mapping[str, float]
    only: Mapping[str, float]


@dataclass(frozen=True)
class Bounds:
    """The lowest and highest AOPC that any ordering tried for one example and model reached."""

    comprehensiveness: tuple[float, float]
    sufficiency: tuple[float, float]


@dataclass(frozen=True)
class Prediction:
    """What a model said of one example: label, word scores [W], rationale [W], probabilities.

    `scores` is NaN where the model never read the word; such a word is never in `rationale`.
    `at_rationale` is what the model says without, and with only, the rationale itself.
    `leave_one_out` [W] is how much the model's answer falls without each word alone.
    Of a set of labels `label` is all of them, joined as in eraser/labels.py, and `probs` each one's own; of
    a number `label` is its text and `probs` it alone. Both name in `of` the answer that was explained.
    """

    example_id: str
    label: str
    probs: Mapping[str, float]
    scores: Floats
    rationale: Mask
    at_rationale: Ablation | None = None
    ablations: tuple[Ablation, ...] = ()
    leave_one_out: Floats | None = None
    bounds: Bounds | None = None
    kind: Kind = "class"
    of: str | None = None

    @property
    def subject(self) -> str:
        """The answer whose change faithfulness measures: of a class the predicted one."""
        return self.label if self.of is None else self.of


def _string_of(documents: Sequence[Document]) -> str | None:
    """Return the documents' own texts as one; None where all are given as words."""
    if all(document.string is None for document in documents):
        return None
    return " ".join(document.plain[0] for document in documents)


@dataclass(frozen=True)
class Dataset:
    """Documents, the examples of each split, and notes on what the loader left out and why.

    `cutter` is what cut the texts into words, where they were not given as words.
    """

    name: str
    documents: Mapping[str, Document]
    splits: Mapping[str, Sequence[Example]]
    notes: tuple[str, ...] = ()
    source: str = field(default="", compare=False)
    cutter: WordCutter | None = None

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """All labels, sorted."""
        return tuple(sorted({e.label for examples in self.splits.values() for e in examples}))

    @cached_property
    def query_matters(self) -> bool:
        """True when examples differ in their query: one that never varies tells a model nothing."""
        queries = (e.query for examples in self.splits.values() for e in examples if e.query)
        first = next(queries, None)
        return any(query != first for query in queries)

    def text(self, example: Example) -> Text:
        """Return the words of `example`, its documents in order; own texts of several, joined by spaces."""
        words: list[str] = []
        doc_starts: dict[str, int] = {}
        sentence_starts: list[int] = []
        documents = [self.documents[doc_id] for doc_id in example.doc_ids]
        for doc_id, document in zip(example.doc_ids, documents, strict=True):
            doc_starts[doc_id] = len(words)
            sentence_starts += [len(words) + start for start in document.sentence_starts]
            words += document.words
        query = example.query if self.query_matters else None
        string, place = _string_of(documents), self.source or None
        return Text(example.id, tuple(words), doc_starts, tuple(sentence_starts), query, string, place)

    def truth(self, example: Example) -> Truth:
        """Return the human label and rationale of `example`."""
        text = self.text(example)
        return Truth(example.label, len(text.words), text.spans(example.evidence))

    def examples(self, split: str) -> Sequence[Example]:
        """Return the examples of a split.

        Raises:
            InputError: it has none.
        """
        if not self.splits.get(split):
            expected = f"a split of {', '.join(s for s, e in self.splits.items() if e)} with examples"
            raise InputError(Fault(expected, repr(split), self.source))
        return self.splits[split]

    def votes(self, example: Example) -> Floats:
        """Return for each word [W] the mean of the annotators' marks, where they are kept one by one."""
        text = self.text(example)
        marks = [mask_from_spans(text.spans(a), len(text.words)) for a in example.annotators]
        return np.mean(marks, axis=0) if marks else np.full(len(text.words), np.nan)

    def human_share(self, split: str) -> float:
        """Return the mean share of gold words over the examples of `split` that have any."""
        marked = (t for t in map(self.truth, self.splits[split]) if t.spans)
        shares = np.fromiter((t.gold.mean() for t in marked), np.float64)
        return float(np.mean(shares)) if len(shares) else float("nan")

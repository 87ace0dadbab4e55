"""Human rationales and model predictions, as values that never change.

Axes: W word of an example (all its documents after one another), D document, S sentence.
Spans are in words, end excluded. A mask's name says what True means: `gold`, `rationale`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eraser.errors import Fault, InputError
from eraser.spans import Evidence as Evidence
from eraser.spans import Mask as Mask
from eraser.spans import Span as Span
from eraser.spans import mask_from_spans as mask_from_spans
from eraser.spans import runs as runs
from eraser.spans import sentences_with
from eraser.text import Text as Text
from eraser.words import Spans, WordCutter, placed

Floats = NDArray[np.float64]
PAIR = ("_premise", "_hypothesis")  # how the names of a pair's documents end, in ERASER's e-SNLI
Kind = Literal["class", "labels", "value"]  # what a model answers: one class, a set of labels, a number


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

    @property
    def is_pair(self) -> bool:
        """Whether its documents are a premise and a hypothesis, which a model reads as two texts."""
        ids = self.doc_ids
        return len(ids) == len(PAIR) and ids == tuple(ids[0].removesuffix(PAIR[0]) + end for end in PAIR)


@dataclass(frozen=True)
class GoldRationale:
    """The human label and rationale of one example, in words of its text.

    The first `unasked` words are a query's: nobody was asked to mark any, and agreement leaves them out.
    Sentences begin at the words `sentence_starts`.
    """

    label: str
    n_words: int
    spans: frozenset[Span]
    unasked: int = 0
    sentence_starts: tuple[int, ...] = ()

    @cached_property
    def gold(self) -> Mask:
        """Mask [W]: True where a person marked the word."""
        return mask_from_spans(self.spans, self.n_words)

    @property
    def gold_sentences(self) -> Mask:
        """Mask [S]: True where any word of the sentence is marked."""
        return sentences_with(self.gold, self.sentence_starts)

    def asked(self) -> GoldRationale:
        """Return the same of the documents alone, without a query's words."""
        if not (n := self.unasked):
            return self
        spans = frozenset(Span(span.start - n, span.end - n) for span in self.spans)
        starts = tuple(start - n for start in self.sentence_starts if start >= n)
        return replace(self, n_words=self.n_words - n, spans=spans, unasked=0, sentence_starts=starts)


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
    `leave_one_out` [W] is how much the model's answer falls without each word alone. `sentence_scores` [S]
    are there where whole sentences were picked.
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
    sentence_scores: Floats | None = None

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

    `cutter` is what cut the texts into words, where they were not given as words. Where `explains_queries`,
    the words of a query are words of the text as well.
    """

    name: str
    documents: Mapping[str, Document]
    splits: Mapping[str, Sequence[Example]]
    notes: tuple[str, ...] = ()
    source: str = field(default="", compare=False)
    cutter: WordCutter | None = None
    explains_queries: bool = False

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
        found = Text(example.id, tuple(words), doc_starts, tuple(sentence_starts), query, string, place)
        if example.is_pair:
            first, string = (document.string for document in documents)
            return replace(found, query=None, string=string, first=first, second=len(documents[0].words))
        return found.with_query(self.cutter or "whitespace") if self.explains_queries else found

    def truth(self, example: Example) -> GoldRationale:
        """Return the human label and rationale of `example`."""
        text = self.text(example)
        spans = text.spans(example.evidence)
        return GoldRationale(example.label, len(text.words), spans, text.unasked, text.sentence_starts)

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

    def human_share(self, split: str, of_sentences: bool = False) -> float:
        """Return the mean share of gold words, or sentences, over the examples of `split` that have any."""
        marked = (t for t in map(self.truth, self.splits[split]) if t.spans)
        gold = (t.gold_sentences if of_sentences else t.gold for t in map(GoldRationale.asked, marked))
        shares = np.fromiter((mask.mean() for mask in gold), np.float64)
        return float(np.mean(shares)) if len(shares) else float("nan")

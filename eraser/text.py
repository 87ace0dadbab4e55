"""The text that a model reads for one example: a document, several after one another, or a pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from eraser.errors import Fault
from eraser.spans import Evidence, Span
from eraser.words import Spans, WordCutter, cut_words, placed


@dataclass(frozen=True)
class Text:
    """The words of one example: its documents after one another, and where each begins.

    `string` is the text itself, where it is known; else its words, joined by spaces, are what a model reads.
    `query` is a first text without words of its own here: a model reads it, and it gets no scores. Of a pair
    whose texts are both explained, `second` is the first word of the second text, and `first` is to the words
    before it what `string` is to the others. `file` and `line` are where it stands, where that is known.
    """

    example_id: str
    words: tuple[str, ...]
    doc_starts: Mapping[str, int]
    sentence_starts: tuple[int, ...]
    query: str | None = None
    string: str | None = None
    file: str | None = field(default=None, compare=False)
    line: int | None = field(default=None, compare=False)
    first: str | None = None
    second: int | None = None

    @classmethod
    def of(
        cls, example_id: str, string: str, how: WordCutter, query: str | None = None, both: bool = False
    ) -> Text:
        """Return a string as a text of one document.

        Args:
            example_id: names the text in errors.
            string: the text.
            how: cuts it into words.
            query: a first text that the model reads before it.
            both: whether the words of the query are explained, too.
        """
        words = tuple(string[start:end] for start, end in cut_words(string, how))
        found = cls(example_id, words, {"text": 0}, (0,), query, string)
        return found.with_query(how) if both else found

    def with_query(self, how: WordCutter) -> Text:
        """Return the pair of query and text, both explained; the text alone where it has no query."""
        if self.query is None or not (places := cut_words(self.query, how)):
            return self
        before = len(places)
        return replace(
            self,
            words=(*(self.query[start:end] for start, end in places), *self.words),
            doc_starts={doc_id: before + start for doc_id, start in self.doc_starts.items()},
            sentence_starts=(0, *(before + start for start in self.sentence_starts)),
            query=None,
            first=self.query,
            second=before,
        )

    def unpaired(self) -> Text:
        """Return the second text of a pair with the first as its query; what is no pair, as it is."""
        if self.second is None:
            return self
        n, query = self.second, self.sides[0][0]
        return replace(
            self,
            words=self.words[n:],
            doc_starts={doc_id: start - n for doc_id, start in self.doc_starts.items() if start >= n},
            sentence_starts=tuple(start - n for start in self.sentence_starts if start >= n),
            query=query,
            first=None,
            second=None,
        )

    @property
    def unasked(self) -> int:
        """How many words stand before the first document: a query's, in which nobody could mark any."""
        return min(self.doc_starts.values(), default=0)

    @property
    def is_pair(self) -> bool:
        """Whether a model reads two texts."""
        return self.second is not None or bool(self.query and self.query.strip())

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

    @cached_property
    def sides(self) -> tuple[tuple[str, Spans], ...]:
        """Each text that is explained, one or the two of a pair, with the characters of its own words."""
        at: dict[str, Any] = {"file": self.file, "line": self.line, "id": self.example_id}
        own = placed(self.string, self.words[self.second or 0 :], **at)
        return (own,) if self.second is None else (placed(self.first, self.words[: self.second], **at), own)

    @property
    def plain(self) -> tuple[str, Spans]:
        """The text as one string, and the characters of each word; two texts have a line each."""
        (string, spans), *others = self.sides
        for other, places in others:
            string, before = f"{string}\n{other}", len(string) + 1
            spans += tuple((before + start, before + end) for start, end in places)
        return string, spans

    def spans(self, evidence: frozenset[Evidence]) -> frozenset[Span]:
        """Return `evidence` as spans over this text's words."""
        starts = self.doc_starts
        return frozenset(
            Span(starts[e.doc_id] + e.span.start, starts[e.doc_id] + e.span.end) for e in evidence
        )

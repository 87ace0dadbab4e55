"""Statistics of a data set, split by split: rows, labels, lengths, evidence, texts that splits share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from math import isnan
from typing import Any

import numpy as np
import pandas as pd

from eraser.labels import SEVERAL, split_labels
from eraser.types import Dataset, Example, mask_from_spans

MOST_LABELS = 20  # listed
Key = tuple[Hashable, ...]  # of an example's query and texts


@dataclass(frozen=True)
class SplitFacts:
    """What one split contains.

    Words are counted in documents, each once; `span_words` is a mean over spans; `human_share`, the share of
    the words that are marked, one over the rows with evidence. `annotators` are the fewest and the most of a
    row, 0 where they are not told apart. `also_in` counts the rows whose query and texts another split has.
    """

    rows: int
    labels: Mapping[str, int]
    documents: int
    words_mean: float
    words_max: int
    with_evidence: int
    evidence_spans: int
    span_words: float
    human_share: float
    annotators: tuple[int, int]
    also_in: Mapping[str, int]

    @property
    def record(self) -> dict[str, Any]:
        """The facts as JSON has them."""
        return {
            "examples": self.rows,
            "with_evidence": self.with_evidence,
            "evidence_spans": self.evidence_spans,
            "human_share": round(self.human_share, 4),
            "labels": dict(self.labels),
            "documents": self.documents,
            "words_mean": round(self.words_mean, 1),
            "words_max": self.words_max,
            "span_words": round(self.span_words, 2),
            "annotators": list(self.annotators),
            "also_in": dict(self.also_in),
        }

    def lines(self, shown: Callable[[float], str]) -> list[str]:
        """Return the facts as text: counts and share, then labels, then lengths; `shown` writes numbers."""
        counts = {"examples": self.rows, "with_evidence": self.with_evidence}
        counts |= {"evidence_spans": self.evidence_spans}
        return [
            "  ".join(f"{k} {v}" for k, v in counts.items()) + f"  human_share {shown(self.human_share)}",
            f"labels {self._labels}",
            f"documents {self.documents}  words mean {shown(self.words_mean)}, at most {self.words_max}  "
            f"span_words {shown(self.span_words)}  annotators {self._annotators}  also_in {self._also_in}",
        ]

    def cells(self, shown: Callable[[float], str]) -> dict[str, str]:
        """Return the facts as the cells of a table."""
        means = (self.words_mean, self.span_words, self.human_share)
        words, of_span, share = ("–" if isnan(mean) else shown(mean) for mean in means)
        return {
            "rows": f"{self.rows:,}",
            "labels": self._labels,
            "documents": f"{self.documents:,}",
            "words, mean": words,
            "words, most": f"{self.words_max:,}",
            "rows with evidence": f"{self.with_evidence:,}",
            "spans": f"{self.evidence_spans:,}",
            "words of a span": of_span,
            "share of marked words": share,
            "annotators": self._annotators,
            "rows also in": self._also_in,
        }

    @property
    def _labels(self) -> str:
        more = f", and {len(self.labels) - MOST_LABELS} more" if len(self.labels) > MOST_LABELS else ""
        return ", ".join(f"{k} {n}" for k, n in list(self.labels.items())[:MOST_LABELS]) + more

    @property
    def _annotators(self) -> str:
        fewest, most = self.annotators
        if most == 0:
            return "not told apart"
        return f"{most}" if fewest == most else f"{fewest} to {most}"

    @property
    def _also_in(self) -> str:
        return ", ".join(f"{split} {n}" for split, n in self.also_in.items() if n) or "none"


def describe(dataset: Dataset) -> dict[str, SplitFacts]:
    """Return the facts of each split."""
    read = {split: _Read(dataset) for split in dataset.splits}
    for split, examples in dataset.splits.items():
        for example in examples:
            read[split].add(example)
    return {split: of.facts({s: o.keys for s, o in read.items() if s != split}) for split, of in read.items()}


def table_of(found: Mapping[str, SplitFacts], shown: Callable[[float], str]) -> pd.DataFrame:
    """Return the facts as a table of text, one row a split."""
    return pd.DataFrame([{"split": split, **facts.cells(shown)} for split, facts in found.items()])


class _Read:
    """Counts of a split, example by example; memory holds only numbers."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.several = any(SEVERAL in label for label in dataset.labels)
        self.labels: Counter[str] = Counter()
        self.lengths: dict[str, int] = {}  # words of each document
        self.texts: dict[str, bytes] = {}  # a hash of each document
        self.keys: Counter[Key] = Counter()
        self.shares: list[float] = []
        self.spans: list[int] = []
        self.annotators: set[int] = set()

    def add(self, example: Example) -> None:
        """Count one more example."""
        self.labels.update(split_labels(example.label) if self.several else (example.label,))
        for doc_id in example.doc_ids:
            if doc_id not in self.lengths:
                self._add_document(doc_id)
        self.keys[(example.query or "", *(self.texts[d] for d in example.doc_ids))] += 1
        self.spans += [len(e.span) for e in example.evidence]
        self.annotators.add(len(example.annotators))
        if example.gold:
            self.shares.append(self._share(example))

    def _add_document(self, doc_id: str) -> None:
        words = self.dataset.documents[doc_id].words
        self.lengths[doc_id] = len(words)
        self.texts[doc_id] = blake2b(
            "\n".join(words).encode("utf-8", "surrogatepass"), digest_size=16
        ).digest()

    def _share(self, example: Example) -> float:
        """Return the share of an example's words that are in its evidence."""
        marked = 0
        for doc_id in example.doc_ids:
            spans = frozenset(e.span for e in example.evidence if e.doc_id == doc_id)
            marked += int(mask_from_spans(spans, self.lengths[doc_id]).sum())
        return marked / sum(self.lengths[d] for d in example.doc_ids)

    def facts(self, others: Mapping[str, Mapping[Key, int]]) -> SplitFacts:
        """Return what was counted, `others` being what the other splits hold."""
        lengths = list(self.lengths.values())
        return SplitFacts(
            rows=self.keys.total(),
            labels=dict(sorted(self.labels.items())),
            documents=len(lengths),
            words_mean=_mean(lengths),
            words_max=max(lengths, default=0),
            with_evidence=len(self.shares),
            evidence_spans=len(self.spans),
            span_words=_mean(self.spans),
            human_share=_mean(self.shares),
            annotators=(min(self.annotators, default=0), max(self.annotators, default=0)),
            also_in={s: sum(n for k, n in self.keys.items() if k in keys) for s, keys in others.items()},
        )


def _mean(values: list[int] | list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")

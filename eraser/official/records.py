"""The official formats in memory: names of fields, the scorer's options, gold and predictions.

Formats: https://github.com/jayded/eraserbenchmark, `rationale_benchmark/utils.py`, and the help text of
`rationale_benchmark/metrics.py` (DeYoung et al. 2020). Parsed JSON stays a dictionary here, as in that code:
the quirks hang on which keys are there. `reading.py` reads files, `check.py` says what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Literal

from eraser.errors import Fault, InputError, short_repr

Record = dict[str, Any]
Numbered = tuple[int, Record]

LABEL = "classification"
SCORES = "classification_scores"
COMP = "comprehensiveness_classification_scores"
SUFF = "sufficiency_classification_scores"
THRESHOLDED = "thresholded_scores"
FLIP = "tokens_to_flip"
HARD = "hard_rationale_predictions"


@dataclass(frozen=True, slots=True)
class Granularity:
    """What soft scores are given for: its name, the field of the scores, the two fields of gold."""

    name: str
    field: str
    start: str
    end: str

    def count(self, sentence_lengths: Sequence[int]) -> int:
        """Return how many a document of these sentences has."""
        return sum(sentence_lengths) if self.name == "token" else len(sentence_lengths)

    def gold(self, evidence: Record) -> tuple[Any, Any]:
        """Return where a piece of evidence starts and ends; what is not given is -1."""
        return evidence.get(self.start, -1), evidence.get(self.end, -1)


TOKENS = Granularity("token", "soft_rationale_predictions", "start_token", "end_token")
SENTENCES = Granularity("sentence", "soft_sentence_predictions", "start_sentence", "end_sentence")


@dataclass(frozen=True)
class ScorerOptions:
    """The official command line's options, HateXplain's extra label, and whose libraries to agree with.

    `pinned` are the versions in ERASER's requirements.txt (scikit-learn 0.20), `modern` today's.
    `labels` are what the numbers are of where a file has scores as lists.
    """

    iou_thresholds: Sequence[float] = (0.5,)
    aopc_thresholds: Sequence[float] = (0.01, 0.05, 0.1, 0.2, 0.5)
    strict: bool = False
    extra_labels: Sequence[str] = ()
    libraries: Literal["modern", "pinned"] = "modern"
    labels: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.iou_thresholds or not self.aopc_thresholds:
            raise InputError(Fault.of("at least one IOU and one AOPC threshold is needed"))
        if self.libraries not in ("modern", "pinned"):
            raise InputError(Fault("libraries modern or pinned", short_repr(self.libraries)))
        if len(set(self.labels)) < len(self.labels):
            raise InputError(Fault("labels that differ", short_repr(list(self.labels))))


@dataclass(frozen=True, slots=True)
class RecordLocation:
    """Where a record stands, to name it in a fault."""

    file: str
    line: int
    id: str | None

    @classmethod
    def of(cls, record: Record, file: str, line: int) -> RecordLocation:
        """Return the place of a record."""
        id = record.get("annotation_id")
        return cls(file, line, None if id is None else str(id))

    def fault(self, expected: str, got: str, doc_id: str | None = None) -> Fault:
        """Return a wrong value in this record; `doc_id` is a document that `expected` names."""
        return Fault(expected, got, self.file, self.line, self.id, varies=doc_id)

    def problem(self, message: str) -> Fault:
        """Return a plain message about this record."""
        return Fault.of(message, self.file, self.line, self.id)


@dataclass(frozen=True)
class ScorerInputs:
    """Parsed input: gold in file order, sentence lengths by docid, predictions with their line numbers.

    Records have the official files' keys. Soft scores may be lists or arrays.
    """

    gold: Sequence[Record]
    lengths: Mapping[str, Sequence[int]]
    predictions: Sequence[Numbered]
    gold_file: str = "gold"
    predictions_file: str = "predictions"

    @cached_property
    def placed_gold(self) -> list[tuple[RecordLocation, Record]]:
        """Each annotation with its place."""
        return [(RecordLocation.of(a, self.gold_file, line), a) for line, a in enumerate(self.gold, start=1)]

    @cached_property
    def placed_predictions(self) -> list[tuple[RecordLocation, Record]]:
        """Each prediction with its place."""
        return [(RecordLocation.of(p, self.predictions_file, line), p) for line, p in self.predictions]

    @cached_property
    def by_id(self) -> dict[object, tuple[RecordLocation, Record]]:
        """The same by annotation_id, those without one that can be looked up left out."""
        ids = ((p.get("annotation_id", []), at, p) for at, p in self.placed_predictions)
        return {id: (at, p) for id, at, p in ids if type(id) not in (list, dict)}


@dataclass(frozen=True, slots=True)
class OutputSections:
    """Which parts of the output there will be. The first prediction alone decides."""

    hard: bool
    tokens: bool
    sentences: bool
    classes: bool

    @classmethod
    def of(cls, predictions: Sequence[Numbered]) -> OutputSections:
        """Read the first prediction; what is malformed counts as not there."""
        first = predictions[0][1]
        rationales = rationales_of(first)[:1]
        return cls(
            hard=any(bool(r.get(HARD)) for r in rationales),
            tokens=any(r.get(TOKENS.field) is not None for r in rationales),
            sentences=any(r.get(SENTENCES.field) is not None for r in rationales),
            classes=first.get(LABEL) is not None,
        )


def rationales_of(prediction: Record) -> list[Record]:
    """Return the rationales that are objects."""
    rationales = prediction.get("rationales")
    return [r for r in rationales if isinstance(r, dict)] if isinstance(rationales, list) else []


def evidences_of(annotation: Record) -> Iterator[Record]:
    """Yield the evidence of all groups: no score ever asks which group it was in."""
    return chain.from_iterable(annotation["evidences"])


def aopc_entries(entries: Iterable[Record], thresholds: Sequence[float]) -> list[Record]:
    """Return the thresholded scores that AOPC averages, ascending; the others are ignored."""
    return [e for e in sorted(entries, key=lambda e: e["threshold"]) if e["threshold"] in thresholds]

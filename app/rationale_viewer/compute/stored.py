"""Rationales that `rationale evaluate` left in a run's folder: what is shown from there costs nothing.

Axes: W word of an example.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eraser import Dataset, Example, Fault, InputError, Prediction
from eraser.errors import short_repr
from eraser.official.reading import read_predictions
from eraser.official.records import HARD, LABEL, SCORES, TOKENS, Record, RecordLocation, rationales_of
from eraser.official.validation import prediction_faults
from eraser.types import Floats, Mask, Span, mask_from_spans
from rationale.attribution import METHODS
from rationale.evaluation.stored.run_folder import own_file, unreadable
from rationale_viewer.session.runs import facts_of

MOST_FAULTS = 2  # that are told: a file of other texts has one in every line
PREDICTIONS, SUFFIX = "predictions", ".jsonl"


@dataclass(frozen=True)
class Stored:
    """What a run holds of one method: its split of the data set, and a prediction for each example."""

    split: str
    predictions: Mapping[str, Prediction]


@dataclass(frozen=True)
class Origin:
    """How a run came to its rationales: the texts, the model, the class explained, their size and unit."""

    texts: str
    model: str
    target: str
    budget: str
    unit: str = "word"


def stored_methods(folder: Path) -> dict[str, Path]:
    """Return the official prediction files of a run by method, in the order of METHODS."""
    there = folder / PREDICTIONS
    files = [] if there.is_symlink() else sorted(there.glob(f"*{SUFFIX}"))
    found = {p.name.removesuffix(SUFFIX): p for p in files if not p.is_symlink()}
    order = [*(m for m in METHODS if m in found), *(m for m in found if m not in METHODS)]
    return {m: found[m] for m in order}


def origin_of(folder: Path) -> Origin:
    """Return what a run's facts say of its rationales; "?" where they say nothing.

    Raises:
        InputError: the facts cannot be read.
    """
    facts = facts_of(folder)
    settings = facts.get("settings")
    known = settings if isinstance(settings, dict) else {}
    budget = next(iter(facts.get("budgets") or []), "?")
    texts = f"{known.get('dataset', '?')} {known.get('split', '')}".strip()
    model, target = (str(known.get(n, "?")) for n in ("model", "target"))
    return Origin(texts, model, target, str(budget), str(known.get("unit", "word")))


def read_stored(path: Path, dataset: Dataset) -> Stored:
    """Read a method's prediction file of a run on this data set.

    Raises:
        InputError: it cannot be read, or is of other examples, or of texts of other lengths.
    """
    if own_file(path.parents[1], f"{PREDICTIONS}/{path.name}") is None:
        raise unreadable(path, "a prediction file", "none")
    records, faults = read_predictions(path)
    placed = [(RecordLocation.of(record, str(path), line), record) for line, record in records]
    if not (faults or placed):
        faults = [Fault.of("no predictions", path)]
    split = _split_of(placed, dataset)
    examples = {e.id: e for e in dataset.splits.get(split, ())}
    for at, record in placed:
        example = examples.get(str(record.get("annotation_id")))
        if example is None:
            faults.append(at.problem(f"unknown annotation_id: not in {dataset.name}"))
        else:
            faults += _faults(at, record, dataset, example)
    if faults:
        raise InputError(*faults[:MOST_FAULTS])
    by_id = {at.id or "": record for at, record in placed}
    return Stored(split, {i: _prediction(r, dataset, examples[i]) for i, r in by_id.items()})


def _split_of(placed: list[tuple[RecordLocation, Record]], dataset: Dataset) -> str:
    """Return the split that has most of the examples."""
    ids = {at.id for at, _ in placed}
    shared = {s: len(ids & {e.id for e in examples}) for s, examples in dataset.splits.items()}
    return max(shared, key=lambda s: shared[s], default="")


def _faults(at: RecordLocation, record: Record, dataset: Dataset, example: Example) -> Iterator[Fault]:
    """Yield why a record cannot be shown on its example."""
    lengths = {d: [len(s) for s in dataset.documents[d].sentences] for d in example.doc_ids}
    found = [*prediction_faults(at, record, lengths, (), set())]
    yield from found
    if found:
        return
    rationales = rationales_of(record)
    if sorted(r["docid"] for r in rationales) != sorted(example.doc_ids):
        got = short_repr([r["docid"] for r in rationales])
        yield at.fault(f"a rationale for each of {short_repr(list(example.doc_ids))}", got)
    elif any(r.get(TOKENS.field) is None for r in rationales):
        yield at.problem(f"no {TOKENS.field} (one score per word)")
    elif not record.get(SCORES) or record.get(LABEL) not in record[SCORES]:
        yield at.fault(f"{SCORES} with the {LABEL}", short_repr(record.get(SCORES)))


def _prediction(record: Record, dataset: Dataset, example: Example) -> Prediction:
    """Return a record that has no faults over the words of its example's text."""
    by_doc = {r["docid"]: r for r in rationales_of(record)}
    scores: Floats = np.concatenate([np.asarray(by_doc[d][TOKENS.field], float) for d in example.doc_ids])
    rationale: Mask = np.concatenate([_hard(by_doc[d], dataset, d) for d in example.doc_ids])
    return Prediction(example.id, str(record[LABEL]), dict(record[SCORES]), scores, rationale)


def _hard(rationale: dict[str, Any], dataset: Dataset, doc_id: str) -> Mask:
    """Return the picked words [W] of a document; the official scorer takes a span that ends early as none."""
    ends = [(s["start_token"], s["end_token"]) for s in rationale.get(HARD, [])]
    spans = frozenset(Span(a, b) for a, b in ends if 0 <= a < b)
    return mask_from_spans(spans, len(dataset.documents[doc_id].words))

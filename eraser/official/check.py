"""Every fault of a prediction file at once, each with file, line and id.

Faults are what the official ERASER scorer refuses, however it fails; `scorer.py` refuses the same by the same
rules. Warnings are what it accepts silently though it can hardly be intended.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from eraser.data.source import Source
from eraser.errors import Fault, InputError, short_repr
from eraser.official.reading import collector_off, read_inputs
from eraser.official.records import (
    COMP,
    FLIP,
    HARD,
    LABEL,
    SCORES,
    SENTENCES,
    SUFF,
    THRESHOLDED,
    TOKENS,
    Granularity,
    OutputSections,
    Record,
    RecordLocation,
    ScorerInputs,
    ScorerOptions,
    evidences_of,
    rationales_of,
)
from eraser.official.validation import (
    annotation_faults,
    evidence_faults,
    is_finite,
    is_key,
    is_number,
    prediction_faults,
    spans_of,
    thresholds_of,
)

SUM_TOLERANCE = 1e-3  # probabilities are often written with three or four digits


@dataclass(frozen=True)
class Check:
    """The faults of a prediction file, at which the official scorer stops, and warnings, which it ignores."""

    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]


@collector_off()
def check_predictions(
    source: Source, split: str, predictions: Path, settings: ScorerOptions | None = None
) -> Check:
    """Check a file of predictions (.jsonl or .jsonl.gz) against the gold of a split.

    Raises:
        InputError: gold, documents or the file as a whole cannot be read.
    """
    inputs, broken = read_inputs(source, split, predictions, settings.labels if settings else ())
    found = check_records(inputs, settings)
    return Check((*broken, *found.faults), found.warnings)


def check_records(inputs: ScorerInputs, settings: ScorerOptions | None = None) -> Check:
    """Check predictions that are already parsed."""
    faults = find_faults(inputs, settings or ScorerOptions())
    return Check(tuple(faults), tuple(_warnings(inputs)) if inputs.predictions else ())


# ── faults ──────────────────────────────────────────────────────────────────────────────────────────────


def find_faults(inputs: ScorerInputs, settings: ScorerOptions) -> list[Fault]:
    """Return everything in the predictions, and in gold as far as they need it, that cannot be scored.

    Raises:
        InputError: gold is broken, so that nothing can be said of the predictions.
    """
    refuse_broken_gold(inputs)
    if not inputs.predictions:
        return [Fault.of("no predictions", inputs.predictions_file)]
    blocks = OutputSections.of(inputs.predictions)
    first = thresholds_of(inputs.predictions[0][1])
    faults: list[Fault] = []
    for at, prediction in inputs.placed_predictions:
        faults += prediction_faults(at, prediction, inputs.lengths, settings.aopc_thresholds, first)
    faults += repeated_faults(inputs).values()
    faults += [uneven.fault for uneven in uneven_fields(inputs)]
    for at, annotation in inputs.placed_gold:
        faults += dict.fromkeys(evidence_faults(at, annotation, blocks, inputs.lengths))
    if blocks.hard:
        faults += nothing_to_divide_by(inputs)
    if blocks.classes:
        faults += [*_class_faults(inputs, settings), *flip_faults(inputs)]
    elif settings.strict:
        faults.append(inputs.placed_predictions[0][0].problem(f"strict scoring needs a {LABEL}"))
    return faults


def refuse_broken_gold(inputs: ScorerInputs) -> None:
    """Refuse gold that the official scorer cannot load.

    Raises:
        InputError: with all that is wrong with it.
    """
    if broken := [f for at, a in inputs.placed_gold for f in annotation_faults(at, a)]:
        raise InputError(*broken)


def repeated_faults(inputs: ScorerInputs) -> dict[int, Fault]:
    """Return a fault for each line whose annotation_id an earlier line has."""
    first: dict[object, int] = {}
    found = {}
    for at, prediction in inputs.placed_predictions:
        line = first.setdefault(prediction["annotation_id"], at.line) if is_key(prediction) else at.line
        if line != at.line:
            found[at.line] = at.problem(f"duplicate annotation_id, first on line {line}")
    return found


def _has(field: str) -> Callable[[Record], bool]:
    return lambda prediction: prediction.get(field) is not None


def _has_soft(unit: Granularity) -> Callable[[Record], bool]:
    return lambda prediction: any(r.get(unit.field) is not None for r in rationales_of(prediction))


_ALL_OR_NONE: dict[str, Callable[[Record], bool]] = {
    **{field: _has(field) for field in (LABEL, COMP, SUFF, THRESHOLDED)},
    **{unit.field: _has_soft(unit) for unit in (TOKENS, SENTENCES)},
}


class Uneven(NamedTuple):
    """A field that a prediction lacks, or alone has, and the fault that this is."""

    field: str
    is_there: bool
    fault: Fault


def uneven_fields(
    inputs: ScorerInputs, unread: Mapping[str, Collection[int]] | None = None
) -> Iterator[Uneven]:
    """Yield the minority where some predictions have a field and some have not.

    Args:
        inputs: the predictions.
        unread: for a field the lines that have no vote on it.
    """
    for field, has in _ALL_OR_NONE.items():
        lines = (unread or {}).get(field, ())
        placed = [(at, has(p)) for at, p in inputs.placed_predictions if at.line not in lines]
        having = [is_there for _, is_there in placed]
        most_have = 2 * sum(having) >= len(having)
        n = having.count(most_have)
        others = f"in the other {n} predictions" if n > 1 else "in the other prediction"
        for at, is_there in placed:
            if is_there and not most_have:
                message = f"{field} is not {others}; give it in all or in none"
                yield Uneven(field, is_there, at.problem(message))
            elif most_have and not is_there:
                yield Uneven(field, is_there, at.problem(f"{field} is missing, but is {others}"))


def nothing_to_divide_by(inputs: ScorerInputs) -> Iterator[Fault]:
    """Yield why hard rationales cannot be scored: no gold word, or no predicted one."""
    gold = (TOKENS.gold(e) for a in inputs.gold for e in evidences_of(a))
    if not any(isinstance(start, int) and isinstance(end, int) and start < end for start, end in gold):
        yield Fault.of("no gold evidence of at least one token", inputs.gold_file)
    if not any(start < end for _, p in inputs.predictions for start, end in _spans(p)):
        at, first = inputs.placed_predictions[0]
        got = ", ".join(f"{start}:{end}" for start, end in list(_spans(first))[:3])
        yield at.problem(f"all predicted spans are empty ({got}, …)")


def _spans(prediction: Record) -> Iterator[tuple[int, int]]:
    """Yield start and end of the well-formed spans."""
    for span in chain.from_iterable(map(spans_of, rationales_of(prediction))):
        yield span["start_token"], span["end_token"]


def _class_faults(inputs: ScorerInputs, settings: ScorerOptions) -> Iterator[Fault]:
    if faults := gold_label_faults(inputs):
        yield from faults
        return
    yield from missing(inputs, " (--skip-invalid scores the rest)")
    yield from unknown_labels(inputs, settings.extra_labels)
    yield from (in_gold := [*extra_in_gold(inputs, settings.extra_labels)])
    of_gold = {fault.got for fault in in_gold}
    for label in settings.extra_labels:  # HateXplain's scorer ends in scikit-learn for either
        if short_repr(label) not in of_gold and not is_predicted(inputs, label):
            yield Fault.of(f"extra label {label!r} is never predicted", inputs.predictions_file)


def extra_in_gold(inputs: ScorerInputs, extra_labels: Iterable[str]) -> Iterator[Fault]:
    """Yield the extra labels that gold has anyway."""
    gold = {a[LABEL] for a in inputs.gold}
    for label in extra_labels:
        if label in gold:
            yield Fault(
                f"an extra label, not one of gold's {sorted(gold)}", short_repr(label), inputs.gold_file
            )


def gold_label_faults(inputs: ScorerInputs) -> list[Fault]:
    """Return why gold has no labels to compare with."""
    if not inputs.gold:
        return [Fault.of("no annotations", inputs.gold_file)]
    strange = [(at, a[LABEL]) for at, a in inputs.placed_gold if not isinstance(a[LABEL], str)]
    return [at.fault(f"a {LABEL} string", short_repr(label)) for at, label in strange]


def _of_gold(inputs: ScorerInputs) -> list[tuple[RecordLocation, Record]]:
    """Return the predictions of annotations, each with its place."""
    by_id = inputs.by_id
    return [by_id[a["annotation_id"]] for a in inputs.gold if a["annotation_id"] in by_id]


def unknown_labels(inputs: ScorerInputs, extra_labels: Iterable[str]) -> Iterator[Fault]:
    """Yield the predicted labels that gold lacks."""
    allowed = sorted({a[LABEL] for a in inputs.gold}.union(extra_labels))
    for at, prediction in _of_gold(inputs):
        if isinstance(prediction.get(LABEL), str) and prediction[LABEL] not in allowed:
            yield at.fault(f"one of the labels {allowed}", short_repr(prediction[LABEL]))


def is_predicted(inputs: ScorerInputs, label: str) -> bool:
    """Return whether a label is predicted for any annotation."""
    return any(prediction.get(LABEL) == label for _, prediction in _of_gold(inputs))


def missing(inputs: ScorerInputs, remedy: str = "") -> Iterator[Fault]:
    """Yield the annotations without a prediction, and what can be done about it."""
    for at, annotation in inputs.placed_gold:
        if annotation["annotation_id"] not in inputs.by_id:
            message = f"no prediction for this annotation of {inputs.gold_file}{remedy}"
            yield Fault.of(message, inputs.predictions_file, None, at.id)


def flip_faults(inputs: ScorerInputs) -> Iterator[Fault]:
    """Yield what tokens_to_flip ends in; what the official scorer makes of it, it then drops."""
    if FLIP not in inputs.predictions[0][1]:
        return
    for gold_at, annotation in inputs.placed_gold:
        at, prediction = inputs.by_id.get(annotation["annotation_id"], (gold_at, {FLIP: 0}))
        if not is_number(prediction.get(FLIP)):
            yield at.fault(f"a number of {FLIP}", short_repr(prediction.get(FLIP)))
        doc_ids = {e["docid"] for e in evidences_of(annotation)}
        if not any(chain.from_iterable(inputs.lengths.get(d, (1,)) for d in doc_ids)):
            yield gold_at.problem(f"the evidence documents have no tokens to divide {FLIP} by")


# ── warnings ────────────────────────────────────────────────────────────────────────────────────────────


def _warnings(inputs: ScorerInputs) -> Iterator[Fault]:
    known = {a["annotation_id"] for a in inputs.gold}
    for at, prediction in inputs.placed_predictions:
        if is_key(prediction) and prediction["annotation_id"] not in known:
            yield at.problem(f"annotation_id is not in {inputs.gold_file}; it counts as wrong")
        yield from _rationale_warnings(at, prediction)
        yield from _label_warnings(at, prediction)
        yield from _sum_warnings(at, prediction)
    blocks = OutputSections.of(inputs.predictions)
    if not blocks.classes:
        yield from missing(inputs)
    unscored = sum(any(True for _ in _spans(p)) for _, p in inputs.predictions)
    if unscored and not blocks.hard:
        message = f"the first rationale has no {HARD}, so the spans of {unscored} predictions are not scored"
        yield inputs.placed_predictions[0][0].problem(message)


def _rationale_warnings(at: RecordLocation, prediction: Record) -> Iterator[Fault]:
    seen: set[str] = set()
    for doc_id in (r["docid"] for r in rationales_of(prediction) if isinstance(r.get("docid"), str)):
        if doc_id in seen:
            yield at.problem(f"duplicate docid {short_repr(doc_id)}; only its last soft scores count")
        seen.add(doc_id)
    for start, end in _spans(prediction):
        if start < 0:
            yield at.fault("start_token >= 0", f"{start}:{end}; what is below 0 counts as wrong")
        if start >= end:
            yield at.fault("start_token < end_token", f"{start}:{end}; an empty span never overlaps gold")


def _label_warnings(at: RecordLocation, prediction: Record) -> Iterator[Fault]:
    label, scores = prediction.get(LABEL), prediction.get(SCORES)
    if isinstance(label, str) and isinstance(scores, dict) and all(map(is_finite, scores.values())):
        highest = max(scores, key=lambda k: scores[k], default=label)
        if label not in scores or scores[label] < scores[highest]:
            yield at.fault(f"a {LABEL} with the highest of its scores, {highest!r}", short_repr(label))


def _sum_warnings(at: RecordLocation, prediction: Record) -> Iterator[Fault]:
    entries = prediction.get(THRESHOLDED)
    for record in (prediction, *(entries if isinstance(entries, list) else ())):
        for field in (SCORES, COMP, SUFF):
            scores = record.get(field) if isinstance(record, dict) else None
            if not isinstance(scores, dict):
                continue
            numbers = [v for v in scores.values() if is_finite(v) and v >= 0]
            if len(numbers) < len(scores) or abs(sum(numbers) - 1) > SUM_TOLERANCE:
                where = "" if record is prediction else f" at threshold {record.get('threshold')}"
                yield at.fault(f"{field}{where} that sum to 1", short_repr(scores))

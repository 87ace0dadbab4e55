"""What the official scorer refuses in one prediction or one gold annotation, each rule once.

It ends in "Some instances are invalid" for some of these, in a KeyError, TypeError, AssertionError or an
error inside scikit-learn for the others. Where it would let nonsense of the wrong type pass because no score
happens to read it, the rule here is the stricter one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np

from eraser.errors import Fault, short_repr
from eraser.official.records import (
    COMP,
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
    evidences_of,
    rationales_of,
)

FURTHEST = 2**31  # a token number as large would make the official scorer's sets of tokens fill the memory


def is_number(value: object) -> bool:
    """Return whether arithmetic can read it; NaN, Infinity and, as in Python, booleans can be read."""
    return isinstance(value, float) or is_finite(value)


def is_finite(value: object) -> bool:
    """Return whether it is a number that a ranking can use."""
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def is_token(value: object) -> bool:
    """Return whether it can number a token."""
    return isinstance(value, int) and -FURTHEST < value < FURTHEST


def is_key(record: Record) -> bool:
    """Return whether the record has an annotation_id that can be looked up."""
    return type(record.get("annotation_id", [])) not in (list, dict)


# ── one prediction ──────────────────────────────────────────────────────────────────────────────────────

# What a fault spoils: the whole prediction, or what one part of the output reads of it.
Part = Literal["row", "hard", "beyond", "token", "sentence", "classes", "aopc"]
Lengths = Mapping[str, Sequence[int]]  # of the sentences of each document


def prediction_faults(
    at: RecordLocation, record: Record, lengths: Lengths, aopc: Sequence[float], thresholds: set[float]
) -> Iterator[Fault]:
    """Yield what is wrong with a prediction; its thresholds must be those given, if any are."""
    return (f for _, faults in faults_by_part(at, record, lengths, aopc, thresholds) for f in faults)


def faults_by_part(
    at: RecordLocation, record: Record, lengths: Lengths, aopc: Sequence[float], thresholds: set[float]
) -> Iterator[tuple[Part, list[Fault]]]:
    """Yield what is wrong with a prediction, by what it spoils; beyond: spans that leave their document."""
    yield "row", [*_row_faults(at, record, lengths)]
    rationales = rationales_of(record)
    whole = [r for r in rationales if isinstance(r.get("docid"), str)]
    placed = [(r, lengths[r["docid"]]) for r in whole if r["docid"] in lengths]
    sound = [spans_of(r) for r, _ in placed]
    yield "hard", [f for (r, _), s in zip(placed, sound, strict=True) for f in _span_faults(at, r, s)]
    yield "beyond", [f for (r, n), s in zip(placed, sound, strict=True) for f in _beyond_faults(at, r, s, n)]
    for part, unit in (("token", TOKENS), ("sentence", SENTENCES)):
        yield cast(Part, part), [*_unit_faults(at, unit, rationales, placed)]
    yield "classes", (wrong := [*_label_shape_faults(at, record)]) or [*_distribution_faults(at, record)]
    shape = [*_threshold_shape_faults(at, record)]
    yield "aopc", shape if shape or wrong else [*_aopc_faults(at, record, aopc, thresholds)]


def _row_faults(at: RecordLocation, record: Record, lengths: Lengths) -> Iterator[Fault]:
    if not is_key(record):
        yield at.fault("an annotation_id string", short_repr(record.get("annotation_id")))
    rationales = record.get("rationales")
    if not isinstance(rationales, list):
        yield at.fault("a list of rationales", short_repr(rationales))
        return
    for rationale in rationales:
        if not isinstance(rationale, dict) or not isinstance(rationale.get("docid"), str):
            yield at.fault("a rationale object with a docid string", short_repr(rationale))
        elif rationale["docid"] not in lengths:
            yield at.fault("a docid of the data set", short_repr(rationale["docid"]))


def _unit_faults(
    at: RecordLocation,
    unit: Granularity,
    rationales: list[Record],
    placed: list[tuple[Record, Sequence[int]]],
) -> Iterator[Fault]:
    for rationale, sentences in placed:
        # the official scorer takes null for "no scores" in sentences only
        if unit.field in rationale and (unit is TOKENS or rationale[unit.field] is not None):
            yield from _soft_faults(at, unit, rationale, unit.count(sentences))
    given = sum([r.get(unit.field) is not None for r in rationales])
    if 0 < given < len(rationales):
        yield at.fault(f"{unit.field} for all of its {len(rationales)} documents", f"for {given}")


def is_span(span: Any) -> bool:
    """Return whether it is an object with two token numbers; they may be in any order."""
    return isinstance(span, dict) and is_token(span.get("start_token")) and is_token(span.get("end_token"))


def spans_of(rationale: Record) -> list[Record]:
    """Return the well-formed spans of a rationale."""
    spans = rationale.get(HARD)
    return [span for span in spans if is_span(span)] if isinstance(spans, list) else []


def _span_faults(at: RecordLocation, rationale: Record, sound: list[Record]) -> Iterator[Fault]:
    """Yield what is wrong with the spans of a rationale, of which some are well-formed."""
    spans, doc_id = rationale.get(HARD, []), rationale["docid"]
    if not isinstance(spans, list):
        yield at.fault(f"a list of {HARD} for {doc_id}", short_repr(spans), doc_id)
        return
    if len(sound) < len(spans):
        strange = (span for span in spans if not is_span(span))
        yield from (
            at.fault("a span with start_token and end_token integers", short_repr(s)) for s in strange
        )
    if len(sound) > 1:
        yield from _overlap_faults(at, doc_id, sound)


def _beyond_faults(
    at: RecordLocation, rationale: Record, sound: list[Record], sentences: Sequence[int]
) -> Iterator[Fault]:
    """Yield the well-formed spans that do not end where their document ends, or before."""
    n_words, doc_id = sum(sentences), rationale["docid"]
    for span in sound:
        start, end = span["start_token"], span["end_token"]
        if start > n_words or end > n_words:
            yield at.fault(f"a span inside {doc_id} ({n_words} tokens)", f"{start}:{end}", doc_id)


def _overlap_faults(at: RecordLocation, doc_id: str, spans: list[Record]) -> Iterator[Fault]:
    """Yield each span that shares a token with an earlier one; the very same object may be repeated."""
    distinct: dict[object, tuple[int, int]] = {}
    for span in spans:
        ends = span["start_token"], span["end_token"]
        distinct[ends if len(span) == 2 else repr(sorted(span.items()))] = ends
    before = (0, -FURTHEST)
    for start, end in sorted(ends for ends in distinct.values() if ends[0] < ends[1]):
        if start < before[1]:
            got = f"{before[0]}:{before[1]} and {start}:{end}"
            yield at.fault(f"spans of {doc_id} that do not overlap", got, doc_id)
        before = max(before, (start, end), key=lambda ends: ends[1])


def _soft_faults(at: RecordLocation, unit: Granularity, rationale: Record, n_units: int) -> Iterator[Fault]:
    scores, doc_id = rationale[unit.field], rationale["docid"]
    if not isinstance(scores, (list, np.ndarray)):
        yield at.fault(f"a list of {unit.field} for {doc_id}", short_repr(scores), doc_id)
    elif len(scores) != n_units or not n_units:
        expected = f"{n_units} {unit.field}, one for each {unit.name} of {doc_id}"
        expected = expected if n_units else f"a {unit.name} in {doc_id} to score"
        yield at.fault(expected, str(len(scores)), doc_id)
    elif isinstance(scores, np.ndarray) and scores.dtype == np.float64 and np.isfinite(scores).all():
        return  # quicker than to ask each
    elif strange := [x for x in scores if not is_finite(x)]:
        first = strange[0].item() if isinstance(strange[0], np.generic) else strange[0]
        yield at.fault(f"finite numbers in {unit.field} of {doc_id}", short_repr(first), doc_id)


_NEEDS = ((LABEL, SCORES), (SCORES, LABEL), (COMP, LABEL), (SUFF, SCORES))


def _label_shape_faults(at: RecordLocation, record: Record) -> Iterator[Fault]:
    if not isinstance(record.get(LABEL, ""), str):
        yield at.fault(f"a {LABEL} string", short_repr(record[LABEL]))
    for field in (SCORES, COMP, SUFF):
        if not isinstance(record.get(field, {}), dict):
            more = ", or as many --labels as there are numbers" if isinstance(record[field], list) else ""
            yield at.fault(f"{field}: an object of label and number{more}", short_repr(record[field]))
    yield from [_lacks(at, field, n) for field, n in _NEEDS if field in record and n not in record]


def _lacks(at: RecordLocation, field: str, needed: str) -> Fault:
    return at.problem(f"{field} needs {needed}, which is missing")


def _threshold_shape_faults(at: RecordLocation, record: Record) -> Iterator[Fault]:
    if THRESHOLDED not in record:
        return
    yield from [_lacks(at, THRESHOLDED, n) for n in (LABEL, SCORES, COMP, SUFF) if n not in record]
    entries = record[THRESHOLDED]
    if not isinstance(entries, list):
        yield at.fault(f"a list of {THRESHOLDED}", short_repr(entries))
        return
    for entry in entries:
        if not isinstance(entry, dict) or not is_number(entry.get("threshold")):
            yield at.fault(f"{THRESHOLDED} with a threshold number each", short_repr(entry))
        else:
            for field in (COMP, SUFF):
                if field not in entry:
                    yield at.problem(f"{field} is missing at threshold {entry['threshold']}")


def _distribution_faults(at: RecordLocation, record: Record) -> Iterator[Fault]:
    """Yield what keeps comprehensiveness and sufficiency from being read; SCORES alone are never read."""
    if COMP not in record and SUFF not in record:
        return
    label = record[LABEL]
    for field in (SCORES, COMP, SUFF):
        scores = record.get(field)
        if scores is None:
            continue
        if lacking := [k for k in (label, *record[SCORES]) if k not in scores]:
            yield at.fault(f"{field} with a number for {lacking[0]!r}", short_repr(scores))
        elif strange := [k for k, v in scores.items() if not is_number(v)]:
            yield at.fault(f"a number in {field} for {strange[0]!r}", short_repr(scores[strange[0]]))


def thresholds_of(record: Record) -> set[float]:
    """Return the thresholds; none where they are malformed, which is a fault already."""
    try:
        return {entry["threshold"] for entry in record[THRESHOLDED]}
    except (KeyError, TypeError):
        return set()


def _aopc_faults(
    at: RecordLocation, record: Record, aopc: Sequence[float], first: set[float]
) -> Iterator[Fault]:
    if THRESHOLDED not in record:
        return
    label, entries = record[LABEL], record[THRESHOLDED]
    if first and thresholds_of(record) != first:
        yield at.fault(f"the thresholds of the first prediction, {first}", str(thresholds_of(record)))
    chosen = [entry for entry in entries if entry["threshold"] in aopc]
    if len(chosen) != len(aopc):
        got = short_repr([entry["threshold"] for entry in entries])
        yield at.fault(f"{THRESHOLDED} with each AOPC threshold of {list(aopc)} once", got)
    for entry in chosen:
        for field in (COMP, SUFF):
            scores = entry[field]
            if not (isinstance(scores, dict) and is_number(scores.get(label))):
                expected = f"{field} at threshold {entry['threshold']} with a number for {label!r}"
                yield at.fault(expected, short_repr(scores))


# ── one gold annotation ─────────────────────────────────────────────────────────────────────────────────

_ANNOTATION_NEEDS = {"annotation_id", "query", "evidences", LABEL}
_ANNOTATION_MAY = _ANNOTATION_NEEDS | {"query_type", "docids"}
_NESTED = frozenset((list, dict))
_EVIDENCE_NEEDS = {"text", "docid"}
_EVIDENCE_MAY = _EVIDENCE_NEEDS | {"start_token", "end_token", "start_sentence", "end_sentence"}


def annotation_faults(at: RecordLocation, annotation: Record) -> Iterator[Fault]:
    """Yield what keeps the official scorer from loading a gold annotation."""
    if not _ANNOTATION_NEEDS <= annotation.keys() <= _ANNOTATION_MAY:
        expected = f"the keys {sorted(_ANNOTATION_NEEDS)} and at most query_type and docids more"
        yield at.fault(expected, str(sorted(annotation)))
    elif not is_key(annotation):
        yield at.fault("an annotation_id string", short_repr(annotation["annotation_id"]))
    elif not _is_groups(annotation["evidences"]):
        yield at.fault("evidences: a list of groups, each a list", short_repr(annotation["evidences"]))
    else:
        for group in annotation["evidences"]:
            for evidence in group:
                yield from _evidence_faults(at, evidence)


def _is_groups(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(group, list) for group in value)


def _evidence_faults(at: RecordLocation, evidence: Any) -> Iterator[Fault]:
    if not isinstance(evidence, dict) or not _EVIDENCE_NEEDS <= evidence.keys() <= _EVIDENCE_MAY:
        expected = f"evidence with the keys {sorted(_EVIDENCE_NEEDS)} and at most the starts and ends"
        yield at.fault(expected, short_repr(evidence))
    elif not isinstance(evidence["docid"], str) or not _NESTED.isdisjoint(map(type, evidence.values())):
        yield at.fault("evidence with a docid string, and no value a list or an object", short_repr(evidence))


def evidence_faults(
    at: RecordLocation, annotation: Record, blocks: OutputSections, lengths: Mapping[str, Sequence[int]]
) -> Iterator[Fault]:
    """Yield what keeps an annotation's evidence from being scored in the blocks that are on."""
    units = [unit for unit, is_on in ((TOKENS, blocks.tokens), (SENTENCES, blocks.sentences)) if is_on]
    for evidence in evidences_of(annotation):
        doc_id = evidence["docid"]
        if doc_id in lengths:
            for unit in units:
                yield from _place_faults(at, unit, evidence, unit.count(lengths[doc_id]))
        elif units or blocks.classes:
            yield at.fault("evidence in a document of the data set", short_repr(doc_id))
        if blocks.hard and not blocks.tokens and not all(map(is_token, TOKENS.gold(evidence))):
            yield at.fault("start_token and end_token integers", short_repr(TOKENS.gold(evidence)))


def _place_faults(at: RecordLocation, unit: Granularity, evidence: Record, n_units: int) -> Iterator[Fault]:
    start, end = unit.gold(evidence)
    if not is_token(start) or not is_token(end):
        yield at.fault(f"{unit.start} and {unit.end} integers", short_repr((start, end)))
    elif start < end and not -n_units <= start < end <= n_units:  # a negative start counts from the end
        doc_id = evidence["docid"]
        yield at.fault(f"evidence inside {doc_id} ({n_units} {unit.name}s)", f"{start}:{end}", doc_id)

"""A method's rationales, from a prediction file in ERASER's official format, to be corrected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eraser.data.source import parse_json_lines
from eraser.errors import Fault, InputError, short_repr


@dataclass(frozen=True)
class Suggested:
    """A model's label for one text, and its spans of words [start, end) of each document."""

    label: str
    spans: tuple[tuple[str, int, int], ...]
    file: str
    line: int


def read_suggestions(text: str, place: str) -> dict[str, Suggested]:
    """Return the label and the hard rationale of each line, by annotation_id.

    Raises:
        InputError: a line lacks one of them, or contradicts an earlier line.
    """
    found: dict[str, Suggested] = {}
    for line, record in parse_json_lines(text, place):
        id, label = record.get("annotation_id"), record.get("classification")
        if not isinstance(id, str) or not isinstance(label, str) or not label.strip():
            expected = "annotation_id and classification, both strings"
            raise InputError(
                Fault(expected, short_repr({"annotation_id": id, "classification": label}), place, line)
            )
        if id in found:
            raise InputError(Fault.of("duplicate annotation_id", place, line, id))
        found[id] = Suggested(label, _spans(record.get("rationales"), place, line, id), place, line)
    return found


def _spans(rationales: Any, place: str, line: int, id: str) -> tuple[tuple[str, int, int], ...]:
    if not isinstance(rationales, list) or not all(isinstance(r, dict) for r in rationales):
        raise InputError(Fault("rationales, a list of objects", short_repr(rationales), place, line, id))
    found = []
    for rationale in rationales:
        for span in rationale.get("hard_rationale_predictions") or []:
            ends = [span.get(n) for n in ("start_token", "end_token")] if isinstance(span, dict) else []
            if [type(n) for n in ends] != [int, int] or not isinstance(rationale.get("docid"), str):
                expected = "a docid, and start_token and end_token of each hard rationale"
                raise InputError(Fault(expected, short_repr(span), place, line, id))
            found.append((rationale["docid"], *ends))
    return tuple(found)

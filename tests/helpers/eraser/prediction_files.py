"""Small ERASER data sets and prediction files, written for a test."""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import inf
from pathlib import Path

from eraser import Prediction, Text
from eraser.data.official_records import add_predictions
from eraser.data.source import Source
from eraser.files.whole import whole
from eraser.official.check import check_records
from eraser.official.records import ScorerInputs, ScorerOptions

HARD = "hard_rationale_predictions"
SOFT = "soft_rationale_predictions"
SENTENCES = "soft_sentence_predictions"
SCORES = "classification_scores"
COMP = "comprehensiveness_classification_scores"
SUFF = "sufficiency_classification_scores"
THRESHOLDED = "thresholded_scores"


def write_lines(path, records):
    """One JSON object a line; a string is written as it is."""
    lines = (record if isinstance(record, str) else json.dumps(record) for record in records)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def write_predictions(path: Path, pairs: Iterable[tuple[Text, Prediction]]) -> None:
    """An official prediction file, as a run writes it."""
    with whole(path) as partial, partial.open("w", encoding="utf-8") as file:
        add_predictions(file, pairs)


def write_source(folder, annotations, docs, split="test"):
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    for doc_id, text in docs.items():
        (folder / "docs" / doc_id).write_text(text, encoding="utf-8")
    write_lines(folder / f"{split}.jsonl", annotations)
    return Source(folder)


def evidence(doc_id, start, end, start_sentence=-1, end_sentence=-1):
    return {
        "docid": doc_id,
        "text": "",
        "start_token": start,
        "end_token": end,
        "start_sentence": start_sentence,
        "end_sentence": end_sentence,
    }


def annotation(id, label, *spans):
    """Spans are evidence objects or (docid, start, end)."""
    group = [span if isinstance(span, dict) else evidence(*span) for span in spans]
    return {"annotation_id": id, "query": "", "classification": label, "evidences": [group]}


def rationale(doc_id, spans=None, soft=None, sentences=None):
    found = {"docid": doc_id}
    if spans is not None:
        found["hard_rationale_predictions"] = [{"start_token": a, "end_token": b} for a, b in spans]
    if soft is not None:
        found["soft_rationale_predictions"] = soft
    if sentences is not None:
        found["soft_sentence_predictions"] = sentences
    return found


def prediction(id, *rationales, **fields):
    return {"annotation_id": id, "rationales": list(rationales), **fields}


LENGTHS = {"d": (3, 1), "e": (2,), "empty": ()}
GOLD = [annotation("a", "X", evidence("d", 0, 2, 0, 1)), annotation("b", "Y", evidence("e", 0, 1, 0, 1))]


def text(faults):
    return [str(fault) for fault in faults]


def check(predictions, gold=GOLD, **given_settings):
    inputs = ScorerInputs(gold, LENGTHS, list(enumerate(predictions, start=1)))
    return check_records(inputs, ScorerOptions(**given_settings))


def labels(**changes):
    """The fields of a label with everything beside it, some replaced; `...` removes a field."""
    even = {"X": 0.5, "Y": 0.5}
    entries = [{"threshold": 0.1, COMP: even, SUFF: even}, {"threshold": 0.5, COMP: even, SUFF: even}]
    fields = {"classification": "X", SCORES: even, COMP: even, SUFF: even, THRESHOLDED: entries}
    return {key: value for key, value in (fields | changes).items() if value is not ...}


def assert_same(found, expected, at=""):
    """The same keys and lists, numbers within 1e-9, NaN equal to NaN."""
    if isinstance(expected, dict):
        assert isinstance(found, dict), at
        assert found.keys() == expected.keys(), at
        for key, value in expected.items():
            assert_same(found[key], value, f"{at}/{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), at
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, f"{at}/{number}")
    elif expected is None or isinstance(expected, str):
        assert found == expected, at
    elif expected != expected or expected in (inf, -inf):
        assert repr(float(found)) == repr(float(expected)), at
    else:
        assert abs(found - expected) <= 1e-9, f"{at}: {found} is not {expected}"

"""Predictions and annotations → the official ERASER JSON lines."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

import numpy as np

from eraser.spans import Span, cut_at, runs
from eraser.types import Example, Floats, Prediction, Text
from eraser.words import Spans


def official_record(text: Text, prediction: Prediction) -> dict[str, Any]:
    """Return one line of an official prediction file.

    Unread words (score NaN) get the lowest score minus 1: the format knows numbers only. Where the text was
    given as such, spans say their characters too, and `word_spans` those of every word of the document; the
    official scorer passes them over. Of several documents they count from the first one's beginning, but of
    a premise and a hypothesis from each one's own. Where sentences were picked each is a span, and each
    document's sentences have scores.
    """
    unknown = text.string is None and text.first is None
    places = None if unknown else tuple(place for _, spans in text.sides for place in spans)
    record: dict[str, Any] = {
        "annotation_id": prediction.example_id,
        "rationales": [
            _rationale(doc_id, of_document, prediction, text)
            | _characters(places, of_document, prediction, text)
            for doc_id, of_document in _documents(text)
        ],
        "classification": prediction.label,
        "classification_scores": dict(prediction.probs),
    }
    if prediction.at_rationale is not None:
        record["comprehensiveness_classification_scores"] = dict(prediction.at_rationale.without)
        record["sufficiency_classification_scores"] = dict(prediction.at_rationale.only)
        if prediction.ablations:
            record["thresholded_scores"] = [
                {
                    "threshold": a.fraction,
                    "comprehensiveness_classification_scores": dict(a.without),
                    "sufficiency_classification_scores": dict(a.only),
                }
                for a in prediction.ablations
            ]
    return record


def _documents(text: Text) -> list[tuple[str, slice]]:
    """Return the words of each document."""
    starts = sorted(text.doc_starts.items(), key=lambda item: item[1])
    ends = [start for _, start in starts[1:]] + [len(text.words)]
    return [(doc_id, slice(start, end)) for (doc_id, start), end in zip(starts, ends, strict=True)]


def _rationale(doc_id: str, words: slice, prediction: Prediction, text: Text) -> dict[str, Any]:
    found = {
        "docid": doc_id,
        "hard_rationale_predictions": [
            {"start_token": s.start, "end_token": s.end} for s in _picked(words, prediction, text)
        ],
        "soft_rationale_predictions": _numbers(prediction.scores, words),
    }
    if prediction.sentence_scores is not None:
        first, after = (bisect_left(text.sentence_starts, word) for word in (words.start, words.stop))
        found["soft_sentence_predictions"] = _numbers(prediction.sentence_scores, slice(first, after))
    return found


def _numbers(scores: Floats, some: slice) -> list[float]:
    """Return some scores as the format knows them: those that are NaN below all others."""
    known = scores[~np.isnan(scores)]
    lowest = float(known.min()) - 1 if len(known) else 0.0
    return [float(x) for x in np.nan_to_num(scores[some], nan=lowest)]


def _picked(words: slice, prediction: Prediction, text: Text) -> tuple[Span, ...]:
    """Return the picked spans of a document."""
    found = runs(prediction.rationale[words])
    if prediction.sentence_scores is None:
        return found
    return cut_at(found, [start - words.start for start in text.sentence_starts])


def _characters(places: Spans | None, words: slice, prediction: Prediction, text: Text) -> dict[str, Any]:
    """Return what more a rationale says of a document whose words' places are known."""
    if places is None:
        return {}
    of_document = places[words]
    hard = [
        {
            "start_token": s.start,
            "end_token": s.end,
            "start_char": of_document[s.start][0],
            "end_char": of_document[s.end - 1][1],
        }
        for s in _picked(words, prediction, text)
    ]
    return {"hard_rationale_predictions": hard, "word_spans": [list(span) for span in of_document]}


def add_predictions(file: TextIO, pairs: Iterable[tuple[Text, Prediction]]) -> None:
    """Write more lines of an official prediction file."""
    for text, prediction in pairs:
        file.write(json.dumps(official_record(text, prediction), ensure_ascii=False) + "\n")


def gold_record(example: Example, words: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return one annotation in ERASER form; `words` are those of each document."""

    def span(doc_id: str, at: Span) -> dict[str, Any]:
        text = " ".join(words[doc_id][at.start : at.end])
        place = {"start_token": at.start, "end_token": at.end, "start_sentence": -1, "end_sentence": -1}
        return {"docid": doc_id, **place, "text": text}

    groups = sorted(map(sorted, example.gold))
    return {
        "annotation_id": example.id,
        "classification": example.label,
        "docids": list(example.doc_ids),
        "evidences": [[span(e.doc_id, e.span) for e in group] for group in groups],
        "query": example.query or "",
        "query_type": None,
    }

"""Pairs in a file: both texts of each get scores, and spans in characters of their own text."""

from __future__ import annotations

import json

import pytest

from eraser import InputError
from rationale.explanation import explain
from rationale.settings import StreamSettings
from rationale.stream import collect, read_stream, stream

PAIRS = [("A  warm film.", "The film is dull."), ("Never dull", "  So it goes ")]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [{"id": str(i), "premise": p, "hypothesis": h} for i, (p, h) in enumerate(PAIRS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def settings(file, **change):
    asked = {"text": "hypothesis", "query": "premise", "methods": ("saliency",)} | change
    return StreamSettings(file=str(file), model="m", **asked)


def test_both_texts_get_scores_and_spans(classifier, file, tmp_path):
    found = collect(stream(classifier, settings(file, explain_query=True), tmp_path / "out"))
    assert (found["words"], found["words_unread"]) == (12, 0)
    for row, (premise, hypothesis) in zip(read_stream(tmp_path / "out"), PAIRS, strict=True):
        texts = (premise, hypothesis)
        words = [texts[side][start:end] for side, (start, end) in zip(row["side"], row["spans"], strict=True)]
        assert words == row["words"] == [*premise.split(), *hypothesis.split()]
        assert row["side"] == [0] * len(premise.split()) + [1] * len(hypothesis.split())
        alone = explain(
            classifier, hypothesis, "saliency", query=premise, explain_query=True, words="whitespace"
        )
        assert alone.texts == texts
        assert alone.words == tuple(row["words"])
        assert row["scores"] == pytest.approx(alone.scores, abs=1e-5)


def test_a_query_is_explained_beside_words_as_beside_a_string(classifier, tmp_path):
    path = tmp_path / "both.jsonl"
    given = ({"text": "good film"}, {"tokens": ["good", "film"]})
    path.write_text("".join(json.dumps(row | {"q": "is it good ?"}) + "\n" for row in given))
    asked = settings(path, text="text", query="q", explain_query=True)
    collect(stream(classifier, asked, tmp_path / "out"))
    string, words = read_stream(tmp_path / "out")
    assert string["words"] == words["words"] == ["is", "it", "good", "?", "good", "film"]
    assert string["side"] == words["side"] == [0, 0, 0, 0, 1, 1]
    assert words["scores"] == pytest.approx(string["scores"], abs=1e-5)


def test_without_asking_rows_and_names_are_as_they_were(classifier, file, tmp_path):
    found = collect(stream(classifier, settings(file), tmp_path / "out"))
    assert "explain_query" not in found["settings"]
    for row, (_, hypothesis) in zip(read_stream(tmp_path / "out"), PAIRS, strict=True):
        assert row["words"] == hypothesis.split()
        assert "side" not in row
    with pytest.raises(InputError, match="holds results with other explain_query"):
        stream(classifier, settings(file, explain_query=True), tmp_path / "out")


def test_a_query_must_be_named_to_be_explained(classifier, file, tmp_path):
    expected = r"explain_query needs the key or column of the query \(--query\)"
    with pytest.raises(InputError, match=expected):
        stream(classifier, settings(file, query=None, explain_query=True), tmp_path / "out")

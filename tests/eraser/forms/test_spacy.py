from __future__ import annotations

import pytest

from tests.helpers.exports import imported, marked, write

SPAN = {"start": 2, "end": 13, "label": "R"}
CATS = {"NEG": 1.0, "POS": 0.0}


@pytest.mark.parametrize(
    "spans", [{"ents": [SPAN]}, {"entities": [[2, 13, "R"]]}, {"spans": [SPAN]}, {"spans": {"sc": [SPAN]}}]
)
def test_cats_and_every_kind_of_spans_are_read(tmp_path, spans):
    rows = [{"text": "A truly awful film.", "cats": CATS, **spans}, {"text": "Warm.", "cats": {"POS": 0.5}}]
    found = imported(write(tmp_path / "x.jsonl", rows))
    assert list(marked(found).values()) == [("NEG", "truly awful"), ("POS", "")]
    assert found.notes[0] == "form: spaCy's JSONL"


def test_a_group_of_spans_can_be_named(tmp_path):
    groups = {"words": [{"start": 0, "end": 1, "label": "W"}], "why": [SPAN]}
    rows = [
        {"text": "A truly awful film.", "cats": CATS, "spans": groups},
        {"text": "Warm.", "cats": {"POS": 1}},
    ]
    found = imported(write(tmp_path / "x.jsonl", rows), rationale="why")
    assert list(marked(found).values()) == [("NEG", "truly awful"), ("POS", "")]


def test_a_table_with_a_column_of_rationales_stays_a_table(tmp_path):
    rows = [
        {"text": "A truly awful film.", "label": "NEG", "rationale": [[2, 13]], "ents": [SPAN]},
        {"text": "A warm and moving film.", "label": "POS", "rationale": [[2, 17]], "ents": []},
    ]
    found = imported(write(tmp_path / "x.jsonl", rows))
    assert list(marked(found).values()) == [("NEG", "truly awful"), ("POS", "warm and moving")]
    assert found.notes == ("form of the rationales: chars",)

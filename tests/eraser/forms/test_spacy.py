from __future__ import annotations

import pytest

from eraser import InputError
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


PERSON = {"start": 0, "end": 4, "label": "PERSON"}


def test_every_row_has_the_same_kind_of_spans(tmp_path):
    """In the second row nobody marked anything: a name that the pipeline found is no evidence."""
    rows = [
        {
            "text": "Anna: a dull film.",
            "cats": CATS,
            "ents": [PERSON],
            "spans": {"sc": [SPAN | {"start": 8, "end": 17}]},
        },
        {"text": "Anna saw it.", "cats": {"POS": 1}, "ents": [PERSON], "spans": {"sc": []}},
    ]
    found = imported(write(tmp_path / "x.jsonl", rows))
    assert list(marked(found).values()) == [("NEG", "dull film."), ("POS", "")]
    assert "spans not read, of ents: 2" in found.notes
    named = imported(tmp_path / "x.jsonl", form="spacy", rationale="ents")
    assert list(marked(named).values()) == [("NEG", "Anna:"), ("POS", "Anna")]


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ([{"spans": {"a": [SPAN], "b": []}}, {"spans": {"a": [], "b": [PERSON]}}], "'a', 'b'"),
        ([{"ents": [SPAN], "spans": []}, {"ents": [], "spans": [PERSON]}], "'ents', 'spans'"),
    ],
)
def test_of_several_kinds_one_must_be_named(tmp_path, kinds, told):
    rows = [{"text": "Anna saw a dull film.", "cats": CATS, **kind} for kind in kinds]
    path = write(tmp_path / "x.jsonl", rows)
    with pytest.raises(InputError) as error:
        imported(path)
    expected = "one kind of spans, or its name as --rationale (with --form spacy)"
    assert str(error.value) == f"{path}: expected {expected}, got {told}"


def test_a_table_with_a_column_of_rationales_stays_a_table(tmp_path):
    rows = [
        {"text": "A truly awful film.", "label": "NEG", "rationale": [[2, 13]], "ents": [SPAN]},
        {"text": "A warm and moving film.", "label": "POS", "rationale": [[2, 17]], "ents": []},
    ]
    found = imported(write(tmp_path / "x.jsonl", rows))
    assert list(marked(found).values()) == [("NEG", "truly awful"), ("POS", "warm and moving")]
    assert found.notes == ("form of the rationales: chars",)

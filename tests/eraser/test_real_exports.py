"""Real exports of annotation tools, and data sets that others keep in forms of their own."""

from __future__ import annotations

import tarfile

import pytest

from tests.helpers.exports import imported
from tests.helpers.paths import data


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    with tarfile.open(data("other_formats", ".tar.xz")) as archive:
        archive.extractall(folder, filter="data")
    return folder / "other_formats"


CASES = {  # path → options, the form, texts, texts with marks
    "label_studio/export.json": ({"label_from": "spans"}, "Label Studio's JSON", 5, 5),
    "doccano/labeling/labeling_text_label.jsonl": ({"label_from": "spans"}, "doccano's JSONL", 2, 2),
    "doccano/labeling/labeling.jsonl": ({"label_from": "spans"}, "doccano's JSONL", 2, 2),
    "doccano/labeling/labeling.conll2003.user2": (
        {"label_from": "spans"},
        "lines of tokens with BIO tags",
        2,
        2,
    ),
    "doccano/classification/classification.jsonl": ({}, "doccano's JSONL", 3, 0),
    "prodigy/drugs_eval.jsonl": ({"label_from": "spans"}, "Prodigy's JSONL", 500, 143),
    "prodigy/fashion_brands_eval.jsonl": ({"label_from": "spans"}, "Prodigy's JSONL", 500, 129),
    "prodigy/docs_issues_training.jsonl": ({}, "spaCy's JSONL", 661, 0),
    "fair_rationales/sst.jsonl": ({}, "a list of annotators in each row", 257, 257),
}


@pytest.mark.parametrize("path", CASES)
def test_an_export_is_recognised_and_read(real, path):
    how, form, n, n_marked = CASES[path]
    found = imported(real / path, **how)
    assert found.notes[0] == f"form: {form}"
    assert len(found.splits["test"]) == n
    assert sum(bool(e.gold) for e in found.splits["test"]) == n_marked


def test_the_labels_of_spans_are_counted(real):
    notes = imported(real / "label_studio" / "export.json", label_from="spans").notes
    assert notes[1] == (
        "labels of spans: PER 72, LOC 15, ITEM 13, COMM 6, ORG 5, VEH 2, FIN 2 (--span-labels chooses)"
    )
    assert "spans whose words differ from those that the file gives beside them: 17 of 115" in notes
    notes = imported(real / "prodigy" / "drugs_eval.jsonl", label_from="spans").notes
    assert notes[1] == "labels of spans: DRUG 362 (--span-labels chooses)"


def test_two_users_of_one_doccano_project_stay_apart(real):
    found = imported(real / "doccano" / "labeling" / "labeling.jsonl", label_from="spans")
    assert [e.annotator_names for e in found.splits["test"]] == [("1", "2"), ("2",)]


@pytest.mark.slow  # a few such rows: test_quotes_and_spellings.py
def test_rows_that_end_beyond_their_text_are_left_out_by_name(real):
    path = real / "toxic_spans" / "train.jsonl"
    found = imported(path, rationale="char_spans", label_from="spans", skip_invalid=True)
    assert len(found.splits["test"]) == 7939 - 41
    assert any(note.startswith("rows left out as invalid: 41: tsd_train_287, ") for note in found.notes)


@pytest.mark.slow
def test_two_annotators_of_seven_thousand_comments(real):
    found = imported(real / "hatebrxplain" / "all.jsonl", rationale="rationales")
    assert len(found.splits["test"]) == 7000
    assert all(len(e.annotators) == 2 for e in found.splits["test"])


def test_spans_of_characters_beside_spans_of_other_words(real):
    found = imported(real / "imdb_rationales" / "all.jsonl")
    assert "column of the rationales: char_spans" in found.notes
    assert (len(found.splits["test"]), sum(bool(e.gold) for e in found.splits["test"])) == (855, 852)

"""Columns, rows and users of several annotators: they stay apart, in memory, on disk and in a table."""

from __future__ import annotations

import json

import pytest

from eraser import InputError
from eraser.data import on_disk
from eraser.data.custom.annotators import UNIQUE
from eraser.data.custom.options import ImportOptions
from eraser.data.custom.read import read_custom
from eraser.data.write_eraser import write_eraser
from eraser.load import load
from eraser.metrics.annotators import agreement_rows
from tests.helpers.eraser.own_files import FILMS, refused, save
from tests.helpers.exports import each, imported, marked, write

TEXT = "A truly awful film."
ANNA = {"id": 1, "text": TEXT, "label": "NEG", "annotator": "anna", "rationale": [[2, 13]]}
BEN = ANNA | {"annotator": "ben", "rationale": [[8, 18]]}
ONE = {"id": 2, "text": "A warm film.", "label": "POS", "annotator": "ben", "rationale": [[2, 6]]}
WANTED = {"1": {"anna": [(1, 3)], "ben": [(2, 4)]}, "2": {"ben": [(1, 2)]}}


def test_rows_of_one_id_are_one_text(tmp_path):
    found = imported(save(tmp_path / "x.csv", [ANNA, BEN, ONE]))
    assert each(found) == WANTED
    assert marked(found) == {"1": ("NEG", "truly awful film."), "2": ("POS", "warm")}
    assert found.notes == (
        "form of the rationales: chars",
        "spans that begin or end inside a word, and mark all of it: 1 of 3 (fewer with --words punctuation)",
        "annotators: 2; texts that more than one saw: 1 of 2",
        "texts on whose label all annotators agree: 2 of 2",
    )


def test_without_ids_rows_of_one_text_are_one(tmp_path):
    rows = [{k: v for k, v in row.items() if k != "id"} for row in (ANNA, BEN, ONE)]
    found = imported(save(tmp_path / "x.csv", rows))
    assert each(found) == {"test-00001": WANTED["1"], "test-00003": WANTED["2"]}


def test_without_ids_rows_of_one_text_are_one_wherever_its_marks_stand(tmp_path):
    rows = [
        {"text": "A [[truly awful]] film.", "label": "NEG", "annotator": "anna"},
        {"text": "A truly [[awful film]].", "label": "NEG", "annotator": "ben"},
        {"text": "A [[warm]] film.", "label": "POS", "annotator": "ben"},
    ]
    found = imported(save(tmp_path / "x.csv", rows))
    assert each(found) == {"test-00001": WANTED["1"], "test-00003": WANTED["2"]}
    path = save(tmp_path / "y.csv", [*rows, rows[0] | {"text": "A truly [[awful]] film."}])
    skip = "--skip-invalid (of data import, evaluate, trust) leaves such rows out, and says which"
    told = f"{path}:5: test-00004: duplicate text and annotator 'anna', first at {path}:2"
    refused({"test": path}, ImportOptions(), told, skip)


def test_a_column_for_each_annotator(tmp_path):
    rows = [
        {"id": 1, "text": TEXT, "label": "NEG", "anna": [[2, 13]], "ben": [[8, 18]]},
        {"id": 2, "text": "A warm film.", "label": "POS", "anna": None, "ben": [[2, 6]]},
        {"id": 3, "text": "Hm.", "label": "POS", "anna": None, "ben": None},
    ]
    found = imported(write(tmp_path / "x.jsonl", rows), rationale="anna, ben")
    assert each(found) == WANTED | {"3": {}}


def test_a_label_without_a_majority_is_left_out_and_counted(tmp_path):
    found = imported(
        save(tmp_path / "x.csv", [ANNA, BEN | {"label": "POS"}, ONE, ONE | {"id": 3, "label": "NEG"}])
    )
    assert list(marked(found)) == ["2", "3"]
    assert "texts left out for want of a majority label: 1" in found.notes


def test_what_cannot_be_of_one_text_is_told(tmp_path):
    path = save(tmp_path / "x.csv", [ANNA, BEN | {"text": "A truly awful movie."}, ONE, ONE])
    with pytest.raises(InputError) as error:
        imported(path)
    assert str(error.value).splitlines() == [
        f"{path}:3: 1: expected the text and query of the other annotators, got 'A truly awful movie.'",
        f"{path}:5: 2: duplicate id and annotator 'ben', first at {path}:4",
    ]


def test_a_file_for_each_annotator_and_no_ids(tmp_path):
    """Each file numbers its rows from 1: the texts stay what they are."""
    folder = tmp_path / "users"
    folder.mkdir()
    rows = [{k: v for k, v in row.items() if k not in ("id", "annotator")} for row in (ANNA, ONE, BEN)]
    write(folder / "anna.jsonl", rows[:2])
    write(folder / "ben.jsonl", [{"text": "Hm.", "label": "POS", "rationale": []}, rows[2]])
    found = imported(folder)
    assert {id: document.string for id, document in found.documents.items()} == {
        "anna-test-00001": TEXT, "anna-test-00002": "A warm film.", "ben-test-00001": "Hm."
    }  # fmt: skip
    assert each(found) == {
        "anna-test-00001": WANTED["1"],
        "anna-test-00002": {"anna": [(1, 2)]},
        "ben-test-00001": {"ben": []},
    }


@pytest.mark.parametrize("who", [None, "ben"])
@pytest.mark.parametrize("skip", [False, True])
def test_ids_that_two_splits_share_are_told_and_no_row_is_left_out(tmp_path, who, skip):
    """Text 1 of train is another than text 1 of test, whoever saw them."""
    one, other = (
        save(tmp_path / f"{split}.csv", [row, ONE | {"id": split}])
        for split, row in (("train", ANNA), ("test", ANNA | {"text": "A truly warm film.", "annotator": who}))
    )
    told = f"{other}:2: 1: duplicate id, first at {one}:2{UNIQUE}"
    refused({"train": one, "test": other}, ImportOptions(rationale_form="chars", skip_invalid=skip), told)


def test_an_id_of_ones_own_may_not_be_one_that_was_made(tmp_path):
    folder = tmp_path / "users"
    folder.mkdir()
    write(folder / "anna.jsonl", [{"text": TEXT, "label": "NEG"}])
    write(folder / "ben.jsonl", [{"id": "anna-test-00001", "text": "A warm film.", "label": "POS"}])
    told = f"{folder}/ben.jsonl:1: anna-test-00001: duplicate id, first at {folder}/anna.jsonl:1{UNIQUE}"
    refused({"test": folder}, ImportOptions(), told)


@pytest.mark.parametrize("large", [False, True])
def test_annotators_come_back_from_disk(tmp_path, large, monkeypatch):
    found = imported(save(tmp_path / "x.csv", [ANNA, BEN, ONE]))
    write_eraser(found, tmp_path / "out")
    if large:
        monkeypatch.setattr(on_disk, "LARGE", 0)
    again = load("own", tmp_path / "out")
    assert list(again.splits["test"]) == list(found.splits["test"])
    lines = (tmp_path / "out" / "test.jsonl").read_text().splitlines()
    assert "annotators" not in json.loads(lines[0])  # ERASER's own reader takes no other fields


def test_without_annotators_nothing_is_added_on_disk(tmp_path):
    read = read_custom(
        "own", {"test": save(tmp_path / "x.csv", FILMS)}, ImportOptions(rationale_form="chars")
    )
    write_eraser(read, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["docs.jsonl", "test.jsonl", "words.json"]


@pytest.mark.parametrize("large", [False, True])
def test_evidence_outside_the_text_is_told_with_its_line(tmp_path, large, monkeypatch):
    write_eraser(imported(save(tmp_path / "x.csv", [ANNA, BEN, ONE])), tmp_path / "out")
    place = tmp_path / "out" / "test.annotators.jsonl"
    place.write_text(place.read_text().replace('"end_token": 4', '"end_token": 5'))
    if large:
        monkeypatch.setattr(on_disk, "LARGE", 0)
    with pytest.raises(InputError) as error:
        load("own", tmp_path / "out")
    assert str(error.value) == f"{place}:1: 1: expected a span inside '1' (4 words), got 2:5"


def test_agreement_is_worked_out_by_hand(tmp_path):
    """anna marks words 1 2, ben 2 3 of four: token F1 1/2 each; one of two unmarked is picked by each."""
    rows = agreement_rows(imported(save(tmp_path / "x.csv", [ANNA, BEN, ONE])))
    assert [(r["split"], r["others"], r["metric"], r["value"], r["n"], r["left_out"]) for r in rows] == [
        ("test", "union", "token_f1", 0.5, 1, 1),
        ("test", "union", "iou_f1_one_to_one", 0.0, 1, 1),
        ("test", "union", "false_positive_rate", 0.5, 1, 1),
    ]
    assert agreement_rows(imported(save(tmp_path / "y.csv", [ANNA, ONE]))) == []

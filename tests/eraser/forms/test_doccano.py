from __future__ import annotations

import pytest

from tests.helpers.exports import each, imported, marked, write

TEXTS = ("A truly awful film. Do not go.", "A warm film.")


@pytest.mark.parametrize("name", ["entities", "label", "labels"])
@pytest.mark.parametrize("as_object", [False, True])
def test_both_forms_of_spans_are_read_beside_cats(tmp_path, name, as_object):
    spans = [[[2, 13, "REASON"]], []]
    if as_object:
        spans[0] = [{"id": 1, "label": "REASON", "start_offset": 2, "end_offset": 13}]
    rows = [
        {"id": n, "text": t, name: s, "cats": [c]}
        for n, (t, s, c) in enumerate(zip(TEXTS, spans, ("NEG", "POS"), strict=True))
    ]
    found = imported(write(tmp_path / "x.jsonl", rows))
    assert marked(found) == {"0": ("NEG", "truly awful"), "1": ("POS", "")}
    assert found.notes[:2] == ("form: doccano's JSONL", "labels of spans: REASON 1 (--span-labels chooses)")


def test_the_annotations_of_users_stay_apart(tmp_path):
    def of(user, start, end):
        return {"label": 3, "start_offset": start, "end_offset": end, "user": user}

    rows = [
        {"id": 7, "text": TEXTS[0], "annotations": [of(1, 2, 7), of(2, 8, 13), of(2, 14, 18)], "kind": "NEG"},
        {"id": 8, "text": TEXTS[1], "annotations": [of(2, 2, 6)], "kind": "POS"},
    ]
    found = imported(write(tmp_path / "x.jsonl", rows), label="kind")
    assert marked(found) == {"7": ("NEG", "truly awful film."), "8": ("POS", "warm")}
    assert each(found) == {"7": {"1": [(1, 2)], "2": [(2, 4)]}, "8": {"2": [(1, 2)]}}


def test_labels_of_users_without_spans_are_classes(tmp_path):
    rows = [{"id": n, "text": t, "annotations": [{"label": 15 + n, "user": 1}]} for n, t in enumerate(TEXTS)]
    assert marked(imported(write(tmp_path / "x.jsonl", rows))) == {"0": ("15", ""), "1": ("16", "")}


def test_a_folder_has_a_file_for_each_user(tmp_path):
    (tmp_path / "export").mkdir()
    for user, start in (("anna", 2), ("ben", 8)):
        rows = [{"id": 1, "text": TEXTS[0], "cats": ["NEG"], "entities": [[start, 13, "R"]]},
                {"id": 2, "text": TEXTS[1], "cats": ["POS"], "entities": []}]  # fmt: skip
        write(tmp_path / "export" / f"{user}.jsonl", rows)
    found = imported(tmp_path / "export")
    assert marked(found) == {"1": ("NEG", "truly awful"), "2": ("POS", "")}
    assert each(found) == {"1": {"anna": [(1, 3)], "ben": [(2, 3)]}, "2": {"anna": [], "ben": []}}
    assert "annotators: 2; texts that more than one saw: 2 of 2" in found.notes


def test_only_spans_of_the_named_labels_are_evidence_and_the_others_are_counted(tmp_path):
    rows = [{"text": TEXTS[0], "cats": ["NEG"], "entities": [[2, 13, "REASON"], [14, 18, "WORK"]]},
            {"text": TEXTS[1], "cats": ["POS"], "entities": []}]  # fmt: skip
    path = write(tmp_path / "x.jsonl", rows)
    assert [words for _, words in marked(imported(path)).values()] == ["truly awful film.", ""]
    found = imported(path, span_labels=("REASON",))
    assert [words for _, words in marked(found).values()] == ["truly awful", ""]
    assert "spans of other labels left out: 1" in found.notes


@pytest.mark.parametrize("nobody", [None, ""])
def test_an_annotator_who_is_not_named_is_none(tmp_path, nobody):
    row = {"text": "A dull film.", "cats": ["NEG"], "entities": [[2, 6, "R"]]}
    rows = [
        row | {"id": 1, "who": nobody, "cats": ["POS"]},
        row | {"id": 2, "who": "anna"},
        row | {"id": 2, "who": 7},
    ]
    found = imported(write(tmp_path / "x.jsonl", rows), annotator="who")
    assert [e.annotator_names for e in found.splits["test"]] == [("",), ("anna", "7")]
    assert "annotators: 2; texts that more than one saw: 1 of 2" in found.notes

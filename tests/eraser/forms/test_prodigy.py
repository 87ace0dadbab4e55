from __future__ import annotations

from tests.helpers.export_rows import PRODIGY_NEG, PRODIGY_POS, prodigy_row
from tests.helpers.exports import each, imported, marked, write


def test_accepted_answers_are_read_and_the_others_counted(tmp_path):
    others = [("Hm", "reject"), ("Well", "ignore"), ("So", "ignore")]
    rows = [PRODIGY_NEG, PRODIGY_POS, *(prodigy_row(text, [], answer) for text, answer in others)]
    found = imported(write(tmp_path / "x.jsonl", rows))
    assert list(marked(found).values()) == [("NEG", "truly awful"), ("POS", "warm")]
    assert found.notes == (
        "form: Prodigy's JSONL",
        "labels of spans: R 2 (--span-labels chooses)",
        "answers left out: reject: 1",
        "answers left out: ignore: 2",
        "form of the rationales: chars",
    )


def test_one_input_shown_to_several_is_one_text(tmp_path):
    rows = [
        PRODIGY_NEG | {"_annotator_id": "set-anna", "_input_hash": 4},
        PRODIGY_NEG
        | {"_annotator_id": "set-ben", "_input_hash": 4, "spans": [{"start": 8, "end": 13, "label": "R"}]},
        PRODIGY_POS | {"_annotator_id": "set-ben", "_input_hash": -5},
    ]
    found = imported(write(tmp_path / "x.jsonl", rows))
    assert each(found) == {"4": {"set-anna": [(1, 3)], "set-ben": [(2, 3)]}, "-5": {"set-ben": [(1, 2)]}}


def test_the_class_may_be_a_label_or_cats(tmp_path):
    rows = [prodigy_row("A", [], label="NEG"), prodigy_row("Be", [], cats={"POS": 1, "NEG": 0})]
    assert [label for label, _ in marked(imported(write(tmp_path / "x.jsonl", rows))).values()] == [
        "NEG",
        "POS",
    ]


def test_texts_without_a_class_may_take_it_from_their_spans(tmp_path):
    rows = [prodigy_row("A truly awful film.", [(2, 13)]), prodigy_row("A warm film.", [])]
    found = imported(write(tmp_path / "x.jsonl", rows), label_from="spans")
    assert list(marked(found).values()) == [("R", "truly awful"), ("none", "")]

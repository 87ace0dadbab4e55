from __future__ import annotations

import pytest

from eraser import InputError
from tests.helpers.exports import each, imported, marked, write

WORDS = ["A", "truly awful", "film."]


def test_masks_over_listed_words_and_the_label_of_most(tmp_path):
    people = [("a", "NEG", [0, 1, 0]), ("b", "POS", [0, 1, 1]), ("c", "NEG", [0, 0, 0])]
    row = {"text_id": "t", "tokens": WORDS, "annotators": [
        {"annotator": n, "label": label, "rationale": mask} for n, label, mask in people
    ]}  # fmt: skip
    tied = row | {"text_id": "u", "annotators": row["annotators"][:2]}
    other = row | {"text_id": "v", "annotators": [row["annotators"][1]]}
    found = imported(write(tmp_path / "x.jsonl", [row, tied, other]))
    assert marked(found) == {"t": ("NEG", "truly awful film."), "v": ("POS", "truly awful film.")}
    assert each(found)["t"] == {"a": [(1, 3)], "b": [(1, 4)], "c": []}
    assert found.notes[2:] == (
        "annotators: 3; texts that more than one saw: 2 of 3",
        "texts on whose label all annotators agree: 1 of 3",
        "texts left out for want of a majority label: 1",
        "answers with another label than the majority's, whose marks count too: 1",
    )


def test_spans_of_characters_in_a_column_that_is_named(tmp_path):
    people = [{"char_spans": [[2, 7]]}, {"char_spans": [[8, 13]]}]
    rows = [{"id": n, "text": "A truly awful film.", "label": n, "why": people} for n in range(2)]
    found = imported(write(tmp_path / "x.jsonl", rows), rationale="why")
    assert each(found) == {str(n): {"1": [(1, 2)], "2": [(2, 3)]} for n in range(2)}


def test_a_mask_of_another_length_is_told(tmp_path):
    path = write(
        tmp_path / "x.jsonl",
        [{"id": 1, "tokens": WORDS, "label": "A", "annotators": [{"rationale": [0, 1]}]}],
    )
    with pytest.raises(InputError) as error:
        imported(path)
    assert (
        str(error.value).splitlines()[0] == f"{path}:1: 1: expected a 0 or 1 for each of 3 words, got 2 items"
    )


def test_a_text_that_nobody_saw_has_no_annotator(tmp_path):
    people = [{"rationale": [[2, 6]]}, {"rationale": []}]
    rows = [
        {"id": n, "text": "A dull film.", "label": n, "annotators": p} for n, p in enumerate(([], people))
    ]
    found = imported(write(tmp_path / "x.jsonl", rows))
    assert each(found) == {"0": {}, "1": {"1": [(1, 2)], "2": []}}

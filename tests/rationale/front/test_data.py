"""`rationale.load_data`: by name, by place, and files of the user's own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import rationale
from eraser import InputError
from eraser.load import SAMPLE
from rationale.front.given import named_dataset
from tests.helpers.eraser.own_files import FILMS, films, gold, save


def test_by_name_and_by_place():
    named, placed = rationale.load_data(), rationale.load_data(SAMPLE)
    assert named.name == placed.name == "sample"
    assert named.splits.keys() == placed.splits.keys()
    assert rationale.load_data(str(SAMPLE)).splits["test"] == named.splits["test"]


@pytest.mark.parametrize("kind", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_one_file_is_divided_and_keeps_its_marks(tmp_path, kind):
    rows = [{**row, "text": f"{row['text']} [[film]]"} for row in films(20)]
    data = rationale.load_data(
        save(tmp_path / f"mine.{kind}", rows), rationale_form="marks", fractions=(0.5, 0.2, 0.3)
    )
    assert data.name == "mine"
    assert {split: len(found) for split, found in data.splits.items()} == {"train": 10, "val": 4, "test": 6}
    assert set(map(tuple, gold(data).values())) == {(2,)}


def test_a_file_for_each_split_with_columns_of_other_names(tmp_path):
    rows = [{"review": row["text"], "stars": row["label"]} for row in films(4)]
    files = {
        split: save(tmp_path / f"{split}.csv", rows[at : at + 2]) for split, at in (("train", 0), ("test", 2))
    }
    data = rationale.load_data(files, text="review", label="stars")
    assert [data.text(e).string for e in data.splits["test"]] == ["film 2", "film 3"]
    assert data.labels == ("A", "B")


def test_character_offsets_are_read_as_the_command_reads_them(tmp_path):
    data = rationale.load_data({"test": save(tmp_path / "f.jsonl", FILMS)}, rationale_form="chars")
    assert gold(data) == {"a": [1, 2], "b": [1], "c": []}


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"expected an option of annotator, .*, form, .* got txet"):
        rationale.load_data(tmp_path / "a.csv", txet="review")
    with pytest.raises(InputError, match="expected no rationale_form for data that are not in"):
        rationale.load_data("sample", rationale_form="marks")


def half(texts):
    return np.full((len(texts), 2), 0.5)


def test_evaluate_takes_a_file_for_each_split_as_load_data_does(tmp_path):
    model = rationale.load(half, labels=["A", "B"])
    file = save(tmp_path / "films.csv", films(4))
    of_split = rationale.evaluate(model, {"test": file}, "random").scores
    loaded = rationale.evaluate(model, rationale.load_data({"test": file}), "random").scores
    kept = of_split.metric != "cost"
    pd.testing.assert_frame_equal(of_split[kept], loaded[kept])
    assert named_dataset({"test": str(file)}, "test").splits == rationale.load_data({"test": file}).splits
    assert {split: len(found) for split, found in named_dataset(file, "val").splits.items()} == {"val": 4}


@pytest.mark.parametrize(("given", "got"), [(5, "5"), ({"test": 5}, "5"), ([1, 2], r"\[1, 2\]")])
def test_what_is_no_data_is_refused(given, got):
    message = f"^expected data by name, by path, or as a file for each split, got {got}$"
    model = rationale.load(half, labels=["A", "B"])
    for use in (rationale.load_data, lambda data: rationale.evaluate(model, data),
                lambda data: rationale.trust(model, data)):  # fmt: skip
        with pytest.raises(InputError, match=message):
            use(given)

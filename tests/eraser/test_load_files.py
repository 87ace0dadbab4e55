"""A file of rows is a data set of one split; what a data set is called where nobody says."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from eraser import InputError
from eraser.data.custom.tables import LABELLED
from eraser.load import NO_RATIONALES, load, named
from rationale import load_data
from tests.helpers.eraser.own_files import FILMS, films, gold, save


@pytest.mark.parametrize("kind", LABELLED)
def test_a_file_is_one_split(tmp_path, kind):
    rows = [row | {"rationale": [[0, 6]] if row["id"] == "c" else row["rationale"]} for row in FILMS]
    file = save(tmp_path / f"films{kind}", rows)
    found = load(path=file)
    assert (found.name, found.source, list(found.splits)) == ("films", str(file), ["test"])
    assert gold(found) == {"a": [1, 2], "b": [1], "c": [0]}
    assert found.labels == ("NEG", "POS")
    assert NO_RATIONALES not in found.notes
    assert found.text(found.splits["test"][0]).file == str(file)
    other = load("own", file, split="val")
    assert (other.name, list(other.splits)) == ("own", ["val"])


def test_a_file_with_one_label_can_measure_a_model_but_not_train_one(tmp_path):
    file = save(tmp_path / "x.csv", films(3, "A"))
    assert load(path=file).labels == ("A",)
    assert load_data({"test": file}).labels == ("A",)
    for files in (file, {"train": file, "val": file}):
        with pytest.raises(InputError, match="expected at least two labels, got 'A' in every row"):
            load_data(files)


@pytest.mark.parametrize("name", ["x.csv.gz", "x.jsonl.gz", "x.ndjson", "x.zip", "x.arrow", "x.xls"])
def test_a_file_of_another_kind_is_told_what_can_be_read(tmp_path, name):
    rows = b"text,label\na,b\n" * 100
    (tmp_path / name).write_bytes(gzip.compress(rows) if name.endswith("gz") else rows)
    with pytest.raises(InputError) as error:
        load(path=tmp_path / name)
    kinds = "a .csv, .tsv, .json, .jsonl, .parquet or .xlsx file (unpacked)"
    assert str(error.value) == (
        f"{tmp_path}/{name}: expected a folder, a .tar.gz archive, or {kinds}, got {name!r}"
    )


def test_a_folder_of_tables_is_told_how_to_become_a_data_set(tmp_path):
    file = save(tmp_path / "test.jsonl", [{"text": "dull", "label": "NEG"}, {"annotation_id": None}])
    remedy = "`rationale data import --train FILE --test FILE` makes a data set of such rows"
    with pytest.raises(InputError) as error:
        load(path=tmp_path)
    assert str(error.value).splitlines() == [
        f"{file}:1: expected a new annotation_id string, got a row with text and label: {remedy}",
        f"{file}:2: expected a new annotation_id string, got None",
    ]


def test_without_rationales_it_says_so(tmp_path):
    found = load(path=save(tmp_path / "x.csv", [{k: r[k] for k in ("text", "label")} for r in FILMS]))
    assert found.notes[-1] == NO_RATIONALES
    assert np.isnan(found.human_share("test"))


def test_what_no_data_set_can_be_made_of(tmp_path):
    text, table = save(tmp_path / "x.txt", FILMS), save(tmp_path / "x.csv", FILMS)
    need = "a .csv, .tsv, .json, .jsonl, .parquet or .xlsx file with the columns text and label"
    for file, split, told in (
        (text, "test", f"expected {need}, got a .txt file, which has no labels"),
        (table, "dev", "expected a split of train, val, test to read the file as, got 'dev'"),
    ):
        with pytest.raises(InputError) as error:
            load(path=file, split=split)
        assert str(error.value) == f"{file}: {told}"
    with pytest.raises(InputError, match="no such data set folder or .tar.gz archive"):
        load(path=tmp_path / "none.csv")


def test_other_splits_are_not_in_a_file(tmp_path):
    with pytest.raises(InputError, match="train: no examples in this split"):
        load(path=save(tmp_path / "x.csv", FILMS), splits=["train"])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/movies", "movies"), ("a/movies/", "movies"), ("movies.v2", "movies.v2"), ("m.tar.gz", "m"),
        ("m.TGZ", "m"), ("m.tar", "m"), ("m.tar.xz", "m"), ("m.csv", "m"), ("m.2.parquet", "m.2"),
        ("a/..", "here"), (".", "here"), ("/", "data"),
    ],
)  # fmt: skip
def test_a_path_names_itself(tmp_path, monkeypatch, path, name):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert named(None, path) == name
    assert named("own", path) == "own"


def test_only_without_name_and_path_is_it_the_sample():
    assert load().name == "sample"

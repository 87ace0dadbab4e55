"""The same rows in every form of file; what is wrong with one is told with its line."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pandas as pd
import pytest

from eraser import InputError
from eraser.data.custom.options import ImportOptions
from eraser.data.custom.read import read_custom
from eraser.data.custom.tables import LABELLED, READERS, rows_of
from eraser.data.kinds import json_rows
from eraser.errors import Fault
from tests.helpers.eraser.own_files import FILMS, gold, save

ROWS = [{"text": 'Äh, "well"', "n": "1"}, {"text": "a\tb", "n": "2"}, {"text": "x 🎬 {[,]}", "n": "3"}]


@pytest.mark.parametrize("kind", LABELLED)
def test_every_form_gives_the_same_rows(tmp_path, kind):
    assert [row for _, row in rows_of(save(tmp_path / f"x{kind}", ROWS))] == ROWS


def test_a_text_on_each_line(tmp_path):
    (tmp_path / "x.txt").write_bytes("\ufeffone\r\n\n  two \n \nthree".encode())
    assert list(rows_of(tmp_path / "x.txt")) == [
        (1, {"text": "one"}), (3, {"text": "  two "}), (5, {"text": "three"}),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", LABELLED)
def test_every_form_gives_the_same_data_set(tmp_path, kind):
    found = read_custom(
        "own", {"test": save(tmp_path / f"x{kind}", FILMS)}, ImportOptions(rationale_form="chars")
    )
    assert gold(found) == {"a": [1, 2], "b": [1], "c": []}
    assert [e.label for e in found.splits["test"]] == ["NEG", "POS", "POS"]


@pytest.mark.parametrize("block", [1, 2, 7, 64, 2**20])
@pytest.mark.parametrize("indent", [None, 3])
def test_an_array_is_read_block_by_block(tmp_path, monkeypatch, block, indent):
    monkeypatch.setattr(json_rows, "CHUNK", block)
    rows = [{"n": n, "t": "]},{" * n, "deep": [[n, {"a": None}], True, -1.5e-3]} for n in range(40)]
    (tmp_path / "x.json").write_text(json.dumps(rows, indent=indent))
    assert [row for _, row in rows_of(tmp_path / "x.json")] == rows


def test_rows_begin_on_the_lines_they_are_told_to(tmp_path):
    (tmp_path / "x.json").write_text('\n[\n {"a":\n 1},\n\n {"a": 2}]\n')
    assert list(rows_of(tmp_path / "x.json")) == [(3, {"a": 1}), (6, {"a": 2})]
    (tmp_path / "x.csv").write_text('a,b\n"1\n1",2\n\n3,4\n')
    assert list(rows_of(tmp_path / "x.csv")) == [(2, {"a": "1\n1", "b": "2"}), (5, {"a": "3", "b": "4"})]


A_LIST = "expected a JSON array of objects (JSON lines, an object on each, are a .jsonl file), got"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.json", b"", f"x.json:1: {A_LIST} an empty file"),
        ("x.json", b'\n{"text": 1}', f"x.json:2: {A_LIST} '{{'"),
        ("x.json", b'[{"a": 1}\n{"a": 2}]', "x.json:2: expected a comma or the array's end, got '{'"),
        ("x.json", b'[{"a": 1}', "x.json:1: expected a comma or the array's end, got the file's end"),
        ("x.json", b'[\n{"a":\n oops}]', "x.json:3: expected one JSON object, got Expecting value"),
        ("x.json", b'[{"a": "b', "x.json:1: expected one JSON object, got Unterminated string starting at"),
        ("x.json", b"[{}]\n[]", "x.json:2: expected nothing after the array, got '['"),
        ("x.json", b"[" * 100_000, "x.json:1: expected one JSON object, got maximum recursion depth"),
        (
            "x.json",
            b'[\n{"a": "\x81"}]',
            "x.json:2: expected UTF-8 text (--encoding names another), got 'utf-8' codec",
        ),
        ("x.parquet", b"text,label\n", "x.parquet: expected a readable Parquet file, got ArrowInvalid"),
        ("none.csv", None, "none.csv: expected a readable file, got No such file"),
    ],
)
def test_a_file_that_breaks_off_is_told(tmp_path, name, content, told):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        list(rows_of(tmp_path / name))
    assert str(error.value).startswith(f"{tmp_path}/{told}")


def test_an_element_that_is_no_object_is_one_fault(tmp_path):
    (tmp_path / "x.json").write_text('[{"a": 1},\n3, {"a": 2}]')
    found = list(rows_of(tmp_path / "x.json"))
    assert found == [
        (1, {"a": 1}), Fault("one JSON object", "3", tmp_path / "x.json", 2), (2, {"a": 2}),
    ]  # fmt: skip


def _large(path: Path) -> Path:
    rows = [{"text": f"{n:08d} " * 500} for n in range(4000)]  # 18 MB
    if path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path, row_group_size=100)
        return path
    return save(path, rows)


@pytest.mark.parametrize("kind", [k for k in READERS if k != ".xlsx"])  # a workbook's strings are, to a bound
def test_a_large_file_is_not_held(tmp_path, kind):
    path = _large(tmp_path / f"x{kind}")
    tracemalloc.start()
    n = sum(1 for _ in rows_of(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n == 4000
    assert peak < 9_000_000

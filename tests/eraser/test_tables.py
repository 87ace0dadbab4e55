from __future__ import annotations

import csv

import pytest

from eraser import InputError
from eraser.data.custom.options import ColumnNames, ImportOptions
from eraser.data.custom.read import read_custom
from eraser.data.custom.rows import read_records
from tests.helpers.eraser.own_files import FILMS, changed, refused, save

PAIR = "expected [start, end) in characters, 0 <= start < end <= 19, got "
NO_LIST = "expected a list of [start, end) in characters, got "
QUOTES = "expected fields in quotes as CSV has them, got "


def empty(column: str, got: str) -> str:
    return f"expected a non-empty string in column '{column}', got {got}"


def test_files_as_spreadsheets_and_other_systems_write_them(tmp_path):
    """A byte order mark, CR LF, line breaks in a text, a very long one, spaces about names, blank lines."""
    text = 'long "quoted", ' * 20_000
    lines = [" text , label", "", f'"{text.replace(chr(34), chr(34) * 2)}",A', '"two\r\nlines", B ', "c,D"]
    path = tmp_path / "X.CSV"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    limit = csv.field_size_limit()
    one, two, three = read_records("val", path, ImportOptions(), [], [])
    assert csv.field_size_limit() == limit
    assert [(r.id, r.line) for r in (one, two, three)] == [
        ("val-00001", 3),
        ("val-00002", 4),
        ("val-00003", 6),
    ]
    assert one.string("text") == text
    assert (two.string("text"), two.string("label")) == ("two\r\nlines", "B")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_of_json_end_in_any_way(tmp_path, ending):
    (tmp_path / "x.jsonl").write_bytes(
        ending.join(['{"text": "a\u2028b", "label": 1}', "", '{"label": true}']).encode()
    )
    one, two = read_records("val", tmp_path / "x.jsonl", ImportOptions(), [], [])
    assert (one.line, one.string("text"), one.string("label")) == (1, "a\u2028b", "1")
    assert (two.line, two.string("label"), two.is_blank("text")) == (3, "True", True)


@pytest.mark.parametrize(("kind", "line"), [("csv", 2), ("tsv", 2), ("jsonl", 1)])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"text": ""}, "a: " + empty("text", "''")),
        ({"text": " \n"}, "a: " + empty("text", r"' \n'")),
        ({"label": " "}, "a: " + empty("label", "' '")),
        ({"id": ""}, "train-00001: " + empty("id", "''")),
        ({"rationale": [[2, 20]]}, f"a: {PAIR}[2, 20]"),
        ({"rationale": [["2", 7]]}, f"a: {PAIR}['2', 7]"),
        ({"rationale": "7"}, f"a: {NO_LIST}7"),
        ({"rationale": "truly awful"}, "a: expected a rationale as a JSON list, got 'truly awful'"),
    ],
)
def test_a_bad_field_is_told_with_file_line_and_id(tmp_path, kind, line, changes, told):
    files = {"train": save(tmp_path / f"x.{kind}", changed(0, **changes))}
    refused(files, ImportOptions(rationale_form="chars"), f"{{}}:{line}: {told}")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"text": 5}, "a: " + empty("text", "5")),
        ({"text": None}, "a: " + empty("text", "None")),
        ({"text": "\ud800"}, r"a: expected no lone surrogates in column 'text', got '\ud800'"),
        ({"label": float("nan")}, "a: " + empty("label", "nan")),
        ({"label": {"NEG": 1}}, "a: " + empty("label", "{'NEG': 1}")),
        ({"label": ["a|b"]}, "a: expected labels that are strings without | in column 'label', got 'a|b'"),
        ({"label": ["a", None]}, "a: expected labels that are strings without | in column 'label', got None"),
        ({"label": ["\ud800"]}, r"a: expected no lone surrogates in column 'label', got '\ud800'"),
        ({"id": "\ud800"}, r"train-00001: expected no lone surrogates in column 'id', got '\ud800'"),
        ({"query": ["Good ?"]}, "a: " + empty("query", "['Good ?']")),
        ({"rationale": 0}, f"a: {NO_LIST}0"),
        ({"rationale": False}, f"a: {NO_LIST}False"),
    ],
)
def test_a_field_of_another_type_is_told(tmp_path, changes, told):
    files = {"train": save(tmp_path / "x.jsonl", changed(0, **changes))}
    refused(files, ImportOptions(rationale_form="chars"), f"{{}}:1: {told}")


def test_faults_of_marks_are_told_beside_those_of_empty_fields(tmp_path):
    rows = [
        FILMS[0] | {"id": "", "rationale": [[2, 99]]},
        FILMS[0] | {"id": "b", "text": "", "rationale": [[2, 99], [3, 1]]},
        FILMS[0] | {"id": "c", "text": " ", "label": "", "rationale": "awful"},
    ]
    refused(
        {"train": save(tmp_path / "x.csv", rows)},
        ImportOptions(),
        "{}:2: train-00001: expected a non-empty string in column 'id', got ''",
        "{}:2: train-00001: expected [start, end) in characters, 0 <= start < end <= 19, got [2, 99]",
        "{}:3: b: expected a non-empty string in column 'text', got ''",
        "{}:3: b: expected [start, end) in characters, 0 <= start < end, got [3, 1]",
        "{}:4: c: expected a non-empty string in column 'text', got ' '",
        "{}:4: c: expected a non-empty string in column 'label', got ''",
        "{}:4: c: expected a rationale as a JSON list, got 'awful'",
    )


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("x.csv", b"", ["{}: the file has no rows"]),
        ("x.csv", b"text,label\n", ["{}: the file has no rows"]),
        ("x.jsonl", b"\n \n", ["{}: the file has no rows"]),
        ("x.csv", b"text,x,text\na,b,c\n", ["{}:1: expected each column once, got ['text', 'x', 'text']"]),
        ("x.csv", b'text,label\n"a\nb",A\nc\n', ["{}:4: expected 2 fields, as the header has, got 1"]),
        ("x.csv", b'text,label\na,A\n"b"c,B\n', [f"{{}}:3: {QUOTES}',' expected after '\"'"]),
        ("x.csv", b'text,label\na,A\n"b,B\nc,A\n', [f"{{}}:3: {QUOTES}unexpected end of data"]),
        ("x.jsonl", b'[1]\n{"text": "a", "label": "A"}\n', ["{}:1: expected one JSON object, got [1]"]),
        (
            "x.csv",
            b"text~label\na~A\n",
            [f"{{}}: expected a column '{name}', got only ['text~label']" for name in ("text", "label")],
        ),
        (
            "x.jsonl",
            b'{"Text": "a", "label": "A"}\n',
            ["{}: expected a column 'text', got only ['Text', 'label']"],
        ),
        ("x.ods", b"PK", ["{}: expected a .csv, .tsv, .json, .jsonl, .parquet or .xlsx file, got 'x.ods'"]),
    ],
)
def test_a_bad_file_is_told(tmp_path, name, content, lines):
    (tmp_path / name).write_bytes(content)
    refused({"train": tmp_path / name}, ImportOptions(), *lines)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_another_encoding_is_told_with_its_line(tmp_path, kind):
    (tmp_path / f"x.{kind}").write_bytes("\ufefftext\né\n".encode() + "é".encode("latin-1"))
    with pytest.raises(
        InputError, match=rf"x\.{kind}:3: expected UTF-8 text, got 'utf-8' codec can't decode"
    ):
        read_custom("own", {"test": tmp_path / f"x.{kind}"}, ImportOptions())


def test_every_line_that_is_not_json_is_told(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(b'{oops\r\n{"text": "a", "label": "A"}\r\nnull\r\n')
    with pytest.raises(InputError, match=r"x\.jsonl:1: expected one JSON object") as caught:
        read_custom("own", {"test": tmp_path / "x.jsonl"}, ImportOptions())
    assert [fault.line for fault in caught.value.faults] == [1, 3]


@pytest.mark.parametrize(
    ("columns", "form", "told"),
    [
        (ColumnNames(id="n"), "auto", "expected a column 'n', got only ['id', 'label', 'text']"),
        (ColumnNames(query="q"), "auto", "expected a column 'q', got only ['id', 'label', 'text']"),
        (ColumnNames(rationale="why"), "auto", "no file has a column 'why'"),
        (ColumnNames(), "tokens", "no file has a column 'rationale'"),
    ],
)
def test_a_column_that_is_asked_for_must_be_there(tmp_path, columns, form, told):
    rows = [{k: row[k] for k in ("id", "text", "label")} for row in FILMS]
    refused({"test": save(tmp_path / "x.csv", rows)}, ImportOptions(columns, form), f"{{}}: {told}")

"""Files as other programs write them: encodings, separators, workbooks; what is guessed is told."""

from __future__ import annotations

import csv
import re
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eraser import InputError
from eraser.data.custom.options import ImportOptions
from eraser.data.custom.read import read_custom
from eraser.data.custom.tables import TableOptions, rows_of
from eraser.data.kinds import excel
from eraser.data.kinds.encodings import find_encoding
from eraser.data.kinds.excel import CellError
from eraser.errors import Fault
from eraser.files import unpacked
from tests.helpers.eraser.own_files import write_workbook

ROWS = [{"text": "Ein naïver Film – „öde“", "label": "NEG"}, {"text": "Très bien, vraiment", "label": "POS"}]
TABLE = "text;label\nEin naïver Film – „öde“;NEG\nTrès bien, vraiment;POS\n"
GUESSED = "x.csv is no UTF-8: it was read as Windows-1252 (--encoding names another)"


def read(path: Path, **how) -> tuple[list, list[str]]:
    """The rows of a file without their lines, and what is told of it."""
    notes: list[str] = []
    found = list(rows_of(path, TableOptions(**how), notes))
    return [row if isinstance(row, Fault) else row[1] for row in found], notes


def refused(path: Path, told: str, **how) -> None:
    with pytest.raises(InputError) as error:
        read(path, **how)
    assert str(error.value) == f"{path}{told}"


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("utf-8", []), ("utf-8-sig", []), ("utf-16", []), ("utf-32", []), ("cp1252", [GUESSED])],
)
def test_an_encoding_is_found_out(tmp_path, encoding, told):
    (tmp_path / "x.csv").write_bytes(TABLE.encode(encoding))
    assert read(tmp_path / "x.csv") == (ROWS, [*told, "x.csv: fields are separated by semicolons"])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "cp1250", "mac_roman"])
def test_any_other_encoding_is_named(tmp_path, encoding):
    (tmp_path / "x.tsv").write_bytes("text\nöde\n".encode(encoding))
    assert read(tmp_path / "x.tsv", encoding=encoding)[0] == [{"text": "öde"}]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "txt"])
@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_every_text_file_may_have_one(tmp_path, kind, encoding):
    text = {"csv": "text\röde\r", "tsv": "text\r\nöde", "txt": "öde\r\n"}.get(kind, '{"text": "öde"}')
    path = tmp_path / f"x.{kind}"
    path.write_bytes((f"[{text}]" if kind == "json" else text).encode(encoding))
    assert read(path)[0] == [{"text": "öde"}]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("Фильм очень скучный", "cp1251"), ("这部电影", "gb18030"), ("映画は長い", "shift_jis")],
)
def test_another_alphabet_is_not_taken_for_a_western_one(tmp_path, text, encoding):
    (tmp_path / "x.csv").write_bytes(f"text\nnever dull\n{text}\n".encode(encoding))
    with pytest.raises(InputError, match=r"x\.csv:3: expected UTF-8 text \(--encoding names another\), got"):
        read(tmp_path / "x.csv")
    assert read(tmp_path / "x.csv", encoding=encoding)[0][1] == {"text": text}


def test_damage_does_not_make_another_encoding_of_utf8(tmp_path):
    (tmp_path / "x.csv").write_bytes("text\nnaïve\ncafé\n".encode() + b"caf\xe9\n")
    with pytest.raises(InputError, match=r"x\.csv:4: expected UTF-8 text \(--encoding names another\), got"):
        read(tmp_path / "x.csv")


@pytest.mark.parametrize("asked", ["utf-9", "base64", "a\0b", ""])
def test_an_encoding_that_there_is_not_is_told(tmp_path, asked):
    (tmp_path / "x.csv").write_text("text\n")
    with pytest.raises(InputError, match="expected an encoding that Python knows, such as utf-8, utf-16"):
        find_encoding(tmp_path / "x.csv", asked)


def test_an_encoding_that_is_wrong_is_told_with_its_line(tmp_path):
    (tmp_path / "x.csv").write_bytes("text\na\nöde\n".encode("cp1252"))
    with pytest.raises(InputError, match=r"x\.csv:3: expected UTF-8 text, got 'utf-8' codec"):
        read(tmp_path / "x.csv", encoding="utf8")
    (tmp_path / "y.csv").write_bytes(b"text\n")  # half a character of UTF-16
    with pytest.raises(InputError, match=r"y\.csv: expected utf-16-le text, got 'utf-16-le' codec"):
        read(tmp_path / "y.csv", encoding="utf-16-le")


def test_utf16_without_a_mark_is_proposed(tmp_path):
    (tmp_path / "x.csv").write_bytes("text\nno mark\n".encode("utf-16-le"))
    refused(tmp_path / "x.csv", ":1: expected text without NUL characters (--encoding utf-16-le?), got one")


@pytest.mark.parametrize(
    ("sign", "told"),
    [(",", []), (";", ["semicolons"]), ("\t", ["tabs"]), ("|", ["pipes"])],
)
def test_a_separator_is_found_out(tmp_path, sign, told):
    rows = [["text", "label"], ['"one; two, three\n| four"', "A"], ["five", "B"]]
    (tmp_path / "x.csv").write_text("\n".join(sign.join(row) for row in rows))
    found, notes = read(tmp_path / "x.csv")
    assert found == [{"text": "one; two, three\n| four", "label": "A"}, {"text": "five", "label": "B"}]
    assert notes == [f"x.csv: fields are separated by {name}" for name in told]


def test_commas_in_texts_separate_nothing_where_semicolons_do(tmp_path):
    (tmp_path / "x.csv").write_text("the text, as it is;label\nwarm, moving;POS\ndull;NEG\n")
    assert read(tmp_path / "x.csv")[0][1] == {"the text, as it is": "dull", "label": "NEG"}


def test_a_row_that_is_cut_wrong_changes_no_separator(tmp_path):
    (tmp_path / "x.csv").write_text("text,label\nwarm,POS\ndull\n")
    assert read(tmp_path / "x.csv") == (
        [{"text": "warm", "label": "POS"}, Fault("2 fields, as the header has", "1", tmp_path / "x.csv", 3)],
        [],
    )


def test_a_line_for_excel_says_the_separator(tmp_path):
    (tmp_path / "x.csv").write_text("sep=|\ntext|n\na,b|1\n")
    assert list(rows_of(tmp_path / "x.csv")) == [(3, {"text": "a,b", "n": "1"})]


@pytest.mark.parametrize(("asked", "sign"), [("~", "~"), ("tab", "\t"), ("\\t", "\t"), ("PIPE", "|")])
def test_a_separator_is_given(tmp_path, asked, sign):
    (tmp_path / "x.csv").write_text(f"text,x{sign}label\na,b{sign}A\n")
    assert read(tmp_path / "x.csv", separator=asked) == ([{"text,x": "a,b", "label": "A"}], [])


@pytest.mark.parametrize("asked", ["", "::", '"', "\n", " "])
def test_what_is_no_separator_is_told(tmp_path, asked):
    (tmp_path / "x.csv").write_text("text\n")
    with pytest.raises(
        InputError, match="expected a separator: one character, or comma, semicolon, tab, pipe"
    ):
        read(tmp_path / "x.csv", separator=asked)


def test_what_no_file_of_its_kind_has_is_refused(tmp_path):
    for kind, how, told in (
        ("json", {"separator": ";"}, ": expected no --separator for a file of JSON, got ';'"),
        ("xlsx", {"separator": ";"}, ": expected no --separator for a file that is no text, got ';'"),
        (
            "parquet",
            {"encoding": "utf-8"},
            ": expected no --encoding for a file that is no text, got 'utf-8'",
        ),
    ):
        (tmp_path / f"x.{kind}").write_text("")
        refused(tmp_path / f"x.{kind}", told, **how)


def test_what_spreadsheets_put_beside_and_after_the_rows_is_passed_over(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("text;label;;\ndull;NEG;;\n;;;\nwarm;POS;; \n;;;\n;;;;;\n")
    assert list(rows_of(path)) == [
        (2, {"text": "dull", "label": "NEG"}),
        (4, {"text": "warm", "label": "POS"}),
    ]
    path.write_text(",text,label,\n0,dull,NEG,\n1,a,b,POS\n")  # an index, and a text that was cut
    assert read(path) == (
        [
            {"text": "dull", "label": "NEG"},
            Fault("fields under the header's names only", "'POS'", path, 3),
        ],
        [],
    )
    path.write_text("a;a;;\n")
    refused(path, ":1: expected each column once, got ['a', 'a']")
    path.write_text('text\n""\na\n')  # a text that is missing
    assert read(path)[0] == [{"text": ""}, {"text": "a"}]


def test_where_quotes_break_off_nothing_more_is_read(tmp_path):
    (tmp_path / "x.csv").write_text('text\na\n"b"c\nd\n')
    refused(tmp_path / "x.csv", ":3: expected fields in quotes as CSV has them, got ',' expected after '\"'")


BARE = ['"Great film, he said\tPOS', "dull\tNEG", "warm\tPOS"]


@pytest.mark.parametrize(
    "last", ['I hated "it"\tNEG', 'the end of "the film"\tNEG', "5' tall, 6\"\tNEG", "ok\tNEG"]
)
def test_tabs_between_fields_that_are_never_in_quotes(tmp_path, last):
    """As programs write TSV that know no quotes: one that begins a text ends nowhere, or far below."""
    lines = [*BARE, last, "x\tNEG"]
    (tmp_path / "x.tsv").write_text("\n".join(["text\tlabel", *lines, ""]))
    assert read(tmp_path / "x.tsv") == (
        [dict(zip(("text", "label"), line.split("\t"), strict=True)) for line in lines],
        ["x.tsv: quotes are read as they are, as no field is written in quotes"],
    )


def test_tabs_between_fields_in_quotes(tmp_path):
    rows = [['He said "no"', "A"], ["two\nlines", "B"], ["a\ttab", "C"], ['"', "D"]]
    with (tmp_path / "x.tsv").open("w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows([["text", "label"], *rows])
    assert read(tmp_path / "x.tsv") == ([{"text": a, "label": b} for a, b in rows], [])


# Workbooks


def test_a_workbook(tmp_path):
    rows = [
        [None, None, None],
        [" text ", "n", None],
        ["öde 🎬\nzwei", 1, None],
        [None] * 3,
        ["b", 0.5, None],
    ]
    path = write_workbook(tmp_path / "x.xlsx", rows)
    assert list(rows_of(path)) == [(3, {"text": "öde 🎬\nzwei", "n": 1}), (5, {"text": "b", "n": 0.5})]


def test_other_sheets_are_named(tmp_path):
    path = write_workbook(tmp_path / "x.xlsx", [["text"], ["a"]], [["text"], ["b"]], [["c"]])
    told = "x.xlsx: the sheet 'Sheet1' was read, and not 'Sheet2', 'Sheet3'"
    assert read(path) == ([{"text": "a"}], [told])


def test_cells_that_are_no_field_are_told(tmp_path):
    rows = [["text", "label"], ["a", "A", "more"], ["#DIV/0!", "B"], ["b"]]
    path = write_workbook(tmp_path / "x.xlsx", rows)
    assert read(path)[0] == [
        Fault("cells under the header's names only", "'more'", path, 2),
        {"text": CellError("#DIV/0!", "A3"), "label": "B"},
        {"text": "b", "label": None},
    ]


def test_an_error_in_a_cell_is_told_where_it_is_read(tmp_path):
    head = ["text", "label", "rationale", "note"]
    rows = [head, ["dull", "NEG", None, "#N/A"], ["#N/A", "POS", None, None], ["warm", "#REF!", "#N/A", None]]
    path = write_workbook(tmp_path / "x.xlsx", rows)
    with pytest.raises(InputError) as error:
        read_custom("own", {"test": path}, ImportOptions(rationale_form="chars"))
    filled = "expected a non-empty string in column"
    assert str(error.value).splitlines() == [
        f"{path}:3: test-00002: {filled} 'text', got the error #N/A in cell A3",
        f"{path}:4: test-00003: {filled} 'label', got the error #REF! in cell B4",
        f"{path}:4: test-00003: expected a list of [start, end) in characters, got the error #N/A in cell C4",
    ]
    one = write_workbook(tmp_path / "y.xlsx", rows[:2])
    assert read_custom("own", {"test": one}, ImportOptions(), 1).documents["test-00001"].words == ("dull",)


def test_what_is_no_workbook_is_told(tmp_path, monkeypatch):
    twice = write_workbook(tmp_path / "t.xlsx", [["a", "a"]])
    refused(twice, ":1: expected each column once, got ['a', 'a']")
    (tmp_path / "x.xlsx").write_text("text\n")
    refused(
        tmp_path / "x.xlsx", ": expected a readable Excel workbook, got BadZipFile: File is not a zip file"
    )
    with zipfile.ZipFile(tmp_path / "y.xlsx", "w") as archive:
        archive.writestr("docs.txt", "a")
    with pytest.raises(InputError, match=r"y\.xlsx: expected a readable Excel workbook, got KeyError"):
        read(tmp_path / "y.xlsx")
    monkeypatch.setattr(excel, "MAX_UNPACKED", 500)
    refused(twice, ": the workbook unpacks to more than 500 bytes")


def test_a_cell_far_below_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(excel, "MAX_ROWS", 4)
    path = write_workbook(tmp_path / "x.xlsx", [["text"], *[["a"]] * 4])
    refused(path, f": the sheet has more than 4 rows or {excel.MAX_CELLS} cells")


def test_a_cell_far_to_the_right_in_many_rows_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(excel, "MAX_CELLS", 100_000)
    far = [["text"], *[[None] * 16_383 + ["a"] for _ in range(7)]]
    refused(
        write_workbook(tmp_path / "x.xlsx", far),
        f": the sheet has more than {excel.MAX_ROWS} rows or 100000 cells",
    )


def test_a_sheet_that_calls_itself_wider_than_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(excel, "MAX_CELLS", 100)
    path = write_workbook(tmp_path / "x.xlsx", [["text"], ["a"], ["b"]])
    wide = tmp_path / "wide.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(wide, "w") as new:
        for name in old.namelist():
            sheet = re.sub(rb"<dimension[^>]*>", b"", old.read(name))
            new.writestr(name, sheet.replace(b"<sheetData>", b'<dimension ref="A1:XFD1048576"/><sheetData>'))
    assert read(wide)[0] == [{"text": "a"}, {"text": "b"}]


# Parquet


def often(text):
    """A batch of a text that is held once."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * 1024), [text])


TEXTS_OF_BATCH = {
    "a text": lambda text: {"text": often(text)},
    "texts of a list": lambda text: {
        "text": ["a"] * 1024,
        "tokens": pa.ListArray.from_arrays(pa.array(range(1025)), often(text)),
    },
    "texts of a list of one size": lambda text: {
        "text": ["a"] * 1024,
        "tokens": pa.FixedSizeListArray.from_arrays(often(text), 1),
    },
    "texts of a map": lambda text: {
        "text": ["a"] * 1024,
        "said": pa.MapArray.from_arrays(pa.array(range(1025)), pa.array(["a"] * 1024), often(text)),
    },
    "nothing but rows": lambda text: {
        "text": pa.DictionaryArray.from_arrays(pa.array(np.zeros(3_000_000, np.int32)), ["a"])
    },
}


@pytest.mark.parametrize("what", TEXTS_OF_BATCH)
def test_a_small_file_of_giant_rows_is_refused_before_it_is_unpacked(tmp_path, what):
    """A text stands once in such a file, and a number says how often it is to be read."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(TEXTS_OF_BATCH[what]("a " * 2**20)), path, compression="zstd")
    assert path.stat().st_size < 30_000
    before = pa.total_allocated_bytes()
    refused(path, f": the file unpacks to more than {unpacked.UNSUSPECTED} bytes")
    assert pa.total_allocated_bytes() - before < 2**27


def test_rows_of_any_shape_are_counted_and_read_as_they_are(tmp_path):
    rows = [
        {"text": "ä" * 9, "n": 1, "marks": [[0, 2], [3, 4]], "more": {"who": "a", "why": ["b", None]}},
        {"text": None, "n": None, "marks": None, "more": None},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    assert read(tmp_path / "x.parquet")[0] == rows
    more = {
        "by": pa.map_(pa.string(), pa.int64()),
        "at": pa.list_(pa.int64(), 2),
        "id": pa.fixed_shape_tensor(pa.int64(), [1]),
    }
    given = [{"by": [("a", 1)], "at": [2, 3], "id": [7]}, {"by": None, "at": None, "id": None}]
    columns = {n: pa.array([row[n] for row in given], of) for n, of in more.items() if n != "id"}
    columns["id"] = pa.ExtensionArray.from_storage(more["id"], pa.array([[7], None], pa.list_(pa.int64(), 1)))
    pq.write_table(pa.table(columns), tmp_path / "y.parquet")
    assert read(tmp_path / "y.parquet")[0] == given


NOT_OF_PYTHON = {
    "a text of other bytes than UTF-8's": (
        pa.Array.from_buffers(
            pa.string(), 1, [None, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"a\xff")]
        ),
        "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 1: invalid start byte",
    ),
    "a date after the year 9999": (
        pa.array([10**7], pa.date32()), "OverflowError: date value out of range"
    ),
    "a time after the year 9999": (
        pa.array([2**62], pa.timestamp("us")), "OverflowError: date value out of range"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", NOT_OF_PYTHON)
def test_what_python_cannot_hold_is_told(tmp_path, what):
    values, told = NOT_OF_PYTHON[what]
    pq.write_table(pa.table({"text": ["a"], "more": values}), tmp_path / "x.parquet")
    refused(tmp_path / "x.parquet", f": expected a readable Parquet file, got {told}")

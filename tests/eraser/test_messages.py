"""What is said of bad rows: where they are, as many as there are, and no longer than can be read."""

from __future__ import annotations

import json
import sys

import pytest

from eraser.errors import ALIKE, LONGEST, MOST_LINES, Fault, InputError, cut, fault_lines
from rationale import cli
from tests.helpers.eraser.prediction_files import annotation, prediction, rationale, write_source

HALF = "a " + chr(0xD83D) + " b"


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """The command line: its exit code and the lines of its errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rationale", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code, capsys.readouterr().err.splitlines()

    return run


def test_like_faults_are_told_three_times_and_counted():
    faults = [Fault("a number", repr(str(n)), "f", n, f"i{n}") for n in range(1, 1492)]
    lines = fault_lines([*faults, Fault("a word", "none", "f"), Fault("a number", "'x'", "g", 1)])
    assert lines == [
        *(f"f:{n}: i{n}: expected a number, got '{n}'" for n in (1, 2, 3)),
        "f: … and 1,488 more rows where a number was expected",
        "f: expected a word, got none",
        "g:1: expected a number, got 'x'",
    ]
    assert str(InputError(*faults)).splitlines() == lines[:4]
    assert len(fault_lines(faults[:ALIKE])) == ALIKE


def test_faults_that_differ_in_numbers_and_names_alone_are_alike():
    faults = [Fault(f"a span inside 'd{n}' ({n} words)", "0:9", "f", n) for n in range(1, 21)]
    assert fault_lines(faults)[-1] == "f: … and 17 more rows where a span inside 'd4' (4 words) was expected"


def test_lines_of_many_kinds_end_somewhere():
    faults = [Fault("x" * n, "y", "f", n) for n in range(1, 500)]
    lines = fault_lines(faults)
    assert (len(lines), lines[-1]) == (MOST_LINES + 1, "… and 399 more lines like these")


def test_long_numbers_and_texts_are_cut():
    assert cut("0:" + "7" * 4000) == "0:" + "7" * 20 + "… (4,000 digits)"
    assert cut("7" * 64) == "7" * 64
    assert str(Fault("x" * 10**6, "y" * 10**6, "f", 1, "i" * 10**6)).count("…") == 3
    assert len(str(Fault("x" * 10**6, "y" * 10**6))) < 2 * LONGEST + 20


def test_evidence_that_ends_at_a_number_of_4000_digits(command, tmp_path):
    write_source(tmp_path / "d", [annotation("a", "X", ("d", 0, 1))], {"d": "a b c"})
    file = tmp_path / "d" / "test.jsonl"
    file.write_text(file.read_text().replace('"end_token": 1', '"end_token": ' + "9" * 4000))
    code, lines = command("data", "describe", "--dataset", "x", "--data", tmp_path / "d")
    got = "9" * 20 + "… (4,000 digits)"
    assert (code, lines) == (2, [f"error: {file}:1: a: expected a span inside d (3 words), got 0:{got}"])


# half an emoji, NaN, nothing: one line, with file, line and id

TEXTS = {
    "half": (HALF, "expected text without lone surrogates in 'text', got '\\ud83d'"),
    "nan": (float("nan"), "expected a text with words in 'text', got nan"),
    "nothing": ("", "expected a text with words in 'text', got ''"),
    "null": (None, "expected a text with words in 'text', got None"),
}


@pytest.mark.parametrize("what", TEXTS)
def test_attribute(command, model_folder, tmp_path, what):
    text, message = TEXTS[what]
    rows = [{"id": "x", "text": "a film"}, {"id": "y", "text": text}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ("--model", model_folder, "--out", "o", "--methods", "random")
    code, lines = command("attribute", "--file", tmp_path / "t.jsonl", *options)
    assert (code, lines) == (
        2,
        [f"error: {tmp_path}/t.jsonl:2: y: {message} (--skip-invalid leaves such rows out)"],
    )


OWN = {
    "half": (HALF, "expected no lone surrogates in column 'text', got 'a \\ud83d b'"),
    "nan": (float("nan"), "expected a non-empty string in column 'text', got nan"),
    "nothing": ("", "expected a non-empty string in column 'text', got ''"),
}


SKIPS = "error: --skip-invalid (of data import, evaluate, trust) leaves such rows out, and says which"


@pytest.mark.parametrize("what", OWN)
def test_import_of_rows(command, tmp_path, what):
    text, message = OWN[what]
    rows = [{"id": f"i{n}", "text": "a film", "label": "ab"[n % 2]} for n in range(4)]
    rows[2]["text"] = text
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, lines = command("data", "import", "--train", tmp_path / "t.jsonl", "--out", "o")
    assert (code, lines) == (2, [f"error: {tmp_path}/t.jsonl:3: i2: {message}", SKIPS])


@pytest.mark.parametrize("also", [[], ["--val", "none.csv"]])
def test_that_rows_can_be_left_out_is_not_said_where_it_would_not_help(command, tmp_path, also):
    """One label would be left, or a file would still be missing."""
    labels = "ab" if also else "aa"
    rows = [{"text": text, "label": label} for text, label in zip(("a film", "a film"), labels, strict=True)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"label": "b"}]))
    for more in ([], ["--skip-invalid"]):
        code, lines = command("data", "import", "--train", tmp_path / "t.jsonl", *also, *more, "--out", "o")
        assert (code, [line for line in lines if "skip-invalid" in line]) == (2, [])


def eraser_set(folder, text="a b c", **fields):
    rows = [annotation(f"i{n}", ("NEG", "POS")[n % 2], ("d", 0, 1)) for n in range(4)]
    rows[2] |= fields
    for split in ("train", "val", "test"):
        write_source(folder, rows, {"d": text}, split)
    return folder


@pytest.mark.parametrize("command_line", ["train dense --backbone", "evaluate --methods random --model"])
def test_a_query_of_half_an_emoji(command, model_folder, tmp_path, command_line):
    data = eraser_set(tmp_path / "d", query=HALF)
    options = (*command_line.split(), model_folder, "--dataset", "x", "--data", data, "--out", "o")
    code, lines = command(*options)
    message = "'i2': expected text without lone surrogates, got 'a \\ud83d b'"
    splits = ("train", "val", "test")
    assert (code, lines) == (2, [f"error: {data}/{split}.jsonl:3: {message}" for split in splits])


@pytest.mark.parametrize("command_line", ["score", "check"])
def test_predictions_of_nan_and_many_of_them(command, tmp_path, command_line):
    data = eraser_set(tmp_path / "d")
    row = prediction("i0", rationale("d", soft=[0.5, float("nan"), 1.0]))
    rows = [row | {"annotation_id": f"i{n}"} for n in range(50)]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, lines = command(command_line, "--data", data, "--predictions", tmp_path / "p.jsonl")
    place, expected = f"error: {tmp_path}/p.jsonl", "finite numbers in soft_rationale_predictions of d"
    assert code == 2
    assert [x for x in lines if x.startswith("error")][:4] == [
        *(f"{place}:{n + 1}: i{n}: expected {expected}, got nan" for n in range(3)),
        f"{place}: … and 47 more rows where {expected} was expected",
    ]


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("t.jsonl", ":1: expected one JSON object, got "),
        ("t.json", ":1: expected a JSON array of objects (JSON lines, an object on each, are a .jsonl"),
        ("t.parquet", ": expected a readable Parquet file, got ArrowInvalid: "),
        ("t.docx", ": expected a .csv, .tsv, .json, .jsonl, .parquet, .xlsx or .txt file, got 't.docx'"),
    ],
)
def test_files_that_attribute_does_not_read(command, model_folder, tmp_path, file, told):
    (tmp_path / file).write_text("text\na warm film\n")
    options = ("--model", model_folder, "--out", "o", "--methods", "random")
    code, lines = command("attribute", "--file", tmp_path / file, *options)
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith(f"error: {tmp_path}/{file}{told}")

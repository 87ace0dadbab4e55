"""`rationale attribute` on files of any form: the same rows; what is wrong is told of the file itself."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eraser import InputError
from eraser.data.custom.tables import LABELLED, READERS
from eraser.files.owned import hash_of, read_made
from rationale.stream import StreamSettings, collect, read_stream, stream
from rationale.text import rows as rows_module
from rationale.text.rows import ROWS, table_at
from tests.helpers.eraser.own_files import save

TEXTS = [{"text": "A warm , moving film ."}, {"text": 'Dull , "well" .'}, {"text": "Never dull"}]
NAMED = "(--text and --query name others)"
SETTINGS = StreamSettings(file="", model="m", methods=("integrated_gradients", "random"), chunk=2)


ADVICE = " (--skip-invalid leaves such rows out)"


def explained(classifier, file: Path, out: Path, **change: Any) -> list[dict[str, Any]]:
    collect(stream(classifier, replace(SETTINGS, file=str(file), **change), out))
    return [{k: v for k, v in row.items() if k != "ms"} for row in read_stream(out)]


def refused(classifier, file: Path, told: str, **change: Any) -> None:
    out = file.parent / "out"
    with pytest.raises(InputError) as error:
        stream(classifier, replace(SETTINGS, file=str(file), **change), out)
    assert str(error.value) == f"{file}{told}"
    assert not out.exists()


def test_every_form_gives_the_same_rows(classifier, tmp_path):
    found = {
        kind: json.dumps(explained(classifier, save(tmp_path / f"x{kind}", TEXTS), tmp_path / kind))
        for kind in READERS
    }
    assert len(json.loads(found[".jsonl"])) == 2 * len(TEXTS)
    assert [kind for kind in READERS if found[kind] != found[".jsonl"]] == []


@pytest.mark.parametrize("kind", LABELLED)
def test_other_columns_stay(classifier, tmp_path, kind):
    told = [
        {"id": f"n{i}", "said": row["text"], "asked": "Good ?", "more": "x"} for i, row in enumerate(TEXTS)
    ]
    file = save(tmp_path / f"x{kind}", told)
    change = {"text": "said", "query": "asked", "methods": ("attention",)}
    of_jsonl = explained(classifier, save(tmp_path / "y.jsonl", told), tmp_path / "y", **change)
    assert explained(classifier, file, tmp_path / "x", **change) == of_jsonl
    assert [row["id"] for row in of_jsonl] == ["n0", "n1", "n2"]


def test_lines_of_texts_go_by_any_name(classifier, tmp_path):
    file = save(tmp_path / "x.txt", TEXTS)
    rows = explained(classifier, file, tmp_path / "out", text="said")
    assert [row["words"] for row in rows[:2]] == [t["text"].split() for t in TEXTS[:2]]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.csv", 'text,n\n"a\nb",1\n ,2\n', ":4: expected a text with words in 'text', got ' '" + ADVICE),
        ("x.csv", "text,n\na\n", ":2: expected 2 fields, as the header has, got 1" + ADVICE),
        ("x.tsv", "t\tn\na\t1\n", f":2: expected a column 'text' {NAMED}, got only ['n', 't']"),
        ("x.json", '[{"text":"a"},\n{"id":7,"text":3}]',
         ":2: 7: expected a text with words in 'text', got 3" + ADVICE),
        ("x.json", '[{"text": "a"},\n 3]', ":2: expected one JSON object, got 3" + ADVICE),
        ("x.txt", "\n \n", ": expected at least one row, got none"),
        ("x.csv", "", ": expected at least one row, got none"),
        ("x.ods", "PK", ": expected a .csv, .tsv, .json, .jsonl, .parquet, .xlsx or .txt file, got 'x.ods'"),
        ("x.xlsx", "PK", ": expected a readable Excel workbook, got BadZipFile: File is not a zip file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_of_the_file_before_a_folder_is_made(classifier, tmp_path, name, content, told):
    (tmp_path / name).write_text(content)
    refused(classifier, tmp_path / name, told)


def test_a_missing_question_is_told(classifier, tmp_path):
    told = ":2: expected a column 'q' (--text and --query name others), got only ['text']"
    refused(classifier, save(tmp_path / "x.csv", TEXTS), told, query="q")


def test_what_the_model_cannot_read_is_told_of_the_row(classifier, tmp_path):
    (tmp_path / "x.csv").write_text('text\n"a\nb"\n\u200b\n')
    told = r":4: expected a text with words in 'text', cut by punctuation, got '\u200b'" + ADVICE
    refused(classifier, tmp_path / "x.csv", told, words="punctuation")


def test_a_run_is_known_by_the_content_of_the_file(classifier, tmp_path, monkeypatch):
    file, out = save(tmp_path / "x.csv", TEXTS), tmp_path / "out"
    first = explained(classifier, file, out)
    made = read_made(out)
    assert (made.of["content_of_file"], made.of["form"]) == (hash_of(file), "csv")
    assert made.files[ROWS] == hash_of(out / ROWS)
    moved = file.rename(tmp_path / "y.csv")
    monkeypatch.setattr(rows_module, "write_whole", None)  # it is converted once
    assert explained(classifier, moved, out) == first
    moved.write_text(moved.read_text() + "One more\n")
    with pytest.raises(InputError, match="holds results with other content_of_file"):
        stream(classifier, replace(SETTINGS, file=str(moved)), out)


def test_the_same_bytes_in_another_form_are_other_work(classifier, tmp_path):
    file, out = save(tmp_path / "x.csv", TEXTS), tmp_path / "out"
    explained(classifier, file, out)
    with pytest.raises(InputError, match=r"holds results with other form \('csv' there\)"):
        stream(classifier, replace(SETTINGS, file=str(file.rename(tmp_path / "x.txt"))), out)


def test_rows_that_were_half_written_are_written_again(classifier, tmp_path):
    file, out = save(tmp_path / "x.csv", TEXTS), tmp_path / "out"
    first = stream(classifier, replace(SETTINGS, file=str(file)), out)
    (out / ROWS).write_text("")
    again = stream(classifier, replace(SETTINGS, file=str(file)), out)
    assert again.lines.read(0) == first.lines.read(0)


def test_a_file_that_changes_while_it_is_read_is_noticed(classifier, tmp_path):
    file = save(tmp_path / "x.csv", TEXTS)
    run = stream(classifier, replace(SETTINGS, file=str(file)), tmp_path / "out")
    file.write_text(file.read_text().replace("a", "e"))
    with pytest.raises(InputError, match=r"x\.csv: the file changed while it was being read"):
        collect(run)


@pytest.mark.slow
def test_a_large_file_is_converted_without_being_held(tmp_path):
    rows = [{"text": f"{n:08d} " * 50} for n in range(40_000)]  # 18 MB
    table = table_at(replace(SETTINGS, file=str(save(tmp_path / "x.json", rows))))
    tracemalloc.start()
    table._write(tmp_path / ROWS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / ROWS).read_bytes().count(b"\n") == len(rows)
    assert peak < 9_000_000


INVALID = [
    {"id": "x", "text": "A warm film"},
    {"id": "y", "text": None},
    {"id": "z", "text": " "},
    {"id": "half", "text": "a \ud83d b"},
    {"id": "w", "text": "Never dull"},
]
LEFT_OUT = [
    "rows left out as invalid: 3: y, z, half",
    "left out: {}:2: y: expected a text with words in 'text', got None",
    "left out: {}:3: z: expected a text with words in 'text', got ' '",
    r"left out: {}:4: half: expected text without lone surrogates in 'text', got '\ud83d'",
]


def test_invalid_rows_are_left_out_where_asked_counted_and_named(classifier, tmp_path):
    file, good = save(tmp_path / "x.jsonl", INVALID), save(tmp_path / "y.jsonl", [INVALID[0], INVALID[4]])
    asked = replace(SETTINGS, file=str(file), skip_invalid=True, methods=("attention",))
    found = collect(stream(classifier, asked, tmp_path / "out"))
    assert (found["texts"], found["settings"]["skip_invalid"]) == (2, True)
    assert found["notes"] == [line.replace("{}", str(file)) for line in LEFT_OUT]
    kept = [{k: v for k, v in row.items() if k != "ms"} for row in read_stream(tmp_path / "out")]
    assert kept == explained(classifier, good, tmp_path / "good", methods=("attention",))
    again = collect(stream(classifier, asked, tmp_path / "out"))
    assert again["notes"] == found["notes"]
    with pytest.raises(InputError, match="holds results with other skip_invalid"):
        stream(classifier, replace(asked, skip_invalid=False), tmp_path / "out")


def test_rows_keep_their_numbers_where_others_are_left_out(classifier, tmp_path):
    rows = [{k: v for k, v in row.items() if k != "id"} for row in INVALID]
    for kind, ids in (("jsonl", ["1", "5"]), ("parquet", ["1", "5"])):
        file = save(
            tmp_path / f"x.{kind}", [r for r in rows if kind == "jsonl" or "\ud83d" not in str(r["text"])]
        )
        asked = {"skip_invalid": True, "methods": ("random",)}
        found = explained(classifier, file, tmp_path / kind, **asked)
        assert [row["id"] for row in found] == (ids if kind == "jsonl" else ["1", "4"])


def test_without_that_the_first_is_told_in_one_line(classifier, tmp_path):
    file = save(tmp_path / "x.jsonl", INVALID[3:])
    with pytest.raises(InputError) as error:
        collect(stream(classifier, replace(SETTINGS, file=str(file)), tmp_path / "out"))
    told = r"expected text without lone surrogates in 'text', got '\ud83d'"
    assert str(error.value) == f"{file}:1: half: {told}{ADVICE}"


def test_half_a_character_in_an_id_is_told(classifier, tmp_path):
    file = save(tmp_path / "x.jsonl", [{"id": "\ud83d", "text": "a"}])
    with pytest.raises(
        InputError, match=r"x\.jsonl:1: .ud83d: expected text without lone surrogates in 'id', got"
    ):
        collect(stream(classifier, replace(SETTINGS, file=str(file)), tmp_path / "out"))


def test_where_no_row_is_left_all_are_told(classifier, tmp_path):
    file = save(tmp_path / "x.jsonl", INVALID[1:3])
    told = ":1: y: expected a text with words in 'text', got None\n" + str(file)
    refused(
        classifier, file, told + ":2: z: expected a text with words in 'text', got ' '", skip_invalid=True
    )


def test_what_is_guessed_of_a_file_is_told(classifier, tmp_path):
    (tmp_path / "x.csv").write_bytes("n;text\n1;naïve\n".encode("cp1252"))
    asked = replace(SETTINGS, file=str(tmp_path / "x.csv"), methods=("random",))
    found = collect(stream(classifier, asked, tmp_path / "out"))
    notes = [
        "x.csv is no UTF-8: it was read as Windows-1252 (--encoding names another)",
        "x.csv: fields are separated by semicolons",
    ]
    assert found["notes"] == notes
    assert collect(stream(classifier, asked, tmp_path / "out"))["notes"] == notes
    assert next(read_stream(tmp_path / "out"))["words"] == ["naïve"]
    other = replace(asked, encoding="mac_roman", separator=";")
    with pytest.raises(InputError, match=r"holds results with other encoding \(None there\), separator"):
        stream(classifier, other, tmp_path / "out")
    found = collect(stream(classifier, other, tmp_path / "out", overwrite=True))
    assert (found["notes"], next(read_stream(tmp_path / "out"))["words"]) == ([], ["naÔve"])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_json_lines_of_another_encoding(classifier, tmp_path, encoding):
    (tmp_path / "x.jsonl").write_bytes('{"text": "naïve"}\n'.encode(encoding))
    found = explained(classifier, tmp_path / "x.jsonl", tmp_path / "out", methods=("random",))
    assert [row["words"] for row in found] == [["naïve"]]


def test_words_may_be_given_in_place_of_a_text(classifier, tmp_path):
    words = ["A", "warm", ",", "film", "."]
    of_text = explained(classifier, save(tmp_path / "x.jsonl", [{"text": " ".join(words)}]), tmp_path / "x")
    for name, rows in (("t", [{"text": words}]), ("k", [{"tokens": words}])):
        file = save(tmp_path / f"{name}.jsonl", rows)
        assert explained(classifier, file, tmp_path / name) == of_text
        assert explained(classifier, save(tmp_path / f"{name}.json", rows), tmp_path / f"{name}2") == of_text
    refused(
        classifier,
        save(tmp_path / "y.json", [{"tokens": ["a b"]}]),
        ":2: expected a text with words in 'text', got ['a b']" + ADVICE,
    )


def test_a_text_without_an_id_has_its_line_number(classifier, tmp_path):
    rows = [
        {"id": None, "text": "A film"},
        {"text": "Dull"},
        {"id": " ", "text": "So"},
        {"id": "7", "text": "x"},
    ]
    for kind in ("jsonl", "json", "csv", "parquet"):
        file = save(tmp_path / f"x.{kind}", [{"id": row.get("id"), "text": row["text"]} for row in rows])
        ids = [r["id"] for r in explained(classifier, file, tmp_path / kind, methods=("random",))]
        assert ids == ["1", "2", "3", "7"], kind


def test_blank_lines_are_counted_and_shift_no_id(classifier, tmp_path):
    file = tmp_path / "x.txt"
    file.write_text("A film\n\n \nDull\n")
    asked = replace(SETTINGS, file=str(file), methods=("random",))
    for _ in range(2):  # the second time the rows are there
        assert collect(stream(classifier, asked, tmp_path / "out"))["notes"] == ["blank lines skipped: 2"]
    assert [row["id"] for row in read_stream(tmp_path / "out")] == ["1", "4"]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"id": "a", "text": "x"}, {"id": "b", "text": "y"}, {"id": "a", "text": "z"}], ("a", 0, 2)),
        ([{"id": "2", "text": "x"}, {"text": "y"}], ("2", 0, 1)),
        ([{"text": "x"}, {"text": "y"}, {"id": 1, "text": "z"}], ("1", 0, 2)),
    ],
)
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_two_texts_of_one_id_are_refused(classifier, tmp_path, rows, told, kind):
    file = save(tmp_path / f"x.{kind}", [{"id": row.get("id"), "text": row["text"]} for row in rows])
    id, before, at = told
    first = 1 if kind == "jsonl" else 2  # after the names of columns
    expected = (
        f"line {first + before} has this id, too; give each text an id of its own, or leave out all ids"
    )
    refused(classifier, file, f":{first + at}: {id}: {expected}")

"""`rationale data export`, and the way back; options of reading files reach `evaluate`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from eraser.load import load
from tests.helpers.eraser.own_files import FILMS, gold, save


def test_a_data_set_goes_out_and_comes_back_by_the_command_that_is_printed(rationale):
    save(Path("films.jsonl"), [row | {"query": "Good ?"} for row in FILMS])
    code, out, err = rationale("data", "export", "films.jsonl", "--form", "label-studio", "--out", "t.json")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines == [
        "t.json: 3 texts of films, in the form label-studio",
        "next: rationale data import --file t.json --form label-studio --id example_id --words whitespace "
        "--split-column split --query query --out data/films-corrected",
    ]
    code, out, err = rationale(*shlex.split(lines[-1])[2:])
    assert (code, err) == (0, "")
    back = load(None, "data/films-corrected")
    assert gold(back) == {"a": [1, 2], "b": [1], "c": []}
    assert {e.query for e in back.splits["test"]} == {"Good ?"}


def test_a_methods_rationale_is_written_to_be_corrected(rationale, model_folder):
    save(Path("films.jsonl"), FILMS)
    options = ("--model", model_folder, "--methods", "random,attention", "--split", "val", "--out", "run")
    assert rationale("evaluate", "--data", "films.jsonl", *options)[0] == 0
    save(Path("more.jsonl"), [row | {"id": f"m{n}"} for n, row in enumerate(FILMS)])
    assert (
        rationale("data", "import", "--train", "more.jsonl", "--val", "films.jsonl", "--out", "films")[0] == 0
    )
    asked = ("data", "export", "films", "--run", "run", "--form", "prodigy", "--out", "t.jsonl")
    code, out, err = rationale(*asked, "--method", "attention")
    assert (code, err) == (0, "")
    assert out.splitlines()[:2] == [
        "t.jsonl: 2 texts of films, in the form prodigy",
        "  note: texts left out, as the run does not cover them: 1",
    ]
    said = [json.loads(line) for line in Path("run/predictions/attention.jsonl").read_text().splitlines()]
    for line, record in zip(Path("t.jsonl").read_text().splitlines(), said, strict=True):
        task = json.loads(line)
        marked = [m for r in record["rationales"] for m in r["hard_rationale_predictions"]]
        assert [(s["start"], s["end"]) for s in task["spans"]] == [
            (m["start_char"], m["end_char"]) for m in marked
        ]
        assert (task["accept"], task["meta"]) == ([record["classification"]], {"by": "attention"})
    for more, told in (
        (("--method", "lime"), "run: expected a method of attention, random, got 'lime'"),
        (("--method", "../predictions/random"), "run: expected a method of attention, random, got '../"),
        ((), "expected --run and --method together, got only --run"),
    ):
        code, out, err = rationale(*asked[:-1], "u.jsonl", *more)
        assert (code, out) == (2, "")
        assert err.startswith(f"error: {told}")


def test_invalid_rows_and_what_is_guessed_are_told_by_evaluate(rationale, model_folder):
    rows = 'id;text;label;rationale\na;"Très long";0.0;"[[0, 4]]"\nb;;1.0;\nc;Warm;1;"[[0, 4]]"\n'
    Path("x.csv").write_bytes(rows.encode("cp1252"))
    asked = ("evaluate", "--data", "x.csv", "--model", model_folder, "--methods", "random", "--labels", "0,1")
    code, out, err = rationale(*asked, "--out", "run")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "error: x.csv:3: b: expected a non-empty string in column 'text', got ''",
        "error: --skip-invalid (of data import, evaluate, trust) leaves such rows out, and says which",
    ]
    code, out, err = rationale(*asked, "--out", "run", "--skip-invalid")
    assert code == 0
    assert [line for line in err.splitlines() if line.startswith("note: ")] == [
        "note: x.csv is no UTF-8: it was read as Windows-1252 (--encoding names another)",
        "note: x.csv: fields are separated by semicolons",
        "note: form of the rationales: chars",
        "note: rows left out as invalid: 1: b",
        "note: left out: x.csv:3: b: expected a non-empty string in column 'text', got ''",
    ]
    assert "n = 2" in out

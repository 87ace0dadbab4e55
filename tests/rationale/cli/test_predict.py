from __future__ import annotations

import json
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from rationale.onnx.model import load_file
from tests.helpers.eraser.own_files import save
from tests.helpers.made_graph import made_file


@pytest.fixture(scope="module")
def made(tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_file(tmp_path_factory.mktemp("predicted") / "made.onnx", tokenizer)


def line_of(answer):
    best = max(answer.scores.values())
    return f"{answer.label} {best:#.3g}: {' '.join(w.text for w in answer.survivors) or '-'}"


def test_each_text_has_a_line_with_label_score_and_surviving_words(rationale, made):
    texts = ["a warm film", "a dull film ."]
    code, out, _ = rationale("predict", "--model", made, *texts)
    *lines, last = out.splitlines()
    assert (code, lines) == (0, [line_of(answer) for answer in load_file(made).predict(texts)])
    assert last == f"next: rationale serve --model {made}"


def test_a_model_that_drops_no_words_gives_labels_only(rationale, tokenizer, tmp_path):
    dense = made_file(tmp_path / "dense.onnx", tokenizer, adaptive=False)
    _, out, _ = rationale("predict", "--model", dense, "a warm film")
    (answer,) = load_file(dense).predict(["a warm film"])
    assert out.splitlines()[0] == f"{answer.label} {max(answer.scores.values()):#.3g}"


def test_words_that_were_not_read_are_told(rationale, made):
    _, out, _ = rationale("predict", "--model", made, "a \u0301\u0301 film")
    assert out.splitlines()[0].endswith(" (words not read: 1)")


def test_json_holds_all_of_an_answer(rationale, made):
    code, out, _ = rationale("predict", "--model", made, "--json", "a warm film", "a film")
    found = [json.loads(line) for line in out.splitlines()]
    (answer, _) = load_file(made).predict(["a warm film", "a film"])
    assert (code, len(found)) == (0, 2)
    assert found[0]["scores"] == answer.scores
    assert [w["layer"] for w in found[0]["words"]] == [w.layer for w in answer.words]


def test_a_file_has_a_text_on_each_line(rationale, made, tmp_path, monkeypatch):
    (tmp_path / "texts.txt").write_bytes("\ufeffa warm film\n\n a dull film \n".encode())
    _, out, _ = rationale("predict", "--model", made, "--file", "texts.txt")
    assert out.splitlines()[:-1] == [
        line_of(x) for x in load_file(made).predict(["a warm film", "a dull film"])
    ]
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(b"a warm film\n")))
    _, piped, _ = rationale("predict", "--model", made, "--file", "-")
    assert piped.splitlines()[0] == out.splitlines()[0]


def test_a_closed_standard_input(rationale, made, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)  # as Python has it where the shell closed it: <&-
    code, out, error = rationale("predict", "--model", made, "--file", "-")
    assert (code, out, error) == (2, "", "error: -: expected texts on standard input, got a closed one\n")


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ((), "expected texts, or a --file of them, got neither"),
        (("a", "--file", "x"), "expected texts, or a --file of them, got both"),
        (("a", ""), "text 2: the text has no words"),
        (("--file", "bad.txt"), "bad.txt:2: expected UTF-8, got invalid start byte"),
        (("--file", "empty.txt"), "empty.txt:2: the text has no words"),
        (("a", "--threads", "0"), "expected at least 1 thread, got 0"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_line(rationale, made, tmp_path, asked, line):
    (tmp_path / "bad.txt").write_bytes(b"a film\n\xff\n")
    (tmp_path / "empty.txt").write_text("a film\n\u200b\n")
    code, _, err = rationale("predict", "--model", made, *asked)
    assert (code, err.splitlines()) == (2, [f"error: {line}"])


def test_a_model_folder_is_told_how_to_become_a_file(rationale, tmp_path):
    (tmp_path / "folder").mkdir()
    remedy = "`rationale export --model folder --out model.onnx` makes one of it"
    for command in (("predict", "a"), ("serve",)):
        code, _, err = rationale(*command, "--model", "folder")
        assert (code, err) == (2, f"error: folder: a model folder, not an exported file: {remedy}\n")


def test_serve_refuses_limits_that_let_nothing_in(rationale, made):
    code, _, err = rationale("serve", "--model", made, "--max-texts", "0", "--threads", "-1")
    lines = ["error: expected max_texts above 0, got 0", "error: expected threads above 0, got -1"]
    assert (code, err.splitlines()) == (2, lines)


@pytest.mark.parametrize("kind", ["csv", "tsv", "json", "jsonl", "parquet", "xlsx"])
def test_of_a_table_the_column_of_texts_is_read_and_answers_say_their_lines(rationale, made, tmp_path, kind):
    rows = [{"label": "POS", "text": "a warm film, said\nmany"}, {"label": "NEG", "text": "a dull film ."}]
    path = save(tmp_path / f"x.{kind}", rows)
    code, out, _ = rationale("predict", "--model", made, "--json", "--file", path)
    found = [json.loads(line) for line in out.splitlines()]
    lines = {"csv": [2, 4], "tsv": [2, 4], "json": [2, 6], "xlsx": [2, 3]}.get(kind, [1, 2])
    assert (code, [row["line"] for row in found]) == (0, lines)
    answers = load_file(made).predict([row["text"] for row in rows])
    assert [row["scores"] for row in found] == [answer.scores for answer in answers]


@pytest.mark.parametrize("kind", ["txt", "csv", "jsonl"])
def test_words_stand_where_they_do_in_the_file(rationale, made, tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    if kind == "txt":
        path.write_bytes(b"   a warm film\t\r\n \r\n")
    else:
        save(path, [{"text": "   a warm film\t"}, {"text": " "}])
    _, out, err = rationale("predict", "--model", made, "--json", "--file", path)
    (line,) = out.splitlines()
    assert [(w["text"], w["start"]) for w in json.loads(line)["words"]] == [
        ("a", 3),
        ("warm", 5),
        ("film", 10),
    ]
    assert err == "note: lines without a text, which have no answer: 1\n"


def test_answers_to_lines_can_be_matched_where_some_are_blank(rationale, made, tmp_path):
    (tmp_path / "x.txt").write_text("a warm film\n\n \na film\n")
    _, out, err = rationale("predict", "--model", made, "--json", "--file", tmp_path / "x.txt")
    assert [json.loads(line)["line"] for line in out.splitlines()] == [1, 4]
    assert err == "note: lines without a text, which have no answer: 2\n"


def test_a_table_without_texts_is_refused_with_what_predict_reads(rationale, made, tmp_path):
    path = save(tmp_path / "x.csv", [{"review": "a warm film", "label": "POS"}])
    code, out, err = rationale("predict", "--model", made, "--file", path)
    assert (code, out) == (2, "")
    expected = "expected a column 'text' (or a .txt file with one text per line), got ['label', 'review']"
    assert err == f"error: {path}:2: {expected}\n"
    save(path := tmp_path / "x.jsonl", [{"text": 3}])
    _, _, err = rationale("predict", "--model", made, "--file", path)
    assert err == f"error: {path}:1: expected a string in column 'text', got 3\n"

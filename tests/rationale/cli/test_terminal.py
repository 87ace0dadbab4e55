"""What a data set's texts say never does anything to the terminal."""

from __future__ import annotations

import json
import sys

import pytest

from eraser import Fault, InputError
from eraser.errors import printable
from eraser.progress import say as say_above_the_bar
from rationale.process.terminal import say, say_json, say_lines, say_next
from rationale.text.reading import note
from tests.helpers.command_line import run

CLEAR = "\x1b[2J\x1b]0;owned\x07"
SHOWN = r"\x1b[2J\x1b]0;owned\x07"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CLEAR, SHOWN),
        ("a\x9b31mb\x7f\x00", r"a\x9b31mb\x7f\x00"),
        ("a\rb\tc\nd", r"a\rb\tc\nd"),
        ("evil\u202egpj.exe\u2066", r"evil\u202egpj.exe\u2066"),
        ("half \ud83d", r"half \ud83d"),
        ("für 部电影 👩\u200d💻 −0.5", "für 部电影 👩\u200d💻 −0.5"),
    ],
)
def test_controls_are_shown_and_words_stay(text, expected):
    assert printable(text) == expected


def test_every_control_of_unicode_is_shown():
    import unicodedata

    kinds = {c: unicodedata.category(c) for c in map(chr, range(sys.maxunicode + 1))}
    assert {printable(c) != c for c, kind in kinds.items() if kind in ("Cc", "Cs", "Zl", "Zp")} == {True}
    assert {printable(c) == c for c, kind in kinds.items() if kind[0] in "LMNPS" or c == " "} == {True}


def test_a_fault_is_one_line_that_does_nothing():
    fault = Fault(f"a label\n{CLEAR}", "another\u2028one", f"runs/{CLEAR}", 3, f"id{CLEAR}")
    expected = f"runs/{SHOWN}:3: id{SHOWN}: expected a label {SHOWN}, got another one"
    assert str(fault) == expected
    assert str(InputError(fault)) == expected


@pytest.mark.parametrize("text", [CLEAR, "It\x92s \x7f", "für 👩 \u2028", "half \ud83d"])
def test_json_is_one_line_that_is_read_back(text, capsys):
    say_json({"texts": (text, "NaNcy"), "scores": {text: float("nan"), "x": [float("inf"), 0.5]}})
    (line,) = capsys.readouterr().out.splitlines()
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == {"texts": [text, "NaNcy"], "scores": {text: None, "x": [None, 0.5]}}


def test_notes_and_lines_are_escaped(capsys):
    note(f"a note of {CLEAR}")
    say(f"one {CLEAR}\nline")
    say(f"to err {CLEAR}", err=True)
    say_lines(f"two\nlines {CLEAR}")
    say_above_the_bar(f"above {CLEAR}")
    out, err = capsys.readouterr()
    assert out == f"one {SHOWN}\\nline\ntwo\nlines {SHOWN}\n"
    assert f"note: a note of {SHOWN}\n" in err
    assert f"to err {SHOWN}\n" in err
    assert f"above {SHOWN}\n" in err


@pytest.mark.parametrize(
    ("program", "named"),
    [
        ("/usr/bin/rationale", "rationale"),
        ("/x/rationale/__main__.py", "rationale"),
        ("my.py", "python my.py"),
    ],
)
def test_the_next_command_is_one_of_the_program_that_prints_it(program, named, monkeypatch, capsys):
    """A script that adds a method or an encoder is what knows it; `rationale` alone would not."""
    monkeypatch.setattr(sys, "argv", [program, "evaluate"])
    say_next("app", "--run", "a run")
    assert capsys.readouterr().out == f"next: {named} app --run 'a run'\n"


def test_import_and_describe_print_labels_and_ids_escaped(tmp_path, capsys, monkeypatch):
    rows = [{"id": f"{i}{CLEAR}", "text": "a dull film", "label": f"NEG{CLEAR}"} for i in range(20)]
    rows += [{"id": f"p{i}", "text": "a warm film", "label": "POS"} for i in range(20)]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, monkeypatch, "data", "import", "--file", "mine.jsonl", "--out", "mine")
    assert code == 0, err
    assert f"labels NEG{SHOWN}, POS" in out
    assert not {c for c in out + err if ord(c) < 32} - {"\n"}
    code, out, err = run(capsys, monkeypatch, "data", "describe", "--dataset", "mine", "--data", "mine")
    assert (code, err) == (0, "")
    assert f"mine: labels NEG{SHOWN}, POS\n" in out
    assert not {c for c in out if ord(c) < 32} - {"\n"}


def test_an_error_names_an_id_escaped(tmp_path, capsys, monkeypatch):
    (tmp_path / "mine.jsonl").write_text(json.dumps({"id": f"x{CLEAR}", "text": " ", "label": "NEG"}))
    told = ["data", "import", "--file", tmp_path / "mine.jsonl", "--out", tmp_path / "out"]
    code, out, err = run(capsys, monkeypatch, *told)
    assert (code, out) == (2, "")
    assert f": x{SHOWN}: expected a non-empty string" in err
    assert not {c for c in err if ord(c) < 32} - {"\n"}

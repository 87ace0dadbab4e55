"""`rationale llm`: nothing is sent before the cost was told and agreed to."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import typer

from eraser.load import load
from rationale.cli import app
from rationale.cli.commands import run
from rationale.explanations.read import read_explanations
from rationale.explanations.stored import ImportedMethod, WordExplanation, hash_of_words
from tests.helpers.llm_server import BusyError, serving

SAMPLE = ("--dataset", "sample", "--limit", "2")


@pytest.fixture
def call(capsys, monkeypatch):
    """Return what a command prints, and its exit code."""

    def call(*words):
        monkeypatch.setattr("sys.argv", ["rationale", *map(str, words)])
        code = 0
        try:
            run(lambda: app(list(map(str, words)), standalone_mode=False))
        except SystemExit as ended:
            code = ended.code
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def quoting(question):
    return json.dumps({"label": "POS", "quotes": [question.split("Text:\n")[1].split()[0]]})


@pytest.mark.parametrize("command", ["ask", "faithfulness"])
def test_a_limit_below_one_is_none(rationale, command, tmp_path):
    """As a slice, -1 would be all examples but the last."""
    given = ("--llm", "http://localhost:1/v1", "--llm-model", "m", "--out", tmp_path / "out", "--limit", "-1")
    code, _, err = rationale("llm", command, *given)
    assert code == 2
    assert "equal to 1" in err


def test_ask_tells_the_cost_and_needs_a_yes(call, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "s3cret")
    with serving(quoting) as (url, requests):
        asked = ("llm", "ask", "--llm", url, "--llm-model", "m", "--out", tmp_path / "out", *SAMPLE)
        code, out, err = call(*asked)
        assert (code, len(requests)) == (2, 0)
        assert "2 questions of about" in out
        assert "(--prices tells what that costs)" in out
        assert err == "error: nothing was sent: --yes sends these questions\n"

        code, out, _ = call(*asked, "--show-prompt")
        assert (code, len(requests)) == (0, 0)
        assert out.startswith("Read the text and decide which label fits it. The labels: NEG, POS\n")

        code, out, _ = call(*asked, "--yes", "--prices", "1,2", "--key-variable", "MY_KEY")
        assert (code, len(requests)) == (0, 2)
        assert "at these prices about 0.00 for the questions" in out
        assert f"{tmp_path}/out/answers.jsonl: 2 answers\n" in out
        assert out.splitlines()[-1].startswith("next: rationale explanations import ")
        assert requests[0]["headers"]["Authorization"] == "Bearer s3cret"
        assert "s3cret" not in (tmp_path / "out" / "made.json").read_text()

        code, _, err = call(*asked)
        assert (code, len(requests)) == (0, 2)
        assert f"already done: {tmp_path}/out" in err


def test_answers_are_overwritten_only_after_a_yes(call, tmp_path, monkeypatch):
    file = tmp_path / "out" / "answers.jsonl"
    with serving(quoting) as (url, requests):
        asked = (
            "llm",
            "ask",
            "--llm",
            url,
            "--llm-model",
            "m",
            "--out",
            tmp_path / "out",
            "--dataset",
            "sample",
        )
        call(*asked, "--limit", "2", "--yes")
        paid = file.read_bytes()
        more = (*asked, "--limit", "3", "--overwrite")

        code, out, err = call(*more)
        assert (code, err) == (2, "error: nothing was sent: --yes sends these questions\n")
        assert "model m: 3 questions of about" in out
        assert file.read_bytes() == paid

        code, _, err = call(*more, "--yes", "--prices", "1")
        assert (code, err) == (2, "error: expected two prices, as 0.15,0.60, got '1'\n")
        assert file.read_bytes() == paid

        monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
        monkeypatch.setattr("typer.confirm", _no)
        with pytest.raises(typer.Abort):
            call(*more)
        assert len(requests) == 2
        assert file.read_bytes() == paid

        code, out, _ = call(*more, "--yes")
        assert (code, len(requests)) == (0, 5)
        assert f"{file}: 3 answers\n" in out


def _no(_, abort):
    raise typer.Abort


def test_an_interrupted_run_is_told_what_is_left(call, tmp_path):
    answered = []

    def answer(question):
        if answered:
            raise BusyError(400, "no more today")
        answered.append(question)
        return quoting(question)

    with serving(answer) as (url, requests):
        asked = ("llm", "ask", "--llm", url, "--llm-model", "m", "--out", tmp_path / "out", *SAMPLE, "--yes")
        assert call(*asked)[0] == 2
        answered.clear()
        code, out, _ = call(*asked, "--overwrite")
        assert (code, len(requests)) == (0, 3)
        assert "model m: 1 questions of about" in out


def test_faithfulness_of_explanations(call, tmp_path):
    sample = load("sample", None)
    texts = [sample.text(e) for e in sample.examples("test")[:2]]
    picks = [
        WordExplanation(t.example_id, hash_of_words(t.words), n := len(t.words), selected=np.arange(n) == 0)
        for t in texts
    ]
    file = ImportedMethod.of("llm", picks).save(tmp_path / "llm.jsonl")
    with serving(lambda _: "A") as (url, requests):
        asked = ("llm", "faithfulness", "--llm", url, "--llm-model", "m", "--out", tmp_path / "out", *SAMPLE)
        code, out, _ = call(*asked, "--explanations", file, "--yes")
        assert (code, len(requests)) == (0, 6)
        assert "imported-llm" in out
        assert "note: no probabilities came: changes of the label are counted" in out
        assert f"written: {tmp_path}/out" in out
        assert out.splitlines()[-1] == f"next: rationale evaluate --explanations {file}"
        with pytest.raises(Exception, match="is needed, or --explanations, one of the two"):
            app(list(map(str, asked)), standalone_mode=False)


@pytest.mark.parametrize("prices", ["1", "a,b", "-1,2", "nan,1"])
def test_prices_are_two_numbers(call, tmp_path, prices):
    asked = ("llm", "ask", "--llm", "https://a.example", "--llm-model", "m", "--out", tmp_path / "out")
    code, _, err = call(*asked, *SAMPLE, "--prices", prices)
    assert (code, err) == (2, f"error: expected two prices, as 0.15,0.60, got '{prices}'\n")


def test_answers_that_were_collected_are_imported(call, tmp_path):
    with serving(quoting) as (url, _):
        call("llm", "ask", "--llm", url, "--llm-model", "m", "--out", tmp_path / "out", *SAMPLE, "--yes")
    file = tmp_path / "llm.jsonl"
    imported = ("explanations", "import", tmp_path / "out" / "answers.jsonl", "--form", "quotes")
    code, out, _ = call(*imported, "--dataset", "sample", "--name", "llm", "--tool", "m", "--out", file)
    assert code == 0
    assert "note: imported-llm: explanations made elsewhere, 2 examples of m\n" in out
    assert "quotes 2, answers that are a list of quotes 2, quotes found as written 2" in out
    found = read_explanations(file)
    assert [e.selected.tolist().index(True) for e in found.examples.values()] == [0, 0]
    assert {e.label for e in found.examples.values()} == {"POS"}


def test_names_of_labels_are_pairs(call, tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"id": "a001.txt", "label": 1, "quotes": ["Lantern"]}\n')
    asked = (
        "explanations",
        "import",
        file,
        "--form",
        "quotes",
        "--dataset",
        "sample",
        "--out",
        tmp_path / "o.jsonl",
    )
    code, _, err = call(*asked, "--label-names", "1:POS")
    assert (code, err) == (2, "error: expected names of labels, as 0=NEG,1=POS, got '1:POS'\n")
    code, _, _ = call(*asked, "--label-names", "0=NEG,1=POS")
    assert read_explanations(tmp_path / "o.jsonl").examples["a001.txt"].label == "POS"

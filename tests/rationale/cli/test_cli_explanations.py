"""`rationale explanations import`, then `rationale evaluate --explanations`: the numbers of our own row."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from eraser.load import load
from rationale.attribution.batched import AttributionInput, piece_scores
from rationale.attribution.methods import METHODS
from rationale.cli import app
from rationale.cli.commands import run
from rationale.evaluation.pipeline import seed_of
from rationale.hf.classifier import load_classifier
from rationale.settings import AttributionSettings

LIMIT = 5


def rationale(*args):
    return CliRunner().invoke(app, list(map(str, args)))


@pytest.fixture
def exported(model_folder, tmp_path):
    """What the model's attention says of each piece, as another tool would write it, a row a token."""
    classifier, sample = load_classifier(model_folder), load("sample")
    rows = []
    for example in sample.splits["test"][:LIMIT]:
        text = sample.text(example)
        (windows,) = classifier.encoder.encode([text])
        case = AttributionInput(windows, len(text.words), 0, seed_of(0, example.id), text)
        scores, _, _ = piece_scores(classifier, METHODS["attention"], [case], AttributionSettings())
        for window, of_window in zip(windows, scores, strict=True):
            names = classifier.encoder.names(window)
            rows += [
                {"id": example.id, "token": t, "score": s} for t, s in zip(names, of_window, strict=True)
            ]
    path = tmp_path / "attention.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_attention_of_pieces_from_a_file_has_the_numbers_of_our_own_row(exported, model_folder, tmp_path):
    out = tmp_path / "attention.jsonl"
    done = rationale("explanations", "import", exported, "--out", out, "--pieces", "max", "--tool", "ours")
    assert done.exit_code == 0, done.output
    assert "read as --form tokens" in done.output
    assert f"imported-attention: {LIMIT} of the" in done.output
    assert "tokens not in the text" not in done.output  # there is none
    last = f"next: rationale evaluate --dataset sample --split test --explanations {out}"
    assert done.output.splitlines()[-1] == f"{last} --explanations-missing skip"
    evaluated = rationale(
        "evaluate", "--model", model_folder, "--methods", "attention", "--limit", LIMIT,
        "--explanations", out, "--out", tmp_path / "run",
    )  # fmt: skip
    assert evaluated.exit_code == 0, evaluated.output
    scores = pd.read_csv(tmp_path / "run" / "scores.csv")
    own, given = (scores[scores.method == m] for m in ("attention", "imported-attention"))
    own, given = (of[of.metric != "cost"].reset_index(drop=True) for of in (own, given))
    assert len(own) > 15
    assert own.metric.tolist() == given.metric.tolist()
    assert np.allclose(own[["value", "low", "high"]], given[["value", "low", "high"]], 0, 1e-9, True)
    facts = json.loads((tmp_path / "run" / "scores.json").read_text())["run"]
    assert f"imported-attention: explanations made elsewhere, {LIMIT} examples of ours" in facts["notes"]


@pytest.mark.slow
def test_workers_read_the_file_too(exported, model_folder, tmp_path):
    out = tmp_path / "attention.jsonl"
    rationale("explanations", "import", exported, "--out", out, "--name", "theirs")
    evaluated = rationale(
        "evaluate", "--model", model_folder, "--methods", "random", "--limit", LIMIT, "--chunk", "3",
        "--workers", "2", "--explanations", out, "--out", tmp_path / "run",
    )  # fmt: skip
    assert evaluated.exit_code == 0, evaluated.output
    assert "imported-theirs" in evaluated.output


def test_refusals_are_one_line(exported, model_folder, tmp_path, capsys, monkeypatch):
    out = tmp_path / "x.jsonl"
    cases = [
        (["explanations", "import", exported, "--out", exported], "a file of this name exists"),
        (["explanations", "import", exported, "--out", out, "--form", "words"], "one for one (--form tokens"),
        (["explanations", "import", exported, "--out", out, "--score", "z"], "expected a column 'z'"),
        (["evaluate", "--model", model_folder, "--explanations", exported, "--out", tmp_path / "run"],
         "expected one JSON object"),
    ]  # fmt: skip
    for args, message in cases:
        monkeypatch.setattr("sys.argv", ["rationale", *map(str, args)])
        with pytest.raises(SystemExit) as stopped:
            run(app)
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err
    assert not out.exists()


def test_examples_without_an_explanation_are_refused_or_left_out(exported, model_folder, tmp_path):
    out = tmp_path / "attention.jsonl"
    rationale("explanations", "import", exported, "--out", out)
    command = ("evaluate", "--model", model_folder, "--methods", "random", "--limit", LIMIT + 2,
               "--explanations", out, "--out", tmp_path / "run")  # fmt: skip
    refused = rationale(*command)
    assert f"imported-attention: no explanation of 2 of {LIMIT + 2} examples" in str(refused.exception)
    done = rationale(*command, "--explanations-missing", "skip")
    assert done.exit_code == 0, done.output
    assert f"n = {LIMIT}" in done.output


def test_agreement_alone_is_printed_without_a_model(exported, tmp_path):
    out = tmp_path / "attention.jsonl"
    rationale("explanations", "import", exported, "--out", out)
    done = rationale("explanations", "score", out, "--explanations-missing", "skip", "--json")
    assert done.exit_code == 0, done.output
    rows = {(row["budget"], row["metric"]): row for row in json.loads(done.stdout)}
    assert rows["gold", "token_f1"]["method"] == "imported-attention"
    assert rows["gold", "token_f1"]["n"] == rows["-", "average_precision"]["n"] == LIMIT
    shown = rationale("explanations", "score", out, "--explanations-missing", "skip")
    assert f"{rows['gold', 'token_f1']['value']:#.3g}" in shown.output
    last = shown.output.splitlines()[-1]
    assert last.startswith("next: rationale evaluate --dataset sample --model MODEL")
    assert last.endswith(" --explanations-missing skip")

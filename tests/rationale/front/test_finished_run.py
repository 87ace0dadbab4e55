"""`rationale.evaluate` and `rationale.compare`: the same numbers and files as the commands'."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

import rationale
from eraser import InputError
from rationale.cli.commands import app
from rationale.front.given import name_of
from rationale.report.several.runs import read_run
from tests.conftest import tiny_model

METHODS = ["attention", "gradient_x_input", "random"]


@pytest.fixture(scope="module")
def run(make_classifier):
    return rationale.evaluate(make_classifier(), "sample", METHODS, budget="ratio", limit=6, chunk=4)


def test_the_numbers_are_those_of_the_command(model_folder, tmp_path):
    found = rationale.evaluate(model_folder, methods=METHODS, budget="ratio", limit=3)
    command = ["evaluate", "--model", str(model_folder), "--methods", ",".join(METHODS)]
    command += ["--budget", "ratio", "--limit", "3", "--out", str(tmp_path / "run")]
    assert CliRunner().invoke(app, command).exit_code == 0
    theirs = pd.read_csv(tmp_path / "run/scores.csv", keep_default_na=False)
    ours = found.scores
    assert list(ours.columns) == list(theirs.columns)
    kept = ours.metric != "cost"
    assert (ours.metric == theirs.metric).all()
    for name in ("value", "low", "high", "n"):
        expected = pd.to_numeric(theirs[name][kept], errors="coerce").tolist()
        assert ours[name][kept].astype(float).tolist() == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_its_report_is_a_run_that_commands_go_on_with(model_folder, tmp_path):
    found = rationale.evaluate(model_folder, methods=METHODS, budget="ratio", limit=3)
    page = found.report(tmp_path / "run")
    assert page == tmp_path / "run/report.html"
    assert "gradient_x_input" in page.read_text(encoding="utf-8")
    assert len(read_run(tmp_path / "run").ids) == 3
    command = ["evaluate", "--model", str(model_folder), "--methods", ",".join(METHODS)]
    command += ["--budget", "ratio", "--limit", "3", "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0
    assert "already done" in done.stderr


def test_a_report_elsewhere_leaves_other_work_there(make_classifier, tmp_path):
    asked = {"budget": "ratio", "limit": 2}
    rationale.evaluate(make_classifier(), "sample", "random", out=tmp_path / "other", **asked)
    found = rationale.evaluate(
        make_classifier(), "sample", "position", out=tmp_path / "own", overwrite=True, **asked
    )
    with pytest.raises(InputError, match="the folder holds results with other "):
        found.report(tmp_path / "other")
    assert "position" in found.report(tmp_path / "other", overwrite=True).read_text(encoding="utf-8")


def test_an_interrupted_run_goes_on(make_classifier, tmp_path, monkeypatch):
    from rationale.evaluation import pipeline

    asked = make_classifier()
    rationale.evaluate(asked, "sample", METHODS, budget="ratio", limit=3, out=tmp_path / "run")
    monkeypatch.setattr(pipeline, "attribute", lambda *_: pytest.fail("computed again"))
    again = rationale.evaluate(asked, "sample", METHODS, budget="ratio", limit=3, out=tmp_path / "run")
    assert again.scores.n.max() == 3


def test_figures_and_sentences(run):
    assert isinstance(run.plot("tradeoff"), Figure)
    said = str(run.verdict()).splitlines()
    assert [s.partition(":")[0] for s in said[:2]] == ["To show people", "To know what the model used"]
    assert said[3:] == ["n = 6: too few texts to rely on these intervals."]
    first, *others = str(run.details()).splitlines()
    assert first.startswith("The model: accuracy ")
    assert first.endswith("n = 6.")
    assert others[0].startswith("Ranking words as the annotators do (average precision, higher is better): ")
    assert others[-1].startswith("Cost, median per text: from ")


def test_two_runs_side_by_side(run, make_classifier):
    masked = rationale.evaluate(
        make_classifier(), "sample", METHODS, budget="ratio", limit=5, replace="mask", split="test"
    )
    found = rationale.compare(run, masked)
    name = "BertForSequenceClassification (in memory)"
    assert [r.name for r in found.runs] == [f"{name} (1)", f"{name} (2)"]
    assert set(found.to_frame().n) <= set(range(6))
    answers, counts, *_ = found.summary()
    assert answers.startswith("accuracy: ")
    assert answers.endswith("difference +0.000 [+0.000, +0.000], n = 5: no clear difference.")
    n_methods = (found.to_frame().method != "model").sum()
    assert counts.startswith(f"Of {n_methods} paired differences of methods, ")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"methods": ["atention"]}, "'atention'"),
        ({"ig_stepz": 3}, "expected a setting of "),
        ({"split": "tset"}, "tset"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(given, message, classifier):
    with pytest.raises(InputError) as error:
        rationale.evaluate(classifier, "sample", **{"methods": METHODS, **given})
    assert message in str(error.value)


def test_a_loaded_model_is_not_loaded_again(classifier):
    with pytest.raises(InputError, match="the model is loaded already: give precision"):
        rationale.evaluate(classifier, "sample", precision="bf16")


def test_a_figure_that_is_not_there(run):
    with pytest.raises(InputError, match="expected a figure of agreement, tradeoff, "):
        run.plot("trade-off")
    with pytest.raises(InputError, match="this run has nothing to show in 'layers'"):
        run.plot("layers")


def test_models_in_memory_go_by_their_class_and_no_command_is_promised(tokenizer, tmp_path):
    class Like:
        classes_ = ("NEG", "POS")

        def predict_proba(self, texts):
            return np.full((len(texts), 2), 0.5)

    def half(texts):
        return np.full((len(texts), 2), 0.5)

    bert = tiny_model("bert", tokenizer, ("NEG", "POS"))
    named = "BertForSequenceClassification (in memory)"
    for model in ((bert, tokenizer), rationale.load((bert, tokenizer)), bert):
        assert name_of(model) == named
    assert name_of(Like()) == name_of(rationale.load(Like())) == "Like (in memory)"
    assert name_of(half) == name_of(rationale.load(half, labels=["NEG", "POS"])) == "half (in memory)"
    assert name_of("folder") == "folder"
    found = rationale.evaluate((bert, tokenizer), "sample", "random", budget="gold", limit=2)
    page = found.report(tmp_path / "run").read_text(encoding="utf-8")
    assert named in page
    assert "<summary>The command</summary>" not in page

"""`evaluate` and `attribute` with all methods on every family: all end well and say what they leave out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eraser import InputError
from eraser.load import load
from rationale.attribution import METHODS, AttributionSettings, fitting
from rationale.evaluation.plan import evaluate
from rationale.explanation import explain
from rationale.hf.classifier import quiet
from rationale.settings import DEFAULT_METHODS, EvaluateSettings
from rationale.stream import read_stream
from tests.helpers.eraser.prediction_files import annotation, write_lines, write_source
from tests.helpers.families.classifiers import (
    FAMILIES,
    WORDS,
    family_classifier,
    family_model,
    family_tokenizer,
)
from tests.helpers.families.methods import EXPLAINING, REFUSED, surely_refused

FEW = ("distilbert", "qwen3", "t5")
FAST = ("--ig-steps", 2, "--gradient-shap-samples", 2, "--lime-samples", 8, "--shap-samples", 8)
LIGHT = AttributionSettings(ig_steps=2, gradient_shap_samples=2, lime_samples=8, shap_samples=8)


def families(*but):
    names = [name for name in FAMILIES if name not in but]
    return pytest.mark.parametrize(
        "family", [name if name in FEW else pytest.param(name, marks=pytest.mark.families) for name in names]
    )


@pytest.fixture
def texts():
    draws = np.random.default_rng(0)
    return [" ".join(draws.choice(WORDS, n)) for n in (5, 18, 9)]


@pytest.fixture
def data(tmp_path, texts):
    """A data set of three texts, two words of each marked."""
    rows = [annotation(f"e{n}", "NEG" if n else "POS", (f"d{n}", 1, 3)) for n in range(3)]
    docs = {f"d{n}": words for n, words in enumerate(texts)}
    for split in ("train", "val", "test"):
        source = write_source(tmp_path / "data", rows, docs, split)
    return source.path


@pytest.fixture
def folder(tmp_path):
    def save(family):
        quiet()
        family_model(family).save_pretrained(tmp_path / "model")
        family_tokenizer(family).save_pretrained(tmp_path / "model")
        return tmp_path / "model"

    return save


def left_out(err):
    return {line.partition(" is left out: ")[0] for line in err.splitlines() if " is left out: " in line}


@families("funnel")  # is refused when it is loaded
def test_an_evaluation_with_all_methods_ends_well(family, data, tmp_path):
    classifier = family_classifier(family, 20)
    methods, _ = fitting(classifier, EXPLAINING)
    left = {*EXPLAINING} - {*methods}
    assert surely_refused(family) <= left <= {*REFUSED.get(family, {})}
    settings = EvaluateSettings("own", family, methods=methods, **vars(LIGHT))
    found = evaluate(classifier, load("own", data), settings, tmp_path / "r")
    assert {method for method, _ in found.predictions} == {*methods}
    for of_method in found.predictions.values():
        assert all(np.isfinite(p.scores).all() for p in of_method)
        assert all(sum(p.probs.values()) == pytest.approx(1, abs=1e-5) for p in of_method)


@pytest.mark.families
@pytest.mark.parametrize("family", ["distilbert", "t5"])
def test_the_command_evaluate_ends_well_with_all_methods(rationale, family, folder, data):
    where = ("--model", folder(family), "--dataset", "own", "--data", data, "--max-length", 20)
    code, _, err = rationale("evaluate", *where, "--methods", "all", "--device", "cpu", *FAST, "--out", "r")
    assert code == 0, err
    assert "Traceback" not in err
    assert left_out(err) == {*REFUSED.get(family, {})}
    assert {*pd.read_csv("r/scores.csv").method} - {"model"} == {*EXPLAINING} - {*REFUSED.get(family, {})}


@families("funnel", "xlnet", "qwen2")  # refused; says -1 for any length; read by another tokenizer than saved
def test_attribute_ends_well_with_all_methods(rationale, family, folder, texts, tmp_path):
    write_lines(tmp_path / "t.jsonl", [{"text": words} for words in texts])
    asked = ("--file", "t.jsonl", "--methods", "all", "--max-length", 20, "--device", "cpu", "--out", "o")
    code, _, err = rationale("attribute", "--model", folder(family), *asked, *FAST)
    assert code == 0, err
    left = left_out(err)
    assert surely_refused(family) <= left <= {*REFUSED.get(family, {})}
    rows = list(read_stream(tmp_path / "o"))
    assert {row["method"] for row in rows} == {*EXPLAINING} - left
    assert all(len(row["scores"]) == len(row["words"]) for row in rows)


def test_default_methods_leave_out_what_does_not_fit(rationale, folder, data):
    where = ("--dataset", "own", "--data", data, "--max-length", 20, "--device", "cpu")
    code, _, err = rationale("evaluate", "--model", folder("t5"), *where, *FAST, "--out", "r")
    assert code == 0, err
    assert left_out(err) == {"attention", "rollout"}
    facts = json.loads(Path("r/scores.json").read_text(encoding="utf-8"))
    assert facts["run"]["settings"]["methods"] == [
        m for m in DEFAULT_METHODS if m not in ("attention", "rollout")
    ]


@pytest.mark.parametrize("command", ["evaluate", "attribute"])
def test_a_method_that_is_named_and_does_not_fit_is_refused_before_a_folder_is_made(
    rationale, folder, data, texts, tmp_path, command
):
    write_lines(tmp_path / "t.jsonl", [{"text": words} for words in texts])
    asked = {"evaluate": ("--dataset", "own", "--data", data), "attribute": ("--file", "t.jsonl")}[command]
    named = ("--methods", "random,attention,deeplift")
    code, out, err = rationale(command, "--model", folder("t5"), *asked, *named, "--out", "r")
    name = "error: expected a method that fits T5ForSequenceClassification, got"
    assert (code, out) == (2, "")
    assert err.splitlines() == [f"{name} {m}: {REFUSED['t5'][m]}" for m in ("attention", "deeplift")]
    assert not (tmp_path / "r").exists()


def test_in_python_the_same(data, tmp_path):
    classifier, dataset = family_classifier("t5"), load("own", data)
    settings = EvaluateSettings("own", "t5", methods=("attention", "random"))
    with pytest.raises(InputError, match="^expected a method that fits T5.*, got attention: "):
        evaluate(classifier, dataset, settings, tmp_path / "r")
    with pytest.raises(InputError, match="^expected a method that fits T5.*, got rollout: "):
        explain(classifier, "a warm film", "rollout")
    assert not (tmp_path / "r").exists()


def test_models_without_removal_are_told_of_the_methods_that_need_it():
    _, lines = fitting(family_classifier("bert"), METHODS)
    ends = "is left out: the model drops no tokens; every other method works"
    head, *rest = lines
    assert head.startswith("learned is left out: the model has no rationale head")
    assert rest == [f"survivors {ends}", f"contribution {ends}"]

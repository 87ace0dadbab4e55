"""The command that a report prints is one that gives its settings."""

from __future__ import annotations

import json
import shlex
from dataclasses import fields, replace

import pandas as pd

from rationale.hf.classifier import SHIPPED
from rationale.report.command import NO_OPTION, command_of, model_name
from rationale.report.write import stands_on
from rationale.settings import EvaluateSettings, as_record
from tests.helpers.paths import ROOT

OPTIONS = json.loads((ROOT / "tests/rationale/cli/options.json").read_text())["rationale evaluate"]
SCORES = pd.DataFrame({"method": ["a"], "n": [2]})


def test_only_what_is_not_usual_is_typed():
    chosen = {"methods": ("attention", "random"), "budgets": ("gold",), "seed": 3}
    settings = EvaluateSettings("sample", "a model", **chosen)
    assert command_of(as_record(settings)) == (
        "rationale evaluate --dataset sample --model 'a model' --split test --methods attention,random "
        "--budget gold --seed 3"
    )


def test_the_shipped_model_needs_no_path_where_it_is_the_usual_one(tmp_path, monkeypatch):
    """Its path is that of one machine: a report that is passed on gives a command that works elsewhere."""
    monkeypatch.chdir(SHIPPED.parent)
    for path in (str(SHIPPED), SHIPPED.name):
        asked = as_record(EvaluateSettings("sample", path, methods=("random",)))
        assert command_of(asked).startswith("rationale evaluate --dataset sample --split test")
        assert model_name(path) == "the shipped one"
        assert f"--model {path}" in command_of(asked | {"dataset": "mine"})
    assert model_name("models/mine") == "models/mine"


def test_every_setting_has_an_option_or_is_known_to_have_none():
    names = {f.name for f in fields(EvaluateSettings)} - NO_OPTION - {"budgets"}
    assert {n for n in names if f"--{n.replace('_', '-')}" not in OPTIONS} == set()
    assert OPTIONS["--budget"][0].startswith("list")


def test_what_no_option_gives_has_no_command():
    usual = EvaluateSettings("sample", "m", methods=("random",))
    assert command_of(as_record(usual)) is not None
    assert command_of(as_record(usual) | {"fractions": [0.5]}) is None
    assert command_of(as_record(usual) | {"methods": ["imported:one"]}) is None


def test_two_tables_of_other_answers_have_other_captions():
    usual = EvaluateSettings("sample", "m", methods=("random",))
    facts = {"examples": 2, "with_human_evidence": 2, "words": 8, "words_unread": 0, "device": "cpu"}
    facts["budgets"] = ["gold"]

    def caption(settings):
        return stands_on(SCORES, facts | {"settings": as_record(settings)})

    assert "budget gold; long texts" in caption(usual)
    asked = replace(usual, target="label:NEG", explain="margin", threshold=0.3, explain_query=True)
    told = "budget gold; target label:NEG; explain margin; threshold 0.3; explain query; long texts"
    assert told in caption(asked)


def test_a_name_with_signs_stays_one_word():
    record = as_record(EvaluateSettings("sample", "x; rm -rf '~'", methods=("random",)))
    assert "x; rm -rf '~'" in shlex.split(command_of(record))

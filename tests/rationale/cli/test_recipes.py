"""`train adapler --recipe NAME`: values for the options that are not given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rationale.process.terminal import digits
from rationale.training.recipes.adapler.settings import AdaplerSettings

pytestmark = pytest.mark.usefixtures("few_of_the_sample")
SHORT = {"predictor_epochs": 1, "epochs": 0, "hard_epochs": 3, "speedup": 4.9, "hard_lr": 3e-5}
LONG = {"predictor_epochs": 1, "epochs": 0, "hard_epochs": 4, "speedup": 5.0, "hard_lr": 5e-5}
LONG_TOO = {"predictor_lr": 1e-3, "distill": 0.7}
SHORT_TOO = {"predictor_lr": 1e-3, "distill": 1.0}


@pytest.fixture
def trained(monkeypatch):
    """Return what trainings are asked for, which none then does."""
    from rationale.training import adaptive

    asked = []

    def train(recipe, dense, dataset, out, settings, start, overwrite, preset):
        asked.append((settings, preset))
        kept = {"val_accuracy": 0.5, "within_tolerance": True, "speedup": 1.0}
        return {"kept": kept, "dense_val_accuracy": 0.5}

    monkeypatch.setattr(adaptive, "train_adaptive", train)
    return asked


@pytest.mark.parametrize(
    ("name", "of_run", "of_step"), [("short-texts", SHORT, SHORT_TOO), ("long-texts", LONG, LONG_TOO)]
)
def test_a_recipes_values_reach_the_settings_and_are_printed(rationale, trained, name, of_run, of_step):
    code, out, err = rationale("train", "adapler", "--recipe", name, "--dense", "d", "--out", "m")
    assert code == 0, err
    ((settings, preset),) = trained
    assert settings == AdaplerSettings.of(of_run | of_step)
    assert preset == name
    first = out.splitlines()[0]
    assert first.startswith(f"recipe {name}: --predictor-epochs 1 --epochs 0 --hard-epochs ")
    assert first.endswith("; options given on the command line take precedence")


def test_an_option_that_is_given_wins_wherever_it_stands(rationale, trained):
    before = ("--speedup", 2, "--recipe", "short-texts", "--epochs", 5)
    assert rationale("train", "adapler", *before, "--dense", "d", "--out", "m")[0] == 0
    ((settings, _),) = trained
    assert settings == AdaplerSettings.of(SHORT | SHORT_TOO | {"speedup": 2.0, "epochs": 5})


def test_without_a_recipe_all_is_as_published(rationale, trained):
    code, out, _ = rationale("train", "adapler", "--dense", "d", "--out", "m")
    assert trained == [(AdaplerSettings(), None)]
    assert (code, "recipe" in out) == (0, False)


def test_an_unknown_recipe_is_one_line(rationale, trained):
    command = ("train", "adapler", "--recipe", "middle", "--dense", "d", "--out", "m")
    line = "error: expected a recipe of short-texts, long-texts, got 'middle'\n"
    assert rationale(*command) == (2, "", line)
    assert not trained


def test_the_record_says_by_which_recipe(rationale, model_folder):
    options = ("--hard-epochs", 1, "--target", "attention", "--tolerance", 1, "--precision", "float32")
    command = ("train", "adapler", "--recipe", "long-texts", "--dense", model_folder, "--out", "m", *options)
    code, _, err = rationale(*command)
    assert code == 0, err
    record = json.loads(Path("m/rationale.json").read_text())
    assert record["recipe"] == "long-texts"
    assert record["training"]["step"]["distill"] == 0.7


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.87345, "0.873"),
        (0.7, "0.700"),
        (5.4871, "5.49"),
        (87, "87.0"),
        (123.4, "123"),
        (999.6, "1000"),
        (-0.05, "-0.0500"),
    ],
)
def test_numbers_have_three_significant_digits(value, text):
    assert digits(value) == text

"""The commands that train adaptive models: one for each recipe, with the settings' own defaults."""

from __future__ import annotations

import inspect
import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest

from rationale.cli import train_app
from rationale.hf.classifier import load_classifier
from rationale.process.terminal import digits
from rationale.training.recipes.adapler.settings import AdaplerSettings
from rationale.training.recipes.settings import (
    DactSettings,
    ExitsSettings,
    InforCoefSettings,
    PruneSettings,
)
from rationale.training.recipes.table import RECIPES
from tests.helpers.command_line import run
from tests.helpers.models.trainings import few_of, save_cut, save_dense

PLAIN = ("--device", "cpu", "--precision", "float32")
BRIEF = ("--epochs", 1, "--hard-epochs", 1, "--batch-size", 64, "--tolerance", 1.0, *PLAIN)
KINDS = {
    "adapler": AdaplerSettings, "dact": DactSettings, "exits": ExitsSettings, "inforcoef": InforCoefSettings,
    "prune": PruneSettings,
}  # fmt: skip


@pytest.fixture
def rationale(capsys, monkeypatch, tmp_path, sample, tokenizer):
    """Run the command in a folder with a dense and a cut model, on a few texts of the sample."""
    from eraser import load

    monkeypatch.setattr(load, "load", lambda name, data=None, **how: few_of(sample))
    monkeypatch.chdir(tmp_path)
    save_dense(tokenizer, tmp_path)
    save_cut(tokenizer, tmp_path)
    return lambda *arguments: run(capsys, monkeypatch, *arguments)


def test_each_recipe_is_a_command_whose_defaults_are_its_settings_own():
    commands = {c.name: c.callback for c in train_app.registered_commands}
    assert set(RECIPES) == set(KINDS) == set(commands) - {"dense"}
    for name, kind in KINDS.items():
        options = {k: p.default for k, p in inspect.signature(commands[name]).parameters.items()}
        own = {f.name: getattr(kind(), f.name) for f in fields(kind)} | asdict(kind().step)
        both = options.keys() & own.keys()
        assert {"epochs", "lr", "distill", "batch_size", "seed"} <= both
        assert {k: options[k] for k in both} == {k: own[k] for k in both}, name
        of_a_command = {"dense", "out", "dataset", "data", "compose", "only_evidence", "overwrite"}
        assert set(options) - set(own) - {"recipe"} == of_a_command, name


ASKED = {
    "inforcoef": (
        "--compose small --bottleneck as_released --norm 0.5 --entropy 0.25 --share 0.125 --sampler-lr 0.01 "
        "--speedup 5",
        {"bottleneck": "as_released", "norm": 0.5, "entropy": 0.25, "share": 0.125, "sampler_lr": 0.01,
         "speedup": 5.0, "start": "small"},
        {"lr": 2e-5},
    ),
    "prune": (
        "--sparsity 0.4 --sparsity-warmup 0.25 --layers 0.2 --gate-lr 0.2 --multiplier-lr 0.3 "
        "--temperature 3 --word-drop 0.2",
        {"sparsity": 0.4, "sparsity_warmup": 0.25, "layers": 0.2, "gate_lr": 0.2, "multiplier_lr": 0.3,
         "word_drop": 0.2, "start": "dense"},
        {"temperature": 3.0, "distill": 1.0},
    ),
    "adapler": (
        "--compose small --target attention --speedup 5",
        {"target": "attention", "start": "small", "speedup": 5.0},
        {"distill": 0.0},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_command_trains_what_was_asked_for_and_says_how_good_it_is(rationale, name):
    options, run_settings, step_settings = ASKED[name]
    command = ("train", name, "--dense", "dense", "--out", "m", *options.split(), *BRIEF)
    code, out, err = rationale(*command)
    assert code == 0, err
    record = json.loads(Path("m/rationale.json").read_text())
    kept, asked = record["kept"], record["training"]
    assert out == (
        f"m: val accuracy {digits(kept['val_accuracy'])} (dense {digits(record['dense_val_accuracy'])}, "
        f"within the tolerance), FLOPs speed-up {digits(kept['speedup'])}×\n"
        "next: rationale evaluate --model m --dense dense\n"
    )
    assert {k: asked[k] for k in run_settings} == run_settings
    assert {k: asked["step"][k] for k in step_settings} == step_settings
    assert len(record["log"]) == 2
    assert load_classifier("m", device="cpu").labels == ("NEG", "POS")
    assert rationale(*command) == (0, out, "already done: m\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_model_can_be_trained_on_marked_words_alone(rationale, monkeypatch, name):
    from rationale.training import adaptive

    read = []
    real = adaptive.training_windows
    monkeypatch.setattr(
        adaptive, "training_windows", lambda e, d, *x: read.append((d, x[0])) or real(e, d, *x)
    )
    stages = () if name in ("dact", "exits") else ("--hard-epochs", 1)
    command = ("train", name, "--dense", "dense", "--epochs", 1, *stages, "--tolerance", 1.0, *PLAIN)
    for out, options in (("whole", ()), ("marked", ("--evidence-only",))):
        code, _, err = rationale(*command, *options, "--out", out)
        assert code == 0, err
    (whole, of_whole), (marked, of_marked) = read
    assert [x.id for x in of_marked] == [x.id for x in of_whole if x.evidence]
    for example in of_marked:
        before = next(x for x in of_whole if x.id == example.id)
        gold = whole.truth(before).gold
        assert marked.text(example).words == tuple(np.array(whole.text(before).words, object)[gold])


def test_texts_left_out_for_want_of_marks_are_told(rationale, monkeypatch):
    from eraser import load

    whole = load.load("sample")
    bare = {"train": whole.splits["train"][:2], "test": whole.splits["test"]}  # test is not read in training
    splits = {s: tuple(replace(e, gold=frozenset()) for e in e_s) for s, e_s in bare.items()}
    splits = {**whole.splits, "train": (*whole.splits["train"], *splits["train"]), "test": splits["test"]}
    twice = replace(whole, splits=splits)
    monkeypatch.setattr(load, "load", lambda name, data=None, **how: twice)
    command = ("train", "dact", "--dense", "dense", "--epochs", 1, "--tolerance", 1.0, *PLAIN)
    code, _, err = rationale(*command, "--evidence-only", "--out", "m")
    assert code == 0
    assert "note: train: 2 texts without evidence left out\n" in err


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "inforcoef",
            ("--norm", -1),
            "expected --norm, --entropy and --share of at least 0, got (-1.0, 0.0004, 0.0)",
        ),
        (
            "inforcoef",
            ("--word-drop", 0.1),
            "expected --distill 1 with --word-drop (shortened texts have no labels but the dense "
            "model's), got 0.0",
        ),
        ("prune", ("--sparsity", 1.5), "expected --sparsity in (0, 1), got 1.5"),
        ("prune", ("--hard-epochs", 0), "expected at least 1 epoch of each stage, got (4, 0)"),
        ("prune", ("--compose", "small"), "expected a dense model to cut, got BertForSequenceClassification"),
        (
            "inforcoef",
            ("--dense", "nowhere"),
            "nowhere: no such folder: --dense is what `rationale train dense` wrote",
        ),
        (
            "prune",
            ("--compose", "nowhere"),
            "nowhere: no such folder of a model to build on (--compose)",
        ),
    ],
)
def test_what_cannot_be_trained_is_one_line(rationale, name, options, message):
    code, out, err = rationale("train", name, "--dense", "dense", "--out", "m", *PLAIN, *options)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert len(err.splitlines()) == 1
    assert not Path("m").exists()

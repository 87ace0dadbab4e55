from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from eraser import InputError, load
from rationale.hf.card import read_settings
from rationale.hf.classifier import load_classifier, save_classifier
from rationale.inference.savings import measure_removal
from rationale.models.adapler import AdaplerForSequenceClassification
from rationale.models.adaptive import unwrap
from rationale.models.dact import DactConfig, DactForSequenceClassification
from rationale.models.packed.encoder import run_packed
from rationale.process.terminal import digits
from rationale.training.adaptive import train_adaptive
from rationale.training.recipes.dact import DACT, DactStage
from rationale.training.recipes.settings import DactSettings
from rationale.training.run import TrainingBatch
from rationale.training.settings import StepSettings
from tests.conftest import dropping, tiny_model
from tests.helpers.command_line import run
from tests.helpers.models.batches import LENGTHS, batch
from tests.helpers.models.exits import by_hand, exiting
from tests.helpers.models.trainings import few_of, killed, weights
from tests.oracles import dact as oracle

train_dact = partial(train_adaptive, DACT)
SETTINGS = DactSettings(
    epochs=3, halting_lr=0.05, step=StepSettings(lr=1e-3), batch_size=8, tolerance=1.0,
    precision="float32", device="cpu",
)  # fmt: skip
OFTEN = replace(SETTINGS, checkpoint_seconds=0.0)
LABELS = ("NEG", "POS")


@pytest.fixture(scope="module")
def few(sample):
    return few_of(sample, 10, 8, 6)


@pytest.fixture(scope="module")
def saved(tokenizer, tmp_path_factory):
    """Save a model in a folder of its own."""

    def save(model):
        folder = tmp_path_factory.mktemp("models")
        save_classifier(model, tokenizer, folder)
        return folder

    return save


@pytest.fixture(scope="module")
def dense(tokenizer, saved):
    return saved(tiny_model("bert", tokenizer, LABELS))


@pytest.fixture(scope="module")
def whole(dense, few, tmp_path_factory):
    """A run that nothing stopped: its folder and its record."""
    folder = tmp_path_factory.mktemp("whole") / "m"
    return folder, train_dact(dense, few, folder, SETTINGS)


def test_loss_is_that_of_the_answer_of_pondering_and_of_the_heads(tokenizer):
    """Each term by hand, from answers of Hugging Face's own shorter models."""
    dense = tiny_model("bert", tokenizer, LABELS)
    model, (ids, real), labels = exiting(dense), batch(LENGTHS), torch.tensor([0, 1, 1, 0, 1])
    stage = object.__new__(DactStage)
    stage.model, stage.settings = model, replace(SETTINGS, tau=0.02, heads=0.3)
    classifier = SimpleNamespace(autocast=torch.no_grad)
    stage.run = SimpleNamespace(model=model, classifier=classifier, settings=stage.settings)
    found = stage.losses(TrainingBatch(ids, ids * 0, real, labels, None, torch.zeros(5, 2)))
    texts = [
        (oracle.accumulate(ys, hs), ys, y) for (ys, hs), y in zip(by_hand(model, dense), labels, strict=True)
    ]
    expected = {
        "task": sum(-math.log(steps[-1][0][y]) for steps, _, y in texts) / 5,
        "ponder": 0.02 * sum(p for steps, _, _ in texts for _, p in steps) / 5,
        "heads": 0.3 * sum(-math.log(of_layer[y]) for _, ys, y in texts for of_layer in ys) / 15,
    }
    assert {name: float(term) for name, term in found.items()} == pytest.approx(expected, abs=1e-4)
    assert [*expected][0] == [*found][0]  # the one that is logged
    stage.settings = replace(SETTINGS, tau=0.02)
    assert stage.losses(TrainingBatch(ids, ids * 0, real, labels, None, torch.zeros(5, 2))).keys() == {
        "task",
        "ponder",
    }


def depths(folder, dataset):
    """Return how many layers the texts of val ran, and Σ p_n where nobody stops, both on average."""
    one = load_classifier(folder, device="cpu")
    texts = one.encoder.encode([dataset.text(e) for e in dataset.splits["val"]])
    b = one.encoder.collate([w for windows in texts for w in windows])
    accumulator = one.model.accumulator(halts=False)
    with torch.no_grad():
        exits = one.model(b.ids, b.real, b.types).exit_layer
        run_packed(unwrap(one.model), b.ids, b.types, b.real, one.model.select_tokens, accumulator)
    return float(exits.float().mean()), float(torch.stack(accumulator.ponder).sum(0).mean())


@pytest.mark.slow
def test_texts_stop_earlier_the_more_pondering_costs(dense, few, tmp_path):
    exits, ponder = [], []
    for tau in (0.0, 0.2, 1.0):
        train_dact(dense, few, tmp_path / str(tau), replace(SETTINGS, tau=tau))
        layers, chance = depths(tmp_path / str(tau), few)
        exits.append(layers)
        ponder.append(chance)
    assert exits[0] > exits[1] > exits[2] >= 1
    assert ponder[0] > ponder[1] > ponder[2] > 0


def test_finished_model_loads_and_does_what_its_record_says(whole, few):
    folder, record = whole
    assert [(e["stage"], e["epoch"]) for e in record["log"]] == [("dact", n) for n in range(3)]
    assert record["kept"] in record["log"]
    one = load_classifier(folder, device="cpu")
    assert isinstance(one.model, DactForSequenceClassification)
    again = measure_removal(one, few, "val")
    kept = record["kept"]
    assert (again.accuracy, round(again.speedup, 3)) == (kept["val_accuracy"], kept["speedup"])
    assert [round(float(x), 2) for x in again.lengths] == kept["lengths"]
    one.model.set_dial(3.0)  # less sure, sooner
    sooner = measure_removal(one, few, "val").lengths
    assert sooner[-1] < sooner[0] == again.lengths[0]
    assert read_settings(folder) == record
    assert not list(folder.glob("*checkpoint*"))


def test_all_but_the_removal_inside_is_trained(dense, few, saved, tokenizer, tmp_path):
    start = saved(dropping(tiny_model("bert", tokenizer, LABELS)))
    train_dact(dense, few, tmp_path / "m", replace(SETTINGS, epochs=1), start)
    found, before = weights(tmp_path / "m"), {f"model.{k}": v for k, v in weights(start).items()}
    still = {n for n, w in before.items() if torch.equal(w, found[n])}
    removal = ("model.contribution_predictors", "model.eta", "model.theta", "model.first")
    assert {n for n in before if n.startswith(removal)} <= still
    assert len(still) < len(before) / 3
    one = load_classifier(tmp_path / "m", device="cpu")
    assert isinstance(one.model.model, AdaplerForSequenceClassification)
    assert one.model.drops_tokens


@pytest.mark.parametrize("call", [1, 5])
def test_killed_run_goes_on_to_the_very_same_weights(dense, few, whole, tmp_path, monkeypatch, call):
    killed(monkeypatch, DactStage, call, train_dact, dense, few, tmp_path / "cut", OFTEN)
    assert (tmp_path / "cut" / "dact.checkpoint.safetensors").exists() == (call > 1)
    resumed = train_dact(dense, few, tmp_path / "cut", OFTEN)
    folder, record = whole
    assert resumed["log"] == record["log"]
    assert resumed["kept"] == record["kept"]
    found, expected = weights(tmp_path / "cut"), weights(folder)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert not list((tmp_path / "cut").glob("*checkpoint*"))


def test_settings_that_cannot_train_are_refused_at_once(few, tmp_path):
    bad = replace(SETTINGS, tau=float("nan"), heads=-1.0, halting_lr=0.0, exit_rule="lazy", hard_epochs=1)
    with pytest.raises(InputError) as error:
        train_dact(tmp_path, few, tmp_path / "m", bad)
    assert str(error.value).splitlines() == [
        "expected learning rates above 0, got (0.001, 3e-05, 0.0)",
        "expected --tau of at least 0, got nan",
        "expected --heads of at least 0, got -1.0",
        "expected an exit rule of published, tight, got lazy",
        "expected hard_epochs 0 for DACT, which has one stage, got 1",
    ]


@pytest.mark.parametrize("kind", ["itself", "inside"])
def test_model_that_stops_already_is_not_built_on(dense, few, saved, tokenizer, tmp_path, kind):
    stopping = exiting(tiny_model("bert", tokenizer, LABELS))
    start = saved(stopping if kind == "itself" else dropping(stopping))
    name = ("Dact" if kind == "itself" else "Adapler") + "ForSequenceClassification"
    expected = f"^expected a model without early exits to build on, got {name}$"
    with pytest.raises(InputError, match=expected):
        train_dact(dense, few, tmp_path / "m", SETTINGS, start)
    assert not (tmp_path / "m").exists()


def test_unknown_exit_rule_is_refused(tokenizer, saved):
    expected = "expected an exit rule of published, tight, entropy, patience, depth, got 'lazy'"
    with pytest.raises(InputError, match=f"^{expected}$"):
        DactConfig({}, exit_rule="lazy")
    dense = tiny_model("bert", tokenizer, LABELS)
    with pytest.raises(InputError, match=f"^{expected}$"):
        exiting(dense, "lazy")
    folder = saved(exiting(dense))
    file = folder / "config.json"
    file.write_text(file.read_text().replace('"published"', '"lazy"'))
    with pytest.raises(InputError, match=f"^{expected}$"):
        AutoModelForSequenceClassification.from_pretrained(folder)
    with pytest.raises(InputError, match=f"^{folder}: cannot load .*: InputError: {expected}$"):
        load_classifier(folder)


# the command

PLAIN = ("--device", "cpu", "--precision", "float32")


@pytest.fixture
def rationale(capsys, monkeypatch, tmp_path, few):
    """Run the command in an empty folder, on a few texts of the sample."""
    monkeypatch.setattr(load, "load", lambda name, data=None, **how: few)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run(capsys, monkeypatch, *arguments)


def test_command_writes_a_model_and_says_how_good_it_is(rationale, dense):
    command = (
        "train", "dact", "--dense", dense, "--out", "m", "--epochs", 1, "--batch-size", 64, "--tau", 0.5,
        "--heads", 0.2, "--exit-rule", "tight", "--shared-head", "--lr", 1e-3, "--halting-lr", 0.01,
        "--tolerance", 1.0, *PLAIN,
    )  # fmt: skip
    code, out, err = rationale(*command)
    assert code == 0, err
    record = json.loads(Path("m/rationale.json").read_text())
    kept, asked = record["kept"], record["training"]
    assert out == (
        f"m: val accuracy {digits(kept['val_accuracy'])} (dense {digits(record['dense_val_accuracy'])}, "
        f"within the tolerance), FLOPs speed-up {digits(kept['speedup'])}×\n"
        f"next: rationale evaluate --model m --dense {dense}\n"
    )
    assert (asked["epochs"], asked["tau"], asked["heads"], asked["halting_lr"]) == (1, 0.5, 0.2, 0.01)
    assert (asked["exit_rule"], asked["shared_head"], asked["step"]["lr"]) == ("tight", True, 1e-3)
    config = load_classifier("m", device="cpu").model.config
    assert (config.exit_rule, config.shared_head) == ("tight", True)
    assert rationale(*command) == (0, out, "already done: m\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tau", -1), "error: expected --tau of at least 0, got -1.0\n"),
        (("--heads", -1), "error: expected --heads of at least 0, got -1.0\n"),
        (("--halting-lr", 0), "error: expected learning rates above 0, got (3e-05, 3e-05, 0.0)\n"),
        (("--epochs", 0), "error: expected at least 1 epoch, got (0, 0)\n"),
    ],
)
def test_bad_option_is_one_line(rationale, dense, options, message):
    code, out, err = rationale("train", "dact", "--dense", dense, "--out", "m", *options, *PLAIN)
    assert (code, out, err) == (2, "", message)
    assert not Path("m").exists()

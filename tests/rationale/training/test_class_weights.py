"""Class weights: what they are, what they do to the loss of each training, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy, nll_loss

from eraser import Dataset, InputError
from eraser.types import Document, Example
from rationale.models.adapler_losses import LossWeights, task_loss
from rationale.training.adaptive import train_adaptive
from rationale.training.class_weights import say_balance, weighted, weights_of
from rationale.training.dense import train_dense
from rationale.training.recipes.table import RECIPES
from rationale.training.settings import TrainSettings, parse_class_weights
from tests.conftest import tiny_model
from tests.helpers.command_line import run
from tests.helpers.models.trainings import PLAIN, few_of, save_dense

LOGITS, LABELS = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]), torch.tensor([0, 1])  # losses ln 2 and ln 4


def labelled(train, val=("A", "B")):
    """Return a data set with these labels."""
    splits = {
        s: tuple(Example(f"{s}{i}", (f"{s}{i}",), label) for i, label in enumerate(labels))
        for s, labels in (("train", train), ("val", val))
    }
    documents = {e.id: Document(e.id, (("word",),)) for of_split in splits.values() for e in of_split}
    return Dataset("made", documents, splits, source="made.csv")


# --- the weights


def test_balanced_weights_are_inverse_to_the_texts_of_a_class():
    assert weights_of("balanced", labelled("AAB")) == pytest.approx((3 / (2 * 2), 3 / (2 * 1)))
    assert weights_of("balanced", labelled("AABBCC", "ABC")) == (1.0, 1.0, 1.0)
    assert weights_of((1, 2.5), labelled("AAB")) == (1.0, 2.5)
    assert weights_of(None, labelled("AAB")) is None


def test_the_balance_is_one_line(capsys):
    say_balance(labelled("AAB"), None)
    say_balance(labelled("AAB"), (0.75, 1.5))
    say_balance(labelled([f"{i:02}" for i in range(23)]), None)
    plain, weighed, many = capsys.readouterr().err.splitlines()
    assert plain == "train: 3 texts; A 2 (66.7%); B 1 (33.3%)"
    assert weighed == "train: 3 texts; A 2 (66.7%), weight 0.75; B 1 (33.3%), weight 1.5"
    assert many.startswith("train: 23 texts; 00 1 (4.3%); 01 1 (4.3%);")
    assert many.endswith("; 19 1 (4.3%); and 5 more classes")  # A and B, of val, are two of them


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ((1.0,), "expected a class weight for each of 2 labels ('A', 'B', in this order), got 1"),
        ((1.0,) * 3, "expected a class weight for each of 2 labels ('A', 'B', in this order), got 3"),
        ("balanced", "no text of train has the label 'B': its class cannot be balanced; "
         "give numbers instead, --class-weights 1,2"),
    ],
)  # fmt: skip
def test_weights_that_fit_no_class_are_refused(wanted, message):
    with pytest.raises(InputError) as error:
        weights_of(wanted, labelled("AAA"))
    assert str(error.value) == f"made.csv: {message}"


@pytest.mark.parametrize("weights", [(1.0, 0.0), (-1.0, 1.0), (math.inf, 1.0), (math.nan, 1.0), "equal"])
def test_settings_refuse_weights_that_are_not_positive_numbers(weights):
    message = f"expected class weights that are finite and above 0, got {weights}"
    for settings in (TrainSettings, *(recipe.settings for recipe in RECIPES.values())):
        with pytest.raises(InputError) as error:
            replace(settings(), class_weights=weights).check()
        assert str(error.value) == message


def test_the_option_reads_numbers_or_the_word():
    assert parse_class_weights("balanced") == "balanced"
    assert parse_class_weights("1,.5, 2e0") == (1.0, 0.5, 2.0)
    assert parse_class_weights(None) is None
    with pytest.raises(InputError) as error:
        parse_class_weights("1;2")
    expected = "expected class weights as balanced, or numbers, comma-separated, got '1;2'"
    assert str(error.value) == expected


def test_records_name_weights_only_where_there_are_any():
    for settings in (TrainSettings, *(recipe.settings for recipe in RECIPES.values())):
        assert "class_weights" not in settings().as_record()
        assert replace(settings(), class_weights="balanced").as_record()["class_weights"] == "balanced"


# --- the loss


def test_the_sum_is_divided_by_the_texts_and_not_by_their_weights():
    classes, by_hand = torch.tensor([1.0, 3.0]), (math.log(2) + 3 * math.log(4)) / 2
    assert float(weighted(cross_entropy, LOGITS, LABELS, classes)) == pytest.approx(by_hand, rel=1e-6)
    log_probs = LOGITS.log_softmax(-1)
    assert float(weighted(nll_loss, log_probs, LABELS, classes)) == pytest.approx(by_hand, rel=1e-6)
    assert float(task_loss(LOGITS, LABELS, LossWeights(0, 0, classes))) == pytest.approx(by_hand, rel=1e-6)
    assert torch.equal(weighted(cross_entropy, LOGITS, LABELS, None), cross_entropy(LOGITS, LABELS))


def test_what_imitates_a_teacher_is_weighed_too():
    """A teacher that is sure of nothing: KL(½,½ ‖ ¾,¼) of the second text, times 3, by two texts."""
    weights = LossWeights(0.0, 0.0, torch.tensor([1.0, 3.0]), distill=1.0, temperature=1.0)
    by_hand = 3 * (0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)) / 2
    assert float(task_loss(LOGITS, LABELS, weights, torch.zeros(2, 2))) == pytest.approx(by_hand, rel=1e-6)


# --- each training


@pytest.fixture(scope="module")
def few(sample):
    return few_of(sample)


@pytest.fixture(scope="module")
def dense(tokenizer, tmp_path_factory):
    return save_dense(tokenizer, tmp_path_factory.mktemp("models"))


def first_losses(train, folder):
    """Return the loss of one step from the same start under weights (1, 3), (3, 1) and none."""
    made = {"ab": (1.0, 3.0), "ba": (3.0, 1.0), "none": None}
    return {name: train(folder / name, weights)["log"][0]["train_loss"] for name, weights in made.items()}


def check_linear(losses):
    """The loss is linear in the weights: those of (1, 3) and (3, 1) add up to that of (4, 4)."""
    assert losses["ab"] + losses["ba"] == pytest.approx(4 * losses["none"], rel=1e-5)
    assert losses["ab"] != pytest.approx(losses["ba"], rel=1e-4)


def test_dense_training_weighs_classes_and_says_so(tokenizer, few, tmp_path, capsys):
    settings = TrainSettings(epochs=1, batch_size=64, max_length=64, precision="float32", device="cpu")

    def start():
        return tiny_model("bert", tokenizer, few.labels), tokenizer

    def train(out, weights):
        return train_dense(start, few, out, replace(settings, class_weights=weights))

    check_linear(first_losses(train, tmp_path))
    counts = {label: sum(e.label == label for e in few.splits["train"]) for label in few.labels}
    told = "; ".join(
        f"{label} {n} ({n / 6:.1%}), weight {w}" for (label, n), w in zip(counts.items(), (1, 3), strict=True)
    )
    assert f"train: 6 texts; {told}\n" in capsys.readouterr().err
    for file in ("rationale.json", "README.md"):
        text = (tmp_path / "ab" / file).read_text()
        assert '"class_weights"' in text
        assert '"class_weights"' not in (tmp_path / "none" / file).read_text()
    record = json.loads((tmp_path / "ab" / "rationale.json").read_text())
    assert record["training"]["class_weights"] == [1.0, 3.0]
    assert record["class_weights"] == {"NEG": 1.0, "POS": 3.0}


STAGES = {
    "adapler": [{"target": "attention"}, {"target": "attention", "epochs": 0, "hard_epochs": 1}],
    "dact": [{"heads": 0.0}],
    "exits": [{"head_epochs": 1}, {"head_epochs": 0, "tau": 0.0}],
    "inforcoef": [{}],
    "prune": [{"hard_epochs": 1}],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "change", "distill"),
    [(name, change, d) for name, changes in STAGES.items() for change in changes for d in (0.0, 1.0)],
)
def test_every_recipe_weighs_classes(dense, few, tmp_path, name, change, distill):
    """Of the first stage's one step the task loss is logged."""
    recipe = RECIPES[name]
    values = PLAIN | {"epochs": 1, "batch_size": 64, "distill": distill, **change}
    settings = recipe.settings.of(values if name != "exits" else {**values, "epochs": 0, "halting_epochs": 1})

    def train(out, weights):
        return train_adaptive(recipe, dense, few, out, replace(settings, class_weights=weights))

    check_linear(first_losses(train, tmp_path))
    record = json.loads((tmp_path / "ab" / "rationale.json").read_text())
    assert record["class_weights"] == {"NEG": 1.0, "POS": 3.0}


# --- the command


@pytest.fixture
def rationale(capsys, monkeypatch, tmp_path, few, tokenizer):
    """Run a command in a folder with a dense model, on a few texts of the sample."""
    from eraser import load

    monkeypatch.setattr(load, "load", lambda name, data=None, **how: few)
    monkeypatch.chdir(tmp_path)
    save_dense(tokenizer, tmp_path)
    return lambda *arguments: run(capsys, monkeypatch, *arguments)


@pytest.mark.slow
def test_the_option_reaches_a_training_under_a_recipe(rationale, few):
    options = ("--recipe", "short-texts", "--hard-epochs", 1, "--target", "attention", "--tolerance", 1)
    command = ("train", "adapler", "--dense", "dense", "--out", "m", *options, "--class-weights", "balanced")
    code, _, err = rationale(*command, "--device", "cpu", "--precision", "float32")
    assert code == 0, err
    record = json.loads(Path("m/rationale.json").read_text())
    assert record["training"]["class_weights"] == "balanced"
    expected = dict(zip(few.labels, weights_of("balanced", few), strict=True))
    assert record["class_weights"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            ("dense", "--backbone", "dense", "--class-weights", "1,2,3"),
            "expected a class weight for each of 2 labels ('NEG', 'POS', in this order), got 3",
        ),
        (("dact", "--dense", "dense", "--class-weights", "1,0"),
         "expected class weights that are finite and above 0, got (1.0, 0.0)"),
        (("prune", "--dense", "dense", "--class-weights", "equal"),
         "expected class weights as balanced, or numbers, comma-separated, got 'equal'"),
    ],
)  # fmt: skip
def test_wrong_weights_are_one_line_and_nothing_is_written(rationale, command, message):
    code, out, err = rationale("train", *command, "--out", "m")
    assert (code, out) == (2, "")
    assert err.endswith(f"{message}\n")
    assert err.count("\n") == 1
    assert not Path("m").exists()


def test_a_teacher_of_several_labels_has_no_classes_to_weigh(rationale):
    config = json.loads(Path("dense/config.json").read_text())
    Path("dense/config.json").write_text(json.dumps(config | {"problem_type": "multi_label_classification"}))
    code, _, err = rationale("train", "dact", "--dense", "dense", "--out", "m", "--class-weights", "balanced")
    assert code == 2
    expected = "expected a dense model that gives one class of several (evaluate, attribute and app take any)"
    assert err == f"error: dense: {expected}, got a multi-label model\n"

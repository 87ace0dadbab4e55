"""Heads and halting units that learn from stored states; the encoder is frozen."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from eraser import InputError
from rationale.hf.classifier import load_classifier, save_classifier
from rationale.inference.savings import run_windows
from rationale.models.adaptive import unwrap
from rationale.models.capabilities import under_exit
from rationale.models.dact import DactForSequenceClassification, FullDepth
from rationale.models.exits.standardised import Standardised
from rationale.models.packed.layers import width_of
from rationale.training.adaptive import train_adaptive
from rationale.training.recipes.exits import EXITS, HaltingStage, HeadsStage
from rationale.training.recipes.settings import ExitsSettings
from rationale.training.run import TrainingRun
from rationale.training.settings import StepSettings
from tests.conftest import tiny_model
from tests.helpers.families.classifiers import family_model, family_tokenizer
from tests.helpers.models.trainings import killed, saved, weights
from tests.oracles import dact as oracle

train_exits = partial(train_adaptive, EXITS)
SETTINGS = ExitsSettings(
    head_epochs=2, halting_epochs=2, head_lr=0.01, halting_lr=0.05, step=StepSettings(lr=1e-3), batch_size=4,
    tolerance=1.0, precision="float32", device="cpu",
)  # fmt: skip
LABELS = ("NEG", "POS")


@pytest.fixture(scope="module")
def few(sample):
    sizes = {"train": 10, "val": 6, "test": 6}
    return replace(sample, splits={k: sample.splits[k][:n] for k, n in sizes.items()})


@pytest.fixture(scope="module")
def dense(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dense")
    save_classifier(tiny_model("bert", tokenizer, LABELS), tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def whole(dense, few, tmp_path_factory):
    """A run that nothing stopped: its folder and its record."""
    folder = tmp_path_factory.mktemp("whole") / "m"
    return folder, train_exits(dense, few, folder, SETTINGS)


def standardised(name):
    """A model whose modules standardise; mean and deviation of states; states, close as [CLS]'s."""
    model = DactForSequenceClassification.wrap(family_model(name), standardised=True).eval()
    width = width_of(unwrap(model))
    torch.manual_seed(0)
    mean, deviation = torch.randn(width), torch.rand(width) * 1e-3 + 1e-4  # [D]
    return model, mean, deviation, mean + deviation * torch.randn(5, width)  # [b,D]


@torch.no_grad()
@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta", "electra"])
def test_a_head_begins_as_the_dense_models_own(name):
    """In float64: states lie so close together that in float32 rounding alone may move an answer by 0.001."""
    model, mean, deviation, states = standardised(name)
    model, mean, deviation, states = model.double(), mean.double(), deviation.double(), states.double()
    before = model.own_head()(states, None, unwrap(model))
    model.heads[0].adapt(mean, deviation)
    found = model.heads[0].module((states - mean) / deviation, None, unwrap(model))
    assert torch.allclose(found, before, atol=1e-9)


@torch.no_grad()
def test_in_bf16_heads_and_units_say_what_they_say_in_float32():
    """Folded into the matrices, the standardisation would ask more of them than bf16 can hold."""
    model, mean, deviation, states = standardised("bert")
    for module in (model.heads[0], model.halting_units[0]):
        module.adapt(mean, deviation)
        for weight in module.parameters():
            nn.init.normal_(weight, std=0.2)
    exact = model.read(0, states)  # [b,C], [b]
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model.read(0, states)
    assert exact[0].std(0).min() > 0.05  # answers differ
    assert exact[1].std() > 0.05
    for one, other in zip(exact, rounded, strict=True):
        assert torch.allclose(one, other, atol=0.02)


@pytest.mark.parametrize("name", ["prelayernorm", "modernbert", "gpt2", "qwen2"])
def test_a_head_that_begins_with_a_norm_or_has_no_bias_learns_too(name, few, tmp_path):
    """The stored model is the one that was measured."""
    dense = saved(family_model(name, LABELS), family_tokenizer(name), tmp_path / "dense")
    record = train_exits(dense, few, tmp_path / "m", SETTINGS)
    stored = load_classifier(tmp_path / "m", device="cpu")
    texts = stored.encoder.encode([few.text(e) for e in few.splits["val"]])
    probs = [run_windows(stored, windows)[0].mean(0) for windows in texts]
    right = [LABELS[p.argmax()] == e.label for e, p in zip(few.splits["val"], probs, strict=True)]
    assert sum(right) / len(right) == pytest.approx(record["log"][-1]["val_accuracy"])


def test_where_a_text_ends_in_the_padding_token_training_reads_what_the_model_reads(few, tmp_path):
    """A decoder's head reads the last token that is not the padding id; one behind it is nobody's."""
    dense = saved(family_model("qwen2", LABELS), family_tokenizer("qwen2"), tmp_path / "dense")
    classifier = load_classifier(dense, device="cpu")
    window = classifier.encoder.encode([few.text(few.splits["val"][0])])[0][0].at(slice(0, 5))
    ends = replace(window, ids=[*window.ids[:4], classifier.model.config.pad_token_id])
    run = object.__new__(TrainingRun)
    run.classifier, run.windows = classifier, [SimpleNamespace(label=0)]
    batch = run._batch([0], [ends], [])
    assert batch.real.tolist() == [[True] * 4 + [False]]
    model = DactForSequenceClassification.wrap(classifier.model).eval()
    with torch.no_grad():
        model.set_exit("depth", 0.0)
        whole = FullDepth(model)(input_ids=batch.ids, attention_mask=torch.ones_like(batch.ids)).logits
        expected = classifier.model(input_ids=batch.ids, attention_mask=torch.ones_like(batch.ids)).logits
    assert torch.allclose(whole.softmax(-1), expected.softmax(-1), atol=1e-5)


def test_the_encoder_and_the_last_head_rest_and_all_else_learns(dense, whole):
    before, after = weights(dense), weights(whole[0])
    inner = {k.removeprefix("model."): v for k, v in after.items() if k.startswith("model.")}
    assert inner.keys() == before.keys()
    assert all(torch.equal(inner[k], before[k]) for k in before)
    for layer in (0, 1):
        matrix = after[f"heads.{layer}.module.classifier.weight"]
        assert not torch.equal(matrix, before["classifier.weight"])
    assert all(after[f"halting_units.{layer}.module.weight"].any() for layer in range(3))


def test_run_at_full_depth_the_last_layer_says_what_the_dense_model_says(dense, whole, few):
    one, other = (load_classifier(f, device="cpu") for f in (dense, whole[0]))
    texts = one.encoder.encode([few.text(e) for e in few.splits["test"]])
    windows = [w for of_text in texts for w in of_text]
    with under_exit(other.model, "depth", dial=0.0):
        assert run_windows(other, windows)[0] == pytest.approx(run_windows(one, windows)[0], abs=1e-5)


def test_heads_answer_train_better_than_copies_of_the_dense_models_do(whole, dense, few):
    """What was folded in fits the states as they are: after one layer they know train's labels better."""
    trained = load_classifier(whole[0], device="cpu")
    copies = replace(trained, model=DactForSequenceClassification.wrap(load_classifier(dense).model).eval())
    texts = trained.encoder.encode([few.text(e) for e in few.splits["train"]])
    labels = [
        LABELS.index(e.label) for e, of_text in zip(few.splits["train"], texts, strict=True) for _ in of_text
    ]
    windows = [w for of_text in texts for w in of_text]
    losses = []
    for model in (trained, copies):
        with under_exit(model.model, "depth", dial=3.0):
            probs, _ = run_windows(model, windows)
        losses.append(-torch.tensor(probs)[range(len(labels)), labels].log().mean())
    assert losses[0] < losses[1]


def test_loss_of_halting_is_that_of_the_mixed_answer_and_of_pondering():
    """By the oracle, from answers and states that are made up; units begin at a half."""
    torch.manual_seed(1)
    stage = object.__new__(HaltingStage)
    stage.states, stage.answers = torch.randn(4, 3, 8), torch.randn(4, 3, 2).softmax(-1)
    stage.modules, stage.settings = (
        [Standardised(nn.Linear(8, 1), 8) for _ in range(3)],
        replace(SETTINGS, tau=0.3),
    )
    labels = [0, 1, 1, 0]
    stage.run = type("Run", (), {"windows": [type("W", (), {"label": y}) for y in labels]})
    expected = 0.0
    for row, y in enumerate(labels):
        hs = [
            float(unit.module(stage.states[row, n]).detach().sigmoid())
            for n, unit in enumerate(stage.modules)
        ]
        steps = oracle.accumulate(stage.answers[row].tolist(), hs)
        expected += -torch.tensor(steps[-1][0][y]).log() / 4 + 0.3 * sum(p for _, p in steps) / 4
    assert float(stage.loss([0, 1, 2, 3]).detach()) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize(("stage", "call"), [(HeadsStage, 4), (HaltingStage, 1), (HaltingStage, 4)])
def test_killed_run_goes_on_to_the_very_same_weights(dense, few, whole, tmp_path, monkeypatch, stage, call):
    """In the middle of an epoch the modules take standardised states; after it, the states as they are."""
    often = replace(SETTINGS, checkpoint_seconds=0.0)
    killed(monkeypatch, stage, call, train_exits, dense, few, tmp_path / "m", often)
    train_exits(dense, few, tmp_path / "m", often)
    one, other = weights(whole[0]), weights(tmp_path / "m")
    assert all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tau": -1.0}, "expected --tau of at least 0, got -1.0"),
        ({"halting_epochs": 0}, "expected --halting-epochs of at least 1, got 0"),
        ({"halting_decay": -1.0}, "expected --halting-decay of at least 0, got -1.0"),
        ({"exit_rule": "entropy"}, "expected an exit rule of published, tight, got entropy"),
        ({"hard_epochs": 1}, "expected hard_epochs 0 for early exits, which remove nothing, got 1"),
        ({"speedup": 2.0}, "expected no speedup: tau decides, got 2.0"),
    ],
)
def test_settings_that_cannot_train_are_refused(settings, message):
    with pytest.raises(InputError) as error:
        replace(SETTINGS, **settings).check()
    assert str(error.value) == message

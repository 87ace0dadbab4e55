from __future__ import annotations

import os
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from eraser import InputError
from rationale.attribution.methods import METHODS
from rationale.attribution.request import AttributionBatch
from rationale.models.adapler import saliency
from rationale.text.windows import OUTSIDE
from rationale.training import adaptive
from rationale.training.adaptive import train_adaptive
from rationale.training.dense import EPOCHS, train_dense
from rationale.training.loop import training_windows
from rationale.training.recipes.adapler import recipe as adapler
from rationale.training.recipes.adapler.recipe import ADAPLER
from rationale.training.recipes.adapler.settings import AdaplerSettings
from rationale.training.settings import TrainSettings
from rationale.training.targets import kept_on_disk, saliency_targets, teacher_logits
from tests.conftest import tiny_model


@pytest.fixture(scope="module")
def few(sample):
    sizes = {"train": 8, "val": 4, "test": 2}
    return replace(sample, splits={k: sample.splits[k][:n] for k, n in sizes.items()})


@pytest.fixture(scope="module")
def two(make_classifier):
    """Two dense models with other weights each."""
    other = make_classifier()
    torch.manual_seed(5)
    for weight in other.model.parameters():
        weight.add_(0.1 * torch.randn_like(weight))
    return make_classifier(), other


@pytest.fixture(scope="module")
def windows(two, few):
    return training_windows(two[0].encoder, few, few.splits["train"])


def alone(classifier, window, label):
    """The published saliency of one window by itself."""
    ids, types = torch.tensor(window.ids)[None], torch.tensor(window.types)[None]
    real = torch.ones_like(ids, dtype=torch.bool)
    return saliency(classifier.model, ids, types, real, torch.tensor([label]))[0].numpy()


def close(found, expected):
    return all(np.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(found, expected, strict=True))


def test_published_target_is_the_saliency_of_the_label(two, few, windows):
    found = saliency_targets(two[:1], few, windows, "gradient_x_input")
    expected = [alone(two[0], w.window, w.label) for w in windows]
    assert close(found, expected)
    assert {w.label for w in windows} == {0, 1}
    assert not close(found, [alone(two[0], w.window, 1 - w.label) for w in windows])


def test_target_of_several_models_is_their_mean(two, few, windows):
    each = [saliency_targets([c], few, windows, "gradient_x_input") for c in two]
    assert not close(*each)
    both = saliency_targets(two, few, windows, "gradient_x_input")
    assert close(both, [(a + b) / 2 for a, b in zip(*each, strict=True)])


def test_each_model_may_explain_what_it_says_itself(two, few, windows):
    found = saliency_targets(two, few, windows, "gradient_x_input", predicted=True)
    expected, said = [], []
    for w in windows:
        ids, types = torch.tensor(w.window.ids)[None], torch.tensor(w.window.types)[None]
        with torch.no_grad():
            own = [int(c.model(input_ids=ids, token_type_ids=types).logits.argmax()) for c in two]
        said.append((*own, w.label))
        expected.append(sum(alone(c, w.window, label) for c, label in zip(two, own, strict=True)) / 2)
    assert any(len(set(labels)) == 2 for labels in said)
    assert close(found, expected)


@pytest.mark.parametrize("method", ["attention", "gradient_x_input_l2", "leave_one_out"])
def test_any_method_may_be_the_target(two, few, windows, method):
    found, below = saliency_targets(two[:1], few, windows, method), False
    for w, target in zip(windows, found, strict=True):
        batch = two[0].encoder.collate([w.window])
        request = AttributionBatch(batch, torch.tensor([w.label]), (0,))
        signed = METHODS[method].scores(two[0], request)[0]
        below |= bool((signed < 0).any())
        assert target == pytest.approx(signed.abs().numpy(), rel=1e-4, abs=1e-5)
    assert below == METHODS[method].signed


def test_human_target_marks_the_pieces_of_marked_words(two, few, windows):
    found = saliency_targets(two[:1], few, windows, "human")
    encoded = two[0].encoder.encode([few.text(e) for e in few.splits["train"]])
    owners = [e for e, of_text in zip(few.splits["train"], encoded, strict=True) for _ in of_text]
    assert len(set(owners)) < len(owners)
    for example, w, target in zip(owners, windows, found, strict=True):
        gold = set(few.truth(example).gold.nonzero()[0].tolist())
        marked = [int(word in gold) for word in w.window.word]
        if not any(marked):
            marked = [int(word != OUTSIDE) for word in w.window.word]
        assert target.tolist() == marked


def test_window_without_a_marked_word_counts_all_its_words(two, few):
    """Of two windows only that with the evidence has marks of its own."""
    (example,) = few.splits["train"][:1]
    one = replace(few, splits={"train": (example,)})
    short = replace(two[0], encoder=type(two[0].encoder)(two[0].encoder.tokenizer, 16))
    windows = training_windows(short.encoder, one, one.splits["train"])
    gold = one.truth(example).gold
    has = [bool(gold[w.window.word[w.window.word != OUTSIDE]].any()) for w in windows]
    assert set(has) == {True, False}
    for w, target, marked in zip(windows, saliency_targets([short], one, windows, "human"), has, strict=True):
        inside = w.window.word != OUTSIDE
        assert (target.astype(bool) == inside).all() != marked


def test_human_target_needs_human_evidence(two, few, windows):
    blank = [replace(e, gold=frozenset()) for e in few.splits["train"]]
    bare = replace(few, splits={**few.splits, "train": tuple(blank)})
    with pytest.raises(InputError) as error:
        saliency_targets(two[:1], bare, windows, "human")
    expected = "target human needs human evidence on train, and there is none"
    assert str(error.value) == f"{few.source}: {expected}"


def test_joined_targets_are_the_mean_of_shares(two, few, windows):
    found = saliency_targets(two, few, windows, "human+gradient_x_input")
    parts = [saliency_targets(two, few, windows, name) for name in ("human", "gradient_x_input")]
    expected = [(a / a.sum() + b / b.sum()) / 2 for a, b in zip(*parts, strict=True)]
    assert close(found, expected)
    assert [float(t.sum()) for t in found] == pytest.approx([1.0] * len(found), rel=1e-5)


def test_several_teachers_say_the_mean_of_their_probabilities(two, windows):
    alone = [teacher_logits([one], windows).softmax(-1) for one in two]
    found = teacher_logits(two, windows)
    assert torch.allclose(found.exp(), (alone[0] + alone[1]) / 2, atol=1e-6)
    assert not torch.allclose(alone[0], alone[1], atol=1e-3)


def test_teacher_logits_are_the_models_own(two, windows):
    found = teacher_logits(two[:1], windows)
    for w, logits in zip(windows, found, strict=True):
        ids, types = torch.tensor(w.window.ids)[None], torch.tensor(w.window.types)[None]
        with torch.no_grad():
            expected = two[0].model(input_ids=ids, token_type_ids=types).logits[0]
        assert torch.allclose(logits, expected, atol=1e-5)


def test_what_is_on_disk_is_not_computed_again(tmp_path):
    tensors = [torch.arange(3.0), torch.tensor([7.0]), torch.arange(2.0)]
    calls = []

    def compute():
        calls.append(1)
        return tensors

    for _ in range(2):
        found = kept_on_disk(tmp_path, "a.safetensors", compute)
        assert [t.tolist() for t in found] == [t.tolist() for t in tensors]
    assert calls == [1]
    assert [p.name for p in (tmp_path / "targets").iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("has_targets", [False, True])
def test_beside_a_model_that_may_only_be_read_the_cache_keeps_them(has_targets, tmp_path, monkeypatch):
    dense, calls, own = tmp_path / "dense", [], [torch.arange(2.0)]
    (dense / "targets" if has_targets else dense).mkdir(parents=True)
    if has_targets:
        kept_on_disk(dense, "old.safetensors", lambda: own)
    monkeypatch.setenv("RATIONALE_CACHE", str(tmp_path / "cache"))
    denied = {dense, dense / "targets"}
    monkeypatch.setattr(os, "access", lambda path, mode: path not in denied)  # root may write anywhere

    def compute():
        calls.append(1)
        return own

    for _ in range(2):
        (found,) = kept_on_disk(dense, "new.safetensors", compute)
        assert found.tolist() == [0.0, 1.0]
    assert calls == [1]
    files = {f.relative_to(tmp_path).as_posix() for f in tmp_path.rglob("*.safetensors")}
    there = {"dense/targets/old.safetensors"} if has_targets else set()
    assert files == {"cache/targets/new.safetensors"} | there
    if has_targets:  # which is read where it is
        (found,) = kept_on_disk(dense, "old.safetensors", lambda: pytest.fail("it is there"))
        assert found.tolist() == [0.0, 1.0]


@pytest.fixture(scope="module")
def dense(tokenizer, few, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "dense"
    settings = TrainSettings(
        epochs=3, lr=1e-3, batch_size=8, max_length=64, precision="float32", device="cpu", keep_epochs=3
    )
    train_dense(lambda: (tiny_model("bert", tokenizer, few.labels), tokenizer), few, folder, settings)
    return folder


train_adapler = partial(train_adaptive, ADAPLER)
SETTINGS = AdaplerSettings(
    epochs=0, hard_epochs=1, batch_size=64, precision="float32", device="cpu", target="attention"
)


@pytest.mark.slow
def test_targets_are_shared_by_runs_of_one_dense_model_and_made_anew_for_another_target(
    dense, few, tmp_path, monkeypatch
):
    calls, real = [], adapler.saliency_targets

    def counted(classifiers, dataset, windows, name, predicted):
        calls.append((len(classifiers), name, predicted))
        return real(classifiers, dataset, windows, name, predicted)

    monkeypatch.setattr(adapler, "saliency_targets", counted)
    changes = [
        {}, {"seed": 1}, {"eta": 0.5}, {"target": "rollout"}, {"target_class": "predicted"},
        {"saliency_epochs": 2},
    ]  # fmt: skip
    for number, change in enumerate(changes):
        train_adapler(dense, few, tmp_path / str(number), replace(SETTINGS, **change))
    assert calls == [
        (3, "attention", False), (3, "rollout", False), (3, "attention", True), (2, "attention", False)
    ]  # fmt: skip
    fewer = replace(few, splits={**few.splits, "train": few.splits["train"][1:]})
    train_adapler(dense, fewer, tmp_path / "fewer", SETTINGS)
    assert len(calls) == 5


def test_best_epochs_of_the_dense_model_are_the_source(dense, few, tmp_path, monkeypatch):
    """Whatever the last epochs scored, the two that scored best are explained."""
    said = {"log": [{"epoch": e, "val_accuracy": a} for e, a in ((0, 0.9), (1, 0.2), (2, 0.7))]}
    real, loaded = adaptive.load_classifier, []
    for module in (adaptive, adapler):
        monkeypatch.setattr(module, "read_settings", lambda path: said if path == dense else {})
    monkeypatch.setattr(
        adaptive, "load_classifier", lambda path, **rest: loaded.append(path) or real(path, **rest)
    )
    train_adapler(dense, few, tmp_path / "m", replace(SETTINGS, saliency_epochs=2))
    assert loaded == [dense, dense / EPOCHS / "0", dense / EPOCHS / "2"]

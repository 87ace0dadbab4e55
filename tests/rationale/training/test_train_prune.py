"""Training of cut models: gates, what they leave, imitation of layers; and how fast what is left runs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import AutoModelForSequenceClassification

from eraser import InputError
from rationale.bench.removal import bench, variants_of
from rationale.hf.card import read_settings
from rationale.hf.classifier import load_classifier
from rationale.inference.savings import measure_removal
from rationale.models.adapler_losses import LossWeights, task_loss
from rationale.models.dact import DactForSequenceClassification
from rationale.models.flops import costs, kept_lengths
from rationale.models.inforcoef import InforCoefForSequenceClassification
from rationale.models.packed.encoder import layers_of
from rationale.training import adaptive
from rationale.training.adaptive import train_adaptive
from rationale.training.recipes import prune
from rationale.training.recipes.prune import CUT, PRUNE, CutStage, GateStage, nearest_layers
from rationale.training.recipes.settings import PruneSettings
from rationale.training.settings import StepSettings
from tests.conftest import dropping, tiny_model
from tests.helpers.models.batches import LENGTHS, batch
from tests.helpers.models.samplers import classifier_of, sampling
from tests.helpers.models.trainings import (
    PLAIN,
    few_of,
    killed,
    same,
    save_cut,
    save_dense,
    saved,
    steps_of,
    weights,
)
from tests.oracles import inforcoef as oracle

train_prune = partial(train_adaptive, PRUNE)
SETTINGS = PruneSettings(
    epochs=2, hard_epochs=2, hard_lr=1e-3, step=StepSettings(lr=1e-3, distill=1.0), sparsity=0.5, gate_lr=8.0,
    sparsity_warmup=0.0, multiplier_lr=1.0, **PLAIN,
)  # fmt: skip
OFTEN = replace(SETTINGS, checkpoint_seconds=0.0)


@pytest.fixture(scope="module")
def few(sample):
    return few_of(sample)


@pytest.fixture(scope="module")
def classifier(tokenizer):
    return classifier_of(tokenizer)


@pytest.fixture(scope="module")
def dense(tokenizer, tmp_path_factory):
    return save_dense(tokenizer, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def small(tokenizer, tmp_path_factory):
    return save_cut(tokenizer, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def whole(dense, few, tmp_path_factory):
    """A run that nothing stopped: its folder and its record."""
    folder = tmp_path_factory.mktemp("whole") / "m"
    return folder, train_prune(dense, few, folder, SETTINGS)


def test_both_stages_make_a_cut_model_that_loads(whole, few):
    folder, record = whole
    log = record["log"]
    assert [(e["stage"], e["epoch"]) for e in log] == [("gates", 0), ("gates", 1), ("cut", 0), ("cut", 1)]
    told = {"stage", "epoch", "train_loss", "val_accuracy", "speedup", "lengths", "within_tolerance"}
    assert [set(e) - told for e in log] == [{"sparsity", "cut"}] * 2 + [set()] * 2
    assert [e["cut"]["hidden"] < 32 for e in log[:2]] == [False, True]
    assert record["kept"] in log[2:]
    assert read_settings(folder) == record
    one = load_classifier(folder, device="cpu")
    assert one.encoder.max_length == 64
    assert one.model.config.cut == log[1]["cut"]
    again, kept = measure_removal(one, few, "val"), record["kept"]
    assert (again.accuracy, round(again.speedup, 3)) == (kept["val_accuracy"], kept["speedup"])
    assert not list(folder.glob("*checkpoint*"))


@pytest.mark.slow
@pytest.mark.parametrize(("owner", "call"), [(GateStage, 2), (GateStage, 4), (CutStage, 1), (CutStage, 4)])
def test_killed_run_goes_on_to_the_very_same_weights(dense, few, whole, tmp_path, monkeypatch, owner, call):
    killed(monkeypatch, owner, call, train_prune, dense, few, tmp_path / "m", OFTEN)
    if owner is CutStage:  # what the gates learned is in the folder `cut`: they are not run again
        assert (
            load_classifier(tmp_path / "m" / CUT, device="cpu").model.config.cut == whole[1]["log"][1]["cut"]
        )
        assert (tmp_path / "m" / "cut.checkpoint.safetensors").exists() == (call > 1)
        monkeypatch.delattr(GateStage, "losses")
    steps = steps_of(monkeypatch, owner)
    resumed = train_prune(dense, few, tmp_path / "m", OFTEN)
    assert len(steps) == 4 - (call - 1)  # two epochs of two steps, less those done before
    folder, record = whole
    assert resumed["log"] == record["log"]
    assert resumed["kept"] == record["kept"]
    assert same(tmp_path / "m", weights(folder))
    assert same(tmp_path / "m" / CUT, weights(folder / CUT))


def test_finished_run_is_left_alone_and_other_settings_are_refused(dense, few, whole):
    folder, record = whole
    stamp = (folder / "model.safetensors").stat().st_mtime_ns
    assert train_prune(dense, few, folder, SETTINGS) == record
    assert (folder / "model.safetensors").stat().st_mtime_ns == stamp
    for other in (
        replace(SETTINGS, sparsity=0.6),
        replace(SETTINGS, gate_lr=0.4),
        replace(SETTINGS, layers=0.5),
    ):
        with pytest.raises(InputError) as error:
            train_prune(dense, few, folder, other)
        assert "the folder holds results with other " in str(error.value)
        assert "(to start over, " in str(error.value)


def test_only_a_dense_model_is_cut(dense, small, few, tokenizer, tmp_path):
    start = saved(dropping(tiny_model("bert", tokenizer, few.labels)), tokenizer, tmp_path / "adapler")
    names = {start: "AdaplerForSequenceClassification", small: "BertForSequenceClassification"}
    for folder, name in names.items():
        with pytest.raises(InputError) as error:
            train_prune(dense, few, tmp_path / "m", SETTINGS, folder)
        assert str(error.value) == f"expected a dense model to cut, got {name}"
    assert not (tmp_path / "m").exists()


def test_a_model_of_one_layer_is_refused(few, tokenizer, tmp_path):
    flat = tiny_model("bert", tokenizer, few.labels)
    flat.base_model.encoder.layer = flat.base_model.encoder.layer[:1]
    flat.config.num_hidden_layers = 1
    dense = saved(flat, tokenizer, tmp_path / "flat")
    with pytest.raises(InputError, match=r"^expected a model of at least 2 layers to cut, got 1$"):
        train_prune(dense, few, tmp_path / "m", SETTINGS)


def matrices(model):
    """Count the weights that can be cut: those of six matrices a layer."""
    found = [m for layer in layers_of(model) for m in layer.modules() if isinstance(m, nn.Linear)]
    return sum(m.weight.numel() for m in found)


@pytest.mark.slow
def test_sparsity_rises_to_its_target_and_the_model_on_disk_is_smaller(dense, few, tmp_path, monkeypatch):
    before, real, runs = weights(dense), adaptive._train, []
    monkeypatch.setattr(adaptive, "_train", lambda run, *more: runs.append(run) or real(run, *more))
    long = replace(SETTINGS, epochs=10, hard_epochs=1, batch_size=1, sparsity_warmup=0.5, gate_lr=2.0)
    one_text = replace(few, splits={**few.splits, "val": few.splits["val"][:1]})
    record = train_prune(dense, one_text, tmp_path / "m", long)
    found = [e["sparsity"] for e in record["log"][:-1]]
    assert found[-1] == pytest.approx(0.5, abs=0.05)
    counts, teacher = record["log"][-2]["cut"], runs[0].teachers[0].model
    model = load_classifier(tmp_path / "m", device="cpu").model
    left = sum(4 * 8 * h + 2 * u for h, u in zip(counts["heads"], counts["units"], strict=True))
    assert matrices(model) == left * counts["hidden"]
    assert 1 - matrices(model) / matrices(teacher) == pytest.approx(0.5, abs=0.15)  # settled, not expected
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (tmp_path / "m", dense)]
    assert sizes[0] < sizes[1]
    assert record["kept"]["speedup"] > 1.5
    auto = AutoModelForSequenceClassification.from_pretrained(tmp_path / "m").eval()
    ids, real_tokens = batch(LENGTHS)
    answers = [m(input_ids=ids, attention_mask=real_tokens.long()).logits for m in (auto, model)]
    assert torch.equal(*answers)
    assert all(torch.equal(w, before[name]) for name, w in teacher.state_dict().items())
    assert all(torch.equal(w, before[name]) for name, w in weights(dense).items())


# --- what the gates' stage learns from


@pytest.fixture
def run(dense, few, tmp_path, monkeypatch):
    """A run ready to train, in which nothing is drawn by chance."""
    runs = []
    with monkeypatch.context() as patch:
        patch.setattr(adaptive, "_train", lambda run, *_: runs.append(run) or {})
        train_prune(dense, few, tmp_path / "m", replace(SETTINGS, layers=0.3, sparsity_warmup=0.75))
    runs[0].model.eval()
    return runs[0]


def test_a_copy_of_the_dense_model_has_nothing_to_learn(run):
    stage = GateStage(run, 0)
    found = stage.losses(run.batch([0, 1, 2, 3]))
    assert {k: float(t.detach()) for k, t in found.items()} == pytest.approx(
        {"task": 0.0, "layer": 0.0, "sparsity": 0.0}, abs=1e-5
    )


def test_the_gates_stage_imitates_answers_and_the_nearest_states(run, monkeypatch):
    """Student states are those that leave each layer but the last; of three layers one is imitated."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in run.model.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)
    stage, part = GateStage(run, 0), run.batch([0, 1, 2])
    stage.map.weight.data.add_(torch.randn(32, 32) * 0.1)
    stage.lagrangian.linear.data.fill_(2.0)
    stage.lagrangian.quadratic.data.fill_(3.0)
    stage.loop.progress |= {"epoch": 1, "step": 0}
    compared = []
    watch = lambda *states: compared.append(states) or nearest_layers(*states)  # noqa: E731
    monkeypatch.setattr(prune, "nearest_layers", watch)
    found = {k: float(t.detach()) for k, t in stage.losses(part).items()}
    states, answers = [], []
    with torch.no_grad():
        for model in (run.model, run.teachers[0].model):
            inputs = {"attention_mask": part.real.long(), "token_type_ids": part.types}
            output = model(input_ids=part.ids, output_hidden_states=True, **inputs)
            states.append([h[part.real] for h in output.hidden_states])
            answers.append(output.logits)
        mapped = [stage.map(h).tolist() for h in states[0][1:3]]
    assert [len(x) for x in compared[0]] == [2, 1]
    imitation = oracle.nearest_layers(mapped, [states[1][2].tolist()])
    assert found["layer"] == pytest.approx(0.3 * imitation, rel=1e-4)
    taught = task_loss(answers[0], part.labels, LossWeights(0.0, 0.0, distill=1.0), answers[1])
    assert found["task"] == pytest.approx(0.7 * float(taught), rel=1e-3)
    off = float(stage.gates.sparsity().detach()) - 0.5 * run.steps / round(0.75 * 2 * run.steps)
    assert found["sparsity"] == pytest.approx(2 * off + 3 * off**2, rel=1e-4)
    assert min(imitation, float(taught)) > 1e-3


def test_gates_climb_and_descend_at_rates_of_their_own(run):
    stage = GateStage(run, 0)
    rates = {id(p): g for g in stage.optimizer.param_groups for p in g["params"]}
    assert {rates[id(p)]["initial_lr"] for p in stage.gates.parameters()} == {8.0}
    assert all(rates[id(p)]["maximize"] for p in stage.lagrangian.parameters())
    assert {rates[id(p)]["initial_lr"] for p in stage.lagrangian.parameters()} == {1.0}
    for parameter in (*run.model.parameters(), *stage.map.parameters()):
        assert rates[id(parameter)]["initial_lr"] == 1e-3
        assert rates[id(parameter)]["weight_decay"] == (0.01 if parameter.dim() == 2 else 0.0)
        assert not rates[id(parameter)]["maximize"]
    assert len(rates) == len(list(stage.whole.parameters()))


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 6), st.data())
def test_nearest_layers_are_those_of_the_slow_rule(n_student, data):
    n_teacher = data.draw(st.integers(1, n_student))
    random = torch.Generator().manual_seed(data.draw(st.integers(0, 999)))
    student, teacher = (list(torch.randn(n, 2, 3, generator=random)) for n in (n_student, n_teacher))
    expected = oracle.nearest_layers([s.tolist() for s in student], [t.tolist() for t in teacher])
    assert float(nearest_layers(student, teacher)) == pytest.approx(expected, rel=1e-5)


def test_nearest_layers_keep_their_order():
    """The last teacher state takes the first layer that there is for it; those before must do with less."""
    a, b, c = (torch.full((1, 1), x) for x in (0.0, 1.0, 5.0))
    assert float(nearest_layers([a, b, c], [b, c])) == 0.0  # c takes the third, b the second
    assert float(nearest_layers([a, b, c], [a, a])) == 1.0  # the last may not take the first: one is to come
    assert float(nearest_layers([a, c, b], [c, b])) == 0.0
    assert float(nearest_layers([a, b, c], [c, b])) == 25.0  # b takes the second, c is left with the first


# --- how fast it runs


def stacks(classifier, folder):
    """Return classifiers around a cut model, each with its ways to run."""
    inner = load_classifier(folder, device="cpu").model
    torch.manual_seed(0)
    removing, early = dropping(inner), DactForSequenceClassification.wrap(dropping(inner))
    for unit in early.halting_units:  # random, so that some texts stop early
        nn.init.normal_(unit.weight, std=0.3)
        nn.init.constant_(unit.bias, -3.0)
    first = ("dense", "packed", "cut")
    found = {"cut": (inner, first), "adapler": (removing, (*first, "removal"))}
    found |= {"inforcoef": (sampling(inner), (*first, "removal"))}
    found |= {"stack": (early.eval().requires_grad_(False), (*first, "removal", "exit"))}
    return {k: (replace(classifier, model=model), ways) for k, (model, ways) in found.items()}


@pytest.mark.parametrize("name", ["cut", "adapler", "inforcoef", "stack"])
def test_each_way_is_counted_as_its_costs(classifier, small, few, name):
    one, names = stacks(classifier, small)[name]
    windows = [w for e in few.splits["test"] for w in one.encoder.encode([few.text(e)])[0]]
    found = bench(one, windows, batch_size=3, rounds=1)
    assert tuple(t.way for t in found.timings) == names
    lengths = [len(w) for w in windows]
    expected = [costs(classifier.model).dense(lengths).sum()] * 2  # the model before it was cut
    expected += [costs(load_classifier(small, device="cpu").model).dense(lengths).sum()]
    for model in [one.model.model, one.model][-len(names[3:]) :] if names[3:] else []:
        total = 0.0
        for window in windows:
            output = model(torch.tensor(window.ids)[None], None, torch.tensor(window.types)[None])
            total += costs(model).shrinking([len(window)], kept_lengths(output)).sum()
        expected.append(total)
    assert [t.flops for t in found.timings] == pytest.approx(expected, rel=1e-12)
    assert [t.flops for t in found.timings][1:] == sorted(expected[1:], reverse=True)
    assert len(found.lengths) == 3
    assert (found.lengths <= np.mean(lengths) + 1e-9).all()


def test_ways_of_a_stack_answer_as_its_parts_do(classifier, small, few):
    one, _ = stacks(classifier, small)["stack"]
    read = one.encoder.collate([one.encoder.encode([few.text(e)])[0][0] for e in few.splits["test"]])
    ways = {way.name: way for way in variants_of(one)}
    with torch.no_grad():
        found = {name: way.run(read).logits for name, way in ways.items()}
        alone = one.model.model.model(
            input_ids=read.ids, attention_mask=read.real.long(), token_type_ids=read.types
        )
        assert torch.allclose(found["cut"], alone.logits, atol=1e-5)
        assert torch.allclose(found["packed"], found["dense"], atol=1e-5)
        assert torch.equal(found["removal"], one.model.model(read.ids, read.real, read.types).logits)
        whole = one.model(read.ids, read.real, read.types)
        assert torch.equal(found["exit"], whole.logits)
        assert (whole.exit_layer < 3).any()
    assert not torch.allclose(found["cut"], found["removal"], atol=1e-3)
    assert isinstance(ways["removal"].model, type(one.model.model))
    assert InforCoefForSequenceClassification.removes
    assert not DactForSequenceClassification.removes

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rationale.hf.classifier import without_removal
from rationale.inference import savings as removal
from rationale.inference.savings import RemovalStats, measure_removal, scale_thresholds
from rationale.models.adapler_losses import LossWeights, kl_losses, packed_kl, task_loss
from rationale.models.flops import costs, kept_lengths
from rationale.models.packed.attention import packed_layout
from rationale.training.loop import training_windows
from rationale.training.recipes.adapler.settings import AdaplerSettings, AdaplerStepSettings
from rationale.training.recipes.adapler.stages import HardStage, PredictorStage, SoftStage, imitation
from rationale.training.recipes.adapler.step import AdaplerStep, linear, steepness
from rationale.training.run import TrainingBatch, TrainingRun
from tests.conftest import dropping, tiny_model
from tests.helpers.paths import golden

checked = settings(max_examples=40, deadline=None, derandomize=True, database=None)


@pytest.fixture
def model(tokenizer):
    """An untrained model in training, with dropout."""
    return dropping(tiny_model("bert", tokenizer, ("NEG", "POS"))).train().requires_grad_(True)


def batch_of(lengths=(9, 5, 7), classes=2):
    random = torch.Generator().manual_seed(0)
    shape = (len(lengths), max(lengths))
    real = torch.arange(shape[1])[None] < torch.tensor(lengths)[:, None]
    ids = torch.randint(5, 1400, shape, generator=random) * real
    saliency = torch.rand(shape, generator=random) * real
    labels = torch.arange(len(lengths)) % classes
    teacher = torch.randn(len(lengths), classes, generator=random)
    return TrainingBatch(ids, torch.zeros_like(ids), real, labels, saliency, teacher)


# --- schedules


def test_steepness_is_as_published_or_as_asked():
    assert [steepness(e, 3) for e in range(3)] == [50, 2500, 125000]
    assert [steepness(e, 10) for e in (0, 1, 9)] == [10, 30, 10 * 3**9]
    assert [steepness(e, 5) for e in range(5)] == [10, 100, 1000, 10000, 100000]
    assert [steepness(e, 3, (2.0, 4.0)) for e in range(3)] == [2, 8, 32]


def test_learning_rate_is_the_released_codes():
    files = sorted((golden() / "adapler").glob("case_*.json"))
    if not files:
        pytest.skip("needs a case_*.json in the folder adapler of the golden one")
    for name, values in json.loads(files[0].read_text())["lr_schedule"].items():
        lr, total, warm = map(float, re.fullmatch("init(.+)_total(.+)_warm(.+)", name).groups())
        for step, value in values.items():
            found = lr * linear(int(step), int(total), warm * total)
            assert found == pytest.approx(value, rel=1e-6, abs=1e-6 * lr)  # theirs is in float32


# --- optimiser groups


def test_predictors_have_a_group_of_their_own_where_they_have_a_learning_rate(model):
    step = AdaplerStep(model, AdaplerStepSettings(lr=1e-3, predictor_lr=1e-2, weight_decay=0.1), 10)
    names = {p: n for n, p in model.named_parameters()}
    rates = {}
    for group in step.optimizers[0].param_groups:
        for parameter in group["params"]:
            name = names[parameter]
            assert name not in rates
            rates[name] = group["initial_lr"]
            shrinks = "LayerNorm" not in name and "bias" not in name
            assert group["weight_decay"] == (0.1 if shrinks else 0.0), name
    assert rates.keys() == {n for n in names.values() if n not in ("eta", "theta", "first")}
    assert {n for n, lr in rates.items() if lr == 1e-2} == {n for n in rates if n.startswith("contribution")}
    assert set(rates.values()) == {1e-2, 1e-3}


def test_without_a_learning_rate_of_their_own_predictors_have_that_of_all(model):
    step = AdaplerStep(model, AdaplerStepSettings(lr=1e-3), 10)
    assert {g["initial_lr"] for g in step.optimizers[0].param_groups} == {1e-3}
    assert sum(len(g["params"]) for g in step.optimizers[0].param_groups) == len(step.weights)


def test_predictors_move_at_their_own_rate(model):
    constants = AdaplerStepSettings(lr=0.0, threshold_lr=0.0, predictor_lr=1e-2, warmup=0.0)
    step = AdaplerStep(model, constants, 10)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    step.backward(step.losses(batch_of(), 10.0))
    step.apply()
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    # a scorer's bias shifts all scores of a softmax alike: its gradient is rounding
    wanted = {n for n in before if n.startswith("contribution") and "scorer.bias" not in n}
    assert wanted <= moved <= {n for n in before if n.startswith("contribution")}


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 1), (1, 2)])
def test_micro_batches_add_up_to_their_batch(model, sizes):
    model.eval()
    whole, batch = AdaplerStep(model, AdaplerStepSettings(), 10), batch_of()
    whole.backward(whole.losses(batch, 10.0))
    expected = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    start = 0
    for size in sizes:
        rows = slice(start, start + size)
        fields = ("ids", "types", "real", "labels", "saliency", "teacher")
        part = TrainingBatch(*(getattr(batch, name)[rows] for name in fields))
        whole.backward(whole.losses(part, 10.0), size / 3)
        start += size
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert found.keys() == expected.keys()
    assert {"eta", "theta"} < found.keys()
    for name, gradient in found.items():
        assert torch.allclose(gradient, expected[name], rtol=1e-3, atol=1e-4), name


def test_lengths_that_are_not_pushed_weigh_nothing(model):
    model.eval().requires_grad_(False)
    step, batch = AdaplerStep(model, AdaplerStepSettings(phi=5.0), 10), batch_of()
    free, pushed = step.losses(batch, 10.0, push=False), step.losses(batch, 10.0)
    assert float(free.combined) == float(free.task)
    assert float(pushed.combined) == pytest.approx(float(pushed.task) + 5.0 * float(pushed.length), rel=1e-6)
    assert float(free.total) == float(pushed.total)


@pytest.mark.parametrize("distill", [0.0, 0.7, 1.0])
def test_classes_weigh_the_task_of_a_step_and_neither_saliency_nor_lengths(model, distill):
    model.eval()
    batch, classes = batch_of(), torch.tensor([0.5, 3.0])
    settings = AdaplerStepSettings(distill=distill)
    plain = AdaplerStep(model, settings, 10).losses(batch, 10.0)
    found = AdaplerStep(model, settings, 10, classes).losses(batch, 10.0)
    logits = model.soft(batch.ids, batch.types, batch.real, 10.0).logits
    weights = LossWeights(0.0, 0.0, classes, distill, settings.temperature)
    numbers = (t.tolist() for t in (logits, batch.labels, batch.teacher))
    expected = slow_task_loss(*numbers, weights)
    assert float(found.task.detach()) == pytest.approx(expected, rel=1e-4)
    assert float(found.task.detach()) != pytest.approx(float(plain.task.detach()), rel=1e-3)
    assert float(found.head.detach()) == pytest.approx(float(plain.head.detach()), rel=1e-6)
    assert float(found.length.detach()) == pytest.approx(float(plain.length.detach()), rel=1e-6)


# --- losses


def slow_task_loss(logits, labels, teacher, weights):
    """Cross-entropy and T² · KL(teacher ‖ model), a number at a time."""

    def softmax(row, t):
        exps = [math.exp((x - max(row)) / t) for x in row]
        return [e / sum(exps) for e in exps]

    task = imitation = 0.0
    for row, label, wise in zip(logits, labels, teacher, strict=True):
        by_label = 1.0 if weights.classes is None else float(weights.classes[label])
        task -= by_label * math.log(softmax(row, 1.0)[label]) / len(logits)
        t = weights.temperature
        wanted, found = softmax(wise, t), softmax(row, t)
        apart = sum(p * math.log(p / q) for p, q in zip(wanted, found, strict=True))
        imitation += by_label * t * t * apart / len(logits)
    return (1 - weights.distill) * task + weights.distill * imitation


@checked
@given(st.floats(0, 1), st.floats(0.5, 8), st.booleans(), st.integers(0, 99), st.integers(1, 5))
def test_task_loss_equals_the_slow_formula(distill, temperature, weighted, seed, rows):
    random = torch.Generator().manual_seed(seed)
    logits, teacher = (torch.randn(rows, 3, generator=random, dtype=torch.float64) * 2 for _ in "ab")
    labels = torch.randint(0, 3, (rows,), generator=random)
    classes = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64) if weighted else None
    weights = LossWeights(0.0, 0.0, classes, distill, temperature)
    expected = slow_task_loss(logits.tolist(), labels.tolist(), teacher.tolist(), weights)
    assert float(task_loss(logits, labels, weights, teacher)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_teacher_that_agrees_costs_nothing_and_none_leaves_cross_entropy():
    logits, labels = torch.tensor([[1.0, 2.0], [0.5, -1.0]]), torch.tensor([1, 0])
    imitates = LossWeights(0.0, 0.0, distill=1.0)
    assert float(task_loss(logits, labels, imitates, logits + 3)) == pytest.approx(0, abs=1e-6)
    plain = torch.nn.functional.cross_entropy(logits, labels)
    assert float(task_loss(logits, labels, imitates)) == float(plain)
    assert float(task_loss(logits, labels, LossWeights(0.0, 0.0), logits * 9)) == float(plain)


def slow_kl(target, scores):
    total = sum(target)
    found = 0.0
    for t, s in zip(target, scores, strict=True):
        wanted = min(max(t / total if total else 0.0, 1e-7), 1.0)
        found += wanted * math.log(wanted / min(max(s, 1e-7), 1.0))
    return found


@checked
@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.integers(0, 99), st.booleans())
def test_packed_kl_equals_the_slow_formula(lengths, seed, blank):
    random = torch.Generator().manual_seed(seed)
    target = torch.rand(sum(lengths), generator=random, dtype=torch.float64)
    if blank:
        target[: lengths[0]] = 0  # a sequence in which nothing mattered
    parts = [torch.randn(n, generator=random, dtype=torch.float64).softmax(0) for n in lengths]
    expected, start = 0.0, 0
    for scores in parts:
        expected += slow_kl(target[start : start + len(scores)].tolist(), scores.tolist()) / len(lengths)
        start += len(scores)
    rows = packed_layout(tuple(lengths), torch.device("cpu"))
    assert float(packed_kl(target, torch.cat(parts), rows)) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_packed_kl_of_a_first_layer_is_the_published_one(model):
    model.eval().requires_grad_(False)
    batch = batch_of()
    steps = model.soft(batch.ids, batch.types, batch.real, 10.0).steps
    theta = torch.ones(2)
    published = kl_losses(steps, batch.saliency, batch.real, model.eta, theta, 10.0)[0]
    rows = packed_layout(tuple(batch.real.sum(1).tolist()), torch.device("cpu"))
    ours = packed_kl(batch.saliency[batch.real], steps[0].scores[batch.real], rows)
    assert float(ours) == pytest.approx(float(published), abs=1e-5)


# --- the stages of our own


@pytest.fixture
def run(adaptive, sample, tmp_path):
    model = dropping(adaptive.model.model).requires_grad_(True)
    few = replace(sample, splits={"train": sample.splits["train"][:4]})
    windows = training_windows(adaptive.encoder, few, few.splits["train"])
    random = torch.Generator().manual_seed(1)
    targets = [torch.rand(len(w.window), generator=random) for w in windows]
    logits = [torch.randn(2, generator=random) for _ in windows]
    constants = AdaplerSettings(predictor_epochs=1, hard_epochs=1, batch_size=8, device="cpu")
    return TrainingRun(
        replace(adaptive, model=model), (without_removal(adaptive),), few, windows, targets, logits, tmp_path,
        constants, RemovalStats(1.0, 1.0, np.ones(3)), {}, {},
    )  # fmt: skip


@pytest.mark.parametrize("remove", [True, False])
def test_packed_stages_compare_each_layers_scores_with_the_saliency_that_reached_it(run, remove):
    stage = (HardStage if remove else PredictorStage)(run, 0)
    rows = list(range(len(run.windows)))
    batch = run.batch(rows)
    logits, kl = imitation(stage, batch, remove)
    expected, dial = 0.0, run.model.config.dial
    run.model.config.dial = dial if remove else 0.0
    with torch.no_grad():
        for row in rows:
            n = len(run.windows[row].window)
            output = run.model(batch.ids[row : row + 1, :n], None, batch.types[row : row + 1, :n])
            assert torch.allclose(output.logits[0], logits[row], atol=1e-5)
            alive = torch.ones(n, dtype=torch.bool)
            for layer in output.trace:
                scores, target = layer.contribution[0][alive], run.targets[row][alive]
                expected += slow_kl(target.tolist(), scores.tolist()) / len(rows)
                alive = layer.kept[0]
            assert bool(alive.all()) != remove
    run.model.config.dial = dial
    assert float(kl.detach()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.4, 0.999])
def test_shorter_batch_lacks_whole_words_and_the_dense_model_judges_what_is_left(run, share):
    run.settings = replace(run.settings, word_drop=share)
    for i, w in enumerate(run.windows):  # every piece another: it says where it was
        ids = np.array([w.window.ids[0], *range(10, 8 + len(w.window)), w.window.ids[-1]])
        run.windows[i] = replace(w, window=replace(w.window, ids=ids))
    rows = list(range(len(run.windows)))
    assert max(int(run.windows[i].window.word.max()) for i in rows) > 128  # beyond any window's length
    batch = run.shorter_batch(rows, epoch=0)
    gone = words = 0
    for row, i in enumerate(rows):
        window, n = run.windows[i].window, int(batch.real[row].sum())
        ids, types = batch.ids[row : row + 1, :n], batch.types[row : row + 1, :n]
        left = np.array([window.ids.tolist().index(piece) for piece in ids[0].tolist()])
        assert (np.diff(left) > 0).all()
        assert {0, len(window) - 1} <= set(left.tolist())
        missing = {int(w) for w in window.word} - {int(window.word[at]) for at in left}
        assert (
            np.isin(np.arange(len(window)), left).tolist() == (~np.isin(window.word, list(missing))).tolist()
        )
        gone, words = gone + len(missing), words + len(set(window.word.tolist())) - 1
        assert batch.saliency[row, :n].tolist() == run.targets[i][left].tolist()
        slow = run.teachers[0].model(input_ids=ids, token_type_ids=types).logits[0]
        assert batch.teacher[row].tolist() == pytest.approx(slow.tolist(), abs=1e-5)
    assert gone / words == pytest.approx(share, abs=0.1)


def test_shorter_batch_is_drawn_from_seed_epoch_and_rows(run):
    run.settings = replace(run.settings, word_drop=0.5)

    def ids(rows, epoch):
        return run.shorter_batch(rows, epoch).ids.tolist()

    assert ids([0, 1], 0) == ids([0, 1], 0)
    assert ids([0, 1], 0) != ids([0, 1], 1)
    run.settings = replace(run.settings, seed=1)
    assert ids([0, 1], 0) != ids([0, 1], 2)


def test_saliency_moves_predictors_only_and_the_task_the_encoder_only(run):
    logits, kl = imitation(HardStage(run, 2), run.batch([0, 1, 2]), remove=True)
    named = dict(run.model.named_parameters())

    def moved(loss):
        found = torch.autograd.grad(loss, list(named.values()), retain_graph=True, allow_unused=True)
        return {n for n, g in zip(named, found, strict=True) if g is not None}

    assert moved(kl) == {n for n in named if n.startswith("contribution_predictors")}
    assert moved(logits.sum()) == {n for n in named if n.startswith("model.")}


@pytest.mark.parametrize(
    ("wanted", "speed", "pushed"), [(None, 99.0, True), (2.0, 1.9, True), (2.0, 2.0, False)]
)
def test_lengths_are_pushed_until_the_running_speedup_is_reached(run, monkeypatch, wanted, speed, pushed):
    run.settings = replace(run.settings, speedup=wanted, epochs=1)
    stage, seen, real = SoftStage(run, 1), [], AdaplerStep.losses
    stage.begin_epoch(0, True)
    stage.loop.progress["speed"] = speed

    def watched(self, batch, lam, push):
        seen.append((push, real(self, batch, lam, push)))
        return seen[-1][1]

    monkeypatch.setattr(AdaplerStep, "losses", watched)
    rows = list(range(5))
    value = stage.step(rows)
    ((push, found),) = seen
    assert push == pushed
    assert value == pytest.approx(float(found.task.detach()))
    tokens = np.mean([len(run.windows[i].window) for i in rows]) * 3
    now = tokens / float(found.length.detach())
    assert stage.loop.progress["speed"] == pytest.approx(0.9 * speed + 0.1 * now)


# --- what removal saves, and thresholds scaled to a speed-up


def test_removal_is_measured_text_by_text(adaptive, sample):
    """Accuracy of the texts' mean probabilities, operations and tokens of their windows."""
    few = replace(sample, splits={"val": sample.splits["val"][:7]})
    price, right, dense, shrunk, kept = costs(adaptive.model), 0, 0.0, 0.0, []
    for example in few.splits["val"]:
        probs = torch.zeros(2)
        for window in adaptive.encoder.encode([few.text(example)])[0]:
            with torch.no_grad():
                ids, types = torch.tensor(window.ids)[None], torch.tensor(window.types)[None]
                output = adaptive.model(ids, None, types)
            kept.append(kept_lengths(output))
            probs += output.logits[0].softmax(-1)
            dense += float(price.dense(len(window)))
            shrunk += float(price.shrinking([len(window)], kept[-1])[0])
        right += adaptive.labels[int(probs.argmax())] == example.label
    found = measure_removal(adaptive, few, "val")
    assert found.accuracy == right / 7
    assert found.speedup == pytest.approx(dense / shrunk, rel=1e-9)
    assert found.lengths == pytest.approx(np.concatenate(kept, axis=1).mean(1))
    plain = measure_removal(without_removal(adaptive), few, "val")
    windows = [w for e in few.splits["val"] for w in adaptive.encoder.encode([few.text(e)])[0]]
    assert plain.speedup == 1.0
    assert plain.lengths == pytest.approx([np.mean([len(w) for w in windows])] * 3)


@pytest.mark.parametrize("wanted", [1.5, 2.5, 5.0])
def test_thresholds_are_scaled_to_the_wanted_speedup(adaptive, sample, wanted):
    windows = [
        w for ws in adaptive.encoder.encode([sample.text(e) for e in sample.splits["test"]]) for w in ws
    ]
    trained = torch.tensor([0.02, 0.03, 0.04])
    adaptive.model.eta.data.copy_(trained)
    reached = scale_thresholds(adaptive, windows, wanted)
    assert reached == pytest.approx(wanted, rel=0.03)
    price, dense, shrunk = costs(adaptive.model), 0.0, 0.0
    for window in windows:
        with torch.no_grad():
            output = adaptive.model(torch.tensor(window.ids)[None], None, torch.tensor(window.types)[None])
        dense += float(price.dense(len(window)))
        shrunk += float(price.shrinking([len(window)], kept_lengths(output))[0])
    assert dense / shrunk == pytest.approx(reached, rel=1e-3)
    times = adaptive.model.eta[2] / trained[2]
    assert torch.allclose(adaptive.model.eta, (trained * times).clamp(0.01, 1.0), rtol=1e-5)


def test_of_all_thresholds_tried_the_nearest_are_kept(adaptive, sample, monkeypatch):
    windows = adaptive.encoder.encode([sample.text(sample.splits["test"][0])])[0]
    speeds = iter([1.2, 2.1, 5.0, 4.0, *[9.0] * 50])
    monkeypatch.setattr(removal, "speedup_of", lambda *_: next(speeds))
    seen = []
    real = type(adaptive.model).set_thresholds
    monkeypatch.setattr(
        type(adaptive.model), "set_thresholds", lambda m, v: (seen.append(v.clone()), real(m, v))[1]
    )
    assert scale_thresholds(adaptive, windows, 2.2) == 2.1
    assert torch.equal(seen[-1], seen[1])


def test_speedup_out_of_reach_leaves_all_thresholds_at_their_limit(adaptive, sample):
    windows = adaptive.encoder.encode([sample.text(sample.splits["test"][0])])[0]
    assert scale_thresholds(adaptive, windows, 1e6) < 1e6
    assert adaptive.model.eta.tolist() == [1.0, 1.0, 1.0]


def test_a_higher_limit_lets_thresholds_rise_to_what_was_aimed_at(adaptive, sample, monkeypatch):
    windows = [w for e in sample.splits["test"] for w in adaptive.encoder.encode([sample.text(e)])[0]]
    fastest = scale_thresholds(adaptive, windows, 1e6)
    adaptive.model.eta.data.fill_(0.5)
    monkeypatch.setattr(adaptive.model.config, "eta_max", 4.0)
    assert scale_thresholds(adaptive, windows, 1.2 * fastest) == pytest.approx(1.2 * fastest, rel=0.01)
    assert 1 < adaptive.model.eta.max() < 4

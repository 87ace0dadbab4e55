"""Training of Infor-Coef, and what all recipes share: settings, commands, models built on cut ones."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest
import torch

from eraser import InputError
from rationale.hf.card import read_settings
from rationale.hf.classifier import load_classifier
from rationale.inference.savings import measure_removal
from rationale.models.inforcoef import BOTTLENECKS
from rationale.models.packed.encoder import layers_of
from rationale.training import adaptive
from rationale.training import run as run_module
from rationale.training.adaptive import train_adaptive
from rationale.training.recipes.adapler.recipe import ADAPLER
from rationale.training.recipes.adapler.settings import AdaplerSettings
from rationale.training.recipes.inforcoef import INFORCOEF, SampledStage
from rationale.training.recipes.settings import InforCoefSettings, PruneSettings
from rationale.training.settings import StepSettings
from rationale.training.stage import RemovalStage
from tests.conftest import dropping, tiny_model
from tests.helpers.models.trainings import (
    PLAIN,
    few_of,
    gradient_of,
    killed,
    same,
    save_cut,
    save_dense,
    saved,
    steps_of,
    weights,
    without_dropout,
)

STEP = StepSettings(lr=1e-3)
train_inforcoef = partial(train_adaptive, INFORCOEF)
train_adapler = partial(train_adaptive, ADAPLER)
SETTINGS = InforCoefSettings(
    epochs=2, hard_epochs=2, hard_lr=1e-3, speedup=1.5, step=STEP, sampler_lr=0.05, norm=1.0, **PLAIN
)
OFTEN = replace(SETTINGS, checkpoint_seconds=0.0)


@pytest.fixture(scope="module")
def few(sample):
    return few_of(sample)


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
    return folder, train_inforcoef(dense, few, folder, SETTINGS)


# --- steps


def test_a_batch_in_uneven_parts_has_the_gradient_of_the_whole(dense, few, tmp_path, monkeypatch):
    step, found, sizes = RemovalStage.step, [], []

    def looks(stage, rows):
        without_dropout(stage.run.model)
        longest = max(len(stage.run.windows[i].window) for i in rows)
        stage.apply = lambda: (found.append(gradient_of(stage.optimizer)), stage.optimizer.zero_grad())
        for budget in (10**6, 2 * longest):
            monkeypatch.setattr(run_module, "piece_budget", lambda *_, budget=budget: budget)
            sizes.append({len(part) for part in stage.run.parts(rows)})
            step(stage, rows)
        raise KeyboardInterrupt

    monkeypatch.setattr(RemovalStage, "step", looks)
    with pytest.raises(KeyboardInterrupt):
        train_inforcoef(dense, few, tmp_path / "m", replace(SETTINGS, epochs=1, batch_size=5))
    assert [len(of) for of in sizes] == [1, 2]
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)


# --- Infor-Coef's stages


def test_both_stages_make_a_model_that_loads_and_removes(whole, few):
    folder, record = whole
    log = record["log"]
    order = [("sampled", 0), ("sampled", 1), ("hard", 0), ("hard", 1)]
    assert [(e["stage"], e["epoch"]) for e in log] == order
    told = {"stage", "epoch", "train_loss", "val_accuracy", "speedup", "lengths", "within_tolerance"}
    assert [set(e) - told for e in log] == [set(), set(), {"scaled_to"}, {"scaled_to"}]
    assert [e["scaled_to"] for e in log[2:]] == pytest.approx([1.5, 1.5], rel=0.03)
    assert record["kept"] in log
    read = ("dense", "start", "texts", "content_of_dense", "content_of_start")
    assert record["training"] == json.loads(
        json.dumps(SETTINGS.as_record() | {k: record["training"][k] for k in read})
    )
    one = load_classifier(folder, device="cpu")
    assert one.encoder.max_length == 64
    again, kept = measure_removal(one, few, "val"), record["kept"]
    assert (again.accuracy, round(again.speedup, 3)) == (kept["val_accuracy"], kept["speedup"])
    assert [round(float(x), 2) for x in again.lengths] == kept["lengths"]
    assert read_settings(folder) == record
    assert {p.name for p in folder.iterdir()} == {
        "made.json",
        "README.md", "config.json", "model.safetensors", "rationale.json", "tokenizer.json",
        "tokenizer_config.json",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "call"), [(SampledStage, 1), (SampledStage, 3), (RemovalStage, 1), (RemovalStage, 4)]
)
def test_killed_run_goes_on_to_the_very_same_weights(dense, few, whole, tmp_path, monkeypatch, owner, call):
    killed(monkeypatch, owner, call, train_inforcoef, dense, few, tmp_path / "m", OFTEN)
    assert (tmp_path / "m" / f"{owner.name}.checkpoint.safetensors").exists() == (call > 1)
    steps = steps_of(monkeypatch, owner)
    resumed = train_inforcoef(dense, few, tmp_path / "m", OFTEN)
    assert len(steps) == 4 - (call - 1)  # two epochs of two steps, less those done before
    folder, record = whole
    assert resumed["log"] == record["log"]
    assert resumed["kept"] == record["kept"]
    assert same(tmp_path / "m", weights(folder))
    assert not list((tmp_path / "m").glob("*checkpoint*"))


def watched(monkeypatch, stage):
    """Return a list that fills with (epoch, terms) of each micro-batch of a stage."""
    seen, losses = [], stage.losses

    def watch(self, batch):
        found = losses(self, batch)
        seen.append((self.loop.progress["epoch"], {k: float(t.detach()) for k, t in found.items()}))
        return found

    monkeypatch.setattr(stage, "losses", watch)
    return seen


@pytest.mark.parametrize("form", BOTTLENECKS)
def test_the_norm_counts_from_the_second_epoch_on_and_both_terms_as_weighed(
    dense, few, tmp_path, monkeypatch, form
):
    one = replace(SETTINGS, hard_epochs=0, speedup=None, bottleneck=form, norm=3.0, entropy=7.0, share=0.5)
    seen, terms = watched(monkeypatch, SampledStage), []

    def recorded(layers, real):
        terms.append([float(t.detach()) for t in own(layers, real)])
        return own(layers, real)

    own = BOTTLENECKS[form]
    monkeypatch.setitem(BOTTLENECKS, form, recorded)
    train_inforcoef(dense, few, tmp_path / "m", one)
    assert {epoch for epoch, _ in seen} == {0, 1}
    for (epoch, found), (size, entropy) in zip(seen, terms, strict=True):
        assert found["norm"] == pytest.approx(3.0 * size if epoch else 0.0, rel=1e-6)
        assert found["entropy"] == pytest.approx(7.0 * entropy, rel=1e-6)
        assert size > 0 > entropy
        assert 0 < found["share"] <= 0.5


def test_the_norm_makes_the_model_drop_tokens_from_the_second_epoch_on(dense, few, tmp_path):
    free = replace(SETTINGS, hard_epochs=0, speedup=None, norm=0.0, entropy=0.0, sampler_lr=0.3)
    log = train_inforcoef(dense, few, tmp_path / "free", free)["log"]
    pushed = train_inforcoef(dense, few, tmp_path / "pushed", replace(free, norm=100.0))["log"]
    assert pushed[0] == log[0]
    assert log[1]["speedup"] == log[0]["speedup"] < 1  # the samplers' own work, and nothing saved
    assert pushed[1]["speedup"] > 2


def test_the_weight_of_the_share_of_tokens_makes_the_model_drop_them(dense, few, tmp_path):
    free = replace(SETTINGS, hard_epochs=0, speedup=None, norm=0.0, entropy=0.0, sampler_lr=0.3)
    log = train_inforcoef(dense, few, tmp_path / "pushed", replace(free, share=30.0))["log"]
    assert log[1]["speedup"] > 2 > log[0]["speedup"]


def test_samplers_have_a_rate_of_their_own_and_norms_and_biases_do_not_decay(
    dense, few, tmp_path, monkeypatch
):
    runs = []
    monkeypatch.setattr(adaptive, "_train", lambda run, *_: runs.append(run) or {})
    settings = replace(SETTINGS, step=replace(STEP, weight_decay=0.1))
    train_inforcoef(dense, few, tmp_path / "m", settings)
    train_inforcoef(dense, few, tmp_path / "n", replace(settings, sampler_lr=None))
    for run, own in zip(runs, (0.05, 1e-3), strict=True):
        names, found = {p: n for n, p in run.model.named_parameters()}, set()
        for group in SampledStage(run, 0).optimizer.param_groups:
            for parameter in group["params"]:
                name = names[parameter]
                found.add(name)
                assert group["initial_lr"] == (own if name.startswith("samplers") else 1e-3), name
                assert group["weight_decay"] == (0.1 if parameter.dim() == 2 else 0.0), name
        assert found == set(names.values())


def test_the_dense_model_stays_as_it_was(dense, few, tmp_path, monkeypatch):
    before, real, runs = weights(dense), adaptive._train, []
    monkeypatch.setattr(adaptive, "_train", lambda run, *more: runs.append(run) or real(run, *more))
    train_inforcoef(dense, few, tmp_path / "m", replace(SETTINGS, epochs=1, hard_epochs=0, speedup=None))
    teacher = runs[0].teachers[0].model.state_dict()
    assert all(torch.equal(teacher[name], before[name]) for name in before)
    assert not torch.equal(weights(tmp_path / "m")["model.classifier.weight"], before["classifier.weight"])


def test_finished_run_is_left_alone_and_other_settings_are_refused(dense, small, few, whole):
    folder, record = whole
    stamp = (folder / "model.safetensors").stat().st_mtime_ns
    assert train_inforcoef(dense, few, folder, SETTINGS) == record
    assert (folder / "model.safetensors").stat().st_mtime_ns == stamp
    fewer = replace(few, splits={**few.splits, "train": few.splits["train"][1:]})
    others = [
        (dense, few, folder, replace(SETTINGS, norm=2.0)),
        (dense, few, folder, replace(SETTINGS, bottleneck="as_released")),
        (dense, fewer, folder, SETTINGS),
        (dense, few, folder, SETTINGS, small),
    ]
    for other in others:
        with pytest.raises(InputError) as error:
            train_inforcoef(*other)
        assert "the folder holds results with other " in str(error.value)
        assert "(to start over, " in str(error.value)


# --- what is refused

ADAPTIVE = "AdaplerForSequenceClassification"


def test_samplers_are_not_put_around_a_model_that_is_adaptive(dense, few, tokenizer, tmp_path):
    start = saved(dropping(tiny_model("bert", tokenizer, few.labels)), tokenizer, tmp_path / "adapler")
    with pytest.raises(InputError) as error:
        train_inforcoef(dense, few, tmp_path / "m", SETTINGS, start)
    assert str(error.value) == f"expected a dense or cut model to build on, got {ADAPTIVE}"
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (
            InforCoefSettings,
            {"norm": -1.0},
            "expected --norm, --entropy and --share of at least 0, got (-1.0, 0.0004, 0.0)",
        ),
        (
            InforCoefSettings,
            {"entropy": float("nan")},
            "expected --norm, --entropy and --share of at least 0, got (0.0004, nan, 0.0)",
        ),
        (
            InforCoefSettings,
            {"bottleneck": "other"},
            "expected a bottleneck of corrected, as_released, got other",
        ),
        (InforCoefSettings, {"sampler_lr": 0.0}, "expected learning rates above 0, got "),
        (InforCoefSettings, {"epochs": 0}, "expected at least 1 epoch, got (0, 0)"),
        (
            InforCoefSettings,
            {"speedup": 0.5, "hard_epochs": 1},
            "expected a speedup of at least 1, got 0.5",
        ),
        (InforCoefSettings, {"speedup": 4.0}, "expected --hard-epochs with --speedup, got 0"),
        (
            InforCoefSettings,
            {"word_drop": 0.1},
            "expected --distill 1 with --word-drop (shortened texts have no labels but the dense "
            "model's), got 0.0",
        ),
        (
            InforCoefSettings,
            {"teacher_epochs": 2},
            "expected --distill above 0 with --teacher-epochs, got 0.0",
        ),
        (PruneSettings, {"sparsity": 1.5}, "expected --sparsity in (0, 1), got 1.5"),
        (PruneSettings, {"sparsity": 0.0}, "expected --sparsity in (0, 1), got 0.0"),
        (PruneSettings, {"hard_epochs": 0}, "expected at least 1 epoch of each stage, got (4, 0)"),
        (PruneSettings, {"epochs": 0}, "expected at least 1 epoch of each stage, got (0, 2)"),
        (PruneSettings, {"sparsity_warmup": 1.1}, "expected --sparsity-warmup in [0, 1], got 1.1"),
        (PruneSettings, {"layers": -0.1}, "expected --layers in [0, 1], got -0.1"),
        (PruneSettings, {"speedup": 2.0}, "expected no speedup: sparsity decides, got 2.0"),
        (PruneSettings, {"gate_lr": 0.0}, "expected learning rates above 0, got "),
        (PruneSettings, {"multiplier_lr": -1.0}, "expected learning rates above 0, got "),
        (
            PruneSettings,
            {"word_drop": 0.1, "distill": 0.5},
            "expected --distill 1 with --word-drop (shortened texts have no labels but the dense "
            "model's), got 0.5",
        ),
    ],
)
def test_settings_that_cannot_train_are_refused(kind, change, message):
    with pytest.raises(InputError) as error:
        kind.of(change).check()
    assert str(error.value).startswith(message)
    assert len(error.value.faults) == 1
    kind().check()


# --- on a cut model


@pytest.mark.parametrize("name", ["adapler", "inforcoef"])
def test_removal_is_trained_on_a_cut_model(dense, small, few, tmp_path, name):
    out = tmp_path / "m"
    if name == "adapler":
        settings = AdaplerSettings.of(PLAIN | {"epochs": 1, "hard_epochs": 1, "speedup": 6.0})
        record = train_adapler(dense, few, out, replace(settings, target="attention"), small)
    else:
        record = train_inforcoef(
            dense, few, out, replace(SETTINGS, epochs=1, hard_epochs=1, speedup=6.0), small
        )
    assert record["training"]["start"] == str(small)
    cut_alone = measure_removal(load_classifier(small, device="cpu"), few, "val").speedup
    assert record["log"][-1]["scaled_to"] == pytest.approx(6.0, rel=0.05)
    assert record["log"][-1]["speedup"] > cut_alone > 3
    one = load_classifier(out, device="cpu")
    assert one.model.config.model_type == name
    counts = {"heads": [2] * 3, "units": [20] * 3, "hidden": 16}
    assert one.model.model.config.cut == counts
    assert [layer.intermediate.dense.out_features for layer in layers_of(one.model.model)] == [20] * 3
    again = measure_removal(one, few, "val")
    assert (again.accuracy, round(again.speedup, 3)) == tuple(
        record["kept"][k] for k in ("val_accuracy", "speedup")
    )

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from eraser import InputError
from rationale.hf.card import read_settings
from rationale.hf.classifier import load_classifier
from rationale.inference.savings import RemovalStats, measure_removal
from rationale.training import adaptive, run
from rationale.training import dense as dense_module
from rationale.training import stage as stages
from rationale.training.adaptive import train_adaptive
from rationale.training.dense import EPOCHS, train_dense
from rationale.training.recipes.adapler.recipe import ADAPLER
from rationale.training.recipes.adapler.settings import AdaplerSettings, AdaplerStepSettings
from rationale.training.recipes.adapler.stages import ADAPLER_STAGES
from rationale.training.recipes.adapler.step import AdaplerStep
from rationale.training.settings import TrainSettings
from tests.conftest import tiny_model
from tests.helpers.models.trainings import few_of, killed, same, weights

DENSE = TrainSettings(
    epochs=2, lr=1e-3, batch_size=8, max_length=64, precision="float32", device="cpu", keep_epochs=2
)
HARD_STEP = AdaplerStepSettings(lr=1e-3, predictor_lr=1e-2, distill=0.5)
STEP = replace(HARD_STEP, threshold_lr=5e-2, phi=0.01)
train_adapler = partial(train_adaptive, ADAPLER)
SETTINGS = AdaplerSettings(
    predictor_epochs=1, epochs=2, hard_epochs=2, hard_lr=1e-3, speedup=2.0, step=STEP, batch_size=8,
    tolerance=1.0, precision="float32", device="cpu",
)  # fmt: skip
OFTEN = replace(SETTINGS, checkpoint_seconds=0.0)


@pytest.fixture(scope="module")
def few(sample):
    return few_of(sample, 10, 8, 6)


@pytest.fixture(scope="module")
def dense(tokenizer, few, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "dense"
    train_dense(lambda: (tiny_model("bert", tokenizer, few.labels), tokenizer), few, folder, DENSE)
    return folder


@pytest.fixture(scope="module")
def whole(dense, few, tmp_path_factory):
    """A run that nothing stopped: its folder and its record."""
    folder = tmp_path_factory.mktemp("whole") / "m"
    return folder, train_adapler(dense, few, folder, SETTINGS)


def test_all_stages_make_a_model_that_loads_and_removes(whole, few):
    folder, record = whole
    order = [("predictors", 0), ("soft", 0), ("soft", 1), ("hard", 0), ("hard", 1)]
    assert [(e["stage"], e["epoch"]) for e in record["log"]] == order
    assert [e["lambda"] for e in record["log"][1:3]] == [10.0, 100.0]
    assert [e["scaled_to"] for e in record["log"][3:]] == pytest.approx([2.0, 2.0], rel=0.03)
    one = load_classifier(folder, device="cpu")
    assert one.encoder.max_length == 64
    again = measure_removal(one, few, "val")
    kept = record["kept"]
    assert (again.accuracy, round(again.speedup, 3)) == (kept["val_accuracy"], kept["speedup"])
    assert [round(float(x), 2) for x in again.lengths] == kept["lengths"]
    assert kept in record["log"]
    assert read_settings(folder) == record
    assert not list(folder.glob("*checkpoint*"))


def test_hard_removal_with_high_thresholds_makes_a_faster_model(dense, few, tmp_path):
    """A threshold of 1 is the mean score: whatever the predictors say, some tokens are below it."""
    record = train_adapler(dense, few, tmp_path / "m", replace(stage_only(hard_epochs=1), eta=1.0))
    assert record["kept"]["speedup"] > 1
    one = load_classifier(tmp_path / "m", device="cpu")
    (windows,) = one.encoder.encode([few.text(few.splits["test"][0])])
    batch = one.encoder.collate(windows)
    with torch.no_grad():
        output = one.model(batch.ids, batch.real, batch.types)
    counts = [int(layer.kept.sum()) for layer in output.trace]
    assert counts == sorted(counts, reverse=True)
    assert len(windows) <= counts[-1] <= counts[0] < int(batch.real.sum())


@pytest.mark.slow
def test_a_limit_above_1_is_trained_with_and_kept(dense, few, tmp_path):
    limited = replace(stage_only(hard_epochs=1), eta=1.0, speedup=100.0)
    one = train_adapler(dense, few, tmp_path / "one", limited)
    four = train_adapler(dense, few, tmp_path / "four", replace(limited, eta_max=4.0))
    assert one["kept"]["eta"] == [1.0] * 3
    assert four["kept"]["eta"] == [4.0] * 3
    assert four["kept"]["speedup"] > one["kept"]["speedup"]
    loaded = load_classifier(tmp_path / "four", device="cpu")
    assert loaded.model.eta.tolist() == [4.0] * 3
    assert measure_removal(loaded, few, "val").speedup == pytest.approx(four["kept"]["speedup"], abs=1e-3)


def stage_only(**epochs):
    none = {"predictor_epochs": 0, "epochs": 0, "hard_epochs": 0}
    step = STEP if "epochs" in epochs else HARD_STEP
    return replace(SETTINGS, **none | epochs, speedup=None, step=step)


def moved(folder, other):
    before, after = weights(folder), weights(other)
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_first_stage_moves_the_predictors_alone_and_their_loss_falls(dense, few, tmp_path):
    record = train_adapler(dense, few, tmp_path / "one", stage_only(predictor_epochs=1))
    assert record["kept"]["stage"] == "predictors"
    inside = {f"model.{k}": v for k, v in weights(dense).items()}
    found = weights(tmp_path / "one")
    assert all(torch.equal(found[name], inside[name]) for name in inside)
    assert found["eta"].tolist() == [SETTINGS.eta] * 3
    slow = replace(stage_only(predictor_epochs=6), batch_size=99, step=replace(HARD_STEP, predictor_lr=1e-3))
    record = train_adapler(dense, few, tmp_path / "six", slow)
    losses = [e["train_loss"] for e in record["log"][1:]]  # all windows a step; the first one's rate is 0
    assert sorted(losses, reverse=True) == losses
    assert losses[-1] < losses[0]
    assert moved(tmp_path / "one", tmp_path / "six") == {n for n in found if n.startswith("contribution")}


def test_hard_stage_leaves_the_thresholds_and_trains_all_else(dense, few, tmp_path, monkeypatch):
    alike = RemovalStats(1.0, 2.0, np.ones(3))  # of equals the later is kept
    monkeypatch.setattr(run, "measure_removal", lambda *_: alike)
    train_adapler(dense, few, tmp_path / "soft", stage_only(epochs=1))
    record = train_adapler(dense, few, tmp_path / "both", stage_only(epochs=1, hard_epochs=1))
    assert [(e["stage"], e["epoch"]) for e in record["log"]] == [("soft", 0), ("hard", 0)]
    assert record["kept"]["stage"] == "hard"
    others = weights(tmp_path / "soft").keys() - {"eta", "theta", "first"}
    assert moved(tmp_path / "soft", tmp_path / "both") <= others
    assert len(moved(tmp_path / "soft", tmp_path / "both")) > 0.9 * len(others)


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "call"), [("predictors", 2), ("soft", 6), ("hard", 1), ("hard", 6)])
def test_killed_run_goes_on_to_the_very_same_weights(dense, few, whole, tmp_path, monkeypatch, stage, call):
    killed(monkeypatch, ADAPLER_STAGES[stage], call, train_adapler, dense, few, tmp_path / "cut", OFTEN)
    assert (tmp_path / "cut" / f"{stage}.checkpoint.safetensors").exists() == (call > 1)
    resumed = train_adapler(dense, few, tmp_path / "cut", OFTEN)
    folder, record = whole
    assert resumed["log"] == record["log"]
    assert resumed["kept"] == record["kept"]
    assert same(tmp_path / "cut", weights(folder))
    assert not list((tmp_path / "cut").glob("*checkpoint*"))


@pytest.mark.slow
def test_words_left_out_are_the_same_after_a_kill(dense, few, tmp_path, monkeypatch):
    settings = replace(
        OFTEN, epochs=0, predictor_epochs=0, word_drop=0.3, step=replace(HARD_STEP, distill=1.0)
    )
    train_adapler(dense, few, tmp_path / "whole", settings)
    killed(monkeypatch, ADAPLER_STAGES["hard"], 4, train_adapler, dense, few, tmp_path / "cut", settings)
    train_adapler(dense, few, tmp_path / "cut", settings)
    assert same(tmp_path / "cut", weights(tmp_path / "whole"))
    plain = replace(settings, word_drop=0.0)
    train_adapler(dense, few, tmp_path / "plain", plain)
    assert not same(tmp_path / "plain", weights(tmp_path / "whole"))


@pytest.mark.slow
def test_several_epochs_teach_together_where_so_many_were_kept(dense, few, tmp_path):
    step = replace(HARD_STEP, distill=1.0)
    settings = replace(SETTINGS, epochs=0, predictor_epochs=0, step=step)
    alone = train_adapler(dense, few, tmp_path / "alone", settings)
    both = train_adapler(dense, few, tmp_path / "both", replace(settings, teacher_epochs=2))
    assert both["log"][0]["train_loss"] != alone["log"][0]["train_loss"]
    with pytest.raises(InputError) as error:
        train_adapler(dense, few, tmp_path / "three", replace(settings, teacher_epochs=3))
    expected = "--teacher-epochs 3 needs a model trained with --keep-epochs 3; this one kept 2"
    assert str(error.value) == f"{dense}: {expected}"


def test_finished_run_is_left_alone_and_other_settings_are_refused(dense, few, whole, tmp_path):
    folder, record = whole
    stamp = (folder / "model.safetensors").stat().st_mtime_ns
    assert train_adapler(dense, few, folder, SETTINGS) == record
    assert (folder / "model.safetensors").stat().st_mtime_ns == stamp
    for other in (replace(SETTINGS, step=replace(STEP, phi=0.02)), replace(SETTINGS, seed=1)):
        with pytest.raises(InputError) as error:
            train_adapler(dense, few, folder, other)
        assert "(to start over, " in str(error.value)
    fewer = replace(few, splits={**few.splits, "train": few.splits["train"][1:]})
    with pytest.raises(InputError, match="holds results with other texts"):
        train_adapler(dense, fewer, folder, SETTINGS)


def test_checkpoint_of_other_settings_is_not_resumed(dense, few, tmp_path, monkeypatch):
    killed(monkeypatch, ADAPLER_STAGES["hard"], 1, train_adapler, dense, few, tmp_path / "m", OFTEN)
    with pytest.raises(InputError, match=r"holds results with other seed \(0 there\)"):
        train_adapler(dense, few, tmp_path / "m", replace(OFTEN, seed=1))


@pytest.mark.parametrize(
    ("term", "value"),
    [
        pytest.param("task", float("nan"), marks=pytest.mark.slow),
        ("saliency", float("nan")),
        pytest.param("length", float("inf"), marks=pytest.mark.slow),
    ],
)
def test_loss_that_is_no_number_stops_the_soft_stage(dense, few, tmp_path, monkeypatch, term, value):
    """It stops in the second step of the second epoch, after one epoch's model was kept."""
    folder, steps, calls = tmp_path / "m", -(-windows_of(dense, few) // 8), []
    losses = AdaplerStep.losses

    def spoilt(self, *arguments):
        found = losses(self, *arguments)
        calls.append(found)
        field = {"saliency": "head"}.get(term, term)
        bad = len(calls) == steps + 2
        return replace(found, **{field: getattr(found, field) * 0 + value}) if bad else found

    with monkeypatch.context() as patch:
        patch.setattr(AdaplerStep, "losses", spoilt)
        with pytest.raises(InputError) as error:
            train_adapler(dense, few, folder, OFTEN)
    assert str(error.value) == (
        f"{folder}: {term} loss is {value} at epoch 2, step 2, "
        "in a016.txt, a015.txt, a017.txt and 5 more; the last good checkpoint is kept; "
        "try a lower --lr or --precision float32 with another --out"
    )
    assert progress(folder / "soft.checkpoint.safetensors")["step"] == 1
    kept = load_classifier(folder, device="cpu").model.state_dict()
    assert all(torch.isfinite(w).all() for w in kept.values())


@pytest.mark.slow
def test_loss_that_is_no_number_stops_the_hard_stage(dense, few, whole, tmp_path, monkeypatch):
    """Without the fault the run goes on as if it had never been."""
    folder, calls, task = tmp_path / "m", [], stages.task_loss

    def spoilt(*arguments):
        calls.append(arguments)
        return task(*arguments) * (float("nan") if len(calls) == 3 else 1.0)

    with monkeypatch.context() as patch:
        patch.setattr(stages, "task_loss", spoilt)
        with pytest.raises(InputError) as error:
            train_adapler(dense, few, folder, OFTEN)
    assert str(error.value) == (
        f"{folder}: task loss is nan at epoch 1, step 3, "
        "in a003.txt, a015.txt, a011.txt and 5 more; the last good checkpoint is kept; "
        "try a lower --lr or --precision float32 with another --out"
    )
    assert progress(folder / "hard.checkpoint.safetensors")["step"] == 2
    assert load_classifier(folder, device="cpu").model.config.model_type == "adapler"
    assert train_adapler(dense, few, folder, OFTEN)["log"] == whole[1]["log"]


def windows_of(dense, few):
    encoder = load_classifier(dense, device="cpu").encoder
    return sum(len(w) for w in encoder.encode([few.text(e) for e in few.splits["train"]]))


def progress(file):
    with safe_open(file, framework="pt") as opened:
        return json.loads(opened.metadata()["progress"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wanted", "seen", "kept"),
    [
        # (accuracy, speed-up) of each epoch; the dense model has 0.8, the tolerance is 0.1
        (None, [(0.75, 2.0), (0.71, 4.0), (0.5, 9.0), (0.9, 3.0)], 1),
        (None, [(0.6, 3.0), (0.65, 2.0), (0.3, 9.0), (0.64, 9.0)], 1),
        (None, [(0.3, 9.0), (0.7, 9.0), (0.75, 1.1), (0.75, 1.05)], 2),
        (None, [(0.75, 2.0), (0.9, 2.0), (0.5, 2.0), (0.2, 1.0)], 1),
        (4.0, [(0.9, 3.79), (0.5, 3.81), (0.6, 9.0), (0.4, 99.0)], 2),
        (4.0, [(0.9, 3.79), (0.7, 3.81), (0.6, 9.0), (0.4, 99.0)], 1),
        (4.0, [(0.3, 3.81), (0.6, 9.0), (0.6, 4.0), (0.9, 1.0)], 2),
        (4.0, [(0.5, 1.0), (0.6, 1.1), (0.3, 3.7), (0.2, 3.5)], 1),
    ],
    ids=[
        "fastest within", "none within: most accurate", "the edge is outside", "of equals the later",
        "most accurate that reach it", "nearly is enough", "of equals that reach it the later",
        "none reaches it: most accurate",
    ],
)  # fmt: skip
def test_epoch_kept_is_the_best_of_both_stages(dense, few, tmp_path, monkeypatch, wanted, seen, kept):
    answers, states = iter(RemovalStats(acc, speed, np.ones(3)) for acc, speed in seen), []

    def scripted(classifier, *_):
        states.append({k: v.clone() for k, v in classifier.model.state_dict().items()})
        return next(answers)

    monkeypatch.setattr(adaptive, "measure_removal", lambda *_: RemovalStats(0.8, 1.0, np.ones(3)))
    monkeypatch.setattr(run, "measure_removal", scripted)
    settings = replace(stage_only(epochs=2, hard_epochs=2), tolerance=0.1, speedup=wanted, batch_size=16)
    record = train_adapler(dense, few, tmp_path / "m", settings)
    order = [("soft", 0), ("soft", 1), ("hard", 0), ("hard", 1)]
    assert [(e["stage"], e["epoch"]) for e in record["log"]] == order
    assert record["kept"] == record["log"][kept]
    assert same(tmp_path / "m", states[kept])
    assert not any(same(tmp_path / "m", states[i]) for i in range(4) if i != kept)
    assert [e["within_tolerance"] for e in record["log"]] == [a > 0.8 - 0.1 for a, _ in seen]


def test_other_weights_may_be_trained_towards_the_dense_models_saliency(dense, few, tokenizer, tmp_path):
    """With a learning rate that moves nothing the encoder is that of `start`, not the dense one."""
    start = tmp_path / "start"
    other = tiny_model("bert", tokenizer, ("NEG", "POS"))
    with torch.no_grad():
        for weight in other.parameters():
            weight.mul_(1.5)
    other.save_pretrained(start)
    still = replace(stage_only(hard_epochs=1), hard_lr=1e-30)
    record = train_adapler(dense, few, tmp_path / "m", still, start)
    found = weights(tmp_path / "m")
    for name, weight in other.state_dict().items():
        assert torch.allclose(found[f"model.{name}"], weight, rtol=0, atol=1e-25), name
    assert record["training"]["start"] == str(start)
    assert record["training"]["dense"] == str(dense)


def test_exactly_the_best_epochs_models_stay(few, tokenizer, tmp_path, monkeypatch):
    scores, seen, folder = [0.5, 0.9, 0.6, 0.7], [], tmp_path / "m"

    def scripted(classifier, *_):
        seen.append({k: v.clone() for k, v in classifier.model.state_dict().items()})
        return scores[len(seen) - 1]

    monkeypatch.setattr(dense_module, "accuracy", scripted)
    settings = replace(DENSE, epochs=4, max_length=128)
    train_dense(lambda: (tiny_model("bert", tokenizer, few.labels), tokenizer), few, folder, settings)
    assert sorted(p.name for p in (folder / EPOCHS).iterdir()) == ["1", "3"]
    assert same(folder, seen[1])
    for epoch in (1, 3):
        assert same(folder / EPOCHS / str(epoch), seen[epoch])
        assert load_classifier(folder / EPOCHS / str(epoch), device="cpu").labels == few.labels


def test_one_epoch_kept_leaves_no_folder_of_epochs(few, tokenizer, tmp_path):
    one = replace(DENSE, keep_epochs=1, epochs=1)
    train_dense(lambda: (tiny_model("bert", tokenizer, few.labels), tokenizer), few, tmp_path / "m", one)
    assert not (tmp_path / "m" / EPOCHS).exists()


@pytest.mark.parametrize("where", ["model.safetensors", pytest.param("epochs", marks=pytest.mark.slow)])
def test_a_dense_model_that_changed_is_noticed(dense, few, tmp_path, where):
    own = tmp_path / "dense"
    shutil.copytree(dense, own, ignore=shutil.ignore_patterns("targets"))
    asked = replace(stage_only(epochs=1), teacher_epochs=2 if where == "epochs" else 1)
    asked = replace(asked, step=replace(asked.step, distill=0.5))
    record = train_adapler(own, few, tmp_path / "m", asked)
    shutil.copytree(own, tmp_path / "moved")
    assert train_adapler(tmp_path / "moved", few, tmp_path / "m", asked) == record
    before = {f.name for f in (own / "targets").iterdir()}
    for file in (own / EPOCHS).rglob("model.safetensors") if where == "epochs" else [own / where]:
        save_file({k: v * 1.7 for k, v in load_file(file).items()}, file, {"format": "pt"})
    with pytest.raises(InputError, match="holds results with other content_of_dense"):
        train_adapler(own, few, tmp_path / "m", asked)
    train_adapler(own, few, tmp_path / "new", asked)
    assert {f.name for f in (own / "targets").iterdir()} > before  # not the old model's answers

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch

from eraser import Dataset, Document, Example, InputError
from rationale.hf.card import read_settings
from rationale.hf.classifier import load_classifier
from rationale.training import dense
from rationale.training.dense import accuracy, best_epochs, train_dense
from rationale.training.loop import Loop, shuffled_batches
from rationale.training.settings import TrainSettings
from tests.conftest import tiny_model
from tests.helpers.models.trainings import few_of, recorded_steps, same, weights, without_dropout

SETTINGS = TrainSettings(epochs=2, lr=1e-3, batch_size=16, max_length=128, precision="float32", device="cpu")


@pytest.fixture
def start(tokenizer, sample):
    return lambda: (tiny_model("bert", tokenizer, sample.labels), tokenizer)


def test_killed_run_goes_on_to_the_very_same_weights(start, sample, tmp_path, monkeypatch):
    whole = train_dense(start, sample, tmp_path / "whole", SETTINGS)
    step, calls = dense._Run._step, []

    def dies_at_tenth(run, rows):
        calls.append(rows)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return step(run, rows)

    monkeypatch.setattr(dense._Run, "_step", dies_at_tenth)
    often = replace(SETTINGS, checkpoint_seconds=0.0)
    with pytest.raises(KeyboardInterrupt):
        train_dense(start, sample, tmp_path / "cut", often)
    monkeypatch.setattr(dense._Run, "_step", step)
    resumed = train_dense(start, sample, tmp_path / "cut", often)
    assert resumed["log"] == whole["log"]
    expected = weights(tmp_path / "whole")
    for name, weight in weights(tmp_path / "cut").items():
        assert torch.equal(weight, expected[name]), name
    assert not list((tmp_path / "cut").glob("checkpoint*"))


def test_every_step_trains_clipped_at_a_rate_that_rises_and_falls(start, sample, tmp_path, monkeypatch):
    step, trains = dense._Run._step, []
    monkeypatch.setattr(dense._Run, "_step", lambda r, rows: trains.append(r.model.training) or step(r, rows))
    with recorded_steps() as seen:
        asked = replace(SETTINGS, batch_size=4, warmup=0.25, clip=1e-6)
        train_dense(start, few_of(sample, train=20), tmp_path / "m", asked)
    n, rise = len(seen), round(len(seen) / 4)
    assert trains == [True] * n
    rates = [1e-3 * min(i / rise, (n - i) / (n - rise)) for i in range(n)]
    assert [s.lr for s in seen] == pytest.approx(rates)
    assert max(s.gradient.norm() for s in seen) <= 1.001e-6


def test_a_batch_in_uneven_parts_has_the_gradient_of_the_whole(start, tmp_path, monkeypatch):
    texts = {"a": ("film",) * 3, "b": ("dull",) * 9, "c": ("plot",) * 20}
    examples = tuple(Example(i, (i,), label) for i, label in zip("abc", ("POS", "NEG", "NEG"), strict=True))
    documents = {i: Document(i, (words,)) for i, words in texts.items()}
    dataset = Dataset("three", documents, {"train": examples, "val": examples})
    calm = lambda: (without_dropout(start()[0]), start()[1])  # noqa: E731
    found = {}
    for budget in (10**6, 22, 1):  # pieces: all at once, the first two, each alone
        monkeypatch.setattr(dense, "piece_budget", lambda *_, budget=budget: budget)
        with recorded_steps() as seen:
            train_dense(calm, dataset, tmp_path / str(budget), replace(SETTINGS, epochs=1, clip=1e9))
        (found[budget],) = seen
    for budget in (22, 1):
        torch.testing.assert_close(found[budget].gradient, found[10**6].gradient, rtol=1e-4, atol=1e-6)


def test_saved_model_is_the_best_epoch_and_says_how_it_was_made(start, sample, tmp_path):
    record = train_dense(start, sample, tmp_path / "m", SETTINGS)
    classifier = load_classifier(tmp_path / "m")
    assert record["val_accuracy"] == max(e["val_accuracy"] for e in record["log"])
    assert accuracy(classifier, sample, "val") == record["val_accuracy"]
    assert classifier.labels == ("NEG", "POS")
    assert read_settings(tmp_path / "m")["training"]["lr"] == 1e-3
    assert classifier.encoder.max_length == 128
    assert not list((tmp_path / "m").glob("*.bin"))


def test_finished_model_is_left_alone_and_other_settings_are_refused(start, sample, tmp_path):
    one = replace(SETTINGS, epochs=1)
    first = train_dense(start, sample, tmp_path / "m", one)
    stamp = (tmp_path / "m" / "model.safetensors").stat().st_mtime_ns
    assert train_dense(start, sample, tmp_path / "m", one) == first
    assert (tmp_path / "m" / "model.safetensors").stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match="m: the folder holds results with other epochs"):
        train_dense(start, sample, tmp_path / "m", SETTINGS)
    assert train_dense(start, sample, tmp_path / "m", SETTINGS, overwrite=True)["training"]["epochs"] == 2


def test_a_backbone_is_not_trained_over_and_its_changes_are_noticed(start, sample, tmp_path):
    model, tokenizer = start()
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "B")
    one, origin = replace(SETTINGS, epochs=1), str(tmp_path / "B")
    weights = (tmp_path / "B/model.safetensors").read_bytes()
    for overwrite in (False, True):
        with pytest.raises(InputError, match="the output folder is or contains the input"):
            train_dense(start, sample, tmp_path / "B", one, origin, overwrite)
    assert (tmp_path / "B/model.safetensors").read_bytes() == weights
    record = train_dense(start, sample, tmp_path / "m", one, origin)
    assert record["training"]["backbone"] == origin
    shutil.copytree(tmp_path / "B", tmp_path / "moved")
    assert train_dense(start, sample, tmp_path / "m", one, str(tmp_path / "moved")) == record
    settings = json.loads((tmp_path / "B/tokenizer_config.json").read_text())
    (tmp_path / "B/tokenizer_config.json").write_text(json.dumps(settings | {"model_max_length": 64}))
    with pytest.raises(InputError, match="holds results with other content_of_backbone"):
        train_dense(start, sample, tmp_path / "m", one, origin)


def test_broken_checkpoint_is_named(start, sample, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Loop, "epoch", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train_dense(start, sample, tmp_path / "m", SETTINGS)
    (tmp_path / "m" / "checkpoint.safetensors").write_bytes(b"\x10\0\0\0")
    with pytest.raises(
        InputError, match=r"checkpoint.safetensors: the checkpoint cannot be read .*; delete it"
    ):
        train_dense(start, sample, tmp_path / "m", SETTINGS)


def test_diverged_training_stops(start, sample, tmp_path):
    place = r"epoch 1, step \d+, in \S+, \S+, \S+ and 5 more"
    message = rf"m: training loss is (nan|inf) at {place}; the last good checkpoint is kept; try a lower --lr"
    with pytest.raises(InputError, match=message):
        train_dense(start, sample, tmp_path / "m", replace(SETTINGS, lr=1e30, clip=1e30, warmup=0.0))


def test_data_without_val_split_is_refused(start, sample, tmp_path):
    bare = replace(sample, splits={"train": sample.splits["train"]})
    with pytest.raises(InputError, match="training needs a val split, which is missing or empty"):
        train_dense(start, bare, tmp_path / "m", SETTINGS)


def test_batches_hold_every_window_once_and_waste_little():
    lengths = list(range(1, 1001))
    found = shuffled_batches(lengths, 8, (0, 0))
    assert sorted(i for rows in found for i in rows) == list(range(1000))
    padded = sum(len(rows) * max(lengths[i] for i in rows) for rows in found)
    assert padded < 1.05 * sum(lengths)
    assert found != shuffled_batches(lengths, 8, (0, 1))
    assert found == shuffled_batches(lengths, 8, (0, 0))


def test_full_disk_is_said_and_leaves_no_half_model(start, sample, tmp_path, monkeypatch):
    from safetensors import SafetensorError
    from transformers import PreTrainedModel

    def full(model, folder):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", full)
    with pytest.raises(InputError, match=r"m: cannot write the model: .* No space left"):
        train_dense(start, sample, tmp_path / "m", SETTINGS)
    assert [f.name for f in (tmp_path / "m").iterdir()] == ["made.json"]


def test_checkpoint_of_other_data_is_not_resumed(start, sample, tmp_path, monkeypatch):
    def dies(loop, *_):
        loop.save()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "epoch", dies)
        with pytest.raises(KeyboardInterrupt):
            train_dense(start, sample, tmp_path / "m", SETTINGS)
    other = replace(sample, splits={**sample.splits, "train": sample.splits["train"][1:]})
    with pytest.raises(InputError, match="holds results with other texts"):
        train_dense(start, other, tmp_path / "m", SETTINGS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "expected --epochs of at least 1, got 0"),
        ({"batch_size": 0}, "expected --batch-size of at least 1, got 0"),
        ({"lr": float("nan")}, "expected a learning rate above 0, got nan"),
        ({"seed": -1}, "expected --seed of at least 0, got -1"),
    ],
)
def test_settings_that_cannot_train_are_refused(start, sample, tmp_path, change, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        train_dense(start, sample, tmp_path / "m", replace(SETTINGS, **change))
    assert not (tmp_path / "m").exists()


def test_one_process_may_train_in_two_precisions(start, sample, tmp_path):
    one = replace(SETTINGS, epochs=1)
    for number, precision in enumerate(("float32", "bf16", "float32")):
        train_dense(start, sample, tmp_path / str(number), replace(one, precision=precision))
    assert same(tmp_path / "2", weights(tmp_path / "0"))
    assert not same(tmp_path / "1", weights(tmp_path / "0"))


@pytest.mark.parametrize(
    ("scores", "k", "expected"),
    [
        ([0.5, 0.9, 0.7], 2, [1, 2]),
        ([0.5, 0.9, 0.9], 1, [2]),
        ([0.9, 0.9, 0.9], 2, [2, 1]),
        ([0.5], 3, [0]),
        ([0.9, 0.5, 0.8, 0.8], 3, [0, 3, 2]),
    ],
)
def test_best_epochs_come_first_and_of_equals_the_later(scores, k, expected):
    log = [{"epoch": i, "val_accuracy": s} for i, s in enumerate(scores)]
    assert best_epochs(log, k) == expected


def test_texts_of_one_label_are_refused_as_the_model_would_give_numbers(start, sample, tmp_path):
    alike = {split: [replace(e, label="POS") for e in found] for split, found in sample.splits.items()}
    one = replace(sample, splits=alike, source="texts.csv")
    assert one.labels == ("POS",)
    message = r"^texts\.csv: expected at least two labels to train on, got \['POS'\]$"
    with pytest.raises(InputError, match=message):
        train_dense(start, one, tmp_path / "m", SETTINGS)

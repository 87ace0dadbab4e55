from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eraser import InputError
from rationale.attribution import AttributionInput, attribute
from rationale.bench import dial as frontier
from rationale.bench import removal
from rationale.bench.dial import dial_table, on_frontier, tune
from rationale.bench.removal import EFFICIENT, Bench, Timing, bench, table, variants_of
from rationale.hf.classifier import without_removal
from rationale.inference.predict import text_probs
from rationale.models.flops import costs, kept_lengths
from rationale.training.dense import accuracy
from rationale.training.recipes.adapler.settings import AdaplerSettings, AdaplerStepSettings

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def few(sample):
    sizes = {"train": 6, "val": 6, "test": 8}
    return replace(sample, splits={k: sample.splits[k][:n] for k, n in sizes.items()})


WAYS = ("dense", "packed", "removal")


def windows_of(classifier, dataset, split="test"):
    texts = [dataset.text(e) for e in dataset.splits[split]]
    return [w for windows in classifier.encoder.encode(texts) for w in windows]


# --- bench


def test_bench_counts_what_costs_count_and_times_every_round(adaptive, few):
    windows = windows_of(adaptive, few)
    found = bench(adaptive, windows, batch_size=3, rounds=4)
    assert tuple(t.way for t in found.timings) == WAYS
    assert all(len(t.seconds) == 4 and min(t.seconds) > 0 for t in found.timings)
    assert (found.windows, found.batch_size) == (len(windows), 3)
    assert found.tokens == np.mean([len(w) for w in windows])
    price, dense, shrunk, kept = costs(adaptive.model), 0.0, 0.0, []
    for window in windows:
        with torch.no_grad():
            output = adaptive.model(torch.tensor(window.ids)[None], None, torch.tensor(window.types)[None])
        kept.append(kept_lengths(output))
        dense += float(price.dense(len(window)))
        shrunk += float(price.shrinking([len(window)], kept[-1])[0])
    assert [t.flops for t in found.timings] == [dense, dense, shrunk]
    assert found.gflops(found.timings[0]) == pytest.approx(dense / 1e9 / 4)  # a round reads a quarter
    assert found.lengths == pytest.approx(np.concatenate(kept, axis=1).mean(1))
    assert found.ratio("removal", lambda t: t.flops) == dense / shrunk
    assert found.where == "cpu, 1 thread, float32"


@pytest.mark.parametrize("repeat", [False, True])
def test_rounds_share_the_windows_unless_they_are_to_repeat_them(adaptive, few, monkeypatch, repeat):
    timed = []

    def seconds(run, batches, device):
        timed.append([ids[real].tolist() for b in batches for ids, real in zip(b.ids, b.real, strict=True)])
        return 1.0

    monkeypatch.setattr(removal, "_seconds", seconds)
    windows = windows_of(adaptive, few)
    found = bench(adaptive, windows, batch_size=2, rounds=3, repeat=repeat)
    everything = sorted(w.ids.tolist() for w in windows)
    rounds = [timed[i : i + 3] for i in range(0, 9, 3)]
    for of_ways in rounds:
        assert of_ways[0] == of_ways[1] == of_ways[2]
        lengths = [len(ids) for ids in of_ways[0]]
        assert lengths == sorted(lengths)
    read = [sorted(of_ways[0]) for of_ways in rounds]
    assert read == [everything] * 3 if repeat else sorted(sum(read, [])) == everything
    assert found.windows_a_round == len(windows) / (1 if repeat else 3)


def test_more_rounds_than_windows_are_refused(adaptive, few):
    with pytest.raises(InputError) as error:
        bench(adaptive, windows_of(adaptive, few)[:2], rounds=3)
    assert str(error.value) == "expected a window for each of 3 rounds, which share them, got 2"


def test_three_ways_are_the_model_without_and_with_removal(adaptive, few):
    batch = adaptive.encoder.collate(windows_of(adaptive, few))
    ways = {way.name: way.run for way in variants_of(adaptive)}
    with torch.no_grad():
        found = {way: ways[way](batch) for way in WAYS}
        dense = adaptive.model.model(
            input_ids=batch.ids, attention_mask=batch.real.long(), token_type_ids=batch.types
        )
        removed = adaptive.model(batch.ids, batch.real, batch.types)
    assert torch.equal(found["dense"].logits, dense.logits)
    assert torch.allclose(found["packed"].logits, dense.logits, atol=1e-5)
    assert all((layer.kept == batch.real).all() for layer in found["packed"].trace)
    assert torch.allclose(found["removal"].logits, removed.logits, atol=1e-5)
    assert not torch.allclose(removed.logits, dense.logits, atol=1e-3)


MADE_UP = Bench(
    (
        Timing("dense", (4.0, 8.0, 6.0), 12e9, 30.0),
        Timing("packed", (2.0, 8.0, 4.0), 12e9, 20.0),
        Timing("removal", (1.0, 4.0, 2.0), 3e9, 10.0),
    ),
    np.array([7.0, 3.5]), 48, 16, 10.5, "a machine, 3 threads, float32", repeated=True,
)  # fmt: skip


def test_ratios_are_of_medians_and_spreads_of_rounds():
    assert [t.median for t in MADE_UP.timings] == [6.0, 4.0, 2.0]
    assert [MADE_UP.ratio(way, lambda t: t.median) for way in WAYS] == [1.0, 1.5, 3.0]
    assert [MADE_UP.ratio(way, lambda t: t.flops) for way in WAYS] == [1.0, 1.0, 4.0]
    assert [MADE_UP.spread(way) for way in WAYS] == [(1.0, 1.0), (1.0, 2.0), (2.0, 4.0)]


def test_table_says_how_and_what_was_measured():
    first, tokens, _, *ways, last = table(MADE_UP).splitlines()
    shared = table(replace(MADE_UP, repeated=False)).splitlines()[4]
    assert shared.split()[-2] == "4.0"  # windows/s of packed: 16 of the 48 in 4 s
    assert first == (
        "48 windows of 10.5 pieces on average, batches of 16; a machine, 3 threads, float32; 3 rounds"
    )
    assert tokens == "tokens each layer works on: 7.0 3.5"
    assert [line.split() for line in ways] == [
        ["dense", "12.0", "1.00", "6.000", "1.00", "[1.00,", "1.00]", "8.0", "30"],
        ["packed", "12.0", "1.00", "4.000", "1.50", "[1.00,", "2.00]", "12.0", "20"],
        ["removal", "3.0", "4.00", "2.000", "3.00", "[2.00,", "4.00]", "24.0", "10"],
    ]
    assert last == "wall-clock speed-up / FLOPs speed-up: 0.750"


def test_model_that_drops_nothing_is_not_timed(classifier, few):
    with pytest.raises(InputError) as error:
        bench(classifier, windows_of(classifier, few))
    expected = f"expected {EFFICIENT}, got BertForSequenceClassification"
    assert str(error.value) == expected


@pytest.mark.parametrize(
    ("options", "got"), [({"rounds": 0}, "0, 32, 1"), ({"batch_size": 0}, "5, 0, 1"), ({}, "5, 32, 0")]
)
def test_nothing_to_time_is_refused(adaptive, few, options, got):
    windows = windows_of(adaptive, few)[: 1 if options else 0]
    with pytest.raises(InputError) as error:
        bench(adaptive, windows, **options)
    assert str(error.value) == f"expected at least 1 round, a batch size of 1 and 1 window, got {got}"


# --- dial


@pytest.fixture
def judged(adaptive, few):
    """The test split, labelled as the dense model would but for one text."""
    dense = without_removal(adaptive)
    examples = few.splits["test"]
    said = text_probs(dense, dense.encoder.encode([few.text(e) for e in examples])).argmax(1)
    labels = [adaptive.labels[int(i) if n else 1 - int(i)] for n, i in enumerate(said)]
    found = tuple(replace(e, label=label) for e, label in zip(examples, labels, strict=True))
    return replace(few, splits={**few.splits, "test": found})


def test_dial_at_zero_is_the_dense_model_and_keeps_everything(adaptive, judged):
    (row,) = dial_table(adaptive, judged, "test", (0.0,)).to_dict("records")
    assert row["accuracy"] == accuracy(without_removal(adaptive), judged, "test") == 7 / 8
    windows = windows_of(adaptive, judged)
    mean = np.mean([len(w) for w in windows])
    assert [row[f"layer_{i}"] for i in range(3)] == pytest.approx([mean] * 3)
    assert row["false_positive_rate"] == 1.0  # every word is the rationale
    lengths = np.array([len(w) for w in windows])
    price = costs(adaptive.model)
    everything = price.shrinking(lengths, np.tile(lengths, (3, 1))).sum()
    assert row["speedup"] == pytest.approx(price.dense(lengths).sum() / everything, rel=1e-12)


def test_tokens_fall_from_layer_to_layer_and_in_the_first_as_the_dial_grows(adaptive, judged):
    """Only the first layer sees the same tokens at every dial; later ones see what is left."""
    found = dial_table(adaptive, judged, "test", (0.0, 0.5, 1.0, 2.0, 1e6))
    first = found.layer_0.tolist()
    assert first == sorted(first, reverse=True)
    assert len(set(first)) == 5
    assert (found.layer_0 >= found.layer_1).all()
    assert (found.layer_1 >= found.layer_2).all()
    last = found.iloc[-1]
    assert [last.layer_0, last.layer_1, last.layer_2] == [1.0, 1.0, 1.0]
    assert (last.token_f1, last.false_positive_rate) == (0.0, 0.0)  # [CLS] alone: no word is chosen
    assert found.dial.tolist() == [0.0, 0.5, 1.0, 2.0, 1e6]
    assert (found.accuracy_n == 8).all()


def test_rationale_at_a_dial_is_the_survivors_own(adaptive, judged):
    adaptive.model.config.dial = 0.5
    examples = judged.splits["test"]
    texts = [judged.text(e) for e in examples]
    windows = adaptive.encoder.encode(texts)
    cases = [AttributionInput(w, len(t.words), 1) for w, t in zip(windows, texts, strict=True)]
    own = [a.selected for a in attribute(adaptive, "survivors", cases)]
    gold = [judged.truth(e).gold for e in examples]
    scores = [2 * (o & g).sum() / (o.sum() + g.sum()) for o, g in zip(own, gold, strict=True)]
    adaptive.model.config.dial = 1.0
    (row,) = dial_table(adaptive, judged, "test", (0.5,)).to_dict("records")
    assert row["token_f1"] == pytest.approx(np.mean(scores))
    assert row["token_f1_low"] <= row["token_f1"] <= row["token_f1_high"]


def test_the_models_dial_is_put_back_even_after_a_failure(adaptive, judged, monkeypatch):
    adaptive.model.config.dial = 0.75
    dial_table(adaptive, judged, "test", (0.0, 2.0))
    assert adaptive.model.config.dial == 0.75

    def fails(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(frontier, "predict_split", fails)
    with pytest.raises(KeyboardInterrupt):
        dial_table(adaptive, judged, "test", (2.0,))
    assert adaptive.model.config.dial == 0.75


@pytest.mark.parametrize("bad", [-0.5, float("nan"), float("inf")])
def test_dials_below_zero_are_refused(adaptive, few, bad):
    with pytest.raises(InputError) as error:
        dial_table(adaptive, few, "test", (1.0, bad))
    assert str(error.value) == f"expected dials of at least 0, got {bad}"


def test_dial_reads_labels_as_other_commands_do(adaptive, judged):
    """Labels that were never named are the data's numbers; others are refused, never counted as wrong."""
    named = [replace(e, label=str(adaptive.labels.index(e.label))) for e in judged.splits["test"]]
    numbered = replace(judged, splits={"test": tuple(named)})
    unnamed = replace(adaptive, labels=("LABEL_0", "LABEL_1"))
    assert dial_table(unnamed, numbered, "test", (0.0,)).accuracy.tolist() == [7 / 8]
    with pytest.raises(InputError, match=r"^the model: expected a model with the labels \['NEG', 'POS'\]"):
        dial_table(unnamed, judged, "test", (0.0,))


# --- frontier

points = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(points)
def test_frontier_is_what_no_other_point_dominates(pairs):
    speed, accurate = (np.array([p[i] for p in pairs], dtype=float) for i in (0, 1))
    found = on_frontier(speed, accurate)
    expected = []
    for s, a in pairs:
        beaten = False
        for other_s, other_a in pairs:
            at_least = other_s >= s and other_a >= a
            beaten = beaten or (at_least and (other_s, other_a) != (s, a))
        expected.append(not beaten)
    assert found == expected
    assert any(found) == bool(pairs)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(points.filter(bool), st.randoms(use_true_random=False))
def test_frontier_knows_no_order_and_falls_in_accuracy_as_speed_grows(pairs, random):
    def chosen(points):
        speed, accurate = (np.array([p[i] for p in points], dtype=float) for i in (0, 1))
        return sorted(p for p, best in zip(points, on_frontier(speed, accurate), strict=True) if best)

    shuffled = list(pairs)
    random.shuffle(shuffled)
    best = chosen(pairs)
    assert chosen(shuffled) == best
    accurate = [a for _, a in best]
    assert accurate == sorted(accurate, reverse=True)
    assert max(s for s, _ in pairs) == best[-1][0]
    assert max(a for _, a in pairs) == best[0][1]


# --- tune

TUNE = AdaplerSettings(
    epochs=1, batch_size=64, precision="float32", device="cpu", target="attention",
    step=AdaplerStepSettings(lr=1e-3),
)  # fmt: skip


def test_a_grid_whose_weights_would_do_nothing_is_refused_before_anything_is_trained(
    model_folder, few, tmp_path
):
    without_soft = replace(TUNE, epochs=0, hard_epochs=1)
    with pytest.raises(InputError, match=r"^expected --epochs above 0 with --gamma, got 0$"):
        tune(model_folder, few, tmp_path / "t", without_soft, {"gamma": [0.005, 0.5]})
    assert not (tmp_path / "t").exists()


def test_tune_trains_every_point_once_and_writes_every_epoch(model_folder, few, tmp_path, monkeypatch):
    grid = {"gamma": [0.005, 0.5], "speedup": [2.0]}
    real, asked = frontier.train_adaptive, []

    def recorded(recipe, dense, dataset, out, constants, **how):
        asked.append((out.name, constants.step.gamma, constants.speedup, constants.step.lr))
        return real(recipe, dense, dataset, out, constants, **how)

    monkeypatch.setattr(frontier, "train_adaptive", recorded)
    found = tune(model_folder, few, tmp_path / "t", TUNE, grid)
    names = ["gamma=0.005-speedup=2", "gamma=0.5-speedup=2"]
    assert asked == [(names[0], 0.005, 2.0, 1e-3), (names[1], 0.5, 2.0, 1e-3)]
    written = pd.read_csv(tmp_path / "t" / "frontier.csv")
    assert written.run.tolist() == found.run.tolist() == names
    for (_, row), name in zip(written.iterrows(), names, strict=True):
        (entry,) = json.loads((tmp_path / "t" / name / "rationale.json").read_text())["log"]
        assert (row.speedup, row.val_accuracy) == (entry["speedup"], entry["val_accuracy"])
        assert [row[f"layer_{i}"] for i in range(3)] == entry["lengths"]
    assert found.frontier.tolist() == on_frontier(found.speedup.to_numpy(), found.val_accuracy.to_numpy())


@pytest.mark.slow
def test_killed_search_goes_on_and_a_finished_one_trains_nothing(model_folder, few, tmp_path, monkeypatch):
    from rationale.training import adaptive

    real, trained = adaptive._train, []

    def second_dies(run, *more):
        trained.append(run.out.name)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return real(run, *more)

    grid = {"gamma": [0.005, 0.5]}
    monkeypatch.setattr(adaptive, "_train", second_dies)
    with pytest.raises(KeyboardInterrupt):
        tune(model_folder, few, tmp_path / "t", TUNE, grid)
    assert len(pd.read_csv(tmp_path / "t/frontier.csv")) == 1
    first = tune(model_folder, few, tmp_path / "t", TUNE, grid)
    again = tune(model_folder, few, tmp_path / "t", TUNE, grid)
    assert trained == ["gamma=0.005", "gamma=0.5", "gamma=0.5"]
    pd.testing.assert_frame_equal(first, again)
    assert len(pd.read_csv(tmp_path / "t/frontier.csv")) == 2

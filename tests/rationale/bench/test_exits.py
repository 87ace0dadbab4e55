"""Rules for early exits side by side: what is played on notes is what real passes do; choices by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from eraser import Dataset, InputError
from rationale.bench.exit_table import (
    STEPS,
    Compared,
    ExitSettings,
    Lines,
    compare_exits,
    difference_table,
    frontier_table,
    time_exits,
)
from rationale.bench.exits import Point, chosen, commonest, line, play, take_notes
from rationale.cli import app
from rationale.cli.exits.command import _folders, _fractions, _timed
from rationale.hf.classifier import Classifier, save_classifier
from rationale.inference.savings import predict_split, run_windows, speedup_of
from rationale.models.capabilities import under_exit
from rationale.models.exits.rules import EXITS
from rationale.report.plots import exit_figure
from tests.helpers.models.exits import exiting

pytestmark = pytest.mark.figures

SOME = {
    "published": (0.0, 1.0, 30.0),
    "tight": (1.0,),
    "entropy": (0.3, 0.7),
    "patience": (1.5,),
    "depth": (1.5, 3.0),
}


@pytest.fixture
def few(sample: Dataset) -> Dataset:
    return replace(sample, splits={"val": sample.splits["val"][:6], "test": sample.splits["test"][:8]})


@pytest.fixture(params=["dense inside", "removal inside"])
def model(request, classifier, adaptive) -> Classifier:
    inside = classifier if request.param == "dense inside" else adaptive
    return replace(classifier, model=exiting(inside.model))


@pytest.mark.parametrize("rule", EXITS)
def test_a_rule_played_on_notes_does_what_a_real_pass_does(model, few, rule):
    notes = take_notes(model, few, "test")
    points = {p.dial: p for p in line(model, notes, rule)}
    exits_seen = set()
    for dial in SOME[rule]:
        exits, answer = play(notes, EXITS[rule], dial)
        with under_exit(model.model, rule, dial):
            probs, kept = run_windows(model, notes.windows)
            found = predict_split(model, few, "test")
            share = 1 / speedup_of(model, notes.windows, kept)
        assert ((kept > 0).sum(0) == exits).all()
        assert answer.numpy() == pytest.approx(probs, abs=1e-5)
        exits_seen |= set(exits.tolist())
        if dial in points:
            assert points[dial].share == pytest.approx(share)
            labels = [few.labels.index(e.label) for e in few.splits["test"]]
            assert (points[dial].right == (found.predicted == labels)).all()
    assert len(exits_seen) > 1
    assert (model.model.config.exit_rule, model.model.config.dial) == ("published", 1.0)


def test_depth_pays_for_one_head_and_other_rules_for_one_each_layer(model, few):
    """Two layers of three, so one head less than a rule that asks after both."""
    notes = take_notes(model, few, "test")
    depth = next(p for p in line(model, notes, "depth") if p.dial == 1.5)
    patience = line(model, notes, "patience")
    assert (depth.layers, depth.share < min(p.share for p in patience if p.layers >= 2)) == (2.0, True)


def point(dial, share, *right):
    return Point(dial, share, np.array(right, dtype=bool), 1.0)


def test_the_most_accurate_within_a_budget_is_chosen_and_of_equals_the_cheapest():
    points = [point(0, 1.0, 1, 1, 1), point(1, 0.6, 1, 1, 0), point(2, 0.4, 1, 1, 0), point(3, 0.2, 1, 0, 0)]
    assert [chosen(points, b) for b in (1.0, 0.7, 0.4, 0.3, 0.199, 0.1)] == [0, 2, 2, 3, 3, None]


@pytest.fixture
def compared():
    """One rule that is right with less, one that needs more; two seeds; each text's points by hand."""
    good = [point(0, 1.0, 1, 1, 1, 1), point(1, 0.5, 1, 1, 1, 0), point(2, 0.25, 1, 1, 0, 0)]
    poor = [point(0, 1.0, 1, 1, 1, 1), point(1, 0.5, 1, 0, 0, 0)]
    lines = {
        "published": [Lines(["m"] * 3, good, good), Lines(["m"] * 2, poor, poor)],
        "depth": [Lines(["m"] * 2, poor, poor)] * 2,
    }
    settings = ExitSettings(("published", "depth"), (0.25, 0.5, 1.0))
    return Compared(lines, np.array([True, False, False, False]), settings)


def test_differences_and_areas_are_means_over_seeds_and_budgets(compared):
    table = difference_table(compared).set_index(["what", "rule"])
    assert table.value[("at 0.250", "published")] == pytest.approx((2 / 4 + 1 / 4) / 2)
    assert table.value[("at 0.500", "published")] == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert table.ahead[("at 0.500", "depth")] == pytest.approx(1 / 4)
    assert table.ahead[("at 1.000", "depth")] == 0
    # of the budgets 1/60 … 30/60: 14 of nothing, 15 of a half, 1 of three quarters; CLOSE changes none
    area = (14 * 1 / 4 + 15 * 2 / 4 + 1 * 3 / 4) / 30
    assert table.value[("area to 0.5", "published")] == pytest.approx((area + 1 / 4) / 2)
    low, high = table.ahead_low[("area to 0.5", "depth")], table.ahead_high[("area to 0.5", "depth")]
    assert low <= table.ahead[("area to 0.5", "depth")] <= high


def test_frontier_has_a_row_for_each_budget_that_something_fits(compared):
    table = frontier_table(compared)
    assert len(table[table.rule == "depth"]) == STEPS // 2 + 1
    row = table[(table.rule == "published") & (table.budget == 0.5)].iloc[0]
    assert (row.share, row.accuracy, row.n, row.models) == (0.5, 0.5, 4, "m m")
    assert row.accuracy_low <= row.accuracy <= row.accuracy_high
    axes = exit_figure(table).axes[0]
    assert axes.get_legend_handles_labels()[1] == ["depth", "published"]


@pytest.fixture
def without_a_point():
    """Two seeds; the first has no point within 0.15, so that it gives the commonest label at no cost."""
    dear, cheap = point(0, 1.0, 1, 1, 1, 1), point(1, 0.1, 1, 1, 1, 0)
    lines = {"depth": [Lines(["m"], [dear], [dear]), Lines(["m", "m"], [dear, cheap], [dear, cheap])]}
    return Compared(lines, np.array([True, False, False, False]), ExitSettings(("depth",), (0.15,)))


def test_a_seed_without_a_point_counts_in_the_cost_as_in_the_accuracy(without_a_point):
    rows = frontier_table(without_a_point).set_index("budget")
    row = rows.loc[9 / STEPS]
    assert (row.accuracy, row.share, row.layers) == (pytest.approx((1 / 4 + 3 / 4) / 2), 0.05, 0.5)
    assert (row.dials, row.models) == ("– 1", "– m")


def test_the_first_seeds_model_is_timed_at_its_own_dial_or_not_at_all(without_a_point, classifier, few):
    ready = {"m": lambda: replace(classifier, model=exiting(classifier.model))}
    assert _timed(without_a_point, ready, few, (2, 2, 1)) == []
    within = replace(without_a_point, settings=ExitSettings(("depth",), (1.0,)))
    (times,) = _timed(within, ready, few, (2, 2, 1))
    assert times.flops.tolist() == [1.0]


def test_trainings_with_the_same_dial_are_two_points_of_a_figure(compared):
    table = frontier_table(compared)
    table = table[table.rule == "depth"].assign(dials="1")
    table["models"] = ["a" if share < 1 else "b" for share in table.share]
    assert len(exit_figure(table).axes[0].lines[0].get_xdata()) == 2


def test_the_commonest_label_of_the_other_split_is_what_can_be_had_for_nothing():
    assert commonest(np.array([0, 1, 1, 2]), np.array([2, 2, 0])).tolist() == [False, False, False, True]


@torch.no_grad()
def test_of_two_trainings_each_rule_takes_the_better_one(classifier, few):
    """A model whose heads say the opposite of the labels is never taken but where it is right."""
    one, other = (replace(classifier, model=exiting(classifier.model)) for _ in range(2))
    for head in [*other.model.heads, other.model.own_head()]:
        head.classifier.weight.neg_()
        head.classifier.bias.neg_()
    settings = ExitSettings(("patience", "depth"), (1.0,))
    alone = compare_exits({"one": [lambda: one]}, few, settings)
    both = compare_exits({"one": [lambda: one], "other": [lambda: other]}, few, settings)
    for rule in settings.rules:
        single = alone.lines[rule][0].choosing
        double = both.lines[rule][0].choosing
        assert len(double) == 2 * len(single)
        at = both.lines[rule][0].within(1.0)
        assert double[at].accuracy == max(p.accuracy for p in double)
        assert set(both.lines[rule][0].models) == {"one", "other"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rules": ("lazy",)}, f"expected rules of {', '.join(EXITS)}, got 'lazy'"),
        ({"budgets": (0.5, 1.5)}, "expected budgets above 0 and at most 1, got 1.5"),
        ({"choose_on": "test"}, "expected two splits: one to choose on, one to measure on, got 'test'"),
    ],
)
def test_what_cannot_be_compared_is_refused(settings, message):
    with pytest.raises(InputError) as error:
        ExitSettings(**settings).check()
    assert str(error.value) == message


def test_models_that_do_not_belong_together_are_refused(classifier, few):
    with pytest.raises(InputError) as error:
        compare_exits({"a": [lambda: classifier], "b": [lambda: classifier] * 2}, few, ExitSettings())
    assert str(error.value) == "expected the same number of models for each training, got a 1, b 2"
    with pytest.raises(InputError) as error:
        compare_exits({"a": [lambda: classifier]}, few, ExitSettings())
    got = "BertForSequenceClassification"
    assert str(error.value) == f"a: expected a model with a head at each layer, got {got}"


def one_thread():
    return torch.get_num_threads() == 1


def test_times_are_of_each_rule_and_leave_the_model_as_it_was(model, few):
    windows = take_notes(model, few, "test").windows
    table = time_exits(model, windows, {"depth": 3.0, "entropy": 0.5}, batch_size=4, rounds=2)
    assert table.rule.tolist() == ["depth", "entropy"]
    assert (table.wall_low <= table.wall).all()
    assert (table.wall <= table.wall_high).all()
    assert set(table["where"]) == {f"{model.where()}, {'CPU' if one_thread() else 'wall-clock'} time"}
    assert (model.model.config.exit_rule, model.model.config.dial) == ("published", 1.0)


def test_command_writes_tables_and_a_figure(classifier, tmp_path, monkeypatch):
    folders = [str(tmp_path / f"m{i}") for i in range(2)]
    for folder in folders:
        save_classifier(exiting(classifier.model), classifier.encoder.tokenizer, Path(folder))
    options = ["--windows", "4", "--rounds", "1", "--device", "cpu", "--precision", "float32"]
    options += ["--rules", "published,depth", "--budgets", "1/2,1", "--out", str(tmp_path / "s")]
    done = CliRunner().invoke(app, ["exits", f"mine={','.join(folders)}", *options])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "sample: chosen on val, measured on test, n = 40" in done.output
    assert done.output.splitlines()[-1] == f"next: rationale evaluate --model {folders[0]}"
    assert set(pd.read_csv(tmp_path / "s" / "frontier.csv").rule) == {"published", "depth"}
    assert len(pd.read_csv(tmp_path / "s" / "differences.csv")) == 8
    assert set(pd.read_csv(tmp_path / "s" / "times.csv").model) == {"mine"}
    assert (tmp_path / "s" / "exits.png").read_bytes().startswith(b"\x89PNG")
    again = CliRunner().invoke(app, ["exits", f"mine={','.join(folders)}", *options])
    assert (again.exit_code, again.output) == (0, f"already done: {tmp_path / 's'}\n")
    monkeypatch.setattr("torch.get_num_threads", lambda: 99)
    other = CliRunner().invoke(app, ["exits", f"mine={','.join(folders)}", *options])
    assert "the folder holds results with other threads (" in str(other.exception)


@pytest.mark.parametrize("given", [("--windows", -5), ("--batch-size", 0), ("--rounds", 0)])
def test_command_refuses_what_cannot_be_timed_before_it_measures(given, tmp_path):
    done = CliRunner().invoke(app, ["exits", "mine=nowhere", *map(str, given), "--out", str(tmp_path / "s")])
    sizes = {"--windows": 256, "--batch-size": 32, "--rounds": 5} | dict([given])
    expected = "expected at least 0 windows, a batch size of 1 and 1 round, got "
    assert str(done.exception) == f"{expected}{tuple(sizes.values())}"
    assert not (tmp_path / "s").exists()


def test_command_writes_its_tables_where_no_rule_stops_within_a_budget(classifier, tmp_path):
    save_classifier(exiting(classifier.model), classifier.encoder.tokenizer, tmp_path / "m")
    options = ["--windows", "4", "--rounds", "1", "--device", "cpu", "--precision", "float32"]
    options += ["--rules", "published,depth", "--budgets", "0.01", "--out", str(tmp_path / "s")]
    done = CliRunner().invoke(app, ["exits", str(tmp_path / "m"), *options])
    assert done.exit_code == 0, (done.output, done.exception)
    assert (tmp_path / "s" / "frontier.csv").is_file()
    assert not (tmp_path / "s" / "times.csv").exists()


def test_names_and_fractions_are_read(tmp_path):
    assert _folders(["a=x,y", "runs/b"]) == {"a": ["x", "y"], "b": ["runs/b"]}
    assert _fractions("1/6,0.5") == (1 / 6, 0.5)
    for given, message in (("1/0", "expected a fraction, got '1/0'"), ("x", "expected numbers")):
        with pytest.raises(InputError, match=message):
            _fractions(given)
    with pytest.raises(InputError, match="^expected trainings of different names, got a$"):
        _folders(["a=x", "a=y"])

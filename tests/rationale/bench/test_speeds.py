from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, BertForSequenceClassification
from typer.testing import CliRunner

from eraser import Dataset, InputError
from rationale.bench.removal import EFFICIENT
from rationale.bench.speeds import SpeedSettings, area, speed_table
from rationale.cli import app
from rationale.cli.speeds import _named, on_cpu
from rationale.hf.classifier import cast_once, save_classifier, without_removal
from rationale.inference.savings import measure_removal
from rationale.models.dact import DactForSequenceClassification
from rationale.report.plots import speed_figure
from rationale.templates.palette import MARKERS
from rationale.training.dense import accuracy

pytestmark = pytest.mark.figures

FEW = 8
SETTINGS = SpeedSettings(dials=(0.0, 1.0, 2.0), windows=4, batch_size=2, rounds=2)


@pytest.fixture(scope="module")
def few(sample: Dataset) -> Dataset:
    return replace(sample, splits={**sample.splits, "test": sample.splits["test"][:FEW]})


@pytest.fixture
def table(adaptive, few) -> pd.DataFrame:
    stopping = DactForSequenceClassification.wrap(adaptive.model).eval()
    models = {"drops": adaptive, "stops": replace(adaptive, model=stopping)}
    return speed_table(without_removal(adaptive), models, few, SETTINGS)


def test_models_held_in_bf16_are_measured_although_nobody_looked_at_them_before(adaptive, few):
    held = [cast_once(replace(twin_of(adaptive), bf16=True)) for _ in range(2)]
    table = speed_table(without_removal(held[0]), {"drops": held[1]}, few, replace(SETTINGS, dials=(1.0,)))
    assert table.model.tolist() == ["dense", "drops"]


def twin_of(classifier):
    return replace(classifier, model=deepcopy(classifier.model), passes=None)


def test_a_row_for_dense_and_for_each_model_and_dial(table):
    assert table.model.tolist() == ["dense", *["drops"] * 3, *["stops"] * 3]
    assert table.dial.tolist()[1:] == [0.0, 1.0, 2.0] * 2
    assert (table.n == FEW).all()
    first = table.iloc[0]
    assert (first.flops, first.wall, first.loss) == (1.0, 1.0, 0.0)


def test_counts_and_accuracies_are_those_of_the_models_alone(table, adaptive, few):
    dense = accuracy(without_removal(adaptive), few, "test")
    assert table.iloc[0].accuracy == dense
    for row in table[table.model == "drops"].itertuples():
        adaptive.model.set_dial(row.dial)
        found = measure_removal(adaptive, few, "test")
        assert (row.flops, row.accuracy) == (found.speedup, found.accuracy)
        assert row.loss == pytest.approx(dense - found.accuracy)
        assert row.tokens == " ".join(f"{n:.1f}" for n in found.lengths)
        assert row.exit_layer == 3
    adaptive.model.set_dial(1.0)
    zero = table[(table.model == "drops") & (table.dial == 0)].iloc[0]
    assert zero.accuracy == dense
    assert zero.flops < 1  # the predictors cost, and nothing is saved


def test_dials_are_put_back(table, adaptive):
    assert adaptive.model.config.dial == 1.0


def test_figure_has_a_line_for_each_model_counted_and_measured(table):
    axes = speed_figure(table).axes
    assert [ax.get_xlabel().split(" than")[0] for ax in axes] == [
        "FLOPs speed-up over dense (×)",
        "times faster",
    ]
    names = axes[1].get_legend_handles_labels()[1]
    assert names == ["dense", "drops", "stops"]


def test_a_dozen_models_look_all_different(table):
    one = table[table.model == "dense"]
    many = pd.concat([one.assign(model=f"m{i}") for i in range(12)])
    lines = [line for line in speed_figure(many).axes[0].lines if line.get_marker() in MARKERS]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == len(lines) == 12


@pytest.mark.slow
@given(st.lists(st.tuples(st.floats(0.5, 30), st.floats(0, 1)), min_size=1, max_size=6), st.floats(0, 1))
def test_area_is_the_mean_over_shares_of_the_best_point_within_each(points, commonest):
    rows = pd.DataFrame({"model": "m", "flops": [f for f, _ in points], "accuracy": [a for _, a in points]})
    shares = (np.arange(20_000) + 0.5) / 20_000
    best = [max([commonest, *(a for f, a in points if 1 / f <= x and f > 1)]) for x in shares]
    assert area(rows, commonest)["m"] == pytest.approx(np.mean(best), abs=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dials": (-1.0,)}, "expected dials of at least 0, got -1.0"),
        (
            {"windows": -1},
            "expected at least 1 window, a batch size of 1 and 1 round, got (-1, 2, 2)",
        ),
        ({"rounds": 0}, "expected at least 1 window, a batch size of 1 and 1 round, got (4, 2, 0)"),
    ],
)
def test_what_cannot_be_measured_is_refused(adaptive, few, settings, message):
    with pytest.raises(InputError) as error:
        speed_table(without_removal(adaptive), {"m": adaptive}, few, replace(SETTINGS, **settings))
    assert str(error.value) == message


def test_models_that_do_not_belong_together_are_refused_before_any_is_run(adaptive, few, tokenizer):
    def refused(dense, **models) -> str:
        with pytest.raises(InputError) as error:
            speed_table(dense, models, few, SETTINGS)
        return str(error.value)

    dense = without_removal(adaptive)
    named = replace(adaptive, labels=("a", "b"))
    assert refused(dense, m=named).startswith("m: expected a model with the labels")
    assert refused(without_removal(named), m=adaptive).startswith("dense: expected a model with the labels")
    kind = "AdaplerForSequenceClassification"
    assert refused(adaptive, m=adaptive) == f"dense: expected a dense model, got {kind}"
    assert refused(dense, m=dense) == f"m: expected {EFFICIENT}, got BertForSequenceClassification"
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
    )
    smaller = DactForSequenceClassification.wrap(BertForSequenceClassification(config).eval())
    found = refused(dense, m=adaptive, small=replace(adaptive, model=smaller))
    assert found == "small: the model differs in size from the dense model"


def test_a_folder_with_an_equals_sign_is_one_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("runs/gamma=0.1-lr=1")
    folder.mkdir(parents=True)
    assert _named([str(folder), f"mine={folder}", "x"]) == {
        "gamma=0.1-lr=1": str(folder),
        "mine": str(folder),
        "x": "x",
    }


@pytest.mark.parametrize("command", [["speeds", "a=x", "--dense", "d"], ["bench", "--model", "m"]])
def test_no_threads_are_refused(command):
    done = CliRunner().invoke(app, [*command, "--threads", "0"])
    assert str(done.exception) == "expected at least 1 thread, got 0"


def test_no_windows_are_refused():
    done = CliRunner().invoke(app, ["bench", "--model", "m", "--windows", "0"])
    assert str(done.exception) == "expected at least 1 window, got 0"


def test_another_device_has_no_ways_of_other_libraries_and_says_so(capsys):
    assert on_cpu("cpu")
    assert capsys.readouterr().err == ""
    assert not on_cpu("meta")
    expected = "what people deploy instead is compared on the CPU only: --device cpu\n"
    assert capsys.readouterr().err == expected


def test_command_writes_table_areas_and_figure(adaptive, tmp_path, monkeypatch):
    save_classifier(adaptive.model, adaptive.encoder.tokenizer, tmp_path / "drops")
    dense = without_removal(adaptive)
    save_classifier(dense.model, dense.encoder.tokenizer, tmp_path / "dense")
    options = [
        "--dense",
        str(tmp_path / "dense"),
        "--windows",
        "4",
        "--rounds",
        "1",
        "--out",
        str(tmp_path / "s"),
    ]
    options += ["--device", "cpu", "--precision", "float32", "--dials", "0.5,1", "--ways", "packed"]
    done = CliRunner().invoke(app, ["speeds", f"mine={tmp_path / 'drops'}", *options])
    assert done.exit_code == 0, done.output
    assert "sample test, n = 40; cpu" in done.output
    written = pd.read_csv(tmp_path / "s" / "speeds.csv")
    assert written.model.tolist() == ["dense", "mine", "mine"]
    beside = pd.read_csv(tmp_path / "s" / "ways.csv")
    assert sorted(beside.way) == ["hf", "packed"]
    assert (tmp_path / "s" / "ways.png").read_bytes().startswith(b"\x89PNG")
    assert "> packed, float32" in done.output
    areas = pd.read_csv(tmp_path / "s" / "areas.csv", index_col="model").area
    assert areas["mine"] == pytest.approx(area(written, 0.5)["mine"])
    assert (tmp_path / "s" / "speeds.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr("torch.get_num_threads", lambda: 99)
    other = CliRunner().invoke(app, ["speeds", f"mine={tmp_path / 'drops'}", *options])
    assert "the folder holds results with other threads (" in str(other.exception)


def test_two_models_of_one_name_are_refused(tmp_path):
    done = CliRunner().invoke(app, ["speeds", "a=x", "a=y", "--dense", "d"])
    assert isinstance(done.exception, InputError)
    assert str(done.exception) == "expected models of different names, none of them dense, got a"

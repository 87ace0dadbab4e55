"""`rationale reproduce adapler` on a few invented texts: the whole way, resumed, and what is refused."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest

from rationale.reproduce.models import NEEDED
from rationale.reproduce.sets import SETS
from tests.helpers.command_line import run

BRIEF = {"epochs": 1, "lr": 1e-3, "batch_size": 8}
AWAY = {"hard_epochs": 2, "predictor_epochs": 0, "batch_size": 8, "speedup": 1.5}


@pytest.fixture
def source(tmp_path):
    """A folder with twenty-four texts on toys for train and six for test, called agnews."""
    rows = [
        f"a {size} toy number {i} , it is {'fine' if i % 2 else 'broken'}"
        for i, size in enumerate(["big", "small"] * 15)
    ]
    labels = ["good" if i % 2 else "bad" for i in range(30)]
    folder = tmp_path / "data" / "agnews"
    folder.mkdir(parents=True)
    for name, part in (("train", slice(0, 24)), ("test", slice(24, 30))):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *zip(rows[part], labels[part], strict=True)])
    return folder.parent


@pytest.fixture
def reproduce(capsys, monkeypatch, tmp_path, source, model_folder):
    """Run the command with brief trainings of a tiny model."""
    brief = {name: replace(of, dense=BRIEF, more=AWAY) for name, of in SETS.items()}
    monkeypatch.setattr("rationale.reproduce.sets.SETS", brief)
    always = ("--data", source, "--backbone", model_folder, "--out", tmp_path / "out", "--device", "cpu")
    plain = ("--precision", "float32", "--windows", 4, "--rounds", 1, "--batch-size", 2)
    return lambda *more: run(capsys, monkeypatch, "reproduce", "adapler", *always, *plain, *more)


def written(folder):
    return list(csv.DictReader((folder / "out" / "adapler.csv").read_text().splitlines()))


def test_a_table_is_written_and_a_second_run_trains_and_measures_nothing(reproduce, tmp_path, monkeypatch):
    _, out, _ = reproduce("--sets", "agnews,sst2", "--models", "adapler")
    table = (tmp_path / "out" / "adapler.md").read_text()
    assert table in out + "\n"
    assert "| agnews | adapler | 22, 2, 6 |" in table
    assert "| sst2 | not run |" in table
    assert out.splitlines()[-1].startswith("next: rationale bench --model")
    assert [r["dataset"] for r in written(tmp_path) if r["model"] == "adapler"] == ["agnews"]
    weights = tmp_path / "out" / "agnews" / "adapler" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    monkeypatch.setattr("rationale.reproduce.measure.speed_table", None)
    _, again, err = reproduce("--sets", "agnews,sst2", "--models", "adapler")
    assert again == out
    assert weights.stat().st_mtime_ns == before
    assert f"already done: {tmp_path / 'out' / 'agnews' / 'adapler'}" in err
    assert f"sst2: not run, as {tmp_path / 'data' / 'sst2'} is no folder" in err
    _, of_others, _ = reproduce("--sets", "sst2", "--models", "adapler")  # what was measured stays
    assert "| agnews | adapler | 22, 2, 6 |" in of_others
    assert (tmp_path / "out" / "adapler.md").read_text() == table


@pytest.mark.slow
def test_the_stack_is_trained_on_a_pruned_model(reproduce, tmp_path):
    reproduce("--sets", "agnews")
    assert [r["model"] for r in written(tmp_path) if r["dataset"] == "agnews"] == list(NEEDED)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sets", "ag"), "error: expected data sets of"),
        (("--models", "dact"), "error: expected models of adapler, stack, got 'dact'"),
        (("--train-limit", 0), "error: expected a train limit of at least 1, got 0"),
        (("--rounds", 0), "error: expected at least 1 window, a batch size of 1 and 1 round"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_written(reproduce, tmp_path, options, message):
    code, _, err = reproduce(*options)
    assert code == 2
    assert message in err
    assert not (tmp_path / "out").exists()

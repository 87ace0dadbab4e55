from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from rationale.bench import suite as bench_suite
from rationale.bench.suite import (
    SUITES,
    Suite,
    SuiteRun,
    as_table,
    dense_model,
    flops_times,
    measure,
    shrinking,
)

CPU = torch.device("cpu")
SMALL = Suite(("tiny", "tiny long"), (16, 64), (1, 4), (0.5, 0.2), 3, compiled=False)


@pytest.fixture
def _tiny(monkeypatch):
    monkeypatch.setitem(bench_suite.SIZES, "tiny", (32, 3, 2, 64))
    monkeypatch.setitem(bench_suite.SIZES, "tiny long", (32, 6, 2, 64))


@pytest.mark.slow
@pytest.mark.usefixtures("_tiny")
def test_every_cell_of_the_grid_is_measured(tmp_path):
    run = SuiteRun(SMALL, tmp_path)
    table = as_table([cell for number in range(len(run)) for cell in run.cells(number)])
    ways = ["dense", "packed", "adapler 0.5", "adapler 0.2", "dact", "adapler 0.2 + dact"]
    shapes = [(m, n, b) for m in SMALL.models for n in (16, 64) for b in (1, 4)]
    assert [tuple(r) for r in table[["model", "length", "batch_size"]].drop_duplicates().to_numpy()] == shapes
    assert table.way.tolist() == ways * len(shapes)
    dense = table[table.way == "dense"]
    assert (dense.flops_times == 1).all()
    assert (dense.wall_times == 1).all()
    np.testing.assert_allclose(table.ratio, table.wall_times / table.flops_times)
    np.testing.assert_allclose(table.tokens_per_s, table.examples_per_s * table.length)
    np.testing.assert_allclose(table.p50_ms, 1000 * table.batch_size / table.examples_per_s)
    assert (table.p50_ms <= table.p99_ms).all()


@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize("share", [0.6, 0.3])
def test_a_shrinking_model_does_the_wanted_share_of_the_operations(share):
    dense = dense_model("tiny long", CPU, bf16=False)
    model = shrinking(dense, 128, share, seed=0)
    ids = bench_suite._ids(dense, (16, 128), seed=5)
    assert 1 / flops_times(model, ids) == pytest.approx(share, abs=0.1)


@pytest.mark.usefixtures("_tiny")
def test_what_does_not_fit_is_marked_and_the_rest_measured(monkeypatch):
    real = bench_suite.run_packed

    def too_large(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(bench_suite, "run_packed", too_large)
    table = as_table(list(measure(replace(SMALL, batch_sizes=(1,)), "tiny", 16, CPU)))
    assert table.set_index("way").p50_ms.isna().sum() == 1
    assert np.isnan(table.set_index("way").p50_ms["packed"])
    assert real is not too_large


@pytest.mark.usefixtures("_tiny")
def test_a_shrinking_model_that_does_not_fit_is_marked_too(monkeypatch):
    real = bench_suite.shrinking

    def too_large(**_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    def starved(dense, length, share, seed):
        model = real(dense, length, share, seed)
        if share == 0.5:
            model.forward = too_large
        return model

    monkeypatch.setattr(bench_suite, "shrinking", starved)
    table = as_table(list(measure(replace(SMALL, batch_sizes=(1,)), "tiny", 16, CPU))).set_index("way")
    columns = ["p50_ms", "flops_times", "wall_times", "ratio"]
    assert table.loc["adapler 0.5", columns].isna().all()
    assert table.drop("adapler 0.5")[columns].notna().all(axis=None)


@pytest.mark.usefixtures("_tiny")
def test_operations_are_counted_in_the_precision_that_is_timed(monkeypatch):
    dense = dense_model("tiny", CPU, bf16=False)
    model = shrinking(dense, 16, 0.5, seed=0)
    found = []
    forward = model.forward

    def noted(**given):
        found.append(torch.is_autocast_enabled("cpu"))
        return forward(**given)

    monkeypatch.setattr(model, "forward", noted)
    ids = bench_suite._ids(dense, (2, 16), seed=0)
    flops_times(model, ids)
    with torch.autocast("cpu", torch.bfloat16):
        flops_times(model, ids)
    assert found == [False, True]


@pytest.mark.usefixtures("_tiny")
def test_the_command_writes_what_it_prints(rationale, monkeypatch, tmp_path):
    monkeypatch.setitem(SUITES, "cpu", replace(SMALL, models=("tiny",), lengths=(16,)))
    code, out, err = rationale("bench", "--suite", "cpu", "--device", "cpu", "--out", "b")
    assert (code, err) == (0, "")
    assert out.startswith("cpu, 1 thread, ")
    again = rationale("bench", "--suite", "cpu", "--device", "cpu", "--out", "b")
    assert again == (0, out, f"measured earlier: 1 of 1 parts in {tmp_path}/b/parts\n")
    record = json.loads((tmp_path / "b" / "cpu.json").read_text())
    assert record["device"].startswith("cpu, 1 thread, ")
    assert len(record["cells"]) == len(pd.read_csv(tmp_path / "b" / "cpu.csv")) == 12


@pytest.mark.slow
@pytest.mark.usefixtures("_tiny")
def test_what_was_measured_is_kept(tmp_path, monkeypatch):
    run = SuiteRun(replace(SMALL, batch_sizes=(1,)), tmp_path)
    run.compute(1)
    cells = run.cells(1)
    assert {cell.length for cell in cells} == {64}
    monkeypatch.setattr(bench_suite, "dense_model", None)
    assert run.cells(1) == cells
    for change in ({"rounds": 4}, {"shares": (0.5,)}, {"seed": 1}):
        with pytest.raises(TypeError):
            SuiteRun(replace(run.suite, **change), tmp_path).cells(1)
    wider = SuiteRun(replace(run.suite, models=("tiny", "base"), lengths=(64,)), tmp_path)
    assert wider.cells(0) == cells


@pytest.mark.usefixtures("_tiny")
def test_texts_longer_than_a_model_reads_have_no_cells(tmp_path):
    run = SuiteRun(replace(SMALL, models=("tiny",), lengths=(513,)), tmp_path)
    assert run.cells(0) == run.cells(0) == []


@pytest.mark.slow
@pytest.mark.faults
def test_two_workers_measure_a_chunk_each(rationale, monkeypatch, tmp_path):
    monkeypatch.setitem(SUITES, "cpu", replace(SMALL, models=("shipped",), batch_sizes=(1,), rounds=1))
    code, _, err = rationale("bench", "--suite", "cpu", "--device", "cpu", "--out", "b", "--workers", "2")
    assert code == 0, err
    assert len(list((tmp_path / "b" / "parts").iterdir())) == 2
    assert pd.read_csv(tmp_path / "b" / "cpu.csv").length.unique().tolist() == [16, 64]


def test_what_the_command_refuses(rationale):
    for arguments, message in (
        (("--suite", "tpu"), "expected a suite of gpu, cpu, got 'tpu'"),
        ((), "give a model (--model) or a preset grid (--suite)"),
        (("--suite", "cpu", "--workers", "0"), "expected at least 1 worker, got 0"),
        (("--workers", "2"), "--runner, --workers and --address need --suite"),
        (
            ("--suite", "cpu", "--model", "m", "--dataset", "sample", "--precision", "bf16", "--dial"),
            "--model, --dataset, --precision, --dial would do nothing beside --suite; leave it out",
        ),
        (
            ("--suite", "cpu", "--split", "val", "--repeat", "--ways", "hf"),
            "--split, --repeat, --ways would do nothing beside --suite; leave it out",
        ),
        (
            ("--model", "m", "--dial", "--ways", "hf"),
            "--ways would do nothing beside --dial; leave it out",
        ),
        (
            (
                "--model",
                "m",
                "--dial",
                "--dense",
                "d",
                "--windows",
                "8",
                "--rounds",
                "1",
                "--plot",
                "--repeat",
            ),
            "--windows, --rounds, --dense, --plot, --repeat would do nothing beside --dial; leave it out",
        ),
        (
            ("--model", "m", "--ways", "none", "--plot"),
            "--plot would do nothing beside --ways none; leave it out",
        ),
    ):
        code, _, err = rationale("bench", *arguments)
        assert (code, err.strip()) == (2, f"error: {message}")
    if not torch.cuda.is_available():
        code, _, err = rationale("bench", "--suite", "gpu")
        assert (code, err.strip()) == (
            2,
            "error: no GPU found; --device cpu runs the suite without one, very slowly",
        )

from __future__ import annotations

from dataclasses import replace

import pytest

from eraser import InputError
from rationale.runners.backends import RUNNERS, check_runner
from rationale.runners.jobs import AttributeJob, EvaluateJob, read_job
from rationale.settings import EvaluateSettings, StreamSettings
from tests.conftest import save_tiny
from tests.faults.processes import run, tables

SETTINGS = EvaluateSettings("sample", "model", methods=("attention", "random"), budgets=("ratio",), limit=3)


@pytest.fixture(scope="module")
def evaluate(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("runners")
    save_tiny(folder / "model", tokenizer)
    methods = ("--methods", "attention,integrated_gradients,random", "--ig-steps", 2, "--budget", "ratio")
    return ("evaluate", "--model", folder / "model", *methods, "--chunk", 6, "--out")


@pytest.fixture(scope="module")
def here(evaluate, tmp_path_factory):
    folder = tmp_path_factory.mktemp("here")
    run(*evaluate, folder)
    return tables(folder)


MORE = [
    pytest.param(*each, marks=pytest.mark.faults)
    for each in (("accelerate", 1), ("accelerate", 2), ("ray", 1), ("ray", 2))
]


@pytest.mark.slow
@pytest.mark.parametrize(("runner", "workers"), [("local", 2), *MORE])
def test_the_tables_are_the_same_bit_for_bit(evaluate, here, tmp_path, runner, workers):
    run(*evaluate, tmp_path, "--runner", runner, "--workers", workers)
    assert tables(tmp_path) == here
    assert len(list((tmp_path / "parts").glob("*.parquet"))) == 4 * 7


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_workers_leave_nothing_to_compute(model_folder, tmp_path, monkeypatch, workers):
    from rationale.evaluation import pipeline as chunk

    settings = replace(SETTINGS, model=str(model_folder), chunk=1)
    planned = EvaluateJob(settings, str(tmp_path / "r")).open()
    RUNNERS["local"](EvaluateJob(settings, str(tmp_path / "r")), planned, workers, None)
    monkeypatch.setattr(chunk, "attribute", None)
    monkeypatch.setattr(chunk, "text_probs", None)
    assert sum(len(batch.items) for batch in planned.batches()) == 3


def test_a_job_is_read_as_it_was_written(tmp_path):
    texts = StreamSettings(file="/f", model="m", methods=("random",))
    for job in (
        EvaluateJob(replace(SETTINGS, fractions=(0.1,)), "/r", ("NEG", "POS"), 3, "/d"),
        EvaluateJob(SETTINGS, "/r"),
        AttributeJob(texts, "/r"),
    ):
        job.write(tmp_path / "job.json")
        assert read_job(tmp_path / "job.json") == job


def test_all_faults_are_named_at_once():
    with pytest.raises(InputError) as error:
        check_runner("slurm", 0, "auto")
    assert str(error.value).splitlines() == [
        "expected a runner of local, accelerate, ray, got 'slurm'",
        "expected at least 1 worker, got 0",
        "expected an address for the runner ray alone, got runner slurm",
    ]
    for name in RUNNERS:
        check_runner(name, 1, None)
    check_runner("ray", 2, "auto")

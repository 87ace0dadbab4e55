"""kill -9 in the midst of work: what was written is kept, the same command goes on, to equal results."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest
from safetensors.torch import load_file

from tests.conftest import save_tiny
from tests.faults.processes import finish, kill_when, run, start, tables
from tests.helpers.evaluate_command import EVALUATE

OFTEN = """
import rationale.training.dense as dense
from dataclasses import replace
real = dense.train_dense
dense.train_dense = lambda start, data, out, s, *more: real(
    start, data, out, replace(s, checkpoint_seconds=0.0), *more
)
"""
TORN = """
import os, signal
import pyarrow.parquet as pq
real = pq.write_table
def torn(table, path, **how):
    real(table, path, **how)
    os.truncate(path, os.path.getsize(path) // 2)
    os.kill(os.getpid(), signal.SIGKILL)
pq.write_table = torn
"""


@pytest.fixture(scope="module")
def evaluate(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("model")
    save_tiny(folder, tokenizer)
    return ("evaluate", "--model", folder, *EVALUATE, "--out")


@pytest.fixture(scope="module")
def undisturbed(evaluate, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    run(*evaluate, folder)
    return tables(folder)


def parts(folder):
    return sorted((folder / "parts").glob("*.parquet"))


def test_evaluation(evaluate, undisturbed, tmp_path):
    kill_when(start(*evaluate, tmp_path), lambda: len(parts(tmp_path)) >= 5)
    before = {p: p.stat().st_mtime_ns for p in parts(tmp_path)}
    assert 5 <= len(before) < 18
    run(*evaluate, tmp_path)
    assert {p: p.stat().st_mtime_ns for p in before} == before  # what was reported done is not done again
    assert len(parts(tmp_path)) == 18
    assert tables(tmp_path) == undisturbed


def test_half_a_part(evaluate, undisturbed, tmp_path):
    process = start(*evaluate, tmp_path, code=TORN)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert parts(tmp_path) == []  # half a file never has a part's name
    assert len(list((tmp_path / "parts").iterdir())) == 1
    run(*evaluate, tmp_path)
    assert tables(tmp_path) == undisturbed


def test_a_part_cut_short_or_changed_is_computed_again(evaluate, undisturbed, tmp_path):
    run(*evaluate, tmp_path)
    whole = {p: p.read_bytes() for p in parts(tmp_path)}
    for n, (path, data) in enumerate(whole.items()):
        if n % 3 == 0:
            path.write_bytes(data[: len(data) * n // len(whole)])
        elif n % 3 == 1:
            at = len(data) // 3
            path.write_bytes(data[:at] + bytes(255 - b for b in data[at : at + 8]) + data[at + 8 :])
    run(*evaluate, tmp_path)
    assert tables(tmp_path) == undisturbed


def test_training(model_folder, tmp_path):
    train = ("train", "dense", "--backbone", model_folder, "--epochs", 2, "--precision", "float32", "--out")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(*train, whole, code=OFTEN)
    for _ in range(2):
        process = start(*train, cut, code=OFTEN)
        seen = (cut / "checkpoint.safetensors").stat().st_ino if cut.exists() else None
        kill_when(process, lambda seen=seen: saved_after(cut, seen))
    assert "resumed at epoch" in run(*train, cut, code=OFTEN)
    one, other = (load_file(f / "model.safetensors") for f in (whole, cut))
    assert one.keys() == other.keys()
    assert all((one[k] == other[k]).all() for k in one)


def saved_after(folder, seen):
    """Return whether a checkpoint appeared that is not the one seen: it is replaced, so its inode changes."""
    try:
        return (folder / "checkpoint.safetensors").stat().st_ino != seen
    except FileNotFoundError:
        return False


def test_a_dead_worker_of_two(evaluate, undisturbed, tmp_path):
    process = start(*evaluate, tmp_path, "--runner", "local", "--workers", 2)
    os.kill(a_worker(process, tmp_path, "spawn_main"), signal.SIGKILL)
    assert "finished parts are kept, run the same command again" in finish(process, 2)
    run(*evaluate, tmp_path, "--runner", "local", "--workers", 2)
    assert tables(tmp_path) == undisturbed


def test_a_dead_worker_under_accelerate(evaluate, undisturbed, tmp_path):
    process = start(*evaluate, tmp_path, "--runner", "accelerate", "--workers", 2)
    os.kill(a_worker(process, tmp_path, "rationale.runners.backends"), signal.SIGKILL)
    process.communicate()
    assert process.returncode == 2
    run(*evaluate, tmp_path, "--runner", "accelerate", "--workers", 2)
    assert tables(tmp_path) == undisturbed


def test_a_dead_worker_under_ray_is_replaced(evaluate, undisturbed, tmp_path):
    process = start(*evaluate, tmp_path, "--runner", "ray", "--workers", 2)
    os.kill(a_worker(process, tmp_path, "ray::MapWorker"), signal.SIGKILL)
    finish(process)
    assert tables(tmp_path) == undisturbed


def a_worker(process, folder, name):
    """Return the process number of a worker, once one has computed something."""
    until = time.monotonic() + 240
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        if parts(folder):
            for child in psutil.Process(process.pid).children(recursive=True):
                command = " ".join(child.cmdline())
                if name in command and "launch" not in command:
                    return child.pid
        time.sleep(0.01)
    raise AssertionError("no worker")


def test_two_runs_into_one_folder(evaluate, undisturbed, tmp_path):
    processes = [start(*evaluate, tmp_path) for _ in range(2)]
    for process in processes:
        finish(process)
    assert tables(tmp_path) == undisturbed
    assert len(parts(tmp_path)) == 18


def test_two_trainings_into_one_folder(model_folder, tmp_path):
    """One waits for the other: neither takes the other's checkpoints, or files that are half written."""
    train = ("train", "dense", "--backbone", model_folder, "--epochs", 2, "--precision", "float32", "--out")
    run(*train, tmp_path / "whole")
    first = start(*train, tmp_path / "two", code=OFTEN)
    while not (tmp_path / "two" / "made.json").exists():
        assert first.poll() is None, first.communicate()
        time.sleep(0.01)
    second = start(*train, tmp_path / "two", code=OFTEN)
    finish(first)
    assert f"already done: {tmp_path / 'two'}" in finish(second)
    one, other = (load_file(tmp_path / f / "model.safetensors") for f in ("whole", "two"))
    assert all((one[k] == other[k]).all() for k in one)
    assert not list((tmp_path / "two").glob(".made.json*"))


def test_a_clock_that_goes_backwards(evaluate, undisturbed, tmp_path):
    back = "import time; begin = time.time(); time.time = lambda n=iter(range(10**9)): begin - 1000 * next(n)"
    run(*evaluate, tmp_path, code=back)
    assert tables(tmp_path) == undisturbed

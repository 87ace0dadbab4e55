"""The check of a machine with a GPU: the same code, run where there is none."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from benchmarks import gpu_check
from tests.helpers.paths import ROOT

CPU = torch.device("cpu")


@pytest.mark.slow
def test_its_dry_run_on_a_cpu_passes_and_tells_what_it_compared(tmp_path):
    out = tmp_path / "found" / "check.json"
    command = [ROOT / "scripts/gpu_check.sh", "--device", "cpu", "--out", out]
    only = ["--only", "attention", "models", "training"]
    environment = {"PYTHON": sys.executable, "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    found = subprocess.run([*command, *only], env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    told = json.loads(out.read_text())
    assert told["ok"]
    attention = {name: row for name, row in told["attention"].items() if name != "seconds"}
    assert len(attention) == 16
    assert all(row["apart"] == 0 for name, row in attention.items() if name.startswith("torch.float32"))
    families = {name.split(",")[0] for name in told["models"]}
    assert families == {"bert", "modernbert", "qwen3", "gemma2", "seconds"}
    assert set(told["training"]) == {"adapler soft", "adapler hard", "inforcoef", "dact", "prune", "seconds"}


def test_a_failure_is_told_and_makes_the_exit_code(tmp_path, monkeypatch):
    monkeypatch.setitem(gpu_check.TOLERANCES, torch.bfloat16, -1.0)
    assert not gpu_check.run(CPU, tmp_path / "x.json", 1.0, ["attention"])
    told = json.loads((tmp_path / "x.json").read_text())
    assert not told["ok"]
    assert not told["attention"]["torch.bfloat16, causal=True, window=None, softcap=None"]["ok"]


def test_a_section_that_breaks_is_told_and_the_next_one_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu_check, "made", lambda family: 1 / 0)
    assert not gpu_check.run(CPU, tmp_path / "x.json", 1.0, ["models", "attention"])
    told = json.loads((tmp_path / "x.json").read_text())
    assert told["models"]["failed"] == "ZeroDivisionError: division by zero"
    assert not told["ok"]
    assert [line.rpartition(", ")[2] for line in capsys.readouterr().out.splitlines()] == ["NOT ok", "ok"]
    assert len(told["attention"]) == 17

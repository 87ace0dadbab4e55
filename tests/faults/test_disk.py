"""A disk that is full: one clear line, no half file under a final name, and the same command goes on."""

from __future__ import annotations

import pytest

from tests.conftest import save_tiny
from tests.faults.processes import finish, kill_when, run, start, tables
from tests.helpers.evaluate_command import EVALUATE

# Files of this process cannot grow beyond a size: the kernel refuses the write, as on a full disk.
LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"


@pytest.mark.parametrize("size", [0, 1000, 20_000])
def test_evaluation_on_a_full_disk(size, tmp_path, tokenizer):
    save_tiny(tmp_path / "model", tokenizer)
    command = ("evaluate", "--model", tmp_path / "model", *EVALUATE, "--out")
    error = finish(start(*command, tmp_path / "r", code=LIMITED.format(size)), 2)
    assert error.strip().splitlines()[-1].startswith(f"error: {tmp_path / 'r'}")
    assert "File too large" in error
    assert not list((tmp_path / "r").rglob("*.partial"))
    assert not (tmp_path / "r" / "report.html").exists()
    run(*command, tmp_path / "r")
    run(*command, tmp_path / "whole")
    assert tables(tmp_path / "r") == tables(tmp_path / "whole")


def test_training_on_a_full_disk(tmp_path, tokenizer):
    save_tiny(tmp_path / "model", tokenizer)
    command = ("train", "dense", "--backbone", tmp_path / "model", "--epochs", 1, "--out", tmp_path / "m")
    error = finish(start(*command, code=LIMITED.format(20_000)), 2)
    assert error.strip().splitlines()[-1].startswith("error: ")
    assert "File too large" in error
    assert not (tmp_path / "m" / "model.safetensors").exists()
    run(*command)


def test_a_checkpoint_cut_short_is_named(tmp_path, tokenizer):
    save_tiny(tmp_path / "model", tokenizer)
    command = ("train", "dense", "--backbone", tmp_path / "model", "--epochs", 1, "--out", tmp_path / "m")
    kill_when(start(*command), (tmp_path / "m" / "made.json").exists)
    (tmp_path / "m" / "checkpoint.safetensors").write_bytes(b"\\x10" * 100)
    error = finish(start(*command), 2)
    assert f"{tmp_path}/m/checkpoint.safetensors: the checkpoint cannot be read (" in error

"""A kill, or a folder that vanishes, just before a file gets its name; and a folder that may only be read."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from tests.conftest import save_tiny
from tests.faults.processes import finish, run, start
from tests.faults.warm import IMPORTED
from tests.helpers.evaluate_command import EVALUATE

AT = """
import os, shutil, signal
real, seen = os.replace, []
def replace(source, target, **more):
    seen.append(target)
    if len(seen) == {n}:
        {happens}
    real(source, target, **more)
os.replace = replace
"""
KILLED = "os.kill(os.getpid(), signal.SIGKILL)"
NOBODY = 65534


@pytest.fixture(scope="module")
def given(tmp_path_factory, tokenizer):
    """A model, and two runs."""
    here = tmp_path_factory.mktemp("given")
    save_tiny(here / "model", tokenizer)
    for seed in (0, 1):
        run("evaluate", "--model", here / "model", *EVALUATE, "--seed", seed, "--out", here / f"run{seed}")
    return here


def commands(given: Path) -> dict[str, tuple[object, ...]]:
    trusted = ("--methods", "gradient_x_input", "--tests", "sums,people", "--limit", 4, "--device", "cpu")
    return {
        "pool": ("pool", given / "run0", given / "run1", "--out"),
        "compare": ("compare", given / "run0", given / "run1", "--out"),
        "export": ("export", "--model", given / "model", "--dataset", "sample", "--out"),
        "trust": ("trust", "--dataset", "sample", "--model", given / "model", *trusted, "--out"),
    }


def place(name: str, folder: Path) -> Path:
    return folder / "m.onnx" if name == "export" else folder


def results(folder: Path) -> dict[str, bytes]:
    """Return what does not hang on a clock, byte for byte; nothing half may lie beside it."""
    found = {f.name: f.read_bytes() for f in folder.iterdir() if f.suffix in (".csv", ".onnx")}
    assert not [f for f in folder.rglob("*") if f.name.endswith(".partial")]
    return found


@pytest.mark.parametrize(
    ("name", "moments"), [("pool", (1, 2)), ("compare", (1, 2)), ("export", (1,)), ("trust", (3, 7, 2))]
)
def test_a_kill_before_a_file_has_its_name(name, moments, given, tmp_path):
    command = commands(given)[name]
    run(*command, place(name, tmp_path / "whole"))
    for n in moments:
        process = start(*command, place(name, tmp_path / "cut"), code=AT.format(n=n, happens=KILLED))
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    run(*command, place(name, tmp_path / "cut"))
    assert results(tmp_path / "cut") == results(tmp_path / "whole") != {}


GONE = "cannot write: its folder vanished during the work; run it again"
LEFT = "made.json vanished during the work; run it again with another --out"


@pytest.mark.parametrize(
    ("name", "n", "told", "again"),
    [("pool", 2, GONE, "r"), ("trust", 2, GONE, "r"), ("trust", 4, LEFT, "another")],
)
def test_a_folder_that_vanishes_meanwhile_is_told_with_what_then_works(name, n, told, again, given, tmp_path):
    out = tmp_path / "r"
    robbed = AT.format(n=n, happens=f"shutil.rmtree({str(out)!r})")
    error = finish(start(*commands(given)[name], out, code=robbed), 2)
    (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: {out}")
    assert line.endswith(told)
    run(*commands(given)[name], tmp_path / again)
    assert results(tmp_path / again)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")
@pytest.mark.parametrize("name", ["pool", "trust"])
def test_a_folder_that_may_only_be_read(name, given):
    here = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    try:
        copied = shutil.copytree(given, here / "given")
        for part in (here, copied, *copied.rglob("*")):  # safetensors writes weights for their owner alone
            part.chmod(0o755)
        (here / "out").mkdir(mode=0o555)
        needed = ("encodings.utf_8_sig", "rationale.trusting.believe", "rationale.report.several.pool")
        packages = ", ".join((*IMPORTED, *needed))  # nobody may read where Python lies
        code = f"import os, {packages}; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})"
        out = here / "out"
        own = {"HOME": str(here / "none"), "RATIONALE_CACHE": str(here / "none")}
        error = finish(start(*commands(here / "given")[name], out, code=code, **own), 2)
        last = error.strip().splitlines()[-1]
        assert last.startswith(f"error: {out}")
        assert last.endswith(": cannot write: Permission denied")
        assert not list((here / "out").iterdir())
    finally:
        shutil.rmtree(here)

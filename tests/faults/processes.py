"""Faults are real here: processes that are killed, workers that die, files that cannot grow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

PATIENCE_S = 240  # on a busy machine; a fault that never comes fails the test


def start(*arguments: object, code: str = "", **environment: str) -> subprocess.Popen[str]:
    """Start `rationale …`, after some code of the test's own, as a process group."""
    begin = f"{code}\nimport sys\nfrom rationale.cli import main\nif __name__ == '__main__': main()"
    return subprocess.Popen(
        [sys.executable, "-c", begin, *map(str, arguments)],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for a process that must end with this code; return what it printed of errors."""
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, (process.returncode, out, err)
    assert "Traceback" not in err, err
    return err


def run(*arguments: object, code: str = "", **environment: str) -> str:
    """Run `rationale …` to its good end."""
    return finish(start(*arguments, code=code, **environment))


def kill_when(process: subprocess.Popen[str], ready: Callable[[], object]) -> None:
    """Kill -9 a process and its children as soon as something is so."""
    until = time.monotonic() + PATIENCE_S
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "nothing to interrupt"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.communicate()


def tables(folder: Path) -> dict[str, bytes | str]:
    """Return what a run measured, byte for byte, but for what it cost and when."""
    scores = pd.read_csv(folder / "scores.csv", dtype=str)
    files = ("paired.csv", "curves.csv", "agreement.csv", "per_example.parquet")
    found: dict[str, bytes | str] = {name: (folder / name).read_bytes() for name in files}
    found["scores"] = scores[scores.metric != "cost"].to_csv()
    found |= {f.name: f.read_bytes() for f in sorted((folder / "predictions").glob("*.jsonl"))}
    return found

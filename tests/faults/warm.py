"""A process that has imported everything and forks one for each command, so that kills hit work, not imports.

It reads command lines as JSON, a line each, and answers with the number of the process that runs it, and
again, when that has ended, with its exit code.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

BEGIN = "from tests.faults.warm import serve; serve()"
IMPORTED = (
    "captum.attr",
    "eraser.data.custom.read",
    "rationale.cli.speeds",
    "rationale.cli.commands",
    "rationale.hf.compress",
    "rationale.evaluation.plan",
    "rationale.bench.dial",
    "rationale.report.plots",
    "rationale.report.write",
    "rationale.stream",
    "rationale.training.dense",
    "rationale.training.recipes.dact",
    "rationale.training.recipes.inforcoef",
    "rationale.training.recipes.prune",
)
OFTEN = 0.0  # seconds between two checkpoints: tiny models train for a moment only


class Warm:
    """The process, and the commands that it runs one after another."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", BEGIN]
        env = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, env=env, text=True, stdin=pipe, stdout=pipe, cwd=Path(__file__).parents[2]
        )

    def start(self, arguments: tuple[object, ...], said: Path) -> int:
        """Start `rationale …`, which says to a file what it has to say; return its process number."""
        self._tell([str(said), *map(str, arguments)])
        return int(self._answer())

    def wait(self) -> int:
        """Return the exit code of what was started; that of a signal is negative."""
        return int(self._answer())

    def close(self) -> None:
        """End."""
        self.process.kill()
        self.process.communicate()

    def _tell(self, what: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the process that forks has ended"
        return line


def serve() -> None:
    """Run command lines, each in a process of its own, until there are no more."""
    _prepare()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        said, *arguments = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(said, arguments)
        print(child, file=answers, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _prepare() -> None:
    """Import what commands import; no thread may run when a process forks."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the entry of the command line handles it
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    for name in IMPORTED:
        import_module(name)
    loop = import_module("rationale.training.loop").Loop
    loop.checkpoint_seconds = property(lambda self: OFTEN, lambda self, asked: None)


def _run(said: str, arguments: list[str]) -> None:
    """Run one command to its end, as the entry of the command line does."""
    os.setsid()
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = ["rationale", *arguments]
    from rationale.cli import main

    sys.modules["__main__"].main = main  # type: ignore[attr-defined]
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

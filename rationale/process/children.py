"""Processes that this one starts: they import nothing from the current folder, end when this one does.

The current folder is where data lie, and data are not trusted: a `torch.py` there must not be run.
A child watches its parent by a pipe, and where the system has it (Linux) is killed with it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import parent_process
from pathlib import Path
from runpy import run_module
from threading import Thread
from time import sleep
from typing import Any

from rationale.process.stopping import end_at_once

PARENT = "RATIONALE_PARENT"  # process number of who started, for grandchildren, which inherit no pipe
PR_SET_PDEATHSIG = 1  # linux/prctl.h
LOOK_S = 0.5  # between two looks at who the parent is


# ── where code comes from ───────────────────────────────────────────────────────────────────────────────


def search_path() -> str:
    """Return PYTHONPATH with full paths: an empty entry would be the current folder, whichever that is."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(str(Path(p).resolve()) for p in given if p)


def by_chance() -> set[int]:
    """Return which entries of sys.path are the current folder though nobody named it.

    Python puts it first for `python -m`, `-c` and prompts. After the standard library it is an installation.
    """
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        return set()
    if str(here) in search_path().split(os.pathsep):
        return set()
    library = str(Path(os.__file__).parent)
    before = sys.path[: sys.path.index(library)] if library in sys.path else sys.path[:1]
    return {n for n, p in enumerate(sys.path) if p == "" or (n < len(before) and Path(p).resolve() == here)}


@contextmanager
def installed_only() -> Iterator[None]:
    """Look for modules, here and in processes started meanwhile, anywhere but in the current folder."""
    away, path = by_chance(), list(sys.path)
    usual = {name: os.environ.get(name) for name in safe_environment()}
    sys.path[:] = [p for n, p in enumerate(path) if n not in away]
    os.environ.update(safe_environment())
    try:
        yield
    finally:
        sys.path[:] = path
        for name, value in usual.items():
            os.environ.pop(name)
            os.environ |= {} if value is None else {name: value}


def safe_environment() -> dict[str, str]:
    """Return the variables that keep Python, and the Python that it starts, from the current folder."""
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": search_path()}


# ── who starts ──────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Have processes started meanwhile not hear Ctrl-C, which a terminal sends to all: their parent does."""
    usual = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, usual)


def run(
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    input: str | None = None,
    timeout: float | None = None,
    **how: Any,
) -> subprocess.CompletedProcess[str]:
    """Run an installed module in another process to its end, or to that of this one, however it ends.

    `input` is what it reads, where `how` gives it a pipe; after `timeout` seconds it is killed.
    """
    read, write = os.pipe()  # only this process has the end that is written to
    try:
        command = [sys.executable, "-P", "-m", "rationale.process.children", str(read), module, *arguments]
        found = os.environ | safe_environment() | dict(environment or {}) | {PARENT: str(os.getpid())}
        with deaf_to_interrupts():
            process = subprocess.Popen(command, env=found, pass_fds=(read,), text=True, **how)
        with process:
            try:
                out, err = process.communicate(input, timeout)
            except BaseException:
                process.kill()
                raise
    finally:
        os.close(read)
        os.close(write)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


# ── who is started ──────────────────────────────────────────────────────────────────────────────────────


def _when_gone(wait: Any) -> None:
    """End this process as soon as `wait` returns."""

    def watch() -> None:
        wait()
        os._exit(1)

    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    Thread(target=watch, daemon=True).start()


def end_with_pool() -> None:
    """End when the process that made the pool of this one does; it has a pipe to that already."""
    parent = parent_process()
    if parent is not None:
        _when_gone(parent.join)


def end_with_pipe(read: int) -> None:
    """End when no process is left that could write to a pipe."""
    _when_gone(lambda: os.read(read, 1))


def end_with_starter() -> None:
    """End when the process that PARENT names is no longer this one's parent."""
    expected = int(os.environ.get(PARENT, os.getppid()))

    def wait() -> None:
        while os.getppid() == expected:
            sleep(LOOK_S)

    _when_gone(wait)


def main(pipe: str, module: str, *arguments: str) -> None:
    """Run an installed module as a child of who holds the pipe, or, where that is `-`, of PARENT."""
    if pipe == "-":
        end_with_starter()
    else:
        end_with_pipe(int(pipe))
    signal.signal(signal.SIGTERM, end_at_once)
    os.environ[PARENT] = str(os.getpid())
    sys.argv = [module, *arguments]
    run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

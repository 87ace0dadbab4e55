"""Child processes: they import nothing from the current folder and end when this one ends.

The current folder is where data lie, and data are not trusted: a `torch.py` there must not be run.
A child watches its parent through a pipe; on Linux the system also kills it with its parent.
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
    """Return PYTHONPATH with absolute paths: an empty entry would mean the current folder."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(str(Path(p).resolve()) for p in given if p)


def by_chance() -> set[int]:
    """Return the entries of sys.path that are the current folder by default, not by request.

    Python puts it first for `python -m`, `-c` and prompts. After the standard library it was installed.
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
    """In this context, import modules, here and in child processes, from anywhere but the current folder."""
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
    """Return the environment that keeps Python and its children from importing from the current folder."""
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": search_path()}


# ── who starts ──────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """In this context, started processes ignore Ctrl-C, which a terminal sends to all: the parent acts."""
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
    """Run an installed module in another process until it ends, or this one does.

    `input` goes to its standard input; after `timeout` seconds it is killed.
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
    """Exit this process as soon as `wait` returns."""

    def watch() -> None:
        wait()
        os._exit(1)

    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    Thread(target=watch, daemon=True).start()


def end_with_pool() -> None:
    """Exit when the process that made this one's pool does; there is a pipe to it already."""
    parent = parent_process()
    if parent is not None:
        _when_gone(parent.join)


def end_with_pipe(read: int) -> None:
    """Exit when no process is left that could write to a pipe."""
    _when_gone(lambda: os.read(read, 1))


def end_with_starter() -> None:
    """Exit when the process that PARENT names is no longer this one's parent."""
    expected = int(os.environ.get(PARENT, os.getppid()))

    def wait() -> None:
        while os.getppid() == expected:
            sleep(LOOK_S)

    _when_gone(wait)


def main(pipe: str, module: str, *arguments: str) -> None:
    """Run an installed module as a child of the process that holds the pipe, or, for `-`, of PARENT."""
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

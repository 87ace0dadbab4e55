"""One process at a time: a lock that the system releases when its holder ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eraser.errors import Fault, InputError


@contextmanager
def locked(path: Path, say: Callable[[Path], object] | None = None) -> Iterator[None]:
    """Hold the lock of a path, a file beside it that is removed in the end; wait where another holds it.

    Args:
        path: need not be there; its folder is made.
        say: called with the path before it waits.

    Raises:
        InputError: its folder may only be read.
    """
    with suppress(FileExistsError):  # a file in its place is told when it is opened
        path.parent.mkdir(parents=True)
    file = path.with_name(f".{path.name}.lock")
    number = _acquired(file, path, say)
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink()  # while it is still held: who waits for it sees that it is gone, and makes another
        os.close(number)


def _acquired(file: Path, path: Path, say: Callable[[Path], object] | None) -> int:
    while True:
        try:
            number = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError as error:
            raise InputError(Fault.of(f"cannot write: {error.strerror}", path)) from None
        try:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if say is not None:
                    say(path)
                fcntl.flock(number, fcntl.LOCK_EX)
            if _same(number, file):
                return number
        except BaseException:
            os.close(number)
            raise
        os.close(number)


def _same(number: int, file: Path) -> bool:
    """Return whether the file that is held is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(number), file.stat())
    except FileNotFoundError:
        return False

"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from socket import gethostname
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

from eraser.errors import Fault, InputError, short_repr

HOST = f"{crc32(gethostname().encode()):08x}"  # in the names of files that are being written


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary neighbour of `path` to write to, then rename it; a failure leaves nothing behind.

    What is written for a device or a FIFO goes through it.

    Raises:
        InputError: it cannot be written, or is a link: it would be gone, or its target overwritten unasked.
    """
    if _passes_on(path):
        with _through(path) as partial:
            yield partial
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}-{HOST}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_left(path.parent, path.name)
        yield partial
        os.replace(partial, path)
    except OSError as error:
        at = Path(error.filename or partial)
        if at not in (partial, *path.parents) and partial not in at.parents:
            raise  # of something else that was done meanwhile
        raise InputError(Fault.of(_why(error), path)) from None
    finally:
        with suppress(OSError):
            partial.unlink()


def _why(error: OSError) -> str:
    """Return why a file could not be written, its folder having been made first."""
    if error.errno == errno.ENOENT:
        return "cannot write: its folder vanished during the work; run it again"
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return f"{'the disk is full' if full else 'cannot write'}: {error.strerror or error}"


def _passes_on(path: Path) -> bool:
    """Return whether a path is a device or a FIFO, or leads to one."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except OSError:  # nothing is there, or a link to nothing
        kind = 0
    if kind in (stat.S_IFCHR, stat.S_IFIFO):
        return True
    if path.is_symlink():
        raise InputError(Fault.of(f"will not write through a link (to {os.readlink(path)})", path))
    if kind in (stat.S_IFBLK, stat.S_IFSOCK):
        raise InputError(Fault.of("cannot write to a disk device or a socket", path))
    return False


@contextmanager
def _through(path: Path) -> Iterator[Path]:
    """Yield a file elsewhere, then copy its content to a device or a FIFO."""
    with TemporaryDirectory() as folder:
        partial = Path(folder) / (path.name or "out")
        yield partial
        try:
            with partial.open("rb") as file, path.open("wb") as device:
                shutil.copyfileobj(file, device)
        except OSError as error:
            raise InputError(Fault.of(f"cannot write: {error.strerror or error}", path)) from None


def remove_left(folder: Path, name: str | None = None) -> None:
    """Remove the temporary files of this machine's killed writers from a folder: of one file, or all."""
    for partial in folder.glob(f".{'*' if name is None else escape(name)}.*-{HOST}.partial"):
        try:
            os.kill(int(partial.name.split(".")[-2].split("-")[0]), 0)  # asks only whether it is there
        except ProcessLookupError:
            with suppress(OSError):
                shutil.rmtree(partial) if partial.is_dir() else partial.unlink()
        except (ValueError, OverflowError, PermissionError):
            continue  # not one of ours, or another user's process


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` on a temporary neighbour of `path`, then rename it; a failure leaves nothing behind."""
    with whole(path) as partial:
        write(partial)


def is_text(name: str) -> bool:
    """Return whether a name is text in the system's encoding: not every library can write to another one."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def name_fault(name: str) -> Fault:
    """Return what is wrong with a name that is no text."""
    expected = f"a name that is text in {sys.getfilesystemencoding()} (PYTHONUTF8=1 makes that UTF-8)"
    return Fault(expected, short_repr(name))


def make_folder(path: Path) -> None:
    """Make a folder, or refuse in one line."""
    if not is_text(str(path)):
        raise InputError(name_fault(str(path)))
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(Fault.of(f"cannot make this folder: {error.strerror}", path)) from None


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole."""
    write_whole(path, lambda p: p.write_text(text, encoding="utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes whole."""
    write_whole(path, lambda p: p.write_bytes(content))


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")

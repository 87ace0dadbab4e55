"""Reading what is not trusted: regular files only, and no more bytes than a limit that the caller names."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from eraser.errors import Fault, InputError

MAX_BYTES = 4 * 2**30  # of what is read whole, unpacked: far above any ERASER set, far below a zip bomb
MAX_LINE = 2**28  # bytes of one line, a document at most
MAX_HEADER = 2**16  # bytes of a name in an archive, and all else that is said of one file
CHUNK = 2**20


@contextmanager
def regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file, also by a link; a FIFO or a device, which never ends or never begins, is refused.

    Raises:
        InputError: it is no regular file.
        OSError: it cannot be opened.
    """
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO would be waited for
    if not stat.S_ISREG(mode := os.fstat(number).st_mode):
        os.close(number)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise InputError(Fault("a regular file", _kind(mode), path))
    with os.fdopen(number, "rb") as file:
        yield file


def _kind(mode: int) -> str:
    return "a FIFO" if stat.S_ISFIFO(mode) else "a device"


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Return a regular file's bytes.

    Raises:
        InputError: it is no regular file, or has more than `limit` bytes.
        OSError: it cannot be read.
    """
    found = bytearray()  # a limit is not asked for at once: it may be more than there is memory
    with regular(path) as file:
        while len(found) <= limit and (block := file.read(min(CHUNK, limit + 1 - len(found)))):
            found += block
    if len(found) > limit:
        raise InputError(Fault.of(f"the file is larger than {limit} bytes", path))
    return bytes(found)


def read_span(path: Path, start: int, size: int) -> bytes:
    """Return bytes of a regular file that was read before; fewer if it has become shorter.

    Raises:
        InputError: it is no regular file any more.
        OSError: it cannot be read.
    """
    with regular(path) as file:
        file.seek(start)
        return file.read(size)


def lines_of(file: BinaryIO, path: Path, longest: int = MAX_LINE, *, before: int = 0) -> Iterator[bytes]:
    """Yield lines, of which a longer one is refused before it is held; `before` stand before them."""
    number = before
    while line := file.readline(longest + 1):
        number += 1
        if len(line) > longest:
            raise InputError(Fault.of(f"the line is longer than {longest} bytes", path, number))
        yield line


def decompressed(file: BinaryIO) -> BinaryIO:
    """Return what a file holds, gzip, bzip2 and xz known by how they begin."""
    begin = file.read(6)
    file.seek(0)
    kinds: tuple[tuple[bytes, Callable[[BinaryIO], Any]], ...] = (
        (b"\x1f\x8b", lambda f: gzip.GzipFile(fileobj=f)),
        (b"BZh", bz2.BZ2File),
        (b"\xfd7zXZ\0", lzma.LZMAFile),
    )
    return next((make(file) for magic, make in kinds if begin.startswith(magic)), file)


class Bounded:
    """The unpacked content of an archive: at most `total` bytes, read in steps that must be allowed.

    A reader of archives asks for a name, or a map of holes, as long as the archive says it is: it is allowed
    little while it looks for the next file, and then as much as that file has.
    """

    def __init__(self, file: BinaryIO, path: Path, total: int = MAX_BYTES) -> None:
        self.file, self.path, self.total, self.allowed = file, path, total, MAX_HEADER

    def allow(self, size: int) -> None:
        """Allow `size` more bytes to be read."""
        self.allowed = size

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes."""
        self.allowed -= size
        if self.allowed < 0:
            message = f"a name or header in the archive is longer than {MAX_HEADER} bytes"
            raise InputError(Fault.of(message, self.path))
        if self.tell() + size > self.total + CHUNK:
            raise InputError(Fault.of(f"the archive unpacks to more than {self.total} bytes", self.path))
        blocks = []  # as the file holds, not as the archive claims
        while size > 0 and (block := self.file.read(min(CHUNK, size))):
            blocks.append(block)
            size -= len(block)
        return b"".join(blocks)

    def seek(self, place: int) -> int:
        """Move to another place."""
        if place > self.total:
            raise InputError(Fault.of(f"the archive unpacks to more than {self.total} bytes", self.path))
        return self.file.seek(place)

    def tell(self) -> int:
        """Return the current place."""
        return self.file.tell()

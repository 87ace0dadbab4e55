"""Files of a data set, in a folder or an archive, and how their lines and sentences are cut."""

from __future__ import annotations

import json
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from sys import intern  # a word is held once however often it stands there: long documents take a third
from typing import Any, BinaryIO, cast

from eraser.errors import Fault, InputError, short_repr
from eraser.files.bounds import CHUNK, MAX_BYTES, MAX_HEADER, Bounded, decompressed, read_bytes, regular

SPLITS = ("train", "val", "test")
NAMES = ("annotation_id", "classification")  # of a line: some files have numbers there
MAX_MEMBERS = 500_000  # of one archive: small files use up a disk's inodes before its bytes


@dataclass(frozen=True)
class Source:
    """Files of a data set, read from a folder or straight from a .tar.gz without unpacking it."""

    path: Path

    def __post_init__(self) -> None:
        if not self.path.exists():
            raise InputError(Fault.of("no such data set folder or .tar.gz archive", self.path))

    @cached_property
    def _members(self) -> dict[str, bytes]:
        """The archive's regular files by path; read whole, since gzip cannot be read at random."""
        try:
            with regular(self.path) as file, decompressed(file) as plain:
                return _members_of(Bounded(plain, self.path, MAX_BYTES))
        except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, RecursionError) as error:
            raise InputError(Fault("a readable tar archive", str(error), self.path)) from error

    @cached_property
    def _root(self) -> str:
        """The archive's folder that holds the data: where the shallowest .json or .jsonl file is."""
        inside = [PurePosixPath(n) for n in self._members if n.endswith((".jsonl", ".json"))]
        top = min(inside, key=lambda p: len(p.parts), default=PurePosixPath("x"))
        return "" if str(top.parent) == "." else f"{top.parent}/"

    def place(self, name: str) -> str:
        """Return how to name a file of this source in a message."""
        return str(self.path / name)

    def has(self, name: str) -> bool:
        """Return whether the file is there."""
        if self.path.is_dir():
            try:
                return (self.path / name).is_file()
            except OSError:  # the name is longer than a file's name may be
                return False
        return self._root + name in self._members

    def text(self, name: str) -> str:
        """Return a file's text; any of LF, CR LF and CR ends a line, as in Python's text mode."""
        if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
            raise InputError(Fault("a file inside the data set", short_repr(name), self.path))
        try:
            data = read_bytes(self.path / name) if self.path.is_dir() else self._members[self._root + name]
            encoding = "utf-8-sig" if name.endswith((".json", ".jsonl")) else "utf-8"
            return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError as error:
            raise InputError(Fault("UTF-8 text", str(error), self.place(name))) from None
        except InputError:
            raise
        except (KeyError, OSError, ValueError):  # the last: a name that no file can have
            raise InputError(Fault.of("the file is missing or cannot be read", self.place(name))) from None


def _tar(plain: Bounded) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=cast(BinaryIO, plain), mode="r:")
    except tarfile.ReadError as error:
        raise tarfile.ReadError(f"file could not be opened as one: {error}") from None


def _members_of(plain: Bounded) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    total = 0
    with _tar(plain) as archive:
        for number, member in enumerate(archive, start=1):
            total += member.size
            if total > plain.total:
                raise InputError(
                    Fault.of(f"the archive unpacks to more than {plain.total} bytes", plain.path)
                )
            if number > MAX_MEMBERS:
                raise InputError(Fault.of(f"the archive holds more than {MAX_MEMBERS} files", plain.path))
            plain.allow(member.size + MAX_HEADER)
            reader = archive.extractfile(member) if member.isfile() else None
            if reader is not None:
                members[member.name.removeprefix("./")] = reader.read()
            plain.allow(MAX_HEADER)
        plain.allow(2 * (plain.total + CHUNK))
        while plain.read(CHUNK):
            pass  # only its end holds the checksum, and tarfile takes a damaged header for the end
    return members


def parse_json_lines(text: str, place: str, before: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) for each line that is not blank; `before` lines stand before them."""
    for number, line in enumerate(text.split("\n"), start=before + 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:  # also a number of too many digits
            raise InputError(Fault("one JSON object", f"{error}", place, number)) from None
        if not isinstance(record, dict):
            raise InputError(Fault("one JSON object", short_repr(record), place, number))
        yield number, record


def check_document(record: dict[str, Any], place: str, line: int) -> None:
    """Refuse a line of docs.jsonl that is no document."""
    if not isinstance(record.get("docid"), str) or not isinstance(record.get("document"), str):
        raise InputError(Fault('"docid" and "document" strings', short_repr(record), place, line))


def with_strings(record: dict[str, Any]) -> dict[str, Any]:
    """Return an annotation or prediction whose id and label, where they are whole numbers, are strings.

    >>> with_strings({"annotation_id": 9180, "classification": 1.0})
    {'annotation_id': '9180', 'classification': '1'}
    """
    return record | {name: as_string(record[name]) for name in NAMES if name in record}


def as_string(value: Any) -> Any:
    """Return a whole number, 1 or 1.0, as its decimal string; anything else as it is."""
    is_whole = type(value) is int or (isinstance(value, float) and value.is_integer())
    return str(int(value)) if is_whole else value


def cut_sentences(text: str) -> tuple[tuple[str, ...], ...]:
    """Cut a `docs/` file as the official scorer does: one sentence per line, words at U+0020 only."""
    lines = (line.strip() for line in text.split("\n"))
    return tuple(tuple(intern(w) for w in line.split(" ") if w) for line in lines if line)


def cut_sentences_of_jsonl(text: str) -> tuple[tuple[str, ...], ...]:
    """Cut a `docs.jsonl` text as the official scorer does: empty words stay where lines are blank."""
    return tuple(tuple(map(intern, line.strip().split(" "))) for line in text.split("\n"))

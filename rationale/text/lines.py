"""A JSON-lines file read chunk by chunk: where each begins, and what it held when it was first read."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from eraser import Fault, InputError
from eraser.data.source import parse_json_lines
from eraser.errors import short_repr
from eraser.files.bounds import lines_of, read_span, regular
from eraser.files.owned import hash_of

MOST_OF_CHUNK = 2**29  # bytes that are held at once: two of the longest lines
CHANGED = "the file changed while it was being read; run the same command with a new --out"
Numbered = tuple[int, int, dict[str, Any]]  # of a text: its number from 1, its line, its fields
LOOKED_AT = 1000  # lines at a file's beginning, to see whether its texts have spaces between words


@dataclass(frozen=True)
class LineChunks:
    """A JSON-lines file and where each chunk of its lines begins."""

    path: Path
    chunk: int

    @property
    def starts(self) -> array[int]:
        """Byte offsets of the chunks, and the end of the file."""
        return self._read[0]

    @property
    def content(self) -> str:
        """A hash of the file as it was when it was first read."""
        return self._read[1]

    def check_unchanged(self) -> None:
        """Refuse a file that was changed since it was first read: parts would be of two versions."""
        if hash_of(self.path) != self.content:
            raise InputError(Fault.of(CHANGED, self.path))

    @cached_property
    def _read(self) -> tuple[array[int], str]:
        starts, content = array("Q", [0]), sha256()
        try:
            with regular(self.path) as file:
                for number, line in enumerate(lines_of(file, self.path), start=1):
                    content.update(line)
                    if file.tell() - starts[-1] > MOST_OF_CHUNK:
                        message = (
                            f"{self.chunk} lines hold more than {MOST_OF_CHUNK} bytes; use a smaller --chunk"
                        )
                        raise InputError(Fault.of(message, self.path, number))
                    if number % self.chunk == 0:
                        starts.append(file.tell())
                if file.tell() > starts[-1]:
                    starts.append(file.tell())
        except OSError as error:
            raise InputError(Fault("a readable file", f"{error.strerror}", self.path)) from None
        if len(starts) == 1:
            raise InputError(Fault.of("the file is empty", self.path))
        return starts, content.hexdigest()

    def __len__(self) -> int:
        return len(self.starts) - 1

    def read(self, number: int) -> bytes:
        """Return the lines of one chunk."""
        start, end = self.starts[number : number + 2]
        try:
            found = read_span(self.path, start, end - start)
        except OSError as error:
            raise InputError(Fault("a readable file", f"{error.strerror}", self.path)) from None
        if len(found) < end - start:
            raise InputError(Fault.of(CHANGED, self.path))
        return found

    def records(self, number: int) -> Iterator[Numbered]:
        """Yield the objects of one chunk; each is known by its line. Faults name theirs."""
        place, before = str(self.path), number * self.chunk
        try:
            chunk = self.read(number).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(Fault("UTF-8 text", str(error), place, before + 1)) from None
        return ((line, line, record) for line, record in parse_json_lines(chunk, place, before))


Place = tuple[str | Path, int, str | None]  # a file, a line, and the id of what stands there, if it has one


def check_texts(record: Mapping[str, Any], text: str, query: str | None, at: Place) -> None:
    """Refuse a record whose text has no words, or that has no query where one is asked for."""
    for name in (text, query):
        value = None if name is None else record.get(name)
        if name is not None and (not isinstance(value, str) or (name == text and not value.split())):
            raise InputError(Fault(f"a text with words in {name!r}", short_repr(value), *at))


def first_texts(path: Path, key: str) -> Iterator[str]:
    """Yield the texts of a file's first lines; what is wrong with a line is told when its turn comes."""
    with regular(path) as file:
        for line in islice(lines_of(file, path), LOOKED_AT):
            try:
                found = json.loads(line.decode("utf-8", "replace"))
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict) and isinstance(text := found.get(key), str):
                yield text

"""A JSON-lines file read chunk by chunk: where each begins, and a hash of the file as first read."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from eraser import Fault, InputError
from eraser.data.source import parse_json_lines
from eraser.errors import short_repr
from eraser.files.bounds import lines_of, read_span, regular
from eraser.files.owned import hash_of

MOST_OF_CHUNK = 2**29  # bytes that are held at once: two of the longest lines
CHANGED = "the file changed while it was being read; run the same command with a new --out"
Numbered = tuple[int, int, dict[str, Any]]  # of a text: its number from 1, its line, its fields
TEXT, TOKENS = "text", "tokens"  # the usual key of a text, and of one that is given as a list of its words
HALF = re.compile("[\ud800-\udfff]")
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

    def check_ids(self) -> None:
        """Refuse two texts of one id; lines that cannot be read are told when they are.

        Raises:
            InputError: the first text whose id stands before it.
        """
        refuse_alike(self._ids, self.path)

    def _ids(self) -> Iterator[tuple[int, str]]:
        with regular(self.path) as file:
            for number, line in enumerate(lines_of(file, self.path), start=1):
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(record, dict):
                    yield number, id_of(record, number)


def own_id(record: Mapping[str, Any]) -> str | None:
    """Return the id that a record gives; None where that is missing, null or blank."""
    id = record.get("id")
    return None if id is None or not str(id).strip() else str(id)


def id_of(record: Mapping[str, Any], number: int) -> str:
    """Return a text's id: its own, or its number.

    >>> id_of({"id": 7}, 2), id_of({"id": None}, 2)
    ('7', '2')
    """
    return own_id(record) or str(number)


def refuse_alike(ids: Callable[[], Iterable[tuple[int, str]]], path: Path) -> None:
    """Refuse the first text whose id another before it has.

    Args:
        ids: yields each text's line and id, anew at each call; 8 bytes of each are held.
        path: of the file.

    Raises:
        InputError: there is one.
    """
    hashes = np.array(array("q", (hash(id) for _, id in ids())))
    hashes.sort()
    alike = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    before = dict[str, int]()
    for line, id in ids() if alike else ():
        if hash(id) in alike and before.setdefault(id, line) != line:
            message = (
                f"line {before[id]} has this id, too; give each text an id of its own, or leave out all ids"
            )
            raise InputError(Fault.of(message, path, line, id))


Place = tuple[str | Path, int, str | None]  # a file, a line, and the id of what stands there, if it has one


def text_in(record: Mapping[str, Any], text: str) -> Any:
    """Return the text of a record, or its list of tokens if it has no text."""
    if text == TEXT and text not in record and TOKENS in record:
        return record[TOKENS]
    return record.get(text)


def check_texts(record: Mapping[str, Any], text: str, query: str | None, at: Place) -> None:
    """Refuse a record whose text has no words, or that has no query where one is asked for.

    A text is a string or the list of its words. Half a character (tools that cut emoji) is refused.
    """
    values = {text: text_in(record, text)} | ({} if query is None else {query: record.get(query)})
    values |= {} if at[2] is None else {"id": at[2]}
    for name, value in values.items():
        words = value if name == text and isinstance(value, list) else [value]
        if not all(isinstance(x, str) for x in words) or (name == text and not _have_words(value)):
            raise InputError(Fault(f"a text with words in {name!r}", short_repr(value), *at))
        if found := next(filter(None, map(HALF.search, words)), None):
            raise InputError(Fault(f"text without lone surrogates in {name!r}", short_repr(found[0]), *at))


def advised(fault: Fault) -> Fault:
    """Return the fault of a row, with the hint that such rows can be left out."""
    advice = " (--skip-invalid leaves such rows out)"
    if fault.message is not None:
        return replace(fault, message=fault.message + advice)
    return replace(fault, got=fault.got + advice)


def _have_words(value: Any) -> bool:
    """Return whether a string has words, or a list holds nothing but words."""
    if isinstance(value, list):
        return bool(value) and all(len(word.split()) == 1 for word in value)
    return bool(value.split())


def first_texts(path: Path, key: str) -> Iterator[str]:
    """Yield the texts of a file's first lines; invalid lines are reported when they are read."""
    with regular(path) as file:
        for line in islice(lines_of(file, path), LOOKED_AT):
            try:
                found = json.loads(line.decode("utf-8-sig", "replace"))
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict) and isinstance(text := text_in(found, key), str):
                yield text

"""JSON → rows: an object on each line, or an array of objects, which is read an element at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from eraser.data.kinds.encodings import decoded_lines, find_encoding
from eraser.data.kinds.rows import Rows, TableOptions
from eraser.data.source import parse_json_lines
from eraser.errors import Fault, InputError, short_repr
from eraser.files.bounds import CHUNK, MAX_LINE

UNSURE = 16  # characters at a buffer's end that may be half of something
NO_SPACE = re.compile(r"[^ \t\r\n]")  # of JSON


def json_lines(path: Path, how: TableOptions, notes: list[str]) -> Rows:
    """Yield the objects of a file with one on each line."""
    for number, line in enumerate(_lines(path, how, notes), start=1):
        try:
            for _, record in parse_json_lines(line.rstrip("\r\n"), str(path), number - 1):
                yield number, record
        except InputError as error:
            yield from error.faults


def _lines(path: Path, how: TableOptions, notes: list[str]) -> Iterator[str]:
    if how.separator is not None:
        raise InputError(Fault("no --separator for a file of JSON", short_repr(how.separator), path))
    encoding, note = find_encoding(path, how.encoding)
    notes += [note] if note else []
    return decoded_lines(path, encoding)


class _Array:
    """A JSON array read an element at a time: some of its text, where in it we are, and on which line."""

    def __init__(self, path: Path, lines: Iterator[str]) -> None:
        self.path, self.lines, self.read = path, lines, json.JSONDecoder().raw_decode
        self.text, self.at, self.line, self.ended = "", 0, 1, False

    def more(self) -> None:
        """Let go of what was read, and hold a block more, or twice as much as is left."""
        blocks, size = [self.text[self.at :]], 0
        self.at, wanted = 0, max(CHUNK, len(blocks[0]))
        while size < wanted and not self.ended:
            line = next(self.lines, None)
            self.ended = line is None
            blocks.append(line or "")
            size += len(blocks[-1])
        self.text = "".join(blocks)

    def go(self, end: int) -> None:
        """Go on to another place in the text."""
        self.line += self.text.count("\n", self.at, end)
        self.at = end

    def sign(self) -> str:
        """Return the next character that is no white space; nothing at the end."""
        while True:
            found = NO_SPACE.search(self.text, self.at)
            self.go(len(self.text) if found is None else found.start())
            if found is not None or self.ended:
                return "" if found is None else found[0]
            self.more()

    def element(self) -> Any:
        """Return the next element, which begins here."""
        while True:
            try:
                found, end = self.read(self.text, self.at)
            except (ValueError, RecursionError) as error:
                if self.ended or not self._is_half(error):
                    raise self._not_json(error) from None
            else:
                self.go(end)
                return found
            if len(self.text) - self.at > MAX_LINE:
                raise InputError(
                    Fault.of(f"an object is longer than {MAX_LINE} characters", self.path, self.line)
                )
            self.more()

    def _is_half(self, error: Exception) -> bool:
        """Return whether what is wrong may be that the text that is held ends here."""
        if not isinstance(error, JSONDecodeError):
            return False
        return error.pos >= len(self.text) - UNSURE or error.msg.startswith("Unterminated string")

    def _not_json(self, error: Exception) -> InputError:
        if not isinstance(error, JSONDecodeError):
            return self.fault("one JSON object", str(error))
        self.go(max(self.at, error.pos))  # its own line is that of what was held
        return self.fault("one JSON object", error.msg)

    def fault(self, expected: str, got: str) -> InputError:
        """Return what is wrong here."""
        return InputError(Fault(expected, got, self.path, self.line))


def json_array(path: Path, how: TableOptions, notes: list[str]) -> Rows:
    """Yield the objects of an array, each with the line that it begins on."""
    array = _Array(path, _lines(path, how, notes))
    if (sign := array.sign()) != "[":
        expected = "a JSON array of objects (JSON lines, an object on each, are a .jsonl file)"
        raise array.fault(expected, short_repr(sign) if sign else "an empty file")
    array.go(array.at + 1)
    if array.sign() == "]":
        array.go(array.at + 1)
    else:
        yield from _elements(array)
    if sign := array.sign():
        raise array.fault("nothing after the array", short_repr(sign))


def _elements(array: _Array) -> Rows:
    """Yield the elements of an array that is open; it is closed then."""
    while True:
        array.sign()
        line, found = array.line, array.element()
        if isinstance(found, dict):
            yield line, found
        else:
            yield Fault("one JSON object", short_repr(found), array.path, line)
        if (sign := array.sign()) not in (",", "]"):
            raise array.fault("a comma or the array's end", short_repr(sign) if sign else "the file's end")
        array.go(array.at + 1)
        if sign == "]":
            return

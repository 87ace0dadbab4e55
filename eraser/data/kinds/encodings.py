"""Text files of any encoding → lines; the encoding is found out, or given, and told where it is a guess."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from pathlib import Path

from eraser.errors import Fault, InputError, short_repr
from eraser.files.bounds import CHUNK, MAX_LINE, lines_of, regular

UTF8 = "utf-8"
WESTERN = "cp1252"  # what Windows writes in Western Europe and the Americas
MARKS = {  # how a file may begin → its encoding; the longer marks first, as they begin with a shorter one
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
WIDE = re.compile(r"utf[-_]?(16|32)")  # encodings in which a byte 10 need not end a line
OF_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
HIGH = re.compile(rb"[\x80-\xff]+")
UNUSED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")  # bytes that Windows-1252 does not use
USUAL_RUN = 2  # bytes above 127 in a row, of Western words: "naïve", "“é"
RARE = 10  # one in so many


def find_encoding(path: Path, asked: str | None) -> tuple[str, str | None]:
    """Return a file's encoding, and a note where it was guessed.

    Its byte order mark says it; else it is UTF-8. A file that is not, and whose bytes are those of Western
    words, is Windows-1252.

    Raises:
        InputError: there is no such encoding, or none can be told, with the first line that is no UTF-8.
    """
    with regular(path) as file:
        begin = file.read(4)
    marked = next((name for mark, name in MARKS.items() if begin.startswith(mark)), None)
    if asked is not None:
        return _known(asked, marked), None
    if marked is not None:
        return marked, None
    if (fault := _not_utf8(path)) is None:
        return UTF8, None
    if not _is_western(path):
        raise InputError(fault)
    return WESTERN, f"{path.name} is no UTF-8: it was read as Windows-1252 (--encoding names another)"


def _known(asked: str, marked: str | None) -> str:
    """Return an encoding that was asked for, with the byte order mark that the file has."""
    try:
        io.TextIOWrapper(io.BytesIO(), asked)  # refuses base64 and the like
        name = codecs.lookup(asked).name
    except (LookupError, ValueError):
        expected = "an encoding that Python knows, such as utf-8, utf-16, cp1252 or gb18030"
        raise InputError(Fault(expected, short_repr(asked))) from None
    return "utf-8-sig" if (name, marked) == (UTF8, "utf-8-sig") else name


def _not_utf8(path: Path) -> Fault | None:
    """Return the first line that is no UTF-8."""
    with regular(path) as file:
        for number, line in enumerate(lines_of(file, path), start=1):
            if not line.isascii():
                try:
                    line.decode(UTF8)
                except UnicodeDecodeError as error:
                    return Fault("UTF-8 text (--encoding names another)", str(error), path, number)
            elif b"\0" in line:
                return Fault("text without NUL characters (--encoding utf-16-le?)", "one", path, number)
    return None


def _is_western(path: Path) -> bool:
    """Return whether bytes above 127 are those of Western words, and few happen to look like UTF-8.

    Other alphabets are long runs of such bytes, and a file of UTF-8 with damage has many that are UTF-8.
    """
    runs = long = utf8 = other = 0
    with regular(path) as file:
        while block := file.read(CHUNK):
            found = HIGH.findall(block)
            if UNUSED.search(block) or b"\0" in block:
                return False
            runs += len(found)
            long += sum(len(run) > USUAL_RUN for run in found)
            valid = sum(map(len, OF_UTF8.findall(block)))
            utf8, other = utf8 + valid, other + sum(map(len, found)) - valid
    return RARE * long <= runs and utf8 < other


def decoded_lines(path: Path, encoding: str) -> Iterator[str]:
    """Yield the lines of a file with their ends, which are any of LF, CR LF and CR.

    Raises:
        InputError: a line is not in this encoding, or too long to be read.
    """
    with regular(path) as file:
        if WIDE.match(encoding):
            with io.TextIOWrapper(file, encoding, newline="") as text:
                yield from _wide(text, path)
            return
        for number, line in enumerate(lines_of(file, path), start=1):
            name = (
                UTF8 if encoding == "utf-8-sig" and number > 1 else encoding
            )  # only a file's begin is a mark
            try:
                found = line.decode(name)
            except UnicodeDecodeError as error:
                expected = "UTF-8" if encoding in (UTF8, "utf-8-sig") else encoding
                raise InputError(Fault(f"{expected} text", str(error), path, number)) from None
            yield from io.StringIO(found, newline="") if "\r" in found else (found,)


def _wide(text: io.TextIOWrapper, path: Path) -> Iterator[str]:
    """Yield the lines of a file whose characters are of several bytes."""
    try:
        while line := text.readline(MAX_LINE):
            if len(line) == MAX_LINE:
                raise InputError(Fault.of(f"a line is longer than {MAX_LINE} characters", path))
            yield line
    except UnicodeError as error:
        raise InputError(Fault(f"{text.encoding} text", str(error), path)) from None
